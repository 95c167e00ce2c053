"""How long it takes to find who was at published places: events x visits, beside DuckDB's interval join on the same periods.

The last line is JSON. ``seconds`` is all of it: visits laid onto cells, the join, the summary; ``join_seconds`` the part that DuckDB does.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time

import duckdb
import numpy as np
import pyarrow as pa

from oneteam.telecom.notices.covering import Topology
from oneteam.telecom.notices.sightings import exposed_of, sightings, visits_on
from oneteam.telecom.notices.visits import Visits

DAY_US = 86_400_000_000
ROUNDS = 3


def make(events: int, visits: int, cells: int, seed: int) -> tuple[Topology, Visits, tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """A day of a city of 60 km: crowded centre, three-sector sites, places visited near the centre, ten events per subscriber."""
    rng = np.random.default_rng(seed)
    sites = cells // 3
    lat, lon = 37.5 + rng.normal(0, 0.15, sites), 127.0 + rng.normal(0, 0.2, sites)
    reach = rng.uniform(300, 1500, sites)
    topology = Topology(
        np.arange(3 * sites, dtype=np.int32),
        np.repeat(lat, 3),
        np.repeat(lon, 3),
        np.repeat(reach, 3),
        np.tile([0.0, 120.0, 240.0], sites),
        np.full(3 * sites, 65.0),
        np.full(3 * sites, -1, np.int32),
    )
    start = rng.integers(0, DAY_US - 7_200_000_000, visits)
    none = np.full(visits, -1, np.int32)
    wanted = Visits(
        start,
        start + rng.integers(600_000_000, 7_200_000_000, visits),
        37.5 + rng.normal(0, 0.12, visits),
        127.0 + rng.normal(0, 0.16, visits),
        np.zeros(visits),
        none,
        none,
    )
    subscriber = rng.integers(-(2**62), 2**62, max(1, events // 10))[rng.integers(0, max(1, events // 10), events)]
    when, cell = rng.integers(0, DAY_US, events), rng.integers(0, 3 * sites, events).astype(np.int32)
    order = np.lexsort((when, subscriber))
    return topology, wanted, (subscriber[order], when[order], cell[order])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--visits", type=int, default=10_000)
    parser.add_argument("--cells", type=int, default=30_000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    # The first call compiles, or loads what was compiled before; that is not what is measured.
    topology, wanted, events = make(1000, 100, 300, 0)
    exposed_of(sightings(*events, visits_on(wanted, topology, 0, DAY_US)))

    topology, wanted, events = make(options.events, options.visits, options.cells, options.seed)
    runs = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        watch = visits_on(wanted, topology, 0, DAY_US)
        laid = time.perf_counter()
        seen = sightings(*events, watch)
        found = exposed_of(seen)
        runs.append((time.perf_counter() - began, time.perf_counter() - laid))
    seconds, join_seconds = (statistics.median(column) for column in zip(*runs, strict=True))

    con = duckdb.connect(config={"threads": 2})
    cell = np.repeat(np.arange(len(watch.edges) - 1, dtype=np.int32), np.diff(watch.edges))
    con.register("arrow_events", pa.table(dict(zip(("subscriber", "t", "cell"), events, strict=True))))
    con.register("arrow_periods", pa.table({"cell": cell, "first": watch.start_us, "last": watch.end_us, "visit": watch.visit}))
    con.execute("CREATE TABLE events AS FROM arrow_events; CREATE TABLE periods AS FROM arrow_periods")
    peer = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        con.execute(
            "CREATE OR REPLACE TABLE found AS SELECT subscriber, count(*) AS visits, min(first) AS first, max(last) AS last FROM ("
            "SELECT subscriber, visit, min(t) AS first, max(t) AS last FROM events JOIN periods USING (cell)"
            " WHERE t BETWEEN periods.first AND periods.last GROUP BY ALL) GROUP BY ALL"
        )
        peer.append(time.perf_counter() - began)
    duckdb_seconds = statistics.median(peer)
    pairs = con.execute("FROM found ORDER BY ALL").fetchall()
    ours = sorted(zip(*(found[name].to_pylist() for name in ("subscriber", "visits", "first_us", "last_us")), strict=True))
    if ours != pairs:
        raise SystemExit("the two joins differ")
    print(f"{len(watch.visit):,} periods on cells; {found.num_rows:,} subscribers exposed")
    print(
        json.dumps(
            {
                "seconds": round(seconds, 3),
                "events": options.events,
                "visits": options.visits,
                "matches": seen.num_rows,
                "exposed": found.num_rows,
                "join_seconds": round(join_seconds, 3),
                "duckdb_seconds": round(duckdb_seconds, 3),
                "vs_duckdb": round(duckdb_seconds / join_seconds, 1),
            }
        )
    )


if __name__ == "__main__":
    main()
