"""Turn daily or cumulative case files into target data and locations."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from oneteam.core.errors import NothingFoundError, UnknownValueError
from oneteam.epidemic.hub.columns import as_days, as_floats, as_text
from oneteam.epidemic.hub.daily import DATE_COLUMNS, DailySeries, Gaps, Kind, Repair, WeeklySeries, add_up_weeks, parse_daily
from oneteam.epidemic.hub.locations import Locations
from oneteam.epidemic.hub.target_data import WEEK_D, Snapshot, target_table
from oneteam.epidemic.service.files import read_locations, read_table, write_locations
from oneteam.store.result_files import write_table
from oneteam.store.tables import write_atomically

Floats = npt.NDArray[np.float64]

SOURCES: Final = {"daily-csv": "daily", "cumulative-csv": "cumulative"}
BORDER: Final = ("quarantine",)
"""Codes under which cases found at the border are filed."""
TARGET_FILE, LOCATIONS_FILE, REPORT_FILE = "time-series.parquet", "locations.csv", "report.json"


@dataclass(frozen=True)
class ConvertSettings:
    """How a case file is read.

    Args:
        source: ``daily-csv`` or ``cumulative-csv``.
        week_end: weekday on which weeks end.
        target: name of the target.
        border: codes of cases found at the border.
        gaps: ``unknown`` or ``zero``.
        value_column: which column counts; a usual name when None.
        locations: known places with population; others are refused.
        population: file with population by place, added up over rows of the same code.
        population_code: column of that file with the code.
        aggregate: code of the sum over all places; none when None.
    """

    source: str = "daily-csv"
    week_end: str = "SAT"
    target: str = "wk inc case"
    border: Sequence[str] = BORDER
    gaps: Gaps = "unknown"
    value_column: str | None = None
    locations: Path | None = None
    population: Path | None = None
    population_code: str | None = None
    aggregate: str | None = None


@dataclass(frozen=True)
class Converted:
    """What a conversion made.

    Args:
        files: what was written.
        first_week: end of the first week.
        last_week: end of the last week.
        weeks: how many.
        locations: how many places.
        observations: known values.
        total: of all of them.
        label: of forecasts made from them.
        repairs: what was changed or left out.
    """

    files: tuple[str, ...]
    first_week: str
    last_week: str
    weeks: int
    locations: int
    observations: int
    total: float
    label: str
    repairs: tuple[Repair, ...]

    def as_dict(self) -> dict[str, Any]:
        """For ``--json`` and for ``report.json``."""
        return asdict(self)


def read_daily(path: Path, settings: ConvertSettings, *, until: date | None = None) -> DailySeries:
    """A daily case file without the cases found at the border.

    Args:
        path: the file.
        settings: how to read it.
        until: read no later row, so that what later rows take back stays as it was known; all without.

    Raises:
        UnknownValueError: an unknown source, or places that are not in the locations file.
        NothingFoundError: no row up to that day.
        InputError: as `parse_daily`.
    """
    if settings.source not in SOURCES:
        raise UnknownValueError(f"--from {settings.source}: must be one of {', '.join(SOURCES)}")
    kind: Kind = "daily" if SOURCES[settings.source] == "daily" else "cumulative"
    table = read_table(path)
    if until is not None:
        table = _up_to(table, until, str(path))
    return parse_daily(table, str(path), kind, value_column=settings.value_column).without(settings.border)


def _up_to(table: pa.Table, until: date, where: str) -> pa.Table:
    days = as_days(table, DATE_COLUMNS, where)
    # An empty date is no later day: it stays, to be refused.
    known = table.filter(pa.array(~(days > np.datetime64(until, "D"))))
    if not known.num_rows:
        raise NothingFoundError(f"{where}: no day up to {until}; it starts on {days.min()}")
    return known


def convert(path: Path, out: Path, settings: ConvertSettings | None = None) -> Converted:
    """Write ``time-series.parquet``, ``locations.csv`` and ``report.json`` to a folder.

    Args:
        path: the case file.
        out: the folder.
        settings: how to read it.

    Raises:
        InputError: a file that cannot be used; see `parse_daily` and `add_up_weeks`.
        DiskFullError: no room.
    """
    settings = settings or ConvertSettings()
    series = read_daily(path, settings)
    weekly = add_up_weeks(series, settings.week_end, gaps=settings.gaps)
    places, lacking = _places(series, settings)
    if settings.aggregate:
        weekly, places = _with_aggregate(weekly, places, settings.aggregate)
    last = weekly.weeks[-1].item()
    snapshot = Snapshot(last + timedelta(days=WEEK_D), None, settings.target, weekly.weeks, weekly.locations, weekly.values, "revised data")
    repairs = (*weekly.repairs, *lacking)
    result = Converted(
        files=tuple(str(out / name) for name in (TARGET_FILE, LOCATIONS_FILE, REPORT_FILE)),
        first_week=str(weekly.weeks[0]),
        last_week=str(last),
        weeks=len(weekly.weeks),
        locations=len(weekly.locations),
        observations=int(np.isfinite(weekly.values).sum()),
        total=float(np.nansum(weekly.values)),
        label="revised data",
        repairs=repairs,
    )
    write_table(out / TARGET_FILE, target_table(snapshot), {"label": "revised data", "source": path.name, "week_end": settings.week_end})
    write_locations(out / LOCATIONS_FILE, places)
    write_atomically(out / REPORT_FILE, json.dumps(result.as_dict(), ensure_ascii=False, indent=1).encode())
    return result


def _places(series: DailySeries, settings: ConvertSettings) -> tuple[Locations, list[Repair]]:
    if settings.locations is not None:
        known = read_locations(settings.locations)
        known.need(series.locations, series.where)
        at = [known.index[code] for code in series.locations]
        places = Locations(series.locations, tuple(known.names[i] for i in at), known.population[at])
    else:
        places = Locations(series.locations, series.names, np.full(len(series.locations), np.nan))
    if settings.population is not None:
        counted = population_by_code(settings.population, settings.population_code)
        population = np.array([counted.get(code, np.nan) for code in places.codes])
        places = Locations(places.codes, places.names, np.where(np.isfinite(population), population, places.population))
        if not np.isfinite(population).any():
            raise UnknownValueError(
                f"{settings.population}: none of its codes is a location of {series.where}: {', '.join(list(counted)[:5])}",
                hint="Name the column with the code with --population-code.",
            )
    asked = settings.population is not None or settings.locations is not None
    lacking = [
        Repair("no_population", code, "no population is known; rates and risk per inhabitant are left out")
        for code, people in zip(places.codes, places.population.tolist(), strict=True)
        if asked and not people > 0
    ]
    return places, lacking


def population_by_code(path: Path, code: str | None) -> dict[str, float]:
    """Inhabitants by code, added up over rows of the same code; rows without a population count nothing.

    Raises:
        UnknownValueError: a population that is negative or infinite.
    """
    table = read_table(path)
    codes = as_text(table, [code] if code else ["location", "code"], str(path)).to_pylist()
    people = as_floats(table, ["population"], str(path))
    bad = np.flatnonzero((people < 0) | np.isinf(people))
    if len(bad):
        raise UnknownValueError(
            f"{path}, data row {bad[0] + 1}: population of {codes[bad[0]]} is {people[bad[0]]:g}, must be 0 or more",
            hint="Leave it empty where unknown.",
        )
    found: dict[str, float] = {}
    for each, number in zip(codes, people.tolist(), strict=True):
        if number > 0:
            found[each] = found.get(each, 0.0) + number
    return {each: float(round(number)) for each, number in found.items()}


def _with_aggregate(weekly: WeeklySeries, places: Locations, code: str) -> tuple[WeeklySeries, Locations]:
    if code in weekly.locations:
        raise UnknownValueError(f"--aggregate {code}: the file already has that location")
    values = np.concatenate([weekly.values, weekly.values.sum(axis=1, keepdims=True)], axis=1)
    people = np.append(places.population, places.population.sum())
    lacking = int(np.isnan(places.population).sum())
    repairs = list(weekly.repairs)
    if 0 < lacking < len(places.codes):
        what = f"the population of {lacking} of {len(places.codes)} places is not known, so that of their sum is not either"
        repairs.append(Repair("no_population", code, what))
    grown = WeeklySeries(weekly.weeks, (*weekly.locations, code), values, tuple(repairs))
    return grown, Locations((*places.codes, code), (*places.names, code), people)
