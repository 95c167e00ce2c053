"""Scores as tables: one row for a model, or for a model and a horizon, place or week."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Final, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from oneteam.epidemic.scoring.tasks import Alignment, ScoredTasks, pairwise_relative

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
By = Literal["horizon", "location", "reference_date"]

PIT_BINS: Final = 10


@dataclass(frozen=True)
class ScoreRow:
    """Mean scores over tasks.

    Args:
        model: its name.
        tasks: how many.
        wis: mean weighted interval score, in the unit of the target.
        log_wis: mean weighted interval score of log(1 + x).
        relative_wis: ``wis`` over the baseline's on the same tasks; NaN without a baseline.
        relative_log_wis: the same of ``log_wis``.
        dispersion: share of ``wis`` that is width.
        underprediction: share that is forecasts below what happened.
        overprediction: share that is forecasts above.
        coverage_50: share of observations in the central 50% interval.
        coverage_80: in the 80% interval.
        coverage_95: in the 95% interval.
        mean_pit: mean probability integral transform, 0.5 when unbiased.
    """

    model: str
    tasks: int
    wis: float
    log_wis: float
    relative_wis: float
    relative_log_wis: float
    dispersion: float
    underprediction: float
    overprediction: float
    coverage_50: float
    coverage_80: float
    coverage_95: float
    mean_pit: float


def score_row(scored: ScoredTasks, baseline: ScoredTasks | None, rows: Ints, which: Ints) -> ScoreRow:
    """Mean scores over some tasks of a model.

    Args:
        scored: the model.
        baseline: on all tasks, None for none.
        rows: the baseline's task for each of the model's.
        which: positions among the model's tasks.
    """
    wis, log_wis = scored.wis.total[which].mean(), scored.log_wis[which].mean()
    parts = [part[which].mean() for part in (scored.wis.dispersion, scored.wis.underprediction, scored.wis.overprediction)]
    base = (baseline.wis.total[rows[which]].mean(), baseline.log_wis[rows[which]].mean()) if baseline else (np.nan, np.nan)
    inside = {percent: float(flags[which].mean()) for percent, flags in scored.inside.items()}
    return ScoreRow(
        model=scored.model,
        tasks=len(which),
        wis=float(wis),
        log_wis=float(log_wis),
        relative_wis=_ratio(wis, base[0]),
        relative_log_wis=_ratio(log_wis, base[1]),
        dispersion=_ratio(parts[0], wis),
        underprediction=_ratio(parts[1], wis),
        overprediction=_ratio(parts[2], wis),
        coverage_50=inside[50],
        coverage_80=inside[80],
        coverage_95=inside[95],
        mean_pit=float(scored.pit[which].mean()),
    )


def _ratio(above: float, below: float) -> float:
    return float(above / below) if below > 0 else float("nan")


def overall(alignment: Alignment) -> list[ScoreRow]:
    """One row for each model, best relative (or else absolute) score first; the baseline itself last."""
    rows = [
        score_row(scored, alignment.baseline, alignment.rows[name], np.arange(len(scored.observed)))
        for name, scored in alignment.models.items()
    ]
    rows.sort(key=lambda row: row.relative_wis if np.isfinite(row.relative_wis) else row.wis)
    base = alignment.baseline
    if base is not None and base.model not in alignment.models:
        every = np.arange(len(base.observed))
        rows.append(score_row(base, base, every, every))
    return rows


def broken_down(alignment: Alignment, by: By) -> pa.Table:
    """Mean scores by horizon, place or week: columns of `ScoreRow` with the key in the second place."""
    found: list[dict[str, object]] = []
    for name, scored in alignment.models.items():
        keys = np.asarray(getattr(scored.forecasts, by))
        for value in np.unique(keys):
            row = score_row(scored, alignment.baseline, alignment.rows[name], np.flatnonzero(keys == value))
            key = value.item() if isinstance(value, np.generic) else value
            found.append({"model": name, by: key, **{k: v for k, v in asdict(row).items() if k != "model"}})
    return pa.Table.from_pylist(found)


def pit_histogram(scored: ScoredTasks) -> Floats:
    """Share of tasks in each tenth of the probability integral transform; all 0.1 when calibrated, shape (10,)."""
    counts = np.histogram(scored.pit, bins=PIT_BINS, range=(0.0, 1.0))[0]
    return np.asarray(counts / max(1, counts.sum()), np.float64)


def pairwise(alignment: Alignment) -> Mapping[str, float]:
    """Pairwise relative WIS by model, scaled to the baseline where there is one; empty for a single model."""
    totals = {name: (alignment.rows[name], scored.wis.total) for name, scored in alignment.models.items()}
    base = alignment.baseline
    if len(totals) < 2:
        return {}
    if base is not None:
        totals = {**totals, base.model: (np.arange(len(base.observed)), base.wis.total)}
    return pairwise_relative(totals, base.model if base else None)
