"""Roaming measures on hand-made travellers, on DuckDB and on Spark."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import ibis
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from oneteam.telecom.measures.measure import Inputs, MeasureSettings, aggregate
from oneteam.telecom.measures.roaming import (
    MAX_SILENCE_DAYS,
    ROAMING_MEASURES,
    arrivals,
    arrivals_any,
    days_abroad,
    departures,
    inbound_roamers,
    travellers,
)

KST_S = 9 * 3600
DAY_S = 86_400
FIRST = (date(2024, 2, 1) - date(1970, 1, 1)).days

Row = tuple[Any, ...]


def at(day: int, clock: str) -> int:
    """UTC second of a Korean wall-clock time on the ``day``-th of the period (0 = 2024-02-01)."""
    hours, minutes, seconds = (int(part) for part in clock.split(":"))
    return (FIRST + day) * DAY_S + hours * 3600 + minutes * 60 + seconds - KST_S


def home_event(subscriber: int, t: int, zone: int = 1) -> Row:
    local = t + KST_S
    return subscriber, datetime.fromtimestamp(t, UTC), 10 + zone, t, local, local // DAY_S, zone


def abroad_event(subscriber: int, t: int, country: str | None, offset_h: int = 0) -> Row:
    local = t + KST_S
    return subscriber, datetime.fromtimestamp(t, UTC), t, local, local // DAY_S, (t + offset_h * 3600) // DAY_S, country


EVENTS = ["subscriber", "timestamp", "cell", "t", "local", "day", "zone"]
OUTBOUND = ["subscriber", "timestamp", "t", "local", "day", "abroad_day", "country"]
TYPES = {
    "subscriber": "int64",
    "timestamp": "timestamp('UTC')",
    "cell": "int32",
    "t": "int64",
    "local": "int64",
    "day": "int32",
    "abroad_day": "int32",
    "zone": "int32",
    "country": "string",
    "month": "int32",
    "weekday": "int32",
}
ARROW = {"int64": pa.int64(), "int32": pa.int32(), "string": pa.string(), "timestamp('UTC')": pa.timestamp("us", tz="UTC")}
Make = Callable[[list[Row], list[str]], Any]


def memtable(rows: list[Row], columns: list[str]) -> Any:
    return ibis.memtable(arrow(rows, columns))


def arrow(rows: list[Row], columns: list[str]) -> pa.Table:
    schema = pa.schema([(name, ARROW[TYPES[name]]) for name in columns])
    return pa.Table.from_pylist([dict(zip(columns, row, strict=True)) for row in rows], schema=schema)


def calendar(make: Make) -> Any:
    days = range(FIRST - 2, FIRST + 62)
    return make([(d, month_of(d), (d + 3) % 7) for d in days], ["day", "month", "weekday"])


def month_of(day: int) -> int:
    moment = datetime.fromtimestamp(day * DAY_S, UTC)
    return 12 * moment.year + moment.month - 1


def inputs(events: list[Row], outbound: list[Row], inbound: list[Row] | None = None, make: Make = memtable) -> Inputs:
    return Inputs(
        events=make(events, EVENTS),
        inbound=None if inbound is None else make(inbound, [*EVENTS, "country"]),
        outbound=make(outbound, OUTBOUND),
        calendar=calendar(make),
        offsets=((0, KST_S),),
        settings=MeasureSettings(),
    )


def homes(*rows: Row) -> Callable[[Inputs], Any]:
    return lambda _: memtable(list(rows) or [(0, 0, 0)], ["subscriber", "month", "zone"])


@pytest.fixture(scope="module", autouse=True)
def connection() -> Iterator[Any]:
    before = ibis.options.default_backend
    con = ibis.duckdb.connect()
    ibis.set_backend(con)
    yield con
    ibis.options.default_backend = before
    con.disconnect()


def rows(table: Any) -> list[Row]:
    return sorted(tuple(row.values()) for row in table.to_pyarrow().to_pylist())


FEB = month_of(FIRST)


def test_a_return_carries_the_last_country_the_home_day_and_the_home_zone():
    trip = inputs(
        [home_event(1, at(0, "08:00:00")), home_event(1, at(3, "19:00:00")), home_event(1, at(3, "20:00:00"))],
        [abroad_event(1, at(1, "10:00:00"), "VN", 7), abroad_event(1, at(2, "10:00:00"), "TH", 7)],
    )
    assert rows(arrivals(trip, homes((1, FEB, 7)))) == [(1, FIRST + 3, "TH", 7, 1)]
    assert rows(arrivals_any(trip, homes((1, FEB, 7)))) == [(1, FIRST + 3, "TH", 7, 1), (1, FIRST + 3, "VN", 7, 1)]
    assert rows(departures(trip, homes((1, FEB, 7)))) == [(1, FIRST + 1, "VN", 7, 1)]


def test_unknown_home_is_minus_one_and_home_is_that_of_the_month():
    trip = inputs([home_event(1, at(30, "10:00:00"))], [abroad_event(1, at(27, "10:00:00"), "JP", 9)])
    assert rows(arrivals(trip, homes((1, FEB, 7), (2, FEB + 1, 3)))) == [(1, FIRST + 30, "JP", -1, 1)]


def test_own_network_event_in_the_same_moment_comes_after_the_one_abroad():
    moment = at(2, "12:00:00")
    tie = inputs([home_event(1, moment), home_event(1, moment, 2)], [abroad_event(1, moment, "JP", 9)])
    assert rows(arrivals(tie, homes())) == [(1, FIRST + 2, "JP", -1, 1)]
    assert rows(departures(tie, homes())) == []


def test_two_countries_in_the_same_moment_give_the_later_code():
    moment = at(2, "12:00:00")
    tie = inputs([home_event(1, moment + 60)], [abroad_event(1, moment, "VN", 7), abroad_event(1, moment, "KH", 7)])
    assert rows(arrivals(tie, homes())) == [(1, FIRST + 2, "VN", -1, 1)]


def test_midnight_belongs_to_the_new_day():
    for clock, day in (("23:59:59", 1), ("00:00:00", 2)):
        shift = 1 if clock == "23:59:59" else 2
        trip = inputs([home_event(1, at(shift, clock))], [abroad_event(1, at(1, "20:00:00"), "JP", 9)])
        assert rows(arrivals(trip, homes())) == [(1, FIRST + day, "JP", -1, 1)]


def test_who_never_returned_and_who_only_left_count_no_return():
    gone = inputs(
        [home_event(1, at(0, "08:00:00")), home_event(3, at(0, "08:00:00"))],
        [abroad_event(1, at(1, "08:00:00"), "US", -5), abroad_event(2, at(1, "08:00:00"), "US", -5)],
    )
    assert rows(arrivals(gone, homes())) == []
    assert rows(arrivals_any(gone, homes())) == []
    assert rows(departures(gone, homes())) == [(1, FIRST + 1, "US", -1, 1)]


def test_back_twice_on_one_day_counts_two_returns_and_one_visitor():
    twice = inputs(
        [home_event(1, at(1, "09:00:00")), home_event(1, at(1, "21:00:00"))],
        [abroad_event(1, at(1, "08:00:00"), "JP", 9), abroad_event(1, at(1, "20:00:00"), "JP", 9)],
    )
    assert rows(arrivals(twice, homes())) == [(1, FIRST + 1, "JP", -1, 2)]
    assert rows(arrivals_any(twice, homes())) == [(1, FIRST + 1, "JP", -1, 1)]


def test_silence_and_lookback_limits_are_inclusive_to_the_second():
    limit = MAX_SILENCE_DAYS * DAY_S
    start = at(0, "10:00:00")
    for silence, returns in ((limit, 1), (limit + 1, 0)):
        trip = inputs([home_event(1, start + silence)], [abroad_event(1, start, "JP", 9)])
        assert len(rows(arrivals(trip, homes()))) == returns
    for age, countries in ((14 * DAY_S, ["FR", "JP"]), (14 * DAY_S + 1, ["JP"])):
        trip = inputs(
            [home_event(1, start + age)],
            [abroad_event(1, start, "FR", 1), abroad_event(1, start + 60 + 3600, "JP", 9)],
        )
        assert [row[2] for row in rows(arrivals_any(trip, homes()))] == countries


def test_days_abroad_counts_local_days_where_the_subscriber_was():
    # Paris: two Korean days, one local day. Honolulu: one Korean day, two local days.
    paris = [abroad_event(1, at(4, "23:30:00"), "FR", 1), abroad_event(1, at(5, "00:30:00"), "FR", 1)]
    honolulu = [abroad_event(2, at(5, "18:30:00"), "US", -10), abroad_event(2, at(5, "19:30:00"), "US", -10)]
    assert rows(days_abroad(inputs([], [*paris, *honolulu]))) == [(1, FEB, "FR", 1), (2, FEB, "US", 2)]


def test_days_abroad_splits_at_the_month_and_names_the_unknown_country():
    stay = [abroad_event(1, at(28, "12:00:00"), None), abroad_event(1, at(29, "12:00:00"), ""), abroad_event(1, at(30, "12:00:00"), "ZZ")]
    assert rows(days_abroad(inputs([], stay))) == [(1, FEB, "ZZ", 1), (1, FEB + 1, "ZZ", 2)]


def test_travellers_are_distinct_by_day_at_home_and_country():
    # Paris in the evening is the next day in Korea; two countries on one day are two keys; a record without country is ZZ.
    seen = [
        abroad_event(1, at(4, "23:30:00"), "FR", -8),
        abroad_event(1, at(4, "23:50:00"), "FR", -8),
        abroad_event(1, at(5, "00:30:00"), "FR", -8),
        abroad_event(1, at(5, "12:00:00"), "JP"),
        abroad_event(2, at(5, "12:00:00"), None),
    ]
    assert rows(travellers(inputs([home_event(3, at(5, "12:00:00"))], seen))) == [
        (1, FIRST + 4, "FR", 1),
        (1, FIRST + 5, "FR", 1),
        (1, FIRST + 5, "JP", 1),
        (2, FIRST + 5, "ZZ", 1),
    ]


def test_inbound_roamers_are_distinct_by_day_country_and_zone():
    seen = [
        (*home_event(9, at(0, "10:00:00"), 1), "CN"),
        (*home_event(9, at(0, "11:00:00"), 1), "CN"),
        (*home_event(9, at(0, "12:00:00"), 2), "CN"),
        (*home_event(8, at(0, "10:00:00"), 1), None),
        (*home_event(9, at(1, "00:00:00"), 1), "CN"),
    ]
    table = inbound_roamers(inputs([], [], seen))
    assert rows(table) == [
        (8, FIRST, "ZZ", 1, 1),
        (9, FIRST, "CN", 1, 1),
        (9, FIRST, "CN", 2, 1),
        (9, FIRST + 1, "CN", 1, 1),
    ]


def busy() -> dict[str, Any]:
    """Many travellers with irregular trips, the same for every engine."""
    events, outbound, inbound = [], [], []
    for subscriber in range(40):
        for step in range(60):
            t = at(0, "00:00:00") + step * 13_337 + subscriber * 7_919
            if (subscriber * 7 + step // 5) % 4 == 0 and subscriber % 3:
                outbound.append(abroad_event(subscriber, t, ("JP", "VN", None, "US")[(subscriber + step) % 4], (9, 7, 0, -8)[step % 4]))
            else:
                events.append(home_event(subscriber, t, step % 5))
            if subscriber % 5 == 0:
                inbound.append((*home_event(1000 + subscriber, t, step % 3), ("CN", None)[step % 2]))
    return {"events": events, "outbound": outbound, "inbound": inbound}


def test_contributions_are_unique_by_subscriber_and_keys_with_the_real_home():
    data = inputs(**busy())
    for measure in ROAMING_MEASURES:
        table = measure.contributions(data).to_pyarrow()
        names = [key.name for key in measure.keys]
        assert table.num_rows > 10, measure.name
        assert table.column_names == ["subscriber", *names, "value"], measure.name
        assert len({row[:-1] for row in zip(*table.to_pydict().values(), strict=True)}) == table.num_rows, measure.name
        assert table.schema.field("value").type == pa.int64()
        summed = aggregate(measure, measure.contributions(data)).to_pyarrow().to_pydict()
        assert sum(summed["value"]) == sum(table["value"].to_pylist())
        assert sum(summed["subscribers"]) == table.num_rows


def lowest_zone(data: Inputs) -> Any:
    """A home that tells nothing of the real one, so that this test depends on roaming alone."""
    dated = data.events.join(data.calendar, "day")
    return dated.group_by("subscriber", "month").agg(zone=dated.zone.min())


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:PySpark does not yet fully support pandas")  # nothing here goes through pandas
def test_spark_gives_the_same_tables(tmp_path: Path):
    pyspark = pytest.importorskip("pyspark", reason="the extra `spark` is not installed")
    from pyspark.sql import SparkSession

    assert pyspark.__version__ >= "4"
    session = (
        SparkSession.builder.master("local[2]")
        .config("spark.ui.enabled", "false")
        .config("spark.driver.bindAddress", "127.0.0.1")
        .config("spark.driver.host", "127.0.0.1")
        .config("spark.sql.session.timeZone", "UTC")
        .config("spark.sql.shuffle.partitions", "2")
        .getOrCreate()
    )
    con = ibis.pyspark.connect(session)
    made = 0

    def on_spark(data: list[Row], names: list[str]) -> Any:
        nonlocal made
        made += 1
        path = tmp_path / f"{made}.parquet"
        pq.write_table(arrow(data, names), path)
        session.read.parquet(str(path)).createOrReplaceTempView(f"roaming_{made}")
        return con.table(f"roaming_{made}")

    try:
        here, there = inputs(**busy()), inputs(**busy(), make=on_spark)
        for measure in ROAMING_MEASURES:
            extra = {"home": lowest_zone} if "home" in {key.name for key in measure.keys} else {}
            expected = rows(measure.contributions(here, **extra))
            table = measure.contributions(there, **extra)
            assert sorted(tuple(row) for row in session.sql(con.compile(table)).collect()) == expected, measure.name
    finally:
        session.stop()
