from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oneteam.core.errors import BadSignatureError, OneteamError, WrongTypeError
from oneteam.core.keys import Keys, PublicKeys, decode, encode, signed_bytes


def test_a_signature_holds_for_its_purpose_content_and_signer_only() -> None:
    keys, other = Keys.generate(), Keys.generate()
    signature = keys.sign("share", b"content")
    keys.public.check("share", b"content", signature)
    for purpose, content, public in (
        ("reveal", b"content", keys.public),
        ("share", b"Content", keys.public),
        ("share", b"content", other.public),
    ):
        with pytest.raises(BadSignatureError):
            public.check(purpose, content, signature)
    with pytest.raises(BadSignatureError):
        keys.public.check("share", b"content", signature[:-1])


def test_purpose_and_content_cannot_be_moved_into_each_other() -> None:
    assert signed_bytes("ab", b"c") != signed_bytes("a", b"bc")


def test_private_keys_survive_their_file_form_and_are_never_printed() -> None:
    keys = Keys.generate()
    assert Keys.from_bytes(keys.to_bytes()).public == keys.public
    assert keys.to_bytes().hex() not in repr(keys)
    assert repr(keys) == "Keys()"
    with pytest.raises(WrongTypeError):
        Keys.from_bytes(b"short")


@given(st.binary(max_size=80))
def test_base64url_has_one_form(raw: bytes) -> None:
    text = encode(raw)
    assert decode(text) == raw
    with pytest.raises(WrongTypeError):
        decode(text + "=")


@given(st.text(max_size=60))
def test_any_text_is_decoded_or_refused(text: str) -> None:
    try:
        raw = decode(text)
    except OneteamError:
        return
    assert encode(raw) == text


def test_stray_bits_are_refused() -> None:
    assert decode("-_8") == b"\xfb\xff"
    with pytest.raises(WrongTypeError):
        decode("-_9")


def test_a_public_key_has_32_bytes() -> None:
    with pytest.raises(WrongTypeError):
        PublicKeys(b"", bytes(32))
