"""Ask a Query: of one member, or of several at once by a secure sum that this member, the recipient, drives.

A joint Query is three exchanges: open, mask, reveal. When somebody who opened does not mask, the survivors first agree on who they are.
The hub only relays; it is the recipient that unmasks.
"""

from __future__ import annotations

import asyncio
import json
import logging
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

from pydantic import JsonValue

from oneteam.alliance.node import Node, lines
from oneteam.alliance.wire import Message
from oneteam.core.canonical import content_id
from oneteam.core.errors import (
    BadSignatureError,
    BusyError,
    InputError,
    OneteamError,
    RefusedError,
    RoundError,
    UnknownValueError,
    UnreachableError,
    WrongTypeError,
)
from oneteam.core.model import Agreement, Context, Query, Release
from oneteam.core.progress import Progress, silent
from oneteam.privacy.agreements import threshold_of
from oneteam.privacy.combine import joint_release, read_release, round_of
from oneteam.privacy.requests import Request, RoundPlan, make_request, sign_request
from oneteam.privacy.secure_sum import MaskedShare, Opening, Reveal, Round, ShareHeader, Vote, parse

LOG: Final = logging.getLogger(__name__)
_T = TypeVar("_T")
_Message = tuple[Mapping[str, JsonValue], bytes]


@dataclass(frozen=True)
class Patience:
    """How long each exchange may take before a member counts as dropped out [s].

    Args:
        open_s: until it has decided.
        mask_s: until it has computed.
        reveal_s: until it has answered.
    """

    open_s: float = 10.0
    mask_s: float = 60.0
    reveal_s: float = 10.0


async def run_query(
    node: Node,
    query: Query,
    agreement: Agreement,
    *,
    context: Context | None = None,
    attempts: int = 1,
    patience: Patience = Patience(),
    progress: Progress = silent,
) -> Release:
    """Ask a Query and get its Release, verified.

    Args:
        node: the recipient's, running.
        query: with one owner a single member's Release, with several a joint one.
        agreement: the one that the query names.
        context: the step that asks.
        attempts: how often to try; every further round draws fresh noise and costs the budget again.
        patience: time limits.
        progress: told of each exchange.

    Raises:
        RefusedError: policy or budget of so many members refuse that none or too few are left; with all reasons of all of them.
        RoundError: too many members dropped out, in every attempt.
        UnreachableError: the one owner does not answer.
        UnknownValueError: the Agreement is not the query's.
    """
    if _id_of(agreement) != query.agreement:
        raise UnknownValueError("the query names another agreement", hint="Give the agreement whose id the query names.")
    if len(query.owners) == 1 and agreement.single:
        return await _single(node, query, context, patience)
    for left in range(attempts - 1, -1, -1):
        try:
            return await _Drive(node, query, agreement, context, patience, progress).run()
        except RoundError as err:
            if not left:
                raise
            LOG.warning("%s: %s; asking anew, which costs again", node.me, err.message)
    raise RoundError("no attempt was allowed", hint="attempts must be 1 or more.")


_KNOWN_IDS: Final[dict[int, tuple[Agreement, str]]] = {}


def _id_of(agreement: Agreement) -> str:
    """The Agreement's id, computed once for each object: the canonical form of large domains takes milliseconds."""
    found = _KNOWN_IDS.get(id(agreement))
    if found is None:
        if len(_KNOWN_IDS) >= 16:
            _KNOWN_IDS.clear()
        # The Agreement is kept beside its id, so that no other object can take its place in memory.
        found = _KNOWN_IDS[id(agreement)] = agreement, content_id(agreement)
    return found[1]


async def _single(node: Node, query: Query, context: Context | None, patience: Patience) -> Release:
    signed = sign_request(make_request(query, node.me, node.now(), context=context), node.keys)
    answer = await node.ask(query.owners[0], "query.ask", {"request": signed}, timeout_s=patience.open_s + patience.mask_s)
    release = await node.in_thread(read_release, answer.body, node.lookup)
    if release.query != query or release.recipient != node.me or release.round is not None:
        raise BadSignatureError(f"{query.owners[0]}: a Release of another query or for another recipient")
    return release


class _Drive:
    """One round of a secure sum, from the recipient's side."""

    def __init__(
        self, node: Node, query: Query, agreement: Agreement, context: Context | None, patience: Patience, progress: Progress
    ) -> None:
        plan = RoundPlan(
            round_id=secrets.token_hex(16),
            participants=query.owners + agreement.helpers,
            threshold=threshold_of(agreement),
            colluding=agreement.colluding,
        )
        self._node, self._agreement, self._patience, self._progress = node, agreement, patience, progress
        self._request: Request = make_request(query, node.me, node.now(), plan=plan, context=context)
        self._round: Round = round_of(self._request, agreement)
        self._failures: dict[str, OneteamError] = {}

    async def run(self) -> Release:
        """All exchanges, then the sum."""
        round_id, patience = self._round.id, self._patience
        signed = sign_request(self._request, self._node.keys)
        openings = await self._gather("round.open", self._round.participants, ({"request": signed}, b""), patience.open_s, _opening)
        self._check_enough(openings)
        opened = [openings[name] for name in self._round.ordered(openings)]
        shares = await self._gather("round.mask", tuple(openings), ({"round": round_id}, lines(opened)), patience.mask_s, _share)
        self._check_enough(shares)
        arrived = [shares[name] for name in self._round.ordered(shares)]
        headers = [share.header for share in arrived]
        votes: list[Vote] = []
        if len(shares) < len(openings):
            agreed = await self._gather("round.agree", tuple(shares), ({"round": round_id}, lines(headers)), patience.reveal_s, _vote)
            self._check_enough(agreed)
            votes = list(agreed.values())
        reveals = await self._gather(
            "round.reveal",
            tuple(shares),
            ({"round": round_id, "votes": len(votes)}, lines([*headers, *votes])),
            patience.reveal_s,
            _reveal,
            enough=self._round.threshold,
        )
        if len(reveals) < self._round.threshold:
            raise self._too_few(f"{len(reveals)} members revealed and {self._round.threshold} are needed")
        return await self._node.in_thread(self._combined, opened, arrived, list(reveals.values()))

    def _combined(self, openings: Sequence[Opening], shares: Sequence[MaskedShare], reveals: Sequence[Reveal]) -> Release:
        return joint_release(
            self._request,
            self._agreement,
            keys=self._node.keys,
            lookup=self._node.lookup,
            openings=openings,
            shares=shares,
            reveals=reveals,
            now=self._node.now(),
        )

    async def _gather(
        self,
        kind: str,
        members: Sequence[str],
        message: _Message,
        timeout_s: float,
        read: Callable[[str, Message], _T],
        enough: int | None = None,
    ) -> dict[str, _T]:
        """Ask all at once; who fails is noted and left out. With ``enough``, slow ones are not waited for."""
        found: dict[str, _T] = {}

        async def one(name: str) -> None:
            try:
                found[name] = read(name, await self._node.ask(name, kind, message[0], message[1], timeout_s=timeout_s))
            except OneteamError as err:
                self._failures[name] = err
                LOG.warning("%s: round %s, %s: %s", self._node.me, self._round.id[:8], kind, err.message)

        running = {asyncio.create_task(one(name)) for name in members}
        total, waiting = len(running), running
        try:
            while waiting and (enough is None or len(found) < enough):
                done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    task.result()
                self._progress(kind, len(found), total)
        finally:
            for task in running:
                task.cancel()
        return found

    def _check_enough(self, left: Mapping[str, object]) -> None:
        try:
            self._round.check_enough(left.keys())
        except RoundError as err:
            raise self._too_few(err.message) from err

    def _too_few(self, what: str) -> OneteamError:
        """Why the round ends: refusals before everything else, since asking again would not help."""
        told = "; ".join(err.message for err in self._failures.values())
        refused = [err for err in self._failures.values() if isinstance(err, RefusedError)]
        if refused:
            reasons = tuple(dict.fromkeys(reason for err in refused for reason in err.reasons))
            return RefusedError("; ".join(err.message for err in refused), reasons=reasons)
        firm = [err for err in self._failures.values() if not isinstance(err, UnreachableError | RoundError | BusyError)]
        if firm and not any(isinstance(err, InputError) for err in firm):
            return firm[0]
        return RoundError(f"{what}: {told}" if told else what, hint="Ask again: a new round draws fresh noise and costs again.")


def _opening(name: str, message: Message) -> Opening:
    return _own(name, parse(Opening, message.body))


def _share(name: str, message: Message) -> MaskedShare:
    header = message.header.get("share")
    if not isinstance(header, dict):
        raise WrongTypeError(f"{name}: a masked share without its header")
    return MaskedShare(_own(name, _header(header)), message.body)


def _header(fields: Mapping[str, JsonValue]) -> ShareHeader:
    return parse(ShareHeader, json.dumps(fields))


def _vote(name: str, message: Message) -> Vote:
    return _own(name, parse(Vote, message.body))


def _reveal(name: str, message: Message) -> Reveal:
    return _own(name, parse(Reveal, message.body))


_Own = TypeVar("_Own", Opening, ShareHeader, Vote, Reveal)


def _own(name: str, document: _Own) -> _Own:
    if document.member != name:
        raise BadSignatureError(f"{name}: a document in the name of '{document.member}'")
    return document
