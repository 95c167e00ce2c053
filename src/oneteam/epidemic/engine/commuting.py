"""From trips to who spends the day where."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date

import numpy as np
import numpy.typing as npt

from oneteam.epidemic.engine.plan import Commuting, CommutingPeriod

Floats = npt.NDArray[np.float64]

MOST_AWAY = 0.8
"""No more than this share of a zone's residents is taken to spend the day elsewhere."""


@dataclass(frozen=True)
class Pruned:
    """Commuting, and what was changed to get it.

    Args:
        commuting: the result.
        capped: zones whose trips asked for more than `MOST_AWAY`.
        edges_dropped: small flows left out; their share went to the others of the same zone.
    """

    commuting: Commuting
    capped: tuple[int, ...]
    edges_dropped: int


def commuting_of(trips: Floats, population: Floats, *, dropped_share: float = 0.01) -> Pruned:
    """Shares of residents by where they spend the day.

    Whoever commutes makes one trip there and one back, so half of the trips between two zones are of each zone's residents. The smallest
    flows of a zone, together at most ``dropped_share`` of its trips, are left out: they are most of the edges.

    Args:
        trips: per day, from row to column, (Z, Z); the diagonal is not read.
        population: residents, (Z,).
        dropped_share: of a zone's trips.

    >>> found = commuting_of(np.array([[0.0, 200.0], [200.0, 0.0]]), np.array([1000.0, 500.0]))
    >>> found.commuting.share.tolist()
    [0.1, 0.2]
    """
    share, capped = _shares(trips, population)
    away = share.sum(axis=1)
    order = np.argsort(share, axis=1)
    running = np.cumsum(np.take_along_axis(share, order, axis=1), axis=1)
    small = running <= dropped_share * away[:, None]
    drop = np.zeros_like(small)
    np.put_along_axis(drop, order, small, axis=1)
    kept = _with_total(np.where(drop, 0.0, share), away)
    origin, zone = np.nonzero(kept)
    start = np.concatenate([[0], np.cumsum(np.bincount(origin, minlength=len(population)))])
    commuting = Commuting(start.astype(np.int32), zone.astype(np.int32), kept[origin, zone])
    return Pruned(commuting, capped, int(((share > 0) & drop).sum()))


def commuting_by_period(trips: Sequence[Floats], firsts: Sequence[date], population: Floats, *, dropped_share: float = 0.01) -> Pruned:
    """Commuting that changes on given days: see `commuting_of`, which chooses the flows by the mean of all periods.

    Args:
        trips: per day in each period, from row to column, (Z, Z) each.
        firsts: first day of each period, ascending.
        population: residents, (Z,).
        dropped_share: of a zone's trips in the mean.

    >>> one = np.array([[0.0, 200.0], [200.0, 0.0]])
    >>> found = commuting_by_period([one, one / 2], [date(2020, 3, 2), date(2020, 3, 9)], np.array([1000.0, 500.0]))
    >>> [period.share.tolist() for period in found.commuting.periods]
    [[0.1, 0.2], [0.05, 0.1]]
    """
    mean = np.zeros((len(population), len(population)))
    for matrix in trips:
        mean += matrix / len(trips)
    found = commuting_of(mean, population, dropped_share=dropped_share)
    origin, zone = found.commuting.origin, found.commuting.zone
    capped = set(found.capped)
    periods = []
    for first, matrix in zip(firsts, trips, strict=True):
        share, over = _shares(matrix, population)
        kept = np.zeros_like(share)
        kept[origin, zone] = share[origin, zone]
        periods.append(CommutingPeriod(first, _with_total(kept, share.sum(axis=1))[origin, zone]))
        capped |= set(over)
    return Pruned(replace(found.commuting, periods=tuple(periods)), tuple(sorted(capped)), found.edges_dropped)


def _shares(trips: Floats, population: Floats) -> tuple[Floats, tuple[int, ...]]:
    """Shares of residents by where they spend the day, (Z, Z), and the zones that asked for more than `MOST_AWAY`."""
    both = trips.astype(np.float64) + trips.T
    np.fill_diagonal(both, 0.0)
    share = np.divide(both / 4.0, population[:, None], out=np.zeros_like(both), where=population[:, None] > 0)
    share[:, population <= 0] = 0.0
    away = share.sum(axis=1)
    capped = np.flatnonzero(away > MOST_AWAY)
    share[capped] *= (MOST_AWAY / away[capped])[:, None]
    return share, tuple(int(z) for z in capped)


def _with_total(kept: Floats, away: Floats) -> Floats:
    """Rows made to sum to what is away; a row of zeros stays so."""
    left = kept.sum(axis=1)
    return np.asarray(kept * np.divide(away, left, out=np.ones(len(left)), where=left > 0)[:, None])


def split_units(trips: Floats, unit_of_zone: npt.NDArray[np.int64], population: Floats, *, within_trips_per_resident: float) -> Floats:
    """Trips between units shared among their zones, by population at both ends.

    Trips within a unit of several zones are not known from trips between units. They are taken to be ``within_trips_per_resident`` a day,
    leading to the unit's other zones by their population.

    Args:
        trips: between units, (U, U).
        unit_of_zone: index of each zone's unit; -1 for none, which then has no trips, (Z,).
        population: residents, (Z,).
        within_trips_per_resident: see above.

    Returns:
        trips between zones, (Z, Z).
    """
    units = len(trips)
    known = unit_of_zone >= 0
    people = np.bincount(unit_of_zone[known], population[known], units)
    weight = np.where(known & (people[unit_of_zone] > 0), population / np.maximum(people[unit_of_zone], 1e-9), 0.0)
    safe = np.where(known, unit_of_zone, 0)
    found = trips[np.ix_(safe, safe)] * weight[:, None] * weight[None, :]
    same = (unit_of_zone[:, None] == unit_of_zone[None, :]) & known[:, None] & known[None, :]
    others = np.where(same, population[None, :], 0.0)
    np.fill_diagonal(others, 0.0)
    total = others.sum(axis=1, keepdims=True)
    within = within_trips_per_resident * population[:, None] * np.divide(others, total, out=np.zeros_like(others), where=total > 0)
    return np.asarray(np.where(same, within, found))
