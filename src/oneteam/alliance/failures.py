"""Errors between members: the public face travels as a typed reply and is raised again at the asker's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from pydantic import Field, JsonValue, ValidationError

from oneteam.core.errors import OneteamError, RefusedError, WireError
from oneteam.core.model import UNREADABLE, Document


class Failure(Document):
    """What a member tells of an error: never its ``detail``.

    Args:
        code: of core/errors.py.
        message: public.
        hint: the next thing to try.
        reasons: codes of all reasons of a refusal.
    """

    code: str = Field(max_length=64)
    message: str = Field(max_length=20_000)
    hint: str = Field(default="", max_length=2000)
    reasons: tuple[str, ...] = Field(default=(), max_length=1000)


def describe(err: OneteamError) -> dict[str, JsonValue]:
    """The header of an ``error`` reply.

    >>> describe(RefusedError("no", reasons=("purpose",)))["reasons"]
    ['purpose']
    """
    reasons = err.reasons if isinstance(err, RefusedError) else ()
    return Failure(code=err.code, message=err.message[:20_000], hint=err.hint[:2000], reasons=reasons).model_dump(mode="json")


def rebuild(header: Mapping[str, JsonValue], member: str) -> OneteamError:
    """The error that another member described, with its name before the message.

    >>> err = rebuild(describe(RefusedError("the budget is spent", reasons=("budget.agreement",))), "carrier-a")
    >>> type(err).__name__, str(err), err.reasons
    ('RefusedError', 'carrier-a: the budget is spent', ('budget.agreement',))
    """
    try:
        # Log news may stand beside it.
        failure = Failure.model_validate({name: value for name, value in header.items() if name != "log"})
    except ValidationError:
        return WireError(f"{member}: an error that is not of its form")
    # It goes to terminals and logs, where another member's line breaks and escape sequences have no business.
    message, hint = (UNREADABLE.sub("\N{REPLACEMENT CHARACTER}", text) for text in (f"{member}: {failure.message}", failure.hint))
    form = _BY_CODE.get(failure.code, WireError)
    if form is RefusedError:
        return RefusedError(message, hint=hint, reasons=tuple(UNREADABLE.sub("", reason) for reason in failure.reasons))
    return form(message, hint=hint)


def _tree(root: type[OneteamError]) -> dict[str, type[OneteamError]]:
    found = {root.code: root}
    for child in root.__subclasses__():
        found |= _tree(child)
    return found


_BY_CODE: Final = _tree(OneteamError)
