"""The command rt: by which method, and as known on which day."""

from __future__ import annotations

import json
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from oneteam.cli.epidemic import app
from oneteam.core.errors import NothingFoundError, UnknownValueError
from oneteam.epidemic.service.files import read_table
from oneteam.epidemic.service.rt import RtSettings, situation, write_situation

FIRST = date(2021, 3, 1)


def cases(path: Path, counts: dict[str, list[float]], header: str = "new_cases") -> Path:
    rows = [f"{FIRST + timedelta(days=i)},{code},{n}" for code, values in counts.items() for i, n in enumerate(values)]
    path.write_text("\n".join([f"date,location,{header}", *rows]), encoding="utf-8")
    return path


@pytest.fixture
def rising(tmp_path: Path) -> Path:
    rng = np.random.default_rng(2)
    return cases(
        tmp_path / "cases.csv",
        {"a": rng.poisson(200 * 1.03 ** np.arange(87)).tolist(), "b": rng.poisson(900 * 0.98 ** np.arange(87)).tolist()},
    )


def rt(*words: object) -> dict:
    result = CliRunner().invoke(app, ["rt", *map(str, words), "--json"], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_both_methods_stand_beside_each_other(rising, tmp_path):
    found = rt(rising, "--method", "both", "--out", tmp_path / "o")
    whole, up, down = found["places"]
    assert (found["method"], whole["location"]) == ("both", "ALL")
    for place in (whole, up, down):
        assert place["rt_filter"] == pytest.approx(place["rt"], rel=0.12)
        assert place["rt_filter_low"] < place["rt_filter"] < place["rt_filter_high"]
    assert down["rt_filter"] < 1 < up["rt_filter"]
    rows = read_table(tmp_path / "o" / "rt-filter.csv").to_pylist()
    assert {row["location"] for row in rows} == {"ALL", "a", "b"}
    last = rows[-1]
    assert last["week_end"] == found["day"] == str(FIRST + timedelta(days=86))  # weeks end on the last day
    assert float(last["median"]) == pytest.approx(down["rt_filter"])
    text = rising.read_text(encoding="utf-8").splitlines()
    assert float(last["cases"]) == sum(float(line.split(",")[2]) for line in text if ",b," in line and line >= "2021-05-20")
    assert float(last["probability_above_1"]) < 0.05
    assert {p.name for p in (tmp_path / "o").iterdir()} >= {"rt.csv", "rt.png"}


def test_cori_is_the_default_and_what_risk_rests_on(rising, tmp_path):
    plain, other = rt(rising, "--out", tmp_path / "o", "--no-plots"), rt(rising, "--method", "filter")
    assert plain["method"] == "cori"
    assert not (tmp_path / "o" / "rt-filter.csv").exists()
    for one, two in zip(plain["places"], other["places"], strict=True):
        assert one["rt_filter"] is None
        assert two["rt_filter"] is not None
        assert {k: v for k, v in one.items() if "filter" not in k} == {k: v for k, v in two.items() if "filter" not in k}
    with pytest.raises(UnknownValueError, match="--method best: must be one of cori, filter, both"):
        situation(rising, RtSettings(method="best"))


@pytest.mark.parametrize(("method", "shown"), [("cori", {"Rt"}), ("filter", {"Rt (filter)"}), ("both", {"Rt", "Rt (filter)"})])
def test_the_table_shows_what_was_asked_for(rising, method, shown):
    rows = situation(rising, RtSettings(method=method)).rows()
    assert {name for name in rows[0] if name.startswith("Rt")} == shown


def test_a_later_correction_changes_nothing_that_was_known_before(tmp_path):
    """A negative count on day 50 takes cases off days 40 to 49; up to day 45 nobody knew that."""
    flat = [100.0] * 60
    corrected = [*flat[:50], -900.0, *flat[51:]]
    settings = RtSettings(until=FIRST + timedelta(days=44))
    before, after = (situation(cases(tmp_path / f"{n}.csv", {"a": v}), settings) for n, v in (("flat", flat), ("corrected", corrected)))
    np.testing.assert_array_equal(before.series.values, after.series.values)
    assert before.as_dict() == after.as_dict()
    assert after.notes == before.notes
    whole = situation(tmp_path / "corrected.csv", RtSettings())
    assert whole.series.values[44, 0] == 0  # once it is known, the days before it are repaired
    assert any("negative" in note for note in whole.notes)


def test_running_sums_are_cut_first_too(tmp_path):
    sums = np.cumsum([100.0] * 60)
    fallen = np.where(np.arange(60) < 50, sums, sums - 1_500)
    settings = RtSettings(source="cumulative-csv", until=FIRST + timedelta(days=44))
    for name, values in (("sums", sums), ("fallen", fallen)):
        found = situation(cases(tmp_path / f"{name}.csv", {"a": values.tolist()}, "cumulative_cases"), settings)
        assert np.nanmin(found.series.values) == 100
        assert found.day == FIRST + timedelta(days=44)


def test_no_day_is_left(rising):
    with pytest.raises(NothingFoundError, match="no day up to 2020-01-01; it starts on 2021-03-01"):
        situation(rising, RtSettings(until=date(2020, 1, 1)))


def test_a_place_with_a_gap_has_no_estimate_in_its_last_week(tmp_path):
    counts = {"a": [100.0] * 70, "b": [100.0] * 70}
    counts["b"][66] = float("nan")
    found = situation(cases(tmp_path / "c.csv", counts), RtSettings(method="both"))
    places = {place.location: place for place in found.places}
    assert places["b"].rt_filter is None
    assert places["a"].rt_filter == pytest.approx(1.0, abs=0.1)
    assert write_situation(found, tmp_path / "o", plots=False)
