"""From a measure's result to what one drawing shows: rows chosen by day, hour and other keys, the rest averaged over time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from oneteam.core.errors import MissingColumnError, NothingFoundError, WrongTypeError
from oneteam.telecom.drawing.lettering import Lettering

TIME_KEYS: Final = ("month", "day", "hour")
ZONE_KEYS: Final = ("zone", "home", "origin", "destination")
_SHOWN: Final = 8


@dataclass(frozen=True)
class Slice:
    """The rows of a result that a drawing is about.

    Args:
        table: these rows; ``day`` is date32, ``month`` the first day of the month, zone keys are text.
        column: the value column.
        moments: number of different (month, day, hour) among the rows.
    """

    table: pa.Table
    column: str
    moments: int

    def mean_by(self, *keys: str) -> pa.Table:
        """The mean over the moments of the sum by keys, in ``value``; a key without a row at some moment counts 0 there.

        >>> rows = pa.table({"day": pa.array([0, 1, 1], pa.int32()).cast(pa.date32()), "zone": ["a", "a", "b"], "value": [4, 6, 8]})
        >>> choose(rows).mean_by("zone").to_pylist()
        [{'zone': 'a', 'value': 5.0}, {'zone': 'b', 'value': 4.0}]
        """
        return self.sum_by(*keys, over=self.moments)

    def sum_by(self, *keys: str, over: float = 1.0) -> pa.Table:
        """The sum by keys, in ``value``, divided by ``over``; sorted by key."""
        rows = self.table.select([*keys]).append_column("value", self.table[self.column].cast(pa.float64()))
        summed = rows.group_by(list(keys), use_threads=False).aggregate([("value", "sum")]).rename_columns([*keys, "value"])
        scaled = summed.set_column(len(keys), "value", pc.divide(summed["value"], over))
        return scaled.sort_by([(key, "ascending") for key in keys])

    def once_per_moment(self) -> Slice:
        """One row per moment with the largest value: for a column that repeats one number of the moment beside every key."""
        keys = [key for key in TIME_KEYS if key in self.table.column_names]
        rows = self.table.group_by(keys, use_threads=False).aggregate([(self.column, "max")]).rename_columns([*keys, self.column])
        return Slice(rows, self.column, self.moments)

    def period(self, lettering: Lettering) -> str:
        """Which time the slice is about, in words: one moment, or the mean of several."""
        parts = [self.span(lettering)]
        hours = pc.unique(self.table["hour"]).to_pylist() if "hour" in self.table.column_names else []
        if len(hours) == 1:
            parts.append(f"{hours[0]:02d}:00-{hours[0]:02d}:59")
        counted = [
            lettering.word(f"{key}s_counted", n=n)
            for key in TIME_KEYS
            if key in self.table.column_names and (n := pc.count_distinct(self.table[key]).as_py()) > 1
        ]
        if counted:
            parts.insert(0, lettering.word("mean_of", count=" × ".join(counted)))
        return ", ".join(part for part in parts if part)

    def span(self, lettering: Lettering) -> str:
        """The first and the last day, or month, in words; empty when the result has neither."""
        key = next((name for name in ("day", "month") if name in self.table.column_names), None)
        if key is None:
            return ""
        limits = pc.min_max(self.table[key]).as_py()
        first, last = (lettering.month(d.year, d.month) if key == "month" else lettering.day(d) for d in (limits["min"], limits["max"]))
        return first if first == last else lettering.word("to", first=first, last=last)


def choose(
    table: pa.Table, *, column: str = "value", day: date | None = None, hour: int | None = None, where: Mapping[str, str] | None = None
) -> Slice:
    """Choose the rows that a drawing is about.

    Args:
        table: key columns and value columns; ``day`` as date32, ISO text or days since 1970-01-01, ``month`` as date, ``2020-01`` or
            12 * year + month - 1.
        column: the value column.
        day: this day only.
        hour: this hour only.
        where: further keys and the value that each must have, as text.

    Raises:
        MissingColumnError: a column that the table lacks.
        WrongTypeError: a value column that is not numeric, a day or month that cannot be read.
        NothingFoundError: no row left; the message names what there is.
    """
    wanted = {**({} if day is None else {"day": day.isoformat()}), **({} if hour is None else {"hour": str(hour)}), **(where or {})}
    absent = [name for name in (column, *wanted) if name not in table.column_names]
    if absent:
        raise MissingColumnError(f"the result has no column {', '.join(absent)}; its columns are: {', '.join(table.column_names)}")
    if not (pa.types.is_integer(table[column].type) or pa.types.is_floating(table[column].type)):
        raise WrongTypeError(f"column {column!r} is {table[column].type}, must be numeric")
    for name in table.column_names:
        read = _as_day if name == "day" else _as_month if name == "month" else _as_code if name in ZONE_KEYS else None
        if read is not None:
            table = table.set_column(table.column_names.index(name), name, read(table[name]))
    for name, value in wanted.items():
        there = table[name].cast(pa.string())
        kept = table.filter(pc.equal(there, value))
        if not kept.num_rows:
            listed = sorted(str(v) for v in pc.unique(there).to_pylist())
            shown = ", ".join(listed if len(listed) <= _SHOWN else [*listed[: _SHOWN // 2], "...", *listed[-_SHOWN // 2 :]])
            raise NothingFoundError(f"the result has no row with {name} = {value}; it has: {shown or 'none'}")
        table = kept
    if not table.num_rows:
        raise NothingFoundError("the result has no row to draw")
    keys = [key for key in TIME_KEYS if key in table.column_names]
    return Slice(table, column, table.group_by(keys).aggregate([]).num_rows if keys else 1)


def moments_of(table: pa.Table) -> npt.NDArray[np.datetime64]:
    """The time of each row of a table that `choose` has read: month, day, or day and hour."""
    if "day" in table.column_names:
        days = table["day"].to_numpy().astype("datetime64[h]")
        return np.asarray(days + table["hour"].to_numpy().astype("timedelta64[h]") if "hour" in table.column_names else days)
    return np.asarray(table["month"].to_numpy().astype("datetime64[h]"))


def _as_code(codes: pa.ChunkedArray) -> pa.ChunkedArray:
    """Zone codes as text; null where the zone is not known."""
    if pa.types.is_dictionary(codes.type):
        codes = codes.cast(codes.type.value_type)
    text = codes.cast(pa.string())
    return pc.if_else(pc.is_in(text, pa.array(["", "-1", "unknown"])), pa.scalar(None, pa.string()), text)


def _as_day(days: pa.ChunkedArray) -> pa.ChunkedArray:
    if pa.types.is_integer(days.type):
        return days.cast(pa.int32()).cast(pa.date32())
    try:
        return days.cast(pa.date32())
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as err:
        raise WrongTypeError("column 'day' must hold dates like 2020-01-31", detail=str(err)) from err


def _as_month(months: pa.ChunkedArray) -> pa.ChunkedArray:
    values = months.unique().to_pylist()
    try:
        firsts = [None if value is None else _first_of(value) for value in values]
    except ValueError as err:
        raise WrongTypeError("column 'month' must hold months like 2020-01", detail=str(err)) from err
    return pa.array(firsts, pa.date32()).take(pc.index_in(months, pa.array(values, months.type)))


def _first_of(month: object) -> date:
    if isinstance(month, datetime | date):
        return date(month.year, month.month, 1)
    if isinstance(month, int):
        return date(month // 12, month % 12 + 1, 1)
    return date.fromisoformat(f"{month!s:.7}-01")
