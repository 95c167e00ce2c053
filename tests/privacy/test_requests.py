"""Requests: signed, fresh, and addressed to those who answer."""

from __future__ import annotations

from contextlib import suppress
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.privacy.parties import KEYS, NOW, a_query, an_agreement, lookup

from oneteam.core.canonical import canonical
from oneteam.core.errors import BadSignatureError, OneteamError, ReplayError, WrongTypeError
from oneteam.core.keys import encode
from oneteam.privacy.requests import LIFETIME, Request, RoundPlan, make_request, open_request, sign_request
from oneteam.privacy.signing import sign_compact

AGREEMENT = an_agreement()
PLAN = RoundPlan(round_id="ab" * 16, participants=AGREEMENT.participants, threshold=3, colluding=1)


def request(**changes: Any) -> Request:
    return make_request(a_query(AGREEMENT), "agency", NOW, plan=PLAN, **changes)


def text(made: Request) -> str:
    return sign_request(made, KEYS["agency"])


def test_it_comes_back_as_it_was() -> None:
    made = request()
    assert open_request(text(made), lookup, NOW + timedelta(seconds=1)) == made
    assert made.nonce != request().nonce


@pytest.mark.parametrize(("seconds", "fresh"), [(-121, False), (-120, True), (0, True), (119.9, True), (120, False)])
def test_time(seconds: float, fresh: bool) -> None:
    signed = text(request())
    now = NOW + timedelta(seconds=seconds)
    if fresh:
        open_request(signed, lookup, now)
    else:
        with pytest.raises(ReplayError):
            open_request(signed, lookup, now)


def test_it_lives_no_longer_than_agreed() -> None:
    with pytest.raises(WrongTypeError, match="expires_at"):
        request(lifetime=LIFETIME + timedelta(seconds=1))
    with pytest.raises(WrongTypeError, match="expires_at"):
        request(lifetime=timedelta(0))


def test_who_is_asked_is_who_takes_part() -> None:
    body = request().model_dump()
    with pytest.raises(ValueError, match="asked"):
        Request.model_validate(body | {"asked": ("skylark",)})
    single = make_request(a_query(AGREEMENT, owners=("skylark",)), "agency", NOW)
    assert single.asked == ("skylark",)


def test_the_signer_is_the_asker() -> None:
    with pytest.raises(BadSignatureError, match="has signed"):
        open_request(sign_compact(request(), "skylark", KEYS["skylark"]), lookup, NOW)


def test_a_changed_query_does_not_pass() -> None:
    header, _, signature = text(request()).split(".")
    other = request()
    with pytest.raises(BadSignatureError):
        open_request(f"{header}.{encode(canonical(other))}.{signature}", lookup, NOW)


def test_another_document_is_no_request() -> None:
    with pytest.raises(WrongTypeError, match="Request"):
        open_request(sign_compact(AGREEMENT, "agency", KEYS["agency"]), lookup, NOW)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers(-10, 10) | st.text(max_size=5),
        lambda c: st.lists(c) | st.dictionaries(st.text(max_size=5), c),
    )
)
def test_any_signed_content_gives_only_our_errors(content: Any) -> None:
    body = request().model_dump(mode="json")
    for changed in [content, *({**body, name: content} for name in body)]:
        try:
            signed = sign_compact(changed, "agency", KEYS["agency"])
        except OneteamError:
            continue
        with suppress(OneteamError):
            open_request(signed, lookup, NOW)
