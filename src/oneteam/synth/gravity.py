"""Who goes where: flows between zones from jobs, people, distance, and, where given, known trips between regions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from oneteam.synth.geometry import Territory
from oneteam.synth.zones import Zones

Floats = npt.NDArray[np.float64]
Cumulative = npt.NDArray[np.float32]

COMMUTE_DECAY: Final = 2.3
LEISURE_DECAY: Final = 2.1
FAR_DECAY: Final = 0.8
SCHOOL_AT_HOME: Final = 0.93
"""Share of pupils and students whose school lies in their own zone."""


@dataclass(frozen=True)
class Flows:
    """Cumulative distributions of destination by origin, shape (zones, zones); every row ends at 1.

    Args:
        work: workplace of people who work.
        school: school of pupils and students.
        leisure: shops, visits, leisure.
        far: overnight trips within the country.
    """

    work: Cumulative
    school: Cumulative
    leisure: Cumulative
    far: Cumulative


def make_flows(zones: Zones, territory: Territory, od: Floats | None) -> Flows:
    """Flows of a country.

    Args:
        zones: figures.
        territory: where zones lie.
        od: trips per day between regions, in the order of ``zones.region_codes``; None leaves the regions to gravity.
    """
    distance_km = np.hypot(territory.x[:, None] - territory.x[None], territory.y[:, None] - territory.y[None]) / 1_000
    inner_km = 0.5 * np.sqrt(territory.area_m2 / np.pi) / 1_000
    np.fill_diagonal(distance_km, inner_km)
    settled = (zones.population > 0).astype(np.float64)
    people = np.maximum(zones.population, 1.0) * settled + 1e-3
    jobs = np.maximum(zones.jobs, 1.0) * settled + 1e-3
    shares = None if od is None else od / od.sum(1, keepdims=True)
    region = zones.region_index
    employed = np.maximum(zones.employed, 1e-3)
    work = _balanced(employed, jobs, (distance_km + 2.0) ** -COMMUTE_DECAY, region, shares)
    leisure = _balanced(people, 0.6 * jobs + 0.4 * people, (distance_km + 2.0) ** -LEISURE_DECAY, region, shares)
    elsewhere = (distance_km + 30.0) ** -FAR_DECAY
    if zones.count > 1:
        np.fill_diagonal(elsewhere, 0.0)
    outward = None
    if shares is not None and len(shares) > 1:
        outward = shares * (1 - np.eye(len(shares)))
        outward /= np.maximum(outward.sum(1, keepdims=True), 1e-12)
        elsewhere = elsewhere * (region[:, None] != region[None])
    far = _balanced(people, np.sqrt(people * jobs), elsewhere, region, outward)
    school = leisure / leisure.sum(1, keepdims=True) * (1 - SCHOOL_AT_HOME)
    school[np.diag_indices(zones.count)] += SCHOOL_AT_HOME
    return Flows(*(_cumulative(flow) for flow in (work, school, leisure, far)))


def _balanced(rows: Floats, columns: Floats, kernel: Floats, region: npt.NDArray[np.int64], shares: Floats | None) -> Floats:
    """A matrix shaped like ``kernel`` with the given row sums, columns in proportion to ``columns``, and, where known, the regions' shares.

    Iterative proportional fitting (Deming and Stephan 1940). The three wishes may contradict each other: rows are met exactly, regions
    nearly, columns as well as those allow.
    """
    flow = kernel * rows[:, None] * columns[None]
    target = columns * rows.sum() / columns.sum()
    origins = np.bincount(region, rows)
    for _ in range(30):
        flow *= (target / np.maximum(flow.sum(0), 1e-12))[None]
        if shares is not None:
            blocks = np.zeros_like(shares)
            np.add.at(blocks, (region[:, None], region[None]), flow)
            factor = np.divide(origins[:, None] * shares, blocks, out=np.zeros_like(blocks), where=blocks > 0)
            flow *= factor[region[:, None], region[None]]
        flow *= (rows / np.maximum(flow.sum(1), 1e-12))[:, None]
    return flow


def _cumulative(flow: Floats) -> Cumulative:
    total = flow.sum(1, keepdims=True)
    # A zone that nobody can leave (a country of one zone has no far zone) keeps its people.
    flow = np.where(total > 0, flow / np.maximum(total, 1e-300), np.eye(len(flow)))
    cumulative = np.cumsum(flow, axis=1)
    cumulative[:, -1] = 1.0
    return np.minimum(cumulative, 1.0).astype(np.float32)
