"""Reproduction numbers, imported cases, scenarios and scores as pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np

from oneteam.core.model import Text
from oneteam.epidemic.report.fans import LARGE, Box
from oneteam.epidemic.report.study import Imports, RtSeries, WhatIf
from oneteam.epidemic.report.svg import Axis, Picture, band, day_number, frame, line, month_marks
from oneteam.epidemic.report.voice import Voice

SQUARE: Final = Box(520, 300, 46, top=12, bottom=40)
DAYS_BACK: Final = 120
ROW: Final = 19.0
KEYED: Final = Box(520, 286, 46, top=32)
"""With room for a key above."""
NOMINAL: Final = ((50, "coverage_50"), (80, "coverage_80"), (95, "coverage_95"))


def rt_picture(series: RtSeries, voice: Voice, box: Box = LARGE) -> Picture:
    """Median and 95% interval by day, and the line at 1."""
    recent = slice(-DAYS_BACK, None)
    days, low, median, high = series.days[recent], series.low[recent], series.median[recent], series.high[recent]
    first, last = days[0].item(), days[-1].item()
    x = box.x(day_number(first), day_number(last))
    top = float(np.clip(np.nanmax(high), 1.3, 4.0))
    bottom = float(np.clip(np.nanmin(low), 0.0, 0.8))
    y = box.y(np.floor(bottom * 10) / 10, np.ceil(top * 10) / 10)
    xs = [x.at(day_number(d)) for d in days.tolist()]
    parts = [
        frame(x, y, voice, days=month_marks(first, last)),
        f'<path class="limit" d="M{x.start:.4g} {y.at(1.0):.4g}H{x.end:.4g}"/>',
        f'<path class="b80" d="{band(xs, [y.at(v) for v in low], [y.at(v) for v in high])}"/>',
        f'<path class="median" d="{line(xs, [y.at(v) for v in median])}"/>',
    ]
    return Picture(box.width, box.height, "".join(parts))


def interval_picture(
    rows: Sequence[tuple[Text, float, float, float]], voice: Voice, *, reference: float | None = None, zero: bool = False, unit: str = ""
) -> Picture:
    """A dot with its 95% interval for each row, in the order given.

    Args:
        rows: name, low, middle, high.
        voice: languages.
        reference: a line to compare with.
        zero: the axis starts at 0.
        unit: after the numbers of the axis.
    """
    width, left, top = 520.0, 128.0, 10.0
    bottom = top + ROW * len(rows)
    every = [v for _, *numbers in rows for v in numbers if np.isfinite(v)] + ([reference] if reference is not None else [])
    low, high = (0.0 if zero else min(every)), max(every)
    pad = 0.06 * (high - low or 1.0)
    x = Axis(low if zero else low - pad, high + pad, left, width - 14)
    parts = []
    for value in x.ticks(5):
        at = x.at(value)
        parts.append(f'<path class="grid" d="M{at:.4g} {top:.4g}V{bottom:.4g}"/>')
        parts.append(f'<text class="tick" x="{at:.4g}" y="{bottom + 15:.4g}" text-anchor="middle">{value:g}{unit}</text>')
    if reference is not None:
        parts.append(f'<path class="limit" d="M{x.at(reference):.4g} {top:.4g}V{bottom:.4g}"/>')
    for i, (name, start, middle, end) in enumerate(rows):
        at = top + ROW * (i + 0.5)
        parts.append(f'<text class="name" x="{left - 8:.4g}" y="{at + 4:.4g}" text-anchor="end">{voice.drawn(name)}</text>')
        if not np.isfinite(middle):
            continue
        side = (
            "above" if reference is not None and start > reference else "below" if reference is not None and end < reference else "across"
        )
        parts.append(f'<path class="range {side}" d="M{x.at(start):.4g} {at:.4g}H{x.at(end):.4g}"/>')
        parts.append(f'<circle class="point {side}" cx="{x.at(middle):.4g}" cy="{at:.4g}" r="4"/>')
    return Picture(width, bottom + 22, "".join(parts))


def imports_picture(imports: Imports, voice: Voice, box: Box = LARGE) -> Picture:
    """Weekly imports found, and the 95% interval forecast a week before."""
    first, last = imports.weeks[0].item(), imports.weeks[-1].item()
    top = 1.12 * float(np.nanmax(np.append(imports.observed, 1.0)))
    known = np.isfinite(imports.quantiles[:, 1])
    ahead = known & ~np.isfinite(imports.observed)
    top = max([top, *imports.quantiles[ahead, 2].tolist()])
    x, y = box.x(day_number(first), day_number(last)), box.y(0.0, top)
    xs = [x.at(day_number(d)) for d in imports.weeks.tolist()]
    clipped = np.minimum(imports.quantiles, top)
    lows, highs = ([y.at(v) if np.isfinite(v) else float("nan") for v in clipped[:, i]] for i in (0, 2))
    middle = [y.at(v) if np.isfinite(v) else float("nan") for v in clipped[:, 1]]
    seen = [y.at(v) if np.isfinite(v) else float("nan") for v in imports.observed]
    dots = "".join(f'<circle class="dot" cx="{a:.4g}" cy="{b:.4g}" r="2.6"/>' for a, b in zip(xs, seen, strict=True) if np.isfinite(b))
    parts = [
        frame(x, y, voice, days=month_marks(first, last)),
        f'<path class="b80" d="{band(xs, lows, highs)}"/>',
        f'<path class="median thin" d="{line(xs, middle)}"/>',
        f'<path class="seen" d="{line(xs, seen)}"/>{dots}',
    ]
    return Picture(box.width, box.height, "".join(parts))


def what_if_picture(found: WhatIf, voice: Voice, box: Box = KEYED) -> Picture:
    """Infections by day without and with the measures: medians, 50% and 90% of the simulations."""
    first, last = found.days[0].item(), found.days[-1].item()
    top = 1.05 * max(float(c[:, 4].max()) for c in found.curves)
    x, y = box.x(day_number(first), day_number(last)), box.y(0.0, max(top, 1.0))
    xs = [x.at(day_number(d)) for d in found.days.tolist()]
    parts = [frame(x, y, voice, days=month_marks(first, last))]
    for name, curve in zip(("without", "within"), found.curves, strict=True):
        at = np.vectorize(y.at)(curve)
        parts.append(f'<path class="{name} wide" d="{band(xs, at[:, 0], at[:, 4])}"/>')
        parts.append(f'<path class="{name} narrow" d="{band(xs, at[:, 1], at[:, 3])}"/>')
        parts.append(f'<path class="{name} middle" d="{line(xs, at[:, 2])}"/>')
    names = {"without": Text(en="without", ko="조치 없음"), "within": Text(en="with the measure", ko="조치 시행")}
    for i, (name, text) in enumerate(names.items()):
        at = x.start + 150 * i
        parts.append(f'<path class="{name} middle" d="M{at:.4g} 10h22"/>')
        parts.append(f'<text class="label {name}" x="{at + 28:.4g}" y="14">{voice.drawn(text)}</text>')
    return Picture(box.width, box.height, "".join(parts))


def reliability_picture(rows: Sequence[Mapping[str, Any]], voice: Voice, box: Box = SQUARE) -> Picture:
    """Forecast probability against how often it happened, with 95% intervals; a larger point stands for more forecasts."""
    x, y = box.x(0.0, 1.0), box.y(0.0, 1.0)
    parts = []
    for tick in (0.0, 0.25, 0.5, 0.75, 1.0):
        parts.append(f'<path class="grid" d="M{x.start:.4g} {y.at(tick):.4g}H{x.end:.4g}"/>')
        parts.append(f'<text class="tick" x="{x.start - 5:.4g}" y="{y.at(tick) + 4:.4g}" text-anchor="end">{tick:.0%}</text>')
        parts.append(f'<text class="tick" x="{x.at(tick):.4g}" y="{y.start + 16:.4g}" text-anchor="middle">{tick:.0%}</text>')
    parts.append(f'<path class="limit" d="M{x.start:.4g} {y.start:.4g}L{x.end:.4g} {y.end:.4g}"/>')
    most = max((int(r["tasks"]) for r in rows), default=1)
    for r in rows:
        at = x.at(float(r["forecast"]))
        parts.append(f'<path class="range across" d="M{at:.4g} {y.at(float(r["low"])):.4g}V{y.at(float(r["high"])):.4g}"/>')
        radius = 3 + 6 * (int(r["tasks"]) / most) ** 0.5
        parts.append(f'<circle class="point" cx="{at:.4g}" cy="{y.at(float(r["observed"])):.4g}" r="{radius:.3g}"/>')
    words = voice.drawn(Text(en="forecast chance", ko="예측 확률"))
    parts.append(f'<text class="tick" x="{x.end:.4g}" y="{y.start + 32:.4g}" text-anchor="end">{words}</text>')
    return Picture(box.width, box.height, "".join(parts))


def coverage_picture(row: Mapping[str, Any], voice: Voice) -> Picture:
    """How much of what happened fell into intervals, beside how much should have."""
    width, left, top, height = 520.0, 128.0, 8.0, 44.0
    x = Axis(0.0, 1.0, left, width - 50)
    parts = []
    for i, (nominal, column) in enumerate(NOMINAL):
        at = top + height * i
        name = voice.drawn(Text(en=f"{nominal}% interval", ko=f"{nominal}% 구간"))
        held = float(row[column])
        parts.append(f'<text class="name" x="{left - 8:.4g}" y="{at + 21:.4g}" text-anchor="end">{name}</text>')
        parts.append(f'<rect class="rail" x="{left:.4g}" y="{at + 9:.4g}" width="{x.end - left:.4g}" height="16" rx="3"/>')
        parts.append(f'<rect class="held" x="{left:.4g}" y="{at + 9:.4g}" width="{x.at(held) - left:.4g}" height="16" rx="3"/>')
        parts.append(f'<path class="aim" d="M{x.at(nominal / 100):.4g} {at + 4:.4g}v26"/>')
        parts.append(f'<text class="name" x="{width - 44:.4g}" y="{at + 21:.4g}">{held:.0%}</text>')
    return Picture(width, top + height * len(NOMINAL), "".join(parts))
