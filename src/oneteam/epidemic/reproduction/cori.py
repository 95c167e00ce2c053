"""The effective reproduction number from daily counts: how many each case causes at the time.

Cases of a day are Poisson with mean R times the infectivity of the earlier cases; R is constant over a window and gamma distributed before
the data. Then it is gamma distributed after them too. Source: Cori, Ferguson, Fraser and Cauchemez 2013, "A new framework and software to
estimate time-varying reproduction numbers during epidemics", Am J Epidemiol 178:1505, web appendix 1.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
from scipy.special import gammainc, gammaincinv

from oneteam.core.errors import UnknownValueError

Floats = npt.NDArray[np.float64]

PRIOR_SHAPE: Final = 1.0
PRIOR_SCALE: Final = 5.0
"""The prior of the paper: mean and standard deviation 5, so that an estimate below 1 is due to data."""
MIN_CASES: Final = 12
"""So many cases bring the posterior's coefficient of variation below 0.3 (Cori and others 2013, web appendix 1)."""


@dataclass(frozen=True)
class RtPosterior:
    """Gamma posteriors of the reproduction number by day and place; NaN where there is no estimate.

    Args:
        shape: shape (days, places).
        scale: shape (days, places).
        window_d: days over which it is held constant, ending on the day.
    """

    shape: Floats
    scale: Floats
    window_d: int

    @property
    def mean(self) -> Floats:
        """Posterior means."""
        return np.asarray(self.shape * self.scale)

    def quantile(self, level: float) -> Floats:
        """Posterior quantiles."""
        return np.asarray(gammaincinv(self.shape, level) * self.scale)

    def probability_above(self, value: float) -> Floats:
        """Posterior probability that the number exceeds a value."""
        return np.asarray(1.0 - gammainc(self.shape, value / self.scale))

    def widened(self, overdispersion: npt.ArrayLike) -> RtPosterior:
        """The same means for counts whose variance is so many times a Poisson's; values below 1 count as 1.

        Daily counts of thousands vary by far more than a Poisson does, and its intervals would be too narrow to believe.
        """
        phi = np.maximum(1.0, np.asarray(overdispersion, np.float64))
        return RtPosterior(self.shape / phi, self.scale * phi, self.window_d)


def infectivity(incidence: npt.ArrayLike, weights: Floats) -> Floats:
    """Earlier cases, weighted by how likely each causes cases on the day, shape (days, places).

    Args:
        incidence: new cases, shape (days, places).
        weights: of the serial interval by whole day, from 0 on.

    >>> infectivity([[10.0], [0.0], [0.0]], np.array([0.0, 0.6, 0.4])).ravel().tolist()
    [0.0, 6.0, 4.0]
    """
    cases = np.atleast_2d(np.asarray(incidence, np.float64))
    out = np.zeros_like(cases)
    for lag, weight in enumerate(weights[: len(cases)].tolist()):
        out[lag:] += weight * cases[: len(cases) - lag]
    return out


def estimate_rt(
    incidence: npt.ArrayLike,
    weights: Floats,
    *,
    window_d: int = 7,
    imported: npt.ArrayLike | None = None,
    prior_shape: float = PRIOR_SHAPE,
    prior_scale: float = PRIOR_SCALE,
    guarded: bool = True,
) -> RtPosterior:
    """Reproduction number by day and place.

    Args:
        incidence: new cases, all of them, shape (days, places); NaN makes every window unknown whose cases or causes it touches.
        weights: of the serial interval by whole day, from 0 on; sums to 1.
        window_d: days over which R is held constant; an estimate is for the window's last day.
        imported: those of the cases that were infected elsewhere: they cause cases but are not caused here.
        prior_shape: of the gamma prior.
        prior_scale: of the gamma prior.
        guarded: give no estimate before `MIN_CASES` cases, a mean serial interval and a window have passed.

    Raises:
        UnknownValueError: negative counts, or more imported than all cases.

    >>> weights = np.array([0.0, 0.5, 0.5])
    >>> cases = np.array([[16.0], [16.0], [24.0], [40.0], [64.0]])
    >>> round(float(estimate_rt(cases, weights, window_d=1, guarded=False).mean[-1, 0]), 3)
    2.019
    """
    cases = np.atleast_2d(np.asarray(incidence, np.float64))
    local = cases if imported is None else cases - np.asarray(imported, np.float64).reshape(cases.shape)
    if (cases < 0).any() or (local < 0).any():
        raise UnknownValueError("daily counts must not be negative, and imported cases not more than all cases")
    if not 1 <= window_d <= len(cases):
        raise UnknownValueError(f"window of {window_d} days: must be between 1 and the {len(cases)} days of data")
    causes = infectivity(cases, weights)
    shape = np.full(cases.shape, np.nan)
    scale = np.full(cases.shape, np.nan)
    shape[window_d - 1 :] = prior_shape + _moving_sum(local, window_d)
    scale[window_d - 1 :] = 1.0 / (1.0 / prior_scale + _moving_sum(causes, window_d))
    if guarded:
        early = _too_early(cases, weights, window_d)
        shape[early], scale[early] = np.nan, np.nan
    unknown = ~(np.isfinite(shape) & np.isfinite(scale))
    shape[unknown], scale[unknown] = np.nan, np.nan
    return RtPosterior(shape, scale, window_d)


def _moving_sum(values: Floats, window_d: int) -> Floats:
    """Sums of windows; not by differences of running sums, which one NaN would spoil for ever."""
    return np.asarray(np.lib.stride_tricks.sliding_window_view(values, window_d, axis=0).sum(axis=-1))


def _too_early(cases: Floats, weights: Floats, window_d: int) -> npt.NDArray[np.bool_]:
    counted = np.cumsum(np.nan_to_num(cases), axis=0)
    mean_d = float(weights @ np.arange(len(weights)))
    any_yet = counted > 0
    first = np.where(any_yet.any(axis=0), np.argmax(any_yet, axis=0), len(cases))
    since = np.arange(len(cases))[:, None] - first
    return np.asarray((counted < MIN_CASES) | (since < max(np.ceil(mean_d), window_d)))
