"""Forecast the newest date, with weights and spread learned from the dates before it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from oneteam.core.errors import NothingFoundError
from oneteam.core.progress import Progress, silent
from oneteam.epidemic.forecasting.members import ENSEMBLE
from oneteam.epidemic.hub.forecasts import QuantileForecasts
from oneteam.epidemic.hub.levels import LEVELS
from oneteam.epidemic.hub.target_data import WEEK_D
from oneteam.epidemic.service.backtest import BacktestReport, BacktestSettings, backtest
from oneteam.epidemic.service.files import forecast_path
from oneteam.epidemic.service.inputs import InputFiles, chosen_dates
from oneteam.epidemic.service.output import read_member

_SHOWN = {"low_95": 0.025, "low_50": 0.25, "median": 0.5, "high_50": 0.75, "high_95": 0.975}


@dataclass(frozen=True)
class ForecastResult:
    """The forecast of one date.

    Args:
        reference_date: of the forecast.
        target: what is forecast.
        label: ``vintage`` or ``revised data``.
        path: the combination's file.
        forecasts: its quantiles.
        report: of all dates that were run.
        lag_weeks: from the newest week of the data to the reference date.
    """

    reference_date: date
    target: str
    label: str
    path: Path
    forecasts: QuantileForecasts
    report: BacktestReport
    lag_weeks: int

    def rows(self) -> list[dict[str, object]]:
        """Median and central intervals by place and week."""
        at = {name: LEVELS.index(level) for name, level in _SHOWN.items()}
        return [
            {"location": location, "week ending": str(day + timedelta(days=WEEK_D * horizon))}
            | {name: round(float(values[i]), 1) for name, i in at.items()}
            for (day, horizon, location, _), values in zip(self.forecasts.tasks(), self.forecasts.values, strict=True)
        ]

    def as_dict(self) -> dict[str, Any]:
        """For ``--json``."""
        return {
            "reference_date": str(self.reference_date),
            "target": self.target,
            "label": self.label,
            "lag_weeks": self.lag_weeks,
            "path": str(self.path),
            "weights": self.report.weights,
            "forecasts": self.rows(),
            "notes": list(self.report.notes),
            "failures": self.report.as_dict()["failures"],
        }


def forecast_now(
    files: InputFiles,
    out: Path,
    settings: BacktestSettings,
    reference_date: str | None = None,
    track: int = 12,
    progress: Progress = silent,
) -> ForecastResult:
    """Forecast one date.

    Data without vintages get the lag of that date on all earlier dates too, so that weights and spread are learned at the distance at which
    they are used.

    Args:
        files: the data.
        out: output folder, as of `backtest`.
        settings: horizons, members, seed; its dates are ignored.
        reference_date: the newest of the data when None.
        track: earlier dates that are run too.
        progress: told how far it is.

    Raises:
        NothingFoundError: the date cannot be forecast; every reason is in the message.
        OneteamError: as of `backtest`.
    """
    inputs = settings.read(files)
    target = inputs.target
    day = chosen_dates(target, reference_date or "all", inputs.lag_weeks)[-1]
    lag_weeks = inputs.snapshot(day).lag_weeks
    if not target.has_vintages:
        settings = replace(settings, lag_weeks=lag_weeks)
    earlier = [d for d in target.reference_dates_at(lag_weeks) if d < day][-track:] if track > 0 else []
    dates = ",".join(d.isoformat() for d in [*earlier, day])
    report = backtest(files, out, replace(settings, reference_dates=dates), progress)
    found = read_member(out, ENSEMBLE, day)
    if found is None:
        why = "; ".join(f"{f.model}: {f.why}" for f in report.failures if f.reference_date == day)
        raise NothingFoundError(f"no forecast for {day}: {why}")
    return ForecastResult(day, target.target, report.label, forecast_path(out, ENSEMBLE, day), found, report, lag_weeks)
