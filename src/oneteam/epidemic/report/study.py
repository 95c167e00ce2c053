"""What a report is made from: forecasts and their past, the situation, importation, a scenario, repairs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
from shapely.geometry.base import BaseGeometry

from oneteam.core.model import Text
from oneteam.epidemic.engine.scenario import Scenario
from oneteam.epidemic.hub.forecasts import QuantileForecasts
from oneteam.epidemic.hub.levels import LEVELS
from oneteam.epidemic.hub.target_data import Snapshot
from oneteam.epidemic.scoring.exceedance import exceedance_probability

Days = npt.NDArray[np.datetime64]
Floats = npt.NDArray[np.float64]
Shapes = Mapping[str, BaseGeometry]

LOW, MIDDLE, HIGH = LEVELS.index(0.025), LEVELS.index(0.5), LEVELS.index(0.975)
PER = 100_000.0


@dataclass(frozen=True)
class Place:
    """A place of the forecast.

    Args:
        code: as in the forecasts.
        name: in both languages, where the shapes tell it.
        population: persons; NaN where unknown.
    """

    code: str
    name: Text
    population: float


@dataclass(frozen=True)
class Outlook:
    """What is expected of a place in the week that is asked about.

    Args:
        place: which.
        last: count of the newest known week; NaN where unknown.
        low: 2.5% quantile of the forecast count.
        median: of it.
        high: 97.5% quantile.
        probability: that the threshold is reached; None where the place has none.
        before: the same as it was forecast one week earlier for a week earlier; None without such a forecast.
        rising: probability of more than in the newest known week; NaN where that is unknown.
    """

    place: Place
    last: float
    low: float
    median: float
    high: float
    probability: float | None
    before: float | None
    rising: float

    @property
    def change(self) -> float | None:
        """Of the probability since last week."""
        return None if self.probability is None or self.before is None else self.probability - self.before

    def rate(self, value: float) -> float:
        """A count per 100,000 inhabitants."""
        return PER * value / self.place.population


@dataclass(frozen=True)
class RtSeries:
    """Reproduction number of one place by day: median and 95% interval."""

    days: Days
    low: Floats
    median: Floats
    high: Floats
    cases: Floats


@dataclass(frozen=True)
class Imports:
    """Imported cases.

    Args:
        identifiable: whether it is known who came from where.
        weeks: week ends.
        observed: imports found, NaN where unknown.
        quantiles: forecast a week before: 2.5%, 50%, 97.5%; NaN where none, shape (weeks, 3).
        origins: rows of `rank_origins`, most first.
        measures: rows of border measures.
        scores: of the national totals.
        notes: what the reader should know.
        period: first and last day on which those of ``origins`` arrived; None where the file does not say.
    """

    identifiable: bool
    weeks: Days
    observed: Floats
    quantiles: Floats
    origins: Sequence[Mapping[str, Any]]
    measures: Sequence[Mapping[str, Any]]
    scores: Mapping[str, float]
    notes: Sequence[str]
    period: tuple[date, date] | None = None

    @property
    def last_observed(self) -> date | None:
        """The end of the newest week whose imports are known."""
        known = np.flatnonzero(np.isfinite(self.observed))
        return self.weeks[known[-1]].item() if len(known) else None


@dataclass(frozen=True)
class WhatIf:
    """A scenario and what it changes.

    Args:
        scenario: the document.
        averted: by quantity, as in ``comparison.json``.
        variants: what is averted of the first quantity, in the same scenario under other assumptions, by their name.
        days: of the curves.
        curves: infections by day, without and with the measures: 5%, 25%, 50%, 75%, 95% quantiles, shape (days, 5).
        by_zone: mean of the first quantity without, and averted, by zone.
        first_quantity: its name.
        notes: assumptions and repairs.
    """

    scenario: Scenario
    averted: Mapping[str, Mapping[str, Any]]
    variants: Mapping[str, Mapping[str, Any]]
    days: Days
    curves: tuple[Floats, Floats]
    by_zone: Mapping[str, tuple[float, float]]
    first_quantity: str
    notes: Sequence[str]


@dataclass(frozen=True)
class Note:
    """A documented repair or assumption.

    Args:
        source: in which step.
        what: in words.
    """

    source: Text
    what: Text


@dataclass(frozen=True)
class Source:
    """A file that the report rests on.

    Args:
        what: its role.
        name: of the file.
        last: the last day it tells about; None where it has no time.
        sha256: of its bytes.
    """

    what: Text
    name: str
    last: date | None
    sha256: str


@dataclass(frozen=True)
class Study:
    """All that a report says.

    Args:
        title: of the report.
        counted: what is counted, in plural, such as cases.
        places: those that are ranked; the sum over all is not among them.
        whole: the sum over all, where it is forecast.
        known: what was known on the reference date.
        truth: the newest values, by which past forecasts are judged.
        model: whose forecasts.
        forecasts: of all reference dates.
        reference_date: of the forecast that is reported.
        horizon: weeks ahead that are asked about.
        limits: threshold of each place, in counts.
        rule: the threshold in words.
        rule_in_scores: the same as ``scores.json`` puts it.
        label: ``vintage`` or ``revised data``.
        scores: of past forecasts, as in ``scores.json``; None without.
        situation: as in ``situation.json``; None without.
        rt: by code.
        imports: None without.
        what_if: None without.
        shapes: of the places.
        districts: shapes of the scenario's zones, where they are wanted on a map.
        district_names: by code.
        notes: repairs and assumptions.
        sources: files.
    """

    title: Text
    counted: Text
    places: tuple[Place, ...]
    whole: Place | None
    known: Snapshot
    truth: Snapshot
    model: str
    forecasts: QuantileForecasts
    reference_date: date
    horizon: int
    limits: Mapping[str, float]
    rule: Text
    rule_in_scores: str
    label: str
    scores: Mapping[str, Any] | None
    situation: Mapping[str, Any] | None
    rt: Mapping[str, RtSeries]
    imports: Imports | None
    what_if: WhatIf | None
    shapes: Shapes
    districts: Shapes
    district_names: Mapping[str, Text]
    notes: tuple[Note, ...]
    sources: tuple[Source, ...]

    @cached_property
    def row_of(self) -> Mapping[tuple[date, int, str], int]:
        """Row of the forecasts by reference date, horizon and place."""
        return {(day, horizon, code): i for i, (day, horizon, code, _) in enumerate(self.forecasts.tasks())}

    @cached_property
    def horizons(self) -> tuple[int, ...]:
        """Weeks ahead of the reported forecast."""
        return tuple(sorted({h for day, h, _ in self.row_of if day == self.reference_date}))

    @cached_property
    def dates(self) -> tuple[date, ...]:
        """Reference dates up to the reported one."""
        return tuple(sorted({day for day, _, _ in self.row_of if day <= self.reference_date}))

    @property
    def previous_date(self) -> date | None:
        """The reference date one week before, if it was forecast."""
        earlier = [day for day in self.dates if (self.reference_date - day).days == 7]
        return earlier[0] if earlier else None

    def quantiles(self, day: date, horizon: int, code: str) -> Floats | None:
        """The 23 quantiles of one task."""
        row = self.row_of.get((day, horizon, code))
        return None if row is None else self.forecasts.values[row]

    def series(self, code: str) -> Floats:
        """Newest counts of a place by `truth.weeks`."""
        return np.asarray(self.truth.values[:, self.truth.locations.index(code)])

    def reported(self, code: str) -> Floats:
        """Counts of a place as known on the reference date, by `known.weeks`."""
        return np.asarray(self.known.values[:, self.known.locations.index(code)])

    def named(self, code: str) -> Text:
        """A place's name."""
        everywhere = (*self.places, *((self.whole,) if self.whole else ()))
        return next((p.name for p in everywhere if p.code == code), Text(en=code, ko=code))

    @cached_property
    def outlooks(self) -> tuple[Outlook, ...]:
        """All places, the likeliest to reach their threshold first, then those with the highest rate."""
        found = [o for place in self.places if (o := self.outlook(place)) is not None]
        rate = {o.place.code: o.rate(o.median) if o.place.population > 0 else 0.0 for o in found}
        return tuple(sorted(found, key=lambda o: (-1.0 if o.probability is None else o.probability, rate[o.place.code]), reverse=True))

    def outlook(self, place: Place) -> Outlook | None:
        """What is expected of a place; None without a forecast."""
        quantiles = self.quantiles(self.reference_date, self.horizon, place.code)
        if quantiles is None:
            return None
        reported = self.reported(place.code)
        reported = reported[np.isfinite(reported)]
        last = float(reported[-1]) if len(reported) else float("nan")
        before = self._probability(self.previous_date, place.code) if self.previous_date else None
        rising = self._above(self.reference_date, place.code, last + 1) if np.isfinite(last) else float("nan")
        return Outlook(
            place,
            last,
            float(quantiles[LOW]),
            float(quantiles[MIDDLE]),
            float(quantiles[HIGH]),
            self._probability(self.reference_date, place.code),
            before,
            float("nan") if rising is None else rising,
        )

    def _probability(self, day: date, code: str) -> float | None:
        limit = self.limits.get(code)
        return None if limit is None else self._above(day, code, limit)

    def _above(self, day: date, code: str, limit: float) -> float | None:
        row = self.row_of.get((day, self.horizon, code))
        return None if row is None else float(exceedance_probability(self.forecasts.take(np.array([row])), limit)[0])

    @property
    def score_row(self) -> Mapping[str, Any] | None:
        """The reported model's scores."""
        rows = self.scores["models"] if self.scores else []
        return next((row for row in rows if row["model"] == self.model), None)
