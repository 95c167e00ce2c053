"""A member's book of Agreements that every party has signed, and of their revocations.

Nothing is ever erased: a revoked Agreement stays, with its revocation, for whoever audits later. Signatures are verified under the present
roster whenever an Agreement is read from the file, so that one whose signer's key was replaced is kept but no longer counts as signed.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Final

from oneteam.core.canonical import content_id
from oneteam.core.errors import BadSignatureError
from oneteam.core.keys import decode
from oneteam.core.model import Agreement, Member
from oneteam.privacy.agreements import Revocation, check_agreement, open_revocation
from oneteam.privacy.policy import Kept
from oneteam.privacy.signing import Lookup, open_document, read_document, valid_signers, verify_document
from oneteam.store.registry import Registry

__all__ = ["BOOK_SCHEMA", "AgreementBook", "Kept", "read_signed_agreement"]

BOOK_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS agreement (
    id TEXT PRIMARY KEY,
    signed TEXT NOT NULL,
    added_at TEXT NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS revocation (
    agreement TEXT NOT NULL,
    member TEXT NOT NULL,
    signed TEXT NOT NULL,
    PRIMARY KEY (agreement, member)
) STRICT, WITHOUT ROWID;
"""


class AgreementBook:
    """The Agreements that a member is bound by.

    Args:
        registry: opened with `BOOK_SCHEMA`.
        lookup: the present roster's keys.
        roster: the present roster's id; Agreements under another one count as unsigned. None does not compare.
        members: of the roster, for the checks on parties and roles; None leaves those out.
        measures: what the part offers, keys by measure; None leaves that check out.
    """

    def __init__(
        self,
        registry: Registry,
        lookup: Lookup,
        *,
        roster: str | None = None,
        members: Sequence[Member] | None = None,
        measures: Mapping[str, Sequence[str]] | None = None,
    ) -> None:
        self._registry = registry
        self._lookup = lookup
        self._roster = roster
        self._members = members
        self._measures = measures
        # Agreements never change, so only revocations are read anew each time.
        self._read: dict[str, Kept] = {}
        self._lock = threading.Lock()

    def add(self, signed_text: str, *, now: datetime | None = None, db: sqlite3.Connection | None = None) -> Kept:
        """Keep an Agreement; adding it again changes nothing.

        Args:
            signed_text: signed by every party.
            now: for the record.
            db: the caller's transaction, if it is in one.

        Raises:
            BadSignatureError: a signature is missing or does not hold.
            WrongTypeError: not an Agreement, or not in its canonical form.
            UnknownValueError: it contradicts itself or the roster.
        """
        agreement, _ = read_signed_agreement(signed_text, self._lookup)
        verify_document(signed_text, self._lookup, agreement.parties)
        check_agreement(agreement, self._members, roster=self._roster, measures=self._measures)
        identity = content_id(agreement)
        with self._writing(db) as writing:
            # A later copy may carry signatures by new keys.
            writing.execute(
                "INSERT INTO agreement (id, signed, added_at) VALUES (?, ?, ?) ON CONFLICT (id) DO UPDATE SET signed = excluded.signed",
                (identity, signed_text, (now or datetime.now(UTC)).isoformat()),
            )
            with self._lock:
                self._read.pop(identity, None)
            kept = self.get(identity, db=writing)
        assert kept is not None
        return kept

    def get(self, agreement_id: str, *, db: sqlite3.Connection | None = None) -> Kept | None:
        """An Agreement with whose signatures hold now, and whether it is revoked; None if it is not kept.

        Args:
            agreement_id: which.
            db: the caller's transaction, if it is in one.
        """
        with self._lock:
            known = self._read.get(agreement_id)
        with self._reading(db) as reading:
            row = None if known else reading.execute("SELECT signed FROM agreement WHERE id = ?", (agreement_id,)).fetchone()
            texts = [text for (text,) in reading.execute("SELECT signed FROM revocation WHERE agreement = ?", (agreement_id,))]
        if known is None:
            if row is None:
                return None
            known = self._open(agreement_id, row[0])
            if db is None:
                # Inside a transaction the row may yet be rolled back.
                with self._lock:
                    self._read[agreement_id] = known
        return Kept(known.agreement, known.id, known.signed_by, self._first(known.agreement, texts)) if texts else known

    def revoke(self, signed_revocation: str, *, db: sqlite3.Connection | None = None) -> Revocation:
        """Keep a party's revocation; it holds from now on and cannot be taken back.

        A revocation may arrive before its Agreement does; it then waits for it.

        Args:
            signed_revocation: as `oneteam.privacy.agreements.sign_revocation` gave it.
            db: the caller's transaction, if it is in one.

        Raises:
            BadSignatureError: not signed by the member that it names, or by no party.
            WrongTypeError: not a revocation.
        """
        return self.take_revocation(signed_revocation, db=db)[0]

    def take_revocation(self, signed_revocation: str, *, db: sqlite3.Connection | None = None) -> tuple[Revocation, bool]:
        """As `revoke`; and whether it is this party's first one, which alone is entered in a log."""
        revocation = open_revocation(signed_revocation, self._lookup)
        with self._writing(db) as writing:
            kept = self.get(revocation.agreement, db=writing)
            if kept is not None and revocation.member not in kept.agreement.parties:
                raise BadSignatureError(f"'{revocation.member}' is no party of the agreement and cannot revoke it")
            written = writing.execute(
                "INSERT INTO revocation (agreement, member, signed) VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
                (revocation.agreement, revocation.member, signed_revocation),
            )
            return revocation, written.rowcount == 1

    def all(self) -> tuple[Kept, ...]:
        """Every Agreement that is kept, in the order in which they came."""
        with self._registry.read() as db:
            ids = [identity for (identity,) in db.execute("SELECT id FROM agreement ORDER BY added_at, id")]
        return tuple(kept for identity in ids if (kept := self.get(identity)) is not None)

    def revocations_for(self, member: str) -> list[str]:
        """Signed revocations of kept Agreements that a member is a party of."""
        with self._registry.read() as db:
            rows = db.execute("SELECT agreement, signed FROM revocation WHERE agreement IN (SELECT id FROM agreement)")
            found = rows.fetchall()
        kept = {identity: self.get(identity) for identity in {identity for identity, _ in found}}
        return [signed for identity, signed in found if (one := kept[identity]) is not None and member in one.agreement.parties]

    def signed_text(self, agreement_id: str) -> str | None:
        """The signed text, for another party that has lost it."""
        with self._registry.read() as db:
            row = db.execute("SELECT signed FROM agreement WHERE id = ?", (agreement_id,)).fetchone()
        return None if row is None else str(row[0])

    @contextmanager
    def _writing(self, db: sqlite3.Connection | None) -> Iterator[sqlite3.Connection]:
        if db is not None:
            yield db
            return
        with self._registry.transaction() as own:
            yield own

    @contextmanager
    def _reading(self, db: sqlite3.Connection | None) -> Iterator[sqlite3.Connection]:
        if db is not None:
            yield db
            return
        with self._registry.read() as own:
            yield own

    def _open(self, agreement_id: str, text: str) -> Kept:
        signed = valid_signers(text, self._lookup)
        agreement = read_document(signed.payload, Agreement)
        if content_id(agreement) != agreement_id:
            raise BadSignatureError(
                f"the book's agreement {agreement_id[:12]}… has another content", hint="Restore the registry from a backup."
            )
        current = self._roster is None or agreement.roster == self._roster
        return Kept(agreement, agreement_id, signed.signed_by if current else ())

    def _first(self, agreement: Agreement, texts: Sequence[str]) -> Revocation | None:
        """The earliest revocation by a party. A party's word is not checked again: with its key replaced, the revocation still holds."""
        found = [_revocation_of(text) for text in texts]
        by_parties = [revocation for revocation in found if revocation.member in agreement.parties]
        return min(by_parties, key=lambda revocation: (revocation.at, revocation.member), default=None)


def read_signed_agreement(signed_text: str, lookup: Lookup) -> tuple[Agreement, tuple[str, ...]]:
    """An Agreement, perhaps not signed by all yet, and who has signed it.

    Raises:
        BadSignatureError: a signature does not hold.
        WrongTypeError: not an Agreement, or not in its canonical form.
    """
    signed = open_document(signed_text, lookup)
    return read_document(signed.payload, Agreement), signed.signed_by


def _revocation_of(text: str) -> Revocation:
    return read_document(decode(text.split(".")[1]), Revocation)
