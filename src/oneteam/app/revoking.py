"""A revocation is kept and logged in one transaction, whichever way it came: by hand, from the node's own people, or over the wire."""

from __future__ import annotations

import hashlib
from datetime import datetime
from typing import Literal

from oneteam.privacy.agreements import Revocation
from oneteam.privacy.book import AgreementBook
from oneteam.store.audit_log import AuditEntry, AuditLog
from oneteam.store.registry import Registry


def entry_of(kind: Literal["sign", "revoke"], agreement: str, text: str, at: datetime, requester: str | None = None) -> AuditEntry:
    """The log's entry of a signed text, by its hash."""
    document = hashlib.sha256(text.strip().encode()).hexdigest()
    return AuditEntry(at=at, kind=kind, agreement=agreement, requester=requester, document=document)


def take_revocation(registry: Registry, log: AuditLog, book: AgreementBook, text: str, at: datetime) -> Revocation:
    """Keep a revocation; one that is here already is not logged again.

    Raises:
        BadSignatureError: not signed by the party that it names.
        WrongTypeError: not a revocation.
    """
    with registry.transaction() as db:
        revocation, new = book.take_revocation(text, db=db)
        if new:
            log.append(db, entry_of("revoke", revocation.agreement, text, at, revocation.member))
    return revocation
