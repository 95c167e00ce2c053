import numpy as np
from scipy.stats import norm

from oneteam.epidemic.forecasting.trajectories import sample_paths, sample_table
from oneteam.epidemic.hub.forecasts import QuantileForecasts
from oneteam.epidemic.hub.levels import LEVELS

LEVEL = np.array(LEVELS)


def country() -> QuantileForecasts:
    horizon, place = (a.ravel() for a in np.meshgrid(np.arange(4), np.array(["a", "b"], object), indexing="ij"))
    values = 100.0 + 10.0 * horizon[:, None] + (5.0 + horizon[:, None]) * norm.ppf(LEVEL)
    return QuantileForecasts(np.full(8, np.datetime64("2024-01-06")), horizon, place, np.array(["x"] * 8, object), values)


def test_paths_keep_every_distribution():
    paths = sample_paths(country(), 4000, 1)
    inner = LEVEL[2:-2]
    assert np.abs(np.quantile(paths, inner, axis=1).T - country().values[:, 2:-2]).max() < 0.6


def test_neighbouring_weeks_and_places_move_together():
    paths = sample_paths(country(), 4000, 1)
    of = {(h, p): i for i, (h, p) in enumerate(zip(country().horizon, country().location, strict=True))}
    found = np.corrcoef(paths)
    assert 0.85 < found[of[0, "a"], of[1, "a"]] < 0.95
    assert 0.65 < found[of[0, "a"], of[3, "a"]] < 0.8
    assert 0.42 < found[of[0, "a"], of[0, "b"]] < 0.58


def test_rows_are_hubverse_samples():
    table = sample_table(country(), 10, 1)
    assert table.num_rows == 80
    assert set(table["output_type"].to_pylist()) == {"sample"}
    assert table.equals(sample_table(country(), 10, 1))
    assert not table.equals(sample_table(country(), 10, 2))
