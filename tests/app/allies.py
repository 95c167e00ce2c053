"""Homes of a whole alliance with real keys, roster, agreement and telecom datasets; a hub in this process."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from oneteam.alliance.home import Home
from oneteam.alliance.mailbox import MAILBOX_SCHEMA
from oneteam.alliance.relay import Relay
from oneteam.alliance.roster import make_roster, public_keys, sign_roster
from oneteam.alliance.transport import HubLine
from oneteam.app.serving import serve_member
from oneteam.core.model import Agreement, Text
from oneteam.privacy.agreements import agreement_id
from oneteam.privacy.signing import sign_document
from oneteam.store.registry import Registry
from oneteam.synth.country import make_country
from oneteam.synth.settings import CountrySettings
from oneteam.telecom.service.ingest import IngestSettings, ingest

CARRIERS = ("skylark", "horizon", "bluewave")
ANSWERING = (*CARRIERS, "university")
NAMES = (*ANSWERING, "agency")
URL = "http://hub.in-process"
ROLES: Mapping[str, tuple] = {"university": ("helper",), "agency": ("recipient",)}


@dataclass(frozen=True)
class Allies:
    """Everyone's home, and the agreement that all have signed."""

    folder: Path
    homes: dict[str, Home]
    agreement: Agreement

    @property
    def agreement_id(self) -> str:
        return agreement_id(self.agreement)


def make_country_once(folder: Path) -> Path:
    """Three carriers' datasets of one day."""
    make_country(CountrySettings(subscribers=1500, days=1, zone_count=12, roaming=False, outbreak=False), folder / "country")
    for name in CARRIERS:
        ingest([folder / "country" / name], folder / name, IngestSettings(zones=folder / "country" / "zones.csv"))
    return folder


def make_allies(folder: Path, data: Path, **terms: object) -> Allies:
    """Keys, roster, agreement: every step as the commands take it."""
    homes = {}
    for name in NAMES:
        home = Home.init(folder / name, name, Text(en=name), ROLES.get(name, ("contributor",)), URL)
        if name in CARRIERS:
            with (folder / name / "member.toml").open("a") as file:
                file.write(f'\n[datasets.mobility]\npart = "telecom"\npath = {json.dumps(str(data / name))}\n')
        homes[name] = Home.open(home.folder)
    roster = make_roster(Text(en="test"), [home.member for home in homes.values()])
    text = None
    for home in homes.values():
        text = sign_roster(roster, home.id, home.keys, text)
    assert text is not None
    for home in homes.values():
        home.keep_roster(text)
    agreement = an_agreement(homes["agency"].roster().id, data / "country" / "zones.csv", **terms)
    text = None
    for party in agreement.parties:
        text = sign_document(agreement, party, homes[party].keys, text)
    assert text is not None
    for home in homes.values():
        home.keep_agreement(text)
    return Allies(folder, homes, agreement)


def an_agreement(roster: str, zones: Path, **terms: object) -> Agreement:
    lines = zones.read_text().splitlines()
    column = lines[0].split(",").index("code")
    codes = tuple(line.split(",")[column] for line in lines[1:])
    now = datetime.now(UTC)
    return Agreement.model_validate(
        {
            "title": {"en": "Joint mobility"},
            "roster": roster,
            "purpose": "dpv:PublicBenefit",
            "dataset": "mobility",
            "contributors": CARRIERS,
            "helpers": ("university",),
            "recipients": ("agency",),
            "rho_total": 2.0,
            "single": True,
            "min_contributors": 3,
            "threshold": 3,
            "not_before": now - timedelta(days=1),
            "until": now + timedelta(days=30),
            "dimensions": {"zone": {"codes": codes, "groups": {"region": tuple(code[:2] for code in codes)}}},
            "measures": (
                {
                    "name": "presence",
                    "dimensions": ("zone",),
                    "levels": ("zone=code", "zone=region", "zone=*"),
                    "filters": {"hour": tuple(str(hour) for hour in range(24))},
                    "max_keys": 6,
                    "rho_per_release": 0.1,
                    "smallest_count": 5,
                },
            ),
        }
        | terms
    )


@asynccontextmanager
async def a_hub(allies: Allies) -> AsyncIterator[Relay]:
    """A hub in this process."""
    registry = Registry.open(allies.folder / "hub.db", schemas=(MAILBOX_SCHEMA,))
    relay = Relay(registry, {name: public_keys(home.member) for name, home in allies.homes.items()}, URL)
    async with relay.app.router.lifespan_context(relay.app):
        try:
            yield relay
        finally:
            relay.mailboxes.release_waiters()
            relay.mailboxes.close()
            registry.close()


def line(relay: Relay, home: Home) -> HubLine:
    return HubLine.in_process(relay.app, home.id, home.keys, url=URL)


@asynccontextmanager
async def serving(allies: Allies, relay: Relay, *names: str, level: bool = True) -> AsyncIterator[None]:
    """Members' processes, ready to answer."""
    stop = asyncio.Event()
    ready = {name: asyncio.Event() for name in names}

    def tell(name: str, state: str) -> None:
        if state == "ready" or (state == "connected" and (name == "agency" or not level)):
            ready[name].set()

    async with AsyncExitStack() as stack:
        tasks = [
            asyncio.create_task(
                serve_member(allies.homes[name], line=line(relay, allies.homes[name]), stop=stop, tell=lambda s, n=name: tell(n, s))
            )
            for name in names
        ]

        async def end() -> None:
            stop.set()
            await asyncio.gather(*tasks)

        stack.push_async_callback(end)
        waiting = asyncio.gather(*(event.wait() for event in ready.values()))
        done, _ = await asyncio.wait([waiting, *tasks], timeout=60, return_when=asyncio.FIRST_COMPLETED)
        assert waiting in done, "the members did not become ready"
        yield
