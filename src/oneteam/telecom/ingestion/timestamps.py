"""Time stamps as integers: parsing ISO 8601 text, naive local times to UTC, UTC to local days.

Every function works on whole arrays; microseconds since 1970-01-01 UTC are the only unit. Between 1970 and 2100; others are out of range.
"""

from __future__ import annotations

from datetime import date
from enum import IntEnum
from functools import lru_cache
from typing import Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from oneteam.core.clock import utc_offset_changes
from oneteam.stats.compiled import compiled
from oneteam.stats.hashing import byte_buffers

DAY_US: Final = 86_400_000_000
NO_OFFSET: Final = -32_768
"""Stands for "the text carries no UTC offset" in an array of offsets [min]."""
LAST_DAY: Final = 47_482
"""2100-01-01 as days since 1970-01-01: the first day that is no longer in range."""


class StampState(IntEnum):
    """What became of one time stamp."""

    OK = 0
    NULL = 1
    BAD = 2
    OUT_OF_RANGE = 3


@lru_cache(maxsize=16)
def offset_table(timezone: str) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Changes of a zone's UTC offset from 1970 to 2100.

    Returns:
        (from, offset), both shape (k,) [us]; the first entry holds since forever.

    >>> offset_table("Asia/Seoul")[1][-1] // 3_600_000_000
    np.int64(9)
    """
    changes = np.array(utc_offset_changes(timezone, date(1970, 1, 1), date(2100, 12, 31)), dtype=np.int64)
    starts = changes[:, 0] * 1_000_000
    starts[0] = np.iinfo(np.int64).min // 4
    return starts, changes[:, 1] * 1_000_000


@compiled
def local_to_utc(stamps: NDArray[np.int64], starts: NDArray[np.int64], offsets: NDArray[np.int64], out: NDArray[np.int64]) -> None:
    """Naive local stamps to UTC [us], in place of ``out``.

    A time that occurs twice when clocks go back, or never when they go forward, takes the offset before the change (PEP 495, fold=0).
    """
    last = starts.shape[0] - 1
    at = last
    for i in range(stamps.shape[0]):
        local = stamps[i]
        while at > 0 and local < starts[at] + max(offsets[at], offsets[at - 1]):
            at -= 1
        while at < last and local >= starts[at + 1] + max(offsets[at], offsets[at + 1]):
            at += 1
        out[i] = local - offsets[at]


@compiled
def utc_offsets_min(stamps: NDArray[np.int64], starts: NDArray[np.int64], offsets: NDArray[np.int64], out: NDArray[np.int16]) -> None:
    """The zone's offset in force at each UTC stamp [min], for the entries of ``out`` that are `NO_OFFSET`."""
    for i in range(stamps.shape[0]):
        if out[i] == NO_OFFSET:
            at = np.searchsorted(starts, stamps[i], side="right") - 1
            out[i] = offsets[at] // 60_000_000


@compiled
def _digits(data: NDArray[np.uint8], at: int, count: int) -> int:
    value = 0
    for j in range(count):
        digit = int(data[at + j]) - 48
        if digit < 0 or digit > 9:
            return -1
        value = value * 10 + digit
    return value


@compiled
def _days_from_civil(year: int, month: int, day: int) -> int:
    # H. Hinnant, "chrono-compatible low-level date algorithms": days since 1970-01-01 of a proleptic Gregorian date.
    y = year - 1 if month <= 2 else year
    era = y // 400
    yoe = y - era * 400
    doy = (153 * (month + (-3 if month > 2 else 9)) + 2) // 5 + day - 1
    return era * 146_097 + yoe * 365 + yoe // 4 - yoe // 100 + doy - 719_468


@compiled
def _date(data: NDArray[np.uint8], at: int) -> int:
    year = _digits(data, at, 4)
    month = _digits(data, at + 5, 2)
    day = _digits(data, at + 8, 2)
    if data[at + 4] != 45 or data[at + 7] != 45 or year < 0 or month < 1 or month > 12 or day < 1:
        return -1_000_000_000
    leap = year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
    longest = 30 if month in {4, 6, 9, 11} else 31
    if month == 2:
        longest = 29 if leap else 28
    if day > longest:
        return -1_000_000_000
    return _days_from_civil(year, month, day)


@compiled
def _offset_minutes(data: NDArray[np.uint8], at: int, end: int) -> int:
    """Of ``Z``, ``+HH``, ``+HHMM`` or ``+HH:MM`` that fills [at, end); -9999 when it is none of these."""
    if end - at == 1 and (data[at] == 90 or data[at] == 122):
        return 0
    if data[at] != 43 and data[at] != 45:
        return -9_999
    length = end - at
    hours = _digits(data, at + 1, 2) if length >= 3 else -1
    minutes = -1
    if length == 3:
        minutes = 0
    elif length == 5:
        minutes = _digits(data, at + 3, 2)
    elif length == 6 and data[at + 3] == 58:
        minutes = _digits(data, at + 4, 2)
    if hours < 0 or hours > 15 or minutes < 0 or minutes > 59:
        return -9_999
    total = hours * 60 + minutes
    return -total if data[at] == 45 else total


@compiled
def _clock_us(data: NDArray[np.uint8], at: int, end: int) -> tuple[int, int]:
    """Microseconds of ``HH:MM[:SS[.f]]`` starting at ``at``, and where it ends; (-1, at) when it is none."""
    if end - at < 5 or data[at + 2] != 58:
        return -1, at
    hour = _digits(data, at, 2)
    minute = _digits(data, at + 3, 2)
    second = 0
    micro = 0
    at += 5
    if at < end and data[at] == 58:
        second = _digits(data, at + 1, 2) if end - at >= 3 else -1
        at += 3
        if second >= 0 and at < end and (data[at] == 46 or data[at] == 44):
            at += 1
            first = at
            scale = 100_000
            while at < end and 48 <= data[at] <= 57:
                micro += (int(data[at]) - 48) * scale
                scale //= 10
                at += 1
            if at == first:
                return -1, at
    if hour < 0 or hour > 23 or minute < 0 or minute > 59 or second < 0 or second > 59:
        return -1, at
    return ((hour * 60 + minute) * 60 + second) * 1_000_000 + micro, at


@compiled
def _parse_rows(
    data: NDArray[np.uint8],
    offsets: NDArray[np.int32] | NDArray[np.int64],
    valid: NDArray[np.bool_],
    stamps: NDArray[np.int64],
    minutes: NDArray[np.int16],
    state: NDArray[np.uint8],
) -> None:
    for row in range(stamps.shape[0]):
        at, end = int(offsets[row]), int(offsets[row + 1])
        minutes[row] = NO_OFFSET
        stamps[row] = 0
        if not valid[row] or at == end:
            state[row] = 1
            continue
        state[row] = 2
        if end - at < 16 or (data[at + 10] != 84 and data[at + 10] != 32):
            continue
        day = _date(data, at)
        micros, at = _clock_us(data, at + 11, end)
        if day == -1_000_000_000 or micros < 0:
            continue
        while at < end and data[at] == 32:
            at += 1
        offset = 0
        if at < end:
            offset = _offset_minutes(data, at, end)
            if offset == -9_999:
                continue
            minutes[row] = offset
        stamps[row] = day * 86_400_000_000 + micros - offset * 60_000_000
        state[row] = 0


def parse_iso(array: pa.Array) -> tuple[NDArray[np.int64], NDArray[np.int16], NDArray[np.uint8]]:
    """Read ISO 8601 text row by row: ``YYYY-MM-DD[T ]HH:MM[:SS[.ffffff]][Z|+HH[[:]MM]]``; digits beyond microseconds are cut.

    Args:
        array: string or large_string, shape (n,).

    Returns:
        (stamps, offsets, states), each shape (n,): microseconds since 1970 (UTC where the text carries an offset, else as on the wall),
        the offset [min] or `NO_OFFSET`, and `StampState`.

    >>> stamps, offsets, states = parse_iso(pa.array(["2020-02-01T09:00:00.5+09:00", "2020-02-01 00:00", "yesterday", None]))
    >>> stamps[:2].tolist(), offsets[:2].tolist(), states.tolist()
    ([1580515200500000, 1580515200000000], [540, -32768], [0, 0, 2, 1])
    """
    data, offsets = byte_buffers(array)
    count = len(array)
    stamps, minutes, state = np.empty(count, np.int64), np.empty(count, np.int16), np.empty(count, np.uint8)
    valid = np.ones(count, np.bool_) if array.null_count == 0 else array.is_valid().to_numpy(zero_copy_only=False)
    _parse_rows(data, offsets, valid, stamps, minutes, state)
    return stamps, minutes, state
