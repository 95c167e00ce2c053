"""The quality report of an ingestion: where every row went, and how densely the accepted ones lie."""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import PurePath
from typing import Final, Literal

import pyarrow as pa
from pydantic import BaseModel, ConfigDict, Field
from rich.table import Table
from rich.text import Text

from oneteam.core.clock import EPOCH

QUARANTINE: Final = pa.schema(
    [
        pa.field("source", pa.string(), nullable=True),
        pa.field("row", pa.int64(), nullable=True),
        pa.field("reason", pa.string(), nullable=False),
        pa.field("detail", pa.string(), nullable=False),
        pa.field("user_id", pa.string(), nullable=True),
        pa.field("timestamp", pa.string(), nullable=True),
        pa.field("cell_id", pa.string(), nullable=True),
        pa.field("plmn", pa.string(), nullable=True),
    ]
)
"""Rejected rows: file, number of the row in it from 1 (the header does not count), reason, the field or fact behind it, and the row's
own values as text (bytes that are not UTF-8 as hex). An impossible speed is found when files have been merged: no file, no row number."""


def iso_day(day: int) -> str:
    """Days since 1970-01-01 as an ISO date.

    >>> iso_day(18_293)
    '2020-02-01'
    """
    return (EPOCH + timedelta(days=day)).isoformat()


def _short_names(names: list[str]) -> list[str]:
    """File names without the folder that all of them share."""
    if not names:
        return []
    shared = os.path.commonpath([str(PurePath(name).parent) for name in names])
    return [str(PurePath(name).relative_to(shared)) for name in names]


class SourceReport(BaseModel):
    """What became of one input file.

    ``accepted`` counts rows that passed every check on a single row, by table; rows that repeat others and impossible speeds are found
    later, across files, and stand in the totals only. So ``sum(accepted) + sum(rejected) + repeated == rows``.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    kind: str = Field(description="schema by which the file was read")
    state: Literal["read", "already-ingested", "refused"] = "read"
    error: str = Field(default="", description="why the file was refused")
    rows: int = 0
    accepted: dict[str, int] = Field(default={}, description="rows by table")
    rejected: dict[str, int] = Field(default={}, description="rows by reason, or reason:field")
    repeated: int = Field(default=0, description="topology rows that repeat what was known")
    first_day: str | None = None
    last_day: str | None = None


class DayReport(BaseModel):
    """One local day of one table as it stands after the ingestion."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    table: str
    day: str
    rows: int
    added: int = Field(description="rows that this ingestion added; negative when late events revealed more impossible ones")
    duplicates: int
    impossible_speed: int = 0
    active: int = Field(description="subscribers with at least one row")
    gap_s: list[int] | None = Field(
        default=None, description="25, 50, 75 and 95 % quantiles of the time between two rows of a subscriber [s]"
    )


class IngestReport(BaseModel):
    """What one ingestion did. ``accepted + rejected + duplicates == rows`` over all files that were read."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    dataset: str
    ingestion: int | None = Field(description="number of the ingestion, None when nothing changed")
    rows: int
    accepted: dict[str, int] = Field(description="rows that the dataset gained, by table (cells: topology rows)")
    rejected: dict[str, int] = Field(description="rows by reason, or reason:field")
    duplicates: int
    subscribers_new: int
    subscribers: int = Field(description="subscribers that the dataset knows")
    cells: int = Field(description="cells that the dataset knows")
    cells_without_coordinates: int
    first_day: str | None
    last_day: str | None
    gap_s: list[int] | None = Field(description="as in the days, over all days of this ingestion")
    days: list[DayReport]
    sources: list[SourceReport]
    notes: tuple[str, ...] = Field(default=(), description="what is not wrong yet worth knowing of the zones")

    @property
    def changed(self) -> bool:
        """Whether the dataset is another than before."""
        return self.ingestion is not None

    def to_json(self) -> str:
        """The report as JSON text."""
        return self.model_dump_json(indent=1)

    def to_tables(self) -> list[Table]:
        """The report for a terminal: files, reasons, days."""
        return [table for table in (self._files(), self._reasons(), self._days()) if table.row_count]

    def _files(self) -> Table:
        table = Table(title=f"{self.rows:,} rows, {sum(self.accepted.values()):,} accepted", title_justify="left")
        for name in ("file", "schema", "rows", "passed", "rejected", "days"):
            table.add_column(name, justify="right" if name in {"rows", "passed", "rejected"} else "left")
        names = _short_names([source.name for source in self.sources])
        for name, source in zip(names, self.sources, strict=True):
            state = source.error or source.state
            days = f"{source.first_day}..{source.last_day}" if source.first_day else ""
            passed, rejected = sum(source.accepted.values()) + source.repeated, sum(source.rejected.values())
            read = source.state == "read"
            table.add_row(Text(name), Text(source.kind), f"{source.rows:,}", f"{passed:,}", f"{rejected:,}", days if read else Text(state))
        return table

    def _reasons(self) -> Table:
        table = Table(title="not taken over", title_justify="left")
        table.add_column("reason")
        table.add_column("rows", justify="right")
        for reason, count in sorted(self.rejected.items(), key=lambda item: (-item[1], item[0])):
            table.add_row(Text(reason), f"{count:,}")
        if self.duplicates:
            table.add_row("duplicate", f"{self.duplicates:,}")
        return table

    def _days(self) -> Table:
        table = Table(title="local days", title_justify="left")
        for name in ("table", "day", "rows", "added", "duplicates", "active", "median gap, min"):
            table.add_column(name, justify="left" if name in {"table", "day"} else "right")
        for day in self.days:
            gap = "" if day.gap_s is None else f"{day.gap_s[1] / 60:.1f}"
            table.add_row(day.table, day.day, f"{day.rows:,}", f"{day.added:,}", f"{day.duplicates:,}", f"{day.active:,}", gap)
        return table
