"""The engine that feeds the compiled kernel: day files streamed by ranges of subscribers, one thread a slice."""

from __future__ import annotations

import os
from collections.abc import Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from oneteam.core.clock import EPOCH
from oneteam.core.errors import NothingFoundError, UnsupportedMeasureError
from oneteam.core.progress import Progress, silent
from oneteam.telecom.measures.inputs import Period, lookup_by_day, month_of
from oneteam.telecom.measures.kernel import DENSE_CELLS, KINDS, Contributions, Frame, Totals, Wanted, run_slice, slice_bounds
from oneteam.telecom.measures.measure import Measure
from oneteam.telecom.service.partitions import ROWS_PER_BATCH, batches
from oneteam.telecom.service.source import ACTIVE, Result, Source, finest_time_key

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Ints = NDArray[np.int64]


class KernelEngine:
    """The compiled kernel: one pass over the events for all measures asked for."""

    name = "kernel"
    MEASURES = frozenset({"presence", "od", "home", "night_dwell", "time_segments", "coverage", "active_days"})

    def __init__(self, *, threads: int | None = None, rows_per_batch: int = ROWS_PER_BATCH) -> None:
        self.threads = threads or os.cpu_count() or 1
        self.rows_per_batch = rows_per_batch

    def supports(self, measure: Measure) -> bool:
        """The hot path only."""
        return measure.name in self.MEASURES

    def fits(self, measure: Measure, source: Source, period: Period) -> bool:
        """Whether the tables that can only be dense are small enough."""
        return measure.name != "time_segments" or len(period.days) * 3 * (source.zone_count() + 1) <= 4 * DENSE_CELLS

    def run(
        self,
        source: Source,
        measures: Sequence[Measure],
        period: Period,
        *,
        contributions: Collection[str] = (),
        progress: Progress = silent,
    ) -> dict[str, Result]:
        """Run all measures in one pass.

        Raises:
            UnsupportedMeasureError: for a measure outside `MEASURES`; time segments and coverage give no contributions.
            NothingFoundError: no events in the period.
        """
        names = {measure.name for measure in measures}
        if missing := sorted(names - self.MEASURES):
            raise UnsupportedMeasureError(f"the kernel has no {', '.join(missing)}", hint="Use --engine auto or duckdb.")
        if missing := sorted(set(contributions) & {"time_segments", "coverage"}):
            raise UnsupportedMeasureError(f"the kernel gives no contributions to {', '.join(missing)}", hint="Use --engine duckdb.")
        if missing := [measure.name for measure in measures if not self.fits(measure, source, period)]:
            raise UnsupportedMeasureError(
                f"{', '.join(missing)} of {len(period.days)} days by {source.zone_count():,} zones is too large for the kernel",
                hint="Take fewer days at once, or --engine duckdb.",
            )
        wide = period.with_halo()
        files = source.files("events", wide)
        if not files:
            raise NothingFoundError(f"{source.folder}: no events from {period.first} to {period.last}", hint=source.days_hint())

        zones, version = lookup_by_day(source.lookup(), wide.days)
        file_days = [(date.fromisoformat(day) - EPOCH).days - wide.days[0] for day in files]
        first_month = month_of(period.days[0])
        months = np.array([month_of(day) - first_month for day in period.days], np.int64)
        frame = Frame(period.days[0], months, source.zone_count())
        wanted = Wanted(
            presence="presence" in names,
            od="od" in names,
            night=bool(names & {"home", "night_dwell"}),
            segments="time_segments" in names,
            emit_presence="presence" in contributions,
            emit_od="od" in contributions,
            emit_night=bool({"home", "night_dwell"} & set(contributions)),
            emit_active="active_days" in contributions,
        )
        workers = [Totals.zeros(frame, wanted) for _ in range(self.threads)]
        collected: dict[str, list[Contributions]] = {kind: [] for kind in KINDS}
        offsets = period.offsets(source.manifest.timezone)
        rows = sum(source.manifest.tables["events"][day].rows for day in files)
        done = 0

        with ThreadPoolExecutor(self.threads) as pool:
            for batch in batches(list(files.values()), version[file_days], self.rows_per_batch):
                slices = slice_bounds(batch, self.threads)
                work = zip(slices, workers, strict=False)
                jobs = [pool.submit(run_slice, batch, s, zones, offsets, frame, source.settings, wanted, t) for s, t in work]
                for job in jobs:
                    for kind, part in zip(KINDS, job.result(), strict=True):
                        if len(part.key):
                            collected[kind].append(part if kind in contributions else summed(part))
                done += len(batch.subscriber)
                progress(f"{', '.join(sorted(names))} on kernel", done, rows)

        totals = workers[0]
        for other in workers[1:]:
            totals.add(other)
        return {m.name: _result(m, totals, frame, collected, contributions=m.name in contributions) for m in measures}


def summed(rows: Contributions, counts: Ints | None = None) -> Contributions:
    """Sum contributions by key; the field ``subscriber`` then holds how many there were.

    Args:
        rows: contributions, or sums that this function gave for several batches.
        counts: how many contributions each row stands for, 1 when None.
    """
    if not len(rows.key):
        return Contributions()
    order = np.argsort(rows.key, kind="stable")
    key = rows.key[order]
    first = np.flatnonzero(np.concatenate([[True], key[1:] != key[:-1]]))
    count = np.diff(np.append(first, len(key))) if counts is None else np.add.reduceat(counts[order], first)
    return Contributions(count, key[first], np.add.reduceat(rows.value[order], first))


def _joined(parts: list[Contributions]) -> Contributions:
    if not parts:
        return Contributions()
    return Contributions(*(np.concatenate([getattr(part, name) for part in parts]) for name in ("subscriber", "key", "value")))


def _keys(measure: Measure, key: NDArray[np.int64], frame: Frame) -> dict[str, NDArray[np.int32]]:
    """Take flat keys apart, last dimension first."""
    z = frame.zone_count
    sizes = {"hour": 24, "zone": z, "origin": z, "destination": z, "state": 3, "day": frame.day_count, "month": frame.month_count}
    shift = measure.name == "time_segments"  # its zones begin at -1
    columns = {}
    for name in reversed([k.name for k in measure.keys]):
        key, part = np.divmod(key, sizes[name] + (shift and name == "zone"))
        columns[name] = part - (shift and name == "zone")
    if "day" in columns:
        columns["day"] += frame.first_day
    if "month" in columns:
        columns["month"] += month_of(frame.first_day)
    return {k.name: columns[k.name].astype(np.int32) for k in measure.keys}


def _result(measure: Measure, totals: Totals, frame: Frame, collected: dict[str, list[Contributions]], *, contributions: bool) -> Result:
    name = measure.name
    rows = _joined(collected[name]) if name in collected else Contributions()
    dense: dict[str, tuple[NDArray[np.integer], NDArray[np.integer]]] = {
        "presence": (totals.presence, totals.presence),
        "od": (totals.od_trips, totals.od_travellers),
        "night_dwell": (totals.night_s, totals.night_subscribers),
        "home": (totals.home, totals.home),
        "time_segments": (totals.segment_s, totals.segment_subscribers),
        "coverage": (totals.active_hour, totals.active_hour),
        "active_days": (totals.active_day, totals.active_day),
    }
    value, subscribers = dense[name]
    if len(value):
        key = np.flatnonzero(subscribers)
        value, subscribers = value[key], subscribers[key]
    else:
        # Too large for a dense table: sums by key, of batches, or of all contributions.
        total = summed(rows, None if contributions else rows.subscriber)
        key, value, subscribers = total.key, total.value, total.subscriber
    keys = _keys(measure, key, frame)
    aggregate = pa.table({**keys, "value": value.astype(np.int64), "subscribers": subscribers.astype(np.int64)})
    time = finest_time_key(measure)
    counts = {"hour": totals.active_hour, "day": totals.active_day, "month": totals.active_month}[time]
    slot = np.flatnonzero(counts)
    first = {"hour": frame.first_day * 24, "day": frame.first_day, "month": month_of(frame.first_day)}[time] + slot
    parts = (first // 24, first % 24) if time == "hour" else (first,)
    active = {n: p.astype(np.int32) for n, p in zip(ACTIVE[time], parts, strict=True)}
    active_table = pa.table({**active, "active": counts[slot].astype(np.int64)})
    if not contributions:
        return Result(aggregate, active_table, None)
    order = np.lexsort((rows.key, rows.subscriber))
    each = pa.table({"subscriber": rows.subscriber[order], **_keys(measure, rows.key[order], frame), "value": rows.value[order]})
    return Result(aggregate, active_table, each)
