"""The door that built-in and third parties' parts use."""

from __future__ import annotations

from dataclasses import dataclass, field
from importlib.metadata import EntryPoint

import pytest

from oneteam.core import part as module
from oneteam.core.errors import MissingExtraError
from oneteam.core.part import MeasureInfo, Part, installed_parts


@dataclass(frozen=True)
class Weather:
    """A part of somebody else's."""

    name: str = "weather"
    commands: str | None = None
    source: str | None = None
    offered: dict[str, MeasureInfo] = field(
        default_factory=lambda: {"rain": MeasureInfo("rain", ("day",), "mm", {"en": "Rain", "ko": "비"})}
    )

    def measures(self) -> dict[str, MeasureInfo]:
        return self.offered


weather = Weather()


def test_third_parties_use_the_same_door(monkeypatch: pytest.MonkeyPatch) -> None:
    own = EntryPoint("telecom", "oneteam.telecom.part:part", module.ENTRY_POINTS)
    theirs = EntryPoint("weather", f"{__name__}:weather", module.ENTRY_POINTS)
    monkeypatch.setattr(module, "entry_points", lambda group: [own, theirs])
    parts = installed_parts()
    assert list(parts) == ["telecom", "weather"]
    assert all(isinstance(part, Part) for part in parts.values())
    assert {info.name for part in parts.values() for info in part.measures().values()} >= {"od", "rain"}


def test_what_is_no_part_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    wrong = EntryPoint("json", "json:dumps", module.ENTRY_POINTS)
    monkeypatch.setattr(module, "entry_points", lambda group: [wrong])
    with pytest.raises(MissingExtraError, match="gives no part"):
        installed_parts()
