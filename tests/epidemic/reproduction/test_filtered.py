"""Reproduction number from the filter, on epidemics whose true number is known; and beside that of Cori and others."""

from __future__ import annotations

import numpy as np
import pytest

from oneteam.core.errors import UnknownValueError
from oneteam.epidemic.reproduction.cori import estimate_rt, infectivity
from oneteam.epidemic.reproduction.filtered import filter_rt, reproduction_of
from oneteam.epidemic.reproduction.serial_interval import SERIAL_INTERVALS

WEIGHTS = SERIAL_INTERVALS["covid19-wild"].weights()
WEEKS, PLACES = 30, 6


def outbreak(seed: int, overdispersion: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """Daily true R and cases by place; log R walks 0.1 a week, half of it together. The renewal is by day: not the filter's own model."""
    rng = np.random.default_rng(seed)
    walk = np.zeros((WEEKS + 1, PLACES))
    for week in range(1, WEEKS + 1):
        walk[week] = 0.9 * walk[week - 1] + 0.1 * np.sqrt(0.5) * (rng.normal() + rng.normal(size=PLACES))
    days = np.arange(7 * WEEKS)
    r = np.exp(np.stack([np.interp(days, 7 * np.arange(WEEKS + 1), walk[:, i]) for i in range(PLACES)], axis=1))
    cases = np.zeros((len(days), PLACES))
    cases[:14] = rng.uniform(30, 200, PLACES)
    for day in days[14:]:
        mean = np.clip(r[day] * infectivity(cases[: day + 1], WEIGHTS)[day] / (1 - r[day] * WEIGHTS[0]), 1e-6, 3e4)
        phi = overdispersion
        cases[day] = rng.poisson(mean) if phi == 1 else rng.negative_binomial(mean / (phi - 1), 1 / phi)
    return r, np.maximum(cases, 1)


def weekly(daily: np.ndarray) -> np.ndarray:
    return daily.reshape(-1, 7, daily.shape[1]).sum(axis=1)


@pytest.mark.parametrize("overdispersion", [1.0, 8.0])
def test_intervals_hold_the_true_number(overdispersion):
    inside = {0.5: [], 0.8: [], 0.95: []}
    for seed in range(10):
        truth, cases = outbreak(seed, overdispersion)
        found = filter_rt(weekly(cases), np.full(PLACES, np.nan), WEIGHTS)
        # What multiplies a week's cases is R from the middle of the week before to the middle of the week.
        at = np.stack([truth[max(0, 7 * week - 4) : 7 * week + 4].mean(axis=0) for week in range(WEEKS)])
        known = np.isfinite(found.log_growth)
        for share, held in inside.items():
            low, high = found.quantile(0.5 - share / 2), found.quantile(0.5 + share / 2)
            held.append(((low <= at) & (at <= high))[known].mean())
    # Not the filter's own model: places' sizes, hence their noise, differ more than its one spread of reports.
    assert 0.83 < np.mean(inside[0.95]) < 0.99
    assert np.mean(inside[0.8]) == pytest.approx(0.8, abs=0.1)
    assert np.mean(inside[0.5]) == pytest.approx(0.55, abs=0.12)


def test_it_agrees_with_cori_and_misses_the_truth_by_less():
    apart, ours, theirs = [], [], []
    for seed in range(10):
        truth, cases = outbreak(seed, 8.0)
        mine = filter_rt(weekly(cases), np.full(PLACES, np.nan), WEIGHTS).quantile(0.5)
        cori = estimate_rt(cases, WEIGHTS, window_d=7).mean[6::7]
        known = np.isfinite(mine) & np.isfinite(cori)
        apart.append(np.abs(np.log(mine / cori))[known].mean())
        mean = truth.reshape(WEEKS, 7, PLACES).mean(axis=1)
        ours.append(np.abs(np.log(mine / mean))[known].mean())
        theirs.append(np.abs(np.log(cori / mean))[known].mean())
    assert np.mean(apart) < 0.15
    assert np.mean(ours) < np.mean(theirs)


@pytest.mark.parametrize("r", [0.7, 1.0, 1.4])
def test_steady_growth_gives_the_number_that_causes_it(r):
    cases = np.zeros((210, 1))
    cases[:14] = 50_000.0 if r < 1 else 500.0
    for day in range(14, 210):
        cases[day] = r * infectivity(cases[: day + 1], WEIGHTS)[day] / (1 - r * WEIGHTS[0])
        if not 30 < cases[day] < 1e6:
            cases = cases[: 7 * (day // 7)]
            break
    found = filter_rt(weekly(cases), [np.nan], WEIGHTS)
    assert found.quantile(0.5)[-1, 0] == pytest.approx(r, rel=0.06)
    assert found.quantile(0.025)[-1, 0] <= r <= found.quantile(0.975)[-1, 0]
    assert (found.probability_above_1[-1, 0] > 0.9) == (r > 1)
    exact = np.log(weekly(cases)[-1, 0] / weekly(cases)[-2, 0])
    assert reproduction_of(exact, WEIGHTS) == pytest.approx(r, rel=0.01)


def test_a_week_rests_on_the_weeks_up_to_it():
    _, cases = outbreak(1)
    counts = weekly(cases)
    whole = filter_rt(counts, np.full(PLACES, np.nan), WEIGHTS)
    again = filter_rt(counts, np.full(PLACES, np.nan), WEIGHTS)
    np.testing.assert_array_equal(whole.log_growth, again.log_growth)
    gap = counts.copy()
    gap[20, 2] = np.nan
    found = filter_rt(gap, np.full(PLACES, np.nan), WEIGHTS)
    assert np.isnan(found.log_growth[20, 2])
    assert np.isfinite(found.log_growth[21:, 2]).all()
    assert np.isnan(whole.log_growth[:4]).all()


def test_few_cases_say_little_and_none_say_nothing():
    counts = np.zeros((20, 3))
    counts[:, 0] = 5_000
    counts[:, 1] = 2
    found = filter_rt(counts, np.full(3, np.nan), WEIGHTS)
    width = found.quantile(0.975)[-1] - found.quantile(0.025)[-1]
    assert width[1] > 1.5 * width[0]
    assert np.isnan(width[2])


def test_it_refuses_what_it_cannot_use():
    with pytest.raises(UnknownValueError, match="negative"):
        filter_rt(np.full((10, 1), -1.0), [1e6], WEIGHTS)
    with pytest.raises(UnknownValueError, match="3 weeks"):
        filter_rt(np.ones((3, 1)), [1e6], WEIGHTS)
