"""Agreements: what an officer writes, what is wrong with it, and the book that keeps them."""

from __future__ import annotations

import tomllib
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.privacy.parties import KEYS, MEMBERS, NOW, an_agreement, document, lookup, signed_by_all

from oneteam.core.canonical import content_id
from oneteam.core.errors import BadSignatureError, EncodingError, FileUnreadableError, OneteamError, UnknownValueError, WrongTypeError
from oneteam.core.model import Agreement
from oneteam.privacy.agreements import (
    Revocation,
    agreement_id,
    check_agreement,
    open_revocation,
    parse_agreement,
    read_agreement,
    sign_revocation,
    smallest_threshold,
    threshold_of,
)
from oneteam.privacy.book import BOOK_SCHEMA, AgreementBook, read_signed_agreement
from oneteam.privacy.purposes import PURPOSES, purpose_label
from oneteam.privacy.signing import sign_compact, sign_document
from oneteam.store.registry import Registry

TOML = """
title = { en = "Mobility", ko = "이동량" }
roster = "abababababababababababababababababababababababababababababababab"
purpose = "dpv:PublicBenefit"
dataset = "mobility"
contributors = ["skylark", "horizon", "bluewave"]
helpers = ["campus"]
recipients = ["agency"]
rho_total = 1.0
not_before = 2026-01-01T00:00:00+09:00
until = 2027-01-01T00:00:00+09:00

[dimensions.zone]
codes = ["a1", "a2", "b1"]
groups.region = ["a", "a", "b"]

[[measures]]
name = "od"
dimensions = ["origin", "destination"]
domains = { origin = "zone", destination = "zone" }
levels = ["origin=code, destination=code", "origin=region, destination=*"]
max_keys = 10
rho_per_release = 0.02
"""
OFFERED = {"od": ("day", "origin", "destination"), "presence": ("day", "hour", "zone", "state")}


def with_measure(**changes: Any) -> dict[str, Any]:
    return {"measures": [document()["measures"][0] | changes]}


def test_toml() -> None:
    agreement = parse_agreement(TOML)
    check_agreement(agreement, MEMBERS, roster="ab" * 32, measures=OFFERED)
    assert agreement.threshold == 3
    assert agreement.measures[0].levels == ("origin=code,destination=code", "origin=region,destination=*")
    windows = parse_agreement(b"\xef\xbb\xbf" + TOML.replace("\n", "\r\n").encode())
    assert agreement_id(windows) == agreement_id(agreement)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("rho_total = 1.0", "rho_totall = 1.0", "rho_total: Field required"),
        ("rho_total = 1.0", "rho_totall = 1.0", "rho_totall: Extra inputs"),
        ("max_keys = 10", "max_keys = 0", r"measures\.0\.max_keys: .*greater than or equal to 1 \(is '0'\)"),
        ("2026-01-01T00:00:00+09:00", "2026-01-01T00:00:00", "not_before: .*timezone"),
        ('"dpv:PublicBenefit"', '"public"', "purpose"),
        ('groups.region = ["a", "a", "b"]', 'groups.region = ["a"]', "group 'region' has 1 codes for 3"),
        ('codes = ["a1", "a2", "b1"]', 'codes = ["a1", "a1", "b1"]', "a code stands twice"),
        ("rho_total = 1.0", "rho_total = nan", "rho_total"),
    ],
)
def test_each_bad_key_is_named_by_its_path(old: str, new: str, message: str) -> None:
    assert old in TOML
    with pytest.raises(WrongTypeError, match=message) as caught:
        parse_agreement(TOML.replace(old, new, 1), "a.toml")
    assert str(caught.value).startswith("a.toml: ")


def test_files_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(FileUnreadableError, match="nowhere"):
        read_agreement(tmp_path / "nowhere.toml")
    with pytest.raises(FileUnreadableError, match="not TOML"):
        parse_agreement("title = ")
    with pytest.raises(EncodingError):
        parse_agreement("title = '가'".encode("cp949"))
    with pytest.raises(FileUnreadableError):
        parse_agreement("a = " + "[" * 5000)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"contributors": ["skylark", "skylark"]}, "contributors: a member stands twice"),
        ({"helpers": ["skylark"]}, "brings no data"),
        ({"recipients": ["campus"]}, "also a helper"),
        ({"recipients": ["agency", "skylark"]}, "subtract its own table"),
        ({"contributors": ["skylark", "nobody"]}, "'nobody' is not in the roster"),
        ({"contributors": ["skylark", "agency"], "recipients": ["campus"]}, "'agency' has no role 'contributor'"),
        ({"roster": "cd" * 32}, "roster: is cdcd"),
        ({"threshold": 2}, "threshold: is 2, must be from 3 to 4"),
        ({"threshold": 5}, "must be from 3 to 4"),
        ({"colluding": 4}, "colluding: is 4"),
        ({"min_contributors": 4}, "there are 3 contributors"),
        ({"min_contributors": 1, "single": False}, "at least 2"),
        ({"contributors": ["skylark"], "helpers": [], "single": False, "min_contributors": 1, "threshold": 0}, "no joint release"),
        ({"purpose": "dpv:PublicBenefits"}, "Did you mean dpv:PublicBenefit"),
        ({"purpose": "dpv:Purpose"}, "no term"),
        ({"until": document()["not_before"]}, "must be after not_before"),
        ({"until": "9999-12-31T23:59:59-23:00"}, "until: must lie in the years"),
        ({"measures": document()["measures"] * 2}, "a measure stands twice"),
        ({"dimensions": document()["dimensions"] | {"sex": {"codes": ["f", "m"]}}}, "dimensions.sex: no measure uses it"),
        ({"dimensions": document()["dimensions"] | {"day": {"codes": ["1"]}}}, "built in"),
        ({"dimensions": {}}, "'origin' has no domain"),
        (with_measure(name="flow"), "no such measure; there are od, presence"),
        (with_measure(filters={"home": ["a1"]}), "'home' is no key of it"),
        (with_measure(filters={"origin": ["a1"]}), "is a dimension"),
        (with_measure(filters={"day": []}), "at least one"),
        (with_measure(levels=[]), "levels: name each once"),
        (with_measure(levels=["origin=code"]), "must name the dimensions origin, destination"),
        (with_measure(levels=["origin=province,destination=*"]), "no grain 'province'; it has code, region, *"),
        (with_measure(levels=["origin"]), "not of the form"),
        (with_measure(rho_per_release=1.5), "must be at most rho_total"),
        (with_measure(plain_threshold=True), "one level only"),
        (with_measure(plain_threshold=True, smallest_count=1), "at least 2"),
        (with_measure(domains={"origin": "zone", "destination": "zone", "home": "zone"}), "'home' is none of its dimensions"),
    ],
)
def test_every_contradiction_is_found(changes: dict[str, Any], message: str) -> None:
    check_agreement(an_agreement(), MEMBERS, roster="ab" * 32, measures=OFFERED)
    with pytest.raises(UnknownValueError, match=message.replace("*", r"\*")):
        check_agreement(an_agreement(**changes), MEMBERS, roster="ab" * 32, measures=OFFERED)


def test_all_faults_at_once() -> None:
    with pytest.raises(UnknownValueError) as caught:
        check_agreement(an_agreement(threshold=2, purpose="dpv:Nothing", min_contributors=9))
    assert all(name in str(caught.value) for name in ("threshold", "purpose", "min_contributors"))


def test_too_many_cells() -> None:
    wide = {"zone": {"codes": [str(i) for i in range(2001)], "groups": {"region": ["x"] * 2001}}}
    with pytest.raises(UnknownValueError, match="more than 4,000,000 cells"):
        check_agreement(an_agreement(dimensions=wide))


@given(st.integers(1, 40), st.data())
def test_the_smallest_threshold(n: int, data: st.DataObject) -> None:
    t = data.draw(st.integers(0, n - 1))
    s = smallest_threshold(n, t)
    assert s > (n + t) / 2 >= s - 1
    assert s <= n


def test_threshold_of_one_that_names_none() -> None:
    assert threshold_of(an_agreement(threshold=0)) == 3
    assert threshold_of(an_agreement(threshold=4)) == 4


def test_purposes() -> None:
    assert len(PURPOSES) == len(set(PURPOSES)) > 100
    for term in PURPOSES:
        label = purpose_label(term)
        assert label.en
        assert label.ko


@given(st.binary(max_size=300))
def test_noise_is_no_agreement(raw: bytes) -> None:
    with pytest.raises(OneteamError):
        parse_agreement(raw)


LINES = TOML.splitlines()
VALUES = st.sampled_from(
    [
        "0",
        "-1",
        "1e400",
        "nan",
        '""',
        '"x"',
        "[]",
        "{}",
        "true",
        "2026-01-01",
        "[1]",
        '["a"]',
        "{a=1}",
        "9" * 30,
        "07:00:00",
        '"\\u0000"',
        '["=", ",", "a=code"]',
    ]
)


@given(st.integers(0, len(LINES) - 1), VALUES, st.booleans())
def test_mutated_agreements_give_only_our_errors(at: int, value: str, drop: bool) -> None:
    lines = list(LINES)
    if drop:
        del lines[at]
    elif " = " in lines[at]:
        lines[at] = lines[at].split(" = ")[0] + " = " + value
    try:
        agreement = parse_agreement("\n".join(lines))
        check_agreement(agreement, MEMBERS, measures=OFFERED)
    except OneteamError:
        return
    assert Agreement.model_validate_json(agreement.model_dump_json()) == agreement


@pytest.fixture
def registry(tmp_path: Path) -> Any:
    registry = Registry.open(tmp_path / "registry.db", schemas=(BOOK_SCHEMA,))
    yield registry
    registry.close()


def revocation(agreement: Agreement, member: str = "horizon", **changes: Any) -> str:
    body = {"agreement": agreement_id(agreement), "member": member, "reason": "enough", "at": NOW} | changes
    return sign_revocation(Revocation.model_validate(body), KEYS[member])


def test_the_book_keeps_what_all_have_signed(registry: Registry) -> None:
    book = AgreementBook(registry, lookup, roster="ab" * 32, members=MEMBERS)
    agreement = an_agreement()
    kept = book.add(signed_by_all(agreement))
    assert kept.agreement == agreement
    assert kept.id == content_id(agreement)
    assert set(kept.signed_by) == set(agreement.parties)
    assert kept.revoked is None
    assert book.add(signed_by_all(agreement)) == kept
    # Another process reads the same.
    assert AgreementBook(registry, lookup).all() == (kept,)
    assert book.get("00" * 32) is None
    assert read_signed_agreement(str(book.signed_text(kept.id)), lookup)[0] == agreement


def test_the_book_refuses(registry: Registry) -> None:
    book = AgreementBook(registry, lookup, roster="ab" * 32, members=MEMBERS)
    with pytest.raises(BadSignatureError, match="not signed by"):
        book.add(sign_document(an_agreement(), "skylark", KEYS["skylark"]))
    with pytest.raises(UnknownValueError, match="threshold"):
        book.add(signed_by_all(an_agreement(threshold=2)))
    with pytest.raises(UnknownValueError, match="roster"):
        book.add(signed_by_all(an_agreement(roster="cd" * 32)))
    with pytest.raises(WrongTypeError, match="Agreement"):
        book.add(sign_document({"a": 1}, "skylark", KEYS["skylark"]))
    assert book.all() == ()


def test_a_replaced_key_unsigns(registry: Registry) -> None:
    kept = AgreementBook(registry, lookup).add(signed_by_all(an_agreement()))
    later = AgreementBook(registry, lambda m: KEYS["stranger"].public if m == "horizon" else lookup(m)).get(kept.id)
    assert later is not None
    assert set(later.signed_by) == set(kept.agreement.parties) - {"horizon"}
    other = AgreementBook(registry, lookup, roster="cd" * 32).get(kept.id)
    assert other is not None
    assert other.signed_by == ()


def test_any_party_revokes_at_once_and_for_good(registry: Registry) -> None:
    book, agreement = AgreementBook(registry, lookup), an_agreement()
    kept = book.add(signed_by_all(agreement))
    with pytest.raises(BadSignatureError, match="does not know"):
        book.revoke(revocation(agreement, "stranger"))
    book.revoke(revocation(agreement, "horizon"))
    book.revoke(revocation(agreement, "campus", at=NOW - timedelta(days=1)))
    book.revoke(revocation(agreement, "horizon", reason="again"))
    for reader in (book, AgreementBook(registry, lookup)):
        found = reader.get(kept.id)
        assert found is not None
        assert found.revoked is not None
        assert (found.revoked.member, found.revoked.reason) == ("campus", "enough")
    assert book.add(signed_by_all(agreement)).revoked is not None


def test_a_revocation_may_come_first(registry: Registry) -> None:
    book, agreement = AgreementBook(registry, lookup), an_agreement(helpers=[], threshold=3)
    book.revoke(revocation(agreement, "campus"))
    assert book.add(signed_by_all(agreement)).revoked is None, "campus is no party"
    with pytest.raises(BadSignatureError, match="no party"):
        book.revoke(revocation(agreement, "campus"))
    other = an_agreement()
    book.revoke(revocation(other))
    assert book.add(signed_by_all(other)).revoked is not None


def test_a_revocation_is_its_signers(registry: Registry) -> None:
    body = Revocation(agreement="ab" * 32, member="horizon", at=NOW)
    with pytest.raises(BadSignatureError, match="has signed"):
        open_revocation(sign_compact(body, "skylark", KEYS["skylark"]), lookup)
    with pytest.raises(WrongTypeError):
        open_revocation(sign_compact({"format": "x"}, "skylark", KEYS["skylark"]), lookup)


def test_the_example_is_toml() -> None:
    assert tomllib.loads(TOML)["dataset"] == "mobility"
