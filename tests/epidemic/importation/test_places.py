"""Imported infections by place at home."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from oneteam.core.errors import WrongTypeError
from oneteam.epidemic.importation.places import chance_of_any, expected_by_place


@given(st.integers(1, 6), st.integers(1, 8), st.integers(0, 2**32 - 1))
def test_nobody_is_lost_and_shares_are_those_of_the_travellers(origins: int, places: int, seed: int) -> None:
    generator = np.random.default_rng(seed)
    arrivals = generator.integers(-2, 40, (origins, places)).astype(float)
    arrivals[0, 0] = 5
    infected = generator.gamma(1.0, 2.0, (3, origins))
    found = expected_by_place(infected, arrivals)
    assert found.shape == (3, places)
    np.testing.assert_allclose(found.sum(axis=1), infected.sum(axis=1))
    alone = expected_by_place([1.0, *[0.0] * (origins - 1)], arrivals)
    kept = np.maximum(arrivals[0], 0)
    np.testing.assert_allclose(alone, kept / kept.sum())


def test_an_origin_without_known_homes_follows_all_travellers() -> None:
    assert expected_by_place([0.0, 8.0], [[1, 3], [0, 0]]).tolist() == [2.0, 6.0]
    assert expected_by_place([0.0, 8.0], [[1, 3], [np.nan, -4]]).tolist() == [2.0, 6.0]


def test_what_does_not_fit_is_refused() -> None:
    for infected, arrivals in (([1.0], [[1, 2], [3, 4]]), (1.0, [[1.0]]), ([1.0, 2.0], [1.0, 2.0]), ([1.0], [[0.0, 0.0]])):
        with pytest.raises(WrongTypeError):
            expected_by_place(infected, arrivals)


def test_the_chance_is_averaged_over_draws() -> None:
    assert chance_of_any([[0.0, 1.0], [2.0, 1.0]]).tolist() == pytest.approx([-np.expm1(-2.0) / 2, -np.expm1(-1.0)])
