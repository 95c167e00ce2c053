"""What a member has answered already: a message that comes again gets the same answer, and is not worked on twice."""

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
) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS wire_reply_expires ON wire_reply (expires_at)
"""
LARGEST_STORED_BYTES: Final = 256 * 1024
"""Larger replies are kept in memory only; after a restart the message is refused as a replay."""
_IN_MEMORY_BYTES: Final = 96 * 2**20
_SWEEP_EVERY: Final = 500


class Replies:
    """Kept replies by sender and message id; safe between threads.

    Args:
        registry: opened with `REPLIES_SCHEMA`.
    """

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._recent: OrderedDict[tuple[str, str], bytes] = OrderedDict()
        self._size = 0
        self._kept = 0
        self._lock = threading.Lock()

    def find(self, sender: str, message: str) -> tuple[bool, bytes | None]:
        """Whether the message was answered, and the sealed reply if it is still held."""
        with self._lock:
            if (sealed := self._recent.get((sender, message))) is not None:
                return True, sealed
        with self._registry.read() as db:
            row = db.execute("SELECT sealed FROM wire_reply WHERE sender = ? AND id = ?", (sender, message)).fetchone()
        return (False, None) if row is None else (True, row[0])

    def keep(self, sender: str, message: str, expires_at: datetime, sealed: bytes, now: datetime) -> None:
        """Remember a reply until the message that it answers expires."""
        stored = sealed if len(sealed) <= LARGEST_STORED_BYTES else None
        until = int(expires_at.timestamp()) + 1
        with self._registry.transaction() as db:
            db.execute("INSERT OR REPLACE INTO wire_reply VALUES (?, ?, ?, ?)", (sender, message, until, stored))
            self._kept += 1
            if self._kept % _SWEEP_EVERY == 1:
                db.execute("DELETE FROM wire_reply WHERE expires_at < ?", (int(now.timestamp()),))
        with self._lock:
            self._recent[sender, message] = sealed
            self._size += len(sealed)
            while self._size > _IN_MEMORY_BYTES:
                _, dropped = self._recent.popitem(last=False)
                self._size -= len(dropped)
