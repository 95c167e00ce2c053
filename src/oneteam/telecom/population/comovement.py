"""How much two subscriptions move together: compiled loops over presence, used by `oneteam.telecom.population.deduplication`.

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

Ints = NDArray[np.int64]
Codes = NDArray[np.int32]
Floats = NDArray[np.float64]

HOURS: Final = 24
PENALTY: Final = 3.0
"""What a slot without common zone costs: about the logarithm of how much rarer it is for one person than for two."""
PRIOR_ROWS: Final = 1.5
"""Weight of the habits of all residents of the home zone beside a subscription's own, in rows."""
HOPELESS: Final = -12.0
"""Score below which a comparison is given up."""
LOWEST: Final = 6.0
"""Score from which a pair is listed."""


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
def _slot_end(slots: Codes, first: int, last: int) -> int:
    end = first + 1
    while end < last and slots[end] == slots[first]:
        end += 1
    return end


@compiled
def _look_up(presence: Presence, s: int, begin: Ints, end: Ints) -> None:
    """Where the rows of each slot of a subscription are; empty for slots without."""
    begin[:], end[:] = 0, 0
    i = presence.edges[s]
    while i < presence.edges[s + 1]:
        j = _slot_end(presence.slot, i, presence.edges[s + 1])
        begin[presence.slot[i]], end[presence.slot[i]] = i, j
        i = j


@compiled
def _best_common(zones: Codes, says: Floats, first: int, last: int, i: int, j: int) -> float:
    """The most that a common zone of two slots (rows of the query, rows of the other) says; -1 when none is common."""
    best = -1.0
    for r in range(first, last):
        for k in range(i, j):
            if zones[k] == zones[r] and says[r] > best:
                best = says[r]
    return best


@compiled
def _meet(zones: Codes, first: int, last: int, i: int, j: int) -> bool:
    """Whether two slots have a zone in common."""
    for r in range(first, last):
        for k in range(i, j):
            if zones[k] == zones[r]:
                return True
    return False


@compiled
def _near_in_time(slots: Codes, zones: Codes, begin: Ints, end: Ints, slot: int, i: int, j: int, first: int, last: int) -> bool:
    """Whether the query or the other was in a zone of the other's slot an hour before or after (rows first to last: the other's)."""
    for near in range(max(0, slot - 1), min(len(begin), slot + 2)):
        if _meet(zones, begin[near], end[near], i, j):
            return True
    k = i - 1
    while k >= first and slots[k] == slots[i] - 1:
        if _meet(zones, begin[slot], end[slot], k, k + 1):
            return True
        k -= 1
    k = j
    while k < last and slots[k] == slots[i] + 1:
        if _meet(zones, begin[slot], end[slot], k, k + 1):
            return True
        k += 1
    return False


@compiled
def _score(slots: Codes, zones: Codes, says: Floats, begin: Ints, end: Ints, first: int, last: int, shift: int) -> float:
    """Score of a query (by its look-up) and another (rows first to last); comparing ends where it has become hopeless."""
    score, i = 0.0, first
    while i < last and score > HOPELESS:
        slot = slots[i] + shift
        slot -= len(begin) if slot >= len(begin) else 0
        j = _slot_end(slots, i, last)
        if end[slot] > begin[slot]:
            best = _best_common(zones, says, begin[slot], end[slot], i, j)
            if best >= 0:
                score += best
            elif not _near_in_time(slots, zones, begin, end, slot, i, j, first, last):
                score -= PENALTY
        i = j
    return score


@compiled
def compare(
    presence: Presence, says: Floats, queries: Ints, top: Codes, by_home: Ints, home_edges: Ints, shift_days: int
) -> tuple[Ints, Ints, Floats]:
    """Compare each query with every subscription whose top zone is one of its own two top zones.

    Args:
        presence: all rows.
        says: from `evidence`.
        queries: subscriptions.
        top: from `two_top_zones`.
        by_home: subscriptions sorted by top zone.
        home_edges: where each zone's begin in ``by_home``.
        shift_days: by how many days the other is shifted (around the end); 0 = as observed, else pairs agree by habit and chance only.

    Returns:
        query, other and score of every pair that scores at least `LOWEST`.
    """
    edges, slots, zones = presence.edges, presence.slot, presence.zone
    begin, end = np.zeros(presence.slots, np.int64), np.zeros(presence.slots, np.int64)
    size, one, other, scores = 0, np.empty(4096, np.int64), np.empty(4096, np.int64), np.empty(4096, np.float64)
    for a in queries:
        _look_up(presence, a, begin, end)
        for place in range(2):
            zone = top[a, place]
            if zone < 0:
                continue
            for k in range(home_edges[zone], home_edges[zone + 1]):
                b = by_home[k]
                if b == a:
                    continue
                score = _score(slots, zones, says, begin, end, edges[b], edges[b + 1], HOURS * shift_days)
                if score < LOWEST:
                    continue
                if size == len(one):
                    one, other = np.concatenate((one, np.empty_like(one))), np.concatenate((other, np.empty_like(other)))
                    scores = np.concatenate((scores, np.empty_like(scores)))
                one[size], other[size], scores[size] = a, b, score
                size += 1
    return one[:size].copy(), other[:size].copy(), scores[:size].copy()


@compiled
def compare_pairs(presence: Presence, says: Floats, one: Ints, other: Ints, top: Codes) -> Floats:
    """Scores of given pairs; minus infinity where `compare` would not have compared them."""
    out = np.full(len(one), -np.inf)
    begin, end = np.zeros(presence.slots, np.int64), np.zeros(presence.slots, np.int64)
    for n in range(len(one)):
        a, b = one[n], other[n]
        home = top[b, 0]
        if home >= 0 and (home == top[a, 0] or home == top[a, 1]):
            _look_up(presence, a, begin, end)
            out[n] = _score(presence.slot, presence.zone, says, begin, end, presence.edges[b], presence.edges[b + 1], 0)
    return out
