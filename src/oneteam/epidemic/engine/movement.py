"""Movement by week: how many more or fewer trips than usual, by zone and day."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, timedelta
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from oneteam.epidemic.engine.plan import Course, holding_on

WEEK_D = 7


@dataclass(frozen=True)
class Movement:
    """Movement relative to what the trips of the world stand for.

    Args:
        firsts: first day of each week, ascending.
        factor: of each zone, (weeks, Z).
    """

    firsts: tuple[date, ...]
    factor: npt.NDArray[np.float64]


def with_movement(course: Course, movement: Movement) -> Course:
    """A course whose trips follow the movement.

    A trip from i to j is multiplied by the geometric mean of both zones' factors, so that movement that falls everywhere by a fifth takes
    a fifth of all trips. A week's factor holds from its first day until the next week's; before the first week that week's.

    >>> import numpy as np
    >>> from oneteam.epidemic.engine.plan import Commuting, World, ordinary_course
    >>> from oneteam.epidemic.models.bands import EVERYBODY
    >>> nowhere = Commuting(np.zeros(2, np.int32), np.zeros(0, np.int32), np.zeros(0))
    >>> world = World(("a",), EVERYBODY, np.array([[100]]), {"home": np.ones((1, 1))}, nowhere, np.ones(1))
    >>> weeks = Movement((date(2020, 3, 2), date(2020, 3, 9)), np.array([[1.0], [0.25]]))
    >>> with_movement(ordinary_course(world, date(2020, 3, 8), 2), weeks).origin.tolist()
    [[1.0], [0.5]]
    """
    root = np.sqrt(movement.factor)[holding_on(movement.firsts, course.first_day, course.days)].astype(np.float32)
    return replace(course, origin=course.origin * root, destination=course.destination * root)


def carried_days(firsts: tuple[date, ...], step_d: int, first_day: date, days: int, what: str) -> list[str]:
    """Sentences on the days of a simulation that dated values do not cover.

    Args:
        firsts: first days of the periods, ascending.
        step_d: for how many days a value is.
        first_day: of the simulation.
        days: of the simulation.
        what: the values' name.

    >>> carried_days((date(2020, 3, 2), date(2020, 3, 16)), 7, date(2020, 3, 9), 30, "Movement")
    ['Movement is not told for 2020-03-09 to 2020-03-15, 2020-03-23 to 2020-04-07: the last value before is carried on.']
    """
    last_day = first_day + timedelta(days=days - 1)
    step, one = timedelta(days=step_d), timedelta(days=1)
    told = []
    if first_day < firsts[0]:
        told.append(f"{what} begins on {firsts[0]}: its first value is used for the days from {first_day} on.")
    holes = [(a + step, b - one) for a, b in pairwise(firsts) if b - a > step] + [(firsts[-1] + step, date.max)]
    mine = [(max(a, first_day), min(b, last_day)) for a, b in holes if a <= last_day and b >= first_day]
    if mine:
        shown = ", ".join(f"{a} to {b}" for a, b in mine[:5]) + (f" and {len(mine) - 5} more" if len(mine) > 5 else "")
        told.append(f"{what} is not told for {shown}: the last value before is carried on.")
    return told
