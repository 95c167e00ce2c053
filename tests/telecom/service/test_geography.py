"""Zones, explicit lookups and crosswalks from files."""

import json
from datetime import date

import pyarrow as pa
import pytest
import shapely

from oneteam.core.errors import DuplicateCodeError, MappingError, MissingColumnError, UnknownValueError, WrongTypeError
from oneteam.store.geography import write_geojson
from oneteam.telecom.schemas import CELL_ZONES, ZONES
from oneteam.telecom.service.geography import CROSSWALK, load_cell_zones, load_crosswalk, load_zones, notes_of
from tests.telecom.needs import DATA, needs_data


def csv_file(tmp_path, text, encoding="utf-8", name="zones.csv"):
    path = tmp_path / name
    path.write_bytes(text.encode(encoding))
    return path


def shapes_file(tmp_path, *codes):
    path = tmp_path / "shapes.geojson"
    write_geojson(path, {code: shapely.box(i, 0, i + 1, 1) for i, code in enumerate(codes)})
    return path


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp949"])
def test_korean_headers(tmp_path, encoding):
    text = (
        '시군구코드,시군구명,시도명,인구,위도,경도\n01101,종로구,서울특별시,"150,115",37.59,126.97\n01102,중구,서울특별시,,37.56,126.99\n'
    )
    zones = load_zones(csv_file(tmp_path, text, encoding))
    assert zones.schema.equals(ZONES)
    assert zones["code"].to_pylist() == ["01101", "01102"]
    assert zones["zone"].to_pylist() == [0, 1]
    assert zones["name"].to_pylist() == ["종로구", "중구"]
    assert zones["population"].to_pylist() == [150115.0, None]
    assert notes_of(zones) == ("1 of 2 zones have no population: 01102",)


def test_shapes_give_points_and_notes(tmp_path):
    path = csv_file(tmp_path, "code\nA\nB\nC\n")
    zones = load_zones(path, shapes_file(tmp_path, "B", "A", "X"))
    assert zones["longitude"].to_pylist() == [1.5, 0.5, None]
    assert shapely.from_wkb(zones["geometry"].to_pylist()[0]).equals(shapely.box(1, 0, 2, 1))
    assert notes_of(zones) == (
        "1 of 3 zones have no shape in shapes.geojson: C",
        "1 shapes of shapes.geojson belong to no zone: X",
        "1 of 3 zones have no coordinates: C",
    )


def test_own_coordinates_win(tmp_path):
    zones = load_zones(csv_file(tmp_path, "code,lat,lon\nA,0.25,0.75\n"), shapes_file(tmp_path, "A"))
    assert (zones["latitude"][0].as_py(), zones["longitude"][0].as_py()) == (0.25, 0.75)


def test_point_lies_inside_a_horseshoe(tmp_path):
    horseshoe = shapely.box(0, 0, 10, 10) - shapely.box(1, 1, 9, 10)
    write_geojson(tmp_path / "s.geojson", {"A": horseshoe})
    zones = load_zones(tmp_path / "s.geojson")
    assert horseshoe.contains(shapely.Point(zones["longitude"][0].as_py(), zones["latitude"][0].as_py()))


def test_geojson_alone(tmp_path):
    path = tmp_path / "z.geojson"
    write_geojson(path, {"01": shapely.box(0, 0, 1, 1)}, {"01": {"name": "종로구", "population": 10}})
    row = load_zones(path).to_pylist()[0]
    assert (row["code"], row["name"], row["population"], row["longitude"]) == ("01", "종로구", 10.0, 0.5)


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        ("code\nA\nB\nA\n", DuplicateCodeError, "code 'A' stands twice, in rows 2 and 4"),
        ("id,name\n1,x\n", MissingColumnError, "no column with the code .*its columns are: id, name"),
        ("code,population\nA,many\n", WrongTypeError, "row 2: population is 'many', must be a number"),
        ("code,population\nA,-1\n", UnknownValueError, "population is -1, must be at least 0"),
        ("code,latitude,longitude\nA,127,37\n", UnknownValueError, "latitude is 127, must be between -90 and 90"),
        ("code,latitude\nA,37\n", MissingColumnError, "only one of latitude and longitude"),
        ("code,name\n,x\n", UnknownValueError, "row 2: 'code' is empty"),
    ],
)
def test_bad_zones(tmp_path, text, error, message):
    with pytest.raises(error, match=message):
        load_zones(csv_file(tmp_path, text))


def test_named_column(tmp_path):
    path = csv_file(tmp_path, "code,old\nA,1\nB,2\n")
    assert load_zones(path, code_column="old")["code"].to_pylist() == ["1", "2"]
    with pytest.raises(MissingColumnError, match="new"):
        load_zones(path, code_column="new")


def test_shapes_of_another_edition(tmp_path):
    with pytest.raises(UnknownValueError, match=r"none of its codes \(X\) is a code of .*\(A\)"):
        load_zones(csv_file(tmp_path, "code\nA\n"), shapes_file(tmp_path, "X"))


CELLS = pa.table({"cell": pa.array([0, 1, 2], pa.int32()), "cell_id": ["a", "b", "c"]})
TWO_ZONES = pa.table({"zone": pa.array([0, 1], pa.int32()), "code": ["01", "02"]})


def lookup(tmp_path, text):
    return load_cell_zones(csv_file(tmp_path, text, name="lookup.csv"), CELLS, TWO_ZONES)


def test_explicit_lookup(tmp_path):
    table = lookup(
        tmp_path, "cell_id,zone_code,weight,valid_from,valid_to\nb,02,3,,2020-01-31\nb,01,1,,2020-01-31\nb,01,,2020-02-01,\nz,01,1,,\n"
    )
    assert table.schema.equals(CELL_ZONES)
    rows = [tuple(row.values()) for row in table.to_pylist()]
    assert rows == [
        (1, None, date(2020, 1, 31), 0, 0.25),
        (1, None, date(2020, 1, 31), 1, 0.75),
        (1, date(2020, 2, 1), None, 0, 1.0),
    ]
    assert notes_of(table) == ("lookup.csv: 1 cells are not in the dataset: z",)


def test_weights_are_equal_when_absent(tmp_path):
    assert lookup(tmp_path, "cell_id,zone_code\na,01\na,02\n")["weight"].to_pylist() == [0.5, 0.5]


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        ("cell,zone_code\na,01\n", MissingColumnError, "no column cell_id"),
        ("cell_id,zone_code\na,1\n", UnknownValueError, "row 2: zone codes that the zones lack: '1'"),
        ("cell_id,zone_code\nx,01\n", UnknownValueError, "none of its cells is in the dataset: x"),
        ("cell_id,zone_code\na,01\na,01\n", DuplicateCodeError, "cell 'a' and zone '01' stand twice for one period, in rows 2 and 3"),
        ("cell_id,zone_code,weight\na,01,0\n", UnknownValueError, "weight is 0, must be positive"),
        ("cell_id,zone_code,weight\na,01,half\n", WrongTypeError, "weight is 'half'"),
        ("cell_id,zone_code,valid_from\na,01,1.2.2020\n", WrongTypeError, "valid_from is '1.2.2020', must be a date"),
        ("cell_id,zone_code,valid_from,valid_to\na,01,2020-02-01,2020-01-01\n", MappingError, "is before"),
        ("cell_id,zone_code,valid_from,valid_to\na,01,,2020-02-01\na,02,2020-02-01,\n", MappingError, "cell 'a' overlap at 2020-02-01"),
    ],
)
def test_bad_lookups(tmp_path, text, error, message):
    with pytest.raises(error, match=message):
        lookup(tmp_path, text)


def test_crosswalk(tmp_path):
    table = load_crosswalk(csv_file(tmp_path, "from_code,to_code,weight\n1,A,0.25\n1,B,0.75\n"))
    assert table.schema.equals(CROSSWALK)
    assert table["weight"].to_pylist() == [0.25, 0.75]
    with pytest.raises(DuplicateCodeError, match="rows 2 and 3"):
        load_crosswalk(csv_file(tmp_path, "from_code,to_code\n1,A\n1,A\n"))
    with pytest.raises(UnknownValueError, match="empty code"):
        load_crosswalk(csv_file(tmp_path, "from_code,to_code\n1,\n"))


@needs_data
def test_korea():
    zones = load_zones(DATA / "korea" / "zones250.csv", DATA / "korea" / "municipalities_2018_topo.json")
    assert zones.num_rows == 250
    assert zones["geometry"].null_count == 0
    assert notes_of(zones) == ("1 of 250 zones have no population: 37430",)
    assert len(set(zones["name"].to_pylist())) < 250  # names are not unique: codes are what counts
    for shape, x, y in zip(*(zones[name].to_pylist() for name in ("geometry", "longitude", "latitude")), strict=True):
        assert shapely.from_wkb(shape).contains(shapely.Point(x, y))
    assert json.loads(zones.schema.metadata[b"notes"])
