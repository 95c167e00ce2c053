"""Target data, snapshots, locations, forecast tables; and what bad input gets."""

from __future__ import annotations

from datetime import date, datetime, timedelta

import numpy as np
import pyarrow as pa
import pytest
from tests.epidemic.flusight import FIRST, forecasts, target_rows

from oneteam.core.errors import DuplicateCodeError, MissingColumnError, NothingFoundError, UnknownValueError, WrongTypeError
from oneteam.epidemic.hub.forecasts import FORECAST_SCHEMA, check_forecasts, forecast_table, parse_forecasts
from oneteam.epidemic.hub.levels import LEVELS, level_index
from oneteam.epidemic.hub.locations import locations_table, parse_locations
from oneteam.epidemic.hub.target_data import parse_target_data, target_table

WEEK = timedelta(days=7)


def with_vintages() -> pa.Table:
    rows = []
    for vintage in range(3):
        reference = FIRST + (vintage + 2) * WEEK
        newest = vintage + (1 if vintage < 2 else 0)  # the third vintage is two weeks behind
        rows += [
            {
                "as_of": reference - timedelta(days=3),
                "reference_date": reference,
                "target_end_date": FIRST + week * WEEK,
                "location": "01",
                "target": "t",
                "observation": 10.0 * week + vintage,
            }
            for week in range(newest + 1)
        ]
    return pa.Table.from_pylist(rows)


def test_the_23_levels():
    assert len(LEVELS) == 23
    assert LEVELS[:3] == (0.01, 0.025, 0.05)
    assert level_index(np.array(LEVELS, np.float32).astype(float)).tolist() == list(range(23))


def test_a_snapshot_holds_its_vintage_and_its_lag():
    data = parse_target_data(with_vintages(), "x")
    assert data.has_vintages
    assert data.reference_dates == tuple(FIRST + k * WEEK for k in (2, 3, 4))
    second = data.snapshot(FIRST + 3 * WEEK)
    assert second.values.ravel().tolist() == [1.0, 11.0, 21.0]
    assert (second.lag_weeks, second.label, second.as_of) == (1, "vintage", FIRST + 3 * WEEK - timedelta(days=3))
    assert data.snapshot(FIRST + 4 * WEEK).lag_weeks == 2
    assert data.final().values.ravel().tolist() == [2.0, 12.0, 22.0]


def test_as_of_alone_gives_the_next_week_end_as_reference_date():
    data = parse_target_data(with_vintages().drop_columns(["reference_date"]), "x")
    assert data.reference_dates == tuple(FIRST + k * WEEK for k in (2, 3, 4))


def test_without_vintages_nothing_newer_is_in_a_snapshot():
    data = parse_target_data(target_rows({"01": [1, 2, 3, 4], "02": [5, np.nan, 7, 8]}), "x")
    found = data.snapshot(FIRST + 2 * WEEK)
    assert found.label == "revised data"
    assert found.last_week == FIRST + WEEK
    assert found.location_lag_weeks.tolist() == [1, 2]
    assert data.snapshot(FIRST + 3 * WEEK, lag_weeks=2).last_week == FIRST + WEEK
    changed = parse_target_data(target_rows({"01": [1, 2, 99, 98], "02": [5, np.nan, 97, 96]}), "x")
    np.testing.assert_array_equal(changed.snapshot(FIRST + 2 * WEEK).values, found.values)


def test_dates_and_codes_come_in_many_types():
    stamps = [datetime(2024, 1, 6), datetime(2024, 1, 13)]  # noqa: DTZ001
    for ends in (pa.array(stamps), pa.array(["2024-01-06", "2024-01-13"]), pa.array([s.date() for s in stamps])):
        table = pa.table({"target_end_date": ends, "location": pa.array(["01", "01"]).dictionary_encode(), "observation": ["1", "NA"]})
        data = parse_target_data(table, "x")
        assert data.location == ("01",)
        assert np.isnan(data.observation[1])


@pytest.mark.parametrize(
    ("change", "error", "says"),
    [
        ({"target_end_date": ["2024-01-06", "2024-01-14"]}, UnknownValueError, "SUN"),
        ({"target_end_date": ["2024-01-06", "soon"]}, WrongTypeError, "row 2.*'soon'"),
        ({"target_end_date": ["2024-01-06", "2024-01-06"]}, DuplicateCodeError, "rows 1 and 2"),
        ({"observation": ["1", "-4"]}, UnknownValueError, "row 2.*-4"),
        ({"observation": ["1", "inf"]}, UnknownValueError, "row 2"),
        ({"observation": ["1", "many"]}, WrongTypeError, "many"),
        ({"location": ["01", ""]}, WrongTypeError, "row 2: location is empty"),
    ],
)
def test_bad_target_data_is_named(change, error, says):
    columns = {"target_end_date": ["2024-01-06", "2024-01-13"], "location": ["01", "01"], "observation": ["1", "2"]} | change
    with pytest.raises(error, match=says):
        parse_target_data(pa.table(columns), "x.csv")


def test_columns_targets_and_dates_that_are_not_there():
    with pytest.raises(MissingColumnError, match="target_end_date"):
        parse_target_data(pa.table({"location": ["1"]}), "x")
    two = pa.table({"date": ["2024-01-06"] * 2, "location": ["1", "1"], "target": ["a", "b"], "value": [1, 2]})
    with pytest.raises(UnknownValueError, match="2 targets"):
        parse_target_data(two, "x")
    assert parse_target_data(two, "x", target="b").observation.tolist() == [2.0]
    data = parse_target_data(with_vintages(), "x")
    with pytest.raises(NothingFoundError, match="no vintage"):
        data.snapshot(FIRST)
    with pytest.raises(UnknownValueError, match="is a SUN"):
        data.snapshot(FIRST + timedelta(days=1))


def test_target_table_reads_back():
    snapshot = parse_target_data(with_vintages(), "x").snapshot(FIRST + 2 * WEEK)
    again = parse_target_data(target_table(snapshot), "y").snapshot(FIRST + 2 * WEEK)
    np.testing.assert_array_equal(again.values, snapshot.values)
    assert again.as_of == snapshot.as_of


def test_locations_read_back_and_refuse_nonsense():
    places = parse_locations(pa.table({"location": ["01", "02"], "location_name": ["A", "B"], "population": ["10", ""]}), "x")
    assert np.isnan(places.population_of("02"))
    assert parse_locations(locations_table(places), "y").names == ("A", "B")
    with pytest.raises(UnknownValueError, match=r"1 of 2 .* 03"):
        places.need(["01", "03"])
    with pytest.raises(DuplicateCodeError, match="'01'"):
        parse_locations(pa.table({"location": ["01", "01"]}), "x")
    with pytest.raises(UnknownValueError, match="population of '01'"):
        parse_locations(pa.table({"location": ["01"], "population": [0]}), "x")


def test_forecasts_read_back_in_order_and_type():
    made = forecasts([(FIRST, 1, "02"), (FIRST, 0, "01")], [50.0, 60.0])
    table = forecast_table(made)
    assert table.schema == FORECAST_SCHEMA
    read = parse_forecasts(table, "x")
    assert read.horizon.tolist() == [0, 1]
    np.testing.assert_array_equal(read.values, made.values[::-1])
    single = table.set_column(6, "output_type_id", table["output_type_id"].cast(pa.float32()))
    np.testing.assert_array_equal(parse_forecasts(single, "x").values, read.values)
    text = table.set_column(6, "output_type_id", table["output_type_id"].cast(pa.string()))
    np.testing.assert_array_equal(parse_forecasts(text, "x").values, read.values)


def test_bad_forecasts_are_named():
    made = forecasts([(FIRST, 0, "01")], [50.0])
    table = forecast_table(made)
    with pytest.raises(DuplicateCodeError, match=r"level 0\.01 stands twice"):
        parse_forecasts(pa.concat_tables([table, table.slice(0, 1)]), "x")
    wrong = table.set_column(3, "target_end_date", pa.array([date(2024, 1, 20)] * 23))
    with pytest.raises(UnknownValueError, match="0 weeks after"):
        parse_forecasts(wrong, "x")
    with pytest.raises(NothingFoundError, match="no quantile forecast"):
        parse_forecasts(table.set_column(5, "output_type", pa.array(["pmf"] * 23)), "x")
    missing = parse_forecasts(table.slice(1), "x")
    assert np.isnan(missing.values[0, 0])
    with pytest.raises(UnknownValueError, match="horizon 0, location 01"):
        check_forecasts(missing, "x")
    made.values[0, 3] = 1e9
    with pytest.raises(UnknownValueError, match="descend"):
        forecast_table(made)
