"""What people do about an epidemic: calendar and measures, as documents, and how they change a course."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, timedelta
from typing import Annotated, Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field

from oneteam.core.errors import UnknownValueError
from oneteam.epidemic.engine.plan import Course, TripCut, World
from oneteam.epidemic.models.document import Document, NotNegative, Share

Mask = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float32]


class Period(Document):
    """From a day to a day, both included.

    Args:
        first: ``from`` in the file.
        last: ``to`` in the file.
    """

    first: date = Field(alias="from")
    last: date = Field(alias="to")


class Calendar(Document):
    """The ordinary course of weeks and years.

    Args:
        weekend: factor on contacts by setting on Saturdays, Sundays and holidays. The defaults are assumed.
        holidays: days like Sundays.
        school_terms: when schools are open; always, where none is given.
        commuting_weekend: factor on commuting on such days.
    """

    weekend: dict[str, NotNegative] = Field(default={"school": 0.0, "work": 0.5, "community": 1.1, "home": 1.1})
    holidays: tuple[date, ...] = ()
    school_terms: tuple[Period, ...] = ()
    commuting_weekend: NotNegative = 0.6


class Measure(Document):
    """What all measures have in common.

    Args:
        first: its first day; ``from`` in the file.
        last: its last day; ``to`` in the file; until the end where there is none.
        zones: codes; a code is also found by its beginning, so that a region's code stands for its zones. All where none is given.
        ages: lowest and highest age that it applies to [years]; everybody where none is given.
    """

    first: date = Field(alias="from")
    last: date | None = Field(default=None, alias="to")
    zones: tuple[str, ...] = ()
    ages: tuple[int, int] | None = None


class ContactCut(Measure):
    """Fewer contacts in a setting; ``reduction`` is by how much each person's contacts fall there, given that others keep theirs.

    Args:
        kind: of the measure.
        setting: school, work, community or home, as the model's contacts have it.
        reduction: share of each person's contacts there that fall away.
    """

    kind: Literal["contacts"]
    setting: str
    reduction: Share


class SchoolClosing(Measure):
    """Schools closed; ``home_increase`` is by how much contacts at home grow for those who stay there.

    Args:
        kind: of the measure.
        share: of schools.
        home_increase: relative growth of contacts at home.
    """

    kind: Literal["close_schools"]
    share: Share = 1.0
    home_increase: NotNegative = 0.0


class WorkFromHome(Measure):
    """A share of workers stays at home: they meet nobody at work, and do not commute.

    Args:
        kind: of the measure.
        share: of workers.
    """

    kind: Literal["work_from_home"]
    share: Share


class Masks(Measure):
    """Masks outside the home: transmission falls by coverage times effectiveness between two who both take part.

    Args:
        kind: of the measure.
        coverage: share of people who wear one.
        effectiveness: by which a mask lowers transmission.
    """

    kind: Literal["masks"]
    coverage: Share
    effectiveness: Share


class MobilityCut(Measure):
    """Fewer trips out of and into the zones; with ``ages``, of the zones' residents of these ages, wherever they go.

    Args:
        kind: of the measure.
        reduction: share of trips that fall away.
    """

    kind: Literal["mobility"]
    reduction: Share


class Isolation(Measure):
    """Tests and isolation: a share of those who can be found stays away from others; with ``ages``, of infectious people of these ages.

    Args:
        kind: of the measure.
        share: of those who can be found.
    """

    kind: Literal["isolation"]
    share: Share


class Border(Measure):
    """Fewer infections brought in, by residents of the zones and ages.

    Args:
        kind: of the measure.
        reduction: share of infections that no longer come in.
    """

    kind: Literal["border"]
    reduction: Share


class Vaccinate(Measure):
    """A campaign: so many doses a day for all of the zones and ages together, spread over their residents.

    A dose to somebody who is infected, recovered or vaccinated already has no effect: the fewer are susceptible, the fewer doses count.

    Args:
        kind: of the measure.
        doses_per_day: for all of them together.
    """

    kind: Literal["vaccination"]
    doses_per_day: NotNegative


AnyMeasure = Annotated[
    ContactCut | SchoolClosing | WorkFromHome | Masks | MobilityCut | Isolation | Border | Vaccinate, Field(discriminator="kind")
]


def apply_calendar(course: Course, calendar: Calendar) -> Course:
    """A course with weekends, holidays and school terms.

    Raises:
        UnknownValueError: a factor on a setting that the world does not have.
    """
    settings = {name: factors.copy() for name, factors in course.settings.items()}
    origin = course.origin.copy()
    for t in range(course.days):
        day = course.day(t)
        free = day.weekday() >= 5 or day in calendar.holidays
        if free:
            origin[t] *= calendar.commuting_weekend
            for name, factor in calendar.weekend.items():
                if name in settings:
                    settings[name][t] *= np.sqrt(factor)
        if calendar.school_terms and not any(p.first <= day <= p.last for p in calendar.school_terms) and "school" in settings:
            settings["school"][t] = 0.0
    return replace(course, settings=settings, origin=origin)


def apply_measures(course: Course, world: World, measures: Sequence[AnyMeasure]) -> Course:
    """A course under measures, one after the other; overlapping ones multiply.

    Raises:
        UnknownValueError: a zone, setting or period that is not there; the message names the measure.
    """
    changed = replace(
        course,
        settings={name: factors.copy() for name, factors in course.settings.items()},
        transmission=course.transmission.copy(),
        origin=course.origin.copy(),
        destination=course.destination.copy(),
        isolation=course.isolation.copy(),
        importation=course.importation.copy(),
        vaccination=course.vaccination.copy(),
        travel=course.travel.copy(),
    )
    for number, measure in enumerate(measures):
        where = f"measures[{number}] ({measure.kind})"
        days = _days(changed, measure.first, measure.last, where)
        changed = _apply(changed, world, measure, days, zones_of(world, measure.zones, where), _ages(world, measure.ages, where), where)
    return changed


def _apply(course: Course, world: World, measure: AnyMeasure, days: slice, zones: Mask, ages: Mask, where: str) -> Course:  # noqa: C901 - one case for each kind of measure
    """The course under one measure; its arrays are changed in place."""
    who = np.outer(zones, ages)
    match measure:
        case ContactCut():
            _cut(course, measure.setting, days, who, 1 - measure.reduction, where)
        case SchoolClosing():
            _cut(course, "school", days, who, 1 - measure.share, where)
            pupils = who & (np.array(world.ages.from_age) < 20)[None]
            _cut(course, "home", days, pupils, 1 + measure.home_increase * measure.share, where)
        case WorkFromHome():
            _cut(course, "work", days, who, 1 - measure.share, where)
            course.travel[days] *= _where(who, 1 - measure.share)
        case Masks():
            for setting in course.settings:
                if setting != "home":
                    _cut(course, setting, days, who, float(np.sqrt(1 - measure.coverage * measure.effectiveness)), where)
        case MobilityCut(ages=None):
            return replace(course, cuts=(*course.cuts, TripCut(days, zones, 1 - measure.reduction)))
        case MobilityCut():
            course.travel[days] *= _where(who, 1 - measure.reduction)
        case Isolation():
            course.isolation[days] = 1 - (1 - course.isolation[days]) * _where(who, 1 - measure.share)
        case Border():
            course.importation[days] *= _where(who, 1 - measure.reduction)
        case Vaccinate():
            eligible = float(world.population[who].sum())
            if eligible <= 0:
                raise UnknownValueError(f"{where}: nobody lives in these zones at these ages")
            course.vaccination[days] += np.where(who, -np.log1p(-min(measure.doses_per_day / eligible, 0.999)), 0.0).astype(np.float32)
    return course


def _where(who: Mask, factor: float) -> Floats:
    """A factor for some, 1 for the others."""
    return np.where(who, factor, 1.0).astype(np.float32)


def _cut(course: Course, setting: str, days: slice, who: Mask, factor: float, where: str) -> None:
    if setting not in course.settings:
        raise UnknownValueError(f"{where}: no contacts in setting {setting!r}; there are: {', '.join(course.settings)}")
    course.settings[setting][days] *= _where(who, factor)


def _days(course: Course, first: date, last: date | None, where: str) -> slice:
    end = course.day(course.days - 1)
    until = end if last is None else last
    if last is not None and last < first:
        raise UnknownValueError(f"{where}: ends on {last}, before it begins on {first}")
    if first > end or until < course.first_day:
        raise UnknownValueError(f"{where}: lies outside the simulation, {course.first_day} to {end}")
    return slice(max(0, (first - course.first_day) // timedelta(days=1)), (min(until, end) - course.first_day) // timedelta(days=1) + 1)


def zones_of(world: World, codes: Sequence[str], where: str) -> Mask:
    """Which zones are meant: by their codes, or by the beginning of their codes; all when none is named.

    Raises:
        UnknownValueError: a code that no zone has or begins with.
    """
    if not codes:
        return np.ones(len(world.zones), np.bool_)
    found = np.zeros(len(world.zones), np.bool_)
    for code in codes:
        mine = np.array([zone == code for zone in world.zones])
        if not mine.any():
            mine = np.array([zone.startswith(code) for zone in world.zones])
        if not mine.any():
            raise UnknownValueError(
                f"{where}: no zone has the code {code!r} or begins with it", hint=f"A code looks like {world.zones[0]!r}."
            )
        found |= mine
    return found


def _ages(world: World, ages: tuple[int, int] | None, where: str) -> Mask:
    lows = np.array(world.ages.from_age)
    if ages is None:
        return np.ones(len(lows), np.bool_)
    if len(lows) == 1:
        raise UnknownValueError(
            f"{where}: is limited to ages {ages[0]} to {ages[1]}, but everybody is of one age group here",
            hint="Give contact matrices by age (contacts = ...), or leave ages out.",
        )
    highs = np.append(lows[1:] - 1, 200)
    found = (lows <= ages[1]) & (highs >= ages[0])
    if not found.any() or ages[0] > ages[1]:
        raise UnknownValueError(f"{where}: ages {ages[0]} to {ages[1]} are none of: {', '.join(world.ages.labels)}")
    return np.asarray(found, np.bool_)
