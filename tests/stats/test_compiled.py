"""Compiled code on disk is used again, and not when what it was compiled from has changed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from oneteam.stats.compiled import digest_of_uses
from oneteam.stats.random import stream_key, uniform

CALLEE = """
from oneteam.stats.compiled import compiled
SIZE = 3
@compiled
def inner(x):
    return x + 1
"""
MIDDLE = """
from oneteam.stats.compiled import compiled
from callee import inner
@compiled
def middle(x):
    return inner(x) * 10
"""
CALLER = """
from callee import SIZE
from middle import middle
from oneteam.stats.compiled import compiled
@compiled
def outer(x):
    return below(x) + SIZE
@compiled
def below(x):
    return middle(x)
print(outer(1), sum(outer.stats.cache_hits.values()))
"""


def run(folder: Path) -> list[int]:
    done = subprocess.run([sys.executable, "caller.py"], cwd=folder, capture_output=True, text=True, check=True)
    return [int(word) for word in done.stdout.split()]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, text in (("callee", CALLEE), ("middle", MIDDLE), ("caller", CALLER)):
        (tmp_path / f"{name}.py").write_text(text)
    return tmp_path


def test_code_on_disk_follows_what_it_calls_and_reads(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NUMBA_CACHE_DIR", raising=False)
    assert run(folder) == [23, 0]
    assert run(folder) == [23, 1]
    (folder / "callee.py").write_text(CALLEE.replace("x + 1", "x + 2"))
    assert run(folder) == [33, 0]
    (folder / "callee.py").write_text(CALLEE.replace("x + 1", "x + 2").replace("SIZE = 3", "SIZE = 4"))
    assert run(folder) == [34, 0]
    assert run(folder) == [34, 1]


def test_a_digest_depends_on_the_function_alone() -> None:
    assert digest_of_uses(uniform.py_func) == digest_of_uses(uniform.py_func)
    assert digest_of_uses(uniform.py_func) != digest_of_uses(stream_key.py_func)
