"""Scores on the baseline's tasks, thresholds, categories, alerts."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import pytest
from tests.epidemic.flusight import FIRST, forecasts, target_rows

from oneteam.core.errors import MissingTaskError, NothingFoundError, UnknownValueError
from oneteam.epidemic.hub.levels import LEVELS
from oneteam.epidemic.hub.locations import Locations
from oneteam.epidemic.hub.target_data import parse_target_data
from oneteam.epidemic.scoring.exceedance import alerts, exceedance_probability, thresholds
from oneteam.epidemic.scoring.rate_change import CATEGORIES, LIMITS_2023_24, LIMITS_2024_25, category_of, rate_change
from oneteam.epidemic.scoring.summary import broken_down, overall, pairwise, pit_histogram
from oneteam.epidemic.scoring.tasks import align
from oneteam.stats.scoring import weighted_interval_score

WEEK = timedelta(days=7)
TRUTH = parse_target_data(target_rows({"01": [10, 20, 40, 80, 60], "02": [5, 5, 5, 5, 5]}), "x").final()
TASKS = [(FIRST + WEEK, h, code) for h in (0, 1, 2) for code in ("01", "02")]
ACTUAL = [20.0, 5.0, 40.0, 5.0, 80.0, 5.0]
BASE = forecasts(TASKS, [10.0, 5.0, 10.0, 5.0, 10.0, 5.0])
GOOD = forecasts(TASKS, [a + 1 for a in ACTUAL])


def test_scores_are_means_over_the_baselines_tasks():
    found = align({"good": GOOD}, TRUTH, ("base", BASE))
    row, base = overall(found)
    levels = np.array(LEVELS)
    want = weighted_interval_score(ACTUAL, GOOD.values, levels).mean()
    assert row.wis == pytest.approx(want)
    assert row.relative_wis == pytest.approx(want / weighted_interval_score(ACTUAL, BASE.values, levels).mean())
    assert row.relative_wis < 1 == base.relative_wis
    assert (row.tasks, row.coverage_95) == (6, 1.0)
    assert row.dispersion + row.underprediction + row.overprediction == pytest.approx(1.0)
    by_place = broken_down(found, "location").to_pylist()
    assert [r["location"] for r in by_place] == ["01", "02"]
    assert sum(r["wis"] * r["tasks"] for r in by_place) / 6 == pytest.approx(want)
    assert [r["horizon"] for r in broken_down(found, "horizon").to_pylist()] == [0, 1, 2]
    assert broken_down(found, "reference_date")["reference_date"][0].as_py() == FIRST + WEEK
    assert pit_histogram(found.models["good"]).sum() == pytest.approx(1.0)


def test_a_missing_task_is_named():
    with pytest.raises(MissingTaskError, match=r"1 of 6 tasks .* horizon 2, location 02, .*\(absent\)"):
        align({"good": GOOD.take(np.arange(5))}, TRUTH, ("base", BASE))
    broken = forecasts(TASKS, ACTUAL)
    broken.values[3, 4] = np.inf
    with pytest.raises(MissingTaskError, match=r"horizon 1, location 02, .*\(not finite\)"):
        align({"bad": broken}, TRUTH, ("base", BASE))
    found = align({"bad": broken}, TRUTH, ("base", BASE), allow_missing=True)
    assert overall(found)[0].tasks == 5
    assert "1 of 6" in found.notes[0]
    with pytest.raises(MissingTaskError, match="base"):
        align({"good": GOOD}, TRUTH, ("base", broken))


def test_weeks_without_an_outcome_are_counted_not_scored():
    later = [(FIRST + 4 * WEEK, h, "01") for h in (0, 1)]
    found = align({"m": forecasts(later, [1.0, 1.0])}, TRUTH, ("base", forecasts(later, [1.0, 1.0])))
    assert (found.unobserved, overall(found)[0].tasks) == (1, 1)
    elsewhere = forecasts([(FIRST, 0, "99")], [1.0])
    with pytest.raises(NothingFoundError, match="no task has a known outcome"):
        align({"m": elsewhere}, TRUTH, ("base", elsewhere))


def test_without_a_baseline_models_meet_on_common_tasks():
    found = align({"a": GOOD, "b": BASE.take(np.arange(4))}, TRUTH, None)
    assert {row.tasks for row in overall(found)} == {4}
    skill = pairwise(found)
    assert skill["a"] < 1 < skill["b"]
    assert skill["a"] * skill["b"] == pytest.approx(1.0)


def test_pairwise_skill_is_relative_to_the_baseline():
    found = align({"good": GOOD, "other": forecasts(TASKS, ACTUAL, spread=40)}, TRUTH, ("base", BASE))
    skill = pairwise(found)
    assert skill["base"] == pytest.approx(1.0)
    assert skill["good"] == pytest.approx(overall(found)[0].relative_wis)


def test_categories_follow_the_hubs_words():
    people = [1e6] * 8
    # 10 per 100,000 and 1,000,000 inhabitants: limits of 2023-24 at horizon 0 are 1 and 2 per 100,000, that is 10 and 20.
    changes = [9, 10, 19, 20, -9, -10, -19, -20]
    names = [CATEGORIES[i] for i in category_of(changes, people, [0] * 8, LIMITS_2023_24)]
    assert names == ["stable", "increase", "increase", "large_increase", "stable", "decrease", "decrease", "large_decrease"]
    assert CATEGORIES[category_of([9], [1e5], [3], LIMITS_2024_25)[0]] == "stable"  # fewer than 10 counts
    assert CATEGORIES[category_of([60], [1e6], [3], LIMITS_2024_25)[0]] == "large_increase"


def test_category_probabilities_add_up_and_follow_the_forecast():
    places = Locations(("01", "02"), ("01", "02"), np.array([1e5, np.nan]))
    sure = forecasts(TASKS, ACTUAL, spread=1.0)
    found = rate_change(sure, np.array(ACTUAL), TRUTH, places, LIMITS_2023_24)
    assert found.rows.tolist() == [0, 2, 4]  # the place without population is left out
    assert [CATEGORIES[i] for i in found.outcome] == ["large_increase"] * 3
    np.testing.assert_allclose(found.probabilities.sum(axis=1), 1.0)
    assert (found.probabilities >= 0).all()
    assert found.probabilities[1, 4] > 0.95


@pytest.mark.parametrize(("horizon", "stable_up_to", "large_from"), [(0, 1.0, 2.0), (1, 1.0, 3.0), (2, 2.0, 4.0), (3, 2.5, 5.0)], ids=str)
def test_limits_of_2023_24_count_from_the_week_before_the_reference_date(horizon, stable_up_to, large_from):
    """The hub's text in force: horizons 0 to 3 are one to four weeks ahead of the week before the reference date."""
    base, people = 1000.0, 1e7  # one per 100,000 is 100 counts
    places = Locations(("01",), ("01",), np.array([people]))
    for rate, want in (
        (stable_up_to - 0.01, "stable"),
        (stable_up_to, "increase"),
        (large_from - 0.01, "increase"),
        (large_from, "large_increase"),
    ):
        # Only the week before the reference date holds the base: any other week to compare with would give another category.
        weeks = [7e5, base, *[9e5] * 4]
        weeks[2 + horizon] = base + rate * 100
        truth = parse_target_data(target_rows({"01": weeks}), "x").final()
        task = forecasts([(FIRST + 2 * WEEK, horizon, "01")], [weeks[2 + horizon]], spread=0.1)
        found = rate_change(task, np.array([weeks[2 + horizon]]), truth, places, LIMITS_2023_24)
        assert CATEGORIES[found.outcome[0]] == want
        assert CATEGORIES[int(found.probabilities[0].argmax())] == want


def test_thresholds_by_quantile_and_by_rate():
    limit, words = thresholds("q0.5", TRUTH, np.datetime64("2024-02-01"), None)
    assert limit == {"01": 40.0, "02": 5.0}
    assert "0.5 quantile" in words
    places = Locations(("01", "02"), ("01", "02"), np.array([1e6, np.nan]))
    assert thresholds("3", TRUTH, np.datetime64("2024-02-01"), places)[0] == {"01": 30.0}
    for rule in ("q2", "high", "-1"):
        with pytest.raises(UnknownValueError, match="--threshold"):
            thresholds(rule, TRUTH, np.datetime64("2024-02-01"), places)
    with pytest.raises(UnknownValueError, match="population"):
        thresholds("3", TRUTH, np.datetime64("2024-02-01"), None)


def test_lead_time_is_unbroken_and_false_alarms_are_counted():
    # The onset of 01 over 30 is the third week. Three forecasts for it, one, two and zero weeks ahead.
    onset = FIRST + 2 * WEEK
    tasks = [(onset - h * WEEK, h, "01") for h in (0, 1, 2)] + [(FIRST, 1, "01")]
    made = forecasts(tasks, [50.0, 45.0, 10.0, 70.0])
    observed = np.array([40.0, 40.0, 40.0, 20.0])
    limit = np.full(4, 30.0)
    probability = exceedance_probability(made, limit)
    assert (probability >= 0.5).tolist() == [True, True, False, True]
    found = alerts(made, observed, limit, probability, TRUTH)
    assert (found.onsets, found.alerted, found.mean_lead_weeks) == (1, 1, 1.0)
    assert (found.alerts, found.false_alarms) == (3, 1)
    assert found.false_alarm_ratio == pytest.approx(1 / 3)
    none = alerts(made, observed, limit, np.zeros(4), TRUTH)
    assert (none.alerted, none.alerts) == (0, 0)
    assert np.isnan(none.mean_lead_weeks)


def test_exceedance_counts_whole_numbers():
    made = forecasts([(date(2024, 1, 6), 0, "01")] * 3, [10.0] * 3, spread=10.0)
    p = exceedance_probability(made, [10.0, 10.2, 0.5])
    assert p[0] > 0.5 > p[1]
    assert p[2] > 0.9
