"""True trips of single people, from plans: what a privacy attack is held against."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from oneteam.synth.build import Country
from oneteam.synth.mobility_truth import true_trips
from oneteam.synth.schedules import plan_people


@dataclass(frozen=True)
class PersonTrips:
    """Every trip of every person; rows ascend by person, then by day.

    Args:
        person: int64, shape (trips,).
        day: number of the local day, int32.
        origin: place of the zone in the country's list, int32.
        destination: likewise.
    """

    person: npt.NDArray[np.int64]
    day: npt.NDArray[np.int32]
    origin: npt.NDArray[np.int32]
    destination: npt.NDArray[np.int32]


def person_trips(country: Country) -> PersonTrips:
    """All trips within a country, as `true_trips` defines them, with who made them.

    >>> from oneteam.synth.build import build_country
    >>> from oneteam.synth.settings import CountrySettings
    >>> trips = person_trips(build_country(CountrySettings(subscribers=200, days=2, zone_count=4)))
    >>> bool((np.diff(trips.person) >= 0).all()), bool((trips.origin != trips.destination).all())
    (True, True)
    """
    everyone = np.arange(country.people.count, dtype=np.int32)
    parts = []
    for day in range(country.settings.days):
        plans = plan_people(country.world, everyone, day)
        who, origin, destination = true_trips(plans, country.people.places.zone)
        parts.append((who.astype(np.int64), np.full(len(who), day, np.int32), origin.copy(), destination.copy()))
    person, days, origin, destination = (np.concatenate(column) for column in zip(*parts, strict=True))
    order = np.lexsort((days, person))
    return PersonTrips(person[order], days[order], origin[order], destination[order])
