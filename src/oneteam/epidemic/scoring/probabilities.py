"""Are the probabilities right: of reaching a threshold, of each rate-change category, and of the alerts that follow from them?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from oneteam.epidemic.hub.locations import Locations
from oneteam.epidemic.hub.target_data import Snapshot
from oneteam.epidemic.scoring.exceedance import alerts, exceedance_probability
from oneteam.epidemic.scoring.rate_change import CATEGORIES, Limits, RateChange, rate_change
from oneteam.epidemic.scoring.tasks import ScoredTasks
from oneteam.stats.scoring import Reliability, brier_score, brier_score_categories, ranked_probability_score, reliability


@dataclass(frozen=True)
class ProbabilityScores:
    """How the probabilities of one model did.

    Args:
        body: for a JSON document: ``threshold_exceedance``, ``alerts`` and ``rate_change``, each where it can be told.
        exceedance: reliability of reaching the threshold; None where no place has one.
        categories: reliability by rate-change category; empty where no task has one.
    """

    body: Mapping[str, Any]
    exceedance: Reliability | None
    categories: Mapping[str, Reliability] = field(default_factory=dict)


def probability_scores(
    scored: ScoredTasks,
    limits: Mapping[str, float],
    truth: Snapshot,
    places: Locations | None,
    category_limits: Limits,
    *,
    alert_at: float,
) -> ProbabilityScores:
    """Score the probabilities that follow from quantile forecasts.

    Args:
        scored: forecasts and what happened.
        limits: threshold by place.
        truth: for the week before each onset and each forecast.
        places: with population; without them there are no rate-change categories.
        category_limits: of the season, see `rate_change`.
        alert_at: probability from which a forecast alerts.
    """
    body, exceedance = _exceedance(scored, limits, truth, alert_at)
    if places is None:
        return ProbabilityScores(body, exceedance)
    found = rate_change(scored.forecasts, scored.observed, truth, places, category_limits)
    curves = category_reliability(found) if len(found.rows) else {}
    return ProbabilityScores({**body, "rate_change": _categories(found, curves)}, exceedance, curves)


def _exceedance(
    scored: ScoredTasks, limits: Mapping[str, float], truth: Snapshot, alert_at: float
) -> tuple[dict[str, Any], Reliability | None]:
    limit = np.array([limits.get(code, np.nan) for code in scored.forecasts.location])
    used = np.isfinite(limit)
    if not used.any():
        return {}, None
    probability = np.where(used, exceedance_probability(scored.forecasts, np.where(used, limit, 1.0)), np.nan)
    outcome = (scored.observed >= limit)[used].astype(np.float64)
    curve = reliability(probability[used], outcome)
    brier = float(brier_score(probability[used], outcome).mean())
    share = float(outcome.mean())
    climate = share * (1 - share)
    body = {
        "threshold_exceedance": {
            "tasks": int(used.sum()),
            "observed_share": share,
            "brier": brier,
            "brier_skill_against_climatology": 1 - brier / climate if climate > 0 else float("nan"),
            "reliability": _bins(curve),
        },
        "alerts": asdict(alerts(scored.forecasts, scored.observed, limit, probability, truth, at=alert_at)),
    }
    return body, curve


def category_reliability(found: RateChange) -> dict[str, Reliability]:
    """Reliability of each category's probability: how often it happened when it was forecast with about the same probability.

    >>> sure = RateChange(np.arange(2), np.array([[0, 0, 1.0, 0, 0], [0, 0, 0.9, 0.1, 0]]), np.array([2, 3]))
    >>> category_reliability(sure)["stable"].frequency.tolist()
    [0.5]
    """
    return {name: reliability(found.probabilities[:, i], found.outcome == i) for i, name in enumerate(CATEGORIES)}


def _categories(found: RateChange, curves: Mapping[str, Reliability]) -> dict[str, Any]:
    if not curves:
        return {"tasks": 0}
    return {
        "tasks": len(found.rows),
        "brier": float(brier_score_categories(found.probabilities, found.outcome).mean()),
        "ranked_probability_score": float(ranked_probability_score(found.probabilities, found.outcome).mean()),
        "hit_rate": float((found.probabilities.argmax(axis=1) == found.outcome).mean()),
        "mean_probability": {c: float(p) for c, p in zip(CATEGORIES, found.probabilities.mean(axis=0), strict=True)},
        "observed_share": {c: float(np.mean(found.outcome == i)) for i, c in enumerate(CATEGORIES)},
        "category_brier": {c: float(brier_score(found.probabilities[:, i], found.outcome == i).mean()) for i, c in enumerate(CATEGORIES)},
        "category_reliability": {c: _bins(curve) for c, curve in curves.items()},
    }


def _bins(curve: Reliability) -> list[dict[str, float]]:
    return [
        {"forecast": float(f), "observed": float(o), "low": float(low), "high": float(high), "tasks": int(n)}
        for f, o, low, high, n in zip(curve.forecast, curve.frequency, curve.low, curve.high, curve.count, strict=True)
    ]
