"""Read trips between places, once for all time or by date."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from itertools import pairwise
from pathlib import Path
from statistics import median_low
from typing import Final

import numpy as np
import numpy.typing as npt

from oneteam.core.errors import (
    DuplicateCodeError,
    MissingColumnError,
    NothingFoundError,
    UnknownValueError,
    WrongTypeError,
)
from oneteam.epidemic.engine.movement import WEEK_D
from oneteam.epidemic.forecasting.mobility import PUBLICATION_LAG_D
from oneteam.store.rows import Row, Rows, read_rows, read_text, some

Floats = npt.NDArray[np.float64]

_DATES: Final = ("date", "week_start", "week")
_IN_NAME: Final = re.compile(r"(?<!\d)\d{4}-\d{2}-\d{2}(?!\d)")


@dataclass(frozen=True)
class DatedTrips:
    """Trips per day in periods of time.

    Args:
        units: codes of the places.
        firsts: first day of each period, ascending; it holds until the next.
        step_d: how many days a period ordinarily has.
        trips: from row to column, (U, U) each.
    """

    units: tuple[str, ...]
    firsts: tuple[date, ...]
    step_d: int
    trips: tuple[Floats, ...]


@dataclass
class _Table:
    """Trips of one period while they are read: by pair, None where the field is empty."""

    pairs: dict[tuple[str, str], float | None]
    where: str


def read_trips(path: Path) -> tuple[list[str], Floats]:
    """Trips per day, from row to column, with the codes of both; from a long or a wide file.

    Raises:
        MissingColumnError: neither form.
        DuplicateCodeError: a pair stands twice.
        WrongTypeError, UnknownValueError: a value that is no number, or below 0.
    """
    rows = read_rows(path)
    if {"origin", "destination"} <= set(rows.columns):
        value = _value_column(rows)
        codes = list(dict.fromkeys(code for c in ("origin", "destination") for row in rows.rows if (code := row.text(c))))
        place = {code: i for i, code in enumerate(codes)}
        trips = np.full((len(codes), len(codes)), np.nan)
        for row in rows.rows:
            a, b = _pair(row)
            if not np.isnan(trips[place[a], place[b]]):
                raise DuplicateCodeError(f"{row.where}: the pair {a} to {b} stands twice")
            trips[place[a], place[b]] = row.number(value, 0.0) or 0.0
        return codes, np.nan_to_num(trips)
    codes = rows.unique(rows.columns[0])
    absent = [code for code in codes if code not in rows.columns]
    if absent:
        raise MissingColumnError(
            f"{path}: neither columns origin and destination nor a column for each row's code; absent: {some(absent)}",
            hint="A long file has origin, destination, trips_per_day; a wide one has one row and one column for each code.",
        )
    return codes, np.array([[row.number(code, 0.0) or 0.0 for code in codes] for row in rows.rows])


def _value_column(rows: Rows) -> str:
    value = next((c for c in ("trips_per_day", "trips", "value") if c in rows.columns), None)
    if value is None:
        raise MissingColumnError(f"{rows.path}: no column trips_per_day; its columns are: {', '.join(rows.columns)}")
    return value


def _pair(row: Row) -> tuple[str, str]:
    a, b = row.text("origin"), row.text("destination")
    if a is None or b is None:
        raise UnknownValueError(f"{row.where}: origin or destination is empty")
    return a, b


def is_dated(path: Path) -> bool:
    """Whether a file of trips has a column of dates.

    Raises:
        FileUnreadableError, EncodingError: it cannot be read.
    """
    header = re.split(r"[,;\t]", read_text(path).split("\n", 1)[0])
    return bool({name.strip() for name in header} & set(_DATES))


def read_dated_trips(paths: Sequence[Path], notes: list[str]) -> DatedTrips:
    """Trips by date, from one long file with a column of dates, or from several files.

    Of several, each has that column or a date like 2020-03-02 in its name, from which on it holds. A pair that is not listed has no trips;
    a place that a date does not name at all, and a pair whose field is empty, keep their last trips, which is noted.

    Args:
        paths: the files.
        notes: repairs are added.

    Raises:
        MissingColumnError: a file without dates, or of neither form.
        DuplicateCodeError: a pair or a date stands twice.
        WrongTypeError, UnknownValueError: a value that is no number (NaN included), is below 0, or a date that is none.
    """
    tables: dict[date, _Table] = {}
    for path in paths:
        rows = read_rows(path)
        column = next((c for c in _DATES if c in rows.columns), None)
        if column is not None:
            _add_dated(rows, column, tables)
            continue
        day = _date_in_name(path)
        if day in tables:
            raise DuplicateCodeError(f"{path}: trips from {day} on stand already in {tables[day].where}")
        codes, matrix = read_trips(path)
        tables[day] = _Table({(a, b): float(matrix[i, j]) for i, a in enumerate(codes) for j, b in enumerate(codes)}, str(path))
    firsts = tuple(sorted(tables))
    named = [{code for pair in tables[day].pairs for code in pair} for day in firsts]
    units = sorted(set().union(*named))
    place = {code: i for i, code in enumerate(units)}
    weekly = all((b - a).days % WEEK_D == 0 for a, b in pairwise(firsts))
    step = median_low((b - a).days for a, b in pairwise(firsts)) if len(firsts) > 1 else WEEK_D if weekly else 1
    raw = []
    for day, codes_then in zip(firsts, named, strict=True):
        matrix = np.zeros((len(units), len(units)))
        silent = [i for code, i in place.items() if code not in codes_then]
        matrix[silent] = np.nan
        matrix[:, silent] = np.nan
        for (a, b), value in tables[day].pairs.items():
            matrix[place[a], place[b]] = np.nan if value is None else value
        raw.append(matrix)
    return DatedTrips(tuple(units), firsts, step, _carried(raw, units, firsts, named, notes))


def published(found: DatedTrips, known_on: date | None, notes: list[str]) -> DatedTrips:
    """Only the periods that were published on a day: `PUBLICATION_LAG_D` days after their last day; all when None.

    Raises:
        NothingFoundError: none was.
    """
    if known_on is None:
        return found
    ready = timedelta(days=found.step_d + PUBLICATION_LAG_D)
    kept = sum(first + ready <= known_on for first in found.firsts)
    if not kept:
        raise NothingFoundError(
            f"no trips were published on {known_on}; the first, from {found.firsts[0]}, were on {found.firsts[0] + ready}"
        )
    notes.append(f"Trips as published on {known_on}: up to those from {found.firsts[kept - 1]}.")
    return replace(found, firsts=found.firsts[:kept], trips=found.trips[:kept])


def _date_in_name(path: Path) -> date:
    texts = _IN_NAME.findall(path.name)
    if len(texts) != 1:
        raise MissingColumnError(
            f"{path}: one of several files of trips, and no date says from when it holds",
            hint="Add a column date, or put one date like 2020-03-02 into the file's name.",
        )
    try:
        return date.fromisoformat(texts[0])
    except ValueError as err:
        raise WrongTypeError(f"{path}: {texts[0]!r} in its name must be a date like 2020-01-31") from err


def _add_dated(rows: Rows, column: str, tables: dict[date, _Table]) -> None:
    if not {"origin", "destination"} <= set(rows.columns):
        raise MissingColumnError(
            f"{rows.path}: dated trips need columns origin and destination; its columns are: {', '.join(rows.columns)}",
            hint="Square tables: one file for each date, with the date in its name.",
        )
    value = _value_column(rows)
    for row in rows.rows:
        day = row.day(column)
        if day is None:
            raise UnknownValueError(f"{row.where}: {column} is empty")
        table = tables.setdefault(day, _Table({}, str(rows.path)))
        pair = _pair(row)
        if pair in table.pairs:
            raise DuplicateCodeError(f"{row.where}: the pair {pair[0]} to {pair[1]} stands twice on {day}")
        table.pairs[pair] = row.number(value, 0.0)


def _carried(raw: list[Floats], units: list[str], firsts: tuple[date, ...], named: list[set[str]], notes: list[str]) -> tuple[Floats, ...]:
    """Gaps filled with the last trips before, at the beginning with the first."""
    filled: list[Floats] = []
    empty = 0
    for matrix, codes_then in zip(raw, named, strict=True):
        here = np.array([code in codes_then for code in units])
        empty += int((np.isnan(matrix) & here[:, None] & here[None, :]).sum())
        filled.append(np.where(np.isnan(matrix), filled[-1], matrix) if filled else matrix)
    for i in range(len(filled) - 2, -1, -1):
        filled[i] = np.where(np.isnan(filled[i]), filled[i + 1], filled[i])
    absent = {code: [day.isoformat() for day, then in zip(firsts, named, strict=True) if code not in then] for code in units}
    told = [f"{code} ({some(days)})" for code, days in absent.items() if days]
    if told:
        notes.append(f"{len(told)} place(s) are not in the trips of every date, and keep their last trips: {some(told)}.")
    if empty:
        notes.append(f"{empty} empty number(s) of trips were filled with the pair's last number.")
    return tuple(np.nan_to_num(matrix) for matrix in filled)
