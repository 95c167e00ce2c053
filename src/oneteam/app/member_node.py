"""One member's node, put together from its home: registry, log, ledger, Agreements, gate, the parts' measures and the line to the hub."""

from __future__ import annotations

import asyncio
import fcntl
import hashlib
import hmac
import logging
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from typing import Any, Final

from oneteam.alliance.catalogue import catalogue
from oneteam.alliance.gossip import Gossip
from oneteam.alliance.home import Home
from oneteam.alliance.node import Node, NodeServices
from oneteam.alliance.replies import REPLIES_SCHEMA
from oneteam.alliance.roster import SignedRoster, lookup_of
from oneteam.alliance.transport import HubLine
from oneteam.app.acting import Acting
from oneteam.app.revoking import take_revocation
from oneteam.core.errors import DatasetBusyError, OneteamError, UnknownValueError
from oneteam.core.keys import Keys
from oneteam.core.model import Agreement, Dataset, Query, Text
from oneteam.core.part import MeasureInfo, Part, installed_parts
from oneteam.privacy.agreements import Revocation
from oneteam.privacy.book import BOOK_SCHEMA, AgreementBook
from oneteam.privacy.contributions import Contributions
from oneteam.privacy.gate import Gate
from oneteam.privacy.ledger import LEDGER_SCHEMA, Ledger
from oneteam.privacy.policy import LocalLimits
from oneteam.store.audit_log import AuditEntry, AuditLog, origin_of
from oneteam.store.registry import Registry

LOG: Final = logging.getLogger(__name__)
LEVEL_RETRY_S: Final = 5.0
LEVEL_LOOK_S: Final = 0.1
DOUBT: Final = "this node has just started and has not yet compared its log with what other members hold of it"


def utc_now() -> datetime:
    """The clock of a running node."""
    return datetime.now(UTC)


@dataclass(frozen=True)
class MemberNode:
    """A member's node with everything in it; made by `open_member`.

    Args:
        home: the member's.
        roster: in use.
        registry: its file, open.
        log: its audit log.
        ledger: its budgets.
        book: its Agreements.
        gate: None at a member that neither contributes nor helps.
        node: the part of it that talks.
        asking: queries that are being asked, so that none is paid for twice.
    """

    home: Home
    roster: SignedRoster
    registry: Registry
    log: AuditLog
    ledger: Ledger
    book: AgreementBook
    gate: Gate | None
    node: Node
    asking: dict[str, asyncio.Lock] = field(default_factory=dict)

    async def run_until_level(self) -> None:
        """Compare the log with what others hold until the ledger may be used; for ever if too few answer."""
        await self.node.connected.wait()
        loop = asyncio.get_running_loop()
        tried = loop.time()  # the node itself compares once as soon as it is connected
        while self.ledger.unlevel:
            await asyncio.sleep(LEVEL_LOOK_S)
            if loop.time() - tried < LEVEL_RETRY_S:
                continue
            tried = loop.time()
            try:
                await self.node.exchange_checkpoints()
            except OneteamError as err:
                LOG.error("%s: %s", self.home.id, err.message)  # noqa: TRY400 - public text only

    def reload_agreements(self) -> int:
        """Take in Agreements that were added as files since; how many are kept in all."""
        self.home.fill_book(self.book)
        return len(self.book.all())

    def revoke(self, signed_revocation: str) -> Revocation:
        """Keep a revocation and enter it in the log; from then on the gate refuses."""
        return take_revocation(self.registry, self.log, self.book, signed_revocation, self.node.now())

    def own_catalogue(self) -> dict[str, Any]:
        """What this member offers, as its own people see it."""
        return _catalogue(self.home, self.book, self.home.id, self.node.now())


@contextmanager
def open_member(
    home: Home, line: HubLine | None = None, *, now: Callable[[], datetime] = utc_now, gossip_s: float = 600.0
) -> Iterator[MemberNode]:
    """A member's node, ready to run; closed at the end.

    Args:
        home: the member's.
        line: to the hub; the one of ``member.toml`` over HTTPS when None.
        now: the clock.
        gossip_s: how often checkpoints are exchanged.

    Raises:
        DatasetBusyError: another node of this home is running.
        UnknownValueError: no hub is given, or a dataset names a part that is not installed.
        LogError: the log does not fit itself.
    """
    with _only_one(home.folder):
        roster = home.roster()
        lookup = lookup_of(roster.roster)
        line = line or hub_line(home)
        registry = home.open_registry((BOOK_SCHEMA, LEDGER_SCHEMA, REPLIES_SCHEMA))
        gate: Gate | None = None
        try:
            log = AuditLog(registry, origin_of(home.id), home.keys, now)
            ledger = Ledger(registry)
            ledger.doubt(DOUBT)
            book = home.book(registry)
            home.fill_book(book)
            with registry.transaction() as db:
                log.append(db, AuditEntry(at=now(), kind="start"))
            if {"contributor", "helper"} & set(home.settings.roles):
                gate = Gate(
                    me=home.id,
                    keys=home.keys,
                    registry=registry,
                    log=log,
                    ledger=ledger,
                    book=book,
                    lookup=lookup,
                    limits=OwnLimits(home),
                    source=Sources(home),
                    now=now,
                    secret=sampling_key(home.keys),
                )
            gossip = Gossip(home.id, log, lookup, level=ledger.level_with)
            services = NodeServices(
                gate=gate,
                book=_Revoker(registry, log, book, now),
                gossip=gossip,
                catalogue=lambda asker: _catalogue(home, book, asker, now()),
                actor=Acting(home, registry, log, book, lookup, OwnLimits(home), now) if home.settings.datasets else None,
                ready=lambda: gate is not None and not ledger.unlevel,
            )
            node = Node(
                home.id,
                home.keys,
                lookup,
                peers=[member.id for member in roster.roster.members],
                line=line,
                registry=registry,
                services=services,
                now=now,
                gossip_s=gossip_s,
            )
            yield MemberNode(home, roster, registry, log, ledger, book, gate, node)
        finally:
            if gate is not None:
                gate.close()
            registry.close()


def hub_line(home: Home) -> HubLine:
    """The line of ``member.toml``.

    Raises:
        UnknownValueError: it names no hub.
    """
    if home.settings.hub is None:
        raise UnknownValueError(f"{home.folder / 'member.toml'}: no hub", hint='Add a line: hub = "https://hub.example.org:8443"')
    return HubLine.https(home.settings.hub, home.id, home.keys, authority=home.hub_ca)


class OwnLimits:
    """The owner's limits as ``member.toml`` has them now: a pause takes effect with the next question.

    Args:
        home: the member's.
    """

    def __init__(self, home: Home) -> None:
        self._home = home
        self._path = home.folder / "member.toml"
        self._seen: tuple[int, int] | None = None
        self._limits = LocalLimits(paused=True)

    def __call__(self) -> LocalLimits:
        """The limits; everything is refused while the file cannot be read."""
        try:
            found = self._path.stat()
            if self._seen != (found.st_mtime_ns, found.st_size):
                self._limits = Home.open(self._home.folder).settings.limits
                self._seen = (found.st_mtime_ns, found.st_size)
        except (OneteamError, OSError) as err:
            LOG.error("%s: refuses everything, its limits cannot be read: %s", self._home.id, err)  # noqa: TRY400 - public text only
            self._limits, self._seen = LocalLimits(paused=True), None
        return self._limits


def sampling_key(keys: Keys) -> bytes:
    """The node's secret for choosing which contributions are kept: derived, so that it needs no file of its own."""
    return hmac.digest(keys.to_bytes(), b"oneteam/1 contribution sampling", hashlib.sha256)


class Sources:
    """The rows of a member's datasets by what a Query's Agreement names; each dataset is opened when it is first asked.

    Args:
        home: the member's.

    Raises:
        UnknownValueError: a dataset names a part that is not installed or that answers no Queries.
    """

    def __init__(self, home: Home) -> None:
        self._home = home
        self._open: dict[str, Callable[[Query, Agreement], Contributions]] = {}
        parts = installed_parts()
        for name, settings in home.settings.datasets.items():
            if getattr(parts.get(settings.part), "source", None) is None:
                able = ", ".join(sorted(n for n, part in parts.items() if getattr(part, "source", None))) or "none"
                where = f"{home.folder / 'member.toml'}: datasets.{name}.part"
                raise UnknownValueError(f"{where}: no part '{settings.part}' that answers queries; there are: {able}")

    def __call__(self, query: Query, agreement: Agreement) -> Contributions:
        """The rows of the Agreement's dataset for a Query."""
        name = agreement.dataset
        if name not in self._open:
            path = self._home.dataset_path(name)
            part = installed_parts()[self._home.settings.datasets[name].part]
            self._open[name] = _source_of(part)(path)
        return self._open[name](query, agreement)


def _source_of(part: Part) -> Callable[[Path], Callable[[Query, Agreement], Contributions]]:
    module, _, attribute = str(part.source).partition(":")
    found: Callable[[Path], Callable[[Query, Agreement], Contributions]] = getattr(import_module(module), attribute)
    return found


def _catalogue(home: Home, book: AgreementBook, asker: str, now: datetime) -> dict[str, Any]:
    parts = installed_parts()
    offered = {name: part.measures() for name, part in parts.items()}
    return catalogue(home.member, _described(home, offered), offered, book.all(), asker, now)


def _described(home: Home, offered: Mapping[str, Mapping[str, MeasureInfo]]) -> tuple[Dataset, ...]:
    """What a member holds; never rows."""
    return tuple(
        Dataset(
            id=name,
            part=settings.part,
            title=settings.title or Text(en=name),
            owner=home.id,
            privacy_unit=settings.privacy_unit,
            measures=tuple(offered.get(settings.part, ())),
        )
        for name, settings in home.settings.datasets.items()
    )


@dataclass(frozen=True)
class _Revoker:
    """Keeps revocations; each is entered in the log once, in the transaction that keeps it."""

    registry: Registry
    log: AuditLog
    book: AgreementBook
    now: Callable[[], datetime]

    def revoke(self, signed_revocation: str) -> Revocation:
        return take_revocation(self.registry, self.log, self.book, signed_revocation, self.now())

    def revocations_for(self, member: str) -> list[str]:
        return self.book.revocations_for(member)


@contextmanager
def _only_one(folder: Path) -> Iterator[None]:
    """A lock that ends with the process; two nodes of one member would answer each other's messages."""
    handle = os.open(folder / "node.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as err:
            raise DatasetBusyError(
                f"{folder}: a node of this member is running", hint="Stop it, or use it: commands find it by themselves."
            ) from err
        yield
    finally:
        with suppress(OSError):
            os.close(handle)


def public_status(member: MemberNode) -> dict[str, Any]:
    """What the member's own people see: level, log and budgets."""
    nano = 1e-9
    kept = member.book.all()
    return {
        "member": member.home.id,
        "roster": member.roster.id,
        "connected": member.node.connected.is_set(),
        "answers": not member.ledger.unlevel,
        "why_not": member.ledger.unlevel,
        "log_entries": member.log.size,
        "agreements": [
            {
                "id": one.id,
                "title": one.agreement.title.model_dump(),
                "revoked": one.revoked is not None,
                "rho_total": one.agreement.rho_total,
                "rho_spent": member.ledger.spent(agreement=one.id) * nano,
            }
            for one in kept
        ],
        "datasets": {
            name: {"rho_cap": member.home.settings.limits.dataset_rho_cap, "rho_spent": member.ledger.spent(dataset=name) * nano}
            for name in member.home.settings.datasets
        },
    }
