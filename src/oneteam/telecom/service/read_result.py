"""Read back what `oneteam telecom measure` has written."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.csv as pa_csv

from oneteam.core.errors import FileUnreadableError, UnknownValueError
from oneteam.store.rows import read_text
from oneteam.store.tables import metadata_of, read_parquet

_TEXT: Final = ("month", "day", "zone", "home", "origin", "destination", "country", "state")


def read_result(path: Path) -> tuple[pa.Table, dict[str, str]]:
    """Rows of a result, and what its file says about them.

    Args:
        path: ``.parquet``, ``.csv`` (which says nothing about itself) or ``.json``; codes and dates of CSV and JSON stay text.

    Raises:
        FileUnreadableError: no such file, or not of that format.
        EncodingError: text that is neither UTF-8 nor CP949.
        UnknownValueError: another suffix.
    """
    if not path.is_file():
        raise FileUnreadableError(f"{path}: no such file", hint="Make one with `oneteam telecom measure NAME --data DIR --out FILE`.")
    match path.suffix.lower():
        case ".parquet":
            return read_parquet(path), metadata_of(path)
        case ".csv":
            return _read_csv(path), {}
        case ".json":
            try:
                document = json.loads(read_text(path))
                return pa.Table.from_pylist(document["rows"]), dict(document["about"])
            except (ValueError, KeyError, TypeError, AttributeError, pa.ArrowException) as err:
                raise FileUnreadableError(f"{path}: not a result of `oneteam telecom measure`", detail=str(err)) from err
        case other:
            raise UnknownValueError(f"{path}: cannot read '{other}'; the name must end in .parquet, .csv or .json")


def _read_csv(path: Path) -> pa.Table:
    text = read_text(path)
    header = next(csv.reader(io.StringIO(text)), [])
    # Codes are text: a reader that guessed would make 11010 a number, and 01 a 1.
    types = {name: pa.string() for name in header if name in _TEXT}
    try:
        return pa_csv.read_csv(
            io.BytesIO(text.encode()), convert_options=pa_csv.ConvertOptions(column_types=types, strings_can_be_null=False)
        )
    except pa.ArrowInvalid as err:
        raise FileUnreadableError(f"{path}: not a table in CSV", detail=str(err)) from err
