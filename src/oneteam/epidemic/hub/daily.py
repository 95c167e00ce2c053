"""Daily case files: reading, repairing, and adding up to weeks. Nothing is repaired silently: every repair is listed.

Repairs, in this order:

* a *negative count* takes back cases of earlier days: it is taken off the days before it, newest first, and becomes 0;
* a *decreasing cumulative series* is the same thing seen from its sum;
* a *gap* (a day that is absent, or without a number) makes its week unknown; where a file leaves out zeros, gaps can be read as 0; in a
  cumulative series the rise over a gap is spread evenly over its days;
* weeks at either end that the file does not cover whole are left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from oneteam.core.errors import DuplicateCodeError, MissingColumnError, NothingFoundError, UnknownValueError, WrongTypeError
from oneteam.epidemic.hub.columns import as_days, as_floats, as_text
from oneteam.epidemic.hub.target_data import WEEK_D, WEEKDAYS

Days = npt.NDArray[np.datetime64]
Floats = npt.NDArray[np.float64]
Kind = Literal["daily", "cumulative"]
Gaps = Literal["unknown", "zero"]

LONGEST_D: Final = 40_000
"""Case files over more days than that (110 years) have a mistyped date."""
DATE_COLUMNS: Final = ("date", "day", "report_date")
LOCATION_COLUMNS: Final = ("location", "zone", "code", "region")
VALUE_COLUMNS: Final = {
    "daily": ("new_cases", "cases", "new_admissions", "admissions", "count", "value", "observation"),
    "cumulative": ("cumulative_cases", "cumulative", "total_cases", "confirmed", "value"),
}


@dataclass(frozen=True)
class Repair:
    """One thing that was changed or left out.

    Args:
        kind: ``negative_correction``, ``gap``, ``partial_week``, ``border``, ``all_zero`` or ``no_population``.
        location: where; empty for all.
        what: in words, with numbers.
    """

    kind: str
    location: str
    what: str


@dataclass(frozen=True)
class DailySeries:
    """Daily new counts by place.

    Args:
        where: the source, for messages.
        days: consecutive, shape (days,).
        locations: codes, ascending.
        names: for people.
        values: NaN where the file has no number, shape (days, locations).
        repairs: what was changed so far.
    """

    where: str
    days: Days
    locations: tuple[str, ...]
    names: tuple[str, ...]
    values: Floats
    repairs: tuple[Repair, ...] = ()

    def without(self, codes: Sequence[str]) -> DailySeries:
        """The same without cases found at the border; their number is reported."""
        keep = [i for i, code in enumerate(self.locations) if code not in codes]
        if not keep:
            raise NothingFoundError(f"{self.where}: no location is left besides {', '.join(codes)}")
        left = [
            Repair("border", code, f"{np.nansum(self.values[:, i]):,.0f} cases found at the border are left out of transmission")
            for i, code in enumerate(self.locations)
            if code in codes
        ]
        return replace(
            self,
            locations=tuple(self.locations[i] for i in keep),
            names=tuple(self.names[i] for i in keep),
            values=self.values[:, keep],
            repairs=(*self.repairs, *left),
        )


def parse_daily(table: pa.Table, where: str, kind: Kind = "daily", *, value_column: str | None = None) -> DailySeries:
    """Daily counts from a long table (one row for each day and place), or a wide one (a column for each place).

    Args:
        table: the rows.
        where: the source, for messages.
        kind: whether the numbers are new counts or their running sum.
        value_column: which column holds them, where its name is not a usual one.

    Raises:
        MissingColumnError: no date, or neither a place nor several columns of numbers.
        WrongTypeError: a field that is no date or no number.
        DuplicateCodeError: two rows for one day and place.
        UnknownValueError: dates that are weeks apart, or a correction larger than everything before it.
        NothingFoundError: no number at all.

    >>> rows = pa.table({"date": ["2020-03-01", "2020-03-02"], "location": ["11", "11"], "new_cases": ["5", "-2"]})
    >>> found = parse_daily(rows, "cases.csv")
    >>> found.values.ravel().tolist(), found.repairs[0].kind
    ([3.0, 0.0], 'negative_correction')
    """
    long = any(name in table.column_names for name in LOCATION_COLUMNS)
    days, codes, names, values = (_long if long else _wide)(table, where, kind, value_column)
    if not np.isfinite(values).any():
        raise NothingFoundError(f"{where}: no number in it")
    _check_daily(values, where)
    series = DailySeries(where, days, codes, names, values)
    if kind == "cumulative":
        series = _differences(series)
    return _absorb_negatives(series)


def _long(table: pa.Table, where: str, kind: Kind, value_column: str | None) -> tuple[Days, tuple[str, ...], tuple[str, ...], Floats]:
    date = as_days(table, DATE_COLUMNS, where)
    _check_dates(date, where)
    texts = as_text(table, LOCATION_COLUMNS, where).to_pylist()
    number = as_floats(table, [value_column] if value_column else VALUE_COLUMNS[kind], where)
    _check_finite(number, where)
    codes, place = np.unique(np.array(texts, dtype=str), return_inverse=True)
    labels = as_text(table, ["location_name"], where).to_pylist() if "location_name" in table.column_names else texts
    names = dict(zip(texts, labels, strict=True))
    row = (date - date.min()).astype(np.int64)
    key = row * len(codes) + place
    order = np.argsort(key, kind="stable")
    twice = np.flatnonzero(np.diff(key[order]) == 0)
    if len(twice):
        first, second = sorted((int(order[twice[0]]), int(order[twice[0] + 1])))
        raise DuplicateCodeError(f"{where}, data rows {first + 1} and {second + 1}: two counts of {texts[first]} for {date[first]}")
    values = np.full((int(row.max()) + 1, len(codes)), np.nan)
    values[row, place] = number
    days = date.min() + np.arange(len(values))
    listed = tuple(str(c) for c in codes)
    return days, listed, tuple(names[c] for c in listed), values


def _wide(table: pa.Table, where: str, kind: Kind, value_column: str | None) -> tuple[Days, tuple[str, ...], tuple[str, ...], Floats]:
    date = as_days(table, DATE_COLUMNS, where)
    _check_dates(date, where)
    codes = sorted(name for name in table.column_names if name not in DATE_COLUMNS)
    if value_column or len(codes) < 2:
        raise MissingColumnError(
            f"{where}: no column with the place ({' or '.join(LOCATION_COLUMNS)}); its columns are: {', '.join(table.column_names[:8])}",
            hint="Give one row for each day and place, or one column for each place.",
        )
    row = (date - date.min()).astype(np.int64)
    if len(np.unique(row)) < len(row):
        first = int(np.flatnonzero(np.bincount(row) > 1)[0])
        raise DuplicateCodeError(f"{where}: two rows for {date.min() + first} ({kind} counts by column)")
    values = np.full((int(row.max()) + 1, len(codes)), np.nan)
    for column, code in enumerate(codes):
        number = as_floats(table, [code], where)
        _check_finite(number, where)
        values[row, column] = number
    return date.min() + np.arange(len(values)), tuple(codes), tuple(codes), values


def _check_dates(date: Days, where: str) -> None:
    if not len(date):
        raise NothingFoundError(f"{where}: holds no row")
    missing = np.flatnonzero(np.isnat(date))
    if len(missing):
        raise WrongTypeError(f"{where}, data row {missing[0] + 1}: the date is empty")
    # Before memory is taken for every day between them.
    if (date.max() - date.min()).astype(np.int64) >= LONGEST_D:
        raise UnknownValueError(f"{where}: dates from {date.min()} to {date.max()}; is one of them mistyped?")


def _check_finite(number: Floats, where: str) -> None:
    bad = np.flatnonzero(np.isinf(number))
    if len(bad):
        raise WrongTypeError(f"{where}, data row {bad[0] + 1}: the count is infinite, must be a number")


def _check_daily(values: Floats, where: str) -> None:
    covered = np.isfinite(values).any(axis=1)
    steps = np.diff(np.flatnonzero(covered))
    if len(steps) and steps.min() > 1:
        raise UnknownValueError(
            f"{where}: its dates are {int(np.median(steps))} days apart, must be daily",
            hint="Weekly counts need no conversion: name the columns target_end_date, location, observation.",
        )


def _differences(series: DailySeries) -> DailySeries:
    """New counts from running sums: a rise over a gap is spread evenly over its days, the first sum is unknown unless it is 0."""
    out = np.full_like(series.values, np.nan)
    repairs = list(series.repairs)
    for column, code in enumerate(series.locations):
        sums = series.values[:, column]
        known = np.flatnonzero(np.isfinite(sums))
        if not len(known):
            continue
        if sums[known[0]] == 0:
            out[known[0], column] = 0.0
        else:
            repairs.append(Repair("gap", code, f"starts at {sums[known[0]]:,.0f} on {series.days[known[0]]}: cases up to then have no day"))
        steps = np.diff(known)
        for at, step, rise in zip(known[1:], steps, np.diff(sums[known]), strict=True):
            out[at - step + 1 : at + 1, column] = rise / step
        if (steps > 1).any():
            repairs.append(Repair("gap", code, f"{int((steps - 1).sum())} days without a number; the rise was spread evenly over them"))
    return replace(series, values=out, repairs=tuple(repairs))


def _absorb_negatives(series: DailySeries) -> DailySeries:
    values = series.values.copy()
    repairs: list[Repair] = []
    for column, code in enumerate(series.locations):
        negative = np.flatnonzero(values[:, column] < 0)
        if not len(negative):
            continue
        taken = 0.0
        for day in negative:
            debt = -values[day, column]
            taken += debt
            values[day, column] = 0.0
            earlier = day - 1
            while debt > 0 and earlier >= 0:
                if values[earlier, column] > 0:
                    part = min(debt, values[earlier, column])
                    values[earlier, column] -= part
                    debt -= part
                earlier -= 1
            if debt > 0:
                raise UnknownValueError(
                    f"{series.where}: {code} on {series.days[day]}: a correction takes back {debt:g} more cases than came before it",
                    hint="Start the file earlier, or correct the number.",
                )
        shown = ", ".join(str(series.days[d]) for d in negative[:3]) + (", ..." if len(negative) > 3 else "")
        what = f"{len(negative)} negative counts ({shown}) took {taken:,.0f} cases off the days before them"
        repairs.append(Repair("negative_correction", code, what))
    return replace(series, values=values, repairs=(*series.repairs, *repairs))


@dataclass(frozen=True)
class WeeklySeries:
    """Counts by week and place.

    Args:
        weeks: end dates, 7 days apart, shape (weeks,).
        locations: codes.
        values: NaN where a day of the week is unknown, shape (weeks, locations).
        repairs: what was changed or left out.
    """

    weeks: Days
    locations: tuple[str, ...]
    values: Floats
    repairs: tuple[Repair, ...]


def add_up_weeks(series: DailySeries, week_end: str, *, gaps: Gaps = "unknown") -> WeeklySeries:
    """Weekly sums.

    Args:
        series: daily counts.
        week_end: weekday on which a week ends, such as ``SAT``.
        gaps: whether a day without a number makes its week unknown, or counts 0.

    Raises:
        UnknownValueError: no such weekday.
        NothingFoundError: not one whole week.

    >>> days = np.arange("2020-03-01", "2020-03-15", dtype="datetime64[D]")
    >>> found = add_up_weeks(DailySeries("x", days, ("11",), ("11",), np.ones((14, 1))), "SAT")
    >>> found.weeks.tolist(), found.values.ravel().tolist()
    ([datetime.date(2020, 3, 7), datetime.date(2020, 3, 14)], [7.0, 7.0])
    """
    if week_end not in WEEKDAYS:
        raise UnknownValueError(f"--week-end {week_end}: must be one of {', '.join(WEEKDAYS)}")
    start = (WEEKDAYS.index(week_end) + 1) % WEEK_D
    skip = (start - series.days[0].item().weekday()) % WEEK_D
    count = (len(series.days) - skip) // WEEK_D
    if count < 1:
        raise NothingFoundError(f"{series.where}: {series.days[0]} to {series.days[-1]} holds no whole week that ends on {week_end}")
    cube = series.values[skip : skip + count * WEEK_D].reshape(count, WEEK_D, -1)
    weeks = series.days[skip + WEEK_D - 1 :: WEEK_D][:count]
    repairs = [*series.repairs, *_partial(series, skip, count, week_end), *_gaps(series, cube, gaps)]
    values = np.nansum(cube, axis=1) if gaps == "zero" else cube.sum(axis=1)
    for i, code in enumerate(series.locations):
        if not np.nansum(values[:, i]):
            repairs.append(Repair("all_zero", code, "not one case in any week; kept as it is"))
    if not np.isfinite(values).any():
        raise NothingFoundError(
            f"{series.where}: every week has a day without a number in every place",
            hint="If the file leaves out days without cases, add --gaps zero.",
        )
    return WeeklySeries(weeks, series.locations, values, tuple(repairs))


def _partial(series: DailySeries, skip: int, count: int, week_end: str) -> list[Repair]:
    rest = len(series.days) - skip - count * WEEK_D
    return [
        Repair("partial_week", "", f"{n} days {where} belong to no whole week that ends on {week_end}; left out")
        for n, where in ((skip, "at the start"), (rest, "at the end"))
        if n
    ]


def _gaps(series: DailySeries, cube: Floats, gaps: Gaps) -> list[Repair]:
    missing = np.isnan(cube)
    found = []
    for i, code in enumerate(series.locations):
        days, weeks = int(missing[:, :, i].sum()), int(missing[:, :, i].any(axis=1).sum())
        if days:
            result = "counted as 0" if gaps == "zero" else f"{weeks} weeks are unknown"
            found.append(Repair("gap", code, f"{days} days without a number; {result}"))
    return found
