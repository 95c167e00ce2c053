"""Make a whole synthetic country: the carriers' data, the health agency's, and the truth behind both."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Final, TypeVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from oneteam.core.progress import Progress, silent
from oneteam.store.geography import read_shapes
from oneteam.synth import abroad, agency, truth
from oneteam.synth.events import EVENTS, PERSONS_PER_BLOCK, Block, Day, EventMaker, calibrated_model, join_radio
from oneteam.synth.geometry import Territory, settle
from oneteam.synth.gravity import Flows, make_flows
from oneteam.synth.mobility_truth import count_pairs
from oneteam.synth.network import Sites, build_sites, cell_ids, serve, topology
from oneteam.synth.outbreak import Infections, spread
from oneteam.synth.people import People, make_people
from oneteam.synth.roaming import OUTBOUND, Trips, list_trips, outbound_tables
from oneteam.synth.schedules import NEVER, World
from oneteam.synth.sessions import Radio
from oneteam.synth.settings import DEFAULT_CARRIERS, Carrier, CountrySettings, CountrySummary, parse_carriers, zone_info
from oneteam.synth.visitors import slots
from oneteam.synth.writer import RowGroupWriter, day_path, new_folder
from oneteam.synth.zones import Floats, Zones, generate_zones, read_od, read_zones

AHEAD: Final = 2
"""Blocks made ahead of the one being written, for each thread; more would only take memory."""
ISOLATION_DAYS: Final = 10

T = TypeVar("T")


@dataclass(frozen=True)
class Country:
    """A country before anything happens in it: everything that its history is a function of.

    Args:
        settings: what it was made from; the carriers are filled in.
        carriers: its carriers.
        zones: figures, with coordinates.
        territory: where zones lie.
        flows: who goes where.
        people: its residents.
        sites: each carrier's network.
        world: the same people as arrays for compiled loops.
        trips: abroad.
        infections: true infections; they decide who stays at home when.
        prevalence: abroad, shape (countries, days).
        midnight_s: UTC second at which each local day begins, and at which the last ends, shape (days + 1,).
    """

    settings: CountrySettings
    carriers: tuple[Carrier, ...]
    zones: Zones
    territory: Territory
    flows: Flows
    people: People
    sites: tuple[Sites, ...]
    world: World
    trips: Trips
    infections: Infections
    prevalence: Floats
    midnight_s: npt.NDArray[np.int64]

    def date_of(self, day: int) -> date:
        """The local date of a day's number."""
        return self.settings.start_date + timedelta(days=day)

    def day(self, number: int) -> Day:
        """When a day begins and how long it is."""
        return Day(number, int(self.midnight_s[number]) * 1_000_000, int(self.midnight_s[number + 1] - self.midnight_s[number]))


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
        events, inbound, trips = _write_events(country, at, progress)
        generated_s = time.perf_counter() - generating
        agency.write_description(country, at)
    seconds = time.perf_counter() - began
    total = sum(events.values())
    return CountrySummary(
        folder=folder,
        zones=country.zones.count,
        persons=country.people.count,
        subscriptions=country.people.subscriptions,
        days=settings.days,
        events=total,
        inbound_events=inbound,
        outbound_records=outbound,
        trips=trips,
        infections=len(country.infections.person),
        cases=cases,
        carriers=events,
        seconds=round(seconds, 3),
        events_per_s=round(total / seconds),
        generation_events_per_s=round(total / generated_s),
    )


def build_country(settings: CountrySettings, progress: Progress = silent) -> Country:
    """Everything that a country's history is a function of, in memory; writes nothing."""
    carriers = settings.carriers or parse_carriers(DEFAULT_CARRIERS)
    settings = settings.model_copy(update={"carriers": carriers})
    seed, days = settings.seed, settings.days
    midnight_s = _midnights(settings)
    progress("zones", 0, None)
    zones = read_zones(settings.zones) if settings.zones else generate_zones(seed, settings.zone_count)
    od = read_od(settings.od, zones.region_codes) if settings.od else None
    territory = settle(zones, read_shapes(settings.shapes) if settings.shapes else None, od, seed)
    flows = make_flows(zones, territory, od)
    progress("people", 0, None)
    people = make_people(
        zones,
        territory,
        flows,
        persons=settings.persons,
        subscriptions=settings.subscribers,
        shares=tuple(c.share for c in carriers),
        seed=seed,
    )
    largest = max(c.share for c in carriers)
    sites = tuple(build_sites(zones, territory, i, c.share / largest, days, seed) for i, c in enumerate(carriers))
    world = _world(settings, people, flows)
    prevalence = abroad.prevalence(days)
    trips = list_trips(world, days, prevalence, outbreak=settings.outbreak)
    infections = _run_outbreak(settings, world, people, trips, progress)
    return Country(settings, carriers, zones, territory, flows, people, sites, world, trips, infections, prevalence, midnight_s)


def _midnights(settings: CountrySettings) -> npt.NDArray[np.int64]:
    zone = zone_info(settings.timezone)
    days = (settings.start_date + timedelta(days=d) for d in range(settings.days + 1))
    return np.array([int(datetime(d.year, d.month, d.day, tzinfo=zone).timestamp()) for d in days], np.int64)


def _world(settings: CountrySettings, people: People, flows: Flows) -> World:
    places = people.places
    return World(
        seed=np.uint64(settings.seed),
        first_weekday=settings.start_date.weekday(),
        roaming=int(settings.roaming),
        place_x=places.x,
        place_y=places.y,
        place_zone=places.zone,
        first_class=places.first_class,
        venue_start=places.venue_start,
        airport_of=places.airport_of,
        home=people.home,
        work=people.work,
        leisure=flows.leisure,
        far=flows.far,
        country_cumulative=abroad.cumulative_weights(),
        country_nights=np.array([c.nights for c in abroad.COUNTRIES]),
        isolated_from=np.full(people.count, NEVER, np.int16),
        isolation_days=ISOLATION_DAYS,
    )


def _run_outbreak(settings: CountrySettings, world: World, people: People, trips: Trips, progress: Progress) -> Infections:
    places = people.places
    return spread(
        world,
        trips,
        settings.days if settings.outbreak else 0,
        first_venue=int(places.venue_start[0]),
        first_airport=int(places.venue_start[-1]),
        homes=places.homes,
        progress=lambda day: progress("outbreak", day + 1, settings.days),
    )


def _write_networks(country: Country, folder: Path) -> None:
    for i, (carrier, sites) in enumerate(zip(country.carriers, country.sites, strict=True)):
        ids = cell_ids(carrier, country.settings.mcc, sites.count)
        table = topology(sites, ids, country.territory, country.settings.start_date, i, country.settings.seed)
        with RowGroupWriter(folder / carrier.name / "network" / "topology.parquet", table.schema) as writer:
            writer.write(table)


def _write_outbound(country: Country, folder: Path, progress: Progress) -> int:
    rows = 0
    for i, carrier in enumerate(country.carriers):
        progress("roaming", i, len(country.carriers))
        with RowGroupWriter(folder / carrier.name / "roaming" / "outbound.parquet", OUTBOUND) as writer:
            start, seed = country.settings.start_date, country.settings.seed
            for table in outbound_tables(country.trips, country.people, i, country.midnight_s, start, seed):
                writer.write(table)
            rows += writer.rows
    return rows


def _radio(country: Country, day: int) -> Radio:
    places, seed = country.people.places, country.settings.seed
    return join_radio([serve(sites, places, i, day, seed) for i, sites in enumerate(country.sites)])


def _write_events(country: Country, folder: Path, progress: Progress) -> tuple[dict[str, int], int, int]:
    """Write all days' events, true trips and presence: (events by carrier, inbound events, trips)."""
    settings, people = country.settings, country.people
    radio = _radio(country, 0)
    maker = EventMaker(
        country.world,
        people,
        country.carriers,
        tuple(pa.array(cell_ids(c, settings.mcc, s.count)) for c, s in zip(country.carriers, country.sites, strict=True)),
        settings.mcc,
        calibrated_model(country.world, people, radio, settings.events_per_day),
        settings.chunk,
    )
    popularity = np.cumsum(country.zones.jobs * (country.zones.population > 0))
    popularity = (popularity / popularity[-1]).astype(np.float32)
    visitor_slots = slots(people.subscriptions) if settings.roaming else 0
    rows = dict.fromkeys((c.name for c in country.carriers), 0)
    expected = settings.events_per_day * people.subscriptions * settings.days / 1e6
    inbound = trips = 0
    moves = {int(d) for sites in country.sites for d in np.unique(sites.moves_on) if d > 0}
    blocks = range(0, people.count, PERSONS_PER_BLOCK)
    with ExitStack() as stack:
        pool = stack.enter_context(ThreadPoolExecutor(settings.threads))
        od = stack.enter_context(truth.od_writer(folder))
        presence = stack.enter_context(truth.presence_writer(folder))
        for period in _periods(settings.days, moves):
            if period.start in moves:
                radio = _radio(country, period.start)
            tasks = [(number, first) for number in period for first in blocks]
            made = _in_order(pool, [_task(maker, radio, country.day(number), first) for number, first in tasks], settings.threads * AHEAD)
            for number in period:
                day = country.date_of(number)
                with ExitStack() as files:
                    paths = [day_path(folder, c.name, day) for c in country.carriers]
                    writers = [files.enter_context(RowGroupWriter(p, EVENTS, delta=["timestamp"])) for p in paths]
                    parts: list[Block] = []
                    for _ in blocks:
                        block = next(made)
                        for writer, table in zip(writers, block.tables, strict=True):
                            writer.write(table)
                        parts.append(truth.without_tables(block))
                        progress("events", (sum(rows.values()) + sum(w.rows for w in writers)) / 1e6, expected)
                    if visitor_slots:
                        for writer, table in zip(
                            writers, maker.inbound(radio, country.day(number), visitor_slots, popularity), strict=True
                        ):
                            writer.write(table)
                            inbound += table.num_rows
                    for carrier, writer in zip(country.carriers, writers, strict=True):
                        rows[carrier.name] += writer.rows
                person, origin, destination = (
                    np.concatenate([getattr(b, field) for b in parts]) for field in ("person", "origin", "destination")
                )
                trips += len(person)
                od.write(truth.od_table(country, number, count_pairs(origin, destination, person, country.zones.count)))
                presence.write(truth.presence_table(country, number, np.sum([b.presence for b in parts], axis=0)))
    return rows, inbound, trips


def _periods(days: int, moves: set[int]) -> list[range]:
    """Runs of days during which no site moves."""
    edges = [0, *sorted(d for d in moves if d < days), days]
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
