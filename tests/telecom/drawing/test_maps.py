"""Drawings: zones made ready, colours, legends, maps and charts."""

import numpy as np
import pyarrow as pa
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.collections import PathCollection, PolyCollection

from oneteam.core.errors import NothingFoundError
from oneteam.telecom.drawing import lettering as lettering_module
from oneteam.telecom.drawing.canvas import NO_DATA, Caption, class_limits, colour_scale
from oneteam.telecom.drawing.charts import bar_chart, line_chart
from oneteam.telecom.drawing.lettering import Lettering, number
from oneteam.telecom.drawing.map_zones import MapZones
from oneteam.telecom.drawing.maps import Flows, choropleth, flow_map
from oneteam.telecom.schemas import ZONES

EN = Lettering("en", ("DejaVu Sans",))
CAPTION = Caption("Title", "1 January 2020", "trips", "test")


def grid(side=4, *, shaped=True, extra=()):
    """Squares of 0.1 degrees about 127 E 37 N, and further boxes."""
    boxes = [(127 + 0.1 * i, 37 + 0.1 * j, 127.1 + 0.1 * i, 37.1 + 0.1 * j) for i in range(side) for j in range(side)]
    rows = []
    for number_, box in enumerate([*boxes, *extra]):
        shape = shapely.box(*box)
        rows.append(
            dict.fromkeys(ZONES.names)
            | {"zone": number_, "code": f"{number_:03d}", "region": "west" if box[0] < 127.15 else "east", "population": 100.0}
            | {"longitude": shape.centroid.x, "latitude": shape.centroid.y, "geometry": shapely.to_wkb(shape) if shaped else None}
        )
    return pa.Table.from_pylist(rows, schema=ZONES)


def texts(figure):
    found = [text.get_text() for text in figure.texts]
    return found + [text.get_text() for axes in figure.axes for text in axes.texts]


def faces(figure, axes=0):
    """Colours of the zones of the map."""
    return next(c for c in figure.axes[axes].collections if isinstance(c, PathCollection)).get_facecolor()


def test_areas_in_square_kilometres():
    zones = MapZones.of(grid())
    # 0.1 by 0.1 degrees at 37 N.
    assert zones.area_km2[0] == pytest.approx(0.1 * 111.19 * 0.1 * 111.19 * np.cos(np.radians(37.05)), rel=1e-3)
    assert [b.geom_type for b in zones.borders] == ["Polygon", "Polygon"]


def test_zones_without_polygon_get_a_region_of_their_own():
    zones = MapZones.of(grid(shaped=False))
    assert np.isnan(zones.area_km2).all()
    tree = shapely.STRtree(zones.shapes)
    assert sorted(map(tuple, tree.query(shapely.points(zones.points), predicate="within").T)) == [(i, i) for i in range(16)]
    overlap = sum(s.area for s in zones.shapes) - shapely.union_all(zones.shapes).area
    assert overlap == pytest.approx(0, abs=1e-3 * zones.shapes[0].area)


def test_a_zone_far_off_is_drawn_nearer_at_the_same_scale():
    away = (131.0, 37.4, 131.1, 37.5)
    near, far = MapZones.of(grid()), MapZones.of(grid(extra=[away]))
    assert near.frames == ()
    assert len(far.frames) == 1
    west, south, east, north = far.frames[0]
    assert shapely.box(west, south, east, north).contains(far.shapes[16])
    assert shapely.box(west, south, east, north).contains(shapely.Point(far.points[16]))
    assert far.shapes[16].area / 1e6 == pytest.approx(far.area_km2[16])
    assert not any(shapely.box(west, south, east, north).intersects(shape) for shape in far.shapes[:16])
    width = far.window()[2] - far.window()[0]
    assert width < 100_000


def test_a_large_zone_at_the_edge_stays_where_it_is():
    assert MapZones.of(grid(extra=[(127.4, 37.0, 128.0, 37.4)])).frames == ()


def test_no_place_at_all():
    bare = grid(shaped=False)
    for name in ("latitude", "longitude"):
        bare = bare.set_column(bare.column_names.index(name), ZONES.field(name), pa.nulls(16, pa.float64()))
    with pytest.raises(NothingFoundError):
        MapZones.of(bare)


def test_choropleth_colours_by_value_and_greys_what_is_unknown():
    values = np.arange(16.0)
    values[3] = np.nan
    figure = choropleth(MapZones.of(grid()), values, CAPTION, EN)
    colours = faces(figure)
    assert len(colours) == 16
    lightness = colours[:, :3] @ [0.2126, 0.7152, 0.0722]
    known = np.delete(lightness, 3)
    assert (np.diff(known) <= 1e-9).all(), "higher is darker"
    assert known[0] - known[-1] > 0.6
    from matplotlib.colors import to_rgba

    assert tuple(colours[3]) == to_rgba(NO_DATA)
    assert {"Title", "1 January 2020", "Trips", "no data", "Source: test", "Highest"} <= set(texts(figure))
    assert any(text.endswith(" km") for text in texts(figure))


@pytest.mark.parametrize("scale", ["sqrt", "linear"])
def test_continuous_scales(scale):
    figure = choropleth(MapZones.of(grid()), np.arange(16.0) ** 3, CAPTION, EN, scale=scale)
    assert {"0", "3,375"} <= set(texts(figure))
    assert len(np.unique(faces(figure), axis=0)) > 10


def test_all_values_equal_or_unknown():
    zones = MapZones.of(grid())
    for values in (np.full(16, 7.0), np.zeros(16), np.full(16, np.nan)):
        assert choropleth(zones, values, CAPTION, EN).axes


def test_detail_window_where_zones_crowd():
    crowd = [(127.5 + 0.002 * i, 37.5 + 0.002 * j, 127.502 + 0.002 * i, 37.502 + 0.002 * j) for i in range(9) for j in range(9)]
    zones = MapZones.of(grid(extra=crowd))
    west, south, east, north = zones.crowded()
    assert shapely.box(west, south, east, north).contains(shapely.Point(zones.points[50]))
    assert MapZones.of(grid()).crowded() is None
    assert len(choropleth(zones, np.arange(97.0), CAPTION, EN).axes) == 3


def test_flows_grow_towards_their_destination():
    zones = MapZones.of(grid())
    flows = Flows(np.array([0, 15]), np.array([15, 0]), np.array([400.0, 100.0]))
    figure = flow_map(zones, flows, CAPTION, EN)
    ribbons = next(c for c in figure.axes[0].collections if isinstance(c, PolyCollection)).get_paths()
    small, large = (path.vertices[:48] for path in ribbons)

    def width(ribbon, at):
        return np.linalg.norm(ribbon[at] - ribbon[47 - at])

    # Sorted by value: the larger lies on top; four times the value has twice the width.
    assert width(large, 23) == pytest.approx(2 * width(small, 23), rel=1e-3)
    assert width(large, 23) > 5 * width(large, 0)
    assert (large[0] + large[47]) / 2 == pytest.approx(zones.points[0], abs=1.0)
    assert (large[23] + large[24]) / 2 == pytest.approx(zones.points[15], abs=1.0)
    # There and back lie apart: each is bent to the right of its direction.
    assert np.linalg.norm((large[12] + large[35] - small[12] - small[35]) / 2) > 5_000
    assert {"000 → 015", "400", "a flow runs from its thin to its thick end"} <= set(texts(figure))


@given(st.lists(st.floats(0, 1e9), min_size=2, max_size=200), st.integers(2, 9))
def test_class_limits_ascend_and_cover(values, classes):
    array = np.array(values)
    if array.max() > array.min():
        limits = class_limits(array, classes)
        assert limits[0] == array.min()
        assert limits[-1] == array.max()
        assert list(limits) == sorted(set(limits))
        assert len(limits) <= classes + 1


def test_classes_of_near_values_stay_apart():
    limits = colour_scale(np.linspace(18.2, 19.4, 100), "quantile").bounds
    assert len(limits) == 8


def test_lines_have_their_names_at_their_ends_without_overlap():
    moments = np.arange(18262, 18272).astype("datetime64[D]").astype("datetime64[h]")
    lines = {name: np.full(10, 100.0 + i) for i, name in enumerate("ABCD")}
    figure = line_chart(moments, lines, CAPTION, EN)
    axes = figure.axes[0]
    names = {t.get_text(): t.get_position()[1] for t in axes.texts}
    heights = sorted(names[name] for name in "ABCD")
    assert np.diff(heights).min() >= 0.05
    assert len(axes.lines) == 4


def test_lines_of_one_day_count_hours():
    moments = (np.datetime64("2020-01-01T00") + np.arange(24)).astype("datetime64[h]")
    axes = line_chart(moments, {"x": np.arange(24.0)}, CAPTION, EN, of_day=True).axes[0]
    assert axes.get_xlabel() == "hour"
    assert axes.lines[0].get_xdata().tolist() == list(range(24))


def test_bars_in_the_given_order():
    axes = bar_chart(["JP", "CN"], np.array([1500.0, 20.0]), CAPTION, EN).axes[0]
    assert [bar.get_width() for bar in axes.patches] == [1500.0, 20.0]
    assert [t.get_text() for t in axes.texts] == ["JP", "1,500", "CN", "20"]


def test_english_where_no_typeface_has_hangul(monkeypatch):
    monkeypatch.setattr(lettering_module.font_manager, "get_font_names", lambda: ["DejaVu Sans"])
    chosen = Lettering.choose("ko")
    assert chosen.language == "en"
    assert chosen.first_settable("종로구", "11010") == "11010"


def test_korean_where_a_typeface_has_hangul(monkeypatch):
    monkeypatch.setattr(lettering_module.font_manager, "get_font_names", lambda: ["DejaVu Sans", "NanumGothic"])
    assert Lettering.choose("ko") == Lettering("ko", ("DejaVu Sans", "NanumGothic"))


def test_every_phrase_has_the_same_parts_in_both_languages():
    import string

    for key, pair in lettering_module._WORDS.items():
        english, korean = ({part for _, part, _, _ in string.Formatter().parse(text) if part} for text in pair)
        assert english == korean, key


@given(st.floats(-1e12, 1e12))
def test_numbers_keep_three_digits(value):
    read = float(number(value).replace(",", ""))
    assert read == pytest.approx(value, rel=0.006, abs=1e-9)
