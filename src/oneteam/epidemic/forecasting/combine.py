"""One forecast out of several: weights and spread learned from what earlier forecasts have met.

Quantiles are averaged level by level. Weights start equal and move with the members' past scores; the spread about the median starts as
the members give it and moves towards the one that would have covered the past (rolling conformal prediction: Gibbs and Candès 2021,
"Adaptive conformal inference under distribution shift", NeurIPS). Outcomes are those of the snapshot of the day, nothing later.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import numpy.typing as npt

from oneteam.epidemic.hub.levels import LEVELS
from oneteam.stats.scoring import weighted_interval_score

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

COLD_WEEKS: Final = 8.0
"""Scored weeks after which the past weighs as much as the start."""
WEIGHT_POWER: Final = 2.0
"""A member with half the score gets 2^power times the weight, once the past is believed."""
_PAIRS: Final = ((6, 0.5, 0.5), (3, 0.8, 0.8), (1, 0.95, 0.96))
"""Central intervals whose coverage is learned: position of the lower level, the interval, and the past coverage that is aimed at.

The outer one aims a little higher: the places of a week share their luck, so the past holds fewer surprises than it has rows."""
_LARGEST_STRETCH: Final = 1.6
_MIDDLE: Final = len(LEVELS) // 2


@dataclass(frozen=True)
class Combining:
    """The scale on which members are averaged and scored, and how long the past is remembered.

    Args:
        logarithmic: of log(1 + x), so that a doubling counts the same in small places and quiet times as in large ones; else of counts.
        half_life_weeks: after which the past counts half.
    """

    logarithmic: bool = False
    half_life_weeks: float = 10.0


SEASONAL: Final = Combining()
"""Where histories show seasons."""
EMERGING: Final = Combining(logarithmic=True, half_life_weeks=5.0)
"""Where there is no history: waves differ by orders of magnitude."""


@dataclass(frozen=True)
class Past:
    """Forecasts of one earlier date that have met an outcome.

    Args:
        age_weeks: how long ago their date was.
        members: quantiles by member, shape (tasks, 23) each.
        outcome: shape (tasks,).
        size: what divides a task's score, so that large places do not decide alone, shape (tasks,).
        horizon: shape (tasks,).
    """

    age_weeks: float
    members: Mapping[str, Floats]
    outcome: Floats
    size: Floats
    horizon: Ints

    def of_horizon(self, horizon: int) -> Past:
        """Only the tasks of one horizon."""
        rows = self.horizon == horizon
        members = {name: values[rows] for name, values in self.members.items()}
        return Past(self.age_weeks, members, self.outcome[rows], self.size[rows], self.horizon[rows])

    def of_logarithms(self) -> Past:
        """The same of log(1 + x), where scores of all sizes can be compared as they are."""
        members = {name: np.log1p(values) for name, values in self.members.items()}
        return replace(self, members=members, outcome=np.log1p(self.outcome), size=np.ones(len(self.size)))


@dataclass(frozen=True)
class Combination:
    """How members are combined.

    Args:
        weights: by member, sum 1.
        stretch: factors by level about the median, shape (23,).
        stretch_by_horizon: the same for each horizon that was scored.
        past_dates: dates that it was learned from.
        logarithmic: whether quantiles are averaged and stretched as log(1 + x).
    """

    weights: Mapping[str, float]
    stretch: Floats
    stretch_by_horizon: Mapping[int, Floats]
    past_dates: int
    logarithmic: bool = False

    def apply(self, members: Mapping[str, Floats], horizon: Ints) -> Floats:
        """Combined quantiles, shape (tasks, 23), none below zero; a member that is absent gives its weight to the others."""
        present = {name: self.weights.get(name, 0.0) for name in members}
        total = sum(present.values())
        if self.logarithmic:
            members = {name: np.log1p(values) for name, values in members.items()}
        if total <= 0.0:
            present, total = dict.fromkeys(members, 1.0), float(len(members))
        mean = np.sum([members[name] * (weight / total) for name, weight in present.items()], axis=0)
        factors = np.array([self.stretch_by_horizon.get(h, self.stretch) for h in horizon.tolist()]).reshape(-1, len(LEVELS))
        combined = stretched(mean, factors)
        return np.expm1(combined) if self.logarithmic else combined


def stretched(quantiles: Floats, factor: Floats) -> Floats:
    """Quantiles moved away from their median by a factor per level.

    >>> q = np.linspace(0.0, 22.0, 23)[None]
    >>> stretched(q, np.full(23, 2.0))[0, [0, 11, 22]].tolist()
    [0.0, 11.0, 33.0]
    """
    middle = quantiles[:, _MIDDLE : _MIDDLE + 1]
    return np.sort(np.maximum(middle + (quantiles - middle) * factor, 0.0), axis=1)


def learn_combination(prior: Mapping[str, float], past: Sequence[Past], how: Combining = SEASONAL) -> Combination:
    """Weights and spread for today.

    Args:
        prior: weights at the start; members are its keys.
        past: scored forecasts of earlier dates; empty at the cold start, when the prior is used as it is.
        how: scale and memory.
    """
    total = sum(prior.values())
    start = {name: weight / total for name, weight in prior.items()}
    scored = [p for p in past if len(p.outcome) and set(start) & set(p.members)]
    if not scored:
        return Combination(start, np.ones(len(LEVELS)), {}, 0, how.logarithmic)
    if how.logarithmic:
        scored = [p.of_logarithms() for p in scored]
    weights = _weights(start, scored, how.half_life_weeks)
    plain = Combination(weights, np.ones(len(LEVELS)), {}, len(scored))
    pooled = _stretch(plain, scored, None, how.half_life_weeks)
    horizons = np.unique(np.concatenate([p.horizon for p in scored])).tolist()
    # Half of what a horizon says of itself: it has a fraction of the data.
    own = {int(h): np.sqrt(pooled * _stretch(plain, scored, int(h), how.half_life_weeks)) for h in horizons if h >= 0}
    return Combination(weights, pooled, own | {h: np.ones(len(LEVELS)) for h in (-3, -2, -1)}, len(scored), how.logarithmic)


def _weights(start: Mapping[str, float], past: Sequence[Past], half_life_weeks: float) -> dict[str, float]:
    """Members are compared on dates on which all of them stand."""
    whole = [p for p in past if set(start) <= set(p.members)]
    if not whole:
        return dict(start)
    score = dict.fromkeys(start, 0.0)
    mass = 0.0
    for p in whole:
        decay = 0.5 ** (p.age_weeks / half_life_weeks)
        mass += decay
        for name in start:
            score[name] += decay * float((weighted_interval_score(p.outcome, p.members[name], LEVELS) / p.size).mean())
    trust = mass / (mass + COLD_WEEKS)
    moved = {name: start[name] * (score[name] / max(mass, 1e-12) + 1e-12) ** (-WEIGHT_POWER * trust) for name in start}
    total = sum(moved.values())
    return {name: weight / total for name, weight in moved.items()}


def _stretch(plain: Combination, every: Sequence[Past], horizon: int | None, half_life_weeks: float) -> Floats:
    """Factor by level: that of the three learned intervals, interpolated over the levels between."""
    ratio: list[Floats] = [np.empty(0)] * len(_PAIRS)
    mass: list[Floats] = []
    past = every if horizon is None else [p.of_horizon(horizon) for p in every if (p.horizon == horizon).any()]
    for p in past:
        combined = plain.apply({name: q for name, q in p.members.items() if name in plain.weights}, p.horizon)
        above = p.outcome >= combined[:, _MIDDLE]
        mass.append(np.full(len(p.outcome), 0.5 ** (p.age_weeks / half_life_weeks) / len(p.outcome)))
        for i, (low, _, _) in enumerate(_PAIRS):
            reach = np.where(above, combined[:, -1 - low] - combined[:, _MIDDLE], combined[:, _MIDDLE] - combined[:, low])
            found = np.abs(p.outcome - combined[:, _MIDDLE]) / np.maximum(reach, 1e-9)
            ratio[i] = np.concatenate([ratio[i], np.where((reach <= 0) & (p.outcome == combined[:, _MIDDLE]), 0.0, found)])
    weight = np.concatenate(mass)
    believed = sum(0.5 ** (p.age_weeks / half_life_weeks) for p in past)
    trust = believed / (believed + COLD_WEEKS)
    factors = []
    for found, (_, _, aim) in zip(ratio, _PAIRS, strict=True):
        order = np.argsort(found)
        cumulated = (np.cumsum(weight[order]) - 0.5 * weight[order]) / weight.sum()
        needed = float(np.interp(aim, cumulated, found[order]))
        limit = np.log(_LARGEST_STRETCH)
        factors.append(float(np.exp(trust * np.clip(np.log(max(needed, 1e-6)), -limit, limit))))
    distance = np.abs(np.asarray(LEVELS) - 0.5)
    return np.interp(distance, [interval / 2.0 for _, interval, _ in _PAIRS], factors)
