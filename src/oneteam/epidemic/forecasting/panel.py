"""Weekly series of many places from one source, on the scale on which they are learned from.

Rates are taken to the fourth root, which makes the spread of weekly changes about the same at all levels, and each series is centred and
divided by its own range, so that hospital admissions, doctors' visits and surveys speak about the same shape. Source of the idea: Ray and
others 2025, "Flusion: integrating multiple data sources for accurate influenza predictions", Epidemics 50:100810.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from oneteam.epidemic.hub.target_data import WEEK_D, Snapshot
from oneteam.stats.compiled import compiled

Days = npt.NDArray[np.datetime64]
Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

PER_PERSONS: Final = 100_000.0
ROOT: Final = 0.25
SEASON_MONTH: Final = 8
"""Seasons are counted from the first of August."""
IN_SEASON: Final = (7, 45)
"""First and last week of the season from which is learned, counted from the first of August."""
FLOOR_RATE: Final = 0.01
"""Added to every rate before the root is taken, so that zeros differ by a finite amount [per 100,000 and week]."""
FLOOR_COUNT: Final = 0.5
"""The same as a count, for small places: half a case."""
FLOOR_LOG_COUNT: Final = 1.0
"""The same where logarithms are taken."""
LOG_SPREAD: Final = 4.0
"""Unit of logarithms: a factor of 55."""
LARGEST_LOG: Final = 12.0
AGGREGATE_WEEKS: Final = 8
"""A place is taken for the sum of the others only after so many weeks with cases."""
AGGREGATE_ROUNDING: Final = 0.002
"""In half of the weeks it must be their sum to so much: rates and corrected counts are rounded."""
AGGREGATE_TOLERANCE: Final = 0.05
"""In nine weeks of ten to so much: a place may be late."""
GAP_WEEKS: Final = 2


@dataclass(frozen=True)
class Panel:
    """Series of one source.

    Args:
        source: its name.
        kind: its number among the sources; 0 is the target itself.
        weeks: end dates, 7 days apart, shape (weeks,).
        places: names or codes.
        rate: per 100,000 persons and week, or any other rate; NaN where unknown, shape (weeks, places).
        population: persons, NaN where the rate has no population, shape (places,).
        aggregate: position of the place that is the sum of the others; None where there is none.
        used: weeks that may be learned from, shape (weeks,).
        movement: logarithm of how much people of a place moved, relative to their usual, as it was known in each week; None where there is
            no movement, shape (weeks, places).
        regime: how many breaks in testing or reporting came before each week's end; None where there was none, shape (weeks,).
    """

    source: str
    kind: int
    weeks: Days
    places: tuple[str, ...]
    rate: Floats
    population: Floats
    aggregate: int | None
    used: Flags
    movement: Floats | None = None
    regime: Ints | None = None


@dataclass(frozen=True)
class Scaled:
    """A panel on the scale of learning: z = (f(rate + floor) - centre) / spread, where f is the fourth root or the logarithm.

    Args:
        panel: what was scaled.
        logarithmic: which of the two.
        z: gaps of up to two weeks filled in, shape (weeks, places).
        floor: shape (places,).
        centre: mean root, shape (places,).
        spread: range of the roots, shape (places,).
    """

    panel: Panel
    logarithmic: bool
    z: Floats
    floor: Floats
    centre: Floats
    spread: Floats

    def counts(self, z: Floats) -> Floats:
        """Counts of people back from the scale of learning, first axis places."""
        shape = (-1,) + (1,) * (z.ndim - 1)
        raw = z * self.spread.reshape(shape) + self.centre.reshape(shape)
        whole = np.exp(np.minimum(raw, LARGEST_LOG)) if self.logarithmic else np.maximum(raw, 0.0) ** (1.0 / ROOT)
        rate = np.maximum(whole - self.floor.reshape(shape), 0.0)
        counts: Floats = rate * (self.panel.population / PER_PERSONS).reshape(shape)
        return counts


def panel_of(snapshot: Snapshot, population: Floats) -> Panel:
    """The target itself as a panel.

    Args:
        snapshot: what was known.
        population: persons by place of the snapshot; NaN where unknown: then the place counts as one of a size at which its busiest week
            had a rate of 10 per 100,000.
    """
    counts = snapshot.values
    with np.errstate(all="ignore"):
        most = np.where(np.isfinite(counts), counts, 0.0).max(axis=0)
    size = np.where(np.isfinite(population), population, np.maximum(most, 1.0) * PER_PERSONS / 10.0)
    used = np.ones(len(snapshot.weeks), bool)
    rate = counts / (size / PER_PERSONS)
    return Panel(snapshot.target, 0, snapshot.weeks, snapshot.locations, rate, size, aggregate_of(counts), used)


def aggregate_of(counts: Floats) -> int | None:
    """The place that is the sum of the others week by week, if one is; a capital with as many cases as all others is not.

    Args:
        counts: NaN where unknown, shape (weeks, places).

    >>> weeks = np.arange(1.0, 11.0)
    >>> aggregate_of(np.column_stack([weeks, 2 * weeks, 3 * weeks])), aggregate_of(np.column_stack([weeks, 2 * weeks, 3 * weeks + 0.1]))
    (2, None)
    """
    if counts.shape[1] < 3:
        return None
    filled = np.nan_to_num(counts)
    miss = np.abs(filled.sum(axis=1)[:, None] - 2.0 * filled)
    best = int(np.argmin(miss.sum(axis=0)))
    busy = filled[:, best] > 0
    if int(busy.sum()) < AGGREGATE_WEEKS:
        return None
    relative = miss[busy, best] / filled[busy, best]
    exact = bool(np.median(relative) <= AGGREGATE_ROUNDING and np.quantile(relative, 0.9) <= AGGREGATE_TOLERANCE)
    return best if exact else None


def season_of(weeks: Days) -> tuple[Ints, Ints]:
    """Year in which each week's season began, and the week's number within it.

    >>> season_of(np.array(["2024-01-06", "2024-08-03"], "datetime64[D]"))
    (array([2023, 2024]), array([22,  0]))
    """
    month = weeks.astype("datetime64[M]").astype(np.int64)
    year = month // 12 + 1970 - (month % 12 + 1 < SEASON_MONTH)
    start = ((year - 1970) * 12 + SEASON_MONTH - 1).astype("datetime64[M]").astype("datetime64[D]")
    return year, (weeks - start).astype(np.int64) // WEEK_D


def weeks_to_christmas(weeks: Days) -> Floats:
    """Weeks from each date to Christmas of its season (July to June); negative afterwards.

    >>> weeks_to_christmas(np.array(["2023-12-23", "2024-01-06"], "datetime64[D]")).round(2).tolist()
    [0.29, -1.71]
    """
    month = weeks.astype("datetime64[M]").astype(np.int64)
    year = month // 12 - (month % 12 + 1 < 7)
    christmas = (year * 12 + 11).astype("datetime64[M]").astype("datetime64[D]") + 24
    return np.asarray((christmas - weeks).astype(np.float64) / WEEK_D)


def scale(panel: Panel, *, logarithmic: bool = False) -> Scaled:
    """Put a panel on the scale of learning.

    Args:
        panel: rates.
        logarithmic: for epidemics without seasons, whose waves differ by orders of magnitude: logarithms, all with one spread. Else fourth
            roots, each place scaled by its own past in the weeks of the season, disturbed seasons too.
    """
    if logarithmic:
        return _scale_logarithms(panel)
    _, week = season_of(panel.weeks)
    rows = (week > IN_SEASON[0]) & (week < IN_SEASON[1])
    floor = np.where(np.isfinite(panel.population), FLOOR_COUNT / (panel.population / PER_PERSONS), 0.0)
    floor = np.maximum(floor, FLOOR_RATE)
    root = (np.maximum(fill_gaps(panel.rate), 0.0) + floor) ** ROOT
    if not np.isfinite(root[rows]).any(axis=0).all():
        rows = np.ones(len(panel.weeks), bool)
    known = np.where(np.isfinite(root), root, np.nan)[rows]
    empty = ~np.isfinite(known).any(axis=0)
    known[:, empty] = floor[empty] ** ROOT
    centre = np.nanmean(known, axis=0)
    spread = np.nanquantile(known, 0.95, axis=0) - np.nanquantile(known, 0.02, axis=0) + 0.05
    return Scaled(panel, False, (root - centre) / spread, floor, centre, spread)


def _scale_logarithms(panel: Panel) -> Scaled:
    floor = np.where(np.isfinite(panel.population), FLOOR_LOG_COUNT / (panel.population / PER_PERSONS), FLOOR_RATE)
    raw = np.log(np.maximum(fill_gaps(panel.rate), 0.0) + floor)
    places = raw.shape[1]
    return Scaled(panel, True, raw / LOG_SPREAD, floor, np.zeros(places), np.full(places, LOG_SPREAD))


@compiled
def fill_gaps(values: Floats) -> Floats:
    """Straight lines over gaps of up to two weeks inside a series; one week at the end is held. Shape (weeks, places).

    >>> fill_gaps(np.array([[1.0], [np.nan], [3.0], [np.nan], [np.nan]])).ravel().tolist()
    [1.0, 2.0, 3.0, 3.0, nan]
    """
    out = values.copy()
    weeks, places = values.shape
    for i in range(places):
        last = -1
        for t in range(weeks):
            if np.isfinite(values[t, i]):
                gap = t - last - 1
                if last >= 0 and 0 < gap <= GAP_WEEKS:
                    for k in range(1, gap + 1):
                        out[last + k, i] = values[last, i] + (values[t, i] - values[last, i]) * k / (gap + 1)
                last = t
        if 0 <= last < weeks - 1:
            out[last + 1, i] = values[last, i]
    return out
