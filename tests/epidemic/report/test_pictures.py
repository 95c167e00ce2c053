"""Scales, paths, maps, charts, words: what is drawn is where the numbers say."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from datetime import date
from itertools import pairwise

import numpy as np
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st

from oneteam.core.errors import UnknownValueError
from oneteam.epidemic.engine.measures import AnyMeasure
from oneteam.epidemic.engine.scenario import Scenario
from oneteam.epidemic.report.charts import interval_picture
from oneteam.epidemic.report.maps import PROBABILITY, classes_of, flatten, map_picture
from oneteam.epidemic.report.measures import measures_words
from oneteam.epidemic.report.notes import in_korean
from oneteam.epidemic.report.svg import Axis, Picture, Table, band, log_ticks, month_marks, nice_ticks, svg
from oneteam.epidemic.report.voice import Voice, count, percent, same, topic, words

BOTH, ENGLISH = Voice(("en", "ko")), Voice(("en",))


def parsed(picture: Picture) -> ET.Element:
    return ET.fromstring(svg(picture, ENGLISH, "k", same("title <1>"), same("about & more")))


@given(st.floats(0, 1e6), st.floats(1e-3, 1e6), st.integers(2, 8))
def test_ticks_are_inside_and_few(low, span, wanted):
    ticks = nice_ticks(low, low + span, wanted)
    assert len(ticks) <= 2 * wanted + 2
    assert all(low - 1e-6 * span - 1e-9 * low <= t <= low + span * 1.000001 + 1e-9 * low for t in ticks)


@given(st.floats(1, 1e4), st.floats(30, 1e6))
def test_logarithmic_ticks_ascend_inside_the_range(low, ratio):
    ticks = log_ticks(low, low * ratio)
    assert ticks == sorted(set(ticks))
    assert all(low * 0.99 <= t <= low * ratio * 1.01 for t in ticks)
    assert 1 <= len(ticks) <= 8


@given(st.floats(-1e3, 1e3), st.floats(-1e3, 1e3))
def test_an_axis_keeps_the_order_and_its_ends(a, b):
    axis = Axis(-500.0, 500.0, 10.0, 90.0)
    assert 10 <= axis.at(a) <= 90
    assert (axis.at(a) - axis.at(b)) * (a - b) >= 0


def test_a_band_leaves_out_what_is_not_known():
    assert band([0, 1, 2], [1, float("nan"), 1], [2, 2, 2]) == "M0 1L2 1L2 2L0 2Z"
    assert band([0], [float("nan")], [1]) == ""


def test_marks_of_a_short_span_are_weeks():
    marks = month_marks(date(2022, 7, 1), date(2022, 8, 10))
    assert marks[-1] == date(2022, 8, 10)
    assert all((b - a).days % 7 == 0 for a, b in pairwise(marks))


def test_counts_and_probabilities_read_as_estimates():
    assert [count(v) for v in (0.0, 9.96, 999.6, 1234.0, -5.0, -0.004)] == ["0", "10", "1000", "1,230", "−5", "−0.004"]
    assert [percent(p) for p in (1.0, 0.5, 0.996, 0.994)] == [">99%", "50%", ">99%", "99%"]


def test_a_table_marks_headings_and_escapes_nothing_twice():
    html = Table((words("Place", "지역"), same("n")), [["<b>A</b>", "1"]], (False, True)).html(BOTH, same("cap"))
    assert '<th scope="row"><b>A</b></th><td class="n">1</td>' in html
    assert '<th scope="col" class="n">n</th>' in html
    assert "<caption>cap</caption>" in html


def test_every_picture_is_well_formed_and_says_what_it_shows():
    rows = [(words("A & B", "가"), 0.9, 1.1, 1.3), (same("C"), 1.1, 1.2, 1.4), (same("D"), float("nan"), float("nan"), float("nan"))]
    root = parsed(interval_picture(rows, BOTH, reference=1.0))
    space = "{http://www.w3.org/2000/svg}"
    assert root.get("role") == "img"
    assert root.get("aria-labelledby") == "k-t k-d"
    assert root.find(f"{space}title").text == "title <1>"
    assert root.find(f"{space}desc").text == "about & more"
    points = [c.get("class") for c in root.iter(f"{space}circle")]
    assert points == ["point across", "point above"]  # the row without a number has no point


def squares(*corners: tuple[float, float], size: float = 1.0) -> dict[str, shapely.Polygon]:
    return {f"{i:02d}": shapely.box(x, y, x + size, y + size) for i, (x, y) in enumerate(corners)}


def test_a_map_fills_its_width_and_neighbours_still_touch():
    flat = flatten(squares((126, 36), (127, 36), (126, 37)), width=200)
    bounds = shapely.total_bounds(np.array(list(flat.shapes.values()), dtype=object))
    assert bounds[[0, 1]] == pytest.approx([0, 0], abs=1e-6)
    assert bounds[2] == pytest.approx(200)
    assert flat.shapes["00"].intersection(flat.shapes["01"]).length > 50
    assert flat.shapes["02"].bounds[1] < flat.shapes["00"].bounds[1]  # north is up


def test_tiny_islands_go_but_never_a_whole_place():
    rock = shapely.box(131.8, 37.2, 131.801, 37.201)
    shapes = {"a": shapely.MultiPolygon([shapely.box(126, 36, 128, 37), rock]), "b": shapely.box(128, 36, 128.005, 36.005)}
    flat = flatten(shapes, width=300)
    assert len(shapely.get_parts(flat.shapes["a"])) == 1
    assert not flat.shapes["b"].is_empty


def test_colours_follow_the_classes_and_grey_is_no_data():
    values = {"00": 0.05, "01": 0.8}
    picture = map_picture(squares((126, 36), (127, 36), (128, 36)), values, PROBABILITY, {}, same("chance"), ENGLISH, numbered=["01"])
    assert re.findall(r'<path class="(q\d)" fill-rule', picture.body) == ["q1", "q5", "q0"]
    assert picture.body.count('class="disc"') == 1


def test_classes_are_round_and_cover_all():
    classes = classes_of([0.1, 0.5, 2.0, 9.0, 33.0, float("nan")])
    assert len(classes.labels) == len(classes.limits) + 1
    assert {classes.of(v) for v in (0.1, 33.0)} == {1, len(classes.labels)}
    assert classes_of([]).labels == ("",)
    assert classes_of([3.0, 3.0]).of(3.0) in {1, 2}


def test_languages():
    assert Voice.parse("ko").languages == ("ko",)
    assert ENGLISH.text(words("a", "가")) == "a"
    assert BOTH.plain(words("a", "가")) == "a · 가"
    for bad in ("fr", "en,en", ""):
        with pytest.raises(UnknownValueError, match="--lang"):
            Voice.parse(bad)


def test_particles_follow_the_last_syllable():
    assert topic("재택근무") == "재택근무는"
    assert topic("격리 감축") == "격리 감축은"


def measures(*tables: dict[str, object]) -> tuple[AnyMeasure, ...]:
    document = {
        "world": {"zones": "z.csv"},
        "model": {"preset": "seir"},
        "run": {"first_day": "2022-07-01"},
        "infected": [{"people": 1}],
        "measures": [{"from": "2022-07-04", **t} for t in tables],
    }
    return Scenario.model_validate(document).measures


def test_every_kind_of_measure_has_words_in_both_languages():
    kinds = (
        {"kind": "contacts", "setting": "work", "reduction": 0.5},
        {"kind": "close_schools"},
        {"kind": "work_from_home", "share": 0.3, "zones": ["11"], "to": "2022-07-31"},
        {"kind": "masks", "coverage": 0.8, "effectiveness": 0.5, "ages": [6, 18]},
        {"kind": "mobility", "reduction": 0.2},
        {"kind": "isolation", "share": 0.4},
        {"kind": "border", "reduction": 0.9},
        {"kind": "vaccination", "doses_per_day": 1000},
    )
    for kind in kinds:
        found = measures_words(measures(kind), date(2022, 7, 1), lambda code: words(f"P{code}", f"지{code}"))
        assert "4 July 2022" in found.en
        assert re.search("[가-힣]", found.ko)
    found = measures_words(measures(kinds[2]), date(2022, 7, 1), lambda _: words("Seoul", "서울"))
    assert found.en == "30% of workers working from home in Seoul from 4 July 2022 to 31 July 2022"
    assert found.ko == "2022년 7월 4일부터 2022년 7월 31일까지 서울에서 근로자 30% 재택근무"


def test_notes_that_are_not_known_stay_as_they_are():
    assert in_korean("something else").ko == "something else"
    assert in_korean("1 zone(s) without population: 37430 (Ulleung-gun). They stay in the results with nobody in them.").ko == (
        "인구가 없는 구역 1곳: 37430 (Ulleung-gun). 사람이 없는 채로 결과에 남김"
    )
