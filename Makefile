# The front door. Every target sets itself up in .venv; nothing else needs to be installed by hand but Python 3.11 and make.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# pip older than 25.1 knows no dependency groups.
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet

WEB := src/oneteam/web/static/dist

.PHONY: help setup test check unit demo quickstart alliance bench docs build clean

help:
	@echo "make demo        rival carriers and a health agency answer together: a joint study, then its web page; ctrl-C ends it"
	@echo "make test        every check: ruff, mypy --strict, import-linter, tests, browser tests"
	@echo "make quickstart  one carrier alone: a synthetic country, ingested, measured and drawn, in build/quickstart"
	@echo "make alliance    one joint answer of six processes, step by step, in build/alliance"
	@echo "make bench       benchmarks beside their peers; refreshes docs/benchmarks.md"
	@echo "make docs        the documentation site, in build/site"
	@echo "make build       wheel and source archive, in build/dist"

$(VENV)/pip:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "oneteam needs Python 3.11 or newer: make PYTHON=python3.11")'
	$(PYTHON) -m venv $(VENV)
	$(PIP) install --upgrade 'pip>=25.1'
	@touch $@

$(VENV)/core: $(VENV)/pip pyproject.toml
	$(PIP) install --editable '.[alliance,epidemic,plot,web]'
	@touch $@

$(VENV)/test: $(VENV)/core
	$(PIP) install --editable '.[alliance,epidemic,plot,web,spark]' --group test
	@touch $@

$(VENV)/bench: $(VENV)/test
	$(PIP) install --group bench
	@touch $@

$(VENV)/docs: $(VENV)/core
	$(PIP) install --group docs
	@touch $@

# The pages' scripts and styles: bundled once, from npm's packages as package-lock.json pins them. An installed wheel needs no Node.
$(WEB)/app.js: $(shell find frontend -path frontend/node_modules -prune -o -path frontend/build -prune -o -type f -print)
	@command -v npm >/dev/null || { echo "the web pages are bundled with Node 20 or newer: apt-get install nodejs npm" >&2; exit 69; }
	cd frontend && npm ci --no-audit --no-fund --loglevel=error && npm run --silent build
	@touch $@

# What tests need of the system: Java for Spark, a browser and Korean letters for the pages. Installed where we may, else named.
.PHONY: system
system:
	@missing=""; \
	command -v java >/dev/null || missing="$$missing openjdk-17-jre-headless"; \
	command -v chromium >/dev/null || missing="$$missing chromium"; \
	[ -n "$$(find /usr/share/fonts -iname '*cjk*' 2>/dev/null | head -n 1)" ] || missing="$$missing fonts-noto-cjk"; \
	[ -z "$$missing" ] || { \
	  if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	    apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $$missing >/dev/null; \
	  else \
	    echo "some tests need: apt-get install$$missing" >&2; \
	  fi; }

setup: $(VENV)/test $(WEB)/app.js system

test: setup check unit

check: $(VENV)/test $(WEB)/app.js
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	cd frontend && npm run --silent check

# Two at a time, each taking over from the other when it is done.
unit: $(VENV)/test $(WEB)/app.js
	$(BIN)/pytest --numprocesses 2 --dist worksteal

demo: $(VENV)/core $(WEB)/app.js
	@$(BIN)/oneteam demo --out build/demo $(DEMO)

quickstart: $(VENV)/core
	sh examples/quickstart.sh build/quickstart

alliance: $(VENV)/core
	sh examples/alliance/run.sh build/alliance

bench: $(VENV)/bench system
	$(BIN)/python bench/run.py

docs: $(VENV)/docs
	$(BIN)/mkdocs build --strict --site-dir build/site

build: $(VENV)/pip $(WEB)/app.js
	$(PIP) install build
	$(BIN)/python -m build --outdir build/dist

clean:
	rm -rf build $(VENV) $(WEB) frontend/node_modules
