"""What the telecom part plugs in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from oneteam.core.part import ActionInfo, MeasureInfo


@dataclass(frozen=True)
class TelecomPart:
    """Mobility measures from network events and roaming records, on the carrier's own machine."""

    name: str = "telecom"
    commands: str | None = "oneteam.cli.telecom:app"
    source: str | None = "oneteam.telecom.service.contribute:source"

    def measures(self) -> Mapping[str, MeasureInfo]:
        """The measures of the catalogue."""
        from oneteam.telecom.measures.catalogue import MEASURES  # noqa: PLC0415 - listing parts must not import a data engine

        return {
            name: MeasureInfo(name, tuple(key.name for key in m.keys), m.unit, {"en": m.title_en, "ko": m.title_ko})
            for name, m in MEASURES.items()
        }

    def actions(self) -> Mapping[str, ActionInfo]:
        """What a recipient may ask a carrier to do."""
        title = {"en": "Tell own subscribers who were abroad", "ko": "해외 방문 가입자에게 안내"}
        return {
            "notify_travellers": ActionInfo(
                "notify_travellers", "travellers", "oneteam.telecom.service.on_command:travellers_notice", title
            )
        }


part = TelecomPart()
