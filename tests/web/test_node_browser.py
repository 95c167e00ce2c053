"""A member's own pages in a real browser: axe's rules in both languages and themes, a phone, the check of the log, a revocation."""

from __future__ import annotations

import os
import shutil
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import uvicorn

from tests.app.allies import Allies
from tests.web.browser import PASSWORD
from tests.web.conftest import Faces
from tests.web.test_alliance_pages import draft_text, log_something

sync_api = pytest.importorskip("playwright.sync_api", reason="browser tests need playwright")

ROOT = Path(__file__).parents[2]
AXE = ROOT / "frontend" / "node_modules" / "axe-core" / "axe.min.js"
APP = ROOT / "src" / "oneteam" / "web" / "static" / "dist" / "app.js"
CHROMIUM = os.environ.get("ONETEAM_CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")

pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="browser tests need Chromium"),
    pytest.mark.skipif(not AXE.is_file(), reason="browser tests need `npm ci` in frontend"),
    pytest.mark.skipif(not APP.is_file(), reason="browser tests need `npm run build` in frontend"),
]


@pytest.fixture
def address(allies: Allies, faces: Faces) -> Iterator[str]:
    """A carrier's pages, served."""
    log_something(allies)
    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    server = uvicorn.Server(uvicorn.Config(faces(port=port), log_level="warning", lifespan="off"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.02)
    yield f"http://127.0.0.1:{port}"
    server.should_exit = True
    thread.join(10)


@pytest.fixture
def browser():
    with sync_api.sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield opened
        opened.close()


def sign_in(page, address: str, name: str = "mina") -> None:
    page.goto(f"{address}/account/sign-in")
    page.fill("#name", name)
    page.fill("#password", PASSWORD)
    page.click("form button.primary")
    page.wait_for_url("**/alliance")


def watched(context, complaints: list[str]):
    """A page whose complaints are kept: the content policy's, scripts', and requests that leave the machine."""
    page = context.new_page()
    page.on("console", lambda message: complaints.append(message.text) if message.type in {"error", "warning"} else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", lambda request: complaints.append(request.url) if "//127.0.0.1" not in request.url else None)
    return page


def test_every_page_can_be_used_by_everybody(allies: Allies, address: str, browser) -> None:
    """No rule of axe is broken and no page is wider than its window."""
    paths = (
        "/alliance",
        "/agreements",
        f"/agreements/{allies.agreement_id}",
        "/queries",
        "/log",
        "/data",
        "/account",
        "/accounts",
        "/api/docs",
    )
    broken: list[str] = []
    for language, theme, width in (("en", "light", 1280), ("ko", "dark", 375)):
        context = browser.new_context(viewport={"width": width, "height": 800}, color_scheme=theme, locale=language, bypass_csp=True)
        complaints: list[str] = []
        page = watched(context, complaints)
        page.goto(f"{address}/account/sign-in?lang={language}&theme={theme}")
        for path in ("", *paths):
            if path:
                page.goto(f"{address}{path}")
            page.evaluate(AXE.read_text())
            found = page.evaluate("axe.run()")["violations"]
            broken += [f"{language} {path or 'sign-in'}: {one['id']} {one['nodes'][0]['html'][:150]}" for one in found]
            if page.evaluate("document.documentElement.scrollWidth") > width:
                broken.append(f"{language} {path}: wider than {width}")
            if not path:
                sign_in(page, address)
        assert complaints == []
        context.close()
    assert broken == []


def test_the_log_is_verified_and_an_agreement_signed_and_revoked_by_hand(allies: Allies, address: str, browser, tmp_path: Path) -> None:
    complaints: list[str] = []
    page = watched(browser.new_context(locale="en"), complaints)
    sign_in(page, address)

    page.goto(f"{address}/log")
    page.evaluate("window.still_here = true")
    page.click("text=Verify now")
    page.wait_for_selector(".verification .message.good")
    assert "120 entries" in page.inner_text(".verification .message.good")
    assert page.evaluate("window.still_here"), "the page was loaded anew; the piece should have come by itself"

    (tmp_path / "second.toml").write_bytes(draft_text(allies))
    page.goto(f"{address}/agreements")
    page.set_input_files("#file", tmp_path / "second.toml")
    page.click("text=Take in and read")
    page.wait_for_selector("text=A second agreement")
    page.check("input[name=confirm]")
    page.click("button:text-is('Sign')")
    page.wait_for_selector("text=Hand the signed text to")

    page.goto(f"{address}/agreements/{allies.agreement_id}")
    page.click("summary:has-text('Revoke')")
    page.fill("#reason", "no longer needed")
    page.check("input[name=confirm]")
    page.click("button.danger")
    page.wait_for_selector("text=This node refuses from now on")
    assert page.inner_text(".heading .badge") == "revoked"
    assert complaints == []
