"""Where a person is at every second of a day: a pure function of the world, the person and the day.

A plan is a list of stays ``(place, start, end)`` in local seconds since midnight; between two stays the person travels in a straight
line. A plan starts where the plan of the day before ended. Nothing is stored: any part can be made again at any time.
"""

from __future__ import annotations

import math
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from oneteam.stats.compiled import compiled
from oneteam.stats.random import exponential, normal, stream_key, uniform
from oneteam.synth import streams
from oneteam.synth.people import draw

DAY_S: Final = 86_400
LATEST_S: Final = 85_800
"""People who sleep at home are home by then."""
EARLIEST_S: Final = 14_400
MAX_STAYS: Final = 8
ABROAD: Final = -1
"""Place of who is in another country."""

TRIP_WINDOW_DAYS: Final = 28
MAX_NIGHTS_ABROAD: Final = 24
ABROAD_PER_WINDOW: Final = 0.042
"""Chance to fly abroad within a window (Korea 2019: 29 million departures, 51 million people: 0.044 in 28 days)."""
OVERNIGHT_PER_WEEK: Final = 0.06
AIRPORT_BEFORE_S: Final = 9_000
AIRPORT_AFTER_S: Final = 3_600
NEVER: Final = 32_000

_DAY = int(streams.Stream.DAY)
_ABROAD = int(streams.Stream.ABROAD)
_OVERNIGHT = int(streams.Stream.OVERNIGHT)

STAYING, LEAVING, AWAY, RETURNING = 0, 1, 2, 3


class World(NamedTuple):
    """What a plan depends on; a tuple of arrays, as compiled loops want it."""

    seed: np.uint64
    first_weekday: int
    roaming: int
    place_x: npt.NDArray[np.float32]
    place_y: npt.NDArray[np.float32]
    place_zone: npt.NDArray[np.int32]
    first_class: int
    venue_start: npt.NDArray[np.int32]
    airport_of: npt.NDArray[np.int32]
    home: npt.NDArray[np.int32]
    work: npt.NDArray[np.int32]
    leisure: npt.NDArray[np.float32]
    far: npt.NDArray[np.float32]
    country_cumulative: npt.NDArray[np.float64]
    country_nights: npt.NDArray[np.float64]
    isolated_from: npt.NDArray[np.int16]
    isolation_days: int


class Plan(NamedTuple):
    """Room for one day's stays."""

    place: npt.NDArray[np.int32]
    start_s: npt.NDArray[np.int32]
    end_s: npt.NDArray[np.int32]


def new_plan() -> Plan:
    """An empty plan, to be filled by `plan_day`."""
    return Plan(np.zeros(MAX_STAYS, np.int32), np.zeros(MAX_STAYS, np.int32), np.zeros(MAX_STAYS, np.int32))


@compiled
def travel_s(world: World, a: int, b: int) -> int:
    """Time from place to place [s]: five minutes to get going, then 18 km/h in town up to 75 km/h across the country."""
    if a == b:
        return 0
    km = math.hypot(world.place_x[a] - world.place_x[b], world.place_y[a] - world.place_y[b]) / 1_000.0
    return int(300 + km / (18.0 + 57.0 * km / (km + 25.0)) * 3_600.0)


@compiled
def weekday(world: World, day: int) -> int:
    """Monday is 0."""
    return (day + world.first_weekday) % 7


@compiled
def trip_abroad(world: World, person: int, day: int) -> tuple[int, int, int, int, int, int]:
    """The trip abroad whose first to last day hold ``day``: (state, country, departure day, return day, departure, return [s]).

    ``state`` is STAYING when there is none. Each person has windows of 28 days with a phase of their own, and at most one trip in each.
    """
    if world.roaming == 0:
        return STAYING, -1, 0, 0, 0, 0
    phase = int(uniform(stream_key(world.seed, _ABROAD, person, -1), 0) * TRIP_WINDOW_DAYS)
    window = (day + phase) // TRIP_WINDOW_DAYS
    key = stream_key(world.seed, _ABROAD, person, window)
    if uniform(key, 0) >= ABROAD_PER_WINDOW:
        return STAYING, -1, 0, 0, 0, 0
    u = uniform(key, 1)
    country = 0
    while country < len(world.country_cumulative) - 1 and world.country_cumulative[country] <= u:
        country += 1
    nights = min(MAX_NIGHTS_ABROAD, 1 + int(world.country_nights[country] * 0.5 * (exponential(key, 2) + exponential(key, 3))))
    first = window * TRIP_WINDOW_DAYS - phase + int(uniform(key, 4) * (TRIP_WINDOW_DAYS - nights))
    last = first + nights
    home = world.home[person]
    airport = world.airport_of[world.place_zone[home]]
    soonest = EARLIEST_S + travel_s(world, home, airport) + AIRPORT_BEFORE_S
    depart_s = min(max(soonest, int(28_000 + 48_000 * uniform(key, 5))), DAY_S - 600)
    return_s = int(18_000 + 40_000 * uniform(key, 6))
    if day < first or day > last:
        return STAYING, -1, 0, 0, 0, 0
    state = LEAVING if day == first else (RETURNING if day == last else AWAY)
    return state, country, first, last, depart_s, return_s


@compiled
def overnight(world: World, person: int, day: int) -> tuple[int, int]:
    """A weekend away within the country: (state, place). Leaves on Friday evening or Saturday morning, returns on Sunday."""
    on = weekday(world, day)
    if on < 4:
        return STAYING, -1
    week = (day + world.first_weekday) // 7
    key = stream_key(world.seed, _OVERNIGHT, person, week)
    if uniform(key, 0) >= OVERNIGHT_PER_WEEK:
        return STAYING, -1
    first = 4 if uniform(key, 1) < 0.4 else 5
    if on < first:
        return STAYING, -1
    monday = week * 7 - world.first_weekday
    for d in range(monday + first, monday + 7):
        if trip_abroad(world, person, d)[0] != STAYING or _isolated(world, person, d):
            return STAYING, -1
    zone = draw(world.far[world.place_zone[world.home[person]]], uniform(key, 2))
    place = venue(world, zone, uniform(key, 3))
    return (LEAVING if on == first else (RETURNING if on == 6 else AWAY)), place


@compiled
def _isolated(world: World, person: int, day: int) -> bool:
    since = world.isolated_from[person]
    return bool(since <= day < since + world.isolation_days)


@compiled
def venue(world: World, zone: int, u: float) -> int:
    """One of a zone's venues; some draw many more people than others."""
    first = world.venue_start[zone]
    return int(first + u * u * (world.venue_start[zone + 1] - first))


@compiled
def _go(world: World, plan: Plan, n: int, to: int, leave_s: int) -> int:
    """Leave the last stay for another place, and stay there until the day ends; a number of stays later."""
    plan.end_s[n - 1] = leave_s
    plan.place[n] = to
    plan.start_s[n] = leave_s + travel_s(world, plan.place[n - 1], to)
    plan.end_s[n] = DAY_S
    return n + 1


@compiled
def _outing(world: World, plan: Plan, n: int, base: int, to: int, leave_s: int, stay_s: int) -> int:
    """Go somewhere for a while if there is time to be back at the base by night; its end stands in ``end_s`` until the next move."""
    last = n - 1
    soonest = plan.start_s[last] + 600 if plan.place[last] == base else plan.end_s[last]
    leave_s = max(leave_s, soonest)
    there = travel_s(world, plan.place[last], to)
    stay_s = min(stay_s, LATEST_S - leave_s - there - travel_s(world, to, base))
    if stay_s < 600 or plan.place[last] == to or n >= MAX_STAYS - 2:
        return n
    n = _go(world, plan, n, to, leave_s)
    plan.end_s[n - 1] = plan.start_s[n - 1] + stay_s
    return n


@compiled
def _back(world: World, plan: Plan, n: int, base: int) -> int:
    """Return to the base when the present stay is over."""
    if plan.place[n - 1] == base:
        plan.end_s[n - 1] = DAY_S
        return n
    return _go(world, plan, n, base, plan.end_s[n - 1])


@compiled
def _leisure_place(world: World, base: int, key: np.uint64, counter: int) -> int:
    zone = draw(world.leisure[world.place_zone[base]], uniform(key, counter))
    return venue(world, zone, uniform(key, counter + 1))


@compiled
def _working_day(world: World, plan: Plan, n: int, home: int, work: int, key: np.uint64) -> int:
    """Work or school, now and then something on the way home."""
    pupil = work >= world.first_class
    arrive_s = (30_900 if pupil else 32_000) + int((900.0 if pupil else 3_000.0) * normal(key, 10))
    leave_s = max(EARLIEST_S, arrive_s - travel_s(world, home, work))
    finish_s = (55_500 if pupil else 64_500) + int((3_000.0 if pupil else 4_000.0) * normal(key, 11))
    arrive_s = leave_s + travel_s(world, home, work)
    n = _outing(world, plan, n, home, work, leave_s, max(7_200, finish_s - arrive_s))
    if uniform(key, 12) < 0.30:
        # Near home more often than near work.
        near = home if uniform(key, 13) < 0.6 else work
        stay_s = int(2_000 + 4_500 * exponential(key, 14))
        n = _outing(world, plan, n, home, _leisure_place(world, near, key, 15), 0, stay_s)
    return _back(world, plan, n, home)


@compiled
def _free_day(world: World, plan: Plan, n: int, base: int, key: np.uint64, outings_mean: float, latest_start_s: int) -> int:
    """Errands, visits, leisure, each from the base."""
    u = uniform(key, 20)
    count = 0 if u < 0.35 / outings_mean else (1 if u < 0.75 else 2)
    at_s = 32_000 + int(20_000 * uniform(key, 21))
    for i in range(count):
        stay_s = int(1_500 + 6_000 * exponential(key, 22 + 4 * i))
        to = _leisure_place(world, base, key, 23 + 4 * i)
        if at_s < latest_start_s:
            n = _back(world, plan, _outing(world, plan, n, base, to, at_s, stay_s), base)
        at_s = max(at_s, plan.start_s[n - 1]) + 3_600 + int(10_000 * uniform(key, 25 + 4 * i))
    return _back(world, plan, n, base)


@compiled
def _begin(plan: Plan, place: int) -> int:
    plan.place[0] = place
    plan.start_s[0] = 0
    plan.end_s[0] = DAY_S
    return 1


@compiled
def _flying_day(world: World, plan: Plan, home: int, state: int, depart_s: int, return_s: int) -> int:
    airport = world.airport_of[world.place_zone[home]]
    if state == AWAY:
        return _begin(plan, ABROAD)
    if state == LEAVING:
        n = _begin(plan, home)
        n = _go(world, plan, n, airport, max(EARLIEST_S, depart_s - AIRPORT_BEFORE_S - travel_s(world, home, airport)))
        plan.end_s[n - 1] = depart_s
        plan.place[n] = ABROAD
        plan.start_s[n] = depart_s
        plan.end_s[n] = DAY_S
        return n + 1
    n = _begin(plan, ABROAD)
    plan.end_s[0] = return_s
    plan.place[n] = airport
    plan.start_s[n] = return_s
    return _go(world, plan, n + 1, home, return_s + AIRPORT_AFTER_S)


@compiled
def _weekend_away(world: World, plan: Plan, home: int, hotel: int, state: int, day: int, key: np.uint64) -> int:
    if state == LEAVING:
        n = _begin(plan, home)
        leave_s = (62_000 if weekday(world, day) == 4 else 31_000) + int(6_000 * uniform(key, 0))
        return _go(world, plan, n, hotel, min(leave_s, DAY_S - 1 - travel_s(world, home, hotel)))
    if state == AWAY:
        return _free_day(world, plan, _begin(plan, hotel), hotel, key, 1.5, 70_000)
    n = _begin(plan, hotel)
    leave_s = 45_000 + int(18_000 * uniform(key, 0))
    return _go(world, plan, n, home, min(leave_s, LATEST_S - travel_s(world, hotel, home)))


@compiled
def plan_day(world: World, person: int, day: int, plan: Plan) -> int:
    """Fill a person's plan of a day; the number of stays.

    Stays are in order, do not overlap, start at 0 and end at 86,400. ``place`` is `ABROAD` while in another country.
    """
    home = world.home[person]
    state, _, _, _, depart_s, return_s = trip_abroad(world, person, day)
    if state != STAYING:
        return _flying_day(world, plan, home, state, depart_s, return_s)
    if _isolated(world, person, day):
        return _begin(plan, home)
    key = stream_key(world.seed, _DAY, person, day)
    state, hotel = overnight(world, person, day)
    if state != STAYING:
        return _weekend_away(world, plan, home, hotel, state, day, key)
    n = _begin(plan, home)
    work = world.work[person]
    if work >= 0 and weekday(world, day) < 5 and uniform(key, 1) < 0.93:
        return _working_day(world, plan, n, home, work, key)
    return _free_day(world, plan, n, home, key, 1.4 if weekday(world, day) >= 5 else 1.0, 68_000)


class Plans(NamedTuple):
    """Plans of several persons; ``stays`` has shape (persons,), the others (persons, `MAX_STAYS`)."""

    stays: npt.NDArray[np.int32]
    place: npt.NDArray[np.int32]
    start_s: npt.NDArray[np.int32]
    end_s: npt.NDArray[np.int32]


@compiled
def plan_people(world: World, persons: npt.NDArray[np.int32], day: int) -> Plans:
    """The plans of some persons on a day. Other loops read these, so that the planner is compiled once."""
    n = len(persons)
    stays = np.zeros(n, np.int32)
    place = np.zeros((n, MAX_STAYS), np.int32)
    start_s = np.zeros((n, MAX_STAYS), np.int32)
    end_s = np.zeros((n, MAX_STAYS), np.int32)
    for i in range(n):
        stays[i] = plan_day(world, persons[i], day, Plan(place[i], start_s[i], end_s[i]))
    return Plans(stays, place, start_s, end_s)
