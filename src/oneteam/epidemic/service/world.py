"""Read a world: zones, ages, contacts, trips, shapes. What has to be assumed or repaired is told."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from oneteam.core.errors import (
    FileUnreadableError,
    MissingColumnError,
    NothingFoundError,
    UnknownValueError,
    WrongTypeError,
)
from oneteam.epidemic.engine.commuting import MOST_AWAY, commuting_by_period, commuting_of, split_units
from oneteam.epidemic.engine.movement import Movement
from oneteam.epidemic.engine.plan import Commuting, World
from oneteam.epidemic.engine.scenario import WorldFiles
from oneteam.epidemic.models.bands import EVERYBODY, Ages
from oneteam.epidemic.service.movement import read_movement
from oneteam.epidemic.service.trips import DatedTrips, is_dated, published, read_dated_trips, read_trips
from oneteam.store.rows import Rows, read_rows, read_text, some

Floats = npt.NDArray[np.float64]

SETTINGS: Final = ("home", "school", "work", "community")
ALIKE: Final = {"home": 3.0, "work": 4.0, "community": 4.0}
"""Contacts a day where no matrices are given: assumed. Only their proportions matter: transmission follows the reproduction number."""
TRAVEL_FROM: Final = (0, 15, 65)
TRAVEL: Final = (0.3, 1.2, 0.7)
"""Commuting by age relative to the mean resident: assumed."""

_CONTACT_FILE: Final = re.compile(r"contacts_([a-z]+)_\d+ages\.csv")


@dataclass(frozen=True)
class Loaded:
    """A world and what there is to say about it.

    Args:
        world: the world.
        names: of the zones.
        regions: code of the region of each zone.
        notes: assumptions and repairs, as sentences.
        movement: how movement changes from week to week; None where it is not given.
        trip_days: first days of the periods of the trips, and how many days a period has; None where the trips hold for all time.
    """

    world: World
    names: tuple[str, ...]
    regions: tuple[str, ...]
    notes: tuple[str, ...]
    movement: Movement | None = None
    trip_days: tuple[tuple[date, ...], int] | None = None


def load_world(files: WorldFiles, folder: Path) -> Loaded:
    """Read a world.

    Args:
        files: which files.
        folder: what their paths are relative to.

    Raises:
        InputError: a file cannot be read, lacks a column, or holds an impossible value; file, row and field are named.
    """
    notes: list[str] = []
    zones = read_rows(folder / files.zones)
    codes = zones.unique("code", "kostat_2018_code", "zone", "location")
    zones.need("population")
    people = np.array([row.number("population", 0.0) or 0.0 for row in zones.rows])
    if people.sum() <= 0:
        raise UnknownValueError(f"{zones.path}: nobody lives in any zone; at least one population must be above 0")
    named = [
        next((t for c in ("name", "name_en", "name_eng", "sigungu_name") if (t := row.text(c))), code)
        for row, code in zip(zones.rows, codes, strict=True)
    ]
    empty = [f"{code} ({name})" for code, name, n in zip(codes, named, people, strict=True) if n <= 0]
    if empty:
        notes.append(f"{len(empty)} zone(s) without population: {some(empty)}. They stay in the results with nobody in them.")
    contacts, ages = _contacts(folder / files.contacts, notes) if files.contacts else _alike(notes)
    population = _by_age(zones, people, ages, folder / files.ages if files.ages else None, notes)
    contacts = {name: _reciprocal(matrix, population.sum(axis=0)) for name, matrix in contacts.items()}
    commuting, trip_days = _commuting(files, folder, codes, people, notes)
    movement = None
    if files.mobility is not None:
        if not commuting.share.size:
            raise UnknownValueError(f"{folder / files.mobility}: there are no trips for it to scale", hint="Give trips too (od = ...).")
        reference = files.mobility_reference
        period = (reference.first, reference.last) if reference else None
        movement = read_movement(folder / files.mobility, codes, period, files.mobility_known_on, notes)
    relative = (
        np.array([TRAVEL[np.searchsorted(TRAVEL_FROM, low, side="right") - 1] for low in ages.from_age]) if len(ages) > 1 else np.ones(1)
    )
    world = World(tuple(codes), ages, population, contacts, commuting, relative)
    regions = tuple(row.text("region") or row.text("sido") or code[:2] for row, code in zip(zones.rows, codes, strict=True))
    return Loaded(world, tuple(named), regions, tuple(notes), movement, trip_days)


def _alike(notes: list[str]) -> tuple[dict[str, Floats], Ages]:
    notes.append("No contact matrices were given: everybody is of one age group and meets alike.")
    return {name: np.array([[value]]) for name, value in ALIKE.items()}, EVERYBODY


def _contacts(folder: Path, notes: list[str]) -> tuple[dict[str, Floats], Ages]:
    if not folder.is_dir():
        raise FileUnreadableError(f"{folder}: no such folder", hint="Give the folder with contacts_home_16ages.csv and its like.")
    found = {m[1]: path for path in sorted(folder.iterdir()) if (m := _CONTACT_FILE.fullmatch(path.name)) and m[1] != "all"}
    if "home" not in found:
        raise NothingFoundError(f"{folder}: no contacts_home_<n>ages.csv", hint=f"One file for each setting: {', '.join(SETTINGS)}.")
    absent = [name for name in SETTINGS if name not in found]
    if absent:
        notes.append(f"No contact matrix for: {', '.join(absent)}. Nobody meets there.")
    matrices = {name: _matrix(path) for name, path in found.items()}
    sizes = {name: len(matrix) for name, matrix in matrices.items()}
    if len(set(sizes.values())) > 1:
        raise WrongTypeError(f"{folder}: contact matrices of different sizes: {', '.join(f'{k} {v}' for k, v in sizes.items())}")
    return matrices, Ages(tuple(range(0, 5 * sizes["home"], 5)))


def _matrix(path: Path) -> Floats:
    rows = [line.split(",") for line in read_text(path).splitlines() if line.strip()]
    try:
        matrix = np.array([[float(field) for field in row] for row in rows])
    except ValueError as err:
        raise WrongTypeError(f"{path}: must be a square of numbers without header: {err}") from err
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1] or not np.isfinite(matrix).all() or (matrix < 0).any():
        raise WrongTypeError(f"{path}: must be a square of numbers, none below 0, without header; its shape is {matrix.shape}")
    return matrix


def _reciprocal(matrix: Floats, people: npt.NDArray[np.int64]) -> Floats:
    """Contacts such that as many are reported from a to b as from b to a, the mean of both reports."""
    total = matrix * people[:, None]
    both = (total + total.T) / 2
    return np.divide(both, people[:, None], out=np.zeros_like(both), where=people[:, None] > 0)


def _by_age(zones: Rows, people: Floats, ages: Ages, path: Path | None, notes: list[str]) -> npt.NDArray[np.int64]:
    """Residents by zone and age: the country's ages, made to fit a zone's number of people of 15 and older where it is told."""
    if len(ages) == 1:
        return np.round(people)[:, None].astype(np.int64)
    if path is None:
        notes.append("No ages were given: all age groups are taken to be equally large.")
        share = np.full(len(ages), 1 / len(ages))
    else:
        share = _age_shares(path, ages)
    by_age = people[:, None] * share[None]
    adults = np.array(ages.from_age) >= 15
    if "population_15_plus" in zones.columns and adults.any() and not adults.all() and 0 < share[adults].sum() < 1:
        told = np.array([row.number("population_15_plus", 0.0) or np.nan for row in zones.rows])
        of_all = np.divide(told, people, out=np.full_like(people, np.nan), where=people > 0)
        wanted = np.where(np.isfinite(of_all), np.clip(of_all, 0, 1), share[adults].sum())
        by_age[:, adults] *= (wanted / share[adults].sum())[:, None]
        by_age[:, ~adults] *= ((1 - wanted) / share[~adults].sum())[:, None]
        notes.append("Ages within a zone: the country's, made to fit the zone's number of people of 15 and older.")
    # Rounded along the running sum, so that a zone keeps its total.
    running = np.round(np.cumsum(by_age, axis=1))
    return np.diff(running, axis=1, prepend=0.0).astype(np.int64)


def _age_shares(path: Path, ages: Ages) -> Floats:
    rows = read_rows(path)
    rows.need("group_name", "value")
    counts = np.zeros(len(ages))
    for row in rows.rows:
        text = (row.text("group_name") or "").removesuffix("+")
        if not text.isdigit():
            raise WrongTypeError(f"{row.where}: group_name is {row.text('group_name')!r}, must be an age in years, like 7 or 84+")
        counts[np.searchsorted(ages.from_age, int(text), side="right") - 1] += row.number("value", 0.0) or 0.0
    if counts.sum() <= 0:
        raise NothingFoundError(f"{path}: nobody of any age")
    return np.asarray(counts / counts.sum())


def _commuting(
    files: WorldFiles, folder: Path, codes: list[str], people: Floats, notes: list[str]
) -> tuple[Commuting, tuple[tuple[date, ...], int] | None]:
    paths = [folder / name for name in (files.od_files or ((files.od,) if files.od else ()))]
    if not paths:
        notes.append("No trips were given: nobody leaves their zone.")
        return Commuting(np.zeros(len(codes) + 1, np.int32), np.zeros(0, np.int32), np.zeros(0)), None
    dated: DatedTrips | None = None
    if len(paths) > 1 or is_dated(paths[0]):
        dated = published(read_dated_trips(paths, notes), files.mobility_known_on, notes)
        units, matrices = list(dated.units), dated.trips
    else:
        units, matrix = read_trips(paths[0])
        matrices = (matrix,)
    between = _between_zones(files, folder, paths[0], units, codes, people, notes)
    zoned = [between(matrix) for matrix in matrices]
    found = commuting_of(zoned[0], people) if dated is None else commuting_by_period(zoned, dated.firsts, people)
    if found.capped:
        notes.append(
            f"{len(found.capped)} zone(s) had more than {MOST_AWAY:.0%} of residents away by day, and were set to that: "
            f"{some(codes[z] for z in found.capped)}."
        )
    if found.edges_dropped:
        notes.append(f"{found.edges_dropped:,} small flows, at most 1% of any zone's trips, were added to the zone's other flows.")
    return found.commuting, None if dated is None else (dated.firsts, dated.step_d)


def _between_zones(
    files: WorldFiles, folder: Path, path: Path, units: list[str], codes: list[str], people: Floats, notes: list[str]
) -> Callable[[Floats], Floats]:
    """What brings trips between the file's units to trips between zones."""
    if files.crosswalk is not None:
        unit_of_zone = _crosswalk(folder / files.crosswalk, units, codes, notes)
        if len(set(unit_of_zone.tolist()) - {-1}) < int((unit_of_zone >= 0).sum()):
            notes.append(
                f"Trips between zones of one unit are not in the file: {files.within_trips_per_resident:g} a day and resident were assumed."
            )
        return partial(split_units, unit_of_zone=unit_of_zone, population=people, within_trips_per_resident=files.within_trips_per_resident)
    place = {code: i for i, code in enumerate(units)}
    unknown = [unit for unit in units if unit not in set(codes)]
    if len(unknown) == len(units):
        raise UnknownValueError(
            f"{path}: none of its codes ({some(units)}) is a zone's ({some(codes)})", hint="Give --crosswalk, od_code to zone code."
        )
    if unknown:
        notes.append(f"Trips of {len(unknown)} places that are no zones were left out: {some(unknown)}.")
    absent = [code for code in codes if code not in place]
    if absent:
        notes.append(f"{len(absent)} zone(s) without trips: {some(absent)}.")
    index = np.array([place.get(code, len(units)) for code in codes])
    return lambda trips: np.asarray(np.pad(trips, ((0, 1), (0, 1)))[np.ix_(index, index)])


def _crosswalk(path: Path, units: list[str], codes: list[str], notes: list[str]) -> npt.NDArray[np.int64]:
    rows = read_rows(path)
    rows.need("od_code")
    column = next((c for c in ("code", "kostat_2018_code", "zone", "to_code") if c in rows.columns), None)
    if column is None:
        raise MissingColumnError(f"{path}: no column with the zone's code; its columns are: {', '.join(rows.columns)}")
    rows.unique(column)
    place = {code: i for i, code in enumerate(units)}
    unit = {str(row.text(column)): row for row in rows.rows}
    found = np.full(len(codes), -1, np.int64)
    for z, code in enumerate(codes):
        row = unit.get(code)
        if row is not None:
            od_code = row.text("od_code")
            if od_code not in place:
                raise UnknownValueError(f"{row.where}: od_code {od_code!r} is not in the trips file")
            found[z] = place[od_code]
    without = [code for code, u in zip(codes, found, strict=True) if u < 0]
    if len(without) == len(codes):
        raise UnknownValueError(f"{path}: column {column!r} holds none of the zones' codes ({some(codes)})")
    if without:
        notes.append(
            f"{len(without)} zone(s) without trips, as the crosswalk does not name them: {some(without)}. Nobody leaves or enters them."
        )
    return found
