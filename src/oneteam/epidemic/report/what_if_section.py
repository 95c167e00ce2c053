"""What a measure would do: curves, totals, maps."""

from __future__ import annotations

from typing import Any, Final

from oneteam.core.model import Text
from oneteam.epidemic.report.charts import what_if_picture
from oneteam.epidemic.report.findings import percent_of
from oneteam.epidemic.report.maps import classes_of, map_picture
from oneteam.epidemic.report.section import absent, section
from oneteam.epidemic.report.study import Study, WhatIf
from oneteam.epidemic.report.svg import Table, figure
from oneteam.epidemic.report.voice import Voice, count, day_words, same, words

DOWNSCALED: Final = words("downscaled, unvalidated", "하향 추정, 검증되지 않음")
"""What everything about districts is marked with: no real series of districts exists to compare with."""


QUANTITIES: Final = {
    "infections": words("infections", "감염"),
    "cases": words("people with symptoms", "유증상자"),
    "admissions": words("hospital admissions", "입원"),
    "hospital": words("hospital days", "입원 일수"),
    "deaths": words("deaths", "사망"),
}
SEVERE: Final = frozenset({"admissions", "hospital", "deaths"})
"""Their numbers rest on assumed severity and immunity, which nearly cancel in a share: only that is shown."""


def what_if_section(study: Study, voice: Voice) -> str:
    """The scenario: curves, totals, map by place."""
    heading = words("What a measure would do", "조치의 효과")
    found = study.what_if
    if found is None:
        why = words("No measure was examined: run `oneteam epidemic scenario`.", "조치를 분석하지 않았습니다.")
        return absent(voice, "measure", heading, why)
    lead = words(
        "A simulation, not a forecast. Both runs meet the same random numbers, so that only the measure differs. Intervals hold chance"
        + (", and the variants what is not known of Rt" if found.variants else "")
        + "; they do not hold errors of the model.",
        "예측이 아니라 모의실험입니다. 두 실험은 같은 난수를 쓰므로 차이는 조치뿐입니다. 구간은 우연"
        + ("과 Rt의 불확실성" if found.variants else "")
        + "만 담고 모형의 오류는 담지 않습니다.",
    )
    first, last = day_words(found.days[0].item()), day_words(found.days[-1].item())
    title = words(f"Infections by day, {first.en} to {last.en}", f"일별 감염, {first.ko}–{last.ko}")
    about = words(
        "Lines: medians; shading: 50% and 90% of the simulations; in the first week the simulation settles. Of severe outcomes "
        "the table shows shares only: their numbers rest on assumed "
        "severity and immunity.",
        "선: 중앙값, 음영: 모의실험의 50%와 90%. 첫 주는 모의실험이 안정되는 기간입니다. 중증 결과의 수는 가정한 중증도와 면역에 "
        "달려 있어 표에는 비율만 보입니다.",
    )
    body = figure(what_if_picture(found, voice), voice, "whatif", title, about, _effect_table(found, voice), kind="card")
    return section(
        voice,
        "measure",
        heading,
        lead,
        f'<div class="two">{body}{_averted_map(study, found, voice)}</div>' + _districts(study, found, voice),
    )


def _interval(found: Any, write: Any) -> str:
    return f"{write(found['median'])} <small>({write(found['low'])}–{write(found['high'])})</small>"


def _effect_table(found: WhatIf, voice: Voice) -> Table:
    head = (
        words("Quantity", "항목"),
        words("Without", "조치 없음"),
        words("With", "조치 시행"),
        words("Averted (95%)", "감소 (95%)"),
        words("Share (95%)", "비율 (95%)"),
    )
    rows = []
    for name, text in QUANTITIES.items():
        a = found.averted.get(name)
        if a is None or a["baseline"]["median"] <= 0:
            continue
        counted = name not in SEVERE
        numbers = (
            [count(a["baseline"]["median"]), count(a["scenario"]["median"]), _interval(a["averted"], count)] if counted else ["", "", ""]
        )
        rows.append([voice.text(text), *numbers, _interval(a["share"], percent_of)])
    for name, a in found.variants.items():
        text = QUANTITIES.get(found.first_quantity, same(found.first_quantity))
        label = words(f"{text.en}, {name}", f"{text.ko}, {name}")
        numbers = [count(a["baseline"]["median"]), count(a["scenario"]["median"]), _interval(a["averted"], count)]
        rows.append([voice.text(label), *numbers, _interval(a["share"], percent_of)])
    return Table(head, rows, (False, True, True, True, True))


def share_by_place(study: Study, found: WhatIf) -> dict[str, float]:
    """Percent averted in each place: zones are added up to the place whose code theirs begins with."""
    without: dict[str, float] = {}
    averted: dict[str, float] = {}
    for zone, (total, less) in found.by_zone.items():
        place = next((p.code for p in study.places if zone.startswith(p.code)), None)
        if place is not None:
            without[place] = without.get(place, 0.0) + total
            averted[place] = averted.get(place, 0.0) + less
    return {code: 100 * averted[code] / total for code, total in without.items() if total > 0}


def _averted_map(study: Study, found: WhatIf, voice: Voice) -> str:
    shares = share_by_place(study, found)
    if not shares or not study.shapes:
        return ""
    title = words("Share of infections averted, by place", "지역별 감염 감소 비율")
    about = words("Mean of the simulations; simulated, not validated.", "모의실험 평균. 검증되지 않음.")
    says = {c: words(f"{study.named(c).en}: {v:.1f}%", f"{study.named(c).ko}: {v:.1f}%") for c, v in shares.items()}
    legend = words("Percent averted", "감소율(%)")
    picture = map_picture(study.shapes, shares, classes_of(list(shares.values())), says, legend, voice)
    ranked = sorted(shares.items(), key=lambda item: -item[1])
    table = Table(
        (words("Place", "지역"), words("Averted", "감소")), [[voice.text(study.named(c)), f"{v:.1f}%"] for c, v in ranked], (False, True)
    )
    return figure(picture, voice, "averted", title, about, table, kind="card map")


def _districts(study: Study, found: WhatIf, voice: Voice) -> str:
    shares = {zone: 100 * less / total for zone, (total, less) in found.by_zone.items() if total > 0}
    values = {code: shares[code] for code in study.districts if code in shares}
    if not values:
        return ""
    title = words("Share of infections averted, by district", "시군구별 감염 감소 비율")
    about = words(
        "Downscaled by the model from places to districts; no series of districts exists to compare with.",
        "모형으로 시군구까지 나눈 값입니다. 비교할 시군구별 실제 자료가 없습니다.",
    )
    legend = words("Percent averted", "감소율(%)")
    says = {c: words(f"{_district(study, c).en}: {v:.1f}%", f"{_district(study, c).ko}: {v:.1f}%") for c, v in values.items()}
    picture = map_picture(study.districts, values, classes_of(list(values.values())), says, legend, voice, hatched=True)
    stamp = f'<p class="stamp">{voice.text(DOWNSCALED)}</p>'
    ranked = sorted(values.items(), key=lambda item: -item[1])[:20]
    table = Table(
        (words("District", "시군구"), words("Averted", "감소")),
        [[voice.text(_district(study, c)), f"{v:.1f}%"] for c, v in ranked],
        (False, True),
    )
    return f'<div class="district">{stamp}{figure(picture, voice, "districts", title, about, table, kind="card map")}</div>'


def _district(study: Study, code: str) -> Text:
    place = next((p.name for p in study.places if code.startswith(p.code)), same(""))
    name = study.district_names.get(code, same(code))
    return words(f"{place.en} {name.en}".strip(), f"{place.ko} {name.ko}".strip())
