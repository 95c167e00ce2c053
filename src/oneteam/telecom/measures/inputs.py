"""From stored tables to the `Inputs` that measures are defined on: local time, days, and the zone of every event."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from oneteam.core.clock import EPOCH, utc_offset_changes
from oneteam.telecom.measures.measure import HALO_DAYS, Inputs, MeasureSettings
from oneteam.telecom.places.footprint import majority_zone

if TYPE_CHECKING:
    import ibis.expr.types as ir
    from numpy.typing import NDArray

ALWAYS = (-1_000_000, 1_000_000)
"""Validity of a cell without dates, in days since 1970."""


@dataclass(frozen=True)
class Period:
    """The local days for which results are wanted, both inclusive.

    >>> Period(date(2020, 1, 31), date(2020, 2, 1)).months
    (24240, 24241)
    """

    first: date
    last: date

    @property
    def days(self) -> range:
        """Days since 1970-01-01."""
        return range((self.first - EPOCH).days, (self.last - EPOCH).days + 1)

    @property
    def months(self) -> tuple[int, ...]:
        """12 * year + month - 1, ascending."""
        return tuple(range(month_of(self.days[0]), month_of(self.days[-1]) + 1))

    def with_halo(self) -> Period:
        """The days whose events can change these days' results."""
        return Period(self.first - timedelta(HALO_DAYS[0]), self.last + timedelta(HALO_DAYS[1]))

    def offsets(self, timezone: str) -> tuple[tuple[int, int], ...]:
        """UTC offsets in force, including the halo."""
        wide = self.with_halo()
        return tuple(utc_offset_changes(timezone, wide.first, wide.last))


def month_of(day: int) -> int:
    """Month number of a day since 1970-01-01."""
    at = EPOCH + timedelta(int(day))
    return 12 * at.year + at.month - 1


def calendar_of(period: Period) -> pa.Table:
    """``day``, ``month``, ``weekday`` of each day of the period."""
    days = period.days
    return pa.table(
        {
            "day": pa.array(days, pa.int32()),
            "month": pa.array([month_of(d) for d in days], pa.int32()),
            "weekday": pa.array([(EPOCH + timedelta(d)).weekday() for d in days], pa.int32()),
        }
    )


def zone_lookup(cells: pa.Table, cell_zones: pa.Table | None) -> pa.Table:
    """Each cell's zone by validity period: ``cell``, ``first_day``, ``last_day`` (days since 1970, inclusive), ``zone``.

    Args:
        cells: schema `CELLS`.
        cell_zones: schema `CELL_ZONES`, sorted or not; None takes every cell as a zone of its own (measures by cell).
    """
    if cell_zones is None:
        cell = pc.unique(cells["cell"]).to_numpy()
        first, last = (np.full(len(cell), day, np.int32) for day in ALWAYS)
        return pa.table({"cell": cell, "first_day": first, "last_day": last, "zone": cell})
    best = majority_zone(cell_zones)
    first, last = (
        pc.fill_null(best[name].cast(pa.int32()), day) for name, day in zip(("valid_date_start", "valid_date_end"), ALWAYS, strict=True)
    )
    return pa.table({"cell": best["cell"], "first_day": first, "last_day": last, "zone": best["zone"]})


def lookup_by_day(lookup: pa.Table, days: range) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    """The lookup as dense arrays for the compiled kernel.

    Returns:
        ``zones`` of shape (versions, cells) with -1 where a cell has no zone, and ``version`` of shape (days,): the row in force.
    """
    cell, first, last, zone = (lookup[name].to_numpy() for name in ("cell", "first_day", "last_day", "zone"))
    width = int(cell.max()) + 1 if len(cell) else 1
    changes = {days[0]} | {int(d) for d in first if d in days} | {int(d) + 1 for d in last if d + 1 in days}
    starts = np.array(sorted(changes))
    zones = np.full((len(starts), width), -1, np.int32)
    for row, day in enumerate(starts):
        valid = (first <= day) & (day <= last)
        zones[row, cell[valid]] = zone[valid]
    return zones, np.searchsorted(starts, np.arange(days[0], days[-1] + 1), side="right") - 1


def build_inputs(
    events: ir.Table,
    inbound: ir.Table | None,
    outbound: ir.Table | None,
    lookup: ir.Table,
    calendar: ir.Table,
    *,
    moving_cells: bool,
    offsets: tuple[tuple[int, int], ...],
    settings: MeasureSettings,
) -> Inputs:
    """Add local time, day and zone to an engine's raw tables.

    Args:
        events: ``subscriber``, ``timestamp``, ``cell``, ``t``.
        inbound: the same and ``country``.
        outbound: ``subscriber``, ``timestamp``, ``t``, ``utc_offset_min``, ``country``.
        lookup: as `zone_lookup` gives it.
        calendar: as `calendar_of` gives it.
        moving_cells: whether any cell has more than one validity period or an end; spares the join on dates where none has.
        offsets: as in `Inputs`.
        settings: as in `Inputs`.
    """
    bare = Inputs(events, inbound, outbound, calendar, offsets, settings)

    def located(table: ir.Table) -> ir.Table:
        local = bare.to_local(table.t)
        table = table.mutate(local=local, day=(local // 86_400).cast("int32"))
        if not moving_cells:
            return table.join(lookup.select("cell", "zone"), "cell")
        joined = table.join(lookup, "cell")
        return joined.filter((joined.day >= joined.first_day) & (joined.day <= joined.last_day)).drop("first_day", "last_day")

    if outbound is not None:
        at_home = bare.to_local(outbound.t)
        there = outbound.t + outbound.utc_offset_min.cast("int64") * 60
        outbound = outbound.mutate(local=at_home, day=(at_home // 86_400).cast("int32"), abroad_day=(there // 86_400).cast("int32"))
    return Inputs(located(events), None if inbound is None else located(inbound), outbound, calendar, offsets, settings)


def has_moving_cells(lookup: pa.Table) -> bool:
    """Whether the lookup depends on the day."""
    if lookup.num_rows == 0:
        return False
    always = pc.and_(pc.equal(lookup["first_day"], ALWAYS[0]), pc.equal(lookup["last_day"], ALWAYS[1]))
    return not pc.all(always).as_py() or pc.count_distinct(lookup["cell"]).as_py() < lookup.num_rows
