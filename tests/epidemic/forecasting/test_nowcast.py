from datetime import date

import numpy as np
import pyarrow as pa

from oneteam.epidemic.forecasting.nowcast import completed, learn_revisions, nowcast_quantiles
from oneteam.epidemic.hub.target_data import parse_target_data
from tests.epidemic.forecasting.synthetic import seasonal_counts, vintages_of


def snapshots(reported: float, dates: int = 20):
    counts = seasonal_counts(120, seed=2) * 20 + 50
    data = parse_target_data(pa.table(vintages_of(counts, date(2021, 8, 7), 110, dates, reported=reported)), "vintages")
    found = [data.snapshot(d) for d in data.reference_dates]
    return counts, found[-1], found[:-1]


def test_underreporting_is_corrected():
    counts, today, earlier = snapshots(0.8)
    at = len(today.weeks) - 1
    repaired = completed(today, learn_revisions(today, earlier)).values[-1]
    assert np.abs(np.log(repaired / counts[at])).mean() < 0.4 * abs(np.log(0.8))


def test_without_earlier_snapshots_nothing_changes():
    _, today, _ = snapshots(0.8)
    assert np.array_equal(completed(today, learn_revisions(today, [])).values, today.values, equal_nan=True)


def test_only_settled_weeks_teach():
    _, today, earlier = snapshots(0.8)
    assert learn_revisions(today, earlier[-2:]).weeks == 0
    assert learn_revisions(today, earlier).weeks == len(earlier) - 2


def test_nowcast_covers_the_final_value():
    counts, today, earlier = snapshots(0.8)
    found = nowcast_quantiles(today, learn_revisions(today, earlier), 0)
    final = counts[len(today.weeks) - 1]
    assert (np.diff(found, axis=1) >= 0).all()
    assert (np.abs(np.log(found[:, 11] / final)) < 0.12).all()
