"""What a release costs, against independent restatements."""

from __future__ import annotations

import math
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar
from scipy.stats import norm

from oneteam.core.errors import UnknownValueError
from oneteam.privacy.accounting import epsilon_of, gaussian_rho, gaussian_sigma, group_rho, rho_of, share_rho
from oneteam.privacy.levels import Axis, Domain, parse_level
from oneteam.privacy.noise import cost

RHO = st.floats(1e-6, 20)
DELTA = st.floats(1e-12, 1e-3)


@given(RHO, DELTA)
def test_the_conversion_is_the_infimum_over_all_orders(rho: float, delta: float) -> None:
    def bound(log_above: float) -> float:
        alpha = 1 + math.exp(log_above)
        return alpha * rho + math.log1p(-1 / alpha) - (math.log(delta) + math.log(alpha)) / (alpha - 1)

    best = min(minimize_scalar(bound, bounds=(a, a + 5), method="bounded", options={"xatol": 1e-10}).fun for a in range(-12, 18, 2))
    found = epsilon_of(rho, delta)
    assert found == pytest.approx(max(best, 0.0), rel=1e-6, abs=1e-9)
    # Never looser than Bun and Steinke's.
    assert found <= rho + 2 * math.sqrt(rho * math.log(1 / delta)) + 1e-12


@pytest.mark.parametrize(("rho", "delta"), [(0.005, 1e-6), (0.02, 1e-7), (0.1, 1e-5), (1.0, 1e-8)])
def test_it_is_a_valid_bound_for_the_gaussian_and_not_a_wild_one(rho: float, delta: float) -> None:
    """The Gaussian mechanism's exact privacy curve (Balle and Wang 2018, theorem 8) lies below."""
    epsilon, mu = epsilon_of(rho, delta), math.sqrt(2 * rho)
    exact = norm.cdf(mu / 2 - epsilon / mu) - math.exp(epsilon) * norm.cdf(-mu / 2 - epsilon / mu)
    assert delta / 100 < exact <= delta


def test_the_figures_of_the_documents() -> None:
    assert epsilon_of(0.02, 1e-7) == pytest.approx(0.9951, abs=1e-4)
    assert epsilon_of(rho_of(1.2, 1e-7), 1e-7) == pytest.approx(1.2, abs=1e-9)


def test_the_table_in_the_documentation_is_true() -> None:
    text = (Path(__file__).parents[2] / "docs" / "privacy-gate.md").read_text()
    rows = re.findall(r"^\| ([0-9.]+) \| ([0-9.]+) \| ([0-9.]+) \|$", text, re.MULTILINE)
    assert len(rows) == 5
    for rho, epsilon, older in rows:
        assert round(epsilon_of(float(rho), 1e-7), 2) == float(epsilon)
        assert round(float(rho) + 2 * math.sqrt(float(rho) * math.log(1e7)), 2) == float(older)


@given(RHO, DELTA)
def test_there_and_back(rho: float, delta: float) -> None:
    epsilon = epsilon_of(rho, delta)
    if epsilon > 1e-6:
        assert rho_of(epsilon * (1 + 1e-9), delta) == pytest.approx(rho, rel=1e-5)


@given(st.floats(0.1, 1e5), RHO)
def test_sigma_and_rho_belong_together_and_the_library_agrees(sensitivity: float, rho: float) -> None:
    sigma = gaussian_sigma(sensitivity, rho)
    assert gaussian_rho(sensitivity, sigma) == pytest.approx(rho, rel=1e-12)
    assert cost(sigma, sensitivity) == pytest.approx(rho, rel=1e-9)


@given(st.integers(1, 50), st.integers(1, 100), st.floats(1e-4, 2), st.sets(st.sampled_from(["code", "region", "*"]), min_size=1))
def test_levels_never_cost_more_than_was_asked(most: int, value: int, rho: float, grains: set[str]) -> None:
    domain = Domain((Axis("zone", ("a", "b", "c"), {"region": ("n", "n", "s")}),))
    budgets = share_rho(domain, [parse_level(f"zone={grain}") for grain in sorted(grains)], most, value, rho)
    assert math.fsum(budget.rho for budget in budgets) <= rho * (1 + 1e-12)
    assert all(gaussian_rho(b.sensitivity, b.sigma) <= b.rho * (1 + 1e-12) for b in budgets)


def test_several_subscriptions_cost_their_square() -> None:
    assert group_rho(0.02, 3) == pytest.approx(0.18)


def test_more_rho_means_more_epsilon() -> None:
    values = [epsilon_of(rho, 1e-7) for rho in np.geomspace(1e-9, 50, 60)]
    assert values == sorted(values)


@pytest.mark.parametrize("delta", [0.0, 1.0, -1.0, math.nan])
def test_a_delta_that_is_none_is_refused(delta: float) -> None:
    with pytest.raises(UnknownValueError):
        epsilon_of(0.1, delta)


def test_no_noise_for_nothing() -> None:
    with pytest.raises(UnknownValueError):
        gaussian_sigma(0.0, 0.1)
    with pytest.raises(UnknownValueError):
        gaussian_sigma(1.0, 0.0)
