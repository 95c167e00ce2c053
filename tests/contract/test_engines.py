"""Every engine gives every measure to the bit."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pyarrow as pa
import pytest

from oneteam.telecom.measures.catalogue import MEASURES
from oneteam.telecom.measures.inputs import Period
from oneteam.telecom.measures.kernel import DENSE_CELLS
from oneteam.telecom.service.kernel_engine import KernelEngine
from oneteam.telecom.service.source import Result, Source
from oneteam.telecom.service.sql_engines import DuckDbEngine, SparkEngine
from tests.contract.edge_cases import edge_dataset, summer_time_dataset
from tests.telecom.needs import needs_spark

ALL = list(MEASURES.values())
FAST = [m for m in ALL if KernelEngine().supports(m)]
EMITTED = {"presence", "od", "home", "night_dwell", "active_days"}
PERIOD = Period(date(2020, 1, 30), date(2020, 2, 3))


@pytest.fixture(scope="module")
def edge(tmp_path_factory: pytest.TempPathFactory) -> Source:
    return Source.open(edge_dataset(tmp_path_factory.mktemp("edge")))


@pytest.fixture(scope="module")
def expected(edge: Source) -> dict[str, Result]:
    return DuckDbEngine().run(edge, ALL, PERIOD, contributions=set(MEASURES))


@pytest.fixture(scope="module")
def on_spark(edge: Source) -> Iterator[dict[str, Result]]:
    engine = SparkEngine(threads=2, driver_memory="1g", shuffle_partitions=2)
    yield engine.run(edge, ALL, PERIOD, contributions=set(MEASURES))
    engine.session().stop()


def same(a: pa.Table | None, b: pa.Table | None) -> bool:
    return a is not None and b is not None and a.schema.equals(b.schema) and a.equals(b)


@pytest.mark.parametrize("name", MEASURES)
def test_every_measure_finds_something(expected: dict[str, Result], name: str) -> None:
    assert expected[name].aggregate.num_rows > 0
    assert expected[name].contributions is not None
    assert expected[name].contributions.num_rows >= expected[name].aggregate.num_rows


@pytest.mark.parametrize("name", MEASURES)
def test_contributions_sum_to_the_aggregate(expected: dict[str, Result], name: str) -> None:
    keys = [key.name for key in MEASURES[name].keys]
    rows = expected[name].contributions
    assert rows is not None
    total = rows.group_by(keys).aggregate([("value", "sum"), ("subscriber", "count"), ("subscriber", "count_distinct")])
    total = total.sort_by([(key, "ascending") for key in keys])
    assert total["value_sum"].equals(expected[name].aggregate["value"])
    assert total["subscriber_count"].equals(expected[name].aggregate["subscribers"])
    assert total["subscriber_count_distinct"].equals(expected[name].aggregate["subscribers"]), "a subscriber stands twice under a key"


@needs_spark
@pytest.mark.slow
@pytest.mark.parametrize("name", MEASURES)
def test_spark_agrees(expected: dict[str, Result], on_spark: dict[str, Result], name: str) -> None:
    assert same(on_spark[name].aggregate, expected[name].aggregate)
    assert same(on_spark[name].contributions, expected[name].contributions)
    assert same(on_spark[name].active, expected[name].active)


@pytest.mark.parametrize("rows_per_batch", [37, 1_000_000])
@pytest.mark.parametrize("threads", [1, 2])
def test_the_kernel_agrees(edge: Source, expected: dict[str, Result], rows_per_batch: int, threads: int) -> None:
    found = KernelEngine(threads=threads, rows_per_batch=rows_per_batch).run(edge, FAST, PERIOD, contributions=EMITTED)
    for measure in FAST:
        assert same(found[measure.name].aggregate, expected[measure.name].aggregate), measure.name
        assert same(found[measure.name].active, expected[measure.name].active), measure.name
        if measure.name in EMITTED:
            assert same(found[measure.name].contributions, expected[measure.name].contributions), measure.name


def test_the_kernel_agrees_when_tables_are_too_large_to_be_dense(
    edge: Source, expected: dict[str, Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert DENSE_CELLS > 1_000_000
    monkeypatch.setattr("oneteam.telecom.measures.kernel.DENSE_CELLS", 100)
    measures = [MEASURES[name] for name in ("presence", "od", "home", "night_dwell", "time_segments")]
    for wanted in ((), EMITTED):
        found = KernelEngine(rows_per_batch=50).run(edge, measures, PERIOD, contributions=wanted)
        for measure in measures:
            assert same(found[measure.name].aggregate, expected[measure.name].aggregate), measure.name


def test_by_cell(edge: Source) -> None:
    by_cell = Source.open(edge.folder, by_cell=True)
    expected = DuckDbEngine().run(by_cell, FAST, PERIOD)
    found = KernelEngine().run(by_cell, FAST, PERIOD)
    for measure in FAST:
        assert same(found[measure.name].aggregate, expected[measure.name].aggregate), measure.name


def test_part_of_the_period_gives_the_same_days(edge: Source, expected: dict[str, Result]) -> None:
    """Results of a day do not depend on which days are asked for: the rule on which keeping daily results rests."""
    for day in range(30, 32):
        one = Period(date(2020, 1, day), date(2020, 1, day))
        for engine in (DuckDbEngine(), KernelEngine()):
            measures = [m for m in FAST if m.is_daily]
            for name, result in engine.run(edge, measures, one).items():
                whole = expected[name].aggregate
                assert same(result.aggregate, whole.filter(pa.compute.equal(whole["day"], one.days[0])).combine_chunks()), name


def test_when_the_clocks_go_back(tmp_path: Path) -> None:
    source = Source.open(summer_time_dataset(tmp_path))
    period = source.everything()
    expected = DuckDbEngine().run(source, FAST, period, contributions=EMITTED)
    found = KernelEngine(rows_per_batch=100).run(source, FAST, period, contributions=EMITTED)
    for measure in FAST:
        assert same(found[measure.name].aggregate, expected[measure.name].aggregate), measure.name
