"""Words of the analysis pages, in English and Korean."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from oneteam.core.model import Text


def _w(en: str, ko: str) -> Text:
    return Text(en=en, ko=ko)


WORDS: Final[dict[str, Text]] = {
    "outlook.now": _w("Now", "현황"),
    "outlook.place": _w("District", "지역"),
    "outlook.importation": _w("Importation", "해외 유입"),
    "outlook.mobility": _w("Mobility", "이동"),
    "outlook.scores": _w("Scores", "예측 성적"),
    # Now
    "now.lead": _w("Three questions, answered from data that nobody gave away.", "누구도 내주지 않은 자료로 답하는 세 가지 질문."),
    "now.rests": _w("Rests on", "근거 자료"),
    "now.checked": _w("Checked", "검증"),
    "now.record": _w("Track record", "지난 성적"),
    "now.map": _w("Risk by place", "지역별 위험"),
    "now.map.about": _w("Choose a week; a place opens with a click or with Enter.", "주를 고르십시오. 누르거나 Enter 키로 지역을 엽니다."),
    "now.map.none": _w("No outlines of places are in the study.", "지역 경계 자료가 없습니다."),
    "now.ranking": _w("Likeliest places", "확률이 높은 지역"),
    "now.national": _w("The whole country", "전국"),
    "now.alerts": _w("Alerts", "경보"),
    "now.alerts.none": _w("No alert stands.", "발령 중인 경보가 없습니다."),
    "now.alerts.more": _w("{n} more alerts", "경보 {n}건 더 보기"),
    "now.alerts.draft": _w("Drafts: nothing has been sent.", "초안이며 발송되지 않았습니다."),
    "now.study": _w("The study", "분석"),
    "now.study.running": _w("The study is running", "분석 진행 중"),
    "now.study.failed": _w("The study stopped", "분석이 멈췄습니다"),
    "now.study.done": _w("The study is finished", "분석 완료"),
    "now.study.absent": _w("a joint study", "공동 분석"),
    "now.study.nofolder": _w("No study folder was given to this page.", "분석 폴더가 지정되지 않았습니다."),
    "now.warning": _w("Read with care", "유의"),
    "now.notes": _w("Assumptions and repairs", "가정과 보정"),
    "now.sources": _w("What it rests on", "근거 파일"),
    "now.releases": _w("Releases used and refused", "사용한 공개값과 거부"),
    "now.releases.used": _w(
        "{n} Releases from members, privacy budget spent: ρ = {rho}", "회원 공개값 {n}개, 사용한 프라이버시 예산 ρ = {rho}"
    ),
    "now.releases.refused": _w("Refused", "거부됨"),
    "now.report": _w("Report for print", "인쇄용 보고서"),
    # Words of maps
    "map.today": _w("Now", "현재"),
    "map.ahead": _w("+{n} wk", "{n}주 뒤"),
    "map.note.today": _w("Reported in the week to {day}", "{day}까지 한 주의 보고"),
    "map.note.ahead": _w("Expected in the week to {day}", "{day}까지 한 주의 전망"),
    "map.week": _w("Week", "주"),
    "map.play": _w("Play the weeks", "주별 재생"),
    "map.mode": _w("Colour by", "색 기준"),
    "map.mode.chance": _w("Chance", "확률"),
    "map.mode.expected": _w("Expected", "전망"),
    "map.mode.upper": _w("Up to", "상한"),
    "map.unit.chance": _w("chance of {rule}", "{rule}에 이를 확률"),
    "map.unit.expected": _w("{counted} per 100,000, median", "10만 명당 {counted}, 중앙값"),
    "map.unit.upper": _w("{counted} per 100,000, 97.5% quantile", "10만 명당 {counted}, 97.5% 분위수"),
    "map.unit.expected.count": _w("{counted} a week, median", "주간 {counted}, 중앙값"),
    "map.unit.upper.count": _w("{counted} a week, 97.5% quantile", "주간 {counted}, 97.5% 분위수"),
    "map.unknown": _w("no number", "수치 없음"),
    "map.region": _w("Map: arrow keys move between places, Enter opens one", "지도: 화살표 키로 이동, Enter 키로 열기"),
    # District
    "place.title": _w("Places", "지역"),
    "place.choose": _w("Find a place", "지역 찾기"),
    "place.go": _w("Open", "열기"),
    "place.unknown": _w("No place has this name or code.", "그런 이름이나 코드의 지역이 없습니다."),
    "place.matches": _w("Places that fit “{asked}”: {n}", "‘{asked}’에 맞는 지역: {n}곳"),
    "place.fan": _w("Reported and expected", "보고와 전망"),
    "place.fan.about": _w(
        "Dots: reported. Shading: 50, 80 and 95% intervals. Dashed: the threshold.", "점: 보고. 음영: 50·80·95% 구간. 파선: 기준."
    ),
    "place.past": _w("Past forecasts, and what came", "과거 예측과 실제"),
    "place.past.about": _w(
        "Bars: 95 and 50% intervals as forecast {n} weeks before; dots: what came.", "막대: {n}주 전에 예측한 95·50% 구간. 점: 실제."
    ),
    "place.rt": _w("Reproduction number Rt", "감염재생산수 Rt"),
    "place.rt.about": _w("Median and 95% interval; above 1 an epidemic grows.", "중앙값과 95% 구간. 1보다 크면 유행이 커집니다."),
    "place.feeds": _w("Where infection comes in from", "감염이 들어오는 곳"),
    "place.feeds.about": _w(
        "Share of trips into this place, weighted by the newest rate of cases at their origin.",
        "이 지역으로 오는 통행을 출발지의 최근 발생률로 가중한 비율.",
    ),
    "place.inflow.about": _w("Share of trips into this place.", "이 지역으로 오는 통행의 비율."),
    "place.table": _w("Chances and expectations", "확률과 전망"),
    "place.week": _w("Week to", "주 종료일"),
    "place.chance": _w("Chance", "확률"),
    "place.change": _w("Since last week", "지난주 대비"),
    "place.expected": _w("Expected", "전망"),
    "place.interval": _w("95% interval", "95% 구간"),
    "place.rate": _w("per 100,000", "10만 명당"),
    "place.rate.of": _w("{value} per 100,000", "10만 명당 {value}"),
    "place.last": _w("Newest week", "최근 주"),
    "place.people": _w("People", "인구"),
    "place.rising": _w("Chance of more than last week", "지난주보다 많을 확률"),
    "place.code": _w("Code", "코드"),
    "place.name": _w("Place", "지역"),
    "place.reported": _w("reported", "보고"),
    "place.forecast": _w("forecast", "예측"),
    "place.came": _w("what came", "실제"),
    "place.threshold": _w("threshold", "기준"),
    "place.day": _w("Day", "날짜"),
    "place.value": _w("Value", "값"),
    "place.series": _w("Series", "계열"),
    "place.known": _w("known to", "기준일"),
    "place.points": _w("{value} points", "{value}%p"),
    "place.none": _w("the forecast of a place", "지역 예측"),
    "place.rank": _w("{n} of {all} by chance", "확률 순위 {all}곳 중 {n}위"),
    # Importation
    "import.lead": _w("Which countries imported cases are expected from.", "해외 유입 환자가 어느 나라에서 올 것으로 보이는지."),
    "import.world": _w("Expected imported cases by country", "국가별 예상 해외 유입"),
    "import.world.about": _w("The size of a disc is the expected number.", "원의 크기는 예상 환자 수입니다."),
    "import.rank": _w("Ranking with intervals", "순위와 구간"),
    "import.rank.about": _w("Over all weeks: mean and 95% interval.", "전체 기간: 평균과 95% 구간."),
    "import.table": _w("Shares and ranks", "비율과 순위"),
    "import.total": _w("All imported cases by week", "주별 해외 유입 합계"),
    "import.total.about": _w(
        "Dots: found. Bars: 95% interval of the forecast one week before.", "점: 확인. 막대: 한 주 전 예측의 95% 구간."
    ),
    "import.unknown": _w("Origin not identifiable", "유입 국가를 식별할 수 없음"),
    "import.unknown.why": _w(
        "No table says how many people came from which country, so no country is ranked. Only the national total can be forecast.",
        "국가별 입국자 자료가 없어 순위를 매기지 않습니다. 전국 합계만 예측할 수 있습니다.",
    ),
    "import.all": _w("All weeks", "전체"),
    "import.origin": _w("Country", "국가"),
    "import.expected": _w("Expected cases", "예상 환자"),
    "import.cases": _w("imported cases", "해외 유입 환자"),
    "import.found": _w("found", "확인"),
    "import.first": _w("Chance to rank first", "1위일 확률"),
    "import.share": _w("Share", "비율"),
    "import.measures": _w("Border measures", "입국 조치"),
    "import.notes": _w("What to know", "유의할 점"),
    "import.absent": _w("importation", "해외 유입 분석"),
    # Mobility
    "mobility.lead": _w(
        "How people move between places, and what protecting them did to the numbers.", "지역 간 이동과, 보호 잡음이 수치에 한 일."
    ),
    "mobility.map": _w("Largest flows", "가장 큰 이동"),
    "mobility.map.about": _w(
        "Trips a day between places. Choose a place to see only its own.", "지역 간 하루 통행. 지역을 고르면 그 지역만 보입니다."
    ),
    "mobility.pairs": _w("Largest pairs", "가장 큰 구간"),
    "mobility.pairs.about": _w("Trips a day with the 95% interval that privacy noise leaves.", "하루 통행과 보호 잡음에 따른 95% 구간."),
    "mobility.weeks": _w("All trips by period", "기간별 전체 통행"),
    "mobility.weeks.about": _w("Trips a day between places.", "지역 간 하루 통행."),
    "mobility.places": _w("Trips in and out", "유입과 유출"),
    "mobility.in": _w("in", "유입"),
    "mobility.out": _w("out", "유출"),
    "mobility.net": _w("net", "순유입"),
    "mobility.noise": _w("What privacy noise did", "보호 잡음의 영향"),
    "mobility.noise.exact": _w(
        "Each dot is a pair of places: trips as released with noise, and as used after repair.",
        "점 하나가 한 구간: 잡음이 든 공개값과 보정 후 사용값.",
    ),
    "mobility.noise.std": _w(
        "Each dot is a pair of places: trips, and the noise as a share of them. Exact numbers never left their owners.",
        "점 하나가 한 구간: 통행과 그에 대한 잡음의 비율. 정확한 수는 소유자 밖으로 나가지 않았습니다.",
    ),
    "mobility.exact": _w("as released", "공개값"),
    "mobility.released": _w("trips a day as released", "공개된 하루 통행"),
    "mobility.relative": _w("noise (SD) as a share of trips", "통행 대비 잡음(표준편차)"),
    "mobility.cells": _w("Pairs released", "공개된 구간"),
    "mobility.hidden": _w("Pairs hidden", "숨긴 구간"),
    "mobility.hidden.note": _w("of all pairs: too few people", "전체 구간 중: 사람이 너무 적음"),
    "mobility.std": _w("Typical noise", "잡음 중앙값"),
    "mobility.std.note": _w("trips a day (SD, median)", "하루 통행(표준편차 중앙값)"),
    "mobility.share": _w("Trips with noise below 10%", "잡음 10% 미만 통행"),
    "mobility.share.note": _w("of all trips", "전체 통행 중"),
    "mobility.error": _w("Moved by repair", "보정의 크기"),
    "mobility.error.note": _w("of the released number (median)", "공개값 대비(중앙값)"),
    "mobility.unit": _w("trips a day", "하루 통행"),
    "mobility.absent": _w("mobility between places", "지역 간 이동"),
    "mobility.used": _w("trips a day as used", "사용한 하루 통행"),
    "mobility.truth": _w("Error against the truth", "참값 대비 오차"),
    "mobility.truth.note": _w("as released → as used", "공개값 → 사용값"),
    "mobility.public": _w("a public table: no noise was added to it here", "공개 통계표: 여기서 잡음을 더하지 않음"),
    "mobility.undated": _w("Public table", "공개 통계표"),
    "mobility.period": _w("Period", "기간"),
    "mobility.from": _w("From", "출발"),
    "mobility.to": _w("To", "도착"),
    "mobility.pair": _w("Pair", "구간"),
    "mobility.sd": _w("Noise (SD)", "잡음(표준편차)"),
    # Scores
    "scores.lead": _w(
        "How good past forecasts were: {tasks} forecasts made for {first} to {last}.", "과거 예측의 성적: {first}–{last} 예측 {tasks}개."
    ),
    "scores.revised": _w(
        "Judged on data as revised later: with the data of the day they would have been worse.",
        "사후 수정 자료 기준이므로 당시 자료로는 더 나빴을 것입니다.",
    ),
    "scores.models": _w("Error against “as last week”", "‘지난주와 같음’ 대비 오차"),
    "scores.models.about": _w(
        "Relative WIS; below 1 is better than repeating last week. A model with too little past repeats last week: exactly 1.",
        "상대 WIS. 1보다 작으면 지난주 반복보다 좋음. 과거 자료가 모자란 모형은 지난주를 반복하므로 정확히 1.",
    ),
    "scores.horizon": _w("By weeks ahead", "예측 기간별"),
    "scores.horizon.about": _w("Relative WIS of {model}.", "{model}의 상대 WIS."),
    "scores.place": _w("By place", "지역별"),
    "scores.week": _w("By week", "주별"),
    "scores.week.about": _w("WIS by reference date, in counts: {model} and the baseline.", "기준일별 WIS(명): {model}와 기준 모형."),
    "scores.coverage": _w("Did intervals hold?", "구간은 맞았나?"),
    "scores.coverage.about": _w(
        "Share of outcomes inside each interval; the mark is what was promised.", "각 구간 안에 든 실제값의 비율. 표시는 약속한 비율."
    ),
    "scores.reliability": _w("Did chances come true?", "확률은 맞았나?"),
    "scores.reliability.about": _w(
        "On the diagonal, chances come true as often as they say. Bars: 95% interval.", "대각선 위면 말한 만큼 실현됨. 막대: 95% 구간."
    ),
    "scores.pit": _w("Where outcomes fell in the forecasts", "예측 분포에서 실제값의 위치"),
    "scores.pit.about": _w(
        "PIT histogram; level is right, a slope is bias, a hump is too much caution.",
        "PIT 히스토그램. 평평하면 맞음, 기울면 편향, 볼록하면 지나치게 넓음.",
    ),
    "scores.forecast": _w("chance as forecast", "예측한 확률"),
    "scores.observed": _w("share that came true", "실현된 비율"),
    "scores.pit.x": _w("probability integral transform", "확률적분변환"),
    "scores.pit.y": _w("share of outcomes", "실제값의 비율"),
    "scores.tasks": _w("Forecasts", "예측 수"),
    "scores.wis": _w("WIS", "WIS"),
    "scores.relative": _w("Relative WIS", "상대 WIS"),
    "scores.model": _w("Model", "모형"),
    "scores.baseline": _w("as last week", "지난주와 같음"),
    "scores.promised": _w("promised", "약속"),
    "scores.inside": _w("Outcomes inside", "구간 안 비율"),
    "scores.ahead": _w("{n} wk ahead", "{n}주 뒤"),
    "scores.absent": _w("scores of past forecasts", "과거 예측의 성적"),
    "scores.gloss": _w(
        "WIS is the weighted interval score: the average error of all quantiles, in counts; smaller is better.",
        "WIS(가중구간점수): 모든 분위수 오차의 평균. 작을수록 좋음.",
    ),
    # Truth
    "truth.title": _w("Against the truth", "참값과 비교"),
    "truth.lead": _w(
        "This country is made up, so the truth is known. A real study has no such page.",
        "가상의 나라이므로 참값을 압니다. 실제 분석에는 이 부분이 없습니다.",
    ),
    "truth.name": _w("Quantity", "항목"),
    "truth.value": _w("Value", "값"),
    "truth.forecast.reference_date": _w("Forecast made on", "예측 기준일"),
    "truth.forecast.tasks": _w("Forecasts compared", "비교한 예측 수"),
    "truth.forecast.wis": _w("Forecast: WIS", "예측: WIS"),
    "truth.forecast.relative_wis": _w("Forecast: error against “as last week” (WIS)", "예측: ‘지난주와 같음’ 대비 오차(WIS)"),
    "truth.forecast.relative_log_wis": _w("Forecast: the same in proportion", "예측: 비율로 본 오차"),
    "truth.forecast.coverage_50": _w("Forecast: inside the 50% interval", "예측: 50% 구간 안"),
    "truth.forecast.coverage_80": _w("Forecast: inside the 80% interval", "예측: 80% 구간 안"),
    "truth.forecast.coverage_95": _w("Forecast: inside the 95% interval", "예측: 95% 구간 안"),
    "truth.od.seen_share": _w("Trips: estimated over true total", "이동: 추정 합계 / 참 합계"),
    "truth.od.all_periods.correlation": _w("Trips: correlation, all periods", "이동: 전체 기간 상관"),
    "truth.od.all_periods.error": _w("Trips: relative error, all periods", "이동: 전체 기간 상대 오차"),
    "truth.od.mean_of_periods.correlation": _w("Trips by period: correlation as used", "기간별 이동: 사용값의 상관"),
    "truth.od.mean_of_periods.raw_correlation": _w("Trips by period: correlation as released", "기간별 이동: 공개값의 상관"),
    "truth.od.mean_of_periods.error": _w("Trips by period: relative error as used", "기간별 이동: 사용값의 상대 오차"),
    "truth.od.mean_of_periods.raw_error": _w("Trips by period: relative error as released", "기간별 이동: 공개값의 상대 오차"),
    "truth.od.mean_of_periods.noise_share_of_raw_error": _w(
        "Trips by period: share of that error that is noise", "기간별 이동: 그 오차 중 잡음의 몫"
    ),
    "truth.importation.spearman": _w("Importation: rank correlation of countries", "해외 유입: 국가 순위 상관"),
    "truth.importation.true_infected": _w("Importation: infected arrivals in truth", "해외 유입: 실제 감염 입국자"),
    "truth.privacy.releases": _w("Privacy: Releases used", "개인정보: 사용한 공개값 수"),
    "truth.privacy.rho": _w("Privacy: budget spent (ρ)", "개인정보: 사용한 예산(ρ)"),
    "truth.privacy.largest_epsilon": _w("Privacy: largest ε of one Release", "개인정보: 한 공개값의 최대 ε"),
    "truth.privacy.by_measure.od": _w("Privacy: ρ spent on trips", "개인정보: 이동에 쓴 ρ"),
    "truth.privacy.by_measure.arrivals": _w("Privacy: ρ spent on arrivals", "개인정보: 입국에 쓴 ρ"),
    "truth.privacy.by_measure.presence": _w("Privacy: ρ spent on presence", "개인정보: 체류에 쓴 ρ"),
    "truth.privacy.by_measure.travellers": _w("Privacy: ρ spent on travellers", "개인정보: 여행자에 쓴 ρ"),
    # Progress
    "progress.waiting": _w("waiting", "대기"),
    "progress.running": _w("running", "진행"),
    "progress.done": _w("done", "완료"),
    "progress.reused": _w("reused", "재사용"),
    "progress.skipped": _w("skipped", "건너뜀"),
    "progress.failed": _w("failed", "실패"),
    "severity.Extreme": _w("extreme", "매우 심각"),
    "severity.Severe": _w("severe", "심각"),
    "severity.Moderate": _w("moderate", "보통"),
    "severity.Minor": _w("minor", "경미"),
    "severity.Unknown": _w("unknown", "미상"),
}

Say = Callable[..., str]


def say_in(language: str) -> Say:
    """Words of a key in a language; names in braces are filled in.

    >>> say_in("ko")("map.ahead", n=2)
    '2주 뒤'
    """

    def say(key: str, **filled: object) -> str:
        text = str(getattr(WORDS[key], language) or WORDS[key].en)
        return text.format(**filled) if filled else text

    return say


def told(text: Text, language: str) -> str:
    """A text in a language; English where it has no Korean."""
    return str(getattr(text, language) or text.en)
