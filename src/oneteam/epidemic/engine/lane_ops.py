"""What is done to all lanes of a row at once.

Each is a function of its own because only there the compiler sees that indices are not negative, without which it leaves the loop scalar. A
row is `LANES` neighbouring numbers of a flat array; it is given by the place of its first.
"""

from __future__ import annotations

import numpy as np

from oneteam.epidemic.engine.arrays import Floats, Ints
from oneteam.epidemic.engine.lanes import LANES, NOT_NEGATIVE, row_loop

_F = np.float32


@row_loop
def weigh(out: Floats, to: int, people: Ints, at: int, weight: _F) -> None:
    """``out = weight * people``."""
    to &= NOT_NEGATIVE
    at &= NOT_NEGATIVE
    for lane in range(LANES):
        out[to + lane] = weight * _F(people[at + lane])


@row_loop
def weigh_more(out: Floats, to: int, people: Ints, at: int, weight: _F) -> None:
    """``out += weight * people``."""
    to &= NOT_NEGATIVE
    at &= NOT_NEGATIVE
    for lane in range(LANES):
        out[to + lane] += weight * _F(people[at + lane])


@row_loop
def count_above_zero(row: Floats, at: int) -> np.int32:
    """In how many lanes the row is above zero."""
    at &= NOT_NEGATIVE
    found = np.int32(0)
    for lane in range(LANES):
        found += np.int32(1) if row[at + lane] > _F(0.0) else np.int32(0)
    return found


@row_loop
def scale(out: Floats, to: int, row: Floats, at: int, factor: _F) -> None:
    """``out = factor * row``."""
    to &= NOT_NEGATIVE
    at &= NOT_NEGATIVE
    for lane in range(LANES):
        out[to + lane] = factor * row[at + lane]


@row_loop
def blend(out: Floats, to: int, own: _F, row: Floats, at: int, other: _F, plus: _F) -> None:
    """``out = own * out + other * row + plus``."""
    to &= NOT_NEGATIVE
    at &= NOT_NEGATIVE
    for lane in range(LANES):
        out[to + lane] = own * out[to + lane] + other * row[at + lane] + plus


@row_loop
def stretch(out: Floats, to: int, own: _F, plus: _F) -> None:
    """``out = own * out + plus``."""
    to &= NOT_NEGATIVE
    for lane in range(LANES):
        out[to + lane] = own * out[to + lane] + plus


@row_loop
def clear(out: Floats, length: int) -> None:
    """``out = 0``, for ``length`` numbers."""
    for i in range(length):
        out[i] = _F(0.0)


@row_loop
def add_four_zones(out: Floats, rows: Floats, length: int, w0: _F, w1: _F, w2: _F, w3: _F, a0: int, a1: int, a2: int, a3: int) -> None:
    """``out += w0 * rows[a0:] + w1 * rows[a1:] + ...``, for ``length`` numbers."""
    a0 &= NOT_NEGATIVE
    a1 &= NOT_NEGATIVE
    a2 &= NOT_NEGATIVE
    a3 &= NOT_NEGATIVE
    for i in range(length):
        out[i] += w0 * rows[a0 + i] + w1 * rows[a1 + i] + w2 * rows[a2 + i] + w3 * rows[a3 + i]


@row_loop
def add_eight_zones(out: Floats, rows: Floats, length: int, zone: Ints, share: Floats, regime: int, e: int) -> None:
    """``out += share[e] * row of zone[e] + ...`` for eight edges and ``length`` numbers."""
    a0, a1 = (zone[e] * length) & NOT_NEGATIVE, (zone[e + 1] * length) & NOT_NEGATIVE
    a2, a3 = (zone[e + 2] * length) & NOT_NEGATIVE, (zone[e + 3] * length) & NOT_NEGATIVE
    a4, a5 = (zone[e + 4] * length) & NOT_NEGATIVE, (zone[e + 5] * length) & NOT_NEGATIVE
    a6, a7 = (zone[e + 6] * length) & NOT_NEGATIVE, (zone[e + 7] * length) & NOT_NEGATIVE
    w0, w1, w2, w3 = share[regime, e], share[regime, e + 1], share[regime, e + 2], share[regime, e + 3]
    w4, w5, w6, w7 = share[regime, e + 4], share[regime, e + 5], share[regime, e + 6], share[regime, e + 7]
    for i in range(length):
        low = w0 * rows[a0 + i] + w1 * rows[a1 + i] + w2 * rows[a2 + i] + w3 * rows[a3 + i]
        high = w4 * rows[a4 + i] + w5 * rows[a5 + i] + w6 * rows[a6 + i] + w7 * rows[a7 + i]
        out[i] += low + high


@row_loop
def add_eight_ages_twice(out: Floats, to: int, rows: Floats, at: int, c: Floats, first: int, second: int) -> None:
    """`add_eight_ages` for two neighbouring rows of ``out``, so that the eight are loaded once for both.

    The coefficients of the first begin at ``first``, those of the other at ``second``.
    """
    to &= NOT_NEGATIVE
    at &= NOT_NEGATIVE
    first &= NOT_NEGATIVE
    second &= NOT_NEGATIVE
    c0, c1, c2, c3 = c[first], c[first + 1], c[first + 2], c[first + 3]
    c4, c5, c6, c7 = c[first + 4], c[first + 5], c[first + 6], c[first + 7]
    d0, d1, d2, d3 = c[second], c[second + 1], c[second + 2], c[second + 3]
    d4, d5, d6, d7 = c[second + 4], c[second + 5], c[second + 6], c[second + 7]
    for lane in range(LANES):
        r0, r1, r2, r3 = rows[at + lane], rows[at + LANES + lane], rows[at + 2 * LANES + lane], rows[at + 3 * LANES + lane]
        r4, r5 = rows[at + 4 * LANES + lane], rows[at + 5 * LANES + lane]
        r6, r7 = rows[at + 6 * LANES + lane], rows[at + 7 * LANES + lane]
        out[to + lane] += (c0 * r0 + c1 * r1 + c2 * r2 + c3 * r3) + (c4 * r4 + c5 * r5 + c6 * r6 + c7 * r7)
        out[to + LANES + lane] += (d0 * r0 + d1 * r1 + d2 * r2 + d3 * r3) + (d4 * r4 + d5 * r5 + d6 * r6 + d7 * r7)


@row_loop
def add_eight_ages(out: Floats, to: int, rows: Floats, at: int, c: Floats, first: int) -> None:
    """``out += c[first] * row + c[first + 1] * next row + ...``: the sum is loaded and stored once for eight rows."""
    to &= NOT_NEGATIVE
    at &= NOT_NEGATIVE
    first &= NOT_NEGATIVE
    c0, c1, c2, c3 = c[first], c[first + 1], c[first + 2], c[first + 3]
    c4, c5, c6, c7 = c[first + 4], c[first + 5], c[first + 6], c[first + 7]
    for lane in range(LANES):
        low = c0 * rows[at + lane] + c1 * rows[at + LANES + lane] + c2 * rows[at + 2 * LANES + lane] + c3 * rows[at + 3 * LANES + lane]
        high = c4 * rows[at + 4 * LANES + lane] + c5 * rows[at + 5 * LANES + lane]
        high += c6 * rows[at + 6 * LANES + lane] + c7 * rows[at + 7 * LANES + lane]
        out[to + lane] += low + high


@row_loop
def add_one_age(out: Floats, to: int, rows: Floats, at: int, c0: _F) -> None:
    """``out += c0 * row``."""
    to &= NOT_NEGATIVE
    at &= NOT_NEGATIVE
    for lane in range(LANES):
        out[to + lane] += c0 * rows[at + lane]


@row_loop
def add(out: Ints, to: int, people: Ints, at: int) -> None:
    """``out += people``."""
    to &= NOT_NEGATIVE
    at &= NOT_NEGATIVE
    for lane in range(LANES):
        out[to + lane] += people[at + lane]


@row_loop
def add_long(out: Ints, to: int, people: Ints, at: int, length: int) -> None:
    """``out += people``, for ``length`` numbers."""
    to &= NOT_NEGATIVE
    at &= NOT_NEGATIVE
    for i in range(length):
        out[to + i] += people[at + i]


@row_loop
def subtract_long(out: Ints, to: int, people: Ints, at: int, length: int) -> None:
    """``out -= people``, for ``length`` numbers."""
    to &= NOT_NEGATIVE
    at &= NOT_NEGATIVE
    for i in range(length):
        out[to + i] -= people[at + i]


@row_loop
def copy_long(out: Ints, to: int, people: Ints, at: int, length: int) -> None:
    """``out = people``, for ``length`` numbers."""
    to &= NOT_NEGATIVE
    at &= NOT_NEGATIVE
    for i in range(length):
        out[to + i] = people[at + i]
