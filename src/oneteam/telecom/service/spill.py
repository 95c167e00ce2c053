"""Accepted rows on their way to the dataset: packed, spilled by local day, then each day sorted, cleared of duplicates and stored.

Memory stays bounded whatever a day holds: a day beyond `ROWS_AT_ONCE` rows is dealt to ranges of subscribers on disk first.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from oneteam.core.errors import DatasetCorruptError
from oneteam.store.tables import ParquetWriter, disk_errors
from oneteam.telecom.ingestion.clean import Target
from oneteam.telecom.ingestion.mcc import COUNTRY_OF_MCC, country_number, country_text
from oneteam.telecom.ingestion.order import (
    MAX_GAP_S,
    day_activity,
    day_counts,
    drop_duplicates,
    impossible,
    pack_rows,
    sort_rows,
    split_by_subscriber,
    unpack_keys,
)
from oneteam.telecom.schemas import EVENTS, INBOUND, OUTBOUND, TIMESTAMP

ROWS_AT_ONCE: Final = 8_000_000
"""Rows of a day that are sorted in memory at once; a third of a gigabyte at most."""
_BLOCK: Final = 4_000_000

SCHEMA: Final = {Target.EVENTS: EVENTS, Target.INBOUND: INBOUND, Target.OUTBOUND: OUTBOUND}
TABLE: Final = {Target.EVENTS: "events", Target.INBOUND: "inbound", Target.OUTBOUND: "outbound"}
_WIDTH: Final = {Target.EVENTS: 2, Target.INBOUND: 3, Target.OUTBOUND: 3}

_KEYS: Final = {Target.EVENTS: 2, Target.INBOUND: 2, Target.OUTBOUND: 3}
"""Leading numbers that make two rows the same: nobody has two home networks, but two kinds of event in one second are two events."""

Rows = NDArray[np.int64]


@dataclass
class EventTypes:
    """Texts of ``event_type`` as small numbers; 0 = none."""

    names: list[str] = field(default_factory=list)
    _codes: dict[str, int] = field(default_factory=dict)

    def encode(self, names: list[str]) -> NDArray[np.int64]:
        """Numbers of texts, followed by the 0 of "none", so that index -1 finds it.

        Raises:
            DatasetCorruptError: never on real data: more than 65,534 kinds of event.
        """
        for name in names:
            if name not in self._codes:
                self.names.append(name)
                self._codes[name] = len(self.names)
        if len(self.names) > 65_534:
            raise DatasetCorruptError("more than 65,534 different event types")
        return np.array([*(self._codes[name] for name in names), 0], np.int64)

    def ranks(self) -> NDArray[np.int64]:
        """For each number its place in the order of the texts, so that equal sets of rows are stored equally."""
        order = sorted(range(len(self.names)), key=self.names.__getitem__)
        out = np.zeros(len(self.names) + 1, np.int64)
        out[np.array(order, np.int64) + 1] = np.arange(1, len(order) + 1)
        return out


def inbound_extra(mcc: NDArray[np.int32], mnc: NDArray[np.int32], plmn: NDArray[np.int32]) -> Rows:
    """Home network of a foreign subscriber in one number: by MCC and MNC, else by the PLMN."""
    long = plmn >= 100_000
    by_plmn = mcc < 0
    home = np.where(by_plmn, np.where(long, plmn // 1_000, plmn // 100), mcc).astype(np.int64)
    network = np.where(by_plmn & (mnc < 0), np.where(long, plmn % 1_000, plmn % 100), mnc).astype(np.int64)
    return home * 2_048 + network + 1


def outbound_extra(plmn: NDArray[np.int32], offset_min: NDArray[np.int16], country: NDArray[np.int16], kind: Rows) -> Rows:
    """What a roaming record says beside subscriber and time, in one number."""
    return ((((plmn.astype(np.int64) + 1) << 12 | (offset_min.astype(np.int64) + 2_048)) << 10 | country.astype(np.int64)) << 16) | kind


class Spill:
    """Packed rows on disk, one file per table and local day."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.rows: dict[tuple[Target, int], int] = {}

    def path(self, target: Target, day: int) -> Path:
        """Where the rows of a day are."""
        return self.folder / f"{TABLE[target]}-{day}.rows"

    def add(
        self,
        target: Target,
        chosen: NDArray[np.bool_],
        day: NDArray[np.int32],
        subscriber: NDArray[np.int64],
        stamp: NDArray[np.int64],
        cell: NDArray[np.int32],
        extra: Rows,
    ) -> None:
        """Append the chosen rows of a batch."""
        first, counts = day_counts(chosen, day)
        ends = np.cumsum(counts)
        out = np.empty((int(counts.sum()), _WIDTH[target]), np.int64)
        pack_rows(chosen, day, subscriber, stamp, cell, extra, first, ends - counts, out)
        for d in np.flatnonzero(counts).tolist():
            key = (target, first + d)
            self.rows[key] = self.rows.get(key, 0) + int(counts[d])
            self.append(self.path(*key), out[ends[d] - counts[d] : ends[d]])

    @staticmethod
    def append(path: Path, rows: Rows) -> None:
        """Append packed rows to a file."""
        with disk_errors("scratch files"), path.open("ab") as file:
            file.write(np.ascontiguousarray(rows).data.cast("B"))


def blocks(path: Path, width: int) -> Iterator[Rows]:
    """A file of packed rows in blocks."""
    with path.open("rb") as file:
        while len(block := np.fromfile(file, np.int64, _BLOCK * width)):
            yield block.reshape(-1, width)


def stored_rows(path: Path, target: Target, day: int, event_types: EventTypes) -> Iterator[Rows]:
    """The rows of a day that the dataset already holds, packed like new ones."""
    for batch in pq.ParquetFile(path).iter_batches(batch_size=1 << 20):
        count = batch.num_rows
        column = {name: batch.column(name) for name in batch.schema.names}
        stamp = column["timestamp"].cast(pa.int64()).to_numpy()
        cell = np.zeros(count, np.int32) if target is Target.OUTBOUND else column["cell"].to_numpy()
        extra = np.zeros(count, np.int64)
        if target is Target.INBOUND:
            none = np.full(count, -1, np.int32)
            extra = inbound_extra(column["mcc"].to_numpy().astype(np.int32), _filled(column["mnc"]), none)
        elif target is Target.OUTBOUND:
            kinds = column["event_type"].dictionary_encode()
            kind = event_types.encode(kinds.dictionary.to_pylist())[kinds.indices.fill_null(-1).to_numpy()]
            countries = column["country"].dictionary_encode()
            country = np.array([country_number(text) for text in countries.dictionary.to_pylist()], np.int16)[countries.indices.to_numpy()]
            extra = outbound_extra(_filled(column["plmn"]), column["utc_offset_min"].to_numpy(), country, kind)
        out = np.empty((count, _WIDTH[target]), np.int64)
        days = np.full(count, day, np.int32)
        pack_rows(np.ones(count, np.bool_), days, column["subscriber"].to_numpy(), stamp, cell, extra, day, np.zeros(1, np.int64), out)
        yield out


def _filled(column: pa.Array) -> NDArray[np.int32]:
    return np.asarray(column.fill_null(-1).to_numpy(zero_copy_only=False)).astype(np.int32)


@dataclass(frozen=True)
class DayResult:
    """One finished day: rows stored, duplicates dropped, impossible events (packed), activity, and whether its file is new."""

    target: Target
    day: int
    rows: int
    duplicates: int
    impossible: Rows
    active: int
    gaps: NDArray[np.int64]
    written: bool


@dataclass(frozen=True)
class DayTask:
    """What it takes to finish a day.

    Args:
        target: table.
        day: local day.
        spilled: file of packed rows, new and stored ones.
        rows: how many rows there are.
        stored: how many of these the dataset already holds.
        writer: of the day's next version.
        places: `unit_vectors` of the cells on that day; empty when speeds are not checked.
        max_speed_m_s: speed limit.
        min_distance_m: shortest jump that is movement.
        event_types: texts in the order of their ranks.
        ranks: of event types.
    """

    target: Target
    day: int
    spilled: Path
    rows: int
    stored: int
    writer: ParquetWriter
    places: NDArray[np.float64]
    max_speed_m_s: float
    min_distance_m: float
    event_types: list[str]
    ranks: NDArray[np.int64]


def finish_day(task: DayTask, rows_at_once: int = ROWS_AT_ONCE) -> DayResult:
    """Sort a day, drop duplicates and impossible events, and write its file unless that would repeat the stored one."""
    kept = duplicates = active = 0
    marked: list[Rows] = []
    gaps = np.zeros(MAX_GAP_S + 1, np.int64)
    try:
        for part in _parts(task, rows_at_once):
            rows = sort_rows(part)
            distinct = drop_duplicates(rows, _KEYS[task.target])
            duplicates += len(rows) - distinct
            rows = rows[:distinct]
            if task.target is Target.EVENTS:
                bad = impossible(rows, task.places, task.max_speed_m_s, task.min_distance_m)
                if bad.any():
                    marked.append(rows[bad])
                    rows = rows[~bad]
            activity = day_activity(rows)
            active += activity.active
            gaps += activity.gaps
            kept += len(rows)
            _write(task, rows)
    except BaseException:
        task.writer.abandon()
        raise
    spoilt = np.concatenate(marked) if marked else np.empty((0, 2), np.int64)
    # Nothing new in it: the stored file already holds exactly these rows.
    written = kept != task.stored or len(spoilt) > 0
    if written and kept:
        task.writer.close()
    else:
        task.writer.abandon()
    task.spilled.unlink(missing_ok=True)
    return DayResult(task.target, task.day, kept, duplicates, spoilt, active, gaps, written)


def _parts(task: DayTask, rows_at_once: int) -> Iterator[Rows]:
    """The day's rows in ascending ranges of subscribers, each small enough to sort in memory."""
    width = _WIDTH[task.target]
    if task.rows <= rows_at_once:
        yield _ranked(np.fromfile(task.spilled, np.int64).reshape(-1, width), task)
        return
    bits = (2 * task.rows // rows_at_once).bit_length()
    paths = [task.spilled.with_suffix(f".part{number}") for number in range(1 << bits)]
    for block in blocks(task.spilled, width):
        for path, rows in zip(paths, split_by_subscriber(block, bits), strict=True):
            if len(rows):
                Spill.append(path, rows)
    task.spilled.unlink()
    for path in paths:
        if path.exists():
            yield _ranked(np.fromfile(path, np.int64).reshape(-1, width), task)
            path.unlink()


def _ranked(rows: Rows, task: DayTask) -> Rows:
    if task.target is Target.OUTBOUND:
        rows[:, 2] = (rows[:, 2] & ~np.int64(0xFFFF)) | task.ranks[rows[:, 2] & 0xFFFF]
    return rows


def _write(task: DayTask, rows: Rows) -> None:
    # A million rows at a time: the Arrow copies stay small beside the packed rows.
    for start in range(0, len(rows), 1 << 20):
        task.writer.write(_as_table(task, rows[start : start + (1 << 20)]))


def _as_table(task: DayTask, rows: Rows) -> pa.Table:
    stamp, cell = np.empty(len(rows), np.int64), np.empty(len(rows), np.int32)
    unpack_keys(rows, task.day, stamp, cell)
    columns: list[pa.Array] = [pa.array(np.ascontiguousarray(rows[:, 0])), pa.array(stamp).cast(TIMESTAMP)]
    if task.target is not Target.OUTBOUND:
        columns.append(pa.array(cell))
    if task.target is Target.INBOUND:
        mcc, mnc = rows[:, 2] >> 11, (rows[:, 2] & 2_047) - 1
        countries = pa.array([COUNTRY_OF_MCC.get(code) for code in range(1_000)], pa.string())
        columns += [pa.array(mcc.astype(np.int16)), pa.array(mnc.astype(np.int16), mask=mnc < 0), countries.take(pa.array(mcc))]
    if task.target is Target.OUTBOUND:
        extra = rows[:, 2]
        plmn, offset, country, kind = (extra >> 38) - 1, ((extra >> 26) & 4_095) - 2_048, (extra >> 16) & 1_023, (extra & 0xFFFF) - 1
        names = pa.array([country_text(number) for number in range(676)])
        kinds = pa.array(task.event_types, pa.string())
        columns += [
            pa.array(offset.astype(np.int16)),
            pa.array(plmn.astype(np.int32), mask=plmn < 0),
            names.take(pa.array(country)),
            kinds.take(pa.array(kind, mask=kind < 0)),
        ]
    return pa.table(columns, schema=SCHEMA[task.target])
