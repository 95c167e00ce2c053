"""How far a running study is, from its ``progress.json``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

STATES: Final = ("waiting", "running", "done", "reused", "skipped", "failed")


@dataclass(frozen=True)
class Step:
    """A step: its words, its state, what it is at, how long it took, and its share in percent where it counts."""

    title: str
    state: str
    detail: str
    seconds: str
    percent: int | None


@dataclass(frozen=True)
class Progress:
    """All steps; `state` is running, failed or done."""

    steps: tuple[Step, ...]
    state: str

    @property
    def finished(self) -> int:
        """How many steps need no more work."""
        return sum(step.state in {"done", "reused", "skipped"} for step in self.steps)


def read_progress(told: Mapping[str, Any] | None, language: str) -> Progress | None:
    """Progress in one language; None without, or where the document is not what it should be.

    >>> told = {"steps": [{"step": "ask", "title": {"en": "Ask", "ko": "요청"}, "state": "running", "done": 1, "total": 4}]}
    >>> read_progress(told, "ko").steps[0].percent
    25
    """
    if not isinstance(told, Mapping) or not isinstance(told.get("steps"), list) or not told["steps"]:
        return None
    steps = tuple(_step(s, language) for s in told["steps"] if isinstance(s, Mapping))
    states = {step.state for step in steps}
    state = "failed" if "failed" in states else "done" if states <= {"done", "reused", "skipped"} else "running"
    return Progress(steps, state)


def _step(told: Mapping[str, Any], language: str) -> Step:
    title = told.get("title")
    words = (title.get(language) or title.get("en")) if isinstance(title, Mapping) else title
    state = told.get("state")
    seconds, done, total = told.get("seconds"), told.get("done"), told.get("total")
    percent = round(100 * done / total) if isinstance(done, int | float) and isinstance(total, int | float) and total else None
    detail = told.get("detail")
    detail = (detail.get(language) or detail.get("en")) if isinstance(detail, Mapping) else detail
    return Step(
        str(words or told.get("step", "")),
        state if state in STATES else "waiting",
        str(detail or ""),
        f"{seconds:.0f} s" if isinstance(seconds, int | float) and seconds >= 1 else "",
        percent if state == "running" else None,
    )
