"""Accounts, sessions, cookies, and the command that makes the first account."""

from __future__ import annotations

import json
import sqlite3
import stat
import sys
import time
from pathlib import Path

import pytest
from argon2 import PasswordHasher, extract_parameters
from fastapi import FastAPI
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from oneteam.cli.main import app as commands
from oneteam.core.errors import InputError, NothingFoundError, UnknownValueError, WrongTypeError
from oneteam.store.registry import Registry
from oneteam.web.account.routes import within
from oneteam.web.accounts import Accounts
from oneteam.web.sessions import Sessions
from oneteam.web.settings import Limits, WebSettings, check
from tests.app.allies import Allies
from tests.web.browser import PASSWORD, Browser, cheap_accounts
from tests.web.conftest import Faces, signed_in


@pytest.fixture
def registry(tmp_path: Path):
    opened = Registry.open(tmp_path / "web.db")
    yield opened
    opened.close()


def test_passwords_are_kept_as_argon2id_with_the_recommended_cost(registry: Registry) -> None:
    accounts = Accounts(registry)
    accounts.add("mina", ["viewer"], PASSWORD)
    (hashed,) = sqlite3.connect(registry.path).execute("SELECT hash FROM web_account").fetchone()
    cost = extract_parameters(hashed)
    assert hashed.startswith("$argon2id$")
    assert cost.memory_cost >= 64 * 1024
    assert cost.time_cost >= 3
    assert accounts.check("mina", PASSWORD) is not None
    assert accounts.check("mina", PASSWORD + "x") is None


def test_a_name_that_nobody_has_takes_as_long_as_a_wrong_password(registry: Registry) -> None:
    accounts = Accounts(registry, PasswordHasher(time_cost=2, memory_cost=16_384, parallelism=1))
    accounts.add("mina", ["viewer"], PASSWORD)
    accounts.check("nobody", "warm up")

    least_s = {"mina": 1e9, "nobody": 1e9}
    for _ in range(8):  # in turn, so that other work on the machine slows both
        for name, before_s in least_s.items():
            began = time.perf_counter()
            assert accounts.check(name, "a wrong password") is None
            least_s[name] = min(before_s, time.perf_counter() - began)
    assert 0.5 < least_s["nobody"] / least_s["mina"] < 2


@pytest.mark.parametrize(
    ("name", "roles", "password", "error"),
    [
        ("Mina", ["viewer"], PASSWORD, WrongTypeError),
        ("a/../b", ["viewer"], PASSWORD, WrongTypeError),
        ("mina", [], PASSWORD, UnknownValueError),
        ("mina", ["root"], PASSWORD, UnknownValueError),
        ("mina", ["viewer"], "short", InputError),
        ("mina", ["viewer"], "x" * 40, InputError),
        ("mina", ["viewer"], "ab" * 200, InputError),
        ("minamina", ["viewer"], "minamina2026", InputError),
    ],
)
def test_accounts_that_cannot_be(registry: Registry, name: str, roles: list[str], password: str, error: type) -> None:
    with pytest.raises(error):
        cheap_accounts(registry).add(name, roles, password)


def test_a_cheaper_hash_is_renewed_when_its_owner_signs_in(registry: Registry) -> None:
    cheap_accounts(registry).add("mina", ["viewer"], PASSWORD)
    better = Accounts(registry, PasswordHasher(time_cost=2, memory_cost=64, parallelism=1))
    assert better.check("mina", PASSWORD) is not None
    (hashed,) = sqlite3.connect(registry.path).execute("SELECT hash FROM web_account").fetchone()
    assert extract_parameters(hashed).memory_cost == 64
    assert better.check("mina", PASSWORD) is not None


def test_the_last_steward_stays(registry: Registry) -> None:
    accounts = cheap_accounts(registry)
    accounts.add("mina", ["steward"], PASSWORD)
    accounts.add("jun", ["steward"], PASSWORD)
    accounts.set_disabled("jun", disabled=True)
    with pytest.raises(InputError, match="last steward"):
        accounts.set_disabled("mina", disabled=True)
    with pytest.raises(NothingFoundError):
        accounts.set_disabled("nobody", disabled=True)


def test_sessions_end_when_idle_when_old_and_with_their_account(registry: Registry) -> None:
    now = [1000.0]
    accounts = cheap_accounts(registry)
    mina = accounts.add("mina", ["steward"], PASSWORD)
    jun = accounts.add("jun", ["viewer"], PASSWORD)
    sessions = Sessions(registry, accounts, idle_s=600, longest_s=3000, clock=lambda: now[0])
    idle, kept, shut = sessions.begin(mina), sessions.begin(mina), sessions.begin(jun)
    for _ in range(4):
        now[0] += 590
        assert sessions.find(kept) is not None
    assert sessions.find(idle) is None
    now[0] += 590
    sessions.find(kept)
    now[0] += 100
    assert sessions.find(kept) is None, "a session ends after its longest time in any case"
    assert sessions.find(shut) is None
    again = sessions.begin(jun)
    accounts.set_disabled("jun", disabled=True)
    assert sessions.find(again) is None
    assert sessions.find("x" * 5000) is None
    assert sessions.find(None) is None


def test_tokens_are_not_on_the_disk(face: FastAPI) -> None:
    browser = signed_in(face, "viewer")
    (token,) = [cookie.value for cookie in browser.cookies.jar if cookie.name.endswith("session")]
    folder = face.state.face.registry.path.parent
    assert not any(token.encode() in path.read_bytes() for path in folder.glob("web.db*"))
    assert stat.S_IMODE(face.state.face.registry.path.stat().st_mode) == 0o600


def test_cookies_are_out_of_reach_and_new_at_every_sign_in(face: FastAPI) -> None:
    browser = Browser(face)
    first = browser.sign_in("viewer")
    cookies = [value for name, value in first.headers.multi_items() if name == "set-cookie" and "session=" in value]
    assert len(cookies) == 1
    assert "HttpOnly" in cookies[0]
    assert "samesite=lax" in cookies[0].lower()
    assert "Secure" not in cookies[0]
    before = dict(browser.cookies)
    face.state.face.sessions.end(before["oneteam_8450_session"])
    browser.sign_in("viewer")
    assert dict(browser.cookies)["oneteam_8450_session"] != before["oneteam_8450_session"]
    assert browser.get("/alliance").status_code == 200


def test_over_tls_cookies_are_secure_and_bound_to_the_host(faces: Faces) -> None:
    app = faces(url="https://team.example.org")
    browser = Browser(app, "https://team.example.org")
    answer = browser.sign_in("viewer")
    (cookie,) = [value for name, value in answer.headers.multi_items() if name == "set-cookie" and "session=" in value]
    assert cookie.startswith("__Host-oneteam_session=")
    assert "Secure" in cookie
    assert "Path=/" in cookie
    assert "Domain" not in cookie
    assert "max-age" in answer.headers["strict-transport-security"]
    assert browser.get("/alliance").status_code == 200


def test_guessing_is_slowed_down_for_an_account_and_for_an_address(faces: Faces) -> None:
    app = faces(limits=Limits(logins_per_account=3, logins_per_address=8, requests_per_s=1e6, burst=1e6))
    browser = Browser(app)
    assert [browser.sign_in("viewer", "wrong").status_code for _ in range(5)] == [401, 401, 401, 429, 429]
    assert browser.sign_in("viewer").status_code == 429, "the right password comes too late as well"
    assert [browser.sign_in(f"n{i}", "wrong").status_code for i in range(4)] == [401, 401, 429, 429]
    assert int(browser.sign_in("n9", "wrong").headers["retry-after"]) > 0


def test_what_was_wrong_is_not_said(face: FastAPI) -> None:
    wrong, unknown = Browser(face).sign_in("viewer", "wrong"), Browser(face).sign_in("nobody", "wrong")
    assert wrong.status_code == unknown.status_code == 401
    assert "Name and password do not fit" in wrong.text
    assert "Name and password do not fit" in unknown.text


def test_a_visitor_comes_back_to_where_they_wanted_to_go(face: FastAPI) -> None:
    browser = Browser(face)
    wanted = browser.get("/log?before=3").headers["location"]
    assert wanted == "/account/sign-in?next=/log%3Fbefore%3D3"
    assert 'name="next" value="/log?before=3"' in browser.get(wanted).text
    answer = browser.post("/account/sign-in", {"name": "viewer", "password": PASSWORD, "next": "/log?before=3"}, page=wanted)
    assert answer.headers["location"] == "/log?before=3"


@given(st.text(max_size=40) | st.sampled_from(["//evil", "/\\evil", "https://evil", "/a\nb", "/\t/evil", "/account/sign-in?next=/"]))
def test_nobody_is_sent_elsewhere(address: str) -> None:
    found = within(address)
    assert found.startswith("/")
    assert not found.startswith(("//", "/\\"))
    assert found.isprintable()


def test_signing_out_ends_the_session_on_the_server(face: FastAPI) -> None:
    browser = signed_in(face, "viewer")
    thief = Browser(face)
    thief.cookies.update(dict(browser.cookies))
    assert thief.get("/alliance").status_code == 200
    assert browser.post("/account/sign-out").status_code == 303
    assert thief.get("/alliance").status_code == 303


def test_a_new_password_ends_every_other_session(face: FastAPI) -> None:
    here, there = signed_in(face, "viewer"), signed_in(face, "viewer")
    assert here.post("/account/password", {"old": "wrong", "new": "three green apples"}).status_code == 401
    assert here.post("/account/password", {"old": PASSWORD, "new": "short"}).status_code == 400
    assert here.post("/account/password", {"old": PASSWORD, "new": "three green apples"}).status_code == 303
    assert here.get("/account?changed=1").status_code == 200
    assert there.get("/alliance").status_code == 303
    assert Browser(face).sign_in("viewer").status_code == 401
    assert Browser(face).sign_in("viewer", "three green apples").status_code == 303


def test_a_steward_shuts_somebody_out_at_once(face: FastAPI) -> None:
    steward, viewer = signed_in(face, "steward"), signed_in(face, "viewer")
    assert viewer.get("/alliance").status_code == 200
    assert steward.post("/accounts/viewer/disable").status_code == 303
    assert viewer.get("/alliance").status_code == 303
    assert Browser(face).sign_in("viewer").status_code == 401
    assert steward.post("/accounts/steward/disable").status_code == 400
    assert steward.post("/accounts/viewer/enable").status_code == 303
    assert Browser(face).sign_in("viewer").status_code == 303
    assert steward.post("/accounts/nobody/disable").status_code == 400


def test_a_steward_adds_somebody(face: FastAPI) -> None:
    steward = signed_in(face, "steward")
    answer = steward.post("/accounts", {"name": "jun", "password": PASSWORD, "role": ["viewer", "analyst"]})
    assert answer.headers["location"] == "/accounts?added=jun"
    page = steward.get("/accounts?added=jun").text
    assert "&#39;jun&#39; may sign in now" in page
    assert steward.get("/accounts?added=<b>").text.count("<b>") == 0
    assert steward.post("/accounts", {"name": "jun", "password": PASSWORD, "role": "viewer"}).status_code == 400
    assert Browser(face).sign_in("jun").status_code == 303


def run(*words: object, stdin: str = "") -> str:
    done = CliRunner().invoke(commands, [str(word) for word in words], input=stdin)
    if done.exception and not isinstance(done.exception, SystemExit):
        raise done.exception
    assert done.exit_code == 0, done.output
    return done.output


def test_the_first_account_is_made_by_command(allies: Allies, faces: Faces, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ONETEAM_HOME", raising=False)
    home = allies.homes["skylark"].folder
    run("web", "account", "add", "first", "-r", "steward", "-r", "privacy_officer", "--home", home, stdin=f"{PASSWORD}\n")
    listed = json.loads(run("web", "account", "list", "--home", home, "--json"))
    assert listed == [{"name": "first", "roles": ["steward", "privacy_officer"], "disabled": False}]
    browser = Browser(faces())
    assert browser.sign_in("first").status_code == 303
    run("web", "account", "password", "first", "--password-stdin", "--home", home, stdin="another good password\n")
    assert browser.get("/alliance").status_code == 303, "its sessions end"
    assert browser.sign_in("first", "another good password").status_code == 303
    run("web", "account", "remove", "first", "--home", home)
    assert browser.get("/alliance").status_code == 303
    with pytest.raises(InputError):
        run("web", "account", "add", "weak", "--home", home, stdin="weak\n")
    with pytest.raises(InputError, match="no member lives here"):
        run("web", "account", "list", "--home", home / "nowhere")
    assert PASSWORD not in " ".join(sys.argv)


@pytest.mark.parametrize(
    "settings",
    [
        {"host": "0.0.0.0"},
        {"url": "http://team.example.org"},
        {"url": "ftp://team.example.org"},
        {"url": "https://team.example.org/path"},
        {"url": "https://me@team.example.org"},
    ],
)
def test_settings_that_would_expose_people(settings: dict[str, str]) -> None:
    with pytest.raises(UnknownValueError):
        check(WebSettings(**settings))


def test_settings_of_the_environment() -> None:
    found = WebSettings.from_environment({"ONETEAM_WEB_HOME": "/h", "ONETEAM_WEB_PORT": "9000", "ONETEAM_WEB_URL": ""})
    assert (found.home, found.port, found.url, found.hosts[0]) == (Path("/h"), 9000, None, "127.0.0.1:9000")
    with pytest.raises(UnknownValueError, match="PORT"):
        WebSettings.from_environment({"ONETEAM_WEB_PORT": "many"})
    with pytest.raises(UnknownValueError, match="nothing to show"):
        _ = WebSettings().state_folder
