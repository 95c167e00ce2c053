"""Time segments: each subscriber's time cut into stays, moves and unknown.

After the continuous time segmentation of the Eurostat multi-MNO pipeline, restated so that it is a handful of window functions:

1. Events in order of time. A *run* is a maximal sequence in one zone whose silences are at most ``max_gap_stay_s``.
2. A silence up to ``max_gap_move_s`` after a run is *covered*: the run lasts until the next one begins. After a longer silence, or at
   the end of the record, the run ends ``pad_s`` after its last event, and the next begins ``pad_s`` before its first.
3. A run of at least ``min_stay_s`` is a stay, a shorter one a move; what lies between two padded ends is unknown, if the silence is
   at most ``max_gap_unknown_s``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import ibis

from oneteam.telecom.measures.measure import Inputs, State

if TYPE_CHECKING:
    import ibis.expr.types as ir

DAY_S = 86_400


def runs(inputs: Inputs) -> ir.Table:
    """Runs with their ends.

    Returns:
        ``subscriber``, ``timestamp`` and ``cell`` (of the first event, to order by), ``zone``, ``first`` and ``last`` (UTC second of the
        first and last event), ``start`` and ``end`` (with padding), ``next_start`` (start of the subscriber's next run, null for the
        last), ``state``.
    """
    cfg = inputs.settings
    in_order = ibis.window(group_by="subscriber", order_by=["timestamp", "cell"])
    whole = ibis.window(group_by="subscriber")
    events = inputs.events.select("subscriber", "timestamp", "cell", "t", "zone").mutate(
        previous_zone=lambda e: e.zone.lag().over(in_order),
        previous_t=lambda e: e.t.lag().over(in_order),
        final_t=lambda e: e.t.max().over(whole),
    )
    begins = events.filter(
        events.previous_zone.isnull() | (events.previous_zone != events.zone) | ((events.t - events.previous_t) > cfg.max_gap_stay_s)
    )
    # The event before the next beginning is the last of this run.
    table = begins.mutate(
        next_first=lambda e: e.t.lead().over(in_order),
        last=lambda e: ibis.coalesce(e.previous_t.lead().over(in_order), e.final_t),
    )
    covered_before = (table.t - table.previous_t) <= cfg.max_gap_move_s
    covered_after = (table.next_first - table["last"]) <= cfg.max_gap_move_s
    table = table.select(
        "subscriber",
        "timestamp",
        "cell",
        "zone",
        "last",
        first=table.t,
        start=ibis.ifelse(covered_before.fill_null(False), table.t, table.t - cfg.pad_s),
        end=ibis.ifelse(covered_after.fill_null(False), table.next_first, table["last"] + cfg.pad_s),
        next_start=ibis.ifelse(covered_after, table.next_first, table.next_first - cfg.pad_s),
    )
    is_stay = (table.end - table.start) >= cfg.min_stay_s
    return table.mutate(state=ibis.ifelse(is_stay, int(State.STAY), int(State.MOVE)).cast("int8"))


def by_local_day(inputs: Inputs, segments: ir.Table) -> ir.Table:
    """Cut segments at local midnights.

    Args:
        inputs: gives the time zone and the days for which results exist.
        segments: with ``start`` and ``end`` (UTC seconds) and any other columns.

    Returns:
        The same columns and ``day`` int64, ``from_s`` and ``to_s`` (seconds since that day's midnight, to_s > from_s).
    """
    local = segments.mutate(local_start=inputs.to_local(segments.start), local_end=inputs.to_local(segments.end))
    local = local.filter(local.local_end > local.local_start)
    first_day = local.local_start // DAY_S
    last_day = (local.local_end - 1) // DAY_S
    # No cast around the generator: Spark allows none.
    cut = local.mutate(day=ibis.range(first_day, last_day + 1).unnest())
    cut = cut.mutate(
        from_s=ibis.greatest(cut.local_start - cut.day * DAY_S, 0),
        to_s=ibis.least(cut.local_end - cut.day * DAY_S, DAY_S),
    )
    return cut.drop("local_start", "local_end").semi_join(inputs.calendar, "day")


def time_segments(inputs: Inputs) -> ir.Table:
    """Seconds by day, state and zone (-1 for unknown), of each subscriber."""
    table = runs(inputs)
    known = table.select("subscriber", "zone", "state", "start", "end")
    longest = inputs.settings.max_gap_unknown_s - 2 * inputs.settings.pad_s
    silent = table.filter((table.next_start > table.end) & (table.next_start - table.end <= longest))
    unknown = silent.select(
        "subscriber",
        zone=ibis.literal(-1, "int32"),
        state=ibis.literal(int(State.UNKNOWN), "int8"),
        start=silent.end,
        end=silent.next_start,
    )
    cut = by_local_day(inputs, known.union(unknown))
    return cut.group_by("subscriber", "day", "state", "zone").agg(value=(cut.to_s - cut.from_s).sum().cast("int64"))
