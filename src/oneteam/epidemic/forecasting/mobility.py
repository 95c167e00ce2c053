"""Movement between places, or of the people of a place, as features of a forecast.

Columns of the table: ``week_start`` (or ``date``: any day of the week), ``trips``, and either ``origin`` and ``destination``
[trips per week between two places] or ``location`` [trips per week of a place's residents]. A table without dates holds for all time.

A week of movement counts as known `PUBLICATION_LAG_D` days after its last day.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from oneteam.core.errors import MissingColumnError, UnknownValueError
from oneteam.epidemic.hub.columns import as_days, as_floats, as_text
from oneteam.epidemic.hub.target_data import WEEK_D

Days = npt.NDArray[np.datetime64]
Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

PUBLICATION_LAG_D: Final = 14
"""Days from the end of a week to the day on which its movement is published: two weeks, as Statistics Korea did in 2020."""
_ALWAYS: Final = np.datetime64("1900-01-01", "D")


@dataclass(frozen=True)
class Movement:
    """Trips by week.

    Args:
        places: codes, ascending.
        week: first day of the week, one entry per row; `_ALWAYS` for a table without dates.
        origin: position among the places.
        destination: the same; equal to origin for margins.
        trips: per week.
        between: whether rows are flows between two places, not margins.
    """

    places: tuple[str, ...]
    week: Days
    origin: Ints
    destination: Ints
    trips: Floats
    between: bool

    def known_on(self, day: date) -> npt.NDArray[np.bool_]:
        """Rows that are published on a day."""
        return np.asarray(self.week + (WEEK_D + PUBLICATION_LAG_D) <= np.datetime64(day, "D"))

    def index_by_week(self, codes: tuple[str, ...], weeks: Days, day: date) -> Floats:
        """Logarithm of a place's trips over their median, as known at the end of each week, shape (weeks, places); NaN where unknown.

        Trips from a place to others, or of its residents, in the newest week that was published by then.
        """
        known = self.known_on(day) & (self.week > _ALWAYS)
        out = np.full((len(weeks), len(codes)), np.nan)
        if not known.any():
            return out
        starts, row = np.unique(self.week[known], return_inverse=True)
        trips = np.zeros((len(starts), len(self.places)))
        np.add.at(trips, (row, self.origin[known]), np.nan_to_num(self.trips[known]))
        with np.errstate(all="ignore"):
            index = np.log(np.where(trips > 0, trips, np.nan))
        index -= np.array([np.median(c[np.isfinite(c)]) if np.isfinite(c).any() else 0.0 for c in index.T])
        newest = np.searchsorted(starts + (WEEK_D + PUBLICATION_LAG_D), weeks, side="right") - 1
        at = {place: i for i, place in enumerate(self.places)}
        for i, code in enumerate(codes):
            if code in at:
                out[newest >= 0, i] = index[newest[newest >= 0], at[code]]
        return out

    def coupling(self, codes: tuple[str, ...], day: date, weeks: int = 4) -> Floats | None:
        """Share of each place's trips to and from every other place in the newest known weeks, shape (places, places); rows sum to 1.

        None for margins, or where nothing is known yet.
        """
        if not self.between:
            return None
        known = self.known_on(day)
        if not known.any():
            return None
        newest = self.week[known].max()
        keep = known & (self.week > newest - WEEK_D * weeks)
        index = {code: i for i, code in enumerate(codes)}
        at = np.array([index.get(place, -1) for place in self.places], np.int64)
        origin, destination = at[self.origin[keep]], at[self.destination[keep]]
        both = (origin >= 0) & (destination >= 0) & (origin != destination)
        flow = np.zeros((len(codes), len(codes)))
        np.add.at(flow, (origin[both], destination[both]), np.nan_to_num(self.trips[keep][both]))
        flow += flow.T
        total = flow.sum(axis=1, keepdims=True)
        return np.where(total > 0, flow / np.maximum(total, 1e-12), 0.0)


def parse_movement(table: pa.Table, where: str) -> Movement:
    """Movement from a table; see the module for its columns.

    Raises:
        MissingColumnError, WrongTypeError: as for its columns.
        UnknownValueError: negative trips.

    >>> rows = {"origin": ["a", "b"], "destination": ["b", "a"], "trips_per_day": [1.0, 3.0]}
    >>> parse_movement(pa.table(rows), "od.csv").coupling(("a", "b"), date(2024, 1, 6)).tolist()
    [[0.0, 1.0], [1.0, 0.0]]
    """
    between = {"origin", "destination"} <= set(table.column_names)
    if not between and "location" not in table.column_names:
        raise MissingColumnError(f"{where}: needs columns origin and destination, or location; it has: {', '.join(table.column_names)}")
    trips = as_floats(table, ["trips", "trips_per_week", "trips_per_day", "value"], where)
    bad = np.flatnonzero(trips < 0)
    if len(bad):
        raise UnknownValueError(f"{where}, row {bad[0] + 1}: trips is {trips[bad[0]]:g}, must be 0 or more")
    dated = next((name for name in ("week_start", "week", "date") if name in table.column_names), None)
    week = as_days(table, [dated], where) if dated else np.full(table.num_rows, _ALWAYS)
    origin = np.array(as_text(table, ["origin" if between else "location"], where).to_pylist(), dtype=str)
    destination = np.array(as_text(table, ["destination"], where).to_pylist(), dtype=str) if between else origin
    places, both = np.unique(np.concatenate([origin, destination]), return_inverse=True)
    return Movement(tuple(places.tolist()), week, both[: len(origin)], both[len(origin) :], trips, between)
