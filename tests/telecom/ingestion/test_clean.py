from datetime import UTC, datetime, timedelta, timezone

import numpy as np
import pyarrow as pa
import pytest

from oneteam.core.errors import NaiveTimestampError, WrongTypeError
from oneteam.telecom.ingestion.clean import KnownCells, Rules, Target, Verdict, judge, prepare
from oneteam.telecom.ingestion.mapping import BUILT_IN, Mapping

NOON = datetime(2020, 2, 1, 3, tzinfo=UTC)
DAY = 18_293
RULES = Rules()
GOOD = {"user_id": b"u", "timestamp": NOON, "mcc": 450, "mnc": "05", "plmn": None, "cell_id": "c", "latitude": None, "longitude": None}
SCHEMA = pa.schema(
    [
        ("user_id", pa.binary()),
        ("timestamp", pa.timestamp("us", tz="UTC")),
        ("mcc", pa.int32()),
        ("mnc", pa.string()),
        ("plmn", pa.int32()),
        ("cell_id", pa.string()),
        ("latitude", pa.float32()),
        ("longitude", pa.float32()),
    ]
)


TEXT = pa.schema([(name, pa.string()) for name in SCHEMA.names])


def verdicts(*rows, rules=RULES, schema="multimno", types=SCHEMA, cells=None, codes=None):
    good = {**GOOD, "user_id": "u", "mcc": "450"} if types is TEXT else GOOD
    table = pa.Table.from_pylist([{**good, **row} for row in rows], schema=types)
    mapping = BUILT_IN[schema] if isinstance(schema, str) else schema
    batch = prepare(table, mapping, rules, where="f")
    codes = np.zeros(len(batch.cell_ids), np.int32) if codes is None else np.array([codes.get(c, -1) for c in batch.cell_ids], np.int32)
    return batch, judge(batch, mapping.kind, rules, codes, cells or KnownCells())


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, Verdict.ACCEPTED),
        ({"user_id": None}, Verdict.NULL_VALUE__USER_ID),
        ({"user_id": b""}, Verdict.NULL_VALUE__USER_ID),
        ({"timestamp": None}, Verdict.NULL_VALUE__TIMESTAMP),
        ({"timestamp": datetime(1969, 1, 1, tzinfo=UTC)}, Verdict.OUT_OF_RANGE__TIMESTAMP),
        ({"timestamp": datetime(2101, 1, 1, tzinfo=UTC)}, Verdict.OUT_OF_RANGE__TIMESTAMP),
        ({"mcc": None}, Verdict.NO_MNO_INFO),
        ({"mcc": 0}, Verdict.OUT_OF_RANGE__MCC),
        ({"mcc": -450}, Verdict.OUT_OF_RANGE__MCC),
        ({"mcc": 1000}, Verdict.OUT_OF_RANGE__MCC),
        ({"mnc": "x5"}, Verdict.CANNOT_PARSE__MNC),
        ({"mnc": "1000"}, Verdict.OUT_OF_RANGE__MNC),
        ({"mnc": None}, Verdict.ACCEPTED),
        ({"plmn": 450}, Verdict.OUT_OF_RANGE__PLMN),
        ({"plmn": 45005}, Verdict.ACCEPTED),
        ({"plmn": 44010}, Verdict.ACCEPTED),
        ({"plmn": 90112}, Verdict.NO_MNO_INFO),
        ({"cell_id": None}, Verdict.NO_LOCATION),
        ({"cell_id": ""}, Verdict.NO_LOCATION),
        ({"cell_id": None, "latitude": 37.5}, Verdict.NO_LOCATION),
        ({"cell_id": None, "latitude": 37.5, "longitude": 127.0}, Verdict.ACCEPTED),
        ({"latitude": 91.0, "longitude": 127.0}, Verdict.OUT_OF_RANGE__COORDINATES),
        ({"latitude": 37.5, "longitude": -180.5}, Verdict.OUT_OF_RANGE__COORDINATES),
        ({"latitude": float("nan"), "longitude": 127.0}, Verdict.ACCEPTED),
        ({"cell_id": None, "plmn": 44010}, Verdict.ACCEPTED),  # abroad needs no cell
    ],
)
def test_one_reason_per_row(change, expected):
    # A good row on either side: a fault must not spread.
    _, judged = verdicts({}, change, {})
    assert [Verdict(v) for v in judged.verdict] == [Verdict.ACCEPTED, expected, Verdict.ACCEPTED]


@pytest.mark.parametrize(
    ("change", "target"),
    [
        ({}, Target.EVENTS),
        ({"plmn": 45008}, Target.EVENTS),
        ({"mcc": 440}, Target.INBOUND),
        ({"mcc": 440, "plmn": 45005}, Target.INBOUND),
        ({"plmn": 44010}, Target.OUTBOUND),
        ({"plmn": 310260}, Target.OUTBOUND),
    ],
)
def test_domain_rule_of_multi_mno(change, target):
    assert Target(verdicts(change)[1].target[0]) is target


def test_a_country_of_several_codes_is_one_country():
    rows = [{"mcc": 311}, {"mcc": 310, "plmn": 316010}, {"mcc": 302}, {"mcc": 310, "plmn": 302220}]
    targets = verdicts(*rows, rules=Rules(mcc=310))[1].target.tolist()
    assert targets == [Target.EVENTS, Target.EVENTS, Target.INBOUND, Target.OUTBOUND]


def test_days_are_local_and_the_period_is_inclusive():
    midnight = datetime(2020, 2, 1, tzinfo=timezone(timedelta(hours=9)))
    rules = Rules(first_day=DAY, last_day=DAY)
    moments = [midnight - timedelta(microseconds=1), midnight, midnight + timedelta(days=1, microseconds=-1), midnight + timedelta(days=1)]
    _, judged = verdicts(*({"timestamp": m} for m in moments), rules=rules)
    assert judged.day.tolist() == [DAY - 1, DAY, DAY, DAY + 1]
    out = Verdict.OUT_OF_PERIOD
    assert judged.verdict.tolist() == [out, 0, 0, out]


def test_cells_are_checked_against_validity():
    cells = KnownCells(
        known=np.array([True, False, True]),
        start=np.array([0, 2, 3, 4]),
        first=np.array([-(2**30), DAY + 2, -(2**30), DAY], np.int32),
        last=np.array([DAY - 1, 2**30, 2**30, DAY], np.int32),
    )
    rules = Rules(check_cells=True)
    rows = [{"cell_id": name} for name in ("gap", "bare", "valid", "never-seen")]
    rows += [{"cell_id": "gap", "timestamp": NOON + timedelta(days=2)}, {"cell_id": "never-seen", "plmn": 44010}]
    rows += [{"cell_id": None, "latitude": 1.0, "longitude": 1.0}]
    _, judged = verdicts(*rows, rules=rules, cells=cells, codes={"gap": 0, "bare": 1, "valid": 2})
    v = Verdict
    assert judged.verdict.tolist() == [v.CELL_NOT_VALID, v.UNKNOWN_CELL, 0, v.UNKNOWN_CELL, 0, 0, 0]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"mcc": "450"}, Verdict.ACCEPTED),
        ({"mcc": " 450 "}, Verdict.ACCEPTED),
        ({"mcc": "four"}, Verdict.CANNOT_PARSE__MCC),
        ({"mcc": "4.5e2"}, Verdict.ACCEPTED),
        ({"mcc": "450.5"}, Verdict.CANNOT_PARSE__MCC),
        ({"mcc": ""}, Verdict.NO_MNO_INFO),
        ({"mcc": "99999999999999"}, Verdict.OUT_OF_RANGE__MCC),
        ({"plmn": "4401O"}, Verdict.CANNOT_PARSE__PLMN),
        ({"latitude": "north"}, Verdict.CANNOT_PARSE__COORDINATES),
        ({"latitude": "1e999", "longitude": "1"}, Verdict.OUT_OF_RANGE__COORDINATES),
        ({"timestamp": "2020-02-30T00:00:00Z"}, Verdict.CANNOT_PARSE__TIMESTAMP),
        ({"timestamp": ""}, Verdict.NULL_VALUE__TIMESTAMP),
    ],
)
def test_text_columns_are_read_row_by_row(change, expected):
    text = {"user_id": "u", "timestamp": "2020-02-01T12:00:00+09:00", "mcc": "450", "latitude": "37.5", "longitude": "127"}
    _, judged = verdicts(text, {**text, **change}, text, types=TEXT)
    assert [Verdict(v) for v in judged.verdict] == [Verdict.ACCEPTED, expected, Verdict.ACCEPTED]


def test_user_ids_of_all_types_are_one_subscriber():
    numbers = []
    for kind, value in [(pa.binary(), b"77"), (pa.string(), "77"), (pa.large_string(), "77"), (pa.int64(), 77), (pa.binary(2), b"77")]:
        types = SCHEMA.set(0, pa.field("user_id", kind))
        numbers.append(int(verdicts({"user_id": value}, types=types)[0].subscriber[0]))
    coded = pa.table({"user_id": pa.array(["77"]).dictionary_encode(), "timestamp": pa.array([NOON]), "cell_id": ["c"], "mcc": [450]})
    numbers.append(int(prepare(coded, BUILT_IN["multimno"], RULES, where="f").subscriber[0]))
    assert len(set(numbers)) == 1


@pytest.mark.parametrize(
    ("position", "kind", "value"),
    [
        (0, pa.bool_(), True),
        (1, pa.bool_(), True),
        (1, pa.int64(), 5),
        (2, pa.bool_(), True),
        (5, pa.float64(), 1.0),
        (6, pa.bool_(), True),
    ],
)
def test_wrong_types_name_file_and_column(position, kind, value):
    name = SCHEMA.names[position]
    with pytest.raises(WrongTypeError, match=rf"f: column '{name}' is of type"):
        verdicts({name: value}, types=SCHEMA.set(position, pa.field(name, kind)))


def test_naive_stamps_need_a_zone_and_say_where():
    naive = SCHEMA.set(1, pa.field("timestamp", pa.timestamp("ms")))
    row = {"timestamp": datetime(2020, 2, 1, 12)}  # noqa: DTZ001
    with pytest.raises(NaiveTimestampError, match="f, row 1") as caught:
        verdicts(row, types=naive)
    assert "--naive-timezone" in caught.value.hint
    batch, _ = verdicts(row, types=naive, rules=Rules(naive_timezone="Asia/Seoul"))
    assert datetime.fromtimestamp(batch.stamp[0] / 1e6, UTC) == NOON
    with pytest.raises(NaiveTimestampError, match="row 2"):
        verdicts({"user_id": "u", "timestamp": "2020-02-01T00:00Z"}, {"timestamp": "2020-02-01 00:00", "user_id": "u"}, types=TEXT)


def test_mixed_stamps_with_and_without_offset():
    rows = [{"user_id": "u", "timestamp": t} for t in ("2020-02-01T12:00+09:00", "2020-02-01T12:00", "2020-02-01T03:00Z")]
    batch, _ = verdicts(*rows, types=TEXT, rules=Rules(naive_timezone="Asia/Seoul"))
    assert len(set(batch.stamp.tolist())) == 1


@pytest.mark.parametrize(
    ("form", "value"),
    [
        ("epoch_s", "1580526000"),
        ("epoch_s", "1580526000.0"),
        ("epoch_ms", 1580526000000),
        ("epoch_us", 1580526000000000),
        ("%Y/%m/%d %H:%M:%S", "2020/02/01 12:00:00"),
    ],
)
def test_time_formats(form, value):
    mapping = Mapping(columns={"user_id": "u", "timestamp": "t", "cell_id": "c"}, time_format=form, timezone="Asia/Seoul")
    rows = pa.table({"u": ["a"], "t": [value], "c": [1]})
    batch = prepare(rows, mapping, RULES, where="f")
    assert datetime.fromtimestamp(batch.stamp[0] / 1e6, UTC) == NOON


def test_bad_values_in_time_formats_are_marked():
    for form, bad in [("epoch_s", "soon"), ("%Y/%m/%d", "2020-02-01"), ("epoch_s", "1e300")]:
        mapping = Mapping(columns={"user_id": "u", "timestamp": "t", "cell_id": "c"}, time_format=form, timezone="Asia/Seoul")
        rows = pa.table({"u": ["a", "a"], "t": [bad, None], "c": ["1", "1"]})
        batch = prepare(rows, mapping, RULES, where="f")
        judged = judge(batch, "events", RULES, np.zeros(1, np.int32), KnownCells())
        assert judged.verdict.tolist() == [Verdict.CANNOT_PARSE__TIMESTAMP, Verdict.NULL_VALUE__TIMESTAMP]


def test_cell_ids_of_several_columns():
    mapping = Mapping(columns={"user_id": "u", "timestamp": "t", "cell_id": ["lac", "ci"]}, timezone="Asia/Seoul")
    rows = pa.table({"u": ["a"] * 4, "t": [NOON] * 4, "lac": [7, 7, None, 8], "ci": ["1", "", "1", "1"]})
    batch = prepare(rows, mapping, RULES, where="f")
    assert [batch.cell_ids[i] if i >= 0 else None for i in batch.cell_index] == ["7-1", None, None, "8-1"]


def outbound(*rows):
    table = pa.Table.from_pylist(
        [{"user_id": "u", "timestamp": "2020-02-01T12:00:00+07:00", "plmn": None, "country": None, **r} for r in rows]
    )
    batch = prepare(table, BUILT_IN["roaming-outbound"], RULES, where="f")
    return batch, [Verdict(v) for v in judge(batch, "outbound", RULES, np.zeros(0, np.int32), KnownCells()).verdict]


def test_outbound_needs_a_foreign_country():
    rows = [
        {"plmn": 45201},
        {"country": "VN"},
        {"country": " vn"},
        {},
        {"plmn": 45005},
        {"country": "Vietnam"},
        {"plmn": 99901},
        {"country": "KR"},
    ]
    v = Verdict
    assert outbound(*rows)[1] == [
        0,
        0,
        0,
        v.NO_MNO_INFO,
        v.OUT_OF_RANGE__PLMN,
        v.OUT_OF_RANGE__COUNTRY,
        v.NO_MNO_INFO,
        v.OUT_OF_RANGE__COUNTRY,
    ]


def test_outbound_keeps_the_offset_that_was_written():
    batch, _ = outbound({"plmn": 45201}, {"plmn": 45201, "timestamp": "2020-02-01T12:00:00-10:00"})
    assert batch.offset_min.tolist() == [420, -600]


def test_inbound_network_by_plmn_or_mcc():
    types = pa.schema(
        [
            ("user_id", pa.string()),
            ("timestamp", pa.timestamp("us", "UTC")),
            ("cell_id", pa.string()),
            ("plmn", pa.int32()),
            ("mcc", pa.int32()),
        ]
    )
    rows = [{"plmn": 44010}, {"mcc": 440}, {}, {"plmn": 45005}, {"mcc": 450}]
    rows = [{"user_id": "u", "timestamp": NOON, "cell_id": "c", "mcc": None, **r} for r in rows]
    _, judged = verdicts(*rows, schema="roaming-inbound", types=types)
    v = Verdict
    assert judged.verdict.tolist() == [0, 0, v.NO_MNO_INFO, v.OUT_OF_RANGE__MCC, v.OUT_OF_RANGE__MCC]


def test_an_empty_batch():
    batch, judged = verdicts()
    assert batch.rows == len(judged.verdict) == 0
