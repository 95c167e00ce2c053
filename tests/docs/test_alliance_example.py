"""The alliance's example, as it stands in the docs: six processes over TLS, from keys to a joint Release."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from oneteam.alliance.home import MemberSettings
from oneteam.core.model import Release

ROOT = Path(__file__).parents[2]


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


def run(words: list[str], folder: Path, **settings: str) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    env = os.environ | {"PATH": path} | settings
    done = subprocess.run(words, cwd=folder, env=env, capture_output=True, text=True, check=False, timeout=600)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return done


@pytest.mark.slow
def test_the_example_goes_from_keys_to_a_joint_release(tmp_path: Path) -> None:
    out = tmp_path / "alliance"
    example = ["sh", str(ROOT / "examples" / "alliance" / "run.sh"), str(out)]
    done = run(example, tmp_path, ONETEAM_PORT=str(free_port()), ONETEAM_SUBSCRIBERS="3000")
    release = Release.model_validate(json.loads((out / "release.json").read_text()))
    assert release.contributors == ("bluewave", "horizon", "skylark")
    assert "kept from before: spent nothing" in done.stdout
    assert "entries are what they were when they were written" in done.stdout
    assert (out / "od.csv").read_text().startswith('"origin","destination","value","std"')
    # No private key and no subscriber in any log or on the terminal.
    said = done.stdout + done.stderr + "".join(log.read_text() for log in out.rglob("*.log"))
    for key in out.rglob("identity.key"):
        assert key.read_text().split()[1] not in said
        assert key.stat().st_mode & 0o077 == 0
    assert "Traceback" not in said
    the_privacy_officer_s_guide(out)


def the_privacy_officer_s_guide(out: Path) -> None:
    """Its commands, in the folder that the example leaves behind."""
    page = (ROOT / "docs" / "guides" / "privacy-officer.md").read_text(encoding="utf-8")
    read, watch, revoke = re.findall(r"```sh\n(.*?)```", page, re.DOTALL)
    assert "Joint mobility" in run(["sh", "-euc", read], out).stdout
    assert "<html" in (out / "agreement.html").read_text(encoding="utf-8")
    assert "are what they were when they were written" in run(["sh", "-euc", watch], out).stdout
    assert json.loads((out / "proof.json").read_text())["entry"]
    (limits,) = re.findall(r"```toml\n(.*?)```", page, re.DOTALL)
    MemberSettings.model_fields["limits"].annotation.model_validate(tomllib.loads(limits)["limits"])
    assert "revoked" in run(["sh", "-euc", revoke], out).stdout
    (one,) = json.loads(run(["oneteam", "agreement", "show", "--home", "skylark", "--json"], out).stdout)
    assert one["state"] == "revoked by skylark"
