"""Holding other members' checkpoints: what they showed once they cannot take back.

Of every log the largest checkpoint is held, with a history of earlier ones. A checkpoint that does not continue them is a lie by that
log's owner, and the two notes, both under its signature, prove it to anyone; they are kept as evidence. Functions on an open
transaction; `store.audit_log.AuditLog` is the door.
"""

from __future__ import annotations

import re
import sqlite3
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

from oneteam.core.errors import LogError, WrongTypeError
from oneteam.store import merkle
from oneteam.store.audit_entry import ConsistencyProof
from oneteam.store.notes import Checkpoint

WITNESS_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS audit_held (
  origin TEXT NOT NULL, size INTEGER NOT NULL, root BLOB NOT NULL, note TEXT NOT NULL, at TEXT NOT NULL, PRIMARY KEY (origin, size)
) WITHOUT ROWID, STRICT;
CREATE TABLE IF NOT EXISTS audit_evidence (
  id INTEGER PRIMARY KEY, origin TEXT NOT NULL, fault TEXT NOT NULL, held TEXT NOT NULL, shown TEXT NOT NULL, at TEXT NOT NULL,
  UNIQUE (origin, fault, held, shown)
) STRICT;
CREATE TABLE IF NOT EXISTS audit_restart (origin TEXT PRIMARY KEY, at TEXT NOT NULL) STRICT;
"""
HISTORY: Final = 256
"""Checkpoints held of one log."""
Fault = Literal["split", "rollback", "inconsistent", "restart"]

_RESTART: Final = re.compile(r"(.+)/restart-([1-9][0-9]{0,8})")
_SAID: Final[dict[Fault, str]] = {
    "split": "shows two different histories of the same length",
    "rollback": "shows a history shorter than the one it showed before",
    "inconsistent": "shows a history that does not continue the one it showed before",
    "restart": "has begun a new history",
}


@dataclass(frozen=True)
class Held:
    """A checkpoint of another log, its signature checked when it came.

    Args:
        checkpoint: what it says.
        note: as it came.
        at: when it came, ISO 8601.
    """

    checkpoint: Checkpoint
    note: str
    at: str


@dataclass(frozen=True)
class Witnessed:
    """What came of a checkpoint that was shown.

    Args:
        accepted: it continues what is held. When False, nothing speaks against it either: the proof did not start at the held size.
        held_size: of the largest checkpoint held now; a proof must start there.
        cosignature: the signature line to send back, None when none was asked for or the checkpoint is not the largest.
    """

    accepted: bool
    held_size: int
    cosignature: str | None = None


@dataclass(frozen=True)
class Evidence:
    """Two notes under one log's signature that cannot both be true.

    Args:
        origin: the log.
        fault: what it did.
        held: the note held before.
        shown: the note shown after it.
        at: when, ISO 8601.
    """

    origin: str
    fault: Fault
    held: str
    shown: str
    at: str


def split_origin(origin: str) -> tuple[str, int]:
    """A log's name without its restart, and the number of its history, from 1.

    >>> split_origin("oneteam.log/kt"), split_origin("oneteam.log/kt/restart-2")
    (('oneteam.log/kt', 1), ('oneteam.log/kt', 2))
    """
    found = _RESTART.fullmatch(origin)
    return (found[1], int(found[2])) if found else (origin, 1)


def held(db: sqlite3.Connection, origin: str) -> Held | None:
    """The largest checkpoint held of a log."""
    row = db.execute("SELECT size, root, note, at FROM audit_held WHERE origin = ? ORDER BY size DESC LIMIT 1", [origin]).fetchone()
    return Held(Checkpoint(origin, row[0], row[1]), row[2], row[3]) if row else None


def all_held(db: sqlite3.Connection) -> list[Held]:
    """The largest checkpoint held of every log, by name."""
    found = [held(db, origin) for (origin,) in db.execute("SELECT DISTINCT origin FROM audit_held ORDER BY origin").fetchall()]
    return [one for one in found if one is not None]


def all_evidence(db: sqlite3.Connection) -> list[Evidence]:
    """Everything that was found against other logs, oldest first."""
    return [Evidence(*row) for row in db.execute("SELECT origin, fault, held, shown, at FROM audit_evidence ORDER BY id")]


def count_evidence(db: sqlite3.Connection) -> int:
    """How many pieces of evidence are kept."""
    (found,) = db.execute("SELECT count(*) FROM audit_evidence").fetchone()
    return int(found)


def accept_restart(db: sqlite3.Connection, origin: str, at: datetime) -> None:
    """Agree that a log begins anew under this name, after its owner has explained why."""
    if split_origin(origin)[1] == 1:
        raise WrongTypeError(f"'{origin}' is not the name of a restarted log", hint="It ends in /restart-2 or a higher number.")
    db.execute("INSERT OR IGNORE INTO audit_restart VALUES (?, ?)", [origin, at.isoformat()])


def look_at(
    db: sqlite3.Connection, checkpoint: Checkpoint, note: str, proof: ConsistencyProof | None, at: datetime, *, fresh: bool
) -> Witnessed | Evidence:
    """Compare a checkpoint, whose signature holds, with what is held; hold it if it continues that.

    Returns:
        Evidence, already kept, when the two cannot both be true.
    """
    against = _contradiction(db, checkpoint, fresh=fresh)
    if against is None:
        last = held(db, checkpoint.origin)
        if last is None or last.checkpoint.size == 0:
            return _hold(db, checkpoint, note, at)
        old, new = sorted((last.checkpoint, checkpoint), key=lambda one: one.size)
        if old == new:
            return Witnessed(accepted=True, held_size=new.size)
        if old.size > 0 and _held_at(db, checkpoint) is None:
            if proof is None or (proof.old_size, proof.new_size) != (old.size, new.size):
                return Witnessed(accepted=False, held_size=last.checkpoint.size)
            if not _continues(old, new, proof):
                against = ("inconsistent", last.note)
    if against is None:
        return _hold(db, checkpoint, note, at) if new is checkpoint else Witnessed(accepted=True, held_size=new.size)
    found = Evidence(checkpoint.origin, against[0], against[1], note, at.isoformat())
    db.execute(
        "INSERT OR IGNORE INTO audit_evidence (origin, fault, held, shown, at) VALUES (?, ?, ?, ?, ?)",
        [found.origin, found.fault, found.held, found.shown, found.at],
    )
    return found


def _held_at(db: sqlite3.Connection, checkpoint: Checkpoint) -> tuple[bytes, str] | None:
    row = db.execute("SELECT root, note FROM audit_held WHERE origin = ? AND size = ?", [checkpoint.origin, checkpoint.size]).fetchone()
    return (row[0], row[1]) if row else None


def _contradiction(db: sqlite3.Connection, checkpoint: Checkpoint, *, fresh: bool) -> tuple[Fault, str] | None:
    """What speaks against a checkpoint without any proof, and the held note that does."""
    same = _held_at(db, checkpoint)
    if same is not None and same[0] != checkpoint.root:
        return "split", same[1]
    last = held(db, checkpoint.origin)
    earlier, later = _other_histories(db, checkpoint.origin)
    if later is not None and fresh:
        return "rollback", later.note
    if last is None:
        agreed = db.execute("SELECT 1 FROM audit_restart WHERE origin = ?", [checkpoint.origin]).fetchone()
        return ("restart", earlier.note) if earlier is not None and not agreed else None
    return ("rollback", last.note) if fresh and checkpoint.size < last.checkpoint.size else None


def error_for(found: Evidence) -> LogError:
    """The error that carries evidence to people."""
    return LogError(
        f"the log '{found.origin}' {_SAID[found.fault]}",
        hint="Both signed notes are kept: `oneteam audit show --evidence`."
        + (" If its owner has explained it: `oneteam audit accept-restart`." if found.fault == "restart" else ""),
        detail=f"held:\n{found.held}\nshown:\n{found.shown}",
    )


def _continues(old: Checkpoint, new: Checkpoint, proof: ConsistencyProof) -> bool:
    try:
        merkle.verify_consistency(old.size, new.size, proof.hashes, old.root, new.root)
    except LogError:
        return False
    return True


def _other_histories(db: sqlite3.Connection, origin: str) -> tuple[Held | None, Held | None]:
    """The last history of the same log before, and the last after, the one of this name, as far as held."""
    base, number = split_origin(origin)
    rows = db.execute("SELECT DISTINCT origin FROM audit_held WHERE origin >= ?1 AND origin < ?1 || '/restart-:'", [base]).fetchall()
    numbers = {split_origin(name)[1]: name for (name,) in rows if split_origin(name)[0] == base}
    earlier = max((n for n in numbers if n < number), default=0)
    later = max((n for n in numbers if n > number), default=0)
    return (held(db, numbers[earlier]) if earlier else None, held(db, numbers[later]) if later else None)


def _hold(db: sqlite3.Connection, checkpoint: Checkpoint, note: str, at: datetime) -> Witnessed:
    db.execute(
        "INSERT OR REPLACE INTO audit_held VALUES (?, ?, ?, ?, ?)",
        [checkpoint.origin, checkpoint.size, checkpoint.root, note, at.isoformat()],
    )
    db.execute(
        "DELETE FROM audit_held WHERE origin = ?1 AND size <= "
        "(SELECT size FROM audit_held WHERE origin = ?1 ORDER BY size DESC LIMIT 1 OFFSET ?2)",
        [checkpoint.origin, HISTORY],
    )
    return Witnessed(accepted=True, held_size=checkpoint.size)
