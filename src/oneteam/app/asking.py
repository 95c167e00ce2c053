"""A recipient asks: a query file becomes a Query, a Query becomes a Release; one that is kept from before costs nothing."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Sequence
from datetime import date, datetime
from pathlib import Path
from typing import Annotated, Final

from pydantic import Field, ValidationError

from oneteam.alliance.home import read_bytes
from oneteam.alliance.rounds import Patience, run_query
from oneteam.app.member_node import MemberNode
from oneteam.core.canonical import canonical, content_id
from oneteam.core.errors import NothingFoundError, OneteamError, TrustError, UnknownValueError, UnreachableError, WrongTypeError
from oneteam.core.model import AgreedMeasure, Agreement, Code, Context, Document, Name, Query, Release, Rho, Slug
from oneteam.core.progress import Progress, silent
from oneteam.privacy.agreements import read_toml, threshold_of
from oneteam.privacy.policy import Asking, Decision, Kept, decide
from oneteam.privacy.requests import RoundPlan
from oneteam.privacy.signing import complaints

DEFAULT_PATIENCE: Final = Patience()
PING_S: Final = 3.0
LOOK_S: Final = 0.5


class QueryFile(Document):
    """``query.toml``: what an analyst writes; what is left out is taken from the Agreement.

    Args:
        agreement: its id, or the beginning of it; the only one that has the measure when left out.
        measure: what is asked for.
        dimensions: keys to keep; the Agreement's when left out.
        levels: levels to release; all agreed ones of these dimensions when left out.
        filters: restrictions of other keys.
        first_day: first local day.
        last_day: last local day, inclusive; the first one when left out.
        rho: what it shall cost; as much as one release may when left out.
        owners: whose data; all contributors' when left out.
    """

    agreement: Annotated[str, Field(pattern=r"^[0-9a-f]{4,64}$")] | None = None
    measure: Name
    dimensions: tuple[Name, ...] | None = None
    levels: tuple[str, ...] | None = None
    filters: dict[Name, tuple[Code, ...]] = Field(default_factory=dict)
    first_day: date
    last_day: date | None = None
    rho: Rho | None = None
    owners: tuple[Slug, ...] | None = None


def read_query(path: Path) -> QueryFile:
    """Read ``query.toml``.

    Raises:
        FileUnreadableError, WrongTypeError: not such a file; the message names the key.
    """
    try:
        return QueryFile.model_validate(read_toml(read_bytes(path), str(path)))
    except ValidationError as err:
        raise WrongTypeError(f"{path}: {complaints(err)}", hint="See docs/alliance.md for what a query file may say.") from err


def complete(asked: QueryFile, kept: Sequence[Kept]) -> tuple[Query, Kept]:
    """The Query that a file means, under the Agreement that it means.

    Raises:
        NothingFoundError: no Agreement has the measure, or none has such an id.
        UnknownValueError: several do, or the measure is not in it.
    """
    found = _agreement_for(asked, kept)
    agreement = found.agreement
    measure = next((one for one in agreement.measures if one.name == asked.measure), None)
    if measure is None:
        names = ", ".join(one.name for one in agreement.measures)
        raise UnknownValueError(f"agreement {found.id[:12]} has no measure '{asked.measure}'; it has {names}")
    dimensions = asked.dimensions or measure.dimensions
    query = Query(
        agreement=found.id,
        purpose=agreement.purpose,
        measure=asked.measure,
        dimensions=dimensions,
        levels=asked.levels or _levels_of(measure, dimensions),
        filters=asked.filters,
        first_day=asked.first_day,
        last_day=asked.last_day or asked.first_day,
        rho=asked.rho or measure.rho_per_release,
        owners=asked.owners or agreement.contributors,
    )
    return query, found


def _agreement_for(asked: QueryFile, kept: Sequence[Kept]) -> Kept:
    able = [one for one in kept if any(m.name == asked.measure for m in one.agreement.measures)]
    if asked.agreement is not None:
        able = [one for one in kept if one.id.startswith(asked.agreement)]
    elif len(able) > 1:
        able = [one for one in able if one.revoked is None] or able
    if not able:
        known = ", ".join(one.id[:12] for one in kept) or "none"
        what = f"'{asked.agreement}'" if asked.agreement else f"with the measure '{asked.measure}'"
        raise NothingFoundError(
            f"no agreement {what} is kept here; kept: {known}", hint="`oneteam agreement sign` keeps one once all have signed."
        )
    if len(able) > 1:
        raise UnknownValueError(
            f"several agreements fit: {', '.join(one.id[:12] for one in able)}", hint='Name one in the query file: agreement = "..."'
        )
    return able[0]


def _levels_of(measure: AgreedMeasure, dimensions: Sequence[str]) -> tuple[str, ...]:
    """All agreed levels that can be asked with these dimensions: those that sum over every other one."""
    levels = []
    for text in measure.levels:
        grains = dict(part.split("=", 1) for part in text.split(","))
        if all(grain == "*" for name, grain in grains.items() if name not in dimensions):
            levels.append(",".join(f"{name}={grains[name]}" for name in dimensions if name in grains))
    return tuple(dict.fromkeys(levels))


def foresee(query: Query, kept: Kept, asker: str, now: datetime) -> dict[str, Decision]:
    """What each asked member would decide by the Agreement alone; spends nothing, asks nobody.

    A member's own limits and its budget are its own: only asking shows them.
    """
    plan = None
    agreement = kept.agreement
    if not (len(query.owners) == 1 and agreement.single):
        participants = query.owners + agreement.helpers
        plan = RoundPlan(round_id="0" * 32, participants=participants, threshold=threshold_of(agreement), colluding=agreement.colluding)
    asked = plan.participants if plan else query.owners
    return {name: decide(query, kept, Asking(asker, name, now, plan)) for name in asked}


async def ask(
    member: MemberNode,
    query: Query,
    agreement: Agreement,
    *,
    reason: str = "a query by an analyst",
    parent: str | None = None,
    attempts: int = 1,
    patience: Patience = DEFAULT_PATIENCE,
    present_within_s: float | None = None,
    progress: Progress = silent,
) -> tuple[Release, bool]:
    """The Release for a Query, and whether it was kept from before.

    Args:
        member: the recipient's node, running.
        query: what is asked.
        agreement: the one it names.
        reason: for the chain of causes.
        parent: id of the step that asks.
        attempts: how often to try when members drop out; every further one costs again.
        patience: time limits of each exchange.
        present_within_s: look first whether enough members are there, and wait so long for them: who opens a round pays, also
            when it cannot be finished. None asks at once.
        progress: told of each exchange.

    Raises:
        UnreachableError: too few members are there; nobody was asked and nothing was paid.
        OneteamError: as `oneteam.alliance.rounds.run_query`.
    """
    identity = content_id(query)
    # Asked twice at once, it is paid for once.
    async with member.asking.setdefault(identity, asyncio.Lock()):
        stored = member.ledger.kept_release(identity, member.home.id)
        if stored is not None:
            return Release.model_validate_json(stored), True
        if present_within_s is not None:
            await _until_present(member, query, agreement, present_within_s, progress)
        release = await _ask_anew(member, query, agreement, reason, parent, attempts, patience, progress)
        with member.registry.transaction() as db:
            member.ledger.keep_release(db, identity, member.home.id, canonical(release))
    return release, False


async def _until_present(member: MemberNode, query: Query, agreement: Agreement, within_s: float, progress: Progress) -> None:
    """Wait until enough members for a Query answer."""
    joint = len(query.owners) > 1 or not agreement.single
    asked = query.owners + agreement.helpers if joint else query.owners
    needed = threshold_of(agreement) if joint else 1
    bring = min(agreement.min_contributors, len(query.owners))
    loop = asyncio.get_running_loop()
    end = loop.time() + within_s
    while True:
        found = await asyncio.gather(*(_absence(member, name) for name in asked))
        away = {name: why for name, why in zip(asked, found, strict=True) if why}
        there = [name for name in asked if name not in away]
        progress("who is there", len(there), len(asked))
        if len(there) >= needed and len(set(there) & set(query.owners)) >= bring:
            return
        if loop.time() >= end:
            reached = member.node.connected.is_set()
            told = "; ".join(away.values()) if reached else f"the hub {member.home.settings.hub} does not answer"
            raise UnreachableError(f"{told}: too few members are there", hint="Nobody was asked and nothing was paid. Ask again later.")
        await asyncio.sleep(LOOK_S)


async def _absence(member: MemberNode, name: str) -> str:
    """Why a member cannot be asked now; nothing when it can."""
    try:
        answer = await member.node.ask(name, "ping", timeout_s=PING_S)
    except TrustError:
        raise
    except OneteamError as err:
        return err.message
    return "" if answer.header.get("ready", True) else f"{name}: has just started and does not answer queries yet"


async def _ask_anew(
    member: MemberNode,
    query: Query,
    agreement: Agreement,
    reason: str,
    parent: str | None,
    attempts: int,
    patience: Patience,
    progress: Progress,
) -> Release:
    context = Context(id=secrets.token_hex(16), parent=parent, actor=member.home.id, reason=reason, at=member.node.now())
    return await run_query(member.node, query, agreement, context=context, attempts=attempts, patience=patience, progress=progress)
