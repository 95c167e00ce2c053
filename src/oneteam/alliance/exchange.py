"""What a member and the hub say to one another: one request that delivers, acknowledges and waits.

A frame is the length of a JSON head (4 bytes, big-endian), the head, and the letters' bytes one after the other, in the head's order.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Annotated, Final, TypeVar

from pydantic import Field, ValidationError

from oneteam.alliance.wire import MAX_SEALED_BYTES, Envelope
from oneteam.core.errors import TooLargeError, WrongTypeError
from oneteam.core.model import Document, Hex128, Slug

MAX_LETTERS: Final = 256
"""In one exchange, each way."""
MAX_WAIT_S: Final = 30.0
MAX_HEAD_BYTES: Final = 2**18
MAX_EXCHANGE_BYTES: Final = MAX_SEALED_BYTES + 2 * MAX_HEAD_BYTES
CONTENT_TYPE: Final = "application/octet-stream"

_LENGTH: Final = struct.Struct(">I")


class Letter(Document):
    """An envelope's label.

    Args:
        id: the envelope's.
        receiver: whose mailbox.
        expires_at: epoch second after which it is dropped.
        size: of its bytes.
    """

    id: Hex128
    receiver: Slug
    expires_at: int = Field(ge=0, lt=2**40)
    size: int = Field(ge=1, le=MAX_SEALED_BYTES)


class Outgoing(Document):
    """What a member sends to the hub.

    Args:
        wait_s: how long the hub may hold the answer back until there is mail.
        fresh: hand out again what was handed out before and is not acknowledged: said after a lost connection.
        acknowledged: ids of letters that were dealt with; the hub forgets them.
        letters: what is to be delivered.
    """

    wait_s: Annotated[float, Field(ge=0, le=MAX_WAIT_S)] = 0.0
    fresh: bool = False
    acknowledged: tuple[Hex128, ...] = Field(default=(), max_length=4 * MAX_LETTERS)
    letters: tuple[Letter, ...] = Field(default=(), max_length=MAX_LETTERS)


class Refused(Document):
    """A letter that the hub does not take.

    Args:
        id: the letter's.
        code: an error code of core/errors.py.
        message: why.
    """

    id: Hex128
    code: str
    message: str


class Incoming(Document):
    """What the hub answers: letters for the member, and which of its own were not taken (all others are safely stored)."""

    letters: tuple[Letter, ...] = Field(default=(), max_length=MAX_LETTERS)
    refused: tuple[Refused, ...] = ()


Frame = TypeVar("Frame", Outgoing, Incoming)


def label(envelope: Envelope) -> Letter:
    """The label of an envelope."""
    return Letter(id=envelope.id, receiver=envelope.receiver, expires_at=envelope.expires_at, size=len(envelope.sealed))


def pack(head: Outgoing | Incoming, bodies: Sequence[bytes]) -> bytes:
    """One frame.

    >>> frame = pack(Incoming(), [])
    >>> unpack(frame, Incoming)
    (Incoming(letters=(), refused=()), ())
    """
    raw = head.model_dump_json().encode()
    return b"".join((_LENGTH.pack(len(raw)), raw, *bodies))


def unpack(frame: bytes, form: type[Frame]) -> tuple[Frame, tuple[Envelope, ...]]:
    """The head and the envelopes of a frame.

    Raises:
        WrongTypeError: bytes that are no such frame.
        TooLargeError: a head over the limit.
    """
    if len(frame) < _LENGTH.size:
        raise WrongTypeError("a frame without a head")
    (size,) = _LENGTH.unpack_from(frame)
    if size > MAX_HEAD_BYTES:
        raise TooLargeError(f"a frame's head of {size:,} bytes; the limit is {MAX_HEAD_BYTES:,}")
    at = _LENGTH.size + size
    try:
        head = form.model_validate_json(frame[_LENGTH.size : at])
    except ValidationError as err:
        raise WrongTypeError(f"a frame's head that is not of its form: {err.error_count()} fields") from err
    envelopes = []
    for letter in head.letters:
        envelopes.append(Envelope(letter.id, letter.receiver, letter.expires_at, frame[at : at + letter.size]))
        at += letter.size
    if at != len(frame):
        raise WrongTypeError("a frame whose letters do not fit its bytes")
    return head, tuple(envelopes)
