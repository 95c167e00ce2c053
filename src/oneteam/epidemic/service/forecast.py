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
from oneteam.epidemic.service.backtest import BacktestReport, BacktestSettings, backtest, read_member
from oneteam.epidemic.service.files import forecast_path
from oneteam.epidemic.service.inputs import InputFiles, chosen_dates, read_inputs

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
    """

    reference_date: date
    target: str
    label: str
    path: Path
    forecasts: QuantileForecasts
    report: BacktestReport

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
            "path": str(self.path),
            "weights": self.report.weights,
            "forecasts": self.rows(),
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
    target = read_inputs(files).target
    day = chosen_dates(target, reference_date or "all")[-1]
    earlier = [d for d in target.reference_dates if d < day][-track:] if track > 0 else []
    dates = ",".join(d.isoformat() for d in [*earlier, day])
    report = backtest(files, out, replace(settings, reference_dates=dates), progress)
    found = read_member(out, ENSEMBLE, day)
    if found is None:
        why = "; ".join(f"{f.model}: {f.why}" for f in report.failures if f.reference_date == day)
        raise NothingFoundError(f"no forecast for {day}: {why}")
    return ForecastResult(day, target.target, report.label, forecast_path(out, ENSEMBLE, day), found, report)
