"""A country in memory: everything that its history is a function of."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final

import numpy as np
import numpy.typing as npt
from shapely.geometry.base import BaseGeometry

from oneteam.core.progress import Progress, silent
from oneteam.store.geography import read_shapes
from oneteam.synth import abroad
from oneteam.synth.events import Day
from oneteam.synth.geometry import Territory, settle
from oneteam.synth.gravity import Flows, make_flows
from oneteam.synth.network import Sites, build_sites
from oneteam.synth.outbreak import Infections, spread
from oneteam.synth.people import People, make_people
from oneteam.synth.provinces import generate_districts, read_provinces
from oneteam.synth.roaming import Trips, list_trips
from oneteam.synth.schedules import NEVER, World
from oneteam.synth.settings import DEFAULT_CARRIERS, Carrier, CountrySettings, parse_carriers, zone_info
from oneteam.synth.zones import Floats, Zones, generate_zones, read_od, read_zones

ISOLATION_DAYS: Final = 10


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


def build_country(settings: CountrySettings, progress: Progress = silent) -> Country:
    """Everything that a country's history is a function of, in memory; writes nothing."""
    carriers = settings.carriers or parse_carriers(DEFAULT_CARRIERS)
    settings = settings.check().model_copy(update={"carriers": carriers})
    seed, days = settings.seed, settings.days
    midnight_s = _midnights(settings)
    progress("zones", 0, None)
    zones, shapes = _zones(settings)
    od = read_od(settings.od, zones.region_codes) if settings.od else None
    territory = settle(zones, shapes, od, seed)
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


def _zones(settings: CountrySettings) -> tuple[Zones, dict[str, BaseGeometry] | None]:
    """The zones and, where they are given or made with them, their shapes."""
    if settings.shape is not None:
        return generate_districts(settings.seed, settings.zone_count, read_provinces(settings.shape))
    zones = read_zones(settings.zones) if settings.zones else generate_zones(settings.seed, settings.zone_count)
    return zones, read_shapes(settings.shapes) if settings.shapes else None


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
        transmission=settings.transmission,
        progress=lambda day: progress("outbreak", day + 1, settings.days),
    )
