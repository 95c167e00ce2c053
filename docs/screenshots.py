"""Pictures of every page of the demonstration: on a laptop in English, on a phone in Korean: ``python docs/screenshots.py``.

Starts ``oneteam demo``, signs in at each member's page as each of its users, and takes what the navigation leads to. Or takes a page that
is served already: ``--address http://127.0.0.1:8450 --name analyst``, with the password on standard input.

Needs Playwright and a Chromium; nothing is downloaded.
"""

from __future__ import annotations

import argparse
import json
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright

ROOT: Final = Path(__file__).parents[1]
SCREENS: Final = (("laptop", 1280, 800, "en"), ("laptop", 1280, 800, "ko"), ("phone", 390, 844, "ko"), ("phone", 390, 844, "en"))
KEPT: Final = (("laptop", "en"), ("phone", "ko"))
"""Of every page; all four with ``--all``. The front page's first view is taken in both languages."""
COLOURS: Final = 256
STARTED_S: Final = 1_800
DRAWN_MS: Final = 400
FRONT: Final = "now"
"""The page whose first view stands in the README."""
NAVIGATION: Final = "nav.pages a"


@dataclass(frozen=True)
class Served:
    """A page that is served, and one who may sign in.

    Args:
        member: whose page.
        address: of it.
        name: of the account.
        password: of the account.
    """

    member: str
    address: str
    name: str
    password: str


@contextmanager
def demonstration(folder: Path) -> Iterator[list[Served]]:
    """Run the demonstration; its pages, until the block ends."""
    command = shutil.which("oneteam", path=str(Path(sys.executable).parent)) or "oneteam"
    with subprocess.Popen([command, "demo", "--json", "--out", str(folder)], stdout=subprocess.PIPE, text=True) as demo:  # noqa: S603
        try:
            assert demo.stdout is not None, "it is a pipe"
            line = demo.stdout.readline()
            if not line:
                sys.exit("the demonstration ended before it served a page; its own message stands above")
            pages = json.loads(line)["pages"]
            yield [Served(p["member"], p["address"], name, password) for p in pages for name, password in p["accounts"].items()]
        finally:
            demo.send_signal(signal.SIGINT)
            demo.wait(STARTED_S)


def take(browser: Browser, served: Served, words: Any, prefix: str, already: set[str]) -> list[str]:
    """Take every page that one user sees and that was not taken before; their names."""
    taken: list[str] = []
    for screen, width, height, language in SCREENS:
        kept = words.all or (screen, language) in KEPT
        context = browser.new_context(viewport={"width": width, "height": height}, device_scale_factor=1, color_scheme="light")
        page = context.new_page()
        sign_in(page, served)
        page.goto(f"{served.address}/?lang={language}")
        links = [urlsplit(str(link)).path for link in page.eval_on_selector_all(NAVIGATION, "all => all.map(a => a.href)")]
        for path in links:
            name = f"{prefix}{path.strip('/').replace('/', '-') or 'home'}"
            front = name == FRONT and screen == "laptop"
            target = words.out / f"{name}-{screen}-{language}.png"
            if target.stem in already or not (kept or front):
                continue
            already.add(target.stem)
            picture(page, f"{served.address}{path}", target)
            if front:
                first = words.out.parent / f"{name}-{language}.png"
                page.screenshot(path=str(first), animations="disabled")
                fewer_colours(first)
            if not kept:
                target.unlink()
                continue
            fewer_colours(target)
            taken.append(target.name)
        context.close()
    return taken


def fewer_colours(path: Path) -> None:
    """A third of the size, and nobody sees it."""
    with Image.open(path) as picture:
        picture.convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE).save(path, optimize=True)


def sign_in(page: Page, served: Served) -> None:
    """As a person would."""
    page.goto(f"{served.address}/account/sign-in")
    page.fill("input[name=name]", served.name)
    page.fill("input[name=password]", served.password)
    page.press("input[name=password]", "Enter")
    page.wait_for_selector(NAVIGATION, state="attached")


def picture(page: Page, address: str, target: Path) -> None:
    """The whole page once everything is drawn, which is when it first comes into view; nothing moves on it."""
    page.goto(address, wait_until="networkidle")
    for figure in page.query_selector_all("[data-island]"):
        figure.scroll_into_view_if_needed()
        page.wait_for_timeout(DRAWN_MS)
    page.evaluate("scrollTo(0, 0)")
    page.wait_for_load_state("networkidle")
    page.wait_for_timeout(DRAWN_MS)
    page.screenshot(path=str(target), full_page=True, animations="disabled")


def read_arguments() -> argparse.Namespace:
    """What the command line says."""
    parser = argparse.ArgumentParser(description="Pictures of every page of the demonstration.")
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "images" / "pages", help="folder of the pictures")
    parser.add_argument("--demo", type=Path, default=ROOT / "build" / "demo", help="folder of the demonstration; used again")
    parser.add_argument("--address", help="a page that is served already")
    parser.add_argument("--name", default="analyst", help="who signs in there; the password is read from standard input")
    parser.add_argument("--all", action="store_true", help="both languages on both screens")
    parser.add_argument("--chromium", default=shutil.which("chromium"), help="the browser")
    return parser.parse_args()


def main() -> None:
    """Take them all."""
    words = read_arguments()
    words.out.mkdir(parents=True, exist_ok=True)
    if words.address:
        one = Served("", words.address.rstrip("/"), words.name, sys.stdin.readline().rstrip("\n"))
        taken = shoot([one], words)
    else:
        with demonstration(words.demo) as pages:
            taken = shoot(pages, words)
    sys.stdout.write("".join(f"{words.out / name}\n" for name in taken))


def shoot(pages: list[Served], words: Any) -> list[str]:
    """Pictures of all pages; those of the first member have no prefix."""
    already: set[str] = set()
    taken: list[str] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=words.chromium, args=["--no-sandbox"])
        for served in pages:
            prefix = "" if served.member == pages[0].member else f"{served.member}-"
            taken += take(browser, served, words, prefix, already)
        browser.close()
    return taken


if __name__ == "__main__":
    main()
