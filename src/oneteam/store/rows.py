"""Small CSV files that people write: a header, then rows, every field text until someone asks for a number or a date.

Every complaint names the file, the row (the header is row 1) and the column.
"""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Final

from oneteam.core.errors import (
    DuplicateCodeError,
    EncodingError,
    FileUnreadableError,
    MissingColumnError,
    NothingFoundError,
    UnknownValueError,
    WrongTypeError,
)

_THOUSANDS: Final = re.compile(r"[+-]?\d{1,3}(,\d{3})+(\.\d*)?")
_SHOWN: Final = 5


@dataclass(frozen=True)
class Row:
    """One row of a file.

    Args:
        where: the file and the row, for messages.
        line: its number; the header is row 1.
        fields: its fields by column, stripped.
    """

    where: str
    line: int
    fields: Mapping[str, str]

    def text(self, column: str | None) -> str | None:
        """A field's text; None when it is empty or the column is absent."""
        return (self.fields.get(column) or None) if column else None

    def number(self, column: str | None, low: float = -math.inf, high: float = math.inf) -> float | None:
        """A field as a number; None when it is empty or the column is absent. ``1,234`` is 1234.

        Raises:
            WrongTypeError: not a finite number.
            UnknownValueError: outside ``low`` to ``high``.
        """
        text = self.text(column)
        if text is None:
            return None
        try:
            value = float(text.replace(",", "") if _THOUSANDS.fullmatch(text) else text)
        except ValueError:
            value = math.nan
        if not math.isfinite(value):
            raise WrongTypeError(f"{self.where}: {column} is {text!r}, must be a number")
        if not low <= value <= high:
            raise UnknownValueError(f"{self.where}: {column} is {text}, must be {_between(low, high)}")
        return value

    def day(self, column: str | None) -> date | None:
        """A field as a date; None when it is empty or the column is absent.

        Raises:
            WrongTypeError: not an ISO date.
        """
        text = self.text(column)
        try:
            return None if text is None else date.fromisoformat(text)
        except ValueError as err:
            raise WrongTypeError(f"{self.where}: {column} is {text!r}, must be a date like 2020-01-31") from err


@dataclass(frozen=True)
class Rows:
    """A file's columns and rows, in order."""

    path: Path
    columns: tuple[str, ...]
    rows: tuple[Row, ...]

    def need(self, *columns: str) -> None:
        """Insist on columns.

        Raises:
            MissingColumnError: one is absent.
        """
        absent = [name for name in columns if name not in self.columns]
        if absent:
            raise MissingColumnError(f"{self.path}: no column {some(absent)}; its columns are: {', '.join(self.columns)}")

    def unique(self, *columns: str) -> list[str]:
        """The fields of the first of these columns that is there, each filled and different from all others.

        Raises:
            MissingColumnError: none of the columns is there.
            UnknownValueError: a field is empty.
            DuplicateCodeError: a value stands twice; both rows are named.
        """
        column = next((name for name in columns if name in self.columns), None)
        if column is None:
            raise MissingColumnError(
                f"{self.path}: no column with the code ({' or '.join(columns)}); its columns are: {', '.join(self.columns)}",
                hint="Name the column that holds the code.",
            )
        lines: dict[str, int] = {}
        for row in self.rows:
            code = row.text(column)
            if code is None:
                raise UnknownValueError(f"{row.where}: {column!r} is empty")
            if code in lines:
                raise DuplicateCodeError(f"{self.path}: code {code!r} stands twice, in rows {lines[code]} and {row.line}")
            lines[code] = row.line
        return list(lines)


def read_text(path: Path) -> str:
    """Text of a file in UTF-8 (with or without byte order mark) or CP949, the encoding of Korean Windows.

    Raises:
        FileUnreadableError: no such file, or a folder.
        EncodingError: neither of the two.
    """
    try:
        content = path.read_bytes()
    except OSError as err:
        raise FileUnreadableError(f"{path}: cannot be read: {err.strerror}") from err
    for encoding in ("utf-8-sig", "cp949"):
        try:
            return content.decode(encoding)
        except UnicodeDecodeError:
            continue
    raise EncodingError(f"{path}: text is neither UTF-8 nor CP949", hint="Save it as UTF-8.")


def read_rows(path: Path) -> Rows:
    """Read a CSV file whole; fields are parted by comma, semicolon or tab, whichever the header has most of.

    Raises:
        FileUnreadableError, EncodingError: as in `read_text`, or not CSV.
        WrongTypeError: a row with more or fewer fields than the header.
        DuplicateCodeError: a column stands twice in the header.
        NothingFoundError: no row.
    """
    text = read_text(path)
    if "\0" in text:
        raise FileUnreadableError(f"{path}: not a text file", hint="Give a CSV file.")
    header = text.split("\n", 1)[0]
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=max(",;\t", key=header.count), strict=True)
    rows: list[Row] = []
    try:
        columns = [name.strip() for name in next(reader, [])]
        for values in reader:
            if not any(value.strip() for value in values):
                continue
            where = f"{path}, row {reader.line_num}"
            if len(values) != len(columns):
                raise WrongTypeError(f"{where}: has {len(values)} fields, the header has {len(columns)}")
            rows.append(Row(where, reader.line_num, dict(zip(columns, (value.strip() for value in values), strict=True))))
    except csv.Error as err:
        raise FileUnreadableError(f"{path}, row {reader.line_num}: not CSV: {err}") from err
    twice = sorted({name for name in columns if columns.count(name) > 1})
    if twice:
        raise DuplicateCodeError(f"{path}: column {some(twice)} stands twice in the header")
    if not rows:
        raise NothingFoundError(f"{path}: holds no row")
    return Rows(path, tuple(columns), tuple(rows))


def some(values: Iterable[str]) -> str:
    """The first few of many values, for a message.

    >>> some(["a", "b", "c", "d", "e", "f"])
    'a, b, c, d, e, ...'
    """
    listed: Sequence[str] = list(values)
    shown = ", ".join(listed[:_SHOWN])
    return f"{shown}, ..." if len(listed) > _SHOWN else shown


def _between(low: float, high: float) -> str:
    if math.isinf(high):
        return f"at least {low:g}"
    return f"at most {high:g}" if math.isinf(low) else f"between {low:g} and {high:g}"
