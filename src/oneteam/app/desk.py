"""What a member's own people may ask of their node, and the door through which they reach it while it runs.

A running node listens on a Unix socket in its home, which the home's owner alone can open: one JSON line in, then lines of progress, then
the result or the error. When no node runs, `at_desk` starts one for as long as the work takes.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, Final, Protocol

from pydantic import ValidationError

from oneteam.alliance.failures import describe, rebuild
from oneteam.alliance.home import Home
from oneteam.alliance.transport import HubLine
from oneteam.app.asking import ask
from oneteam.app.member_node import MemberNode, open_member, public_status
from oneteam.app.notice_terms import NoticeWish
from oneteam.app.notices import notify_as_wished
from oneteam.core.errors import NothingFoundError, OneteamError, UnreachableError, WrongTypeError
from oneteam.core.model import Query, Release
from oneteam.core.progress import Progress, silent
from oneteam.privacy.signing import complaints

SOCKET: Final = "node.sock"
MAX_LINE_BYTES: Final = 256 * 2**20
CONNECT_S: Final = 30.0
LEVEL_S: Final = 60.0
_LONGEST_PATH: Final = 100
Json = dict[str, Any]
Work = Callable[[Json, Progress], Awaitable[Json]]


class Desk(Protocol):
    """Where a member's people ask: at a running node, or at one started for them."""

    async def do(self, what: str, arguments: Json, progress: Progress = silent) -> Json:
        """Do one thing of `NodeDesk`."""


class NodeDesk:
    """The desk of a node in this process.

    Args:
        member: the node.
    """

    def __init__(self, member: MemberNode) -> None:
        self._member = member
        self._works: Mapping[str, Work] = {
            "status": self._status,
            "query": self._query,
            "notify": self._notify,
            "catalog": self._catalog,
            "revoke": self._revoke,
            "reload": self._reload,
            "compare": self._compare,
        }

    async def do(self, what: str, arguments: Json, progress: Progress = silent) -> Json:
        """Do one thing.

        Args:
            what: ``status``, ``query`` (``query``, ``attempts``, ``reason``, ``parent``, ``present_within_s``), ``catalog`` (``member``),
                ``revoke`` (``revocation``), ``reload`` or ``compare`` (what others hold of the own log).
            arguments: by name.
            progress: told how far it is.

        Raises:
            OneteamError: what went wrong.
        """
        work = self._works.get(what)
        if work is None:
            raise WrongTypeError(f"a desk does not know '{what}'; it knows {', '.join(self._works)}")
        return await work(arguments, progress)

    async def _status(self, _arguments: Json, _progress: Progress) -> Json:
        return await self._member.node.in_thread(public_status, self._member)

    async def _query(self, arguments: Json, progress: Progress) -> Json:
        try:
            query = Query.model_validate(arguments.get("query"))
        except ValidationError as err:
            raise WrongTypeError("not a query", detail=str(err)) from err
        kept = self._member.book.get(query.agreement)
        if kept is None:
            raise NothingFoundError(f"agreement {query.agreement[:12]} is not kept here")
        release, stored = await ask(
            self._member,
            query,
            kept.agreement,
            reason=str(arguments.get("reason", "a query by an analyst")),
            parent=arguments.get("parent"),
            attempts=int(arguments.get("attempts", 1)),
            present_within_s=arguments.get("present_within_s"),
            progress=progress,
        )
        return {"release": release.model_dump(mode="json"), "kept": stored}

    async def _notify(self, arguments: Json, progress: Progress) -> Json:
        try:
            wish = NoticeWish.model_validate(arguments)
        except ValidationError as err:
            raise WrongTypeError(f"not a notice: {complaints(err)}", hint="See docs/notices.md.") from err
        return (await notify_as_wished(self._member, wish, progress)).as_dict()

    async def _catalog(self, arguments: Json, progress: Progress) -> Json:
        wanted = arguments.get("member")
        known = [member.id for member in self._member.roster.roster.members]
        names = [str(wanted)] if wanted else known
        found: Json = {}

        async def one(name: str) -> None:
            try:
                answer = await self._member.node.ask(name, "catalog.ask", timeout_s=10.0)
                found[name] = json.loads(answer.body)
            except OneteamError as err:
                found[name] = {"error": err.as_dict()}
            progress("catalog", len(found), len(names))

        own = self._member.home.id
        if own in names:
            found[own] = self._member.own_catalogue()
        await asyncio.gather(*(one(name) for name in names if name != own))
        return {name: found[name] for name in names}

    async def _revoke(self, arguments: Json, _progress: Progress) -> Json:
        text = str(arguments.get("revocation", ""))
        revocation = await self._member.node.in_thread(self._member.revoke, text)
        kept = self._member.book.get(revocation.agreement)
        parties = kept.agreement.parties if kept is not None else self._member.node.peers
        failed = await self._member.node.revoke(text, parties)
        return {"agreement": revocation.agreement, "not_reached": failed}

    async def _compare(self, _arguments: Json, _progress: Progress) -> Json:
        """Show the own log's checkpoint to the others and look at what they hold of it, now."""
        failed = await self._member.node.exchange_checkpoints()
        asked = [name for name in self._member.node.peers if name != self._member.home.id]
        return {"asked": asked, "failed": failed, "why_not": await self._member.node.in_thread(lambda: self._member.ledger.unlevel)}

    async def _reload(self, _arguments: Json, _progress: Progress) -> Json:
        return {"agreements": await self._member.node.in_thread(self._member.reload_agreements)}


class _RemoteDesk:
    """The desk of a node in another process."""

    def __init__(self, path: Path) -> None:
        self._path = path

    async def do(self, what: str, arguments: Json, progress: Progress = silent) -> Json:
        try:
            with _short(self._path) as path:
                reader, writer = await asyncio.open_unix_connection(path, limit=MAX_LINE_BYTES)
        except OSError as err:
            raise UnreachableError(f"{self._path}: the node of this home does not answer") from err
        try:
            writer.write(json.dumps({"do": what, "with": arguments}).encode() + b"\n")
            await writer.drain()
            while line := await reader.readline():
                told = json.loads(line)
                if "progress" in told:
                    progress(*told["progress"])
                elif "error" in told:
                    raise rebuild(told["error"], "the node")
                else:
                    result: Json = told["result"]
                    return result
            raise _ended()
        except (ConnectionError, json.JSONDecodeError) as err:
            # Killed while it was asked, or in the middle of a line.
            raise _ended() from err
        finally:
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()


def _ended() -> UnreachableError:
    return UnreachableError("the node ended before it answered", hint="Look at its log, start it again and ask again.")


@asynccontextmanager
async def at_desk(home: Home, line: HubLine | None = None) -> AsyncIterator[Desk]:
    """The desk of this home: the running node's, or that of a node started for as long as the block lasts.

    Raises:
        UnreachableError: the hub does not answer.
    """
    running_node = await running_desk(home)
    if running_node is not None:
        yield running_node
        return
    with open_member(home, line, gossip_s=0) as member:
        running = asyncio.create_task(member.node.run())
        try:
            async with asyncio.timeout(CONNECT_S):
                await member.node.connected.wait()
        except TimeoutError as err:
            running.cancel()
            raise UnreachableError(f"the hub {home.settings.hub} does not answer", hint="Is it running? `oneteam hub serve`.") from err
        try:
            yield NodeDesk(member)
        finally:
            running.cancel()
            with suppress(asyncio.CancelledError):
                await running


async def running_desk(home: Home) -> Desk | None:
    """The desk of the node that runs in this home; None when none runs."""
    return _RemoteDesk(home.folder / SOCKET) if await _answers(home.folder / SOCKET) else None


@asynccontextmanager
async def open_door(member: MemberNode) -> AsyncIterator[None]:
    """Let the home's owner reach the node through a socket in its home while the block lasts."""
    path = member.home.folder / SOCKET
    path.unlink(missing_ok=True)
    desk = NodeDesk(member)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            # An asker that goes away, or that sends more than a line may hold, is nobody's fault here.
            with suppress(ConnectionError, ValueError):
                await _serve_one(desk, reader, writer)
        finally:
            writer.close()

    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        # Linux gives the file the socket's own mode; a umask would be that of the whole process, and of other nodes in it.
        os.fchmod(listener.fileno(), 0o600)
        with _short(path) as short:
            listener.bind(short)
        server = await asyncio.start_unix_server(serve, sock=listener, limit=MAX_LINE_BYTES)
    except BaseException:
        listener.close()
        raise
    try:
        yield
    finally:
        server.close()
        path.unlink(missing_ok=True)


async def _serve_one(desk: NodeDesk, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    def tell(line: Json) -> None:
        writer.write(json.dumps(line).encode() + b"\n")

    try:
        asked = json.loads(await reader.readline() or b"{}")
        if not isinstance(asked, dict) or not isinstance(asked.get("with", {}), dict):
            raise WrongTypeError("a desk reads one JSON object: do, with")
        result = await desk.do(str(asked.get("do")), asked.get("with", {}), lambda *step: tell({"progress": list(step)}))
        tell({"result": result})
    except OneteamError as err:
        tell({"error": describe(err)})
    except (ValueError, TypeError, RecursionError):
        tell({"error": describe(WrongTypeError("a desk reads one JSON object: do, with"))})
    await writer.drain()


async def _answers(path: Path) -> bool:
    try:
        with _short(path) as short:
            _, writer = await asyncio.open_unix_connection(short)
    except OSError:
        return False
    writer.close()
    return True


class _short:  # noqa: N801 - used like a function
    """A name for a socket that fits into a socket's address, which holds 107 bytes."""

    def __init__(self, path: Path) -> None:
        self._path = path.absolute()
        self._handle = -1

    def __enter__(self) -> str:
        if len(os.fsencode(self._path)) <= _LONGEST_PATH:
            return str(self._path)
        self._handle = os.open(self._path.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        return f"/proc/self/fd/{self._handle}/{self._path.name}"

    def __exit__(self, *_: object) -> None:
        if self._handle >= 0:
            os.close(self._handle)


def release_of(result: Json) -> Release:
    """The Release of a ``query``'s result."""
    return Release.model_validate(result["release"])


def releases_of(result: Json) -> list[Release]:
    """The Releases of a ``notify``'s result: the counts."""
    return [Release.model_validate(raw) for raw in result["releases"]]
