"""The first page: the map of risk by week, the ranking, the national fan."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Final

import numpy as np
import numpy.typing as npt

from oneteam.epidemic.report.maps import PROBABILITY, classes_of, outline
from oneteam.epidemic.report.study import HIGH, MIDDLE, PER, Place, Study
from oneteam.epidemic.report.voice import day_words
from oneteam.epidemic.scoring.exceedance import exceedance_probability
from oneteam.web.outlook.charts import Bar, BarsChart, MapChart, MapMode, Number, Shapes, finite
from oneteam.web.outlook.study_files import StudyFiles
from oneteam.web.outlook.words import Say, say_in, told

Floats = npt.NDArray[np.float64]

RANKED: Final = 10


def chances(study: Study, day: date, horizon: int, places: Sequence[Place] | None = None) -> dict[str, float]:
    """Probability of reaching the threshold by place, for one week; all places that are ranked unless some are named."""
    asked = study.places if places is None else places
    rows = [(p.code, study.row_of[key]) for p in asked if (key := (day, horizon, p.code)) in study.row_of and p.code in study.limits]
    if not rows:
        return {}
    limits = np.array([study.limits[code] for code, _ in rows])
    found = exceedance_probability(study.forecasts.take(np.array([row for _, row in rows])), limits)
    return {code: float(chance) for (code, _), chance in zip(rows, found, strict=True)}


def map_chart(files: StudyFiles, language: str) -> MapChart | None:
    """Places coloured by chance, by what is expected and by what could be, for the newest week and those ahead."""
    study = files.study
    if study is None:
        return None
    say = say_in(language)
    rated = all(p.population > 0 for p in study.places)
    scale = {p.code: PER / p.population if rated else 1.0 for p in study.places}
    last = {p.code: _last(study, p.code) for p in study.places}
    ahead: dict[int, dict[str, Number]] = {h: {**chances(study, study.reference_date, h)} for h in study.horizons}
    now_chance: dict[str, Number] = {
        code: float(value >= study.limits[code]) for code, value in last.items() if code in study.limits and np.isfinite(value)
    }
    quantiles = {h: {p.code: study.quantiles(study.reference_date, h, p.code) for p in study.places} for h in study.horizons}

    def layer(which: int) -> tuple[dict[str, Number], ...]:
        reported = {code: finite(value * scale[code]) for code, value in last.items()}
        return (
            reported,
            *({c: None if q is None else float(q[which]) * scale[c] for c, q in quantiles[h].items()} for h in study.horizons),
        )

    expected, upper = layer(MIDDLE), layer(HIGH)
    counted, tail = told(study.counted, language), "" if rated else ".count"
    limits = classes_of([v for part in (*expected, *upper[:2]) for v in part.values() if v is not None]).limits
    modes = (
        MapMode(
            id="chance",
            label=say("map.mode.chance"),
            kind="chance",
            unit=say("map.unit.chance", rule=told(study.rule, language)),
            limits=PROBABILITY.limits,
            layers=(now_chance, *(ahead[h] for h in study.horizons)),
        ),
        MapMode(
            id="expected",
            label=say("map.mode.expected"),
            kind="count",
            unit=say(f"map.unit.expected{tail}", counted=counted),
            limits=limits,
            layers=expected,
        ),
        MapMode(
            id="upper",
            label=say("map.mode.upper"),
            kind="count",
            unit=say(f"map.unit.upper{tail}", counted=counted),
            limits=limits,
            layers=upper,
        ),
    )
    return MapChart(
        shapes_url="/api/v1/outlook/shapes/places",
        names={p.code: told(p.name, language) for p in study.places},
        weeks=(say("map.today"), *(say("map.ahead", n=h) for h in study.horizons)),
        start=1 + study.horizons.index(study.horizon),
        notes=week_notes(study, say, language),
        modes=modes,
        href="/place/",
        words=map_words(say),
    )


def map_words(say: Say) -> dict[str, str]:
    """What a map says of itself."""
    return {key: say(f"map.{key}") for key in ("week", "play", "mode", "unknown", "region")}


def week_notes(study: Study, say: Say, language: str) -> tuple[str, ...]:
    """A sentence for each layer: which week, and whether reported or expected."""
    newest = told(day_words(study.known.last_week), language)
    return (
        say("map.note.today", day=newest),
        *(say("map.note.ahead", day=told(day_words(study.reference_date + timedelta(days=7 * h)), language)) for h in study.horizons),
    )


def _last(study: Study, code: str) -> float:
    known = study.reported(code)
    known = known[np.isfinite(known)]
    return float(known[-1]) if len(known) else float("nan")


def shapes(files: StudyFiles, which: str) -> Shapes | None:
    """Outlines of the forecast's places (``places``) or of zones (``zones``) on the page."""
    flat = files.flat_places if which == "places" else files.flat_zones
    if flat is None:
        return None
    paths = {code: outline(shape) for code, shape in flat.shapes.items()}
    points = {code: shape.representative_point() for code, shape in flat.shapes.items()}
    centres = {code: (round(float(p.x), 1), round(float(p.y), 1)) for code, p in points.items()}
    bounds = np.array([shape.bounds for shape in flat.shapes.values()])
    return Shapes(width=float(bounds[:, 2].max()), height=float(flat.height), paths=paths, centres=centres)


def ranking(files: StudyFiles, language: str) -> BarsChart | None:
    """The likeliest places of the week that is asked about."""
    study = files.study
    if study is None:
        return None
    bars = tuple(
        Bar(id=o.place.code, label=told(o.place.name, language), value=o.probability, href=f"/place/{o.place.code}")
        for o in study.outlooks[:RANKED]
        if o.probability is not None
    )
    return BarsChart(unit="", kind="chance", bars=bars)
