"""The zones of a country: read from a file of figures, or generated."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from oneteam.core.errors import DuplicateCodeError, MissingColumnError, NothingFoundError, UnknownValueError
from oneteam.stats.random import key_of, normals, uniforms
from oneteam.store.rows import Rows, read_rows, some
from oneteam.synth.streams import Stream

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

DISTRICTS_PER_REGION = 15
MEAN_POPULATION = 200_000
LOG_SD_POPULATION = 0.8
EMPLOYED_SHARE = 0.49
"""Share of residents who work where a file does not say (Korea 2019: 24.8 of 50.7 million)."""


@dataclass(frozen=True)
class Zones:
    """Figures of zones, in the order of their file.

    Args:
        codes: official codes, unique.
        names: names; may repeat.
        regions: the region of each zone.
        region_names: the name of each zone's region.
        population: residents by the census; 0 where the file has none.
        jobs: workplaces.
        employed: residents who work.
        latitude: of the centre [degrees]; NaN where unknown.
        longitude: of the centre [degrees]; NaN where unknown.
        names_ko: names in Korean, where they are known.
        region_names_ko: the same of each zone's region.
    """

    codes: tuple[str, ...]
    names: tuple[str, ...]
    regions: tuple[str, ...]
    region_names: tuple[str, ...]
    population: Floats
    jobs: Floats
    employed: Floats
    latitude: Floats
    longitude: Floats
    names_ko: tuple[str, ...] = ()
    region_names_ko: tuple[str, ...] = ()

    @property
    def count(self) -> int:
        """How many zones."""
        return len(self.codes)

    @property
    def region_codes(self) -> tuple[str, ...]:
        """The regions, sorted."""
        return tuple(sorted(set(self.regions)))

    @property
    def region_index(self) -> Ints:
        """Index of each zone's region in `region_codes`."""
        index = {code: i for i, code in enumerate(self.region_codes)}
        return np.array([index[r] for r in self.regions], np.int64)

    @property
    def name_of_region(self) -> dict[str, str]:
        """Name by region code."""
        return dict(zip(self.regions, self.region_names, strict=True))


def read_zones(path: Path) -> Zones:
    """Zones from a CSV file.

    Columns: ``code`` (or ``kostat_2018_code``) and ``population``, and, where it has them, ``jobs``, ``employed_residents``, ``region``
    (or ``sido``), ``region_name`` (or ``sido_name``), ``name`` (or ``sigungu_name``), ``latitude`` and ``longitude``, ``name_ko``
    and ``region_name_ko``.

    A zone without population has no people; without ``jobs`` there are as many jobs as working residents; without a region it is the
    first two characters of the code.

    Raises:
        MissingColumnError: no code or no population.
        DuplicateCodeError: a code stands twice.
        UnknownValueError: a negative figure, or nobody lives anywhere.
        InputError: the file cannot be read as CSV.
    """
    rows = read_rows(path)
    codes = rows.unique("code", "kostat_2018_code")
    rows.need("population")

    def numbers(column: str, low: float = 0.0, high: float = float("inf")) -> Floats:
        values = [row.number(column, low, high) for row in rows.rows]
        return np.array([np.nan if v is None else v for v in values], np.float64)

    def texts(*columns: str) -> list[str | None]:
        return [next((t for c in columns if (t := row.text(c)) is not None), None) for row in rows.rows]

    def korean(column: str) -> tuple[str, ...]:
        return tuple(t or c for t, c in zip(texts(column), codes, strict=True)) if column in rows.columns else ()

    population = np.nan_to_num(numbers("population"))
    if population.sum() <= 0:
        raise UnknownValueError(f"{path}: nobody lives in any zone; at least one population must be above 0")
    employed = numbers("employed_residents")
    employed = np.minimum(np.where(np.isnan(employed), EMPLOYED_SHARE * population, employed), population)
    jobs = numbers("jobs")
    jobs = np.where(np.isnan(jobs), employed, jobs)
    regions = tuple(r or c[:2] for r, c in zip(texts("region", "sido"), codes, strict=True))
    return Zones(
        codes=tuple(codes),
        names=tuple(n or c for n, c in zip(texts("name", "sigungu_name"), codes, strict=True)),
        regions=regions,
        region_names=tuple(n or r for n, r in zip(texts("region_name", "sido_name"), regions, strict=True)),
        population=population,
        jobs=jobs if jobs.sum() > 0 else employed,
        employed=employed,
        latitude=numbers("latitude", -90, 90),
        longitude=numbers("longitude", -180, 180),
        names_ko=korean("name_ko"),
        region_names_ko=korean("region_name_ko"),
    )


def generate_zones(seed: int, count: int) -> Zones:
    """An invented country: regions of very different size, districts with lognormal populations, jobs gathered in centres.

    >>> zones = generate_zones(1, 30)
    >>> zones.count, len(zones.region_codes), zones.codes[:2]
    (30, 2, ('11010', '11020'))
    """
    key = key_of(seed, Stream.ZONES)
    regions = max(1, round(count / DISTRICTS_PER_REGION))
    weight = np.exp(0.5 * normals(key, 0, regions))
    sizes = np.maximum(1, np.floor(count * weight / weight.sum()).astype(int))
    while sizes.sum() != count:
        sizes[np.argmax(sizes)] += np.sign(count - sizes.sum())
    region = np.repeat(np.arange(regions), sizes)
    within = np.concatenate([np.arange(s) for s in sizes])
    width = max(2, len(str(10 + regions)))
    region_codes = [f"{11 + r:0{width}d}" for r in range(regions)]
    population = np.round(MEAN_POPULATION * np.exp(LOG_SD_POPULATION * normals(key, 10_000, count) - LOG_SD_POPULATION**2 / 2))
    employed = np.round(population * EMPLOYED_SHARE)
    jobs = employed * np.exp(0.5 * normals(key, 20_000 + count, count))
    jobs = np.round(jobs * employed.sum() / jobs.sum())
    return Zones(
        codes=tuple(f"{region_codes[r]}{(w + 1) * 10:03d}" for r, w in zip(region, within, strict=True)),
        names=tuple(f"District {r + 1}-{w + 1}" for r, w in zip(region, within, strict=True)),
        regions=tuple(region_codes[r] for r in region),
        region_names=tuple(f"Region {r + 1}" for r in region),
        population=population,
        jobs=jobs,
        employed=employed,
        latitude=np.full(count, np.nan),
        longitude=np.full(count, np.nan),
    )


def read_od(path: Path, regions: Sequence[str]) -> Floats:
    """Trips per day between regions, shape (regions, regions), from a CSV with ``origin, destination, trips_per_day``.

    Pairs that the file does not name have no trips.

    Raises:
        MissingColumnError: a column is absent.
        UnknownValueError: a region that the zones do not have, or a region that nobody leaves or reaches.
        DuplicateCodeError: a pair stands twice.
    """
    rows: Rows = read_rows(path)
    rows.need("origin", "destination", "trips_per_day")
    index = {code: i for i, code in enumerate(regions)}
    trips = np.full((len(regions), len(regions)), np.nan)
    for row in rows.rows:
        pair = [row.text("origin"), row.text("destination")]
        strange = [str(code) for code in pair if code not in index]
        if strange:
            raise UnknownValueError(f"{row.where}: no zone lies in region {some(strange)}; the regions are {', '.join(regions)}")
        o, d = (index[str(code)] for code in pair)
        if not np.isnan(trips[o, d]):
            raise DuplicateCodeError(f"{row.where}: the pair {pair[0]} to {pair[1]} stands twice")
        value = row.number("trips_per_day", 0.0)
        if value is None:
            raise MissingColumnError(f"{row.where}: trips_per_day is empty")
        trips[o, d] = value
    trips = np.asarray(np.nan_to_num(trips), np.float64)
    silent = [regions[int(i)] for i in np.flatnonzero((trips.sum(1) <= 0) | (trips.sum(0) <= 0))]
    if silent:
        raise NothingFoundError(f"{path}: no trips from or to region {some(silent)}")
    return trips


def allot(total: int, weights: Floats) -> Ints:
    """Split ``total`` whole things in proportion to ``weights``, by largest remainders.

    >>> allot(10, np.array([1.0, 1.0, 2.0])).tolist()
    [3, 2, 5]
    """
    exact = total * weights / weights.sum()
    whole = np.asarray(np.floor(exact), np.int64)
    order = np.lexsort((np.arange(len(weights)), -(exact - whole)))
    whole[order[: total - int(whole.sum())]] += 1
    return whole


def random_order(key: np.uint64, count: int) -> Ints:
    """A permutation of ``count`` things."""
    return np.asarray(np.argsort(uniforms(key, 0, count), kind="stable"), np.int64)
