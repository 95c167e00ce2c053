"""Numbers by one set of age bands brought to another."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from oneteam.epidemic.models.document import ByAge

LAST_BAND_YEARS = 10
"""So many years the last, open band is taken to span when bands are matched."""


@dataclass(frozen=True)
class Ages:
    """Age groups.

    Args:
        from_age: lower ages, ascending from 0 [years]; the last group is open.
    """

    from_age: tuple[int, ...]

    def __len__(self) -> int:
        """How many groups there are."""
        return len(self.from_age)

    @property
    def labels(self) -> tuple[str, ...]:
        """Their names.

        >>> Ages((0, 5, 75)).labels
        ('0-4', '5-74', '75+')
        """
        return (*(f"{low}-{high - 1}" for low, high in pairwise(self.from_age)), f"{self.from_age[-1]}+")

    def take(self, number: ByAge) -> npt.NDArray[np.float64]:
        """A number for each group: the mean over its single years.

        >>> Ages((0, 10, 20)).take(ByAge(value=(1.0, 3.0), from_age=(0, 15))).tolist()
        [1.0, 2.0, 3.0]
        """
        ends = (*self.from_age[1:], self.from_age[-1] + LAST_BAND_YEARS)
        years = np.arange(ends[-1])
        by_year = np.asarray(number.value)[np.searchsorted(number.from_age, years, side="right") - 1]
        return np.array([by_year[low:high].mean() for low, high in zip(self.from_age, ends, strict=True)])


FIVE_YEARS = Ages(tuple(range(0, 80, 5)))
"""The 16 groups of Prem et al. 2021: 0-4, 5-9, ... 75+."""
EVERYBODY = Ages((0,))
"""One group."""
