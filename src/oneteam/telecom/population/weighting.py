"""From subscribers to persons: weights that make a carrier's residents add up to the census.

The *deduplication factor* is the number of persons per subscription, as in the multi-MNO pipeline: below 1 where people carry a second
SIM, above 1 where several share one. ``subscribers * deduplication_factor`` are the persons observed, and their share in the population is
the *penetration*. Weights are found by raking (`oneteam.stats.raking`) the persons observed to the population of each zone, each region,
or the country: the finer the margin, the smaller the bias from uneven market shares and the larger the variance of thin zones.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from oneteam.core.errors import DuplicateCodeError, MissingColumnError, NothingFoundError, UnknownValueError, WrongTypeError
from oneteam.stats.raking import rake

MarginName = Literal["zone", "region", "country"]
By = Literal["home", "zone", "origin"]

_MARGINS: Final = ("zone", "region", "country")


def weights_to_census(
    residents: pa.Table, census: pa.Table, margin: MarginName = "zone", deduplication_factor: float | Mapping[str, float] = 1.0
) -> pa.Table:
    """Weights of a subscriber by home zone.

    Args:
        residents: ``zone`` (official code) and ``subscribers`` with home there; a zone may be absent, and stand once at most.
        census: ``code``, ``population``, and ``region`` when the margin is the region.
        margin: where the persons shall add up to the population.
        deduplication_factor: persons per subscription; one number, or one for each zone code.

    Returns:
        one row for each zone of the census, in its order: ``zone``, ``subscribers``, ``weight`` (persons that one subscriber stands for,
        null in a zone without subscribers), ``persons`` (= weight * subscribers), ``penetration`` (persons observed / population, null
        without population). With the margin ``zone``, zones without subscribers have no persons: take a coarser margin if there are many.

    Raises:
        MissingColumnError, DuplicateCodeError: a table is not as described.
        UnknownValueError: a zone that the census lacks, a negative count, a factor that is not positive or not given for a zone.
        NothingFoundError: no subscriber at all.

    >>> census = pa.table({"code": ["a", "b"], "region": ["1", "1"], "population": [300, 100]})
    >>> residents = pa.table({"zone": ["a", "b"], "subscribers": [60, 40]})
    >>> weights_to_census(residents, census, "zone", 0.9).select(["weight", "penetration"]).to_pylist()
    [{'weight': 5.0, 'penetration': 0.18}, {'weight': 2.5, 'penetration': 0.36}]
    >>> weights_to_census(residents, census, "region", {"a": 0.9, "b": 0.9})["weight"].to_pylist()
    [4.0, 4.0]
    """
    if margin not in _MARGINS:
        raise UnknownValueError(f"margin {margin!r} is not one of {', '.join(_MARGINS)}")
    codes = _codes(census, "census", "code")
    _need(census, "census", "population", *(["region"] if margin == "region" else []))
    population = _counts(census, "census", "population", codes)
    subscribers = _by_zone(residents, codes)
    if not subscribers.any():
        raise NothingFoundError("weighting: no zone has a subscriber", hint="Take the measure `home` over a whole month.")
    observed = subscribers * _factors(deduplication_factor, codes, subscribers)
    group = _groups(census, margin, codes)
    persons = _raked(observed, population, group)
    weight = np.divide(persons, subscribers, out=np.zeros_like(persons), where=subscribers > 0)
    penetration = np.divide(observed, population, out=np.zeros_like(persons), where=population > 0)
    return pa.table(
        {
            "zone": pa.array(codes, pa.string()),
            "subscribers": pa.array(subscribers.astype(np.int64)),
            "weight": pa.array(weight, mask=subscribers == 0),
            "persons": pa.array(persons),
            "penetration": pa.array(penetration, mask=population == 0),
        }
    )


def _raked(observed: NDArray[np.float64], population: NDArray[np.float64], group: NDArray[np.int64]) -> NDArray[np.float64]:
    """Persons by zone: the observed, raked to the population of each group that has any observed."""
    groups = int(group.max()) + 1
    if groups == len(observed):
        return rake(observed, [((0,), np.where(observed > 0, population, 0.0))]).table
    seed = np.zeros((groups, len(observed)))
    seed[group, np.arange(len(observed))] = observed
    totals = np.bincount(group, population, groups)
    seen = np.bincount(group, observed, groups) > 0
    return np.asarray(rake(seed, [((0,), np.where(seen, totals, 0.0))]).table.sum(0))


def _groups(census: pa.Table, margin: MarginName, codes: list[str]) -> NDArray[np.int64]:
    if margin == "zone":
        return np.arange(len(codes))
    if margin == "country":
        return np.zeros(len(codes), np.int64)
    regions = census["region"].to_pylist()
    empty = [code for code, region in zip(codes, regions, strict=True) if region in {None, ""}]
    if empty:
        raise UnknownValueError(f"census: zones without region: {', '.join(empty[:5])}", hint="Take the margin `zone` or `country`.")
    return np.unique(np.array([str(region) for region in regions]), return_inverse=True)[1].astype(np.int64)


def _need(table: pa.Table, name: str, *columns: str) -> None:
    absent = [column for column in columns if column not in table.column_names]
    if absent:
        raise MissingColumnError(f"{name}: no column {', '.join(absent)}; its columns are: {', '.join(table.column_names)}")


def _codes(table: pa.Table, name: str, column: str) -> list[str]:
    _need(table, name, column)
    if not (pa.types.is_string(table[column].type) or pa.types.is_large_string(table[column].type)):
        raise WrongTypeError(
            f"{name}: column {column!r} is {table[column].type}, must be text: the official zone code",
            hint="A zone's index becomes its code through the table `zones`.",
        )
    codes: list[str] = table[column].to_pylist()
    seen: set[str] = set()
    for row, code in enumerate(codes):
        if code is None:
            raise UnknownValueError(f"{name}: row {row} has no {column}")
        if code in seen:
            raise DuplicateCodeError(f"{name}: {column} {code!r} stands twice, again in row {row}")
        seen.add(code)
    return codes


def _counts(table: pa.Table, name: str, column: str, codes: list[str]) -> NDArray[np.float64]:
    values = np.array(table[column].cast(pa.float64()).fill_null(np.nan).to_numpy(), np.float64)
    bad = np.flatnonzero(~(np.isfinite(values) & (values >= 0)))
    if len(bad):
        raise UnknownValueError(f"{name}: {column} of zone {codes[bad[0]]!r} is {values[bad[0]]}, must be a number of at least 0")
    return values


def _by_zone(residents: pa.Table, codes: list[str]) -> NDArray[np.float64]:
    zones = _codes(residents, "residents", "zone")
    _need(residents, "residents", "subscribers")
    row = {code: number for number, code in enumerate(codes)}
    strangers = [zone for zone in zones if zone not in row]
    if strangers:
        raise UnknownValueError(
            f"residents: {len(strangers)} zones are not in the census: {', '.join(strangers[:5])}",
            hint="Compare the editions of the codes.",
        )
    subscribers = np.zeros(len(codes))
    subscribers[[row[zone] for zone in zones]] = _counts(residents, "residents", "subscribers", zones)
    return subscribers


def _factors(factor: float | Mapping[str, float], codes: list[str], subscribers: NDArray[np.float64]) -> NDArray[np.float64]:
    if isinstance(factor, Mapping):
        missing = [code for code, count in zip(codes, subscribers, strict=True) if count and code not in factor]
        if missing:
            raise UnknownValueError(f"deduplication_factor: none given for zones {', '.join(missing[:5])}")
        factors = np.array([factor.get(code, 1.0) for code in codes], np.float64)
    else:
        factors = np.full(len(codes), float(factor))
    if not (np.isfinite(factors) & (factors > 0)).all():
        raise UnknownValueError("deduplication_factor: must be a positive number of persons per subscription")
    return factors


def apply_weights(table: pa.Table, weights: pa.Table, by: By = "home") -> pa.Table:
    """Add ``persons`` to the result of a measure; its integer columns stay as they are.

    Args:
        table: result with ``value`` and the column ``by`` (official code of the home zone; the origin of an OD table is the second best).
        weights: from `weights_to_census`.
        by: which column names the zone whose weight counts.

    Returns:
        the table with ``persons`` = value * weight, null where the zone is unknown or has no weight.

    Raises:
        MissingColumnError, WrongTypeError: the column ``by`` or ``value`` is not there, or not text.

    >>> weights = pa.table({"zone": ["a", "b"], "weight": [5.0, None]})
    >>> apply_weights(pa.table({"home": ["a", "b", "a"], "value": [3, 2, 1]}), weights)["persons"].to_pylist()
    [15.0, None, 5.0]
    """
    _need(table, "table", by, "value")
    if not (pa.types.is_string(table[by].type) or pa.types.is_large_string(table[by].type)):
        raise WrongTypeError(
            f"table: column {by!r} is {table[by].type}, must be text: the official zone code",
            hint="A zone's index becomes its code through the table `zones`.",
        )
    weight = pc.take(weights["weight"], pc.index_in(table[by], weights["zone"].combine_chunks()))
    persons = pc.multiply(table["value"].cast(pa.float64()), weight)
    if "persons" in table.column_names:
        table = table.drop_columns(["persons"])
    return table.append_column("persons", persons)
