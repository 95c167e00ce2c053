"""Daily case files: repairs are made and listed, nonsense is refused."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from oneteam.core.errors import DuplicateCodeError, MissingColumnError, NothingFoundError, UnknownValueError, WrongTypeError
from oneteam.epidemic.hub.daily import add_up_weeks, parse_daily

MONDAY = np.datetime64("2020-03-02")


def long(counts: dict[str, list[object]], name: str = "new_cases", first: np.datetime64 = MONDAY) -> pa.Table:
    rows = [(str(first + day), code, None if v is None else str(v)) for code, values in counts.items() for day, v in enumerate(values)]
    dates, codes, numbers = zip(*rows, strict=True)
    return pa.table({"date": dates, "location": codes, name: pa.array(numbers, pa.string())})


def kinds(series) -> dict[str, str]:
    return {repair.kind: repair.what for repair in series.repairs}


def test_weeks_end_on_the_asked_day_and_partial_ones_are_reported():
    series = parse_daily(long({"11": list(range(20))}), "x")
    weekly = add_up_weeks(series, "SAT")
    assert weekly.weeks.tolist() == [np.datetime64("2020-03-14").item(), np.datetime64("2020-03-21").item()]
    assert weekly.values.ravel().tolist() == [sum(range(6, 13)), sum(range(13, 20))]
    assert "6 days at the start" in kinds(weekly)["partial_week"]
    assert add_up_weeks(series, "SUN").values.ravel().tolist() == [21.0, 70.0]
    with pytest.raises(UnknownValueError, match="--week-end SATURDAY"):
        add_up_weeks(series, "SATURDAY")


def test_a_negative_correction_is_taken_off_the_days_before():
    series = parse_daily(long({"11": [5, 4, 3, -6, 2]}), "x")
    assert series.values.ravel().tolist() == [5.0, 1.0, 0.0, 0.0, 2.0]
    assert "took 6 cases" in kinds(series)["negative_correction"]
    with pytest.raises(UnknownValueError, match=r"2020-03-03.* takes back 2 more"):
        parse_daily(long({"11": [3, -5]}), "x")


def test_a_decreasing_cumulative_series_is_the_same_thing():
    series = parse_daily(long({"11": [0, 5, 9, 12, 6, 8]}, "cumulative_cases"), "x", "cumulative")
    assert series.values.ravel().tolist() == [0.0, 5.0, 1.0, 0.0, 0.0, 2.0]
    wide = pa.table({"date": ["2020-03-02", "2020-03-03"], "A": [0, 4], "B": [7, 9]})
    found = parse_daily(wide, "x", "cumulative")
    assert found.locations == ("A", "B")
    assert found.values[1].tolist() == [4.0, 2.0]
    assert np.isnan(found.values[0, 1])
    assert "starts at 7" in kinds(found)["gap"]


def test_a_rise_over_a_gap_is_spread():
    series = parse_daily(long({"11": [0, 2, None, None, 11]}, "cumulative_cases"), "x", "cumulative")
    assert series.values.ravel().tolist() == [0.0, 2.0, 3.0, 3.0, 3.0]
    assert "2 days without a number" in kinds(series)["gap"]


@given(st.lists(st.integers(-20, 40), min_size=8, max_size=30))
def test_repairs_keep_the_sum(counts):
    counts = [1_000, *counts]
    series = parse_daily(long({"11": counts}), "x")
    assert (series.values >= 0).all()
    assert series.values.sum() == sum(counts)


def test_a_gap_makes_its_week_unknown_unless_it_means_zero():
    counts = [1] * 14
    counts[9] = None
    series = parse_daily(long({"11": counts, "21": [1] * 14}), "x")
    weekly = add_up_weeks(series, "SUN")
    np.testing.assert_array_equal(weekly.values, [[7, 7], [np.nan, 7]])
    assert "1 weeks are unknown" in kinds(weekly)["gap"]
    assert add_up_weeks(series, "SUN", gaps="zero").values[1].tolist() == [6.0, 7.0]
    nan = parse_daily(long({"11": ["NaN", *[2] * 13]}), "x")
    assert np.isnan(add_up_weeks(nan, "SUN").values[0, 0])


def test_all_zero_series_and_the_border_are_reported():
    series = parse_daily(long({"11": [0] * 7, "quarantine": [3] * 7, "21": [1] * 7}), "x").without(["quarantine"])
    assert series.locations == ("11", "21")
    weekly = add_up_weeks(series, "SUN")
    assert "21 cases" in kinds(weekly)["border"]
    assert kinds(weekly)["all_zero"].startswith("not one case")


@pytest.mark.parametrize(
    ("table", "error", "says"),
    [
        (long({"11": ["x"]}), WrongTypeError, "'x'"),
        (long({"11": ["inf"] * 7}), WrongTypeError, "infinite"),
        (long({"11": [None] * 7}), NothingFoundError, "no number"),
        (pa.concat_tables([long({"11": [1, 2]}), long({"11": [1]})]), DuplicateCodeError, "rows 1 and 3"),
        (pa.table({"date": ["2020-03-01"], "new_cases": ["1"]}), MissingColumnError, "no column with the place"),
        (pa.table({"location": ["11"], "new_cases": ["1"]}), MissingColumnError, "date"),
        (
            pa.table({"date": ["2020-03-01", "2020-03-08", "2020-03-15"], "location": ["11"] * 3, "cases": ["1"] * 3}),
            UnknownValueError,
            "7 days apart",
        ),
        (
            pa.table({"date": ["0202-03-01", "2020-03-02"], "location": ["11"] * 2, "cases": ["1"] * 2}),
            UnknownValueError,
            "must be daily|mistyped",
        ),
    ],
)
def test_bad_files_are_refused(table, error, says):
    with pytest.raises(error, match=says):
        parse_daily(table, "x.csv")
