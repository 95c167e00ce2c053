"""The order of things at the gate: decision and charge on disk, then rows, then noise, then the log, then it leaves."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats
from tests.privacy.gates import Box, another_week, asked, plan_for, rows, single
from tests.privacy.parties import KEYS, NOW, a_query, an_agreement, document, lookup

from oneteam.core.canonical import canonical, content_id
from oneteam.core.errors import (
    BadSignatureError,
    DiskFullError,
    EngineError,
    OneteamError,
    RefusedError,
    ReplayError,
    RoundError,
    WrongTypeError,
)
from oneteam.core.model import Agreement, Release
from oneteam.privacy.agreements import Revocation, sign_revocation
from oneteam.privacy.combine import joint_release, level_values, read_release, verify_release
from oneteam.privacy.contributions import Contributions, bounded_sum
from oneteam.privacy.mechanism import plan_of, sampling_secret
from oneteam.privacy.policy import LocalLimits
from oneteam.privacy.requests import open_request


@pytest.fixture
def agreement() -> Agreement:
    # A small rho, so that shares' noise is large enough to add up.
    return an_agreement(rho_total=0.05)


@pytest.fixture
def skylark(tmp_path: Path, agreement: Agreement) -> Iterator[Box]:
    box = Box("skylark", tmp_path, agreement)
    yield box
    box.close()


@pytest.fixture
def boxes(tmp_path: Path, agreement: Agreement) -> Iterator[dict[str, Box]]:
    found = {name: Box(name, tmp_path, agreement) for name in agreement.participants}
    yield found
    for box in found.values():
        box.close()


def run_round(boxes: dict[str, Box], agreement: Agreement, *, without: tuple[str, ...] = (), **changes: Any) -> Release:
    text = asked(a_query(agreement, **changes), plan=plan_for(agreement))
    request = open_request(text, lookup, NOW)
    assert request.round is not None
    openings = [box.gate.open_round(text) for box in boxes.values()]
    present = [box for name, box in boxes.items() if name not in without]
    shares = [box.gate.share(request.round.round_id, openings) for box in present]
    headers = [share.header for share in shares]
    votes = [box.gate.agree(request.round.round_id, headers) for box in present] if without else []
    reveals = [box.gate.reveal(request.round.round_id, headers, votes) for box in present]
    return joint_release(request, agreement, keys=KEYS["agency"], lookup=lookup, openings=openings, shares=shares, reveals=reveals, now=NOW)


def test_a_release_says_what_it_cost_and_is_signed(skylark: Box, agreement: Agreement) -> None:
    release = skylark.gate.release(asked(single(agreement)))
    verify_release(release, lookup)
    assert release.kind == "dp"
    assert release.contributors == ("skylark",)
    assert release.rho == pytest.approx(0.02)
    assert 0.9 < release.epsilon < 1.0
    assert sum(level.rho for level in release.levels) <= 0.02 * (1 + 1e-12)
    assert [len(level_values(level)) for level in release.levels] == [9, 4]
    assert release.versions["opendp"]
    assert read_release(canonical(release), lookup) == release


def test_the_decision_and_the_charge_stand_before_rows_are_touched(tmp_path: Path, agreement: Agreement) -> None:
    seen = []

    def source(member: str, query: Any, of: Agreement) -> Contributions:
        with sqlite3.connect(tmp_path / "skylark.db") as other:
            seen.append(other.execute("SELECT sum(nano_rho) FROM ledger_charge").fetchone()[0])
        seen.append([entry.kind for entry in box.entries()])
        return rows(member, query, of)

    box = Box("skylark", tmp_path, agreement, source=source)
    release = box.gate.release(asked(single(agreement)))
    assert seen == [20_000_000, ["permit"]]
    permit, left = box.entries()
    assert (permit.kind, permit.nano_rho, permit.query) == ("permit", 20_000_000, content_id(release.query))
    assert (left.kind, left.nano_rho, left.release) == ("release", 0, content_id(release))
    assert box.ledger.check_against(box.log) == 1
    box.close()


def test_asked_again_the_stored_release_comes_and_costs_nothing(skylark: Box, agreement: Agreement) -> None:
    first = skylark.gate.release(asked(single(agreement)))
    second = skylark.gate.release(asked(single(agreement)))
    assert first == second
    assert skylark.asked == 1
    assert skylark.ledger.spent() == 20_000_000
    assert [entry.kind for entry in skylark.entries()] == ["permit", "release", "permit"]


def test_a_refusal_lists_every_reason_is_logged_and_costs_nothing(skylark: Box, agreement: Agreement) -> None:
    with pytest.raises(RefusedError) as caught:
        skylark.gate.release(asked(single(agreement, purpose="dpv:Marketing", rho=1.0), asker="horizon"))
    assert {"purpose", "rho", "requester.stranger"} <= set(caught.value.reasons)
    (entry,) = skylark.entries()
    assert (entry.kind, entry.requester, entry.reasons) == ("refuse", "horizon", caught.value.reasons)
    assert skylark.asked == 0
    assert skylark.ledger.spent() == 0


def test_the_budget_ends(skylark: Box, agreement: Agreement) -> None:
    query = single(agreement)
    for week in range(2):
        skylark.gate.release(asked(another_week(query, week)))
    with pytest.raises(RefusedError) as caught:
        skylark.gate.release(asked(another_week(query, 2)))
    assert caught.value.reasons == ("budget.agreement",)
    assert skylark.asked == 2
    assert skylark.entries()[-1].reasons == ("budget.agreement",)


def test_the_owners_own_cap_holds_over_all_agreements(tmp_path: Path, agreement: Agreement) -> None:
    box = Box("skylark", tmp_path, agreement, limits=LocalLimits(dataset_rho_cap=0.01))
    with pytest.raises(RefusedError) as caught:
        box.gate.release(asked(single(agreement)))
    assert caught.value.reasons == ("budget.dataset",)
    box.close()


def test_a_request_is_good_once_and_not_for_long(skylark: Box, agreement: Agreement) -> None:
    text = asked(single(agreement))
    skylark.gate.release(text)
    with pytest.raises(ReplayError):
        skylark.gate.release(text)
    late = asked(another_week(single(agreement), 1))
    skylark.clock.forward(minutes=3)
    with pytest.raises(ReplayError):
        skylark.gate.release(late)
    assert [entry.kind for entry in skylark.entries()][-2:] == ["refuse", "refuse"]


def test_a_changed_request_is_refused_and_logged(skylark: Box, agreement: Agreement) -> None:
    head, _, signature = asked(single(agreement)).split(".")
    other = asked(single(agreement, rho=0.01)).split(".")[1]
    with pytest.raises(BadSignatureError):
        skylark.gate.release(f"{head}.{other}.{signature}")
    assert skylark.entries()[0].reasons == ("trust.bad_signature",)


def test_a_revoked_agreement_is_refused(skylark: Box, agreement: Agreement) -> None:
    revocation = Revocation(agreement=content_id(agreement), member="horizon", reason="enough", at=NOW)
    skylark.book.revoke(sign_revocation(revocation, KEYS["horizon"]))
    with pytest.raises(RefusedError) as caught:
        skylark.gate.release(asked(single(agreement)))
    assert "agreement.revoked" in caught.value.reasons


def test_what_goes_wrong_with_rows_is_told_to_nobody(tmp_path: Path, agreement: Agreement) -> None:
    def broken(*_: Any) -> Contributions:
        raise WrongTypeError("subscriber 4711 has no zone")

    box = Box("skylark", tmp_path, agreement, source=broken)
    with pytest.raises(EngineError) as caught:
        box.gate.release(asked(single(agreement)))
    assert "4711" not in caught.value.message
    assert "4711" not in str(caught.value.as_dict())
    assert "4711" in caught.value.detail
    box.close()


def test_a_joint_release_is_the_sum_with_the_noise_that_was_agreed(boxes: dict[str, Box], agreement: Agreement) -> None:
    release = run_round(boxes, agreement)
    verify_release(release, lookup)
    assert release.contributors == agreement.contributors
    assert [receipt.member for receipt in release.receipts] == [*agreement.participants, "agency"]
    plan = plan_of(release.query, agreement)
    secret = sampling_secret(bytes(range(32)), plan.query_id)
    truth = sum(
        bounded_sum(rows(name, release.query, agreement), plan.domain, plan.measure.max_keys, 1, secret) for name in agreement.contributors
    )
    for level, budget in zip(release.levels, plan.budgets, strict=True):
        # Four shares, each with sigma / sqrt(3 - 1).
        assert level.sigma == pytest.approx(budget.sigma * np.sqrt(2))
        off = level_values(level) - plan.domain.coarsen(budget.level, truth).reshape(-1)
        assert np.abs(off).max() < 6 * level.sigma
    assert boxes["skylark"].ledger.spent() == 20_000_000
    assert boxes["campus"].ledger.spent() == 0
    assert boxes["campus"].asked == 0
    assert [entry.kind for entry in boxes["campus"].entries()] == ["permit", "release", "release"]


def test_the_noise_of_joint_releases_is_the_curators_times_n_by_s_less_t(tmp_path: Path) -> None:
    """Over many rounds of real gates without rows; with half the noise this fails."""
    plenty = an_agreement(rho_total=10.0)
    found = {
        name: Box(name, tmp_path, plenty, source=lambda *_: Contributions.empty(("origin", "destination"))) for name in plenty.participants
    }
    drawn = []
    for _ in range(30):
        release = run_round(found, plenty)
        drawn += [level_values(level) / (level.sigma / np.sqrt(2)) for level in release.levels]
    for box in found.values():
        box.close()
    cells = np.concatenate(drawn)
    low, high = stats.chi2.ppf([1e-7, 1 - 1e-7], len(cells)) / len(cells)
    assert low < cells.var() / 2 < high
    assert not low < (cells / 2).var() / 2 < high


def test_nothing_leaves_that_is_not_in_the_log(boxes: dict[str, Box], agreement: Agreement, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = plan_for(agreement)
    text = asked(a_query(agreement), plan=plan)
    openings = [box.gate.open_round(text) for box in boxes.values()]
    log = boxes["skylark"].log
    append = log.append

    def full(db: sqlite3.Connection, entry: Any) -> int:
        if entry.kind == "release":
            raise DiskFullError("no room")
        return append(db, entry)

    monkeypatch.setattr(log, "append", full)
    with pytest.raises(DiskFullError):
        boxes["skylark"].gate.share(plan.round_id, openings)
    with pytest.raises(DiskFullError):
        boxes["skylark"].gate.release(asked(single(agreement)))
    assert boxes["skylark"].ledger.kept_release(content_id(single(agreement)), "agency") is None
    # What could not be logged was paid for all the same.
    assert boxes["skylark"].ledger.spent() == 40_000_000


def test_many_at_once_pay_once_for_the_same_and_never_more_than_there_is(tmp_path: Path) -> None:
    agreement = an_agreement(rho_total=0.1)
    box = Box("skylark", tmp_path, agreement)
    with ThreadPoolExecutor(8) as pool:
        same = list(pool.map(box.gate.release, [asked(single(agreement)) for _ in range(8)]))
    assert all(release == same[0] for release in same)
    assert box.ledger.spent() == 20_000_000

    def refused(text: str) -> tuple[str, ...]:
        try:
            box.gate.open_round(text)
        except RefusedError as err:
            return err.reasons
        return ()

    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(refused, [asked(a_query(agreement), plan=plan_for(agreement)) for _ in range(32)]))
    assert answers.count(()) == 4
    assert set(answers) == {(), ("budget.agreement",)}
    assert box.ledger.spent() == 100_000_000
    assert box.ledger.check_against(box.log) == 5
    box.close()


def test_a_helper_may_drop_out_and_the_release_says_so(boxes: dict[str, Box], agreement: Agreement) -> None:
    release = run_round(boxes, agreement, without=("campus",))
    verify_release(release, lookup)
    assert [receipt.member for receipt in release.receipts] == [*agreement.contributors, "agency"]
    plan = plan_of(release.query, agreement)
    assert release.levels[0].sigma == pytest.approx(plan.budgets[0].sigma * np.sqrt(3 / 2))


def test_a_retry_draws_fresh_noise_and_pays_again(boxes: dict[str, Box], agreement: Agreement) -> None:
    first, second = run_round(boxes, agreement), run_round(boxes, agreement)
    assert first.levels[0].values != second.levels[0].values
    assert boxes["skylark"].ledger.spent() == 40_000_000


def test_a_round_id_is_never_used_again(boxes: dict[str, Box], agreement: Agreement) -> None:
    plan = plan_for(agreement)
    query = a_query(agreement)
    for name in ("skylark", "campus"):
        boxes[name].gate.open_round(asked(query, plan=plan))
        with pytest.raises(ReplayError):
            boxes[name].gate.open_round(asked(query, plan=plan))


def test_a_round_ends_in_time_and_is_forgotten_by_a_restart(boxes: dict[str, Box], agreement: Agreement) -> None:
    plan = plan_for(agreement)
    text = asked(a_query(agreement), plan=plan)
    openings = [box.gate.open_round(text) for box in boxes.values()]
    boxes["skylark"].clock.forward(minutes=6)
    with pytest.raises(RoundError, match="no such round"):
        boxes["skylark"].gate.share(plan.round_id, openings)
    with pytest.raises(RoundError, match="no such round"):
        boxes["horizon"].gate.reveal("0" * 32, [])


def test_shares_with_too_little_noise_are_refused_before_anything_is_charged(tmp_path: Path) -> None:
    body = document(rho_total=2.0)
    body["measures"][0]["rho_per_release"] = 2.0
    generous = Agreement.model_validate(body)
    box = Box("skylark", tmp_path, generous)
    with pytest.raises(RefusedError) as caught:
        box.gate.open_round(asked(a_query(generous, rho=2.0), plan=plan_for(generous)))
    assert caught.value.reasons == ("noise.share_sigma",)
    assert box.ledger.spent() == 0
    box.close()


def test_one_door_for_joint_and_one_for_single(skylark: Box, agreement: Agreement) -> None:
    with pytest.raises(RoundError):
        skylark.gate.release(asked(a_query(agreement), plan=plan_for(agreement)))
    with pytest.raises(RoundError):
        skylark.gate.open_round(asked(single(agreement)))


def test_a_plain_table_hides_few_people_and_says_that_it_protects_little(tmp_path: Path) -> None:
    body = document()
    body["measures"][0] |= {"plain_threshold": True, "levels": ["origin=code,destination=code"], "smallest_count": 5}
    plain = Agreement.model_validate(body)
    box = Box("skylark", tmp_path, plain)
    query = single(plain, levels=("origin=code,destination=code",))
    release = box.gate.release(asked(query))
    plan = plan_of(query, plain)
    found = rows("skylark", query, plain)
    true = bounded_sum(found, plan.domain, plan.measure.max_keys, 1, sampling_secret(bytes(range(32)), plan.query_id)).reshape(-1)
    assert release.kind == "threshold"
    assert "protects against little" in release.caution
    np.testing.assert_array_equal(level_values(release.levels[0]), np.where(true >= 5, true, 0))
    assert release.levels[0].sigma == 0
    box.close()


@pytest.mark.parametrize("text", ["", "a.b.c", "é" * 50, "." * 10, "eyJhbGciOiJub25lIn0..", "\ud800"])
def test_garbage_is_refused_and_logged(skylark: Box, text: str) -> None:
    with pytest.raises(OneteamError):
        skylark.gate.release(text)
    assert [entry.kind for entry in skylark.entries()] == ["refuse"]


def test_a_release_that_was_changed_is_not_believed(skylark: Box, agreement: Agreement) -> None:
    release = skylark.gate.release(asked(single(agreement)))
    for change in (
        {"rho": 0.001},
        {"contributors": ("horizon",)},
        {"receipts": ()},
        {"levels": (release.levels[0].model_copy(update={"sigma": 1.0}), release.levels[1])},
        {"made_at": NOW + timedelta(1)},
    ):
        with pytest.raises(BadSignatureError):
            verify_release(release.model_copy(update=change), lookup)


def test_a_joint_release_needs_every_owners_receipt(boxes: dict[str, Box], agreement: Agreement) -> None:
    release = run_round(boxes, agreement)
    other = run_round(boxes, agreement)
    from oneteam.privacy.combine import signed_release

    forged = release.model_copy(update={"receipts": release.receipts[1:-1]})
    with pytest.raises(BadSignatureError, match="no receipt of skylark"):
        verify_release(signed_release(forged, "agency", KEYS["agency"]), lookup)
    swapped = release.model_copy(update={"receipts": (other.receipts[0], *release.receipts[1:-1])})
    with pytest.raises(BadSignatureError):
        verify_release(signed_release(swapped, "agency", KEYS["agency"]), lookup)


def revoke(box: Box, agreement: Agreement) -> None:
    revocation = Revocation(agreement=content_id(agreement), member="horizon", reason="enough", at=NOW)
    box.book.revoke(sign_revocation(revocation, KEYS["horizon"]))


def test_a_revocation_also_stops_the_rounds_that_are_open(boxes: dict[str, Box], agreement: Agreement) -> None:
    plan = plan_for(agreement)
    text = asked(a_query(agreement), plan=plan)
    openings = [box.gate.open_round(text) for box in boxes.values()]
    revoke(boxes["skylark"], agreement)
    with pytest.raises(RefusedError) as caught:
        boxes["skylark"].gate.share(plan.round_id, openings)
    assert caught.value.reasons == ("agreement.revoked",)
    headers = [boxes[name].gate.share(plan.round_id, openings).header for name in ("horizon", "bluewave", "campus")]
    votes = [boxes[name].gate.agree(plan.round_id, headers) for name in ("horizon", "bluewave", "campus")]
    revoke(boxes["bluewave"], agreement)
    with pytest.raises(RefusedError):
        boxes["bluewave"].gate.reveal(plan.round_id, headers, votes)
    with pytest.raises(RoundError, match="no such round"):
        boxes["bluewave"].gate.reveal(plan.round_id, headers, votes)
    assert [entry.kind for entry in boxes["skylark"].entries()] == ["permit", "refuse"]
    assert [entry.kind for entry in boxes["bluewave"].entries()] == ["permit", "release", "refuse"]
    # What was paid stays paid.
    assert boxes["skylark"].ledger.spent() == 20_000_000


def test_a_release_that_was_revoked_while_it_was_computed_does_not_leave(tmp_path: Path, agreement: Agreement) -> None:
    def source(member: str, query: Any, of: Agreement) -> Contributions:
        revoke(box, agreement)
        return rows(member, query, of)

    box = Box("skylark", tmp_path, agreement, source=source)
    with pytest.raises(RefusedError) as caught:
        box.gate.release(asked(single(agreement)))
    assert caught.value.reasons == ("agreement.revoked",)
    assert [entry.kind for entry in box.entries()] == ["permit", "refuse"]
    assert box.ledger.kept_release(content_id(single(agreement)), "agency") is None
    box.close()


def test_a_release_names_its_contributors(skylark: Box, agreement: Agreement) -> None:
    from oneteam.privacy.combine import signed_release

    release = skylark.gate.release(asked(single(agreement)))
    nobodys = release.model_copy(update={"contributors": ()})
    joint = release.model_copy(update={"contributors": (), "round": "0" * 32, "receipts": ()})
    for forged in (nobodys, signed_release(joint, "agency", KEYS["agency"])):
        with pytest.raises(BadSignatureError, match="who contributed"):
            read_release(canonical(forged), lookup)


def test_who_was_asked_cannot_hand_the_request_on_and_use_it_up(skylark: Box, agreement: Agreement) -> None:
    joint, own = asked(a_query(agreement), plan=plan_for(agreement)), asked(single(agreement))
    for ask, text in ((skylark.gate.open_round, joint), (skylark.gate.release, own)):
        with pytest.raises(RefusedError) as caught:
            ask(text, "campus")
        assert caught.value.reasons == ("requester.sender",)
    assert skylark.ledger.spent() == 0
    assert [(entry.kind, entry.requester) for entry in skylark.entries()] == [("refuse", "agency")] * 2
    # Neither nonce nor round id is used up.
    assert skylark.gate.open_round(joint, "agency").member == "skylark"
    assert skylark.gate.release(own, "agency").recipient == "agency"
