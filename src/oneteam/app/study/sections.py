"""Sections of a study file: places, cases, and what is worked out of them."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from oneteam.core.model import Rho, Slug, Text
from oneteam.epidemic.engine.measures import AnyMeasure, Calendar, Period
from oneteam.epidemic.models.document import Document, NotNegative, Positive, Share


class Places(Document):
    """Zones of the country, and the places that are forecast.

    Args:
        zones: CSV with ``code`` (or ``kostat_2018_code``), ``population``, perhaps ``name``, ``region``, ``region_name``.
        geometry: shapes of the zones, GeoJSON or TopoJSON by ``code``.
        place_geometry: shapes of the places that are forecast; made from the zones' shapes by region when left out.
        place_code: column of ``zones`` with the code that cases are reported by.
        aggregate: code of the sum over all places.
        within_trips_per_resident: trips a day between zones of one unit of a public ``od`` table, which it does not tell.
    """

    zones: str
    geometry: str | None = None
    place_geometry: str | None = None
    place_code: str | None = None
    aggregate: str | None = "ALL"
    within_trips_per_resident: NotNegative = 0.5


class Cases(Document):
    """The health agency's own case reports.

    Args:
        file: daily cases by place.
        source: ``daily-csv`` or ``cumulative-csv``.
        week_end: weekday on which weeks end.
        border: codes of cases found at the border.
        ages: cases by day and age band, for the hospital burden.
    """

    file: str
    source: Literal["daily-csv", "cumulative-csv"] = "daily-csv"
    week_end: Literal["MON", "TUE", "WED", "THU", "FRI", "SAT", "SUN"] = "SAT"
    border: tuple[str, ...] = ("quarantine",)
    ages: str | None = None


class Forecast(Document):
    """What is forecast.

    Args:
        horizons: weeks ahead.
        past_weeks: earlier dates that are forecast as if each were today, and scored.
        models: members by short name; all when empty.
        movement: use movement by week as a feature.
        threshold: what counts as hit: cases per 100,000 and week, or ``q0.75`` of a place's own past.
        horizon: weeks ahead that the first sentence is about.
        processes: how many at once; changes no number.
    """

    horizons: tuple[Annotated[int, Field(ge=0, le=8)], ...] = (1, 2, 3, 4)
    past_weeks: Annotated[int, Field(ge=0, le=200)] = 12
    models: tuple[str, ...] = ()
    movement: bool = True
    threshold: str = "100"
    horizon: int = 2
    processes: Annotated[int, Field(ge=1, le=64)] = 2

    @model_validator(mode="after")
    def _told(self) -> Self:
        if not self.horizons or self.horizon not in self.horizons:
            raise ValueError(f"horizon {self.horizon} is not among horizons {list(self.horizons)}")
        return self


class Situation(Document):
    """How Rt and risk are worked out; see ``oneteam epidemic rt --help``.

    Args:
        disease: whose serial interval and severity are used.
        threshold_per_100k: cases per 100,000 and week whose exceedance is asked for.
        window_d: days over which Rt is held constant [d].
        smoothing_d: trailing mean over so many days first; 1 is none [d].
    """

    disease: str = "covid19-omicron"
    threshold_per_100k: Positive = 100.0
    window_d: Annotated[int, Field(ge=1, le=60)] = 7
    smoothing_d: Annotated[int, Field(ge=1, le=28)] = 1


class Importation(Document):
    """Imported cases; either ``cases`` or ``prevalence`` is the epidemic at the origins.

    Args:
        cases: reported at the origins by day.
        prevalence: share infectious by day and origin.
        flights: by day and country.
        origins: population and ascertainment by country.
        observed: imported cases found by day.
        measures: border measures, ``["CN=0.8"]``.
        ascertainment: 95% range of the share that origins report.
        draws: of the posterior.
        home: names of the country itself; the usual ones of Korea when left out.
    """

    cases: str | None = None
    prevalence: str | None = None
    flights: str | None = None
    origins: str | None = None
    observed: str | None = None
    measures: tuple[str, ...] = ()
    ascertainment: tuple[Share, Share] = (0.05, 0.5)
    draws: Annotated[int, Field(ge=100, le=20_000)] = 1000
    home: tuple[str, ...] | None = None

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.cases is None) == (self.prevalence is None):
            raise ValueError("give either cases or prevalence")
        return self


class Mobility(Document):
    """How Releases become mobility.

    Args:
        trips_per_counted: trips for each that the Releases count: carriers do not see all of them.
        draws: tables drawn from the Releases' stated uncertainty, over which the members of a scenario are split.
    """

    trips_per_counted: Positive = 1.0
    draws: Annotated[int, Field(ge=1, le=64)] = 8


class ScenarioSettings(Document):
    """What a measure would change, from the situation on.

    Args:
        name: of the scenario.
        preset: model that comes with the package.
        model: a model document, instead.
        days: how long.
        members: simulations.
        reported: share of infections that is reported, assumed: infected people at the start are the last 7 days' cases over it.
        reproduction_number: instead of the estimated Rt.
        interval: also run both ends of the estimated Rt's interval.
        contacts: folder with contact matrices.
        ages: people by single year of age.
        mobility_reference: days whose mean movement undated trips stand for.
        calendar: weekends, holidays, school terms; when left out, every day is as the mean day that Rt was estimated on.
        measures: what the scenario adds.
    """

    name: str = "scenario"
    preset: str | None = "covid19"
    model: str | None = None
    days: Annotated[int, Field(ge=7, le=730)] = 56
    members: Annotated[int, Field(ge=1, le=10_000)] = 256
    reported: Annotated[float, Field(gt=0, le=1)] = 0.5
    reproduction_number: Positive | None = None
    interval: bool = True
    contacts: str | None = None
    ages: str | None = None
    mobility_reference: Period | None = None
    calendar: Calendar | None = None
    measures: Annotated[tuple[AnyMeasure, ...], Field(min_length=1)]


class Alerts(Document):
    """CAP alerts for places of risk level 3 and 4.

    Args:
        sender: who warns.
        status: of CAP; ``Draft`` until somebody decides.
    """

    sender: Annotated[str, Field(pattern=r"^[^\s,<&]+$")] = "oneteam@localhost"
    status: Literal["Actual", "Exercise", "System", "Test", "Draft"] = "Draft"


class Notices(Document):
    """Ask carriers to notify their own subscribers who came from the likeliest origins.

    Args:
        carriers: whom to ask; all contributors of the Agreement with arrivals when empty.
        origins: how many of the first origins; or
        countries: named ones.
        within_days: seen there so many days back.
        message: what the agency publishes.
        rho: what a Release of the count shall cost; as the Agreement says when left out.
    """

    carriers: tuple[Slug, ...] = ()
    origins: Annotated[int, Field(ge=1, le=20)] = 3
    countries: tuple[str, ...] = ()
    within_days: Annotated[int, Field(ge=0, le=90)] = 14
    message: Text = Text(en="You were in a country with many infections. Please watch for symptoms.", ko="증상이 있으면 검사를 받으세요.")
    rho: Rho | None = None


class Truth(Document):
    """What really happened, where it is known: read by the last step alone.

    Args:
        cases: daily cases, beyond ``known_on``; as ``cases.file``.
        od: true trips by day, origin and destination.
        travel: true trips abroad: ``country``, ``return``, ``infected``.
    """

    cases: str | None = None
    od: str | None = None
    travel: str | None = None
