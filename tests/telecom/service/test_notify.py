"""Notices on a stored dataset: who is on the list, and who can read it."""

from __future__ import annotations

import csv
import stat
from datetime import date
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from oneteam.core.errors import DatasetCorruptError, NothingFoundError, UnknownValueError
from oneteam.store.tables import Transaction
from oneteam.telecom.dataset import TelecomManifest
from oneteam.telecom.notices.countries import country_code
from oneteam.telecom.notices.sightings import notified_contributions
from oneteam.telecom.schemas import SUBSCRIBERS
from oneteam.telecom.service.notify import find_exposed, find_travellers, notify_exposed, notify_travellers
from tests.telecom.datasets import kst, write_dataset

CELLS = [
    {"cell": 0, "cell_id": "old", "latitude": 37.5, "longitude": 127.0, "range": 500.0, "valid_date_end": date(2024, 2, 2)},
    {"cell": 1, "cell_id": "new", "latitude": 37.5, "longitude": 127.0, "range": 500.0, "valid_date_start": date(2024, 2, 3)},
    {"cell": 2, "cell_id": "far", "latitude": 37.9, "longitude": 127.5, "range": 500.0},
]
CELL_ZONES = [{"cell": cell, "zone": zone, "weight": 1.0} for cell, zone in ((0, 0), (1, 0), (2, 1))]
IDS = {1: b"alice", 2: bytes([0xFF, 0x00, 0xAB]), 3: "가입자".encode(), 4: b"line\nbreak", 5: b"only-abroad"}


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = write_dataset(
        tmp_path / "data",
        [
            (1, kst("2024-02-02T23:50:00"), 0),
            (1, kst("2024-02-03T00:10:00"), 1),
            (1, kst("2024-02-03T09:00:00"), 2),
            (2, kst("2024-02-02T12:00:00"), 0),
            (2, kst("2024-02-03T12:00:00"), 0),
            (3, kst("2024-02-02T23:55:00"), 2),
            (3, kst("2024-02-05T08:00:00"), 2),
            (4, kst("2024-02-01T10:00:00"), 2),
        ],
        cells=CELLS,
        cell_zones=CELL_ZONES,
        outbound=[
            (1, kst("2024-01-10T10:00:00"), 420, "VN"),
            (2, kst("2024-02-02T12:00:00"), 420, "VN"),
            (3, kst("2024-02-03T10:00:00"), 420, "VN"),
            (3, kst("2024-02-03T12:00:00"), 420, "VN"),
            (3, kst("2024-02-04T12:00:00"), 420, "TH"),
            (4, kst("2024-02-04T12:00:00"), 540, "JP"),
            (5, kst("2024-02-04T01:00:00.9"), 420, "TH"),
        ],
    )
    with Transaction(folder, TelecomManifest()) as change:
        change.remove("subscribers", "000001")
        for number, part in (("000002", (1, 2, 3)), ("000003", (3, 4, 5))):
            rows = pa.table({"subscriber": list(part), "user_id": [IDS[who] for who in part]}, schema=SUBSCRIBERS)
            change.write("subscribers", number, rows)
    return folder


def read(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_travellers_with_their_last_time_there_and_the_day_they_came_back(data: Path, tmp_path: Path):
    out = tmp_path / "list.csv"
    summary = notify_travellers(data, ["VN", "태국"], 2, None, out)
    assert read(out) == [
        {"user_id": "가입자", "country": "TH", "last_seen_abroad": "2024-02-04T12:00:00+09:00", "returned_on": "2024-02-05"},
        {"user_id": "가입자", "country": "VN", "last_seen_abroad": "2024-02-03T12:00:00+09:00", "returned_on": "2024-02-05"},
        {"user_id": "only-abroad", "country": "TH", "last_seen_abroad": "2024-02-04T01:00:00+09:00", "returned_on": ""},
    ]
    assert (summary.subscribers, summary.rows, summary.days) == (2, 3, 2)


def test_the_window_is_inclusive_and_ends_with_as_of(data: Path, tmp_path: Path):
    out = tmp_path / "list.csv"
    notify_travellers(data, ["VN"], 23, date(2024, 2, 2), out)
    # An own-network event in the same moment counts as after the one abroad; bytes that are no text are written as hex.
    assert read(out) == [
        {"user_id": "alice", "country": "VN", "last_seen_abroad": "2024-01-10T10:00:00+09:00", "returned_on": "2024-02-02"},
        {"user_id": "ff00ab", "country": "VN", "last_seen_abroad": "2024-02-02T12:00:00+09:00", "returned_on": "2024-02-02"},
    ]
    notify_travellers(data, ["VN"], 22, date(2024, 2, 2), out)
    assert [row["user_id"] for row in read(out)] == ["ff00ab"]


def test_parquet_has_types_and_both_files_are_for_the_owner_alone(data: Path, tmp_path: Path):
    for name in ("list.csv", "list.parquet"):
        out = tmp_path / name
        out.write_text("old")
        out.chmod(0o644)
        notify_travellers(data, ["JP"], 3, None, out)
        assert stat.S_IMODE(out.stat().st_mode) == 0o600
    table = pq.read_table(tmp_path / "list.parquet")
    assert table.schema.field("last_seen_abroad").type == pa.timestamp("us", tz="Asia/Seoul")
    assert table.to_pylist()[0]["user_id"] == b"line\nbreak".hex()
    assert table.to_pylist()[0]["returned_on"] is None
    assert not list(tmp_path.glob(".*"))


def test_nobody_is_an_empty_list(data: Path, tmp_path: Path):
    out = tmp_path / "list.csv"
    assert notify_travellers(data, ["US"], 21, None, out).subscribers == 0
    assert out.read_text() == "user_id,country,last_seen_abroad,returned_on\n"


VISIT = "2024-02-02T23:50:00+09:00,2024-02-03T00:10:00+09:00"


def visits(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "visits.csv"
    path.write_text(text, encoding="utf-8")
    return path


def test_exposed_across_midnight_and_a_change_of_the_topology(data: Path, tmp_path: Path):
    out = tmp_path / "list.csv"
    asked = visits(tmp_path, f"start,end,latitude,longitude\n{VISIT},37.501,127.0\n")
    summary = notify_exposed(data, asked, out)
    assert read(out) == [
        {
            "user_id": "alice",
            "visits": "1",
            "first_seen": "2024-02-02T23:50:00+09:00",
            "last_seen": "2024-02-03T00:10:00+09:00",
            "minutes": "20",
        }
    ]
    assert (summary.subscribers, summary.days) == (1, 2)
    assert find_exposed(data, asked, min_dwell_s=1201)[0].num_rows == 0
    assert find_exposed(data, asked, min_dwell_s=1200)[0].num_rows == 1


def test_an_event_on_a_cell_out_of_service_is_no_exposure(data: Path, tmp_path: Path):
    noon = "2024-02-03T12:00:00+09:00,2024-02-03T12:00:00+09:00"
    for place in ("latitude,longitude\n{},37.5,127.0", "zone\n{},00000", "cell_id\n{},old"):
        assert find_exposed(data, visits(tmp_path, "start,end," + place.format(noon) + "\n"))[0].num_rows == 0


def test_lingering_reaches_beyond_the_end(data: Path, tmp_path: Path):
    asked = visits(tmp_path, "start,end,zone\n2024-02-03T08:00:00+09:00,2024-02-03T08:30:00+09:00,00001\n")
    assert find_exposed(data, asked, linger_s=1799)[0].num_rows == 0
    assert find_exposed(data, asked, linger_s=1800)[0]["subscriber"].to_pylist() == [1]


def test_nothing_shown_to_the_operator_holds_a_pseudonym(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    shown = []

    def progress(step: str, done: float, total: float | None) -> None:
        shown.append(f"{step} {done} {total}")

    shown.append(str(notify_travellers(data, ["VN", "TH", "JP"], 30, None, tmp_path / "a.csv", progress)))
    shown.append(repr(notify_exposed(data, visits(tmp_path, f"start,end,zone\n{VISIT},00000\n"), tmp_path / "b.csv", progress=progress)))
    text = " ".join([*shown, *capsys.readouterr()])
    assert "do not share" in text
    for raw in IDS.values():
        assert raw.hex() not in text
        assert raw.decode(errors="replace") not in text


def test_contributions_of_both_notices(data: Path, tmp_path: Path):
    travellers, _ = find_travellers(data, ["VN", "TH"], 2)
    assert sorted(tuple(r.values()) for r in notified_contributions(travellers).to_pylist()) == [(3, "TH", 1), (3, "VN", 1), (5, "TH", 1)]
    exposed, _ = find_exposed(data, visits(tmp_path, f"start,end,zone\n{VISIT},00000\n"))
    assert notified_contributions(exposed).to_pylist() == [{"subscriber": 1, "key": "exposed", "value": 1}]


def test_what_cannot_be_done_is_said(data: Path, tmp_path: Path):
    out = tmp_path / "list.csv"
    with pytest.raises(UnknownValueError, match="alpha-2"):
        notify_travellers(data, ["Vietnm"], 21, None, out)
    with pytest.raises(UnknownValueError, match="no country"):
        notify_travellers(data, [], 21, None, out)
    with pytest.raises(UnknownValueError, match="at least 0"):
        notify_travellers(data, ["VN"], -1, None, out)
    with pytest.raises(UnknownValueError, match=r"\.csv or \.parquet"):
        notify_travellers(data, ["VN"], 21, None, tmp_path / "list.xlsx")
    with pytest.raises(NothingFoundError, match="no dataset"):
        notify_travellers(tmp_path, ["VN"], 21, None, out)
    with pytest.raises(NothingFoundError, match="2024-02-01 to 2024-02-05"):
        notify_exposed(data, visits(tmp_path, "start,end,zone\n2025-02-03T08:00:00Z,2025-02-03T08:30:00Z,00001\n"), out)
    with pytest.raises(UnknownValueError, match="at least 0"):
        notify_exposed(data, visits(tmp_path, f"start,end,zone\n{VISIT},00000\n"), out, linger_s=-1)
    assert not out.exists()


def test_missing_pseudonyms_and_broken_files_are_corruption(data: Path, tmp_path: Path):
    events = next((data / "events").glob("2024-02-05*"))
    events.write_bytes(events.read_bytes()[:40])
    with pytest.raises(DatasetCorruptError, match="manifest"):
        notify_travellers(data, ["TH"], 2, None, tmp_path / "list.csv")
    with Transaction(data, TelecomManifest()) as change:
        change.remove("subscribers", "000003")
    with pytest.raises(DatasetCorruptError, match="lacks 1 of 1"):
        notify_travellers(data, ["JP"], 0, date(2024, 2, 4), tmp_path / "list.csv")


def test_a_dataset_without_roaming_records_says_so(tmp_path: Path):
    folder = write_dataset(tmp_path / "data", [(1, kst("2024-02-02T23:50:00"), 0)])
    with pytest.raises(NothingFoundError, match="no outbound"):
        find_travellers(folder, ["VN"], 21)


def test_countries_are_known_by_code_and_by_name():
    assert [country_code(text) for text in (" us", "United States", "베트남", "uk")] == ["US", "US", "VN", "GB"]
    with pytest.raises(UnknownValueError) as caught:
        country_code("Vietnm")
    assert "VN" in caught.value.hint
