"""A party revokes while a study asks; a member's clock is wrong."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from oneteam.app.agreeing import kept_agreements
from oneteam.app.asking import QueryFile, ask, complete
from oneteam.app.demo.members import NAMES
from oneteam.app.demo.settings import AGENCY, CARRIERS
from oneteam.app.member_node import open_member
from oneteam.app.officer import revoke
from oneteam.app.oversight import Oversight
from oneteam.core.errors import ReplayError
from tests.e2e.conftest import CHARGE, FIRST_DAY, KNOWN_ON, RHO, Team, command, elsewhere, once, presence, read, run

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

    ran = run(file, out, once(2, "asked", lambda: elsewhere(officer)))
    # The first week was answered, the second was refused, and the other Agreement goes on.
    assert [row["code"] for row in ran.refusals] == ["trust.refused, agreement.revoked"]
    assert [row["measure"] for row in ran.refusals] == ["arrivals"]
    for name in (*CARRIERS, "university"):
        assert name in ran.refusals[0]["message"], "it holds everywhere at once"
    told = read(out / "provenance.json")
    assert [row["measure"] for row in told["releases"]] == ["arrivals", "presence"]
    assert [row["code"] for row in told["refusals"]] == ["trust.refused, agreement.revoked"]
    assert (ran.states["report"], ran.failed) == ("done", {})
    assert read(out / "summary.json")["refusals"] == 1
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


@pytest.fixture
def agency_stopped(team: Team) -> Team:
    """Everyone but the agency runs, so that a node of this process can take its place."""
    team.everyone()
    team.kill(AGENCY)
    return team


async def asks(team: Team, off: timedelta, day: int) -> dict[str, list[int]]:
    """The agency asks with a clock that is off; what skylark was charged."""
    home = team.home(AGENCY)
    wish = QueryFile.model_validate({"measure": "presence", "first_day": FIRST_DAY + timedelta(days=day), "filters": {"hour": ["15"]}, "rho": RHO})
    query, kept = complete(wish, kept_agreements(home))
    with open_member(home, now=lambda: datetime.now(UTC) + off, gossip_s=0) as member:
        serving = asyncio.create_task(member.node.run())
        try:
            await asyncio.wait_for(member.node.connected.wait(), 30)
            release, _ = await ask(member, query, kept.agreement)
        finally:
            serving.cancel()
            await asyncio.gather(serving, return_exceptions=True)
    assert release.contributors == CARRIERS_IN_ORDER
    return team.charges("skylark", [release.query and member.node.me])


CARRIERS_IN_ORDER = tuple(CARRIERS)
NAMES_OF_ALL = tuple(NAMES)
assert CHARGE


@pytest.mark.parametrize("off_s", [100, -100, 600, -600, 7200, -7200])
def test_the_askers_clock(agency_stopped: Team, off_s: int) -> None:
    import time
    t = time.time()
    try:
        asyncio.run(asks(agency_stopped, timedelta(seconds=off_s), day=abs(off_s) % 13))
        print(off_s, "ok", time.time() - t)
    except Exception as err:
        print(off_s, type(err), err, getattr(err, "hint", ""), time.time() - t)
