"""The time-series member: one pooled autoregression per step, with the time of year and Christmas, and a spread of its own.

A direct regression: the change over h weeks on the recent changes of the series and of its country, each week of the year with its own
mean and its own response. Ridge penalty; the spread is a second regression, on the logarithm of the errors that the first makes in seasons
that it has not seen. Leaving a season out costs one solve, because sums of squares are kept by season.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from oneteam.epidemic.forecasting.features import COLUMN, OF_MOVEMENT, Rows
from oneteam.epidemic.hub.levels import LEVELS

Floats = npt.NDArray[np.float64]
Singles = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]

RIDGE: Final = 20.0
OWN_WEIGHT: Final = 3.0
"""A row of the target counts as three of a history."""
YEAR_WEEKS: Final = 52.2
_CHANGES: Final = (
    "change_1", "change_2", "change_3", "change_1_before", "change_1_two_before", "slope_4", "slope_6", "bend_slope_4", "bend_6",
    "nation_change_1", "nation_change_2", "nation_change_1_before",
)  # fmt: skip
_STANDS: Final = ("level", "nation_level", "below_peak_16", "above_low_26", "mean_4")
_CHANGE_LIMIT: Final = 0.6
_STAND_LIMIT: Final = 2.0
_MOVEMENT_LIMIT: Final = 1.0
_ERROR_FLOOR: Final = 0.01


@dataclass(frozen=True)
class StepFit:
    """The regression of one step.

    Args:
        beta: of the mean, shape (terms,).
        gamma: of the logarithm of the spread, shape (spread terms,).
        quantiles: of errors divided by the spread, by level, shape (23,).
        count: examples.
    """

    beta: Floats
    gamma: Floats
    quantiles: Floats
    count: int


@dataclass(frozen=True)
class LinearModel:
    """Regressions by step."""

    by_step: Mapping[int, StepFit]
    seasonal: bool

    @property
    def steps(self) -> frozenset[int]:
        """Weeks ahead for which it was fitted."""
        return frozenset(self.by_step)

    def mean(self, x: Singles, step: int) -> Floats:
        """Expected change, shape (rows,)."""
        found: Floats = _mean_terms(x, seasonal=self.seasonal) @ self.by_step[step].beta
        return found

    def spread(self, x: Singles, step: int) -> Floats:
        """Size of its error, shape (rows,)."""
        found: Floats = np.exp(_spread_terms(x, seasonal=self.seasonal) @ self.by_step[step].gamma)
        return found

    def quantiles(self, x: Singles, step: int) -> Floats:
        """Quantiles of the change, shape (rows, 23)."""
        found: Floats = self.mean(x, step)[:, None] + self.spread(x, step)[:, None] * self.by_step[step].quantiles
        return found


def fit_linear(rows: Rows, *, seasonal: bool = True, ridge: float = RIDGE) -> LinearModel:
    """Fit every step of the rows.

    Args:
        rows: examples.
        seasonal: whether the time of year matters; false where less than two years are known.
        ridge: penalty on standardised terms.
    """
    weight = np.where(rows.kind == 0, OWN_WEIGHT, 1.0)
    fits: dict[int, StepFit] = {}
    for step in np.unique(rows.step).tolist():
        m = rows.step == step
        fits[step] = _fit_step(rows.x[m], rows.change[m], rows.season[m], weight[m], ridge, seasonal=seasonal)
    return LinearModel(fits, seasonal)


def _fit_step(x: Singles, change: Floats, season: Ints, weight: Floats, ridge: float, *, seasonal: bool) -> StepFit:
    terms = _mean_terms(x, seasonal=seasonal)
    size = terms.std(axis=0) + 1e-9
    size[0] = 1.0
    terms /= size
    penalty = np.eye(terms.shape[1]) * ridge
    penalty[0, 0] = 1e-6
    groups = [np.flatnonzero(season == s) for s in np.unique(season)]
    squares = [(terms[g] * weight[g, None]).T @ terms[g] for g in groups]
    products = [(terms[g] * weight[g, None]).T @ change[g] for g in groups]
    all_squares, all_products = np.sum(squares, axis=0), np.sum(products, axis=0)
    beta = np.linalg.solve(all_squares + penalty, all_products)
    error = change - terms @ beta
    if len(groups) > 1:
        for g, a, b in zip(groups, squares, products, strict=True):
            error[g] = change[g] - terms[g] @ np.linalg.solve(all_squares - a + penalty, all_products - b)
    spread_terms = _spread_terms(x, seasonal=seasonal)
    weighted = (spread_terms * weight[:, None]).T
    gamma = np.linalg.solve(weighted @ spread_terms + np.eye(spread_terms.shape[1]), weighted @ np.log(np.abs(error) + _ERROR_FLOOR))
    relative = error / np.exp(spread_terms @ gamma)
    return StepFit(np.asarray(beta / size, np.float64), np.asarray(gamma, np.float64), weighted_quantiles(relative, weight), len(change))


def weighted_quantiles(values: Floats, weight: Floats, levels: tuple[float, ...] = LEVELS) -> Floats:
    """Quantiles of weighted values, interpolated.

    >>> weighted_quantiles(np.array([1.0, 2.0, 3.0]), np.ones(3), (0.5,)).tolist()
    [2.0]
    """
    order = np.argsort(values)
    mass = np.cumsum(weight[order])
    return np.asarray(np.interp(np.asarray(levels), (mass - 0.5 * weight[order]) / mass[-1], values[order]), np.float64)


def _clipped(x: Singles, name: str, limit: float) -> Floats:
    return np.clip(np.nan_to_num(x[:, COLUMN[name]].astype(np.float64)), -limit, limit)


def _waves(x: Singles, count: int) -> list[Floats]:
    angle = 2.0 * np.pi * x[:, COLUMN["week"]].astype(np.float64) / YEAR_WEEKS
    return [wave(k * angle) for k in range(1, count + 1) for wave in (np.sin, np.cos)]


def _mean_terms(x: Singles, *, seasonal: bool) -> Floats:
    level = _clipped(x, "level", _STAND_LIMIT)
    slope = _clipped(x, "slope_4", _CHANGE_LIMIT)
    columns = [np.ones(len(x))]
    columns += [_clipped(x, name, _CHANGE_LIMIT) for name in _CHANGES]
    columns += [_clipped(x, name, _STAND_LIMIT) for name in _STANDS]
    columns += [slope * level, slope * np.abs(slope), _clipped(x, "nation_change_1", _CHANGE_LIMIT) * level]
    # All zero, and so without any say, where there is no movement.
    columns += [_clipped(x, name, _MOVEMENT_LIMIT) for name in OF_MOVEMENT]
    if seasonal:
        # A tent over each week about Christmas: reports and contacts jump there, and where the origin stands tells which jumps lie ahead.
        christmas = x[:, COLUMN["christmas"]].astype(np.float64)
        columns += [np.maximum(0.0, 1.0 - np.abs(christmas - k)) for k in range(-3, 9)]
        columns += _waves(x, 3)
        columns += [level * wave for wave in _waves(x, 2)]
        columns += [slope * wave for wave in _waves(x, 1)]
    return np.column_stack(columns)


def _spread_terms(x: Singles, *, seasonal: bool) -> Floats:
    level = _clipped(x, "level", _STAND_LIMIT)
    noise = np.log(np.nan_to_num(x[:, COLUMN["noise"]].astype(np.float64), nan=0.05) + 0.01)
    columns = [np.ones(len(x)), noise, level, level**2]
    columns += [np.abs(_clipped(x, name, _CHANGE_LIMIT)) for name in ("slope_4", "nation_change_1")]
    if seasonal:
        christmas = x[:, COLUMN["christmas"]]
        columns += [*_waves(x, 2), ((christmas > -2) & (christmas < 6)).astype(np.float64)]
    return np.column_stack(columns)
