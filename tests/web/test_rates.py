"""Token buckets: what is taken at once from many threads is never more than there is."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

from oneteam.web.rates import MOST, Rates


class SlowName:
    """A name whose look-up lets other threads in between."""

    def __hash__(self) -> int:
        time.sleep(0.005)
        return 1


def test_many_at_once_get_no_more_than_there_is() -> None:
    rates, name = Rates(per_s=0.001, burst=3, clock=lambda: 0.0), SlowName()
    with ThreadPoolExecutor(8) as pool:
        waits = list(pool.map(lambda _: rates.take(name), range(8)))
    assert waits.count(0) == 3


def test_no_more_names_are_remembered_than_allowed() -> None:
    rates = Rates(per_s=0.001, burst=1, clock=lambda: 0.0)
    for number in range(MOST + 1):
        rates.take(number)
    assert rates.take(1) > 0
    assert rates.take(0) == 0, "the one not heard of for longest is forgotten"
