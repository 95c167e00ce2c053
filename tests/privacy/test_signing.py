"""Signed documents: one form, one algorithm, keys from the roster alone."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.privacy.parties import KEYS, an_agreement, lookup, signed_by_all

from oneteam.core.canonical import canonical
from oneteam.core.errors import BadSignatureError, OneteamError, WrongTypeError
from oneteam.core.keys import Keys, encode
from oneteam.core.model import Agreement
from oneteam.privacy.signing import (
    open_document,
    payload_of,
    read_document,
    read_json,
    sign_compact,
    sign_document,
    valid_signers,
    verify_compact,
    verify_document,
)

DOCUMENT = {"b": 1, "a": "가"}


def both() -> str:
    return sign_document(DOCUMENT, "horizon", KEYS["horizon"], sign_document(DOCUMENT, "skylark", KEYS["skylark"]))


def forged(header: dict[str, Any], *, payload: bytes = b'{"a":1}', raw: bytes | None = None) -> str:
    """A general JWS that is rightly signed by skylark's key under any header."""
    protected = encode(raw if raw is not None else canonical(header))
    signature = KEYS["skylark"].signing.sign(f"{protected}.{encode(payload)}".encode())
    return json.dumps({"payload": encode(payload), "signatures": [{"protected": protected, "signature": encode(signature)}]})


def test_all_who_must_sign_have_signed() -> None:
    assert verify_document(both(), lookup, ["skylark", "horizon"]) == canonical(DOCUMENT)
    assert open_document(both(), lookup).signed_by == ("horizon", "skylark")


def test_order_of_signing_does_not_show() -> None:
    other = sign_document(DOCUMENT, "skylark", KEYS["skylark"], sign_document(DOCUMENT, "horizon", KEYS["horizon"]))
    assert both() == other


def test_a_missing_signature_is_named() -> None:
    with pytest.raises(BadSignatureError, match="not signed by bluewave"):
        verify_document(both(), lookup, ["skylark", "horizon", "bluewave"])


def test_another_document_is_not_signed_along() -> None:
    with pytest.raises(BadSignatureError, match="another document"):
        sign_document({"a": 2}, "horizon", KEYS["horizon"], sign_document({"a": 1}, "skylark", KEYS["skylark"]))


def test_strangers_and_wrong_keys_are_refused() -> None:
    with pytest.raises(BadSignatureError, match="does not know"):
        open_document(sign_document(DOCUMENT, "stranger", KEYS["stranger"]), lookup)
    with pytest.raises(BadSignatureError, match="does not fit"):
        open_document(sign_document(DOCUMENT, "skylark", KEYS["horizon"]), lookup)
    assert valid_signers(sign_document(DOCUMENT, "skylark", KEYS["horizon"]), lookup).signed_by == ()


def test_what_is_rightly_signed_under_another_header_is_refused() -> None:
    right = {"alg": "Ed25519", "kid": "skylark"}
    assert open_document(forged(right), lookup).signed_by == ("skylark",)
    for header in (
        {"alg": "EdDSA", "kid": "skylark"},
        {"alg": "none", "kid": "skylark"},
        right | {"crit": ["b64"], "b64": False},
        right | {"jwk": {"kty": "OKP"}},
        right | {"typ": "JOSE"},
        {"alg": "Ed25519"},
        {"alg": "Ed25519", "kid": 7},
    ):
        with pytest.raises(BadSignatureError):
            open_document(forged(header), lookup)
    for raw in (b'{"kid":"skylark","alg":"Ed25519"}', b'{"alg":"Ed25519","kid":"skylark","kid":"skylark"}', b"[]", b"7"):
        with pytest.raises(BadSignatureError):
            open_document(forged({}, raw=raw), lookup)


@pytest.mark.parametrize(
    "payload",
    [b'{"a": 1}', b'{"b":1,"a":1}', b'{"a":1,"a":1}', b'{"a":1.0}', b'{"a":NaN}', b"\xff", b"[" * 100_000, b'"\\ud800"', b"1e999"],
)
def test_a_payload_in_another_form_is_refused(payload: bytes) -> None:
    with pytest.raises(BadSignatureError):
        open_document(forged({"alg": "Ed25519", "kid": "skylark"}, payload=payload), lookup)


def test_structure_is_checked() -> None:
    body = json.loads(both())
    first = body["signatures"][0]
    for changed in (
        body | {"extra": 1},
        {"payload": body["payload"]},
        body | {"signatures": []},
        body | {"signatures": [first, first]},
        body | {"signatures": [first | {"header": {}}]},
        body | {"signatures": [first | {"signature": first["signature"] + "="}]},
        body | {"signatures": [first | {"signature": None}]},
        body | {"signatures": [None]},
        body | {"payload": 7},
        [],
    ):
        with pytest.raises(BadSignatureError):
            open_document(json.dumps(changed), lookup)
    twice = both().replace('{"payload"', '{"payload":"e30","payload"')
    with pytest.raises(BadSignatureError, match="twice"):
        payload_of(twice)


@given(st.binary(max_size=200), st.integers(0, 1000))
def test_noise_gives_only_our_errors(noise: bytes, at: int) -> None:
    text = noise.decode("latin-1")
    good = both()
    compact = sign_compact(DOCUMENT, "skylark", KEYS["skylark"])
    for candidate in (text, good[: at % len(good)] + text, good[: at % len(good)] + text + good[at % len(good) + 1 :]):
        try:
            open_document(candidate, lookup)
        except OneteamError:
            continue
        assert candidate.strip() == good
    for candidate in (text, compact[: at % len(compact)] + text + compact[at % len(compact) + 1 :]):
        try:
            verify_compact(candidate, lookup)
        except OneteamError:
            continue
        assert candidate == compact


@given(st.data())
def test_every_changed_character_is_found(data: st.DataObject) -> None:
    text = both()
    at = data.draw(st.integers(0, len(text) - 1))
    letter = data.draw(st.sampled_from('AZaz09-_{}":,'))
    changed = text[:at] + letter + text[at + 1 :]
    if changed == text:
        return
    with pytest.raises(BadSignatureError):
        verify_document(changed, lookup, ["skylark", "horizon"])


def test_compact() -> None:
    text = sign_compact(DOCUMENT, "skylark", KEYS["skylark"])
    assert verify_compact(text, lookup) == (canonical(DOCUMENT), "skylark")
    assert verify_compact(sign_compact({"a": "x" * 300_000}, "skylark", KEYS["skylark"]), lookup)[1] == "skylark"
    for bad in (text + "A", "." + text, text.replace(".", ""), sign_compact(DOCUMENT, "horizon", KEYS["skylark"])):
        with pytest.raises(BadSignatureError):
            verify_compact(bad, lookup)


def test_a_bare_signature_is_no_jws() -> None:
    """Signatures over purpose and content, as messages carry them, never stand for a document."""
    keys = Keys.generate()
    header, body, _ = sign_compact(DOCUMENT, "skylark", keys).split(".")
    signature = encode(keys.sign("document", f"{header}.{body}".encode()))
    with pytest.raises(BadSignatureError):
        verify_compact(f"{header}.{body}.{signature}", {"skylark": keys.public}.get)


def test_large_domains_are_signed() -> None:
    codes = [f"{i:06d}" for i in range(60_000)]
    agreement = an_agreement(dimensions={"zone": {"codes": codes, "groups": {"region": [c[:2] for c in codes]}}})
    payload = verify_document(signed_by_all(agreement), lookup, agreement.parties)
    assert read_document(payload, Agreement) == agreement


def test_documents_are_read_in_one_form() -> None:
    agreement = an_agreement()
    raw = canonical(agreement)
    assert read_document(raw, Agreement) == agreement
    for other in (raw + b" ", raw.replace(b'"rho_total":1', b'"rho_total":"1"'), raw.replace(b'"helpers":["campus"],', b"")):
        assert other != raw
        with pytest.raises(WrongTypeError, match="canonical"):
            read_document(other, Agreement)
    with pytest.raises(WrongTypeError, match="rho_total"):
        read_document(raw.replace(b'"rho_total":1', b'"rho_total":-1'), Agreement)


@given(st.binary(max_size=100))
def test_json_reader(raw: bytes) -> None:
    try:
        found = read_json(raw)
    except WrongTypeError:
        return
    assert json.loads(raw) == found
