"""What one member says to another: signed, then sealed, then padded, so that whoever carries it learns nothing and can change nothing.

A `Message` is signed with the sender's Ed25519 key over everything in it, the receiver's id included, and then encrypted to the receiver's
X25519 key (HPKE, RFC 9180, base mode). The hub sees an `Envelope`: for whom, until when, and opaque bytes. Plaintexts are filled up to
one of a few sizes before they are sealed, so that a length tells a size class and nothing finer.

::

    signature (64) | head length (4, big-endian) | body length (8, big-endian) | head (JSON) | body | zeros up to the size class

The signature covers the head and the SHA-256 of the body. The receiver's id and the protocol's version also enter HPKE's ``info``, so
that an envelope that is handed to somebody else does not open.
"""

from __future__ import annotations

import hashlib
import secrets
import struct
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated, Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite
from pydantic import AwareDatetime, Field, JsonValue, StringConstraints, ValidationError

from oneteam.core.errors import BadSignatureError, ReplayError, TooLargeError, WrongTypeError
from oneteam.core.keys import SIGNATURE_BYTES, Keys, PublicKeys
from oneteam.core.model import Document, Hex128, Slug
from oneteam.privacy.signing import Lookup

MAX_HEAD_BYTES: Final = 4 * 2**20
MAX_BODY_BYTES: Final = 64 * 2**20
SMALLEST_CLASS: Final = 4096
CLASSES_PER_DOUBLING: Final = 4
MAX_LIFE: Final = timedelta(days=7)
SKEW: Final = timedelta(seconds=120)
"""How far two members' clocks may differ."""
CLOCKS: Final = f"Set both members' clocks by NTP: they may differ by {int(SKEW.total_seconds())} s."

_PREFIX: Final = struct.Struct(">64sIQ")
_SUITE: Final = Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM)
SEALING_BYTES: Final = 32 + 16
"""What sealing adds: the encapsulated key and the tag."""

Kind = Annotated[str, StringConstraints(pattern=r"^[a-z]{1,24}(\.[a-z]{1,24})?$")]


def size_class(size: int) -> int:
    """The smallest allowed plaintext size that holds ``size`` bytes: 4 KiB, then four sizes to every doubling.

    At most a quarter is wasted above 4 KiB, and a message's length tells only its class.

    >>> [size_class(size) for size in (1, 4096, 4097, 5121, 8192, 8193)]
    [4096, 4096, 5120, 6144, 8192, 10240]
    """
    if size <= SMALLEST_CLASS:
        return SMALLEST_CLASS
    step = (1 << ((size - 1).bit_length() - 1)) // CLASSES_PER_DOUBLING
    return -(-size // step) * step


MAX_SEALED_BYTES: Final = size_class(_PREFIX.size + MAX_HEAD_BYTES + MAX_BODY_BYTES) + SEALING_BYTES


class Head(Document):
    """Everything of a message but its body.

    Args:
        id: random; a message is answered once.
        sender: who signed it.
        receiver: for whom it is sealed.
        kind: as ``query.ask``; ``error`` and ``reply`` answer.
        reply_to: id of the message that is answered.
        sent_at: when.
        expires_at: after which it is void.
        header: the kind's own fields.
    """

    id: Hex128
    sender: Slug
    receiver: Slug
    kind: Kind
    reply_to: Hex128 | None = None
    sent_at: AwareDatetime
    expires_at: AwareDatetime
    header: dict[str, JsonValue] = Field(default_factory=dict)


@dataclass(frozen=True)
class Message:
    """One signed message; ``body`` carries arrays and documents as bytes, never as JSON numbers."""

    head: Head
    body: bytes = b""

    @property
    def id(self) -> str:
        """Its random id, 32 hex digits."""
        return self.head.id

    @property
    def sender(self) -> str:
        """Who signed it."""
        return self.head.sender

    @property
    def kind(self) -> str:
        """What it is about."""
        return self.head.kind

    @property
    def header(self) -> dict[str, JsonValue]:
        """The kind's own fields."""
        return self.head.header


@dataclass(frozen=True)
class Envelope:
    """What the hub sees, and all that it stores.

    Args:
        id: random, unrelated to the message's.
        receiver: whose mailbox.
        expires_at: epoch second after which the hub drops it.
        sealed: the padded, encrypted message.
    """

    id: str
    receiver: str
    expires_at: int
    sealed: bytes


def compose(
    sender: str,
    receiver: str,
    kind: str,
    *,
    now: datetime,
    life: timedelta,
    header: dict[str, JsonValue] | None = None,
    body: bytes = b"",
    reply_to: str | None = None,
) -> Message:
    """A new message with a random id.

    Raises:
        TooLargeError: a body over the limit.
    """
    if len(body) > MAX_BODY_BYTES:
        raise TooLargeError(
            f"a '{kind}' message with {len(body):,} bytes; the limit is {MAX_BODY_BYTES:,}", hint="Ask for fewer cells in one query."
        )
    head = Head(
        id=secrets.token_hex(16),
        sender=sender,
        receiver=receiver,
        kind=kind,
        reply_to=reply_to,
        sent_at=now,
        expires_at=now + life,
        header=header or {},
    )
    return Message(head, body)


def seal(message: Message, keys: Keys, receiver: PublicKeys) -> Envelope:
    """Sign, pad and encrypt a message.

    Args:
        message: to be sent.
        keys: the sender's.
        receiver: the roster's keys of ``message.head.receiver``.

    Returns:
        What goes to the hub. Its length depends on the size class alone.

    Raises:
        TooLargeError: a head or body over the limit.

    Source: RFC 9180 (HPKE), sections 5.1.1 and 6.1.
    """
    head = message.head.model_dump_json().encode()
    if len(head) > MAX_HEAD_BYTES or len(message.body) > MAX_BODY_BYTES:
        raise TooLargeError(
            f"a '{message.kind}' message with a head of {len(head):,} and a body of {len(message.body):,} bytes",
            hint=f"The limits are {MAX_HEAD_BYTES:,} and {MAX_BODY_BYTES:,} bytes.",
        )
    signature = keys.sign("message", _covered(head, message.body))
    prefix = _PREFIX.pack(signature, len(head), len(message.body))
    size = len(prefix) + len(head) + len(message.body)
    plain = b"".join((prefix, head, message.body, bytes(size_class(size) - size)))
    sealed = _SUITE.encrypt(plain, receiver.sealing_key, _info(message.head.receiver))
    return Envelope(secrets.token_hex(16), message.head.receiver, int(message.head.expires_at.timestamp()) + 1, sealed)


def unseal(sealed: bytes, me: str, keys: Keys, lookup: Lookup, now: datetime) -> Message:
    """Decrypt a message and check who signed it, for whom, and that it is still good.

    Args:
        sealed: any bytes.
        me: the id that the message must be meant for.
        keys: the receiver's.
        lookup: the roster.
        now: the receiver's clock.

    Raises:
        BadSignatureError, WrongTypeError: as `opened`.
        ReplayError: as `check_times`.
    """
    message = opened(sealed, me, keys, lookup)
    check_times(message.head, now)
    return message


def opened(sealed: bytes, me: str, keys: Keys, lookup: Lookup) -> Message:
    """Decrypt a message and check who signed it, and for whom; its times are still to be checked.

    Args:
        sealed: any bytes.
        me: the id that the message must be meant for.
        keys: the receiver's.
        lookup: the roster.

    Raises:
        BadSignatureError: not sealed to this member, or not signed by the member that it names.
        WrongTypeError: not of this form.
    """
    plain = _decrypt(sealed, me, keys)
    if len(plain) < _PREFIX.size:
        raise WrongTypeError("a message that is shorter than its own prefix")
    signature, head_bytes, body_bytes = _PREFIX.unpack_from(plain)
    end = _PREFIX.size + head_bytes + body_bytes
    fits = head_bytes <= MAX_HEAD_BYTES and body_bytes <= MAX_BODY_BYTES and len(plain) == size_class(end)
    if not fits or not plain.endswith(bytes(len(plain) - end)):
        raise WrongTypeError("a message whose lengths do not fit its bytes")
    raw_head = plain[_PREFIX.size : _PREFIX.size + head_bytes]
    body = plain[_PREFIX.size + head_bytes : end]
    try:
        head = Head.model_validate_json(raw_head)
    except ValidationError as err:
        # The error's own text would repeat what the message says.
        raise WrongTypeError(f"a message's head that is not of its form: {err.error_count()} fields") from err
    known = lookup(head.sender)
    if known is None:
        raise BadSignatureError(f"a message from '{head.sender}', who is not in the roster")
    known.check("message", _covered(raw_head, body), signature)
    if head.receiver != me:
        raise BadSignatureError(f"a message for '{head.receiver}' that was sealed to '{me}'")
    return Message(head, body)


def check_times(head: Head, now: datetime) -> None:
    """Refuse what is too old, from the future, or made to live too long.

    Raises:
        ReplayError: with what is wrong and what would be right.
    """
    if head.sent_at > now + SKEW:
        raise ReplayError(f"a message from the future: sent at {_clock(head.sent_at)}, {_here(now)}", hint=CLOCKS)
    if head.expires_at <= now:
        raise ReplayError(f"a message that expired at {_clock(head.expires_at)}, {_here(now)}", hint=CLOCKS)
    if not timedelta(0) < head.expires_at - head.sent_at <= MAX_LIFE:
        raise ReplayError(f"a message that lives longer than {MAX_LIFE.days} days")


def _clock(at: datetime) -> str:
    return at.isoformat(timespec="seconds")


def _here(now: datetime) -> str:
    return f"and the receiver's clock says {_clock(now)}"


def _covered(head: bytes, body: bytes) -> bytes:
    return head + hashlib.sha256(body).digest()


def _info(receiver: str) -> bytes:
    return b"oneteam/1 message to " + receiver.encode()


def _decrypt(sealed: bytes, me: str, keys: Keys) -> bytes:
    if not SEALING_BYTES + SIGNATURE_BYTES <= len(sealed) <= MAX_SEALED_BYTES:
        raise WrongTypeError(f"a sealed message of {len(sealed):,} bytes")
    try:
        return _SUITE.decrypt(sealed, keys.opening, _info(me))
    except (InvalidTag, ValueError) as err:
        raise BadSignatureError(f"bytes that are not sealed to '{me}'", hint="Do both members hold the same roster?") from err
