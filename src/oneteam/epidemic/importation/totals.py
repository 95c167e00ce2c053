"""National totals of imported cases, week by week: what next week would bring, said before it was seen.

Next week's total is negative binomial. Its mean is this week's total times the change of the force from abroad, to a power, times the
total's own last change, to a power: whatever else acts (fewer flights, border measures, other tests) is in this week's total already. The
powers and the size are not fitted once but averaged over a grid by how well each has forecast lately, so that every forecast uses earlier
weeks alone (dynamic model averaging with forgetting: Raftery, Kárný and Ettler 2010, "Online prediction under model uncertainty via dynamic
model averaging", Technometrics 52:52).

The naive baseline knows nothing from abroad: negative binomial about last week's number, its size learned in the same way.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import Final

import numpy as np
import numpy.typing as npt
from scipy.special import betainc

from oneteam.epidemic.hub.levels import LEVELS
from oneteam.stats.scoring import log_score_negative_binomial

Floats = npt.NDArray[np.float64]

POWERS: Final = (0.0, 0.5, 1.0)
"""How strongly totals follow the force: not, by its square root, fully."""
MOMENTA: Final = (0.0, 0.3)
"""How strongly the total's own last change goes on."""
SIZES: Final = (3.0, 8.0, 20.0, 60.0, 300.0)
"""Of the negative binomial: variance = mean + mean² / size."""
FORGETTING: Final = 0.75
"""Weight of the evidence of last week against that of this one: what held in March need not hold in June."""
DAMPING: Final = 0.5
"""How much of a week's change of the force goes on in the week after."""
FLOOR: Final = 0.1
"""Added to this week's total: after a week without a case another number must stay possible."""
MAX_CHANGE: Final = 3.0
_EXACT: Final = 40
_TABLE: Final = 200


@dataclass(frozen=True)
class TotalForecasts:
    """Forecasts of weekly totals: one for each week, and one for the week after the last.

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


def forecast_totals(
    observed: Floats, force: Floats, *, powers: Sequence[float] = POWERS, momenta: Sequence[float] = MOMENTA
) -> TotalForecasts:
    """Forecast each week's total from the weeks before it alone, their force included.

    Args:
        observed: imported cases by week, NaN where unknown, shape (weeks,).
        force: from abroad, in any unit, above 0, shape (weeks,).
        powers: of the change of the force.
        momenta: powers of the total's own last change.

    >>> force = np.linspace(1.0, 8.0, 20)
    >>> found = forecast_totals(np.round(10 * force), force)
    >>> bool(abs(found.quantiles[-1, 11] - 82) < 8), bool(np.isnan(found.log_score[-1]))
    (True, True)
    """
    experts = np.array(list(product(powers, momenta, SIZES)))
    evidence = np.zeros(len(experts))
    weeks = len(observed)
    quantiles = np.full((weeks + 1, len(LEVELS)), np.nan)
    score, below, upto = (np.full(weeks + 1, np.nan) for _ in range(3))
    for week in range(1, weeks + 1):
        known = np.flatnonzero(np.isfinite(observed[:week]))
        if not len(known):
            continue
        last = int(known[-1])
        ratio = expected_force(force[:week]) / float(force[last])
        own = _own_change(observed, last)
        mean = (observed[last] + FLOOR) * ratio ** experts[:, 0] * own ** experts[:, 1]
        mixture = np.exp(evidence - evidence.max())
        mixture /= mixture.sum()
        quantiles[week] = _quantiles(mixture, mean, experts[:, 2])
        if week == weeks or not np.isfinite(observed[week]):
            continue
        now = float(observed[week])
        log_p = -log_score_negative_binomial(now, mean, experts[:, 2])
        score[week] = -float(np.log(max(float(mixture @ np.exp(log_p)), 1e-300)))
        below[week], upto[week] = _mixture_cdf(np.array([now - 1.0, now]), mixture, mean, experts[:, 2])
        evidence = FORGETTING * evidence + log_p
    return TotalForecasts(quantiles, score, below, upto)


def naive_log_scores(observed: Floats) -> Floats:
    """Log scores of the naive baseline, shape (weeks,); NaN where this week or the past is not known."""
    return forecast_totals(observed, np.ones(len(observed)), powers=(0.0,), momenta=(0.0,)).log_score[:-1]


def expected_force(past: Floats) -> float:
    """The force a week after the last known one: half its last weekly change goes on, at most a doubling or halving.

    >>> round(expected_force(np.array([4.0, 6.25])), 4)
    7.8125
    """
    if len(past) < 2:
        return float(past[-1])
    change = float(np.clip(past[-1] / past[-2], 0.5, 2.0))
    return float(past[-1] * change**DAMPING)


def _own_change(observed: Floats, last: int) -> float:
    """The total's last weekly change, 1 where the week before is not known."""
    if last < 1 or not np.isfinite(observed[last - 1]):
        return 1.0
    return float(np.clip((observed[last] + 1.0) / (observed[last - 1] + 1.0), 1 / MAX_CHANGE, MAX_CHANGE))


def _quantiles(mixture: Floats, mean: Floats, size: Floats) -> Floats:
    used = mixture > 1e-6
    top = float(mean[used].max()) * (1.0 + 8.0 / np.sqrt(float(size[used].min()))) + 30.0
    counts = np.unique(np.round(np.concatenate([np.arange(_EXACT), np.geomspace(_EXACT, _EXACT + top, _TABLE)])))
    cdf = _mixture_cdf(counts, mixture, mean, size)
    return np.asarray(np.maximum(np.ceil(np.interp(np.array(LEVELS), cdf, counts) - 1e-9), 0.0))


def _mixture_cdf(counts: Floats, mixture: Floats, mean: Floats, size: Floats) -> Floats:
    """P(total <= count): that of a negative binomial is a regularised incomplete beta function."""
    at = np.maximum(counts[:, None], 0.0) + 1.0
    return np.asarray(np.where(counts[:, None] < 0, 0.0, betainc(size, at, size / (size + mean))) @ mixture)
