"""Ingestion: a carrier's files in, a sorted, checked dataset and a quality report out; whole or not at all."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date
from functools import partial
from pathlib import Path
from typing import Final, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from oneteam.core.clock import EPOCH
from oneteam.core.errors import InputError, MappingError, NothingFoundError, UnknownValueError
from oneteam.core.progress import Progress, silent
from oneteam.store.tables import Transaction, is_stored_file, read_parquet
from oneteam.telecom.dataset import SourceRecord, TelecomManifest
from oneteam.telecom.ingestion.cells import CellRegistry, clean_topology, same_table
from oneteam.telecom.ingestion.clean import Judged, KnownCells, Prepared, Rules, Target, Verdict, judge, prepare
from oneteam.telecom.ingestion.mapping import BUILT_IN, load_mapping, zone_of
from oneteam.telecom.ingestion.mcc import countries_by_mcc
from oneteam.telecom.ingestion.order import MAX_GAP_S, gap_quantiles, unpack_keys
from oneteam.telecom.ingestion.quality import QUARANTINE, DayReport, IngestReport, SourceReport, iso_day
from oneteam.telecom.ingestion.subscribers import SubscriberSet
from oneteam.telecom.ingestion.timestamps import NO_OFFSET, offset_table, utc_offsets_min
from oneteam.telecom.places.footprint import resolve_cells
from oneteam.telecom.schemas import DELTA, SUBSCRIBERS, TIMESTAMP, ZONES
from oneteam.telecom.service.geography import load_cell_zones, load_zones, notes_of
from oneteam.telecom.service.quarantine import Appender, Quarantine, bad_lines, bytes_as_text
from oneteam.telecom.service.read import Source, batches, find_files, fingerprint, gather, in_order, inspect, read_whole
from oneteam.telecom.service.spill import (
    SCHEMA,
    TABLE,
    DayResult,
    DayTask,
    EventTypes,
    Spill,
    finish_day,
    inbound_extra,
    outbound_extra,
    stored_rows,
)
from oneteam.telecom.service.tally import Tally, reason_of

WORKERS: Final = 2
_GAP_LEVELS: Final = (0.25, 0.5, 0.75, 0.95)
_GIVEN: Final = "cell_zones_given"
"""Table that keeps a lookup from cells to zones as the carrier gave it, to be obeyed again when the topology grows."""


@dataclass(frozen=True)
class IngestSettings:
    """How to read a carrier's files.

    Args:
        schema: "auto", a name in `oneteam.telecom.ingestion.mapping.BUILT_IN`, or the path of a mapping file.
        timezone: zone of the local day.
        naive_timezone: zone of time stamps without UTC offset; None refuses them.
        mcc: own mobile country code.
        from_date: first local day to take, inclusive.
        until_date: last local day to take, inclusive.
        topology: file or folder with the network topology, read before all events.
        zones: file with the zones.
        shapes: file with the zones' shapes.
        cell_zones: CSV ``cell_id,zone_code[,weight,valid_from,valid_to]``.
        zone_version: name of the edition of zone codes; the zone file's name when None.
        unknown_cells: what happens to events of cells that the topology, where there is one, does not list (or not on that day).
        max_speed_m_s: an event that needs more than this from the one before *and* to the one after is impossible [m/s]. 340 is above any
            airliner with the wind behind it; 0 checks nothing.
        min_distance_m: shorter jumps between cells are radio, not movement [m].
        keep_going: leave out files that cannot be used, and say so in the report, instead of refusing all.
        batch_rows: rows read at once.
    """

    schema: str = "auto"
    timezone: str = "Asia/Seoul"
    naive_timezone: str | None = None
    mcc: int = 450
    from_date: date | None = None
    until_date: date | None = None
    topology: Path | None = None
    zones: Path | None = None
    shapes: Path | None = None
    cell_zones: Path | None = None
    zone_version: str | None = None
    unknown_cells: Literal["quarantine", "keep"] = "quarantine"
    max_speed_m_s: float = 340.0
    min_distance_m: float = 10_000.0
    keep_going: bool = False
    batch_rows: int = 500_000

    def rules(self, *, check_cells: bool) -> Rules:
        """What decides about single rows."""
        days = {"first_day": self.from_date, "last_day": self.until_date}
        given = {name: (day - EPOCH).days for name, day in days.items() if day is not None}
        return Rules(timezone=self.timezone, naive_timezone=self.naive_timezone, mcc=self.mcc, check_cells=check_cells, **given)

    def check(self) -> None:
        """Refuse settings that can never work.

        Raises:
            UnknownValueError: a zone, schema or code that does not exist.
            MappingError: the mapping file says something impossible.
        """
        zone_of(self.timezone)
        if self.naive_timezone is not None:
            zone_of(self.naive_timezone)
        if self.schema.endswith(".toml"):
            load_mapping(Path(self.schema))
        elif self.schema != "auto" and self.schema not in BUILT_IN:
            known = ", ".join(BUILT_IN)
            raise UnknownValueError(f"no schema is called {self.schema!r}; known: auto, {known}, or the path of a mapping .toml file")
        if countries_by_mcc()[self.mcc if 0 <= self.mcc < 1_000 else 0] < 0:
            raise UnknownValueError(f"mcc {self.mcc} is no country's mobile country code", hint="Korea is 450.")
        if self.from_date is not None and self.until_date is not None and self.until_date < self.from_date:
            raise UnknownValueError(f"until {self.until_date} is before from {self.from_date}")
        if self.unknown_cells not in {"quarantine", "keep"}:
            raise UnknownValueError(f"unknown_cells is {self.unknown_cells!r}; it must be quarantine or keep")
        if (self.shapes or self.zone_version) and self.zones is None:
            raise UnknownValueError("shapes and zone_version need zones", hint="Give the file with the zones as well.")

    def mark(self, schema: str) -> str:
        """Everything that decides how a file is read, as one text for its fingerprint."""
        mapping = load_mapping(Path(schema)).model_dump_json() if schema.endswith(".toml") else schema
        period = [str(self.from_date), str(self.until_date)]
        numbers = [self.mcc, self.max_speed_m_s, self.min_distance_m]
        return json.dumps([mapping, self.timezone, self.naive_timezone, period, self.unknown_cells, numbers])


class _SourceError(Exception):
    """Damage found in the middle of a file."""

    def __init__(self, path: Path, error: InputError) -> None:
        super().__init__(str(error))
        self.path = path
        self.error = error


def ingest(sources: Sequence[Path], out: Path, settings: IngestSettings, progress: Progress = silent) -> IngestReport:
    """Read a carrier's files into a dataset.

    Topology is read first, then events and roaming records. Rows that fail a check go to the quarantine with their reason; whole files that
    cannot be used stop the run before anything is changed. Running again on the same files changes nothing; new files are merged into the
    days that they touch.

    Args:
        sources: files and folders (.parquet, .csv, .csv.gz).
        out: folder of the dataset; made when it does not exist.
        settings: how to read.
        progress: told how far the work is.

    Raises:
        InputError: a file or a setting that cannot be used; nothing was changed.
        StorageError: the disk is full, another process writes the dataset, or it is damaged; nothing was changed.
    """
    settings.check()
    refused: dict[Path, InputError] = {}
    checked = _inspect_all(sources, out, settings, refused)
    zones = None if settings.zones is None else load_zones(settings.zones, settings.shapes)
    while True:
        try:
            report = _Ingestion(out, settings, zones, progress).run([s for s in checked if s.path not in refused], refused)
            return report if zones is None else report.model_copy(update={"notes": notes_of(zones)})
        except _SourceError as err:
            if not settings.keep_going:
                raise err.error from err
            # Rows of the broken file are already mixed with others: start again without it.
            refused[err.path] = err.error


def _is_own(path: Path, dataset: Path) -> bool:
    """Whether a file is the dataset's own: stored by a transaction, or kept by a measure."""
    return (is_stored_file(path) and dataset in path.parents) or dataset / "cache" in path.parents


def _inspect_all(sources: Sequence[Path], out: Path, settings: IngestSettings, refused: dict[Path, InputError]) -> list[Source]:
    own = out.resolve()
    wanted = [(path, settings.schema) for path in find_files(sources)]
    if settings.topology is not None:
        schema = settings.schema if settings.schema in {"multimno-topology", "flowkit-cells"} else "auto"
        wanted += [(path, schema) for path in find_files([settings.topology])]
    # The dataset's own files are no input, should it lie among the sources.
    files = {path: schema for path, schema in wanted if not _is_own(path.resolve(), own)}

    def look(path: Path, schema: str) -> Source | InputError:
        try:
            return inspect(path, schema, fingerprint(path, settings.mark(schema)))
        except InputError as err:
            return err

    with ThreadPoolExecutor(WORKERS) as pool:
        results = list(pool.map(look, files.keys(), files.values()))
    found = [result for result in results if isinstance(result, Source)]
    refused.update({path: r for path, r in zip(files, results, strict=True) if isinstance(r, InputError)})
    if refused and not (settings.keep_going and found):
        raise gather(refused)
    if not found:
        raise NothingFoundError(f"{', '.join(map(str, sources))}: holds no file to read")
    if settings.topology is not None and not any(s.mapping.kind == "topology" for s in found):
        raise MappingError(f"{settings.topology}: holds no network topology")
    return sorted(found, key=lambda source: source.mapping.kind != "topology")


class _Ingestion:
    """One attempt at one ingestion."""

    def __init__(self, out: Path, settings: IngestSettings, zones: pa.Table | None, progress: Progress) -> None:
        self.out = out
        self.settings = settings
        self.zones = zones
        self.progress = progress
        self.rows_done = 0
        self.rows_total: float | None = None
        self.reports: list[SourceReport] = []
        self.event_types = EventTypes()
        self.subscribers = SubscriberSet()
        self.subscribers_before = 0
        self.impossible: list[tuple[int, NDArray[np.int64]]] = []

    def run(self, sources: Sequence[Source], refused: dict[Path, InputError]) -> IngestReport:
        initial = TelecomManifest(timezone=self.settings.timezone, mcc=self.settings.mcc)
        with Transaction(self.out, initial, delta=DELTA) as self.tx:
            self._check_dataset()
            cells = self.tx.file_of("cells")
            self.cells = CellRegistry(None if cells is None else read_parquet(cells))
            self.partition = f"{self.tx.revision:06d}"
            self.new_subscribers = Appender(self.tx, "subscribers", self.partition, SUBSCRIBERS)
            self.quarantine = Quarantine(self.tx, self.partition)
            try:
                days = self._take_in(sources)
            except BaseException:
                self.new_subscribers.abandon()
                self.quarantine.abandon()
                raise
            self.reports += [SourceReport(name=str(path), kind="", state="refused", error=error.message) for path, error in refused.items()]
            return self._report(days)

    def _take_in(self, sources: Sequence[Source]) -> list[DayResult]:
        days: list[DayResult] = []
        for source in sources:
            if source.mapping.kind == "topology":
                self._read_topology(source)
        rest: dict[str, Source] = {}
        for source in sources:
            if source.mapping.kind == "topology":
                continue
            if source.fingerprint in rest:
                self.reports.append(SourceReport(name=source.name, kind=source.schema, state="already-ingested"))
            elif not self._is_done(source):
                rest[source.fingerprint] = source
        if rest:
            self._load_subscribers()
            spill = Spill(self.tx.scratch)
            self._read_events(list(rest.values()), spill)
            self.new_subscribers.close()
            days = self._finish_days(spill)
            self._quarantine_impossible()
        self.quarantine.close()
        self._store_geography()
        return days

    def _check_dataset(self) -> None:
        manifest = self.tx.manifest
        for name in ("timezone", "mcc"):
            if (has := getattr(manifest, name)) != (given := getattr(self.settings, name)):
                raise UnknownValueError(
                    f"{self.out}: this dataset has {name} {has!r}, not {given!r}", hint="Give the dataset's own, or make a new one."
                )

    def _is_done(self, source: Source) -> bool:
        record = self.tx.manifest.sources.get(source.fingerprint)
        if record is None:
            return False
        # A better topology is worth another look at rows that were turned away for want of one.
        if self.cells.topology_changed and {"unknown_cell", "cell_not_valid"} & set(record.rejected):
            return False
        self.reports.append(SourceReport(name=source.name, kind=source.schema, state="already-ingested"))
        return True

    def _read_topology(self, source: Source) -> None:
        if self._is_done(source):
            return
        tally = Tally(source)
        try:
            table, tally.bad = read_whole(source)
            topology = clean_topology(table, source.mapping, self.settings.timezone, where=source.name)
        except InputError as err:
            raise _SourceError(source.path, err) from err
        tally.count(topology.verdict)
        tally.repeated = self.cells.merge(topology.rows)
        tally.accepted["cells"] -= tally.repeated
        if (bad := topology.verdict != 0).any():
            self.quarantine.refuse(source, table, np.flatnonzero(bad), topology.verdict, 1)
        self._close_source(tally)

    def _load_subscribers(self) -> None:
        for name in sorted(self.tx.manifest.tables.get("subscribers", {})):
            path = self.tx.file_of("subscribers", name)
            assert path is not None
            for batch in pq.ParquetFile(path).iter_batches(columns=["subscriber"], batch_size=1 << 20):
                self.subscribers.add(batch.column(0).to_numpy(), np.ones(batch.num_rows, np.bool_))
        self.subscribers_before = len(self.subscribers)

    def _read_events(self, sources: Sequence[Source], spill: Spill) -> None:
        check = self.settings.unknown_cells == "quarantine" and self.cells.has_topology
        rules = self.settings.rules(check_cells=check)
        known = [source.rows for source in sources]
        self.rows_total = None if None in known else float(sum(rows or 0 for rows in known))
        tallies = [Tally(source) for source in sources]
        current = 0
        for number, batch in in_order(self._loaders(tallies, rules, self.settings.batch_rows), WORKERS, WORKERS):
            while current < number:
                self._close_source(tallies[current])
                current += 1
            self._take(tallies[number], batch, rules, spill)
        for tally in tallies[current:]:
            self._close_source(tally)

    @staticmethod
    def _loaders(tallies: Sequence[Tally], rules: Rules, batch_rows: int) -> Iterator[Callable[[], tuple[int, Prepared]]]:
        def loader(number: int, source: Source, first: int, load: Callable[[], pa.Table]) -> Callable[[], tuple[int, Prepared]]:
            def run() -> tuple[int, Prepared]:
                try:
                    return number, prepare(load(), source.mapping, rules, where=source.name, first_row=first)
                except InputError as err:
                    raise _SourceError(source.path, err) from err

            return run

        for number, tally in enumerate(tallies):
            try:
                for first, load in batches(tally.source, batch_rows, tally.bad):
                    yield loader(number, tally.source, first, load)
            except InputError as err:
                raise _SourceError(tally.source.path, err) from err

    def _take(self, tally: Tally, batch: Prepared, rules: Rules, spill: Spill) -> None:
        """Judge a batch; spill what is accepted, quarantine the rest."""
        codes = self.cells.lookup(batch.cell_ids)
        judged = judge(batch, tally.source.mapping.kind, rules, codes, self.cells.known() if rules.check_cells else KnownCells())
        good = judged.verdict == 0
        tally.count(judged.verdict, judged.target)
        if not good.all():
            self.quarantine.refuse(tally.source, batch.table, np.flatnonzero(~good), judged.verdict, batch.first_row)
        if good.any():
            days = judged.day[good]
            tally.span(int(days.min()), int(days.max()))
            fresh = self.subscribers.add(batch.subscriber, good)
            if len(fresh):
                ids = batch.user_ids.take(pa.array(fresh)).cast(pa.binary())
                self.new_subscribers.add(pa.table([pa.array(batch.subscriber[fresh]), ids], schema=SUBSCRIBERS))
            self._spill(batch, judged, good, codes, spill)
        self.rows_done += batch.rows
        self.progress("reading rows", self.rows_done, self.rows_total)

    def _spill(self, batch: Prepared, judged: Judged, good: NDArray[np.bool_], codes: NDArray[np.int32], spill: Spill) -> None:
        cell = self._cells_of(batch, good & (judged.target != Target.OUTBOUND), codes)
        for target in Target:
            chosen = good & (judged.target == target)
            if not chosen.any():
                continue
            extra = np.zeros(0, np.int64)
            if target is Target.INBOUND:
                extra = inbound_extra(batch.mcc, batch.mnc, batch.plmn)
            elif target is Target.OUTBOUND:
                extra = self._outbound(batch)
            cells = np.zeros(batch.rows, np.int32) if target is Target.OUTBOUND else cell
            spill.add(target, chosen, judged.day, batch.subscriber, batch.stamp, cells, extra)

    def _cells_of(self, batch: Prepared, local: NDArray[np.bool_], codes: NDArray[np.int32]) -> NDArray[np.int32]:
        """The cell of each local row; rows without cell_id get the pseudo cell of their coordinates."""
        if len(codes) and (codes < 0).any():
            used = np.zeros(len(codes) + 1, np.bool_)
            used[np.where(local, batch.cell_index, -1)] = True
            new = np.flatnonzero(used[:-1] & (codes < 0))
            codes = codes.copy()
            codes[new] = self.cells.register([batch.cell_ids[i] for i in new])
        out = np.append(codes, np.int32(-1))[batch.cell_index]
        bare = local & (batch.cell_index < 0)
        if bare.any():
            out[bare] = self.cells.register_places(batch.latitude[bare], batch.longitude[bare])
        return out

    def _outbound(self, batch: Prepared) -> NDArray[np.int64]:
        visited = np.where(batch.plmn >= 100_000, batch.plmn // 1_000, batch.plmn // 100)
        by_plmn = countries_by_mcc()[np.clip(visited, 0, 999)]
        country = np.where(batch.country >= 0, batch.country, by_plmn)
        kind = self.event_types.encode(batch.event_types)[batch.event_type]
        offsets = batch.offset_min
        if len(offsets) and offsets.min() == NO_OFFSET:
            # Events of the multi-MNO schema carry no offset: the home zone's stands in.
            offsets = offsets.copy()
            utc_offsets_min(batch.stamp, *offset_table(self.settings.timezone), offsets)
        return outbound_extra(batch.plmn, offsets, country, kind)

    def _close_source(self, tally: Tally) -> None:
        source = tally.source
        if tally.bad.lines:
            count = len(tally.bad.lines)
            tally.rows += count
            tally.rejected[reason_of(Verdict.CANNOT_PARSE__ROW)] += count
            self.quarantine.add(bad_lines(source.name, tally.bad))
        report = tally.report()
        self.reports.append(report)
        self.tx.manifest.sources[source.fingerprint] = SourceRecord(
            name=source.name,
            kind=source.schema,
            rows=report.rows,
            accepted=sum(report.accepted.values()),
            rejected=report.rejected,
            first_day=report.first_day,
            last_day=report.last_day,
        )
        self.tx.touch()

    def _finish_days(self, spill: Spill) -> list[DayResult]:
        todo = sorted(spill.rows.items(), key=lambda item: (item[0][1], item[0][0]))
        stored: dict[tuple[Target, int], int] = {}
        for (target, day), _ in todo:
            path = self.tx.file_of(TABLE[target], iso_day(day))
            if path is not None:
                for rows in stored_rows(path, target, day, self.event_types):
                    spill.append(spill.path(target, day), rows)
                    stored[target, day] = stored.get((target, day), 0) + len(rows)
        ranks, names = self.event_types.ranks(), sorted(self.event_types.names)

        def tasks() -> Iterator[Callable[[], DayResult]]:
            for (target, day), new in todo:
                held = stored.get((target, day), 0)
                checked = target is Target.EVENTS and self.settings.max_speed_m_s > 0
                task = DayTask(
                    target,
                    day,
                    spill.path(target, day),
                    new + held,
                    held,
                    self.tx.writer(TABLE[target], iso_day(day), SCHEMA[target]),
                    self.cells.places(day) if checked else np.zeros((0, 3)),
                    self.settings.max_speed_m_s,
                    self.settings.min_distance_m,
                    names,
                    ranks,
                )
                yield partial(finish_day, task)

        results: list[DayResult] = []
        for result in in_order(tasks(), WORKERS, WORKERS):
            name = iso_day(result.day)
            if result.written and result.rows:
                self.tx.adopt(TABLE[result.target], name, result.rows)
            elif result.written:
                self.tx.remove(TABLE[result.target], name)
            if len(result.impossible):
                self.impossible.append((result.day, result.impossible))
            results.append(result)
            self.progress("sorting days", len(results), len(todo))
        self._new_rows = dict(todo)
        return results

    def _quarantine_impossible(self) -> None:
        """Give impossible events back the values that they came with."""
        if not self.impossible:
            return
        wanted = pa.array(np.unique(np.concatenate([rows[:, 0] for _, rows in self.impossible])))
        ids: dict[int, str] = {}
        for name in sorted(self.tx.manifest.tables.get("subscribers", {})):
            path = self.tx.file_of("subscribers", name)
            assert path is not None
            for batch in pq.ParquetFile(path).iter_batches(batch_size=1 << 20):
                theirs = batch.filter(pc.is_in(batch.column("subscriber"), value_set=wanted))
                texts = bytes_as_text(theirs.column("user_id"))
                ids.update(zip(theirs.column("subscriber").to_pylist(), texts.to_pylist(), strict=True))
        slices = ((day, found[at : at + 500_000]) for day, found in self.impossible for at in range(0, len(found), 500_000))
        for day, rows in slices:
            stamp, cell = np.empty(len(rows), np.int64), np.empty(len(rows), np.int32)
            unpack_keys(rows, day, stamp, cell)
            count = len(rows)
            self.quarantine.add(
                pa.table(
                    [
                        pa.nulls(count, pa.string()),
                        pa.nulls(count, pa.int64()),
                        pa.array([Verdict.IMPOSSIBLE_SPEED.reason] * count),
                        pa.array([f"faster than {self.settings.max_speed_m_s:g} m/s from the event before and to the event after"] * count),
                        pa.array([ids.get(subscriber) for subscriber in rows[:, 0].tolist()], pa.string()),
                        pa.array(stamp).cast(TIMESTAMP).cast(pa.string()),
                        pa.array([self.cells.name_of(code) for code in cell.tolist()]),
                        pa.nulls(count, pa.string()),
                    ],
                    schema=QUARANTINE,
                )
            )

    def _store_geography(self) -> None:
        """Cells, zones and the lookup between them, where one of these has changed."""
        cells = self.cells.table()
        if self.cells.changed:
            self.tx.write("cells", "", cells)
        stored = self.tx.file_of("zones")
        zones = self._zones(stored)
        if zones is None:
            return
        new_zones = stored is None or not same_table(zones, read_parquet(stored))
        if new_zones:
            self.tx.write("zones", "", zones)
        given, new_lookup = self._given_lookup(cells, zones, new_zones=new_zones)
        old = self.tx.file_of("cell_zones")
        if new_zones or new_lookup or self.cells.changed or old is None:
            lookup = resolve_cells(cells, zones, explicit=given).replace_schema_metadata(None)
            if old is None or not same_table(lookup, read_parquet(old)):
                self.tx.write("cell_zones", "", lookup)

    def _zones(self, stored: Path | None) -> pa.Table | None:
        """The zones of this run, else those that the dataset has."""
        manifest = self.tx.manifest
        if self.zones is not None and self.settings.zones is not None:
            version = self.settings.zone_version or self.settings.zones.stem
            if manifest.zone_version != version:
                manifest.zone_version = version
                self.tx.touch()
            return self.zones.replace_schema_metadata(None).cast(ZONES)
        if stored is not None:
            return read_parquet(stored)
        if self.settings.cell_zones is not None:
            text = f"{self.settings.cell_zones}: a lookup from cells to zones needs the zones"
            raise UnknownValueError(text, hint="Give the file with the zones as well.")
        return None

    def _given_lookup(self, cells: pa.Table, zones: pa.Table, *, new_zones: bool) -> tuple[pa.Table | None, bool]:
        """The carrier's own lookup, if it ever gave one for these zones, and whether it is new."""
        kept = self.tx.file_of(_GIVEN)
        before = None if kept is None or new_zones else read_parquet(kept)
        if self.settings.cell_zones is None:
            if new_zones:
                self.tx.remove(_GIVEN, "")
            return before, False
        given = load_cell_zones(self.settings.cell_zones, cells, zones).replace_schema_metadata(None)
        if before is not None and same_table(given, before):
            return given, False
        self.tx.write(_GIVEN, "", given)
        return given, True

    def _report(self, days: Sequence[DayResult]) -> IngestReport:
        accepted: Counter[str] = Counter()
        rejected: Counter[str] = Counter()
        rows = duplicates = 0
        for source in self.reports:
            rows += source.rows
            duplicates += source.repeated
            rejected.update(source.rejected)
            accepted["cells"] += source.accepted.get("cells", 0)
        gaps = np.zeros(MAX_GAP_S + 1, np.int64)
        reports = []
        for result in days:
            table = TABLE[result.target]
            added = self._new_rows[result.target, result.day] - result.duplicates - len(result.impossible)
            accepted[table] += added
            duplicates += result.duplicates
            if len(result.impossible):
                rejected[Verdict.IMPOSSIBLE_SPEED.reason] += len(result.impossible)
            if result.target is Target.EVENTS:
                gaps += result.gaps
            reports.append(
                DayReport(
                    table=table,
                    day=iso_day(result.day),
                    rows=result.rows,
                    added=added,
                    duplicates=result.duplicates,
                    impossible_speed=len(result.impossible),
                    active=result.active,
                    gap_s=gap_quantiles(result.gaps, _GAP_LEVELS),
                )
            )
        held = sum(entry.rows for entry in self.tx.manifest.tables.get("subscribers", {}).values())
        cells = self.cells.table()
        without = pc.sum(pc.is_null(cells.column("latitude")).cast(pa.int64())).as_py() or 0
        return IngestReport(
            dataset=str(self.out),
            ingestion=self.tx.revision if self.tx.changed else None,
            rows=rows,
            accepted={name: count for name, count in sorted(accepted.items()) if count},
            rejected=dict(sorted(rejected.items())),
            duplicates=duplicates,
            subscribers_new=self.new_subscribers.rows,
            subscribers=held,
            cells=len(self.cells),
            cells_without_coordinates=int(without),
            first_day=min((r.day for r in reports), default=None),
            last_day=max((r.day for r in reports), default=None),
            gap_s=gap_quantiles(gaps, _GAP_LEVELS),
            days=reports,
            sources=self.reports,
        )
