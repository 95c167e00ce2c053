"""What forecasts are made from, read from files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from functools import cached_property
from pathlib import Path
from typing import Final

import numpy as np

from oneteam.core.errors import NothingFoundError, UnknownValueError
from oneteam.epidemic.forecasting.history import History, parse_history
from oneteam.epidemic.forecasting.holidays import Holidays, parse_holidays
from oneteam.epidemic.forecasting.members import NO_AGGREGATE, Known
from oneteam.epidemic.forecasting.mobility import Movement, parse_movement
from oneteam.epidemic.forecasting.panel import aggregate_of
from oneteam.epidemic.hub.locations import Locations
from oneteam.epidemic.hub.target_data import DEFAULT_LAG_WEEKS, WEEK_D, Snapshot, TargetData
from oneteam.epidemic.service.files import read_locations, read_table, read_target_data
from oneteam.store.rows import some
from oneteam.store.tables import sha256_of

STALE_WEEKS: Final = 4
"""A reference date may lie so many weeks after the newest one that the data have."""
EARLIER_VINTAGES: Final = 26
"""Snapshots before a date from which revisions are learned."""


@dataclass(frozen=True)
class InputFiles:
    """Where the data stand.

    Args:
        target_data: see `oneteam.epidemic.hub.target_data.parse_target_data`.
        locations: see `oneteam.epidemic.hub.locations.parse_locations`.
        history: see `oneteam.epidemic.forecasting.history`.
        mobility: see `oneteam.epidemic.forecasting.mobility`.
        target: which of several targets.
        holidays: see `oneteam.epidemic.forecasting.holidays`.
    """

    target_data: Path
    locations: Path
    history: tuple[Path, ...] = ()
    mobility: Path | None = None
    target: str | None = None
    holidays: Path | None = None

    def fingerprints(self) -> dict[str, str]:
        """SHA-256 of every file, by what it is."""
        named = {"target_data": self.target_data, "locations": self.locations}
        named |= {f"history_{i}": path for i, path in enumerate(self.history, 1)}
        named |= {name: path for name, path in (("mobility", self.mobility), ("holidays", self.holidays)) if path is not None}
        return {name: sha256_of(path) for name, path in named.items()}


@dataclass(frozen=True)
class Inputs:
    """The data themselves.

    Args:
        target: with its vintages.
        places: with population.
        histories: whole.
        movement: whole.
        lag_weeks: of pseudo-vintages.
        breaks: days on which testing or reporting changed.
        aggregate: code of the place that is the sum of the others, or ``none``; found by its numbers when None.
        holidays: past and future.
        notes: what was left out, and what was taken for what.
    """

    target: TargetData
    places: Locations
    histories: tuple[History, ...]
    movement: Movement | None
    lag_weeks: int = DEFAULT_LAG_WEEKS
    breaks: tuple[date, ...] = ()
    aggregate: str | None = None
    holidays: Holidays | None = None
    notes: tuple[str, ...] = ()

    @property
    def reference_dates(self) -> tuple[date, ...]:
        """Dates that have a snapshot at the lag of these inputs."""
        return self.target.reference_dates_at(self.lag_weeks)

    @cached_property
    def _snapshots(self) -> dict[date, Snapshot]:
        return {}

    def snapshot(self, reference_date: date) -> Snapshot:
        """The snapshot of a date, kept for the next one who asks."""
        if reference_date not in self._snapshots:
            self._snapshots[reference_date] = self.target.snapshot(reference_date, lag_weeks=self.lag_weeks)
        return self._snapshots[reference_date]

    def known(self, reference_date: date) -> Known:
        """All that a forecast of a date may use."""
        earlier: Sequence[Snapshot] = ()
        if self.target.has_vintages:
            before = [d for d in self.target.reference_dates if d < reference_date][-EARLIER_VINTAGES:]
            earlier = [self.snapshot(d) for d in before]
        now = self.snapshot(reference_date)
        return Known(now, earlier, self.places, self.histories, self.movement, self.breaks, self.aggregate, self.holidays)


def read_inputs(files: InputFiles, lag_weeks: int = DEFAULT_LAG_WEEKS, breaks: Sequence[str] = (), aggregate: str | None = None) -> Inputs:
    """Read everything. Places of the target data that the locations file lacks are left out, and noted.

    Args:
        files: where they stand.
        lag_weeks: of pseudo-vintages.
        breaks: ISO dates on which testing or reporting changed.
        aggregate: code of the place that is the sum of the others, or ``none``; found by its numbers when None.

    Raises:
        InputError: as the parsers of the files.
        UnknownValueError: the locations file has none of the places of the target data; an aggregate that is no place of them.
    """
    target = read_target_data(files.target_data, target=files.target)
    places = read_locations(files.locations)
    target, notes = _known_places(target, places)
    notes += _check_aggregate(target, aggregate)
    histories = [history for path in files.history for history in parse_history(read_table(path), str(path))]
    movement = holidays = None
    if files.mobility:
        movement = parse_movement(read_table(files.mobility), str(files.mobility))
        notes += _check_movement(movement, target, str(files.mobility))
    if files.holidays:
        holidays = parse_holidays(read_table(files.holidays), str(files.holidays))
        notes += _check_holidays(holidays, target, str(files.holidays))
    dates = tuple(_break(text) for text in breaks)
    return Inputs(target, places, tuple(histories), movement, lag_weeks, dates, aggregate, holidays, notes)


def _check_aggregate(target: TargetData, aggregate: str | None) -> tuple[str, ...]:
    if aggregate is None:
        found = aggregate_of(target.final().values)
        return () if found is None else (f"{target.where}: {target.location[found]} is taken for the sum of the other places",)
    if aggregate != NO_AGGREGATE and aggregate not in target.location:
        raise UnknownValueError(
            f"--aggregate {aggregate}: must be {NO_AGGREGATE!r} or a location of {target.where}: {some(target.location)}",
            hint="Without --aggregate the place that is the sum of the others week by week is found by itself.",
        )
    return ()


def _check_holidays(holidays: Holidays, target: TargetData, where: str) -> tuple[str, ...]:
    """A note where the calendar ends before the data do.

    Raises:
        UnknownValueError: no holiday lies within the data.
    """
    first, last = target.target_end_date.min() - (WEEK_D - 1), target.target_end_date.max()
    if not ((holidays.days >= first) & (holidays.days <= last)).any():
        raise UnknownValueError(
            f"{where}: none of its {len(holidays.days)} days lies within the data, {first} to {last}",
            hint="Give the holidays of all years of the data, and those ahead.",
        )
    if holidays.days[-1] < last:
        return (f"{where}: its last day is {holidays.days[-1]}; of holidays after it nothing is known, and the data go on to {last}",)
    return ()


def _check_movement(movement: Movement, target: TargetData, where: str) -> tuple[str, ...]:
    """Notes on places and numbers that movement and target data do not share.

    Raises:
        UnknownValueError: no place in common, or a number of trips that is infinite.
    """
    bad = np.flatnonzero(np.isinf(movement.trips))
    if len(bad):
        raise UnknownValueError(f"{where}, data row {bad[0] + 1}: trips is infinite, must be 0 or more")
    shared = set(movement.places) & set(target.location)
    if not shared:
        raise UnknownValueError(
            f"{where}: none of its places ({some(movement.places)}) is a location of {target.where}: {some(target.location)}",
            hint="Use the same codes in both files.",
        )
    notes = []
    unknown = [place for place in movement.places if place not in shared]
    if unknown:
        notes.append(f"{where}: {len(unknown)} of {len(movement.places)} places have no target data and are not used: {some(unknown)}")
    still = [code for code in target.location if code not in shared]
    if still:
        notes.append(f"{where}: {len(still)} of {len(target.location)} locations have no movement: {some(still)}")
    empty = int(np.isnan(movement.trips).sum())
    if empty:
        notes.append(f"{where}: {empty:,} of {len(movement.trips):,} numbers of trips are empty and count as unknown")
    return tuple(notes)


def _known_places(target: TargetData, places: Locations) -> tuple[TargetData, tuple[str, ...]]:
    kept = [code for code in target.location if code in places.index]
    if len(kept) == len(target.location):
        return target, ()
    if not kept:
        places.need(target.location, target.where)
    lost = [code for code in target.location if code not in places.index]
    shown = ", ".join(lost[:5]) + (", ..." if len(lost) > 5 else "")
    note = f"{target.where}: {len(lost)} of {len(target.location)} places are not in the locations file and are left out: {shown}"
    position = np.array([kept.index(code) if code in places.index else -1 for code in target.location], np.int64)[target.location_index]
    rows = np.flatnonzero(position >= 0)
    fewer = replace(
        target,
        as_of=None if target.as_of is None else target.as_of[rows],
        reference_date=None if target.reference_date is None else target.reference_date[rows],
        target_end_date=target.target_end_date[rows],
        location=tuple(kept),
        location_index=position[rows],
        observation=target.observation[rows],
    )
    return fewer, (note,)


def chosen_dates(target: TargetData, wanted: str, lag_weeks: int = DEFAULT_LAG_WEEKS) -> list[date]:
    """Reference dates of a selection: ``all``, ``FROM:TO`` (either may be empty), one date, or several with commas.

    Args:
        target: the data.
        wanted: the selection.
        lag_weeks: of pseudo-vintages.

    Raises:
        UnknownValueError: no date, or not on the weekday on which weeks end.
        NothingFoundError: the data have no date in the selection.
    """
    known = list(target.reference_dates_at(lag_weeks))
    if not known:
        raise NothingFoundError(f"{target.where}: one week of data; a forecast needs at least two")
    if wanted == "all":
        return known
    if ":" in wanted:
        first, _, last = wanted.partition(":")
        low = _day(first) if first else known[0]
        high = _day(last) if last else known[-1]
        found = [d for d in known if low <= d <= high]
    else:
        found = sorted({_day(text) for text in wanted.split(",")})
        if target.has_vintages:
            absent = sorted(set(found) - set(known))
            if absent:
                raise NothingFoundError(
                    f"{target.where}: no vintage for reference date {absent[0]}; it has {len(known)}, {known[0]} to {known[-1]}"
                )
        elif (found[-1] - known[-1]).days > WEEK_D * STALE_WEEKS:
            raise NothingFoundError(
                f"{target.where}: no data for reference date {found[-1]}: its newest week ends "
                f"{known[-1] - timedelta(days=WEEK_D * lag_weeks)}",
                hint=f"The newest week may lie up to {STALE_WEEKS + lag_weeks} weeks back.",
            )
    if not found:
        raise NothingFoundError(f"{target.where}: no reference date in {wanted}; it has {len(known)}, {known[0]} to {known[-1]}")
    return found


def dates_in_gaps(target: TargetData, wanted: str, chosen: Sequence[date], lag_weeks: int = DEFAULT_LAG_WEEKS) -> tuple[str, ...]:
    """A note that names the reference dates inside a selection for which the data have nothing; dates given one by one have none.

    Args:
        target: the data.
        wanted: the selection.
        chosen: from `chosen_dates`.
        lag_weeks: of pseudo-vintages.
    """
    known = target.reference_dates_at(lag_weeks)
    if wanted == "all":
        low, high = chosen[0], chosen[-1]
    elif ":" in wanted:
        first, _, last = wanted.partition(":")
        low, high = max(known[0], _day(first) if first else known[0]), min(known[-1], _day(last) if last else known[-1])
    else:
        return ()
    ahead = (chosen[0] - low).days // WEEK_D
    start = chosen[0] - timedelta(days=WEEK_D * ahead)
    every = [start + timedelta(days=WEEK_D * k) for k in range((high - start).days // WEEK_D + 1)]
    lost = [day for day in every if day not in set(chosen)]
    if not lost:
        return ()
    why = "no vintage" if target.has_vintages else "no row for the week that ends"
    if not target.has_vintages:
        why += " on it" if not lag_weeks else f" {lag_weeks} week{'s' * (lag_weeks > 1)} before it"
    whole = f"{len(lost)} of {len(every)} reference dates from {every[0]} to {every[-1]}"
    return (f"{target.where}: {whole} lie in a gap ({why}) and are not forecast: {', '.join(spans(lost))}",)


def spans(days: Sequence[date]) -> list[str]:
    """Ascending weekly dates, those of successive weeks together.

    >>> spans([date(2024, 1, 6), date(2024, 1, 20), date(2024, 1, 27), date(2024, 2, 3)])
    ['2024-01-06', '2024-01-20 to 2024-02-03']
    """
    runs: list[list[date]] = []
    for day in days:
        if runs and (day - runs[-1][-1]).days <= WEEK_D:
            runs[-1].append(day)
        else:
            runs.append([day])
    return [str(run[0]) if len(run) == 1 else f"{run[0]} to {run[-1]}" for run in runs]


def _break(text: str) -> date:
    try:
        return date.fromisoformat(text.strip())
    except ValueError:
        raise UnknownValueError(f"--break {text.strip()!r}: must be a date like 2022-02-03") from None


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text.strip())
    except ValueError:
        raise UnknownValueError(f"reference date {text.strip()!r}: must be a date like 2024-01-06, or FROM:TO, or all") from None


def parse_horizons(text: str) -> list[int]:
    """Horizons from text such as ``0-3``, ``-1-3`` or ``1,2,4``.

    Raises:
        UnknownValueError: something else.

    >>> parse_horizons("0-3"), parse_horizons("-1-1"), parse_horizons("1,4")
    ([0, 1, 2, 3], [-1, 0, 1], [1, 4])
    """
    try:
        if "," in text:
            found = sorted({int(part) for part in text.split(",")})
        elif "-" in text[1:]:
            at = text.index("-", 1)
            found = list(range(int(text[:at]), int(text[at + 1 :]) + 1))
        else:
            found = [int(text)]
    except ValueError:
        found = []
    if not found or found[0] < -3 or found[-1] > 12:
        raise UnknownValueError(f"--horizons {text}: must be weeks between -3 and 12, such as 0-3 or 1,2,4")
    return found
