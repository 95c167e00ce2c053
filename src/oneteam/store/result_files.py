"""Result tables as people want them: the suffix of the name decides."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

import pyarrow as pa
import pyarrow.csv as pa_csv

from oneteam.core.errors import UnknownValueError
from oneteam.store.tables import disk_errors, write_atomically, write_parquet

SUFFIXES = (".parquet", ".csv", ".json")


def check_suffix(path: Path) -> None:
    """Refuse a file that is none of `SUFFIXES`.

    Raises:
        UnknownValueError: it is not.
    """
    if path.suffix.lower() not in SUFFIXES:
        raise UnknownValueError(f"{path}: cannot write '{path.suffix}'; the name must end in .parquet, .csv or .json")


def write_table(path: Path, table: pa.Table, about: Mapping[str, str] = MappingProxyType({})) -> None:
    """Write a result, whole or not at all, by the suffix of its name: ``.parquet`` (with ``about`` as metadata), ``.csv`` or ``.json``.

    Raises:
        UnknownValueError: another suffix.
    """
    check_suffix(path)
    match path.suffix.lower():
        case ".parquet":
            write_parquet(path, table, metadata=dict(about))
        case ".csv":
            sink = pa.BufferOutputStream()
            pa_csv.write_csv(table, sink)
            with disk_errors(path.name):
                write_atomically(path, sink.getvalue().to_pybytes())
        case _:
            body = {"about": dict(about), "rows": table.to_pylist()}
            write_atomically(path, json.dumps(body, default=str, ensure_ascii=False).encode())
