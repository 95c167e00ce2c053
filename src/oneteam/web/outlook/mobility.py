"""Movement between places, and what privacy noise did to it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from typing import Final

import numpy as np
import numpy.typing as npt

from oneteam.epidemic.report.voice import count, percent
from oneteam.web.outlook.charts import (
    Band,
    Bar,
    BarsChart,
    Column,
    Dot,
    Flow,
    FlowsChart,
    Number,
    ScatterChart,
    Series,
    SeriesChart,
    WrittenTable,
    finite,
)
from oneteam.web.outlook.study_files import StudyFiles, Trips
from oneteam.web.outlook.words import say_in, told

PAIRS: Final = 15
FLOWS: Final = 400
DOTS: Final = 800
Z95: Final = 1.959964
LITTLE_NOISE: Final = 0.1


@dataclass(frozen=True)
class Fact:
    """A figure with its label and what it is of, already written."""

    label: str
    value: str
    note: str = ""


@lru_cache(maxsize=16)
def newest(files: StudyFiles, period: int = -1) -> Trips | None:
    """Trips between different places of one period, the newest unless another is asked for; None without."""
    trips = files.trips
    if trips is None or not trips.periods:
        return None
    found = trips.of_period(trips.periods[period])
    return found.take(found.origin != found.destination)


def periods(files: StudyFiles) -> tuple[tuple[date, date], ...]:
    """First and last days of all periods; empty without mobility."""
    return files.trips.periods if files.trips else ()


def flows_chart(files: StudyFiles, language: str, period: int = -1) -> FlowsChart | None:
    """The largest flows of a period on the map of zones."""
    now = newest(files, period)
    if now is None:
        return None
    order = np.argsort(-now.trips)[:FLOWS]
    flows = tuple(_flow(now, int(i)) for i in order)
    codes = dict.fromkeys([*files.zones, *(f.origin for f in flows), *(f.destination for f in flows)])
    known = {p.code for p in files.study.places} if files.study else set()
    return FlowsChart(
        shapes_url="/api/v1/outlook/shapes/zones",
        names={code: told(files.name(code), language) for code in codes},
        flows=flows,
        unit=say_in(language)("mobility.unit"),
        href="/place/" if known & set(codes) else "",
    )


def _flow(trips: Trips, i: int) -> Flow:
    return Flow(
        origin=str(trips.origin[i]),
        destination=str(trips.destination[i]),
        trips=float(trips.trips[i]),
        std=finite(float(trips.std[i])) or None,
        raw=finite(float(trips.raw[i])),
    )


def pairs_chart(files: StudyFiles, language: str, period: int = -1) -> BarsChart | None:
    """The largest pairs with the 95% interval that privacy noise leaves."""
    now = newest(files, period)
    if now is None:
        return None
    bars = []
    for i in np.argsort(-now.trips)[:PAIRS].tolist():
        f = _flow(now, i)
        low: Number = None if f.std is None else max(0.0, f.trips - Z95 * f.std)
        high: Number = None if f.std is None else f.trips + Z95 * f.std
        label = f"{told(files.name(f.origin), language)} → {told(files.name(f.destination), language)}"
        bars.append(Bar(id=f"{f.origin}-{f.destination}", label=label, value=f.trips, low=low, high=high))
    return BarsChart(unit=say_in(language)("mobility.unit"), kind="count", bars=tuple(bars))


def periods_chart(files: StudyFiles, language: str) -> SeriesChart | None:
    """All trips between places by period; None where there is one period only."""
    trips = files.trips
    if trips is None or len(trips.periods) < 2:
        return None
    say = say_in(language)
    totals, spread = [], []
    for at in range(len(trips.periods)):
        now = newest(files, at)
        assert now is not None
        totals.append(float(np.nansum(now.trips)))
        # Cells' noises are drawn apart, so their variances add.
        spread.append(Z95 * float(np.sqrt(np.nansum(now.std**2))))
    band = Band(
        level=95,
        low=tuple(t - s for t, s in zip(totals, spread, strict=True)),
        high=tuple(t + s for t, s in zip(totals, spread, strict=True)),
    )
    series = Series(
        id="trips", label=say("mobility.unit"), kind="fan", days=tuple(p[0] for p in trips.periods), middle=tuple(totals), bands=(band,)
    )
    return SeriesChart(unit=say("mobility.unit"), series=(series,))


def noise_chart(files: StudyFiles, language: str, period: int = -1) -> ScatterChart | None:
    """Trips as they are used against trips as released; where these are not known, the noise as a share of the trips."""
    now = newest(files, period)
    if now is None:
        return None
    say, compared = say_in(language), has_released(files, period)
    positive = now.trips > 0
    keep = np.flatnonzero(positive & np.isfinite(now.raw) & (now.raw > 0) if compared else positive & np.isfinite(now.std) & (now.std > 0))
    if not len(keep):
        return None
    # Every so many pairs in order of size: the whole range is seen, and the page stays light.
    keep = keep[np.argsort(now.trips[keep])]
    keep = keep[np.unique(np.linspace(0, len(keep) - 1, min(DOTS, len(keep))).astype(int))]
    dots = tuple(
        Dot(
            label=f"{told(files.name(str(now.origin[i])), language)} → {told(files.name(str(now.destination[i])), language)}",
            x=float(now.raw[i] if compared else now.trips[i]),
            y=float(now.trips[i] if compared else now.std[i] / now.trips[i]),
            std=finite(float(now.std[i])),
        )
        for i in keep.tolist()
    )
    x, y = ("mobility.released", "mobility.used") if compared else ("mobility.used", "mobility.relative")
    return ScatterChart(x_label=say(x), y_label=say(y), diagonal=compared, dots=dots)


def has_released(files: StudyFiles, period: int = -1) -> bool:
    """Whether numbers are known as they were released, before they were repaired."""
    now = newest(files, period)
    return now is not None and bool(np.isfinite(now.raw).any())


@lru_cache(maxsize=16)
def noise_facts(files: StudyFiles, language: str, period: int = -1) -> tuple[Fact, ...]:
    """How many pairs were released and hidden, how large the noise is, how far repairs moved it, and the error where the truth is known."""
    now = newest(files, period)
    if now is None:
        return ()
    say = say_in(language)
    zones = len({*now.origin.tolist(), *now.destination.tolist(), *files.zones})
    seen = (now.trips > 0) & ~now.hidden
    every, released = zones * (zones - 1), int(seen.sum())
    known = seen & np.isfinite(now.std) & (now.std > 0)
    facts = [Fact(say("mobility.cells"), f"{released:,}", "" if known.any() else say("mobility.public"))]
    if known.any():
        sure = now.trips[known & (now.std < LITTLE_NOISE * now.trips)].sum() / now.trips[known].sum()
        facts += [
            Fact(say("mobility.hidden"), percent(1 - released / every), say("mobility.hidden.note")),
            Fact(say("mobility.std"), count(float(np.median(now.std[known]))), say("mobility.std.note")),
            Fact(say("mobility.share"), percent(float(sure)), say("mobility.share.note")),
        ]
    both = known & np.isfinite(now.raw) & (now.raw > 0)
    if both.any():
        moved = np.median(np.abs(now.trips[both] - now.raw[both]) / now.raw[both])
        facts.append(Fact(say("mobility.error"), percent(float(moved)), say("mobility.error.note")))
    against = ((files.truth or {}).get("od") or {}).get("mean_of_periods") or {}
    before, after = against.get("raw_error"), against.get("error")
    if isinstance(before, int | float) and isinstance(after, int | float):
        facts.append(Fact(say("mobility.truth"), f"{100 * before:.0f}% → {100 * after:.0f}%", say("mobility.truth.note")))
    return tuple(facts)


@lru_cache(maxsize=16)
def places_table(files: StudyFiles, language: str, period: int = -1) -> WrittenTable | None:
    """Trips into and out of every place, those with most movement first."""
    now = newest(files, period)
    if now is None:
        return None
    say = say_in(language)
    out, into = (_totals(codes, now.trips) for codes in (now.origin, now.destination))
    columns = (
        Column(id="place", label=say("place.name")),
        Column(id="in", label=say("mobility.in"), kind="count"),
        Column(id="out", label=say("mobility.out"), kind="count"),
        Column(id="net", label=say("mobility.net"), kind="count"),
    )
    codes = sorted({*into, *out}, key=lambda c: -(into.get(c, 0.0) + out.get(c, 0.0)))
    rows = tuple(
        (
            told(files.name(c), language),
            f"{into.get(c, 0.0):,.0f}",
            f"{out.get(c, 0.0):,.0f}",
            f"{into.get(c, 0.0) - out.get(c, 0.0):+,.0f}",
        )
        for c in codes
    )
    return WrittenTable(columns=columns, rows=rows)


def _totals(codes: npt.NDArray[np.str_], trips: npt.NDArray[np.float64]) -> dict[str, float]:
    """Sum of the trips by code."""
    names, at = np.unique(codes, return_inverse=True)
    return dict(zip(names.tolist(), np.bincount(at, trips).tolist(), strict=True))
