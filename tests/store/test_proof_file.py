"""Bare proofs as other logs and test suites write them."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oneteam.core.errors import FileUnreadableError, InputError, MissingColumnError, WrongTypeError
from oneteam.store import merkle
from oneteam.store.proof_file import NAMES, check_proof, read_object

BODIES = [f"entry {i}".encode() for i in range(8)]
LEAVES = [merkle.leaf_hash(body) for body in BODIES]
NODES: dict[tuple[int, int], bytes] = {}
for _size, _leaf in enumerate(LEAVES):
    for _level, _position, _hash in merkle.append(_size, _leaf, lambda level, position: NODES[level, position]):
        NODES[_level, _position] = _hash


def node(level: int, position: int) -> bytes:
    return NODES[level, position]


STANDARD: Callable[[bytes], str] = lambda raw: base64.b64encode(raw).decode()  # noqa: E731
WRITINGS: dict[str, Callable[[bytes], object]] = {
    "base64": STANDARD,
    "base64 without padding": lambda raw: base64.b64encode(raw).decode().rstrip("="),
    "base64url": lambda raw: base64.urlsafe_b64encode(raw).decode(),
    "base64url without padding": lambda raw: base64.urlsafe_b64encode(raw).decode().rstrip("="),
    "hex": bytes.hex,
    "HEX": lambda raw: raw.hex().upper(),
    "0x": lambda raw: f"0x{raw.hex()}",
    "numbers": list,
}


def inclusion(write: Callable[[bytes], object] = STANDARD, index: int = 3, size: int = 7) -> dict[str, object]:
    """As the test data of transparency-dev/merkle is written."""
    proof = [write(one) for one in merkle.prove_inclusion(index, size, node)]
    root = merkle.root(size, node)
    return {
        "leafIdx": index,
        "treeSize": size,
        "root": write(root),
        "leafHash": write(LEAVES[index]),
        "proof": proof,
        "desc": "a description",
        "wantErr": False,
    }


def consistency(write: Callable[[bytes], object] = STANDARD, old: int = 3, new: int = 7) -> dict[str, object]:
    return {
        "size1": old,
        "size2": new,
        "root1": write(merkle.root(old, node)),
        "root2": write(merkle.root(new, node)),
        "proof": [write(one) for one in merkle.prove_consistency(old, new, node)],
        "desc": "a description",
        "wantErr": False,
    }


@pytest.mark.parametrize("writing", WRITINGS)
def test_every_writing(writing: str) -> None:
    write = WRITINGS[writing]
    for size in range(1, 9):
        for index in range(size):
            assert check_proof("inclusion", inclusion(write, index, size)) == ""
            assert check_proof("consistency", consistency(write, index + 1, size)) == ""


@pytest.mark.parametrize(
    "names",
    [
        ("leafIdx", "treeSize", "leafHash", "root", "proof"),
        ("leaf_index", "tree_size", "leaf_hash", "root_hash", "inclusion_path"),
        ("leafIndex", "treeSize", "leaf_hash", "rootHash", "hashes"),
        ("index", "size", "leaf", "root", "path"),
        ("logIndex", "treeSize", "leaf-hash", "rootHash", "hashes"),
        ("leaf_index", "tree_size", "leaf_hash", "sha256_root_hash", "audit_path"),
    ],
)
def test_names_of_inclusion_proofs(names: tuple[str, ...]) -> None:
    given = inclusion()
    values = [given[name] for name in ("leafIdx", "treeSize", "leafHash", "root", "proof")]
    assert check_proof("inclusion", dict(zip(names, values, strict=True))) == ""


@pytest.mark.parametrize(
    "names",
    [
        ("size1", "size2", "root1", "root2", "proof"),
        ("size_1", "size_2", "root_1", "root_2", "consistency_proof"),
        ("first", "second", "first_hash", "second_hash", "consistency_path"),
        ("old_size", "new_size", "old_root", "new_root", "proof"),
        ("oldTreeSize", "newTreeSize", "oldRootHash", "newRootHash", "hashes"),
        ("first_tree_size", "second_tree_size", "first_root_hash", "second_root_hash", "path"),
        ("m", "n", "first_root", "second_root", "proof"),
    ],
)
def test_names_of_consistency_proofs(names: tuple[str, ...]) -> None:
    values = list(consistency().values())[:5]
    assert check_proof("consistency", dict(zip(names, values, strict=True))) == ""


def test_sizes_as_text_and_entries_instead_of_hashes() -> None:
    given = inclusion()
    del given["leafHash"]
    given |= {"leafIdx": "3", "treeSize": " 7 ", "leaf_input": STANDARD(BODIES[3])}
    assert check_proof("inclusion", given) == ""
    given["leaf_input"] = STANDARD(b"another")
    assert "root" in check_proof("inclusion", given)


@pytest.mark.parametrize("empty", [None, []])
def test_no_proof_is_an_empty_one(empty: object) -> None:
    assert check_proof("inclusion", inclusion(index=0, size=1) | {"proof": empty}) == ""
    assert check_proof("consistency", consistency(old=5, new=5) | {"proof": empty}) == ""
    assert check_proof("inclusion", inclusion() | {"proof": empty}) != ""
    bare = inclusion(index=0, size=1)
    del bare["proof"]
    assert check_proof("inclusion", bare) == ""


SHORT, LONG = STANDARD(LEAVES[0][:31]), STANDARD(LEAVES[0] + b"\0")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"leafIdx": 2}, "root"),
        ({"leafIdx": 7}, "not in a tree of 7"),
        ({"leafIdx": -1}, "not in a tree of 7"),
        ({"leafIdx": 2**64}, "not in a tree of 7"),
        ({"treeSize": 0}, "not in a tree of 0"),
        ({"treeSize": 2**64 - 1}, "fewer"),
        ({"treeSize": 4}, "more"),
        ({"root": None}, "root has 0 bytes"),
        ({"root": ""}, "root has 0 bytes"),
        ({"leafHash": SHORT}, "leaf hash has 31 bytes"),
        ({"leafHash": LEAVES[0].hex()[:62]}, "leaf hash has 4"),
        ({"root": LONG}, "root has 33 bytes"),
        ({"proof": [*inclusion()["proof"], STANDARD(LEAVES[0])]}, "more"),
        ({"proof": inclusion()["proof"][:-1]}, "fewer"),
        ({"proof": inclusion()["proof"][::-1]}, "root"),
        ({"proof": ["", *inclusion()["proof"][1:]]}, "proof element 0 has 0 bytes"),
        ({"proof": [None, *inclusion()["proof"][1:]]}, "proof element 0 has 0 bytes"),
    ],
)
def test_invalid_inclusion(change: dict[str, object], said: str) -> None:
    assert said in check_proof("inclusion", inclusion() | change)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"size1": 0}, "empty tree"),
        ({"size1": 0, "size2": 0, "proof": []}, "empty tree"),
        ({"size1": 0, "proof": []}, "empty tree"),
        ({"size1": 8}, "does not begin"),
        ({"size2": 0}, "does not begin"),
        ({"size1": -3}, "does not begin"),
        ({"size1": 7}, "cannot have"),
        ({"size1": 7, "proof": []}, "two different roots"),
        ({"size1": 2}, "more"),
        ({"size2": 2**64 - 1}, "fewer"),
        ({"proof": []}, "cannot have 0"),
        ({"proof": consistency()["proof"][:-1]}, "fewer"),
        ({"proof": [*consistency()["proof"], STANDARD(LEAVES[0])]}, "more"),
        ({"root1": consistency()["root2"]}, "old root"),
        ({"root2": consistency()["root1"]}, "new root"),
        ({"root1": SHORT}, "old root has 31 bytes"),
        ({"root2": LONG}, "new root has 33 bytes"),
    ],
)
def test_invalid_consistency(change: dict[str, object], said: str) -> None:
    assert said in check_proof("consistency", consistency() | change)


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"leafIdx": 1.5}, WrongTypeError),
        ({"leafIdx": True}, WrongTypeError),
        ({"leafIdx": None}, WrongTypeError),
        ({"leafIdx": "three"}, WrongTypeError),
        ({"treeSize": "9" * 5000}, WrongTypeError),
        ({"root": "not base64!"}, WrongTypeError),
        ({"root": 17}, WrongTypeError),
        ({"root": "0xzz"}, WrongTypeError),
        ({"root": [300]}, WrongTypeError),
        ({"proof": "AAAA"}, WrongTypeError),
        ({"proof": [["AAAA"]]}, WrongTypeError),
        ({"proof": 0}, WrongTypeError),
    ],
)
def test_unreadable(change: dict[str, object], error: type[Exception]) -> None:
    with pytest.raises(error, match="field"):
        check_proof("inclusion", inclusion() | change)


@pytest.mark.parametrize("missing", ["leafIdx", "treeSize", "leafHash", "root"])
def test_missing_fields(missing: str) -> None:
    given = inclusion()
    del given[missing]
    with pytest.raises(MissingColumnError, match="inclusion proof has no") as caught:
        check_proof("inclusion", given)
    assert "Name it one of" in caught.value.hint


@pytest.mark.parametrize("text", ["", "{", "[]", "17", "null", '"text"', "[" * 100_000, b"\xff\xfe", '{"a": 1}{"b": 2}', "9" * 10_000])
def test_not_an_object(text: str | bytes) -> None:
    with pytest.raises(FileUnreadableError):
        read_object(text, "file.json")


def test_names_mean_one_thing_each() -> None:
    for meanings in NAMES.values():
        names = [name for accepted in meanings.values() for name in accepted]
        assert len(names) == len(set(names))
        assert all(name == name.lower().replace("_", "").replace("-", "") for name in names)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=70), lambda inner: st.lists(inner, max_size=3), max_leaves=5
)
FIELDS = st.sampled_from([*inclusion(), *consistency(), "first", "leaf"])


@given(st.dictionaries(FIELDS, JSON, max_size=5), st.sampled_from(["inclusion", "consistency"]))
def test_any_object_gives_a_verdict_or_an_input_error(document: dict[str, object], kind: str) -> None:
    for one in (document, (inclusion() if kind == "inclusion" else consistency()) | document):
        try:
            found = check_proof(kind, json.loads(json.dumps(one)))
        except InputError:
            continue
        assert isinstance(found, str)


def test_a_list_under_an_unknown_name_is_not_an_empty_proof() -> None:
    document = {"first": 1, "second": 2, "first_hash": "00" * 32, "second_hash": "11" * 32, "witnesses": ["22" * 32]}
    with pytest.raises(MissingColumnError, match="witnesses"):
        check_proof("consistency", document)
    # What RFC 6962's own get-sth-consistency answers with.
    assert "lead" in check_proof("consistency", {**document, "consistency": document.pop("witnesses")})
