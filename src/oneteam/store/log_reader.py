"""Reading an audit log, for which no key is needed: entries, checkpoints, proofs, and what is held of others."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator

from oneteam.core.errors import WrongTypeError
from oneteam.store import log_tables, merkle, witness
from oneteam.store.audit_entry import AuditEntry, ConsistencyProof, InclusionProof, hash_text
from oneteam.store.registry import Registry
from oneteam.store.witness import Evidence, Held


class LogReader:
    """What the log says.

    Args:
        registry: the member's file.
    """

    def __init__(self, registry: Registry) -> None:
        registry.add_schemas([log_tables.LOG_SCHEMA, witness.WITNESS_SCHEMA])
        self.registry = registry

    @property
    def named(self) -> bool:
        """Whether a log was begun in this registry."""
        with self.registry.read() as db:
            return db.execute("SELECT 1 FROM audit_log").fetchone() is not None

    @property
    def origin(self) -> str:
        """The name on checkpoints: the base name, and ``/restart-N`` after the log had to begin anew."""
        with self.registry.read() as db:
            return log_tables.origin(db)

    @property
    def size(self) -> int:
        """How many entries there are."""
        with self.registry.read() as db:
            return log_tables.size(db)

    def entries(self, first: int = 0, count: int | None = None) -> Iterator[tuple[int, AuditEntry]]:
        """Entries with their index, in order, as they stand when this is called."""
        for index, body in self.bodies(first, count):
            yield index, AuditEntry.from_bytes(body)

    def bodies(self, first: int = 0, count: int | None = None) -> Iterator[tuple[int, bytes]]:
        """Leaves as they were hashed, with their index."""
        end = self.size if count is None else min(first + count, self.size)
        for start in range(first, end, 10_000):
            with self.registry.read() as db:
                rows = db.execute(
                    "SELECT position, body FROM audit_entry WHERE position >= ? AND position < ? ORDER BY position",
                    [start, min(start + 10_000, end)],
                ).fetchall()
            yield from rows

    def latest_checkpoint(self) -> str | None:
        """The largest checkpoint signed so far."""
        with self.registry.read() as db:
            return log_tables.last_note(db)

    def prove_inclusion(self, index: int, size: int | None = None) -> InclusionProof:
        """That entry ``index`` stands in the tree of ``size`` entries (all, when None).

        Raises:
            WrongTypeError: there is no such entry or tree.
        """
        with self.registry.read() as db:
            node, whole = log_tables.node(db), self._size_within(db, size)
            path = merkle.prove_inclusion(index, whole, node)
            return InclusionProof(
                origin=log_tables.origin(db),
                leaf_index=index,
                tree_size=whole,
                leaf_hash=hash_text(node(0, index)),
                root=hash_text(merkle.root(whole, node)),
                proof=tuple(map(hash_text, path)),
            )

    def prove_consistency(self, old: int, new: int | None = None) -> ConsistencyProof:
        """That the tree of ``new`` entries (all, when None) begins with that of ``old``.

        Raises:
            WrongTypeError: there is no such tree.
        """
        with self.registry.read() as db:
            node, whole = log_tables.node(db), self._size_within(db, new)
            path = merkle.prove_consistency(old, whole, node)
            return ConsistencyProof(
                origin=log_tables.origin(db),
                old_size=old,
                new_size=whole,
                old_root=hash_text(merkle.root(old, node)),
                new_root=hash_text(merkle.root(whole, node)),
                proof=tuple(map(hash_text, path)),
            )

    def held(self, origin: str) -> Held | None:
        """The largest checkpoint held of another log."""
        with self.registry.read() as db:
            return witness.held(db, origin)

    def all_held(self) -> list[Held]:
        """The largest checkpoint held of every other log."""
        with self.registry.read() as db:
            return witness.all_held(db)

    def evidence(self) -> list[Evidence]:
        """Everything found against other logs, oldest first."""
        with self.registry.read() as db:
            return witness.all_evidence(db)

    @staticmethod
    def _size_within(db: sqlite3.Connection, asked: int | None) -> int:
        size = log_tables.size(db)
        if asked is not None and not 0 <= asked <= size:
            raise WrongTypeError(f"the log has {size} entries, not {asked}")
        return size if asked is None else asked
