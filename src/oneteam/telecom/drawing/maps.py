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
import shapely
from matplotlib.axes import Axes
from matplotlib.collections import PathCollection, PolyCollection
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.path import Path as Outline
from matplotlib.patheffects import withStroke

from oneteam.telecom.drawing import canvas
from oneteam.telecom.drawing.canvas import Caption, ColourScale, Floats, Scale, bare, colour_scale, nice_below, sheet, write
from oneteam.telecom.drawing.lettering import Lettering, decimals, number
from oneteam.telecom.drawing.map_zones import MapZones, Shapes, Window

Ints = npt.NDArray[np.int64]

_WIDTH_IN: Final = 11.0
_MAP_WIDTH_IN: Final = 7.3
_HEAD_IN: Final = 1.05
_FOOT_IN: Final = 0.5
_RANKED: Final = 5


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
    write(side, 0, 0, lettering.heading(unit), lettering, size=9.5, weight="bold", va="top")
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
        precision = 10.0 ** -max((decimals(bound) for bound in bounds[1:-1]), default=0)
        shown = [number(bound, precision) if len(bounds) > 2 else number(bound) for bound in bounds]
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
    write(side, 0, 0, lettering.heading(unit), lettering, size=9.5, weight="bold", va="top")
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
