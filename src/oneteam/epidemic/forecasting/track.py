"""Members' forecasts side by side: matched with outcomes that a later snapshot knows, and combined task by task."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date

import numpy as np
import numpy.typing as npt

from oneteam.epidemic.forecasting.combine import Combination, Past
from oneteam.epidemic.hub.forecasts import QuantileForecasts
from oneteam.epidemic.hub.target_data import WEEK_D, Snapshot

Floats = npt.NDArray[np.float64]


def common_tasks(forecasts: Mapping[str, QuantileForecasts]) -> tuple[QuantileForecasts, dict[str, Floats]]:
    """Tasks that all members have, in the first one's order, and each member's quantiles of them."""
    first = next(iter(forecasts.values()))
    index = {name: {task: i for i, task in enumerate(f.tasks())} for name, f in forecasts.items()}
    shared = [task for task in first.tasks() if all(task in rows for rows in index.values())]
    rows = {name: np.array([found[task] for task in shared], np.int64) for name, found in index.items()}
    values = {name: forecasts[name].values[rows[name]] for name in forecasts}
    return first.take(next(iter(rows.values()))), values


def outcomes_of(tasks: QuantileForecasts, snapshot: Snapshot) -> Floats:
    """What a snapshot knows of the weeks that were forecast, NaN where nothing, shape (tasks,)."""
    week = (tasks.target_end_date - snapshot.weeks[0]).astype(np.int64) // WEEK_D
    index = {code: i for i, code in enumerate(snapshot.locations)}
    place = np.array([index.get(code, -1) for code in tasks.location], np.int64)
    inside = (week >= 0) & (week < len(snapshot.weeks)) & (place >= 0)
    found = np.full(tasks.count, np.nan)
    found[inside] = snapshot.values[week[inside], place[inside]]
    return found


def past_forecasts(day: date, forecasts: Mapping[str, QuantileForecasts], snapshot: Snapshot) -> Past | None:
    """What members said on an earlier date, and what a snapshot knows of it; None where nothing is known yet.

    Only the weeks after the newest one of their own day are matched: nowcasts are left out.
    """
    tasks, values = common_tasks(forecasts)
    outcome = outcomes_of(tasks, snapshot)
    # A week that was already reported is not scored here: its horizon tells about reports, not about the epidemic.
    known = np.isfinite(outcome) & (tasks.horizon >= 0)
    if not known.any():
        return None
    index = {code: i for i, code in enumerate(snapshot.locations)}
    moves = np.abs(np.diff(snapshot.values, axis=0))
    typical = np.where(np.isfinite(moves).any(axis=0), np.nansum(moves, axis=0) / np.maximum(np.isfinite(moves).sum(axis=0), 1), 0.0) + 1.0
    size = typical[[index[code] for code in tasks.location[known]]]
    age = (snapshot.reference_date - day).days / WEEK_D
    return Past(age, {name: v[known] for name, v in values.items()}, outcome[known], size, tasks.horizon[known])


def combined_forecasts(combination: Combination, forecasts: Mapping[str, QuantileForecasts]) -> QuantileForecasts:
    """The members of one date as one forecast; a task that a member lacks is combined from the others."""
    rows: dict[tuple[date, int, str, str], dict[str, Floats]] = {}
    for name, found in forecasts.items():
        for task, values in zip(found.tasks(), found.values, strict=True):
            rows.setdefault(task, {})[name] = values
    order = sorted(rows)
    whole = [task for task in order if len(rows[task]) == len(forecasts)]
    values_of: dict[tuple[date, int, str, str], Floats] = {}
    if whole:
        members = {name: np.array([rows[task][name] for task in whole]) for name in forecasts}
        stacked = combination.apply(members, np.array([task[1] for task in whole]))
        values_of.update(zip(whole, stacked, strict=True))
    for task in order:
        if task not in values_of:
            values_of[task] = combination.apply({name: v[None] for name, v in rows[task].items()}, np.array([task[1]]))[0]
    return QuantileForecasts(
        np.array([task[0] for task in order], "datetime64[D]"),
        np.array([task[1] for task in order], np.int64),
        np.array([task[2] for task in order], object),
        np.array([task[3] for task in order], object),
        np.array([values_of[task] for task in order]),
    )
