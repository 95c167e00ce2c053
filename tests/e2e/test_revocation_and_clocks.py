"""A party revokes while a study asks; a member's clock is wrong."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from oneteam.alliance.home import Home
from oneteam.alliance.wire import SKEW
from oneteam.app.agreeing import kept_agreements
from oneteam.app.asking import QueryFile, ask, complete
from oneteam.app.demo.settings import AGENCY, CARRIERS
from oneteam.app.desk import running_desk
from oneteam.app.member_node import MemberNode, open_member
from oneteam.app.officer import revoke
from oneteam.app.oversight import Oversight
from oneteam.core.canonical import content_id
from oneteam.core.errors import OneteamError, ReplayError
from oneteam.core.model import Agreement, Query
from tests.e2e.conftest import CHARGE, FIRST_DAY, KNOWN_ON, RHO, START_S, Blow, Team, command, elsewhere, presence, read, run

TOLERATED_S = SKEW.total_seconds()
ARRIVALS = f"""
[[ask]]
measure = "arrivals"
first_day = {FIRST_DAY}
last_day = {KNOWN_ON}
every = "week"
"""


def test_a_revocation_in_the_middle_holds_at_once_and_the_study_goes_on_without(team: Team, tmp_path: Path) -> None:
    team.everyone()
    file, out = team.study("revoked", ARRIVALS + presence(hour=14, days=1)), tmp_path / "out"
    travel = next(k for k in kept_agreements(team.home(AGENCY)) if any(m.name == "arrivals" for m in k.agreement.measures))

    def officer() -> None:
        told = revoke(Oversight(team.folder.home("bluewave")), travel.id, "no longer needed", datetime.now(UTC))
        assert told.not_told == ()

    ran = run(file, out, Blow(2, "asked", lambda: elsewhere(officer)))
    # The first week was answered, the second was refused, and the other Agreement goes on.
    assert [row["code"] for row in ran.refusals] == ["trust.refused, agreement.revoked"]
    assert [row["measure"] for row in ran.refusals] == ["arrivals"]
    for name in (*CARRIERS, "university"):
        assert name in ran.refusals[0]["message"], "it holds everywhere at once"
    told = read(out / "provenance.json")
    assert [row["measure"] for row in told["releases"]] == ["arrivals", "presence"]
    assert [row["code"] for row in told["refusals"]] == ["trust.refused, agreement.revoked"]
    assert (ran.states["report"], ran.failed) == ("done", {})
    summary, report = read(out / "summary.json"), (out / "report.html").read_text(encoding="utf-8")
    assert [row["measure"] for row in summary["unanswered"]] == ["arrivals"]
    assert "Missing: arrivals, 2020-01-27 – 2020-02-02. Not answered (trust.refused, agreement.revoked)" in report
    assert "빠진 자료: arrivals" in report
    releases = next(step for step in read(out / "progress.json")["steps"] if step["step"] == "releases")
    assert "1 refused" in releases["detail"]
    # Nobody was charged for the refused one; asking again does not help, and is not done.
    refused = told["refusals"][0]["query"]
    assert all(team.charges(name, [refused]) == {refused: []} for name in CARRIERS)
    before = {name: entries(team, name) for name in CARRIERS}
    again = run(file, out)
    assert [row["code"] for row in again.refusals] == ["trust.refused, agreement.revoked"]
    assert {name: entries(team, name) for name in CARRIERS} == before
    # What was answered before it stays, and can be verified.
    assert command("study", "verify", str(out), "--json")["valid"]
    team.verify_logs()


def entries(team: Team, name: str) -> int:
    return int(command("audit", "verify", "--home", str(team.folder.home(name)), "--json")["entries"])


def wish(team: Team, day: int) -> tuple[Query, Agreement]:
    """A question that was not asked before."""
    asked = {"measure": "presence", "first_day": FIRST_DAY + timedelta(days=day), "filters": {"hour": ["15"]}, "rho": RHO}
    query, kept = complete(QueryFile.model_validate(asked), kept_agreements(team.home(AGENCY)))
    return query, kept.agreement


@asynccontextmanager
async def node_with_clock(home: Home, off_s: float) -> AsyncIterator[MemberNode]:
    """A member's node in this process, over TLS to the same hub, whose clock is off."""
    with open_member(home, now=lambda: datetime.now(UTC) + timedelta(seconds=off_s)) as member:
        serving = asyncio.create_task(member.node.run())
        try:
            await asyncio.wait_for(member.node.connected.wait(), START_S)
            yield member
        finally:
            serving.cancel()
            await asyncio.gather(serving, return_exceptions=True)


def test_an_asker_whose_clock_is_wrong_is_told_so_and_nobody_pays(team: Team) -> None:
    team.everyone()
    team.kill(AGENCY, signal.SIGTERM)

    async def asks(off_s: float, day: int) -> tuple[str, OneteamError | None]:
        query, agreement = wish(team, day)
        async with node_with_clock(team.home(AGENCY), off_s) as member:
            try:
                release, _ = await ask(member, query, agreement)
            except OneteamError as err:
                return content_id(query), err
        assert set(release.contributors) == set(CARRIERS)
        return content_id(query), None

    for day, off_s in enumerate((0.8 * TOLERATED_S, -0.8 * TOLERATED_S)):
        query, none = asyncio.run(asks(off_s, day))
        assert none is None, none
        assert [team.charges(name, [query]) for name in CARRIERS] == [{query: [CHARGE]}] * 3
    for day, off_s in enumerate((1.2 * TOLERATED_S, 600.0, 7200.0, -1.2 * TOLERATED_S, -600.0, -7200.0), start=2):
        query, err = asyncio.run(asks(off_s, day))
        assert isinstance(err, ReplayError), err
        assert err.code == "trust.replay"
        assert "clock" in err.message
        assert ("future" if off_s > 0 else "behind the hub's clock") in err.message
        assert [team.charges(name, [query]) for name in CARRIERS] == [{query: []}] * 3


def test_a_carrier_whose_clock_is_wrong_is_named_and_nobody_pays(team: Team) -> None:
    team.everyone()
    team.kill("bluewave", signal.SIGTERM)

    async def asked(off_s: float, day: int) -> tuple[str, OneteamError | None]:
        query, _ = wish(team, day)
        async with node_with_clock(team.home("bluewave"), off_s) as member:
            if abs(off_s) < TOLERATED_S:
                await asyncio.wait_for(member.run_until_level(), START_S)
            desk = await running_desk(team.home(AGENCY))
            assert desk is not None
            try:
                await desk.do("query", {"query": query.model_dump(mode="json"), "present_within_s": 0.0})
            except OneteamError as err:
                return content_id(query), err
        return content_id(query), None

    query, none = asyncio.run(asked(-0.8 * TOLERATED_S, 8))
    assert none is None, none
    assert [team.charges(name, [query]) for name in CARRIERS] == [{query: [CHARGE]}] * 3
    for day, off_s in enumerate((600.0, -7200.0), start=10):
        query, err = asyncio.run(asked(off_s, day))
        assert isinstance(err, ReplayError), err
        assert "bluewave: " in err.message
        assert ("ahead of this member's clock" if off_s > 0 else "the receiver's clock says") in err.message
        assert [team.charges(name, [query]) for name in CARRIERS] == [{query: []}] * 3
    team.verify_logs()
