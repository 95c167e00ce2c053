"""The quantile levels of the hubs, and finding a level in a file that stores it in few digits."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

LEVELS: Final[tuple[float, ...]] = (0.01, 0.025, *(round(0.05 * i, 2) for i in range(1, 20)), 0.975, 0.99)
"""The 23 quantile levels of FluSight and the COVID-19 hubs."""
LEVEL_DIGITS: Final = 6
"""Levels are the same when they agree to so many digits: single-precision files hold 0.025 as 0.02500000037."""


def level_index(levels: Floats, wanted: tuple[float, ...] = LEVELS) -> npt.NDArray[np.int64]:
    """Position of each level among the wanted ones, -1 for a level that is none of them.

    Args:
        levels: as read from a file, any shape.
        wanted: ascending levels.

    >>> level_index(np.array([0.02500000037, 0.5, 0.333])).tolist()
    [1, 11, -1]
    """
    known = np.round(np.asarray(wanted), LEVEL_DIGITS)
    rounded = np.round(np.asarray(levels, np.float64), LEVEL_DIGITS)
    at = np.minimum(np.searchsorted(known, rounded), len(known) - 1)
    return np.where(known[at] == rounded, at, -1)
