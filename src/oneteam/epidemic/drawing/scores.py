"""Pictures of scores: where a model beats the baseline, whether its intervals hold, whether its probabilities are right."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from oneteam.epidemic.drawing.sheet import BAND, HAIRLINE, MUTED, SERIES, caption, label, sheet
from oneteam.epidemic.scoring.summary import ScoreRow
from oneteam.stats.scoring import Reliability

Floats = npt.NDArray[np.float64]


def relative_chart(by_horizon: pa.Table, by_week: pa.Table, subtitle: str, *, relative: bool) -> Figure:
    """Score by horizon and by week, one line for each model; below 1 is better than the baseline.

    Args:
        by_horizon: of `broken_down`.
        by_week: of `broken_down`.
        subtitle: of what, over which period.
        relative: against the baseline; else mean WIS.
    """
    column = "relative_wis" if relative else "wis"
    words = "WIS relative to the baseline" if relative else "mean WIS"
    figure, (left, right) = sheet(1, 2, "Scores by horizon and week", subtitle)
    for axes, table, key, x in ((left, by_horizon, "horizon", "horizon [weeks]"), (right, by_week, "reference_date", "reference date")):
        for number, model in enumerate(_models(table)):
            rows = [row for row in table.to_pylist() if row["model"] == model]
            colour = SERIES[number % len(SERIES)]
            axes.plot([r[key] for r in rows], [r[column] for r in rows], "o-", color=colour, lw=1.6, ms=3.5, label=model)
        if relative:
            axes.axhline(1.0, color=MUTED, lw=0.9, ls="--")
        axes.set_ylim(bottom=0)
        caption(axes, words)
        label(axes, x=x)
    left.set_xticks(sorted(set(by_horizon["horizon"].to_pylist())))
    right.tick_params(axis="x", rotation=30)
    left.legend(frameon=False, fontsize=8, loc="lower right")
    return figure


def _models(table: pa.Table) -> list[str]:
    return list(dict.fromkeys(table["model"].to_pylist()))


def calibration_chart(rows: Sequence[ScoreRow], pit: Mapping[str, Floats], subtitle: str) -> Figure:
    """Coverage against nominal, and the histogram of the probability integral transform.

    Args:
        rows: one for each model.
        pit: shares by tenth, by model.
        subtitle: of what.
    """
    figure, (left, right) = sheet(1, 2, "Calibration", subtitle)
    nominal = [50, 80, 95]
    left.plot([45, 100], [45, 100], color=MUTED, lw=0.9, ls="--")
    names = list(pit)
    for number, name in enumerate(names):
        row = next(r for r in rows if r.model == name)
        colour = SERIES[number % len(SERIES)]
        held = [100 * row.coverage_50, 100 * row.coverage_80, 100 * row.coverage_95]
        left.plot(nominal, held, "o-", color=colour, lw=1.6, ms=5, label=name)
        edges = np.linspace(0, 1, len(pit[name]) + 1)
        right.stairs(pit[name], edges, color=colour, lw=1.6, label=name)
    right.axhline(0.1, color=MUTED, lw=0.9, ls="--")
    right.set_ylim(bottom=0)
    left.set_xticks(nominal)
    caption(left, "Observations inside the central interval [%]")
    label(left, x="interval should hold [%]")
    caption(right, "Probability integral transform: flat when calibrated")
    label(right, x="place of the observation within the forecast")
    left.legend(frameon=False, fontsize=8)
    return figure


def reliability_chart(curves: Mapping[str, Reliability], subtitle: str) -> Figure:
    """Forecast probability against observed frequency, with 95% intervals; the area of a point grows with its forecasts."""
    figure, (axes,) = sheet(1, 1, "Reliability of threshold probabilities", subtitle, width_in=6.5, row_in=5.2)
    _diagram(axes, curves)
    caption(axes, "How often what was forecast with a probability happened")
    label(axes, x="forecast probability", y="observed frequency")
    axes.legend(frameon=False, fontsize=8, loc="upper left")
    return figure


def category_chart(curves: Mapping[str, Mapping[str, Reliability]], subtitle: str) -> Figure:
    """Reliability of each rate-change category, a panel each.

    Args:
        curves: by model and category.
        subtitle: of what.
    """
    categories = list(next(iter(curves.values())))
    figure, panels = sheet(2, 3, "Reliability of rate-change categories", subtitle, width_in=9.5, row_in=3.2)
    for axes, category in zip(panels, categories, strict=False):
        _diagram(axes, {model: by_category[category] for model, by_category in curves.items()})
        caption(axes, category.replace("_", " "))
        label(axes, x="forecast probability", y="observed frequency")
    handles, names = panels[0].get_legend_handles_labels()
    for axes in panels[len(categories) :]:
        axes.set_axis_off()
    panels[-1].legend(handles, names, frameon=False, fontsize=8, loc="center left")
    return figure


def _diagram(axes: Axes, curves: Mapping[str, Reliability]) -> None:
    axes.plot([0, 1], [0, 1], color=MUTED, lw=0.9, ls="--")
    for number, (name, curve) in enumerate(curves.items()):
        colour = SERIES[number % len(SERIES)]
        size = 12 + 150 * curve.count / max(1, curve.count.max())
        axes.vlines(curve.forecast, curve.low, curve.high, color=colour, lw=1.0, alpha=0.6)
        axes.plot(curve.forecast, curve.frequency, "-", color=colour, lw=1.2)
        axes.scatter(curve.forecast, curve.frequency, size, color=colour, alpha=0.8, label=name)
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1)
    axes.xaxis.grid(visible=True, color=HAIRLINE, lw=0.5)


def place_chart(by_location: pa.Table, subtitle: str, *, relative: bool) -> Figure:
    """Score by place, best first, for the first model."""
    column = "relative_wis" if relative else "wis"
    model = by_location["model"][0].as_py()
    rows = sorted((r for r in by_location.to_pylist() if r["model"] == model), key=lambda r: r[column])
    figure, (axes,) = sheet(1, 1, f"Scores by place: {model}", subtitle, row_in=max(3.0, 0.16 * len(rows) + 0.8))
    axes.barh(range(len(rows)), [r[column] for r in rows], color=BAND, height=0.7)
    axes.set_yticks(range(len(rows)), [r["location"] for r in rows], fontsize=7)
    axes.invert_yaxis()
    axes.yaxis.grid(visible=False)
    axes.xaxis.grid(visible=True, color=HAIRLINE, lw=0.5)
    if relative:
        axes.axvline(1.0, color=MUTED, lw=0.9, ls="--")
    caption(axes, "WIS relative to the baseline" if relative else "mean WIS")
    return figure
