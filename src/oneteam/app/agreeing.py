"""A member's own part in Agreements: read, check, sign, keep, find and revoke them; what binds is entered in the log as it is kept."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path

from oneteam.alliance.home import Home, read_text_file
from oneteam.app.desk import running_desk
from oneteam.app.revoking import entry_of, take_revocation
from oneteam.core.errors import BadSignatureError, InputError, NothingFoundError, OneteamError, TrustError, UnknownValueError
from oneteam.core.model import Agreement, Text
from oneteam.core.part import MeasureInfo, actions_of, installed_parts
from oneteam.privacy.agreements import Revocation, agreement_id, check_agreement, read_agreement
from oneteam.privacy.book import BOOK_SCHEMA, AgreementBook, read_signed_agreement
from oneteam.privacy.policy import Kept
from oneteam.privacy.signing import merge_signed, payload_of, sign_document
from oneteam.store.audit_log import AuditLog, origin_of
from oneteam.store.registry import Registry

_LEAST_DIGITS = 4


def offered_measures() -> dict[str, MeasureInfo]:
    """The measures of all installed parts, by name."""
    return {info.name: info for part in installed_parts().values() for info in part.measures().values()}


def offered_actions() -> dict[str, Text]:
    """What the installed parts can be told to do, by the measure that an Agreement must have for it."""
    every = [action for part in installed_parts().values() for action in actions_of(part).values()]
    return {action.measure: Text(en=action.title.get("en", action.name), ko=action.title.get("ko", "")) for action in every}


def measure_titles() -> dict[str, Text]:
    """One line on each measure of the installed parts, by name."""
    return {name: Text(en=info.title.get("en", name), ko=info.title.get("ko", "")) for name, info in offered_measures().items()}


def read_either(member: Home, path: Path) -> tuple[Agreement, str | None]:
    """An Agreement from a draft or a signed text, and the signed text if it is one.

    Raises:
        FileUnreadableError, WrongTypeError: neither.
        BadSignatureError: a signature does not hold.
    """
    if path.suffix == ".toml":
        return read_agreement(path), None
    text = read_text_file(path).strip()
    return read_signed_agreement(text, member.lookup())[0], text


def check_against_home(member: Home, agreement: Agreement, text: str | None, where: str) -> list[str]:
    """Refuse what cannot be agreed under this home's roster and parts; who has signed.

    Raises:
        UnknownValueError: every fault is listed.
    """
    signed = member.roster()
    keys = {name: info.keys for name, info in offered_measures().items()}
    check_agreement(agreement, signed.roster.members, roster=signed.id, measures=keys, where=where)
    return list(read_signed_agreement(text, member.lookup())[1]) if text else []


def sign_agreement(member: Home, path: Path, target: Path, now: datetime) -> tuple[Agreement, str, list[str]]:
    """Sign a draft, or what others have signed; the Agreement, the signed text, and who has still to sign.

    Args:
        member: who signs.
        path: the draft or the signed text.
        target: where the signed text will stand; signatures that stand there are kept.
        now: for the log.

    Raises:
        UnknownValueError: this member is no party, or it cannot be agreed.
    """
    agreement, text = read_either(member, path)
    if member.id not in agreement.parties:
        raise UnknownValueError(f"{path}: '{member.id}' is no party of it", hint=f"Its parties are {', '.join(agreement.parties)}.")
    identity = agreement_id(agreement)
    for before in (member.agreement_texts().get(identity), read_text_file(target) if target.is_file() else None):
        if before is not None and identity == hashlib.sha256(payload_of(before).payload).hexdigest():
            text = merge_signed(text, before) if text else before
    check_against_home(member, agreement, text, str(path))
    signed = sign_document(agreement, member.id, member.keys, text)
    return agreement, signed, _keep(member, agreement, signed, signed_at=now)


def keep_agreement(member: Home, path: Path) -> Agreement:
    """Keep an Agreement that all have signed.

    Raises:
        BadSignatureError: somebody has not signed.
        UnknownValueError: it cannot be agreed.
    """
    agreement, text = read_either(member, path)
    signers = check_against_home(member, agreement, text, str(path))
    missing = [party for party in agreement.parties if party not in signers]
    if missing or text is None:
        raise BadSignatureError(f"{path}: not signed by {', '.join(missing)}", hint="Every party signs: `oneteam agreement sign FILE`.")
    _keep(member, agreement, text, signed_at=None)
    return agreement


def keep_revocation(member: Home, text: str, now: datetime) -> Revocation:
    """Keep a revocation, one's own or another party's, and enter it in the log: from then on this member refuses.

    Raises:
        BadSignatureError: not signed by the party that it names.
    """
    with _opened(member) as (registry, book, log):
        member.fill_book(book)
        return take_revocation(registry, log, book, text, now)


async def tell_of_revocation(member: Home, text: str, parties: Sequence[str]) -> list[str]:
    """Have the running node send a revocation; the parties that it did not reach, all when no node runs."""
    desk = await running_desk(member)
    if desk is None:
        return list(parties)
    try:
        answer = await desk.do("revoke", {"revocation": text})
    except OneteamError:
        return list(parties)
    return [party for party in parties if party in answer["not_reached"]]


def kept_agreements(member: Home) -> list[Kept]:
    """Every Agreement here, in force or not: those in the book, then files that are not signed by all."""
    with _opened(member) as (_, book, _log):
        kept = book.all()
    return [*kept, *waiting_agreements(member, {one.id for one in kept})]


def waiting_agreements(member: Home, known: Collection[str]) -> list[Kept]:
    """Agreements that stand as files and are not signed by all, but for those that are known.

    What does not hold under the roster in use, as after a signer's change of keys, is left out: it can never be completed.
    """
    lookup = member.lookup()
    found = []
    for name, text in member.agreement_texts().items():
        if name not in known:
            with suppress(TrustError, InputError):
                agreement, signers = read_signed_agreement(text, lookup)
                found.append(Kept(agreement, agreement_id(agreement), signers))
    return found


def find_agreement(member: Home, which: str) -> Kept:
    """An Agreement by its id or the first digits of it, or from a file.

    Raises:
        UnknownValueError: the digits stand for several.
        NothingFoundError: for none.
    """
    known = kept_agreements(member)
    path = Path(which)
    if path.suffix in {".toml", ".json"}:
        agreement, text = read_either(member, path)
        identity = agreement_id(agreement)
        signers = read_signed_agreement(text, member.lookup())[1] if text else ()
        return next((kept for kept in known if kept.id == identity), Kept(agreement, identity, signers))
    found = [kept for kept in known if len(which) >= _LEAST_DIGITS and kept.id.startswith(which)]
    if len(found) > 1:
        raise UnknownValueError(f"{which}: stands for {len(found)} Agreements", hint="Give more digits of the id.")
    if not found:
        ids = ", ".join(f"{kept.id[:12]}…" for kept in known) or "none"
        hint = "Give the id's first four digits or more."
        raise NothingFoundError(f"{which}: no such Agreement is kept here; there are: {ids}", hint=hint)
    return found[0]


def _keep(member: Home, agreement: Agreement, text: str, *, signed_at: datetime | None) -> list[str]:
    """Keep the file, log a signature of this member's, and put the Agreement into the book when all have signed; who is missing."""
    signers = read_signed_agreement(text, member.lookup())[1]
    missing = [party for party in agreement.parties if party not in signers]
    with _opened(member) as (registry, book, log), registry.transaction() as db:
        if signed_at is not None:
            log.append(db, entry_of("sign", agreement_id(agreement), text, signed_at))
        if not missing:
            book.add(text, db=db)
    member.keep_agreement(text)
    return missing


@contextmanager
def _opened(member: Home) -> Iterator[tuple[Registry, AgreementBook, AuditLog]]:
    registry = member.open_registry((BOOK_SCHEMA,))
    try:
        yield registry, member.book(registry), AuditLog(registry, origin_of(member.id), member.keys)
    finally:
        registry.close()
