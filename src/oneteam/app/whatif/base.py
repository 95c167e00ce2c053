"""What a what-if starts from: the study's own scenario, and the places and settings that measures can name."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any, Final

from oneteam.app.study.mobility import OD, OD_CSV
from oneteam.core.errors import NotThereError, OneteamError
from oneteam.core.model import Text
from oneteam.epidemic.engine.scenario import Scenario
from oneteam.epidemic.service.simulate import read_scenario
from oneteam.store.rows import Row, read_rows

SCENARIO_FILE: Final = "scenario.toml"
DRAWS: Final = 8
"""Tables of mobility over which members are split, where the study does not say how many."""
_KIND: Final = re.compile(r"-(do|si|gun|gu)$")
"""What romanized Korean names end on, which all of a level share."""
_WATCHED: Final = (SCENARIO_FILE, "zones.csv", "places.geojson", "data/locations.csv", "study.toml")


@dataclass(frozen=True)
class Region:
    """A region: its name, and the codes of its zones."""

    code: str
    name: Text
    zones: tuple[str, ...]


@dataclass(frozen=True)
class Base:
    """What a study's what-ifs start from.

    Args:
        scenario: the study's own.
        folder: of the study.
        zones: names by code, in the order of the scenario's file.
        regions: by code; those with several zones, or several zones' worth of names.
        settings: in which people meet.
        people: residents.
    """

    scenario: Scenario
    folder: Path
    zones: Mapping[str, Text]
    regions: Mapping[str, Region]
    settings: tuple[str, ...]
    people: float

    @property
    def first_day(self) -> date:
        """Of the simulation."""
        return self.scenario.run.first_day

    def last_day(self, days: int) -> date:
        """Of a simulation of so many days."""
        return self.first_day + timedelta(days=days - 1)

    @property
    def infected(self) -> int:
        """People at the start."""
        return sum(item.people for item in self.scenario.infected)

    @property
    def border_matters(self) -> bool:
        """Whether anybody is infected from outside in this scenario."""
        return any(item.per_day > 0 for item in self.scenario.imports)

    def name(self, code: str) -> Text:
        """Of a zone or a region; the code where there is none."""
        if code in self.zones:
            return self.zones[code]
        return self.regions[code].name if code in self.regions else Text(en=code, ko=code)

    def knows(self, code: str) -> bool:
        """Whether a measure can name it: a zone's code, or the beginning of one."""
        return bool(code) and (code in self.zones or any(zone.startswith(code) for zone in self.zones))

    def find(self, told: str) -> str | None:
        """The code of a zone or region that people call so, in either language; None where there is none, or several."""
        wanted = " ".join(told.split()).casefold()
        if self.knows(told.strip()):
            return told.strip()
        for names in ({c: r.name for c, r in self.regions.items()}, self.zones):
            found = [code for code, name in names.items() if wanted in {name.en.casefold(), (name.ko or "").casefold()}]
            if len(found) == 1:
                return found[0]
        return None

    def codes_of(self, region: str) -> tuple[str, ...]:
        """How a measure names a region: by its own code where that stands for exactly its zones, else by them all."""
        mine = self.regions[region].zones
        meant = {zone for zone in self.zones if zone.startswith(region)}
        return (region,) if meant == set(mine) else mine


class BaseShelf:
    """The base as the study's files are now; read again only when one of them changed.

    Args:
        folder: of the study.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._kept: tuple[tuple[tuple[str, int, int], ...], Base] | None = None

    def open(self) -> Base:
        """The base.

        Raises:
            NotThereError: the study has no scenario.
            InputError: it cannot be read.
        """
        stamp = tuple((name, at.stat().st_mtime_ns, at.stat().st_size) for name in _WATCHED if (at := self.folder / name).is_file())
        kept = self._kept
        if kept is None or kept[0] != stamp:
            kept = stamp, read_base(self.folder)
            self._kept = kept
        return kept[1]


def read_base(folder: Path) -> Base:
    """Read what a study's what-ifs start from.

    Raises:
        NotThereError: the study has no scenario.
        InputError: its scenario or its zones cannot be read.
    """
    path = folder / SCENARIO_FILE
    if not path.is_file():
        raise NotThereError("the study has no scenario to start from", hint="Give [scenario] in study.toml and run the study again.")
    scenario = read_scenario(path)
    table = read_rows(folder / scenario.world.zones)
    codes = table.unique("code", "kostat_2018_code", "zone", "location")
    told = _told(folder)
    zones, members = {}, dict[str, list[str]]()
    places = _place_names(folder)
    people = 0.0
    for code, row in zip(codes, table.rows, strict=True):
        better = told.get(code)
        zones[code] = _name(code, *(one for one in (better, row) if one is not None))
        region = (better.text("region") if better else None) or row.text("region") or row.text("sido") or code[:2]
        members.setdefault(region, []).append(code)
        if better is not None and region not in places and (named := better.text("region_name")):
            places[region] = Text(en=named, ko=named)
        people += row.number("population", 0.0) or 0.0
    regions = {code: Region(code, places.get(code) or Text(en=code, ko=code), tuple(own)) for code, own in members.items()}
    if len(regions) == len(zones):
        regions = {}
    return Base(scenario, folder, zones, regions, _settings(scenario, folder), people)


def uses_releases(scenario: Scenario, folder: Path, study: Path) -> bool:
    """Whether a scenario's trips are those of the study's Releases, whose uncertainty is known.

    Args:
        scenario: the document.
        folder: what its paths are relative to.
        study: the study's folder.
    """
    given = scenario.world.od
    return given is not None and (folder / given).resolve() == (study / OD_CSV).resolve() and (study / OD).is_file()


def draws_of(study: Path) -> int:
    """Tables of mobility over which the study splits its members."""
    try:
        told = tomllib.loads((study / "study.toml").read_text(encoding="utf-8"))
        found = told.get("mobility", {}).get("draws", DRAWS)
    except (OSError, ValueError, AttributeError):
        return DRAWS
    return found if isinstance(found, int) and 1 <= found <= 64 else DRAWS


def _told(folder: Path) -> dict[str, Row]:
    """Rows of the study's own ``zones.csv``, which may know more names than the scenario's file."""
    try:
        table = read_rows(folder / "zones.csv")
        return {code: row for row in table.rows if (code := row.text("code"))}
    except OneteamError:
        return {}


def _name(code: str, *rows: Row) -> Text:
    def first(*columns: str) -> str | None:
        return next((found for row in rows for column in columns if (found := row.text(column))), None)

    plain = first("name", "sigungu_name", "name_en", "name_eng") or code
    return Text(en=first("name_en", "name_eng") or plain, ko=first("name_ko", "sigungu_name") or plain)


def _place_names(folder: Path) -> dict[str, Text]:
    """Names of regions in both languages, as the study's files tell them."""
    found: dict[str, Text] = {}
    try:
        for row in read_rows(folder / "data" / "locations.csv").rows:
            code, name = row.text("location"), row.text("location_name")
            if code and name:
                found[code] = Text(en=name, ko=name)
    except OneteamError:
        pass
    try:
        features: list[dict[str, Any]] = json.loads((folder / "places.geojson").read_text(encoding="utf-8"))["features"]
        for told in (feature["properties"] for feature in features):
            code, name = str(told.get("code") or ""), told.get("name_en") or told.get("name_eng") or told.get("name")
            if code and name:
                local = found[code].ko if code in found else told.get("name_ko") or told.get("name")
                short = _KIND.sub("", str(name))
                if str(told.get("name") or "").endswith("시"):
                    short = short.removesuffix("si")
                found[code] = Text(en=short, ko=str(local))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        pass
    return found


def _settings(scenario: Scenario, folder: Path) -> tuple[str, ...]:
    """Settings of the world's contacts, without reading them."""
    if scenario.world.contacts is None:
        return ("home", "work", "community")
    names = {path.name.split("_")[1] for path in (folder / scenario.world.contacts).glob("contacts_*_*ages.csv")}
    return tuple(name for name in ("home", "school", "work", "community") if name in names)
