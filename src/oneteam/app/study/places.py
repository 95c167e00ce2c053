"""Zones, the places that are forecast, and their shapes, as the study's folder keeps them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from shapely import set_precision, unary_union
from shapely.geometry import mapping
from shapely.geometry.base import BaseGeometry

from oneteam.core.errors import MissingColumnError, UnknownValueError
from oneteam.store.geography import read_features
from oneteam.store.result_files import write_table
from oneteam.store.rows import read_rows, some
from oneteam.store.tables import write_atomically

_DECIMALS: Final = 5
"""Of degrees: about a metre."""
_NAMES: Final = ("name_ko", "name", "sigungu_name", "name_eng")
_ENGLISH: Final = ("name_en", "name_eng")
_REGION_NAMES: Final = ("region_name", "sido_name")


@dataclass(frozen=True)
class Zones:
    """The zones of the country.

    Args:
        where: the file, for messages.
        codes: of the zones.
        names: for people, in Korean where the file tells it.
        english: the same in English, where the file tells it.
        regions: code of each zone's region.
        region_names: of it, in Korean where the file tells it.
        region_english: of it, in English where the file tells it.
        population: residents.
        place_of: by zone the code of the place that cases are reported by.
    """

    where: str
    codes: tuple[str, ...]
    names: tuple[str, ...]
    english: tuple[str, ...]
    regions: tuple[str, ...]
    region_names: tuple[str, ...]
    region_english: tuple[str, ...]
    population: tuple[float, ...]
    place_of: Mapping[str, str]


def read_zones(path: Path, place_code: str | None) -> Zones:
    """Zones from a CSV file.

    Args:
        path: the file.
        place_code: column with the code that cases are reported by; the zone's own when None.

    Raises:
        MissingColumnError, DuplicateCodeError, UnknownValueError: as `oneteam.store.rows`.
    """
    rows = read_rows(path)
    codes = rows.unique("code", "kostat_2018_code", "zone", "location")
    rows.need("population", *([place_code] if place_code else []))

    def first(row: Any, *columns: str) -> str | None:
        return next((text for name in columns if (text := row.text(name))), None)

    names = tuple(first(row, *_NAMES) or code for row, code in zip(rows.rows, codes, strict=True))
    regions = tuple(first(row, "region", "sido") or code[:2] for row, code in zip(rows.rows, codes, strict=True))
    place = {code: (row.text(place_code) if place_code else code) or code for row, code in zip(rows.rows, codes, strict=True)}
    return Zones(
        path.name,
        tuple(codes),
        names,
        # Beside a Korean name, the plain one is English.
        tuple(
            first(row, *_ENGLISH, *(["name"] if row.text("name_ko") else [])) or name for row, name in zip(rows.rows, names, strict=True)
        ),
        regions,
        tuple(first(row, "region_name_ko", *_REGION_NAMES) or region for row, region in zip(rows.rows, regions, strict=True)),
        tuple(first(row, *_REGION_NAMES) or region for row, region in zip(rows.rows, regions, strict=True)),
        tuple(row.number("population", 0.0) or 0.0 for row in rows.rows),
        place,
    )


def write_places(
    zones: Zones, geometry: Path | None, place_geometry: Path | None, out: tuple[Path, Path, Path], *, by_region: bool
) -> dict[str, Any]:
    """Write ``zones.csv``, ``zones.geojson`` and ``places.geojson``; shapes that are not known are not written.

    Args:
        zones: the zones.
        geometry: their shapes.
        place_geometry: shapes of the places that are forecast; joined from the zones' when None.
        out: the three files.
        by_region: whether places are made of several zones.
    """
    local = any(a != b for a, b in zip(zones.names, zones.english, strict=True))
    columns: dict[str, Any] = {"code": zones.codes, "name": zones.english if local else zones.names}
    if local:
        columns["name_ko"] = zones.names
    columns |= {"region": zones.regions, "region_name": zones.region_english if local else zones.region_names}
    if local:
        columns["region_name_ko"] = zones.region_names
    columns |= {"population": [round(p) for p in zones.population]}
    columns["place"] = [zones.place_of[code] for code in zones.codes]
    write_table(out[0], pa.table(columns), {})
    notes: list[str] = []
    if geometry is None:
        return {"notes": notes}
    known = {f.code: f for f in read_features(geometry, "code") if f.geometry is not None}
    if not set(known) & set(zones.codes):
        raise UnknownValueError(f"{geometry}: none of its codes ({some(known)}) is a zone's ({some(zones.codes)})")
    lacking = [code for code in zones.codes if code not in known]
    if lacking:
        notes.append(f"{len(lacking)} zone(s) without a shape: {some(lacking)}.")
    shapes = {code: shape for code in zones.codes if code in known and (shape := known[code].geometry) is not None}
    index = {code: i for i, code in enumerate(zones.codes)}
    _write_geojson(
        out[1],
        [
            (code, shape, {"name": zones.english[index[code]], "name_ko": zones.names[index[code]], "region": zones.regions[index[code]]})
            for code, shape in shapes.items()
        ],
    )
    if place_geometry is not None:
        _write_geojson(out[2], [(f.code, f.geometry, dict(f.properties)) for f in read_features(place_geometry, "code") if f.geometry])
    elif by_region:
        _write_geojson(out[2], _joined(zones, shapes))
    return {"notes": notes}


def _joined(zones: Zones, shapes: Mapping[str, BaseGeometry]) -> list[tuple[str, BaseGeometry, dict[str, Any]]]:
    titles = zip(zones.region_english, zones.region_names, strict=True)
    names = dict(zip((zones.place_of[code] for code in zones.codes), titles, strict=True))
    places = dict.fromkeys(zones.place_of[code] for code in zones.codes if code in shapes)
    return [
        (
            place,
            unary_union([shape for code, shape in shapes.items() if zones.place_of[code] == place]),
            {"name": names[place][0], "name_ko": names[place][1]},
        )
        for place in places
    ]


def _write_geojson(path: Path, features: Sequence[tuple[str, BaseGeometry, dict[str, Any]]]) -> None:
    body = {
        "type": "FeatureCollection",
        "features": [
            {
                "type": "Feature",
                "properties": {"code": code, **{k: v for k, v in about.items() if k != "code"}},
                "geometry": mapping(set_precision(shape, 10.0**-_DECIMALS)),
            }
            for code, shape, about in features
        ],
    }
    text = json.dumps(_rounded(body), ensure_ascii=False, separators=(",", ":"))
    write_atomically(path, text.encode())


def _rounded(value: Any) -> Any:
    match value:
        case float():
            return round(value, _DECIMALS)
        case dict():
            return {k: _rounded(v) for k, v in value.items()}
        case list() | tuple():
            return [_rounded(v) for v in value]
        case _:
            return value


def crosswalk_of(path: Path, units: Sequence[str], codes: Sequence[str]) -> npt.NDArray[np.int64]:
    """Index of each zone's unit; -1 for a zone that the crosswalk does not name.

    Raises:
        MissingColumnError: no column with the zone's code.
    """
    rows = read_rows(path)
    rows.need("od_code")
    column = next((c for c in ("code", "kostat_2018_code", "zone", "to_code") if c in rows.columns), None)
    if column is None:
        raise MissingColumnError(f"{path}: no column with the zone's code; its columns are: {', '.join(rows.columns)}")
    place = {code: i for i, code in enumerate(units)}
    unit = {row.text(column): place.get(row.text("od_code") or "", -1) for row in rows.rows}
    return np.array([unit.get(code, -1) for code in codes], np.int64)
