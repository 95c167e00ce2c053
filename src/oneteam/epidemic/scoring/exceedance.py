"""Will a threshold be exceeded, and would an alert have come in time?

An *onset* is a week at or above its place's threshold after a week below it. A forecast *alerts* for a week when it gives it at least a set
probability of reaching the threshold. The lead time of an onset is how many weeks ahead the alert stood without interruption up to the
shortest horizon; an alert for a week that stays below the threshold is false.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from oneteam.core.errors import UnknownValueError
from oneteam.epidemic.hub.forecasts import QuantileForecasts
from oneteam.epidemic.hub.levels import LEVELS
from oneteam.epidemic.hub.locations import Locations
from oneteam.epidemic.hub.target_data import Snapshot
from oneteam.stats.scoring import cdf_from_quantiles

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

ALERT_PROBABILITY: Final = 0.5
MIN_PAST_WEEKS: Final = 10
"""Fewer weeks before the first forecast say too little of a place's quantiles: then all weeks count."""
LOWEST_THRESHOLD: Final = 1.0
PER: Final = 100_000.0


@dataclass(frozen=True)
class Alerts:
    """How alerts would have done.

    Args:
        onsets: weeks in which a threshold was reached, and for which there were forecasts.
        alerted: onsets with an alert at the shortest horizon or before.
        mean_lead_weeks: mean lead time of alerted onsets; 0 is an alert in the week itself; NaN for none.
        lead_weeks: alerted onsets by lead time.
        alerts: alerts given, by place, week and horizon.
        false_alarms: those for weeks that stayed below.
        false_alarm_ratio: their share; NaN without any alert.
    """

    onsets: int
    alerted: int
    mean_lead_weeks: float
    lead_weeks: Mapping[int, int]
    alerts: int
    false_alarms: int
    false_alarm_ratio: float


def exceedance_probability(forecasts: QuantileForecasts, threshold: npt.ArrayLike) -> Floats:
    """P(count >= threshold) by task; counts are whole numbers, shape (tasks,)."""
    edge = np.ceil(np.asarray(threshold, np.float64)) - 0.5
    return np.asarray(1.0 - cdf_from_quantiles(edge, forecasts.values, np.array(LEVELS)))


def thresholds(rule: str, truth: Snapshot, first_reference: np.datetime64, places: Locations | None) -> tuple[dict[str, float], str]:
    """A threshold for each place, and the rule in words.

    Args:
        rule: ``q0.75`` for a quantile of the place's own past, or a number of counts per 100,000 inhabitants.
        truth: what happened.
        first_reference: the past ends before this date.
        places: with population, for rates.

    Raises:
        UnknownValueError: neither a quantile nor a number, or a rate without population.
    """
    try:
        level = float(rule.removeprefix("q"))
    except ValueError:
        level = -1.0
    if rule.startswith("q"):
        if not 0 < level < 1:
            raise UnknownValueError(f"--threshold {rule}: must be like q0.75, with a level above 0 and below 1")
        past = truth.weeks < first_reference
        past = past if past.sum() >= MIN_PAST_WEEKS else np.ones(len(truth.weeks), bool)
        words = f"the {level:g} quantile of the place's own weeks " + ("before the first forecast" if not past.all() else "in the truth")
        with np.errstate(all="ignore"):
            known = {c: truth.values[past, i][np.isfinite(truth.values[past, i])] for i, c in enumerate(truth.locations)}
        return {c: max(LOWEST_THRESHOLD, float(np.quantile(v, level))) for c, v in known.items() if len(v)}, words
    if not 0 < level < np.inf:
        raise UnknownValueError(f"--threshold {rule}: must be a quantile such as q0.75, or counts per 100,000 inhabitants such as 5")
    if places is None:
        raise UnknownValueError(f"--threshold {rule}: a rate needs --locations with the population of each place")
    rates = {c: max(LOWEST_THRESHOLD, level * p / PER) for c, p in zip(places.codes, places.population.tolist(), strict=True) if p > 0}
    return rates, f"{level:g} per 100,000 inhabitants and week"


def alerts(
    forecasts: QuantileForecasts, observed: Floats, limit: Floats, probability: Floats, truth: Snapshot, *, at: float = ALERT_PROBABILITY
) -> Alerts:
    """Lead time and false alarms of alerts.

    Args:
        forecasts: the tasks.
        observed: what happened, shape (tasks,).
        limit: threshold of each task, NaN for none, shape (tasks,).
        probability: of reaching it, shape (tasks,).
        truth: for the week before each onset.
        at: probability from which a forecast alerts.
    """
    used = np.isfinite(limit)
    raised = used & (probability >= at)
    reached = observed >= limit
    place = {code: i for i, code in enumerate(truth.locations)}
    by_week: dict[tuple[str, np.datetime64], dict[int, bool]] = {}
    for row in np.flatnonzero(used & reached):
        code, end = forecasts.location[row], forecasts.target_end_date[row]
        week = int((end - truth.weeks[0]).astype(np.int64)) // 7
        if week >= 1 and code in place and truth.values[week - 1, place[code]] < limit[row]:
            by_week.setdefault((code, end), {})[int(forecasts.horizon[row])] = bool(raised[row])
    leads = [_lead(horizons) for horizons in by_week.values()]
    alerted = [lead for lead in leads if lead is not None]
    given, false = int(raised.sum()), int((raised & ~reached).sum())
    return Alerts(
        onsets=len(leads),
        alerted=len(alerted),
        mean_lead_weeks=float(np.mean(alerted)) if alerted else float("nan"),
        lead_weeks={lead: alerted.count(lead) for lead in sorted(set(alerted))},
        alerts=given,
        false_alarms=false,
        false_alarm_ratio=false / given if given else float("nan"),
    )


def _lead(raised: Mapping[int, bool]) -> int | None:
    """The longest horizon up to which every forecast alerted, None when the shortest did not."""
    lead: int | None = None
    for horizon in sorted(raised):
        if not raised[horizon]:
            break
        lead = horizon
    return lead
