"""Records as phones make them, in any order; their order of time; and the pseudonyms under which carriers keep them."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from oneteam.stats.compiled import compiled
from oneteam.stats.random import raw, stream_key
from oneteam.synth import streams
from oneteam.synth.schedules import DAY_S

MICROSECONDS: Final = 1_000_000

_USER_ID = int(streams.Stream.USER_ID)


class Records(NamedTuple):
    """Room for records in any order: time since the day began [µs], the carrier's user within the block, cell, carrier."""

    time_us: npt.NDArray[np.int64]
    user: npt.NDArray[np.int32]
    cell: npt.NDArray[np.int32]
    carrier: npt.NDArray[np.int8]


def new_records(capacity: int) -> Records:
    """Room for that many records."""
    return Records(np.empty(capacity, np.int64), np.empty(capacity, np.int32), np.empty(capacity, np.int32), np.empty(capacity, np.int8))


@compiled
def in_time_order(
    records: Records, n: int, carrier: int, epoch_us: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int32], npt.NDArray[np.int32]]:
    """The records of one carrier by time: (UTC time stamp [µs], user, cell). A counting sort by second, then by insertion within it."""
    counts = np.zeros(DAY_S * 2 + 2, np.int64)
    for i in range(n):
        if records.carrier[i] == carrier:
            counts[records.time_us[i] // MICROSECONDS + 1] += 1
    for s in range(1, len(counts)):
        counts[s] += counts[s - 1]
    total = counts[-1]
    # Zeros, not any bytes: a place before ours that is still empty must not look like a later record.
    time_us, user, cell = np.zeros(total, np.int64), np.empty(total, np.int32), np.empty(total, np.int32)
    for i in range(n):
        if records.carrier[i] != carrier:
            continue
        second = records.time_us[i] // MICROSECONDS
        at = counts[second]
        counts[second] += 1
        stamp = epoch_us + records.time_us[i]
        first_of_second = epoch_us + second * MICROSECONDS
        while at > 0 and time_us[at - 1] > stamp and time_us[at - 1] >= first_of_second:
            time_us[at], user[at], cell[at] = time_us[at - 1], user[at - 1], cell[at - 1]
            at -= 1
        time_us[at], user[at], cell[at] = stamp, records.user[i], records.cell[i]
    return time_us, user, cell


@compiled
def user_ids(seed: np.uint64, phone: npt.NDArray[np.int64]) -> npt.NDArray[np.uint8]:
    """Pseudonymous identifiers of phones: 32 bytes each, shape (phones, 32). Nothing in them tells who owns two."""
    out = np.empty((len(phone), 32), np.uint8)
    for i in range(len(phone)):
        key = stream_key(seed, _USER_ID, phone[i], 0)
        for word in range(4):
            bits = raw(key, word)
            for byte in range(8):
                out[i, 8 * word + byte] = np.uint8((bits >> np.uint64(8 * byte)) & np.uint64(255))
    return out
