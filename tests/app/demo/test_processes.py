"""Processes that end with whoever started them, ports, and the folder."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from oneteam.app.demo.processes import HOST, Processes, free_port
from oneteam.app.demo.settings import DemoFolder, DemoSettings
from oneteam.core.errors import DatasetBusyError, EngineError, InputError, UnknownValueError, UnreachableError

WAIT_S = 60.0
LASTING = ("hub", "serve", "--roster")


def until(true, within_s=WAIT_S):
    end = time.monotonic() + within_s
    while not true():
        assert time.monotonic() < end, "not in time"
        time.sleep(0.05)


def test_a_free_port_is_one_that_nobody_listens_on():
    with socket.socket() as taken:
        taken.bind((HOST, 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert free_port(port) > port
        with pytest.raises(UnreachableError, match="is free"):
            free_port(port, tries=1)
    assert free_port(port) == port
    assert free_port(port, taken=[port]) > port


def test_a_command_that_fails_tells_why(tmp_path):
    with Processes(tmp_path / "logs") as processes:
        child = processes.start("hub", *LASTING, tmp_path / "absent.json")
        with pytest.raises(EngineError, match="absent"):
            processes.until_said(child, "listening", WAIT_S)


def test_commands_that_end_well_are_waited_for_and_the_rest_is_stopped(tmp_path):
    with Processes(tmp_path / "logs") as processes:
        children = [processes.start(name, "parts", "--json") for name in ("one", "two")]
        looked = []
        processes.until_ended(children, WAIT_S, lambda: looked.append(1))
        assert "presence" in children[1].said
        assert looked
        processes.check()


def test_stopping_leaves_nobody(tmp_path):
    with Processes(tmp_path / "logs") as processes:
        child = processes.start("slow", "synth", tmp_path / "country", "--subscribers", "2000000", "--days", "300")
        until(lambda: psutil.pid_exists(child.process.pid))
        with pytest.raises(UnreachableError, match="did not say 'never' within"):
            processes.until_said(child, "never", 0.2)
    assert child.process.poll() is not None
    assert not psutil.pid_exists(child.process.pid)


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel tells children of their parent's end on Linux only")
def test_when_the_parent_is_killed_the_children_end(tmp_path):
    lines = [
        "import sys, time",
        "from pathlib import Path",
        "from oneteam.app.demo.processes import Processes",
        "with Processes(Path(sys.argv[1])) as processes:",
        "    child = processes.start('slow', 'synth', sys.argv[2], '--subscribers', '2000000', '--days', '300')",
        "    print(child.process.pid, flush=True)",
        "    time.sleep(600)",
    ]
    words = [sys.executable, "-c", "\n".join(lines), str(tmp_path / "logs"), str(tmp_path / "country")]
    with subprocess.Popen(words, stdout=subprocess.PIPE) as parent:
        pid = int(parent.stdout.readline())
        # The child must have come so far that it knows whose end to wait for.
        until(lambda: "oneteam.app.demo.child" in " ".join(psutil.Process(pid).cmdline()))
        time.sleep(1.0)
        os.kill(parent.pid, signal.SIGKILL)
        parent.wait()
        until(lambda: not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)


def test_a_folder_is_one_demonstrations(tmp_path):
    folder = DemoFolder(tmp_path / "demo")
    with folder.claimed({"a": 1}) as same:
        assert not same
        folder.finish("country")
        with pytest.raises(DatasetBusyError), DemoFolder(tmp_path / "demo").claimed({"a": 1}):
            pass
    folder.path("country").mkdir()
    folder.path("mine.txt").write_text("kept")
    with folder.claimed({"a": 1}) as same:
        assert same
        assert folder.done("country")
        assert not folder.done("ingest")
    with folder.claimed({"a": 2}) as same:
        assert not same
        assert not folder.done("country")
        assert not folder.path("country").exists()
        assert folder.path("mine.txt").exists()
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "mine.txt").write_text("kept")
    with pytest.raises(InputError, match="no demonstration"), DemoFolder(tmp_path / "other").claimed({}):
        pass


def test_shapes_need_zones():
    with pytest.raises(UnknownValueError, match="--shapes needs --zones"):
        _ = DemoSettings(Path("demo"), shapes=Path("shapes.json")).country
