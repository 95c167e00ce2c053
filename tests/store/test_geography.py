"""Reading and writing shapes, and the plane they are measured in."""

import json

import numpy as np
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st
from tests.telecom.needs import DATA, needs_data

from oneteam.core.errors import (
    DuplicateCodeError,
    EncodingError,
    FileUnreadableError,
    MissingColumnError,
    NothingFoundError,
    WrongTypeError,
)
from oneteam.store.geography import EARTH_RADIUS_M, EqualAreaProjection, read_features, read_shapes, write_geojson

SQUARE = [[126.0, 37.0], [127.0, 37.0], [127.0, 38.0], [126.0, 38.0], [126.0, 37.0]]


def feature(code, ring=SQUARE, **more):
    return {"type": "Feature", "properties": {"code": code}, "geometry": {"type": "Polygon", "coordinates": [ring]}, **more}


def write(path, *features, **top):
    path.write_text(json.dumps({"type": "FeatureCollection", "features": list(features), **top}), encoding="utf-8")
    return path


# Two unit squares that share the border x = 1, as a topology: the shared arc runs backwards in the second.
TOPOLOGY = {
    "type": "Topology",
    "objects": {
        "zones": {
            "type": "GeometryCollection",
            "geometries": [
                {"type": "Polygon", "arcs": [[0, 1]], "properties": {"code": "01"}},
                {"type": "MultiPolygon", "arcs": [[[2, -1]]], "properties": {"code": 2}},
            ],
        },
        "more": {"type": "Polygon", "arcs": [[3], [4]], "properties": {"code": "03"}},
        "nowhere": {"type": None, "properties": {"code": "04"}},
    },
    "arcs": [
        [[1, 0], [1, 1]],
        [[1, 1], [0, 1], [0, 0], [1, 0]],
        [[1, 0], [2, 0], [2, 1], [1, 1]],
        [[5, 5], [9, 5], [9, 9], [5, 9], [5, 5]],
        [[6, 6], [6, 8], [8, 8], [8, 6], [6, 6]],
    ],
}


def quantised(topology, scale=0.001):
    """The same topology as mapshaper and topojson write it: integers, each point but the first relative to the one before."""
    arcs = []
    for arc in topology["arcs"]:
        points = np.rint((np.array(arc) - [-1, -2]) / scale).astype(int)
        arcs.append(np.vstack([points[:1], np.diff(points, axis=0)]).tolist())
    return {**topology, "arcs": arcs, "transform": {"scale": [scale, scale], "translate": [-1, -2]}}


@pytest.mark.parametrize("topology", [TOPOLOGY, quantised(TOPOLOGY)], ids=["plain", "quantised"])
def test_topojson_of_several_objects(tmp_path, topology):
    path = tmp_path / "t.json"
    path.write_text(json.dumps(topology))
    shapes = read_shapes(path)
    assert list(shapes) == ["01", "2", "03"]
    assert shapes["01"].equals(shapely.box(0, 0, 1, 1))
    assert shapes["2"].equals(shapely.box(1, 0, 2, 1))
    assert shapes["03"].area == pytest.approx(16 - 4)
    assert [f.code for f in read_features(path) if f.geometry is None] == ["04"]


def test_round_trip(tmp_path):
    shapes = {
        "01": shapely.box(126, 37, 127, 38),
        "02": shapely.MultiPolygon([shapely.box(0, 0, 1, 1), shapely.box(3, 3, 4, 4)]),
        "03": None,
    }
    path = tmp_path / "z.geojson"
    write_geojson(path, shapes, {"01": {"name": "종로구", "population": np.int64(5)}})
    back = read_features(path)
    assert [f.code for f in back] == ["01", "02", "03"]
    assert back[0].properties["name"] == "종로구"
    assert back[0].properties["population"] == 5
    assert back[2].geometry is None
    assert all(read_shapes(path)[code].equals(shapes[code]) for code in ("01", "02"))
    # RFC 7946, 3.1.6: exterior rings run counter-clockwise.
    ring = json.loads(path.read_text())["features"][0]["geometry"]["coordinates"][0]
    assert shapely.LinearRing(ring).is_ccw


def test_code_may_be_the_id_or_a_number(tmp_path):
    path = write(tmp_path / "z.json", {**feature(None), "id": 11010})
    assert list(read_shapes(path, "id")) == ["11010"]
    assert list(read_shapes(write(tmp_path / "n.json", feature(11010.0)))) == ["11010"]


def test_a_bow_tie_is_repaired(tmp_path):
    path = write(tmp_path / "z.json", feature("1", [[0, 0], [2, 2], [2, 0], [0, 2], [0, 0]]))
    shape = read_shapes(path)["1"]
    assert shape.is_valid
    assert shape.geom_type == "MultiPolygon"
    assert shape.area == pytest.approx(2.0)


def test_cp949_and_byte_order_mark(tmp_path):
    text = json.dumps(
        {"type": "FeatureCollection", "features": [feature("1") | {"properties": {"code": "1", "name": "종로구"}}]}, ensure_ascii=False
    )
    for encoding in ("cp949", "utf-8-sig"):
        path = tmp_path / f"{encoding}.json"
        path.write_bytes(text.encode(encoding))
        assert read_features(path)[0].properties["name"] == "종로구"


def test_duplicate_code(tmp_path):
    with pytest.raises(DuplicateCodeError, match="'1' stands twice, in features 1 and 3"):
        read_shapes(write(tmp_path / "z.json", feature("1"), feature("2"), feature(1)))


def test_missing_property_names_what_there_is(tmp_path):
    with pytest.raises(MissingColumnError, match="feature 2 has no code in property 'code'; its properties are: code"):
        read_shapes(write(tmp_path / "z.json", feature("1"), feature(None)))
    with pytest.raises(MissingColumnError, match="'adm_cd'"):
        read_shapes(write(tmp_path / "y.json", feature("1")), "adm_cd")


@pytest.mark.parametrize(
    ("content", "error", "message"),
    [
        ("{", FileUnreadableError, "not JSON.*line 1"),
        ("[]", FileUnreadableError, "list, must be an object"),
        ('{"type": "Point"}', FileUnreadableError, "'Point', must be"),
        ('{"type": "FeatureCollection"}', FileUnreadableError, "no list 'features'"),
        ('{"type": "FeatureCollection", "features": []}', NothingFoundError, "no feature"),
        ('{"type": "FeatureCollection", "features": [1]}', FileUnreadableError, "item 1"),
        ('{"type": "Topology"}', FileUnreadableError, "no 'objects'"),
        ('{"type": "Topology", "objects": {}, "arcs": 3}', FileUnreadableError, "broken 'arcs'"),
        ('{"type": "Topology", "objects": {"z": {"type": "Polygon", "arcs": [[7]]}}, "arcs": []}', FileUnreadableError, "'z'.*lacks"),
        ('{"type": "Topology", "objects": {"z": 5}, "arcs": []}', FileUnreadableError, "'z'"),
    ],
)
def test_broken_files(tmp_path, content, error, message):
    path = tmp_path / "z.json"
    path.write_text(content)
    with pytest.raises(error, match=message):
        read_shapes(path)


def test_geometry_that_is_no_polygon_in_degrees(tmp_path):
    point = feature("1") | {"geometry": {"type": "Point", "coordinates": [1, 2]}}
    with pytest.raises(WrongTypeError, match="'Point', must be Polygon"):
        read_shapes(write(tmp_path / "a.json", point))
    with pytest.raises(WrongTypeError, match="no degrees") as caught:
        read_shapes(write(tmp_path / "b.json", feature("1", [[953000, 1952000], [954000, 1952000], [954000, 1953000], [953000, 1952000]])))
    assert "EPSG:5179" in caught.value.hint
    with pytest.raises(WrongTypeError, match="make no polygon"):
        read_shapes(write(tmp_path / "c.json", feature("1", [["x", 1], [2, 2], [3, 3], [1, 1]])))


def test_unreadable(tmp_path):
    with pytest.raises(FileUnreadableError, match="cannot be read"):
        read_shapes(tmp_path / "absent.json")
    (tmp_path / "b.json").write_bytes(b'{"a": "\xff\xfe\x80"}')
    with pytest.raises(EncodingError):
        read_shapes(tmp_path / "b.json")


@given(st.floats(-80, 80), st.floats(-180, 180), st.floats(-60, 60), st.floats(-25, 25))
def test_projection_inverts(latitude, longitude, east, north):
    plane = EqualAreaProjection(longitude, latitude)
    lon, lat = longitude + east, np.clip(latitude + north, -89, 89)
    back_lon, back_lat = plane.inverse(*plane.forward(lon, lat))
    assert (float(back_lon) - lon + 180) % 360 - 180 == pytest.approx(0, abs=1e-6)
    assert float(back_lat) == pytest.approx(lat, abs=1e-6)


@given(st.floats(-5, 5), st.floats(-5, 5))
def test_projection_keeps_areas(east, north):
    lon, lat, size = 127 + east, 37 + north, 0.1
    plane = EqualAreaProjection(127, 37)
    cell = shapely.segmentize(shapely.box(lon, lat, lon + size, lat + size), 0.002)
    exact = EARTH_RADIUS_M**2 * np.radians(size) * (np.sin(np.radians(lat + size)) - np.sin(np.radians(lat)))
    assert plane.project(np.array([cell], dtype=object))[0].area == pytest.approx(exact, rel=1e-6)


def test_projection_of_nothing():
    with pytest.raises(NothingFoundError):
        EqualAreaProjection.centred_on([np.nan], [37.0])


@needs_data
@pytest.mark.parametrize(("name", "count", "code"), [("municipalities", 250, "11010"), ("provinces", 17, "11")])
def test_korea(name, count, code):
    shapes = read_shapes(DATA / "korea" / f"{name}_2018_topo.json")
    assert len(shapes) == count
    assert all(shape.is_valid and not shape.is_empty for shape in shapes.values())
    assert shapes[code].contains(shapely.Point(126.99, 37.58))  # Changdeokgung, in Jongno-gu, Seoul
    area = EqualAreaProjection(127.5, 36).project(np.array(list(shapes.values()), dtype=object))
    assert shapely.area(area).sum() / 1e6 == pytest.approx(100_400, rel=0.01)  # km², cadastral statistics
