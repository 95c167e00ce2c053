"""What a measure is: contributions of single subscribers to keys, and their sum.

A measure is defined once, as an Ibis expression that yields rows ``(subscriber, *keys, value)`` with integer values, each pair of
subscriber and keys at most once. Its aggregate is the same for all: by keys, ``value`` = sum of the values, ``subscribers`` = number of
contributing subscribers. So a privacy gate can bound what any one subscriber adds before anything is summed. All arithmetic is on
integers, so that every engine gives bit-identical tables.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from typing import TYPE_CHECKING, Literal

import ibis

from oneteam.core.errors import UnknownValueError

if TYPE_CHECKING:
    import ibis.expr.types as ir

KeyKind = Literal["day", "hour", "month", "zone", "country", "state"]
"""``day``: local days since 1970-01-01; ``hour``: 0-23 local; ``month``: 12 * year + month - 1; ``zone``: index of the location (a zone,
or a cell when the measure is taken by cell; -1 = unknown); ``country``: ISO 3166-1 alpha-2 text; ``state``: `State`."""

TableName = Literal["events", "inbound", "outbound"]


HALO_DAYS = (2, 1)
"""How many days before and after a day can change its results. Back: a trip's origin may have ended 24 h before, after a stay of at most
6 h that matters, with silences of at most 12 h: less than two days. Forward: a segment that begins on the day is decided within 12 h, an
unknown one within 23 h: less than a day, even one on which the clocks go forward."""


class State(IntEnum):
    """State of a time segment, after the multi-MNO pipeline."""

    UNKNOWN = 0
    STAY = 1
    MOVE = 2


@dataclass(frozen=True)
class Key:
    """One dimension of a measure's result."""

    name: str
    kind: KeyKind


@dataclass(frozen=True)
class MeasureSettings:
    """Every number that a measure depends on.

    Args:
        min_stay_s: shortest dwell that counts as a stay [s]; 20 or 30 min are customary.
        max_gap_stay_s: longest silence within one place that still counts as being there [s].
        max_gap_move_s: longest silence between two places that still counts as observed [s].
        max_gap_unknown_s: longest silence that is reported as unknown; through a longer one the subscriber is off the record [s].
        pad_s: how far beyond its first and last event an isolated segment reaches into the unknown, at most [s].
        max_gap_trip_s: longest time between two stays that still makes a trip of them [s].
        night_h: hours of the night, as (first, last exclusive), for home by permanence.
        work_h: hours of work, as (first, last exclusive), on Monday to Friday.
        min_work_days: days on which a workplace must have been seen.
        usual_days_percent: share of a subscriber's observed days on which a place must be seen to be usual environment.
    """

    min_stay_s: int = 1_800
    max_gap_stay_s: int = 43_200
    max_gap_move_s: int = 7_200
    max_gap_unknown_s: int = 82_800
    pad_s: int = 300
    max_gap_trip_s: int = 86_400
    night_h: tuple[int, int] = (20, 8)
    work_h: tuple[int, int] = (9, 18)
    min_work_days: int = 2
    usual_days_percent: int = 30

    def __post_init__(self) -> None:
        """Refuse settings under which a day's result would depend on more than its neighbouring days (see `HALO_DAYS`)."""
        rules = (
            (0 <= 2 * self.pad_s <= self.max_gap_move_s, "0 <= 2 * pad_s <= max_gap_move_s"),
            (self.max_gap_move_s <= self.max_gap_stay_s <= 43_200, "max_gap_move_s <= max_gap_stay_s <= 43200 (12 h)"),
            (2 * self.pad_s < self.min_stay_s <= 21_600, f"{2 * self.pad_s // 60} min < min_stay <= 360 min"),
            (self.max_gap_stay_s <= self.max_gap_unknown_s <= 82_800, "max_gap_stay_s <= max_gap_unknown_s <= 82800 (23 h)"),
            (0 < self.max_gap_trip_s <= 86_400, "0 < max_gap_trip_s <= 86400 (24 h)"),
            (all(0 <= h <= 24 for h in (*self.night_h, *self.work_h)), "hours from 0 to 24"),
            (self.work_h[0] < self.work_h[1], "work_h must not pass midnight"),
            (self.min_work_days >= 1, "min_work_days >= 1"),
            (1 <= self.usual_days_percent <= 100, "usual_days_percent from 1 to 100"),
        )
        broken = [rule for holds, rule in rules if not holds]
        if broken:
            raise UnknownValueError(f"measure settings must satisfy: {'; '.join(broken)}")


@dataclass(frozen=True)
class Inputs:
    """The tables of one dataset, prepared by an engine, as Ibis expressions; times are integers.

    Args:
        events: own subscribers at home: ``subscriber`` int64, ``timestamp`` (to order by, together with ``cell``), ``cell`` int32,
            ``t`` int64 UTC epoch second (floor), ``local`` int64 local epoch second, ``day`` int32 local day, ``zone`` int32 (rows whose
            cell has no zone are absent).
        inbound: the same columns and ``country`` text; None when the dataset has none.
        outbound: own subscribers abroad: ``subscriber``, ``timestamp``, ``t``, ``local`` (local time *at home*), ``day`` (at home),
            ``abroad_day`` int32 (local day where the subscriber was), ``country``; None when the dataset has none.
        calendar: ``day`` int32, ``month`` int32, ``weekday`` int32 (Monday = 0) for every local day from the first to the last with
            rows; results exist for these days only.
        offsets: UTC offsets in force, as (UTC epoch second from which it holds, offset [s]), ascending.
        settings: the numbers.
        daily: contributions of daily measures that were computed before, by name.
    """

    events: ir.Table
    inbound: ir.Table | None
    outbound: ir.Table | None
    calendar: ir.Table
    offsets: tuple[tuple[int, int], ...]
    settings: MeasureSettings
    daily: Mapping[str, ir.Table] = field(default_factory=dict)

    def daily_or(self, name: str, define: Callable[[Inputs], ir.Table]) -> ir.Table:
        """The kept contributions of a daily measure, or its definition where none are kept."""
        return self.daily[name] if name in self.daily else define(self)

    def to_local(self, t: ir.IntegerValue) -> ir.IntegerValue:
        """Local epoch second of a UTC epoch second; a daylight-saving change inside the period becomes a case distinction."""
        local = t + self.offsets[0][1]
        for since, offset in self.offsets[1:]:
            local = ibis.ifelse(t >= since, t + offset, local)
        return local


@dataclass(frozen=True)
class Measure:
    """A named measure.

    Args:
        name: as on the command line and in Agreements.
        keys: its dimensions, in order.
        unit: what ``value`` counts.
        title_en: one line in English.
        title_ko: the same in Korean.
        needs: the tables it reads.
        contributions: its definition.
        rests_on: daily measures from whose contributions it follows.
    """

    name: str
    keys: tuple[Key, ...]
    unit: str
    title_en: str
    title_ko: str
    needs: tuple[TableName, ...]
    contributions: Callable[[Inputs], ir.Table]
    rests_on: tuple[str, ...] = ()

    @property
    def is_monthly(self) -> bool:
        """Whether it needs whole months: of residence, or by home zone."""
        return bool(self.rests_on) or any(key.kind == "month" or key.name == "home" for key in self.keys)

    @property
    def is_daily(self) -> bool:
        """Whether a day's result depends on that day and its neighbours only, so that it can be kept."""
        return self.needs == ("events",) and not self.rests_on


def define(measure: Measure, inputs: Inputs) -> ir.Table:
    """The measure's contributions on these inputs, for the days of the calendar only."""
    rows = measure.contributions(inputs)
    if any(key.name == "day" for key in measure.keys):
        rows = rows.semi_join(inputs.calendar, "day")
    return rows.select("subscriber", *(key.name for key in measure.keys), "value")


def aggregate(measure: Measure, contributions: ir.Table) -> ir.Table:
    """Sum of contributions by key: ``(*keys, value, subscribers)``."""
    return contributions.group_by([key.name for key in measure.keys]).agg(
        value=contributions.value.sum().cast("int64"),
        subscribers=contributions.subscriber.count().cast("int64"),
    )
