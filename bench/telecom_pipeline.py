"""Home, daily OD and presence from stored events: our kernel beside its peers, each in a process of its own.

The last line is one JSON document: ``events_per_s``, ``vs_duckdb`` (the faster of tuned DuckDB SQL and Ibis on DuckDB), ``vs_pyspark``,
``vs_scan_limit`` (the time it takes only to decode the three columns, as a share of ours), ``peak_mb``, and every engine's figures.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import psutil

import country

MEASURES = ("home", "od", "presence")
ENGINES = ("kernel", "scan", "duckdb_sql", "ibis_duckdb", "polars", "pandas", "pyspark")
ROUNDS = {"kernel": 5, "scan": 5, "duckdb_sql": 2, "ibis_duckdb": 1, "polars": 2, "pandas": 1, "pyspark": 1}


def digest(tables: dict) -> dict[str, str]:
    """A fingerprint of integer tables that does not depend on their types or on the order of their rows."""
    import hashlib

    import numpy as np

    found = {}
    for name in MEASURES:
        table = tables[name]
        columns = np.stack([table[name].to_numpy().astype(np.int64) for name in table.column_names])
        found[name] = hashlib.sha256(columns[:, np.lexsort(columns[::-1])].tobytes()).hexdigest()[:16]
    return found


def child(engine: str, data: Path) -> dict:
    """Run one engine and measure it."""
    from oneteam.telecom.measures.catalogue import MEASURES as CATALOGUE
    from oneteam.telecom.service.kernel_engine import KernelEngine
    from oneteam.telecom.service.source import Source
    from oneteam.telecom.service.sql_engines import DuckDbEngine, SparkEngine

    source = Source.open(data)
    period = source.everything()
    measures = [CATALOGUE[name] for name in MEASURES]
    files = list(source.files("events", period).values())
    offset = period.offsets(source.manifest.timezone)[0][1]

    def ours(runner):
        return {name: result.aggregate for name, result in runner.run(source, measures, period).items()}

    if engine == "pyspark":
        spark = SparkEngine(threads=2, driver_memory="8g", shuffle_partitions=8)
        spark.session()  # starting Java is not counted
        run = lambda: ours(spark)  # noqa: E731
    elif engine == "kernel":
        run = lambda: ours(KernelEngine(threads=2))  # noqa: E731
    elif engine == "ibis_duckdb":
        run = lambda: ours(DuckDbEngine(threads=2, memory_limit="10GB"))  # noqa: E731
    elif engine == "scan":
        run = lambda: scan(files)  # noqa: E731
    else:
        import peers

        run = lambda: getattr(peers, engine)(files, peers.lookup_by_day(source.lookup(), period.days), offset, period.days)  # noqa: E731

    seconds, tables = [], {}
    for _ in range(ROUNDS[engine]):
        began = time.perf_counter()
        tables = run()
        seconds.append(time.perf_counter() - began)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    for process in psutil.Process().children(recursive=True):
        status = Path(f"/proc/{process.pid}/status").read_text()
        # A process that has ended but was not waited for has no memory to speak of.
        peak += sum(int(line.split()[1]) // 1024 for line in status.splitlines() if line.startswith("VmHWM"))
    return {"seconds": min(seconds), "rounds": len(seconds), "peak_mb": peak, "digest": digest(tables) if tables else None}


def scan(files: list[Path]) -> dict:
    """Only decode the three columns, two files at a time."""
    import pyarrow.parquet as pq

    with ThreadPoolExecutor(2) as pool:
        rows = sum(pool.map(lambda path: pq.read_table(path, use_threads=False, partitioning=None).num_rows, files))
    assert rows
    return {}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=20_000_000)
    parser.add_argument("--subscribers", type=int, default=200_000)
    parser.add_argument("--days", type=int, default=7)
    parser.add_argument("--engines", default=",".join(ENGINES))
    parser.add_argument("--child", nargs=2)
    args = parser.parse_args()
    if args.child:
        print(json.dumps(child(args.child[0], Path(args.child[1]))))
        return

    data, made = country.dataset(args.events, args.subscribers, args.days)
    results: dict[str, dict] = {}
    for engine in args.engines.split(","):
        command = [sys.executable, __file__, "--child", engine, str(data)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            print(f"{engine:12} failed: {done.stderr.strip().splitlines()[-1:]}", file=sys.stderr)
            continue
        results[engine] = json.loads(done.stdout.splitlines()[-1])
        r = results[engine]
        rate = made["rows"] / r["seconds"] / 1e6
        print(f"{engine:12} {r['seconds']:8.2f} s  {rate:7.2f} M events/s  {r['peak_mb']:6d} MB", flush=True)

    for engine, result in results.items():
        if result["digest"] and result["digest"] != results["kernel"]["digest"]:
            sys.exit(f"{engine} gives other tables than the kernel: {result['digest']} against {results['kernel']['digest']}")
    ours = results["kernel"]["seconds"]
    duckdb = [results[e]["seconds"] for e in ("duckdb_sql", "ibis_duckdb") if e in results]
    print(
        json.dumps(
            {
                "events": made["rows"],
                "ingest_rows_per_s": made["ingest_rows_per_s"],
                "events_per_s": round(made["rows"] / ours),
                "vs_duckdb": round(min(duckdb) / ours, 2) if duckdb else None,
                "vs_pyspark": round(results["pyspark"]["seconds"] / ours, 1) if "pyspark" in results else None,
                "vs_polars": round(results["polars"]["seconds"] / ours, 2) if "polars" in results else None,
                "vs_pandas": round(results["pandas"]["seconds"] / ours, 2) if "pandas" in results else None,
                "vs_scan_limit": round(results["scan"]["seconds"] / ours, 3) if "scan" in results else None,
                "peak_mb": results["kernel"]["peak_mb"],
                "engines": {name: {k: v for k, v in r.items() if k != "digest"} for name, r in results.items()},
            }
        )
    )


if __name__ == "__main__":
    main()
