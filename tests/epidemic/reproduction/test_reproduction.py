"""Reproduction number, growth, outlook, burden, risk."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from tests.epidemic.flusight import KOREA, needs_korea

from oneteam.core.errors import UnknownValueError
from oneteam.epidemic.reproduction.burden import SEVERITY, band_of, expected_burden
from oneteam.epidemic.reproduction.cori import estimate_rt, infectivity
from oneteam.epidemic.reproduction.growth import estimate_growth, project_cases
from oneteam.epidemic.reproduction.risk import cap_certainty, cap_severity, risk_level
from oneteam.epidemic.reproduction.serial_interval import SERIAL_INTERVALS, SerialInterval

WEIGHTS = SERIAL_INTERVALS["covid19-wild"].weights()


def epidemic(r: float, days: int = 60, seed: int = 1) -> np.ndarray:
    rng = np.random.default_rng(seed)
    cases = np.zeros((days, 1))
    cases[:7] = 200
    for day in range(7, days):
        pressure = r * infectivity(cases[: day + 1], WEIGHTS)[day] / (1 - r * WEIGHTS[0])  # some cases are caused on the same day
        cases[day] = rng.poisson(pressure)
    return cases


@pytest.mark.parametrize(("window", "prior"), [(7, (1.0, 5.0)), (1, (1.0, 5.0)), (14, (3.0, 1.0))])
def test_estimates_are_those_of_epyestim(window, prior):
    pd = pytest.importorskip("pandas")
    estimate = pytest.importorskip("epyestim.estimate_r", reason="epyestim is not installed")
    from epyestim.distributions import discretise_gamma

    cases = epidemic(1.2)
    series = pd.Series(cases[:, 0], index=pd.date_range("2020-03-01", periods=len(cases)))
    serial = SerialInterval(4.7, 2.9, "")
    theirs_weights = discretise_gamma((4.7 / 2.9) ** 2, 2.9**2 / 4.7)
    np.testing.assert_allclose(serial.weights(), theirs_weights, atol=1e-12)
    theirs = estimate.estimate_r(series, theirs_weights, *prior, window_size=window)
    ours = estimate_rt(cases, serial.weights(), window_d=window, prior_shape=prior[0], prior_scale=prior[1], guarded=False)
    np.testing.assert_allclose(ours.mean[window - 1 :, 0], theirs.a_posterior * theirs.b_posterior, rtol=1e-9)
    for level in (0.025, 0.5, 0.975):
        want = stats.gamma.ppf(level, theirs.a_posterior, scale=theirs.b_posterior)
        np.testing.assert_allclose(ours.quantile(level)[window - 1 :, 0], want, rtol=1e-9)


def test_estimates_are_those_of_the_papers_formula():
    cases = epidemic(0.9, 40)
    found = estimate_rt(cases, WEIGHTS, window_d=7, guarded=False)
    for day in (10, 25, 39):
        window = range(day - 6, day + 1)
        pressure = sum(sum(WEIGHTS[k] * cases[t - k, 0] for k in range(len(WEIGHTS)) if t >= k) for t in window)
        total = sum(cases[t, 0] for t in window)
        assert found.shape[day, 0] == pytest.approx(1.0 + total)
        assert found.scale[day, 0] == pytest.approx(1 / (1 / 5.0 + pressure))


@pytest.mark.parametrize("r", [0.8, 1.0, 1.5])
def test_the_true_number_is_recovered(r):
    inside = []
    for seed in range(40):
        found = estimate_rt(epidemic(r, 50, seed), WEIGHTS)
        low, high = found.quantile(0.025)[-1, 0], found.quantile(0.975)[-1, 0]
        inside.append(low <= r <= high)
    assert np.mean(inside) >= 0.85


def test_imported_cases_cause_but_are_not_caused():
    cases = epidemic(1.0)
    half = estimate_rt(cases, WEIGHTS, imported=cases / 2)
    whole = estimate_rt(cases, WEIGHTS)
    assert half.mean[-1, 0] == pytest.approx(whole.mean[-1, 0] / 2, rel=0.01)
    with pytest.raises(UnknownValueError, match="imported"):
        estimate_rt(cases, WEIGHTS, imported=cases + 1)


def test_no_estimate_too_early_or_across_a_gap():
    cases = np.concatenate([np.zeros((10, 1)), np.full((40, 1), 5.0)])
    found = estimate_rt(cases, WEIGHTS)
    assert np.isnan(found.mean[:17]).all()
    assert np.isfinite(found.mean[17:]).all()
    cases[30] = np.nan
    found = estimate_rt(cases, WEIGHTS)
    assert np.isnan(found.mean[30:37]).all()
    assert np.isfinite(found.mean[29, 0])
    assert np.isnan(estimate_rt(np.zeros((30, 1)), WEIGHTS).mean).all()
    with pytest.raises(UnknownValueError, match="window of 99"):
        estimate_rt(cases, WEIGHTS, window_d=99)


def test_widening_keeps_the_mean():
    found = estimate_rt(epidemic(1.1), WEIGHTS)
    wide = found.widened([9.0])
    np.testing.assert_allclose(wide.mean[-1], found.mean[-1])
    width = lambda p: p.quantile(0.975)[-1, 0] - p.quantile(0.025)[-1, 0]  # noqa: E731
    assert width(wide) == pytest.approx(3 * width(found), rel=0.05)


@given(st.floats(-0.1, 0.15), st.floats(50, 5_000))
def test_growth_is_recovered_despite_weekdays(rate, level):
    week = np.array([1.1, 1.2, 1.1, 1.0, 1.0, 0.7, 0.6])
    cases = level * np.exp(rate * np.arange(28)) * np.tile(week, 4)
    found = estimate_growth(cases[:, None])
    assert found.rate_per_d[0] == pytest.approx(rate, abs=0.005)


def test_growth_of_noise_covers_none():
    rng = np.random.default_rng(3)
    found = estimate_growth(rng.negative_binomial(5, 5 / 105, (14, 200)).astype(float))
    low, high = found.quantile(0.025), found.quantile(0.975)
    assert 0.88 <= np.mean((low <= 0) & (high >= 0)) <= 1.0
    assert np.median(found.overdispersion) > 5
    assert np.isnan(estimate_growth(np.zeros((14, 1))).rate_per_d[0])
    assert estimate_growth(100 * 2 ** (np.arange(14)[:, None] / 5)).doubling_d[0] == pytest.approx(5.0, rel=1e-3)


def test_outlook_covers_what_comes():
    inside, reach = [], []
    for seed in range(60):
        cases = epidemic(1.15, 57, seed)
        past = cases[:50]
        outlook = project_cases(past, WEIGHTS, estimate_rt(past, WEIGHTS), np.ones(1), np.array([cases[50:].sum()]), draws=300, seed=seed)
        inside.append(outlook.low[0] <= cases[50:].sum() <= outlook.high[0])
        reach.append(outlook.probability[0])
    assert np.mean(inside) >= 0.87
    assert 0.35 < np.mean(reach) < 0.65


def test_burden_by_age_is_marked_as_assumed():
    old = expected_burden(100, {"80+": 1.0}, SEVERITY["covid19-wild"])
    young = expected_burden(100, {"10-19": 3.0}, SEVERITY["covid19-wild"])
    assert old.admissions == pytest.approx(18.4)
    assert young.admissions == pytest.approx(0.0408)
    assert old.assumed
    assert old.low < old.admissions < old.high
    assert "Verity" in old.source
    with pytest.raises(UnknownValueError, match="age band 'old'"):
        band_of("old")
    with pytest.raises(UnknownValueError, match="no share"):
        expected_burden(1, {"0-9": 0.0}, SEVERITY["influenza"])


def test_risk_follows_its_rules():
    nan = float("nan")
    assert [risk_level(rate, 0.5, nan) for rate in (0, 9.9, 10, 49.9, 50, 99, 100, 1e4)] == [1, 1, 2, 2, 3, 3, 4, 4]
    assert risk_level(0, 0.9, nan) == 2
    assert risk_level(10, 0.1, nan) == 1
    assert risk_level(0, 0.5, 0.5) == 3
    assert risk_level(nan, 0.95, nan) == 3
    assert [cap_severity(level) for level in (1, 2, 3, 4)] == ["Minor", "Minor", "Moderate", "Severe"]
    assert [cap_certainty(p) for p in (0.9, 0.5, nan)] == ["Likely", "Possible", "Unknown"]


def test_a_serial_interval_must_be_one():
    for serial in SERIAL_INTERVALS.values():
        weights = serial.weights()
        assert weights.sum() == pytest.approx(1.0)
        assert weights @ np.arange(len(weights)) == pytest.approx(serial.mean_d, abs=0.05)
        assert serial.source
    with pytest.raises(UnknownValueError, match="above 0"):
        SerialInterval(0.0, 1.0, "")


@needs_korea
def test_korea_in_march_2020_falls_below_one():
    from datetime import date

    from oneteam.epidemic.service.rt import RtSettings, situation

    found = situation(KOREA / "cases_daily.csv", RtSettings(until=date(2020, 3, 15), disease="covid19-wild"))
    daegu = next(p for p in found.places if p.location == "22")
    assert daegu.rt_high < 1
    assert daegu.probability_rising < 0.05
    assert daegu.doubling_d < 0
