"""Binomial draws, 32 lanes at a time: the fast sampler.

A draw is the binomial quantile of one uniform number. Lanes that expect less than `SWITCH` find it by summing the probabilities from zero,
in single precision; the others by Cornish and Fisher's expansion to the third order, with Sheppard's corrections for the lattice. Being a
quantile, a draw rises with its uniform number and with its probability: two scenarios that share their numbers differ only by what the
scenario changes.

The error is that of the two formulas and of a uniform number of 32 bits; ``tests/epidemic/engine/test_samplers.py`` measures it over the
whole range of counts and probabilities: the total variation distance from the binomial is below 1e-3 everywhere.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from oneteam.epidemic.engine.lanes import (
    LANES,
    NOT_NEGATIVE,
    bits,
    lane_loop,
    normal_quantile,
    probability,
    row_loop,
    unit,
    within_lane,
)

Counts = npt.NDArray[np.int32]
Reals = npt.NDArray[np.float32]
Keys = npt.NDArray[np.uint32]
Bytes = npt.NDArray[np.uint8]

SWITCH: Final = 8.0
"""Mean from which the expansion is used."""
TERMS: Final = 40
"""So many probabilities are summed at most: below `SWITCH` the rest is under 1e-15."""

# Rows of the workspace of floats, LANES numbers each, far enough apart for vector loops.
_ODDS: Final = 0
_U_ROW: Final = 4 * LANES
_TERM: Final = 8 * LANES
_BEYOND: Final = 12 * LANES
_K: Final = 16 * LANES
WORK: Final = 20 * LANES

_F = np.float32
_I = np.int32
_ZERO, _HALF, _ONE, _TWO = _F(0.0), _F(0.5), _F(1.0), _F(2.0)
_SWITCH = _F(SWITCH)
_LN2 = _F(0.6931471)
_ALL = np.uint32(0xFFFFFFFF)


@within_lane
def expansion(n: np.float32, p: np.float32, x: np.uint32) -> np.float32:
    """Binomial quantile by the expansion, as a whole number.

    k = n p + s z + c3 (z² - 1)/6 + (z/s) (c4 (z² - 3)/24 - c3² (2z² - 5)/36), rounded; with c3 = n p q (q - p)/s²,
    c4 = (n p q (1 - 6 p q) + 1/120)/s² and s² = n p q - 1/12, because rounding a smooth number adds 1/12 to its variance.

    Source: E. A. Cornish and R. A. Fisher, "Moments and cumulants in the specification of distributions", Rev. Int. Stat. Inst. 5, 1938.
    """
    q = _ONE - p
    npq = n * p * q
    s2 = npq - _F(1 / 12)
    s = np.sqrt(s2)
    r = _ONE / s
    z = normal_quantile(x)
    zz = z * z
    c3 = npq * (q - p) * r * r
    c4 = (npq * (_ONE - _F(6.0) * p * q) + _F(1 / 120)) * r * r
    k = n * p + s * z + c3 * (zz - _ONE) * _F(1 / 6)
    k += z * r * (c4 * (zz - _F(3.0)) * _F(1 / 24) - c3 * c3 * (_TWO * zz - _F(5.0)) * _F(1 / 36))
    return np.float32(_I(min(max(k + _HALF, _ZERO), n)))


@row_loop
def by_summing(n: Counts, at: int, w: Reals) -> None:
    """Binomial quantiles of the workspace's uniforms: counts, as floats, into its row of results."""
    at &= NOT_NEGATIVE
    i = _ZERO
    while i < _F(TERMS):
        left = _I(0)
        for lane in range(LANES):
            u = w[_U_ROW + lane]
            term = w[_TERM + lane]
            beyond = w[_BEYOND + lane]
            odds = w[_ODDS + lane]
            top = _F(n[at + lane]) - i
            k = w[_K + lane]
            ratio = odds * top * (_ONE / (i + _ONE))
            term *= ratio
            # Rounding leaves a rest of `beyond` where nothing is left; past the mode the tail is at most twice its first term.
            k += _ONE if u < min(beyond, _TWO * term if ratio < _HALF else _TWO) else _ZERO
            beyond -= term
            ratio = odds * (top - _ONE) * (_ONE / (i + _TWO))
            term *= ratio
            k += _ONE if u < min(beyond, _TWO * term if ratio < _HALF else _TWO) else _ZERO
            beyond -= term
            ratio = odds * (top - _TWO) * (_ONE / (i + _F(3.0)))
            term *= ratio
            k += _ONE if u < min(beyond, _TWO * term if ratio < _HALF else _TWO) else _ZERO
            beyond -= term
            left += _I(1) if u < min(beyond, _TWO * term if ratio < _HALF else _TWO) else _I(0)
            w[_TERM + lane] = term
            w[_BEYOND + lane] = beyond
            w[_K + lane] = k
        i += _F(3.0)
        if left == 0:
            break


@row_loop
def draw(
    n: Counts, at: int, p: Reals, h: Reals, by: int, flip: bool, counter: np.uint32, k0: Keys, k1: Keys, w: Reals, out: Counts, to: int
) -> bool:
    """Draw for each lane how many of ``n[at + lane]`` move, into ``out[to + lane]``.

    Args:
        n: counts.
        at: where the lanes' counts begin.
        p: each lane's probability, at most 1/2.
        h: each lane's hazard -log(1-p): it keeps its digits where p is small.
        by: where both begin.
        flip: draw who stays instead, and let the others move.
        counter: what the draw is for.
        k0: keys of the lanes.
        k1: more keys of the lanes.
        w: workspace, (WORK,).
        out: results.
        to: where they begin.

    Returns:
        whether anybody moves in any lane.
    """
    at &= NOT_NEGATIVE
    by &= NOT_NEGATIVE
    to &= NOT_NEGATIVE
    people = _I(0)
    many = _I(0)  # counts, because a maximum keeps a loop from being vectorised
    for lane in range(LANES):
        people += _I(1) if n[at + lane] > 0 else _I(0)
        many += _I(1) if _F(n[at + lane]) * p[by + lane] >= _SWITCH else _I(0)
    if people == 0:
        for lane in range(LANES):
            out[to + lane] = 0
        return False
    turn = _ALL if flip else np.uint32(0)
    if many == LANES:
        for lane in range(LANES):
            count = n[at + lane]
            k = min(_I(expansion(_F(count), p[by + lane], np.uint32(bits(counter, k0[lane], k1[lane]) ^ turn))), count)
            out[to + lane] = count - k if flip else k
        return True
    some = _start_sum(n, at, p, h, by, turn, counter, k0, k1, w)
    if some > 0:
        by_summing(n, at, w)
    if many == 0:
        for lane in range(LANES):
            k = min(_I(w[_K + lane]), n[at + lane])
            out[to + lane] = n[at + lane] - k if flip else k
        return bool(some > 0) or flip
    for lane in range(LANES):
        count = n[at + lane]
        x = np.uint32(bits(counter, k0[lane], k1[lane]) ^ turn)
        by_expansion = expansion(_F(count), p[by + lane], x)
        k = min(_I(by_expansion if _F(count) * p[by + lane] >= _SWITCH else w[_K + lane]), count)
        out[to + lane] = count - k if flip else k
    return True


@row_loop
def _start_sum(
    n: Counts, at: int, p: Reals, h: Reals, by: int, turn: np.uint32, counter: np.uint32, k0: Keys, k1: Keys, w: Reals
) -> np.int32:
    """Fill the workspace for `by_summing`; returns in how many lanes the count is above zero."""
    at &= NOT_NEGATIVE
    by &= NOT_NEGATIVE
    some = _I(0)
    for lane in range(LANES):
        x = np.uint32(bits(counter, k0[lane], k1[lane]) ^ turn)
        count = _F(n[at + lane])
        # Small numbers of the uniform are the fine ones, so it is the chance of a larger count that is compared with it.
        u = unit(np.uint32(x ^ _ALL))
        u = _TWO if count * p[by + lane] >= _SWITCH else u
        beyond = probability(count * h[by + lane])
        w[_U_ROW + lane] = u
        w[_BEYOND + lane] = beyond
        w[_TERM + lane] = _ONE - beyond
        w[_K + lane] = _ZERO
        w[_ODDS + lane] = p[by + lane] / (_ONE - p[by + lane])
        some += _I(1) if u < beyond else _I(0)
    return some


@lane_loop
def draw_ages(
    n: Counts,
    at: int,
    p: Reals,
    h: Reals,
    by: int,
    flip: Bytes,
    first_flip: int,
    ages: int,
    counter: int,
    step: int,
    k0: Keys,
    k1: Keys,
    w: Reals,
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
def hazards(source: Reals, times: Reals, first_times: int, plus: Reals, first_plus: int, ages: int, p: Reals, h: Reals) -> np.int32:
    """Fill hazards ``times[age] * source + plus[age]`` and their probabilities; returns how often moving is the likelier."""
    likely = _I(0)
    for a in range(ages):
        likely += _hazard_row(source, a * LANES, times[first_times + a], plus[first_plus + a], p, h)
    return likely


@row_loop
def _hazard_row(source: Reals, at: int, times: np.float32, plus: np.float32, p: Reals, h: Reals) -> np.int32:
    at &= NOT_NEGATIVE
    likely = _I(0)
    for lane in range(LANES):
        hazard = times * source[at + lane] + plus
        h[at + lane] = hazard
        p[at + lane] = probability(hazard)
        likely += _I(1) if hazard > _LN2 else _I(0)
    return likely


@lane_loop
def fill(n: int, probability_of_one: float, counts: Counts, p: Reals, h: Reals, w: Reals, k0: Keys, k1: Keys, out: Counts) -> None:
    """Draws of one binomial distribution, for tests of the sampler.

    Args:
        n: count.
        probability_of_one: probability.
        counts: scratch, (LANES,).
        p: scratch, (LANES,).
        h: scratch, (LANES,).
        w: workspace, (WORK,).
        k0: keys of the lanes.
        k1: more keys of the lanes.
        out: filled with the draws, by lane; a multiple of LANES.
    """
    rarer = min(probability_of_one, 1.0 - probability_of_one)
    for lane in range(LANES):
        counts[lane] = n
        p[lane] = rarer
        h[lane] = -np.log1p(-rarer)
    for group in range(len(out) // LANES):
        draw(counts, 0, p, h, 0, probability_of_one > 0.5, np.uint32(group), k0, k1, w, out, group * LANES)
