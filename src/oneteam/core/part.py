"""How a part plugs into the house: built-in parts and third parties' use the same door.

A part is an object behind an entry point of the group ``oneteam.parts``. Reading it must be cheap: whatever is heavy is imported when a
measure is asked for, not when the part is listed.

A part that also acts on Commands (a list of travellers to be told, a fan to be switched) has a method ``actions`` beside what `Part` asks
for; see `actions_of`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Final, Protocol, runtime_checkable

from oneteam.core.errors import MissingExtraError

if TYPE_CHECKING:
    from pathlib import Path

    from oneteam.core.model import Agreement, Command

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


@dataclass(frozen=True)
class ActionInfo:
    """What a part can be told to do, without the means to do it.

    Args:
        name: as in Commands.
        measure: that an Agreement must have before its recipients may ask for this action.
        handler: ``module:attribute`` of a function of a dataset's folder that gives a `CommandHandler`.
        title: one line by language, ``en`` and ``ko``.
    """

    name: str
    measure: str
    handler: str
    title: Mapping[str, str]


class CommandHandler(Protocol):
    """Does one action on one dataset of the member's own."""

    def check(self, command: Command, agreement: Agreement) -> None:
        """Refuse what cannot be done or was not agreed, from Command and Agreement alone: no row is looked at.

        Raises:
            InputError: a setting that is missing, unknown or impossible.
            RefusedError: more than the Agreement allows, with every reason.
        """

    def carry_out(self, command: Command, folder: Path) -> None:
        """Do it; what is written stands in a folder of the owner's and is readable by the owner alone. Gives nothing back."""


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


def actions_of(part: Part) -> Mapping[str, ActionInfo]:
    """What a part can be told to do, by name; nothing for a part without ``actions``.

    >>> actions_of(installed_parts()["telecom"])["notify_travellers"].measure
    'travellers'
    """
    offered = getattr(part, "actions", None)
    found: Mapping[str, ActionInfo] = {} if offered is None else offered()
    return found


def handler_of(action: ActionInfo, dataset: Path) -> CommandHandler:
    """The means to do an action on a dataset; imports what it needs."""
    module, _, attribute = action.handler.partition(":")
    handler: CommandHandler = getattr(import_module(module), attribute)(dataset)
    return handler


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
