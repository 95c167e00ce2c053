"""Where next: the map of the first page, the table of all places, fan charts."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

import numpy as np

from oneteam.epidemic.report.fans import LARGE, SMALL, fan_picture, recent
from oneteam.epidemic.report.findings import TOP
from oneteam.epidemic.report.maps import PROBABILITY, map_picture
from oneteam.epidemic.report.section import section
from oneteam.epidemic.report.study import HIGH, LOW, MIDDLE, PER, Outlook, Place, Study
from oneteam.epidemic.report.svg import Table, figure, svg
from oneteam.epidemic.report.voice import Voice, count, day_words, joined, percent, points, words

FIRST: Final = 40
"""Places that are seen at once, and printed; the others are a click away."""


def chance_map(study: Study, voice: Voice) -> str:
    """The map of the first page: the probability of reaching the threshold, the first five places numbered."""
    if not study.shapes:
        return ""
    values = {o.place.code: o.probability for o in study.outlooks if o.probability is not None}
    says = {
        o.place.code: words(f"{o.place.name.en}: {percent(o.probability)}", f"{o.place.name.ko}: {percent(o.probability)}")
        for o in study.outlooks
        if o.probability is not None
    }
    end = day_words(study.reference_date + timedelta(days=7 * study.horizon))
    legend = words(f"Chance in the week to {end.en}", f"{end.ko}까지 한 주의 확률")
    numbered = [o.place.code for o in study.outlooks[:TOP] if o.probability is not None]
    picture = map_picture(study.shapes, values, PROBABILITY, says, legend, voice, numbered=numbered)
    title = words(f"Chance of {study.rule.en}", f"{study.rule.ko}에 이를 확률")
    first = joined([o.place.name for o in study.outlooks[:TOP]])
    about = words(
        f"Map of {len(values)} places. Highest: {first.en}.",
        f"{len(values)}개 지역 지도. 높은 순서: {first.ko}.",
    )
    return f'<figure class="map hero">{svg(picture, voice, "hero", title, about)}<figcaption>{voice.text(title)}</figcaption></figure>'


def outlook_section(study: Study, voice: Voice) -> str:
    """Table of all places, national fan, fans of the places."""
    end = day_words(study.reference_date + timedelta(days=7 * study.horizon))
    lead = words(
        f"All places, the likeliest first, for the week to {end.en}.",
        f"{end.ko}까지 한 주에 대한 전체 지역 전망(확률 순).",
    )
    national = _national(study, study.whole, voice) if study.whole else ""
    right = f"<div>{national}{_how_to_read(study, voice)}</div>"
    body = f'<div class="two uneven">{outlook_table(study, voice)}{right}</div>{_fans(study, voice)}'
    return section(voice, "outlook", words("Where next", "다음은 어디인가"), lead, body)


def _how_to_read(study: Study, voice: Voice) -> str:
    lines = (
        words(
            f"Chance: of {study.rule.en} in that week. Of all places that get 60%, six in ten should reach it.",
            f"확률: 그 주에 {study.rule.ko}에 이를 확률. 60%라고 한 곳 열 가운데 여섯이 이르러야 맞습니다.",
        ),
        words(
            "Change: in percentage points, against the forecast made a week earlier for a week earlier.",
            "변화: 일주일 전에 한 같은 기간 앞의 예측과 비교한 퍼센트포인트.",
        ),
        words(
            "Expected: the median; in brackets the interval that should hold 95 of 100 outcomes.",
            "전망: 중앙값. 괄호는 실제값 100개 중 95개가 들어야 할 구간.",
        ),
        words("Rising: the chance of more than last week.", "증가 확률: 지난주보다 많을 확률."),
    )
    items = "".join(f"<li>{voice.text(line)}</li>" for line in lines)
    return f'<div class="card note"><h3>{voice.text(words("How to read this", "읽는 법"))}</h3><ul>{items}</ul></div>'


def outlook_table(study: Study, voice: Voice) -> str:
    """Every place with its probability, change, expected rate and interval."""
    rates = all(o.place.population > 0 for o in study.outlooks)
    unit = words("per 100,000", "10만 명당") if rates else words("count", "수")
    head = (
        words("Place", "지역"),
        words("Chance", "확률"),
        words("Change", "변화"),
        words(f"Last week, {unit.en}", f"지난주({unit.ko})"),
        words("Expected (95%)", "전망(95%)"),
        words("Rising", "증가 확률"),
    )
    rows = []
    for o in study.outlooks:
        scale = PER / o.place.population if rates else 1.0
        chance = "–" if o.probability is None else f'<b class="chip q{PROBABILITY.of(o.probability)}">{percent(o.probability)}</b>'
        change = "–" if o.change is None else f'<span class="{_direction(o)}">{points(o.change)}</span>'
        last = count(o.last * scale) if np.isfinite(o.last) else "–"
        expected = f"{count(o.median * scale)} <small>({count(o.low * scale)}–{count(o.high * scale)})</small>"
        rows.append(
            [voice.text(o.place.name), chance, change, last, expected, percent(o.rising) if np.isfinite(o.rising) else "–"],
        )
    kinds = (False, True, True, True, True, True)
    title = words(f"Chance of {study.rule.en}", f"{study.rule.ko}에 이를 확률")
    shown = Table(head, rows[:FIRST], kinds).html(voice, title)
    return f'<div class="card">{shown}{_rest(len(rows), voice, Table(head, rows[FIRST:], kinds).html(voice, title))}</div>'


def _rest(places: int, voice: Voice, text: str) -> str:
    """What stands folded behind the first places; nothing where they are all."""
    if places <= FIRST:
        return ""
    label = words(f"The other {places - FIRST} places", f"나머지 {places - FIRST}곳")
    return f"<details><summary>{voice.text(label)}</summary>{text}</details>"


def _direction(o: Outlook) -> str:
    change = round(100 * (o.change or 0.0))
    return "up" if change > 0 else "down" if change < 0 else "flat"


def _national(study: Study, place: Place, voice: Voice) -> str:
    title = words(f"Reported {study.counted.en} by week: {place.name.en}", f"주간 {study.counted.ko} 수: {place.name.ko}")
    about = words(
        "Dots: reported. Shading: 50, 80 and 95% intervals of the forecast; line: its median.",
        "점: 보고된 수. 음영: 예측의 50·80·95% 구간, 선: 중앙값.",
    ) if place.code not in study.limits else words(
        "Dots: reported. Shading: 50, 80 and 95% intervals of the forecast; line: its median; dashed: the threshold.",
        "점: 보고된 수. 음영: 예측의 50·80·95% 구간, 선: 중앙값, 파선: 기준.",
    )  # fmt: skip
    return figure(fan_picture(study, place, LARGE, voice), voice, "national", title, about, fan_table(study, place, voice), kind="card")


def fan_table(study: Study, place: Place, voice: Voice) -> Table:
    """Reported weeks, then forecast weeks with median and intervals."""
    head = (
        words("Week ending", "주 종료일"),
        words("Reported", "보고"),
        words("Median", "중앙값"),
        words("50%", "50%"),
        words("95%", "95%"),
    )
    rows = []
    seen = recent(study, place.code, 6)
    for day, value in zip(seen.days, seen.values, strict=True):
        rows.append([voice.text(day_words(day)), f"{value:,.0f}" if np.isfinite(value) else "–", "", "", ""])
    for horizon in study.horizons:
        quantiles = study.quantiles(study.reference_date, horizon, place.code)
        if quantiles is not None:
            end = day_words(study.reference_date + timedelta(days=7 * horizon))
            half, most = f"{count(quantiles[6])}–{count(quantiles[16])}", f"{count(quantiles[LOW])}–{count(quantiles[HIGH])}"
            rows.append([voice.text(end), "", count(quantiles[MIDDLE]), half, most])
    return Table(head, rows, (False, True, True, True, True))


def _fans(study: Study, voice: Voice) -> str:
    parts = []
    for i, o in enumerate(study.outlooks):
        picture = fan_picture(study, o.place, SMALL, voice)
        label = "" if o.probability is None else f'<b class="chip q{PROBABILITY.of(o.probability)}">{percent(o.probability)}</b>'
        about = words(
            f"Median {count(o.median)}, 95% interval {count(o.low)} to {count(o.high)}; last week {count(o.last)}.",
            f"중앙값 {count(o.median)}, 95% 구간 {count(o.low)}–{count(o.high)}, 지난주 {count(o.last)}.",
        )
        drawn = svg(picture, voice, f"fan{i}", o.place.name, about)
        parts.append(f"<li><h4>{voice.text(o.place.name)} {label}</h4>{drawn}</li>")
    heading = voice.text(words(f"Every place: {study.counted.en} by week", f"지역별 주간 {study.counted.ko} 수"))
    rows = []
    for o in study.outlooks:
        cells = [voice.text(o.place.name), count(o.last) if np.isfinite(o.last) else "–"]
        for horizon in study.horizons:
            q = study.quantiles(study.reference_date, horizon, o.place.code)
            cells.append("–" if q is None else f"{count(q[MIDDLE])} <small>({count(q[LOW])}–{count(q[HIGH])})</small>")
        rows.append(cells)
    ends = [words(*(_short(study, h, c) for c in ("en", "ko"))) for h in study.horizons]
    table = Table(
        (words("Place", "지역"), words("Last week", "지난주"), *ends), rows, (False, True, *(True for _ in ends))
    ).html(voice, words("Median and 95% interval by week", "주별 중앙값과 95% 구간"))  # fmt: skip
    more = voice.text(words("The numbers", "수치 표"))
    folded = _rest(len(parts), voice, f'<ul class="fans">{"".join(parts[FIRST:])}</ul>')
    return f'<h3>{heading}</h3><ul class="fans">{"".join(parts[:FIRST])}</ul>{folded}<details><summary>{more}</summary>{table}</details>'


def _short(study: Study, horizon: int, language: str) -> str:
    return str(getattr(day_words(study.reference_date + timedelta(days=7 * horizon)), language))
