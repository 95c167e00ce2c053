"""National totals of imported cases, week by week: what next week would bring, said before it was seen.

Imported cases of a week are negative binomial with mean force times scale. The force is known from abroad; the scale drifts (fewer
flights, border measures, other tests) as a random walk of its logarithm. Drift, size and how strongly totals follow the force (a power of
it) are not fitted once but averaged over a grid by how
well each has forecast lately (dynamic model averaging: Raftery, Kárný and Ettler 2010, Technometrics 52:52), so that every forecast uses
earlier weeks alone. The filter runs on a grid of scales: exact up to the grid.

The naive baseline knows nothing from abroad: negative binomial about last week's number, its size learned from the past alone.
"""

from __future__ import annotations

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
SIZES: Final = (10.0, 30.0, 200.0)
NAIVE_SIZES: Final = (3.0, 8.0, 20.0, 60.0, 300.0)
FORGETTING: Final = 0.75
"""Weight of the evidence of last week against that of this one: what drifted in March need not drift in June."""
DAMPING: Final = 0.5
"""How much of a week's change of the force goes on in the week after."""
POWERS: Final = (0.0, 0.5, 1.0)
"""How strongly totals follow the force: not, by its square root, fully."""
POINTS: Final = 161
HALF_WIDTH: Final = 8.0
FLOOR: Final = 0.1
"""Added to the naive baseline's mean: after a week without a case another number must stay possible."""
_EXACT: Final = 40
_TABLE: Final = 120


@dataclass(frozen=True)
class TotalForecasts:
    """Forecasts of weekly totals.

    Args:
        quantiles: by `LEVELS`, shape (weeks + 1, 23); NaN for weeks before the first that has a past.
        log_score: minus the log probability of what happened, shape (weeks + 1,); NaN where that is not known.
        probability_below: P(total < observed), shape (weeks + 1,).
        probability_upto: P(total <= observed), shape (weeks + 1,).
    """

    quantiles: Floats
    log_score: Floats
    probability_below: Floats
    probability_upto: Floats


def forecast_totals(observed: Floats, force: Floats) -> TotalForecasts:
    """Forecast each week's total from the weeks before it alone, their force included.

    Args:
        observed: imported cases by week, NaN where unknown, shape (weeks,).
        force: from abroad, in any unit, above 0, shape (weeks,).

    Returns:
        One forecast for each week from the one after the first observed on, and one for the week after the last, shape (weeks + 1, ...).

    >>> force = np.linspace(1.0, 8.0, 20)
    >>> found = forecast_totals(np.round(10 * force), force)
    >>> bool(abs(found.quantiles[-1, 11] - 83) < 10), bool(np.isnan(found.log_score[-1]))
    (True, True)
    """
    relative = force / np.exp(np.mean(np.log(force)))
    powered = [relative**power for power in POWERS]
    grids = np.stack([_grid(observed, f) for f in powered])
    moves = [_transition(grids[0], sd) for sd in DRIFTS]
    start = np.exp(-0.5 * (np.linspace(-HALF_WIDTH, HALF_WIDTH, POINTS) / 3.0) ** 2)
    belief = np.broadcast_to(start / start.sum(), (len(POWERS), len(DRIFTS), len(SIZES), POINTS)).copy()
    weight = np.zeros(belief.shape[:3])
    rows: list[tuple[Floats, float, float, float]] = []
    seen = False
    for week in range(len(observed) + 1):
        prior = np.stack([belief[:, d] @ move for d, move in enumerate(moves)], axis=1)
        actual = float(observed[week]) if week < len(observed) else np.nan
        if seen:
            ahead = np.array([expected_force(f[:week]) for f in powered])
            rows.append(_predict(prior, weight, np.exp(grids) * ahead[:, None], actual))
        else:
            rows.append((np.full(len(LEVELS), np.nan), np.nan, np.nan, np.nan))
        belief = prior
        if np.isfinite(actual):
            means = np.exp(grids) * np.array([f[week] for f in powered])[:, None]
            belief, weight = _update(prior, weight, means, actual)
            seen = True
    quantiles, score, below, upto = zip(*rows, strict=True)
    return TotalForecasts(np.stack(quantiles), np.array(score), np.array(below), np.array(upto))


def expected_force(past: Floats) -> float:
    """The force a week after the last known one: half its last weekly change goes on, at most a doubling or halving.

    >>> round(expected_force(np.array([4.0, 9.0])), 2)
    12.73
    """
    if len(past) < 2:
        return float(past[-1])
    change = float(np.clip(past[-1] / past[-2], 0.5, 2.0))
    return float(past[-1] * change**DAMPING)


def _grid(observed: Floats, force: Floats) -> Floats:
    """Logarithms of the scale about the first week with an observation: nothing later may place it."""
    first = next((i for i, y in enumerate(observed) if np.isfinite(y)), 0)
    middle = np.log(max(float(np.nan_to_num(observed[first])), 0.5) / max(float(force[first]), 1e-12))
    return np.asarray(middle + np.linspace(-HALF_WIDTH, HALF_WIDTH, POINTS))


def _transition(grid: Floats, sd: float) -> Floats:
    steps = np.exp(-0.5 * ((grid[:, None] - grid[None, :]) / sd) ** 2)
    return np.asarray(steps / steps.sum(axis=1, keepdims=True))


def _update(prior: Floats, weight: Floats, means: Floats, observed: float) -> tuple[Floats, Floats]:
    """Beliefs after a week has been seen, and the discounted log evidence of every combination of power, drift and size."""
    log_p = np.stack([-log_score_negative_binomial(observed, means, size) for size in SIZES], axis=1)
    joint = prior * np.exp(log_p)[:, None]
    total = joint.sum(axis=-1)
    after = np.where(total[..., None] > 0, joint / np.maximum(total, 1e-300)[..., None], prior)
    return after, FORGETTING * weight + np.log(np.maximum(total, 1e-300))


def _predict(prior: Floats, weight: Floats, means: Floats, observed: float) -> tuple[Floats, float, float, float]:
    """Quantiles of a week's total; log score and distribution function at what happened."""
    mixture = np.exp(weight - weight.max())
    mixture /= mixture.sum()
    masses = (prior * mixture[..., None]).sum(axis=1).transpose(1, 0, 2).reshape(len(SIZES), -1)
    mean = means.ravel()
    every = masses.sum(axis=0)
    used = every > 1e-6
    masses, mean, every = masses[:, used], mean[used], every[used]
    likely = float(mean[every > 1e-5].max())
    top = max(likely * 6.0 + 20.0, float(np.nan_to_num(observed)) + 2.0)
    counts = np.unique(np.round(np.concatenate([np.arange(_EXACT), np.geomspace(_EXACT, _EXACT + top, _TABLE)])))
    cdf = _mixture_cdf(counts, masses, mean)
    quantiles = np.maximum(np.ceil(np.interp(np.array(LEVELS), cdf, counts) - 1e-9), 0.0)
    if not np.isfinite(observed):
        return quantiles, np.nan, np.nan, np.nan
    density = sum(
        float(mass @ np.exp(-log_score_negative_binomial(observed, mean, size))) for size, mass in zip(SIZES, masses, strict=True)
    )
    around = _mixture_cdf(np.array([observed - 1.0, observed]), masses, mean)
    return quantiles, -float(np.log(max(density, 1e-300))), float(around[0]), float(around[1])


def _mixture_cdf(counts: Floats, masses: Floats, mean: Floats) -> Floats:
    out = np.zeros(len(counts))
    for size, mass in zip(SIZES, masses, strict=True):
        p = size / (size + mean)
        # P(X <= k) of a negative binomial is a regularised incomplete beta function.
        out += np.where(counts[:, None] < 0, 0.0, betainc(size, np.maximum(counts[:, None], 0.0) + 1.0, p[None, :])) @ mass
    return np.asarray(out)


def naive_log_scores(observed: Floats) -> Floats:
    """Log scores of the naive baseline, shape (weeks,); NaN where this or last week is not known."""
    out = np.full(len(observed), np.nan)
    evidence = np.zeros(len(NAIVE_SIZES))
    for week in range(1, len(observed)):
        last, now = observed[week - 1], observed[week]
        if not (np.isfinite(last) and np.isfinite(now)):
            continue
        log_p = np.array([-float(log_score_negative_binomial(now, last + FLOOR, size)) for size in NAIVE_SIZES])
        mixture = np.exp(evidence - evidence.max())
        out[week] = -np.log(max(float(mixture @ np.exp(log_p) / mixture.sum()), 1e-300))
        evidence = FORGETTING * evidence + log_p
    return out
