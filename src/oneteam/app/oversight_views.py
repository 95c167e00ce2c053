"""What `oneteam.app.oversight` shows of members, Agreements, decisions and Releases."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import date, datetime
from typing import Final

from oneteam.core.model import Member
from oneteam.privacy.ledger import NANO
from oneteam.privacy.policy import Kept
from oneteam.store.audit_entry import AuditEntry

DECIDED: Final = {"permit": "permitted", "refuse": "refused", "act": "acted"}
"""Kinds of entries that are decisions."""


@dataclass(frozen=True)
class MemberView:
    """A member of the roster.

    Args:
        member: its public part.
        fingerprint: of its keys.
        me: whether it is this member.
        held: entries of its log in the largest checkpoint held here; None when none is.
        held_at: when that came.
        faults: what was found against its log.
    """

    member: Member
    fingerprint: str
    me: bool
    held: int | None = None
    held_at: datetime | None = None
    faults: tuple[str, ...] = ()


@dataclass(frozen=True)
class AgreementView:
    """An Agreement and how it stands here.

    Args:
        kept: the Agreement, who has signed, who has revoked.
        state: as `oneteam.privacy.policy.Kept.state` says; ``draft`` when nobody has signed.
        rho_spent: what was charged here, at a member that answers; what its kept Releases cost, at one that only receives.
        mine: whether this member is a party.
        signed_by_me: whether this member has signed.
    """

    kept: Kept
    state: str
    rho_spent: float
    mine: bool
    signed_by_me: bool

    @property
    def id(self) -> str:
        """The Agreement's id."""
        return self.kept.id

    @property
    def rho_left(self) -> float:
        """What is left of the budget."""
        return max(0.0, self.kept.agreement.rho_total - self.rho_spent)


@dataclass(frozen=True)
class DecisionView:
    """What this node decided on one request.

    Args:
        index: of the log's entry.
        at: when.
        decision: ``answered``, ``permitted`` (and not answered yet, or never), ``refused``, or ``acted`` (on a Command).
        asker: who asked, None when the request could not be read.
        agreement: id of the Agreement, if any.
        query: id of the query, if any.
        measures: what was asked for, as far as it is known here: the log keeps the query's hash, so all of the Agreement's measures
            stand here unless the Release is kept too.
        first_day: of the period asked for, where known.
        last_day: of it.
        rho: what was charged.
        joint: whether it was a share of a joint Release.
        reasons: codes, for a refusal.
    """

    index: int
    at: datetime
    decision: str
    asker: str | None
    agreement: str | None
    query: str | None
    measures: tuple[str, ...]
    first_day: date | None
    last_day: date | None
    rho: float
    joint: bool
    reasons: tuple[str, ...]


@dataclass(frozen=True)
class ReleaseView:
    """A Release that is kept here, without its values.

    Args:
        query: its query's id.
        agreement: the Agreement's.
        recipient: for whom.
        measure: what was asked.
        first_day: of its period.
        last_day: of its period.
        contributors: whose data are in it.
        rho: what it cost each privacy unit.
        kind: ``dp`` or ``threshold``.
        made_at: when.
    """

    query: str
    agreement: str
    recipient: str
    measure: str
    first_day: date
    last_day: date
    contributors: tuple[str, ...]
    rho: float
    kind: str
    made_at: datetime


def decision_of(index: int, entry: AuditEntry, kept: dict[str, Kept], releases: dict[str, ReleaseView], *, answered: bool) -> DecisionView:
    """A decision from its entry in the log, its Agreement and its Release, as far as they are kept."""
    release = releases.get(entry.query or "")
    agreement = kept.get(entry.agreement or "")
    measures: tuple[str, ...] = ()
    if release is not None:
        measures = (release.measure,)
    elif agreement is not None and entry.kind != "act":
        measures = tuple(measure.name for measure in agreement.agreement.measures)
    return DecisionView(
        index=index,
        at=entry.at,
        decision=DECIDED[entry.kind] if entry.kind != "permit" or not answered else "answered",
        asker=entry.requester,
        agreement=entry.agreement,
        query=entry.query,
        measures=measures,
        first_day=release.first_day if release else None,
        last_day=release.last_day if release else None,
        rho=entry.nano_rho / NANO,
        joint=entry.round is not None,
        reasons=entry.reasons,
    )


def release_view(query_id: str, recipient: str, text: str) -> ReleaseView:
    """A kept Release from its description."""
    body = json.loads(text)
    query = body["query"]
    return ReleaseView(
        query=query_id,
        agreement=query["agreement"],
        recipient=recipient,
        measure=query["measure"],
        first_day=date.fromisoformat(query["first_day"]),
        last_day=date.fromisoformat(query["last_day"]),
        contributors=tuple(body["contributors"]),
        rho=body["rho"],
        kind=body["kind"],
        made_at=datetime.fromisoformat(body["made_at"]),
    )
