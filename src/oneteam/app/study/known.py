"""Input files as they were on a day: rows of later days are left out before anything else reads them."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from oneteam.core.errors import MissingColumnError, NothingFoundError, WrongTypeError
from oneteam.epidemic.service.files import read_table
from oneteam.store.rows import read_text
from oneteam.store.tables import metadata_of, write_atomically, write_parquet

DATES: Final = ("date", "day", "report_date", "return", "last_day")
"""Columns with a day on which something was or was told. A row with several was known on the last of them."""
WEEK, MONTH = "week_start", "month"
"""In a file without such columns: a row stands for seven days from here on, or for a month, and is known when they are over."""
_WEEK_D: Final = 7


def known_on(source: Path, target: Path, day: date, *, undated: bool = False) -> int:
    """Copy a file's rows up to a day; how many later ones were left out.

    Args:
        source: CSV or Parquet with columns of dates: of `DATES`, else `WEEK`, else `MONTH`.
        target: the copy, of the same name.
        day: the last that counts.
        undated: a file without any of them is kept whole.

    Raises:
        MissingColumnError: no column of dates.
        NothingFoundError: all rows are later.
        FileUnreadableError, EncodingError, WrongTypeError: it cannot be read.
    """
    if source.suffix == ".parquet":
        return _parquet(source, target, day, undated=undated)
    lines = read_text(source).splitlines(keepends=True)
    if not lines:
        raise NothingFoundError(f"{source}: is empty")
    rows = csv.reader(io.StringIO("".join(lines)))
    header = [name.strip() for name in next(rows)]
    names, last = _columns(header, day, source, undated=undated)
    places = [header.index(name) for name in names]
    kept, dropped = [next(csv.reader([lines[0]]))], 0
    for number, row in enumerate(rows, start=2):
        if not any(row):
            continue
        texts = [row[at].strip() if at < len(row) else "" for at in places]
        # The first column says which day the row is of; others may be empty.
        told = [*texts[:1], *filter(None, texts[1:])]
        if any(_after(_first_of(text, names), last, f"{source}: row {number}") for text in told):
            dropped += 1
        else:
            kept.append(row)
    if len(kept) == 1:
        raise NothingFoundError(f"{source}: no row up to {day}")
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows(kept)
    write_atomically(target, out.getvalue().encode())
    return dropped


def _parquet(source: Path, target: Path, day: date, *, undated: bool) -> int:
    table = read_table(source)
    names, last = _columns(table.column_names, day, source, undated=undated)
    kept = table
    for name in names:
        known = pc.less_equal(_days(kept, name, source), pa.scalar(last, pa.date32()))
        kept = kept.filter(known if name == names[0] else pc.fill_null(known, True))
    if not kept.num_rows:
        raise NothingFoundError(f"{source}: no row up to {day}")
    write_parquet(target, kept, metadata=metadata_of(source))
    return int(table.num_rows - kept.num_rows)


def _days(table: pa.Table, name: str, source: Path) -> pa.ChunkedArray:
    column = table[name]
    try:
        if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
            column = pc.utf8_slice_codeunits(column, 0, len("2020-01-31"))
            if name == MONTH:
                column = pc.replace_substring_regex(column, r"^(\d{4}-\d{2})$", r"\1-01")
        return column.cast(pa.date32())
    except pa.ArrowInvalid as err:
        raise WrongTypeError(f"{source}: {name}: must be dates like 2020-01-31") from err


def _columns(header: Sequence[str], day: date, source: Path, *, undated: bool) -> tuple[list[str], date]:
    """The columns that tell when a row was known, and the last day that may stand in them."""
    found = [name for name in DATES if name in header]
    if found:
        return found, day
    if WEEK in header:
        return [WEEK], day - timedelta(days=_WEEK_D - 1)
    if MONTH in header:
        return [MONTH], (day + timedelta(days=1)).replace(day=1) - timedelta(days=1)
    if undated:
        return [], day
    raise MissingColumnError(
        f"{source}: no column of dates ({', '.join((*DATES, WEEK, MONTH))}), to tell what was known of it when; "
        f"it has {', '.join(header[:8])}"
    )


def _first_of(text: str, names: Sequence[str]) -> str:
    return f"{text}-01" if names == [MONTH] and len(text) == len("2020-01") else text


def _after(text: str, day: date, where: str) -> bool:
    try:
        return date.fromisoformat(text[:10]) > day
    except ValueError as err:
        raise WrongTypeError(f"{where}: {text!r} must be a date like 2020-01-31") from err
