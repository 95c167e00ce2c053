"""One byte string for one document: what is signed and hashed.

Source: RFC 8785, JSON Canonicalization Scheme (JCS).
"""

from __future__ import annotations

import hashlib
from typing import Any

from pydantic import BaseModel

from oneteam.core.errors import WrongTypeError


def canonical(document: BaseModel | Any) -> bytes:
    """The canonical JSON of a document (RFC 8785).

    Args:
        document: a model, or what JSON can say. Fields that are None stand as null.

    Raises:
        WrongTypeError: a number that is not finite or an integer beyond 2^53 - 1, which JSON readers do not keep exactly.

    >>> canonical({"b": 1.0, "a": "가"}).decode()
    '{"a":"가","b":1}'
    """
    import rfc8785  # noqa: PLC0415 - of the extra `alliance`

    body = document.model_dump(mode="json") if isinstance(document, BaseModel) else document
    try:
        return rfc8785.dumps(body)
    except rfc8785.CanonicalizationError as err:
        raise WrongTypeError(
            f"a document that has no canonical form: {err}", hint="Numbers must be finite; integers within ±(2^53 - 1)."
        ) from err


def content_id(document: BaseModel | Any) -> str:
    """SHA-256 of the canonical form, as 64 hex digits: the id of a document.

    >>> content_id({})
    '44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a'
    """
    return hashlib.sha256(canonical(document)).hexdigest()
