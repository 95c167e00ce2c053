"""How far a study is: on disk for whoever looks (``progress.json``), and to whoever waits."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Literal

from oneteam.core.model import Text
from oneteam.core.progress import Progress, silent
from oneteam.store.tables import write_atomically

PROGRESS_FILE: Final = "progress.json"
FORMAT: Final = "oneteam-progress/1"
EVERY_S: Final = 0.5
"""The file is written anew so often at most while a step goes on."""
State = Literal["waiting", "running", "done", "reused", "skipped", "failed"]


@dataclass
class StepProgress:
    """One step as people see it.

    Args:
        step: short name.
        title: for people.
        state: where it stands.
        started: when; None before.
        seconds: how long it took, or has taken so far.
        done: of ``total``.
        total: None where it is unknown.
        detail: what is being done, or why it was skipped or failed.
    """

    step: str
    title: Text
    state: State = "waiting"
    started: str | None = None
    seconds: float = 0.0
    done: float = 0.0
    total: float | None = None
    detail: str = ""
    begun: float = field(default=0.0, repr=False)

    def as_dict(self) -> dict[str, object]:
        """As it stands in the file."""
        told = asdict(self) | {"title": self.title.model_dump()}
        told.pop("begun")
        return told


class Board:
    """All steps of a study and where they stand.

    Args:
        folder: of the study.
        steps: names and titles, in order.
        tell: also told of every progress; a face draws it.
    """

    def __init__(self, folder: Path, steps: Sequence[tuple[str, Text]], tell: Progress = silent) -> None:
        self._path = folder / PROGRESS_FILE
        self._tell = tell
        self.steps = {name: StepProgress(name, title) for name, title in steps}
        self._written = 0.0
        self._write()

    def start(self, name: str) -> Progress:
        """A step begins; what it returns is the step's own progress."""
        here = self.steps[name]
        here.state, here.started, here.begun = "running", datetime.now(UTC).isoformat(timespec="seconds"), time.monotonic()
        self._write()
        label = here.title.en

        def report(step: str, done: float, total: float | None) -> None:
            here.detail, here.done, here.total = step, done, total
            here.seconds = round(time.monotonic() - here.begun, 3)
            self._tell(label, done, total)
            if time.monotonic() - self._written >= EVERY_S:
                self._write()

        self._tell(label, 0, None)
        return report

    def end(self, name: str, state: State, detail: str = "") -> None:
        """A step has ended."""
        step = self.steps[name]
        if step.begun:
            step.seconds = round(time.monotonic() - step.begun, 3)
        step.state, step.detail = state, detail
        if state in {"done", "reused"}:
            step.total = step.total or 1.0
            step.done = step.total
        self._tell(step.title.en, step.done or 1.0, step.total or 1.0)
        self._write()

    def _write(self) -> None:
        body = {"format": FORMAT, "steps": [step.as_dict() for step in self.steps.values()]}
        write_atomically(self._path, json.dumps(body, ensure_ascii=False, indent=1).encode())
        self._written = time.monotonic()
