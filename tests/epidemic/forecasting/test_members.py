from dataclasses import replace
from datetime import date

import numpy as np
import pytest

from oneteam.core.errors import UnknownValueError
from oneteam.epidemic.forecasting.features import NAMES, features, rows_to_learn
from oneteam.epidemic.forecasting.history import History
from oneteam.epidemic.forecasting.linear import fit_linear
from oneteam.epidemic.forecasting.members import BASELINE, BOOSTED, FILTER, LINEAR, MEMBERS, SHAPE, Known, anchor_of, forecast, learn
from oneteam.epidemic.forecasting.panel import aggregate_of, fill_gaps, panel_of, scale
from oneteam.epidemic.hub.levels import LEVELS
from oneteam.stats.scoring import weighted_interval_score
from tests.epidemic.forecasting.synthetic import PLACES, seasonal_counts, target_of

FIRST = date(2021, 8, 7)


def history(weeks: int = 52 * 9) -> History:
    counts = seasonal_counts(weeks, seed=5)
    first = np.datetime64(FIRST, "D") - 7 * weeks
    days = first + 7 * np.arange(weeks)
    return History("clinics", days, ("a", "b", "c", "d"), counts[:, :4] / PLACES.population[:4] * 2e5)


@pytest.fixture(scope="module")
def country():
    counts = seasonal_counts(140, seed=1)
    return counts, target_of(counts, FIRST)


def known_at(target, week: int) -> Known:
    day = np.datetime64(FIRST, "D") + 7 * (week + 1)
    return Known(target.snapshot(day.item()), (), PLACES, (history(),))


class TestPanel:
    def test_scale_and_back(self, country):
        counts, target = country
        scaled = scale(panel_of(target.final(), PLACES.population))
        assert np.allclose(scaled.counts(scaled.z[50]), counts[50], atol=1e-6)

    def test_logarithmic_scale_and_back(self, country):
        counts, target = country
        scaled = scale(panel_of(target.final(), PLACES.population), logarithmic=True)
        assert np.allclose(scaled.counts(scaled.z[50]), counts[50], atol=1e-6)

    def test_the_aggregate_is_found_in_any_position(self):
        counts = seasonal_counts(60)
        assert aggregate_of(counts) == 4
        assert aggregate_of(counts[:, [4, 0, 1, 2, 3]]) == 0
        assert aggregate_of(counts[:, :4]) is None

    @pytest.mark.parametrize("noise", [0.0, 1.0])
    def test_a_capital_with_as_many_cases_as_all_others_is_no_aggregate(self, noise):
        """Its sum over all weeks is that of the others, its weeks are not."""
        random = np.random.default_rng(3)
        others = random.poisson(400.0, (80, 4)).astype(float)
        capital = others.sum(axis=1) * np.exp(0.05 * np.resize([1.0, -1.0], 80)) if not noise else random.poisson(1600.0, 80)
        capital = np.round(capital * others.sum() / capital.sum())
        assert abs(capital.sum() / others.sum() - 1.0) < 0.001
        assert aggregate_of(np.column_stack([others, capital])) is None
        assert aggregate_of(np.column_stack([others, others.sum(axis=1)])) == 4

    def test_an_aggregate_may_be_rounded_late_or_short_of_a_place(self):
        counts = seasonal_counts(60, seed=2) + 50.0
        counts[:, 4] = counts[:, :4].sum(axis=1)
        assert aggregate_of(np.column_stack([np.round(counts[:, :4] * 1.0004), counts[:, 4]])) == 4
        late = counts.copy()
        late[-1, 1] = np.nan
        late[20:23, 0] = np.nan
        assert aggregate_of(late) == 4

    def test_few_weeks_are_no_proof(self):
        assert aggregate_of(np.array([[1.0, 2.0, 3.0], [2.0, 2.0, 4.0]])) is None

    def test_all_zero_series_is_finite(self):
        counts = seasonal_counts(60)
        counts[:, 2] = 0.0
        assert np.isfinite(scale(panel_of(target_of(counts).final(), PLACES.population)).z).all()

    def test_unknown_population_is_survived(self, country):
        _, target = country
        population = PLACES.population.copy()
        population[1] = np.nan
        assert np.isfinite(scale(panel_of(target.final(), population)).z).all()

    def test_long_gaps_stay_unknown(self):
        gap = np.array([[1.0], [np.nan], [np.nan], [np.nan], [2.0]])
        assert np.isnan(fill_gaps(gap)[1:4]).all()


class TestFeatures:
    def test_no_feature_looks_ahead(self, country):
        _, target = country
        scaled = scale(panel_of(target.final(), PLACES.population))
        changed = scaled.z.copy()
        changed[91:] += np.random.default_rng(0).normal(size=changed[91:].shape)
        before, after = features(scaled), features(replace(scaled, z=changed))
        assert np.array_equal(before[:91], after[:91], equal_nan=True)
        assert not np.array_equal(before[91], after[91], equal_nan=True)

    def test_rows_pair_features_with_the_change_that_followed(self, country):
        _, target = country
        scaled = scale(panel_of(target.final(), PLACES.population))
        rows = rows_to_learn([scaled], [2], all_year=True)
        shape = rows.x[:, [NAMES.index(name) for name in ("level", "slope_6", "bend_6", "nation_level")]]
        wanted = features(scaled)[60, 0, [NAMES.index(name) for name in ("level", "slope_6", "bend_6", "nation_level")]]
        at = int(np.argmin(np.abs(shape - wanted).sum(axis=1)))
        assert rows.change[at] == pytest.approx(scaled.z[62, 0] - scaled.z[60, 0], abs=1e-5)
        assert (rows.step == 2).all()

    def test_disturbed_seasons_are_not_learned_from(self, country):
        _, target = country
        panel = panel_of(target.final(), PLACES.population)
        used = np.ones(len(panel.weeks), bool)
        used[52:104] = False
        fewer = rows_to_learn([scale(replace(panel, used=used))], [1])
        assert len(fewer.change) < len(rows_to_learn([scale(panel)], [1]).change)
        assert 2022 not in set(fewer.season.tolist())


class TestLinear:
    def test_a_linear_world_is_learned(self, country):
        _, target = country
        scaled = scale(panel_of(target.final(), PLACES.population))
        rows = rows_to_learn([scaled], [1], all_year=True)
        slope = rows.x[:, NAMES.index("slope_4")].astype(float)
        noise = np.random.default_rng(0).normal(0, 0.01, len(slope))
        model = fit_linear(replace(rows, change=np.clip(slope, -0.6, 0.6) * 0.5 + noise), seasonal=False, ridge=0.1)
        found = model.quantiles(rows.x, 1)
        assert np.abs(found[:, 11] - np.clip(slope, -0.6, 0.6) * 0.5).mean() < 0.005

    def test_spread_of_unseen_seasons_covers(self, country):
        _, target = country
        scaled = scale(panel_of(target.final(), PLACES.population))
        rows = rows_to_learn([scaled], [2])
        model = fit_linear(rows)
        found = model.quantiles(rows.x, 2)
        inside = (rows.change >= found[:, 1]) & (rows.change <= found[:, 21])
        assert inside.mean() > 0.9


class TestForecast:
    @pytest.mark.parametrize("member", MEMBERS)
    def test_every_task_has_ascending_finite_quantiles(self, country, member):
        _, target = country
        known = known_at(target, 125)
        found = forecast(member, learn(member, known, [0, 1], 1), known, [0, 1])
        assert found.count == 2 * len(PLACES.codes)
        assert np.isfinite(found.values).all()
        assert (np.diff(found.values, axis=1) >= 0).all()
        assert (found.values >= 0).all()

    @pytest.mark.parametrize("member", [LINEAR, BOOSTED, SHAPE])
    def test_learned_members_beat_persistence_on_seasons(self, country, member):
        counts, target = country
        learned = learn(member, known_at(target, 112), [0, 1, 2, 3], 1)
        score = {member: 0.0, BASELINE: 0.0}
        for week in range(112, 134, 3):
            known = known_at(target, week)
            for name in score:
                found = forecast(name, learned if name == member else None, known, [0, 1, 2, 3])
                outcome = np.array([counts[week + 1 + h, PLACES.index[c]] for h, c in zip(found.horizon, found.location, strict=True)])
                score[name] += weighted_interval_score(outcome, found.values, LEVELS).sum()
        assert score[member] < 0.75 * score[BASELINE]

    @pytest.mark.parametrize("member", [BOOSTED, FILTER])
    def test_same_seed_same_numbers(self, country, member):
        _, target = country
        known = known_at(target, 120)
        first, second = (forecast(member, learn(member, known, [0], 3), known, [0], 3).values for _ in range(2))
        assert np.array_equal(first, second)

    def test_a_silent_place_is_persisted(self):
        counts = seasonal_counts(130, seed=1)
        counts[-6:, 1] = np.nan
        known = known_at(target_of(counts, FIRST), 129)
        found = forecast(LINEAR, learn(LINEAR, known, [0], 1), known, [0])
        assert "02" in set(found.location.tolist())
        assert np.isfinite(found.values).all()

    def test_too_short_a_series_is_persisted(self):
        target = target_of(seasonal_counts(9), FIRST)
        known = Known(target.final(), (), PLACES, ())
        found = forecast(LINEAR, learn(LINEAR, known, [0], 1), known, [0])
        plain = forecast(BASELINE, None, known, [0])
        assert np.array_equal(found.values, plain.values)

    def test_histories_end_when_they_were_published(self, country):
        _, target = country
        known = known_at(target, 60)
        longer = history()
        weeks = np.concatenate([longer.weeks, longer.weeks[-1] + 7 * np.arange(1, 200)])
        later = replace(longer, weeks=weeks, rate=np.concatenate([longer.rate, np.full((199, 4), 9.9)]))
        kept = later.known_on(known.snapshot.reference_date)
        assert kept.weeks[-1] + 6 <= np.datetime64(known.snapshot.reference_date, "D")

    def test_unknown_member(self, country):
        with pytest.raises(UnknownValueError, match="there are: linear"):
            learn("oneteam-oracle", known_at(country[1], 60), [0], 1)


def test_an_anchor_is_never_later_than_its_date():
    days = [date(2023, 10, 14 + 7 * k) if k < 3 else date(2023, 11, 4 + 7 * (k - 3)) for k in range(6)]
    for at, day in enumerate(days):
        anchor = anchor_of(day, days, 4)
        assert anchor <= day
        assert anchor_of(day, days[: at + 1], 4) == anchor


def test_no_change_over_a_break_is_learned(country):
    _, target = country
    day = target.final().weeks[90].item()
    known = replace(known_at(target, 120), histories=(), breaks=(day, date(2030, 1, 1)))
    panel = known.own_panel(known.snapshot)
    assert panel.regime is not None
    assert panel.regime.max() == 1  # what lies ahead is not known
    whole = rows_to_learn([scale(replace(panel, regime=None))], [2], all_year=True)
    fewer = rows_to_learn([scale(panel)], [2], all_year=True)
    # Origins 88 and 89 look across the break; 90, 91 and 92 come just after it.
    assert len(whole.change) - len(fewer.change) == 5 * len(PLACES.codes)
