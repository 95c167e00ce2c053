"""From a Release's noised levels to one table: consistent over all levels, not negative, with an uncertainty for every cell.

A Release keeps the noised counts as they left the gate. What a reader wants is derived here, by anyone, as often as wanted, from the
Release and the Agreement's public domains alone; no number depends on a row but through the noised counts.

1. *Expected counts*: the table without structure of its own that has the coarser levels' sums (iterative proportional fitting).
2. *Shrinkage*: each finest count is weighed against what is expected of it (`oneteam.privacy.shrinkage`).
3. *Consistency*: generalised least squares. The cells, with the variances of step 2 and, as far as they rest on expectation, an error in
   common with the others of their coarse cell, are conditioned on every coarser level with its own noise (Hay, Rastogi, Miklau and
   Suciu, "Boosting the accuracy of differentially private histograms through consistency", VLDB 2010, for trees; here any levels). Cells
   that would become negative are set to zero and the rest conditioned again. Every coarser level is then the sum of its cells.

Steps 1 to 3 are done twice, the second time expecting what the first found. All settings were fixed on synthetic countries.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from oneteam.core.errors import UnknownValueError
from oneteam.core.model import Agreement, Release
from oneteam.privacy.combine import level_values
from oneteam.privacy.levels import FINEST, SUMMED, Axis, Domain, Level, domain_of_query, parse_level
from oneteam.privacy.shrinkage import Posterior, fit_alone, fit_mirrored, grid_for

Floats = NDArray[np.float64]

ROUNDS: Final = 2
FITTING_ROUNDS: Final = 15
CLIPPING_ROUNDS: Final = 4
BLOCK_ERROR: Final = 0.1
"""Standard deviation of the error that the cells of one coarse cell have in common, as a share of what is expected of them."""
CG_STEPS: Final = 60
CG_TOLERANCE: Final = 1e-10


@dataclass(frozen=True)
class LevelEstimate:
    """One level of the consistent table.

    Args:
        level: which.
        values: estimated counts, not negative, shape of the level.
        std: standard deviation of each, given the Release.
    """

    level: Level
    values: Floats
    std: Floats


@dataclass(frozen=True)
class Observation:
    """One released level over the base table.

    Args:
        level: in the base domain's grains.
        values: noised counts, shape of the level.
        sigma: of their noise.
    """

    level: Level
    values: Floats
    sigma: float


def estimate(release: Release, agreement: Agreement, level: str | None = None) -> pa.Table:
    """The table for readers: the kept dimensions' codes, ``value`` and ``std``.

    Args:
        release: as the gate or `oneteam.privacy.combine` made it.
        agreement: the one that it rests on.
        level: which of its levels; the first, which is the finest, when None.

    Returns:
        A row for each cell, row-major. ``value`` and ``std`` are null where the estimate is below the Release's ``smallest_count``;
        ``std`` is null for a plain table.

    Raises:
        UnknownValueError: the Release does not have that level.
        WrongTypeError: a level's values do not fit its cells.
    """
    wanted = release.levels[0].level if level is None else level
    found = {str(each.level): each for each in estimates(release, agreement)}
    if wanted not in found:
        raise UnknownValueError(f"the Release has no level '{wanted}'", hint=f"It has {'; '.join(found)}.")
    codes = domain_of_query(release.query, agreement).codes_of(found[wanted].level)
    values, std = found[wanted].values.reshape(-1), found[wanted].std.reshape(-1)
    shown = values >= release.smallest_count
    columns = {}
    repeat, tile = values.size, 1
    for name, of in codes.items():
        repeat //= len(of)
        index = np.tile(np.repeat(np.arange(len(of), dtype=np.int32), repeat), tile)
        columns[name] = pa.array(of, pa.string()).take(pa.array(index))
        tile *= len(of)
    columns["value"] = pa.array(values, pa.float64(), mask=~shown)
    columns["std"] = pa.array(std, pa.float64(), mask=~shown | ~np.isfinite(std))
    return pa.table(columns)


def estimates(release: Release, agreement: Agreement) -> tuple[LevelEstimate, ...]:
    """Every released level of one consistent table, before small counts are hidden."""
    domain = domain_of_query(release.query, agreement)
    levels = [parse_level(each.level) for each in release.levels]
    values = [level_values(each).reshape(domain.shape_of(level)) for each, level in zip(release.levels, levels, strict=True)]
    if release.kind == "threshold":
        return tuple(
            LevelEstimate(level, table.astype(np.float64), np.full(table.shape, np.nan))
            for level, table in zip(levels, values, strict=True)
        )
    base, translated = base_domain(domain, levels)
    observed = [
        Observation(level, table.astype(np.float64), each.sigma)
        for level, table, each in zip(translated, values, release.levels, strict=True)
    ]
    table, variance = consistent(base, observed)
    found = []
    for level, seen in zip(levels, observed, strict=True):
        # Each cell's own noise and what the cells within it leave open, as two independent accounts of the same sum.
        inner = base.coarsen(seen.level, variance)
        if not seen.level.is_finest:
            inner = inner + (BLOCK_ERROR * base.coarsen(seen.level, table)) ** 2
        std = np.sqrt(inner) if seen.level.is_finest else np.sqrt(inner * seen.sigma**2 / (inner + seen.sigma**2))
        found.append(LevelEstimate(level, base.coarsen(seen.level, table), std))
    return tuple(found)


def base_domain(domain: Domain, levels: Sequence[Level]) -> tuple[Domain, list[Level]]:
    """The coarsest table of which all levels are sums, and the levels in its grains.

    >>> axis = Axis("zone", ("a", "b", "c"), {"region": ("N", "N", "S")})
    >>> base, (level, _) = base_domain(Domain((axis,)), [parse_level("zone=region"), parse_level("zone=*")])
    >>> base.shape, str(level)
    ((2,), 'zone=code')
    """
    axes, translated = [], [list(level.grains) for level in levels]
    for position, axis in enumerate(domain.axes):
        grains = {level.grains[position][1] for level in levels} - {SUMMED}
        if FINEST in grains or len(grains) > 1:
            axes.append(axis)
            continue
        grain = grains.pop() if grains else SUMMED
        axes.append(Axis(axis.name, axis.codes_at(grain), {}))
        for row in translated:
            row[position] = (axis.name, SUMMED if row[position][1] == SUMMED and grain != SUMMED else FINEST)
    return Domain(tuple(axes)), [Level(tuple(row)) for row in translated]


def consistent(base: Domain, observed: Sequence[Observation]) -> tuple[Floats, Floats]:
    """The consistent table over the base domain and what variance each cell keeps before it is conditioned on coarser levels.

    Args:
        base: as `base_domain` gives it.
        observed: every released level.
    """
    finest = _merged([each for each in observed if each.level.is_finest])
    coarser = [each for each in observed if not each.level.is_finest]
    possible, mirror = np.ones(base.shape, np.bool_), mirrored_axes(base)
    table = _first_guess(base, coarser, finest, possible)
    if mirror is not None and finest is not None:
        possible = _without_empty_diagonal(finest, table, mirror)
        table = _first_guess(base, coarser, finest, possible)
    variance = np.zeros(base.shape)
    weights: Floats | None = None
    for _ in range(ROUNDS):
        expected = _expected(base, coarser, table, possible)
        if finest is None:
            # Nothing speaks of single cells: they are as uncertain as they are large.
            cells = Posterior(expected, expected**2, np.zeros_like(expected))
        else:
            cells, weights = _shrunk(finest, expected, possible, mirror, weights)
        variance = cells.variance
        table = _conditioned(base, coarser, finest, cells, mirror)
    if finest is not None and not possible.all():
        # All that is known of a diagonal that seems empty is that its sum is within the noise.
        variance = np.where(possible, variance, finest.sigma**2 / int((~possible).sum()))
    return table, variance


def mirrored_axes(base: Domain) -> tuple[int, int] | None:
    """Two axes that have the same codes, as origin and destination have."""
    for first, axis in enumerate(base.axes):
        for second in range(first + 1, len(base.axes)):
            if len(axis.codes) > 1 and axis.codes == base.axes[second].codes:
                return first, second
    return None


def _merged(finest: Sequence[Observation]) -> Observation | None:
    """The finest level; of several readings of the same table their mean by precision."""
    if not finest:
        return None
    precision = np.array([each.sigma**-2.0 for each in finest])
    values = sum(each.values * p for each, p in zip(finest, precision, strict=True)) / precision.sum()
    return Observation(finest[0].level, np.asarray(values, np.float64), float(precision.sum() ** -0.5))


def _without_empty_diagonal(finest: Observation, guess: Floats, mirror: tuple[int, int]) -> NDArray[np.bool_]:
    """Where counts can be: not on a diagonal whose sum is no more than noise although much is expected of it.

    Trips have such a diagonal: nobody travels from a zone to itself.
    """
    possible = np.ones(finest.values.shape, np.bool_)
    seen, expected = (float(np.diagonal(table, axis1=mirror[0], axis2=mirror[1]).sum()) for table in (finest.values, guess))
    place = np.indices(possible.shape, sparse=True)
    diagonal: NDArray[np.bool_] = np.broadcast_to(place[mirror[0]] == place[mirror[1]], possible.shape)
    noise = finest.sigma * math.sqrt(int(diagonal.sum()))
    if seen < 3.0 * noise and expected - seen > 3.0 * noise:
        possible[diagonal] = False
    return possible


def _first_guess(base: Domain, coarser: Sequence[Observation], finest: Observation | None, possible: NDArray[np.bool_]) -> Floats:
    """A table with roughly the coarser levels' sums; noised counts near zero are taken for something small, not for nothing."""
    totals = [float(each.values.sum()) for each in (*coarser, *([finest] if finest and not coarser else []))]
    flat = np.asarray(possible * (max(float(np.mean(totals)), 1.0) / max(int(possible.sum()), 1)), np.float64)
    targets = [(each.level, np.maximum(each.values, 0.3 * each.sigma)) for each in coarser]
    return _fitted(base, flat, targets)


def _expected(base: Domain, coarser: Sequence[Observation], table: Floats, possible: NDArray[np.bool_]) -> Floats:
    if not coarser:
        return np.asarray(possible * (max(float(table.sum()), 1e-6) / max(int(possible.sum()), 1)), np.float64)
    targets = [(each.level, np.maximum(base.coarsen(each.level, table), 1e-9)) for each in coarser]
    return _fitted(base, possible.astype(np.float64), targets)


def _fitted(base: Domain, seed: Floats, targets: Sequence[tuple[Level, Floats]]) -> Floats:
    """Iterative proportional fitting for a fixed number of rounds: the targets are noised and need not agree."""
    table = seed
    for _ in range(FITTING_ROUNDS):
        for level, wanted in targets:
            sums = base.coarsen(level, table)
            table = table * base.spread(level, np.divide(wanted, sums, out=np.zeros_like(sums), where=sums > 0))
    return table


def _shrunk(
    finest: Observation, expected: Floats, possible: NDArray[np.bool_], mirror: tuple[int, int] | None, weights: Floats | None
) -> tuple[Posterior, Floats]:
    """The posterior of every cell, shape of the table, and the mixture's weights."""
    shape, sigma = expected.shape, finest.sigma
    mean, variance, covariance = np.zeros(shape), np.zeros(shape), np.zeros(shape)
    usable = possible & (expected > 0)
    grid = grid_for(finest.values[usable], expected[usable], sigma)
    if mirror is None:
        cells, weights = fit_alone(finest.values[usable], expected[usable], sigma, grid, weights)
        mean[usable], variance[usable] = cells.mean, cells.variance
        return Posterior(mean, variance, covariance), weights
    place = np.indices(shape, sparse=True)
    upper = usable & np.swapaxes(usable, *mirror) & (place[mirror[0]] < place[mirror[1]])
    both = [(np.swapaxes(array, *mirror)[upper]) for array in (finest.values, expected)]
    one, other, weights = fit_mirrored((finest.values[upper], both[0]), (expected[upper], both[1]), sigma, grid, weights)
    for array, here, there in ((mean, one.mean, other.mean), (variance, one.variance, other.variance), (covariance, one.covariance, None)):
        array[upper] = here
        np.swapaxes(array, *mirror)[upper] = here if there is None else there
    rest = usable & ~(upper | np.swapaxes(upper, *mirror))
    if rest.any():
        alone, _ = fit_alone(finest.values[rest], expected[rest], sigma, grid)
        mean[rest], variance[rest] = alone.mean, alone.variance
    return Posterior(mean, variance, covariance), weights


def _conditioned(
    base: Domain, coarser: Sequence[Observation], finest: Observation | None, cells: Posterior, mirror: tuple[int, int] | None
) -> Floats:
    """The cells given every coarser level, none of them negative."""
    # How far a cell rests on what was expected of it rather than on its own count: errors of the expectation are common to many cells.
    rests = 1.0 if finest is None else np.clip(1.0 - cells.variance / finest.sigma**2, 0.0, 1.0)
    common = BLOCK_ERROR * cells.mean * rests
    mean, free = cells.mean, np.ones(cells.mean.shape, np.bool_)
    table = mean
    for _ in range(CLIPPING_ROUNDS if coarser else 0):
        variance, covariance = cells.variance * free, cells.covariance * free
        if mirror is not None:
            covariance = covariance * np.swapaxes(free, *mirror)
        table = _least_squares(base, coarser, mean, variance, covariance, common * free, mirror)
        negative = table < 0
        if not negative.any():
            break
        mean, free = np.where(negative, 0.0, mean), free & ~negative
    return np.maximum(table, 0.0)


def _least_squares(
    base: Domain,
    coarser: Sequence[Observation],
    mean: Floats,
    variance: Floats,
    covariance: Floats,
    common: Floats,
    mirror: tuple[int, int] | None,
) -> Floats:
    """Condition by mean + V A' (A V A' + S)^-1 (y - A mean), with conjugate gradients.

    V has the variances, the covariances of mirrored cells, and for each coarse cell the product of its cells' common errors.
    """

    def spread(parts: Sequence[Floats]) -> Floats:
        summed = np.zeros(base.shape)
        for each, part in zip(coarser, parts, strict=True):
            summed += base.spread(each.level, part)
        moved = variance * summed
        if mirror is not None:
            moved += covariance * np.swapaxes(summed, *mirror)
        for each in coarser:
            moved += common * base.spread(each.level, base.coarsen(each.level, common * summed))
        return moved

    def apply(parts: Sequence[Floats]) -> list[Floats]:
        cells = spread(parts)
        return [base.coarsen(e.level, cells) + e.sigma**2 * part for e, part in zip(coarser, parts, strict=True)]

    def dot(a: Sequence[Floats], b: Sequence[Floats]) -> float:
        return float(sum((x * y).sum() for x, y in zip(a, b, strict=True)))

    scale = [base.coarsen(e.level, variance) + e.sigma**2 + base.coarsen(e.level, common) ** 2 for e in coarser]
    left = [e.values - base.coarsen(e.level, mean) for e in coarser]
    found = [np.zeros_like(part) for part in left]
    step = [part / by for part, by in zip(left, scale, strict=True)]
    size = first = dot(left, step)
    for _ in range(CG_STEPS):
        if size <= CG_TOLERANCE * first:
            break
        along = apply(step)
        length = size / dot(step, along)
        found = [x + length * p for x, p in zip(found, step, strict=True)]
        left = [r - length * q for r, q in zip(left, along, strict=True)]
        turned = [part / by for part, by in zip(left, scale, strict=True)]
        new = dot(left, turned)
        step = [t + new / size * p for t, p in zip(turned, step, strict=True)]
        size = new
    return mean + spread(found)
