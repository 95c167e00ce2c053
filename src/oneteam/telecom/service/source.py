"""What an engine gets and what it gives.

Three engines run measures on a stored dataset: DuckDB, Apache Spark and the compiled kernel. Each gives, for the days of a period, the
aggregate of a measure and, on request, its contributions, as Arrow tables of integers sorted by their keys. All give the same tables to
the bit; a contract test says so.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Protocol

import pyarrow as pa
import pyarrow.compute as pc

from oneteam.core.errors import NothingFoundError
from oneteam.core.progress import Progress
from oneteam.store.tables import read_manifest, read_parquet
from oneteam.telecom.dataset import TelecomManifest
from oneteam.telecom.measures.inputs import Period, zone_lookup
from oneteam.telecom.measures.measure import Measure, MeasureSettings

ACTIVE = {"hour": ("day", "hour"), "day": ("day",), "month": ("month",)}
"""Keys of the coverage table by the finest time key of a measure."""


@dataclass(frozen=True)
class Source:
    """A dataset and how its events are to be read.

    Args:
        folder: the dataset.
        manifest: its manifest, read once.
        by_cell: take every cell as a zone of its own.
        settings: the measures' numbers.
    """

    folder: Path
    manifest: TelecomManifest
    by_cell: bool
    settings: MeasureSettings

    @staticmethod
    def open(folder: Path, *, by_cell: bool | None = None, settings: MeasureSettings | None = None) -> Source:
        """Open a dataset; without a zone lookup its measures are taken by cell."""
        manifest = read_manifest(folder, TelecomManifest)
        if by_cell is None:
            by_cell = "cell_zones" not in manifest.tables
        return Source(folder, manifest, by_cell, settings or MeasureSettings())

    def files(self, table: str, period: Period) -> dict[str, Path]:
        """Day files of a table that lie in the period, by ISO day."""
        first, last = period.first.isoformat(), period.last.isoformat()
        entries = self.manifest.tables.get(table, {})
        return {day: self.folder / entries[day].path for day in sorted(entries) if first <= day <= last}

    def everything(self) -> Period:
        """From the first to the last local day with events, own, inbound or outbound.

        Raises:
            NothingFoundError: there are none.
        """
        days = sorted({day for table in ("events", "inbound", "outbound") for day in self.manifest.days(table)})
        if not days:
            raise NothingFoundError(f"{self.folder}: no events in this dataset", hint=self.days_hint())
        return Period(date.fromisoformat(days[0]), date.fromisoformat(days[-1]))

    def days_hint(self) -> str:
        """Which days there are, as a sentence."""
        days = self.manifest.days()
        return f"The dataset has events from {days[0]} to {days[-1]}." if days else "Ingest events with `oneteam telecom ingest`."

    def table(self, name: str) -> pa.Table | None:
        """A small table, whole."""
        entry = self.manifest.tables.get(name, {}).get("")
        return None if entry is None else read_parquet(self.folder / entry.path)

    def lookup(self) -> pa.Table:
        """The zone of every cell."""
        cells = self.table("cells")
        assert cells is not None, "every dataset with events has cells"
        return zone_lookup(cells, None if self.by_cell else self.table("cell_zones"))

    def zone_count(self) -> int:
        """Number of zones, or of cells when measures are taken by cell."""
        table = self.table("cells" if self.by_cell else "zones")
        assert table is not None
        return int(pc.max(table["cell" if self.by_cell else "zone"]).as_py()) + 1


@dataclass(frozen=True)
class Result:
    """What an engine gives for one measure.

    Args:
        aggregate: keys, ``value`` int64, ``subscribers`` int64; sorted by keys.
        active: time keys and ``active`` int64: subscribers with any event.
        contributions: ``subscriber``, keys, ``value``; sorted by subscriber and keys; None when not asked for.
    """

    aggregate: pa.Table
    active: pa.Table
    contributions: pa.Table | None


class Engine(Protocol):
    """Runs measures."""

    name: str

    def supports(self, measure: Measure) -> bool:
        """Whether this engine can run the measure."""

    def run(
        self, source: Source, measures: Sequence[Measure], period: Period, *, contributions: Collection[str] = (), progress: Progress
    ) -> dict[str, Result]:
        """Run measures over the days of a period; by name."""


def finest_time_key(measure: Measure) -> str:
    """``hour``, ``day`` or ``month``."""
    kinds = {key.kind for key in measure.keys}
    return next(kind for kind in ("hour", "day", "month") if kind in kinds)


def normalised(table: pa.Table, keys: Sequence[str], *, subscriber: bool = False) -> pa.Table:
    """One form for all engines: int32 keys (text for countries), int64 numbers, sorted."""
    names = [*(["subscriber"] if subscriber else []), *keys]
    columns = {}
    for name in table.column_names:
        column = table[name]
        if name in keys:
            column = column.cast(pa.string() if pa.types.is_string(column.type) or pa.types.is_large_string(column.type) else pa.int32())
        else:
            column = column.cast(pa.int64())
        columns[name] = column
    rest = [name for name in table.column_names if name not in names]
    return pa.table({name: columns[name] for name in [*names, *rest]}).sort_by([(name, "ascending") for name in names]).combine_chunks()
