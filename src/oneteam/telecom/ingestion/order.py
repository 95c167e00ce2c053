"""Order the rows of a local day: pack, sort by (subscriber, time, cell), drop duplicates, find impossible speeds. Pure, compiled.

A packed row is two or three int64: ``subscriber``; ``key`` = microseconds since a fixed moment before the local day, then the cell, in one
number, so that comparing keys compares (timestamp, cell); and, except for events, ``extra``, whose order decides among the rest.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from oneteam.stats.compiled import compiled

CELL_BITS: Final = 25
MAX_CELLS: Final = 1 << CELL_BITS
_CELL_MASK: Final = MAX_CELLS - 1
_LEAD_US: Final = 14 * 3_600_000_000
_DAY_US: Final = 86_400_000_000
MAX_GAP_S: Final = 93_600
"""Longest gap within one local day that the histogram of gaps can tell apart: 26 hours."""
EARTH_RADIUS_M: Final = 6_371_008.8

_ROWS_PER_BUCKET: Final = 32


@compiled
def pack_rows(
    chosen: NDArray[np.bool_],
    day: NDArray[np.int32],
    subscriber: NDArray[np.int64],
    stamp: NDArray[np.int64],
    cell: NDArray[np.int32],
    extra: NDArray[np.int64],
    first_day: int,
    starts: NDArray[np.int64],
    out: NDArray[np.int64],
) -> None:
    """Pack the chosen rows, grouped by day.

    Args:
        chosen: shape (n,).
        day: local day of each row.
        subscriber: of each row.
        stamp: UTC [us].
        cell: code, 0 where the table has none.
        extra: third number; ignored when ``out`` is two wide.
        first_day: the day that ``starts[0]`` stands for.
        starts: row of ``out`` at which each day starts; changed.
        out: shape (number chosen, 2 or 3); filled.
    """
    wide = out.shape[1] == 3
    for i in range(chosen.shape[0]):
        if chosen[i]:
            d = day[i] - first_day
            at = starts[d]
            starts[d] = at + 1
            base = np.int64(day[i]) * _DAY_US - _LEAD_US
            out[at, 0] = subscriber[i]
            out[at, 1] = ((stamp[i] - base) << CELL_BITS) | np.int64(cell[i])
            if wide:
                out[at, 2] = extra[i]


def day_counts(chosen: NDArray[np.bool_], day: NDArray[np.int32]) -> tuple[int, NDArray[np.int64]]:
    """The first day among the chosen rows and the number of rows on it and on each day after.

    >>> day_counts(np.array([True, True, False]), np.array([5, 7, 9], np.int32))
    (5, array([1, 0, 1]))
    """
    days = day if chosen.all() else day[chosen]
    if len(days) == 0:
        return 0, np.zeros(0, np.int64)
    first, last = int(days.min()), int(days.max())
    if first == last:
        return first, np.array([len(days)], np.int64)
    return first, np.bincount(days - first).astype(np.int64)


@compiled
def unpack_keys(rows: NDArray[np.int64], day: int, stamp: NDArray[np.int64], cell: NDArray[np.int32]) -> None:
    """Split keys into UTC stamps [us] and cells."""
    base = np.int64(day) * _DAY_US - _LEAD_US
    for i in range(rows.shape[0]):
        stamp[i] = (rows[i, 1] >> CELL_BITS) + base
        cell[i] = rows[i, 1] & _CELL_MASK


@compiled
def _before(a: NDArray[np.int64], i: int, b: NDArray[np.int64], j: int) -> bool:
    if a[i, 0] != b[j, 0]:
        return bool(a[i, 0] < b[j, 0])
    if a[i, 1] != b[j, 1]:
        return bool(a[i, 1] < b[j, 1])
    return bool(a.shape[1] == 3 and a[i, 2] < b[j, 2])


@compiled
def _insertion_sort(rows: NDArray[np.int64], low: int, high: int) -> None:
    width = rows.shape[1]
    for i in range(low + 1, high):
        subscriber = rows[i, 0]
        key = rows[i, 1]
        extra = rows[i, width - 1]
        j = i - 1
        while j >= low:
            if rows[j, 0] < subscriber:
                break
            if rows[j, 0] == subscriber and (rows[j, 1] < key or (rows[j, 1] == key and rows[j, width - 1] <= extra)):
                break
            for k in range(width):
                rows[j + 1, k] = rows[j, k]
            j -= 1
        rows[j + 1, 0] = subscriber
        rows[j + 1, 1] = key
        rows[j + 1, width - 1] = extra


@compiled
def _merge(source: NDArray[np.int64], low: int, middle: int, high: int, out: NDArray[np.int64]) -> None:
    i, j = low, middle
    width = source.shape[1]
    for at in range(low, high):
        if j >= high or (i < middle and not _before(source, j, source, i)):
            for k in range(width):
                out[at, k] = source[i, k]
            i += 1
        else:
            for k in range(width):
                out[at, k] = source[j, k]
            j += 1


@compiled
def _sort_bucket(rows: NDArray[np.int64], spare: NDArray[np.int64], low: int, high: int) -> None:
    """Merge sort of rows[low:high]: a subscriber with millions of rows costs no more per row than others."""
    at = low
    while at < high:
        _insertion_sort(rows, at, min(at + 12, high))
        at += 12
    run = 12
    a, b = rows, spare
    swapped = False
    while run < high - low:
        at = low
        while at < high:
            _merge(a, at, min(at + run, high), min(at + 2 * run, high), b)
            at += 2 * run
        a, b = b, a
        swapped = not swapped
        run *= 2
    if swapped:
        rows[low:high] = spare[low:high]


@compiled
def _bucket_counts(rows: NDArray[np.int64], flip: np.uint64, base: np.uint64, shift: np.uint64, counts: NDArray[np.int64]) -> None:
    for i in range(rows.shape[0]):
        counts[((np.uint64(rows[i, 0]) ^ flip) - base) >> shift] += 1


@compiled
def _scatter(
    rows: NDArray[np.int64], flip: np.uint64, base: np.uint64, shift: np.uint64, starts: NDArray[np.int64], out: NDArray[np.int64]
) -> None:
    width = rows.shape[1]
    for i in range(rows.shape[0]):
        bucket = ((np.uint64(rows[i, 0]) ^ flip) - base) >> shift
        at = starts[bucket]
        starts[bucket] = at + 1
        for k in range(width):
            out[at, k] = rows[i, k]


@compiled
def _sort_buckets(rows: NDArray[np.int64], spare: NDArray[np.int64], ends: NDArray[np.int64]) -> None:
    low = 0
    for b in range(ends.shape[0]):
        _sort_bucket(rows, spare, low, ends[b])
        low = ends[b]


_FLIP: Final = np.uint64(1 << 63)


def split_by_subscriber(rows: NDArray[np.int64], bits: int) -> list[NDArray[np.int64]]:
    """Deal rows to 2^bits ranges of subscribers, in ascending order.

    >>> [part[:, 0].tolist() for part in split_by_subscriber(np.array([[5, 1], [-3, 2]]), 1)]
    [[-3], [5]]
    """
    if bits < 1:
        return [rows]
    shift = np.uint64(64 - bits)
    counts = np.zeros(1 << bits, np.int64)
    _bucket_counts(rows, _FLIP, np.uint64(0), shift, counts)
    ends = np.cumsum(counts)
    out = np.empty_like(rows)
    _scatter(rows, _FLIP, np.uint64(0), shift, ends - counts, out)
    return [out[end - count : end] for end, count in zip(ends, counts, strict=True)]


def sort_rows(rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """Packed rows in ascending order; the argument's memory is used up.

    Subscribers are hashes, so their leading bits deal rows evenly into small buckets; each is then merge-sorted.

    >>> sort_rows(np.array([[2, 1], [-1, 5], [2, 0]])).tolist()
    [[-1, 5], [2, 0], [2, 1]]
    """
    if len(rows) < 2:
        return rows
    flipped_low = np.uint64(int(rows[:, 0].min()) + (1 << 63))
    span = int(rows[:, 0].max()) + (1 << 63) - int(flipped_low)
    # At least one bit: a processor cannot shift 64 bits by 64.
    bits = max(1, (len(rows) // _ROWS_PER_BUCKET).bit_length())
    shift = np.uint64(max(0, span.bit_length() - bits))
    counts = np.zeros((span >> int(shift)) + 1, np.int64)
    _bucket_counts(rows, _FLIP, flipped_low, shift, counts)
    ends = np.cumsum(counts)
    out = np.empty_like(rows)
    _scatter(rows, _FLIP, flipped_low, shift, ends - counts, out)
    _sort_buckets(out, rows, ends)
    return out


@compiled
def drop_duplicates(rows: NDArray[np.int64], keys: int) -> int:
    """Move distinct rows of a sorted array to its front; how many they are.

    Args:
        rows: sorted, changed.
        keys: how many leading columns make two rows the same; of these the last one stays.
    """
    width = rows.shape[1]
    kept = 0
    for i in range(rows.shape[0]):
        same = kept > 0
        if same:
            for k in range(keys):
                if rows[i, k] != rows[kept - 1, k]:
                    same = False
        at = kept - 1 if same else kept
        if at != i:
            for k in range(width):
                rows[at, k] = rows[i, k]
        kept = at + 1
    return kept


@compiled
def _too_fast(rows: NDArray[np.int64], i: int, j: int, place: NDArray[np.float64], min_chord: float, max_speed: float) -> bool:
    a = rows[i, 1] & _CELL_MASK
    b = rows[j, 1] & _CELL_MASK
    if a == b:
        return False
    dx = place[a, 0] - place[b, 0]
    dy = place[a, 1] - place[b, 1]
    dz = place[a, 2] - place[b, 2]
    chord = np.sqrt(dx * dx + dy * dy + dz * dz)
    if chord <= min_chord:
        return False
    distance = 2.0 * EARTH_RADIUS_M * np.arcsin(min(1.0, chord / 2.0))
    seconds = abs((rows[j, 1] >> CELL_BITS) - (rows[i, 1] >> CELL_BITS)) * 1e-6
    return bool(distance > max_speed * seconds)


@compiled
def _mark_impossible(
    rows: NDArray[np.int64], place: NDArray[np.float64], min_chord: float, max_speed: float, out: NDArray[np.bool_]
) -> int:
    found = 0
    count = rows.shape[0]
    last = -1
    for i in range(count):
        out[i] = False
        cell = rows[i, 1] & _CELL_MASK
        if last >= 0 and rows[last, 0] != rows[i, 0]:
            last = -1
        if np.isnan(place[cell, 0]):
            continue
        if last >= 0 and _too_fast(rows, last, i, place, min_chord, max_speed):
            j = i + 1
            while j < count and rows[j, 0] == rows[i, 0] and np.isnan(place[rows[j, 1] & _CELL_MASK, 0]):
                j += 1
            if j < count and rows[j, 0] == rows[i, 0] and _too_fast(rows, i, j, place, min_chord, max_speed):
                out[i] = True
                found += 1
                continue
        last = i
    return found


def unit_vectors(latitude: NDArray[np.float64], longitude: NDArray[np.float64]) -> NDArray[np.float64]:
    """Places on the unit sphere, shape (n, 3); NaN where a coordinate is NaN.

    >>> unit_vectors(np.array([0.0]), np.array([90.0])).round(3).tolist()
    [[0.0, 1.0, 0.0]]
    """
    lat, lon = np.radians(latitude), np.radians(longitude)
    out = np.column_stack([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)])
    out[np.isnan(out).any(axis=1)] = np.nan
    return out


def impossible(rows: NDArray[np.int64], place: NDArray[np.float64], max_speed_m_s: float, min_distance_m: float) -> NDArray[np.bool_]:
    """Events that can only be reached and left faster than anything moves.

    The two-sided rule of the semantic cleaning in the multi-MNO pipeline: an event is impossible when, both from the subscriber's last
    possible event before and to the next event after, the distance exceeds ``min_distance_m`` and the speed exceeds ``max_speed_m_s``.
    The first and the last event of a day are always possible, and so are events of cells without coordinates, which are passed over.

    Args:
        rows: sorted packed events of one day, shape (n, 2).
        place: `unit_vectors` of the cells as they stand on that day, shape (cells, 3).
        max_speed_m_s: speed limit [m/s].
        min_distance_m: shorter jumps are cell changes, not movement [m].

    Returns:
        shape (n,), True where impossible.
    """
    out = np.zeros(len(rows), np.bool_)
    if len(place):
        _mark_impossible(rows, place, 2.0 * np.sin(min(min_distance_m / EARTH_RADIUS_M, np.pi) / 2.0), max_speed_m_s, out)
    return out


@compiled
def _gap_histogram(rows: NDArray[np.int64], histogram: NDArray[np.int64]) -> int:
    active = 0
    top = histogram.shape[0] - 1
    for i in range(rows.shape[0]):
        if i == 0 or rows[i, 0] != rows[i - 1, 0]:
            active += 1
        else:
            gap = ((rows[i, 1] >> CELL_BITS) - (rows[i - 1, 1] >> CELL_BITS)) // 1_000_000
            histogram[min(gap, top)] += 1
    return active


@dataclass(frozen=True)
class DayActivity:
    """How densely one day's events lie: active subscribers, and the histogram of gaps between events of one, by whole seconds."""

    active: int
    gaps: NDArray[np.int64]


def day_activity(rows: NDArray[np.int64]) -> DayActivity:
    """Activity of sorted packed rows of one day.

    >>> day_activity(np.array([[7, 0], [7, (3_500_000 << 25)], [8, 0]])).active
    2
    """
    histogram = np.zeros(MAX_GAP_S + 1, np.int64)
    return DayActivity(active=int(_gap_histogram(rows, histogram)), gaps=histogram)


def gap_quantiles(histogram: NDArray[np.int64], levels: tuple[float, ...]) -> list[int] | None:
    """Lower quantiles [s] of a histogram of gaps; None when it is empty.

    >>> gap_quantiles(np.array([0, 3, 1]), (0.5, 1.0))
    [1, 2]
    """
    total = int(histogram.sum())
    if total == 0:
        return None
    cumulative = np.cumsum(histogram)
    return [int(np.searchsorted(cumulative, max(1, int(np.ceil(level * total))))) for level in levels]
