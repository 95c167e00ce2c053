"""The disk runs full while a study writes, again and again; with room it goes on where it was."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from oneteam.app.demo.settings import CARRIERS
from oneteam.core.errors import DiskFullError
from tests.e2e.conftest import CHARGE, Team, listed, presence, read, run

FIRST_KIB, MOST_KIB, STEP_KIB = 24, 1024, 40


@contextmanager
def small_disk(folder: Path) -> Iterator[Path]:
    folder.mkdir()
    words = ["mount", "-t", "tmpfs", "-o", f"size={FIRST_KIB}k", "tmpfs", str(folder)]
    if subprocess.run(words, check=False, capture_output=True).returncode:
        pytest.skip("this system does not let root mount a tmpfs")
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


@pytest.mark.skipif(os.geteuid() != 0 or shutil.which("mount") is None, reason="this system lets only root mount a small disk")
def test_a_full_disk_stops_the_study_and_nothing_is_half_written(team: Team, tmp_path: Path) -> None:
    team.everyone()
    file = team.study("disk", presence(hour=13, days=1))
    states: list[dict[str, bytes]] = []
    told: list[tuple[str, str, str]] = []
    with small_disk(tmp_path / "disk") as disk:
        out = disk / "out"
        for size in range(FIRST_KIB, MOST_KIB, STEP_KIB):
            subprocess.run(["mount", "-o", f"remount,size={size}k", str(disk)], check=True)
            try:
                ran = run(file, out)
                break
            except DiskFullError as err:
                told.append((err.code, err.message, err.hint))
            states.append(listed(out))
        end = listed(out)
        assert {code for code, _, _ in told} == {"storage.disk_full"}
        assert all("no room on the disk" in message and "run the same command again" in hint for _, message, hint in told)
        assert not [name for state in states for name in state if name.endswith(".tmp")]
        assert ran.refusals == []
        assert set(ran.states.values()) <= {"done", "reused", "skipped"}
        query = read(out / "provenance.json")["releases"][0]["query"]
    assert len(states) >= 3
    assert len({len(state) for state in states}) >= 3, "it must have ended in different places"
    # A Release that there was no room for had been paid for; it is not paid for again.
    assert [team.charges(name, [query]) for name in CARRIERS] == [{query: [CHARGE]}] * 3
    # An undisturbed study writes the same; whatever stood there when the disk was full was a whole file of it.
    calm = tmp_path / "calm"
    (calm / "releases").mkdir(parents=True)
    (calm / ".lock").touch()
    (calm / "releases" / f"{query}.json").write_bytes(end[f"releases/{query}.json"])
    run(file, calm)
    expected = listed(calm)
    assert end == expected
    for state in states:
        for name in state:
            if name.endswith((".json", ".jsonl")):
                assert [json.loads(line) for line in (state[name].splitlines() if name.endswith("l") else [state[name]])], name
            else:
                assert state[name] == expected[name], name
