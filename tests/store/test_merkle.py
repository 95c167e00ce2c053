"""Tree maths against the definitions of RFC 6962, written out as they stand there, and against everything that a liar could change."""

from __future__ import annotations

from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oneteam.core.errors import LogError, WrongTypeError
from oneteam.store import merkle

LARGEST = 33
ENTRIES = [f"entry {i}".encode() for i in range(LARGEST)]
LEAVES = [merkle.leaf_hash(entry) for entry in ENTRIES]


def defined_root(entries: list[bytes]) -> bytes:
    """MTH of section 2.1."""
    if not entries:
        return sha256().digest()
    if len(entries) == 1:
        return sha256(b"\0" + entries[0]).digest()
    k = split(len(entries))
    return sha256(b"\1" + defined_root(entries[:k]) + defined_root(entries[k:])).digest()


def split(n: int) -> int:
    return max(2**i for i in range(64) if 2**i < n)


def defined_path(m: int, entries: list[bytes]) -> list[bytes]:
    """PATH of section 2.1.1."""
    if len(entries) == 1:
        return []
    k = split(len(entries))
    if m < k:
        return [*defined_path(m, entries[:k]), defined_root(entries[k:])]
    return [*defined_path(m - k, entries[k:]), defined_root(entries[:k])]


def defined_proof(m: int, entries: list[bytes], whole: bool = True) -> list[bytes]:
    """PROOF and SUBPROOF of section 2.1.2."""
    if m == len(entries):
        return [] if whole else [defined_root(entries)]
    k = split(len(entries))
    if m <= k:
        return [*defined_proof(m, entries[:k], whole), defined_root(entries[k:])]
    return [*defined_proof(m - k, entries[k:], whole=False), defined_root(entries[:k])]


NODES: dict[tuple[int, int], bytes] = {}
for _size, _leaf in enumerate(LEAVES):
    for _level, _position, _hash in merkle.append(_size, _leaf, lambda level, position: NODES[level, position]):
        NODES[_level, _position] = _hash


def node(level: int, position: int) -> bytes:
    return NODES[level, position]


ROOTS = [defined_root(ENTRIES[:size]) for size in range(LARGEST + 1)]


def holds(check, *arguments) -> bool:
    try:
        check(*arguments)
    except LogError:
        return False
    return True


def test_the_rfc_s_own_tree() -> None:
    """Roots of the eight test entries that the log's first implementers published and every implementation repeats."""
    entries = [
        bytes.fromhex(t) for t in ("", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f")
    ]
    roots = {
        1: "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        2: "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
        8: "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
    }
    for size, expected in roots.items():
        assert merkle.root_of([merkle.leaf_hash(entry) for entry in entries[:size]]).hex() == expected


def test_roots() -> None:
    for size in range(LARGEST + 1):
        assert merkle.root(size, node) == merkle.root_of(LEAVES[:size]) == ROOTS[size]


def test_only_complete_subtrees_are_stored() -> None:
    assert len(NODES) == sum(LARGEST >> level for level in range(7))


def test_proofs_are_the_defined_ones_and_hold() -> None:
    for size in range(1, LARGEST + 1):
        for index in range(size):
            path = merkle.prove_inclusion(index, size, node)
            assert list(path) == defined_path(index, ENTRIES[:size])
            merkle.verify_inclusion(LEAVES[index], index, size, path, ROOTS[size])
        for old in range(1, size + 1):
            proof = merkle.prove_consistency(old, size, node)
            assert list(proof) == defined_proof(old, ENTRIES[:size])
            merkle.verify_consistency(old, size, proof, ROOTS[old], ROOTS[size])


def test_a_proof_holds_for_nothing_else() -> None:
    """No other entry, index, size or root fits; where another size gives the same path, the root decides."""
    for size in range(1, 18):
        for index in range(size):
            path = merkle.prove_inclusion(index, size, node)
            for other in range(18):
                if other != index:
                    assert not holds(merkle.verify_inclusion, LEAVES[other], index, size, path, ROOTS[size])
                    assert not holds(merkle.verify_inclusion, LEAVES[index], other, size, path, ROOTS[size])
                if other != size:
                    assert not holds(merkle.verify_inclusion, LEAVES[index], index, size, path, ROOTS[other])
        for old in range(1, size):
            proof = merkle.prove_consistency(old, size, node)
            for other in range(18):
                if other != old:
                    assert not holds(merkle.verify_consistency, old, size, proof, ROOTS[other], ROOTS[size])
                    assert not holds(merkle.verify_consistency, other, size, proof, ROOTS[old], ROOTS[size])
                if other != size:
                    assert not holds(merkle.verify_consistency, old, size, proof, ROOTS[old], ROOTS[other])


def spoiled(proof: tuple[bytes, ...]) -> list[tuple[bytes, ...]]:
    some = merkle.leaf_hash(b"something else")
    changed = [(*proof[:i], bytes([proof[i][0] ^ 16]) + proof[i][1:], *proof[i + 1 :]) for i in range(len(proof))]
    swapped = [(*proof[:i], proof[i + 1], proof[i], *proof[i + 2 :]) for i in range(len(proof) - 1)]
    shorter = [proof[:-1], proof[1:]] if proof else []
    length = [(proof[0][:-1], *proof[1:]), (proof[0] + b"\0", *proof[1:]), (b"", *proof[1:])] if proof else []
    return [*changed, *swapped, *shorter, *length, (*proof, some), (some, *proof), (*proof, b""), proof + proof[-1:] if proof else (b"",)]


def test_spoiled_proofs_fail() -> None:
    for size in range(1, 18):
        for index in range(size):
            for proof in spoiled(merkle.prove_inclusion(index, size, node)):
                assert not holds(merkle.verify_inclusion, LEAVES[index], index, size, proof, ROOTS[size])
        for old in range(1, size + 1):
            for proof in spoiled(merkle.prove_consistency(old, size, node)):
                assert not holds(merkle.verify_consistency, old, size, proof, ROOTS[old], ROOTS[size])


def test_edges() -> None:
    one = LEAVES[0]
    with pytest.raises(LogError, match="not in a tree of 0"):
        merkle.verify_inclusion(one, 0, 0, [], merkle.EMPTY_ROOT)
    with pytest.raises(LogError, match="not in a tree of 1"):
        merkle.verify_inclusion(one, 1, 1, [], one)
    with pytest.raises(LogError, match="not in a tree of 1"):
        merkle.verify_inclusion(one, -1, 1, [], one)
    with pytest.raises(LogError, match="leaf hash has 31 bytes"):
        merkle.verify_inclusion(one[1:], 0, 1, [], one)
    with pytest.raises(LogError, match="root has 33 bytes"):
        merkle.verify_inclusion(one, 0, 1, [], one + b"\0")
    with pytest.raises(LogError, match="empty tree"):
        merkle.verify_consistency(0, 0, [], merkle.EMPTY_ROOT, merkle.EMPTY_ROOT)
    with pytest.raises(LogError, match="empty tree"):
        merkle.verify_consistency(0, 1, [], merkle.EMPTY_ROOT, one)
    with pytest.raises(LogError, match="does not begin"):
        merkle.verify_consistency(2, 1, [], one, one)
    with pytest.raises(LogError, match="two different roots"):
        merkle.verify_consistency(2, 2, [], ROOTS[2], ROOTS[3])
    with pytest.raises(LogError, match="new root has 0 bytes"):
        merkle.verify_consistency(1, 2, [LEAVES[1]], one, b"")


def test_bytes_cannot_move_between_neighbours() -> None:
    """A leaf that is a byte too short beside a sibling that is a byte too long hashes to the same inner node."""
    a, b = LEAVES[:2]
    merkle.verify_inclusion(a, 0, 2, [b], ROOTS[2])
    with pytest.raises(LogError, match="31 bytes"):
        merkle.verify_inclusion(a[:-1], 0, 2, [a[-1:] + b], ROOTS[2])


def test_huge_sizes_end_at_once() -> None:
    for size in (2**63, 2**64 - 1, 2**200):
        assert not holds(merkle.verify_inclusion, LEAVES[0], size - 1, size, [LEAVES[1]] * 3, ROOTS[2])
        assert not holds(merkle.verify_consistency, size - 1, size, [LEAVES[1]] * 3, ROOTS[1], ROOTS[2])


@pytest.mark.parametrize(
    ("prove", "arguments"), [("inclusion", (3, 3)), ("inclusion", (-1, 3)), ("consistency", (4, 3)), ("consistency", (-1, 3))]
)
def test_what_cannot_be_proved(prove: str, arguments: tuple[int, int]) -> None:
    with pytest.raises(WrongTypeError):
        getattr(merkle, f"prove_{prove}")(*arguments, node)


@given(
    st.integers(-2, 40),
    st.integers(-2, 40),
    st.lists(st.binary(max_size=40) | st.sampled_from(LEAVES), max_size=8),
    st.binary(max_size=40) | st.sampled_from(ROOTS),
    st.binary(max_size=40) | st.sampled_from(ROOTS),
)
def test_any_input_gives_a_verdict(first: int, second: int, proof: list[bytes], one: bytes, other: bytes) -> None:
    holds(merkle.verify_inclusion, one, first, second, proof, other)
    holds(merkle.verify_consistency, first, second, proof, one, other)
