"""From one owner's contributions to noised tables: what the gate does between a permit and a Release.

Every step is a function of the Query, the Agreement and the rows; none of the settings looks at data.
"""

from __future__ import annotations

import hashlib
import hmac
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from oneteam.core.canonical import content_id
from oneteam.core.errors import RefusedError, WrongTypeError
from oneteam.core.model import AgreedMeasure, Agreement, Query
from oneteam.privacy.accounting import LevelBudget, share_rho
from oneteam.privacy.contributions import SECRET_BYTES, Contributions, bounded_sum
from oneteam.privacy.levels import Domain, domain_of_query, measure_of, parse_level
from oneteam.privacy.noise import add_noise, cost
from oneteam.privacy.threshold import suppress_few

Ints = NDArray[np.int64]

_ROUNDING: Final = 1e-9


@dataclass(frozen=True)
class Plan:
    """All that is public about a Query's answer before anything is computed.

    Args:
        query: the Query.
        query_id: its id.
        agreement: the Agreement that it rests on.
        measure: what that allows of the measure.
        domain: the public domain.
        budgets: cost and noise of each level, in the Query's order.
    """

    query: Query
    query_id: str
    agreement: Agreement
    measure: AgreedMeasure
    domain: Domain
    budgets: tuple[LevelBudget, ...]

    @property
    def cells(self) -> tuple[int, ...]:
        """Cells of each level."""
        return tuple(self.domain.cells_of(budget.level) for budget in self.budgets)


def plan_of(query: Query, agreement: Agreement) -> Plan:
    """The plan that owners and readers derive alike.

    Raises:
        UnknownValueError: a measure, dimension or level that the Agreement does not have.
        RefusedError: the levels' noise would cost more than the Query's rho.
    """
    measure = measure_of(agreement, query.measure)
    domain = domain_of_query(query, agreement)
    levels = [parse_level(text) for text in query.levels]
    budgets = share_rho(domain, levels, measure.max_keys, measure.max_value, query.rho)
    # The library's own account of its noise, not ours, decides.
    if math.fsum(cost(b.sigma, b.sensitivity) for b in budgets) > query.rho * (1 + _ROUNDING):
        raise RefusedError(f"the noise would cost more than rho = {query.rho:g}", reasons=("noise.cost",))
    return Plan(query, content_id(query), agreement, measure, domain, budgets)


def sampling_secret(node_secret: bytes, query_id: str) -> bytes:
    """The key that chooses which of a subscriber's keys are kept: another one for every node and Query, the same when asked again.

    >>> len(sampling_secret(bytes(32), "0" * 64))
    16
    """
    if len(node_secret) < 32:
        raise WrongTypeError("a node's secret has at least 32 bytes")
    return hmac.new(node_secret, b"oneteam/1 sampling " + query_id.encode(), hashlib.sha256).digest()[:SECRET_BYTES]


def true_levels(plan: Plan, contributions: Contributions, secret: bytes) -> list[Ints]:
    """Bounded sums at every level, flat; exact, and never to leave the gate."""
    fine = bounded_sum(contributions, plan.domain, plan.measure.max_keys, plan.measure.max_value, secret)
    return [np.ascontiguousarray(plan.domain.coarsen(b.level, fine), np.int64).reshape(-1) for b in plan.budgets]


def noised_levels(tables: Sequence[Ints], sigmas: Sequence[float]) -> list[Ints]:
    """Each level with noise of its own."""
    return [add_noise(table, sigma) for table, sigma in zip(tables, sigmas, strict=True)]


def thresholded(plan: Plan, contributions: Contributions, secret: bytes) -> list[Ints]:
    """A plain table, without noise (see `oneteam.privacy.threshold`): sums of cells to which enough subscribers contribute.

    Raises:
        RefusedError: several levels, whose differences would show what is hidden.
    """
    if len(plan.budgets) != 1 or not plan.budgets[0].level.is_finest:
        raise RefusedError("a plain table has one level, the finest", reasons=("plain",))
    (table,) = true_levels(plan, contributions, secret)
    once = Contributions(contributions.subscriber, contributions.keys, np.minimum(np.abs(contributions.value), 1))
    people = bounded_sum(once, plan.domain, plan.measure.max_keys, 1, secret).reshape(-1)
    return [suppress_few(table, people, plan.measure.smallest_count)]


def joined(tables: Sequence[Ints]) -> Ints:
    """All levels as one vector: what is masked and added."""
    return np.concatenate([table.reshape(-1) for table in tables])


def parted(vector: Ints, cells: Sequence[int]) -> list[Ints]:
    """The levels of such a vector.

    Raises:
        WrongTypeError: it has another length.

    >>> [part.tolist() for part in parted(np.array([1, 2, 3]), [2, 1])]
    [[1, 2], [3]]
    """
    if len(vector) != sum(cells):
        raise WrongTypeError(f"a table of {len(vector)} cells where the levels have {sum(cells)}")
    return [np.ascontiguousarray(part) for part in np.split(vector, np.cumsum(cells)[:-1])]


def no_contributions(domain: Domain) -> Contributions:
    """What a helper brings: nothing but its noise."""
    return Contributions.empty(tuple(axis.name for axis in domain.axes))


def versions(extra: Mapping[str, str]) -> dict[str, str]:
    """Versions that a Release names."""
    from oneteam import __version__  # noqa: PLC0415 - the package's root imports nothing of ours

    return {"oneteam": __version__, **extra}
