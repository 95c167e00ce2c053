"""The form of a what-if: what stands in its fields as text, and the plan that it asks for with what is wrong field by field."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Any, Final, Literal

from pydantic import TypeAdapter, ValidationError
from starlette.datastructures import FormData

from oneteam.app.whatif.base import Base
from oneteam.app.whatif.plan import DEFAULT_MEMBERS, MOST_MEASURES, Fault, Plan, brief, faults_of, printable
from oneteam.core.model import Text
from oneteam.epidemic.engine.measures import AnyMeasure
from oneteam.epidemic.engine.scenario import Scenario

Kind = Literal["percent", "doses", "setting"]
MOST_TEXT: Final = 2_000
_MEASURE: Final[TypeAdapter[AnyMeasure]] = TypeAdapter(AnyMeasure)


@dataclass(frozen=True)
class Field:
    """A field of a measure.

    Args:
        name: as the scenario has it.
        kind: ``percent`` of 100, doses a day, or a setting.
        default: what stands in it at first.
    """

    name: str
    kind: Kind
    default: str


FIELDS: Final[Mapping[str, tuple[Field, ...]]] = {
    "work_from_home": (Field("share", "percent", "30"),),
    "masks": (Field("coverage", "percent", "80"), Field("effectiveness", "percent", "40")),
    "close_schools": (Field("share", "percent", "100"), Field("home_increase", "percent", "0")),
    "mobility": (Field("reduction", "percent", "30"),),
    "isolation": (Field("share", "percent", "50"),),
    "contacts": (Field("setting", "setting", "community"), Field("reduction", "percent", "20")),
    "vaccination": (Field("doses_per_day", "doses", ""),),
    "border": (Field("reduction", "percent", "50"),),
}
"""Measures in the order in which they are offered."""


@dataclass(frozen=True)
class MeasureDraft:
    """A measure as it stands in the form."""

    kind: str
    first: str = ""
    last: str = ""
    values: Mapping[str, str] = field(default_factory=dict)
    regions: tuple[str, ...] = ()
    zones: str = ""
    lowest: str = ""
    highest: str = ""

    @property
    def fields(self) -> tuple[Field, ...]:
        """Its own fields."""
        return FIELDS[self.kind]


@dataclass(frozen=True)
class Draft:
    """A form as it stands."""

    title: str = ""
    days: str = ""
    members: str = str(DEFAULT_MEMBERS)
    measures: tuple[MeasureDraft, ...] = ()

    def with_measure(self, kind: str, base: Base) -> Draft:
        """With one more measure, as far as there is room."""
        if kind not in FIELDS or len(self.measures) >= MOST_MEASURES:
            return self
        return replace(self, measures=(*self.measures, fresh(kind, base)))

    def without_measure(self, number: int) -> Draft:
        """Without one of them."""
        return replace(self, measures=tuple(one for i, one in enumerate(self.measures) if i != number))


def offered(base: Base) -> tuple[str, ...]:
    """Kinds of measures that can change anything in a study."""
    absent = set()
    if "school" not in base.settings:
        absent.add("close_schools")
    if not base.border_matters:
        absent.add("border")
    return tuple(kind for kind in FIELDS if kind not in absent)


def fresh(kind: str, base: Base) -> MeasureDraft:
    """A measure as it is offered: from the study's own first measure's day on, in the whole country."""
    starts = [measure.first for measure in base.scenario.measures if measure.first >= base.first_day]
    values = {one.name: one.default for one in FIELDS[kind]}
    if kind == "vaccination":
        values["doses_per_day"] = f"{float(f'{base.people / 500:.1g}'):.0f}"
    if kind == "contacts" and "community" not in base.settings:
        values["setting"] = base.settings[-1]
    return MeasureDraft(kind, first=min(starts, default=base.first_day).isoformat(), values=values)


def blank(base: Base) -> Draft:
    """A form without measures."""
    return Draft(days=str(base.scenario.run.days))


def draft_of(scenario: Scenario, base: Base, title: str = "", members: int = DEFAULT_MEMBERS) -> Draft:
    """A scenario's measures in a form, to be changed."""
    return Draft(title, str(scenario.run.days), str(members), tuple(_draft_of(one, base) for one in scenario.measures[:MOST_MEASURES]))


def _draft_of(measure: AnyMeasure, base: Base) -> MeasureDraft:
    values = {}
    for one in FIELDS[measure.kind]:
        value = getattr(measure, one.name)
        values[one.name] = value if one.kind == "setting" else f"{100 * value if one.kind == 'percent' else value:.10g}"
    left, regions = set(measure.zones), []
    for code in base.regions:
        own = set(base.codes_of(code))
        if own <= left:
            regions.append(code)
            left -= own
    rest = [code for code in measure.zones if code in left]
    ages = measure.ages or ("", "")
    return MeasureDraft(
        measure.kind,
        measure.first.isoformat(),
        measure.last.isoformat() if measure.last else "",
        values,
        tuple(regions),
        ", ".join(rest),
        str(ages[0]),
        str(ages[1]),
    )


def read_form(form: FormData) -> Draft:
    """What was sent, as text; unknown kinds are left out."""

    def text(name: str) -> str:
        found = form.get(name, "")
        return found.strip()[:MOST_TEXT] if isinstance(found, str) else ""

    found = []
    for i in range(2 * MOST_MEASURES):
        kind = text(f"kind_{i}")
        if kind not in FIELDS:
            continue
        found.append(
            MeasureDraft(
                kind,
                text(f"from_{i}"),
                text(f"to_{i}"),
                {one.name: text(f"{one.name}_{i}") for one in FIELDS[kind]},
                tuple(str(one)[:40] for one in form.getlist(f"region_{i}")[:100]),
                text(f"zones_{i}"),
                text(f"lowest_{i}"),
                text(f"highest_{i}"),
            )
        )
    return Draft(printable(text("title")), text("days"), text("members"), tuple(found))


def plan_of(draft: Draft, base: Base) -> tuple[Plan | None, tuple[Fault, ...]]:
    """The plan that a form asks for, and everything that is wrong with it; no plan where anything is.

    Args:
        draft: the form.
        base: what it starts from.
    """
    faults: list[Fault] = []
    days = _whole(draft.days, "days", faults)
    members = _whole(draft.members, "members", faults)
    measures, at = [], []
    for number, one in enumerate(draft.measures):
        made = _measure(one, f"measures.{number}", base, faults)
        if made is not None:
            measures.append(made)
            at.append(number)
    plan = Plan(
        title=draft.title,
        days=base.scenario.run.days if days is None else days,
        members=DEFAULT_MEMBERS if members is None else members,
        measures=tuple(measures),
    )
    told = {fault.field for fault in faults}
    for fault in faults_of(plan, base):
        where = _renumbered(fault.field, at)
        if where == "measures" and len(measures) != len(draft.measures):
            continue  # what is wrong with them is said already
        if where not in told:
            faults.append(Fault(where, fault.words))
    return (None, tuple(faults)) if faults else (plan, ())


def _renumbered(where: str, at: list[int]) -> str:
    parts = where.split(".")
    return ".".join([parts[0], str(at[int(parts[1])]), *parts[2:]]) if len(parts) > 2 else where


def _measure(draft: MeasureDraft, where: str, base: Base, faults: list[Fault]) -> AnyMeasure | None:
    before = len(faults)
    values: dict[str, Any] = {"kind": draft.kind, "from": _day(draft.first, f"{where}.from", faults)}
    if draft.last:
        values["to"] = _day(draft.last, f"{where}.to", faults)
    for one in draft.fields:
        told = draft.values.get(one.name, "")
        if one.kind == "setting":
            values[one.name] = told
        else:
            values[one.name] = _number(told, f"{where}.{one.name}", faults, percent=one.kind == "percent")
    values["zones"] = _places(draft, f"{where}.zones", base, faults)
    if draft.lowest or draft.highest:
        ages = [_whole(told or other, f"{where}.ages", faults) for told, other in ((draft.lowest, "0"), (draft.highest, "120"))]
        values["ages"] = ages
    if len(faults) > before:
        return None
    try:
        return _MEASURE.validate_python(values)
    except ValidationError as err:
        first = err.errors()[0]
        told = first["msg"]
        faults.append(Fault(f"{where}.{first['loc'][-1]}", Text(en=told, ko=told)))
        return None


def _places(draft: MeasureDraft, where: str, base: Base, faults: list[Fault]) -> tuple[str, ...]:
    codes: list[str] = []
    unknown: list[str] = []
    for region in draft.regions:
        if region in base.regions:
            codes += base.codes_of(region)
        else:
            unknown.append(brief(region))
    for name in re.split(r"[,;\n、，]", draft.zones):
        if name.strip():
            found = base.find(name)
            codes += [found] if found else []
            unknown += [] if found else [brief(name)]
    if unknown:
        names = ", ".join(unknown[:3])
        faults.append(
            Fault(
                where,
                Text(
                    en=f"No place, or more than one, is called {names}: give its code, or its name as in the list.",
                    ko=f"이런 지역이 없거나 둘 이상입니다: {names}. 목록의 이름이나 코드를 적으십시오.",
                ),
            )
        )
    return tuple(dict.fromkeys(codes))


def _whole(told: str, where: str, faults: list[Fault]) -> int | None:
    if told.isascii() and told.isdigit() and len(told) < 8:
        return int(told)
    faults.append(Fault(where, Text(en="Give a whole number.", ko="정수를 적으십시오.")))
    return None


def _number(told: str, where: str, faults: list[Fault], *, percent: bool) -> float:
    if re.fullmatch(r"\d{1,9}(\.\d{0,6})?", told):
        value = float(told)
        if not percent:
            return value
        if value <= 100:
            return round(value / 100, 8)
    if percent:
        faults.append(Fault(where, Text(en="Give a number from 0 to 100.", ko="0–100 사이의 수를 적으십시오.")))
    else:
        faults.append(Fault(where, Text(en="Give a number of 0 or more.", ko="0 이상의 수를 적으십시오.")))
    return 0.0


def _day(told: str, where: str, faults: list[Fault]) -> date | None:
    try:
        return date.fromisoformat(told)
    except ValueError:
        faults.append(Fault(where, Text(en="Give a date, such as 2026-03-01.", ko="2026-03-01과 같은 날짜를 적으십시오.")))
        return None
