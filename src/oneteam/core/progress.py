"""How long work says how far it is."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """Called now and then by long work; a face turns it into a bar, a log line or an event."""

    def __call__(self, step: str, done: float, total: float | None) -> None:
        """Report.

        Args:
            step: what is being done, as a short phrase.
            done: how much of it is done, in the unit of ``total``.
            total: how much there is, None when unknown.
        """


def silent(step: str, done: float, total: float | None) -> None:
    """Report nothing."""
