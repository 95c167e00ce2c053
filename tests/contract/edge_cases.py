"""One dataset with every case on which engines like to differ, each with a subscriber of its own."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from tests.telecom.datasets import kst, random_events, write_dataset, zones_of_cells

CELLS = 12


def edge_events() -> list[tuple[int, datetime, int]]:
    """Subscribers 1 to 12, from 2020-01-30 to 2020-02-03 KST; no one is seen on 2020-02-01."""
    day = kst("2020-01-30T00:00:00")

    def every(minutes: int, start: datetime, count: int, cell: int) -> list[tuple[datetime, int]]:
        return [(start + timedelta(minutes=minutes * i), cell) for i in range(count)]

    cases: dict[int, list[tuple[datetime, int]]] = {
        1: [(kst("2020-01-30T12:00:00"), 3)],  # a single event
        2: [(kst("2020-01-30T12:00:00"), c) for c in (7, 2, 11)],  # ties in time, cells decide
        3: every(30, kst("2020-01-30T22:00:00"), 9, 0),  # a stay across midnight
        4: [(kst("2020-01-31T00:00:00"), 0), (kst("2020-01-31T00:00:00"), 5), (kst("2020-01-30T23:59:59"), 5)],  # on the stroke
        5: [*every(20, day, 10, 0), *every(20, day + timedelta(hours=10), 10, 8)],  # silence of more than 2 h between places
        6: [(day + timedelta(hours=1), 4), (day + timedelta(hours=13), 4), (day + timedelta(hours=25, seconds=1), 4)],  # 12 h hold
        7: [*every(15, day, 3, 0), *every(15, day + timedelta(minutes=45), 3, 8), *every(15, day + timedelta(minutes=90), 3, 0)],
        8: [(day + timedelta(minutes=30 * i), (0, 8)[i % 2]) for i in range(40)],  # to and fro, each stay just long enough
        9: [(day + timedelta(seconds=1799 * i), (0, 8)[i % 2]) for i in range(40)],  # and just too short
        10: [(kst("2020-02-02T03:00:00"), 1), (kst("2020-02-03T03:00:00"), 9)],  # equal nights: the lower zone is home
        11: [(day + timedelta(hours=5, minutes=59, seconds=59, microseconds=999_999), 6), (day + timedelta(hours=6), 6)],
        12: [(day + timedelta(hours=6 * i), 10) for i in range(17) if not 4 <= i // 2 < 6],  # two days of silence, then back
        -5: every(10, kst("2020-01-31T09:00:00"), 60, 10),  # a negative hash; its cell moves at midnight
        2**62: every(10, kst("2020-01-31T20:00:00"), 20, 10),
    }
    rows = [(subscriber, at, cell) for subscriber, events in cases.items() for at, cell in events]
    return [row for row in rows if row[1].date() != date(2020, 2, 1)]


def edge_dataset(folder: Path) -> Path:
    """The edge cases and a crowd, with a cell that moves, roamers both ways, and a day without a single event."""
    crowd = [row for row in random_events(5, subscribers=40) if row[1].date() != date(2020, 2, 1)]
    lookup = [row for row in zones_of_cells(CELLS, 5) if row["cell"] not in {10, 11}]
    lookup += [
        {"cell": 10, "valid_date_start": None, "valid_date_end": date(2020, 1, 31), "zone": 4, "weight": 1.0},
        {"cell": 10, "valid_date_start": date(2020, 2, 1), "valid_date_end": None, "zone": 1, "weight": 0.6},
        {"cell": 10, "valid_date_start": date(2020, 2, 1), "valid_date_end": None, "zone": 2, "weight": 0.4},
        {"cell": 11, "valid_date_start": date(2020, 1, 31), "valid_date_end": date(2020, 2, 2), "zone": 3, "weight": 0.5},
        {"cell": 11, "valid_date_start": date(2020, 1, 31), "valid_date_end": date(2020, 2, 2), "zone": 4, "weight": 0.5},
    ]
    traveller = crowd[0][0]
    return write_dataset(
        folder,
        [*edge_events(), *crowd],
        cell_zones=lookup,
        inbound=[(900 + i, kst(f"2020-01-3{i % 2}T{10 + i}:00:00"), i % CELLS, ("CN", "JP", None)[i % 3]) for i in range(9)],
        outbound=[
            (3, kst("2020-01-30T09:00:00"), 540, "JP"),
            (3, kst("2020-01-30T10:00:00"), 480, "CN"),
            (traveller, kst("2020-01-30T00:00:00"), -300, "US"),
            (traveller, kst("2020-02-03T23:59:59"), 420, "VN"),
            (777, kst("2020-02-02T12:00:00"), 60, "IT"),
        ],
    )


def summer_time_dataset(folder: Path) -> Path:
    """A week in Brussels in which the clocks go back: the night of 25 October 2020 has 25 hours."""
    start = datetime(2020, 10, 23, tzinfo=UTC)
    rows = [(s, at - kst("2020-01-30T00:00:00") + start, cell) for s, at, cell in random_events(8, subscribers=50)]
    rows += [(1, datetime(2020, 10, 24, 21, tzinfo=UTC) + timedelta(minutes=20 * i), 3) for i in range(30)]
    assert any(at.astimezone(ZoneInfo("Europe/Brussels")).fold for _, at, _ in rows)
    return write_dataset(folder, rows, cell_zones=zones_of_cells(CELLS, 5), timezone="Europe/Brussels")
