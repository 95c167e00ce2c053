"""The learned member: gradient-boosted trees on what the pooled autoregression leaves over.

Trees see the errors of `linear` divided by their expected size, so that a bend at one step weighs like a bend at another. They are bagged
over seasons; the spread and its shape come from each season's errors under the trees that have not seen it.

Source of the idea of pooling places and sources and of bagging seasons: Ray and others 2025 (see `panel`).
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from oneteam.core.errors import MissingExtraError
from oneteam.epidemic.forecasting.features import LEVELS_OF_SERIES, NAMES, OF_MOVEMENT, Rows
from oneteam.epidemic.forecasting.linear import LinearModel, weighted_quantiles

Floats = npt.NDArray[np.float64]
Singles = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]

KEPT_SEASONS: Final = 0.7
"""Share of the seasons that a bag sees."""
KEPT_ROWS: Final = 0.35
"""Share of a history's rows that a bag sees; the target's own rows are all seen."""
SPREAD_BAGS: Final = 2


@dataclass(frozen=True)
class BoostingSettings:
    """How trees are grown.

    Args:
        bags: of the mean.
        rounds: trees of a bag.
        leaves: of a tree.
        rate: of learning.
        with_level: whether the height of a series is a feature.
    """

    bags: int = 6
    rounds: int = 100
    leaves: int = 31
    rate: float = 0.1
    with_level: bool = True


@dataclass(frozen=True)
class BoostedModel:
    """Trees over a `LinearModel`.

    Args:
        base: whose errors were learned.
        columns: features that are used.
        means: one ensemble of trees per bag.
        spreads: the same for the size of the error.
        quantiles: of errors divided by their size, by step, each of shape (23,).
    """

    base: LinearModel
    columns: Ints
    means: tuple[Any, ...]
    spreads: tuple[Any, ...]
    quantiles_by_step: Mapping[int, Floats]

    @property
    def steps(self) -> frozenset[int]:
        """Weeks ahead for which it was fitted."""
        return frozenset(self.quantiles_by_step)

    def quantiles(self, x: Singles, step: int) -> Floats:
        """Quantiles of the change, shape (rows, 23)."""
        seen = x[:, self.columns]
        mean = np.mean([trees.predict(seen) for trees in self.means], axis=0)
        spread = np.mean([trees.predict(seen) for trees in self.spreads], axis=0)
        relative = mean[:, None] + spread[:, None] * self.quantiles_by_step[step]
        found: Floats = self.base.mean(x, step)[:, None] + self.base.spread(x, step)[:, None] * relative
        return found


def fit_boosted(rows: Rows, base: LinearModel, seed: int, settings: BoostingSettings) -> BoostedModel:
    """Grow the trees; the same rows and seed give the same trees.

    Args:
        rows: examples; seasons are what bags leave out.
        base: fitted on the same rows.
        seed: of bags and of trees.
        settings: how to grow.

    Raises:
        MissingExtraError: LightGBM is not installed.
    """
    lgb = _lightgbm()
    left_out = OF_MOVEMENT if settings.with_level else OF_MOVEMENT + LEVELS_OF_SERIES
    columns = np.array([i for i, name in enumerate(NAMES) if name not in left_out], np.int64)
    x = np.ascontiguousarray(rows.x[:, columns])
    relative = _relative_errors(rows, base)
    random = np.random.default_rng([seed, int(settings.with_level)])
    own = rows.kind == 0
    binned = lgb.Dataset(x, relative, free_raw_data=False, params={"max_bin": 63, "verbosity": -1, "num_threads": 1})
    binned.construct()
    means: list[Any] = []
    judged = own | (random.random(len(x)) < KEPT_ROWS)
    unseen_sum, unseen_count = np.zeros(len(x)), np.zeros(len(x))
    for bag in range(settings.bags):
        inside = np.isin(rows.season, _drawn_seasons(rows.season, random))
        chosen = np.flatnonzero(inside & (own | (random.random(len(x)) < KEPT_ROWS)))
        grown = {"objective": "huber", "alpha": 1.0, "num_leaves": settings.leaves, "learning_rate": settings.rate}
        trees = lgb.train(_parameters(seed + bag) | grown, binned.subset(chosen), num_boost_round=settings.rounds)
        outside = np.flatnonzero(~inside & judged)
        unseen_sum[outside] += trees.predict(x[outside]) if len(outside) else 0.0
        unseen_count[outside] += 1
        means.append(trees)
    known = unseen_count > 0
    error = relative[known] - unseen_sum[known] / unseen_count[known]
    spreads = _fit_spreads(lgb, x[known], error, seed)
    size = np.mean([trees.predict(x[known]) for trees in spreads], axis=0)
    step = rows.step[known]
    shapes = {int(s): weighted_quantiles(error[step == s] / size[step == s], np.ones(int((step == s).sum()))) for s in np.unique(step)}
    return BoostedModel(base, columns, tuple(means), tuple(spreads), shapes)


def _fit_spreads(lgb: Any, x: Singles, error: Floats, seed: int) -> list[Any]:
    data = lgb.Dataset(x, np.abs(error) + 1e-3 * float(np.std(error)), params={"max_bin": 63, "verbosity": -1})
    grown = {"objective": "gamma", "num_leaves": 15, "learning_rate": 0.1, "min_data_in_leaf": 100}
    return [lgb.train(_parameters(seed + 100 + bag) | grown, data, num_boost_round=60) for bag in range(SPREAD_BAGS)]


def _relative_errors(rows: Rows, base: LinearModel) -> Floats:
    out = np.empty(len(rows.change))
    for step in base.by_step:
        m = rows.step == step
        out[m] = (rows.change[m] - base.mean(rows.x[m], step)) / base.spread(rows.x[m], step)
    return out


def _drawn_seasons(season: Ints, random: np.random.Generator) -> Ints:
    seasons = np.unique(season)
    count = int(np.ceil(KEPT_SEASONS * len(seasons)))
    return random.permutation(seasons)[: min(count, max(len(seasons) - 1, 1))]


def _parameters(seed: int) -> dict[str, Any]:
    return {
        "min_data_in_leaf": 50,
        "feature_fraction": 0.6,
        "bagging_fraction": 0.7,
        "bagging_freq": 1,
        "lambda_l2": 1.0,
        "max_bin": 63,
        "num_threads": 1,
        "deterministic": True,
        "force_row_wise": True,
        "verbosity": -1,
        "seed": seed,
    }


def _lightgbm() -> Any:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import lightgbm  # noqa: PLC0415 - an optional extra, and slow to import
    except ImportError as err:
        raise MissingExtraError("the learned member needs LightGBM", hint="pip install 'oneteam[epidemic]'") from err
    return lightgbm
