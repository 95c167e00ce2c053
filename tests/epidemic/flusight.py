"""Where the real data stand, and small forecasts and targets for tests."""

from __future__ import annotations

import os
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from oneteam.epidemic.hub.forecasts import QuantileForecasts
from oneteam.epidemic.hub.levels import LEVELS

DATA = Path(os.environ.get("ONETEAM_DATA", Path(__file__).resolve().parents[3] / "shared" / "data"))
FLUSIGHT = DATA / "flusight"
KOREA = DATA / "korea"
needs_flusight = pytest.mark.skipif(not FLUSIGHT.is_dir(), reason="FluSight data not found: set ONETEAM_DATA")
needs_korea = pytest.mark.skipif(not KOREA.is_dir(), reason="Korean case data not found: set ONETEAM_DATA")

FIRST = date(2024, 1, 6)  # a Saturday


def target_rows(values: dict[str, list[float]], first: date = FIRST) -> pa.Table:
    """Target data without vintages, one list of weekly counts for each place."""
    rows = [
        {"target_end_date": first + timedelta(days=7 * week), "location": code, "target": "wk inc case", "observation": value}
        for code, counts in values.items()
        for week, value in enumerate(counts)
    ]
    return pa.Table.from_pylist(rows)


def forecasts(tasks: list[tuple[date, int, str]], medians: list[float], spread: float = 10.0) -> QuantileForecasts:
    """Forecasts that rise evenly from median - spread to median + spread."""
    levels = np.array(LEVELS)
    return QuantileForecasts(
        np.array([day for day, _, _ in tasks], "datetime64[D]"),
        np.array([horizon for _, horizon, _ in tasks], np.int64),
        np.array([code for _, _, code in tasks], object),
        np.array(["wk inc case"] * len(tasks), object),
        np.array(medians)[:, None] + spread * (2 * levels - 1)[None],
    )
