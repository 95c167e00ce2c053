"""Scores against scoringrules and against their definitions."""

from __future__ import annotations

import numpy as np
import pytest
import scoringrules
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from oneteam.epidemic.hub.levels import LEVELS
from oneteam.stats import scoring

CLOSE = {"rtol": 1e-9, "atol": 1e-9}
RNG = np.random.default_rng(5)
Y = RNG.gamma(2.0, 50.0, 400).round()
Q = np.sort(RNG.gamma(2.0, 50.0, (400, len(LEVELS))), axis=1)
X = RNG.gamma(2.0, 50.0, (400, 60))
LEVEL = np.array(LEVELS)


def test_interval_score_is_that_of_scoringrules():
    np.testing.assert_allclose(
        scoring.interval_score(Y, Q[:, 2], Q[:, 20], 0.1), scoringrules.interval_score(Y, Q[:, 2], Q[:, 20], 0.1), **CLOSE
    )


def test_quantile_score_is_that_of_scoringrules():
    for i, level in enumerate(LEVELS):
        np.testing.assert_allclose(scoring.quantile_score(Y, Q[:, i], level), scoringrules.quantile_score(Y, Q[:, i], level), **CLOSE)


def test_wis_is_that_of_scoringrules():
    low, high = Q[:, :11], Q[:, ::-1][:, :11]
    theirs = scoringrules.weighted_interval_score(Y, Q[:, 11], low, high, 2 * LEVEL[:11])
    np.testing.assert_allclose(scoring.weighted_interval_score(Y, Q, LEVEL), theirs, **CLOSE)


def test_log_wis_is_wis_of_logarithms():
    low, high = np.log1p(Q[:, :11]), np.log1p(Q[:, ::-1][:, :11])
    theirs = scoringrules.weighted_interval_score(np.log1p(Y), np.log1p(Q[:, 11]), low, high, 2 * LEVEL[:11])
    np.testing.assert_allclose(scoring.log_weighted_interval_score(Y, Q, LEVEL), theirs, **CLOSE)


def test_parts_of_wis_sum_to_it():
    parts = scoring.wis_parts(Y, Q, LEVEL)
    np.testing.assert_allclose(parts.total, scoring.weighted_interval_score(Y, Q, LEVEL), **CLOSE)
    np.testing.assert_allclose(parts.dispersion + parts.underprediction + parts.overprediction, parts.total, **CLOSE)
    assert (parts.underprediction[Q[:, -1] < Y] > 0).all()
    assert (parts.overprediction[Q[:, -1] < Y] == 0).all()


@pytest.mark.parametrize(("fair", "estimator"), [(False, "nrg"), (True, "fair")])
def test_crps_is_that_of_scoringrules(fair, estimator):
    theirs = scoringrules.crps_ensemble(Y, X, estimator=estimator, backend="numpy")
    np.testing.assert_allclose(scoring.crps_samples(Y, X, fair=fair), theirs, **CLOSE)


def test_log_scores_are_those_of_scoringrules():
    np.testing.assert_allclose(
        scoring.log_score_samples(Y[:50], X[:50]), scoringrules.logs_ensemble(Y[:50], X[:50], backend="numpy"), **CLOSE
    )
    mean, size = np.linspace(1, 90, 400), np.linspace(0.5, 20, 400)
    y = RNG.poisson(mean).astype(float)
    np.testing.assert_allclose(
        scoring.log_score_negative_binomial(y, mean, size), -stats.nbinom.logpmf(y, size, size / (size + mean)), **CLOSE
    )
    np.testing.assert_allclose(scoring.log_score_poisson(y, mean), scoringrules.logs_poisson(y, mean), **CLOSE)
    np.testing.assert_allclose(scoring.log_score_negative_binomial(y, mean, 1e9), scoring.log_score_poisson(y, mean), rtol=1e-5)


def test_brier_and_ranked_probability_are_those_of_scoringrules():
    p = RNG.random(300)
    happened = (RNG.random(300) < p).astype(float)
    np.testing.assert_allclose(scoring.brier_score(p, happened), scoringrules.brier_score(happened, p), **CLOSE)
    rows = RNG.dirichlet(np.ones(5), 300)
    which = RNG.integers(0, 5, 300)
    theirs = scoringrules.rps_score(which + 1, rows)
    np.testing.assert_allclose(scoring.ranked_probability_score(rows, which), theirs, **CLOSE)


@given(st.integers(0, 60), st.floats(0.5, 40.0))
def test_wis_falls_when_the_truth_is_forecast(observed, spread):
    away = observed + 3 * spread + spread * (2 * LEVEL - 1)
    at = observed + spread * (2 * LEVEL - 1)
    near, far = scoring.weighted_interval_score([observed] * 2, np.stack([at, away]), LEVEL)
    assert near < far


def test_wis_of_many_levels_tends_to_crps():
    level = (np.arange(2_000) + 0.5) / 2_000
    wis = scoring.weighted_interval_score([1.3], stats.norm.ppf(level)[None], level)
    np.testing.assert_allclose(wis, scoringrules.crps_normal(1.3, 0.0, 1.0), rtol=1e-3)


def test_coverage_counts_ends():
    assert scoring.coverage([1, 2, 3, 4], [1, 1, 4, 0], [1, 3, 9, 3]) == 0.5


def test_pit_of_a_true_forecast_is_uniform():
    y = RNG.poisson(3.0, 4_000)
    draws = RNG.poisson(3.0, (4_000, 500))
    pit = scoring.pit_samples(y, draws, RNG.random(4_000))
    assert stats.kstest(pit, "uniform").pvalue > 0.01
    assert stats.kstest(scoring.pit_samples(y, draws, np.zeros(4_000)), "uniform").pvalue < 1e-6  # without randomising it is not


def test_pit_from_quantiles_is_uniform_for_counts_too():
    y = RNG.poisson(2.0, 4_000)
    q = np.repeat(stats.poisson.ppf(LEVEL, 2.0)[None], 4_000, axis=0)
    pit = scoring.pit_quantiles(y, q, LEVEL, RNG.random(4_000))
    assert abs(pit.mean() - 0.5) < 0.05
    normal = RNG.normal(0, 1, 4_000)
    q = np.repeat(stats.norm.ppf(LEVEL)[None], 4_000, axis=0)
    assert stats.kstest(scoring.pit_quantiles(normal, q, LEVEL, RNG.random(4_000)), "uniform").pvalue > 0.01


@given(st.lists(st.floats(0, 1e6), min_size=23, max_size=23), st.floats(-1e6, 2e6), st.floats(0, 1e5))
def test_distribution_function_rises_and_stays_a_probability(values, x, step):
    q = np.sort(np.array(values))[None].repeat(2, axis=0)
    low, high = scoring.cdf_from_quantiles([x, x + step], q, LEVEL)
    assert 0 <= low <= high <= 1


def test_distribution_function_returns_the_levels():
    q = stats.norm.ppf(LEVEL)
    np.testing.assert_allclose(scoring.cdf_from_quantiles(q, np.repeat(q[None], 23, axis=0), LEVEL), LEVEL, atol=1e-12)
    assert abs(scoring.cdf_from_quantiles([3.0], q[None], LEVEL)[0] - stats.norm.cdf(3.0)) < 0.005
    assert scoring.cdf_from_quantiles([0.0], np.zeros((1, 23)), LEVEL)[0] >= 0.99


def test_reliability_of_true_probabilities_holds():
    p = RNG.random(20_000)
    curve = scoring.reliability(p, RNG.random(20_000) < p)
    assert curve.count.sum() == 20_000
    assert ((curve.low - 0.02 <= curve.forecast) & (curve.forecast <= curve.high + 0.02)).all()
    wrong = scoring.reliability(p, RNG.random(20_000) < p**2)
    assert (wrong.high[4:6] < wrong.forecast[4:6]).all()
