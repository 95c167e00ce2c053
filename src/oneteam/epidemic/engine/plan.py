"""A world and a course of measures: what a simulation is run on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
import numpy.typing as npt

from oneteam.epidemic.models.bands import Ages


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
