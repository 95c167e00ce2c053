"""How much two subscriptions move together: compiled loops over presence, used by `oneteam.telecom.deduplication`.

Presence is in compressed rows by subscription: sorted (slot, zone) pairs, a slot being one hour. Two subscriptions are compared in the
slots in which both were observed:

* a common zone is evidence for one person: minus the logarithm of how often the first subscription is in that zone anyway, at such hours,
  on *other* days. Being at home at night says nothing; the same museum in the same hour says much;
* no common zone is evidence against, unless one was in the other's zone in the hour before or after (someone travelling).
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from oneteam.stats.compiled import compiled
from oneteam.stats.random import stream_key, uniform

Ints = NDArray[np.int64]
Codes = NDArray[np.int32]
Floats = NDArray[np.float64]

HOURS: Final = 24
SCORE_BINS: Final = 60
"""Scores are counted in whole units from 0 (and below) to 59 (and above)."""
PENALTY: Final = 3.0
"""What a slot without common zone costs: about the logarithm of how much rarer it is for one person than for two."""
PRIOR_ROWS: Final = 1.5
"""Weight of the habits of all residents of the home zone beside a subscription's own, in rows."""
EVIDENCE_STEPS: Final = (1.0, 3.0)
"""Slots are told apart by how much a common zone would say: habitual, less so, distinctive."""
SURE: Final = 8.0
"""Score on one half of the days from which a pair counts as certain, when the other half shows how one person's two phones compare."""
AGREE, TRAVEL, CONFLICT = 0, 1, 2


class Presence(NamedTuple):
    """Presence of all subscriptions.

    Args:
        edges: where each subscription's rows begin, shape (subscriptions + 1,).
        slot: hour since the first day's midnight.
        zone: zone, from 0.
        slots: number of slots, a multiple of 24.
        first_weekday: weekday of the first day, Monday = 0.
    """

    edges: Ints
    slot: Codes
    zone: Codes
    slots: int
    first_weekday: int


@compiled
def two_top_zones(presence: Presence, zones: int) -> NDArray[np.int32]:
    """The zones in which each subscription was seen in most slots, and in second most (-1 for none); lower index on ties."""
    top = np.full((len(presence.edges) - 1, 2), -1, np.int32)
    count = np.zeros(zones, np.int64)
    for s in range(len(top)):
        first, last = presence.edges[s], presence.edges[s + 1]
        for i in range(first, last):
            count[presence.zone[i]] += 1
        for i in range(first, last):
            z = presence.zone[i]
            for place in range(2):
                held = top[s, place]
                if held == z:
                    break
                if held < 0 or count[z] > count[held] or (count[z] == count[held] and z < held):
                    top[s, place], z = z, held
                    if z < 0:
                        break
        for i in range(first, last):
            count[presence.zone[i]] = 0
    return top


@compiled
def _kind_of_hour(presence: Presence, slot: int) -> int:
    """0 night, 1 working hours of Monday to Friday, 2 the rest."""
    hour, weekday = slot % HOURS, (presence.first_weekday + slot // HOURS) % 7
    if hour < 7 or hour >= 22:
        return 0
    return 1 if weekday < 5 and 9 <= hour < 18 else 2


@compiled
def evidence(presence: Presence, queries: Ints, home: Codes, habits: Floats) -> Floats:
    """What a common zone would say, for each row of the queries (0 elsewhere).

    Args:
        presence: all rows.
        queries: subscriptions.
        home: top zone of each subscription.
        habits: share of the rows of residents of zone i in zone j, shape (zones, zones).

    Returns:
        minus the logarithm of the probability of the zone by habit, estimated without the row's own day; shape (rows,).
    """
    out = np.zeros(len(presence.slot))
    zones = habits.shape[0]
    whole, today = np.zeros((3, zones)), np.zeros((3, zones))
    for s in queries:
        first, last = presence.edges[s], presence.edges[s + 1]
        total, total_today = np.zeros(3), np.zeros(3)
        for i in range(first, last):
            k = _kind_of_hour(presence, presence.slot[i])
            whole[k, presence.zone[i]] += 1
            total[k] += 1
        i = first
        while i < last:
            day, end = presence.slot[i] // HOURS, i
            while end < last and presence.slot[end] // HOURS == day:
                k = _kind_of_hour(presence, presence.slot[end])
                today[k, presence.zone[end]] += 1
                total_today[k] += 1
                end += 1
            for j in range(i, end):
                k, z = _kind_of_hour(presence, presence.slot[j]), presence.zone[j]
                others = total[k] - total_today[k]
                p = (whole[k, z] - today[k, z] + PRIOR_ROWS * habits[home[s], z]) / (others + PRIOR_ROWS)
                out[j] = -np.log(max(p, 1e-6))
            for j in range(i, end):
                k = _kind_of_hour(presence, presence.slot[j])
                today[k, presence.zone[j]] -= 1
                total_today[k] -= 1
            i = end
        for i in range(first, last):
            whole[_kind_of_hour(presence, presence.slot[i]), presence.zone[i]] = 0
    return out


@compiled
def _has(presence: Presence, first: int, last: int, zone: int) -> bool:
    found = False
    for i in range(first, last):
        found |= presence.zone[i] == zone
    return found


@compiled
def _slot_ends(presence: Presence, first: int, last: int) -> int:
    end = first + 1
    while end < last and presence.slot[end] == presence.slot[first]:
        end += 1
    return end


@compiled
def _look_up(presence: Presence, s: int, begin: Ints, end: Ints) -> None:
    """Where the rows of each slot of a subscription are; empty for slots without."""
    begin[:], end[:] = 0, 0
    i = presence.edges[s]
    while i < presence.edges[s + 1]:
        j = _slot_ends(presence, i, presence.edges[s + 1])
        begin[presence.slot[i]], end[presence.slot[i]] = i, j
        i = j


@compiled
def _step(value: float) -> int:
    return 0 if value < EVIDENCE_STEPS[0] else (1 if value < EVIDENCE_STEPS[1] else 2)


@compiled
def _best_common(presence: Presence, says: Floats, first: int, last: int, i: int, j: int) -> float:
    """The most that a common zone of two slots (rows of the query, rows of the other) says; -1 when none is common."""
    best = -1.0
    for r in range(first, last):
        if says[r] > best and _has(presence, i, j, presence.zone[r]):
            best = says[r]
    return best


@compiled
def _near_in_time(presence: Presence, begin: Ints, end: Ints, slot: int, i: int, j: int, first: int, last: int) -> bool:
    """Whether the query or the other was in a zone of the other's slot an hour before or after (rows first to last: the other's)."""
    near = False
    for r in range(i, j):
        near |= slot > 0 and _has(presence, begin[slot - 1], end[slot - 1], presence.zone[r])
        near |= slot + 1 < presence.slots and _has(presence, begin[slot + 1], end[slot + 1], presence.zone[r])
    own = presence.slot[i]
    for step in (-1, 1):
        k = i - 1 if step < 0 else j
        while first <= k < last and presence.slot[k] == own + step and not near:
            near |= _has(presence, begin[slot], end[slot], presence.zone[k])
            k += step
    return near


@compiled
def _pair(
    presence: Presence, says: Floats, begin: Ints, end: Ints, b: int, shift_days: int, score: Floats, seen: NDArray[np.int64]
) -> None:
    """Score a query (by its look-up) and subscription ``b`` on even and odd days; count outcomes by half, evidence step and outcome."""
    score[:] = 0
    seen[:] = 0
    first, last = presence.edges[b], presence.edges[b + 1]
    i = first
    while i < last:
        j = _slot_ends(presence, i, last)
        slot = (presence.slot[i] + HOURS * shift_days) % presence.slots
        if end[slot] > begin[slot]:
            half = (slot // HOURS) % 2
            best = _best_common(presence, says, begin[slot], end[slot], i, j)
            if best >= 0:
                score[half] += best
                seen[half, _step(best), AGREE] += 1
            else:
                step = _step(says[begin[slot]])
                if _near_in_time(presence, begin, end, slot, i, j, first, last):
                    seen[half, step, TRAVEL] += 1
                else:
                    score[half] -= PENALTY
                    seen[half, step, CONFLICT] += 1
        i = j


@compiled
def score_bin(score: float) -> int:
    """The bin of a score."""
    return min(SCORE_BINS - 1, max(0, int(score)))


@compiled
def compare(
    presence: Presence, says: Floats, queries: Ints, top: Codes, by_home: Ints, home_edges: Ints, classes: Ints, shift_days: int
) -> tuple[Ints, Ints]:
    """Compare each query with every subscription whose top zone is one of its own two top zones.

    Args:
        presence: all rows.
        says: from `evidence`.
        queries: subscriptions.
        top: from `two_top_zones`.
        by_home: subscriptions sorted by top zone.
        home_edges: where each zone's begin in ``by_home``.
        classes: class of activity of each subscription.
        shift_days: by how many days the other is shifted (around the end); 0 = as observed, else pairs agree by habit and chance only.

    Returns:
        pairs by class of the other and score; slots by evidence step and outcome, from the half of the days that did not make it certain.
    """
    pairs = np.zeros((int(classes.max()) + 1, SCORE_BINS), np.int64)
    tally = np.zeros((len(EVIDENCE_STEPS) + 1, 3), np.int64)
    begin, end = np.zeros(presence.slots, np.int64), np.zeros(presence.slots, np.int64)
    seen = np.zeros((2, len(EVIDENCE_STEPS) + 1, 3), np.int64)
    score = np.zeros(2)
    for a in queries:
        _look_up(presence, a, begin, end)
        for zone in top[a]:
            if zone < 0:
                continue
            for b in by_home[home_edges[zone] : home_edges[zone + 1]]:
                if b == a:
                    continue
                _pair(presence, says, begin, end, b, shift_days, score, seen)
                pairs[classes[b], score_bin(score[0] + score[1])] += 1
                for half in range(2):
                    if score[1 - half] >= SURE:
                        tally += seen[half]
    return pairs, tally


@compiled
def compare_with_self(
    presence: Presence, says: Floats, queries: Ints, top: Codes, others: Ints, outcome: Floats, seed: np.uint64
) -> NDArray[np.int32]:
    """Scores that a query would have with a second phone of the same person that is used when another subscription is used.

    Args:
        presence: all rows.
        says: from `evidence`.
        queries: subscriptions.
        top: from `two_top_zones`.
        others: for each query the subscriptions that lend their hours, shape (queries, loans).
        outcome: probability of each outcome by evidence step, shape (steps, 3).
        seed: of the random outcomes.

    Returns:
        score bin, -1 where the second phone's top zone would not be one of the query's two; shape (queries, loans).
    """
    out = np.full(others.shape, -1, np.int32)
    begin, end = np.zeros(presence.slots, np.int64), np.zeros(presence.slots, np.int64)
    for q in range(len(queries)):
        a = queries[q]
        _look_up(presence, a, begin, end)
        for n in range(others.shape[1]):
            b = others[q, n]
            key = stream_key(seed, 1, a, n)
            score, joint, elsewhere = 0.0, 0, 0
            i = presence.edges[b]
            while i < presence.edges[b + 1]:
                slot = presence.slot[i]
                i = _slot_ends(presence, i, presence.edges[b + 1])
                if end[slot] == begin[slot]:
                    continue
                u, r = uniform(key, 2 * slot), begin[slot] + int(uniform(key, 2 * slot + 1) * (end[slot] - begin[slot]))
                step = _step(says[r])
                if u < outcome[step, AGREE]:
                    score += says[r]
                elif u >= outcome[step, AGREE] + outcome[step, TRAVEL]:
                    score -= PENALTY
                joint += 1
                elsewhere += presence.zone[r] != top[a, 0] and presence.zone[r] != top[a, 1]
            if 2 * elsewhere <= joint:
                out[q, n] = score_bin(score)
    return out
