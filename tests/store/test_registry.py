"""The member's SQLite file: all or nothing, between threads and processes."""

from __future__ import annotations

import os
import sqlite3
import stat
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from oneteam.core.errors import DatasetCorruptError, DiskFullError, FileUnreadableError, OneteamError, StorageError
from oneteam.store.registry import Registry

SCHEMA = "CREATE TABLE IF NOT EXISTS counter (name TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT;"


@pytest.fixture
def registry(tmp_path: Path):
    opened = Registry.open(tmp_path / "home" / "registry.db", schemas=[SCHEMA])
    yield opened
    opened.close()


def count(registry: Registry) -> int:
    with registry.read() as db:
        row = db.execute("SELECT value FROM counter WHERE name = 'n'").fetchone()
    return row[0] if row else 0


def add_one(registry: Registry) -> None:
    with registry.transaction() as db:
        row = db.execute("SELECT value FROM counter WHERE name = 'n'").fetchone()
        db.execute("INSERT OR REPLACE INTO counter VALUES ('n', ?)", [(row[0] if row else 0) + 1])


def test_settings_of_every_connection(registry: Registry) -> None:
    with registry.transaction() as db:
        assert db.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        assert db.execute("PRAGMA synchronous").fetchone() == (2,)
    with registry.read() as db:
        assert db.execute("PRAGMA synchronous").fetchone() == (2,)
    assert stat.S_IMODE(registry.path.stat().st_mode) == 0o600


def test_an_error_leaves_nothing(registry: Registry) -> None:
    add_one(registry)

    def fails() -> None:
        with registry.transaction() as db:
            db.execute("UPDATE counter SET value = 99")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fails()
    assert count(registry) == 1
    add_one(registry)
    assert count(registry) == 2


def test_integrity_errors_pass(registry: Registry) -> None:
    add_one(registry)
    with pytest.raises(sqlite3.IntegrityError), registry.transaction() as db:
        db.execute("INSERT INTO counter VALUES ('n', 5)")


def test_a_reader_writes_nothing_and_sees_one_state(registry: Registry) -> None:
    add_one(registry)
    with registry.read() as db:
        before = db.execute("SELECT value FROM counter").fetchone()
        add_one(registry)
        assert db.execute("SELECT value FROM counter").fetchone() == before
    assert count(registry) == 2
    with pytest.raises(OneteamError), registry.read() as db:
        db.execute("UPDATE counter SET value = 7")


def test_a_second_transaction_in_the_same_thread_is_refused(registry: Registry) -> None:
    with registry.transaction() as db:
        with pytest.raises(StorageError, match="open in this thread"), registry.transaction():
            pass
        for refused in (registry.close, lambda: registry.add_schemas([SCHEMA])):
            with pytest.raises(StorageError, match="open in this thread"):
                refused()
        db.execute("INSERT INTO counter VALUES ('n', 5)")
    assert count(registry) == 5


def test_threads_lose_no_update(registry: Registry) -> None:
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda _: add_one(registry), range(200)))
    assert count(registry) == 200


ADDS = """
import sys
from pathlib import Path
from oneteam.store.registry import Registry
registry = Registry.open(Path(sys.argv[1]), schemas=[sys.argv[2]])
for _ in range(25):
    with registry.transaction() as db:
        db.execute("INSERT INTO counter VALUES ('n', 1) ON CONFLICT DO UPDATE SET value = value + 1")
"""


def test_processes_lose_no_update(tmp_path: Path) -> None:
    """They also open, and switch the journal mode of, a file that is not there yet."""
    path = tmp_path / "registry.db"
    workers = [subprocess.Popen([sys.executable, "-c", ADDS, str(path), SCHEMA]) for _ in range(3)]
    assert [worker.wait() for worker in workers] == [0, 0, 0]
    registry = Registry.open(path, schemas=[SCHEMA])
    assert count(registry) == 75
    registry.close()


def test_a_forked_child_opens_its_own(registry: Registry) -> None:
    add_one(registry)
    child = os.fork()
    if child == 0:
        try:
            add_one(registry)
        finally:
            os._exit(0 if count(registry) == 2 else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    add_one(registry)
    assert count(registry) == 3


def test_close_while_another_thread_reads(registry: Registry) -> None:
    add_one(registry)
    inside, leave, seen = threading.Event(), threading.Event(), []

    def reads() -> None:
        with registry.read() as db:
            inside.set()
            leave.wait(5)
            seen.append(db.execute("SELECT value FROM counter").fetchone())

    thread = threading.Thread(target=reads)
    thread.start()
    assert inside.wait(5)
    registry.close()
    leave.set()
    thread.join()
    assert seen == [(1,)]
    assert count(registry) == 1


def test_opening_a_second_time_keeps_the_first_one_s_locks(registry: Registry) -> None:
    """To close any descriptor of a file cancels the process's locks on it, and with them the protection of its other connections."""
    add_one(registry)
    program = "import fcntl, struct, sys; f = open(sys.argv[1], 'r+b'); r = fcntl.fcntl(f, fcntl.F_GETLK, struct.pack('hhqqi', "
    program += "fcntl.F_WRLCK, 0, 0, 0, 0)); print(struct.unpack('hhqqi', r)[0] != fcntl.F_UNLCK)"

    def locked() -> str:
        return subprocess.run(
            [sys.executable, "-c", program, str(registry.path)], capture_output=True, text=True, check=True
        ).stdout.strip()

    assert locked() == "True"
    again = Registry.open(registry.path, schemas=[SCHEMA])
    assert locked() == "True"
    again.close()
    assert locked() == "True"


def test_full_disk(registry: Registry) -> None:
    add_one(registry)
    with registry.transaction() as db:
        db.execute(f"PRAGMA max_page_count={db.execute('PRAGMA page_count').fetchone()[0]}")
    with pytest.raises(DiskFullError, match="nothing was changed"), registry.transaction() as db:
        db.execute("INSERT INTO counter VALUES (?, 1)", ["x" * 100_000])
    assert count(registry) == 1


def test_a_file_of_another_kind(tmp_path: Path) -> None:
    text = tmp_path / "notes.txt"
    text.write_text("no database " * 100)
    with pytest.raises(FileUnreadableError, match="not a SQLite file"):
        Registry.open(text)
    other = tmp_path / "other.db"
    db = sqlite3.connect(other)
    db.execute("CREATE TABLE theirs (a)")
    db.close()
    with pytest.raises(FileUnreadableError, match="another program"):
        Registry.open(other)


def test_a_damaged_file(tmp_path: Path) -> None:
    path = tmp_path / "registry.db"
    registry = Registry.open(path, schemas=[SCHEMA])
    with registry.transaction() as db:
        db.executemany("INSERT INTO counter VALUES (?, 1)", [(f"{i:0500d}",) for i in range(200)])
    registry.close()
    raw = bytearray(path.read_bytes())
    raw[4096:] = b"\xa5" * (len(raw) - 4096)
    path.write_bytes(raw)
    opened = Registry(path)
    with pytest.raises(DatasetCorruptError, match="damaged"), opened.read() as db:
        db.execute("SELECT count(*), sum(value) FROM counter").fetchall()
    opened.close()
