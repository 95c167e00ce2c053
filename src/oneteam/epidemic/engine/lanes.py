"""The numbers of one lane: keyed random bits, exp and log, the normal quantile. All without branches, so that 32 lanes run side by side.

A lane is one member of an ensemble. Its random bits are a hash of two 32-bit keys (seed, member, day) and of a counter (zone, age,
transition): a number depends on what it is for, so nothing that another scenario, another thread or another lane does can shift it.

The hash is two rounds of multiply and xor-shift with the constants that C. Wellons found by search to have the least bias among 32-bit
mixers ("hash-prospector", 2018, public domain), the second key entering between the rounds.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Final, TypeVar, cast

import numpy as np
import numpy.typing as npt

from oneteam.stats.compiled import compile_with
from oneteam.stats.random import derive, mix, stream_key

F = TypeVar("F", bound=Callable[..., object])

LANES: Final = 32
"""Members side by side: two AVX-512 registers of 32-bit numbers, four of AVX2. Fewer do not pay for the calls between loops, more outgrow
the cache."""

NOT_NEGATIVE: Final = 0x7FFF_FFFF_FFFF
"""An index that is masked by it is seen not to count from the end, without which a loop over it stays scalar."""

FIRST: Final = cast("int", np.int64(0))
"""Where an array begins. For a plain 0 numba would compile the function that is given it once more, and the samplers take long."""

_STREAM: Final = 0x45504944  # "EPID"

_F = np.float32
_U = np.uint32
_I = np.int32
_WEYL = _U(0x9E3779B9)
_M1, _M2 = _U(0x21F0AAAD), _U(0xD35A2D97)
_S16, _S15 = _U(16), _U(15)
_ALL = _U(0xFFFFFFFF)
_TO_UNIT = _F(2.0**-32)
_HALF, _ONE, _TWO, _FOUR = _F(0.5), _F(1.0), _F(2.0), _F(4.0)
_LN2 = _F(math.log(2.0))
_LOG2E = _F(1.0 / math.log(2.0))
_TINY = _F(1e-30)
_SMALL_HAZARD = _F(0.0625)
# Coefficients of `normal_quantile`.
_G0 = _F(1.2533760070800781)
_G1 = _F(-0.0010120129445567727)
_G2 = _F(0.32591426372528076)
_G3 = _F(0.038263220340013504)
_G4 = _F(-0.0972825288772583)
_G5 = _F(0.15326224267482758)
_G6 = _F(-0.11300162225961685)
_G7 = _F(0.04260345548391342)
_G8 = _F(-0.008750011213123798)
_G9 = _F(0.0009392593055963516)
_G10 = _F(-4.144620834267698e-05)


def lane_loop(function: F) -> F:
    """Compile a loop over lanes: like `stats.compiled`, free to reorder sums, which is what lets it use vector registers.

    Such a function only borrows its arrays and cannot make new ones: counting references takes longer than a row of draws.
    """
    return compile_with(function, fastmath=True, _nrt=False)


def within_lane(function: F) -> F:
    """Compile a function of one lane into the loop that calls it."""
    return compile_with(function, fastmath=True, inline="always")


def row_loop(function: F) -> F:
    """`lane_loop` for a function of a few instructions, which is put in the place of its call.

    What it writes it must not also read through another of its arrays: the compiler takes them to lie apart. To find that out at run time
    would take a tenth of the time that a row takes.
    """
    dispatcher = compile_with(function, fastmath=True, _nrt=False, forceinline=True)
    dispatcher._compiler._customize_flags = _lying_apart  # type: ignore[attr-defined]  # noqa: SLF001 - numba has no option for it
    return dispatcher


def _lying_apart(flags: Any) -> Any:
    flags.noalias = True
    return flags


@lane_loop
def day_keys(seed: np.uint64, first_member: int, day: int, k0: npt.NDArray[np.uint32], k1: npt.NDArray[np.uint32]) -> None:
    """Two 32-bit keys for each lane of a day.

    Args:
        seed: of the ensemble.
        first_member: number of the member in lane 0.
        day: number of the day.
        k0: filled, (LANES,).
        k1: filled, (LANES,).
    """
    for lane in range(LANES):
        key = np.uint64(derive(np.uint64(stream_key(seed, _STREAM, first_member + lane, 0)), day))
        k0[lane] = np.uint32(key & np.uint64(0xFFFFFFFF))
        k1[lane] = np.uint32(np.uint64(mix(key)) >> np.uint64(32))


@within_lane
def bits(counter: np.uint32, k0: np.uint32, k1: np.uint32) -> np.uint32:
    """32 random bits of a counter under two keys."""
    x = np.uint32(np.uint32(counter * _WEYL) ^ k0)
    x = np.uint32(np.uint32(x ^ (x >> _S16)) * _M1)
    x = np.uint32(np.uint32(x ^ (x >> _S15)) + k1)
    x = np.uint32(np.uint32(x ^ (x >> _S16)) * _M2)
    return np.uint32(x ^ (x >> _S15))


@within_lane
def unit(x: np.uint32) -> np.float32:
    """Random bits as a number in (0, 1): as fine as 2**-33 near 0, 2**-24 near 1."""
    return (_F(x) + _HALF) * _TO_UNIT


@within_lane
def exp_neg(y: np.float32) -> np.float32:
    """exp(y) for -80 < y <= 0, to 2e-7 of its value: a power of two by its bits times a polynomial."""
    t = y * _LOG2E
    whole = _I(t - _HALF)  # rounds towards zero, so to the nearest for t <= 0
    x = (t - _F(whole)) * _LN2
    p = _ONE + x * (_ONE + x * (_HALF + x * (_F(1 / 6) + x * (_F(1 / 24) + x * (_F(1 / 120) + x * _F(1 / 720))))))
    return p * np.int32((whole + _I(127)) << _I(23)).view(np.float32)


@within_lane
def log_unit(y: np.float32) -> np.float32:
    """log(y) for 0 < y <= 1, to 4e-6: the exponent from its bits, a polynomial (least squares in Chebyshev's points) for the rest."""
    as_int = _F(y).view(np.int32)
    exponent = _F((as_int >> _I(23)) - _I(127))
    m = np.int32((as_int & _I(0x007FFFFF)) | _I(0x3F800000)).view(np.float32)
    p = _F(-0.8555273270586506) + m * (_F(0.18497274459328497) + m * _F(-0.017207828338665535))
    p = _F(-3.648806805735973) + m * (_F(2.2311277543723884) + m * p)
    return _F(-2.099070301104354) + m * (_F(4.204515273907715) + m * p) + exponent * _LN2


@within_lane
def probability(hazard: np.float32) -> np.float32:
    """1 - exp(-hazard), to 3e-7 of its value also where it is small."""
    small = hazard * (_ONE - hazard * (_HALF - hazard * (_F(1 / 6) - hazard * (_F(1 / 24) - hazard * _F(1 / 120)))))
    return small if hazard < _SMALL_HAZARD else _ONE - exp_neg(-min(hazard, _F(60.0)))


@within_lane
def normal_quantile(x: np.uint32) -> np.float32:
    """The standard normal quantile of random bits, rising with them, to 1e-4 of its value; symmetric to the last bit.

    It is (1 - 2v) g(sqrt(-log(4 v (1 - v)))) with v the distance to the nearer end and g a polynomial of degree 10, fitted to the relative
    error over 2**-33 <= v <= 1/2. (The form follows M. Giles, "Approximating the erfinv function", GPU Computing Gems 2, 2011.)
    """
    mirrored = np.uint32(_ALL ^ x)
    low = np.int32(min(x, mirrored))
    v = (_F(low) + _HALF) * _TO_UNIT
    s = np.sqrt(max(-log_unit(_FOUR * v * (_ONE - v)), _F(0.0)))
    g = _G8 + s * (_G9 + s * _G10)
    g = _G6 + s * (_G7 + s * g)
    g = _G4 + s * (_G5 + s * g)
    g = _G2 + s * (_G3 + s * g)
    g = _G0 + s * (_G1 + s * g)
    z = _F((_ONE - _TWO * v) * g)
    return z if x > mirrored else -z
