"""A member's post: messages out, messages in, over a line to the hub that may break at any time.

One exchange at a time waits at the hub. Whatever there is to send goes with the next exchange, which the hub takes as the end of the
older one's waiting; so a reply, its acknowledgement and the next wait are one request. After a broken line everything unacknowledged is
sent and fetched again, and both ends know a message by its id.
"""

from __future__ import annotations

import asyncio
import logging
import random
import secrets
import traceback
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Literal

from pydantic import JsonValue

from oneteam.alliance.exchange import MAX_LETTERS, MAX_WAIT_S, Refused
from oneteam.alliance.failures import describe, rebuild
from oneteam.alliance.replies import Replies
from oneteam.alliance.transport import HubLine
from oneteam.alliance.wire import CLOCKS, MAX_SEALED_BYTES, Envelope, Message, check_times, compose, opened, seal
from oneteam.core.errors import BusyError, OneteamError, ReplayError, TooLargeError, UnknownValueError, UnreachableError
from oneteam.core.keys import Keys
from oneteam.privacy.signing import Lookup

LOG: Final = logging.getLogger(__name__)
LIFE: Final = timedelta(seconds=120)
POLL_S: Final = 25.0
GRACE_S: Final = 0.030
"""How long a new wait at the hub is put off while an answer is being worked on: then both are one request."""
SAVE_S: Final = 0.1
"""How long answers gather before they are written."""
_SHORT_GRACE_S: Final = 0.001
_FIRST_PAUSE_S: Final = 0.2
_LONGEST_PAUSE_S: Final = 10.0
_LONGEST_SKEW_S: Final = 86_400.0
_TELL_S: Final = 10.0
_TELLS: Final = 32
_MAX_EXCHANGES: Final = 4
_MAX_WORK: Final = 64
_INLINE_BYTES: Final = 256 * 1024
"""Larger messages are sealed and unsealed in a thread."""

assert POLL_S <= MAX_WAIT_S


@dataclass(frozen=True)
class Reply:
    """What a handler answers.

    Args:
        header: fields.
        body: bytes.
        kind: ``reply``, or ``error`` for a described `OneteamError`.
    """

    header: dict[str, JsonValue]
    body: bytes = b""
    kind: Literal["reply", "error"] = "reply"


Handler = Callable[[Message], Awaitable[Reply]]
"""Answers a message; a `OneteamError` becomes a typed reply."""


@dataclass
class _Asked:
    receiver: str
    answer: asyncio.Future[Message]


class Courier:
    """Sends, receives, asks and answers for one member.

    Args:
        me: the member's id.
        keys: the member's.
        lookup: the roster.
        line: to the hub.
        replies: what was answered already.
        handler: answers others' messages.
        now: the member's clock.
        heard: told of every answer, also of errors and of those that nobody waits for any more.
    """

    def __init__(
        self,
        me: str,
        keys: Keys,
        lookup: Lookup,
        line: HubLine,
        replies: Replies,
        handler: Handler,
        now: Callable[[], datetime],
        heard: Callable[[Message], None] = lambda _: None,
    ) -> None:
        self.me = me
        self._keys = keys
        self._lookup = lookup
        self._line = line
        self._replies = replies
        self._handler = handler
        self._now = now
        self._heard = heard
        self._outbox: list[Envelope] = []
        self._acknowledged: list[str] = []
        self._asked: dict[str, _Asked] = {}
        self._envelope_of: dict[str, str] = {}
        self._at_work: dict[tuple[str, str], list[str]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._exchanges: set[asyncio.Task[None]] = set()
        self._wake = asyncio.Event()
        self._told: dict[str, tuple[float, int]] = {}
        self._saving: asyncio.Task[None] | None = None
        self._fresh = True
        self._pause_s = 0.0
        self._grace_s = 0.0
        self._failures = 0
        self.connected = asyncio.Event()

    async def run(self) -> None:
        """Exchange with the hub until cancelled."""
        try:
            while True:
                await self._until_due()
                outbox, self._outbox = _first(self._outbox)
                acknowledged, self._acknowledged = self._acknowledged[:MAX_LETTERS], self._acknowledged[MAX_LETTERS:]
                _spawn(self._exchanges, self._exchange(outbox, acknowledged)).add_done_callback(lambda _: self._wake.set())
        finally:
            # First, and without waiting: a second cancellation would interrupt what stands after an await.
            self._replies.save(self._now())
            for asked in self._asked.values():
                asked.answer.cancel()
            for task in self._exchanges | self._tasks:
                task.cancel()
            await asyncio.gather(*self._exchanges, *self._tasks, return_exceptions=True)

    async def ask(
        self,
        receiver: str,
        kind: str,
        header: dict[str, JsonValue] | None = None,
        body: bytes = b"",
        *,
        timeout_s: float,
        life: timedelta = LIFE,
    ) -> Message:
        """Send a message and wait for the answer.

        Args:
            receiver: a member.
            kind: what about.
            header: the kind's fields.
            body: bytes.
            timeout_s: how long to wait.
            life: how long the message is good.

        Returns:
            The member's reply.

        Raises:
            UnreachableError: no answer in time.
            UnknownValueError: not in the roster.
            OneteamError: what the member answered, as its own class.
        """
        message = compose(self.me, receiver, kind, now=self._now(), life=life, header=header, body=body)
        envelope = await self._sealed(message)
        asked = self._asked[message.id] = _Asked(receiver, asyncio.get_running_loop().create_future())
        self._envelope_of[envelope.id] = message.id
        self._send(envelope)
        try:
            answer = await asyncio.wait_for(asked.answer, timeout_s)
        except TimeoutError:
            raise UnreachableError(
                f"{receiver}: no answer to '{kind}' within {timeout_s:g} s",
                hint=f"Ask {receiver} whether its node is running and its clock is right.",
            ) from None
        finally:
            self._asked.pop(message.id, None)
            self._envelope_of.pop(envelope.id, None)
        if answer.kind == "error":
            raise rebuild(answer.header, receiver)
        return answer

    async def _until_due(self) -> None:
        """Return when the next exchange is to be made."""
        while True:
            if self._pause_s:
                # Jitter, lest all members come back to a restarted hub in the same moment.
                await asyncio.sleep(self._pause_s * random.uniform(0.5, 1.0))  # noqa: S311 - not a secret
                self._pause_s = 0.0
            if len(self._exchanges) < _MAX_EXCHANGES:
                if self._outbox:
                    return
                if not self._exchanges:
                    await self._wait(GRACE_S if self._at_work else self._grace_s)
                    self._grace_s = 0.0
                    return
            await self._wait(None)

    async def _wait(self, timeout_s: float | None) -> None:
        self._wake.clear()
        if timeout_s == 0.0:
            return
        try:
            await asyncio.wait_for(self._wake.wait(), timeout_s)
        except TimeoutError:
            return

    async def _exchange(self, outbox: list[Envelope], acknowledged: list[str]) -> None:
        fresh, self._fresh = self._fresh, False
        # The first exchange after a break must not wait: its answer says that the line is up again.
        wait_s = 0.0 if fresh else POLL_S
        try:
            letters, refused = await self._line.exchange(outbox, acknowledged=acknowledged, wait_s=wait_s, fresh=fresh)
        except OneteamError as err:
            self._broken(err, outbox, acknowledged)
            return
        except Exception as err:  # noqa: BLE001 - whatever the line or a library does, the letters must not be lost
            LOG.error("%s: an exchange failed: %s", self.me, _what_and_where(err))  # noqa: TRY400
            self._broken(UnreachableError("the exchange failed"), outbox, acknowledged)
            return
        self._failures = 0
        self.connected.set()
        for refusal in refused:
            self._not_taken(refusal)
        for letter in letters:
            await self._receive(letter)

    def _broken(self, err: OneteamError, outbox: list[Envelope], acknowledged: list[str]) -> None:
        self.connected.clear()
        self._fresh = True
        self._failures = min(self._failures + 1, 10)
        self._pause_s = min(_FIRST_PAUSE_S * 2 ** (self._failures - 1), _LONGEST_PAUSE_S)
        if isinstance(err, BusyError):
            self._pause_s = max(self._pause_s, 1.0)
        now_s = self._now().timestamp()
        if isinstance(err, TooLargeError):
            outbox = self._give_up_largest(err, outbox)
        self._outbox = [envelope for envelope in outbox if envelope.expires_at > now_s] + self._outbox
        self._acknowledged = acknowledged + self._acknowledged
        LOG.warning("%s: %s; next try in %.1f s", self.me, err.message, self._pause_s)

    def _give_up_largest(self, err: TooLargeError, outbox: list[Envelope]) -> list[Envelope]:
        if not outbox:
            return outbox
        largest = max(outbox, key=lambda envelope: len(envelope.sealed))
        self._not_taken(Refused(id=largest.id, code=err.code, message=err.message))
        return [envelope for envelope in outbox if envelope is not largest]

    def _not_taken(self, refused: Refused) -> None:
        asked = self._asked.get(self._envelope_of.get(refused.id, ""))
        if asked is not None and not asked.answer.done():
            asked.answer.set_exception(rebuild({"code": refused.code, "message": refused.message}, "hub"))
        else:
            err = rebuild({"code": refused.code, "message": refused.message}, "hub")
            LOG.warning("%s: the hub did not take a letter: %s", self.me, err.message)

    async def _receive(self, letter: Envelope) -> None:
        try:
            if len(letter.sealed) > _INLINE_BYTES:
                message = await asyncio.to_thread(opened, letter.sealed, self.me, self._keys, self._lookup)
            else:
                message = opened(letter.sealed, self.me, self._keys, self._lookup)
        except OneteamError as err:
            # Who sent it cannot be known, so nobody is answered.
            LOG.warning("%s: dropped a letter: %s", self.me, err.code)
            self._acknowledged.append(letter.id)
            return
        try:
            check_times(message.head, self._now())
        except ReplayError as err:
            self._acknowledged.append(letter.id)
            self._untimely(message, err)
            return
        if message.head.reply_to is not None:
            self._acknowledged.append(letter.id)
            self._resolve(message)
            return
        key = (message.sender, message.id)
        if key in self._at_work:
            self._at_work[key].append(letter.id)
        elif len(self._at_work) >= _MAX_WORK:
            # Not acknowledged: the hub hands it out again later.
            LOG.warning("%s: too much work at once, a message waits", self.me)
        else:
            self._at_work[key] = [letter.id]
            _spawn(self._tasks, self._answer(message))

    def _untimely(self, message: Message, err: ReplayError) -> None:
        """Somebody's clock is wrong, or a letter was kept back: it is not worked on, and whoever waits for an answer learns why."""
        head = message.head
        LOG.warning("%s: not taken, '%s' of %s: %s", self.me, message.kind, message.sender, err.message)
        ahead = (head.sent_at - self._now()).total_seconds()
        if head.reply_to is not None:
            asked = self._asked.get(head.reply_to)
            if asked is not None and asked.receiver == message.sender and not asked.answer.done():
                where = f"{abs(ahead):.0f} s {'ahead of' if ahead > 0 else 'behind'} this member's clock"
                asked.answer.set_exception(ReplayError(f"{message.sender}: its clock is {where}", hint=CLOCKS))
            return
        now_s = asyncio.get_running_loop().time()
        since_s, told = self._told.get(message.sender, (now_s, 0))
        if now_s - since_s > _TELL_S:
            since_s, told = now_s, 0
        # Not for letters that somebody has kept for long, and not for every one of many.
        if abs(ahead) < _LONGEST_SKEW_S and told < _TELLS:
            self._told[message.sender] = since_s, told + 1
            _spawn(self._tasks, self._tell_untimely(message, err))

    async def _tell_untimely(self, message: Message, err: ReplayError) -> None:
        self._send(await self._sealed(self._reply_message(message, _failure(err))))

    def _resolve(self, message: Message) -> None:
        self._heard(message)
        asked = self._asked.get(message.head.reply_to or "")
        if asked is None or asked.answer.done() or asked.receiver != message.sender:
            return
        asked.answer.set_result(message)
        self._grace_s = _SHORT_GRACE_S

    async def _answer(self, message: Message) -> None:
        key = (message.sender, message.id)
        try:
            # Two statements: while the answer is made, the outbox becomes another list.
            envelope = await self._answered(message)
            self._outbox.append(envelope)
        except OneteamError as err:
            LOG.error("%s: could not answer '%s': %s", self.me, message.kind, err.code)  # noqa: TRY400 - public text only
        finally:
            self._acknowledged.extend(self._at_work.pop(key, ()))
            self._wake.set()

    async def _answered(self, message: Message) -> Envelope:
        """The sealed answer: the kept one, or a new one that is kept."""
        if self._replies.known(message.sender, message.id):
            kept = await asyncio.to_thread(self._replies.find, message.sender, message.id)
            if kept is not None:
                return Envelope(secrets.token_hex(16), message.sender, int(message.head.expires_at.timestamp()) + 1, kept)
            failure = _failure(ReplayError("this message was answered before", hint="Ask anew."))
            return await self._sealed(self._reply_message(message, failure))
        envelope = await self._sealed(self._reply_message(message, await self._work(message)))
        self._replies.keep(message.sender, message.id, message.head.expires_at, envelope.sealed)
        if self._saving is None or self._saving.done():
            self._saving = _spawn(self._tasks, self._save_replies())
        return envelope

    async def _save_replies(self) -> None:
        await asyncio.sleep(SAVE_S)
        await asyncio.to_thread(self._replies.save, self._now())

    async def _work(self, message: Message) -> Reply:
        try:
            return await self._handler(message)
        except OneteamError as err:
            LOG.info("%s: '%s' of %s: %s", self.me, message.kind, message.sender, err.code)
            if err.detail:
                LOG.info("%s: %s", self.me, err.detail)
            return _failure(err)
        except Exception as err:  # noqa: BLE001 - whatever a message brings about, the node goes on
            LOG.error("%s: '%s' of %s failed: %s", self.me, message.kind, message.sender, _what_and_where(err))  # noqa: TRY400
            return _failure(OneteamError("the member's node failed on this message"))

    def _reply_message(self, message: Message, reply: Reply) -> Message:
        now = self._now()
        life = max(message.head.expires_at - now, timedelta(seconds=30))
        try:
            return compose(
                self.me, message.sender, reply.kind, now=now, life=life, header=reply.header, body=reply.body, reply_to=message.id
            )
        except TooLargeError as err:
            return compose(self.me, message.sender, "error", now=now, life=life, header=describe(err), reply_to=message.id)

    async def _sealed(self, message: Message) -> Envelope:
        known = self._lookup(message.head.receiver)
        if known is None:
            raise UnknownValueError(f"'{message.head.receiver}' is not in the roster", hint="See `oneteam roster show`.")
        if len(message.body) > _INLINE_BYTES:
            return await asyncio.to_thread(seal, message, self._keys, known)
        return seal(message, self._keys, known)

    def _send(self, envelope: Envelope) -> None:
        self._outbox.append(envelope)
        self._wake.set()


def _what_and_where(err: BaseException) -> str:
    """Type and places only: the text of a foreign error may repeat data."""
    return f"{type(err).__name__}\n{''.join(traceback.format_tb(err.__traceback__))}"


def _failure(err: OneteamError) -> Reply:
    return Reply(describe(err), kind="error")


def _first(outbox: list[Envelope]) -> tuple[list[Envelope], list[Envelope]]:
    """As many envelopes as one exchange takes, and the rest."""
    size = 0
    for count, envelope in enumerate(outbox):
        size += len(envelope.sealed)
        if count == MAX_LETTERS or (count and size > MAX_SEALED_BYTES):
            return outbox[:count], outbox[count:]
    return outbox, []


def _spawn(tasks: set[asyncio.Task[None]], work: Awaitable[None]) -> asyncio.Task[None]:
    task = asyncio.ensure_future(work)
    tasks.add(task)
    task.add_done_callback(tasks.discard)
    return task
