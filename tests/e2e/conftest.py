"""A small alliance as its users run it: a hub and five nodes, each a process of its own, over TLS on loopback."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import sqlite3
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from oneteam.alliance.home import Home
from oneteam.app.demo.members import ANSWERING, NAMES, found_alliance
from oneteam.app.demo.processes import HOST, Child, Processes
from oneteam.app.demo.settings import CARRIERS, DemoFolder
from oneteam.app.desk import Desk
from oneteam.app.study import releases
from oneteam.app.study.run import Ran, run_study
from oneteam.cli.main import app
from oneteam.core.progress import Progress, silent
from oneteam.synth.country import make_country
from oneteam.synth.settings import CountrySettings
from oneteam.telecom.service.ingest import IngestSettings, ingest

START_S = 60.0
FIRST_DAY, KNOWN_ON = date(2020, 1, 20), date(2020, 2, 2)
RHO = 0.02
CHARGE = 20_000_000
"""One question's, in billionths of rho."""

STUDY = """
format = "oneteam-study/1"
title = {{ en = "Outlook under trouble", ko = "장애 속의 전망" }}
known_on = {known_on}
seed = 3
data = "."

[who]
home = "members/agency"
wait_s = {wait_s}

{asks}

[places]
zones = "country/zones.csv"
geometry = "country/zones.geojson"
place_code = "region"

[cases]
file = "country/agency/cases_daily.csv"
week_end = "SUN"

[forecast]
horizons = [1]
past_weeks = 0
models = ["baseline"]
threshold = "q0.75"
horizon = 1
processes = 1

[situation]
disease = "covid19-wild"

[alerts]
sender = "agency@example.org"
status = "Test"
"""
PRESENCE = """
[[ask]]
measure = "presence"
filters = {{ hour = ["{hour}"] }}
first_day = {first}
last_day = {last}
every = "day"
rho = {rho}
"""


def presence(hour: int, days: int = 2, first: date = FIRST_DAY) -> str:
    """Who is where at an hour, day by day: each test asks for an hour of its own, so that all its questions are new."""
    return PRESENCE.format(hour=hour, first=first, last=first + timedelta(days=days - 1), rho=RHO)


@dataclass
class Team:
    """Everyone's homes, and the processes that run.

    Args:
        folder: laid out as a demonstration's.
        processes: of these tests.
        url: of the hub.
        running: by name.
    """

    folder: DemoFolder
    processes: Processes
    url: str
    running: dict[str, Child] = field(default_factory=dict)

    def start(self, *names: str) -> None:
        """Start those that do not run; no return before they serve."""
        self.launch(*(name for name in names if name not in self.running))
        for name in names:
            word = "listening" if name == "hub" else "ready" if name in ANSWERING else "connected"
            self.processes.until_said(self.running[name], word, START_S)

    def launch(self, *names: str) -> None:
        """Start, and do not wait. By the main thread alone: the kernel ends children with the thread that has made them."""
        for name in names:
            self.running[name] = self.processes.start(name, *self._words(name))

    def everyone(self) -> None:
        """Whoever was killed comes back."""
        self.start("hub", *NAMES)

    def kill(self, name: str, number: signal.Signals = signal.SIGKILL) -> None:
        """End one process; it is gone on return."""
        child = self.running.pop(name)
        os.kill(child.process.pid, number)
        self.processes.until_ended([child], START_S, good=(0, -number))

    def wait(self, true: Callable[[], bool]) -> None:
        """Wait until something is so."""
        end = time.monotonic() + START_S
        while not true():
            assert time.monotonic() < end, "not in time"
            self.processes.check()
            time.sleep(0.01)

    def _words(self, name: str) -> tuple[str | Path, ...]:
        if name != "hub":
            return "node", "serve", "--home", self.folder.home(name)
        tls = self.folder.path("tls")
        files = ("--certificate", tls / "server.pem", "--key", tls / "server.key", "--mailboxes", self.folder.path("hub.db"))
        return "hub", "serve", "--roster", self.folder.path("roster.json"), "--url", self.url, *files

    def home(self, name: str) -> Home:
        return Home.open(self.folder.home(name))

    def study(self, name: str, asks: str, wait_s: float = START_S) -> Path:
        """A study file of this alliance."""
        path = self.folder.path(f"{name}.toml")
        path.write_text(STUDY.format(known_on=KNOWN_ON, asks=asks, wait_s=wait_s), encoding="utf-8")
        return path

    def charges(self, member: str, queries: Sequence[str]) -> dict[str, list[int]]:
        """What the member's ledger was charged for each of these queries, in billionths of rho, charge by charge."""
        found: dict[str, list[int]] = {query: [] for query in queries}
        registry = self.folder.home(member) / "registry.db"
        with closing(sqlite3.connect(f"{registry.as_uri()}?mode=ro", uri=True)) as db:
            for query, nano in db.execute("SELECT query_id, nano_rho FROM ledger_charge ORDER BY rowid"):
                if query in found:
                    found[query].append(nano)
        return found

    def verify_logs(self) -> None:
        """Every member's log is whole, and its ledger holds what the log permits, no more and no less."""
        for name in NAMES:
            found = command("audit", "verify", "--home", str(self.folder.home(name)), "--json")
            assert found["entries"] > 0, name


def command(*words: str, code: int = 0) -> Any:
    """What a command prints."""
    result = CliRunner().invoke(app, list(words))
    assert result.exit_code == code, result.output
    return json.loads(result.stdout)


class Watched:
    """The agency's desk, seen by a test: it may strike when a question is put, or at a step of its round.

    Args:
        desk: the real one.
        strike: told the number of the question, from 1 on, and the step: ``asked``, or as the node tells it, with how many have answered.
    """

    def __init__(self, desk: Desk, strike: Callable[[int, str, float], None]) -> None:
        self._desk, self._strike, self._asked = desk, strike, 0

    async def do(self, what: str, arguments: dict[str, Any], progress: Progress = silent) -> dict[str, Any]:
        if what != "query":
            return await self._desk.do(what, arguments, progress)
        self._asked += 1
        self._strike(self._asked, "asked", 0)

        def told(step: str, done: float, total: float | None) -> None:
            self._strike(self._asked, step, done)
            progress(step, done, total)

        return await self._desk.do(what, arguments, told)


def run(file: Path, out: Path, strike: Callable[[int, str, float], None] | None = None) -> Ran:
    """Run a study in this process; members are asked by the agency's own process. ``strike`` as `Watched`."""
    real = releases.at_desk

    @asynccontextmanager
    async def seen(home: Home) -> AsyncIterator[Desk]:
        async with real(home) as desk:
            yield Watched(desk, strike) if strike is not None else desk

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(releases, "at_desk", seen)
        return asyncio.run(run_study(file, out))


class Blow:
    """Does something the first time that a question comes to a step.

    Args:
        number: of the question, from 1 on.
        step: as `Watched` tells it.
        work: what to do.
    """

    def __init__(self, number: int, step: str, work: Callable[[], object]) -> None:
        self._when, self._work, self.struck = (number, step), work, False

    def __call__(self, asked: int, step: str, _done: float) -> None:
        if not self.struck and (asked, step) == self._when:
            self.struck = True
            self._work()


def elsewhere(work: Callable[[], object]) -> None:
    """Do something in a thread without an event loop, to its end; what it raises is raised here."""
    raised: list[BaseException] = []

    def do() -> None:
        try:
            work()
        except BaseException as err:  # noqa: BLE001 - raised again below
            raised.append(err)

    thread = threading.Thread(target=do)
    thread.start()
    thread.join()
    if raised:
        raise raised[0]


def listed(folder: Path, below: str = "") -> dict[str, bytes]:
    """Every output that does not depend on when and how often the study was run."""
    skip = {"progress.json", ".lock", "root.json"}
    root = folder / below
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in sorted(root.rglob("*")) if p.is_file() and p.name not in skip}


def read(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


@pytest.fixture(scope="package")
def team(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Team]:
    """The alliance, everyone running."""
    folder = DemoFolder(tmp_path_factory.mktemp("e2e") / "alliance")
    settings = CountrySettings(
        subscribers=1200,
        days=35,
        zone_count=12,
        events_per_day=4.0,
        events_from=FIRST_DAY,
        events_until=KNOWN_ON,
        seed=5,
    )
    make_country(settings, folder.path("country"))
    for name in CARRIERS:
        data = folder.home(name) / "data"
        data.parent.mkdir(parents=True)
        ingest([folder.path("country", name)], data, IngestSettings(zones=folder.path("country", "zones.csv")))
    with socket.socket() as free:
        free.bind((HOST, 0))
        url = f"https://{HOST}:{free.getsockname()[1]}"
    found_alliance(folder, url)
    with Processes(folder.path("logs")) as processes:
        made = Team(folder, processes, url)
        made.everyone()
        yield made
