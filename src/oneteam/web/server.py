"""One node's web face: the application, and the process that serves it.

``uvicorn --factory oneteam.web.server:create_app`` reads its settings from the environment (`oneteam.web.settings`); ``oneteam web serve``
gives them.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, nullcontext, suppress
from dataclasses import replace
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType
from typing import Any, Final

import uvicorn
from fastapi import APIRouter, FastAPI, Request
from fastapi.responses import RedirectResponse, Response
from fastapi.staticfiles import StaticFiles
from pydantic import BaseModel
from starlette.middleware.gzip import GZipMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

import oneteam
from oneteam.alliance.serving import GuardedProtocol, stopping
from oneteam.app.oversight import Oversight
from oneteam.core.errors import FileUnreadableError, OneteamError, UnreachableError
from oneteam.store.registry import Registry
from oneteam.store.tables import disk_errors
from oneteam.web import failures
from oneteam.web.account import routes as account_routes
from oneteam.web.accounts import Accounts
from oneteam.web.alliance import api as alliance_api
from oneteam.web.alliance import routes as alliance_routes
from oneteam.web.alliance.data import Qualities, datasets_of
from oneteam.web.alliance.verifying import Verifying
from oneteam.web.face import STATIC, Face, NavItem, face_of, render
from oneteam.web.guard import Guard
from oneteam.web.sessions import Sessions
from oneteam.web.settings import WebSettings, check, shows_analysis

LOG: Final = logging.getLogger(__name__)
ACCOUNTS_FILE: Final = "web.db"
ANALYSIS: Final = ("oneteam.web.outlook.routes", "oneteam.web.whatif.routes")
"""Rooms with analysis pages, as far as they are there."""
_LONGEST_STOP_S: Final = 5
_MOST_CONNECTIONS: Final = 500


class Compressed:
    """ASGI middleware that compresses what holds no secret: files, and answers to programs.

    Pages hold a form token and may hold what was asked for; compressed together under TLS, their length would tell of the token (BREACH).

    Args:
        app: the application.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._plain, self._compressed = app, GZipMiddleware(app, minimum_size=1000)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        fit = scope["type"] == "http" and scope["path"].startswith(("/static/", "/api/v1/"))
        await (self._compressed if fit else self._plain)(scope, receive, send)


class Health(BaseModel):
    """That the web face answers.

    Args:
        status: ``ok``.
        version: of oneteam.
    """

    status: str
    version: str


def create_app(settings: WebSettings | None = None, accounts: Callable[[Registry], Accounts] = Accounts) -> FastAPI:
    """The application of one node's web face.

    Args:
        settings: of the environment when None.
        accounts: how accounts are opened.

    Raises:
        UnknownValueError: settings that would expose people; see `oneteam.web.settings.check`.
        FileUnreadableError: no member lives in the home.
    """
    settings = settings or WebSettings.from_environment()
    check(settings)
    face = _face(settings, accounts)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        # The first report imports a data engine; nobody should wait for that.
        threading.Thread(target=_warm, args=(face,), name="warm", daemon=True).start()
        try:
            yield
        finally:
            close(app)

    app = FastAPI(
        title="oneteam",
        version=oneteam.__version__,
        description="One node of an alliance: what it knows, decides and has decided.",
        openapi_url="/api/openapi.json",
        docs_url=None,
        redoc_url=None,
        lifespan=lifespan,
        telemetry=None,
    )
    app.state.face = face
    failures.install(app)
    _plain_routes(app)
    if face.analysis:
        for name in ANALYSIS:
            _include(app, face, name)
    if face.own is not None:
        _add(app, face, alliance_routes)
        app.include_router(alliance_api.router(settings))
    app.include_router(alliance_api.status_router(settings))
    _add(app, face, account_routes)
    app.mount("/static", StaticFiles(directory=STATIC, check_dir=False), name="static")
    app.add_middleware(Compressed)
    app.add_middleware(Guard, face=face)
    return app


def close(app: FastAPI) -> None:
    """Close the application's files."""
    face: Face = app.state.face
    face.registry.close()
    if face.own is not None:
        face.own.close()


async def serve_web(settings: WebSettings, *, stop: asyncio.Event | None = None, ready: Callable[[str], None] | None = None) -> None:
    """Serve until stopped.

    Args:
        settings: where and what; port 0 takes a free one.
        stop: ends it when set; without one, SIGTERM and SIGINT do.
        ready: told the address once connections are taken.

    Raises:
        UnknownValueError: as `create_app`.
        FileUnreadableError: certificate or key cannot be read.
        UnreachableError: the port is taken.
    """
    check(settings)
    context = _tls(settings)
    listener = _listen(settings)
    try:
        settings = replace(settings, port=listener.getsockname()[1])
        server = _Server(_config(settings, create_app(settings), context))
        if ready is not None:
            server.when_started = lambda: ready(settings.url or settings.origin)
        async with stopping(stop) as told:
            serving = asyncio.create_task(server.serve(sockets=[listener]))
            waiting = asyncio.create_task(told.wait())
            await asyncio.wait({serving, waiting}, return_when=asyncio.FIRST_COMPLETED)
            waiting.cancel()
            server.should_exit = True
            await serving
    finally:
        listener.close()


def serve(settings: WebSettings, ready: Callable[[str], None] | None = None) -> None:
    """As `serve_web`, from where no event loop runs."""
    asyncio.run(serve_web(settings, ready=ready))


def open_accounts(settings: WebSettings) -> tuple[Registry, Accounts]:
    """The accounts of a node, also while it does not run; close the registry afterwards."""
    folder = settings.state_folder
    with disk_errors(str(folder)):
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    registry = Registry.open(folder / ACCOUNTS_FILE)
    return registry, Accounts(registry)


def _face(settings: WebSettings, accounts: Callable[[Registry], Accounts]) -> Face:
    own = Oversight(settings.home) if settings.home is not None else None
    if own is not None:
        own.home  # noqa: B018 - a home that cannot be opened is told now, not to the first visitor
    analysis = shows_analysis(settings)
    registry, _ = open_accounts(settings)
    known = accounts(registry)
    limits = settings.limits
    return Face(
        settings=settings,
        registry=registry,
        accounts=known,
        sessions=Sessions(registry, known, idle_s=limits.idle_s, longest_s=limits.longest_s),
        secret=known.secret(),
        own=own,
        verifying=Verifying(own) if own is not None else None,
        qualities=Qualities(),
        analysis=analysis,
    )


def _warm(face: Face) -> None:
    if face.own is not None:
        with suppress(OneteamError):
            datasets_of(face.own, face.qualities)


def _plain_routes(app: FastAPI) -> None:
    def first_page(request: Request) -> Response:
        return RedirectResponse(face_of(request).first_page, 303)

    def health() -> Health:
        """That this node's web face answers."""
        return Health(status="ok", version=oneteam.__version__)

    def icon() -> Response:
        return RedirectResponse("/static/dist/mark.svg", 308)

    def api_page(request: Request) -> Response:
        return render(request, "api.html", page="api", operations=_operations(app.openapi()))

    app.add_api_route("/", first_page, methods=["GET"], include_in_schema=False)
    app.add_api_route("/health", health, methods=["GET"], tags=["node"])
    app.add_api_route("/favicon.ico", icon, methods=["GET"], include_in_schema=False)
    app.add_api_route("/api/docs", api_page, methods=["GET"], include_in_schema=False)


def _operations(schema: dict[str, Any]) -> list[tuple[str, str, str]]:
    """Method, path and description of everything that the schema has."""
    return [
        (method.upper(), path, str(operation.get("description") or operation.get("summary", "")))
        for path, methods in schema["paths"].items()
        for method, operation in methods.items()
    ]


def _include(app: FastAPI, face: Face, name: str) -> None:
    """Add a room that is there; that one which is there cannot be read is an error."""
    if find_spec(name.rpartition(".")[0]) is not None and find_spec(name) is not None:
        _add(app, face, import_module(name))


def _add(app: FastAPI, face: Face, room: ModuleType) -> None:
    made: APIRouter = room.router(face.settings)
    app.include_router(made)
    face.nav.extend(item if isinstance(item, NavItem) else NavItem(*item) for item in getattr(room, "NAV", ()))


class _Server(uvicorn.Server):  # type: ignore[misc]
    """Leaves signals to whoever runs it, and says when it has started."""

    when_started: Callable[[], None] | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets=sockets)
        if self.when_started is not None:
            self.when_started()

    def capture_signals(self) -> Any:
        return nullcontext()


def _config(settings: WebSettings, app: FastAPI, context: ssl.SSLContext | None) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        http=GuardedProtocol,
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=settings.proxy is not None,
        forwarded_allow_ips=settings.proxy or "",
        limit_concurrency=_MOST_CONNECTIONS,
        timeout_graceful_shutdown=_LONGEST_STOP_S,
        ssl_context_factory=(lambda _config, _default: context) if context is not None else None,
    )


def _tls(settings: WebSettings) -> ssl.SSLContext | None:
    if settings.certificate is None:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    try:
        context.load_cert_chain(settings.certificate, settings.key)
    except (OSError, ssl.SSLError) as err:
        raise FileUnreadableError(f"{settings.certificate}: not a certificate with its key ({settings.key})") from err
    return context


def _listen(settings: WebSettings) -> socket.socket:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((settings.host, settings.port))
    except OSError as err:
        listener.close()
        raise UnreachableError(
            f"cannot listen on {settings.host}:{settings.port}: {err.strerror}",
            hint="Is another node's page served there? Give another --port.",
        ) from err
    return listener
