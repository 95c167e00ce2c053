"""How long a joint answer takes: three carriers, a hub and a recipient as OS processes over TLS on loopback.

Everything is in force: agreements signed by all, the gate's checks, budgets on disk before anything is computed, bounded contributions,
discrete Gaussian noise, the secure sum, audit entries on disk before anything leaves, signed checkpoints and their proofs. Each carrier
holds 200,000 contributions, read from Parquet when its node starts and kept in memory, as a warm source keeps them; each query bounds
and sums all of them anew. Every query has an id of its own, so no kept Release answers it. The last line is JSON.

    python bench/alliance_query.py [--queries 100] [--subscribers 200000] [--zones 250]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import os
import pickle
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import uvloop

from oneteam.alliance.certificates import Authority
from oneteam.alliance.gossip import Gossip
from oneteam.alliance.node import Node, NodeServices, serve_node
from oneteam.alliance.replies import REPLIES_SCHEMA
from oneteam.alliance.rounds import run_query
from oneteam.alliance.serving import HubSettings, serve_hub
from oneteam.alliance.transport import HubLine
from oneteam.core.keys import Keys
from oneteam.core.model import Agreement, Query
from oneteam.privacy.agreements import agreement_id
from oneteam.privacy.book import BOOK_SCHEMA, AgreementBook
from oneteam.privacy.combine import level_values
from oneteam.privacy.contributions import Contributions
from oneteam.privacy.gate import Gate
from oneteam.privacy.ledger import Ledger
from oneteam.privacy.policy import LocalLimits
from oneteam.privacy.signing import sign_document
from oneteam.store.audit_log import AuditLog, origin_of
from oneteam.store.registry import Registry

CARRIERS = ("skylark", "horizon", "bluewave")
NAMES = (*CARRIERS, "agency")
WARM_UP = 10
RHO = 0.05


@dataclass(frozen=True)
class Setup:
    """What every process knows; the folder is the test's own."""

    folder: Path
    url: str
    keys: dict[str, bytes]
    agreement: bytes
    signed: str
    queries: int
    zones: int

    def member_keys(self, name: str) -> Keys:
        return Keys.from_bytes(self.keys[name])


def utc_now() -> datetime:
    return datetime.now(UTC)


def prepare(folder: Path, queries: int, subscribers: int, zones: int) -> Setup:
    """Keys, certificates, the agreement and the carriers' stored contributions."""
    keys = {name: Keys.generate() for name in NAMES}
    authority = Authority.create("Benchmark alliance", utc_now())
    authority.save(folder)
    authority.issue(["localhost", "127.0.0.1"], folder, utc_now())
    agreement = Agreement.model_validate(
        {
            "title": {"en": "Presence in every zone", "ko": "구역별 체류 인구"},
            "roster": "ab" * 32,
            "purpose": "dpv:PublicBenefit",
            "dataset": "mobility",
            "contributors": CARRIERS,
            "recipients": ("agency",),
            "rho_total": 100.0,
            "single": True,
            "not_before": utc_now() - timedelta(days=1),
            "until": utc_now() + timedelta(days=30),
            "dimensions": {"zone": {"codes": tuple(f"{11000 + i}" for i in range(zones))}},
            "measures": (
                {
                    "name": "presence",
                    "dimensions": ("zone",),
                    "levels": ("zone=code",),
                    "max_keys": 20,
                    "rho_per_release": 2 * RHO,
                    "smallest_count": 15,
                },
            ),
        }
    )
    signed = None
    for party in agreement.parties:
        signed = sign_document(agreement, party, keys[party], signed)
    for i, name in enumerate(CARRIERS):
        generator = np.random.default_rng(i)
        # A long tail: a few zones hold most people, as cities do.
        popularity = generator.pareto(1.2, zones) + 0.1
        table = pa.table(
            {
                "subscriber": np.sort(generator.integers(0, subscribers * 2 // 3, subscribers)),
                "zone": generator.choice(zones, subscribers, p=popularity / popularity.sum()).astype(np.int32),
                "value": np.ones(subscribers, np.int64),
            }
        )
        pq.write_table(table, folder / f"{name}.parquet")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"https://localhost:{free.getsockname()[1]}"
    private = {name: key.to_bytes() for name, key in keys.items()}
    return Setup(folder, url, private, agreement.model_dump_json().encode(), str(signed), queries, zones)


def make_node(setup: Setup, name: str) -> tuple[Node, HubLine]:
    """One member's node, as a composition root makes it."""
    keys = setup.member_keys(name)
    public = {member: setup.member_keys(member).public for member in NAMES}
    registry = Registry.open(setup.folder / name / "registry.db", schemas=(BOOK_SCHEMA, REPLIES_SCHEMA))
    log = AuditLog(registry, origin_of(name), keys)
    book = AgreementBook(registry, public.get)
    book.add(setup.signed)
    gate = None
    if name in CARRIERS:

        def stored(_query: Query, _agreement: Agreement) -> Contributions:
            """Read from the file at every query: nothing is kept from one to the next."""
            table = pq.read_table(setup.folder / f"{name}.parquet", memory_map=True)
            columns = {column: table[column].to_numpy() for column in table.column_names}
            return Contributions(columns["subscriber"], {"zone": columns["zone"]}, columns["value"])

        gate = Gate(
            me=name,
            keys=keys,
            registry=registry,
            log=log,
            ledger=Ledger(registry),
            book=book,
            lookup=public.get,
            limits=lambda: LocalLimits(dataset_rho_cap=100.0),
            source=stored,
            now=utc_now,
            secret=os.urandom(32),
        )
    services = NodeServices(gate=gate, book=book, gossip=Gossip(name, log, public.get), catalogue=lambda _asker: {})
    line = HubLine.https(setup.url, name, keys, authority=setup.folder / "ca.pem")
    return Node(name, keys, public.get, peers=NAMES, line=line, registry=registry, services=services, now=utc_now, gossip_s=600), line


async def hub(setup: Setup) -> None:
    public = {member: setup.member_keys(member).public for member in NAMES}
    folder = setup.folder
    await serve_hub(HubSettings(setup.url, folder / "hub.db", folder / "server.pem", folder / "server.key"), public)


async def member(setup: Setup, name: str) -> None:
    node, _ = make_node(setup, name)
    await serve_node(node, ready=(setup.folder / f"{name}.ready").touch)


async def recipient(setup: Setup) -> None:
    """Ask, and print what it took."""
    node, line = make_node(setup, "agency")
    running = asyncio.create_task(node.run())
    try:
        await asyncio.wait_for(node.connected.wait(), 30)
        agreement = Agreement.model_validate_json(setup.agreement)
        joint = await timed(node, line, setup, agreement, CARRIERS)
        single = await timed(node, line, setup, agreement, CARRIERS[:1])
    finally:
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running
    print(
        json.dumps(
            {
                "p50_ms": joint["p50"],
                "p95_ms": joint["p95"],
                "single_p50_ms": single["p50"],
                "single_p95_ms": single["p95"],
                "requests": joint["requests"],
                "sent_bytes": joint["sent"],
                "received_bytes": joint["received"],
                "single_requests": single["requests"],
                "queries": setup.queries,
                "zones": setup.zones,
            }
        )
    )


async def timed(node: Node, line: HubLine, setup: Setup, agreement: Agreement, owners: tuple[str, ...]) -> dict[str, float]:
    """Queries one after the other; the recipient's own requests and bytes in the mean."""
    took: list[float] = []
    for i in range(WARM_UP + setup.queries):
        if i == WARM_UP:
            before = line.exchanges, line.sent_bytes, line.received_bytes
        day = date(2026, 1, 1) + timedelta(days=i)
        query = Query(
            agreement=agreement_id(agreement),
            purpose=agreement.purpose,
            measure="presence",
            dimensions=("zone",),
            levels=("zone=code",),
            first_day=day,
            last_day=day,
            rho=RHO,
            owners=owners,
        )
        start = time.perf_counter()
        release = await run_query(node, query, agreement)
        took.append((time.perf_counter() - start) * 1000)
        assert release.contributors == owners
        assert level_values(release.levels[0]).size == setup.zones
    count = setup.queries
    figures = np.array(took[WARM_UP:])
    exchanges, sent, received = (
        after - then for after, then in zip((line.exchanges, line.sent_bytes, line.received_bytes), before, strict=True)
    )
    return {
        "p50": round(float(np.quantile(figures, 0.5)), 1),
        "p95": round(float(np.quantile(figures, 0.95)), 1),
        "requests": round(exchanges / count, 1),
        "sent": round(sent / count),
        "received": round(received / count),
    }


def play(role: str, file: Path) -> None:
    setup: Setup = pickle.loads(file.read_bytes())
    logging.basicConfig(level=logging.WARNING)
    os.environ.setdefault("NUMBA_NUM_THREADS", "1")
    match role:
        case "hub":
            uvloop.run(hub(setup))
        case "agency":
            uvloop.run(recipient(setup))
        case name:
            uvloop.run(member(setup, name))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--queries", type=int, default=100)
    parser.add_argument("--subscribers", type=int, default=200_000)
    parser.add_argument("--zones", type=int, default=250)
    parser.add_argument("--role", help=argparse.SUPPRESS)
    parser.add_argument("--setup", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.role:
        play(given.role, given.setup)
        return
    with tempfile.TemporaryDirectory() as folder:
        setup = prepare(Path(folder), given.queries, given.subscribers, given.zones)
        file = Path(folder) / "setup"
        file.write_bytes(pickle.dumps(setup))

        command = [sys.executable, __file__, "--setup", str(file), "--role"]
        processes = [subprocess.Popen([*command, role]) for role in ("hub", *CARRIERS)]
        try:
            deadline = time.monotonic() + 60
            while not all((Path(folder) / f"{name}.ready").exists() for name in CARRIERS):
                if time.monotonic() > deadline or any(process.poll() is not None for process in processes):
                    sys.exit("the hub or a node did not start")
                time.sleep(0.05)
            code = subprocess.run([*command, "agency"], check=False, timeout=600).returncode
        finally:
            for process in processes:
                process.terminate()
            ends = [process.wait(timeout=20) for process in processes]
        if code or any(ends):
            sys.exit(f"a process failed: recipient {code}, hub and nodes {ends}")


if __name__ == "__main__":
    main()
