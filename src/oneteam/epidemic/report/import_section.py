"""Where from: imported cases by week and, where it can be known, by origin."""

from __future__ import annotations

import numpy as np

from oneteam.epidemic.report.charts import imports_picture, interval_picture
from oneteam.epidemic.report.countries import country
from oneteam.epidemic.report.findings import percent_of
from oneteam.epidemic.report.section import absent, section
from oneteam.epidemic.report.study import Study
from oneteam.epidemic.report.svg import Table, figure
from oneteam.epidemic.report.voice import Voice, count, day_words, percent, words


def import_section(study: Study, voice: Voice) -> str:
    """Imported cases by week and, where it can be known, by origin."""
    heading = words("Where from", "어디에서 오는가")
    found = study.imports
    if found is None:
        why = words("Importation was not examined: run `oneteam epidemic importation`.", "해외 유입을 분석하지 않았습니다.")
        return absent(voice, "origin", heading, why)
    if found.identifiable:
        lead = words(
            "Origins are ranked by expected imported cases; intervals hold what is not known of ascertainment, coverage and size.",
            "예상 유입 환자 수로 순위를 매겼습니다. 구간에는 발견율·포함률의 불확실성이 들어 있습니다.",
        )
    else:
        lead = words(
            '<strong class="stop">Origin not identifiable.</strong> Totals alone cannot tell which country cases came from. '
            "Arrivals by origin, "
            "such as Releases of carriers’ roaming measures, would.",
            '<strong class="stop">유입 국가를 식별할 수 없습니다.</strong> 합계만으로는 어느 나라에서 왔는지 알 수 없습니다. '
            "통신사 로밍 기반 국가별 입국자 통계(Release)가 있으면 가능합니다.",
        )
    title = words("Imported cases found by week", "주별 해외 유입 환자")
    about = words(
        "Dots: found. Shading and line: 95% interval and median forecast a week before; further ahead after the last dot.",
        "점: 실제. 음영과 선: 일주일 전 예측의 95% 구간과 중앙값(마지막 점 이후는 더 먼 예측).",
    )
    rows = []
    for week, seen, (low, middle, high) in list(zip(found.weeks.tolist(), found.observed.tolist(), found.quantiles.tolist(), strict=True))[
        -16:
    ]:
        known = middle == middle  # noqa: PLR0124  NaN alone differs from itself
        expected = f"{count(middle)} <small>({count(low)}–{count(high)})</small>" if known else "–"
        rows.append([voice.text(day_words(week)), f"{seen:,.0f}" if np.isfinite(seen) else "–", expected])
    table = Table(
        (words("Week ending", "주 종료일"), words("Found", "실제"), words("Forecast (95%)", "예측 (95%)")), rows, (False, True, True)
    )
    body = figure(imports_picture(found, voice), voice, "imports", title, about, table, kind="card")
    return section(voice, "origin", heading, lead, f'<div class="two">{body}{_origins(study, voice)}</div>')


def _origins(study: Study, voice: Voice) -> str:
    found = study.imports
    assert found is not None
    if not found.identifiable:
        told = words(
            "No ranking is shown, because none would be more than a guess: every country with an epidemic is a candidate, and "
            "flights of each "
            "country to all others do not change that. A border measure on one origin cannot be judged either.",
            "추측에 지나지 않으므로 순위를 표시하지 않습니다. 유행 중인 모든 나라가 후보이며, 각국의 전체 항공편 수로는 구별되지 않습니다. "
            "특정 국가에 대한 국경 조치의 효과도 판단할 수 없습니다.",
        )
        return f'<div class="card note"><h3>{voice.text(words("Why no ranking", "순위가 없는 이유"))}</h3><p>{voice.text(told)}</p></div>'
    top = found.origins[:12]
    rows = [(country(str(o["origin"])), float(o["low"]), float(o["mean"]), float(o["high"])) for o in top]
    cells = [
        [
            voice.text(country(str(o["origin"]))),
            count(o["mean"]),
            f"{count(o['low'])}–{count(o['high'])}",
            f"{o['rank_low']}–{o['rank_high']}",
            percent(o["probability_first"]),
        ]
        for o in top
    ]
    head = (
        words("Origin", "국가"),
        words("Expected", "예상"),
        words("95%", "95%"),
        words("Rank 95%", "순위 95%"),
        words("First", "1위 확률"),
    )
    title = words("Expected imported cases by origin", "국가별 예상 유입 환자")
    about = words("Mean and 95% interval over the whole period.", "전체 기간의 평균과 95% 구간.")
    table = Table(head, cells, (False, True, True, True, True))
    drawn = figure(interval_picture(rows, voice, zero=True), voice, "origins", title, about, table, kind="card")
    return drawn + _border(study, voice)


def _border(study: Study, voice: Voice) -> str:
    assert study.imports is not None
    rows = [
        [
            voice.text(country(str(m["origin"]))),
            percent_of(float(m["effectiveness"])),
            f"{count(m['averted'])} <small>({count(m['averted_low'])}–{count(m['averted_high'])})</small>",
            f"{percent_of(m['share'])} <small>({percent_of(m['share_low'])}–{percent_of(m['share_high'])})</small>",
        ]
        for m in study.imports.measures
    ]
    if not rows:
        return ""
    head = (
        words("Border measure on", "대상 국가"),
        words("Stops", "차단"),
        words("Averts (95%)", "감소 (95%)"),
        words("Of all (95%)", "비율 (95%)"),
    )
    table = Table(head, rows, (False, True, True, True))
    return f'<div class="card">{table.html(voice, words("What a border measure would avert", "국경 조치의 효과"))}</div>'
