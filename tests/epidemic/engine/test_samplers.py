"""The two binomial samplers against the binomial distribution, over the whole range of counts and probabilities."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binom, chi2, norm

from oneteam.epidemic.engine import exact_sampler, fast_sampler
from oneteam.epidemic.engine.lanes import LANES

DRAWS = 16_000 * LANES
CASES = [
    (n, p)
    for n in (1, 2, 3, 7, 15, 16, 17, 25, 40, 100, 400, 3_000, 20_000, 500_000, 9_000_000)
    for p in (1e-7, 1e-5, 3e-4, 4e-3, 0.03, 0.1, 0.22, 0.4, 0.5, 0.6, 0.9, 0.999)
]


def draws(sampler, n: int, p: float, seed: int, size: int = DRAWS) -> np.ndarray:
    real = np.float32 if sampler is fast_sampler else np.float64
    k0, k1 = np.random.default_rng(seed).integers(0, 2**32, (2, LANES), dtype=np.uint32)
    out = np.full(size, -1, np.int32)
    row = np.zeros(LANES, real)
    sampler.fill(n, p, np.zeros(LANES, np.int32), row, row.copy(), np.zeros(sampler.WORK, real), k0, k1, out)
    return out


def chi_square(found: np.ndarray, n: int, p: float) -> float:
    """p-value of the counts in bins that expect at least 20."""
    edges = np.unique(binom.ppf(np.linspace(0.0, 1.0, 61)[1:-1], n, p))
    cdf = np.concatenate([[0.0], binom.cdf(edges, n, p), [1.0]])
    expected = np.diff(cdf) * len(found)
    observed = np.bincount(np.searchsorted(edges, found), minlength=len(edges) + 1)
    keep = expected >= 20
    other = (observed[~keep].sum(), expected[~keep].sum())
    statistic = ((observed[keep] - expected[keep]) ** 2 / expected[keep]).sum()
    cells = int(keep.sum())
    if other[1] >= 1:
        statistic += (other[0] - other[1]) ** 2 / other[1]
        cells += 1
    return float(chi2.sf(statistic, cells - 1)) if cells > 1 else 1.0


@pytest.mark.parametrize("sampler", [fast_sampler, exact_sampler], ids=["fast", "exact"])
def test_draws_follow_the_binomial_distribution(sampler) -> None:
    values = []
    for i, (n, p) in enumerate(CASES):
        found = draws(sampler, n, p, seed=i)
        assert found.min() >= 0
        assert found.max() <= n
        values.append(chi_square(found, n, p))
        error = abs(found.mean() - n * p) / np.sqrt(max(n * p * (1 - p), 1e-12) / DRAWS)
        assert error < 5.5 or n * p < 1e-2, (n, p, error)
    # With so many tests the smallest p-value is small by chance; none may be below chance, and they must not crowd there.
    values = np.array(values)
    assert values.min() > 1e-5, [case for case, v in zip(CASES, values, strict=True) if v <= 1e-5]
    assert (values < 0.05).mean() < 0.12


def fast_probabilities(n: int, p: float) -> np.ndarray:
    """The distribution of the expansion itself: its steps in the normal quantile, found by bisection in doubles."""
    q = 1 - p
    npq = n * p * q
    s = np.sqrt(npq - 1 / 12)
    c3 = npq * (q - p) / s**2
    c4 = (npq * (1 - 6 * p * q) + 1 / 120) / s**2

    def value(z: np.ndarray) -> np.ndarray:
        return n * p + s * z + c3 * (z**2 - 1) / 6 + z / s * (c4 * (z**2 - 3) / 24 - c3**2 * (2 * z**2 - 5) / 36)

    edges = np.arange(n) + 0.5
    low, high = np.full(n, -6.3), np.full(n, 6.3)
    for _ in range(45):
        middle = (low + high) / 2
        below = value(middle) < edges
        low, high = np.where(below, middle, low), np.where(below, high, middle)
    return np.diff(np.concatenate([[0.0], norm.cdf(low), [1.0]]))


@pytest.mark.parametrize("p", [1e-3, 0.01, 0.1, 0.3, 0.5])
@pytest.mark.parametrize("mean", [8.0, 12.0, 30.0, 200.0])
def test_total_variation_of_the_expansion_is_below_what_is_documented(mean: float, p: float) -> None:
    n = int(np.ceil(mean / p))
    assert 0.5 * np.abs(fast_probabilities(n, p) - binom.pmf(np.arange(n + 1), n, p)).sum() < 1e-3


def test_a_draw_rises_with_its_probability() -> None:
    """Common random numbers: under the same keys a higher probability never moves fewer people, within and across both formulas."""
    for n in (5, 40, 3_000):
        rows = np.stack([draws(fast_sampler, n, p, seed=3, size=400 * LANES) for p in np.linspace(0.001, 0.5, 60)])
        steps = np.diff(rows, axis=0)
        assert (steps >= 0).mean() > 0.9999
        assert steps.min() >= -1


@pytest.mark.parametrize(("n", "p"), [(3000, 0.001), (50, 0.05), (13_000, 1e-5), (20, 0.3)])
def test_no_draw_lies_where_the_distribution_has_nothing(n: int, p: float) -> None:
    """What rounding leaves of a tail must not be drawn: once in 10 million draws it would give a count far beyond any chance."""
    assert max(draws(fast_sampler, n, p, seed, size=500_000 * LANES).max() for seed in range(3)) <= binom.isf(1e-11, n, p)


@pytest.mark.parametrize("sampler", [fast_sampler, exact_sampler], ids=["fast", "exact"])
def test_certain_and_impossible(sampler) -> None:
    assert (draws(sampler, 50, 0.0, 1, 160) == 0).all()
    assert (draws(sampler, 50, 1.0, 1, 160) == 50).all()
    assert (draws(sampler, 0, 0.7, 1, 160) == 0).all()


def test_lanes_and_counters_are_uncorrelated() -> None:
    found = draws(fast_sampler, 1_000, 0.5, 9, 20_000 * LANES).reshape(-1, LANES).astype(float)
    lanes = np.corrcoef(found.T)
    assert np.abs(lanes - np.eye(LANES)).max() < 5 / np.sqrt(len(found))
    flat = (found - found.mean()) / found.std()
    for lag in (1, 2, 3, 16, 64):
        assert abs((flat[lag:] * flat[:-lag]).mean()) < 5 / np.sqrt(found.size)
