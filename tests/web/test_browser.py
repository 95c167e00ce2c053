"""The analysis pages in a real browser: both languages, both themes, a phone and a laptop; a screen reader's rules; the keyboard."""

from __future__ import annotations

import gzip
import json
import os
import shutil
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit
from xml.etree import ElementTree as ET

import pytest
import uvicorn

from oneteam.web.server import close, create_app
from oneteam.web.settings import Limits, WebSettings
from tests.web.browser import PASSWORD, cheap_accounts
from tests.web.outlook.studies import make_study, progress

sync_api = pytest.importorskip("playwright.sync_api", reason="browser tests need playwright")

ROOT = Path(__file__).parents[2]
AXE = ROOT / "frontend" / "node_modules" / "axe-core" / "axe.min.js"
DIST = ROOT / "src" / "oneteam" / "web" / "static" / "dist"
CHROMIUM = os.environ.get("ONETEAM_CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
DISTRICTS = 250
PAGES = ("/now", "/place/11110", "/importation", "/mobility", "/scores")
FIRST_LOAD_BYTES = 150_000
RECOLOUR_MS = 50

pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="browser tests need Chromium"),
    pytest.mark.skipif(not AXE.is_file(), reason="browser tests need `npm ci` in frontend"),
    pytest.mark.skipif(not (DIST / "app.js").is_file(), reason="browser tests need `npm run build` in frontend"),
]


@dataclass(frozen=True)
class Site:
    """A running web face and its study."""

    url: str
    study: Path


@contextmanager
def served(folder: Path, zones: int) -> Iterator[Site]:
    """A web face over a made-up study."""
    study = make_study(folder / "study", zones)
    (folder / "state").mkdir()
    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    settings = WebSettings(study=study, state=folder / "state", port=port, limits=Limits(requests_per_s=1e6, burst=1e6))
    app = create_app(settings, cheap_accounts)
    app.state.face.accounts.add("vera", ["viewer"], PASSWORD)
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", lifespan="off"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.02)
    yield Site(f"http://127.0.0.1:{port}", study)
    server.should_exit = True
    thread.join(10)
    close(app)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A few districts: everything that does not depend on how many there are."""
    with served(tmp_path_factory.mktemp("site"), 24) as found:
        yield found


@pytest.fixture(scope="module")
def country(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """As many districts as Korea has."""
    with served(tmp_path_factory.mktemp("country"), DISTRICTS) as found:
        yield found


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

    def opened(language="en", theme="light", width=1280, at=site):
        context = chromium.new_context(viewport={"width": width, "height": 900}, base_url=at.url, accept_downloads=True)
        contexts.append(context)
        context.add_cookies([{"name": name, "value": value, "url": at.url} for name, value in (("lang", language), ("theme", theme))])
        page = context.new_page()
        page.on("console", lambda message: complaints.append(message.text) if message.type in {"error", "warning"} else None)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("request", lambda request: complaints.append(request.url) if not _local(request.url, at.url) else None)
        page.goto("/account/sign-in")
        page.fill("input[name=name]", "vera")
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


def visit(page, address):
    """Go to a page and see every chart of it drawn."""
    page.goto(address)
    for _ in range(100):
        # Charts are drawn when they come near the screen. Playwright's own waiting evaluates text, which the policy of the page forbids.
        left = page.evaluate(
            "(() => { const f = document.querySelector('[data-island]:not([data-drawn])'); f?.scrollIntoView(); return !!f; })()"
        )
        if not left:
            break
        page.wait_for_timeout(30)
    assert not left, address
    page.evaluate("scrollTo(0, 0)")


@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("language", ["en", "ko"])
def test_every_page_can_be_used_by_everybody(open_page, language, theme, width):
    page = open_page(language, theme, width)
    axe = AXE.read_text(encoding="utf-8")
    for address in PAGES:
        visit(page, address)
        assert page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth") == 0, address
        page.evaluate(axe)
        found = page.evaluate("axe.run(document).then((r) => ({wrong: r.violations, right: r.passes.length}))")
        told = [f"{v['id']}: {n['html'][:160]} {n['failureSummary'][:200]}" for v in found["wrong"] for n in v["nodes"][:3]]
        assert not told, (address, told)
        assert found["right"] > 20, address


def test_the_map_of_a_country_is_recoloured_at_once(open_page, country):
    page = open_page(at=country)
    visit(page, "/now")
    figure = page.locator("#chart-map")
    assert figure.locator("path.place").count() == DISTRICTS
    slowest, seen = 0.0, set()
    for mode in range(3):
        figure.locator(".segmented button").nth(mode).click()
        for week in range(5):
            figure.locator("input[type=range]").evaluate("(e, w) => { e.value = w; e.dispatchEvent(new Event('input')); }", week)
            slowest = max(slowest, float(figure.get_attribute("data-recolour-ms")))
            seen.add(figure.evaluate("f => [...f.querySelectorAll('path.place')].map((p) => p.getAttribute('class')).join()"))
    assert slowest < RECOLOUR_MS
    assert len(seen) >= 10


def test_the_map_is_worked_by_keyboard(open_page):
    page = open_page()
    visit(page, "/now")
    page.locator("#chart-map input[type=range]").focus()
    note = page.locator("#chart-map .map-note").inner_text()
    page.keyboard.press("ArrowRight")
    assert page.locator("#chart-map .map-note").inner_text() != note
    for _ in range(4):
        page.keyboard.press("Tab")
    focused = "document.activeElement.dataset.code"
    first = page.evaluate(focused)
    assert first
    codes = set()
    for key in ("ArrowDown", "ArrowRight", "ArrowUp", "ArrowLeft"):
        page.keyboard.press(key)
        codes.add(page.evaluate(focused))
    assert len(codes) >= 2
    label = page.evaluate("document.activeElement.getAttribute('aria-label')")
    assert "%" in label
    assert label.split(":")[0] in page.locator("#chart-map .tip").inner_text()
    code = page.evaluate(focused)
    page.keyboard.press("Enter")
    page.wait_for_url(f"**/place/{code}")


def test_a_series_is_read_by_keyboard(open_page):
    page = open_page("ko")
    visit(page, "/place/11110")
    page.locator("#chart-fan .probe").focus()
    page.keyboard.press("End")
    assert "2024년 3월 30일" in page.locator("#chart-fan .tip").inner_text()
    assert "2024년 3월 30일" in page.locator("#chart-fan output").inner_text()
    page.keyboard.press("Escape")
    assert page.locator("#chart-fan .tip").is_hidden()


def test_a_flow_is_chosen_by_keyboard(open_page):
    page = open_page()
    visit(page, "/mobility")
    before = page.locator("#chart-flows .flow").count()
    page.locator("#chart-flows .stop[tabindex='0']").focus()
    page.keyboard.press("Enter")
    assert page.locator("#chart-flows .flow").count() < before
    page.keyboard.press("Escape")
    assert page.locator("#chart-flows .flow").count() == before


def test_a_chart_is_downloaded_as_picture_and_numbers(open_page, tmp_path):
    page = open_page(theme="dark")
    visit(page, "/now")
    for kind in ("svg", "png"):
        with page.expect_download() as told:
            page.locator(f"#chart-map [data-save={kind}]").click()
        path = tmp_path / told.value.suggested_filename
        told.value.save_as(path)
        content = path.read_bytes()
        if kind == "svg":
            root = ET.fromstring(content)
            paths = root.findall(".//{*}path")
            assert len(paths) >= 24
            assert {p.get("fill") for p in paths} > {"rgb(28, 50, 57)"}
            assert not root.findall(".//*[@class]")
        else:
            assert content[:8] == b"\x89PNG\r\n\x1a\n"
            assert int.from_bytes(content[16:20]) > 900
    with page.expect_download() as told:
        page.locator("#chart-map a[download]").click()
    lines = Path(told.value.path()).read_text(encoding="utf-8").splitlines()
    assert len(lines) == 1 + 24


def test_the_theme_is_kept(open_page):
    page = open_page()
    page.goto("/now")
    paper = "getComputedStyle(document.body).backgroundColor"
    light = page.evaluate(paper)
    page.locator("[data-theme-choice=dark]").click()
    dark = page.evaluate(paper)
    assert dark != light
    page.reload()
    assert page.locator("html").get_attribute("data-theme") == "dark"
    assert page.evaluate(paper) == dark


def test_a_running_study_is_followed_without_reloading(open_page, site):
    told = site.study / "progress.json"
    try:
        told.write_text(json.dumps(progress("running")), encoding="utf-8")
        page = open_page()
        page.goto("/now")
        assert page.locator("#study-progress li.running").count() == 1
        told.write_text(json.dumps(progress("done")), encoding="utf-8")
        page.locator("#study-progress li.running").wait_for(state="detached", timeout=8_000)
        assert page.locator("#study-progress li.done").count() == 3
    finally:
        told.write_text(json.dumps(progress("done")), encoding="utf-8")


def test_the_first_load_is_light(open_page, country):
    page = open_page(at=country)
    page.wait_for_load_state("networkidle")
    page.goto("about:blank")
    answers = []
    page.on("response", lambda answer: answers.append(answer))  # noqa: PLW0108  Playwright needs a Python function
    visit(page, "/now")
    page.wait_for_load_state("networkidle")
    sizes = {a.url: len(gzip.compress(a.body())) for a in answers if a.status == 200}
    assert any(url.endswith("app.js") for url in sizes)
    assert not any("world.json" in url for url in sizes)
    assert sum(sizes.values()) < FIRST_LOAD_BYTES, sizes


def test_a_long_table_comes_when_it_is_opened(open_page, country):
    page = open_page(at=country)
    visit(page, "/now")
    numbers = page.locator("#chart-map details.numbers")
    assert numbers.locator("tr").count() == 0
    numbers.locator("summary").click()
    numbers.locator("tbody tr").first.wait_for()
    assert numbers.locator("tbody tr").count() == DISTRICTS
