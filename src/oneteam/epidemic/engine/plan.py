"""A world and a course of measures: what a simulation is run on."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array

from oneteam.core.errors import UnknownValueError
from oneteam.epidemic.engine.arrays import PlanArrays
from oneteam.epidemic.models.bands import Ages
from oneteam.epidemic.models.compiled_model import CompiledModel

MAX_CELL = 2**31 - 1


@dataclass(frozen=True)
class World:
    """Where people live, whom they meet, where they go.

    Args:
        zones: codes, (Z,).
        ages: age groups.
        population: residents, whole numbers, (Z, A).
        contacts: contacts per day by setting (``home``, ``school``, ``work``, ``community``), rows are of who reports, (A, A) each.
        commuting: share of residents of a zone (row) who spend the day in another (column), no diagonal, as CSR: see `Commuting`.
        travel: share of the commuting that applies to each age, (A,).
    """

    zones: tuple[str, ...]
    ages: Ages
    population: npt.NDArray[np.int64]
    contacts: dict[str, npt.NDArray[np.float64]]
    commuting: Commuting
    travel: npt.NDArray[np.float64]


@dataclass(frozen=True)
class Commuting:
    """Shares of residents by where they spend the day, as compressed sparse rows without a diagonal.

    Args:
        start: where each zone's edges begin, (Z + 1,).
        zone: the other zone, (N,).
        share: of all residents, (N,); where it changes over time, in the mean.
        periods: where it changes over time: each holds from its first day until the next one's, the first also before. Ascending.
    """

    start: npt.NDArray[np.int32]
    zone: npt.NDArray[np.int32]
    share: npt.NDArray[np.float64]
    periods: tuple[CommutingPeriod, ...] = ()

    @property
    def origin(self) -> npt.NDArray[np.int32]:
        """Zone of residence of each edge, (N,)."""
        return np.repeat(np.arange(len(self.start) - 1, dtype=np.int32), np.diff(self.start))


@dataclass(frozen=True)
class CommutingPeriod:
    """Commuting from a day on.

    Args:
        first: its first day.
        share: of all residents, by edge, (N,).
    """

    first: date
    share: npt.NDArray[np.float64]


@dataclass(frozen=True)
class TripCut:
    """Fewer trips that begin or end in some zones; a trip between two of them is cut once.

    Args:
        days: when.
        zones: which, (Z,).
        factor: on those trips.
    """

    days: slice
    zones: npt.NDArray[np.bool_]
    factor: float


@dataclass(frozen=True)
class Course:
    """What changes from day to day, before it is brought to the loops' form.

    Args:
        first_day: of the simulation.
        settings: factor on contacts by setting, (T, Z, A) each; the factors of both who meet are multiplied.
        transmission: factor on transmission, (T, Z).
        origin: factor on leaving a zone, (T, Z).
        destination: factor on entering a zone, (T, Z).
        isolation: share of isolatable people that are isolated, (T, Z, A).
        importation: infections brought in, per resident and day, (T, Z, A).
        vaccination: hazard to be vaccinated, 1/day, (T, Z, A).
        travel: factor on the commuting of residents, (T, Z, A).
        cuts: of trips.
    """

    first_day: date
    settings: dict[str, npt.NDArray[np.float32]]
    transmission: npt.NDArray[np.float32]
    origin: npt.NDArray[np.float32]
    destination: npt.NDArray[np.float32]
    isolation: npt.NDArray[np.float32]
    importation: npt.NDArray[np.float32]
    vaccination: npt.NDArray[np.float32]
    travel: npt.NDArray[np.float32]
    cuts: tuple[TripCut, ...] = ()

    @property
    def days(self) -> int:
        """How many days."""
        return len(self.transmission)

    def day(self, index: int) -> date:
        """The date of a day."""
        return self.first_day + timedelta(days=index)


def ordinary_course(world: World, first_day: date, days: int) -> Course:
    """A course in which nothing changes and nobody comes from abroad."""
    zones, ages = world.population.shape
    by_zone, by_age = (days, zones), (days, zones, ages)
    return Course(
        first_day,
        settings={name: np.ones(by_age, np.float32) for name in world.contacts},
        transmission=np.ones(by_zone, np.float32),
        origin=np.ones(by_zone, np.float32),
        destination=np.ones(by_zone, np.float32),
        isolation=np.zeros(by_age, np.float32),
        importation=np.zeros(by_age, np.float32),
        vaccination=np.zeros(by_age, np.float32),
        travel=np.ones(by_age, np.float32),
    )


def holding_on(starts: Sequence[date], first_day: date, days: int) -> npt.NDArray[np.int32]:
    """Which of some periods holds on each day: the newest that has begun, before all of them the first; (T,).

    Args:
        starts: their first days, ascending.
        first_day: of the simulation.
        days: of the simulation.

    >>> holding_on([date(2020, 3, 2), date(2020, 3, 4)], date(2020, 3, 1), 5).tolist()
    [0, 0, 0, 1, 1]
    """
    begins = np.array([start.toordinal() for start in starts])
    found = np.searchsorted(begins, first_day.toordinal() + np.arange(days), side="right") - 1
    return np.maximum(found, 0).astype(np.int32)


def next_generation(world: World, model: CompiledModel, epoch: int = 0) -> npt.NDArray[np.float64]:
    """New infections by age (rows) that one infected person of an age (columns) causes per unit of transmission, everybody susceptible.

    Args:
        world: the world.
        model: the model.
        epoch: which of its sets of numbers; 0 is the model before any variant.

    Source: O. Diekmann, J. A. P. Heesterbeek and M. G. Roberts, "The construction of next-generation matrices for compartmental epidemic
    models", J. R. Soc. Interface 7, 2010.
    """
    people = world.population.sum(axis=0).astype(np.float64)
    meeting = sum(world.contacts.values())
    start = [c.name for c in model.document.compartments].index(model.document.start)
    group = int(np.flatnonzero(model.arrays.group_source == start)[0])
    susceptibility = model.arrays.susceptibility[epoch, group].astype(np.float64)
    share = np.divide(people[:, None], people[None, :], out=np.zeros((len(people), len(people))), where=people[None, :] > 0)
    return np.asarray(susceptibility[:, None] * meeting * share * model.infectious_days(epoch)[None, :])


def season_factor(model: CompiledModel, day: date) -> float:
    """By how much the season multiplies transmission on a day."""
    wave = model.document.seasonality
    return 1 + wave.amplitude * math.cos(2 * math.pi * (day.timetuple().tm_yday - wave.peak_day_of_year) / 365.25)


def transmission_of(world: World, model: CompiledModel, reproduction_number: float, *, first_day: date | None = None) -> float:
    """Infections per contact, before season and variants, that give a reproduction number in a susceptible population.

    Args:
        world: the world.
        model: the model.
        reproduction_number: that of the model as it is written; with ``first_day`` that of this day.
        first_day: of the simulation: the number holds with the season and the variants (how transmissible, how long people stay
            infectious, whom they infect) as they are then.

    Raises:
        UnknownValueError: nobody meets anybody.
    """
    epoch = 0 if first_day is None else int(model.epoch[0])
    radius = float(np.abs(np.linalg.eigvals(next_generation(world, model, epoch))).max())
    if first_day is not None:
        radius *= season_factor(model, first_day) * float(model.transmissibility[0])
    if radius <= 0:
        raise UnknownValueError("the contact matrices and the population give no contacts at all: no reproduction number can be reached")
    return reproduction_number / radius


def prepare(
    world: World, course: Course, model: CompiledModel, transmission: float, area: npt.NDArray[np.int32] | None = None
) -> PlanArrays:
    """Bring a world and a course to the loops' form: what repeats from day to day stands once.

    Args:
        world: the world.
        course: the course.
        model: for its variants, seasonality and epochs.
        transmission: infections per contact.
        area: output area of each zone; each zone its own when None.
    """
    zones, ages = world.population.shape
    people = world.population.astype(np.float64)
    regimes, regime = _contact_regimes(world, course)
    moving = _mobility_regimes(world, course)
    order = np.argsort(world.commuting.zone, kind="stable")
    doses, vaccination_regime = np.unique(course.vaccination.reshape(course.days, -1), axis=0, return_inverse=True)
    into = np.bincount(world.commuting.zone, minlength=zones)
    season = np.array([season_factor(model, course.day(t)) for t in range(course.days)])
    daily = transmission * season * model.transmissibility
    everybody = people.sum(axis=1, keepdims=True)
    return PlanArrays(
        epoch=model.epoch,
        per_person=_one_over(people),
        contacts_home=regimes[0].reshape(-1),
        contacts_out=regimes[1].reshape(-1),
        regime=regime,
        transmission=(course.transmission * daily[:, None]).astype(np.float32),
        isolation=course.isolation,
        importation=np.where(everybody > 0, course.importation, 0.0).astype(np.float32),
        vaccination=doses.reshape(-1, zones, ages).astype(np.float32),
        vaccination_regime=vaccination_regime.reshape(-1).astype(np.int32),
        travel=moving.travel,
        travel_differs=moving.travel_differs,
        mobility=moving.of_day,
        away=moving.away,
        per_present=moving.per_present,
        out_start=world.commuting.start.astype(np.int32),
        out_zone=world.commuting.zone.astype(np.int32),
        out_share=moving.share,
        in_start=np.concatenate([[0], np.cumsum(into)]).astype(np.int32),
        in_zone=world.commuting.origin[order],
        in_share=np.ascontiguousarray(moving.share[:, order]),
        area=np.arange(zones, dtype=np.int32) if area is None else area,
    )


@dataclass(frozen=True)
class _MobilityRegimes:
    """What holds on days of equal mobility; the letters of shapes are those of `PlanArrays`."""

    of_day: npt.NDArray[np.int32]  # (T,)
    travel: npt.NDArray[np.float32]  # (M, Z, A)
    travel_differs: npt.NDArray[np.uint8]  # (M,)
    share: npt.NDArray[np.float32]  # (M, N)
    away: npt.NDArray[np.float32]  # (M, Z)
    per_present: npt.NDArray[np.float32]  # (M, Z, A)


def _mobility_regimes(world: World, course: Course) -> _MobilityRegimes:
    """Commuting on every kind of day that occurs. Nobody is away for more than the whole day, whatever the factors are."""
    zones, ages = world.population.shape
    commuting = world.commuting
    shares = [period.share for period in commuting.periods] or [commuting.share]
    period = holding_on([p.first for p in commuting.periods] or [course.first_day], course.first_day, course.days)
    active = np.zeros((course.days, len(course.cuts)), np.float32)
    for k, cut in enumerate(course.cuts):
        active[cut.days, k] = 1.0
    kinds = np.concatenate([course.origin, course.destination, period[:, None], active, course.travel.reshape(course.days, -1)], axis=1)
    _, some_day, of_day = np.unique(kinds.astype(np.float32), axis=0, return_index=True, return_inverse=True)
    people = world.population.astype(np.float64)
    origin = commuting.origin
    touched = [cut.zones[origin] | cut.zones[commuting.zone] for cut in course.cuts]
    regimes = len(some_day)
    found = _MobilityRegimes(
        of_day.reshape(-1).astype(np.int32),
        np.empty((regimes, zones, ages), np.float32),
        np.zeros(regimes, np.uint8),
        np.empty((regimes, len(commuting.zone)), np.float32),
        np.empty((regimes, zones), np.float32),
        np.empty((regimes, zones, ages), np.float32),
    )
    for m, t in enumerate(some_day):
        share = shares[period[t]] * course.origin[t][origin] * course.destination[t][commuting.zone]
        for k, cut in enumerate(course.cuts):
            if active[t, k]:
                share = share * np.where(touched[k], cut.factor, 1.0)
        travel = world.travel[None] * course.travel[t]
        away = np.bincount(origin, share, zones)
        share = share / np.maximum(away * travel.max(axis=1), 1.0)[origin]
        away = np.bincount(origin, share, zones)
        going = csr_array((share, commuting.zone, commuting.start), shape=(zones, zones))
        found.travel[m] = travel
        found.travel_differs[m] = (travel != travel[:1]).any()
        found.share[m] = share
        found.away[m] = away
        found.per_present[m] = _one_over(people * (1 - travel * away[:, None]) + going.T @ (people * travel))
    return found


def _one_over(people: npt.NDArray[np.float64]) -> npt.NDArray[np.float32]:
    """1 / people; 0 where there are none, who neither infect nor catch anything."""
    return np.divide(1.0, people, out=np.zeros_like(people), where=people > 1e-9).astype(np.float32)


def _contact_regimes(world: World, course: Course) -> tuple[tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]], npt.NDArray[np.int32]]:
    """Contact matrices at home and elsewhere for every combination of factors that occurs, and which holds on each day in each zone."""
    names = list(world.contacts)
    zones, ages = world.population.shape
    # Days on which every factor of every zone repeats are found first: most days are like another.
    stacked = np.stack([course.settings[name] for name in names], axis=2).reshape(course.days, -1)
    kinds, kind_of_day = np.unique(stacked, axis=0, return_inverse=True)
    rows, row = np.unique(kinds.reshape(-1, len(names) * ages), axis=0, return_inverse=True)
    factors = rows.reshape(-1, len(names), ages).astype(np.float64)
    home = np.zeros((len(rows), ages, ages))
    out = np.zeros((len(rows), ages, ages))
    for s, name in enumerate(names):
        met = factors[:, s, :, None] * world.contacts[name][None] * factors[:, s, None, :]
        if name == "home":
            home += met
        else:
            out += met
    regime = row.reshape(len(kinds), zones)[kind_of_day.reshape(-1)]
    return (home.astype(np.float32), out.astype(np.float32)), np.ascontiguousarray(regime, np.int32)
