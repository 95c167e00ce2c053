"""Attacks on releases: what a person's data can be inferred from, measured, with and without the gate.

Three attackers ask whether one person's trips are in the data:

- *membership*: knows the mechanism, everybody else's data and the person's own, and takes the exact likelihood ratio. By the lemma of
  Neyman and Pearson nobody does better.
- *differencing*: subtracts two tables whose periods differ by a day, and reads the person's cell of that day.
- *reconstruction*: asks for every interval of days and solves for the single day (Dinur and Nissim 2003).

Each is run in two worlds, with and without the person, many times over; its success is the area under the ROC curve (AUC). For a release
that costs rho in all, no attacker has an AUC above Phi(sqrt(rho)) (see `auc_bound`). The noise is drawn by the very function that the gate
calls, so that a build with too little of it fails. The controls (plain tables that hide small counts; noise without a budget) must be
attacked with success, or the attacks prove nothing.

Only the cells that an attacker reads are drawn: noise is independent from cell to cell, and a cell that the person cannot change
cancels from the likelihood ratio.

Sources: Pyrgelis, Troncoso and De Cristofaro 2018, "Knock knock, who's there? Membership inference on aggregate location data" (NDSS);
Dinur and Nissim 2003, "Revealing information while preserving privacy" (PODS); Jagielski, Ullman and Oprea 2020, "Auditing differentially
private machine learning" (NeurIPS), for the worst-case person (canary).
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from statistics import NormalDist
from typing import Final, Literal

import numpy as np
import numpy.typing as npt

from oneteam.core.errors import NothingFoundError, UnknownValueError
from oneteam.core.model import AgreedMeasure, Agreement, Dimension, Query, Text
from oneteam.core.progress import Progress, silent
from oneteam.privacy import mechanism
from oneteam.privacy.contributions import Contributions
from oneteam.privacy.mechanism import Plan, plan_of, sampling_secret, thresholded, true_levels
from oneteam.privacy.noise import share_sigma
from oneteam.stats.auc import Auc, auc, mean_auc

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Draw = Callable[[Sequence[Ints], Sequence[float]], list[Ints]]
"""Adds noise of the given scales to tables: what the gate does."""
Arm = Literal["gate", "plain", "unbudgeted"]

CONFIDENCE: Final = 0.999
FINEST: Final = "origin=code,destination=code"
LEVELS: Final = (FINEST, "origin=region,destination=region", "origin=code,destination=*")
"""Levels that one person can change to the full at once; with both margins none can."""


def auc_bound(rho: float) -> float:
    """The AUC that no attacker exceeds against releases of Gaussian noise that cost ``rho`` in all.

    The likelihood ratio of two Gaussians of equal variance whose means lie ``mu`` standard deviations apart is monotone in one normal
    score, so its AUC is P(N(mu, 1) > N(0, 1)) = Phi(mu / sqrt(2)). A level of sensitivity D and scale sigma costs D^2 / (2 sigma^2), and
    squared distances add over levels and releases as rho does, so mu <= sqrt(2 rho): AUC <= Phi(sqrt(rho)).

    >>> round(auc_bound(0.02), 4), auc_bound(0.0)
    (0.5562, 0.5)
    """
    return NormalDist().cdf(math.sqrt(rho))


@dataclass(frozen=True)
class Trips:
    """True trips of single people over a public domain; rows ascend by person.

    Args:
        person: int64, shape (trips,).
        day: number of the local day, int32.
        origin: place in ``zones``, int32.
        destination: place in ``zones``, int32.
        zones: codes.
        regions: the region of each zone.
        first_day: date of day 0.
        days: how many days.
    """

    person: Ints
    day: npt.NDArray[np.int32]
    origin: npt.NDArray[np.int32]
    destination: npt.NDArray[np.int32]
    zones: tuple[str, ...]
    regions: tuple[str, ...]
    first_day: date
    days: int

    def contributions(self, query: Query) -> Contributions:
        """The rows of a query's period."""
        first, last = (query.first_day - self.first_day).days, (query.last_day - self.first_day).days
        at = np.flatnonzero((self.day >= first) & (self.day <= last))
        keys = {"origin": self.origin[at], "destination": self.destination[at]}
        return Contributions(self.person[at], keys, np.ones(len(at), np.int64))

    def without(self, person: int) -> Trips:
        """The neighbouring data set: one person fewer."""
        keep = self.person != person
        return replace(self, person=self.person[keep], day=self.day[keep], origin=self.origin[keep], destination=self.destination[keep])

    def adding(self, origin: Sequence[int], destination: Sequence[int], day: int = 0) -> tuple[Trips, int]:
        """The data with one more person, who makes these trips; and that person's number."""
        person = int(self.person[-1]) + 1 if len(self.person) else 0
        more = len(origin)
        added = replace(
            self,
            person=np.append(self.person, np.full(more, person, np.int64)),
            day=np.append(self.day, np.full(more, day, np.int32)),
            origin=np.append(self.origin, np.array(origin, np.int32)),
            destination=np.append(self.destination, np.array(destination, np.int32)),
        )
        return added, person


@dataclass(frozen=True)
class Settings:
    """How strongly the data is protected, and how hard it is attacked.

    Args:
        rho_total: the budget, spent on all releases of an attack together.
        releases: releases that the likelihood-ratio attacker sees, each at an equal part.
        max_keys: K; differencing and reconstruction attack tables with K = V = 1, where one trip weighs most.
        max_value: V.
        smallest_count: k of the plain tables.
        trials: noise draws in each world.
        targets: people that are attacked, but for the one worst case.
        confidence: of the verdicts, one-sided.
        threshold: s of a joint release; 0 for a single member's.
        colluding: t, whose noise the attacker knows.
    """

    rho_total: float = 0.04
    releases: int = 2
    max_keys: int = 8
    max_value: int = 2
    smallest_count: int = 10
    trials: int = 3_000
    targets: int = 3
    confidence: float = CONFIDENCE
    threshold: int = 0
    colluding: int = 0


@dataclass(frozen=True)
class Finding:
    """What one attack achieved.

    Args:
        attack: ``membership``, ``differencing`` or ``reconstruction``.
        arm: ``gate`` (as shipped), ``plain`` (small counts hidden, no noise) or ``unbudgeted`` (each query at the whole budget).
        who: the people that were attacked.
        auc: the success; 0.5 is a coin.
        low: lower limit of the AUC.
        high: upper limit of the AUC.
        bound: what the budget allows.
        control: whether the attack is meant to succeed here.
        targets: how many people.
        trials: noise draws in each world and for each person.
    """

    attack: str
    arm: Arm
    who: str
    auc: float
    low: float
    high: float
    bound: float
    control: bool
    targets: int
    trials: int

    @property
    def as_expected(self) -> bool:
        """A protected release keeps within the bound; a control breaks it."""
        return self.low > self.bound if self.control else self.low <= self.bound


def run_attacks(trips: Trips, settings: Settings | None = None, *, draw: Draw | None = None, progress: Progress = silent) -> list[Finding]:
    """All attacks, each against the gate's releases and against its controls.

    Args:
        trips: the truth.
        settings: strength of protection and attack.
        draw: how noise is added; the gate's way when absent.
        progress: told of each attack.

    Raises:
        NothingFoundError: nobody in the data makes a trip, or every cell has some on the last day.
    """
    settings = settings or Settings()
    tasks: list[Callable[[], Finding]] = [
        lambda: membership(trips, settings, who="canary", draw=draw),
        lambda: membership(trips, settings, who="busiest", draw=draw),
        lambda: membership(trips, settings, who="busiest", arm="plain"),
        lambda: differencing(trips, settings, draw=draw),
        lambda: differencing(trips, settings, arm="plain"),
        lambda: reconstruction(trips, settings, draw=draw),
        lambda: reconstruction(trips, settings, arm="unbudgeted", draw=draw),
        lambda: reconstruction(trips, settings, arm="plain"),
    ]
    findings = []
    for number, task in enumerate(tasks):
        progress("attacks", number, len(tasks))
        findings.append(task())
    return findings


def membership(
    trips: Trips, settings: Settings, *, who: Literal["canary", "busiest"] = "canary", arm: Arm = "gate", draw: Draw | None = None
) -> Finding:
    """The likelihood-ratio attacker, who knows everything but whether the person is in.

    Args:
        trips: the truth.
        settings: strength of protection and attack.
        who: one worst-case person that is added (``canary``), or those who touch most keys (``busiest``).
        arm: ``gate`` or ``plain``.
        draw: how noise is added; the gate's way when absent.
    """
    plain = arm == "plain"
    levels = (FINEST,) if plain else LEVELS
    secret = os.urandom(32)
    bounds = (settings.max_keys, settings.max_value)
    plan = _plan(trips, settings, levels, (0, trips.days - 1), settings.rho_total / settings.releases, bounds, plain=plain)
    found = []
    for with_person, person in _targets(trips, settings, who):
        without_person = with_person.without(person)
        positives, negatives = np.zeros(1), np.zeros(1)
        for number in range(settings.releases):
            # Each release is another query, so the gate samples keys anew.
            key = sampling_secret(secret, f"{plan.query_id}{number}")
            inside, outside = _tables(plan, with_person, key), _tables(plan, without_person, key)
            in_scores, out_scores = _likelihood_ratios(plan, inside, outside, settings, draw)
            positives, negatives = positives + in_scores, negatives + out_scores
        found.append(auc(positives, negatives))
    return _finding("membership", arm, who, found, settings)


def differencing(trips: Trips, settings: Settings, *, arm: Arm = "gate", draw: Draw | None = None) -> Finding:
    """Two tables whose periods differ by the last day: what remains is that day, and in it a visitor who made one trip.

    Args:
        trips: the truth.
        settings: strength of protection and attack.
        arm: ``gate`` or ``plain``.
        draw: how noise is added; the gate's way when absent.

    Raises:
        NothingFoundError: every cell has trips on the last day.
    """
    periods = [(0, trips.days - 1), (0, trips.days - 2)]
    weights = np.array([1.0, -1.0])
    return _with_a_visitor("differencing", trips, settings, periods, arm, draw, lambda seen: np.nan_to_num(seen @ weights))


def reconstruction(trips: Trips, settings: Settings, *, arm: Arm = "gate", draw: Draw | None = None) -> Finding:
    """Every interval of days is asked for, and the last day, with a visitor who made one trip, is solved for by least squares.

    The ledger makes all of them together cost no more than the budget (``gate``); ``unbudgeted`` is a build without a ledger, where each
    costs the whole budget.

    Args:
        trips: the truth.
        settings: strength of protection and attack.
        arm: ``gate``, ``plain`` or ``unbudgeted``.
        draw: how noise is added; the gate's way when absent.

    Raises:
        NothingFoundError: every cell has trips on the last day.
    """
    intervals = [(first, last) for first in range(trips.days) for last in range(first, trips.days)]
    design = np.array([[first <= day <= last for day in range(trips.days)] for first, last in intervals], np.float64)
    return _with_a_visitor("reconstruction", trips, settings, intervals, arm, draw, lambda seen: _last_day(design, seen))


def _with_a_visitor(
    attack: str,
    trips: Trips,
    settings: Settings,
    periods: Sequence[tuple[int, int]],
    arm: Arm,
    draw: Draw | None,
    score: Callable[[Floats], Floats],
) -> Finding:
    """Read one cell of a table for each period, with and without a visitor in it, and score what was seen."""
    if trips.days < 2:
        raise UnknownValueError("a difference of periods needs at least two days")
    rho = settings.rho_total if arm == "unbudgeted" else settings.rho_total / len(periods)
    plans = [_plan(trips, settings, (FINEST,), period, rho, (1, 1), plain=arm == "plain") for period in periods]
    found = []
    for cell in _quiet_cells(trips, settings):
        visited, _ = trips.adding([cell // len(trips.zones)], [cell % len(trips.zones)], trips.days - 1)
        # One secret for both worlds: which keys are sampled is nothing that the visitor changes.
        secret = os.urandom(32)
        worlds = [_read_cell(plans, world, cell, secret, settings, draw) for world in (visited, trips)]
        found.append(auc(*(score(seen) for seen in worlds)))
    return _finding(attack, arm, "visitor", found, settings)


# --- how an attacker sees a release -----------------------------------------------------------------------------------------------------


def _plan(
    trips: Trips, settings: Settings, levels: tuple[str, ...], period: tuple[int, int], rho: float, bounds: tuple[int, int], *, plain: bool
) -> Plan:
    measure = AgreedMeasure(
        name="od",
        dimensions=("origin", "destination"),
        domains={"origin": "zone", "destination": "zone"},
        levels=levels,
        max_keys=1_000 if plain else bounds[0],
        max_value=1_000 if plain else bounds[1],
        rho_per_release=rho,
        smallest_count=settings.smallest_count,
        max_days=trips.days,
        plain_threshold=plain,
    )
    opened = datetime.combine(trips.first_day, datetime.min.time(), UTC)
    agreement = Agreement(
        title=Text(en="attack"),
        roster="0" * 64,
        purpose="dpv:ResearchAndDevelopment",
        dataset="trips",
        contributors=("owner",),
        recipients=("attacker",),
        rho_total=max(rho, settings.rho_total),
        measures=(measure,),
        dimensions={"zone": Dimension(codes=trips.zones, groups={"region": trips.regions})},
        not_before=opened,
        until=opened + timedelta(days=366),
        single=True,
        min_contributors=1,
        colluding=0,
    )
    query = Query(
        agreement="0" * 64,
        purpose=agreement.purpose,
        measure="od",
        dimensions=measure.dimensions,
        levels=levels,
        first_day=trips.first_day + timedelta(days=period[0]),
        last_day=trips.first_day + timedelta(days=period[1]),
        rho=rho,
        owners=("owner",),
    )
    return plan_of(query, agreement)


def _tables(plan: Plan, trips: Trips, key: bytes) -> list[Ints]:
    """What the gate would add noise to; or, of a plain table, what it would release."""
    rows = trips.contributions(plan.query)
    return thresholded(plan, rows, key) if plan.measure.plain_threshold else true_levels(plan, rows, key)


def _noised(tables: Sequence[Ints], sigmas: Sequence[float], settings: Settings, draw: Draw | None) -> list[Ints]:
    """Tables with the noise that the attacker does not know."""
    # Looked up at each call: the build that runs is the build that is attacked.
    add = draw or mechanism.noised_levels
    if not settings.threshold:
        return add(tables, sigmas)
    shares = [share_sigma(sigma, settings.threshold, settings.colluding) for sigma in sigmas]
    for _ in range(settings.threshold - settings.colluding):
        tables = add(tables, shares)
    return list(tables)


def _likelihood_ratios(
    plan: Plan, inside: Sequence[Ints], outside: Sequence[Ints], settings: Settings, draw: Draw | None
) -> tuple[Floats, Floats]:
    """Log-likelihood ratios of draws of both worlds, shape (trials,) each.

    The discrete Gaussian's probability of y is proportional to exp(-(y - mean)^2 / (2 sigma^2)) with one constant for all whole means, so
    the ratio is exact: (y - (a + b) / 2) (a - b) / sigma^2, summed over cells. Of a table without noise it is infinite or 1.
    """
    if plan.measure.plain_threshold:
        differs = float(any((a != b).any() for a, b in zip(inside, outside, strict=True)))
        return np.full(1, differs), np.full(1, -differs)
    scores = np.zeros((2, settings.trials))
    for a, b, budget in zip(inside, outside, plan.budgets, strict=True):
        cells = np.flatnonzero(a != b)
        if not len(cells):
            continue
        step = (a[cells] - b[cells]) / budget.sigma**2
        middle = (a[cells] + b[cells]) / 2.0
        for world, table in enumerate((a, b)):
            (seen,) = _noised([np.tile(table[cells], settings.trials)], [budget.sigma], settings, draw)
            scores[world] += (seen.reshape(settings.trials, -1) - middle) @ step
    return scores[0], scores[1]


def _read_cell(plans: Sequence[Plan], trips: Trips, cell: int, secret: bytes, settings: Settings, draw: Draw | None) -> Floats:
    """One cell of every release, shape (trials, releases); NaN where a plain table hides it."""
    columns = []
    for plan in plans:
        (table,) = _tables(plan, trips, sampling_secret(secret, plan.query_id))
        if plan.measure.plain_threshold:
            # A hidden cell and an empty one look alike.
            columns.append(np.array([float(table[cell]) or math.nan]))
            continue
        repeated = np.full(settings.trials, table[cell])
        columns.append(_noised([repeated], [plan.budgets[0].sigma], settings, draw)[0].astype(np.float64))
    return np.stack(columns, axis=1)


def _last_day(design: Floats, seen: Floats) -> Floats:
    """Least-squares estimate of the last day from what was shown of the intervals, shape (trials,)."""
    shown = ~np.isnan(seen[0])
    if not shown.any():
        return np.zeros(len(seen))
    solution: Floats = np.linalg.lstsq(design[shown], seen[:, shown].T, rcond=None)[0]
    # Equal numbers must tie: rounding of the solver is no information.
    return np.asarray(np.round(solution[-1], 6), np.float64)


# --- who is attacked --------------------------------------------------------------------------------------------------------------------


def _targets(trips: Trips, settings: Settings, who: str) -> list[tuple[Trips, int]]:
    if who == "canary":
        return [_canary(trips, settings)]
    keys = trips.origin.astype(np.int64) * len(trips.zones) + trips.destination
    pairs = np.unique(np.stack([trips.person, keys]), axis=1)
    people, touched = np.unique(pairs[0], return_counts=True)
    busiest = people[np.argsort(-touched, kind="stable")[: settings.targets]]
    if not len(busiest):
        raise NothingFoundError("nobody in the data makes a trip")
    return [(trips, int(person)) for person in busiest]


def _canary(trips: Trips, settings: Settings) -> tuple[Trips, int]:
    """A person who changes every level as much as one can: K cells of one row, each by V, within one pair of regions."""
    region = np.array(trips.regions)
    sizes = {name: np.flatnonzero(region == name) for name in trips.regions}
    largest = max(sizes.values(), key=len)
    others = [zone for zone in largest if zone != largest[0]][: settings.max_keys]
    destination = [int(zone) for zone in others for _ in range(settings.max_value)]
    return trips.adding([int(largest[0])] * len(destination), destination)


def _quiet_cells(trips: Trips, settings: Settings) -> list[int]:
    """Cells without a trip on the last day: those that are busiest on the others first, which plain tables show."""
    cells = trips.origin.astype(np.int64) * len(trips.zones) + trips.destination
    total = len(trips.zones) ** 2
    last = trips.day == trips.days - 1
    quiet = np.bincount(cells[last], minlength=total) == 0
    # Trips are between zones.
    quiet[:: len(trips.zones) + 1] = False
    before = np.bincount(cells[~last], minlength=total)
    found = np.flatnonzero(quiet)
    if not len(found):
        raise NothingFoundError("every cell has trips on the last day", hint="Attack a country with more zones or fewer people.")
    return [int(cell) for cell in found[np.argsort(-before[found], kind="stable")][: settings.targets]]


def _finding(attack: str, arm: Arm, who: str, found: Sequence[Auc], settings: Settings) -> Finding:
    mean = mean_auc(found)
    # A plain table is the same every time: what varies is who is attacked.
    if arm == "plain" and len(found) > 1:
        spread = float(np.std([part.value for part in found], ddof=1)) / math.sqrt(len(found))
        mean = replace(mean, standard_error=spread)
    return Finding(
        attack=attack,
        arm=arm,
        who=who,
        auc=mean.value,
        low=mean.low(settings.confidence),
        high=mean.high(settings.confidence),
        bound=auc_bound(settings.rho_total),
        control=arm != "gate",
        targets=len(found),
        trials=1 if arm == "plain" else settings.trials,
    )
