"""Bounding: nobody changes more than K keys by V each, whatever their rows are; against a plain restatement."""

from __future__ import annotations

from collections import defaultdict

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oneteam.core.errors import MissingColumnError, WrongTypeError
from oneteam.privacy.contributions import Contributions, bounded_sum
from oneteam.privacy.levels import Axis, Domain
from oneteam.stats.hashing import siphash24, siphash24_pair

DOMAIN = Domain((Axis("origin", tuple("abcde"), {}), Axis("destination", tuple("vwxyz"), {})))
SECRET = bytes(range(16))

ROWS = st.lists(
    st.tuples(st.integers(0, 3), st.integers(-1, 4), st.integers(-1, 4), st.integers(-5, 5) | st.sampled_from([2**62, -(2**62)])),
    max_size=60,
)


def contributions(rows: list[tuple[int, int, int, int]]) -> Contributions:
    ordered = sorted(rows, key=lambda row: row[0])
    columns = np.array(ordered, np.int64).reshape(-1, 4)
    keys = {"origin": columns[:, 1].astype(np.int32), "destination": columns[:, 2].astype(np.int32)}
    return Contributions(columns[:, 0].copy(), keys, columns[:, 3].copy())


def restated(rows: list[tuple[int, int, int, int]], most: int, value: int, secret: bytes) -> np.ndarray:
    by_person: dict[int, dict[int, int]] = defaultdict(lambda: defaultdict(int))
    for who, origin, destination, amount in sorted(rows, key=lambda row: row[0]):
        if origin >= 0 and destination >= 0:
            key = origin * 5 + destination
            by_person[who][key] = max(-(2**61), min(2**61, by_person[who][key] + max(-(2**61), min(2**61, amount))))
    table = np.zeros(25, np.int64)
    for who, keys in by_person.items():
        kept = {key: amount for key, amount in keys.items() if amount}

        def ticket(key: int, who: int = who) -> int:
            return int(siphash24(pa.array([np.array([who, key], "<i8").tobytes()]), secret)[0])

        if len(kept) > most:
            kept = {key: kept[key] for key in sorted(kept, key=lambda key: (ticket(key), key))[:most]}
        for key, amount in kept.items():
            table[key] += max(-value, min(value, amount))
    return table.reshape(5, 5)


@settings(max_examples=200)
@given(ROWS, st.integers(1, 6), st.integers(1, 4))
def test_it_is_what_the_words_say(rows: list[tuple[int, int, int, int]], most: int, value: int) -> None:
    np.testing.assert_array_equal(bounded_sum(contributions(rows), DOMAIN, most, value, SECRET), restated(rows, most, value, SECRET))


@settings(max_examples=150)
@given(ROWS, ROWS, st.integers(1, 4), st.integers(1, 3))
def test_one_person_more_changes_at_most_k_keys_by_v_each(
    others: list[tuple[int, int, int, int]], own: list[tuple[int, int, int, int]], most: int, value: int
) -> None:
    mine = [(7, *row[1:]) for row in own]
    change = bounded_sum(contributions([*others, *mine]), DOMAIN, most, value, SECRET) - bounded_sum(
        contributions(others), DOMAIN, most, value, SECRET
    )
    assert np.count_nonzero(change) <= most
    assert np.abs(change).max(initial=0) <= value
    assert np.linalg.norm(change) <= np.sqrt(most) * value + 1e-12


def test_many_rows_of_one_person() -> None:
    """More rows than the insertion sort takes."""
    rng = np.random.default_rng(1)
    rows = [(1, int(o), int(d), 1) for o, d in rng.integers(-1, 5, (300, 2))]
    np.testing.assert_array_equal(bounded_sum(contributions(rows), DOMAIN, 3, 2, SECRET), restated(rows, 3, 2, SECRET))


def test_which_keys_are_kept_is_even_and_depends_on_the_secret() -> None:
    people = 20_000
    subscriber = np.repeat(np.arange(people), 5)
    keys = {"origin": np.tile(np.arange(5, dtype=np.int32), people), "destination": np.zeros(5 * people, np.int32)}
    rows = Contributions(subscriber, keys, np.ones(5 * people, np.int64))
    first = bounded_sum(rows, DOMAIN, 2, 1, SECRET)[:, 0]
    second = bounded_sum(rows, DOMAIN, 2, 1, bytes(16))[:, 0]
    assert first.sum() == second.sum() == 2 * people
    # Each key is kept by 2 of 5: five standard deviations of a binomial.
    assert np.abs(first - 0.4 * people).max() < 5 * np.sqrt(people * 0.4 * 0.6)
    assert (first != second).any()


def test_dimensions_that_are_not_in_the_domain_are_summed_over_before_bounding() -> None:
    rows = Contributions(np.array([1, 1]), {"zone": np.array([0, 0], np.int32), "hour": np.array([3, 4], np.int32)}, np.array([1, 1]))
    zone = Domain((Axis("zone", ("a",), {}),))
    assert bounded_sum(rows, zone, 5, 1, SECRET).tolist() == [1]
    assert bounded_sum(rows, zone, 5, 2, SECRET).tolist() == [2]


def test_unsigned_subscribers_are_in_their_own_order() -> None:
    subscriber = np.array([1, 2**63 - 1, 2**63, 2**64 - 1], np.uint64)
    rows = Contributions(subscriber, {"zone": np.zeros(4, np.int32)}, np.ones(4, np.int64))  # type: ignore[arg-type]
    assert bounded_sum(rows, Domain((Axis("zone", ("a",), {}),)), 1, 1, SECRET).tolist() == [4]


def test_a_person_in_two_places_is_refused() -> None:
    rows = Contributions(np.array([1, 2, 1]), {"zone": np.zeros(3, np.int32)}, np.ones(3, np.int64))
    with pytest.raises(WrongTypeError, match="ascending"):
        bounded_sum(rows, Domain((Axis("zone", ("a",), {}),)), 1, 1, SECRET)


def test_columns_that_do_not_fit_are_refused() -> None:
    with pytest.raises(WrongTypeError, match="same length"):
        Contributions(np.array([1, 2]), {"zone": np.zeros(1, np.int32)}, np.ones(2, np.int64))
    rows = Contributions(np.array([1]), {"zone": np.array([1], np.int32)}, np.ones(1, np.int64))
    zone = Domain((Axis("zone", ("a",), {}),))
    with pytest.raises(WrongTypeError, match="its domain has 1"):
        bounded_sum(rows, zone, 1, 1, SECRET)
    with pytest.raises(MissingColumnError):
        bounded_sum(rows, Domain((Axis("hour", ("0",), {}),)), 1, 1, SECRET)
    with pytest.raises(WrongTypeError, match="16 bytes"):
        bounded_sum(rows, zone, 1, 1, b"short")


@given(st.integers(0, 2**64 - 1), st.integers(0, 2**64 - 1), st.binary(min_size=16, max_size=16))
def test_the_hash_of_two_words_is_that_of_their_bytes(first: int, second: int, key: bytes) -> None:
    whole = siphash24(pa.array([np.array([first, second], "<u8").tobytes()]), key).view(np.uint64)[0]
    k0, k1 = np.frombuffer(key, "<u8")
    assert int(np.uint64(siphash24_pair(np.uint64(first), np.uint64(second), k0, k1))) == int(whole)
