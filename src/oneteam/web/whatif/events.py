"""Live progress of a run as Server-Sent Events.

Source: WHATWG HTML, section 9.2 (server-sent events).
"""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from dataclasses import asdict
from typing import Final

from starlette.concurrency import run_in_threadpool

from oneteam.app.whatif.queue import Live
from oneteam.app.whatif.store import OPEN
from oneteam.core.errors import OneteamError
from oneteam.web.language import Language, translator

EVERY_S: Final = 0.2
ALIVE_S: Final = 10.0
"""So often something is sent, so that what lies between does not take the silence for the end."""
LONGEST_S: Final = 60.0
"""A stream ends after so long; the browser asks again by itself, and is checked again then."""
AGAIN_MS: Final = 500
MOST: Final = 8
"""Streams of one account at the same time: more than a person has windows open, far fewer than the server has connections."""


class Streams:
    """How many streams every account has open."""

    def __init__(self) -> None:
        self._open: Counter[str] = Counter()

    async def limited(self, account: str, events: AsyncIterator[str]) -> AsyncIterator[str]:
        """The events, counted while they last; asked to come back later when there are too many.

        Args:
            account: whose stream.
            events: what it carries.
        """
        if self._open[account] >= MOST:
            yield f"retry: {1000 * int(LONGEST_S)}\n\n"
            return
        self._open[account] += 1
        try:
            async for event in events:
                yield event
        finally:
            self._open[account] -= 1


def progress_words(live: Live, language: Language) -> str:
    """How far a run is, in words."""
    t = translator(language)
    if live.state == "waiting":
        return t("whatif.ahead", n=live.ahead)
    if live.state == "running":
        return t("whatif.at", at=f"{live.at:.0f}", of=f"{live.of:.0f}") if live.of else t("whatif.preparing")
    return t(f"whatif.state.{live.state}")


async def follow(look: Callable[[], Live], language: Language) -> AsyncIterator[str]:
    """Events of a run: ``progress`` whenever something changed, and ``end`` once it has ended.

    Args:
        look: how far it is.
        language: of the words in the events.
    """
    yield f"retry: {AGAIN_MS}\n\n"
    began = said_at = time.monotonic()
    before: Live | None = None
    while time.monotonic() - began < LONGEST_S:
        try:
            live = await run_in_threadpool(look)
        except OneteamError:
            yield _event("end", {"state": "failed"})
            return
        if live != before:
            yield _event("progress", asdict(live) | {"words": progress_words(live, language)})
            before, said_at = live, time.monotonic()
        if live.state not in OPEN:
            yield _event("end", {"state": live.state})
            return
        if time.monotonic() - said_at > ALIVE_S:
            yield ": still going\n\n"
            said_at = time.monotonic()
        await asyncio.sleep(EVERY_S)


def _event(name: str, data: dict[str, object]) -> str:
    return f"event: {name}\ndata: {json.dumps(data, ensure_ascii=False)}\n\n"
