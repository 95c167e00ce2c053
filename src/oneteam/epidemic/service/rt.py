"""The situation from a daily case file: Rt, growth, outlook, hospital burden, risk level; tables, pictures, CAP alerts."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any, Final, Literal, cast, get_args

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from oneteam.core.cap import cap_xml
from oneteam.core.errors import MissingExtraError, NothingFoundError, UnknownValueError
from oneteam.core.model import Alert, Entity, Text
from oneteam.core.progress import Progress, silent
from oneteam.epidemic.hub.columns import as_days, as_floats, as_ints, as_text
from oneteam.epidemic.hub.daily import DATE_COLUMNS, DailySeries, Gaps
from oneteam.epidemic.reproduction.burden import SEVERITY, Burden, Severity, expected_burden
from oneteam.epidemic.reproduction.cori import RtPosterior, estimate_rt
from oneteam.epidemic.reproduction.growth import Growth, Outlook, estimate_growth, project_cases
from oneteam.epidemic.reproduction.risk import NAMES, NAMES_KO, cap_certainty, cap_severity, risk_level
from oneteam.epidemic.reproduction.serial_interval import SERIAL_INTERVALS, SerialInterval
from oneteam.epidemic.service.convert import BORDER, ConvertSettings, population_by_code, read_daily
from oneteam.epidemic.service.files import read_table, write_table
from oneteam.store.rows import some
from oneteam.store.tables import write_atomically

Floats = npt.NDArray[np.float64]
Status = Literal["Actual", "Exercise", "System", "Test", "Draft"]

TOTAL: Final = "ALL"
"""Code of the sum over all places."""
ALERT_LEVEL: Final = 3
ALERT_DAYS: Final = 7
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


@dataclass(frozen=True)
class PlaceSituation:
    """One place on one day; None where it cannot be said.

    Args:
        location: code.
        name: for people.
        cases_7d: cases of the last 7 days.
        per_100k: the same per 100,000 inhabitants.
        rt: posterior median of the reproduction number.
        rt_low: 2.5% quantile, widened for the overdispersion of daily counts.
        rt_high: 97.5% quantile, widened.
        probability_rising: that the reproduction number is above 1.
        growth_per_d: exponential growth rate [1/d].
        doubling_d: days in which cases double; negative: halve [d].
        next_7d: median of the cases of the next 7 days if the reproduction number stays.
        next_7d_low: 2.5% quantile.
        next_7d_high: 97.5% quantile.
        probability_threshold: that they reach the threshold.
        risk: level 1 to 4.
        burden: expected admissions among the cases of the last 7 days; assumed severity.
    """

    location: str
    name: str
    cases_7d: float
    per_100k: float | None
    rt: float | None
    rt_low: float | None
    rt_high: float | None
    probability_rising: float | None
    growth_per_d: float | None
    doubling_d: float | None
    next_7d: float | None
    next_7d_low: float | None
    next_7d_high: float | None
    probability_threshold: float | None
    risk: int
    burden: Burden | None


@dataclass(frozen=True)
class Situation:
    """All places on the last day of the data.

    Args:
        day: the last day used.
        places: the sum over all first.
        series: daily counts, the sum over all first.
        posterior: of R by day and place, as Cori and others have it.
        serial: the serial interval used.
        settings: how it was worked out.
        notes: what the reader should know.
    """

    day: date
    places: tuple[PlaceSituation, ...]
    series: DailySeries
    posterior: RtPosterior
    serial: SerialInterval
    settings: RtSettings
    notes: tuple[str, ...] = field(default=())

    def as_dict(self) -> dict[str, Any]:
        """For ``--json``."""
        serial = asdict(self.serial)
        return {
            "day": str(self.day),
            "window_d": self.posterior.window_d,
            "serial_interval": serial,
            "threshold_per_100k": self.settings.threshold_per_100k,
            "places": [asdict(place) for place in self.places],
            "notes": list(self.notes),
        }

    def rows(self) -> list[dict[str, object]]:
        """For a table on a terminal."""
        return [
            {
                "location": f"{p.location} {p.name}" if p.name != p.location else p.location,
                "cases, 7 d": p.cases_7d,
                "per 100,000": p.per_100k,
                "Rt": None if p.rt is None else f"{p.rt:.2f} ({p.rt_low:.2f}-{p.rt_high:.2f})",
                "P(rising)": p.probability_rising,
                "doubling [d]": p.doubling_d,
                "P(threshold)": p.probability_threshold,
                "risk": f"{p.risk} {NAMES[p.risk - 1]}",
                "admissions (assumed)": p.burden.admissions if p.burden else None,
            }
            for p in self.places
        ]


def situation(path: Path, settings: RtSettings | None = None, progress: Progress = silent) -> Situation:
    """Work out the situation from a daily case file.

    Args:
        path: the case file.
        settings: how.
        progress: told how far it is.

    Raises:
        InputError: a file or setting that cannot be used.
    """
    settings = settings or RtSettings()
    serial = _serial(settings)
    progress("read", 0, 3)
    series = _series(path, settings)
    people = _people(series, settings)
    notes = [f"{r.location}: {r.what}".removeprefix(": ") for r in series.repairs]
    weights = serial.weights()
    progress("estimate", 1, 3)
    smooth = _smoothed(series.values, settings.smoothing_d)
    posterior = estimate_rt(smooth, weights, window_d=min(settings.window_d, len(series.days)))
    growth = estimate_growth(series.values)
    wide = posterior.widened(np.nan_to_num(growth.overdispersion, nan=1.0))
    limit = settings.threshold_per_100k * people / 100_000.0
    progress("project", 2, 3)
    outlook = project_cases(series.values, weights, wide, np.nan_to_num(growth.overdispersion, nan=1.0), limit)
    shares, severity, about = _severity(settings, series.days[-1].item())
    notes += about
    notes += _lacking(series, people)
    places = tuple(_place(i, series, people, (posterior, wide), growth, outlook, shares, severity) for i in range(len(series.locations)))
    progress("project", 3, 3)
    return Situation(series.days[-1].item(), places, series, posterior, serial, settings, tuple(notes))


def _serial(settings: RtSettings) -> SerialInterval:
    if settings.disease not in SERIAL_INTERVALS:
        raise UnknownValueError(f"--disease {settings.disease}: must be one of {', '.join(SERIAL_INTERVALS)}")
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


def _series(path: Path, settings: RtSettings) -> DailySeries:
    if settings.gaps not in get_args(Gaps):
        raise UnknownValueError(f"--gaps {settings.gaps}: must be {' or '.join(get_args(Gaps))}")
    series = read_daily(path, ConvertSettings(source=settings.source, value_column=settings.value_column, border=settings.border))
    days, values = series.days, series.values
    if settings.until is not None:
        keep = days <= np.datetime64(settings.until, "D")
        if not keep.any():
            raise NothingFoundError(f"{path}: no day up to {settings.until}; it starts on {days[0]}")
        days, values = days[keep], values[keep]
    if len(days) < 2 * settings.window_d:
        raise NothingFoundError(f"{path}: {len(days)} days up to {days[-1]}; an estimate needs at least {2 * settings.window_d}")
    values = np.nan_to_num(values) if settings.gaps == "zero" else values
    if len(series.locations) == 1:
        return DailySeries(series.where, days, series.locations, series.names, values, series.repairs)
    whole = np.concatenate([values.sum(axis=1, keepdims=True), values], axis=1)
    return DailySeries(series.where, days, (TOTAL, *series.locations), ("all places", *series.names), whole, series.repairs)


def _lacking(series: DailySeries, people: Floats) -> list[str]:
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


def _people(series: DailySeries, settings: RtSettings) -> Floats:
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


def _smoothed(values: Floats, days: int) -> Floats:
    """Trailing means; the first days are means of what there is."""
    if days <= 1:
        return values
    padded = np.concatenate([np.full((days - 1, values.shape[1]), np.nan), values])
    windows = np.lib.stride_tricks.sliding_window_view(padded, days, axis=0)
    out = np.array(windows.mean(axis=-1))
    for row in range(min(days - 1, len(values))):
        out[row] = values[: row + 1].mean(axis=0)
    return out


def _severity(settings: RtSettings, day: date) -> tuple[Mapping[str, float] | None, Severity | None, list[str]]:
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


def _place(
    i: int,
    series: DailySeries,
    people: Floats,
    posteriors: tuple[RtPosterior, RtPosterior],
    growth: Growth,
    outlook: Outlook,
    shares: Mapping[str, float] | None,
    severity: Severity | None,
) -> PlaceSituation:
    cori, wide = posteriors
    week = float(np.nansum(series.values[-7:, i]))
    whole = bool(np.isfinite(series.values[-7:, i]).all())
    # Nobody ill is a rate of 0 among however many.
    rate = 0.0 if whole and week == 0 else 100_000.0 * week / people[i] if whole else math.nan
    rising = float(wide.probability_above(1.0)[-1, i])
    reach = float(outlook.probability[i])
    return PlaceSituation(
        location=series.locations[i],
        name=series.names[i],
        cases_7d=week,
        per_100k=_known(rate),
        rt=_known(cori.quantile(0.5)[-1, i]),
        rt_low=_known(wide.quantile(0.025)[-1, i]),
        rt_high=_known(wide.quantile(0.975)[-1, i]),
        probability_rising=_known(rising),
        growth_per_d=_known(growth.rate_per_d[i]),
        doubling_d=_known(growth.doubling_d[i]),
        next_7d=_known(outlook.median[i]),
        next_7d_low=_known(outlook.low[i]),
        next_7d_high=_known(outlook.high[i]),
        probability_threshold=_known(reach),
        risk=risk_level(rate, 0.5 if math.isnan(rising) else rising, 0.0 if math.isnan(reach) else reach),
        burden=expected_burden(week, shares, severity) if shares and severity else None,
    )


def _known(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def alerts_of(found: Situation) -> list[Alert]:
    """An alert for every place of level 3 or more, to hold for a week."""
    settings = found.settings
    sent = settings.sent or datetime.now(UTC)
    effective = datetime.combine(found.day, time(0), UTC)
    return [_alert(place, found, sent, effective) for place in found.places if place.risk >= ALERT_LEVEL and place.location != TOTAL]


def _alert(place: PlaceSituation, found: Situation, sent: datetime, effective: datetime) -> Alert:
    code = re.sub(r"[^A-Za-z0-9_-]", "_", place.location)
    level = NAMES[place.risk - 1]
    rt = "unknown" if place.rt is None else f"{place.rt:.2f} (95% {place.rt_low:.2f} to {place.rt_high:.2f})"
    rate = "" if place.per_100k is None else f", {place.per_100k:,.0f} per 100,000 inhabitants"
    reach = place.probability_threshold
    chance = "" if reach is None else f" {found.settings.threshold_per_100k:g} per 100,000 next week: {100 * reach:.0f}%."
    body = f"{place.cases_7d:,.0f} cases in the 7 days to {found.day}{rate}. Rt {rt}.{chance}"
    body_ko = f"{found.day}까지 7일간 확진 {place.cases_7d:,.0f}명. 재생산수 {rt}."
    return Alert(
        id=f"oneteam.epidemic.{found.day:%Y%m%d}.{code}",
        sender=found.settings.sender,
        sent=sent,
        status=cast("Status", found.settings.status),
        category="Health",
        event="Epidemic risk",
        urgency="Expected",
        severity=cap_severity(place.risk),
        certainty=cap_certainty(math.nan if place.probability_rising is None else place.probability_rising),
        effective=effective,
        expires=max(effective, sent) + timedelta(days=ALERT_DAYS),
        headline=Text(en=f"Epidemic risk {level}: {place.name}", ko=f"감염병 위험 {NAMES_KO[place.risk - 1]}: {place.name}"),
        description=Text(en=body, ko=body_ko),
        areas=(Entity(id=f"place.{code}", name=Text(en=place.name, ko=place.name), kind="place"),),
    )


def write_situation(found: Situation, out: Path, *, plots: bool = True) -> list[Path]:
    """Write ``situation.json``, ``situation.csv``, ``rt.csv``, ``alerts/*.xml`` and ``rt.png`` to a folder.

    Raises:
        MissingExtraError: pictures asked for and matplotlib is not installed.
        DiskFullError: no room.
    """
    written = [out / "situation.json", out / "situation.csv", out / "rt.csv"]
    write_atomically(written[0], json.dumps(found.as_dict(), ensure_ascii=False, indent=1).encode())
    rows = [
        {**{k: v for k, v in asdict(p).items() if k != "burden"}, "admissions_assumed": p.burden and p.burden.admissions}
        for p in found.places
    ]
    write_table(written[1], pa.Table.from_pylist(rows))
    write_table(written[2], rt_table(found))
    for alert in alerts_of(found):
        written.append(out / "alerts" / f"{alert.id}.xml")
        write_atomically(written[-1], cap_xml(alert))
    if plots:
        try:
            from oneteam.epidemic.drawing.rt import rt_chart
            from oneteam.epidemic.drawing.sheet import picture
        except ImportError as err:
            raise MissingExtraError("pictures need matplotlib", hint="Install oneteam[plot], or add --no-plots.") from err
        written.append(out / "rt.png")
        write_atomically(written[-1], picture(rt_chart(found.series, found.posterior, found.serial), ".png"))
    return written


def rt_table(found: Situation) -> pa.Table:
    """Reproduction number by day and place: Cori's posterior mean, median, 95% interval and the probability to be above 1."""
    posterior, series = found.posterior, found.series
    day, place = np.nonzero(np.isfinite(posterior.shape))
    columns = {
        "mean": posterior.mean,
        "low": posterior.quantile(0.025),
        "median": posterior.quantile(0.5),
        "high": posterior.quantile(0.975),
    }
    columns["probability_above_1"] = posterior.probability_above(1.0)
    return pa.table(
        {
            "day": pa.array(series.days[day], pa.date32()),
            "location": pa.array(np.array(series.locations, object)[place], pa.string()),
            "cases": pa.array(series.values[day, place]),
            **{name: pa.array(values[day, place]) for name, values in columns.items()},
        }
    )
