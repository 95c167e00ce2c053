"""UTC offsets over a period."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from hypothesis import given
from hypothesis import strategies as st

from oneteam.core.clock import utc_offset_changes


@given(
    st.sampled_from(["Asia/Seoul", "Europe/Brussels", "America/St_Johns", "Australia/Lord_Howe", "Asia/Pyongyang", "UTC"]),
    st.dates(date(1990, 1, 1), date(2035, 12, 31)),
    st.integers(0, 400),
    st.floats(0, 1),
)
def test_every_moment_has_the_offset_of_the_zone(zone: str, first: date, days: int, where: float) -> None:
    last = first + timedelta(days)
    changes = utc_offset_changes(zone, first, last)
    begin = datetime(first.year, first.month, first.day, tzinfo=ZoneInfo(zone)).timestamp()
    t = int(begin + where * days * 86_400)
    offset = next(value for since, value in reversed(changes) if since <= t)
    expected = datetime.fromtimestamp(t, UTC).astimezone(ZoneInfo(zone)).utcoffset()
    assert expected is not None
    assert offset == expected.total_seconds()
