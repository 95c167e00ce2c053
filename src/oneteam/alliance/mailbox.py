"""The hub's mailboxes: on disk before the sender is told so, in memory for speed.

A letter can be handed to a waiting receiver while it is still being written: the sender learns "taken" only after the commit, so a hub
that is killed in between has promised nothing. All writes go through one thread that joins whatever has come in meanwhile into one
transaction, in the order in which it came.

Stored are the receiver, a random id, a time of expiry and sealed bytes; the sender is not.
"""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Final

from oneteam.alliance.exchange import MAX_LETTERS
from oneteam.alliance.wire import MAX_SEALED_BYTES, Envelope
from oneteam.core.errors import BusyError, OneteamError
from oneteam.store.registry import Registry

MAILBOX_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS letter (
    receiver TEXT NOT NULL,
    id TEXT NOT NULL,
    expires_at INTEGER NOT NULL,
    sealed BLOB NOT NULL,
    PRIMARY KEY (receiver, id)
) STRICT
"""
REDELIVER_AFTER_S: Final = 20.0
"""A letter that was handed out and not acknowledged is handed out again after this time."""


@dataclass(frozen=True)
class Quotas:
    """What may lie in one mailbox.

    Args:
        letters: most letters.
        total_bytes: most bytes.
        letters_per_sender: most letters of one sender, counted since the hub's start.
        in_memory_bytes: over all mailboxes; beyond it, letters are read from disk when they are fetched.
    """

    letters: int = 10_000
    total_bytes: int = 4 * MAX_SEALED_BYTES
    letters_per_sender: int = 2_500
    in_memory_bytes: int = 128 * 2**20


@dataclass
class _Held:
    id: str
    expires_at: int
    size: int
    sealed: bytes | None
    sender: str | None
    storing: asyncio.Future[None] | None = None
    session: str = ""
    handed_at: float = float("-inf")


@dataclass
class _Box:
    letters: dict[str, _Held] = field(default_factory=dict)
    size: int = 0
    waiting: asyncio.Future[None] | None = None

    def wake(self) -> None:
        if self.waiting is not None and not self.waiting.done():
            self.waiting.set_result(None)


class Mailboxes:
    """All members' mailboxes; used from one event loop.

    Args:
        registry: opened with `MAILBOX_SCHEMA`.
        quotas: limits.
    """

    def __init__(self, registry: Registry, quotas: Quotas = Quotas()) -> None:
        self._quotas = quotas
        self._boxes: dict[str, _Box] = {}
        self._in_memory = 0
        self._disk = _Writer(registry)
        self._registry = registry
        self._closed = False
        with registry.read() as db:
            for receiver, letter, expires_at, size in db.execute(
                "SELECT receiver, id, expires_at, length(sealed) FROM letter ORDER BY rowid"
            ):
                box = self._box(receiver)
                box.letters[letter] = _Held(letter, expires_at, size, None, None)
                box.size += size

    def put(self, envelope: Envelope, sender: str, now: float) -> asyncio.Future[None] | None:
        """Take a letter.

        Returns:
            A future that is done when the letter is on disk; None when it is there already, or is too old to keep.

        Raises:
            BusyError: the mailbox is full.
        """
        box = self._box(envelope.receiver)
        if (known := box.letters.get(envelope.id)) is not None:
            return known.storing
        if envelope.expires_at <= now:
            return None
        theirs = sum(held.sender == sender for held in box.letters.values()) if len(box.letters) >= self._quotas.letters_per_sender else 0
        if (
            len(box.letters) >= self._quotas.letters
            or box.size + len(envelope.sealed) > self._quotas.total_bytes
            or theirs >= self._quotas.letters_per_sender
        ):
            raise BusyError(f"the mailbox of '{envelope.receiver}' is full", hint="Wait until that member's node fetches its mail.")
        held = _Held(envelope.id, envelope.expires_at, len(envelope.sealed), envelope.sealed, sender)
        box.letters[held.id] = held
        box.size += held.size
        self._in_memory += held.size
        row = (envelope.receiver, envelope.id, envelope.expires_at, envelope.sealed)
        held.storing = self._disk.do("INSERT OR IGNORE INTO letter VALUES (?, ?, ?, ?)", [row])
        held.storing.add_done_callback(lambda done: self._stored(box, held, done))
        box.wake()
        return held.storing

    def acknowledge(self, receiver: str, letters: Iterable[str]) -> None:
        """Forget letters that their receiver has dealt with."""
        box = self._box(receiver)
        gone = [letter for letter in dict.fromkeys(letters) if letter in box.letters]
        for letter in gone:
            self._drop(box, letter)
        if gone:
            self._disk.do("DELETE FROM letter WHERE receiver = ? AND id = ?", [(receiver, letter) for letter in gone])

    def forget_expired(self, now: float) -> int:
        """Drop what nobody fetched in time; gives how many letters."""
        old = [(name, held.id) for name, box in self._boxes.items() for held in box.letters.values() if held.expires_at <= now]
        for name, letter in old:
            self._drop(self._boxes[name], letter)
        if old:
            self._disk.do("DELETE FROM letter WHERE receiver = ? AND id = ?", old)
        return len(old)

    async def take(self, receiver: str, session: str, wait_s: float, *, limit_bytes: int = MAX_SEALED_BYTES) -> list[Envelope]:
        """Letters for a member, as many as fit; waits for the first one.

        A newer call for the same member ends an older one's waiting: the member has but one line.
        """
        box = self._box(receiver)
        loop = asyncio.get_running_loop()
        box.wake()
        until = loop.time() + wait_s
        while True:
            ready = self._ready(box, session, loop.time(), limit_bytes)
            left = until - loop.time()
            if ready or left <= 0 or self._closed:
                return await self._with_bytes(receiver, ready)
            mine = box.waiting = loop.create_future()
            try:
                await asyncio.wait_for(mine, min(left, REDELIVER_AFTER_S))
            except TimeoutError:
                pass
            finally:
                superseded = box.waiting is not mine
                if not superseded:
                    box.waiting = None
            if superseded:
                return []

    def hand_out_again(self, receiver: str) -> None:
        """A member lost its connection: whatever was handed out may not have arrived."""
        for held in self._box(receiver).letters.values():
            held.handed_at = float("-inf")

    def count(self) -> int:
        """Letters in all mailboxes."""
        return sum(len(box.letters) for box in self._boxes.values())

    def release_waiters(self) -> None:
        """End all waiting at once, now and from now on: the hub is about to stop."""
        self._closed = True
        for box in self._boxes.values():
            box.wake()

    def close(self) -> None:
        """Write what is left, then stop the writer."""
        self.release_waiters()
        self._disk.close()

    def _box(self, receiver: str) -> _Box:
        return self._boxes.setdefault(receiver, _Box())

    def _ready(self, box: _Box, session: str, now: float, limit_bytes: int) -> list[_Held]:
        found: list[_Held] = []
        room = limit_bytes
        for held in box.letters.values():
            if now - held.handed_at < REDELIVER_AFTER_S and held.session == session:
                continue
            if len(found) == MAX_LETTERS or (held.size > room and found):
                break
            room -= held.size
            held.handed_at, held.session = now, session
            found.append(held)
        return found

    async def _with_bytes(self, receiver: str, found: Sequence[_Held]) -> list[Envelope]:
        sealed = {held.id: held.sealed for held in found}
        missing = [letter for letter, content in sealed.items() if content is None]
        if missing:
            sealed |= await asyncio.to_thread(self._read, receiver, missing)
        return [Envelope(h.id, receiver, h.expires_at, content) for h in found if (content := sealed[h.id]) is not None]

    def _read(self, receiver: str, letters: Sequence[str]) -> dict[str, bytes | None]:
        with self._registry.read() as db:
            rows = (
                (letter, db.execute("SELECT sealed FROM letter WHERE receiver = ? AND id = ?", (receiver, letter)).fetchone())
                for letter in letters
            )
            return {letter: row[0] if row else None for letter, row in rows}

    def _stored(self, box: _Box, held: _Held, done: asyncio.Future[None]) -> None:
        held.storing = None
        if (done.cancelled() or done.exception() is not None) and held.id in box.letters:
            # Not on disk, so not taken: the sender will come again.
            self._drop(box, held.id)
        elif self._in_memory > self._quotas.in_memory_bytes and held.sealed is not None:
            held.sealed = None
            self._in_memory -= held.size

    def _drop(self, box: _Box, letter: str) -> None:
        held = box.letters.pop(letter)
        box.size -= held.size
        if held.sealed is not None:
            held.sealed = None
            self._in_memory -= held.size


@dataclass
class _Work:
    statement: str
    rows: list[tuple[object, ...]]
    done: asyncio.Future[None]
    loop: asyncio.AbstractEventLoop


class _Writer:
    """One thread, one transaction for all that has queued up."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._queue: queue.SimpleQueue[_Work | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="hub-writer", daemon=True)
        self._thread.start()

    def do(self, statement: str, rows: Sequence[tuple[object, ...]]) -> asyncio.Future[None]:
        loop = asyncio.get_running_loop()
        work = _Work(statement, list(rows), loop.create_future(), loop)
        # Nobody waits for a deletion; its failure must not be reported as forgotten.
        work.done.add_done_callback(lambda done: done.cancelled() or done.exception())
        self._queue.put(work)
        return work.done

    def close(self) -> None:
        self._queue.put(None)
        self._thread.join()

    def _run(self) -> None:
        while True:
            batch = self._next_batch()
            works = [work for work in batch if work is not None]
            failure = self._write(works)
            for work in works:
                _from_thread(work.loop, partial(_finish, work.done, failure))
            if len(works) < len(batch):
                return

    def _next_batch(self) -> list[_Work | None]:
        batch = [self._queue.get()]
        while not self._queue.empty() and batch[-1] is not None:
            batch.append(self._queue.get())
        return batch

    def _write(self, works: Sequence[_Work]) -> OneteamError | None:
        if not works:
            return None
        try:
            with self._registry.transaction() as db:
                for work in works:
                    db.executemany(work.statement, work.rows)
        except OneteamError as err:
            return err
        return None


def _finish(done: asyncio.Future[None], failure: OneteamError | None) -> None:
    if done.done():
        return
    if failure is None:
        done.set_result(None)
    else:
        done.set_exception(failure)


def _from_thread(loop: asyncio.AbstractEventLoop, call: Callable[[], None]) -> None:
    if not loop.is_closed():
        loop.call_soon_threadsafe(call)
