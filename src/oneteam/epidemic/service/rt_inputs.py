"""Reading what a situation is worked out from: daily counts, population, ages, severity."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Final, Literal, get_args

import numpy as np
import numpy.typing as npt

from oneteam.core.errors import NothingFoundError, UnknownValueError
from oneteam.epidemic.hub.columns import as_days, as_floats, as_ints, as_text
from oneteam.epidemic.hub.daily import DATE_COLUMNS, DailySeries, Gaps
from oneteam.epidemic.reproduction.burden import SEVERITY, Severity
from oneteam.epidemic.reproduction.serial_interval import SERIAL_INTERVALS, SerialInterval
from oneteam.epidemic.service.convert import BORDER, ConvertSettings, population_by_code, read_daily
from oneteam.epidemic.service.files import read_table
from oneteam.store.rows import some

Floats = npt.NDArray[np.float64]
Status = Literal["Actual", "Exercise", "System", "Test", "Draft"]
Method = Literal["cori", "filter", "both"]

TOTAL: Final = "ALL"
"""Code of the sum over all places."""
AGE_DAYS: Final = 28
"""Ages of cases are taken from so many last days of a file by day and age."""


@dataclass(frozen=True)
class RtSettings:
    """How a situation is worked out; see ``oneteam epidemic rt --help``."""

    source: str = "daily-csv"
    value_column: str | None = None
    border: tuple[str, ...] = BORDER
    gaps: str = "unknown"
    until: date | None = None
    disease: str = "covid19-omicron"
    serial_mean_d: float | None = None
    serial_sd_d: float | None = None
    window_d: int = 7
    smoothing_d: int = 1
    threshold_per_100k: float = 100.0
    population: Path | None = None
    population_code: str | None = None
    ages: Path | None = None
    severity: Path | None = None
    sender: str = "oneteam@localhost"
    status: str = "Draft"
    sent: datetime | None = None
    method: str = "cori"


def serial_interval_of(settings: RtSettings) -> SerialInterval:
    """The serial interval, once the settings are found to be good."""
    if settings.disease not in SERIAL_INTERVALS:
        raise UnknownValueError(f"--disease {settings.disease}: must be one of {', '.join(SERIAL_INTERVALS)}")
    if settings.method not in get_args(Method):
        raise UnknownValueError(f"--method {settings.method}: must be one of {', '.join(get_args(Method))}")
    if settings.status not in get_args(Status):
        raise UnknownValueError(f"--status {settings.status}: must be one of {', '.join(get_args(Status))}")
    if not 0 < settings.threshold_per_100k < math.inf:
        raise UnknownValueError(f"--threshold {settings.threshold_per_100k:g}: must be cases per 100,000 and week, above 0")
    preset = SERIAL_INTERVALS[settings.disease]
    if settings.serial_mean_d is None and settings.serial_sd_d is None:
        return preset
    if settings.serial_mean_d is None or settings.serial_sd_d is None:
        raise UnknownValueError("--serial-mean and --serial-sd belong together: give both or neither")
    return SerialInterval(settings.serial_mean_d, settings.serial_sd_d, "as given")


def daily_series(path: Path, settings: RtSettings) -> DailySeries:
    """Daily counts up to the last day used, the sum over all places first."""
    if settings.gaps not in get_args(Gaps):
        raise UnknownValueError(f"--gaps {settings.gaps}: must be {' or '.join(get_args(Gaps))}")
    read_as = ConvertSettings(source=settings.source, value_column=settings.value_column, border=settings.border)
    series = read_daily(path, read_as, until=settings.until)
    days, values = series.days, series.values
    if len(days) < 2 * settings.window_d:
        raise NothingFoundError(f"{path}: {len(days)} days up to {days[-1]}; an estimate needs at least {2 * settings.window_d}")
    values = np.nan_to_num(values) if settings.gaps == "zero" else values
    if len(series.locations) == 1:
        return DailySeries(series.where, days, series.locations, series.names, values, series.repairs)
    whole = np.concatenate([values.sum(axis=1, keepdims=True), values], axis=1)
    return DailySeries(series.where, days, (TOTAL, *series.locations), ("all places", *series.names), whole, series.repairs)


def lacking_notes(series: DailySeries, people: Floats) -> list[str]:
    """Notes on what the file and the population do not say."""
    own = [i for i, code in enumerate(series.locations) if code != TOTAL]
    unknown = np.isnan(series.values)
    found = []
    gaps = [i for i in own if unknown[:, i].any()]
    if gaps:
        days = int(unknown[:, gaps].sum())
        found.append(f"{days:,} days without a number in {len(gaps)} places ({some([series.locations[i] for i in gaps])}): no Rt near them")
    late = [series.locations[i] for i in own if unknown[-7:, i].any()]
    if late:
        found.append(
            f"the last 7 days of {some(late)} have days without a number: their cases are too low, rates and threshold are left out"
        )
    if not np.isfinite(people).any():
        return [*found, "no population is known: no rates, no threshold; add --population"]
    alone = [series.locations[i] for i in own if not np.isfinite(people[i])]
    if alone:
        what = f"no population of {some(alone)}: no rate, no threshold"
        found.append(what + (f", nor of {TOTAL}" if series.locations[0] == TOTAL else ""))
    return found


def inhabitants(series: DailySeries, settings: RtSettings) -> Floats:
    """Inhabitants by place, NaN where unknown."""
    if settings.population is None:
        return np.full(len(series.locations), np.nan)
    counted = population_by_code(settings.population, settings.population_code)
    found = np.array([counted.get(code, np.nan) for code in series.locations])
    if not np.isfinite(found).any():
        raise UnknownValueError(
            f"{settings.population}: none of its codes is a location of {series.where}: {', '.join(list(counted)[:5])}",
            hint="Name the column with the code with --population-code.",
        )
    if series.locations[0] == TOTAL:
        # Unknown where a place's is: its cases would be counted, its inhabitants not.
        found[0] = found[1:].sum()
    return found


def smoothed(values: Floats, days: int) -> Floats:
    """Trailing means; the first days are means of what there is."""
    if days <= 1:
        return values
    padded = np.concatenate([np.full((days - 1, values.shape[1]), np.nan), values])
    windows = np.lib.stride_tricks.sliding_window_view(padded, days, axis=0)
    out = np.array(windows.mean(axis=-1))
    for row in range(min(days - 1, len(values))):
        out[row] = values[: row + 1].mean(axis=0)
    return out


def severity_of(settings: RtSettings, day: date) -> tuple[Mapping[str, float] | None, Severity | None, list[str]]:
    """Shares of cases by age, admissions by age, and what to say about them."""
    severity = _read_severity(settings.severity) if settings.severity else SEVERITY.get(settings.disease)
    if settings.ages is None:
        return None, None, ["no hospital burden: add --ages with the ages of cases"]
    if severity is None:
        return None, None, [f"no hospital burden: no sourced severity by age is built in for {settings.disease}; add --severity"]
    note = f"hospital burden is assumed, not estimated: {severity.source}; per {severity.per}, counted per reported case"
    return _ages(settings.ages, day), severity, [note]


def _read_severity(path: Path) -> Severity:
    table, where = read_table(path), str(path)
    start = as_ints(table, ["from_age"], where)
    best = as_floats(table, ["admitted"], where)
    low = as_floats(table, ["low"], where) if "low" in table.column_names else best
    high = as_floats(table, ["high"], where) if "high" in table.column_names else best
    if start[0] != 0 or (np.diff(start) <= 0).any() or not ((best >= 0) & (best <= 1)).all():
        raise UnknownValueError(f"{where}: from_age must start at 0 and ascend, admitted must lie between 0 and 1")
    if not ((low >= 0) & (low <= best) & (best <= high) & (high <= 1)).all():
        row = int(np.argmin((low >= 0) & (low <= best) & (best <= high) & (high <= 1)))
        raise UnknownValueError(f"{where}, data row {row + 1}: must be 0 <= low <= admitted <= high <= 1")
    return Severity(tuple(start.tolist()), tuple(best.tolist()), tuple(low.tolist()), tuple(high.tolist()), "case, as given", path.name)


def _ages(path: Path, day: date) -> dict[str, float]:
    """Shares by age band: from ``age,share``, or from the last days of a table with a column for each band."""
    table, where = read_table(path), str(path)
    if "age" in table.column_names:
        return dict(zip(as_text(table, ["age"], where).to_pylist(), as_floats(table, ["share"], where).tolist(), strict=True))
    days = as_days(table, DATE_COLUMNS, where)
    recent = (days <= np.datetime64(day, "D")) & (days > np.datetime64(day - timedelta(days=AGE_DAYS), "D"))
    if not recent.any():
        raise NothingFoundError(f"{where}: no day in the four weeks up to {day}")
    bands = [name for name in table.column_names if re.match(r"^\d", name)]
    return {band: float(np.nansum(np.maximum(0.0, as_floats(table, [band], where)[recent]))) for band in bands}
