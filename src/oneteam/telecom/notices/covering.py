"""Which cells cover a place, by the topology valid on a day.

A point (with a radius) is covered by every cell whose footprint touches it, with the same outline as in `places.antennas`: within
its range (given, or by its power) and, for a directional cell, within one beam width of its axis to either side (12 dB below the axis).
Where no footprint touches the point, all cells of the nearest sites stand in.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from oneteam.stats.compiled import compiled
from oneteam.telecom.notices.visits import Codes, Floats, Ints
from oneteam.telecom.places.antennas import SECTOR_BEAM_WIDTH_DEG, range_from_power

EARTH_RADIUS_M: Final = 6_371_008.8
"""Mean radius of the earth (IUGG) [m]."""

NEAREST_SITES: Final = 3
"""Sites that stand in for a place which no footprint covers."""


@dataclass(frozen=True)
class Topology:
    """The cells valid on one day, as columns; NaN where the network topology is silent.

    Args:
        cell: cell codes, shape (cells,).
        latitude: of the site, WGS 84 [degrees].
        longitude: of the site.
        range_m: reach of the footprint, given or by power [m]; NaN = no footprint known.
        azimuth: centre of the beam, clockwise from north [degrees]; NaN = all round.
        beam: beam width (half power) [degrees].
        zone: zone of largest weight, -1 = none.
    """

    cell: Codes
    latitude: Floats
    longitude: Floats
    range_m: Floats
    azimuth: Floats
    beam: Floats
    zone: Codes


def valid_on(table: pa.Table, day: int) -> NDArray[np.bool_]:
    """Which rows of a table with validity dates hold on a day (days since 1970-01-01); both ends inclusive, null = open."""
    far = np.iinfo(np.int32).max
    first, last = (
        table[name].cast(pa.int32()).fill_null(value).to_numpy() for name, value in (("valid_date_start", -far), ("valid_date_end", far))
    )
    return np.asarray((first <= day) & (day <= last))


def topology_of(cells: pa.Table, cell_zones: pa.Table | None, day: int) -> Topology:
    """The topology of one day from the tables `oneteam.telecom.schemas.CELLS` and ``CELL_ZONES``."""
    cells = cells.filter(pa.array(valid_on(cells, day)))

    def column(name: str) -> Floats:
        return np.array(cells[name].cast(pa.float64()).fill_null(np.nan).to_numpy(), np.float64)

    azimuth, beam = column("azimuth_angle"), column("horizontal_beam_width")
    azimuth[(column("directionality") == 0) | (beam >= 360)] = np.nan
    beam[~(beam > 0)] = SECTOR_BEAM_WIDTH_DEG
    reach, power = column("range"), column("power")
    reach = np.where(np.isnan(reach) & (power > 0), range_from_power(np.where(power > 0, power, 1.0)), reach)
    codes = cells["cell"].to_numpy().astype(np.int32)
    zone = np.full(len(codes), -1, np.int32)
    if cell_zones is not None and cell_zones.num_rows:
        lookup = cell_zones.filter(pa.array(valid_on(cell_zones, day)))
        served, zones, weight = (lookup[name].to_numpy() for name in ("cell", "zone", "weight"))
        order = np.lexsort((zones, -weight, served))
        served, zones = served[order], zones[order]
        first = np.concatenate(([True], served[1:] != served[:-1])) if len(served) else np.zeros(0, bool)
        zone_of = np.full(int(max(codes.max(initial=0), served.max(initial=0))) + 1, -1, np.int32)
        zone_of[served[first]] = zones[first]
        zone = zone_of[codes]
    return Topology(codes, column("latitude"), column("longitude"), reach, azimuth, beam, zone)


def covering_cells(topology: Topology, latitude: Floats, longitude: Floats, radius_m: Floats) -> tuple[Ints, Codes]:
    """The cells that cover each point.

    Args:
        topology: the cells.
        latitude: points, WGS 84 [degrees], shape (points,).
        longitude: likewise.
        radius_m: how far the place reaches around its point [m].

    Returns:
        pairs (index of the point, cell code), sorted and distinct.

    >>> columns = ([7, 8], [37.5, 37.5], [127.0, 127.1], [500.0, 500.0], [90.0, 90.0], [120.0, 120.0], [0, 1])
    >>> here = Topology(*(np.array(column) for column in columns))
    >>> points, cells = covering_cells(here, np.array([37.5, 37.5]), np.array([127.003, 126.997]), np.zeros(2))
    >>> list(zip(points.tolist(), cells.tolist()))  # east of site 7: in its beam; west of it: nobody's, so the nearest sites
    [(0, 7), (1, 7), (1, 8)]
    """
    located = ~np.isnan(topology.latitude) & ~np.isnan(topology.longitude)
    if not located.any():
        return np.zeros(0, np.int64), np.zeros(0, np.int32)
    sites_lat, sites_lon = topology.latitude[located], topology.longitude[located]
    codes = topology.cell[located]
    order = np.argsort(latitude, kind="stable")
    with_footprint = ~np.isnan(topology.range_m[located])
    pair_point, pair_cell = _footprints(
        np.radians(sites_lat[with_footprint]),
        np.radians(sites_lon[with_footprint]),
        topology.range_m[located][with_footprint],
        np.radians(topology.azimuth[located][with_footprint]),
        np.radians(np.minimum(topology.beam[located][with_footprint], 180.0)),
        np.radians(latitude[order]),
        np.radians(longitude[order]),
        radius_m[order],
    )
    points, cells = order[pair_point], codes[with_footprint][pair_cell]
    alone = np.setdiff1d(np.arange(len(latitude)), points)
    if len(alone):
        sites, member = np.unique(np.column_stack((sites_lat, sites_lon)), axis=0, return_inverse=True)
        near = cKDTree(_on_sphere(*sites.T)).query(
            _on_sphere(latitude[alone], longitude[alone]), k=range(1, min(NEAREST_SITES, len(sites)) + 1)
        )[1]
        by_site = np.argsort(member, kind="stable")
        edges = np.searchsorted(member[by_site], np.arange(len(sites) + 1))
        extra = [(p, by_site[edges[s] : edges[s + 1]]) for p, row in zip(alone, near, strict=True) for s in row]
        points = np.concatenate([points, *(np.full(len(found), p) for p, found in extra)])
        cells = np.concatenate([cells, *(codes[found] for _, found in extra)])
    span = int(codes.max()) + 1
    pairs = np.unique(points.astype(np.int64) * span + cells)
    return pairs // span, (pairs % span).astype(np.int32)


def _on_sphere(latitude: Floats, longitude: Floats) -> Floats:
    lat, lon = np.radians(latitude), np.radians(longitude)
    return np.column_stack((np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)))


@compiled
def _footprints(
    site_lat: Floats, site_lon: Floats, range_m: Floats, azimuth: Floats, widest_off: Floats, lat: Floats, lon: Floats, radius_m: Floats
) -> tuple[Ints, Ints]:
    """Pairs (point, cell) where the disc around the point touches the cell's sector; points sorted by latitude, angles in radians."""
    size, point, cell = 0, np.empty(1024, np.int64), np.empty(1024, np.int64)
    widest = radius_m.max() if len(radius_m) else 0.0
    cos_lat = np.cos(lat)
    for c in range(len(site_lat)):
        cos_site = np.cos(site_lat[c])
        margin = (range_m[c] + widest) / EARTH_RADIUS_M + 1e-9
        first = np.searchsorted(lat, site_lat[c] - margin)
        for p in range(first, len(lat)):
            if lat[p] > site_lat[c] + margin:
                break
            north, east = lat[p] - site_lat[c], lon[p] - site_lon[c]
            # sin²(x) >= (2x/π)² for |x| <= π/2: far to the east or west is told without trigonometry.
            if abs(east) <= np.pi and cos_lat[p] * cos_site * (east / np.pi) ** 2 > (margin / 2) ** 2:
                continue
            half = np.sin(north / 2) ** 2 + cos_lat[p] * cos_site * np.sin(east / 2) ** 2
            distance = 2 * EARTH_RADIUS_M * np.arcsin(np.sqrt(min(1.0, half)))
            if distance > range_m[c] + radius_m[p]:
                continue
            if not np.isnan(azimuth[c]) and widest_off[c] < np.pi and distance > radius_m[p]:
                y = np.sin(east) * cos_lat[p]
                x = cos_site * np.sin(lat[p]) - np.sin(site_lat[c]) * cos_lat[p] * np.cos(east)
                off = abs((np.arctan2(y, x) - azimuth[c] + np.pi) % (2 * np.pi) - np.pi)
                if off > widest_off[c] + np.arcsin(radius_m[p] / distance) + 1e-12:
                    continue
            if size == len(point):
                point, cell = np.concatenate((point, np.empty_like(point))), np.concatenate((cell, np.empty_like(cell)))
            point[size], cell[size] = p, c
            size += 1
    return point[:size], cell[:size]
