"""Home, daily OD and presence in the peers' own words: tuned DuckDB SQL, Polars and pandas.

Same definitions, same files, same answers: each returns three sorted integer tables, and the benchmark refuses to report a peer whose
tables differ from ours. The settings are the defaults of `MeasureSettings`; the time zone is one without daylight saving time.
"""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa

STAY_S, GAP_STAY_S, GAP_MOVE_S, PAD_S, GAP_TRIP_S = 1_800, 43_200, 7_200, 300, 86_400
Tables = dict[str, pa.Table]


def lookup_by_day(lookup: pa.Table, days: range) -> pa.Table:
    """``cell``, ``day``, ``zone``: an equi-join serves the peers better than one on validity periods."""
    import numpy as np

    cell, first, last, zone = (lookup[name].to_numpy() for name in ("cell", "first_day", "last_day", "zone"))
    parts = [(cell[valid], np.full(valid.sum(), day), zone[valid]) for day in days for valid in [(first <= day) & (day <= last)]]
    return pa.table({name: np.concatenate([p[i] for p in parts]) for i, name in enumerate(("cell", "day", "zone"))})


RUNS = """
CREATE OR REPLACE TEMP TABLE events AS
SELECT subscriber, ts, e.cell, zone, t
FROM (SELECT subscriber, timestamp AS ts, cell, epoch_us(timestamp) // 1000000 AS t FROM read_parquet({files})) e
JOIN lookup l ON e.cell = l.cell AND (t + {offset}) // 86400 = l.day;

CREATE OR REPLACE TEMP TABLE runs AS
WITH steps AS (
  SELECT *, lag(zone) OVER w AS pz, lag(t) OVER w AS pt, max(t) OVER (PARTITION BY subscriber) AS final
  FROM events WINDOW w AS (PARTITION BY subscriber ORDER BY ts, cell)
), begins AS (
  SELECT * FROM steps WHERE pz IS NULL OR pz <> zone OR t - pt > {gap_stay}
), bounds AS (
  SELECT *, lead(t) OVER w AS nf, coalesce(lead(pt) OVER w, final) AS last
  FROM begins WINDOW w AS (PARTITION BY subscriber ORDER BY ts, cell)
)
SELECT subscriber, ts, cell, zone, t AS first,
  CASE WHEN t - pt <= {gap_move} THEN t ELSE t - {pad} END AS s,
  CASE WHEN nf - last <= {gap_move} THEN nf ELSE last + {pad} END AS e
FROM bounds;
"""

HOME = """
WITH night AS (
  SELECT subscriber, zone, s + {offset} AS a, e + {offset} AS b FROM runs
  WHERE (s + {offset}) % 86400 < 21600 OR (s + {offset}) // 86400 < (e + {offset} - 1) // 86400
), cut AS (
  SELECT subscriber, zone, a, b, unnest(range(a // 86400, (b - 1) // 86400 + 1)) AS day FROM night WHERE b > a
), dwell AS (
  SELECT subscriber, zone, day, sum(least(b - day * 86400, 21600) - greatest(a - day * 86400, 0)) AS seconds
  FROM cut WHERE a - day * 86400 < 21600 AND day BETWEEN {first} AND {last} GROUP BY ALL
), months AS (
  SELECT subscriber, 12 * year(DATE '1970-01-01' + day::INT) + month(DATE '1970-01-01' + day::INT) - 1 AS month, zone,
    sum(seconds) AS seconds, count(*) AS days FROM dwell GROUP BY ALL
), best AS (
  SELECT month, zone FROM months QUALIFY row_number() OVER (PARTITION BY subscriber, month ORDER BY seconds DESC, days DESC, zone) = 1
)
SELECT month::INT AS month, zone, count(*) AS value, count(*) AS subscribers FROM best GROUP BY ALL ORDER BY ALL
"""

OD = """
WITH stays AS (
  SELECT subscriber, zone, s, first, lag(zone) OVER w AS origin, lag(e) OVER w AS left_s
  FROM runs WHERE e - s >= {stay} WINDOW w AS (PARTITION BY subscriber ORDER BY ts, cell)
), trips AS (
  SELECT subscriber, ((first + {offset}) // 86400)::INT AS day, origin, zone AS destination, count(*) AS n
  FROM stays WHERE origin <> zone AND s - left_s <= {gap_trip} GROUP BY ALL
)
SELECT day, origin, destination, sum(n)::BIGINT AS value, count(*) AS subscribers FROM trips GROUP BY ALL ORDER BY day, origin, destination
"""

PRESENCE = """
WITH seen AS (SELECT DISTINCT subscriber, (t + {offset}) // 3600 AS slot, zone FROM events)
SELECT (slot // 24)::INT AS day, (slot % 24)::INT AS hour, zone, count(*) AS value, count(*) AS subscribers
FROM seen GROUP BY ALL ORDER BY day, hour, zone
"""


def duckdb_sql(files: list[Path], lookup: pa.Table, offset_s: int, days: range, *, memory_limit: str = "10GB") -> Tables:
    """Runs are computed once and kept; windows are shared; insertion order is given up."""
    import duckdb

    values = {
        "files": "[" + ", ".join(f"'{path}'" for path in files) + "]",
        "gap_stay": GAP_STAY_S,
        "gap_move": GAP_MOVE_S,
        "pad": PAD_S,
        "stay": STAY_S,
        "gap_trip": GAP_TRIP_S,
        "offset": offset_s,
        "first": days[0],
        "last": days[-1],
    }
    with duckdb.connect() as con:
        con.execute(f"SET threads = 2; SET preserve_insertion_order = false; SET memory_limit = '{memory_limit}'")
        con.register("lookup", lookup)
        con.execute(RUNS.format(**values))
        return {name: con.sql(sql.format(**values)).to_arrow_table() for name, sql in (("home", HOME), ("od", OD), ("presence", PRESENCE))}


def polars(files: list[Path], lookup: pa.Table, offset_s: int, days: range) -> Tables:
    """Lazy frames, streaming where Polars can."""
    import polars as pl

    events = pl.scan_parquet(files).with_columns(t=pl.col("timestamp").dt.timestamp("us") // 1_000_000)
    events = events.with_columns(day=(pl.col("t") + offset_s) // 86_400).join(pl.from_arrow(lookup).lazy(), on=["cell", "day"]).drop("day")
    events = events.sort("subscriber", "timestamp", "cell").collect()
    same = pl.col("subscriber").eq(pl.col("subscriber").shift(1))
    steps = events.with_columns(pz=pl.when(same).then(pl.col("zone").shift(1)), pt=pl.when(same).then(pl.col("t").shift(1)))
    begin = pl.col("pz").is_null() | (pl.col("pz") != pl.col("zone")) | (pl.col("t") - pl.col("pt") > GAP_STAY_S)
    runs = (
        steps.with_columns(run=begin.cum_sum())
        .group_by("run", maintain_order=True)
        .agg(pl.first("subscriber", "zone", "pt"), first=pl.first("t"), last=pl.last("t"))
    )
    next_same = pl.col("subscriber").eq(pl.col("subscriber").shift(-1))
    runs = runs.with_columns(nf=pl.when(next_same).then(pl.col("first").shift(-1)))
    runs = runs.with_columns(
        s=pl.when(pl.col("first") - pl.col("pt") <= GAP_MOVE_S).then("first").otherwise(pl.col("first") - PAD_S),
        e=pl.when(pl.col("nf") - pl.col("last") <= GAP_MOVE_S).then("nf").otherwise(pl.col("last") + PAD_S),
    )

    a, b = pl.col("s") + offset_s, pl.col("e") + offset_s
    night = runs.lazy().filter((a % 86_400 < 21_600) | (a // 86_400 < (b - 1) // 86_400)).select("subscriber", "zone", a=a, b=b)
    night = night.with_columns(day=pl.int_ranges(pl.col("a") // 86_400, (pl.col("b") - 1) // 86_400 + 1)).explode("day")
    low, high = pl.col("a") - pl.col("day") * 86_400, pl.col("b") - pl.col("day") * 86_400
    night = night.filter((low < 21_600) & pl.col("day").is_between(days[0], days[-1]))
    night = night.with_columns(seconds=pl.min_horizontal(high, 21_600) - pl.max_horizontal(low, 0))
    date = pl.col("day").cast(pl.Int32).cast(pl.Date)
    month = date.dt.year() * 12 + date.dt.month().cast(pl.Int32) - 1
    dwell = night.group_by("subscriber", "zone", "day").agg(pl.sum("seconds")).with_columns(month=month)
    months = dwell.group_by("subscriber", "month", "zone").agg(pl.sum("seconds"), days=pl.len())
    best = months.sort("seconds", "days", "zone", descending=[True, True, False]).group_by("subscriber", "month").first()
    home = best.group_by("month", "zone").agg(value=pl.len()).with_columns(subscribers="value").sort("month", "zone").collect()

    stays = runs.filter(pl.col("e") - pl.col("s") >= STAY_S)
    stays = stays.with_columns(
        origin=pl.when(same).then(pl.col("zone").shift(1)),
        left=pl.when(same).then(pl.col("e").shift(1)),
        day=(pl.col("first") + offset_s) // 86_400,
    )
    trips = stays.filter((pl.col("origin") != pl.col("zone")) & (pl.col("s") - pl.col("left") <= GAP_TRIP_S))
    each = trips.lazy().group_by("subscriber", "day", "origin", destination="zone").agg(n=pl.len())
    od = each.group_by("day", "origin", "destination").agg(value=pl.sum("n"), subscribers=pl.len()).collect()

    slot = (pl.col("t") + offset_s) // 3_600
    seen = events.lazy().select("subscriber", "zone", slot=slot).unique()
    presence = seen.group_by(day=pl.col("slot") // 24, hour=pl.col("slot") % 24, zone="zone").agg(value=pl.len())
    presence = presence.with_columns(subscribers="value").sort("day", "hour", "zone").collect()
    return {"home": home.to_arrow(), "od": od.to_arrow(), "presence": presence.to_arrow()}


def pandas(files: list[Path], lookup: pa.Table, offset_s: int, days: range) -> Tables:
    """What most would write first, with shifts instead of group-wise functions."""
    import numpy as np
    import pandas as pd
    import pyarrow.parquet as pq

    events = pa.concat_tables([pq.read_table(path) for path in files]).to_pandas()
    events["t"] = events["timestamp"].to_numpy().astype("datetime64[us]").astype(np.int64) // 1_000_000
    events["day"] = (events["t"] + offset_s) // 86_400
    events = events.merge(lookup.to_pandas(), on=["cell", "day"]).drop(columns="day")
    events = events.sort_values(["subscriber", "timestamp", "cell"], ignore_index=True)
    same = events["subscriber"].eq(events["subscriber"].shift(1))
    pt = events["t"].shift(1).where(same)
    begin = ~same | events["zone"].ne(events["zone"].shift(1)) | (events["t"] - pt > GAP_STAY_S)
    starts = np.flatnonzero(begin.to_numpy())
    runs = events.loc[starts, ["subscriber", "zone", "t"]].rename(columns={"t": "first"}).reset_index(drop=True)
    runs["pt"] = pt.to_numpy()[starts]
    runs["last"] = events["t"].to_numpy()[np.append(starts[1:], len(events)) - 1]
    runs["nf"] = runs["first"].shift(-1).where(runs["subscriber"].eq(runs["subscriber"].shift(-1)))
    runs["s"] = np.where(runs["first"] - runs["pt"] <= GAP_MOVE_S, runs["first"], runs["first"] - PAD_S)
    runs["e"] = np.where(runs["nf"] - runs["last"] <= GAP_MOVE_S, runs["nf"], runs["last"] + PAD_S).astype(np.int64)

    night = runs[["subscriber", "zone"]].assign(a=runs["s"] + offset_s, b=runs["e"] + offset_s)
    night = night[(night["a"] % 86_400 < 21_600) | (night["a"] // 86_400 < (night["b"] - 1) // 86_400)]
    first_day = night["a"] // 86_400
    count = ((night["b"] - 1) // 86_400 - first_day + 1).to_numpy()
    night = night.loc[night.index.repeat(count)]
    within = np.arange(len(night)) - np.repeat(np.cumsum(count) - count, count)
    night["day"] = np.repeat(first_day.to_numpy(), count) + within
    low, high = night["a"] - night["day"] * 86_400, night["b"] - night["day"] * 86_400
    night["seconds"] = np.minimum(high, 21_600) - np.maximum(low, 0)
    night = night[(low < 21_600) & night["day"].between(days[0], days[-1])]
    dwell = night.groupby(["subscriber", "zone", "day"], sort=False, as_index=False)["seconds"].sum()
    date = pd.to_datetime(dwell["day"], unit="D")
    dwell["month"] = date.dt.year * 12 + date.dt.month - 1
    months = dwell.groupby(["subscriber", "month", "zone"], sort=False, as_index=False)
    months = months.agg(seconds=("seconds", "sum"), days=("day", "size"))
    best = months.sort_values(["seconds", "days", "zone"], ascending=[False, False, True]).drop_duplicates(["subscriber", "month"])
    home = best.groupby(["month", "zone"], as_index=False).size().rename(columns={"size": "value"})
    home["subscribers"] = home["value"]

    stays = runs[runs["e"] - runs["s"] >= STAY_S]
    same = stays["subscriber"].eq(stays["subscriber"].shift(1))
    stays = stays.assign(
        origin=stays["zone"].shift(1).where(same), left=stays["e"].shift(1).where(same), day=(stays["first"] + offset_s) // 86_400
    )
    trips = stays[stays["origin"].notna() & (stays["origin"] != stays["zone"]) & (stays["s"] - stays["left"] <= GAP_TRIP_S)]
    trips = trips.rename(columns={"zone": "destination"})
    each = trips.groupby(["subscriber", "day", "origin", "destination"], sort=False, as_index=False).size()
    od = each.groupby(["day", "origin", "destination"], as_index=False).agg(value=("size", "sum"), subscribers=("size", "size"))

    slot = (events["t"] + offset_s) // 3_600
    seen = pd.DataFrame({"subscriber": events["subscriber"], "slot": slot, "zone": events["zone"]}).drop_duplicates()
    presence = seen.groupby(["slot", "zone"], as_index=False).size().rename(columns={"size": "value"})
    presence.insert(0, "day", presence["slot"] // 24)
    presence.insert(1, "hour", presence.pop("slot") % 24)
    presence["subscribers"] = presence["value"]
    return {name: pa.Table.from_pandas(t, preserve_index=False) for name, t in (("home", home), ("od", od), ("presence", presence))}
