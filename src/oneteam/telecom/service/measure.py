"""Run measures on a stored dataset and give tables for people."""

from __future__ import annotations

import json
import time
from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Literal

import pyarrow as pa

import oneteam
from oneteam.core.errors import DatasetCorruptError, FileUnreadableError, NothingFoundError, UnknownValueError
from oneteam.core.progress import Progress, silent
from oneteam.telecom.measures.catalogue import MEASURES
from oneteam.telecom.measures.inputs import Period
from oneteam.telecom.measures.measure import Measure, MeasureSettings
from oneteam.telecom.measures.results import readable
from oneteam.telecom.service.cache import DailyCache, Kind, ranges
from oneteam.telecom.service.kernel_engine import KernelEngine
from oneteam.telecom.service.source import Engine, Result, Source
from oneteam.telecom.service.sql_engines import DuckDbEngine, SparkEngine

EngineName = Literal["auto", "duckdb", "spark", "kernel"]
ENGINES: tuple[EngineName, ...] = ("auto", "duckdb", "spark", "kernel")


@dataclass(frozen=True)
class Answer:
    """One measure's table and how it came about.

    Args:
        measure: what was measured.
        table: as `results.readable` describes.
        contributions: ``subscriber``, integer keys, ``value``; only when asked for; they never leave the carrier.
        codes: code of each zone index that contributions speak of.
        about: measure, unit, engine, settings, period, versions: written into the file beside the rows.
        computed_days: days whose events were read; the others' results were kept from before.
        seconds: how long it took.
    """

    measure: Measure
    table: pa.Table
    contributions: pa.Table | None
    codes: Sequence[str]
    about: dict[str, str]
    computed_days: int
    seconds: float


def measures_named(names: Sequence[str]) -> list[Measure]:
    """Measures by name.

    Raises:
        UnknownValueError: a name that no measure has.
    """
    unknown = [name for name in names if name not in MEASURES]
    if unknown:
        raise UnknownValueError(f"no measure {', '.join(unknown)}; there are {', '.join(MEASURES)}")
    return [MEASURES[name] for name in dict.fromkeys(names)]


def run_measures(
    data: Path,
    names: Sequence[str],
    *,
    engine: EngineName = "auto",
    first: date | None = None,
    last: date | None = None,
    by_cell: bool | None = None,
    settings: MeasureSettings | None = None,
    contributions: bool = False,
    keep: bool = True,
    threads: int | None = None,
    progress: Progress = silent,
) -> dict[str, Answer]:
    """Run measures over a dataset.

    Args:
        data: the dataset's folder.
        names: which measures.
        engine: ``auto`` takes the compiled kernel where it has the measure, else DuckDB, and keeps daily results for the next run; a
            named engine computes everything anew.
        first: first local day, default the dataset's.
        last: last local day, default the dataset's.
        by_cell: every cell as a zone of its own; default: only when the dataset has no zones.
        settings: the measures' numbers.
        contributions: also give every subscriber's contributions.
        keep: with ``auto``, use and fill the folder ``cache`` in the dataset.
        threads: default: as many as there are cores.
        progress: told how far it is.

    Raises:
        NothingFoundError: no dataset, no events in the period, no roaming records for a roaming measure.
        UnsupportedMeasureError: the named engine does not have the measure.
        MissingExtraError: PySpark or Java is not installed.
    """
    measures = measures_named(names)
    source = Source.open(data, by_cell=by_cell, settings=settings)
    period, months = _periods(source, measures, first, last)
    began = time.perf_counter()
    wanted = {m.name for m in measures} if contributions else set()
    results: dict[str, Result] = {}
    computed: dict[str, int] = {}
    # Homes rest on whole months, whatever part of a month is asked for; where that is the same period, one pass serves all.
    by_period: dict[Period, list[Measure]] = defaultdict(list)
    for measure in measures:
        by_period[months if measure.is_monthly else period].append(measure)
    for days, group in by_period.items():
        if engine == "auto" and keep and not contributions:
            found, new = _with_cache(source, group, days, threads, progress)
        else:
            found, new = {}, dict.fromkeys((m.name for m in group), len(days.days))
            for runner, some in _by_engine(source, group, days, engine, threads, wanted):
                found |= runner.run(source, some, days, contributions=wanted & {m.name for m in some}, progress=progress)
        results |= {name: _within(result, period) for name, result in found.items()}
        computed |= new
    codes = zone_codes(source)
    seconds = time.perf_counter() - began
    used = {m.name: runner.name for runner, some in _by_engine(source, measures, period, engine, threads) for m in some}
    return {
        m.name: Answer(
            m,
            readable(m, results[m.name].aggregate, results[m.name].active, codes),
            results[m.name].contributions,
            codes,
            _about(source, m, period, used[m.name] if engine != "auto" else f"auto ({used[m.name]})"),
            computed[m.name],
            seconds,
        )
        for m in measures
    }


def _periods(source: Source, measures: Sequence[Measure], first: date | None, last: date | None) -> tuple[Period, Period]:
    """The days asked for, and the whole months around them; both as far as the dataset has them."""
    whole = source.everything()
    if first is not None and last is not None and first > last:
        raise UnknownValueError(f"the period ends ({last}) before it begins ({first})")
    begin, end = max(first or whole.first, whole.first), min(last or whole.last, whole.last)
    if begin > end:
        raise NothingFoundError(f"{source.folder}: no day of the period is in the dataset", hint=source.days_hint())
    period = Period(begin, end)
    if any("events" in m.needs for m in measures) and not source.files("events", period):
        raise NothingFoundError(f"{source.folder}: no events from {begin} to {end}", hint=source.days_hint())
    return period, Period(max(begin.replace(day=1), whole.first), min(_end_of_month(end), whole.last))


def _end_of_month(day: date) -> date:
    return (day.replace(day=1) + timedelta(32)).replace(day=1) - timedelta(1)


def _within(result: Result, period: Period) -> Result:
    """The days of a period only, where there are days."""

    def cut(table: pa.Table) -> pa.Table:
        if "day" not in table.column_names:
            return table
        day = table["day"].to_numpy()
        return table.filter(pa.array((day >= period.days[0]) & (day <= period.days[-1]))).combine_chunks()

    return Result(cut(result.aggregate), cut(result.active), None if result.contributions is None else cut(result.contributions))


def _engine(name: EngineName, threads: int | None) -> Engine:
    match name:
        case "kernel":
            return KernelEngine(threads=threads)
        case "spark":
            return SparkEngine(threads=threads)
        case _:
            return DuckDbEngine(threads=threads)


def _by_engine(
    source: Source,
    measures: Sequence[Measure],
    period: Period,
    engine: EngineName,
    threads: int | None,
    contributions: Collection[str] = (),
) -> list[tuple[Engine, list[Measure]]]:
    """Which engine runs which measures."""
    if engine != "auto":
        return [(_engine(engine, threads), list(measures))]
    kernel = KernelEngine(threads=threads)

    def fast(measure: Measure) -> bool:
        # The kernel gives no contributions to these two.
        emits = not (measure.name in contributions and measure.name in {"time_segments", "coverage"})
        return kernel.supports(measure) and kernel.fits(measure, source, period) and emits

    pairs: list[tuple[Engine, list[Measure]]] = [
        (kernel, [m for m in measures if fast(m)]),
        (DuckDbEngine(threads=threads), [m for m in measures if not fast(m)]),
    ]
    return [(runner, group) for runner, group in pairs if group]


Item = tuple[str, Kind]
"""A daily measure and what of it is kept."""


def _rests_on(measure: Measure) -> list[Item]:
    """What must be kept for every day before the measure can be given; empty for one that is always computed anew."""
    if measure.is_daily:
        return [(measure.name, "aggregate")]
    return [(name, "contributions") for name in (*measure.rests_on, "active_days")] if measure.rests_on else []


def _with_cache(
    source: Source, measures: Sequence[Measure], period: Period, threads: int | None, progress: Progress
) -> tuple[dict[str, Result], dict[str, int]]:
    """Compute the missing days of the daily measures, then what rests on them; also how many days were computed for each."""
    cache = DailyCache(source)
    items = {item for measure in measures for item in _rests_on(measure)}
    for attempt in range(_ATTEMPTS):
        missing = {item: cache.missing(MEASURES[item[0]], item[1], period) for item in sorted(items)}
        # What lacks the same days is computed together, in one pass where the kernel has it.
        together: dict[tuple[date, ...], list[Item]] = defaultdict(list)
        for item, days in missing.items():
            together[days].append(item)
        for days, group in together.items():
            for part in ranges(days):
                _compute(source, cache, group, part, threads, progress)
        try:
            results = _from_cache(source, cache, measures, period, threads, progress)
        except (FileUnreadableError, DatasetCorruptError):
            # Another process, which sees a newer state of the dataset, has replaced a day meanwhile.
            if attempt == _ATTEMPTS - 1:
                raise
        else:
            break
    computed = {
        m.name: len({day for item in _rests_on(m) for day in missing[item]}) if _rests_on(m) else len(period.days) for m in measures
    }
    return results, computed


_ATTEMPTS = 3


def _from_cache(
    source: Source, cache: DailyCache, measures: Sequence[Measure], period: Period, threads: int | None, progress: Progress
) -> dict[str, Result]:
    results: dict[str, Result] = {}
    for measure in measures:
        if measure.is_daily:
            results[measure.name] = _kept(cache, measure, period)
        else:
            daily = {name: list(cache.paths(MEASURES[name], kind, period).values()) for name, kind in _rests_on(measure)}
            results |= DuckDbEngine(threads=threads).run(source, [measure], period, daily=daily, progress=progress)
    return results


def _kept(cache: DailyCache, measure: Measure, period: Period) -> Result:
    """A daily measure from its kept days."""
    rows = cache.read(measure, "aggregate", period)
    keys = [name for name in ("day", "hour") if name in rows.column_names]
    active = rows.group_by(keys, use_threads=False).aggregate([("active", "max")]).rename_columns([*keys, "active"])
    return Result(rows.drop_columns(["active"]), active.sort_by([(key, "ascending") for key in keys]), None)


def _compute(source: Source, cache: DailyCache, items: Sequence[Item], part: Period, threads: int | None, progress: Progress) -> None:
    emitted = {name for name, kind in items if kind == "contributions"}
    measures = measures_named([name for name, _ in items])
    for runner, group in _by_engine(source, measures, part, "auto", threads, emitted):
        found = runner.run(source, group, part, contributions=emitted & {m.name for m in group}, progress=progress)
        for measure in group:
            result = found[measure.name]
            for name, kind in items:
                if name == measure.name:
                    rows = result.contributions if kind == "contributions" else _with_active(result)
                    assert rows is not None, "contributions were asked for"
                    cache.keep(measure, kind, part, rows)


def _with_active(result: Result) -> pa.Table:
    keys = [name for name in result.active.column_names if name != "active"]
    order = [(name, "ascending") for name in result.aggregate.column_names if name not in {"value", "subscribers"}]
    return result.aggregate.join(result.active, keys, join_type="left outer").sort_by(order).combine_chunks()


def zone_codes(source: Source) -> list[str]:
    """The code of every zone, or of every cell when measures are taken by cell, by index."""
    if not source.by_cell:
        zones = source.table("zones")
        assert zones is not None, "a dataset with cell_zones has zones"
        return [str(code) for code in zones["code"].to_pylist()]
    cells = source.table("cells")
    assert cells is not None, "a dataset with events has cells"
    codes = [""] * source.zone_count()
    for cell, cell_id in zip(cells["cell"].to_pylist(), cells["cell_id"].to_pylist(), strict=True):
        codes[cell] = cell_id
    return codes


def _about(source: Source, measure: Measure, period: Period, engine: str) -> dict[str, str]:
    return {
        "measure": measure.name,
        "title": measure.title_en,
        "unit": measure.unit,
        "engine": engine,
        "first_day": period.first.isoformat(),
        "last_day": period.last.isoformat(),
        "timezone": source.manifest.timezone,
        "zone_version": "cell" if source.by_cell else source.manifest.zone_version or "",
        "settings": json.dumps(asdict(source.settings)),
        "dataset_revision": str(source.manifest.revision),
        "oneteam": oneteam.__version__,
    }
