"""Carrier-side notices: lists of own subscribers to be told, for the carrier's own messaging system.

The list is the only place where a subscriber's pseudonym is written, in a file that its owner alone may read. Nothing else here shows,
logs or raises one. Whoever else wants to know *how many* asks the privacy gate, which bounds and sums
`oneteam.telecom.notices.sightings.notified_contributions`.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from oneteam.core.clock import EPOCH
from oneteam.core.errors import DatasetCorruptError, NothingFoundError, UnknownValueError
from oneteam.core.progress import Progress, silent
from oneteam.store.rows import read_rows
from oneteam.store.tables import read_manifest, read_parquet, write_atomically
from oneteam.telecom.dataset import TelecomManifest
from oneteam.telecom.notices.countries import country_code
from oneteam.telecom.notices.covering import topology_of
from oneteam.telecom.notices.sightings import exposed_of, need_located, sightings, visits_on
from oneteam.telecom.notices.visits import visits_of

_BATCH_ROWS: Final = 1 << 20
INTERNAL_NOTE: Final = "internal, do not share: counts for others go through the privacy gate"


@dataclass(frozen=True)
class NoticeSummary:
    """What was written, for the operator at the carrier; holds no pseudonym.

    Args:
        kind: ``travellers`` or ``exposed``.
        out: the list, readable by its owner alone (mode 0600).
        subscribers: distinct subscribers on it.
        rows: rows of the list.
        days: days of the dataset that were read.
        note: how this may be used.
    """

    kind: str
    out: Path
    subscribers: int
    rows: int
    days: int
    note: str = INTERNAL_NOTE

    def __str__(self) -> str:
        return f"{self.subscribers} subscribers, {self.rows} rows, from {self.days} days -> {self.out} ({self.note})"


def find_travellers(
    data: Path, countries: Sequence[str], within_days: int, as_of: date | None = None, progress: Progress = silent
) -> tuple[pa.Table, int]:
    """Own subscribers seen in some countries from ``within_days`` days before ``as_of`` up to its end (days at home).

    Args:
        data: the dataset.
        countries: ISO 3166-1 alpha-2 codes, or common English or Korean names.
        within_days: how far back [d]; 0 = only the day itself.
        as_of: the last day that counts; the dataset's newest when None.
        progress: told of each day read.

    Returns:
        ``subscriber``, ``country``, ``last_us`` (last event there, UTC [us]), ``returned_on`` (date of the first own-network event
        from then to ``as_of``; null = none), sorted by subscriber and country; and the number of days of roaming records read.

    Raises:
        UnknownValueError: an unknown country, or a negative number of days.
        NothingFoundError: no dataset, or one without outbound roaming records.
    """
    codes = sorted({country_code(text) for text in countries})
    if not codes:
        raise UnknownValueError("no country given", hint="Give one or more, such as VN or TH.")
    if within_days < 0:
        raise UnknownValueError(f"within_days is {within_days}, must be at least 0")
    manifest = read_manifest(data, TelecomManifest)
    if not manifest.days("outbound"):
        raise NothingFoundError(
            f"{data}: no outbound roaming records", hint="Ingest roaming records: oneteam telecom ingest roaming.parquet --out DIR."
        )
    end = as_of or date.fromisoformat(max(manifest.days("outbound") + manifest.days("events")))
    window = [d for d in manifest.days("outbound") if end - timedelta(days=within_days) <= date.fromisoformat(d) <= end]
    found = _last_abroad(data, manifest, window, codes, progress)
    returned = _first_back(data, manifest, found, end, progress)
    return found.append_column("returned_on", returned), len(window)


def _last_abroad(data: Path, manifest: TelecomManifest, window: list[str], codes: list[str], progress: Progress) -> pa.Table:
    parts = [pa.table({"subscriber": pa.array([], pa.int64()), "country": pa.array([], pa.string()), "last_us": pa.array([], pa.int64())})]
    for done, day in enumerate(window):
        progress("reading roaming records", done, len(window))
        rows = read_parquet(data / manifest.tables["outbound"][day].path, ["subscriber", "timestamp", "country"])
        rows = rows.filter(pc.is_in(rows["country"], pa.array(codes)))
        parts.append(
            pa.table(
                {
                    "subscriber": rows["subscriber"],
                    "country": rows["country"].cast(pa.string()),
                    "last_us": rows["timestamp"].cast(pa.int64()),
                }
            )
        )
    last = pa.concat_tables(parts).group_by(["subscriber", "country"]).aggregate([("last_us", "max")])
    last = last.rename_columns(["subscriber", "country", "last_us"])
    return last.sort_by([("subscriber", "ascending"), ("country", "ascending")])


def _first_back(data: Path, manifest: TelecomManifest, found: pa.Table, end: date, progress: Progress) -> pa.Array:
    """The day of the first own-network event at or after the last one abroad, for each row."""
    who, since = found["subscriber"].to_numpy(), found["last_us"].to_numpy()
    returned = np.full(len(who), -1, np.int32)
    first = min((_local_day(manifest, int(since.min())) if len(since) else end), end)
    days = [d for d in manifest.days() if first <= date.fromisoformat(d) <= end]
    for done, day in enumerate(days):
        if (returned >= 0).all():
            break
        progress("looking for returns", done, len(days))
        for subscriber, timestamp, _ in _batches(data / manifest.tables["events"][day].path):
            # Rows are sorted by (subscriber, timestamp): the last one of a subscriber tells whether any is late enough.
            position = np.searchsorted(subscriber, who, side="right") - 1
            late = (subscriber[position] == who) & (timestamp[position] >= since) & (position >= 0) & (returned < 0)
            returned[late] = (date.fromisoformat(day) - EPOCH).days
    return pa.array(returned, pa.int32(), mask=returned < 0).cast(pa.date32())


def _local_day(manifest: TelecomManifest, us: int) -> date:
    return datetime.fromtimestamp(us // 1_000_000, ZoneInfo(manifest.timezone)).date()


def _batches(path: Path) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int32]]]:
    """``subscriber``, ``timestamp`` [us], ``cell`` of a day's events, piece by piece, in the order of the file."""
    try:
        with pq.ParquetFile(path) as file:
            for batch in file.iter_batches(_BATCH_ROWS, columns=["subscriber", "timestamp", "cell"]):
                if batch.num_rows:
                    yield batch["subscriber"].to_numpy(), batch["timestamp"].cast(pa.int64()).to_numpy(), batch["cell"].to_numpy()
    except (pa.ArrowInvalid, OSError) as err:
        raise DatasetCorruptError(f"{path}: cannot be read as the dataset's manifest says", detail=str(err)) from err


def notify_travellers(
    data: Path, countries: Sequence[str], within_days: int, as_of: date | None, out: Path, progress: Progress = silent
) -> NoticeSummary:
    """Write the list of own subscribers seen in some countries lately; see `find_travellers`.

    The list has ``user_id`` (the carrier's own pseudonym; hexadecimal where its bytes are not printable text), ``country``,
    ``last_seen_abroad`` (time at home), ``returned_on`` (empty when not seen at home since).

    Args:
        data: the dataset.
        countries: as in `find_travellers`.
        within_days: likewise.
        as_of: likewise.
        out: ``.csv`` or ``.parquet``; replaced whole, mode 0600.
        progress: told of each day read.
    """
    _check_suffix(out)
    found, days = find_travellers(data, countries, within_days, as_of, progress)
    manifest = read_manifest(data, TelecomManifest)
    rows = pa.table(
        {
            "user_id": _user_ids(data, manifest, found["subscriber"]),
            "country": found["country"],
            "last_seen_abroad": _moments(found["last_us"], manifest),
            "returned_on": found["returned_on"],
        }
    )
    _write(out, rows)
    return NoticeSummary("travellers", out, pc.count_distinct(found["subscriber"]).as_py(), rows.num_rows, days)


def find_exposed(data: Path, visits: Path, min_dwell_s: int = 0, linger_s: int = 0, progress: Progress = silent) -> tuple[pa.Table, int]:
    """Own subscribers who were at published places; see `oneteam.telecom.notices.sightings` for what counts.

    Args:
        data: the dataset.
        visits: CSV with ``start``, ``end`` and a place, see `oneteam.telecom.notices.visits.visits_of`.
        min_dwell_s: shortest time between a subscriber's first and last event within one visit [s]; 0 = one event is enough.
        linger_s: how long a place counts after the visit's end [s].
        progress: told of each day read.

    Returns:
        the table of `oneteam.telecom.notices.sightings.exposed_of`, and the number of days read.

    Raises:
        InputError: a visits file that cannot be used; the row and column are named.
        NothingFoundError: no dataset, no topology, or no event on any day of the visits.
    """
    if min_dwell_s < 0 or linger_s < 0:
        raise UnknownValueError(f"min_dwell_s is {min_dwell_s} and linger_s {linger_s}; both must be at least 0")
    manifest = read_manifest(data, TelecomManifest)
    if not manifest.tables.get("cells"):
        raise NothingFoundError(f"{data}: no network topology", hint="Ingest it: oneteam telecom ingest topology.parquet --out DIR.")
    cells, zones = _all(data, manifest, "cells"), _all(data, manifest, "zones")
    cell_zones = _all(data, manifest, "cell_zones")
    codes = {} if zones is None else dict(zip(zones["code"].to_pylist(), zones["zone"].to_pylist(), strict=True))
    assert cells is not None
    wanted = visits_of(read_rows(visits), codes, dict(zip(cells["cell_id"].to_pylist(), cells["cell"].to_pylist(), strict=True)))
    days = [(day, *_bounds_us(day, manifest)) for day in manifest.days()]
    last_us = wanted.end_us + linger_s * 1_000_000
    touched = [(day, start, end) for day, start, end in days if bool(((wanted.start_us < end) & (last_us >= start)).any())]
    if not touched:
        held = f"{days[0][0]} to {days[-1][0]}" if days else "no day"
        raise NothingFoundError(f"{visits}: no visit falls on a day that {data} holds ({held})")
    parts = [pa.schema([(name, pa.int64()) for name in ("subscriber", "visit", "first_us", "last_us")]).empty_table()]
    for done, (day, start_us, end_us) in enumerate(touched):
        progress("joining events with visits", done, len(touched))
        topology = topology_of(cells, cell_zones, (date.fromisoformat(day) - EPOCH).days)
        need_located(topology, wanted)
        watch = visits_on(wanted, topology, start_us, end_us, linger_s * 1_000_000)
        parts.extend(sightings(*batch, watch) for batch in _batches(data / manifest.tables["events"][day].path))
    return exposed_of(pa.concat_tables(parts), min_dwell_s), len(touched)


def notify_exposed(
    data: Path, visits: Path, out: Path, min_dwell_s: int = 0, linger_s: int = 0, progress: Progress = silent
) -> NoticeSummary:
    """Write the list of own subscribers who were at published places; see `find_exposed`.

    The list has ``user_id``, ``visits`` (number matched), ``first_seen``, ``last_seen`` (time at home), ``minutes``.

    Args:
        data: the dataset.
        visits: places and times as CSV.
        out: ``.csv`` or ``.parquet``; replaced whole, mode 0600.
        min_dwell_s: as in `find_exposed`.
        linger_s: likewise.
        progress: told of each day read.
    """
    _check_suffix(out)
    found, days = find_exposed(data, visits, min_dwell_s, linger_s, progress)
    manifest = read_manifest(data, TelecomManifest)
    rows = pa.table(
        {
            "user_id": _user_ids(data, manifest, found["subscriber"]),
            "visits": found["visits"],
            "first_seen": _moments(found["first_us"], manifest),
            "last_seen": _moments(found["last_us"], manifest),
            "minutes": found["minutes"],
        }
    )
    _write(out, rows)
    return NoticeSummary("exposed", out, rows.num_rows, rows.num_rows, days)


def _all(data: Path, manifest: TelecomManifest, table: str) -> pa.Table | None:
    parts = [read_parquet(data / entry.path) for entry in manifest.tables.get(table, {}).values()]
    return pa.concat_tables(parts) if parts else None


def _bounds_us(day: str, manifest: TelecomManifest) -> tuple[int, int]:
    """First moment of a local day and of the next, UTC [us]."""
    zone, midnight = ZoneInfo(manifest.timezone), datetime.fromisoformat(day)
    start, end = midnight.replace(tzinfo=zone), (midnight + timedelta(days=1)).replace(tzinfo=zone)
    return int(start.timestamp()) * 1_000_000, int(end.timestamp()) * 1_000_000


def _moments(us: pa.ChunkedArray, manifest: TelecomManifest) -> pa.ChunkedArray:
    return pc.floor_temporal(us.cast(pa.timestamp("us", tz="UTC")), unit="second").cast(pa.timestamp("us", tz=manifest.timezone))


def _user_ids(data: Path, manifest: TelecomManifest, wanted: pa.ChunkedArray) -> pa.Array:
    """The carrier's pseudonym of each subscriber."""
    known: dict[int, str] = {}
    distinct = pc.unique(wanted)
    for entry in manifest.tables.get("subscribers", {}).values():
        rows = read_parquet(data / entry.path)
        rows = rows.filter(pc.is_in(rows["subscriber"], distinct))
        known.update((who, _as_text(raw)) for who, raw in zip(rows["subscriber"].to_pylist(), rows["user_id"].to_pylist(), strict=True))
    if len(known) < len(distinct):
        raise DatasetCorruptError(f"{data}: the table `subscribers` lacks {len(distinct) - len(known)} of {len(distinct)} subscribers")
    return pa.array([known[who] for who in wanted.to_pylist()], pa.string())


def _as_text(raw: bytes) -> str:
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        return raw.hex()
    return text if text.isprintable() else raw.hex()


def _check_suffix(out: Path) -> None:
    if out.suffix.lower() not in {".csv", ".parquet"}:
        raise UnknownValueError(f"{out}: the list is written as .csv or .parquet, by the suffix of its name")


def _write(out: Path, rows: pa.Table) -> None:
    """Write so that at no moment anyone but the owner can read it (a temporary file is born with mode 0600 and keeps it)."""
    if out.suffix.lower() == ".parquet":
        sink = pa.BufferOutputStream()
        pq.write_table(rows, sink)
        write_atomically(out, sink.getvalue().to_pybytes(), mode=0o600)
        return
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(rows.column_names)
    shown = [
        pc.strftime(column.cast(pa.timestamp("s", tz=column.type.tz)), "%Y-%m-%dT%H:%M:%S%Ez")
        if pa.types.is_timestamp(column.type)
        else column
        for column in rows.columns
    ]
    writer.writerows(zip(*(column.to_pylist() for column in shown), strict=True))
    write_atomically(out, text.getvalue().encode(), mode=0o600)
