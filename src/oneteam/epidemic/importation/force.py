"""How many infected people arrive: arrivals by origin times the share of travellers who carry the infection.

For each origin and day: infections per inhabitant follow from reported cases (shifted by growth for the delay between infection and
report, divided by the share that is reported); a traveller carries the infection when infected so few days ago that symptoms have not
kept them at home, or when there are none. A resident who returns can only have been infected during the stay.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

import numpy as np
import numpy.typing as npt
from scipy.special import gammainc, ndtr

from oneteam.core.errors import UnknownValueError
from oneteam.epidemic.models.evidence import Evidence

Days = npt.NDArray[np.datetime64]
Floats = npt.NDArray[np.float64]

SMOOTHING_D: Final = 7
GROWTH_D: Final = 14
MAX_GROWTH_PER_D: Final = 0.2


@dataclass(frozen=True)
class Course:
    """The course of an infection as far as travel is concerned.

    Args:
        incubation_median_d: median time to symptoms, log-normal [d].
        incubation_dispersion: standard deviation of its logarithm.
        asymptomatic: share that never gets symptoms.
        infectious_mean_d: mean time from infection to the end of infectiousness without symptoms, gamma of shape 4 [d].
        report_delay_d: mean time from infection to report at the origin [d].
        travel_d: time between leaving and arriving [d].
        found_mean_d: mean time from arrival to report [d].
        hazard_per_prevalence: chance of a day to be infected, per share of people infectious; only where prevalence is given [1/d].
        source: where the numbers are from.
    """

    incubation_median_d: float = 5.1
    incubation_dispersion: float = 0.418
    asymptomatic: float = 0.20
    infectious_mean_d: float = 10.0
    report_delay_d: float = 8.0
    travel_d: float = 0.5
    found_mean_d: float = 4.0
    hazard_per_prevalence: float = 0.2
    source: str = (
        "incubation: Lauer and others 2020, Ann Intern Med 172:577; asymptomatic: Buitrago-Garcia and others 2020, PLOS Med 17:e1003346; "
        "the delays are assumed"
    )

    def carrying(self, days: int = 30) -> Floats:
        """Share of those infected k days before they leave who travel and arrive infected, k from 0 on, shape (days,).

        >>> share = Course().carrying()
        >>> bool(share[0] > 0.99), bool(share[10] < 0.15), bool((share[1:] <= share[:-1]).all())
        (True, True, True)
        """
        age = np.arange(days, dtype=np.float64)
        with np.errstate(divide="ignore"):
            ill = ndtr((np.log(age) - np.log(self.incubation_median_d)) / self.incubation_dispersion)
        over = gammainc(4.0, 4.0 * (age + self.travel_d) / self.infectious_mean_d)
        return np.asarray((1 - self.asymptomatic) * (1 - ill) + self.asymptomatic * (1 - over))

    def found_after(self, days: int = 21) -> Floats:
        """Share of imported cases that is reported k days after arrival, gamma of shape 2, sums to 1, shape (days,)."""
        mass = np.diff(gammainc(2.0, 2.0 * np.arange(days + 1) / self.found_mean_d))
        return np.asarray(mass / mass.sum())


COURSE_EVIDENCE: Final[Mapping[str, Evidence]] = MappingProxyType(
    {
        "incubation_median_d": Evidence(
            status="confirmed", source="Lauer and others 2020, Ann Intern Med 172:577: median 5.1 days (4.5-5.8), log-normal"
        ),
        "incubation_dispersion": Evidence(
            status="derived",
            source="Lauer and others 2020, Ann Intern Med 172:577: dispersion 1.52 (1.32-1.72); read in epiparameterDB",
            formula="ln 1.52 = 0.419, and 0.418 is within its rounding",
        ),
        "asymptomatic": Evidence(
            status="confirmed", source="Buitrago-Garcia and others 2020, PLoS Med 17:e1003346, abstract: 20% (17-25) of the infected"
        ),
        "infectious_mean_d": Evidence(
            status="assumed",
            reason="latent 3 and infectious 5 days of Davies and others 2020 make 8; those without symptoms may carry it longer",
        ),
        "report_delay_d": Evidence(
            status="assumed", reason="incubation of 5.5 days on average, and some days from symptoms to test and report"
        ),
        "travel_d": Evidence(status="assumed", reason="a long flight with its waiting times"),
        "found_mean_d": Evidence(status="assumed", reason="symptoms or a test in the first days after arrival, and a day to report"),
        "hazard_per_prevalence": Evidence(status="assumed", reason="a reproduction number of 1 spread over 5 infectious days"),
    }
)
"""What each number of the course rests on."""


def infections_per_inhabitant(reported: npt.ArrayLike, population: npt.ArrayLike, course: Course) -> Floats:
    """Infections by day per inhabitant if every infection were reported; uses no later day than its own.

    Reports lag behind infections, so in growth there are more infections today than reports tell: by the growth of the last two weeks over
    the delay.

    Args:
        reported: new cases, shape (days, origins); NaN counts 0.
        population: inhabitants, shape (origins,).
        course: of the infection.

    >>> steady = infections_per_inhabitant(np.full((30, 1), 70.0), [1e6], Course())
    >>> round(float(steady[-1, 0]) * 1e6, 6)
    70.0
    """
    cases = np.maximum(np.nan_to_num(np.asarray(reported, np.float64)), 0.0)
    smooth = trailing_mean(cases, SMOOTHING_D)
    before = np.zeros_like(smooth)
    before[SMOOTHING_D:] = smooth[:-SMOOTHING_D]
    rate = np.log((smooth + 0.5) / (before + 0.5)) / SMOOTHING_D
    rate = np.clip(trailing_mean(rate, GROWTH_D - SMOOTHING_D), -MAX_GROWTH_PER_D, MAX_GROWTH_PER_D)
    # Half a case a week hardly tells a trend.
    trusted = smooth / (smooth + 1.0)
    return np.asarray(smooth * np.exp(trusted * rate * course.report_delay_d) / np.asarray(population, np.float64))


def trailing_mean(values: Floats, days: int) -> Floats:
    """Means of each day and the days before it; of fewer at the start, shape as given.

    >>> trailing_mean(np.array([[2.0], [4.0], [6.0]]), 2).ravel().tolist()
    [2.0, 3.0, 5.0]
    """
    sums = np.cumsum(values, axis=0)
    lagged = np.zeros_like(sums)
    lagged[days:] = sums[:-days] if len(sums) > days else sums[:0]
    count = np.minimum(np.arange(1, len(values) + 1), days)[:, None]
    return np.asarray((sums - lagged) / count)


def carrying_share(infections: Floats, course: Course, stay_d: npt.ArrayLike | None = None) -> Floats:
    """Share of travellers who arrive infected, by day and origin.

    Args:
        infections: by day per inhabitant, shape (days, origins).
        course: of the infection.
        stay_d: mean days at the origin of those who return, shape (origins,); NaN or None for people who live there [d].

    >>> rate = np.full((40, 1), 0.001)
    >>> lived, visited = carrying_share(rate, Course())[-1, 0], carrying_share(rate, Course(), [2.0])[-1, 0]
    >>> round(float(lived), 4), round(float(visited), 4)
    (0.0069, 0.0024)
    """
    share = course.carrying()
    origins = infections.shape[1]
    stay = np.full(origins, np.nan) if stay_d is None else np.asarray(stay_d, np.float64)
    if (stay <= 0).any():
        raise UnknownValueError("mean days of stay must be above 0")
    out = np.zeros_like(infections)
    for age, weight in enumerate(share[: len(infections)].tolist()):
        # Stays differ in length: exponential around their mean, so that a day's weight falls rather than breaks off.
        there = np.where(np.isnan(stay), 1.0, np.exp(-age / np.where(np.isnan(stay), 1.0, stay)))
        out[age:] += weight * there * infections[: len(infections) - age]
    return np.asarray(np.minimum(out, 1.0))


def delayed(expected: Floats, course: Course) -> Floats:
    """Expected imported cases on the day of their report rather than of their arrival, shape as given."""
    out = np.zeros_like(expected)
    for lag, weight in enumerate(course.found_after()[: len(expected)].tolist()):
        out[lag:] += weight * expected[: len(expected) - lag]
    return out


def by_week(days: Days, values: Floats, last: np.datetime64) -> tuple[Days, Floats]:
    """Sums of whole weeks, the last of which ends on ``last``; (week ends, sums of shape (weeks, ...)).

    >>> days = np.arange("2020-01-01", "2020-01-16", dtype="datetime64[D]")
    >>> ends, sums = by_week(days, np.ones((15, 1)), np.datetime64("2020-01-15"))
    >>> ends.astype(str).tolist(), sums.ravel().tolist()
    (['2020-01-08', '2020-01-15'], [7.0, 7.0])
    """
    stop = int((last - days[0]).astype(np.int64)) + 1
    count = stop // 7
    part = values[stop - 7 * count : stop]
    ends = days[stop - 7 * count + 6 : stop : 7]
    return ends, np.asarray(part.reshape(count, 7, *values.shape[1:]).sum(axis=1))
