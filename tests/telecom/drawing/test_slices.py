"""Choosing the rows of a result that a drawing shows."""

from datetime import date

import pyarrow as pa
import pytest

from oneteam.core.errors import MissingColumnError, NothingFoundError, WrongTypeError
from oneteam.telecom.drawing.lettering import Lettering
from oneteam.telecom.drawing.slices import choose, moments_of

EN = Lettering("en", ("DejaVu Sans",))
RESULT = pa.table(
    {
        "day": pa.array([18262, 18262, 18263], pa.int32()).cast(pa.date32()),
        "hour": pa.array([8, 9, 8], pa.int8()),
        "zone": ["a", "b", "a"],
        "value": [4, 6, 9],
        "active": [10, 11, 12],
    }
)


def test_absent_rows_count_as_zero_in_a_mean():
    chosen = choose(RESULT)
    assert chosen.moments == 3
    assert chosen.mean_by("zone").to_pylist() == [{"zone": "a", "value": 13 / 3}, {"zone": "b", "value": 2.0}]


def test_a_day_and_an_hour():
    chosen = choose(RESULT, day=date(2020, 1, 1), hour=8)
    assert chosen.mean_by("zone").to_pylist() == [{"zone": "a", "value": 4.0}]
    assert chosen.period(EN) == "1 January 2020, 08:00-08:59"


def test_the_period_says_how_it_was_averaged():
    assert choose(RESULT).period(EN) == "mean of 2 days × 2 hours, 1 January 2020 to 2 January 2020"
    assert choose(RESULT, hour=8).period(EN) == "mean of 2 days, 1 January 2020 to 2 January 2020, 08:00-08:59"
    assert choose(RESULT.drop_columns(["day", "hour"])).period(EN) == ""


@pytest.mark.parametrize("months", [["2020-01", "2020-02"], pa.array([24240, 24241], pa.int32()), [date(2020, 1, 1), date(2020, 2, 1)]])
def test_months_in_every_form(months):
    chosen = choose(pa.table({"month": months, "value": [1, 2]}))
    assert chosen.period(EN) == "mean of 2 months, January 2020 to February 2020"
    assert [str(m) for m in moments_of(chosen.table)] == ["2020-01-01T00", "2020-02-01T00"]


@pytest.mark.parametrize("days", [["2020-01-01"], pa.array([18262], pa.int64())])
def test_days_in_every_form(days):
    assert choose(pa.table({"day": days, "value": [1]})).table["day"].to_pylist() == [date(2020, 1, 1)]


def test_unknown_zones_are_null():
    chosen = choose(pa.table({"zone": ["", "-1", "11010", None], "value": [1, 2, 3, 4]}))
    assert chosen.table["zone"].to_pylist() == [None, None, "11010", None]


def test_active_counts_once_per_moment():
    doubled = pa.concat_tables([RESULT, RESULT])
    assert choose(doubled, column="active").once_per_moment().table["active"].to_pylist() == [10, 11, 12]


def test_bad_choices():
    with pytest.raises(MissingColumnError, match="no column country"):
        choose(RESULT, where={"country": "JP"})
    with pytest.raises(MissingColumnError, match="no column weighted"):
        choose(RESULT, column="weighted")
    with pytest.raises(WrongTypeError, match="'zone' is string"):
        choose(RESULT, column="zone")
    with pytest.raises(NothingFoundError, match="no row with day = 2021-01-01; it has: 2020-01-01, 2020-01-02"):
        choose(RESULT, day=date(2021, 1, 1))
    with pytest.raises(NothingFoundError, match="no row to draw"):
        choose(RESULT.slice(0, 0))
    with pytest.raises(WrongTypeError, match="'day' must hold dates"):
        choose(pa.table({"day": ["1.1.2020"], "value": [1]}))
    with pytest.raises(WrongTypeError, match="'month' must hold months"):
        choose(pa.table({"month": ["Jan"], "value": [1]}))
