"""Roaming: who went abroad, where to, and when they came back.

A *return* is the first own-network event of a subscriber after events abroad, with no own-network event between and at most
`MAX_SILENCE_DAYS` of silence; a *departure* is the mirror image. Abroad and home events at the very same moment count as abroad first.
Return and departure have the home zone of their month, -1 where it is unknown. A country that no record names is `UNKNOWN_COUNTRY`.

What roaming records miss: a traveller with a local SIM or only Wi-Fi is seen on landing and perhaps never again. Days abroad are a
lower bound; returns are right as long as the silence is shorter than the limit.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Final

import ibis

from oneteam.telecom.measures.measure import Inputs, Key, Measure
from oneteam.telecom.measures.residence import home_zones

if TYPE_CHECKING:
    import ibis.expr.types as ir

MAX_SILENCE_DAYS: Final = 30
"""Longest silence between the last event abroad and the first at home that still makes a return of it (also for departures) [d]."""

LOOKBACK_DAYS: Final = 14
"""How long before a return a visit abroad counts in `arrivals_any` [d]; two weeks is the customary upper end of incubation."""

UNKNOWN_COUNTRY: Final = "ZZ"
"""Where a record names no country; ISO 3166-1 leaves this code to its users."""

_DAY_S: Final = 86_400

HomeZones = Callable[[Inputs], "ir.Table"]
"""Gives ``subscriber``, ``month``, ``zone``: at most one home zone for each subscriber and month."""


def _country(table: ir.Table) -> ir.StringColumn:
    named = ibis.coalesce(table.country, ibis.literal(UNKNOWN_COUNTRY))
    return ibis.ifelse(named == "", ibis.literal(UNKNOWN_COUNTRY), named)


def _abroad(inputs: Inputs) -> ir.Table:
    assert inputs.outbound is not None, "the engine checks `needs` before it asks"
    return inputs.outbound.mutate(country=_country(inputs.outbound))


def days_abroad(inputs: Inputs) -> ir.Table:
    """Distinct local days (where the subscriber was) seen in each country, by month of that day."""
    days = _abroad(inputs).select("subscriber", "country", day="abroad_day").distinct()
    dated = days.join(inputs.calendar.select("day", "month"), "day")
    return dated.group_by("subscriber", "month", "country").agg(value=dated.count().cast("int64"))


def _of_travellers(inputs: Inputs) -> Inputs:
    """The same inputs, with events only of subscribers that were ever seen abroad: the only ones who can return."""
    travellers = _abroad(inputs).select("subscriber").distinct()
    return replace(inputs, events=inputs.events.semi_join(travellers, "subscriber"))


def _in_order(inputs: Inputs) -> ir.Table:
    """Travellers' events at home and abroad in one sequence; each row knows the one before it."""
    at_home = inputs.events.select("subscriber", "timestamp", "t", "day", country=ibis.literal(""), abroad=ibis.literal(0, "int32"))
    abroad = _abroad(inputs).select("subscriber", "timestamp", "t", "day", "country", abroad=ibis.literal(1, "int32"))
    both = ibis.union(at_home, abroad)
    # The country decides between two countries at one moment, so that every engine sees the same last one.
    order = ibis.window(group_by="subscriber", order_by=[both.timestamp.asc(), both.abroad.desc(), both.country.asc()])
    return both.mutate(
        before_abroad=both.abroad.lag().over(order), before_country=both.country.lag().over(order), before_t=both.t.lag().over(order)
    )


def _returns(inputs: Inputs) -> ir.Table:
    rows = _in_order(inputs)
    heard = (rows.t - rows.before_t) <= MAX_SILENCE_DAYS * _DAY_S
    back = rows.filter((rows.abroad == 0) & (rows.before_abroad == 1) & heard)
    return back.select("subscriber", "t", "day", country=back.before_country)


def _with_home(inputs: Inputs, moves: ir.Table, home: HomeZones) -> ir.Table:
    """Add ``home``: the home zone in the month of ``day``, -1 where unknown."""
    dated = moves.join(inputs.calendar.select("day", "month"), "day")
    homes = home(inputs).select("subscriber", "month", home_zone="zone")
    joined = dated.left_join(homes, ["subscriber", "month"])
    return joined.select("subscriber", "day", "country", home=ibis.coalesce(joined.home_zone.cast("int32"), ibis.literal(-1, "int32")))


def _count(rows: ir.Table) -> ir.Table:
    return rows.group_by("subscriber", "day", "country", "home").agg(value=rows.count().cast("int64"))


def arrivals(inputs: Inputs, home: HomeZones = home_zones) -> ir.Table:
    """Returns by local day at home, last country visited and home zone."""
    inputs = _of_travellers(inputs)
    return _count(_with_home(inputs, _returns(inputs), home))


def arrivals_any(inputs: Inputs, home: HomeZones = home_zones) -> ir.Table:
    """Returning subscribers by day, *every* country in which they were seen in the `LOOKBACK_DAYS` before the return, and home zone.

    As an arrival card asks it: a second return within two weeks names the countries of the first trip again. One for each
    subscriber, day and country, so the sum over countries exceeds the number of travellers.
    """
    inputs = _of_travellers(inputs)
    back = _returns(inputs).select("subscriber", "day", returned_t="t")
    seen = _abroad(inputs).select("subscriber", "country", seen_t="t")
    joined = back.join(seen, "subscriber")
    recent = joined.filter((joined.seen_t <= joined.returned_t) & (joined.seen_t >= joined.returned_t - LOOKBACK_DAYS * _DAY_S))
    visits = recent.select("subscriber", "day", "country").distinct()
    return _with_home(inputs, visits, home).mutate(value=ibis.literal(1, "int64"))


def departures(inputs: Inputs, home: HomeZones = home_zones) -> ir.Table:
    """Departures by local day at home of the first event abroad, its country, and home zone."""
    inputs = _of_travellers(inputs)
    rows = _in_order(inputs)
    heard = (rows.t - rows.before_t) <= MAX_SILENCE_DAYS * _DAY_S
    gone = rows.filter((rows.abroad == 1) & (rows.before_abroad == 0) & heard)
    return _count(_with_home(inputs, gone.select("subscriber", "day", "country"), home))


def travellers(inputs: Inputs) -> ir.Table:
    """One for each local day at home and country in which the subscriber was seen abroad.

    A Query that keeps only the country, under an Agreement whose ``max_value`` is 1, counts each subscriber once for each country of its
    period: the rows of the list that `oneteam.telecom.service.notify.notify_travellers` writes for the same days.
    """
    seen = _abroad(inputs).select("subscriber", "day", "country").distinct()
    return seen.mutate(value=ibis.literal(1, "int64"))


def inbound_roamers(inputs: Inputs) -> ir.Table:
    """One for each foreign subscriber seen, by local day, country of the home network and zone."""
    assert inputs.inbound is not None, "the engine checks `needs` before it asks"
    seen = inputs.inbound.select("subscriber", "day", "zone", country=_country(inputs.inbound)).distinct()
    return seen.select("subscriber", "day", "country", "zone", value=ibis.literal(1, "int64"))


_DAY_COUNTRY_HOME: Final = (Key("day", "day"), Key("country", "country"), Key("home", "zone"))

ROAMING_MEASURES: Final[tuple[Measure, ...]] = (
    Measure(
        "days_abroad",
        (Key("month", "month"), Key("country", "country")),
        "days",
        "Days abroad by country",
        "나라별 해외 체류일",
        ("outbound",),
        days_abroad,
    ),
    Measure(
        "arrivals",
        _DAY_COUNTRY_HOME,
        "returns",
        "Returns from abroad by day, last country and home zone",
        "귀국: 날짜·마지막 방문국·거주지별",
        ("events", "outbound"),
        arrivals,
    ),
    Measure(
        "arrivals_any",
        _DAY_COUNTRY_HOME,
        "subscribers",
        "Returning subscribers by day, every country of the last 14 days, and home zone",
        "귀국자: 날짜·최근 14일 방문국·거주지별",
        ("events", "outbound"),
        arrivals_any,
    ),
    Measure(
        "departures",
        _DAY_COUNTRY_HOME,
        "departures",
        "Departures by day, first country and home zone",
        "출국: 날짜·첫 방문국·거주지별",
        ("events", "outbound"),
        departures,
    ),
    Measure(
        "travellers",
        (Key("day", "day"), Key("country", "country")),
        "subscribers",
        "Own subscribers seen abroad by day and country",
        "해외에서 관측된 가입자: 날짜·나라별",
        ("outbound",),
        travellers,
    ),
    Measure(
        "inbound_roamers",
        (Key("day", "day"), Key("country", "country"), Key("zone", "zone")),
        "subscribers",
        "Foreign subscribers seen by day, home country and zone",
        "외국인 로밍 가입자: 날짜·국적·지역별",
        ("inbound",),
        inbound_roamers,
    ),
)
"""The measures of this module."""
