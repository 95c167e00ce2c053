"""Documentation that fails when it is false."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from oneteam.core import errors
from oneteam.telecom.measures.catalogue import MEASURES

ROOT = Path(__file__).parents[2]
PAGES = sorted([ROOT / "README.md", ROOT / "README.ko.md", *(ROOT / "docs").rglob("*.md")])


def error_classes(base: type[errors.OneteamError] = errors.OneteamError) -> Iterator[type[errors.OneteamError]]:
    yield base
    for child in base.__subclasses__():
        yield from error_classes(child)


def test_every_error_code_is_documented() -> None:
    page = (ROOT / "docs" / "errors.md").read_text()
    rows = set(re.findall(r"^\| `([a-z_.]+)` \| (\d+) \| (\d+) \|", page, re.MULTILINE))
    assert rows == {(c.code, str(c.exit_code), str(c.http_status)) for c in error_classes()}


def test_the_error_tree_is_drawn_truly() -> None:
    drawn = set(re.findall(r"[├└]── (\w+Error)", errors.__doc__ or ""))
    assert drawn == {c.__name__ for c in error_classes()} - {"OneteamError"}


def test_every_measure_is_documented_with_its_keys() -> None:
    page = (ROOT / "docs" / "telecom.md").read_text()
    rows = dict(re.findall(r"^\| (`[a-z_`, ]+`) \| ([a-z, ]+) \|", page, re.MULTILINE))
    documented = {name: keys for names, keys in rows.items() for name in re.findall(r"`([a-z_]+)`", names)}
    assert {name: ", ".join(key.name for key in m.keys) for name, m in MEASURES.items()} == {n: documented.get(n) for n in MEASURES}


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text()):
        generated = (page.parent / target).resolve().is_relative_to(ROOT / "docs" / "reference")
        if not target.startswith("http") and not generated:
            assert (page.parent / target).exists(), f"{page.name} links to {target}"


def blocks(page: Path, heading: str) -> list[str]:
    """The shell blocks under a heading."""
    section = page.read_text().split(f"\n## {heading}\n")[1].split("\n## ")[0]
    return re.findall(r"```sh\n(.*?)```", section, re.DOTALL)


def shell(script: str, folder: Path) -> str:
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    done = subprocess.run(["sh", "-euc", script], cwd=folder, env=os.environ | {"PATH": path}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
def test_the_quick_start_and_the_guides_commands_run(tmp_path: Path) -> None:
    (start,) = blocks(ROOT / "README.md", "One carrier alone")
    out = shell(start, tmp_path)
    assert "more rows" in out
    assert (tmp_path / "trips.png").read_bytes().startswith(b"\x89PNG")
    # The weighting example of the guide goes on from there; the country's own zones file is its census.
    shutil.copy(tmp_path / "country" / "zones.csv", tmp_path / "census.csv")
    (weigh,) = blocks(ROOT / "docs" / "telecom.md", "From subscribers to persons")
    shell(weigh, tmp_path)
    assert "persons" in (tmp_path / "trips.csv").read_text().splitlines()[0]


def test_examples_and_workflow_name_only_targets_that_exist() -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = {word for page in PAGES for word in re.findall(r"^make ([a-z]+)", page.read_text(), re.MULTILINE)}
    assert named <= targets
    assert "make test" in (ROOT / ".ci" / "run").read_text()
