"""Network events of a day, block of people by block, in the columns of the Eurostat multi-MNO pipeline.

A block is a fixed number of people, whatever the chunk in which they are worked on: it becomes one row group in each carrier's file. Rows
are in order of time within a row group, and users are mixed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from oneteam.synth.abroad import COUNTRIES
from oneteam.synth.mobility_truth import true_presence, true_trips
from oneteam.synth.network import RASTER_M, Serving
from oneteam.synth.people import People
from oneteam.synth.records import Records, in_time_order, new_records, user_ids
from oneteam.synth.schedules import DAY_S, Plans, World, plan_people
from oneteam.synth.sessions import MAX_BURST, MAX_PER_DAY, Phones, Radio, SessionModel, make_records, session_model
from oneteam.synth.settings import Carrier
from oneteam.synth.visitors import plan_visitors, slots, visitors_on

PERSONS_PER_BLOCK: Final = 32_768

EVENTS: Final = pa.schema(
    [
        ("user_id", pa.dictionary(pa.int32(), pa.binary())),
        ("timestamp", pa.timestamp("us", tz="UTC")),
        ("mcc", pa.int32()),
        ("mnc", pa.dictionary(pa.int32(), pa.string())),
        ("plmn", pa.int32()),
        ("cell_id", pa.dictionary(pa.int32(), pa.string())),
        ("latitude", pa.float32()),
        ("longitude", pa.float32()),
        ("loc_error", pa.float32()),
    ]
)
"""As written; on disk a dictionary column is a plain binary or string column."""


@dataclass(frozen=True)
class Block:
    """What one block of people gave on one day.

    Args:
        tables: rows in order of time, by carrier.
        person: of each true trip.
        origin: zone of each true trip.
        destination: zone of each true trip.
        presence: people by hour and zone.
    """

    tables: tuple[pa.Table, ...]
    person: npt.NDArray[np.int32]
    origin: npt.NDArray[np.int32]
    destination: npt.NDArray[np.int32]
    presence: npt.NDArray[np.int64]


@dataclass(frozen=True)
class Day:
    """A day of the simulation.

    Args:
        number: 0 is the first.
        epoch_us: its local midnight [µs UTC].
        length_s: 86,400 except where clocks change.
    """

    number: int
    epoch_us: int
    length_s: int


@dataclass(frozen=True)
class EventMaker:
    """Everything that blocks need; shared by all threads, changed by none."""

    world: World
    people: People
    carriers: tuple[Carrier, ...]
    cell_ids: tuple[pa.Array, ...]
    mcc: int
    model: SessionModel
    chunk: int

    def block(self, radio: Radio, day: Day, first: int) -> Block:
        """The block of people that begins with person ``first``."""
        last = min(first + PERSONS_PER_BLOCK, self.people.count)
        users = np.zeros(len(self.carriers), np.int64)
        records, n = new_records(int(1.3 * self.model_volume() * (last - first)) + 4 * (MAX_PER_DAY + MAX_BURST)), 0
        trips = []
        presence = np.zeros((24, len(self.world.venue_start) - 1), np.int64)
        for start in range(first, last, self.chunk):
            persons = np.arange(start, min(start + self.chunk, last), dtype=np.int32)
            plans = plan_people(self.world, persons, day.number)
            who, origin, destination = true_trips(plans, self.world.place_zone)
            trips.append((who + np.int32(start), origin, destination))
            presence += true_presence(plans, self.world.place_zone, presence.shape[1])
            phones = Phones(persons.astype(np.int64), self.people.carrier[persons], self.people.second[persons])
            records, n = self._append(radio, plans, phones, users, day, records, n)
        second = self.people.second[first:last]
        tables = []
        for c in range(len(self.carriers)):
            owner = np.arange(first, last, dtype=np.int64)
            phone = np.stack(
                [np.where(self.people.carrier[first:last] == c, 2 * owner, -1), np.where(second == c, 2 * owner + 1, -1)], axis=1
            )
            phone = phone[phone >= 0]
            home = np.full(len(phone), -1, np.int32)
            tables.append(self._table(c, records, n, day, phone, home))
        person, origin, destination = (np.concatenate(parts) for parts in zip(*trips, strict=True))
        return Block(tuple(tables), person, origin, destination, presence)

    def inbound(self, radio: Radio, day: Day, popularity: npt.NDArray[np.float64]) -> tuple[pa.Table, ...]:
        """Rows of foreign visitors, by carrier; hotels stand in proportion to ``popularity``, by zone."""
        if not self.world.roaming:
            return tuple(EVENTS.empty_table() for _ in self.carriers)
        shares = np.cumsum([c.share for c in self.carriers])
        hotels = (np.cumsum(popularity) / popularity.sum()).astype(np.float32)
        visitors = visitors_on(self.world, slots(self.people.subscriptions), day.number, hotels, shares)
        plans = plan_visitors(self.world, visitors, day.number)
        phones = Phones(visitors.number, visitors.carrier, np.full(len(visitors.number), -1, np.int8))
        users = np.zeros(len(self.carriers), np.int64)
        room = new_records(int(20 * len(visitors.number)) + 4 * (MAX_PER_DAY + MAX_BURST))
        records, n = self._append(radio, plans, phones, users, day, room, 0)
        mine = [visitors.carrier == c for c in range(len(self.carriers))]
        return tuple(self._table(c, records, n, day, 2 * visitors.number[m], visitors.country[m]) for c, m in enumerate(mine))

    def model_volume(self) -> float:
        """A generous guess of records per person and day, to make room for."""
        return self.model.bursts_per_day * 10 + 10

    def _append(
        self, radio: Radio, plans: Plans, phones: Phones, users: npt.NDArray[np.int64], day: Day, records: Records, n: int
    ) -> tuple[Records, int]:
        row = 0
        while True:
            row, n = make_records(self.world.seed, self.model, radio, plans, phones, users, row, day.number, day.length_s, records, n)
            if row == len(plans.stays):
                return records, n
            larger = new_records(int(1.5 * len(records.time_us)) + 4 * (MAX_PER_DAY + MAX_BURST))
            larger.time_us[:n], larger.user[:n] = records.time_us[:n], records.user[:n]
            larger.cell[:n], larger.carrier[:n] = records.cell[:n], records.carrier[:n]
            records = larger

    def _table(
        self, carrier: int, records: Records, n: int, day: Day, phone: npt.NDArray[np.int64], home: npt.NDArray[np.int32]
    ) -> pa.Table:
        """Rows of one carrier; ``home`` is the country of each user, -1 for our own."""
        time_us, user, cell = in_time_order(records, n, carrier, day.epoch_us)
        rows = len(time_us)
        ids = user_ids(self.world.seed, phone)
        offsets = pa.py_buffer(np.arange(0, 32 * len(phone) + 1, 32, dtype=np.int32))
        names = pa.Array.from_buffers(pa.binary(), len(phone), [None, offsets, pa.py_buffer(ids)])
        if len(phone) and home[0] >= 0:
            mcc = np.array([c.mcc for c in COUNTRIES], np.int32)[home][user]
            # A Parquet dictionary must not hold a value twice.
            codes, code = np.unique([c.mnc for c in COUNTRIES], return_inverse=True)
            mnc = pa.DictionaryArray.from_arrays(pa.array(code.astype(np.int32)[home][user]), pa.array(codes.tolist()))
        else:
            mcc = np.full(rows, self.mcc, np.int32)
            mnc = pa.DictionaryArray.from_arrays(pa.array(np.zeros(rows, np.int32)), pa.array([self.carriers[carrier].mnc]))
        return pa.Table.from_arrays(
            [
                pa.DictionaryArray.from_arrays(pa.array(user), names),
                pa.array(time_us).cast(EVENTS.field("timestamp").type),
                pa.array(mcc),
                mnc,
                pa.nulls(rows, pa.int32()),
                pa.DictionaryArray.from_arrays(pa.array(cell), self.cell_ids[carrier]),
                *(pa.nulls(rows, pa.float32()) for _ in range(3)),
            ],
            schema=EVENTS,
        )


def join_radio(serving: list[Serving]) -> Radio:
    """The networks of all carriers as arrays with one row each; lists of sites that are shorter end in zeros that nothing points to."""
    sites = max(len(s.site_x) for s in serving)

    def padded(values: list[npt.NDArray[np.float64]]) -> npt.NDArray[np.float64]:
        return np.stack([np.pad(v, (0, sites - len(v))) for v in values])

    return Radio(
        np.stack([s.cells for s in serving]),
        np.stack([s.raster for s in serving]),
        serving[0].west,
        serving[0].south,
        RASTER_M,
        padded([s.site_x for s in serving]),
        padded([s.site_y for s in serving]),
        padded([s.azimuth_deg for s in serving]),
    )


def calibrated_model(world: World, people: People, radio: Radio, events_per_day: float) -> SessionModel:
    """The session model whose mean volume over a typical week is ``events_per_day`` for each subscription.

    The volume is a straight line of the rate of bursts; two runs over some thousands of people give the line.
    """
    sample = np.arange(0, people.count, max(1, people.count // 8_192), dtype=np.int32)
    phones = Phones(sample.astype(np.int64), people.carrier[sample], people.second[sample])
    count = len(sample) + int((phones.second >= 0).sum())
    quiet = world._replace(isolated_from=np.full(people.count, 32_000, np.int16))
    plans = [plan_people(quiet, sample, day) for day in range(7)]

    def volume(bursts_per_day: float) -> float:
        model = session_model(events_per_day, bursts_per_day)
        total = 0
        room = new_records(2_000_000)
        users = np.zeros(radio.cells.shape[0], np.int64)
        for day in range(7):
            row = 0
            while row < len(sample):
                row, n = make_records(world.seed, model, radio, plans[day], phones, users, row, day, DAY_S, room, 0)
                total += n
        return total / (7 * count)

    low, high = 0.2, 2.0 * events_per_day / 14.0 + 0.2
    at_low, at_high = volume(low), volume(high)
    wanted = low + (events_per_day - at_low) * (high - low) / (at_high - at_low)
    return session_model(events_per_day, max(wanted, 0.02))
