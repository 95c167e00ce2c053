"""A small carrier folder in the multi-MNO form, for tests of ingestion."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

START = datetime(2020, 1, 31, 15, tzinfo=UTC)  # midnight in Korea, 2020-02-01

EVENT_SCHEMA = pa.schema(
    [
        ("user_id", pa.binary()),
        ("timestamp", pa.timestamp("us", tz="UTC")),
        ("mcc", pa.int32()),
        ("mnc", pa.string()),
        ("plmn", pa.int32()),
        ("cell_id", pa.string()),
        ("latitude", pa.float32()),
        ("longitude", pa.float32()),
        ("loc_error", pa.float32()),
    ]
)


def user(number: int) -> bytes:
    return f"user-{number:06d}".encode()


def event(who: int = 1, minute: float = 0, cell: str | None = "c0", **change: object) -> dict:
    moment = START + timedelta(minutes=minute)
    row = {"user_id": user(who), "timestamp": moment, "mcc": 450, "mnc": "05", "plmn": None, "cell_id": cell}
    return {**row, "latitude": None, "longitude": None, "loc_error": None, **change}


def write_events(path: Path, rows: list[dict], row_group_size: int | None = None) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(rows, schema=EVENT_SCHEMA), path, row_group_size=row_group_size)
    return path


def write_topology(path: Path, cells: int = 20, **columns: list) -> Path:
    """Cells 2 km apart on a line."""
    path.parent.mkdir(parents=True, exist_ok=True)
    table = {"cell_id": [f"c{i}" for i in range(cells)], "latitude": [37.0 + 0.02 * i for i in range(cells)], "longitude": [127.0] * cells}
    pq.write_table(pa.table({**table, **columns}), path)
    return path


def random_rows(rows: int, days: int = 2, users: int = 40, cells: int = 20, seed: int = 1) -> list[dict]:
    rng = np.random.default_rng(seed)
    minutes = rng.integers(0, 1_440 * days, rows)
    return [
        event(int(w), float(m), f"c{c}")
        for w, m, c in zip(rng.integers(0, users, rows), minutes, rng.integers(0, cells, rows), strict=True)
    ]


def write_carrier(folder: Path, rows: int = 2_000, days: int = 2, seed: int = 1, first_day: int = 0) -> Path:
    """Topology and one file of events per UTC day, in hive folders as `oneteam synth` writes them."""
    write_topology(folder / "network" / "topology.parquet")
    by_day: dict[tuple[int, int, int], list[dict]] = {}
    for row in random_rows(rows, days, seed=seed):
        row["timestamp"] += timedelta(days=first_day)
        moment = row["timestamp"]
        by_day.setdefault((moment.year, moment.month, moment.day), []).append(row)
    for (year, month, day), events in by_day.items():
        write_events(folder / "events" / f"year={year}" / f"month={month}" / f"day={day}" / "part-0.parquet", events)
    return folder
