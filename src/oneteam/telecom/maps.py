"""Maps of measures: zones in colours, flows as tapered curves. Pure drawing: zones and numbers in, a figure out.

Big cities have many small zones, and few zones have most of the value. So colours go by classes of nearly equal membership or by the square
root, widths by the square root, and where many zones crowd together a second window shows them larger.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import shapely
from matplotlib.axes import Axes
from matplotlib.collections import PathCollection, PolyCollection
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.path import Path as Outline
from matplotlib.patheffects import withStroke
from scipy.spatial import cKDTree

from oneteam.core.errors import NothingFoundError
from oneteam.store.geography import EqualAreaProjection
from oneteam.telecom import canvas
from oneteam.telecom.canvas import Caption, ColourScale, Floats, Scale, bare, colour_scale, nice_below, sheet, write
from oneteam.telecom.lettering import Lettering, number

Ints = npt.NDArray[np.int64]
Shapes = npt.NDArray[np.object_]
Window = tuple[float, float, float, float]

_WIDTH_IN: Final = 11.0
_MAP_WIDTH_IN: Final = 7.3
_HEAD_IN: Final = 1.05
_FOOT_IN: Final = 0.5
_DETAIL_SHARE: Final = 0.12
"""Side of the detail window as a share of the longer side of the map."""
_RANKED: Final = 5
_OUTLYING: Final = 0.2
"""A zone without which the map's frame would be smaller by this share is drawn nearer, in a frame of its own."""


@dataclass(frozen=True)
class MapZones:
    """Zones ready to be drawn, on the equal-area plane, in metres.

    Args:
        codes: codes, in the order of all other fields.
        names: names, None where there is none.
        shapes: polygons.
        borders: outlines of the regions that zones belong to; empty when no region is named.
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


@dataclass(frozen=True)
class Flows:
    """Flows between zones.

    Args:
        origin: indices into the zones.
        destination: the same.
        value: sizes, positive.
    """

    origin: Ints
    destination: Ints
    value: Floats


def choropleth(zones: MapZones, values: Floats, caption: Caption, lettering: Lettering, *, scale: Scale = "quantile") -> Figure:
    """Zones in colours.

    Args:
        zones: the zones.
        values: one per zone; NaN = no data.
        caption: the words.
        lettering: language and typefaces.
        scale: ``quantile`` classes, or a continuous ``sqrt`` or ``linear`` scale.

    Returns:
        the figure: map, scale bar, legend, a detail window where zones crowd, and the five highest zones by name.
    """
    colours = colour_scale(values, scale)
    face = colours(values)

    def paint(axes: Axes, *, detail: bool) -> None:
        _fill(axes, zones.shapes, face, edge="white", width=0.5 if detail else 0.25)
        _trace(axes, zones.borders, color="#46505c", width=0.8 if detail else 0.5)

    figure, side = _layout(zones, caption, lettering, paint)
    top = _legend(side, colours, bool(np.isnan(values).any()), caption.unit, lettering)
    order = np.argsort(-np.nan_to_num(values, nan=-np.inf), kind="stable")[:_RANKED]
    ranked = [(zones.label(int(i), lettering), number(float(values[i]))) for i in order if np.isfinite(values[i])]
    _ranking(side, top, lettering.word("highest"), ranked, lettering)
    return figure


def flow_map(zones: MapZones, flows: Flows, caption: Caption, lettering: Lettering) -> Figure:
    """Flows as curves that grow from their origin to their destination; width by the square root of the value.

    Args:
        zones: the zones, drawn muted.
        flows: the flows to draw, in any order; the largest come to lie on top.
        caption: the words.
        lettering: language and typefaces.
    """
    order = np.argsort(flows.value, kind="stable")
    start, end = zones.points[flows.origin[order]], zones.points[flows.destination[order]]
    value = flows.value[order]
    share = np.sqrt(value / value.max()) if len(value) else value
    colour = canvas.sequential()(0.35 + 0.65 * share)

    def paint(axes: Axes, *, detail: bool) -> None:
        _fill(axes, zones.shapes, np.tile(to_rgba(canvas.LAND), (len(zones.codes), 1)), edge="white", width=0.4)
        _trace(axes, zones.borders, color="#b3bcc6", width=0.7)
        metres_per_point = np.ptp(axes.get_xlim()) / (axes.bbox.width / axes.figure.dpi * 72)
        widest = (8.0 if detail else 7.0) * metres_per_point
        ribbons = _ribbons(start, end, np.maximum(share * widest, 0.35 * metres_per_point))
        axes.add_collection(PolyCollection(ribbons, facecolors=colour, edgecolors="white", linewidths=0.15, alpha=0.8, zorder=4))

    figure, side = _layout(zones, caption, lettering, paint)
    top = _flow_legend(side, value, caption.unit, lettering)
    ranked = [
        (f"{zones.label(int(flows.origin[i]), lettering)} → {zones.label(int(flows.destination[i]), lettering)}", number(flows.value[i]))
        for i in order[::-1][:_RANKED]
    ]
    _ranking(side, top, lettering.word("largest"), ranked, lettering)
    return figure


def _layout(zones: MapZones, caption: Caption, lettering: Lettering, paint: Any) -> tuple[Figure, Axes]:
    """The sheet with the painted map, its detail window, and an empty column on the right, 0..1 by inches from its top."""
    window = zones.window()
    height = float(np.clip(_MAP_WIDTH_IN * (window[3] - window[1]) / (window[2] - window[0]), 4.6, 10.5))
    total = height + _HEAD_IN + _FOOT_IN
    figure = sheet(_WIDTH_IN, total, caption, lettering)
    main = bare(figure.add_axes((0.25 / _WIDTH_IN, _FOOT_IN / total, _MAP_WIDTH_IN / _WIDTH_IN, height / total)))
    _look_at(main, window)
    paint(main, detail=False)
    for frame in zones.frames:
        main.add_patch(_box(frame, canvas.MUTED_INK, 0.6))
    _scale_bar(main, lettering)
    left, width = 0.25 + _MAP_WIDTH_IN + 0.25, _WIDTH_IN - _MAP_WIDTH_IN - 0.9
    detail, used = zones.crowded(), 0.0
    if detail is not None:
        used = width + 0.45
        inset = figure.add_axes((left / _WIDTH_IN, (total - _HEAD_IN - width) / total, width / _WIDTH_IN, width / total))
        inset.set(xticks=[], yticks=[], facecolor="white")
        for spine in inset.spines.values():
            spine.set(color=canvas.MUTED_INK, linewidth=0.8)
        _look_at(inset, detail)
        paint(inset, detail=True)
        _scale_bar(inset, lettering)
        main.add_patch(_box(detail, canvas.INK, 0.9))
    rest = height - used
    side = bare(figure.add_axes((left / _WIDTH_IN, _FOOT_IN / total, width / _WIDTH_IN, rest / total)))
    side.set(xlim=(0, width), ylim=(-rest, 0))
    return figure, side


def _box(window: Window, color: str, width: float) -> Rectangle:
    return Rectangle(window[:2], window[2] - window[0], window[3] - window[1], fill=False, ec=color, lw=width, zorder=6)


def _look_at(axes: Axes, window: Window) -> None:
    axes.set(xlim=(window[0], window[2]), ylim=(window[1], window[3]), aspect="equal")
    axes.apply_aspect()


def _fill(axes: Axes, shapes: Shapes, face: Floats, *, edge: str, width: float) -> None:
    seen = _in_view(axes, shapes)
    outlines = [_outline(shape) for shape in shapes[seen]]
    axes.add_collection(PathCollection(outlines, facecolors=face[seen], edgecolors=edge, linewidths=width, zorder=2), autolim=False)


def _trace(axes: Axes, shapes: Shapes, *, color: str, width: float) -> None:
    outlines = [_outline(shape) for shape in shapes[_in_view(axes, shapes)]]
    axes.add_collection(PathCollection(outlines, facecolors="none", edgecolors=color, linewidths=width, zorder=3), autolim=False)


def _in_view(axes: Axes, shapes: Shapes) -> npt.NDArray[np.bool_]:
    (west, east), (south, north) = axes.get_xlim(), axes.get_ylim()
    bounds = shapely.bounds(shapes).reshape(-1, 4)
    seen = (bounds[:, 2] >= west) & (bounds[:, 0] <= east) & (bounds[:, 3] >= south) & (bounds[:, 1] <= north)
    return np.asarray(seen, dtype=np.bool_)


def _outline(shape: Any) -> Outline:
    """All rings of a shape as one path; holes run the other way round and stay empty."""
    points, codes = [], []
    for ring in shapely.get_rings(shapely.get_parts(shapely.orient_polygons(shape))):
        xy = shapely.get_coordinates(ring)
        points.append(xy)
        codes.append(np.r_[Outline.MOVETO, np.full(len(xy) - 2, Outline.LINETO), Outline.CLOSEPOLY])
    return Outline(np.concatenate(points), np.concatenate(codes))


def _ribbons(start: Floats, end: Floats, width: Floats, steps: int = 24) -> list[Floats]:
    """Curves bent to the right of their direction, so that there and back lie apart, as polygons that widen to ``width`` [m]."""
    t = np.linspace(0, 1, steps)[None, :, None]
    chord = end - start
    control = (start + end) / 2 + 0.18 * np.column_stack([chord[:, 1], -chord[:, 0]])
    a, b, c = start[:, None, :], control[:, None, :], end[:, None, :]
    line = (1 - t) ** 2 * a + 2 * t * (1 - t) * b + t**2 * c
    slope = 2 * (1 - t) * (b - a) + 2 * t * (c - b)
    length = np.maximum(np.linalg.norm(slope, axis=2, keepdims=True), 1e-9)
    normal = np.concatenate([-slope[..., 1:], slope[..., :1]], axis=2) / length
    half = (0.12 + 0.88 * t) * width[:, None, None] / 2
    return list(np.concatenate([line + half * normal, (line - half * normal)[:, ::-1]], axis=1))


def _legend(side: Axes, colours: ColourScale, no_data: bool, unit: str, lettering: Lettering) -> float:
    """The key to the colours at the top of the column; returns where it ends."""
    write(side, 0, 0, unit[:1].upper() + unit[1:], lettering, size=9.5, weight="bold", va="top")
    y, row = -0.34, 0.235
    if colours.bounds is None:
        ramp = np.linspace(*colours.limits, 256)
        side.imshow(colours(ramp)[None], extent=(0, 2.4, y - 0.2, y), aspect="auto", zorder=2)
        side.set(xlim=side.get_xlim(), ylim=side.get_ylim())
        for at in (0.0, 0.5, 1.0):
            value = float(ramp[0] + (ramp[-1] - ramp[0]) * at)
            write(side, 2.4 * at, y - 0.27, number(value), lettering, size=8, va="top", ha=("left", "center", "right")[round(2 * at)])
        y -= 0.55
    else:
        bounds = colours.bounds
        step = min(np.diff([float(f"{b:.2g}") for b in bounds[1:-1]]), default=bounds[-1] - bounds[0])
        precision = None if step >= 1 and bounds[0] >= 1 else max(step, 1e-9)
        shown = [number(bound) if precision is None else number(float(f"{bound:.2g}")) for bound in bounds]
        for index in reversed(range(len(bounds) - 1)):
            middle = colours(np.array([(bounds[index] + bounds[index + 1]) / 2]))[0]
            side.add_patch(Rectangle((0, y - 0.18), 0.36, 0.18, facecolor=middle, edgecolor=canvas.HAIRLINE, lw=0.5))
            write(side, 0.46, y - 0.09, f"{shown[index]} – {shown[index + 1]}", lettering, size=8.5, va="center")
            y -= row
    if no_data:
        side.add_patch(Rectangle((0, y - 0.18), 0.36, 0.18, facecolor=canvas.NO_DATA, edgecolor=canvas.HAIRLINE, lw=0.5))
        write(side, 0.46, y - 0.09, lettering.word("no_data"), lettering, size=8.5, va="center")
        y -= row
    return y - 0.25


def _flow_legend(side: Axes, value: Floats, unit: str, lettering: Lettering) -> float:
    write(side, 0, 0, unit[:1].upper() + unit[1:], lettering, size=9.5, weight="bold", va="top")
    y = -0.42
    largest = float(value.max()) if len(value) else 1.0
    for share in (1.0, 0.3, 0.06):
        size = nice_below(largest * share)
        relative = float(np.sqrt(size / largest))
        ribbon = _ribbons(np.array([[0.0, y]]), np.array([[0.9, y]]), np.array([max(relative * 7, 0.35) / 72]))[0]
        ribbon[:, 1] = y + (ribbon[:, 1] - ribbon[:, 1].mean())
        side.add_collection(PolyCollection([ribbon], facecolors=[canvas.sequential()(0.35 + 0.65 * relative)], lw=0), autolim=False)
        write(side, 1.05, y, number(size), lettering, size=8.5, va="center")
        y -= 0.27
    write(side, 0, y - 0.02, lettering.word("thin_to_thick"), lettering, size=7.5, color=canvas.MUTED_INK, va="top")
    return y - 0.5


def _ranking(side: Axes, y: float, heading: str, rows: Sequence[tuple[str, str]], lettering: Lettering) -> None:
    """A small table, as far as there is room for it."""
    bottom, width = side.get_ylim()[0], side.get_xlim()[1]
    if not rows or y - 0.3 - 0.22 * len(rows) < bottom:
        return
    write(side, 0, y, heading, lettering, size=9.5, weight="bold", va="top")
    y -= 0.34
    for name, value in rows:
        write(side, 0, y, name, lettering, size=8.5, va="top")
        write(side, width, y, value, lettering, size=8.5, va="top", ha="right")
        side.plot([0, width], [y - 0.17] * 2, color=canvas.HAIRLINE, lw=0.5)
        y -= 0.22


def _scale_bar(axes: Axes, lettering: Lettering) -> None:
    (west, east), (south, north) = axes.get_xlim(), axes.get_ylim()
    length = nice_below((east - west) / 4)
    x, y = west + 0.03 * (east - west), south + 0.03 * (north - south)
    halo = [withStroke(linewidth=2.5, foreground="white")]
    axes.plot([x, x + length], [y, y], color=canvas.INK, lw=1.4, solid_capstyle="butt", zorder=7, path_effects=halo)
    label = f"{length / 1000:g} km" if length >= 1000 else f"{length:g} m"
    write(axes, x, y + 0.008 * (north - south), label, lettering, size=7.5, va="bottom", zorder=7, path_effects=halo)


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
    reach = np.maximum(np.minimum(1.4 * around, 3 * np.median(around)), 100.0)
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
    """The outline of each region, from the shapes of its zones."""
    names = sorted({region for region in regions if region is not None})
    if not 1 < len(names) <= len(shapes) / 2:
        return np.empty(0, dtype=object)
    of = np.array([region or "" for region in regions])
    return np.array([shapely.union_all(shapes[of == name], grid_size=1.0) for name in names], dtype=object)


def _gathered(shapes: Shapes, borders: Shapes, points: Floats) -> tuple[Shapes, Shapes, Floats, tuple[Window, ...]]:
    """Draw a far-off zone nearer, in the free corner next to where it is, so that the others need not be small."""
    shapes, points = shapes.copy(), points.copy()
    frames: list[tuple[int, Window]] = []
    bounds = shapely.bounds(shapes)
    away = _farthest(bounds)
    while away is not None and len(frames) < 4:
        rest = np.delete(bounds, [away, *(index for index, _ in frames)], axis=0)
        west, south, east, north = rest[:, 0].min(), rest[:, 1].min(), rest[:, 2].max(), rest[:, 3].max()
        gap = 0.015 * max(east - west, north - south)
        width, height = bounds[away, 2:] - bounds[away, :2] + 2 * gap
        others = shapely.STRtree([*np.delete(shapes, away), *(shapely.box(*frame) for _, frame in frames)])
        centre = (bounds[away, :2] + bounds[away, 2:]) / 2
        corners = [(x, y, x + width, y + height) for x in (west, east - width) for y in (south, north - height)]
        free = [corner for corner in corners if not len(others.query(shapely.box(*corner), predicate="intersects"))]
        if not free:
            break
        frame = min(free, key=lambda c: float(np.hypot((c[0] + c[2]) / 2 - centre[0], (c[1] + c[3]) / 2 - centre[1])))
        shift = np.array([frame[0] + gap, frame[1] + gap]) - bounds[away, :2]
        original = shapes[away]
        borders = shapely.difference(borders, original.buffer(gap / 4)) if len(borders) else borders
        shapes[away] = shapely.transform(original, lambda xy, shift=shift: xy + shift)
        points[away] += shift
        bounds[away] += np.tile(shift, 2)
        frames.append((away, frame))
        away = _farthest(bounds)
    return shapes, borders, points, tuple(frame for _, frame in frames)


def _farthest(bounds: Floats) -> int | None:
    """The zone without which the map's frame is smallest, if it is smaller by a fifth."""
    if len(bounds) < 8:
        return None
    low, high = np.sort(bounds[:, :2], axis=0), np.sort(bounds[:, 2:], axis=0)
    # Without a zone that holds an extreme, the next one is the extreme.
    west_south = np.where(bounds[:, :2] == low[0], low[1], low[0])
    east_north = np.where(bounds[:, 2:] == high[-1], high[-2], high[-1])
    area = (east_north - west_south).prod(axis=1)
    index = int(area.argmin())
    return index if area[index] < (1 - _OUTLYING) * float((high[-1] - low[0]).prod()) else None
