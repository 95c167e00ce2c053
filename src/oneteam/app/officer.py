"""What a privacy officer does at a member's own node: take in what others have sent, sign, and revoke."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from pydantic import ValidationError

from oneteam.alliance.home import Home
from oneteam.app.agreeing import check_against_home, keep_agreement, keep_revocation, sign_agreement, tell_of_revocation
from oneteam.app.oversight import DRAFTS, Oversight
from oneteam.core.errors import EncodingError, UnknownValueError, WrongTypeError
from oneteam.privacy.agreements import Revocation, agreement_id, parse_agreement, sign_revocation
from oneteam.privacy.book import read_signed_agreement
from oneteam.privacy.signing import complaints
from oneteam.store.tables import disk_errors, write_atomically

MOST_DRAFTS: Final = 100
_COMPACT: Final = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")


@dataclass(frozen=True)
class TakenIn:
    """What a text was.

    Args:
        kind: ``draft``, ``signed`` or ``revocation``.
        agreement: the id of what it is or revokes.
    """

    kind: str
    agreement: str


@dataclass(frozen=True)
class Revoked:
    """A revocation that holds here, and whom it has not reached yet.

    Args:
        text: signed, to be handed to those by another way.
        not_told: ids of parties.
    """

    text: str
    not_told: tuple[str, ...]


def take_in(own: Oversight, raw: bytes, now: datetime) -> TakenIn:
    """Take in a draft (TOML), a signed Agreement (JSON) or another party's revocation (JWS); nothing is signed.

    Raises:
        EncodingError, FileUnreadableError, WrongTypeError: none of these.
        BadSignatureError: a signature does not hold.
        UnknownValueError: it cannot be agreed under this home's roster.
    """
    try:
        text = raw.decode("utf-8-sig").strip()
    except UnicodeDecodeError as err:
        raise EncodingError("the file is not text in UTF-8", hint="Give a draft (.toml), a signed Agreement (.json) or a .jws.") from err
    home = own.home
    if text.startswith("{"):
        agreement, _ = read_signed_agreement(text, home.lookup())
        signers = check_against_home(home, agreement, text, "the file")
        path = home.keep_agreement(text)
        if set(agreement.parties) <= set(signers):
            keep_agreement(home, path)
        return TakenIn("signed", agreement_id(agreement))
    if _COMPACT.fullmatch(text):
        return TakenIn("revocation", keep_revocation(home, text, now).agreement)
    draft = parse_agreement(text, "the file")
    check_against_home(home, draft, None, "the file")
    _make_room(home)
    identity = agreement_id(draft)
    write_atomically(own.draft_path(identity), f"{text}\n".encode())
    return TakenIn("draft", identity)


def sign(own: Oversight, identity: str, now: datetime) -> Sequence[str]:
    """Sign an Agreement that waits in the home; who has still to sign.

    Raises:
        NotThereError: none has this id.
        UnknownValueError: this member is no party, or it cannot be agreed any more.
    """
    home, kept = own.home, own.agreement(identity)
    target = home.folder / "agreements" / f"{kept.id}.json"
    draft = own.draft_path(kept.id)
    source = target if target.is_file() else draft
    if not source.is_file():
        raise UnknownValueError(f"agreement {kept.id[:12]}… is signed by all already")
    _, _, missing = sign_agreement(home, source, target, now)
    draft.unlink(missing_ok=True)
    return missing


def revoke(own: Oversight, identity: str, reason: str, now: datetime) -> Revoked:
    """Revoke an Agreement, at once and for good, and have the running node tell the others.

    Raises:
        NotThereError: none has this id.
        UnknownValueError: this member is no party.
        WrongTypeError: a reason that is no line.
    """
    home, kept = own.home, own.agreement(identity)
    if not kept.mine:
        raise UnknownValueError(f"'{home.id}' is no party of {kept.id[:12]}… and cannot revoke it")
    try:
        revocation = Revocation(agreement=kept.id, member=home.id, reason=reason, at=now)
    except ValidationError as err:
        raise WrongTypeError(f"reason: {complaints(err)}") from err
    text = sign_revocation(revocation, home.keys)
    # Before anything that can fail or take its time.
    keep_revocation(home, text, now)
    to_tell = [party for party in kept.kept.agreement.parties if party != home.id]
    return Revoked(text, tuple(asyncio.run(tell_of_revocation(home, text, to_tell))))


def _make_room(home: Home) -> None:
    folder = home.folder / DRAFTS
    with disk_errors(str(folder)):
        folder.mkdir(mode=0o700, exist_ok=True)
    if sum(1 for _ in folder.glob("*.toml")) >= MOST_DRAFTS:
        raise UnknownValueError(f"{MOST_DRAFTS} drafts wait already", hint=f"Remove old ones from {DRAFTS}/ in the home.")
