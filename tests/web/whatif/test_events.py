"""Streams of progress."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from oneteam.web.whatif.events import MOST, Streams


async def _one() -> AsyncIterator[str]:
    yield "event: progress\n\n"
    yield "event: end\n\n"


def test_an_account_has_so_many_streams_and_no_more():
    async def tried() -> None:
        streams = Streams()
        open_ones = [streams.limited("analyst", _one()) for _ in range(MOST)]
        for each in open_ones:
            assert await anext(each) == "event: progress\n\n"
        turned_away = [event async for event in streams.limited("analyst", _one())]
        assert len(turned_away) == 1
        assert turned_away[0].startswith("retry: ")
        assert len([event async for event in streams.limited("officer", _one())]) == 2
        for each in open_ones:
            await each.aclose()
        assert len([event async for event in streams.limited("analyst", _one())]) == 2

    asyncio.run(tried())
