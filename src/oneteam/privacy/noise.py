"""Discrete Gaussian noise: OpenDP's sampler alone, fed by the operating system's generator; it can never be seeded.

The sampler is exact (Canonne, Kamath and Steinke 2020, algorithms 1 to 3) on rational numbers: no floating-point noise, whose low bits give
the data away (Mironov, "On significance of the least significant bits for differential privacy", CCS 2012). Integers go in and come out.
It costs about 12 us a cell; cells are drawn by two threads.

A masked Share of a joint release carries noise of variance sigma^2 / (s - t): any s - t honest shares add up to at least the curator's
noise. The sum of discrete Gaussians is not quite a discrete Gaussian; from a share's sigma of 4 on, the difference is below 10^-60
(Kairouz, Liu and Steinke, "The distributed discrete Gaussian mechanism for federated learning", ICML 2021, theorem 1), so less is refused.
"""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor
from functools import cache, lru_cache
from importlib.metadata import version
from typing import Any, Final

import numpy as np
import opendp.prelude as dp
from numpy.typing import NDArray

from oneteam.core.errors import RefusedError, UnknownValueError

Ints = NDArray[np.int64]

LEAST_SHARE_SIGMA: Final = 4.0
THREADS: Final = 2
_TOO_SMALL_TO_SPLIT: Final = 2_000
_POOL: Final = ThreadPoolExecutor(THREADS, thread_name_prefix="noise")

dp.enable_features("contrib")


def noise_versions() -> dict[str, str]:
    """The noise library and its version, for a Release's provenance."""
    return {"opendp": _opendp_version()}


@cache
def _opendp_version() -> str:
    return version("opendp")


@lru_cache(maxsize=64)
def _mechanism(sigma: float) -> Any:
    """OpenDP's measurement for vectors of 64-bit integers, L2 distance, zCDP."""
    space = dp.vector_domain(dp.atom_domain(T="i64")), dp.l2_distance(T="f64")
    return dp.m.make_gaussian(*space, scale=sigma)


def add_noise(values: Ints, sigma: float) -> Ints:
    """Add independent discrete Gaussian noise to every cell.

    Args:
        values: true counts, any shape, int64.
        sigma: scale of the noise [counts].

    Returns:
        the same shape, int64.

    Raises:
        UnknownValueError: sigma is not a positive finite number.

    >>> noised = add_noise(np.zeros(1000, np.int64), 10.0)
    >>> noised.dtype, bool(8 < noised.std() < 12)
    (dtype('int64'), True)
    """
    if not (math.isfinite(sigma) and sigma > 0):
        raise UnknownValueError(f"the noise's scale must be positive and finite; it is {sigma!r}")
    flat = np.ascontiguousarray(values, np.int64).reshape(-1)
    mechanism = _mechanism(float(sigma))
    if len(flat) <= _TOO_SMALL_TO_SPLIT:
        return np.array(mechanism(flat), np.int64).reshape(values.shape)
    # The library releases the interpreter's lock, and every cell's noise is drawn independently of the others'.
    drawn = [np.array(part, np.int64) for part in _POOL.map(mechanism, np.array_split(flat, THREADS))]
    return np.concatenate(drawn).reshape(values.shape)


def cost(sigma: float, sensitivity: float) -> float:
    """Rho that OpenDP itself computes for the noise at an L2 sensitivity.

    >>> round(cost(10.0, 2.0), 9)
    0.02
    """
    return float(_mechanism(float(sigma)).map(float(sensitivity)))


def share_sigma(sigma: float, threshold: int, colluding: int) -> float:
    """Scale of one Share's noise in a joint release: sigma / sqrt(s - t).

    Args:
        sigma: a trusted curator's [counts].
        threshold: s, how many must help to unmask.
        colluding: t, how many may collude.

    Raises:
        RefusedError: the share's sigma is below `LEAST_SHARE_SIGMA` (a fact of the Agreement and the Query, not of data), or s <= t.

    >>> round(share_sigma(10.0, 3, 1), 3)
    7.071
    """
    honest = threshold - colluding
    if honest < 1:
        raise RefusedError(
            f"no honest share is certain: threshold {threshold}, colluding {colluding}",
            reasons=("round.threshold",),
            hint="The threshold must be above the number that may collude.",
        )
    own = math.nextafter(sigma / math.sqrt(honest), math.inf)
    if own < LEAST_SHARE_SIGMA:
        raise RefusedError(
            f"a share's noise would have a sigma of {own:.2f}; below {LEAST_SHARE_SIGMA:g} shares do not add up to the curator's noise",
            reasons=("noise.share_sigma",),
            hint="Ask for a smaller rho.",
        )
    return own


def joint_sigma(sigma: float, threshold: int, colluding: int, shares: int) -> float:
    """Standard deviation of the noise in the sum of several Shares: never below the curator's while s or more are in it.

    >>> round(joint_sigma(10.0, 3, 1, 4), 3)
    14.142
    """
    return share_sigma(sigma, threshold, colluding) * math.sqrt(shares)
