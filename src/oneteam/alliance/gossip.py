"""Checkpoints of audit logs on their way round: every member witnesses every other's log, and nobody can show two histories.

An asker says with every message how much it holds of the other's log; the answer carries the other's newest signed checkpoint and the
proof that it continues what is held. Now and then members also show one another what they hold of third members' logs, so that an owner
that shows different histories to different members is found by both notes under its own signature.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from pydantic import Field, JsonValue, ValidationError

from oneteam.alliance.wire import Message
from oneteam.core.errors import LogError, OneteamError, WrongTypeError
from oneteam.core.model import Document
from oneteam.privacy.signing import Lookup
from oneteam.store.audit_entry import ConsistencyProof
from oneteam.store.audit_log import AuditLog, origin_of
from oneteam.store.notes import MAX_NOTE_CHARACTERS, MAX_SIZE, Checkpoint, Note
from oneteam.store.witness import split_origin

LOG: Final = logging.getLogger(__name__)
SETTLE_S: Final = 0.5
"""Checkpoints of one log that come in quick succession are witnessed once: the newest continues the others."""
MAX_HELD: Final = 512
Ask = Callable[[str, str, Mapping[str, JsonValue] | None], Awaitable[Message]]


class LogNews(Document):
    """The ``log`` field of a message's header.

    Args:
        held: entries of the receiver's log in the largest checkpoint that the sender holds of it.
        note: that checkpoint, signed by the receiver itself: a receiver that was set back finds out before it answers.
        cosignature: the sender's, on that checkpoint.
        checkpoint: the sender's own newest.
        proof: that it continues what the receiver holds.
    """

    held: int | None = Field(default=None, ge=0, le=MAX_SIZE)
    note: str | None = Field(default=None, max_length=MAX_NOTE_CHARACTERS)
    cosignature: str | None = Field(default=None, max_length=1024)
    checkpoint: str | None = Field(default=None, max_length=MAX_NOTE_CHARACTERS)
    proof: ConsistencyProof | None = None


@dataclass
class _Peer:
    """What is known of one other member."""

    held_here: int | None = None
    """Size that this member holds of its log; None when the registry was not asked yet."""
    held_there: int = 0
    cosignature: str | None = None
    news: LogNews | None = None
    unsaved_cosignature: str | None = None
    compared: str | None = None
    """The text of the newest checkpoint of the own log that it showed and that fits."""


@dataclass
class Gossip:
    """One member's part in witnessing.

    Args:
        me: the member's id.
        log: its audit log.
        lookup: the roster.
        settle_s: how long news gather before they are written.
        level: as `oneteam.privacy.ledger.Ledger.level_with`: told of the own log's checkpoints that others hold, when at least half of them
            answered or when they show that entries are missing here.
    """

    me: str
    log: AuditLog
    lookup: Lookup
    settle_s: float = SETTLE_S
    level: Callable[[AuditLog, Sequence[str]], None] | None = None
    faults: list[LogError] = field(default_factory=list)
    _peers: dict[str, _Peer] = field(default_factory=dict)
    _news: asyncio.Event = field(default_factory=asyncio.Event)

    async def run(self) -> None:
        """Write what came with messages, until cancelled."""
        while True:
            await self._news.wait()
            await asyncio.sleep(self.settle_s)
            self._news.clear()
            for name in list(self._peers):
                try:
                    await asyncio.to_thread(self._settle, name)
                except OneteamError as err:
                    self._note_fault(name, err)

    def acknowledgement(self, peer: str) -> dict[str, JsonValue]:
        """What goes with a message to a member: how much of its log is held here, and the cosignature for it, once."""
        known = self._peer(peer)
        held = self.log.held(origin_of(peer))
        news = LogNews(held=self._held_here(peer), note=held.note if held else None, cosignature=known.cosignature)
        known.cosignature = None
        return news.model_dump(mode="json", exclude_none=True)

    def checkpoint_for(self, peer: str) -> dict[str, JsonValue]:
        """What goes with an answer to a member: the newest checkpoint and its proof, unless the member holds it already."""
        note = self.log.checkpoint()
        size = Checkpoint.parse(Note.parse(note).text).size
        old = self._peer(peer).held_there
        if size == old:
            return {}
        proof = self.log.prove_consistency(old, size) if 0 < old < size else None
        return LogNews(checkpoint=note, proof=proof).model_dump(mode="json", exclude_none=True)

    def take(self, peer: str, field_of_header: JsonValue) -> None:
        """Take in what came with a message; writing it waits for a moment. What is not of its form is left aside."""
        if field_of_header is None or self.lookup(peer) is None:
            return
        try:
            news = LogNews.model_validate(field_of_header)
        except ValidationError:
            LOG.warning("%s: %s sent log news that are not of their form", self.me, peer)
            return
        known = self._peer(peer)
        if news.held is not None:
            known.held_there = news.held
        if news.cosignature is not None:
            known.unsaved_cosignature = news.cosignature
        if news.checkpoint is not None:
            known.news = news
        if known.unsaved_cosignature or known.news:
            self._news.set()

    def compare(self, peer: str, field_of_header: JsonValue) -> None:
        """Compare the own log with the checkpoint of it that came with a message, before the message is worked on.

        Raises:
            LogError: the own log was set back, or is another one; the ledger refuses from now on.
        """
        note = field_of_header.get("note") if isinstance(field_of_header, dict) else None
        if not isinstance(note, str) or len(note) > MAX_NOTE_CHARACTERS:
            return
        known, text = self._peer(peer), note.partition("\n\n")[0]
        if text != known.compared:
            self._check_own([note], enough=False)
            known.compared = text

    def proof_between(self, old: JsonValue, new: JsonValue) -> dict[str, JsonValue]:
        """The proof that one size of the own log continues another.

        Raises:
            WrongTypeError: not two sizes of this log.
        """
        if not (isinstance(old, int) and isinstance(new, int) and 0 <= old <= new):
            raise WrongTypeError("'old' and 'new' must be sizes of this log, the smaller one first")
        return self.log.prove_consistency(old, new).model_dump(mode="json")

    def held_notes(self) -> list[JsonValue]:
        """The largest checkpoint held of every other log."""
        notes: list[JsonValue] = [held.note for held in self.log.all_held()]
        return notes[:MAX_HELD]

    async def exchange(self, ask: Ask, peers: Sequence[str]) -> dict[str, str]:
        """Ask every member what it holds, and compare.

        Returns:
            Error codes by member for those who could not be asked.

        Raises:
            LogError: a member showed different histories to different members, or this member's own log is not the one that others
                witnessed.
        """
        failed: dict[str, str] = {}
        faults: list[LogError] = []
        own: list[str] = []

        async def one(peer: str) -> None:
            try:
                answer = await ask(peer, "audit.held", None)
                await asyncio.to_thread(self._settle, peer)
                own.extend(await self._compare(ask, answer.header.get("held")))
            except LogError as err:
                self._note_fault(peer, err)
                faults.append(err)
            except OneteamError as err:
                failed[peer] = err.code

        await asyncio.gather(*map(one, peers))
        try:
            await asyncio.to_thread(self._check_own, own, enough=2 * len(failed) <= len(peers))
        except LogError as err:
            self._note_fault(self.me, err)
            faults.append(err)
        if faults:
            raise faults[0]
        return failed

    async def _compare(self, ask: Ask, notes: JsonValue) -> list[str]:
        """Look at what another member holds; gives those notes that are of the own log."""
        if not isinstance(notes, list) or len(notes) > MAX_HELD:
            raise WrongTypeError("'held' must be a list of checkpoints")
        own: list[str] = []
        for note in notes:
            if not isinstance(note, str) or len(note) > MAX_NOTE_CHARACTERS:
                raise WrongTypeError("'held' must be a list of checkpoints")
            checkpoint = Checkpoint.parse(Note.parse(note).text)
            base = split_origin(checkpoint.origin)[0]
            owner = base.rpartition("/")[2]
            if origin_of(owner) != base or self.lookup(owner) is None:
                continue
            if owner == self.me:
                own.append(note)
            else:
                await self._compare_one(ask, owner, checkpoint, note)
        return own

    def _check_own(self, notes: Sequence[str], *, enough: bool) -> None:
        """Compare the own log with what others hold of it; with enough of them asked, the ledger is told that it is level."""
        try:
            outside = self.log.compare_with(notes)
        except LogError:
            if self.level is not None:
                # It finds the same, and the ledger refuses with this reason from now on.
                self.level(self.log, notes)
            raise
        if self.level is not None and (enough or not outside.level):
            self.level(self.log, notes)
        if not outside.level:
            raise LogError(
                f"this log has {self.log.size} entries, others witnessed {outside.highest}: it was rolled back",
                hint="If a backup was restored: `oneteam audit restore`.",
            )

    async def _compare_one(self, ask: Ask, owner: str, checkpoint: Checkpoint, note: str) -> None:
        """A third member's checkpoint: the same as the one held, or joined to it by a proof that its owner must give."""
        keys = self.lookup(owner)
        assert keys is not None, "looked up before"
        seen = await asyncio.to_thread(self.log.witness, note, None, keys, cosign=False, fresh=False)
        if not seen.accepted:
            old, new = sorted((seen.held_size, checkpoint.size))
            answer = await ask(owner, "audit.checkpoint", {"old": old, "new": new})
            try:
                proof = ConsistencyProof.model_validate(answer.header.get("proof"))
            except ValidationError as err:
                raise WrongTypeError(f"{owner}: an answer without the proof that was asked for") from err
            await asyncio.to_thread(self.log.witness, note, proof, keys, cosign=False, fresh=False)
        held = self.log.held(checkpoint.origin)
        self._peer(owner).held_here = held.checkpoint.size if held else 0

    def _settle(self, name: str) -> None:
        """Write one member's news: its checkpoint as witness, its cosignature on the own one."""
        known, keys = self._peer(name), self.lookup(name)
        if keys is None:
            return
        line, known.unsaved_cosignature = known.unsaved_cosignature, None
        if line is not None:
            self.log.keep_cosignature(line, origin_of(name), keys)
        news, known.news = known.news, None
        if news is None or news.checkpoint is None:
            return
        origin = Checkpoint.parse(Note.parse(news.checkpoint).text).origin
        if split_origin(origin)[0] != origin_of(name):
            raise WrongTypeError(f"{name}: a checkpoint of '{origin}' as its own")
        witnessed = self.log.witness(news.checkpoint, news.proof, keys)
        known.held_here = witnessed.held_size
        if witnessed.cosignature is not None:
            known.cosignature = witnessed.cosignature

    def _note_fault(self, name: str, err: OneteamError) -> None:
        LOG.error("%s: about the log of %s: %s", self.me, name, err.message)
        if isinstance(err, LogError):
            self.faults = [*self.faults[-99:], err]

    def _peer(self, name: str) -> _Peer:
        return self._peers.setdefault(name, _Peer())

    def _held_here(self, peer: str) -> int:
        known = self._peer(peer)
        if known.held_here is None:
            held = self.log.held(origin_of(peer))
            known.held_here = held.checkpoint.size if held else 0
        return known.held_here
