"""Binomial draws, 32 lanes at a time: the exact sampler, in double precision.

Lanes that expect less than `SWITCH` sum the probabilities from zero; the others reject from a transformed distribution (BTRS). "Exact"
means: from the binomial distribution up to the rounding of doubles and uniform numbers of 53 bits.

Source: W. Hörmann, "The generation of binomial random variates", J. Statist. Comput. Simul. 46, 1993, algorithm BTRS.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np
import numpy.typing as npt

from oneteam.epidemic.engine.lanes import LANES, NOT_NEGATIVE, bits, lane_loop, row_loop, within_lane

Counts = npt.NDArray[np.int32]
Doubles = npt.NDArray[np.float64]
Keys = npt.NDArray[np.uint32]
Bytes = npt.NDArray[np.uint8]
Reals = npt.NDArray[np.float32]

SWITCH: Final = 40.0
"""Mean from which BTRS is used; Hörmann asks for at least 10, and below 40 it takes longer than to sum."""
TERMS: Final = 160
"""So many probabilities are summed at most: below `SWITCH` the rest is under 1e-40."""

# Rows of the workspace of doubles, LANES numbers each, far enough apart for vector loops.
_ODDS: Final = 0
_U_ROW: Final = 4 * LANES
_TERM: Final = 8 * LANES
_BELOW: Final = 12 * LANES
_K: Final = 16 * LANES
WORK: Final = 20 * LANES

_I = np.int32
_U = np.uint32
_SECOND = _U(0x5BD1E995)
_TRY = _U(0xC2B2AE35)
_TO_UNIT = 2.0**-53
_FAR, _NEVER = np.float64(600.0), np.float64(-1.0)
_HIGH_UNIT = 2.0**-32
_LOG2E = 1.0 / math.log(2.0)
_LN2_HIGH, _LN2_LOW = 6.93147180369123816490e-01, 1.90821492927058770002e-10


@within_lane
def unit53(counter: np.uint32, k0: np.uint32, k1: np.uint32) -> np.float64:
    """A uniform number in (0, 1) of 53 bits: two hashes of a counter."""
    high = bits(counter, k0, k1)
    low = bits(counter, k1, np.uint32(k0 ^ _SECOND))
    return np.float64(high) * _HIGH_UNIT + np.float64(_I(low >> _U(11)) + 0.5) * _TO_UNIT


@within_lane
def exp_neg(y: np.float64) -> np.float64:
    """exp(y) for -700 < y <= 0, to 1e-15 of its value."""
    whole = np.int64(y * _LOG2E - 0.5)
    x = (y - np.float64(whole) * _LN2_HIGH) - np.float64(whole) * _LN2_LOW
    p = 1 / 3628800 + x * (1 / 39916800 + x * (1 / 479001600 + x * (1 / 6227020800)))
    p = 1 / 40320 + x * (1 / 362880 + x * p)
    p = 1 / 720 + x * (1 / 5040 + x * p)
    p = 1 / 24 + x * (1 / 120 + x * p)
    p = 1.0 + x * (1.0 + x * (0.5 + x * (1 / 6 + x * p)))
    return p * np.int64((whole + 1023) << 52).view(np.float64)


@within_lane
def probability(hazard: np.float64) -> np.float64:
    """1 - exp(-hazard), to 1e-15 of its value also where it is small."""
    p = 1 / 40320 - hazard * (1 / 362880 - hazard * (1 / 3628800 - hazard * (1 / 39916800 - hazard * (1 / 479001600))))
    p = 1 / 120 - hazard * (1 / 720 - hazard * (1 / 5040 - hazard * p))
    p = hazard * (1.0 - hazard * (0.5 - hazard * (1 / 6 - hazard * (1 / 24 - hazard * p))))
    return p if hazard < 0.25 else 1.0 - exp_neg(-min(hazard, _FAR))


@lane_loop
def stirling_rest(k: float) -> float:
    """log(k!) less Stirling's approximation to it; for counts."""
    if k < 10.0:
        n = k + 1.0
        exact = 1.0
        for i in range(2, int(n)):
            exact *= i
        return math.log(exact) - (0.9189385332046727 + (k + 0.5) * math.log(n) - n)
    square = (k + 1.0) * (k + 1.0)
    return (1 / 12 - (1 / 360 - 1 / 1260 / square) / square) / (k + 1.0)


@lane_loop
def btrs(n: float, p: float, counter: np.uint32, k0: np.uint32, k1: np.uint32) -> float:
    """One draw by rejection, for n p of at least 10 and p of at most 1/2."""
    spread = math.sqrt(n * p * (1 - p))
    b = 1.15 + 2.53 * spread
    a = -0.0873 + 0.0248 * b + 0.01 * p
    c = n * p + 0.5
    bound = 0.92 - 4.2 / b
    ratio = p / (1 - p)
    alpha = (2.83 + 5.1 / b) * spread
    mode = math.floor((n + 1) * p)
    attempt = _U(0)
    while True:
        key = _U(k0 + _U(attempt * _TRY))
        attempt = _U(attempt + _U(1))
        u = unit53(counter, key, k1) - 0.5
        v = unit53(counter, k1, key)
        us = 0.5 - abs(u)
        k = math.floor((2 * a / us + b) * u + c)
        if us >= 0.07 and v <= bound:
            return k
        if k < 0 or k > n:
            continue
        height = math.log(v * alpha / (a / (us * us) + b))
        under = (mode + 0.5) * math.log((mode + 1) / (ratio * (n - mode + 1))) + (n + 1) * math.log((n - mode + 1) / (n - k + 1))
        under += (k + 0.5) * math.log(ratio * (n - k + 1) / (k + 1))
        if height <= under + stirling_rest(mode) + stirling_rest(n - mode) - stirling_rest(k) - stirling_rest(n - k):
            return k


@row_loop
def by_summing(n: Counts, at: int, w: Doubles) -> None:
    """Binomial quantiles of the workspace's uniforms, into its row of results."""
    at &= NOT_NEGATIVE
    i = 0.0
    while i < TERMS:
        left = 0
        for lane in range(LANES):
            u = w[_U_ROW + lane]
            term = w[_TERM + lane]
            below = w[_BELOW + lane]
            k = w[_K + lane]
            odds = w[_ODDS + lane]
            top = np.float64(n[at + lane]) - i
            k += 1.0 if u > below else 0.0
            term *= odds * top * (1.0 / (i + 1.0))
            below += term
            k += 1.0 if u > below else 0.0
            term *= odds * (top - 1.0) * (1.0 / (i + 2.0))
            below += term
            w[_TERM + lane] = term
            w[_BELOW + lane] = below
            w[_K + lane] = k
            left += 1 if u > below else 0
        i += 2.0
        if left == 0:
            break


@row_loop
def draw(
    n: Counts,
    at: int,
    p: Doubles,
    h: Doubles,
    by: int,
    flip: bool,
    counter: np.uint32,
    k0: Keys,
    k1: Keys,
    w: Doubles,
    out: Counts,
    to: int,
) -> bool:
    """Draw for each lane how many of ``n[at + lane]`` move, into ``out[to + lane]``; arguments as in the fast sampler, in doubles."""
    at &= NOT_NEGATIVE
    by &= NOT_NEGATIVE
    to &= NOT_NEGATIVE
    people = 0
    few = 0
    for lane in range(LANES):
        people += 1 if n[at + lane] > 0 else 0
        few += 1 if np.float64(n[at + lane]) * p[by + lane] < SWITCH else 0
    if people == 0:
        for lane in range(LANES):
            out[to + lane] = 0
        return False
    some = 0
    if few > 0:
        some = _start_sum(n, at, p, h, by, counter, k0, k1, w)
        if some > 0:
            by_summing(n, at, w)
    if few < LANES:
        _reject(n, at, p, by, counter, k0, k1, w)
    for lane in range(LANES):
        k = min(_I(w[_K + lane]), n[at + lane])
        out[to + lane] = n[at + lane] - k if flip else k
    return some > 0 or flip or few < LANES


@row_loop
def _start_sum(n: Counts, at: int, p: Doubles, h: Doubles, by: int, counter: np.uint32, k0: Keys, k1: Keys, w: Doubles) -> int:
    """Fill the workspace for `by_summing`; returns in how many lanes the count is above zero."""
    at &= NOT_NEGATIVE
    by &= NOT_NEGATIVE
    some = 0
    for lane in range(LANES):
        count = np.float64(n[at + lane])
        u = unit53(counter, k0[lane], k1[lane])
        # Lanes that expect many are not summed: nothing is above this bound.
        u = _NEVER if count * p[by + lane] >= SWITCH else u
        first = exp_neg(-min(count * h[by + lane], _FAR))
        w[_U_ROW + lane] = u
        w[_TERM + lane] = first
        w[_BELOW + lane] = first
        w[_K + lane] = 0.0
        w[_ODDS + lane] = p[by + lane] / (1.0 - p[by + lane])
        some += 1 if u > first else 0
    return some


@lane_loop
def _reject(n: Counts, at: int, p: Doubles, by: int, counter: np.uint32, k0: Keys, k1: Keys, w: Doubles) -> None:
    """Draws of the lanes that expect many, into the workspace's row of results: the first attempt side by side, then one by one."""
    at &= NOT_NEGATIVE
    by &= NOT_NEGATIVE
    for lane in range(LANES):
        count = np.float64(n[at + lane])
        q = p[by + lane]
        spread = np.sqrt(count * q * (1 - q))
        b = 1.15 + 2.53 * spread
        a = -0.0873 + 0.0248 * b + 0.01 * q
        u = unit53(counter, k0[lane], k1[lane]) - 0.5
        v = unit53(counter, k1[lane], k0[lane])
        us = 0.5 - abs(u)
        k = np.floor((2 * a / us + b) * u + count * q + 0.5)
        # A first attempt within the squeeze needs no further look; -1 asks for the whole test.
        w[_TERM + lane] = k if us >= 0.07 and v <= 0.92 - 4.2 / b else -1.0
    for lane in range(LANES):
        count = np.float64(n[at + lane])
        if count * p[by + lane] >= SWITCH:
            k = w[_TERM + lane]
            w[_K + lane] = k if k >= 0.0 else btrs(count, p[by + lane], counter, k0[lane], k1[lane])


@lane_loop
def draw_ages(
    n: Counts,
    at: int,
    p: Doubles,
    h: Doubles,
    by: int,
    flip: Bytes,
    first_flip: int,
    ages: int,
    counter: int,
    step: int,
    k0: Keys,
    k1: Keys,
    w: Doubles,
    out: Counts,
    to: int,
) -> int:
    """`draw` for neighbouring rows, one for each age; counters ascend by ``step``. Returns for how many ages anybody moves."""
    found = 0
    for a in range(ages):
        row = a * LANES
        flipped = flip[first_flip + a] != 0
        if draw(n, at + row, p, h, by + row, flipped, np.uint32(counter + a * step), k0, k1, w, out, to + row):
            found += 1
    return found


@lane_loop
def hazards(source: Reals, times: Reals, first_times: int, plus: Reals, first_plus: int, ages: int, p: Doubles, h: Doubles) -> int:
    """Fill hazards ``times[age] * source + plus[age]`` and their probabilities; returns how often moving is the likelier."""
    likely = 0
    for a in range(ages):
        likely += _hazard_row(source, a * LANES, times[first_times + a], plus[first_plus + a], p, h)
    return likely


@row_loop
def _hazard_row(source: Reals, at: int, times: np.float32, plus: np.float32, p: Doubles, h: Doubles) -> int:
    at &= NOT_NEGATIVE
    likely = 0
    for lane in range(LANES):
        hazard = np.float64(times * source[at + lane] + plus)
        h[at + lane] = hazard
        p[at + lane] = probability(hazard)
        likely += 1 if hazard > 0.6931471 else 0
    return likely


@lane_loop
def fill(n: int, probability_of_one: float, counts: Counts, p: Doubles, h: Doubles, w: Doubles, k0: Keys, k1: Keys, out: Counts) -> None:
    """Draws of one binomial distribution, for tests of the sampler; arguments as in the fast sampler, in doubles."""
    rarer = min(probability_of_one, 1.0 - probability_of_one)
    for lane in range(LANES):
        counts[lane] = n
        p[lane] = rarer
        h[lane] = -np.log1p(-rarer)
    for group in range(len(out) // LANES):
        draw(counts, 0, p, h, 0, probability_of_one > 0.5, np.uint32(group), k0, k1, w, out, group * LANES)
