"""What a forecast is made from: the recent shape of a series, of its country, and the time of year.

Every feature of a week uses that week and earlier ones only.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from oneteam.epidemic.forecasting.panel import IN_SEASON, Scaled, season_of, weeks_to_christmas
from oneteam.stats.compiled import compiled

Floats = npt.NDArray[np.float64]
Singles = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]

NAMES: Final = (
    "level", "change_1", "change_2", "change_3", "change_1_before", "change_1_two_before",
    "slope_3", "off_line_3", "slope_4", "off_line_4", "slope_6", "off_line_6",
    "bend_slope_4", "bend_4", "off_bend_4", "bend_slope_6", "bend_6", "off_bend_6",
    "mean_2", "mean_4", "below_peak_16", "above_low_26",
    "nation_level", "nation_change_1", "nation_change_2", "nation_change_1_before",
    "week", "christmas", "kind", "log_population", "centre", "spread", "noise", "movement", "movement_change", "step",
)  # fmt: skip
"""Names of the features, in order."""
COLUMN: Final = {name: i for i, name in enumerate(NAMES)}
OF_MOVEMENT: Final = ("movement", "movement_change")
"""Features that need movement data."""
LEVELS_OF_SERIES: Final = ("level", "mean_2", "mean_4", "nation_level", "centre", "below_peak_16", "above_low_26")
"""Features that tell how high a series stands, not how it moves."""
BLOCK_WEEKS: Final = 10
FIRST_WEEK: Final = 5
SETTLING_WEEKS: Final = 3
"""A row needs so many earlier weeks."""


@dataclass(frozen=True)
class Rows:
    """Examples to learn from.

    Args:
        x: features, shape (rows, features).
        change: what the series did over ``step`` weeks, on the scale of learning, shape (rows,).
        season: year in which the season began, or another number for weeks that belong together, shape (rows,).
        step: weeks ahead, shape (rows,).
        kind: of the source, shape (rows,).
    """

    x: Singles
    change: Floats
    season: Ints
    step: Ints
    kind: Ints


def lagged(values: Floats, weeks: int) -> Floats:
    """The values some weeks before; NaN where there are none.

    >>> lagged(np.array([1.0, 2.0, 3.0]), 1).tolist()
    [nan, 1.0, 2.0]
    """
    if not weeks:
        return values
    out = np.full_like(values, np.nan)
    out[weeks:] = values[:-weeks]
    return out


def trailing_fit(values: Floats, window: int, degree: int) -> Floats:
    """Least-squares polynomial through the last weeks: its value, slope, ... at the newest one, shape (degree + 1, *values.shape).

    >>> trailing_fit(np.array([1.0, 2.0, 3.0, 4.0]), 3, 1)[:, -1].round(6).tolist()
    [4.0, 1.0]
    """
    at = np.arange(1.0 - window, 1.0)
    weights = np.linalg.pinv(np.vander(at, degree + 1, increasing=True))
    out = np.zeros((degree + 1, *values.shape))
    for back in range(window):
        out += weights[:, window - 1 - back].reshape(-1, *[1] * values.ndim) * lagged(values, back)
    return out


@compiled
def _trailing(values: Floats, window: int, least: int, *, highest: bool) -> Floats:
    """Highest or lowest of the last weeks, where enough of them are known."""
    weeks, places = values.shape
    out = np.full((weeks, places), np.nan)
    for i in range(places):
        for t in range(weeks):
            known = 0
            best = np.nan
            for k in range(max(0, t - window + 1), t + 1):
                v = values[k, i]
                if np.isfinite(v):
                    known += 1
                    if not np.isfinite(best) or (v > best if highest else v < best):
                        best = v
            if known >= least:
                out[t, i] = best
    return out


@compiled
def _trailing_mean(values: Floats, window: int, least: int) -> Floats:
    weeks, places = values.shape
    out = np.full((weeks, places), np.nan)
    for i in range(places):
        for t in range(weeks):
            known = 0
            total = 0.0
            for k in range(max(0, t - window + 1), t + 1):
                if np.isfinite(values[k, i]):
                    known += 1
                    total += values[k, i]
            if known >= least:
                out[t, i] = total / known
    return out


def features(scaled: Scaled) -> Singles:
    """The features of every week and place but the step, shape (weeks, places, features - 1)."""
    z = scaled.z
    weeks, places = z.shape
    change = z - lagged(z, 1)
    lines = {n: trailing_fit(z, n, 1) for n in (3, 4, 6)}
    bends = {n: trailing_fit(z, n, 2) for n in (4, 6)}
    nation = _nation(scaled)
    moved = nation - lagged(nation, 1)
    _, week = season_of(scaled.panel.weeks)
    movement, nothing = scaled.panel.movement, np.full((1, 1), np.nan)
    columns: dict[str, Floats] = {
        "level": z,
        "change_1": change,
        "change_2": z - lagged(z, 2),
        "change_3": z - lagged(z, 3),
        "change_1_before": lagged(change, 1),
        "change_1_two_before": lagged(change, 2),
        "mean_2": (z + lagged(z, 1)) / 2.0,
        "mean_4": _trailing_mean(z, 4, 3),
        "below_peak_16": z - _trailing(z, 16, 6, highest=True),
        "above_low_26": z - _trailing(z, 26, 8, highest=False),
        "nation_level": nation[:, None],
        "nation_change_1": moved[:, None],
        "nation_change_2": (nation - lagged(nation, 2))[:, None],
        "nation_change_1_before": lagged(moved, 1)[:, None],
        "week": week[:, None].astype(np.float64),
        "christmas": weeks_to_christmas(scaled.panel.weeks)[:, None],
        "kind": np.full((1, 1), float(scaled.panel.kind)),
        "log_population": np.log(scaled.panel.population)[None],
        "centre": scaled.centre[None],
        "spread": scaled.spread[None],
        "noise": _trailing_mean(np.abs(lines[4][0] - z), 12, 5),
        "movement": nothing if movement is None else movement,
        "movement_change": nothing if movement is None else movement - lagged(movement, 4),
    }
    for n, fit in lines.items():
        columns[f"slope_{n}"], columns[f"off_line_{n}"] = fit[1], fit[0] - z
    for n, fit in bends.items():
        columns[f"bend_slope_{n}"], columns[f"bend_{n}"], columns[f"off_bend_{n}"] = fit[1], fit[2], fit[0] - z
    out = np.empty((weeks, places, len(NAMES) - 1), np.float32)
    for name in NAMES[:-1]:
        out[:, :, COLUMN[name]] = columns[name]
    return out


def _nation(scaled: Scaled) -> Floats:
    """The country's series: that of the aggregate, else the mean of the places."""
    if scaled.panel.aggregate is not None:
        return scaled.z[:, scaled.panel.aggregate]
    known = np.isfinite(scaled.z)
    return np.where(known.any(axis=1), np.where(known, scaled.z, 0.0).sum(axis=1) / np.maximum(known.sum(axis=1), 1), np.nan)


def rows_to_learn(panels: list[Scaled], steps: list[int], *, all_year: bool = False) -> Rows:
    """Examples from every panel, week of the season, place and step.

    Args:
        panels: the target first, then histories.
        steps: weeks ahead.
        all_year: take also the weeks outside the season; then spans of `BLOCK_WEEKS` weeks take the place of seasons.
    """
    parts: list[tuple[Singles, Floats, Ints, Ints, Ints]] = []
    for scaled in panels:
        found = features(scaled)
        year, week = season_of(scaled.panel.weeks)
        in_season = np.ones(len(week), bool) if all_year else (week >= IN_SEASON[0]) & (week <= IN_SEASON[1])
        group = scaled.panel.weeks.astype(np.int64) // (7 * BLOCK_WEEKS) if all_year else year
        for step in steps:
            origin = np.flatnonzero(in_season[: len(week) - step])
            origin = origin[origin >= FIRST_WEEK]
            origin = origin[scaled.panel.used[origin] & scaled.panel.used[origin + step]]
            if scaled.panel.regime is not None:
                # A change over a break is one of counting. So are the slopes of the first weeks after it.
                origin = origin[scaled.panel.regime[origin - SETTLING_WEEKS] == scaled.panel.regime[origin + step]]
            change = scaled.z[origin + step] - scaled.z[origin]
            x = found[origin]
            at, place = np.nonzero(np.isfinite(change) & np.isfinite(x[:, :, COLUMN["change_3"]]))
            block = np.column_stack([x[at, place], np.full(len(at), step, np.float32)])
            steps_of = np.full(len(at), step, np.int64)
            kinds = np.full(len(at), scaled.panel.kind, np.int64)
            parts.append((block, change[at, place], group[origin][at], steps_of, kinds))
    return Rows(*(np.concatenate([part[i] for part in parts]) for i in range(5)))


def rows_to_forecast(scaled: Scaled, step: int) -> Singles:
    """Features of the newest week of every place for one step, shape (places, features)."""
    newest = features(scaled)[-1]
    return np.column_stack([newest, np.full(len(newest), step, np.float32)])
