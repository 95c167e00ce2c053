"""How a part plugs into the house: built-in parts and third parties' use the same door.

A part is an object behind an entry point of the group ``oneteam.parts``. Reading it must be cheap: whatever is heavy is imported when a
measure is asked for, not when the part is listed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import entry_points
from typing import Final, Protocol, runtime_checkable

from oneteam.core.errors import MissingExtraError

ENTRY_POINTS: Final = "oneteam.parts"


@dataclass(frozen=True)
class MeasureInfo:
    """What a part offers to answer, without the means to do it.

    Args:
        name: as in queries and Agreements.
        keys: its dimensions.
        unit: what ``value`` counts.
        title: one line by language, ``en`` and ``ko``.
    """

    name: str
    keys: tuple[str, ...]
    unit: str
    title: Mapping[str, str]


@runtime_checkable
class Part(Protocol):
    """What every part tells of itself."""

    @property
    def name(self) -> str:
        """Its noun on the command line."""

    @property
    def commands(self) -> str | None:
        """Where its Typer application stands, as ``module:attribute``; imported when the command line is built."""

    @property
    def source(self) -> str | None:
        """Where it gives rows to the privacy gate, as ``module:attribute``; None if it answers no Queries.

        That is a function of a dataset's folder. What it returns takes a Query and its Agreement, and gives single subscribers'
        contributions.
        """

    def measures(self) -> Mapping[str, MeasureInfo]:
        """The measures that it can answer, by name."""


def installed_parts() -> dict[str, Part]:
    """Every installed part, by name.

    Raises:
        MissingExtraError: an entry point that does not give a part.

    >>> "telecom" in installed_parts()
    True
    """
    found: dict[str, Part] = {}
    for entry in entry_points(group=ENTRY_POINTS):
        part = entry.load()
        if not isinstance(part, Part):
            raise MissingExtraError(f"entry point {entry.name} of {ENTRY_POINTS} gives no part: {entry.value}")
        found[part.name] = part
    return found
