"""Clocks that differ: whoever is off is told so at once, and nobody is made to answer old letters for ever."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from oneteam.alliance.courier import LIFE
from oneteam.alliance.wire import SKEW, Envelope, compose, seal
from oneteam.core.errors import ReplayError
from tests.alliance.team import Team, a_hub, a_team, running, serving, utc_now

SECOND = timedelta(seconds=1)


@pytest.fixture
def team(tmp_path: Path) -> Iterator[Team]:
    yield from a_team(tmp_path)


async def ping_from(team: Team, off: timedelta) -> None:
    """The agency, whose clock is off, asks skylark, whose clock is right."""
    async with a_hub("in process", team) as hub, running(hub, "skylark"):
        agency = team.node("agency", hub.line("agency"), now=lambda: utc_now() + off)
        async with serving(agency):
            await agency.ask("skylark", "ping", timeout_s=5)


@pytest.mark.parametrize("off", [SKEW - 10 * SECOND, -(LIFE - 10 * SECOND)])
def test_clocks_that_differ_a_little_are_borne(team: Team, off: timedelta) -> None:
    asyncio.run(ping_from(team, off))


@pytest.mark.parametrize(
    ("off", "told"),
    [
        (SKEW + 10 * SECOND, "skylark: a message from the future: .* the receiver's clock says"),
        (timedelta(hours=2), "skylark: a message from the future"),
        (-(LIFE + 10 * SECOND), "hub: a letter that had expired .* behind the hub's clock"),
        (timedelta(hours=-2), "behind the hub's clock"),
    ],
)
def test_an_asker_that_is_off_is_told_which_clock(team: Team, off: timedelta, told: str) -> None:
    with pytest.raises(ReplayError, match=told):
        asyncio.run(ping_from(team, off))


@pytest.mark.parametrize(("off", "told"), [(timedelta(minutes=10), "ahead of"), (timedelta(minutes=-10), "the receiver's clock says")])
def test_a_member_that_is_off_is_named(team: Team, off: timedelta, told: str) -> None:
    async def play() -> None:
        async with a_hub("in process", team) as hub, running(hub, "agency") as nodes:
            skylark = team.node("skylark", hub.line("skylark"), now=lambda: utc_now() + off)
            async with serving(skylark):
                await nodes["agency"].ask("skylark", "ping", timeout_s=5)

    with pytest.raises(ReplayError, match=f"^skylark: .*{told}"):
        asyncio.run(play())


def test_old_letters_are_answered_seldom_and_very_old_ones_never(team: Team) -> None:
    """A hub that keeps letters back cannot make a member write for ever."""

    async def play() -> tuple[int, int]:
        async with a_hub("in process", team) as hub:
            node = team.node("skylark", hub.line("skylark"))
            courier = node._courier
            sent: list[Envelope] = []
            courier._send = sent.append  # type: ignore[method-assign]
            counts = []
            for age in (timedelta(days=2), timedelta(minutes=10)):
                for _ in range(100):
                    message = compose("agency", "skylark", "ping", now=utc_now() - age, life=LIFE)
                    await courier._receive(seal(message, team.keys["agency"], team.keys["skylark"].public))
                await asyncio.gather(*courier._tasks)
                counts.append(len(sent))
            assert len(courier._acknowledged) == 200
            return counts[0], counts[1]

    never, seldom = asyncio.run(play())
    assert never == 0
    assert 0 < seldom <= 32


def test_a_ping_tells_whether_the_gate_answers(team: Team) -> None:
    async def play() -> list[object]:
        async with a_hub("in process", team) as hub, running(hub, "agency", "skylark") as nodes:
            found = [(await nodes["agency"].ask("skylark", "ping", timeout_s=5)).header["ready"]]
            nodes["skylark"]._services = replace(team.services["skylark"], ready=lambda: False)
            found.append((await nodes["agency"].ask("skylark", "ping", timeout_s=5)).header["ready"])
            return found

    assert asyncio.run(play()) == [True, False]
