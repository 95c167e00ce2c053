"""A member's audit log: every decision, in the order in which it was taken, under a Merkle tree that others watch.

An entry is appended in the transaction of the decision it records, so there is neither a decision without its entry nor an entry
without its decision. Signed checkpoints go to the other members; from then on nothing before them can be changed, cut, reordered or
told differently to two members without one of them holding the proof.

Source: RFC 6962, section 2.1 (tree); C2SP tlog-checkpoint, tlog-cosignature, tlog-witness (c2sp.org).
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from typing import Final

from oneteam.core.errors import BadSignatureError, LogError, NothingFoundError, WrongTypeError
from oneteam.core.keys import Keys, PublicKeys
from oneteam.core.progress import Progress, silent
from oneteam.store import log_tables, merkle, notes, witness
from oneteam.store.audit_entry import AuditEntry, ConsistencyProof, InclusionProof
from oneteam.store.log_check import Verified, verify_log
from oneteam.store.log_reader import LogReader
from oneteam.store.registry import Registry
from oneteam.store.witness import Evidence, Witnessed

__all__ = ["AuditEntry", "AuditLog", "ConsistencyProof", "InclusionProof", "Outside", "Verified", "Witnessed", "origin_of"]

ORIGIN_PREFIX: Final = "oneteam.log/"


def origin_of(member_id: str) -> str:
    """The name of a member's log, which is also its name as a witness.

    >>> origin_of("kt")
    'oneteam.log/kt'
    """
    return f"{ORIGIN_PREFIX}{member_id}"


def utc_now() -> datetime:
    """The clock of a running node."""
    return datetime.now(UTC)


@dataclass(frozen=True)
class Outside:
    """How the own log stands to what others hold of it.

    Args:
        level: the own log is at or beyond every checkpoint that others hold.
        highest: size of the largest checkpoint that others hold, 0 when none.
        ignored: notes that this member's key never signed; they prove nothing.
    """

    level: bool
    highest: int
    ignored: int


class AuditLog(LogReader):
    """The own log of one member, and what it holds of others'.

    Args:
        registry: the member's file.
        origin: the log's name, as `origin_of` gives it.
        keys: the member's.
        now: the clock.

    Raises:
        LogError: the registry holds another log.

    >>> import tempfile
    >>> from pathlib import Path
    >>> folder = tempfile.TemporaryDirectory()
    >>> registry = Registry.open(Path(folder.name) / "registry.db")
    >>> log = AuditLog(registry, origin_of("kt"), Keys.generate())
    >>> with registry.transaction() as db:
    ...     log.append(db, AuditEntry(at=utc_now(), kind="start"))
    0
    >>> log.checkpoint().splitlines()[:2]
    ['oneteam.log/kt', '1']
    >>> log.verify().entries
    1
    >>> registry.close()
    >>> folder.cleanup()
    """

    def __init__(self, registry: Registry, origin: str, keys: Keys, now: Callable[[], datetime] = utc_now) -> None:
        notes.Checkpoint(origin, 0, merkle.EMPTY_ROOT)  # an origin that no checkpoint could bear is refused here
        if witness.split_origin(origin)[1] != 1:
            raise WrongTypeError(f"'{origin}': give the log's name without its restart")
        super().__init__(registry)
        self.base_origin = origin
        self._keys = keys
        self._now = now
        with registry.transaction() as db:
            log_tables.name_log(db, origin)

    def append(self, db: sqlite3.Connection, entry: AuditEntry) -> int:
        """Add an entry inside the caller's transaction; its index.

        Raises:
            LogError: the stored tree lacks a node.
        """
        return log_tables.append(db, entry.to_bytes())

    def checkpoint(self, db: sqlite3.Connection | None = None) -> str:
        """The signed note of the current tree, with the cosignatures received for it; the same text for the same size.

        Args:
            db: the caller's transaction, if it is in one.

        Raises:
            LogError: the tree does not continue the last signed checkpoint. Nothing is signed then.
        """
        if db is not None:
            return self._checkpoint(db)
        with self.registry.read() as reading:
            kept = log_tables.note_at(reading, log_tables.size(reading))
        if kept is not None:
            return kept
        with self.registry.transaction() as writing:
            return self._checkpoint(writing)

    def verify(self, witnessed: Iterable[str] = (), progress: Progress = silent) -> Verified:
        """Recompute everything from the entries and compare it with every hash and checkpoint there is.

        Args:
            witnessed: checkpoints of this log that others hold; only they show what an owner with its own key hides.
            progress: told how far it is.

        Raises:
            LogError: an entry was changed, deleted, reordered, cut off or rolled back; the message says which.
        """
        with self.registry.read() as db:
            found = verify_log(db, self._keys.public.verify, progress)
        self.verify_against(witnessed)
        return found

    def verify_against(self, witnessed: Iterable[str]) -> None:
        """Compare the stored tree with checkpoints of this log that others hold.

        Raises:
            LogError: the log is shorter or another one.
            BadSignatureError: this member never signed one of them.
            WrongTypeError: one is no checkpoint.
        """
        with self.registry.read() as db:
            for note in witnessed:
                self._compare(db, notes.open_checkpoint(note, self._keys.public.verify).checkpoint)

    def compare_with(self, witnessed: Sequence[str], db: sqlite3.Connection | None = None) -> Outside:
        """Whether the own log is at or beyond every checkpoint of it that others hold.

        A note that this member's key did not sign proves nothing and is passed over, so that nobody can stop a node with a forgery.

        Raises:
            LogError: a held checkpoint of the same or a smaller size has another root: this is not the log that was witnessed.
        """
        if db is None:
            with self.registry.read() as reading:
                return self.compare_with(witnessed, reading)
        highest, level, ignored = 0, True, 0
        own_number = witness.split_origin(log_tables.origin(db))[1]
        for note in witnessed:
            try:
                checkpoint = notes.open_checkpoint(note, self._keys.public.verify).checkpoint
            except (BadSignatureError, WrongTypeError):
                ignored += 1
                continue
            base, number = witness.split_origin(checkpoint.origin)
            if base != self.base_origin:
                ignored += 1
            elif number > own_number:
                highest, level = max(highest, checkpoint.size), False
            elif number == own_number:
                highest = max(highest, checkpoint.size)
                if checkpoint.size > log_tables.size(db):
                    level = False
                else:
                    self._compare(db, checkpoint)
        return Outside(level, highest, ignored)

    def witness(
        self, note: str, proof: ConsistencyProof | None, public_keys: PublicKeys, *, cosign: bool = True, fresh: bool = True
    ) -> Witnessed:
        """Check another member's checkpoint against what is held of its log, hold it, and cosign it.

        The first checkpoint of a log is taken as it is. Later ones need the proof from the size held; with another proof nothing is held
        and nothing is wrong: ask again from ``held_size``.

        Args:
            note: its checkpoint.
            proof: from the size held here to this checkpoint; for an older checkpoint from it to the one held.
            public_keys: the log owner's.
            cosign: whether to sign it as a witness.
            fresh: the owner has just said so itself; a smaller tree than the one held is then a rollback. False for notes that third
                members pass on or that were long under way.

        Raises:
            WrongTypeError: not a checkpoint.
            BadSignatureError: not signed by that owner.
            LogError: split view, rollback, a history that does not continue, or begins anew; the two notes are kept as evidence.
        """
        opened = notes.open_checkpoint(note, public_keys.verify)
        checkpoint, at = opened.checkpoint, self._now()
        with self.registry.transaction() as db:
            if witness.split_origin(checkpoint.origin)[0] == self.base_origin:
                raise WrongTypeError("a member does not witness its own log")
            known = witness.count_evidence(db)
            found = witness.look_at(db, checkpoint, note, proof, at, fresh=fresh)
            # The same evidence again is no news: a faulty member must not fill this log with every message.
            if isinstance(found, Evidence) and witness.count_evidence(db) > known:
                shown = sha256(note.encode()).hexdigest()
                self.append(db, AuditEntry(at=at, kind="witness", reasons=(f"log.{found.fault}",), document=shown))
        if isinstance(found, Evidence):
            raise witness.error_for(found)
        if not (cosign and found.accepted and found.held_size == checkpoint.size):
            return found
        return Witnessed(True, found.held_size, str(notes.cosign(checkpoint, self.base_origin, self._keys, at)))

    def keep_cosignature(self, line: str, name: str, public_keys: PublicKeys) -> bool:
        """Add a witness's cosignature to the own checkpoint that it is of; False when it is of none of them.

        Args:
            line: as `witness` gave it at the other member.
            name: the witness's log name.
            public_keys: the witness's.

        Raises:
            WrongTypeError: not a signature line.
        """
        signature = notes.Signature.parse(line.rstrip("\n"))
        with self.registry.transaction() as db:
            for size, kept in log_tables.newest_notes(db, 64):
                note = notes.Note.parse(kept)
                try:
                    at = notes.cosigned_at(notes.Note(note.text, (signature,)), name, public_keys.verify)
                except BadSignatureError:  # of another checkpoint
                    continue
                if at is None:
                    return False
                fewer = tuple(one for one in note.signatures if (one.name, one.key_id) != (signature.name, signature.key_id))
                log_tables.keep_note(db, size, str(notes.Note(note.text, (*fewer, signature))))
                return True
        return False

    def accept_restart(self, origin: str) -> None:
        """Agree that another member's log begins anew under this name."""
        with self.registry.transaction() as db:
            witness.accept_restart(db, origin, self._now())

    def extend(self, db: sqlite3.Connection, bodies: Iterable[bytes], witnessed: Sequence[str]) -> list[AuditEntry]:
        """Put back entries that a restored backup lacks, from an export whose roots are the witnessed ones; what was added.

        Entries that were written here since the restore come after them, in their order.

        Args:
            db: the caller's transaction.
            bodies: all entries of the export, from the first.
            witnessed: checkpoints of this log that others hold; at least one that this member signed.

        Raises:
            LogError: the export holds nothing more, is shorter than what others hold, or has another root.
            NothingFoundError: no witnessed checkpoint is this log's.
        """
        own, node = log_tables.size(db), log_tables.node(db)
        added: list[AuditEntry] = []
        since: list[bytes] = []
        total = 0
        for index, body in enumerate(bodies):
            total = index + 1
            if not added:
                if index < own and merkle.leaf_hash(body) == node(0, index):
                    continue
                since = log_tables.cut(db, index)
            added.append(AuditEntry.from_bytes(body))
            log_tables.append(db, body)
        if not added:
            raise LogError(f"the export has {total} entries, all of them in this log of {own}: there is nothing to put back")
        outside = self.compare_with(witnessed, db)
        if outside.highest == 0:
            raise NothingFoundError(
                "no witnessed checkpoint of this log was given", hint="Ask the other members: `oneteam audit show --held`."
            )
        if not outside.level:
            raise LogError(f"the export has {total} entries, but others hold a checkpoint of {outside.highest}")
        for body in since:
            log_tables.append(db, body)
        return added

    def begin_anew(self, db: sqlite3.Connection) -> str:
        """Put the entries aside and start an empty history under the next name, which other members must accept; that name."""
        return log_tables.begin_anew(db)

    def _checkpoint(self, db: sqlite3.Connection) -> str:
        size, node = log_tables.size(db), log_tables.node(db)
        kept = log_tables.note_at(db, size)
        if kept is not None:
            return kept
        last = log_tables.last_note(db)
        if last is not None:
            self._compare(db, notes.Checkpoint.parse(notes.Note.parse(last).text))
        note = str(notes.sign_checkpoint(notes.Checkpoint(log_tables.origin(db), size, merkle.root(size, node)), self._keys))
        log_tables.keep_note(db, size, note)
        return note

    def _compare(self, db: sqlite3.Connection, checkpoint: notes.Checkpoint) -> None:
        """Refuse a tree that does not continue a checkpoint."""
        size = log_tables.size(db)
        if checkpoint.origin != log_tables.origin(db):
            raise LogError(f"a checkpoint of '{checkpoint.origin}', this log is '{log_tables.origin(db)}'")
        if checkpoint.size > size:
            raise LogError(
                f"the log has {size} entries, but signed a checkpoint of {checkpoint.size}: it was cut or rolled back",
                hint="If this is a restored backup: `oneteam audit restore`.",
            )
        if merkle.root(checkpoint.size, log_tables.node(db)) != checkpoint.root:
            raise LogError(f"one of the first {checkpoint.size} entries is not what it was when their checkpoint was signed")
