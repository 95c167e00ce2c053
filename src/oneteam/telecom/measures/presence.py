"""Who is seen where and when, by distinct subscribers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import ibis

from oneteam.telecom.measures.measure import Inputs

if TYPE_CHECKING:
    import ibis.expr.types as ir


def presence(inputs: Inputs) -> ir.Table:
    """One for each local day, hour and zone in which the subscriber had an event.

    Sparse records measure usage: read ``subscribers`` beside ``active``, the number of subscribers with any event in the same hour.
    """
    seen = inputs.events
    seen = seen.select("subscriber", "day", "zone", hour=((seen.local % 86_400) // 3_600).cast("int32"))
    return seen.distinct().mutate(value=ibis.literal(1, "int64"))


def active_devices(inputs: Inputs) -> ir.Table:
    """One for each local day and hour in which the subscriber had an event, wherever it was."""
    seen = inputs.events
    seen = seen.select("subscriber", "day", hour=((seen.local % 86_400) // 3_600).cast("int32"))
    return seen.distinct().mutate(value=ibis.literal(1, "int64"))


def active_days(inputs: Inputs) -> ir.Table:
    """One for each local day on which the subscriber had an event; by day, the number of active devices."""
    seen = inputs.events.select("subscriber", "day")
    return seen.distinct().mutate(value=ibis.literal(1, "int64"))
