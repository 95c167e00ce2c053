"""The hub holds against strangers, and members hold against the hub."""

from __future__ import annotations

import asyncio
import logging
import ssl
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oneteam.alliance import serving
from oneteam.alliance.exchange import Outgoing, label, pack
from oneteam.alliance.mailbox import MAILBOX_SCHEMA, Mailboxes, Quotas
from oneteam.alliance.relay import Limits, Relay
from oneteam.alliance.serving import HubSettings, serve_hub
from oneteam.alliance.session import SESSION_LIFE_S, Sessions, sign_in
from oneteam.alliance.transport import HubLine
from oneteam.alliance.wire import Envelope, compose, seal, unseal
from oneteam.core.errors import (
    BadSignatureError,
    BusyError,
    FileUnreadableError,
    OneteamError,
    ReplayError,
    UnknownValueError,
    UnreachableError,
)
from oneteam.core.keys import Keys
from oneteam.store.registry import Registry
from tests.alliance.team import OverTls, Team, a_hub, a_team, running, utc_now

LIFE = timedelta(seconds=60)


@pytest.fixture
def team(tmp_path: Path) -> Iterator[Team]:
    yield from a_team(tmp_path)


def an_envelope(receiver: str = "agency", size: int = 10, number: int = 1, life_s: int = 60) -> Envelope:
    return Envelope(f"{number:032x}", receiver, int(time.time()) + life_s, bytes(size))


# --- sessions -------------------------------------------------------------------------------------------------------------------------


def test_only_the_members_key_opens_a_session() -> None:
    keys = {"agency": Keys.generate(), "mallory": Keys.generate()}
    sessions = Sessions("https://hub", lambda name: keys[name].public if name in keys else None)
    now = 1_000_000.0

    def challenge() -> str:
        return sessions.challenge(now).challenge

    token = sessions.begin(sign_in("agency", "https://hub", challenge(), keys["agency"]), now).token
    assert sessions.who(f"Bearer {token}", now)[0] == "agency"
    assert sessions.who(f"Bearer {token}", now + SESSION_LIFE_S) is None
    assert sessions.who(f"Basic {token}", now) is None
    assert sessions.who("Bearer \udcff", now) is None
    with pytest.raises(BadSignatureError):
        sessions.begin(sign_in("agency", "https://hub", challenge(), keys["mallory"]), now)
    with pytest.raises(BadSignatureError, match="other-hub"):
        sessions.begin(sign_in("agency", "https://other-hub", challenge(), keys["agency"]), now)
    with pytest.raises(BadSignatureError, match="not in the hub's roster"):
        sessions.begin(sign_in("nobody", "https://hub", challenge(), keys["agency"]), now)


def test_a_challenge_holds_once_and_for_a_minute() -> None:
    keys = Keys.generate()
    sessions, other = (Sessions("https://hub", lambda _: keys.public) for _ in range(2))
    now = 1_000_000.0
    used = sign_in("agency", "https://hub", sessions.challenge(now).challenge, keys)
    sessions.begin(used, now)
    foreign = sign_in("agency", "https://hub", other.challenge(now).challenge, keys)
    old = sign_in("agency", "https://hub", sessions.challenge(now - 61).challenge, keys)
    for answer in (used, foreign, old):
        with pytest.raises(ReplayError):
            sessions.begin(answer, now)


def test_a_member_has_few_sessions_at_once() -> None:
    keys = Keys.generate()
    sessions = Sessions("https://hub", lambda _: keys.public)
    tokens = [sessions.begin(sign_in("agency", "https://hub", sessions.challenge(1.0).challenge, keys), 1.0).token for _ in range(12)]
    alive = [sessions.who(f"Bearer {token}", 1.0) is not None for token in tokens]
    assert alive == [False] * 4 + [True] * 8


# --- mailboxes ------------------------------------------------------------------------------------------------------------------------


def with_mailboxes(tmp_path: Path, play: Any, quotas: Quotas | None = None) -> None:
    async def run() -> None:
        registry = Registry.open(tmp_path / "hub.db", schemas=(MAILBOX_SCHEMA,))
        boxes = Mailboxes(registry, quotas or Quotas())
        try:
            await play(boxes)
        finally:
            boxes.close()
            registry.close()

    asyncio.run(run())


def test_a_letter_is_on_disk_when_the_sender_is_told_so(tmp_path: Path) -> None:
    async def play(boxes: Mailboxes) -> None:
        await boxes.put(an_envelope(), "campus", time.time())

    async def later(boxes: Mailboxes) -> None:
        assert [one.id for one in await boxes.take("agency", "s", 0)] == [an_envelope().id]
        boxes.acknowledge("agency", [an_envelope().id])

    async def last(boxes: Mailboxes) -> None:
        assert boxes.count() == 0

    for step in (play, later, last):
        with_mailboxes(tmp_path, step)


def test_the_same_letter_twice_is_one_letter(tmp_path: Path) -> None:
    async def play(boxes: Mailboxes) -> None:
        first = boxes.put(an_envelope(), "campus", time.time())
        assert boxes.put(an_envelope(), "campus", time.time()) is first
        await first
        assert boxes.put(an_envelope(), "campus", time.time()) is None
        assert boxes.count() == 1

    with_mailboxes(tmp_path, play)


def test_a_letter_is_handed_out_once_until_the_line_broke(tmp_path: Path) -> None:
    async def play(boxes: Mailboxes) -> None:
        boxes.put(an_envelope(), "campus", time.time())
        assert len(await boxes.take("agency", "s", 0)) == 1
        assert await boxes.take("agency", "s", 0.02) == []
        assert len(await boxes.take("agency", "another session", 0)) == 1
        boxes.hand_out_again("agency")
        assert len(await boxes.take("agency", "another session", 0)) == 1

    with_mailboxes(tmp_path, play)


def test_waiting_ends_with_a_letter_a_newer_wait_or_the_hubs_stop(tmp_path: Path) -> None:
    async def play(boxes: Mailboxes) -> None:
        async with asyncio.timeout(5):
            waiting = asyncio.create_task(boxes.take("agency", "s", 30))
            await asyncio.sleep(0.01)
            newer = asyncio.create_task(boxes.take("agency", "s", 30))
            assert await waiting == []
            boxes.put(an_envelope(), "campus", time.time())
            assert len(await newer) == 1
            last = asyncio.create_task(boxes.take("agency", "s", 30))
            await asyncio.sleep(0.01)
            boxes.release_waiters()
            assert await last == []

    with_mailboxes(tmp_path, play)


def test_quotas_and_expiry(tmp_path: Path) -> None:
    async def play(boxes: Mailboxes) -> None:
        now = time.time()
        for number in range(3):
            boxes.put(an_envelope(number=number), "campus", now)
        with pytest.raises(BusyError):
            boxes.put(an_envelope(number=9), "campus", now)
        boxes.put(an_envelope(number=10), "horizon", now)
        with pytest.raises(BusyError):
            boxes.put(an_envelope(number=11, size=1000), "skylark", now)
        assert boxes.put(an_envelope(number=12, life_s=-1), "skylark", now) is None
        assert boxes.forget_expired(now + 61) == 4
        assert boxes.count() == 0

    with_mailboxes(tmp_path, play, Quotas(letters=5, total_bytes=200, letters_per_sender=3))


def test_letters_beyond_the_memory_are_read_from_disk(tmp_path: Path) -> None:
    async def play(boxes: Mailboxes) -> None:
        for number in range(5):
            done = boxes.put(an_envelope(number=number, size=1000), "campus", time.time())
            assert done is not None
            await done
        assert [len(one.sealed) for one in await boxes.take("agency", "s", 0)] == [1000] * 5

    with_mailboxes(tmp_path, play, Quotas(in_memory_bytes=1500))


def test_a_full_disk_is_told_to_the_sender(tmp_path: Path) -> None:
    async def play(boxes: Mailboxes) -> None:
        from oneteam.core.errors import DiskFullError

        def full(works: object) -> OneteamError:
            return DiskFullError("no room")

        boxes._disk._write = full  # type: ignore[method-assign]
        done = boxes.put(an_envelope(), "campus", time.time())
        assert done is not None
        with pytest.raises(DiskFullError):
            await done
        await asyncio.sleep(0)
        assert boxes.count() == 0, "a letter that was not taken is not there"

    with_mailboxes(tmp_path, play)


# --- members against the hub ----------------------------------------------------------------------------------------------------------


def test_a_replayed_message_is_answered_from_memory_and_worked_on_once(team: Team) -> None:
    async def play() -> None:
        async with a_hub("in process", team) as hub, running(hub, "campus") as nodes:
            worked: list[str] = []
            campus = nodes["campus"]
            handler = campus._courier._handler

            async def counting(message: Any) -> Any:
                worked.append(message.id)
                return await handler(message)

            campus._courier._handler = counting
            message = compose("agency", "campus", "ping", now=utc_now(), life=LIFE)
            async with hub.line("agency") as line:
                answers = []
                for _ in range(3):
                    # What the hub kept, under any id it likes.
                    await line.exchange([seal(message, team.keys["agency"], team.members["campus"])])
                    letters: tuple[Envelope, ...] = ()
                    while not letters:
                        letters, _ = await line.exchange(wait_s=1)
                    answers.append(unseal(letters[0].sealed, "agency", team.keys["agency"], team.lookup, utc_now()))
                    await line.exchange(acknowledged=[letters[0].id])
            assert worked == [message.id]
            assert len({answer.id for answer in answers}) == 1
        # After a restart the kept answer comes from the registry.
        async with a_hub("in process", team) as hub, running(hub, "campus") as nodes:
            replies = nodes["campus"]._courier._replies
            assert replies.known("agency", message.id)
            assert replies.find("agency", message.id) is not None

    asyncio.run(play())


def test_a_member_does_not_take_an_answer_from_somebody_else(team: Team) -> None:
    async def play() -> None:
        async with a_hub("in process", team) as hub, running(hub, "agency") as nodes, hub.line("horizon") as mallory:
            agency = nodes["agency"]
            asking = asyncio.create_task(agency.ask("campus", "ping", timeout_s=0.6))
            await asyncio.sleep(0.05)
            (asked,) = agency._courier._asked
            forged = compose("horizon", "agency", "reply", now=utc_now(), life=LIFE, reply_to=asked)
            await mallory.exchange([seal(forged, team.keys["horizon"], team.members["agency"])])
            with pytest.raises(UnreachableError):
                await asking

    asyncio.run(play())


def test_a_substituted_key_gains_the_hub_nothing(team: Team) -> None:
    """Members seal to the roster's keys; whatever keys the hub has in its own list, it opens nothing and forges nothing."""

    async def play() -> None:
        mallory = Keys.generate()
        async with a_hub("in process", team) as hub, running(hub, "agency") as nodes:
            hub.relay.admit({**team.members, "campus": mallory.public})
            async with hub.line("campus", keys=mallory) as false_campus:
                asking = asyncio.create_task(nodes["agency"].ask("campus", "ping", timeout_s=1))
                letters: tuple[Envelope, ...] = ()
                while not letters:
                    letters, _ = await false_campus.exchange(wait_s=1)
                with pytest.raises(BadSignatureError):
                    unseal(letters[0].sealed, "campus", mallory, team.lookup, utc_now())
                (asked,) = nodes["agency"]._courier._asked
                forged = compose("campus", "agency", "reply", now=utc_now(), life=LIFE, reply_to=asked)
                await false_campus.exchange([seal(forged, mallory, team.members["agency"])])
                with pytest.raises(UnreachableError):
                    await asking

    asyncio.run(play())


def collected(strategy: st.SearchStrategy[Any], count: int) -> list[Any]:
    """Examples to be sent within one event loop."""
    found: list[Any] = []

    @settings(max_examples=count, database=None, deadline=None)
    @given(strategy)
    def collect(example: Any) -> None:
        found.append(example)

    collect()
    return found


def test_any_bytes_from_the_hub_leave_a_node_running(team: Team) -> None:
    async def play() -> None:
        async with a_hub("in process", team) as hub, running(hub, "campus", "agency") as nodes:
            now = time.time()
            for number, raw in enumerate(collected(st.binary(min_size=1, max_size=5000), 200)):
                hub.relay.mailboxes.put(Envelope(f"{number:032x}", "campus", int(now) + 60, raw), "agency", now)
            assert (await nodes["agency"].ask("campus", "ping", timeout_s=5)).sender == "campus"
            await asyncio.sleep(0.1)
            assert hub.relay.mailboxes.count() == 0

    logging.disable(logging.WARNING)
    try:
        asyncio.run(play())
    finally:
        logging.disable(logging.NOTSET)


KINDS = (
    "query.ask",
    "round.open",
    "round.mask",
    "round.agree",
    "round.reveal",
    "catalog.ask",
    "agreement.revoke",
    "audit.checkpoint",
    "audit.held",
    "ping",
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
FIELDS = ("request", "round", "votes", "revocation", "old", "new", "held", "log", "share")


def test_a_members_nonsense_is_answered_with_a_typed_error(team: Team) -> None:
    """Signed and sealed well, by a member of the roster, and wrong in every field."""

    async def play() -> None:
        async with a_hub("in process", team) as hub, running(hub, "campus", "agency") as nodes:
            agency = nodes["agency"]
            codes = set()
            fields = st.dictionaries(st.sampled_from(FIELDS), JSON, max_size=4)
            messages = st.tuples(st.sampled_from(KINDS), fields, st.binary(max_size=200))
            for kind, header, body in collected(messages, 120):
                try:
                    await agency._courier.ask("campus", kind, header, body, timeout_s=5)
                except OneteamError as err:
                    codes.add(err.code)
            assert "internal" not in codes, "a message made the node stumble"
            assert "wire.unreachable" not in codes
            assert "input.wrong_type" in codes

    logging.disable(logging.WARNING)
    try:
        asyncio.run(play())
    finally:
        logging.disable(logging.NOTSET)


# --- strangers against the hub --------------------------------------------------------------------------------------------------------


def test_strange_requests_never_crash_the_hub(team: Team) -> None:
    async def play() -> None:
        async with a_hub("over TLS", team) as hub:
            assert isinstance(hub, OverTls)
            context = ssl.create_default_context(cafile=hub.ca)
            port = int(hub.url.rpartition(":")[2])
            for raw in (
                b"\x00\xff\x16\x03" * 50,
                b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
                b"POST /exchange HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\n",
                b"POST /session HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\n[[[[",
                b"POST /session HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
                b"POST /\xff\xfe HTTP/1.1\r\nHost: x\r\n\r\n",
                b"GET /health HTTP/1.1\r\n" + b"X: " + b"y" * 2_000_000 + b"\r\n\r\n",
            ):
                reader, writer = await asyncio.open_connection("localhost", port, ssl=context)
                writer.write(raw)
                await writer.drain()
                writer.write_eof() if writer.can_write_eof() else None
                answer = await asyncio.wait_for(reader.read(20), 5)
                assert answer == b"" or b" 4" in answer, raw[:40]
                writer.close()
            async with httpx.AsyncClient(verify=context, base_url=hub.url, trust_env=False) as http:
                assert (await http.get("/health")).json()["status"] == "ok"
                assert (await http.post("/exchange", content=b"x")).status_code == 401
                assert (await http.post("/exchange", headers={"authorization": "Bearer nonsense"})).status_code == 401
                assert (await http.post("/session", content=bytes(5000))).status_code == 413

    asyncio.run(play())


def test_a_signed_in_members_strange_frames_never_crash_the_hub(team: Team) -> None:
    async def play() -> None:
        async with a_hub("in process", team) as hub, hub.line("agency") as line:
            await line.exchange()
            frames = collected(st.binary(max_size=300), 100)
            huge = Outgoing(letters=(label(an_envelope()).model_copy(update={"size": 2**30}),))
            for frame in (*frames, pack(huge, [b""]), b"\xff\xff\xff\xff"):
                status, _ = await line._post("/exchange", frame, "application/octet-stream", token=line._token)
                assert status in {400, 413}
            await line.exchange()

    asyncio.run(play())


def test_a_slow_head_and_a_slow_body_are_cut_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serving, "REQUEST_HEAD_S", 0.3)
    team = Team(tmp_path, limits=Limits(body_s=0.3))

    async def play() -> None:
        async with a_hub("over TLS", team) as hub, hub.line("agency") as line:
            assert isinstance(hub, OverTls)
            await line.exchange()
            context = ssl.create_default_context(cafile=hub.ca)
            port = int(hub.url.rpartition(":")[2])
            start = time.monotonic()
            reader, writer = await asyncio.open_connection("localhost", port, ssl=context)
            writer.write(b"POST /exchange HTTP/1.1\r\nHost:")
            assert await asyncio.wait_for(reader.read(), 5) == b""
            writer.close()
            reader, writer = await asyncio.open_connection("localhost", port, ssl=context)
            head = f"POST /exchange HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {line._token}\r\nContent-Length: 100\r\n\r\nabc"
            writer.write(head.encode())
            assert b" 429 " in (await asyncio.wait_for(reader.readline(), 5))
            writer.close()
            assert time.monotonic() - start < 4

    asyncio.run(play())
    team.close()


def test_oversized_requests_are_refused_before_they_are_read(tmp_path: Path) -> None:
    team = Team(tmp_path, limits=Limits(exchange_bytes=20_000))

    async def play() -> None:
        async with a_hub("over TLS", team) as hub, hub.line("agency") as line:
            await line.exchange()
            status, _ = await line._post("/exchange", bytes(30_000), "application/octet-stream", token=line._token)
            assert status == 413

            async def endless() -> Any:
                for _ in range(40):
                    yield bytes(1000)

            headers = {"authorization": f"Bearer {line._token}"}
            # The hub closes without reading on; its answer may be lost by that.
            with suppress(httpx.TransportError):
                assert (await line._http.post("/exchange", content=endless(), headers=headers)).status_code == 413
            await line.exchange()

    asyncio.run(play())
    team.close()


def test_sign_ins_from_one_address_are_slowed_down(tmp_path: Path) -> None:
    team = Team(tmp_path, limits=Limits(sign_ins_per_s=1))

    async def play() -> None:
        async with a_hub("in process", team) as hub, hub.line("agency") as line:
            codes = [(await line._post("/challenge", b"", "application/json"))[0] for _ in range(8)]
            assert codes == [200] * 4 + [429] * 4

    asyncio.run(play())
    team.close()


# --- the server -----------------------------------------------------------------------------------------------------------------------


def test_another_authority_is_not_trusted(team: Team, tmp_path: Path) -> None:
    from oneteam.alliance.certificates import Authority

    other = Authority.create("Somebody else", utc_now()).save(tmp_path / "other")

    async def play() -> None:
        async with a_hub("over TLS", team) as hub:
            assert isinstance(hub, OverTls)
            async with HubLine.https(hub.url, "agency", team.keys["agency"], authority=other) as line:
                with pytest.raises(UnreachableError):
                    await line.exchange()

    asyncio.run(play())


def test_plain_http_serves_loopback_only(team: Team, tmp_path: Path) -> None:
    with pytest.raises(UnknownValueError, match="loopback"):
        asyncio.run(serve_hub(HubSettings("http://hub.example", tmp_path / "hub.db", host="0.0.0.0"), team.members))
    with pytest.raises(UnknownValueError, match="not https"):
        HubLine.https("http://hub.example", "agency", team.keys["agency"])
    with pytest.raises(FileUnreadableError):
        HubLine.https("https://hub.example", "agency", team.keys["agency"], authority=tmp_path / "none.pem")


def test_a_taken_port_and_a_bad_certificate_are_told(team: Team, tmp_path: Path) -> None:
    async def play() -> None:
        async with a_hub("over TLS", team) as hub:
            assert isinstance(hub, OverTls)
            with pytest.raises(UnreachableError, match="cannot listen"):
                await serve_hub(HubSettings(hub.url, tmp_path / "b.db", *hub.files), team.members)
            with pytest.raises(FileUnreadableError):
                await serve_hub(HubSettings(hub.url, tmp_path / "b.db", hub.ca, hub.ca), team.members)

    asyncio.run(play())


def test_the_relay_forgets_what_expired(team: Team, tmp_path: Path) -> None:
    async def play() -> None:
        clock = [1000.0]
        registry = Registry.open(tmp_path / "hub.db", schemas=(MAILBOX_SCHEMA,))
        relay = Relay(registry, team.members, "http://hub.in-process", clock=lambda: clock[0])
        async with HubLine.in_process(relay.app, "agency", team.keys["agency"]) as line:
            await line.exchange([replace(an_envelope(), expires_at=1060)])
            assert relay.mailboxes.count() == 1
            _, refused = await line.exchange([replace(an_envelope(number=2), expires_at=10**8)])
            assert [one.code for one in refused] == ["input.unknown_value"]
            clock[0] += 3700
            relay.sweep()
            assert relay.mailboxes.count() == 0
            await line.exchange()
        relay.mailboxes.close()
        registry.close()

    asyncio.run(play())
