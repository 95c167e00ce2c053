"""The members of the ensemble: what each learns on a date, and how it forecasts from a snapshot."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from functools import cached_property
from typing import Final

import numpy as np
import numpy.typing as npt

from oneteam.core.errors import UnknownValueError
from oneteam.epidemic.baseline.persistence import MODEL as BASELINE
from oneteam.epidemic.baseline.persistence import persistence_forecasts
from oneteam.epidemic.forecasting import combine
from oneteam.epidemic.forecasting import filter as filtering
from oneteam.epidemic.forecasting.boosted import BoostedModel, BoostingSettings, fit_boosted
from oneteam.epidemic.forecasting.features import rows_to_forecast, rows_to_learn
from oneteam.epidemic.forecasting.filter import RECENT_WEEKS, filter_paths, tuned_filter
from oneteam.epidemic.forecasting.history import History, data_day, history_panel
from oneteam.epidemic.forecasting.holidays import HolidayEffect, Holidays, learn_holiday_effect
from oneteam.epidemic.forecasting.linear import LinearModel, fit_linear
from oneteam.epidemic.forecasting.mobility import Movement
from oneteam.epidemic.forecasting.nowcast import Revisions, completed, learn_revisions, nowcast_quantiles
from oneteam.epidemic.forecasting.panel import Panel, Scaled, panel_of, scale
from oneteam.epidemic.hub.forecasts import QuantileForecasts
from oneteam.epidemic.hub.levels import LEVELS
from oneteam.epidemic.hub.locations import Locations
from oneteam.epidemic.hub.target_data import Snapshot

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

ENSEMBLE: Final = "oneteam-ensemble"
LINEAR, BOOSTED, SHAPE, FILTER = "oneteam-linear", "oneteam-boosted", "oneteam-boosted-shape", "oneteam-filter"
MEMBERS: Final = (LINEAR, BOOSTED, SHAPE, FILTER, BASELINE)
PRIOR_SEASONAL: Final = {LINEAR: 1.0, BOOSTED: 1.5, SHAPE: 0.5, FILTER: 0.25, BASELINE: 0.0}
"""Weights before anything was scored, where histories show seasons. Persistence is there to be compared with."""
PRIOR_EMERGING: Final = {LINEAR: 1.0, BOOSTED: 0.0, SHAPE: 0.0, FILTER: 2.0, BASELINE: 0.0}
"""The same where there is no history: trees have too little to learn from, and the filter's depletion of susceptibles counts."""
TUNING_HALF_LIFE_WEEKS: Final = 13.0
"""Where there is no history, the filter is tuned to recent weeks: a new disease is counted better every month."""
SPARE_STEPS: Final = 0
"""Weeks beyond the wanted horizons for which is learned, because data may come a week later than on the day of learning."""
LEAST_WEEKS: Final = 8
"""The filter needs so many."""
LEAST_ROWS: Final = 150
"""Fewer examples of a step are not learned from."""
NO_AGGREGATE: Final = "none"
"""In place of a code: no place is the sum of the others."""
AGGREGATE_SHARE: Final = 0.5
"""How far the aggregate's forecast moves, in logarithm, to the sum of the places' medians."""


@dataclass(frozen=True)
class Known:
    """All that a forecast of one date may use.

    Args:
        snapshot: of the date.
        earlier: snapshots of dates before it; empty for revised data.
        places: with population.
        histories: whole; they are cut at the day of the data.
        movement: whole; cut likewise.
        breaks: days on which testing or reporting changed; those after the day of the data are not known.
        aggregate: code of the place that is the sum of the others, or `NO_AGGREGATE`; found by its numbers when None.
        holidays: past and future ones; their effect is learned from the snapshot. None where they are not to be used.
    """

    snapshot: Snapshot
    earlier: Sequence[Snapshot]
    places: Locations
    histories: Sequence[History]
    movement: Movement | None = None
    breaks: Sequence[date] = ()
    aggregate: str | None = None
    holidays: Holidays | None = None

    @property
    def population(self) -> Floats:
        """Persons by place of the snapshot."""
        index = self.places.index
        return np.array([self.places.population[index[code]] if code in index else np.nan for code in self.snapshot.locations])

    @property
    def prior(self) -> dict[str, float]:
        """Weights of the members before anything was scored."""
        return dict(PRIOR_SEASONAL if self.seasonal else PRIOR_EMERGING)

    @property
    def combining(self) -> combine.Combining:
        """Scale and memory of the combination."""
        return combine.SEASONAL if self.seasonal else combine.EMERGING

    def panels(self) -> list[Scaled]:
        """The target, then the histories as they were known."""
        day = data_day(self.snapshot.reference_date, self.snapshot.as_of)
        known = [h.known_on(day) for h in self.histories]
        panels = [self.own_panel(self.snapshot)]
        panels += [history_panel(h, kind) for kind, h in enumerate(known, 1) if len(h.weeks) and h.places]
        return [scale(p, logarithmic=not self.seasonal) for p in panels]

    def own_panel(self, snapshot: Snapshot) -> Panel:
        """The target as a panel, with what is known of movement."""
        panel = panel_of(snapshot, self.population)
        if self.aggregate is not None:
            codes = snapshot.locations
            panel = replace(panel, aggregate=codes.index(self.aggregate) if self.aggregate in codes else None)
        day = data_day(snapshot.reference_date, snapshot.as_of)
        if self.movement is not None:
            panel = replace(panel, movement=self.movement.index_by_week(panel.places, panel.weeks, day))
        past = np.array(sorted(b for b in self.breaks if b <= day), "datetime64[D]")
        return replace(panel, regime=np.searchsorted(past, panel.weeks, side="right")) if len(past) else panel

    @cached_property
    def seasonal(self) -> bool:
        """Whether the time of year is learned from: only where histories show seasons; two years of a pandemic can look like one."""
        return bool(self.histories)

    @cached_property
    def holiday_effect(self) -> HolidayEffect:
        """What the snapshot tells of holidays."""
        assert self.holidays is not None
        return learn_holiday_effect(self.snapshot.values, self.snapshot.weeks, self.holidays)

    @cached_property
    def without_holidays(self) -> Known:
        """The same with counts as they would have been on working days all through."""
        if self.holidays is None:
            return self
        calm = [replace(s, values=s.values / self._holiday_factor(s.weeks)[:, None]) for s in (self.snapshot, *self.earlier)]
        return replace(self, snapshot=calm[0], earlier=calm[1:], holidays=None)

    def with_holidays(self, forecasts: QuantileForecasts) -> QuantileForecasts:
        """Forecasts made `without_holidays`, with the effect of the holidays in the weeks that they are for."""
        if self.holidays is None:
            return forecasts
        return replace(forecasts, values=forecasts.values * self._holiday_factor(forecasts.target_end_date)[:, None])

    def _holiday_factor(self, ends: npt.NDArray[np.datetime64]) -> Floats:
        assert self.holidays is not None
        return self.holiday_effect.factor(self.holidays, ends)


Learned = LinearModel | BoostedModel | None


def short_names() -> dict[str, str]:
    """Members by the name that the command line uses.

    >>> sorted(short_names())
    ['baseline', 'boosted', 'boosted-shape', 'filter', 'linear']
    """
    return {name.removeprefix("oneteam-"): name for name in MEMBERS}


def learn(member: str, known: Known, horizons: Sequence[int], seed: int) -> Learned:
    """What a member learns on a date, to be used on that date and for some weeks after.

    Returns:
        None for a member that learns nothing, or where there is too little to learn from.

    Raises:
        UnknownValueError: no such member.
    """
    if member not in MEMBERS:
        raise UnknownValueError(f"no member {member!r}; there are: {', '.join(short_names())}")
    if member in {BASELINE, FILTER}:
        return None
    steps = list(range(1, max(horizons) + known.snapshot.lag_weeks + SPARE_STEPS + 1))
    if not steps:
        return None
    panels = known.without_holidays.panels()
    seasonal = known.seasonal
    rows = rows_to_learn(panels, steps, all_year=not seasonal)
    # Spread is learned from seasons left out: one season alone teaches none.
    if len(rows.change) < LEAST_ROWS * len(steps) or len(np.unique(rows.season)) < 2:
        return None
    base = fit_linear(rows, seasonal=seasonal)
    if member == LINEAR:
        return base
    return fit_boosted(rows, base, seed, BoostingSettings(with_level=member == BOOSTED))


def stand_in(member: str, learned: Learned, known: Known, horizons: Sequence[int]) -> str | None:
    """Why persistence stands in for a member as a whole; None where the member speaks for itself.

    Args:
        member: its name.
        learned: from `learn`.
        known: of the date.
        horizons: weeks from the reference date.
    """
    if member == BASELINE or max(horizons) + known.snapshot.lag_weeks < 1:
        return None
    if member == FILTER:
        return f"the filter needs {LEAST_WEEKS} weeks" if len(known.snapshot.weeks) < LEAST_WEEKS else None
    return None if learned is not None else f"under {LEAST_ROWS} examples of a step, or all of one season"


def forecast(member: str, learned: Learned, known: Known, horizons: Sequence[int], seed: int = 1) -> QuantileForecasts:
    """A member's forecast from a snapshot; places of which nothing is known recently are persisted.

    Args:
        member: its name.
        learned: from `learn`, on this date or an earlier one.
        known: of the date.
        horizons: weeks from the reference date; those of weeks already reported become nowcasts of their final values.
        seed: of the filter's ensemble.
    """
    if member == BASELINE:  # what others are compared with knows no calendar
        return _forecast(member, learned, known, horizons, seed)
    return known.with_holidays(_forecast(member, learned, known.without_holidays, horizons, seed))


def _forecast(member: str, learned: Learned, known: Known, horizons: Sequence[int], seed: int) -> QuantileForecasts:
    snapshot = known.snapshot
    revisions = learn_revisions(snapshot, known.earlier)
    values = np.full((len(snapshot.locations), len(horizons), len(LEVELS)), np.nan)
    whole = completed(snapshot, revisions)
    if member == FILTER:
        _by_filter(values, whole, known, horizons, seed)
    elif learned is not None:
        scaled = scale(known.own_panel(whole), logarithmic=not known.seasonal)
        for at, horizon in enumerate(horizons):
            step = horizon + snapshot.lag_weeks
            if step in learned.steps:
                x = rows_to_forecast(scaled, step)
                values[:, at] = scaled.counts(scaled.z[-1][:, None] + learned.quantiles(x, step))
        _draw_aggregate(values, scaled.panel.aggregate)
    return _filled(values, known, revisions, horizons)


def _by_filter(values: Floats, whole: Snapshot, known: Known, horizons: Sequence[int], seed: int) -> None:
    """Fill in the filter's quantiles; an aggregate is the sum of its places, path by path."""
    panel = known.own_panel(whole)
    apart = np.array([i for i in range(len(whole.locations)) if i != panel.aggregate])
    codes = tuple(whole.locations[i] for i in apart)
    day = data_day(whole.reference_date, whole.as_of)
    coupling = known.movement.coupling(codes, day) if known.movement is not None else None
    counts = whole.values[-RECENT_WEEKS:, apart]
    if len(counts) < LEAST_WEEKS:
        return
    size = panel.population[apart]
    jumps = None if panel.regime is None else (np.diff(panel.regime, prepend=panel.regime[0]) > 0)[-RECENT_WEEKS:]
    if known.seasonal:
        found = tuned_filter(counts, size, seed, coupling, jumps=jumps)
    else:
        memory, settings = TUNING_HALF_LIFE_WEEKS, filtering.EMERGING
        found = tuned_filter(counts, size, seed, coupling, jumps=jumps, half_life_weeks=memory, settings=settings)
    paths = filter_paths(found, size, max(horizons) + whole.lag_weeks, seed, coupling)
    # A place that never reports drifts away from the others in the filter: shown not to recover withheld places, so it says nothing there.
    heard = np.isfinite(counts).any(axis=0)
    for at, horizon in enumerate(horizons):
        step = horizon + whole.lag_weeks
        if step >= 1:
            told = paths[step - 1][heard]
            values[apart[heard], at] = np.quantile(told, LEVELS, axis=1).T
            if panel.aggregate is not None:
                values[panel.aggregate, at] = np.quantile(told.sum(axis=0), LEVELS)


def _draw_aggregate(values: Floats, aggregate: int | None) -> None:
    """Move the aggregate's quantiles part of the way to what its places say together."""
    if aggregate is None:
        return
    others = np.delete(np.arange(len(values)), aggregate)
    middle = values[:, :, len(LEVELS) // 2]
    total = middle[others].sum(axis=0)
    with np.errstate(all="ignore"):
        ratio = np.where((total > 0) & (middle[aggregate] > 0), total / middle[aggregate], 1.0)
    values[aggregate] *= (np.clip(ratio, 0.5, 2.0) ** AGGREGATE_SHARE)[:, None]


def _filled(values: Floats, known: Known, revisions: Revisions, horizons: Sequence[int]) -> QuantileForecasts:
    """Nowcasts where the week is reported, persistence where the member says nothing; sorted, without negatives."""
    snapshot = known.snapshot
    persisted = {
        (location, horizon): row
        for location, horizon, row in _rows_of(persistence_forecasts(snapshot, [h for h in horizons if h + snapshot.lag_weeks >= 1]))
    }
    index = {code: i for i, code in enumerate(snapshot.locations)}
    for at, horizon in enumerate(horizons):
        age = -(horizon + snapshot.lag_weeks)
        if age >= 0:
            values[:, at] = nowcast_quantiles(snapshot, revisions, age) if age < len(snapshot.weeks) else np.nan
    for (location, horizon), row in persisted.items():
        cell = values[index[location], horizons.index(horizon)]
        if not np.isfinite(cell).all():
            cell[:] = row
    values = np.sort(np.maximum(values, 0.0), axis=2)
    task = [(at, i) for at in range(len(horizons)) for i in range(len(snapshot.locations)) if np.isfinite(values[i, at]).all()]
    return QuantileForecasts(
        np.full(len(task), np.datetime64(snapshot.reference_date, "D")),
        np.array([horizons[at] for at, _ in task], np.int64),
        np.array([snapshot.locations[i] for _, i in task], object),
        np.array([snapshot.target] * len(task), object),
        np.array([values[i, at] for at, i in task]).reshape(-1, len(LEVELS)),
    )


def _rows_of(forecasts: QuantileForecasts) -> list[tuple[str, int, Floats]]:
    return list(zip(forecasts.location.tolist(), forecasts.horizon.tolist(), forecasts.values, strict=True))


def anchor_of(reference_date: date, dates: Sequence[date], every_weeks: int) -> date:
    """The date on whose data a model for a reference date is learned: the newest of the dates whose week number is divisible.

    Models are used for some weeks, so that a season is learned in minutes; a model never knows more than its anchor's snapshot.

    >>> days = [date(2024, 1, 6), date(2024, 1, 13), date(2024, 1, 20)]
    >>> anchor_of(days[2], days, 1) == days[2], anchor_of(days[0], [days[0]], 4) == days[0]
    (True, True)
    """
    young = [d for d in dates if d <= reference_date and (reference_date - d).days < 7 * every_weeks]
    return max((d for d in young if (d.toordinal() // 7) % every_weeks == 0), default=reference_date)
