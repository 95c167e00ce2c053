"""Whether a member acts on a Command: default deny, every reason at once, no reason depends on data.

A Command asks a member to do something with its own data on its own machines, as to tell travellers; nothing of the data is answered. It
needs an Agreement all the same: the one that lets the asker count, noised, what is acted on. The rules are numbered in docs/agreements.md.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Final

from oneteam.core.errors import BadSignatureError, ReplayError, WrongTypeError
from oneteam.core.keys import Keys
from oneteam.core.model import Command, Context
from oneteam.core.part import ActionInfo
from oneteam.privacy.policy import RULES, Decision, Kept, LocalLimits, Reason
from oneteam.privacy.requests import SKEW
from oneteam.privacy.signing import Lookup, read_document, sign_compact, verify_compact

MAX_COMMAND_LIFE: Final = timedelta(days=7)
"""A Command that stays good for longer is refused: what it rests on may have changed."""

COMMANDS_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS command_taken (
  id TEXT NOT NULL, asker TEXT NOT NULL, at INTEGER NOT NULL, PRIMARY KEY (id, asker)
) WITHOUT ROWID, STRICT;
"""

COMMAND_RULES: Final = {
    "command.entity": ("The command is for another entity than this member's.", "명령의 대상이 이 회원이 아닙니다."),
    "command.action": ("Nothing here does this action.", "이 동작을 수행할 수 없습니다."),
    "command.off": ("This member does not act on commands.", "이 회원은 명령에 따라 동작하지 않습니다."),
    "command.dataset": ("This member does not act on the agreement's dataset.", "이 회원은 합의된 데이터로 동작하지 않습니다."),
    "command.contributor": ("This member brings no data under the agreement.", "이 회원은 합의의 데이터 제공자가 아닙니다."),
    "command.many": ("This member has acted on as many commands in a day as it allows.", "하루에 허용한 명령 수를 넘었습니다."),
    "command.agreement": ("The command names no agreement.", "명령에 합의서가 적혀 있지 않습니다."),
}
"""Reasons beside those of `oneteam.privacy.policy.RULES`, which are listed after them."""


@dataclass(frozen=True)
class AskedCommand:
    """A Command whose signature and time hold.

    Args:
        command: what is asked.
        context: the Command's own step.
        asker: who signed it.
        digest: SHA-256 of the signed text.
    """

    command: Command
    context: Context
    asker: str
    digest: str

    @property
    def agreement(self) -> str:
        """Id of the Agreement that it names; empty when it names none."""
        named = self.command.settings.get("agreement", "")
        return named if isinstance(named, str) else ""


@dataclass(frozen=True)
class Switch:
    """What the owner has decided about acting on Commands.

    Args:
        on: whether it acts at all.
        dataset: on which of its datasets.
        part: the part that reads this dataset.
        action: what that part can do of the name that the Command gives; None if nothing.
        left: how many more Commands of the asker it acts on now.
    """

    on: bool = False
    dataset: str | None = None
    part: str | None = None
    action: ActionInfo | None = None
    left: int = 1


def sign_command(command: Command, asker: str, keys: Keys) -> str:
    """The text that goes to the member that shall act: a compact JWS by the asker.

    Raises:
        WrongTypeError: a Command without a context, whose id makes it one that is carried out once.
    """
    if command.context is None:
        raise WrongTypeError("a command needs a context: its id makes sure that it is carried out once, its parent says why")
    return sign_compact(command, asker, keys)


def open_command(text: str, lookup: Lookup, now: datetime, skew: timedelta = SKEW) -> AskedCommand:
    """A Command whose signature and time hold; whether it came before is `take_once`'s to say.

    Args:
        text: as `sign_command` gave it.
        lookup: the members' keys.
        now: the member's own clock.
        skew: how far the asker's clock may be ahead.

    Raises:
        BadSignatureError: a signature that does not hold, or a stranger's; signed by another than its context's actor.
        WrongTypeError: not a Command, without a context, not in its canonical form, or good for longer than `MAX_COMMAND_LIFE`.
        ReplayError: expired, or from the future.

    >>> from datetime import UTC
    >>> keys, now = Keys.generate(), datetime(2026, 3, 1, tzinfo=UTC)
    >>> why = Context(id="1" * 32, parent="0" * 32, actor="agency", reason="tell travellers", at=now)
    >>> command = Command(entity="telecom.skylark", action="notify_travellers", until=now + timedelta(hours=1), context=why)
    >>> text = sign_command(command, "agency", keys)
    >>> open_command(text, {"agency": keys.public}.get, now).asker
    'agency'
    >>> open_command(text, {"agency": keys.public}.get, now + timedelta(hours=2))
    Traceback (most recent call last):
    oneteam.core.errors.ReplayError: the command has expired
    """
    payload, signer = verify_compact(text, lookup)
    command = read_document(payload, Command)
    context = command.context
    if context is None:
        raise WrongTypeError("a command needs a context", hint="Its id makes sure that it is carried out once.")
    if context.actor != signer:
        raise BadSignatureError(f"a command of '{context.actor}' that '{signer}' has signed")
    if now >= command.until:
        raise ReplayError("the command has expired", hint="Ask anew; if it happens again, compare the clocks of both sides.")
    if context.at > now + skew:
        raise ReplayError(f"the command comes from more than {skew.seconds} s in the future", hint="Compare the clocks of both sides.")
    if command.until - context.at > MAX_COMMAND_LIFE:
        raise WrongTypeError(f"a command that is good for more than {MAX_COMMAND_LIFE.days} days", hint="Ask for less, and again later.")
    return AskedCommand(command, context, signer, sha256(text.encode()).hexdigest())


def decide_command(
    asked: AskedCommand, kept: Kept | None, me: str, now: datetime, switch: Switch, limits: LocalLimits | None = None
) -> Decision:
    """Whether this member acts on a Command; every reason if not.

    Args:
        asked: the Command and its signer.
        kept: the Agreement that it names, as kept here; None if it is not.
        me: the member that decides.
        now: its clock.
        switch: what the owner has decided.
        limits: the owner's own.

    Returns:
        The decision; reasons stand in the order of `COMMAND_RULES`, then of `oneteam.privacy.policy.RULES`, each once.

    >>> from datetime import UTC
    >>> why = Context(id="1" * 32, actor="agency", reason="tell travellers", at=datetime(2026, 3, 1, tzinfo=UTC))
    >>> command = Command(entity="telecom.skylark", action="notify_travellers", until=why.at, context=why)
    >>> decide_command(AskedCommand(command, why, "agency", ""), None, "skylark", why.at, Switch()).codes
    ('command.off', 'command.agreement')
    """
    broken = {*_own(asked, me, switch), *_limited(asked.asker, switch, now, limits or LocalLimits())}
    if not asked.agreement:
        broken.add("command.agreement")
    elif kept is None or kept.id != asked.agreement:
        broken.add("agreement.unknown")
    else:
        broken.update(_agreed(asked, kept, me, now, switch))
    if not broken:
        return Decision(permit=True)
    return Decision(permit=False, reasons=tuple(Reason(code, *texts) for code, texts in (COMMAND_RULES | RULES).items() if code in broken))


def _own(asked: AskedCommand, me: str, switch: Switch) -> Iterator[str]:
    domain, _, whose = asked.command.entity.partition(".")
    # A member that does not act tells nothing of what it could do.
    if not switch.on:
        yield "command.off"
    elif domain != switch.part or switch.action is None:
        yield "command.action"
    if whose != me:
        yield "command.entity"
    if switch.on and switch.left < 1:
        yield "command.many"


def _limited(asker: str, switch: Switch, now: datetime, limits: LocalLimits) -> Iterator[str]:
    if limits.paused:
        yield "local.paused"
    if limits.until is not None and now >= limits.until:
        yield "local.until"
    if limits.recipients is not None and asker not in limits.recipients:
        yield "local.recipient"
    if limits.measures is not None and switch.action is not None and switch.action.measure not in limits.measures:
        yield "local.measure"


def _agreed(asked: AskedCommand, kept: Kept, me: str, now: datetime, switch: Switch) -> Iterator[str]:
    agreement = kept.agreement
    rules = {
        "agreement.unsigned": bool(kept.missing),
        "agreement.revoked": kept.revoked is not None,
        "period.early": now < agreement.not_before,
        "period.over": now >= agreement.until,
        "purpose": asked.command.settings.get("purpose") != agreement.purpose,
        "requester.stranger": asked.asker not in agreement.recipients,
        "requester.contributor": asked.asker in agreement.contributors and not agreement.contributors_may_receive,
        "requester.helper": asked.asker in agreement.helpers,
        "command.contributor": me not in agreement.contributors,
        "command.dataset": switch.on and agreement.dataset != switch.dataset,
        "measure": switch.action is not None and all(switch.action.measure != measure.name for measure in agreement.measures),
    }
    yield from (code for code, broken in rules.items() if broken)


def take_once(db: sqlite3.Connection, asked: AskedCommand, now: datetime) -> None:
    """Let a Command pass once, inside the transaction that decides on it. What was taken is never forgotten: there are few.

    Args:
        db: of a registry with `COMMANDS_SCHEMA`.
        asked: the Command.
        now: the member's clock.

    Raises:
        ReplayError: one of this asker with the same context id was carried out before.
    """
    row = [asked.context.id, asked.asker, int(now.timestamp())]
    if db.execute("INSERT OR IGNORE INTO command_taken (id, asker, at) VALUES (?, ?, ?)", row).rowcount != 1:
        raise ReplayError("this command was carried out before", hint="Sign a new one; each has a context of its own.")


def taken_since(db: sqlite3.Connection, asker: str, since: datetime) -> int:
    """How many Commands of an asker were taken from a moment on."""
    return int(db.execute("SELECT count(*) FROM command_taken WHERE asker = ? AND at >= ?", [asker, int(since.timestamp())]).fetchone()[0])
