"""A whole alliance in one event loop: three carriers, a helper and an agency with real gates, ledgers and logs, and a hub between them."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from oneteam.alliance.certificates import Authority
from oneteam.alliance.gossip import Gossip
from oneteam.alliance.mailbox import MAILBOX_SCHEMA
from oneteam.alliance.node import Node, NodeServices
from oneteam.alliance.relay import Limits, Relay
from oneteam.alliance.replies import REPLIES_SCHEMA
from oneteam.alliance.serving import HubSettings, serve_hub
from oneteam.alliance.transport import HubLine
from oneteam.core.keys import Keys, PublicKeys
from oneteam.core.model import Agreement, Query
from oneteam.privacy.agreements import agreement_id
from oneteam.privacy.book import BOOK_SCHEMA, AgreementBook
from oneteam.privacy.contributions import Contributions
from oneteam.privacy.gate import Gate
from oneteam.privacy.ledger import Ledger
from oneteam.privacy.policy import LocalLimits
from oneteam.privacy.signing import sign_document
from oneteam.store.audit_log import AuditLog, origin_of
from oneteam.store.registry import Registry

CARRIERS = ("skylark", "horizon", "bluewave")
NAMES = (*CARRIERS, "campus", "agency")
ZONES = 25


def utc_now() -> datetime:
    return datetime.now(UTC)


def an_agreement(**changes: Any) -> Agreement:
    now = utc_now()
    body: dict[str, Any] = {
        "title": {"en": "Presence for epidemic forecasts"},
        "roster": "ab" * 32,
        "purpose": "dpv:PublicBenefit",
        "dataset": "mobility",
        "contributors": CARRIERS,
        "helpers": ("campus",),
        "recipients": ("agency",),
        "rho_total": 50.0,
        "single": True,
        "threshold": 3,
        "not_before": now - timedelta(days=1),
        "until": now + timedelta(days=300),
        "dimensions": {"zone": {"codes": tuple(f"z{i}" for i in range(ZONES))}},
        "measures": (
            {
                "name": "presence",
                "dimensions": ("zone",),
                "levels": ("zone=code",),
                "max_keys": 4,
                "rho_per_release": 0.5,
                "max_days": 28,
            },
        ),
    }
    return Agreement.model_validate(body | changes)


def a_query(agreement: Agreement, day: int = 0, **changes: Any) -> Query:
    """A new query for every day."""
    first = date(2026, 1, 1) + timedelta(days=day)
    body: dict[str, Any] = {
        "agreement": agreement_id(agreement),
        "purpose": agreement.purpose,
        "measure": "presence",
        "dimensions": ("zone",),
        "levels": ("zone=code",),
        "first_day": first,
        "last_day": first,
        "rho": 0.05,
        "owners": agreement.contributors,
    }
    return Query.model_validate(body | changes)


def rows(seed: int, subscribers: int = 4000) -> Contributions:
    generator = np.random.default_rng(seed)
    who = np.sort(generator.integers(0, subscribers // 2, subscribers))
    return Contributions(who, {"zone": generator.integers(0, ZONES, subscribers).astype(np.int32)}, np.ones(subscribers, np.int64))


def truth(contributions: Contributions, max_keys: int | None = None) -> np.ndarray:
    """Distinct subscribers in each zone, before any bound on keys."""
    pairs = {(int(who), int(zone)) for who, zone in zip(contributions.subscriber, contributions.keys["zone"], strict=True)}
    return np.bincount([zone for _, zone in pairs], minlength=ZONES)


@dataclass
class Team:
    """Keys, an agreement, and what is needed to make members' nodes."""

    folder: Path
    agreement: Agreement = field(default_factory=an_agreement)
    seeds: dict[str, int] = field(default_factory=lambda: {name: i for i, name in enumerate(CARRIERS)})
    source: Callable[[str], Any] | None = None
    limits: Limits = field(default_factory=Limits)
    settle_s: float = 0.02

    def __post_init__(self) -> None:
        self.keys = {name: Keys.generate() for name in NAMES}
        text = None
        for party in self.agreement.parties:
            text = sign_document(self.agreement, party, self.keys[party], text)
        self.signed = text
        self.services: dict[str, NodeServices] = {}
        self.logs: dict[str, AuditLog] = {}
        self.registries: dict[str, Registry] = {}
        self.gates: dict[str, Gate] = {}

    @property
    def members(self) -> dict[str, PublicKeys]:
        return {name: keys.public for name, keys in self.keys.items()}

    def lookup(self, name: str) -> PublicKeys | None:
        return self.members.get(name)

    def registry(self, name: str) -> Registry:
        if name not in self.registries:
            schemas = (BOOK_SCHEMA, REPLIES_SCHEMA)
            self.registries[name] = Registry.open(self.folder / name / "registry.db", schemas=schemas)
        return self.registries[name]

    def make_services(self, name: str, limits: LocalLimits | None = None) -> NodeServices:
        registry = self.registry(name)
        log = self.logs[name] = AuditLog(registry, origin_of(name), self.keys[name])
        book = AgreementBook(registry, self.lookup)
        book.add(self.signed)
        gate = Gate(
            me=name,
            keys=self.keys[name],
            registry=registry,
            log=log,
            ledger=Ledger(registry),
            book=book,
            lookup=self.lookup,
            limits=lambda: limits or LocalLimits(),
            source=self.source(name) if self.source else lambda query, agreement: rows(self.seeds[name]),
            now=utc_now,
            secret=bytes(32),
        )
        self.gates[name] = gate
        self.services[name] = NodeServices(
            gate=gate, book=book, gossip=Gossip(name, log, self.lookup, settle_s=self.settle_s), catalogue=lambda asker: {"asker": asker}
        )
        return self.services[name]

    def node(self, name: str, line: HubLine, *, services: NodeServices | None = None, now: Callable[[], datetime] = utc_now) -> Node:
        return Node(
            name,
            self.keys[name],
            self.lookup,
            peers=NAMES,
            line=line,
            registry=self.registry(name),
            services=services or self.make_services(name),
            now=now,
            gossip_s=0,
        )

    def close(self) -> None:
        for gate in self.gates.values():
            gate.close()
        for registry in self.registries.values():
            registry.close()


class Hub:
    """A hub that can be stopped and started again; lines to it."""

    relay: Relay

    def __init__(self, team: Team) -> None:
        self.team = team
        self.folder = team.folder / "hub"

    def line(self, name: str, keys: Keys | None = None) -> HubLine:
        raise NotImplementedError

    async def start(self) -> None:
        raise NotImplementedError

    async def stop(self) -> None:
        raise NotImplementedError


class InProcess(Hub):
    """The application itself, no socket. The lines go through a door that a test may shut, as a network may."""

    url = "http://hub.in-process"

    async def start(self) -> None:
        self.registry = Registry.open(self.folder / "hub.db", schemas=(MAILBOX_SCHEMA,))
        self.relay = Relay(self.registry, self.team.members, self.url, limits=self.team.limits)

    async def stop(self) -> None:
        self.relay.mailboxes.close()
        self.registry.close()

    def line(self, name: str, keys: Keys | None = None) -> HubLine:
        async def app(scope: Any, receive: Any, send: Any) -> None:
            await self.relay.app(scope, receive, send)

        return HubLine.in_process(app, name, keys or self.team.keys[name], url=self.url)


class OverTls(Hub):
    """A server on loopback with a certificate of the alliance's own authority."""

    def __init__(self, team: Team) -> None:
        super().__init__(team)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.url = f"https://localhost:{free.getsockname()[1]}"
        authority = Authority.create("Test alliance", utc_now())
        self.ca = authority.save(self.folder)
        self.files = authority.issue(["localhost", "127.0.0.1"], self.folder, utc_now())

    async def start(self) -> None:
        self.told = asyncio.Event()
        ready = asyncio.Event()

        def started(relay: Relay, _: int) -> None:
            self.relay = relay
            ready.set()

        settings = HubSettings(self.url, self.folder / "hub.db", *self.files, limits=self.team.limits)
        self.task = asyncio.create_task(serve_hub(settings, self.team.members, stop=self.told, ready=started))
        waiting = asyncio.create_task(ready.wait())
        await asyncio.wait({waiting, self.task}, return_when=asyncio.FIRST_COMPLETED)
        if self.task.done():
            await self.task

    async def stop(self) -> None:
        self.told.set()
        await self.task

    def line(self, name: str, keys: Keys | None = None) -> HubLine:
        return HubLine.https(self.url, name, keys or self.team.keys[name], authority=self.ca)


TRANSPORTS: dict[str, type[Hub]] = {"in process": InProcess, "over TLS": OverTls}


@asynccontextmanager
async def running(hub: Hub, *names: str, **services: NodeServices) -> AsyncIterator[dict[str, Node]]:
    """Nodes that serve, connected to a hub that was started."""
    async with AsyncExitStack() as stack:
        nodes = {}
        for name in names:
            nodes[name] = hub.team.node(name, hub.line(name), services=services.get(name))
            await stack.enter_async_context(serving(nodes[name]))
        yield nodes


@asynccontextmanager
async def serving(node: Node) -> AsyncIterator[asyncio.Task[None]]:
    task = asyncio.create_task(node.run())
    try:
        await asyncio.wait_for(node.connected.wait(), 10)
        yield task
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


@asynccontextmanager
async def a_hub(kind: str, team: Team) -> AsyncIterator[Hub]:
    hub = TRANSPORTS[kind](team)
    await hub.start()
    try:
        yield hub
    finally:
        await hub.stop()


def a_team(folder: Path, **settings: Any) -> Iterator[Team]:
    """For fixtures."""
    team = Team(folder, **settings)
    yield team
    team.close()
