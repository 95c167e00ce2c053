"""Plain tables: small counts are hidden, and nothing else is done.

Some rules name a smallest count k, so a single member may agree to such a table where it has no margins and overlaps no other (the policy
sees to that: one level, all dimensions, no filters, fixed windows of days). It gives no guarantee. Whoever knows all people of a cell but
one learns about that one; two tables that differ by a person differ where that person is; what is hidden can often be told from outside
knowledge. Its Release says so. Wherever noise is used, small counts are hidden by their noised values instead, never by real ones.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]


def suppress_few(values: Ints, people: Ints, smallest_count: int) -> Ints:
    """Values of the cells to which enough people contribute, 0 elsewhere.

    Args:
        values: sums by cell.
        people: distinct contributors by cell, the same shape.
        smallest_count: k; at least 1.

    >>> suppress_few(np.array([40, 9]), np.array([20, 3]), 15).tolist()
    [40, 0]
    """
    return np.where(people >= max(smallest_count, 1), values, 0)
