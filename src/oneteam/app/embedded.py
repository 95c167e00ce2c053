"""Several members in one process: their nodes and a hub between them, the same signed and sealed messages, and no socket.

For one machine: trials, teaching, tests, studies over files. Gates, ledgers, logs and masks are the real ones; only the walls between the
members are missing, since whoever runs the process can read every home.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import Final

from oneteam.alliance.home import Home
from oneteam.alliance.mailbox import MAILBOX_SCHEMA
from oneteam.alliance.relay import Relay
from oneteam.alliance.roster import public_keys
from oneteam.alliance.transport import HubLine
from oneteam.app.member_node import MemberNode, open_member
from oneteam.core.errors import LogError, UnknownValueError
from oneteam.store.registry import Registry

URL: Final = "http://hub.in-process"
LEVEL_S: Final = 60.0


@asynccontextmanager
async def in_one_process(homes: Sequence[Home]) -> AsyncIterator[dict[str, MemberNode]]:
    """These members' nodes, connected and ready to answer while the block lasts; by member.

    Args:
        homes: of members of one alliance, each once.

    Raises:
        UnknownValueError: homes of different alliances, or one member twice.
        DatasetBusyError: a node of one of them runs elsewhere.
        LogError: a member's log is not level with what the others hold of it.
    """
    rosters = {home.roster().id for home in homes}
    if len(rosters) != 1 or len({home.id for home in homes}) != len(homes):
        raise UnknownValueError("give homes of one alliance, each member once", hint="`oneteam roster show` tells a home's roster.")
    members = {member.id: public_keys(member) for member in homes[0].roster().roster.members}
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="oneteam-hub-")))
        registry = Registry.open(folder / "hub.db", schemas=(MAILBOX_SCHEMA,))
        stack.callback(registry.close)
        relay = Relay(registry, members, URL)
        stack.callback(relay.mailboxes.close)
        nodes: dict[str, MemberNode] = {}
        for home in homes:
            line = HubLine.in_process(relay.app, home.id, home.keys, url=URL)
            nodes[home.id] = stack.enter_context(open_member(home, line))
        for member in nodes.values():
            stack.push_async_callback(_ended, asyncio.create_task(member.node.run()))
        await asyncio.gather(*(_ready(member) for member in nodes.values()))
        yield nodes


async def _ready(member: MemberNode) -> None:
    await member.node.connected.wait()
    if member.gate is None:
        return
    try:
        async with asyncio.timeout(LEVEL_S):
            await member.run_until_level()
    except TimeoutError as err:
        raise LogError(f"{member.home.id}: {member.ledger.unlevel}", hint="See docs/audit.md on restored backups.") from err


async def _ended(task: asyncio.Task[None]) -> None:
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
