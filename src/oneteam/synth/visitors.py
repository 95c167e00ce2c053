"""Visitors from abroad: who is in the country on a day, and where they are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from oneteam.stats.compiled import compiled
from oneteam.stats.random import exponential, stream_key, uniform
from oneteam.synth import streams
from oneteam.synth.people import draw
from oneteam.synth.schedules import DAY_S, MAX_STAYS, Plans, World, travel_s, venue

PRESENT_SHARE: Final = 0.012
"""Visitors present on a day, per subscription."""
WINDOW_DAYS: Final = 16
MAX_NIGHTS: Final = 14
MEAN_NIGHTS: Final = 4.6
FIRST_PHONE: Final = 1 << 40
"""Numbers of visitors begin here, far above those of residents."""
_MAX_WINDOWS: Final = 1 << 16
_MARGIN: Final = 32
"""Windows are counted from this far before the first day."""

_VISITOR = int(streams.Stream.VISITOR)
_VISITOR_DAY = int(streams.Stream.VISITOR_DAY)


@dataclass(frozen=True)
class Visitors:
    """Visitors who are in the country on a day, by position.

    Args:
        number: of each visitor, unique over the simulation.
        country: index of the home country.
        carrier: the network their phone chose.
        first_day: of arrival.
        last_day: of departure.
        hotel: place where they sleep.
    """

    number: npt.NDArray[np.int64]
    country: npt.NDArray[np.int32]
    carrier: npt.NDArray[np.int8]
    first_day: npt.NDArray[np.int32]
    last_day: npt.NDArray[np.int32]
    hotel: npt.NDArray[np.int32]


def slots(subscriptions: int) -> int:
    """How many chances for a visitor there are in each window; each window holds at most one visitor a slot."""
    return round(subscriptions * PRESENT_SHARE * WINDOW_DAYS / (MEAN_NIGHTS + 1))


def visitors_on(
    world: World, slot_count: int, day: int, popularity: npt.NDArray[np.float32], carrier_cumulative: npt.NDArray[np.float64]
) -> Visitors:
    """Visitors present on a day.

    Args:
        world: the country.
        slot_count: from `slots`.
        day: its number.
        popularity: cumulative distribution of hotels over zones.
        carrier_cumulative: cumulative distribution over carriers.
    """
    return Visitors(*_present(world, slot_count, day, popularity, carrier_cumulative))


@compiled
def _present(
    world: World, slot_count: int, day: int, popularity: npt.NDArray[np.float32], carrier_cumulative: npt.NDArray[np.float64]
) -> tuple[
    npt.NDArray[np.int64],
    npt.NDArray[np.int32],
    npt.NDArray[np.int8],
    npt.NDArray[np.int32],
    npt.NDArray[np.int32],
    npt.NDArray[np.int32],
]:
    number = np.empty(slot_count, np.int64)
    country = np.empty(slot_count, np.int32)
    carrier = np.empty(slot_count, np.int8)
    first = np.empty(slot_count, np.int32)
    last = np.empty(slot_count, np.int32)
    hotel = np.empty(slot_count, np.int32)
    n = 0
    for slot in range(slot_count):
        phase = int(uniform(stream_key(world.seed, _VISITOR, slot, -1), 0) * WINDOW_DAYS)
        window = (day + phase + _MARGIN * WINDOW_DAYS) // WINDOW_DAYS
        key = stream_key(world.seed, _VISITOR, slot, window)
        nights = min(MAX_NIGHTS, 1 + int((MEAN_NIGHTS - 0.5) * 0.5 * (exponential(key, 0) + exponential(key, 1))))
        start = (window - _MARGIN) * WINDOW_DAYS - phase + int(uniform(key, 2) * (WINDOW_DAYS - nights))
        if day < start or day > start + nights:
            continue
        number[n] = FIRST_PHONE + slot * _MAX_WINDOWS + window
        u = uniform(key, 3)
        c = 0
        while c < len(world.country_cumulative) - 1 and world.country_cumulative[c] <= u:
            c += 1
        country[n] = c
        u = uniform(key, 4)
        k = 0
        while k < len(carrier_cumulative) - 1 and carrier_cumulative[k] <= u:
            k += 1
        carrier[n] = k
        first[n] = start
        last[n] = start + nights
        hotel[n] = venue(world, draw(popularity, uniform(key, 5)), uniform(key, 6))
        n += 1
    return number[:n], country[:n], carrier[:n], first[:n], last[:n], hotel[:n]


def plan_visitors(world: World, visitors: Visitors, day: int) -> Plans:
    """Where visitors are on a day: at the airport, the hotel, and one to three sights."""
    return Plans(*_plan(world, visitors.number, visitors.first_day, visitors.last_day, visitors.hotel, day))


@compiled
def _plan(
    world: World,
    number: npt.NDArray[np.int64],
    first: npt.NDArray[np.int32],
    last: npt.NDArray[np.int32],
    hotel: npt.NDArray[np.int32],
    day: int,
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32], npt.NDArray[np.int32], npt.NDArray[np.int32]]:
    rows = len(number)
    stays = np.zeros(rows, np.int32)
    place = np.full((rows, MAX_STAYS), -1, np.int32)
    start_s = np.zeros((rows, MAX_STAYS), np.int32)
    end_s = np.zeros((rows, MAX_STAYS), np.int32)
    for row in range(rows):
        key = stream_key(world.seed, _VISITOR_DAY, number[row], day)
        airport = world.airport_of[world.place_zone[hotel[row]]]
        n = 0
        free_from = 0
        leave_by = 80_000
        if day == first[row]:
            start_s[row, 1] = int(25_000 + 30_000 * uniform(key, 0))
            end_s[row, 0] = start_s[row, 1]
            place[row, 1] = airport
            end_s[row, 1] = start_s[row, 1] + 3_600
            n = 2
            free_from = end_s[row, 1] + travel_s(world, airport, hotel[row])
        place[row, n], start_s[row, n], end_s[row, n] = hotel[row], free_from, DAY_S
        n += 1
        flight_s = int(45_000 + 35_000 * uniform(key, 1))
        if day == last[row]:
            leave_by = flight_s - 9_000 - travel_s(world, hotel[row], airport)
        at_s = max(free_from + 1_800, 33_000 + int(7_000 * uniform(key, 2)))
        for i in range(2):
            if n > MAX_STAYS - 4 or uniform(key, 3 + 5 * i) < 0.25:
                continue
            to = venue(world, draw(world.leisure[world.place_zone[hotel[row]]], uniform(key, 4 + 5 * i)), uniform(key, 5 + 5 * i))
            there = travel_s(world, place[row, n - 1], to)
            stay_s = int(3_000 + 7_000 * uniform(key, 6 + 5 * i))
            if to == place[row, n - 1] or at_s + there + stay_s + travel_s(world, to, hotel[row]) > leave_by:
                continue
            end_s[row, n - 1] = at_s
            place[row, n], start_s[row, n], end_s[row, n] = to, at_s + there, at_s + there + stay_s
            at_s = end_s[row, n]
            n += 1
        if place[row, n - 1] != hotel[row]:
            start_s[row, n] = end_s[row, n - 1] + travel_s(world, place[row, n - 1], hotel[row])
            place[row, n], end_s[row, n] = hotel[row], DAY_S
            n += 1
        if day == last[row]:
            end_s[row, n - 1] = max(start_s[row, n - 1] + 60, flight_s - 9_000 - travel_s(world, hotel[row], airport))
            place[row, n] = airport
            start_s[row, n] = end_s[row, n - 1] + travel_s(world, hotel[row], airport)
            end_s[row, n] = min(DAY_S - 60, max(flight_s, start_s[row, n] + 1_800))
            place[row, n + 1], start_s[row, n + 1], end_s[row, n + 1] = -1, end_s[row, n], DAY_S
            n += 2
        stays[row] = n
    return stays, place, start_s, end_s
