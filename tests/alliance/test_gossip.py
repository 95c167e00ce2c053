"""Members witness one another's logs, and split views and rolled-back logs are found."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from oneteam.alliance.gossip import Gossip, LogNews
from oneteam.alliance.rounds import run_query
from oneteam.core.errors import LogError, OneteamError, RefusedError, WrongTypeError
from oneteam.privacy.ledger import Ledger
from oneteam.store.audit_entry import AuditEntry
from oneteam.store.audit_log import AuditLog, origin_of
from oneteam.store.notes import Checkpoint, Note
from oneteam.store.registry import Registry
from tests.alliance.team import NAMES, InProcess, Team, a_hub, a_query, a_team, running, utc_now


@pytest.fixture
def team(tmp_path: Path) -> Iterator[Team]:
    yield from a_team(tmp_path)


def size_of(note: str) -> int:
    return Checkpoint.parse(Note.parse(note).text).size


def append(log: AuditLog, count: int = 1) -> None:
    with log.registry.transaction() as db:
        for _ in range(count):
            log.append(db, AuditEntry(at=utc_now(), kind="refuse", requester="agency", reasons=("purpose",)))


async def settled(team: Team, name: str, origin: str, size: int) -> None:
    async with asyncio.timeout(5):
        while (held := team.logs[name].held(origin)) is None or held.checkpoint.size < size:  # noqa: ASYNC110 - nothing to wait for but the disk
            await asyncio.sleep(0.01)


def test_every_answer_brings_the_owners_checkpoint_and_its_proof(team: Team) -> None:
    async def play() -> None:
        async with a_hub("in process", team) as hub, running(hub, *NAMES) as nodes:
            agency = nodes["agency"]
            for day in range(3):
                await run_query(agency, a_query(team.agreement, day), team.agreement)
                for name in ("skylark", "campus"):
                    await settled(team, "agency", origin_of(name), team.logs[name].size)
            # The asker's cosignature went back with a later message.
            await agency.ask("skylark", "ping")
            async with asyncio.timeout(5):
                while "oneteam.log/agency" not in (team.logs["skylark"].latest_checkpoint() or ""):
                    await agency.ask("skylark", "ping")
                    await asyncio.sleep(0.02)
        assert team.logs["skylark"].size >= 9
        for name in ("agency", "skylark"):
            team.logs[name].verify()

    asyncio.run(play())


def test_a_refusal_is_witnessed_too(team: Team) -> None:
    async def play() -> None:
        async with a_hub("in process", team) as hub, running(hub, "horizon", "agency") as nodes:
            query = a_query(team.agreement, purpose="dpv:Marketing", owners=("horizon",))
            with pytest.raises(RefusedError):
                await run_query(nodes["agency"], query, team.agreement)
            await settled(team, "agency", origin_of("horizon"), 1)

    asyncio.run(play())


def test_a_split_view_is_found_by_two_members(team: Team) -> None:
    """Horizon shows one history to the agency and another one to campus, both under its own signature."""

    async def play() -> None:
        async with a_hub("in process", team) as hub, running(hub, "campus", "agency") as nodes:
            keys = team.keys["horizon"]
            notes = []
            for number in range(2):
                with_other = AuditLog(Registry.open(team.folder / f"false{number}.db"), origin_of("horizon"), keys)
                append(with_other, 3)
                with with_other.registry.transaction() as db:
                    with_other.append(db, AuditEntry(at=utc_now(), kind="refuse", reasons=(f"history {number}",)))
                notes.append(with_other.checkpoint())
                with_other.registry.close()
            team.logs["agency"].witness(notes[0], None, keys.public)
            team.logs["campus"].witness(notes[1], None, keys.public)
            with pytest.raises(LogError, match="two different histories"):
                await nodes["agency"].exchange_checkpoints()
            (evidence,) = [one for one in team.logs["agency"].evidence() if one.fault == "split"]
            assert {evidence.held, evidence.shown} == set(notes)

    asyncio.run(_with_short_waits(play))


def test_histories_of_different_length_are_joined_by_the_owners_proof(team: Team) -> None:
    async def play() -> None:
        async with a_hub("in process", team) as hub, running(hub, "campus", "agency", "horizon") as nodes:
            log, public = team.logs["horizon"], team.keys["horizon"].public
            append(log, 3)
            team.logs["agency"].witness(log.checkpoint(), None, public)
            append(log, 4)
            team.logs["campus"].witness(log.checkpoint(), None, public)
            assert await nodes["agency"].exchange_checkpoints() == {"skylark": "wire.unreachable", "bluewave": "wire.unreachable"}
            held = team.logs["agency"].held(origin_of("horizon"))
            assert held is not None
            assert held.checkpoint.size == 7

    asyncio.run(_with_short_waits(play))


async def _with_short_waits(play) -> None:
    from oneteam.alliance.node import Node

    ask = Node.ask

    async def short(self, receiver, kind, header=None, body=b"", **named):
        return await ask(self, receiver, kind, header, body, **(named | {"timeout_s": 0.5}))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Node, "ask", short)
        await play()


def test_an_owner_that_cannot_join_its_two_histories_is_found(team: Team) -> None:
    """The agency holds a shorter checkpoint of another history: the owner's proof does not join it to the one that campus holds."""

    async def play() -> None:
        async with a_hub("in process", team) as hub, running(hub, "campus", "agency", "horizon") as nodes:
            keys = team.keys["horizon"]
            false = AuditLog(Registry.open(team.folder / "false.db"), origin_of("horizon"), keys)
            append(false, 2)
            with false.registry.transaction() as db:
                false.append(db, AuditEntry(at=utc_now(), kind="refuse", reasons=("another",)))
            team.logs["agency"].witness(false.checkpoint(), None, keys.public)
            append(team.logs["horizon"], 5)
            team.logs["campus"].witness(team.logs["horizon"].checkpoint(), None, keys.public)
            with pytest.raises(LogError):
                await nodes["agency"].exchange_checkpoints()
            assert team.logs["agency"].evidence()
            false.registry.close()

    asyncio.run(_with_short_waits(play))


def test_a_member_restored_from_a_backup_learns_it_from_the_others(team: Team) -> None:
    async def play() -> None:
        async with a_hub("in process", team) as hub, running(hub, "horizon", "agency") as nodes:
            query = a_query(team.agreement, owners=("horizon",))
            await run_query(nodes["agency"], query, team.agreement)
            await settled(team, "agency", origin_of("horizon"), team.logs["horizon"].size)

    async def after() -> None:
        hub = InProcess(team)
        await hub.start()
        services = team.make_services("horizon")
        gossip = services.gossip
        assert gossip is not None
        gossip.level = Ledger(team.registry("horizon")).level_with
        async with running(hub, "agency", "horizon", horizon=services) as nodes:
            with pytest.raises(LogError, match="charges were forgotten"):
                await nodes["horizon"].exchange_checkpoints()
            with pytest.raises(OneteamError, match="the ledger refuses"):
                await run_query(nodes["agency"], a_query(team.agreement, 5, owners=("horizon",)), team.agreement)
        await hub.stop()

    team.make_services("horizon")
    team.registries.pop("horizon").close()
    shutil.copytree(team.folder / "horizon", team.folder / "backup")
    asyncio.run(_with_short_waits(play))
    team.gates.pop("horizon").close()
    team.registries.pop("horizon").close()
    shutil.rmtree(team.folder / "horizon")
    shutil.copytree(team.folder / "backup", team.folder / "horizon")
    asyncio.run(_with_short_waits(after))


def test_news_of_a_wrong_form_change_nothing(team: Team) -> None:
    team.make_services("agency")
    gossip = Gossip("agency", team.logs["agency"], team.lookup)
    for news in (None, 3, "x", {"held": -1}, {"checkpoint": 5}, {"unknown": 1}):
        gossip.take("campus", news)
    assert not gossip._news.is_set()
    gossip.take("campus", LogNews(checkpoint="nonsense").model_dump(mode="json"))
    with pytest.raises(OneteamError):
        gossip._settle("campus")
    with pytest.raises(WrongTypeError):
        gossip.proof_between("1", 2)
    with pytest.raises(WrongTypeError):
        gossip.proof_between(0, 10**9)


def test_a_member_cannot_pass_another_log_off_as_its_own(team: Team) -> None:
    for name in ("agency", "horizon"):
        team.make_services(name)
    append(team.logs["horizon"], 2)
    note = team.logs["horizon"].checkpoint()
    gossip = Gossip("agency", team.logs["agency"], team.lookup)
    gossip.take("campus", {"checkpoint": note})
    with pytest.raises(WrongTypeError, match="as its own"):
        gossip._settle("campus")
    assert size_of(note) == 2
