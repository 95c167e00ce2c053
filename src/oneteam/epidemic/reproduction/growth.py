"""Growth, doubling time, and the chance to exceed a threshold next week."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
from scipy.special import gammaincinv, ndtr, ndtri
from scipy.stats import nbinom

from oneteam.epidemic.reproduction.cori import RtPosterior, infectivity
from oneteam.stats.random import key_of, uniforms

Floats = npt.NDArray[np.float64]

GROWTH_DAYS: Final = 14
"""Two whole weeks: every weekday counts twice, so that a weekday pattern is no trend."""
_ROUNDS: Final = 50
_STREAM_R: Final = 0x611
_STREAM_CASES: Final = 0x612


@dataclass(frozen=True)
class Growth:
    """Exponential growth by place, shape (places,) each; NaN where there are too few cases.

    Args:
        rate_per_d: growth rate [1/d].
        se_per_d: its standard error [1/d].
        overdispersion: variance of the daily counts over a Poisson's, at least 1.
    """

    rate_per_d: Floats
    se_per_d: Floats
    overdispersion: Floats

    def quantile(self, level: float) -> Floats:
        """Quantiles of the rate, by the normal approximation."""
        return np.asarray(self.rate_per_d + ndtri(level) * self.se_per_d)

    @property
    def probability_growing(self) -> Floats:
        """Probability that the rate is above 0."""
        return np.asarray(ndtr(self.rate_per_d / self.se_per_d))

    @property
    def doubling_d(self) -> Floats:
        """Days in which counts double; negative: in which they halve [d]."""
        with np.errstate(divide="ignore"):
            return np.asarray(np.log(2.0) / self.rate_per_d)


def estimate_growth(incidence: npt.ArrayLike, *, days: int = GROWTH_DAYS) -> Growth:
    """Growth rate over the last days: a log-linear trend with weekday effects, with quasi-Poisson errors.

    Args:
        incidence: new cases, shape (days, places).
        days: how many of the last.

    Source: McCullagh and Nelder 1989, "Generalized Linear Models", chapter 9.2, for the errors.

    >>> cases = 100 * np.exp(0.1 * np.arange(14))[:, None]
    >>> bool(abs(estimate_growth(cases).rate_per_d[0] - 0.1) < 1e-6)
    True
    """
    cases = np.atleast_2d(np.asarray(incidence, np.float64))[-days:]
    fits = [_log_linear(cases[:, i]) for i in range(cases.shape[1])]
    rate, se, phi = (np.array(column) for column in zip(*fits, strict=True)) if fits else (np.empty(0),) * 3
    return Growth(rate, se, phi)


def _log_linear(counts: Floats) -> tuple[float, float, float]:
    """(slope, its standard error, overdispersion) by iteratively reweighted least squares."""
    known = np.isfinite(counts)
    y = counts[known]
    day = np.arange(len(counts))[known].astype(np.float64)
    if len(y) < 5 or y.sum() < 5 or (y > 0).sum() < 3:
        return float("nan"), float("nan"), float("nan")
    design = [np.ones_like(day), day - day.mean()]
    if len(y) >= 14:
        # Six weekday effects that sum to none; with fewer days they would fit the noise.
        weekday = day.astype(np.int64) % 7
        design += [np.where(weekday == k, 1.0, 0.0) - np.where(weekday == 6, 1.0, 0.0) for k in range(6)]
    x = np.stack(design, axis=1)
    eta = np.log(y + 0.5)
    beta = np.zeros(x.shape[1])
    for _ in range(_ROUNDS):
        mu = np.exp(np.clip(eta, -30.0, 30.0))
        work = eta + (y - mu) / mu
        # A light ridge keeps weekdays without a case at a finite effect.
        normal = x.T @ (mu[:, None] * x) + 1e-3 * np.diag([0.0, 0.0, *([1.0] * (x.shape[1] - 2))])
        new = np.linalg.solve(normal, x.T @ (mu * work))
        done = np.max(np.abs(new - beta)) < 1e-10
        beta, eta = new, x @ new
        if done:
            break
    mu = np.exp(np.clip(eta, -30.0, 30.0))
    freedom = max(1, len(y) - x.shape[1])
    phi = max(1.0, float(((y - mu) ** 2 / mu).sum() / freedom))
    covariance = np.linalg.inv(x.T @ (mu[:, None] * x) + 1e-3 * np.diag([0.0, 0.0, *([1.0] * (x.shape[1] - 2))]))
    return float(beta[1]), float(np.sqrt(phi * covariance[1, 1])), phi


@dataclass(frozen=True)
class Outlook:
    """Cases of the next days, if the reproduction number stays as it is.

    Args:
        low: 2.5% quantile, shape (places,).
        median: shape (places,).
        high: 97.5% quantile, shape (places,).
        probability: to reach the threshold, shape (places,); NaN without one.
    """

    low: Floats
    median: Floats
    high: Floats
    probability: Floats


def project_cases(
    incidence: npt.ArrayLike,
    weights: Floats,
    posterior: RtPosterior,
    overdispersion: Floats,
    threshold: Floats,
    *,
    days: int = 7,
    draws: int = 1_000,
    seed: int = 1,
) -> Outlook:
    """Sum of the cases of the next days by the renewal equation, R drawn once for each draw from its last posterior.

    Args:
        incidence: new cases, shape (days, places).
        weights: of the serial interval.
        posterior: of R.
        overdispersion: variance of daily counts over their mean, shape (places,).
        threshold: of the sum, NaN for none, shape (places,).
        days: how many ahead.
        draws: how many.
        seed: of the numbers drawn.

    Source: Nouvellet and others 2018, "A simple approach to measure transmissibility and forecast incidence", Epidemics 22:29.
    """
    cases = np.nan_to_num(np.atleast_2d(np.asarray(incidence, np.float64)))
    places = cases.shape[1]
    out = np.full((4, places), np.nan)
    for place in range(places):
        a, b = posterior.shape[-1, place], posterior.scale[-1, place]
        if not np.isfinite(a):
            continue
        sums = _project(cases[:, place], weights, (a, b), max(1.0, overdispersion[place]), days, draws, (seed, place))
        out[:3, place] = np.quantile(sums, [0.025, 0.5, 0.975])
        out[3, place] = (sums >= threshold[place]).mean() if np.isfinite(threshold[place]) else np.nan
    return Outlook(*out)


def _project(
    cases: Floats, weights: Floats, posterior: tuple[float, float], phi: float, days: int, draws: int, stream: tuple[int, int]
) -> Floats:
    seed, place = stream
    r = gammaincinv(posterior[0], uniforms(key_of(seed, _STREAM_R, place), 0, draws)) * posterior[1]
    history = np.repeat(cases[-len(weights) :, None], draws, axis=1)
    total = np.zeros(draws)
    for day in range(days):
        grown = np.concatenate([history, np.zeros((1, draws))])
        # Cases also cause cases on their own day, by the share of intervals of less than half a day.
        mean = np.maximum(r * infectivity(grown, weights)[-1] / np.maximum(1.0 - r * weights[0], 0.5), 1e-9)
        u = uniforms(key_of(seed, _STREAM_CASES, place, day), 0, draws)
        # Variance phi times the mean: a negative binomial of size mean / (phi - 1).
        new = nbinom.ppf(u, np.maximum(mean / (phi - 1.0), 1e-9) if phi > 1 else 1e9, 1.0 / phi if phi > 1 else 1e9 / (1e9 + mean))
        total += new
        history = np.concatenate([history, new[None]])
    return total
