"""How many people have a second SIM, when several carriers' data are pooled in the clear (for evaluation only).

Where the registers share a key of the person, it is counted (`multi_sim_share`). Where they do not, it can be estimated from movement
(`estimate_multi_sim`), with an error of up to one and a half percentage points:

Two subscriptions belong to one person when, in the hours in which both are observed, they are in the same zones, among them zones where
one would not expect them by habit (`comovement`). No pair is ever decided. What is estimated is how many pairs score
above a threshold

* beyond chance: the same count with one of the two shifted by whole weeks, which keeps habits and breaks common days, is taken off;
* of how many: pairs of much used phones that are certain are thinned to the hours of less used ones, and compared again. That gives the
  share of pairs found for each two classes of use. How far two phones are used in the same hours is set so that the scores that chance
  hardly reaches are spread as those of the thinned pairs.

Only subscriptions that move enough are compared with the others. It is assumed that having a second SIM does not depend on how much one
travels, and that two phones of one person are used as much as any two phones.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from oneteam.core.errors import MissingColumnError, NothingFoundError, UnknownValueError
from oneteam.telecom.population.comovement import HOURS, Presence, compare, compare_pairs, evidence, two_top_zones

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
_Pairs = tuple[Ints, Ints, Floats]

_CLASSES: Final = 5
_LOWEST_QUERY_CLASS: Final = 3
_LEAST_FOUND: Final = 0.5
_CERTAIN: Final = 30.0
_LEAST_CERTAIN: Final = 20
_THINNED: Final = 400
_CLEAR: Final = 16
_TOGETHER: Final = (0.0, 0.25, 0.5, 0.75, 1.0)
_THRESHOLDS: Final = np.array([6, 8, 10, 12, 14, 16, 20, 24, 30, 36, 44])
_MOBILE: Final = 1.0
"""Mean of what an hour says from which a subscription moves enough to be told from its neighbours."""


@dataclass(frozen=True)
class MultiSimEstimate:
    """The share of people with a second SIM.

    Args:
        share: people with two subscriptions / people.
        standard_error: of the share: counting error, half of what was added for pairs not found, and a tenth of what was
            taken off for chance.
        identifiable: subscriptions that were compared with the others.
        matched: pairs beyond chance (not whole, for it is an estimate).
        found: share of the pairs in reach that were found.
        by_chance: pairs above the threshold that were taken off.
        threshold: score from which pairs were counted.
    """

    share: float
    standard_error: float
    identifiable: int
    matched: float
    found: float
    by_chance: float
    threshold: int


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


def multi_sim_share(registers: Sequence[pa.Table]) -> float:
    """Share of people with more than one subscription, counted, where carriers' registers have a key of the person in common.

    Args:
        registers: each carrier's customers, one row a subscription, with a column ``person_key``.

    Raises:
        MissingColumnError: a register has no such column.
        NothingFoundError: there is no customer.

    >>> multi_sim_share([pa.table({"person_key": [b"a", b"b"]}), pa.table({"person_key": [b"b", b"c", b"d"]})])
    0.25
    """
    for number, register in enumerate(registers):
        if "person_key" not in register.column_names:
            raise MissingColumnError(f"multi-SIM: register {number} has no column person_key; it has {', '.join(register.column_names)}")
    keys = pa.concat_tables([register.select(["person_key"]) for register in registers])
    if not keys.num_rows:
        raise NothingFoundError("multi-SIM: the registers hold no customer")
    held = keys.group_by("person_key").aggregate([([], "count_all")])["count_all"].to_numpy()
    return float(np.mean(held > 1))


def estimate_multi_sim(visits: Sequence[pa.Table], *, max_queries: int = 30_000, controls: int = 3, seed: int = 0) -> MultiSimEstimate:
    """Share of people with a second SIM, from co-movement.

    Args:
        visits: presence contributions of each carrier, ``subscriber``, ``day``, ``hour``, ``zone`` (days from 1970-01-01, the same
            zones for all); at least eight days, better two or three whole weeks.
        max_queries: compare at most so many subscriptions with all others; the time it takes grows with their product.
        controls: how often, at most, the comparison is repeated with shifted days.
        seed: of the choice of queries and of what is thinned.

    Raises:
        MissingColumnError: a table lacks a column.
        NothingFoundError: too few days, or no subscription that moves enough.
    """
    presence, zones = _presence(visits)
    days = presence.slots // HOURS
    if days < 8:
        raise NothingFoundError(f"multi-SIM: {days} days, at least 8 are needed to tell habits from common movement")
    rng = np.random.default_rng([seed, 1])
    observed = _observed_hours(presence)
    classes = np.searchsorted(np.quantile(observed, np.arange(1, _CLASSES) / _CLASSES), observed, side="right").astype(np.int64)
    able = np.flatnonzero(classes >= min(_LOWEST_QUERY_CLASS, int(classes.max())))
    queries = np.sort(rng.permutation(able)[:max_queries]).astype(np.int64)
    top = two_top_zones(presence, zones)
    habits = _habits(presence, top[:, 0], zones)
    says = evidence(presence, queries, top[:, 0].copy(), habits)
    queries = queries[_said(presence, says)[queries] >= _MOBILE * observed[queries]]
    if not len(queries):
        raise NothingFoundError("multi-SIM: no subscription moves enough to be told from others", hint="Give more days or finer zones.")
    by_home = np.argsort(top[:, 0], kind="stable").astype(np.int64)
    home_edges = np.searchsorted(top[by_home, 0], np.arange(zones + 1)).astype(np.int64)
    pairs = compare(presence, says, queries, top, by_home, home_edges, 0)
    shifts = _shifts(days, controls)
    chance = [compare(presence, says, queries, top, by_home, home_edges, shift) for shift in shifts]
    models = _certain(pairs, classes, queries, rng)
    seen, by_chance = _above(pairs, classes), np.mean([_above(control, classes) for control in chance], axis=0)
    tried = [_found(presence, models, observed, classes, habits, together, np.random.default_rng([seed, 2])) for together in _TOGETHER]
    found = min(tried, key=lambda found: _misfit(found, seen - by_chance))
    return _estimate(
        seen,
        by_chance,
        found,
        np.bincount(classes, minlength=_CLASSES),
        np.bincount(classes[queries], minlength=_CLASSES),
        len(shifts),
    )


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


def _said(presence: Presence, says: Floats) -> Floats:
    """Sum of what each subscription's rows say."""
    owner = np.repeat(np.arange(len(presence.edges) - 1), np.diff(presence.edges))
    return np.asarray(np.bincount(owner, says, len(presence.edges) - 1), np.float64)


def _shifts(days: int, controls: int) -> list[int]:
    """Whole weeks where the period is of whole weeks: they keep the weekday, also around the end."""
    weeks = list(range(7, days, 7)) if days % 7 == 0 else []
    return (weeks or [s for s in (7, days - 7, *range(2, days)) if s < days])[: max(1, controls)]


def _certain(pairs: _Pairs, classes: Ints, queries: Ints, rng: np.random.Generator) -> tuple[Ints, Ints]:
    """Pairs of much used phones that are certainly one person's; where there are few, much used phones with themselves."""
    one, other, score = pairs
    sure = (score >= _CERTAIN) & (classes[one] == classes.max()) & (classes[other] >= classes.max() - 1)
    models = np.flatnonzero(sure)
    if len(models) < _LEAST_CERTAIN:
        much_used = queries[classes[queries] == classes[queries].max()]
        alone = much_used[rng.integers(0, len(much_used), _THINNED)]
        return alone, alone
    models = models[rng.integers(0, len(models), _THINNED)]
    return one[models], other[models]


def _found(
    presence: Presence,
    models: tuple[Ints, Ints],
    observed: Ints,
    classes: Ints,
    habits: Floats,
    together: float,
    rng: np.random.Generator,
) -> Floats:
    """Share of pairs that reach each score, by class of the query and of the other, from thinned certain pairs.

    ``together`` tells how far the hours that stay are the same for both: 0 = independent, 1 = those of the less used phone are a part of
    the other's. One person's phones are used at the same moments, the less so the more each is used.
    """
    found = np.zeros((_CLASSES, _CLASSES, len(_THRESHOLDS)))
    for a, b in zip(*np.tril_indices(_CLASSES), strict=True):
        if a < _LOWEST_QUERY_CLASS or not ((classes == a).any() and (classes == b).any()):
            continue
        sources = np.concatenate(models)
        wanted = np.concatenate([rng.choice(observed[classes == c], len(models[0])) for c in (a, b)])
        luck = rng.random((len(models[0]), presence.slots))
        own = np.where(rng.random(luck.shape) < together, luck, rng.random(luck.shape))
        thin = _thinned(presence, sources, np.concatenate((luck, own)) < (wanted / observed[sources])[:, None])
        one, other = np.arange(len(models[0])), np.arange(len(models[0]), len(sources))
        top = two_top_zones(thin, len(habits))
        says = evidence(thin, one, top[:, 0].copy(), habits)
        score = compare_pairs(thin, says, one, other, top)
        found[a, b] = (score[:, None] >= _THRESHOLDS).mean(0)
    return found


def _thinned(presence: Presence, sources: Ints, kept: NDArray[np.bool_]) -> Presence:
    """Presence of copies of subscriptions in some of their hours; ``kept`` has shape (copies, slots)."""
    slots, zones, edges = [], [], [0]
    for source, stays in zip(sources, kept, strict=True):
        rows = slice(presence.edges[source], presence.edges[source + 1])
        these = stays[presence.slot[rows]]
        slots.append(presence.slot[rows][these])
        zones.append(presence.zone[rows][these])
        edges.append(edges[-1] + int(these.sum()))
    return presence._replace(edges=np.array(edges, np.int64), slot=np.concatenate(slots), zone=np.concatenate(zones))


def _misfit(found: Floats, excess: Floats) -> float:
    """How differently scores above `_CLEAR` are spread from those of thinned pairs; chi-square over classes of use."""
    clear = _THRESHOLDS >= _CLEAR
    possible = found[:, :, clear][:, :, 0] > 0
    wanted, seen = found[possible][:, clear], np.maximum(0.0, excess[possible][:, clear])
    expected, counted = (-np.diff(table, axis=1, append=0.0) for table in (wanted * seen[:, :1] / wanted[:, :1], seen))
    return float(((counted - expected) ** 2 / (expected + 1.0)).sum())


def _above(pairs: _Pairs, classes: Ints) -> Floats:
    """Pairs at or above each threshold, by class of the query and of the other."""
    one, other, score = pairs
    cell = classes[one] * _CLASSES + classes[other]
    counts = [np.bincount(cell[score >= t], minlength=_CLASSES * _CLASSES) for t in _THRESHOLDS]
    return np.stack(counts, axis=-1).reshape(_CLASSES, _CLASSES, len(_THRESHOLDS)).astype(np.float64)


def _estimate(pairs: Floats, chance: Floats, found: Floats, by_class: Ints, queries: Ints, controls: int) -> MultiSimEstimate:
    """The estimate at the threshold where its relative standard error is smallest.

    A pair counts where its more used phone is the query; two phones of one class meet from both sides and count half.
    """
    total = int(by_class.sum())
    side = np.tril(np.ones((_CLASSES, _CLASSES)), -1) + 0.5 * np.eye(_CLASSES)
    chosen = np.divide(by_class, queries, out=np.zeros(_CLASSES), where=queries > 0)
    mass = 2 * side * np.outer(by_class, by_class) / total**2
    best: MultiSimEstimate | None = None
    smallest = np.inf
    for n, threshold in enumerate(_THRESHOLDS):
        use = (found[:, :, n] >= _LEAST_FOUND) & (side > 0) & (chosen[:, None] > 0)
        reach = float(mass[use].sum())
        if reach == 0:
            continue
        share_found = found[:, :, n][use]
        weight = (side * chosen[:, None])[use] / (share_found * reach)
        seen, by_chance = pairs[:, :, n][use], chance[:, :, n][use]
        excess = seen - by_chance
        persons_with_two = max(0.0, float((weight * excess).sum()))
        share = persons_with_two / (total - persons_with_two) if persons_with_two < total / 2 else 1.0
        counting = float((weight**2 * np.where(np.eye(_CLASSES)[use] > 0, 2, 1) * (seen + by_chance / controls + 1)).sum())
        of_found = 0.5 * float((weight * np.abs(excess) * (1 - share_found)).sum())
        error = np.sqrt(counting + of_found**2 + (0.1 * float((weight * by_chance).sum())) ** 2)
        standard_error = float(error * (1 + share) ** 2 / total)
        # Relative, for the absolute one is smallest where by bad luck the fewest pairs are seen.
        relative = standard_error / (share + standard_error)
        if relative < smallest:
            smallest = relative
            best = MultiSimEstimate(
                share,
                standard_error,
                int(queries.sum()),
                float(excess.sum()),
                float((mass[use] * share_found).sum() / reach),
                float(by_chance.sum()),
                int(threshold),
            )
    if best is None:
        raise NothingFoundError("multi-SIM: too few phones in use to find a second one", hint="Give more days or finer zones.")
    return best
