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

    def locate(self, x: Floats, y: Floats, reach: Floats, centre: Floats) -> Ints:
        """Zone of each sample, -1 outside of all; samples (rows, points) lie within ``reach`` of their row's centre.

        Where polygons overlap the lower index has the place.
        """
        zone = np.full(x.shape, -1, dtype=np.int64)
        if len(self.shaped):
            boxes = shapely.box(*(centre - reach[:, None]).T, *(centre + reach[:, None]).T)
            row, hit = self.tree.query(boxes)
            order = np.lexsort((row, hit))
            row, hit = row[order], hit[order]
            edges = np.flatnonzero(np.diff(hit)) + 1
            for rows in np.split(np.arange(len(hit)), edges):
                if len(rows):
                    self._claim(int(self.shaped[hit[rows[0]]]), row[rows], zone, x, y)
        if self.bare.any():
            open_ = np.nonzero(zone < 0)
            zone[open_] = self._nearest_bare(np.column_stack([x[open_], y[open_]]))
        return zone

    def _claim(self, index: int, rows: Ints, zone: Ints, x: Floats, y: Floats) -> None:
        at = np.nonzero(zone[rows] < 0)
        source = (rows[at[0]], at[1])
        inside = shapely.intersects_xy(self.polygons[index], x[source], y[source])
        zone[source[0][inside], source[1][inside]] = index

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
