"""Reliability of rate-change categories against a plain count over whole numbers of cases."""

from __future__ import annotations

from collections import defaultdict
from datetime import timedelta

import numpy as np
import pytest
from scipy.stats import binomtest
from tests.epidemic.flusight import FIRST, forecasts, target_rows

from oneteam.epidemic.hub.levels import LEVELS
from oneteam.epidemic.hub.locations import Locations
from oneteam.epidemic.hub.target_data import parse_target_data
from oneteam.epidemic.scoring.probabilities import probability_scores
from oneteam.epidemic.scoring.rate_change import CATEGORIES, LIMITS_2023_24
from oneteam.epidemic.scoring.tasks import align
from oneteam.stats.scoring import cdf_from_quantiles

PLACES = Locations(("01", "02", "03"), ("a", "b", "c"), np.array([1e6, 3e6, np.nan]))
WEEKS = 30


@pytest.fixture(scope="module")
def scored():
    rng = np.random.default_rng(4)
    level = 60 * np.exp(np.cumsum(rng.normal(0, 0.3, (WEEKS, 3)), axis=0))
    counts = {code: np.round(level[:, i]).tolist() for i, code in enumerate(PLACES.codes)}
    truth = parse_target_data(target_rows(counts), "x").final()
    tasks = [(FIRST + timedelta(days=7 * week), h, code) for week in range(1, WEEKS - 4) for h in range(4) for code in PLACES.codes]
    middle = [counts[code][(day - FIRST).days // 7 + h] + rng.normal(0, 25) for day, h, code in tasks]
    made = forecasts(tasks, middle, spread=60.0)
    return align({"m": made}, truth, None).models["m"], truth


def plain_category(change: float, people: float, horizon: int) -> str:
    """The rule as it is worded: stable below the first rate or 10 counts, large from the second rate on."""
    first, second = LIMITS_2023_24[horizon]
    if abs(change) < first * people / 1e5 or abs(change) < 10:
        return "stable"
    size = "large_" if abs(change) >= second * people / 1e5 else ""
    return size + ("increase" if change > 0 else "decrease")


def counted(scored, truth) -> dict[str, dict[int, list[tuple[float, bool]]]]:
    """By category and tenth: what was forecast, and whether it happened."""
    found = defaultdict(lambda: defaultdict(list))
    whole = np.arange(0, 2_000)
    for row in range(scored.forecasts.count):
        code, horizon = scored.forecasts.location[row], int(scored.forecasts.horizon[row])
        people = PLACES.population[PLACES.index[code]]
        if not np.isfinite(people):
            continue
        day = scored.forecasts.reference_date[row] - np.timedelta64(7, "D")
        last = truth.values[list(truth.weeks).index(day), truth.locations.index(code)]
        below = cdf_from_quantiles(whole + 0.5, np.tile(scored.forecasts.values[row], (len(whole), 1)), np.array(LEVELS))
        mass = np.diff(np.concatenate([[0.0], below]))
        share = dict.fromkeys(CATEGORIES, 0.0)
        for count, p in zip(whole, mass, strict=True):
            share[plain_category(count - last, people, horizon)] += p
        happened = plain_category(scored.observed[row] - last, people, horizon)
        for category, p in share.items():
            found[category][min(int(p * 10), 9)].append((p, category == happened))
    return found


def test_category_reliability_is_what_counting_gives(scored):
    model, truth = scored
    found = probability_scores(model, {}, truth, PLACES, LIMITS_2023_24, alert_at=0.5)
    told, want = found.body["rate_change"]["category_reliability"], counted(model, truth)
    assert set(told) == set(CATEGORIES) == set(found.categories)
    for category in CATEGORIES:
        bins = [members for _, members in sorted(want[category].items())]
        assert [b["tasks"] for b in told[category]] == [len(members) for members in bins]
        assert sum(b["tasks"] for b in told[category]) == found.body["rate_change"]["tasks"] == 2 * 4 * (WEEKS - 5)
        for one, members in zip(told[category], bins, strict=True):
            p, hit = np.array(members).T
            assert one["forecast"] == pytest.approx(p.mean(), abs=1e-6)
            assert one["observed"] == hit.mean()
            interval = binomtest(int(hit.sum()), len(hit)).proportion_ci(method="wilson")
            assert (one["low"], one["high"]) == pytest.approx((interval.low, interval.high))
    # The middle of a forecast is right here, so that what is given a high chance happens often.
    assert told["stable"][-1]["observed"] > told["stable"][0]["observed"] + 0.3


def test_without_population_or_threshold_nothing_is_told(scored):
    model, truth = scored
    found = probability_scores(model, {}, truth, None, LIMITS_2023_24, alert_at=0.5)
    assert (dict(found.body), found.exceedance, dict(found.categories)) == ({}, None, {})
    nobody = Locations(PLACES.codes, PLACES.names, np.full(3, np.nan))
    assert probability_scores(model, {}, truth, nobody, LIMITS_2023_24, alert_at=0.5).body["rate_change"] == {"tasks": 0}
