"""The API as its own description says it is, and pages that no input breaks."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest
from fastapi import FastAPI
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.app.allies import Allies
from tests.web.conftest import signed_in
from tests.web.test_alliance_pages import log_something

pytestmark = pytest.mark.filterwarnings("ignore")  # of schemathesis and what it drives
FEW = settings(
    max_examples=15, deadline=None, suppress_health_check=list(HealthCheck), phases=[Phase.explicit, Phase.generate], database=None
)


def ask(operation: Any, headers: dict[str, str], cookies: dict[str, str], statuses: set[int]) -> None:
    """Ask one operation in many ways."""

    @FEW
    @given(case=operation.as_strategy())
    def once(case: Any) -> None:
        case.headers = {**(case.headers or {}), **headers}
        case.cookies = cookies
        answer = case.call()
        statuses.add(answer.status_code)
        case.validate_response(answer)  # no 5xx, documented status and content type, a body as described

    once()


def test_schemathesis_finds_nothing(allies: Allies, face: FastAPI) -> None:
    import schemathesis

    log_something(allies, count=20)
    browser = signed_in(face, "mina")
    token = browser.token()
    cookies = {cookie.name: cookie.value for cookie in browser.cookies.jar}
    own = {"host": "127.0.0.1:8450", "x-csrf-token": token}
    schema = schemathesis.openapi.from_asgi("/api/openapi.json", face, headers=own)
    seen: dict[str, set[int]] = {}
    for found in schema.get_all_operations():
        operation = found.ok()
        statuses = seen.setdefault(operation.label, set())

        ask(operation, own, cookies, statuses)
    assert len(seen) >= 11
    assert all(200 in statuses or 202 in statuses or 404 in statuses for statuses in seen.values()), seen


@FEW
@given(
    data=st.dictionaries(
        st.sampled_from(["name", "password", "role", "confirm", "reason", "old", "new", "next", "file"]), st.text(max_size=60)
    )
)
def _send(browser: Any, token: str, path: str, data: dict[str, str]) -> None:
    answer = browser.ask("POST", path, data={**data, "csrf": token})
    assert answer.status_code < 500, f"{path} {data}"


def test_no_form_breaks_anything(face: FastAPI) -> None:
    browser = signed_in(face, "mina")
    token = browser.token()
    agreement = f"/agreements/{'0' * 64}"
    for path in (
        "/account/sign-in",
        "/accounts",
        "/accounts/x/disable",
        "/agreements",
        f"{agreement}/sign",
        f"{agreement}/revoke",
        "/account/password",
    ):
        _send(browser, token, path)


def test_no_query_breaks_anything(face: FastAPI) -> None:
    browser = signed_in(face, "viewer")
    queries = ("lang=%00", "lang=ko&lang=en", "theme=%F0%9F%98%80", "before=1e9", "next=%0d%0aset-cookie:x=1", "a" * 5000)
    for query in queries:
        for path in ("/log", "/account/sign-in", "/alliance", "/"):
            answer = browser.get(f"{path}?{query}")
            assert answer.status_code < 500
            assert "x=1" not in answer.headers.get("set-cookie", "")


def test_no_body_breaks_anything(face: FastAPI) -> None:
    browser = signed_in(face, "mina")
    token = browser.token()
    kinds = ("application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "multipart/form-data", "text/plain", "")
    for body in (b"", b"\x00" * 100, b"--x\r\n", b"csrf=%ff%fe", b"&" * 500, b"a=1&" * 500):
        for kind in kinds:
            answer = browser.ask("POST", "/agreements", content=body, headers={"content-type": kind, "x-csrf-token": token})
            assert 400 <= answer.status_code < 500, (kind, body)
            without = browser.ask("POST", "/agreements", content=body, headers={"content-type": kind})
            assert 400 <= without.status_code < 500, (kind, body)


def test_the_command_serves_until_it_is_stopped(allies: Allies) -> None:
    home = allies.homes["skylark"].folder
    served = subprocess.Popen(
        [str(Path(sys.executable).parent / "oneteam"), "web", "serve", "--home", str(home), "--port", "0"],
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONUNBUFFERED": "1"},
    )
    try:
        assert served.stdout is not None
        address = served.stdout.readline().split()[-1]
        with urlopen(f"{address}/health") as answer:
            assert answer.status == 200
            assert answer.headers["x-frame-options"] == "DENY"
            assert "server" not in answer.headers
        with urlopen(f"{address}/log") as answer:
            assert "/account/sign-in?next=/log" in answer.url
            assert "oneteam web account add" in answer.read().decode()
        began = time.monotonic()
    finally:
        served.terminate()
        ended = served.wait(10)
    assert ended == 0
    assert time.monotonic() - began < 8
