"""Random numbers by counter: a number depends on *what it is for*, never on what was drawn before it.

A key is derived from a seed, a stream (what the numbers are for) and up to two more integers (who, when). The n-th number of a key is a
hash of key and n. So any part of a simulation can be made again alone, in any order, by any number of threads, with the same numbers.

The hash is the finaliser of SplitMix64 (Steele, Lea and Flood 2014, "Fast splittable pseudorandom number generators", OOPSLA; with the
constants of Stafford's variant 13): n-th output = mix(key + n * golden ratio). It is for simulation only: privacy noise and keys come from
the operating system.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from oneteam.stats.compiled import compiled

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_A = np.uint64(0xBF58476D1CE4E5B9)
_B = np.uint64(0x94D049BB133111EB)
_SECOND = np.uint64(0xD1342543DE82EF95)
_S30, _S27, _S31, _S11 = np.uint64(30), np.uint64(27), np.uint64(31), np.uint64(11)
_ONE = np.uint64(1)
_TO_UNIT = 1.0 / 9007199254740992.0  # 2**-53
_BY_INVERSION = 30.0


@compiled
def mix(z: np.uint64) -> np.uint64:
    """SplitMix64's finaliser: a bijection on 64-bit integers whose outputs look independent."""
    z = (z ^ (z >> _S30)) * _A
    z = (z ^ (z >> _S27)) * _B
    return z ^ (z >> _S31)


@compiled
def derive(key: np.uint64, what: int) -> np.uint64:
    """The key that belongs to ``what`` below ``key``."""
    return mix(mix(np.uint64(key) + _GOLDEN) + (np.uint64(what) + _ONE) * _GOLDEN)


@compiled
def stream_key(seed: np.uint64, stream: int, who: int, when: int) -> np.uint64:
    """Key of a stream of numbers.

    Args:
        seed: of the whole simulation.
        stream: what the numbers are for.
        who: person, zone, cell...
        when: day, window, or another second subject.

    >>> a, b = stream_key(np.uint64(1), 2, 3, 4), stream_key(np.uint64(1), 2, 4, 3)
    >>> bool(a != b), bool(a == stream_key(np.uint64(1), 2, 3, 4))
    (True, True)
    """
    return derive(derive(derive(mix(np.uint64(seed)), stream), who), when)


def key_of(seed: int, stream: int, who: int = 0, when: int = 0) -> np.uint64:
    """`stream_key` for plain Python: a compiled function hands its key back as an int, which would be read as signed.

    >>> key_of(1, 2, 3) == key_of(1, 2, 3, 0)
    np.True_
    """
    return np.uint64(stream_key(np.uint64(seed), stream, who, when))


@compiled
def raw(key: np.uint64, counter: int) -> np.uint64:
    """The 64 random bits of a key at a counter."""
    # A key below 2**63 that comes from Python arrives as a signed integer, which must not meet an unsigned one: the sum would be a float.
    return mix(np.uint64(key) + (np.uint64(counter) + _ONE) * _GOLDEN)


@compiled
def uniform(key: np.uint64, counter: int) -> float:
    """Uniform in [0, 1), multiples of 2**-53."""
    return np.float64(raw(key, counter) >> _S11) * _TO_UNIT


@compiled
def normal(key: np.uint64, counter: int) -> float:
    """Standard normal, by Box and Muller's transform of the counter's bits and of their hash."""
    bits = raw(key, counter)
    first = (np.float64(bits >> _S11) + 0.5) * _TO_UNIT
    second = np.float64(mix(bits ^ _SECOND) >> _S11) * _TO_UNIT
    return math.sqrt(-2.0 * math.log(first)) * math.cos(2.0 * math.pi * second)


@compiled
def exponential(key: np.uint64, counter: int) -> float:
    """Exponential of mean 1."""
    return -math.log((np.float64(raw(key, counter) >> _S11) + 0.5) * _TO_UNIT)


@compiled
def poisson(key: np.uint64, counter: int, mean: float) -> int:
    """Poisson: by inversion of one uniform up to a mean of 30, above that by the rounded normal."""
    if mean <= 0.0:
        return 0
    if mean > _BY_INVERSION:
        return max(0, math.floor(mean + math.sqrt(mean) * normal(key, counter) + 0.5))
    u = uniform(key, counter)
    p = math.exp(-mean)
    total = p
    n = 0
    while u >= total and n < 200:
        n += 1
        p *= mean / n
        total += p
    return n


@compiled
def uniforms(key: np.uint64, first: int, count: int) -> npt.NDArray[np.float64]:
    """The uniforms of counters ``first`` to ``first + count - 1``.

    >>> key = key_of(7, 0)
    >>> bool((uniforms(key, 0, 10)[4:] == uniforms(key, 4, 6)).all())
    True
    """
    out = np.empty(count, np.float64)
    for i in range(count):
        out[i] = uniform(key, first + i)
    return out


@compiled
def normals(key: np.uint64, first: int, count: int) -> npt.NDArray[np.float64]:
    """The standard normals of counters ``first`` to ``first + count - 1``."""
    out = np.empty(count, np.float64)
    for i in range(count):
        out[i] = normal(key, first + i)
    return out
