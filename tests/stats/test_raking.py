"""Raking against its defining properties and against an independent optimiser."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize

from oneteam.core.errors import UnknownValueError
from oneteam.stats.raking import rake


def test_margins_are_met_and_odds_ratios_stay_in_three_dimensions():
    rng = np.random.default_rng(3)
    seed, truth = rng.uniform(1, 9, (4, 3, 5)), rng.uniform(10, 90, (4, 3, 5))
    result = rake(seed, [((0, 1), truth.sum(2)), ((2, 1), truth.sum(0).T), ((0,), truth.sum((1, 2)))])
    assert result.converged
    assert result.max_error <= 1e-9
    assert result.errors[-1] == result.max_error
    assert len(result.errors) == result.iterations
    np.testing.assert_allclose(result.table.sum(2), truth.sum(2), rtol=1e-6)
    np.testing.assert_allclose(result.table.sum(0), truth.sum(0), rtol=1e-6)
    # No margin knows axes 0 and 2 together, so their odds ratios within each level of axis 1 are the seed's.
    for level in range(3):
        for table in (result.table, seed):
            t = table[:, level, :]
            ratio = t[0, 0] * t[1, 1] / (t[0, 1] * t[1, 0])
            if table is result.table:
                raked_ratio = ratio
        assert raked_ratio == pytest.approx(ratio, rel=1e-6)


def test_result_is_nearest_to_the_seed_in_relative_entropy():
    seed, rows, columns = np.array([[3.0, 8.0], [5.0, 4.0]]), np.array([12.0, 8.0]), np.array([9.0, 11.0])

    def entropy(x: np.ndarray) -> float:
        t = np.array([[x[0], rows[0] - x[0]], [columns[0] - x[0], columns[1] - rows[0] + x[0]]])
        return float((t * np.log(t / seed) - t).sum())

    best = minimize(entropy, [5.0], bounds=[(1.1, 8.9)], tol=1e-14).x[0]
    assert rake(seed, [((0,), rows), ((1,), columns)]).table[0, 0] == pytest.approx(best, abs=1e-4)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32), st.integers(2, 5), st.integers(2, 5))
def test_a_table_that_already_fits_is_left_alone(seed: int, rows: int, columns: int):
    table = np.random.default_rng(seed).integers(0, 5, (rows, columns)).astype(float)
    result = rake(table, [((0,), table.sum(1)), ((1,), table.sum(0)), ((), table.sum())])
    assert result.iterations == 1
    np.testing.assert_allclose(result.table, table)


def test_zeros_stay_zero_and_zero_totals_empty_a_class():
    result = rake([[0, 2, 1], [1, 1, 1]], [((0,), [6, 3]), ((1,), [2, 7, 0])])
    assert result.converged
    assert result.table[0, 0] == 0
    assert (result.table[:, 2] == 0).all()
    np.testing.assert_allclose(result.table.sum(1), [6, 3])


def test_zeros_that_leave_no_solution_do_not_converge():
    result = rake([[1, 0], [1, 1]], [((0,), [9, 1]), ((1,), [5, 5])], max_iter=50)
    assert not result.converged
    assert result.iterations == 50
    assert result.max_error > 0.1


@pytest.mark.parametrize(
    ("seed", "margins", "match"),
    [
        ([[1, -1]], [((0,), [1])], "seed"),
        ([[1, np.nan]], [((0,), [1])], "seed"),
        ([[1, 1]], [((0,), [1, 2])], r"margin 0 \(axes \(0,\)\): totals have shape \(2,\), must be \(1,\)"),
        ([[1, 1]], [((2,), [1])], "axes must be distinct"),
        ([[1, 1]], [((1, 1), [[1, 1], [1, 1]])], "axes must be distinct"),
        ([[1, 1]], [((1,), [1, -2])], "finite and at least 0"),
        ([[1, 0]], [((1,), [1, 2])], r"only zeros, at \(1,\)"),
        ([[1, 1]], [((0,), [3]), ((1,), [1, 1])], "margins 0 .* and 1 .* contradict each other by 1 in their grand totals"),
        (np.ones((2, 2, 2)), [((0, 1), [[1, 1], [1, 1]]), ((2, 0), [[2, 1], [1, 0]])], r"contradict .* along axis \[0\]"),
    ],
)
def test_what_cannot_be_raked_is_said(seed, margins, match):
    with pytest.raises(UnknownValueError, match=match):
        rake(seed, margins)
