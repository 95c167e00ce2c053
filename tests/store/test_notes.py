"""Signed notes, checkpoints, cosignatures: other implementations' vectors, and forgeries."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oneteam.core.errors import BadSignatureError, OneteamError, WrongTypeError
from oneteam.core.keys import Keys
from oneteam.store import notes
from oneteam.store.notes import Checkpoint, Note, Signature

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
KEYS, WITNESS, OTHER = Keys.generate(), Keys.generate(), Keys.generate()
CHECKPOINT = Checkpoint("oneteam.log/kt", 7, bytes(range(32)))
NOTE = str(notes.sign_checkpoint(CHECKPOINT, KEYS))
LOG_KEY, WITNESS_KEY = KEYS.public.verify, WITNESS.public.verify
WITNESS_NAME = "oneteam.log/skt"
COSIGNED = str(Note.parse(NOTE).signed_also(notes.cosign(CHECKPOINT, WITNESS_NAME, WITNESS, NOW)))


def test_the_vector_of_the_first_implementation() -> None:
    """The example of Go's sumdb/note package."""
    name, kind, public = notes.read_verifier_key("PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW")
    note = Note.parse(
        "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n\n"
        "— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"
    )
    assert kind == notes.LOG_SIGNATURE
    assert notes.check_signatures(note, name, public)
    with pytest.raises(BadSignatureError):
        notes.check_signatures(replace(note, text=note.text.upper()), name, public)


def test_the_example_of_the_specification_is_read_and_written_alike() -> None:
    text = (
        "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n\n"
        "— example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=\n"
        "— witness.example.com/w1 "
        "jWbPPwAAAABkGFDLEZMHwSRaJNiIDoe9DYn/zXcrtPHeolMI5OWXEhZCB9dlrDJsX3b2oyin1nPZqhf5nNo0xUe+mbIUBkBIfZ+qnA==\n"
    )
    note = Note.parse(text)
    assert str(note) == text
    assert Checkpoint.parse(note.text).size == 20852163
    assert Checkpoint.parse(note.text).text == note.text
    assert int.from_bytes(note.signatures[1].content[:8]) == 1679315147


def test_open() -> None:
    opened = notes.open_checkpoint(COSIGNED, LOG_KEY, {WITNESS_NAME: WITNESS_KEY, "oneteam.log/lgu": OTHER.public.verify})
    assert opened.checkpoint == CHECKPOINT
    assert opened.cosigned == {WITNESS_NAME: NOW}


def test_signatures_of_unknown_keys_are_passed_over() -> None:
    unknown = Signature("someone", b"\0\0\0\1", b"anything")
    assert notes.open_checkpoint(str(Note.parse(NOTE).signed_also(unknown)), LOG_KEY).checkpoint == CHECKPOINT


@pytest.mark.parametrize(
    "forged",
    [
        NOTE.replace("\n7\n", "\n8\n"),
        NOTE.replace("oneteam.log/kt\n7", "oneteam.log/kr\n7"),
        str(notes.sign_checkpoint(CHECKPOINT, OTHER)),
        str(notes.sign_checkpoint(replace(CHECKPOINT, origin="oneteam.log/kx"), OTHER)).replace("kx", "kt"),
        # the witness's cosignature alone is not the log's signature
        str(replace(Note.parse(COSIGNED), signatures=Note.parse(COSIGNED).signatures[1:])),
    ],
)
def test_forged_notes(forged: str) -> None:
    with pytest.raises(BadSignatureError):
        notes.open_checkpoint(forged, LOG_KEY)


def test_a_known_key_s_bad_signature_spoils_the_note() -> None:
    good = Note.parse(COSIGNED)
    line = good.signatures[1]
    later = (int.from_bytes(line.content[:8]) + 1).to_bytes(8)
    for bad in (
        later + line.content[8:],
        line.content[:-1] + bytes([line.content[-1] ^ 1]),
        line.content[:-1],
        b"\0",
        line.content[:8] + bytes(64),
    ):
        note = replace(good, signatures=(good.signatures[0], replace(line, content=bad)))
        with pytest.raises(BadSignatureError):
            notes.open_checkpoint(str(note), LOG_KEY, {WITNESS_NAME: WITNESS_KEY})
        assert notes.open_checkpoint(str(note), LOG_KEY).checkpoint == CHECKPOINT


def test_a_signature_of_one_kind_never_passes_as_another() -> None:
    """One key signs as log, as witness, and bare; none of the three can be shown as one of the others."""
    text = CHECKPOINT.text.encode()
    bare = KEYS.sign("checkpoint", text)
    cosigned = notes.cosign(CHECKPOINT, CHECKPOINT.origin, KEYS, NOW)
    for content in (bare, cosigned.content[8:]):
        as_log = Signature(CHECKPOINT.origin, notes.key_id(CHECKPOINT.origin, notes.LOG_SIGNATURE, LOG_KEY), content)
        with pytest.raises(BadSignatureError):
            notes.open_checkpoint(str(Note(CHECKPOINT.text, (as_log,))), LOG_KEY)
    for origin in ("cosignature/v1", "oneteam/1", "two words", "a+b", "", "tab\there", "x" * 256, "line\nbreak"):
        with pytest.raises(WrongTypeError):
            Checkpoint(origin, 1, bytes(32))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\n",
        "\n\n",
        "text\n",
        "text\n\n",
        "text\n\n— name\n",
        "text\n\n— name AAAA\n",
        "text\n\n- name AAAAAAAA\n",
        "text\n\n— na+me AAAAAAAA\n",
        "text\n\n— name AAAAAAAA",
        "text\n\n— name AAAAAAA\n",
        "text\n\n— name AAAAAAB=\n",
        "te\txt\n\n— name AAAAAAAA\n",
        "te\ud800xt\n\n— name AAAAAAAA\n",
        "text\n\n" + "— name AAAAAAAA\n" * 65,
        "x" * 70_000,
    ],
)
def test_not_a_note(text: str) -> None:
    with pytest.raises(WrongTypeError):
        Note.parse(text)


@pytest.mark.parametrize(
    "text",
    [
        "origin\n1\n",
        "origin\n01\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n",
        "origin\n-1\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n",
        "origin\n1\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFV=\n",
        "origin\n1\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuA==\n",
        "origin\n9999999999999999999\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n",
        "origin\n1\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\nextension\n",
        "\n1\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n",
        "origin\n١\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n",
    ],
)
def test_not_a_checkpoint(text: str) -> None:
    with pytest.raises(WrongTypeError):
        Checkpoint.parse(text)


def test_verifier_keys() -> None:
    text = notes.verifier_key("oneteam.log/kt", KEYS.public, notes.COSIGNATURE)
    assert notes.read_verifier_key(text) == ("oneteam.log/kt", notes.COSIGNATURE, LOG_KEY)
    for bad in ("", "a+b", text.replace("kt", "kx"), text[:-2], text + "A", notes.verifier_key("x", KEYS.public, 2)):
        with pytest.raises(WrongTypeError):
            notes.read_verifier_key(bad)


@given(st.text(max_size=80), st.integers(0, len(COSIGNED)), st.integers(0, 40))
def test_any_text_is_a_note_or_an_error(text: str, at: int, cut: int) -> None:
    mutated = COSIGNED[:at] + text + COSIGNED[at + cut :]
    for candidate in (text, mutated):
        try:
            opened = notes.open_checkpoint(candidate, LOG_KEY, {WITNESS_NAME: WITNESS_KEY})
        except OneteamError:
            continue
        assert opened.checkpoint == CHECKPOINT
