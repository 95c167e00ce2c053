"""Trajectories from quantile forecasts: paths over the horizons that keep every task's distribution.

A path stands at about the same height of the distribution from one week to the next, and places rise and fall partly together: a
Gaussian copula with correlation 0.9 to the power of the weeks between two horizons and 0.5 between places. Both are assumed, not learned.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from scipy.special import ndtr

from oneteam.epidemic.hub.forecasts import FORECAST_SCHEMA, QuantileForecasts
from oneteam.epidemic.hub.levels import LEVELS
from oneteam.stats.random import key_of, normals

Floats = npt.NDArray[np.float64]

NEXT_WEEK: Final = 0.9
BETWEEN_PLACES: Final = 0.5
_STREAM: Final = 0x5A4D


def sample_paths(forecasts: QuantileForecasts, count: int, seed: int) -> Floats:
    """Values of every task in every path, shape (tasks, count); tasks of one reference date.

    Beyond the outermost levels values stay at the outermost quantiles.
    """
    horizons, at_horizon = np.unique(forecasts.horizon, return_inverse=True)
    places, at_place = np.unique(forecasts.location.astype(str), return_inverse=True)
    day = int(forecasts.reference_date[0].astype(np.int64)) if forecasts.count else 0
    noise = normals(key_of(seed, _STREAM, day), 0, (len(places) + 1) * len(horizons) * count).reshape(len(places) + 1, len(horizons), count)
    for i in range(1, len(horizons)):
        keep = NEXT_WEEK ** float(horizons[i] - horizons[i - 1])
        noise[:, i] = keep * noise[:, i - 1] + np.sqrt(1.0 - keep**2) * noise[:, i]
    height = np.sqrt(BETWEEN_PLACES) * noise[-1][at_horizon] + np.sqrt(1.0 - BETWEEN_PLACES) * noise[at_place, at_horizon]
    level = ndtr(height)
    return np.array([np.interp(u, LEVELS, quantiles) for u, quantiles in zip(level, forecasts.values, strict=True)]).reshape(-1, count)


def sample_table(forecasts: QuantileForecasts, count: int, seed: int) -> pa.Table:
    """Paths as rows of hubverse samples: ``output_type`` is ``sample`` and ``output_type_id`` the number of the path."""
    paths = sample_paths(forecasts, count, seed)
    row = np.repeat(np.arange(forecasts.count), count)
    return pa.table(
        {
            "reference_date": pa.array(forecasts.reference_date[row], pa.date32()),
            "horizon": pa.array(forecasts.horizon[row], pa.int32()),
            "target": pa.array(forecasts.target[row], pa.string()),
            "target_end_date": pa.array(forecasts.target_end_date[row], pa.date32()),
            "location": pa.array(forecasts.location[row], pa.string()),
            "output_type": pa.array(["sample"] * len(row), pa.string()),
            "output_type_id": pa.array(np.tile(np.arange(count, dtype=np.float64), forecasts.count)),
            "value": pa.array(paths.ravel(), pa.float64()),
        },
        schema=FORECAST_SCHEMA,
    )
