"""The noise: integers of the right distribution, independent, and shares of it that add up to what was agreed.

The generator cannot be seeded, so every test here may fail by chance; each threshold is set so that it does so less than once in a million
runs.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from oneteam.core.errors import RefusedError, UnknownValueError
from oneteam.privacy.noise import LEAST_SHARE_SIGMA, add_noise, cost, joint_sigma, share_sigma

RARE = 1e-7


def discrete_gaussian(sigma: float, reach: int) -> np.ndarray:
    """Probabilities from -reach to reach (Canonne, Kamath and Steinke 2020, definition 1)."""
    weight = np.exp(-(np.arange(-reach, reach + 1) ** 2) / (2 * sigma * sigma))
    return weight / weight.sum()


def assert_distributed(counts: np.ndarray, probability: np.ndarray) -> None:
    """Pearson's chi-squared test after cells that few are expected in were joined."""
    expected = probability * counts.sum()
    few = expected < 20
    seen = np.append(counts[~few], counts[few].sum())
    wanted = np.append(expected[~few], expected[few].sum())
    if wanted[-1] < 5:
        seen, wanted = seen[:-1], wanted[:-1]
        wanted *= seen.sum() / wanted.sum()
    assert stats.chisquare(seen, wanted).pvalue > RARE


@pytest.mark.parametrize("sigma", [0.7, 4.0, 10.125])
def test_the_distribution_is_the_discrete_gaussian(sigma: float) -> None:
    reach = math.ceil(12 * sigma)
    drawn = add_noise(np.zeros(40_000, np.int64), sigma)
    assert drawn.dtype == np.int64
    assert_distributed(np.bincount(drawn + reach, minlength=2 * reach + 1), discrete_gaussian(sigma, reach))


def test_the_variance_is_the_one_that_was_asked_for() -> None:
    drawn, sigma = add_noise(np.zeros(40_000, np.int64), 25.0), 25.0
    low, high = stats.chi2.ppf([RARE, 1 - RARE], len(drawn) - 1) / (len(drawn) - 1)
    assert low < drawn.var(ddof=1) / sigma**2 < high
    assert abs(drawn.mean()) < stats.norm.isf(RARE) * sigma / math.sqrt(len(drawn))


def test_halved_noise_would_be_found() -> None:
    drawn = add_noise(np.zeros(40_000, np.int64), 25.0 / 2)
    assert drawn.var() / 25.0**2 < stats.chi2.ppf(RARE, len(drawn)) / len(drawn)


def test_cells_and_calls_are_independent() -> None:
    one, other = add_noise(np.zeros(20_000, np.int64), 9.0), add_noise(np.zeros(20_000, np.int64), 9.0)
    bound = stats.norm.isf(RARE) / math.sqrt(20_000)
    assert abs(np.corrcoef(one, other)[0, 1]) < bound
    assert abs(np.corrcoef(one[:-1], one[1:])[0, 1]) < bound
    # The two halves are drawn by two threads.
    assert abs(np.corrcoef(one[:10_000], one[10_000:])[0, 1]) < bound * math.sqrt(2)


def test_counts_are_added_to_and_keep_their_shape() -> None:
    truth = np.arange(6, dtype=np.int64).reshape(2, 3) * 10**12
    noised = add_noise(truth, 3.0)
    assert noised.shape == (2, 3)
    assert np.abs(noised - truth).max() < 60


@pytest.mark.parametrize(("threshold", "colluding", "members"), [(3, 1, 4), (7, 2, 10)])
def test_shares_add_up_to_the_curators_noise_and_no_honest_set_to_less(threshold: int, colluding: int, members: int) -> None:
    sigma, cells = 20.0, 4_000
    own = share_sigma(sigma, threshold, colluding)
    shares = np.stack([add_noise(np.zeros(cells, np.int64), own) for _ in range(members)])
    low, high = stats.chi2.ppf([RARE, 1 - RARE], cells) / cells
    honest = shares[: threshold - colluding].sum(0)
    assert low < honest.var() / sigma**2 < high
    everyone = shares.sum(0)
    assert low < everyone.var() / joint_sigma(sigma, threshold, colluding, members) ** 2 < high
    # And the sum of the honest shares is a discrete Gaussian as far as 4,000 draws can tell.
    reach = math.ceil(12 * sigma)
    assert_distributed(np.bincount(honest + reach, minlength=2 * reach + 1), discrete_gaussian(sigma, reach))


def test_honest_shares_never_cost_more_than_the_curators_noise() -> None:
    for threshold, colluding in ((3, 1), (7, 2), (5, 0)):
        honest = threshold - colluding
        together = share_sigma(10.0, threshold, colluding) * math.sqrt(honest)
        assert cost(together, 2.0) <= cost(10.0, 2.0)


def test_too_little_noise_in_a_share_is_refused() -> None:
    share_sigma(LEAST_SHARE_SIGMA * math.sqrt(2) * (1 + 1e-12), 3, 1)
    with pytest.raises(RefusedError) as caught:
        share_sigma(LEAST_SHARE_SIGMA * math.sqrt(2) * (1 - 1e-9), 3, 1)
    assert caught.value.reasons == ("noise.share_sigma",)
    with pytest.raises(RefusedError) as caught:
        share_sigma(100.0, 2, 2)
    assert caught.value.reasons == ("round.threshold",)


@pytest.mark.parametrize("sigma", [0.0, -1.0, math.nan, math.inf])
def test_a_sigma_that_is_none_is_refused(sigma: float) -> None:
    with pytest.raises(UnknownValueError):
        add_noise(np.zeros(1, np.int64), sigma)
