"""From Releases to tables: consistent estimates with their standard deviation, and what the noise did to them.

A number below a Release's smallest count is not shown: cells below it get their share of the sum of such cells in their coarser cell, where
that sum is large enough, and zero where it is not. So no total is lost, and no small number is told.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from oneteam.app.study.releases import Asked
from oneteam.privacy.combine import level_values
from oneteam.privacy.consistency import LevelEstimate, estimates
from oneteam.privacy.levels import FINEST, SUMMED, Domain, Level, domain_of_query

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Estimate:
    """The finest table of a Release.

    Args:
        codes: of its dimensions, by name, in order.
        value: estimated counts over the whole period, shape of the table.
        std: standard deviation of each; NaN where the table is without noise.
        raw: the noised counts as they came; NaN where they are too small to be shown, or of another grain.
        hidden: whether the cell itself is not shown, but its share of a larger sum.
        first_day: of the period.
        last_day: of the period.
    """

    codes: dict[str, tuple[str, ...]]
    value: Floats
    std: Floats
    raw: Floats
    hidden: Bools
    first_day: date
    last_day: date

    @property
    def days(self) -> int:
        """Of the period."""
        return (self.last_day - self.first_day).days + 1

    def over(self, *names: str) -> Estimate:
        """The sum over all other dimensions, in this order; uncertainty as of independent cells."""
        drop = tuple(i for i, name in enumerate(self.codes) if name not in names)
        left = [name for name in self.codes if name in names]
        move = [left.index(name) for name in names]

        def summed(table: Floats) -> Floats:
            return np.transpose(np.asarray(table.sum(axis=drop)), move)

        raw = summed(self.raw)
        return Estimate(
            {name: self.codes[name] for name in names},
            summed(self.value),
            np.sqrt(summed(self.std**2)),
            raw,
            np.transpose(np.asarray(self.hidden.all(axis=drop)), move),
            self.first_day,
            self.last_day,
        )


def levels_of(asked: Asked) -> tuple[LevelEstimate, ...]:
    """Every level of a Release's consistent table; the costly part of `estimate_of`."""
    return estimates(asked.release, asked.agreement)


def estimate_of(asked: Asked, *names: str, levels: Sequence[LevelEstimate] | None = None) -> Estimate:
    """The finest table of a Release, with nothing in it that is too small to be shown.

    Args:
        asked: the Release.
        names: dimensions to keep, in order; all when none is given. Where the Release has a level of just these, it is that level,
            which is surer than the sum of its cells.
        levels: as `levels_of` gave them; worked out here when None.
    """
    domain = domain_of_query(asked.query, asked.agreement)
    found = levels_of(asked) if levels is None else levels
    told = {tuple(n for n, g in each.level.grains if g == FINEST): i for i, each in enumerate(found) if _pure(each.level)}
    order = tuple(name for name in asked.query.dimensions if name in names)
    at = told.get(order, 0) if names else 0
    if at:
        whole = _estimate(asked, domain, found, at)
        return whole if order == names else whole.over(*names)
    whole = _estimate(asked, domain, found, 0)
    return whole if not names or tuple(whole.codes) == names else whole.over(*names)


def _pure(level: Level) -> bool:
    """Whether every dimension is either kept as it is or summed over."""
    return all(grain in {FINEST, SUMMED} for _, grain in level.grains)


def _estimate(asked: Asked, domain: Domain, found: Sequence[LevelEstimate], at: int) -> Estimate:
    release, finest = asked.release, found[at]
    codes = domain.codes_of(finest.level)
    kept = tuple(len(of) for of in codes.values())
    value, std = (np.asarray(table, np.float64).reshape(kept) for table in (finest.values, finest.std))
    raw = level_values(release.levels[at]).astype(np.float64).reshape(kept)
    hidden = value < release.smallest_count
    block = _blocks(domain, finest.level, [each.level for each in found])
    value, std = _pooled(value, std, hidden, block, release.smallest_count)
    raw = np.where((raw < release.smallest_count) | hidden, np.nan, raw)
    return Estimate(dict(codes), value, std, raw, hidden, asked.query.first_day, asked.query.last_day)


def _blocks(domain: Domain, finest: Level, coarser: Sequence[Level]) -> npt.NDArray[np.int64]:
    """Number of each cell's coarser cell: of the coarser released level with most cells that keeps every dimension; one block without."""
    size = domain.cells_of(finest)
    whole = [level for level in coarser if all(grain != SUMMED for _, grain in level.grains) and not level.is_finest]
    if not whole or not finest.is_finest:
        return np.zeros(size, np.int64)
    level = max(whole, key=domain.cells_of)
    return domain.fine_to_level(level)


def _pooled(value: Floats, std: Floats, hidden: Bools, block: npt.NDArray[np.int64], least: int) -> tuple[Floats, Floats]:
    """Hidden cells as shares of the sum of their block's hidden cells."""
    flat, spread, small = value.reshape(-1).copy(), std.reshape(-1).copy(), hidden.reshape(-1)
    count = np.maximum(np.bincount(block[small], minlength=int(block.max()) + 1), 1)
    total = np.bincount(block[small], flat[small], len(count))
    mean = np.where(total >= least, total, 0.0) / count
    away = np.nan_to_num(spread[small]) ** 2 + (flat[small] - mean[block[small]]) ** 2
    error = np.sqrt(np.bincount(block[small], away, len(count)) / count)
    flat[small], spread[small] = mean[block[small]], error[block[small]]
    return flat.reshape(value.shape), spread.reshape(value.shape)


def by_day(name: str, found: Estimate) -> pa.Table:
    """``day``, a dimension's codes, ``value``, ``std``, ``hidden``: a period without days spread evenly over them.

    The days of a period share one error: their sum has the whole of it. A hidden cell has its share of the sum of all hidden ones: nothing
    would mean that nobody came.
    """
    dated = found.over(*(("day", name) if "day" in found.codes else (name,)))
    codes = dated.codes[name]
    value, std, hidden = dated.value, dated.std, dated.hidden
    if "day" in dated.codes:
        days = [date.fromisoformat(text) for text in dated.codes["day"]]
    else:
        days = [found.first_day + timedelta(days=i) for i in range(found.days)]
        value, std = np.tile(value / found.days, (len(days), 1)), np.tile(std / found.days**0.5, (len(days), 1))
        hidden = np.tile(hidden, (len(days), 1))
    return pa.table(
        {
            "day": pa.array(np.repeat(np.array(days, "datetime64[D]"), len(codes)), pa.date32()),
            name: pa.array(list(codes) * len(days), pa.string()),
            "value": _nullable(value),
            "std": _nullable(std),
            "hidden": pa.array(np.ascontiguousarray(hidden).reshape(-1)),
        }
    )


def in_rows(found: Estimate) -> pa.Table:
    """``first_day``, ``last_day``, every dimension's codes, ``value``, ``std``; no value where it is not shown."""
    shape = found.value.shape
    columns: dict[str, pa.Array] = {
        "first_day": pa.array([found.first_day] * found.value.size, pa.date32()),
        "last_day": pa.array([found.last_day] * found.value.size, pa.date32()),
    }
    for place, (name, codes) in zip(np.indices(shape), found.codes.items(), strict=True):
        columns[name] = pa.array(codes, pa.string()).take(pa.array(place.reshape(-1)))
    columns["value"] = _nullable(np.where(found.hidden, np.nan, found.value))
    columns["std"] = _nullable(np.where(found.hidden, np.nan, found.std))
    return pa.table(columns)


def _nullable(values: Floats) -> pa.Array:
    flat = np.ascontiguousarray(values).reshape(-1)
    return pa.array(flat, pa.float64(), mask=~np.isfinite(flat))
