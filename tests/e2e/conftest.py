"""A small alliance as its users run it: a hub and five nodes, each a process of its own, over TLS on loopback."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from oneteam.alliance.home import Home
from oneteam.app.demo.members import ANSWERING, NAMES, found_alliance
from oneteam.app.demo.processes import HOST, Child, Processes
from oneteam.app.demo.settings import AGENCY, CARRIERS, DemoFolder
from oneteam.app.study.run import Ran, run_study
from oneteam.cli.main import app
from oneteam.synth.country import make_country
from oneteam.synth.settings import CountrySettings
from oneteam.telecom.service.ingest import IngestSettings, ingest

START_S = 60.0
FIRST_DAY, KNOWN_ON = date(2020, 1, 20), date(2020, 2, 2)
RHO = 0.02
NANO = 1_000_000_000

STUDY = """
format = "oneteam-study/1"
title = {{ en = "Outlook under trouble", ko = "장애 속의 전망" }}
known_on = {known_on}
seed = 3
data = "."

[who]
home = "members/agency"

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


def presence(hour: int, days: int = 3, first: date = FIRST_DAY) -> str:
    """Who is where at an hour, day by day: each test asks for an hour of its own, so that all its questions are new."""
    return PRESENCE.format(hour=hour, first=first, last=first + timedelta(days=days - 1), rho=RHO)


@dataclass
class Team:
    """Everyone's homes, and the processes that run.

    Args:
        folder: laid out as a demonstration's.
        processes: of this test module.
        url: of the hub.
        running: by name.
    """

    folder: DemoFolder
    processes: Processes
    url: str
    running: dict[str, Child] = field(default_factory=dict)

    def start(self, *names: str) -> None:
        """Start those that do not run; no return before they serve."""
        started = [name for name in names if name not in self.running]
        for name in started:
            self.running[name] = self.processes.start(name, *self._words(name))
        for name in started:
            word = "listening" if name == "hub" else "ready" if name in ANSWERING else "connected"
            self.processes.until_said(self.running[name], word, START_S)

    def everyone(self) -> None:
        """Whoever was killed comes back."""
        self.start("hub", *NAMES)

    def kill(self, name: str, number: signal.Signals = signal.SIGKILL) -> None:
        """End one process; it is gone on return."""
        child = self.running.pop(name)
        os.kill(child.process.pid, number)
        self.processes.until_ended([child], START_S, good=(0, -number))

    def _words(self, name: str) -> tuple[str | Path, ...]:
        if name != "hub":
            return "node", "serve", "--home", self.folder.home(name)
        tls = self.folder.path("tls")
        files = ("--certificate", tls / "server.pem", "--key", tls / "server.key", "--mailboxes", self.folder.path("hub.db"))
        return "hub", "serve", "--roster", self.folder.path("roster.json"), "--url", self.url, *files

    def home(self, name: str) -> Home:
        return Home.open(self.folder.home(name))

    def study(self, name: str, asks: str, more: str = "") -> Path:
        """A study file of this alliance."""
        path = self.folder.path(f"{name}.toml")
        path.write_text(STUDY.format(known_on=KNOWN_ON, asks=asks) + more, encoding="utf-8")
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


def run(file: Path, out: Path, progress: Callable[[str, float, float | None], None] = lambda *_: None) -> Ran:
    """Run a study in this process; the members are asked by the agency's own process."""
    return asyncio.run(run_study(file, out, progress=progress))


class Once:
    """Does something the first time that the study comes to a point, while the study waits.

    Args:
        point: word in what the study says of its progress.
        work: what to do.
        nth: at which time.
    """

    def __init__(self, point: str, work: Callable[[], object], nth: int = 1) -> None:
        self.point, self.work, self.left, self.done = point, work, nth, False

    def __call__(self, step: str, _done: float, _total: float | None) -> None:
        if self.done or self.point not in step:
            return
        self.left -= 1
        if self.left == 0:
            self.done = True
            elsewhere(self.work)


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


@pytest.fixture(scope="module")
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


__all__ = ["AGENCY"]
