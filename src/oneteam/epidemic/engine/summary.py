"""What an ensemble says: quantiles over members, peaks, and differences between runs that share their random numbers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

LEVELS: Final = (0.025, 0.05, 0.25, 0.5, 0.75, 0.95, 0.975)

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Interval:
    """A number over the members: mean, median and 95% interval."""

    mean: float
    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: npt.ArrayLike) -> Interval:
        """Over the members.

        >>> Interval.of([1.0, 2.0, 3.0]).median
        2.0
        """
        found = np.asarray(values, np.float64)
        low, median, high = np.quantile(found, (0.025, 0.5, 0.975))
        return cls(float(found.mean()), float(median), float(low), float(high))


@dataclass(frozen=True)
class Averted:
    """What a scenario averts of one count.

    Args:
        baseline: total without.
        scenario: total with.
        averted: baseline less scenario, member by member.
        share: averted over baseline.
        peak_baseline: highest day without.
        peak_scenario: highest day with.
        peak_delay_days: by how many days the peak comes later.
        peak_day_baseline: the peak's day without, counted from the first day as 0.
        peak_day_scenario: the peak's day with.
    """

    baseline: Interval
    scenario: Interval
    averted: Interval
    share: Interval
    peak_baseline: Interval
    peak_scenario: Interval
    peak_delay_days: Interval
    peak_day_baseline: Interval
    peak_day_scenario: Interval


def quantiles_by_day(counts: npt.NDArray[np.int32]) -> Floats:
    """Quantiles `LEVELS` over the members, (levels, T, areas), of counts (members, T, areas)."""
    return np.quantile(counts, LEVELS, axis=0)


def compare(baseline: npt.NDArray[np.int32], scenario: npt.NDArray[np.int32]) -> Averted:
    """Compare two runs of the same members.

    Args:
        baseline: by day, (members, T).
        scenario: the same.
    """
    without, within = baseline.sum(axis=1, dtype=np.float64), scenario.sum(axis=1, dtype=np.float64)
    return Averted(
        Interval.of(without),
        Interval.of(within),
        Interval.of(without - within),
        Interval.of(np.divide(without - within, without, out=np.zeros_like(without), where=without > 0)),
        Interval.of(baseline.max(axis=1)),
        Interval.of(scenario.max(axis=1)),
        Interval.of(scenario.argmax(axis=1).astype(np.float64) - baseline.argmax(axis=1)),
        Interval.of(baseline.argmax(axis=1)),
        Interval.of(scenario.argmax(axis=1)),
    )
