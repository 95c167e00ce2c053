"""The ledger: never more than agreed, never given back, and silent after a backup until nothing is forgotten."""

from __future__ import annotations

import json
import shutil
import sqlite3
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oneteam.core.errors import LogError, NothingFoundError, OneteamError, RefusedError, ReplayError, WrongTypeError
from oneteam.core.keys import Keys
from oneteam.privacy.ledger import Ledger, nano_rho
from oneteam.store.audit_entry import AuditEntry
from oneteam.store.audit_log import AuditLog, origin_of
from oneteam.store.registry import Registry

NOW = datetime(2026, 3, 1, tzinfo=UTC)
KT, SKT = Keys.generate(), Keys.generate()
A, B, QUERY = "a" * 64, "b" * 64, "c" * 64


class Member:
    """Registry, ledger and log, and a request as the gate treats it."""

    def __init__(self, path: Path, keys: Keys = KT, name: str = "kt") -> None:
        self.registry = Registry.open(path)
        self.ledger = Ledger(self.registry)
        self.log = AuditLog(self.registry, origin_of(name), keys, now=lambda: NOW)

    def charge(self, agreement: str = A, rho: float = 0.02, total: float = 0.1, cap: float | None = 1.0, **more) -> int:
        asked = {"dataset": "events", "query_id": QUERY, "recipient": "agency", "round_id": None} | more
        with self.registry.transaction() as db:
            cost = self.ledger.reserve(db, agreement=agreement, rho=rho, agreement_total=total, dataset_cap=cap, **asked)
            self.log.append(
                db,
                AuditEntry(
                    at=NOW,
                    kind="permit",
                    agreement=agreement,
                    dataset=asked["dataset"],
                    query=asked["query_id"],
                    recipient=asked["recipient"],
                    nano_rho=cost,
                    round=asked["round_id"],
                ),
            )
        return cost

    def export(self) -> list[bytes]:
        return [body for _, body in self.log.bodies()]


@pytest.fixture
def open_member():
    opened = []

    def build(path: Path, *arguments) -> Member:
        opened.append(Member(path, *arguments))
        return opened[-1]

    yield build
    for member in opened:
        member.registry.close()


@pytest.fixture
def member(open_member, tmp_path: Path) -> Member:
    return open_member(tmp_path / "kt" / "registry.db")


def reasons(member: Member, **asked) -> tuple[str, ...]:
    with pytest.raises(RefusedError) as caught:
        member.charge(**asked)
    return caught.value.reasons


def test_to_the_last_unit_and_no_further(member: Member) -> None:
    """Five times 0.02 is exactly 0.1, which binary fractions would deny."""
    assert [member.charge() for _ in range(5)] == [20_000_000] * 5
    assert reasons(member, rho=1e-9) == ("budget.agreement",)
    assert member.ledger.spent(agreement=A) == member.ledger.spent(dataset="events") == member.ledger.spent() == 100_000_000
    assert member.ledger.check_against(member.log) == 5


def test_the_owner_s_cap_holds_over_all_agreements(member: Member) -> None:
    member.charge(A, rho=0.06, cap=0.1)
    member.charge(B, rho=0.04, cap=0.1, recipient="other")
    assert reasons(member, agreement=B, rho=0.01, cap=0.1) == ("budget.dataset",)
    assert reasons(member, agreement=A, rho=0.05, cap=0.1) == ("budget.agreement", "budget.dataset")
    member.charge(B, rho=0.01, cap=0.1, dataset="records")
    member.charge(B, rho=0.01, cap=None)
    assert member.ledger.spent(agreement=B, dataset="records") == 10_000_000
    assert member.ledger.spent(agreement="d" * 64) == member.ledger.spent(agreement=A, dataset="records") == 0
    assert (member.ledger.spent(agreement=B), member.ledger.spent(dataset="events")) == (60_000_000, 110_000_000)


def test_a_refusal_changes_nothing(member: Member) -> None:
    member.charge(rho=0.09)
    before = list(member.registry.path.parent.iterdir())
    assert reasons(member) == ("budget.agreement",)
    assert member.ledger.spent() == 90_000_000
    assert member.log.size == 1
    assert list(member.registry.path.parent.iterdir()) == before


def test_a_round_is_charged_once(member: Member) -> None:
    member.charge(round_id="1" * 32)
    with pytest.raises(ReplayError, match="never used again"):
        member.charge(round_id="1" * 32)
    member.charge(round_id="2" * 32)
    assert member.ledger.spent() == 40_000_000


def test_a_helper_s_round_costs_nothing_and_still_comes_once(member: Member) -> None:
    assert member.charge(rho=0.0, round_id="1" * 32) == 0
    with pytest.raises(ReplayError):
        member.charge(rho=0.0, round_id="1" * 32)


def test_an_error_after_the_charge_takes_it_back_with_everything_else(member: Member) -> None:
    """What happens before the commit never happened: nothing was computed, and no entry says so."""

    def fails() -> None:
        with member.registry.transaction() as db:
            member.ledger.reserve(
                db, agreement=A, dataset="events", query_id=QUERY, recipient="x", rho=0.1, agreement_total=0.1, dataset_cap=1
            )
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fails()
    assert member.ledger.spent() == 0


def test_sqlite_is_told_to_sync_every_commit(member: Member) -> None:
    """A power cut loses what a mere kill does not; this is all that stands against it."""
    with member.registry.transaction() as db:
        assert db.execute("PRAGMA synchronous").fetchone() == (2,)


@pytest.mark.parametrize("bad", [-0.01, float("nan"), float("inf"), 1e10, "x"])
def test_costs_that_are_none(member: Member, bad) -> None:
    with pytest.raises(WrongTypeError):
        member.charge(rho=bad)
    assert member.ledger.spent() == 0


@given(st.floats(0, 100), st.floats(0, 100))
def test_costs_round_up_and_totals_down(cost: float, total: float) -> None:
    charged, allowed = nano_rho(cost), nano_rho(total, up=False)
    exact = Fraction(Decimal(repr(cost))) * 10**9
    assert exact <= charged < exact + 1
    assert allowed <= Fraction(Decimal(repr(total))) * 10**9
    if charged <= allowed:
        assert cost <= total


@settings(max_examples=25)
@given(st.lists(st.tuples(st.sampled_from([A, B]), st.floats(1e-9, 0.1), st.sampled_from(["x", "y"])), max_size=25))
def test_no_order_of_requests_overspends(tmp_path_factory: pytest.TempPathFactory, asked: list[tuple[str, float, str]]) -> None:
    member = Member(tmp_path_factory.mktemp("member") / "registry.db")
    try:
        exact = {A: Decimal(0), B: Decimal(0), "x": Decimal(0), "y": Decimal(0)}
        for agreement, rho, dataset in asked:
            try:
                member.charge(agreement, rho=rho, total=0.15, cap=0.2, dataset=dataset)
            except RefusedError:
                fits = exact[agreement] + Decimal(repr(rho)) < Decimal("0.14999") and exact[dataset] + Decimal(repr(rho)) < Decimal(
                    "0.19999"
                )
                assert not fits
            else:
                exact[agreement] += Decimal(repr(rho))
                exact[dataset] += Decimal(repr(rho))
        assert max(exact[A], exact[B]) <= Decimal("0.15")
        assert max(exact["x"], exact["y"]) <= Decimal("0.2")
        member.ledger.check_against(member.log)
    finally:
        member.registry.close()


def test_thirty_two_at_once(member: Member) -> None:
    def request(_: int) -> bool:
        try:
            member.charge(total=0.2)
        except RefusedError:
            return False
        return True

    with ThreadPoolExecutor(32) as pool:
        permitted = sum(pool.map(request, range(64)))
    assert permitted == 10
    assert member.ledger.spent(agreement=A) == 200_000_000


def test_nonces(member: Member) -> None:
    def remember(nonce: str, at: datetime) -> None:
        with member.registry.transaction() as db:
            member.ledger.remember_nonce(db, nonce, at)

    remember("1" * 32, NOW)
    with pytest.raises(ReplayError):
        remember("1" * 32, NOW + timedelta(days=3))
    for i in range(20):
        remember(f"{i + 2:032x}", NOW + timedelta(hours=i))
        with pytest.raises(ReplayError):
            remember("1" * 32, NOW)
    for i in range(20):
        remember(f"{i + 100:032x}", NOW + timedelta(days=30))
    with member.registry.read() as db:
        assert db.execute("SELECT count(*) FROM ledger_nonce").fetchone() == (20,), "old ones are forgotten in time"


def test_the_first_release_is_kept(member: Member) -> None:
    assert member.ledger.kept_release(QUERY, "agency") is None
    with member.registry.transaction() as db:
        assert member.ledger.keep_release(db, QUERY, "agency", b"first") == b"first"
        assert member.ledger.keep_release(db, QUERY, "agency", b"second") == b"first"
    assert member.ledger.kept_release(QUERY, "agency") == b"first"
    assert member.ledger.kept_release(QUERY, "other") is None


@pytest.mark.parametrize(
    "script",
    [
        "DELETE FROM ledger_charge WHERE id = 2",
        "UPDATE ledger_charge SET nano_rho = 1 WHERE id = 2",
        "UPDATE ledger_charge SET agreement = 'x' WHERE id = 2",
        "UPDATE ledger_spent SET nano_rho = 0 WHERE scope = 'agreement'",
        "UPDATE ledger_spent SET nano_rho = 0 WHERE scope = 'dataset'",
        "DELETE FROM ledger_spent",
        "INSERT INTO ledger_charge VALUES (99, 'x', 'events', 'x', 'x', 5, NULL)",
    ],
)
def test_a_ledger_that_was_changed_does_not_fit_its_log(member: Member, script: str) -> None:
    for _ in range(3):
        member.charge()
    assert member.ledger.check_against(member.log) == 3
    with member.registry.transaction() as db:
        db.execute(script)
    with pytest.raises(LogError, match="ledger"):
        member.ledger.check_against(member.log)


def test_charges_cannot_be_negative(member: Member) -> None:
    member.charge()
    for table in ("ledger_charge", "ledger_spent"):
        with pytest.raises(sqlite3.IntegrityError), member.registry.transaction() as db:
            db.execute(f"UPDATE {table} SET nano_rho = -5")


class Restored:
    """A member that was brought back from a backup of after three charges, when five had been made and witnessed."""

    def __init__(self, open_member, tmp_path: Path) -> None:
        first = open_member(tmp_path / "kt" / "registry.db")
        for _ in range(3):
            first.charge()
        first.registry.close()
        backup = tmp_path / "restored" / "registry.db"
        backup.parent.mkdir()
        shutil.copy(first.registry.path, backup)
        first.charge(round_id="7" * 32)
        first.charge(B, query_id="e" * 64)
        other = open_member(tmp_path / "skt" / "registry.db", SKT, "skt")
        other.log.witness(first.log.checkpoint(), None, KT.public)
        self.held = other.log.held("oneteam.log/kt").note
        self.export = first.export()
        self.member = open_member(backup)


@pytest.fixture
def restored(open_member, tmp_path: Path) -> Restored:
    return Restored(open_member, tmp_path)


def test_a_fresh_member_is_level(member: Member) -> None:
    member.ledger.doubt("the node has just started")
    with pytest.raises(LogError, match="just started"):
        member.charge()
    member.ledger.level_with(member.log, [])
    assert member.ledger.unlevel == ""
    member.charge()
    member.ledger.level_with(member.log, [member.log.checkpoint()])
    member.charge()


def test_a_restored_ledger_refuses_also_after_a_restart(restored: Restored) -> None:
    member = restored.member
    with pytest.raises(LogError, match="others hold a checkpoint of 5"):
        member.ledger.level_with(member.log, [restored.held])
    for _ in range(2):
        with pytest.raises(LogError, match="the ledger refuses"):
            member.charge()
        # nobody who holds the checkpoint answers: what was seen once is not forgotten
        with pytest.raises(LogError, match="others hold a checkpoint of 5"):
            Ledger(member.registry).level_with(member.log, [])
    assert member.ledger.spent() == 60_000_000


def test_a_restored_member_that_went_on_writing_refuses_too(restored: Restored) -> None:
    member = restored.member
    for i in range(4):
        member.charge(B, rho=0.001, query_id=f"{i:064x}")
    with pytest.raises(LogError, match="one of the first 5"):
        member.ledger.level_with(member.log, [restored.held])
    with pytest.raises(LogError):
        member.charge()
    done = member.ledger.recover(member.log, [restored.held], NOW, restored.export)
    assert (done.entries, done.charges) == (2, 2)
    assert member.ledger.spent(agreement=A) == 80_000_000
    assert member.ledger.spent(agreement=B) == 24_000_000
    member.ledger.check_against(member.log)
    member.log.verify([restored.held])
    member.ledger.level_with(member.log, [restored.held])


def test_forgeries_stop_no_node(member: Member) -> None:
    member.charge()
    forged = member.log.checkpoint().replace("\n1\n", "\n1000000\n")
    member.ledger.level_with(member.log, [forged, "nonsense"])
    member.charge()


def test_recovery_from_an_export(restored: Restored) -> None:
    member = restored.member
    for entries, witnessed, error in (
        (restored.export[:4], [restored.held], LogError),
        ([*restored.export[:3], restored.export[4], restored.export[3]], [restored.held], LogError),
        (restored.export, [], NothingFoundError),
        ([*restored.export[:4], b"junk"], [restored.held], OneteamError),
    ):
        with pytest.raises(error):
            member.ledger.recover(member.log, witnessed, NOW, entries)
        assert (member.log.size, member.ledger.spent()) == (3, 60_000_000), "nothing was changed"
    done = member.ledger.recover(member.log, [restored.held], NOW, restored.export)
    assert (done.entries, done.charges, done.given_up, done.origin) == (2, 2, False, "oneteam.log/kt")
    member.ledger.level_with(member.log, [restored.held])
    assert (member.ledger.spent(agreement=A), member.ledger.spent(agreement=B)) == (80_000_000, 20_000_000)
    with pytest.raises(ReplayError):
        member.charge(round_id="7" * 32)
    member.charge()
    assert reasons(member) == ("budget.agreement",)
    member.log.verify([restored.held])
    assert next(member.log.entries(5))[1].kind == "recover"
    assert member.ledger.check_against(member.log) == 6


def test_giving_up_what_is_left(restored: Restored) -> None:
    member = restored.member
    with pytest.raises(LogError):
        member.ledger.level_with(member.log, [restored.held])
    done = member.ledger.recover(member.log, [restored.held], NOW)
    assert (done.given_up, done.origin) == (True, "oneteam.log/kt/restart-2")
    member.ledger.level_with(member.log, [restored.held])
    assert reasons(member) == ("budget.agreement", "budget.dataset")
    assert reasons(member, agreement=B, cap=None) == ("budget.agreement", "budget.dataset")
    new = "d" * 64
    member.ledger.admit(agreement=new)
    assert reasons(member, agreement=new) == ("budget.dataset",)
    member.ledger.admit(dataset="events")
    member.charge(new, cap=0.081)
    assert reasons(member, agreement=new, cap=0.081) == ("budget.dataset",), "what is known to be spent stays spent"
    member.log.verify()
    member.ledger.check_against(member.log)


def test_a_backup_from_before_giving_up_is_not_level(restored: Restored, open_member, tmp_path: Path) -> None:
    member = restored.member
    member.registry.close()
    older = tmp_path / "older" / "registry.db"
    older.parent.mkdir()
    shutil.copy(member.registry.path, older)
    member.ledger.recover(member.log, [restored.held], NOW)
    anew = member.log.checkpoint()
    again = open_member(older)
    with pytest.raises(LogError):
        again.ledger.level_with(again.log, [anew])


def test_killed_two_hundred_times() -> None:
    """Real processes, 32 requesters, SIGKILL at random moments; `bench/ledger_kill.py` runs 10,000."""
    script = Path(__file__).parents[2] / "bench" / "ledger_kill.py"
    done = subprocess.run([sys.executable, str(script), "--trials", "200"], capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert (found["trials"], found["requesters"]) == (200, 32)
    assert {found[name] for name in ("overspends", "lost_charges", "unlogged_charges", "budget_lost")} == {0}
    assert found["killed_at_work"] > 50, "most kills must hit a process at work"
    assert found["charges_reported"] > 200
