"""Messages cannot be read, forged, changed, redirected or replayed, and their lengths tell a size class only."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oneteam.alliance import wire
from oneteam.alliance.exchange import Incoming, Outgoing, label, pack, unpack
from oneteam.alliance.failures import rebuild
from oneteam.alliance.wire import (
    MAX_BODY_BYTES,
    MAX_SEALED_BYTES,
    SEALING_BYTES,
    SKEW,
    Envelope,
    compose,
    seal,
    size_class,
    unseal,
)
from oneteam.core.errors import BadSignatureError, OneteamError, RefusedError, ReplayError, TooLargeError, WrongTypeError
from oneteam.core.keys import Keys

KEYS = {name: Keys.generate() for name in ("skylark", "agency", "mallory")}
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
LIFE = timedelta(seconds=120)


def lookup(name: str):
    return KEYS[name].public if name in KEYS else None


def a_message(**changes):
    fields = {"now": NOW, "life": LIFE, "header": {"round": "가나다"}, "body": b"\x00values\x00"}
    return compose("skylark", "agency", "round.mask", **(fields | changes))


def sealed(message=None, keys=KEYS["skylark"], to="agency") -> bytes:
    return seal(message or a_message(), keys, KEYS[to].public).sealed


def opened(raw: bytes, now: datetime = NOW, me: str = "agency"):
    return unseal(raw, me, KEYS[me], lookup, now)


@pytest.mark.parametrize("body", [b"", b"\x00", b"x" * 5000, bytes(100_000)])
def test_what_is_sealed_is_what_is_opened(body: bytes) -> None:
    message = a_message(body=body)
    assert opened(sealed(message)) == message


def test_nothing_of_a_message_can_be_read_on_the_way() -> None:
    message = a_message(header={"secret": "zebra-crossing"}, body=b"giraffe" * 100)
    envelope = seal(message, KEYS["skylark"], KEYS["agency"].public)
    for word in (b"zebra", b"giraffe", b"skylark", b"round.mask", message.id.encode(), envelope.id.encode()):
        assert word not in envelope.sealed
    assert envelope.id != message.id


@settings(max_examples=60)
@given(at=st.integers(0, 4096 + SEALING_BYTES - 1), flip=st.integers(1, 255))
def test_no_byte_can_be_changed(at: int, flip: int) -> None:
    raw = bytearray(sealed())
    raw[at] ^= flip
    with pytest.raises(BadSignatureError):
        opened(bytes(raw))


def test_a_forged_sender_is_refused() -> None:
    """Mallory is in the roster and seals well, but signs in the name of another."""
    with pytest.raises(BadSignatureError):
        opened(sealed(keys=KEYS["mallory"]))


def test_a_stranger_is_refused() -> None:
    message = compose("nobody", "agency", "ping", now=NOW, life=LIFE)
    with pytest.raises(BadSignatureError, match="not in the roster"):
        opened(sealed(message, KEYS["mallory"]))


def test_a_message_cannot_be_passed_on_to_another_member() -> None:
    """The receiver opens it, seals it again to a third member: the signature names the receiver, so it is refused there."""
    message = opened(sealed())
    redirected = wire._SUITE.encrypt(_plain(sealed()), KEYS["mallory"].public.sealing_key, wire._info("mallory"))
    with pytest.raises(BadSignatureError, match="for 'agency'"):
        opened(redirected, me="mallory")
    assert message.sender == "skylark"


def _plain(raw: bytes) -> bytes:
    return wire._decrypt(raw, "agency", KEYS["agency"])


def test_the_hub_cannot_hand_an_envelope_to_another_member() -> None:
    with pytest.raises(BadSignatureError):
        opened(sealed(), me="mallory")


def test_old_and_future_messages_are_refused() -> None:
    raw = sealed()
    assert opened(raw, NOW - SKEW)
    with pytest.raises(ReplayError, match="future"):
        opened(raw, NOW - SKEW - timedelta(seconds=1))
    with pytest.raises(ReplayError, match="expired"):
        opened(raw, NOW + LIFE)
    with pytest.raises(ReplayError, match="longer than 7 days"):
        opened(sealed(a_message(life=timedelta(days=8))))


def test_padding_must_be_zero_and_of_its_class() -> None:
    plain = _plain(sealed())
    for changed in (plain[:-1] + b"\x01", plain + bytes(1024), plain[:-1024], plain[:40], b""):
        again = wire._SUITE.encrypt(changed, KEYS["agency"].public.sealing_key, wire._info("agency"))
        with pytest.raises(WrongTypeError):
            opened(again)


def test_lengths_tell_a_size_class_only() -> None:
    lengths = {len(sealed(a_message(body=bytes(n)))) for n in range(0, 3000, 37)}
    assert lengths == {4096 + SEALING_BYTES}
    assert len({len(sealed(a_message(body=bytes(2000 + n)))) for n in range(0, 200_000, 997)}) <= 4 * 6 + 1


@given(st.integers(1, MAX_SEALED_BYTES))
def test_size_classes_hold_and_waste_little(size: int) -> None:
    found = size_class(size)
    assert found >= size
    assert size_class(found) == found
    assert found <= max(4096, size * 1.25)


def test_too_large_bodies_are_told_at_the_sender() -> None:
    with pytest.raises(TooLargeError):
        a_message(body=bytes(MAX_BODY_BYTES + 1))


@settings(max_examples=200)
@given(st.binary(max_size=6000))
def test_random_bytes_never_crash_the_opening(raw: bytes) -> None:
    with pytest.raises(OneteamError):
        opened(raw)


@settings(max_examples=100)
@given(st.binary(max_size=4096))
def test_random_plaintexts_sealed_well_never_crash_it_either(plain: bytes) -> None:
    padded = plain + bytes(size_class(len(plain)) - len(plain)) if plain else bytes(4096)
    raw = wire._SUITE.encrypt(padded, KEYS["agency"].public.sealing_key, wire._info("agency"))
    with pytest.raises(OneteamError):
        opened(raw)


@settings(max_examples=100)
@given(head=st.recursive(st.none() | st.integers() | st.text(max_size=20), lambda inner: st.dictionaries(st.text(max_size=8), inner)))
def test_heads_of_any_form_never_crash_it(head: object) -> None:
    raw_head = json.dumps(head).encode()
    signature = KEYS["skylark"].sign("message", wire._covered(raw_head, b""))
    plain = wire._PREFIX.pack(signature, len(raw_head), 0) + raw_head
    plain += bytes(size_class(len(plain)) - len(plain))
    with pytest.raises(OneteamError):
        opened(wire._SUITE.encrypt(plain, KEYS["agency"].public.sealing_key, wire._info("agency")))


def test_frames_carry_letters_and_refuse_what_does_not_fit() -> None:
    envelopes = [Envelope("0" * 31 + str(i), "agency", 10, bytes(i + 1)) for i in range(3)]
    head = Outgoing(wait_s=1, letters=tuple(map(label, envelopes)))
    frame = pack(head, [one.sealed for one in envelopes])
    assert unpack(frame, Outgoing) == (head, tuple(envelopes))
    for broken in (frame[:-1], frame + b"x", frame[:3], b"", b"\xff" * 8, pack(Incoming(), [b"x"])):
        with pytest.raises(OneteamError):
            unpack(broken, Outgoing)


@settings(max_examples=200)
@given(st.binary(max_size=500))
def test_random_frames_never_crash(frame: bytes) -> None:
    for form in (Outgoing, Incoming):
        with pytest.raises(OneteamError):
            unpack(frame, form)


def test_another_members_error_cannot_forge_lines_of_a_log_or_paint_a_terminal() -> None:
    told = {"code": "trust.refused", "message": "no\n2026-03-01 ERROR all is lost\x1b[2J", "hint": "a\rb", "reasons": ["x\n"]}
    err = rebuild(told, "carrier-a")
    assert str(err) == "carrier-a: no\N{REPLACEMENT CHARACTER}2026-03-01 ERROR all is lost\N{REPLACEMENT CHARACTER}[2J"
    assert isinstance(err, RefusedError)
    assert (err.hint, err.reasons) == ("a\N{REPLACEMENT CHARACTER}b", ("x",))
