"""A compartment model as a document: what stands in ``model.toml``.

A model says which compartments there are, how people go from one to the next, how infectious they are there, and what is counted.
Everything that differs by age is either one number or a list with the lower ages of its bands.
"""

from __future__ import annotations

import tomllib
from datetime import date
from itertools import pairwise
from typing import Annotated, Any, ClassVar, Literal, Self, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from oneteam.core.errors import DocumentError
from oneteam.epidemic.models.evidence import Evidence, Number

Share = Annotated[float, Field(ge=0.0, le=1.0)]
Positive = Annotated[float, Field(gt=0.0)]
NotNegative = Annotated[float, Field(ge=0.0)]
D = TypeVar("D", bound=BaseModel)


class Document(BaseModel):
    """A frozen document that refuses unknown keys."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Evidenced(Document):
    """A document with numbers, each of which may say what it rests on.

    Args:
        evidence: what a number rests on, by its name; a number in a table, such as a variant's ``days.I``, by both names.
    """

    NUMBERS: ClassVar[tuple[str, ...]] = ()
    evidence: dict[str, Evidence] = {}

    @model_validator(mode="after")
    def _evidence_is_of_numbers(self) -> Self:
        names = list(self.given_numbers())
        for name in self.evidence:
            if name not in names:
                raise ValueError(f"evidence is given for {name!r}; the numbers here are {', '.join(names) or 'none'}")
        return self

    def given_numbers(self) -> dict[str, object]:
        """Numbers that the document gives itself, by name; defaults are left out."""
        found: dict[str, object] = {}
        for name in self.NUMBERS:
            value = getattr(self, name)
            if name not in self.model_fields_set or value is None:
                continue
            if isinstance(value, dict):
                found |= {f"{name}.{key}": one for key, one in value.items()}
            else:
                found[name] = value
        return found

    def numbers(self, path: str) -> tuple[Number, ...]:
        """The numbers given here, below a path."""
        return tuple(Number(f"{path}{name}", value, self.evidence.get(name)) for name, value in self.given_numbers().items())


class ByAge(Document):
    """A number that may differ by age.

    Args:
        value: one number for everybody, or one for each band.
        from_age: lower ages of the bands, ascending from 0 [years]; none for one number.
    """

    value: tuple[float, ...]
    from_age: tuple[int, ...] = (0,)

    @model_validator(mode="after")
    def _bands_fit(self) -> Self:
        if len(self.value) != len(self.from_age):
            raise ValueError(f"{len(self.value)} values for {len(self.from_age)} age bands")
        if self.from_age[0] != 0 or any(a >= b for a, b in pairwise(self.from_age)):
            raise ValueError("from_age must begin at 0 and ascend")
        return self


def _as_by_age(raw: Any) -> Any:
    if isinstance(raw, int | float):
        return {"value": (float(raw),)}
    if isinstance(raw, dict) and isinstance(raw.get("value"), int | float):
        return {**raw, "value": (raw["value"],)}
    return raw


AgeNumber = Annotated[ByAge, BeforeValidator(_as_by_age)]


class Compartment(Evidenced):
    """Where people are.

    Args:
        name: short, as in equations.
        title: in words.
        infectiousness: relative to a fully infectious person.
        isolatable: by which share tests and isolation can lower it.
    """

    NUMBERS: ClassVar[tuple[str, ...]] = ("infectiousness", "isolatable")

    name: Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_]*$")]
    title: str = ""
    infectiousness: AgeNumber = ByAge(value=(0.0,))
    isolatable: Share = 0.0


class Infection(Evidenced):
    """Susceptible people catch it.

    Args:
        source_compartment: ``from`` in the file.
        to: where they go.
        susceptibility: relative to somebody without any immunity.
        counts: names of flows that count them.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)
    NUMBERS: ClassVar[tuple[str, ...]] = ("susceptibility",)

    source_compartment: str = Field(alias="from")
    to: str
    susceptibility: AgeNumber = ByAge(value=(1.0,))
    counts: tuple[str, ...] = Field(default=(), max_length=2)


class Way(Evidenced):
    """One of the ways that lead on.

    Args:
        to: the compartment.
        probability: of going this way; the last way takes the rest and has none.
        severe: a variant's severity multiplies the odds of this way.
        counts: names of flows that count it.
    """

    NUMBERS: ClassVar[tuple[str, ...]] = ("probability",)

    to: str
    probability: AgeNumber | None = None
    severe: bool = False
    counts: tuple[str, ...] = Field(default=(), max_length=2)


class Progression(Evidenced):
    """People go on after some time.

    Args:
        source_compartment: ``from`` in the file.
        days: mean time spent there, at least 1.
        ways: where they go.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)
    NUMBERS: ClassVar[tuple[str, ...]] = ("days",)

    source_compartment: str = Field(alias="from")
    days: Annotated[AgeNumber, Field()]
    ways: Annotated[tuple[Way, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _ways_fit(self) -> Self:
        if min(self.days.value) < 1.0:
            raise ValueError("days must be at least 1: the model steps by whole days")
        if any(way.probability is None for way in self.ways[:-1]) or self.ways[-1].probability is not None:
            raise ValueError("every way but the last needs a probability, and the last takes the rest")
        for way in self.ways[:-1]:
            if way.probability is not None and not all(0.0 <= v <= 1.0 for v in way.probability.value):
                raise ValueError(f"probability of the way to {way.to} must lie between 0 and 1")
        return self


class Vaccination(Evidenced):
    """Whom a vaccination campaign moves; how many is said by the scenario.

    Args:
        source_compartment: ``from`` in the file.
        to: the compartment of the vaccinated.
        uptake: relative chance to be reached.
        counts: names of flows that count them.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)
    NUMBERS: ClassVar[tuple[str, ...]] = ("uptake",)

    source_compartment: str = Field(alias="from")
    to: str
    uptake: NotNegative = 1.0
    counts: tuple[str, ...] = Field(default=(), max_length=2)


class Stock(Document):
    """People in some compartments at the end of a day.

    Args:
        name: of the stock.
        compartments: whose people are added.
    """

    name: str
    compartments: Annotated[tuple[str, ...], Field(min_length=1)]


class Variant(Evidenced):
    """A variant that takes over: its share grows logistically and is a half on its day. Multipliers are relative to the model as written.

    Args:
        name: of the variant.
        day: when half of new infections are of it.
        growth_per_day: of its odds against its predecessor.
        transmissibility: multiplies transmission.
        severity: multiplies the odds of severe ways.
        days: multiplies mean durations, by compartment.
        susceptibility: replaces relative susceptibility, by compartment (immune escape).
    """

    NUMBERS: ClassVar[tuple[str, ...]] = ("day", "growth_per_day", "transmissibility", "severity", "days", "susceptibility")

    name: str
    day: date
    growth_per_day: Positive = 0.1
    transmissibility: Positive = 1.0
    severity: Positive = 1.0
    days: dict[str, Positive] = {}
    susceptibility: dict[str, NotNegative] = {}


class Seasonality(Evidenced):
    """Transmission follows 1 + amplitude cos(2 pi (day of year - peak) / 365.25).

    Args:
        amplitude: of the swing, as a share of the mean.
        peak_day_of_year: when transmission is highest.
    """

    NUMBERS: ClassVar[tuple[str, ...]] = ("amplitude", "peak_day_of_year")

    amplitude: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.0
    peak_day_of_year: Annotated[int, Field(ge=1, le=366)] = 15


class ModelDocument(Evidenced):
    """A compartment model.

    Args:
        format: of the document.
        name: of the model.
        title: in words.
        reproduction_number: basic, on an ordinary school day of a population without immunity.
        start: compartment of those who are nowhere else at the start.
        seed: compartment where infected people start, and imported ones arrive.
        compartments: in any order.
        infections: how it is caught.
        progressions: how it goes on.
        vaccinations: whom a campaign moves.
        stocks: what is counted at the end of each day.
        variants: in order of their days.
        seasonality: over the year.
    """

    NUMBERS: ClassVar[tuple[str, ...]] = ("reproduction_number",)

    format: Literal["oneteam-model/1"] = "oneteam-model/1"
    name: str
    title: str = ""
    reproduction_number: Positive
    start: str
    seed: str
    compartments: Annotated[tuple[Compartment, ...], Field(min_length=2)]
    infections: Annotated[tuple[Infection, ...], Field(min_length=1)]
    progressions: tuple[Progression, ...] = ()
    vaccinations: tuple[Vaccination, ...] = ()
    stocks: tuple[Stock, ...] = ()
    variants: tuple[Variant, ...] = ()
    seasonality: Seasonality = Seasonality()

    @model_validator(mode="after")
    def _names_fit(self) -> Self:
        names = [c.name for c in self.compartments]
        if len(set(names)) != len(names):
            raise ValueError(f"a compartment's name stands twice among {', '.join(names)}")
        for where, used in self._references():
            if used not in names:
                raise ValueError(f"{where} names compartment {used!r}; the compartments are {', '.join(names)}")
        for kind, left in (
            ("progressions", [p.source_compartment for p in self.progressions]),
            ("infections", [i.source_compartment for i in self.infections]),
            ("vaccinations", [v.source_compartment for v in self.vaccinations]),
        ):
            if len(set(left)) != len(left):
                raise ValueError(f"two {kind} leave the same compartment; give one")
        if not any(max(c.infectiousness.value) > 0 for c in self.compartments):
            raise ValueError("no compartment is infectious")
        if any(a.day > b.day for a, b in pairwise(self.variants)):
            raise ValueError("variants must stand in the order of their days")
        return self

    def _references(self) -> list[tuple[str, str]]:
        found = [("start", self.start), ("seed", self.seed)]
        moves = [(f"infections[{i}]", m.source_compartment, m.to) for i, m in enumerate(self.infections)]
        moves += [(f"vaccinations[{i}]", m.source_compartment, m.to) for i, m in enumerate(self.vaccinations)]
        for where, source, target in moves:
            found += [(f"{where}.from", source), (f"{where}.to", target)]
        for i, progression in enumerate(self.progressions):
            found.append((f"progressions[{i}].from", progression.source_compartment))
            found += [(f"progressions[{i}].ways[{j}].to", way.to) for j, way in enumerate(progression.ways)]
        found += [(f"stocks.{stock.name}", name) for stock in self.stocks for name in stock.compartments]
        found += [(f"variants.{v.name}", name) for v in self.variants for name in (*v.days, *v.susceptibility)]
        return found

    def all_numbers(self) -> tuple[Number, ...]:
        """Every number that the document gives, with its path and what it rests on."""
        found = list(self.numbers(""))
        for compartment in self.compartments:
            found += compartment.numbers(f"compartments.{compartment.name}.")
        for infection in self.infections:
            found += infection.numbers(f"infections.{infection.source_compartment}.")
        for progression in self.progressions:
            path = f"progressions.{progression.source_compartment}."
            found += progression.numbers(path)
            found += [number for way in progression.ways for number in way.numbers(f"{path}{way.to}.")]
        for vaccination in self.vaccinations:
            found += vaccination.numbers(f"vaccinations.{vaccination.source_compartment}.")
        for variant in self.variants:
            found += variant.numbers(f"variants.{variant.name}.")
        return (*found, *self.seasonality.numbers("seasonality."))

    @property
    def flows(self) -> tuple[str, ...]:
        """Names of everything that is counted by the day, in the order of the document."""
        ways = [way for progression in self.progressions for way in progression.ways]
        counted = [i.counts for i in self.infections] + [w.counts for w in ways] + [v.counts for v in self.vaccinations]
        return tuple(dict.fromkeys(name for names in counted for name in names))


def parse(text: str, kind: type[D], where: str) -> D:
    """Read a TOML document.

    Args:
        text: the TOML.
        kind: what it must be.
        where: its name, for messages.

    Raises:
        DocumentError: not TOML, an unknown key, or an impossible value; the message names its path.

    >>> parse("amplitude = 0.2", Seasonality, "model.toml").amplitude
    0.2
    >>> parse("amplitud = 0.2", Seasonality, "model.toml")
    Traceback (most recent call last):
    ...
    oneteam.core.errors.DocumentError: model.toml: amplitud: unknown key
    """
    try:
        return kind.model_validate(tomllib.loads(text))
    except tomllib.TOMLDecodeError as err:
        raise DocumentError(f"{where}: not TOML: {err}") from err
    except RecursionError as err:
        raise DocumentError(f"{where}: not TOML that can be read: nested too deeply") from err
    except ValidationError as err:
        first = err.errors()[0]
        path = ".".join(str(part) for part in first["loc"]) or "the document"
        told = "unknown key" if first["type"] == "extra_forbidden" else first["msg"].removeprefix("Value error, ")
        more = f" (and {err.error_count() - 1} more)" if err.error_count() > 1 else ""
        allowed = ", ".join(sorted(field.alias or name for name, field in kind.model_fields.items()))
        hint = f"Keys at the top: {allowed}." if len(first["loc"]) == 1 and first["type"] == "extra_forbidden" else ""
        raise DocumentError(f"{where}: {path}: {told}{more}", hint=hint) from err
