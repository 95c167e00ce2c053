import os
from pathlib import Path

import numpy as np
import pytest
import shapely

from oneteam.core.errors import DuplicateCodeError, MissingColumnError, NothingFoundError, UnknownValueError, WrongTypeError
from oneteam.store.geography import read_shapes
from oneteam.synth.geometry import POINTS_PER_ZONE, settle, voronoi_cells
from oneteam.synth.gravity import make_flows
from oneteam.synth.people import draw, make_people
from oneteam.synth.zones import allot, generate_zones, read_od, read_zones

DATA = Path(os.environ.get("ONETEAM_DATA", Path(__file__).parents[2].parent / "shared" / "data"))


def written(path, text):
    path.write_text(text, encoding="utf-8")
    return path


def test_reads_what_a_file_has(tmp_path):
    zones = read_zones(written(tmp_path / "z.csv", "code,name,region,population,jobs\n11,A,1,100,50\n12,B,1,,\n"))
    assert zones.codes == ("11", "12")
    assert zones.population.tolist() == [100, 0]
    assert zones.jobs.tolist() == [50, 0]
    assert zones.regions == ("1", "1")
    assert np.isnan(zones.latitude).all()


def test_only_code_and_population_are_needed(tmp_path):
    zones = read_zones(written(tmp_path / "z.csv", "kostat_2018_code,population\n11010,100\n21010,300\n"))
    assert zones.regions == ("11", "21")
    assert zones.names == zones.codes
    assert zones.jobs.tolist() == zones.employed.tolist() == pytest.approx([49, 147])


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("code,population\n11,5\n11,6\n", DuplicateCodeError),
        ("name,population\nA,5\n", MissingColumnError),
        ("code,people\n11,5\n", MissingColumnError),
        ("code,population\n11,-5\n", UnknownValueError),
        ("code,population\n11,many\n", WrongTypeError),
        ("code,population\n11,0\n", UnknownValueError),
        ("code,population,latitude\n11,5,95\n", UnknownValueError),
    ],
)
def test_bad_zones(tmp_path, text, error):
    with pytest.raises(error, match=r"z\.csv"):
        read_zones(written(tmp_path / "z.csv", text))


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("origin,destination\n1,1\n", MissingColumnError),
        ("origin,destination,trips_per_day\n1,9,5\n", UnknownValueError),
        ("origin,destination,trips_per_day\n1,1,5\n1,1,6\n", DuplicateCodeError),
        ("origin,destination,trips_per_day\n1,1,5\n", NothingFoundError),
        ("origin,destination,trips_per_day\n1,1,-5\n", UnknownValueError),
    ],
)
def test_bad_od(tmp_path, text, error):
    with pytest.raises(error, match=r"od\.csv"):
        read_od(written(tmp_path / "od.csv", text), ("1", "2"))


@pytest.mark.parametrize("count", [1, 2, 17, 250])
def test_generated_zones_have_the_count_and_unique_codes(count):
    zones = generate_zones(3, count)
    assert zones.count == count
    assert len(set(zones.codes)) == count
    assert (zones.population > 0).all()
    assert (zones.employed <= zones.population).all()


def test_voronoi_cells_hold_their_points_and_do_not_overlap():
    rng = np.random.default_rng(1)
    x, y = rng.uniform(0, 1e5, (2, 40))
    cells = voronoi_cells(x, y)
    assert shapely.contains_xy(cells, x, y).all()
    assert shapely.area(shapely.union_all(cells)) == pytest.approx(shapely.area(cells).sum(), rel=1e-9)


def test_two_zones_at_one_spot_are_refused():
    with pytest.raises(UnknownValueError, match="same coordinates"):
        voronoi_cells(np.array([0.0, 0.0, 1.0]), np.array([0.0, 0.0, 1.0]))


def test_settled_points_lie_inside_their_zone():
    zones = generate_zones(2, 20)
    territory = settle(zones, None, None, 2)
    assert territory.point_x.shape == (20, POINTS_PER_ZONE)
    for i, shape in enumerate(territory.shapes):
        lon, lat = territory.plane.inverse(territory.point_x[i], territory.point_y[i])
        assert shapely.contains_xy(shape, lon, lat).all()


def test_regions_that_travel_together_lie_together(tmp_path):
    """Five regions along a road: the map keeps their order."""
    names = "ABCDE"
    zones = read_zones(
        written(tmp_path / "z.csv", "code,region,population\n" + "".join(f"{r}{i},{r},100\n" for r in names for i in range(4)))
    )
    steps = np.abs(np.subtract.outer(np.arange(5), np.arange(5)))
    territory = settle(zones, None, 100 * np.exp(-2.0 * steps), 1)
    cx, cy = territory.x.reshape(5, 4).mean(1), territory.y.reshape(5, 4).mean(1)
    apart = np.hypot(cx[:, None] - cx, cy[:, None] - cy)
    assert (np.diff(apart[0]) > 0).all()
    assert (np.diff(apart[4]) < 0).all()


def test_missing_shape_names_the_zone():
    with pytest.raises(UnknownValueError, match="11010"):
        settle(generate_zones(1, 3), {}, None, 1)


def test_flows_keep_the_known_trips_between_regions():
    zones = generate_zones(4, 40)
    regions = len(zones.region_codes)
    od = np.random.default_rng(2).uniform(1, 10, (regions, regions)) + 50 * np.eye(regions)
    flows = make_flows(zones, settle(zones, None, od, 4), od)
    assert (np.diff(flows.work, axis=1) >= 0).all()
    assert (flows.work[:, -1] == 1).all()
    work = np.diff(flows.work, axis=1, prepend=0) * zones.employed[:, None]
    blocks = np.zeros((regions, regions))
    np.add.at(blocks, (zones.region_index[:, None], zones.region_index[None]), work)
    assert blocks / blocks.sum(1, keepdims=True) == pytest.approx(od / od.sum(1, keepdims=True), abs=0.02)


def test_allot_keeps_the_total():
    rng = np.random.default_rng(3)
    for _ in range(20):
        weights = rng.uniform(0, 5, 13)
        assert allot(997, weights).sum() == 997


def test_draw_takes_each_index_by_its_probability():
    cumulative = np.array([0.25, 0.25, 1.0], np.float32)
    assert [draw(cumulative, u) for u in (0.0, 0.2499, 0.25, 0.999)] == [0, 0, 2, 2]


def test_people_live_by_population_and_only_where_someone_lives(tmp_path):
    zones = read_zones(written(tmp_path / "z.csv", "code,population,jobs\n11,300,10\n12,100,300\n13,,\n"))
    territory = settle(zones, None, None, 1)
    people = make_people(
        zones, territory, make_flows(zones, territory, None), persons=4_000, subscriptions=4_400, shares=(0.6, 0.4), seed=1
    )
    assert np.bincount(people.places.zone[people.home], minlength=3).tolist() == [3_000, 1_000, 0]
    assert people.subscriptions == 4_400
    work = people.work[people.work >= 0]
    assert (work >= people.places.homes).all()
    assert (work < people.places.venue_start[0]).all()
    assert (people.places.zone[work] < 2).all()
    assert (people.places.zone[people.places.airport_of] < 2).all()


@pytest.mark.skipif(not (DATA / "korea").is_dir(), reason="no real data at ONETEAM_DATA")
def test_korea_of_250_districts():
    zones = read_zones(DATA / "korea" / "zones250.csv")
    od = read_od(DATA / "korea" / "od_sido_daily.csv", zones.region_codes)
    shapes = read_shapes(DATA / "korea" / "municipalities_2018_topo.json")
    assert zones.count == 250
    assert zones.population[zones.codes.index("37430")] == 0  # Ulleung has no figures
    territory = settle(zones, shapes, od, 1)
    assert territory.area_m2.sum() == pytest.approx(100.3e9, rel=0.02)
    work = np.diff(make_flows(zones, territory, od).work, axis=1, prepend=0) * zones.employed[:, None]
    stay = np.zeros(17)
    np.add.at(stay, zones.region_index, (work * (zones.region_index[:, None] == zones.region_index[None])).sum(1))
    expected = np.diag(od) / od.sum(1)
    assert stay / np.bincount(zones.region_index, zones.employed) == pytest.approx(expected, abs=0.03)
