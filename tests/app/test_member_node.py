"""A whole alliance from its homes: what people type, short of the shell."""

from __future__ import annotations

import asyncio
import json
import logging
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from oneteam.alliance.home import Home
from oneteam.alliance.relay import Relay
from oneteam.app.asking import QueryFile, complete, foresee, read_query
from oneteam.app.desk import Desk, NodeDesk, at_desk, release_of
from oneteam.app.embedded import in_one_process
from oneteam.app.member_node import DOUBT, Sources, open_member
from oneteam.app.results import summary, write_estimates
from oneteam.cli.main import app
from oneteam.core.errors import (
    BadSignatureError,
    DatasetBusyError,
    LogError,
    NothingFoundError,
    OneteamError,
    RefusedError,
    UnknownValueError,
    UnreachableError,
    WrongTypeError,
)
from oneteam.core.keys import encode
from oneteam.core.model import Query, Release
from oneteam.privacy.agreements import Revocation, sign_revocation
from oneteam.privacy.combine import level_values, verify_release
from oneteam.privacy.contributions import bounded_sum
from oneteam.privacy.levels import domain_of_query
from oneteam.privacy.policy import Kept
from oneteam.store.audit_entry import AuditEntry
from oneteam.store.log_reader import LogReader
from oneteam.store.registry import Registry
from tests.app.allies import ANSWERING, CARRIERS, NAMES, Allies, a_hub, line, make_allies, make_country_once, serving

DAY = date(2020, 1, 6)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_country_once(tmp_path_factory.mktemp("country"))


@pytest.fixture
def allies(tmp_path: Path, data: Path) -> Allies:
    return make_allies(tmp_path, data)


def a_query(allies: Allies, **changes: object) -> Query:
    kept = Kept(allies.agreement, allies.agreement_id, allies.agreement.parties)
    return complete(QueryFile.model_validate({"measure": "presence", "first_day": DAY} | changes), [kept])[0]


def truth(allies: Allies, query: Query) -> np.ndarray:
    """The bounded sum over all carriers, without noise; the bounds do not bind at these settings."""
    domain = domain_of_query(query, allies.agreement)
    return sum(bounded_sum(Sources(allies.homes[name])(query, allies.agreement), domain, 1000, 1, bytes(16)) for name in query.owners)  # type: ignore[return-value]


def test_a_joint_release_through_the_door_and_again_for_nothing(allies: Allies) -> None:
    query = a_query(allies)

    async def play() -> tuple[Release, dict, dict]:
        async with a_hub(allies) as relay, serving(allies, relay, *NAMES):
            # The agency's node runs: its desk is behind the door.
            async with at_desk(allies.homes["agency"]) as desk:
                assert not isinstance(desk, NodeDesk)
                steps: list[str] = []
                first = await desk.do("query", {"query": query.model_dump(mode="json")}, lambda step, *_: steps.append(step))
                assert {"round.open", "round.mask", "round.reveal"} <= set(steps)
                again = await desk.do("query", {"query": query.model_dump(mode="json")})
                assert first["release"] == again["release"]
                assert (first["kept"], again["kept"]) == (False, True)
                catalogues = await desk.do("catalog", {"member": None})
            async with at_desk(allies.homes["skylark"]) as desk:
                status = await desk.do("status", {})
            return release_of(first), status, catalogues

    release, status, catalogues = asyncio.run(play())
    verify_release(release, allies.homes["agency"].lookup())
    assert release.contributors == CARRIERS
    assert {receipt.member for receipt in release.receipts} == {*ANSWERING, "agency"}
    noised, sigma = level_values(release.levels[0]), release.levels[0].sigma
    assert np.abs(noised - truth(allies, query)).max() < 6 * sigma
    assert status["answers"]
    assert status["agreements"][0]["rho_spent"] == pytest.approx(0.1)
    offered = catalogues["horizon"]["dcat:dataset"][0]
    assert offered["dcterms:identifier"] == "mobility"
    assert catalogues["university"]["dcat:dataset"] == []


def test_without_a_running_node_the_desk_brings_its_own(allies: Allies) -> None:
    async def play() -> Release:
        async with a_hub(allies) as relay, serving(allies, relay, *ANSWERING):
            home = allies.homes["agency"]
            async with at_desk(home, line(relay, home)) as desk:
                assert isinstance(desk, NodeDesk)
                return release_of(await desk.do("query", {"query": a_query(allies, owners=["horizon"]).model_dump(mode="json")}))

    release = asyncio.run(play())
    assert release.contributors == ("horizon",)
    assert release.round is None


def test_a_revocation_takes_effect_at_once_at_every_member(allies: Allies) -> None:
    async def play() -> None:
        async with a_hub(allies) as relay, serving(allies, relay, *NAMES):
            horizon = allies.homes["horizon"]
            async with at_desk(horizon) as desk:
                revocation = Revocation(agreement=allies.agreement_id, member="horizon", reason="enough", at=datetime.now(UTC))
                told = await desk.do("revoke", {"revocation": sign_revocation(revocation, horizon.keys)})
                assert told == {"agreement": allies.agreement_id, "not_reached": {}}
            async with at_desk(allies.homes["agency"]) as desk:
                for owners in (list(CARRIERS), ["skylark"]):
                    with pytest.raises(RefusedError) as caught:
                        await desk.do("query", {"query": a_query(allies, owners=owners).model_dump(mode="json")})
                    assert "agreement.revoked" in caught.value.reasons

    asyncio.run(play())


def test_a_restored_backup_refuses_until_it_is_level(allies: Allies) -> None:
    query = a_query(allies, owners=["skylark"])

    async def play() -> None:
        home = allies.homes["skylark"]
        async with a_hub(allies) as relay:
            async with serving(allies, relay, *NAMES):
                pass
            backup = allies.folder / "backup.db"
            shutil.copy(home.registry_path, backup)
            async with serving(allies, relay, *NAMES), at_desk(allies.homes["agency"]) as desk:
                await desk.do("query", {"query": query.model_dump(mode="json")})
                await asyncio.sleep(1.5)  # the agency writes down the checkpoint that came with the answer
            shutil.copy(backup, home.registry_path)
            async with (
                serving(allies, relay, "horizon", "bluewave", "university", "agency"),
                serving(allies, relay, "skylark", level=False),
            ):
                async with at_desk(home) as desk:
                    await asyncio.sleep(1.0)
                    status = await desk.do("status", {})
                    assert not status["answers"]
                    assert status["why_not"] != DOUBT, "others have shown what is missing"
                async with at_desk(allies.homes["agency"]) as desk:
                    other = a_query(allies, owners=["skylark"], filters={"hour": ["9"]})
                    with pytest.raises(OneteamError) as caught:
                        await desk.do("query", {"query": other.model_dump(mode="json")})
                    assert caught.value.code.startswith("trust.")

    asyncio.run(play())


def test_two_nodes_of_one_member_are_refused(allies: Allies) -> None:
    async def play() -> None:
        async with a_hub(allies) as relay:
            home = allies.homes["skylark"]
            with open_member(home, line(relay, home)), pytest.raises(DatasetBusyError), open_member(home, line(relay, home)):
                pass

    asyncio.run(play())


def test_a_hub_that_is_not_there_is_named(allies: Allies, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("oneteam.app.desk.CONNECT_S", 0.3)

    async def play() -> None:
        home = allies.homes["agency"]
        settings = home.settings.model_copy(update={"hub": "http://127.0.0.1:9"})
        async with at_desk(Home(home.folder, settings, home.keys)):
            pass

    with pytest.raises(UnreachableError, match=r"127\.0\.0\.1:9"):
        asyncio.run(play())


def test_a_query_file_says_only_what_differs(allies: Allies, tmp_path: Path) -> None:
    path = tmp_path / "query.toml"
    path.write_text('measure = "presence"\nfirst_day = 2020-01-06\n')
    kept = Kept(allies.agreement, allies.agreement_id, allies.agreement.parties)
    query, found = complete(read_query(path), [kept])
    assert found is kept
    assert query.levels == ("zone=code", "zone=region", "zone=*")
    assert query.owners == CARRIERS
    assert query.rho == 0.1
    decisions = foresee(query, kept, "agency", datetime.now(UTC))
    assert set(decisions) == {*CARRIERS, "university"}
    assert all(decision.permit for decision in decisions.values())
    assert foresee(query, kept, "skylark", datetime.now(UTC))["horizon"].codes == ("requester.stranger", "requester.contributor")


def test_what_a_query_file_gets_wrong_is_named(allies: Allies, tmp_path: Path) -> None:
    kept = Kept(allies.agreement, allies.agreement_id, allies.agreement.parties)
    path = tmp_path / "query.toml"
    path.write_text('measure = "presence"\nfirst_day = 2020-01-06\ncolour = "red"\n')
    with pytest.raises(WrongTypeError, match="colour"):
        read_query(path)
    with pytest.raises(NothingFoundError, match="'od'"):
        complete(QueryFile(measure="od", first_day=DAY), [kept])
    with pytest.raises(UnknownValueError, match="presence"):
        complete(QueryFile(measure="od", first_day=DAY, agreement=allies.agreement_id[:8]), [kept])
    twice = Kept(allies.agreement, "f" * 64, allies.agreement.parties)
    with pytest.raises(UnknownValueError, match="several"):
        complete(QueryFile(measure="presence", first_day=DAY), [kept, twice])


def test_a_dataset_of_a_part_that_answers_nothing_is_refused(allies: Allies) -> None:
    home = allies.homes["skylark"]
    path = home.folder / "member.toml"
    path.write_text(path.read_text().replace('part = "telecom"', 'part = "weather"'))
    with pytest.raises(UnknownValueError, match=r"datasets\.mobility\.part"):
        Sources(Home.open(home.folder))


def test_estimates_are_written_with_where_they_come_from(allies: Allies, tmp_path: Path) -> None:
    async def play() -> Release:
        async with a_hub(allies) as relay, serving(allies, relay, *ANSWERING):
            home = allies.homes["agency"]
            async with at_desk(home, line(relay, home)) as desk:
                return release_of(await desk.do("query", {"query": a_query(allies).model_dump(mode="json")}))

    release = asyncio.run(play())
    write_estimates(tmp_path / "table.parquet", release, allies.agreement)
    table = pq.read_table(tmp_path / "table.parquet")
    assert table.column_names == ["zone", "value", "std"]
    assert table.num_rows == 12
    assert table.schema.metadata[b"agreement"].decode() == allies.agreement_id
    assert any("epsilon" in text for text in summary(release, allies.agreement).lines)


def typed(*words: object) -> str:
    """What a person sees who types a command."""
    done = CliRunner().invoke(app, [str(word) for word in words])
    if done.exception and not isinstance(done.exception, SystemExit):
        raise done.exception
    assert done.exit_code == 0, done.output
    return done.output


def test_a_release_that_was_written_can_be_shown_and_changed_ones_cannot(allies: Allies, tmp_path: Path) -> None:
    query, out, agency = tmp_path / "query.toml", tmp_path / "release.json", allies.homes["agency"].folder
    query.write_text('measure = "presence"\nfirst_day = 2020-01-06\n')

    async def play() -> None:
        async with a_hub(allies) as relay, serving(allies, relay, *NAMES):
            await asyncio.to_thread(typed, "query", "run", query, "--home", agency, "--out", out, "--limit", 0)

    asyncio.run(play())
    assert "signatures hold" in typed("query", "show", out, "--home", agency, "--limit", 0)
    assert json.loads(typed("query", "show", out, "--home", agency, "--json"))["valid"]
    out.write_text(out.read_text().replace('"rho":0.1', '"rho":0.2', 1))
    with pytest.raises(BadSignatureError):
        typed("query", "show", out, "--home", agency)


def test_a_revocation_that_is_typed_reaches_the_others_through_the_running_node(allies: Allies, tmp_path: Path) -> None:
    def revoked(name: str) -> list[tuple[str, str]]:
        with open_member_log(allies.homes[name]) as entries:
            return [(entry.kind, entry.document) for entry in entries if entry.kind == "revoke"]

    async def play() -> str:
        async with a_hub(allies) as relay, serving(allies, relay, *NAMES):
            words = ("agreement", "revoke", allies.agreement_id, "--home", allies.homes["horizon"].folder, "--out", tmp_path / "end.jws")
            told = await asyncio.to_thread(typed, *words, "--json")
            async with at_desk(allies.homes["agency"]) as desk:
                with pytest.raises(RefusedError) as caught:
                    await desk.do("query", {"query": a_query(allies, owners=["skylark"]).model_dump(mode="json")})
            assert caught.value.reasons == ("agreement.revoked",)
            return told

    assert json.loads(asyncio.run(play()))["not_told"] == []
    # One entry in each log, and all of the same text.
    found = {name: revoked(name) for name in NAMES}
    assert {len(entries) for entries in found.values()} == {1}
    assert len({entries[0] for entries in found.values()}) == 1
    typed("agreement", "keep", tmp_path / "end.jws", "--home", allies.homes["skylark"].folder)
    assert revoked("skylark") == found["skylark"]


@contextmanager
def open_member_log(home: Home) -> Iterator[list[AuditEntry]]:
    registry = Registry.open(home.registry_path)
    try:
        yield [entry for _, entry in LogReader(registry).entries()]
    finally:
        registry.close()


def test_a_door_says_what_it_cannot_read(allies: Allies) -> None:
    async def told(relay: Relay, raw: bytes) -> dict:
        async with serving(allies, relay, "agency"):
            reader, writer = await asyncio.open_unix_connection(str(allies.homes["agency"].folder / "node.sock"))
            writer.write(raw + b"\n")
            answer = json.loads(await reader.readline())
            writer.close()
            return answer

    async def play() -> None:
        async with a_hub(allies) as relay:
            query = json.dumps(a_query(allies).model_dump(mode="json")).encode()
            for raw in (b"[]", b"{", b"\xff\xfe", b'{"do": 1}', b'{"do": "query", "with": {"query": ' + query + b', "attempts": "many"}}'):
                assert (await told(relay, raw))["error"]["code"] == "input.wrong_type"

    asyncio.run(play())


def test_a_node_that_was_set_back_finds_out_from_the_asker_before_it_answers(allies: Allies) -> None:
    """The recipient runs no node, so nobody who answers at the start holds the newest checkpoint."""
    home, agency = allies.homes["skylark"], allies.homes["agency"]
    backup = allies.folder / "backup.db"

    async def asked(relay: Relay, **changes: object) -> None:
        async with at_desk(agency, line(relay, agency)) as desk:
            await desk.do("query", {"query": a_query(allies, owners=["skylark"], **changes).model_dump(mode="json")})
            await asyncio.sleep(1.0)  # the checkpoint that came with the answer is written down

    async def play() -> dict:
        async with a_hub(allies) as relay:
            async with serving(allies, relay, *ANSWERING):
                with closing(sqlite3.connect(home.registry_path)) as running, closing(sqlite3.connect(backup)) as copy:
                    running.backup(copy)
                await asked(relay)
            shutil.copy(backup, home.registry_path)
            async with serving(allies, relay, *ANSWERING):
                with pytest.raises(LogError, match="charges were forgotten"):
                    await asked(relay, filters={"hour": ["9"]})
                async with at_desk(home) as desk:
                    return await desk.do("status", {})

    state = asyncio.run(play())
    assert not state["answers"]
    assert state["agreements"][0]["rho_spent"] == 0


def test_a_pause_written_into_the_settings_holds_with_the_next_question(allies: Allies) -> None:
    path = allies.homes["skylark"].folder / "member.toml"
    before = path.read_text()

    async def reasons(desk: Desk, hour: int) -> tuple[str, ...]:
        with pytest.raises(RefusedError) as caught:
            await desk.do("query", {"query": a_query(allies, owners=["skylark"], filters={"hour": [str(hour)]}).model_dump(mode="json")})
        return caught.value.reasons

    async def play() -> None:
        async with a_hub(allies) as relay, serving(allies, relay, *NAMES), at_desk(allies.homes["agency"]) as desk:
            path.write_text(before.replace("# paused = true", "paused = true"))
            assert await reasons(desk, 1) == ("local.paused",)
            path.write_text("id = ")
            assert await reasons(desk, 2) == ("local.paused",), "what cannot be read refuses everything"
            path.write_text(before)
            await desk.do("query", {"query": a_query(allies, owners=["skylark"]).model_dump(mode="json")})

    asyncio.run(play())


def test_an_expired_agreement_is_refused_by_every_member(tmp_path: Path, data: Path) -> None:
    now = datetime.now(UTC)
    allies = make_allies(tmp_path, data, not_before=now - timedelta(days=2), until=now - timedelta(days=1))

    async def play() -> None:
        async with a_hub(allies) as relay, serving(allies, relay, *NAMES), at_desk(allies.homes["agency"]) as desk:
            for owners in (list(CARRIERS), ["horizon"]):
                with pytest.raises(RefusedError) as caught:
                    await desk.do("query", {"query": a_query(allies, owners=owners).model_dump(mode="json")})
                assert caught.value.reasons == ("period.over",)

    asyncio.run(play())


def test_the_same_query_asked_twice_at_once_is_paid_once(allies: Allies) -> None:
    async def play() -> dict:
        async with a_hub(allies) as relay, serving(allies, relay, *NAMES):
            async with at_desk(allies.homes["agency"]) as desk:
                body = {"query": a_query(allies).model_dump(mode="json")}
                first, second = await asyncio.gather(desk.do("query", body), desk.do("query", body))
                assert first["release"] == second["release"]
            async with at_desk(allies.homes["horizon"]) as desk:
                return await desk.do("status", {})

    assert asyncio.run(play())["agreements"][0]["rho_spent"] == pytest.approx(0.1)


def test_a_revocation_reaches_who_was_away_longer_than_a_letter_lives(allies: Allies) -> None:
    horizon = allies.homes["horizon"]
    revocation = Revocation(agreement=allies.agreement_id, member="horizon", reason="enough", at=datetime.now(UTC))

    async def play() -> None:
        async with a_hub(allies) as relay:
            async with serving(allies, relay, "horizon", "bluewave", "university"), at_desk(horizon) as desk:
                await desk.do("revoke", {"revocation": sign_revocation(revocation, horizon.keys)})
            relay.mailboxes.forget_expired(datetime.now(UTC).timestamp() + 30 * 86_400)
            assert relay.mailboxes.count() == 0
            async with serving(allies, relay, "bluewave", "university", "skylark"), at_desk(allies.homes["skylark"]) as desk:
                for _ in range(50):
                    state = await desk.do("status", {})
                    if state["agreements"][0]["revoked"]:
                        return
                    await asyncio.sleep(0.1)
            raise AssertionError("the revocation did not come")

    asyncio.run(play())


def test_no_secret_and_no_row_stands_in_a_log(allies: Allies, caplog: pytest.LogCaptureFixture) -> None:
    """Everything at the most talkative level, a refusal and a failure among it."""
    caplog.set_level(logging.DEBUG)

    async def play() -> None:
        async with a_hub(allies) as relay, serving(allies, relay, *NAMES), at_desk(allies.homes["agency"]) as desk:
            await desk.do("query", {"query": a_query(allies).model_dump(mode="json")})
            with pytest.raises(RefusedError):
                await desk.do("query", {"query": a_query(allies, rho=0.5).model_dump(mode="json")})

    asyncio.run(play())
    said = caplog.text
    assert "rho" in said, "the refusal is there"
    rows = Sources(allies.homes["skylark"])(a_query(allies), allies.agreement)
    for who in rows.subscriber[:200].tolist():
        assert str(who) not in said
    for home in allies.homes.values():
        raw = home.keys.to_bytes()
        for secret in (raw[:32], raw[32:]):
            assert secret.hex() not in said
            assert encode(secret) not in said
            assert repr(secret)[2:-1] not in said


def test_all_in_one_process_needs_no_hub(allies: Allies) -> None:
    async def play() -> tuple[Release, float]:
        async with in_one_process(list(allies.homes.values())) as nodes:
            answer = await NodeDesk(nodes["agency"]).do("query", {"query": a_query(allies).model_dump(mode="json")})
            return release_of(answer), nodes["skylark"].ledger.spent(agreement=allies.agreement_id) * 1e-9

    release, spent = asyncio.run(play())
    verify_release(release, allies.homes["agency"].lookup())
    assert release.contributors == CARRIERS
    assert spent == pytest.approx(0.1)


def test_homes_of_two_alliances_do_not_mix(allies: Allies, tmp_path: Path, data: Path) -> None:
    others = make_allies(tmp_path / "others", data)

    async def play(homes: list[Home]) -> None:
        async with in_one_process(homes):
            pass

    for homes in ([allies.homes["skylark"], others.homes["agency"]], [allies.homes["skylark"], allies.homes["skylark"]]):
        with pytest.raises(UnknownValueError, match="one alliance"):
            asyncio.run(play(homes))
