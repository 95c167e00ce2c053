"""How often somebody may ask: token buckets, a bounded number of them."""

from __future__ import annotations

import math
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Final

MOST: Final = 20_000
"""Names remembered at once; the one not heard of for longest is forgotten first."""


class Rates:
    """A bucket of tokens for every name; tokens flow in evenly and are taken at will. Safe between threads.

    Args:
        per_s: tokens that flow in.
        burst: tokens that a bucket holds.
        clock: seconds that never go back.

    >>> now = [0.0]
    >>> rates = Rates(per_s=0.5, burst=2, clock=lambda: now[0])
    >>> rates.take("a"), rates.take("a"), rates.take("a"), rates.take("b")
    (0, 0, 2, 0)
    >>> now[0] = 2.0
    >>> rates.take("a")
    0
    """

    def __init__(self, per_s: float, burst: float, clock: Callable[[], float]) -> None:
        self._per_s, self._burst, self._clock = per_s, burst, clock
        self._buckets: OrderedDict[Hashable, tuple[float, float]] = OrderedDict()
        # Two at once must not both be given the last token.
        self._lock = threading.Lock()

    def take(self, name: Hashable) -> int:
        """Take a token; 0, or how many seconds to wait."""
        with self._lock:
            now = self._clock()
            level, at = self._buckets.get(name, (self._burst, now))
            level = min(self._burst, level + (now - at) * self._per_s)
            wait = 0 if level >= 1 else math.ceil((1 - level) / self._per_s)
            self._buckets[name] = (level - 1 if not wait else level, now)
            self._buckets.move_to_end(name)
            if len(self._buckets) > MOST:
                self._buckets.popitem(last=False)
            return wait

    def give_back(self, name: Hashable) -> None:
        """Return a token, as after a right password."""
        with self._lock:
            level, at = self._buckets.get(name, (self._burst, self._clock()))
            self._buckets[name] = (min(self._burst, level + 1), at)
