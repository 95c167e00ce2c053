"""The share of second SIMs in simulated populations whose truth is known."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from oneteam.core.errors import MissingColumnError, NothingFoundError, UnknownValueError
from oneteam.telecom.population.comovement import Presence, compare_pairs, evidence, two_top_zones
from oneteam.telecom.population.deduplication import deduplication_factor, estimate_multi_sim

DAYS, HOURS, ZONES = 14, 24, 60
FIRST = 18_267  # a Monday


def whereabouts(rng: np.random.Generator) -> np.ndarray:
    """Zone in each hour: home, a workplace on weekdays, and outings that differ from day to day."""
    home, work = rng.integers(0, ZONES, 2)
    zone = np.full((DAYS, HOURS), home)
    for day in range(DAYS):
        if day % 7 < 5 and rng.random() < 0.7:
            begin = int(rng.integers(7, 11))
            zone[day, begin : begin + 9] = work
        for _ in range(rng.poisson(0.9)):
            begin, place = int(rng.integers(9, 21)), int(home + rng.integers(-6, 7)) % ZONES
            zone[day, begin : begin + int(rng.integers(1, 4))] = place
    return zone.reshape(-1)


def carriers(persons: int, share: float, seed: int) -> tuple[list[pa.Table], float]:
    """Presence at three carriers, and the true share of people with two phones among those seen."""
    rng = np.random.default_rng(seed)
    by_hour = np.where((np.arange(DAYS * HOURS) % HOURS) < 6, 0.15, 1.0)
    rows: list[list[tuple[int, int, int, int]]] = [[], [], []]
    two = 0
    for person in range(persons):
        zone, phones = whereabouts(rng), 1 + int(rng.random() < share)
        two += phones == 2
        for phone in range(phones):
            carrier, rate = int(rng.integers(0, 3)), min(0.9, 0.3 * np.exp(0.6 * rng.normal()))
            seen = np.flatnonzero(rng.random(DAYS * HOURS) < rate * by_hour)
            # One hour in thirty a cell beyond the border of the zone answers.
            where = np.where(rng.random(len(seen)) < 1 / 30, (zone[seen] + 1) % ZONES, zone[seen])
            rows[carrier].extend(
                (2 * person + phone, FIRST + slot // HOURS, slot % HOURS, z) for slot, z in zip(seen.tolist(), where.tolist(), strict=True)
            )
    names = ("subscriber", "day", "hour", "zone")
    return [pa.table(dict(zip(names, zip(*part, strict=True), strict=True))) for part in rows], two / persons


@pytest.mark.parametrize(("share", "seed"), [(0.08, 1), (0.25, 2)])
def test_share_is_found(share: float, seed: int):
    tables, truth = carriers(3_000, share, seed)
    estimate = estimate_multi_sim(tables)
    assert abs(estimate.share - truth) <= max(0.012, 2 * estimate.standard_error)
    assert estimate.standard_error < 0.03
    assert estimate.matched > 100
    assert deduplication_factor(estimate.share) == pytest.approx(1 / (1 + truth), abs=0.015)


def test_nobody_with_two_phones_gives_about_zero():
    tables, _ = carriers(2_000, 0.0, 3)
    estimate = estimate_multi_sim(tables)
    assert estimate.share < 0.01
    assert abs(estimate.share) <= 3 * estimate.standard_error + 0.003


def test_same_input_and_seed_give_the_same_estimate():
    tables, _ = carriers(600, 0.2, 4)
    first, again = estimate_multi_sim(tables, seed=5), estimate_multi_sim(tables, seed=5)
    assert first == again


def by_hand(*subscriptions: dict[int, int]) -> Presence:
    """Presence from zone by slot."""
    slots = [slot for one in subscriptions for slot in sorted(one)]
    zones = [one[slot] for one in subscriptions for slot in sorted(one)]
    edges = np.concatenate(([0], np.cumsum([len(one) for one in subscriptions])))
    return Presence(edges.astype(np.int64), np.array(slots, np.int32), np.array(zones, np.int32), 14 * 24, 0)


def score(a: dict[int, int], b: dict[int, int]) -> float:
    presence = by_hand(a, b)
    top = two_top_zones(presence, 10)
    habits = np.full((10, 10), 0.1)
    says = evidence(presence, np.array([0]), top[:, 0].copy(), habits)
    return float(compare_pairs(presence, says, np.array([0]), np.array([1]), top)[0])


def test_home_says_little_an_outing_says_much_and_a_contradiction_counts_against():
    nights = {day * 24 + 23: 1 for day in range(14)}
    at_home = score(nights, nights)
    outing = {5 * 24 + 15: 7}
    assert at_home < 14 * 0.2
    assert score(nights | outing, nights | outing) > at_home + 2
    assert score(nights | outing, nights | {5 * 24 + 15: 8}) < at_home - 2


def test_being_there_an_hour_later_is_no_contradiction():
    nights = {day * 24 + 23: 1 for day in range(14)}
    apart = score(nights | {100: 7}, nights | {100: 8})
    travelling = score(nights | {100: 7, 101: 8}, nights | {100: 8})
    followed = score(nights | {100: 7}, nights | {99: 7, 100: 8})
    assert travelling > apart + 2
    assert followed > apart + 2


def test_other_homes_are_not_compared():
    assert score(dict.fromkeys(range(20), 1), dict.fromkeys(range(20), 2)) == -np.inf


def test_top_zones_by_hours_then_lowest_index():
    presence = by_hand({0: 4, 1: 4, 2: 3, 3: 5}, {0: 9}, {0: 8, 1: 2})
    assert two_top_zones(presence, 10).tolist() == [[4, 3], [9, -1], [2, 8]]


def test_what_cannot_be_estimated_is_said():
    with pytest.raises(MissingColumnError, match="table 0 has no column zone"):
        estimate_multi_sim([pa.table({"subscriber": [1], "day": [1], "hour": [1]})])
    with pytest.raises(NothingFoundError, match="no presence"):
        estimate_multi_sim([])
    short = pa.table({"subscriber": [1, 1], "day": [1, 5], "hour": [1, 1], "zone": [0, 0]})
    with pytest.raises(NothingFoundError, match="5 days, at least 8"):
        estimate_multi_sim([short])
    at_home = pa.table({"subscriber": [1] * 10, "day": list(range(10)), "hour": [1] * 10, "zone": [0] * 10})
    with pytest.raises(NothingFoundError, match="moves enough"):
        estimate_multi_sim([at_home])
    with pytest.raises(UnknownValueError, match="from 0 to 1"):
        deduplication_factor(1.2)
