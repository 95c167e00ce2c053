"""Empirical Bayes for noised counts: what a count most likely was, given its noise and what all noised counts together look like.

Counts are modelled as x = m t, where m is what coarser levels let expect and t follows an unknown distribution: a mixture of a point mass
at zero and of normal components centred on a geometric grid, each about as wide as the grid's step. Its weights are estimated from the
noised counts by expectation-maximisation. Where the noise is small against the count, the posterior mean is the count itself; where it is
large, the mean is drawn to what similar cells have. All this is post-processing: it sees released numbers only and costs no privacy.

Where two dimensions have the same codes, as origin and destination have, cell (i, j) and cell (j, i) are modelled together, by a symmetric
table of joint weights: who goes usually comes back, and how much so is estimated too.

Sources: J. Kiefer, J. Wolfowitz, "Consistency of the maximum likelihood estimator in the presence of infinitely many incidental
parameters", Annals of Mathematical Statistics 27 (1956); M. Stephens, "False discovery rates: a new deal", Biostatistics 18 (2017), on
normal mixtures over a fixed grid.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

GRID_POINTS: Final = 32
LEAST_RATIO: Final = 0.02
LEAST_TOP_RATIO: Final = 60.0
WIDTH: Final = 0.25
"""Standard deviation of a component as a share of its centre."""
MAX_FITTED: Final = 65_536
"""Cells that the weights are estimated from; more would not make them better."""
ITERATIONS: Final = 30
OVERSHOOT: Final = 1.8
"""Each step of expectation-maximisation is taken so much further, in logarithms: it converges for anything below 2, and faster."""
_TINY: Final = 1e-290


@dataclass(frozen=True)
class Posterior:
    """Moments of the cells given their noised counts.

    Args:
        mean: shape (cells,).
        variance: shape (cells,).
        covariance: with the mirrored cell, shape (cells,); zero without mirror.
    """

    mean: Floats
    variance: Floats
    covariance: Floats


def grid_for(noised: Floats, expected: Floats, sigma: float) -> Floats:
    """Centres of the components of t: zero, then geometric up to beyond the largest ratio that is surely more than noise."""
    clear = (noised > 6.0 * sigma) & (expected > 0)
    top = float((noised[clear] / expected[clear]).max(initial=0.0)) * 1.5
    points = np.geomspace(LEAST_RATIO, max(LEAST_TOP_RATIO, top), GRID_POINTS)
    return np.concatenate([[0.0], points])


@dataclass(frozen=True)
class _Components:
    """Likelihood and conditional moments of every cell under every component, shape (cells, components)."""

    likelihood: Floats
    mean: Floats
    second: Floats


def _components(noised: Floats, expected: Floats, sigma: float, grid: Floats) -> _Components:
    centre = expected[:, None] * grid
    spread = (WIDTH * centre) ** 2
    total = spread + sigma * sigma
    z = noised[:, None] - centre
    # Relative to each cell's best component: far cells must not underflow.
    log = -0.5 * (z * z / total + np.log(total))
    likelihood = np.exp(log - log.max(axis=1, keepdims=True)) + _TINY
    gain = spread / total
    mean = np.maximum(centre + gain * z, 0.0)
    return _Components(likelihood, mean, mean * mean + gain * sigma * sigma)


def _stepped(weights: Floats, ratio: Floats) -> Floats:
    """The weights after one step; ``ratio`` is 1 where they are at their best."""
    moved = weights * ratio**OVERSHOOT
    return np.asarray(moved / moved.sum(), np.float64)


def _sample(cells: int) -> slice:
    return slice(None, None, max(1, -(-cells // MAX_FITTED)))


def fit_alone(noised: Floats, expected: Floats, sigma: float, grid: Floats, weights: Floats | None = None) -> tuple[Posterior, Floats]:
    """Cells one by one.

    Args:
        noised: counts, shape (cells,).
        expected: m, positive, shape (cells,).
        sigma: of the noise.
        grid: centres of t, shape (components,).
        weights: to begin from, shape (components,).

    Returns:
        the posterior and the weights.

    >>> rng = np.random.default_rng(1)
    >>> truth = np.repeat([0.0, 100.0], 500)
    >>> noised, flat = truth + rng.normal(0, 10, 1000), np.full(1000, 50.0)
    >>> found, _ = fit_alone(noised, flat, 10.0, grid_for(noised, flat, 10.0))
    >>> bool(np.abs(found.mean - truth).sum() < 0.6 * np.abs(noised - truth).sum())
    True
    """
    w = np.full(len(grid), 1.0 / len(grid)) if weights is None else weights
    some = _sample(len(noised))
    likelihood = _components(noised[some], expected[some], sigma, grid).likelihood
    for _ in range(ITERATIONS):
        w = _stepped(w, (likelihood / (likelihood @ w)[:, None]).mean(axis=0))
    mean, second = np.empty_like(noised), np.empty_like(noised)
    for start in range(0, len(noised), MAX_FITTED):
        here = slice(start, start + MAX_FITTED)
        of = _components(noised[here], expected[here], sigma, grid)
        part = of.likelihood * w
        part /= part.sum(axis=1, keepdims=True)
        mean[here], second[here] = (part * of.mean).sum(axis=1), (part * of.second).sum(axis=1)
    return Posterior(mean, np.maximum(second - mean * mean, 0.0), np.zeros_like(mean)), w


def fit_mirrored(
    noised: tuple[Floats, Floats], expected: tuple[Floats, Floats], sigma: float, grid: Floats, weights: Floats | None = None
) -> tuple[Posterior, Posterior, Floats]:
    """Cells and their mirrored cells together.

    Args:
        noised: counts of the cells (i, j) and of the cells (j, i), each of shape (pairs,).
        expected: m of both, positive.
        sigma: of the noise.
        grid: centres of t.
        weights: to begin from, shape (components, components), symmetric.

    Returns:
        posteriors of both, with their covariance, and the weights.
    """
    size = len(grid)
    w = np.full((size, size), 1.0 / size**2) + np.eye(size) / size if weights is None else weights
    w = w / w.sum()
    some = _sample(len(noised[0]))
    one, other = (_components(y[some], m[some], sigma, grid).likelihood for y, m in zip(noised, expected, strict=True))
    for _ in range(ITERATIONS):
        evidence = ((one @ w) * other).sum(axis=1)
        w = _stepped(w, ((one / evidence[:, None]).T @ other) / len(evidence))
        w = 0.5 * (w + w.T)
    moments = np.empty((5, len(noised[0])))
    for start in range(0, len(noised[0]), MAX_FITTED):
        here = slice(start, start + MAX_FITTED)
        one_of, other_of = (_components(y[here], m[here], sigma, grid) for y, m in zip(noised, expected, strict=True))
        moments[:, here] = _pair_moments(one_of, other_of, w)
    first, second, first2, second2, product = moments
    covariance = product - first * second
    return (
        Posterior(first, np.maximum(first2 - first * first, 0.0), covariance),
        Posterior(second, np.maximum(second2 - second * second, 0.0), covariance),
        w,
    )


def _pair_moments(one: _Components, other: _Components, w: Floats) -> Floats:
    """Means, second moments and mean product of both, shape (5, pairs)."""
    forward, backward = one.likelihood @ w, other.likelihood @ w.T
    evidence = (forward * other.likelihood).sum(axis=1)
    p_one, p_other = backward * one.likelihood, forward * other.likelihood
    product = (((one.likelihood * one.mean) @ w) * (other.likelihood * other.mean)).sum(axis=1)
    sums = [(p_one * one.mean).sum(axis=1), (p_other * other.mean).sum(axis=1)]
    sums += [(p_one * one.second).sum(axis=1), (p_other * other.second).sum(axis=1), product]
    return np.asarray(np.stack(sums) / evidence, np.float64)
