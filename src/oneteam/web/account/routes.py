"""Signing in and out, the own password, and who else may sign in."""

from __future__ import annotations

import time
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Form, Request
from fastapi.responses import RedirectResponse, Response

from oneteam.core.errors import ForbiddenError, InputError, SignInError
from oneteam.web.accounts import ACCOUNT_ROLES, LONGEST, SHORTEST, Account
from oneteam.web.face import NavItem, account_of, allow, face_of, render, visit_of
from oneteam.web.rates import Rates
from oneteam.web.settings import WebSettings

NAV: Final = (NavItem("accounts", "/accounts", "account.nav", ("steward",)),)
Steward = Annotated[Account, Depends(allow("steward"))]
Text = Annotated[str, Form(max_length=1000)]


def router(settings: WebSettings) -> APIRouter:
    """The account pages."""
    routes = APIRouter(include_in_schema=False)
    doors = _Doors(settings)
    routes.add_api_route("/account/sign-in", sign_in_page, methods=["GET"])
    routes.add_api_route("/account/sign-in", doors.sign_in, methods=["POST"])
    routes.add_api_route("/account/sign-out", sign_out, methods=["POST"])
    routes.add_api_route("/account", own_page, methods=["GET"])
    routes.add_api_route("/account/password", doors.change_password, methods=["POST"])
    routes.add_api_route("/accounts", accounts_page, methods=["GET"])
    routes.add_api_route("/accounts", add_account, methods=["POST"])
    routes.add_api_route("/accounts/{name}/disable", disable, methods=["POST"])
    routes.add_api_route("/accounts/{name}/enable", enable, methods=["POST"])
    return routes


class _Doors:
    """What guesses at passwords must pass: few attempts for an account, few from an address."""

    def __init__(self, settings: WebSettings) -> None:
        limits = settings.limits
        self._by_account = Rates(1 / limits.login_pause_s, limits.logins_per_account, time.monotonic)
        self._by_address = Rates(1 / limits.login_pause_s, limits.logins_per_address, time.monotonic)

    def sign_in(self, request: Request, name: Text = "", password: Text = "", next: Text = "/") -> Response:  # noqa: A002 - the form's
        """Begin a session, if name and password fit."""
        face, name = face_of(request), name.strip()[:64]
        address = request.client.host if request.client else ""
        wait = max(self._by_account.take(name), self._by_address.take(address))
        if wait:
            return _sign_in_again(request, name, next, wait)
        account = face.accounts.check(name, password)
        if account is None:
            return _sign_in_again(request, name, next)
        self._by_account.give_back(name)
        self._by_address.give_back(address)
        before = request.cookies.get(_session_cookie(request))
        answer = RedirectResponse(within(next), 303)
        _set_session(request, answer, face.sessions.begin(account, before))
        return answer

    def change_password(self, request: Request, old: Text = "", new: Text = "") -> Response:
        """A new password for the own account; the present one is asked for again, and every other session ends."""
        face, account = face_of(request), account_of(request)
        if self._by_account.take(account.name):
            raise ForbiddenError("too many attempts", hint="Wait a minute.")
        if face.accounts.check(account.name, old) is None:
            raise SignInError("the present password is another one")
        self._by_account.give_back(account.name)
        face.accounts.set_password(account.name, new)
        face.sessions.end_all(account.name)
        answer = RedirectResponse("/account?changed=1", 303)
        _set_session(request, answer, face.sessions.begin(account))
        return answer


def sign_in_page(request: Request, next: str = "/") -> Response:  # noqa: A002 - as it stands in addresses
    """The form for name and password."""
    if visit_of(request).session is not None:
        return RedirectResponse(within(next), 303)
    return _sign_in_form(request, "", next)


def sign_out(request: Request) -> Response:
    """End the session."""
    session = visit_of(request).session
    if session is not None:
        face_of(request).sessions.end(session.token)
    answer = RedirectResponse("/account/sign-in", 303)
    answer.delete_cookie(_session_cookie(request), path="/", secure=face_of(request).settings.https, httponly=True, samesite="lax")
    return answer


def own_page(request: Request, changed: str = "") -> Response:
    """Who is signed in, and the own password."""
    account = account_of(request)
    return render(request, "account/own.html", page="account", account=account, changed=bool(changed), shortest=SHORTEST, longest=LONGEST)


def accounts_page(request: Request, me: Steward, added: str = "") -> Response:
    """Who may sign in."""
    accounts = face_of(request).accounts.all()
    known = added if any(one.name == added for one in accounts) else ""
    return render(
        request, "account/all.html", page="accounts", accounts=accounts, me=me, added=known, roles=ACCOUNT_ROLES, shortest=SHORTEST
    )


def add_account(
    request: Request,
    _me: Steward,
    name: Text = "",
    password: Text = "",
    role: Annotated[list[str] | None, Form(max_length=8)] = None,
) -> Response:
    """Let somebody in."""
    account = face_of(request).accounts.add(name.strip(), role or [], password)
    return RedirectResponse(f"/accounts?added={account.name}", 303)


def disable(request: Request, me: Steward, name: str) -> Response:
    """Shut somebody out, at once."""
    if name == me.name:
        raise InputError("nobody shuts themselves out", hint="Ask another steward.")
    face_of(request).accounts.set_disabled(name, disabled=True)
    face_of(request).sessions.end_all(name)
    return RedirectResponse("/accounts", 303)


def enable(request: Request, _me: Steward, name: str) -> Response:
    """Let somebody in again."""
    face_of(request).accounts.set_disabled(name, disabled=False)
    return RedirectResponse("/accounts", 303)


def within(address: str) -> str:
    r"""An address on this node; the first page for any other.

    >>> within("/log?before=5"), within("//evil.example"), within("/\\evil.example"), within("https://evil.example")
    ('/log?before=5', '/', '/', '/')
    """
    fine = address.startswith("/") and not address.startswith(("//", "/account/sign-in"))
    return address if fine and address.isprintable() and "\\" not in address else "/"


def _sign_in_again(request: Request, name: str, then: str, wait: int = 0) -> Response:
    """The form once more; what was wrong, the name or the password, is not said."""
    answer = _sign_in_form(request, name, then, failed=not wait, wait=wait, status=429 if wait else 401)
    if wait:
        answer.headers["retry-after"] = str(wait)
    return answer


def _sign_in_form(request: Request, name: str, then: str, *, failed: bool = False, wait: int = 0, status: int = 200) -> Response:
    nobody = not face_of(request).accounts.all()
    return render(
        request,
        "account/sign_in.html",
        page="sign-in",
        status=status,
        name=name,
        next=within(then),
        failed=failed,
        wait=wait,
        nobody=nobody,
    )


def _session_cookie(request: Request) -> str:
    return f"{face_of(request).settings.cookie_prefix}session"


def _set_session(request: Request, answer: Response, token: str) -> None:
    """The cookie: for this node only, out of scripts' reach, not sent along from other sites; it ends with the browser."""
    secure = face_of(request).settings.https
    answer.set_cookie(_session_cookie(request), token, path="/", secure=secure, httponly=True, samesite="lax")
    answer.delete_cookie(f"{face_of(request).settings.cookie_prefix}visitor", path="/", secure=secure, httponly=True, samesite="strict")
