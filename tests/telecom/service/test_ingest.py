"""Ingestion end to end: what is stored, what is reported, and that nothing is lost."""

import gzip
import json
import os
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as pcsv
import pyarrow.parquet as pq
import pytest
from rich.console import Console

from oneteam.stats.hashing import siphash24
from oneteam.store.tables import read_manifest, read_parquet, sha256_of
from oneteam.telecom.dataset import TelecomManifest
from oneteam.telecom.ingestion.quality import QUARANTINE
from oneteam.telecom.schemas import CELL_ZONES, CELLS, EVENTS, INBOUND, OUTBOUND, SUBSCRIBERS, ZONES
from oneteam.telecom.service import spill as spill_module
from oneteam.telecom.service.ingest import IngestSettings, ingest
from tests.telecom.carrier import START, event, random_rows, user, write_carrier, write_events, write_topology

KEEP = IngestSettings(unknown_cells="keep")
EXAMPLES = Path(__file__).parents[3] / "examples" / "mappings"


def table(out, name, partition=None):
    """A table of the dataset, or one partition of it, as rows."""
    parts = read_manifest(out, TelecomManifest).tables.get(name, {})
    chosen = [entry for key, entry in sorted(parts.items()) if partition is None or key == partition]
    return [row for entry in chosen for row in read_parquet(out / entry.path).to_pylist()]


def names(out):
    """(user, cell_id, time) of every stored event, in stored order."""
    users = {r["subscriber"]: r["user_id"] for r in table(out, "subscribers")}
    cells = {r["cell"]: r["cell_id"] for r in table(out, "cells")}
    return [(users[r["subscriber"]], cells[r["cell"]], r["timestamp"]) for r in table(out, "events")]


def check_accounts(report):
    """accepted + rejected + duplicates == rows, in total and by file."""
    assert sum(report.accepted.values()) + sum(report.rejected.values()) + report.duplicates == report.rows
    for source in report.sources:
        assert sum(source.accepted.values()) + sum(source.rejected.values()) + source.repeated == source.rows


def check_files(out):
    """The stored form: schemas, hashes, order, no duplicates, days that are days."""
    manifest = read_manifest(out, TelecomManifest)
    schemas = {
        "events": EVENTS, "inbound": INBOUND, "outbound": OUTBOUND, "subscribers": SUBSCRIBERS, "cells": CELLS, "zones": ZONES,
        "cell_zones": CELL_ZONES, "cell_zones_given": CELL_ZONES, "quarantine": QUARANTINE,
    }  # fmt: skip
    for name, partitions in manifest.tables.items():
        for partition, entry in partitions.items():
            path = out / entry.path
            assert sha256_of(path) == entry.sha256
            rows = pq.read_table(path, partitioning=None)
            assert rows.schema.remove_metadata() == schemas[name], name
            assert rows.num_rows == entry.rows
            if name in {"events", "inbound", "outbound"}:
                keys = ["subscriber", "timestamp"] + (["cell"] if name != "outbound" else [])
                listed = list(zip(*(rows[key].to_pylist() for key in keys), strict=True))
                assert listed == sorted(listed)
                assert name == "outbound" or len(set(listed)) == len(listed)
                assert {(t + timedelta(hours=9)).date().isoformat() for t in rows["timestamp"].to_pylist()} == {partition}
    live = {entry.path for parts in manifest.tables.values() for entry in parts.values()} | set(manifest.retired)
    there = {str(p.relative_to(out)) for p in out.rglob("*") if p.is_file()} - {"manifest.json", ".lock"}
    assert there == live


def snapshot(out):
    return {str(p.relative_to(out)): (p.read_bytes(), p.stat().st_mtime_ns) for p in out.rglob("*") if p.is_file() and p.name != ".lock"}


def content(out, tables=("events", "inbound", "outbound")):
    """What the dataset says, whatever its cells are numbered."""
    cells = {r["cell"]: r["cell_id"] for r in table(out, "cells")}
    return {
        (name, partition): sorted(
            (r["subscriber"], r["timestamp"], cells.get(r.get("cell")), str(r.get("plmn"))) for r in table(out, name, partition)
        )
        for name in tables
        for partition in read_manifest(out, TelecomManifest).tables.get(name, {})
    }


def test_a_carrier_folder_becomes_a_dataset(tmp_path):
    carrier, out = write_carrier(tmp_path / "carrier"), tmp_path / "out"
    report = ingest([carrier], out, IngestSettings(max_speed_m_s=0))
    rows = random_rows(2_000)
    expected = sorted({(r["user_id"], r["cell_id"], r["timestamp"]) for r in rows})
    assert sorted(names(out)) == expected
    check_accounts(report)
    check_files(out)
    assert report.accepted == {"cells": 20, "events": len(expected)}
    assert report.duplicates == len(rows) - len(expected)
    assert (report.first_day, report.last_day) == ("2020-02-01", "2020-02-02")
    assert report.subscribers == report.subscribers_new == 40
    stored = table(out, "subscribers")
    assert [r["subscriber"] for r in stored] == siphash24(pa.array([r["user_id"] for r in stored])).tolist()
    for day in report.days:
        here = table(out, "events", day.day)
        assert (day.rows, day.added, day.active) == (len(here), len(here), len({r["subscriber"] for r in here}))
        gaps = np.sort([(b["timestamp"] - a["timestamp"]).total_seconds() for a, b in pairwise(here) if a["subscriber"] == b["subscriber"]])
        assert day.gap_s == [int(gaps[int(np.ceil(q * len(gaps))) - 1]) for q in (0.25, 0.5, 0.75, 0.95)]


def test_a_second_run_changes_nothing(tmp_path):
    carrier, out = write_carrier(tmp_path / "carrier"), tmp_path / "out"
    first = ingest([carrier], out, IngestSettings())
    before = snapshot(out)
    again = ingest([carrier], out, IngestSettings())
    assert first.changed
    assert not again.changed
    assert snapshot(out) == before
    assert {source.state for source in again.sources} == {"already-ingested"}
    assert again.subscribers == first.subscribers


def test_the_same_content_under_two_names_is_read_once(tmp_path):
    rows = [event(1, 1), event(2, 2)]
    write_events(tmp_path / "a.parquet", rows)
    write_events(tmp_path / "b.parquet", rows)
    report = ingest([tmp_path / "a.parquet", tmp_path / "b.parquet"], tmp_path / "out", KEEP)
    assert [source.state for source in report.sources] == ["already-ingested", "read"] or report.accepted == {"events": 2}
    assert report.rows == 2


def test_late_days_merge_into_the_same_dataset(tmp_path):
    rows = random_rows(3_000, days=3)
    settings = IngestSettings(max_speed_m_s=0, unknown_cells="keep")
    write_events(tmp_path / "all.parquet", rows)
    ingest([tmp_path / "all.parquet"], tmp_path / "at_once", settings)
    reports = []
    for number, part in enumerate((rows[2_000:], rows[:1_000], rows[500:2_000])):
        write_events(tmp_path / f"part{number}.parquet", part)
        reports.append(ingest([tmp_path / f"part{number}.parquet"], tmp_path / "by_parts", settings))
        check_accounts(reports[-1])
        check_files(tmp_path / "by_parts")
    assert content(tmp_path / "by_parts") == content(tmp_path / "at_once")
    assert sum(r.subscribers_new for r in reports) == reports[-1].subscribers == 40
    # Days whose rows are all known keep their files.
    write_events(tmp_path / "old.parquet", rows[:700])
    before = read_manifest(tmp_path / "by_parts", TelecomManifest).tables["events"]
    report = ingest([tmp_path / "old.parquet"], tmp_path / "by_parts", settings)
    assert (report.accepted, report.duplicates) == ({}, 700)
    assert read_manifest(tmp_path / "by_parts", TelecomManifest).tables["events"] == before


def test_order_of_sources_and_size_of_batches_do_not_matter(tmp_path):
    rows = random_rows(3_000, days=3)
    for number in range(3):
        write_events(tmp_path / f"{number}.parquet", rows[number::3], row_group_size=97)
    files = [tmp_path / f"{number}.parquet" for number in range(3)]
    ingest(files, tmp_path / "a", IngestSettings(unknown_cells="keep", max_speed_m_s=0))
    ingest(files[::-1], tmp_path / "b", IngestSettings(unknown_cells="keep", max_speed_m_s=0, batch_rows=50))
    ingest(files, tmp_path / "c", IngestSettings(unknown_cells="keep", max_speed_m_s=0, batch_rows=20))
    assert content(tmp_path / "a") == content(tmp_path / "b") == content(tmp_path / "c")


def test_same_input_same_bytes(tmp_path):
    carrier = write_carrier(tmp_path / "carrier")
    for name in "ab":
        ingest([carrier], tmp_path / name, IngestSettings())
    a, b = (tmp_path / name for name in "ab")
    assert (a / "manifest.json").read_bytes() == (b / "manifest.json").read_bytes()


def test_huge_days_are_split_and_stay_sorted(tmp_path, monkeypatch):
    rows = random_rows(3_000, days=2, users=300)
    write_events(tmp_path / "e.parquet", rows)
    ingest([tmp_path / "e.parquet"], tmp_path / "whole", KEEP)
    monkeypatch.setattr(spill_module, "_BLOCK", 400)
    monkeypatch.setattr(spill_module.finish_day, "__defaults__", (300,))
    report = ingest([tmp_path / "e.parquet"], tmp_path / "split", KEEP)
    check_accounts(report)
    check_files(tmp_path / "split")
    assert content(tmp_path / "split") == content(tmp_path / "whole")
    assert report.days == ingest([tmp_path / "e.parquet"], tmp_path / "other", KEEP).days


BAD_ROWS = {
    "null_value:user_id": event(user_id=None),
    "null_value:timestamp": event(timestamp=None),
    "out_of_range:timestamp": event(timestamp=datetime(1960, 1, 1, tzinfo=UTC)),
    "no_mno_info": event(mcc=None),
    "out_of_range:mcc": event(mcc=4_500),
    "out_of_range:plmn": event(plmn=7),
    "cannot_parse:mnc": event(mnc="five"),
    "no_location": event(cell=None),
    "out_of_range:coordinates": event(latitude=91.0, longitude=0.0),
    "out_of_period": event(minute=-1),
    "unknown_cell": event(cell="nowhere"),
    "cell_not_valid": event(cell="c1"),
}


def test_every_reason_reaches_report_and_quarantine(tmp_path):
    dates = {"valid_date_start": [None, date(2021, 1, 1), *[None] * 18]}
    write_topology(tmp_path / "in" / "topology.parquet", **dates)
    write_events(tmp_path / "in" / "events.parquet", [event(1, 5), *BAD_ROWS.values(), event(1, 5), event(2, 7)])
    report = ingest([tmp_path / "in"], tmp_path / "out", IngestSettings(from_date=date(2020, 2, 1), until_date=date(2020, 2, 1)))
    assert report.rejected == dict.fromkeys(sorted(BAD_ROWS), 1)
    assert report.duplicates == 1
    assert report.accepted == {"cells": 20, "events": 2}
    check_accounts(report)
    check_files(tmp_path / "out")
    stored = table(tmp_path / "out", "quarantine")
    assert [(r["row"], f"{r['reason']}:{r['detail']}".rstrip(":")) for r in stored] == list(enumerate(BAD_ROWS, start=2))
    by_reason = {r["reason"]: r for r in stored}
    assert by_reason["unknown_cell"]["cell_id"] == "nowhere"
    assert by_reason["unknown_cell"]["user_id"] == user(1).decode()
    assert by_reason["unknown_cell"]["source"].endswith("events.parquet")
    assert "2020-01-31" in by_reason["unknown_cell"]["timestamp"]
    assert next(r for r in stored if r["detail"] == "plmn")["plmn"] == "7"


def test_a_wholly_bad_file_makes_no_events(tmp_path):
    write_events(tmp_path / "e.parquet", [event(user_id=None)] * 5)
    report = ingest([tmp_path / "e.parquet"], tmp_path / "out", KEEP)
    assert report.rejected == {"null_value:user_id": 5}
    assert "events" not in read_manifest(tmp_path / "out", TelecomManifest).tables
    check_files(tmp_path / "out")


def test_user_ids_that_are_not_text_are_shown_as_hex(tmp_path):
    write_events(tmp_path / "e.parquet", [event(user_id=b"\xff\x00", cell=None), event(user_id=b"\xff\x00")])
    ingest([tmp_path / "e.parquet"], tmp_path / "out", KEEP)
    assert table(tmp_path / "out", "quarantine")[0]["user_id"] == "ff00"
    assert table(tmp_path / "out", "subscribers")[0]["user_id"] == b"\xff\x00"


def test_impossible_speeds_go_to_quarantine_with_their_values(tmp_path):
    # c0 and c19 are 42 km apart.
    rows = [event(1, 0, "c0"), event(1, 1, "c19"), event(1, 2, "c0"), event(2, 0, "c0"), event(2, 60, "c19"), event(2, 120, "c0")]
    write_topology(tmp_path / "in" / "topology.parquet")
    write_events(tmp_path / "in" / "events.parquet", rows)
    report = ingest([tmp_path / "in"], tmp_path / "out", IngestSettings())
    assert report.rejected == {"impossible_speed": 1}
    assert report.days[0].impossible_speed == 1
    check_accounts(report)
    (bad,) = table(tmp_path / "out", "quarantine")
    assert (bad["reason"], bad["user_id"], bad["cell_id"]) == ("impossible_speed", user(1).decode(), "c19")
    assert bad["timestamp"].startswith("2020-01-31 15:01")
    assert len(names(tmp_path / "out")) == 5


def test_late_events_can_reveal_an_impossible_one(tmp_path):
    write_topology(tmp_path / "topology.parquet")
    write_events(tmp_path / "1.parquet", [event(1, 0, "c0"), event(1, 1, "c19")])
    write_events(tmp_path / "2.parquet", [event(1, 2, "c0")])
    settings = IngestSettings(topology=tmp_path / "topology.parquet")
    assert ingest([tmp_path / "1.parquet"], tmp_path / "out", settings).accepted["events"] == 2
    report = ingest([tmp_path / "2.parquet"], tmp_path / "out", settings)
    assert report.rejected == {"impossible_speed": 1}
    check_accounts(report)
    assert [n[1] for n in names(tmp_path / "out")] == ["c0", "c0"]


def test_domains_go_to_their_tables(tmp_path):
    rows = [
        event(1, 0),
        event(2, 1, mcc=440, mnc="10"),
        event(2, 1, mcc=440, mnc=None),
        event(3, 2, plmn=45201, cell=None),
        event(3, 3, plmn=45008),
        event(4, 4, mcc=901),
    ]
    write_events(tmp_path / "e.parquet", rows)
    report = ingest([tmp_path / "e.parquet"], tmp_path / "out", KEEP)
    assert report.accepted == {"events": 2, "inbound": 2, "outbound": 1}
    assert report.duplicates == 1
    check_files(tmp_path / "out")
    inbound = table(tmp_path / "out", "inbound")
    assert sorted((r["mcc"], r["mnc"], r["country"]) for r in inbound if r["mcc"] == 440 and r["mnc"]) == [(440, 10, "JP")]
    assert [(r["mnc"], r["country"]) for r in inbound if r["mcc"] == 901] == [(5, None)]
    (abroad,) = table(tmp_path / "out", "outbound")
    assert (abroad["plmn"], abroad["country"], abroad["utc_offset_min"], abroad["event_type"]) == (45201, "VN", 540, None)


def test_rows_without_cell_get_a_pseudo_cell(tmp_path):
    rows = [event(1, 0, None, latitude=37.561, longitude=126.978), event(1, 1, None, latitude=37.559, longitude=126.981), event(1, 2, "c0")]
    write_events(tmp_path / "e.parquet", rows)
    write_topology(tmp_path / "t.parquet")
    report = ingest([tmp_path / "e.parquet", tmp_path / "t.parquet"], tmp_path / "out", IngestSettings())
    assert report.accepted["events"] == 3
    assert [n[1] for n in names(tmp_path / "out")] == ["geo:37.56,126.98", "geo:37.56,126.98", "c0"]
    (pseudo,) = [r for r in table(tmp_path / "out", "cells") if r["cell_id"].startswith("geo:")]
    assert (pseudo["latitude"], pseudo["longitude"]) == (37.56, 126.98)


OUTBOUND_CSV = """user_id,timestamp,plmn,country,event_type
a,2020-02-01T12:00:00+07:00,45201,VN,data
a,2020-02-01T12:00:00+07:00,45201,VN,data
a,2020-02-01T12:00:00+07:00,45201,VN,call
b,2020-02-01T23:30:00-05:00,310260,,
b,2020-02-02T01:00:00,310260,US,sms
c,2020-02-01T12:00:00+07:00,,,sms
d,2020-02-01T12:00:00+07:00,45005,,sms
"""


def test_outbound_records(tmp_path):
    (tmp_path / "o.csv").write_text(OUTBOUND_CSV)
    report = ingest([tmp_path / "o.csv"], tmp_path / "out", IngestSettings(naive_timezone="America/New_York"))
    check_accounts(report)
    check_files(tmp_path / "out")
    assert report.accepted == {"outbound": 4}
    assert report.duplicates == 1
    assert report.rejected == {"no_mno_info": 1, "out_of_range:plmn": 1}
    users = {r["subscriber"]: r["user_id"].decode() for r in table(tmp_path / "out", "subscribers")}
    got = [
        (users[r["subscriber"]], r["utc_offset_min"], r["plmn"], r["country"], r["event_type"]) for r in table(tmp_path / "out", "outbound")
    ]
    assert sorted(got, key=str) == [
        ("a", 420, 45201, "VN", "call"),
        ("a", 420, 45201, "VN", "data"),
        ("b", -300, 310260, "US", None),
        ("b", 540, 310260, "US", "sms"),
    ]
    # Late records of another kind of event merge into the same day and keep the texts.
    (tmp_path / "late.csv").write_text("user_id,timestamp,plmn,country,event_type\na,2020-02-01T12:00:00+07:00,45201,VN,a-first\n")
    ingest([tmp_path / "late.csv"], tmp_path / "out", IngestSettings())
    kinds = [r["event_type"] for r in table(tmp_path / "out", "outbound", "2020-02-01") if r["plmn"] == 45201]
    assert kinds == ["a-first", "call", "data"]


def test_inbound_records_merge(tmp_path):
    (tmp_path / "i.csv").write_text("user_id,timestamp,cell_id,plmn,country\na,2020-02-01T12:00:00Z,c1,44010,JP\n")
    (tmp_path / "j.csv").write_text(
        "user_id,timestamp,cell_id,plmn,country\na,2020-02-01T11:00:00Z,c1,44010,JP\nb,2020-02-01T11:00:00Z,c1,45005,KR\n"
    )
    ingest([tmp_path / "i.csv"], tmp_path / "out", KEEP)
    report = ingest([tmp_path / "j.csv"], tmp_path / "out", KEEP)
    assert report.rejected == {"out_of_range:mcc": 1}
    rows = table(tmp_path / "out", "inbound")
    assert [(r["timestamp"].hour, r["mcc"], r["mnc"], r["country"]) for r in rows] == [(11, 440, 10, "JP"), (12, 440, 10, "JP")]
    check_files(tmp_path / "out")


FLOWKIT = {
    "calls": "id,outgoing,datetime,duration,network,msisdn,msisdn_counterpart,location_id,imsi,imei,tac,operator_code,country_code",
    "sms": "id,outgoing,datetime,network,msisdn,msisdn_counterpart,location_id,imsi,imei,tac,operator_code,country_code",
    "mds": "id,datetime,duration,volume_total,volume_upload,volume_download,msisdn,location_id,imsi,imei,tac,operator_code,country_code",
    "topups": "id,datetime,type,recharge_amount,airtime_fee,tax_and_fee,pre_event_balance,post_event_balance,msisdn,location_id,imsi,tac",
}


@pytest.mark.parametrize("kind", FLOWKIT)
@pytest.mark.parametrize("schema", ["auto", "named"])
def test_flowkit_tables(tmp_path, kind, schema):
    values = {"datetime": "2020-02-01 09:00:00+0900", "msisdn": "AB12", "location_id": "c7"}
    header = FLOWKIT[kind].split(",")
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / f"{kind}.csv").write_text(FLOWKIT[kind] + "\n" + ",".join(values.get(name, "1") for name in header) + "\n")
    (tmp_path / "cells.csv").write_text("location_id,lon,lat,date_of_first_service\nc7,127.5,37.5,2019-01-01\n")
    settings = IngestSettings(schema="auto" if schema == "auto" else f"flowkit-{kind}", topology=tmp_path / "cells.csv")
    report = ingest([tmp_path / "in"], tmp_path / "out", settings)
    assert report.accepted == {"cells": 1, "events": 1}
    assert names(tmp_path / "out") == [(b"AB12", "c7", datetime(2020, 2, 1, tzinfo=UTC))]
    assert table(tmp_path / "out", "cells")[0]["longitude"] == 127.5


def test_csv_and_parquet_give_the_same_dataset(tmp_path):
    rows = random_rows(500)
    path = write_events(tmp_path / "e.parquet", rows)
    text = pq.read_table(path)
    text = text.set_column(0, "user_id", text["user_id"].cast(pa.string()))
    pcsv.write_csv(text, tmp_path / "e.csv")
    (tmp_path / "e.csv.gz").write_bytes(gzip.compress((tmp_path / "e.csv").read_bytes()))
    for name in ("e.parquet", "e.csv", "e.csv.gz"):
        ingest([tmp_path / name], tmp_path / ("out-" + name), KEEP)
    assert content(tmp_path / "out-e.parquet") == content(tmp_path / "out-e.csv") == content(tmp_path / "out-e.csv.gz")


def test_generic_csv_example_in_cp949(tmp_path):
    lines = [
        "subs_no;used_at;enb_id;sector;home_mcc;비고",
        "8f14;2024/03/01 09:30:15;10233;2;450;서울",
        "8f14;-;10233;2;450;부산",
        "9a;2024-03-01;1;1;450;",
    ]
    (tmp_path / "usage.csv").write_bytes("\n".join(lines).encode("cp949"))
    report = ingest([tmp_path / "usage.csv"], tmp_path / "out", IngestSettings(schema=str(EXAMPLES / "generic_csv.toml")))
    assert report.rejected == {"cannot_parse:timestamp": 1, "null_value:timestamp": 1}
    assert names(tmp_path / "out") == [(b"8f14", "10233-2", datetime(2024, 3, 1, 0, 30, 15, tzinfo=UTC))]


def test_lines_that_are_no_rows_are_counted_and_kept(tmp_path):
    (tmp_path / "e.csv").write_text(
        "user_id,timestamp,mcc,cell_id\na,2020-02-01T00:00Z,450,c\nbroken,line\nb,2020-02-01T00:00Z,450,c,extra,more\n"
    )
    report = ingest([tmp_path / "e.csv"], tmp_path / "out", KEEP)
    check_accounts(report)
    assert (report.rows, report.accepted, report.rejected) == (3, {"events": 1}, {"cannot_parse:row": 2})
    assert [r["detail"] for r in table(tmp_path / "out", "quarantine")] == ["row: broken,line", "row: b,2020-02-01T00:00Z,450,c,extra,more"]


def test_csv_without_header_and_with_bom(tmp_path):
    mapping = tmp_path / "m.toml"
    mapping.write_text(
        "column_names=['who','when','where']\ntime_format='epoch_s'\n[columns]\nuser_id='who'\ntimestamp='when'\ncell_id='where'\n"
    )
    (tmp_path / "e.csv").write_text("a,1580515200,x\nb,1580515260,y\n")
    assert ingest([tmp_path / "e.csv"], tmp_path / "out", IngestSettings(schema=str(mapping))).accepted == {"events": 2}
    (tmp_path / "bom.csv").write_text("\ufeffuser_id,timestamp,mcc,cell_id\na,2020-02-01T00:00Z,450,c\n", encoding="utf-8")
    assert ingest([tmp_path / "bom.csv"], tmp_path / "bom", KEEP).accepted == {"events": 1}


def test_unknown_cells_come_back_with_a_better_topology(tmp_path):
    write_topology(tmp_path / "t.parquet", cells=3)
    write_events(tmp_path / "e.parquet", [event(1, 0, "c0"), event(1, 60, "c9")])
    settings = IngestSettings(topology=tmp_path / "t.parquet")
    assert ingest([tmp_path / "e.parquet"], tmp_path / "out", settings).rejected == {"unknown_cell": 1}
    write_topology(tmp_path / "t.parquet", cells=12)
    report = ingest([tmp_path / "e.parquet"], tmp_path / "out", settings)
    check_accounts(report)
    assert (report.accepted["events"], report.rejected) == (1, {})
    assert [n[1] for n in names(tmp_path / "out")] == ["c0", "c9"]
    before = snapshot(tmp_path / "out")
    assert not ingest([tmp_path / "e.parquet"], tmp_path / "out", settings).changed
    assert snapshot(tmp_path / "out") == before


def test_zones_and_lookup(tmp_path):
    carrier = write_carrier(tmp_path / "carrier", rows=50)
    (tmp_path / "zones.csv").write_text("code,name,latitude,longitude\n01,south,37.0,127.0\n02,north,37.38,127.0\n")
    settings = IngestSettings(zones=tmp_path / "zones.csv", zone_version="2020")
    ingest([carrier], tmp_path / "out", settings)
    check_files(tmp_path / "out")
    manifest = read_manifest(tmp_path / "out", TelecomManifest)
    assert manifest.zone_version == "2020"
    assert [z["code"] for z in table(tmp_path / "out", "zones")] == ["01", "02"]
    lookup = {r["cell"]: r["zone"] for r in sorted(table(tmp_path / "out", "cell_zones"), key=lambda r: r["weight"])}
    assert (lookup[0], lookup[19]) == (0, 1)
    before = snapshot(tmp_path / "out")
    assert not ingest([carrier], tmp_path / "out", settings).changed
    assert snapshot(tmp_path / "out") == before
    # A lookup of one's own wins, and still does when the topology grows later.
    (tmp_path / "own.csv").write_text("cell_id,zone_code\nc0,02\n")
    ingest([carrier], tmp_path / "out", IngestSettings(zones=tmp_path / "zones.csv", zone_version="2020", cell_zones=tmp_path / "own.csv"))
    assert [r["zone"] for r in table(tmp_path / "out", "cell_zones") if r["cell"] == 0] == [1]
    write_topology(tmp_path / "more.parquet", cells=25)
    ingest([tmp_path / "more.parquet"], tmp_path / "out", IngestSettings())
    assert [r["zone"] for r in table(tmp_path / "out", "cell_zones") if r["cell"] == 0] == [1]
    assert {r["cell"] for r in table(tmp_path / "out", "cell_zones")} == set(range(25))
    check_files(tmp_path / "out")


def test_local_days_follow_the_datasets_zone(tmp_path):
    (tmp_path / "e.csv").write_text(
        "user_id,timestamp,mcc,cell_id\na,2020-03-29T00:30:00+01:00,206,c\na,2020-03-29T23:30:00+02:00,206,c\na,2020-03-30T00:30:00+02:00,206,c\n"
    )
    settings = IngestSettings(timezone="Europe/Brussels", mcc=206, unknown_cells="keep")
    report = ingest([tmp_path / "e.csv"], tmp_path / "out", settings)
    assert [(d.day, d.rows) for d in report.days] == [("2020-03-29", 2), ("2020-03-30", 1)]


def test_report_renders(tmp_path):
    write_events(tmp_path / "e.parquet", [event(1, 0), event(1, 0), event(1, 5), event(user_id=None)])
    report = ingest([tmp_path / "e.parquet"], tmp_path / "out", KEEP)
    document = json.loads(report.to_json())
    assert document["rejected"] == {"null_value:user_id": 1}
    console = Console(width=120, record=True, file=open(os.devnull, "w"))  # noqa: PTH123, SIM115
    for part in report.to_tables():
        console.print(part)
    console.file.close()
    text = console.export_text()
    for expected in ("e.parquet", "null_value:user_id", "duplicate", "2020-02-01", "5.0"):
        assert expected in text


def test_progress_reaches_its_total(tmp_path):
    carrier = write_carrier(tmp_path / "carrier")
    calls = []
    ingest([carrier], tmp_path / "out", IngestSettings(), lambda *args: calls.append(args))
    last = {step: (done, total) for step, done, total in calls}
    assert last == {"reading rows": (2_000, 2_000.0), "sorting days": (2, 2)}


def data_folder():
    root = Path(os.environ.get("ONETEAM_DATA", Path(__file__).parents[4] / "shared" / "data"))
    return root / "xdr" / "shanghai_201508.parquet"


@pytest.mark.skipif(not data_folder().exists(), reason="the real xDR file is not there (set ONETEAM_DATA)")
def test_the_real_xdr_file(tmp_path):
    settings = IngestSettings(schema=str(EXAMPLES / "xdr_shanghai.toml"), timezone="Asia/Shanghai", mcc=460)
    report = ingest([data_folder()], tmp_path / "out", settings)
    check_accounts(report)
    raw = pq.read_table(data_folder(), columns=["user_hash", "lac", "ci", "start_ts"]).to_pylist()
    distinct = {(r["user_hash"], f"{r['lac']}-{r['ci']}", r["start_ts"]) for r in raw}
    assert (report.rows, report.accepted, report.rejected) == (len(raw), {"events": len(distinct)}, {})
    assert report.cells == report.cells_without_coordinates == len({d[1] for d in distinct})
    assert report.subscribers == len({d[0] for d in distinct})
    per_day = Counter(d[2].date().isoformat() for d in distinct)
    assert {d.day: d.rows for d in report.days} == dict(per_day)
    stored = sorted((u.decode(), c, t.replace(tzinfo=None) + timedelta(hours=8)) for u, c, t in names(tmp_path / "out"))
    assert stored == sorted(distinct)


def test_start_is_midnight_in_korea():
    assert (START + timedelta(hours=9)).isoformat() == "2020-02-01T00:00:00+00:00"
