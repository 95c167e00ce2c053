"""One place: what was reported and is expected, Rt, past forecasts and what came, which places feed it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

import numpy as np

from oneteam.epidemic.hub.levels import LEVELS
from oneteam.epidemic.report.fans import past_forecasts
from oneteam.epidemic.report.study import HIGH, LOW, MIDDLE, PER, Place, Study
from oneteam.epidemic.report.voice import count, day_words, percent, points
from oneteam.web.outlook.charts import Band, Bar, BarsChart, Column, Series, SeriesChart, WrittenTable, finite
from oneteam.web.outlook.mobility import newest
from oneteam.web.outlook.now import chances
from oneteam.web.outlook.study_files import StudyFiles
from oneteam.web.outlook.words import say_in, told

WEEKS_BACK: Final = 18
RT_DAYS: Final = 180
FEEDING: Final = 10
BANDS: Final = ((95, LOW, HIGH), (80, LEVELS.index(0.1), LEVELS.index(0.9)), (50, LEVELS.index(0.25), LEVELS.index(0.75)))


@dataclass(frozen=True)
class PlaceHead:
    """What stands at the top of a place's page, already written."""

    code: str
    name: str
    rank: str
    chance: str
    change: str
    last: str
    last_rate: str
    rising: str
    rt: str
    people: str


def find_place(study: Study, asked: str) -> Place | None:
    """A place by its code or its name in either language; the start of a name is enough where it is the only one.

    Args:
        study: holds the places.
        asked: as typed.
    """
    everywhere: tuple[Place, ...] = (*study.places, *((study.whole,) if study.whole else ()))
    wanted = asked.strip().casefold()
    wanted = wanted.rpartition("(")[2].rstrip(")") if wanted.endswith(")") else wanted
    exact = [p for p in everywhere if wanted in {p.code.casefold(), p.name.en.casefold(), p.name.ko.casefold()}]
    if exact:
        return exact[0]
    starts = [p for p in everywhere if wanted and (p.name.en.casefold().startswith(wanted) or p.name.ko.startswith(wanted))]
    return starts[0] if len(starts) == 1 else None


def like(name: str, asked: str) -> bool:
    """Whether a name holds every word that was typed.

    >>> like("North Gyeongsang 1", "gyeong north"), like("Busan 1", "atlantis"), like("Busan 1", " ")
    (True, False, False)
    """
    wanted = asked.casefold().split()
    return bool(wanted) and all(word in name.casefold() for word in wanted)


def by_name(name: str) -> list[tuple[int, str]]:
    """Sorts as people count: "Busan 2" before "Busan 10".

    >>> sorted(["Busan 10", "Busan 2", "3동", "All places"], key=by_name)
    ['3동', 'All places', 'Busan 2', 'Busan 10']
    """
    return [(int(part), "") if part.isdecimal() else (-1, part.casefold()) for part in re.split(r"(\d+)", name)]


def head(study: Study, place: Place, language: str) -> PlaceHead:
    """The figures at the top of the page."""
    say, outlook = say_in(language), study.outlook(place)
    ranked = [o.place.code for o in study.outlooks]
    series = study.rt.get(place.code)
    rt = "–"
    if series is not None and len(series.median):
        rt = f"{series.median[-1]:.2f} ({series.low[-1]:.2f}–{series.high[-1]:.2f})"
    last = outlook.last if outlook else float("nan")
    return PlaceHead(
        place.code,
        told(place.name, language),
        say("place.rank", n=ranked.index(place.code) + 1, all=len(ranked)) if place.code in ranked else "",
        "–" if outlook is None or outlook.probability is None else percent(outlook.probability),
        "" if outlook is None or outlook.change is None else say("place.points", value=points(outlook.change)),
        f"{last:,.0f}" if np.isfinite(last) else "–",
        say("place.rate.of", value=count(PER * last / place.population)) if np.isfinite(last) and place.population > 0 else "",
        "–" if outlook is None or not np.isfinite(outlook.rising) else percent(outlook.rising),
        rt,
        f"{place.population:,.0f}" if place.population > 0 else "–",
    )


def fan_chart(study: Study, place: Place, language: str) -> SeriesChart:
    """Reported weeks, and the weeks ahead with 95, 80 and 50% intervals."""
    say = say_in(language)
    days = study.known.weeks[-WEEKS_BACK:].tolist()
    values = study.reported(place.code)[-WEEKS_BACK:].tolist()
    seen = Series(id="reported", label=say("place.reported"), kind="seen", days=tuple(days), middle=tuple(finite(v) for v in values))
    ahead = [(h, q) for h in study.horizons if (q := study.quantiles(study.reference_date, h, place.code)) is not None]
    fan = Series(
        id="forecast",
        label=say("place.forecast"),
        kind="fan",
        days=tuple(study.reference_date + timedelta(days=7 * h) for h, _ in ahead),
        middle=tuple(float(q[MIDDLE]) for _, q in ahead),
        bands=tuple(
            Band(level=level, low=tuple(float(q[a]) for _, q in ahead), high=tuple(float(q[b]) for _, q in ahead)) for level, a, b in BANDS
        ),
    )
    limit = study.limits.get(place.code)
    return SeriesChart(
        unit=told(study.counted, language),
        series=(seen, fan),
        threshold=limit,
        threshold_label=say("place.threshold") if limit is not None else "",
        now=study.known.last_week,
        now_label=say("place.known"),
    )


def past_chart(study: Study, place: Place, language: str) -> SeriesChart | None:
    """Forecasts of single past weeks, made as many weeks before as is asked about, and what came."""
    say, past = say_in(language), past_forecasts(study, place)
    if not past:
        return None
    days = tuple(p.day for p in past)
    bars = Series(
        id="forecast",
        label=say("place.forecast"),
        kind="past",
        days=days,
        middle=tuple(float(p.quantiles[MIDDLE]) for p in past),
        bands=tuple(
            Band(level=level, low=tuple(float(p.quantiles[a]) for p in past), high=tuple(float(p.quantiles[b]) for p in past))
            for level, a, b in (BANDS[0], BANDS[2])
        ),
    )
    came = Series(id="came", label=say("place.came"), kind="seen", days=days, middle=tuple(float(p.observed) for p in past))
    limit = study.limits.get(place.code)
    return SeriesChart(
        unit=told(study.counted, language), series=(bars, came), threshold=limit, threshold_label=say("place.threshold") if limit else ""
    )


def rt_chart(study: Study, place: Place) -> SeriesChart | None:
    """Reproduction number of the newest days with its 95% interval; the country's for the country."""
    series = study.rt.get(place.code)
    if series is None and study.whole is not None and place.code == study.whole.code:
        series = study.rt.get("ALL")
    if series is None or not len(series.days):
        return None
    cut = slice(-RT_DAYS, None)
    ribbon = Series(
        id="rt",
        label="Rt",
        kind="fan",
        days=tuple(series.days[cut].tolist()),
        middle=tuple(finite(v) for v in series.median[cut].tolist()),
        bands=(
            Band(
                level=95, low=tuple(finite(v) for v in series.low[cut].tolist()), high=tuple(finite(v) for v in series.high[cut].tolist())
            ),
        ),
    )
    return SeriesChart(unit="Rt", series=(ribbon,), threshold=1.0, threshold_label="1", from_zero=False)


def feeding_chart(files: StudyFiles, place: Place, language: str) -> BarsChart | None:
    """Places whose people bring infection in: trips into the place times the newest rate of cases at their origin.

    Where origins are zones and the place is a region, zones are joined to regions. Without cases at an origin, its share of trips counts.
    """
    study, now = files.study, newest(files)
    if study is None or now is None:
        return None
    region = {zone: str(row.get("region") or "") for zone, row in files.zone_rows.items()}
    known = {p.code for p in study.places}

    def joined(code: str) -> str:
        return code if code in known else region.get(code, code)

    inside = [code for code in {*np.unique(now.destination).tolist()} if joined(code) == place.code]
    rows = np.flatnonzero(np.isin(now.destination, inside) & (now.trips > 0))
    rates = {p.code: _rate(study, p) for p in study.places}
    force: dict[str, float] = {}
    for origin, n in zip(map(joined, now.origin[rows].tolist()), now.trips[rows].tolist(), strict=True):
        if origin != place.code:
            force[origin] = force.get(origin, 0.0) + n * rates.get(origin, 0.0)
    total = sum(force.values())
    if total <= 0:
        return None
    top = sorted(force.items(), key=lambda item: -item[1])[:FEEDING]
    bars = tuple(
        Bar(id=code, label=told(files.name(code), language), value=value / total, href=f"/place/{code}" if code in known else None)
        for code, value in top
    )
    return BarsChart(unit="", kind="share", bars=bars)


def _rate(study: Study, place: Place) -> float:
    values = study.reported(place.code)
    values = values[np.isfinite(values)]
    return float(values[-1]) / place.population if len(values) and place.population > 0 else 0.0


def week_table(study: Study, place: Place, language: str) -> WrittenTable:
    """Each week ahead: chance, expectation, interval, rate."""
    say = say_in(language)
    columns = (
        Column(id="week", label=say("place.week"), kind="day"),
        Column(id="chance", label=say("place.chance"), kind="share"),
        Column(id="expected", label=say("place.expected"), kind="count"),
        Column(id="interval", label=say("place.interval"), kind="count"),
        Column(id="rate", label=say("place.rate"), kind="count"),
    )
    rows = []
    for h in study.horizons:
        q = study.quantiles(study.reference_date, h, place.code)
        if q is None:
            continue
        chance = chances(study, study.reference_date, h, (place,)).get(place.code)
        rate = count(PER * float(q[MIDDLE]) / place.population) if place.population > 0 else "–"
        rows.append(
            (
                told(day_words(study.reference_date + timedelta(days=7 * h)), language),
                "–" if chance is None else percent(chance),
                count(float(q[MIDDLE])),
                f"{count(float(q[LOW]))}–{count(float(q[HIGH]))}",
                rate,
            )
        )
    return WrittenTable(columns=columns, rows=tuple(rows))
