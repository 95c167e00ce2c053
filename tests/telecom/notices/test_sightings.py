"""The join of events with visits, against a check that asks every event about every visit."""

from __future__ import annotations

import math
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oneteam.core.errors import InputError, MissingColumnError, NaiveTimestampError, NothingFoundError, UnknownValueError, WrongTypeError
from oneteam.store.rows import read_rows
from oneteam.telecom.notices.covering import EARTH_RADIUS_M, covering_cells, topology_of
from oneteam.telecom.notices.sightings import exposed_of, need_located, notified_contributions, sightings, visits_on
from oneteam.telecom.notices.visits import Visits, visits_of
from oneteam.telecom.schemas import CELL_ZONES, CELLS

DAY_US = 86_400_000_000
DAY_ZERO = date(1970, 1, 1)


def cells_table(rows):
    names = (
        "cell",
        "valid_date_start",
        "valid_date_end",
        "latitude",
        "longitude",
        "directionality",
        "azimuth_angle",
        "horizontal_beam_width",
        "range",
    )
    full = [{"cell_id": str(row[0]), **dict(zip(names, row, strict=True))} for row in rows]
    return pa.Table.from_pylist([{**dict.fromkeys(CELLS.names), **row} for row in full], schema=CELLS)


def cell_zones_table(rows):
    return pa.Table.from_pylist([dict(zip(CELL_ZONES.names, row, strict=True)) for row in rows], schema=CELL_ZONES)


def haversine_m(lat_a, lon_a, lat_b, lon_b):
    a, b, c, d = map(math.radians, (lat_a, lon_a, lat_b, lon_b))
    h = math.sin((c - a) / 2) ** 2 + math.cos(a) * math.cos(c) * math.sin((d - b) / 2) ** 2
    return 2 * EARTH_RADIUS_M * math.asin(math.sqrt(h))


def bearing_deg(lat_a, lon_a, lat_b, lon_b):
    a, b, c, d = map(math.radians, (lat_a, lon_a, lat_b, lon_b))
    return math.degrees(math.atan2(math.sin(d - b) * math.cos(c), math.cos(a) * math.sin(c) - math.sin(a) * math.cos(c) * math.cos(d - b)))


def covers_by_hand(row, lat, lon, radius_m):
    _, _, _, cell_lat, cell_lon, directionality, azimuth, beam, reach = row
    if cell_lat is None or reach is None:
        return False
    distance = haversine_m(cell_lat, cell_lon, lat, lon)
    if distance > reach + radius_m:
        return False
    if azimuth is None or directionality == 0 or beam == 360 or distance <= radius_m:
        return True
    width = 65.0 if beam is None else beam
    off = abs((bearing_deg(cell_lat, cell_lon, lat, lon) - azimuth + 180) % 360 - 180)
    return off <= min(width, 180) + math.degrees(math.asin(radius_m / distance))


def cells_by_hand(rows, day, lat, lon, radius_m):
    today = [r for r in rows if (r[1] is None or r[1] <= day) and (r[2] is None or day <= r[2])]
    found = {r[0] for r in today if covers_by_hand(r, lat, lon, radius_m)}
    if found:
        return found
    sites = {}
    for row in today:
        if row[3] is not None:
            sites.setdefault((row[3], row[4]), set()).add(row[0])
    nearest = sorted(sites, key=lambda site: haversine_m(*site, lat, lon))[:3]
    return set().union(*(sites[site] for site in nearest))


FIRST_DAY = (date(2024, 2, 1) - DAY_ZERO).days
a_day = st.integers(0, 3).map(lambda n: date(2024, 2, 1) + timedelta(days=n))
a_latitude = st.integers(0, 40).map(lambda n: 37.5 + n / 1000 + n * n / 1e7)
a_longitude = st.integers(0, 40).map(lambda n: 127.0 + n / 1000 + n * n / 3e7)


@st.composite
def topologies(draw):
    rows = []
    for cell in range(draw(st.integers(1, 8))):
        located = draw(st.booleans()) or cell == 0
        rows.append(
            (
                cell,
                draw(st.none() | a_day) if cell else None,
                draw(st.none() | a_day) if cell else None,
                draw(a_latitude) if located else None,
                draw(a_longitude) if located else None,
                draw(st.sampled_from([0, 1, None])),
                draw(st.none() | st.sampled_from([1.0, 91.0, 359.0, 180.5])),
                draw(st.none() | st.sampled_from([40.0, 200.0, 360.0])),
                draw(st.none() | st.sampled_from([300.0, 1500.0, 4000.0])),
            )
        )
    return rows


@st.composite
def situations(draw):
    rows = draw(topologies())
    zone_of = {row[0]: draw(st.integers(0, 2)) for row in rows if draw(st.booleans())}
    visits = []
    for _ in range(draw(st.integers(1, 6))):
        start = draw(st.integers(0, 4 * 24)) * DAY_US // 24 + FIRST_DAY * DAY_US
        length = draw(st.sampled_from([0, DAY_US // 24, DAY_US // 5, 2 * DAY_US]))
        kind = draw(st.sampled_from(["point", "zone", "cell"]))
        point = (draw(a_latitude), draw(a_longitude), float(draw(st.sampled_from([0, 200]))))
        visits.append((start, start + length, kind, point, draw(st.integers(0, 2)), draw(st.integers(0, 8))))
    moments = st.integers(0, 4 * 48 - 1).map(lambda n: FIRST_DAY * DAY_US + n * DAY_US // 48)
    events = draw(st.lists(st.tuples(st.integers(1, 3), moments, st.integers(0, 9)), max_size=40))
    return rows, zone_of, visits, sorted(set(events)), draw(st.sampled_from([0, DAY_US // 48])), draw(st.sampled_from([0, 1800, 7200]))


@settings(max_examples=150, deadline=None)
@given(situations())
def test_join_is_what_asking_every_event_about_every_visit_gives(situation):
    rows, zone_of, visits, events, linger_us, min_dwell_s = situation
    table, lookup = cells_table(rows), cell_zones_table([(cell, None, None, zone, 1.0) for cell, zone in zone_of.items()])
    wanted = Visits(
        np.array([v[0] for v in visits], np.int64),
        np.array([v[1] for v in visits], np.int64),
        np.array([v[3][0] if v[2] == "point" else np.nan for v in visits]),
        np.array([v[3][1] if v[2] == "point" else np.nan for v in visits]),
        np.array([v[3][2] if v[2] == "point" else 0.0 for v in visits]),
        np.array([v[4] if v[2] == "zone" else -1 for v in visits], np.int32),
        np.array([v[5] if v[2] == "cell" else -1 for v in visits], np.int32),
    )
    parts = []
    for day in range(FIRST_DAY, FIRST_DAY + 4):
        watch = visits_on(wanted, topology_of(table, lookup, day), day * DAY_US, (day + 1) * DAY_US, linger_us)
        today = [e for e in events if day * DAY_US <= e[1] < (day + 1) * DAY_US]
        who, when, cell = (np.array([e[k] for e in today], kind) for k, kind in enumerate((np.int64, np.int64, np.int32)))
        parts.append(sightings(who, when, cell, watch))
    got = exposed_of(pa.concat_tables(parts), min_dwell_s).to_pylist()

    seen = {}
    for who, when, cell in events:
        day = DAY_ZERO + timedelta(days=when // DAY_US)
        valid = {r[0] for r in rows if (r[1] is None or r[1] <= day) and (r[2] is None or day <= r[2])}
        for number, (start, end, kind, point, zone, named) in enumerate(visits):
            if not start <= when <= end + linger_us:
                continue
            if kind == "point":
                at = cell in cells_by_hand(rows, day, *point)
            else:
                at = cell in valid and (zone_of.get(cell) == zone if kind == "zone" else cell == named)
            if at:
                seen.setdefault((who, number), []).append(when)
    spans = {}
    for (who, _), times in seen.items():
        if max(times) - min(times) >= min_dwell_s * 1_000_000:
            spans.setdefault(who, []).append((min(times), max(times)))
    half_hours = DAY_US // 48
    expected = []
    for who, periods in sorted(spans.items()):
        steps = {step for first, last in periods for step in range(first // half_hours, last // half_hours)}
        expected.append(
            {
                "subscriber": who,
                "visits": len(periods),
                "first_us": min(p[0] for p in periods),
                "last_us": max(p[1] for p in periods),
                "minutes": 30 * len(steps),
            }
        )
    assert got == expected


@settings(max_examples=150, deadline=None)
@given(topologies(), st.lists(st.tuples(a_latitude, a_longitude, st.sampled_from([0.0, 150.0, 900.0])), min_size=1, max_size=6), a_day)
def test_covering_cells_are_those_of_the_day_by_footprint_or_nearest_site(rows, points, day):
    topology = topology_of(cells_table(rows), None, (day - DAY_ZERO).days)
    point, cell = covering_cells(topology, *(np.array(column) for column in zip(*points, strict=True)))
    for number, place in enumerate(points):
        expected = cells_by_hand(rows, day, *place)
        got = set(cell[point == number].tolist())
        # Two sites at the same distance to the last digit may stand in for each other.
        sites = {(r[3], r[4]) for r in rows}
        distances = sorted(round(haversine_m(*s, place[0], place[1]), 3) for s in sites if s[0] is not None)
        if len(set(distances)) == len(distances):
            assert got == expected
        else:
            assert bool(got) == bool(expected)


def test_zone_of_a_cell_is_the_one_of_largest_weight_then_lowest_index():
    lookup = cell_zones_table([(0, None, None, 5, 0.5), (0, None, None, 4, 0.5), (1, None, None, 2, 0.2), (1, None, None, 9, 0.8)])
    rows = [(c, None, None, None, None, None, None, None, None) for c in (0, 1, 2)]
    assert topology_of(cells_table(rows), lookup, FIRST_DAY).zone.tolist() == [4, 9, -1]


def test_a_power_stands_in_for_a_range():
    row = {**dict.fromkeys(CELLS.names), "cell": 3, "cell_id": "3", "latitude": 37.5, "longitude": 127.0, "power": 10.0}
    topology = topology_of(pa.Table.from_pylist([row], schema=CELLS), None, FIRST_DAY)
    assert topology.range_m.tolist() == pytest.approx([8432], abs=1)


def test_points_without_located_cells_are_an_error():
    topology = topology_of(cells_table([(0, None, None, None, None, None, None, None, None)]), None, FIRST_DAY)
    point = Visits(*(np.array([v]) for v in (0, 1, 37.5, 127.0, 0.0, -1, -1)))
    with pytest.raises(NothingFoundError, match="no cell with coordinates"):
        need_located(topology, point)
    need_located(topology, Visits(*(np.array([v]) for v in (0, 1, np.nan, np.nan, 0.0, 3, -1))))


def parse(tmp_path: Path, text: str, encoding: str = "utf-8") -> Visits:
    path = tmp_path / "visits.csv"
    path.write_text(text, encoding=encoding)
    return visits_of(read_rows(path), {"11010": 4}, {"c-1": 7})


def test_visits_of_every_kind_of_place_are_read(tmp_path: Path):
    visits = parse(
        tmp_path,
        "start,end,latitude,longitude,radius_m,zone,cell_id,place\n"
        "2024-02-01T10:00:00+09:00,2024-02-01T11:00:00+09:00,37.5,127.0,150,,,시장\n"
        "2024-02-01T01:00:00Z,2024-02-01T02:00:00Z,,,,11010,,\n"
        "2024-02-01T01:00:00.25Z,2024-02-01T02:00:00Z,,,,,c-1,\n",
        "cp949",
    )
    start = 1_706_749_200_000_000
    assert visits.start_us.tolist() == [start, start, start + 250_000]
    assert visits.end_us.tolist() == [start + 3_600_000_000] * 3
    assert visits.radius_m.tolist() == [150, 0, 0]
    assert (visits.zone.tolist(), visits.cell.tolist()) == ([-1, 4, -1], [-1, -1, 7])


ROW = "2024-02-01T10:00:00+09:00,2024-02-01T11:00:00+09:00"


@pytest.mark.parametrize(
    "column", ["name", "case_id", "Patient", "msisdn", "sequence", "visit_id", "order", "확진자번호", "동선", "phone", "age"]
)
def test_a_column_that_may_tell_of_a_person_is_refused(tmp_path: Path, column: str):
    with pytest.raises(UnknownValueError, match="no person and no sequence") as caught:
        parse(tmp_path, f"start,end,zone,{column}\n{ROW},11010,x\n")
    assert "Keep only" in caught.value.hint


@pytest.mark.parametrize(
    ("text", "error", "match"),
    [
        (f"start,end,zone,weather\n{ROW},11010,x\n", UnknownValueError, "'weather' has no place"),
        ("end,zone\n2024-02-01T11:00:00+09:00,11010\n", MissingColumnError, "start"),
        (f"start,end\n{ROW}\n", MissingColumnError, "names the place"),
        (f"start,end,latitude\n{ROW},37\n", MissingColumnError, "names the place"),
        ("start,end,zone\n2024-02-01T10:00:00,2024-02-01T11:00:00+09:00,11010\n", NaiveTimestampError, "row 2: start"),
        ("start,end,zone\nyesterday,2024-02-01T11:00:00+09:00,11010\n", WrongTypeError, "row 2: start is 'yesterday'"),
        ("start,end,zone\n,2024-02-01T11:00:00+09:00,11010\n", WrongTypeError, "row 2: start"),
        ("start,end,zone\n2024-02-01T12:00:00+09:00,2024-02-01T11:00:00+09:00,11010\n", UnknownValueError, "row 2: end .* before start"),
        (f"start,end,zone\n{ROW},99999\n", UnknownValueError, "row 2: zone '99999'"),
        (f"start,end,cell_id\n{ROW},c-9\n", UnknownValueError, "row 2: cell_id 'c-9'"),
        (f"start,end,zone,cell_id\n{ROW},11010,c-1\n", UnknownValueError, "row 2: 2 places"),
        (f"start,end,zone,cell_id\n{ROW},,\n", UnknownValueError, "row 2: 0 places"),
        (f"start,end,latitude,longitude\n{ROW},37.5,\n", UnknownValueError, "row 2: latitude and longitude"),
        (f"start,end,latitude,longitude\n{ROW},97.5,127\n", UnknownValueError, "row 2: latitude"),
        (f"start,end,latitude,longitude\n{ROW},north,127\n", WrongTypeError, "row 2: latitude"),
    ],
)
def test_bad_visits_are_named_by_row_and_column(tmp_path: Path, text: str, error: type[InputError], match: str):
    with pytest.raises(error, match=match):
        parse(tmp_path, text)


def test_contributions_are_one_for_each_subscriber_and_key():
    travellers = pa.table({"subscriber": [1, 1, 2], "country": ["JP", "VN", "JP"], "last_us": [0, 1, 2]})
    assert sorted(tuple(r.values()) for r in notified_contributions(travellers).to_pylist()) == [(1, "JP", 1), (1, "VN", 1), (2, "JP", 1)]
    exposed = pa.table({"subscriber": [1, 2], "visits": [3, 1]})
    assert sorted(tuple(r.values()) for r in notified_contributions(exposed).to_pylist()) == [(1, "exposed", 1), (2, "exposed", 1)]
