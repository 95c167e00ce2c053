"""One chain of causes: the study's own Context first, every step, Release, Alert and Command on its parent."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from oneteam.app.study.folder import StudyFolder
from oneteam.core.canonical import canonical
from oneteam.core.model import Context, Release
from oneteam.store.tables import write_atomically

CONTEXTS_FILE: Final = "contexts.jsonl"


@dataclass
class Chain:
    """The Contexts of a study, in order.

    Ids follow from the study's title, day and seed, so that a re-run gives the same ones.

    Args:
        study: what ids follow from.
        actor: who runs it.
        at: when: the study's ``known_on``.
    """

    study: str
    actor: str
    at: datetime
    found: dict[str, Context] = field(default_factory=dict)
    last: str | None = None

    def step(self, name: str, reason: str) -> Context:
        """The Context of a step, caused by the step before it; the next step follows from it."""
        made = self.link(name, reason, self.last)
        self.last = made.id
        return made

    def link(self, name: str, reason: str, parent: str | None) -> Context:
        """A Context that leaves the order of steps as it is."""
        identity = hashlib.sha256(f"{self.study}/{name}".encode()).hexdigest()[:32]
        made = Context(id=identity, parent=parent, actor=self.actor, reason=" ".join(reason.split()), at=self.at)
        self.found[identity] = made
        return made

    def release(self, release: Release, identity: str, asked: Context) -> None:
        """The Context that a Release carries; where an earlier question paid for it, its use here is a step of its own."""
        own = release.context
        if own is not None:
            self.found[own.id] = own
        if own is None or own.parent != asked.id:
            earlier = f"; asked for before, in step {own.id}" if own else ""
            own = self.link(f"release/{identity}", f"{release.query.measure}: Release {identity[:12]}{earlier}", asked.id)
        self.last = own.id

    def take(self, contexts: Iterable[Context]) -> None:
        """Contexts that others made."""
        self.found |= {each.id: each for each in contexts}

    def write(self, folder: StudyFolder) -> None:
        """One Context a line, causes before effects."""
        lines, left = [], dict(self.found)
        while left:
            ready = [c for c in left.values() if c.parent is None or c.parent not in left]
            for context in ready or list(left.values()):
                lines.append(canonical(context))
                del left[context.id]
        write_atomically(folder.path(CONTEXTS_FILE), b"".join(line + b"\n" for line in lines))
