"""One SQLite file per member: agreements, ledger, audit log, kept releases.

Everything that must happen together happens in one `Registry.transaction`. A commit is on the disk before the call returns (write-ahead
log, ``synchronous=FULL``), so a process that is killed at any moment leaves either all of a transaction or nothing of it. Threads of one
process and several processes may use the same file at once: writers queue, readers see the last committed state and never wait.
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final, NoReturn, Self

from oneteam.core.errors import DatasetBusyError, DatasetCorruptError, DiskFullError, FileUnreadableError, StorageError
from oneteam.store.tables import disk_errors

APPLICATION_ID: Final = 0x6F6E_6574
"""Marks the file as ours (SQLite's ``application_id``): ``onet``."""
BUSY_S: Final = 30.0
"""How long a writer waits for another process."""
TURN_S: Final = 5.0
"""How long it queues before it asks SQLite anyway."""

_PRAGMAS: Final = (
    "PRAGMA synchronous=FULL",
    "PRAGMA foreign_keys=ON",
    "PRAGMA trusted_schema=OFF",
    "PRAGMA temp_store=MEMORY",
    "PRAGMA cache_size=-8192",
    "PRAGMA journal_size_limit=67108864",
)
_INHERITED: Final[list[sqlite3.Connection]] = []
"""Connections that a forked child must neither use nor close (sqlite.org/howtocorrupt.html, section 2.6)."""


class Registry:
    """A member's SQLite file; safe between threads and between processes.

    >>> import tempfile
    >>> folder = tempfile.TemporaryDirectory()
    >>> registry = Registry.open(Path(folder.name) / "registry.db", schemas=["CREATE TABLE IF NOT EXISTS pair (a INTEGER, b INTEGER)"])
    >>> with registry.transaction() as db:
    ...     _ = db.execute("INSERT INTO pair VALUES (1, 2)")
    >>> with registry.read() as db:
    ...     db.execute("SELECT b FROM pair WHERE a = 1").fetchone()
    (2,)
    >>> registry.close()
    >>> folder.cleanup()
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._process = os.getpid()
        self._writer: sqlite3.Connection | None = None
        self._writer_lock = threading.Lock()
        self._writer_thread = 0
        self._readers: list[sqlite3.Connection] = []
        self._readers_lock = threading.Lock()
        self._times_closed = 0
        self._turn: int | None = None

    @classmethod
    def open(cls, path: Path, schemas: Iterable[str] = ()) -> Self:
        """Open the file, or make it (readable by its owner only), and make the tables that are missing.

        Args:
            path: the file; folders are made.
            schemas: SQL scripts of ``CREATE ... IF NOT EXISTS`` statements, without transaction commands.

        Raises:
            FileUnreadableError: the file is another program's, or not SQLite.
            DatasetBusyError: another process holds the file for longer than 30 s.
            DiskFullError: no room.
        """
        registry = cls(path)
        try:
            with disk_errors(path.name):
                path.parent.mkdir(parents=True, exist_ok=True)
                # SQLite gives its side files the permissions of the main one. Never open a file that is there: closing it again would
                # cancel the locks of this process's other connections (sqlite.org/howtocorrupt.html, section 2.2).
                with suppress(FileExistsError):
                    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
            registry._claim()
            registry.add_schemas(schemas)
        except BaseException:
            registry.close()
            raise
        return registry

    def add_schemas(self, schemas: Iterable[str]) -> None:
        """Make the tables that are missing, all or none."""
        statements = [text.strip().rstrip(";") for text in schemas]
        if not statements:
            return
        script = ";\n".join(["BEGIN IMMEDIATE", *statements, "COMMIT"]) + ";"
        self._refuse_inside_transaction()
        with self._writer_lock:
            db = self._writing()
            try:
                db.executescript(script)
            except sqlite3.Error as err:
                _roll_back(db)
                self._explain(err)

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """All or nothing: commits at the end, rolls back on any error, and is durable once it returns.

        Writers queue, so whatever is read inside is still true at the commit. Integrity errors of SQLite pass unchanged.

        Raises:
            StorageError: this thread is in a transaction already; hand its connection on instead.
            DatasetBusyError: another process holds the file for longer than 30 s.
            DiskFullError: no room; nothing was changed.
        """
        self._refuse_inside_transaction()
        with self._writer_lock:
            self._writer_thread = threading.get_ident()
            db = None
            try:
                db = self._writing()
                self._take_turn()
                db.execute("BEGIN IMMEDIATE")
                yield db
                db.execute("COMMIT")
            except BaseException as err:
                _roll_back(db)
                if isinstance(err, sqlite3.DatabaseError) and not isinstance(err, sqlite3.IntegrityError):
                    self._explain(err)
                raise
            finally:
                if self._turn is not None:
                    fcntl.flock(self._turn, fcntl.LOCK_UN)
                self._writer_thread = 0

    @contextmanager
    def read(self) -> Iterator[sqlite3.Connection]:
        """The last committed state, unchanged for as long as the block lasts; waits for nobody.

        Raises:
            DatasetCorruptError: the file is damaged.
        """
        self._check_process()
        with self._readers_lock:
            db = self._readers.pop() if self._readers else None
            times_closed = self._times_closed
        try:
            if db is None:
                db = self._connect()
                db.execute("PRAGMA query_only=ON")
            db.execute("BEGIN")
            yield db
        except sqlite3.DatabaseError as err:
            self._explain(err)
        finally:
            _roll_back(db)
            with self._readers_lock:
                if db is not None and times_closed != self._times_closed:
                    db.close()
                elif db is not None:
                    self._readers.append(db)

    def close(self) -> None:
        """Close every connection. A later use opens the file again."""
        self._refuse_inside_transaction()
        with self._writer_lock, self._readers_lock:
            for db in [*self._readers, *([self._writer] if self._writer else [])]:
                db.close()
            self._readers.clear()
            self._writer = None
            self._times_closed += 1
            if self._turn is not None:
                os.close(self._turn)
                self._turn = None

    def _refuse_inside_transaction(self) -> None:
        """Say so instead of waiting for oneself."""
        self._check_process()
        if self._writer_thread == threading.get_ident():
            raise StorageError(
                f"{self.path.name}: a transaction is open in this thread", hint="Hand its connection on instead of opening another."
            )

    def _check_process(self) -> None:
        if self._process != os.getpid():
            _INHERITED.extend([*self._readers, *([self._writer] if self._writer else [])])
            self._writer, self._readers, self._writer_thread = None, [], 0
            # The parent's other threads may have held them at the fork.
            self._writer_lock, self._readers_lock = threading.Lock(), threading.Lock()
            self._process = os.getpid()
            if self._turn is not None:
                os.close(self._turn)
                self._turn = None

    def _take_turn(self) -> None:
        """Queue behind other processes' writers.

        SQLite keeps them apart by itself, but waits in steps of up to 100 ms. This lock only shortens that, so it is passed over when it
        cannot be had.
        """
        try:
            if self._turn is None:
                self._turn = os.open(f"{self.path}-turn", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            deadline, pause_s = time.monotonic() + TURN_S, 0.0001
            while time.monotonic() < deadline:
                with suppress(BlockingIOError):
                    fcntl.flock(self._turn, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    return
                time.sleep(pause_s)
                pause_s = min(pause_s * 1.5, 0.002)
        except OSError:
            return

    def _writing(self) -> sqlite3.Connection:
        self._check_process()
        if self._writer is None:
            self._writer = self._connect()
        return self._writer

    def _connect(self) -> sqlite3.Connection:
        db = sqlite3.connect(self.path, timeout=BUSY_S, isolation_level=None, check_same_thread=False, cached_statements=512)
        try:
            for pragma in _PRAGMAS:
                db.execute(pragma)
        except BaseException:
            db.close()
            raise
        return db

    def _claim(self) -> None:
        """Set the journal mode and put our mark on a new file; refuse another program's file."""
        try:
            db = self._writing()
            (found,) = db.execute("PRAGMA application_id").fetchone()
            (tables,) = db.execute("SELECT count(*) FROM sqlite_master").fetchone()
            if found != APPLICATION_ID and (found or tables):
                raise FileUnreadableError(f"{self.path}: a SQLite file of another program", hint="Give the path of a member's registry.db.")
            deadline = time.monotonic() + BUSY_S
            while db.execute("PRAGMA journal_mode").fetchone() != ("wal",):
                # The switch wants the file for itself and does not queue for it.
                with suppress(sqlite3.OperationalError):
                    db.execute("PRAGMA journal_mode=WAL")
                if time.monotonic() > deadline:
                    raise DatasetBusyError(f"{self.path}: another process keeps it from being opened")
            if found != APPLICATION_ID:
                db.execute(f"PRAGMA application_id={APPLICATION_ID}")
        except sqlite3.DatabaseError as err:
            self._explain(err)

    def _explain(self, err: sqlite3.Error) -> NoReturn:
        code = (getattr(err, "sqlite_errorcode", None) or 0) & 0xFF
        match code:
            case sqlite3.SQLITE_FULL:
                raise DiskFullError(
                    f"no room on the disk while writing {self.path.name}; nothing was changed", hint="Free some space and try again."
                ) from err
            case sqlite3.SQLITE_BUSY | sqlite3.SQLITE_LOCKED:
                raise DatasetBusyError(
                    f"{self.path.name}: another process has been writing for {BUSY_S:.0f} s", hint="See which process holds the file."
                ) from err
            case sqlite3.SQLITE_NOTADB:
                raise FileUnreadableError(f"{self.path}: not a SQLite file", hint="Give the path of a member's registry.db.") from err
            case sqlite3.SQLITE_CORRUPT:
                hint = "Put it aside, restore a backup, then run `oneteam audit restore`."
                raise DatasetCorruptError(f"{self.path}: the file is damaged", hint=hint, detail=str(err)) from err
            case sqlite3.SQLITE_IOERR | sqlite3.SQLITE_READONLY | sqlite3.SQLITE_CANTOPEN | sqlite3.SQLITE_PERM:
                raise StorageError(f"{self.path}: {err}", detail=repr(err)) from err
            case _:
                raise err


def _roll_back(db: sqlite3.Connection | None) -> None:
    if db is not None and db.in_transaction:
        with suppress(sqlite3.Error):
            db.execute("ROLLBACK")
