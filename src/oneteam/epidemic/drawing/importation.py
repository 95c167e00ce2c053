"""Pictures of imported cases: totals by week, and origins by rank."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.figure import Figure

from oneteam.epidemic.drawing.sheet import BAND, HAIRLINE, INK, SERIES, caption, readable, sheet
from oneteam.epidemic.importation.posterior import OriginShare

Days = npt.NDArray[np.datetime64]
Floats = npt.NDArray[np.float64]

ORIGINS: Final = 15


def importation_chart(
    weeks: Days, observed: Floats, expected: Floats | None, forecast: Floats | None, origins: Sequence[OriginShare]
) -> Figure:
    """Totals by week, and the fifteen origins that bring most.

    Args:
        weeks: ends, shape (weeks,).
        observed: NaN where unknown, shape (weeks,).
        expected: 2.5%, 50% and 97.5% quantiles, shape (3, weeks); None where not identifiable.
        forecast: the same of forecasts made a week before; None without observed imports.
        origins: ranked; empty where not identifiable.
    """
    subtitle = "expected by origin from arrivals and prevalence" if origins else "origin not identifiable without arrivals by origin"
    figure, axes = sheet(1, 2 if origins else 1, "Imported cases", subtitle, row_in=4.2)
    total = axes[0]
    for values, colour, name in ((expected, BAND, "expected"), (forecast, SERIES[2], "forecast a week before")):
        if values is not None:
            total.fill_between(weeks, values[0], values[2], color=colour, alpha=0.18, lw=0)
            total.plot(weeks, values[1], color=colour, lw=1.5, label=f"{name}, 95%")
    if np.isfinite(observed).any():
        total.plot(weeks, observed, "o", color=INK, ms=3.5, label="found")
        total.set_ylim(0, 3.0 * max(1.0, float(np.nanmax(observed))))
    locator = AutoDateLocator()
    total.xaxis.set_major_locator(locator)
    total.xaxis.set_major_formatter(ConciseDateFormatter(locator))
    caption(total, "Cases a week")
    total.legend(frameon=False, fontsize=8, loc="upper left")
    if origins:
        _bars(axes[1], origins[:ORIGINS])
    return figure


def _bars(axes: Axes, origins: Sequence[OriginShare]) -> None:
    rows = range(len(origins))
    axes.barh(rows, [o.mean for o in origins], color=BAND, height=0.65)
    axes.hlines(rows, [o.low for o in origins], [o.high for o in origins], color=INK, lw=1.0)
    axes.set_yticks(list(rows), [readable(o.origin, str(o.rank)) for o in origins])
    axes.invert_yaxis()
    axes.yaxis.grid(visible=False)
    axes.xaxis.grid(visible=True, color=HAIRLINE, lw=0.5)
    caption(axes, "By origin, whole period, 95% intervals")
