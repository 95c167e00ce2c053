"""The guide's commands and the Korean example, run as they stand."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.epidemic.flusight import DATA, needs_korea

ROOT = Path(__file__).parents[3]
BIN = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])


def shell(words: list[str], folder: Path, **settings: str) -> str:
    done = subprocess.run(
        words, cwd=folder, env=os.environ | {"PATH": BIN} | settings, capture_output=True, text=True, check=False, timeout=900
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-3000:]
    return done.stdout


@pytest.mark.slow
def test_the_guide_leads_from_a_case_file_to_the_page(tmp_path):
    blocks = re.findall(r"```sh\n(.*?)```", (ROOT / "docs" / "epidemic.md").read_text(encoding="utf-8"), re.DOTALL)
    out = shell(["sh", "-euc", "\n".join(blocks)], tmp_path)
    assert out.count("•") == 3
    assert "not in the report" not in out
    page = (tmp_path / "study" / "report.html").read_text(encoding="utf-8")
    assert "District 1-" in page
    assert "oneteam-ensemble" in page
    assert "Origin not identifiable" not in page
    assert list((tmp_path / "study" / "scores").glob("*.png"))


@needs_korea
@pytest.mark.slow
def test_the_korean_example_runs_on_the_real_files(tmp_path):
    settings = {"ONETEAM_WEEKS": "2", "ONETEAM_MEMBERS": "16"}
    shell([str(ROOT / "examples" / "korea" / "run.sh"), str(DATA), str(tmp_path / "out")], tmp_path, **settings)
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    for said in (
        "Origin not identifiable",
        "Ulleung",
        "downscaled, unvalidated",
        "11,302 cases found at the border",
        "울산",
        "revised data",
    ):
        assert said in page
    assert len(json.loads((tmp_path / "out" / "forecast.json").read_text(encoding="utf-8"))["forecasts"]) == 18 * 4
    # The scenario starts where the situation stands: infections of its second week near reported cases over the share reported.
    compared = json.loads((tmp_path / "out" / "scenario" / "comparison.json").read_text(encoding="utf-8"))
    whole = next(p for p in json.loads((tmp_path / "out" / "situation" / "situation.json").read_text())["places"] if p["location"] == "ALL")
    weekly = compared["averted"]["infections"]["baseline"]["median"] / 8
    assert 0.5 < weekly / (whole["cases_7d"] / 0.5) < 3
    assert page.count('class="disc"') == 5
