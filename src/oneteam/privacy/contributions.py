"""Bound what one privacy unit contributes, then sum over the public domain.

A measure yields rows (subscriber, key, integer value). After the *final* key is derived (dimensions that the query does not keep are
summed over first), values of one subscriber with the same key are added and clipped to [-V, V], and at most K keys of each subscriber are
kept, chosen by a keyed hash, so that which ones are kept depends on nobody else. Only then is anything summed. Bounding earlier, or by
which keys are large, would let one person change more than the noise is made for.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from oneteam.core.errors import MissingColumnError, WrongTypeError
from oneteam.privacy.levels import Domain
from oneteam.stats.compiled import compiled
from oneteam.stats.hashing import siphash24_pair

Ints = npt.NDArray[np.int64]

OUTSIDE: Final = -1
SECRET_BYTES: Final = 16
_MOST: Final = 2**61
_FEW: Final = 32


@dataclass(frozen=True)
class Contributions:
    """What single subscribers add to single keys. It never leaves the owner.

    Args:
        subscriber: int64 or uint64, ascending, shape (rows,); a row for each contribution.
        keys: for each dimension, the place of the row's code in the public domain, int32 or int64; `OUTSIDE` where it has none.
        value: int64.
    """

    subscriber: npt.NDArray[np.int64]
    keys: Mapping[str, npt.NDArray[np.int32]]
    value: npt.NDArray[np.int64]

    def __post_init__(self) -> None:
        """Refuse columns of unequal length, which the compiled loops would read beyond their end."""
        lengths = {len(self.subscriber), len(self.value), *(len(column) for column in self.keys.values())}
        if len(lengths) != 1:
            raise WrongTypeError("contributions: all columns must have the same length")

    @classmethod
    def empty(cls, dimensions: tuple[str, ...]) -> Contributions:
        """No rows: what a member that only adds noise brings."""
        none = np.zeros(0, np.int64)
        return cls(none, {name: np.zeros(0, np.int32) for name in dimensions}, none)


def bounded_sum(contributions: Contributions, domain: Domain, max_keys: int, max_value: int, secret: bytes) -> Ints:
    """Bound every subscriber's contributions and sum them over the public domain.

    Args:
        contributions: rows whose ``keys`` have the domain's dimensions (others are ignored, that is, summed over).
        domain: the public domain.
        max_keys: K, most final keys of one subscriber.
        max_value: V, most that a subscriber adds to one key.
        secret: 16 bytes that only this node knows, other ones for every query.

    Returns:
        shape ``domain.shape``, int64.

    Raises:
        MissingColumnError: a dimension of the domain without keys.
        WrongTypeError: subscribers out of order, or a key beyond its domain.

    >>> from oneteam.privacy.levels import Axis
    >>> domain = Domain((Axis("zone", ("a", "b"), {}),))
    >>> rows = Contributions(np.array([1, 1, 2]), {"zone": np.array([0, 0, 1], np.int32)}, np.array([1, 1, 5]))
    >>> bounded_sum(rows, domain, max_keys=1, max_value=1, secret=bytes(16)).tolist()
    [1, 1]
    """
    if len(secret) != SECRET_BYTES:
        raise WrongTypeError(f"the sampling secret has {SECRET_BYTES} bytes")
    key = _final_key(contributions, domain)
    k0, k1 = np.frombuffer(secret, "<u8")
    out = np.zeros(domain.cells, np.int64)
    who, value = _in_signed_order(contributions.subscriber), np.ascontiguousarray(contributions.value, np.int64)
    if not _bound(who, key, value, max_keys, max_value, k0, k1, out):
        # One subscriber's rows in two places would be bounded twice.
        raise WrongTypeError("contributions: subscribers must be in ascending order")
    return out.reshape(domain.shape)


def _in_signed_order(subscriber: npt.NDArray[np.int64] | npt.NDArray[np.uint64]) -> Ints:
    """Signed numbers in the same order."""
    if subscriber.dtype == np.uint64:
        return (np.ascontiguousarray(subscriber) ^ np.uint64(2**63)).view(np.int64)
    return np.ascontiguousarray(subscriber, np.int64)


def _final_key(contributions: Contributions, domain: Domain) -> Ints:
    """The flat cell of every row, `OUTSIDE` where any dimension is outside its domain."""
    flat = np.zeros(len(contributions.value), np.int64)
    outside = np.zeros(len(flat), np.bool_)
    for axis in domain.axes:
        column = contributions.keys.get(axis.name)
        if column is None:
            raise MissingColumnError(f"contributions have no dimension '{axis.name}'")
        length = len(axis.codes)
        if len(column) and int(column.max()) >= length:
            raise WrongTypeError(f"contributions: dimension '{axis.name}' has a key of {int(column.max())}; its domain has {length} codes")
        outside |= column < 0
        flat = flat * length + column
    flat[outside] = OUTSIDE
    return flat


@compiled
def _bound(subscriber: Ints, key: Ints, value: Ints, max_keys: int, max_value: int, k0: np.uint64, k1: np.uint64, out: Ints) -> bool:
    """Add the bounded contributions to ``out``; False when the subscribers are not in order."""
    rows = len(subscriber)
    scratch = np.empty((4, _longest_run(subscriber)), np.int64)
    start = 0
    while start < rows:
        who = subscriber[start]
        end = start + 1
        while end < rows and subscriber[end] == who:
            end += 1
        if end < rows and subscriber[end] < who:
            return False
        if end == start + 1:
            if key[start] >= 0 and max_keys > 0:
                out[key[start]] += min(max(value[start], -max_value), max_value)
        else:
            _bound_one(np.uint64(who), key[start:end], value[start:end], max_keys, max_value, k0, k1, scratch, out)
        start = end
    return True


@compiled
def _longest_run(subscriber: Ints) -> int:
    longest = run = 1
    for i in range(1, len(subscriber)):
        run = run + 1 if subscriber[i] == subscriber[i - 1] else 1
        longest = max(longest, run)
    return longest


@compiled
def _bound_one(
    who: np.uint64, key: Ints, value: Ints, max_keys: int, max_value: int, k0: np.uint64, k1: np.uint64, scratch: Ints, out: Ints
) -> None:
    """One subscriber with several rows."""
    order, cells, sums, ticket = scratch[0], scratch[1], scratch[2], scratch[3]
    _sort(key, len(key), order)
    found = -1
    for at in range(len(key)):
        row = order[at]
        if key[row] < 0:
            continue
        if found < 0 or cells[found] != key[row]:
            found += 1
            cells[found] = key[row]
            sums[found] = 0
        # Clipped before and after adding: no sum of clipped numbers can overflow, and the result is clipped to V in any case.
        step = min(max(value[row], -_MOST), _MOST)
        sums[found] = min(max(sums[found] + step, -_MOST), _MOST)
    count = 0
    for i in range(found + 1):
        if sums[i] != 0:
            cells[count] = cells[i]
            sums[count] = min(max(sums[i], -max_value), max_value)
            count += 1
    if count > max_keys:
        # The lowest tickets win: which keys are kept depends on this subscriber alone.
        for i in range(count):
            ticket[i] = np.int64(siphash24_pair(who, np.uint64(cells[i]), k0, k1))
        _sort(ticket, count, order)
    for at in range(min(count, max_keys)):
        i = order[at] if count > max_keys else at
        out[cells[i]] += sums[i]


@compiled
def _sort(numbers: Ints, count: int, order: Ints) -> None:
    """Write to ``order`` the places of the first ``count`` numbers in ascending order; equal ones stay as they stand."""
    if count > _FEW:
        order[:count] = np.argsort(numbers[:count], kind="mergesort")
        return
    for i in range(count):
        j = i
        while j > 0 and numbers[order[j - 1]] > numbers[i]:
            order[j] = order[j - 1]
            j -= 1
        order[j] = i
