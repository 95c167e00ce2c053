"""Input files as they were on a day: rows of later days are left out before anything else reads them."""

from __future__ import annotations

import csv
import io
from datetime import date
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from oneteam.core.errors import MissingColumnError, NothingFoundError, WrongTypeError
from oneteam.epidemic.service.files import read_table
from oneteam.store.rows import read_text
from oneteam.store.tables import metadata_of, write_atomically, write_parquet

DATES: Final = ("date", "day", "report_date", "week_start", "return", "last_day")


def known_on(source: Path, target: Path, day: date) -> int:
    """Copy a file's rows up to a day; how many later ones were left out.

    Args:
        source: CSV or Parquet with a column of dates: one of `DATES`.
        target: the copy, of the same name.
        day: the last that counts.

    Raises:
        MissingColumnError: no column of dates.
        NothingFoundError: all rows are later.
        FileUnreadableError, EncodingError, WrongTypeError: it cannot be read.
    """
    if source.suffix == ".parquet":
        return _parquet(source, target, day)
    lines = read_text(source).splitlines(keepends=True)
    if not lines:
        raise NothingFoundError(f"{source}: is empty")
    rows = csv.reader(io.StringIO("".join(lines)))
    header = [name.strip() for name in next(rows)]
    at = header.index(_column(header, source))
    kept, dropped = [next(csv.reader([lines[0]]))], 0
    for number, row in enumerate(rows, start=2):
        if not any(row):
            continue
        text = row[at].strip() if at < len(row) else ""
        if _after(text, day, f"{source}: row {number}"):
            dropped += 1
        else:
            kept.append(row)
    if len(kept) == 1:
        raise NothingFoundError(f"{source}: no row up to {day}")
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows(kept)
    write_atomically(target, out.getvalue().encode())
    return dropped


def _parquet(source: Path, target: Path, day: date) -> int:
    table = read_table(source)
    name = _column(table.column_names, source)
    days = table[name]
    if pa.types.is_string(days.type) or pa.types.is_large_string(days.type):
        keep = pc.less_equal(pc.utf8_slice_codeunits(days, 0, 10), day.isoformat())
    else:
        keep = pc.less_equal(days.cast(pa.date32()), pa.scalar(day, pa.date32()))
    kept = table.filter(keep)
    if not kept.num_rows:
        raise NothingFoundError(f"{source}: no row up to {day}")
    write_parquet(target, kept, metadata=metadata_of(source))
    return int(table.num_rows - kept.num_rows)


def _column(header: list[str], source: Path) -> str:
    found = next((name for name in DATES if name in header), None)
    if found is None:
        raise MissingColumnError(
            f"{source}: no column of dates ({', '.join(DATES)}), to tell what was known of it when; it has {', '.join(header[:8])}"
        )
    return found


def _after(text: str, day: date, where: str) -> bool:
    try:
        return date.fromisoformat(text[:10]) > day
    except ValueError as err:
        raise WrongTypeError(f"{where}: {text!r} must be a date like 2020-01-31") from err
