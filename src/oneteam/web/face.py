"""What one node's web face is made of, and how its pages are set.

Routes of every room use three things of this module: `render` for pages, `allow` for who may come in, and `face_of` for the rest. A room
is a package with ``routes.py`` that has ``router(settings) -> APIRouter`` and, if it has pages in the navigation, ``NAV``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

from fastapi import Request
from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined

import oneteam
from oneteam.app.oversight import Oversight
from oneteam.core.errors import ForbiddenError, OneteamError, SignInError
from oneteam.core.model import Text
from oneteam.store.registry import Registry
from oneteam.web.accounts import Account, AccountRole, Accounts
from oneteam.web.alliance.data import Qualities
from oneteam.web.alliance.verifying import Verifying
from oneteam.web.language import Language, Theme, translator
from oneteam.web.sessions import Session, Sessions
from oneteam.web.settings import WebSettings

FOLDER: Final = Path(__file__).parent
TEMPLATES: Final = FOLDER / "templates"
STATIC: Final = FOLDER / "static"


@dataclass(frozen=True)
class NavItem:
    """A page in the navigation.

    Args:
        id: of the page, as `render` is given it.
        href: its address.
        key: of its words.
        roles: who sees it; everybody who is signed in when empty.
    """

    id: str
    href: str
    key: str
    roles: tuple[AccountRole, ...] = ()


@dataclass(frozen=True)
class Face:
    """One node's web face; ``request.app.state.face``.

    Args:
        settings: as it was started.
        registry: of accounts and sessions.
        accounts: who may sign in.
        sessions: who has.
        secret: for forms' tokens.
        own: the member's home; None where only a study is shown.
        verifying: checks of its log.
        qualities: reports on its datasets.
        analysis: whether there are analysis pages.
        nav: every page of the navigation.
        environment: of the templates.
    """

    settings: WebSettings
    registry: Registry
    accounts: Accounts
    sessions: Sessions
    secret: bytes
    own: Oversight | None
    verifying: Verifying | None
    qualities: Qualities
    analysis: bool
    nav: list[NavItem] = field(default_factory=list)
    environment: Environment = field(default_factory=lambda: templates())  # noqa: PLW0108 - it stands below

    @property
    def first_page(self) -> str:
        """Where ``/`` leads."""
        return self.nav[0].href if self.nav else "/account"

    def node_name(self, language: Language) -> str:
        """Whose node this is; empty for a study alone, and for a home that cannot be read, whose error page must stand."""
        with suppress(OneteamError):
            return said(self.own.home.settings.name, language) if self.own is not None else ""
        return ""


@dataclass(frozen=True)
class Visit:
    """What is known of a request before its route runs; ``request.state.visit``.

    Args:
        language: of the page.
        theme: of the page.
        session: of who is signed in.
        form_token: that forms of this page bring back.
    """

    language: Language
    theme: Theme
    session: Session | None
    form_token: str

    @property
    def account(self) -> Account | None:
        """Who is signed in."""
        return self.session.account if self.session else None


@dataclass(frozen=True)
class _User:
    """Who is signed in, for templates."""

    name: str
    role_name: str
    roles: tuple[str, ...]


def face_of(request: Request) -> Face:
    """The face that a request came to."""
    face: Face = request.app.state.face
    return face


def visit_of(request: Request) -> Visit:
    """What is known of a request."""
    visit: Visit = request.state.visit
    return visit


def account_of(request: Request) -> Account:
    """Who is signed in.

    Raises:
        SignInError: nobody.
    """
    account = visit_of(request).account
    if account is None:
        raise SignInError("nobody is signed in", hint="Sign in first.")
    return account


def allow(*roles: AccountRole) -> Callable[[Request], Account]:
    """A dependency: the account that is signed in, if it has one of these roles; any account when none is given.

    Raises:
        SignInError: nobody is signed in.
        ForbiddenError: the account has none of the roles.
    """

    def check(request: Request) -> Account:
        account = account_of(request)
        if roles and not account.has(*roles):
            raise ForbiddenError(f"'{account.name}' may not do this", hint=f"It takes the role {' or '.join(roles)}.")
        return account

    return check


def render(request: Request, template: str, *, page: str, status: int = 200, **context: Any) -> HTMLResponse:
    """A page.

    Args:
        request: what it answers.
        template: its name under ``templates``.
        page: its id in the navigation.
        status: of HTTP.
        context: what else the template needs, beside what ``base.html`` names.
    """
    face, visit = face_of(request), visit_of(request)
    t = translator(visit.language)
    account = visit.account
    user = None
    if account is not None:
        user = _User(account.name, ", ".join(t(f"account.role.{role}") for role in account.roles), account.roles)
    frame: Mapping[str, Any] = {
        "page": page,
        "lang": visit.language,
        "theme": visit.theme,
        "user": user,
        "sign_in": account is None,
        "csrf": visit.form_token,
        # Two slashes at the beginning of a link would lead to another host.
        "path": f"/{request.url.path.lstrip('/')}",
        "query": str(request.url.query),
        "nav": [
            (item.id, item.href, t(item.key)) for item in face.nav if account is not None and (not item.roles or account.has(*item.roles))
        ],
        "node": face.node_name(visit.language),
        "version": oneteam.__version__,
        "api": account is not None,
        "t": t,
        "_": t,
        "said": lambda text: said(text, visit.language),
    }
    body = face.environment.get_template(template).render({**frame, **context})
    return HTMLResponse(body, status_code=status)


def said(text: Text, language: Language) -> str:
    """A text of a document in the language of the page.

    >>> said(Text(en="Agency", ko="질병청"), "ko"), said(Text(en="Agency"), "ko")
    ('질병청', 'Agency')
    """
    return (text.ko or text.en) if language == "ko" else text.en


class _Absent(StrictUndefined):
    """A name that a template was not given: it may be asked for by ``if``, and is an error anywhere else."""

    def __bool__(self) -> bool:  # type: ignore[override]
        return False


def templates() -> Environment:
    """The templates; everything is escaped, and a name that is not there is an error."""
    environment = Environment(loader=FileSystemLoader(TEMPLATES), autoescape=True, undefined=_Absent, trim_blocks=True, lstrip_blocks=True)
    environment.filters["moment"] = moment
    environment.filters["short"] = lambda identity: f"{identity[:12]}…"
    environment.filters["many"] = lambda number: f"{number:,}"
    environment.filters["column_is_number"] = column_is_number
    return environment


def column_is_number(rows: Sequence[Sequence[str]], column: int) -> bool:
    """Whether a column of written cells holds numbers, which stand right.

    >>> column_is_number([("a", "1,200"), ("b", "± 3 %")], 1), column_is_number([("a", "x")], 1)
    (True, False)
    """
    return bool(rows) and all(0 < len(row[column]) < 20 and set(row[column]) <= set("0123456789.,± %–e-+") for row in rows)


def moment(at: datetime, timezone: str = "UTC") -> str:
    """A moment to the second, with its time zone.

    >>> from datetime import UTC
    >>> moment(datetime(2026, 3, 1, 9, 30, tzinfo=UTC))
    '2026-03-01 09:30:00 UTC'
    """
    return f"{at.astimezone(ZoneInfo(timezone)):%Y-%m-%d %H:%M:%S %Z}"
