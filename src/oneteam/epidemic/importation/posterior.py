"""Who brought the cases: a posterior over origins from arrivals, prevalence, and the imported cases that were found.

Found imported cases of a week are negative binomial with mean ``scale`` times the sum over origins of infected arrivals. Unknown are the
scale (share found, coverage of the arrivals), every origin's ascertainment, and the size; their logarithms are normal before the data.
Draws by elliptical slice sampling: Murray, Adams and MacKay 2010, "Elliptical slice sampling", AISTATS 9:541, which needs no tuning.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

import numpy as np
import numpy.typing as npt
from scipy.special import ndtri

from oneteam.epidemic.models.evidence import Evidence
from oneteam.stats.random import key_of, normals, uniforms
from oneteam.stats.scoring import log_score_negative_binomial

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

SCALE_SD: Final = 2.5
SIZE_MEDIAN: Final = 8.0
SIZE_SD: Final = 0.8
PRIOR_EVIDENCE: Final[Mapping[str, Evidence]] = MappingProxyType(
    {
        "scale_sd": Evidence(status="assumed", reason="a factor of 130 up or down at 95%: the data decide"),
        "size_median": Evidence(status="assumed", reason="weekly totals that vary by a third beyond Poisson"),
        "size_sd": Evidence(status="assumed", reason="a factor of 5 up or down at 95%"),
    }
)
"""What the priors rest on: they are choices, made wide."""
BURN_IN: Final = 400
THINNING: Final = 4
_SHRINKS: Final = 100
_STREAM_NORMAL: Final = 0x1A1
_STREAM_UNIFORM: Final = 0x1A2


@dataclass(frozen=True)
class Ascertainment:
    """Share of infections that an origin reports: 95% of the prior lies between low and high, shape (origins,) each."""

    low: Floats
    high: Floats

    @property
    def log_mean(self) -> Floats:
        """Mean of its logarithm."""
        return np.asarray((np.log(self.low) + np.log(self.high)) / 2)

    @property
    def log_sd(self) -> Floats:
        """Standard deviation of its logarithm."""
        return np.asarray((np.log(self.high) - np.log(self.low)) / (2 * ndtri(0.975)))


@dataclass(frozen=True)
class ImportationPosterior:
    """Draws.

    Args:
        expected: imported cases found, by draw, week and origin, shape (draws, weeks, origins).
        size: of the negative binomial, shape (draws,).
        ascertainment: by draw and origin, shape (draws, origins).
        fitted: whether observed cases informed it; else it is the prior.
    """

    expected: Floats
    size: Floats
    ascertainment: Floats
    fitted: bool

    def total_of_origins(self) -> Floats:
        """Imported cases by draw and origin over all weeks, shape (draws, origins)."""
        return np.asarray(self.expected.sum(axis=1))


def sample_posterior(
    infected: Floats,
    ascertainment: Ascertainment,
    observed: Floats | None,
    *,
    arrival_log_sd: Floats | None = None,
    scale_median: float = 1.0,
    draws: int = 1_000,
    seed: int = 1,
) -> ImportationPosterior:
    """Draw imported cases by origin and week.

    Args:
        infected: infected arrivals if every infection at the origin were reported, shape (weeks, origins).
        ascertainment: of the origins.
        observed: imported cases found, NaN for weeks not to be used, shape (weeks,); None for none.
        arrival_log_sd: uncertainty of the arrivals themselves, as standard deviation of their logarithm, shape (origins,); None for none.
        scale_median: prior median of the share of infected arrivals that is found.
        draws: how many.
        seed: of the numbers drawn.

    Returns:
        Draws; without observations those of the prior, with scale at its median.
    """
    origins = infected.shape[1]
    mean, sd = ascertainment.log_mean, ascertainment.log_sd
    if arrival_log_sd is not None:
        # Both act on the ratio of arrivals to ascertainment alone, so one normal stands for them.
        sd = np.hypot(sd, arrival_log_sd)
    used = observed is not None and bool(np.isfinite(observed).any())
    if not used:
        z = normals(key_of(seed, _STREAM_NORMAL), 0, draws * origins).reshape(draws, origins)
        share = np.exp(mean + sd * z)
        expected = scale_median * infected[None] / share[:, None, :]
        return ImportationPosterior(expected, np.full(draws, SIZE_MEDIAN), share, fitted=False)
    assert observed is not None
    known = np.isfinite(observed)
    y, force = observed[known], infected[known]
    middle = float(np.log(max(scale_median, 1e-12)))
    # Centre the scale where totals fit: the prior is wide, and a far start would cost a long burn-in.
    centre = math.log(max(y.sum(), 0.5) / max(float((force / np.exp(mean)).sum()), 1e-12))
    offset = centre if abs(centre - middle) < 4 * SCALE_SD else middle

    def log_likelihood(z: Floats) -> float:
        weight = np.exp(offset + SCALE_SD * z[origins] - mean - sd * z[:origins])
        size = SIZE_MEDIAN * math.exp(SIZE_SD * z[origins + 1])
        return -float(log_score_negative_binomial(y, np.maximum(force @ weight, 1e-9), size).sum())

    z = _slice_sample(log_likelihood, origins + 2, draws, seed)
    share = np.exp(mean + sd * z[:, :origins])
    scale = np.exp(offset + SCALE_SD * z[:, origins])
    expected = scale[:, None, None] * infected[None] / share[:, None, :]
    return ImportationPosterior(expected, SIZE_MEDIAN * np.exp(SIZE_SD * z[:, origins + 1]), share, fitted=True)


def _slice_sample(log_likelihood: object, size: int, draws: int, seed: int) -> Floats:
    """Draws of a standard normal vector given a likelihood, shape (draws, size)."""
    assert callable(log_likelihood)
    z = np.zeros(size)
    level = log_likelihood(z)
    out = np.empty((draws, size))
    for step in range(BURN_IN + draws * THINNING):
        ellipse = normals(key_of(seed, _STREAM_NORMAL, step), 0, size)
        u = uniforms(key_of(seed, _STREAM_UNIFORM, step), 0, _SHRINKS)
        limit = level + math.log(max(u[0], 1e-300))
        angle = 2 * math.pi * u[1]
        low, high = angle - 2 * math.pi, angle
        for shrink in range(2, _SHRINKS):
            proposal = z * math.cos(angle) + ellipse * math.sin(angle)
            found = log_likelihood(proposal)
            if found > limit:
                z, level = proposal, found
                break
            low, high = (angle, high) if angle < 0 else (low, angle)
            angle = low + (high - low) * u[shrink]
        if step >= BURN_IN and (step - BURN_IN) % THINNING == 0:
            out[(step - BURN_IN) // THINNING] = z
    return out


@dataclass(frozen=True)
class OriginShare:
    """One origin's part in imported cases.

    Args:
        origin: code.
        mean: expected imported cases found.
        low: 2.5% quantile.
        high: 97.5% quantile.
        share: of all origins, mean over draws.
        rank: by mean, from 1.
        rank_low: 2.5% quantile of the rank over draws.
        rank_high: 97.5% quantile.
        probability_first: that it brings most.
    """

    origin: str
    mean: float
    low: float
    high: float
    share: float
    rank: int
    rank_low: int
    rank_high: int
    probability_first: float


def rank_origins(totals: Floats, origins: tuple[str, ...]) -> list[OriginShare]:
    """Origins, most imported cases first.

    Args:
        totals: by draw and origin, shape (draws, origins).
        origins: codes.

    >>> found = rank_origins(np.array([[1.0, 3.0], [2.0, 4.0]]), ("JP", "CN"))
    >>> found[0].origin, found[0].mean, found[0].probability_first
    ('CN', 3.5, 1.0)
    """
    order = np.argsort(-totals, axis=1, kind="stable")
    ranks = np.empty_like(order)
    np.put_along_axis(ranks, order, np.arange(1, totals.shape[1] + 1)[None].repeat(len(totals), 0), axis=1)
    every = np.maximum(totals.sum(axis=1, keepdims=True), 1e-300)
    mean = totals.mean(axis=0)
    found = []
    for rank, i in enumerate(np.argsort(-mean, kind="stable"), 1):
        low, high = np.quantile(totals[:, i], [0.025, 0.975])
        rank_low, rank_high = np.quantile(ranks[:, i], [0.025, 0.975], method="inverted_cdf")
        found.append(
            OriginShare(
                origin=origins[i],
                mean=float(mean[i]),
                low=float(low),
                high=float(high),
                share=float((totals[:, i] / every[:, 0]).mean()),
                rank=rank,
                rank_low=int(rank_low),
                rank_high=int(rank_high),
                probability_first=float((ranks[:, i] == 1).mean()),
            )
        )
    return found


@dataclass(frozen=True)
class MeasureEffect:
    """What a border measure on one origin would have changed: cases averted and their share of all, with 95% intervals."""

    origin: str
    effectiveness: float
    averted: float
    averted_low: float
    averted_high: float
    share: float
    share_low: float
    share_high: float


def measure_effect(totals: Floats, origins: tuple[str, ...], origin: str, effectiveness: float) -> MeasureEffect:
    """Effect of stopping a share of one origin's infected arrivals.

    Args:
        totals: by draw and origin.
        origins: codes.
        origin: which.
        effectiveness: share stopped (tests, quarantine, fewer flights), 0 to 1.

    >>> effect = measure_effect(np.array([[1.0, 3.0]]), ("JP", "CN"), "CN", 0.5)
    >>> effect.averted, effect.share
    (1.5, 0.375)
    """
    averted = effectiveness * totals[:, origins.index(origin)]
    share = averted / np.maximum(totals.sum(axis=1), 1e-300)
    low, high = np.quantile(averted, [0.025, 0.975])
    share_low, share_high = np.quantile(share, [0.025, 0.975])
    return MeasureEffect(
        origin, effectiveness, float(averted.mean()), float(low), float(high), float(share.mean()), float(share_low), float(share_high)
    )
