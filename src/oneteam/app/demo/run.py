"""Run the demonstration: a country, an alliance, a joint study, and a page that shows it."""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import Final, Protocol

from oneteam.app.demo.members import ANSWERING, NAMES, found_alliance, move_hub
from oneteam.app.demo.processes import HOST, Child, Processes, ending_on_signals, free_port
from oneteam.app.demo.settings import AGENCY, CARRIERS, DemoFolder, DemoSettings
from oneteam.app.demo.study_file import study_toml
from oneteam.app.demo.summary import DemoSummary, read_summary
from oneteam.store.tables import write_atomically
from oneteam.synth.country import make_country

INGEST_S: Final = 1_800.0
START_S: Final = 120.0
STUDY_S: Final = 3_600.0
HUB_FROM: Final = 8_470
"""The hub listens on the first free port from here on."""
STEP_FAILED: Final = 2
"""What `oneteam study run` ends with when a step of the study could not be done."""
WATCH_S: Final = 0.5
ACCOUNTS: Final = {"analyst": "analyst", "officer": "privacy_officer", "steward": "steward"}
OWN: Final = ("privacy_officer", "steward")
"""Roles at a member that receives nothing."""
STEPS: Final = {
    "country": "a synthetic country: people, trips, an outbreak, three carriers' files",
    "ingest": "each carrier reads its own files, in a process of its own",
    "alliance": "keys, roster and Agreements; everyone signs",
    "nodes": "a hub that can read nothing, and a node at each member",
    "study": "the health agency's joint study; rows stay where they are",
    "page": "the page",
}


class Teller(Protocol):
    """Told how far the demonstration is."""

    def step(self, name: str, title: str) -> None:
        """A step begins."""

    def done(self, _name: str, seconds: float, *, reused: bool) -> None:
        """It is over."""

    def detail(self, text: str) -> None:
        """What goes on within it."""

    def progress(self, step: str, done: float, total: float | None) -> None:
        """How far work within it is."""


@dataclass(frozen=True)
class Page:
    """Where a member's page is, and who may sign in.

    Args:
        member: whose.
        address: of the page.
        accounts: names and passwords.
    """

    member: str
    address: str
    accounts: dict[str, str] = field(repr=False)


@dataclass
class Demo:
    """A demonstration that runs.

    Args:
        settings: what it is made from.
        folder: where it stands.
        processes: of it.
        tell: how far it is.
    """

    settings: DemoSettings
    folder: DemoFolder
    processes: Processes
    tell: Teller
    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def step(self, name: str, *, reused: bool = False) -> Iterator[None]:
        """A step, timed and told of."""
        self.tell.step(name, STEPS[name])
        began = time.monotonic()
        yield
        self.seconds[name] = time.monotonic() - began
        self.tell.done(name, self.seconds[name], reused=reused)

    def prepare(self) -> None:
        """Country, data, alliance: what stands from an earlier start is used again."""
        for name, work in (("country", self._country), ("ingest", self._ingest), ("alliance", self._alliance)):
            reused = self.folder.done(name)
            with self.step(name, reused=reused):
                if not reused:
                    work()
                    self.folder.finish(name)
        write_atomically(self.folder.path("study.toml"), study_toml(self.settings).encode())

    def _compile_ahead(self) -> None:
        """Have the epidemic engine compiled meanwhile: what makes the country is compiled on one core, and the engine is needed later."""
        folder = self.folder.path("logs") / "first-compilation"
        folder.mkdir(parents=True, exist_ok=True)
        zones, trips = folder / "zones.csv", folder / "od.csv"
        write_atomically(zones, b"code,population\n11,1000\n12,1000\n")
        write_atomically(trips, b"origin,destination,trips_per_day\n11,12,100\n12,11,100\n")
        small = ("--preset", "covid19", "--zones", zones, "--od", trips, "--members", "32", "--days", "3")
        self.processes.start("first-compilation", "epidemic", "simulate", *small, "--no-plots", "--out", folder / "out")

    def _country(self) -> None:
        self._compile_ahead()
        made = make_country(self.settings.country, self.folder.path("country"), self.tell.progress, force=True)
        self.tell.detail(f"{made.zones} districts, {made.persons:,} people, {made.events:,} records, {made.cases:,} reported cases")

    def _ingest(self) -> None:
        country = self.folder.path("country")
        shapes = country / "zones.geojson"
        children = []
        for name in CARRIERS:
            data = self.folder.home(name) / "data"
            data.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            words = ("telecom", "ingest", country / name, "--out", data, "--zones", country / "zones.csv", "--shapes", shapes, "--json")
            children.append(self.processes.start(f"{name}-ingest", *words))
        self.processes.until_ended(children, INGEST_S)

    def _alliance(self) -> None:
        found_alliance(self.folder, f"https://{HOST}:{free_port(HUB_FROM)}")
        self.tell.detail(f"{', '.join(NAMES)}; two Agreements that all have signed")

    def serve(self) -> None:
        """The hub and all nodes, until they answer."""
        with self.step("nodes"):
            port = free_port(HUB_FROM)
            url = f"https://{HOST}:{port}"
            move_hub(self.folder, url)
            tls, roster = self.folder.path("tls"), self.folder.path("roster.json")
            words = ("--certificate", tls / "server.pem", "--key", tls / "server.key", "--mailboxes", self.folder.path("hub.db"))
            hub = self.processes.start("hub", "hub", "serve", "--roster", roster, "--url", url, *words)
            nodes = {name: self.processes.start(name, "node", "serve", "--home", self.folder.home(name)) for name in NAMES}
            self.processes.until_said(hub, "listening", START_S)
            for name, node in nodes.items():
                self.processes.until_said(node, "ready" if name in ANSWERING else "connected", START_S)
            self.tell.detail(f"{len(nodes)} nodes and a hub at {url}, each a process of its own")

    def study(self) -> None:
        """The joint study, by the agency's node."""
        out = self.folder.path("study")
        with self.step("study"):
            child = self.processes.start("study", "study", "run", self.folder.path("study.toml"), "--out", out, "--json")
            # A step may fail, as where too few travel to tell origins apart: the others stand, and the page says so.
            self.processes.until_ended([child], STUDY_S, _Watch(self), good=(0, STEP_FAILED))
            if not (out / "summary.json").is_file():
                raise child.failed()

    def page(self) -> list[Page]:
        """The agency's page with the study, and a carrier's own; none where the web face is not installed."""
        if find_spec("uvicorn") is None or find_spec("argon2") is None or find_spec("oneteam.web") is None:
            self.tell.detail("the page needs the extra 'web': pip install 'oneteam[web]'")
            return []
        pages: list[Page] = []
        with self.step("page"):
            members = (AGENCY, next(iter(CARRIERS)))
            made = {member: self._make_accounts(member) for member in members}
            self.processes.until_ended([child for _, making in made.values() for child in making], START_S)
            if not self.folder.done("accounts"):
                self.folder.finish("accounts")
            served: list[tuple[Child, int]] = []
            for member in members:
                port = free_port(self.settings.port, taken=[taken for _, taken in served])
                study = ("--study", self.folder.path("study")) if member == AGENCY else ()
                home = self.folder.home(member)
                child = self.processes.start(f"{member}-page", "web", "serve", "--home", home, *study, "--port", str(port))
                served.append((child, port))
                pages.append(Page(member, f"http://{HOST}:{port}", made[member][0]))
            for child, port in served:
                self.processes.until_answers(child, port, START_S)
        return pages

    def _make_accounts(self, member: str) -> tuple[dict[str, str], list[Child]]:
        """Accounts with new passwords: made, or given another password where they were made before."""
        home, known = self.folder.home(member), self.folder.done("accounts")
        accounts, making = {}, []
        for name, role in ACCOUNTS.items():
            if member == AGENCY or role in OWN:
                accounts[name] = secrets.token_urlsafe(12)
                words = ("password", name) if known else ("add", name, "--role", role)
                words = ("web", "account", *words, "--home", str(home), "--password-stdin")
                making.append(self.processes.start(f"{member}-account-{name}", *words, stdin=f"{accounts[name]}\n".encode()))
        return accounts, making


@dataclass
class _Watch:
    """Tells of a study's steps as its ``progress.json`` has them, and that everyone is alive."""

    demo: Demo
    said: set[str] = field(default_factory=set)
    looked: float = 0.0

    def __call__(self) -> None:
        if time.monotonic() - self.looked < WATCH_S:
            return
        self.looked = time.monotonic()
        try:
            steps = json.loads(self.demo.folder.path("study", "progress.json").read_text(encoding="utf-8"))["steps"]
        except (OSError, ValueError, KeyError):
            return
        for step in steps:
            title, state = str(step["title"]["en"]), str(step["state"])
            if state == "running":
                self.demo.tell.progress(title, float(step.get("done") or 0.0), step.get("total"))
            elif state in {"done", "reused", "skipped", "failed"} and step["step"] not in self.said:
                self.said.add(step["step"])
                why = f": {step.get('detail')}" if state in {"failed", "skipped"} else ""
                self.demo.tell.detail(f"{title}: {state}, {float(step.get('seconds') or 0.0):.1f} s{why}")


def run_demo(settings: DemoSettings, tell: Teller, shown: Callable[[DemoSummary, list[Page]], None]) -> DemoSummary:
    """Run the demonstration; with ``once`` until the study is done, else until it is stopped.

    Args:
        settings: what it is made from.
        tell: told how far it is.
        shown: told of the result, and of the pages while they are served.

    Returns:
        What was found.

    Raises:
        InputError, DatasetBusyError: the folder cannot be used.
        EngineError, UnreachableError: a process ended, or did not answer in time.
        KeyboardInterrupt: it was stopped.
    """
    folder = DemoFolder(settings.out)
    began = time.monotonic()
    with folder.claimed(settings.made_from), ending_on_signals(), Processes(folder.path("logs")) as processes:
        demo = Demo(settings, folder, processes, tell)
        demo.prepare()
        demo.serve()
        demo.study()
        pages = [] if settings.once else demo.page()
        summary = read_summary(folder.root, folder.path("study"), time.monotonic() - began, demo.seconds)
        shown(summary, pages)
        while not settings.once:
            time.sleep(WATCH_S)
            processes.check()
    return summary
