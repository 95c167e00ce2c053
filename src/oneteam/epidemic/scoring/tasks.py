"""Forecasts beside what happened and beside the baseline, on the baseline's tasks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Final

import numpy as np
import numpy.typing as npt

from oneteam.core.errors import MissingTaskError, NothingFoundError
from oneteam.epidemic.hub.forecasts import QuantileForecasts, Task, descending, describe
from oneteam.epidemic.hub.levels import LEVELS
from oneteam.epidemic.hub.target_data import Snapshot
from oneteam.stats.random import key_of, uniforms
from oneteam.stats.scoring import WisParts, log_weighted_interval_score, pit_quantiles, weighted_interval_score, wis_parts

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

INTERVALS: Final = {50: (0.25, 0.75), 80: (0.1, 0.9), 95: (0.025, 0.975)}
"""Central intervals whose coverage is reported, in percent, and their levels."""
SEED: Final = 1
"""Of the numbers that randomise the probability integral transform: the same for every model and every run."""
_PIT: Final = 0x517
_SHOWN: Final = 5


@dataclass(frozen=True)
class ScoredTasks:
    """One model's forecasts and their scores, each of shape (tasks,).

    Args:
        model: its name.
        forecasts: in order of reference date, horizon and place.
        observed: what happened.
        wis: weighted interval score, in parts.
        log_wis: weighted interval score of log(1 + x).
        inside: whether the observation lies in the central interval, by percent.
        pit: randomised probability integral transform.
    """

    model: str
    forecasts: QuantileForecasts
    observed: Floats
    wis: WisParts
    log_wis: Floats
    inside: Mapping[int, Flags]
    pit: Floats


@dataclass(frozen=True)
class Alignment:
    """Models on tasks that all share with the baseline.

    Args:
        models: by name.
        baseline: None where none was given.
        rows: which of the baseline's (or the common) tasks each model is scored on; all of them unless tasks may be missing.
        unobserved: tasks left out because what happened is not known.
        notes: what the reader should know.
    """

    models: Mapping[str, ScoredTasks]
    baseline: ScoredTasks | None
    rows: Mapping[str, Ints]
    unobserved: int
    notes: tuple[str, ...]


def observed_values(truth: Snapshot, forecasts: QuantileForecasts) -> Floats:
    """What happened in the week and place of each task, NaN where it is not known, shape (tasks,)."""
    place = {code: i for i, code in enumerate(truth.locations)}
    column = np.array([place.get(code, -1) for code in forecasts.location], np.int64)
    week = (forecasts.target_end_date - truth.weeks[0]).astype(np.int64)
    row = week // 7
    known = (column >= 0) & (week % 7 == 0) & (row >= 0) & (row < len(truth.weeks))
    out = np.full(forecasts.count, np.nan)
    out[known] = truth.values[row[known], column[known]]
    return out


def score_tasks(model: str, forecasts: QuantileForecasts, observed: Floats, u: Floats) -> ScoredTasks:
    """Scores of one model.

    Args:
        model: its name.
        forecasts: all values finite.
        observed: shape (tasks,).
        u: uniform numbers that randomise the probability integral transform, shape (tasks,).
    """
    levels = np.array(LEVELS)
    column = {level: i for i, level in enumerate(LEVELS)}
    values = forecasts.values
    inside = {
        percent: (observed >= values[:, column[low]]) & (observed <= values[:, column[high]]) for percent, (low, high) in INTERVALS.items()
    }
    return ScoredTasks(
        model=model,
        forecasts=forecasts,
        observed=observed,
        wis=wis_parts(observed, values, levels),
        log_wis=log_weighted_interval_score(observed, values, levels),
        inside=inside,
        pit=pit_quantiles(observed, values, levels, u),
    )


def align(
    models: Mapping[str, QuantileForecasts],
    truth: Snapshot,
    baseline: tuple[str, QuantileForecasts] | None,
    *,
    allow_missing: bool = False,
) -> Alignment:
    """Score models on the tasks of the baseline; without a baseline on the tasks that all models have.

    Args:
        models: by name.
        truth: what happened.
        baseline: its name and forecasts.
        allow_missing: score a model on what it has of the tasks instead of refusing it.

    Raises:
        MissingTaskError: a task of the baseline that a model lacks or that is not finite; the first five are named.
        NothingFoundError: no task whose outcome is known.
    """
    reference = baseline[1] if baseline else _common(models)
    observed = observed_values(truth, reference)
    known = np.flatnonzero(np.isfinite(observed))
    if not len(known):
        span = f"{reference.target_end_date.min()} to {reference.target_end_date.max()}" if reference.count else "no date"
        raise NothingFoundError(
            f"no task has a known outcome: the forecasts are for weeks ending {span}, "
            f"the truth covers {truth.weeks[0]} to {truth.weeks[-1]} for {len(truth.locations)} locations",
            hint="Compare location codes and week ends of forecasts and truth.",
        )
    tasks, observed = reference.take(known), observed[known]
    u = uniforms(key_of(SEED, _PIT), 0, tasks.count)
    notes: list[str] = []
    scored: dict[str, ScoredTasks] = {}
    rows: dict[str, Ints] = {}
    base: ScoredTasks | None = None
    if baseline:
        _match(baseline[0], baseline[1], tasks, allow_missing=False)
        base = score_tasks(baseline[0], tasks, observed, u)
    for model, forecasts in models.items():
        at = _match(model, forecasts, tasks, allow_missing=allow_missing)
        rows[model] = np.flatnonzero(at >= 0)
        if len(rows[model]) < tasks.count:
            notes.append(f"{model}: {tasks.count - len(rows[model]):,} of {tasks.count:,} tasks are missing and were left out")
        extra = int(np.isfinite(forecasts.values).all(axis=1).sum()) - len(rows[model])
        if baseline and extra > reference.count - tasks.count:
            notes.append(f"{model}: {extra:,} forecasts are not among the scored tasks of {baseline[0]}")
        crossed = int(descending(forecasts.values[at[rows[model]]]).sum())
        if crossed:
            notes.append(
                f"{model}: {crossed:,} of {len(rows[model]):,} tasks have quantiles that descend: their coverage and PIT mean little"
            )
        scored[model] = score_tasks(model, forecasts.take(at[rows[model]]), observed[rows[model]], u[rows[model]])
    return Alignment(scored, base, rows, reference.count - tasks.count, tuple(notes))


def _key(task: Task) -> tuple[date, int, str]:
    return task[0], task[1], task[2]


def _common(models: Mapping[str, QuantileForecasts]) -> QuantileForecasts:
    """The tasks of the first model that every other has too."""
    first, *others = models.values()
    sets = [{_key(task) for task in other.tasks()} for other in others]
    keep = [i for i, task in enumerate(first.tasks()) if all(_key(task) in each for each in sets)]
    return first.take(np.array(keep, np.int64))


def _match(model: str, forecasts: QuantileForecasts, tasks: QuantileForecasts, *, allow_missing: bool) -> Ints:
    """Row of the model's forecasts for each task, -1 where it has none that is finite."""
    finite = np.asarray(np.isfinite(forecasts.values).all(axis=1))
    row = {_key(task): i for i, task in enumerate(forecasts.tasks())}
    at = np.array([row.get(_key(task), -1) for task in tasks.tasks()], np.int64)
    absent = at < 0
    at[~absent & ~finite[at]] = -1
    bad = np.flatnonzero(at < 0)
    if not len(bad) or (allow_missing and len(bad) < tasks.count):
        return at
    named = list(tasks.take(bad[:_SHOWN]).tasks())
    lines = "; ".join(describe(task) + (" (absent)" if absent[i] else " (not finite)") for task, i in zip(named, bad, strict=False))
    more = f"; and {len(bad) - _SHOWN:,} more" if len(bad) > _SHOWN else ""
    raise MissingTaskError(
        f"{model}: {len(bad):,} of {tasks.count:,} tasks are missing or not finite: {lines}{more}",
        hint="Forecast every task of the baseline, all 23 quantiles; or score what is there with --allow-missing.",
    )


def relative_wis(scored: ScoredTasks, baseline: ScoredTasks, rows: Ints) -> tuple[float, float]:
    """Mean WIS and mean log-WIS over the baseline's on the same tasks.

    Args:
        scored: a model.
        baseline: on all tasks.
        rows: the baseline's tasks that the model was scored on.
    """
    return (
        float(scored.wis.total.mean() / baseline.wis.total[rows].mean()),
        float(scored.log_wis.mean() / baseline.log_wis[rows].mean()),
    )


def pairwise_relative(totals: Mapping[str, tuple[Ints, Floats]], baseline: str | None) -> dict[str, float]:
    """Pairwise relative skill: the geometric mean of a model's score ratios to all models on common tasks, scaled to the baseline's.

    Args:
        totals: rows and scores of each model, the baseline among them where there is one.
        baseline: whose skill becomes 1; None leaves the geometric means.

    Source: Cramer and others 2022, PNAS 119:e2113561119, methods.

    >>> rows = np.arange(2)
    >>> found = pairwise_relative({"a": (rows, np.array([1.0, 1.0])), "b": (rows, np.array([2.0, 2.0]))}, "b")
    >>> round(found["a"], 12), found["b"]
    (0.5, 1.0)
    """
    names = list(totals)
    logs = np.full((len(names), len(names)), np.nan)
    for i, one in enumerate(names):
        for j, other in enumerate(names):
            _, left, right = np.intersect1d(totals[one][0], totals[other][0], return_indices=True)
            if len(left):
                a, b = totals[one][1][left].mean(), totals[other][1][right].mean()
                logs[i, j] = np.log(a / b) if a > 0 and b > 0 else np.nan
    skill = {name: float(np.exp(np.nanmean(logs[i]))) if np.isfinite(logs[i]).any() else float("nan") for i, name in enumerate(names)}
    scale = skill[baseline] if baseline else 1.0
    return {name: value / scale for name, value in skill.items()}


def mean_wis(forecasts: QuantileForecasts, observed: Floats) -> float:
    """Mean weighted interval score over tasks with a known outcome."""
    known = np.isfinite(observed)
    return float(weighted_interval_score(observed[known], forecasts.values[known], np.array(LEVELS)).mean())
