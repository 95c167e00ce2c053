"""Look at a dataset and at results that exist already: what was ingested, what was refused; results in another edition of zone codes."""

from __future__ import annotations

from collections import Counter
from datetime import date, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
from pydantic import BaseModel, ConfigDict

from oneteam.core.errors import UnknownValueError
from oneteam.store.result_files import write_table
from oneteam.store.tables import read_manifest, read_parquet
from oneteam.telecom.dataset import SourceRecord, TelecomManifest
from oneteam.telecom.places.crosswalk import recode
from oneteam.telecom.service.geography import load_crosswalk
from oneteam.telecom.service.read_result import read_result

ZONE_KEYS = ("zone", "origin", "destination", "home")


class Quality(BaseModel):
    """What a dataset holds and what was kept out of it, over all ingestions."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    timezone: str
    zone_version: str | None
    rows: dict[str, int]
    first_day: str | None
    last_day: str | None
    empty_days: list[str]
    subscribers: int
    cells: int
    cells_without_coordinates: int
    quarantined: dict[str, int]
    sources: list[SourceRecord]


def quality_of(data: Path) -> Quality:
    """The quality of a dataset.

    Raises:
        NothingFoundError: no dataset there.
    """
    manifest = read_manifest(data, TelecomManifest)
    days = manifest.days()
    reasons: Counter[str] = Counter()
    for entry in manifest.tables.get("quarantine", {}).values():
        counted = read_parquet(data / entry.path, ["reason"]).group_by("reason").aggregate([("reason", "count")])
        reasons.update(dict(zip(counted["reason"].to_pylist(), counted["reason_count"].to_pylist(), strict=True)))
    cells = manifest.tables.get("cells", {}).get("")
    table = None if cells is None else read_parquet(data / cells.path, ["cell", "latitude"])
    whole = _whole_period(days)
    return Quality(
        timezone=manifest.timezone,
        zone_version=manifest.zone_version,
        rows={name: sum(e.rows for e in parts.values()) for name, parts in sorted(manifest.tables.items())},
        first_day=days[0] if days else None,
        last_day=days[-1] if days else None,
        empty_days=[day for day in whole if day not in days],
        subscribers=sum(e.rows for e in manifest.tables.get("subscribers", {}).values()),
        cells=0 if table is None else pc.count_distinct(table["cell"]).as_py(),
        cells_without_coordinates=0 if table is None else table["latitude"].null_count,
        quarantined=dict(reasons.most_common()),
        sources=list(manifest.sources.values()),
    )


def _whole_period(days: list[str]) -> list[str]:
    """Every day from the first to the last."""
    if not days:
        return []
    first, last = date.fromisoformat(days[0]), date.fromisoformat(days[-1])
    return [(first + timedelta(i)).isoformat() for i in range((last - first).days + 1)]


def recode_result(result: Path, crosswalk: Path, out: Path, zone_version: str) -> pa.Table:
    """Move a result to another edition of zone codes, by ``from_code,to_code[,weight]``, and write it.

    The share of active subscribers is left out: it does not add up.

    Raises:
        UnknownValueError: the result has no zones, or zones that the crosswalk lacks.
    """
    table, about = read_result(result)
    columns = [name for name in ZONE_KEYS if name in table.column_names]
    if not columns:
        raise UnknownValueError(f"{result}: has none of the columns {', '.join(ZONE_KEYS)}")
    table = table.drop_columns([name for name in ("share", "active") if name in table.column_names])
    values = tuple(name for name in ("value", "subscribers", "persons") if name in table.column_names)
    recoded = recode(table, load_crosswalk(crosswalk), columns, values=values)
    write_table(out, recoded, {**about, "zone_version": zone_version, "crosswalk": crosswalk.name})
    return recoded
