"""A study while it runs: what its stages share."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from oneteam.app.study.contexts import Chain
from oneteam.app.study.folder import StudyFolder
from oneteam.app.study.inputs import Sources
from oneteam.app.study.places import Zones
from oneteam.app.study.progress import Board
from oneteam.app.study.releases import Answers
from oneteam.app.study.settings import StudyFile
from oneteam.app.study.steps import Record, Step, run_step
from oneteam.core.model import Text
from oneteam.core.progress import Progress

TITLES: Final = (
    ("inputs", Text(en="Read what was known", ko="알려진 자료 읽기")),
    ("releases", Text(en="Ask members", ko="회원에게 묻기")),
    ("mobility", Text(en="Build mobility", ko="이동량 구성")),
    ("data", Text(en="Weekly cases", ko="주간 환자 수")),
    ("forecasts", Text(en="Forecast", ko="예측")),
    ("scores", Text(en="Score past forecasts", ko="과거 예측 채점")),
    ("situation", Text(en="Rt and risk", ko="재생산수와 위험도")),
    ("importation", Text(en="Imported cases", ko="해외 유입")),
    ("scenario", Text(en="What a measure changes", ko="조치의 효과")),
    ("alerts", Text(en="Raise alerts", ko="경보 발령")),
    ("notices", Text(en="Ask carriers to notify", ko="통신사에 안내 요청")),
    ("truth", Text(en="Compare with the truth", ko="참값과 비교")),
    ("report", Text(en="Write the report", ko="보고서 작성")),
)
"""Every step, in order."""


class Skip(Exception):  # noqa: N818 - no error: a step that has nothing to do
    """A step has nothing to do; says why."""


@dataclass
class Running:
    """A study while it runs."""

    study: StudyFile
    sources: Sources
    folder: StudyFolder
    board: Board
    chain: Chain
    files: dict[str, Path]
    again: bool = False
    zones: Zones | None = None
    answers: Answers = field(default_factory=Answers)
    records: list[Record] = field(default_factory=list)
    told: dict[str, dict[str, Any]] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)

    @property
    def place_names(self) -> Zones:
        """Zones and places, once inputs are read."""
        assert self.zones is not None, "inputs come first"
        return self.zones


def step_of(
    run: Running, name: str, inputs: Mapping[str, Path], settings: Any, owns: Sequence[str], work: Callable[[Progress], Any], p: Progress
) -> Record:
    """Do a stage's work as a step of the chain, or find it done."""
    title = dict(TITLES)[name].en
    run.chain.step(name, title)
    return run_step(run.folder, Step(name, inputs, settings, owns, work), p)


def outputs_of(run: Running, *names: str) -> dict[str, Path]:
    """Outputs of earlier steps as inputs of a later one."""
    found: dict[str, Path] = {}
    for record in run.records:
        if record.name in names:
            found |= {path: run.folder.path(path) for path in record.outputs if not path.endswith(".png")}
    return found
