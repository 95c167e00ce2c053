"""An output folder of forecasts: whose output it is, and the members' files in it.

What a folder holds is made from one set of settings and data, which its manifest tells. So a file that stands in it is what would be made
now, whichever run has made it; and a damaged one can be made again.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa

from oneteam.core.errors import FileUnreadableError, InputError, UnknownValueError
from oneteam.epidemic.hub.forecasts import QuantileForecasts, check_forecasts, parse_forecasts
from oneteam.epidemic.service.files import MODEL_OUTPUT, forecast_path
from oneteam.store.tables import read_parquet, write_atomically

MANIFEST: Final = "backtest.json"
STAND_IN: Final = "stand_in"
"""Key of a file's metadata: why persistence stands in for the member."""


def claim(out: Path, told: Mapping[str, Any], models: Sequence[str]) -> None:
    """Write down what a folder is the output of; refuse one of something else.

    Args:
        out: the folder.
        told: settings and data, by name; what is None is left out.
        models: whose files would be in it.

    Raises:
        UnknownValueError: a folder of other settings or data, or no folder.
        FileUnreadableError: forecasts without a readable manifest.
    """
    if out.exists() and not out.is_dir():
        raise UnknownValueError(f"--out {out}: is a file, must be a folder", hint="Give a folder; it is made where there is none.")
    now = json.loads(json.dumps({name: {k: v for k, v in of.items() if v is not None} for name, of in told.items()}))
    path = out / MANIFEST
    try:
        before = json.loads(path.read_bytes())
        why = "" if isinstance(before, dict) else "it holds no JSON object"
    except FileNotFoundError:
        why = "there is none"
    except (ValueError, OSError) as err:
        why = f"it is no whole JSON document: {err}"
    if why and any(forecast_dates(out, model) for model in models):
        raise FileUnreadableError(
            f"{path}: {why}; it must tell of which settings and data the forecasts in {out} are, so that others are not mixed with them",
            hint="Give another --out, or remove the folder and run again.",
        )
    if why:
        write_atomically(path, json.dumps(now, indent=1).encode())
    elif before != now:
        raise UnknownValueError(
            f"{out} holds forecasts of other settings or other data (see {MANIFEST} in it): {_difference(before, now)}",
            hint="Give another --out, or remove the folder.",
        )


def _difference(before: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """The first thing that differs, in words."""
    for part in now:
        old, new = _object(before.get(part)), _object(now[part])
        for key in [*new, *old]:
            if old.get(key) != new.get(key):
                if part == "inputs":
                    return f"{key} is another file"
                return f"{key} is {json.dumps(old.get(key))} there, {json.dumps(new.get(key))} here"
    return "it is of another version"


def _object(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def forecast_dates(out: Path, model: str) -> list[date]:
    """Dates of which a model has a file, damaged or not, ascending."""
    found = []
    for path in (out / MODEL_OUTPUT / model).glob(f"????-??-??-{model}.parquet"):
        try:
            found.append(date.fromisoformat(path.name[:10]))
        except ValueError:
            continue
    return sorted(found)


def read_member(out: Path, member: str, day: date) -> QuantileForecasts | None:
    """A model's forecast of a date, if it was made.

    Raises:
        FileUnreadableError: a damaged file.
    """
    path = forecast_path(out, member, day)
    return _read(path, day)[0] if path.exists() else None


def _read(path: Path, day: date) -> tuple[QuantileForecasts, str]:
    """The forecasts of a file and its stand-in."""
    try:
        table = read_parquet(path)
        found = parse_forecasts(table, str(path))
        check_forecasts(found, str(path))
        if (found.reference_date != np.datetime64(day, "D")).any():
            raise UnknownValueError(f"{path}: tasks of another reference date than {day}")
    except (InputError, pa.ArrowException, ValueError) as err:
        why = err.message if isinstance(err, InputError) else f"{path}: {err}"
        raise FileUnreadableError(
            f"{why}; must be the forecasts that were written for {day}", hint="Remove the file and run the same command again."
        ) from err
    return found, (table.schema.metadata or {}).get(STAND_IN.encode(), b"").decode()


class MemberFiles:
    """The members' forecasts in an output folder, each file read once.

    Args:
        out: the folder.
        members: whose files.
    """

    def __init__(self, out: Path, members: Sequence[str]) -> None:
        self.out = out
        self.members = tuple(members)
        self._read: dict[tuple[str, date], tuple[QuantileForecasts, str] | None] = {}

    def dates(self) -> list[date]:
        """Dates of which any member has a file, ascending."""
        return sorted({day for member in self.members for day in forecast_dates(self.out, member)})

    def damaged(self) -> list[tuple[str, date]]:
        """Files that stand there and cannot be used."""
        return [(m, d) for m in self.members for d in forecast_dates(self.out, m) if self._of(m, d) is None]

    def of_date(self, day: date) -> dict[str, QuantileForecasts]:
        """What the members said on a date, those that said anything."""
        return {member: found[0] for member in self.members if (found := self._of(member, day)) is not None}

    def stand_in(self, member: str, day: date) -> str:
        """Why persistence stands in for a member on a date; empty where it speaks for itself."""
        found = self._of(member, day)
        return found[1] if found is not None else ""

    def read_again(self, member: str, day: date) -> None:
        """Forget what a file held: it is made anew."""
        self._read.pop((member, day), None)

    def _of(self, member: str, day: date) -> tuple[QuantileForecasts, str] | None:
        if (member, day) not in self._read:
            path = forecast_path(self.out, member, day)
            try:
                self._read[member, day] = _read(path, day) if path.exists() else None
            except FileUnreadableError:
                self._read[member, day] = None
        return self._read[member, day]
