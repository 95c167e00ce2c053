"""Maps: places in classes of one number, on an equal-area projection, with the first places numbered."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np
import numpy.typing as npt
import shapely
from shapely.geometry.base import BaseGeometry

from oneteam.core.model import Text
from oneteam.epidemic.report.study import Shapes
from oneteam.epidemic.report.svg import Picture
from oneteam.epidemic.report.voice import Voice
from oneteam.store.geography import EqualAreaProjection

WIDTH: Final = 420.0
LEGEND: Final = 46.0
CLASSES: Final = 5
TOLERANCE: Final = 0.45
"""Outlines are simplified to so many pixels."""
SMALLEST: Final = 0.6
"""Islands below so many square pixels are left out, unless they are all of a place."""


@dataclass(frozen=True)
class Classes:
    """Limits between colours.

    Args:
        limits: inner limits, ascending; a value at a limit belongs above it.
        labels: of the classes, one more than limits.
    """

    limits: tuple[float, ...]
    labels: tuple[str, ...]

    def of(self, value: float) -> int:
        """The class of a value, from 1."""
        return 1 + sum(value >= limit for limit in self.limits)


PROBABILITY: Final = Classes((0.2, 0.4, 0.6, 0.8), ("0–20%", "20–40", "40–60", "60–80", "80–100%"))


def classes_of(values: Sequence[float], unit: str = "") -> Classes:
    """Round limits so that the classes hold about equally many values.

    >>> classes_of([1.0, 2.0, 3.0, 4.0, 50.0]).of(50.0)
    5
    """
    known = np.array([v for v in values if np.isfinite(v)])
    if not len(known):
        return Classes((), ("",))
    inner = np.quantile(known, np.arange(1, CLASSES) / CLASSES)
    coarse, fine = (sorted({float(f"{q:.{digits}g}") for q in inner}) for digits in (1, 2))
    rounded = [limit for limit in (coarse if len(coarse) == len(inner) else fine) if known.min() < limit <= known.max()]
    edges = [float(f"{known.min():.2g}"), *rounded, float(f"{known.max():.2g}")]
    labels = [f"{a:g}–{b:g}{unit}" for a, b in pairwise(edges)]
    return Classes(tuple(rounded), tuple(labels))


@dataclass(frozen=True)
class Flat:
    """Shapes in pixels.

    Args:
        shapes: by code.
        height: of the picture.
    """

    shapes: Mapping[str, BaseGeometry]
    height: float


def flatten(shapes: Shapes, width: float = WIDTH) -> Flat:
    """Shapes on the page: projected, simplified together so that neighbours still touch, without the smallest islands."""
    codes = list(shapes)
    round_earth = np.array([shapes[c] for c in codes], dtype=object)
    bounds = shapely.bounds(round_earth)
    plane = EqualAreaProjection.centred_on(bounds[:, [0, 2]].reshape(-1), bounds[:, [1, 3]].reshape(-1))
    flat = plane.project(round_earth)
    left, _, right, high = shapely.total_bounds(flat)
    scale = width / (right - left)
    moved = shapely.transform(flat, lambda xy: np.column_stack([(xy[:, 0] - left) * scale, (high - xy[:, 1]) * scale]))
    simple = _simplified(np.asarray(moved, dtype=object))
    kept = {code: _without_islets(shape) for code, shape in zip(codes, simple, strict=True)}
    left, top, right, bottom = shapely.total_bounds(np.array(list(kept.values()), dtype=object))
    # Remote rocks that were left out must not keep their empty sea.
    again = width / (right - left)
    final = {c: shapely.transform(s, lambda xy: (xy - [left, top]) * again) for c, s in kept.items()}
    return Flat(final, float((bottom - top) * again))


def _simplified(shapes: npt.NDArray[np.object_]) -> npt.NDArray[np.object_]:
    simplify = shapely.coverage_simplify if shapely.coverage_is_valid(shapes) else shapely.simplify
    found = simplify(shapes, TOLERANCE)
    return np.where(shapely.is_empty(found), shapes, found)


def _without_islets(shape: BaseGeometry) -> BaseGeometry:
    parts = shapely.get_parts(shape)
    area = shapely.area(parts)
    return shapely.multipolygons(parts[(area >= SMALLEST) | (area == area.max())])


def outline(shape: BaseGeometry) -> str:
    """Path data of all rings.

    >>> outline(shapely.box(0, 0, 2, 1))
    'M2 0L2 1L0 1L0 0Z'
    """
    parts = []
    for ring in shapely.get_rings(shapely.get_parts(shape)):
        xy = np.round(shapely.get_coordinates(ring)[:-1], 1)
        parts.append("M" + "L".join(f"{x:g} {y:g}" for x, y in xy) + "Z")
    return "".join(parts)


def map_picture(
    shapes: Shapes,
    values: Mapping[str, float],
    classes: Classes,
    says: Mapping[str, Text],
    legend: Text,
    voice: Voice,
    *,
    numbered: Sequence[str] = (),
    hatched: bool = False,
) -> Picture:
    """Places in colours.

    Args:
        shapes: in degrees, by code.
        values: by code; a place without a finite one is grey.
        classes: colours.
        says: what a place says when it is pointed at.
        legend: over the colours.
        voice: languages.
        numbered: codes that get 1, 2, 3 ...
        hatched: a texture over the map, so that even a copy of it shows that it is not validated.
    """
    flat = flatten(shapes)
    places = []
    for code, shape in flat.shapes.items():
        value = values.get(code, float("nan"))
        colour = f"q{classes.of(value)}" if np.isfinite(value) else "q0"
        told = f"<title>{voice.plain(says[code])}</title>" if code in says else ""
        places.append(f'<path class="{colour}" fill-rule="evenodd" d="{outline(shape)}">{told}</path>')
    body = f'<g class="places">{"".join(places)}</g>'
    if hatched:
        body = (
            '<defs><pattern id="hatch" width="7" height="7" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">'
            '<path class="hatch" d="M3.5 0V7"/></pattern></defs>' + body
        )
        body += f'<g class="over">{"".join(f"""<path d="{outline(s)}" fill="url(#hatch)"/>""" for s in flat.shapes.values())}</g>'
    body += _numbers(flat, numbered)
    body += _legend(classes, legend, voice, flat.height + 14)
    return Picture(WIDTH, flat.height + LEGEND + 10, body)


def _numbers(flat: Flat, codes: Sequence[str]) -> str:
    """Numbered discs, moved apart where they would cover each other."""
    placed: list[tuple[float, float]] = []
    parts = []
    for number, code in enumerate(codes, 1):
        if code not in flat.shapes:
            continue
        largest = max(shapely.get_parts(flat.shapes[code]), key=lambda part: part.area)
        point = shapely.maximum_inscribed_circle(largest, 1.0)
        x, y = (float(v) for v in shapely.get_coordinates(point)[0])
        while any(abs(x - a) < 19 and abs(y - b) < 19 for a, b in placed):
            y -= 20
        placed.append((x, y))
        parts.append(f'<g class="disc"><circle cx="{x:.1f}" cy="{y:.1f}" r="10"/><text x="{x:.1f}" y="{y + 4.3:.1f}">{number}</text></g>')
    return "".join(parts)


def _legend(classes: Classes, words: Text, voice: Voice, top: float) -> str:
    width = min(64.0, (WIDTH - 20) / len(classes.labels))
    parts = [f'<text class="tick strong" x="0" y="{top:.1f}">{voice.drawn(words)}</text>']
    for i, name in enumerate(classes.labels):
        x = i * (width + 2)
        parts.append(f'<rect class="q{i + 1}" x="{x:.1f}" y="{top + 7:.1f}" width="{width:.1f}" height="10"/>')
        parts.append(f'<text class="tick" x="{x + width / 2:.1f}" y="{top + 31:.1f}" text-anchor="middle">{name}</text>')
    return "".join(parts)
