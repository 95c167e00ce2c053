"""The alliance's example, as it stands in the docs: six processes over TLS, from keys to a joint Release."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from oneteam.core.model import Release

ROOT = Path(__file__).parents[2]


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


@pytest.mark.slow
def test_the_example_goes_from_keys_to_a_joint_release(tmp_path: Path) -> None:
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    settings = {"PATH": path, "ONETEAM_PORT": str(free_port()), "ONETEAM_SUBSCRIBERS": "3000"}
    out = tmp_path / "alliance"
    done = subprocess.run(
        ["sh", str(ROOT / "examples" / "alliance" / "run.sh"), str(out)],
        env=os.environ | settings,
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
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
