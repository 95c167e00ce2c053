"""From subscriptions to persons: census weights, applied to released estimates only.

A weight is how many residents one subscription stands for: the census population of a zone over the estimated residents among the
subscribers. Both are public or released, so weighting is post-processing: it costs no privacy, and no weight is ever made from rows.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from oneteam.core.errors import MissingColumnError, UnknownValueError

Floats = NDArray[np.float64]


def census_weights(residents: pa.Table, population: Mapping[str, float], by: str = "zone") -> pa.Table:
    """Persons per subscription, by zone.

    Args:
        residents: estimated subscribers who live in each zone, as `oneteam.privacy.consistency.estimate` gives them: ``by``, ``value``,
            ``std``.
        population: residents by the census, by code.
        by: the column of codes.

    Returns:
        ``zone``, ``weight`` and ``weight_std`` (delta method); null where the estimate is hidden or zero.

    Raises:
        MissingColumnError: a column is absent.
        UnknownValueError: a zone without census population, or a population that is negative.

    >>> residents = pa.table({"zone": ["a", "b"], "value": [50.0, None], "std": [5.0, None]})
    >>> census_weights(residents, {"a": 100.0, "b": 80.0}).to_pylist()
    [{'zone': 'a', 'weight': 2.0, 'weight_std': 0.2}, {'zone': 'b', 'weight': None, 'weight_std': None}]
    """
    _need(residents, (by, "value", "std"))
    codes = residents[by].to_pylist()
    missing = [code for code in codes if not population.get(code, -1.0) >= 0]
    if missing:
        raise UnknownValueError(f"no census population for {', '.join(map(str, missing[:5]))}", hint="Every zone needs one, 0 or more.")
    people = np.array([population[code] for code in codes], np.float64)
    value, std = _floats(residents, "value"), _floats(residents, "std")
    known = value > 0
    with np.errstate(divide="ignore", invalid="ignore"):
        weight = people / value
        weight_std = weight * std / value
    return pa.table({"zone": residents[by], "weight": pa.array(weight, mask=~known), "weight_std": pa.array(weight_std, mask=~known)})


def weighted(table: pa.Table, weights: pa.Table, by: str = "zone") -> pa.Table:
    """Add ``persons`` and ``persons_std`` to released estimates.

    Args:
        table: with ``by``, ``value``, ``std``.
        weights: as `census_weights` gives them; ``weight_std`` may be 0 or absent for weights that are exact.
        by: the column of ``table`` whose zone's weight counts: where people live, as ``home``, or the ``origin`` of trips.

    Returns:
        the table with both columns; null where the value is hidden or the zone has no weight. Errors of estimate and weight are taken as
        independent: var = w^2 s^2 + v^2 t^2 + s^2 t^2.

    Raises:
        MissingColumnError: a column is absent.

    >>> weights = pa.table({"zone": ["a"], "weight": [2.0]})
    >>> weighted(pa.table({"zone": ["a", "b"], "value": [10.0, 5.0], "std": [1.0, 1.0]}), weights).to_pydict()["persons"]
    [20.0, None]
    """
    _need(table, (by, "value", "std"))
    _need(weights, ("zone", "weight"))
    own = _floats(weights, "weight")
    own_std = _floats(weights, "weight_std") if "weight_std" in weights.column_names else np.zeros(len(own))
    place = {code: i for i, code in enumerate(weights["zone"].to_pylist())}
    at = np.array([place.get(code, len(own)) for code in table[by].to_pylist()], np.int64)
    w, t = np.append(own, np.nan)[at], np.append(own_std, np.nan)[at]
    v, s = _floats(table, "value"), _floats(table, "std")
    persons, persons_std = w * v, np.sqrt(w**2 * s**2 + v**2 * t**2 + s**2 * t**2)
    table = table.append_column("persons", pa.array(persons, mask=np.isnan(persons)))
    return table.append_column("persons_std", pa.array(persons_std, mask=np.isnan(persons_std)))


def _floats(table: pa.Table, name: str) -> Floats:
    """A column as floats, NaN for null."""
    return np.array([np.nan if x is None else x for x in table[name].to_pylist()], np.float64)


def _need(table: pa.Table, names: tuple[str, ...]) -> None:
    missing = [name for name in names if name not in table.column_names]
    if missing:
        raise MissingColumnError(f"no column {', '.join(missing)}; the table has {', '.join(table.column_names)}")
