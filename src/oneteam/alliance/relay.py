"""The hub: a relay that knows nothing.

Members only connect outward to it. It keeps sealed letters until their receivers have fetched and acknowledged them, and it can neither
read, forge nor substitute one: letters are signed and sealed end to end (`oneteam.alliance.wire`). What it does learn is who fetches mail,
who gets how many letters of which size class, and when.

======== ===================== ==========================================================================
method   path                  what
======== ===================== ==========================================================================
GET      ``/health``           version and uptime
POST     ``/challenge``        something to sign
POST     ``/session``          a signed challenge in, a token out
POST     ``/exchange``         deliver mine, acknowledge, wait for new (`oneteam.alliance.exchange`)
======== ===================== ==========================================================================
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Final

from pydantic import BaseModel, ValidationError
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

import oneteam
from oneteam.alliance.exchange import CONTENT_TYPE, MAX_EXCHANGE_BYTES, Incoming, Outgoing, Refused, label, pack, unpack
from oneteam.alliance.mailbox import Mailboxes, Quotas
from oneteam.alliance.session import Sessions, SignIn
from oneteam.alliance.wire import MAX_LIFE, Envelope
from oneteam.core.errors import BadSignatureError, BusyError, OneteamError, ReplayError, TooLargeError, UnknownValueError, WrongTypeError
from oneteam.core.keys import PublicKeys
from oneteam.store.registry import Registry

LOG: Final = logging.getLogger(__name__)
SMALL_BODY_BYTES: Final = 4096
"""Of requests that carry no letters."""
_SWEEP_S: Final = 30.0
_SKEW_S: Final = 3600
"""How far a member's clock may be ahead of the hub's."""


@dataclass(frozen=True)
class Limits:
    """What one member, or one unknown address, may take.

    Args:
        requests_per_s: of one member, in the long run.
        burst: requests at once.
        bytes_per_s: of one member, in the long run.
        burst_bytes: bytes at once.
        sign_ins_per_s: of one address.
        body_s: longest time that a request's body may take.
        exchange_bytes: largest request.
        quotas: of the mailboxes.
    """

    requests_per_s: float = 200.0
    burst: float = 400.0
    bytes_per_s: float = 64 * 2**20
    burst_bytes: float = 4 * MAX_EXCHANGE_BYTES
    sign_ins_per_s: float = 5.0
    body_s: float = 30.0
    exchange_bytes: int = MAX_EXCHANGE_BYTES
    quotas: Quotas = field(default_factory=Quotas)


class _Bucket:
    """Tokens that flow in evenly and are taken at will (token bucket)."""

    def __init__(self, rate: float, size: float, now: float) -> None:
        self.rate, self.size, self.level, self.at = rate, size, size, now

    def take(self, amount: float, now: float) -> float:
        """Take; gives 0, or how many seconds to wait when there is not enough."""
        self.level = min(self.size, self.level + (now - self.at) * self.rate)
        self.at = now
        if self.level < amount:
            return (amount - self.level) / self.rate
        self.level -= amount
        return 0.0


class Relay:
    """The hub's application; ``relay.app`` is what a server or the in-process transport runs.

    Args:
        registry: a registry of its own, opened with `oneteam.alliance.mailbox.MAILBOX_SCHEMA`.
        members: public keys by member id: the roster.
        url: the hub's own, as members know it.
        limits: rates, sizes and times.
        clock: epoch seconds.
    """

    def __init__(
        self,
        registry: Registry,
        members: Mapping[str, PublicKeys],
        url: str,
        *,
        limits: Limits = Limits(),
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._members = dict(members)
        self._limits = limits
        self._clock = clock
        self._started = clock()
        self._buckets: dict[tuple[str, str], _Bucket] = {}
        self.sessions = Sessions(url, self._members.get)
        self.mailboxes = Mailboxes(registry, limits.quotas)
        self.app = Starlette(
            routes=[
                Route("/health", self._guard(self._health), methods=["GET"]),
                Route("/challenge", self._guard(self._challenge), methods=["POST"]),
                Route("/session", self._guard(self._session), methods=["POST"]),
                Route("/exchange", self._guard(self._exchange), methods=["POST"]),
            ],
            lifespan=self._lifespan,
        )

    def admit(self, members: Mapping[str, PublicKeys]) -> None:
        """Take a new roster; sessions of members that are no longer in it end with their next request."""
        self._members.clear()
        self._members.update(members)

    def sweep(self) -> None:
        """Forget what has expired."""
        now = self._clock()
        self.mailboxes.forget_expired(now)
        self.sessions.forget_old(now)
        self._buckets = {who: bucket for who, bucket in self._buckets.items() if now - bucket.at < 600}

    @asynccontextmanager
    async def _lifespan(self, _: Starlette) -> AsyncIterator[None]:
        async def sweeping() -> None:
            while True:
                await asyncio.sleep(_SWEEP_S)
                self.sweep()

        task = asyncio.create_task(sweeping())
        try:
            yield
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    def _guard(self, handle: Callable[[Request], Awaitable[Response]]) -> Callable[[Request], Awaitable[Response]]:
        """Every failure becomes a typed answer; none ends the hub."""

        async def guarded(request: Request) -> Response:
            try:
                return await handle(request)
            except OneteamError as err:
                return _failure(err)
            except ClientDisconnect:
                return Response(status_code=499)
            except Exception as err:  # noqa: BLE001 - whatever a stranger sends, the hub goes on
                LOG.error("a request to %s failed: %s", request.url.path, type(err).__name__)  # noqa: TRY400 - bodies stay out of the log
                return _failure(OneteamError("the hub failed on this request"))

        return guarded

    async def _health(self, _: Request) -> Response:
        return JSONResponse({"status": "ok", "version": oneteam.__version__, "uptime_s": int(self._clock() - self._started)})

    async def _challenge(self, request: Request) -> Response:
        self._meter("address", _address(request), 1, self._limits.sign_ins_per_s, 4 * self._limits.sign_ins_per_s)
        return _answer(self.sessions.challenge(self._clock()))

    async def _session(self, request: Request) -> Response:
        self._meter("address", _address(request), 1, self._limits.sign_ins_per_s, 4 * self._limits.sign_ins_per_s)
        body = await self._body(request, SMALL_BODY_BYTES)
        try:
            answer = SignIn.model_validate_json(body)
        except ValidationError as err:
            raise WrongTypeError("not a sign-in", hint="Fields: member, hub, challenge, signature.") from err
        return _answer(self.sessions.begin(answer, self._clock()))

    async def _exchange(self, request: Request) -> Response:
        now = self._clock()
        known = self.sessions.who(request.headers.get("authorization", ""), now)
        if known is None or known[0] not in self._members:
            return _failure(BadSignatureError("no session", hint="Sign a challenge first."), status=401)
        member, session = known
        self._meter("requests", member, 1, self._limits.requests_per_s, self._limits.burst)
        body = await self._body(request, self._limits.exchange_bytes)
        self._meter("bytes", member, len(body), self._limits.bytes_per_s, self._limits.burst_bytes)
        outgoing, envelopes = unpack(body, Outgoing)
        if outgoing.fresh:
            self.mailboxes.hand_out_again(member)
        self.mailboxes.acknowledge(member, outgoing.acknowledged)
        storing, refused = self._take_in(envelopes, member, now)
        found = await self.mailboxes.take(member, session, 0 if refused else outgoing.wait_s)
        if storing:
            await asyncio.gather(*storing)
        incoming = Incoming(letters=tuple(label(envelope) for envelope in found), refused=tuple(refused))
        return Response(pack(incoming, [envelope.sealed for envelope in found]), media_type=CONTENT_TYPE)

    def _take_in(self, envelopes: tuple[Envelope, ...], sender: str, now: float) -> tuple[list[asyncio.Future[None]], list[Refused]]:
        storing: list[asyncio.Future[None]] = []
        refused: list[Refused] = []
        for envelope in envelopes:
            try:
                if envelope.receiver not in self._members:
                    raise UnknownValueError(f"'{envelope.receiver}' is not in the hub's roster")
                if envelope.expires_at > now + MAX_LIFE.total_seconds() + _SKEW_S:
                    raise UnknownValueError("a letter that would lie here for weeks")
                if envelope.expires_at <= now:
                    late_s = int(now) - envelope.expires_at
                    raise ReplayError(f"a letter that had expired {late_s} s before it came: the sender's clock is behind the hub's clock")
                done = self.mailboxes.put(envelope, sender, now)
            except OneteamError as err:
                refused.append(Refused(id=envelope.id, code=err.code, message=err.message))
            else:
                if done is not None:
                    storing.append(done)
        return storing, refused

    def _meter(self, what: str, who: str, amount: float, rate: float, size: float) -> None:
        now = self._clock()
        if len(self._buckets) > 100_000:
            self._buckets.clear()
        bucket = self._buckets.get((what, who)) or self._buckets.setdefault((what, who), _Bucket(rate, size, now))
        wait_s = bucket.take(amount, now)
        if wait_s > 0:
            raise BusyError(f"too many {what} in too short a time", hint=f"Wait {wait_s:.1f} s.")

    async def _body(self, request: Request, limit: int) -> bytes:
        """The body, unless it is too large or too slow."""
        declared = request.headers.get("content-length", "")
        if declared.isdecimal() and int(declared) > limit:
            raise TooLargeError(f"a request of {int(declared):,} bytes; the limit is {limit:,}")
        chunks: list[bytes] = []
        size = 0
        try:
            async with asyncio.timeout(self._limits.body_s):
                async for chunk in request.stream():
                    size += len(chunk)
                    if size > limit:
                        raise TooLargeError(f"a request of more than {limit:,} bytes")
                    chunks.append(chunk)
        except TimeoutError as err:
            raise BusyError(f"the request's body took longer than {self._limits.body_s:.0f} s") from err
        return b"".join(chunks)


def _address(request: Request) -> str:
    return request.client.host if request.client else ""


def _answer(document: BaseModel) -> Response:
    return Response(document.model_dump_json(), media_type="application/json")


def _failure(err: OneteamError, status: int | None = None) -> Response:
    headers = {"retry-after": "1"} if isinstance(err, BusyError) else None
    if isinstance(err, TooLargeError | BusyError):
        # The rest of the body is not read; the connection cannot be used again.
        headers = {**(headers or {}), "connection": "close"}
    return JSONResponse({"error": err.as_dict()}, status_code=status or err.http_status, headers=headers)
