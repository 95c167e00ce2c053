"""Scales, ticks, paths and the frame around a picture: SVG as text, coloured by the page's style sheet."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
import numpy.typing as npt

from oneteam.core.model import Text
from oneteam.epidemic.report.voice import Voice, short_day

Floats = npt.NDArray[np.float64]
Days = npt.NDArray[np.datetime64]


@dataclass(frozen=True)
class Axis:
    """Numbers to pixels.

    Args:
        low: number at the start.
        high: number at the end.
        start: pixel.
        end: pixel.
        log: equal ratios are equally long.

    >>> Axis(0.0, 10.0, 100.0, 0.0).at(2.5)
    75.0
    """

    low: float
    high: float
    start: float
    end: float
    log: bool = False

    def at(self, value: float) -> float:
        """The pixel of a number; numbers outside stay at the nearer end."""
        low, high = (math.log(self.low), math.log(self.high)) if self.log else (self.low, self.high)
        number = math.log(max(value, self.low)) if self.log else value
        share = 0.0 if high <= low else (number - low) / (high - low)
        return self.start + min(1.0, max(0.0, share)) * (self.end - self.start)

    def ticks(self, wanted: int = 4) -> list[float]:
        """Round numbers along the axis."""
        return log_ticks(self.low, self.high, wanted) if self.log else nice_ticks(self.low, self.high, wanted)


def nice_ticks(low: float, high: float, wanted: int = 4) -> list[float]:
    """Multiples of 1, 2 or 5 times a power of ten.

    >>> nice_ticks(0.0, 870.0)
    [0.0, 200.0, 400.0, 600.0, 800.0]
    """
    span = high - low
    if not span > 0:
        return [low]
    rough = span / max(1, wanted)
    power = 10.0 ** math.floor(math.log10(rough))
    step = power * next(m for m in (1, 2, 5, 10) if m * power >= rough * 0.7)
    first = math.ceil(low / step - 1e-9)
    return [round(i * step, 12) for i in range(first, math.floor(high / step + 1e-9) + 1)]


def log_ticks(low: float, high: float, wanted: int = 4) -> list[float]:
    """Powers of ten, with their 2 and 5 fold where that makes not too many.

    >>> log_ticks(80.0, 2500.0)
    [100.0, 200.0, 500.0, 1000.0, 2000.0]
    >>> log_ticks(80.0, 2500.0, 2)
    [100.0, 300.0, 1000.0]
    """
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    every = [
        [m * 10.0**p for p in range(first, last + 1) for m in steps if low * 0.999 <= m * 10.0**p <= high * 1.001]
        for steps in ((1, 2, 5), (1, 3), (1,))
    ]
    return next((ticks for ticks in every if len(ticks) <= wanted + 2), every[-1])


def brief(value: float) -> str:
    """A number on an axis.

    >>> brief(0.0), brief(1500.0), brief(2e6), brief(0.5)
    ('0', '1.5k', '2M', '0.5')
    """
    for size, letter in ((1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return f"{value / size:g}{letter}"
    return f"{value:g}"


def day_number(day: date) -> float:
    """A day as a number for an axis."""
    return float(day.toordinal())


def line(xs: Iterable[float], ys: Iterable[float]) -> str:
    """Path data of a line; it breaks where a number is missing.

    >>> line([0, 10, 20, 30], [1, 2, float("nan"), 4])
    'M0 1L10 2M30 4'
    """
    parts, pen = [], "M"
    for x, y in zip(xs, ys, strict=True):
        if not math.isfinite(y):
            pen = "M"
            continue
        parts.append(f"{pen}{x:.4g} {y:.4g}")
        pen = "L"
    return "".join(parts)


def band(xs: Sequence[float], low: Sequence[float], high: Sequence[float]) -> str:
    """Path data of the area between two lines; the points that are not finite are left out.

    >>> band([0, 1], [2, 2], [3, 4])
    'M0 2L1 2L1 4L0 3Z'
    """
    kept = [(x, a, b) for x, a, b in zip(xs, low, high, strict=True) if math.isfinite(a) and math.isfinite(b)]
    if not kept:
        return ""
    points = [(x, a) for x, a, _ in kept] + [(x, b) for x, _, b in reversed(kept)]
    return "M" + "L".join(f"{x:.4g} {y:.4g}" for x, y in points) + "Z"


def month_marks(first: date, last: date, wanted: int = 5) -> list[date]:
    """Days to mark on an axis: firsts of months, or evenly spaced weeks where there are few months.

    >>> [day.isoformat() for day in month_marks(date(2022, 1, 20), date(2022, 7, 1))]
    ['2022-02-01', '2022-03-01', '2022-04-01', '2022-05-01', '2022-06-01', '2022-07-01']
    """
    firsts = []
    day = date(first.year, first.month, 1)
    while day <= last:
        if day >= first:
            firsts.append(day)
        day = date(day.year + day.month // 12, day.month % 12 + 1, 1)
    if len(firsts) >= 3:
        every = next((n for n in (1, 2, 3, 6, 12) if len(firsts) <= (wanted + 1) * n), 12)
        return [d for d in firsts if (d.month - 1) % every == 0]
    step = max(7, 7 * math.ceil((last - first).days / 7 / wanted))
    return [last - timedelta(days=n) for n in range(0, (last - first).days + 1, step)][::-1]


def frame(x: Axis, y: Axis, voice: Voice, *, days: Sequence[date] = (), unit: str = "", ticks: int = 4) -> str:
    """Horizontal hairlines with numbers, and dates below."""
    parts = []
    for value in y.ticks(ticks):
        at = y.at(value)
        parts.append(f'<path class="grid" d="M{x.start:.4g} {at:.4g}H{x.end:.4g}"/>')
        parts.append(f'<text class="tick" x="{x.start - 5:.4g}" y="{at + 4:.4g}" text-anchor="end">{brief(value)}{unit}</text>')
    for day in days:
        at = x.at(day_number(day))
        anchor = "end" if at > x.end - 14 else "start" if at < x.start + 10 else "middle"
        parts.append(f'<path class="mark" d="M{at:.4g} {y.start:.4g}v4"/>')
        parts.append(f'<text class="tick" x="{at:.4g}" y="{y.start + 17:.4g}" text-anchor="{anchor}">{voice.drawn(short_day(day))}</text>')
    parts.append(f'<path class="base" d="M{x.start:.4g} {y.start:.4g}H{x.end:.4g}"/>')
    return "".join(parts)


@dataclass(frozen=True)
class Picture:
    """A drawing without its frame.

    Args:
        width: of the view box.
        height: of the view box.
        body: what is drawn.
    """

    width: float
    height: float
    body: str


@dataclass(frozen=True)
class Table:
    """The numbers of a picture.

    Args:
        head: of the columns.
        rows: cells as HTML.
        numeric: which columns are numbers, to align them.
    """

    head: Sequence[Text]
    rows: Sequence[Sequence[str]]
    numeric: Sequence[bool] = ()

    def html(self, voice: Voice, caption: Text) -> str:
        """As an HTML table that scrolls sideways where it is too wide."""
        kinds = [' class="n"' if i < len(self.numeric) and self.numeric[i] else "" for i in range(len(self.head))]
        head = "".join(f'<th scope="col"{k}>{voice.text(h)}</th>' for h, k in zip(self.head, kinds, strict=True))
        rows = "".join(
            f'<tr><th scope="row"{kinds[0]}>{row[0]}</th>'
            + "".join(f"<td{k}>{cell}</td>" for cell, k in zip(row[1:], kinds[1:], strict=True))
            + "</tr>"
            for row in self.rows
        )
        return (
            f'<div class="scroll" tabindex="0"><table><caption>{voice.text(caption)}</caption>'
            f"<thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>"
        )


def svg(picture: Picture, voice: Voice, key: str, title: Text, description: Text) -> str:
    """An SVG element that says what it shows."""
    return (
        f'<svg role="img" aria-labelledby="{key}-t {key}-d" viewBox="0 0 {picture.width:g} {picture.height:g}" '
        f'xmlns="http://www.w3.org/2000/svg"><title id="{key}-t">{voice.plain(title)}</title>'
        f'<desc id="{key}-d">{voice.plain(description)}</desc>{picture.body}</svg>'
    )


def figure(picture: Picture, voice: Voice, key: str, title: Text, description: Text, table: Table | None, *, kind: str = "") -> str:
    """A picture with its heading, what it shows, and its numbers as a table that unfolds."""
    numbers = ""
    if table is not None:
        more = voice.text(Text(en="The numbers", ko="수치 표"))
        numbers = f"<details><summary>{more}</summary>{table.html(voice, title)}</details>"
    return (
        f'<figure class="{kind}"><h3>{voice.text(title)}</h3>{svg(picture, voice, key, title, description)}'
        f"<figcaption>{voice.text(description)}</figcaption>{numbers}</figure>"
    )
