"""The truth folder: what really was, for tests and studies to be held against."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from oneteam.stats.random import key_of
from oneteam.synth.abroad import COUNTRIES, DAILY_HAZARD_PER_PREVALENCE
from oneteam.synth.build import Country
from oneteam.synth.events import Block
from oneteam.synth.mobility_truth import count_pairs
from oneteam.synth.outbreak import SETTINGS, course
from oneteam.synth.records import user_ids
from oneteam.synth.roaming import travel_table
from oneteam.synth.streams import Stream
from oneteam.synth.writer import RowGroupWriter, write_truth

FOLDER: Final = "truth"
PEOPLE_PER_BATCH: Final = 262_144

TEXT: Final = pa.dictionary(pa.int32(), pa.string())
SIMS: Final = pa.schema(
    [
        ("person", pa.int64()),
        ("carrier", TEXT),
        ("user_id", pa.binary()),
        ("home_zone", TEXT),
        ("work_zone", TEXT),
        ("multi_sim", pa.bool_()),
    ]
)
REGISTERS: Final = "registers"
REGISTER: Final = pa.schema([("user_id", pa.binary()), ("person_key", pa.binary())])
"""A carrier's customers. ``person_key`` is the same at every carrier, as the linking information (연계정보) is in Korea."""

OD: Final = pa.schema([("day", pa.date32()), ("origin", TEXT), ("destination", TEXT), ("trips", pa.int64()), ("persons", pa.int64())])
PRESENCE: Final = pa.schema([("day", pa.date32()), ("hour", pa.int32()), ("zone", TEXT), ("persons", pa.int64())])


def write_people(country: Country, folder: Path) -> None:
    """``sims.parquet``: who holds which subscription; ``home.parquet``: people by zone; and every carrier's customer register."""
    people, zones = country.people, country.zones
    codes, names = pa.array(zones.codes), pa.array([c.name for c in country.carriers])
    zone = people.places.zone
    seed = np.uint64(country.settings.seed)
    with ExitStack() as stack:
        writer = stack.enter_context(RowGroupWriter(folder / FOLDER / "sims.parquet", SIMS))
        registers = [stack.enter_context(RowGroupWriter(folder / REGISTERS / f"{c.name}.parquet", REGISTER)) for c in country.carriers]
        for first in range(0, people.count, PEOPLE_PER_BATCH):
            person = np.arange(first, min(first + PEOPLE_PER_BATCH, people.count), dtype=np.int64)
            both = np.flatnonzero(people.second[person] >= 0)
            order = np.argsort(np.concatenate([2 * person, 2 * person[both] + 1]), kind="stable")
            owner = np.concatenate([person, person[both]])[order]
            phone = np.concatenate([2 * person, 2 * person[both] + 1])[order]
            carrier = np.concatenate([people.carrier[person], people.second[person[both]]])[order].astype(np.int32)
            work = people.work[owner]
            columns = [
                pa.array(owner),
                pa.DictionaryArray.from_arrays(pa.array(carrier), names),
                (ids := binary_ids(user_ids(seed, phone))),
                pa.DictionaryArray.from_arrays(pa.array(zone[people.home[owner]]), codes),
                pa.DictionaryArray.from_arrays(pa.array(zone[np.maximum(work, 0)], mask=work < 0), codes),
                pa.array(people.second[owner] >= 0),
            ]
            writer.write(pa.Table.from_arrays(columns, schema=SIMS))
            keys = binary_ids(user_ids(np.uint64(key_of(country.settings.seed, Stream.PERSON_KEY)), owner))
            register = pa.table([ids, keys], schema=REGISTER)
            for number, own in enumerate(registers):
                own.write(register.filter(pa.array(carrier == number)))
    persons = np.bincount(zone[people.home], minlength=zones.count)
    write_truth(folder / FOLDER / "home.parquet", pa.table({"zone": codes, "persons": pa.array(persons)}))


def binary_ids(ids: npt.NDArray[np.uint8]) -> pa.Array:
    """Identifiers, shape (n, 32), as an Arrow binary array."""
    offsets = np.arange(0, ids.size + 1, 32, dtype=np.int32)
    return pa.Array.from_buffers(pa.binary(), len(ids), [None, pa.py_buffer(offsets), pa.py_buffer(np.ascontiguousarray(ids))])


def write_history(country: Country, folder: Path) -> None:
    """``travel.parquet``, ``infections.parquet`` and ``countries.parquet``: trips abroad, infections, and the epidemic elsewhere."""
    settings, infections = country.settings, country.infections
    write_truth(folder / FOLDER / "travel.parquet", travel_table(country.trips, settings.start_date))
    found = [course(country.world.seed, int(p)) for p in infections.person]
    codes = pa.array(country.zones.codes)
    place = infections.place
    zone = country.people.places.zone[np.maximum(place, 0)]
    table = pa.table(
        {
            "person": pa.array(infections.person, pa.int64()),
            "infector": pa.array(infections.infector, pa.int64(), mask=infections.infector < 0),
            "day": pa.array([country.date_of(int(d)) for d in infections.day], pa.date32()),
            "setting": pa.array([SETTINGS[s] for s in infections.setting], pa.string()),
            "zone": pa.DictionaryArray.from_arrays(pa.array(zone, mask=place < 0), codes),
            "imported_country": pa.array([None if c < 0 else COUNTRIES[c].code for c in infections.country], pa.string()),
            "infectious_from": pa.array([country.date_of(int(d) + c[0]) for d, c in zip(infections.day, found, strict=True)], pa.date32()),
            "infectious_until": pa.array([country.date_of(int(d) + c[1]) for d, c in zip(infections.day, found, strict=True)], pa.date32()),
        }
    )
    write_truth(folder / FOLDER / "infections.parquet", table)
    days = country.prevalence.shape[1]
    abroad = pa.table(
        {
            "country": pa.array(np.repeat([c.code for c in COUNTRIES], days).tolist(), pa.string()),
            "day": pa.array([country.date_of(d) for d in range(days)] * len(COUNTRIES), pa.date32()),
            "prevalence": pa.array(country.prevalence.ravel()),
            "daily_hazard": pa.array(country.prevalence.ravel() * DAILY_HAZARD_PER_PREVALENCE * float(settings.outbreak)),
        }
    )
    write_truth(folder / FOLDER / "countries.parquet", abroad)


def od_writer(folder: Path) -> RowGroupWriter:
    """For ``od_daily.parquet``: trips between true stays of at least 30 minutes, by local day of arrival."""
    return RowGroupWriter(folder / FOLDER / "od_daily.parquet", OD)


def presence_writer(folder: Path) -> RowGroupWriter:
    """For ``presence.parquet``: people staying in each zone at half past each hour."""
    return RowGroupWriter(folder / FOLDER / "presence.parquet", PRESENCE)


def join_blocks(blocks: Sequence[Block]) -> Block:
    """All people of a day as one block, without rows."""
    return Block(
        (),
        np.concatenate([b.person for b in blocks]),
        np.concatenate([b.origin for b in blocks]),
        np.concatenate([b.destination for b in blocks]),
        np.sum([b.presence for b in blocks], axis=0),
    )


def od_table(country: Country, day: int, whole: Block) -> pa.Table:
    """One day's rows of ``od_daily.parquet``."""
    origin, destination, trips, persons = count_pairs(whole.origin, whole.destination, whole.person, country.zones.count)
    codes = pa.array(country.zones.codes)
    columns = [
        pa.repeat(pa.scalar(country.date_of(day), pa.date32()), len(trips)),
        pa.DictionaryArray.from_arrays(pa.array(origin.astype(np.int32)), codes),
        pa.DictionaryArray.from_arrays(pa.array(destination.astype(np.int32)), codes),
        pa.array(trips),
        pa.array(persons),
    ]
    return pa.Table.from_arrays(columns, schema=OD)


def presence_table(country: Country, day: int, presence: npt.NDArray[np.int64]) -> pa.Table:
    """One day's rows of ``presence.parquet``; empty zones are left out."""
    hour, zone = np.nonzero(presence)
    columns = [
        pa.repeat(pa.scalar(country.date_of(day), pa.date32()), len(hour)),
        pa.array(hour.astype(np.int32)),
        pa.DictionaryArray.from_arrays(pa.array(zone.astype(np.int32)), pa.array(country.zones.codes)),
        pa.array(presence[hour, zone]),
    ]
    return pa.Table.from_arrays(columns, schema=PRESENCE)
