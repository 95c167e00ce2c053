"""Hub and node as processes of the operating system: they start, serve, and end cleanly when told to."""

from __future__ import annotations

import asyncio
import os
import signal
import ssl
import stat
import subprocess
import sys
import textwrap
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509

from oneteam.alliance.certificates import Authority
from oneteam.alliance.node import serve_node
from oneteam.core.errors import FileUnreadableError, UnknownValueError
from tests.alliance.team import OverTls, Team, a_hub, utc_now

HUB = """
    import asyncio, sys
    from pathlib import Path
    from oneteam.alliance.serving import HubSettings, serve_hub
    from oneteam.core.keys import Keys
    folder, port = Path(sys.argv[1]), int(sys.argv[2])
    settings = HubSettings(f"https://localhost:{port}", folder / "hub.db", folder / "server.pem", folder / "server.key")
    ready = lambda relay, port: print("ready", flush=True)
    asyncio.run(serve_hub(settings, {"agency": Keys.generate().public}, ready=ready))
    print("ended", flush=True)
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_hub_ends_cleanly_on_a_signal_while_members_wait(tmp_path: Path, number: signal.Signals) -> None:
    Authority.create("Test", utc_now()).issue(["localhost"], tmp_path, utc_now())
    port = OverTls(Team(tmp_path / "t")).url.rpartition(":")[2]
    hub = subprocess.Popen([sys.executable, "-c", textwrap.dedent(HUB), str(tmp_path), port], stdout=subprocess.PIPE, text=True)
    try:
        assert hub.stdout is not None
        assert hub.stdout.readline() == "ready\n"
        hub.send_signal(number)
        assert hub.wait(timeout=10) == 0
        assert hub.stdout.read() == "ended\n"
    finally:
        hub.kill()
        hub.wait()
        hub.stdout.close()


def test_a_node_ends_cleanly_on_a_signal(tmp_path: Path) -> None:
    team = Team(tmp_path)

    async def play() -> None:
        async with a_hub("over TLS", team) as hub:
            ready = asyncio.Event()
            node = team.node("campus", hub.line("campus"))
            serving = asyncio.create_task(serve_node(node, ready=ready.set))
            await asyncio.wait_for(ready.wait(), 10)
            os.kill(os.getpid(), signal.SIGTERM)
            await asyncio.wait_for(serving, 10)

    asyncio.run(play())
    team.close()


def test_a_node_without_a_hub_keeps_trying_and_can_be_stopped(tmp_path: Path) -> None:
    team = Team(tmp_path)

    async def play() -> None:
        hub = OverTls(team)
        told = asyncio.Event()
        node = team.node("campus", hub.line("campus"))
        serving = asyncio.create_task(serve_node(node, stop=told))
        await asyncio.sleep(0.3)
        assert not serving.done()
        assert not node.connected.is_set()
        await hub.start()
        await asyncio.wait_for(node.connected.wait(), 10)
        told.set()
        await asyncio.wait_for(serving, 10)
        await hub.stop()

    asyncio.run(play())
    team.close()


def test_certificates_are_good_for_their_names_and_keys_are_private(tmp_path: Path) -> None:
    authority = Authority.create("Test alliance", utc_now())
    ca = authority.save(tmp_path)
    certificate, key = authority.issue(["hub.example", "192.0.2.7", "::1"], tmp_path, utc_now())
    for secret in (key, tmp_path / "ca.key"):
        assert stat.S_IMODE(secret.stat().st_mode) == 0o600
    ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key)
    read = x509.load_pem_x509_certificate(certificate.read_bytes())
    read.verify_directly_issued_by(x509.load_pem_x509_certificate(ca.read_bytes()))
    names = read.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["hub.example"]
    assert [str(one) for one in names.get_values_for_type(x509.IPAddress)] == ["192.0.2.7", "::1"]
    assert read.not_valid_after_utc - read.not_valid_before_utc < timedelta(days=398)
    again = Authority.load(tmp_path)
    assert again.certificate == authority.certificate
    assert "PRIVATE" not in repr(again)


def test_what_is_no_authority_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileUnreadableError):
        Authority.load(tmp_path)
    Authority.create("one", utc_now()).save(tmp_path)
    other = Authority.create("two", utc_now())
    other.save(tmp_path / "other")
    (tmp_path / "ca.key").write_bytes((tmp_path / "other" / "ca.key").read_bytes())
    with pytest.raises(FileUnreadableError, match="does not belong"):
        Authority.load(tmp_path)
    with pytest.raises(UnknownValueError):
        other.issue([], tmp_path, utc_now())
    with pytest.raises(UnknownValueError):
        other.issue(["a" * 70 + ".example"], tmp_path, utc_now())
