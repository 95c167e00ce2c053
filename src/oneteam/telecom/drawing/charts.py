"""Charts of measures that have no place: lines over time, bars by country. Pure drawing: numbers in, a figure out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from oneteam.telecom.drawing import canvas
from oneteam.telecom.drawing.canvas import Caption, Floats, sheet, write
from oneteam.telecom.drawing.lettering import Lettering, number

LINES: Final = 6
"""So many lines can be told apart."""
LINE_COLOURS: Final = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#7a5c00")
"""After M. Okabe and K. Ito, Color Universal Design (2008): told apart with any kind of colour vision; yellow darkened for lines."""

_WIDTH_IN: Final = 10.0


def line_chart(
    moments: npt.NDArray[np.datetime64], lines: Mapping[str, Floats], caption: Caption, lettering: Lettering, *, of_day: bool = False
) -> Figure:
    """Lines over time, each named at its right end.

    Args:
        moments: the times, ascending, (n,).
        lines: by name, (n,); NaN leaves a gap.
        caption: the words.
        lettering: language and typefaces.
        of_day: all moments lie in one day: the axis counts its hours.
    """
    figure, axes = _plot_area(5.6, caption, lettering, right_in=1.4 if len(lines) > 1 else 0.45)
    hours = (moments - moments.astype("datetime64[D]")).astype("timedelta64[h]").astype(np.int64)
    x = hours if of_day else moments.astype("datetime64[s]")
    ends = []
    for colour, (name, values) in zip(LINE_COLOURS, lines.items(), strict=False):
        axes.plot(x, values, color=colour, lw=1.8, marker="o" if len(x) <= 45 else None, ms=3.5, solid_capstyle="round")
        if len(lines) == 1:
            axes.fill_between(x, values, 0, color=colour, alpha=0.08, lw=0)
        known = np.flatnonzero(np.isfinite(values))
        if len(known):
            ends.append((float(values[known[-1]]), name, colour))
    axes.set_ylim(bottom=min(0.0, *(float(np.nanmin(v)) for v in lines.values())))
    if of_day:
        axes.xaxis.set_major_locator(MaxNLocator(nbins=12, integer=True))
        axes.set_xlabel(lettering.word("hour"), family=list(lettering.families), color=canvas.MUTED_INK, fontsize=9)
    else:
        locator = AutoDateLocator(minticks=3, maxticks=9)
        axes.xaxis.set_major_locator(locator)
        formats = ["%Y", "%Y-%m", "%m-%d", "%H:%M", "%H:%M", "%S"]
        starts = ["", "%Y", "%Y-%m" if np.ptp(x) > np.timedelta64(120, "D") else "%m-%d", "%m-%d", "%H:%M", "%H:%M"]
        axes.xaxis.set_major_formatter(ConciseDateFormatter(locator, formats=formats, zero_formats=starts, show_offset=False))
    if len(lines) > 1:
        _name_ends(axes, ends, lettering)
    return figure


def bar_chart(names: Sequence[str], values: Floats, caption: Caption, lettering: Lettering) -> Figure:
    """Horizontal bars in the given order, each with its value.

    Args:
        names: one per bar.
        values: one per bar.
        caption: the words.
        lettering: language and typefaces.
    """
    figure, axes = _plot_area(1.9 + 0.3 * len(names), caption, lettering, right_in=0.9, left_in=1.3)
    y = np.arange(len(names))
    axes.barh(y, values, height=0.72, color=canvas.ACCENT)
    axes.set(ylim=(len(names) - 0.4, -0.6), yticks=[])
    axes.yaxis.grid(visible=False)
    axes.xaxis.grid(visible=True, color=canvas.HAIRLINE, lw=0.5)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: number(value)))
    axes.tick_params(axis="y", length=0)
    for at, name, value in zip(y, names, values, strict=True):
        axes.annotate(
            name, (0, at), (-6, 0), textcoords="offset points", ha="right", va="center", fontsize=9, family=list(lettering.families)
        )
        axes.annotate(
            number(float(value)), (value, at), (4, 0), textcoords="offset points", va="center", fontsize=8.5, color=canvas.MUTED_INK
        )
    return figure


def _plot_area(height_in: float, caption: Caption, lettering: Lettering, *, right_in: float, left_in: float = 0.95) -> tuple[Figure, Axes]:
    figure = sheet(_WIDTH_IN, height_in, caption, lettering)
    bottom, top = 0.85, 1.35
    write(
        figure,
        0.45 / _WIDTH_IN,
        1 - 1.1 / height_in,
        lettering.heading(caption.unit),
        lettering,
        size=9,
        color=canvas.MUTED_INK,
        va="center",
    )
    box = (left_in / _WIDTH_IN, bottom / height_in, 1 - (left_in + right_in) / _WIDTH_IN, 1 - (bottom + top) / height_in)
    axes = figure.add_axes(box)
    for name, spine in axes.spines.items():
        spine.set(visible=name == "bottom", color=canvas.MUTED_INK, linewidth=0.8)
    axes.yaxis.grid(visible=True, color=canvas.HAIRLINE, lw=0.5)
    axes.set_axisbelow(True)
    axes.tick_params(colors=canvas.MUTED_INK, labelsize=8.5, length=3)
    axes.tick_params(axis="y", length=0)
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: number(value)))
    return figure, axes


def _name_ends(axes: Axes, ends: Sequence[tuple[float, str, str]], lettering: Lettering) -> None:
    """Names at the ends of lines, pushed apart where they would overlap."""
    low, high = axes.get_ylim()
    least = (high - low) * 0.052
    at = -np.inf
    for value, name, colour in sorted(ends):
        at = max(value, at + least)
        share = (at - low) / (high - low)
        write(axes, 1.015, share, name, lettering, transform=axes.transAxes, color=colour, size=9, weight="bold", va="center")
