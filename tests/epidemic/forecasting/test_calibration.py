"""Intervals of the filter's state hold what they promise; the full run is `bench/epidemic_sbc.py`."""

from __future__ import annotations

import importlib.util
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from oneteam.epidemic.forecasting.filter import EMERGING, run_filter
from oneteam.epidemic.forecasting.members import FILTER, Known, forecast
from tests.epidemic.forecasting.synthetic import PLACES, seasonal_counts, target_of

BENCH = Path(__file__).resolve().parents[3] / "bench" / "epidemic_sbc.py"


@pytest.fixture(scope="module")
def bench():
    spec = importlib.util.spec_from_file_location("epidemic_sbc", BENCH)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules[spec.name]


@pytest.mark.parametrize("coupled", [False, True])
def test_reproduction_and_attack_rate_are_covered(bench, coupled):
    """300 pairs of 50 epidemics: places share their luck, so limits are wide; they still fail at a spread off by half."""
    ranks = bench.calibration(50, 6, 30, bench.SETTINGS, coupled=coupled)
    for found in ranks.values():
        inside = bench.coverage(found)
        assert abs(inside["50"] - 0.5) < 0.12
        assert abs(inside["80"] - 0.8) < 0.12
        assert inside["95"] > 0.88
        assert abs(found.mean() - 0.5) < 0.1


def test_a_wrong_filter_is_found_out(bench):
    drawn = [bench.draw(seed, 6, 30, bench.SETTINGS) for seed in range(30)]
    narrow = replace(bench.SETTINGS, walk=0.03, report_cv=0.03)
    ranks = []
    for seed, one in enumerate(drawn):
        state = run_filter(one.reports, one.population, narrow, seed + 1).state
        ranks.append((np.exp(state[3]) * state[2] < one.reproduction[:, None]).mean(axis=1))
    assert bench.coverage(np.concatenate(ranks))["80"] < 0.7


def test_other_places_reports_leave_susceptibles_alone(bench):
    drawn = bench.draw(3, 6, 30, bench.SETTINGS)
    other = drawn.reports.copy()
    other[-1, -1] *= 3.0  # assimilated last, so nothing follows from what it tells of the others
    first, second = (run_filter(r, drawn.population, bench.SETTINGS, 1).state for r in (drawn.reports, other))
    assert np.array_equal(first[2, :-1], second[2, :-1])
    assert not np.array_equal(first[3, :-1], second[3, :-1])
    assert bench.SETTINGS.taper_susceptible == EMERGING.taper_susceptible == 0.0


def test_the_filter_is_silent_about_a_place_that_never_reports():
    counts = seasonal_counts(60)
    counts[:, 1] = np.nan
    snapshot = target_of(counts).final()
    found = forecast(FILTER, None, Known(snapshot, [], PLACES, []), [1, 2])
    assert "02" not in set(found.location.tolist())
    assert {"01", "03", "04"} <= set(found.location.tolist())
