import numpy as np
import pytest
from scipy.stats import norm

from oneteam.epidemic.forecasting.combine import EMERGING, Past, learn_combination
from oneteam.epidemic.hub.levels import LEVELS

NORMAL = norm.ppf(LEVELS)


def past(weeks: int, spread: float, *, seed: int = 0, tasks: int = 60, bias: float = 0.0) -> list[Past]:
    """Two members about the same centre, the second off by a bias; outcomes of spread one."""
    random = np.random.default_rng(seed)
    found = []
    for week in range(weeks):
        centre = random.uniform(50, 90, tasks)
        quantiles = centre[:, None] + spread * NORMAL
        outcome = centre + random.normal(size=tasks)
        found.append(Past(float(weeks - week), {"a": quantiles, "b": quantiles + bias}, outcome, np.ones(tasks), np.arange(tasks) % 2))
    return found


def test_cold_start_is_the_prior():
    found = learn_combination({"a": 3.0, "b": 1.0}, [])
    assert found.weights == {"a": 0.75, "b": 0.25}
    assert (found.stretch == 1.0).all()


@pytest.mark.parametrize("spread", [0.75, 1.4])
def test_the_spread_moves_towards_coverage(spread):
    found = learn_combination({"a": 1.0, "b": 1.0}, past(30, spread))
    middle, outer = found.stretch[[6, 1]]
    assert abs(np.log(middle * spread)) < abs(np.log(spread)) * 0.7
    assert abs(np.log(outer * spread)) < abs(np.log(spread)) * 0.7


def test_a_calibrated_past_changes_little():
    assert np.abs(learn_combination({"a": 1.0, "b": 1.0}, past(30, 1.0, tasks=400)).stretch - 1.0).max() < 0.05


def test_the_better_member_gains_weight():
    found = learn_combination({"a": 1.0, "b": 1.0}, past(20, 1.0, bias=3.0))
    assert found.weights["a"] > 0.6
    assert sum(found.weights.values()) == pytest.approx(1.0)


def test_a_member_without_weight_stays_without():
    assert learn_combination({"a": 1.0, "b": 0.0}, past(20, 1.0)).weights["b"] == 0.0


def test_quantiles_ascend_and_are_not_negative():
    found = learn_combination({"a": 1.0, "b": 1.0}, past(30, 0.5))
    values = found.apply({"a": np.sort(np.random.default_rng(0).exponential(2, (50, 23)), axis=1)}, np.zeros(50, int))
    assert (values >= 0).all()
    assert (np.diff(values, axis=1) >= 0).all()


def test_on_logarithms_a_member_far_above_does_not_decide_alone():
    low, high = np.full((1, 23), 9.0), np.full((1, 23), 999.0)
    plain = learn_combination({"a": 1.0, "b": 1.0}, []).apply({"a": low, "b": high}, np.zeros(1, int))
    logarithmic = learn_combination({"a": 1.0, "b": 1.0}, [], EMERGING).apply({"a": low, "b": high}, np.zeros(1, int))
    assert plain[0, 11] == pytest.approx(504.0)
    assert logarithmic[0, 11] == pytest.approx(99.0)  # the geometric mean of 10 and 1,000, less 1


@pytest.mark.parametrize("spread", [0.75, 1.4])
def test_on_logarithms_the_spread_moves_towards_coverage(spread):
    raised = [
        Past(p.age_weeks, {m: np.expm1(q / 12) for m, q in p.members.items()}, np.expm1(p.outcome / 12), p.size * 50, p.horizon)
        for p in past(30, spread)
    ]
    found, straight = learn_combination({"a": 1.0, "b": 1.0}, raised, EMERGING), learn_combination({"a": 1.0, "b": 1.0}, past(30, spread))
    assert abs(np.log(found.stretch[6] * spread)) < abs(np.log(spread)) * 0.8
    # A shorter memory believes its past less.
    assert abs(np.log(found.stretch[6])) < abs(np.log(straight.stretch[6]))
