"""Zones made ready for a drawing: simplified, complete, and far-off ones brought near."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import shapely
from scipy.spatial import cKDTree

from oneteam.core.errors import NothingFoundError
from oneteam.store.geography import EqualAreaProjection
from oneteam.telecom.drawing.lettering import Lettering

Floats = npt.NDArray[np.float64]
Shapes = npt.NDArray[np.object_]
Window = tuple[float, float, float, float]
"""West, south, east, north [m]."""

_DETAIL_SHARE: Final = 0.12
"""Side of the detail window as a share of the longer side of the map."""
_OUTLYING: Final = 0.2
"""A zone without which the map's frame would be smaller by this share is drawn nearer, in a frame of its own."""
_FEWEST_TO_GATHER: Final = 8


@dataclass(frozen=True)
class MapZones:
    """Zones ready to be drawn, on the equal-area plane, in metres.

    Args:
        codes: codes, in the order of all other fields.
        names: names, None where there is none.
        shapes: polygons.
        borders: outlines of the regions that zones belong to, or of the whole.
        points: a point inside each zone, (n, 2).
        area_km2: areas; NaN where the shape was made up from points.
        population: inhabitants; NaN where unknown.
        frames: boxes about zones that are drawn nearer than they are, at the same scale.
    """

    codes: tuple[str, ...]
    names: tuple[str | None, ...]
    shapes: Shapes
    borders: Shapes
    points: Floats
    area_km2: Floats
    population: Floats
    frames: tuple[Window, ...]

    @classmethod
    def of(cls, zones: pa.Table) -> MapZones:
        """Zones of a table in the schema `ZONES`. Those without polygon get the places nearest to their point.

        Raises:
            NothingFoundError: no zone has a polygon or a point.
        """
        wkb = np.array(zones["geometry"].to_pylist(), dtype=object)
        degrees = np.asarray(shapely.from_wkb(wkb), dtype=object)
        points = np.array([zones["longitude"].to_pylist(), zones["latitude"].to_pylist()], dtype=np.float64).T
        drawn = ~shapely.is_missing(degrees) | np.isfinite(points).all(axis=1)
        if not drawn.any():
            raise NothingFoundError("no zone has a shape or a point", hint="Give a shapes file, or latitude and longitude.")
        zones, degrees, points = zones.filter(pa.array(drawn)), degrees[drawn], points[drawn]
        plane = EqualAreaProjection.centred_on(points[:, 0], points[:, 1])
        exact = plane.project(degrees)
        at = np.column_stack(plane.forward(points[:, 0], points[:, 1]))
        population = pc.fill_null(zones["population"], np.nan).to_numpy()
        shapes = _completed(_simplified(exact), at)
        borders = _outlines(shapes, zones["region"].to_pylist())
        frames: tuple[Window, ...] = ()
        if not shapely.is_missing(exact).any():
            shapes, borders, at, frames = _gathered(shapes, borders, at)
        return cls(
            tuple(zones["code"].to_pylist()),
            tuple(zones["name"].to_pylist()),
            shapes,
            borders,
            at,
            np.where(shapely.is_missing(exact), np.nan, shapely.area(exact) / 1e6),
            np.asarray(population, dtype=np.float64),
            frames,
        )

    def window(self) -> Window:
        """West, south, east and north of all zones, with a margin."""
        west, south, east, north = shapely.total_bounds(self.shapes)
        for frame in self.frames:
            west, south, east, north = min(west, frame[0]), min(south, frame[1]), max(east, frame[2]), max(north, frame[3])
        margin = 0.02 * max(east - west, north - south)
        return west - margin, south - margin, east + margin, north + margin

    def crowded(self) -> Window | None:
        """The window with most zones, if it holds so many that the whole map cannot show them."""
        west, south, east, north = self.window()
        half = _DETAIL_SHARE * max(east - west, north - south) / 2
        tree = cKDTree(self.points)
        inside = tree.query_ball_point(self.points, half, p=np.inf, return_length=True)
        if len(self.points) < 60 or inside.max() < max(20, 8 * len(self.points) * _DETAIL_SHARE**2):
            return None
        x, y = self.points[tree.query_ball_point(self.points[int(inside.argmax())], half, p=np.inf)].mean(axis=0)
        return float(x - half), float(y - half), float(x + half), float(y + half)

    def label(self, index: int, lettering: Lettering) -> str:
        """Name of a zone, or its code where the typeface cannot set the name."""
        return lettering.first_settable(self.names[index], self.codes[index])


def _simplified(shapes: Shapes) -> Shapes:
    """Shapes without detail finer than a printed dot; common borders stay common."""
    known = ~shapely.is_missing(shapes)
    if not known.any():
        return shapes
    west, south, east, north = shapely.total_bounds(shapes[known])
    tolerance = max(east - west, north - south) / 2500
    coarse = shapes.copy()
    coarse[known] = shapely.coverage_simplify(shapes[known], tolerance)
    # A zone smaller than the tolerance must not vanish.
    lost = known & (shapely.is_empty(coarse) | ~shapely.is_valid(coarse))
    coarse[lost] = shapes[lost]
    return coarse


def _completed(shapes: Shapes, points: Floats) -> Shapes:
    """Every zone with a shape: those without get their Voronoi region near their point, less what others hold."""
    missing = shapely.is_missing(shapes)
    if not missing.any():
        return shapes
    if len(points) == 1:
        return np.array([shapely.Point(points[0]).buffer(10_000)], dtype=object)
    around = cKDTree(points).query(points, k=min(5, len(points)))[0][:, -1]
    reach = np.maximum(np.minimum(1.4 * around, 1.8 * np.median(around)), 100.0)
    discs = shapely.buffer(shapely.points(points), reach)
    regions = shapely.get_parts(shapely.voronoi_polygons(shapely.MultiPoint(points), extend_to=shapely.union_all(discs)))
    index, hit = shapely.STRtree(regions).query(shapely.points(points), predicate="intersects")
    region_of = np.empty(len(points), dtype=object)
    region_of[index[::-1]] = regions[hit[::-1]]
    held = shapely.union_all(shapes[~missing])
    made = shapely.difference(shapely.intersection(region_of[missing], discs[missing]), held)
    completed = shapes.copy()
    # Where others hold the whole region the point itself still shows as a disc.
    completed[missing] = np.where(shapely.area(made) == 0, shapely.buffer(shapely.points(points[missing]), 0.1 * reach[missing]), made)
    return completed


def _outlines(shapes: Shapes, regions: Sequence[str | None]) -> Shapes:
    """The outline of each region, from the shapes of its zones; of the whole where regions are not named or mean nothing.

    An outline also shows islands that are smaller than the white line about each zone.
    """
    names = sorted({region for region in regions if region is not None})
    if not 1 < len(names) <= len(shapes) / 2:
        return np.array([shapely.union_all(shapes, grid_size=1.0)], dtype=object)
    of = np.array([region or "" for region in regions])
    return np.array([shapely.union_all(shapes[of == name], grid_size=1.0) for name in names], dtype=object)


def _gathered(shapes: Shapes, borders: Shapes, points: Floats) -> tuple[Shapes, Shapes, Floats, tuple[Window, ...]]:
    """Draw a far-off zone nearer, in the free place next to where it is, so that the others need not be small."""
    shapes, points = shapes.copy(), points.copy()
    frames: dict[int, Window] = {}
    bounds = shapely.bounds(shapes)
    lonely = _lonely(shapes)
    away = _farthest(bounds, lonely)
    while away is not None and away not in frames:
        rest = np.delete(bounds, away, axis=0)
        core = (rest[:, 0].min(), rest[:, 1].min(), rest[:, 2].max(), rest[:, 3].max())
        gap = 0.015 * max(core[2] - core[0], core[3] - core[1])
        others = shapely.STRtree([*np.delete(shapes, away), *(shapely.box(*frame) for frame in frames.values())])
        frames[away] = frame = _free_place(bounds[away], core, gap, others)
        shift = np.array([frame[0] + gap, frame[1] + gap]) - bounds[away, :2]
        original = shapes[away]
        shapes[away] = shapely.transform(original, lambda xy, shift=shift: xy + shift)
        points[away] += shift
        bounds[away] += np.tile(shift, 2)
        # An outline, or its smallest islands would not be seen.
        borders = np.append(shapely.difference(borders, original.buffer(gap / 4)), shapes[away])
        away = _farthest(bounds, lonely)
    return shapes, borders, points, tuple(frames.values())


def _free_place(bounds: Floats, core: Window, gap: float, others: shapely.STRtree) -> Window:
    """Where a frame about ``bounds`` fits: the nearest free corner of the core, else beside the core on the side where it lies."""
    west, south, east, north = core
    width, height = bounds[2:] - bounds[:2] + 2 * gap
    centre = (bounds[:2] + bounds[2:]) / 2

    def distance(place: Window) -> float:
        return float(np.hypot((place[0] + place[2]) / 2 - centre[0], (place[1] + place[3]) / 2 - centre[1]))

    corners = [(x, y, x + width, y + height) for x in (west, east - width) for y in (south, north - height)]
    free = [corner for corner in corners if not len(others.query(shapely.box(*corner), predicate="intersects"))]
    if free:
        return min(free, key=distance)
    x, y = (
        float(np.clip(c - size / 2, low, max(low, high - size)))
        for c, size, low, high in zip(centre, (width, height), core[:2], core[2:], strict=True)
    )
    beside = [(east + gap, y), (west - gap - width, y), (x, north + gap), (x, south - gap - height)]
    return min(((x, y, x + width, y + height) for x, y in beside), key=distance)


def _lonely(shapes: Shapes) -> npt.NDArray[np.bool_]:
    """Zones with nothing near them: a tenth of the map's longer side lies between."""
    if len(shapes) < _FEWEST_TO_GATHER:
        return np.zeros(len(shapes), dtype=np.bool_)
    west, south, east, north = shapely.total_bounds(shapes)
    index, distance = shapely.STRtree(shapes).query_nearest(shapes, exclusive=True, return_distance=True, all_matches=False)
    lonely = np.zeros(len(shapes), dtype=np.bool_)
    lonely[index[0]] = distance > 0.1 * max(east - west, north - south)
    return lonely


def _farthest(bounds: Floats, lonely: npt.NDArray[np.bool_]) -> int | None:
    """The lonely zone without which the map's frame is smallest, if it is smaller by a fifth."""
    if not lonely.any():
        return None
    low, high = np.sort(bounds[:, :2], axis=0), np.sort(bounds[:, 2:], axis=0)
    # Without a zone that holds an extreme, the next one is the extreme.
    west_south = np.where(bounds[:, :2] == low[0], low[1], low[0])
    east_north = np.where(bounds[:, 2:] == high[-1], high[-2], high[-1])
    area = np.where(lonely, (east_north - west_south).prod(axis=1), np.inf)
    index = int(area.argmin())
    return index if area[index] < (1 - _OUTLYING) * float((high[-1] - low[0]).prod()) else None
