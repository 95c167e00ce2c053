"""A country in the outline of a real one: invented districts inside the real provinces of South Korea.

Provinces, their numbers of districts and of residents are as they are; where a district lies, what it is called and who lives in it is made
up, so that nobody can take a figure of the simulation for one of a real place. `shapes/ATTRIBUTION.md` says where the outlines come from.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import resources
from typing import Final, Literal

import numpy as np
import numpy.typing as npt
import shapely
from shapely.geometry.base import BaseGeometry

from oneteam.core.errors import UnknownValueError
from oneteam.stats.random import key_of, normals, uniforms
from oneteam.store.geography import EqualAreaProjection, read_features
from oneteam.synth.streams import Stream
from oneteam.synth.zones import EMPLOYED_SHARE, Floats, Zones, allot

SHAPES: Final = ("korea",)
FIRST_DISTRICT: Final = 501
"""Real districts have lower numbers: no invented code is the code of a real place."""
SAMPLES_PER_DISTRICT: Final = 400
ROUNDS: Final = 30
TOWN_SHARE: Final = 0.55
"""Share of a province's settled land that lies in its towns; the towns get the smaller districts and most people."""
TOWNS_PER_DISTRICTS: Final = 6
CAPITAL: Final = "11"
NEAR_CAPITAL_M: Final = 22_000.0
LOG_SD_POPULATION: Final = 0.45
DENSITY_EXPONENT: Final = 0.35
WIGGLE: Final = 0.13
"""How far a border leaves the straight line, by its length."""
BENDS: Final = 3
"""A border is halved and bent so often."""
DECIMALS: Final = 4


@dataclass(frozen=True)
class Province:
    """A real province.

    Args:
        code: two digits (Statistics Korea).
        name: in English.
        name_ko: in Korean.
        districts: how many it has.
        population: residents.
        shape: outline in degrees.
    """

    code: str
    name: str
    name_ko: str
    districts: int
    population: float
    shape: BaseGeometry


def known_shape(name: str | None) -> Literal["korea"] | None:
    """The name of a shape that comes with the package.

    Raises:
        UnknownValueError: no such country.
    """
    if name not in {None, *SHAPES}:
        raise UnknownValueError(f"--shape {name}: must be {' or '.join(SHAPES)}")
    return "korea" if name == "korea" else None


def read_provinces(shape: str = "korea") -> tuple[Province, ...]:
    """The provinces that come with the package.

    >>> provinces = read_provinces()
    >>> len(provinces), sum(p.districts for p in provinces), provinces[0].name_ko
    (17, 250, '서울')
    """
    with resources.as_file(resources.files("oneteam.synth") / "shapes" / f"{shape}.geojson") as path:
        features = read_features(path)
    return tuple(
        Province(f.code, p["name"], p["name_ko"], int(p["districts"]), float(p["population"]), f.geometry)
        for f in features
        if (p := f.properties) and f.geometry is not None
    )


def generate_districts(seed: int, count: int, provinces: tuple[Province, ...]) -> tuple[Zones, dict[str, BaseGeometry]]:
    """Districts inside provinces, in proportion to the real numbers, and their shapes in degrees by code.

    Districts are the smaller and the fuller the nearer they are to a town. Neighbours share every point of their border.

    Args:
        seed: of the country.
        count: districts in all, at least one for each province.
        provinces: what they fill.

    Raises:
        UnknownValueError: fewer districts than provinces.
    """
    if count < len(provinces):
        raise UnknownValueError(f"--zone-count {count}: {len(provinces)} provinces need at least {len(provinces)} districts")
    numbers = 1 + allot(count - len(provinces), np.array([p.districts - 1.0 + 1e-6 for p in provinces]))
    bounds = np.array([p.shape.bounds for p in provinces])
    plane = EqualAreaProjection.centred_on(bounds[:, [0, 2]], bounds[:, [1, 3]])
    flat = plane.project(np.array([p.shape for p in provinces], dtype=object))
    capital = next((shapely.centroid(f) for p, f in zip(provinces, flat, strict=True) if p.code == CAPITAL), shapely.centroid(flat[0]))
    shapes: dict[str, BaseGeometry] = {}
    people: list[Floats] = []
    jobs: list[Floats] = []
    for i, (province, outline) in enumerate(zip(provinces, flat, strict=True)):
        key = key_of(seed, Stream.DISTRICTS, i)
        wanted = int(numbers[i])
        towns = _towns(outline, key, 1 + wanted // TOWNS_PER_DISTRICTS)
        if province.code != CAPITAL and shapely.distance(outline, capital) < NEAR_CAPITAL_M:
            nearest = shapely.get_coordinates(shapely.shortest_line(outline, capital))[0]
            towns = np.concatenate([nearest[None], nearest[None], towns])
        x, y = _centres(outline, towns, key, wanted)
        cells = _bent(divide(outline, x, y), outline, key)
        weight, work = _weights(cells, key)
        people.append(np.round(province.population * weight / weight.sum()))
        jobs.append(province.population * work / work.sum())
        degrees = shapely.transform(cells, lambda xy: np.round(np.column_stack(plane.inverse(xy[:, 0], xy[:, 1])), DECIMALS))
        for n, shape in enumerate(degrees):
            shapes[f"{province.code}{FIRST_DISTRICT + n:03d}"] = shape if shape.is_valid else shapely.buffer(shape, 0)
    of = [p for p, n in zip(provinces, numbers, strict=True) for _ in range(int(n))]
    within = [n + 1 for wanted in numbers for n in range(int(wanted))]
    population = np.concatenate(people)
    employed = np.round(EMPLOYED_SHARE * population)
    places = np.concatenate(jobs)
    unknown = np.full(count, np.nan)
    zones = Zones(
        codes=tuple(shapes),
        names=tuple(f"{p.name} {n}" for p, n in zip(of, within, strict=True)),
        regions=tuple(p.code for p in of),
        region_names=tuple(p.name for p in of),
        population=population,
        jobs=np.round(places * employed.sum() / places.sum()),
        employed=employed,
        latitude=unknown,
        longitude=unknown,
        names_ko=tuple(f"{p.name_ko} {n}" for p, n in zip(of, within, strict=True)),
        region_names_ko=tuple(p.name_ko for p in of),
    )
    return zones, shapes


def divide(outline: BaseGeometry, x: Floats, y: Floats) -> npt.NDArray[np.object_]:
    """An outline cut into the parts that are nearest to each point; in the points' order.

    >>> halves = divide(shapely.box(0, 0, 4, 2), np.array([1.0, 3.0]), np.array([1.0, 1.0]))
    >>> [half.area for half in halves]
    [4.0, 4.0]
    """
    if len(x) == 1:
        return np.array([outline], dtype=object)
    points = shapely.points(x, y)
    frame = shapely.box(*shapely.bounds(outline))
    cells = shapely.get_parts(shapely.voronoi_polygons(shapely.multipoints(points), extend_to=frame))
    found, cell = shapely.STRtree(cells).query(points, predicate="within")
    out = np.empty(len(x), dtype=object)
    out[found] = shapely.intersection(cells[cell], outline)
    return out


def _towns(outline: BaseGeometry, key: np.uint64, count: int) -> Floats:
    """Towns inside the largest part, shape (count, 2)."""
    largest = max(shapely.get_parts(outline), key=shapely.area)
    return _inside(largest, key, 0, count)


def _inside(shape: BaseGeometry, key: np.uint64, first: int, count: int) -> Floats:
    """Random points of a shape, uniform, shape (count, 2)."""
    west, south, east, north = shape.bounds
    shapely.prepare(shape)
    found = np.empty((0, 2))
    while len(found) < count:
        n = 4 * count + 16
        u = uniforms(key, first, 2 * n)
        xy = np.column_stack([west + (east - west) * u[:n], south + (north - south) * u[n:]])
        found = np.concatenate([found, xy[shapely.contains_xy(shape, xy[:, 0], xy[:, 1])]])
        first += 2 * n
    return found[:count]


def _centres(outline: BaseGeometry, towns: Floats, key: np.uint64, count: int) -> tuple[Floats, Floats]:
    """Centres of districts that hold about equal shares of the settled land (Lloyd's iteration on a sample of it)."""
    everywhere = _inside(outline, key, 1_000_000, max(SAMPLES_PER_DISTRICT * count, 2_000))
    reach = 0.13 * np.sqrt(shapely.area(outline))
    near = np.exp(-0.5 * (np.hypot(*(everywhere[:, None] - towns[None]).transpose(2, 0, 1)) / reach) ** 2).sum(1)
    weight = (1 - TOWN_SHARE) / len(near) + TOWN_SHARE * near / near.sum()
    order = np.argsort(uniforms(key, 90_000_000, len(everywhere)) ** (1 / (weight * len(weight))), kind="stable")[::-1]
    centre = everywhere[order[:count]].copy()
    for _ in range(ROUNDS):
        nearest = np.argmin(((everywhere[:, None] - centre[None]) ** 2).sum(2), axis=1)
        mass = np.bincount(nearest, weight, count)
        for axis in (0, 1):
            moved = np.bincount(nearest, weight * everywhere[:, axis], count) / np.maximum(mass, 1e-300)
            centre[:, axis] = np.where(mass > 0, moved, centre[:, axis])
    return centre[:, 0], centre[:, 1]


def _weights(cells: npt.NDArray[np.object_], key: np.uint64) -> tuple[Floats, Floats]:
    """Residents and jobs by district, in proportion: the denser settled the more; jobs gather further."""
    area = np.asarray(shapely.area(cells), np.float64)
    dense = (area.mean() / area) ** DENSITY_EXPONENT
    people = dense * np.exp(LOG_SD_POPULATION * normals(key, 70_000_000, len(cells)))
    return people, people * dense * np.exp(0.3 * normals(key, 80_000_000, len(cells)))


def _bent(cells: npt.NDArray[np.object_], outline: BaseGeometry, key: np.uint64) -> npt.NDArray[np.object_]:
    """The same districts with borders that are not straight; as they were where bending would tear one apart."""
    if len(cells) == 1:
        return cells
    coast = shapely.boundary(outline)
    borders = shapely.line_merge(shapely.difference(shapely.union_all(shapely.boundary(cells)), shapely.buffer(coast, 1.0)))
    straight = [shapely.get_coordinates(line) for line in shapely.get_parts(borders)]
    lines = [_crooked(xy, key, 100_000_000 + 1_000 * i) for i, xy in enumerate(straight)]
    linework = shapely.union_all([coast, *(shapely.linestrings(_lengthened(xy)) for xy in lines)], grid_size=1.0)
    faces = shapely.get_parts(shapely.polygonize(shapely.get_parts(linework)))
    faces = faces[shapely.contains(shapely.buffer(outline, 2.0), faces)]
    owner = np.argmax(shapely.area(shapely.intersection(faces[:, None], cells[None])), axis=1)
    bent = np.array([shapely.union_all(faces[owner == i]) for i in range(len(cells))], dtype=object)
    whole = shapely.area(bent) > 0.5 * shapely.area(cells)
    inside = shapely.area(bent).sum() > 0.995 * shapely.area(outline)
    return bent if whole.all() and inside and shapely.coverage_is_valid(bent) else cells


def _crooked(xy: Floats, key: np.uint64, first: int) -> Floats:
    """A line whose pieces are halved again and again, each middle moved aside."""
    for bend in range(BENDS):
        a, b = xy[:-1], xy[1:]
        aside = np.column_stack([a[:, 1] - b[:, 1], b[:, 0] - a[:, 0]])
        by = np.clip(normals(key, first + 64 * bend, len(a)), -1.6, 1.6)[:, None] * WIGGLE
        merged = np.empty((2 * len(a) + 1, 2))
        merged[::2], merged[1::2] = xy, (a + b) / 2 + by * aside
        xy = merged
    return xy


def _lengthened(xy: Floats) -> Floats:
    """A line that reaches a little over its ends, so that it meets the outline that it was cut off from."""
    ends = [xy[0] + 6.0 * _unit(xy[0] - xy[1]), xy[-1] + 6.0 * _unit(xy[-1] - xy[-2])]
    return np.concatenate([ends[0][None], xy, ends[1][None]])


def _unit(v: Floats) -> Floats:
    return np.asarray(v / max(float(np.hypot(*v)), 1e-9), np.float64)
