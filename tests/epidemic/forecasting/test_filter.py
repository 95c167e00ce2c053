import numpy as np
import pytest

from oneteam.epidemic.forecasting.filter import EMERGING, PLAIN, FilterSettings, filter_paths, filter_quantiles, run_filter, tuned_filter

POPULATION = np.array([2e6, 1e6, 5e5, 8e5])


def epidemic(weeks: int = 50, *, seed: int = 0, ascertained: float = 0.8) -> tuple[np.ndarray, np.ndarray]:
    """Reports of a renewal process whose transmission walks; reports and effective numbers, shape (weeks, places)."""
    random = np.random.default_rng(seed)
    new, susceptible, log_r = np.full(4, 200.0), np.full(4, 0.95), np.full(4, 0.1)
    reports, effective = [], []
    for _ in range(weeks):
        reports.append(random.poisson(new * np.exp(0.08 * random.normal(size=4))))
        log_r = 0.9 * log_r + random.normal(0, 0.15) + random.normal(0, 0.1, 4)
        rates = new / POPULATION
        others = (rates.sum() - rates) / 3
        new = np.exp(log_r) * susceptible * POPULATION * (0.8 * rates + 0.2 * others)
        effective.append(np.exp(log_r) * susceptible)
        susceptible = np.maximum(susceptible - new / (POPULATION * ascertained), 0.02)
    return np.array(reports, float), np.array(effective)


def test_the_reproduction_number_is_followed():
    reports, effective = epidemic()
    found = run_filter(reports, POPULATION, FilterSettings(walk=0.2, report_cv=0.08), 1)
    mean, low, high = found.reproduction
    # The number that turned week t into t + 1 is known after week t + 1.
    truth, mean, low, high = effective[10:-1], mean[11:], low[11:], high[11:]
    assert np.corrcoef(np.log(truth).ravel(), np.log(mean).ravel())[0, 1] > 0.7
    assert ((truth >= low * 0.97) & (truth <= high * 1.03)).mean() > 0.8


def test_forecasts_cover():
    inside, count = 0, 0
    for seed in range(8):
        reports, _ = epidemic(60, seed=seed)
        for end in (40, 50):
            found = filter_quantiles(tuned_filter(reports[:end], POPULATION, seed, members=80), POPULATION, 3, seed)
            outcome = reports[end : end + 3].T
            inside += ((outcome >= found[:, :, 1]) & (outcome <= found[:, :, 21])).sum()
            count += outcome.size
    assert 0.85 < inside / count <= 1.0


def test_susceptible_shares_stay_shares():
    reports, _ = epidemic()
    found = run_filter(reports, POPULATION, FilterSettings(members=40), 1)
    assert (found.state[2] <= 1.0).all()
    assert (found.state[2] >= 0.02 - 1e-9).all()
    assert np.isfinite(filter_paths(found, POPULATION, 4, 1)).all()


def test_depletion_ends_an_epidemic():
    """Once most people are immune, forecasts fall though transmission was high."""
    small = np.array([20_000.0, 20_000.0])
    weeks, new, susceptible = [], np.full(2, 50.0), np.ones(2)
    for _ in range(14):
        weeks.append(new)
        susceptible = susceptible - new / (small * 0.8)
        new = 2.0 * susceptible * new
    reports = np.array(weeks)
    assert (reports.argmax(axis=0) < 12).all()
    at_peak = int(reports[:, 0].argmax())
    settings = FilterSettings(walk=0.1, ascertained=0.8, same_week=1.0, damping=0.8)
    found = filter_quantiles(run_filter(reports[: at_peak + 1], small, settings, 1), small, 4, 1)
    assert (found[:, 3, 11] < reports[at_peak]).all()


def test_gaps_and_zeros_are_survived():
    reports, _ = epidemic()
    reports[20:24, 1] = np.nan
    reports[:, 2] = 0.0
    found = filter_quantiles(tuned_filter(reports, POPULATION, 1, members=40), POPULATION, 2, 1)
    assert np.isfinite(found).all()
    assert (found[2, :, 11] < 0.2 * found[0, :, 11]).all()


@pytest.mark.parametrize("taper", [0.0, 0.3])
def test_places_adjust_each_other_only_by_the_taper(taper):
    reports, _ = epidemic()
    other = reports.copy()
    other[-1, 0] *= 3.0
    settings = FilterSettings(taper=taper, outside=0.0, members=60)
    first, second = (run_filter(r, POPULATION, settings, 1).state[:, 3] for r in (reports, other))
    assert np.array_equal(first, second) == (taper == 0.0)


def test_a_named_break_is_not_read_as_growth():
    reports, _ = epidemic(44, seed=3)
    broken = reports.copy()
    broken[-1] *= 3.0
    jumps = np.zeros(len(reports), bool)
    jumps[-1] = True
    settings = FilterSettings(members=150)
    told, untold = (run_filter(broken, POPULATION, settings, 1, jumps=j).state[3].mean() for j in (jumps, None))
    before = run_filter(reports, POPULATION, settings, 1).state[3].mean()
    assert abs(told - before) < 0.5 * abs(untold - before)


@pytest.mark.parametrize(("weeks", "seed"), [(30, 5), (30, 6), (60, 0)])
@pytest.mark.parametrize("settings", [PLAIN, EMERGING])
def test_a_place_without_any_case_beside_an_epidemic_gets_next_to_none(weeks, seed, settings):
    reports, _ = epidemic(weeks, seed=seed)
    assert reports[-8:, [0, 1, 3]].min() > 50
    reports[:, 2] = 0.0
    found = filter_quantiles(tuned_filter(reports, POPULATION, 1, settings=settings), POPULATION, 4, 1)
    assert (found[2, :, 11] == 0.0).all()
    assert (found[2, :, 21] <= 3.0).all()
    assert (found[[0, 1, 3], :, 11] > 10.0).all()


def test_a_country_without_any_case_keeps_a_small_upper_tail():
    found = filter_quantiles(tuned_filter(np.zeros((40, 4)), POPULATION, 1, settings=EMERGING), POPULATION, 4, 1)
    assert (found[:, :, 11] == 0.0).all()
    assert (found[:, :, 22] >= 1.0).all()
    assert (found[:, :, 22] <= 5.0).all()


def test_a_place_that_an_epidemic_has_just_come_near_is_not_ruled_out():
    """Zeros say little where little was to be expected: the next place is forecast with a wide upper tail."""
    reports = np.zeros((12, 4))
    reports[-3:, 0] = [20.0, 60.0, 180.0]
    found = filter_quantiles(tuned_filter(reports, POPULATION, 1, settings=EMERGING), POPULATION, 4, 1)
    assert found[1, 3, 20] > 3.0
    state = run_filter(reports, POPULATION, EMERGING, 1)
    assert np.isnan(state.in_vain[0])
    assert (state.in_vain[1:] < 40).all()


def test_silence_is_no_zero():
    reports, _ = epidemic(30)
    reports[:, 2] = np.nan
    assert np.isnan(run_filter(reports, POPULATION, FilterSettings(), 1).in_vain).all()
