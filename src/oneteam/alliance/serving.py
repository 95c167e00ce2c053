"""Processes that serve until they are told to stop: the hub over HTTPS, and the way signals end hub and node cleanly."""

from __future__ import annotations

import asyncio
import logging
import signal
import socket
import ssl
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from oneteam.alliance.mailbox import MAILBOX_SCHEMA
from oneteam.alliance.relay import Limits, Relay
from oneteam.core.errors import FileUnreadableError, UnknownValueError, UnreachableError
from oneteam.core.keys import PublicKeys
from oneteam.store.registry import Registry

LOG: Final = logging.getLogger(__name__)
KEEP_ALIVE_S: Final = 75
REQUEST_HEAD_S: Final = 10.0
"""Longest time until a request's head is complete."""
MAX_REQUEST_HEAD_BYTES: Final = 32 * 1024
MAX_CONNECTIONS: Final = 2000
_LONGEST_STOP_S: Final = 5


@dataclass(frozen=True)
class HubSettings:
    """What a hub's process needs.

    Args:
        url: as members know it; ``https`` unless host is loopback.
        registry: path of the hub's own SQLite file.
        certificate: PEM file of the server's certificate and chain; None serves plain HTTP, on loopback only.
        key: PEM file of its key.
        host: address to listen on.
        port: port to listen on; None takes the URL's.
        limits: rates, sizes and times.
    """

    url: str
    registry: Path
    certificate: Path | None = None
    key: Path | None = None
    host: str = "127.0.0.1"
    port: int | None = None
    limits: Limits = field(default_factory=Limits)


async def serve_hub(
    settings: HubSettings,
    members: Mapping[str, PublicKeys],
    *,
    stop: asyncio.Event | None = None,
    ready: Callable[[Relay, int], None] | None = None,
) -> None:
    """Run a hub until it is stopped.

    Args:
        settings: where and how.
        members: the roster's public keys.
        stop: ends the hub when set; without one, SIGTERM and SIGINT do.
        ready: called with the relay and the port once connections are taken.

    Raises:
        FileUnreadableError: certificate or key cannot be read.
        UnknownValueError: plain HTTP on an address that others can reach.
        UnreachableError: the port is taken.
    """
    context = _tls(settings)
    listener = _listen(settings)
    registry = Registry.open(settings.registry, schemas=(MAILBOX_SCHEMA,))
    relay = Relay(registry, members, settings.url, limits=settings.limits)
    server = _Server(_config(relay, context))
    try:
        async with stopping(stop) as told:
            port = listener.getsockname()[1]
            server.when_started = (lambda: ready(relay, port)) if ready is not None else None
            serving = asyncio.create_task(server.serve(sockets=[listener]))
            waiting = asyncio.create_task(told.wait())
            await asyncio.wait({serving, waiting}, return_when=asyncio.FIRST_COMPLETED)
            waiting.cancel()
            relay.mailboxes.release_waiters()
            server.should_exit = True
            await serving
    finally:
        listener.close()
        relay.mailboxes.close()
        registry.close()


@asynccontextmanager
async def stopping(stop: asyncio.Event | None) -> AsyncIterator[asyncio.Event]:
    """The event that ends a process: the caller's own, or one that SIGTERM and SIGINT set."""
    if stop is not None:
        yield stop
        return
    loop = asyncio.get_running_loop()
    told = asyncio.Event()
    signals = (signal.SIGTERM, signal.SIGINT)
    for number in signals:
        loop.add_signal_handler(number, told.set)
    try:
        yield told
    finally:
        for number in signals:
            loop.remove_signal_handler(number)


class _Server(uvicorn.Server):  # type: ignore[misc]
    """Leaves signals to whoever runs it, and says when it has started."""

    when_started: Callable[[], None] | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets=sockets)
        if self.when_started is not None:
            self.when_started()

    def capture_signals(self) -> Any:
        return nullcontext()


class GuardedProtocol(HttpToolsProtocol):  # type: ignore[misc]
    """Closes connections whose request head is too slow or too long."""

    _deadline: asyncio.TimerHandle | None = None
    _head_bytes: int | None = 0

    def connection_made(self, transport: asyncio.Transport) -> None:
        """A new connection: its first head is due."""
        super().connection_made(transport)
        self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Gone."""
        self._head_is_here()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Bytes of a head or a body."""
        if self._head_bytes is not None:
            self._head_bytes += len(data)
        super().data_received(data)
        if self._head_bytes is not None and self._head_bytes > MAX_REQUEST_HEAD_BYTES:
            self._give_up()

    def on_message_begin(self) -> None:
        """The parser saw the first byte of a request."""
        self._await_head()
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """The parser saw the end of the head."""
        self._head_is_here()
        super().on_headers_complete()

    def _await_head(self) -> None:
        self._head_is_here()
        self._head_bytes = 0
        self._deadline = self.loop.call_later(REQUEST_HEAD_S, self._give_up)

    def _head_is_here(self) -> None:
        self._head_bytes = None
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _give_up(self) -> None:
        if self.transport is not None and not self.transport.is_closing():
            self.transport.close()


def _config(relay: Relay, context: ssl.SSLContext | None) -> uvicorn.Config:
    return uvicorn.Config(
        relay.app,
        http=GuardedProtocol,
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        limit_concurrency=MAX_CONNECTIONS,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=_LONGEST_STOP_S,
        ssl_context_factory=(lambda _config, _default: context) if context is not None else None,
    )


def _tls(settings: HubSettings) -> ssl.SSLContext | None:
    if settings.certificate is None:
        host = urlsplit(settings.url).hostname or ""
        if settings.url.startswith("https:"):
            raise UnknownValueError(f"a hub at {settings.url} needs a certificate", hint="Make one: `oneteam hub certificate`.")
        if settings.host not in {"127.0.0.1", "::1", "localhost"} or host not in {"127.0.0.1", "::1", "localhost"}:
            raise UnknownValueError(
                f"a hub without a certificate may serve loopback only, not {settings.host} as {settings.url}",
                hint="Give certificate and key, or make them with the alliance's own authority.",
            )
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    try:
        context.load_cert_chain(settings.certificate, settings.key)
    except (OSError, ssl.SSLError) as err:
        raise FileUnreadableError(f"{settings.certificate}: not a certificate with its key ({settings.key})") from err
    return context


def _listen(settings: HubSettings) -> socket.socket:
    port = settings.port if settings.port is not None else (urlsplit(settings.url).port or 443)
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((settings.host, port))
    except OSError as err:
        listener.close()
        raise UnreachableError(f"cannot listen on {settings.host}:{port}: {err.strerror}", hint="Is another hub running there?") from err
    return listener
