from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oneteam.telecom.ingestion.timestamps import NO_OFFSET, StampState, local_to_utc, offset_table, parse_iso, utc_offsets_min

MOMENTS = st.datetimes(min_value=datetime(1970, 1, 2), max_value=datetime(2099, 12, 30))  # noqa: DTZ001
OFFSETS = st.integers(-14 * 60, 14 * 60)


def micros(moment):
    return (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)


@settings(deadline=None)  # the first call compiles
@given(MOMENTS, OFFSETS, st.sampled_from(["T", " "]))
def test_reads_what_isoformat_writes(moment, offset, separator):
    aware = moment.replace(tzinfo=UTC) - timedelta(minutes=offset)
    sign = "-" if offset < 0 else "+"
    text = f"{moment.isoformat(sep=separator)}{sign}{abs(offset) // 60:02d}:{abs(offset) % 60:02d}"
    stamps, minutes, states = parse_iso(pa.array([text]))
    assert (stamps[0], minutes[0], states[0]) == (micros(aware), offset, StampState.OK)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2020-02-01T00:00:00Z", "2020-02-01T00:00:00+00:00"),
        ("2020-02-01 00:00:00.123456789+0900", "2020-01-31T15:00:00.123456+00:00"),
        ("2020-02-01T00:00:00+09", "2020-01-31T15:00:00+00:00"),
        ("2020-02-01 00:00 +09:00", "2020-01-31T15:00:00+00:00"),
        ("2016-02-29 23:59:59.5-03:30", "2016-03-01T03:29:59.500000+00:00"),
    ],
)
def test_other_spellings(text, expected):
    stamps, _, states = parse_iso(pa.array([text]))
    assert states[0] == StampState.OK
    assert datetime.fromtimestamp(stamps[0] / 1e6, UTC).isoformat() == expected


@pytest.mark.parametrize(
    "text",
    [
        "2020-02-30 00:00:00",
        "2019-02-29 00:00:00",
        "2020-13-01 00:00:00",
        "2020-00-01 00:00:00",
        "2020-02-01 24:00:00",
        "2020-02-01 00:60:00",
        "2020-02-01 00:00:61",
        "2020-02-01",
        "2020-02-01 00:00:00.Z",
        "2020-02-01 00:00:00+25:00",
        "2020-02-01 00:00:00 KST",
        "2020/02/01 00:00:00",
        "20200201T000000Z",
        "2020-02-01 00:00:",
        "yesterday at noon",
        "２０２０-02-01 00:00:00",
    ],
)
def test_what_is_no_time_stamp_is_marked(text):
    assert parse_iso(pa.array([text]))[2][0] == StampState.BAD


def test_null_and_empty_are_null():
    assert parse_iso(pa.array([None, ""]))[2].tolist() == [StampState.NULL] * 2


@pytest.mark.parametrize("timezone", ["Asia/Seoul", "Europe/Brussels", "America/New_York", "Australia/Lord_Howe", "Pacific/Apia"])
@settings(deadline=None)  # the first call compiles
@given(moments=st.lists(MOMENTS, min_size=1, max_size=30))
def test_naive_local_times_follow_pep_495(timezone, moments):
    out = np.empty(len(moments), np.int64)
    local_to_utc(np.array([micros(m.replace(tzinfo=UTC)) for m in moments]), *offset_table(timezone), out)
    zone = ZoneInfo(timezone)
    # A time that never occurs is read with the offset before the gap, which is what fold=0 gives.
    assert out.tolist() == [micros(m.replace(tzinfo=zone)) for m in moments]


@pytest.mark.parametrize(
    ("local", "expected"),
    [
        (datetime(2020, 3, 29, 1, 59), "2020-03-29T00:59:00+00:00"),  # noqa: DTZ001
        (datetime(2020, 3, 29, 2, 30), "2020-03-29T01:30:00+00:00"),  # noqa: DTZ001 (never occurs)
        (datetime(2020, 10, 25, 2, 30), "2020-10-25T00:30:00+00:00"),  # noqa: DTZ001 (occurs twice: the first)
        (datetime(2020, 10, 25, 3, 0), "2020-10-25T02:00:00+00:00"),  # noqa: DTZ001
    ],
)
def test_hours_that_the_clock_change_skips_or_repeats(local, expected):
    out = np.empty(1, np.int64)
    local_to_utc(np.array([micros(local.replace(tzinfo=UTC))]), *offset_table("Europe/Brussels"), out)
    assert datetime.fromtimestamp(out[0] / 1e6, UTC).isoformat() == expected


def test_missing_offsets_take_the_zones_own():
    stamps = np.array([micros(datetime(2020, 7, 1, tzinfo=UTC))] * 2)
    offsets = np.array([NO_OFFSET, -300], np.int16)
    utc_offsets_min(stamps, *offset_table("Europe/Brussels"), offsets)
    assert offsets.tolist() == [120, -300]
