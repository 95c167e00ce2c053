"""Ingest rate: multi-MNO Parquet files with binary user ids and text cells -> stored dataset, and the same as CSV.

    python bench/telecom_ingest.py --events 20000000

The last line is JSON: rows_per_s (Parquet), csv_rows_per_s, cpu_s and peak_mb (processor time
and resident memory of the Parquet run).
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as pcsv
import pyarrow.parquet as pq

CELLS = 5_000
START = datetime(2020, 1, 31, 15, tzinfo=UTC)  # midnight in Korea


def write_topology(folder: Path) -> None:
    path = folder / "network" / "topology.parquet"
    path.parent.mkdir(parents=True, exist_ok=True)
    ids = [f"45005-{1000 + i // 20}-{i:05d}" for i in range(CELLS)]
    # Neighbours in number are neighbours on the map, 2 km apart.
    row, column = np.divmod(np.arange(CELLS), 100)
    longitude = np.where(row % 2, 99 - column, column) * 0.02 + 126.8
    table = pa.table({"cell_id": ids, "latitude": 35.0 + row * 0.02, "longitude": longitude})
    pq.write_table(table, path)


def write_events(folder: Path, events: int, subscribers: int, days: int, rng: np.random.Generator, form: str) -> None:
    """Events of every day in the order of time, as a mediation system writes them."""
    users = pa.array([value.tobytes().hex().encode() for value in rng.integers(0, 256, (subscribers, 16), dtype=np.uint8)], pa.binary())
    cells = pa.array([f"45005-{1000 + i // 20}-{i:05d}" for i in range(CELLS)])
    homes = rng.integers(0, CELLS, subscribers)
    for day in range(days):
        midnight = START + timedelta(days=day)
        path = folder / "events" / f"year={midnight.year}" / f"month={midnight.month}" / f"day={midnight.day}" / f"part-0.{form}"
        path.parent.mkdir(parents=True, exist_ok=True)
        rows = events // days
        who = rng.integers(0, subscribers, rows)
        stamps = np.sort(rng.integers(0, 86_400_000_000, rows)) + int(midnight.timestamp()) * 1_000_000
        # People stay about a home cell.
        where = np.minimum(homes[who] + rng.integers(0, 4, rows), CELLS - 1)
        table = pa.table(
            {
                "user_id": users.take(pa.array(who)),
                "timestamp": pa.array(stamps).cast(pa.timestamp("us", tz="UTC")),
                "mcc": pa.array(np.full(rows, 450, np.int32)),
                "mnc": pa.DictionaryArray.from_arrays(pa.array(np.zeros(rows, np.int32)), pa.array(["05"])).dictionary_decode(),
                "plmn": pa.nulls(rows, pa.int32()),
                "cell_id": cells.take(pa.array(where)),
                "latitude": pa.nulls(rows, pa.float32()),
                "longitude": pa.nulls(rows, pa.float32()),
                "loc_error": pa.nulls(rows, pa.float32()),
            }
        )
        if form == "parquet":
            pq.write_table(table, path, row_group_size=500_000)
        else:
            text = table.set_column(0, "user_id", table["user_id"].cast(pa.string()))
            text = text.set_column(1, "timestamp", pa.array(np.datetime_as_string(stamps.view("datetime64[us]"))))
            text = text.set_column(1, "timestamp", pa.compute.binary_join_element_wise(text["timestamp"], "+00:00", ""))
            pcsv.write_csv(text, path)


def peak_mb() -> float:
    """Peak resident memory of this program alone; ru_maxrss would start at that of the process which started it."""
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) / 1024


def run(source: Path, out: Path) -> dict[str, float]:
    """In this process: ingest once, and say how long it took and how much memory."""
    from oneteam.telecom.service.ingest import IngestSettings, ingest

    before = time.perf_counter()
    report = ingest([source], out, IngestSettings(max_speed_m_s=340.0))
    seconds = time.perf_counter() - before
    events = report.accepted["events"] + report.duplicates + report.rejected.get("impossible_speed", 0)
    return {"rows": events, "seconds": seconds, "cpu_s": time.process_time(), "peak_mb": peak_mb()}


def measured(source: Path, out: Path) -> dict[str, float]:
    """The same in a process of its own, so that memory is the ingestion's alone. The first run compiles the kernels."""
    done = subprocess.run([sys.executable, __file__, "--run", source, out], check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(done.stdout.splitlines()[-1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=20_000_000)
    parser.add_argument("--csv-events", type=int, default=2_000_000)
    parser.add_argument("--subscribers", type=int, default=200_000)
    parser.add_argument("--days", type=int, default=7)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--run", nargs=2, type=Path)
    options = parser.parse_args()
    if options.run:
        print(json.dumps(run(*options.run)))
        return
    rng = np.random.default_rng(options.seed)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for form, events in (("parquet", 7_000), ("parquet", options.events), ("csv", options.csv_events)):
            source = folder / "carrier"
            shutil.rmtree(source, ignore_errors=True)
            shutil.rmtree(folder / "out", ignore_errors=True)
            write_topology(source)
            write_events(source, events, options.subscribers, options.days, rng, form)
            result = measured(source, folder / "out")
            print(f"{form}: {result['rows']:,} rows in {result['seconds']:.2f} s, {result['peak_mb']:.0f} MB")
            if form == "parquet":
                parquet = result
    print(
        json.dumps(
            {
                "bench": "telecom_ingest",
                "rows": int(parquet["rows"]),
                "rows_per_s": round(parquet["rows"] / parquet["seconds"]),
                "csv_rows_per_s": round(result["rows"] / result["seconds"]),
                "cpu_s": round(parquet["cpu_s"], 1),
                "peak_mb": round(parquet["peak_mb"]),
            }
        )
    )


if __name__ == "__main__":
    main()
