"""A carrier, the hub or the agency's own node is killed while a study asks, and comes back."""

from __future__ import annotations

import shutil
from pathlib import Path

from oneteam.app.demo.settings import CARRIERS
from oneteam.app.study.run import Ran
from tests.e2e.conftest import CHARGE, Blow, Team, listed, presence, read, run


def asked(out: Path) -> list[str]:
    """Ids of the questions that have a Release, in the order of the study file."""
    return [row["query"] for row in read(out / "provenance.json")["releases"]]


def complete(ran: Ran, out: Path, count: int = 2) -> list[str]:
    """Nothing is missing: ids of the questions."""
    assert ran.refusals == []
    assert ran.failed == {}
    assert read(out / "provenance.json")["refusals"] == []
    queries = asked(out)
    assert len(set(queries)) == count
    return queries


def paid(team: Team, queries: list[str]) -> list[dict[str, list[int]]]:
    """What each carrier was charged for each question."""
    return [team.charges(name, queries) for name in CARRIERS]


def test_a_killed_carrier_is_waited_for_and_nothing_is_paid_twice(team: Team, tmp_path: Path) -> None:
    team.everyone()
    file, out = team.study("waiting", presence(hour=8)), tmp_path / "out"

    def strike() -> None:
        team.kill("bluewave")
        team.launch("bluewave")

    ran = run(file, out, Blow(2, "asked", strike))
    queries = complete(ran, out)
    assert paid(team, queries) == [{query: [CHARGE] for query in queries}] * 3
    team.verify_logs()
    # An undisturbed study with the same Releases says the same, to the byte.
    calm = tmp_path / "calm"
    shutil.copytree(out / "releases", calm / "releases")
    (calm / ".lock").touch()
    again = run(file, calm)
    assert (again.new_releases, again.rho_spent_now) == (0, 0.0)
    assert listed(calm) == listed(out)


def test_without_a_carrier_the_study_says_so_and_is_resumed(team: Team, tmp_path: Path) -> None:
    team.everyone()
    file, out = team.study("away", presence(hour=9), wait_s=0), tmp_path / "out"
    first = run(file, out, Blow(2, "asked", lambda: team.kill("bluewave")))
    assert [row["code"] for row in first.refusals] == ["wire.unreachable"]
    assert all("bluewave: no answer" in row["message"] and "nothing was paid" in row["message"] for row in first.refusals)
    assert first.states["report"] == "done"
    assert first.summary["refusals"] == 1
    assert "wire.unreachable" in (out / "provenance.json").read_text()
    kept = listed(out, "releases")
    assert len(asked(out)) == 1
    team.everyone()
    second = run(file, out)
    queries = complete(second, out)
    assert second.new_releases == 1
    # Nobody has paid for what could not be answered, and what was there is as it was.
    assert paid(team, queries) == [{query: [CHARGE] for query in queries}] * 3
    first_release = f"releases/{queries[0]}.json"
    assert listed(out)[first_release] == kept[first_release]
    team.verify_logs()


def resumed(team: Team, file: Path, out: Path, blow: Blow, hit: int, count: int = 2) -> None:
    """A blow in the middle of a round: the study recovers, or says so and goes on when it is run again; nothing finished is paid twice.

    Args:
        team: the alliance.
        file: of the study.
        out: of the study.
        blow: it.
        hit: number of the question that is asked then; those that opened its round may have paid for it in vain.
        count: how many questions there are.
    """
    ran = run(file, out, blow)
    assert blow.struck
    assert {row["code"] for row in ran.refusals} <= {"wire.unreachable", "wire.round"}
    assert ran.states["report"] == "done"
    before = listed(out, "releases")
    team.everyone()
    again = run(file, out) if ran.refusals else ran
    queries = complete(again, out, count)
    after = listed(out, "releases")
    assert {name for name in before if before[name] != after[name]} <= {"releases/refusals.json"}
    for charges in paid(team, queries):
        for number, query in enumerate(queries, start=1):
            assert charges[query] in ([[CHARGE], [CHARGE, CHARGE]] if number == hit and ran.refusals else [[CHARGE]])
    team.verify_logs()


def test_a_carrier_is_killed_in_the_middle_of_a_round(team: Team, tmp_path: Path) -> None:
    team.everyone()

    def strike() -> None:
        team.kill("bluewave")
        team.launch("bluewave")

    resumed(team, team.study("round", presence(hour=10)), tmp_path / "out", Blow(2, "round.open", strike), hit=2)


def test_the_hub_is_killed_between_questions_and_in_the_middle_of_a_round(team: Team, tmp_path: Path) -> None:
    team.everyone()
    file, out = team.study("hub", presence(hour=11, days=3), wait_s=0), tmp_path / "out"

    def strike() -> None:
        team.kill("hub")
        team.launch("hub")

    first = run(file, out, Blow(3, "asked", lambda: team.kill("hub")))
    assert [row["code"] for row in first.refusals] == ["wire.unreachable"]
    assert f"the hub {team.url} does not answer" in first.refusals[0]["message"]
    assert first.states["report"] == "done"
    (out / "releases" / f"{asked(out)[1]}.json").unlink()
    team.everyone()
    # Nodes that had no hub look for it every ten seconds: now the study waits for them. What it has lost is in the agency's ledger; the
    # third question is new, and the hub goes again.
    resumed(team, team.study("hub", presence(hour=11, days=3)), out, Blow(2, "round.open", strike), hit=3, count=3)


def test_the_study_is_killed_while_it_asks(team: Team, tmp_path: Path) -> None:
    team.everyone()
    file, out = team.study("study", presence(hour=16, days=3)), tmp_path / "out"
    team.running["study"] = team.processes.start("study", "study", "run", file, "--out", out, "--json")
    team.wait(lambda: any(p.stem != "refusals" for p in out.glob("releases/*.json")))
    team.kill("study")
    before = listed(out, "releases")
    assert not (out / "summary.json").exists(), "it ended before it was killed"
    queries = complete(run(file, out), out, count=3)
    # The node went on with the round that the study had asked for, and kept its Release.
    assert paid(team, queries) == [{query: [CHARGE] for query in queries}] * 3
    after = listed(out, "releases")
    assert {name for name in before if before[name] != after[name]} <= {"releases/refusals.json"}
    team.verify_logs()


def test_the_agencys_own_node_is_killed_in_the_middle_of_a_round(team: Team, tmp_path: Path) -> None:
    team.everyone()

    def strike() -> None:
        team.kill("agency")
        team.launch("agency")

    resumed(team, team.study("own", presence(hour=12)), tmp_path / "out", Blow(2, "round.open", strike), hit=2)
