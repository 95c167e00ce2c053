"""Published visits: places and periods, and nothing that tells of a person."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import numpy as np
from numpy.typing import NDArray

from oneteam.core.errors import MissingColumnError, NaiveTimestampError, UnknownValueError, WrongTypeError
from oneteam.store.rows import Row, Rows

Ints = NDArray[np.int64]
Codes = NDArray[np.int32]
Floats = NDArray[np.float64]

VISIT_COLUMNS: Final = ("start", "end", "latitude", "longitude", "radius_m", "zone", "cell_id", "place")
"""All that a visits file may hold; ``place`` is the name of the place and is not read."""

_PERSONAL: Final = re.compile(
    r"name|person|patient|case|index|confirmed|contact|user|subscriber|msisdn|imsi|imei|phone|mobile|email|address|birth|age|sex|gender"
    r"|nationality|passport|resident|sequence|seq|order|route|trace|chain|(^|_)(id|no|number)$|이름|성명|환자|확진|번호|순서|경로|동선|나이|성별",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Visits:
    """Places and periods; a row has either a point, or a zone, or a cell.

    Args:
        start_us: first moment, UTC [us], shape (visits,).
        end_us: last moment, inclusive, UTC [us].
        latitude: WGS 84 [degrees], NaN when the row has no point.
        longitude: WGS 84 [degrees].
        radius_m: how far the place reaches around its point [m].
        zone: zone index, -1 when the row has no zone.
        cell: cell code, -1 when the row has no cell.
    """

    start_us: Ints
    end_us: Ints
    latitude: Floats
    longitude: Floats
    radius_m: Floats
    zone: Codes
    cell: Codes

    def __len__(self) -> int:
        return len(self.start_us)


def visits_of(rows: Rows, zones: Mapping[str, int], cells: Mapping[str, int]) -> Visits:
    """Visits from the rows of a CSV file.

    Args:
        rows: columns ``start``, ``end`` (ISO 8601 with UTC offset) and ``latitude``, ``longitude``[, ``radius_m``] or ``zone`` or
            ``cell_id``; further only ``place``.
        zones: index of each zone code.
        cells: code of each ``cell_id``.

    Raises:
        UnknownValueError: a column that is not allowed, in particular one that may name a person or tie visits to each other; an unknown
            zone or cell; an end before its start; a row without place or with two.
        MissingColumnError: ``start``, ``end`` or every column of a place is absent.
        NaiveTimestampError: a time without UTC offset.
        WrongTypeError: a time or number that cannot be read.
    """
    _check_columns(rows)
    places = [_place_of(row, zones, cells) for row in rows.rows]
    times = np.array([(_moment(row, "start"), _moment(row, "end")) for row in rows.rows], np.int64).reshape(-1, 2)
    for row, (start, end) in zip(rows.rows, times, strict=True):
        if end < start:
            raise UnknownValueError(f"{row.where}: end {row.text('end')} lies before start {row.text('start')}")
    latitude, longitude, radius_m, zone, cell = (np.array(column) for column in zip(*places, strict=True))
    return Visits(
        times[:, 0].copy(),
        times[:, 1].copy(),
        latitude.astype(np.float64),
        longitude.astype(np.float64),
        radius_m.astype(np.float64),
        zone.astype(np.int32),
        cell.astype(np.int32),
    )


def _check_columns(rows: Rows) -> None:
    other = [name for name in rows.columns if name not in VISIT_COLUMNS]
    personal = [name for name in other if _PERSONAL.search(name)]
    allowed = f"Keep only: {', '.join(VISIT_COLUMNS)}."
    if personal:
        raise UnknownValueError(
            f"{rows.path}: column {', '.join(map(repr, personal))} may tell of a person; a visits file holds places and times, no person "
            "and no sequence",
            hint=allowed,
        )
    if other:
        raise UnknownValueError(f"{rows.path}: column {', '.join(map(repr, other))} has no place in a visits file", hint=allowed)
    rows.need("start", "end")
    if not {"zone", "cell_id"} & set(rows.columns) and not {"latitude", "longitude"} <= set(rows.columns):
        raise MissingColumnError(
            f"{rows.path}: no column that names the place", hint="Give latitude and longitude (and radius_m), or zone, or cell_id."
        )


def _place_of(row: Row, zones: Mapping[str, int], cells: Mapping[str, int]) -> tuple[float, float, float, int, int]:
    latitude, longitude = row.number("latitude", -90, 90), row.number("longitude", -180, 180)
    zone, cell, radius_m = row.text("zone"), row.text("cell_id"), row.number("radius_m", 0, 100_000)
    if (latitude is None) != (longitude is None):
        raise UnknownValueError(f"{row.where}: latitude and longitude go together, one of them is empty")
    given = sum(part is not None for part in (latitude, zone, cell))
    if given != 1:
        raise UnknownValueError(f"{row.where}: {given} places given, must be one: latitude and longitude, or zone, or cell_id")
    if zone is not None and zone not in zones:
        raise UnknownValueError(f"{row.where}: zone {zone!r} is not among the dataset's zones", hint="Check the edition of the codes.")
    if cell is not None and cell not in cells:
        raise UnknownValueError(f"{row.where}: cell_id {cell!r} is not in the network topology")
    return (
        np.nan if latitude is None else latitude,
        np.nan if longitude is None else longitude,
        radius_m or 0.0,
        -1 if zone is None else zones[zone],
        -1 if cell is None else cells[cell],
    )


def _moment(row: Row, column: str) -> int:
    text = row.text(column)
    try:
        moment = datetime.fromisoformat(text or "")
    except ValueError as err:
        raise WrongTypeError(f"{row.where}: {column} is {text!r}, must be a time like 2024-02-01T14:30:00+09:00") from err
    if moment.tzinfo is None:
        raise NaiveTimestampError(f"{row.where}: {column} {text!r} has no UTC offset", hint="Write it like 2024-02-01T14:30:00+09:00.")
    return int(moment.timestamp()) * 1_000_000 + moment.microsecond
