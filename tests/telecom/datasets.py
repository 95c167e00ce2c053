"""Small telecom datasets for tests, written straight into the stored form."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa

from oneteam.store.tables import Transaction
from oneteam.telecom.dataset import TelecomManifest
from oneteam.telecom.schemas import CELL_ZONES, CELLS, DELTA, EVENTS, INBOUND, OUTBOUND, SUBSCRIBERS, ZONES

KST = ZoneInfo("Asia/Seoul")


def kst(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=KST)


def write_dataset(
    folder: Path,
    events: Iterable[tuple[int, datetime, int]],
    *,
    cells: Iterable[dict] = (),
    cell_zones: Iterable[dict] = (),
    zone_count: int | None = None,
    inbound: Iterable[tuple[int, datetime, int, str]] = (),
    outbound: Iterable[tuple[int, datetime, int, str]] = (),
    timezone: str = "Asia/Seoul",
) -> Path:
    """Write events (subscriber, aware time, cell), and what goes with them, as a dataset."""
    zone = ZoneInfo(timezone)
    events, inbound = list(events), list(inbound)
    with Transaction(folder, TelecomManifest(timezone=timezone), delta=DELTA) as change:
        for table, schema, rows in (("events", EVENTS, events), ("inbound", INBOUND, inbound)):
            days = defaultdict(list)
            for row in rows:
                days[row[1].astimezone(zone).date()].append(row)
            for day, part in days.items():
                part.sort(key=lambda r: (r[0], r[1].astimezone(UTC), r[2]))
                columns = {"subscriber": [r[0] for r in part], "timestamp": [r[1] for r in part], "cell": [r[2] for r in part]}
                if table == "inbound":
                    columns |= {"mcc": [460] * len(part), "mnc": [1] * len(part), "country": [r[3] for r in part]}
                change.write(table, day.isoformat(), pa.table(columns, schema=schema))
        days = defaultdict(list)
        for row in outbound:
            days[row[1].astimezone(zone).date()].append(row)
        for day, part in days.items():
            part.sort(key=lambda r: (r[0], r[1].astimezone(UTC)))
            change.write(
                "outbound",
                day.isoformat(),
                pa.table(
                    {
                        "subscriber": [r[0] for r in part],
                        "timestamp": [r[1] for r in part],
                        "utc_offset_min": [r[2] for r in part],
                        "plmn": [None] * len(part),
                        "country": [r[3] for r in part],
                        "event_type": [None] * len(part),
                    },
                    schema=OUTBOUND,
                ),
            )
        known = sorted({r[2] for r in events} | {r[2] for r in inbound})
        cells = list(cells) or [{"cell": c, "cell_id": f"c{c}"} for c in range(max(known, default=0) + 1)]
        change.write("cells", "", pa.Table.from_pylist(cells, schema=CELLS))
        cell_zones = list(cell_zones)
        if cell_zones:
            change.write("cell_zones", "", pa.Table.from_pylist(cell_zones, schema=CELL_ZONES))
            count = zone_count or 1 + max(row["zone"] for row in cell_zones)
            zones = [{"zone": z, "code": f"{z:05d}", "name": f"zone {z}", "region": str(z // 10)} for z in range(count)]
            change.write("zones", "", pa.Table.from_pylist(zones, schema=ZONES))
        users = sorted({r[0] for r in events} | {r[0] for r in inbound})
        ids = pa.table({"subscriber": users, "user_id": [f"user{u}".encode() for u in users]}, schema=SUBSCRIBERS)
        change.write("subscribers", "000001", ids)
    return folder


def random_events(
    seed: int, *, subscribers: int = 60, days: int = 5, cells: int = 12, first: date = date(2020, 1, 30), per_day: float = 12
) -> list[tuple[int, datetime, int]]:
    """People who stay, move, fall silent for hours or days, with ties in time and events at midnight."""
    rng = np.random.default_rng(seed)
    start = datetime(first.year, first.month, first.day, tzinfo=KST)
    rows = set()
    for _ in range(subscribers):
        subscriber = int(rng.integers(-(2**62), 2**62))
        favourite = rng.integers(0, cells, 3)
        for day in range(days):
            if rng.random() < 0.2:
                continue
            where = favourite[0]
            for second in np.sort(rng.integers(0, 86_400, rng.poisson(per_day))):
                if rng.random() < 0.25:
                    where = favourite[rng.integers(0, 3)] if rng.random() < 0.8 else rng.integers(0, cells)
                at = start + timedelta(days=day, seconds=int(second))
                if rng.random() < 0.03:
                    at = at.replace(hour=0, minute=0, second=0)
                if rng.random() < 0.1:
                    at = at.replace(microsecond=int(rng.integers(0, 1_000_000)))
                rows.add((subscriber, at, int(where)))
                if rng.random() < 0.05:
                    rows.add((subscriber, at, int(rng.integers(0, cells))))
    return sorted(rows, key=lambda r: (r[0], r[1], r[2]))


def zones_of_cells(cells: int, zones: int) -> list[dict]:
    """A lookup in which consecutive cells share a zone, and some lie partly in the next."""
    rows = []
    for cell in range(cells):
        zone = cell * zones // cells
        part = 0.7 if cell % 3 == 0 and zone + 1 < zones else 1.0
        rows.append({"cell": cell, "valid_date_start": None, "valid_date_end": None, "zone": zone, "weight": part})
        if part < 1:
            rows.append({"cell": cell, "valid_date_start": None, "valid_date_end": None, "zone": zone + 1, "weight": 1 - part})
    return rows
