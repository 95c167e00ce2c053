"""Everything that the hub stores and everything that goes through its API, over many rounds, on two different data sets.

The hub here keeps a copy of every letter, of every request and answer at its API, and of its own SQLite file. From all of that it must
learn no more than docs/wire.md says: who fetches mail, who gets letters of which size class, and when.
"""

from __future__ import annotations

import asyncio
import math
import sqlite3
import zlib
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from oneteam.alliance.exchange import Incoming, Outgoing, unpack
from oneteam.alliance.relay import Limits
from oneteam.alliance.rounds import run_query
from oneteam.alliance.wire import SEALING_BYTES, size_class
from oneteam.core.errors import RefusedError
from oneteam.core.keys import encode
from oneteam.core.model import Release
from oneteam.privacy.agreements import agreement_id
from oneteam.privacy.contributions import Contributions
from tests.alliance.team import CARRIERS, NAMES, InProcess, Team, a_query, running

ROUNDS = 8


class Watching(InProcess):
    """A hub that writes everything down."""

    def __init__(self, team: Team) -> None:
        super().__init__(team)
        self.api: list[bytes] = []
        self.letters: list[tuple[str, str, bytes]] = []
        self.headers: list[bytes] = []

    async def start(self) -> None:
        await super().start()
        honest = self.relay.app
        put = self.relay.mailboxes.put

        def noting(envelope: Any, sender: str, now: float) -> Any:
            self.letters.append((sender, envelope.receiver, envelope.sealed))
            return put(envelope, sender, now)

        self.relay.mailboxes.put = noting  # type: ignore[method-assign]

        async def watched(scope: Any, receive: Any, send: Any) -> None:
            async def heard() -> Any:
                event = await receive()
                self.api.append(event.get("body", b""))
                return event

            async def said(event: Any) -> None:
                self.api.append(event.get("body", b""))
                await send(event)

            if scope["type"] == "http":
                self.headers += [name + b": " + value for name, value in scope["headers"]] + [scope["raw_path"], scope["query_string"]]
            await honest(scope, heard, said)

        self.relay.app = watched

    def stored(self) -> bytes:
        """Every byte of the hub's files, the write-ahead log included: deleted letters too."""
        return b"".join(path.read_bytes() for path in sorted(self.folder.glob("hub.db*")))


def crowded(name: str) -> Any:
    """A city on the move: everyone everywhere."""
    generator = np.random.default_rng(len(name))
    who = np.sort(generator.integers(0, 30_000, 60_000))
    zone = generator.integers(0, 25, 60_000).astype(np.int32)
    return lambda query, agreement: Contributions(who, {"zone": zone}, np.ones(60_000, np.int64))


def empty(name: str) -> Any:
    return lambda query, agreement: Contributions.empty(("zone",))


def watched(folder: Path, source: Any) -> tuple[Watching, Team, list[Release]]:
    """Many rounds, single queries, a refusal, a catalogue and gossip."""
    team = Team(folder, source=source, settle_s=0.0, limits=Limits(sign_ins_per_s=1000))
    releases: list[Release] = []

    async def play() -> Watching:
        hub = Watching(team)
        await hub.start()
        async with running(hub, *NAMES) as nodes:
            agency = nodes["agency"]
            for day in range(ROUNDS):
                releases.append(await run_query(agency, a_query(team.agreement, day), team.agreement))
                releases.append(await run_query(agency, a_query(team.agreement, day, owners=("horizon",)), team.agreement))
            with pytest.raises(RefusedError):
                await run_query(agency, a_query(team.agreement, 99, purpose="dpv:Marketing"), team.agreement)
            await agency.ask("campus", "catalog.ask")
            await agency.exchange_checkpoints()
        stored = hub.stored()
        await hub.stop()
        hub.api.append(stored)
        return hub

    hub = asyncio.run(play())
    team.close()
    return hub, team, releases


@pytest.fixture(scope="module")
def busy(tmp_path_factory: pytest.TempPathFactory) -> tuple[Watching, Team, list[Release]]:
    return watched(tmp_path_factory.mktemp("busy"), crowded)


@pytest.fixture(scope="module")
def quiet(tmp_path_factory: pytest.TempPathFactory) -> tuple[Watching, Team, list[Release]]:
    return watched(tmp_path_factory.mktemp("quiet"), empty)


def test_no_field_of_any_message_stands_in_the_open(busy: tuple[Watching, Team, list[Release]]) -> None:
    hub, team, releases = busy
    seen = b"\n".join([*hub.api, *hub.headers])
    assert len(releases) == 2 * ROUNDS
    secret = {
        "measure": b"presence",
        "purpose": b"dpv:Public",
        "marketing": b"Marketing",
        "level": b"zone=code",
        "dataset": b"mobility",
        "agreement": agreement_id(team.agreement).encode(),
        "kind": b"round.open",
        "query kind": b"query.ask",
        "reasons": b'"reasons"',
        "log": b"oneteam.log",
        "jws": b"eyJhbGci",
        "sealed head": b"sent_at",
    }
    secret |= {f"round {i}": release.round.encode() for i, release in enumerate(releases) if release.round}
    secret |= {f"values {i}": release.levels[0].values.encode()[:40] for i, release in enumerate(releases)}
    secret |= {f"signature {i}": release.receipts[0].signature.encode()[:40] for i, release in enumerate(releases)}
    for name, keys in team.keys.items():
        raw = keys.to_bytes()
        secret |= {f"{name} key {i}": part for i, part in enumerate((raw[:32], raw[32:], encode(raw[:32]).encode()))}
    found = {what for what, text in secret.items() if text in seen}
    assert not found
    # The control: what the hub is meant to see is there, so the capture is not empty.
    assert b"agency" in seen
    assert b"skylark" in seen


def test_the_hub_stores_no_sender(busy: tuple[Watching, Team, list[Release]]) -> None:
    hub, _, _ = busy
    stored = hub.api[-1]
    assert b"letter" in stored
    columns = {"receiver", "id", "expires_at", "sealed"}
    with sqlite3.connect(hub.folder / "hub.db") as db:
        tables = {name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        assert tables == {"letter"}
        assert {row[1] for row in db.execute("PRAGMA table_info(letter)")} == columns
    db.close()


def test_letters_have_the_lengths_of_size_classes(busy: tuple[Watching, Team, list[Release]]) -> None:
    hub, _, _ = busy
    assert len(hub.letters) > 25 * ROUNDS
    for _, _, sealed in hub.letters:
        plain = len(sealed) - SEALING_BYTES
        assert plain == size_class(plain)


def test_letters_look_like_noise(busy: tuple[Watching, Team, list[Release]]) -> None:
    """No two begin alike, they do not compress, and their bytes are even."""
    hub, _, _ = busy
    bodies = [sealed for _, _, sealed in hub.letters]
    assert len({body[:16] for body in bodies}) == len(set(bodies))
    together = b"".join(set(bodies))
    assert len(zlib.compress(together, 9)) > 0.999 * len(together)
    counts = np.bincount(np.frombuffer(together, np.uint8), minlength=256)
    expected = len(together) / 256
    chi2 = float(((counts - expected) ** 2 / expected).sum())
    # 255 degrees of freedom: six standard deviations.
    assert abs(chi2 - 255) < 6 * math.sqrt(2 * 255)


def traffic(hub: Watching) -> Counter[tuple[str, str, int]]:
    """All that is left: who to whom, in which size class, how often."""
    return Counter((sender, receiver, len(sealed)) for sender, receiver, sealed in hub.letters)


def test_two_data_sets_cannot_be_told_apart(
    busy: tuple[Watching, Team, list[Release]], quiet: tuple[Watching, Team, list[Release]]
) -> None:
    """The same questions to a crowded city and to an empty one: the same letters, between the same members, of the same lengths."""
    assert traffic(busy[0]) == traffic(quiet[0])


def test_refusal_and_permit_of_the_first_exchange_have_one_length(busy: tuple[Watching, Team, list[Release]]) -> None:
    hub, _, _ = busy
    from_carriers = {len(sealed) for sender, receiver, sealed in hub.letters if sender in CARRIERS and receiver == "agency"}
    assert len(from_carriers) <= 3


def test_frames_of_the_api_carry_nothing_else(busy: tuple[Watching, Team, list[Release]]) -> None:
    """Every exchange is labels and sealed letters, and no field beside them."""
    hub, _, _ = busy
    forms = Counter()
    for body in hub.api[:-1]:
        for form in (Outgoing, Incoming):
            try:
                unpack(body, form)
            except Exception:  # noqa: BLE001
                continue
            forms[form.__name__] += 1
            break
    assert forms["Outgoing"] > 10 * ROUNDS
    assert forms["Incoming"] > 10 * ROUNDS
