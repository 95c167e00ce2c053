"""What a demonstration is made from, where it stands, and what of it is done already."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any, Final

import oneteam
from oneteam.core.errors import DatasetBusyError, InputError, UnknownValueError
from oneteam.store.tables import sha256_of, write_atomically
from oneteam.synth.settings import CountrySettings

FORMAT: Final = "oneteam-demo/1"
FIRST_DAY: Final = date(2020, 1, 6)
"""A Monday: the outbreak begins, with travellers who come home."""
SEEN_FROM: Final = date(2020, 3, 1)
"""A Sunday: from here on carriers' files are written, in whole weeks up to `KNOWN_ON`."""
KNOWN_ON: Final = date(2020, 3, 28)
"""A Saturday: the demonstration's today. Nothing of a later day is read, but to see how right the study was."""
TRUTH_WEEKS: Final = 4
TRANSMISSION: Final = 0.68
"""With it cases double in about ten days at `KNOWN_ON`, and have not yet reached every district."""
EVENTS_PER_DAY: Final = 5.0
CARRIERS: Final = {
    "skylark": ("Skylark Mobile", "스카이라크 모바일"),
    "horizon": ("Horizon Tel", "호라이즌 텔"),
    "bluewave": ("Bluewave", "블루웨이브"),
}
UNIVERSITY: Final = "university"
AGENCY: Final = "agency"
_OURS: Final = (
    "country",
    "members",
    "tls",
    "agreements",
    "study",
    "logs",
    "roster.json",
    "study.toml",
    "hub.db",
    "hub.db-wal",
    "hub.db-shm",
)


@dataclass(frozen=True)
class DemoSettings:
    """What a demonstration is made from.

    Args:
        out: its folder.
        subscribers: of all carriers together.
        zone_count: districts.
        seed: everything random follows from it, but for privacy noise and keys.
        zones: file with real districts, instead of invented ones.
        shapes: their shapes.
        port: of the page; the next free one where it is taken.
        once: end after the study.
    """

    out: Path
    subscribers: int = 110_000
    zone_count: int = 250
    seed: int = 1
    zones: Path | None = None
    shapes: Path | None = None
    port: int = 8450
    once: bool = False

    @property
    def country(self) -> CountrySettings:
        """Of the synthetic country.

        Raises:
            UnknownValueError: shapes without zones, or settings that fit no country.
        """
        if self.shapes is not None and self.zones is None:
            raise UnknownValueError("--shapes needs --zones: a file with the districts' codes and residents")
        last = KNOWN_ON + timedelta(weeks=TRUTH_WEEKS)
        return CountrySettings(
            shape=None if self.zones else "korea",
            zones=self.zones,
            shapes=self.shapes,
            zone_count=self.zone_count,
            subscribers=self.subscribers,
            days=(last - FIRST_DAY).days + 1,
            start_date=FIRST_DAY,
            seed=self.seed,
            transmission=TRANSMISSION,
            events_per_day=EVENTS_PER_DAY,
            events_from=SEEN_FROM,
            events_until=KNOWN_ON,
        ).check()

    @property
    def made_from(self) -> dict[str, Any]:
        """What decides the contents of the folder."""
        told = self.country.model_dump(mode="json", exclude={"chunk", "threads"})
        for name in ("zones", "shapes"):
            path = getattr(self, name)
            told[name] = sha256_of(path) if path is not None else None
        return {"version": oneteam.__version__, "country": told}


class DemoFolder:
    """The demonstration's folder.

    Args:
        root: where.
    """

    def __init__(self, root: Path) -> None:
        self.root = root.absolute()

    def path(self, *parts: str) -> Path:
        """A path in it."""
        return self.root.joinpath(*parts)

    def home(self, member: str) -> Path:
        """A member's home."""
        return self.path("members", member)

    @contextmanager
    def claimed(self, made_from: dict[str, Any]) -> Iterator[bool]:
        """Have the folder for one process; whether an earlier demonstration of the same settings is in it.

        One of other settings is removed, and nothing else.

        Raises:
            InputError: the folder holds something that is no demonstration.
            DatasetBusyError: a demonstration is running in it.
        """
        mark = self.path("demo.json")
        if self.root.exists() and (not self.root.is_dir() or (any(self.root.iterdir()) and not mark.exists())):
            raise InputError(f"{self.root}: holds something that is no demonstration", hint="Give a new folder with --out.")
        self.root.mkdir(parents=True, exist_ok=True)
        handle = os.open(self.path(".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as err:
                raise DatasetBusyError(f"{self.root}: a demonstration is running here", hint="Stop it, or give another --out.") from err
            same = self._read().get("made_from") == made_from
            if not same:
                self._clear()
                self._write({"format": FORMAT, "made_from": made_from, "done": []})
            yield same
        finally:
            with suppress(OSError):
                os.close(handle)

    def done(self, step: str) -> bool:
        """Whether a step was finished before."""
        return step in self._read().get("done", [])

    def finish(self, step: str) -> None:
        """Remember that a step is finished."""
        told = self._read()
        self._write(told | {"done": [*told.get("done", []), step]})

    def _read(self) -> dict[str, Any]:
        try:
            told = json.loads(self.path("demo.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return told if isinstance(told, dict) and told.get("format") == FORMAT else {}

    def _write(self, told: dict[str, Any]) -> None:
        write_atomically(self.path("demo.json"), (json.dumps(told, ensure_ascii=False, indent=1) + "\n").encode())

    def _clear(self) -> None:
        for name in _OURS:
            path = self.path(name)
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)
