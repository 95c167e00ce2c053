"""Raking: scale a table until its sums along given axes are the known ones.

Source: W. E. Deming, F. F. Stephan: On a least squares adjustment of a sampled frequency table when the expected marginal totals are
known, Annals of Mathematical Statistics 11 (1940) 427-444, the procedure now called iterative proportional fitting; convergence where a
solution exists: I. Csiszár, Annals of Probability 3 (1975) 146-158.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from oneteam.core.errors import UnknownValueError

Floats = NDArray[np.float64]
Margin = tuple[Sequence[int], ArrayLike]
"""The axes that stay, and the totals: an array whose axes are these, in this order. No axes: one number, the grand total."""


@dataclass(frozen=True)
class RakingResult:
    """A raked table and how well it fits.

    Args:
        table: the seed, scaled; zeros of the seed stay zero.
        iterations: rounds over all margins.
        max_error: largest difference of a sum from its total, as a share of the grand total.
        converged: whether ``max_error`` is within the tolerance.
        errors: ``max_error`` after each round.
    """

    table: Floats
    iterations: int
    max_error: float
    converged: bool
    errors: tuple[float, ...]


def rake(seed: ArrayLike, margins: Sequence[Margin], tol: float = 1e-9, max_iter: int = 1_000) -> RakingResult:
    """Iterative proportional fitting in any number of dimensions.

    A solution keeps the seed's odds ratios and has the margins' sums. Zeros of the seed are structural and stay. They can make a solution
    impossible although no single total contradicts them; then the rounds do not settle and ``converged`` is False.

    Args:
        seed: counts of the sample, not negative, any shape.
        margins: known totals, see `Margin`; each pair must agree on what both know.
        tol: largest error of a sum, as a share of the grand total.
        max_iter: most rounds.

    Returns:
        the raked table and a report of the convergence.

    Raises:
        UnknownValueError: negative or non-finite numbers, totals of a wrong shape, margins that contradict each other, or a positive
            total where the seed has only zeros.

    >>> raked = rake([[10, 20], [30, 40]], [((0,), [50, 50]), ((1,), [40, 60])])
    >>> raked.converged, raked.table.round(2).tolist()
    (True, [[17.58, 32.42], [22.42, 27.58]])
    """
    table = np.array(seed, np.float64)
    if not np.isfinite(table).all() or (table < 0).any():
        raise UnknownValueError("raking: the seed must hold finite numbers of at least 0")
    fixed = [_checked(table, axes, totals, number) for number, (axes, totals) in enumerate(margins)]
    _check_agreement(fixed)
    errors: list[float] = []
    while len(errors) < max_iter and (not errors or errors[-1] > tol):
        for axes, totals in fixed:
            sums = _sums(table, axes)
            # Where a sum is zero so is its total (checked), or the cells have been scaled to zero by another margin: leave them.
            factor = np.divide(totals, sums, out=np.zeros_like(totals), where=sums > 0)
            table *= _spread(factor, axes, table.ndim)
        errors.append(_error(table, fixed))
    return RakingResult(table, len(errors), errors[-1], errors[-1] <= tol, tuple(errors))


def _checked(table: Floats, axes: Sequence[int], totals: ArrayLike, number: int) -> tuple[tuple[int, ...], Floats]:
    """A margin with its axes in ascending order, after everything about it that can be wrong alone was looked at."""
    named = f"raking: margin {number} (axes {tuple(axes)})"
    known = np.array(totals, np.float64)
    if len(set(axes)) != len(axes) or not all(0 <= axis < table.ndim for axis in axes):
        raise UnknownValueError(f"{named}: axes must be distinct and from 0 to {table.ndim - 1}")
    shape = tuple(table.shape[axis] for axis in axes)
    if known.shape != shape:
        raise UnknownValueError(f"{named}: totals have shape {known.shape}, must be {shape}")
    if not np.isfinite(known).all() or (known < 0).any():
        raise UnknownValueError(f"{named}: totals must be finite and at least 0")
    order = np.argsort(np.array(axes, np.int64))
    ascending, known = tuple(sorted(axes)), np.transpose(known, order) if known.ndim else known
    impossible = np.argwhere((known > 0) & (_sums(table, ascending) == 0))
    if len(impossible):
        at = ", ".join(str(tuple(map(int, place))) for place in impossible[:5])
        raise UnknownValueError(
            f"{named}: {len(impossible)} totals are positive where the seed holds only zeros, at {at}",
            hint="Merge such a class with a neighbour, or give its empty cells a small seed.",
        )
    return ascending, known


def _check_agreement(fixed: list[tuple[tuple[int, ...], Floats]]) -> None:
    for (number, (axes, totals)), (other, (other_axes, other_totals)) in combinations(enumerate(fixed), 2):
        shared = sorted(set(axes) & set(other_axes))
        here, there = (_onto(known, of, shared) for known, of in ((totals, axes), (other_totals, other_axes)))
        if not np.allclose(here, there, rtol=1e-6, atol=1e-9 * max(1.0, float(totals.sum()))):
            worst = float(np.abs(here - there).max())
            raise UnknownValueError(
                f"raking: margins {number} (axes {axes}) and {other} (axes {other_axes}) contradict each other by {worst:g} "
                f"{'along axis ' + str(shared) if shared else 'in their grand totals'}",
                hint="Scale one of them to the other's sums.",
            )


def _onto(totals: Floats, axes: tuple[int, ...], shared: list[int]) -> Floats:
    return np.asarray(totals.sum(axis=tuple(k for k, axis in enumerate(axes) if axis not in shared)))


def _sums(table: Floats, axes: tuple[int, ...]) -> Floats:
    return np.asarray(table.sum(axis=tuple(axis for axis in range(table.ndim) if axis not in axes)))


def _spread(factor: Floats, axes: tuple[int, ...], dimensions: int) -> Floats:
    return np.expand_dims(factor, tuple(axis for axis in range(dimensions) if axis not in axes))


def _error(table: Floats, fixed: list[tuple[tuple[int, ...], Floats]]) -> float:
    worst = max((float(np.abs(_sums(table, axes) - totals).max(initial=0.0)) for axes, totals in fixed), default=0.0)
    grand = max((float(totals.sum()) for _, totals in fixed), default=0.0)
    return worst / grand if grand else worst
