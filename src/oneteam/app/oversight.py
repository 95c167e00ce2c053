"""What a member's own people may look at in their home: members, Agreements and budgets, decisions, Releases, the log and its proof.

Everything is read from the home and its registry, which a running node shares; nobody else's home is ever opened. Signing and revoking are
in `oneteam.app.agreeing`.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, Final

from oneteam.alliance.home import Home, read_text_file
from oneteam.alliance.roster import SignedRoster, fingerprint, lookup_of, public_keys
from oneteam.app.desk import running_desk
from oneteam.core.errors import LogError, NotThereError, OneteamError
from oneteam.core.model import Member
from oneteam.core.progress import Progress, silent
from oneteam.privacy.agreements import agreement_id, parse_agreement
from oneteam.privacy.book import BOOK_SCHEMA, AgreementBook, read_signed_agreement
from oneteam.privacy.ledger import LEDGER_SCHEMA, NANO, Ledger
from oneteam.privacy.policy import Kept
from oneteam.store import log_tables
from oneteam.store.audit_entry import AuditEntry
from oneteam.store.audit_log import AuditLog, origin_of
from oneteam.store.log_check import verify_log
from oneteam.store.log_reader import LogReader
from oneteam.store.notes import open_checkpoint
from oneteam.store.registry import Registry
from oneteam.store.witness import split_origin

DRAFTS: Final = "drafts"
"""Folder of a home with drafts that wait for the privacy officer."""
NEWEST_NOTES: Final = 64
_CHUNK: Final = 500
_DECIDED: Final = {"permit": "permitted", "refuse": "refused", "act": "acted"}
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


@dataclass(frozen=True)
class WitnessView:
    """What a member has signed of the own log.

    Args:
        member: its id.
        entries: of the largest checkpoint that it cosigned; None when it cosigned none that is kept.
        at: when it did.
        asked: ``fits`` when it was asked just now and holds nothing else; an error's code when it could not be; empty when not asked.
    """

    member: str
    entries: int | None
    at: datetime | None
    asked: str = ""


@dataclass(frozen=True)
class LogProof:
    """What checking the whole log found.

    Args:
        ok: whether everything is what it was when it was written.
        origin: the log's name.
        entries: how many.
        root: of the tree, hex.
        checkpoints: signed checkpoints that fit.
        charges: charges of the ledger that fit the log's permits.
        witnesses: what other members hold.
        seconds: how long it took.
        at: when it was done.
        fault: what is wrong, in words.
    """

    ok: bool
    origin: str
    entries: int
    root: str
    checkpoints: int
    charges: int
    witnesses: tuple[WitnessView, ...]
    seconds: float
    at: datetime
    fault: str = ""


@dataclass
class _Opened:
    """What was read of the home, and of which files."""

    seen: tuple[object, ...]
    home: Home
    roster: SignedRoster | None
    book: AgreementBook | None


@dataclass
class Oversight:
    """One member's home, kept open to be looked at; safe between threads.

    Args:
        folder: the home.
        now: the clock.
    """

    folder: Path
    now: Callable[[], datetime] = field(default=lambda: datetime.now(UTC))
    _opened: _Opened | None = None
    _registry: Registry | None = None
    _releases: dict[tuple[str, str], ReleaseView] = field(default_factory=dict)
    _lock: threading.RLock = field(default_factory=threading.RLock)

    @property
    def home(self) -> Home:
        """The home as its files are now."""
        return self._look().home

    @property
    def roster(self) -> SignedRoster | None:
        """The roster in use; None before there is one."""
        return self._look().roster

    @property
    def registry(self) -> Registry:
        """The member's file."""
        with self._lock:
            if self._registry is None:
                self._registry = self.home.open_registry((BOOK_SCHEMA, LEDGER_SCHEMA))
            return self._registry

    def close(self) -> None:
        """Close the registry; a later use opens it again."""
        with self._lock:
            if self._registry is not None:
                self._registry.close()
            self._registry = self._opened = None

    def members(self) -> tuple[MemberView, ...]:
        """Everyone in the roster, this member first."""
        if self.roster is None:
            return (MemberView(self.home.member, fingerprint(self.home.member), me=True),)
        log = LogReader(self.registry)
        held = {split_origin(one.checkpoint.origin)[0]: one for one in log.all_held()}
        faults: dict[str, list[str]] = {}
        for one in log.evidence():
            faults.setdefault(split_origin(one.origin)[0], []).append(one.fault)
        found = []
        for member in self.roster.roster.members:
            name = origin_of(member.id)
            known = held.get(name)
            found.append(
                MemberView(
                    member,
                    fingerprint(member),
                    me=member.id == self.home.id,
                    held=known.checkpoint.size if known else None,
                    held_at=datetime.fromisoformat(known.at) if known else None,
                    faults=tuple(faults.get(name, ())),
                )
            )
        return tuple(sorted(found, key=lambda one: (not one.me, one.member.id)))

    def agreements(self) -> tuple[AgreementView, ...]:
        """Every Agreement here: in the book, as files that wait for signatures, and drafts."""
        book = self._look().book
        if book is None:
            return ()
        found = {kept.id: kept for kept in book.all()}
        drafts: dict[str, Kept] = {}
        lookup = self.home.lookup()
        for name, text in self.home.agreement_texts().items():
            if name not in found:
                agreement, signers = read_signed_agreement(text, lookup)
                found[name] = Kept(agreement, agreement_id(agreement), signers)
        for path in sorted((self.folder / DRAFTS).glob("*.toml")):
            draft = parse_agreement(read_text_file(path), path.name)
            identity = agreement_id(draft)
            if identity not in found:
                drafts[identity] = Kept(draft, identity, ())
        return (*(self._view(kept) for kept in found.values()), *(self._view(kept, draft=True) for kept in drafts.values()))

    def agreement(self, identity: str) -> AgreementView:
        """One Agreement by its whole id.

        Raises:
            NotThereError: none here has it.
        """
        found = next((one for one in self.agreements() if one.id == identity), None)
        if found is None:
            raise NotThereError(f"agreement {identity[:12]}… is not kept here")
        return found

    def draft_path(self, identity: str) -> Path:
        """Where the draft of this id stands, if there is one."""
        return self.folder / DRAFTS / f"{identity}.toml"

    def entries(self, before: int | None = None, count: int = 50) -> list[tuple[int, AuditEntry]]:
        """Entries of the log, newest first.

        Args:
            before: only those with a smaller index; the newest when None.
            count: how many.
        """
        log = LogReader(self.registry)
        end = log.size if before is None else min(before, log.size)
        first = max(0, end - count)
        return list(log.entries(first, end - first))[::-1]

    def log_size(self) -> int:
        """How many entries the log has."""
        return LogReader(self.registry).size

    def decisions(self, before: int | None = None, count: int = 50) -> tuple[list[DecisionView], int | None]:
        """What was permitted and refused, newest first, and where to go on; None at the end.

        Args:
            before: only entries with a smaller index.
            count: how many decisions.
        """
        log, kept = LogReader(self.registry), {one.id: one.kept for one in self.agreements()}
        releases = {one.query: one for one in self.releases()}
        left: set[str] = set()
        found: list[DecisionView] = []
        end = log.size if before is None else min(before, log.size)
        if before is not None:
            # What was permitted just before the page's edge left just after it.
            left.update(e.request for _, e in log.entries(end, _CHUNK) if e.kind == "release" and e.request)
        while end > 0:
            first = max(0, end - _CHUNK)
            for index, entry in reversed(list(log.entries(first, end - first))):
                if entry.kind == "release" and entry.request:
                    left.add(entry.request)
                elif entry.kind in _DECIDED:
                    if len(found) == count:
                        return found, found[-1].index
                    found.append(_decision(index, entry, kept, releases, answered=entry.request in left or entry.release is not None))
            end = first
        return found, None

    def releases(self) -> tuple[ReleaseView, ...]:
        """Releases kept here, newest first."""
        ledger, kept = Ledger(self.registry), self._releases
        names = ledger.kept_releases()
        for name in names:
            if name not in kept:  # what is kept once never changes
                kept[name] = _release(*name, ledger.described_release(*name))
        return tuple(kept[name] for name in names)

    def why_not(self) -> str:
        """Why the node answers nothing at present; empty when it does."""
        return Ledger(self.registry).unlevel

    def dataset_spent(self, dataset: str) -> float:
        """What all Releases together have cost a dataset, in rho."""
        return Ledger(self.registry).spent(dataset=dataset) / NANO

    def verify(self, asked: Sequence[WitnessView] = (), progress: Progress = silent) -> LogProof:
        """Recompute the log's tree from its entries; compare it with every checkpoint, every cosignature and the ledger.

        Args:
            asked: what came of asking the witnesses, as `ask_witnesses` gives it.
            progress: told how far it is.
        """
        began, home = time.perf_counter(), self.home
        log = AuditLog(self.registry, origin_of(home.id), home.keys, self.now)
        origin = log.origin
        try:
            with self.registry.read() as db:
                found = verify_log(db, home.keys.public.verify, progress)
            charges = Ledger(self.registry).check_against(log)
            witnesses = self._witnesses(asked)
        except OneteamError as err:
            seconds = time.perf_counter() - began
            return LogProof(
                ok=False,
                origin=origin,
                entries=log.size,
                root="",
                checkpoints=0,
                charges=0,
                witnesses=tuple(asked),
                seconds=seconds,
                at=self.now(),
                fault=err.message,
            )
        return LogProof(
            ok=True,
            origin=found.origin,
            entries=found.entries,
            root=found.root,
            checkpoints=found.checkpoints,
            charges=charges,
            witnesses=witnesses,
            seconds=time.perf_counter() - began,
            at=self.now(),
        )

    def _witnesses(self, asked: Sequence[WitnessView]) -> tuple[WitnessView, ...]:
        """The largest checkpoint of the own log that each other member has cosigned; every signature is checked."""
        if self.roster is None:
            return ()
        others = {origin_of(m.id): public_keys(m).verify for m in self.roster.roster.members if m.id != self.home.id}
        told = {one.member: one.asked for one in asked}
        signed: dict[str, tuple[int, datetime]] = {}
        with self.registry.read() as db:
            notes = log_tables.newest_notes(db, NEWEST_NOTES)
        for size, note in notes:
            for name, at in open_checkpoint(note, self.home.keys.public.verify, others).cosigned.items():
                signed.setdefault(name, (size, at))
        found = []
        for name in others:
            member = name.rpartition("/")[2]
            size_at = signed.get(name)
            found.append(WitnessView(member, size_at[0] if size_at else None, size_at[1] if size_at else None, asked=told.get(member, "")))
        return tuple(found)

    def _look(self) -> _Opened:
        with self._lock:
            files = [self.folder / name for name in ("member.toml", "identity.key", "roster.json")]
            seen = tuple((s.st_mtime_ns, s.st_size) if (s := _stat(path)) else None for path in files)
            if self._opened is None or self._opened.seen != seen:
                home = Home.open(self.folder)
                roster = home.roster() if seen[2] else None
                book = None
                if roster is not None:
                    if self._registry is None:
                        self._registry = home.open_registry((BOOK_SCHEMA, LEDGER_SCHEMA))
                    book = AgreementBook(self._registry, lookup_of(roster.roster), roster=roster.id, members=roster.roster.members)
                self._opened = _Opened(seen, home, roster, book)
            return self._opened

    def _view(self, kept: Kept, *, draft: bool = False) -> AgreementView:
        me, agreement = self.home.id, kept.agreement
        if me in agreement.participants:
            spent = Ledger(self.registry).spent(agreement=kept.id) / NANO
        else:
            spent = sum(one.rho for one in self.releases() if one.agreement == kept.id)
        state = "draft" if draft else kept.state(self.now())
        return AgreementView(kept, state, spent, mine=me in agreement.parties, signed_by_me=me in kept.signed_by)


async def ask_witnesses(home: Home) -> list[WitnessView]:
    """Have the running node ask every other member what it holds of this member's log, now; nothing when no node runs.

    Raises:
        LogError: somebody holds a checkpoint that this log does not continue.
    """
    desk = await running_desk(home)
    if desk is None:
        return []
    try:
        answer = await desk.do("compare", {})
    except LogError:
        raise
    except OneteamError:
        return []
    failed: dict[str, str] = answer["failed"]
    return [WitnessView(name, None, None, asked=failed.get(name, "fits")) for name in answer["asked"]]


def _stat(path: Path) -> Any:
    try:
        return path.stat()
    except OSError:
        return None


def _decision(index: int, entry: AuditEntry, kept: dict[str, Kept], releases: dict[str, ReleaseView], *, answered: bool) -> DecisionView:
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
        decision=_DECIDED[entry.kind] if entry.kind != "permit" or not answered else "answered",
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


def _release(query_id: str, recipient: str, text: str) -> ReleaseView:
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
