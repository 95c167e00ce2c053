"""The first page: where next, where from, what a measure would do; each with its date, its validation and its track record."""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final, Literal

from oneteam.core.model import Text
from oneteam.epidemic.report.countries import country
from oneteam.epidemic.report.measures import measures_words
from oneteam.epidemic.report.study import Imports, Outlook, Study, WhatIf
from oneteam.epidemic.report.voice import count, day_words, joined, percent, points, topic, words

TOP: Final = 5
STALE_D: Final = 28
"""Data this much older than the forecast's are pointed out."""
SOME_TASKS: Final = 20
GOES_ON_D: Final = 7
FAR_OFF: Final = 0.15
NARROW: Final = 0.85
"""Share of outcomes within the 95% interval below which the intervals are said to have been too narrow."""
ONE_WAY: Final = 0.85
"""From this share of weeks that went the same way a track record is said to be one-sided."""
Grade = Literal["checked", "partly", "unchecked"]


@dataclass(frozen=True)
class Finding:
    """One sentence of the first page.

    Args:
        key: ``next``, ``from`` or ``if``.
        question: that it answers.
        answer: HTML.
        data: what it rests on, and to which day.
        grade: whether it was compared with what happened.
        validation: the same in words.
        record: how good it was so far.
        warning: what the reader must know; None for nothing.
    """

    key: str
    question: Text
    answer: Text
    data: Text
    grade: Grade
    validation: Text
    record: Text
    warning: Text | None = None


def findings(study: Study) -> tuple[Finding, Finding, Finding]:
    """The three sentences."""
    return where_next(study), where_from(study), what_if(study)


def strong(text: Text) -> Text:
    """Names that stand out, as HTML."""
    return Text(en=f"<strong>{html.escape(text.en)}</strong>", ko=f"<strong>{html.escape(text.ko)}</strong>")


def where_next(study: Study) -> Finding:
    """The places likeliest to reach the threshold, and how that changed."""
    week = day_words(study.reference_date + timedelta(days=7 * study.horizon))
    ranked = [o for o in study.outlooks if o.probability is not None]
    top = joined([_chance(o, first=i == 0) for i, o in enumerate(ranked[:TOP])])
    counted, rule = study.counted, study.rule
    likely = sum(1 for o in ranked if (o.probability or 0.0) >= 0.5)
    if ranked:
        answer = words(
            f"In the week to {week.en}, the chance of {html.escape(rule.en)} is highest in {top.en}. "
            f"It is at least even in {likely} of {len(ranked)} places.",
            f"{week.ko}까지 한 주 동안 {html.escape(rule.ko)}에 이를 확률은 {top.ko} 순으로 높습니다. "
            f"{len(ranked)}곳 가운데 {likely}곳에서 50% 이상입니다.",
        )
    else:
        answer = words("No place has a threshold: no population is known.", "인구를 알 수 없어 기준을 정한 지역이 없습니다.")
    data_day = study.known.last_week
    grade, validation = _validation(study)
    return Finding(
        "next",
        words("Where next?", "다음은 어디인가?"),
        answer,
        words(f"{counted.en.capitalize()} reported to {day_words(data_day).en}", f"{day_words(data_day).ko}까지 보고된 {counted.ko}"),
        grade,
        validation,
        forecast_record(study),
        joined(warnings, " ", " ") if (warnings := [w for w in (_narrow(study), _biased(study), _one_direction(study)) if w]) else None,
    )


def _chance(o: Outlook, *, first: bool) -> Text:
    """A place with its probability and the change; what the change is, is said once."""
    assert o.probability is not None
    name, chance = strong(o.place.name), html.escape(percent(o.probability))
    if o.change is None:
        return words(f"{name.en} ({chance})", f"{name.ko}({chance})")
    change = points(o.change)
    en, ko = (f"{change} points since last week", f"지난주 대비 {change}%p") if first else (change, change)
    return words(f"{name.en} ({chance}<small>, {en}</small>)", f"{name.ko}({chance}<small>, {ko}</small>)")


def _validation(study: Study) -> tuple[Grade, Text]:
    row, scores = study.score_row, study.scores
    if row is None or scores is None:
        return "unchecked", words("Not checked: past forecasts were not scored", "검증 안 됨: 과거 예측을 채점하지 않음")
    revised = study.label != "vintage"
    return "partly" if _narrow(study) else "checked", words(
        f"Checked against {row['tasks']:,} past outcomes" + (", on data as revised later" if revised else ""),
        f"과거 실제값 {row['tasks']:,}개와 대조해 검증" + (" (사후 수정 자료 기준)" if revised else ""),
    )


def forecast_record(study: Study) -> Text:
    """Error against persistence, and whether intervals and probabilities held."""
    row, scores = study.score_row, study.scores
    if row is None or scores is None:
        return words("No track record.", "예측 이력이 없습니다.")
    held = round(100 * row["coverage_95"])
    en = [f"{held}% of outcomes fell inside the 95% interval"]
    ko = [f"실제값의 {held}%가 95% 구간 안"]
    if row.get("relative_wis") is not None and row.get("relative_log_wis") is not None:
        better, logs = _better(row["relative_wis"]), _better(row["relative_log_wis"])
        en.append(f"against “as last week” the error in counts was {better.en}, in proportion {logs.en}")
        ko.append(f"‘지난주와 같음’보다 수의 오차 {better.ko}, 비율의 오차 {logs.ko}")
    middle = _middle_chances(study)
    if middle is not None:
        said, came, tasks = middle
        en.append(f"of {tasks:,} chances between 20 and 80% (on average {said:.0%}), {came:.0%} came true")
        ko.append(f"20~80%라고 한 확률 {tasks:,}개(평균 {said:.0%}) 가운데 {came:.0%}가 실현")
    return words(_sentence(en), ", ".join(ko) + ".")


def _middle_chances(study: Study) -> tuple[float, float, int] | None:
    """Mean chance, how often it came true, and how many: of past chances that were neither nearly sure nor nearly excluded."""
    row, scores = study.score_row, study.scores
    if row is None or scores is None or scores.get("threshold") != study.rule_in_scores:
        return None
    bins = [r for r in row.get("threshold_exceedance", {}).get("reliability", []) if 0.2 <= r["forecast"] <= 0.8]
    tasks = sum(r["tasks"] for r in bins)
    if not tasks:
        return None
    said, came = (sum(r[key] * r["tasks"] for r in bins) / tasks for key in ("forecast", "observed"))
    return said, came, tasks


def _narrow(study: Study) -> Text | None:
    """A warning where far more outcomes than said fell outside of past intervals."""
    row = study.score_row
    if row is None or row["tasks"] < SOME_TASKS or row["coverage_95"] >= NARROW:
        return None
    return words(
        f"Past intervals were too narrow: {1 - row['coverage_95']:.0%} of outcomes fell outside of the 95% interval.",
        f"과거의 95% 구간은 너무 좁았습니다: 실제값의 {1 - row['coverage_95']:.0%}가 구간 밖이었습니다.",
    )


def _biased(study: Study) -> Text | None:
    """A warning where past chances came true far more or far less often than they said."""
    middle = _middle_chances(study)
    if middle is None or middle[2] < SOME_TASKS or abs(middle[0] - middle[1]) < FAR_OFF:
        return None
    often = words("too high", "높은") if middle[0] > middle[1] else words("too low", "낮은")
    return words(
        f"Past chances between 20 and 80% were {often.en}: read those above with that in mind.",
        f"과거의 20~80% 확률은 실제보다 {often.ko} 편이었으니 위 확률을 읽을 때 감안해야 합니다.",
    )


def _better(relative: float) -> Text:
    """A score over the baseline's, as how much smaller or larger the error is."""
    change = round(100 * (1 - relative))
    return words(f"{abs(change)}% {'smaller' if change >= 0 else 'larger'}", f"{abs(change)}% {'작음' if change >= 0 else '큼'}")


def _one_direction(study: Study) -> Text | None:
    """A warning where nearly all past weeks went the same way: then little is known about the model at a turn."""
    fell = rose = 0
    for place in study.places:
        known = dict(zip(study.truth.weeks.tolist(), study.series(place.code).tolist(), strict=True))
        for day in study.dates:
            then, before = known.get(day + timedelta(days=7 * study.horizon)), known.get(day)
            if then is not None and before is not None and then == then and before == before:  # noqa: PLR0124  NaN alone differs from itself
                fell += then < before
                rose += then > before
    share = max(fell, rose) / max(1, fell + rose)
    if fell + rose < SOME_TASKS or share < ONE_WAY:
        return None
    en, ko = ("falling", "감소") if fell > rose else ("rising", "증가")
    counted = study.counted
    return words(
        f"{counted.en.capitalize()} were {en} in {share:.0%} of the past weeks that the track record is from: it says little about a turn.",
        f"성적을 낸 과거 주의 {share:.0%}에서 {counted.ko} 수가 {ko}했습니다. 추세가 바뀔 때의 성적은 알기 어렵습니다.",
    )


def _sentence(parts: Sequence[str]) -> str:
    text = "; ".join(parts)
    return text[0].upper() + text[1:] + "."


def where_from(study: Study) -> Finding:
    """The origins of imported cases, or that they cannot be known."""
    question = words("Where from?", "어디에서 오는가?")
    imports = study.imports
    if imports is None:
        return Finding(
            "from",
            question,
            words("Importation was not examined in this report.", "이 보고서에서는 해외 유입을 분석하지 않았습니다."),
            words("No data given", "자료 없음"),
            "unchecked",
            words("Not checked", "검증 안 됨"),
            words("No track record.", "이력이 없습니다."),
        )
    answer = _origins(imports) if imports.identifiable else _unknown_origin(imports)
    last = imports.last_observed or imports.weeks[-1].item()
    grade, validation, record = _import_record(imports)
    old = (study.reference_date - last).days
    warning = None
    if old > STALE_D:
        warning = words(
            f"These data end {old:,} days before the forecast above: they show the method, not today’s importation.",
            f"이 자료는 위 예측보다 {old:,}일 앞서 끝납니다. 현재의 유입이 아니라 방법을 보여 줍니다.",
        )
    data = words(f"Imported cases to {day_words(last).en}", f"{day_words(last).ko}까지의 해외 유입 환자")
    return Finding("from", question, answer, data, grade, validation, record, warning)


def _origins(imports: Imports) -> Text:
    total = sum(o["mean"] for o in imports.origins) or 1.0
    likely = [o for o in imports.origins[:TOP] if o["mean"] > 0]
    if not likely:
        return words("No imported case is expected from any country.", "어느 나라에서도 해외 유입이 예상되지 않습니다.")
    parts = []
    for o in likely:
        numbers = f"{count(o['mean'])}; 95% {count(o['low'])}–{count(o['high'])}"
        name, share = strong(country(str(o["origin"]))), html.escape(percent(o["mean"] / total))
        parts.append(words(f"{name.en} ({share}<small>, {numbers}</small>)", f"{name.ko}({share}<small>, {numbers}</small>)"))
    top = joined(parts)
    first = country(str(likely[0]["origin"]))
    name, sure = words(html.escape(first.en), html.escape(first.ko)), _sure(percent(likely[0]["probability_first"]))
    when = words("", "")
    if imports.period is not None:
        start, end = (day_words(day) for day in imports.period)
        when = words(f" of {start.en} to {end.en}", f"{start.ko}부터 {end.ko}까지의 ")
    return words(
        f"Most imported cases{when.en} are expected from {top.en}. The chance that {name.en} comes first is {sure.en}.",
        f"{when.ko}해외 유입은 {top.ko} 순으로 많을 것으로 추정됩니다. 1위가 {name.ko}일 확률은 {sure.ko}.",
    )


def _sure(written: str) -> Text:
    """A written percentage as the end of a sentence.

    >>> _sure(">99%").ko, _sure("71%").ko, _sure("<1%").en
    ('99% 초과입니다', '71%입니다', 'below 1%')
    """
    number = html.escape(written.lstrip("<>"))
    if written.startswith(">"):
        return words(f"above {number}", f"{number} 초과입니다")
    return words(f"below {number}", f"{number} 미만입니다") if written.startswith("<") else words(number, f"{number}입니다")


def _unknown_origin(imports: Imports) -> Text:
    en = "<strong>Origin not identifiable</strong>: no table says how many people came from which country, so none is ranked."
    ko = "<strong>유입 국가를 식별할 수 없습니다</strong>: 국가별 입국자 자료가 없어 순위를 매기지 않습니다."
    ahead = next_total(imports)
    if ahead is not None:
        week, low, middle, high = ahead
        day = day_words(week)
        en += f" In all, {count(middle)} imported cases (95% {count(low)}–{count(high)}) were expected in the week to {day.en}."
        ko += f" 전국 합계는 {day.ko}까지 한 주에 {count(middle)}명(95% {count(low)}–{count(high)})으로 예측되었습니다."
    return words(en, ko)


def next_total(imports: Imports) -> tuple[date, float, float, float] | None:
    """Forecast of the first week after the last observed one: its end, 2.5%, 50% and 97.5% quantile."""
    last = imports.last_observed
    for week, (low, middle, high) in zip(imports.weeks.tolist(), imports.quantiles.tolist(), strict=True):
        if (last is None or week > last) and middle == middle:  # noqa: PLR0124  NaN alone differs from itself
            return week, low, middle, high
    return None


def _import_record(imports: Imports) -> tuple[Grade, Text, Text]:
    scores = imports.scores
    if not scores.get("weeks"):
        return "unchecked", words("Not checked against found imports", "실제 유입과 대조하지 않음"), words("No track record.", "이력 없음.")
    weeks, held = int(scores["weeks"]), round(100 * scores["coverage_95"])
    gain = scores["naive_log_score"] - scores["log_score"]
    verdict = (
        words("no better", "나을 것 없음") if abs(gain) < 0.01 else words("better", "더 좋음") if gain > 0 else words("worse", "더 나쁨")
    )
    record = words(
        f"{held}% of {weeks} weekly totals fell inside the 95% interval; "
        f"log score {scores['log_score']:.2f} against {scores['naive_log_score']:.2f} of “as last week” "
        f"({verdict.en}).",
        f"주간 합계 {weeks}개 중 {held}%가 95% 구간 안, 로그 점수 {scores['log_score']:.2f}"
        f"(‘지난주와 같음’ {scores['naive_log_score']:.2f}, {verdict.ko}).",
    )
    part = words("National totals checked; the ranking cannot be", "전국 합계만 검증, 국가별 순위는 검증 불가")
    return "partly", part, record


def what_if(study: Study) -> Finding:
    """What the scenario's measures would do."""
    question = words("What would a measure do?", "조치의 효과는?")
    found = study.what_if
    if found is None:
        return Finding(
            "if",
            question,
            words("No measure was examined in this report.", "이 보고서에서는 조치를 분석하지 않았습니다."),
            words("No scenario given", "시나리오 없음"),
            "unchecked",
            words("Not checked", "검증 안 됨"),
            words("No track record.", "이력이 없습니다."),
        )
    run = found.scenario.run
    start = day_words(run.first_day)
    since = _situation_day(study, run.first_day)
    return Finding(
        "if",
        question,
        _effect(study, found),
        words(f"{since.en} from {start.en} for {run.days} days", f"{since.ko}{start.ko}부터 {run.days}일간 모의"),
        "unchecked",
        words("Model scenario: not validated", "모형 시나리오: 검증되지 않음"),
        _scenario_record(found),
    )


def _situation_day(study: Study, first_day: date) -> Text:
    """The day of the situation that a scenario goes on from, where it starts right after it."""
    if study.situation is not None:
        day = date.fromisoformat(study.situation["day"])
        if 0 <= (first_day - day).days <= GOES_ON_D:
            told = day_words(day)
            return words(f"Situation of {told.en}; simulated", f"{told.ko} 상황에서 ")
    return words("Simulated", "")


def _scenario_record(found: WhatIf) -> Text:
    members = found.scenario.run.members
    names = ", ".join(found.variants)
    en = f"None: no outcome to compare with. {members} pairs of simulations" + (f"; the range also covers {names}." if names else ".")
    ko = f"없음: 비교할 실제 결과가 없습니다. 모의실험 {members}쌍" + (f", 범위는 {names}도 포함." if names else ".")
    return words(en, ko)


def _effect(study: Study, found: WhatIf) -> Text:
    main = found.averted[found.first_quantity]
    shares = [main["share"], *(v["share"] for v in found.variants.values())]
    counts = [main["averted"], *(v["averted"] for v in found.variants.values())]
    # Chance alone hardly moves a whole country: the ends of the variants' intervals say more.
    low, high = min(s["low"] for s in shares), max(s["high"] for s in shares)
    least, most = min(c["low"] for c in counts), max(c["high"] for c in counts)
    middle, size = main["share"]["median"], main["averted"]["median"]
    first, end = found.scenario.run.first_day, day_words(found.days[-1].item())
    told = measures_words(found.scenario.measures, first, study.named)
    measure = words(html.escape(told.en), html.escape(topic(told.ko)))
    en_verb, ko_verb = ("avert", "줄입니다") if size >= 0 else ("add", "늘립니다")
    name = "range" if found.variants else "95% interval"
    ko_name = "범위" if found.variants else "95% 구간"
    return words(
        f"{measure.en[0].upper()}{measure.en[1:]} would {en_verb} <strong>{percent_of(abs(middle))}</strong> of infections by {end.en} "
        f"({name} {percent_of(low)} to {percent_of(high)}): about {count(abs(size))} ({count(least)}–{count(most)}).",
        f"{measure.ko} {end.ko}까지 감염을 <strong>{percent_of(abs(middle))}</strong>"
        f"({ko_name} {percent_of(low)}~{percent_of(high)}), 약 {count(abs(size))}명({count(least)}–{count(most)}) {ko_verb}.",
    )


def percent_of(share: float) -> str:
    """A share that may be negative.

    >>> percent_of(0.123), percent_of(-0.05), percent_of(0.004)
    ('12%', '−5.0%', '0.4%')
    """
    size = 100 * abs(share)
    text = f"{size:.0f}" if size >= 9.95 else f"{size:.1f}"
    return f"{'−' if share < 0 and float(text) else ''}{text}%"
