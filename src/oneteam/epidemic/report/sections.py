"""The sections behind the first page: outlook, reproduction number, importation, measure, track record, data."""

from __future__ import annotations

import html
from collections.abc import Sequence
from datetime import timedelta
from typing import Any, Final

import numpy as np

from oneteam.core.model import Text
from oneteam.epidemic.report.charts import coverage_picture, imports_picture, interval_picture, rt_picture, what_if_picture
from oneteam.epidemic.report.fans import LARGE, SMALL, fan_picture, past_forecasts, past_picture, recent
from oneteam.epidemic.report.findings import TOP, percent_of
from oneteam.epidemic.report.maps import PROBABILITY, classes_of, map_picture
from oneteam.epidemic.report.study import HIGH, LOW, MIDDLE, PER, Outlook, Place, Study, WhatIf
from oneteam.epidemic.report.svg import Table, figure, svg
from oneteam.epidemic.report.voice import Voice, count, day_words, joined, percent, points, same, words

DOWNSCALED: Final = words("downscaled, unvalidated", "하향 추정, 검증되지 않음")
"""What everything about districts is marked with: no real series of districts exists to compare with."""
RISK: Final = (words("low", "낮음"), words("moderate", "보통"), words("high", "높음"), words("very high", "매우 높음"))


def section(voice: Voice, key: str, heading: Text, lead: Text, body: str) -> str:
    """A section with its heading and one paragraph of what it says."""
    return (
        f'<section id="{key}" aria-labelledby="{key}-h"><h2 id="{key}-h">{voice.text(heading)}</h2>'
        f'<p class="lead">{voice.rich(lead)}</p>{body}</section>'
    )


def absent(voice: Voice, key: str, heading: Text, why: Text) -> str:
    """A section that says why it is empty."""
    return section(voice, key, heading, words(html.escape(why.en), html.escape(why.ko)), "")


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
        f"All places, the likeliest first, for the week to {end.en}. “Change” compares with the forecast made one week earlier for a week earlier.",
        f"{end.ko}까지 한 주에 대한 전체 지역 전망(확률 순). ‘변화’는 일주일 전에 같은 시점만큼 앞을 본 예측과의 차이입니다.",
    )
    body = f'<div class="two">{outlook_table(study, voice)}'
    if study.whole is not None:
        body += _national(study, study.whole, voice)
    body += "</div>" + _fans(study, voice)
    return section(voice, "outlook", words("Where next", "다음은 어디인가"), lead, body)


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
    table = Table(head, rows, (False, True, True, True, True, True))
    return f'<div class="card">{table.html(voice, words(f"Chance of {study.rule.en}", f"{study.rule.ko}에 이를 확률"))}</div>'


def _direction(o: Outlook) -> str:
    change = round(100 * (o.change or 0.0))
    return "up" if change > 0 else "down" if change < 0 else "flat"


def _national(study: Study, place: Place, voice: Voice) -> str:
    title = words(f"Reported {study.counted.en} by week: {place.name.en}", f"주간 {study.counted.ko}: {place.name.ko}")
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
    head = (words("Week ending", "주 종료일"), words("Reported", "보고"), words("Median", "중앙값"), words("50%", "50%"), words("95%", "95%"))
    rows = []
    seen = recent(study, place.code, 6)
    for day, value in zip(seen.days, seen.values, strict=True):
        rows.append([voice.text(day_words(day)), f"{value:,.0f}" if np.isfinite(value) else "–", "", "", ""])
    for horizon in study.horizons:
        quantiles = study.quantiles(study.reference_date, horizon, place.code)
        if quantiles is not None:
            day = day_words(study.reference_date + timedelta(days=7 * horizon))
            half, most = f"{count(quantiles[6])}–{count(quantiles[16])}", f"{count(quantiles[LOW])}–{count(quantiles[HIGH])}"
            rows.append([voice.text(day), "", count(quantiles[MIDDLE]), half, most])
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
    heading = voice.text(words(f"Every place: {study.counted.en} by week", f"지역별 주간 {study.counted.ko}"))
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
    return f'<h3>{heading}</h3><ul class="fans">{"".join(parts)}</ul><details><summary>{more}</summary>{table}</details>'


def _short(study: Study, horizon: int, language: str) -> str:
    return str(getattr(day_words(study.reference_date + timedelta(days=7 * horizon)), language))


def rt_section(study: Study, voice: Voice) -> str:
    """The reproduction number by day, and by place on the last day."""
    heading = words("How fast it spreads", "확산 속도")
    found = study.situation
    if found is None:
        return absent(voice, "spread", heading, words("Rt was not estimated: run `oneteam epidemic rt`.", "Rt를 추정하지 않았습니다."))
    places = [p for p in found["places"] if p["rt"] is not None]
    total = next((p for p in places if p["location"] == "ALL"), None)
    day = day_words(_date(found["day"]))
    lead = words(f"Day of the estimate: {day.en}.", f"추정 기준일: {day.ko}.")
    if total is not None:
        lead = words(
            f"On {day.en} each case led to <strong>{total['rt']:.2f}</strong> others (95% {total['rt_low']:.2f}–{total['rt_high']:.2f}); "
            f"the chance that the epidemic is growing is <strong>{percent(total['probability_rising'])}</strong>.",
            f"{day.ko} 기준 감염자 한 명이 <strong>{total['rt']:.2f}</strong>명(95% {total['rt_low']:.2f}–{total['rt_high']:.2f})을 감염시켰고, "
            f"유행이 커지고 있을 확률은 <strong>{percent(total['probability_rising'])}</strong>입니다.",
        )
    body = '<div class="two">' + _rt_places(study, places, voice) + _rt_course(study, voice) + "</div>"
    return section(voice, "spread", heading, lead, body)


def _date(text: str) -> Any:
    from datetime import date

    return date.fromisoformat(text)


def _name(study: Study, place: Any) -> Text:
    if place["location"] == "ALL":
        return words("All places", "전국")
    known = study.named(place["location"])
    return known if known.en != place["location"] else same(place["name"])


def _rt_places(study: Study, places: Sequence[Any], voice: Voice) -> str:
    ranked = sorted(places, key=lambda p: -p["rt"])
    rows = [(_name(study, p), p["rt_low"], p["rt"], p["rt_high"]) for p in ranked]
    if not rows:
        return ""
    title = words("Reproduction number Rt by place", "지역별 재생산수 Rt")
    about = words(
        "Median and 95% interval. Above the dashed line each case causes more than one other.",
        "중앙값과 95% 구간. 파선(1)보다 크면 한 명이 한 명 넘게 감염시킵니다.",
    )
    head = (
        words("Place", "지역"),
        words("Cases, 7 days", "7일 환자"),
        words("Rt (95%)", "Rt (95%)"),
        words("Growing", "증가 확률"),
        words("Doubles in, days", "배가 일수"),
        words("Risk level", "위험 수준"),
    )
    cells = [
        [
            voice.text(_name(study, p)),
            f"{p['cases_7d']:,.0f}",
            f"{p['rt']:.2f} <small>({p['rt_low']:.2f}–{p['rt_high']:.2f})</small>",
            percent(p["probability_rising"]),
            "–" if p["doubling_d"] is None or not 0 < p["doubling_d"] < 365 else f"{p['doubling_d']:.0f}",
            voice.text(RISK[p["risk"] - 1]),
        ]
        for p in ranked
    ]
    table = Table(head, cells, (False, True, True, True, True, False))
    return figure(interval_picture(rows, voice, reference=1.0), voice, "rt", title, about, table, kind="card")


def _rt_course(study: Study, voice: Voice) -> str:
    code = "ALL" if "ALL" in study.rt else next(iter(study.rt), None)
    if code is None:
        return ""
    series = study.rt[code]
    name = words("all places", "전국") if code == "ALL" else study.named(code)
    found = study.situation or {}
    serial = found.get("serial_interval", {})
    title = words(f"Rt by day: {name.en}", f"일별 Rt: {name.ko}")
    about = words(
        f"Cori and others 2013 over {found.get('window_d', 7)} days, serial interval {serial.get('mean_d', 0):g} ± {serial.get('sd_d', 0):g} days "
        f"({serial.get('source', '')}). The newest days may still be incomplete.",
        f"Cori 외(2013), {found.get('window_d', 7)}일 창, 세대간격 {serial.get('mean_d', 0):g} ± {serial.get('sd_d', 0):g}일"
        f"({serial.get('source', '')}). 최근 며칠은 보고가 덜 되었을 수 있습니다.",
    )
    picked = range(max(0, len(series.days) - 56), len(series.days), 7)
    rows = [
        [voice.text(day_words(series.days[i].item())), f"{series.median[i]:.2f}", f"{series.low[i]:.2f}–{series.high[i]:.2f}"] for i in picked
    ]
    table = Table((words("Day", "날짜"), words("Median", "중앙값"), words("95%", "95%")), rows, (False, True, True))
    return figure(rt_picture(series, voice), voice, "rtday", title, about, table, kind="card")


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
            '<strong class="stop">Origin not identifiable.</strong> Totals alone cannot tell which country cases came from. Arrivals by origin, '
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
    for week, seen, (low, middle, high) in list(zip(found.weeks.tolist(), found.observed.tolist(), found.quantiles.tolist(), strict=True))[-16:]:
        known = middle == middle  # noqa: PLR0124  NaN alone differs from itself
        expected = f"{count(middle)} <small>({count(low)}–{count(high)})</small>" if known else "–"
        rows.append([voice.text(day_words(week)), f"{seen:,.0f}" if np.isfinite(seen) else "–", expected])
    table = Table((words("Week ending", "주 종료일"), words("Found", "실제"), words("Forecast (95%)", "예측 (95%)")), rows, (False, True, True))
    body = figure(imports_picture(found, voice), voice, "imports", title, about, table, kind="card")
    return section(voice, "origin", heading, lead, f'<div class="two">{body}{_origins(study, voice)}</div>')


def _origins(study: Study, voice: Voice) -> str:
    found = study.imports
    assert found is not None
    if not found.identifiable:
        told = words(
            "No ranking is shown, because none would be more than a guess: every country with an epidemic is a candidate, and flights of each "
            "country to all others do not change that. A border measure on one origin cannot be judged either.",
            "추측에 지나지 않으므로 순위를 표시하지 않습니다. 유행 중인 모든 나라가 후보이며, 각국의 전체 항공편 수로는 구별되지 않습니다. "
            "특정 국가에 대한 국경 조치의 효과도 판단할 수 없습니다.",
        )
        return f'<div class="card note"><h3>{voice.text(words("Why no ranking", "순위가 없는 이유"))}</h3><p>{voice.text(told)}</p></div>'
    top = found.origins[:12]
    rows = [(same(str(o["origin"])), float(o["low"]), float(o["mean"]), float(o["high"])) for o in top]
    cells = [
        [html.escape(str(o["origin"])), count(o["mean"]), f"{count(o['low'])}–{count(o['high'])}", f"{o['rank_low']}–{o['rank_high']}",
         percent(o["probability_first"])]
        for o in top
    ]  # fmt: skip
    head = (words("Origin", "국가"), words("Expected", "예상"), words("95%", "95%"), words("Rank 95%", "순위 95%"), words("First", "1위 확률"))
    title = words("Expected imported cases by origin", "국가별 예상 유입 환자")
    about = words("Mean and 95% interval over the whole period.", "전체 기간의 평균과 95% 구간.")
    table = Table(head, cells, (False, True, True, True, True))
    drawn = figure(interval_picture(rows, voice, zero=True), voice, "origins", title, about, table, kind="card")
    return drawn + _border(study, voice)


def _border(study: Study, voice: Voice) -> str:
    assert study.imports is not None
    rows = [
        [
            html.escape(str(m["origin"])),
            percent_of(float(m["effectiveness"])),
            f"{count(m['averted'])} <small>({count(m['averted_low'])}–{count(m['averted_high'])})</small>",
            f"{percent_of(m['share'])} <small>({percent_of(m['share_low'])}–{percent_of(m['share_high'])})</small>",
        ]
        for m in study.imports.measures
    ]
    if not rows:
        return ""
    head = (words("Border measure on", "대상 국가"), words("Stops", "차단"), words("Averts (95%)", "감소 (95%)"), words("Of all (95%)", "비율 (95%)"))
    table = Table(head, rows, (False, True, True, True))
    return f'<div class="card">{table.html(voice, words("What a border measure would avert", "국경 조치의 효과"))}</div>'


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
    about = words("Lines: medians; shading: 50% and 90% of the simulations.", "선: 중앙값, 음영: 모의실험의 50%와 90%.")
    body = figure(what_if_picture(found, voice), voice, "whatif", title, about, _effect_table(found, voice), kind="card")
    return section(voice, "measure", heading, lead, f'<div class="two">{body}{_averted_map(study, found, voice)}</div>' + _districts(study, found, voice))


QUANTITIES: Final = {
    "infections": words("infections", "감염"),
    "cases": words("ill people", "환자"),
    "symptoms": words("people with symptoms", "유증상자"),
    "admissions": words("hospital admissions", "입원"),
    "deaths": words("deaths", "사망"),
    "hospital": words("hospital days", "입원 일수"),
    "infectious": words("infectious person-days", "감염성 인·일"),
    "reinfections": words("reinfections", "재감염"),
}


def _effect_table(found: WhatIf, voice: Voice) -> Table:
    head = (
        words("Quantity", "항목"),
        words("Without", "조치 없음"),
        words("With", "조치 시행"),
        words("Averted (95%)", "감소 (95%)"),
        words("Share (95%)", "비율 (95%)"),
    )
    rows = []
    for name, a in found.averted.items():
        averted, share = a["averted"], a["share"]
        rows.append(
            [
                voice.text(QUANTITIES.get(name, same(name))),
                count(a["baseline"]["median"]),
                count(a["scenario"]["median"]),
                f"{count(averted['median'])} <small>({count(averted['low'])}–{count(averted['high'])})</small>",
                f"{percent_of(share['median'])} <small>({percent_of(share['low'])}–{percent_of(share['high'])})</small>",
            ]
        )
    for name, share in found.variants.items():
        text = QUANTITIES.get(found.first_quantity, same(found.first_quantity))
        label = words(f"{text.en}, {name}", f"{text.ko}, {name}")
        value = f"{percent_of(share['median'])} <small>({percent_of(share['low'])}–{percent_of(share['high'])})</small>"
        rows.append([voice.text(label), "", "", "", value])
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
    picture = map_picture(study.districts, values, classes_of(list(values.values())), {}, legend, voice, hatched=True)
    stamp = f'<p class="stamp">{voice.text(DOWNSCALED)}</p>'
    ranked = sorted(values.items(), key=lambda item: -item[1])[:20]
    table = Table((words("District", "시군구"), words("Averted", "감소")), [[c, f"{v:.1f}%"] for c, v in ranked], (False, True))
    return f'<div class="district">{stamp}{figure(picture, voice, "districts", title, about, table, kind="card map")}</div>'


def track_section(study: Study, voice: Voice) -> str:
    """How forecasts of the same model did on past weeks."""
    heading = words("How good past forecasts were", "과거 예측의 성적")
    row, scores = study.score_row, study.scores
    if row is None or scores is None:
        return absent(voice, "record", heading, words("Past forecasts were not scored: run `oneteam epidemic score`.", "과거 예측을 채점하지 않았습니다."))
    first, last = day_words(_date(scores["first_reference_date"])), day_words(_date(scores["last_reference_date"]))
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
        title = words(f"Forecasts made {ahead} weeks before, and what happened: {place.name.en}", f"{ahead}주 전 예측과 실제: {place.name.ko}")
        about = words(
            "Bars: 95% and 50% intervals as forecast; dots: what happened; a ring: outside the 95% interval.",
            "막대: 예측의 95%·50% 구간, 점: 실제, 고리: 95% 구간 밖.",
        )
        rows = [
            [voice.text(day_words(p.day)), count(p.quantiles[MIDDLE]), f"{count(p.quantiles[LOW])}–{count(p.quantiles[HIGH])}", f"{p.observed:,.0f}"]
            for p in past
        ]
        head = (words("Week ending", "주 종료일"), words("Median", "중앙값"), words("95%", "95%"), words("Happened", "실제"))
        body += figure(past_picture(past, LARGE, voice), voice, "past", title, about, Table(head, rows, (False, True, True, True)), kind="card")
    title = words("Did intervals hold what they promised?", "구간은 약속대로였나?")
    about = words("Bar: share of outcomes inside; mark: share that should be.", "막대: 구간 안에 든 실제값의 비율, 눈금: 약속한 비율.")
    body += figure(coverage_picture(row, voice), voice, "coverage", title, about, None, kind="card")
    return section(voice, "record", heading, lead, body + "</div>" + _score_table(study, voice))


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
        rows.append([*cells, percent(row["coverage_50"]), percent(row["coverage_95"])])
    by_week = [
        [voice.text(words(f"{r['horizon']} weeks ahead", f"{r['horizon']}주 앞")), *("–" if r.get(c) is None else f"{r[c]:.2f}" for c in ("relative_wis", "relative_log_wis")),
         percent(r["coverage_50"]), percent(r["coverage_95"])]
        for r in study.scores.get("by_horizon", [])
        if r["model"] == study.model
    ]  # fmt: skip
    whole = Table(head, rows, (False, True, True, True, True)).html(voice, words("All models", "모든 모형"))
    ahead = Table((words("Reported model", "보고된 모형"), *head[1:]), by_week, (False, True, True, True, True))
    about = voice.text(
        words(
            "Weighted interval score over that of the persistence baseline on the same tasks; below 1 is better. “Relative errors”: the same of "
            "log(1 + x), so that one large wave does not decide alone.",
            "같은 과제에서 지속성 기준 모형 대비 가중구간점수(WIS)이며 1보다 작을수록 좋습니다. ‘상대 오차’는 log(1 + x)에 대한 값입니다.",
        )
    )
    later = ahead.html(voice, words("By weeks ahead", "예측 기간별")) if by_week else ""
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
        [voice.text(s.what), f"<code>{html.escape(s.name)}</code>", voice.text(day_words(s.last)) if s.last else "–", f"<code>{s.sha256[:12]}</code>"]
        for s in study.sources
    ]
    head = (words("Role", "역할"), words("File", "파일"), words("Data to", "자료 기준일"), words("SHA-256", "SHA-256"))
    sources = Table(head, files).html(voice, words("Files", "파일"))
    return section(voice, "data", heading, lead, f'<div class="card">{table}</div><div class="card">{sources}</div>')
