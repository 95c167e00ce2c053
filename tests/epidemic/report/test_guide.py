"""The guide's commands, run as they stand."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
BIN = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])


def shell(words: list[str], folder: Path, **settings: str) -> str:
    done = subprocess.run(
        words, cwd=folder, env=os.environ | {"PATH": BIN} | settings, capture_output=True, text=True, check=False, timeout=900
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-3000:]
    return done.stdout


@pytest.mark.slow
def test_the_guide_leads_from_a_case_file_to_the_page(tmp_path):
    blocks = re.findall(r"```sh\n(.*?)```", (ROOT / "docs" / "epidemic.md").read_text(encoding="utf-8"), re.DOTALL)
    out = shell(["sh", "-euc", "\n".join(blocks)], tmp_path)
    assert out.count("•") == 3
    assert "not in the report" not in out
    page = (tmp_path / "study" / "report.html").read_text(encoding="utf-8")
    assert "District 1-" in page
    assert "oneteam-ensemble" in page
    assert "Origin not identifiable" not in page
    assert list((tmp_path / "study" / "scores").glob("*.png"))
