"""Home, work and usual environment.

Two definitions of home stand side by side. *Statistics Korea* with SK Telecom (experimental statistic 2021-001): where the subscriber
was longest between 00 and 06 h in the month. *Permanence*, after multi-MNO's usual environment labelling: where the subscriber was
observed in most hourly slots of the night, then on most days. Each rests on a daily measure (`night_dwell`, `night_slots`), so that new
days add to a month without reading the old ones again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import ibis

from oneteam.telecom.measures.measure import Inputs
from oneteam.telecom.measures.segments import DAY_S, by_local_day, runs

if TYPE_CHECKING:
    import ibis.expr.types as ir

NIGHT_END_S = 21_600
"""The night of the Statistics Korea definition: 00:00 to 06:00 local time [s after midnight]."""


def night_dwell(inputs: Inputs) -> ir.Table:
    """Seconds between 00 and 06 h by day and zone, in stays and moves alike."""
    table = runs(inputs).select("subscriber", "zone", "start", "end")
    start, end = inputs.to_local(table.start), inputs.to_local(table.end)
    # Drop runs without any night before cutting them into days: most of a day's runs.
    table = table.filter((start % DAY_S < NIGHT_END_S) | (start // DAY_S < (end - 1) // DAY_S))
    cut = by_local_day(inputs, table)
    cut = cut.filter(cut.from_s < NIGHT_END_S)
    seconds = ibis.least(cut.to_s, NIGHT_END_S) - cut.from_s
    return cut.group_by("subscriber", "day", "zone").agg(value=seconds.sum().cast("int64"))


def _slots(inputs: Inputs, first_h: int, last_h: int, *, weekdays: bool) -> ir.Table:
    """Observed hourly slots from ``first_h`` to ``last_h`` (may pass midnight), by day and zone."""
    seen = inputs.events
    seen = seen.select("subscriber", "day", "zone", hour=((seen.local % DAY_S) // 3_600).cast("int32")).distinct()
    inside = (seen.hour >= first_h) & (seen.hour < last_h) if first_h < last_h else (seen.hour >= first_h) | (seen.hour < last_h)
    seen = seen.filter(inside)
    if weekdays:
        seen = seen.semi_join(inputs.calendar.filter(inputs.calendar.weekday < 5), "day")
    return seen.group_by("subscriber", "day", "zone").agg(value=seen.count().cast("int64"))


def night_slots(inputs: Inputs) -> ir.Table:
    """Hourly slots of the night in which the subscriber was observed, by day and zone."""
    return _slots(inputs, *inputs.settings.night_h, weekdays=False)


def work_slots(inputs: Inputs) -> ir.Table:
    """Hourly slots of Monday to Friday's working hours in which the subscriber was observed, by day and zone."""
    return _slots(inputs, *inputs.settings.work_h, weekdays=True)


def days_seen(inputs: Inputs) -> ir.Table:
    """One for each day and zone in which the subscriber had an event."""
    return inputs.events.select("subscriber", "day", "zone").distinct().mutate(value=ibis.literal(1, "int64"))


def _longest(inputs: Inputs, daily: ir.Table) -> ir.Table:
    """The zone with the largest monthly total, then most days, then lowest index, of each subscriber and month."""
    dated = daily.join(inputs.calendar.select("day", "month"), "day")
    total = dated.group_by("subscriber", "month", "zone").agg(total=dated.value.sum(), days=dated.count())
    best = ibis.window(group_by=["subscriber", "month"], order_by=[total.total.desc(), total.days.desc(), total.zone.asc()])
    ranked = total.mutate(rank=ibis.row_number().over(best))
    return ranked.filter(ranked["rank"] == 0).select("subscriber", "month", "zone", "days")


def home_zones(inputs: Inputs) -> ir.Table:
    """Home of each subscriber and month, Statistics Korea's definition: ``subscriber``, ``month``, ``zone``."""
    return _longest(inputs, inputs.daily_or("night_dwell", night_dwell)).select("subscriber", "month", "zone")


def home(inputs: Inputs) -> ir.Table:
    """Residents by month and zone (Statistics Korea's definition)."""
    return home_zones(inputs).mutate(value=ibis.literal(1, "int64"))


def home_by_permanence(inputs: Inputs) -> ir.Table:
    """Residents by month and zone (most observed night slots)."""
    return _longest(inputs, inputs.daily_or("night_slots", night_slots)).select(
        "subscriber", "month", "zone", value=ibis.literal(1, "int64")
    )


def work(inputs: Inputs) -> ir.Table:
    """Workers by month and zone: most observed working-hour slots outside the home zone, on at least ``min_work_days`` days."""
    homes = home_zones(inputs).select("subscriber", "month", home="zone")
    slots = inputs.daily_or("work_slots", work_slots).join(inputs.calendar.select("day", "month"), "day")
    joined = slots.left_join(homes, ["subscriber", "month"])
    away = joined.filter(joined.home.isnull() | (joined.home != joined.zone)).select("subscriber", "day", "zone", "value")
    best = _longest(inputs, away)
    best = best.filter(best.days >= inputs.settings.min_work_days)
    return best.select("subscriber", "month", "zone", value=ibis.literal(1, "int64"))


def usual_environment(inputs: Inputs) -> ir.Table:
    """Days by month and zone, for zones seen on at least ``usual_days_percent`` of the subscriber's observed days of the month."""
    seen = inputs.daily_or("days_seen", days_seen).join(inputs.calendar.select("day", "month"), "day")
    days = seen.select("subscriber", "month", "day").distinct()
    observed = days.group_by("subscriber", "month").agg(observed_days=days.count())
    places = seen.group_by("subscriber", "month", "zone").agg(value=lambda t: t.count().cast("int64"))
    both = places.join(observed, ["subscriber", "month"])
    both = both.filter(both.value * 100 >= both.observed_days * inputs.settings.usual_days_percent)
    return both.select("subscriber", "month", "zone", "value")
