"""A small country with seasons, for the tests of forecasting."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import pyarrow as pa

from oneteam.epidemic.hub.locations import Locations
from oneteam.epidemic.hub.target_data import TargetData, parse_target_data

PLACES = Locations(("01", "02", "03", "04", "ZZ"), ("A", "B", "C", "D", "all"), np.array([1e6, 2e6, 3e6, 4e6, 1e7]))


def seasonal_counts(weeks: int, *, seed: int = 0) -> np.ndarray:
    """Counts of four places and their sum: one wave each winter, shape (weeks, 5)."""
    random = np.random.default_rng(seed)
    t = np.arange(weeks)[:, None]
    years = weeks // 52 + 2
    peak = random.normal(24, 2, (years, 1)) + random.normal(0, 0.7, (years, 4))
    height = random.uniform(4, 9, (years, 1)) * random.uniform(0.8, 1.2, (years, 4))
    rate = np.full((weeks, 4), 0.2)
    for year in range(years):
        rate += height[year] * np.exp(-0.5 * ((t - 52 * year - peak[year]) / 4.0) ** 2)
    counts = random.poisson(rate * PLACES.population[:4] / 1e5).astype(float)
    return np.column_stack([counts, counts.sum(axis=1)])


def rows_of(counts: np.ndarray, first: date, *, codes=PLACES.codes) -> dict[str, list]:
    """Columns of target data; weeks end on Saturdays."""
    days = [first + timedelta(days=7 * t) for t in range(len(counts)) for _ in codes]
    return {"target_end_date": days, "location": list(codes) * len(counts), "observation": counts.ravel().tolist()}


def target_of(counts: np.ndarray, first: date = date(2021, 8, 7)) -> TargetData:
    return parse_target_data(pa.table(rows_of(counts, first)), "synthetic")


def vintages_of(counts: np.ndarray, first: date, newest: int, dates: int, *, reported: float = 0.9) -> dict[str, list]:
    """Snapshots of the last dates, in each of which the newest week is not yet whole."""
    out: dict[str, list] = {"as_of": [], "reference_date": [], "target_end_date": [], "location": [], "observation": []}
    for k in range(dates):
        known = counts[: newest - dates + k + 2].copy()
        known[-1] = np.floor(known[-1] * reported)
        rows = rows_of(known, first)
        reference = rows["target_end_date"][-1] + timedelta(days=7)
        for name, column in rows.items():
            out[name] += column
        out["reference_date"] += [reference] * len(rows["location"])
        out["as_of"] += [reference - timedelta(days=3)] * len(rows["location"])
    return out
