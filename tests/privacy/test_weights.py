"""Persons from subscriptions, after noise."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from oneteam.core.errors import MissingColumnError, UnknownValueError
from oneteam.privacy.weights import census_weights, weighted


def test_weights_times_residents_are_the_census() -> None:
    residents = pa.table({"zone": ["a", "b"], "value": [50.0, 200.0], "std": [1.0, 4.0]})
    weights = census_weights(residents, {"a": 100.0, "b": 100.0, "c": 7.0})
    assert weighted(residents, weights)["persons"].to_pylist() == [100.0, 100.0]


def test_errors_of_value_and_weight_both_count() -> None:
    rng = np.random.default_rng(1)
    value, weight = rng.normal(40, 4, 200_000), rng.normal(3, 0.5, 200_000)
    table = pa.table({"origin": ["a"], "value": [40.0], "std": [4.0]})
    found = weighted(table, pa.table({"zone": ["a"], "weight": [3.0], "weight_std": [0.5]}), by="origin")
    assert found["persons_std"][0].as_py() == pytest.approx((value * weight).std(), rel=0.01)


def test_the_delta_method_holds() -> None:
    rng = np.random.default_rng(2)
    weights = census_weights(pa.table({"zone": ["a"], "value": [1_000.0], "std": [30.0]}), {"a": 5_000.0})
    assert weights["weight_std"][0].as_py() == pytest.approx((5_000 / rng.normal(1_000, 30, 100_000)).std(), rel=0.02)


def test_what_is_hidden_stays_hidden() -> None:
    residents = pa.table(
        {"zone": ["a", "b"], "value": [None, 0.0], "std": [None, 1.0]},
        schema=pa.schema([("zone", pa.string()), ("value", pa.float64()), ("std", pa.float64())]),
    )
    weights = census_weights(residents, {"a": 1.0, "b": 1.0})
    assert weights["weight"].null_count == 2
    table = pa.table({"zone": ["a", "x"], "value": [5.0, 5.0], "std": [1.0, 1.0]})
    assert weighted(table, weights)["persons"].null_count == 2


def test_what_is_missing_is_named() -> None:
    residents = pa.table({"zone": ["a"], "value": [1.0], "std": [1.0]})
    with pytest.raises(UnknownValueError, match="a"):
        census_weights(residents, {"b": 1.0})
    with pytest.raises(UnknownValueError):
        census_weights(residents, {"a": -1.0})
    with pytest.raises(MissingColumnError, match="home"):
        weighted(residents, pa.table({"zone": ["a"], "weight": [1.0]}), by="home")
