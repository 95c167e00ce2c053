"""DuckDB and Apache Spark: the engines that run the Ibis definitions."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import ibis
import pyarrow as pa

from oneteam.core.errors import DatasetCorruptError, MissingExtraError, NothingFoundError, OutOfMemoryError
from oneteam.core.progress import Progress, silent
from oneteam.telecom.measures import presence
from oneteam.telecom.measures.inputs import Period, build_inputs, calendar_of, has_moving_cells
from oneteam.telecom.measures.measure import Inputs, Measure, aggregate, define
from oneteam.telecom.schemas import EVENTS
from oneteam.telecom.service.source import ACTIVE, Result, Source, finest_time_key, normalised

if TYPE_CHECKING:
    import ibis.expr.types as ir


class IbisEngine(ABC):
    """Shared by the engines that run the Ibis definitions."""

    name = "ibis"

    def supports(self, measure: Measure) -> bool:  # noqa: ARG002 - the definitions run everywhere
        """Every measure is defined in Ibis."""
        return True

    @abstractmethod
    def inputs(self, source: Source, period: Period, reach: Period, daily: Mapping[str, Sequence[Path]]) -> AbstractContextManager[Inputs]:
        """Bind a dataset to this engine.

        Args:
            source: the dataset.
            period: days with results.
            reach: days whose events are read.
            daily: files with the kept contributions of daily measures.
        """

    def run(
        self,
        source: Source,
        measures: Sequence[Measure],
        period: Period,
        *,
        contributions: Collection[str] = (),
        daily: Mapping[str, Sequence[Path]] | None = None,
        progress: Progress = silent,
    ) -> dict[str, Result]:
        """Run measures one after the other."""
        results = {}
        for table in sorted({name for measure in measures for name in measure.needs} - set(source.manifest.tables)):
            raise NothingFoundError(
                f"{source.folder}: no {table} records", hint="Ingest roaming records, see `oneteam telecom ingest --help`."
            )
        # A return may follow a journey that began long before the period.
        reach = source.everything() if any("outbound" in measure.needs for measure in measures) else period.with_halo()
        with self.inputs(source, period, reach, daily or {}) as inputs:
            active = _active(inputs)
            for number, measure in enumerate(measures):
                progress(f"{measure.name} on {self.name}", number, len(measures))
                keys = [key.name for key in measure.keys]
                rows = define(measure, inputs)
                time = finest_time_key(measure)
                results[measure.name] = Result(
                    normalised(aggregate(measure, rows).to_pyarrow(), keys),
                    normalised(active[time].to_pyarrow(), ACTIVE[time]),
                    normalised(rows.to_pyarrow(), keys, subscriber=True) if measure.name in contributions else None,
                )
            progress("measures", len(measures), len(measures))
        return results


def _active(inputs: Inputs) -> dict[str, ir.Table]:
    """Subscribers with any event, by hour, day and month."""
    hourly = presence.active_devices(inputs).semi_join(inputs.calendar, "day")
    days = inputs.daily_or("active_days", presence.active_days).semi_join(inputs.calendar, "day")
    months = days.join(inputs.calendar.select("day", "month"), "day").select("subscriber", "month").distinct()
    return {
        "hour": hourly.group_by("day", "hour").agg(active=hourly.count()),
        "day": days.group_by("day").agg(active=days.count()),
        "month": months.group_by("month").agg(active=months.count()),
    }


class DuckDbEngine(IbisEngine):
    """DuckDB over the Parquet files; may read nothing but the dataset."""

    name = "duckdb"

    def __init__(self, *, threads: int | None = None, memory_limit: str = "4GB") -> None:
        self.threads = threads or os.cpu_count() or 1
        self.memory_limit = memory_limit

    @contextlib.contextmanager
    def inputs(self, source: Source, period: Period, reach: Period, daily: Mapping[str, Sequence[Path]]) -> Iterator[Inputs]:
        """Bind the dataset's files as views, then forbid DuckDB everything else."""
        with tempfile.TemporaryDirectory(prefix="oneteam-duckdb-") as spill:
            connection = ibis.duckdb.connect(threads=self.threads, memory_limit=self.memory_limit, temp_directory=spill)
            try:

                def scan(name: str, columns: list[str], files: Iterable[Path]) -> ir.Table:
                    query = f"SELECT {', '.join(columns)} FROM read_parquet([{', '.join(_quoted(path) for path in files)}])"  # noqa: S608
                    connection.raw_sql(f"CREATE VIEW {name} AS {query}")
                    return connection.table(name)

                def view(name: str, columns: list[str]) -> ir.Table | None:
                    files = source.files(name, reach).values()
                    return scan(f"raw_{name}", columns, files) if files else None

                def create(name: str, table: pa.Table) -> ir.Table:
                    return connection.create_table(name, table, temp=True)

                kept = {name: scan(f"daily_{name}", ["*"], files) for name, files in daily.items()}
                inputs = replace(bind(view, create, source, period, DUCKDB_SECONDS), daily=kept)
                folders = ", ".join(_quoted(path) for path in (source.folder, Path(spill)))
                connection.raw_sql(f"SET allowed_directories = [{folders}]")
                connection.raw_sql("SET enable_external_access = false")
                connection.raw_sql("SET lock_configuration = true")
                yield inputs
            except (duckdb.IOException, duckdb.InvalidInputException, duckdb.SerializationException) as err:
                raise DatasetCorruptError(f"{source.folder}: a file of the dataset cannot be read", detail=str(err)) from err
            except duckdb.OutOfMemoryException as err:
                raise OutOfMemoryError(
                    f"DuckDB needs more than {self.memory_limit} for this", hint="Take fewer days at once, or --engine kernel or spark."
                ) from err
            finally:
                connection.disconnect()


def _quoted(path: Path) -> str:
    return "'" + str(path.resolve()).replace("'", "''") + "'"


DUCKDB_SECONDS = "epoch_us(timestamp) // 1000000"
SPARK_SECONDS = "unix_micros(timestamp) div 1000000"


NO_EVENTS = pa.schema([*EVENTS, pa.field("t", pa.int64())]).empty_table()


def bind(
    view: Callable[[str, list[str]], ir.Table | None],
    create: Callable[[str, pa.Table], ir.Table],
    source: Source,
    period: Period,
    seconds: str,
) -> Inputs:
    """Make `Inputs` from an engine's way to view files and to hold small tables."""
    events = view("events", ["subscriber", "timestamp", "cell", f"{seconds} AS t"])
    if events is None:
        # A dataset of roamers only: nobody is active at home.
        events = create("no_events", NO_EVENTS)
    inbound = view("inbound", ["subscriber", "timestamp", "cell", f"{seconds} AS t", "country"])
    outbound = view("outbound", ["subscriber", "timestamp", f"{seconds} AS t", "utc_offset_min", "country"])
    lookup = source.lookup()
    return build_inputs(
        events,
        inbound,
        outbound,
        create("lookup", lookup),
        create("calendar", calendar_of(period)),
        moving_cells=has_moving_cells(lookup),
        offsets=period.offsets(source.manifest.timezone),
        settings=source.settings,
    )


class SparkEngine(IbisEngine):
    """Apache Spark: a local session unless one is running already."""

    name = "spark"

    def __init__(self, *, threads: int | None = None, driver_memory: str = "4g", shuffle_partitions: int | None = None) -> None:
        self.threads = threads or os.cpu_count() or 1
        self.driver_memory = driver_memory
        self.shuffle_partitions = shuffle_partitions or 4 * self.threads

    def session(self) -> Any:
        """The running session, or a new local one that listens on the loopback interface only."""
        try:
            from pyspark.sql import SparkSession
        except ImportError as err:
            raise MissingExtraError("the Spark engine needs PySpark", hint="pip install 'oneteam[spark]'") from err
        if shutil.which("java") is None and "JAVA_HOME" not in os.environ:
            raise MissingExtraError("the Spark engine needs Java 17 or newer", hint="On Debian: apt-get install openjdk-17-jre-headless")
        active = SparkSession.getActiveSession()
        if active is not None:
            return active
        os.environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")
        session = (
            SparkSession.builder.master(f"local[{self.threads}]")
            .appName("oneteam")
            .config("spark.driver.memory", self.driver_memory)
            .config("spark.driver.host", "127.0.0.1")
            .config("spark.driver.bindAddress", "127.0.0.1")
            .config("spark.ui.enabled", "false")
            .config("spark.sql.session.timeZone", "UTC")
            .config("spark.sql.shuffle.partitions", str(self.shuffle_partitions))
            .getOrCreate()
        )
        session.sparkContext.setLogLevel("ERROR")
        return session

    @contextlib.contextmanager
    def inputs(self, source: Source, period: Period, reach: Period, daily: Mapping[str, Sequence[Path]]) -> Iterator[Inputs]:
        """Bind the dataset's files as temporary views."""
        session = self.session()
        connection = ibis.pyspark.connect(session)

        def scan(name: str, columns: list[str], files: Iterable[Path]) -> ir.Table:
            paths = [str(path.resolve()) for path in files]
            session.read.parquet(*paths).selectExpr(*columns).createOrReplaceTempView(name)
            return connection.table(name)

        def view(name: str, columns: list[str]) -> ir.Table | None:
            files = source.files(name, reach).values()
            return scan(f"raw_{name}", columns, files) if files else None

        def create(name: str, table: pa.Table) -> ir.Table:
            session.createDataFrame(table).createOrReplaceTempView(name)
            return connection.table(name)

        kept = {name: scan(f"daily_{name}", ["*"], files) for name, files in daily.items()}
        yield replace(bind(view, create, source, period, SPARK_SECONDS), daily=kept)
