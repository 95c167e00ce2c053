"""The door that built-in and third parties' parts use."""

from __future__ import annotations

from dataclasses import dataclass, field
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from oneteam.core import part as module
from oneteam.core.errors import MissingExtraError
from oneteam.core.part import ActionInfo, MeasureInfo, Part, actions_of, handler_of, installed_parts


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


@dataclass(frozen=True)
class Acting(Weather):
    """One that also acts on Commands."""

    def actions(self) -> dict[str, ActionInfo]:
        return {"warn": ActionInfo("warn", "rain", f"{__name__}:handler", {"en": "Warn", "ko": "경고"})}


def handler(dataset: Path) -> str:
    return f"handler of {dataset}"


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


def test_a_part_need_not_act_and_one_that_does_names_its_handler() -> None:
    assert actions_of(weather) == {}
    (action,) = actions_of(Acting()).values()
    assert action.measure == "rain"
    assert handler_of(action, Path("data")) == "handler of data"
    assert isinstance(Acting(), Part)


def test_every_built_in_action_has_its_measure_and_its_handler(tmp_path: Path) -> None:
    acting = {name: actions_of(part) for name, part in installed_parts().items()}
    assert acting["telecom"]
    for name, actions in acting.items():
        for key, action in actions.items():
            assert key == action.name
            assert action.measure in installed_parts()[name].measures()
            assert {"en", "ko"} <= set(action.title)
            assert callable(handler_of(action, tmp_path).check)
