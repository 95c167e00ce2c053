"""How a member shows the hub who it is: it signs the hub's challenge with its roster key, and then carries a token for an hour.

The signature also covers the hub's own URL, so that a hub cannot pass a challenge of another one on. Challenges are checked by a MAC and
cost the hub no memory.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from dataclasses import dataclass
from typing import Final

from oneteam.core.errors import BadSignatureError, ReplayError, WrongTypeError
from oneteam.core.keys import SIGNATURE_BYTES, Keys, decode, encode
from oneteam.core.model import Document, Slug
from oneteam.privacy.signing import Lookup

CHALLENGE_LIFE_S: Final = 60
SESSION_LIFE_S: Final = 3600
SESSIONS_PER_MEMBER: Final = 8
_PURPOSE: Final = "hub-session"


class Challenge(Document):
    """What the hub asks to be signed.

    Args:
        challenge: time, random bytes and MAC, base64url.
    """

    challenge: str


class SignIn(Document):
    """A member's answer.

    Args:
        member: who it says it is.
        hub: the hub's URL as the member knows it.
        challenge: as given.
        signature: over all three, base64url.
    """

    member: Slug
    hub: str
    challenge: str
    signature: str


class Session(Document):
    """What the member carries from then on.

    Args:
        token: for the ``Authorization`` header.
        expires_in_s: how long it holds.
    """

    token: str
    expires_in_s: int


def sign_in(member: str, hub: str, challenge: str, keys: Keys) -> SignIn:
    """The answer to a challenge."""
    signature = keys.sign(_PURPOSE, _covered(member, hub, challenge))
    return SignIn(member=member, hub=hub, challenge=challenge, signature=encode(signature))


@dataclass(frozen=True)
class _Open:
    member: str
    id: str
    until: float


class Sessions:
    """The hub's side.

    Args:
        url: the hub's own, as members know it.
        lookup: the roster.
    """

    def __init__(self, url: str, lookup: Lookup) -> None:
        self._url = url
        self._lookup = lookup
        self._secret = secrets.token_bytes(32)
        self._used: dict[str, float] = {}
        self._open: dict[bytes, _Open] = {}

    def challenge(self, now: float) -> Challenge:
        """A fresh one."""
        content = int(now).to_bytes(8, "big") + secrets.token_bytes(16)
        return Challenge(challenge=encode(content + self._mac(content)))

    def begin(self, answer: SignIn, now: float) -> Session:
        """Open a session for a member that signed well.

        Raises:
            BadSignatureError: a stranger, another hub's URL, or a signature that does not fit.
            ReplayError: a challenge that is old, used or not this hub's.
        """
        self._check_challenge(answer.challenge, now)
        if answer.hub != self._url:
            raise BadSignatureError(
                f"a signature for the hub '{answer.hub[:100]}'; this one is '{self._url}'", hint="Use the same URL at hub and members."
            )
        keys = self._lookup(answer.member)
        if keys is None:
            raise BadSignatureError(f"'{answer.member}' is not in the hub's roster", hint="Give the hub the newest roster.")
        signature = decode(answer.signature)
        if len(signature) != SIGNATURE_BYTES:
            raise WrongTypeError("a signature has 64 bytes")
        keys.check(_PURPOSE, _covered(answer.member, answer.hub, answer.challenge), signature)
        self._used[answer.challenge] = now + CHALLENGE_LIFE_S
        return self._open_for(answer.member, now)

    def who(self, authorization: str, now: float) -> tuple[str, str] | None:
        """The member behind a token, and the session's id; None if the token is unknown or old."""
        scheme, _, token = authorization.partition(" ")
        found = self._open.get(_digest(token)) if scheme.lower() == "bearer" else None
        return (found.member, found.id) if found is not None and now < found.until else None

    def forget_old(self, now: float) -> None:
        """Drop what has expired."""
        self._used = {challenge: until for challenge, until in self._used.items() if until > now}
        self._open = {digest: session for digest, session in self._open.items() if session.until > now}

    def _check_challenge(self, text: str, now: float) -> None:
        raw = decode(text)
        content, mac = raw[:24], raw[24:]
        age_s = now - int.from_bytes(content[:8], "big")
        if not hmac.compare_digest(mac, self._mac(content)) or not -1 <= age_s <= CHALLENGE_LIFE_S or text in self._used:
            raise ReplayError("a challenge that is old, was used before, or is not of this hub", hint="Ask for a new one.")

    def _open_for(self, member: str, now: float) -> Session:
        self.forget_old(now)
        theirs = [digest for digest, session in self._open.items() if session.member == member]
        for digest in theirs[: max(0, len(theirs) - SESSIONS_PER_MEMBER + 1)]:
            del self._open[digest]
        token = secrets.token_urlsafe(32)
        self._open[_digest(token)] = _Open(member, secrets.token_hex(8), now + SESSION_LIFE_S)
        return Session(token=token, expires_in_s=SESSION_LIFE_S)

    def _mac(self, content: bytes) -> bytes:
        return hmac.digest(self._secret, content, hashlib.sha256)


def _covered(member: str, hub: str, challenge: str) -> bytes:
    return f"{member}\n{hub}\n{challenge}".encode()


def _digest(token: str) -> bytes:
    # Looked up by hash, so that the time of the look-up says nothing about a token.
    return hashlib.sha256(token.encode(errors="replace")).digest()
