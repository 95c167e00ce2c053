"""A member's process: the node, its door for the member's own people, and the comparison of its log with what others hold."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress

from oneteam.alliance.home import Home
from oneteam.alliance.node import serve_node
from oneteam.alliance.transport import HubLine
from oneteam.app.desk import open_door
from oneteam.app.member_node import MemberNode, open_member


def _quiet(_state: str) -> None:
    return


async def serve_member(
    home: Home,
    *,
    line: HubLine | None = None,
    stop: asyncio.Event | None = None,
    tell: Callable[[str], None] = _quiet,
    gossip_s: float = 600.0,
) -> None:
    """Run a member's node until it is stopped.

    Args:
        home: the member's.
        line: to the hub; that of ``member.toml`` when None.
        stop: ends it when set; without one, SIGTERM and SIGINT do.
        tell: told "connected" and, at members that answer queries, "ready" once its log is level with what others hold.
        gossip_s: how often checkpoints are exchanged.
    """
    with open_member(home, line, gossip_s=gossip_s) as member:
        async with open_door(member):
            watching = asyncio.create_task(_until_level(member, tell))
            try:
                await serve_node(member.node, stop=stop, ready=lambda: tell("connected"))
            finally:
                watching.cancel()
                with suppress(asyncio.CancelledError):
                    await watching


async def _until_level(member: MemberNode, tell: Callable[[str], None]) -> None:
    if member.gate is None:
        return
    await member.run_until_level()
    tell("ready")
