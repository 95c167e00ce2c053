"""National totals of imported cases, week by week: what next week would bring, said before it was seen.

Imported cases of a week are negative binomial with mean force times scale. The force is known from abroad; the scale drifts (fewer
flights, border measures, other tests) as a random walk of its logarithm. Drift and size are not fitted once but averaged over a grid by how
well each has forecast lately (dynamic model averaging: Raftery, Kárný and Ettler 2010, Technometrics 52:52), so that every forecast uses
earlier weeks alone. The filter runs on a grid of scales: exact up to the grid.

The naive baseline knows nothing from abroad: negative binomial about last week's number, its size learned from the past alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
from scipy.special import betainc

from oneteam.epidemic.hub.levels import LEVELS
from oneteam.stats.scoring import log_score_negative_binomial

Floats = npt.NDArray[np.float64]

DRIFTS: Final = (0.03, 0.08, 0.16, 0.32, 0.8)
"""Standard deviations of the weekly change of the logarithm of the scale."""
SIZES: Final = (3.0, 8.0, 20.0, 60.0, 300.0)
FORGETTING: Final = 0.75
"""Weight of the evidence of last week against that of this one: what drifted in March need not drift in June."""
DAMPING: Final = 0.5
"""How much of a week's change of the force goes on in the week after."""
POINTS: Final = 241
HALF_WIDTH: Final = 7.0
FLOOR: Final = 0.1
"""Added to the naive baseline's mean: after a week without a case another number must stay possible."""
_EXACT: Final = 60
_TABLE: Final = 240


@dataclass(frozen=True)
class TotalForecasts:
    """Forecasts of weekly totals.

    Args:
        quantiles: by `LEVELS`, shape (weeks, 23); NaN for weeks before the first that has a past.
        log_score: minus the log probability of what happened, shape (weeks,); NaN where that is not known.
        probability_below: P(total < observed), shape (weeks,).
        probability_upto: P(total <= observed), shape (weeks,).
    """

    quantiles: Floats
    log_score: Floats
    probability_below: Floats
    probability_upto: Floats


def forecast_totals(observed: Floats, force: Floats, *, horizon: int = 1) -> TotalForecasts:
    """Forecast each week's total from the weeks that end ``horizon`` weeks before it or earlier, the force of those weeks included.

    Args:
        observed: imported cases by week, NaN where unknown, shape (weeks,).
        force: from abroad, in any unit, above 0, shape (weeks,).
        horizon: weeks ahead.

    >>> force = np.linspace(1.0, 8.0, 20)
    >>> found = forecast_totals(np.round(10 * force), force)
    >>> bool(abs(found.quantiles[-1, 11] - 80) < 10)
    True
    """
    grid, start = _grid(observed, force)
    drift = [_transition(grid, sd) for sd in DRIFTS]
    belief = [[start.copy() for _ in SIZES] for _ in DRIFTS]
    weight = np.zeros((len(DRIFTS), len(SIZES)))
    weeks = len(observed)
    rows: list[tuple[Floats, float, float, float]] = []
    states: list[tuple[list[list[Floats]], Floats]] = []
    seen = False
    for week in range(weeks):
        moved = [[drift[d].T @ belief[d][s] for s in range(len(SIZES))] for d in range(len(DRIFTS))]
        states.append((belief, weight.copy()))
        if seen and week >= horizon:
            ahead = expected_force(force[: week - horizon + 1], horizon)
            rows.append(_predict(states[week - horizon + 1], drift, grid, ahead, observed[week], horizon))
        else:
            rows.append((np.full(len(LEVELS), np.nan), np.nan, np.nan, np.nan))
        belief, weight = _update(moved, weight, grid, force[week], observed[week])
        seen = seen or bool(np.isfinite(observed[week]))
    quantiles, score, below, upto = zip(*rows, strict=True)
    return TotalForecasts(np.stack(quantiles), np.array(score), np.array(below), np.array(upto))


def expected_force(past: Floats, horizon: int) -> float:
    """The force some weeks after the last known one: its last weekly change goes on, damped and at most a doubling or halving.

    >>> expected_force(np.array([4.0, 9.0]), 1) > 9.0
    True
    """
    if len(past) < 2:
        return float(past[-1])
    change = float(np.clip(past[-1] / past[-2], 0.5, 2.0))
    return float(past[-1]) * change ** sum(DAMPING**step for step in range(1, horizon + 1))


def _grid(observed: Floats, force: Floats) -> tuple[Floats, Floats]:
    """Logarithms of the scale about the first week with cases, and a wide belief before any week."""
    first = next((i for i, y in enumerate(observed) if np.isfinite(y) and y > 0), 0)
    middle = np.log(max(float(np.nan_to_num(observed[first])), 0.5) / max(float(force[first]), 1e-12))
    grid = middle + np.linspace(-HALF_WIDTH, HALF_WIDTH, POINTS)
    belief = np.exp(-0.5 * ((grid - middle) / 3.0) ** 2)
    return grid, belief / belief.sum()


def _transition(grid: Floats, sd: float) -> Floats:
    steps = np.exp(-0.5 * ((grid[:, None] - grid[None, :]) / sd) ** 2)
    return np.asarray(steps / steps.sum(axis=1, keepdims=True))


def _update(moved: list[list[Floats]], weight: Floats, grid: Floats, force: float, observed: float) -> tuple[list[list[Floats]], Floats]:
    """Beliefs after a week has been seen, and the log evidence of every pair of drift and size."""
    if not np.isfinite(observed):
        return moved, weight
    after: list[list[Floats]] = []
    evidence = FORGETTING * weight
    likelihood = [np.exp(-log_score_negative_binomial(observed, np.exp(grid) * force, size)) for size in SIZES]
    for d, row in enumerate(moved):
        after.append([])
        for s, prior in enumerate(row):
            joint = prior * likelihood[s]
            total = float(joint.sum())
            evidence[d, s] += np.log(max(total, 1e-300))
            after[d].append(joint / total if total > 0 else prior)
    return after, evidence


def _predict(
    state: tuple[list[list[Floats]], Floats], drift: Sequence[Floats], grid: Floats, force: float, observed: float, horizon: int
) -> tuple[Floats, float, float, float]:
    """Quantiles of a week's total; log score and distribution function at what happened."""
    belief, weight = state
    mixture = np.exp(weight - weight.max())
    mixture /= mixture.sum()
    mean = np.exp(grid) * force
    masses = np.zeros((len(SIZES), len(grid)))
    for d, row in enumerate(belief):
        for s, each in enumerate(row):
            ahead = each
            for _ in range(horizon):
                ahead = drift[d].T @ ahead
            masses[s] += mixture[d, s] * ahead
    every = masses.sum(axis=0)
    likely = mean[every > 1e-6 * every.max()]
    top = max(float(likely.max()) * 6.0 + 20.0, float(np.nan_to_num(observed)) + 2.0)
    counts = np.unique(np.round(np.concatenate([np.arange(_EXACT), np.geomspace(_EXACT, _EXACT + top, _TABLE)])))
    cdf = _mixture_cdf(counts, masses, mean)
    quantiles = np.maximum(np.ceil(np.interp(np.array(LEVELS), cdf, counts) - 1e-9), 0.0)
    if not np.isfinite(observed):
        return quantiles, np.nan, np.nan, np.nan
    log_p = [-log_score_negative_binomial(observed, mean, size) for size in SIZES]
    density = sum(float(masses[s] @ np.exp(log_p[s])) for s in range(len(SIZES)))
    around = _mixture_cdf(np.array([observed - 1.0, observed]), masses, mean)
    return quantiles, -float(np.log(max(density, 1e-300))), float(around[0]), float(around[1])


def _mixture_cdf(counts: Floats, masses: Floats, mean: Floats) -> Floats:
    out = np.zeros(len(counts))
    used = masses.sum(axis=0) > 1e-7
    for size, mass in zip(SIZES, masses[:, used], strict=True):
        p = size / (size + mean[used])
        # P(X <= k) of a negative binomial is a regularised incomplete beta function.
        out += np.where(counts[:, None] < 0, 0.0, betainc(size, np.maximum(counts[:, None], 0.0) + 1.0, p[None, :])) @ mass
    return np.asarray(out)


def naive_log_scores(observed: Floats) -> Floats:
    """Log scores of the naive baseline, shape (weeks,); NaN where this or last week is not known."""
    out = np.full(len(observed), np.nan)
    evidence = np.zeros(len(SIZES))
    for week in range(1, len(observed)):
        last, now = observed[week - 1], observed[week]
        if not (np.isfinite(last) and np.isfinite(now)):
            continue
        log_p = np.array([-float(log_score_negative_binomial(now, last + FLOOR, size)) for size in SIZES])
        mixture = np.exp(evidence - evidence.max())
        out[week] = -np.log(max(float(mixture @ np.exp(log_p) / mixture.sum()), 1e-300))
        evidence = FORGETTING * evidence + log_p
    return out
