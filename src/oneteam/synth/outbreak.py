"""An infection that spreads from person to person, only where two people truly are at the same place at the same time.

Course of an infection, in whole days: latent, then infectious; some people get symptoms; some of those (and few of the others) are found,
and stay at home from then on. People who are infected abroad carry it home.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from oneteam.stats.compiled import compiled
from oneteam.stats.random import exponential, key_of, normal, stream_key, uniform, uniforms
from oneteam.synth import streams
from oneteam.synth.roaming import NOT_INFECTED, Trips
from oneteam.synth.schedules import NEVER, Plans, World, plan_people

Index = npt.NDArray[np.int32]

SETTINGS: Final = ("household", "work", "school", "community", "abroad", "seed")
HOUSEHOLD, WORK, SCHOOL, COMMUNITY, ABROAD, SEED = range(6)
HAZARD_PER_HOUR: Final = (0.007, 0.0045, 0.0035, 0.012)
"""Rate of infection of one person by another in the first four settings [1/h]."""
COMMUNITY_CONTACTS: Final = 6.0
"""In a venue each person meets about so many others, however many there are."""
SYMPTOMATIC: Final = 0.65
FOUND_SYMPTOMATIC: Final = 0.7
FOUND_ASYMPTOMATIC: Final = 0.15
MIN_DAYS_TO_ISOLATION: Final = 4
SEED_SHARE: Final = 5e-5
"""People infected on the first day when nobody travels abroad."""
PEOPLE_PER_CHUNK: Final = 65_536

_COURSE = int(streams.Stream.COURSE)
_CONTACT = int(streams.Stream.CONTACT)


@dataclass(frozen=True)
class Infections:
    """Everyone who is infected, in order of day.

    Args:
        person: who.
        infector: by whom; -1 abroad or as a seed.
        day: when; may lie before the first day for those infected abroad.
        setting: index in `SETTINGS`.
        place: where; -1 abroad.
        country: index of the country abroad, -1 at home.
    """

    person: Index
    infector: Index
    day: Index
    setting: Index
    place: Index
    country: Index


@compiled
def course(seed: np.uint64, person: int) -> tuple[int, int, int, int]:
    """The course of a person's infection, in days after it: (infectious from, infectious until, onset or -1, found or -1).

    Infectious from the first up to and including the second. Means: latent 3.0, infectious 7, incubation 5 days.
    """
    key = stream_key(seed, _COURSE, person, 0)
    latent = 2 + (1 if uniform(key, 0) < 0.6 else 0) + (1 if uniform(key, 1) < 0.4 else 0)
    last = latent + 5 + int(4.0 * uniform(key, 2))
    ill = uniform(key, 3) < SYMPTOMATIC
    onset = latent + 1 + int(min(4.0, exponential(key, 4))) if ill else -1
    found = -1
    if uniform(key, 5) < (FOUND_SYMPTOMATIC if ill else FOUND_ASYMPTOMATIC):
        found = max(MIN_DAYS_TO_ISOLATION, (onset if ill else latent + 2) + int(min(6.0, 2.0 * abs(normal(key, 6)))))
    return latent, last, onset, found


@dataclass
class _Record:
    """Infections so far, and what they do to the world."""

    world: World
    infected_on: npt.NDArray[np.int16]
    found: list[tuple[Index, ...]]

    def add(self, day: int, person: Index, infector: Index, setting: Index, place: Index, country: Index) -> None:
        if len(person) == 0:
            return
        self.infected_on[person] = day
        for p in person.tolist():
            isolated = course(self.world.seed, p)[3]
            if isolated >= 0:
                self.world.isolated_from[p] = day + isolated
        self.found.append((person, infector, _all(day, person), setting, place, country))

    def result(self) -> Infections:
        if not self.found:
            return Infections(*(np.empty(0, np.int32) for _ in range(6)))
        return Infections(*(np.concatenate(part).astype(np.int32) for part in zip(*self.found, strict=True)))


def _all(value: int, like: Index) -> Index:
    return np.full(len(like), value, np.int32)


def spread(
    world: World,
    trips: Trips,
    days: int,
    *,
    first_venue: int,
    first_airport: int,
    homes: int,
    transmission: float = 1.0,
    progress: Callable[[int], None],
) -> Infections:
    """Let the infection run; fills ``world.isolated_from`` on the way.

    Args:
        world: the country; nobody isolated yet.
        trips: abroad, with who is infected there.
        days: how many.
        first_venue: first place that is a venue.
        first_airport: first place that is an airport (nobody is infected there).
        homes: number of homes.
        transmission: multiplies the rates of infection.
        progress: told the day.
    """
    record = _Record(world, np.full(len(world.home), NEVER, np.int16), [])
    if days and not world.roaming:
        who = _seeds(world)
        record.add(0, who, _all(-1, who), _all(SEED, who), world.home[who], _all(-1, who))
    abroad = np.flatnonzero(trips.infected_on != NOT_INFECTED)
    for day in range(int(trips.infected_on[abroad].min()) if len(abroad) else 0, days):
        new = abroad[trips.infected_on[abroad] == day]
        new = new[record.infected_on[trips.person[new]] == NEVER]
        who = trips.person[new]
        record.add(day, who, _all(-1, who), _all(ABROAD, who), _all(-1, who), trips.country[new])
        if day < 0:
            continue
        hosts = infectious_on(world.seed, record.infected_on, day)
        if len(hosts):
            bounds = (homes, first_venue, first_airport)
            person, infector, setting, place = _one_day(world, hosts, record.infected_on, day, bounds, transmission)
            record.add(day, person, infector, setting, place, _all(-1, person))
        progress(day)
    return record.result()


def _seeds(world: World) -> Index:
    """The first infected, when nobody can bring the infection from abroad."""
    people = len(world.home)
    key = key_of(int(world.seed), streams.Stream.SEEDING)
    chosen = np.argsort(uniforms(key, 0, people), kind="stable")[: max(3, round(people * SEED_SHARE))]
    return np.sort(chosen).astype(np.int32)


@compiled
def infectious_on(seed: np.uint64, infected_on: npt.NDArray[np.int16], day: int) -> Index:
    """People who are infectious on a day, in order."""
    out = np.empty(len(infected_on), np.int32)
    n = 0
    for person in range(len(infected_on)):
        if infected_on[person] < day:
            first, last, _, _ = course(seed, person)
            if first <= day - infected_on[person] <= last:
                out[n] = person
                n += 1
    return out[:n].copy()


def _one_day(
    world: World, hosts: Index, infected_on: npt.NDArray[np.int16], day: int, bounds: tuple[int, int, int], transmission: float
) -> tuple[Index, Index, Index, Index]:
    """New infections of a day: (person, infector, setting, place)."""
    carried = plan_people(world, hosts, day)
    risky = np.zeros(len(world.place_zone), np.bool_)
    _mark(carried, risky)
    risky[bounds[2] :] = False
    exposed: list[tuple[Index, ...]] = []
    for first in range(0, len(world.home), PEOPLE_PER_CHUNK):
        susceptible = np.flatnonzero(infected_on[first : first + PEOPLE_PER_CHUNK] == NEVER).astype(np.int32) + np.int32(first)
        exposed.append(_exposed(plan_people(world, susceptible, day), susceptible, risky))
    place, person, start_s, end_s = (np.concatenate(part) for part in zip(*exposed, strict=True))
    order = np.argsort(place, kind="stable")
    kinds = (bounds[0], world.first_class, bounds[1])
    return _infect(world.seed, day, carried, hosts, place[order], person[order], start_s[order], end_s[order], kinds, transmission)


@compiled
def _mark(plans: Plans, risky: npt.NDArray[np.bool_]) -> None:
    for row in range(len(plans.stays)):
        for i in range(plans.stays[row]):
            if plans.place[row, i] >= 0:
                risky[plans.place[row, i]] = True


@compiled
def _exposed(plans: Plans, person: Index, risky: npt.NDArray[np.bool_]) -> tuple[Index, Index, Index, Index]:
    """Stays at risky places: (place, person, start, end)."""
    n = 0
    for row in range(len(plans.stays)):
        for i in range(plans.stays[row]):
            if plans.place[row, i] >= 0 and risky[plans.place[row, i]]:
                n += 1
    place, who = np.empty(n, np.int32), np.empty(n, np.int32)
    start_s, end_s = np.empty(n, np.int32), np.empty(n, np.int32)
    n = 0
    for row in range(len(plans.stays)):
        for i in range(plans.stays[row]):
            if plans.place[row, i] >= 0 and risky[plans.place[row, i]]:
                place[n], who[n] = plans.place[row, i], person[row]
                start_s[n], end_s[n] = plans.start_s[row, i], plans.end_s[row, i]
                n += 1
    return place, who, start_s, end_s


@compiled
def _infect(
    seed: np.uint64,
    day: int,
    carried: Plans,
    hosts: Index,
    place: Index,
    person: Index,
    start_s: Index,
    end_s: Index,
    kinds: tuple[int, int, int],
    transmission: float,
) -> tuple[Index, Index, Index, Index]:
    """Try every meeting of a host and a susceptible person, hosts in order; the first success counts."""
    done = set([np.int64(-1)])  # noqa: C405  # numba reads the type of a set from a list
    capacity = 64
    out = np.empty((4, capacity), np.int32)
    n = 0
    for row in range(len(hosts)):
        for i in range(carried.stays[row]):
            where = carried.place[row, i]
            first = np.searchsorted(place, where, side="left")
            last = np.searchsorted(place, where, side="right")
            setting = 0 if where < kinds[0] else (1 if where < kinds[1] else (2 if where < kinds[2] else 3))
            met = 1.0
            if setting == 3:
                crowd = 0
                for k in range(first, last):
                    if min(end_s[k], carried.end_s[row, i]) > max(start_s[k], carried.start_s[row, i]):
                        crowd += 1
                met = min(1.0, COMMUNITY_CONTACTS / max(crowd, 1))
            for k in range(first, last):
                together_s = min(end_s[k], carried.end_s[row, i]) - max(start_s[k], carried.start_s[row, i])
                if together_s <= 0 or np.int64(person[k]) in done:
                    continue
                key = stream_key(stream_key(seed, _CONTACT, hosts[row], person[k]), day, i, k - first)
                hazard = transmission * HAZARD_PER_HOUR[setting] * met * together_s / 3_600.0
                if uniform(key, 0) < 1.0 - np.exp(-hazard):
                    if n == capacity:
                        larger = np.empty((4, 2 * capacity), np.int32)
                        larger[:, :capacity] = out
                        out = larger
                        capacity *= 2
                    out[0, n], out[1, n], out[2, n], out[3, n] = person[k], hosts[row], setting, where
                    done.add(np.int64(person[k]))
                    n += 1
    return out[0, :n].copy(), out[1, :n].copy(), out[2, :n].copy(), out[3, :n].copy()
