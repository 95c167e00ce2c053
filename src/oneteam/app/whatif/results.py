"""What a what-if run found, and the study's own scenario in the same form, to be set side by side."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow.compute as pc

from oneteam.app.study.folder import read_json
from oneteam.core.errors import FileUnreadableError, NotThereError
from oneteam.epidemic.engine.scenario import Scenario
from oneteam.epidemic.engine.summary import Interval
from oneteam.store.tables import read_parquet

Floats = npt.NDArray[np.float64]
COMPARISON: Final = "comparison.json"
LEVELS: Final = (("q0.025", "q0.975", 95), ("q0.05", "q0.95", 90), ("q0.25", "q0.75", 50))
"""Ends of central intervals in the files, and how much of the simulations they hold [%]."""


@dataclass(frozen=True)
class Curve:
    """A count by day over the simulations.

    Args:
        median: by day.
        bands: by level [%], lower and upper end by day; the widest first.
    """

    median: Floats
    bands: Mapping[int, tuple[Floats, Floats]]


@dataclass(frozen=True)
class Effect:
    """What the measures do to one count, over the pairs of simulations.

    Args:
        without: total without them; of people in hospital, days.
        within: total with them.
        averted: the difference.
        share: of the total without them.
        peak_without: highest day without them.
        peak_within: with them.
        day_without: the day of the peak without them, its middle and its 95% interval; without interval where the file does not tell it.
        day_within: with them.
    """

    without: Interval
    within: Interval
    averted: Interval
    share: Interval
    peak_without: Interval | None
    peak_within: Interval | None
    day_without: tuple[date, date | None, date | None] | None
    day_within: tuple[date, date | None, date | None] | None


@dataclass(frozen=True, eq=False)
class Result:
    """A finished comparison.

    Args:
        scenario: what was simulated.
        days: of the curves.
        effects: by quantity.
        curves: by quantity, without the measures and with them.
        notes: assumptions and repairs.
    """

    scenario: Scenario
    days: tuple[date, ...]
    effects: Mapping[str, Effect]
    curves: Mapping[str, tuple[Curve, Curve]]
    notes: tuple[str, ...]

    @property
    def quantities(self) -> tuple[str, ...]:
        """Names of what is counted and drawn."""
        return tuple(name for name in self.effects if name in self.curves)

    def highest(self, quantity: str) -> float:
        """The highest value that a chart of a quantity shows."""
        return max(
            (float(max([curve.median.max(), *(high.max() for _, high in curve.bands.values())])) for curve in self.curves[quantity]),
            default=0.0,
        )


def read_result(folder: Path, scenario: Scenario) -> Result:
    """What a run wrote.

    Args:
        folder: with ``comparison.json`` and the national curves.
        scenario: what was simulated.

    Raises:
        NotThereError: nothing was written.
        FileUnreadableError: a file is broken.
    """
    path = folder / COMPARISON
    if not path.is_file():
        raise NotThereError("the run has no results", hint="It may not be finished.")
    return Result(scenario, *_read(folder, path.stat().st_mtime_ns))


_Read = tuple[tuple[date, ...], dict[str, Effect], dict[str, tuple[Curve, Curve]], tuple[str, ...]]


@lru_cache(maxsize=32)
def _read(folder: Path, _stamp: int) -> _Read:
    told = read_json(folder / COMPARISON)
    (days, without), (_, within) = (_curves(folder / f"{name}-national.parquet") for name in ("baseline", "scenario"))
    curves = {name: (curve, within[name]) for name, curve in without.items() if name in within}
    try:
        effects = {name: _effect(one, days[0], curves.get(name), days) for name, one in told["averted"].items()}
    except (KeyError, TypeError, ValueError) as err:
        raise FileUnreadableError(f"{folder / COMPARISON}: lacks what a comparison has: {err}") from err
    return days, effects, curves, tuple(str(note) for note in told.get("notes", ()))


def _effect(told: Mapping[str, Any], first: date, curves: tuple[Curve, Curve] | None, days: tuple[date, ...]) -> Effect:
    def interval(name: str) -> Interval | None:
        return Interval(**told[name]) if name in told else None

    def need(name: str) -> Interval:
        return Interval(**told[name])

    def day(name: str, curve: Curve | None) -> tuple[date, date | None, date | None] | None:
        found = interval(name)
        if found is not None:
            middle, low, high = (first + timedelta(days=round(value)) for value in (found.median, found.low, found.high))
            return middle, low, high
        return None if curve is None else (days[int(np.argmax(curve.median))], None, None)

    return Effect(
        need("baseline"),
        need("scenario"),
        need("averted"),
        need("share"),
        interval("peak_baseline"),
        interval("peak_scenario"),
        day("peak_day_baseline", curves[0] if curves else None),
        day("peak_day_scenario", curves[1] if curves else None),
    )


def _curves(path: Path) -> tuple[tuple[date, ...], dict[str, Curve]]:
    table = read_parquet(path)
    found: dict[str, Curve] = {}
    days: tuple[date, ...] = ()
    for name in pc.unique(table["quantity"]).to_pylist():
        rows = table.filter(pc.equal(table["quantity"], name))
        days = tuple(_day(value) for value in rows["date"].to_pylist())
        columns = {column: rows[column].to_numpy().astype(np.float64) for column in rows.column_names if column.startswith("q0")}
        levels = [(low, high, level) for low, high, level in LEVELS if low in columns and high in columns]
        drawn = [levels[0], levels[-1]] if len(levels) > 1 else levels
        found[name] = Curve(columns["q0.5"], {level: (columns[low], columns[high]) for low, high, level in drawn})
    if not days:
        raise FileUnreadableError(f"{path}: holds no day")
    return days, found


def _day(value: Any) -> date:
    return value if type(value) is date else value.date()
