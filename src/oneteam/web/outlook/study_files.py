"""Read a study folder for the pages; what is not there yet is said to be absent, with the command that makes it."""

from __future__ import annotations

import json
import logging
import threading
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import date
from functools import cached_property
from pathlib import Path
from typing import Any, Final, TypeVar
from xml.etree import ElementTree as ET

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.dataset
import shapely
from shapely.geometry.base import BaseGeometry

from oneteam.core.errors import OneteamError
from oneteam.core.model import Text
from oneteam.epidemic.report.findings import Finding, findings
from oneteam.epidemic.report.maps import Flat, flatten
from oneteam.epidemic.report.study import Study
from oneteam.epidemic.service.files import read_table
from oneteam.epidemic.service.report_inputs import ReportFiles, ReportSettings, read_study
from oneteam.store.geography import read_features

Floats = npt.NDArray[np.float64]
T = TypeVar("T")

LOG: Final = logging.getLogger(__name__)
MAP_WIDTH: Final = 560.0
UNDATED: Final = np.datetime64("1970-01-01", "D")
"""Stands for the day of a public table that tells none."""
KEPT: Final = 3
"""So many versions of study folders stay in memory."""
CAP: Final = "{urn:oasis:names:tc:emergency:cap:1.2}"
_WATCHED: Final = (
    "summary.json",
    "study.toml",
    "places.geojson",
    "zones.csv",
    "zones.geojson",
    "data",
    "data/time-series.parquet",
    "forecasts",
    "forecasts/model-output",
    "forecasts/model-output/oneteam-ensemble",
    "scores/scores.json",
    "situation/situation.json",
    "situation/rt.csv",
    "importation/importation.json",
    "scenario/comparison.json",
    "scenario.toml",
    "notes.txt",
    "mobility/od.parquet",
    "mobility/movement.csv",
    "alerts/alerts.json",
    "situation/alerts",
    "truth/truth.json",
    "releases/refusals.json",
    "provenance.json",
)


@dataclass(frozen=True)
class Absent:
    """Something that is not there.

    Args:
        why: in words that an error gave; empty where it simply was not made.
        command: that makes it.
    """

    command: str
    why: str = ""


@dataclass(frozen=True)
class ReadAlert:
    """An alert as its file tells it: id, place, headline and description in both languages, CAP's severity, status, from when."""

    id: str
    place: str
    headline: Text
    description: Text
    severity: str
    status: str
    effective: str


@dataclass(frozen=True)
class OriginWeeks:
    """Expected imported cases by week and origin: mean, 2.5% and 97.5%, shape (weeks, origins)."""

    weeks: tuple[date, ...]
    origins: tuple[str, ...]
    mean: Floats
    low: Floats
    high: Floats


@dataclass(frozen=True)
class Trips:
    """Trips a day between zones, by period.

    Args:
        first_day: of each row's period.
        last_day: of it.
        origin: zone code.
        destination: zone code.
        trips: a day, as the study uses them.
        std: their standard deviation, NaN where unknown.
        raw: as they were released, with noise; NaN where unknown or hidden.
        hidden: whether nothing was released, as too few people moved.
    """

    first_day: npt.NDArray[np.datetime64]
    last_day: npt.NDArray[np.datetime64]
    origin: npt.NDArray[np.str_]
    destination: npt.NDArray[np.str_]
    trips: Floats
    std: Floats
    raw: Floats
    hidden: npt.NDArray[np.bool_]

    @cached_property
    def periods(self) -> tuple[tuple[date, date], ...]:
        """First and last days of all periods, oldest first."""
        pairs = np.unique(np.stack([self.first_day, self.last_day]), axis=1)
        return tuple((a, b) for a, b in zip(pairs[0].tolist(), pairs[1].tolist(), strict=True))

    def of_period(self, period: tuple[date, date]) -> Trips:
        """The rows of one period."""
        keep = (self.first_day == np.datetime64(period[0])) & (self.last_day == np.datetime64(period[1]))
        return self.take(keep)

    def take(self, rows: npt.NDArray[np.bool_]) -> Trips:
        """Some of the rows."""
        return Trips(*(getattr(self, one.name)[rows] for one in fields(self)))


@dataclass(frozen=True, eq=False)
class StudyFiles:
    """A study folder; every piece is read when it is first asked for, and kept.

    Args:
        folder: where it stands.
        stamp: sizes and times of its files when it was opened.
    """

    folder: Path
    stamp: tuple[tuple[str, int, int], ...] = ()
    _lock: threading.RLock = field(default_factory=threading.RLock, compare=False, repr=False)

    @cached_property
    def summary(self) -> Mapping[str, Any]:
        """``summary.json``; empty without."""
        return _json(self.folder / "summary.json") or {}

    @cached_property
    def settings(self) -> ReportSettings:
        """How the study's own report was asked for, as far as its files tell."""
        scores = _json(self.folder / "scores" / "scores.json") or {}
        told = self.summary
        rule = str(told.get("threshold") or _rule(str(scores.get("threshold", ""))))
        title = self.summary.get("title") or {}
        return ReportSettings(
            reference_date=date.fromisoformat(told["reference_date"]) if told.get("reference_date") else None,
            horizon=int(told.get("horizon_weeks") or 2),
            threshold=rule,
            aggregate=_told_aggregate(self.folder / "study.toml") or _aggregate(self.folder / "data" / "locations.csv"),
            title=" | ".join(t for t in (title.get("en"), title.get("ko")) if t) or None,
        )

    @cached_property
    def _study(self) -> Study | Absent:
        try:
            shapes = next((p for name in ("places.geojson", "zones.geojson") if (p := self.folder / name).exists()), None)
            return read_study(ReportFiles.of_study(self.folder, geometry=shapes), self.settings)
        except OneteamError as err:
            return Absent("oneteam study run study.toml --out " + self.folder.name, str(err) if (self.folder / "data").exists() else "")

    @property
    def study(self) -> Study | None:
        """Forecasts, their past, the situation and what they rest on; None without."""
        with self._lock:
            return self._study if isinstance(self._study, Study) else None

    @property
    def absent(self) -> Absent | None:
        """Why there is no study."""
        with self._lock:
            return self._study if isinstance(self._study, Absent) else None

    @cached_property
    def findings(self) -> tuple[Finding, ...]:
        """The three sentences."""
        return () if self.study is None else findings(self.study)

    @cached_property
    def zones(self) -> Mapping[str, BaseGeometry]:
        """Outlines of zones by code; empty without."""
        if self.study is not None and self.study.shapes and not (self.folder / "places.geojson").exists():
            return self.study.shapes
        path = self.folder / "zones.geojson"
        features = _read(lambda: read_features(path, "code"), ()) if path.exists() else ()
        return {f.code: f.geometry for f in features if f.geometry is not None}

    @cached_property
    def zone_rows(self) -> Mapping[str, Mapping[str, str]]:
        """Rows of ``zones.csv`` by code; empty without."""
        path = self.folder / "zones.csv"
        table = _read(lambda: read_table(path), None) if path.exists() else None
        return {} if table is None else {str(row["code"]): row for row in table.to_pylist()}

    @cached_property
    def place_shapes(self) -> Mapping[str, BaseGeometry]:
        """Outlines of the places that are forecast: zones, or the regions they are joined to."""
        if self.study is not None and self.study.shapes:
            return self.study.shapes
        codes = [p.code for p in self.study.places] if self.study else list(self.zones)
        if any(code in self.zones for code in codes):
            return {code: self.zones[code] for code in codes if code in self.zones}
        found = {}
        for code in codes:
            parts = [self.zones[zone] for zone, row in self.zone_rows.items() if row.get("region") == code and zone in self.zones]
            if parts:
                found[code] = shapely.union_all(np.array(parts, dtype=object))
        return found

    @cached_property
    def flat_places(self) -> Flat | None:
        """The same on the page; None without."""
        with self._lock:
            return flatten(self.place_shapes, MAP_WIDTH) if self.place_shapes else None

    @cached_property
    def flat_zones(self) -> Flat | None:
        """Zones on the page; None without."""
        with self._lock:
            return flatten(self.zones, MAP_WIDTH) if self.zones else None

    def name(self, code: str) -> Text:
        """A place's or zone's name; its code where none is known."""
        if self.study is not None:
            named = self.study.named(code)
            if named.en != code:
                return named
        row = self.zone_rows.get(code)
        if row is not None:
            return Text(en=str(row.get("name_en") or row.get("name") or code), ko=str(row.get("name_ko") or row.get("name") or code))
        return Text(en=code, ko=code)

    @cached_property
    def alerts(self) -> tuple[ReadAlert, ...]:
        """Alerts, the worst first; of one severity the places that are likeliest to reach the threshold."""
        listed = _json(self.folder / "alerts" / "alerts.json")
        found = [_listed_alert(a) for a in listed] if isinstance(listed, list) else _cap_alerts(self.folder)
        order = ("Extreme", "Severe", "Moderate", "Minor", "Unknown")
        likely = {o.place.code: i for i, o in enumerate(self.study.outlooks)} if self.study else {}
        return tuple(
            sorted(found, key=lambda a: (order.index(a.severity) if a.severity in order else 9, likely.get(a.place, 9999), a.place))
        )

    @cached_property
    def origin_weeks(self) -> OriginWeeks | None:
        """Importation by week and origin; None where no origin can be told."""
        path = self.folder / "importation" / "origin_weeks.parquet"
        table = _read(lambda: read_table(path), None) if path.exists() else None
        return None if table is None else _origin_weeks(table)

    @cached_property
    def trips(self) -> Trips | None:
        """Mobility between zones; None without."""
        path = self.folder / "mobility" / "od.parquet"
        table = _read(lambda: read_table(path), None) if path.exists() else None
        return None if table is None else _trips(table)

    @cached_property
    def truth(self) -> Mapping[str, Any] | None:
        """``truth.json``; None where the truth is not known."""
        found = _json(self.folder / "truth" / "truth.json")
        return found if isinstance(found, dict) else None

    @cached_property
    def provenance(self) -> Mapping[str, Any]:
        """``provenance.json``; empty without."""
        return _json(self.folder / "provenance.json") or {}

    @cached_property
    def refusals(self) -> Sequence[Mapping[str, Any]]:
        """What members refused."""
        found = _json(self.folder / "releases" / "refusals.json") or _json(self.folder / "refusals.json")
        return found if isinstance(found, list) else []

    @property
    def progress(self) -> Mapping[str, Any] | None:
        """``progress.json`` as it is now (it changes while a study runs); None without."""
        found = _json(self.folder / "progress.json")
        return found if isinstance(found, dict) else None

    def warm(self) -> None:
        """Read what the first page needs, so that nobody waits for it."""
        _ = (self.study, self.findings, self.flat_places, self.alerts, self.trips)


class StudyShelf:
    """The study folder as it is now; read again only when a file of it changed."""

    def __init__(self, folder: Path | None) -> None:
        self.folder = folder
        self._kept: dict[tuple[tuple[str, int, int], ...], StudyFiles] = {}
        self._lock = threading.Lock()

    def warm(self) -> None:
        """Begin to read the study beside whatever else starts."""
        threading.Thread(target=self._warm, name="study", daemon=True).start()

    def _warm(self) -> None:
        try:
            files = self.open()
            if files is not None:
                files.warm()
        except Exception:
            LOG.debug("the study could not be read ahead", exc_info=True)

    def open(self) -> StudyFiles | None:
        """The study; None where no folder was given or it is not there."""
        if self.folder is None or not self.folder.is_dir():
            return None
        stamp = tuple((name, at.st_mtime_ns, at.st_size) for name in _WATCHED if (at := _stat(self.folder / name)) is not None)
        with self._lock:
            found = self._kept.pop(stamp, None) or StudyFiles(self.folder, stamp)
            self._kept[stamp] = found
            while len(self._kept) > KEPT:
                self._kept.pop(next(iter(self._kept)))
        return found


def _stat(path: Path) -> Any:
    try:
        return path.stat()
    except OSError:
        return None


def _json(path: Path) -> Any:
    """A JSON document; None where there is none, or where it is only half written."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def _read(read: Callable[[], T], otherwise: Any) -> T | Any:
    try:
        return read()
    except OneteamError:
        return otherwise


def _rule(told: str) -> str:
    """The threshold's rule from its words in ``scores.json``.

    >>> _rule("100 per 100,000 inhabitants and week"), _rule("the 0.9 quantile of the place's own weeks in the truth"), _rule("")
    ('100', 'q0.9', 'q0.75')
    """
    parts = told.split()
    if "quantile" in parts and len(parts) > 1:
        return f"q{parts[1]}"
    return parts[0] if parts and "per" in parts else "q0.75"


def _told_aggregate(document: Path) -> str | None:
    """The sum over all places as the study's own document names it; None where it does not."""
    try:
        told = tomllib.loads(document.read_text(encoding="utf-8")).get("places", {})
    except (OSError, ValueError):
        return None
    found = told.get("aggregate") if isinstance(told, dict) else None
    return found if isinstance(found, str) else None


def _aggregate(locations: Path) -> str | None:
    """The place that is the sum of all others, by its population; None where there is none."""
    if not locations.exists():
        return None
    table = _read(lambda: read_table(locations), None)
    if table is None or "population" not in table.column_names:
        return None
    people = {str(row["location"]): float(row["population"] or "nan") for row in table.to_pylist()}
    if len(people) < 3:
        return None
    code, most = max(people.items(), key=lambda item: item[1] if item[1] == item[1] else -1.0)
    rest = sum(p for c, p in people.items() if c != code)
    return code if abs(most - rest) < 0.01 * most else None


def _listed_alert(told: Mapping[str, Any]) -> ReadAlert:
    areas = told.get("areas") or [{}]
    return ReadAlert(
        str(told.get("id", "")),
        str(areas[0].get("id", "")).rpartition(".")[2],
        Text.model_validate(told["headline"]),
        Text.model_validate(told["description"]),
        str(told.get("severity", "Unknown")),
        str(told.get("status", "Actual")),
        str(told.get("effective", ""))[:10],
    )


def _cap_alerts(folder: Path) -> list[ReadAlert]:
    where = folder / "alerts" if any((folder / "alerts").glob("*.xml")) else folder / "situation" / "alerts"
    found = []
    for path in sorted(where.glob("*.xml")):
        try:
            root = ET.fromstring(path.read_bytes())  # noqa: S314  written by this program; ElementTree loads no external entity
        except ET.ParseError:
            continue
        infos = {(i.findtext(f"{CAP}language") or "en")[:2]: i for i in root.iter(f"{CAP}info")}
        info = infos.get("en") or next(iter(infos.values()), None)
        if info is None:
            continue

        def both(tag: str, infos: Mapping[str, Any] = infos, info: Any = info) -> Text:
            return Text(en=info.findtext(CAP + tag) or "", ko=(infos.get("ko", info)).findtext(CAP + tag) or "")

        found.append(
            ReadAlert(
                root.findtext(f"{CAP}identifier") or path.stem,
                info.findtext(f"{CAP}area/{CAP}geocode/{CAP}value") or "",
                both("headline"),
                both("description"),
                info.findtext(f"{CAP}severity") or "Unknown",
                root.findtext(f"{CAP}status") or "Actual",
                (info.findtext(f"{CAP}effective") or "")[:10],
            )
        )
    return found


def _origin_weeks(table: pa.Table) -> OriginWeeks:
    weeks = tuple(sorted(set(table["week_end"].to_pylist())))
    origins = tuple(dict.fromkeys(table["origin"].to_pylist()))
    at_week, at_origin = {w: i for i, w in enumerate(weeks)}, {o: i for i, o in enumerate(origins)}
    rows = np.array([at_week[w] for w in table["week_end"].to_pylist()])
    columns = np.array([at_origin[o] for o in table["origin"].to_pylist()])
    filled = []
    for name in ("mean", "low", "high"):
        values = np.zeros((len(weeks), len(origins)))
        values[rows, columns] = table[name].to_numpy()
        filled.append(values)
    return OriginWeeks(weeks, origins, *filled)


def _trips(table: pa.Table) -> Trips:
    def numbers(*names: str) -> Floats:
        name = next((n for n in names if n in table.column_names), None)
        return np.full(table.num_rows, np.nan) if name is None else np.asarray(table[name].cast(pa.float64()).to_numpy(), np.float64)

    def days(name: str) -> npt.NDArray[np.datetime64]:
        found = np.asarray(table[name].cast(pa.date32()).to_numpy(), "datetime64[D]")
        return np.where(np.isnat(found), UNDATED, found)

    def codes(name: str) -> npt.NDArray[np.str_]:
        return np.asarray(table[name].cast(pa.string()).to_pylist(), dtype=np.str_)

    return Trips(
        days("first_day"),
        days("last_day"),
        codes("origin"),
        codes("destination"),
        numbers("trips_per_day", "trips"),
        numbers("std"),
        numbers("raw"),
        np.asarray(table["hidden"].to_pylist(), np.bool_) if "hidden" in table.column_names else np.zeros(table.num_rows, np.bool_),
    )
