"""Where zones lie: their shapes, in degrees and in metres, and points inside them where people live, work and meet."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import shapely
from shapely.geometry.base import BaseGeometry

from oneteam.core.errors import UnknownValueError
from oneteam.stats.random import key_of, normals, uniforms
from oneteam.store.geography import EqualAreaProjection
from oneteam.store.rows import some
from oneteam.synth.streams import Stream
from oneteam.synth.zones import Zones

Floats = npt.NDArray[np.float64]

POINTS_PER_ZONE: Final = 512
CENTRES_PER_ZONE: Final = 5
MARGIN: Final = 0.22
"""Settlements keep this share of the zone's inscribed radius away from its border: towns lie inside districts, hills between them."""
DEFAULT_CENTRE: Final = (127.8, 36.3)
ZONE_SPACING_M: Final = 20_000.0


@dataclass(frozen=True)
class Territory:
    """The country on a plane.

    Args:
        plane: projection between degrees and metres.
        shapes: zones in degrees, by position.
        x: centres of zones [m].
        y: centres of zones [m].
        area_m2: area of each zone.
        point_x: settled points, shape (zones, `POINTS_PER_ZONE`) [m]; each zone's first points are as random as its last.
        point_y: the same [m].
    """

    plane: EqualAreaProjection
    shapes: tuple[BaseGeometry, ...]
    x: Floats
    y: Floats
    area_m2: Floats
    point_x: Floats
    point_y: Floats


def settle(zones: Zones, shapes: dict[str, BaseGeometry] | None, od: Floats | None, seed: int) -> Territory:
    """Lay out the country.

    Args:
        zones: its zones.
        shapes: their polygons in degrees by code; None to make them, around the zones' coordinates where those are known.
        od: trips between regions, which then lie the nearer the more is travelled between them.
        seed: of the country.

    Raises:
        UnknownValueError: a zone has no shape.
    """
    if shapes is not None:
        absent = [code for code in zones.codes if code not in shapes]
        if absent:
            raise UnknownValueError(f"--shapes: no shape for zone {some(absent)}", hint="Shapes are matched by the property 'code'.")
        degrees = np.array([shapes[code] for code in zones.codes], dtype=object)
        bounds = shapely.bounds(degrees)
        plane = EqualAreaProjection.centred_on(bounds[:, [0, 2]], bounds[:, [1, 3]])
        flat = plane.project(degrees)
    else:
        if np.isfinite(zones.latitude).all() and np.isfinite(zones.longitude).all():
            plane = EqualAreaProjection.centred_on(zones.longitude, zones.latitude)
            x, y = plane.forward(zones.longitude, zones.latitude)
        else:
            plane = EqualAreaProjection(*DEFAULT_CENTRE)
            x, y = _invented_centres(zones, od, seed)
        flat = voronoi_cells(x, y)
        degrees = shapely.transform(flat, lambda xy: np.column_stack(plane.inverse(xy[:, 0], xy[:, 1])))
    point_x, point_y = _settled_points(flat, seed)
    inside = shapely.point_on_surface(flat)
    return Territory(
        plane, tuple(degrees), shapely.get_x(inside), shapely.get_y(inside), np.asarray(shapely.area(flat), np.float64), point_x, point_y
    )


def classical_mds(distance: Floats) -> tuple[Floats, Floats]:
    """Points on a plane whose distances resemble the given ones.

    Args:
        distance: symmetric, shape (n, n), any unit.

    Source: W. S. Torgerson 1952, Multidimensional scaling: I. Theory and method, Psychometrika 17.

    >>> x, y = classical_mds(np.array([[0.0, 3.0, 4.0], [3.0, 0.0, 5.0], [4.0, 5.0, 0.0]]))
    >>> round(float(np.hypot(x[1] - x[2], y[1] - y[2])), 6)
    5.0
    """
    n = len(distance)
    centring = np.eye(n) - 1.0 / n
    values, vectors = np.linalg.eigh(-0.5 * centring @ distance**2 @ centring)
    # The sign of an eigenvector is arbitrary; fix it, so that the map is not mirrored from one machine to another.
    axes = [vectors[:, -k] * np.sqrt(max(values[-k], 0.0)) for k in (1, 2) if k <= n]
    axes = [a * (1.0 if a[np.argmax(np.abs(a))] >= 0 else -1.0) for a in axes]
    return axes[0], axes[1] if n > 1 else np.zeros(n)


def voronoi_cells(x: Floats, y: Floats) -> npt.NDArray[np.object_]:
    """The part of the plane that is nearest to each point, cut off at some distance beyond the outermost points; in the points' order.

    Raises:
        UnknownValueError: two points coincide.
    """
    points = shapely.points(x, y)
    if len(np.unique(np.column_stack([x, y]), axis=0)) < len(points):
        raise UnknownValueError("two zones have the same coordinates", hint="Give each zone its own centre.")
    spacing = _spacing(x, y)
    hull = shapely.convex_hull(shapely.multipoints(points))
    frame = shapely.buffer(hull, 0.7 * spacing)
    if len(x) == 1:
        return np.array([frame], dtype=object)
    cells = shapely.get_parts(shapely.voronoi_polygons(shapely.multipoints(points), extend_to=frame))
    tree = shapely.STRtree(cells)
    found, cell = tree.query(points, predicate="within")
    out = np.empty(len(x), dtype=object)
    out[found] = shapely.intersection(cells[cell], frame)
    return out


def _spacing(x: Floats, y: Floats) -> float:
    extent = max(float(np.ptp(x)), float(np.ptp(y)))
    return ZONE_SPACING_M if extent == 0 else extent / max(1.0, np.sqrt(len(x)))


def _invented_centres(zones: Zones, od: Floats | None, seed: int) -> tuple[Floats, Floats]:
    """Regions by closeness in travel, or around a sunflower; districts of a region around its centre, the most populous in the middle."""
    key = key_of(seed, Stream.LAYOUT)
    region = zones.region_index
    regions = len(zones.region_codes)
    sizes = np.bincount(region, minlength=regions)
    radius = ZONE_SPACING_M * np.sqrt(sizes / np.pi)
    if od is not None and regions > 2:
        mass = np.sqrt(np.outer(od.sum(1), od.sum(0)))
        closeness = (od + od.T) / np.maximum(mass + mass.T, 1e-9)
        distance = np.log(1 / np.maximum(closeness, 1e-7))
        np.fill_diagonal(distance, 0.0)
        rx, ry = classical_mds(distance)
    else:
        rx, ry = _sunflower(regions)
    span = max(float(np.hypot(rx, ry).max()), 1e-9)
    reach = ZONE_SPACING_M * np.sqrt(zones.count / np.pi)
    rx, ry = _pushed_apart(1.3 * rx / span * reach, 1.3 * ry / span * reach, radius)
    x, y = np.empty(zones.count), np.empty(zones.count)
    for r in range(regions):
        members = np.flatnonzero(region == r)
        members = members[np.argsort(-zones.population[members], kind="stable")]
        sx, sy = _sunflower(len(members))
        x[members] = rx[r] + ZONE_SPACING_M / np.sqrt(np.pi) * sx
        y[members] = ry[r] + ZONE_SPACING_M / np.sqrt(np.pi) * sy
    x += 0.08 * ZONE_SPACING_M * normals(key, 0, zones.count)
    y += 0.08 * ZONE_SPACING_M * normals(key, zones.count, zones.count)
    return x, y


def _sunflower(count: int) -> tuple[Floats, Floats]:
    """Points that fill a disc evenly, from the middle out, one per unit of area times pi."""
    i = np.arange(count)
    return np.sqrt(i + 0.5 * (count > 1)) * np.cos(i * 2.399963229728653), np.sqrt(i + 0.5 * (count > 1)) * np.sin(i * 2.399963229728653)


def _pushed_apart(x: Floats, y: Floats, radius: Floats) -> tuple[Floats, Floats]:
    """Discs moved until they hardly overlap, keeping their neighbourhood."""
    x, y = x.copy(), y.copy()
    for _ in range(300):
        dx, dy = x[:, None] - x[None], y[:, None] - y[None]
        apart = np.hypot(dx, dy) + np.eye(len(x))
        overlap = np.maximum(radius[:, None] + radius[None] - apart, 0.0)
        np.fill_diagonal(overlap, 0.0)
        x += 0.25 * (overlap * dx / apart).sum(1) - 0.002 * (x - x.mean())
        y += 0.25 * (overlap * dy / apart).sum(1) - 0.002 * (y - y.mean())
    return x, y


def _settled_points(flat: npt.NDArray[np.object_], seed: int) -> tuple[Floats, Floats]:
    """For each zone, points gathered around a few town centres, away from the zone's border."""
    parts = [max(shapely.get_parts(shape), key=shapely.area) for shape in flat]
    px, py = np.empty((len(parts), POINTS_PER_ZONE)), np.empty((len(parts), POINTS_PER_ZONE))
    for i, part in enumerate(parts):
        key = key_of(seed, Stream.POINTS, i)
        inner = _shrunk(part)
        shapely.prepare(inner)
        cx, cy = _points_in(inner, key, CENTRES_PER_ZONE)
        weight = np.cumsum(np.array([0.4, 0.25, 0.15, 0.12, 0.08]))
        spread = 0.16 * np.sqrt(shapely.area(inner))
        filled, attempt = 0, 1
        while filled < POINTS_PER_ZONE:
            n = 2 * POINTS_PER_ZONE
            which = np.minimum(np.searchsorted(weight, uniforms(key, attempt * 100_000, n)), CENTRES_PER_ZONE - 1)
            x = cx[which] + spread * normals(key, attempt * 100_000 + 10_000, n)
            y = cy[which] + spread * normals(key, attempt * 100_000 + 20_000, n)
            good = np.flatnonzero(shapely.contains_xy(inner, x, y))[: POINTS_PER_ZONE - filled]
            px[i, filled : filled + len(good)] = x[good]
            py[i, filled : filled + len(good)] = y[good]
            filled += len(good)
            attempt += 1
    return px, py


def _shrunk(shape: BaseGeometry) -> BaseGeometry:
    radius = shapely.length(shapely.maximum_inscribed_circle(shape, tolerance=0.02 * np.sqrt(shapely.area(shape))))
    inner = shapely.buffer(shape, -MARGIN * radius)
    return max(shapely.get_parts(inner), key=shapely.area)


def _points_in(shape: BaseGeometry, key: np.uint64, count: int) -> tuple[Floats, Floats]:
    west, south, east, north = shape.bounds
    xs: list[float] = []
    ys: list[float] = []
    first = 0
    while len(xs) < count:
        u = uniforms(key, first, 64)
        x, y = west + (east - west) * u[:32], south + (north - south) * u[32:]
        good = shapely.contains_xy(shape, x, y)
        xs.extend(x[good].tolist())
        ys.extend(y[good].tolist())
        first += 64
    return np.array(xs[:count]), np.array(ys[:count])
