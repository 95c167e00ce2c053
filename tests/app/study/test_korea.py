"""The Korean example on the real tables, made small."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from oneteam.app.study.run import run_study
from tests.app.study.conftest import read

ROOT = Path(__file__).parents[3]
DATA = Path(os.environ.get("ONETEAM_DATA", ROOT.parent / "shared" / "data"))
needs_data = pytest.mark.skipif(
    not (DATA / "korea" / "cases_daily.csv").is_file(), reason="this system has no real Korean tables; set ONETEAM_DATA to their folder"
)


@needs_data
def test_the_korean_example_runs_on_the_real_tables(tmp_path: Path) -> None:
    text = (ROOT / "examples" / "korea" / "study.toml").read_text()
    for before, after in (
        ("past_weeks = 12", 'past_weeks = 1\nmodels = ["baseline", "linear"]\nprocesses = 1'),
        ("members = 200", "members = 32"),
    ):
        assert before in text
        text = text.replace(before, after)
    file = tmp_path / "study.toml"
    file.write_text(text)
    ran = asyncio.run(run_study(file, tmp_path / "out", data=DATA))
    assert {name for name, state in ran.states.items() if state == "skipped"} == {"releases", "notices", "truth"}
    assert set(ran.states.values()) == {"skipped", "done"}
    assert len(ran.summary["places"]) == 10
    assert "서울" in {place["name"]["ko"] for place in ran.summary["places"]}
    table = pq.read_table(tmp_path / "out" / "mobility" / "od.parquet")
    assert len(set(table["origin"].to_pylist())) == 247
    told = read(tmp_path / "out" / "scenario" / "comparison.json")
    assert 0.05 < told["averted"]["infections"]["share"]["median"] < 0.4
    assert read(tmp_path / "out" / "importation" / "importation.json")["identifiable"] is False
    # The scenario starts where the situation stands: infections of its second week near reported cases over the share reported.
    whole = next(p for p in read(tmp_path / "out" / "situation" / "situation.json")["places"] if p["location"] == "ALL")
    assert 0.5 < told["averted"]["infections"]["baseline"]["median"] / 8 / (whole["cases_7d"] / 0.5) < 3
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
    assert page.count('class="disc"') == 5
