"""Day numbers, and the UTC offsets in force over a period."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

EPOCH: Final = date(1970, 1, 1)
"""Day 0 of day numbers."""


def utc_offset_changes(timezone: str, first: date, last: date) -> list[tuple[int, int]]:
    """The UTC offsets in force between two local dates, as (UTC epoch second from which it holds, offset in seconds).

    The first entry always starts at or before the first moment of ``first``. A zone without daylight saving time has one entry.

    >>> utc_offset_changes("Asia/Seoul", date(2020, 1, 1), date(2020, 12, 31))
    [(1577804400, 32400)]
    >>> [offset for _, offset in utc_offset_changes("Europe/Brussels", date(2020, 1, 1), date(2020, 12, 31))]
    [3600, 7200, 3600]
    """
    zone = ZoneInfo(timezone)
    start = datetime(first.year, first.month, first.day, tzinfo=zone)
    after = last + timedelta(days=1)
    end_s = int(datetime(after.year, after.month, after.day, tzinfo=zone).timestamp())

    def offset_at(epoch_s: int) -> int:
        offset = datetime.fromtimestamp(epoch_s, zone).utcoffset()
        assert offset is not None
        return int(offset.total_seconds())

    at = int(start.timestamp())
    changes = [(at, offset_at(at))]
    while at < end_s:
        step = min(at + 86_400, end_s)
        if offset_at(step) != changes[-1][1]:
            low, high = at, step
            while high - low > 1:
                middle = (low + high) // 2
                low, high = (middle, high) if offset_at(middle) == changes[-1][1] else (low, middle)
            changes.append((high, offset_at(high)))
        at = step
    return changes
