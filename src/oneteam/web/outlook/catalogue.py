"""Every chart of the analysis pages by its name: how it is made, drawn, put into a table, and what it is called."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache
from typing import Any, Final, Literal

from oneteam.epidemic.report.study import Place, Study
from oneteam.epidemic.report.voice import day_words, words
from oneteam.web.outlook import importation, mobility, now, place, scores
from oneteam.web.outlook.charts import (
    BarsChart,
    ChartDocument,
    FlowsChart,
    Grid,
    HistogramChart,
    MapChart,
    ReliabilityChart,
    ScatterChart,
    SeriesChart,
    Shapes,
    WorldChart,
    WrittenTable,
)
from oneteam.web.outlook.study_files import StudyFiles
from oneteam.web.outlook.words import Say, say_in

API: Final = "/api/v1/outlook"
LONG: Final = 60
"""Longer tables come when they are opened, so that the page itself stays light."""


@dataclass(frozen=True)
class Asked:
    """What a chart is asked for: the study, the language, and where it needs them a place or a period."""

    files: StudyFiles
    language: str
    place: Place | None = None
    period: int = -1

    @property
    def say(self) -> Say:
        """Words in the language."""
        return say_in(self.language)


@dataclass(frozen=True)
class Chart:
    """A chart.

    Args:
        name: its address below the API, and its id on the page.
        island: what draws it.
        document: what it is drawn from.
        title: key of its title.
        about: key of the sentence below; empty for none.
        build: makes the document; None where there is nothing to draw.
        needs: what it is asked for beside the study.
    """

    name: str
    island: str
    document: type[ChartDocument]
    title: str
    about: str
    build: Callable[[Asked], ChartDocument | None]
    needs: Literal["", "place", "period"] = ""


@dataclass(frozen=True)
class Figure:
    """A chart on a page: what the macro ``figure`` is given; a long table is fetched from `later` when it is opened."""

    id: str
    island: str
    title: str
    about: str
    url: str
    csv: str
    table: WrittenTable
    later: str = ""


def _of_study(build: Callable[[Study, str], ChartDocument | None]) -> Callable[[Asked], ChartDocument | None]:
    return lambda asked: None if asked.files.study is None else build(asked.files.study, asked.language)


def _of_place(build: Callable[[Asked, Study, Place], ChartDocument | None]) -> Callable[[Asked], ChartDocument | None]:
    def built(asked: Asked) -> ChartDocument | None:
        study = asked.files.study
        if study is None:
            return None
        where = asked.place or study.whole
        return None if where is None else build(asked, study, where)

    return built


CHARTS: Final[Mapping[str, Chart]] = {
    chart.name: chart
    for chart in (
        Chart("map", "map", MapChart, "now.map", "now.map.about", lambda a: now.map_chart(a.files, a.language)),
        Chart("ranking", "bars", BarsChart, "now.ranking", "", lambda a: now.ranking(a.files, a.language)),
        Chart(
            "national",
            "series",
            SeriesChart,
            "now.national",
            "place.fan.about",
            _of_place(lambda a, s, _: place.fan_chart(s, s.whole, a.language) if s.whole else None),
        ),
        Chart(
            "fan",
            "series",
            SeriesChart,
            "place.fan",
            "place.fan.about",
            _of_place(lambda a, s, p: place.fan_chart(s, p, a.language)),
            "place",
        ),
        Chart(
            "past",
            "series",
            SeriesChart,
            "place.past",
            "place.past.about",
            _of_place(lambda a, s, p: place.past_chart(s, p, a.language)),
            "place",
        ),
        Chart("rt", "series", SeriesChart, "place.rt", "place.rt.about", _of_place(lambda _, s, p: place.rt_chart(s, p)), "place"),
        Chart(
            "feeds",
            "bars",
            BarsChart,
            "place.feeds",
            "place.feeds.about",
            _of_place(lambda a, _, p: place.feeding_chart(a.files, p, a.language)),
            "place",
        ),
        Chart("world", "world", WorldChart, "import.world", "import.world.about", lambda a: importation.world_chart(a.files, a.language)),
        Chart("origins", "bars", BarsChart, "import.rank", "import.rank.about", lambda a: importation.origins_chart(a.files, a.language)),
        Chart(
            "imports", "series", SeriesChart, "import.total", "import.total.about", lambda a: importation.totals_chart(a.files, a.language)
        ),
        Chart(
            "flows",
            "flows",
            FlowsChart,
            "mobility.map",
            "mobility.map.about",
            lambda a: mobility.flows_chart(a.files, a.language, a.period),
            "period",
        ),
        Chart(
            "pairs",
            "bars",
            BarsChart,
            "mobility.pairs",
            "mobility.pairs.about",
            lambda a: mobility.pairs_chart(a.files, a.language, a.period),
            "period",
        ),
        Chart(
            "noise",
            "scatter",
            ScatterChart,
            "mobility.noise",
            "mobility.noise.std",
            lambda a: mobility.noise_chart(a.files, a.language, a.period),
            "period",
        ),
        Chart(
            "trips", "series", SeriesChart, "mobility.weeks", "mobility.weeks.about", lambda a: mobility.periods_chart(a.files, a.language)
        ),
        Chart("models", "bars", BarsChart, "scores.models", "scores.models.about", _of_study(scores.models_chart)),
        Chart("horizons", "bars", BarsChart, "scores.horizon", "scores.horizon.about", _of_study(scores.horizons_chart)),
        Chart("place-scores", "bars", BarsChart, "scores.place", "scores.horizon.about", _of_study(scores.places_chart)),
        Chart("place-scores-map", "map", MapChart, "scores.place", "scores.horizon.about", _of_study(scores.places_map)),
        Chart("weeks", "series", SeriesChart, "scores.week", "scores.week.about", _of_study(scores.weeks_chart)),
        Chart("coverage", "bars", BarsChart, "scores.coverage", "scores.coverage.about", _of_study(scores.coverage_chart)),
        Chart(
            "reliability",
            "reliability",
            ReliabilityChart,
            "scores.reliability",
            "scores.reliability.about",
            _of_study(scores.reliability_chart),
        ),
        Chart("pit", "histogram", HistogramChart, "scores.pit", "scores.pit.about", _of_study(scores.pit_chart)),
    )
}


@lru_cache(maxsize=256)
def document(name: str, asked: Asked) -> ChartDocument | None:
    """A chart's document; kept as long as the study's files stay as they are."""
    return CHARTS[name].build(asked)


@lru_cache(maxsize=8)
def outlines(files: StudyFiles, which: str) -> Shapes | None:
    """Outlines of places or zones; kept likewise."""
    return now.shapes(files, which)


def grid(made: ChartDocument, say: Say) -> Grid:  # noqa: PLR0911  one line for each kind of chart
    """The numbers of a chart as a table."""
    match made:
        case SeriesChart():
            return made.grid(say("place.day"), say("place.value"), say("place.series"))
        case BarsChart():
            return made.grid(say("place.name"), made.unit or say("place.value"))
        case MapChart():
            return made.grid(say("place.name"), say("place.code"))
        case WorldChart():
            return made.grid(say("place.week"), say("import.origin"), say("import.expected"))
        case FlowsChart():
            return made.grid([say(f"mobility.{key}") for key in ("from", "to", "unit", "sd", "exact")])
        case ScatterChart():
            return made.grid(say("mobility.pair"))
        case ReliabilityChart():
            return made.grid(say("scores.tasks"))
        case HistogramChart():
            return made.grid()
    raise AssertionError(type(made))


def figure(name: str, asked: Asked, *, about: str | None = None, **filled: Any) -> Figure | None:
    """A chart on a page; None where there is nothing to draw.

    Args:
        name: of the chart.
        asked: what it is asked for.
        about: key of another sentence than the chart's own.
        filled: what the braces in the sentence stand for.
    """
    chart, made = CHARTS[name], document(name, asked)
    if made is None:
        return None
    say = asked.say
    table = grid(made, say)
    if isinstance(made, WorldChart):
        # The page shows the sum over all weeks; the file has every week.
        table = Grid(columns=table.columns, rows=table.rows[: len(made.origins)])
    url = f"{API}/{name}"
    if chart.needs == "place" and asked.place is not None:
        url = f"{API}/place/{asked.place.code}/{name}"
    query = f"period={asked.period}" if chart.needs == "period" else ""
    key = chart.about if about is None else about
    return Figure(
        f"chart-{name}",
        chart.island,
        say(chart.title),
        say(key, **filled) if key else "",
        f"{url}?{query}" if query else url,
        f"{url}?{query}{'&' if query else ''}format=csv",
        table.written(),
        f"/numbers/{name}?{query}" if len(table.rows) > LONG and chart.needs != "place" else "",
    )


def rule_about(study: Study, language: str) -> str:
    """What a chance is the chance of, and when."""
    day = day_words(study.reference_date + timedelta(days=7 * study.horizon))
    text = words(f"Chance of {study.rule.en} in the week to {day.en}.", f"{day.ko}까지 한 주에 {study.rule.ko}에 이를 확률.")
    return text.ko if language == "ko" else text.en
