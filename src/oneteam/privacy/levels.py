"""Levels of a release: which dimensions are kept, how coarsely, and what one person can change at each.

A measure's public domain is the product of its dimensions' codes, all of which the Agreement names. A *level* keeps each dimension at a
grain: ``code`` (finest), one of the dimension's groups, or ``*`` (summed over). It is written ``origin=code,destination=*``, in the order
of the dimensions, without spaces, so that the same level has one spelling in Agreements, Queries and Releases.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cached_property
from typing import Final, TypeVar

import numpy as np
from numpy.typing import NDArray

from oneteam.core.errors import UnknownValueError
from oneteam.core.model import MAX_CELLS, AgreedMeasure, Agreement, Query

Ints = NDArray[np.int64]
Number = TypeVar("Number", np.int64, np.float64)

FINEST: Final = "code"
SUMMED: Final = "*"
HOURS: Final = tuple(str(hour) for hour in range(24))
_PART: Final = re.compile(r"([a-z][a-z0-9_]{0,47})=(\*|[a-z][a-z0-9_]{0,47})")


@dataclass(frozen=True)
class Level:
    """A grain for every dimension.

    Args:
        grains: (dimension, grain) in the order of the dimensions.

    >>> level = parse_level("origin=code,destination=*")
    >>> level.dimensions, level.kept, level.is_finest, str(level)
    (('origin', 'destination'), ('origin',), False, 'origin=code,destination=*')
    """

    grains: tuple[tuple[str, str], ...]

    @property
    def dimensions(self) -> tuple[str, ...]:
        """All dimensions, in order."""
        return tuple(name for name, _ in self.grains)

    @property
    def kept(self) -> tuple[str, ...]:
        """Dimensions that are not summed over."""
        return tuple(name for name, grain in self.grains if grain != SUMMED)

    @property
    def is_finest(self) -> bool:
        """Whether every dimension is kept by its codes."""
        return all(grain == FINEST for _, grain in self.grains)

    def __str__(self) -> str:
        return ",".join(f"{name}={grain}" for name, grain in self.grains)


def parse_level(text: str) -> Level:
    """A level from its one spelling.

    Raises:
        UnknownValueError: another spelling, or a dimension that stands twice.

    >>> parse_level("zone=region").grains
    (('zone', 'region'),)
    """
    found = [_PART.fullmatch(part) for part in text.split(",")]
    grains = tuple((match[1], match[2]) for match in found if match is not None)
    if len(grains) != len(found):
        raise UnknownValueError(
            f"level {text[:100]!r} is not of the form dimension=grain,dimension=grain",
            hint="A grain is 'code', a group of the dimension, or '*'; no spaces.",
        )
    if len({name for name, _ in grains}) != len(grains):
        raise UnknownValueError(f"level {text[:100]!r} names a dimension twice")
    return Level(grains)


@dataclass(frozen=True)
class Axis:
    """One dimension of a public domain.

    Args:
        name: of the dimension.
        codes: unique, in the order of the released tables.
        groups: coarser grains, each as one code for every code of ``codes``.
    """

    name: str
    codes: tuple[str, ...]
    groups: Mapping[str, tuple[str, ...]]

    def codes_at(self, grain: str) -> tuple[str, ...]:
        """The codes at a grain; those of a group in the order in which they first appear.

        Raises:
            UnknownValueError: no such grain.

        >>> Axis("zone", ("a", "b", "c"), {"region": ("N", "S", "N")}).codes_at("region")
        ('N', 'S')
        """
        if grain == FINEST:
            return self.codes
        if grain == SUMMED:
            return (SUMMED,)
        if grain not in self.groups:
            allowed = ", ".join([FINEST, *self.groups, SUMMED])
            raise UnknownValueError(f"dimension '{self.name}' has no grain '{grain}'", hint=f"It has {allowed}.")
        return tuple(dict.fromkeys(self.groups[grain]))

    def index_at(self, grain: str) -> Ints:
        """The place at that grain of every code, shape (codes,)."""
        if grain == FINEST:
            return np.arange(len(self.codes), dtype=np.int64)
        if grain == SUMMED:
            return np.zeros(len(self.codes), np.int64)
        place = {code: i for i, code in enumerate(self.codes_at(grain))}
        return np.array([place[code] for code in self.groups[grain]], np.int64)


@dataclass(frozen=True)
class Domain:
    """The product of a query's dimensions: every cell that a release can have, known before any data is seen.

    >>> zones = ("a", "b", "c")
    >>> regions = {"region": ("N", "N", "S")}
    >>> domain = Domain((Axis("origin", zones, regions), Axis("destination", zones, regions)))
    >>> fine = np.arange(9).reshape(3, 3)
    >>> domain.coarsen(parse_level("origin=region,destination=*"), fine).tolist()
    [15, 21]
    >>> domain.largest_fibre(parse_level("origin=region,destination=*"))
    6
    """

    axes: tuple[Axis, ...]

    @cached_property
    def shape(self) -> tuple[int, ...]:
        """Codes by dimension."""
        return tuple(len(axis.codes) for axis in self.axes)

    @property
    def cells(self) -> int:
        """Cells of the finest level."""
        return math.prod(self.shape)

    def grains(self, level: Level) -> tuple[str, ...]:
        """The level's grain along each axis.

        Raises:
            UnknownValueError: the level's dimensions are not the domain's, in order, or it has an unknown grain.
        """
        names = tuple(axis.name for axis in self.axes)
        if level.dimensions != names:
            raise UnknownValueError(f"level '{level}' must name the dimensions {', '.join(names)} in this order")
        for axis, (_, grain) in zip(self.axes, level.grains, strict=True):
            axis.codes_at(grain)
        return tuple(grain for _, grain in level.grains)

    def full_shape(self, level: Level) -> tuple[int, ...]:
        """Shape of the level with a length of 1 along summed dimensions."""
        return tuple(len(axis.codes_at(grain)) for axis, grain in zip(self.axes, self.grains(level), strict=True))

    def shape_of(self, level: Level) -> tuple[int, ...]:
        """Shape of the level over its kept dimensions, as released."""
        return tuple(len(axis.codes_at(g)) for axis, g in zip(self.axes, self.grains(level), strict=True) if g != SUMMED)

    def cells_of(self, level: Level) -> int:
        """Cells of the level."""
        return math.prod(self.full_shape(level))

    def codes_of(self, level: Level) -> dict[str, tuple[str, ...]]:
        """Codes of each kept dimension."""
        return {axis.name: axis.codes_at(g) for axis, g in zip(self.axes, self.grains(level), strict=True) if g != SUMMED}

    def indices(self, level: Level) -> tuple[Ints, ...]:
        """For each axis, the place at the level of every code."""
        return tuple(axis.index_at(grain) for axis, grain in zip(self.axes, self.grains(level), strict=True))

    def fine_to_level(self, level: Level) -> Ints:
        """The level's flat cell of every finest cell, shape (cells,)."""
        shape = self.full_shape(level)
        flat = np.zeros((1,) * len(self.axes), np.int64)
        for position, (index, length) in enumerate(zip(self.indices(level), shape, strict=True)):
            along = [1] * len(self.axes)
            along[position] = len(index)
            flat = flat * length + index.reshape(along)
        return np.ascontiguousarray(np.broadcast_to(flat, self.shape)).reshape(-1)

    def coarsen(self, level: Level, fine: NDArray[Number]) -> NDArray[Number]:
        """Sum a finest table to the level; the type is kept.

        Args:
            level: a level of this domain.
            fine: shape ``shape``, or flat.

        Returns:
            shape `shape_of` (level).
        """
        table = fine.reshape(self.shape)
        for position, (index, grain) in enumerate(zip(self.indices(level), self.grains(level), strict=True)):
            if grain == FINEST:
                continue
            if grain == SUMMED:
                table = table.sum(axis=position, keepdims=True, dtype=fine.dtype)
                continue
            order = np.argsort(index, kind="stable")
            starts = np.flatnonzero(np.diff(index[order], prepend=-1))
            table = np.add.reduceat(np.take(table, order, axis=position), starts, axis=position)
        return table.reshape(self.shape_of(level))

    def spread(self, level: Level, coarse: NDArray[np.float64]) -> NDArray[np.float64]:
        """Give every finest cell the value of its cell at the level, shape ``shape``."""
        table = coarse.reshape(self.full_shape(level))
        for position, (index, grain) in enumerate(zip(self.indices(level), self.grains(level), strict=True)):
            if grain not in {FINEST, SUMMED}:
                table = np.take(table, index, axis=position)
        return np.broadcast_to(table, self.shape)

    def largest_fibre(self, level: Level) -> int:
        """Most finest cells that are summed into one cell of the level."""
        return math.prod(int(np.bincount(index).max()) for index in self.indices(level))

    def sensitivity(self, level: Level, max_keys: int, max_value: int) -> float:
        """L2 sensitivity of the level to one privacy unit; see `sensitivity`."""
        return sensitivity(level, max_keys, max_value, self.largest_fibre(level))


def sensitivity(level: Level, max_keys: int, max_value: int, largest_fibre: int | None = None) -> float:
    """L2 sensitivity of a level to adding or removing one privacy unit.

    A unit touches at most K finest cells by at most V each: sqrt(K) V. In a coarser level all K may fall into one cell: K V; where a cell
    is the sum of only m < K finest ones, at most m do, and floor(K / m) cells change by m V and one by the rest.

    Args:
        level: the level.
        max_keys: K.
        max_value: V.
        largest_fibre: m, most finest cells in one cell of the level; unknown (no less than K) when None.

    >>> level = parse_level("origin=code,destination=*")
    >>> sensitivity(level, 4, 1), sensitivity(parse_level("origin=code,destination=code"), 4, 1)
    (4.0, 2.0)
    >>> round(sensitivity(level, 4, 1, largest_fibre=3) ** 2)
    10
    """
    most = 1 if level.is_finest else min(max_keys, largest_fibre or max_keys)
    whole, rest = divmod(max_keys, most)
    return max_value * math.sqrt(whole * most * most + rest * rest)


def domain_of(agreement: Agreement, measure: AgreedMeasure, dimensions: Sequence[str], first_day: date, last_day: date) -> Domain:
    """The public domain of a query.

    Args:
        agreement: names the codes.
        measure: says which domain a dimension has.
        dimensions: kept ones, in order.
        first_day: first local day; ``day`` has the days' ISO dates as codes.
        last_day: last local day, inclusive.

    Raises:
        UnknownValueError: a dimension without domain, a period that ends before it begins, or more than `MAX_CELLS` cells.
    """
    if last_day < first_day:
        raise UnknownValueError(f"the period ends ({last_day}) before it begins ({first_day})")
    axes = []
    for name in dimensions:
        if name == "day":
            days = tuple((first_day + timedelta(i)).isoformat() for i in range((last_day - first_day).days + 1))
            axes.append(Axis(name, days, {}))
        elif name == "hour":
            axes.append(Axis(name, HOURS, {}))
        else:
            known = agreement.dimensions.get(measure.domains.get(name, name))
            if known is None:
                raise UnknownValueError(f"dimension '{name}' of measure '{measure.name}' has no domain in the Agreement")
            axes.append(Axis(name, known.codes, known.groups))
    domain = Domain(tuple(axes))
    if domain.cells > MAX_CELLS:
        raise UnknownValueError(f"{domain.cells:,} cells; one Release may have {MAX_CELLS:,}", hint="Ask for fewer days or dimensions.")
    return domain


def measure_of(agreement: Agreement, name: str) -> AgreedMeasure:
    """What the Agreement allows of a measure.

    Raises:
        UnknownValueError: it has no such measure.
    """
    for measure in agreement.measures:
        if measure.name == name:
            return measure
    raise UnknownValueError(f"the Agreement has no measure '{name}'", hint=f"It has {', '.join(m.name for m in agreement.measures)}.")


def domain_of_query(query: Query, agreement: Agreement) -> Domain:
    """The public domain of a query under its Agreement; raises as `domain_of`."""
    return domain_of(agreement, measure_of(agreement, query.measure), query.dimensions, query.first_day, query.last_day)
