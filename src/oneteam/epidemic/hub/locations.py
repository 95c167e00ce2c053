"""Places of a hub: codes, names and population."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from oneteam.core.errors import DuplicateCodeError, UnknownValueError
from oneteam.epidemic.hub.columns import as_floats, as_text

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Locations:
    """Places by code.

    Args:
        codes: unique, as in the target data.
        names: for people.
        population: persons, NaN where unknown, shape (places,).

    >>> places = Locations(("11", "21"), ("Seoul", "Busan"), np.array([9.4e6, 3.3e6]))
    >>> places.population_of("21")
    3300000.0
    """

    codes: tuple[str, ...]
    names: tuple[str, ...]
    population: Floats

    @cached_property
    def index(self) -> Mapping[str, int]:
        """Position by code."""
        return {code: i for i, code in enumerate(self.codes)}

    def population_of(self, code: str) -> float:
        """Persons in a place; NaN where the file does not say.

        Raises:
            UnknownValueError: no such place.
        """
        self.need([code])
        return float(self.population[self.index[code]])

    def need(self, codes: list[str] | tuple[str, ...], where: str = "target data") -> None:
        """Insist that every code is known.

        Raises:
            UnknownValueError: naming those that are not.
        """
        unknown = [code for code in codes if code not in self.index]
        if unknown:
            shown = ", ".join(unknown[:5]) + (", ..." if len(unknown) > 5 else "")
            raise UnknownValueError(
                f"{where}: {len(unknown)} of {len(codes)} locations are not in the locations file: {shown}",
                hint="Add them to the locations file, or leave their rows out.",
            )


def parse_locations(table: pa.Table, where: str) -> Locations:
    """Locations from a table with ``location`` and, where known, ``location_name`` and ``population``.

    Raises:
        MissingColumnError, WrongTypeError: as for its columns.
        DuplicateCodeError: a code stands twice.
        UnknownValueError: a population that is not positive.

    >>> parse_locations(pa.table({"location": ["01"], "population": ["500"]}), "locations.csv").population.tolist()
    [500.0]
    """
    codes = as_text(table, ["location", "code"], where).to_pylist()
    twice = sorted({code for code in codes if codes.count(code) > 1})
    if twice:
        raise DuplicateCodeError(f"{where}: location {twice[0]!r} stands twice")
    named = next((n for n in ("location_name", "name", "abbreviation") if n in table.column_names), None)
    names = as_text(table, [named], where).to_pylist() if named else codes
    population = as_floats(table, ["population"], where) if "population" in table.column_names else np.full(len(codes), np.nan)
    bad = np.flatnonzero(population <= 0)
    if len(bad):
        raise UnknownValueError(
            f"{where}, data row {bad[0] + 1}: population of {codes[bad[0]]!r} is {population[bad[0]]:g}, must be positive",
            hint="Leave it empty where unknown.",
        )
    return Locations(tuple(codes), tuple(names), population)


def locations_table(places: Locations) -> pa.Table:
    """The columns of a locations file: ``location``, ``location_name``, ``population`` (empty where unknown)."""
    population = pa.array(places.population, pa.float64(), mask=np.isnan(places.population))
    return pa.table({"location": list(places.codes), "location_name": list(places.names), "population": population})
