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
POINTS: Final = 4_093
"""Prime number of lattice points that stand for the distribution of a sum of steps."""
MULTIPLIER: Final = 1_516
"""Generates the lattice (Korobov 1959): coordinates of point i are the fractions of i, i a, i a², ... over `POINTS`."""
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
    [[12.3, 14.0, 15.7], [12.1, 14.0, 15.9]]
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
    sums = _step_sums(moves, max(steps))
    wanted = np.asarray(levels)
    return np.asarray(np.maximum(np.stack([known[-1] + np.quantile(sums[step - 1], wanted) for step in steps]), 0.0))


def _step_sums(moves: Floats, steps: int) -> Floats:
    """Sums of 1 to ``steps`` independent symmetrised moves, as equally likely points, shape (steps, 2 POINTS)."""
    symmetric = np.concatenate([moves, -moves])
    point = np.arange(POINTS, dtype=np.int64)
    out = np.empty((steps, 2 * POINTS))
    total = np.zeros(POINTS)
    factor = 1
    for step in range(steps):
        share = ((point * factor) % POINTS + 0.5) / POINTS
        total = total + np.quantile(symmetric, share)
        out[step] = np.concatenate([total, -total])  # the distribution is symmetric, its points shall be too
        factor = factor * MULTIPLIER % POINTS
    return out


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
