"""The demonstration as its users start it: once, again, stopped, killed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

SMALL = ("--subscribers", "5000", "--zone-count", "17", "--seed", "2")
WAIT_S = 900.0
pytestmark = pytest.mark.slow


def command(folder: Path, *more: str) -> list[str]:
    return [sys.executable, "-m", "oneteam", "demo", "--out", str(folder), *SMALL, *more]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("demo") / "demo"


@pytest.fixture(scope="module")
def once(folder):
    found = subprocess.run(command(folder, "--once", "--json"), capture_output=True, text=True, timeout=WAIT_S, check=False)
    assert found.returncode == 0, found.stderr
    return json.loads(found.stdout)


def test_it_ends_with_what_was_found_and_how_right_it_was(once, folder):
    assert once["format"] == "oneteam-demo-summary/1"
    assert len(once["sentences"]["en"]) == len(once["sentences"]["ko"]) == 3
    assert once["forecast"]["tasks"] > 0
    assert 0 < once["forecast"]["relative_wis"] < 5
    assert 0 < once["od_error"] < 2
    assert 0.2 < once["od_correlation"] <= 1
    assert once["releases"] >= 9
    assert once["refusals"] == 0
    assert 0 < once["rho_spent"] < 2
    assert once["pages"] == []
    assert list(once["steps_s"]) == ["country", "ingest", "alliance", "nodes", "study"]
    assert (folder / "study" / "report.html").is_file()


def test_nobodys_rows_left_home_and_no_process_is_left(once, folder):
    names = {path.name for path in (folder / "members" / "agency").rglob("*")}
    assert "data" not in names
    assert not [p for p in psutil.process_iter(["cmdline"]) if str(folder) in " ".join(p.info["cmdline"] or ())]


def test_started_again_it_spends_nothing_and_ctrl_c_stops_every_process(once, folder):
    spent = json.loads((folder / "study" / "provenance.json").read_text())["rho_spent"]
    with subprocess.Popen(command(folder), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as demo:
        children = started(demo, folder)
        assert len(children) >= 6
        demo.send_signal(signal.SIGINT)
        _, told = demo.communicate(timeout=60)
    assert demo.returncode == 130, told
    assert told.count("from before") == 3
    assert gone(children)
    assert json.loads((folder / "study" / "provenance.json").read_text())["rho_spent"] == spent


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel tells children of their parent's end on Linux only")
def test_killed_it_leaves_nobody(once, folder):
    with subprocess.Popen(command(folder), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as demo:
        children = started(demo, folder)
        os.kill(demo.pid, signal.SIGKILL)
        demo.wait()
    assert gone(children)


def started(demo: subprocess.Popen[str], folder: Path) -> list[psutil.Process]:
    """The hub's and the nodes' processes, once they run."""
    logs = [folder / "logs" / f"{name}.log" for name in ("skylark", "horizon", "bluewave", "university")]
    began = time.time()
    while not all(log.exists() and log.stat().st_mtime > began - 1 and "ready" in log.read_text() for log in logs):
        assert demo.poll() is None, demo.communicate()
        assert time.time() < began + WAIT_S
        time.sleep(0.1)
    return psutil.Process(demo.pid).children(recursive=True)


def gone(processes: list[psutil.Process]) -> bool:
    _, alive = psutil.wait_procs(processes, timeout=30)
    return not [p for p in alive if p.status() != psutil.STATUS_ZOMBIE]
