from dataclasses import replace
from datetime import date

import numpy as np
import pyarrow as pa
import pytest

from oneteam.core.errors import MissingColumnError, NothingFoundError, WrongTypeError
from oneteam.epidemic.forecasting.holidays import HolidayEffect, Holidays, learn_holiday_effect, parse_holidays
from oneteam.epidemic.forecasting.members import BASELINE, FILTER, LINEAR, Known, forecast, learn
from oneteam.epidemic.hub.levels import LEVELS
from oneteam.stats.scoring import weighted_interval_score
from tests.epidemic.forecasting.synthetic import PLACES, seasonal_counts, target_of

FIRST = np.datetime64("2021-08-07", "D")
SAME, AFTER = -0.25, 0.12


def holidays_of(weeks: int, *, seed: int = 0) -> Holidays:
    """A working day off in about one week of seven, two in some; a Saturday now and then, which does not count."""
    random = np.random.default_rng(seed)
    ends = FIRST + 7 * np.arange(weeks)
    hit = np.flatnonzero(random.random(weeks) < 0.15)
    return Holidays(np.unique(np.concatenate([ends[hit] - 3, ends[hit[::2]] - 2, ends[::20]])))


def reported(weeks: int, holidays: Holidays, *, seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Counts as they would be, and as they are reported, shape (weeks, 5)."""
    counts = seasonal_counts(weeks, seed=seed)
    seen = np.round(counts[:, :4] * HolidayEffect(SAME, AFTER, 0).factor(holidays, FIRST + 7 * np.arange(weeks))[:, None])
    return counts, np.column_stack([seen, seen.sum(axis=1)])


def test_a_known_effect_is_learned():
    holidays = holidays_of(150)
    _, seen = reported(150, holidays)
    found = learn_holiday_effect(seen, FIRST + 7 * np.arange(150), holidays)
    assert found.weeks > 20
    assert found.same_week == pytest.approx(SAME, abs=0.05)
    assert found.next_week == pytest.approx(AFTER, abs=0.05)


def test_no_effect_is_found_where_there_is_none():
    holidays = holidays_of(150)
    counts, _ = reported(150, holidays)
    found = learn_holiday_effect(counts, FIRST + 7 * np.arange(150), holidays)
    assert abs(found.same_week) < 0.04
    assert abs(found.next_week) < 0.04


def test_growth_is_no_effect():
    ends = FIRST + 7 * np.arange(60)
    counts = 1000.0 * np.exp(0.2 * np.arange(60))[:, None]
    found = learn_holiday_effect(counts, ends, holidays_of(60))
    assert abs(found.same_week) < 1e-3


def test_few_holidays_move_little_and_none_nothing():
    ends = FIRST + 7 * np.arange(30)
    assert learn_holiday_effect(np.full((30, 2), 500.0), ends, Holidays(ends[[28]] - 3)) == HolidayEffect(0.0, 0.0, 0)
    random = np.random.default_rng(0)
    noisy = 500.0 * np.exp(random.normal(0, 0.4, (30, 1)))
    found = learn_holiday_effect(noisy, ends, Holidays(ends[[8, 20]] - 3))
    assert abs(found.same_week) < 0.1  # drawn towards nothing: the weeks' own noise is larger


def test_later_counts_and_gaps_change_nothing_that_they_should_not():
    holidays = holidays_of(150)
    _, seen = reported(150, holidays)
    target = target_of(seen)
    day = (FIRST + 7 * 120).item()
    other = seen.copy()
    other[121:] = 7777.0
    effects = [Known(t.snapshot(day), (), PLACES, (), holidays=holidays).holiday_effect for t in (target, target_of(other))]
    assert effects[0] == effects[1]
    seen[40:44, 1] = np.nan
    assert np.isfinite(learn_holiday_effect(seen, FIRST + 7 * np.arange(150), holidays).same_week)


def test_forecasts_about_holidays_become_better_and_others_stay_as_good():
    holidays = holidays_of(150)
    _, seen = reported(150, holidays)
    target = target_of(seen)
    near = {True: [0.0, 0.0], False: [0.0, 0.0]}
    off = holidays.per_week(FIRST + 7 * np.arange(150))
    learned: dict[bool, object] = {}
    for week in range(100, 140, 2):
        day = (FIRST + 7 * (week + 1)).item()
        for at, calendar in enumerate((None, holidays)):
            known = Known(target.snapshot(day), (), PLACES, (), holidays=calendar)
            if week in (100, 120):
                learned[bool(at)] = learn(LINEAR, known, [0, 1], 1)
            found = forecast(LINEAR, learned[bool(at)], known, [0, 1])
            for row, (h, place) in enumerate(zip(found.horizon, found.location, strict=True)):
                then = week + 1 + h
                score = weighted_interval_score(np.array([seen[then, PLACES.index[place]]]), found.values[row : row + 1], LEVELS)[0]
                near[bool(off[week : then + 1].any() or off[then - 1])][at] += score
    assert near[True][1] < 0.85 * near[True][0]
    assert near[False][1] < 1.1 * near[False][0]


@pytest.mark.parametrize("member", [FILTER, BASELINE])
def test_the_week_of_a_holiday_is_forecast_lower_but_not_by_the_baseline(member):
    holidays = holidays_of(150)
    _, seen = reported(130, holidays)
    snapshot = target_of(seen).final()
    ahead = Holidays(np.unique(np.concatenate([holidays.days[holidays.days <= snapshot.weeks[-1]], [snapshot.weeks[-1] + 4]])))
    none = Holidays(ahead.days[:-1])
    with_day, without = (
        forecast(member, None, Known(snapshot, (), PLACES, (), holidays=calendar), [0, 1], 1).values for calendar in (ahead, none)
    )
    if member == BASELINE:
        assert np.array_equal(with_day, without)
    else:
        ratio = with_day[:, 11] / without[:, 11]
        horizon = np.repeat([0, 1], len(PLACES.codes))
        assert np.allclose(ratio[horizon == 0], np.exp(SAME), atol=0.05)
        assert np.allclose(ratio[horizon == 1], np.exp(AFTER), atol=0.06)


def test_a_reported_week_keeps_its_count():
    """What holidays took off a reported week is put back: a nowcast is about reports."""
    holidays = holidays_of(150)
    _, seen = reported(130, holidays)
    known = Known(target_of(seen).final(), (), PLACES, (), holidays=holidays)
    found = forecast(LINEAR, None, known, [-1])
    assert np.allclose(found.values[:, 11], seen[-1])
    again = forecast(LINEAR, None, replace(known, holidays=None), [-1])
    assert np.allclose(found.values[:, 11], again.values[:, 11])


@pytest.mark.parametrize(
    ("table", "error", "words"),
    [
        (pa.table({"name": ["new year"]}), MissingColumnError, "no column 'date'"),
        (pa.table({"date": ["2022-01-01", ""]}), WrongTypeError, "data row 2: date is empty"),
        (pa.table({"date": ["1 Jan"]}), WrongTypeError, "must be a date like"),
        (pa.table({"date": pa.array([], pa.date32())}), NothingFoundError, "no row"),
    ],
)
def test_bad_calendars(table, error, words):
    with pytest.raises(error, match=words):
        parse_holidays(table, "holidays.csv")


def test_only_working_days_count():
    week = np.array(["2024-01-06"], "datetime64[D]")
    days = Holidays(np.array([date(2023, 12, 30), date(2023, 12, 31), date(2024, 1, 1), date(2024, 1, 6)], "datetime64[D]"))
    assert days.per_week(week).tolist() == [1.0]
