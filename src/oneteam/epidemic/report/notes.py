"""Repairs and assumptions of the other steps, told in both languages."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from oneteam.core.model import Text
from oneteam.epidemic.report.study import Note
from oneteam.epidemic.report.voice import words

_KOREAN: Final[tuple[tuple[str, str], ...]] = (
    (r"(?:quarantine: )?([\d,]+) cases found at the border are left out of transmission", r"국경에서 발견된 \1건은 지역 전파에서 제외"),
    (
        r"(\d+) days? at the start belong to no whole week that ends on (\w+); left out",
        r"시작의 \1일은 온전한 한 주(\2 종료)가 아니어서 제외",
    ),
    (r"(\d+) days? at the end belong to no whole week that ends on (\w+); left out", r"끝의 \1일은 온전한 한 주(\2 종료)가 아니어서 제외"),
    (r"no population is known; rates and risk per inhabitant are left out", "인구를 알 수 없어 인구당 수치는 제외"),
    (r"no hospital burden: no sourced severity by age is built in for (\S+); add .*", r"입원 부담 없음: \1의 연령별 중증도 출처 없음"),
    (r"no hospital burden: add --ages with the ages of cases", "입원 부담 없음: 환자의 연령 자료 없음"),
    (r"(\d+) zone\(s\) without population: (.+)\. They stay in the results .*", r"인구가 없는 구역 \1곳: \2. 사람이 없는 채로 결과에 남김"),
    (
        r"(\d+) zone\(s\) without trips, as the crosswalk .*: (.+)\. Nobody .*",
        r"대응표에 없어 통행 자료가 없는 구역 \1곳: \2. 드나드는 사람이 없다고 봄",
    ),
    (
        r".*trips between zones of one unit.*?([\d.]+) a day and resident were assumed\.",
        r"같은 단위 안 구역 사이의 통행은 자료에 없어 1인당 하루 \1회로 가정",
    ),
    (r"Ages within a zone: the country's, made to fit .*", "구역의 연령 구성: 전국 구성을 구역의 15세 이상 인구에 맞춤"),
    (r"No trips were given: nobody leaves their zone\.", "통행 자료가 없어 아무도 구역을 떠나지 않는다고 봄"),
    (r"No contact matrices were given: .*", "접촉 행렬이 없어 모두 같은 연령·같은 접촉으로 가정"),
    (
        r"(\d+) zone\(s\) had more than (\d+%) of residents away by day.*: (.+)\.",
        r"낮 동안 주민의 \2 넘게 나가 있던 구역 \1곳을 그 값으로 제한: \3",
    ),
    (r"([\d,]+) small flows, at most 1% of any zone's trips, .*", r"구역 통행의 1% 이하인 작은 흐름 \1개를 그 구역의 다른 흐름에 합침"),
    (r"(\d+) origins had negative corrections, taken off the days before", r"\1개 국가의 음수 정정을 앞선 날에서 뺌"),
    (r"origin not identifiable: no arrivals by origin; national totals only", "국가별 입국자 자료가 없어 유입 국가 식별 불가: 전국 합계만"),
    (
        r"observed imports end on (\S+), (?:arrivals and )?the epidemic abroad on (\S+): the coming week ends on (\S+)",
        r"관측된 유입은 \1, 해외 자료는 \2까지: 다음 주는 \3에 끝나는 주",
    ),
    (
        r"observed imports end on (\S+), (?:arrivals and )?the epidemic abroad on (\S+): later .* the coming week ends on (\S+)",
        r"관측된 유입은 \1, 해외 자료는 \2까지: 그 뒤의 유입은 쓰지 않음, 다음 주는 \3에 끝나는 주",
    ),
    (r"no observed imports: intervals are the noise .*", "관측된 유입이 없어 구간은 입국자 수의 잡음뿐"),
    (r"no observed imports: .*", "관측된 유입이 없어 구간은 사전 분포의 것"),
)
"""Patterns of the notes of the other steps; a note that is not among them stays in English."""


def in_korean(note: str) -> Text:
    """A note in both languages.

    >>> in_korean("6 days at the start belong to no whole week that ends on SAT; left out").ko
    '시작의 6일은 온전한 한 주(SAT 종료)가 아니어서 제외'
    """
    for pattern, korean in _KOREAN:
        found = re.fullmatch(pattern, note, re.IGNORECASE)
        if found:
            return words(note, found.expand(korean))
    return words(note, note)


def repair_notes(repairs: Sequence[Mapping[str, Any]], named: Callable[[str], Text]) -> list[Note]:
    """Repairs of ``report.json`` as notes."""
    step, found = words("Case file", "환자 자료"), []
    for repair in repairs:
        what, place = in_korean(str(repair["what"])), str(repair["location"])
        if place and repair["kind"] != "border":
            name = named(place)
            what = words(f"{name.en}: {what.en}", f"{name.ko}: {what.ko}")
        found.append(Note(step, what))
    return found


def step_notes(step: Text, notes: Sequence[str], seen: Sequence[Note] = ()) -> list[Note]:
    """Notes of one step; what an earlier step has said already is not repeated."""
    said = {note.what.en for note in seen}
    return [Note(step, text) for note in dict.fromkeys(notes) if (text := in_korean(note)).en.removeprefix("quarantine: ") not in said]
