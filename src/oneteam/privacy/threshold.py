"""Plain tables: small counts are hidden, and nothing else is done.

Some rules name a smallest count k, so a single member may agree to such a table where it has no margins and overlaps no other (the policy sees
to that: one level, all dimensions, no filters, fixed windows of days). It gives no guarantee. Whoever knows all people of a cell but one learns
about that one; two tables that differ by a person differ where that person is; what is hidden can often be told from outside knowledge. Its
Release says so. In joint Releases, and wherever noise is used, small counts are hidden by their noised values instead.
"""

from __future__ import annotations

import numpy as np

from oneteam.core.errors import RefusedError
from oneteam.privacy.contributions import Contributions, bounded_sum
from oneteam.privacy.mechanism import Ints, Plan, true_levels


def thresholded(plan: Plan, contributions: Contributions, secret: bytes) -> list[Ints]:
    """Sums of the cells to which at least ``smallest_count`` subscribers contribute, 0 elsewhere.

    Args:
        plan: of a measure whose Agreement says ``plain_threshold``; one level.
        contributions: the rows.
        secret: the sampling secret, so that bounded keys are the same in counts and sums.

    Raises:
        RefusedError: several levels, whose differences would show what is hidden.
    """
    if len(plan.budgets) != 1 or not plan.budgets[0].level.is_finest:
        raise RefusedError("a plain table has one level, the finest", reasons=("plain",))
    (table,) = true_levels(plan, contributions, secret)
    # One each: the sign of a subscriber's sum would not do, since values of several rows may cancel.
    once = Contributions(contributions.subscriber, contributions.keys, np.minimum(np.abs(contributions.value), 1))
    people = bounded_sum(once, plan.domain, plan.measure.max_keys, 1, secret).reshape(-1)
    return [np.where(people >= max(plan.measure.smallest_count, 1), table, 0)]
