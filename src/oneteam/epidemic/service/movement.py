"""Read movement by place and week: what scales the trips of each day."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import numpy as np
import numpy.typing as npt

from oneteam.core.errors import DuplicateCodeError, MissingColumnError, NothingFoundError, UnknownValueError
from oneteam.epidemic.engine.movement import WEEK_D, Movement
from oneteam.epidemic.forecasting.mobility import PUBLICATION_LAG_D
from oneteam.store.rows import Rows, read_rows, some

Floats = npt.NDArray[np.float64]


def read_movement(path: Path, codes: list[str], reference: tuple[date, date] | None, known_on: date | None, notes: list[str]) -> Movement:
    """Movement of each zone relative to its reference.

    Args:
        path: CSV with week_start (first day of the week), location, trips (per week).
        codes: of the zones; a location's code is a zone's, or its beginning: then it is of a region.
        reference: first and last day of the weeks in whose mean the factor is 1; None for the median of all weeks.
        known_on: only weeks that were published by then: `PUBLICATION_LAG_D` days after their last day; None for all.
        notes: gaps and unknown places are added.

    Raises:
        MissingColumnError: a column is absent.
        WrongTypeError: a number or date that is none, NaN included.
        UnknownValueError: negative trips, weeks that overlap, or no place that is a zone's.
        DuplicateCodeError: a place and week stand twice.
        NothingFoundError: no week is left, or none in the reference.
    """
    weeks, places, trips = _by_week(read_rows(path), known_on)
    if known_on is not None:
        notes.append(f"Movement as published on {known_on}: up to the week from {weeks[-1]}.")
    place_of_zone = _places(path, places, codes, notes)
    trips = _carried(trips, places, weeks, notes)
    if reference is None:
        usual = np.median(trips, axis=0)
    else:
        within = np.array([reference[0] <= week and week + timedelta(days=WEEK_D - 1) <= reference[1] for week in weeks])
        if not within.any():
            raise NothingFoundError(
                f"{path}: no whole week in the reference {reference[0]} to {reference[1]}; weeks {weeks[0]} to {weeks[-1]}"
            )
        usual = trips[within].mean(axis=0)
    still = [place for place, level in zip(places, usual, strict=True) if level <= 0]
    if still:
        notes.append(f"{len(still)} place(s) without movement in the reference: {some(still)}. Their trips stay as they are.")
    factor = np.divide(trips, usual, out=np.ones_like(trips), where=usual > 0)
    by_zone = np.column_stack([factor, np.ones(len(weeks))])[:, place_of_zone]
    return Movement(weeks, by_zone)


def _by_week(rows: Rows, known_on: date | None) -> tuple[tuple[date, ...], list[str], Floats]:
    """Weeks, places, and trips by both; NaN where they are not told."""
    if {"origin", "destination"} <= set(rows.columns):
        raise MissingColumnError(f"{rows.path}: holds trips between places, not movement of places", hint="Give it as --od (od = ...).")
    dated = next((c for c in ("week_start", "week", "date") if c in rows.columns), None)
    value = next((c for c in ("trips", "trips_per_week", "trips_per_day", "value") if c in rows.columns), None)
    if dated is None or value is None or "location" not in rows.columns:
        raise MissingColumnError(f"{rows.path}: needs columns week_start, location, trips; its columns are: {', '.join(rows.columns)}")
    found: dict[tuple[date, str], float] = {}
    for row in rows.rows:
        week, place = row.day(dated), row.text("location")
        if week is None or place is None:
            raise UnknownValueError(f"{row.where}: {dated if week is None else 'location'} is empty")
        if (week, place) in found:
            raise DuplicateCodeError(f"{row.where}: location {place} in the week from {week} stands twice")
        trips = row.number(value, 0.0)
        found[week, place] = np.nan if trips is None else trips
    weeks = sorted({week for week, _ in found})
    off = next((week for week in weeks if (week - weeks[0]).days % WEEK_D), None)
    if off is not None:
        raise UnknownValueError(f"{rows.path}: weeks begin on {weeks[0]} and on {off}, which is not a multiple of 7 days apart")
    kept = weeks if known_on is None else [w for w in weeks if w + timedelta(days=WEEK_D + PUBLICATION_LAG_D) <= known_on]
    if not kept:
        raise NothingFoundError(
            f"{rows.path}: nothing was published on {known_on}; the first week, from {weeks[0]}, was {PUBLICATION_LAG_D} days after its end"
        )
    places = sorted({place for _, place in found})
    return tuple(kept), places, np.array([[found.get((week, place), np.nan) for place in places] for week in kept])


def _places(path: Path, places: list[str], codes: list[str], notes: list[str]) -> npt.NDArray[np.int64]:
    """Index of each zone's place: the longest code that the zone's begins with; the number of places for none."""
    place_of_zone = np.full(len(codes), len(places), np.int64)
    for z, code in enumerate(codes):
        mine = [i for i, place in enumerate(places) if code.startswith(place)]
        if mine:
            place_of_zone[z] = max(mine, key=lambda i: len(places[i]))
    unknown = [place for place in places if not any(code.startswith(place) for code in codes)]
    if len(unknown) == len(places):
        raise UnknownValueError(f"{path}: none of its locations ({some(places)}) is a zone's code ({some(codes)}) or the beginning of one")
    if unknown:
        notes.append(f"Movement of {len(unknown)} place(s) that are no zones was left out: {some(unknown)}.")
    without = [code for code, place in zip(codes, place_of_zone, strict=True) if place == len(places)]
    if without:
        notes.append(f"{len(without)} zone(s) without movement: {some(without)}. Their own factor is 1 in every week.")
    return place_of_zone


def _carried(trips: Floats, places: list[str], weeks: tuple[date, ...], notes: list[str]) -> Floats:
    """Gaps filled with the place's last value before, at the beginning with its first."""
    filled = trips.copy()
    told = []
    for i, place in enumerate(places):
        known = np.flatnonzero(np.isfinite(trips[:, i]))
        if len(known) == len(weeks):
            continue
        if not len(known):
            filled[:, i] = 0.0
        else:
            before = np.searchsorted(known, np.arange(len(weeks)), side="right") - 1
            filled[:, i] = trips[known[np.maximum(before, 0)], i]
        gaps = [weeks[w].isoformat() for w in np.flatnonzero(~np.isfinite(trips[:, i]))]
        told.append(f"{place} ({some(gaps)})")
    if told:
        notes.append(f"Movement is missing for {len(told)} place(s) in some weeks, and the last value before was carried: {some(told)}.")
    return filled
