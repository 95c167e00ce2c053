"""What the newest weeks will be once all reports are in, learned from how earlier snapshots were revised.

An earlier snapshot's newest week, as it stands in today's snapshot, tells by which factor first reports grow. Factors are averaged by
place, newer ones counting more, and drawn towards the average of all places, which counts as some weeks of a place's own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import numpy.typing as npt

from oneteam.epidemic.hub.levels import LEVELS
from oneteam.epidemic.hub.target_data import WEEK_D, Snapshot

Floats = npt.NDArray[np.float64]

AGES: Final = 3
"""How many of the newest weeks are corrected."""
SETTLED_WEEKS: Final = 3
"""A week this much older than today's newest one counts as final."""
HALF_LIFE_WEEKS: Final = 6.0
OWN_AFTER_WEEKS: Final = 20.0
"""Weeks of its own after which a place's average weighs as much as that of all places."""
OFFSET: Final = 1.0
LARGEST: Final = 0.5
"""Corrections beyond this many e-foldings are not believed."""


@dataclass(frozen=True)
class Revisions:
    """How first reports are revised.

    Args:
        mean: expected logarithm of final over first report, by age of the week (0: the newest) and place, shape (ages, places).
        errors: what was left over in the past, pooled over places with counts of about the same size, shape (ages, samples).
        weeks: snapshots that it was learned from.
    """

    mean: Floats
    errors: tuple[Floats, ...]
    weeks: int


def learn_revisions(snapshot: Snapshot, earlier: Sequence[Snapshot]) -> Revisions:
    """Learn from snapshots that came before; without any, nothing is expected to change.

    Args:
        snapshot: of today: what earlier first reports have become.
        earlier: older ones, of the same places.
    """
    places = len(snapshot.locations)
    sums, mass = np.zeros((AGES, places)), np.zeros((AGES, places))
    samples: list[list[tuple[Floats, float]]] = [[] for _ in range(AGES)]
    used = 0
    for old in earlier:
        if old.locations != snapshot.locations:
            continue
        for age in range(min(AGES, len(old.weeks))):
            week = old.weeks[-1 - age]
            at = int((week - snapshot.weeks[0]).astype(np.int64)) // WEEK_D
            settled = len(snapshot.weeks) - 1 - at
            if at < 0 or settled < SETTLED_WEEKS:
                continue
            ratio = np.log((snapshot.values[at] + OFFSET) / (old.values[-1 - age] + OFFSET))
            known = np.isfinite(ratio)
            weight = 0.5 ** (settled / HALF_LIFE_WEEKS)
            sums[age] += np.where(known, np.clip(ratio, -1.0, 1.0), 0.0) * weight
            mass[age] += known * weight
            samples[age].append((ratio, weight))
            used += age == 0
    total = mass.sum(axis=1, keepdims=True)
    common = np.where(total > 0, sums.sum(axis=1, keepdims=True) / np.maximum(total, 1e-9), 0.0)
    # A first correction from few snapshots is itself uncertain: it starts at nothing.
    trust = (total / places) / (total / places + 2.0)
    mean = trust * (sums + OWN_AFTER_WEEKS * common) / (mass + OWN_AFTER_WEEKS)
    mean = np.clip(mean, -LARGEST, LARGEST)
    errors = tuple(
        np.concatenate([r[np.isfinite(r)] - mean[age][np.isfinite(r)] for r, _ in found]) if found else np.zeros(0)
        for age, found in enumerate(samples)
    )
    return Revisions(mean, errors, used)


def completed(snapshot: Snapshot, revisions: Revisions) -> Snapshot:
    """The snapshot with its newest weeks as they are expected to become."""
    values = snapshot.values.copy()
    for age in range(min(AGES, len(snapshot.weeks))):
        values[-1 - age] = np.maximum((values[-1 - age] + OFFSET) * np.exp(revisions.mean[age]) - OFFSET, 0.0)
    return replace(snapshot, values=values)


def nowcast_quantiles(snapshot: Snapshot, revisions: Revisions, age: int) -> Floats:
    """Quantiles of the final value of a reported week, shape (places, 23); NaN rows where nothing is reported.

    Args:
        snapshot: of today, as reported.
        revisions: from `learn_revisions`.
        age: 0 for the newest week, 1 for the one before...
    """
    level = np.asarray(LEVELS)
    reported = snapshot.values[-1 - age]
    if age < AGES and len(revisions.errors[age]) >= len(LEVELS):
        mean, spread = revisions.mean[age], np.quantile(revisions.errors[age], level)
        spread = spread - spread[len(level) // 2]
    else:
        mean, spread = np.zeros(len(reported)), np.zeros(len(level))
    # Small counts move by whole cases: errors of a place shrink with the root of its count, relative to the typical place.
    with np.errstate(invalid="ignore"):
        typical = np.nanmedian(reported) if np.isfinite(reported).any() else 1.0
        factor = np.clip(np.sqrt((typical + 5.0) / (reported + 5.0)), 0.3, 3.0)
    moved = mean[:, None] + factor[:, None] * spread
    found: Floats = np.maximum((reported[:, None] + OFFSET) * np.exp(moved) - OFFSET, 0.0)
    return found
