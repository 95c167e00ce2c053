"""What the columns of a carrier's file mean: built-in schemas, and mapping files for everything else.

A mapping file is a small TOML document (see `Mapping`); the built-in schemas are mappings like any other. Sources of the built-in ones:
the Eurostat multi-MNO reference pipeline (raw events, network topology) and FlowKit's ingestion tables (calls, sms, mds, topups, cells).
"""

from __future__ import annotations

import tomllib
from collections.abc import Collection
from collections.abc import Mapping as MappingOf
from pathlib import Path
from types import MappingProxyType
from typing import Final, Literal, Self
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from oneteam.core.errors import FileUnreadableError, MappingError, MissingColumnError, UnknownValueError

Kind = Literal["events", "topology", "outbound", "inbound"]

_NEEDED: Final[dict[str, tuple[str, ...]]] = {
    "events": ("user_id", "timestamp"),
    "inbound": ("user_id", "timestamp"),
    "outbound": ("user_id", "timestamp"),
    "topology": ("cell_id",),
}
_KNOWN: Final[dict[str, frozenset[str]]] = {
    "events": frozenset({"user_id", "timestamp", "cell_id", "mcc", "mnc", "plmn", "latitude", "longitude"}),
    "inbound": frozenset({"user_id", "timestamp", "cell_id", "mcc", "mnc", "plmn", "latitude", "longitude"}),
    "outbound": frozenset({"user_id", "timestamp", "plmn", "country", "event_type", "utc_offset_min"}),
    "topology": frozenset(
        {
            "cell_id",
            "latitude",
            "longitude",
            "valid_date_start",
            "valid_date_end",
            "directionality",
            "azimuth_angle",
            "horizontal_beam_width",
            "power",
            "range",
            "technology",
        }
    ),
}


class Constants(BaseModel):
    """Values that hold for every row of a file."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    mcc: int | None = Field(default=None, ge=1, le=999, description="mobile country code of the subscribers' home network")
    mnc: int | None = Field(default=None, ge=0, le=999, description="mobile network code of the subscribers' home network")


class Mapping(BaseModel):
    """How to read one form of file.

    ``columns`` maps our names to the file's. ``cell_id`` may name several columns, which are joined by ``cell_separator``. Every named
    column must be in the file unless it is listed in ``optional``.

    >>> Mapping(columns={"user_id": "imsi_hash", "timestamp": "start", "cell_id": ["lac", "ci"]}).source_columns()
    ['imsi_hash', 'start', 'lac', 'ci']
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Kind = Field(default="events", description="what a row is: an event, a cell, an own subscriber abroad, a foreign one here")
    columns: dict[str, str | tuple[str, ...]] = Field(description="our column names to the file's")
    optional: tuple[str, ...] = Field(default=(), description="names of ours whose column may be absent from a file")
    constants: Constants = Field(default=Constants(), description="values that hold for every row")
    timezone: str | None = Field(default=None, description="zone of time stamps that carry no UTC offset")
    time_format: str = Field(default="iso", description="iso, epoch_s, epoch_ms, epoch_us, or a strptime pattern without %z")
    cell_separator: str = Field(default="-", description="stands between the parts of a cell_id made of several columns")
    delimiter: str = Field(default=",", min_length=1, max_length=1, description="CSV: between two fields")
    encoding: Literal["auto", "utf-8", "cp949"] = Field(default="auto", description="CSV: auto tries UTF-8, then CP949")
    column_names: tuple[str, ...] = Field(default=(), description="CSV without a header line: the names of its columns")
    null_values: tuple[str, ...] = Field(default=("", "NULL", "null", "NA", "\\N"), description="CSV: text that means no value")

    @field_validator("timezone")
    @classmethod
    def _zone_exists(cls, value: str | None) -> str | None:
        if value is not None:
            zone_of(value)
        return value

    @field_validator("time_format")
    @classmethod
    def _no_offset_pattern(cls, value: str) -> str:
        if "%z" in value or "%Z" in value:
            raise ValueError("a pattern cannot hold %z: time stamps with an offset are read as time_format = 'iso'")
        if "%" not in value and value not in {"iso", "epoch_s", "epoch_ms", "epoch_us"}:
            raise ValueError("must be iso, epoch_s, epoch_ms, epoch_us or a strptime pattern")
        return value

    @model_validator(mode="after")
    def _columns_fit_kind(self) -> Self:
        known = _KNOWN[self.kind]
        if unknown := sorted(set(self.columns) - known):
            raise ValueError(f"columns.{unknown[0]} means nothing for kind '{self.kind}'; known: {', '.join(sorted(known))}")
        if absent := [name for name in _NEEDED[self.kind] if name not in self.columns]:
            raise ValueError(f"columns.{absent[0]} is needed for kind '{self.kind}'")
        for name, source in self.columns.items():
            if not isinstance(source, str) and (name != "cell_id" or not source):
                raise ValueError(f"columns.{name} must name one column; only cell_id may name several")
        if self.kind in {"events", "inbound"} and not ({"cell_id", "latitude"} & set(self.columns)):
            raise ValueError("columns needs cell_id, or latitude and longitude")
        if ("latitude" in self.columns) != ("longitude" in self.columns):
            raise ValueError("columns needs latitude and longitude together")
        if self.kind == "outbound" and not ({"country", "plmn"} & set(self.columns)):
            raise ValueError("columns needs country or plmn for kind 'outbound'")
        return self

    def sources_of(self, name: str) -> tuple[str, ...]:
        """The file's column or columns behind one of ours; empty when it is not mapped."""
        source = self.columns.get(name, ())
        return (source,) if isinstance(source, str) else source

    def source_columns(self) -> list[str]:
        """Every column of the file that is read, each once."""
        return list(dict.fromkeys(source for name in self.columns for source in self.sources_of(name)))

    def check_columns(self, present: Collection[str], where: str) -> None:
        """Refuse a file that lacks a column.

        Raises:
            MissingColumnError: names the file, every missing column and what is there.
        """
        missing = [s for name in self.columns if name not in self.optional for s in self.sources_of(name) if s not in present]
        if missing:
            raise MissingColumnError(
                f"{where}: no column {', '.join(repr(name) for name in missing)}; it has {', '.join(sorted(present))}",
                hint="Name the file's own columns in a mapping file (docs: bring your own events).",
            )


def zone_of(name: str) -> ZoneInfo:
    """A time zone by its IANA name.

    Raises:
        UnknownValueError: no such zone.
    """
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError) as err:
        raise UnknownValueError(f"no time zone is called {name!r}", hint="Use an IANA name such as Asia/Seoul.") from err


def _same(*names: str) -> dict[str, str | tuple[str, ...]]:
    return {name: name for name in names}


def _flowkit() -> Mapping:
    return Mapping(columns={"user_id": "msisdn", "timestamp": "datetime", "cell_id": "location_id"})


_TOPOLOGY_OPTIONAL: Final = tuple(sorted(_KNOWN["topology"] - {"cell_id", "latitude", "longitude"}))

BUILT_IN: Final[MappingOf[str, Mapping]] = MappingProxyType(
    {
        "multimno": Mapping(
            columns=_same("user_id", "timestamp", "mcc", "mnc", "plmn", "cell_id", "latitude", "longitude"),
            optional=("mnc", "plmn", "latitude", "longitude"),
        ),
        "multimno-topology": Mapping(
            kind="topology", columns=_same("cell_id", "latitude", "longitude", *_TOPOLOGY_OPTIONAL), optional=_TOPOLOGY_OPTIONAL
        ),
        "flowkit-calls": _flowkit(),
        "flowkit-sms": _flowkit(),
        "flowkit-mds": _flowkit(),
        "flowkit-topups": _flowkit(),
        "flowkit-cells": Mapping(
            kind="topology",
            columns={
                "cell_id": "id",
                "latitude": "latitude",
                "longitude": "longitude",
                "valid_date_start": "date_of_first_service",
                "valid_date_end": "date_of_last_service",
            },
            optional=("latitude", "longitude", "valid_date_start", "valid_date_end"),
        ),
        "roaming-outbound": Mapping(
            kind="outbound",
            columns=_same("user_id", "timestamp", "plmn", "country", "event_type", "utc_offset_min"),
            optional=("plmn", "country", "event_type", "utc_offset_min"),
        ),
        "roaming-inbound": Mapping(
            kind="inbound",
            columns=_same("user_id", "timestamp", "cell_id", "mcc", "mnc", "plmn", "latitude", "longitude"),
            optional=("mcc", "mnc", "plmn", "cell_id", "latitude", "longitude"),
        ),
    }
)
"""The schemas that need no mapping file."""

_FLOWKIT_MARKS: Final = (("flowkit-calls", "msisdn_counterpart"), ("flowkit-mds", "volume_total"), ("flowkit-topups", "recharge_amount"))


def cells_mapping(columns: Collection[str]) -> Mapping:
    """`flowkit-cells` fitted to a file: the id may be called id, cell_id or location_id, the coordinates lat/lon or in full."""
    base = BUILT_IN["flowkit-cells"]
    names = dict(base.columns)
    names["cell_id"] = next((name for name in ("location_id", "cell_id", "id") if name in columns), "id")
    names["latitude"] = next((name for name in ("latitude", "lat") if name in columns), "latitude")
    names["longitude"] = next((name for name in ("longitude", "lon", "lng") if name in columns), "longitude")
    return base.model_copy(update={"columns": names})


def detect_schema(columns: Collection[str], where: str) -> str:
    """Which built-in schema a file has, by the names of its columns.

    Args:
        columns: names in the file.
        where: the file, for the error.

    Raises:
        MissingColumnError: none fits; says which column the nearest one lacks.

    >>> detect_schema(["user_id", "timestamp", "mcc", "cell_id"], "events.csv")
    'multimno'
    """
    has = set(columns)
    if "msisdn" in has and "datetime" in has:
        return next((schema for schema, mark in _FLOWKIT_MARKS if mark in has), "flowkit-sms")
    if "user_id" not in has and has & {"latitude", "lat"} and has & {"longitude", "lon", "lng"}:
        if {"cell_id", "latitude", "longitude"} <= has:
            return "multimno-topology"
        if has & {"id", "location_id", "cell_id"}:
            return "flowkit-cells"
    if "user_id" in has and "cell_id" not in has and "country" in has:
        return "roaming-outbound"
    if {"user_id", "cell_id", "country"} <= has:
        return "roaming-inbound"
    events = ["multimno"] if "user_id" in has else ["flowkit-calls"] if "msisdn" in has else []
    schema = max(events or ["multimno", "multimno-topology", "flowkit-calls"], key=lambda name: _fit(BUILT_IN[name], has))
    BUILT_IN[schema].check_columns(columns, f"{where}: fits no known schema (nearest: {schema})")
    return schema


def _fit(mapping: Mapping, has: set[str]) -> float:
    needed = [s for name in mapping.columns if name not in mapping.optional for s in mapping.sources_of(name)]
    return sum(name in has for name in needed) / len(needed)


def load_mapping(path: Path) -> Mapping:
    """Read a mapping file.

    Raises:
        FileUnreadableError: not there.
        MappingError: not TOML, or says something impossible; names the setting.
    """
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as err:
        raise FileUnreadableError(f"{path}: cannot be read: {err.strerror}") from err
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as err:
        raise MappingError(f"{path}: not TOML: {err}") from err
    try:
        return Mapping.model_validate(document)
    except ValidationError as err:
        first = err.errors()[0]
        place = ".".join(str(part) for part in first["loc"]) or "the whole"
        raise MappingError(f"{path}: {place}: {first['msg']}", hint="docs: bring your own events, section mapping file") from err


def schema_mapping(schema: str, columns: Collection[str], where: str) -> tuple[str, Mapping]:
    """The mapping for one file: by the schema's name, by the path of a mapping file, or by looking at the columns ("auto").

    Raises:
        UnknownValueError: neither a built-in schema nor a .toml file.
        MissingColumnError: the file lacks a column of it.
    """
    name = detect_schema(columns, where) if schema == "auto" else schema
    if name == "flowkit-cells":
        mapping = cells_mapping(columns)
    elif name in BUILT_IN:
        mapping = BUILT_IN[name]
    elif name.endswith(".toml"):
        mapping = load_mapping(Path(name))
    else:
        raise UnknownValueError(f"no schema is called {name!r}; known: auto, {', '.join(BUILT_IN)}, or the path of a mapping .toml")
    mapping.check_columns(columns, where)
    return name, mapping
