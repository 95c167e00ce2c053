"""How fast it spreads: the reproduction number by place and by day."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Any, Final

from oneteam.core.model import Text
from oneteam.epidemic.report.charts import interval_picture, rt_picture
from oneteam.epidemic.report.section import absent, section
from oneteam.epidemic.report.study import Study
from oneteam.epidemic.report.svg import Table, figure
from oneteam.epidemic.report.voice import Voice, day_words, percent, same, words

RISK: Final = (words("low", "낮음"), words("moderate", "보통"), words("high", "높음"), words("very high", "매우 높음"))


def rt_section(study: Study, voice: Voice) -> str:
    """The reproduction number by day, and by place on the last day."""
    heading = words("How fast it spreads", "확산 속도")
    found = study.situation
    if found is None:
        return absent(voice, "spread", heading, words("Rt was not estimated: run `oneteam epidemic rt`.", "Rt를 추정하지 않았습니다."))
    places = [p for p in found["places"] if p["rt"] is not None]
    total = next((p for p in places if p["location"] == "ALL"), None)
    day = day_words(date.fromisoformat(found["day"]))
    lead = words(f"Day of the estimate: {day.en}.", f"추정 기준일: {day.ko}.")
    if total is not None:
        lead = words(
            f"On {day.en} each case led to <strong>{total['rt']:.2f}</strong> others (95% {total['rt_low']:.2f}–{total['rt_high']:.2f}); "
            f"the chance that the epidemic is growing is <strong>{percent(total['probability_rising'])}</strong>.",
            f"{day.ko} 기준 감염자 한 명이 <strong>{total['rt']:.2f}</strong>명(95% "
            f"{total['rt_low']:.2f}–{total['rt_high']:.2f})을 감염시켰고, "
            f"유행이 커지고 있을 확률은 <strong>{percent(total['probability_rising'])}</strong>입니다.",
        )
    body = '<div class="two">' + _rt_places(study, places, voice) + _rt_course(study, voice) + "</div>"
    return section(voice, "spread", heading, lead, body)


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
        f"Cori and others 2013 over {found.get('window_d', 7)} days; the shading holds chance alone (the interval by place also "
        "holds the scatter of "
        f"daily counts). Serial interval {serial.get('mean_d', 0):g} ± {serial.get('sd_d', 0):g} days "
        f"({serial.get('source', '')}). The newest days may still be incomplete.",
        f"Cori 외(2013), {found.get('window_d', 7)}일 창. 음영은 우연만 담습니다(지역별 구간은 일별 변동도 포함). 세대간격 "
        f"{serial.get('mean_d', 0):g} ± {serial.get('sd_d', 0):g}일"
        f"({serial.get('source', '')}). 최근 며칠은 보고가 덜 되었을 수 있습니다.",
    )
    picked = range(max(0, len(series.days) - 56), len(series.days), 7)
    rows = [
        [voice.text(day_words(series.days[i].item())), f"{series.median[i]:.2f}", f"{series.low[i]:.2f}–{series.high[i]:.2f}"]
        for i in picked
    ]
    table = Table((words("Day", "날짜"), words("Median", "중앙값"), words("95%", "95%")), rows, (False, True, True))
    return figure(rt_picture(series, voice), voice, "rtday", title, about, table, kind="card")
