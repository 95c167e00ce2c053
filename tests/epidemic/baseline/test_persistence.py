"""The baseline persists, and is the hub's own."""

from __future__ import annotations

from datetime import date

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.epidemic.flusight import FLUSIGHT, needs_flusight, target_rows

from oneteam.epidemic.baseline.persistence import persistence_forecasts, persistence_quantiles
from oneteam.epidemic.hub.forecasts import QuantileForecasts
from oneteam.epidemic.hub.levels import LEVELS
from oneteam.epidemic.hub.target_data import parse_target_data
from oneteam.epidemic.scoring.tasks import align, relative_wis
from oneteam.epidemic.service.files import read_forecasts, read_target_data

MEDIAN = LEVELS.index(0.5)


@given(st.lists(st.integers(0, 500), min_size=3, max_size=60))
def test_median_stays_and_spread_grows(series):
    found = persistence_quantiles(series, [1, 2, 3, 4])
    assert (np.diff(found, axis=1) >= 0).all()
    assert (found >= 0).all()
    assert np.allclose(found[:, MEDIAN], series[-1], atol=1e-6)
    if len(set(series)) > 1 and series[-1] > 0:
        assert found[3, -1] >= found[0, -1] - 1e-9


def test_one_step_is_the_past_differences_themselves():
    series = np.cumsum([100, 4, -7, 12, 3, -2, 9, -11, 6])
    moves = np.diff(series)
    want = series[-1] + np.quantile(np.concatenate([moves, -moves]), LEVELS)
    np.testing.assert_allclose(persistence_quantiles(series, [1])[0], want, atol=0.15)


def test_more_steps_are_sums_of_independent_moves():
    rng = np.random.default_rng(2)
    series = 5_000 + np.cumsum(rng.normal(0, 100, 80))
    moves = np.diff(series)
    drawn = np.quantile(np.concatenate([moves, -moves]), rng.random((200_000, 3))).sum(axis=1)
    found = persistence_quantiles(series, [3])[0]
    np.testing.assert_allclose(found, series[-1] + np.quantile(drawn, LEVELS), atol=0.02 * drawn.std() * 3)


def test_short_and_empty_series():
    assert np.isnan(persistence_quantiles([np.nan], [1])).all()
    one = persistence_quantiles([9.0], [1])[0]
    assert one[MEDIAN] == pytest.approx(9.0, abs=0.01)
    assert one[0] < 7
    gap = persistence_quantiles([5, np.nan, 500, 501, 500], [1])[0]
    assert gap[-1] < 510  # the jump over the gap is no weekly difference


def test_steps_count_from_each_place_own_newest_week():
    data = parse_target_data(target_rows({"01": [5, 9, 4, 8], "02": [5, 9, 4, np.nan]}), "x")
    found = persistence_forecasts(data.snapshot(date(2024, 2, 3)), [-1, 0, 1])
    late = persistence_quantiles([5, 9, 4], [1, 2, 3])
    of = {(h, c): row for h, c, row in zip(found.horizon.tolist(), found.location, found.values, strict=True)}
    assert (-1, "01") not in of
    np.testing.assert_array_equal(np.stack([of[h, "02"] for h in (-1, 0, 1)]), late)
    np.testing.assert_array_equal(of[0, "01"], persistence_quantiles([5, 9, 4, 8], [1])[0])


@needs_flusight
def test_mean_wis_is_that_of_the_hub_within_two_percent():
    data = read_target_data(FLUSIGHT / "time-series.parquet")
    truth = read_target_data(FLUSIGHT / "truth.parquet").final()
    theirs = read_forecasts(FLUSIGHT / "model-output" / "FluSight-baseline.parquet")["FluSight-baseline"]
    parts = [persistence_forecasts(data.snapshot(day), range(4)) for day in data.reference_dates]
    names = ("reference_date", "horizon", "location", "target", "values")
    ours = QuantileForecasts(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))
    found = align({"ours": ours}, truth, ("FluSight-baseline", theirs))
    ratio, log_ratio = relative_wis(found.models["ours"], found.baseline, found.rows["ours"])
    assert ratio == pytest.approx(1.0, abs=0.02)
    assert log_ratio == pytest.approx(1.0, abs=0.02)
