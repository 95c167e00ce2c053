"""A member's process: it connects outward to the hub, answers what it is asked, and asks for others' answers.

No code comes in. A message names one of a few kinds; what it asks for is a typed `Query` of a measure that the member's parts offer, and
what may leave is the gate's decision alone.

================ ============================================ ===================================================
kind             in                                           out
================ ============================================ ===================================================
query.ask        header ``request`` (JWS)                     body: the Release
round.open       header ``request`` (JWS)                     body: the Opening
round.mask       header ``round``; body: Openings, by line    header ``share``; body: masked values
round.agree      header ``round``; body: ShareHeaders         body: the Vote
round.reveal     header ``round``, ``votes`` (how many);      body: the Reveal
                 body: ShareHeaders, then Votes
catalog.ask      nothing                                      body: DCAT 3 JSON-LD
agreement.revoke header ``revocation`` (JWS)                  nothing
notice.ask       header ``command`` (JWS)                     header ``accepted``: true; a refusal is an error
audit.checkpoint header ``old``, ``new`` sizes                header ``log``: this log's newest checkpoint;
                                                              ``proof`` between the sizes
audit.held       nothing                                      header ``held``: notes of others' logs;
                                                              ``revocations`` of common Agreements
ping             nothing                                      headers ``version``, ``ready``: whether its gate answers
================ ============================================ ===================================================
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any, Final, Protocol, TypeVar

from pydantic import JsonValue

import oneteam
from oneteam.alliance.courier import LIFE, Courier, Reply
from oneteam.alliance.failures import describe
from oneteam.alliance.gossip import Gossip
from oneteam.alliance.replies import Replies
from oneteam.alliance.serving import stopping
from oneteam.alliance.transport import HubLine
from oneteam.alliance.wire import MAX_LIFE, Message
from oneteam.core.canonical import canonical
from oneteam.core.errors import OneteamError, RefusedError, RoundError, UnsupportedMeasureError, WrongTypeError
from oneteam.core.keys import Keys
from oneteam.core.model import Document, Release
from oneteam.privacy.agreements import Revocation
from oneteam.privacy.secure_sum import MaskedShare, Opening, Reveal, ShareHeader, Vote, parse
from oneteam.privacy.signing import Lookup
from oneteam.store.registry import Registry

LOG: Final = logging.getLogger(__name__)
MAX_DOCUMENTS: Final = 256
"""Documents in one body, by line."""
_WORKERS: Final = 8
_GOSSIP_PATIENCE_S: Final = 3.0
_MAX_REVOCATIONS: Final = 64
_T = TypeVar("_T")


class Gatekeeper(Protocol):
    """What the node needs of `oneteam.privacy.gate.Gate`."""

    def release(self, signed_request: str, sender: str | None = None) -> Release:
        """A single member's Release."""

    def open_round(self, signed_request: str, sender: str | None = None) -> Opening:
        """First exchange of a secure sum."""

    def share(self, round_id: str, openings: Sequence[Opening]) -> MaskedShare:
        """Second exchange."""

    def agree(self, round_id: str, survivors: Sequence[ShareHeader]) -> Vote:
        """After a drop-out."""

    def reveal(self, round_id: str, survivors: Sequence[ShareHeader], votes: Sequence[Vote]) -> Reveal:
        """Third exchange."""


class Revoker(Protocol):
    """What the node needs of `oneteam.privacy.book.AgreementBook`."""

    def revoke(self, signed_revocation: str) -> Revocation:
        """Keep a revocation, and enter it in the log."""

    def revocations_for(self, member: str) -> list[str]:
        """Signed revocations of Agreements that a member is a party of."""


class Actor(Protocol):
    """What the node needs of a member that acts on Commands."""

    def act(self, signed_command: str, sender: str) -> None:
        """Carry a Command out, or refuse it; nothing of the data comes back."""


@dataclass(frozen=True)
class NodeServices:
    """What a node answers with.

    Args:
        gate: None at a member that neither contributes nor helps.
        book: the Agreements.
        gossip: keeps checkpoints of all members' logs; None leaves them out.
        catalogue: the member's DCAT catalogue, as the asking member may see it.
        actor: carries out Commands; None at a member that has no data to act on.
        ready: whether queries are answered now; not before the log is level with what others hold of it.
    """

    gate: Gatekeeper | None
    book: Revoker
    gossip: Gossip | None
    catalogue: Callable[[str], Mapping[str, Any]]
    actor: Actor | None = None
    ready: Callable[[], bool] = lambda: True


class Node:
    """One member's node.

    Args:
        me: the member's id.
        keys: the member's.
        lookup: the roster.
        peers: ids of all members of the roster.
        line: to the hub.
        registry: the member's, opened with `oneteam.alliance.replies.REPLIES_SCHEMA` among others.
        services: what it answers with.
        now: the member's clock.
        gossip_s: how often it exchanges checkpoints with the others; 0 leaves that out.
    """

    def __init__(
        self,
        me: str,
        keys: Keys,
        lookup: Lookup,
        *,
        peers: Sequence[str],
        line: HubLine,
        registry: Registry,
        services: NodeServices,
        now: Callable[[], datetime],
        gossip_s: float = 600.0,
    ) -> None:
        self.me = me
        self.keys = keys
        self.lookup = lookup
        self.now = now
        self.peers = tuple(peer for peer in peers if peer != me)
        self._services = services
        self._gossip = services.gossip
        self._gossip_s = gossip_s
        self._line = line
        # Of the node alone: a pool shared with others could be full of their waiting.
        self._pool = ThreadPoolExecutor(_WORKERS, thread_name_prefix="node")
        self._askers: dict[str, tuple[str, datetime]] = {}
        self._courier = Courier(me, keys, lookup, line, Replies(registry), self._handle, now, self._hear)
        self._handlers: Mapping[str, Callable[[Message], Awaitable[Reply]]] = MappingProxyType(
            {
                "query.ask": self._query_ask,
                "round.open": self._round_open,
                "round.mask": self._round_mask,
                "round.agree": self._round_agree,
                "round.reveal": self._round_reveal,
                "catalog.ask": self._catalog_ask,
                "agreement.revoke": self._agreement_revoke,
                "notice.ask": self._notice_ask,
                "audit.checkpoint": self._audit_checkpoint,
                "audit.held": self._audit_held,
                "ping": self._ping,
            }
        )

    @property
    def connected(self) -> asyncio.Event:
        """Set while the hub answers."""
        return self._courier.connected

    async def run(self) -> None:
        """Serve until cancelled."""
        tasks = [asyncio.create_task(self._courier.run())]
        if self._gossip is not None:
            tasks.append(asyncio.create_task(self._gossip.run()))
            if self._gossip_s:
                tasks.append(asyncio.create_task(self._gossip_loop(self._gossip)))
        try:
            await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            self._pool.shutdown(wait=False, cancel_futures=True)
            await self._line.close()

    async def ask(
        self,
        receiver: str,
        kind: str,
        header: Mapping[str, JsonValue] | None = None,
        body: bytes = b"",
        *,
        timeout_s: float = 30.0,
        life: timedelta = LIFE,
    ) -> Message:
        """Ask another member; what it holds of this one's log is taken in on the way.

        Raises:
            UnreachableError: no answer in time.
            OneteamError: what the member answered.
        """
        fields = dict(header or {})
        if self._gossip is not None:
            fields["log"] = self._gossip.acknowledgement(receiver)
        return await self._courier.ask(receiver, kind, fields, body, timeout_s=timeout_s, life=life)

    async def in_thread(self, work: Callable[..., _T], *arguments: object) -> _T:
        """Do work that computes or waits for the disk."""
        return await asyncio.get_running_loop().run_in_executor(self._pool, work, *arguments)

    async def revoke(self, signed_revocation: str, parties: Sequence[str]) -> dict[str, str]:
        """Tell the other parties of a revocation; gives the error code by member for those not reached.

        A member that is away gets it from the hub when it comes back within a week, and later from any party that it meets.
        """

        async def tell(peer: str) -> tuple[str, str]:
            try:
                await self.ask(peer, "agreement.revoke", {"revocation": signed_revocation}, timeout_s=10.0, life=MAX_LIFE)
            except OneteamError as err:
                return peer, err.code
            return peer, ""

        told = [peer for peer in self.peers if peer in parties]
        return {peer: code for peer, code in await asyncio.gather(*map(tell, told)) if code}

    async def exchange_checkpoints(self) -> dict[str, str]:
        """One turn of gossip with every other member; gives what went wrong by member.

        Raises:
            LogError: a member shows different histories to different members; both signed notes are kept.
        """
        if self._gossip is None:
            return {}
        return await self._gossip.exchange(self._ask_briefly, self.peers)

    async def _ask_briefly(self, receiver: str, kind: str, header: Mapping[str, JsonValue] | None = None) -> Message:
        """For gossip: who is away now is asked again later. Revocations that come with an answer are kept."""
        answer = await self.ask(receiver, kind, header, timeout_s=_GOSSIP_PATIENCE_S)
        revocations = answer.header.get("revocations", [])
        for text in revocations[:_MAX_REVOCATIONS] if isinstance(revocations, list) else []:
            try:
                await self.in_thread(self._services.book.revoke, str(text))
            except OneteamError as err:
                LOG.warning("%s: a revocation from %s: %s", self.me, receiver, err.code)
        return answer

    async def _gossip_loop(self, gossip: Gossip) -> None:
        await self.connected.wait()
        while True:
            try:
                await gossip.exchange(self._ask_briefly, self.peers)
            except OneteamError as err:
                LOG.error("%s: %s", self.me, err.message)  # noqa: TRY400 - public text only
            await asyncio.sleep(self._gossip_s)

    def _hear(self, message: Message) -> None:
        if self._gossip is not None:
            self._gossip.take(message.sender, message.header.get("log"))

    async def _handle(self, message: Message) -> Reply:
        handler = self._handlers.get(message.kind)
        if handler is None:
            raise WrongTypeError(f"no kind '{message.kind}'", hint=f"Kinds: {', '.join(self._handlers)}.")
        self._hear(message)
        try:
            if self._gossip is not None and message.kind in {"query.ask", "round.open"}:
                # Before anything is charged: the asker may be the only one who knows what was charged before a backup was restored.
                await self.in_thread(self._gossip.compare, message.sender, message.header.get("log"))
            reply = await handler(message)
        except OneteamError as err:
            if self._gossip is None:
                raise
            # A refusal is in the log too, and its checkpoint goes with it.
            reply = Reply(describe(err), kind="error")
        # A round's entries are covered by the checkpoint that goes with its last exchange.
        if self._gossip is not None and (reply.kind == "error" or message.kind not in {"round.open", "round.mask", "round.agree"}):
            reply.header["log"] = await self.in_thread(self._gossip.checkpoint_for, message.sender)
        return reply

    @property
    def _gate(self) -> Gatekeeper:
        if self._services.gate is None:
            raise UnsupportedMeasureError(f"'{self.me}' brings no data and adds no noise", hint="See `oneteam catalog`.")
        return self._services.gate

    async def _query_ask(self, message: Message) -> Reply:
        release = await self.in_thread(self._gate.release, _text(message, "request"), message.sender)
        return Reply({}, canonical(_meant_for(message, release)))

    async def _round_open(self, message: Message) -> Reply:
        opening = await self.in_thread(self._gate.open_round, _text(message, "request"), message.sender)
        self._askers = {name: known for name, known in self._askers.items() if known[1] > self.now()}
        # The gate knows the recipient by its signature under the request. That this message comes from the same one is checked by the
        # steps that follow: whoever copies a request cannot go on with the round.
        self._askers[opening.round] = (message.sender, self.now() + 5 * LIFE)
        return Reply({}, opening.model_dump_json().encode())

    async def _round_mask(self, message: Message) -> Reply:
        openings = [parse(Opening, line) for line in _lines(message.body)]
        share = await self.in_thread(self._gate.share, self._round_of(message), openings)
        return Reply({"share": share.header.model_dump(mode="json")}, share.values)

    async def _round_agree(self, message: Message) -> Reply:
        headers = [parse(ShareHeader, line) for line in _lines(message.body)]
        vote = await self.in_thread(self._gate.agree, self._round_of(message), headers)
        return Reply({}, vote.model_dump_json().encode())

    async def _round_reveal(self, message: Message) -> Reply:
        lines = _lines(message.body)
        votes = message.header.get("votes", 0)
        if not isinstance(votes, int) or not 0 <= votes <= len(lines):
            raise WrongTypeError("'votes' must say how many of the lines are votes")
        survivors = [parse(ShareHeader, line) for line in lines[: len(lines) - votes]]
        agreed = [parse(Vote, line) for line in lines[len(lines) - votes :]]
        reveal = await self.in_thread(self._gate.reveal, self._round_of(message), survivors, agreed)
        return Reply({}, reveal.model_dump_json().encode())

    async def _catalog_ask(self, message: Message) -> Reply:
        found = await self.in_thread(self._services.catalogue, message.sender)
        return Reply({}, json.dumps(found, ensure_ascii=False).encode())

    async def _agreement_revoke(self, message: Message) -> Reply:
        await self.in_thread(self._services.book.revoke, _text(message, "revocation"))
        return Reply({})

    async def _notice_ask(self, message: Message) -> Reply:
        if self._services.actor is None:
            raise UnsupportedMeasureError(f"'{self.me}' brings no data and acts on no commands", hint="See `oneteam catalog`.")
        await self.in_thread(self._services.actor.act, _text(message, "command"), message.sender)
        # That it will be done, and never on how many.
        return Reply({"accepted": True})

    async def _audit_checkpoint(self, message: Message) -> Reply:
        if self._gossip is None:
            raise UnsupportedMeasureError(f"'{self.me}' keeps no audit log")
        old, new = message.header.get("old"), message.header.get("new")
        return Reply({"proof": await self.in_thread(self._gossip.proof_between, old, new)})

    async def _audit_held(self, message: Message) -> Reply:
        if self._gossip is None:
            raise UnsupportedMeasureError(f"'{self.me}' keeps no audit log")
        # A revocation reaches also those who were away longer than a letter lives.
        revocations: list[JsonValue] = list(await self.in_thread(self._services.book.revocations_for, message.sender))
        return Reply({"held": await self.in_thread(self._gossip.held_notes), "revocations": revocations[-_MAX_REVOCATIONS:]})

    async def _ping(self, _: Message) -> Reply:
        return Reply({"version": oneteam.__version__, "ready": await self.in_thread(self._services.ready)})

    def _round_of(self, message: Message) -> str:
        """The round that a message goes on with, if its sender is the one that opened it."""
        round_id = _text(message, "round")
        asker, _ = self._askers.get(round_id, ("", None))
        if asker != message.sender:
            raise RoundError("no such round is open here", hint="It ended, ran out of time, or this node was restarted; ask anew.")
        return round_id


async def serve_node(node: Node, *, stop: asyncio.Event | None = None, ready: Callable[[], None] | None = None) -> None:
    """Run a node until it is stopped.

    Args:
        node: made by the composition root.
        stop: ends the node when set; without one, SIGTERM and SIGINT do.
        ready: called when the hub has answered for the first time.
    """
    async with stopping(stop) as told:
        serving = asyncio.create_task(node.run())
        waiting = asyncio.create_task(told.wait())
        connecting = asyncio.create_task(node.connected.wait())
        try:
            await asyncio.wait({serving, waiting, connecting}, return_when=asyncio.FIRST_COMPLETED)
            if connecting.done() and not waiting.done() and not serving.done() and ready is not None:
                ready()
            await asyncio.wait({serving, waiting}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (serving, waiting, connecting):
                task.cancel()
            with suppress(asyncio.CancelledError):
                await serving


def lines(documents: Sequence[Document]) -> bytes:
    """Documents as a body, one in every line."""
    return b"\n".join(document.model_dump_json().encode() for document in documents)


def _lines(body: bytes) -> list[bytes]:
    found = body.split(b"\n", MAX_DOCUMENTS)
    if len(found) > MAX_DOCUMENTS:
        raise WrongTypeError(f"a body with more than {MAX_DOCUMENTS} documents")
    return found if body else []


def _text(message: Message, field: str) -> str:
    value = message.header.get(field)
    if not isinstance(value, str):
        raise WrongTypeError(f"a '{message.kind}' message needs the text field '{field}'")
    return value


def _meant_for(message: Message, release: Release) -> Release:
    if release.recipient != message.sender:
        raise RefusedError(f"the request was signed by another member than '{message.sender}', who sent it", reasons=("requester.sender",))
    return release
