"""Bare proofs from anybody's hands: a JSON object in, a verdict out.

Other logs and test suites name the same few things in many ways (``leafIdx``, ``leaf_index``, ``logIndex``; ``size1``, ``first``,
``old_size``) and write hashes in base64, base64url or hex. Names are read without regard to case, underscores and hyphens. What the
object says beside the proof, such as a description, is passed over.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Mapping
from typing import Any, Final, Literal

from oneteam.core.errors import FileUnreadableError, LogError, MissingColumnError, WrongTypeError
from oneteam.store import merkle

Kind = Literal["inclusion", "consistency"]

_PROOF: Final = (
    "proof",
    "path",
    "auditpath",
    "inclusionpath",
    "consistencypath",
    "inclusionproof",
    "consistencyproof",
    "merkleproof",
    "auditproof",
    "inclusion",
    "consistency",
    "hashes",
    "nodes",
    "siblings",
)
NAMES: Final[dict[str, dict[str, tuple[str, ...]]]] = {
    "inclusion": {
        "index": ("leafindex", "leafidx", "index", "idx", "logindex", "entryindex", "leafnumber", "m"),
        "size": ("treesize", "size", "logsize", "n"),
        "root": ("root", "roothash", "sha256roothash", "treeroot"),
        "leaf": ("leafhash", "leaf", "merkleleafhash", "hash"),
        "entry": ("entry", "leafinput", "leafdata", "data", "body"),
        "proof": _PROOF,
    },
    "consistency": {
        "old": (
            "size1",
            "oldsize",
            "first",
            "firstsize",
            "firsttreesize",
            "treesize1",
            "oldtreesize",
            "snapshot1",
            "sizeold",
            "treesizeold",
            "from",
            "m",
        ),
        "new": (
            "size2",
            "newsize",
            "second",
            "secondsize",
            "secondtreesize",
            "treesize2",
            "newtreesize",
            "snapshot2",
            "sizenew",
            "treesizenew",
            "to",
            "n",
            "size",
            "treesize",
        ),
        "old_root": ("root1", "oldroot", "firsthash", "firstroot", "roothash1", "oldroothash", "firstroothash", "hash1", "rootold"),
        "new_root": (
            "root2",
            "newroot",
            "secondhash",
            "secondroot",
            "roothash2",
            "newroothash",
            "secondroothash",
            "hash2",
            "rootnew",
            "root",
            "roothash",
        ),
        "proof": _PROOF,
    },
}
"""Accepted names, without case, underscores and hyphens; the first found counts."""

_HEX_HASH: Final = re.compile(r"(?:0[xX])?[0-9a-fA-F]{64}")
_WHOLE: Final = re.compile(r"-?[0-9]{1,78}")


def read_object(text: str | bytes, name: str) -> dict[str, Any]:
    """The JSON object of a file.

    Args:
        text: its content.
        name: for the message.

    Raises:
        FileUnreadableError: not one JSON object.
    """
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as err:
        raise FileUnreadableError(f"{name}: not JSON: {err}", hint="Give a file that holds one JSON object.") from err
    if not isinstance(found, dict):
        raise FileUnreadableError(f"{name}: not a JSON object but a {type(found).__name__}", hint="Give one proof per file.")
    return found


def check_proof(kind: Kind, document: Mapping[str, Any]) -> str:
    """Verify a bare proof (RFC 6962); why it fails, empty when it holds.

    Args:
        kind: of proof.
        document: sizes, hashes and proof under any of `NAMES`. A missing or null proof is an empty one.

    Raises:
        MissingColumnError: a size, index or hash is not given.
        WrongTypeError: a size or hash that cannot be read as one.

    >>> check_proof("inclusion", {"leafIdx": 0, "treeSize": 1, "leafHash": "00" * 32, "root": "00" * 32, "proof": None})
    ''
    >>> check_proof("inclusion", {"leafIdx": 1, "treeSize": 1, "leafHash": "00" * 32, "root": "00" * 32})
    'index 1 is not in a tree of 1 entries'
    """
    given = _Given(kind, document)
    proof = given.hashes("proof")
    try:
        if kind == "inclusion":
            leaf = given.hash("leaf") if given.has("leaf") or not given.has("entry") else merkle.leaf_hash(given.hash("entry"))
            merkle.verify_inclusion(leaf, given.whole("index"), given.whole("size"), proof, given.hash("root"))
        else:
            merkle.verify_consistency(given.whole("old"), given.whole("new"), proof, given.hash("old_root"), given.hash("new_root"))
    except LogError as err:
        return err.message
    return ""


class _Given:
    """A document's fields by meaning."""

    def __init__(self, kind: Kind, document: Mapping[str, Any]) -> None:
        plain = {re.sub(r"[_\- ]", "", name).lower(): name for name in reversed(list(document))}
        self._names = {meaning: next((plain[n] for n in names if n in plain), None) for meaning, names in NAMES[kind].items()}
        self._kind = kind
        self._document = document

    def has(self, meaning: str) -> bool:
        return self._names[meaning] is not None

    def whole(self, meaning: str) -> int:
        name, value = self._field(meaning)
        if isinstance(value, int) and not isinstance(value, bool):
            return value
        if isinstance(value, str) and _WHOLE.fullmatch(value.strip()):
            return int(value)
        raise WrongTypeError(f"field '{name}': {value!r:.60} is not a whole number")

    def hash(self, meaning: str) -> bytes:
        name, value = self._field(meaning)
        return _bytes(name, value)

    def hashes(self, meaning: str) -> list[bytes]:
        if self._names[meaning] is None:
            # Nothing is an empty proof; a list under a name that is not known is no proof of anything.
            lists = [name for name, value in self._document.items() if isinstance(value, list)]
            if lists:
                wanted = ", ".join(NAMES[self._kind][meaning][:4])
                raise MissingColumnError(f"field '{lists[0]}': not known as a proof", hint=f"Name it one of: {wanted}.")
            return []
        name, value = self._field(meaning)
        if isinstance(value, Mapping):  # wrapped once more, as {"proof": {"hashes": [...]}}
            inner = {re.sub(r"[_\- ]", "", key).lower(): key for key in value}
            name, value = next(((inner[n], value[inner[n]]) for n in _PROOF if n in inner), (name, value))
        if value is None:
            return []
        if not isinstance(value, list):
            raise WrongTypeError(f"field '{name}': a proof is a list of hashes, not {value!r:.60}")
        return [_bytes(f"{name}[{i}]", one) for i, one in enumerate(value)]

    def _field(self, meaning: str) -> tuple[str, Any]:
        name = self._names[meaning]
        if name is None:
            wanted = ", ".join(NAMES[self._kind][meaning][:4])
            raise MissingColumnError(f"the {self._kind} proof has no {meaning.replace('_', ' ')}", hint=f"Name it one of: {wanted}.")
        return name, self._document[name]


def _bytes(name: str, value: object) -> bytes:
    """Hex where it is hex of 32 bytes, else base64 of either alphabet, padded or not; null is no bytes at all."""
    if value is None:
        return b""
    if isinstance(value, list) and all(isinstance(one, int) and not isinstance(one, bool) and 0 <= one < 256 for one in value):
        return bytes(value)
    if isinstance(value, str):
        text = value.strip()
        if _HEX_HASH.fullmatch(text):
            return bytes.fromhex(text[-64:])
        try:
            if text[:2].lower() == "0x":
                return bytes.fromhex(text[2:])
            bare = text.rstrip("=").replace("-", "+").replace("_", "/")
            return base64.b64decode(bare + "=" * (-len(bare) % 4), validate=True)
        except (binascii.Error, ValueError):
            pass
    raise WrongTypeError(
        f"field '{name}': {value!r:.60} is neither base64 nor hex", hint="A hash has 32 bytes: 44 characters of base64 or 64 of hex."
    )
