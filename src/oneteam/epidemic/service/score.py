"""Score forecast files against the truth and a baseline; tables, one JSON document, pictures."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from oneteam.core.errors import MissingExtraError, UnknownValueError
from oneteam.core.progress import Progress, silent
from oneteam.epidemic.hub.forecasts import QuantileForecasts
from oneteam.epidemic.hub.locations import Locations
from oneteam.epidemic.hub.target_data import Snapshot
from oneteam.epidemic.scoring.exceedance import ALERT_PROBABILITY, thresholds
from oneteam.epidemic.scoring.probabilities import ProbabilityScores, probability_scores
from oneteam.epidemic.scoring.rate_change import LIMITS
from oneteam.epidemic.scoring.summary import ScoreRow, broken_down, overall, pairwise, pit_histogram
from oneteam.epidemic.scoring.tasks import Alignment, align
from oneteam.epidemic.service.files import read_forecasts, read_locations, read_table, read_target_data
from oneteam.epidemic.service.outputs import check_folder
from oneteam.stats.scoring import Reliability
from oneteam.store.result_files import write_table
from oneteam.store.tables import write_atomically

Floats = npt.NDArray[np.float64]

ONE_FILE: Final = (".json", ".csv", ".parquet")
"""What a report may be written to instead of a folder."""


@dataclass(frozen=True)
class ScoreSettings:
    """What is scored, and how.

    Args:
        target: which target; the baseline's only one when None.
        threshold: ``q0.75`` or counts per 100,000 inhabitants.
        alert_probability: from which a forecast alerts.
        rate_change_limits: season whose category limits apply; ``auto`` for those in force on the first reference date.
        allow_missing: score what is there instead of refusing incomplete forecasts.
    """

    target: str | None = None
    threshold: str = "q0.75"
    alert_probability: float = ALERT_PROBABILITY
    rate_change_limits: str = "auto"
    allow_missing: bool = False


@dataclass(frozen=True)
class Report:
    """Everything that was scored.

    Args:
        rows: one for each model, best first.
        tables: ``by_horizon``, ``by_location``, ``by_week``.
        probabilities: by model: threshold exceedance, rate-change categories and alerts.
        pit: shares by tenth of the probability integral transform, by model.
        curves: reliability of threshold exceedance, by model.
        about: target, period, number of tasks, rules, and what the reader should know.
        pairwise: relative WIS by pairwise comparison, by model.
        category_curves: reliability of rate-change categories, by model and category.
    """

    rows: list[ScoreRow]
    tables: Mapping[str, pa.Table]
    probabilities: Mapping[str, Mapping[str, Any]]
    pit: Mapping[str, Floats]
    curves: Mapping[str, Reliability]
    about: Mapping[str, Any]
    pairwise: Mapping[str, float] = field(default_factory=dict)
    category_curves: Mapping[str, Mapping[str, Reliability]] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """The report as one JSON document; numbers that are not finite become null."""
        models = []
        for row in self.rows:
            body: dict[str, Any] = asdict(row)
            if row.model in self.pairwise:
                body["pairwise_relative_wis"] = self.pairwise[row.model]
            if row.model in self.pit:
                body["pit_histogram"] = [round(float(x), 6) for x in self.pit[row.model]]
            body |= self.probabilities.get(row.model, {})
            models.append(body)
        tables = {name: [_plain(row) for row in table.to_pylist()] for name, table in self.tables.items()}
        whole: dict[str, Any] = _plain({**self.about, "models": models, **tables})
        return whole

    def summary_table(self) -> pa.Table:
        """One row for each model."""
        extra = [{"pairwise_relative_wis": self.pairwise.get(row.model)} if self.pairwise else {} for row in self.rows]
        return pa.Table.from_pylist([{**asdict(row), **more} for row, more in zip(self.rows, extra, strict=True)])


def _plain(value: Any) -> Any:
    match value:
        case dict():
            return {str(k): _plain(v) for k, v in value.items()}
        case list() | tuple():
            return [_plain(v) for v in value]
        case float():
            return value if math.isfinite(value) else None
        case _:
            return value if isinstance(value, int | str | bool | None) else str(value)


def score(
    forecasts: Path,
    truth: Path,
    baseline: Path | None,
    locations: Path | None = None,
    settings: ScoreSettings | None = None,
    progress: Progress = silent,
) -> Report:
    """Score a forecast file, or every model of a folder.

    Args:
        forecasts: file, or folder of models.
        truth: target data; of several vintages the newest value counts.
        baseline: forecasts of one model; its tasks are scored.
        locations: with population, for rate-change categories and thresholds as rates.
        settings: which target, which thresholds.
        progress: told how far it is.

    Raises:
        MissingTaskError: a task of the baseline is missing or not finite.
        NothingFoundError: nothing to score.
        InputError: a file that cannot be read as what it should be.
    """
    settings = settings or ScoreSettings()
    if settings.rate_change_limits not in {"auto", *LIMITS}:
        raise UnknownValueError(f"--rate-change {settings.rate_change_limits}: must be one of auto, {', '.join(LIMITS)}")
    steps = 4
    progress("read", 0, steps)
    base = _one_model(baseline, settings.target) if baseline else None
    target = settings.target or (_only_target(base[0], base[1]) if base else None)
    models = read_forecasts(forecasts, target=target)
    if target is None:
        target = _only_target(*next(iter(models.items())))
    known = read_target_data(truth, target=_truth_target(truth, target)).final()
    progress("score", 1, steps)
    alignment = align(models, known, base, allow_missing=settings.allow_missing)
    places = read_locations(locations) if locations else None
    if settings.rate_change_limits == "auto":
        settings = replace(settings, rate_change_limits=_season(alignment))
    progress("probabilities", 2, steps)
    probabilities, words = _probabilities(alignment, known, places, settings)
    progress("tables", 3, steps)
    tables = {
        "by_horizon": broken_down(alignment, "horizon"),
        "by_location": broken_down(alignment, "location"),
        "by_week": broken_down(alignment, "reference_date"),
    }
    pit = {name: pit_histogram(scored) for name, scored in alignment.models.items()}
    about = {
        **_about(alignment, target),
        "threshold": words,
        "alert_probability": settings.alert_probability,
        "notes": list(alignment.notes),
    }
    if places is not None:
        about["rate_change_limits"] = settings.rate_change_limits
    progress("tables", 4, steps)
    return Report(
        overall(alignment),
        tables,
        {name: found.body for name, found in probabilities.items()},
        pit,
        {name: found.exceedance for name, found in probabilities.items() if found.exceedance is not None},
        about,
        pairwise(alignment),
        {name: found.categories for name, found in probabilities.items() if found.categories},
    )


def _one_model(path: Path, target: str | None) -> tuple[str, QuantileForecasts]:
    found = read_forecasts(path, target=target)
    if len(found) > 1:
        raise UnknownValueError(f"--baseline {path}: holds {len(found)} models ({', '.join(found)}); give the folder or file of one")
    return next(iter(found.items()))


def _only_target(model: str, forecasts: QuantileForecasts) -> str:
    names = sorted(set(forecasts.target.tolist()))
    if len(names) > 1:
        raise UnknownValueError(f"{model}: forecasts {len(names)} targets: {', '.join(names)}", hint="Choose one with --target.")
    return str(names[0])


def _truth_target(path: Path, target: str) -> str | None:
    """The target's name in the truth: the same where the truth names any, else unnamed."""
    return target if "target" in read_table(path).column_names else None


def _season(alignment: Alignment) -> str:
    first = alignment.baseline or next(iter(alignment.models.values()))
    return "2023-24" if first.forecasts.reference_date.min() < np.datetime64("2024-08-01") else "2024-25"


def _about(alignment: Alignment, target: str) -> dict[str, Any]:
    first = alignment.baseline or next(iter(alignment.models.values()))
    days = first.forecasts.reference_date
    return {
        "target": target,
        "baseline": alignment.baseline.model if alignment.baseline else None,
        "tasks": len(first.observed),
        "tasks_without_outcome": alignment.unobserved,
        "locations": len(set(first.forecasts.location.tolist())),
        "first_reference_date": str(days.min()),
        "last_reference_date": str(days.max()),
        "horizons": sorted(set(first.forecasts.horizon.tolist())),
    }


def _probabilities(
    alignment: Alignment, truth: Snapshot, places: Locations | None, settings: ScoreSettings
) -> tuple[dict[str, ProbabilityScores], str]:
    """By model, the baseline included; and the threshold in words."""
    every = dict(alignment.models)
    if alignment.baseline is not None:
        every[alignment.baseline.model] = alignment.baseline
    first = min(scored.forecasts.reference_date.min() for scored in every.values())
    limits, words = thresholds(settings.threshold, truth, first, places)
    categories = LIMITS[settings.rate_change_limits]
    at = settings.alert_probability
    return {name: probability_scores(scored, limits, truth, places, categories, alert_at=at) for name, scored in every.items()}, words


def write_report(report: Report, out: Path, *, plots: bool = True) -> list[Path]:
    """Write a report: one table for a ``.json``, ``.csv`` or ``.parquet`` file, everything for a folder.

    A folder gets ``scores.json``, ``summary.csv``, ``by_horizon.csv``, ``by_location.csv``, ``by_week.csv`` and the pictures.

    Raises:
        UnknownValueError: neither a folder nor one of these files.
        MissingExtraError: pictures asked for and matplotlib is not installed.
        DiskFullError: no room.
    """
    check_folder(out, files=ONE_FILE)
    content = json.dumps(report.as_dict(), ensure_ascii=False, indent=1).encode()
    if out.suffix in ONE_FILE and not out.is_dir():
        if out.suffix == ".json":
            write_atomically(out, content)
        else:
            write_table(out, report.summary_table())
        return [out]
    written = [out / "scores.json", out / "summary.csv"]
    write_atomically(written[0], content)
    write_table(written[1], report.summary_table())
    for name, table in report.tables.items():
        written.append(out / f"{name}.csv")
        write_table(written[-1], table)
    return written + (_draw(report, out) if plots else [])


def _draw(report: Report, out: Path) -> list[Path]:
    try:
        from oneteam.epidemic.drawing.scores import calibration_chart, category_chart, place_chart, relative_chart, reliability_chart
        from oneteam.epidemic.drawing.sheet import picture
    except ImportError as err:
        raise MissingExtraError("pictures need matplotlib", hint="Install oneteam[plot], or add --no-plots.") from err
    about = report.about
    relative = about["baseline"] is not None
    words = f"{about['target']}, {about['first_reference_date']} to {about['last_reference_date']}, {about['tasks']:,} tasks"
    figures = {
        "by_horizon_and_week.png": relative_chart(report.tables["by_horizon"], report.tables["by_week"], words, relative=relative),
        "calibration.png": calibration_chart(report.rows, report.pit, words),
        "by_location.png": place_chart(report.tables["by_location"], words, relative=relative),
    }
    if report.curves:
        figures["reliability.png"] = reliability_chart(report.curves, f"Threshold: {about['threshold']}")
    if report.category_curves:
        figures["reliability-rate-change.png"] = category_chart(report.category_curves, f"{words}; limits of {about['rate_change_limits']}")
    for name, figure in figures.items():
        write_atomically(out / name, picture(figure, Path(name).suffix))
    return [out / name for name in figures]
