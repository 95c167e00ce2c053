"""A study as small as a what-if can start from."""

from __future__ import annotations

from pathlib import Path

import pytest

ZONES = """code,name,name_ko,region,region_name,population
1101,Alpha,가,11,North,40000
1102,Beta,나,11,North,30000
2101,Gamma,다,21,South,20000
2102,Beta,라,21,South,10000
"""
SCENARIO = """name = "Masks"
[world]
zones = "zones.csv"
[model]
preset = "covid19"
reproduction_number = 1.6
[run]
first_day = 2024-03-03
days = 20
members = 16
[[infected]]
people = 200
[[measures]]
kind = "masks"
from = 2024-03-05
coverage = 0.8
effectiveness = 0.3
"""


def write_study(folder: Path) -> Path:
    folder.mkdir(parents=True)
    (folder / "zones.csv").write_text(ZONES, encoding="utf-8")
    (folder / "scenario.toml").write_text(SCENARIO, encoding="utf-8")
    return folder


@pytest.fixture
def study(tmp_path: Path) -> Path:
    return write_study(tmp_path / "study")
