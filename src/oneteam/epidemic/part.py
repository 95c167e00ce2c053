"""What the epidemic part plugs in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from oneteam.core.part import MeasureInfo


@dataclass(frozen=True)
class EpidemicPart:
    """Simulation, importation, nowcast, forecast and scores of an epidemic, from Releases and public tables."""

    name: str = "epidemic"
    commands: str | None = "oneteam.cli.epidemic:app"
    source: str | None = None

    def measures(self) -> Mapping[str, MeasureInfo]:
        """None: this part receives measures and answers no queries about anyone's rows."""
        return {}


part = EpidemicPart()
