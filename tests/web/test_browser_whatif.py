"""A what-if in a real browser: choose measures, run with live progress, see what it found, compare; in both languages, for everybody."""

from __future__ import annotations

import os
import re
import shutil
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import uvicorn

from oneteam.web.server import close, create_app
from oneteam.web.settings import Limits, WebSettings
from tests.web.browser import PASSWORD, cheap_accounts
from tests.web.outlook.studies import make_study

sync_api = pytest.importorskip("playwright.sync_api", reason="browser tests need playwright")

ROOT = Path(__file__).parents[2]
AXE = ROOT / "frontend" / "node_modules" / "axe-core" / "axe.min.js"
DIST = ROOT / "src" / "oneteam" / "web" / "static" / "dist"
CHROMIUM = os.environ.get("ONETEAM_CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
RUN = re.compile(r"/whatif/[0-9a-f]{12}$")

pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="browser tests need Chromium"),
    pytest.mark.skipif(not AXE.is_file(), reason="browser tests need `npm ci` in frontend"),
    pytest.mark.skipif(not (DIST / "app.js").is_file(), reason="browser tests need `npm run build` in frontend"),
]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("whatif-site")
    study = make_study(folder / "study", 30)
    (folder / "state").mkdir()
    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    settings = WebSettings(study=study, state=folder / "state", port=port, limits=Limits(requests_per_s=1e6, burst=1e6))
    app = create_app(settings, cheap_accounts)
    app.state.face.accounts.add("ann", ["analyst"], PASSWORD)
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", lifespan="off", timeout_graceful_shutdown=2))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.02)
    yield f"http://127.0.0.1:{port}"
    server.should_exit = True
    thread.join(10)
    close(app)


@pytest.fixture(scope="module")
def chromium():
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def open_page(chromium, site):
    """Opens a page signed in, and fails where the console complains or a request leaves the machine."""
    contexts, complaints = [], []

    def opened(language="en", theme="light", width=1280, **more):
        context = chromium.new_context(viewport={"width": width, "height": 900}, base_url=site, **more)
        contexts.append(context)
        context.add_cookies([{"name": name, "value": value, "url": site} for name, value in (("lang", language), ("theme", theme))])
        page = context.new_page()
        # A form with a mistake is answered with 422, which the console tells.
        told = {"error", "warning"}
        page.on("console", lambda m: complaints.append(m.text) if m.type in told and "422" not in m.text else None)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("request", lambda request: complaints.append(request.url) if not _local(request.url, site) else None)
        page.goto("/account/sign-in")
        page.fill("input[name=name]", "ann")
        page.fill("input[name=password]", PASSWORD)
        page.press("input[name=password]", "Enter")
        page.wait_for_url("**/now")
        return page

    yield opened
    for context in contexts:
        context.close()
    assert complaints == []


def _local(url: str, home: str) -> bool:
    return urlsplit(url).scheme in {"data", "blob"} or url.startswith(home)


def drawn(page):
    """See every chart of a page drawn."""
    page.evaluate("async () => { for (const f of document.querySelectorAll('[data-island]')) { f.scrollIntoView(); "
                  "await new Promise((go) => requestAnimationFrame(() => setTimeout(go, 20))); } scrollTo(0, 0); }")  # fmt: skip
    page.wait_for_function("() => document.querySelectorAll('[data-island]:not([data-drawn])').length === 0", timeout=15_000)


def check(page, where):
    """Nothing stands over the edge, and the rules for screen readers are kept."""
    assert page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth") == 0, where
    page.evaluate(AXE.read_text(encoding="utf-8"))
    found = page.evaluate("axe.run(document, {resultTypes: ['violations']}).then((r) => r.violations)")
    told = [f"{v['id']}: {n['html'][:160]} {n['failureSummary'][:200]}" for v in found for n in v["nodes"][:3]]
    assert not told, (where, told)


@pytest.mark.parametrize(("language", "theme", "width"), [("en", "light", 1280), ("ko", "dark", 390)])
def test_choose_run_see_and_compare(open_page, language, theme, width):
    page = open_page(language, theme, width)
    page.goto("/whatif")
    check(page, "list")
    page.locator("a[href='/whatif/new?kind=work_from_home']").click()
    page.locator("button[name=add][value=masks]").click()
    page.locator("#measure-1").wait_for()
    page.locator("#measure-0 details.where summary").click()
    page.locator("#measure-0 input[name=region_0]").first.check()
    page.fill("#share_0", "x")
    page.fill("#title", "Home and masks")
    page.locator(".run-row button").click()
    page.locator("#measures-0-share-fault").wait_for()
    assert page.locator("#share_0").get_attribute("aria-invalid") == "true"
    assert page.locator("#measure-0 input[name=region_0]").first.is_checked()
    check(page, "form")
    page.fill("#share_0", "40")
    page.fill("#members", "96")
    page.press("#members", "Enter")
    page.wait_for_url(RUN)
    check(page, "going")
    # Live progress is told without loading the page, which then shows the result by itself.
    page.wait_for_function(
        "() => document.querySelector('.finding') || /\\d/.test(document.querySelector('[data-words]')?.textContent ?? '')", timeout=60_000
    )
    page.locator(".finding .answer").wait_for(timeout=90_000)
    drawn(page)
    check(page, "result")
    assert page.locator("#chart-infections .band").count() == 4
    page.locator(".others input").first.check()  # the study's own
    page.locator("form[action='/whatif/compare'] button").click()
    page.wait_for_url("**/whatif/compare*")
    drawn(page)
    check(page, "compare")
    charts = page.locator("figure.chart")
    assert charts.count() == 2
    ticks = "f => [...f.querySelectorAll('.tick')].map((t) => t.textContent).filter((t) => /^[\\d,]+$/.test(t)).join(' ')"
    scales = {charts.nth(i).evaluate(ticks) for i in range(2)}
    assert all(len(scale.split()) >= 3 for scale in scales)
    assert len(scales) == 1


def test_progress_moves_before_the_run_ends(open_page):
    page = open_page()
    page.goto("/whatif/new?kind=masks")
    page.fill("#members", "256")
    page.fill("#days", "365")
    page.locator(".run-row button").click()
    page.wait_for_url(RUN)
    moved = "() => document.querySelector('.going progress')?.value > 0 && document.querySelector('.going progress').max > 1"
    page.wait_for_function(moved, timeout=60_000)
    assert "512" in page.locator("[data-words]").inner_text()
    page.reload()  # the run goes on, whoever looks
    page.wait_for_function(moved, timeout=60_000)
    page.locator("form[action$='/cancel'] button").click()
    page.locator("a[href^='/whatif/new?like=']").wait_for()
    assert "cancelled" in page.locator("main").inner_text()
    check(page, "cancelled")


def test_without_scripts_everything_but_live_progress_works(open_page):
    page = open_page(java_script_enabled=False)
    page.goto("/whatif/new?kind=masks")
    page.locator("button[name=add][value=mobility]").click()
    assert page.locator("fieldset.measure").count() == 2
    page.locator("button[name=remove]").first.click()
    assert page.locator("fieldset.measure").count() == 1
    page.locator(".run-row button").click()
    page.wait_for_url(RUN)
    for _ in range(200):
        if page.locator(".finding").count():
            break
        page.wait_for_timeout(300)
        if page.locator("[data-again]").count():
            page.locator("[data-again]").click()
    assert page.locator("table").count() >= 1
    assert "%" in page.locator(".finding .answer").inner_text()
