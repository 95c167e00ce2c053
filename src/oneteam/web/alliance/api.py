"""The same for programs: JSON under ``/api/v1``, described by ``/api/openapi.json``."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Path, Query, Request
from pydantic import BaseModel, ConfigDict

import oneteam
from oneteam.app.log_proof import LogProof
from oneteam.app.oversight_views import AgreementView, DecisionView, MemberView, ReleaseView
from oneteam.core.model import Text
from oneteam.store.audit_entry import AuditEntry
from oneteam.telecom.service.inspect import Quality
from oneteam.web.accounts import Account
from oneteam.web.alliance.data import datasets_of
from oneteam.web.alliance.routes import own_of, verifying_of
from oneteam.web.alliance.verifying import Check
from oneteam.web.face import allow, face_of
from oneteam.web.failures import ErrorAnswer
from oneteam.web.settings import WebSettings

ERRORS: Final[dict[int | str, dict[str, Any]]] = {
    401: {"model": ErrorAnswer, "description": "Nobody is signed in."},
    403: {"model": ErrorAnswer, "description": "The account may not do this, or the form token is missing."},
    404: {"model": ErrorAnswer, "description": "There is no such thing here."},
    422: {"model": ErrorAnswer, "description": "A parameter that cannot be."},
    429: {"model": ErrorAnswer, "description": "Too many requests."},
}
Steward = Annotated[Account, Depends(allow("steward"))]
AgreementId = Annotated[str, Path(pattern=r"^[0-9a-f]{64}$", description="The Agreement's whole id.")]
Before = Annotated[int | None, Query(ge=0, le=2**53, description="Only entries with a smaller index; the newest without it.")]
Count = Annotated[int, Query(ge=1, le=500, description="How many.")]


class _Answer(BaseModel):
    model_config = ConfigDict(from_attributes=True)


class NodeStatus(_Answer):
    """How this node stands."""

    version: str
    member: str | None
    name: Text | None
    roles: tuple[str, ...]
    analysis: bool
    why_not: str | None
    log_entries: int | None


class MemberAnswer(_Answer):
    """A member of the roster."""

    id: str
    name: Text
    roles: tuple[str, ...]
    fingerprint: str
    me: bool
    held_entries: int | None
    held_at: datetime | None
    faults: tuple[str, ...]


class AgreementAnswer(_Answer):
    """An Agreement and how it stands here."""

    id: str
    title: Text
    state: str
    purpose: str
    parties: tuple[str, ...]
    measures: tuple[str, ...]
    not_before: datetime
    until: datetime
    signed_by: tuple[str, ...]
    revoked_by: str | None
    rho_total: float
    rho_spent: float


class DecisionAnswer(_Answer):
    """What this node decided on one request."""

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


class Decisions(_Answer):
    """Decisions, newest first; ``older`` is the next ``before``."""

    decisions: tuple[DecisionAnswer, ...]
    older: int | None


class LogEntry(_Answer):
    """An entry of the log with its index."""

    index: int
    entry: AuditEntry


class LogAnswer(_Answer):
    """Entries of the log, newest first."""

    size: int
    entries: tuple[LogEntry, ...]


class ReleaseAnswer(_Answer):
    """A Release that is kept here, without its values."""

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


class WitnessAnswer(_Answer):
    """What a member has signed of this log."""

    member: str
    entries: int | None
    at: datetime | None
    asked: str


class ProofAnswer(_Answer):
    """What checking the whole log found."""

    ok: bool
    origin: str
    entries: int
    root: str
    checkpoints: int
    charges: int
    witnesses: tuple[WitnessAnswer, ...]
    seconds: float
    at: datetime
    fault: str


class CheckAnswer(_Answer):
    """How far a check of the log is."""

    state: str
    done: int
    total: int
    failed: str
    proof: ProofAnswer | None


class DatasetAnswer(_Answer):
    """A dataset of this member and its quality report."""

    name: str
    title: Text
    part: str
    privacy_unit: str
    quality: Quality | None
    fault: str
    spent: float


def router(_settings: WebSettings) -> APIRouter:
    """What a member's node tells programs."""
    routes = APIRouter(prefix="/api/v1", tags=["alliance"], responses=ERRORS)
    for path, answers in (
        ("/members", members),
        ("/agreements", agreements),
        ("/agreements/{identity}", agreement),
        ("/decisions", decisions),
        ("/releases", releases),
        ("/log", log),
        ("/log/verification", verification),
        ("/datasets", datasets),
    ):
        routes.add_api_route(path, answers, methods=["GET"])
    routes.add_api_route("/log/verification", verify, methods=["POST"], status_code=202, name="start_verification")
    return routes


def status_router(_settings: WebSettings) -> APIRouter:
    """What every web face tells programs."""
    routes = APIRouter(prefix="/api/v1", tags=["node"], responses=ERRORS)
    routes.add_api_route("/status", status, methods=["GET"])
    return routes


def status(request: Request) -> NodeStatus:
    """How this node stands."""
    face = face_of(request)
    own = face.own
    settings = own.home.settings if own else None
    return NodeStatus(
        version=oneteam.__version__,
        member=settings.id if settings else None,
        name=settings.name if settings else None,
        roles=settings.roles if settings else (),
        analysis=face.analysis,
        why_not=own.why_not() if own else None,
        log_entries=own.log_size() if own else None,
    )


def members(request: Request) -> tuple[MemberAnswer, ...]:
    """Everyone in the roster."""
    return tuple(_member(one) for one in own_of(request).members())


def agreements(request: Request) -> tuple[AgreementAnswer, ...]:
    """Every Agreement kept here."""
    return tuple(_agreement(one) for one in own_of(request).agreements())


def agreement(request: Request, identity: AgreementId) -> AgreementAnswer:
    """One Agreement."""
    return _agreement(own_of(request).agreement(identity))


def decisions(request: Request, before: Before = None, count: Count = 50) -> Decisions:
    """What was answered and refused, newest first."""
    found, older = own_of(request).decisions(before, count)
    return Decisions(decisions=tuple(_decision(one) for one in found), older=older)


def releases(request: Request) -> tuple[ReleaseAnswer, ...]:
    """Releases kept here, newest first."""
    return tuple(_release(one) for one in own_of(request).releases())


def log(request: Request, before: Before = None, count: Count = 50) -> LogAnswer:
    """Entries of the log, newest first."""
    own = own_of(request)
    rows = own.entries(before, count)
    return LogAnswer(size=own.log_size(), entries=tuple(LogEntry(index=index, entry=entry) for index, entry in rows))


def verification(request: Request) -> CheckAnswer:
    """How far the check of the log is, and what it found."""
    return _check(verifying_of(request).now)


def verify(request: Request) -> CheckAnswer:
    """Begin to check the whole log, unless that is under way."""
    return _check(verifying_of(request).start())


def datasets(request: Request, _me: Steward) -> tuple[DatasetAnswer, ...]:
    """The own datasets with their quality; for the steward."""
    return tuple(DatasetAnswer.model_validate(one) for one in datasets_of(own_of(request), face_of(request).qualities))


def _member(view: MemberView) -> MemberAnswer:
    member = view.member
    return MemberAnswer(
        id=member.id,
        name=member.name,
        roles=member.roles,
        fingerprint=view.fingerprint,
        me=view.me,
        held_entries=view.held,
        held_at=view.held_at,
        faults=view.faults,
    )


def _agreement(view: AgreementView) -> AgreementAnswer:
    kept = view.kept
    agreed = kept.agreement
    return AgreementAnswer(
        id=kept.id,
        title=agreed.title,
        state=view.state,
        purpose=agreed.purpose,
        parties=agreed.parties,
        measures=tuple(measure.name for measure in agreed.measures),
        not_before=agreed.not_before,
        until=agreed.until,
        signed_by=kept.signed_by,
        revoked_by=kept.revoked.member if kept.revoked else None,
        rho_total=agreed.rho_total,
        rho_spent=view.rho_spent,
    )


def _decision(view: DecisionView) -> DecisionAnswer:
    return DecisionAnswer.model_validate(view)


def _release(view: ReleaseView) -> ReleaseAnswer:
    return ReleaseAnswer.model_validate(view)


def _check(check: Check) -> CheckAnswer:
    proof = _proof(check.proof) if check.proof else None
    return CheckAnswer(state=check.state, done=check.done, total=check.total, failed=check.failed, proof=proof)


def _proof(proof: LogProof) -> ProofAnswer:
    return ProofAnswer.model_validate(proof)
