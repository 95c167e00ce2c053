"""Join masked Shares into a Release at the recipient, and check any Release's signatures.

Owners sign their masked Shares; the recipient, which alone can unmask their sum, signs what came out. Whoever is handed the Release can
check that these owners gave these Shares for this Query and round, and that the recipient answers for the numbers.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Final

import numpy as np

from oneteam.core.canonical import content_id
from oneteam.core.errors import BadSignatureError, RoundError, WrongTypeError
from oneteam.core.keys import Keys, decode, encode
from oneteam.core.model import Agreement, Receipt, Release, ReleasedLevel
from oneteam.privacy.accounting import epsilon_of
from oneteam.privacy.mechanism import Ints, Plan, parted, plan_of, versions
from oneteam.privacy.noise import joint_sigma, noise_versions
from oneteam.privacy.requests import Request
from oneteam.privacy.secure_sum import MaskedShare, Opening, Recipient, Reveal, Round, check_receipt, receipt_of
from oneteam.privacy.signing import Lookup, read_document

RELEASE_PURPOSE: Final = "release"
CAUTION: Final = (
    "Counts are noised and can be negative. At each contributor, one privacy unit contributes at most max_keys keys of at most max_value "
    "each: totals can be below the raw ones."
)


def round_of(request: Request, agreement: Agreement) -> Round:
    """The secure sum that a request plans; every member and the recipient derive the same.

    Raises:
        RoundError: the request has no round, or its threshold does not protect.
    """
    plan = request.round
    if plan is None:
        raise RoundError("a joint Release needs a round")
    return Round(
        plan.round_id,
        content_id(request.query),
        plan.participants,
        request.asker,
        plan.threshold,
        plan.colluding,
        contributors=tuple(name for name in plan.participants if name in agreement.contributors),
        min_contributors=agreement.min_contributors,
    )


def joint_release(
    request: Request,
    agreement: Agreement,
    *,
    keys: Keys,
    lookup: Lookup,
    openings: Sequence[Opening],
    shares: Sequence[MaskedShare],
    reveals: Sequence[Reveal],
    now: datetime,
) -> Release:
    """Unmask the sum of the survivors' Shares; every owner's signature is checked.

    Args:
        request: the recipient's own request, as the members got it.
        agreement: the Agreement that it rests on.
        keys: the recipient's.
        lookup: the roster.
        openings: those that were sent to the members to mask.
        shares: the masked tables that arrived.
        reveals: of at least ``threshold`` survivors.
        now: when.

    Raises:
        BadSignatureError: a document that its member did not sign.
        RoundError: too few, or they do not fit together.
        WrongTypeError: tables of another size than the Query's.
    """
    round_ = round_of(request, agreement)
    plan = plan_of(request.query, agreement)
    total = Recipient(round_, keys, lookup).combine(openings, shares, reveals)
    survivors = reveals[0].survivors
    tables = parted(total, plan.cells)
    sigmas = [joint_sigma(b.sigma, round_.threshold, round_.colluding, len(survivors)) for b in plan.budgets]
    receipts = {share.header.member: receipt_of(share.header) for share in shares}
    measure = plan.measure
    made = Release(
        query=plan.query,
        recipient=request.asker,
        kind="dp",
        round=round_.id,
        contributors=tuple(name for name in survivors if name in agreement.contributors),
        levels=released_levels(plan, tables, sigmas),
        max_keys=measure.max_keys,
        max_value=measure.max_value,
        smallest_count=measure.smallest_count,
        rho=plan.query.rho,
        delta=agreement.delta,
        epsilon=epsilon_of(plan.query.rho, agreement.delta),
        made_at=now,
        versions=versions(noise_versions()),
        caution=CAUTION,
        receipts=tuple(receipts[name] for name in survivors),
        context=request.context,
    )
    return signed_release(made, request.asker, keys)


def released_levels(plan: Plan, tables: Iterable[Ints], sigmas: Iterable[float]) -> tuple[ReleasedLevel, ...]:
    """The tables as a Release carries them; a sigma of 0 marks a plain table, which costs no rho because rho does not apply."""
    return tuple(
        ReleasedLevel(
            level=str(budget.level),
            cells=table.size,
            values=base64.b64encode(np.ascontiguousarray(table, "<i8").tobytes()).decode(),
            sigma=sigma,
            sensitivity=budget.sensitivity,
            rho=budget.rho if sigma else 0.0,
        )
        for budget, table, sigma in zip(plan.budgets, tables, sigmas, strict=True)
    )


def level_values(level: ReleasedLevel) -> Ints:
    """A released level's noised counts, flat, int64.

    Raises:
        WrongTypeError: its text does not hold that many.
    """
    try:
        raw = base64.b64decode(level.values, validate=True)
    except ValueError as err:
        raise WrongTypeError(f"level '{level.level}': its values are not base64") from err
    if len(raw) != 8 * level.cells:
        raise WrongTypeError(f"level '{level.level}' has {len(raw)} bytes for {level.cells} cells of 8")
    return np.frombuffer(raw, "<i8").astype(np.int64)


def release_content(release: Release) -> str:
    """SHA-256 of a Release as it was before its maker signed it, with the owners' receipts if it is a joint one."""
    given = release.receipts[:-1]
    return content_id(release.model_copy(update={"receipts": given}))


def maker_of(release: Release) -> str:
    """Who answers for the numbers: the owner of a single Release, the recipient of a joint one."""
    return release.recipient if release.round is not None else release.contributors[0]


def signed_release(release: Release, member: str, keys: Keys) -> Release:
    """The Release with its maker's receipt after the owners'."""
    sha256 = content_id(release)
    receipt = Receipt(member=member, sha256=sha256, signature=encode(keys.sign(RELEASE_PURPOSE, bytes.fromhex(sha256))))
    return release.model_copy(update={"receipts": (*release.receipts, receipt)})


def read_release(text: str | bytes, lookup: Lookup) -> Release:
    """A Release from its canonical JSON, after `verify_release`.

    Raises:
        WrongTypeError: not a Release in its one form.
        BadSignatureError: a signature is missing or does not hold.
    """
    release = read_document(text, Release)
    verify_release(release, lookup)
    return release


def verify_release(release: Release, lookup: Lookup) -> None:
    """Check who gave and who made a Release: its maker's signature over all of it, and, of a joint one, every owner's under its Share.

    Raises:
        BadSignatureError: a signature is missing, stands twice, or does not hold; or the Release names no contributor.
        WrongTypeError: a level's values do not fit its cells, or levels that were not asked for.
    """
    if not release.contributors or len(set(release.contributors)) != len(release.contributors):
        raise BadSignatureError("a Release names who contributed, each once")
    maker = maker_of(release)
    keys = lookup(maker)
    if (
        keys is None
        or not release.receipts
        or release.receipts[-1].member != maker
        or release.receipts[-1].sha256 != release_content(release)
    ):
        raise BadSignatureError(f"the Release is not signed as it stands by '{maker}', who made it")
    own, given = release.receipts[-1], release.receipts[:-1]
    keys.check(RELEASE_PURPOSE, bytes.fromhex(own.sha256), decode(own.signature))
    _check_owners(release, given, lookup)
    if tuple(level.level for level in release.levels) != release.query.levels:
        raise WrongTypeError("the Release's levels are not those that were asked for")
    for level in release.levels:
        level_values(level)


def _check_owners(release: Release, given: Sequence[Receipt], lookup: Lookup) -> None:
    if release.round is None:
        if given or release.contributors != release.query.owners:
            raise BadSignatureError("a single member's Release carries that member's receipt and no other")
        return
    members = [receipt.member for receipt in given]
    if len(set(members)) != len(members):
        raise BadSignatureError("a Release with two Shares of one member")
    missing = sorted(set(release.contributors) - set(members))
    if missing:
        raise BadSignatureError(f"no receipt of {', '.join(missing)}")
    if not set(release.contributors) <= set(release.query.owners):
        raise BadSignatureError("a contributor that the Query did not name")
    for receipt in given:
        check_receipt(receipt, round_id=release.round, query_id=content_id(release.query), lookup=lookup)
