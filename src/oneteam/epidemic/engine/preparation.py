"""A world and a course, brought to the form of the compiled loops: what repeats from day to day stands once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array

from oneteam.epidemic.engine.arrays import PlanArrays
from oneteam.epidemic.engine.plan import Course, World, holding_on
from oneteam.epidemic.engine.transmission import season_factor
from oneteam.epidemic.models.compiled_model import CompiledModel


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
