"""Counting what became of each source's rows."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from oneteam.telecom.ingestion.clean import Target, Verdict
from oneteam.telecom.ingestion.quality import SourceReport, iso_day
from oneteam.telecom.service.read import BadRows, Source
from oneteam.telecom.service.spill import TABLE


@dataclass
class Tally:
    """Counts for one source."""

    source: Source
    rows: int = 0
    accepted: Counter[str] = field(default_factory=Counter)
    rejected: Counter[str] = field(default_factory=Counter)
    repeated: int = 0
    first: int | None = None
    last: int | None = None
    bad: BadRows = field(default_factory=BadRows)

    def count(self, verdict: NDArray[np.uint8], target: NDArray[np.uint8] | None = None) -> None:
        """Count a batch's verdicts, and the tables that accepted rows went to (None: cells)."""
        self.rows += len(verdict)
        if target is not None and not target.any() and not verdict.any():
            self.accepted["events"] += len(verdict)
            return
        counts = np.bincount(verdict, minlength=1)
        for code in np.flatnonzero(counts[1:]).tolist():
            self.rejected[reason_of(Verdict(code + 1))] += int(counts[code + 1])
        if target is None:
            self.accepted["cells"] += int(counts[0])
        elif counts[0]:
            by_table = np.bincount(target if counts[0] == len(verdict) else target[verdict == 0], minlength=3)
            for code in np.flatnonzero(by_table).tolist():
                self.accepted[TABLE[Target(code)]] += int(by_table[code])

    def span(self, first: int, last: int) -> None:
        """Widen the span of local days."""
        self.first = first if self.first is None else min(self.first, first)
        self.last = last if self.last is None else max(self.last, last)

    def report(self) -> SourceReport:
        """The counts as they are reported."""
        return SourceReport(
            name=self.source.name,
            kind=self.source.schema,
            rows=self.rows,
            accepted=dict(sorted(self.accepted.items())),
            rejected=dict(sorted(self.rejected.items())),
            repeated=self.repeated,
            first_day=None if self.first is None else iso_day(self.first),
            last_day=None if self.last is None else iso_day(self.last),
        )


def reason_of(verdict: Verdict) -> str:
    """A verdict's key in reports: the reason, and the field where one is to blame.

    >>> reason_of(Verdict.NULL_VALUE__USER_ID), reason_of(Verdict.UNKNOWN_CELL)
    ('null_value:user_id', 'unknown_cell')
    """
    return f"{verdict.reason}:{verdict.field}" if verdict.field else verdict.reason
