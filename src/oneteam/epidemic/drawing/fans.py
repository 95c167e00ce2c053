"""Fan charts of ensembles: the median and the middle 50% and 90% over time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date

import numpy as np
import numpy.typing as npt
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from oneteam.epidemic.drawing.sheet import SERIES, caption, sheet

Counts = npt.NDArray[np.int32]


def fan_charts(dates: Sequence[date], runs: Mapping[str, Mapping[str, Counts]], title: str, subtitle: str) -> Figure:
    """One panel for each quantity, one fan in it for each run.

    Args:
        dates: the days, (T,).
        runs: by name of the run and of the quantity, (members, T).
        title: of the sheet.
        subtitle: below it.
    """
    quantities = list(next(iter(runs.values())))
    columns = 2 if len(quantities) > 1 else 1
    figure, axes = sheet(-(-len(quantities) // columns), columns, title, subtitle, row_in=2.7)
    days = np.array(dates, "datetime64[D]")
    for axis, name in zip(axes, quantities, strict=False):
        for colour, (run, series) in zip(SERIES, runs.items(), strict=False):
            low, lower, middle, upper, high = np.quantile(series[name], (0.05, 0.25, 0.5, 0.75, 0.95), axis=0)
            axis.fill_between(days, low, high, color=colour, alpha=0.15, lw=0)
            axis.fill_between(days, lower, upper, color=colour, alpha=0.3, lw=0)
            axis.plot(days, middle, color=colour, lw=1.5, label=run or None)
        axis.set_ylim(bottom=0)
        axis.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
        locator = AutoDateLocator(minticks=3, maxticks=7)
        axis.xaxis.set_major_locator(locator)
        axis.xaxis.set_major_formatter(ConciseDateFormatter(locator))
        caption(axis, f"{name} per day" if name not in {"hospital", "infectious"} else f"{name}, people at the end of the day")
    for axis in axes[len(quantities) :]:
        axis.set_visible(False)
    if len(runs) > 1:
        axes[0].legend(frameon=False, fontsize=8, loc="upper left")
    return figure
