"""View models against numbers worked out another way."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import pyarrow as pa
import pytest

from oneteam.epidemic.hub.levels import LEVELS
from oneteam.store.tables import write_parquet
from oneteam.web.outlook import mobility, now, place, scores
from oneteam.web.outlook.catalogue import CHARTS, Asked, document, figure, grid
from oneteam.web.outlook.study_files import StudyFiles
from oneteam.web.outlook.words import WORDS, say_in
from tests.web.outlook.studies import LAST, ORIGINS


def test_the_map_shows_what_the_sentence_says(files):
    made = now.map_chart(files, "en")
    chance = made.modes[0].layers
    assert len(chance) == len(made.weeks) == len(made.notes) == 5
    assert made.start == files.study.horizon
    for outlook in files.study.outlooks:
        assert chance[made.start][outlook.place.code] == pytest.approx(outlook.probability)
        rate = 1e5 * outlook.median / outlook.place.population
        assert made.modes[1].layers[made.start][outlook.place.code] == pytest.approx(rate)
        assert chance[0][outlook.place.code] == float(outlook.last >= files.study.limits[outlook.place.code])


def test_probabilities_grow_where_the_threshold_sinks(files):
    first = files.study.places[0]
    by_limit = []
    for factor in (0.5, 1.0, 2.0):
        study = files.study
        lowered = {code: limit * factor for code, limit in study.limits.items()}
        from dataclasses import replace

        by_limit.append(now.chances(replace(study, limits=lowered), study.reference_date, 1, (first,))[first.code])
    assert by_limit == sorted(by_limit, reverse=True)


def test_a_fan_opens_forward_with_nested_bands(files):
    where = files.study.places[3]
    seen, fan = place.fan_chart(files.study, where, "en").series
    assert seen.days[-1] == LAST
    assert fan.days == tuple(LAST + timedelta(days=7 * h) for h in (1, 2, 3, 4))
    assert [b.level for b in fan.bands] == [95, 80, 50]
    for wide, narrow in zip(fan.bands, fan.bands[1:], strict=False):
        assert all(a <= b for a, b in zip(wide.low, narrow.low, strict=True))
        assert all(a >= b for a, b in zip(wide.high, narrow.high, strict=True))
    quantiles = files.study.quantiles(LAST, 1, where.code)
    assert fan.bands[1].low[0] == quantiles[LEVELS.index(0.1)]


def test_past_forecasts_stand_beside_what_came(files):
    where = files.study.places[0]
    forecast, came = place.past_chart(files.study, where, "en").series
    truth = dict(zip(files.study.truth.weeks.tolist(), files.study.series(where.code).tolist(), strict=True))
    assert forecast.days == came.days
    assert list(came.middle) == [truth[day] for day in came.days]


def small(folder, rows, **columns):
    write_parquet(
        folder / "od.parquet",
        pa.table({"first_day": pa.array([LAST] * rows, pa.date32()), "last_day": pa.array([LAST] * rows, pa.date32()), **columns}),
    )


def test_infection_comes_in_with_trips_from_where_it_is_common(study):
    (study / "mobility" / "od.parquet").unlink()
    opened = StudyFiles(study)
    a, b, c = (p for p in opened.study.places[:3])
    small(
        study / "mobility", 4, origin=[a.code, b.code, c.code, a.code], destination=[c.code, c.code, c.code, b.code],
        trips_per_day=[100.0, 300.0, 1e6, 5e5],
    )  # fmt: skip
    opened = StudyFiles(study)
    rate = {p.code: opened.study.reported(p.code)[-1] / p.population for p in (a, b)}
    expected = 100 * rate[a.code] / (100 * rate[a.code] + 300 * rate[b.code])
    chart = place.feeding_chart(opened, c, "en")
    assert {bar.id: bar.value for bar in chart.bars}[a.code] == pytest.approx(expected)
    assert sum(bar.value for bar in chart.bars) == pytest.approx(1.0)
    assert place.feeding_chart(opened, a, "en") is None


def test_noise_is_told_from_the_releases_alone_and_against_exact_numbers(study):
    columns = {"origin": ["x", "y", "x"], "destination": ["y", "x", "x"], "trips_per_day": [110.0, 40.0, 9e9], "std": [10.0, 8.0, 1.0]}
    small(study / "mobility", 3, **columns)
    opened = StudyFiles(study)
    facts = {f.label: f.value for f in mobility.noise_facts(opened, "en")}
    assert facts["Pairs released"] == "2"
    assert facts["Typical noise"] == "9"
    assert facts["Trips with noise below 10%"] == "73%"
    assert not mobility.has_released(opened)
    assert not mobility.noise_chart(opened, "en").diagonal
    small(study / "mobility", 3, **columns, raw=[100.0, 50.0, 1.0])
    opened = StudyFiles(study)
    assert {f.label: f.value for f in mobility.noise_facts(opened, "en")}["Moved by repair"] == "15%"
    dots = mobility.noise_chart(opened, "en").dots
    assert [(d.x, d.y) for d in dots] == [(50.0, 40.0), (100.0, 110.0)]
    low, high = mobility.pairs_chart(opened, "en").bars[0].low, mobility.pairs_chart(opened, "en").bars[0].high
    assert (low, high) == pytest.approx((110 - 19.6, 110 + 19.6), abs=0.01)


def test_all_trips_carry_the_noise_of_all_pairs(files):
    chart = mobility.periods_chart(files, "en")
    trips = files.trips.of_period(files.trips.periods[0])
    assert chart.series[0].middle[0] == pytest.approx(trips.trips.sum())
    band = chart.series[0].bands[0]
    assert band.high[0] - band.low[0] == pytest.approx(2 * 1.959964 * 6.0 * np.sqrt(len(trips.trips)))


def test_weeks_of_origins_add_up_to_the_ranking(files):
    world = document("world", Asked(files, "ko"))
    assert {o.code for o in world.origins} == set(ORIGINS)
    for origin in world.origins:
        assert origin.mean[0] == pytest.approx(sum(origin.mean[1:]))
    assert [o.mean[0] for o in world.origins] == sorted((o.mean[0] for o in world.origins), reverse=True)
    assert world.origins[0].name == "베트남"
    assert 126 < world.home[0] < 129


def test_scores_are_those_of_the_score_command(files):
    told = {m["model"]: m for m in files.study.scores["models"]}
    bars = {b.id: b for b in scores.models_chart(files.study, "en").bars}
    assert {model: b.value for model, b in bars.items()} == {m: pytest.approx(row["relative_wis"]) for m, row in told.items()}
    assert bars["oneteam-ensemble"].strong
    assert sum(scores.pit_chart(files.study, "en").shares) == pytest.approx(1.0, abs=1e-4)
    assert scores.places_map(files.study, "en") is None


def test_regions_are_joined_from_zones_where_forecasts_are_of_regions(files, study):
    codes = {p.code for p in files.study.places}
    assert set(files.place_shapes) == codes
    outline = now.shapes(files, "places")
    assert set(outline.paths) == codes
    assert all(0 <= x <= outline.width and 0 <= y <= outline.height for x, y in outline.centres.values())


@pytest.mark.parametrize("name", list(CHARTS))
@pytest.mark.parametrize("language", ["en", "ko"])
def test_every_chart_has_words_and_as_many_cells_as_columns(files, name, language):
    where = files.study.places[0]
    asked = Asked(files, language, where)
    drawn = figure(name, asked, n=2, model="ensemble")
    if name == "place-scores-map":
        assert drawn is None
        return
    table = grid(document(name, asked), asked.say)
    assert table.rows
    assert all(len(row) == len(table.columns) for row in table.rows)
    assert "{" not in drawn.title + drawn.about


def test_both_languages_fill_in_the_same_names():
    import re

    for key, text in WORDS.items():
        assert text.ko, key
        assert set(re.findall(r"{(\w+)}", text.en)) == set(re.findall(r"{(\w+)}", text.ko)), key
    assert say_in("en")("map.ahead", n=3) == "+3 wk"
