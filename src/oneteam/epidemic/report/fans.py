"""Fan charts: what was reported, and the weeks ahead with their intervals; and how earlier forecasts did."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

import numpy as np
import numpy.typing as npt

from oneteam.epidemic.hub.levels import LEVELS
from oneteam.epidemic.report.study import HIGH, LOW, MIDDLE, Place, Study
from oneteam.epidemic.report.svg import Axis, Picture, band, day_number, frame, line, month_marks
from oneteam.epidemic.report.voice import Voice

Floats = npt.NDArray[np.float64]

WEEKS_BACK: Final = 14
LOG_FROM: Final = 5.0
BANDS: Final = (("b95", LEVELS.index(0.025), LEVELS.index(0.975)), ("b80", 3, 19), ("b50", LEVELS.index(0.25), LEVELS.index(0.75)))


@dataclass(frozen=True)
class Box:
    """Size of a chart and its margins."""

    width: float
    height: float
    left: float = 40.0
    right: float = 10.0
    top: float = 8.0
    bottom: float = 22.0

    def x(self, low: float, high: float) -> Axis:
        """The horizontal axis."""
        return Axis(low, high, self.left, self.width - self.right)

    def y(self, low: float, high: float, *, log: bool = False) -> Axis:
        """The vertical axis."""
        return Axis(low, high, self.height - self.bottom, self.top, log=log)


LARGE: Final = Box(520, 270, 46)
SMALL: Final = Box(210, 124, 34, 8)


@dataclass(frozen=True)
class Seen:
    """Known weeks of a place up to a date: their ends and counts."""

    days: list[date]
    values: list[float]


def recent(study: Study, code: str, weeks: int) -> Seen:
    """The newest weeks of a place that were known on the reference date."""
    return Seen(study.known.weeks[-weeks:].tolist(), study.reported(code)[-weeks:].tolist())


def fan_picture(study: Study, place: Place, box: Box, voice: Voice, *, weeks: int = WEEKS_BACK) -> Picture:
    """A place's reported weeks, its forecast with 50, 80 and 95% intervals, and its threshold."""
    seen = recent(study, place.code, weeks)
    ahead = [(h, q) for h in study.horizons if (q := study.quantiles(study.reference_date, h, place.code)) is not None]
    days = [study.reference_date + timedelta(days=7 * h) for h, _ in ahead]
    limit = study.limits.get(place.code)
    known = [v for v in seen.values if np.isfinite(v)]
    highest = max([*known, *(float(q[HIGH]) for _, q in ahead), limit or 0.0, 1.0])
    lowest = min([*known, *(float(q[LOW]) for _, q in ahead)], default=0.0)
    # A logarithm has no place for zeros, and small counts are read better as they are.
    log = lowest >= LOG_FROM and highest / lowest > 25
    y = box.y(max(1.0, lowest * 0.8) if log else 0.0, highest * 1.08, log=log)
    x = box.x(day_number(seen.days[0]), day_number(days[-1] if days else seen.days[-1]))
    parts = [
        frame(
            x,
            y,
            voice,
            days=month_marks(seen.days[0], days[-1] if days else seen.days[-1], 5 if box is LARGE else 2),
            ticks=5 if box is LARGE else 2,
        )
    ]
    if limit is not None:
        parts.append(f'<path class="limit" d="M{x.start:.4g} {y.at(limit):.4g}H{x.end:.4g}"/>')
    xs = [x.at(day_number(d)) for d in days]
    # The fan opens at the last report, where nothing is uncertain any more.
    origin = [(x.at(day_number(d)), y.at(v)) for d, v in zip(seen.days, seen.values, strict=True) if np.isfinite(v)][-1:]
    for name, low, high in BANDS:
        lows = [*(p[1] for p in origin), *(y.at(float(q[low])) for _, q in ahead)]
        highs = [*(p[1] for p in origin), *(y.at(float(q[high])) for _, q in ahead)]
        parts.append(f'<path class="{name}" d="{band([*(p[0] for p in origin), *xs], lows, highs)}"/>')
    middle = [*(p[1] for p in origin), *(y.at(float(q[MIDDLE])) for _, q in ahead)]
    parts.append(f'<path class="median" d="{line([*(p[0] for p in origin), *xs], middle)}"/>')
    parts.append(_reported(seen, x, y, radius=3.0 if box is LARGE else 1.9))
    return Picture(box.width, box.height, "".join(parts))


def _reported(seen: Seen, x: Axis, y: Axis, *, radius: float) -> str:
    xs = [x.at(day_number(d)) for d in seen.days]
    ys = [y.at(v) if np.isfinite(v) else float("nan") for v in seen.values]
    dots = "".join(f'<circle class="dot" cx="{a:.4g}" cy="{b:.4g}" r="{radius}"/>' for a, b in zip(xs, ys, strict=True) if np.isfinite(b))
    return f'<path class="seen" d="{line(xs, ys)}"/>{dots}'


@dataclass(frozen=True)
class PastForecast:
    """A forecast and what happened: end of its week, quantiles, count (NaN where not known yet)."""

    day: date
    quantiles: Floats
    observed: float

    @property
    def held(self) -> bool:
        """Whether the 95% interval held what happened."""
        return bool(self.quantiles[LOW] <= self.observed <= self.quantiles[HIGH])


def past_forecasts(study: Study, place: Place) -> list[PastForecast]:
    """All forecasts of a place at the horizon that is asked about, whose outcome is known."""
    observed = dict(zip(study.truth.weeks.tolist(), study.series(place.code).tolist(), strict=True))
    found = []
    for day in study.dates:
        quantiles = study.quantiles(day, study.horizon, place.code)
        end = day + timedelta(days=7 * study.horizon)
        if quantiles is not None and np.isfinite(observed.get(end, np.nan)):
            found.append(PastForecast(end, quantiles, observed[end]))
    return found


def past_picture(past: Sequence[PastForecast], box: Box, voice: Voice) -> Picture:
    """Bars: 95% and 50% intervals as they were forecast; dots: what happened."""
    values = [v for p in past for v in (float(p.quantiles[LOW]), float(p.quantiles[HIGH]), p.observed)]
    lowest, highest = min(values), max([*values, 1.0])
    log = lowest >= LOG_FROM and highest / lowest > 12
    y = box.y(max(1.0, lowest * 0.85) if log else 0.0, highest * 1.1, log=log)
    first, last = past[0].day, past[-1].day
    x = box.x(day_number(first) - 4, day_number(last) + 4)
    parts = [frame(x, y, voice, days=month_marks(first, last))]
    for p in past:
        at = x.at(day_number(p.day))
        for name, low, high in (("bar95", LOW, HIGH), ("bar50", LEVELS.index(0.25), LEVELS.index(0.75))):
            parts.append(f'<path class="{name}" d="M{at:.4g} {y.at(float(p.quantiles[low])):.4g}V{y.at(float(p.quantiles[high])):.4g}"/>')
    xs = [x.at(day_number(p.day)) for p in past]
    parts.append(f'<path class="seen" d="{line(xs, [y.at(p.observed) for p in past])}"/>')
    for at, p in zip(xs, past, strict=True):
        parts.append(f'<circle class="{"dot" if p.held else "dot missed"}" cx="{at:.4g}" cy="{y.at(p.observed):.4g}" r="3.6"/>')
    return Picture(box.width, box.height, "".join(parts))
