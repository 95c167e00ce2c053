"""A carrier's radio network: sites of three sectors, more of them where more people are, their footprints, and which cell serves whom."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import shapely
from scipy.spatial import cKDTree

from oneteam.stats.compiled import compiled
from oneteam.stats.random import key_of, normals, stream_key, uniform, uniforms
from oneteam.synth import streams
from oneteam.synth.geometry import POINTS_PER_ZONE, Territory
from oneteam.synth.people import Places
from oneteam.synth.settings import Carrier
from oneteam.synth.zones import Floats, Zones

Index = npt.NDArray[np.int32]

SECTORS: Final = 3
CANDIDATES: Final = 3
"""Cells that may serve a place: the best one and those that a phone flips to."""
BEAM_WIDTH_DEG: Final = 65.0
MIN_RANGE_M: Final = 300.0
MAX_RANGE_M: Final = 8_000.0
SITE_JITTER_M: Final = 80.0
SHADOWING: Final = 0.10
OTHER_ZONE_FACTOR: Final = 1.3
"""A site of another zone must be this much nearer: networks are planned by district, with handover offsets along their borders."""
RASTER_M: Final = 1_500.0
MOVED_SHARE: Final = 0.004
MIN_DAYS_TO_MOVE: Final = 4

_SHADOWING = int(streams.Stream.SHADOWING)

TOPOLOGY: Final = pa.schema(
    [
        ("cell_id", pa.string()),
        ("latitude", pa.float64()),
        ("longitude", pa.float64()),
        ("altitude", pa.float32()),
        ("antenna_height", pa.float32()),
        ("directionality", pa.int32()),
        ("azimuth_angle", pa.float32()),
        ("elevation_angle", pa.float32()),
        ("horizontal_beam_width", pa.float32()),
        ("vertical_beam_width", pa.float32()),
        ("power", pa.float32()),
        ("range", pa.float32()),
        ("frequency", pa.int32()),
        ("technology", pa.string()),
        ("valid_date_start", pa.date32()),
        ("valid_date_end", pa.date32()),
        ("cell_type", pa.string()),
    ]
)
"""Columns of the Eurostat multi-MNO network topology; both validity dates inclusive, no end date = still there."""


@dataclass(frozen=True)
class Sites:
    """Sites of one carrier. Cell ``3 * site + sector``; sector k looks to ``azimuth_deg + 120 k``.

    Args:
        zone: zone of each site.
        x: east [m], before and after the move, shape (2, sites).
        y: north [m], the same shape.
        azimuth_deg: of sector 0, clockwise from north.
        range_m: by edition and cell, shape (2, 3 * sites).
        moves_on: day on which a site's cells move, -1 for never.
    """

    zone: Index
    x: Floats
    y: Floats
    azimuth_deg: Floats
    range_m: Floats
    moves_on: Index

    @property
    def count(self) -> int:
        """How many sites."""
        return len(self.zone)

    def at(self, day: int) -> tuple[Floats, Floats]:
        """Where sites stand on a day."""
        moved = (self.moves_on >= 0) & (day >= self.moves_on)
        return np.where(moved, self.x[1], self.x[0]), np.where(moved, self.y[1], self.y[0])


@dataclass(frozen=True)
class Serving:
    """Which cells serve what, for one carrier while no site moves.

    Args:
        cells: by place, the best first, shape (places, `CANDIDATES`).
        raster: nearest site by square of `RASTER_M`, shape (rows, columns).
        west: of the raster [m].
        south: of the raster [m].
        site_x: east [m].
        site_y: north [m].
        azimuth_deg: of each site's sector 0.
    """

    cells: Index
    raster: Index
    west: float
    south: float
    site_x: Floats
    site_y: Floats
    azimuth_deg: Floats


def build_sites(zones: Zones, territory: Territory, carrier: int, share: float, days: int, seed: int) -> Sites:
    """The network of one carrier.

    Args:
        zones: figures.
        territory: where zones lie.
        carrier: its index.
        share: its market share over the largest one's; smaller carriers have thinner networks.
        days: of the simulation; half-way through a long enough one a few sites move.
        seed: of the country.
    """
    settled = zones.population > 0
    relative = zones.population / zones.population[settled].mean()
    per_zone = np.clip(np.round((5.0 + 11.0 * relative**0.6) * share**0.3), 3, 60).astype(np.int64)
    per_zone[~settled] = 2
    zone = np.repeat(np.arange(zones.count), per_zone).astype(np.int32)
    n = len(zone)
    chosen = _spread_out(key_of(seed, streams.Stream.SITES, carrier, 0), per_zone, territory.point_x, territory.point_y)
    key = key_of(seed, streams.Stream.SITES, carrier, 1)
    x = territory.point_x[zone, chosen] + SITE_JITTER_M * normals(key, 0, n)
    y = territory.point_y[zone, chosen] + SITE_JITTER_M * normals(key, n, n)
    azimuth = 120.0 * uniforms(key, 2 * n, n)
    key = key_of(seed, streams.Stream.MOVED_SITES, carrier, 0)
    moves_on = np.full(n, -1, np.int32)
    x2, y2 = x.copy(), y.copy()
    if days >= MIN_DAYS_TO_MOVE:
        movers = np.argsort(uniforms(key, 0, n), kind="stable")[: max(1, round(MOVED_SHARE * n))]
        moves_on[movers] = days // 2
        to = (uniforms(key, n, len(movers)) * POINTS_PER_ZONE).astype(np.int64)
        x2[movers], y2[movers] = territory.point_x[zone[movers], to], territory.point_y[zone[movers], to]
    xs, ys = np.stack([x, x2]), np.stack([y, y2])
    ranges = np.stack([_ranges(territory, zone, xs[e], ys[e], azimuth) for e in range(2)])
    return Sites(zone, xs, ys, azimuth, ranges, moves_on)


@compiled
def _spread_out(key: np.uint64, per_zone: npt.NDArray[np.int64], px: Floats, py: Floats) -> npt.NDArray[np.int64]:
    """For each zone some of its points, each the farthest of a few from those taken before (Mitchell's best candidate)."""
    out = np.empty(per_zone.sum(), np.int64)
    k = 0
    counter = 0
    for z in range(len(per_zone)):
        first = k
        for _ in range(per_zone[z]):
            best, best_d = 0, -1.0
            for _ in range(6):
                candidate = int(uniform(key, counter) * px.shape[1])
                counter += 1
                nearest = 1e300
                for j in range(first, k):
                    d = (px[z, candidate] - px[z, out[j]]) ** 2 + (py[z, candidate] - py[z, out[j]]) ** 2
                    nearest = min(nearest, d)
                if nearest > best_d:
                    best, best_d = candidate, nearest
            out[k] = best
            k += 1
    return out


def _ranges(territory: Territory, zone: Index, x: Floats, y: Floats, azimuth_deg: Floats) -> Floats:
    """Range of each cell [m]: as far as the third next site, but with its middle inside the zone that the site serves."""
    neighbours = min(4, len(x))
    distance = np.asarray(cKDTree(np.column_stack([x, y])).query(np.column_stack([x, y]), k=[neighbours])[0])[:, 0]
    reach = np.repeat(np.clip(0.9 * distance, MIN_RANGE_M, MAX_RANGE_M), SECTORS)
    angle = np.radians((azimuth_deg[:, None] + 120.0 * np.arange(SECTORS)[None]).ravel())
    lon, lat = territory.plane.inverse(np.repeat(x, SECTORS), np.repeat(y, SECTORS))
    shape = np.array(territory.shapes, dtype=object)[np.repeat(zone, SECTORS)]
    shapely.prepare(shape)
    for _ in range(8):
        lon, lat = territory.plane.inverse(
            np.repeat(x, SECTORS) + 0.6 * reach * np.sin(angle), np.repeat(y, SECTORS) + 0.6 * reach * np.cos(angle)
        )
        outside = ~shapely.contains_xy(shape, lon, lat)
        if not outside.any():
            break
        reach[outside] *= 0.7
    return np.asarray(reach, np.float64)


def serve(sites: Sites, places: Places, carrier: int, day: int, seed: int) -> Serving:
    """Which cells serve each place, and each square of the country, on a day."""
    x, y = sites.at(day)
    tree = cKDTree(np.column_stack([x, y]))
    k = min(5, sites.count)
    cells = np.empty((len(places.x), CANDIDATES), np.int32)
    key = key_of(seed, _SHADOWING, carrier, 0)
    for first in range(0, len(places.x), 262_144):
        part = slice(first, first + 262_144)
        near = tree.query(np.column_stack([places.x[part], places.y[part]]), k=range(1, k + 1))[1].astype(np.int32)
        _rank(key, first, near, places.x[part], places.y[part], places.zone[part], x, y, sites.zone, sites.azimuth_deg, cells[part])
    # Sites stand where people do, so all carriers' rasters share the frame that the places give.
    west, south = float(places.x.min()) - RASTER_M, float(places.y.min()) - RASTER_M
    columns = int((float(places.x.max()) - west) / RASTER_M) + 2
    rows = int((float(places.y.max()) - south) / RASTER_M) + 2
    cx, cy = np.meshgrid(west + (np.arange(columns) + 0.5) * RASTER_M, south + (np.arange(rows) + 0.5) * RASTER_M)
    raster = tree.query(np.column_stack([cx.ravel(), cy.ravel()]))[1].astype(np.int32).reshape(rows, columns)
    return Serving(cells, raster, west, south, x, y, sites.azimuth_deg)


@compiled
def sector_towards(dx: float, dy: float, azimuth_deg: float) -> int:
    """The sector of a site that looks nearest to a direction."""
    bearing = np.degrees(np.arctan2(dx, dy))
    return int(np.floor(((bearing - azimuth_deg + 60.0) % 360.0) / 120.0)) % SECTORS


@compiled
def _rank(
    key: np.uint64,
    first: int,
    near: Index,
    px: npt.NDArray[np.float32],
    py: npt.NDArray[np.float32],
    pzone: Index,
    x: Floats,
    y: Floats,
    zone: Index,
    azimuth_deg: Floats,
    out: Index,
) -> None:
    """Fill ``out`` with the cells that serve each place: by distance, with a fading that is the place's own."""
    k = near.shape[1]
    score = np.empty(k)
    for p in range(len(px)):
        own = stream_key(key, 0, first + p, 0)
        for j in range(k):
            s = near[p, j]
            d = np.hypot(px[p] - x[s], py[p] - y[s]) + 30.0
            score[j] = d * (1.0 + SHADOWING * (2.0 * uniform(own, j) - 1.0)) * (1.0 if zone[s] == pzone[p] else OTHER_ZONE_FACTOR)
        order = np.argsort(score)
        best = near[p, order[0]]
        sector = sector_towards(px[p] - x[best], py[p] - y[best], azimuth_deg[best])
        out[p, 0] = SECTORS * best + sector
        for r in range(1, CANDIDATES):
            if r < k and score[order[r]] < 2.0 * score[order[0]] + 300.0:
                s = near[p, order[r]]
                out[p, r] = SECTORS * s + sector_towards(px[p] - x[s], py[p] - y[s], azimuth_deg[s])
            else:
                out[p, r] = SECTORS * best + (sector + r) % SECTORS


def cell_ids(carrier: Carrier, mcc: int, sites: int) -> list[str]:
    """Cell identities: MCC, MNC, seven digits of the site, two of the sector.

    >>> cell_ids(Carrier(name="north", share=1.0, mnc="01"), 450, 1)[2]
    '45001000000103'
    """
    return [f"{mcc}{carrier.mnc}{site + 1:07d}{sector + 1:02d}" for site in range(sites) for sector in range(SECTORS)]


def topology(sites: Sites, ids: list[str], territory: Territory, start: date, carrier: int, seed: int) -> pa.Table:
    """The network as the carrier would hand it to its statistics department; a moved cell has a row for each of its two positions."""
    rows = [(e, s) for e in range(2) for s in range(sites.count) if e == 0 or sites.moves_on[s] >= 0]
    edition, site = (np.array(v, np.int64) for v in zip(*rows, strict=True))
    lon, lat = territory.plane.inverse(sites.x[edition, site], sites.y[edition, site])
    n = len(site)
    key = key_of(seed, streams.Stream.SITES, carrier, 2)
    height = 15.0 + 30.0 * uniforms(key, 0, sites.count)[site]
    fifth = uniforms(key, sites.count, sites.count)[site] < 0.3
    opened = start - timedelta(days=365)
    begins = [opened if e == 0 else start + timedelta(days=int(sites.moves_on[s])) for e, s in rows]
    ends = [start + timedelta(days=int(sites.moves_on[s]) - 1) if e == 0 and sites.moves_on[s] >= 0 else None for e, s in rows]
    sector = np.tile(np.arange(SECTORS), n)
    cell = np.repeat(site, SECTORS) * SECTORS + sector
    reach = sites.range_m[np.repeat(edition, SECTORS), cell]

    def each(values: object) -> npt.NDArray[np.float64]:
        return np.repeat(np.asarray(values, np.float64), SECTORS)

    columns = {
        "cell_id": [ids[c] for c in cell],
        "latitude": np.round(each(lat), 6),
        "longitude": np.round(each(lon), 6),
        "altitude": np.round(each(20.0 + height), 1),
        "antenna_height": np.round(each(height), 1),
        "directionality": np.ones(len(cell), np.int32),
        "azimuth_angle": np.round(each(sites.azimuth_deg[site]) + 120.0 * sector, 1) % 360.0,
        "elevation_angle": np.full(len(cell), -4.0),
        "horizontal_beam_width": np.full(len(cell), BEAM_WIDTH_DEG),
        "vertical_beam_width": np.full(len(cell), 9.0),
        "power": np.where(reach < 1_000.0, 10.0, 40.0),
        "range": np.round(reach),
        "frequency": np.where(np.repeat(fifth, SECTORS), 3_500, 1_800).astype(np.int32),
        "technology": np.where(np.repeat(fifth, SECTORS), "5G", "LTE").tolist(),
        "valid_date_start": [d for d in begins for _ in range(SECTORS)],
        "valid_date_end": [d for d in ends for _ in range(SECTORS)],
        "cell_type": np.where(reach < 1_000.0, "microcell", "macrocell").tolist(),
    }
    return pa.table({name: pa.array(columns[name]).cast(TOPOLOGY.field(name).type) for name in TOPOLOGY.names}, schema=TOPOLOGY)
