"""Pictures of the reproduction number: a panel for each place, cases behind it."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.figure import Figure

from oneteam.epidemic.drawing.sheet import BAND, HAIRLINE, MUTED, SERIES, caption, readable, sheet
from oneteam.epidemic.hub.daily import DailySeries
from oneteam.epidemic.reproduction.cori import RtPosterior
from oneteam.epidemic.reproduction.filtered import FilteredRt
from oneteam.epidemic.reproduction.serial_interval import SerialInterval

Days = npt.NDArray[np.datetime64]

PANELS: Final = 18
DAYS_SHOWN: Final = 180


def rt_chart(series: DailySeries, posterior: RtPosterior, serial: SerialInterval, by_week: tuple[Days, FilteredRt] | None = None) -> Figure:
    """Median and 95% interval by day over the last half year, for the places with most cases (at most 18).

    Args:
        series: daily counts.
        posterior: of Cori and others.
        serial: the serial interval used.
        by_week: week ends and the filter's estimates, drawn as points with 95% intervals; None for none.
    """
    recent = slice(max(0, len(series.days) - DAYS_SHOWN), None)
    order = np.argsort(-np.nansum(series.values[recent], axis=0), kind="stable")[:PANELS]
    columns = min(3, len(order))
    rows = -(-len(order) // columns)
    about = f"to {series.days[-1]}; window {posterior.window_d} d; serial interval {serial.mean_d:g} ± {serial.sd_d:g} d"
    if by_week:
        subtitle = f"{about}; band: 95% of the posterior; points: from the filter, 95%; grey: cases"
    else:
        subtitle = f"{about} ({serial.source}); band: 95% of the posterior; grey: cases"
    figure, axes = sheet(rows, columns, "Effective reproduction number Rt", subtitle, row_in=1.9, width_in=11.0)
    days = series.days[recent]
    low, middle, high = (posterior.quantile(level)[recent] for level in (0.025, 0.5, 0.975))
    top = float(np.clip(np.nanquantile(high, 0.98), 1.5, 5.0)) if np.isfinite(high).any() else 2.0
    for panel, place in zip(axes, order, strict=False):
        cases = panel.twinx()
        cases.bar(days, series.values[recent, place], width=1.0, color=HAIRLINE, zorder=0)
        cases.set_axis_off()
        panel.set_zorder(cases.get_zorder() + 1)
        panel.patch.set_visible(False)
        panel.fill_between(days, low[:, place], high[:, place], color=BAND, alpha=0.25, lw=0)
        panel.plot(days, middle[:, place], color=BAND, lw=1.4)
        if by_week:
            _points(panel, by_week, place, days[0])
        panel.axhline(1.0, color=SERIES[1], lw=0.8, ls="--")
        panel.set_ylim(0, top)
        locator = AutoDateLocator()
        panel.xaxis.set_major_locator(locator)
        panel.xaxis.set_major_formatter(ConciseDateFormatter(locator))
        panel.tick_params(colors=MUTED)
        caption(panel, readable(series.names[place], series.locations[place]))
    for panel in axes[len(order) :]:
        panel.set_axis_off()
    return figure


def _points(panel: Axes, by_week: tuple[Days, FilteredRt], place: int, first: np.datetime64) -> None:
    weeks, found = by_week
    shown = weeks >= first
    low, middle, high = (found.quantile(level)[shown, place] for level in (0.025, 0.5, 0.975))
    panel.vlines(weeks[shown], low, high, color=SERIES[2], lw=1.0, alpha=0.7)
    panel.plot(weeks[shown], middle, "o", color=SERIES[2], ms=2.5)
