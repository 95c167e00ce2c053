"""True trips and true presence, from plans."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from oneteam.stats.compiled import compiled
from oneteam.synth.schedules import Plans

SHORTEST_STAY_S: Final = 1_800

Index = npt.NDArray[np.int32]


@compiled
def true_trips(plans: Plans, place_zone: Index) -> tuple[Index, Index, Index]:
    """Trips within one day's plans: (row of the plan, origin, destination).

    A stay is the whole time in one zone without leaving it; a trip joins consecutive stays of at least `SHORTEST_STAY_S` in different
    zones. Nights join the days: every plan begins and ends with a long stay.
    """
    rows = len(plans.stays)
    who = np.empty(rows * plans.place.shape[1], np.int32)
    origin = np.empty(len(who), np.int32)
    destination = np.empty(len(who), np.int32)
    count = 0
    for row in range(rows):
        came_from = -1
        i = 0
        while i < plans.stays[row]:
            place = plans.place[row, i]
            start_s, end_s = plans.start_s[row, i], plans.end_s[row, i]
            i += 1
            if place < 0:
                continue
            zone = place_zone[place]
            while i < plans.stays[row] and plans.place[row, i] >= 0 and place_zone[plans.place[row, i]] == zone:
                end_s = plans.end_s[row, i]
                i += 1
            if end_s - start_s >= SHORTEST_STAY_S:
                if came_from >= 0 and came_from != zone:
                    who[count], origin[count], destination[count] = row, came_from, zone
                    count += 1
                came_from = zone
    return who[:count], origin[:count], destination[:count]


@compiled
def true_presence(plans: Plans, place_zone: Index, zones: int) -> npt.NDArray[np.int64]:
    """People staying in each zone at half past each hour, shape (24, zones); who travels is nowhere."""
    out = np.zeros((24, zones), np.int64)
    for row in range(len(plans.stays)):
        for i in range(plans.stays[row]):
            place = plans.place[row, i]
            if place < 0:
                continue
            for hour in range((plans.start_s[row, i] + 1_799) // 3_600, 24):
                if hour * 3_600 + 1_800 >= plans.end_s[row, i]:
                    break
                out[hour, place_zone[place]] += 1
    return out


def count_pairs(origin: Index, destination: Index, who: Index, zones: int) -> tuple[npt.NDArray[np.int64], ...]:
    """Trips and distinct persons by pair: (origin, destination, trips, persons), sorted by pair."""
    if len(who) == 0:
        return tuple(np.empty(0, np.int64) for _ in range(4))
    people = int(who.max()) + 1
    # One sort of one number: pair and person together.
    key = np.sort((origin.astype(np.int64) * zones + destination) * people + who)
    pair = key // people
    starts = np.flatnonzero(np.append(True, pair[1:] != pair[:-1]))
    new_person = np.append(True, key[1:] != key[:-1])
    trips = np.diff(np.append(starts, len(key)))
    return pair[starts] // zones, pair[starts] % zones, trips, np.add.reduceat(new_person.astype(np.int64), starts)
