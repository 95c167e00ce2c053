"""Files of a synthetic country: big ones streamed row group by row group, small ones whole, all under a temporary folder until done."""

from __future__ import annotations

import csv
import io
import json
import os
import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import pyarrow as pa
import pyarrow.parquet as pq

from oneteam.core.errors import InputError
from oneteam.store.tables import disk_errors

COUNTRY_FILE: Final = "country.json"


class RowGroupWriter:
    """Write tables as row groups of one Parquet file. Dictionary columns go to disk as they are, without being spelled out.

    Args:
        path: the file.
        schema: of the tables.
        delta: integer columns that are nearly sorted.
    """

    def __init__(self, path: Path, schema: pa.Schema, delta: Sequence[str] = ()) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.rows = 0
        self._name = path.name
        with disk_errors(path.name):
            self._writer = pq.ParquetWriter(
                path,
                schema,
                compression="snappy",
                use_dictionary=[name for name in schema.names if name not in delta],
                column_encoding=dict.fromkeys(delta, "DELTA_BINARY_PACKED") or None,
                dictionary_pagesize_limit=64 * 1024 * 1024,
                write_statistics=["timestamp"] if "timestamp" in schema.names else True,
                # Without Arrow's own schema in the footer a reader sees plain binary and string columns, as any carrier's files have.
                store_schema=False,
            )

    def write(self, table: pa.Table) -> None:
        """Append a row group; nothing for no rows."""
        if table.num_rows:
            with disk_errors(self._name):
                self._writer.write_table(table, row_group_size=table.num_rows)
            self.rows += table.num_rows

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        with disk_errors(self._name):
            self._writer.close()


def day_path(folder: Path, carrier: str, day: date) -> Path:
    """Where a carrier's events of a local day stand, as the multi-MNO pipeline partitions them."""
    return folder / carrier / "events" / f"year={day.year}" / f"month={day.month}" / f"day={day.day}" / "part-0.parquet"


def write_rows(path: Path, header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Write a small CSV file."""
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(header)
    table.writerows(rows)
    write_text(path, text.getvalue())


def write_json(path: Path, document: dict[str, Any]) -> None:
    """Write a JSON document for people and programs."""
    write_text(path, json.dumps(document, ensure_ascii=False, indent=1, sort_keys=True) + "\n")


def write_text(path: Path, text: str) -> None:
    """Write a text file, UTF-8."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with disk_errors(path.name):
        path.write_text(text, encoding="utf-8", newline="\n")


def write_truth(path: Path, table: pa.Table) -> None:
    """Write a table whole, in few large row groups."""
    with RowGroupWriter(path, table.schema) as writer:
        for first in range(0, table.num_rows, 1 << 20):
            writer.write(table.slice(first, 1 << 20))


@contextmanager
def new_folder(folder: Path, *, force: bool) -> Iterator[Path]:
    """A temporary folder beside ``folder`` that takes its place when the work is done; nothing is left when it fails.

    Args:
        folder: where the country shall stand.
        force: replace what is there, if a synthetic country is, and stand beside other files.

    Raises:
        InputError: the folder holds something and ``force`` is not given, or it is a file.
    """
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder}: is a file, must be a folder")
    occupied = folder.is_dir() and any(folder.iterdir())
    if occupied and not force:
        raise InputError(f"{folder}: the folder is not empty", hint="Give another folder, or --force to replace the country in it.")
    folder.parent.mkdir(parents=True, exist_ok=True)
    temporary = folder.with_name(f".{folder.name}.{os.getpid()}.tmp")
    shutil.rmtree(temporary, ignore_errors=True)
    try:
        with disk_errors(str(folder)):
            temporary.mkdir()
        yield temporary
        if occupied:
            _replace(folder, temporary)
        else:
            if folder.exists():
                folder.rmdir()
            temporary.rename(folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _replace(folder: Path, temporary: Path) -> None:
    """Take away what an earlier country left in the folder, and nothing else; put the new one there."""
    ours = {child.name for child in temporary.iterdir()}
    try:
        earlier = json.loads((folder / COUNTRY_FILE).read_text(encoding="utf-8"))
        ours |= {str(carrier["name"]) for carrier in earlier["settings"]["carriers"]}
    except (OSError, ValueError, KeyError, TypeError):
        pass
    # The mark of a whole country goes first and comes last, so that a kill in between cannot look like one.
    for name in sorted(ours, key=lambda n: n != COUNTRY_FILE):
        target = folder / name
        if target.is_dir() and not target.is_symlink():
            shutil.rmtree(target)
        else:
            target.unlink(missing_ok=True)
    for child in sorted(temporary.iterdir(), key=lambda c: c.name == COUNTRY_FILE):
        child.rename(folder / child.name)
