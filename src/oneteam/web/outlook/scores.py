"""How good past forecasts were: error against persistence, intervals, chances, by horizon, place and week."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any, Final

from oneteam.epidemic.report.study import Study
from oneteam.web.outlook.charts import (
    Bar,
    BarsChart,
    Bin,
    HistogramChart,
    MapChart,
    MapMode,
    Number,
    ReliabilityChart,
    Series,
    SeriesChart,
)
from oneteam.web.outlook.now import map_words
from oneteam.web.outlook.words import say_in, told

COVERAGES: Final = (50, 80, 95)
LISTED: Final = 40
"""More places than this are shown on a map."""


def models_chart(study: Study, language: str) -> BarsChart | None:
    """Relative WIS of every model that was scored; the one that is reported stands out."""
    if study.scores is None:
        return None
    rows = [m for m in study.scores["models"] if m.get("relative_wis") is not None]
    bars = tuple(
        Bar(id=str(m["model"]), label=short_model(str(m["model"])), value=float(m["relative_wis"]), strong=m["model"] == study.model)
        for m in sorted(rows, key=lambda m: float(m["relative_wis"]))
    )
    say = say_in(language)
    return BarsChart(unit=say("scores.relative"), bars=bars, reference=1.0, reference_label=say("scores.baseline"))


def short_model(model: str) -> str:
    """A model's name without the team's.

    >>> short_model("oneteam-boosted-shape")
    'boosted-shape'
    """
    return model.removeprefix("oneteam-")


def _rows(study: Study, part: str) -> list[Mapping[str, Any]]:
    rows = (study.scores or {}).get(part, [])
    return [row for row in rows if row["model"] == study.model and row.get("relative_wis") is not None]


def horizons_chart(study: Study, language: str) -> BarsChart | None:
    """Relative WIS of the reported model by weeks ahead."""
    say, rows = say_in(language), _rows(study, "by_horizon")
    if not rows:
        return None
    bars = tuple(Bar(id=str(r["horizon"]), label=say("scores.ahead", n=r["horizon"]), value=float(r["relative_wis"])) for r in rows)
    return BarsChart(unit=say("scores.relative"), bars=bars, reference=1.0, reference_label=say("scores.baseline"))


def places_chart(study: Study, language: str) -> BarsChart | None:
    """Relative WIS of the reported model by place, the best first; None where there are too many places for a list."""
    say, rows = say_in(language), _rows(study, "by_location")
    if not rows or len(rows) > LISTED:
        return None
    bars = tuple(
        Bar(
            id=str(r["location"]),
            label=told(study.named(str(r["location"])), language),
            value=float(r["relative_wis"]),
            href=f"/place/{r['location']}",
        )
        for r in sorted(rows, key=lambda r: float(r["relative_wis"]))
    )
    return BarsChart(unit=say("scores.relative"), bars=bars, reference=1.0, reference_label=say("scores.baseline"))


def places_map(study: Study, language: str) -> MapChart | None:
    """Relative WIS of the reported model by place, as a map."""
    say, rows = say_in(language), _rows(study, "by_location")
    if len(rows) <= LISTED:
        return None
    values: dict[str, Number] = {str(r["location"]): float(r["relative_wis"]) for r in rows}
    mode = MapMode(
        id="relative_wis",
        label=say("scores.relative"),
        kind="number",
        unit=f"{say('scores.relative')} (1: {say('scores.baseline')})",
        limits=(0.5, 0.75, 1.0, 1.5),
        layers=({p.code: values.get(p.code) for p in study.places},),
    )
    return MapChart(
        shapes_url="/api/v1/outlook/shapes/places",
        names={p.code: told(p.name, language) for p in study.places},
        weeks=(say("import.all"),),
        notes=("",),
        modes=(mode,),
        href="/place/",
        words=map_words(say),
    )


def weeks_chart(study: Study, language: str) -> SeriesChart | None:
    """WIS by reference date: the reported model and the baseline."""
    scores = study.scores
    if scores is None or not scores.get("by_week"):
        return None
    say = say_in(language)
    series = []
    for model, label, tone in ((study.model, short_model(study.model), 0), (scores["baseline"], say("scores.baseline"), 1)):
        rows = [r for r in scores["by_week"] if r["model"] == model]
        series.append(
            Series(
                id=str(model),
                label=label,
                kind="line",
                tone=1 if tone else 0,
                days=tuple(date.fromisoformat(r["reference_date"]) for r in rows),
                middle=tuple(float(r["wis"]) for r in rows),
            )
        )
    return SeriesChart(unit=say("scores.wis"), series=tuple(series))


def coverage_chart(study: Study, language: str) -> BarsChart | None:
    """Share of outcomes inside the 50, 80 and 95% intervals; the promised share is the end of the interval drawn."""
    row = study.score_row
    if row is None:
        return None
    say = say_in(language)
    bars = tuple(
        Bar(id=str(level), label=f"{level}%", value=float(row[f"coverage_{level}"]), low=level / 100, high=level / 100)
        for level in COVERAGES
    )
    return BarsChart(unit=say("scores.inside"), kind="share", bars=bars)


def reliability_chart(study: Study, language: str) -> ReliabilityChart | None:
    """Chances of reaching the threshold against how often it was reached."""
    row = study.score_row
    found = (row or {}).get("threshold_exceedance", {}).get("reliability")
    if not found:
        return None
    say = say_in(language)
    bins = tuple(
        Bin(forecast=float(b["forecast"]), observed=float(b["observed"]), low=b.get("low"), high=b.get("high"), tasks=int(b["tasks"]))
        for b in found
        if b["tasks"]
    )
    return ReliabilityChart(bins=bins, x_label=say("scores.forecast"), y_label=say("scores.observed"))


def pit_chart(study: Study, language: str) -> HistogramChart | None:
    """Where outcomes fell in the forecast distributions."""
    row = study.score_row
    shares = (row or {}).get("pit_histogram")
    if not shares:
        return None
    say, n = say_in(language), len(shares)
    return HistogramChart(
        edges=tuple(round(i / n, 6) for i in range(n + 1)),
        shares=tuple(float(s) for s in shares),
        expected=1 / n,
        x_label=say("scores.pit.x"),
        y_label=say("scores.pit.y"),
    )
