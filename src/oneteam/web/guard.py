"""The gate of the web face: every request passes it before any route runs, and every answer on its way out.

In order: the host's name, the address's rate, the body's size, the session, whether anybody must be signed in, and for everything that
changes something whether the request comes from a page of this node. On the way out: headers that keep a browser from loading, framing or
guessing anything.

Source: OWASP ASVS 5, chapters 3 (front end), 4 (HTTP) and 7 (sessions); W3C Content Security Policy 3; Fetch Metadata.
"""

from __future__ import annotations

import asyncio
import hmac
import re
import secrets
import time
from collections.abc import Callable
from typing import Final
from urllib.parse import quote

from fastapi import Request
from fastapi.responses import RedirectResponse, Response
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from oneteam.core.errors import BusyError, ForbiddenError, OneteamError, SignInError, TooLargeError, UnreachableError, WrongTypeError
from oneteam.web import failures
from oneteam.web.face import Face, Visit
from oneteam.web.language import LANGUAGES, THEMES, pick_language, pick_theme
from oneteam.web.rates import Rates
from oneteam.web.sessions import form_token

SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})
SIGN_IN: Final = "/account/sign-in"
PUBLIC: Final = frozenset({SIGN_IN, "/health", "/api/openapi.json", "/favicon.ico"})
STATIC: Final = "/static/"
NAMED_BY_CONTENT: Final = re.compile(r"/static/dist/(?:\S*/)?[\w-]+-[A-Z0-9]{8}\.(?:js|css)")
FORM_FIELD: Final = "csrf"
FORM_HEADER: Final = "x-csrf-token"
YEAR_S: Final = 365 * 86_400
CONTENT_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; font-src 'self'; connect-src 'self'; "
    "manifest-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'"
)
HEADERS: Final = {
    "content-security-policy": CONTENT_POLICY,
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), microphone=(), geolocation=(), payment=(), usb=(), browsing-topics=()",
}


class Guard:
    """ASGI middleware around the whole application.

    Args:
        app: the application.
        face: the node's.
        clock: seconds that never go back.
    """

    def __init__(self, app: ASGIApp, face: Face, clock: Callable[[], float] = time.monotonic) -> None:
        self._app = app
        self._face = face
        limits = face.settings.limits
        self._rates = Rates(limits.requests_per_s, limits.burst, clock)
        self._hosts = frozenset(face.settings.hosts)
        self._origins = frozenset(f"{face.settings.scheme}://{host}" for host in face.settings.hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1008})
            return
        request = Request(scope, receive)
        request.scope.setdefault("state", {})
        outgoing = _Outgoing(send, self._face, request)
        try:
            refused, inner = await self._look_at(request, outgoing)
            await (refused or self._app)(scope, inner, outgoing)
        except OneteamError as err:
            await outgoing.instead(failures.answer(request, err))
        except Exception as err:  # noqa: BLE001 - nothing of a fault may leave the machine
            await outgoing.instead(failures.unexpected(request, err))

    async def _look_at(self, request: Request, outgoing: _Outgoing) -> tuple[Response | None, Receive]:
        """A refusal, or None; and the body, read once."""
        host = request.headers.get("host", "").lower()
        if host not in self._hosts:
            raise WrongTypeError("this node is not reached by that name", hint=f"Its address is {self._face.settings.origin}.")
        address = request.client.host if request.client else ""
        wait = self._rates.take(address)
        if wait:
            error = BusyError("too many requests", hint=f"Wait {wait} s.")
            return failures.answer(request, error, headers={"retry-after": str(wait)}), request.receive
        path = request.url.path
        if path.startswith(STATIC):
            return None, request.receive
        visit, visitor = await run_in_threadpool(self._visit, request)
        request.state.visit = visit
        outgoing.keep(request, visitor if path == SIGN_IN and request.method == "GET" else None)
        signed_in = visit.session is not None or path in PUBLIC
        if request.method in SAFE:
            return None if signed_in else _sign_in_first(request), request.receive
        body = await self._body(request)
        if not signed_in:
            return _sign_in_first(request), request.receive
        await self._check_source(request, body, visit)
        return None, _again(body, request.receive)

    def _visit(self, request: Request) -> tuple[Visit, str]:
        """Language, theme and session of a request; and the cookie of a visitor who is not signed in."""
        prefix = self._face.settings.cookie_prefix
        language = pick_language(request.query_params.get("lang"), request.cookies.get("lang"), request.headers.get("accept-language"))
        theme = pick_theme(request.query_params.get("theme"), request.cookies.get("theme"))
        session = self._face.sessions.find(request.cookies.get(f"{prefix}session"))
        visitor = request.cookies.get(f"{prefix}visitor", "")
        if len(visitor) != 43:
            visitor = secrets.token_urlsafe(32)
        bound_to = f"session {session.token}" if session else f"visitor {visitor}"
        return Visit(language, theme, session, form_token(self._face.secret, bound_to)), visitor

    async def _body(self, request: Request) -> bytes:
        """The whole body, of bounded size and time.

        Raises:
            TooLargeError: over the limit.
            UnreachableError: it came too slowly.
        """
        limits = self._face.settings.limits
        too_large = TooLargeError(f"a request has at most {limits.body_bytes:,} bytes")
        announced = request.headers.get("content-length", "0")
        if not announced.isascii() or not announced.isdigit() or int(announced) > limits.body_bytes:
            raise too_large
        found = bytearray()
        try:
            async with asyncio.timeout(limits.body_s):
                async for piece in request.stream():
                    found += piece
                    if len(found) > limits.body_bytes:
                        raise too_large
        except TimeoutError as err:
            raise UnreachableError("the request came too slowly") from err
        return bytes(found)

    async def _check_source(self, request: Request, body: bytes, visit: Visit) -> None:
        """Whether a request that changes something comes from a page of this node.

        Raises:
            ForbiddenError: another site's, or without this session's token.
        """
        foreign = ForbiddenError("the request does not come from a page of this node", hint="Load the page again and send the form anew.")
        origin = request.headers.get("origin")
        if origin is not None and origin.lower() not in self._origins:
            raise foreign
        if request.headers.get("sec-fetch-site", "same-origin") not in {"same-origin", "none"}:
            raise foreign
        given = request.headers.get(FORM_HEADER) or await _form_field(request, body)
        if not hmac.compare_digest(given.encode(), visit.form_token.encode()):
            raise foreign


class _Outgoing:
    """The way out of one request."""

    def __init__(self, send: Send, face: Face, request: Request) -> None:
        self._send, self._face, self._request = send, face, request
        self._cookies: list[str] = []
        self._started = False

    def keep(self, request: Request, visitor: str | None) -> None:
        """Set cookies for what the address asks for, and for a visitor who is about to sign in."""
        secure = "; Secure" if self._face.settings.https else ""
        for name, allowed in (("lang", LANGUAGES), ("theme", THEMES)):
            asked = request.query_params.get(name)
            if asked in allowed:
                self._cookies.append(f"{name}={asked}; Path=/; Max-Age={YEAR_S}; SameSite=Lax{secure}")
        if visitor is not None:
            name = f"{self._face.settings.cookie_prefix}visitor"
            self._cookies.append(f"{name}={visitor}; Path=/; HttpOnly; SameSite=Strict{secure}")

    async def instead(self, response: Response) -> None:
        """Answer with this, unless something has left already."""
        if self._started:
            raise ConnectionAbortedError("an answer broke off in the middle")
        await response(self._request.scope, self._request.receive, self)

    async def __call__(self, message: Message) -> None:
        """Add headers to the first message."""
        if message["type"] == "http.response.start":
            self._started = True
            headers = MutableHeaders(scope=message)
            for name, value in HEADERS.items():
                headers[name] = value
            if self._face.settings.https:
                headers["strict-transport-security"] = f"max-age={YEAR_S}"
            if "cache-control" not in headers:
                headers["cache-control"] = _keep(self._request.url.path, message["status"])
            for cookie in self._cookies:
                headers.append("set-cookie", cookie)
        await self._send(message)


def _keep(path: str, status: int) -> str:
    """How long a browser may keep an answer: what is named by its content for ever, other files until they change, pages never."""
    if status in {200, 304} and NAMED_BY_CONTENT.fullmatch(path):
        return f"public, max-age={YEAR_S}, immutable"
    return "no-cache" if path.startswith(STATIC) else "no-store"


def _sign_in_first(request: Request) -> Response:
    """To the sign-in page, and back afterwards; an error for programs."""
    if failures.for_programs(request.url.path) or request.method not in SAFE or "hx-request" in request.headers:
        return failures.answer(request, SignInError("nobody is signed in", hint=f"Sign in at {SIGN_IN}."))
    if request.url.path == "/":
        return RedirectResponse(SIGN_IN, 303)
    query = f"?{request.url.query}" if request.url.query else ""
    return RedirectResponse(f"{SIGN_IN}?next={quote(request.url.path + query, safe='/')}", 303)


def _again(body: bytes, receive: Receive) -> Receive:
    """The body once more, then whatever comes (a client that goes away)."""
    given = False

    async def read() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return read


async def _form_field(request: Request, body: bytes) -> str:
    """The form's token; empty when there is none."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind not in {"application/x-www-form-urlencoded", "multipart/form-data"}:
        return ""
    copy = Request(request.scope, _again(body, request.receive))
    try:
        async with copy.form(max_files=4, max_fields=400) as form:
            found = form.get(FORM_FIELD)
    except HTTPException as err:
        raise WrongTypeError("the form cannot be read") from err
    return found if isinstance(found, str) else ""
