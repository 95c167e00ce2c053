"""What an asker sends to members: a Query, fresh, signed, and for a joint one the plan of the secure sum's round.

The asker signs a request once and sends the same text to everyone it asks. A member accepts it from ``issued_at`` (less the clocks' skew)
until ``expires_at``, once: it remembers the nonce until then.
"""

from __future__ import annotations

import secrets
from datetime import datetime, timedelta
from typing import Final, Literal, Self

from pydantic import AwareDatetime, Field, ValidationError, model_validator

from oneteam.core.canonical import content_id
from oneteam.core.errors import BadSignatureError, ReplayError, WrongTypeError
from oneteam.core.keys import Keys
from oneteam.core.model import Context, Document, Hex128, Query, Slug
from oneteam.privacy.signing import Lookup, complaints, read_document, sign_compact, verify_compact

LIFETIME: Final = timedelta(seconds=120)
"""A request lives no longer."""
SKEW: Final = timedelta(seconds=120)
"""How far the asker's clock may be ahead of the member's. A clock behind is no exception: what has expired is refused."""
MAX_PARTICIPANTS: Final = 64


class RoundPlan(Document):
    """The secure sum that a joint Query asks for; every member checks it against the Agreement.

    Args:
        round_id: never used before.
        participants: contributors and helpers that take part, each once.
        threshold: how many must help to unmask (s).
        colluding: how many may collude (t).
    """

    round_id: Hex128
    participants: tuple[Slug, ...] = Field(min_length=1, max_length=MAX_PARTICIPANTS)
    threshold: int = Field(ge=1, le=MAX_PARTICIPANTS)
    colluding: int = Field(ge=0, le=MAX_PARTICIPANTS)


class Request(Document):
    """One asking of one Query.

    Args:
        query: what is asked.
        asker: who asks, and signs.
        asked: the members that it goes to: the round's participants, or the one owner.
        nonce: never used before.
        issued_at: when it was signed.
        expires_at: until when it may be answered; at most 120 s later.
        round: for a joint Release.
        context: the step that asks.
    """

    format: Literal["oneteam-request/1"] = "oneteam-request/1"
    query: Query
    asker: Slug
    asked: tuple[Slug, ...] = Field(min_length=1, max_length=MAX_PARTICIPANTS)
    nonce: Hex128
    issued_at: AwareDatetime
    expires_at: AwareDatetime
    round: RoundPlan | None = None
    context: Context | None = None

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if not timedelta(0) < self.expires_at - self.issued_at <= LIFETIME:
            raise ValueError(f"expires_at must be after issued_at, by at most {LIFETIME.seconds} s")
        wanted = self.round.participants if self.round else self.query.owners
        if len(set(self.asked)) != len(self.asked) or set(self.asked) != set(wanted):
            raise ValueError("asked must be the round's participants or, without a round, the query's owners, each once")
        return self

    @property
    def id(self) -> str:
        """SHA-256 of the canonical form."""
        return content_id(self)


def make_request(
    query: Query,
    asker: str,
    now: datetime,
    *,
    plan: RoundPlan | None = None,
    context: Context | None = None,
    lifetime: timedelta = LIFETIME,
) -> Request:
    """A fresh request, its nonce from the operating system's generator.

    Raises:
        WrongTypeError: the lifetime is too long, or the plan cannot be one.
    """
    try:
        return Request(
            query=query,
            asker=asker,
            asked=plan.participants if plan else query.owners,
            nonce=secrets.token_hex(16),
            issued_at=now,
            expires_at=now + lifetime,
            round=plan,
            context=context,
        )
    except ValidationError as err:
        raise WrongTypeError(f"not a request: {complaints(err)}") from err


def sign_request(request: Request, keys: Keys) -> str:
    """The text that goes to every asked member: a compact JWS by the asker."""
    return sign_compact(request, request.asker, keys)


def open_request(text: str, lookup: Lookup, now: datetime, skew: timedelta = SKEW) -> Request:
    """A request whose signature and time hold; whether its nonce is new is the ledger's to say.

    Args:
        text: as `sign_request` gave it.
        lookup: the members' keys.
        now: the member's own clock.
        skew: how far the asker's clock may be ahead.

    Raises:
        BadSignatureError: not signed by the asker that it names.
        WrongTypeError: not a request, or not in its canonical form.
        ReplayError: expired, or from the future.
    """
    payload, signer = verify_compact(text, lookup)
    request = read_document(payload, Request)
    if signer != request.asker:
        raise BadSignatureError(f"a request of '{request.asker}' that '{signer}' has signed")
    if now >= request.expires_at:
        raise ReplayError("the request has expired", hint="Ask anew; if it happens again, compare the clocks of both sides.")
    if request.issued_at > now + skew:
        raise ReplayError(f"the request comes from more than {skew.seconds} s in the future", hint="Compare the clocks of both sides.")
    return request
