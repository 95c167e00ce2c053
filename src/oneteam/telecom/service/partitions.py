"""Stream the stored day files by ranges of subscribers: out of core, every row read once.

A subscriber is a hash, so equal ranges hold about equally many; day files are sorted by it, so a range is a few row groups of each. What
a row group holds beyond the range is carried over to the next.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from oneteam.core.errors import FileUnreadableError
from oneteam.telecom.measures.kernel import Batch

if TYPE_CHECKING:
    from numpy.typing import NDArray

COLUMNS = ["subscriber", "timestamp", "cell"]
ROWS_PER_BATCH = 3_000_000
"""Events that one batch holds on average: 60 MB, so that a batch in work and the next one being read stay far below 1 GB."""

Columns = tuple["NDArray[np.int64]", "NDArray[np.int64]", "NDArray[np.int32]"]


@dataclass
class DayFile:
    """A sorted day file, read forward."""

    path: Path

    def __post_init__(self) -> None:
        """Open the file and read where each row group ends."""
        try:
            # Encoded column chunks are small: reading a row group's bytes in one go beats many small reads.
            self._file = pq.ParquetFile(self.path, pre_buffer=True)
        except (pa.ArrowInvalid, OSError) as err:
            raise FileUnreadableError(f"{self.path}: not a whole Parquet file", detail=str(err)) from err
        meta = self._file.metadata
        self.rows: int = meta.num_rows
        self._last = [meta.row_group(i).column(0).statistics.max for i in range(meta.num_row_groups)]
        self._next = 0
        self._rest: Columns = (np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0, np.int32))

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def take_below(self, bound: int | None) -> Columns:
        """The rows, not yet taken, of subscribers below ``bound`` (None: all)."""
        wanted: list[int] = []
        reached = self._rest[0][-1] if len(self._rest[0]) else None
        while self._next < len(self._last) and (bound is None or reached is None or reached < bound):
            wanted.append(self._next)
            reached = self._last[self._next]
            self._next += 1
        columns = self._rest
        if wanted:
            table = self._file.read_row_groups(wanted, columns=COLUMNS, use_threads=False)
            subscriber, timestamp, cell = (table[name].to_numpy() for name in COLUMNS)
            columns = _appended(columns, (subscriber, timestamp.view(np.int64), cell))
        cut = len(columns[0]) if bound is None else int(np.searchsorted(columns[0], bound))
        # A copy, so that the batch can be freed.
        self._rest = (columns[0][cut:].copy(), columns[1][cut:].copy(), columns[2][cut:].copy())
        return columns[0][:cut], columns[1][:cut], columns[2][:cut]


def _appended(rest: Columns, fresh: Columns) -> Columns:
    if not len(rest[0]):
        return fresh
    return np.concatenate([rest[0], fresh[0]]), np.concatenate([rest[1], fresh[1]]), np.concatenate([rest[2], fresh[2]])


def subscriber_bounds(parts: int) -> list[int | None]:
    """Upper bounds that cut the range of 64-bit hashes into equal parts.

    >>> subscriber_bounds(2)
    [0, None]
    """
    return [*(-(2**63) + (2**64 * i) // parts for i in range(1, parts)), None]


def batches(paths: Sequence[Path], version: NDArray[np.int64], rows_per_batch: int = ROWS_PER_BATCH) -> Iterator[Batch]:
    """Batches of subscribers, the next one read while the caller works on this one.

    Args:
        paths: day files in order of their day.
        version: row of the zone lookup for each.
        rows_per_batch: average size of a batch.
    """
    files = [DayFile(path) for path in paths]
    parts = max(1, -(-sum(file.rows for file in files) // rows_per_batch))

    with ThreadPoolExecutor(2) as readers, ThreadPoolExecutor(1) as ahead:

        def load(bound: int | None) -> Batch:
            days = list(readers.map(lambda file: file.take_below(bound), files))
            starts = np.concatenate([[0], np.cumsum([len(day[0]) for day in days])]).astype(np.int64)
            subscriber, timestamp, cell = (np.concatenate([day[i] for day in days]) for i in range(3))
            return Batch(subscriber, timestamp, cell, starts, version)

        bounds = subscriber_bounds(parts)
        coming = ahead.submit(load, bounds[0])
        for following in [*bounds[1:], ...]:
            batch = coming.result()
            if following is not ...:
                coming = ahead.submit(load, following)
            yield batch
    for file in files:
        file.close()
