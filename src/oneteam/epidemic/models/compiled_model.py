"""From a model document to the arrays that the loops read, for given age groups and days."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
import numpy.typing as npt

from oneteam.core.errors import DocumentError
from oneteam.epidemic.engine.arrays import CONSTANT, INFECTION, VACCINATION, ModelArrays
from oneteam.epidemic.engine.lanes import LANES
from oneteam.epidemic.models.bands import Ages
from oneteam.epidemic.models.document import Infection, ModelDocument, Progression, Vaccination, Variant

Floats = npt.NDArray[np.float64]

_SHARE_STEPS = 50
"""A variant's share is rounded to so many steps, so that most days share one set of numbers."""


@dataclass(frozen=True)
class CompiledModel:
    """A model for given age groups and days.

    Args:
        document: what it was made from.
        ages: the age groups.
        arrays: for the loops.
        epoch: which set of numbers holds on each day, (T,).
        transmissibility: of the variants in circulation, by day, (T,).
        flows: names of flows.
        stocks: names of stocks.
    """

    document: ModelDocument
    ages: Ages
    arrays: ModelArrays
    epoch: npt.NDArray[np.int32]
    transmissibility: Floats
    flows: tuple[str, ...]
    stocks: tuple[str, ...]

    def infectious_days(self, epoch: int = 0) -> Floats:
        """Days of full infectiousness that a newly infected person has ahead, by age at infection.

        The expected time in each compartment solves a linear system over the ways out (an absorbing Markov chain). Compartments of people
        who can be infected end it.

        Args:
            epoch: which set of numbers; 0 is the model as it is written, before any variant.
        """
        a = self.arrays
        compartments = len(self.document.compartments)
        names = [c.name for c in self.document.compartments]
        found = np.zeros(len(self.ages))
        susceptible = {i.source_compartment for i in self.document.infections}
        for age in range(len(self.ages)):
            step = np.eye(compartments)
            for g, source in enumerate(a.group_source):
                if names[source] in susceptible:
                    continue
                leaving = -math.expm1(-a.hazard[epoch, g, age])
                left = leaving
                step[source, source] -= leaving
                for b in range(a.group_branch[g], a.group_branch[g + 1]):
                    if a.branch_kind[b] == CONSTANT:
                        step[source, a.branch_target[b]] += left * a.share[epoch, b, age]
                        left *= 1 - a.share[epoch, b, age]
            transient = [c for c in range(compartments) if step[c, c] < 1 - 1e-12 and names[c] not in susceptible]
            matrix = np.eye(len(transient)) - step[np.ix_(transient, transient)].T
            at = np.zeros(len(transient))
            at[transient.index(names.index(self.document.seed))] = 1.0
            spent = dict(zip(transient, np.linalg.solve(matrix, at), strict=True))
            found[age] = sum(a.infectiousness[epoch, k, age] * spent.get(int(c), 0.0) for k, c in enumerate(a.infectious))
        return found


def compile_model(document: ModelDocument, ages: Ages, first_day: date, days: int) -> CompiledModel:
    """Make a model ready for the loops.

    Args:
        document: the model.
        ages: the age groups.
        first_day: of the simulation.
        days: how many.

    Raises:
        DocumentError: the seed compartment leads nowhere infectious, or a stay becomes shorter than a day under a variant.
    """
    shares = _variant_shares(document.variants, first_day, days)
    # Epoch 0 is the model as written: reproduction numbers refer to it.
    weights = np.vstack([np.eye(1, len(document.variants) + 1), np.round(shares * _SHARE_STEPS) / _SHARE_STEPS])
    epochs, epoch = np.unique(weights, axis=0, return_inverse=True)
    written = int(epoch[0])
    order = np.array([written, *(e for e in range(len(epochs)) if e != written)])
    place = np.argsort(order)
    arrays = _arrays(document, ages, epochs[order])
    multipliers = np.array([1.0, *(v.transmissibility for v in document.variants)])
    compiled = CompiledModel(
        document,
        ages,
        arrays,
        place[epoch.reshape(-1)[1:]].astype(np.int32),
        shares @ multipliers,
        document.flows,
        tuple(stock.name for stock in document.stocks),
    )
    if not (compiled.infectious_days() > 0).all():
        raise DocumentError(f"model {document.name}: from compartment {document.seed!r} nobody becomes infectious, in some age group")
    return compiled


def _variant_shares(variants: tuple[Variant, ...], first_day: date, days: int) -> Floats:
    """Shares of what is written and of the variants, by day, (T, variants + 1)."""
    shares = np.zeros((days, len(variants) + 1))
    shares[:, 0] = 1.0
    moments = np.array([(first_day + timedelta(days=d)).toordinal() for d in range(days)], dtype=np.float64)
    for i, variant in enumerate(variants, start=1):
        exponent = np.clip(-variant.growth_per_day * (moments - variant.day.toordinal()), -40, 40)
        taken = 1 / (1 + np.exp(exponent))
        shares[:, :i] *= (1 - taken)[:, None]
        shares[:, i] = taken
    return shares


def _arrays(document: ModelDocument, ages: Ages, epochs: Floats) -> ModelArrays:
    names = [c.name for c in document.compartments]
    variants = document.variants
    groups = [name for name in names if _ways_out(document, name)]
    branches = [(g, way) for g, name in enumerate(groups) for way in _ways_out(document, name)]
    n_e, n_g, n_b, n_a = len(epochs), len(groups), len(branches), len(ages)

    def blend(e: int, base: float, others: list[float]) -> float:
        return float(epochs[e] @ np.array([base, *others]))

    susceptibility = np.zeros((n_e, n_g, n_a), np.float32)
    hazard = np.zeros((n_e, n_g, n_a))
    uptake = np.zeros(n_g, np.float32)
    share = np.zeros((n_e, n_b, n_a))
    flow = np.full((n_b, 2), -1, np.int32)
    for b, (g, way) in enumerate(branches):
        counted = way.counts if not isinstance(way, tuple) else way[0].ways[way[1]].counts
        flow[b, : len(counted)] = [document.flows.index(name) for name in counted]
        for e in range(n_e):
            if isinstance(way, Infection):
                base = ages.take(way.susceptibility)
                escaped = [np.full(n_a, v.susceptibility[groups[g]]) if groups[g] in v.susceptibility else base for v in variants]
                susceptibility[e, g] = np.tensordot(epochs[e], np.array([base, *escaped]), axes=1)
            elif isinstance(way, Vaccination):
                uptake[g] = way.uptake
            else:
                progression, index = way
                days = ages.take(progression.days) * blend(e, 1.0, [v.days.get(groups[g], 1.0) for v in variants])
                if days.min() < 1.0 - 1e-9:
                    raise DocumentError(
                        f"model {document.name}: under a variant the stay in {groups[g]!r} is {days.min():.2f} days; the least is 1"
                    )
                # A geometric stay of mean d days: the chance to leave on a day is 1/d. A stay of one day leaves for certain.
                hazard[e, g] = -np.log1p(-np.minimum(1 / days, 1 - 1e-12))
                share[e, b] = _way_probability(progression, index, ages, blend(e, 1.0, [v.severity for v in variants]))
    moving, sharing = _by_lane(-np.expm1(-hazard)), _by_lane(share)
    infectious = [i for i, c in enumerate(document.compartments) if max(c.infectiousness.value) > 0]
    by_compartment = np.array([ages.take(document.compartments[i].infectiousness) for i in infectious])
    kind = [INFECTION if isinstance(w, Infection) else VACCINATION if isinstance(w, Vaccination) else CONSTANT for _, w in branches]
    firsts = np.searchsorted([g for g, _ in branches], np.arange(n_g + 1))
    targets = [way.to if not isinstance(way, tuple) else way[0].ways[way[1]].to for _, way in branches]
    return ModelArrays(
        group_source=np.array([names.index(name) for name in groups], np.int32),
        group_branch=firsts.astype(np.int32),
        group_varied=np.array([any(kind[b] != CONSTANT for b in range(firsts[g], firsts[g + 1])) for g in range(n_g)], np.uint8),
        susceptibility=susceptibility,
        vaccine_uptake=uptake,
        hazard=hazard,
        p32=moving.p.astype(np.float32),
        h32=moving.h.astype(np.float32),
        p64=moving.p,
        h64=moving.h,
        flip=moving.flip,
        branch_target=np.array([names.index(name) for name in targets], np.int32),
        branch_kind=np.array(kind, np.int32),
        share=share,
        share_p32=sharing.p.astype(np.float32),
        share_h32=sharing.h.astype(np.float32),
        share_p64=sharing.p,
        share_h64=sharing.h,
        share_flip=sharing.flip,
        flow=flow,
        infectious=np.array(infectious, np.int32),
        infectiousness=np.repeat(by_compartment[None], n_e, axis=0).astype(np.float32),
        isolatable=np.array([document.compartments[i].isolatable for i in infectious], np.float32),
        stock=np.array([[int(name in s.compartments) for name in names] for s in document.stocks], np.int32).reshape(-1, len(names)),
    )


@dataclass(frozen=True)
class _Rarer:
    """Probabilities of the rarer outcome and their hazards, repeated for each lane, and where it is to stay."""

    p: Floats
    h: Floats
    flip: npt.NDArray[np.uint8]


def _by_lane(moving: Floats) -> _Rarer:
    flip = moving > 0.5
    p = np.repeat(np.where(flip, 1 - moving, moving).reshape(-1), LANES)
    return _Rarer(p, -np.log1p(-p), flip.reshape(-1).astype(np.uint8))


def _ways_out(document: ModelDocument, name: str) -> list[Infection | Vaccination | tuple[Progression, int]]:
    """Ways out of a compartment: infection, vaccination, then those with a constant rate."""
    infections = [i for i in document.infections if i.source_compartment == name]
    vaccinations = [v for v in document.vaccinations if v.source_compartment == name]
    constant = [(p, i) for p in document.progressions if p.source_compartment == name for i in range(len(p.ways))]
    return [*infections, *vaccinations, *constant]


def _way_probability(progression: Progression, index: int, ages: Ages, severity: float) -> Floats:
    """Probability of a way among those that the ways before it leave."""
    left = np.ones(len(ages))
    for i, way in enumerate(progression.ways):
        if way.probability is None:
            return np.ones(len(ages))
        p = ages.take(way.probability)
        if way.severe:
            p = p * severity / (1 - p + p * severity)
        if i == index:
            return np.asarray(np.clip(np.divide(p, left, out=np.zeros_like(p), where=left > 0), 0.0, 1.0))
        left = left - p
    raise AssertionError(index)
