"""The roster: who is in the alliance, with which keys; signed by everyone in it.

Keys come from nowhere else. Each member hands over its *card* (its public part, signed by itself, so that nobody enters another's key as
its own); one of them puts the cards together; everyone compares the fingerprints by another way than the one by which the cards came, and
signs. A later roster names the one before it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Self

from pydantic import AwareDatetime, Field, model_validator

from oneteam.core.canonical import content_id
from oneteam.core.errors import BadSignatureError, UnknownValueError
from oneteam.core.keys import Keys, PublicKeys, decode
from oneteam.core.model import Document, Member, Sha256, Text
from oneteam.privacy.signing import Lookup, open_document, payload_of, read_document, sign_document


class Card(Document):
    """A member's public part, to be handed over; signed by the member itself.

    Args:
        member: id, name, keys and roles.
        made_at: when.
    """

    format: Literal["oneteam-card/1"] = "oneteam-card/1"
    member: Member
    made_at: AwareDatetime


class Roster(Document):
    """Everyone in the alliance, with their keys.

    Args:
        alliance: its name.
        version: 1, then one more each time.
        members: each once, by id; no two with the same key.
        previous: id of the roster that this one replaces.
    """

    format: Literal["oneteam-roster/1"] = "oneteam-roster/1"
    alliance: Text
    version: int = Field(default=1, ge=1, le=1_000_000)
    members: tuple[Member, ...] = Field(min_length=1, max_length=256)
    previous: Sha256 | None = None

    @model_validator(mode="after")
    def _fits(self) -> Self:
        ids = [member.id for member in self.members]
        keys = [key for member in self.members for key in (member.verify_key, member.seal_key)]
        if sorted(set(ids)) != ids:
            raise ValueError("members must stand in the order of their ids, each once")
        if len(set(keys)) != len(keys):
            raise ValueError("two members have the same key")
        if (self.version == 1) != (self.previous is None):
            raise ValueError("the first version has no previous roster, every other one has")
        return self


@dataclass(frozen=True)
class SignedRoster:
    """A roster and who has signed it; every signature holds under the roster's own keys.

    Args:
        roster: the content.
        id: SHA-256 of its canonical form; what Agreements name.
        signed_by: ids of the signers.
        text: the signed text.
    """

    roster: Roster
    id: str
    signed_by: tuple[str, ...]
    text: str

    @property
    def missing(self) -> tuple[str, ...]:
        """Members that have not signed yet."""
        return tuple(member.id for member in self.roster.members if member.id not in self.signed_by)


def public_keys(member: Member) -> PublicKeys:
    """A member's keys as bytes.

    Raises:
        WrongTypeError: a key is not base64url of 32 bytes.
    """
    return PublicKeys(decode(member.verify_key), decode(member.seal_key))


def lookup_of(roster: Roster) -> Lookup:
    """Keys by member id; None for a stranger."""
    keys = {member.id: public_keys(member) for member in roster.members}
    return keys.get


def fingerprint(member: Member) -> str:
    """What people read to each other to compare keys: 128 bits of SHA-256 over id and both keys, in groups of four digits.

    >>> member = Member(id="a", name=Text(en="A"), verify_key="A" * 43, seal_key="B" * 43, roles=())
    >>> fingerprint(member)
    '85ad d732 645c c2d6 8d3f ca16 7536 9e62'
    """
    content = f"oneteam-fingerprint/1\n{member.id}\n{member.verify_key}\n{member.seal_key}\n"
    digits = hashlib.sha256(content.encode()).hexdigest()[:32]
    return " ".join(digits[i : i + 4] for i in range(0, 32, 4))


def sign_card(card: Card, keys: Keys) -> str:
    """The text that a member hands over."""
    return sign_document(card, card.member.id, keys)


def open_card(text: str) -> Card:
    """A card that its own key has signed. Whose key it is, only the fingerprint tells.

    Raises:
        BadSignatureError: not signed by the key that it names.
        WrongTypeError: not a card.
    """
    card = read_document(payload_of(text).payload, Card)
    keys = {card.member.id: public_keys(card.member)}
    open_document(text, keys.get)
    return card


def make_roster(alliance: Text, members: Sequence[Member], previous: SignedRoster | None = None) -> Roster:
    """A roster of these members.

    Raises:
        UnknownValueError: a member stands twice, or two have the same key.
    """
    ordered = sorted(members, key=lambda member: member.id)
    ids = [member.id for member in ordered]
    twice = sorted({i for i in ids if ids.count(i) > 1})
    if twice:
        raise UnknownValueError(f"the roster has {', '.join(twice)} twice", hint="Give one card for each member.")
    keys: dict[str, str] = {}
    for member in ordered:
        for key in (member.verify_key, member.seal_key):
            if key in keys:
                raise UnknownValueError(
                    f"{keys[key]} and {member.id} have the same key", hint="Each member makes its own: `oneteam member init`."
                )
            keys[key] = member.id
    version = previous.roster.version + 1 if previous else 1
    return Roster(alliance=alliance, version=version, members=tuple(ordered), previous=previous.id if previous else None)


def sign_roster(roster: Roster, member_id: str, keys: Keys, existing: str | None = None) -> str:
    """Sign a roster, or add a signature to those of others.

    Raises:
        BadSignatureError: the roster has not this member with these keys, or ``existing`` is of another roster.
    """
    mine = lookup_of(roster)(member_id)
    if mine is None:
        raise BadSignatureError(f"the roster has no member '{member_id}'", hint="Hand over your card first: `oneteam member card`.")
    if mine != keys.public:
        raise BadSignatureError(
            f"the roster has other keys for '{member_id}' than yours",
            hint="Do not sign. Somebody may have put another's keys in your place.",
        )
    return sign_document(roster, member_id, keys, existing)


def open_roster(text: str) -> SignedRoster:
    """A roster, perhaps not signed by all yet; every signature must hold.

    Raises:
        BadSignatureError: a signature does not hold, or is of somebody who is not in it.
        WrongTypeError: not a roster.
    """
    roster = read_document(payload_of(text).payload, Roster)
    signed = open_document(text, lookup_of(roster))
    return SignedRoster(roster, content_id(roster), signed.signed_by, text)


def verify_roster(text: str, me: Member, current: SignedRoster | None = None) -> SignedRoster:
    """A roster that this member may use.

    Args:
        text: the signed text.
        me: this member, with its own keys.
        current: the roster in use, if any; a new one must follow it.

    Raises:
        BadSignatureError: somebody in it has not signed, it has not this member's keys, or it does not follow the present one.
        WrongTypeError: not a roster.
    """
    signed = open_roster(text)
    if signed.missing:
        raise BadSignatureError(
            f"the roster is not signed by {', '.join(signed.missing)}", hint="Everyone in it signs: `oneteam roster sign`."
        )
    known = {member.id: member for member in signed.roster.members}
    if me.id not in known or public_keys(known[me.id]) != public_keys(me):
        raise BadSignatureError(f"the roster has not '{me.id}' with its keys")
    if current is not None and current.id not in {signed.id, signed.roster.previous}:
        raise BadSignatureError(
            f"version {signed.roster.version} of the roster does not follow the one in use (version {current.roster.version})",
            hint="A new roster is made from the present one: `oneteam roster new --replace`.",
        )
    return signed
