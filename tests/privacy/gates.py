"""Gates of three carriers and a helper, with everything real behind them but the rows."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
from tests.privacy.parties import KEYS, NOW, a_query, lookup, signed_by_all

from oneteam.core.model import Agreement, Query
from oneteam.privacy.agreements import threshold_of
from oneteam.privacy.book import BOOK_SCHEMA, AgreementBook
from oneteam.privacy.contributions import Contributions
from oneteam.privacy.gate import Gate
from oneteam.privacy.ledger import Ledger
from oneteam.privacy.policy import LocalLimits
from oneteam.privacy.requests import RoundPlan, make_request, sign_request
from oneteam.store.audit_log import AuditLog, origin_of
from oneteam.store.registry import Registry

MEMBERS = ("skylark", "horizon", "bluewave", "campus")


def rows(member: str, query: Query, agreement: Agreement, people: int = 60) -> Contributions:
    """Deterministic rows over the query's domain: each member's subscribers are its own."""
    rng = np.random.default_rng(MEMBERS.index(member))
    subscriber = np.sort(rng.integers(0, people, 3 * people)) + 1_000 * MEMBERS.index(member)
    keys = {name: rng.integers(-1, 3, len(subscriber)).astype(np.int32) for name in query.dimensions}
    return Contributions(subscriber, keys, np.ones(len(subscriber), np.int64))


@dataclass
class Clock:
    now: datetime = NOW

    def __call__(self) -> datetime:
        return self.now

    def forward(self, **step: float) -> None:
        self.now += timedelta(**step)


@dataclass
class Box:
    """One member."""

    me: str
    folder: Path
    agreement: Agreement
    clock: Clock = field(default_factory=Clock)
    limits: LocalLimits = field(default_factory=LocalLimits)
    source: Any = None
    registry: Registry = field(init=False)
    log: AuditLog = field(init=False)
    ledger: Ledger = field(init=False)
    book: AgreementBook = field(init=False)
    gate: Gate = field(init=False)
    asked: int = 0

    def __post_init__(self) -> None:
        self.registry = Registry.open(self.folder / f"{self.me}.db", schemas=[BOOK_SCHEMA])
        self.log = AuditLog(self.registry, origin_of(self.me), KEYS[self.me], now=self.clock)
        self.ledger = Ledger(self.registry)
        self.book = AgreementBook(self.registry, lookup)
        self.book.add(signed_by_all(self.agreement))
        self.gate = Gate(
            me=self.me,
            keys=KEYS[self.me],
            registry=self.registry,
            log=self.log,
            ledger=self.ledger,
            book=self.book,
            lookup=lookup,
            limits=lambda: self.limits,
            source=self._rows,
            now=self.clock,
            secret=bytes(range(32)),
        )

    def _rows(self, query: Query, agreement: Agreement) -> Contributions:
        self.asked += 1
        return (self.source or rows)(self.me, query, agreement)

    def entries(self) -> list[Any]:
        return [entry for _, entry in self.log.entries()]

    def close(self) -> None:
        self.gate.close()
        self.registry.close()


def plan_for(agreement: Agreement, round_id: str | None = None, participants: tuple[str, ...] | None = None) -> RoundPlan:
    return RoundPlan(
        round_id=round_id or secrets.token_hex(16),
        participants=participants or agreement.participants,
        threshold=threshold_of(agreement),
        colluding=agreement.colluding,
    )


def asked(query: Query, *, plan: RoundPlan | None = None, asker: str = "agency", now: datetime = NOW) -> str:
    return sign_request(make_request(query, asker, now, plan=plan), KEYS[asker])


def single(agreement: Agreement, owner: str = "skylark", **changes: Any) -> Query:
    return a_query(agreement, **{"owners": (owner,), **changes})


def another_week(query: Query, weeks: int) -> Query:
    step = timedelta(weeks=weeks)
    return query.model_copy(update={"first_day": query.first_day + step, "last_day": query.last_day + step})


__all__ = ["MEMBERS", "NOW", "Box", "Clock", "another_week", "asked", "date", "plan_for", "rows", "single"]
