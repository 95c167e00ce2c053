"""Quantile forecasts in hubverse form: rows of a table, and the same as a matrix of tasks by levels.

A *task* is one reference date, horizon, place and target. Columns as in the hubverse's model output: Reich Lab and others, "hubverse:
model output", https://docs.hubverse.io.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from oneteam.core.errors import DuplicateCodeError, NothingFoundError, UnknownValueError
from oneteam.epidemic.hub.columns import as_days, as_floats, as_ints, as_text
from oneteam.epidemic.hub.levels import LEVELS, level_index
from oneteam.epidemic.hub.target_data import WEEK_D

Days = npt.NDArray[np.datetime64]
Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Texts = npt.NDArray[np.object_]
Flags = npt.NDArray[np.bool_]

FORECAST_SCHEMA: Final = pa.schema(
    [
        ("reference_date", pa.date32()),
        ("horizon", pa.int32()),
        ("target", pa.string()),
        ("target_end_date", pa.date32()),
        ("location", pa.string()),
        ("output_type", pa.string()),
        ("output_type_id", pa.float64()),
        ("value", pa.float64()),
    ]
)
"""Columns of a forecast table, in order."""

Task = tuple[date, int, str, str]
"""Reference date, horizon, location, target."""


@dataclass(frozen=True)
class QuantileForecasts:
    """Forecasts as a matrix, tasks in order of reference date, horizon, location and target.

    Args:
        reference_date: shape (tasks,).
        horizon: weeks from the reference date, shape (tasks,).
        location: codes, shape (tasks,).
        target: shape (tasks,).
        values: by `LEVELS`, NaN where a level is missing, shape (tasks, 23).
    """

    reference_date: Days
    horizon: Ints
    location: Texts
    target: Texts
    values: Floats

    @property
    def count(self) -> int:
        """How many tasks."""
        return len(self.horizon)

    @property
    def target_end_date(self) -> Days:
        """End of the week that is forecast, shape (tasks,)."""
        return np.asarray(self.reference_date + WEEK_D * self.horizon, "datetime64[D]")

    def tasks(self) -> Iterator[Task]:
        """The tasks, in order."""
        return zip(self.reference_date.tolist(), self.horizon.tolist(), self.location.tolist(), self.target.tolist(), strict=True)

    def take(self, rows: Ints | Flags) -> QuantileForecasts:
        """Some of the tasks."""
        return QuantileForecasts(self.reference_date[rows], self.horizon[rows], self.location[rows], self.target[rows], self.values[rows])


def forecast_table(forecasts: QuantileForecasts) -> pa.Table:
    """The rows of a forecast file: task by task, level by level.

    Raises:
        UnknownValueError: a value that is not finite, or quantiles that descend.
    """
    check_forecasts(forecasts, "forecast")
    n, k = forecasts.values.shape
    row = np.repeat(np.arange(n), k)
    return pa.table(
        {
            "reference_date": pa.array(forecasts.reference_date[row], pa.date32()),
            "horizon": pa.array(forecasts.horizon[row], pa.int32()),
            "target": pa.array(forecasts.target[row], pa.string()),
            "target_end_date": pa.array(forecasts.target_end_date[row], pa.date32()),
            "location": pa.array(forecasts.location[row], pa.string()),
            "output_type": pa.array(["quantile"] * (n * k), pa.string()),
            "output_type_id": pa.array(np.tile(np.array(LEVELS), n), pa.float64()),
            "value": pa.array(forecasts.values.ravel(), pa.float64()),
        },
        schema=FORECAST_SCHEMA,
    )


def check_forecasts(forecasts: QuantileForecasts, where: str) -> None:
    """Insist on 23 finite quantiles that do not descend, for every task.

    Raises:
        UnknownValueError: naming the first task that fails and how many do.
    """
    finite = np.asarray(np.isfinite(forecasts.values).all(axis=1))
    if not finite.all():
        raise UnknownValueError(
            f"{where}: {_named(forecasts, ~finite)}: a quantile is missing or not finite; all {len(LEVELS)} must be numbers"
        )
    crossed = descending(forecasts.values)
    if crossed.any():
        raise UnknownValueError(f"{where}: {_named(forecasts, crossed)}: quantiles descend", hint="Sort the quantiles of each task.")


def descending(values: Floats) -> Flags:
    """Whether the quantiles of a task descend anywhere, shape (tasks,).

    >>> descending(np.array([[1.0, 2.0], [2.0, 1.0]])).tolist()
    [False, True]
    """
    # Differences below the precision of a float32 file are rounding, not crossing.
    tolerance = 1e-6 * np.maximum(1.0, np.abs(values[:, 1:]))
    return np.asarray((np.diff(values, axis=1) < -tolerance).any(axis=1))


def _named(forecasts: QuantileForecasts, which: Flags) -> str:
    first = forecasts.take(np.flatnonzero(which)[:1])
    return f"{describe(next(first.tasks()))} ({int(which.sum())} of {forecasts.count} tasks)"


def describe(task: Task) -> str:
    """A task in words.

    >>> describe((date(2024, 1, 6), 1, "US", "wk inc flu hosp"))
    "reference date 2024-01-06, horizon 1, location US, target 'wk inc flu hosp'"
    """
    return f"reference date {task[0]}, horizon {task[1]}, location {task[2]}, target {task[3]!r}"


def parse_forecasts(table: pa.Table, where: str, *, target: str | None = None) -> QuantileForecasts:
    """The quantile rows of a forecast file as a matrix; rows of other output types and other levels are left out.

    A missing level stays NaN: whoever scores decides what that means.

    Args:
        table: the rows.
        where: the source, for messages.
        target: only this one; all when None.

    Raises:
        MissingColumnError, WrongTypeError: as for its columns.
        UnknownValueError: ``target_end_date`` is not ``horizon`` weeks after ``reference_date``.
        DuplicateCodeError: a task has a level twice.
        NothingFoundError: no quantile row.
    """
    kinds = as_text(table, ["output_type"], where) if "output_type" in table.column_names else None
    if kinds is not None:
        table = table.filter(pc.equal(kinds, "quantile"))
    if target is not None and "target" in table.column_names:
        table = table.filter(pc.equal(as_text(table, ["target"], where), target))
    if not table.num_rows:
        raise NothingFoundError(f"{where}: no quantile forecast" + (f" of {target!r}" if target else ""))
    reference = as_days(table, ["reference_date"], where)
    horizon = as_ints(table, ["horizon"], where)
    _check_ends(table, reference, horizon, where)
    place, places = _coded(as_text(table, ["location"], where))
    if "target" in table.column_names:
        aim, aims = _coded(as_text(table, ["target"], where))
    else:
        aim, aims = np.zeros(table.num_rows, np.int64), np.array([target or "observation"], object)
    level = level_index(as_floats(table, ["output_type_id"], where))
    value = as_floats(table, ["value"], where)
    return _matrix(reference, horizon, place, places, aim, aims, level, value, where)


def _check_ends(table: pa.Table, reference: Days, horizon: Ints, where: str) -> None:
    if "target_end_date" not in table.column_names:
        return
    odd = np.flatnonzero(as_days(table, ["target_end_date"], where) != reference + WEEK_D * horizon)
    if len(odd):
        row = int(odd[0])
        raise UnknownValueError(
            f"{where}, quantile row {row + 1}: target_end_date must lie {horizon[row]} weeks after reference date {reference[row]}"
        )


def _coded(text: pa.Array) -> tuple[Ints, Texts]:
    """Each text's position among the distinct ones, which are ascending."""
    names, index = np.unique(np.array(text.to_pylist(), dtype=str), return_inverse=True)
    return index.astype(np.int64), names.astype(object)


def _matrix(
    reference: Days, horizon: Ints, place: Ints, places: Texts, aim: Ints, aims: Texts, level: Ints, value: Floats, where: str
) -> QuantileForecasts:
    keep = level >= 0
    aim, place, horizon, reference, level, value = aim[keep], place[keep], horizon[keep], reference[keep], level[keep], value[keep]
    order = np.lexsort((level, aim, place, horizon, reference))
    aim_s, place_s, horizon_s, reference_s, level, value = (
        aim[order],
        place[order],
        horizon[order],
        reference[order],
        level[order],
        value[order],
    )
    starts = np.ones(len(order), bool)
    starts[1:] = (np.diff(aim_s) != 0) | (np.diff(place_s) != 0) | (np.diff(horizon_s) != 0) | (np.diff(reference_s).astype(np.int64) != 0)
    task = np.cumsum(starts) - 1
    twice = np.flatnonzero((np.diff(task) == 0) & (np.diff(level) == 0))
    first = np.flatnonzero(starts)
    values = np.full((len(first), len(LEVELS)), np.nan)
    values[task, level] = value
    found = QuantileForecasts(reference_s[first], horizon_s[first], places[place_s[first]], aims[aim_s[first]], values)
    if len(twice):
        row = int(task[twice[0]])
        named = describe(next(found.take(np.array([row])).tasks()))
        raise DuplicateCodeError(f"{where}: {named}: level {LEVELS[level[twice[0]]]} stands twice")
    return found
