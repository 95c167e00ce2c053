"""How many people have a second SIM, when several carriers' data are pooled in the clear (for evaluation only).

Two subscriptions belong to one person when, in the hours in which both are observed, they are in the same zones, among them zones where
one would not expect them by habit (`oneteam.telecom.comovement`). No pair is ever decided. What is estimated is how many pairs score
above a threshold

* beyond chance: the same count with one of the two shifted by whole weeks or days, which keeps habits and breaks common days, is taken off;
* of how many: each query is compared with a made-up second phone of its own, that has the hours of another subscription and errs as
  often as two phones of one person do. The error is measured on pairs that are certain by one half of the days, on the other half.

So a subscription counts for as much as its second phone would be found. It is assumed that a second phone is used independently of the
first, and that having one does not depend on how much, or where, one travels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from oneteam.core.errors import MissingColumnError, NothingFoundError, UnknownValueError
from oneteam.stats.random import key_of
from oneteam.telecom.comovement import CONFLICT, HOURS, SCORE_BINS, Presence, compare, compare_with_self, evidence, two_top_zones

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

_CLASSES: Final = 5
_LOANS: Final = 4
_LEAST_FOUND: Final = 0.2
_LEAST_CERTAIN_SLOTS: Final = 200
_DEFAULT_OUTCOME: Final = (0.93, 0.04, 0.03)


@dataclass(frozen=True)
class MultiSimEstimate:
    """The share of people with a second SIM.

    Args:
        share: people with two subscriptions / people.
        standard_error: of the share: counting error, and a tenth of what was taken off for chance and added for pairs not found.
        identifiable: subscriptions that were compared with the others.
        matched: pairs beyond chance that they belong to (not whole, for it is an estimate).
        found: share of second phones that the comparison would find.
        by_chance: pairs above the threshold that were taken off.
        threshold: score from which pairs were counted.
        conflict_rate: slots in which two phones of one person have no zone in common.
    """

    share: float
    standard_error: float
    identifiable: int
    matched: float
    found: float
    by_chance: float
    threshold: int
    conflict_rate: float


def deduplication_factor(share: float) -> float:
    """Persons per subscription when a share of people has two.

    Raises:
        UnknownValueError: not a share.

    >>> round(deduplication_factor(0.25), 3)
    0.8
    """
    if not 0 <= share <= 1:
        raise UnknownValueError(f"share is {share}, must be from 0 to 1")
    return 1 / (1 + share)


def estimate_multi_sim(
    visits: Sequence[pa.Table], *, max_queries: int = 20_000, min_observed_h: int = 40, controls: int = 3, seed: int = 0
) -> MultiSimEstimate:
    """Share of people with a second SIM, from co-movement.

    Args:
        visits: presence contributions of each carrier, ``subscriber``, ``day``, ``hour``, ``zone`` (days from 1970-01-01, the same
            zones for all); at least eight days, better two weeks.
        max_queries: compare at most so many subscriptions with all others.
        min_observed_h: compare only subscriptions observed in at least so many hours.
        controls: how often the comparison is repeated with shifted days.
        seed: of the choice of queries and of the made-up second phones.

    Raises:
        MissingColumnError: a table lacks a column.
        NothingFoundError: too few days, or no subscription observed for long enough, or none mobile enough to be told from others.
    """
    presence, zones = _presence(visits)
    days = presence.slots // HOURS
    if days < 8:
        raise NothingFoundError(f"multi-SIM: {days} days, at least 8 are needed to tell habits from common movement")
    observed = _observed_hours(presence)
    rng = np.random.default_rng([seed, 1])
    able = np.flatnonzero(observed >= min_observed_h)
    if not len(able):
        raise NothingFoundError(
            f"multi-SIM: no subscription was observed in {min_observed_h} hours", hint="Give more days, or a smaller min_observed_h."
        )
    queries = np.sort(rng.permutation(able)[:max_queries]).astype(np.int64)
    top = two_top_zones(presence, zones)
    says = evidence(presence, queries, top[:, 0].copy(), _habits(presence, top[:, 0], zones))
    # A quick look who can be told from others at all: two phones in use in the same 15 % of hours.
    queries = queries[_information(presence, says, queries) >= _NEEDED_INFORMATION]
    if not len(queries):
        raise NothingFoundError("multi-SIM: no subscription moves enough to be told from others", hint="Give more days or finer zones.")
    by_home = np.argsort(top[:, 0], kind="stable").astype(np.int64)
    edges = np.searchsorted(top[by_home, 0], np.arange(zones + 1)).astype(np.int64)
    classes, shares = _classes(observed)
    pairs, tally = compare(presence, says, queries, top, by_home, edges, classes, 0)
    shifts = _shifts(days, controls)
    chance = np.mean([compare(presence, says, queries, top, by_home, edges, classes, s)[0] for s in shifts], axis=0)
    outcome = _outcome(tally)
    loans = _loans(classes, len(queries), rng)
    self_bins = compare_with_self(presence, says, queries, top, loans, outcome, key_of(seed, 2))
    found = np.array([[(self_bins[:, c * _LOANS : (c + 1) * _LOANS] >= t).mean() for t in range(SCORE_BINS)] for c in range(_CLASSES)])
    agreed = tally.sum()
    conflict_rate = float(tally[:, CONFLICT].sum() / agreed) if agreed else float("nan")
    return _estimate(_above(pairs), _above(chance), found, shares, len(queries), len(shifts), conflict_rate)


_NEEDED_INFORMATION: Final = 60.0


def _presence(visits: Sequence[pa.Table]) -> tuple[Presence, int]:
    """All carriers' presence in one, subscriptions numbered from 0."""
    who: list[Ints] = []
    day: list[Ints] = []
    hour: list[Ints] = []
    zone: list[Ints] = []
    subscriptions = 0
    for number, table in enumerate(visits):
        absent = [name for name in ("subscriber", "day", "hour", "zone") if name not in table.column_names]
        if absent:
            raise MissingColumnError(f"multi-SIM: table {number} has no column {', '.join(absent)}")
        known = table.filter(pa.array(table["zone"].to_numpy() >= 0))
        distinct, index = np.unique(known["subscriber"].to_numpy(), return_inverse=True)
        who.append(index.astype(np.int64) + subscriptions)
        subscriptions += len(distinct)
        for column, name in ((day, "day"), (hour, "hour"), (zone, "zone")):
            column.append(known[name].to_numpy().astype(np.int64))
    if not subscriptions:
        raise NothingFoundError("multi-SIM: no presence given")
    all_who, all_day, all_hour, all_zone = (np.concatenate(column) for column in (who, day, hour, zone))
    first, days, zones = int(all_day.min()), int(all_day.max() - all_day.min()) + 1, int(all_zone.max()) + 1
    slot = (all_day - first) * HOURS + all_hour
    key = np.unique((all_who * (days * HOURS) + slot) * zones + all_zone)
    rest, zone_of = key // zones, (key % zones).astype(np.int32)
    owner = rest // (days * HOURS)
    edges = np.searchsorted(owner, np.arange(subscriptions + 1)).astype(np.int64)
    return Presence(edges, (rest % (days * HOURS)).astype(np.int32), zone_of, days * HOURS, (first + 3) % 7), zones


def _observed_hours(presence: Presence) -> Ints:
    owner = np.repeat(np.arange(len(presence.edges) - 1), np.diff(presence.edges))
    new = np.ones(len(owner), bool)
    new[1:] = (owner[1:] != owner[:-1]) | (presence.slot[1:] != presence.slot[:-1])
    return np.bincount(owner[new], minlength=len(presence.edges) - 1)


def _habits(presence: Presence, home: NDArray[np.int32], zones: int) -> Floats:
    """Share of the presence of residents of zone i in zone j; a little of everywhere, so that nothing is impossible."""
    owner_home = np.repeat(home, np.diff(presence.edges)).astype(np.int64)
    counts = np.bincount(owner_home * zones + presence.zone, minlength=zones * zones).reshape(zones, zones).astype(np.float64)
    overall = counts.sum(0) / counts.sum()
    counts += 20.0 * overall
    return np.asarray(counts / counts.sum(1, keepdims=True))


def _information(presence: Presence, says: Floats, queries: Ints) -> Floats:
    """Sum of what a subscription's slots would say."""
    return np.add.reduceat(np.append(says, 0.0), presence.edges[:-1])[queries]


def _classes(observed: Ints) -> tuple[Ints, Floats]:
    """Classes of activity of about equal size, and their shares."""
    cuts = np.quantile(observed, np.arange(1, _CLASSES) / _CLASSES)
    classes = np.searchsorted(cuts, observed, side="right").astype(np.int64)
    return classes, np.bincount(classes, minlength=_CLASSES) / len(classes)


def _shifts(days: int, controls: int) -> list[int]:
    """Whole weeks first: they keep the weekday. Then others that never pair a working day with a weekend only."""
    weeks = list(range(7, days, 7))
    rest = [s for s in range(1, days) if s % 7]
    return (weeks + rest)[: max(1, controls)]


def _outcome(tally: Ints) -> Floats:
    """Probability of agreement, travel and conflict in a slot of one person's two phones, by how much the slot says."""
    prior = _LEAST_CERTAIN_SLOTS * np.array(_DEFAULT_OUTCOME)
    return np.asarray((tally + prior) / (tally + prior).sum(1, keepdims=True), np.float64)


def _loans(classes: Ints, queries: int, rng: np.random.Generator) -> Ints:
    """Subscriptions that lend their hours: for each query some of each class."""
    columns = []
    for c in range(_CLASSES):
        members = np.flatnonzero(classes == c)
        members = members if len(members) else np.arange(len(classes))
        columns.append(members[rng.integers(0, len(members), (queries, _LOANS))])
    return np.concatenate(columns, axis=1).astype(np.int64)


def _above(pairs: NDArray[np.generic]) -> Floats:
    """Pairs at or above each score."""
    return np.asarray(np.cumsum(pairs[:, ::-1], axis=1)[:, ::-1], np.float64)


def _estimate(
    pairs: Floats, chance: Floats, found: Floats, shares: Floats, queries: int, controls: int, conflict_rate: float
) -> MultiSimEstimate:
    """The estimate at the threshold where its own standard error is smallest."""
    best: MultiSimEstimate | None = None
    for t in range(4, SCORE_BINS):
        usable = (found[:, t] >= _LEAST_FOUND) & (shares > 0)
        if not usable.any():
            continue
        weight = 1 / (queries * found[usable, t] * shares[usable].sum())
        excess = pairs[usable, t] - chance[usable, t]
        per_query = float((weight * excess).sum())
        # A pair of two queries counts from both sides, hence the factor of two.
        counting = float((weight**2 * (2 * pairs[usable, t] + 2 * chance[usable, t] / controls)).sum())
        unseen = float((weight * np.abs(excess) * (1 - found[usable, t])).sum()) + per_query * (1 - shares[usable].sum())
        error = np.sqrt(counting + (0.1 * float((weight * chance[usable, t]).sum())) ** 2 + (0.1 * unseen) ** 2)
        p = min(1.0, max(0.0, per_query))
        # Of N subscriptions, 2 M are of M people with two: p = 2 M / N, and the share is M / (N - M).
        standard_error = float(error * 2 / (2 - p) ** 2)
        if best is None or standard_error < best.standard_error:
            best = MultiSimEstimate(
                share=p / (2 - p),
                standard_error=standard_error,
                identifiable=queries,
                matched=float(excess.sum()),
                found=float((found[usable, t] * shares[usable]).sum() / shares[usable].sum()),
                by_chance=float(chance[usable, t].sum()),
                threshold=t,
                conflict_rate=conflict_rate,
            )
    if best is None:
        raise NothingFoundError("multi-SIM: no second phone would be found", hint="Give more days or finer zones.")
    return best
