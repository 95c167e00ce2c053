"""What stands between the network and every route."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from fastapi import FastAPI
from starlette.routing import BaseRoute

from oneteam.web.guard import CONTENT_POLICY, PUBLIC, SIGN_IN, _keep
from oneteam.web.settings import Limits
from tests.web.browser import ADDRESS, PASSWORD, Browser
from tests.web.conftest import PEOPLE, Faces, signed_in

ALL = frozenset({"viewer", "analyst", "steward", "privacy-officer"})
STEWARD = frozenset({"steward"})
OFFICER = frozenset({"privacy-officer"})
NOBODY = "0" * 64
ACCESS: dict[tuple[str, str], frozenset[str]] = {
    ("GET", "/"): ALL,
    ("GET", "/api/docs"): ALL,
    ("GET", "/alliance"): ALL,
    ("GET", "/agreements"): ALL,
    ("POST", "/agreements"): OFFICER,
    ("GET", "/agreements/{identity}"): ALL,
    ("GET", "/agreements/{identity}/signed.json"): ALL,
    ("GET", "/agreements/{identity}/odrl.json"): ALL,
    ("POST", "/agreements/{identity}/sign"): OFFICER,
    ("POST", "/agreements/{identity}/revoke"): OFFICER,
    ("GET", "/queries"): ALL,
    ("GET", "/log"): ALL,
    ("GET", "/log/verify"): ALL,
    ("POST", "/log/verify"): ALL,
    ("GET", "/data"): STEWARD,
    ("POST", "/account/sign-out"): ALL,
    ("GET", "/account"): ALL,
    ("POST", "/account/password"): ALL,
    ("GET", "/accounts"): STEWARD,
    ("POST", "/accounts"): STEWARD,
    ("POST", "/accounts/{name}/disable"): STEWARD,
    ("POST", "/accounts/{name}/enable"): STEWARD,
    ("GET", "/api/v1/status"): ALL,
    ("GET", "/api/v1/members"): ALL,
    ("GET", "/api/v1/agreements"): ALL,
    ("GET", "/api/v1/agreements/{identity}"): ALL,
    ("GET", "/api/v1/decisions"): ALL,
    ("GET", "/api/v1/releases"): ALL,
    ("GET", "/api/v1/log"): ALL,
    ("GET", "/api/v1/log/verification"): ALL,
    ("POST", "/api/v1/log/verification"): ALL,
    ("GET", "/api/v1/datasets"): STEWARD,
}
"""Who may use what at a member's node; a route that is missing here fails the test."""
REFUSED = {401, 403}


def routes_of(app: FastAPI) -> Iterator[tuple[str, str]]:
    def walk(routes: list[BaseRoute]) -> Iterator[tuple[str, str]]:
        for route in routes:
            inner = getattr(route, "original_router", None)
            if inner is not None:
                yield from walk(inner.routes)
            elif getattr(route, "methods", None):
                yield from ((method, route.path) for method in route.methods if method != "HEAD")

    return walk(app.routes)


def test_every_route_is_for_exactly_whom_the_table_says(face: FastAPI) -> None:
    found = {one for one in routes_of(face) if one[1] not in PUBLIC}
    assert found == set(ACCESS), "a route that nobody has thought about"
    for role in ALL:
        browser = signed_in(face, role)
        for (method, path), allowed in ACCESS.items():
            if path in {"/account/sign-out", "/account/password"}:
                continue  # they end the session; every account has them, test_accounts.py uses them
            address = path.replace("{identity}", NOBODY).replace("{name}", "nobody")
            answer = browser.get(address) if method == "GET" else browser.post(address)
            assert (answer.status_code not in REFUSED) == (role in allowed), f"{role} {method} {path}: {answer.status_code}"
            assert answer.status_code < 500


def test_nobody_who_is_not_signed_in_sees_anything(face: FastAPI) -> None:
    for method, path in ACCESS:
        address = path.replace("{identity}", NOBODY).replace("{name}", "nobody")
        answer = Browser(face).ask(method, address)
        if method == "GET" and not path.startswith("/api/"):
            assert answer.status_code == 303
            assert answer.headers["location"].startswith(SIGN_IN)
        else:
            assert answer.status_code == 401
            assert "csrf" not in answer.text or method == "POST"
    assert Browser(face).get("/health").json()["status"] == "ok"
    assert Browser(face).get("/no/such/page").status_code == 303


def test_analysis_routes_are_closed_too(faces: Faces, tmp_path) -> None:
    app = faces("agency", study=tmp_path)
    for method, path in set(routes_of(app)) - set(ACCESS):
        if path not in PUBLIC:
            assert Browser(app).ask(method, re.sub(r"\{\w+\}", "x", path)).status_code in {303, 401}, path


@pytest.mark.parametrize("path", [SIGN_IN, "/health", "/static/dist/none.js", "/nothing", "/api/v1/status", "/alliance"])
def test_headers_stand_on_every_answer(face: FastAPI, path: str) -> None:
    headers = signed_in(face, "viewer").get(path).headers
    assert headers["content-security-policy"] == CONTENT_POLICY
    assert "unsafe" not in CONTENT_POLICY
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["cross-origin-opener-policy"] == "same-origin"
    assert headers["referrer-policy"] == "same-origin"
    assert "camera=()" in headers["permissions-policy"]
    assert headers["cache-control"] == ("no-cache" if path.startswith("/static/") else "no-store")
    assert "server" not in headers


def test_files_and_data_are_compressed_and_pages_are_not(face: FastAPI) -> None:
    browser = signed_in(face, "viewer")
    zipped = {"accept-encoding": "gzip"}
    style = browser.get("/static/node.css", headers=zipped)
    assert style.headers["content-encoding"] == "gzip"
    assert browser.get("/static/node.css", headers={"if-none-match": style.headers["etag"]}).status_code == 304
    assert "content-encoding" not in browser.get("/alliance", headers=zipped).headers, "a page holds a token"
    assert browser.get("/static/dist/chunk-ABCD1234.js").headers["cache-control"] == "no-cache", "what is not there may come"
    assert browser.get("/static/../settings.py").status_code == 404
    assert browser.get("/static/%2e%2e/settings.py").status_code == 404


def test_what_is_named_by_its_content_is_kept() -> None:
    assert _keep("/static/dist/chunk-ABCD1234.js", 200).endswith("immutable")
    assert _keep("/static/dist/app.js", 200) == "no-cache"
    assert _keep("/alliance", 200) == "no-store"


def test_pages_need_no_inline_script_or_style(face: FastAPI) -> None:
    browser = signed_in(face, "mina")
    for path in ("/alliance", "/agreements", "/queries", "/log", "/data", "/account", "/accounts", "/api/docs", "/nothing"):
        text = browser.get(path).text
        assert not re.search(r"<style|\sstyle=|\son\w+=|javascript:", text), path
        assert re.findall(r"<script(?![^>]*\ssrc=\"/)", text) == [], path
        assert not re.findall(r"(?:src|href)=\"(?:https?:)?//", text), f"{path} leads out of this machine"


def test_a_form_without_its_token_is_refused(face: FastAPI) -> None:
    browser = signed_in(face, "mina")
    token = browser.token()
    new = {"name": "mallory", "password": PASSWORD, "role": "steward"}
    assert browser.ask("POST", "/accounts", data=new).status_code == 403
    assert browser.ask("POST", "/accounts", data={**new, "csrf": "0" * 64}).status_code == 403
    assert browser.ask("POST", "/accounts", data={**new, "csrf": token}, headers={"origin": "https://evil.example"}).status_code == 403
    assert browser.ask("POST", "/accounts", data={**new, "csrf": token}, headers={"sec-fetch-site": "cross-site"}).status_code == 403
    other = signed_in(face, "viewer").token()
    assert browser.ask("POST", "/accounts", data={**new, "csrf": other}).status_code == 403
    assert "mallory" not in browser.get("/accounts").text
    assert browser.ask("POST", "/accounts", data=new, headers={"x-csrf-token": token, "origin": ADDRESS}).status_code == 303
    assert "mallory" in browser.get("/accounts").text
    json = browser.ask("POST", "/api/v1/log/verification", headers={"content-type": "application/json"})
    assert (json.status_code, json.json()["error"]["code"]) == (403, "trust.forbidden")


def test_signing_in_from_another_site_is_refused(face: FastAPI) -> None:
    attacker, victim = Browser(face), Browser(face)
    token = attacker.token(SIGN_IN)
    victim.get(SIGN_IN)
    answer = victim.ask("POST", SIGN_IN, data={"name": "viewer", "password": PASSWORD, "csrf": token})
    assert answer.status_code == 403


def test_only_the_nodes_own_names_are_answered(face: FastAPI) -> None:
    assert Browser(face).get("/health", headers={"host": "evil.example"}).status_code == 400
    assert Browser(face).get("/health", headers={"host": "localhost:8450"}).status_code == 200


def test_no_address_slips_past_the_gate_or_leads_elsewhere(face: FastAPI) -> None:
    visitor = Browser(face)
    for path in ("/static/../log", "/static/%2e%2e/log", "//static/x", "/log%3F/static/", "/health%3F/../log", "/log;/static/", "/log%00"):
        answer = visitor.get(f"{ADDRESS}{path}")
        assert answer.status_code in {303, 404}, path
        assert not answer.headers.get("location", "/").startswith("//")
    page = signed_in(face, "viewer").get(f"{ADDRESS}//elsewhere.example")
    assert page.status_code == 404
    assert 'href="//' not in page.text


def test_bodies_are_bounded(faces: Faces) -> None:
    app = faces(limits=Limits(body_bytes=1000))
    browser = signed_in(app, "mina")
    big = browser.post("/agreements", {"file": "x" * 2000})
    assert big.status_code == 413
    assert browser.post("/log/verify").status_code == 303


def test_requests_of_an_address_are_bounded(faces: Faces) -> None:
    browser = Browser(faces(limits=Limits(requests_per_s=0.01, burst=5)))
    statuses = [browser.get("/health").status_code for _ in range(8)]
    assert statuses == [200] * 5 + [429] * 3
    assert int(browser.get("/health").headers["retry-after"]) > 1


def test_faults_are_told_without_their_details(face: FastAPI, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("secret-of-the-inside")

    browser = signed_in(face, "viewer")
    monkeypatch.setattr("oneteam.app.oversight.Oversight.members", broken)
    page, program = browser.get("/alliance"), browser.get("/api/v1/members")
    assert (page.status_code, program.status_code) == (500, 500)
    assert "secret-of-the-inside" not in page.text + program.text
    assert "secret-of-the-inside" in caplog.text
    assert page.headers["content-security-policy"] == CONTENT_POLICY


def test_error_pages_speak_both_languages_and_htmx_gets_a_piece(face: FastAPI) -> None:
    browser = signed_in(face, "viewer")
    english, korean = browser.get("/data"), browser.get("/data", headers={"accept-language": "ko"})
    assert "trust.forbidden" in english.text
    assert "Your account may not do this" in english.text
    assert "이 계정으로는 할 수 없거나" in korean.text
    piece = browser.get("/data", headers={"hx-request": "true"})
    assert piece.status_code == 403
    assert "<html" not in piece.text


def test_the_people_of_the_tests_have_every_role() -> None:
    assert {role.replace("_", "-") for roles in PEOPLE.values() for role in roles} == ALL
