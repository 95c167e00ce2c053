"""Checking a whole log: every hash recomputed from the entries, every signed checkpoint from the hashes."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from oneteam.core.errors import BadSignatureError, LogError, WrongTypeError
from oneteam.core.progress import Progress, silent
from oneteam.store import log_tables, merkle, notes

CHUNK_LEVEL: Final = 14
"""Entries are checked 2^14 at a time, so that memory does not grow with the log."""


@dataclass(frozen=True)
class Verified:
    """A log that is what its checkpoints say.

    Args:
        origin: its name.
        entries: how many.
        root: of the tree over all of them, hex.
        checkpoints: how many signed checkpoints it was compared with.
    """

    origin: str
    entries: int
    root: str
    checkpoints: int


def verify_log(db: sqlite3.Connection, public_key: bytes | None = None, progress: Progress = silent) -> Verified:
    """Recompute the tree from the entries and compare it with every stored hash and checkpoint.

    Args:
        db: an open read.
        public_key: the log's Ed25519 key; None leaves the checkpoints' signatures unchecked.
        progress: told how far it is.

    Raises:
        LogError: something was changed; the message says what.
    """
    size, origin = log_tables.size(db), log_tables.origin(db)
    _check_tree(db, size, progress)
    node, checkpoints = log_tables.node(db), 0
    for at, note in db.execute("SELECT size, note FROM audit_checkpoint ORDER BY size"):
        checkpoint = _own_checkpoint(note, public_key)
        if (checkpoint.origin, checkpoint.size) != (origin, at):
            raise LogError(f"the checkpoint kept for {at} entries of '{origin}' is of {checkpoint.size} of '{checkpoint.origin}'")
        if at > size:
            raise LogError(f"the log has {size} entries, but signed a checkpoint of {at}: it was cut or rolled back")
        if merkle.root(at, node) != checkpoint.root:
            raise LogError(f"one of the first {at} entries is not what it was when their checkpoint was signed")
        checkpoints += 1
    return Verified(origin, size, merkle.root(size, node).hex(), checkpoints)


def verify_lines(lines: Iterable[bytes], checkpoint: notes.Checkpoint, progress: Progress = silent) -> int:
    """Check an exported log, one leaf per line, against a checkpoint; how many entries stand after the checkpoint.

    Raises:
        LogError: the first entries are not those of the checkpoint.
    """
    count = 0

    def leaves() -> Iterator[bytes]:
        nonlocal count
        for line in lines:
            count += 1
            if count <= checkpoint.size:
                yield merkle.leaf_hash(line)
            if count % 65_536 == 0:
                progress("entries", count, checkpoint.size)

    root = merkle.root_of(leaves())
    if count < checkpoint.size:
        raise LogError(f"the export has {count} entries, its checkpoint {checkpoint.size}: it was cut or rolled back")
    if root != checkpoint.root:
        raise LogError(f"one of the first {checkpoint.size} entries is not what it was when their checkpoint was signed")
    return count - checkpoint.size


def _own_checkpoint(note: str, public_key: bytes | None) -> notes.Checkpoint:
    try:
        if public_key is not None:
            return notes.open_checkpoint(note, public_key).checkpoint
        return notes.Checkpoint.parse(notes.Note.parse(note).text)
    except (BadSignatureError, WrongTypeError) as err:
        raise LogError(f"a checkpoint that the log keeps of itself is not its own: {err.message}") from err


def _check_tree(db: sqlite3.Connection, size: int, progress: Progress) -> None:
    (count,) = db.execute("SELECT count(*) FROM audit_entry").fetchone()
    if count != size:
        raise LogError(f"the log's last entry is {size - 1}, but it has {count} entries: {_gap(db, count)}")
    for level, nodes in _nodes_by_level(db, size):
        if nodes != size >> level:
            raise LogError(f"the log's tree has {nodes} nodes at level {level} for {size} entries: entries were deleted, or nodes added")
    upper: dict[int, int] = {}
    pending: dict[int, bytes] = {}
    bodies = db.execute("SELECT body FROM audit_entry ORDER BY position")
    width = 1 << CHUNK_LEVEL
    for first in range(0, size, width):
        hashes = [sha256(b"\x00" + body).digest() for (body,) in bodies.fetchmany(width)]
        for level in range(CHUNK_LEVEL + 1):
            _compare_level(db, level, first >> level, hashes)
            if level < CHUNK_LEVEL:
                hashes = _pairs(hashes)
        level = CHUNK_LEVEL
        for value in hashes:  # the hash of a full chunk, combined with those of earlier ones as far as they make pairs
            above = value
            while level in pending:
                above = merkle.node_hash(pending.pop(level), above)
                level += 1
                _compare_level(db, level, upper.get(level, 0), [above])
                upper[level] = upper.get(level, 0) + 1
            pending[level] = above
        progress("entries", min(first + width, size), size)


def _nodes_by_level(db: sqlite3.Connection, size: int) -> list[tuple[int, int]]:
    counted = dict(db.execute("SELECT level, count(*) FROM audit_node GROUP BY level").fetchall())
    levels = set(counted) | set(range(size.bit_length()))
    return [(level, counted.get(level, 0)) for level in sorted(levels)]


def _compare_level(db: sqlite3.Connection, level: int, first: int, hashes: list[bytes]) -> None:
    rows = db.execute(
        "SELECT hash FROM audit_node WHERE level = ? AND position >= ? AND position < ? ORDER BY position",
        [level, first, first + len(hashes)],
    ).fetchall()
    stored = [row[0] for row in rows]
    if stored == hashes:
        return
    place = next((i for i, (a, b) in enumerate(zip(stored, hashes, strict=False)) if a != b), min(len(stored), len(hashes)))
    if level == 0:
        raise LogError(f"entry {first + place} is not what it was when it was appended")
    raise LogError(f"the log's tree was changed at level {level}, position {first + place}")


def _pairs(hashes: list[bytes]) -> list[bytes]:
    return [sha256(b"\x01" + hashes[i] + hashes[i + 1]).digest() for i in range(0, len(hashes) - 1, 2)]


def _gap(db: sqlite3.Connection, count: int) -> str:
    if count == 0 or db.execute("SELECT 1 FROM audit_entry WHERE position = 0").fetchone() is None:
        return "entry 0 is missing"
    (last,) = db.execute(
        "SELECT min(position) FROM audit_entry e WHERE NOT EXISTS (SELECT 1 FROM audit_entry n WHERE n.position = e.position + 1)"
    ).fetchone()
    return f"entry {last + 1} is missing"
