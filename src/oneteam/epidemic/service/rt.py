"""The situation from a daily case file: Rt, growth, outlook, hospital burden, risk level."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from oneteam.core.progress import Progress, silent
from oneteam.epidemic.hub.daily import DailySeries, WeeklySeries, add_up_weeks
from oneteam.epidemic.hub.target_data import WEEKDAYS
from oneteam.epidemic.reproduction.burden import Severity, expected_burden
from oneteam.epidemic.reproduction.cori import RtPosterior, estimate_rt
from oneteam.epidemic.reproduction.filtered import FilteredRt, filter_rt
from oneteam.epidemic.reproduction.growth import Growth, Outlook, estimate_growth, project_cases
from oneteam.epidemic.reproduction.risk import risk_level
from oneteam.epidemic.service.rt_files import alerts_of, filter_table, rt_table, write_situation
from oneteam.epidemic.service.rt_inputs import (
    TOTAL,
    RtSettings,
    daily_series,
    inhabitants,
    lacking_notes,
    serial_interval_of,
    severity_of,
    smoothed,
)
from oneteam.epidemic.service.rt_result import PlaceSituation, Situation

__all__ = ["PlaceSituation", "RtSettings", "Situation", "alerts_of", "filter_table", "rt_table", "situation", "write_situation"]

Floats = npt.NDArray[np.float64]


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
    serial = serial_interval_of(settings)
    progress("read", 0, 3)
    series = daily_series(path, settings)
    people = inhabitants(series, settings)
    notes = [f"{r.location}: {r.what}".removeprefix(": ") for r in series.repairs]
    weights = serial.weights()
    progress("estimate", 1, 3)
    smooth = smoothed(series.values, settings.smoothing_d)
    posterior = estimate_rt(smooth, weights, window_d=min(settings.window_d, len(series.days)))
    growth = estimate_growth(series.values)
    wide = posterior.widened(np.nan_to_num(growth.overdispersion, nan=1.0))
    limit = settings.threshold_per_100k * people / 100_000.0
    progress("project", 2, 3)
    outlook = project_cases(series.values, weights, wide, np.nan_to_num(growth.overdispersion, nan=1.0), limit)
    shares, severity, about = severity_of(settings, series.days[-1].item())
    notes += about
    notes += lacking_notes(series, people)
    places = tuple(_place(i, series, people, (posterior, wide), growth, outlook, shares, severity) for i in range(len(series.locations)))
    weekly, filtered = None, None
    if settings.method != "cori":
        weekly, filtered = _filtered(series, people, weights)
        places = tuple(_with_filter(place, i, filtered) for i, place in enumerate(places))
    progress("project", 3, 3)
    return Situation(series.days[-1].item(), places, series, posterior, serial, settings, tuple(notes), weekly, filtered)


def _filtered(series: DailySeries, people: Floats, weights: Floats) -> tuple[WeeklySeries, FilteredRt]:
    """Weeks that end on the last day, and the reproduction number in them; places together, their sum by itself."""
    weekly = add_up_weeks(series, WEEKDAYS[series.days[-1].item().weekday()])
    if series.locations[0] != TOTAL:
        return weekly, filter_rt(weekly.values, people, weights)
    parts = [filter_rt(weekly.values[:, which], people[which], weights) for which in (slice(0, 1), slice(1, None))]
    log_growth, sd = (np.concatenate([getattr(part, name) for part in parts], axis=1) for name in ("log_growth", "sd"))
    return weekly, FilteredRt(log_growth, sd, weights)


def _with_filter(place: PlaceSituation, i: int, filtered: FilteredRt) -> PlaceSituation:
    low, middle, high = (_known(filtered.quantile(level)[-1, i]) for level in (0.025, 0.5, 0.975))
    return replace(place, rt_filter=middle, rt_filter_low=low, rt_filter_high=high)


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
