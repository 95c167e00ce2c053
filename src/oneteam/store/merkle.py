"""The Merkle tree of a log: roots, proofs that an entry is in it, proofs that it only grew.

Pure functions. A tree of n leaves is the one of RFC 6962: its left half is the largest power of two below n. Every complete subtree
keeps its hash for ever, so a stored tree is the table of those hashes by level (0 for leaves) and position, and anything else is put
together from O(log n) of them. Hashes have 32 bytes.

Source: RFC 6962, section 2.1; RFC 9162, sections 2.1.3.2 and 2.1.4.2 (verification).
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Iterable, Iterator, Sequence
from hashlib import sha256
from typing import Final

from oneteam.core.errors import LogError, WrongTypeError

HASH_BYTES: Final = 32
EMPTY_ROOT: Final = sha256(b"").digest()
"""Root of the tree without leaves."""

Node = Callable[[int, int], bytes]
"""The hash of the complete subtree at (level, position): its leaves are position * 2^level to (position + 1) * 2^level - 1."""


def leaf_hash(entry: bytes) -> bytes:
    """Hash of one entry; the leading zero byte keeps it from passing as an inner node.

    >>> leaf_hash(b"").hex()[:16]
    '6e340b9cffb37a98'
    """
    return sha256(b"\x00" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Hash of an inner node."""
    return sha256(b"\x01" + left + right).digest()


def append(size: int, leaf: bytes, node: Node) -> list[tuple[int, int, bytes]]:
    """The complete subtrees that a new leaf completes, the leaf itself first, as (level, position, hash).

    Args:
        size: leaves so far.
        leaf: the new leaf's hash.
        node: the stored hashes.

    >>> [(level, position) for level, position, _ in append(3, leaf_hash(b"d"), lambda level, position: bytes(32))]
    [(0, 3), (1, 1), (2, 0)]
    """
    level, position, value = 0, size, leaf
    made = [(level, position, value)]
    while position & 1:
        value = node_hash(node(level, position - 1), value)
        level, position = level + 1, position >> 1
        made.append((level, position, value))
    return made


def root(size: int, node: Node) -> bytes:
    """Root of the first ``size`` leaves."""
    return _range_hash(0, size, node) if size else EMPTY_ROOT


def root_of(leaves: Iterable[bytes]) -> bytes:
    """Root of the tree over these leaf hashes, in memory O(log n).

    >>> root_of([]) == EMPTY_ROOT
    True
    """
    peaks: list[tuple[int, bytes]] = []
    for leaf in leaves:
        level, value = 0, leaf
        while peaks and peaks[-1][0] == level:
            level, value = level + 1, node_hash(peaks.pop()[1], value)
        peaks.append((level, value))
    if not peaks:
        return EMPTY_ROOT
    value = peaks.pop()[1]
    while peaks:
        value = node_hash(peaks.pop()[1], value)
    return value


def prove_inclusion(index: int, size: int, node: Node) -> tuple[bytes, ...]:
    """The audit path of one leaf in the tree of the first ``size`` leaves, from the leaf upwards.

    Raises:
        WrongTypeError: there is no such leaf in that tree.
    """
    if not 0 <= index < size:
        raise WrongTypeError(f"entry {index} is not in a tree of {size} entries", hint="Entries count from 0.")
    path: list[bytes] = []
    first, end = 0, size
    while end - first > 1:
        middle = first + _split(end - first)
        if index < middle:
            path.append(_range_hash(middle, end, node))
            end = middle
        else:
            path.append(_range_hash(first, middle, node))
            first = middle
    return tuple(reversed(path))


def prove_consistency(old: int, new: int, node: Node) -> tuple[bytes, ...]:
    """What shows that the tree of ``old`` leaves is the beginning of the tree of ``new`` leaves.

    Empty for equal sizes, and for ``old = 0``, where there is nothing to show.

    Raises:
        WrongTypeError: a size below zero, or the old tree is the larger one.
    """
    if not 0 <= old <= new:
        raise WrongTypeError(f"no consistency proof from {old} to {new} entries", hint="The old tree comes first and is not larger.")
    if old in {0, new}:
        return ()
    path: list[bytes] = []
    first, end, whole = 0, new, True
    while old != end:
        middle = first + _split(end - first)
        if old <= middle:
            path.append(_range_hash(middle, end, node))
            end = middle
        else:
            path.append(_range_hash(first, middle, node))
            first, whole = middle, False
    if not whole:
        path.append(_range_hash(first, end, node))
    return tuple(reversed(path))


def verify_inclusion(leaf: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes) -> None:
    """Check that the leaf stands at ``index`` of the tree with this size and root.

    Raises:
        LogError: it does not; the message says which check failed.

    >>> a, b = leaf_hash(b"a"), leaf_hash(b"b")
    >>> verify_inclusion(a, 0, 2, [b], node_hash(a, b))
    """
    _check_hashes(("leaf hash", leaf), ("root", root), *((f"proof element {i}", value) for i, value in enumerate(proof)))
    if not 0 <= index < size:
        raise LogError(f"index {index} is not in a tree of {size} entries")
    value = leaf
    for sibling, left in _walk(index, size - 1, proof):
        value = node_hash(sibling, value) if left else node_hash(value, sibling)
    if not hmac.compare_digest(value, root):
        raise LogError("the root that the proof leads to is not the given one")


def verify_consistency(old: int, new: int, proof: Sequence[bytes], old_root: bytes, new_root: bytes) -> None:
    """Check that the tree (new, new_root) begins with the tree (old, old_root).

    For an empty old tree the proof is not defined: it is the beginning of every tree, and knowing that proves nothing. Equal sizes need
    equal roots and an empty proof.

    Raises:
        LogError: it does not; the message says which check failed.

    >>> a, b = leaf_hash(b"a"), leaf_hash(b"b")
    >>> verify_consistency(1, 2, [b], a, node_hash(a, b))
    """
    if old == 0:
        raise LogError("nothing can be proved from an empty tree: it is the beginning of every tree")
    if not 0 < old <= new:
        raise LogError(f"a tree of {new} entries does not begin with one of {old}")
    if (old == new) == bool(proof):
        raise LogError(f"from {old} to {new} entries the proof cannot have {len(proof)} elements")
    if old == new:
        if not hmac.compare_digest(old_root, new_root):
            raise LogError(f"two different roots for {old} entries")
        return
    _check_hashes(("old root", old_root), ("new root", new_root), *((f"proof element {i}", value) for i, value in enumerate(proof)))
    path = list(proof) if old & (old - 1) else [old_root, *proof]
    # The path begins at the largest complete subtree that ends where the old tree ends.
    level = (old & -old).bit_length() - 1
    old_value = new_value = path[0]
    for sibling, left in _walk((old - 1) >> level, (new - 1) >> level, path[1:]):
        if left:
            old_value = node_hash(sibling, old_value)
        new_value = node_hash(sibling, new_value) if left else node_hash(new_value, sibling)
    for name, value, given in (("old", old_value, old_root), ("new", new_value, new_root)):
        if not hmac.compare_digest(value, given):
            raise LogError(f"the {name} root that the proof leads to is not the given one")


def _walk(at: int, last: int, proof: Sequence[bytes]) -> Iterator[tuple[bytes, bool]]:
    """Each element of a path, and whether it stands left of the node reached so far.

    Args:
        at: that node's position on its level.
        last: position of the tree's last node on that level.
        proof: the elements.

    Raises:
        LogError: too many or too few of them.
    """
    for sibling in proof:
        if last == 0:
            raise LogError(f"the proof has {len(proof)} elements, more than its place in the tree has")
        left = bool(at & 1) or at == last
        if left:
            while at and not at & 1:  # a node without a right sibling moves up unchanged
                at, last = at >> 1, last >> 1
        at, last = at >> 1, last >> 1
        yield sibling, left
    if last:
        raise LogError(f"the proof has {len(proof)} elements, fewer than its place in the tree needs")


def _split(count: int) -> int:
    """The largest power of two below ``count``."""
    return 1 << (count - 1).bit_length() - 1


def _range_hash(first: int, end: int, node: Node) -> bytes:
    """Hash of the leaves from ``first`` to ``end``, where ``first`` is a multiple of the least power of two not below their number."""
    peaks: list[bytes] = []
    while first < end:
        level = (end - first).bit_length() - 1
        peaks.append(node(level, first >> level))
        first += 1 << level
    value = peaks.pop()
    while peaks:
        value = node_hash(peaks.pop(), value)
    return value


def _check_hashes(*named: tuple[str, bytes]) -> None:
    for name, value in named:
        if len(value) != HASH_BYTES:
            raise LogError(f"{name} has {len(value)} bytes, not {HASH_BYTES}")
