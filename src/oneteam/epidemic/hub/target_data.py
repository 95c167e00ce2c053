"""Target data with vintages: what was known on which date, and what it became.

A *snapshot* is the whole series as it stood for one reference date. Where a file has no vintages, snapshots are cut from the final values
and say so: they are labelled ``revised data``, because no one could have had them then.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, timedelta
from functools import cached_property
from typing import Final, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from oneteam.core.errors import DuplicateCodeError, NothingFoundError, UnknownValueError, WrongTypeError
from oneteam.epidemic.hub.columns import as_days, as_floats, as_text

Days = npt.NDArray[np.datetime64]
Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Label = Literal["vintage", "revised data"]

WEEK_D: Final = 7
DEFAULT_LAG_WEEKS: Final = 1
"""How far behind the reference date the newest week of a pseudo-vintage lies."""
WEEKDAYS: Final = ("MON", "TUE", "WED", "THU", "FRI", "SAT", "SUN")
TARGET_SCHEMA: Final = pa.schema(
    [
        ("as_of", pa.date32()),
        ("reference_date", pa.date32()),
        ("target_end_date", pa.date32()),
        ("location", pa.string()),
        ("target", pa.string()),
        ("observation", pa.float64()),
    ]
)
"""Columns of target data; ``as_of`` and ``reference_date`` are absent where there are no vintages."""


@dataclass(frozen=True)
class Snapshot:
    """The series as it stood for one reference date.

    Args:
        reference_date: the end of the week in which a forecast is made.
        as_of: when the data were taken; None for a pseudo-vintage.
        target: what is counted.
        weeks: end dates, 7 days apart, ascending, shape (weeks,).
        locations: codes, ascending.
        values: counts, NaN where unknown, shape (weeks, locations).
        label: ``vintage``, or ``revised data`` for a pseudo-vintage.
    """

    reference_date: date
    as_of: date | None
    target: str
    weeks: Days
    locations: tuple[str, ...]
    values: Floats
    label: Label

    @property
    def last_week(self) -> date:
        """The newest week with any value."""
        end: date = self.weeks[-1].item()
        return end

    @property
    def lag_weeks(self) -> int:
        """Weeks from the newest week with a value to the reference date: 1 when the week before it is the newest."""
        return (self.reference_date - self.last_week).days // WEEK_D

    @cached_property
    def location_lag_weeks(self) -> Ints:
        """The same by location, shape (locations,): a place may report later than others; -1 for one without any value."""
        known = np.isfinite(self.values)
        newest = self.values.shape[0] - 1 - np.argmax(known[::-1], axis=0)
        return np.where(known.any(axis=0), self.lag_weeks + self.values.shape[0] - 1 - newest, -1)

    def horizon_of(self, week: date) -> int:
        """Weeks from the reference date to the end of a week."""
        return (week - self.reference_date).days // WEEK_D


@dataclass(frozen=True)
class TargetData:
    """All rows of target data, as arrays in the order of the file.

    Args:
        where: the source, for messages.
        target: what is counted.
        as_of: shape (rows,), None without vintages.
        reference_date: of the vintage, shape (rows,), None without vintages.
        target_end_date: shape (rows,).
        location: codes, ascending.
        location_index: of each row, shape (rows,).
        observation: NaN where unknown, shape (rows,).
    """

    where: str
    target: str
    as_of: Days | None
    reference_date: Days | None
    target_end_date: Days
    location: tuple[str, ...]
    location_index: Ints
    observation: Floats

    @property
    def has_vintages(self) -> bool:
        """Whether the file says what was known when."""
        return self.reference_date is not None

    @property
    def label(self) -> Label:
        """The label of this file's snapshots."""
        return "vintage" if self.has_vintages else "revised data"

    @property
    def week_end(self) -> str:
        """Weekday on which weeks end, such as ``SAT``."""
        return WEEKDAYS[self.target_end_date[0].item().weekday()]

    @cached_property
    def reference_dates(self) -> tuple[date, ...]:
        """Dates that have a snapshot; without vintages at the usual lag."""
        return self.reference_dates_at(DEFAULT_LAG_WEEKS)

    def reference_dates_at(self, lag_weeks: int) -> tuple[date, ...]:
        """Dates that have a snapshot: those of the file, or without vintages every week of it from the second on, some weeks later.

        So the newest date of pseudo-vintages has the same lag as all before it.

        Args:
            lag_weeks: of pseudo-vintages; vintages have their own.
        """
        if self.reference_date is not None:
            return tuple(np.unique(self.reference_date).tolist())
        ends: list[date] = np.unique(self.target_end_date).tolist()
        return tuple(end + timedelta(days=WEEK_D * lag_weeks) for end in ends[1:])

    @cached_property
    def _rows_by_vintage(self) -> Mapping[date, Ints]:
        assert self.reference_date is not None
        order = np.argsort(self.reference_date, kind="stable")
        days, first = np.unique(self.reference_date[order], return_index=True)
        return dict(zip(days.tolist(), np.split(order, first[1:]), strict=True))

    def snapshot(self, reference_date: date, *, lag_weeks: int = DEFAULT_LAG_WEEKS) -> Snapshot:
        """The series as it stood for a reference date; nothing newer is in it.

        Args:
            reference_date: one of `reference_dates`; without vintages any date on the right day of the week.
            lag_weeks: of a pseudo-vintage; a vintage has its own.

        Raises:
            NothingFoundError: no vintage for that date, or no value before it.
            UnknownValueError: not on the weekday on which weeks end, or a negative lag.
        """
        as_of: date | None = None
        self._check_weekday(reference_date)
        if lag_weeks < 0:
            raise UnknownValueError(f"lag of {lag_weeks} weeks: must be 0 or more; a snapshot knows no week after its reference date")
        if self.reference_date is not None:
            rows = self._rows_by_vintage.get(reference_date)
            if rows is None:
                first, last = self.reference_dates[0], self.reference_dates[-1]
                raise NothingFoundError(
                    f"{self.where}: no vintage for reference date {reference_date}; it has {len(self.reference_dates)}, {first} to {last}"
                )
            as_of = self.as_of[rows].max().item() if self.as_of is not None else None
        else:
            newest = np.datetime64(reference_date - timedelta(days=WEEK_D * lag_weeks), "D")
            rows = np.flatnonzero(self.target_end_date <= newest)
        weeks, values = self._grid(rows)
        if not len(weeks):
            raise NothingFoundError(f"{self.where}: no value for reference date {reference_date}")
        return Snapshot(reference_date, as_of, self.target, weeks, self.location, values, self.label)

    def _check_weekday(self, reference_date: date) -> None:
        found = WEEKDAYS[reference_date.weekday()]
        if found != self.week_end:
            raise UnknownValueError(
                f"reference date {reference_date} is a {found}; the weeks of {self.where} end on {self.week_end}",
                hint=f"Give a date that is a {self.week_end}.",
            )

    def _grid(self, rows: Ints) -> tuple[Days, Floats]:
        known = rows[np.isfinite(self.observation[rows])]
        if not len(known):
            return np.array([], "datetime64[D]"), np.empty((0, len(self.location)))
        ends = self.target_end_date[known]
        first = ends.min()
        weeks = np.arange(first, ends.max() + 1, WEEK_D, dtype="datetime64[D]")
        values = np.full((len(weeks), len(self.location)), np.nan)
        values[(ends - first).astype(np.int64) // WEEK_D, self.location_index[known]] = self.observation[known]
        return weeks, values

    def final(self) -> Snapshot:
        """The newest known value of every week and place; its reference date is one week after the newest week."""
        rows = np.arange(len(self.observation))
        if self.reference_date is not None:
            # Later vintages stand later, so that they overwrite earlier ones in the grid.
            rows = np.argsort(self.reference_date if self.as_of is None else self.as_of, kind="stable")
        weeks, values = self._grid(rows)
        if not len(weeks):
            raise NothingFoundError(f"{self.where}: no observation at all")
        after: date = weeks[-1].item() + timedelta(days=WEEK_D)
        return Snapshot(after, None, self.target, weeks, self.location, values, "revised data")

    def of_target(self, target: str) -> TargetData:
        """The same under another name of the target."""
        return replace(self, target=target)


def parse_target_data(table: pa.Table, where: str, *, target: str | None = None) -> TargetData:
    """Target data from a table.

    Columns: ``target_end_date`` (or ``date``), ``location``, ``observation`` (or ``value``); with vintages also ``as_of`` or
    ``reference_date``; ``target`` where several are counted. A ``reference_date`` that is absent is the first week end on or after
    ``as_of``.

    Args:
        table: the rows.
        where: the source, for messages.
        target: which of several targets.

    Raises:
        MissingColumnError, WrongTypeError: as for its columns.
        UnknownValueError: weeks or reference dates on different weekdays, a week after its snapshot's reference date, a negative
            observation, several targets and none chosen.
        DuplicateCodeError: two observations of one week, place and vintage.
        NothingFoundError: no row.

    >>> rows = pa.table({"target_end_date": ["2024-01-06", "2024-01-13"], "location": ["01", "01"], "observation": [3.0, 5.0]})
    >>> data = parse_target_data(rows, "target.csv")
    >>> data.snapshot(date(2024, 1, 13)).values.tolist(), data.label
    ([[3.0]], 'revised data')
    """
    table, name = _one_target(table, target, where)
    if not table.num_rows:
        raise NothingFoundError(f"{where}: holds no row")
    ends = as_days(table, ["target_end_date", "date", "week_end_date"], where)
    _check_week_ends(ends, where)
    text = as_text(table, ["location"], where)
    codes = tuple(sorted(set(text.to_pylist())))
    index = np.searchsorted(np.array(codes), np.array(text.to_pylist()))
    observation = as_floats(table, ["observation", "value"], where)
    bad = np.flatnonzero((observation < 0) | np.isinf(observation))
    if len(bad):
        row = int(bad[0])
        raise UnknownValueError(
            f"{where}, data row {row + 1}: observation of {codes[index[row]]} for {ends[row]} is {observation[row]:g}, must be 0 or more",
            hint="Negative corrections are repaired by `oneteam epidemic convert`.",
        )
    as_of = as_days(table, ["as_of"], where) if "as_of" in table.column_names else None
    reference = as_days(table, ["reference_date"], where) if "reference_date" in table.column_names else None
    for column, days in (("as_of", as_of), ("reference_date", reference)):
        empty = None if days is None else _first(np.isnat(days))
        if empty is not None:
            raise WrongTypeError(
                f"{where}, data row {empty + 1}: {column} is empty, must be a date",
                hint="Leave the column out where the data have no vintages.",
            )
    if reference is None and as_of is not None:
        reference = as_of + (ends[0] - as_of).astype(np.int64) % WEEK_D
    data = TargetData(where, name, as_of, reference, ends, codes, index.astype(np.int64), observation)
    _check_vintages(data)
    _check_unique(data)
    return data


def _one_target(table: pa.Table, target: str | None, where: str) -> tuple[pa.Table, str]:
    if "target" not in table.column_names:
        return table, target or "observation"
    names = as_text(table, ["target"], where)
    found = sorted(set(names.to_pylist()))
    if target is None and len(found) > 1:
        raise UnknownValueError(f"{where}: holds {len(found)} targets: {', '.join(found)}", hint="Choose one with --target.")
    if target is not None and target not in found:
        raise UnknownValueError(f"{where}: no target {target!r}; it has: {', '.join(found)}")
    wanted = target or (found[0] if found else "observation")
    return table.filter(pc.equal(names, wanted)), wanted


def _check_week_ends(ends: Days, where: str) -> None:
    missing = np.flatnonzero(np.isnat(ends))
    if len(missing):
        raise WrongTypeError(f"{where}, data row {missing[0] + 1}: target_end_date is empty, must be a date")
    weekday = (ends.astype(np.int64) + 3) % WEEK_D  # 1970-01-01 was a Thursday
    counts = np.bincount(weekday, minlength=WEEK_D)
    usual = int(np.argmax(counts))
    odd = np.flatnonzero(weekday != usual)
    if len(odd):
        raise UnknownValueError(
            f"{where}, data row {odd[0] + 1}: target_end_date {ends[odd[0]]} is a {WEEKDAYS[weekday[odd[0]]]}, other weeks end on "
            f"{WEEKDAYS[usual]}; {len(odd)} of {len(ends)} rows differ",
            hint="Target data are weekly; daily series become weekly with `oneteam epidemic convert --from daily-csv`.",
        )


def _check_vintages(data: TargetData) -> None:
    """A snapshot is for a week end, and knows of no week after it."""
    if data.reference_date is None:
        return
    row = _first((data.reference_date - data.target_end_date).astype(np.int64) % WEEK_D != 0)
    if row is not None:
        day = data.reference_date[row].item()
        raise UnknownValueError(
            f"{data.where}, data row {row + 1}: reference_date {day} is a {WEEKDAYS[day.weekday()]}, weeks end on {data.week_end}",
            hint="A reference date is the end of the week in which a forecast is made.",
        )
    row = _first((data.target_end_date > data.reference_date) & np.isfinite(data.observation))
    if row is not None:
        raise UnknownValueError(
            f"{data.where}, data row {row + 1}: the snapshot for reference date {data.reference_date[row]} has an observation of the week "
            f"that ends on {data.target_end_date[row]}, after it",
            hint="Leave reference_date and as_of out where the data are final values without vintages.",
        )


def _first(wrong: npt.NDArray[np.bool_]) -> int | None:
    return int(np.argmax(wrong)) if wrong.any() else None


def _check_unique(data: TargetData) -> None:
    vintage = data.reference_date if data.reference_date is not None else data.target_end_date
    order = np.lexsort((data.location_index, data.target_end_date, vintage))
    same = (np.diff(data.location_index[order]) == 0) & (np.diff(data.target_end_date[order]).astype(np.int64) == 0)
    same &= np.diff(vintage[order]).astype(np.int64) == 0
    if same.any():
        first, second = sorted(order[np.argmax(same) :][:2].tolist())
        raise DuplicateCodeError(
            f"{data.where}, data rows {first + 1} and {second + 1}: two observations of {data.location[data.location_index[first]]} for "
            f"{data.target_end_date[first]}"
        )


def target_table(snapshot: Snapshot) -> pa.Table:
    """Rows of target data for the known values of a snapshot, by week and location; without vintage columns for revised data."""
    week, place = np.nonzero(np.isfinite(snapshot.values))
    columns: dict[str, pa.Array] = {}
    if snapshot.label == "vintage":
        columns["as_of"] = pa.array([snapshot.as_of] * len(week), pa.date32())
        columns["reference_date"] = pa.array([snapshot.reference_date] * len(week), pa.date32())
    columns["target_end_date"] = pa.array(snapshot.weeks[week], pa.date32())
    columns["location"] = pa.array(np.array(snapshot.locations, object)[place], pa.string())
    columns["target"] = pa.array([snapshot.target] * len(week), pa.string())
    columns["observation"] = pa.array(snapshot.values[week, place], pa.float64())
    return pa.table(columns, schema=pa.schema([f for f in TARGET_SCHEMA if f.name in columns]))
