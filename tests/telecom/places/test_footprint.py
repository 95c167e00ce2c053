"""Cells laid over zones."""

from datetime import date

import numpy as np
import pyarrow as pa
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from oneteam.store.geography import EqualAreaProjection
from oneteam.telecom.places.antennas import EDGE_DOMINANCE, range_from_power, signal_dominance
from oneteam.telecom.places.footprint import SMALLEST_WEIGHT, majority_zone, resolve_cells, spread_by_footprint
from oneteam.telecom.schemas import CELL_ZONES, CELLS, ZONES
from oneteam.telecom.service.geography import load_zones
from tests.telecom.needs import DATA, needs_data

PLANE = EqualAreaProjection(127.0, 37.0)


def at(x_km, y_km):
    lon, lat = PLANE.inverse(1000.0 * x_km, 1000.0 * y_km)
    return {"longitude": float(lon), "latitude": float(lat)}


def cells(*rows):
    full = [
        {name: row.get(name, i if name == "cell" else f"c{i}" if name == "cell_id" else None) for name in CELLS.names}
        for i, row in enumerate(rows)
    ]
    return pa.Table.from_pylist(full, schema=CELLS)


def zones(*boxes, shaped=True):
    """Zones as rectangles (west, south, east, north) [km] about 127 E 37 N."""
    rows = []
    for i, (west, south, east, north) in enumerate(boxes):
        xy = np.array([(west, south), (east, south), (east, north), (west, north)]) * 1000.0
        shape = shapely.Polygon(np.column_stack(PLANE.inverse(xy[:, 0], xy[:, 1])))
        row = dict.fromkeys(ZONES.names) | {"zone": i, "code": str(i)} | at((west + east) / 2, (south + north) / 2)
        rows.append(row | {"geometry": shapely.to_wkb(shape) if shaped else None})
    return pa.Table.from_pylist(rows, schema=ZONES)


HALVES = zones((-50, -50, 0, 50), (0, -50, 50, 50))


def weights(table):
    return {(row["cell"], row["zone"]): row["weight"] for row in table.to_pylist()}


def test_path_loss_formula():
    # 10 W are 40 dBm; the edge lies where 40 - 37.5 log10(r) = -92.5 - ln(19) / 0.2.
    assert range_from_power(10.0) == pytest.approx(10 ** ((40 + 92.5 + np.log(19) / 0.2) / 37.5))
    assert range_from_power([1e-12, 1e9]).tolist() == [30.0, 35_000.0]
    # In terms of r / range the same curve: half way to the mobile's midpoint of -92.5 dBm it is 0.5.
    midpoint = 10 ** ((40 + 92.5) / 37.5)
    assert signal_dominance(midpoint / float(range_from_power(10.0))) == pytest.approx(0.5)
    assert signal_dominance(1.0) == pytest.approx(EDGE_DOMINANCE)
    assert signal_dominance(0.0) == pytest.approx(1.0)


def test_disc_inside_one_zone():
    assert weights(resolve_cells(cells(at(-20, 0) | {"range": 5_000.0}), HALVES)) == {(0, 0): 1.0}


def test_disc_on_the_border_falls_in_halves():
    found = weights(resolve_cells(cells(at(0, 0) | {"range": 5_000.0}), HALVES))
    assert found == {(0, 0): pytest.approx(0.5), (0, 1): pytest.approx(0.5)}


def test_weight_falls_with_distance():
    """A disc whose centre lies 1 km inside has much more than the share of its area there."""
    found = weights(resolve_cells(cells(at(-1, 0) | {"range": 5_000.0}), HALVES))
    x = (np.arange(2_000) + 0.5) / 1_000 - 1
    xx, yy = np.meshgrid(x, x)
    r = np.hypot(xx, yy)
    dominance = np.where(r <= 1, signal_dominance(r), 0.0)
    exact = dominance[xx < 0.2].sum() / dominance.sum()
    assert found[0, 0] == pytest.approx(exact, abs=0.02)
    assert (xx[r <= 1] < 0.2).mean() < exact - 0.05


def test_power_instead_of_range():
    reach = float(range_from_power(10.0))
    by_power = resolve_cells(cells(at(-3, 0) | {"power": 10.0}), HALVES)
    assert by_power.equals(resolve_cells(cells(at(-3, 0) | {"range": reach}), HALVES))


@pytest.mark.parametrize(("azimuth", "zone"), [(90.0, 1), (270.0, 0)])
def test_sector_serves_its_side(azimuth, zone):
    found = weights(resolve_cells(cells(at(0, 0) | {"range": 5_000.0, "azimuth_angle": azimuth, "horizontal_beam_width": 65.0}), HALVES))
    assert found == {(0, zone): 1.0}


def test_azimuth_runs_clockwise_from_north():
    quarters = zones((0, 0, 50, 50), (0, -50, 50, 0), (-50, -50, 0, 0), (-50, 0, 0, 50))
    sectors = [
        at(0, 0) | {"range": 5_000.0, "azimuth_angle": angle, "horizontal_beam_width": 40.0} for angle in (45.0, 135.0, 225.0, 315.0)
    ]
    assert weights(resolve_cells(cells(*sectors), quarters)) == {(i, i): 1.0 for i in range(4)}


def test_directionality_zero_overrules_the_azimuth():
    omni = at(0, 0) | {"range": 5_000.0, "azimuth_angle": 90.0, "directionality": 0}
    assert weights(resolve_cells(cells(omni), HALVES))[0, 0] == pytest.approx(0.5)


def test_voronoi_border_is_half_way():
    """Sites at -6 km and +2 km: the border lies at -2 km, so the right one serves 2 km of the left zone."""
    strip = zones((-10, -1, 0, 1), (0, -1, 10, 1))
    found = weights(resolve_cells(cells(at(-6, 0), at(2, 0)), strip, spacing_m=250.0))
    assert found[0, 0] == 1.0
    assert (0, 1) not in found
    # Within 8 km about its site the right one serves -2..10 km along the strip.
    assert found[1, 0] == pytest.approx(2 / 12, abs=0.03)


def test_voronoi_regards_who_is_in_service():
    """The rival next door closes in February: from then on the cell serves both zones."""
    strip = zones((-10, -10, 0, 10), (0, -10, 10, 10))
    january, february = {"valid_date_end": date(2020, 1, 31)}, {"valid_date_start": date(2020, 2, 1)}
    table = cells(
        at(-5, 0) | {"cell": 0} | january,
        at(-5, 0) | {"cell": 0} | february,
        at(5, 0) | {"cell": 1} | january,
        at(30, 0) | {"cell": 2},
    )
    found = resolve_cells(table, strip)
    shares = {(r["cell"], r["valid_date_start"], r["zone"]): r["weight"] for r in found.to_pylist()}
    assert shares[0, None, 0] == 1.0
    assert shares[0, date(2020, 2, 1), 1] > 0.3
    best = {(r["cell"], r["valid_date_start"]): r["zone"] for r in majority_zone(found).to_pylist()}
    assert best[0, None] == 0
    assert best[1, None] == 1


def test_a_cell_that_moves_is_resolved_in_each_period():
    table = cells(
        at(-20, 0) | {"cell": 7, "range": 1_000.0, "valid_date_end": date(2020, 1, 31)},
        at(20, 0) | {"cell": 7, "range": 1_000.0, "valid_date_start": date(2020, 2, 1)},
    )
    found = resolve_cells(table, HALVES).to_pylist()
    assert [(r["valid_date_start"], r["zone"]) for r in found] == [(None, 0), (date(2020, 2, 1), 1)]


def test_three_sectors_of_a_site_without_range_part_its_region():
    sectors = [at(0, 0) | {"azimuth_angle": angle, "horizontal_beam_width": 65.0} for angle in (90.0, 270.0)]
    found = weights(resolve_cells(cells(*sectors, at(40, 40), at(-40, -40)), HALVES))
    assert found[0, 1] == 1.0
    assert found[1, 0] == 1.0


def test_far_cells_and_cells_without_coordinates_get_no_row():
    table = cells({}, at(-20, 0) | {"range": 100.0}, {"latitude": 0.0, "longitude": 0.0}, at(55, 0) | {"range": 100.0})
    found = resolve_cells(table, HALVES)
    # The last stands in the sea, 5 km off the coast.
    assert weights(found) == {(1, 0): 1.0, (3, 1): 1.0}


def test_zones_without_polygon_are_held_by_their_point():
    found = weights(
        resolve_cells(
            cells(at(0, 0) | {"range": 5_000.0}, at(-10, 0) | {"range": 100.0}), zones((-20, -5, 0, 5), (0, -5, 20, 5), shaped=False)
        )
    )
    assert found == {(0, 0): pytest.approx(0.5), (0, 1): pytest.approx(0.5), (1, 0): 1.0}


def test_polygons_and_points_mixed():
    shaped, bare = zones((-20, -5, 0, 5), (0, -5, 20, 5)), zones((-20, -5, 0, 5), (0, -5, 20, 5), shaped=False)
    mixed = pa.concat_tables([shaped.slice(0, 1), bare.slice(1, 1)])
    found = weights(resolve_cells(cells(at(10, 0) | {"range": 100.0}, at(-10, 0) | {"range": 100.0}), mixed))
    assert found == {(0, 1): 1.0, (1, 0): 1.0}


def test_explicit_rows_are_taken_as_they_stand():
    explicit = pa.table([[0], [None], [None], [1], [1.0]], schema=CELL_ZONES)
    found = resolve_cells(cells(at(-20, 0) | {"range": 100.0}, at(-20, 0) | {"range": 100.0}), HALVES, explicit=explicit)
    assert found.schema.equals(CELL_ZONES)
    assert weights(found) == {(0, 1): 1.0, (1, 0): 1.0}


def test_nothing_to_resolve():
    assert resolve_cells(cells(), HALVES).schema.equals(CELL_ZONES)
    assert resolve_cells(cells({}), HALVES).num_rows == 0
    assert resolve_cells(cells(at(0, 0)), ZONES.empty_table()).num_rows == 0


@settings(max_examples=30, deadline=None)
@given(
    st.lists(
        st.tuples(st.floats(-60, 60), st.floats(-60, 60), st.sampled_from([None, 500.0, 8_000.0]), st.sampled_from([None, 10.0, 200.0])),
        min_size=1,
        max_size=12,
    )
)
def test_weights_sum_to_one_and_none_is_tiny(places):
    table = cells(*(at(x, y) | {"range": reach, "azimuth_angle": azimuth} for x, y, reach, azimuth in places))
    found = resolve_cells(table, HALVES)
    assert found.equals(resolve_cells(table, HALVES))
    assert found["weight"].to_numpy().min(initial=1.0) >= SMALLEST_WEIGHT
    sums = np.bincount(found["cell"].to_numpy(), found["weight"].to_numpy(), minlength=len(places))
    assert np.all((sums == 0) | (np.abs(sums - 1) < 1e-12))
    inside = [i for i, (x, y, *_) in enumerate(places) if abs(x) < 50 and abs(y) < 50]
    assert (sums[inside] > 0).all()


def counts(**columns):
    return pa.table(columns)


def test_spread_chooses_the_period_of_the_day():
    lookup = pa.table([[3, 3, 3], [None, 40, 40], [39, None, None], [0, 0, 1], [1.0, 0.5, 0.5]], schema=CELL_ZONES)
    table = counts(day=pa.array([39, 40], pa.int32()), cell=[3, 3], value=[10, 10])
    assert [tuple(r.values()) for r in spread_by_footprint(table, lookup).to_pylist()] == [(39, 0, 10.0), (40, 0, 5.0), (40, 1, 5.0)]
    dated = table.set_column(0, "day", table["day"].cast(pa.date32()))
    assert spread_by_footprint(dated, lookup)["value"].to_pylist() == [10.0, 5.0, 5.0]
    without = spread_by_footprint(table.drop_columns(["day"]), lookup)
    assert without.to_pylist() == [{"zone": 0, "value": 10.0}, {"zone": 1, "value": 10.0}]


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 23), st.integers(0, 10**9)), max_size=40))
def test_spread_keeps_totals(rows):
    lookup = pa.table([[1, 1, 4], [None] * 3, [None] * 3, [0, 2, 1], [0.3, 0.7, 1.0]], schema=CELL_ZONES)
    table = pa.table([[r[0] for r in rows], [r[1] for r in rows], [r[2] for r in rows]], names=["cell", "hour", "value"]).cast(
        pa.schema([("cell", pa.int32()), ("hour", pa.int8()), ("value", pa.int64())])
    )
    spread = spread_by_footprint(table, lookup)
    assert sum(spread["value"].to_pylist()) == pytest.approx(sum(r[2] for r in rows))
    lost = sum(r["value"] for r in spread.to_pylist() if r["zone"] == -1)
    assert lost == sum(r[2] for r in rows if r[0] not in {1, 4})


def test_spread_without_a_lookup():
    assert spread_by_footprint(counts(cell=[3], value=[5]), CELL_ZONES.empty_table()).to_pylist() == [{"zone": -1, "value": 5.0}]


@needs_data
def test_korea_at_the_size_of_a_carrier():
    zone_table = load_zones(DATA / "korea" / "zones250.csv", DATA / "korea" / "municipalities_2018_topo.json")
    rng = np.random.default_rng(7)
    n = 3_000
    zone = rng.integers(0, 250, n)
    table = pa.table(
        {
            "cell": pa.array(np.arange(n), pa.int32()),
            "latitude": zone_table["latitude"].to_numpy()[zone],
            "longitude": zone_table["longitude"].to_numpy()[zone],
            "range": rng.uniform(300, 3_000, n),
            "azimuth_angle": rng.uniform(0, 360, n),
        }
    )
    found = resolve_cells(table, zone_table)
    best = majority_zone(found)
    assert best["cell"].to_pylist() == list(range(n))
    # Cells stand at the zones' own points, so nearly all serve mostly the zone that they stand in.
    assert (best["zone"].to_numpy() == zone).mean() > 0.97
