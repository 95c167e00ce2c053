"""The policy: each rule by itself, all reasons at once, and against its re-statement."""

from __future__ import annotations

import random
import re
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.privacy.parties import NOW, a_query, an_agreement, document
from tests.privacy.policy_restated import reasons

from oneteam.core.model import Agreement, Query
from oneteam.privacy.agreements import Revocation, agreement_id, check_agreement
from oneteam.privacy.policy import RULES, Asking, Kept, LocalLimits, decide
from oneteam.privacy.requests import RoundPlan

AGREEMENT = an_agreement()
PLAN = RoundPlan(round_id="ab" * 16, participants=AGREEMENT.participants, threshold=3, colluding=1)
JOINT = Asking("agency", "skylark", NOW, PLAN)
SINGLE = Asking("agency", "skylark", NOW)


def kept(agreement: Agreement = AGREEMENT, **changes: Any) -> Kept:
    return replace(Kept(agreement, agreement_id(agreement), agreement.parties), **changes)


def codes(query: Query, asking: Asking = JOINT, book: Kept | None = None, limits: LocalLimits | None = None) -> tuple[str, ...]:
    decision = decide(query, book or kept(), asking, limits)
    assert decision.permit == (not decision.reasons)
    return decision.codes


def joint(**changes: Any) -> Asking:
    return replace(JOINT, round=RoundPlan.model_validate(PLAN.model_dump() | changes))


PRESENCE = {"measure": "presence", "dimensions": ("day", "hour", "zone"), "levels": ("day=code,hour=code,zone=code",)}


def test_what_is_agreed_is_permitted() -> None:
    check_agreement(AGREEMENT)
    assert codes(a_query(AGREEMENT)) == ()
    assert codes(a_query(AGREEMENT, owners=("skylark",)), SINGLE) == ()
    assert codes(a_query(AGREEMENT), replace(JOINT, me="campus")) == ()
    # A margin alone: the dimension that is not kept is summed over, as an agreed level says.
    assert codes(a_query(AGREEMENT, dimensions=("destination",), levels=("destination=code",))) == ()
    assert codes(a_query(AGREEMENT, filters={"state": ("stay",)}, **PRESENCE)) == ()
    # A retry after a drop-out, while enough of them are left.
    few = a_query(AGREEMENT, owners=("skylark", "horizon"))
    assert codes(few, joint(participants=("skylark", "horizon", "campus"))) == ()


@pytest.mark.parametrize(
    ("code", "query", "asking"),
    [
        ("period.early", {}, replace(JOINT, now=AGREEMENT.not_before - timedelta(seconds=1))),
        ("period.over", {}, replace(JOINT, now=AGREEMENT.until)),
        ("purpose", {"purpose": "dpv:Marketing"}, JOINT),
        ("requester.stranger", {}, replace(JOINT, requester="campus")),
        ("requester.contributor", {}, replace(JOINT, requester="horizon")),
        ("requester.helper", {}, replace(JOINT, requester="campus")),
        ("party", {}, replace(JOINT, me="agency")),
        ("owners.repeated", {"owners": ("skylark", "skylark")}, joint(participants=("skylark", "campus", "horizon"))),
        ("owners.stranger", {"owners": ("skylark", "nobody")}, joint(participants=("skylark", "nobody", "campus"))),
        ("single.many", {}, SINGLE),
        ("single.other", {"owners": ("horizon",)}, SINGLE),
        ("contributors.few", {"owners": ("skylark",)}, joint(participants=("skylark", "campus", "horizon"))),
        ("round.absent", {}, replace(JOINT, me="stranger")),
        ("round.participants", {}, joint(participants=("skylark", "horizon", "bluewave", "campus", "campus"))),
        ("round.participants", {}, joint(participants=("skylark", "horizon", "campus"))),
        ("round.participants", {}, joint(participants=("skylark", "horizon", "bluewave", "agency"))),
        ("round.threshold", {}, joint(threshold=2)),
        ("round.threshold", {}, joint(threshold=4)),
        ("round.threshold", {}, joint(colluding=2)),
        ("round.colluding", {}, joint(colluding=0)),
        ("measure", {"measure": "home"}, JOINT),
        ("dimensions", {"dimensions": ("destination", "origin")}, JOINT),
        ("dimensions", {"dimensions": ()}, JOINT),
        ("dimensions", {"dimensions": ("origin", "origin")}, JOINT),
        ("dimensions", {"dimensions": ("origin", "home")}, JOINT),
        ("levels.repeated", {"levels": ("origin=code,destination=code",) * 2}, JOINT),
        ("levels", {"levels": ("origin=code,destination=*",)}, JOINT),
        ("levels", {"levels": ("origin=code, destination=code",)}, JOINT),
        ("levels", {"levels": ("destination=code",)}, JOINT),
        ("levels", {"levels": ("origin=code,origin=code",)}, JOINT),
        ("levels", {"levels": ("",)}, JOINT),
        ("filters", {"filters": {"home": ("a1",)}}, JOINT),
        ("filters.codes", {"filters": {"state": ("gone",)}, **PRESENCE}, JOINT),
        ("filters.codes", {"filters": {"state": ()}, **PRESENCE}, JOINT),
        ("filters.codes", {"filters": {"state": ("stay", "stay")}, **PRESENCE}, JOINT),
        ("days.order", {"last_day": date(2026, 5, 3)}, JOINT),
        ("days.many", {"last_day": date(2026, 5, 11)}, JOINT),
        ("rho", {"rho": 0.021}, JOINT),
    ],
)
def test_each_rule(code: str, query: dict[str, Any], asking: Asking) -> None:
    assert code in codes(a_query(AGREEMENT, **query), asking)


def test_the_book_decides() -> None:
    assert decide(a_query(AGREEMENT), None, JOINT).codes == ("agreement.unknown",)
    assert codes(a_query(AGREEMENT, agreement="00" * 32)) == ("agreement.unknown",)
    assert codes(a_query(AGREEMENT), book=kept(signed_by=AGREEMENT.parties[:-1])) == ("agreement.unsigned",)
    end = Revocation(agreement=agreement_id(AGREEMENT), member="horizon", at=NOW)
    assert codes(a_query(AGREEMENT), book=kept(revoked=end)) == ("agreement.revoked",)
    closed = an_agreement(single=False)
    assert codes(a_query(closed, owners=("skylark",)), SINGLE, kept(closed)) == ("single.forbidden",)


@pytest.mark.parametrize(
    ("code", "limits"),
    [
        ("local.paused", {"paused": True}),
        ("local.until", {"until": NOW}),
        ("local.recipient", {"recipients": ("campus",)}),
        ("local.measure", {"measures": ("presence",)}),
        ("local.level", {"levels": ("origin=region,destination=region",)}),
        ("local.rho", {"max_rho_per_release": 0.01}),
    ],
)
def test_the_owner_tightens(code: str, limits: dict[str, Any]) -> None:
    assert codes(a_query(AGREEMENT), limits=LocalLimits(**limits)) == (code,)
    # The owner never widens: what the agreement refuses, no limit lets pass.
    assert "measure" in codes(a_query(AGREEMENT, measure="home"), limits=LocalLimits(measures=("home",)))


def test_every_reason_in_order() -> None:
    query = a_query(AGREEMENT, purpose="dpv:Marketing", rho=9, measure="od", last_day=date(2027, 1, 1), levels=("a=code",))
    found = codes(query, replace(JOINT, requester="horizon"), limits=LocalLimits(paused=True))
    assert found == ("purpose", "requester.stranger", "requester.contributor", "levels", "days.many", "rho", "local.paused")
    assert list(found) == [code for code in RULES if code in found]
    error = decide(query, kept(), replace(JOINT, requester="horizon")).refusal()
    assert error.reasons == found[:-1]
    assert all(text in str(error) for text in ("purpose", "contributor"))


def test_cells() -> None:
    codes_ = [str(i) for i in range(3000)]
    wide = an_agreement(dimensions={"zone": {"codes": codes_, "groups": {"region": ["x"] * 3000}}})
    assert codes(a_query(wide, levels=("origin=region,destination=region",)), book=kept(wide)) == ("cells",)
    narrow = a_query(wide, dimensions=("destination",), levels=("destination=code",))
    assert codes(narrow, book=kept(wide)) == ()


def test_plain_tables_never_overlap() -> None:
    body = document()
    measure = body["measures"][0] | {"levels": ["origin=code,destination=code"], "plain_threshold": True}
    plain = an_agreement(measures=[measure])
    ask = {"owners": ("skylark",), "levels": ("origin=code,destination=code",)}
    monday = date(2026, 5, 4)
    assert monday.weekday() == 0
    assert codes(a_query(plain, **ask), SINGLE, kept(plain)) == ()
    for change in (
        {"first_day": monday + timedelta(days=1), "last_day": monday + timedelta(days=7)},
        {"last_day": monday},
        {"dimensions": ("destination",), "levels": ("destination=code",)},
    ):
        assert "plain" in codes(a_query(plain, **(ask | change)), SINGLE, kept(plain))
    assert "plain" in codes(a_query(plain, levels=ask["levels"]), JOINT, kept(plain))


def test_every_rule_has_words_in_both_languages() -> None:
    assert all(en.endswith(".") and ko.endswith(".") and en != ko for en, ko in RULES.values())


def test_the_page_lists_every_rule_in_order() -> None:
    page = (Path(__file__).parents[2] / "docs" / "agreements.md").read_text()
    found = re.findall(r"^(\d+)\. `([a-z.]+)`:", page, re.MULTILINE)
    assert found == [(str(number), code) for number, code in enumerate(RULES, 1)]


def agreements() -> list[Agreement]:
    body = document()
    od, presence = body["measures"]
    plain = od | {"levels": ["origin=code,destination=code"], "plain_threshold": True, "max_days": 2}
    return [
        an_agreement(),
        an_agreement(single=False, min_contributors=3),
        an_agreement(contributors_may_receive=True, recipients=["agency", "horizon"], helpers=[], threshold=0),
        an_agreement(measures=[plain, presence]),
    ]


def test_against_the_restated_rules() -> None:
    """Random requests, many of them nearly right; decisions and reasons must be the same."""
    rng = random.Random(7)
    books = agreements()
    people = ["skylark", "horizon", "bluewave", "campus", "agency", "stranger"]
    levels = ["origin=code,destination=code", "origin=region,destination=region", "origin=*,destination=code", "destination=code"]
    levels += [
        "day=code,hour=code,zone=code",
        "day=code,hour=*,zone=region",
        "day=code,zone=region",
        "zone=code",
        "origin=code,destination=*",
    ]
    dimensions = [("origin", "destination"), ("destination",), ("day", "hour", "zone"), ("day", "zone"), ("zone", "day"), ()]

    def maybe(usual: Any, others: list[Any]) -> Any:
        return usual if rng.random() < 0.96 else rng.choice(others)

    permits = 0
    ids = {id(agreement): agreement_id(agreement) for agreement in books}
    rounds = 20_000
    for _ in range(rounds):
        agreement = rng.choice(books)
        is_od = rng.random() < 0.7
        usual = {
            "dimensions": ("origin", "destination") if is_od else ("day", "hour", "zone"),
            "levels": ("origin=code,destination=code",) if is_od else ("day=code,hour=*,zone=region",),
        }
        alone = rng.random() < 0.3
        me = maybe("skylark", people)
        first = date(2026, 5, 4) + timedelta(days=maybe(0, [1, 2, 3]))
        query = a_query(
            agreement,
            agreement=maybe(ids[id(agreement)], ["00" * 32]),
            purpose=maybe(agreement.purpose, ["dpv:Marketing"]),
            measure=maybe("od" if is_od else "presence", ["home", "od", "presence"]),
            dimensions=maybe(usual["dimensions"], dimensions),
            levels=maybe(usual["levels"], [tuple(rng.choices(levels, k=rng.randint(1, 3)))]),
            filters=maybe({}, [{"state": ("stay",)}, {"state": ()}, {"state": ("stay", "gone")}, {"home": ("a",)}]),
            first_day=first,
            last_day=first + timedelta(days=maybe(1, [-1, 0, 6, 7, 400])),
            rho=maybe(0.02, [0.03, 0.05, 1.5]),
            owners=maybe((me,) if alone else agreement.contributors, [tuple(rng.choices(people, k=rng.randint(1, 4)))]),
        )
        plan = None
        if not maybe(alone, [True, False]):
            plan = RoundPlan(
                round_id="ab" * 16,
                participants=maybe(agreement.participants, [tuple(rng.choices(people, k=rng.randint(1, 5)))]),
                threshold=maybe(3, [1, 2, 4]),
                colluding=maybe(1, [0, 2]),
            )
        asking = Asking(
            maybe("agency", people), me, maybe(NOW, [agreement.until, agreement.not_before, agreement.not_before - timedelta(1)]), plan
        )
        end = Revocation(agreement=ids[id(agreement)], member="horizon", at=NOW)
        book = Kept(agreement, ids[id(agreement)], signed_by=maybe(agreement.parties, [agreement.parties[1:]]), revoked=maybe(None, [end]))
        limits = LocalLimits(
            paused=maybe(False, [True]),
            max_rho_per_release=maybe(None, [0.01, 0.02]),
            measures=maybe(None, [("od",), ()]),
            recipients=maybe(None, [("agency",), ()]),
            levels=maybe(None, [("origin=code,destination=code",)]),
            until=maybe(None, [NOW, NOW + timedelta(1)]),
        )
        decision = decide(query, book, asking, limits)
        known = {
            "id": book.id,
            "signed_by": book.signed_by,
            "revoked": book.revoked is not None,
            "requester": asking.requester,
            "me": me,
            "now": asking.now,
            "round": plan.model_dump() if plan else None,
        }
        expected = reasons(query, agreement, known, limits.model_dump())
        assert sorted(decision.codes) == sorted(expected)
        assert decision.permit == (not expected)
        permits += decision.permit
    assert permits > rounds // 20
