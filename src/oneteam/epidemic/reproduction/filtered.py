"""The effective reproduction number by week, from the filter that forecasts: smoother than a window, and borrowing from other places.

The filter (`epidemic.forecasting.filter`) follows by how much cases multiply from one week to the next. A week's multiplication is a growth
rate, and with a serial interval a growth rate is a reproduction number: R = 1 / sum of w(k) exp(-r k). Source: Wallinga and Lipsitch 2007,
"How generation intervals shape the relationship between growth rates and reproductive numbers", Proc R Soc B 274:599.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import numpy.typing as npt
from scipy.special import ndtr, ndtri

from oneteam.core.errors import UnknownValueError
from oneteam.epidemic.forecasting.filter import EMERGING, tuned_filter

Floats = npt.NDArray[np.float64]

MIN_WEEKS: Final = 4
"""Weeks after which the estimate no longer rests on the filter's start."""
UNKNOWN_POPULATION: Final = 1e9
"""Stands for a population that is not known: nobody runs out of susceptibles."""
_WEEK_D: Final = 7
_CLOSED: Final = replace(EMERGING, outside=0.0)
"""As Cori and others have it, a place's cases are caused by its own: how places infect each other is not told to this estimate."""


@dataclass(frozen=True)
class FilteredRt:
    """Log growth by week and place as the filter sees it, normal; NaN where there is no estimate. All shapes (weeks, places).

    Args:
        log_growth: mean of the logarithm of the cases of a week over those of the week before.
        sd: its standard deviation.
        weights: of the serial interval by whole day, from 0 on.
    """

    log_growth: Floats
    sd: Floats
    weights: Floats

    def quantile(self, level: float) -> Floats:
        """Quantiles of the reproduction number."""
        return reproduction_of(self.log_growth + ndtri(level) * self.sd, self.weights)

    @property
    def probability_above_1(self) -> Floats:
        """Probability that cases grow, which is that the reproduction number is above 1."""
        return np.asarray(ndtr(self.log_growth / self.sd))


def reproduction_of(log_growth: npt.ArrayLike, weights: Floats) -> Floats:
    """Reproduction numbers at which cases grow so, shape as given.

    Args:
        log_growth: logarithm of the cases of a week over those of the week before.
        weights: of the serial interval by whole day, from 0 on.

    >>> weekly = np.array([0.0] * 7 + [1.0])  # every case causes others a week later
    >>> reproduction_of(np.log([0.5, 1.0, 2.0]), weekly).round(9).tolist()
    [0.5, 1.0, 2.0]
    """
    rate = np.asarray(log_growth, np.float64)[..., None] / _WEEK_D
    return np.asarray(1.0 / (np.exp(-rate * np.arange(len(weights))) @ weights))


def filter_rt(counts: npt.ArrayLike, population: npt.ArrayLike, weights: Floats, *, seed: int = 1) -> FilteredRt:
    """Reproduction number by week and place, each from the weeks up to its own.

    Args:
        counts: new cases by week, NaN where unknown, shape (weeks, places).
        population: persons, NaN where unknown, shape (places,).
        weights: of the serial interval by whole day, from 0 on; sums to 1.
        seed: of the ensemble.

    Raises:
        UnknownValueError: negative counts, or too few weeks.

    >>> cases = 400 * 1.2 ** np.arange(12)[:, None]
    >>> found = filter_rt(cases, [np.nan], np.array([0.0] * 7 + [1.0]))
    >>> bool(abs(found.quantile(0.5)[-1, 0] - 1.2) < 0.05), bool(found.quantile(0.025)[-1, 0] > 1)
    (True, True)
    """
    cases = np.atleast_2d(np.asarray(counts, np.float64))
    if (cases < 0).any():
        raise UnknownValueError("weekly counts must not be negative")
    if len(cases) <= MIN_WEEKS:
        raise UnknownValueError(f"{len(cases)} weeks: the filter needs more than {MIN_WEEKS}")
    people = np.asarray(population, np.float64)
    state = tuned_filter(cases, np.where(people > 0, people, UNKNOWN_POPULATION), seed, settings=_CLOSED)
    mean, low, high = (np.log(np.maximum(bound, 1e-300)) for bound in state.reproduction)
    sd = (high - low) / (2 * ndtri(0.975))
    early = np.cumsum(np.nan_to_num(cases) > 0, axis=0) <= MIN_WEEKS
    early[:MIN_WEEKS] = True
    mean, sd = (np.where(early | np.isnan(cases), np.nan, each) for each in (mean, sd))
    return FilteredRt(mean, sd, weights)
