"""Read what people bring about places: zones, lookups from cells to zones, and crosswalks between editions of zone codes."""

from __future__ import annotations

import itertools
import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import shapely
from shapely.geometry.base import BaseGeometry

from oneteam.core.errors import DuplicateCodeError, MappingError, MissingColumnError, UnknownValueError
from oneteam.store.geography import Feature, read_features
from oneteam.store.rows import Row, read_rows, some
from oneteam.telecom.schemas import CELL_ZONES, ZONES

CROSSWALK: Final = pa.schema(
    [
        pa.field("from_code", pa.string(), nullable=False),
        pa.field("to_code", pa.string(), nullable=False),
        pa.field("weight", pa.float64(), nullable=False),
    ]
)
"""One edition of zone codes in terms of another: ``weight`` is the share of ``from_code`` that lies in ``to_code``."""

_CODE: Final = ("code", "kostat_2018_code", "zone_code", "시군구코드", "행정구역코드", "코드")
_FIELDS: Final[dict[str, tuple[str, ...]]] = {
    "name": ("name", "sigungu_name", "시군구명", "시군구", "행정구역명", "이름"),
    "region": ("region", "sido", "시도코드", "sido_name", "시도명", "시도"),
    "population": ("population", "인구", "인구수", "총인구"),
    "jobs": ("jobs", "종사자수", "일자리"),
    "latitude": ("latitude", "lat", "위도"),
    "longitude": ("longitude", "lon", "lng", "경도"),
}
_NOTES: Final = b"notes"

_CellPeriod = tuple[int, date | None, date | None]


def load_zones(path: Path, shapes: Path | None = None, *, code_column: str | None = None) -> pa.Table:
    """Zones from a CSV file, a GeoJSON or a TopoJSON file, with their shapes where given.

    CSV columns: a code (``code``, ``kostat_2018_code``, ``zone_code``, 시군구코드, 행정구역코드, or the named one), and, each optional,
    ``name`` or ``sigungu_name`` (시군구명), ``region`` or ``sido`` (시도코드, 시도명), ``population`` (인구), ``jobs`` (종사자수),
    ``latitude`` and ``longitude`` (위도, 경도). Codes are text: leading zeros stay. A zone without coordinates gets a point inside its
    shape. What is not wrong yet worth knowing (a zone without a shape, a shape without a zone) stands in the table's metadata: `notes_of`.

    Args:
        path: CSV in UTF-8 or CP949, or ``.json``/``.geojson``/``.topojson`` with the same names as properties.
        shapes: GeoJSON or TopoJSON keyed by the same codes.
        code_column: column or property that holds the code, in both files when both have it.

    Returns:
        a table in the schema `oneteam.telecom.schemas.ZONES`, in the order of the file.

    Raises:
        FileUnreadableError, EncodingError: a file cannot be read.
        MissingColumnError: no column with the code, or only one of ``latitude`` and ``longitude``.
        DuplicateCodeError: a code stands twice; both lines are named.
        WrongTypeError: a field that must be a number is not; its line is named.
        UnknownValueError: an empty code, a negative count, coordinates off the globe, or shapes that share no code with the zones.
        NothingFoundError: no zone at all.
    """
    keys = _CODE if code_column is None else (code_column,)
    known: dict[str, BaseGeometry | None] = {}
    if path.suffix.lower() in {".json", ".geojson", ".topojson"}:
        features = read_features(path, *keys)
        codes, rows = [feature.code for feature in features], [_as_row(path, number, f) for number, f in enumerate(features, start=1)]
        columns = {name for row in rows for name in row.fields}
        known = {feature.code: feature.geometry for feature in features}
    else:
        table = read_rows(path)
        codes, rows, columns = table.unique(*keys), list(table.rows), set(table.columns)
    notes: list[str] = []
    if shapes is not None:
        known = {feature.code: feature.geometry for feature in read_features(shapes, *dict.fromkeys((*keys, *_CODE)))}
        notes += _compare_codes(path, shapes, codes, known)
    fields = {field: next((c for c in names if c in columns), None) for field, names in _FIELDS.items()}
    if (fields["latitude"] is None) != (fields["longitude"] is None):
        raise MissingColumnError(f"{path}: has only one of latitude and longitude", hint="Give both coordinates, or neither.")
    zones = [
        {"zone": index, "code": code, **_attributes(row, fields, known.get(code))}
        for index, (code, row) in enumerate(zip(codes, rows, strict=True))
    ]
    notes += _missing(zones, "coordinates", [str(z["code"]) for z in zones if z["latitude"] is None])
    if fields["population"]:
        notes += _missing(zones, "population", [str(z["code"]) for z in zones if z["population"] is None])
    return pa.Table.from_pylist(zones, schema=ZONES.with_metadata({_NOTES: json.dumps(notes, ensure_ascii=False)}))


def notes_of(table: pa.Table) -> tuple[str, ...]:
    """What a loader of this module found worth knowing, as sentences.

    >>> notes_of(pa.table({"zone": [0]}))
    ()
    """
    return tuple(json.loads((table.schema.metadata or {}).get(_NOTES, b"[]")))


def load_cell_zones(path: Path, cells: pa.Table, zones: pa.Table) -> pa.Table:
    """A lookup from cells to zones that a carrier has made itself.

    CSV columns: ``cell_id``, ``zone_code``; optional ``weight`` (relative, any positive numbers; equal when absent), ``valid_from`` and
    ``valid_to`` (ISO dates, both inclusive, empty = open). Weights are scaled to sum to 1 over a cell and period. Cells that the dataset
    does not have are noted in the metadata (`notes_of`).

    Args:
        path: the CSV file.
        cells: table in the schema `CELLS` (``cell`` and ``cell_id`` are read).
        zones: table in the schema `ZONES`.

    Returns:
        a table in the schema `CELL_ZONES`, sorted by cell, period and zone.

    Raises:
        MissingColumnError, WrongTypeError: as in `load_zones`.
        UnknownValueError: a zone code that is not among the zones, a weight that is not positive, or no known cell at all.
        DuplicateCodeError: a zone stands twice for one cell and period.
        MappingError: two periods of one cell overlap without being the same, or a period ends before it starts.
    """
    table = read_rows(path)
    table.need("cell_id", "zone_code")
    zone_of = dict(zip(zones["code"].to_pylist(), zones["zone"].to_pylist(), strict=True))
    cell_of = dict(zip(cells["cell_id"].to_pylist(), cells["cell"].to_pylist(), strict=True))
    unknown = [row for row in table.rows if row.fields["zone_code"] not in zone_of]
    if unknown:
        codes = some(dict.fromkeys(repr(row.fields["zone_code"]) for row in unknown))
        raise UnknownValueError(f"{unknown[0].where}: zone codes that the zones lack: {codes}")
    shares: dict[_CellPeriod, dict[int, float]] = defaultdict(dict)
    lines: dict[tuple[_CellPeriod, int], int] = {}
    for row in table.rows:
        if row.fields["cell_id"] not in cell_of:
            continue
        key, zone = (cell_of[row.fields["cell_id"]], *_period(row)), zone_of[row.fields["zone_code"]]
        if (key, zone) in lines:
            what = f"cell {row.fields['cell_id']!r} and zone {row.fields['zone_code']!r}"
            raise DuplicateCodeError(f"{path}: {what} stand twice for one period, in rows {lines[key, zone]} and {row.line}")
        lines[key, zone] = row.line
        shares[key][zone] = _weight(row)
    strange = list(dict.fromkeys(row.fields["cell_id"] for row in table.rows if row.fields["cell_id"] not in cell_of))
    if not shares:
        raise UnknownValueError(f"{path}: none of its cells is in the dataset: {some(strange)}")
    _insist_on_disjoint_periods(path, shares, dict(zip(cells["cell"].to_pylist(), cells["cell_id"].to_pylist(), strict=True)))
    ordered = sorted(shares, key=lambda k: (k[0], k[1] or date.min, k[2] or date.max))
    resolved = [(*key, zone, weight / sum(shares[key].values())) for key in ordered for zone, weight in sorted(shares[key].items())]
    notes = [f"{path.name}: {len(strange)} cells are not in the dataset: {some(strange)}"] if strange else []
    return pa.Table.from_pylist(
        [dict(zip(CELL_ZONES.names, values, strict=True)) for values in resolved],
        schema=CELL_ZONES.with_metadata({_NOTES: json.dumps(notes, ensure_ascii=False)}),
    )


def load_crosswalk(path: Path) -> pa.Table:
    """A crosswalk between two editions of zone codes, in the schema `CROSSWALK`.

    CSV columns: ``from_code``, ``to_code`` and optionally ``weight`` (1 when absent). `crosswalk.recode` checks the sums.

    Raises:
        MissingColumnError, WrongTypeError, UnknownValueError: as in `load_zones`.
        DuplicateCodeError: a pair of codes stands twice.
    """
    table = read_rows(path)
    table.need("from_code", "to_code")
    lines: dict[tuple[str, str], int] = {}
    for row in table.rows:
        pair = (row.fields["from_code"], row.fields["to_code"])
        if "" in pair:
            raise UnknownValueError(f"{row.where}: an empty code")
        if pair in lines:
            raise DuplicateCodeError(f"{path}: {pair[0]!r} to {pair[1]!r} stands twice, in rows {lines[pair]} and {row.line}")
        lines[pair] = row.line
    return pa.table([[p[0] for p in lines], [p[1] for p in lines], [_weight(row) for row in table.rows]], schema=CROSSWALK)


def _as_row(path: Path, number: int, feature: Feature) -> Row:
    fields = {name: "" if value is None else str(value).strip() for name, value in feature.properties.items()}
    return Row(f"{path}, feature {number}", number, fields)


def _attributes(row: Row, fields: Mapping[str, str | None], shape: BaseGeometry | None) -> dict[str, Any]:
    latitude, longitude = row.number(fields["latitude"], -90, 90), row.number(fields["longitude"], -180, 180)
    if latitude is None or longitude is None:
        longitude, latitude = (None, None) if shape is None else point_inside(shape)
    return {
        "name": row.text(fields["name"]),
        "region": row.text(fields["region"]),
        "population": row.number(fields["population"], 0),
        "jobs": row.number(fields["jobs"], 0),
        "latitude": latitude,
        "longitude": longitude,
        "geometry": None if shape is None else shapely.to_wkb(shape),
    }


def point_inside(shape: BaseGeometry) -> tuple[float, float]:
    """A point that stands for a shape: the centroid of its largest part where that lies inside, else a point that does.

    >>> point_inside(shapely.box(0, 0, 2, 2).union(shapely.box(9, 9, 10, 10)))
    (1.0, 1.0)
    """
    largest = max(shapely.get_parts(shape), key=lambda part: part.area)
    point = largest.centroid
    if not largest.contains(point):
        point = largest.point_on_surface()
    return float(point.x), float(point.y)


def _compare_codes(path: Path, shapes: Path, codes: Sequence[str], known: Mapping[str, BaseGeometry | None]) -> list[str]:
    bare = [code for code in codes if known.get(code) is None]
    if len(bare) == len(codes):
        raise UnknownValueError(
            f"{shapes}: none of its codes ({some(known)}) is a code of {path} ({some(codes)})",
            hint="Both files must use the same edition of the codes; name the column that holds them.",
        )
    idle = sorted(known.keys() - set(codes))
    notes = [f"{len(bare)} of {len(codes)} zones have no shape in {shapes.name}: {some(bare)}"] if bare else []
    return notes + ([f"{len(idle)} shapes of {shapes.name} belong to no zone: {some(idle)}"] if idle else [])


def _missing(zones: Sequence[object], what: str, without: Sequence[str]) -> list[str]:
    return [f"{len(without)} of {len(zones)} zones have no {what}: {some(without)}"] if without else []


def _weight(row: Row) -> float:
    weight = row.number("weight")
    if weight is not None and weight <= 0:
        raise UnknownValueError(f"{row.where}: weight is {weight:g}, must be positive")
    return 1.0 if weight is None else weight


def _period(row: Row) -> tuple[date | None, date | None]:
    start, end = row.day("valid_from"), row.day("valid_to")
    if start and end and end < start:
        raise MappingError(f"{row.where}: valid_to {end} is before valid_from {start}")
    return start, end


def _insist_on_disjoint_periods(path: Path, periods: Iterable[_CellPeriod], names: Mapping[int, str]) -> None:
    by_cell: dict[int, list[tuple[date, date]]] = defaultdict(list)
    for cell, start, end in periods:
        by_cell[cell].append((start or date.min, end or date.max))
    for cell, spans in by_cell.items():
        spans.sort()
        for (_, end), (start, _) in itertools.pairwise(spans):
            if start <= end:
                raise MappingError(
                    f"{path}: periods of cell {names[cell]!r} overlap at {start}", hint="Rows of one period must have the same dates."
                )
