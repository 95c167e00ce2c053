"""What a situation is: every place on the last day of the data."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from datetime import date
from typing import Any

from oneteam.epidemic.hub.daily import DailySeries, WeeklySeries
from oneteam.epidemic.reproduction.burden import Burden
from oneteam.epidemic.reproduction.cori import RtPosterior
from oneteam.epidemic.reproduction.filtered import FilteredRt
from oneteam.epidemic.reproduction.risk import NAMES
from oneteam.epidemic.reproduction.serial_interval import SerialInterval
from oneteam.epidemic.service.rt_inputs import (
    RtSettings,
)


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
        rt_filter: median of the reproduction number by the filter, where it was asked for.
        rt_filter_low: 2.5% quantile.
        rt_filter_high: 97.5% quantile.
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
    rt_filter: float | None = None
    rt_filter_low: float | None = None
    rt_filter_high: float | None = None


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
        weekly: counts by week, the last one ending on the day; None where the filter was not asked for.
        filtered: the reproduction number by week and place, as the filter has it; None likewise.
    """

    day: date
    places: tuple[PlaceSituation, ...]
    series: DailySeries
    posterior: RtPosterior
    serial: SerialInterval
    settings: RtSettings
    notes: tuple[str, ...] = field(default=())
    weekly: WeeklySeries | None = None
    filtered: FilteredRt | None = None

    def as_dict(self) -> dict[str, Any]:
        """For ``--json``."""
        serial = asdict(self.serial)
        return {
            "day": str(self.day),
            "method": self.settings.method,
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
                **self._numbers(p),
                "P(rising)": p.probability_rising,
                "doubling [d]": p.doubling_d,
                "P(threshold)": p.probability_threshold,
                "risk": f"{p.risk} {NAMES[p.risk - 1]}",
                "admissions (assumed)": p.burden.admissions if p.burden else None,
            }
            for p in self.places
        ]

    def _numbers(self, p: PlaceSituation) -> dict[str, object]:
        """The reproduction number by the method that was asked for, or by both."""
        by_method = {
            "cori": {"Rt": None if p.rt is None else f"{p.rt:.2f} ({p.rt_low:.2f}-{p.rt_high:.2f})"},
            "filter": {"Rt (filter)": None if p.rt_filter is None else f"{p.rt_filter:.2f} ({p.rt_filter_low:.2f}-{p.rt_filter_high:.2f})"},
        }
        return {k: v for name, column in by_method.items() if self.settings.method in {name, "both"} for k, v in column.items()}
