"""What stands in an audit log, and the proofs about it that travel."""

from __future__ import annotations

import base64
import binascii
from typing import Annotated, Literal, Self

from pydantic import AwareDatetime, Field, StringConstraints, ValidationError

from oneteam.core.canonical import canonical
from oneteam.core.errors import WrongTypeError
from oneteam.core.model import Document, Hex128, Sha256, Slug

Kind = Literal["permit", "refuse", "release", "act", "sign", "revoke", "witness", "start", "recover"]
Hash = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9+/]{43}=$")]
"""32 bytes, base64."""
MAX_PROOF: int = 63
"""Hashes in the longest proof of a tree of 2^63 entries."""


class AuditEntry(Document):
    """One decision: hashes, names and costs, never a value of the data.

    Args:
        at: when.
        kind: ``permit`` or ``refuse`` a request, ``release`` what leaves, ``act`` on a Command, ``sign`` or ``revoke`` an agreement,
            ``witness`` another log's misbehaviour, ``start`` of the node, ``recover`` the log after a restore.
        request: SHA-256 of the signed request or Command.
        agreement: id of the agreement.
        query: id of the query.
        dataset: whose budget is charged.
        requester: who asked.
        recipient: for whom the Release is.
        reasons: codes, for a refusal all of them.
        nano_rho: charged by this decision [1e-9 rho].
        round: the secure sum's.
        release: SHA-256 of what leaves.
        document: SHA-256 of what was signed, revoked, witnessed or recovered from.
        context: id of the step that caused it.

    >>> from datetime import datetime, UTC
    >>> entry = AuditEntry(at=datetime(2026, 3, 1, tzinfo=UTC), kind="refuse", requester="kdca", reasons=("purpose",))
    >>> entry.to_bytes()
    b'{"at":"2026-03-01T00:00:00Z","kind":"refuse","reasons":["purpose"],"requester":"kdca"}'
    >>> AuditEntry.from_bytes(entry.to_bytes()) == entry
    True
    """

    at: AwareDatetime
    kind: Kind
    request: Sha256 | None = None
    agreement: Sha256 | None = None
    query: Sha256 | None = None
    dataset: Slug | None = None
    requester: Slug | None = None
    recipient: Slug | None = None
    reasons: tuple[str, ...] = ()
    nano_rho: int = Field(default=0, ge=0, le=2**53 - 1)
    round: Hex128 | None = None
    release: Sha256 | None = None
    document: Sha256 | None = None
    context: Hex128 | None = None

    def to_bytes(self) -> bytes:
        """The leaf: canonical JSON (RFC 8785) of the fields that say something; one line."""
        return canonical(self.model_dump(mode="json", exclude_defaults=True))

    @classmethod
    def from_bytes(cls, body: bytes) -> Self:
        """Read a leaf.

        Raises:
            WrongTypeError: not an entry.
        """
        try:
            return cls.model_validate_json(body)
        except ValidationError as err:
            raise WrongTypeError(f"not an audit entry: {body[:60]!r}", detail=str(err)) from err


class InclusionProof(Document):
    """That one entry stands in a tree (RFC 6962, section 2.1.1).

    Args:
        origin: the log.
        leaf_index: which entry, from 0.
        tree_size: entries of the tree.
        leaf_hash: of the entry.
        root: of the tree.
        proof: the audit path, from the leaf upwards.
    """

    origin: str
    leaf_index: int = Field(ge=0)
    tree_size: int = Field(ge=1)
    leaf_hash: Hash
    root: Hash
    proof: tuple[Hash, ...] = Field(max_length=MAX_PROOF)


class ConsistencyProof(Document):
    """That a log's tree of ``new_size`` begins with its tree of ``old_size`` (RFC 6962, section 2.1.2).

    Args:
        origin: the log.
        old_size: entries then.
        new_size: entries now.
        old_root: then.
        new_root: now.
        proof: empty for equal sizes and from an empty tree.
    """

    origin: str
    old_size: int = Field(ge=0)
    new_size: int = Field(ge=0)
    old_root: Hash
    new_root: Hash
    proof: tuple[Hash, ...] = Field(max_length=MAX_PROOF)

    @property
    def hashes(self) -> list[bytes]:
        """The proof's elements as bytes."""
        return [hash_from(text) for text in self.proof]


def hash_text(raw: bytes) -> str:
    """A hash as proofs and checkpoints write it.

    >>> hash_text(bytes(32))
    'AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA='
    """
    return base64.b64encode(raw).decode()


def hash_from(text: str) -> bytes:
    """The bytes of `hash_text`.

    Raises:
        WrongTypeError: not base64.
    """
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as err:
        raise WrongTypeError(f"not base64: {text[:20]!r}") from err
