"""Mobility over time, with its uncertainty: trips between zones, movement by place, arrivals from abroad, presence."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from oneteam.app.study.folder import StudyFolder
from oneteam.app.study.places import Zones, crosswalk_of
from oneteam.app.study.releases import Answers, Asked
from oneteam.app.study.settings import WEEK_D, StudyFile, Table
from oneteam.app.study.tables import Estimate, by_day, estimate_of, in_rows, levels_of
from oneteam.core.errors import UnknownValueError
from oneteam.core.progress import Progress
from oneteam.epidemic.engine.commuting import split_units
from oneteam.epidemic.service.trips import is_dated, published, read_dated_trips, read_trips
from oneteam.store.result_files import write_table
from oneteam.store.rows import some
from oneteam.store.tables import read_parquet, write_parquet

Floats = npt.NDArray[np.float64]

OD, OD_CSV, MOVEMENT, PRESENCE = "mobility/od.parquet", "mobility/od.csv", "mobility/movement.csv", "mobility/presence.parquet"
ARRIVALS, DAYS_ABROAD = "arrivals/arrivals.parquet", "arrivals/days_abroad.parquet"
LEFT_OUT: Final = 0.01
"""Of a zone's trips, at most this share is left out of the table that people and scenarios read as CSV: most pairs are tiny."""


@dataclass(frozen=True)
class Trips:
    """Trips per day between zones in periods of time, and how sure they are.

    Args:
        zones: codes.
        firsts: first day of each period, ascending.
        days: how many days each has.
        mean: trips per day from row to column, (P, Z, Z).
        std: of each, (P, Z, Z).
    """

    zones: tuple[str, ...]
    firsts: tuple[date, ...]
    days: tuple[int, ...]
    mean: Floats
    std: Floats

    @property
    def uncertain(self) -> bool:
        """Whether there is anything to draw."""
        return bool((self.std > 0).any())


def build_mobility(study: StudyFile, answers: Answers, zones: Zones, folder: StudyFolder, progress: Progress) -> dict[str, Any]:
    """Write what the Releases tell of mobility; what was written, and what to note.

    Args:
        study: how.
        answers: the Releases.
        zones: of the country.
        folder: of the study.
        progress: told of each measure.
    """
    notes: list[str] = []
    written: list[str] = []
    trips = answers.of("od")
    if trips:
        written += _write_trips(study, trips, zones, folder, notes, progress)
    arrivals = answers.of("arrivals")
    if arrivals:
        tables = [by_day("country", estimate_of(one)) for one in _distinct(arrivals, "arrivals", notes)]
        write_parquet(folder.path(ARRIVALS), pa.concat_tables(tables))
        written.append(ARRIVALS)
    abroad = answers.of("days_abroad")
    if abroad:
        tables = [in_rows(_countries(estimate_of(one))) for one in _distinct(abroad, "days_abroad", notes)]
        write_parquet(folder.path(DAYS_ABROAD), pa.concat_tables(tables))
        written.append(DAYS_ABROAD)
    presence = answers.of("presence")
    if presence:
        tables = [in_rows(estimate_of(one)) for one in presence]
        write_parquet(folder.path(PRESENCE), pa.concat_tables(tables, promote_options="default"))
        written.append(PRESENCE)
    progress("mobility", 1, 1)
    return {"written": written, "notes": notes}


def _countries(found: Estimate) -> Estimate:
    return found if tuple(found.codes) == ("country",) else found.over("country")


def _distinct(asked: Sequence[Asked], what: str, notes: list[str]) -> list[Asked]:
    """Releases whose periods do not overlap: of two that tell of the same day, the first."""
    kept: list[Asked] = []
    for one in asked:
        if kept and one.query.first_day <= kept[-1].query.last_day:
            notes.append(f"{what}: {one.query.first_day} to {one.query.last_day} was asked for twice; the first Release is used.")
        else:
            kept.append(one)
    return kept


def _write_trips(
    study: StudyFile, asked: Sequence[Asked], zones: Zones, folder: StudyFolder, notes: list[str], progress: Progress
) -> list[str]:
    scale = study.mobility.trips_per_counted
    rows, movement = [], []
    asked = _distinct(asked, "od", notes)
    for number, one in enumerate(asked):
        progress("consistent estimates", number, len(asked))
        levels = levels_of(one)
        found = estimate_of(one, "origin", "destination", levels=levels)
        _check(found, zones, one)
        rows.append(_od_rows(found, scale))
        if found.days == WEEK_D:
            movement.append(_movement_rows(estimate_of(one, "origin", levels=levels), zones, scale))
        else:
            notes.append(f"od: {found.first_day} to {found.last_day} is no whole week, and is left out of movement by week.")
    table = pa.concat_tables(rows)
    write_parquet(folder.path(OD), table)
    _write_csv(folder, trips_of(table, zones.codes))
    written = [OD, OD_CSV]
    if movement:
        write_table(folder.path(MOVEMENT), pa.concat_tables(movement), {})
        written.append(MOVEMENT)
    return written


def _check(found: Estimate, zones: Zones, one: Asked) -> None:
    unknown = sorted(set(found.codes["origin"]) - set(zones.codes))
    if unknown:
        raise UnknownValueError(
            f"Release {one.id[:12]}: its zones {some(unknown)} are not in {zones.where}", hint="Use the zones that the Agreement names."
        )


def _od_rows(found: Estimate, scale: float) -> pa.Table:
    origin, destination = found.codes["origin"], found.codes["destination"]
    per_day = scale / found.days
    raw = (found.raw * per_day).reshape(-1)
    count = len(origin) * len(destination)
    return pa.table(
        {
            "first_day": pa.array([found.first_day] * count, pa.date32()),
            "last_day": pa.array([found.last_day] * count, pa.date32()),
            "origin": pa.array(origin, pa.string()).take(pa.array(np.repeat(np.arange(len(origin)), len(destination)))),
            "destination": pa.array(list(destination) * len(origin), pa.string()),
            "trips_per_day": pa.array((found.value * per_day).reshape(-1)),
            "std": pa.array(np.nan_to_num(found.std * per_day).reshape(-1)),
            "raw": pa.array(raw, pa.float64(), mask=~np.isfinite(raw)),
            "hidden": pa.array(found.hidden.reshape(-1)),
        }
    )


def _movement_rows(found: Estimate, zones: Zones, scale: float) -> pa.Table:
    """Trips of a week by the place where they begin."""
    place = np.array([zones.place_of[code] for code in found.codes["origin"]])
    names, at = np.unique(place, return_inverse=True)
    trips = np.bincount(at, found.value.reshape(-1), len(names)) * scale
    std = np.sqrt(np.bincount(at, np.nan_to_num(found.std.reshape(-1)) ** 2, len(names))) * scale
    return pa.table(
        {
            "week_start": pa.array([found.first_day] * len(names), pa.date32()),
            "location": pa.array(names.tolist(), pa.string()),
            "trips": pa.array(trips),
            "std": pa.array(std),
        }
    )


def trips_of(table: pa.Table, zones: Sequence[str]) -> Trips:
    """``mobility/od.parquet`` as arrays over these zones."""
    firsts = sorted(set(table["first_day"].to_pylist()))
    place = pa.array(list(zones))
    at = [pc.index_in(table[name], place).to_numpy() for name in ("origin", "destination")]
    period = pc.index_in(table["first_day"], pa.array(firsts, table["first_day"].type)).to_numpy()
    mean = np.zeros((len(firsts), len(zones), len(zones)))
    std = np.zeros_like(mean)
    days = np.ones(len(firsts), np.int64)
    mean[period, at[0], at[1]] = table["trips_per_day"].to_numpy()
    std[period, at[0], at[1]] = np.nan_to_num(table["std"].to_numpy())
    if firsts[0] is not None:
        for first, last in {(a, b) for a, b in zip(table["first_day"].to_pylist(), table["last_day"].to_pylist(), strict=True)}:
            days[firsts.index(first)] = (last - first).days + 1
    return Trips(tuple(zones), tuple(firsts), tuple(days.tolist()), mean, std)


def read_trips_of(folder: StudyFolder, zones: Sequence[str]) -> Trips:
    """``mobility/od.parquet`` of a study."""
    return trips_of(read_parquet(folder.path(OD)), zones)


def _write_csv(folder: StudyFolder, trips: Trips) -> None:
    """Trips by date as `oneteam epidemic` reads them, without the smallest flows, whose trips go to the zone's others."""
    tables = []
    for first, matrix in zip(trips.firsts, trips.mean, strict=True):
        kept = without_smallest(matrix)
        origin, destination = np.nonzero(kept)
        codes = np.array(trips.zones)
        tables.append(
            pa.table(
                {
                    "date": pa.array([first] * len(origin), pa.date32()),
                    "origin": pa.array(codes[origin]),
                    "destination": pa.array(codes[destination]),
                    "trips_per_day": pa.array(np.round(kept[origin, destination], 3)),
                }
            )
        )
    write_table(folder.path(OD_CSV), pa.concat_tables(tables), {})


def without_smallest(matrix: Floats) -> Floats:
    """Trips without the smallest flows of each origin, together at most `LEFT_OUT` of its trips; the others keep the sum.

    >>> without_smallest(np.array([[0.0, 99.5, 0.5], [1.0, 0.0, 1.0], [0.0, 0.0, 0.0]])).round(6).tolist()
    [[0.0, 100.0, 0.0], [1.0, 0.0, 1.0], [0.0, 0.0, 0.0]]
    """
    order = np.argsort(matrix, axis=1, kind="stable")
    running = np.cumsum(np.take_along_axis(matrix, order, axis=1), axis=1)
    total = matrix.sum(axis=1, keepdims=True)
    drop = np.zeros(matrix.shape, np.bool_)
    np.put_along_axis(drop, order, running <= LEFT_OUT * total, axis=1)
    kept = np.where(drop, 0.0, matrix)
    left = kept.sum(axis=1, keepdims=True)
    return np.asarray(kept * np.divide(total, left, out=np.ones_like(left), where=left > 0))


def public_trips(study: StudyFile, zones: Zones, folder: StudyFolder) -> dict[str, Any]:
    """A public table of trips between zones as ``mobility/od.parquet``, for maps: it has no stated uncertainty.

    The scenario reads the table itself.
    """
    table = study.table("od")
    assert table is not None
    path, notes = folder.path("world", Path(table.file).name), list[str]()
    firsts: list[date | None]
    lasts: list[date | None]
    if is_dated(path):
        found = published(read_dated_trips([path], notes), study.known_on, notes)
        units, matrices, firsts = list(found.units), list(found.trips), [*found.firsts]
        lasts = [*(first - timedelta(days=1) for first in found.firsts[1:]), found.firsts[-1] + timedelta(days=found.step_d - 1)]
    else:
        units, matrix = read_trips(path)
        matrices, firsts, lasts = [matrix], [None], [None]
    between = _between(study, table, zones, units, folder)
    tables = [_public_rows(between(matrix), zones, first, last) for matrix, first, last in zip(matrices, firsts, lasts, strict=True)]
    write_parquet(folder.path(OD), pa.concat_tables(tables))
    return {"written": [OD], "notes": notes}


def _between(study: StudyFile, table: Table, zones: Zones, units: list[str], folder: StudyFolder) -> Callable[[Floats], Floats]:
    """What brings trips between the table's units to trips between zones."""
    if table.crosswalk is not None:
        unit_of_zone = crosswalk_of(folder.path("world", Path(table.crosswalk).name), units, zones.codes)
        within = study.places.within_trips_per_resident
        return lambda trips: split_units(trips, unit_of_zone, np.array(zones.population), within_trips_per_resident=within)
    place = {code: i for i, code in enumerate(units)}
    index = np.array([place.get(code, len(units)) for code in zones.codes])
    return lambda trips: np.asarray(np.pad(trips, ((0, 1), (0, 1)))[np.ix_(index, index)])


def _public_rows(matrix: Floats, zones: Zones, first: date | None, last: date | None) -> pa.Table:
    origin, destination = np.nonzero(matrix > 0)
    codes = np.array(zones.codes)
    return pa.table(
        {
            "first_day": pa.array([first] * len(origin), pa.date32()),
            "last_day": pa.array([last] * len(origin), pa.date32()),
            "origin": pa.array(codes[origin]),
            "destination": pa.array(codes[destination]),
            "trips_per_day": pa.array(matrix[origin, destination]),
            "std": pa.array(np.zeros(len(origin))),
        }
    )
