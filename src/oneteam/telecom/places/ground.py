"""Zones on the plane, and which of them a place lies in."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import shapely
from scipy.spatial import cKDTree

from oneteam.store.geography import EqualAreaProjection

FARTHEST_ZONE_M: Final = 20_000.0
"""A place farther than this from every zone belongs to none."""
FIRST_DAY: Final = -(2**31)
LAST_DAY: Final = 2**31 - 1

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Ground:
    """Zones on the plane. ``polygons`` holds None where a zone has none; ``points`` NaN."""

    polygons: npt.NDArray[np.object_]
    tree: shapely.STRtree
    shaped: Ints
    bare: Bools
    points: Floats

    @classmethod
    def of(cls, zones: pa.Table, plane: EqualAreaProjection) -> Ground:
        """The zones of a table in the schema `ZONES`, moved to the plane."""
        wkb = zones["geometry"].to_pylist() if "geometry" in zones.column_names else [None] * zones.num_rows
        polygons = plane.project(np.asarray(shapely.from_wkb(np.array(wkb, dtype=object)), dtype=object))
        shapely.prepare(polygons)
        shaped = np.flatnonzero(~shapely.is_missing(polygons))
        points = np.column_stack(plane.forward(floats_of(zones, "longitude"), floats_of(zones, "latitude")))
        return cls(polygons, shapely.STRtree(polygons[shaped]), shaped, shapely.is_missing(polygons), points)

    def locate(self, x: Floats, y: Floats, reach: Floats, centre: Floats, wanted: Bools | None = None) -> Ints:
        """Zone of each sample, -1 outside of all.

        Args:
            x: samples [m], (rows, points).
            y: the same.
            reach: how far the samples of a row lie from its centre at most [m], (rows,).
            centre: of each row [m], (rows, 2).
            wanted: the samples to locate, (rows, points); all when None.
        """
        zone = np.full(x.shape, -1, dtype=np.int64)
        open_ = np.ones(x.shape, dtype=np.bool_) if wanted is None else wanted.copy()
        if len(self.shaped):
            row, hit = self.tree.query(shapely.box(*(centre - reach[:, None]).T, *(centre + reach[:, None]).T))
            # Where polygons overlap the zone of the centre, then the lower index, has the place. Most samples lie in the former.
            elsewhere = ~shapely.intersects_xy(self.polygons[self.shaped[hit]], centre[row, 0], centre[row, 1])
            order = np.lexsort((row, hit, elsewhere))
            row, hit = row[order], hit[order]
            for pairs in np.split(np.arange(len(hit)), np.flatnonzero(np.diff(hit)) + 1):
                if len(pairs):
                    self._claim(int(self.shaped[hit[pairs[0]]]), row[pairs], (x, y), zone, open_)
        if self.bare.any():
            at = np.nonzero(open_)
            zone[at] = self._nearest_bare(np.column_stack([x[at], y[at]]))
        return zone

    def _claim(self, index: int, rows: Ints, xy: tuple[Floats, Floats], zone: Ints, open_: Bools) -> None:
        """Give a zone the open samples of some rows that lie in it."""
        polygon = self.polygons[index]
        west, south, east, north = polygon.bounds
        x, y = xy[0][rows], xy[1][rows]
        row, point = np.nonzero(open_[rows] & (x >= west) & (x <= east) & (y >= south) & (y <= north))
        inside = shapely.intersects_xy(polygon, x[row, point], y[row, point])
        row, point = rows[row[inside]], point[inside]
        zone[row, point] = index
        open_[row, point] = False

    def _nearest_bare(self, places: Floats) -> Ints:
        """A place in no polygon belongs to the nearest zone point if that zone has no polygon and is not absurdly far away."""
        known = np.flatnonzero(np.isfinite(self.points).all(axis=1))
        if not len(known) or not len(places):
            return np.full(len(places), -1, dtype=np.int64)
        tree = cKDTree(self.points[known])
        distance, nearest = tree.query(places)
        between = tree.query(self.points[known], k=2)[0][:, 1] if len(known) > 1 else np.zeros(1)
        near = distance <= FARTHEST_ZONE_M + between[nearest]
        found = known[nearest]
        return np.where(near & self.bare[found], found, -1)

    def of_points(self, places: Floats) -> Ints:
        """Zone of each place, or the nearest zone within 20 km, else -1."""
        zone = self.locate(places[:, :1], places[:, 1:], np.zeros(len(places)), places)[:, 0]
        lost = np.flatnonzero(zone < 0)
        if len(lost) and len(self.shaped):
            row, hit = self.tree.query_nearest(shapely.points(places[lost]), max_distance=FARTHEST_ZONE_M, all_matches=True)
            order = np.lexsort((hit, row))
            rows, at = np.unique(row[order], return_index=True)
            zone[lost[rows]] = self.shaped[hit[order][at]]
        return zone

    def room_around(self, places: Floats, zone: Ints) -> Floats:
        """Distance from each place to the edge of its polygon [m]; 0 where it has none."""
        room = np.zeros(len(places))
        for index in np.unique(zone[zone >= 0]):
            if not self.bare[index]:
                rows = np.flatnonzero(zone == index)
                edge = shapely.boundary(self.polygons[index])
                shapely.prepare(edge)
                room[rows] = shapely.distance(edge, shapely.points(places[rows]))
        return room


def floats_of(table: pa.Table, name: str) -> Floats:
    """A column as float64 with NaN for null; all NaN when the table has no such column."""
    if name not in table.column_names:
        return np.full(table.num_rows, np.nan)
    return np.asarray(pc.fill_null(table[name].cast(pa.float64()), math.nan).to_numpy(), dtype=np.float64)


def days_of(table: pa.Table, name: str, open_: int) -> Ints:
    """A date column as days since 1970-01-01, with a value for null; a table without the column has only nulls."""
    if name not in table.column_names:
        return np.full(table.num_rows, open_, dtype=np.int64)
    return np.asarray(pc.fill_null(table[name].cast(pa.int32()).cast(pa.int64()), open_).to_numpy(), dtype=np.int64)
