"""Public holidays: a week with working days off reports less, and the week after it catches up.

The logarithm of a week's count is taken to be that of the epidemic, plus one term for every working day off in the week, plus another for
every one in the week before. Both are learned from *bends*: by how far a week lies above the middle of its two neighbours, in logarithm. A
steady rise or fall does not bend. Members then see counts without the effect, and their forecasts get that of the weeks they are for.

Weekdays need no such term in weekly counts: every week has one of each.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from oneteam.core.errors import NothingFoundError, WrongTypeError
from oneteam.epidemic.hub.columns import as_days
from oneteam.epidemic.hub.target_data import WEEK_D

Days = npt.NDArray[np.datetime64]
Floats = npt.NDArray[np.float64]

PRIOR_SD: Final = 0.1
"""A working day off is thought to move its week by some 10% before anything is known: a fifth of the working days, partly caught up."""
MEMORY_WEEKS: Final = 156
"""Learned from the last three years: habits of reporting change."""
LEAST_BENDS: Final = 4
"""Fewer weeks with a holiday nearby are not learned from."""
OUTLIER_SDS: Final = 3.0
LARGEST: Final = 0.7
"""A week is moved by no more than this many e-foldings: a factor of two."""
TURNS: Final = (0.02, 0.05, 0.1, 0.2, 0.4)
"""Standard deviations of the epidemic's own bends among which the past decides."""
JITTERS: Final = (0.0, 0.03, 0.06, 0.12, 0.25)
"""The same of what each week's logarithm has to itself, beyond the chance of its count."""


@dataclass(frozen=True)
class Holidays:
    """Days on which offices are closed.

    Args:
        days: ascending, shape (days,).
    """

    days: Days

    def per_week(self, ends: Days) -> Floats:
        """Holidays from Monday to Friday in the weeks that end on some days, shape (weeks,).

        >>> monday, tuesday, saturday = np.array(["2022-01-31", "2022-02-01", "2022-02-05"], "datetime64[D]")
        >>> Holidays(np.array([monday, tuesday, saturday])).per_week(np.array([saturday]))
        array([2.])
        """
        working = self.days[(self.days.astype(np.int64) + 3) % WEEK_D < 5]  # 1970-01-01 was a Thursday
        return (np.searchsorted(working, ends, side="right") - np.searchsorted(working, ends - WEEK_D, side="right")).astype(np.float64)


@dataclass(frozen=True)
class HolidayEffect:
    """What one working day off does to the logarithm of counts.

    Args:
        same_week: of its own week.
        next_week: of the week after.
        weeks: bends with a holiday nearby that it was learned from; 0 where there were too few, and both effects are 0.
    """

    same_week: float
    next_week: float
    weeks: int

    def factor(self, holidays: Holidays, ends: Days) -> Floats:
        """By what counts of weeks are multiplied, shape (weeks,)."""
        moved = self.same_week * holidays.per_week(ends) + self.next_week * holidays.per_week(ends - WEEK_D)
        return np.asarray(np.exp(np.clip(moved, -LARGEST, LARGEST)))


def learn_holiday_effect(counts: Floats, ends: Days, holidays: Holidays) -> HolidayEffect:
    """Learn from counts up to today, all places together: they share their holidays.

    Args:
        counts: NaN where unknown, shape (weeks, places).
        ends: last days of the weeks, 7 days apart, shape (weeks,).
        holidays: past ones and future ones; only those of the weeks count.

    >>> ends = np.datetime64("2020-01-04", "D") + 7 * np.arange(60)
    >>> days = Holidays(ends[5::9] - 3)
    >>> counts = 1e6 * HolidayEffect(-0.2, 0.1, 0).factor(days, ends)[:, None]
    >>> found = learn_holiday_effect(counts, ends, days)
    >>> round(found.same_week, 2), round(found.next_week, 2)
    (-0.2, 0.1)
    """
    counts, ends = counts[-MEMORY_WEEKS:], ends[-MEMORY_WEEKS:]
    if len(ends) < LEAST_BENDS + 2:
        return HolidayEffect(0.0, 0.0, 0)
    terms = _bends(np.column_stack([holidays.per_week(ends), holidays.per_week(ends - WEEK_D)]))
    bend = _pooled_bends(counts)
    known = np.isfinite(bend)
    near = int((known & (np.abs(terms).sum(axis=1) > 0)).sum())
    if near < LEAST_BENDS:
        return HolidayEffect(0.0, 0.0, 0)
    # What a week has to itself stands in three bends, so that their noise is far from independent.
    operator = _bends(np.eye(len(ends)))[known]
    chance = (operator / (np.nansum(counts, axis=1) + 1.0)) @ operator.T
    own = operator @ operator.T
    # A wave is a hill: bends are on average not zero.
    design = np.column_stack([terms[known], np.ones(known.sum())])
    prior = np.diag([PRIOR_SD**2, PRIOR_SD**2, 1.0])
    kinds = [chance + jitter**2 * own + turn**2 * np.eye(len(own)) for turn in TURNS for jitter in JITTERS]
    noise = max(kinds, key=lambda v: _log_density(bend[known], v + design @ prior @ design.T))
    effect = _posterior_mean(design, bend[known], noise, prior)
    # Sudden turns of the epidemic are cut to size, once.
    rest = bend[known] - design @ effect
    limit = OUTLIER_SDS * np.sqrt(np.diag(noise))
    same, after, _ = _posterior_mean(design, design @ effect + np.clip(rest, -limit, limit), noise, prior).tolist()
    return HolidayEffect(same, after, near)


def _log_density(y: Floats, covariance: Floats) -> float:
    """Of a normal distribution about zero, up to a constant."""
    root = np.linalg.cholesky(covariance)
    return float(-0.5 * (np.linalg.solve(root, y) ** 2).sum() - np.log(np.diag(root)).sum())


def _posterior_mean(design: Floats, y: Floats, noise: Floats, prior: Floats) -> Floats:
    found: Floats = prior @ design.T @ np.linalg.solve(noise + design @ prior @ design.T, y)
    return found


def _bends(values: Floats) -> Floats:
    """How far each inner week lies above the middle of its neighbours, shape (weeks - 2, ...)."""
    return values[1:-1] - (values[:-2] + values[2:]) / 2.0


def _pooled_bends(counts: Floats) -> Floats:
    """Bends of log counts, averaged over places by their precision; NaN where no place is known, shape (weeks - 2,)."""
    bends = _bends(np.log(counts + 1.0))
    noise = 1.0 / (counts + 1.0)
    weight = np.where(np.isfinite(bends), 1.0 / (noise[1:-1] + (noise[:-2] + noise[2:]) / 4.0), 0.0)
    total = weight.sum(axis=1)
    pooled = (weight * np.nan_to_num(bends)).sum(axis=1) / np.maximum(total, 1e-12)
    # Weeks of a handful of cases say nothing of reporting.
    return np.where(total > 4.0, pooled, np.nan)


def parse_holidays(table: pa.Table, where: str) -> Holidays:
    """Holidays from a table with a column ``date``; other columns, such as a name, are not read.

    Raises:
        MissingColumnError, WrongTypeError: no such column, or a field that is no date.
        NothingFoundError: no row.

    >>> parse_holidays(pa.table({"date": ["2022-03-01", "2022-01-31"]}), "holidays.csv").days.tolist()
    [datetime.date(2022, 1, 31), datetime.date(2022, 3, 1)]
    """
    if not table.num_rows:
        raise NothingFoundError(f"{where}: holds no row")
    days = as_days(table, ["date", "holiday", "day"], where)
    empty = np.flatnonzero(np.isnat(days))
    if len(empty):
        raise WrongTypeError(f"{where}, data row {empty[0] + 1}: date is empty, must be a date")
    return Holidays(np.unique(days))
