"""Rejected rows, kept with their reason, and tables that grow by small parts."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from oneteam.store.tables import ParquetWriter, Transaction
from oneteam.telecom.dataset import TelecomManifest
from oneteam.telecom.ingestion.clean import Verdict
from oneteam.telecom.ingestion.mapping import Mapping
from oneteam.telecom.ingestion.quality import QUARANTINE
from oneteam.telecom.service.read import BadRows, Source

AT_ONCE = 500_000
"""Rejected rows turned to text at once, so that a wholly refused file stays small in memory."""


class Appender:
    """A partition that grows by small tables; no file when nothing is added."""

    def __init__(self, tx: Transaction[TelecomManifest], table: str, partition: str, schema: pa.Schema) -> None:
        self.rows = 0
        self._tx, self._table, self._partition, self._schema = tx, table, partition, schema
        self._waiting: list[pa.Table] = []
        self._writer: ParquetWriter | None = None
        self._waiting_rows = 0

    def add(self, rows: pa.Table) -> None:
        """Append rows; they are written when there are enough of them."""
        self.rows += rows.num_rows
        self._waiting.append(rows)
        self._waiting_rows += rows.num_rows
        if self._waiting_rows >= 100_000:
            self._flush()

    def _flush(self) -> None:
        if self._writer is None:
            self._writer = self._tx.writer(self._table, self._partition, self._schema)
        self._writer.write(pa.concat_tables(self._waiting))
        self._waiting, self._waiting_rows = [], 0

    def close(self) -> None:
        """Finish the file and make it part of the dataset."""
        if self._waiting:
            self._flush()
        if self._writer is not None:
            writer, self._writer = self._writer, None
            writer.close()
            self._tx.adopt(self._table, self._partition, writer.rows)

    def abandon(self) -> None:
        """Forget the file."""
        self._waiting = []
        if self._writer is not None:
            self._writer.abandon()


class Quarantine(Appender):
    """The quarantine of one ingestion."""

    def __init__(self, tx: Transaction[TelecomManifest], partition: str) -> None:
        super().__init__(tx, "quarantine", partition, QUARANTINE)

    def refuse(self, source: Source, table: pa.Table, rows: NDArray[np.int64], verdict: NDArray[np.uint8], first_row: int) -> None:
        """Keep rejected rows of a batch with their reasons and what stood in them.

        Args:
            source: their file.
            table: the batch as it was read.
            rows: which of its rows.
            verdict: of every row of the batch.
            first_row: number of the batch's first row in its file.
        """
        for start in range(0, len(rows), AT_ONCE):
            part = rows[start : start + AT_ONCE]
            verdicts = [Verdict(code) for code in verdict[part].tolist()]
            values = table.take(pa.array(part))
            self.add(
                pa.table(
                    [
                        pa.array([source.name] * len(part)),
                        pa.array(part + first_row),
                        pa.array([v.reason for v in verdicts]),
                        pa.array([v.field for v in verdicts]),
                        *(_text_of(values, source.mapping, name) for name in ("user_id", "timestamp", "cell_id", "plmn")),
                    ],
                    schema=QUARANTINE,
                )
            )


def bad_lines(name: str, bad: BadRows) -> pa.Table:
    """Lines of a CSV file that are no rows.

    Args:
        name: of the file.
        bad: the lines.
    """
    count = len(bad.lines)
    none = pa.nulls(count, pa.string())
    return pa.table(
        [
            pa.array([name] * count),
            pa.array([None if number < 0 else number for number, _ in bad.lines], pa.int64()),
            pa.array([Verdict.CANNOT_PARSE__ROW.reason] * count),
            pa.array([f"row: {text}" for _, text in bad.lines]),
            *[none] * 4,
        ],
        schema=QUARANTINE,
    )


def _text_of(table: pa.Table, mapping: Mapping, name: str) -> pa.Array:
    has = set(table.column_names)
    columns = [table.column(source) for source in mapping.sources_of(name) if source in has]
    parts = [_as_text(column.combine_chunks()) for column in columns]
    if not parts:
        return pa.nulls(table.num_rows, pa.string())
    return (
        parts[0]
        if len(parts) == 1
        else pc.binary_join_element_wise(*parts, mapping.cell_separator, null_handling="replace", null_replacement="")
    )


def _as_text(column: pa.Array | pa.ChunkedArray) -> pa.Array:
    array = pa.concat_arrays(column.chunks) if isinstance(column, pa.ChunkedArray) else column
    if pa.types.is_dictionary(array.type):
        array = array.dictionary_decode()
    if pa.types.is_binary(array.type) or pa.types.is_large_binary(array.type) or pa.types.is_fixed_size_binary(array.type):
        return bytes_as_text(array)
    return array.cast(pa.string())


def bytes_as_text(array: pa.Array) -> pa.Array:
    """Bytes as UTF-8 text, or in hexadecimal where they are no text."""
    try:
        return array.cast(pa.binary()).cast(pa.string())
    except pa.ArrowInvalid:
        return pa.array([None if value is None else _readable(value) for value in array.to_pylist()], pa.string())


def _readable(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.hex()
