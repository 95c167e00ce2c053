"""Infected arrivals, posterior over origins, national totals."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import spearmanr

from oneteam.core.errors import UnknownValueError
from oneteam.epidemic.importation.force import Course, by_week, carrying_share, delayed, infections_per_inhabitant
from oneteam.epidemic.importation.posterior import Ascertainment, measure_effect, rank_origins, sample_posterior
from oneteam.epidemic.importation.totals import forecast_totals, naive_log_scores

COURSE = Course()


def test_infections_lead_reports_in_growth():
    rising = np.exp(0.1 * np.arange(60))[:, None] * 100
    found = infections_per_inhabitant(rising, [1e6], COURSE)[-1, 0] * 1e6
    assert found == pytest.approx(rising[-1 - 3, 0] * np.exp(0.1 * COURSE.report_delay_d), rel=0.05)  # the smoothing's middle day
    later = rising.copy()
    later[50:] = 0
    before = infections_per_inhabitant(later, [1e6], COURSE)[:50]
    np.testing.assert_array_equal(before, infections_per_inhabitant(rising, [1e6], COURSE)[:50])


def test_carriers_are_those_infected_too_late_to_be_ill():
    pulse = np.zeros((60, 1))
    pulse[10] = 0.01
    share = carrying_share(pulse, COURSE)[:, 0]
    assert share[9] == 0
    assert share[10] == pytest.approx(0.01, rel=0.01)
    assert (np.diff(share[10:]) <= 0).all()
    np.testing.assert_allclose(share[10:40] / 0.01, COURSE.carrying())
    short = carrying_share(np.full((60, 1), 0.001), COURSE, [1.5])[-1, 0]
    long = carrying_share(np.full((60, 1), 0.001), COURSE, [14.0])[-1, 0]
    lived = carrying_share(np.full((60, 1), 0.001), COURSE)[-1, 0]
    assert short < long < lived
    with pytest.raises(UnknownValueError, match="stay"):
        carrying_share(pulse, COURSE, [0.0])


def test_reports_come_after_arrivals_and_none_is_lost():
    expected = np.zeros((40, 1))
    expected[5] = 10.0
    reported = delayed(expected, COURSE)
    assert reported[:5].sum() == 0
    assert reported.sum() == pytest.approx(10.0)
    assert (np.arange(40) @ reported[:, 0]) / 10 - 5 == pytest.approx(COURSE.found_mean_d - 0.5, abs=0.2)


def test_weeks_end_on_the_last_day():
    days = np.arange("2020-03-01", "2020-03-17", dtype="datetime64[D]")
    ends, sums = by_week(days, np.arange(16.0)[:, None], np.datetime64("2020-03-15"))
    assert ends.astype(str).tolist() == ["2020-03-08", "2020-03-15"]
    assert sums.ravel().tolist() == [sum(range(1, 8)), sum(range(8, 15))]


def simulated(seed: int, weeks: int = 20, origins: int = 12):
    rng = np.random.default_rng(seed)
    infected = rng.gamma(0.5, 4.0, origins) * np.exp(np.cumsum(rng.normal(0, 0.3, (weeks, origins)), axis=0))
    ascertainment = Ascertainment(np.full(origins, 0.05), np.full(origins, 0.5))
    share = np.exp(ascertainment.log_mean + ascertainment.log_sd * rng.normal(size=origins))
    by_origin = 0.4 * infected / share
    observed = rng.negative_binomial(10, 10 / (10 + by_origin.sum(axis=1)))
    return infected, ascertainment, by_origin, observed.astype(float)


def test_the_posterior_covers_the_truth_and_ranks_origins():
    inside, total_inside, rank = [], [], []
    for seed in range(5):
        infected, ascertainment, truth, observed = simulated(seed)
        found = sample_posterior(infected, ascertainment, observed, scale_median=0.5, draws=200, seed=seed)
        assert found.fitted
        totals = found.total_of_origins()
        low, high = np.quantile(totals, [0.025, 0.975], axis=0)
        inside.append(np.mean((low <= truth.sum(axis=0)) & (truth.sum(axis=0) <= high)))
        low, high = np.quantile(totals.sum(axis=1), [0.025, 0.975])
        total_inside.append(low <= truth.sum() <= high)
        rank.append(spearmanr(totals.mean(axis=0), truth.sum(axis=0)).statistic)
    assert np.mean(inside) >= 0.85
    assert np.mean(total_inside) >= 0.75
    assert np.mean(rank) >= 0.8


def test_observations_narrow_the_total_and_draws_repeat():
    infected, ascertainment, _, observed = simulated(3)
    prior = sample_posterior(infected, ascertainment, None, draws=400, seed=1)
    found = sample_posterior(infected, ascertainment, observed, draws=400, seed=1)
    again = sample_posterior(infected, ascertainment, observed, draws=400, seed=1)
    assert not prior.fitted
    np.testing.assert_array_equal(found.expected, again.expected)
    spread = lambda p: np.std(np.log(p.expected.sum(axis=(1, 2))))  # noqa: E731
    assert spread(found) < 0.7 * spread(prior)


def test_a_border_measure_takes_its_share():
    totals = np.array([[1.0, 3.0, 6.0], [2.0, 3.0, 5.0]])
    ranked = rank_origins(totals, ("a", "b", "c"))
    assert [o.origin for o in ranked] == ["c", "b", "a"]
    assert ranked[0].probability_first == 1.0
    assert sum(o.share for o in ranked) == pytest.approx(1.0)
    effect = measure_effect(totals, ("a", "b", "c"), "c", 1.0)
    assert effect.averted == pytest.approx(5.5)
    assert effect.share == pytest.approx(0.55)
    assert measure_effect(totals, ("a", "b", "c"), "c", 0.0).averted == 0.0


def test_totals_are_forecast_from_the_past_alone():
    rng = np.random.default_rng(1)
    force = np.exp(np.cumsum(rng.normal(0, 0.3, 30)))
    observed = rng.poisson(40 * force).astype(float)
    whole = forecast_totals(observed, force)
    changed_y, changed_f = observed.copy(), force.copy()
    changed_y[20:], changed_f[20:] = 9_999, 50.0
    part = forecast_totals(changed_y, changed_f)
    np.testing.assert_array_equal(whole.quantiles[1:21], part.quantiles[1:21])
    assert np.isnan(whole.quantiles[0]).all()
    assert np.isfinite(whole.quantiles[30]).all()


def test_totals_are_calibrated_and_beat_the_naive_baseline_where_the_force_tells():
    scores, naive, inside = [], [], []
    for seed in range(4):
        rng = np.random.default_rng(seed)
        force = np.exp(1.5 * np.sin(np.arange(40) / 4.0))
        observed = rng.negative_binomial(30, 30 / (30 + 60 * force)).astype(float)
        found = forecast_totals(observed, force)
        scores.append(found.log_score[8:40].mean())
        naive.append(naive_log_scores(observed)[8:].mean())
        inside.append(np.mean((observed >= found.quantiles[:-1, 1]) & (observed <= found.quantiles[:-1, 21])))
    assert np.mean(scores) < np.mean(naive) - 0.05
    assert np.mean(inside) >= 0.9


def test_an_unknown_week_is_no_evidence():
    observed = np.array([5.0, np.nan, 8.0, 9.0])
    found = forecast_totals(observed, np.ones(4))
    assert np.isnan(found.log_score[1])
    assert np.isfinite(found.log_score[2])
    assert np.isfinite(found.quantiles[1]).all()
    assert found.quantiles[1, -1] > 5
