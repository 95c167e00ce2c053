"""Where the truth is known: how right the study was. Nothing before this step reads it."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from datetime import date
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from scipy.stats import spearmanr

from oneteam.app.study.analysis import BASELINE, DATA, FORECASTS, IMPORTATION
from oneteam.app.study.folder import StudyFolder, read_json
from oneteam.app.study.inputs import Sources
from oneteam.app.study.mobility import read_trips_of
from oneteam.app.study.places import Zones
from oneteam.app.study.releases import Answers
from oneteam.app.study.settings import StudyFile
from oneteam.core.errors import OneteamError
from oneteam.core.progress import Progress
from oneteam.epidemic.forecasting.members import ENSEMBLE
from oneteam.epidemic.service.convert import LOCATIONS_FILE, TARGET_FILE, ConvertSettings, convert
from oneteam.epidemic.service.files import forecast_path, read_table
from oneteam.epidemic.service.score import ScoreSettings, score
from oneteam.privacy.combine import level_values
from oneteam.privacy.levels import domain_of_query, parse_level

Floats = npt.NDArray[np.float64]

TRUTH: Final = "truth"
TRUTH_FILE: Final = "truth.json"


def compare_with_truth(
    study: StudyFile, sources: Sources, folder: StudyFolder, zones: Zones, answers: Answers, reference_date: date, progress: Progress
) -> dict[str, Any]:
    """Write ``truth/truth.json``: forecast, trips and importation against what happened, and what it cost in privacy."""
    given = study.truth
    assert given is not None
    body: dict[str, Any] = {"format": "oneteam-truth/1"}
    parts: tuple[tuple[str, str | None, Callable[[Path], dict[str, Any]]], ...] = (
        ("forecast", given.cases, lambda path: _forecast(study, path, sources, folder, reference_date)),
        ("od", given.od, lambda path: _trips(path, folder, zones, answers, study.mobility.trips_per_counted)),
        ("importation", given.travel, lambda path: _importation(path, folder)),
    )
    for number, (name, file, compare) in enumerate(parts):
        progress(name, number, len(parts))
        if file is None:
            continue
        try:
            body[name] = compare(sources.need(file))
        except OneteamError as err:
            body[name] = {"not_compared": err.message}
    releases = [one.release for one in answers.asked]
    body["privacy"] = {
        "releases": len(releases),
        "rho": sum(release.rho for release in releases),
        "largest_epsilon": max((release.epsilon for release in releases), default=0.0),
        "by_measure": {
            name: sum(r.rho for r in releases if r.query.measure == name) for name in sorted({r.query.measure for r in releases})
        },
    }
    folder.write_json(folder.path(TRUTH, TRUTH_FILE), body)
    return body


def _forecast(study: StudyFile, cases: Path, sources: Sources, folder: StudyFolder, day: date) -> dict[str, Any]:
    """The study's own forecast, and the baseline's, scored on the weeks that came after it."""
    settings = ConvertSettings(
        source=study.cases.source,
        week_end=study.cases.week_end,
        border=study.cases.border,
        population=sources.need(study.places.zones),
        population_code=study.places.place_code,
        aggregate=study.places.aggregate,
    )
    convert(cases, folder.path(TRUTH, DATA), settings)
    folder.path(TRUTH, DATA, "report.json").unlink(missing_ok=True)
    files = folder.path(FORECASTS)
    report = score(
        forecast_path(files, ENSEMBLE, day),
        folder.path(TRUTH, DATA, TARGET_FILE),
        forecast_path(files, BASELINE, day),
        folder.path(DATA, LOCATIONS_FILE),
        ScoreSettings(threshold=study.forecast.threshold, allow_missing=True),
    )
    row = next(row for row in report.rows if row.model == ENSEMBLE)
    names = ("wis", "relative_wis", "relative_log_wis", "coverage_50", "coverage_80", "coverage_95", "tasks")
    told = {name: _known(getattr(row, name)) for name in names}
    return {"reference_date": str(day), **told, "by_horizon": _rows(report.tables["by_horizon"])}


def _rows(table: pa.Table) -> list[dict[str, Any]]:
    kept = [
        name for name in ("model", "horizon", "tasks", "wis", "relative_wis", "coverage_50", "coverage_95") if name in table.column_names
    ]
    return [{name: _known(row[name]) for name in kept} for row in table.to_pylist() if row.get("model", ENSEMBLE) == ENSEMBLE]


def _trips(path: Path, folder: StudyFolder, zones: Zones, answers: Answers, scale: float) -> dict[str, Any]:
    """Trips per day over all periods of the Releases, and those that people really made.

    Carriers see a share of all trips: the level is told apart from the pattern, which is compared after both have the same sum.
    """
    trips = read_trips_of(folder, zones.codes)
    table = read_table(path)
    index = pa.array(zones.codes)
    off = ~np.eye(len(zones.codes), dtype=bool)
    weeks, sums = [], {"truth": 0.0, "estimate": 0.0}
    totals = [np.zeros(off.shape) for _ in range(2)]
    for number, (first, days) in enumerate(zip(trips.firsts, trips.days, strict=True)):
        true = _true_trips(table, first, days, index)
        if true is None:
            continue
        found = trips.mean[number]
        raw, sigma = _raw(answers, first, zones, scale)
        weeks.append({"first_day": str(first), "days": days, **_compared(found[off], true[off], raw[off], sigma)})
        totals[0] += true * days
        totals[1] += found * days
        sums["truth"] += float(true[off].sum()) * days
        sums["estimate"] += float(found[off].sum()) * days
    if not weeks:
        return {"not_compared": "the truth has no day of the Releases' periods"}
    whole = _compared(totals[1][off], totals[0][off], None, 0.0)
    mean = {
        name: float(np.mean([w[name] for w in weeks if w[name] is not None])) if any(w[name] is not None for w in weeks) else None
        for name in ("correlation", "raw_correlation", "error", "raw_error", "noise_share_of_raw_error")
    }
    return {"seen_share": sums["estimate"] / max(sums["truth"], 1e-9), "all_periods": whole, "mean_of_periods": mean, "periods": weeks}


def _true_trips(table: pa.Table, first: date, days: int, index: pa.Array) -> Floats | None:
    day = table["day"].cast(pa.date32()).to_numpy(zero_copy_only=False).astype("datetime64[D]")
    low = np.datetime64(first, "D")
    rows = table.filter(pa.array((day >= low) & (day < low + days)))
    if not rows.num_rows:
        return None
    a, b = (pc.fill_null(pc.index_in(rows[name], index), -1).to_numpy() for name in ("origin", "destination"))
    keep = (a >= 0) & (b >= 0)
    true = np.zeros((len(index), len(index)))
    np.add.at(true, (a[keep], b[keep]), rows["trips"].to_numpy()[keep] / days)
    return true


def _raw(answers: Answers, first: date, zones: Zones, scale: float) -> tuple[Floats, float]:
    """The noised counts as they came, per day, and the standard deviation of their noise."""
    one = next(each for each in answers.of("od") if each.query.first_day == first)
    finest = one.release.levels[0]
    codes = domain_of_query(one.query, one.agreement).codes_of(parse_level(finest.level))
    counts = level_values(finest).astype(np.float64).reshape(tuple(len(of) for of in codes.values()))
    others = tuple(i for i, name in enumerate(codes) if name not in {"origin", "destination"})
    counts = counts.sum(axis=others)
    if list(codes).index("origin") > list(codes).index("destination"):
        counts = counts.T
    raw = np.zeros((len(zones.codes),) * 2)
    raw[np.ix_(*([zones.codes.index(code) for code in codes[name]] for name in ("origin", "destination")))] = counts
    days = (one.query.last_day - one.query.first_day).days + 1
    return raw * scale / days, finest.sigma * (finest.cells / counts.size) ** 0.5 * scale / days


def _compared(found: Floats, true: Floats, raw: Floats | None, sigma: float) -> dict[str, Any]:
    """How far a table is from the truth once both have the same sum: error as a share of all trips."""

    def error(table: Floats) -> float | None:
        total = table.sum()
        return float(np.abs(table * true.sum() / total - true).sum() / max(true.sum(), 1e-9)) if total > 0 else None

    told: dict[str, Any] = {"correlation": _correlation(found, true), "error": error(found)}
    if raw is not None:
        level = true.sum() / max(found.sum(), 1e-9)
        squared = float(((raw * level - true) ** 2).sum())
        told |= {
            "raw_correlation": _correlation(raw, true),
            "raw_error": error(raw),
            "noise_std_per_day": sigma,
            "noise_share_of_raw_error": min(1.0, (sigma * level) ** 2 * true.size / squared) if squared > 0 else None,
        }
    return told


def _correlation(a: Floats, b: Floats) -> float | None:
    return float(np.corrcoef(a, b)[0, 1]) if a.std() > 0 and b.std() > 0 else None


def _importation(path: Path, folder: StudyFolder) -> dict[str, Any]:
    """The ranking of origins against true infections brought home in the same weeks."""
    told = read_json(folder.path(IMPORTATION, "importation.json"))
    if not told["identifiable"]:
        return {"not_compared": "the study could not tell origins apart"}
    weeks = [date.fromisoformat(row["week ending"]) for row in told["weeks"]]
    first, last = np.datetime64(weeks[0], "D") - 6, np.datetime64(weeks[-1], "D")
    table = read_table(path)
    back = table["return"].cast(pa.date32()).to_numpy(zero_copy_only=False).astype("datetime64[D]")
    infected = np.asarray(table["infected"].to_numpy(zero_copy_only=False), bool)
    rows = table.filter(pa.array(infected & (back >= first) & (back <= last)))
    origins = [row["origin"] for row in told["origins"]]
    came = rows["country"].to_pylist()
    true = [came.count(origin) for origin in origins]
    expected = [row["mean"] for row in told["origins"]]
    return {
        "spearman": _spearman(expected, true),
        "true_infected": len(came),
        "origins": [{"origin": o, "expected": e, "true": t} for o, e, t in zip(origins, expected, true, strict=True)],
    }


def _spearman(a: Sequence[float], b: Sequence[float]) -> float | None:
    if len(a) < 3 or len(set(a)) < 2 or len(set(b)) < 2:
        return None
    return float(spearmanr(a, b).statistic)


def _known(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value
