"""Carriers tell their own travellers when an agency asks: what is done, what is answered, and what is refused."""

from __future__ import annotations

import asyncio
import csv
import errno
import json
import logging
import os
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from oneteam.alliance.home import Home
from oneteam.app import notices as module
from oneteam.app.acting import Acting
from oneteam.app.asking import QueryFile, complete
from oneteam.app.desk import at_desk, releases_of
from oneteam.app.embedded import in_one_process
from oneteam.app.member_node import MemberNode, OwnLimits, Sources, open_member
from oneteam.app.notice_terms import NoticeTerms
from oneteam.app.notices import ask_notice, notify, step
from oneteam.app.oversight import Oversight
from oneteam.cli.main import app
from oneteam.core.errors import (
    BadSignatureError,
    EngineError,
    NothingFoundError,
    OneteamError,
    RefusedError,
    ReplayError,
    StorageError,
    UnknownValueError,
    WrongTypeError,
)
from oneteam.core.model import Agreement, Alert, Command, Release, Text
from oneteam.core.part import ActionInfo
from oneteam.privacy.agreements import Revocation, agreement_id, sign_revocation
from oneteam.privacy.combine import verify_release
from oneteam.privacy.commands import COMMAND_RULES, AskedCommand, Switch, decide_command, open_command, sign_command
from oneteam.privacy.contributions import bounded_sum
from oneteam.privacy.levels import domain_of_query
from oneteam.privacy.policy import Kept, LocalLimits
from oneteam.privacy.signing import sign_compact
from oneteam.store.audit_entry import AuditEntry
from oneteam.telecom.service.notify import notify_travellers
from tests.app.allies import NAMES, Allies, a_hub, line, serving
from tests.app.travellers import AS_OF, FIRST, INFECTED, MANY, lists_of, make_travellers, switch, travelling_allies
from tests.telecom.datasets import kst, write_dataset

TERMS = NoticeTerms(("중국",), 14, AS_OF, Text(en="Please watch for symptoms.", ko="증상을 살펴 주세요."))


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_travellers(tmp_path_factory.mktemp("travellers"))


@pytest.fixture
def allies(tmp_path: Path, data: Path) -> Allies:
    return travelling_allies(tmp_path, data)


def now() -> datetime:
    return datetime.now(UTC)


def a_command(allies: Allies, carrier: str = "skylark", **changes: Any) -> Command:
    """As `ask_notice` makes it."""
    kept = Kept(allies.agreement, allies.agreement_id, allies.agreement.parties)
    settings = TERMS.settings(kept) | changes.pop("settings", {})
    body = {
        "entity": f"telecom.{carrier}",
        "action": "notify_travellers",
        "settings": {name: value for name, value in settings.items() if value is not None},
        "until": now() + timedelta(hours=1),
        "context": step("agency", "tell travellers", now()),
    }
    return Command(**(body | changes))


def signed(allies: Allies, command: Command, asker: str = "agency") -> str:
    return sign_compact(command, asker, allies.homes[asker].keys)


@contextmanager
def a_carrier(allies: Allies, name: str = "skylark") -> Iterator[tuple[MemberNode, Acting]]:
    """A carrier's node, not connected, and what acts in it."""
    home = allies.homes[name]
    with open_member(home, object()) as member:  # type: ignore[arg-type]
        yield member, Acting(home, member.registry, member.log, member.book, home.lookup(), OwnLimits(home), now)


def last_entry(member: MemberNode) -> AuditEntry:
    return list(member.log.entries())[-1][1]


def users(path: Path) -> list[str]:
    with path.open(newline="") as file:
        return [row["user_id"] for row in csv.DictReader(file)]


def test_lists_are_written_answers_say_nothing_and_counts_come_as_releases(allies: Allies, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    alert_step = step("agency", "risk rises in 11010", now())

    async def play() -> tuple[module.Notices, dict[str, float], list[list[AuditEntry]]]:
        async with in_one_process(list(allies.homes.values())) as nodes:
            found = await notify(nodes["agency"], TERMS, cause=alert_step)
            spent = {name: nodes[name].ledger.spent(agreement=allies.agreement_id) * 1e-9 for name in MANY}
            return found, spent, [[entry for _, entry in nodes[name].log.entries()] for name in MANY]

    found, spent, logs = asyncio.run(play())
    assert [(answer.member, answer.answered) for answer in found.answers] == [(name, "accepted") for name in MANY]
    for answer, count, entries in zip(found.answers, found.counts, logs, strict=True):
        context = answer.command.context
        assert context is not None
        assert context.parent == alert_step.id
        # The list is the owner's alone, with the words beside it.
        (written,) = lists_of(allies.homes[answer.member])
        assert written.stem == context.id
        assert stat.S_IMODE(written.stat().st_mode) == stat.S_IMODE(written.with_suffix(".json").stat().st_mode) == 0o600
        assert stat.S_IMODE(written.parent.stat().st_mode) == 0o700
        assert json.loads(written.with_suffix(".json").read_text())["settings"]["text_ko"] == "증상을 살펴 주세요."
        listed = users(written)
        assert len(listed) == len(set(listed)) == MANY[answer.member]
        assert f"user{INFECTED}" in listed
        # The count is a Release under the same Agreement, caused by the Command, and equals the list up to its noise.
        assert count.members == (answer.member,)
        assert count.release is not None
        assert count.value is not None
        assert count.std is not None
        assert 0 < count.std < 2, "the noise of rho = 2 and K = 3"
        assert abs(count.value - len(listed)) < 8 * count.std
        verify_release(count.release, allies.homes["agency"].lookup())
        assert count.release.context is not None
        assert count.release.context.parent == context.id
        assert (count.release.query.first_day, count.release.query.last_day) == (FIRST, AS_OF)
        assert spent[answer.member] == pytest.approx(2.0)
        # In the log: who asked, under which agreement, why; before the permit of the count.
        kinds = [entry.kind for entry in entries]
        acted = entries[kinds.index("act")]
        assert (acted.requester, acted.agreement, acted.context, acted.dataset) == ("agency", allies.agreement_id, context.id, "mobility")
        assert acted.nano_rho == 0
        assert kinds.index("act") < kinds.index("permit")
        # Its people see the Command beside the Queries that were decided.
        own = Oversight(allies.homes[answer.member].folder)
        decided, _ = own.decisions()
        own.close()
        assert [one.decision for one in decided].count("acted") == 1
        assert all(not one.measures for one in decided if one.decision == "acted")
    told = json.dumps(found.as_dict())
    assert all(f"user{who}" not in told + caplog.text for who in range(1, 40))


def test_without_the_noise_the_measure_counts_the_list(allies: Allies) -> None:
    """The same number to the person, for each country: what the gate sums before it adds its noise."""
    asked = QueryFile(measure="travellers", first_day=FIRST, last_day=AS_OF, dimensions=("country",), levels=("country=code",))
    query, kept = complete(asked, [Kept(allies.agreement, allies.agreement_id, allies.agreement.parties)])
    for name, many in MANY.items():
        rows = Sources(allies.homes[name])(query, kept.agreement)
        counts = bounded_sum(rows, domain_of_query(query, kept.agreement), 3, 1, bytes(16)).tolist()
        assert counts == [many, 0, 3]
        out = allies.folder / f"{name}.csv"
        written = notify_travellers(allies.homes[name].dataset_path("mobility"), ["CN", "VN", "JP"], 14, AS_OF, out)
        assert sum(counts) == written.rows


def test_where_no_single_release_is_agreed_all_are_counted_together(tmp_path: Path, data: Path) -> None:
    allies = travelling_allies(tmp_path, data, single=False, min_contributors=3)

    async def play() -> module.Notices:
        async with in_one_process(list(allies.homes.values())) as nodes:
            # So cheap that the noise of each share is large enough to add up.
            return await notify(nodes["agency"], TERMS, rho=0.04)

    found = asyncio.run(play())
    (count,) = found.counts
    assert count.members == tuple(MANY)
    assert count.value is not None
    assert count.std is not None
    assert abs(count.value - sum(MANY.values())) < 8 * count.std
    assert count.release is not None
    assert count.release.context is not None
    assert count.release.context.parent == found.cause.id
    assert {row["count"]["release"] for row in found.rows()} == {found.rows()[0]["count"]["release"]}


def test_who_is_off_or_away_is_told_apart_and_the_others_go_on(tmp_path: Path, data: Path) -> None:
    allies = travelling_allies(tmp_path, data, switched_on=("skylark",))
    present = [home for name, home in allies.homes.items() if name != "bluewave"]

    async def play() -> module.Notices:
        async with in_one_process(present) as nodes:
            member = nodes["agency"]
            monkey = pytest.MonkeyPatch()
            with monkey.context() as patched:
                patched.setattr(module, "ask_notice", lambda *a, **k: ask_notice(*a, **k | {"patience_s": 1.0}))
                return await notify(member, TERMS)

    found = asyncio.run(play())
    assert [answer.answered for answer in found.answers] == ["accepted", "refused", "unanswered"]
    assert found.answers[1].reasons == ("command.off",)
    assert found.answers[2].code == "wire.unreachable"
    assert [count.members for count in found.counts] == [("skylark",)]
    assert "count" not in found.rows()[1]
    assert not lists_of(allies.homes["horizon"])


def test_through_the_door_of_a_running_node_and_on_the_command_line(allies: Allies, monkeypatch: pytest.MonkeyPatch) -> None:
    async def play() -> dict[str, Any]:
        async with a_hub(allies) as relay, serving(allies, relay, *NAMES):
            monkeypatch.setattr("oneteam.app.desk.open_member", lambda home, _line=None, **kw: open_member(home, line(relay, home), **kw))
            async with at_desk(allies.homes["agency"]) as desk:
                with pytest.raises(WrongTypeError, match="within_days"):
                    await desk.do("notify", {"countries": ["CN"], "within_days": -1})
                wish = {"countries": ["CN"], "within_days": 14, "as_of": str(AS_OF), "carriers": ["horizon"], "rho": 0.5}
                return await desk.do("notify", wish)

    found = asyncio.run(play())
    assert [row["answered"] for row in found["notices"]] == ["accepted"]
    assert abs(found["notices"][0]["count"]["value"] - MANY["horizon"]) < 8 * found["notices"][0]["count"]["std"]
    assert [release.contributors for release in releases_of(found)] == [("horizon",)]

    beside = [word for name in NAMES if name != "agency" for word in ("--with", str(allies.homes[name].folder))]
    out = allies.folder / "notices.json"
    asked = ["query", "notify", "--home", str(allies.homes["agency"].folder), "--countries", "CN,Vietnam", "--as-of", str(AS_OF), *beside]
    shown = CliRunner().invoke(app, [*asked, "--to", "skylark", "--out", str(out)])
    assert shown.exit_code == 0, shown.output
    assert "accepted" in shown.output
    assert "travellers told, noise ±" in shown.output
    assert json.loads(out.read_text())["notices"][0]["member"] == "skylark"
    assert sum(len(users(path)) for path in lists_of(allies.homes["skylark"])) == MANY["skylark"] + 3
    as_json = CliRunner().invoke(app, [*asked, "--no-count", "--json"])
    assert as_json.exit_code == 0, as_json.output
    assert all("count" not in row for row in json.loads(as_json.output)["notices"])
    for name in MANY:
        switch(allies.homes[name], on=False)
    refused = CliRunner().invoke(app, [*asked])
    assert refused.exit_code == 77
    assert "does not act on commands" in refused.output.replace("\n", " ").replace("│", " ") or "command.off" in refused.output


def test_a_command_is_carried_out_once(allies: Allies) -> None:
    text = signed(allies, a_command(allies))
    with a_carrier(allies) as (member, acting):
        acting.act(text, "agency")
        (written,) = lists_of(allies.homes["skylark"])
        written.unlink()
        with pytest.raises(ReplayError, match="before"):
            acting.act(text, "agency")
        assert last_entry(member).reasons == ("trust.replay",)
    with a_carrier(allies) as (_, again), pytest.raises(ReplayError):
        again.act(text, "agency")
    assert not lists_of(allies.homes["skylark"])


Change = tuple[dict[str, Any], type[OneteamError], tuple[str, ...]]
REFUSED: dict[str, Change] = {
    "expired": ({"until": datetime(2020, 1, 1, tzinfo=UTC)}, ReplayError, ("trust.replay",)),
    "good for too long": ({"until": datetime.now(UTC) + timedelta(days=20)}, WrongTypeError, ("input.wrong_type",)),
    "from the future": (
        {"context": step("agency", "later", datetime.now(UTC) + timedelta(minutes=50))},
        ReplayError,
        ("trust.replay",),
    ),
    "without a context": ({"context": None}, WrongTypeError, ("input.wrong_type",)),
    "of another actor": ({"context": step("university", "x", datetime.now(UTC))}, BadSignatureError, ("trust.bad_signature",)),
    "for another carrier": ({"entity": "telecom.horizon"}, RefusedError, ("command.entity",)),
    "for another part": ({"entity": "building.skylark"}, RefusedError, ("command.action",)),
    "another action": ({"action": "switch_off"}, RefusedError, ("command.action",)),
    "no agreement named": ({"settings": {"agreement": None}}, RefusedError, ("command.agreement",)),
    "an unknown agreement": ({"settings": {"agreement": "ab" * 32}}, RefusedError, ("agreement.unknown",)),
    "no id at all": ({"settings": {"agreement": "what?"}}, RefusedError, ("agreement.unknown",)),
    "another purpose": ({"settings": {"purpose": "dpv:Marketing"}}, RefusedError, ("purpose",)),
    "a country beyond": ({"settings": {"countries": "CN,US"}}, RefusedError, ("command.countries",)),
    "too long, and a country beyond": (
        {"settings": {"countries": "US", "within_days": 15.0}},
        RefusedError,
        ("command.countries", "command.days"),
    ),
    "no such country": ({"settings": {"countries": "Atlantis"}}, UnknownValueError, ("input.unknown_value",)),
    "no country": ({"settings": {"countries": ",,"}}, WrongTypeError, ("input.wrong_type",)),
    "half a day": ({"settings": {"within_days": 1.5}}, WrongTypeError, ("input.wrong_type",)),
    "a day that is a number": ({"settings": {"as_of": 18_000.0}}, WrongTypeError, ("input.wrong_type",)),
    "a setting that nobody knows": ({"settings": {"count": True}}, WrongTypeError, ("input.wrong_type",)),
    "words that turn around": ({"settings": {"text": "a\u202eb"}}, WrongTypeError, ("input.wrong_type",)),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_may_not_be_asked_is_refused_and_logged(allies: Allies, name: str) -> None:
    changes, error, reasons = REFUSED[name]
    with a_carrier(allies) as (member, acting):
        with pytest.raises(error) as caught:
            acting.act(signed(allies, a_command(allies, **dict(changes))), "agency")
        assert (caught.value.reasons if isinstance(caught.value, RefusedError) else (caught.value.code,)) == reasons
        entry = last_entry(member)
        assert (entry.kind, entry.reasons) == ("refuse", reasons)
    assert not (allies.homes["skylark"].folder / "notices").exists()


def test_signature_and_sender(allies: Allies) -> None:
    command = a_command(allies)
    text = signed(allies, command)
    with a_carrier(allies) as (member, acting):
        with pytest.raises(RefusedError) as caught:
            acting.act(text, "horizon")
        assert caught.value.reasons == last_entry(member).reasons == ("requester.sender",)
        forged = sign_compact(command, "agency", allies.homes["horizon"].keys)
        with pytest.raises(BadSignatureError):
            acting.act(forged, "agency")
        with pytest.raises(BadSignatureError):
            acting.act(text[:-4] + "AAAA", "agency")
        with pytest.raises(BadSignatureError):
            acting.act("no command", "agency")
        acting.act(text, "agency")
    assert len(lists_of(allies.homes["skylark"])) == 1


def test_only_a_recipient_may_ask(allies: Allies) -> None:
    command = a_command(allies, context=step("horizon", "tell", now()))
    with a_carrier(allies) as (_, acting), pytest.raises(RefusedError) as caught:
        acting.act(signed(allies, command, "horizon"), "horizon")
    assert caught.value.reasons == ("requester.stranger", "requester.contributor")


def test_the_owner_s_switch_limits_and_a_revocation_hold_at_once(allies: Allies) -> None:
    home = allies.homes["skylark"]

    def refused(acting: Acting) -> tuple[str, ...]:
        with pytest.raises(RefusedError) as caught:
            acting.act(signed(allies, a_command(allies)), "agency")
        return caught.value.reasons

    with a_carrier(allies) as (member, acting):
        switch(home, on=False)
        assert refused(acting) == ("command.off",)
        switch(home, dataset="other")
        assert "command.off" in refused(acting), "it holds no such dataset"
        switch(home)
        text = (home.folder / "member.toml").read_text()
        limited = text.replace(
            "[limits]", '[limits]\npaused = true\nmeasures = ["od"]\nrecipients = ["university"]\nuntil = 2020-01-01T00:00:00Z'
        )
        (home.folder / "member.toml").write_text(limited)
        assert refused(acting) == ("local.paused", "local.until", "local.recipient", "local.measure")
        (home.folder / "member.toml").write_text("not toml [")
        assert refused(acting) == ("command.off",)
        (home.folder / "member.toml").write_text(text)
        acting.act(signed(allies, a_command(allies)), "agency")
        revocation = Revocation(agreement=allies.agreement_id, member="skylark", reason="enough", at=now())
        member.revoke(sign_revocation(revocation, home.keys))
        assert refused(acting) == ("agreement.revoked",)
    assert len(lists_of(home)) == 1


def test_so_many_a_day_and_no_more(allies: Allies) -> None:
    home = allies.homes["skylark"]
    path = home.folder / "member.toml"
    path.write_text(f"{path.read_text()}per_day = 2\n")
    moment = [now()]
    with a_carrier(allies) as (member, _):
        acting = Acting(home, member.registry, member.log, member.book, home.lookup(), OwnLimits(home), lambda: moment[0])
        for _ in range(2):
            acting.act(signed(allies, a_command(allies)), "agency")
        with pytest.raises(RefusedError) as caught:
            acting.act(signed(allies, a_command(allies)), "agency")
        assert caught.value.reasons == ("command.many",)
        moment[0] += timedelta(hours=25)
        later = step("agency", "the day after", moment[0])
        acting.act(signed(allies, a_command(allies, context=later, until=moment[0] + timedelta(hours=1))), "agency")
    assert len(lists_of(home)) == 3


def test_a_folder_outside_the_home_or_a_switch_without_dataset_is_no_setting(allies: Allies) -> None:
    path = allies.homes["skylark"].folder / "member.toml"
    text = path.read_text()
    for line_, told in (('folder = "../x"', "inside the home"), ('folder = "/tmp"', "inside the home")):
        path.write_text(f"{text}{line_}\n")
        with pytest.raises(WrongTypeError, match=told):
            Home.open(path.parent)
    path.write_text(text.replace('dataset = "mobility"\n', ""))
    with pytest.raises(WrongTypeError, match="enabled needs a dataset"):
        Home.open(path.parent)


def test_a_full_disk_leaves_no_half_list_and_tells_the_asker_nothing(allies: Allies, monkeypatch: pytest.MonkeyPatch) -> None:
    home = allies.homes["skylark"]
    real = os.fsync

    def full(handle: int) -> None:
        if ".csv." in str(Path(f"/proc/self/fd/{handle}").readlink()):
            raise OSError(errno.ENOSPC, "No space left on device")
        real(handle)

    with a_carrier(allies) as (member, acting):
        with monkeypatch.context() as patched:
            patched.setattr("oneteam.store.tables.os.fsync", full)
            with pytest.raises(EngineError, match="could not be carried out at this member") as caught:
                acting.act(signed(allies, a_command(allies)), "agency")
        assert "disk" not in caught.value.message
        kinds = [(entry.kind, entry.reasons) for _, entry in member.log.entries()]
        assert kinds[-2:] == [("act", ()), ("refuse", ("storage.disk_full",))]
        assert not list((home.folder / "notices").iterdir())
        acting.act(signed(allies, a_command(allies)), "agency")
    assert len(lists_of(home)) == 1


def test_a_full_disk_under_the_registry_does_nothing_at_all(allies: Allies, monkeypatch: pytest.MonkeyPatch) -> None:
    with a_carrier(allies) as (member, acting):
        size = member.log.size
        with monkeypatch.context() as patched:

            def full() -> Any:
                raise StorageError("no room on the disk")

            patched.setattr(member.registry, "transaction", full)
            with pytest.raises(StorageError):
                acting.act(signed(allies, a_command(allies)), "agency")
        assert member.log.size == size
    assert not (allies.homes["skylark"].folder / "notices").exists()


def test_a_dataset_without_roaming_records_tells_nothing_either(tmp_path: Path, data: Path) -> None:
    bare = write_dataset(tmp_path / "bare", [(1, kst("2020-02-08T08:00:00"), 0)])
    allies = travelling_allies(tmp_path / "homes", data)
    path = allies.homes["skylark"].folder / "member.toml"
    path.write_text(path.read_text().replace(json.dumps(str(data / "skylark")), json.dumps(str(bare))))
    with a_carrier(allies) as (member, acting):
        with pytest.raises(EngineError) as caught:
            acting.act(signed(allies, a_command(allies)), "agency")
        assert caught.value.message == "the command could not be carried out at this member"
        assert last_entry(member).reasons == ("input.nothing_found",)


def test_asking_needs_an_agreement_a_cause_with_context_and_known_carriers(allies: Allies, tmp_path: Path, data: Path) -> None:
    alert = Alert(
        id="a",
        sender="agency",
        sent=now(),
        category="Health",
        event="risk",
        urgency="Expected",
        severity="Severe",
        certainty="Likely",
        effective=now(),
        expires=now() + timedelta(days=1),
        headline=Text(en="risk"),
        description=Text(en="risk"),
        areas=(),
    )
    with open_member(allies.homes["agency"], object()) as member:  # type: ignore[arg-type]
        for changes, told in (({"cause": alert}, "no context"), ({"carriers": ["university"]}, "no contributors")):
            with pytest.raises(UnknownValueError, match=told):
                asyncio.run(notify(member, TERMS, **changes))
        with pytest.raises(NothingFoundError):
            asyncio.run(notify(member, TERMS, agreement="0000"))
        for until in (now() - timedelta(hours=1), now() + timedelta(days=9)):
            with pytest.raises(UnknownValueError, match="within 7 days"):
                asyncio.run(notify(member, TERMS, until=until))
    presence = travelling_allies(
        tmp_path / "presence",
        data,
        measures=({"name": "presence", "dimensions": ("zone",), "levels": ("zone=code",), "max_keys": 3, "rho_per_release": 0.1},),
        dimensions={"zone": {"codes": ("11010", "11020")}},
    )
    with open_member(presence.homes["agency"], object()) as member, pytest.raises(NothingFoundError, match="travellers"):  # type: ignore[arg-type]
        asyncio.run(notify(member, TERMS))
    # A carrier is not talked into it by a Command that names an Agreement without the measure.
    with a_carrier(presence) as (_, acting), pytest.raises(RefusedError) as caught:
        acting.act(signed(presence, a_command(presence)), "agency")
    assert caught.value.reasons == ("measure",)


def test_every_rule_is_documented_and_can_be_the_only_reason(allies: Allies) -> None:
    """`decide_command` alone: no file, no clock."""
    page = (Path(__file__).parents[2] / "docs" / "agreements.md").read_text()
    documented = re.findall(r"^\| `(command\.[a-z]+)` \|", page, re.MULTILINE)
    assert documented == [*COMMAND_RULES, "command.countries", "command.days"]
    agreement, at = allies.agreement, now()
    command = a_command(allies)
    asked = open_command(sign_command(command, "agency", allies.homes["agency"].keys), allies.homes["agency"].lookup(), at)
    action = ActionInfo("notify_travellers", "travellers", "x:y", {})
    fine = Switch(True, "mobility", "telecom", action)

    def reasons(
        asked: AskedCommand = asked, me: str = "skylark", switch: Switch = fine, limits: LocalLimits | None = None, **terms: Any
    ) -> tuple[str, ...]:
        changed = Agreement.model_validate(agreement.model_dump() | terms)
        settings = dict(asked.command.settings)
        if terms:
            settings["agreement"] = agreement_id(changed)
        renamed = AskedCommand(asked.command.model_copy(update={"settings": settings}), asked.context, asked.asker, asked.digest)
        return decide_command(renamed, Kept(changed, agreement_id(changed), changed.parties), me, at, switch, limits).codes

    assert reasons() == ()
    assert reasons(switch=Switch()) == ("command.off",)
    assert reasons(switch=Switch(True, "mobility", "telecom", None)) == ("command.action",)
    assert reasons(switch=Switch(True, "other", "telecom", action)) == ("command.dataset",)
    assert reasons(switch=Switch(True, "mobility", "telecom", action, 0)) == ("command.many",)
    assert reasons(contributors=("horizon", "bluewave")) == ("command.contributor",)
    assert reasons(me="university") == ("command.entity", "command.contributor")
    assert reasons(not_before=at + timedelta(days=1)) == ("period.early",)
    assert reasons(until=at) == ("period.over",)
    assert reasons(helpers=("university", "agency")) == ("requester.helper",)
    assert reasons(recipients=("horizon",)) == ("requester.stranger",)
    kept = Kept(agreement, allies.agreement_id, ("agency",))
    assert decide_command(asked, kept, "skylark", at, fine).codes == ("agreement.unsigned",)
    assert decide_command(asked, None, "skylark", at, fine).codes == ("agreement.unknown",)


class Fan:
    """A third party's handler: writes what it was told."""

    def __init__(self, dataset: Path) -> None:
        self._dataset = dataset

    def check(self, command: Command, agreement: Agreement) -> None:
        assert agreement.measures[0].name == "travellers"
        if command.settings.get("speed") != "low":
            raise UnknownValueError("speed must be low")

    def carry_out(self, command: Command, folder: Path) -> None:
        folder.mkdir()
        (folder / "fan").write_text(f"{self._dataset.name} {command.settings['speed']}")


class Building:
    """A third party's part."""

    name = "building"

    def actions(self) -> dict[str, ActionInfo]:
        return {"ventilate": ActionInfo("ventilate", "travellers", f"{__name__}:Fan", {"en": "Ventilate", "ko": "환기"})}


def test_a_third_party_s_part_acts_through_the_same_door(allies: Allies, monkeypatch: pytest.MonkeyPatch) -> None:
    home = allies.homes["skylark"]
    with a_carrier(allies) as (member, acting):
        monkeypatch.setattr("oneteam.app.acting.installed_parts", lambda: {"building": Building(), "telecom": Building()})
        path = home.folder / "member.toml"
        path.write_text(path.read_text().replace('part = "telecom"', 'part = "building"'))
        settings: dict[str, str | None] = dict.fromkeys(("countries", "within_days", "as_of", "text", "text_ko"))
        asked = {"entity": "building.skylark", "action": "ventilate"}
        with pytest.raises(UnknownValueError, match="speed"):
            acting.act(signed(allies, a_command(allies, settings=settings | {"speed": "high"}, **asked)), "agency")
        acting.act(signed(allies, a_command(allies, settings=settings | {"speed": "low"}, **asked)), "agency")
        assert last_entry(member).kind == "act"
    assert (home.folder / "notices" / "fan").read_text() == "skylark low"


def test_a_node_without_data_acts_on_nothing(allies: Allies) -> None:
    async def play() -> None:
        async with in_one_process([allies.homes["agency"], allies.homes["university"], *(allies.homes[n] for n in MANY)]) as nodes:
            with pytest.raises(EngineError, match="brings no data"):
                await nodes["agency"].node.ask("university", "notice.ask", {"command": "x"}, timeout_s=10.0)
            with pytest.raises(WrongTypeError, match="text field 'command'"):
                await nodes["agency"].node.ask("skylark", "notice.ask", timeout_s=10.0)
            answer = await nodes["agency"].node.ask("skylark", "notice.ask", {"command": signed(allies, a_command(allies))}, timeout_s=10.0)
            assert {name for name in answer.header if name != "log"} == {"accepted"}
            assert answer.body == b""

    asyncio.run(play())


def test_releases_of_counts_are_kept(allies: Allies) -> None:
    """A second asking for the same days sends new Commands and spends nothing more."""

    async def play() -> list[float]:
        async with in_one_process(list(allies.homes.values())) as nodes:
            spent = []
            for _ in range(2):
                found = await notify(nodes["agency"], TERMS, carriers=["skylark"])
                assert isinstance(found.counts[0].release, Release)
                spent.append(nodes["skylark"].ledger.spent(agreement=allies.agreement_id) * 1e-9)
            return spent

    first, second = asyncio.run(play())
    assert first == second == pytest.approx(2.0)
    assert len(lists_of(allies.homes["skylark"])) == 2
