"""The area under the ROC curve against its definition, and its limits against simulation."""

from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from oneteam.core.errors import NothingFoundError
from oneteam.stats.auc import auc, mean_auc

SCORES = st.lists(st.integers(-5, 5), min_size=1, max_size=30)


@given(SCORES, SCORES)
def test_the_value_is_the_chance_that_a_positive_scores_above_a_negative(positives, negatives):
    a, b = np.array(positives, float)[:, None], np.array(negatives, float)[None, :]
    assert auc(positives, negatives).value == pytest.approx(((a > b) + 0.5 * (a == b)).mean())


def test_limits_hold_as_often_as_they_say():
    rng = np.random.default_rng(7)
    true = NormalDist().cdf(0.5 / np.sqrt(2))
    found = [auc(rng.normal(0.5, 1, 300), rng.normal(0, 1, 200)) for _ in range(2_000)]
    values = np.array([f.value for f in found])
    assert abs(values.mean() - true) < 4 * values.std() / np.sqrt(len(values))
    assert np.mean([f.standard_error for f in found]) == pytest.approx(values.std(), rel=0.06)
    assert np.mean([f.low(0.95) > true for f in found]) == pytest.approx(0.05, abs=0.02)
    assert np.mean([f.high(0.95) < true for f in found]) == pytest.approx(0.05, abs=0.02)


def test_nothing_to_compare_is_an_error():
    with pytest.raises(NothingFoundError):
        auc([], [1.0])
    with pytest.raises(NothingFoundError):
        mean_auc([])
