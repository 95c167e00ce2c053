"""What somebody asks of a what-if, what is wrong with it, and the scenario that it is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path, PurePosixPath
from typing import Any, Final

from oneteam.app.study.toml import to_toml
from oneteam.app.whatif.base import Base
from oneteam.core.errors import DocumentError
from oneteam.core.model import Text
from oneteam.epidemic.engine.measures import AnyMeasure, Border, ContactCut, Masks, SchoolClosing, Vaccinate
from oneteam.epidemic.engine.scenario import Scenario, WorldFiles
from oneteam.epidemic.models.document import Document

MOST_MEASURES: Final = 6
FEWEST_MEMBERS, MOST_MEMBERS = 8, 256
FEWEST_DAYS, MOST_DAYS = 7, 365
MOST_CELLS: Final = 15_000_000
"""Simulations times days times zones: what fits into memory beside the face."""
MOST_TITLE: Final = 120
DEFAULT_MEMBERS: Final = 32
MOST_ZONES: Final = 400
MOST_AGE: Final = 130
MOST_INCREASE: Final = 10.0
_PATHS: Final = ("zones", "contacts", "ages", "od", "mobility", "crosswalk", "geometry")


class Plan(Document):
    """A what-if as it is asked for.

    Args:
        title: for people; empty takes none.
        days: of the simulation; the study's own when None.
        members: simulations; each pair meets the same random numbers with the measures and without.
        measures: in force from a day, perhaps to a day, in the whole country or in some places.
    """

    title: str = ""
    days: int | None = None
    members: int = DEFAULT_MEMBERS
    measures: tuple[AnyMeasure, ...] = ()


@dataclass(frozen=True)
class Fault:
    """Something that is wrong with one field.

    Args:
        field: ``title``, ``days``, ``members``, ``measures``, or ``measures.0.from``.
        words: what is wrong, and what would be right.
    """

    field: str
    words: Text


def faults_of(plan: Plan, base: Base) -> tuple[Fault, ...]:
    """Everything that is wrong with a plan; empty where it can be run.

    Args:
        plan: what is asked for.
        base: what it starts from.
    """
    found: list[Fault] = []

    def wrong(field: str, en: str, ko: str) -> None:
        found.append(Fault(field, Text(en=en, ko=ko)))

    if len(plan.title) > MOST_TITLE:
        wrong("title", f"A title has at most {MOST_TITLE} characters.", f"제목은 {MOST_TITLE}자 이하로 적으십시오.")
    days = base.scenario.run.days if plan.days is None else plan.days
    if not FEWEST_DAYS <= days <= MOST_DAYS:
        wrong("days", f"Give {FEWEST_DAYS} to {MOST_DAYS} days.", f"{FEWEST_DAYS}–{MOST_DAYS}일 사이로 적으십시오.")
    if not FEWEST_MEMBERS <= plan.members <= MOST_MEMBERS:
        wrong("members", f"Give {FEWEST_MEMBERS} to {MOST_MEMBERS} simulations.", f"{FEWEST_MEMBERS}–{MOST_MEMBERS}회 사이로 적으십시오.")
    elif FEWEST_DAYS <= days <= MOST_DAYS and plan.members * days * len(base.zones) > MOST_CELLS:
        most = max(1, MOST_CELLS // (days * len(base.zones)))
        wrong(
            "members",
            f"Too many for {days} days and {len(base.zones)} districts: at most {most}.",
            f"{days}일, 지역 {len(base.zones)}곳에는 너무 많습니다. 최대 {most}회.",
        )
    if not plan.measures:
        wrong("measures", "Choose at least one measure.", "조치를 하나 이상 고르십시오.")
    if len(plan.measures) > MOST_MEASURES:
        wrong("measures", f"At most {MOST_MEASURES} measures.", f"조치는 {MOST_MEASURES}개까지입니다.")
    for number, measure in enumerate(plan.measures[:MOST_MEASURES]):
        found += _faults_of(measure, f"measures.{number}", base, base.last_day(min(max(days, 1), MOST_DAYS)))
    return tuple(found)


def _faults_of(measure: AnyMeasure, where: str, base: Base, end: date) -> list[Fault]:
    told = (*_when_and_where(measure, base, end), *_how_much(measure, base), *_possible(measure, base))
    return [Fault(f"{where}.{field}", Text(en=en, ko=ko)) for field, en, ko in told]


def _when_and_where(measure: AnyMeasure, base: Base, end: date) -> Iterator[tuple[str, str, str]]:
    if not base.first_day <= measure.first <= end:
        yield "from", f"Give a day from {base.first_day} to {end}.", f"{base.first_day}부터 {end} 사이의 날을 적으십시오."
    elif measure.last is not None and measure.last < measure.first:
        yield "to", f"Give a day from {measure.first} on, or none.", f"{measure.first} 이후의 날을 적거나 비워 두십시오."
    unknown = [code for code in measure.zones[:MOST_ZONES] if not base.knows(code)]
    if unknown:
        names = ", ".join(brief(code) for code in unknown[:3])
        yield "zones", f"No place is called {names}.", f"이런 지역이 없습니다: {names}"
    elif len(measure.zones) > MOST_ZONES:
        yield "zones", f"At most {MOST_ZONES} places.", f"지역은 {MOST_ZONES}곳까지입니다."
    if measure.ages is None:
        return
    if base.scenario.world.contacts is None:
        yield "ages", "This study knows no age groups.", "이 분석에는 연령 구분이 없습니다."
    elif not 0 <= measure.ages[0] <= measure.ages[1] <= MOST_AGE:
        yield "ages", f"Give ages from 0 to {MOST_AGE}, the lower one first.", f"0–{MOST_AGE} 사이의 나이를 낮은 쪽부터 적으십시오."


def _how_much(measure: AnyMeasure, base: Base) -> Iterator[tuple[str, str, str]]:
    nothing = "This would change nothing: give more than 0.", "0이면 아무것도 바뀌지 않습니다. 0보다 크게 적으십시오."
    name, strength = strength_of(measure)
    if strength <= 0:
        yield name, *nothing
    if isinstance(measure, Masks) and measure.effectiveness <= 0:
        yield "effectiveness", *nothing
    if isinstance(measure, Vaccinate) and measure.doses_per_day > base.people:
        most = f"{base.people:,.0f}"
        yield "doses_per_day", f"More than there are people: at most {most}.", f"인구보다 많습니다. 최대 {most}회."
    if isinstance(measure, SchoolClosing) and measure.home_increase > MOST_INCREASE:
        yield "home_increase", f"At most {MOST_INCREASE:.0%}.", f"최대 {MOST_INCREASE:.0%}."


def _possible(measure: AnyMeasure, base: Base) -> Iterator[tuple[str, str, str]]:
    setting = "school" if isinstance(measure, SchoolClosing) else measure.setting if isinstance(measure, ContactCut) else None
    if setting is not None and setting not in base.settings:
        yield (
            "setting" if isinstance(measure, ContactCut) else "kind",
            f"This study's contacts know no setting '{brief(setting)}'; they know: {', '.join(base.settings)}.",
            f"이 분석의 접촉 자료에는 '{brief(setting)}'이(가) 없습니다. 있는 것: {', '.join(base.settings)}.",
        )
    if isinstance(measure, Border) and not base.border_matters:
        yield (
            "kind",
            "Nobody is infected from abroad in this study's scenario: the measure would change nothing.",
            "이 시나리오에는 해외 유입 감염이 없어 아무것도 바뀌지 않습니다.",
        )


def brief(text: str) -> str:
    """What somebody has typed, short and without marks that cannot be seen, to be repeated to people.

    >>> brief("Seo" + chr(0x202E) + "ul"), brief("x" * 50) == "x" * 40
    ('Seoul', True)
    """
    return printable(text)[:40]


def printable(text: str) -> str:
    """Text on one line without control characters and marks that turn the reading direction."""
    return " ".join("".join(c if c.isprintable() else " " if c.isspace() else "" for c in text).split())


def strength_of(measure: AnyMeasure) -> tuple[str, float]:
    """The number that says how strong a measure is: its name and value."""
    for name in ("share", "coverage", "reduction", "doses_per_day"):
        if hasattr(measure, name):
            return name, float(getattr(measure, name))
    raise AssertionError(type(measure))


def check(plan: Plan, base: Base) -> None:
    """Refuse a plan that cannot be run.

    Raises:
        DocumentError: every fault is named with its field.
    """
    found = faults_of(plan, base)
    if found:
        raise DocumentError("; ".join(f"{fault.field}: {fault.words.en}" for fault in found[:8]))


def scenario_of(plan: Plan, base: Base, folder: Path) -> Scenario:
    """The scenario that a plan is.

    Args:
        plan: without faults.
        base: what it starts from.
        folder: where the document will stand; its paths are relative to it.
    """
    run = base.scenario.run
    changed = run.model_copy(update={"members": plan.members, "days": run.days if plan.days is None else plan.days})
    world = base.scenario.world
    moved: dict[str, Any] = {name: _moved(getattr(world, name), base.folder, folder) for name in _PATHS}
    moved["od_files"] = tuple(_moved(name, base.folder, folder) for name in world.od_files)
    model = base.scenario.model
    if model.file is not None:
        model = model.model_copy(update={"file": _moved(model.file, base.folder, folder)})
    return base.scenario.model_copy(
        update={
            "name": printable(plan.title) or "what if",
            "run": changed,
            "world": WorldFiles.model_validate(world.model_dump(by_alias=True) | moved),
            "model": model,
            "measures": plan.measures,
        }
    )


def written(scenario: Scenario) -> str:
    r"""A scenario as its file.

    >>> from oneteam.epidemic.models.document import parse
    >>> text = 'world = { zones = "z.csv" }\nmodel = { preset = "seir" }\nrun = { first_day = 2022-03-01 }\n[[infected]]\npeople = 5\n'
    >>> scenario = parse(text, Scenario, "here")
    >>> parse(written(scenario), Scenario, "there") == scenario
    True
    """
    return to_toml(_plain(scenario.model_dump(by_alias=True, exclude_none=True)))


def _moved(name: str | None, before: Path, now: Path) -> str | None:
    """A path that was relative to one folder, relative to another below it."""
    if name is None or Path(name).is_absolute():
        return name
    up = len(now.resolve().relative_to(before.resolve()).parts)
    return str(PurePosixPath(*[".."] * up, name))


def _plain(value: Any) -> Any:
    """What TOML can say."""
    match value:
        case Mapping():
            return {key: _plain(one) for key, one in value.items() if one is not None}
        case list() | tuple():
            return [_plain(one) for one in value]
        case _:
            return value
