"""What a member's own people may look at in their home: members, Agreements and budgets, decisions, Releases, the log and its proof.

Everything is read from the home and its registry, which a running node shares; nobody else's home is ever opened. Signing and revoking are
in `oneteam.app.officer`.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from oneteam.alliance.home import Home, read_text_file
from oneteam.alliance.roster import SignedRoster, fingerprint, lookup_of
from oneteam.app.agreeing import waiting_agreements
from oneteam.app.log_proof import LogProof, WitnessView, prove_log
from oneteam.app.oversight_views import DECIDED, AgreementView, DecisionView, MemberView, ReleaseView, decision_of, release_view
from oneteam.core.errors import InputError, NotThereError
from oneteam.core.progress import Progress, silent
from oneteam.privacy.agreements import agreement_id, parse_agreement
from oneteam.privacy.book import BOOK_SCHEMA, AgreementBook
from oneteam.privacy.ledger import LEDGER_SCHEMA, NANO, Ledger
from oneteam.privacy.policy import Kept
from oneteam.store.audit_entry import AuditEntry
from oneteam.store.audit_log import origin_of
from oneteam.store.log_reader import LogReader
from oneteam.store.registry import Registry
from oneteam.store.witness import split_origin

DRAFTS: Final = "drafts"
"""Folder of a home with drafts that wait for the privacy officer."""
_CHUNK: Final = 500


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
        found |= {kept.id: kept for kept in waiting_agreements(self.home, found)}
        for path in sorted((self.folder / DRAFTS).glob("*.toml")):
            with suppress(InputError):  # whoever put it there by hand is told by `oneteam agreement show`
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
                elif entry.kind in DECIDED:
                    if len(found) == count:
                        return found, found[-1].index
                    found.append(decision_of(index, entry, kept, releases, answered=entry.request in left or entry.release is not None))
            end = first
        return found, None

    def releases(self) -> tuple[ReleaseView, ...]:
        """Releases kept here, newest first."""
        ledger, kept = Ledger(self.registry), self._releases
        names = ledger.kept_releases()
        for name in names:
            if name not in kept:  # what is kept once never changes
                kept[name] = release_view(*name, ledger.described_release(*name))
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
            asked: what came of asking the witnesses, as `oneteam.app.log_proof.ask_witnesses` gives it.
            progress: told how far it is.
        """
        return prove_log(self.home, self.registry, self.roster, self.now, asked, progress)

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


def _stat(path: Path) -> Any:
    try:
        return path.stat()
    except OSError:
        return None
