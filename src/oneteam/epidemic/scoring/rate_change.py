"""Rate-change categories: will there be clearly more, or clearly fewer, than in the week before the forecast?

The definitions of FluSight: changes against the week that ends one week before the reference date; a change is *stable* when its rate is
below a limit or its count below 10; *large* from a second limit on. Source: CDC, FluSight-forecast-hub, model-output/README.md, "Rate-trend
forecast specifications", as in force for the seasons 2023-24 and from 2024-25 on.

Limits belong to weeks ahead of the week before: one week ahead is the reference date's own week, horizon 0. A draft of the text of 2023-24
labelled one to five weeks ahead as horizons -1, 0, 1 and 2 or 3, because its changes were against the week two weeks before the reference
date; when the change became one against the week before, the same limits were relabelled as horizons 0, 1, 2 and 3.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

import numpy as np
import numpy.typing as npt

from oneteam.epidemic.hub.forecasts import QuantileForecasts
from oneteam.epidemic.hub.levels import LEVELS
from oneteam.epidemic.hub.locations import Locations
from oneteam.epidemic.hub.target_data import WEEK_D, Snapshot
from oneteam.epidemic.scoring.tasks import observed_values
from oneteam.stats.scoring import cdf_from_quantiles

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

CATEGORIES: Final = ("large_decrease", "decrease", "stable", "increase", "large_increase")
STABLE_COUNT: Final = 10.0
"""Changes of fewer are stable whatever the rate."""
PER: Final = 100_000.0
Limits = Mapping[int, tuple[float, float]]
"""By horizon: rates per 100,000 from which a change is no longer stable, and from which it is large."""
WEEKS_AHEAD_2023_24: Final[Limits] = MappingProxyType({1: (1.0, 2.0), 2: (1.0, 3.0), 3: (2.0, 4.0), 4: (2.5, 5.0), 5: (2.5, 5.0)})
"""As in the text, by weeks after the week that is compared with."""
LIMITS_2023_24: Final[Limits] = MappingProxyType({horizon: WEEKS_AHEAD_2023_24[horizon + 1] for horizon in range(4)})
LIMITS_2024_25: Final[Limits] = MappingProxyType({0: (0.3, 1.7), 1: (0.5, 3.0), 2: (0.7, 4.0), 3: (1.0, 5.0)})
LIMITS: Final = MappingProxyType({"2023-24": LIMITS_2023_24, "2024-25": LIMITS_2024_25})


@dataclass(frozen=True)
class RateChange:
    """Forecast categories and what happened, for the tasks that can have one.

    Args:
        rows: positions among the tasks, shape (n,).
        probabilities: by `CATEGORIES`, shape (n, 5).
        outcome: index in `CATEGORIES`, shape (n,).
    """

    rows: Ints
    probabilities: Floats
    outcome: Ints


def category_of(change: npt.ArrayLike, population: npt.ArrayLike, horizon: npt.ArrayLike, limits: Limits) -> Ints:
    """The category of a change in counts; index in `CATEGORIES`.

    >>> category_of([5, 60, 60, -250], [1e6, 1e6, 1e7, 1e7], [0, 0, 0, 0], LIMITS_2023_24).tolist()
    [2, 4, 2, 0]
    """
    delta = np.asarray(change, np.float64)
    stable, large = _count_limits(np.asarray(population, np.float64), np.asarray(horizon, np.int64), limits)
    size = (np.abs(delta) >= stable).astype(np.int64) + (np.abs(delta) >= large)
    return np.asarray(2 + np.sign(delta).astype(np.int64) * size)


def _count_limits(population: Floats, horizon: Ints, limits: Limits) -> tuple[Floats, Floats]:
    rates = np.array([limits[h] for h in horizon.tolist()]).reshape(-1, 2) * population[:, None] / PER
    stable = np.maximum(rates[:, 0], STABLE_COUNT)
    return stable, np.maximum(rates[:, 1], stable)


def rate_change(forecasts: QuantileForecasts, observed: Floats, truth: Snapshot, places: Locations, limits: Limits) -> RateChange:
    """Category probabilities that follow from quantile forecasts, and the categories that happened.

    Args:
        forecasts: the tasks.
        observed: what happened, shape (tasks,).
        truth: for the week before the reference date; its final value stands on both sides of the change.
        places: with population; tasks of places without one are left out.
        limits: of which season.
    """
    before = _week_before(forecasts, truth)
    population = np.array([places.population[places.index[c]] if c in places.index else np.nan for c in forecasts.location])
    usable = np.isfinite(before) & np.isfinite(population) & np.isin(forecasts.horizon, list(limits))
    rows = np.flatnonzero(usable)
    taken, last, people = forecasts.take(rows), before[rows], population[rows]
    stable, large = _count_limits(people, taken.horizon, limits)
    levels = np.array(LEVELS)
    # Counts are whole: a fall of at least s is a count of at most floor(last - s), whose end lies half a count above.
    edges = [np.floor(last - large) + 0.5, np.floor(last - stable) + 0.5, np.ceil(last + stable) - 0.5, np.ceil(last + large) - 0.5]
    cumulative = np.stack([np.where(edge < 0, 0.0, cdf_from_quantiles(edge, taken.values, levels)) for edge in edges], axis=1)
    ends = np.concatenate([np.zeros((len(rows), 1)), np.maximum.accumulate(cumulative, axis=1), np.ones((len(rows), 1))], axis=1)
    return RateChange(rows, np.diff(ends, axis=1), category_of(observed[rows] - last, people, taken.horizon, limits))


def _week_before(forecasts: QuantileForecasts, truth: Snapshot) -> Floats:
    one_earlier = QuantileForecasts(
        np.asarray(forecasts.reference_date - WEEK_D, "datetime64[D]"),
        np.zeros_like(forecasts.horizon),
        forecasts.location,
        forecasts.target,
        forecasts.values,
    )
    return observed_values(truth, one_earlier)
