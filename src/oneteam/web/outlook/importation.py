"""Where imported cases come from: by country and week, or that it cannot be told; national totals and how they were forecast."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

import numpy as np

from oneteam.epidemic.report.countries import country
from oneteam.epidemic.report.voice import count, day_words, percent
from oneteam.web.outlook.charts import Band, Bar, BarsChart, Column, Origin, Series, SeriesChart, WorldChart, WrittenTable, finite
from oneteam.web.outlook.study_files import StudyFiles
from oneteam.web.outlook.words import say_in, told

RANKED: Final = 20


def world_chart(files: StudyFiles, language: str) -> WorldChart | None:
    """Expected imported cases by country, over all weeks and by week; None where no origin can be told."""
    study, found = files.study, files.origin_weeks
    imports = study.imports if study else None
    if imports is None or found is None or not imports.identifiable:
        return None
    say = say_in(language)
    whole = {str(o["origin"]): o for o in imports.origins}
    order = [str(o["origin"]) for o in imports.origins if str(o["origin"]) in found.origins]
    origins = []
    for code in order:
        at = found.origins.index(code)
        o = whole[code]
        origins.append(
            Origin(
                code=code,
                name=told(country(code), language),
                mean=(float(o["mean"]), *found.mean[:, at].tolist()),
                low=(float(o["low"]), *found.low[:, at].tolist()),
                high=(float(o["high"]), *found.high[:, at].tolist()),
            )
        )
    weeks = tuple(f"{(w - timedelta(days=6)).isoformat()} – {w.isoformat()[5:]}" for w in found.weeks)
    words = {"week": say("map.week"), "play": say("map.play"), "all": say("import.all")}
    return WorldChart(weeks=(say("import.all"), *weeks), origins=tuple(origins), unit=say("import.cases"), home=_home(files), words=words)


def _home(files: StudyFiles) -> tuple[float, float] | None:
    """Longitude and latitude of the middle of the study's zones."""
    if not files.zones:
        return None
    bounds = np.array([shape.bounds for shape in files.zones.values()])
    return float((bounds[:, 0].min() + bounds[:, 2].max()) / 2), float((bounds[:, 1].min() + bounds[:, 3].max()) / 2)


def origins_chart(files: StudyFiles, language: str) -> BarsChart | None:
    """Countries by expected imported cases over all weeks, with 95% intervals."""
    imports = files.study.imports if files.study else None
    if imports is None or not imports.identifiable or not imports.origins:
        return None
    bars = tuple(
        Bar(
            id=str(o["origin"]),
            label=told(country(str(o["origin"])), language),
            value=float(o["mean"]),
            low=float(o["low"]),
            high=float(o["high"]),
        )
        for o in imports.origins[:RANKED]
    )
    return BarsChart(unit=say_in(language)("import.cases"), kind="count", bars=bars)


def origins_table(files: StudyFiles, language: str) -> WrittenTable | None:
    """Countries with share, interval, rank and the chance to come first."""
    imports = files.study.imports if files.study else None
    if imports is None or not imports.identifiable:
        return None
    say = say_in(language)
    total = sum(float(o["mean"]) for o in imports.origins) or 1.0
    columns = (
        Column(id="origin", label=say("import.origin")),
        Column(id="expected", label=say("import.expected"), kind="count"),
        Column(id="interval", label=say("place.interval"), kind="count"),
        Column(id="share", label=say("import.share"), kind="share"),
        Column(id="first", label=say("import.first"), kind="share"),
    )
    rows = tuple(
        (
            told(country(str(o["origin"])), language),
            count(float(o["mean"])),
            f"{count(float(o['low']))}–{count(float(o['high']))}",
            percent(float(o["mean"]) / total),
            percent(float(o["probability_first"])),
        )
        for o in imports.origins[:RANKED]
    )
    return WrittenTable(columns=columns, rows=rows)


def totals_chart(files: StudyFiles, language: str) -> SeriesChart | None:
    """Imported cases that were found by week, and what had been forecast a week before."""
    imports = files.study.imports if files.study else None
    if imports is None or not len(imports.weeks):
        return None
    say = say_in(language)
    weeks = tuple(imports.weeks.tolist())
    found = Series(
        id="found", label=say("import.found"), kind="seen", days=weeks, middle=tuple(finite(v) for v in imports.observed.tolist())
    )
    low, middle, high = (tuple(finite(v) for v in column) for column in imports.quantiles.T.tolist())
    forecast = Series(
        id="forecast", label=say("place.forecast"), kind="past", days=weeks, middle=middle, bands=(Band(level=95, low=low, high=high),)
    )
    has = any(v is not None for v in middle)
    return SeriesChart(unit=say("import.cases"), series=(forecast, found) if has else (found,))


def period(files: StudyFiles, language: str) -> str:
    """From which day to which the importation tells, in words."""
    imports = files.study.imports if files.study else None
    if imports is None or not len(imports.weeks):
        return ""
    first, last = imports.weeks[0].item() - timedelta(days=6), imports.last_observed or imports.weeks[-1].item()
    return f"{told(day_words(first), language)} – {told(day_words(last), language)}"
