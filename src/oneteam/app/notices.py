"""A recipient asks carriers to tell their own travellers, and how many they are.

Each carrier gets one signed Command and answers that it will be done, or why not; never on how many. The number is asked for as anything
else: by a Query of the measure ``travellers`` under the same Agreement, noised by the gates and charged to the budget.

Causes: every Command hangs on the step that called for it (an Alert's context); a count hangs on its carrier's Command or, where several
carriers are counted together, on the step itself.
"""

from __future__ import annotations

import asyncio
import math
import secrets
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from oneteam.app.asking import QueryFile, ask, complete
from oneteam.app.member_node import MemberNode
from oneteam.app.notice_terms import LIFE, NoticeAnswer, NoticeCount, Notices, NoticeTerms, NoticeWish
from oneteam.core.errors import InputError, NothingFoundError, OneteamError, RefusedError, UnknownValueError, WireError
from oneteam.core.model import Alert, Command, Context, Release, Rho
from oneteam.core.progress import Progress, silent
from oneteam.privacy.combine import level_values
from oneteam.privacy.commands import MAX_COMMAND_LIFE, sign_command
from oneteam.privacy.levels import measure_of
from oneteam.privacy.policy import Kept
from oneteam.telecom.service.on_command import MEASURE, travellers_asked

ACTION: Final = "notify_travellers"
PART: Final = "telecom"
PATIENCE_S: Final = 60.0


async def notify_as_wished(member: MemberNode, wish: NoticeWish, progress: Progress = silent) -> Notices:
    """`notify`, as a desk is asked."""
    now = member.node.now()
    return await notify(
        member,
        NoticeTerms(wish.countries, wish.within_days, wish.as_of or now.date(), wish.text),
        cause=wish.cause,
        carriers=wish.carriers,
        until=now + timedelta(hours=wish.hours),
        agreement=wish.agreement,
        count=wish.count,
        rho=wish.rho,
        attempts=wish.attempts,
        progress=progress,
    )


def step(actor: str, reason: str, at: datetime, parent: Context | None = None) -> Context:
    """A new step, caused by another.

    >>> from datetime import UTC
    >>> alert = step("agency", "risk rises", datetime(2026, 3, 1, tzinfo=UTC))
    >>> step("agency", "tell travellers", alert.at, alert).parent == alert.id
    True
    """
    return Context(id=secrets.token_hex(16), parent=None if parent is None else parent.id, actor=actor, reason=reason, at=at)


def notice_agreement(kept: Sequence[Kept], recipient: str, now: datetime, wanted: str | None = None) -> Kept:
    """The Agreement under which a recipient may ask for notices: one in force with the measure ``travellers``.

    Args:
        kept: all that the recipient keeps.
        recipient: who asks.
        now: its clock.
        wanted: the beginning of an id, where several fit.

    Raises:
        NothingFoundError: there is none.
        UnknownValueError: several fit.
    """
    able = [one for one in kept if recipient in one.agreement.recipients and any(m.name == MEASURE for m in one.agreement.measures)]
    able = [one for one in able if one.id.startswith(wanted)] if wanted else [one for one in able if one.state(now) == "in force"]
    if not able:
        raise NothingFoundError(
            f"no agreement{f' {wanted}' if wanted else ' in force'} lets {recipient} receive the measure '{MEASURE}'",
            hint=f"Carriers tell their travellers only under one: `oneteam agreement new --measure {MEASURE}`.",
        )
    if len(able) > 1:
        raise UnknownValueError(f"several agreements fit: {', '.join(one.id[:12] for one in able)}", hint="Name one with --agreement.")
    return able[0]


async def ask_notice(
    member: MemberNode,
    carrier: str,
    settings: NoticeTerms,
    context: Context,
    until: datetime,
    *,
    agreement: Kept | None = None,
    patience_s: float = PATIENCE_S,
) -> NoticeAnswer:
    """Ask one carrier to tell its own travellers.

    Args:
        member: the recipient's node, running.
        carrier: whom to ask.
        settings: who shall be told what.
        context: of this very step; its parent is the step that called for it.
        until: after which the Command is void; at most a week from now.
        agreement: under which; the one in force with the measure ``travellers`` when None.
        patience_s: how long to wait for the answer.

    Raises:
        InputError: settings that cannot be, or no Agreement to ask under. What the carrier says is in the answer, never raised.
    """
    kept = agreement or notice_agreement(member.book.all(), member.home.id, member.node.now())
    if not member.node.now() < until <= context.at + MAX_COMMAND_LIFE:
        raise UnknownValueError(f"a command ends at {until.isoformat()}, must end within {MAX_COMMAND_LIFE.days} days from now")
    command = Command(entity=f"{PART}.{carrier}", action=ACTION, settings=settings.settings(kept), until=until, context=context)
    travellers_asked(command)
    signed = sign_command(command, member.home.id, member.home.keys)
    try:
        await member.node.ask(carrier, "notice.ask", {"command": signed}, timeout_s=patience_s)
    except WireError as err:
        return NoticeAnswer(carrier, command, "unanswered", err.code, err.message)
    except OneteamError as err:
        reasons = err.reasons if isinstance(err, RefusedError) else ()
        return NoticeAnswer(carrier, command, "refused", err.code, err.message, reasons)
    return NoticeAnswer(carrier, command, "accepted")


async def count_notified(
    member: MemberNode,
    carriers: Sequence[str],
    settings: NoticeTerms,
    kept: Kept,
    cause: Context,
    *,
    rho: Rho | None = None,
    attempts: int = 1,
    progress: Progress = silent,
) -> NoticeCount:
    """How many travellers some carriers have on their lists, as a Release of the measure ``travellers`` for the same days.

    Args:
        member: the recipient's node, running.
        carriers: whose; one alone where the Agreement has ``single``.
        settings: as they were asked.
        kept: the Agreement.
        cause: the step on which the Release hangs.
        rho: what it shall cost; as much as one release may when None.
        attempts: how often to try when members drop out.
        progress: told of each exchange.

    Raises:
        InputError: the Agreement cannot count by country. What members say is in the answer.
    """
    asked = QueryFile(
        agreement=kept.id,
        measure=MEASURE,
        dimensions=("country",),
        levels=("country=code",),
        first_day=settings.first_day,
        last_day=settings.as_of,
        rho=rho,
        owners=tuple(carriers),
    )
    query, _ = complete(asked, [kept])
    reason = "how many travellers are told"
    try:
        release, _ = await ask(member, query, kept.agreement, reason=reason, parent=cause.id, attempts=attempts, progress=progress)
    except InputError:
        raise
    except OneteamError as err:
        return NoticeCount(tuple(carriers), code=err.code, message=err.message)
    value, std = counted(release, kept, settings.codes)
    return NoticeCount(tuple(carriers), release, value if value >= release.smallest_count else None, std)


def counted(release: Release, kept: Kept, countries: Sequence[str]) -> tuple[int, float]:
    """Sum of a Release's noised counts over some countries, and the standard deviation of its noise."""
    (level,) = release.levels
    measure = measure_of(kept.agreement, MEASURE)
    codes = kept.agreement.dimensions[measure.domains.get("country", "country")].codes
    places = [codes.index(code) for code in countries]
    return int(level_values(level)[places].sum()), level.sigma * math.sqrt(len(places))


async def notify(
    member: MemberNode,
    settings: NoticeTerms,
    *,
    cause: Context | Alert | None = None,
    carriers: Sequence[str] = (),
    until: datetime | None = None,
    agreement: str | None = None,
    count: bool = True,
    rho: Rho | None = None,
    attempts: int = 1,
    progress: Progress = silent,
) -> Notices:
    """Ask carriers to tell their own travellers, and how many they are.

    Args:
        member: the recipient's node, running.
        settings: who shall be told what.
        cause: the Alert or the step that calls for it; a step of its own begins when None.
        carriers: whom to ask; all contributors of the Agreement when empty.
        until: after which a Command is void; in 24 h when None.
        agreement: the beginning of its id, where several fit.
        count: also ask for the number, which costs.
        rho: what each Release of it shall cost; as much as one release may when None.
        attempts: how often to try when members drop out of a secure sum; every further time costs again.
        progress: told of each step.

    Raises:
        InputError: settings that cannot be, no such Agreement, or an Alert without context.
    """
    now = member.node.now()
    kept = notice_agreement(member.book.all(), member.home.id, now, agreement)
    strangers = [name for name in carriers if name not in kept.agreement.contributors]
    if strangers or len(set(carriers)) != len(carriers):
        raise UnknownValueError(
            f"{', '.join(strangers) or 'a carrier named twice'}: no contributors of agreement {kept.id[:12]}",
            hint=f"Its contributors: {', '.join(kept.agreement.contributors)}.",
        )
    root = _cause(cause, member, settings)
    asked = [(name, step(member.home.id, f"tell travellers: {name}", now, root)) for name in carriers or kept.agreement.contributors]
    answers = await asyncio.gather(
        *(ask_notice(member, name, settings, context, until or now + LIFE, agreement=kept) for name, context in asked)
    )
    counts: list[NoticeCount] = []
    if count:
        accepted = {answer.member: answer for answer in answers if answer.answered == "accepted"}
        groups = [(name,) for name in accepted] if kept.agreement.single else [tuple(accepted)] if accepted else []
        for done, names in enumerate(groups):
            progress("counting", done, len(groups))
            own = accepted[names[0]].command.context if len(names) == 1 else None
            counts.append(await count_notified(member, names, settings, kept, own or root, rho=rho, attempts=attempts, progress=progress))
    return Notices(root, tuple(answers), tuple(counts))


def _cause(cause: Context | Alert | None, member: MemberNode, settings: NoticeTerms) -> Context:
    if isinstance(cause, Alert):
        if cause.context is None:
            raise UnknownValueError(
                f"alert {cause.id} has no context", hint="Give it the step that raised it, so that causes can be followed."
            )
        return cause.context
    return cause or step(member.home.id, f"travellers from {', '.join(settings.codes)} shall be told", member.node.now())
