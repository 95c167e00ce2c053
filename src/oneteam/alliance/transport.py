"""A member's line to the hub: the same requests over HTTPS or straight into an application in this process."""

from __future__ import annotations

import json
import ssl
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self, TypeVar

import httpx
from pydantic import BaseModel, ValidationError

from oneteam.alliance.exchange import CONTENT_TYPE, MAX_EXCHANGE_BYTES, MAX_WAIT_S, Incoming, Outgoing, Refused, label, pack, unpack
from oneteam.alliance.session import Challenge, Session, sign_in
from oneteam.alliance.wire import Envelope
from oneteam.core.errors import (
    BadSignatureError,
    BusyError,
    FileUnreadableError,
    OneteamError,
    TooLargeError,
    UnknownValueError,
    UnreachableError,
    WireError,
    WrongTypeError,
)
from oneteam.core.keys import Keys

CONNECT_S: Final = 10.0
TRANSFER_S: Final = 60.0
_IN_PROCESS_URL: Final = "http://hub.in-process"
_Answer = TypeVar("_Answer", bound=BaseModel)
_BY_STATUS: Final[dict[int, type[OneteamError]]] = {401: BadSignatureError, 403: BadSignatureError, 413: TooLargeError, 429: BusyError}


class HubLine:
    """One member's connection to one hub; reconnects and signs in again by itself when asked to exchange.

    Args:
        http: with the transport and the hub's base URL.
        url: the hub's URL as it knows itself; it is signed.
        me: the member's id.
        keys: the member's.
    """

    def __init__(self, http: httpx.AsyncClient, url: str, me: str, keys: Keys) -> None:
        self._http = http
        self._url = url
        self._me = me
        self._keys = keys
        self._token: str | None = None
        self.sent_bytes = 0
        self.received_bytes = 0
        self.exchanges = 0

    @classmethod
    def https(cls, url: str, me: str, keys: Keys, *, authority: Path | None = None) -> Self:
        """Over TLS; plain HTTP is refused but on loopback.

        Args:
            url: ``https://host[:port]``.
            me: the member's id.
            keys: the member's.
            authority: PEM file of the alliance's own certificate authority; None trusts the public ones.

        Raises:
            FileUnreadableError: the authority's file.
            UnknownValueError: a URL that is not HTTPS.
        """
        parts = httpx.URL(url)
        if parts.scheme != "https" and not (parts.scheme == "http" and parts.host in {"127.0.0.1", "::1", "localhost"}):
            raise UnknownValueError(f"the hub's URL '{url}' is not https", hint="Give https://host:port.")
        try:
            context = ssl.create_default_context(cafile=authority)
        except (OSError, ssl.SSLError) as err:
            raise FileUnreadableError(f"{authority}: not a certificate authority's PEM file", hint="Give the hub's ca.pem.") from err
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        # httpx drops idle connections after 5 s unless told otherwise; a long poll's partner line would be made anew each time.
        limits = httpx.Limits(max_connections=8, max_keepalive_connections=8, keepalive_expiry=60)
        transport = httpx.AsyncHTTPTransport(verify=context, limits=limits, retries=0, trust_env=False)
        return cls(_client(transport, url), url, me, keys)

    @classmethod
    def in_process(cls, app: Any, me: str, keys: Keys, *, url: str = _IN_PROCESS_URL) -> Self:
        """Straight into a `oneteam.alliance.relay.Relay`'s ``app``, without a socket.

        Args:
            app: the ASGI application.
            me: the member's id.
            keys: the member's.
            url: the one that the relay was made with.
        """
        return cls(_client(httpx.ASGITransport(app=app), url), url, me, keys)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, err: BaseException | None, trace: TracebackType | None) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def exchange(
        self, envelopes: Sequence[Envelope] = (), *, acknowledged: Sequence[str] = (), wait_s: float = 0.0, fresh: bool = False
    ) -> tuple[tuple[Envelope, ...], tuple[Refused, ...]]:
        """Deliver, acknowledge, and wait for new letters.

        When this returns, the hub has stored every envelope but the refused ones. It may be repeated after any error.

        Args:
            envelopes: to be delivered.
            acknowledged: ids of letters dealt with.
            wait_s: how long to wait for letters.
            fresh: have everything handed out again that is not acknowledged.

        Returns:
            Letters for this member, and what the hub did not take.

        Raises:
            UnreachableError: no connection, or it broke.
            BadSignatureError: the hub does not know this member or its key.
            BusyError: too many requests.
            TooLargeError: over the hub's limit.
            WireError: the hub failed.
        """
        outgoing = Outgoing(
            wait_s=min(wait_s, MAX_WAIT_S), fresh=fresh, acknowledged=tuple(acknowledged), letters=tuple(label(one) for one in envelopes)
        )
        frame = pack(outgoing, [one.sealed for one in envelopes])
        for attempt in (0, 1):
            if self._token is None:
                self._token = await self._signed_in()
            token = self._token
            status, content = await self._post("/exchange", frame, CONTENT_TYPE, token=token, wait_s=wait_s)
            if status != httpx.codes.UNAUTHORIZED or attempt:
                break
            if self._token == token:
                # An hour is over, or the hub was restarted: the same keys open a new session.
                self._token = None
        _check(status, content)
        self.exchanges += 1
        self.sent_bytes += len(frame)
        self.received_bytes += len(content)
        try:
            incoming, letters = unpack(content, Incoming)
        except OneteamError as err:
            raise WireError("the hub's answer is not of its form", hint="Do both run the same version?") from err
        return letters, incoming.refused

    async def _signed_in(self) -> str:
        challenge = _read(await self._post("/challenge", b"", "application/json"), Challenge)
        answer = sign_in(self._me, self._url, challenge.challenge, self._keys)
        session = _read(await self._post("/session", answer.model_dump_json().encode(), "application/json"), Session)
        return session.token

    async def _post(self, path: str, body: bytes, content_type: str, *, token: str | None = None, wait_s: float = 0.0) -> tuple[int, bytes]:
        headers = {"content-type": content_type}
        if token is not None:
            headers["authorization"] = f"Bearer {token}"
        timeout = httpx.Timeout(TRANSFER_S, connect=CONNECT_S, read=TRANSFER_S + wait_s, pool=CONNECT_S)
        try:
            async with self._http.stream("POST", path, content=body, headers=headers, timeout=timeout) as answer:
                return answer.status_code, await _content(answer)
        except (httpx.HTTPError, httpx.StreamError, ssl.SSLError) as err:
            raise UnreachableError(
                f"the hub at {self._url} does not answer: {type(err).__name__}",
                hint="Check the URL, the network and, for an own certificate authority, ca.pem.",
                detail=str(err),
            ) from err


async def _content(answer: httpx.Response) -> bytes:
    """The body, read no further than the largest that a hub may send."""
    chunks: list[bytes] = []
    size = 0
    async for chunk in answer.aiter_raw():
        size += len(chunk)
        if size > MAX_EXCHANGE_BYTES:
            raise TooLargeError(f"the hub's answer has more than {MAX_EXCHANGE_BYTES:,} bytes")
        chunks.append(chunk)
    return b"".join(chunks)


def _client(transport: httpx.AsyncBaseTransport, url: str) -> httpx.AsyncClient:
    headers = {"user-agent": "oneteam", "accept-encoding": "identity"}
    return httpx.AsyncClient(transport=transport, base_url=url, trust_env=False, follow_redirects=False, headers=headers)


def _check(status: int, content: bytes) -> None:
    """Turn the hub's refusal into an error of ours."""
    if httpx.codes.is_success(status):
        return
    try:
        told = json.loads(content[:10_000])["error"]
        message, hint = str(told["message"])[:500], str(told["hint"])[:500]
    except (ValueError, KeyError, TypeError, RecursionError):
        message, hint = f"the hub answered {status}", ""
    raise _BY_STATUS.get(status, WireError)(message, hint=hint)


def _read(answer: tuple[int, bytes], form: type[_Answer]) -> _Answer:
    _check(*answer)
    try:
        return form.model_validate_json(answer[1])
    except ValidationError as err:
        raise WrongTypeError("the hub's answer is not of its form", hint="Is it a oneteam hub?") from err
