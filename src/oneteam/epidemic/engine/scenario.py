"""A simulation as a document: what stands in ``scenario.toml``."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from oneteam.epidemic.engine.measures import AnyMeasure, Calendar, Period
from oneteam.epidemic.models.document import Document, NotNegative, Positive


class WorldFiles(Document):
    """Where the world is read from; paths are relative to the document.

    Args:
        zones: CSV with code (or kostat_2018_code) and population; may have population_15_plus, region (or sido), name (or name_en).
        contacts: folder with ``contacts_<setting>_<n>ages.csv``; without it everybody is of one age and meets alike.
        ages: CSV with people by single year of age, ``group_name,value``; without it all bands are equally full.
        od: CSV with trips per day, long (origin, destination, trips_per_day) or wide (a code, perhaps a name, one column for each unit);
            a long one with a column ``date`` or ``week_start`` changes over time.
        od_files: instead of ``od``, several of them, each with such a column or with a date in its name.
        mobility: CSV with movement by place and week (week_start, location, trips), which scales the trips of each day.
        mobility_reference: weeks in whose mean a place's movement stands for the trips of ``od``; without it its median over all weeks.
        mobility_known_on: leave out what was not published on this day, of ``mobility`` and of dated ``od``.
        crosswalk: CSV from the codes of ``od`` to those of the zones: od_code and a zone code.
        geometry: GeoJSON or TopoJSON of the zones, for maps.
        within_trips_per_resident: trips a day between zones of one unit of ``od``, which it does not tell.
    """

    zones: str
    contacts: str | None = None
    ages: str | None = None
    od: str | None = None
    od_files: tuple[str, ...] = ()
    mobility: str | None = None
    mobility_reference: Period | None = None
    mobility_known_on: date | None = None
    crosswalk: str | None = None
    geometry: str | None = None
    within_trips_per_resident: NotNegative = 0.5

    @model_validator(mode="after")
    def _trips_once(self) -> Self:
        if self.od is not None and self.od_files:
            raise ValueError("give either od or od_files")
        if self.mobility is None and self.mobility_reference is not None:
            raise ValueError("mobility_reference is given, but no mobility")
        return self


class ModelChoice(Document):
    """Which model: a preset or a file, and what to set otherwise.

    Args:
        preset: name of a model that comes with the package.
        file: a model document.
        reproduction_number: instead of the model's.
        reproduction_number_is: ``basic``: of the model as it is written, which season and variants then multiply; ``on_first_day``: with
            season and variants as they are on the first day, such as an Rt that was estimated then. Both are of an ordinary school day
            in a susceptible population, before calendar and measures.
    """

    preset: str | None = None
    file: str | None = None
    reproduction_number: Positive | None = None
    reproduction_number_is: Literal["basic", "on_first_day"] = "basic"

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.preset is None) == (self.file is None):
            raise ValueError("give either preset or file")
        return self


class Run(Document):
    """How it is run.

    Args:
        first_day: of the simulation.
        days: how many.
        members: how many simulations.
        seed: of all random numbers.
        sampler: ``fast``, or ``exact`` binomial draws, which take two to three times as long.
    """

    first_day: date
    days: Annotated[int, Field(ge=1, le=3660)] = 180
    members: Annotated[int, Field(ge=1, le=100_000)] = 100
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 1
    sampler: Literal["fast", "exact"] = "fast"


class Infected(Document):
    """Infected people at the start, spread over zones and ages by population.

    Args:
        people: how many.
        zones: codes, or the beginning of codes; all where none is given.
    """

    people: Annotated[int, Field(ge=0)]
    zones: tuple[str, ...] = ()


class Imports(Document):
    """Infections brought in: so many a day, spread over zones by population. They are residents coming home, so nobody is added.

    Args:
        per_day: how many a day.
        zones: codes, or the beginning of codes; all where none is given.
        first: their first day; ``from`` in the file; the simulation's without it.
        last: their last day; ``to`` in the file; the simulation's without it.
    """

    per_day: NotNegative
    zones: tuple[str, ...] = ()
    first: date | None = Field(default=None, alias="from")
    last: date | None = Field(default=None, alias="to")


class Scenario(Document):
    """A simulation; with measures it is compared with itself without them.

    Args:
        format: of the document.
        name: of the scenario.
        world: files.
        model: which.
        run: how.
        calendar: weekends, holidays, school terms.
        infected: at the start.
        imports: over time.
        background: measures in force in both runs.
        measures: what the scenario adds.
    """

    format: Literal["oneteam-scenario/1"] = "oneteam-scenario/1"
    name: str = "scenario"
    world: WorldFiles
    model: ModelChoice
    run: Run
    calendar: Calendar = Calendar()
    infected: tuple[Infected, ...] = ()
    imports: tuple[Imports, ...] = ()
    background: tuple[AnyMeasure, ...] = ()
    measures: tuple[AnyMeasure, ...] = ()

    @model_validator(mode="after")
    def _somebody(self) -> Self:
        if not any(i.people > 0 for i in self.infected) and not any(i.per_day > 0 for i in self.imports):
            raise ValueError("nobody is infected: give [[infected]] or [[imports]]")
        return self
