"""People: who lives with whom and where, where they work or study, where they may meet, and which carriers they subscribe to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from oneteam.stats.compiled import compiled
from oneteam.stats.random import key_of, normals, uniform, uniforms
from oneteam.synth.geometry import POINTS_PER_ZONE, Territory
from oneteam.synth.gravity import Flows
from oneteam.synth.streams import Stream
from oneteam.synth.zones import Floats, Zones, allot, random_order

Index = npt.NDArray[np.int32]

HOUSEHOLD_SIZES: Final = (0.32, 0.28, 0.20, 0.15, 0.05)
"""Shares of households of 1 to 5 people; near Korea's in 2020."""
STUDENT_SHARE: Final = 0.17
WORKPLACE_SIZE: Final = 9
CLASS_SIZE: Final = 22
PEOPLE_PER_VENUE: Final = 40
MIN_VENUES: Final = 12
MAX_VENUES: Final = 300
AIRPORTS: Final = 2
HOME_JITTER_M: Final = 60.0
ZONE_SHARE_LOG_SD: Final = 0.30
REGION_SHARE_LOG_SD: Final = 0.20


@dataclass(frozen=True)
class Places:
    """Every place where someone can be. Homes come first, then workplaces, classes, venues (by zone) and airports.

    Args:
        x: east [m], float32.
        y: north [m], float32.
        zone: index of the zone.
        homes: number of homes.
        first_class: first place that is a school class; workplaces lie between ``homes`` and it.
        venue_start: first venue of each zone, shape (zones + 1,).
        airport_of: the airport that each zone uses, shape (zones,).
    """

    x: npt.NDArray[np.float32]
    y: npt.NDArray[np.float32]
    zone: Index
    homes: int
    first_class: int
    venue_start: Index
    airport_of: Index


@dataclass(frozen=True)
class People:
    """The residents, household by household, zone by zone.

    Args:
        places: where they can be.
        home: place of each person's home.
        work: place of work or study, -1 for none.
        carrier: index of each person's carrier.
        second: index of the carrier of a second subscription, -1 for none.
        share: market share by zone and carrier, shape (zones, carriers).
    """

    places: Places
    home: Index
    work: Index
    carrier: npt.NDArray[np.int8]
    second: npt.NDArray[np.int8]
    share: Floats

    @property
    def count(self) -> int:
        """How many people."""
        return len(self.home)

    @property
    def subscriptions(self) -> int:
        """First and second ones."""
        return self.count + int((self.second >= 0).sum())


def make_people(
    zones: Zones, territory: Territory, flows: Flows, *, persons: int, subscriptions: int, shares: tuple[float, ...], seed: int
) -> People:
    """Settle a country.

    Args:
        zones: figures; people live in proportion to ``population``.
        territory: where zones lie.
        flows: who goes where.
        persons: how many people.
        subscriptions: how many subscriptions; those above ``persons`` are second ones.
        shares: national market shares of the carriers.
        seed: of the country.
    """
    by_zone = allot(persons, zones.population)
    home, home_zone = _households(by_zone, seed)
    role, work_zone = _roles(zones, flows, home_zone[home], seed)
    work, work_zones, class_zones = _workplaces(role, work_zone, zones.count, first=len(home_zone), seed=seed)
    venues = np.clip(by_zone // PEOPLE_PER_VENUE, MIN_VENUES, MAX_VENUES)
    airports = _airport_zones(zones, territory)
    zone = np.concatenate([home_zone, work_zones, class_zones, np.repeat(np.arange(zones.count), venues), airports]).astype(np.int32)
    x, y = _positions(territory, zone, seed)
    first_venue = len(home_zone) + len(work_zones) + len(class_zones)
    nearest = np.argmin(
        np.hypot(territory.x[:, None] - territory.x[airports][None], territory.y[:, None] - territory.y[airports][None]), axis=1
    )
    first_airport = first_venue + int(venues.sum())
    places = Places(
        x,
        y,
        zone,
        homes=len(home_zone),
        first_class=len(home_zone) + len(work_zones),
        venue_start=(first_venue + np.concatenate([[0], np.cumsum(venues)])).astype(np.int32),
        airport_of=(first_airport + nearest).astype(np.int32),
    )
    share = _zone_shares(zones, np.array(shares), by_zone, seed)
    cumulative = np.cumsum(share, axis=1)
    carrier = _draw_carriers(key_of(seed, Stream.CARRIERS, 1), zone[home], cumulative)
    second = np.full(persons, -1, np.int8)
    owners = np.sort(random_order(key_of(seed, Stream.SECOND_SIM), persons)[: max(0, subscriptions - persons)])
    second[owners] = _draw_carriers(key_of(seed, Stream.CARRIERS, 2), zone[home[owners]], cumulative)
    return People(places, home, work, carrier, second, share)


def _households(by_zone: npt.NDArray[np.int64], seed: int) -> tuple[Index, Index]:
    """Home of each person, zone of each home."""
    cumulative = np.cumsum(HOUSEHOLD_SIZES)
    sizes, zones = [], []
    for z, people in enumerate(by_zone):
        if people == 0:
            continue
        u = uniforms(key_of(seed, Stream.HOUSEHOLDS, z), 0, int(people))
        size = np.minimum(np.searchsorted(cumulative, u, side="right"), len(cumulative) - 1) + 1
        total = np.cumsum(size)
        last = int(np.searchsorted(total, people))
        size = size[: last + 1]
        size[last] -= total[last] - people
        sizes.append(size)
        zones.append(np.full(len(size), z, np.int32))
    size = np.concatenate(sizes)
    return np.repeat(np.arange(len(size), dtype=np.int32), size), np.concatenate(zones)


def _roles(zones: Zones, flows: Flows, home_zone: Index, seed: int) -> tuple[npt.NDArray[np.int8], Index]:
    """Role (0 none, 1 works, 2 studies) and zone of work or study of each person."""
    works = np.divide(zones.employed, zones.population, out=np.zeros(zones.count), where=zones.population > 0)
    return _draw_roles(key_of(seed, Stream.ROLES), home_zone, works, np.minimum(STUDENT_SHARE, 1 - works), flows.work, flows.school)


@compiled
def _draw_roles(
    key: np.uint64, home_zone: Index, works: Floats, studies: Floats, work: npt.NDArray[np.float32], school: npt.NDArray[np.float32]
) -> tuple[npt.NDArray[np.int8], Index]:
    role = np.zeros(len(home_zone), np.int8)
    to = np.full(len(home_zone), -1, np.int32)
    for p in range(len(home_zone)):
        z = home_zone[p]
        u = uniform(key, 2 * p)
        if u < works[z]:
            role[p] = 1
            to[p] = draw(work[z], uniform(key, 2 * p + 1))
        elif u < works[z] + studies[z]:
            role[p] = 2
            to[p] = draw(school[z], uniform(key, 2 * p + 1))
    return role, to


@compiled
def draw(cumulative: npt.NDArray[np.float32], u: float) -> int:
    """The first index whose cumulative probability exceeds ``u``."""
    low = 0
    high = len(cumulative) - 1
    while low < high:
        middle = (low + high) // 2
        if cumulative[middle] > u:
            high = middle
        else:
            low = middle + 1
    return low


def _workplaces(
    role: npt.NDArray[np.int8], zone: Index, zones: int, *, first: int, seed: int
) -> tuple[Index, npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Place of work of each person (-1 for none), zones of the workplaces, zones of the classes."""
    work = np.full(len(role), -1, np.int32)
    found: list[npt.NDArray[np.int64]] = []
    start = first
    for kind, size in ((1, WORKPLACE_SIZE), (2, CLASS_SIZE)):
        members = np.flatnonzero(role == kind)
        groups = -(-np.bincount(zone[members], minlength=zones) // size)
        offset = start + np.concatenate([[0], np.cumsum(groups)])
        u = uniforms(key_of(seed, Stream.WORKPLACES, kind), 0, len(members))
        # Workplaces differ in size: the lower numbers draw more people. Classes are alike.
        u = u**1.4 if kind == 1 else u
        z = zone[members]
        work[members] = offset[z] + np.minimum((u * groups[z]).astype(np.int64), np.maximum(groups[z] - 1, 0))
        found.append(np.repeat(np.arange(zones), groups))
        start = int(offset[-1])
    return work, found[0], found[1]


def _airport_zones(zones: Zones, territory: Territory) -> npt.NDArray[np.int64]:
    """Airports: in the thinnest settled zone of each of the most populous regions."""
    region = zones.region_index
    weight = np.bincount(region, zones.population)
    density = zones.population / territory.area_m2
    chosen = []
    for r in np.argsort(-weight, kind="stable")[:AIRPORTS]:
        members = np.flatnonzero((region == r) & (zones.population > 0))
        if len(members):
            chosen.append(int(members[np.argmin(density[members])]))
    return np.array(chosen, np.int64)


def _positions(territory: Territory, zone: Index, seed: int) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    key = key_of(seed, Stream.POINTS, 1_000_000)
    n = len(zone)
    point = (uniforms(key, 0, n) * POINTS_PER_ZONE).astype(np.int64)
    x = territory.point_x[zone, point] + HOME_JITTER_M * normals(key, n, n)
    y = territory.point_y[zone, point] + HOME_JITTER_M * normals(key, 2 * n, n)
    return x.astype(np.float32), y.astype(np.float32)


def _zone_shares(zones: Zones, shares: Floats, by_zone: npt.NDArray[np.int64], seed: int) -> Floats:
    """Market shares that differ by region and zone, yet give the national ones."""
    c = len(shares)
    regions = len(zones.region_codes)
    local = ZONE_SHARE_LOG_SD * normals(key_of(seed, Stream.CARRIERS, 3), 0, zones.count * c).reshape(zones.count, c)
    regional = REGION_SHARE_LOG_SD * normals(key_of(seed, Stream.CARRIERS, 4), 0, regions * c).reshape(regions, c)
    weight = shares[None] * np.exp(local + regional[zones.region_index])
    people = by_zone / by_zone.sum()
    for _ in range(50):
        weight /= weight.sum(1, keepdims=True)
        weight *= (shares / (people @ weight))[None]
    return np.asarray(weight / weight.sum(1, keepdims=True), np.float64)


@compiled
def _draw_carriers(key: np.uint64, zone: Index, cumulative: Floats) -> npt.NDArray[np.int8]:
    out = np.zeros(len(zone), np.int8)
    last = cumulative.shape[1] - 1
    for i in range(len(zone)):
        u = uniform(key, i)
        c = 0
        while c < last and cumulative[zone[i], c] <= u:
            c += 1
        out[i] = c
    return out
