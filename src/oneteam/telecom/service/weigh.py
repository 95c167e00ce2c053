"""Weights from files: residents as `measure home` wrote them, a census as CSV."""

from __future__ import annotations

from pathlib import Path
from typing import cast, get_args

import pyarrow as pa
import pyarrow.compute as pc

from oneteam.core.errors import MissingColumnError, UnknownValueError
from oneteam.store.result_files import write_table
from oneteam.telecom.population.weighting import MarginName, weights_to_census
from oneteam.telecom.service.geography import load_zones
from oneteam.telecom.service.read_result import read_result


def weigh(residents: Path, census: Path, out: Path, *, margin: str, deduplication_factor: float) -> pa.Table:
    """Weights of a subscriber by home zone, written to ``out``.

    Args:
        residents: result of ``measure home``; of several months the latest counts.
        census: a zones file with population.
        out: ``.parquet``, ``.csv`` or ``.json``.
        margin: ``zone``, ``region`` or ``country``.
        deduplication_factor: persons per subscription.

    Raises:
        UnknownValueError: another margin; a home zone that the census lacks.
        MissingColumnError: the census has no population, or the residents are not residents.
    """
    if margin not in get_args(MarginName):
        raise UnknownValueError(f"--margin {margin}: must be one of {', '.join(get_args(MarginName))}")
    homes, _ = read_result(residents)
    if "zone" not in homes.column_names or "subscribers" not in homes.column_names:
        raise MissingColumnError(
            f"{residents}: needs the columns zone and subscribers", hint="Make it with `oneteam telecom measure home`."
        )
    if "month" in homes.column_names and homes.num_rows:
        homes = homes.filter(pc.equal(homes["month"], pc.max(homes["month"])))
    zones = load_zones(census)
    if zones["population"].null_count == zones.num_rows:
        raise MissingColumnError(f"{census}: no column 'population'")
    known = zones.set_column(zones.column_names.index("population"), "population", pc.fill_null(zones["population"], 0.0))
    table = weights_to_census(homes, known, cast("MarginName", margin), deduplication_factor)
    write_table(out, table, {"weights_of": residents.name, "census": census.name, "margin": margin})
    return table
