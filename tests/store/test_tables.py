import errno
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from oneteam.core.errors import DatasetBusyError, DatasetCorruptError, DiskFullError, FileUnreadableError, NothingFoundError
from oneteam.store import tables
from oneteam.store.tables import (
    Manifest,
    ParquetWriter,
    Transaction,
    disk_errors,
    metadata_of,
    read_manifest,
    read_parquet,
    sha256_of,
    write_atomically,
    write_parquet,
)

ROWS = pa.table({"x": pa.array([1, 2, 3], pa.int64())})


def commit(folder, value=1, partition="p"):
    with Transaction(folder, Manifest()) as tx:
        tx.write("t", partition, pa.table({"x": pa.array([value], pa.int64())}))


def values(folder, partition="p"):
    entry = read_manifest(folder, Manifest).tables["t"][partition]
    return read_parquet(folder / entry.path)["x"].to_pylist()


def files(folder):
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file() and p.name != ".lock")


def test_commit_makes_a_dataset_that_matches_its_manifest(tmp_path):
    with Transaction(tmp_path / "d", Manifest(), delta={"t": ("x",)}) as tx:
        assert not tx.changed
        tx.write("t", "p", ROWS)
        assert tx.changed
        assert tx.revision == 1
    manifest = read_manifest(tmp_path / "d", Manifest)
    entry = manifest.tables["t"]["p"]
    assert (manifest.revision, entry.rows) == (1, 3)
    assert sha256_of(tmp_path / "d" / entry.path) == entry.sha256
    column = pq.ParquetFile(tmp_path / "d" / entry.path).metadata.row_group(0).column(0)
    assert "DELTA_BINARY_PACKED" in column.encodings


def test_replaced_files_live_until_the_next_commit(tmp_path):
    commit(tmp_path, 1)
    first = files(tmp_path)
    commit(tmp_path, 2)
    assert set(first) < set(files(tmp_path))
    commit(tmp_path, 3)
    assert files(tmp_path) == ["manifest.json", "t/p.r000002.parquet", "t/p.r000003.parquet"]
    assert values(tmp_path) == [3]


def test_an_exception_changes_nothing(tmp_path):
    commit(tmp_path, 1)
    before = {name: (tmp_path / name).read_bytes() for name in files(tmp_path)}

    def fail():
        with Transaction(tmp_path, Manifest()) as tx:
            tx.write("t", "p", ROWS)
            (tx.scratch / "spill").write_bytes(b"x")
            raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        fail()
    assert {name: (tmp_path / name).read_bytes() for name in files(tmp_path)} == before


def test_a_transaction_without_change_keeps_the_manifest(tmp_path):
    commit(tmp_path, 1)
    before = (tmp_path / "manifest.json").read_bytes()
    with Transaction(tmp_path, Manifest()) as tx:
        (tx.scratch / "spill").write_bytes(b"x")
    assert (tmp_path / "manifest.json").read_bytes() == before
    assert not (tmp_path / ".scratch").exists()


def test_touch_commits_settings(tmp_path):
    commit(tmp_path, 1)
    with Transaction(tmp_path, Manifest()) as tx:
        tx.touch()
    assert read_manifest(tmp_path, Manifest).revision == 2
    assert values(tmp_path) == [1]


def test_remove_takes_a_partition_out(tmp_path):
    commit(tmp_path, 1, "a")
    commit(tmp_path, 2, "b")
    with Transaction(tmp_path, Manifest()) as tx:
        tx.remove("t", "a")
        tx.remove("t", "never-there")
        assert tx.file_of("t", "a") is None
    assert list(read_manifest(tmp_path, Manifest).tables["t"]) == ["b"]


def test_one_writer_at_a_time(tmp_path):
    with Transaction(tmp_path, Manifest()), pytest.raises(DatasetBusyError, match="another process"), Transaction(tmp_path, Manifest()):
        pass
    commit(tmp_path)


def test_corrupt_manifest_is_named_and_the_lock_released(tmp_path):
    commit(tmp_path)
    (tmp_path / "manifest.json").write_text('{"format": "something-else"}')
    for _ in range(2):  # a leaked lock would make the second attempt "busy"
        with pytest.raises(DatasetCorruptError, match=r"manifest\.json"):
            commit(tmp_path)


def test_no_manifest_is_nothing_found(tmp_path):
    with pytest.raises(NothingFoundError, match="no dataset"):
        read_manifest(tmp_path, Manifest)


def test_sweep_removes_only_what_a_transaction_left(tmp_path):
    commit(tmp_path, 1)
    mine = tmp_path / "events" / "day.parquet"
    mine.parent.mkdir()
    mine.write_bytes(b"the user's own file in the same folder")
    own_tmp = tmp_path / "events" / "notes.tmp"
    own_tmp.write_bytes(b"also the user's")
    own_scratch = tmp_path / "scratch" / "x.parquet"
    own_scratch.parent.mkdir()
    own_scratch.write_bytes(b"and this")
    (tmp_path / "t" / "p.r000009.parquet").write_bytes(b"uncommitted")
    (tmp_path / "t" / ".p.r000009.parquet.77.tmp").write_bytes(b"unfinished")
    (tmp_path / ".manifest.json.abc.tmp").write_bytes(b"unfinished")
    commit(tmp_path, 2)
    assert mine.exists()
    assert own_tmp.exists()
    assert own_scratch.exists()
    left = files(tmp_path)
    assert "t/p.r000009.parquet" not in left
    assert not [name for name in left if name.startswith((".manifest", "t/."))]
    assert values(tmp_path) == [2]


def test_a_commit_that_fails_on_a_full_disk_keeps_the_old_state(tmp_path, monkeypatch):
    commit(tmp_path, 1)

    def full(path, content):
        raise DiskFullError("no room")

    monkeypatch.setattr(tables, "write_atomically", full)
    with pytest.raises(DiskFullError):
        commit(tmp_path, 2)
    monkeypatch.undo()
    assert values(tmp_path) == [1]
    assert files(tmp_path) == ["manifest.json", "t/p.r000001.parquet"]
    commit(tmp_path, 3)
    assert values(tmp_path) == [3]


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
def test_no_room_becomes_disk_full(code):
    with pytest.raises(DiskFullError, match="nothing was changed") as caught, disk_errors("x"):
        raise OSError(code, os.strerror(code))
    assert caught.value.hint


def test_other_os_errors_pass():
    with pytest.raises(PermissionError), disk_errors("x"):
        raise PermissionError(errno.EACCES, "no")


def test_a_writer_that_cannot_close_leaves_no_temporary_file(tmp_path, monkeypatch):
    writer = ParquetWriter(tmp_path / "a.parquet", ROWS.schema)
    writer.write(ROWS)

    def full(handle):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(DiskFullError):
        writer.close()
    assert list(tmp_path.iterdir()) == []


def test_a_writer_that_finds_no_room_at_all_leaves_nothing_open_and_no_temporary_file(tmp_path, monkeypatch):
    def full(*args, **kwargs):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(pq, "ParquetWriter", full)
    with pytest.raises(DiskFullError):
        ParquetWriter(tmp_path / "a.parquet", ROWS.schema)
    assert list(tmp_path.iterdir()) == []
    assert not [link for link in Path("/proc/self/fd").iterdir() if os.path.realpath(link).startswith(str(tmp_path))]


def test_writer_streams_batches_and_forgets_on_error(tmp_path):
    with ParquetWriter(tmp_path / "a.parquet", ROWS.schema) as writer:
        writer.write(ROWS)
        writer.write(ROWS.to_batches()[0])
    assert read_parquet(tmp_path / "a.parquet")["x"].to_pylist() == [1, 2, 3, 1, 2, 3]
    with pytest.raises(RuntimeError), ParquetWriter(tmp_path / "b.parquet", ROWS.schema) as writer:
        raise RuntimeError
    assert [p.name for p in tmp_path.iterdir()] == ["a.parquet"]


def test_metadata_and_columns(tmp_path):
    write_parquet(tmp_path / "a.parquet", pa.table({"x": [1], "y": [2]}), metadata={"unit": "m"})
    assert metadata_of(tmp_path / "a.parquet") == {"unit": "m"}
    assert read_parquet(tmp_path / "a.parquet", ["y"]).column_names == ["y"]


@pytest.mark.parametrize("content", [b"", b"PAR1 cut short"])
def test_truncated_parquet_is_named(tmp_path, content):
    (tmp_path / "a.parquet").write_bytes(content)
    with pytest.raises(FileUnreadableError, match=r"a\.parquet"):
        read_parquet(tmp_path / "a.parquet")
    with pytest.raises(FileUnreadableError, match="no such file"):
        read_parquet(tmp_path / "b.parquet")


def test_write_atomically_leaves_no_trace_of_a_failure(tmp_path, monkeypatch):
    write_atomically(tmp_path / "f", b"old")

    def broken(self, target):
        raise OSError(errno.EIO, "broken")

    monkeypatch.setattr(Path, "replace", broken)
    with pytest.raises(OSError, match="broken"):
        write_atomically(tmp_path / "f", b"new")
    assert (tmp_path / "f").read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["f"]


WRITER = """
import sys
import pyarrow as pa
from pathlib import Path
from oneteam.store.tables import Manifest, Transaction
folder, value = Path(sys.argv[1]), 2
print("ready", flush=True)
while True:
    with Transaction(folder, Manifest()) as tx:
        for partition in "abcd":
            tx.write("t", partition, pa.table({"x": pa.array([value] * 2000, pa.int64())}))
    value += 1
"""


def test_killed_at_any_moment_all_partitions_are_of_one_revision(tmp_path):
    for partition in "abcd":
        commit(tmp_path, 1, partition)
    for attempt in range(6):
        process = subprocess.Popen([sys.executable, "-c", WRITER, tmp_path], stdout=subprocess.PIPE)
        process.stdout.readline()
        time.sleep(0.013 * attempt)
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()
        manifest = read_manifest(tmp_path, Manifest)
        seen = set()
        for entry in manifest.tables["t"].values():
            assert sha256_of(tmp_path / entry.path) == entry.sha256
            seen |= set(read_parquet(tmp_path / entry.path)["x"].to_pylist())
        assert len(seen) == 1
    commit(tmp_path, 7, "a")
    assert values(tmp_path, "a") == [7]


def test_manifest_is_plain_json(tmp_path):
    commit(tmp_path)
    document = json.loads((tmp_path / "manifest.json").read_bytes())
    assert document["format"] == "oneteam-dataset/1"
