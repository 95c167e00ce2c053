"""How good past forecasts were, and what everything rests on."""

from __future__ import annotations

import html
from collections.abc import Mapping
from datetime import date
from typing import Any

from oneteam.epidemic.report.charts import NOMINAL, coverage_picture, reliability_picture
from oneteam.epidemic.report.fans import LARGE, past_forecasts, past_picture
from oneteam.epidemic.report.section import absent, section
from oneteam.epidemic.report.study import HIGH, LOW, MIDDLE, Study
from oneteam.epidemic.report.svg import Table, figure
from oneteam.epidemic.report.voice import Voice, count, day_words, words


def track_section(study: Study, voice: Voice) -> str:
    """How forecasts of the same model did on past weeks."""
    heading = words("How good past forecasts were", "과거 예측의 성적")
    row, scores = study.score_row, study.scores
    if row is None or scores is None:
        return absent(
            voice,
            "record",
            heading,
            words("Past forecasts were not scored: run `oneteam epidemic score`.", "과거 예측을 채점하지 않았습니다."),
        )
    first, last = (
        day_words(date.fromisoformat(scores["first_reference_date"])),
        day_words(date.fromisoformat(scores["last_reference_date"])),
    )
    revised = study.label != "vintage"
    lead = words(
        f"{row['tasks']:,} forecasts made for {first.en} to {last.en} are compared with what happened"
        + (", on data as revised later: with the data of the day they would have been worse." if revised else ", on the data of the day."),
        f"{first.ko}–{last.ko}에 대한 예측 {row['tasks']:,}개를 실제값과 비교했습니다"
        + (" (사후 수정 자료 기준이므로 당시 자료로는 더 나빴을 것입니다)." if revised else " (당시 자료 기준)."),
    )
    body = '<div class="two">'
    place = study.whole or (study.outlooks[0].place if study.outlooks else None)
    past = past_forecasts(study, place) if place else []
    if past and place:
        ahead = study.horizon
        title = words(
            f"Forecasts made {ahead} weeks before, and what happened: {place.name.en}", f"{ahead}주 전 예측과 실제: {place.name.ko}"
        )
        about = words(
            "Bars: 95% and 50% intervals as forecast; dots: what happened; a ring: outside the 95% interval.",
            "막대: 예측의 95%·50% 구간, 점: 실제, 고리: 95% 구간 밖.",
        )
        rows = [
            [
                voice.text(day_words(p.day)),
                count(p.quantiles[MIDDLE]),
                f"{count(p.quantiles[LOW])}–{count(p.quantiles[HIGH])}",
                f"{p.observed:,.0f}",
            ]
            for p in past
        ]
        head = (words("Week ending", "주 종료일"), words("Median", "중앙값"), words("95%", "95%"), words("Happened", "실제"))
        body += figure(
            past_picture(past, LARGE, voice), voice, "past", title, about, Table(head, rows, (False, True, True, True)), kind="card"
        )
    title = words("Did intervals hold what they promised?", "구간은 약속대로였나?")
    about = words("Bar: share of outcomes inside; mark: share that should be.", "막대: 구간 안에 든 실제값의 비율, 눈금: 약속한 비율.")
    held = figure(coverage_picture(row, voice), voice, "coverage", title, about, _coverage_table(row), kind="card")
    body += f"<div>{held}{_reliability(study, row, voice)}</div>"
    return section(voice, "record", heading, lead, body + "</div>" + _score_table(study, voice))


def _coverage_table(row: Mapping[str, Any]) -> Table:
    head = (words("Interval", "구간"), words("Outcomes inside", "안에 든 실제값"))
    return Table(head, [[f"{nominal}%", f"{row[column]:.1%}"] for nominal, column in NOMINAL], (False, True))


def _reliability(study: Study, row: Mapping[str, Any], voice: Voice) -> str:
    """Whether chances of the threshold came true as often as they said; only for the threshold of this report."""
    found = row.get("threshold_exceedance")
    if not found or study.scores is None or study.scores.get("threshold") != study.rule_in_scores:
        return ""
    title = words("Did chances come true as often as they said?", "확률은 말한 만큼 맞았나?")
    about = words(
        f"Dashed line: exactly as often. Bars: 95% intervals, as if forecasts were independent. Brier score {found['brier']:.3f}.",
        f"점이 파선 위에 있으면 꼭 말한 만큼. 막대: 95% 구간(예측이 서로 독립이라고 볼 때). 브라이어 점수 {found['brier']:.3f}.",
    )
    head = (words("Forecast", "예측"), words("Happened", "실제"), words("95%", "95%"), words("Forecasts", "예측 수"))
    rows = [
        [f"{r['forecast']:.0%}", f"{r['observed']:.0%}", f"{r['low']:.0%}–{r['high']:.0%}", f"{r['tasks']:,}"] for r in found["reliability"]
    ]
    table = Table(head, rows, (True, True, True, True))
    return figure(reliability_picture(found["reliability"], voice), voice, "reliability", title, about, table, kind="card")


def _score_table(study: Study, voice: Voice) -> str:
    assert study.scores is not None
    head = (
        words("Model", "모형"),
        words("Error against “as last week”", "‘지난주와 같음’ 대비 오차"),
        words("the same, relative errors", "같음(상대 오차)"),
        words("in 50%", "50% 안"),
        words("in 95%", "95% 안"),
    )
    rows = []
    for row in study.scores["models"]:
        name = html.escape(row["model"])
        mine = row["model"] == study.model
        cells = [f"<b>{name}</b>" if mine else name]
        cells += ["–" if row.get(c) is None else f"{row[c]:.2f}" for c in ("relative_wis", "relative_log_wis")]
        rows.append([*cells, f"{row['coverage_50']:.0%}", f"{row['coverage_95']:.0%}"])
    by_week = []
    for r in study.scores.get("by_horizon", []):
        if r["model"] == study.model:
            ahead = words(f"{r['horizon']} week{'' if r['horizon'] == 1 else 's'} ahead", f"{r['horizon']}주 앞")
            cells = ["–" if r.get(c) is None else f"{r[c]:.2f}" for c in ("relative_wis", "relative_log_wis")]
            by_week.append([voice.text(ahead), *cells, f"{r['coverage_50']:.0%}", f"{r['coverage_95']:.0%}"])
    whole = Table(head, rows, (False, True, True, True, True)).html(voice, words("All models", "모든 모형"))
    weeks = Table((words("Reported model", "보고된 모형"), *head[1:]), by_week, (False, True, True, True, True))
    about = voice.text(
        words(
            "Weighted interval score over that of the persistence baseline on the same tasks; below 1 is better. “Relative "
            "errors”: the same of "
            "log(1 + x), so that one large wave does not decide alone.",
            "같은 과제에서 지속성 기준 모형 대비 가중구간점수(WIS)이며 1보다 작을수록 좋습니다. ‘상대 오차’는 log(1 + x)에 대한 값입니다.",
        )
    )
    later = weeks.html(voice, words("By weeks ahead", "예측 기간별")) if by_week else ""
    return f'<div class="two"><div class="card">{whole}</div><div class="card">{later}<p class="small">{about}</p></div></div>'


def data_section(study: Study, voice: Voice) -> str:
    """Files, repairs and assumptions."""
    heading = words("Data, repairs, assumptions", "자료·보정·가정")
    lead = words(
        "Everything that was changed, left out or assumed. Nothing was repaired silently.",
        "수정·제외·가정한 모든 것입니다. 알리지 않고 고친 것은 없습니다.",
    )
    repairs = [[voice.text(n.source), voice.text(n.what)] for n in study.notes]
    table = Table((words("Step", "단계"), words("What", "내용")), repairs).html(voice, words("Repairs and assumptions", "보정과 가정"))
    files = [
        [
            voice.text(s.what),
            f"<code>{html.escape(s.name)}</code>",
            voice.text(day_words(s.last)) if s.last else "–",
            f"<code>{s.sha256[:12]}</code>",
        ]
        for s in study.sources
    ]
    head = (words("Role", "역할"), words("File", "파일"), words("Data to", "자료 기준일"), words("SHA-256", "SHA-256"))
    sources = Table(head, files).html(voice, words("Files", "파일"))
    return section(voice, "data", heading, lead, f'<div class="card">{table}</div><div class="card">{sources}</div>')
