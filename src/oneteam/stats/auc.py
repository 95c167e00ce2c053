"""Area under the ROC curve, and how sure it is."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
import numpy.typing as npt
from scipy.stats import rankdata

from oneteam.core.errors import NothingFoundError

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Auc:
    """An estimate of the chance that a positive scores above a negative (ties count half).

    Args:
        value: the estimate.
        standard_error: of the estimate.
        positives: how many scores of positives it rests on.
        negatives: how many of negatives.
    """

    value: float
    standard_error: float
    positives: int
    negatives: int

    def low(self, confidence: float) -> float:
        """One-sided lower limit.

        >>> round(Auc(0.6, 0.01, 1000, 1000).low(0.999), 3)
        0.569
        """
        return max(0.0, self.value - NormalDist().inv_cdf(confidence) * self.standard_error)

    def high(self, confidence: float) -> float:
        """One-sided upper limit."""
        return min(1.0, self.value + NormalDist().inv_cdf(confidence) * self.standard_error)


def auc(positives: npt.ArrayLike, negatives: npt.ArrayLike) -> Auc:
    """Area under the ROC curve with its standard error.

    Source: DeLong, DeLong and Clarke-Pearson 1988, "Comparing the areas under two or more correlated receiver operating characteristic
    curves", Biometrics 44: the variance of the placements.

    Args:
        positives: scores, shape (m,).
        negatives: scores, shape (n,).

    Raises:
        NothingFoundError: no scores on one side.

    >>> auc([2.0, 3.0], [0.0, 1.0]).value, auc([0.0, 1.0], [0.0, 1.0]).value
    (1.0, 0.5)
    """
    above, below = np.asarray(positives, np.float64).ravel(), np.asarray(negatives, np.float64).ravel()
    m, n = above.size, below.size
    if m == 0 or n == 0:
        raise NothingFoundError("an area under the ROC curve needs scores of positives and of negatives")
    ranks = rankdata(np.concatenate([above, below]))
    # A placement is the share of the other side that a score beats: its rank among all, less its rank among its own.
    of_above: Floats = (ranks[:m] - rankdata(above)) / n
    of_below: Floats = 1.0 - (ranks[m:] - rankdata(below)) / m
    variance = (of_above.var(ddof=1) / m if m > 1 else 0.0) + (of_below.var(ddof=1) / n if n > 1 else 0.0)
    return Auc(float(of_above.mean()), math.sqrt(float(variance)), m, n)


def mean_auc(parts: Sequence[Auc]) -> Auc:
    """The mean over independent strata, each with an estimate of its own.

    >>> mean_auc([Auc(0.5, 0.03, 10, 10), Auc(0.7, 0.04, 10, 10)])
    Auc(value=0.6, standard_error=0.025, positives=20, negatives=20)
    """
    if not parts:
        raise NothingFoundError("no estimates to take the mean of")
    return Auc(
        sum(part.value for part in parts) / len(parts),
        math.sqrt(sum(part.standard_error**2 for part in parts)) / len(parts),
        sum(part.positives for part in parts),
        sum(part.negatives for part in parts),
    )
