"""The audit log's tables: entries, hashes of complete subtrees, signed checkpoints. Functions on an open transaction."""

from __future__ import annotations

import sqlite3
from typing import Final

from oneteam.core.errors import LogError
from oneteam.store import merkle

LOG_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS audit_log (id INTEGER PRIMARY KEY CHECK (id = 1), base TEXT NOT NULL, number INTEGER NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS audit_entry (position INTEGER PRIMARY KEY, body BLOB NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS audit_node (
  level INTEGER NOT NULL, position INTEGER NOT NULL, hash BLOB NOT NULL, PRIMARY KEY (level, position)
) WITHOUT ROWID, STRICT;
CREATE TABLE IF NOT EXISTS audit_checkpoint (size INTEGER PRIMARY KEY, note TEXT NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS audit_past (
  number INTEGER NOT NULL, position INTEGER NOT NULL, body BLOB NOT NULL, PRIMARY KEY (number, position)
) WITHOUT ROWID, STRICT;
"""


def name_log(db: sqlite3.Connection, base: str) -> None:
    """Give a new log its name.

    Raises:
        LogError: it has another.
    """
    db.execute("INSERT OR IGNORE INTO audit_log VALUES (1, ?, 1)", [base])
    (found,) = db.execute("SELECT base FROM audit_log").fetchone()
    if found != base:
        raise LogError(f"the registry holds the log '{found}', not '{base}'", hint="Every member has a registry of its own.")


def origin(db: sqlite3.Connection) -> str:
    """The name on checkpoints."""
    base, number = db.execute("SELECT base, number FROM audit_log").fetchone()
    return base if number == 1 else f"{base}/restart-{number}"


def size(db: sqlite3.Connection) -> int:
    """One more than the last entry's index."""
    (last,) = db.execute("SELECT max(position) FROM audit_entry").fetchone()
    return 0 if last is None else int(last) + 1


def node(db: sqlite3.Connection) -> merkle.Node:
    """The stored hashes."""

    def read(level: int, position: int) -> bytes:
        row = db.execute("SELECT hash FROM audit_node WHERE level = ? AND position = ?", (level, position)).fetchone()
        if row is None:
            raise LogError(f"the log's tree lacks the node at level {level}, position {position}: entries were deleted")
        found: bytes = row[0]
        return found

    return read


def append(db: sqlite3.Connection, body: bytes) -> int:
    """Add a leaf and the subtrees that it completes; its index."""
    index = size(db)
    db.execute("INSERT INTO audit_entry VALUES (?, ?)", (index, body))
    for made in merkle.append(index, merkle.leaf_hash(body), node(db)):
        # A node that stands there already betrays a log that was cut; writing over it would hide that.
        if db.execute("INSERT OR IGNORE INTO audit_node VALUES (?, ?, ?)", made).rowcount != 1:
            raise LogError(f"the log's tree has a node beyond its {index} entries: entries were deleted")
    return index


def note_at(db: sqlite3.Connection, entries: int) -> str | None:
    """The checkpoint signed at this size."""
    row = db.execute("SELECT note FROM audit_checkpoint WHERE size = ?", [entries]).fetchone()
    return row[0] if row else None


def last_note(db: sqlite3.Connection) -> str | None:
    """The largest checkpoint signed."""
    row = db.execute("SELECT note FROM audit_checkpoint ORDER BY size DESC LIMIT 1").fetchone()
    return row[0] if row else None


def newest_notes(db: sqlite3.Connection, count: int) -> list[tuple[int, str]]:
    """The last checkpoints signed, largest first."""
    return db.execute("SELECT size, note FROM audit_checkpoint ORDER BY size DESC LIMIT ?", [count]).fetchall()


def keep_note(db: sqlite3.Connection, entries: int, note: str) -> None:
    """Keep the checkpoint of a size, in place of the one with fewer cosignatures."""
    db.execute("INSERT OR REPLACE INTO audit_checkpoint VALUES (?, ?)", [entries, note])


def cut(db: sqlite3.Connection, entries: int) -> list[bytes]:
    """Take away everything after the first ``entries``, checkpoints too; the leaves taken away. Only a recovery does so."""
    taken: list[bytes] = [body for (body,) in db.execute("SELECT body FROM audit_entry WHERE position >= ? ORDER BY position", [entries])]
    db.execute("DELETE FROM audit_entry WHERE position >= ?", [entries])
    db.execute("DELETE FROM audit_node WHERE ((position + 1) << level) > ?", [entries])
    db.execute("DELETE FROM audit_checkpoint WHERE size > ?", [entries])
    return taken


def begin_anew(db: sqlite3.Connection) -> str:
    """Put the entries aside and start an empty history under the next name."""
    db.execute("INSERT INTO audit_past SELECT number, position, body FROM audit_log, audit_entry")
    for table in ("audit_entry", "audit_node", "audit_checkpoint"):
        db.execute(f"DELETE FROM {table}")  # noqa: S608 - names of our own
    db.execute("UPDATE audit_log SET number = number + 1")
    return origin(db)
