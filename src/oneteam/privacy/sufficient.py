"""Joint learning by sums: models that depend on their data through sums alone.

Principal components, ridge regression, histograms and quantiles need counts, sums, cross-products or cells, and nothing else of the rows
(*sufficient statistics*). Each member computes its own as whole numbers over a public domain; so they are contributions like any other:
bounded, noised, added by the secure sum and released by the gate. Before noise the fit equals the one on all members' rows together.

Whole numbers come from fixed point: a feature with a public range is cut to it, and laid on a grid of ``2 steps + 1`` points from -1 to 1.
Products of grid points are whole numbers of ``1 / steps^2``, so sums lose nothing further.

Sources: Dwork, Talwar, Thakurta and Zhang 2014, "Analyze Gauss" (STOC), for components from a noised second moment; Wang 2018, "Revisiting
differentially private linear regression" (UAI), for regression from noised sums; Charikar, Chen and Farach-Colton 2002, "Finding frequent
items in data streams" (ICALP), for the sketch.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations_with_replacement
from typing import Final

import numpy as np
import numpy.typing as npt

from oneteam.core.errors import MissingColumnError, NothingFoundError, UnknownValueError, WrongTypeError
from oneteam.core.model import AgreedMeasure, Dimension
from oneteam.privacy.contributions import Contributions
from oneteam.stats.hashing import siphash24_pair

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

STATISTIC: Final = "statistic"
"""The one dimension of every measure here."""
MAX_STEPS: Final = 290
"""Its square is still a value that an Agreement may bound by."""


@dataclass(frozen=True)
class Feature:
    """A number with a range that is public and fixed beforehand, never taken from the data.

    Args:
        name: lower-case letters, digits and underscores, at most 31.
        low: smaller values are cut to it.
        high: larger values are cut to it.
    """

    name: str
    low: float
    high: float

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[a-z][a-z0-9_]{0,30}", self.name):
            raise UnknownValueError(f"a feature cannot be called {self.name[:40]!r}", hint="Lower-case letters, digits and underscores.")
        if not (math.isfinite(self.low) and math.isfinite(self.high) and self.low < self.high):
            raise UnknownValueError(f"feature '{self.name}' needs a finite range with low < high, not {self.low:g} to {self.high:g}")

    @property
    def middle(self) -> float:
        """Where the grid is 0."""
        return (self.low + self.high) / 2.0

    @property
    def half(self) -> float:
        """From the middle to either end."""
        return (self.high - self.low) / 2.0

    def on_grid(self, values: npt.ArrayLike, steps: int) -> Ints:
        """The grid point of each value, from -steps to steps.

        >>> Feature("age", 0, 100).on_grid([0, 50, 75, 130], 100).tolist()
        [-100, 0, 50, 100]
        """
        scaled = (np.clip(np.asarray(values, np.float64), self.low, self.high) - self.middle) / self.half
        return np.rint(scaled * steps).astype(np.int64)


@dataclass(frozen=True)
class MomentLayout:
    """Count, sums and cross-products of some features: all that principal components and ridge regression need.

    The cells are, in order: ``1``, each feature, each pair ``a*b`` with a not after b. Every unit changes all of them by at most V, so
    K is their number. Bring one row for each privacy unit: several rows of one unit are added and then cut to V.

    Args:
        features: with public ranges.
        steps: grid points on either side of a range's middle.

    >>> layout = MomentLayout((Feature("x", 0, 1), Feature("y", 0, 1)))
    >>> layout.codes, layout.max_keys, layout.max_value
    (('1', 'x', 'y', 'x*x', 'x*y', 'y*y'), 6, 62500)
    """

    features: tuple[Feature, ...]
    steps: int = 250

    def __post_init__(self) -> None:
        names = [feature.name for feature in self.features]
        if not names or len(set(names)) != len(names):
            raise UnknownValueError("a layout needs features with different names")
        if not 1 <= self.steps <= MAX_STEPS:
            raise UnknownValueError(f"steps must lie between 1 and {MAX_STEPS}; they are {self.steps}")

    @property
    def _pairs(self) -> list[tuple[int, int]]:
        return list(combinations_with_replacement(range(len(self.features)), 2))

    @property
    def codes(self) -> tuple[str, ...]:
        """The cells."""
        names = [feature.name for feature in self.features]
        return ("1", *names, *(f"{names[a]}*{names[b]}" for a, b in self._pairs))

    @property
    def max_keys(self) -> int:
        """K."""
        return len(self.codes)

    @property
    def max_value(self) -> int:
        """V."""
        return self.steps**2

    def contributions(self, subscriber: npt.ArrayLike, columns: Mapping[str, npt.ArrayLike]) -> Contributions:
        """What rows add to the cells; a row that lacks a number (NaN) adds nothing.

        Args:
            subscriber: the privacy unit of each row, shape (rows,).
            columns: a column for each feature, shape (rows,).

        Raises:
            MissingColumnError: a feature has no column.
            WrongTypeError: columns of unequal length.
        """
        who = np.asarray(subscriber, np.int64)
        raw = [_column(columns, feature.name, len(who)) for feature in self.features]
        keep = np.flatnonzero(np.all([np.isfinite(column) for column in raw], axis=0))
        keep = keep[np.argsort(who[keep], kind="stable")]
        grid = [feature.on_grid(column[keep], self.steps) for feature, column in zip(self.features, raw, strict=True)]
        cells = [np.full(len(keep), self.max_value, np.int64)]
        cells += [self.steps * points for points in grid]
        cells += [grid[a] * grid[b] for a, b in self._pairs]
        return _rows(who[keep], np.stack(cells, axis=1))

    def measure(self, name: str, rho_per_release: float) -> AgreedMeasure:
        """What an Agreement says of it."""
        return _measure(name, self.max_keys, self.max_value, rho_per_release)

    def dimension(self) -> Dimension:
        """The public domain, under the name ``statistic``."""
        return Dimension(codes=self.codes)

    def moments(self, sums: npt.ArrayLike) -> Moments:
        """Count, means and covariances from the released sums.

        Args:
            sums: in the order of ``codes``; with or without noise.

        Raises:
            NothingFoundError: the noised count is below 1.
            WrongTypeError: another number of cells.
        """
        cells = np.asarray(sums, np.float64).reshape(-1)
        if len(cells) != self.max_keys:
            raise WrongTypeError(f"{len(cells)} sums where the layout has {self.max_keys}")
        scale, p = float(self.max_value), len(self.features)
        count = cells[0] / scale
        if count < 1.0:
            raise NothingFoundError(f"a noised count of {count:.3g} rows: there is nothing to fit")
        mean = cells[1 : 1 + p] / scale / count
        second = np.zeros((p, p))
        for (a, b), cell in zip(self._pairs, cells[1 + p :], strict=True):
            second[a, b] = second[b, a] = cell / scale / count
        half = np.array([feature.half for feature in self.features])
        middle = np.array([feature.middle for feature in self.features])
        covariance = _positive(second - np.outer(mean, mean)) * np.outer(half, half)
        return Moments(tuple(feature.name for feature in self.features), count, middle + half * mean, covariance)


@dataclass(frozen=True)
class Moments:
    """What released sums say of the features, in their own units.

    Args:
        names: of the features.
        count: rows; noised, so not whole.
        mean: shape (features,).
        covariance: shape (features, features); divided by the count, without negative eigenvalues.
    """

    names: tuple[str, ...]
    count: float
    mean: Floats
    covariance: Floats


@dataclass(frozen=True)
class Components:
    """Principal components.

    Args:
        names: of the features.
        mean: shape (features,).
        variance: along each component, descending, shape (features,).
        directions: one component in each row, unit length, its largest entry positive.
    """

    names: tuple[str, ...]
    mean: Floats
    variance: Floats
    directions: Floats

    @property
    def explained(self) -> Floats:
        """Each component's share of all variance."""
        total = float(self.variance.sum())
        return self.variance / total if total > 0 else np.zeros_like(self.variance)


@dataclass(frozen=True)
class Regression:
    """A linear model of one feature by the others.

    Args:
        target: what is predicted.
        names: of the predictors.
        intercept: of the model.
        coefficients: shape (predictors,).
        residual_variance: mean squared error on the data that it was fitted to.
    """

    target: str
    names: tuple[str, ...]
    intercept: float
    coefficients: Floats
    residual_variance: float

    def predict(self, columns: Mapping[str, npt.ArrayLike]) -> Floats:
        """The model's value for each row."""
        rows = np.stack([np.asarray(columns[name], np.float64) for name in self.names], axis=-1)
        return np.asarray(self.intercept + rows @ self.coefficients, np.float64)


def principal_components(moments: Moments, *, standardise: bool = False) -> Components:
    """Principal components of the features' covariance, or of their correlation.

    Args:
        moments: of the features.
        standardise: divide each feature by its standard deviation first.

    >>> moments = Moments(("x", "y"), 10.0, np.zeros(2), np.array([[4.0, 0.0], [0.0, 1.0]]))
    >>> principal_components(moments).variance.tolist(), principal_components(moments).directions.tolist()
    ([4.0, 1.0], [[1.0, 0.0], [0.0, 1.0]])
    """
    matrix = moments.covariance
    if standardise:
        deviation = np.sqrt(np.diag(matrix))
        if not (deviation > 0).all():
            flat = ", ".join(name for name, d in zip(moments.names, deviation, strict=True) if d <= 0)
            raise NothingFoundError(f"no variance to standardise by: {flat}")
        matrix = matrix / np.outer(deviation, deviation)
    values, vectors = np.linalg.eigh(matrix)
    order = np.argsort(-values, kind="stable")
    directions = vectors[:, order].T
    # A component's sign means nothing; fixing it makes two fits comparable.
    largest = np.take_along_axis(directions, np.abs(directions).argmax(axis=1)[:, None], axis=1)
    return Components(moments.names, moments.mean, np.maximum(values[order], 0.0), directions * np.where(largest < 0, -1.0, 1.0))


def ridge(moments: Moments, target: str, penalty: float = 0.0) -> Regression:
    """Ridge regression of one feature on all others: least squares plus ``penalty`` times the squared length of the coefficients.

    Args:
        moments: of all features, the target among them.
        target: the feature that is predicted.
        penalty: at least 0, in the features' own units; the intercept is not penalised.

    Raises:
        UnknownValueError: no such feature, or a negative penalty.

    >>> exact = Moments(("x", "y"), 4.0, np.array([1.0, 5.0]), np.array([[2.0, 4.0], [4.0, 8.0]]))
    >>> fit = ridge(exact, "y")
    >>> fit.intercept.__round__(9), fit.coefficients.round(9).tolist()
    (3.0, [2.0])
    """
    if target not in moments.names:
        raise UnknownValueError(f"there is no feature '{target}'", hint=f"There are {', '.join(moments.names)}.")
    if not penalty >= 0:
        raise UnknownValueError(f"a penalty is at least 0; it is {penalty:g}")
    at = moments.names.index(target)
    others = [i for i in range(len(moments.names)) if i != at]
    within = moments.covariance[np.ix_(others, others)]
    across = moments.covariance[others, at]
    penalised = moments.count * within + penalty * np.eye(len(others))
    coefficients = np.linalg.lstsq(penalised, moments.count * across, rcond=None)[0]
    residual = moments.covariance[at, at] - 2.0 * coefficients @ across + coefficients @ within @ coefficients
    return Regression(
        target,
        tuple(moments.names[i] for i in others),
        float(moments.mean[at] - moments.mean[others] @ coefficients),
        np.asarray(coefficients, np.float64),
        max(0.0, float(residual)),
    )


@dataclass(frozen=True)
class HistogramLayout:
    """Counts in bins: each unit adds 1 to the bin of its value. K and V are 1.

    Args:
        name: of the number.
        edges: ascending; bin i holds ``edges[i] <= value < edges[i + 1]``, the last its upper edge too; what lies outside goes to
            the first or the last bin.

    >>> HistogramLayout("age", (0, 18, 65, 120)).codes
    ('0..18', '18..65', '65..120')
    """

    name: str
    edges: tuple[float, ...]

    def __post_init__(self) -> None:
        steps = np.diff(np.asarray(self.edges, np.float64))
        if len(self.edges) < 2 or not np.isfinite(self.edges).all() or not (steps > 0).all():
            raise UnknownValueError(f"the histogram of '{self.name}' needs at least two finite, ascending edges")

    @property
    def codes(self) -> tuple[str, ...]:
        """The bins."""
        return tuple(f"{a:.12g}..{b:.12g}" for a, b in zip(self.edges, self.edges[1:], strict=False))

    def contributions(self, subscriber: npt.ArrayLike, values: npt.ArrayLike) -> Contributions:
        """What rows add to the bins; a value that is not a number adds nothing."""
        who, raw = np.asarray(subscriber, np.int64), np.asarray(values, np.float64)
        if len(who) != len(raw):
            raise WrongTypeError(f"{len(raw)} values for {len(who)} subscribers")
        keep = np.flatnonzero(~np.isnan(raw))
        keep = keep[np.argsort(who[keep], kind="stable")]
        bins = np.clip(np.searchsorted(self.edges, raw[keep], side="right") - 1, 0, len(self.edges) - 2)
        return Contributions(who[keep], {STATISTIC: bins.astype(np.int32)}, np.ones(len(keep), np.int64))

    def measure(self, name: str, rho_per_release: float) -> AgreedMeasure:
        """What an Agreement says of it."""
        return _measure(name, 1, 1, rho_per_release)

    def dimension(self) -> Dimension:
        """The public domain, under the name ``statistic``."""
        return Dimension(codes=self.codes)

    def quantiles(self, counts: npt.ArrayLike, probabilities: Sequence[float]) -> Floats:
        """Quantiles: the lower edge of the bin in which the distribution first reaches each probability.

        Before noise, and with one bin for each value that occurs, they are the pooled data's (`numpy.quantile` with ``inverted_cdf``).
        Noised counts below 0 are taken as 0.

        Raises:
            NothingFoundError: no count is above 0.
            UnknownValueError: a probability outside 0 to 1.

        >>> HistogramLayout("n", (0, 1, 2, 3)).quantiles([5, 4, 1], [0.5, 0.9, 1.0]).tolist()
        [0.0, 1.0, 2.0]
        """
        wanted = np.asarray(probabilities, np.float64)
        if not ((wanted >= 0) & (wanted <= 1)).all():
            raise UnknownValueError("probabilities lie between 0 and 1")
        counted = np.maximum(np.asarray(counts, np.float64), 0.0)
        reached = np.cumsum(counted)
        if len(counted) != len(self.edges) - 1 or reached[-1] <= 0:
            raise NothingFoundError(f"{len(counted)} counts that sum to {reached[-1]:g}, for {len(self.edges) - 1} bins: no quantiles")
        # A probability that is a share of whole rows must not miss its bin by rounding.
        needed = np.maximum(wanted * reached[-1] * (1 - 1e-12), np.nextafter(0, 1))
        return np.asarray(np.asarray(self.edges, np.float64)[np.searchsorted(reached, needed)], np.float64)


@dataclass(frozen=True)
class SketchLayout:
    """A count sketch: approximate counts of items from a domain too large to release, as 64-bit item numbers.

    Every item has one cell and one sign in each row, by a public keyed hash; its count is the median over rows of sign times cell. Sketches
    of several members add up cell by cell. The error is about the root of the sum of squared counts over ``width``, plus the noise.

    Args:
        width: cells in a row.
        depth: rows, odd.
        max_items: items that one unit may touch; K is ``depth`` times as many.
        seed: public, the same at all members.
    """

    width: int
    depth: int = 5
    max_items: int = 1
    seed: int = 1

    def __post_init__(self) -> None:
        if self.width < 1 or self.depth < 1 or self.depth % 2 == 0 or not 1 <= self.depth * self.max_items <= 1_000:
            raise UnknownValueError("a sketch has a width of at least 1, an odd depth, and at most 1,000 cells for each unit")

    @property
    def codes(self) -> tuple[str, ...]:
        """The cells, row by row."""
        return tuple(f"{row}.{cell}" for row in range(self.depth) for cell in range(self.width))

    def _places(self, items: npt.ArrayLike) -> tuple[Ints, Ints]:
        """Flat cells and signs, each of shape (items, depth)."""
        numbers = np.asarray(items, np.int64).astype(np.uint64)
        keys = [(np.uint64(self.seed), np.uint64(row)) for row in range(self.depth)]
        hashed = np.array([[int(siphash24_pair(item, np.uint64(0), *key)) & (2**64 - 1) for key in keys] for item in numbers], np.uint64)
        hashed = hashed.reshape(len(numbers), self.depth)
        cell = (hashed >> np.uint64(1)) % np.uint64(self.width)
        sign = 1 - 2 * (hashed & np.uint64(1)).astype(np.int64)
        return cell.astype(np.int64) + self.width * np.arange(self.depth), sign

    def contributions(self, subscriber: npt.ArrayLike, items: npt.ArrayLike) -> Contributions:
        """What rows (subscriber, item) add to the sketch; an item counts once for each subscriber."""
        pairs = np.unique(np.stack([np.asarray(subscriber, np.int64), np.asarray(items, np.int64)], axis=1), axis=0)
        unique, back = np.unique(pairs[:, 1], return_inverse=True)
        cell, sign = self._places(unique)
        who = np.repeat(pairs[:, 0], self.depth)
        return Contributions(who, {STATISTIC: cell[back].reshape(-1).astype(np.int32)}, sign[back].reshape(-1))

    def measure(self, name: str, rho_per_release: float) -> AgreedMeasure:
        """What an Agreement says of it."""
        return _measure(name, self.depth * self.max_items, 1, rho_per_release)

    def dimension(self) -> Dimension:
        """The public domain, under the name ``statistic``."""
        return Dimension(codes=self.codes)

    def counts(self, sketch: npt.ArrayLike, items: npt.ArrayLike) -> Floats:
        """Estimated counts of some items.

        >>> layout = SketchLayout(width=64)
        >>> rows = layout.contributions([1, 2, 3], [7, 7, 8])
        >>> cells = np.bincount(rows.keys["statistic"], rows.value, minlength=len(layout.codes))
        >>> layout.counts(cells, [7, 8]).tolist()
        [2.0, 1.0]
        """
        cells = np.asarray(sketch, np.float64).reshape(-1)
        if len(cells) != self.depth * self.width:
            raise WrongTypeError(f"{len(cells)} cells where the sketch has {self.depth * self.width}")
        cell, sign = self._places(items)
        return np.asarray(np.median(cells[cell] * sign, axis=1), np.float64)


def _column(columns: Mapping[str, npt.ArrayLike], name: str, rows: int) -> Floats:
    if name not in columns:
        raise MissingColumnError(f"there is no column for feature '{name}'")
    column = np.asarray(columns[name], np.float64)
    if column.shape != (rows,):
        raise WrongTypeError(f"feature '{name}' has shape {column.shape}; there are {rows} subscribers")
    return column


def _rows(who: Ints, cells: Ints) -> Contributions:
    """One row for each subscriber and cell."""
    count, width = cells.shape
    key = np.tile(np.arange(width, dtype=np.int32), count)
    return Contributions(np.repeat(who, width), {STATISTIC: key}, np.ascontiguousarray(cells).reshape(-1))


def _measure(name: str, max_keys: int, max_value: int, rho_per_release: float) -> AgreedMeasure:
    return AgreedMeasure(
        name=name,
        dimensions=(STATISTIC,),
        levels=(f"{STATISTIC}=code",),
        max_keys=max_keys,
        max_value=max_value,
        rho_per_release=rho_per_release,
    )


def _positive(matrix: Floats) -> Floats:
    """The nearest matrix without negative eigenvalues; what noise made negative is no variance."""
    values, vectors = np.linalg.eigh(matrix)
    if values[0] >= -1e-12 * max(values[-1], 1e-300):
        return matrix
    return np.asarray((vectors * np.maximum(values, 0.0)) @ vectors.T, np.float64)
