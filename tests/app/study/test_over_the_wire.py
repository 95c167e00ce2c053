"""The same study with nodes of their own: the agency's running node asks; who is away is asked again when back."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from oneteam.alliance.home import Home
from oneteam.app.study import releases
from oneteam.app.study.run import Ran, run_study
from oneteam.core.errors import UnreachableError
from tests.app.allies import NAMES, Allies, a_hub, serving
from tests.app.study.conftest import read, study_text

WHO = """
[who]
home = "agency"

[[ask]]
measure = "od"
every = "week"
first_day = 2020-03-02
"""


def test_over_the_wire_and_a_member_that_comes_back(own: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = study_text(who=WHO, more="")
    begin, end = text.index("[importation]"), text.index("[scenario]")
    (own / "study.toml").write_text(text[:begin] + text[end:])
    homes = {name: Home.open(own / name) for name in NAMES}
    agreement = next(iter(homes["agency"].agreement_texts()))
    allies = Allies(own, homes, agreement)  # type: ignore[arg-type]
    out = tmp_path / "out"

    async def study() -> Ran:
        return await run_study(own / "study.toml", out)

    async def play() -> tuple[Ran, Ran]:
        async with a_hub(allies) as relay, serving(allies, relay, *NAMES):
            at_desk = releases.at_desk

            def gone(home: Home) -> object:
                raise UnreachableError("bluewave does not answer")

            monkeypatch.setattr(releases, "at_desk", gone)
            first = await study()
            monkeypatch.setattr(releases, "at_desk", at_desk)
            return first, await study()

    first, second = asyncio.run(play())
    assert [row["code"] for row in first.refusals] == ["wire.unreachable"]
    assert first.states["mobility"] == "skipped"
    assert first.states["report"] == "done"
    assert second.refusals == []
    assert second.new_releases == 1
    assert second.states["mobility"] == "done"
    assert second.states["data"] == "reused"
    assert read(out / "provenance.json")["refusals"] == []
    assert read(out / "scenario" / "comparison.json")["draws"] == 2
