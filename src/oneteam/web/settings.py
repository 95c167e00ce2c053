"""What a web face needs to know when it starts."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Self
from urllib.parse import urlsplit

from oneteam.alliance.home import Home
from oneteam.core.errors import UnknownValueError

DEFAULT_PORT: Final = 8450
LOOPBACK: Final = frozenset({"127.0.0.1", "::1", "localhost"})
MAX_BODY_BYTES: Final = 4 * 2**20
_PREFIX: Final = "ONETEAM_WEB_"


@dataclass(frozen=True)
class Limits:
    """How much a client may ask, and how long a session lasts.

    Args:
        requests_per_s: of one address, in the long run.
        burst: of one address, at once.
        body_bytes: largest request.
        body_s: longest time until a request's body is complete.
        logins_per_account: attempts at one account at once; each comes back after ``login_pause_s``.
        logins_per_address: attempts from one address at once.
        login_pause_s: until one attempt comes back.
        idle_s: a session ends after so long without a request.
        longest_s: a session ends after so long in any case.
    """

    requests_per_s: float = 40.0
    burst: float = 200.0
    body_bytes: int = MAX_BODY_BYTES
    body_s: float = 30.0
    logins_per_account: float = 5.0
    logins_per_address: float = 20.0
    login_pause_s: float = 30.0
    idle_s: int = 3600
    longest_s: int = 12 * 3600


@dataclass(frozen=True)
class WebSettings:
    """The web face of one node.

    Args:
        home: the member's home; None shows no alliance pages.
        study: a study's folder; only a recipient's node shows one.
        url: address as people write it; ``https`` makes cookies secure. None is http on host and port.
        host: address to listen on.
        port: port to listen on.
        certificate: PEM file of the server's certificate and chain; None where a proxy on this machine, or nobody, speaks TLS.
        key: PEM file of its key.
        proxy: address of the proxy whose ``X-Forwarded-For`` is believed; None believes nobody.
        state: folder of accounts and sessions; the home's, else the study's, when None.
        limits: rates, sizes and times.

    >>> WebSettings(url="https://team.example.org").hosts
    ('team.example.org',)
    >>> WebSettings(port=8451).origin
    'http://127.0.0.1:8451'
    """

    home: Path | None = None
    study: Path | None = None
    url: str | None = None
    host: str = "127.0.0.1"
    port: int = DEFAULT_PORT
    certificate: Path | None = None
    key: Path | None = None
    proxy: str | None = None
    state: Path | None = None
    limits: Limits = field(default_factory=Limits)

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> Self:
        """Settings of ``ONETEAM_WEB_HOME``, ``_STUDY``, ``_URL``, ``_HOST``, ``_PORT``, ``_PROXY`` and ``_STATE``.

        Raises:
            UnknownValueError: a port that is no number.
        """

        def text(name: str) -> str | None:
            return environment.get(f"{_PREFIX}{name}") or None

        def path(name: str) -> Path | None:
            found = text(name)
            return Path(found) if found else None

        port = text("PORT") or str(DEFAULT_PORT)
        if not port.isascii() or not port.isdigit() or int(port) > 65_535:
            raise UnknownValueError(f"{_PREFIX}PORT={port}: must be a number from 0 to 65535")
        return cls(
            home=path("HOME"),
            study=path("STUDY"),
            url=text("URL"),
            host=text("HOST") or "127.0.0.1",
            port=int(port),
            proxy=text("PROXY"),
            state=path("STATE"),
        )

    @property
    def scheme(self) -> str:
        """``https`` where people reach it so."""
        if self.url is not None:
            return urlsplit(self.url).scheme
        return "https" if self.certificate else "http"

    @property
    def https(self) -> bool:
        """Whether cookies travel over TLS only."""
        return self.scheme == "https"

    @property
    def origin(self) -> str:
        """Scheme, host and port, as browsers write it."""
        return f"{self.scheme}://{self.hosts[0]}"

    @property
    def hosts(self) -> tuple[str, ...]:
        """What may stand in a request's Host header."""
        if self.url is not None:
            return (urlsplit(self.url).netloc.lower(),)
        names = ("127.0.0.1", "localhost", "[::1]") if self.host in LOOPBACK else (f"[{self.host}]" if ":" in self.host else self.host,)
        return tuple(f"{name}:{self.port}" for name in names)

    @property
    def cookie_prefix(self) -> str:
        """What cookies' names begin with; browsers do not tell ports of one host apart, so their names do."""
        return "__Host-oneteam_" if self.https else f"oneteam_{self.port}_"

    @property
    def state_folder(self) -> Path:
        """Where accounts and sessions stand.

        Raises:
            UnknownValueError: neither home, study nor state is given.
        """
        found = self.state or self.home or self.study
        if found is None:
            raise UnknownValueError("no home and no study: there is nothing to show", hint="Give --home, or --study.")
        return found


def check(settings: WebSettings) -> None:
    """Refuse settings that would expose people or show what a member may not have.

    Raises:
        UnknownValueError: plain HTTP for others than this machine; an impossible address; analysis at a member that receives nothing.
    """
    if settings.url is not None:
        parts = urlsplit(settings.url)
        if parts.scheme not in {"http", "https"} or not parts.hostname or parts.path not in {"", "/"} or parts.username is not None:
            raise UnknownValueError(f"--url {settings.url}: must be http:// or https://, a host and perhaps a port")
        if parts.scheme == "http" and parts.hostname not in LOOPBACK:
            raise UnknownValueError(
                f"--url {settings.url}: passwords would travel in the clear", hint="Use https, with --certificate or behind a proxy."
            )
    if settings.host not in LOOPBACK and not settings.https:
        raise UnknownValueError(
            f"--host {settings.host}: others would reach it without TLS",
            hint="Give --certificate and --key, or --url https://... where a proxy speaks TLS.",
        )
    if settings.home is not None and settings.study is not None and not shows_analysis(settings):
        raise UnknownValueError(
            f"{settings.home}: this member receives no Releases, its node shows no analysis",
            hint="Serve --study at a recipient, or without --home.",
        )


def shows_analysis(settings: WebSettings) -> bool:
    """Whether there are analysis pages: a study is given, and the home, if any, is a recipient's."""
    if settings.study is None:
        return False
    return settings.home is None or "recipient" in Home.open(settings.home).settings.roles
