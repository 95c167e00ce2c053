"""What a cell covers: sample points of its footprint with their weights.

1. *Footprint.* A cell with a range or a power serves a disc, or a sector where it has a direction. Its weight at distance r and angle θ
   off its axis is the *signal dominance* of Tennekes and Gootzen, a logistic curve of the signal strength in dBm::

       S(r, θ) = 30 + 10 log10(P) - 10 γ log10(r) - A(θ)         γ = 3.75
       s(r, θ) = 1 / (1 + exp(-0.2 (S(r, θ) + 92.5)))
       A(θ)    = min(12 (θ / beam width)², 30)                    horizontal pattern of 3GPP TR 36.814, table A.2.1.1-2

   The footprint ends where s on the axis has fallen to 0.05: that gives the range from the power, 30 to 35,000 m. Where the range is given,
   the curve is shifted so that it ends there; the dominance then depends on r / range alone.
2. *Voronoi.* A cell with a point only serves the places nearer to its site than to any other site in service at the same time; a sector
   without range or power serves its side of them.

Sources: M. Tennekes, Y. Gootzen: Bayesian location estimation of mobile devices using a signal strength model, Journal of Spatial
Information Science 25 (2022); F. Ricciato, G. Lanzieri, A. Wirthmann, G. Seynaeve: Towards a methodological framework for estimating
present population density from mobile network operator data, Pervasive and Mobile Computing 68 (2020), on geolocation by footprint
and by Voronoi regions.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from scipy.spatial import cKDTree

from oneteam.store.geography import EqualAreaProjection
from oneteam.telecom.places.ground import FIRST_DAY, LAST_DAY, Bools, Floats, Ints, days_of, floats_of

PATH_LOSS_EXPONENT: Final = 3.75
DOMINANCE_MIDPOINT_DBM: Final = -92.5
DOMINANCE_STEEPNESS_PER_DB: Final = 0.2
EDGE_DOMINANCE: Final = 0.05
LONGEST_RANGE_M: Final = 35_000.0
SHORTEST_RANGE_M: Final = 30.0
SECTOR_BEAM_WIDTH_DEG: Final = 65.0
"""Beam width of a directional cell that names none: the common one of three-sector sites."""

_RINGS: Final = 12
_SPOKES: Final = 24
"""So many samples give the share of a disc on either side of a line to 0.017 at worst, 0.004 on average."""
_MOST_SAMPLES: Final = 4_096
_RIVALS: Final = 8


def range_from_power(power_w: npt.ArrayLike) -> Floats:
    """How far a cell reaches by its power: where its signal dominance has fallen to 0.05.

    Args:
        power_w: transmit power [W], any shape.

    Returns:
        range [m], within 30 and 35,000.

    >>> [round(float(m)) for m in range_from_power([0.1, 10.0, 40.0])]
    [2469, 8432, 12203]
    """
    with np.errstate(divide="ignore"):
        strength_dbm = 30 + 10 * np.log10(np.asarray(power_w, dtype=np.float64))
    edge_dbm = DOMINANCE_MIDPOINT_DBM + math.log(EDGE_DOMINANCE / (1 - EDGE_DOMINANCE)) / DOMINANCE_STEEPNESS_PER_DB
    exponent = np.minimum((strength_dbm - edge_dbm) / (10 * PATH_LOSS_EXPONENT), 9.0)
    return np.clip(10.0**exponent, SHORTEST_RANGE_M, LONGEST_RANGE_M)


def signal_dominance(relative_distance: npt.ArrayLike, loss_db: npt.ArrayLike = 0.0) -> Floats:
    """Signal dominance where the distance is a share of the cell's range.

    Args:
        relative_distance: r / range.
        loss_db: loss of the antenna pattern in that direction [dB].

    >>> [round(float(s), 2) for s in signal_dominance([0.1, 0.5, 1.0])]
    [0.99, 0.33, 0.05]
    """
    with np.errstate(divide="ignore"):
        margin_db = -10 * PATH_LOSS_EXPONENT * np.log10(np.asarray(relative_distance, dtype=np.float64)) - np.asarray(loss_db)
    odds = EDGE_DOMINANCE / (1 - EDGE_DOMINANCE) * np.exp(np.minimum(DOMINANCE_STEEPNESS_PER_DB * margin_db, 700.0))
    return np.asarray(odds / (1 + odds), dtype=np.float64)


@dataclass(frozen=True)
class Antennas:
    """What is known of each (cell, period), on the plane.

    Args:
        places: where they stand [m], (rows, 2).
        radius: how far from there their samples lie at most [m].
        by_voronoi: those without a range, which serve what is nearest to them.
        azimuth: direction [degrees clockwise from north], NaN for those that radiate all around.
        beam_width: [degrees].
        start, end: first and last day in service, days since 1970-01-01.
        sites: where, and from when to when, any antenna is in service.
    """

    places: Floats
    radius: Floats
    by_voronoi: Bools
    azimuth: Floats
    beam_width: Floats
    start: Ints
    end: Ints
    sites: Sites

    @classmethod
    def of(cls, cells: pa.Table, everyone: pa.Table, plane: EqualAreaProjection) -> Antennas:
        """Antennas of cells that all have coordinates, among everyone's sites; both tables in the schema `CELLS`."""
        beam = floats_of(cells, "horizontal_beam_width")
        around = (floats_of(cells, "directionality") == 0) | (beam >= 360)
        reach = _reach(floats_of(cells, "range"), floats_of(cells, "power"))
        places, sites = _on_plane(cells, plane), Sites.of(everyone, plane)
        unknown = np.isnan(reach)
        return cls(
            places,
            np.where(unknown, sites.radius_around(places), reach) if unknown.any() else reach,
            unknown,
            np.where(around, np.nan, floats_of(cells, "azimuth_angle")),
            np.where(beam > 0, beam, SECTOR_BEAM_WIDTH_DEG),
            days_of(cells, "valid_date_start", FIRST_DAY),
            days_of(cells, "valid_date_end", LAST_DAY),
            sites,
        )

    def samples(self, rows: Ints, spacing_m: float | None = None) -> tuple[Floats, Floats, Floats]:
        """Sample points of some antennas on an equal-area polar grid: x [m], y [m] and weight, each (rows, points)."""
        rings, spokes = _grid_size(float(self.radius[rows].max()), spacing_m)
        relative = np.repeat(np.sqrt((np.arange(rings) + 0.5) / rings), spokes)[None, :]
        turn = np.tile((np.arange(spokes) + 0.5) / spokes * 2 - 1, rings)[None, :]
        directional = ~np.isnan(self.azimuth[rows])[:, None]
        beam = self.beam_width[rows][:, None]
        off_axis = turn * np.where(directional, np.minimum(beam, 180.0), 180.0)
        bearing = np.radians(np.where(directional, self.azimuth[rows][:, None], 0.0) + off_axis)
        distance = relative * self.radius[rows][:, None]
        x, y = self.places[rows, :1] + distance * np.sin(bearing), self.places[rows, 1:] + distance * np.cos(bearing)
        weight = signal_dominance(relative, np.where(directional, np.minimum(12 * (off_axis / beam) ** 2, 30.0), 0.0))
        nearest = np.flatnonzero(self.by_voronoi[rows])
        if len(nearest):
            weight[nearest] = self._serves(rows[nearest], x[nearest], y[nearest])
        return x, y, weight

    def _serves(self, rows: Ints, x: Floats, y: Floats) -> Bools:
        """Whether no site in service during the antenna's period is nearer to the sample than its own."""
        samples, owner = np.column_stack([x.ravel(), y.ravel()]), np.repeat(rows, x.shape[1])
        # A millimetre: the own site is among the sites, at its own distance.
        own = np.hypot(*(samples - self.places[owner]).T) - 1e-3
        serves, open_ = self._unbeaten(samples, owner, own, 1)
        # Where the nearest is nearer yet not in service at that time, those behind it decide.
        again = np.flatnonzero(open_)
        if len(again):
            serves[again] = self._unbeaten(samples[again], owner[again], own[again], _RIVALS)[0]
        return serves.reshape(x.shape)

    def _unbeaten(self, samples: Floats, owner: Ints, own: Floats, k: int) -> tuple[Bools, Bools]:
        """Whether none of the ``k`` nearest sites is nearer and in service; and whether one is nearer but not in service."""
        distance, start, end = self.sites.nearest(samples, k)
        nearer = distance < own[:, None]
        beaten = (nearer & (start <= self.end[owner, None]) & (end >= self.start[owner, None])).any(axis=1)
        return np.asarray(~beaten), np.asarray(nearer.any(axis=1) & ~beaten)


@dataclass(frozen=True)
class Sites:
    """Where antennas are in service, and when: one row per place and period."""

    tree: cKDTree
    start: Ints
    end: Ints

    @classmethod
    def of(cls, cells: pa.Table, plane: EqualAreaProjection) -> Sites:
        """All places and periods of a table in the schema `CELLS`, whose rows all have coordinates."""
        periods = (days_of(cells, "valid_date_start", FIRST_DAY), days_of(cells, "valid_date_end", LAST_DAY))
        rows = np.unique(np.column_stack([_on_plane(cells, plane), *periods]), axis=0)
        return cls(cKDTree(rows[:, :2]), rows[:, 2].astype(np.int64), rows[:, 3].astype(np.int64))

    def radius_around(self, places: Floats) -> Floats:
        """A radius that holds the Voronoi region of each place among the sites: the distance to its eighth nearest neighbour."""
        distinct = np.unique(self.tree.data, axis=0)
        if len(distinct) == 1:
            return np.full(len(places), LONGEST_RANGE_M)
        distance = cKDTree(distinct).query(places, k=min(_RIVALS + 1, len(distinct)))[0]
        return np.asarray(np.clip(distance[:, -1], SHORTEST_RANGE_M, LONGEST_RANGE_M), dtype=np.float64)

    def nearest(self, samples: Floats, k: int) -> tuple[Floats, Ints, Ints]:
        """Distance, start and end of the nearest sites of each sample, each (samples, k or as many as there are)."""
        distance, index = self.tree.query(samples, k=list(range(1, min(k, len(self.start)) + 1)))
        return distance, self.start[index], self.end[index]


def _grid_size(reach_m: float, spacing_m: float | None) -> tuple[int, int]:
    if spacing_m is None:
        return _RINGS, _SPOKES
    wanted = min(max(math.pi * (reach_m / spacing_m) ** 2, 32), _MOST_SAMPLES)
    rings = max(4, round(math.sqrt(wanted / 2)))
    return rings, 2 * rings


def _reach(range_m: Floats, power_w: Floats) -> Floats:
    """The stated range, or the one that the power gives, or NaN [m]."""
    by_power = range_from_power(np.where(power_w > 0, power_w, 1.0))
    stated = np.clip(range_m, SHORTEST_RANGE_M, LONGEST_RANGE_M)
    return np.where(range_m > 0, stated, np.where(power_w > 0, by_power, np.nan))


def _on_plane(cells: pa.Table, plane: EqualAreaProjection) -> Floats:
    return np.column_stack(plane.forward(floats_of(cells, "longitude"), floats_of(cells, "latitude")))
