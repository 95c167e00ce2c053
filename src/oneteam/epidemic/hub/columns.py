"""Columns of tables that many programs write: dates as dates, time stamps or text; codes as text, numbers or dictionaries.

Every complaint names the source, the data row (the first below the header is data row 1) and the column.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from oneteam.core.errors import MissingColumnError, WrongTypeError

Days = npt.NDArray[np.datetime64]
Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


def column_of(table: pa.Table, names: Sequence[str], where: str) -> tuple[str, pa.Array]:
    """The first of these columns that the table has, as one chunk without dictionary, and its name.

    Raises:
        MissingColumnError: it has none of them.
    """
    for name in names:
        if name in table.column_names:
            column = table[name].combine_chunks()
            if isinstance(column, pa.ChunkedArray):
                column = column.chunk(0) if column.num_chunks else pa.array([], column.type)
            return name, column.dictionary_decode() if pa.types.is_dictionary(column.type) else column
    raise MissingColumnError(
        f"{where}: no column {' or '.join(repr(n) for n in names)}; its columns are: {', '.join(table.column_names)}",
        hint="Rename the column, or see docs/forecasting.md (target data), docs/epidemic-scores.md (case files) or docs/importation.md.",
    )


def as_days(table: pa.Table, names: Sequence[str], where: str) -> Days:
    """A column of dates, shape (rows,); an empty field is NaT.

    Raises:
        MissingColumnError: no such column.
        WrongTypeError: a field that is no date, or a time stamp that is not midnight.

    >>> as_days(pa.table({"d": ["2024-01-06", "2024-01-13T00:00:00"]}), ["d"], "x.csv").tolist()
    [datetime.date(2024, 1, 6), datetime.date(2024, 1, 13)]
    """
    name, column = column_of(table, names, where)
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        try:
            stamps = np.array([v.replace(" ", "T") if v else "NaT" for v in column.to_pylist()], "datetime64[s]")
        except ValueError:
            row, text = _first_bad_day(column.to_pylist())
            raise WrongTypeError(f"{where}, data row {row}: {name} is {text!r}, must be a date like 2024-01-31") from None
    elif pa.types.is_date(column.type) or pa.types.is_timestamp(column.type):
        stamps = column.cast(pa.timestamp("s"), safe=False).to_numpy(zero_copy_only=False).astype("datetime64[s]")
    else:
        raise WrongTypeError(f"{where}: {name} is of type {column.type}, must be dates")
    days = stamps.astype("datetime64[D]")
    odd = np.flatnonzero((days.astype("datetime64[s]") != stamps) & ~np.isnat(stamps))
    if len(odd):
        raise WrongTypeError(f"{where}, data row {odd[0] + 1}: {name} is {stamps[odd[0]]}, must be a date without a time of day")
    return days


def _first_bad_day(texts: Sequence[str | None]) -> tuple[int, str]:
    for row, text in enumerate(texts, 1):
        try:
            np.datetime64((text or "NaT").replace(" ", "T"), "s")
        except ValueError:
            return row, text or ""
    return 0, ""


def as_text(table: pa.Table, names: Sequence[str], where: str) -> pa.Array:
    """A column of codes as text; whole numbers lose their decimals.

    Raises:
        MissingColumnError: no such column.
        WrongTypeError: an empty field.

    >>> as_text(pa.table({"location": pa.array([1.0, 2.0])}), ["location"], "x.csv").to_pylist()
    ['1', '2']
    """
    name, column = column_of(table, names, where)
    if pa.types.is_floating(column.type):
        column = column.cast(pa.int64())
    text = pc.utf8_trim_whitespace(column.cast(pa.string()))
    empty = pc.fill_null(pc.equal(text, ""), fill_value=True).to_numpy(zero_copy_only=False)
    if empty.any():
        raise WrongTypeError(f"{where}, data row {int(np.argmax(empty)) + 1}: {name} is empty, must be a code")
    return text


def as_floats(table: pa.Table, names: Sequence[str], where: str) -> Floats:
    """A column of numbers, shape (rows,); empty fields and the texts NA and NaN are NaN.

    Raises:
        MissingColumnError: no such column.
        WrongTypeError: a field that is no number.

    >>> as_floats(pa.table({"v": ["1.5", "NA", ""]}), ["v"], "x.csv").tolist()
    [1.5, nan, nan]
    """
    name, column = column_of(table, names, where)
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        texts = column.to_pylist()
        out = np.full(len(texts), np.nan)
        for row, text in enumerate(texts):
            if text is None or text.strip().upper() in {"", "NA", "NAN", "NULL"}:
                continue
            try:
                out[row] = float(text)
            except ValueError:
                raise WrongTypeError(f"{where}, data row {row + 1}: {name} is {text!r}, must be a number") from None
        return out
    try:
        return np.asarray(column.cast(pa.float64()).to_numpy(zero_copy_only=False), np.float64)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        raise WrongTypeError(f"{where}: {name} is of type {column.type}, must be numbers") from None


def as_ints(table: pa.Table, names: Sequence[str], where: str) -> Ints:
    """A column of whole numbers, shape (rows,).

    Raises:
        MissingColumnError: no such column.
        WrongTypeError: a field that is empty or no whole number.

    >>> as_ints(pa.table({"horizon": ["0", "-1"]}), ["horizon"], "x.csv").tolist()
    [0, -1]
    """
    values = as_floats(table, names, where)
    odd = np.flatnonzero(~(np.isfinite(values) & (values == np.round(values))))
    if len(odd):
        raise WrongTypeError(f"{where}, data row {odd[0] + 1}: {names[0]} is {values[odd[0]]}, must be a whole number")
    return values.astype(np.int64)
