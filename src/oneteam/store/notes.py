"""Signed notes and checkpoints: how a log says its size and root, and how others say that they saw it.

A note is text, an empty line, and one line for each signature. A checkpoint is a note whose text is the log's origin, its size and its
root. A cosignature is another member's dated signature on the same text: "this is the largest tree that I have seen of this log, and
it continues all that I saw before".

One member uses one Ed25519 key for its log's signature (type 1), its cosignatures (type 4) and its bare signatures (`core.keys`). The
three never say the same bytes: a cosigned text begins with ``cosignature/v1`` and a bare signature's with ``oneteam/1``, and an origin
that begins so is refused.

Source: C2SP signed-note v1.0.0, tlog-checkpoint v1.0.0, tlog-cosignature v1.0.0 (c2sp.org).
"""

from __future__ import annotations

import base64
import binascii
import re
import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from typing import Final, Self

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from oneteam.core.errors import BadSignatureError, WrongTypeError
from oneteam.core.keys import KEY_BYTES, SIGNATURE_BYTES, Keys, PublicKeys
from oneteam.store.merkle import HASH_BYTES

LOG_SIGNATURE: Final = 1
"""Signature type: Ed25519 over the text."""
COSIGNATURE: Final = 4
"""Signature type: Ed25519 over a dated header and the text."""
MAX_NOTE_CHARACTERS: Final = 64 * 1024
MAX_SIGNATURES: Final = 64
MAX_SIZE: Final = 2**63 - 1

_NAME: Final = re.compile(r"[^\s+\x00-\x20\x7f-\x9f\ud800-\udfff\ufeff]{1,255}")
_SIZE: Final = re.compile(r"0|[1-9][0-9]{0,18}")
_CONTROL: Final = re.compile(r"[\x00-\x09\x0b-\x1f]")
_SURROGATE: Final = re.compile(r"[\ud800-\udfff]")
_RESERVED: Final = ("cosignature/", "oneteam/1")


@dataclass(frozen=True)
class Signature:
    """One signature line.

    Args:
        name: of the key.
        key_id: first four bytes of a hash of name, type and public key; tells keys apart, proves nothing.
        content: the signature; for a cosignature eight bytes of time before it.
    """

    name: str
    key_id: bytes
    content: bytes

    @classmethod
    def parse(cls, line: str) -> Self:
        """From a line without its line end.

        Raises:
            WrongTypeError: not of the form ``— name base64``.
        """
        dash, _, rest = line.partition(" ")
        name, _, text = rest.partition(" ")
        if dash != "—" or not _NAME.fullmatch(name):
            raise WrongTypeError(f"not a signature line: {line[:60]!r}", hint="It reads: — name base64")
        raw = _decode(text)
        if len(raw) < 5:
            raise WrongTypeError(f"a signature of {len(raw)} bytes by '{name}'; it has a key id of 4 bytes and more")
        return cls(name, raw[:4], raw[4:])

    def __str__(self) -> str:
        """The line without its line end."""
        return f"— {self.name} {_encode(self.key_id + self.content)}"


@dataclass(frozen=True)
class Note:
    """A text and its signatures, none of them checked.

    Args:
        text: ends with a line end.
        signatures: in the order of their lines.
    """

    text: str
    signatures: tuple[Signature, ...]

    @classmethod
    def parse(cls, note: str) -> Self:
        """From its written form.

        Raises:
            WrongTypeError: not a signed note; the message says why.
        """
        if len(note) > MAX_NOTE_CHARACTERS:
            raise WrongTypeError(f"a note of {len(note):,} characters; at most {MAX_NOTE_CHARACTERS:,} are read")
        if _CONTROL.search(note) or _SURROGATE.search(note):
            raise WrongTypeError("a note is UTF-8 without control characters but line ends")
        text, empty, lines = note.rpartition("\n\n")
        if not empty or not lines.endswith("\n"):
            raise WrongTypeError("not a signed note: text, an empty line, signature lines, each with its line end")
        signatures = tuple(Signature.parse(line) for line in lines[:-1].split("\n"))
        if len(signatures) > MAX_SIGNATURES:
            raise WrongTypeError(f"a note with {len(signatures)} signatures; at most {MAX_SIGNATURES} are read")
        return cls(f"{text}\n", signatures)

    def __str__(self) -> str:
        return f"{self.text}\n" + "".join(f"{signature}\n" for signature in self.signatures)

    def signed_also(self, *signatures: Signature) -> Note:
        """The same note with more signatures, each once."""
        return Note(self.text, tuple(dict.fromkeys([*self.signatures, *signatures])))


@dataclass(frozen=True)
class Checkpoint:
    """What a log says of itself.

    Args:
        origin: the log's name.
        size: entries.
        root: of its Merkle tree, 32 bytes.

    >>> print(Checkpoint("oneteam.log/kt", 0, sha256().digest()).text, end="")
    oneteam.log/kt
    0
    47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=
    """

    origin: str
    size: int
    root: bytes

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.origin) or self.origin.startswith(_RESERVED):
            raise WrongTypeError(f"not an origin: {self.origin[:60]!r}", hint="As oneteam.log/kt: no spaces, no +, not cosignature/... .")
        if len(self.root) != HASH_BYTES or not 0 <= self.size <= MAX_SIZE:
            raise WrongTypeError("a checkpoint has a size of at least 0 and a root of 32 bytes")

    @property
    def text(self) -> str:
        """What is signed."""
        return f"{self.origin}\n{self.size}\n{_encode(self.root)}\n"

    @classmethod
    def parse(cls, text: str) -> Self:
        """From a note's text. Extension lines are refused: nobody could audit them.

        Raises:
            WrongTypeError: not a checkpoint.
        """
        lines = text.split("\n")
        if len(lines) != 4 or lines[3] or not _SIZE.fullmatch(lines[1]):
            raise WrongTypeError("not a checkpoint: its lines are origin, size, root")
        return cls(lines[0], int(lines[1]), _decode(lines[2]))


@dataclass(frozen=True)
class Opened:
    """A checkpoint whose log signature holds.

    Args:
        checkpoint: what the log says.
        note: as it was given.
        cosigned: when each known witness cosigned it.
    """

    checkpoint: Checkpoint
    note: Note
    cosigned: Mapping[str, datetime]


def key_id(name: str, kind: int, public_key: bytes) -> bytes:
    """Four bytes that tell keys apart.

    >>> key_id("example.com/log", LOG_SIGNATURE, bytes(32)).hex()
    'a3ad76db'
    """
    return sha256(f"{name}\n".encode() + bytes([kind]) + public_key).digest()[:4]


def verifier_key(name: str, keys: PublicKeys, kind: int = LOG_SIGNATURE) -> str:
    """What other tools need to check the signatures: ``name+id+base64(type and key)``.

    >>> verifier_key("example.com/log", PublicKeys(bytes(32), bytes(32)))[:25]
    'example.com/log+a3ad76db+'
    """
    return f"{name}+{key_id(name, kind, keys.verify).hex()}+{_encode(bytes([kind]) + keys.verify)}"


def read_verifier_key(text: str) -> tuple[str, int, bytes]:
    """Name, signature type and Ed25519 public key of what `verifier_key` wrote.

    Raises:
        WrongTypeError: not a verifier key, or its id is not that of its key.
    """
    name, _, rest = text.strip().partition("+")
    written_id, _, encoded = rest.partition("+")
    raw = _decode(encoded)
    if not _NAME.fullmatch(name) or len(raw) != 1 + KEY_BYTES or raw[0] not in {LOG_SIGNATURE, COSIGNATURE}:
        raise WrongTypeError(f"not an Ed25519 verifier key: {text[:60]!r}", hint="It reads: name+id+base64")
    if written_id != key_id(name, raw[0], raw[1:]).hex():
        raise WrongTypeError(f"the id of verifier key '{name}' is not that of its key")
    return name, raw[0], raw[1:]


def sign_checkpoint(checkpoint: Checkpoint, keys: Keys) -> Note:
    """The log's own note; the key's name is the origin."""
    text = checkpoint.text
    identity = key_id(checkpoint.origin, LOG_SIGNATURE, keys.public.verify)
    return Note(text, (Signature(checkpoint.origin, identity, keys.signing.sign(text.encode())),))


def cosign(checkpoint: Checkpoint, name: str, keys: Keys, at: datetime) -> Signature:
    """A witness's dated signature.

    Args:
        checkpoint: that continues everything the witness saw of this log; `store.audit_log` sees to it.
        name: the witness's own origin.
        keys: the witness's.
        at: now.
    """
    seconds = int(at.timestamp())
    signed = keys.signing.sign(_cosigned(checkpoint.text, seconds))
    return Signature(name, key_id(name, COSIGNATURE, keys.public.verify), struct.pack(">Q", seconds) + signed)


def open_checkpoint(note: str, log_key: bytes, witness_keys: Mapping[str, bytes] | None = None) -> Opened:
    """Read a checkpoint and check its signatures; those of unknown keys are passed over.

    Args:
        note: its written form.
        log_key: the log's Ed25519 public key.
        witness_keys: known witnesses' Ed25519 public keys by name.

    Raises:
        WrongTypeError: not a checkpoint.
        BadSignatureError: the log did not sign it, or a known key's signature does not fit.
    """
    parsed = Note.parse(note)
    checkpoint = Checkpoint.parse(parsed.text)
    if not check_signatures(parsed, checkpoint.origin, log_key):
        raise BadSignatureError(
            f"the checkpoint of '{checkpoint.origin}' at {checkpoint.size} entries is not signed by that log's key",
            hint="The log's key is its member's verify key in the roster.",
        )
    found = {name: cosigned_at(parsed, name, key) for name, key in (witness_keys or {}).items()}
    return Opened(checkpoint, parsed, {name: at for name, at in found.items() if at is not None})


def check_signatures(note: Note, name: str, public_key: bytes) -> bool:
    """Whether this key signed the text, as the log does.

    Raises:
        BadSignatureError: there is a signature under the key's name and id, and it does not fit.
    """
    ours = list(_by(note.signatures, name, LOG_SIGNATURE, public_key))
    for signature in ours:
        _verify(public_key, signature.content, note.text.encode(), name)
    return bool(ours)


def cosigned_at(note: Note, name: str, public_key: bytes) -> datetime | None:
    """When this key last cosigned the note; None when it did not.

    Raises:
        BadSignatureError: there is a cosignature under the key's name and id, and it does not fit.
    """
    times = []
    for signature in _by(note.signatures, name, COSIGNATURE, public_key):
        if len(signature.content) != 8 + SIGNATURE_BYTES:
            raise BadSignatureError(f"a cosignature by '{name}' of {len(signature.content)} bytes, not {8 + SIGNATURE_BYTES}")
        (seconds,) = struct.unpack(">Q", signature.content[:8])
        _verify(public_key, signature.content[8:], _cosigned(note.text, seconds), name)
        times.append(seconds)
    if not times:
        return None
    try:
        return datetime.fromtimestamp(max(times), UTC)
    except (OverflowError, ValueError, OSError) as err:
        raise BadSignatureError(f"a cosignature by '{name}' of a time that no calendar has") from err


def _by(signatures: Iterable[Signature], name: str, kind: int, public_key: bytes) -> Iterable[Signature]:
    identity = key_id(name, kind, public_key)
    return (signature for signature in signatures if signature.name == name and signature.key_id == identity)


def _verify(public_key: bytes, signature: bytes, content: bytes, name: str) -> None:
    try:
        Ed25519PublicKey.from_public_bytes(public_key).verify(signature, content)
    except (InvalidSignature, ValueError) as err:
        raise BadSignatureError(f"a signature by '{name}' does not fit the note's text") from err


def _cosigned(text: str, seconds: int) -> bytes:
    return f"cosignature/v1\ntime {seconds}\n{text}".encode()


def _encode(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


def _decode(text: str) -> bytes:
    try:
        raw = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as err:
        raise WrongTypeError(f"not base64: {text[:20]!r}") from err
    if _encode(raw) != text:
        raise WrongTypeError(f"not base64 in its one form: {text[:20]!r}")
    return raw
