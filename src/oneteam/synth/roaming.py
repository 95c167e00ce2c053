"""Trips abroad, and what the carriers' roaming partners report of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from oneteam.stats.compiled import compiled
from oneteam.stats.random import poisson, stream_key, uniform
from oneteam.synth import streams
from oneteam.synth.abroad import COUNTRIES, DAILY_HAZARD_PER_PREVALENCE, utc_offsets_min
from oneteam.synth.people import People
from oneteam.synth.records import user_ids
from oneteam.synth.schedules import MAX_NIGHTS_ABROAD, STAYING, World, trip_abroad

Index = npt.NDArray[np.int32]

EVENT_TYPES: Final = ("registration", "data", "voice_mo", "voice_mt", "sms_mt")
RECORDS_PER_DAY: Final = 4.0
FLIGHT_S_PER_HOUR_OF_OFFSET: Final = 3_600
SHORTEST_FLIGHT_S: Final = 7_200
TRIPS_PER_BATCH: Final = 65_536

OUTBOUND: Final = pa.schema(
    [
        ("user_id", pa.binary()),
        ("timestamp", pa.string()),
        ("plmn", pa.int32()),
        ("country", pa.string()),
        ("event_type", pa.string()),
    ]
)
"""Own subscribers seen by networks abroad; ``timestamp`` is local time there with its UTC offset, as ISO 8601."""

_OUTBOUND = int(streams.Stream.OUTBOUND)
_INFECTED = int(streams.Stream.INFECTED_ABROAD)


@dataclass(frozen=True)
class Trips:
    """Trips abroad that touch the simulated days, by person.

    Args:
        person: who.
        country: index in `COUNTRIES`.
        first_day: of departure; may lie before the first day.
        last_day: of return; may lie after the last day.
        depart_s: local time of departure [s].
        return_s: local time of return [s].
        infected_on: day of infection abroad, ``NOT_INFECTED`` for none.
    """

    person: Index
    country: Index
    first_day: Index
    last_day: Index
    depart_s: Index
    return_s: Index
    infected_on: Index

    @property
    def count(self) -> int:
        """How many trips."""
        return len(self.person)


NOT_INFECTED: Final = -30_000


def list_trips(world: World, days: int, prevalence: npt.NDArray[np.float64], *, outbreak: bool) -> Trips:
    """All trips that touch days 0 to ``days - 1``, and who is infected on one.

    Args:
        world: the country.
        days: of the simulation.
        prevalence: abroad, shape (countries, days).
        outbreak: whether anyone is infected at all.
    """
    hazard = prevalence * DAILY_HAZARD_PER_PREVALENCE if outbreak else np.zeros_like(prevalence)
    return Trips(*_list_trips(world, days, hazard))


@compiled
def _list_trips(world: World, days: int, hazard: npt.NDArray[np.float64]) -> tuple[Index, Index, Index, Index, Index, Index, Index]:
    capacity = 1_024
    out = np.empty((7, capacity), np.int32)
    n = 0
    for person in range(len(world.home)):
        day = 0
        while day < days:
            state, country, first, last, depart_s, return_s = trip_abroad(world, person, day)
            if state == STAYING:
                day += 1
                continue
            if n == capacity:
                larger = np.empty((7, 2 * capacity), np.int32)
                larger[:, :capacity] = out
                out = larger
                capacity *= 2
            infected_on = NOT_INFECTED
            key = stream_key(world.seed, _INFECTED, person, first)
            for d in range(first, last + 1):
                if uniform(key, d - first) < hazard[country, min(max(d, 0), days - 1)]:
                    infected_on = d
                    break
            out[0, n], out[1, n], out[2, n], out[3, n] = person, country, first, last
            out[4, n], out[5, n], out[6, n] = depart_s, return_s, infected_on
            n += 1
            day = last + 1
    return out[0, :n], out[1, :n], out[2, :n], out[3, :n], out[4, :n], out[5, :n], out[6, :n]


def outbound_tables(
    trips: Trips, people: People, carrier: int, midnight_s: npt.NDArray[np.int64], start: date, seed: int, first_day: int = 0
) -> Iterator[pa.Table]:
    """Roaming records of one carrier's subscribers, batch of trips by batch, in order of time within each.

    Args:
        trips: of all people.
        people: who subscribes where.
        carrier: index of the carrier.
        midnight_s: UTC second at which each simulated local day begins, and at which the last ends, shape (days + 1,).
        start: date of day 0.
        seed: of the country.
        first_day: of the records; earlier days have none.
    """
    days = len(midnight_s) - 1
    offsets = utc_offsets_min(start, -MAX_NIGHTS_ABROAD - 8, days + MAX_NIGHTS_ABROAD + 8)
    for first in range(0, max(trips.count, 1), TRIPS_PER_BATCH):
        part = slice(first, first + TRIPS_PER_BATCH)
        person = trips.person[part].astype(np.int64)
        mine = [np.flatnonzero(which[person] == carrier) for which in (people.carrier, people.second)]
        trip = np.concatenate(mine)
        phone = np.concatenate([2 * person[mine[0]], 2 * person[mine[1]] + 1])
        country = trips.country[part][trip]
        row, utc_s, kind = _records(
            np.uint64(seed),
            phone,
            trips.first_day[part][trip],
            trips.last_day[part][trip],
            trips.depart_s[part][trip],
            trips.return_s[part][trip],
            _flight_s(offsets)[country],
            midnight_s,
            first_day,
        )
        order = np.lexsort((row, utc_s))
        row, utc_s, kind = row[order], utc_s[order], kind[order]
        at = country[row]
        day = np.searchsorted(midnight_s, utc_s, side="right") - 1
        offset_min = offsets[at, day + MAX_NIGHTS_ABROAD + 8]
        ids = user_ids(np.uint64(seed), phone)
        names = pa.array(ids.tobytes()[i : i + 32] for i in range(0, ids.size, 32)).cast(pa.binary())
        yield pa.Table.from_arrays(
            [
                names.take(pa.array(row)),
                pa.array(_iso(utc_s, offset_min)),
                pa.array(np.array([c.plmn for c in COUNTRIES], np.int32)[at]),
                pa.array([c.code for c in COUNTRIES]).take(pa.array(at)),
                pa.array(EVENT_TYPES).take(pa.array(kind)),
            ],
            schema=OUTBOUND,
        )


def _flight_s(offsets: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Time in the air to each country, from how far round the world it lies."""
    away_min = np.abs(offsets[:, 0] - 540)
    return np.asarray(SHORTEST_FLIGHT_S + np.minimum(away_min, 1_440 - away_min) * FLIGHT_S_PER_HOUR_OF_OFFSET // 60, np.int64)


@compiled
def _records(
    seed: np.uint64,
    phone: npt.NDArray[np.int64],
    first_day: Index,
    last_day: Index,
    depart_s: Index,
    return_s: Index,
    flight_s: npt.NDArray[np.int64],
    midnight_s: npt.NDArray[np.int64],
    from_day: int,
) -> tuple[Index, npt.NDArray[np.int64], Index]:
    """(row of ``phone``, UTC second, event type) of records between landing abroad and taking off again, on the simulated days."""
    days = len(midnight_s) - 1
    capacity = 1_024
    row, at, kind = np.empty(capacity, np.int32), np.empty(capacity, np.int64), np.empty(capacity, np.int32)
    n = 0
    for i in range(len(phone)):
        for day in range(max(first_day[i], from_day), min(last_day[i], days - 1) + 1):
            key = stream_key(seed, _OUTBOUND, phone[i], day)
            low = midnight_s[day] + (depart_s[i] + flight_s[i] if day == first_day[i] else 0)
            high = midnight_s[day] + return_s[i] - flight_s[i] if day == last_day[i] else midnight_s[day + 1]
            if high <= low:
                continue
            count = min(1 + poisson(key, 0, RECORDS_PER_DAY * (high - low) / 86_400.0), 40)
            if n + count > capacity:
                grown = 2 * capacity + count
                row2, at2, kind2 = np.empty(grown, np.int32), np.empty(grown, np.int64), np.empty(grown, np.int32)
                row2[:n], at2[:n], kind2[:n] = row[:n], at[:n], kind[:n]
                row, at, kind, capacity = row2, at2, kind2, grown
            for k in range(count):
                landing = k == 0 and day == first_day[i]
                u = uniform(key, 2 * k + 1)
                row[n] = i
                at[n] = low + int((0.02 * u if landing else u) * (high - low))
                kind[n] = 0 if landing or uniform(key, 2 * k + 2) < 0.15 else 1 + int(uniform(key, 2 * k + 2) * 1_000_003.0) % 4
                n += 1
    return row[:n], at[:n], kind[:n]


def _iso(utc_s: npt.NDArray[np.int64], offset_min: npt.NDArray[np.int64]) -> list[str]:
    """Local times with offset, like 2020-01-06T14:03:59+09:00."""
    local = np.datetime_as_string((utc_s + 60 * offset_min).astype("datetime64[s]"))
    sign = np.where(offset_min < 0, "-", "+")
    hours, minutes = np.divmod(np.abs(offset_min), 60)
    return [f"{t}{s}{h:02d}:{m:02d}" for t, s, h, m in zip(local.tolist(), sign.tolist(), hours.tolist(), minutes.tolist(), strict=True)]


def travel_table(trips: Trips, start: date) -> pa.Table:
    """The truth about trips abroad."""

    def dates(days: Index) -> pa.Array:
        return pa.array([start + timedelta(days=int(d)) for d in days], pa.date32())

    infected = trips.infected_on != NOT_INFECTED
    return pa.table(
        {
            "person": pa.array(trips.person, pa.int64()),
            "country": pa.array([COUNTRIES[c].code for c in trips.country], pa.string()),
            "depart": dates(trips.first_day),
            "return": dates(trips.last_day),
            "depart_s": pa.array(trips.depart_s),
            "return_s": pa.array(trips.return_s),
            "infected": pa.array(infected),
        }
    )
