"""Persistence: next week is like this week, give or take what weeks have differed by so far.

The baseline of the FluSight and COVID-19 hubs: the median stays at the last value; steps are drawn from all past weekly differences and
their negatives, independently for each week ahead; nothing lies below zero. Source: Cramer and others 2022, "Evaluation of individual and
ensemble probabilistic forecasts of COVID-19 mortality in the United States", PNAS 119:e2113561119, supplement 2.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from oneteam.epidemic.hub.forecasts import QuantileForecasts
from oneteam.epidemic.hub.levels import LEVELS
from oneteam.epidemic.hub.target_data import Snapshot

Floats = npt.NDArray[np.float64]

MODEL: Final = "oneteam-baseline"
POINTS: Final = 4_096
"""Equally likely points that stand for the distribution of one step."""
CELLS: Final = 16_384
"""Cells of the grid on which distributions are added."""
MIN_DIFFERENCES: Final = 2


def persistence_quantiles(series: npt.ArrayLike, steps: Sequence[int], levels: Sequence[float] = LEVELS) -> Floats:
    """Quantiles of a series some weeks ahead.

    Args:
        series: weekly counts, NaN where unknown, shape (weeks,); the last known one is persisted.
        steps: weeks after the last known one, each at least 1.
        levels: of the quantiles.

    Returns:
        Shape (steps, levels). With fewer than two differences the spread is that of a Poisson about the last value.

    >>> persistence_quantiles([10, 12, 11, 14], [1, 2], (0.25, 0.5, 0.75)).round(1).tolist()
    [[12.2, 14.0, 15.8], [12.1, 14.0, 15.9]]
    """
    values = np.asarray(series, np.float64)
    known = values[np.isfinite(values)]
    if not len(known):
        return np.full((len(steps), len(levels)), np.nan)
    # A gap of several weeks gives no weekly difference.
    moves = np.diff(values)
    moves = moves[np.isfinite(moves)]
    if len(moves) < MIN_DIFFERENCES:
        spread = np.sqrt(max(known[-1], 1.0))
        moves = np.array([-spread, spread])
    wanted = np.asarray(levels, np.float64)
    spread = _step_quantiles(np.concatenate([moves, -moves]), steps, wanted)
    return np.asarray(np.maximum(known[-1] + spread, 0.0))


def _step_quantiles(moves: Floats, steps: Sequence[int], levels: Floats) -> Floats:
    """Quantiles of sums of independent moves, shape (steps, levels): one step as it is, more by adding distributions on a grid."""
    out = np.empty((len(steps), len(levels)))
    reach = float(np.abs(moves).max()) * max(steps)
    if reach == 0:
        return np.zeros_like(out)
    width = 2.0 * reach / (CELLS - 4)
    at = np.quantile(moves, (np.arange(POINTS) + 0.5) / POINTS) / width
    low = np.floor(at)
    mass = np.bincount((low % CELLS).astype(np.int64), 1.0 - (at - low), CELLS)
    mass += np.bincount(((low + 1) % CELLS).astype(np.int64), at - low, CELLS)
    transform = np.fft.rfft(mass / POINTS)
    edges = (np.arange(CELLS) - CELLS // 2 + 0.5) * width
    for row, step in enumerate(steps):
        if step == 1:
            out[row] = np.quantile(moves, levels)
            continue
        density = np.fft.fftshift(np.fft.irfft(transform**step, CELLS))
        cumulative = np.cumsum(np.maximum(density, 0.0))
        out[row] = np.interp(levels, cumulative / cumulative[-1], edges)
    # The distribution is symmetric; rounding shall not move its median.
    return np.asarray(np.where(levels == 0.5, 0.0, out))


def persistence_forecasts(snapshot: Snapshot, horizons: Sequence[int]) -> QuantileForecasts:
    """Persistence for every place of a snapshot that has any value.

    Args:
        snapshot: what was known.
        horizons: weeks from the reference date; those not after a place's newest week are left out.

    >>> from datetime import date
    >>> import pyarrow as pa
    >>> from oneteam.epidemic.hub.target_data import parse_target_data
    >>> rows = pa.table({"date": ["2024-01-06", "2024-01-13", "2024-01-20"], "location": ["01"] * 3, "value": [3, 5, 4]})
    >>> found = persistence_forecasts(parse_target_data(rows, "x.csv").snapshot(date(2024, 1, 27)), [0, 1])
    >>> found.horizon.tolist(), found.values[:, 11].tolist()
    ([0, 1], [4.0, 4.0])
    """
    rows: list[tuple[int, str]] = []
    blocks: list[Floats] = []
    for place, (code, lag) in enumerate(zip(snapshot.locations, snapshot.location_lag_weeks.tolist(), strict=True)):
        ahead = [h for h in horizons if h + lag >= 1]
        if lag < 0 or not ahead:
            continue
        blocks.append(persistence_quantiles(snapshot.values[:, place], [h + lag for h in ahead]))
        rows += [(h, code) for h in ahead]
    order = sorted(range(len(rows)), key=rows.__getitem__)
    values = np.concatenate(blocks)[order] if blocks else np.empty((0, len(LEVELS)))
    return QuantileForecasts(
        np.full(len(rows), np.datetime64(snapshot.reference_date, "D")),
        np.array([rows[i][0] for i in order], np.int64),
        np.array([rows[i][1] for i in order], object),
        np.array([snapshot.target] * len(rows), object),
        values,
    )
