"""What the guides, the page on parts and the Korean README tell to do is done here, as it stands on the page."""

from __future__ import annotations

import json
import os
import random
import re
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"


def blocks(page: Path, language: str = "sh") -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)


def shell(script: str, folder: Path, **settings: str) -> str:
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    done = subprocess.run(
        ["sh", "-euc", script],
        cwd=folder,
        env=os.environ | {"PATH": path} | settings,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return done.stdout


@pytest.mark.slow
@pytest.mark.parametrize(
    ("guide", "says"),
    [
        ("epidemiologist", "study/report.html"),
        ("data-engineer", "more rows"),
        ("service-developer", "presence"),
        ("safety-manager", "cells leave a plant"),
        ("instructor", "keep within the bound"),
    ],
)
def test_the_commands_of_a_guide_run(guide: str, says: str, tmp_path: Path) -> None:
    out = "".join(shell(block, tmp_path) for block in blocks(DOCS / "guides" / f"{guide}.md"))
    assert says in out.replace("│", "").replace("\n", " ") or (tmp_path / says).is_file()


def test_there_is_a_guide_for_each_kind_of_user_and_the_tour_names_them() -> None:
    guides = {page.name for page in (DOCS / "guides").glob("*.md")}
    for page in (DOCS / "tour.md", ROOT / "README.md", ROOT / "README.ko.md"):
        assert set(re.findall(r"guides/([a-z-]+\.md)", page.read_text(encoding="utf-8"))) == guides


@pytest.mark.slow
def test_the_part_of_the_page_on_parts_gives_a_joint_release(tmp_path: Path) -> None:
    page = DOCS / "parts.md"
    # What `pip install .` would leave behind, without asking an index for a build backend.
    (program,) = blocks(page, "python")
    (project,) = blocks(page, "toml")
    installed = tmp_path / "installed"
    described = installed / "oneteam_air-1.0.dist-info"
    described.mkdir(parents=True)
    (installed / "oneteam_air.py").write_text(program, encoding="utf-8")
    (described / "METADATA").write_text("Metadata-Version: 2.1\nName: oneteam-air\nVersion: 1.0\n")
    (entry,) = re.findall(r'\[project\.entry-points\."(oneteam\.parts)"\]\n(air = "[^"]+")', project)
    (described / "entry_points.txt").write_text(f"[{entry[0]}]\n{entry[1].replace(chr(34), '')}\n")

    folder = tmp_path / "alliance"
    folder.mkdir()
    day = datetime.now(UTC).date() - timedelta(days=3)
    settings = {"PYTHONPATH": str(installed), "DAY": day.isoformat()}
    assert {"part": "air", "measure": "bad_air"}.items() <= json.loads(shell("oneteam parts --json", folder, **settings))[0].items()

    members, agreement, asking = blocks(page)
    shell(members, folder, **settings)
    truth = {"11010": 0, "11020": 0, "21010": 0}
    for maker in ("hanbit", "dasom"):
        draw = random.Random(maker)
        lines = ["home,day,zone,pm25_ug_m3"]
        for home in range(2000):
            zone, value = draw.choice(list(truth)), draw.gauss(40, 8)
            lines += [f"{home},{day},{zone},{value:.2f}", f"{home},{day - timedelta(days=1)},{zone},99"]  # another day must not count
            truth[zone] += round(value, 2) > 35
        (folder / maker / "data").mkdir()
        (folder / maker / "data" / "air.csv").write_text("\n".join(lines) + "\n")
    shell(agreement, folder, **settings)
    out = shell(asking, folder, **settings)
    assert "from dasom, hanbit" in out
    rows = [line.replace('"', "").split(",") for line in (folder / "bad_air.csv").read_text().splitlines()[1:]]
    found = {zone: (float(value), float(std)) for zone, value, std in rows}
    assert found.keys() == truth.keys()
    for zone, (value, std) in found.items():
        assert abs(value - truth[zone]) < 6 * std
        assert truth[zone] > 10 * std, "noise must not be all that there is"


def test_the_page_on_parts_names_every_member_of_the_protocol() -> None:
    from oneteam.core.part import Part

    section = (DOCS / "parts.md").read_text(encoding="utf-8").split("## The protocol")[1].split("\n## ")[0]
    named = set(re.findall(r"^\| `(\w+)", section, re.MULTILINE))
    assert named == {name for name in vars(Part) if not name.startswith("_")}


def bare(block: str) -> list[str]:
    """A block without comments, which are translated."""
    return [line.partition("    #")[0] for line in block.splitlines()]


def test_both_readmes_say_the_same() -> None:
    english, korean = ((ROOT / name).read_text(encoding="utf-8") for name in ("README.md", "README.ko.md"))
    # The same page, in the reader's language.
    korean = korean.replace("-ko.png", "-en.png")
    for language in ("sh", "text"):
        assert list(map(bare, blocks(ROOT / "README.md", language))) == list(map(bare, blocks(ROOT / "README.ko.md", language)))
    for same in (
        r"^(#+) ",
        r"^(\||- |!)",
        r"(?<!`)`([^`\n]+)`(?!`)",
        r"\]\(((?!README)[^)]+)\)",
    ):
        assert sorted(re.findall(same, english, re.MULTILINE)) == sorted(re.findall(same, korean, re.MULTILINE))
    numbers = r"(?<![\w.])\d[\d.,]*\d|\d"
    assert set(re.findall(numbers, english)) ^ set(re.findall(numbers, korean)) <= {"20", "200,000", "2"}, "20 million is 2천만"
    assert "](README.ko.md)" in english
    assert "](README.md)" in korean
