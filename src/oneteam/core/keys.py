"""A member's keys and what is signed with them.

Two pairs: Ed25519 to sign (RFC 8032), X25519 to receive what is sealed (RFC 7748, RFC 9180). Documents that people keep are signed as
JSON Web Signatures (RFC 7515, algorithm ``Ed25519`` of RFC 9864); messages and checkpoints carry bare signatures over a domain-separated
byte string, so that a signature made for one purpose is worthless for another.
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass, field
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey

from oneteam.core.errors import BadSignatureError, WrongTypeError

KEY_BYTES: Final = 32
SIGNATURE_BYTES: Final = 64


def encode(raw: bytes) -> str:
    """Base64url without padding (RFC 4648, section 5).

    >>> encode(bytes([251, 255]))
    '-_8'
    """
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def decode(text: str) -> bytes:
    """What `encode` gave; refuses what it would not have written.

    Raises:
        WrongTypeError: not base64url, or padded, or with stray bits.

    >>> list(decode("-_8"))
    [251, 255]
    """
    try:
        raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError) as err:
        raise WrongTypeError(f"not base64url: {text[:20]!r}") from err
    if encode(raw) != text:
        raise WrongTypeError(f"not base64url in its one form: {text[:20]!r}")
    return raw


@dataclass(frozen=True)
class PublicKeys:
    """The public halves, as the roster pins them.

    Args:
        verify: Ed25519, 32 bytes.
        seal: X25519, 32 bytes.
    """

    verify: bytes
    seal: bytes

    def __post_init__(self) -> None:
        if len(self.verify) != KEY_BYTES or len(self.seal) != KEY_BYTES:
            raise WrongTypeError("a public key has 32 bytes")

    @property
    def sealing_key(self) -> X25519PublicKey:
        """As the library wants it."""
        return X25519PublicKey.from_public_bytes(self.seal)

    def check(self, purpose: str, content: bytes, signature: bytes) -> None:
        """Verify a bare signature that `Keys.sign` made.

        Raises:
            BadSignatureError: another key, purpose or content.
        """
        try:
            Ed25519PublicKey.from_public_bytes(self.verify).verify(signature, signed_bytes(purpose, content))
        except InvalidSignature as err:
            raise BadSignatureError(f"a signature for '{purpose}' does not fit its content and signer") from err


@dataclass(frozen=True)
class Keys:
    """Both private keys of one member; never printed.

    >>> keys = Keys.generate()
    >>> keys.public.check("test", b"content", keys.sign("test", b"content"))
    >>> keys
    Keys()
    """

    signing: Ed25519PrivateKey = field(repr=False)
    opening: X25519PrivateKey = field(repr=False)

    @classmethod
    def generate(cls) -> Keys:
        """New keys from the operating system's generator."""
        return cls(Ed25519PrivateKey.generate(), X25519PrivateKey.generate())

    @classmethod
    def from_bytes(cls, raw: bytes) -> Keys:
        """From the 64 bytes of `to_bytes`.

        Raises:
            WrongTypeError: another length.
        """
        if len(raw) != 2 * KEY_BYTES:
            raise WrongTypeError("private keys have 64 bytes")
        return cls(Ed25519PrivateKey.from_private_bytes(raw[:KEY_BYTES]), X25519PrivateKey.from_private_bytes(raw[KEY_BYTES:]))

    def to_bytes(self) -> bytes:
        """Ed25519 seed and X25519 scalar, 64 bytes: for the owner's key file only."""
        return self.signing.private_bytes_raw() + self.opening.private_bytes_raw()

    @property
    def public(self) -> PublicKeys:
        """What others may know."""
        return PublicKeys(self.signing.public_key().public_bytes_raw(), self.opening.public_key().public_bytes_raw())

    def sign(self, purpose: str, content: bytes) -> bytes:
        """Ed25519 signature over purpose and content, 64 bytes."""
        return self.signing.sign(signed_bytes(purpose, content))


def signed_bytes(purpose: str, content: bytes) -> bytes:
    """What a bare signature covers: the purpose, its length before it, then the content.

    >>> signed_bytes("share", b"x").hex(" ", -9)
    '6f6e657465616d2f31 05736861726578'
    """
    name = purpose.encode()
    if not 0 < len(name) < 256:
        raise WrongTypeError("a purpose has 1 to 255 bytes")
    return b"oneteam/1" + bytes([len(name)]) + name + content
