"""What a release costs: zero-concentrated differential privacy (zCDP), shown as (epsilon, delta).

Costs add up in rho: two releases of rho 0.01 cost 0.02. Only for people is rho turned into epsilon at a delta.

Sources: M. Bun, T. Steinke, "Concentrated differential privacy: simplifications, extensions, and lower bounds", TCC 2016 (definition 1.1,
lemma 1.7 on composition, proposition 1.6 on the Gaussian, proposition 1.9 on groups); C. Canonne, G. Kamath, T. Steinke, "The discrete
Gaussian for differential privacy", NeurIPS 2020 (theorem 4 on the discrete Gaussian, proposition 12 on the conversion).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from oneteam.core.errors import UnknownValueError
from oneteam.privacy.levels import Domain, Level

FINEST_SHARE: Final = 0.75
"""Of rho, for the finest level where there are others; the others share the rest equally. Fixed beforehand, for all data."""

_ORDER_LOW, _ORDER_HIGH, _ORDERS = -6.0, 9.0, 2_000


@dataclass(frozen=True)
class LevelBudget:
    """What one level of a release costs and how much noise that means.

    Args:
        level: the level.
        sensitivity: L2 sensitivity to one privacy unit.
        rho: the level's part of the cost.
        sigma: standard deviation of the discrete Gaussian noise of one trusted curator.
    """

    level: Level
    sensitivity: float
    rho: float
    sigma: float


def gaussian_sigma(sensitivity: float, rho: float) -> float:
    """Standard deviation at which (discrete) Gaussian noise costs rho.

    Source: Canonne, Kamath and Steinke 2020, theorem 4: rho = sensitivity^2 / (2 sigma^2). Rounded up in the last place.

    >>> round(gaussian_sigma(2.0, 0.02), 9)
    10.0
    """
    if not (sensitivity > 0 and rho > 0):
        raise UnknownValueError(f"sensitivity and rho must be positive; they are {sensitivity:g} and {rho:g}")
    return math.nextafter(sensitivity / math.sqrt(2.0 * rho), math.inf)


def gaussian_rho(sensitivity: float, sigma: float) -> float:
    """What (discrete) Gaussian noise costs; the inverse of `gaussian_sigma`.

    >>> round(gaussian_rho(2.0, 10.0), 9)
    0.02
    """
    return 0.5 * (sensitivity / sigma) ** 2


def share_rho(domain: Domain, levels: Sequence[Level], max_keys: int, max_value: int, rho: float) -> tuple[LevelBudget, ...]:
    """Divide a release's cost among its levels by a rule that looks at no data.

    The finest level gets `FINEST_SHARE`, the others the rest in equal parts; a single level, or levels none of which is the finest, share
    equally. The parts add up to no more than rho.

    >>> from oneteam.privacy.levels import Axis, parse_level
    >>> domain = Domain((Axis("zone", ("a", "b", "c"), {}),))
    >>> [round(b.rho, 9) for b in share_rho(domain, [parse_level("zone=code"), parse_level("zone=*")], 1, 1, 0.02)]
    [0.015, 0.005]
    """
    finest = sum(level.is_finest for level in levels)
    budgets = []
    for level in levels:
        if finest in {0, len(levels)}:
            part = rho / len(levels)
        elif level.is_finest:
            part = rho * FINEST_SHARE / finest
        else:
            part = rho * (1.0 - FINEST_SHARE) / (len(levels) - finest)
        bound = domain.sensitivity(level, max_keys, max_value)
        budgets.append(LevelBudget(level, bound, part, gaussian_sigma(bound, part)))
    return tuple(budgets)


def epsilon_of(rho: float, delta: float) -> float:
    """The smallest epsilon such that rho-zCDP implies (epsilon, delta)-differential privacy by Rényi orders.

    Source: Canonne, Kamath and Steinke 2020, proposition 12 with (alpha, alpha rho)-Rényi privacy for all alpha > 1: the infimum of
    alpha rho + log(1 - 1/alpha) + log(1 / (delta alpha)) / (alpha - 1). Every alpha gives a valid bound; a fine grid of orders and a
    refinement around its best find the least one. Tighter than rho + 2 sqrt(rho log(1 / delta)) of Bun and Steinke 2016.

    Args:
        rho: the cost, at least 0.
        delta: between 0 and 1.

    >>> round(epsilon_of(0.02, 1e-7), 4), epsilon_of(0.0, 1e-7)
    (0.9951, 0.0)
    """
    _check_delta(delta)
    if rho <= 0:
        return 0.0
    low, high = _ORDER_LOW, _ORDER_HIGH
    best = math.inf
    for _ in range(4):
        grid = np.linspace(low, high, _ORDERS)
        values = _epsilon_at(grid, rho, delta)
        at = int(values.argmin())
        best = min(best, float(values[at]))
        low, high = float(grid[max(at - 1, 0)]), float(grid[min(at + 1, _ORDERS - 1)])
    return max(0.0, min(best, rho + 2.0 * math.sqrt(rho * math.log(1.0 / delta))))


def _epsilon_at(log10_order: NDArray[np.float64], rho: float, delta: float) -> NDArray[np.float64]:
    """The bound for orders alpha = 1 + 10^x."""
    above = 10.0**log10_order
    alpha = 1.0 + above
    return np.asarray(alpha * rho + np.log(above / alpha) - (math.log(delta) + np.log(alpha)) / above)


def rho_of(epsilon: float, delta: float) -> float:
    """The largest rho whose `epsilon_of` is at most epsilon.

    >>> round(rho_of(1.2, 1e-7), 5)
    0.02847
    """
    _check_delta(delta)
    low, high = 0.0, max(epsilon, 1.0)
    while epsilon_of(high, delta) <= epsilon:
        high *= 2.0
    for _ in range(200):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if epsilon_of(middle, delta) <= epsilon else (low, middle)
        if high - low <= 1e-12 * high:
            break
    return low


def group_rho(rho: float, size: int) -> float:
    """What a release costs a person with several subscriptions: size^2 rho (Bun and Steinke 2016, proposition 1.9).

    >>> group_rho(0.02, 2)
    0.08
    """
    return size * size * rho


def _check_delta(delta: float) -> None:
    if not 0 < delta < 1:
        raise UnknownValueError(f"delta must lie between 0 and 1; it is {delta:g}")
