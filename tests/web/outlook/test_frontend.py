"""The front end: its types, its own tests, what a build weighs, and that it holds all that the wheel needs."""

from __future__ import annotations

import gzip
import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from oneteam.web.outlook.catalogue import CHARTS

ROOT = Path(__file__).parents[3]
FRONTEND = ROOT / "frontend"
DIST = ROOT / "src" / "oneteam" / "web" / "static" / "dist"
ALL_BYTES = 100_000

needs_npm = [
    pytest.mark.skipif(shutil.which("npm") is None, reason="the front end's own tests need Node"),
    pytest.mark.skipif(not (FRONTEND / "node_modules").is_dir(), reason="run `npm ci` in frontend first"),
]
needs_build = pytest.mark.skipif(not (DIST / "app.js").is_file(), reason="run `npm run build` in frontend first")


def npm(*arguments: str) -> str:
    done = subprocess.run(["npm", "run", "--silent", *arguments], cwd=FRONTEND, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize("command", [pytest.param(name, marks=needs_npm) for name in ("check", "test")])
def test_types_and_unit_tests_pass(command):
    npm(command)


def test_every_dependency_is_pinned():
    about = json.loads((FRONTEND / "package.json").read_text(encoding="utf-8"))
    for name, version in {**about["dependencies"], **about["devDependencies"]}.items():
        assert re.fullmatch(r"\d+\.\d+\.\d+", version), name


def test_every_chart_has_an_island():
    known = set(re.findall(r"^  (\w+): \(\) => import", (FRONTEND / "src" / "island.ts").read_text(encoding="utf-8"), re.MULTILINE))
    assert {chart.island for chart in CHARTS.values()} <= known


@needs_build
def test_all_scripts_and_styles_together_are_light():
    parts = {path.name: len(gzip.compress(path.read_bytes())) for path in DIST.iterdir() if path.suffix in {".js", ".css"}}
    assert {"app.js", "app.css"} <= set(parts)
    assert sum(parts.values()) < ALL_BYTES, parts


@needs_build
def test_the_build_brings_the_map_and_the_licences():
    world = json.loads((DIST / "world.json").read_text(encoding="utf-8"))
    assert {"KR", "VN", "HK", "SG", "MO", "US"} <= set(world["centres"])
    east, north = world["centres"]["US"]
    assert -110 < east < -90
    assert 30 < north < 50
    licences = (DIST / "licences.txt").read_text(encoding="utf-8")
    for name in ("htmx.org", "d3-scale", "world-atlas", "topojson-client"):
        assert name in licences


@needs_build
def test_no_script_of_the_build_evaluates_text_or_leaves_the_machine():
    for path in DIST.glob("*.js"):
        text = path.read_text(encoding="utf-8")
        addresses = {a for a in re.findall(r"https?://[^\"'`\s)]+", text) if not a.startswith("http://www.w3.org/")}
        assert not [a for a in addresses if "htmx.org" not in a and "github.com" not in a], path.name
