from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oneteam.telecom.ingestion.order import (
    CELL_BITS,
    MAX_GAP_S,
    day_activity,
    drop_duplicates,
    gap_quantiles,
    impossible,
    pack_rows,
    sort_rows,
    split_by_subscriber,
    unit_vectors,
    unpack_keys,
)
from oneteam.telecom.ingestion.subscribers import SubscriberSet

INT64 = st.one_of(st.integers(-(2**63), 2**63 - 1), st.integers(-3, 3), st.sampled_from([-(2**63), 2**63 - 1]))
SMALL = st.one_of(st.integers(0, 3), st.integers(0, 2**62))


def reference(rows):
    return rows[np.lexsort([rows[:, k] for k in range(rows.shape[1] - 1, -1, -1)])]


@settings(deadline=None)  # the first call compiles
@given(st.lists(st.tuples(INT64, SMALL, SMALL), max_size=300), st.sampled_from([2, 3]))
def test_sorts_like_lexsort(values, width):
    rows = np.array(values, np.int64).reshape(-1, 3)[:, :width].copy()
    assert (sort_rows(rows.copy()) == reference(rows)).all()


@pytest.mark.parametrize("subscribers", [1, 2, 50, 40_000])
@pytest.mark.parametrize("width", [2, 3])
def test_sorts_many_rows_of_few_and_of_many_subscribers(subscribers, width):
    rng = np.random.default_rng(subscribers)
    ids = rng.integers(-(2**63), 2**63 - 1, subscribers)
    rows = np.column_stack([ids[rng.integers(0, subscribers, 60_000)], *rng.integers(0, 500, (width - 1, 60_000))])
    rows[:, 1] += np.arange(60_000) // 7  # nearly in time order, as files are
    assert (sort_rows(rows.copy()) == reference(rows)).all()


@settings(deadline=None)  # the first call compiles
@given(st.lists(st.tuples(INT64, SMALL), max_size=200), st.integers(0, 6))
def test_ranges_of_subscribers_ascend_and_lose_nothing(values, bits):
    rows = np.array(values, np.int64).reshape(-1, 2)
    parts = split_by_subscriber(rows, bits)
    assert len(parts) == 1 << bits
    assert (reference(np.concatenate(parts)) == reference(rows)).all()
    filled = [part for part in parts if len(part)]
    for low, high in pairwise(filled):
        assert low[:, 0].max() < high[:, 0].min()


@settings(deadline=None)  # the first call compiles
@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2), st.integers(0, 2)), max_size=60), st.sampled_from([2, 3]))
def test_duplicates_go(values, width):
    rows = reference(np.array(values, np.int64).reshape(-1, 3)[:, :width].copy())
    kept = drop_duplicates(rows, width)
    assert [tuple(r) for r in rows[:kept].tolist()] == sorted({v[:width] for v in values})


def test_of_rows_with_the_same_keys_the_last_stays():
    rows = np.array([[1, 1, 1], [1, 1, 5], [1, 2, 0], [2, 2, 0], [2, 2, 3]], np.int64)
    assert rows[: drop_duplicates(rows, 2)].tolist() == [[1, 1, 5], [1, 2, 0], [2, 2, 3]]


@settings(deadline=None)  # the first call compiles
@given(
    st.lists(
        st.tuples(st.integers(0, 3), st.integers(-14 * 3600, 38 * 3600), st.integers(0, 2**CELL_BITS - 1)),
        min_size=1,
        max_size=50,
    )
)
def test_packing_keeps_time_and_cell_and_their_order(values):
    day = np.full(len(values), 18_293, np.int32)
    stamp = np.array([18_293 * 86_400 + v[1] for v in values], np.int64) * 1_000_000 + 7
    cell = np.array([v[2] for v in values], np.int32)
    who = np.array([v[0] for v in values], np.int64)
    out = np.empty((len(values), 2), np.int64)
    pack_rows(np.ones(len(values), np.bool_), day, who, stamp, cell, np.zeros(0, np.int64), 18_293, np.zeros(1, np.int64), out)
    got_stamp, got_cell = np.empty(len(values), np.int64), np.empty(len(values), np.int32)
    unpack_keys(out, 18_293, got_stamp, got_cell)
    assert (got_stamp == stamp).all()
    assert (got_cell == cell).all()
    assert (np.argsort(out[:, 1], kind="stable") == np.lexsort([cell, stamp])).all()


def packed(*events):
    """Events (subscriber, second, cell) of one day as sorted packed rows."""
    rows = [(who, (second * 1_000_000 + 50_400_000_000) << CELL_BITS | cell) for who, second, cell in events]
    return sort_rows(np.array(rows, np.int64))


# Cells 0 Seoul, 1 Suwon (30 km), 2 Busan (325 km), 3 unknown place, 4 beside Seoul (5 km).
PLACE = unit_vectors(np.array([37.566, 37.29, 35.18, np.nan, 37.61]), np.array([126.978, 127.01, 129.075, np.nan, 126.978]))


def marks(*events, speed=340.0, distance=10_000.0):
    return impossible(packed(*events), PLACE, speed, distance).tolist()


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        (((1, 0, 0), (1, 60, 2), (1, 120, 0)), [False, True, False]),
        (((1, 0, 0), (1, 60, 2)), [False, False]),  # the last of the day has no next: one-sided
        (((1, 0, 0), (1, 60, 2), (1, 120, 2), (1, 180, 0)), [False] * 4),  # two in a row support each other
        (((1, 0, 0), (1, 60, 2), (2, 120, 0)), [False] * 3),  # the next event is another subscriber's
        (((1, 0, 0), (1, 9_000, 2), (1, 18_000, 0)), [False] * 3),  # a train
        (((1, 0, 0), (1, 1_500, 2), (1, 3_000, 0)), [False] * 3),  # 217 m/s: an airliner
        (((1, 0, 0), (1, 900, 2), (1, 1_800, 0)), [False, True, False]),  # 361 m/s
        (((1, 0, 0), (1, 0, 2), (1, 1, 0)), [False, True, False]),  # no time at all
        (((1, 0, 0), (1, 1, 4), (1, 2, 0)), [False] * 3),  # below the shortest distance
        (
            ((1, 0, 0), (1, 30, 3), (1, 60, 2), (1, 90, 3), (1, 120, 0)),
            [False, False, True, False, False],
        ),  # unknown places are passed over
        (((1, 0, 0), (1, 60, 2), (1, 120, 1), (1, 7_000, 0)), [False, True, False, False]),
        ((), []),
    ],
)
def test_two_sided_rule(events, expected):
    if not events:
        assert impossible(np.empty((0, 2), np.int64), PLACE, 340.0, 10_000.0).tolist() == []
    else:
        assert marks(*events) == expected


def test_limits_are_settings():
    events = ((1, 0, 0), (1, 1_500, 2), (1, 3_000, 0))
    assert marks(*events, speed=55.0) == [False, True, False]
    assert marks(*events, speed=55.0, distance=400_000.0) == [False] * 3


def test_activity_counts_subscribers_and_gaps():
    activity = day_activity(packed((1, 0, 0), (1, 10, 0), (1, 13, 0), (2, 5, 0)))
    assert activity.active == 2
    assert np.flatnonzero(activity.gaps).tolist() == [3, 10]
    assert gap_quantiles(activity.gaps, (0.0, 0.5, 0.51, 1.0)) == [3, 3, 10, 10]
    assert gap_quantiles(np.zeros(MAX_GAP_S + 1, np.int64), (0.5,)) is None


@settings(deadline=None)  # the first call compiles
@given(st.lists(st.lists(st.tuples(st.integers(-5, 5), st.booleans()), max_size=20), max_size=6))
def test_subscriber_set_finds_first_occurrences(batches):
    known, seen = SubscriberSet(), set()
    for batch in batches:
        expected = []
        for row, (value, chosen) in enumerate(batch):
            if chosen and value not in seen:
                seen.add(value)
                expected.append(row)
        values, chosen = np.array([v for v, _ in batch], np.int64), np.array([c for _, c in batch], np.bool_)
        assert known.add(values, chosen).tolist() == expected
    assert len(known) == len(seen)


def test_subscriber_set_grows():
    known = SubscriberSet()
    values = np.random.default_rng(1).integers(-(2**63), 2**63 - 1, 500_000)
    assert len(known.add(values, np.ones(len(values), np.bool_))) == len(np.unique(values))
    assert len(known.add(values, np.ones(len(values), np.bool_))) == 0
