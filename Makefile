# The front door. Every target sets itself up in .venv; nothing else needs to be installed by hand but Python 3.11 and make.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# pip older than 25.1 knows no dependency groups.
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet

.PHONY: help setup test check unit demo alliance bench docs build clean

help:
	@echo "make demo    a synthetic country, ingested, measured and drawn, in build/demo"
	@echo "make alliance  three carriers, a helper, an agency and a hub as processes: one joint answer, in build/alliance"
	@echo "make test    every check: ruff, mypy --strict, import-linter, pytest"
	@echo "make bench   benchmarks beside their peers; refreshes docs/benchmarks.md"
	@echo "make docs    the documentation site, in build/site"
	@echo "make build   wheel and source archive, in build/dist"

$(VENV)/pip:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "oneteam needs Python 3.11 or newer: make PYTHON=python3.11")'
	$(PYTHON) -m venv $(VENV)
	$(PIP) install --upgrade 'pip>=25.1'
	@touch $@

$(VENV)/core: $(VENV)/pip pyproject.toml
	$(PIP) install --editable '.[alliance,epidemic,plot]'
	@touch $@

$(VENV)/test: $(VENV)/core
	$(PIP) install --editable '.[alliance,epidemic,plot,spark]' --group test
	@touch $@

$(VENV)/bench: $(VENV)/test
	$(PIP) install --group bench
	@touch $@

$(VENV)/docs: $(VENV)/core
	$(PIP) install --group docs
	@touch $@

# Java for Spark: installed where we may, else named.
.PHONY: java
java:
	@command -v java >/dev/null || { \
	  if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	    apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends openjdk-17-jre-headless >/dev/null; \
	  else \
	    echo "Spark's tests need Java 17: apt-get install openjdk-17-jre-headless" >&2; \
	  fi; }

setup: $(VENV)/test java

test: setup check unit

check: $(VENV)/test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

unit: $(VENV)/test
	$(BIN)/pytest

demo: $(VENV)/core
	sh examples/quickstart.sh build/demo

alliance: $(VENV)/core
	sh examples/alliance/run.sh build/alliance

bench: $(VENV)/bench java
	$(BIN)/python bench/run.py

docs: $(VENV)/docs
	$(BIN)/mkdocs build --strict --site-dir build/site

build: $(VENV)/pip
	$(PIP) install build
	$(BIN)/python -m build --outdir build/dist

clean:
	rm -rf build $(VENV)
