"""Results from one edition of zone codes to another."""

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from oneteam.core.errors import MissingColumnError, UnknownValueError, WrongTypeError
from oneteam.telecom.places.crosswalk import recode

WALK = pa.table({"from_code": ["1", "2", "3", "3"], "to_code": ["A", "A", "A", "B"], "weight": [1.0, 1.0, 0.25, 0.75]})


def test_merges_keep_integers():
    table = pa.table({"day": [1, 1, 2], "zone": ["1", "2", "1"], "value": pa.array([3, 4, 5], pa.int64())})
    moved = recode(table, WALK, ["zone"])
    assert moved["value"].type == pa.int64()
    assert moved.to_pylist() == [{"day": 1, "zone": "A", "value": 7}, {"day": 2, "zone": "A", "value": 5}]


def test_od_is_split_on_both_sides():
    moved = recode(pa.table({"origin": ["3"], "destination": ["3"], "value": [16]}), WALK, ["origin", "destination"])
    assert {(r["origin"], r["destination"]): r["value"] for r in moved.to_pylist()} == {
        ("A", "A"): 1.0,
        ("A", "B"): 3.0,
        ("B", "A"): 3.0,
        ("B", "B"): 9.0,
    }


def test_unknown_zones_stay():
    moved = recode(pa.table({"zone": pa.array([None, "", "3"]), "value": [1, 2, 4]}), WALK, ["zone"])
    assert {r["zone"]: r["value"] for r in moved.to_pylist()} == {None: 1.0, "": 2.0, "A": 1.0, "B": 3.0}


def test_column_order_and_several_values():
    table = pa.table({"value": [8], "zone": ["3"], "subscribers": [4]})
    moved = recode(table, WALK, ["zone"], values=["value", "subscribers"])
    assert moved.column_names == ["value", "zone", "subscribers"]
    assert moved["subscribers"].to_pylist() == [1.0, 3.0]


def test_an_empty_result():
    empty = pa.table({"zone": pa.array([], pa.string()), "value": pa.array([], pa.int64())})
    assert recode(empty, WALK, ["zone"]).num_rows == 0


@given(st.lists(st.tuples(st.sampled_from(["1", "2", "3"]), st.sampled_from(["1", "2", "3"]), st.integers(0, 10**6)), max_size=30))
def test_totals_are_kept(rows):
    table = pa.table({"origin": [r[0] for r in rows], "destination": [r[1] for r in rows], "value": [r[2] for r in rows]})
    if rows:
        assert sum(recode(table, WALK, ["origin", "destination"])["value"].to_pylist()) == pytest.approx(sum(r[2] for r in rows))


def test_codes_that_the_crosswalk_lacks():
    with pytest.raises(UnknownValueError, match="'zone': 2 codes that the crosswalk lacks: 8, 9"):
        recode(pa.table({"zone": ["9", "1", "8"], "value": [1, 1, 1]}), WALK, ["zone"])


@pytest.mark.parametrize("weights", [[0.5, 0.4], [1.5, -0.5], [float("nan"), 1.0]])
def test_weights_that_do_not_sum_to_one(weights):
    walk = pa.table({"from_code": ["1", "1"], "to_code": ["A", "B"], "weight": weights})
    with pytest.raises(UnknownValueError, match="sum to 1"):
        recode(pa.table({"zone": ["1"], "value": [1]}), walk, ["zone"])


def test_columns():
    with pytest.raises(MissingColumnError, match="home"):
        recode(pa.table({"zone": ["1"], "value": [1]}), WALK, ["home"])
    with pytest.raises(WrongTypeError, match="codes are text"):
        recode(pa.table({"zone": [1], "value": [1]}), WALK, ["zone"])
    with pytest.raises(WrongTypeError, match="must be numeric"):
        recode(pa.table({"zone": ["1"], "value": ["x"]}), WALK, ["zone"])
    with pytest.raises(MissingColumnError, match="weight"):
        recode(pa.table({"zone": ["1"], "value": [1]}), WALK.drop_columns(["weight"]), ["zone"])
