"""Signed documents: JSON Web Signatures over canonical bytes.

A document that several members sign (roster, Agreement) is a JWS in the General JSON Serialization; one that a single member signs (a
request, a revocation) is a compact JWS. Both carry the algorithm ``Ed25519`` and the signer's id as ``kid``, and nothing else: no key, no
address of a key, no critical extension. Keys come from the roster alone.

What is read must be in its one form: no JSON key twice, canonical payload (RFC 8785), canonical headers, base64url without padding. So two
texts that differ never stand for the same signed document with the same signatures.

Source: RFC 7515 (JWS), sections 3.1 and 7.2.1; RFC 9864 (``Ed25519``); RFC 8725, sections 2.1 and 3.1 (algorithms are fixed, not read).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import OKPKey
from pydantic import BaseModel, ValidationError

from oneteam.core.canonical import canonical
from oneteam.core.errors import BadSignatureError, OneteamError, WrongTypeError
from oneteam.core.keys import Keys, PublicKeys, decode, encode

ALGORITHM: Final = "Ed25519"
MAX_SIGNED_CHARACTERS: Final = 64 * 1024 * 1024
"""A signed text over it is not read at all."""
MAX_SIGNERS: Final = 256

Lookup = Callable[[str], PublicKeys | None]
"""A member's public keys by its id, as the roster pins them; None for a stranger."""
Model = TypeVar("Model", bound=BaseModel)


class _Registry(jws.JWSRegistry):
    """Room for Agreements whose domains have many codes."""

    max_payload_length = MAX_SIGNED_CHARACTERS


_REGISTRY: Final = _Registry(algorithms=[ALGORITHM])


@dataclass(frozen=True)
class Signed:
    """A document whose signatures all hold.

    Args:
        payload: canonical JSON.
        signed_by: ids of the signers, in the order of the signatures.
    """

    payload: bytes
    signed_by: tuple[str, ...]


def read_json(raw: bytes | str) -> Any:
    """JSON without liberties: UTF-8, no key twice, no NaN, not too deep.

    Raises:
        WrongTypeError: anything else.

    >>> read_json(b'{"a": 1, "a": 2}')
    Traceback (most recent call last):
    oneteam.core.errors.WrongTypeError: not JSON: key 'a' stands twice
    """

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for name, value in pairs:
            if name in found:
                raise ValueError(f"key {name[:40]!r} stands twice")
            found[name] = value
        return found

    def never(name: str) -> Any:
        raise ValueError(f"{name} is no number of JSON")

    try:
        text = raw if isinstance(raw, str) else raw.decode()
        return json.loads(text, object_pairs_hook=once, parse_constant=never)
    except (ValueError, RecursionError) as err:
        raise WrongTypeError(f"not JSON: {str(err) or 'too deep'}") from err


def read_document(payload: bytes | str, model: type[Model]) -> Model:
    """A document of one kind, from its canonical JSON with every field.

    Raises:
        WrongTypeError: not that kind of document (every bad field is named), or not in its canonical form.
    """
    raw = payload.encode("utf-8", "surrogatepass") if isinstance(payload, str) else payload
    try:
        document = model.model_validate_json(raw)
    except ValidationError as err:
        raise WrongTypeError(f"not a {model.__name__}: {complaints(err)}") from err
    if canonical(document) != raw:
        raise WrongTypeError(f"a {model.__name__} that is not in its canonical form (RFC 8785, every field written)")
    return document


def complaints(error: ValidationError) -> str:
    """Every complaint of a model: path, what is wrong, what was given."""
    parts = []
    for found in error.errors(include_url=False, include_context=False)[:20]:
        path = ".".join(str(step) for step in found["loc"]) or "the document"
        given = found.get("input")
        shown = f" (is {str(given)[:60]!r})" if isinstance(given, str | int | float) and found["type"] != "missing" else ""
        parts.append(f"{path}: {found['msg'].removeprefix('Value error, ')}{shown}")
    return "; ".join(parts)


def sign_document(document: BaseModel | Any, member_id: str, keys: Keys, existing: str | None = None) -> str:
    """Sign a document, or add a signature to what others have signed.

    Args:
        document: a model, or what JSON can say.
        member_id: the signer, as the roster calls it.
        keys: the signer's.
        existing: the text that others have signed; its payload must be this document's. An earlier signature of the same member is
            replaced.

    Returns:
        A JWS in the General JSON Serialization, signatures in the order of the signers' ids.

    Raises:
        BadSignatureError: ``existing`` is not a signed text, or signs something else.

    >>> keys = Keys.generate()
    >>> text = sign_document({"a": 1}, "skylark", keys)
    >>> verify_document(text, {"skylark": keys.public}.get, required=["skylark"])
    b'{"a":1}'
    """
    payload = canonical(document)
    kept: list[tuple[str, dict[str, str]]] = []
    if existing is not None:
        before, kept = _parts(existing)
        if before != payload:
            raise BadSignatureError(
                "the signed text holds another document than the one to be signed", hint="Sign the very text that was handed over."
            )
    made = jws.serialize_json(
        [{"protected": {"alg": ALGORITHM, "kid": member_id}}], payload, OKPKey.import_key(keys.signing), registry=_REGISTRY
    )
    mine = {"protected": made["signatures"][0]["protected"], "signature": made["signatures"][0]["signature"]}
    every = sorted([entry for entry in kept if entry[0] != member_id] + [(member_id, mine)], key=lambda entry: entry[0])
    return canonical({"payload": encode(payload), "signatures": [signature for _, signature in every]}).decode()


def merge_signed(first: str, second: str) -> str:
    """One text with the signatures of both; of a member that has signed both, the first's.

    Raises:
        BadSignatureError: not in their one form, or of different documents.
    """
    payload, kept = _parts(first)
    other, more = _parts(second)
    if payload != other:
        raise BadSignatureError("two signed texts of different documents")
    signatures = dict(more) | dict(kept)
    return canonical({"payload": encode(payload), "signatures": [signatures[member] for member in sorted(signatures)]}).decode()


def verify_document(signed_text: str, lookup: Lookup, required: Collection[str]) -> bytes:
    """The payload of a document that everyone who must sign has signed.

    Args:
        signed_text: as `sign_document` gave it.
        lookup: the signers' keys.
        required: who must have signed.

    Raises:
        BadSignatureError: not in its one form; a signature that does not hold or is a stranger's; somebody's is missing.
    """
    signed = open_document(signed_text, lookup)
    missing = sorted(set(required) - set(signed.signed_by))
    if missing:
        raise BadSignatureError(f"not signed by {', '.join(missing)}", hint="Every party must sign: `oneteam agreement sign`.")
    return signed.payload


def open_document(signed_text: str, lookup: Lookup) -> Signed:
    """A document and who has signed it so far; every signature must hold.

    Raises:
        BadSignatureError: not in its one form, or a signature that does not hold or is a stranger's.
    """
    payload, entries = _parts(signed_text)
    for member, entry in entries:
        keys = lookup(member)
        if keys is None:
            raise BadSignatureError(f"signed by '{member}', whom the roster does not know")
        if not _holds(entry, payload, keys):
            raise BadSignatureError(f"the signature of '{member}' does not fit the document")
    return Signed(payload, tuple(member for member, _ in entries))


def valid_signers(signed_text: str, lookup: Lookup) -> Signed:
    """A document and those of its signers whose signature holds under their present keys; others are left out.

    Raises:
        BadSignatureError: not in its one form.
    """
    payload, entries = _parts(signed_text)
    known = [(member, entry, lookup(member)) for member, entry in entries]
    return Signed(payload, tuple(m for m, entry, keys in known if keys is not None and _holds(entry, payload, keys)))


def payload_of(signed_text: str) -> Signed:
    """What a signed text claims, with no signature checked: to show it, never to act on it.

    Raises:
        BadSignatureError: not in its one form.
    """
    payload, entries = _parts(signed_text)
    return Signed(payload, tuple(member for member, _ in entries))


def sign_compact(document: BaseModel | Any, member_id: str, keys: Keys) -> str:
    """Sign what one member says alone.

    >>> keys = Keys.generate()
    >>> verify_compact(sign_compact({"a": 1}, "skylark", keys), {"skylark": keys.public}.get)
    (b'{"a":1}', 'skylark')
    """
    header = {"alg": ALGORITHM, "kid": member_id}
    return jws.serialize_compact(header, canonical(document), OKPKey.import_key(keys.signing), registry=_REGISTRY)


def verify_compact(text: str, lookup: Lookup) -> tuple[bytes, str]:
    """Payload and signer of a compact JWS.

    Raises:
        BadSignatureError: not in its one form, a stranger's, or a signature that does not hold.
    """
    if len(text) > MAX_SIGNED_CHARACTERS or text.count(".") != 2:
        raise BadSignatureError("not a compact JWS: three parts between two dots")
    header, body, signature = text.split(".")
    member = _kid(header)
    payload = _payload(body)
    keys = lookup(member)
    if keys is None:
        raise BadSignatureError(f"signed by '{member}', whom the roster does not know")
    if not _holds({"protected": header, "signature": signature}, payload, keys):
        raise BadSignatureError(f"the signature of '{member}' does not fit the content")
    return payload, member


def _parts(text: str) -> tuple[bytes, list[tuple[str, dict[str, str]]]]:
    """Payload, and each signer with its protected header and signature, after every check but the signatures'."""
    if len(text) > MAX_SIGNED_CHARACTERS:
        raise BadSignatureError(f"not a signed document: over {MAX_SIGNED_CHARACTERS:,} characters")
    try:
        body = read_json(text.strip())
    except WrongTypeError as err:
        raise BadSignatureError(f"not a signed document: {err}") from err
    if not isinstance(body, dict) or set(body) != {"payload", "signatures"} or not isinstance(body["signatures"], list):
        raise BadSignatureError("not a signed document: a JSON object with 'payload' and 'signatures' is wanted")
    if not 0 < len(body["signatures"]) <= MAX_SIGNERS:
        raise BadSignatureError(f"not a signed document: it has {len(body['signatures'])} signatures, must have 1 to {MAX_SIGNERS}")
    entries: list[tuple[str, dict[str, str]]] = []
    for entry in body["signatures"]:
        if not isinstance(entry, dict) or set(entry) != {"protected", "signature"}:
            raise BadSignatureError("a signature has 'protected' and 'signature', and nothing else")
        entries.append((_kid(entry["protected"]), entry))
    signers = [member for member, _ in entries]
    if len(set(signers)) != len(signers):
        raise BadSignatureError("a member's signature stands twice")
    return _payload(body["payload"]), entries


def _kid(segment: Any) -> str:
    """The signer that a protected header names; the header may say nothing but algorithm and signer."""
    header = _canonical_segment(segment, "header")
    if not isinstance(header, dict) or set(header) != {"alg", "kid"} or header["alg"] != ALGORITHM:
        raise BadSignatureError(f"a signature's header says alg '{ALGORITHM}' and the signer as kid, and nothing else")
    if not isinstance(header["kid"], str) or not 0 < len(header["kid"]) <= 64:
        raise BadSignatureError("a signature's kid must be a member's id")
    return header["kid"]


def _payload(segment: Any) -> bytes:
    _canonical_segment(segment, "payload")
    return decode(segment)


def _canonical_segment(segment: Any, what: str) -> Any:
    if not isinstance(segment, str):
        raise BadSignatureError(f"the {what} of a signature must be base64url text")
    try:
        raw = decode(segment)
        content = read_json(raw)
        same = canonical(content) == raw
    except (OneteamError, ValueError, RecursionError) as err:
        # ValueError: lone surrogates, which JSON can spell and UTF-8 cannot.
        raise BadSignatureError(f"the {what} of a signature cannot be read: {err}") from err
    if not same:
        raise BadSignatureError(f"the {what} of a signature is not canonical JSON (RFC 8785)")
    return content


def _holds(entry: dict[str, str], payload: bytes, keys: PublicKeys) -> bool:
    if not isinstance(entry["signature"], str):
        return False
    try:
        if len(decode(entry["signature"])) != 64:
            return False
        key = OKPKey.import_key(Ed25519PublicKey.from_public_bytes(keys.verify))
        compact = f"{entry['protected']}.{encode(payload)}.{entry['signature']}"
        return bool(jws.validate_compact(jws.extract_compact(compact.encode(), registry=_REGISTRY), key, registry=_REGISTRY))
    except (JoseError, OneteamError, ValueError):
        return False
