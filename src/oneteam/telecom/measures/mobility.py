"""Movement between zones: trips between consecutive stays."""

from __future__ import annotations

from typing import TYPE_CHECKING

import ibis

from oneteam.telecom.measures.measure import Inputs, State
from oneteam.telecom.measures.residence import home_zones
from oneteam.telecom.measures.segments import DAY_S, runs

if TYPE_CHECKING:
    import ibis.expr.types as ir


def od_flow(inputs: Inputs) -> ir.Table:
    """Trips by day, origin and destination.

    A trip joins two consecutive stays in different zones when at most ``max_gap_trip_s`` lie between the end of one and the start of
    the other; it is dated by the local day of the first event at its destination. ``value`` counts trips, ``subscribers`` in the
    aggregate the distinct travellers.
    """
    table = runs(inputs)
    stays = table.filter(table.state == int(State.STAY))
    in_order = ibis.window(group_by="subscriber", order_by=["timestamp", "cell"])
    pairs = stays.mutate(
        origin=stays.zone.lag().over(in_order),
        left=stays.end.lag().over(in_order),
        destination=stays.zone,
        day=(inputs.to_local(stays["first"]) // DAY_S).cast("int32"),
    )
    trips = pairs.filter((pairs.origin != pairs.destination) & ((pairs.start - pairs.left) <= inputs.settings.max_gap_trip_s))
    trips = trips.semi_join(inputs.calendar, "day")
    return trips.group_by("subscriber", "day", "origin", "destination").agg(value=trips.count().cast("int64"))


def _with_home(inputs: Inputs, trips: ir.Table) -> ir.Table:
    homes = home_zones(inputs).select("subscriber", "month", home="zone")
    dated = trips.join(inputs.calendar.select("day", "month"), "day")
    joined = dated.left_join(homes, ["subscriber", "month"])
    return joined.mutate(home=ibis.coalesce(joined.home, ibis.literal(-1, "int32")).cast("int32"))


def od_by_home(inputs: Inputs) -> ir.Table:
    """Trips by day, home zone of the traveller in that month (-1 unknown), origin and destination."""
    return _with_home(inputs, inputs.daily_or("od", od_flow)).select("subscriber", "day", "home", "origin", "destination", "value")


def trips_by_home(inputs: Inputs) -> ir.Table:
    """Trips by day and home zone of the traveller: how much the residents of a zone move."""
    table = _with_home(inputs, inputs.daily_or("od", od_flow))
    return table.group_by("subscriber", "day", "home").agg(value=table.value.sum().cast("int64"))
