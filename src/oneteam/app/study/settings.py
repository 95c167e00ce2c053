"""What a study file may say: ``study.toml``."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Annotated, Literal, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import Field, field_validator, model_validator

from oneteam.app.study.sections import (
    Alerts,
    Cases,
    Forecast,
    Importation,
    Mobility,
    Notices,
    Places,
    ScenarioSettings,
    Situation,
    Truth,
)
from oneteam.core.errors import UnknownValueError
from oneteam.core.model import Code, Name, Rho, Slug, Text
from oneteam.epidemic.models.document import Document, parse
from oneteam.store.rows import read_text

Day = date
Every = Literal["day", "week", "all"]
TableMeasure = Literal["od", "movement", "arrivals", "days_abroad", "presence"]
WEEK_D = 7


class Who(Document):
    """Members that are asked for Releases.

    Args:
        home: of the recipient, whose study it is. Alone: its running node asks over the wire; one is opened when none runs.
        beside: homes of other members on this machine (``with`` in the file): all run in one process, without hub and socket.
        attempts: how often a question is put when members drop out; every further time costs again.
        wait_s: how long to wait for members that are away before a question is put off to the next run; nothing is paid for it.
    """

    home: str
    beside: tuple[str, ...] = Field(default=(), alias="with")
    attempts: Annotated[int, Field(ge=1, le=10)] = 1
    wait_s: Annotated[float, Field(ge=0, le=86_400)] = 20.0


class Ask(Document):
    """Releases of one measure; what is left out is taken from the Agreement.

    Args:
        measure: which.
        first_day: first local day.
        last_day: last local day; the study's ``known_on`` when left out.
        every: one Release for each ``day``, each ``week`` (seven days from ``first_day`` on), or for ``all`` days together.
        agreement: its id or the beginning of it, where several fit.
        dimensions: keys to keep.
        levels: levels to release.
        filters: restrictions of other keys.
        rho: what each Release shall cost.
        owners: whose data.
    """

    measure: Name
    first_day: Day
    last_day: Day | None = None
    every: Every = "week"
    agreement: Annotated[str, Field(pattern=r"^[0-9a-f]{4,64}$")] | None = None
    dimensions: tuple[Name, ...] | None = None
    levels: tuple[str, ...] | None = None
    filters: dict[Name, tuple[Code, ...]] = Field(default_factory=dict)
    rho: Rho | None = None
    owners: tuple[Slug, ...] | None = None


class Table(Document):
    """A public table that stands for Releases.

    Args:
        measure: ``od`` (trips per day between zones), ``movement`` (by week and place), ``arrivals``, ``days_abroad`` or ``presence``.
        file: CSV or Parquet, with the columns that `oneteam epidemic` reads.
        crosswalk: of ``od``: from its codes to those of the zones.
    """

    measure: TableMeasure
    file: str
    crosswalk: str | None = None


class StudyFile(Document):
    """``study.toml``.

    Args:
        format: of the document.
        title: of the study.
        known_on: the day on which it could have been made: nothing of a later day is read.
        seed: everything random follows from it.
        data: folder that file names are relative to; ``--data`` wins; the study file's own folder when left out.
        timezone: of the country.
        who: members that are asked; public tables only when left out.
        ask: Releases to ask for.
        tables: public tables that stand for Releases.
        places: zones and places.
        cases: case reports.
        mobility: how Releases become mobility.
        forecast: what is forecast.
        situation: Rt and risk.
        importation: imported cases; left out: not examined.
        scenario: a measure; left out: not examined.
        alerts: CAP.
        notices: carriers are asked to notify; left out: nobody is.
        truth: compared with; left out: not.
        notes: for the report, a line each, English and Korean parted by a bar.
    """

    format: Literal["oneteam-study/1"] = "oneteam-study/1"
    title: Text = Text(en="Epidemic outlook", ko="감염병 전망")
    known_on: Day
    seed: Annotated[int, Field(ge=0, lt=2**53)] = 1
    data: str | None = None
    timezone: str = "Asia/Seoul"
    who: Who | None = None
    ask: tuple[Ask, ...] = ()
    tables: tuple[Table, ...] = ()
    places: Places
    cases: Cases
    mobility: Mobility = Mobility()
    forecast: Forecast = Forecast()
    situation: Situation = Situation()
    importation: Importation | None = None
    scenario: ScenarioSettings | None = None
    alerts: Alerts = Alerts()
    notices: Notices | None = None
    truth: Truth | None = None
    notes: tuple[str, ...] = ()

    @field_validator("timezone")
    @classmethod
    def _zone(cls, name: str) -> str:
        try:
            ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError, OSError) as err:
            raise ValueError(f"{name!r} is no IANA time zone, such as Asia/Seoul") from err
        return name

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.ask and self.who is None:
            raise ValueError("[[ask]] needs [who]: whose home asks")
        asked = {one.measure for one in self.ask}
        twice = next((one.measure for one in self.tables if one.measure in asked), None)
        if twice is not None:
            raise ValueError(f"'{twice}' is asked for and given as a table: keep one of the two")
        names = [one.measure for one in self.tables]
        if len(set(names)) != len(names):
            raise ValueError("one table for each measure")
        for number, one in enumerate(self.ask):
            last = one.last_day or self.known_on
            if last > self.known_on:
                raise ValueError(f"ask[{number}] ({one.measure}): last_day {last} is after known_on {self.known_on}")
            if last < one.first_day:
                raise ValueError(f"ask[{number}] ({one.measure}): last day {last} is before first_day {one.first_day}")
        return self

    @property
    def moment(self) -> datetime:
        """When ``known_on`` ends: the time of everything that the study itself says."""
        return datetime.combine(self.known_on + timedelta(days=1), time(0), ZoneInfo(self.timezone))

    def table(self, measure: TableMeasure) -> Table | None:
        """The public table of a measure."""
        return next((one for one in self.tables if one.measure == measure), None)


def read_study_file(path: Path) -> StudyFile:
    """Read ``study.toml``.

    Raises:
        FileUnreadableError: it cannot be read.
        DocumentError: not TOML, an unknown key, or an impossible value; the message names its path.
    """
    return parse(read_text(path), StudyFile, str(path))


def periods(ask: Ask, known_on: date) -> list[tuple[date, date]]:
    """First and last day of each Release that is asked for.

    Raises:
        UnknownValueError: the ask has no day.

    >>> one = Ask(measure="od", first_day=date(2020, 3, 2), last_day=date(2020, 3, 12))
    >>> [(str(a), str(b)) for a, b in periods(one, date(2020, 4, 1))]
    [('2020-03-02', '2020-03-08'), ('2020-03-09', '2020-03-12')]
    """
    last = ask.last_day or known_on
    if last < ask.first_day:
        raise UnknownValueError(f"{ask.measure}: last day {last} is before first_day {ask.first_day}")
    step = {"day": 1, "week": WEEK_D, "all": (last - ask.first_day).days + 1}[ask.every]
    count = -(-((last - ask.first_day).days + 1) // step)
    starts = [ask.first_day + timedelta(days=step * i) for i in range(count)]
    return [(first, min(first + timedelta(days=step - 1), last)) for first in starts]
