"""Joint learning by sums: the fit from three members' released sums is the fit on all their rows."""

import re
import secrets
from datetime import UTC, date, datetime
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from oneteam.core.errors import MissingColumnError, NothingFoundError, OneteamError, UnknownValueError, WrongTypeError
from oneteam.core.keys import Keys
from oneteam.core.model import Agreement, Query, Text
from oneteam.privacy.contributions import bounded_sum
from oneteam.privacy.levels import Axis, Domain
from oneteam.privacy.mechanism import joined, noised_levels, plan_of, sampling_secret, true_levels
from oneteam.privacy.secure_sum import MemberRound, Recipient, Round
from oneteam.privacy.sufficient import STATISTIC, Feature, HistogramLayout, MomentLayout, Moments, SketchLayout, principal_components, ridge

FEATURES = (Feature("trips", 0, 20), Feature("distance_km", 0, 50), Feature("age", 0, 100), Feature("dwell_h", -1, 24))
LAYOUT = MomentLayout(FEATURES)


def people(count, seed):
    rng = np.random.default_rng(seed)
    trips = rng.poisson(4, count).astype(float)
    distance = 2 + 3 * trips + rng.gamma(2, 2, count)
    age = rng.normal(45, 18, count)
    return {"trips": trips, "distance_km": distance, "age": age, "dwell_h": np.clip(14 - 0.6 * trips + rng.normal(0, 2, count), -1, 24)}


MEMBERS = [people(count, seed) for seed, count in enumerate((400, 1_100, 700))]
POOLED = {name: np.concatenate([member[name] for member in MEMBERS]) for name in MEMBERS[0]}


def gridded(columns, layout=LAYOUT):
    """The same rows, cut to the ranges and laid on the grid: what every member's sums are exactly of."""
    return {f.name: f.middle + f.half * f.on_grid(columns[f.name], layout.steps) / layout.steps for f in layout.features}


def plan_for(layout, rho=0.05):
    measure = layout.measure("moments", rho)
    agreement = Agreement(
        title=Text(en="test"),
        roster="0" * 64,
        purpose="dpv:ResearchAndDevelopment",
        dataset="people",
        contributors=("a", "b", "c"),
        recipients=("agency",),
        rho_total=1.0,
        measures=(measure,),
        dimensions={STATISTIC: layout.dimension()},
        not_before=datetime(2020, 1, 1, tzinfo=UTC),
        until=datetime(2021, 1, 1, tzinfo=UTC),
    )
    query = Query(
        agreement="0" * 64,
        purpose=agreement.purpose,
        measure="moments",
        dimensions=(STATISTIC,),
        levels=measure.levels,
        first_day=date(2020, 1, 6),
        last_day=date(2020, 1, 12),
        rho=rho,
        owners=agreement.contributors,
    )
    return plan_of(query, agreement)


def bounded(layout, contributions, plan=None):
    """What the gate makes of them before noise."""
    plan = plan or plan_for(layout)
    return joined(true_levels(plan, contributions, sampling_secret(bytes(32), plan.query_id)))


def added_in_secret(tables):
    """The exact sum of three members' tables by the secure sum."""
    keys = {name: Keys.generate() for name in ("a", "b", "c", "agency")}
    plan = Round(secrets.token_hex(16), secrets.token_hex(32), ("a", "b", "c"), "agency", 3, 1)
    members = [MemberRound(plan, name, keys[name], lambda name: keys[name].public) for name in plan.participants]
    openings = [member.open() for member in members]
    shares = [member.mask(openings, table) for member, table in zip(members, tables, strict=True)]
    reveals = [member.reveal([share.header for share in shares]) for member in members]
    return Recipient(plan, keys["agency"], lambda name: keys[name].public).combine(openings, shares, reveals)


JOINT = added_in_secret([bounded(LAYOUT, LAYOUT.contributions(np.arange(len(m["age"])), m)) for m in MEMBERS])


def test_joint_sums_are_those_of_all_rows_together():
    moments = LAYOUT.moments(JOINT)
    rows = np.stack([gridded(POOLED)[f.name] for f in FEATURES])
    assert moments.count == 2_200
    np.testing.assert_allclose(moments.mean, rows.mean(axis=1), rtol=1e-12)
    np.testing.assert_allclose(moments.covariance, np.cov(rows, bias=True), rtol=1e-9)


@pytest.mark.parametrize("standardise", [False, True])
def test_principal_components_equal_the_pooled_fit(standardise):
    found = principal_components(LAYOUT.moments(JOINT), standardise=standardise)
    rows = np.stack([gridded(POOLED)[f.name] for f in FEATURES], axis=1)
    rows = rows - rows.mean(axis=0)
    if standardise:
        rows /= rows.std(axis=0)
    _, singular, directions = np.linalg.svd(rows, full_matrices=False)
    np.testing.assert_allclose(found.variance, singular**2 / len(rows), rtol=1e-9)
    np.testing.assert_allclose(np.abs(np.sum(found.directions * directions, axis=1)), 1.0, rtol=1e-9)
    assert (np.take_along_axis(found.directions, np.abs(found.directions).argmax(axis=1)[:, None], axis=1) > 0).all()
    assert found.explained.sum() == pytest.approx(1)


@pytest.mark.parametrize("penalty", [0.0, 3.0, 500.0])
def test_ridge_equals_the_pooled_fit(penalty):
    found = ridge(LAYOUT.moments(JOINT), "distance_km", penalty)
    data = gridded(POOLED)
    rows = np.stack([data[name] for name in found.names], axis=1)
    middle = rows.mean(axis=0)
    # Ridge as least squares on more rows: sqrt(penalty) times the unit vectors, with target 0.
    stacked = np.vstack([rows - middle, np.sqrt(penalty) * np.eye(3)])
    target = np.append(data["distance_km"] - data["distance_km"].mean(), np.zeros(3))
    pooled = np.linalg.lstsq(stacked, target, rcond=None)[0]
    np.testing.assert_allclose(found.coefficients, pooled, rtol=1e-8)
    assert found.intercept == pytest.approx(data["distance_km"].mean() - middle @ pooled)
    residual = data["distance_km"] - found.predict(data)
    assert found.residual_variance == pytest.approx((residual**2).mean())


def test_the_grid_costs_little_against_the_raw_rows():
    found = ridge(LAYOUT.moments(JOINT), "distance_km")
    rows = np.column_stack([np.ones(2_200), *(np.clip(POOLED[f.name], f.low, f.high) for f in FEATURES if f.name != "distance_km")])
    raw = np.linalg.lstsq(rows, np.clip(POOLED["distance_km"], 0, 50), rcond=None)[0]
    np.testing.assert_allclose([found.intercept, *found.coefficients], raw, atol=0.02)


def test_noised_sums_of_many_people_give_nearly_the_same_fit():
    big = people(200_000, 9)
    plan = plan_for(LAYOUT, rho=0.05)
    exact = bounded(LAYOUT, LAYOUT.contributions(np.arange(200_000), big), plan)
    (noised,) = noised_levels([exact], [plan.budgets[0].sigma])
    assert (noised != exact).any()
    true, found = LAYOUT.moments(exact), LAYOUT.moments(noised)
    assert found.count == pytest.approx(true.count, rel=0.01)
    assert abs(found.mean - true.mean).max() < 0.1
    angle = np.abs(principal_components(found).directions[0] @ principal_components(true).directions[0])
    assert angle > 0.999
    assert ridge(found, "distance_km").coefficients[0] == pytest.approx(ridge(true, "distance_km").coefficients[0], rel=0.05)


def test_one_row_of_each_unit_is_never_cut_and_several_are():
    who = np.arange(50)
    rows = {f.name: np.linspace(f.low - 5, f.high + 5, 50) for f in FEATURES}
    made = LAYOUT.contributions(who, rows)
    plain = np.bincount(made.keys[STATISTIC], made.value, minlength=LAYOUT.max_keys)
    assert (bounded(LAYOUT, made) == plain).all()
    assert np.abs(made.value).max() <= LAYOUT.max_value
    twice = LAYOUT.contributions(np.zeros(50, np.int64), rows)
    assert np.abs(bounded(LAYOUT, twice)).max() <= LAYOUT.max_value


def test_rows_that_lack_a_number_add_nothing():
    rows = {name: column[:10].copy() for name, column in MEMBERS[0].items()}
    rows["age"][3] = np.nan
    rows["trips"][5] = np.inf
    made = LAYOUT.contributions(np.arange(10), rows)
    assert set(made.subscriber) == set(range(10)) - {3, 5}


def test_noise_that_makes_variances_negative_is_projected_away():
    sums = JOINT.astype(float)
    layout = LAYOUT
    sums[1 + len(FEATURES)] -= 3e7  # trips * trips, far below what a square can be
    moments = layout.moments(sums)
    assert np.linalg.eigvalsh(moments.covariance)[0] >= -1e-9
    assert (principal_components(moments).variance >= 0).all()


def test_a_feature_without_variance_cannot_be_standardised():
    flat = Moments(("x", "y"), 5.0, np.zeros(2), np.diag([1.0, 0.0]))
    with pytest.raises(NothingFoundError, match="y"):
        principal_components(flat, standardise=True)
    assert principal_components(Moments(("x",), 5.0, np.zeros(1), np.zeros((1, 1)))).explained.tolist() == [0.0]


def test_bad_layouts_and_columns_are_refused():
    with pytest.raises(UnknownValueError):
        Feature("x", 1, 1)
    with pytest.raises(UnknownValueError):
        Feature("x", 0, float("nan"))
    with pytest.raises(UnknownValueError):
        Feature("x*y", 0, 1)
    with pytest.raises(UnknownValueError):
        MomentLayout((Feature("x", 0, 1), Feature("x", 0, 2)))
    with pytest.raises(UnknownValueError):
        MomentLayout((Feature("x", 0, 1),), steps=300)
    with pytest.raises(MissingColumnError):
        LAYOUT.contributions([1], {"age": [1.0]})
    with pytest.raises(WrongTypeError):
        LAYOUT.contributions([1, 2], {f.name: [1.0] for f in FEATURES})
    with pytest.raises(WrongTypeError):
        LAYOUT.moments([1.0])
    with pytest.raises(NothingFoundError):
        LAYOUT.moments(np.zeros(LAYOUT.max_keys))
    with pytest.raises(UnknownValueError):
        ridge(LAYOUT.moments(JOINT), "height")
    with pytest.raises(UnknownValueError):
        ridge(LAYOUT.moments(JOINT), "age", penalty=-1)


@given(st.lists(st.lists(st.integers(0, 20), min_size=0, max_size=30), min_size=1, max_size=4), st.lists(st.floats(0, 1), max_size=5))
def test_quantiles_from_joint_histograms_are_the_pooled_ones(members, probabilities):
    layout = HistogramLayout("trips", tuple(range(22)))
    domain = Domain((Axis(STATISTIC, layout.codes, {}),))
    tables = [bounded_sum(layout.contributions(np.arange(len(m)), m), domain, 1, 1, bytes(16)) for m in members]
    pooled = np.concatenate([np.array(m, float) for m in members])
    wanted = [0.0, 0.25, 0.5, 0.75, 1.0, *probabilities]
    assert (sum(tables) == np.bincount(pooled.astype(int), minlength=21)).all()
    if not len(pooled):
        with pytest.raises(NothingFoundError):
            layout.quantiles(sum(tables), wanted)
        return
    found = layout.quantiles(sum(tables), wanted)
    assert found.tolist() == np.quantile(pooled, wanted, method="inverted_cdf").tolist()


def test_histograms_equal_the_pooled_ones_and_outsiders_go_to_the_ends():
    layout = HistogramLayout("age", (0, 18, 65, 120))
    plan = plan_for(layout)
    tables = [bounded(layout, layout.contributions(np.arange(len(m["age"])), m["age"]), plan) for m in MEMBERS]
    pooled = np.clip(POOLED["age"], 0, 119)
    assert added_in_secret(tables).tolist() == np.histogram(pooled, layout.edges)[0].tolist()
    assert layout.contributions([1, 2, 3], [-5.0, 500.0, np.nan]).keys[STATISTIC].tolist() == [0, 2]
    for edges in ((0,), (0, 0), (1, 0), (0, float("inf"))):
        with pytest.raises(UnknownValueError):
            HistogramLayout("age", edges)
    with pytest.raises(UnknownValueError):
        layout.quantiles([1, 2, 3], [1.5])
    with pytest.raises(OneteamError):
        layout.quantiles([1, 2], [0.5])
    with pytest.raises(WrongTypeError):
        layout.contributions([1, 2], [1.0])


def test_sketches_of_members_add_up_and_find_frequent_items():
    rng = np.random.default_rng(5)
    layout = SketchLayout(width=512, max_items=2)
    plan = plan_for(layout)
    tables, items = [], []
    for _ in range(3):
        drawn = np.minimum(rng.zipf(1.6, 2_000), 10**6) * 7_919
        who = np.arange(2_000)
        items.append(drawn)
        tables.append(bounded(layout, layout.contributions(who, drawn), plan))
    pooled, counts = np.unique(np.concatenate(items), return_counts=True)
    top = np.argsort(-counts)[:10]
    found = layout.counts(added_in_secret(tables), pooled[top])
    error = np.sqrt((counts.astype(float) ** 2).sum() / layout.width)
    assert np.abs(found - counts[top]).max() < 3 * error
    pooled_rows = layout.contributions(np.arange(6_000), np.concatenate(items))
    assert (np.bincount(pooled_rows.keys[STATISTIC], pooled_rows.value, minlength=len(layout.codes)) == sum(tables)).all()


def test_bad_sketches_are_refused():
    for wrong in ({"width": 0}, {"width": 8, "depth": 4}, {"width": 8, "max_items": 1_000}):
        with pytest.raises(UnknownValueError):
            SketchLayout(**wrong)
    with pytest.raises(WrongTypeError):
        SketchLayout(width=8).counts([0.0] * 7, [1])


def test_the_guides_example_runs(capsys):
    page = (Path(__file__).parents[2] / "docs" / "joint-learning.md").read_text()
    (example,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    exec(compile(example, "joint-learning.md", "exec"), {})
    assert capsys.readouterr().out == "[3.] 2.0\n"
