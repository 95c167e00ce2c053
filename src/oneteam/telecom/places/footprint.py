"""Which zones a cell serves: cell footprints laid over zones, each cell and validity period on its own.

Three ways, the best that a cell's topology allows: its *footprint*, its *Voronoi region* (`places.antennas` has the formulas
and sources of both), or, where no sample of either falls into a zone, the zone of its *point* alone, or the nearest one within 20 km.

Zones without polygon are held by their point: a place belongs to the nearest. Cells without coordinates get no row.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from scipy import sparse

from oneteam.store.geography import EqualAreaProjection
from oneteam.telecom.places.antennas import Antennas
from oneteam.telecom.places.ground import FIRST_DAY, LAST_DAY, Floats, Ground, Ints, days_of, floats_of
from oneteam.telecom.schemas import CELL_ZONES

SMALLEST_WEIGHT: Final = 0.01

_SAMPLES_AT_ONCE: Final = 524_288
_SAMPLES_PER_CELL: Final = 288


def resolve_cells(cells: pa.Table, zones: pa.Table, *, explicit: pa.Table | None = None, spacing_m: float | None = None) -> pa.Table:
    """The lookup from cells to zones.

    Args:
        cells: table in the schema `CELLS`.
        zones: table in the schema `ZONES`; polygons in WGS 84, or points, or both mixed.
        explicit: a lookup in the schema `CELL_ZONES`; the cells that it names are taken from it as they stand.
        spacing_m: distance between sample points [m]; 288 points per cell, whatever its size, when None. At most 4,096 points per cell.

    Returns:
        a table in the schema `CELL_ZONES`, sorted by cell, period and zone. Weights below 0.01 are dropped, the others sum to 1.

    >>> import shapely
    >>> zones = pa.table({"zone": pa.array([0, 1], pa.int32()), "latitude": [37.5, 37.5], "longitude": [127.0, 127.2],
    ...                   "geometry": [shapely.to_wkb(shapely.box(126.9, 37.4, 127.1, 37.6)),
    ...                                shapely.to_wkb(shapely.box(127.1, 37.4, 127.3, 37.6))]})
    >>> cells = pa.table({"cell": pa.array([7], pa.int32()), "latitude": [37.5], "longitude": [127.1], "range": [2000.0]})
    >>> [(row["cell"], row["zone"], round(row["weight"], 3)) for row in resolve_cells(cells, zones).to_pylist()]
    [(7, 0, 0.5), (7, 1, 0.5)]
    """
    named = np.unique(explicit["cell"].to_numpy()) if explicit is not None else np.empty(0, np.int32)
    located = pc.and_(pc.is_valid(cells["latitude"]), pc.is_valid(cells["longitude"]))
    todo = cells.filter(pc.and_(located, pc.invert(pc.is_in(cells["cell"], pa.array(named, cells["cell"].type)))))
    tables = [] if explicit is None else [explicit.select(CELL_ZONES.names).cast(CELL_ZONES).replace_schema_metadata()]
    if todo.num_rows and zones.num_rows:
        # About the zones, not the cells: one cell with wrong coordinates must not move the plane.
        middle = zones if np.isfinite(floats_of(zones, "latitude")).any() else todo
        plane = EqualAreaProjection.centred_on(floats_of(middle, "longitude"), floats_of(middle, "latitude"))
        ground = Ground.of(zones, plane)
        antennas = Antennas.of(todo, cells.filter(located), plane)
        row, zone, weight = _weights(antennas, ground, spacing_m)
        tables.append(
            pa.table(
                [
                    todo["cell"].take(row),
                    _dates(todo, "valid_date_start").take(row),
                    _dates(todo, "valid_date_end").take(row),
                    zones["zone"].take(zone),
                    weight,
                ],
                schema=CELL_ZONES,
            )
        )
    resolved = pa.concat_tables(tables) if tables else CELL_ZONES.empty_table()
    order = pc.sort_indices(
        resolved,
        sort_keys=[("cell", "ascending", "at_end"), ("valid_date_start", "ascending", "at_start"), ("zone", "ascending", "at_end")],
    )
    return resolved.take(order).combine_chunks()


def majority_zone(cell_zones: pa.Table) -> pa.Table:
    """*The* zone of each cell and period: that of the largest weight, the lower index on ties.

    Args:
        cell_zones: table in the schema `CELL_ZONES`.

    Returns:
        columns ``cell``, ``valid_date_start``, ``valid_date_end``, ``zone``; sorted by cell and period.

    >>> table = pa.table({"cell": [3, 3, 3], "valid_date_start": pa.nulls(3, pa.date32()), "valid_date_end": pa.nulls(3, pa.date32()),
    ...                   "zone": [9, 4, 5], "weight": [0.2, 0.4, 0.4]})
    >>> majority_zone(table).to_pylist()
    [{'cell': 3, 'valid_date_start': None, 'valid_date_end': None, 'zone': 4}]
    """
    cell, start, zone = cell_zones["cell"].to_numpy(), days_of(cell_zones, "valid_date_start", FIRST_DAY), cell_zones["zone"].to_numpy()
    order = np.lexsort((zone, -cell_zones["weight"].to_numpy(), start, cell))
    first = np.ones(len(order), dtype=np.bool_)
    first[1:] = (cell[order][1:] != cell[order][:-1]) | (start[order][1:] != start[order][:-1])
    return cell_zones.select(["cell", "valid_date_start", "valid_date_end", "zone"]).take(pa.array(order[first])).combine_chunks()


def spread_by_footprint(
    counts_by_cell: pa.Table, cell_zones: pa.Table, values: tuple[str, ...] = ("value",), *, cell: str = "cell", day: str = "day"
) -> pa.Table:
    """Distribute a table by cell over zones by footprint weight; every total is kept.

    Args:
        counts_by_cell: a column ``cell``, further key columns, and the columns to be distributed.
        cell_zones: table in the schema `CELL_ZONES`.
        values: the columns to be distributed.
        cell: the name of the cell column.
        day: the key column with the local day (date32, or int32 days since 1970-01-01) that chooses the validity period; when the table has
            no such column, or no period holds the day, a cell's latest period counts.

    Returns:
        key columns with ``zone`` in the place of ``cell``, and the values as float64, one row per key, sorted by key. Zone -1 holds what
        cells without a zone have counted.

    >>> lookup = pa.table({"cell": [3, 3], "valid_date_start": pa.nulls(2, pa.date32()), "valid_date_end": pa.nulls(2, pa.date32()),
    ...                    "zone": pa.array([0, 1], pa.int32()), "weight": [0.25, 0.75]})
    >>> counts = pa.table({"hour": [8, 8], "cell": [3, 4], "value": [100, 7]})
    >>> spread_by_footprint(counts, lookup).to_pylist()
    [{'hour': 8, 'zone': -1, 'value': 7.0}, {'hour': 8, 'zone': 0, 'value': 25.0}, {'hour': 8, 'zone': 1, 'value': 75.0}]
    """
    order = np.lexsort((days_of(cell_zones, "valid_date_start", FIRST_DAY), cell_zones["cell"].to_numpy()))
    cells = cell_zones["cell"].to_numpy()[order]
    starts, ends = (
        days_of(cell_zones, name, open_)[order] for name, open_ in (("valid_date_start", FIRST_DAY), ("valid_date_end", LAST_DAY))
    )
    change = np.ones(len(order), dtype=np.bool_)
    change[1:] = (cells[1:] != cells[:-1]) | (starts[1:] != starts[:-1])
    first = np.flatnonzero(change)
    size = np.diff(np.append(first, len(order)))
    period = _period_of(counts_by_cell, (cells[first], starts[first], ends[first]), cell, day)
    repeats = np.where(period >= 0, size[period] if len(size) else 1, 1)
    source = np.repeat(np.arange(counts_by_cell.num_rows), repeats)
    within = np.arange(len(source)) - np.repeat(np.cumsum(repeats) - repeats, repeats)
    known = period[source] >= 0
    entry = (
        order[np.where(known, (first[period[source]] if len(first) else 0) + within, 0)] if len(order) else np.zeros(len(source), np.int64)
    )
    zone, weight = np.full(len(source), -1, np.int32), np.ones(len(source))
    zone[known] = cell_zones["zone"].to_numpy()[entry[known]]
    weight[known] = cell_zones["weight"].to_numpy()[entry[known]]
    keys = ["zone" if name == cell else name for name in counts_by_cell.column_names if name not in values]
    spread = pa.table(
        {
            **{name: pa.array(zone) if name == "zone" else counts_by_cell[name].take(pa.array(source)) for name in keys},
            **{name: counts_by_cell[name].cast(pa.float64()).to_numpy()[source] * weight for name in values},
        }
    )
    summed = spread.group_by(keys, use_threads=False).aggregate([(name, "sum") for name in values])
    return summed.rename_columns([*keys, *values]).sort_by([(name, "ascending") for name in keys])


def _weights(antennas: Antennas, ground: Ground, spacing_m: float | None) -> tuple[Ints, Ints, Floats]:
    """Rows (antenna, zone, weight), sorted."""
    home = ground.of_points(antennas.places)
    # Most footprints lie wholly in one zone: no sampling then.
    whole = (home >= 0) & (ground.room_around(antennas.places, home) > antennas.radius)
    parts = [(np.flatnonzero(whole), home[whole], np.ones(int(whole.sum())))]
    rest = np.flatnonzero(~whole)
    at_once = _SAMPLES_AT_ONCE // (_SAMPLES_PER_CELL if spacing_m is None else 4_096)
    if spacing_m is not None:
        # A group of cells shares the grid that its widest footprint needs.
        rest = rest[np.argsort(antennas.radius[rest], kind="stable")]
    for first in range(0, len(rest), at_once):
        rows = rest[first : first + at_once]
        x, y, weight = antennas.samples(rows, spacing_m)
        zone = ground.locate(x, y, antennas.radius[rows], antennas.places[rows], weight > 0)
        found = _normalised(rows, zone, weight, len(ground.points))
        alone = np.setdiff1d(rows, found[0])
        alone = alone[home[alone] >= 0]
        parts += [found, (alone, home[alone], np.ones(len(alone)))]
    row, zone, weight = (np.concatenate([part[i] for part in parts]) for i in range(3))
    order = np.lexsort((zone, row))
    return row[order], zone[order], weight[order]


def _normalised(rows: Ints, zone: Ints, weight: Floats, zones: int) -> tuple[Ints, Ints, Floats]:
    """Sum the weights of samples (rows, points) by row and zone, drop the tiny ones, scale the rest to 1."""
    row, point = np.nonzero(zone >= 0)
    # A sparse matrix sums without sorting; its rows and columns come out in order.
    matrix = sparse.coo_matrix((weight[row, point], (row, zone[row, point])), shape=(len(rows), zones)).tocsr()
    matrix.sort_indices()
    row, found, total = np.repeat(np.arange(len(rows)), np.diff(matrix.indptr)), matrix.indices.astype(np.int64), matrix.data
    for keep_from in (SMALLEST_WEIGHT, 0.0):
        total = np.asarray(total / np.bincount(row, total, minlength=len(rows))[row], dtype=np.float64)
        kept = total >= keep_from
        row, found, total = row[kept], found[kept], total[kept]
    return rows[row], found, total


def _period_of(counts: pa.Table, periods: tuple[Ints, Ints, Ints], cell: str, day: str) -> Ints:
    """For each row of counts the number of its cell's period; -1 when the cell has none."""
    cells, starts, ends = periods
    wanted = counts[cell].to_numpy().astype(np.int64)
    last = np.searchsorted(cells, wanted, side="right") - 1
    known = (last >= 0) & (cells[last] == wanted) if len(cells) else np.zeros(len(wanted), dtype=np.bool_)
    period = np.where(known, last, -1)
    if day not in counts.column_names or not len(cells):
        return period
    days = days_of(counts, day, 0)
    for step in range(int(np.unique(cells, return_counts=True)[1].max())):
        at = np.maximum(last - step, 0)
        fits = known & (cells[at] == wanted) & (last >= step) & (starts[at] <= days) & (days <= ends[at])
        period = np.where(fits, at, period)
    return period


def _dates(table: pa.Table, name: str) -> pa.ChunkedArray:
    return table[name] if name in table.column_names else pa.chunked_array([pa.nulls(table.num_rows, pa.date32())])
