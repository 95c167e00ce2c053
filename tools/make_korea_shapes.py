"""Turn the SVG paths of npm's `@svg-maps/south-korea` into the provinces that `oneteam synth --shape korea` fills with districts.

::

    npm pack @svg-maps/south-korea@2.0.0
    tar xzf svg-maps-south-korea-2.0.0.tgz
    python tools/make_korea_shapes.py package/index.js src/oneteam/synth/shapes/korea.geojson

The drawing has no coordinates. Its scale in both directions shows that it is in the Mercator projection: set beside the known extents and
centres of the provinces, 48 longitudes lie within 0.02 degrees (standard deviation) of a straight line, 48 latitudes within 0.03. Its names
are English; codes (Statistics Korea, 2018), Korean names, and figures of districts and residents are public facts.
"""

from __future__ import annotations

import json
import math
import re
import sys
from pathlib import Path
from typing import Final

import numpy as np
import shapely
from shapely.geometry.base import BaseGeometry

DEGREES_PER_UNIT: Final = 0.010650
WEST: Final = 125.3594
"""Longitude of the drawing's left edge."""
NORTH_MERCATOR: Final = 41.9587
"""Mercator ordinate of its upper edge [degrees]."""
TOLERANCE: Final = 0.55
"""Detail that is left out, in units of the drawing (about 1 km)."""
SLIVER: Final = 6.0
"""Faces up to this area between provinces come from rounding [square units]."""
SMALLEST_ISLAND: Final = 2.0
DECIMALS: Final = 4

# id in the drawing: code, English, Korean, districts (Sejong 1), residents at the end of 2019 in thousands.
PROVINCES: Final = {
    "seoul": ("11", "Seoul", "서울", 25, 9729),
    "busan": ("21", "Busan", "부산", 16, 3414),
    "daegu": ("22", "Daegu", "대구", 8, 2438),
    "incheon": ("23", "Incheon", "인천", 10, 2957),
    "gwangju": ("24", "Gwangju", "광주", 5, 1456),
    "daejeon": ("25", "Daejeon", "대전", 5, 1475),
    "ulsan": ("26", "Ulsan", "울산", 5, 1148),
    "sejong": ("29", "Sejong", "세종", 1, 341),
    "gyeonggi": ("31", "Gyeonggi", "경기", 42, 13240),
    "gangwon": ("32", "Gangwon", "강원", 18, 1542),
    "north-chungcheong": ("33", "North Chungcheong", "충북", 14, 1600),
    "south-chungcheong": ("34", "South Chungcheong", "충남", 16, 2124),
    "north-jeolla": ("35", "North Jeolla", "전북", 15, 1819),
    "south-jeolla": ("36", "South Jeolla", "전남", 22, 1869),
    "north-gyeongsang": ("37", "North Gyeongsang", "경북", 24, 2666),
    "south-gyeongsang": ("38", "South Gyeongsang", "경남", 22, 3362),
    "jeju": ("39", "Jeju", "제주", 2, 671),
}


def rings(path: str) -> list[list[tuple[float, float]]]:
    """Closed rings of an SVG path of `m` and `z` commands, as this drawing has."""
    found: list[list[tuple[float, float]]] = []
    x = y = 0.0
    for sub in path.split("m")[1:]:
        numbers = [float(n) for n in re.findall(r"-?\d*\.?\d+(?:e-?\d+)?", sub.replace("z", ""))]
        steps = list(zip(numbers[::2], numbers[1::2], strict=True))
        ring = []
        for dx, dy in steps:
            x, y = x + dx, y + dy
            ring.append((x, y))
        x, y = ring[0]
        found.append(ring)
    return found


def drawn(source: str) -> dict[str, BaseGeometry]:
    """Provinces in units of the drawing, by id."""
    document = json.loads(source[source.index("{") : source.rindex("}") + 1])
    out = {}
    for place in document["locations"]:
        parts = [shapely.buffer(shapely.Polygon(ring), 0) for ring in rings(place["path"]) if len(ring) > 3]
        out[place["id"]] = shapely.union_all(parts)
    return out


def fitted(shapes: dict[str, BaseGeometry]) -> dict[str, BaseGeometry]:
    """The same without overlaps and gaps between neighbours: every face of their borders goes to one province.

    Faces come from all borders at once, so that neighbours share every point of their border and can be simplified together.
    """
    names = list(shapes)
    lines = shapely.union_all([shapely.boundary(shapes[name]) for name in names], grid_size=0.02)
    faces = list(shapely.get_parts(shapely.polygonize(shapely.get_parts(lines))))
    share = np.array([[shapely.area(shapely.intersection(face, shapes[name])) for name in names] for face in faces])
    area = shapely.area(np.array(faces, dtype=object))
    # A province that lies inside another is drawn on top of it: the smaller one has the face.
    size = np.array([shapely.area(shapes[name]) for name in names])
    covers = share > 0.5 * area[:, None]
    owner = np.where(covers.any(1), np.where(covers, size, np.inf).argmin(1), -1)
    for i in np.flatnonzero((owner < 0) & (area < SLIVER)):
        touching = [shapely.length(shapely.intersection(shapely.boundary(faces[i]), shapes[name].buffer(0.05))) for name in names]
        owner[i] = int(np.argmax(touching))
    return {name: shapely.union_all([faces[i] for i in np.flatnonzero(owner == k)]) for k, name in enumerate(names)}


def simplified(shapes: dict[str, BaseGeometry]) -> dict[str, BaseGeometry]:
    """Fewer points, common borders kept common; islets go, a province's largest part stays."""
    simple = shapely.coverage_simplify(np.array(list(shapes.values()), dtype=object), TOLERANCE)
    out = {}
    for name, shape in zip(shapes, simple, strict=True):
        parts = [part for part in shapely.get_parts(shape) if shapely.area(part) >= SMALLEST_ISLAND]
        out[name] = parts[0] if len(parts) == 1 else shapely.MultiPolygon(parts)
    return out


def degrees(xy: np.ndarray) -> np.ndarray:
    """Units of the drawing to longitude and latitude."""
    mercator = np.radians(NORTH_MERCATOR - DEGREES_PER_UNIT * xy[:, 1])
    latitude = np.degrees(2 * np.arctan(np.exp(mercator)) - math.pi / 2)
    return np.round(np.column_stack([WEST + DEGREES_PER_UNIT * xy[:, 0], latitude]), DECIMALS)


def main() -> None:
    """Write the GeoJSON."""
    source, target = (Path(argument) for argument in sys.argv[1:])
    shapes = simplified(fitted(drawn(source.read_text(encoding="utf-8"))))
    features = []
    for name, (code, english, korean, districts, thousands) in PROVINCES.items():
        shape = shapely.orient_polygons(shapely.transform(shapes[name], degrees))
        assert shape.is_valid, name
        properties = {"code": code, "name": english, "name_ko": korean, "districts": districts, "population": 1_000 * thousands}
        features.append({"type": "Feature", "properties": properties, "geometry": shapely.geometry.mapping(shape)})
    text = json.dumps({"type": "FeatureCollection", "features": features}, ensure_ascii=False, separators=(",", ":"))
    target.write_text(text + "\n", encoding="utf-8")
    sys.stdout.write(f"{target}: {len(features)} provinces, {len(text.encode()):,} bytes\n")


if __name__ == "__main__":
    main()
