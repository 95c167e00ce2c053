"""Reading what imported cases are worked out from: arrivals, flights, the epidemic at the origins, and what was found."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from oneteam.core.errors import DuplicateCodeError, MissingColumnError, NothingFoundError, UnknownValueError, WrongTypeError
from oneteam.epidemic.hub.columns import as_days, as_floats, as_text
from oneteam.epidemic.hub.daily import LOCATION_COLUMNS, LONGEST_D, VALUE_COLUMNS, parse_daily
from oneteam.epidemic.importation.force import Course, carrying_share, infections_per_inhabitant, trailing_mean
from oneteam.epidemic.importation.posterior import Ascertainment
from oneteam.epidemic.models.evidence import Evidence
from oneteam.epidemic.service.files import read_table
from oneteam.store.rows import some

Days = npt.NDArray[np.datetime64]
Floats = npt.NDArray[np.float64]

HOME: Final = ("KR", "KOR", "Korea, South", "South Korea", "Republic of Korea")
"""Names of the country itself: its own cases are no origin."""
DAY, ORIGIN = ("day", "date"), ("country", "origin", "location")
UNKNOWN_POPULATION: Final = 1e9
"""Stands for a population that is not given, where cases are divided by it and multiplied by it again."""
LEANING: Final = 5.0
"""Returns that the mean stay over all origins counts for."""
ARRIVALS = ("value", "estimate", "arrivals", "passengers", "travellers", "flights")


@dataclass(frozen=True)
class ImportationSettings:
    """How imported cases are worked out.

    Args:
        ascertainment: 95% range of the share of infections that origins report, where their own is not given; not used with prevalence.
        measures: border measures: origin and share of infected arrivals that it stops.
        fit_until: last day whose observed imports are used for the posterior; later weeks are scored.
        draws: of the posterior.
        seed: of the numbers drawn.
        home: names of the country itself.
        found: prior median of the share of imported infections that is found.
        course: of the infection.
        days_abroad: days abroad by month and country, `days_abroad` of the telecom part: gives the mean stay at each origin.
    """

    ascertainment: tuple[float, float] = (0.05, 0.5)
    measures: tuple[tuple[str, float], ...] = ()
    fit_until: date | None = None
    draws: int = 1_000
    seed: int = 1
    home: tuple[str, ...] = HOME
    found: float = 0.5
    course: Course = field(default_factory=Course)
    days_abroad: Path | None = None


SETTINGS_EVIDENCE: Final[Mapping[str, Evidence]] = {
    "ascertainment": Evidence(
        status="assumed",
        reason="in March 2020 countries found between 2.4% and 100% of those with symptoms (Russell and others 2020, BMC Med 18:332, "
        "abstract); the range leaves out both ends and is of all infections",
    ),
    "found": Evidence(status="assumed", reason="middle of a wide prior; once imports are observed, only its ratio to ascertainment counts"),
}
"""What the defaults above rest on."""


@dataclass(frozen=True)
class Inputs:
    """Everything by day and origin.

    Args:
        days: consecutive, shape (days,).
        origins: codes, ascending.
        arrivals: persons or flights, shape (days, origins); None where no table says who came from where.
        carrying: share of travellers that arrive infected if every infection were reported, or weight of an origin, shape (days, origins).
        arrival_log_sd: uncertainty of each origin's arrivals by a Release's noise, as standard deviation of a logarithm, shape (origins,).
        ascertainment: prior of each origin; 1 and certain where prevalence is given.
        notes: what was left out.
    """

    days: Days
    origins: tuple[str, ...]
    arrivals: Floats | None
    carrying: Floats
    arrival_log_sd: Floats
    ascertainment: Ascertainment
    notes: tuple[str, ...]


def read_inputs(
    arrivals: Path | None,
    flights: Path | None,
    cases: Path | None,
    prevalence: Path | None,
    origins: Path | None,
    settings: ImportationSettings,
) -> Inputs:
    """Everything by day and origin.

    Raises:
        UnknownValueError: not exactly one of cases and prevalence, or a value outside its range.
        MissingColumnError: an origin without population where prevalence follows from cases.
        NothingFoundError: arrivals and epidemic share no origin or no day.
    """
    if (cases is None) == (prevalence is None):
        raise UnknownValueError("give either --cases or --prevalence, the epidemic at the origins")
    about = _origins(origins)
    epidemic = _from_cases(cases, about, settings) if cases else _from_prevalence(prevalence, settings)
    days, names, infections, notes = epidemic
    if prevalence is not None:
        if about.low:
            notes = [*notes, "ascertainment by origin belongs to reported cases: with --prevalence it is not used"]
        # A share of all people is of true infections: none is missing, and nothing about reporting is uncertain.
        about, settings = replace(about, low={}, high={}), replace(settings, ascertainment=(1.0, 1.0))
    travel = _travel(arrivals, flights, settings)
    if travel is None:
        weight = _relative_flights(flights, days, names) if flights else 1.0
        people = np.array([about.population.get(n, math.nan) for n in names])
        # Without arrivals an origin counts by its infections, not by its infections per inhabitant.
        carrying = carrying_share(infections, settings.course) * np.where(np.isfinite(people), people, UNKNOWN_POPULATION) * weight
        return Inputs(days, names, None, carrying, np.zeros(len(names)), _ascertainment(names, about, settings), tuple(notes))
    came_days, came_names, came, noise, hidden = travel
    notes += hidden
    shared = tuple(sorted(set(came_names) & set(names)))
    if not shared:
        raise NothingFoundError(
            f"no origin of the arrivals ({some(came_names)}) is among those of the epidemic ({some(names)})",
            hint="Give --origins with columns country (as in arrivals) and name (as in cases).",
        )
    lost = [n for n in came_names if n not in shared]
    if lost:
        part = came[:, [came_names.index(n) for n in lost]].sum() / max(came.sum(), 1e-12)
        notes.append(f"{len(lost)} origins with {100 * part:.1f}% of arrivals have no epidemic data and are left out: {some(lost)}")
    first, last = max(days[0], came_days[0]), min(days[-1], came_days[-1])
    if last < first:
        raise NothingFoundError(f"arrivals end on {came_days[-1]}, the epidemic starts on {days[0]}: no day in common")
    here, there = _span(came_days, first, last), _span(days, first, last)
    came = came[:, [came_names.index(n) for n in shared]]
    stay = np.array([about.stay_d.get(n, math.nan) for n in shared])
    if settings.days_abroad is not None:
        stay = np.where(np.isnan(stay), _mean_stay(settings.days_abroad, shared, came.sum(axis=0)), stay)
    lacking = [n for n in shared if cases and not about.population.get(n, math.nan) > 0]
    if lacking:
        raise MissingColumnError(
            f"no population of {some(lacking)}: prevalence needs cases per inhabitant",
            hint="Add --origins with columns country, population.",
        )
    carrying = carrying_share(infections[:, [names.index(n) for n in shared]], settings.course, stay)[there]
    log_sd = np.array([noise.get(n, 0.0) for n in shared])
    return Inputs(days[there], shared, came[here], carrying, log_sd, _ascertainment(shared, about, settings), tuple(notes))


def _mean_stay(path: Path, names: Sequence[str], arrivals: Floats) -> Floats:
    """Mean days of stay by origin; origins with few returns lean towards the mean over all [d]."""
    table, where = read_table(path), str(path)
    spent = dict.fromkeys(names, 0.0)
    for name, value in zip(as_text(table, ORIGIN, where).to_pylist(), as_floats(table, ("value",), where).tolist(), strict=True):
        if name in spent and value > 0:
            spent[name] += value
    days = np.array([spent[name] for name in names])
    whole = days.sum() / max(float(arrivals.sum()), 1.0)
    return np.asarray(np.maximum((days + LEANING * whole) / (arrivals + LEANING), 1.0))


def _span(days: Days, first: np.datetime64, last: np.datetime64) -> slice:
    return slice(int((first - days[0]).astype(int)), int((last - days[0]).astype(int)) + 1)


@dataclass(frozen=True)
class _Origins:
    """What is known of countries, by code."""

    code_of: Mapping[str, str]
    population: Mapping[str, float]
    low: Mapping[str, float]
    high: Mapping[str, float]
    stay_d: Mapping[str, float]


def _origins(path: Path | None) -> _Origins:
    if path is None:
        return _Origins({}, {}, {}, {}, {})
    table, where = read_table(path), str(path)
    codes = as_text(table, ["country", "code", "location"], where).to_pylist()
    twice = next((code for code in codes if codes.count(code) > 1), None)
    if twice is not None:
        raise DuplicateCodeError(f"{where}: country {twice!r} stands twice")

    def column(name: str) -> dict[str, float]:
        if name not in table.column_names:
            return {}
        return {c: v for c, v in zip(codes, as_floats(table, [name], where).tolist(), strict=True) if math.isfinite(v)}

    names = as_text(table, ["name"], where).to_pylist() if "name" in table.column_names else codes
    for what in ("population", "stay_d"):
        for code, number in column(what).items():
            if not number > 0:
                raise UnknownValueError(f"{where}: {what} of {code} is {number:g}, must be above 0", hint="Leave it empty where unknown.")
    low, high = column("ascertainment_low"), column("ascertainment_high")
    for code in set(low) | set(high):
        if not 0 < low.get(code, 0) < high.get(code, 0) <= 1:
            raise UnknownValueError(f"{where}: ascertainment of {code} must be two ascending shares above 0 and up to 1")
    return _Origins(dict(zip(names, codes, strict=True)), column("population"), low, high, column("stay_d"))


def _ascertainment(names: Sequence[str], about: _Origins, settings: ImportationSettings) -> Ascertainment:
    low, high = settings.ascertainment
    return Ascertainment(np.array([about.low.get(n, low) for n in names]), np.array([about.high.get(n, high) for n in names]))


def _from_cases(path: Path, about: _Origins, settings: ImportationSettings) -> tuple[Days, tuple[str, ...], Floats, list[str]]:
    table = read_table(path)
    if "country" in table.column_names:
        table = table.rename_columns(["location" if name == "country" else name for name in table.column_names])
    wide = not any(name in table.column_names for name in LOCATION_COLUMNS)
    cumulative = wide or not any(name in table.column_names for name in VALUE_COLUMNS["daily"])
    series = parse_daily(table, str(path), "cumulative" if cumulative else "daily")
    own = [name for name in series.locations if name in settings.home or about.code_of.get(name) in settings.home]
    if own:
        series = series.without(own)
    repairs = [r for r in series.repairs if r.kind == "negative_correction"]
    notes = [f"{len(repairs)} origins had negative corrections, taken off the days before"] if repairs else []
    names = tuple(about.code_of.get(name, name) for name in series.locations)
    people = np.array([about.population.get(name, UNKNOWN_POPULATION) for name in names])
    return series.days, names, infections_per_inhabitant(series.values, people, settings.course), notes


def _from_prevalence(path: Path | None, settings: ImportationSettings) -> tuple[Days, tuple[str, ...], Floats, list[str]]:
    assert path is not None
    table = read_table(path)
    _once(_days(table, str(path)), as_text(table, ORIGIN, str(path)).to_pylist(), str(path))
    days, names, share = _sum_by_day(table, ("prevalence",), str(path))
    if not ((share >= 0) & (share <= 1) | np.isnan(share)).all():
        raise UnknownValueError(f"{path}: prevalence must lie between 0 and 1")
    keep = [i for i, name in enumerate(names) if name not in settings.home]
    infections = np.nan_to_num(share[:, keep]) * settings.course.hazard_per_prevalence
    # The epidemic did not begin with the file: its first day stands for the month before.
    before = 30
    infections = np.concatenate([np.repeat(infections[:1], before, axis=0), infections])
    days = np.arange(days[0] - before, days[-1] + 1, dtype="datetime64[D]")
    return days, tuple(names[i] for i in keep), infections, []


def _once(day: Days, names: list[str], where: str) -> None:
    """Shares cannot be added up as counts can: a country stands once on a day."""
    seen: dict[tuple[date, str], int] = {}
    for row, key in enumerate(zip(day.tolist(), names, strict=True), 1):
        if key in seen:
            raise DuplicateCodeError(f"{where}, data rows {seen[key]} and {row}: two shares of {key[1]} on {key[0]}")
        seen[key] = row


def _by_day(path: Path, values: Sequence[str]) -> tuple[Days, tuple[str, ...], Floats]:
    """Sums by day and country, 0 where there is no row."""
    return _sum_by_day(read_table(path), values, str(path))


def _sum_by_day(table: pa.Table, values: Sequence[str], where: str) -> tuple[Days, tuple[str, ...], Floats]:
    day = _days(table, where)
    names, place = np.unique(np.array(as_text(table, ORIGIN, where).to_pylist(), dtype=str), return_inverse=True)
    number = _finite(table, values, where)
    out = np.zeros((int((day.max() - day.min()).astype(int)) + 1, len(names)))
    np.add.at(out, ((day - day.min()).astype(np.int64), place), np.nan_to_num(number))
    return day.min() + np.arange(len(out)), tuple(str(n) for n in names), out


def _days(table: pa.Table, where: str) -> Days:
    """The days of a table, none of them empty or mistyped by a century."""
    day = as_days(table, DAY, where)
    missing = np.flatnonzero(np.isnat(day))
    if len(missing):
        raise WrongTypeError(f"{where}, data row {missing[0] + 1}: the day is empty, must be a date like 2024-01-31")
    if (day.max() - day.min()).astype(np.int64) >= LONGEST_D:
        raise UnknownValueError(f"{where}: days from {day.min()} to {day.max()}; is one of them mistyped?")
    return day


def _finite(table: pa.Table, names: Sequence[str], where: str) -> Floats:
    """A column of numbers, none infinite; NaN where a field is empty."""
    number = as_floats(table, names, where)
    bad = np.flatnonzero(np.isinf(number))
    if len(bad):
        raise WrongTypeError(f"{where}, data row {bad[0] + 1}: the number is infinite, must be a number")
    return number


def _unfilled(table: pa.Table, where: str) -> list[str]:
    """Notes on arrivals that the table does not tell."""
    found = []
    hidden = int(np.isnan(as_floats(table, ARRIVALS, where)).sum())
    if hidden:
        found.append(f"{hidden:,} of {table.num_rows:,} counts of arrivals are empty (hidden in a Release) and count as 0")
    day = np.unique(as_days(table, DAY, where))
    absent = int((day[-1] - day[0]).astype(np.int64)) + 1 - len(day)
    if absent:
        found.append(f"{absent:,} days between {day[0]} and {day[-1]} have no row of arrivals and count as 0")
    return found


_Travel = tuple[Days, tuple[str, ...], Floats, Mapping[str, float], list[str]]


def _travel(arrivals: Path | None, flights: Path | None, settings: ImportationSettings) -> _Travel | None:
    """Days, origins, arrivals, their relative noise by origin, and notes; None where no table says who came from where."""
    noise: Mapping[str, float] = {}
    notes: list[str] = []
    if arrivals is not None:
        table = _dated(read_table(arrivals), str(arrivals))
        days, names, came = _sum_by_day(table, ARRIVALS, str(arrivals))
        noise = _relative_noise(table, str(arrivals))
        notes += _unfilled(table, str(arrivals))
    elif flights is not None and "destination" in read_table(flights).column_names:
        days, names, came = _bilateral(flights, settings)
    else:
        return None
    keep = [i for i, name in enumerate(names) if name not in settings.home]
    if not keep or not (came[:, keep] > 0).any():
        raise NothingFoundError(
            f"{arrivals or flights}: nobody arrives from abroad ({some(names)}; home is {some(settings.home)})",
            hint="Name the country itself with --home; leave the table out to get national totals only.",
        )
    # A Release's noise may take small counts below zero.
    return days, tuple(names[i] for i in keep), np.maximum(came[:, keep], 0.0), noise, notes


def _dated(table: pa.Table, where: str) -> pa.Table:
    """The table with a column of days: a Release over a period without days is spread evenly over the days that it names."""
    if any(name in table.column_names for name in DAY):
        return table
    about = {k.decode(): v.decode() for k, v in (table.schema.metadata or {}).items()}
    try:
        first, last = date.fromisoformat(about["first_day"]), date.fromisoformat(about["last_day"])
    except (KeyError, ValueError):
        raise MissingColumnError(f"{where}: no column 'day', and nothing in it says which period it covers") from None
    count = (last - first).days + 1
    row = np.repeat(np.arange(table.num_rows), count)
    spread = {"day": pa.array(np.tile(np.datetime64(first, "D") + np.arange(count), table.num_rows), pa.date32())}
    for name in table.column_names:
        column = table[name].combine_chunks()
        if name == "value":
            column = pc.divide(column.cast(pa.float64()), float(count))
        elif name == "std":
            # The days share one error: their sum has the whole of it.
            column = pc.divide(column.cast(pa.float64()), float(count) ** 0.5)
        spread[name] = column.take(pa.array(row))
    return pa.table(spread)


def _relative_noise(table: pa.Table, where: str) -> dict[str, float]:
    """Noise of each origin's arrivals over their sum, where the table has a column ``std``."""
    if "std" not in table.column_names:
        return {}
    names = as_text(table, ORIGIN, where).to_pylist()
    variance: dict[str, float] = {}
    total: dict[str, float] = {}
    for name, std, value in zip(names, as_floats(table, ("std",), where).tolist(), as_floats(table, ARRIVALS, where).tolist(), strict=True):
        if math.isfinite(std) and math.isfinite(value):
            variance[name] = variance.get(name, 0.0) + std**2
            total[name] = total.get(name, 0.0) + value
    return {name: math.sqrt(math.log1p(v / max(total[name], 1.0) ** 2)) for name, v in variance.items()}


def _bilateral(path: Path, settings: ImportationSettings) -> tuple[Days, tuple[str, ...], Floats]:
    """Flights that end at home, by day and origin; their seats are part of the scale."""
    table, where = read_table(path), str(path)
    to_home = np.isin(np.array(as_text(table, ["destination"], where).to_pylist(), dtype=str), list(settings.home))
    if not to_home.any():
        raise NothingFoundError(f"{where}: no flight has its destination in {some(settings.home)}", hint="Name it with --home.")
    table = table.filter(pa.array(to_home))
    day = _days(table, where)
    names, place = np.unique(np.array(as_text(table, ["origin"], where).to_pylist(), dtype=str), return_inverse=True)
    out = np.zeros((int((day.max() - day.min()).astype(int)) + 1, len(names)))
    number = _finite(table, ARRIVALS, where)
    np.add.at(out, ((day - day.min()).astype(np.int64), place), np.nan_to_num(number))
    return day.min() + np.arange(len(out)), tuple(str(n) for n in names), out


def _relative_flights(path: Path, days: Days, names: tuple[str, ...]) -> Floats:
    """International departures of each country against its first two weeks; the last level holds on, absent countries follow the mean."""
    flown, countries, number = _by_day(path, ("international_departures", *ARRIVALS))
    level = trailing_mean(number, 7)
    start = np.maximum(number[:14].mean(axis=0), 1e-9)
    relative = np.where(number[:14].sum(axis=0) > 0, level / start, np.nan)
    whole = level.sum(axis=1) / max(float(start.sum()), 1e-9)
    at = np.clip((days - flown[0]).astype(np.int64), 0, len(flown) - 1)
    out = np.repeat(whole[at][:, None], len(names), axis=1)
    for i, name in enumerate(names):
        if name in countries and np.isfinite(relative[0, countries.index(name)]):
            out[:, i] = relative[at, countries.index(name)]
    return out


def read_observed(path: Path) -> tuple[Days, Floats]:
    """Imported cases found by day; a day that is absent is NaN, as is one without a number.

    Raises:
        DuplicateCodeError: a day stands twice.
        WrongTypeError: an empty day, or a count that is infinite or no number.
        UnknownValueError: a negative count.
    """
    table, where = read_table(path), str(path)
    day = _days(table, where)
    number = _finite(table, ("imported_cases", *VALUE_COLUMNS["daily"]), where)
    if (number < 0).any():
        row = int(np.argmax(number < 0))
        raise UnknownValueError(f"{where}, data row {row + 1}: {number[row]:g} imported cases on {day[row]}, must be 0 or more")
    at = (day - day.min()).astype(np.int64)
    twice = np.flatnonzero(np.bincount(at) > 1)
    if len(twice):
        raise DuplicateCodeError(f"{where}: {day.min() + twice[0]} stands twice")
    out = np.full(int(at.max()) + 1, np.nan)
    out[at] = number
    return day.min() + np.arange(len(out)), out
