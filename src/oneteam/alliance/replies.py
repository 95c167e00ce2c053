"""What a member has answered already: a message that comes again gets the same answer, and is not worked on twice.

Replies are known in memory at once and written a moment later, many in one transaction. A node that is killed in between answers such a
message anew: what must not happen twice, a charge or a round, is refused by the gate's own records, which are on disk first.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from datetime import datetime
from typing import Final

from oneteam.store.registry import Registry

REPLIES_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS wire_reply (
    sender TEXT NOT NULL,
    id TEXT NOT NULL,
    expires_at INTEGER NOT NULL,
    sealed BLOB,
    PRIMARY KEY (sender, id)
) STRICT, WITHOUT ROWID
"""
LARGEST_STORED_BYTES: Final = 256 * 1024
"""Larger replies are kept in memory only; after a restart the message is refused as a replay."""
_IN_MEMORY_BYTES: Final = 96 * 2**20

_Key = tuple[str, str]


class Replies:
    """Kept replies by sender and message id; safe between threads.

    Args:
        registry: opened with `REPLIES_SCHEMA`.
    """

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._lock = threading.Lock()
        self._recent: OrderedDict[_Key, bytes] = OrderedDict()
        self._size = 0
        self._unsaved: list[tuple[str, str, int, bytes | None]] = []
        with registry.read() as db:
            rows = db.execute("SELECT sender, id, expires_at FROM wire_reply").fetchall()
        self._known: dict[_Key, int] = {(sender, message): expires_at for sender, message, expires_at in rows}

    def known(self, sender: str, message: str) -> bool:
        """Whether the message was answered."""
        return (sender, message) in self._known

    def find(self, sender: str, message: str) -> bytes | None:
        """The sealed reply, None when it is not held any more."""
        with self._lock:
            if (sealed := self._recent.get((sender, message))) is not None:
                return sealed
        with self._registry.read() as db:
            row = db.execute("SELECT sealed FROM wire_reply WHERE sender = ? AND id = ?", (sender, message)).fetchone()
        return row[0] if row else None

    def keep(self, sender: str, message: str, expires_at: datetime, sealed: bytes) -> None:
        """Remember a reply until the message that it answers expires; `save` writes it."""
        until = int(expires_at.timestamp()) + 1
        stored = sealed if len(sealed) <= LARGEST_STORED_BYTES else None
        with self._lock:
            self._known[sender, message] = until
            self._unsaved.append((sender, message, until, stored))
            self._recent[sender, message] = sealed
            self._size += len(sealed)
            while self._size > _IN_MEMORY_BYTES:
                _, dropped = self._recent.popitem(last=False)
                self._size -= len(dropped)

    def save(self, now: datetime) -> None:
        """Write what is not written yet, and forget what has expired.

        Raises:
            StorageError: it could not be written; the next call tries again.
        """
        now_s = int(now.timestamp())
        with self._lock:
            unsaved, self._unsaved = self._unsaved, []
        try:
            with self._registry.transaction() as db:
                db.executemany("INSERT OR REPLACE INTO wire_reply VALUES (?, ?, ?, ?)", unsaved)
                old = [(sender, message) for (sender, message), until in self._known.copy().items() if until < now_s]
                db.executemany("DELETE FROM wire_reply WHERE sender = ? AND id = ?", old)
        except BaseException:
            with self._lock:
                self._unsaved = unsaved + self._unsaved
            raise
        with self._lock:
            for key in old:
                self._known.pop(key, None)
                self._size -= len(self._recent.pop(key, b""))
