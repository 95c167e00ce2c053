"""The same alliance over both transports: in one process, and over HTTPS with an own certificate authority."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from oneteam.alliance.courier import Reply
from oneteam.alliance.relay import Limits
from oneteam.alliance.rounds import Patience, run_query
from oneteam.alliance.wire import Message
from oneteam.core.errors import BusyError, OneteamError, RefusedError, RoundError, TooLargeError, UnknownValueError, UnreachableError
from oneteam.privacy.combine import level_values, verify_release
from tests.alliance.team import CARRIERS, NAMES, TRANSPORTS, Team, a_hub, a_query, a_team, rows, running, truth

IMPATIENT = Patience(open_s=1.0, mask_s=1.0, reveal_s=1.0)


@pytest.fixture
def team(tmp_path: Path) -> Iterator[Team]:
    yield from a_team(tmp_path)


@pytest.fixture(params=TRANSPORTS)
def transport(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_a_joint_release_is_the_sum_of_all(team: Team, transport: str) -> None:
    async def play() -> None:
        async with a_hub(transport, team) as hub, running(hub, *NAMES) as nodes:
            release = await run_query(nodes["agency"], a_query(team.agreement), team.agreement)
        verify_release(release, team.lookup)
        assert release.contributors == CARRIERS
        assert release.round is not None
        expected = sum(truth(rows(team.seeds[name])) for name in CARRIERS)
        sigma = release.levels[0].sigma
        assert np.abs(level_values(release.levels[0]) - expected).max() < 6 * sigma

    asyncio.run(play())


def test_a_single_release_is_the_owners_own(team: Team, transport: str) -> None:
    async def play() -> None:
        async with a_hub(transport, team) as hub, running(hub, "horizon", "agency") as nodes:
            query = a_query(team.agreement, owners=("horizon",))
            release = await run_query(nodes["agency"], query, team.agreement)
            again = await run_query(nodes["agency"], query, team.agreement)
        assert release == again, "a re-run gives the stored Release"
        assert np.abs(level_values(release.levels[0]) - truth(rows(team.seeds["horizon"]))).max() < 6 * release.levels[0].sigma

    asyncio.run(play())


def test_every_reason_of_every_member_comes_back(team: Team, transport: str) -> None:
    async def play() -> None:
        async with a_hub(transport, team) as hub, running(hub, *NAMES) as nodes:
            with pytest.raises(RefusedError) as refused:
                await run_query(nodes["agency"], a_query(team.agreement, purpose="dpv:Marketing", rho=2.0), team.agreement)
            assert set(refused.value.reasons) == {"purpose", "rho"}
            for name in CARRIERS:
                assert name in refused.value.message

    asyncio.run(play())


def test_one_drop_out_is_recovered_and_two_are_not(team: Team, transport: str) -> None:
    async def play() -> None:
        async with a_hub(transport, team) as hub:
            async with running(hub, "skylark", "horizon", "campus", "agency") as nodes:
                release = await run_query(nodes["agency"], a_query(team.agreement), team.agreement, patience=IMPATIENT)
                assert release.contributors == ("skylark", "horizon")
            async with running(hub, "skylark", "campus", "agency") as nodes:
                with pytest.raises(RoundError):
                    await run_query(nodes["agency"], a_query(team.agreement, 1), team.agreement, patience=IMPATIENT)

    asyncio.run(play())


def test_a_member_that_is_lost_after_opening_is_recovered_exactly(team: Team, transport: str) -> None:
    """It opened and was paid for; the survivors agree without it, and the sum is theirs."""

    async def play() -> None:
        async with a_hub(transport, team) as hub:
            lost = team.make_services("bluewave")

            class Lost:
                open_round = lost.gate.open_round

                def share(self, *_: object) -> object:
                    raise RoundError("gone")

            async with running(hub, *NAMES, bluewave=replace(lost, gate=Lost())) as nodes:
                release = await run_query(nodes["agency"], a_query(team.agreement), team.agreement, patience=IMPATIENT)
        assert release.contributors == ("skylark", "horizon")
        expected = truth(rows(team.seeds["skylark"])) + truth(rows(team.seeds["horizon"]))
        assert np.abs(level_values(release.levels[0]) - expected).max() < 6 * release.levels[0].sigma

    asyncio.run(play())


def test_a_restarted_hub_loses_nothing(team: Team, transport: str) -> None:
    """Letters to a member that is away outlive the hub; nodes come back by themselves."""

    async def play() -> None:
        async with a_hub(transport, team) as hub, running(hub, "agency") as nodes:
            asking = asyncio.create_task(nodes["agency"].ask("campus", "ping", timeout_s=20))
            while not hub.relay.mailboxes.count():  # noqa: ASYNC110 - the hub tells nobody
                await asyncio.sleep(0.01)
            await asyncio.sleep(0.1)
            await hub.stop()
            await asyncio.sleep(0.3)
            await hub.start()
            assert hub.relay.mailboxes.count() == 1
            async with running(hub, "campus"):
                answer = await asking
            assert answer.sender == "campus"

    asyncio.run(play())


def test_a_round_survives_a_hub_restart_in_the_middle(team: Team, transport: str) -> None:
    async def play() -> None:
        async with a_hub(transport, team) as hub, running(hub, *NAMES) as nodes:
            opened = asyncio.Event()
            asking = asyncio.create_task(
                run_query(nodes["agency"], a_query(team.agreement), team.agreement, progress=lambda step, done, total: opened.set())
            )
            await opened.wait()
            await hub.stop()
            await hub.start()
            release = await asyncio.wait_for(asking, 20)
        assert release.contributors == CARRIERS

    asyncio.run(play())


def test_a_node_that_loses_its_network_resumes(team: Team, transport: str) -> None:
    async def play() -> None:
        async with a_hub(transport, team) as hub:
            line = hub.line("campus")
            node = team.node("campus", line)
            cut = False
            post = line._post

            async def shaky(*args: object, **named: object) -> object:
                if cut:
                    raise UnreachableError("no route to host")
                answer = await post(*args, **named)
                if cut:
                    # The hub has answered, but the answer is lost on the way.
                    raise UnreachableError("connection reset")
                return answer

            line._post = shaky  # type: ignore[method-assign]
            task = asyncio.create_task(node.run())
            async with running(hub, "agency") as nodes:
                agency = nodes["agency"]
                await agency.ask("campus", "ping", timeout_s=5)
                cut = True
                asking = asyncio.create_task(agency.ask("campus", "ping", timeout_s=20))
                await asyncio.sleep(0.4)
                assert not asking.done()
                assert not node.connected.is_set()
                cut = False
                assert (await asking).sender == "campus"
            task.cancel()

    asyncio.run(play())


def test_an_answer_is_not_lost_while_its_maker_sends_something_else(team: Team, transport: str) -> None:
    """While an answer is being made, the same node asks and is asked, and its outbox is emptied again and again."""

    async def play() -> None:
        async with a_hub(transport, team) as hub, running(hub, "campus", "agency") as nodes:
            campus, agency = nodes["campus"], nodes["agency"]
            handler = campus._courier._handler

            async def slow(message: Message) -> Reply:
                for _ in range(3):
                    await campus.ask("agency", "ping", timeout_s=5)
                return await handler(message)

            campus._courier._handler = slow
            asked = [agency.ask("campus", "ping", timeout_s=8) for _ in range(10)]
            assert {answer.sender for answer in await asyncio.gather(*asked)} == {"campus"}

    asyncio.run(play())


def test_unknown_members_and_kinds_are_told_so(team: Team, transport: str) -> None:
    async def play() -> None:
        async with a_hub(transport, team) as hub, running(hub, "campus", "agency") as nodes:
            agency = nodes["agency"]
            with pytest.raises(UnknownValueError):
                await agency.ask("nobody", "ping")
            with pytest.raises(OneteamError, match="no kind"):
                await agency.ask("campus", "run.code")
            with pytest.raises(UnreachableError, match="horizon: no answer"):
                await agency.ask("horizon", "ping", timeout_s=0.2)

    asyncio.run(play())


def test_a_member_that_the_hub_does_not_know_is_not_let_in(team: Team, transport: str) -> None:
    async def play() -> None:
        async with a_hub(transport, team) as hub:
            async with hub.line("agency", keys=team.keys["campus"]) as forged:
                with pytest.raises(OneteamError) as refused:
                    await forged.exchange()
                assert refused.value.code == "trust.bad_signature"
            async with hub.line("agency") as line:
                await line.exchange()
                hub.relay.admit({})
                with pytest.raises(OneteamError):
                    await line.exchange()

    asyncio.run(play())


def test_catalogue_and_revocation_and_broken_services(team: Team, transport: str) -> None:
    async def play() -> None:
        async with a_hub(transport, team) as hub:

            def broken(asker: str) -> dict[str, object]:
                raise ZeroDivisionError("a secret value")

            services = replace(team.make_services("horizon"), catalogue=broken)
            async with running(hub, "campus", "agency", "horizon", horizon=services) as nodes:
                agency = nodes["agency"]
                answer = await agency.ask("campus", "catalog.ask")
                assert json.loads(answer.body) == {"asker": "agency"}
                with pytest.raises(OneteamError) as failed:
                    await agency.ask("horizon", "catalog.ask")
                assert "secret" not in str(failed.value)
                with pytest.raises(OneteamError):
                    await agency.ask("campus", "agreement.revoke", {"revocation": "x.y.z"})
                assert (await agency.ask("horizon", "ping")).sender == "horizon"

    asyncio.run(play())


def test_large_bodies_go_through_and_larger_ones_do_not(team: Team, transport: str) -> None:
    async def play() -> None:
        async with a_hub(transport, team) as hub, running(hub, "campus", "agency") as nodes:
            answer = await nodes["agency"].ask("campus", "ping", body=bytes(8 * 2**20))
            assert answer.sender == "campus"
            with pytest.raises(TooLargeError):
                await nodes["agency"].ask("campus", "ping", body=bytes(65 * 2**20))

    asyncio.run(play())


def test_too_many_requests_are_slowed_down(tmp_path: Path, transport: str) -> None:
    team = Team(tmp_path, limits=Limits(requests_per_s=5, burst=5))

    async def play() -> None:
        async with a_hub(transport, team) as hub, hub.line("agency") as line:
            for _ in range(5):
                await line.exchange()
            with pytest.raises(BusyError):
                await asyncio.gather(*(line.exchange() for _ in range(5)))
            await asyncio.sleep(0.5)
            await line.exchange()

    try:
        asyncio.run(play())
    finally:
        team.close()
