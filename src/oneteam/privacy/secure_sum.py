"""Secure sum: tables of several members are added, and nobody sees any single one of them.

The protocol is that of Bonawitz et al. (2017), "Practical secure aggregation for privacy-preserving machine learning" (CCS), figure 4, with
the recipient in the place of the server and the alliance's roster in the place of the public-key infrastructure::

    1 open     every member: a fresh X25519 key and a fresh self-mask seed; Shamir shares of both, sealed to each other member; signed
    2 mask     every member: values + self mask + a mask per other member that cancels in the sum, modulo 2^64; signed
    3 reveal   every member, once: for who arrived its share of the seed, for who dropped out its share of the key; sealed to the recipient
    (agree)    only after a drop-out, between 2 and 3: every member signs, once, who arrived

A reveal rests on signed headers of all who arrived, each over the same openings. If somebody who opened did not arrive, it also rests on
``threshold`` signed votes for the same survivors. With threshold > (n + t) / 2 no two sets of openings and no two sets of survivors can
both be completed, so of a member that does not collude never both secrets come out, and the one sum that comes out holds the noise of at
least threshold - t members that do not collude. ``docs/secure-sum.md`` has protocol, threat model and proof.

What is secret is computed without branches or table look-ups that depend on it: X25519, ChaCha20 and HPKE by OpenSSL, Shamir's shares by
shifts and masks over whole arrays. Randomness comes from the operating system and can not be seeded.

Nothing here reads a file, a clock or a network. One round is one `MemberRound` per member and one `Recipient`; that a round id is never
used again is the ledger's business (`oneteam.privacy.ledger`).
"""

from __future__ import annotations

import hashlib
import hmac
import os
import threading
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Annotated, Any, Final, Literal, TypeVar, cast

import numpy as np
import numpy.typing as npt
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes, hpke
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers import Cipher, CipherContext, algorithms
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from pydantic import Field, StringConstraints, TypeAdapter, ValidationError

from oneteam.core.canonical import canonical, content_id
from oneteam.core.errors import BadSignatureError, ReplayError, RoundError, TooLargeError, WrongTypeError
from oneteam.core.keys import Keys, PublicKeys, decode, encode
from oneteam.core.model import MAX_CELLS, Document, Hex128, PublicKey, Receipt, Sha256, Slug

MAX_PARTICIPANTS: Final = 255
"""The points of GF(2^8) without zero, at which Shamir's polynomial is evaluated."""
MAX_DOCUMENT_BYTES: Final = 1 << 20
SECRET_BYTES: Final = 32
CHUNK_CELLS: Final = 1 << 15
"""Masks are made and added piece by piece, so that a piece stays in the processor's cache."""

_SUITE: Final = hpke.Suite(hpke.KEM.X25519, hpke.KDF.HKDF_SHA256, hpke.AEAD.AES_256_GCM)
_Sealed = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]+$", max_length=65_536)]
_Signature = Annotated[str, StringConstraints(pattern=r"^([A-Za-z0-9_-]{86})?$")]
_SLUG: Final[TypeAdapter[str]] = TypeAdapter(Slug)
Words = npt.NDArray[np.uint64]
Lookup = Callable[[str], PublicKeys | None]
"""A member's public keys as the roster pins them; None for whom the roster does not know."""


class Opening(Document):
    """First exchange: what a member shows before it masks.

    Args:
        round: the round's id.
        query: SHA-256 of the query whose tables are added.
        plan: SHA-256 of the whole `Round`.
        member: who opens.
        public_key: fresh X25519 key of this round.
        commitment: SHA-256 of the self-mask seed; the seed has 256 random bits.
        shares: for each other participant, one share of the private key and one of the seed, sealed to it.
        signature: Ed25519 over everything else.
    """

    format: Literal["oneteam-secure-sum-opening/1"] = "oneteam-secure-sum-opening/1"
    round: Hex128
    query: Sha256
    plan: Sha256
    member: Slug
    public_key: PublicKey
    commitment: Sha256
    shares: dict[Slug, _Sealed]
    signature: _Signature = ""


class ShareHeader(Document):
    """Second exchange: what stands beside the masked values.

    Args:
        round: the round's id.
        query: SHA-256 of the query.
        plan: SHA-256 of the whole `Round`.
        member: whose values.
        openings: SHA-256 over all openings that the masks were made from.
        cells: how many values.
        values: SHA-256 of the masked values, 8 bytes each, little-endian.
        signature: Ed25519 over round, query, member and the SHA-256 of the fields above (see `receipt_of`).
    """

    format: Literal["oneteam-secure-sum-share/1"] = "oneteam-secure-sum-share/1"
    round: Hex128
    query: Sha256
    plan: Sha256
    member: Slug
    openings: Sha256
    cells: int = Field(ge=1, le=MAX_CELLS)
    values: Sha256
    signature: _Signature = ""

    @property
    def sha256(self) -> str:
        """What a Release's receipt names."""
        return content_id(self.model_dump(mode="json", exclude={"signature"}))


@dataclass(frozen=True)
class MaskedShare:
    """A member's masked table. To whoever lacks the masks it is noise, uniform modulo 2^64.

    Args:
        header: what it is, signed.
        values: the masked values, 8 bytes each, little-endian; they travel beside the header.
    """

    header: ShareHeader
    values: bytes = field(repr=False)


class Vote(Document):
    """Only after a drop-out: who arrived, signed once by every member.

    Args:
        round: the round's id.
        plan: SHA-256 of the whole `Round`.
        member: who votes.
        openings: SHA-256 over all openings.
        survivors: whose shares arrived, in the order of the participants.
        signature: Ed25519 over everything else.
    """

    format: Literal["oneteam-secure-sum-vote/1"] = "oneteam-secure-sum-vote/1"
    round: Hex128
    plan: Sha256
    member: Slug
    openings: Sha256
    survivors: tuple[Slug, ...]
    signature: _Signature = ""


class Reveal(Document):
    """Third exchange: one share for each member that opened; of its seed if it arrived, of its key if it dropped out.

    Args:
        round: the round's id.
        plan: SHA-256 of the whole `Round`.
        member: who reveals.
        openings: SHA-256 over all openings.
        survivors: whose shares arrived, in the order of the participants.
        sealed: the shares, 32 bytes each in the order of those who opened, sealed to the recipient.
        signature: Ed25519 over everything else.
    """

    format: Literal["oneteam-secure-sum-reveal/1"] = "oneteam-secure-sum-reveal/1"
    round: Hex128
    plan: Sha256
    member: Slug
    openings: Sha256
    survivors: tuple[Slug, ...]
    sealed: _Sealed
    signature: _Signature = ""


@dataclass(frozen=True)
class Round:
    """What all who take part must hold to be the same; every signature, key and sealed share is bound to it.

    Args:
        id: 128 bits, never used again.
        query_id: SHA-256 of the query.
        participants: who may take part, in one order for all.
        recipient: who unmasks.
        threshold: how many must help to unmask (s).
        colluding: how many participants may collude with each other, the hub and the recipient (t).
        contributors: those among the participants who bring data; the others bring noise only. All when empty.
        min_contributors: the sum holds the tables of no fewer contributors; each member refuses otherwise.

    Raises:
        RoundError: a threshold that does not protect, or participants that are not.

    >>> plan = Round("0" * 32, "0" * 64, ("skylark", "horizon", "bluewave", "university"), "agency", threshold=3, colluding=1)
    >>> plan.most_dropouts
    1
    >>> Round("0" * 32, "0" * 64, ("skylark", "horizon", "bluewave"), "agency", threshold=2, colluding=1)
    Traceback (most recent call last):
    oneteam.core.errors.RoundError: threshold 2 must be more than (n + t) / 2 = 2.0 and at most n = 3
    """

    id: str
    query_id: str
    participants: tuple[str, ...]
    recipient: str
    threshold: int
    colluding: int
    contributors: tuple[str, ...] = ()
    min_contributors: int = 1

    def __post_init__(self) -> None:
        n = len(self.participants)
        try:
            for name in (*self.participants, *self.contributors, self.recipient):
                _SLUG.validate_python(name)
            wrong = len(bytes.fromhex(self.id)) != 16 or len(bytes.fromhex(self.query_id)) != 32
        except (ValidationError, ValueError, TypeError) as err:
            raise RoundError("a round whose id, query or members' names are malformed") from err
        if wrong:
            raise RoundError("a round's id has 32 hex digits, its query's id 64")
        if not 2 <= n <= MAX_PARTICIPANTS or len(set(self.participants)) != n:
            raise RoundError(f"a secure sum needs 2 to {MAX_PARTICIPANTS} different participants, not {n}")
        if self.colluding < 0 or self.threshold > n or 2 * self.threshold <= n + self.colluding:
            raise RoundError(f"threshold {self.threshold} must be more than (n + t) / 2 = {(n + self.colluding) / 2} and at most n = {n}")
        bring = set(self.contributors or self.participants)
        if not bring <= set(self.participants) or not 1 <= self.min_contributors <= len(bring):
            raise RoundError(f"{self.min_contributors} contributors are needed, of {len(bring)} who must all be participants")

    @cached_property
    def plan(self) -> str:
        """SHA-256 over all of it."""
        return content_id(
            {
                "format": "oneteam-secure-sum-round/1",
                "id": self.id,
                "query": self.query_id,
                "participants": list(self.participants),
                "recipient": self.recipient,
                "threshold": self.threshold,
                "colluding": self.colluding,
                "contributors": list(self.contributors),
                "min_contributors": self.min_contributors,
            }
        )

    @property
    def most_dropouts(self) -> int:
        """How many may drop out without the round being lost (n - s)."""
        return len(self.participants) - self.threshold

    def ordered(self, members: Collection[str]) -> tuple[str, ...]:
        """The same members in the order of the participants."""
        return tuple(name for name in self.participants if name in members)

    def check_enough(self, members: Collection[str]) -> None:
        """Enough to unmask, and enough who bring data.

        Raises:
            RoundError: too few.
        """
        if len(members) < self.threshold:
            raise RoundError(
                f"{len(members)} of {len(self.participants)} members are left and {self.threshold} are needed",
                hint="Ask again: a new round draws fresh noise and costs again.",
            )
        bring = len(set(members) & set(self.contributors or self.participants))
        if bring < self.min_contributors:
            raise RoundError(f"{bring} contributors are left and the agreement asks for {self.min_contributors}")


# --- documents ------------------------------------------------------------------------------------------------------------------------

D = TypeVar("D", Opening, ShareHeader, Vote, Reveal)


def parse(kind: type[D], text: str | bytes) -> D:
    """Read a document that came from outside.

    Raises:
        TooLargeError: over 1 MiB.
        WrongTypeError: not such a document.

    >>> parse(Vote, b"[]")
    Traceback (most recent call last):
    oneteam.core.errors.WrongTypeError: not a secure sum's vote: 1 field is wrong
    """
    if len(text) > MAX_DOCUMENT_BYTES:
        raise TooLargeError(f"a secure sum's {kind.__name__.lower()} has {len(text)} bytes; at most {MAX_DOCUMENT_BYTES}")
    try:
        return kind.model_validate_json(text)
    except ValidationError as err:
        count = err.error_count()
        wrong = f"{count} field{' is' if count == 1 else 's are'} wrong"
        detail = str(err.errors(include_input=False, include_url=False))[:2000]
        raise WrongTypeError(f"not a secure sum's {kind.__name__.lower()}: {wrong}", detail=detail) from err


def _content(document: Opening | ShareHeader | Vote | Reveal) -> bytes:
    if isinstance(document, ShareHeader):
        return _receipt_content(document.round, document.query, document.member, document.sha256)
    return canonical(document.model_dump(mode="json", exclude={"signature"}))


def _receipt_content(round_id: str, query_id: str, member: str, sha256: str) -> bytes:
    # Small on purpose: who holds a Release, and not the round's other documents, can still check the signature.
    return canonical({"member": member, "query": query_id, "round": round_id, "share": sha256})


def _purpose(kind: type[Document]) -> str:
    return f"secure-sum/{kind.__name__}"


def _signed(document: D, keys: Keys) -> D:
    signature = keys.sign(_purpose(type(document)), _content(document))
    return document.model_copy(update={"signature": encode(signature)})


def _check_signature(document: D, lookup: Lookup) -> None:
    public = lookup(document.member)
    if public is None:
        raise BadSignatureError(f"'{document.member}' is not on the roster")
    public.check(_purpose(type(document)), _content(document), decode(document.signature))


def receipt_of(header: ShareHeader) -> Receipt:
    """A member's signature under its masked share, as a Release carries it."""
    return Receipt(member=header.member, sha256=header.sha256, signature=header.signature)


def check_receipt(receipt: Receipt, *, round_id: str, query_id: str, lookup: Lookup) -> None:
    """A Release's receipt was signed by its member for this round and query.

    Raises:
        BadSignatureError: it was not.
    """
    public = lookup(receipt.member)
    if public is None:
        raise BadSignatureError(f"'{receipt.member}' is not on the roster")
    content = _receipt_content(round_id, query_id, receipt.member, receipt.sha256)
    public.check(_purpose(ShareHeader), content, decode(receipt.signature))


def _collected(kind: type[D], documents: Iterable[D], plan: Round, lookup: Lookup) -> dict[str, D]:
    """One valid document of each member, in the order of the participants."""
    found: dict[str, D] = {}
    for document in documents:
        if not isinstance(document, kind):
            raise WrongTypeError(f"not a secure sum's {kind.__name__.lower()}: {type(document).__name__}")
        if document.round != plan.id or document.plan != plan.plan:
            raise RoundError(f"'{document.member}' speaks of another round, query or set of participants")
        if document.member not in plan.participants or document.member in found:
            raise RoundError(f"'{document.member}' is no participant, or stands twice")
        _check_signature(document, lookup)
        found[document.member] = document
    return {name: found[name] for name in plan.participants if name in found}


def _checked_openings(openings: Iterable[Opening], plan: Round, lookup: Lookup) -> dict[str, Opening]:
    found = _collected(Opening, openings, plan, lookup)
    for name, opening in found.items():
        if opening.query != plan.query_id or set(opening.shares) != set(plan.participants) - {name}:
            raise RoundError(f"the opening of '{name}' is for another query, or does not seal a share to every other participant")
    plan.check_enough(found)
    return found


def _openings_id(openings: Mapping[str, Opening]) -> str:
    return content_id([content_id(opening.model_dump(mode="json", exclude={"signature"})) for opening in openings.values()])


# --- Shamir's secret sharing ------------------------------------------------------------------------------------------------------------

Bytes = npt.NDArray[np.uint8]


def _times(values: Bytes, factor: int) -> Bytes:
    """Bytes times a *public* factor in GF(2^8) modulo x^8 + x^4 + x^3 + x + 1; no step depends on the bytes."""
    product = np.zeros_like(values)
    power = values.copy()
    while factor:
        if factor & 1:
            product ^= power
        power = (power << np.uint8(1)) ^ ((power >> np.uint8(7)) * np.uint8(0x1B))
        factor >>= 1
    return product


def _product(a: int, b: int) -> int:
    """The same of two public numbers."""
    product = 0
    while b:
        product ^= a if b & 1 else 0
        a = (a << 1) ^ (0x11B if a & 0x80 else 0)
        b >>= 1
    return product


def _inverse(a: int) -> int:
    """Of a public number, by Fermat: a^254."""
    result = 1
    for _ in range(254):
        result = _product(result, a)
    return result


def split_secret(secret: bytes, points: int, threshold: int) -> list[bytes]:
    """Shamir's shares of a secret, byte by byte over GF(2^8): share i is the polynomial at i + 1.

    Args:
        secret: any length.
        points: how many shares, at most 255.
        threshold: how many of them give the secret; one fewer say nothing about it.

    Source: Shamir 1979, "How to share a secret", Communications of the ACM 22(11).

    >>> shares = split_secret(b"a key", 5, 3)
    >>> join_secret({1: shares[0], 5: shares[4], 3: shares[2]})
    b'a key'
    """
    if not 1 <= threshold <= points <= MAX_PARTICIPANTS:
        raise RoundError(f"a secret cannot be shared among {points} so that {threshold} are needed")
    size = len(secret)
    coefficients = np.frombuffer(secret + os.urandom(size * (threshold - 1)), np.uint8).reshape(threshold, size)
    shares = []
    for point in range(1, points + 1):
        value = coefficients[-1]
        for coefficient in coefficients[-2::-1]:
            value = _times(value, point) ^ coefficient
        shares.append(value.tobytes())
    return shares


def join_secret(shares: Mapping[int, bytes]) -> bytes:
    """The polynomial at zero, from ``threshold`` shares by their points 1 to 255 (Lagrange's formula)."""
    points = list(shares)
    if not points or len({len(share) for share in shares.values()}) != 1 or not all(1 <= point <= MAX_PARTICIPANTS for point in points):
        raise RoundError("shares of one secret have one length, and points from 1 to 255")
    secret = np.zeros(len(shares[points[0]]), np.uint8)
    for point in points:
        above, below = 1, 1
        for other in points:
            if other != point:
                above = _product(above, other)
                below = _product(below, other ^ point)
        secret ^= _times(np.frombuffer(shares[point], np.uint8), _product(above, _inverse(below)))
    return secret.tobytes()


# --- masks ------------------------------------------------------------------------------------------------------------------------------


def _derive(secret: bytes, **bound_to: Any) -> bytes:
    """HKDF-SHA256 (RFC 5869) to 256 bits, bound to use, round and members."""
    return HKDF(hashes.SHA256(), 32, salt=None, info=b"oneteam/1 secure-sum " + canonical(bound_to)).derive(secret)


def _self_key(seed: bytes, member: str, plan: Round, openings: str) -> bytes:
    return _derive(seed, use="self", plan=plan.plan, openings=openings, member=member)


def _pair_key(private: X25519PrivateKey, public: str, members: tuple[str, str], plan: Round, openings: str) -> bytes:
    try:
        shared = private.exchange(X25519PublicKey.from_public_bytes(decode(public)))
    except ValueError as err:
        raise RoundError(f"a public key between '{members[0]}' and '{members[1]}' is of low order") from err
    first, second = plan.ordered(members)
    return _derive(shared, use="pair", plan=plan.plan, openings=openings, members=[first, second])


def _sign(me: str, other: str, plan: Round) -> int:
    """One of two members adds the mask that both know, the other subtracts it."""
    return 1 if plan.participants.index(me) < plan.participants.index(other) else -1


def _keystream(key: bytes) -> CipherContext:
    # A key is used for one stream only, so the nonce may be zero (RFC 8439, section 2.4; OpenSSL's form has the counter in front).
    return Cipher(algorithms.ChaCha20(key, bytes(16)), None).encryptor()


def _add_streams(total: Words, streams: Sequence[tuple[bytes, int]]) -> None:
    """Add (+1) or subtract (-1) each key's stream, modulo 2^64."""
    ciphers = [(_keystream(key), sign) for key, sign in streams]
    zeros = bytes(8 * CHUNK_CELLS)
    scratch = np.empty(CHUNK_CELLS, "<u8")
    for first in range(0, len(total), CHUNK_CELLS):
        piece = total[first : first + CHUNK_CELLS]
        mask = scratch[: len(piece)]
        for cipher, sign in ciphers:
            cipher.update_into(memoryview(zeros)[: 8 * len(piece)], mask.view(np.uint8).data)
            if sign > 0:
                piece += mask
            else:
                piece -= mask


def _words(values: npt.NDArray[np.int64] | Words) -> Words:
    """A copy, as 64-bit words."""
    array = np.asarray(values)
    if array.ndim != 1 or array.dtype.kind not in "iu" or array.dtype.itemsize != 8 or not 1 <= array.size <= MAX_CELLS:
        raise WrongTypeError(f"a secure sum adds vectors of 1 to {MAX_CELLS} int64 or uint64, not {array.dtype} of shape {array.shape}")
    return array.astype("<i8" if array.dtype.kind == "i" else "<u8", copy=True).view("<u8")


# --- sealing ----------------------------------------------------------------------------------------------------------------------------


def _seal(plain: bytes, to: str, lookup: Lookup, **bound_to: Any) -> str:
    public = lookup(to)
    if public is None:
        raise RoundError(f"'{to}' is not on the roster")
    try:
        return encode(_SUITE.encrypt(plain, public.sealing_key, canonical(bound_to | {"to": to})))
    except ValueError as err:
        raise RoundError(f"nothing can be sealed to '{to}': its key is of low order") from err


def _unseal(sealed: str, size: int, keys: Keys, sender: str, **bound_to: Any) -> bytes:
    try:
        plain = _SUITE.decrypt(decode(sealed), keys.opening, canonical(bound_to))
    except (InvalidTag, ValueError) as err:
        raise RoundError(f"what '{sender}' sealed cannot be opened, or was sealed for another round") from err
    if len(plain) != size:
        raise RoundError(f"'{sender}' sealed {len(plain)} bytes where {size} belong")
    return plain


# --- the two sides ----------------------------------------------------------------------------------------------------------------------


class MemberRound:
    """One member's side of one round. Each step is done once; a step that fails gives nothing away.

    Args:
        plan: the round.
        me: this member.
        keys: its long-term keys.
        lookup: the roster.

    Raises:
        RoundError: this member does not take part.
    """

    def __init__(self, plan: Round, me: str, keys: Keys, lookup: Lookup) -> None:
        if me not in plan.participants:
            raise RoundError(f"'{me}' is no participant of this round")
        self._plan, self._me, self._keys, self._lookup = plan, me, keys, lookup
        self._lock = threading.Lock()
        self._secret: X25519PrivateKey | None = None
        self._seed = b""
        self._kept = b""
        self._opening: Opening | None = None
        self._openings: dict[str, Opening] = {}
        self._openings_id = ""
        self._shares: dict[str, bytes] = {}
        self._header: ShareHeader | None = None
        self._survivors: tuple[str, ...] | None = None
        self._revealed = False

    def open(self) -> Opening:
        """First exchange: fresh secrets, shared among all.

        Raises:
            ReplayError: opened before.
        """
        with self._lock:
            if self._opening is not None:
                raise ReplayError(f"'{self._me}' has opened this round already")
            plan, n = self._plan, len(self._plan.participants)
            self._secret = X25519PrivateKey.generate()
            self._seed = os.urandom(SECRET_BYTES)
            public = encode(self._secret.public_key().public_bytes_raw())
            commitment = _commitment(plan, self._me, self._seed)
            parts = split_secret(self._secret.private_bytes_raw() + self._seed, n, plan.threshold)
            sealed = {}
            for name, part in zip(plan.participants, parts, strict=True):
                if name == self._me:
                    self._kept = part
                else:
                    bound = _share_binding(plan, self._me, public, commitment)
                    sealed[name] = _seal(part, name, self._lookup, **bound)
            opening = Opening(
                round=plan.id,
                query=plan.query_id,
                plan=plan.plan,
                member=self._me,
                public_key=public,
                commitment=commitment,
                shares=sealed,
            )
            self._opening = _signed(opening, self._keys)
            return self._opening

    def mask(self, openings: Iterable[Opening], values: npt.NDArray[np.int64] | Words) -> MaskedShare:
        """Second exchange: the table under its masks.

        Args:
            openings: of all who opened, this member's own among them.
            values: the table, noise included; 1-D, int64 or uint64.

        Raises:
            BadSignatureError: an opening that its member did not sign.
            ReplayError: masked before, or an opening of this member that it did not make now.
            RoundError: too few openings, of another round, or with shares that cannot be opened.
        """
        with self._lock:
            if self._header is not None:
                raise ReplayError(f"'{self._me}' has masked its values in this round already")
            if self._opening is None or self._secret is None:
                raise RoundError("a member opens before it masks")
            plan, me = self._plan, self._me
            total = _words(values)
            found = _checked_openings(openings, plan, self._lookup)
            if found.get(me) != self._opening:
                raise ReplayError(f"the openings do not hold the one that '{me}' made for this round")
            openings_id = _openings_id(found)
            shares = {name: self._kept if name == me else self._opened_share(opening) for name, opening in found.items()}
            streams = [(_self_key(self._seed, me, plan, openings_id), 1)]
            streams += [
                (_pair_key(self._secret, opening.public_key, (me, name), plan, openings_id), _sign(me, name, plan))
                for name, opening in found.items()
                if name != me
            ]
            _add_streams(total, streams)
            masked = total.tobytes()
            header = ShareHeader(
                round=plan.id,
                query=plan.query_id,
                plan=plan.plan,
                member=me,
                openings=openings_id,
                cells=len(total),
                values=hashlib.sha256(masked).hexdigest(),
            )
            self._openings, self._openings_id, self._shares = found, openings_id, shares
            self._header = _signed(header, self._keys)
            # From here on nobody needs them but through the shares.
            self._secret, self._seed, self._kept = None, b"", b""
            return MaskedShare(self._header, masked)

    def agree(self, survivors: Iterable[ShareHeader]) -> Vote:
        """Only after a drop-out: sign who arrived. A member signs one set; asked again for the same one, it signs it again.

        Args:
            survivors: signed headers of all whose masked shares arrived.

        Raises:
            BadSignatureError: a header that its member did not sign.
            ReplayError: another set was agreed to or revealed for.
            RoundError: too few arrived, or they masked from other openings.
        """
        with self._lock:
            names = self._arrived(survivors)
            self._survivors = names
            vote = Vote(round=self._plan.id, plan=self._plan.plan, member=self._me, openings=self._openings_id, survivors=names)
            return _signed(vote, self._keys)

    def reveal(self, survivors: Iterable[ShareHeader], votes: Iterable[Vote] = ()) -> Reveal:
        """Third exchange: of each member that opened exactly one share, once only, for the recipient's eyes.

        Args:
            survivors: signed headers of all whose masked shares arrived, this member's own among them.
            votes: when somebody who opened did not arrive, at least ``threshold`` votes for these survivors.

        Raises:
            BadSignatureError: a header or vote that its member did not sign.
            ReplayError: revealed before, or another set was agreed to.
            RoundError: too few arrived or voted, or they masked from other openings.
        """
        with self._lock:
            if self._revealed:
                raise ReplayError(f"'{self._me}' has revealed its shares of this round already")
            names = self._arrived(survivors)
            if names != tuple(self._openings):
                self._check_votes(votes, names)
            self._survivors = names
            self._revealed = True
            plain = b"".join(share[SECRET_BYTES:] if name in names else share[:SECRET_BYTES] for name, share in self._shares.items())
            self._shares = {}
            bound = _reveal_binding(self._plan, self._me, self._openings_id, names)
            reveal = Reveal(
                round=self._plan.id,
                plan=self._plan.plan,
                member=self._me,
                openings=self._openings_id,
                survivors=names,
                sealed=_seal(plain, self._plan.recipient, self._lookup, **bound),
            )
            return _signed(reveal, self._keys)

    def _opened_share(self, opening: Opening) -> bytes:
        bound = _share_binding(self._plan, opening.member, opening.public_key, opening.commitment)
        return _unseal(opening.shares[self._me], 2 * SECRET_BYTES, self._keys, opening.member, **bound, to=self._me)

    def _arrived(self, survivors: Iterable[ShareHeader]) -> tuple[str, ...]:
        """Who arrived, by headers over the very openings that this member masked from; the same answer every time or none."""
        if self._header is None:
            raise RoundError("a member masks before it agrees or reveals")
        found = _collected(ShareHeader, survivors, self._plan, self._lookup)
        _check_headers(found, self._plan, self._openings, self._openings_id)
        if found.get(self._me) != self._header:
            raise RoundError(f"the survivors do not hold '{self._me}' with the share that it sent")
        if any(header.cells != self._header.cells for header in found.values()):
            raise RoundError("the survivors' tables differ in size")
        names = tuple(found)
        if self._survivors is not None and names != self._survivors:
            raise ReplayError(f"'{self._me}' has agreed to another set of survivors of this round")
        return names

    def _check_votes(self, votes: Iterable[Vote], names: tuple[str, ...]) -> None:
        found = _collected(Vote, votes, self._plan, self._lookup)
        fit = [name for name, vote in found.items() if vote.openings == self._openings_id and vote.survivors == names and name in names]
        if len(fit) < self._plan.threshold:
            raise RoundError(
                f"{len(fit)} members agreed to these survivors and {self._plan.threshold} are needed",
                hint="After a drop-out every survivor is asked to agree before any is asked to reveal.",
            )


class Recipient:
    """The recipient's side of one round: it collects, and unmasks the sum.

    Args:
        plan: the round.
        keys: the recipient's long-term keys.
        lookup: the roster.

    >>> from oneteam.core.keys import Keys
    >>> names = ("skylark", "horizon", "bluewave", "university")
    >>> keys = {name: Keys.generate() for name in (*names, "agency")}
    >>> lookup = lambda name: keys[name].public if name in keys else None
    >>> plan = Round("0" * 32, "0" * 64, names, "agency", threshold=3, colluding=1)
    >>> members = [MemberRound(plan, name, keys[name], lookup) for name in names]
    >>> agency = Recipient(plan, keys["agency"], lookup)
    >>> openings = [member.open() for member in members]
    >>> shares = [member.mask(openings, np.array([1, 2, -3])) for member in members]
    >>> survivors = [share.header for share in shares]
    >>> reveals = [member.reveal(survivors) for member in members]
    >>> agency.combine(openings, shares, reveals)
    array([ 4,   8, -12])
    """

    def __init__(self, plan: Round, keys: Keys, lookup: Lookup) -> None:
        self._plan, self._keys, self._lookup = plan, keys, lookup

    def check_openings(self, openings: Iterable[Opening]) -> tuple[str, ...]:
        """Who opened, in the order of the participants, before anyone is asked to mask.

        Raises:
            BadSignatureError: an opening that its member did not sign.
            RoundError: too few, or of another round.
        """
        return tuple(_checked_openings(openings, self._plan, self._lookup))

    def check_shares(self, openings: Iterable[Opening], shares: Iterable[MaskedShare]) -> tuple[ShareHeader, ...]:
        """The headers that members are shown before they reveal. When fewer arrived than opened, they must agree first.

        Raises:
            BadSignatureError: a share that its member did not sign.
            RoundError: too few, of another round, from other openings, or values that are not the signed ones.
        """
        found = _checked_openings(openings, self._plan, self._lookup)
        return tuple(share.header for share in self._checked_shares(shares, found).values())

    def combine(self, openings: Iterable[Opening], shares: Iterable[MaskedShare], reveals: Iterable[Reveal]) -> npt.NDArray[np.int64]:
        """The exact sum of the survivors' tables modulo 2^64, as int64.

        Args:
            openings: those that were sent to the members to mask.
            shares: the masked tables; those of members that are not among the agreed survivors are left out.
            reveals: of at least ``threshold`` survivors.

        Raises:
            BadSignatureError: a document that its member did not sign.
            RoundError: too few, or they do not fit together; never a wrong sum.
        """
        plan = self._plan
        opened = _checked_openings(openings, plan, self._lookup)
        openings_id = _openings_id(opened)
        revealed = _collected(Reveal, reveals, plan, self._lookup)
        sets = {reveal.survivors for reveal in revealed.values()}
        if len(sets) != 1 or any(reveal.openings != openings_id for reveal in revealed.values()):
            raise RoundError("the members revealed for different openings or survivors")
        survivors = sets.pop()
        wanted = [share for share in shares if share.header.member in survivors]
        arrived = self._checked_shares(wanted, opened)
        if tuple(arrived) != survivors or not set(revealed) <= set(survivors) or len(revealed) < plan.threshold:
            raise RoundError(
                f"{len(revealed)} reveals and {len(arrived)} shares for {len(survivors)} survivors; {plan.threshold} are needed"
            )
        plain = {name: self._opened_reveal(reveal, len(opened)) for name, reveal in list(revealed.items())[: plan.threshold]}
        streams = self._masks_left(opened, openings_id, survivors, plain)
        total = np.zeros(arrived[survivors[0]].header.cells, "<u8")
        for share in arrived.values():
            total += np.frombuffer(share.values, "<u8")
        _add_streams(total, [(key, -sign) for key, sign in streams])
        return cast("npt.NDArray[np.int64]", total.view("<i8"))

    def _checked_shares(self, shares: Iterable[MaskedShare], opened: Mapping[str, Opening]) -> dict[str, MaskedShare]:
        held = list(shares)
        by_member = {share.header.member: share for share in held}
        headers = _collected(ShareHeader, (share.header for share in held), self._plan, self._lookup)
        _check_headers(headers, self._plan, opened, _openings_id(opened))
        found = {name: by_member[name] for name in headers}
        if len({share.header.cells for share in found.values()}) != 1:
            raise RoundError("the members' tables differ in size")
        for name, share in found.items():
            if len(share.values) != 8 * share.header.cells or hashlib.sha256(share.values).hexdigest() != share.header.values:
                raise RoundError(f"the masked values of '{name}' are not those that it signed")
        return found

    def _opened_reveal(self, reveal: Reveal, count: int) -> bytes:
        bound = _reveal_binding(self._plan, reveal.member, reveal.openings, reveal.survivors)
        return _unseal(reveal.sealed, SECRET_BYTES * count, self._keys, reveal.member, **bound, to=self._plan.recipient)

    def _masks_left(
        self, opened: Mapping[str, Opening], openings_id: str, survivors: tuple[str, ...], plain: Mapping[str, bytes]
    ) -> list[tuple[bytes, int]]:
        """The masks that do not cancel: every survivor's own, and those between a survivor and one who dropped out."""
        plan = self._plan
        # Every byte of a reveal lies on a polynomial of its own, so all secrets are joined at once.
        secrets = join_secret({plan.participants.index(name) + 1: shares for name, shares in plain.items()})
        streams = []
        for at, (name, opening) in enumerate(opened.items()):
            secret = secrets[SECRET_BYTES * at : SECRET_BYTES * (at + 1)]
            if name in survivors:
                if not hmac.compare_digest(_commitment(plan, name, secret), opening.commitment):
                    raise RoundError(f"the revealed shares do not give the seed of '{name}'")
                streams.append((_self_key(secret, name, plan, openings_id), 1))
                continue
            private = X25519PrivateKey.from_private_bytes(secret)
            if encode(private.public_key().public_bytes_raw()) != opening.public_key:
                raise RoundError(f"the revealed shares do not give the key of '{name}', who dropped out")
            streams += [
                (_pair_key(private, opened[other].public_key, (name, other), plan, openings_id), _sign(other, name, plan))
                for other in survivors
            ]
        return streams


def _check_headers(headers: Mapping[str, ShareHeader], plan: Round, opened: Mapping[str, Opening], openings_id: str) -> None:
    for name, header in headers.items():
        if header.query != plan.query_id or header.openings != openings_id or name not in opened:
            raise RoundError(f"the share of '{name}' is for another query, or was masked from other openings")
    plan.check_enough(headers)


def _commitment(plan: Round, member: str, seed: bytes) -> str:
    return hashlib.sha256(canonical({"use": "seed", "plan": plan.plan, "member": member}) + seed).hexdigest()


def _share_binding(plan: Round, sender: str, public_key: str, commitment: str) -> dict[str, Any]:
    return {"use": "share", "plan": plan.plan, "from": sender, "public_key": public_key, "commitment": commitment}


def _reveal_binding(plan: Round, sender: str, openings: str, survivors: tuple[str, ...]) -> dict[str, Any]:
    return {"use": "reveal", "plan": plan.plan, "from": sender, "openings": openings, "survivors": list(survivors)}


__all__ = [
    "MaskedShare",
    "MemberRound",
    "Opening",
    "Recipient",
    "Reveal",
    "Round",
    "ShareHeader",
    "Vote",
    "check_receipt",
    "join_secret",
    "parse",
    "receipt_of",
    "split_secret",
]
