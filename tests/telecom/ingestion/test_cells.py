from datetime import UTC, date, datetime

import numpy as np
import pyarrow as pa
import pytest

from oneteam.core.errors import UnknownValueError, WrongTypeError
from oneteam.telecom.ingestion import cells as module
from oneteam.telecom.ingestion.cells import CellRegistry, clean_topology, same_table
from oneteam.telecom.ingestion.clean import Verdict
from oneteam.telecom.ingestion.mapping import BUILT_IN
from oneteam.telecom.schemas import CELLS

DAY = (date(2020, 2, 1) - date(1970, 1, 1)).days
BARE = (None,) * 10


def facts(start=None, end=None, latitude=37.5, longitude=127.0):
    return (start, end, latitude, longitude, *BARE[4:])


def periods(registry):
    return [(r["cell_id"], r["valid_date_start"], r["valid_date_end"]) for r in registry.table().to_pylist()]


def test_codes_persist_through_the_table():
    first = CellRegistry()
    first.register(["b", "a"])
    first.merge([("c", facts())])
    second = CellRegistry(first.table())
    assert not second.changed
    assert second.lookup(["a", "b", "c", "d"]).tolist() == [1, 0, 2, -1]
    assert second.register(["d", "b"]) == [3, 0]
    assert second.changed
    assert first.table().schema == CELLS


def test_topology_fills_a_bare_cell_and_repeats_change_nothing():
    registry = CellRegistry()
    registry.register(["a"])
    assert not registry.has_topology
    assert registry.merge([("a", facts())]) == 0
    assert registry.topology_changed
    assert registry.has_topology
    again = CellRegistry(registry.table())
    assert again.merge([("a", facts())]) == 1
    assert not again.changed


def test_a_later_period_ends_the_one_before():
    registry = CellRegistry()
    registry.merge([("a", facts(date(2020, 1, 1)))])
    registry.merge([("a", facts(date(2020, 3, 1), latitude=38.0))])
    assert periods(registry) == [("a", date(2020, 1, 1), date(2020, 2, 29)), ("a", date(2020, 3, 1), None)]
    # The first file again: its open end is still cut by what followed.
    again = CellRegistry(registry.table())
    assert again.merge([("a", facts(date(2020, 1, 1)))]) == 1
    assert not again.changed


def test_moving_cells_stand_where_they_stood_that_day():
    registry = CellRegistry()
    registry.merge([("a", facts(None, date(2020, 1, 31), 0.0, 0.0)), ("a", facts(date(2020, 2, 1), None, 0.0, 90.0))])
    registry.register(["b"])
    assert registry.places(DAY - 1)[0].round(6).tolist() == [1, 0, 0]
    assert registry.places(DAY)[0].round(6).tolist() == [0, 1, 0]
    assert np.isnan(registry.places(DAY)[1]).all()


def test_known_periods():
    registry = CellRegistry()
    registry.register(["bare"])
    registry.merge([("a", facts(date(2020, 2, 1), date(2020, 2, 2))), ("a", facts(date(2020, 3, 1)))])
    known = registry.known()
    assert known.known.tolist() == [False, True]
    assert known.start.tolist() == [0, 1, 3]
    assert known.first[1:].tolist() == [DAY, DAY + 29]
    assert known.last[1] == DAY + 1


def test_places_become_cells_of_a_hundredth_degree():
    registry = CellRegistry()
    codes = registry.register_places(np.array([37.561, -0.004, 37.564]), np.array([126.978, -179.999, 126.981]))
    assert codes.tolist() == [1, 0, 1]
    assert [r["cell_id"] for r in registry.table().to_pylist()] == ["geo:0.00,-180.00", "geo:37.56,126.98"]
    assert registry.table()["latitude"].to_pylist() == [0.0, 37.56]
    assert not registry.has_topology


def test_too_many_cells(monkeypatch):
    monkeypatch.setattr(module, "MAX_CELLS", 2)
    with pytest.raises(UnknownValueError, match="more than 2 different cells"):
        CellRegistry().register(["a", "b", "c"])


def clean(rows, schema="multimno-topology"):
    return clean_topology(pa.Table.from_pylist(rows), BUILT_IN[schema], "Asia/Seoul", where="t")


GOOD = {
    "cell_id": "a",
    "latitude": "37.5",
    "longitude": "127",
    "azimuth_angle": "120",
    "directionality": "1",
    "valid_date_start": "2020-02-01",
}


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, Verdict.ACCEPTED),
        ({"cell_id": None}, Verdict.NULL_VALUE__CELL_ID),
        ({"latitude": "95"}, Verdict.OUT_OF_RANGE__COORDINATES),
        ({"latitude": "x"}, Verdict.CANNOT_PARSE__COORDINATES),
        ({"latitude": None, "longitude": None}, Verdict.ACCEPTED),
        ({"azimuth_angle": "north"}, Verdict.CANNOT_PARSE__ROW),
        ({"directionality": "yes"}, Verdict.CANNOT_PARSE__ROW),
        ({"valid_date_start": "soon"}, Verdict.CANNOT_PARSE__ROW),
        ({"valid_date_end": "2020-01-31"}, Verdict.CANNOT_PARSE__ROW),
        ({"valid_date_end": ""}, Verdict.ACCEPTED),
    ],
)
def test_topology_rows(change, expected):
    topology = clean([{**GOOD, "valid_date_end": None}, {**GOOD, "valid_date_end": None, **change}])
    assert [Verdict(v) for v in topology.verdict] == [Verdict.ACCEPTED, expected]
    assert len(topology.rows) == 1 + (expected == 0)


@pytest.mark.parametrize(
    "start",
    [
        date(2020, 2, 1),
        "2020-02-01",
        "2020-02-01T00:00:00+09:00",
        "2020-01-31T15:00:00+00:00",
        "2020-02-01 00:00:00",
        datetime(2020, 1, 31, 15, tzinfo=UTC),
        datetime(2020, 2, 1),  # noqa: DTZ001
    ],
)
def test_validity_is_a_local_day(start):
    rows = clean([{"cell_id": "a", "latitude": 1.0, "longitude": 1.0, "valid_date_start": start}]).rows
    assert rows[0][1][0] == date(2020, 2, 1)


def test_validity_of_a_wrong_type():
    with pytest.raises(WrongTypeError, match="valid_date_start"):
        clean([{"cell_id": "a", "latitude": 1.0, "longitude": 1.0, "valid_date_start": 20200201}])


def test_same_table_sees_values_nulls_and_order():
    a = pa.table({"x": [1.0, None, float("nan")]})
    assert same_table(a, pa.table({"x": [1.0, None, float("nan")]}))
    assert not same_table(a, pa.table({"x": [1.0, 2.0, float("nan")]}))
    assert not same_table(a, pa.table({"x": [None, 1.0, float("nan")]}))
    assert not same_table(a, a.slice(1))
    assert same_table(a.slice(0, 0), a.slice(0, 0))
