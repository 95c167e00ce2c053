"""Daily results kept beside the dataset, so that new days cost what new days cost.

A day's result depends on that day and its neighbours only (`HALO_DAYS`). Its file is named by a fingerprint of everything it depends on:
the content of those day files, the zone lookup, the settings, the time zone and the edition of the definitions. A late row changes the
fingerprint of its day and of its neighbours and of no others. Files are derived data: deleting the folder ``cache`` loses nothing.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from datetime import date, timedelta
from pathlib import Path
from typing import Final, Literal

import pyarrow as pa

from oneteam.store.tables import write_parquet
from oneteam.telecom.inputs import EPOCH, Period
from oneteam.telecom.measure import HALO_DAYS, Measure
from oneteam.telecom.service.source import Source

EDITION: Final = 1
"""Raise it whenever a definition changes its results."""

Kind = Literal["aggregate", "contributions"]


class DailyCache:
    """The kept days of one dataset under one set of settings."""

    def __init__(self, source: Source) -> None:
        self.source = source
        tables = source.manifest.tables
        lookup = "identity" if source.by_cell else [entry.sha256 for entry in tables["cell_zones"].values()]
        self._common = [EDITION, lookup, asdict(source.settings), source.manifest.timezone]

    def path(self, measure: Measure, kind: Kind, day: date) -> Path:
        """Where the day's file stands, if it exists."""
        around = [(day + timedelta(i)).isoformat() for i in range(-HALO_DAYS[0], HALO_DAYS[1] + 1)]
        events = self.source.manifest.tables["events"]
        content = [events[name].sha256 if name in events else None for name in around]
        text = json.dumps([*self._common, measure.name, kind, content], sort_keys=True)
        fingerprint = hashlib.sha256(text.encode()).hexdigest()[:20]
        return self.source.folder / "cache" / f"{measure.name}-{kind}" / f"{day.isoformat()}.{fingerprint}.parquet"

    def paths(self, measure: Measure, kind: Kind, period: Period) -> dict[date, Path]:
        """The files of all days of the period."""
        days = [EPOCH + timedelta(d) for d in period.days]
        return {day: self.path(measure, kind, day) for day in days}

    def missing(self, measure: Measure, kind: Kind, period: Period) -> tuple[date, ...]:
        """Days of the period that must be computed."""
        return tuple(day for day, path in self.paths(measure, kind, period).items() if not path.exists())

    def keep(self, measure: Measure, kind: Kind, period: Period, rows: pa.Table) -> None:
        """Keep the days of a table whose key ``day`` covers the period, and drop what they replace."""
        ordered = rows.sort_by("day") if kind == "contributions" else rows
        number = ordered["day"].to_numpy()
        for day, path in self.paths(measure, kind, period).items():
            d = (day - EPOCH).days
            low, high = number.searchsorted(d), number.searchsorted(d + 1)
            for old in path.parent.glob(f"{day.isoformat()}.*.parquet"):
                old.unlink(missing_ok=True)
            write_parquet(path, ordered.slice(low, high - low))


def ranges(days: tuple[date, ...]) -> list[Period]:
    """Consecutive days as periods.

    >>> [len(p.days) for p in ranges((date(2020, 1, 1), date(2020, 1, 2), date(2020, 1, 9)))]
    [2, 1]
    """
    found: list[Period] = []
    for day in days:
        if found and day - found[-1].last == timedelta(1):
            found[-1] = Period(found[-1].first, day)
        else:
            found.append(Period(day, day))
    return found
