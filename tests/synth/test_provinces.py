"""Districts inside the real provinces, and files for some of the days only."""

from __future__ import annotations

import json
from collections import Counter
from datetime import date

import numpy as np
import pyarrow.parquet as pq
import pytest
import shapely

from oneteam.core.errors import UnknownValueError
from oneteam.store.geography import read_features, write_geojson
from oneteam.store.rows import read_rows
from oneteam.synth.build import build_country
from oneteam.synth.country import make_country
from oneteam.synth.provinces import generate_districts, known_shape, read_provinces
from oneteam.synth.settings import CountrySettings, parse_carriers
from oneteam.synth.zones import read_zones

START = date(2020, 1, 6)


@pytest.fixture(scope="module")
def provinces():
    return read_provinces()


@pytest.fixture(scope="module")
def korea(provinces):
    return generate_districts(1, 250, provinces)


def test_the_provinces_are_koreas(provinces):
    assert len(provinces) == 17
    assert sum(p.districts for p in provinces) == 250
    by_code = {p.code: p for p in provinces}
    assert (by_code["11"].name_ko, by_code["11"].districts, by_code["31"].districts) == ("서울", 25, 42)
    # Seoul's city hall, Busan's, and Mount Halla lie where they should.
    for code, point in (("11", (126.978, 37.566)), ("21", (129.05, 35.2)), ("39", (126.53, 33.36))):
        assert shapely.contains_xy(by_code[code].shape, *point)
    assert shapely.coverage_is_valid([p.shape for p in provinces])


def test_districts_fill_their_provinces(korea, provinces, tmp_path):
    zones, shapes = korea
    assert len(shapes) == zones.count == len(set(zones.codes)) == 250
    assert Counter(zones.regions) == {p.code: p.districts for p in provinces}
    assert all(code.startswith(region) and int(code[2:]) > 500 for code, region in zip(zones.codes, zones.regions, strict=True))
    cells = np.array([shapes[code] for code in zones.codes], dtype=object)
    assert shapely.is_valid(cells).all()
    for province in provinces:
        mine = cells[[region == province.code for region in zones.regions]]
        assert shapely.area(mine).sum() == pytest.approx(province.shape.area, rel=0.002)
        assert shapely.area(shapely.union_all(mine)) == pytest.approx(shapely.area(mine).sum(), rel=1e-4)
        assert shapely.area(shapely.intersection(shapely.union_all(mine), province.shape)) == pytest.approx(province.shape.area, rel=0.002)
    write_geojson(tmp_path / "zones.geojson", shapes)
    assert (tmp_path / "zones.geojson").stat().st_size < 400_000
    assert len(read_features(tmp_path / "zones.geojson")) == 250


def test_people_live_where_the_provinces_have_them(korea, provinces):
    zones, _ = korea
    for province in provinces:
        mine = zones.population[[region == province.code for region in zones.regions]]
        assert mine.sum() == pytest.approx(province.population, rel=0.001)
        assert mine.min() > 0
    assert zones.jobs.sum() == pytest.approx(zones.employed.sum(), rel=0.001)


def test_the_seed_decides(korea, provinces):
    zones, shapes = generate_districts(1, 250, provinces)
    assert zones.codes == korea[0].codes
    assert all(shapely.equals_identical(shapes[code], korea[1][code]) for code in zones.codes)
    other = generate_districts(2, 40, provinces)[1]
    again = generate_districts(3, 40, provinces)[1]
    assert len(other) == 40
    assert not all(other[code].equals(again[code]) for code in other)


def test_too_few_districts_and_unknown_countries_are_refused(provinces):
    with pytest.raises(UnknownValueError, match="17 provinces need at least 17 districts"):
        generate_districts(1, 16, provinces)
    with pytest.raises(UnknownValueError, match="--shape atlantis: must be korea"):
        known_shape("atlantis")
    assert known_shape("korea") == "korea"
    assert known_shape(None) is None


def test_shapes_and_zones_exclude_each_other(tmp_path):
    with pytest.raises(UnknownValueError, match="leave out --zones"):
        build_country(CountrySettings(shape="korea", zones=tmp_path / "zones.csv"))


@pytest.mark.parametrize(
    ("first", "last"), [(date(2020, 1, 5), None), (None, date(2020, 1, 11)), (date(2020, 1, 9), date(2020, 1, 8)), (date(2020, 2, 1), None)]
)
def test_event_days_lie_within_the_simulated_ones(first, last):
    with pytest.raises(UnknownValueError, match="give no days between 2020-01-06 and 2020-01-10"):
        build_country(CountrySettings(subscribers=100, days=5, start_date=START, events_from=first, events_until=last))


@pytest.fixture(scope="module")
def windows(tmp_path_factory):
    """The same country with files for all days, and for some."""
    folder = tmp_path_factory.mktemp("windows")
    whole = CountrySettings(
        shape="korea", zone_count=17, subscribers=1_200, days=6, start_date=START, carriers=parse_carriers("a:2,b:1"), seed=4
    )
    part = whole.model_copy(update={"events_from": date(2020, 1, 8), "events_until": date(2020, 1, 9)})
    return [make_country(settings, folder / name) for name, settings in (("whole", whole), ("part", part))]


def test_carriers_files_and_the_truth_of_movement_have_the_asked_days_only(windows):
    whole, part = windows
    assert {p.parent.name for p in part.folder.glob("a/events/**/*.parquet")} == {"day=8", "day=9"}
    assert set(pq.read_table(part.folder / "truth" / "od_daily.parquet")["day"].to_pylist()) == {date(2020, 1, 8), date(2020, 1, 9)}
    days = {text[:10] for text in pq.read_table(part.folder / "a" / "roaming" / "outbound.parquet")["timestamp"].to_pylist()}
    assert days <= {"2020-01-07", "2020-01-08", "2020-01-09", "2020-01-10"}  # local days abroad
    assert 0 < part.events < whole.events
    assert 0 < part.outbound_records < whole.outbound_records


def test_people_trips_and_the_outbreak_are_those_of_all_days(windows):
    whole, part = windows
    for name in ("truth/infections.parquet", "truth/travel.parquet", "truth/sims.parquet", "agency/cases_zone_daily.csv", "zones.csv"):
        assert (whole.folder / name).read_bytes() == (part.folder / name).read_bytes()
    both = [pq.read_table(each.folder / "truth" / "od_daily.parquet") for each in windows]
    days = [date(2020, 1, 8), date(2020, 1, 9)]
    expected = [row for row in both[0].to_pylist() if row["day"] in days]
    assert both[1].to_pylist() == expected


def test_korean_names_are_written_and_read_back(windows):
    path = windows[0].folder / "zones.csv"
    assert read_rows(path).rows[0].text("name_ko") == "서울 1"
    zones = read_zones(path)
    assert zones.names_ko[0] == "서울 1"
    assert zones.region_names_ko[0] == "서울"
    features = json.loads((windows[0].folder / "zones.geojson").read_text())["features"]
    assert features[0]["properties"]["name_ko"] == "서울 1"


def test_transmission_decides_how_far_it_spreads():
    found = [
        len(build_country(CountrySettings(zone_count=4, subscribers=3_000, days=30, roaming=False, transmission=t)).infections.person)
        for t in (0.0, 0.5, 1.0)
    ]
    assert found[0] == 3
    assert found[0] < found[1] < found[2]
