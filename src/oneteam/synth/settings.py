"""What a synthetic country is made from, and what making it gave."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path
from typing import Annotated, Literal, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import BaseModel, ConfigDict, Field

from oneteam.core.errors import UnknownValueError

DEFAULT_CARRIERS = "skylark:0.45,horizon:0.30,bluewave:0.25"


class Carrier(BaseModel):
    """A carrier of the country.

    ``share``: of all subscriptions; the shares of all carriers sum to 1. ``mnc``: its mobile network code, two digits.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(pattern=r"^[a-z][a-z0-9_-]{0,30}$")
    share: float = Field(gt=0, le=1)
    mnc: str = Field(pattern=r"^\d{2}$")


class CountrySettings(BaseModel):
    """Everything that decides what a country looks like; equal settings give equal bytes.

    ``shape`` makes districts inside the provinces of a real country. ``transmission`` multiplies every contact's chance to infect.
    ``events_from`` and ``events_until`` (inclusive) bound the days for which carriers' files and the truth about movement are written; the
    outbreak runs over all ``days``. ``chunk`` and ``threads`` decide only how the work is cut.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    zones: Path | None = None
    od: Path | None = None
    shapes: Path | None = None
    shape: Literal["korea"] | None = None
    zone_count: Annotated[int, Field(ge=1, le=20_000)] = 250
    subscribers: Annotated[int, Field(ge=1, le=100_000_000)] = 100_000
    days: Annotated[int, Field(ge=1, le=3_660)] = 14
    start_date: date = date(2020, 1, 6)
    carriers: tuple[Carrier, ...] = ()
    multi_sim: Annotated[float, Field(ge=0, le=0.5)] = 0.08
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 1
    roaming: bool = True
    outbreak: bool = True
    transmission: Annotated[float, Field(ge=0, le=10)] = 1.0
    timezone: str = "Asia/Seoul"
    mcc: Annotated[int, Field(ge=200, le=799)] = 450
    events_per_day: Annotated[float, Field(ge=0.1, le=1_000)] = 14.0
    events_from: date | None = None
    events_until: date | None = None
    chunk: Annotated[int, Field(ge=1)] = 32_768
    threads: Annotated[int, Field(ge=1, le=64)] = 2

    @property
    def persons(self) -> int:
        """People, of whom a share holds a second subscription."""
        return max(1, round(self.subscribers / (1 + self.multi_sim)))

    @property
    def event_days(self) -> range:
        """Numbers of the days for which carriers' files are written."""
        first = 0 if self.events_from is None else (self.events_from - self.start_date).days
        last = self.days - 1 if self.events_until is None else (self.events_until - self.start_date).days
        return range(first, last + 1)

    def check(self) -> Self:
        """These settings, if they fit together.

        Raises:
            UnknownValueError: two sources of zones, or event days outside the simulated ones.
        """
        if self.shape is not None and (self.zones is not None or self.shapes is not None):
            raise UnknownValueError("--shape makes its own zones: leave out --zones and --shapes, or --shape")
        days = self.event_days
        if not 0 <= days.start < days.stop <= self.days:
            last = self.start_date + timedelta(days=self.days - 1)
            raise UnknownValueError(
                f"--events-from and --events-until give no days between {self.start_date} and {last}, the simulated days",
                hint="The first must not be after the last.",
            )
        return self


class CountrySummary(BaseModel):
    """What was written."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    folder: Path
    zones: int
    persons: int
    subscriptions: int
    days: int
    events: int
    inbound_events: int
    outbound_records: int
    trips: int
    infections: int
    cases: int
    carriers: dict[str, int] = Field(description="events by carrier")
    seconds: float
    events_per_s: float = Field(description="over the whole run, from settings to the last file")
    generation_events_per_s: float = Field(description="over generating and writing the events alone")


def parse_carriers(text: str) -> tuple[Carrier, ...]:
    """Carriers from ``name:share`` pairs; shares are scaled to sum to 1.

    Raises:
        UnknownValueError: not such a list, a name twice, or a name that cannot be a folder.

    >>> [(c.name, round(c.share, 2), c.mnc) for c in parse_carriers("north:3, south:1")]
    [('north', 0.75, '01'), ('south', 0.25, '02')]
    """
    hint = f"Write pairs like {DEFAULT_CARRIERS!r}."
    names: list[str] = []
    shares: list[float] = []
    for item in text.split(","):
        name, colon, share = (part.strip() for part in item.partition(":"))
        try:
            value = float(share)
        except ValueError:
            value = -1.0
        if not colon or not 0 < value < 1e9:
            raise UnknownValueError(f"--carriers: {item.strip()!r} is not a name and a share above 0", hint=hint)
        if not (name.isascii() and name[:1].isalpha() and name.islower() and name.replace("-", "").replace("_", "").isalnum()):
            raise UnknownValueError(f"--carriers: {name!r} must be lower-case letters, digits, '-' or '_', a letter first", hint=hint)
        if name in names or name in {"agency", "registers", "truth"}:
            raise UnknownValueError(f"--carriers: the name {name!r} is taken", hint=hint)
        names.append(name)
        shares.append(value)
    if len(names) > 16:
        raise UnknownValueError(f"--carriers: {len(names)} carriers, at most 16 are possible")
    total = sum(shares)
    return tuple(Carrier(name=n, share=s / total, mnc=f"{i:02d}") for i, (n, s) in enumerate(zip(names, shares, strict=True), start=1))


def zone_info(name: str) -> ZoneInfo:
    """The time zone of that IANA name.

    Raises:
        UnknownValueError: there is none.
    """
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as err:
        raise UnknownValueError(f"--timezone: {name!r} is no IANA time zone", hint="For example Asia/Seoul.") from err
