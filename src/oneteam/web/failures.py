"""How errors look: a page in the reader's language, a piece of one for htmx, or JSON for programs."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Final

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel
from starlette.exceptions import HTTPException

from oneteam.core.errors import InputError, NotThereError, OneteamError, RefusedError, WrongTypeError
from oneteam.web.face import render, visit_of
from oneteam.web.language import known, translator

LOG: Final = logging.getLogger(__name__)


class ErrorBody(BaseModel):
    """What an error says, in JSON.

    Args:
        code: as in docs/errors.md.
        message: what is wrong.
        hint: the next thing to try.
        reasons: codes of all reasons of a refusal.
    """

    code: str
    message: str
    hint: str = ""
    reasons: tuple[str, ...] = ()


class ErrorAnswer(BaseModel):
    """An error's body."""

    error: ErrorBody


def for_programs(path: str) -> bool:
    """Whether a program asks."""
    return path.startswith("/api/") or path == "/health"


def words_key(code: str) -> str:
    """The key of the words for an error's code, or for the nearest one above it.

    >>> words_key("trust.forbidden"), words_key("input.nothing_found"), words_key("no.such")
    ('error.trust.forbidden', 'error.input', 'error.internal')
    """
    parts = code.split(".")
    for end in range(len(parts), 0, -1):
        key = "error." + ".".join(parts[:end])
        if known(key):
            return key
    return "error.internal"


def answer(request: Request, error: OneteamError, *, status: int | None = None, headers: Mapping[str, str] | None = None) -> Response:
    """The answer that carries an error.

    Args:
        request: what is answered.
        error: its public face is shown, its detail never.
        status: of HTTP; the error's own when None.
        headers: to be added.
    """
    code = status or error.http_status
    reasons = error.reasons if isinstance(error, RefusedError) else ()
    body = ErrorBody(code=error.code, message=error.message, hint=error.hint, reasons=reasons)
    if for_programs(request.url.path) or not hasattr(request.state, "visit"):
        return JSONResponse(ErrorAnswer(error=body).model_dump(), status_code=code, headers=dict(headers or {}))
    t = translator(visit_of(request).language)
    template = "error_part.html" if "hx-request" in request.headers else "error.html"
    page = render(request, template, page="error", status=code, error=body, what=t(words_key(error.code)))
    page.headers.update(dict(headers or {}))
    return page


def unexpected(request: Request, error: Exception) -> Response:
    """The answer to a fault of our own; what it was stands in the log only."""
    LOG.error("%s %s failed", request.method, request.url.path, exc_info=error)
    said = OneteamError("something went wrong here", hint="The node's log says what. Try again later.")
    try:
        return answer(request, said)
    except Exception:
        LOG.exception("the page of an error failed")
        return JSONResponse({"error": said.as_dict()}, status_code=500)


def install(app: FastAPI) -> None:
    """Let an application answer errors as above."""

    async def ours(request: Request, error: Exception) -> Response:
        assert isinstance(error, OneteamError), "registered for it"
        return answer(request, error)

    async def http(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException), "registered for it"
        if error.status_code == 404:
            found: OneteamError = NotThereError("there is no such page here", hint="Go back to the first page.")
        elif error.status_code == 405:
            found = NotThereError(f"{request.method} is not for this address")
        else:
            found = InputError(str(error.detail))
        return answer(request, found, status=error.status_code, headers=error.headers)

    async def invalid(request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError), "registered for it"
        if not for_programs(request.url.path) and any(one["loc"][:1] == ("path",) for one in error.errors()):
            # An address that no page can have; programs are told what it should look like.
            return answer(request, NotThereError("there is no such page here", hint="Go back to the first page."))
        said = "; ".join(f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors()[:10])
        return answer(request, WrongTypeError(said[:1000]), status=422)

    app.add_exception_handler(OneteamError, ours)
    app.add_exception_handler(HTTPException, http)
    app.add_exception_handler(RequestValidationError, invalid)
