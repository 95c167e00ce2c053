"""Bad input and bad luck: clear errors, and a dataset that is as it was before."""

import errno
import gzip
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from datetime import date
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from oneteam.core.errors import (
    DatasetBusyError,
    DatasetCorruptError,
    DiskFullError,
    DuplicateCodeError,
    EncodingError,
    FileUnreadableError,
    InputError,
    MappingError,
    MissingColumnError,
    NaiveTimestampError,
    NothingFoundError,
    UnknownValueError,
    WrongTypeError,
)
from oneteam.store.tables import Transaction, read_manifest, sha256_of
from oneteam.telecom.dataset import TelecomManifest
from oneteam.telecom.service.ingest import IngestSettings, ingest
from oneteam.telecom.service.spill import Spill
from tests.telecom.carrier import EVENT_SCHEMA, event, random_rows, write_carrier, write_events, write_topology

KEEP = IngestSettings(unknown_cells="keep")
HEADER = "user_id,timestamp,mcc,cell_id\n"


def good(folder):
    return write_events(folder / "good.parquet", [event(1, 0), event(2, 1)])


def parquet(path, **columns):
    table = pa.Table.from_pylist([event()], schema=EVENT_SCHEMA)
    for name, values in columns.items():
        at = table.schema.get_field_index(name)
        table = table.remove_column(at) if values is None else table.set_column(at, name, values)
    pq.write_table(table, path)


def truncated(path):
    write_events(path, random_rows(500))
    path.write_bytes(path.read_bytes()[:-200])


def damaged_inside(path):
    write_events(path, random_rows(20_000))
    content = bytearray(path.read_bytes())
    content[200:4_000] = bytes(3_800)
    path.write_bytes(content)


def broken_gzip(path):
    path.write_bytes(gzip.compress(HEADER.encode() + b"a,2020-02-01T00:00Z,450,c\n" * 5_000)[:-20])


WHOLE_FILE_FAULTS = [
    ("missing.parquet", lambda p: parquet(p, timestamp=None), MissingColumnError, "'timestamp'"),
    ("missing.csv", lambda p: p.write_text("user_id,timestamp,cell_id\na,2020-02-01T00:00Z,c\n"), MissingColumnError, "'mcc'"),
    ("type.parquet", lambda p: parquet(p, mcc=pa.array([True])), WrongTypeError, "column 'mcc' is of type bool"),
    ("type2.parquet", lambda p: parquet(p, timestamp=pa.array([1.5])), WrongTypeError, "column 'timestamp' is of type double"),
    ("naive.parquet", lambda p: parquet(p, timestamp=pa.array([0], pa.timestamp("us"))), NaiveTimestampError, "row 1"),
    ("naive.csv", lambda p: p.write_text(HEADER + "a,2020-02-01T00:00Z,450,c\na,2020-02-01T00:00,450,c\n"), NaiveTimestampError, "row 2"),
    ("cut.parquet", truncated, FileUnreadableError, "not a whole Parquet file"),
    ("inside.parquet", damaged_inside, FileUnreadableError, "not a whole Parquet file"),
    ("text.parquet", lambda p: p.write_text("no parquet"), FileUnreadableError, "not a whole Parquet file"),
    ("empty.parquet", lambda p: p.write_bytes(b""), FileUnreadableError, "empty"),
    ("empty.csv", lambda p: p.write_bytes(b""), FileUnreadableError, "empty"),
    ("blank.csv", lambda p: p.write_text("\n\n"), FileUnreadableError, "first line is empty"),
    (
        "twice.csv",
        lambda p: p.write_text("user_id,user_id,timestamp,mcc,cell_id\n"),
        MissingColumnError,
        "two columns are called 'user_id'",
    ),
    (
        "bytes.csv",
        lambda p: p.write_bytes(HEADER.encode() + b"a,2020-02-01T00:00Z,450,\xff\xff\xff\n"),
        EncodingError,
        "neither UTF-8 nor CP949",
    ),
    ("cut.csv.gz", broken_gzip, FileUnreadableError, "gzip"),
    ("other.csv", lambda p: p.write_text("a,b\n1,2\n"), MissingColumnError, "fits no known schema"),
]


@pytest.mark.parametrize(("name", "make", "error", "message"), WHOLE_FILE_FAULTS, ids=[f[0] for f in WHOLE_FILE_FAULTS])
def test_a_file_that_cannot_be_used_is_named_and_changes_nothing(tmp_path, name, make, error, message):
    folder, out = tmp_path / "in", tmp_path / "out"
    good(folder)
    make(folder / name)
    with pytest.raises(error) as caught:
        ingest([folder], out, KEEP)
    assert str(folder / name) in caught.value.message
    assert message in caught.value.message
    assert not (out / "manifest.json").exists()
    assert [p.name for p in out.rglob("*") if p.is_file()] in ([], [".lock"])
    # With keep_going the good file is taken, the bad one reported.
    report = ingest([folder], out, IngestSettings(unknown_cells="keep", keep_going=True))
    assert report.accepted == {"events": 2}
    (refused,) = [source for source in report.sources if source.state == "refused"]
    assert (refused.name, refused.error) == (str(folder / name), caught.value.message)


def test_every_bad_file_is_named_at_once(tmp_path):
    good(tmp_path / "in")
    (tmp_path / "in" / "a.parquet").write_bytes(b"")
    (tmp_path / "in" / "b.csv").write_text("x,y\n1,2\n")
    with pytest.raises(InputError, match="2 files cannot be used") as caught:
        ingest([tmp_path / "in"], tmp_path / "out", KEEP)
    assert "a.parquet" in caught.value.message
    assert "b.csv" in caught.value.message
    assert not (tmp_path / "out").exists()


def test_only_bad_files_are_an_error_even_when_going_on(tmp_path):
    (tmp_path / "a.parquet").write_bytes(b"")
    with pytest.raises(FileUnreadableError):
        ingest([tmp_path / "a.parquet"], tmp_path / "out", IngestSettings(keep_going=True))


def test_files_without_rows_are_fine(tmp_path):
    write_events(tmp_path / "e.parquet", [])
    (tmp_path / "e.csv").write_text(HEADER)
    report = ingest([tmp_path / "e.parquet", tmp_path / "e.csv"], tmp_path / "out", KEEP)
    assert (report.rows, report.accepted) == (0, {})
    assert [source.state for source in report.sources] == ["read", "read"]


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"timezone": "Asia/Soul"}, UnknownValueError, "Asia/Soul"),
        ({"naive_timezone": "KST9"}, UnknownValueError, "KST9"),
        ({"schema": "multimnno"}, UnknownValueError, "multimnno"),
        ({"schema": "no.toml"}, FileUnreadableError, "no.toml"),
        ({"mcc": 999}, UnknownValueError, "mcc 999"),
        ({"mcc": 4_500}, UnknownValueError, "mcc 4500"),
        ({"from_date": date(2020, 2, 2), "until_date": date(2020, 2, 1)}, UnknownValueError, "before"),
        ({"unknown_cells": "drop"}, UnknownValueError, "drop"),
        ({"zone_version": "2020"}, UnknownValueError, "need zones"),
        ({"cell_zones": Path("x.csv")}, UnknownValueError, "needs the zones"),
        ({"topology": Path("absent.csv")}, FileUnreadableError, "absent.csv"),
    ],
)
def test_settings_that_cannot_work(tmp_path, settings, error, message):
    with pytest.raises(error, match=message):
        ingest([good(tmp_path)], tmp_path / "out", IngestSettings(**settings))
    assert not (tmp_path / "out" / "manifest.json").exists()


def test_a_topology_that_is_none(tmp_path):
    events = good(tmp_path)
    with pytest.raises(MappingError, match="holds no network topology"):
        ingest([events], tmp_path / "out", IngestSettings(topology=events))


def test_sources_that_are_not_there(tmp_path):
    with pytest.raises(FileUnreadableError, match="no such file"):
        ingest([tmp_path / "nowhere"], tmp_path / "out", KEEP)
    (tmp_path / "notes.txt").write_text("x")
    with pytest.raises(FileUnreadableError, match=r"neither \.parquet"):
        ingest([tmp_path / "notes.txt"], tmp_path / "out", KEEP)
    (tmp_path / "folder").mkdir()
    with pytest.raises(NothingFoundError, match="holds no"):
        ingest([tmp_path / "folder"], tmp_path / "out", KEEP)


def test_zone_file_with_a_code_twice(tmp_path):
    (tmp_path / "zones.csv").write_text("code,name\n11,a\n12,b\n11,c\n")
    with pytest.raises(DuplicateCodeError, match="11"):
        ingest([good(tmp_path)], tmp_path / "out", IngestSettings(unknown_cells="keep", zones=tmp_path / "zones.csv"))
    assert not (tmp_path / "out").exists()


def test_another_time_zone_than_the_datasets(tmp_path):
    ingest([good(tmp_path)], tmp_path / "out", KEEP)
    with pytest.raises(UnknownValueError, match="has timezone 'Asia/Seoul', not 'Asia/Tokyo'"):
        ingest([good(tmp_path)], tmp_path / "out", IngestSettings(timezone="Asia/Tokyo"))


def test_the_source_folder_as_output_loses_no_file(tmp_path):
    carrier = write_carrier(tmp_path / "carrier", rows=100)
    before = {p: p.read_bytes() for p in carrier.rglob("*.parquet")}
    for _ in range(2):
        ingest([carrier / "events", carrier / "network"], carrier, IngestSettings())
    assert all(path.read_bytes() == content for path, content in before.items())


def test_a_busy_dataset(tmp_path):
    ingest([good(tmp_path)], tmp_path / "out", KEEP)
    with Transaction(tmp_path / "out", TelecomManifest()), pytest.raises(DatasetBusyError):
        ingest([write_events(tmp_path / "more.parquet", [event(5)])], tmp_path / "out", KEEP)


def test_a_corrupt_manifest(tmp_path):
    ingest([good(tmp_path)], tmp_path / "out", KEEP)
    (tmp_path / "out" / "manifest.json").write_text("{")
    with pytest.raises(DatasetCorruptError, match="manifest"):
        ingest([good(tmp_path)], tmp_path / "out", KEEP)


def state(out):
    return {str(p.relative_to(out)): sha256_of(p) for p in out.rglob("*") if p.is_file() and p.name != ".lock"}


@pytest.mark.parametrize("place", ["spill", "day", "cells", "subscribers"])
def test_a_full_disk_keeps_the_old_state(tmp_path, monkeypatch, place):
    write_topology(tmp_path / "t.parquet")
    ingest(
        [write_events(tmp_path / "1.parquet", random_rows(300, seed=1))], tmp_path / "out", IngestSettings(topology=tmp_path / "t.parquet")
    )
    before = state(tmp_path / "out")
    more = [write_events(tmp_path / "2.parquet", random_rows(300, seed=2, users=90)), write_topology(tmp_path / "t2.parquet", cells=30)]

    def full(*args, **kwargs):
        raise OSError(errno.ENOSPC, "No space left on device")

    real = pq.ParquetWriter.write_table

    def full_for(self, table, *args, **kwargs):
        column = {"day": "timestamp", "cells": "azimuth_angle", "subscribers": "user_id"}[place]
        return full() if column in table.column_names else real(self, table, *args, **kwargs)

    if place == "spill":
        # append() opens the scratch file: the open fails as a write to a full disk would.
        monkeypatch.setattr(Path, "open", lambda self, *a, **k: full() if self.suffix == ".rows" else io_open(self, *a, **k))
    else:
        monkeypatch.setattr(pq.ParquetWriter, "write_table", full_for)
    with pytest.raises(DiskFullError, match="nothing was changed"):
        ingest(more, tmp_path / "out", IngestSettings())
    monkeypatch.undo()
    assert state(tmp_path / "out") == before
    report = ingest(more, tmp_path / "out", IngestSettings())
    assert report.changed


io_open = Path.open


@pytest.mark.skipif(os.geteuid() != 0 or shutil.which("mount") is None, reason="only root can mount a small disk")
def test_a_really_full_disk(tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=600k", "tmpfs", disk], check=False, capture_output=True).returncode:
        pytest.skip("this system does not let root mount a tmpfs")
    try:
        ingest([write_events(tmp_path / "1.parquet", random_rows(300))], disk / "out", KEEP)
        before = state(disk / "out")
        big = write_events(tmp_path / "2.parquet", random_rows(60_000, seed=2, users=3_000))
        with pytest.raises(DiskFullError):
            ingest([big], disk / "out", KEEP)
        assert state(disk / "out") == before
        ingest([write_events(tmp_path / "3.parquet", random_rows(300, seed=3))], disk / "out", KEEP)
    finally:
        subprocess.run(["umount", disk], check=True)


class Killed(BaseException):
    """Stands for the end of the process: after it, nothing reaches the disk."""


def killable(monkeypatch, at):
    """From call number ``at`` of anything that changes the disk on, every such call dies. Returns the counter."""
    count = [0]
    places = [(os, "fsync"), (Path, "replace"), (Path, "unlink"), (shutil, "rmtree"), (pq.ParquetWriter, "write_table")]
    places += [(pq.ParquetWriter, "close"), (Spill, "append"), (Path, "mkdir")]

    def mortal(real):
        def deadly(*args, **kwargs):
            count[0] += 1
            if count[0] > at:
                raise Killed
            return real(*args, **kwargs)

        return deadly

    for owner, name in places:
        deadly = mortal(getattr(owner, name))
        monkeypatch.setattr(owner, name, staticmethod(deadly) if owner is Spill else deadly)
    return count


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_killed_at_every_step_old_state_or_new(tmp_path, monkeypatch):
    first, second = write_carrier(tmp_path / "first", rows=200), write_carrier(tmp_path / "second", rows=200, seed=2, first_day=1)
    base, new = tmp_path / "base", tmp_path / "new"
    ingest([first], base, IngestSettings())
    shutil.copytree(base, new)
    with monkeypatch.context() as patch:
        steps = killable(patch, 10**9)
        ingest([second], new, IngestSettings())
    old_manifest, new_manifest = ((folder / "manifest.json").read_bytes() for folder in (base, new))
    assert steps[0] >= 20
    seen = []
    for at in range(steps[0]):
        out = tmp_path / f"out{at}"
        shutil.copytree(base, out)
        with monkeypatch.context() as patch:
            killable(patch, at)
            with pytest.raises(Killed):
                ingest([second], out, IngestSettings())
        manifest = (out / "manifest.json").read_bytes()
        assert manifest in {old_manifest, new_manifest}
        seen.append(manifest == new_manifest)
        for partitions in read_manifest(out, TelecomManifest).tables.values():
            assert all(sha256_of(out / entry.path) == entry.sha256 for entry in partitions.values())
        ingest([second], out, IngestSettings())
        assert (out / "manifest.json").read_bytes() == new_manifest
        shutil.rmtree(out)
    # One step turns old into new, and it is not the last: clearing up afterwards may die as well.
    assert seen == sorted(seen)
    assert {False, True} == set(seen)


KILLED = """
import sys
from pathlib import Path
from oneteam.telecom.service.ingest import IngestSettings, ingest
ingest([Path(sys.argv[1])], Path(sys.argv[2]), IngestSettings())
print("warm", flush=True)
sys.stdin.readline()
ingest([Path(sys.argv[3])], Path(sys.argv[4]), IngestSettings())
print("done", flush=True)
"""


def test_killed_at_any_moment_old_state_or_new(tmp_path):
    first, second = write_carrier(tmp_path / "first", rows=3_000), write_carrier(tmp_path / "second", rows=3_000, seed=2, first_day=1)
    base, new = tmp_path / "base", tmp_path / "new"
    ingest([first], base, IngestSettings())
    shutil.copytree(base, new)
    started = time.perf_counter()
    ingest([second], new, IngestSettings())
    whole_s = time.perf_counter() - started
    old_manifest, new_manifest = ((folder / "manifest.json").read_bytes() for folder in (base, new))
    rng = random.Random(1)
    seen = set()
    for pair in range(2):
        running = []
        for number in (2 * pair, 2 * pair + 1):
            out = tmp_path / f"out{number}"
            shutil.copytree(base, out)
            # The process warms up on another dataset first, so that the kill falls into the work itself.
            command = [sys.executable, "-c", KILLED, first, tmp_path / f"warm{number}", second, out]
            running.append((out, subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)))
        for out, process in running:
            assert process.stdout.readline() == b"warm\n"
            process.stdin.write(b"\n")
            process.stdin.flush()
            time.sleep(rng.uniform(0, 1.3 * whole_s))
            process.send_signal(signal.SIGKILL)
            process.wait()
            process.stdin.close()
            process.stdout.close()
            manifest = (out / "manifest.json").read_bytes()
            assert manifest in {old_manifest, new_manifest}
            seen.add(manifest)
            for partitions in read_manifest(out, TelecomManifest).tables.values():
                assert all(sha256_of(out / entry.path) == entry.sha256 for entry in partitions.values())
            ingest([second], out, IngestSettings())
            assert (out / "manifest.json").read_bytes() == new_manifest
    assert old_manifest in seen
