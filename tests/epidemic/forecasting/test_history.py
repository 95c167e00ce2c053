from datetime import date

import numpy as np
import pyarrow as pa
import pytest

from oneteam.core.errors import DuplicateCodeError, MissingColumnError, NothingFoundError, UnknownValueError
from oneteam.epidemic.forecasting.history import parse_history
from oneteam.epidemic.forecasting.mobility import parse_movement


def test_ilinet_weeks_end_on_saturday_and_kinds_stay_apart():
    table = pa.table(
        {
            "region_type": ["States", "States", "National"],
            "region": ["Ohio", "Ohio", "National"],
            "week_start": ["2019-12-29", "2020-01-05", "2019-12-29"],
            "unweighted_ili": ["2.5", "", "3.0"],
        }
    )
    found = {h.source: h for h in parse_history(table, "ili.csv")}
    assert set(found) == {"ILINet States", "ILINet National"}
    assert found["ILINet National"].weeks.tolist() == [date(2020, 1, 4)]
    assert found["ILINet States"].places == ("Ohio",)


@pytest.mark.parametrize(
    ("year", "week", "end"), [(2022, 40, date(2022, 10, 8)), (2023, 1, date(2023, 1, 7)), (2020, 53, date(2021, 1, 2))]
)
def test_epidemiological_weeks(year, week, end):
    table = pa.table({"catchment": ["Ohio"], "mmwr_year": [year], "mmwr_week": [week], "weekly_rate": [1.0]})
    assert parse_history(table, "fs.csv")[0].weeks.tolist() == [end]


def test_only_the_overall_stratum_counts():
    rows = {"catchment": ["Ohio"] * 2, "mmwr_year": [2022] * 2, "mmwr_week": [41] * 2, "weekly_rate": [1.0, 7.0]}
    rows["age_category"] = ["Overall", "65+"]
    assert parse_history(pa.table(rows), "fs.csv")[0].rate.tolist() == [[1.0]]


def test_an_unknown_form_names_its_columns():
    with pytest.raises(MissingColumnError, match=r"x.csv: its columns \(a, b\) fit no form"):
        parse_history(pa.table({"a": [1], "b": [2]}), "x.csv")


def test_a_history_without_a_value():
    with pytest.raises(NothingFoundError, match="no value"):
        parse_history(pa.table({"date": ["2020-01-04"], "location": ["a"], "rate": ["NA"]}), "x.csv")


def test_weeks_that_end_on_another_day():
    with pytest.raises(UnknownValueError, match="does not end on the same weekday"):
        parse_history(pa.table({"date": ["2020-01-04", "2020-01-12"], "location": ["a", "a"], "rate": [1.0, 2.0]}), "x.csv")


@pytest.mark.parametrize("second", [7.0, 1.0])
def test_a_place_has_one_value_a_week(second):
    rows = {"date": ["2020-01-04", "2020-01-11", "", "2020-01-04"], "location": ["a", "a", "a", "a"], "rate": [1.0, 2.0, 3.0, second]}
    with pytest.raises(DuplicateCodeError, match=r"h.csv, data rows 1 and 4: two values of a for the week that ends on 2020-01-04"):
        parse_history(pa.table(rows), "h.csv")
    apart = parse_history(pa.table({**rows, "source": ["x", "x", "x", "y"]}), "h.csv")
    assert [h.rate[0, 0] for h in apart] == [1.0, second]
    empty = {**rows, "rate": [1.0, 2.0, 3.0, None]}  # a row without a value is not a second one
    assert parse_history(pa.table(empty), "h.csv")[0].rate.ravel().tolist() == [1.0, 2.0]


def movement_rows():
    return {
        "week_start": ["2020-03-02", "2020-03-02", "2020-03-30"],
        "origin": ["a", "b", "a"],
        "destination": ["b", "c", "c"],
        "trips": [10.0, 30.0, 100.0],
    }


def test_movement_is_known_two_weeks_after_its_week():
    movement = parse_movement(pa.table(movement_rows()), "m.csv")
    assert movement.coupling(("a", "b", "c"), date(2020, 3, 22)) is None
    early = movement.coupling(("a", "b", "c"), date(2020, 3, 23))
    assert early is not None
    assert np.allclose(early, [[0, 1, 0], [0.25, 0, 0.75], [0, 1, 0]])
    late = movement.coupling(("a", "b", "c"), date(2020, 4, 20), weeks=1)
    assert late is not None
    assert late[0, 2] == 1.0


def test_places_without_movement_have_none():
    movement = parse_movement(pa.table(movement_rows()), "m.csv")
    found = movement.coupling(("a", "b", "z"), date(2020, 5, 1))
    assert found is not None
    assert found[2].sum() == 0.0


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"trips": [1.0, -2.0, 3.0]}, UnknownValueError, "row 2: trips is -2"),
        ({"origin": None}, MissingColumnError, "origin and destination"),
    ],
)
def test_bad_movement(change, error, words):
    rows = {k: v for k, v in (movement_rows() | change).items() if v is not None}
    with pytest.raises(error, match=words):
        parse_movement(pa.table(rows), "m.csv")


def test_the_movement_index_never_knows_a_week_before_it_is_published():
    rows = {"week_start": ["2020-03-02", "2020-03-09", "2020-03-16"], "location": ["a"] * 3, "trips": [100.0, 200.0, 400.0]}
    movement = parse_movement(pa.table(rows), "m.csv")
    weeks = np.arange(np.datetime64("2020-03-14"), np.datetime64("2020-04-25"), 7)
    found = movement.index_by_week(("a", "z"), weeks, date(2020, 4, 11))
    assert np.isnan(found[:, 1]).all()
    # Weeks that end on 14 and 21 March know nothing; then one week more each week, until what is published on the day of the data ends.
    assert np.allclose(found[2:, 0], np.log([0.5, 1.0, 2.0, 2.0]))
    assert np.isnan(found[:2, 0]).all()
