"""``oneteam demo``: everything together, on one machine, on data that nobody gave away because nobody has it."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from oneteam.app.demo.run import Page
    from oneteam.app.demo.summary import DemoSummary

EVERY_S = 5.0


def demo(
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder of the demonstration; used again when it is started again.")] = Path(
        "build/demo"
    ),
    once: Annotated[bool, typer.Option("--once", help="End after the study, with a summary; serve no page.")] = False,
    port: Annotated[int, typer.Option(min=1, max=65_000, help="Of the page; the next free one where it is taken.")] = 8450,
    subscribers: Annotated[int, typer.Option(min=500, max=5_000_000, help="Of all carriers together.")] = 110_000,
    zone_count: Annotated[int, typer.Option(min=17, max=2_000, help="Districts, inside the real provinces.")] = 250,
    zones: Annotated[Path | None, typer.Option(help="CSV of real districts instead: code, population, name, region...")] = None,
    shapes: Annotated[Path | None, typer.Option(help="Their shapes, GeoJSON or TopoJSON by `code`.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Another one is another country.")] = 1,
    json: Annotated[bool, typer.Option("--json", help="Print the summary as JSON.")] = False,
) -> None:
    """See it work: a synthetic Korea, three rival carriers, a university, a health agency, and their joint study. 한눈에 보는 시연입니다.

    Each member and the hub is a process of its own on this machine. When the study is done, the page shows it; ctrl-C stops everything.
    Started again, it goes on where it was: what was asked before is kept, and nothing is spent twice.
    """
    from oneteam.app.demo.run import run_demo
    from oneteam.app.demo.settings import DemoSettings

    settings = DemoSettings(
        out=out, subscribers=subscribers, zone_count=zone_count, seed=seed, zones=zones, shapes=shapes, port=port, once=once
    )
    run_demo(settings, _Told(), lambda summary, pages: _show(summary, pages, as_json=json))


class _Told:
    """Steps as lines on standard error."""

    def __init__(self) -> None:
        self._number = 0
        self._last = 0.0

    def step(self, name: str, title: str) -> None:
        from oneteam.app.demo.run import STEPS

        self._number = list(STEPS).index(name) + 1
        _say(f"{self._number}/{len(STEPS)} {title}")

    def done(self, _name: str, seconds: float, *, reused: bool) -> None:
        _say(f"    {'from before' if reused else f'{seconds:.1f} s'}")

    def detail(self, text: str) -> None:
        _say(f"    {text}")

    def progress(self, step: str, done: float, total: float | None) -> None:
        """Now and then, not each time."""
        now = time.monotonic()
        if now - self._last < EVERY_S:
            return
        self._last = now
        _say(f"    {step}" + (f" {100 * done / total:.0f}%" if total else ""))


def _say(text: str) -> None:
    from oneteam.cli.render import shown

    sys.stderr.write(f"{shown(text)}\n")
    sys.stderr.flush()


def _show(summary: DemoSummary, pages: list[Page], *, as_json: bool) -> None:
    from oneteam.cli.render import print_json, say

    if as_json:
        body = [{"member": page.member, "address": page.address, "accounts": page.accounts} for page in pages]
        print_json(summary.as_dict() | {"pages": body})
        sys.stdout.flush()
        return
    for line in summary.lines():
        say(line)
    for page in pages:
        say(f"{page.member}: {page.address}")
        for name, password in page.accounts.items():
            say(f"    {name}  {password}")
    if pages:
        say("The passwords are shown once. ctrl-C stops everything.")
