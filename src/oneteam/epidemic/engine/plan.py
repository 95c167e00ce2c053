"""A world and a course of measures: what a simulation is run on."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
import numpy.typing as npt

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
        share: of all residents, by mobility regime, (M, N).
        regime: which regime holds on each day; None when there is one.
    """

    start: npt.NDArray[np.int32]
    zone: npt.NDArray[np.int32]
    share: npt.NDArray[np.float64]

    @property
    def origin(self) -> npt.NDArray[np.int32]:
        """Zone of residence of each edge, (N,)."""
        return np.repeat(np.arange(len(self.start) - 1, dtype=np.int32), np.diff(self.start))


@dataclass(frozen=True)
class Course:
    """What changes from day to day, before it is brought to the loops' form.

    Args:
        first_day: of the simulation.
        settings: factor on contacts by setting, (T, Z, A) each; the factors of both who meet are multiplied.
        transmission: factor on transmission, (T, Z).
        origin: factor on leaving a zone, (T, Z).
        destination: factor on entering a zone, (T, Z).
        isolation: share of isolatable people that are isolated, (T, Z).
        importation: infections brought in, per resident and day, (T, Z).
        vaccination: hazard to be vaccinated, 1/day, (T, Z, A).
    """

    first_day: date
    settings: dict[str, npt.NDArray[np.float32]]
    transmission: npt.NDArray[np.float32]
    origin: npt.NDArray[np.float32]
    destination: npt.NDArray[np.float32]
    isolation: npt.NDArray[np.float32]
    importation: npt.NDArray[np.float32]
    vaccination: npt.NDArray[np.float32]

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
    flat = (days, zones)

    def ones() -> npt.NDArray[np.float32]:
        return np.ones(flat, np.float32)

    def zeros() -> npt.NDArray[np.float32]:
        return np.zeros(flat, np.float32)

    return Course(
        first_day,
        {name: np.ones((days, zones, ages), np.float32) for name in world.contacts},
        ones(),
        ones(),
        ones(),
        zeros(),
        zeros(),
        np.zeros((days, zones, ages), np.float32),
    )


def next_generation(world: World, model: CompiledModel) -> npt.NDArray[np.float64]:
    """New infections by age (rows) that one infected person of an age (columns) causes per unit of transmission, everybody susceptible.

    Source: O. Diekmann, J. A. P. Heesterbeek and M. G. Roberts, "The construction of next-generation matrices for compartmental epidemic
    models", J. R. Soc. Interface 7, 2010.
    """
    people = world.population.sum(axis=0).astype(np.float64)
    meeting = sum(world.contacts.values())
    start = [c.name for c in model.document.compartments].index(model.document.start)
    group = int(np.flatnonzero(model.arrays.group_source == start)[0])
    susceptibility = model.arrays.susceptibility[0, group].astype(np.float64)
    share = np.divide(people[:, None], people[None, :], out=np.zeros((len(people), len(people))), where=people[None, :] > 0)
    return np.asarray(susceptibility[:, None] * meeting * share * model.infectious_days()[None, :])


def transmission_of(world: World, model: CompiledModel, reproduction_number: float) -> float:
    """Infections per contact that give a basic reproduction number.

    Raises:
        UnknownValueError: nobody meets anybody.
    """
    radius = float(np.abs(np.linalg.eigvals(next_generation(world, model))).max())
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
    moving, mobility = np.unique(np.concatenate([course.origin, course.destination], axis=1), axis=0, return_inverse=True)
    origin = world.commuting.origin
    share = world.commuting.share[None] * moving[:, :zones][:, origin] * moving[:, zones:][:, world.commuting.zone]
    away = np.zeros((len(moving), zones))
    present = np.empty((len(moving), zones, ages))
    order = np.argsort(world.commuting.zone, kind="stable")
    for m in range(len(moving)):
        away[m] = np.bincount(origin, share[m], zones)
        for a in range(ages):
            visitors = np.bincount(world.commuting.zone, share[m] * people[origin, a], zones)
            present[m, :, a] = people[:, a] * (1 - world.travel[a] * away[m]) + world.travel[a] * visitors
    doses, vaccination_regime = np.unique(course.vaccination.reshape(course.days, -1), axis=0, return_inverse=True)
    into = np.bincount(world.commuting.zone, minlength=zones)
    seasonality = model.document.seasonality
    of_year = np.array([course.day(t).timetuple().tm_yday for t in range(course.days)])
    season = 1 + seasonality.amplitude * np.cos(2 * np.pi * (of_year - seasonality.peak_day_of_year) / 365.25)
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
        importation=np.where(everybody[:, 0] > 0, course.importation, 0.0).astype(np.float32),
        importation_age=np.ones(ages, np.float32),
        vaccination=doses.reshape(-1, zones, ages).astype(np.float32),
        vaccination_regime=vaccination_regime.reshape(-1).astype(np.int32),
        travel=world.travel.astype(np.float32),
        mobility=mobility.reshape(-1).astype(np.int32),
        away=away.astype(np.float32),
        per_present=_one_over(present),
        out_start=world.commuting.start.astype(np.int32),
        out_zone=world.commuting.zone.astype(np.int32),
        out_share=np.ascontiguousarray(share, np.float32),
        in_start=np.concatenate([[0], np.cumsum(into)]).astype(np.int32),
        in_zone=origin[order],
        in_share=np.ascontiguousarray(share[:, order], np.float32),
        area=np.arange(zones, dtype=np.int32) if area is None else area,
    )


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
