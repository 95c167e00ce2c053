"""What a health agency would know: not every infection, some days later, fewer at weekends."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

import numpy as np
import numpy.typing as npt

from oneteam.stats.compiled import compiled
from oneteam.stats.random import stream_key, uniform
from oneteam.synth import streams
from oneteam.synth.outbreak import ABROAD, Infections, course

WEEKEND_DEFERRED: Final = 0.45
"""Share of reports due on a Saturday or Sunday that are made on the next day instead."""
AT_BORDER: Final = 0.3
"""Share of imported cases that are found on arrival."""
QUARANTINE: Final = -1

_REPORT = int(streams.Stream.REPORT)


@dataclass(frozen=True)
class CaseReports:
    """Cases reported on the simulated days.

    Args:
        infection: row of each case in the infections.
        day: of the report.
        zone: where the person lives, `QUARANTINE` when found at the border.
        imported: infected abroad.
    """

    infection: npt.NDArray[np.int64]
    day: npt.NDArray[np.int64]
    zone: npt.NDArray[np.int64]
    imported: npt.NDArray[np.bool_]


def report_cases(infections: Infections, home_zone: npt.NDArray[np.int32], first_weekday: int, days: int, seed: int) -> CaseReports:
    """Reports on days 0 to ``days - 1``.

    Args:
        infections: the truth.
        home_zone: of each infection's person.
        first_weekday: of day 0, Monday = 0.
        days: how many.
        seed: of the country.
    """
    day, border = _report_days(np.uint64(seed), infections.person, infections.day, first_weekday)
    reported = np.flatnonzero((day >= 0) & (day < days))
    imported = infections.setting[reported] == ABROAD
    zone = np.where(imported & border[reported], QUARANTINE, home_zone[reported].astype(np.int64))
    return CaseReports(reported, day[reported], zone, imported)


@compiled
def _report_days(
    seed: np.uint64, person: npt.NDArray[np.int32], infected_on: npt.NDArray[np.int32], first_weekday: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
    """Day of the report, -1 for none, and whether an imported case would be found at the border."""
    out = np.full(len(person), -1, np.int64)
    border = np.zeros(len(person), np.bool_)
    for i in range(len(person)):
        found = course(seed, person[i])[3]
        if found < 0:
            continue
        key = stream_key(seed, _REPORT, person[i], 0)
        day = infected_on[i] + found + 1 + int(3.0 * uniform(key, 0) ** 2)
        for k in range(2):
            if (day + first_weekday) % 7 >= 5 and uniform(key, 1 + k) < WEEKEND_DEFERRED:
                day += 1
        out[i] = max(day, -1)
        border[i] = uniform(key, 3) < AT_BORDER
    return out, border


def daily_rows(
    day: npt.NDArray[np.int64],
    location: npt.NDArray[np.int64],
    codes: Sequence[str],
    names: Sequence[str],
    days: int,
    start: date,
) -> list[tuple[str, str, str, int]]:
    """(date, location, its name, new cases) for every day and location, zeros too.

    >>> daily_rows(np.array([1]), np.array([0]), ["11"], ["Seoul"], 2, date(2020, 1, 6))
    [('2020-01-06', '11', 'Seoul', 0), ('2020-01-07', '11', 'Seoul', 1)]
    """
    count = np.bincount(day * len(codes) + location, minlength=days * len(codes))
    dates = [(start + timedelta(days=d)).isoformat() for d in range(days)]
    return [
        (dates[d], code, name, int(count[d * len(codes) + i]))
        for d in range(days)
        for i, (code, name) in enumerate(zip(codes, names, strict=True))
    ]
