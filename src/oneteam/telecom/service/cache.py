"""Daily results kept beside the dataset, so that new days cost what new days cost.

A day's result depends on that day and its neighbours only (`HALO_DAYS`). It stands in a folder named by measure and settings, in a file
named by day and by a fingerprint of the day files it rests on. A late row changes the fingerprint of its day and of its neighbours and of
no others. A day around which there are no events has an empty result and no file. All is derived data: deleting the folder ``cache`` loses
nothing, and a file that another process has replaced is computed again.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from datetime import date, timedelta
from pathlib import Path
from typing import Final, Literal

import pyarrow as pa

from oneteam.core.clock import EPOCH
from oneteam.store.tables import read_parquet, write_parquet
from oneteam.telecom.measures.inputs import Period
from oneteam.telecom.measures.measure import HALO_DAYS, Measure
from oneteam.telecom.service.source import Source

EDITION: Final = 2
"""Raise it whenever a definition changes its results."""

Kind = Literal["aggregate", "contributions"]


class DailyCache:
    """The kept days of one dataset under one set of settings."""

    def __init__(self, source: Source) -> None:
        self.source = source
        tables = source.manifest.tables
        lookup = "identity" if source.by_cell else [entry.sha256 for entry in tables["cell_zones"].values()]
        self._settings = _fingerprint([EDITION, lookup, asdict(source.settings), source.manifest.timezone])
        self._events = tables.get("events", {})

    def folder(self, measure: Measure, kind: Kind) -> Path:
        """Where the measure's days stand under these settings."""
        return self.source.folder / "cache" / f"{measure.name}-{kind}-{self._settings}"

    def paths(self, measure: Measure, kind: Kind, period: Period) -> dict[date, Path]:
        """The files of all days of the period that can have a result, whether they exist or not."""
        folder = self.folder(measure, kind)
        found = {}
        for number in period.days:
            day = EPOCH + timedelta(number)
            around = [(day + timedelta(i)).isoformat() for i in range(-HALO_DAYS[0], HALO_DAYS[1] + 1)]
            content = [self._events[name].sha256 if name in self._events else None for name in around]
            if any(content):
                found[day] = folder / f"{day.isoformat()}.{_fingerprint(content)}.parquet"
        return found

    def missing(self, measure: Measure, kind: Kind, period: Period) -> tuple[date, ...]:
        """Days of the period that must be computed."""
        return tuple(day for day, path in self.paths(measure, kind, period).items() if not path.exists())

    def keep(self, measure: Measure, kind: Kind, period: Period, rows: pa.Table) -> None:
        """Keep the days of a table, whose key ``day`` covers the period, and drop the files that they replace."""
        ordered = rows.sort_by("day") if kind == "contributions" else rows
        number = ordered["day"].to_numpy()
        for day, path in self.paths(measure, kind, period).items():
            d = (day - EPOCH).days
            low, high = number.searchsorted(d), number.searchsorted(d + 1)
            write_parquet(path, ordered.slice(low, high - low))
            for old in path.parent.glob(f"{day.isoformat()}.*.parquet"):
                if old != path:
                    old.unlink(missing_ok=True)

    def read(self, measure: Measure, kind: Kind, period: Period) -> pa.Table:
        """All kept days of the period in one table."""
        tables = [read_parquet(path) for path in self.paths(measure, kind, period).values()]
        return pa.concat_tables(tables) if tables else _nothing(measure)


def _fingerprint(content: object) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]


def _nothing(measure: Measure) -> pa.Table:
    """The aggregate of a period without events."""
    keys = {key.name: pa.array([], pa.int32()) for key in measure.keys}
    return pa.table(keys | {name: pa.array([], pa.int64()) for name in ("value", "subscribers", "active")})


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
