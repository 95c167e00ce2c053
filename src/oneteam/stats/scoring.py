"""Scores of probabilistic forecasts: one number for each forecast, lower is better, proper.

Shapes: ``observed`` is (n,); quantiles and samples are (n, k) with k levels or draws. NaN in gives NaN out. Means are left to the caller,
who knows what to average over.

Sources: Gneiting and Raftery 2007, "Strictly proper scoring rules, prediction, and estimation", JASA 102:359; Bracher and others 2021,
"Evaluating epidemic forecasts in an interval format", PLOS Comput Biol 17:e1008618; Bosse and others 2023, "Scoring epidemiological
forecasts on transformed scales", PLOS Comput Biol 19:e1011393; Czado, Gneiting and Held 2009, "Predictive model assessment for count data",
Biometrics 65:1254.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import gammaln, xlogy

from oneteam.stats.compiled import compiled

Floats = npt.NDArray[np.float64]

_TINY = 1e-290  # smaller gaps between quantiles are none: to divide by them would overflow


def interval_score(observed: npt.ArrayLike, lower: npt.ArrayLike, upper: npt.ArrayLike, alpha: float) -> Floats:
    """Width of a central (1 - alpha) interval, plus 2 / alpha for each unit by which the observation lies outside.

    Args:
        observed: shape (n,).
        lower: lower ends, shape (n,).
        upper: upper ends, shape (n,).
        alpha: share that should lie outside, above 0 and below 1.

    Source: Gneiting and Raftery 2007, equation 43.

    >>> interval_score([5.0, 12.0], [2.0, 2.0], [10.0, 10.0], 0.5).tolist()
    [8.0, 16.0]
    """
    y, low, high = np.asarray(observed, np.float64), np.asarray(lower, np.float64), np.asarray(upper, np.float64)
    return np.asarray((high - low) + 2.0 / alpha * (np.maximum(low - y, 0.0) + np.maximum(y - high, 0.0)))


def quantile_score(observed: npt.ArrayLike, quantile: npt.ArrayLike, level: npt.ArrayLike) -> Floats:
    """Pinball loss of a quantile; arguments broadcast.

    >>> quantile_score([5.0], [3.0], 0.9).tolist()
    [1.8]
    """
    miss = np.asarray(observed, np.float64) - np.asarray(quantile, np.float64)
    p = np.asarray(level, np.float64)
    return np.asarray(np.maximum(p * miss, (p - 1.0) * miss))


@dataclass(frozen=True)
class WisParts:
    """A weighted interval score and what it is made of; each of shape (n,), ``total`` is the sum of the others."""

    total: Floats
    dispersion: Floats
    underprediction: Floats
    overprediction: Floats


def weighted_interval_score(observed: npt.ArrayLike, quantiles: npt.ArrayLike, levels: npt.ArrayLike) -> Floats:
    """Weighted interval score: twice the pinball loss, averaged over the levels.

    For a median and K central intervals this is the interval scores weighted by alpha / 2 and the absolute error of the median weighted by
    1 / 2, divided by K + 1 / 2.

    Args:
        observed: shape (n,).
        quantiles: shape (n, k).
        levels: shape (k,).

    Source: Bracher and others 2021, equations 1 and 3.

    >>> weighted_interval_score([10.0], [[4.0, 8.0, 16.0]], [0.25, 0.5, 0.75]).tolist()
    [2.6666666666666665]
    """
    y = np.asarray(observed, np.float64)[..., None]
    return np.asarray(2.0 * quantile_score(y, quantiles, levels).mean(axis=-1))


def log_weighted_interval_score(observed: npt.ArrayLike, quantiles: npt.ArrayLike, levels: npt.ArrayLike) -> Floats:
    """Weighted interval score of log(1 + x): of relative rather than absolute errors. Negative quantiles count as 0.

    Source: Bosse and others 2023, section 2.

    >>> log_weighted_interval_score([0.0], [[-1.0, 0.0, 0.0]], [0.25, 0.5, 0.75]).tolist()
    [0.0]
    """
    q = np.asarray(quantiles, np.float64)
    return weighted_interval_score(np.log1p(np.asarray(observed, np.float64)), np.log1p(np.where(q < 0, 0.0, q)), levels)


def wis_parts(observed: npt.ArrayLike, quantiles: npt.ArrayLike, levels: npt.ArrayLike) -> WisParts:
    """`weighted_interval_score` in parts: spread, and penalties for observations above and below.

    Args:
        observed: shape (n,).
        quantiles: shape (n, k), ascending.
        levels: shape (k,), ascending, symmetric about 0.5.

    Source: Bracher and others 2021, section 2.2.

    >>> parts = wis_parts([10.0], [[4.0, 8.0, 16.0]], [0.25, 0.5, 0.75])
    >>> [round(float(x[0]), 4) for x in (parts.dispersion, parts.underprediction, parts.overprediction)]
    [2.0, 0.6667, 0.0]
    """
    y = np.asarray(observed, np.float64)[:, None]
    q = np.asarray(quantiles, np.float64)
    p = np.asarray(levels, np.float64)
    k = len(p)
    half = k // 2
    low, high, tail = q[:, :half], q[:, ::-1][:, :half], p[:half]
    width = ((high - low) * tail).sum(axis=1)
    above = np.maximum(y - high, 0.0).sum(axis=1)
    below = np.maximum(low - y, 0.0).sum(axis=1)
    if k % 2:
        middle = q[:, half]
        above = above + 0.5 * np.maximum(y[:, 0] - middle, 0.0)
        below = below + 0.5 * np.maximum(middle - y[:, 0], 0.0)
    scale = 2.0 / k
    return WisParts(scale * (width + above + below), scale * width, scale * above, scale * below)


def crps_samples(observed: npt.ArrayLike, samples: npt.ArrayLike, *, fair: bool = False) -> Floats:
    """Continuous ranked probability score of draws: mean |X - y| - mean |X - X'| / 2.

    Args:
        observed: shape (n,).
        samples: shape (n, k), in any order.
        fair: take k (k - 1) pairs rather than k squared: unbiased for the distribution that the draws come from. Needs two draws.

    Source: Gneiting and Raftery 2007, equation 21; Ferro 2014, "Fair scores for ensemble forecasts", QJRMS 140:1917.

    >>> crps_samples([2.0], [[1.0, 3.0]]).tolist(), crps_samples([2.0], [[1.0, 3.0]], fair=True).tolist()
    ([0.5], [0.0])
    """
    y = np.atleast_1d(np.asarray(observed, np.float64))
    return np.asarray(_crps(y, np.sort(np.atleast_2d(np.asarray(samples, np.float64)), axis=1), fair))


@compiled
def _crps(y: Floats, draws: Floats, fair: bool) -> Floats:
    n, k = draws.shape
    out = np.empty(n)
    for i in range(n):
        far, apart = 0.0, 0.0
        for j in range(k):
            far += abs(draws[i, j] - y[i])
            apart += draws[i, j] * (2.0 * j - k + 1.0)
        out[i] = far / k - apart / (k * (k - 1.0) if fair else k * k)
    return out


def log_score_samples(observed: npt.ArrayLike, samples: npt.ArrayLike) -> Floats:
    """Minus the log of the density that a Gaussian kernel gives to draws, with the bandwidth of the normal reference rule.

    Args:
        observed: shape (n,).
        samples: shape (n, k), at least two different draws each.

    Source: Krüger and others 2021, "Predictive inference based on Markov chain Monte Carlo output", Int Stat Rev 89:274; bandwidth by
    Silverman 1986, section 3.4.2.
    """
    y = np.asarray(observed, np.float64)[:, None]
    x = np.asarray(samples, np.float64)
    k = x.shape[1]
    q75, q25 = np.quantile(x, 0.75, axis=1), np.quantile(x, 0.25, axis=1)
    deviation = x.std(axis=1, ddof=1)
    spread = np.minimum(deviation, (q75 - q25) / 1.34)
    width = (1.06 * np.where(spread > 0, spread, deviation) * k ** (-0.2))[:, None]
    kernel = -0.5 * ((y - x) / width) ** 2 - np.log(width) - 0.5 * math.log(2 * math.pi)
    peak = kernel.max(axis=1, keepdims=True)
    return np.asarray(-(peak[:, 0] + np.log(np.exp(kernel - peak).mean(axis=1))))


def log_score_negative_binomial(observed: npt.ArrayLike, mean: npt.ArrayLike, size: npt.ArrayLike) -> Floats:
    """Minus the log probability of counts under a negative binomial of given mean and size (variance = mean + mean² / size).

    >>> round(float(log_score_negative_binomial([0], 1.0, 1.0)[0]), 6)  # a geometric: P(0) = 1/2
    0.693147
    """
    y, m, r = np.broadcast_arrays(*(np.asarray(a, np.float64) for a in (observed, mean, size)))
    log_p = gammaln(y + r) - gammaln(r) - gammaln(y + 1.0) + xlogy(r, r / (r + m)) + xlogy(y, m / (r + m))
    return np.asarray(-log_p)


def log_score_poisson(observed: npt.ArrayLike, mean: npt.ArrayLike) -> Floats:
    """Minus the log probability of counts under a Poisson.

    >>> log_score_poisson([0], 2.0).tolist()
    [2.0]
    """
    y, m = np.asarray(observed, np.float64), np.asarray(mean, np.float64)
    return np.asarray(m - xlogy(y, m) + gammaln(y + 1.0))


def coverage(observed: npt.ArrayLike, lower: npt.ArrayLike, upper: npt.ArrayLike) -> float:
    """Share of observations inside their intervals, ends included.

    >>> coverage([1.0, 2.0, 9.0, 4.0], [0.0] * 4, [5.0] * 4)
    0.75
    """
    y = np.asarray(observed, np.float64)
    return float(np.mean((y >= np.asarray(lower)) & (y <= np.asarray(upper))))


def pit_samples(observed: npt.ArrayLike, samples: npt.ArrayLike, u: npt.ArrayLike) -> Floats:
    """Randomised probability integral transform of counts: uniform on [0, 1] for a calibrated forecast.

    Args:
        observed: shape (n,).
        samples: shape (n, k).
        u: uniform numbers in [0, 1), shape (n,).

    Source: Czado, Gneiting and Held 2009, section 2.1: F(y - 1) + u (F(y) - F(y - 1)).

    >>> pit_samples([1.0], [[0.0, 1.0, 1.0, 2.0]], [0.5]).tolist()
    [0.5]
    """
    y, x = np.asarray(observed, np.float64)[:, None], np.asarray(samples, np.float64)
    below, upto = (x < y).mean(axis=1), (x <= y).mean(axis=1)
    return np.asarray(below + np.asarray(u, np.float64) * (upto - below))


def pit_quantiles(observed: npt.ArrayLike, quantiles: npt.ArrayLike, levels: npt.ArrayLike, u: npt.ArrayLike) -> Floats:
    """Randomised probability integral transform from quantiles: uniform within the levels that enclose the observation.

    Quantiles say no more than that: an observation between the 0.5 and the 0.55 quantile has its transform between 0.5 and 0.55. Where
    several quantiles equal the observation, as at 0, it lies between the level below the first and the level above the last of them.

    Args:
        observed: shape (n,).
        quantiles: shape (n, k), ascending.
        levels: shape (k,), ascending.
        u: uniform numbers in [0, 1), shape (n,).

    >>> pit_quantiles([6.0, 0.0], [[2.0, 5.0, 9.0], [0.0, 0.0, 1.0]], [0.25, 0.5, 0.75], [0.5, 0.0]).tolist()
    [0.625, 0.0]
    """
    y, q = np.asarray(observed, np.float64)[:, None], np.asarray(quantiles, np.float64)
    p = np.concatenate([[0.0], np.asarray(levels, np.float64), [1.0]])
    low = p[(q < y).sum(axis=1)]
    high = p[(q <= y).sum(axis=1) + 1]
    return np.asarray(low + np.asarray(u, np.float64) * (high - low))


def cdf_from_quantiles(x: npt.ArrayLike, quantiles: npt.ArrayLike, levels: npt.ArrayLike) -> Floats:
    """P(X <= x) from quantiles: linear between them, exponential tails with the density of the outermost interval beyond.

    Args:
        x: shape (n,).
        quantiles: shape (n, k), ascending.
        levels: shape (k,), ascending.

    >>> cdf_from_quantiles([4.0, 8.0, -1.0], [[0.0, 4.0, 8.0]] * 3, [0.25, 0.5, 0.75]).round(4).tolist()
    [0.5, 0.75, 0.1947]
    """
    point, q = np.atleast_1d(np.asarray(x, np.float64)), np.asarray(quantiles, np.float64)
    p = np.asarray(levels, np.float64)
    k = len(p)
    # With ties the last level counts: P(X <= x) at an atom includes it.
    above = np.clip((q <= point[:, None]).sum(axis=1), 1, k - 1)
    rows = np.arange(len(point))
    x0, x1, p0, p1 = q[rows, above - 1], q[rows, above], p[above - 1], p[above]
    gap = x1 - x0
    share = np.divide(point - x0, gap, out=np.ones_like(gap), where=gap > _TINY)
    inside = p0 + np.clip(share, 0.0, 1.0) * (p1 - p0)
    density = np.divide(p1 - p0, gap, out=np.full_like(gap, np.inf), where=gap > _TINY)
    with np.errstate(invalid="ignore", over="ignore"):
        left = p[0] * np.exp(np.minimum((point - q[:, 0]) * density / p[0], 0.0))
        right = 1.0 - (1.0 - p[-1]) * np.exp(-np.maximum((point - q[:, -1]) * density / (1.0 - p[-1]), 0.0))
    return np.asarray(np.where(point < q[:, 0], left, np.where(point > q[:, -1], right, inside)))


def brier_score(probability: npt.ArrayLike, outcome: npt.ArrayLike) -> Floats:
    """Squared difference of a probability and what happened (1) or did not (0); shape (n,).

    Source: Brier 1950, "Verification of forecasts expressed in terms of probability", Mon Weather Rev 78:1.

    >>> brier_score([0.75], [1]).tolist()
    [0.0625]
    """
    return np.asarray((np.asarray(probability, np.float64) - np.asarray(outcome, np.float64)) ** 2)


def brier_score_categories(probabilities: npt.ArrayLike, outcome: npt.ArrayLike) -> Floats:
    """Brier's score over exclusive categories, from 0 to 2; shape (n,).

    Args:
        probabilities: each row sums to 1, shape (n, categories).
        outcome: index of the category that happened, shape (n,).

    >>> brier_score_categories([[0.5, 0.5, 0.0]], [0]).tolist()
    [0.5]
    """
    p = np.asarray(probabilities, np.float64)
    hit = np.zeros_like(p)
    hit[np.arange(len(p)), np.asarray(outcome, np.int64)] = 1.0
    return np.asarray(((p - hit) ** 2).sum(axis=1))


def ranked_probability_score(probabilities: npt.ArrayLike, outcome: npt.ArrayLike) -> Floats:
    """Squared differences of cumulative probabilities over ordered categories, summed; shape (n,).

    Args:
        probabilities: each row sums to 1, shape (n, categories), ordered.
        outcome: index of the category that happened, shape (n,).

    Source: Epstein 1969, "A scoring system for probability forecasts of ranked categories", J Appl Meteorol 8:985.

    >>> ranked_probability_score([[0.5, 0.5, 0.0]], [2]).tolist()
    [1.25]
    """
    cumulative = np.cumsum(np.asarray(probabilities, np.float64), axis=1)
    happened = np.arange(cumulative.shape[1]) >= np.asarray(outcome, np.int64)[:, None]
    return np.asarray(((cumulative - happened) ** 2).sum(axis=1))


@dataclass(frozen=True)
class Reliability:
    """Probabilities against frequencies, by bin of probability; bins without a forecast are left out. Each of shape (bins,).

    Args:
        forecast: mean probability in the bin.
        frequency: share that happened.
        low: lower end of the frequency's 95% interval (Wilson).
        high: upper end.
        count: forecasts in the bin.
    """

    forecast: Floats
    frequency: Floats
    low: Floats
    high: Floats
    count: npt.NDArray[np.int64]


def reliability(probability: npt.ArrayLike, outcome: npt.ArrayLike, bins: int = 10) -> Reliability:
    """How often what was forecast with about the same probability happened.

    Args:
        probability: shape (n,).
        outcome: 0 or 1, shape (n,).
        bins: of equal width.

    Source: Wilson 1927, "Probable inference", JASA 22:209, for the interval.

    >>> reliability([0.1, 0.12, 0.9], [0, 1, 1]).frequency.tolist()
    [0.5, 1.0]
    """
    p, o = np.asarray(probability, np.float64), np.asarray(outcome, np.float64)
    at = np.minimum((p * bins).astype(np.int64), bins - 1)
    count = np.bincount(at, minlength=bins)
    used = np.flatnonzero(count)
    n = count[used].astype(np.float64)
    mean = np.bincount(at, p, bins)[used] / n
    share = np.bincount(at, o, bins)[used] / n
    z = 1.959963984540054
    centre = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * np.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    return Reliability(mean, share, centre - half, centre + half, count[used])
