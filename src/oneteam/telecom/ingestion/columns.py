"""Columns of whatever type a carrier's file has, as plain arrays; values that cannot be read get a mark, not an exception."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from oneteam.core.errors import NaiveTimestampError, WrongTypeError
from oneteam.telecom.ingestion.mapping import Mapping
from oneteam.telecom.ingestion.timestamps import DAY_US, LAST_DAY, NO_OFFSET, StampState, local_to_utc, offset_table, parse_iso

NULL: Final = -1
BAD: Final = -2
OUT: Final = -3
"""Marks in arrays of non-negative integers: no value, text that is no number, a number outside the type."""


def _plain(column: pa.ChunkedArray) -> pa.Array:
    array = column.combine_chunks()
    if isinstance(array, pa.ChunkedArray):  # more than 2 GiB of text in one batch
        array = pa.concat_arrays(array.chunks) if array.num_chunks else pa.array([], column.type)
    return array


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def decoded(column: pa.ChunkedArray) -> pa.Array:
    """One plain array, without dictionary and chunks."""
    array = _plain(column)
    return array.dictionary_decode() if pa.types.is_dictionary(array.type) else array


def _wrong_type(where: str, name: str, kind: pa.DataType, right: str) -> WrongTypeError:
    return WrongTypeError(f"{where}: column {name!r} is of type {kind}; {right} is needed")


def user_ids(column: pa.ChunkedArray, where: str, name: str) -> pa.Array:
    """User identifiers as a binary or text array; integers become their decimal text."""
    array = decoded(column)
    kind = array.type
    if pa.types.is_integer(kind):
        return array.cast(pa.string())
    if pa.types.is_fixed_size_binary(kind):
        return array.cast(pa.binary())
    if _is_text(kind) or pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
        return array
    raise _wrong_type(where, name, kind, "text, binary or an integer")


def _numbers_text(array: pa.Array) -> tuple[pa.Array, NDArray[np.bool_]]:
    """Text as float64, and which rows hold something that is no number."""
    stripped = pc.utf8_trim_whitespace(array)
    bad = np.zeros(len(array), np.bool_)
    try:
        return pc.if_else(pc.equal(stripped, ""), None, stripped).cast(pa.float64()), bad
    except pa.ArrowInvalid:
        fits = pc.match_substring_regex(stripped, r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,3})?$")
        bad = pc.and_(pc.invert(fits), pc.not_equal(stripped, "")).fill_null(False).to_numpy(zero_copy_only=False)
        return pc.if_else(fits, stripped, None).cast(pa.float64()), bad


def integers(column: pa.ChunkedArray | None, rows: int, where: str, name: str) -> NDArray[np.int32]:
    """Non-negative integers with the marks NULL, BAD and OUT."""
    if column is None or column.null_count == rows:
        return np.full(rows, NULL, np.int32)
    array = _plain(column)
    if pa.types.is_dictionary(array.type):
        words = integers(pa.chunked_array([array.dictionary]), len(array.dictionary), where, name)
        return np.asarray(np.append(words, np.int32(NULL))[array.indices.fill_null(len(words)).to_numpy()])
    bad = None
    if _is_text(array.type):
        array, bad = _numbers_text(array)
    elif not (pa.types.is_integer(array.type) or pa.types.is_floating(array.type)):
        raise _wrong_type(where, name, array.type, "an integer, or text that holds one,")
    values: NDArray[Any] = array.fill_null(NULL).to_numpy(zero_copy_only=False)
    if values.dtype == np.int32 and array.null_count == 0 and (rows == 0 or values.min() >= 0):
        return values
    whole = np.isfinite(values) & (np.floor(values) == values) if values.dtype.kind == "f" else np.ones(rows, np.bool_)
    with np.errstate(invalid="ignore"):
        out = np.where(whole & (values >= 0) & (values < 2**31), values, OUT).astype(np.int32)
    out[~whole] = BAD
    out[array.is_null(nan_is_null=values.dtype.kind == "f").to_numpy(zero_copy_only=False)] = NULL
    if bad is not None:
        out[bad] = BAD
    return out


def floats(column: pa.ChunkedArray | None, rows: int, where: str, name: str) -> NDArray[np.float64]:
    """Numbers; NaN where there is none, -inf where text is no number."""
    if column is None or column.null_count == rows:
        return np.full(rows, np.nan)
    array = decoded(column)
    bad = None
    if _is_text(array.type):
        array, bad = _numbers_text(array)
    elif not (pa.types.is_integer(array.type) or pa.types.is_floating(array.type) or pa.types.is_decimal(array.type)):
        raise _wrong_type(where, name, array.type, "a number, or text that holds one,")
    values = array.cast(pa.float64(), safe=False).fill_null(np.nan).to_numpy(zero_copy_only=False)
    if bad is not None and bad.any():
        values = values.copy()
        values[bad] = -np.inf
    return np.asarray(values)


def texts(columns: list[pa.ChunkedArray], rows: int, separator: str, where: str, name: str) -> tuple[list[str], NDArray[np.int32]]:
    """Distinct texts and the index of each row's among them; empty text is no text."""
    if not columns or any(column.null_count == rows for column in columns):
        return [], np.full(rows, NULL, np.int32)
    parts = []
    for column in columns:
        array = _plain(column)
        kind = array.type.value_type if pa.types.is_dictionary(array.type) else array.type
        if not (_is_text(kind) or pa.types.is_integer(kind)):
            raise _wrong_type(where, name, kind, "text or an integer")
        parts.append(array if pa.types.is_dictionary(array.type) else array.dictionary_encode())
    if len(parts) == 1:
        coded = parts[0]
        words = coded.dictionary.cast(pa.string()).to_pylist()
        index = coded.indices.fill_null(NULL).cast(pa.int32()).to_numpy()
    else:
        widths = [len(part.dictionary) for part in parts]
        merged = np.zeros(rows, np.int64)
        absent = np.zeros(rows, np.bool_)
        for part, width in zip(parts, widths, strict=True):
            at = part.indices.fill_null(NULL).to_numpy().astype(np.int64)
            absent |= at < 0
            merged = merged * width + at
        merged[absent] = NULL
        distinct, inverse = np.unique(merged, return_inverse=True)
        words = [_joined(int(value), parts, widths, separator) for value in distinct]
        index = inverse.astype(np.int32)
    empty = np.array([word is None or not word for word in words], np.bool_)
    if empty.any():
        index = np.where(empty[index] & (index >= 0), np.int32(NULL), index)
    return ["" if word is None else word for word in words], index


def _joined(value: int, parts: list[pa.DictionaryArray], widths: list[int], separator: str) -> str | None:
    if value < 0:
        return None
    words: list[str] = []
    for part, width in zip(reversed(parts), reversed(widths), strict=True):
        value, at = divmod(value, width)
        words.append(str(part.dictionary[at].as_py() or ""))
    return None if "" in words else separator.join(reversed(words))


def _naive_to_utc(stamps: NDArray[np.int64], timezone: str) -> NDArray[np.int64]:
    out = np.empty(len(stamps), np.int64)
    local_to_utc(stamps, *offset_table(timezone), out)
    return out


def refuse_naive(where: str, row: int | None, name: str) -> NaiveTimestampError:
    """The error for time stamps that nobody has given a zone."""
    place = "" if row is None else f", row {row}"
    return NaiveTimestampError(
        f"{where}{place}: column {name!r} has time stamps without UTC offset",
        hint="Say their zone: --naive-timezone Asia/Seoul, or timezone = 'Asia/Seoul' in the mapping file.",
    )


def stamps(
    column: pa.ChunkedArray, mapping: Mapping, naive_timezone: str | None, where: str, first_row: int
) -> tuple[NDArray[np.int64], NDArray[np.int16], NDArray[np.uint8]]:
    """UTC stamps [us], the offset written beside them [min] or `NO_OFFSET`, and their `StampState`."""
    name = mapping.sources_of("timestamp")[0]
    naive_zone = mapping.timezone or naive_timezone
    array = decoded(column)
    rows = len(array)
    offsets = np.full(rows, NO_OFFSET, np.int16)
    naive = np.zeros(0, np.bool_)
    if _is_text(array.type) and mapping.time_format == "iso":
        stamps, offsets, state = parse_iso(array)
        naive = (offsets == NO_OFFSET) & (state == StampState.OK)
    else:
        is_null = array.is_null().to_numpy(zero_copy_only=False)
        if pa.types.is_timestamp(array.type):
            values = array
            naive = ~is_null if array.type.tz is None else naive
        elif mapping.time_format.startswith("epoch_"):
            values = _epoch(array, mapping.time_format.removeprefix("epoch_"), where, name)
        elif _is_text(array.type):
            values = pc.strptime(array, format=mapping.time_format, unit="us", error_is_null=True)
            naive = values.is_valid().to_numpy(zero_copy_only=False)
        else:
            raise _wrong_type(where, name, array.type, "a timestamp, or text (or epoch numbers with time_format in a mapping file)")
        state = np.where(is_null, StampState.NULL, np.where(values.is_null().to_numpy(zero_copy_only=False), StampState.BAD, StampState.OK))
        state = state.astype(np.uint8)
        micros = values.cast(pa.timestamp("us", tz=getattr(values.type, "tz", None)), safe=False).cast(pa.int64())
        stamps = micros.fill_null(0).to_numpy(zero_copy_only=False)
    if naive.any():
        if naive_zone is None:
            raise refuse_naive(where, first_row + int(np.argmax(naive)), name)
        local = _naive_to_utc(stamps, naive_zone)
        stamps = local if naive.all() else np.where(naive, local, stamps)
    outside = (stamps < DAY_US) | (stamps >= LAST_DAY * DAY_US)
    if outside.any():
        state[outside & (state == StampState.OK)] = StampState.OUT_OF_RANGE
    return stamps, offsets, state


def _epoch(array: pa.Array, unit: str, where: str, name: str) -> pa.Array:
    if _is_text(array.type):
        numbers, _ = _numbers_text(array)
    elif pa.types.is_integer(array.type) or pa.types.is_floating(array.type):
        numbers = array
    else:
        raise _wrong_type(where, name, array.type, "a number")
    if not pa.types.is_integer(numbers.type):
        scale = {"s": 1e6, "ms": 1e3, "us": 1.0}[unit]
        micros = pc.round(pc.multiply(numbers, scale))
        usable = pc.less(pc.abs(micros), 9e18)
        numbers, unit = pc.if_else(usable, micros, None).cast(pa.int64()), "us"
    limit = {"s": 2**40, "ms": 2**50, "us": 2**62}[unit]
    inside = pc.less(pc.abs(numbers.cast(pa.int64())), limit)
    return pc.if_else(inside, numbers.cast(pa.int64()), -1).cast(pa.timestamp(unit, tz="UTC")).cast(pa.timestamp("us", tz="UTC"))
