"""Who was at a place that an agency has published: the join of a carrier's own events with visits.

A *visit* is a place and a period, nothing else: no person, no case, no order among visits. A subscriber counts as exposed by a visit when
seen, from its start to its end plus ``linger_s``, on a cell that covers the place (for a point see `covering`; for a zone,
every cell whose zone of largest weight it is; for a cell, that cell). Everything here stays at the carrier.

The join keeps, for each cell, its periods sorted by start, with the running maximum of their ends (an implicit interval tree in one
array); so an event costs one binary search and as many steps as there are periods that may still be open.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from oneteam.core.errors import NothingFoundError
from oneteam.stats.compiled import compiled
from oneteam.telecom.notices.covering import Topology, covering_cells
from oneteam.telecom.notices.visits import Codes, Ints, Visits


@dataclass(frozen=True)
class Watch:
    """Which visits each cell covers and when: compressed rows by cell code, sorted by start within a cell."""

    edges: Ints
    start_us: Ints
    end_us: Ints
    latest_end_us: Ints
    visit: Ints
    visits: int


def watch_of(cell: Codes, start_us: Ints, end_us: Ints, visit: Ints, visits: int) -> Watch:
    """Index periods (inclusive at both ends) by cell.

    Args:
        cell: cell code of each period, shape (periods,).
        start_us: first moment [us].
        end_us: last moment [us].
        visit: which visit the period belongs to.
        visits: number of visits.
    """
    order = np.lexsort((start_us, cell))
    cell, start_us, end_us, visit = cell[order], start_us[order], end_us[order], visit[order]
    edges = np.searchsorted(cell, np.arange(int(cell.max(initial=-1)) + 2)).astype(np.int64)
    return Watch(edges, start_us, end_us, _latest(edges, end_us), visit.astype(np.int64), visits)


@compiled
def _latest(edges: Ints, end_us: Ints) -> Ints:
    latest = end_us.copy()
    for row in range(len(edges) - 1):
        for k in range(edges[row] + 1, edges[row + 1]):
            latest[k] = max(latest[k], latest[k - 1])
    return latest


def visits_on(visits: Visits, topology: Topology, day_start_us: int, day_end_us: int, linger_us: int = 0) -> Watch:
    """The part of the visits that falls on one day, laid onto the cells of that day.

    Args:
        visits: all visits.
        topology: the cells of the day.
        day_start_us: first moment of the local day [us].
        day_end_us: first moment of the next [us].
        linger_us: how long a place counts after the visit's end [us].
    """
    end_us = visits.end_us + linger_us
    today = np.flatnonzero((visits.start_us < day_end_us) & (end_us >= day_start_us))
    found_visit, found_cell = [], []
    points = today[~np.isnan(visits.latitude[today])]
    if len(points):
        # Many visits share a place: resolve each place once.
        places = np.column_stack((visits.latitude[points], visits.longitude[points], visits.radius_m[points]))
        distinct, which = np.unique(places, axis=0, return_inverse=True)
        place, covering = covering_cells(topology, *np.ascontiguousarray(distinct.T))
        member, cell = _expand(which.reshape(-1), place, covering, len(distinct))
        found_visit.append(points[member])
        found_cell.append(cell)
    in_zone = today[visits.zone[today] >= 0]
    if len(in_zone):
        order = np.argsort(topology.zone, kind="stable")
        member, cell = _expand(
            visits.zone[in_zone], topology.zone[order], topology.cell[order], int(max(topology.zone.max(initial=0), visits.zone.max())) + 1
        )
        found_visit.append(in_zone[member])
        found_cell.append(cell)
    by_cell = today[visits.cell[today] >= 0]
    by_cell = by_cell[np.isin(visits.cell[by_cell], topology.cell)]
    visit = np.concatenate([*found_visit, by_cell]).astype(np.int64)
    cell = np.concatenate([*found_cell, visits.cell[by_cell]]).astype(np.int32)
    return watch_of(cell, np.maximum(visits.start_us[visit], day_start_us), np.minimum(end_us[visit], day_end_us - 1), visit, len(visits))


def _expand(keys: NDArray[Any], sorted_keys: NDArray[Any], values: NDArray[Any], size: int) -> tuple[Ints, NDArray[Any]]:
    """Every (position in ``keys``, value) where the key is the same; ``sorted_keys`` ascending."""
    edges = np.searchsorted(sorted_keys, np.arange(size + 1))
    counts = edges[keys + 1] - edges[keys]
    position = np.repeat(np.arange(len(keys)), counts)
    offset = np.arange(len(position)) - np.repeat(np.cumsum(counts) - counts, counts)
    return position.astype(np.int64), values[edges[keys][position] + offset]


def sightings(subscriber: Ints, timestamp_us: Ints, cell: Codes, watch: Watch) -> pa.Table:
    """Where events and visits meet.

    Args:
        subscriber: of each event, events sorted by (subscriber, timestamp), shape (events,).
        timestamp_us: UTC [us].
        cell: cell code.
        watch: from `visits_on`.

    Returns:
        ``subscriber``, ``visit``, ``first_us``, ``last_us``: one row for each pair that meets.
    """
    columns = _sightings(
        subscriber, timestamp_us, cell, watch.edges, watch.start_us, watch.end_us, watch.latest_end_us, watch.visit, watch.visits
    )
    return pa.table(dict(zip(("subscriber", "visit", "first_us", "last_us"), columns, strict=True)))


@compiled
def _sightings(
    subscriber: Ints, t: Ints, cell: Codes, edges: Ints, start: Ints, end: Ints, latest: Ints, visit: Ints, visits: int
) -> tuple[Ints, Ints, Ints, Ints]:
    size, capacity = 0, 1024
    who, which, first, last = (
        np.empty(capacity, np.int64),
        np.empty(capacity, np.int64),
        np.empty(capacity, np.int64),
        np.empty(capacity, np.int64),
    )
    # The output row of each visit for the subscriber at hand: valid where `stamp` names the subscriber's first event.
    stamp, slot = np.full(visits, -1, np.int64), np.empty(visits, np.int64)
    run = 0
    for i in range(len(t)):
        if i > 0 and subscriber[i] != subscriber[i - 1]:
            run = i
        c, now = cell[i], t[i]
        if c < 0 or c + 1 >= len(edges) or edges[c] == edges[c + 1]:
            continue
        low, high = edges[c], edges[c + 1]
        while low < high:
            middle = (low + high) // 2
            if start[middle] <= now:
                low = middle + 1
            else:
                high = middle
        k = low - 1
        while k >= edges[c] and latest[k] >= now:
            if end[k] >= now:
                v = visit[k]
                if stamp[v] == run:
                    last[slot[v]] = now
                else:
                    if size == capacity:
                        who, which = np.concatenate((who, np.empty_like(who))), np.concatenate((which, np.empty_like(which)))
                        first, last = np.concatenate((first, np.empty_like(first))), np.concatenate((last, np.empty_like(last)))
                        capacity *= 2
                    stamp[v], slot[v] = run, size
                    who[size], which[size], first[size], last[size] = subscriber[i], v, now, now
                    size += 1
            k -= 1
    return who[:size].copy(), which[:size].copy(), first[:size].copy(), last[:size].copy()


def exposed_of(seen: pa.Table, min_dwell_s: int = 0) -> pa.Table:
    """Exposed subscribers, from the sightings of all days.

    Args:
        seen: `sightings`, concatenated; a pair may stand in several rows.
        min_dwell_s: shortest time between first and last event of a subscriber within one visit [s]; 0 = one event is enough.

    Returns:
        ``subscriber`` (ascending), ``visits`` (number matched), ``first_us``, ``last_us``, ``minutes``: whole minutes, between first and
        last event, of being at any of the visits; overlapping visits count once.

    >>> seen = pa.table({"subscriber": [5, 5, 9], "visit": [0, 0, 1], "first_us": [0, 60_000_000, 7], "last_us": [0, 600_000_000, 7]})
    >>> exposed_of(seen, min_dwell_s=300).to_pylist()
    [{'subscriber': 5, 'visits': 1, 'first_us': 0, 'last_us': 600000000, 'minutes': 10}]
    """
    who, visit, first, last = (seen[name].to_numpy() for name in ("subscriber", "visit", "first_us", "last_us"))
    order = np.lexsort((visit, who))
    who, visit, first, last = who[order], visit[order], first[order], last[order]
    begins = np.flatnonzero(np.append(True, (who[1:] != who[:-1]) | (visit[1:] != visit[:-1]))[: len(who)])
    if len(begins) < len(who):
        who, first, last = who[begins], np.minimum.reduceat(first, begins), np.maximum.reduceat(last, begins)
    long_enough = last - first >= min_dwell_s * 1_000_000
    who, first, last = who[long_enough], first[long_enough], last[long_enough]
    order = np.lexsort((first, who))
    columns = _summed(who[order], first[order], last[order])
    return pa.table(dict(zip(("subscriber", "visits", "first_us", "last_us", "minutes"), columns, strict=True)))


@compiled
def _summed(who: Ints, first: Ints, last: Ints) -> tuple[Ints, Ints, Ints, Ints, Ints]:
    rows = 0
    for i in range(len(who)):
        rows += i == 0 or who[i] != who[i - 1]
    out = np.zeros((5, rows), np.int64)
    row = -1
    for i in range(len(who)):
        if i == 0 or who[i] != who[i - 1]:
            row += 1
            out[0, row], out[2, row], out[3, row] = who[i], first[i], first[i]
        out[1, row] += 1
        out[4, row] += max(0, last[i] - max(first[i], out[3, row]))
        out[3, row] = max(out[3, row], last[i])
    return out[0], out[1], out[2], out[3], out[4] // 60_000_000


def notified_contributions(found: pa.Table) -> pa.Table:
    """The notified as contributions, so that a privacy gate can bound and count them: ``subscriber``, ``key``, ``value`` = 1.

    Args:
        found: travellers (with a column ``country``, which becomes the key) or exposed subscribers (key ``exposed``).

    >>> notified_contributions(pa.table({"subscriber": [4], "country": ["JP"], "last_us": [0]})).to_pylist()
    [{'subscriber': 4, 'key': 'JP', 'value': 1}]
    """
    key = found["country"].cast(pa.string()) if "country" in found.column_names else pa.array(["exposed"] * found.num_rows, pa.string())
    value = pa.array(np.ones(found.num_rows, np.int64))
    return (
        pa.table({"subscriber": found["subscriber"].cast(pa.int64()), "key": key, "value": value})
        .group_by(["subscriber", "key"])
        .aggregate([("value", "max")])
        .rename_columns(["subscriber", "key", "value"])
    )


def need_located(topology: Topology, visits: Visits) -> None:
    """Insist that visits given by points can be laid onto cells at all.

    Raises:
        NothingFoundError: no cell has coordinates.
    """
    if not np.isnan(visits.latitude).all() and np.isnan(topology.latitude).all():
        raise NothingFoundError(
            "the network topology holds no cell with coordinates, so a point cannot be laid onto cells",
            hint="Give the visits by zone or cell_id.",
        )
