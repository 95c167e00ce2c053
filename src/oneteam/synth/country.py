"""Make a whole synthetic country: the carriers' data, the health agency's, and the truth behind both."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, replace
from itertools import islice, pairwise
from pathlib import Path
from typing import Final, TypeVar

import numpy as np
import pyarrow as pa

from oneteam.core.progress import Progress, silent
from oneteam.synth import agency, truth
from oneteam.synth.build import Country, build_country
from oneteam.synth.events import EVENTS, PERSONS_PER_BLOCK, Block, Day, EventMaker, calibrated_model, join_radio
from oneteam.synth.network import cell_ids, serve, topology
from oneteam.synth.roaming import OUTBOUND, outbound_tables
from oneteam.synth.sessions import Radio
from oneteam.synth.settings import CountrySettings, CountrySummary
from oneteam.synth.writer import RowGroupWriter, day_path, new_folder

AHEAD: Final = 2
"""Blocks made ahead of the one being written, for each thread; more would only take memory."""

T = TypeVar("T")


def make_country(settings: CountrySettings, folder: Path, progress: Progress = silent, *, force: bool = False) -> CountrySummary:
    """Write a synthetic country with known truth.

    Equal settings give equal bytes, however many threads work on it and in whatever chunks.

    Args:
        settings: what it is made from.
        folder: where to; must be empty or absent.
        progress: told of each step; events are counted in million.
        force: replace a country that stands there.

    Raises:
        InputError: a file of zones, trips or shapes that cannot be used, or the folder is not empty.
        DiskFullError: there is no room; nothing is left behind.

    Example:
        ``make_country(CountrySettings(subscribers=2_000, days=3), Path("country"))``
    """
    began = time.perf_counter()
    with new_folder(folder, force=force) as at:
        country = build_country(settings, progress)
        agency.write_geography(country, at)
        _write_networks(country, at)
        truth.write_people(country, at)
        cases = agency.write_cases(country, at)
        outbound = _write_outbound(country, at, progress)
        truth.write_history(country, at)
        generating = time.perf_counter()
        written = _write_events(country, at, progress)
        generated_s = time.perf_counter() - generating
        agency.write_description(country, at)
    seconds = time.perf_counter() - began
    total = sum(written.rows.values())
    return CountrySummary(
        folder=folder,
        zones=country.zones.count,
        persons=country.people.count,
        subscriptions=country.people.subscriptions,
        days=settings.days,
        events=total,
        inbound_events=written.inbound,
        outbound_records=outbound,
        trips=written.trips,
        infections=len(country.infections.person),
        cases=cases,
        carriers=written.rows,
        seconds=round(seconds, 3),
        events_per_s=round(total / seconds),
        generation_events_per_s=round(total / generated_s),
    )


def _write_networks(country: Country, folder: Path) -> None:
    for i, (carrier, sites) in enumerate(zip(country.carriers, country.sites, strict=True)):
        ids = cell_ids(carrier, country.settings.mcc, sites.count)
        table = topology(sites, ids, country.territory, country.settings.start_date, i, country.settings.seed)
        with RowGroupWriter(folder / carrier.name / "network" / "topology.parquet", table.schema) as writer:
            writer.write(table)


def _write_outbound(country: Country, folder: Path, progress: Progress) -> int:
    rows = 0
    days = country.settings.event_days
    for i, carrier in enumerate(country.carriers):
        progress("roaming", i, len(country.carriers))
        with RowGroupWriter(folder / carrier.name / "roaming" / "outbound.parquet", OUTBOUND) as writer:
            start, seed = country.settings.start_date, country.settings.seed
            for table in outbound_tables(country.trips, country.people, i, country.midnight_s[: days.stop + 1], start, seed, days.start):
                writer.write(table)
            rows += writer.rows
    return rows


def _radio(country: Country, day: int) -> Radio:
    places, seed = country.people.places, country.settings.seed
    return join_radio([serve(sites, places, i, day, seed) for i, sites in enumerate(country.sites)])


@dataclass
class _Written:
    """What is on disk so far: rows by carrier, those of visitors among them, true trips."""

    rows: dict[str, int]
    inbound: int = 0
    trips: int = 0


def _write_events(country: Country, folder: Path, progress: Progress) -> _Written:
    """Write all days' events, true trips and presence."""
    settings = country.settings
    radio = _radio(country, settings.event_days.start)
    maker = _event_maker(country, radio)
    written = _Written(dict.fromkeys((c.name for c in country.carriers), 0))
    days = settings.event_days
    expected = settings.events_per_day * country.people.subscriptions * len(days) / 1e6
    moves = {int(d) for sites in country.sites for d in np.unique(sites.moves_on) if d > 0}
    blocks = range(0, country.people.count, PERSONS_PER_BLOCK)
    with ExitStack() as stack:
        pool = stack.enter_context(ThreadPoolExecutor(settings.threads))
        od = stack.enter_context(truth.od_writer(folder))
        presence = stack.enter_context(truth.presence_writer(folder))
        for period in _periods(days, moves):
            if period.start in moves:
                radio = _radio(country, period.start)
            tasks = [_task(maker, radio, country.day(number), first) for number in period for first in blocks]
            made = _in_order(pool, tasks, settings.threads * AHEAD)
            for number in period:
                inbound = maker.inbound(radio, country.day(number), country.zones.jobs * (country.zones.population > 0))
                parts = _write_day(
                    country, folder, number, _counted(islice(made, len(blocks)), written, progress, expected), inbound, written
                )
                whole = truth.join_blocks(parts)
                written.trips += len(whole.person)
                od.write(truth.od_table(country, number, whole))
                presence.write(truth.presence_table(country, number, whole.presence))
    return written


def _counted(blocks: Iterator[Block], written: _Written, progress: Progress, expected: float) -> Iterator[Block]:
    """The blocks of a day, each reported as it goes by; in million events."""
    done = sum(written.rows.values())
    for block in blocks:
        done += sum(table.num_rows for table in block.tables)
        yield block
        progress("events", done / 1e6, expected)


def _event_maker(country: Country, radio: Radio) -> EventMaker:
    settings, people = country.settings, country.people
    return EventMaker(
        country.world,
        people,
        country.carriers,
        tuple(pa.array(cell_ids(c, settings.mcc, s.count)) for c, s in zip(country.carriers, country.sites, strict=True)),
        settings.mcc,
        calibrated_model(country.world, people, radio, settings.events_per_day),
        settings.chunk,
    )


def _write_day(
    country: Country, folder: Path, number: int, blocks: Iterator[Block], inbound: tuple[pa.Table, ...], written: _Written
) -> list[Block]:
    """Write each carrier's events of a day, visitors last; the blocks without their rows."""
    paths = [day_path(folder, c.name, country.date_of(number)) for c in country.carriers]
    parts: list[Block] = []
    with ExitStack() as files:
        writers = [files.enter_context(RowGroupWriter(path, EVENTS, delta=["timestamp"])) for path in paths]
        for block in blocks:
            for writer, table in zip(writers, block.tables, strict=True):
                writer.write(table)
            parts.append(replace(block, tables=()))
        for writer, table in zip(writers, inbound, strict=True):
            writer.write(table)
    for carrier, writer in zip(country.carriers, writers, strict=True):
        written.rows[carrier.name] += writer.rows
    written.inbound += sum(table.num_rows for table in inbound)
    return parts


def _periods(days: range, moves: set[int]) -> list[range]:
    """Runs of days during which no site moves."""
    edges = [days.start, *sorted(d for d in moves if days.start < d < days.stop), days.stop]
    return [range(a, b) for a, b in pairwise(edges)]


def _task(maker: EventMaker, radio: Radio, day: Day, first: int) -> Callable[[], Block]:
    return lambda: maker.block(radio, day, first)


def _in_order(pool: ThreadPoolExecutor, tasks: list[Callable[[], T]], ahead: int) -> Iterator[T]:
    """Results in the order of the tasks, a few of them made ahead."""
    waiting: deque[Future[T]] = deque()
    for task in tasks:
        waiting.append(pool.submit(task))
        if len(waiting) > ahead:
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()
