"""Measures by age, trips that are cut once, commuting that changes over time, and what a reproduction number refers to."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from oneteam.core.errors import UnknownValueError
from oneteam.epidemic.engine.commuting import commuting_by_period, commuting_of
from oneteam.epidemic.engine.ensemble import initial_state, run_ensemble
from oneteam.epidemic.engine.measures import Border, Isolation, Masks, MobilityCut, WorkFromHome, apply_measures
from oneteam.epidemic.engine.movement import Movement, carried_days, with_movement
from oneteam.epidemic.engine.plan import CommutingPeriod, holding_on, ordinary_course
from oneteam.epidemic.engine.preparation import prepare
from oneteam.epidemic.engine.transmission import next_generation, transmission_of
from oneteam.epidemic.models.compiled_model import compile_model
from oneteam.epidemic.models.document import ModelDocument, parse
from oneteam.epidemic.models.presets import preset, preset_text
from tests.epidemic.engine.worlds import DAY, compiled, seir, simulate, world

W = world()  # ages 0-19, 20-39, 40 and older
EVERY_KIND = [
    Isolation.model_validate({"kind": "isolation", "from": DAY, "share": 0.5, "ages": (20, 39)}),
    Border.model_validate({"kind": "border", "from": DAY, "reduction": 0.5, "ages": (20, 39)}),
    MobilityCut.model_validate({"kind": "mobility", "from": DAY, "reduction": 0.5, "ages": (20, 39)}),
    WorkFromHome.model_validate({"kind": "work_from_home", "from": DAY, "share": 0.5, "ages": (20, 39)}),
    Masks.model_validate({"kind": "masks", "from": DAY, "coverage": 1.0, "effectiveness": 0.5, "ages": (20, 39)}),
]


def changed(measure, w=W, days=5):
    course = ordinary_course(w, DAY, days)
    course = replace(course, importation=course.importation + np.float32(0.01))
    return course, apply_measures(course, w, [measure])


@pytest.mark.parametrize("measure", EVERY_KIND, ids=lambda m: m.kind)
def test_every_measure_honours_ages(measure) -> None:
    before, after = changed(measure)
    arrays = ("isolation", "importation", "travel")
    pairs = [(getattr(before, name), getattr(after, name)) for name in arrays] + [
        (before.settings[n], after.settings[n]) for n in W.contacts
    ]
    assert any((b[:, :, 1] != a[:, :, 1]).all() for b, a in pairs)
    assert all((b[:, :, [0, 2]] == a[:, :, [0, 2]]).all() for b, a in pairs)
    assert after.cuts == ()
    assert (after.origin == before.origin).all()


@pytest.mark.parametrize("measure", EVERY_KIND, ids=lambda m: m.kind)
def test_ages_without_age_groups_are_refused(measure) -> None:
    with pytest.raises(UnknownValueError, match=rf"measures\[0\] \({measure.kind}\): is limited to ages 20 to 39"):
        changed(measure, world(ages=1))


def test_isolation_of_everybody_of_an_age_leaves_the_others_infectious() -> None:
    model = compiled(W, 60, "covid19")
    beta = transmission_of(W, model, 2.5)
    course = ordinary_course(W, DAY, 60)

    def infections(ages):
        measure = Isolation.model_validate({"kind": "isolation", "from": DAY, "share": 0.9, "ages": ages})
        return simulate(W, 60, "covid19", course=apply_measures(course, W, [measure]), transmission=beta).flows["infections"].sum()

    none = simulate(W, 60, "covid19", course=course, transmission=beta).flows["infections"].sum()
    assert infections(None) < infections((0, 39)) < infections((0, 19)) < none


def test_a_border_for_an_age_stops_imports_of_that_age_alone() -> None:
    course, closed = changed(Border.model_validate({"kind": "border", "from": DAY, "reduction": 1.0, "ages": (0, 19)}))
    found = simulate(W, 5, infected=0, transmission=0.0, course=closed).flows_by_age["infections"].sum(axis=(0, 1))
    assert found[0] == 0
    assert (found[1:] > 0).all()
    assert (simulate(W, 5, infected=0, transmission=0.0, course=course).flows_by_age["infections"].sum(axis=(0, 1)) > 0).all()


def test_a_cut_of_all_trips_is_a_cut_by_as_much() -> None:
    """A trip between two of the zones is cut once, not at both ends."""
    model = compiled(W, 5)
    for zones, factor in (((), 0.7), (("00", "01"), None)):
        measure = MobilityCut.model_validate({"kind": "mobility", "from": DAY, "reduction": 0.3, "zones": zones})
        course, cut = changed(measure)
        plain, less = (prepare(W, c, model, 0.1) for c in (course, cut))
        ratio = less.out_share[less.mobility[0]] / plain.out_share[plain.mobility[0]]
        if factor is not None:
            assert ratio == pytest.approx(0.7)
        else:
            touched = (W.commuting.origin < 2) | (W.commuting.zone < 2)
            assert ratio[touched] == pytest.approx(0.7)
            assert ratio[~touched] == pytest.approx(1.0)


def test_travel_that_differs_by_zone_gives_what_equal_travel_gives() -> None:
    """Two ways lead to the same force of infection: travel by zone, and the same factor on leaving."""
    w = world(people=200_000)
    course = ordinary_course(w, DAY, 40)
    by_travel, by_origin = replace(course, travel=course.travel.copy()), replace(course, origin=course.origin.copy())
    by_travel.travel[:, 1] *= np.float32(0.5)
    by_origin.origin[:, 1] *= np.float32(0.5)
    model = compiled(w, 40)
    one, other = prepare(w, by_travel, model, 0.1), prepare(w, by_origin, model, 0.1)
    assert one.travel_differs.tolist() == [1]
    assert other.travel_differs.tolist() == [0]
    assert one.per_present == pytest.approx(other.per_present, rel=1e-5)
    a, b = (simulate(w, 40, course=c, members=64).flows["infections"].sum(axis=1).mean(axis=0) for c in (by_travel, by_origin))
    assert a == pytest.approx(b, rel=0.02)
    plain = simulate(w, 40, course=course, members=64).flows["infections"].sum(axis=1).mean(axis=0)
    assert abs(plain[1] - a[1]) > 0.03 * a[1]


@given(factor=st.floats(0.0, 5.0), travel=st.floats(0.0, 3.0))
def test_nobody_is_away_for_more_than_the_day(factor, travel) -> None:
    w = replace(world(share=0.8), travel=np.array([0.3, travel, 0.7]))
    moved = with_movement(ordinary_course(w, DAY, 3), Movement((DAY,), np.full((1, 4), factor)))
    plan = prepare(w, moved, compiled(w, 3), 0.1)
    assert (plan.away[:, :, None] * plan.travel).max() <= 1 + 1e-5
    assert (plan.per_present >= 0).all()
    present = (1 / plan.per_present[0].astype(float)).sum()
    assert present == pytest.approx(w.population.sum(), rel=1e-5)


def test_movement_scales_all_trips_by_as_much_as_it_falls() -> None:
    weeks = Movement((DAY, DAY + timedelta(days=7)), np.array([[1.0] * 4, [0.8] * 4]))
    course = with_movement(ordinary_course(W, DAY, 14), weeks)
    plan = prepare(W, course, compiled(W, 14), 0.1)
    assert len(plan.out_share) == 2
    away = plan.away[plan.mobility]
    assert away[7:] == pytest.approx(0.8 * away[:7])


def test_commuting_changes_on_its_days() -> None:
    later = CommutingPeriod(DAY + timedelta(days=30), np.zeros_like(W.commuting.share))
    still = replace(W, commuting=replace(W.commuting, periods=(CommutingPeriod(DAY, np.zeros_like(W.commuting.share)),)))
    opened = CommutingPeriod(DAY + timedelta(days=30), W.commuting.share)
    then = replace(still, commuting=replace(still.commuting, periods=(*still.commuting.periods, opened)))
    assert simulate(still, 60).flows["infections"][:, :, 1:].sum() == 0
    found = simulate(then, 60).flows["infections"]
    assert found[:, :30, 1:].sum() == 0
    assert (found[:, 30:, 1:].sum(axis=(0, 1)) > 0).all()
    same = replace(W, commuting=replace(W.commuting, periods=(CommutingPeriod(DAY, W.commuting.share), later)))
    assert (simulate(same, 30).final == simulate(W, 30).final).all()


def test_periods_of_equal_trips_are_commuting_without_periods() -> None:
    rng = np.random.default_rng(1)
    trips, people = rng.exponential(100.0, (6, 6)), np.full(6, 3000.0)
    plain = commuting_of(trips, people)
    dated = commuting_by_period([trips, trips * 0.5], [DAY, DAY + timedelta(days=1)], people)
    assert (dated.commuting.zone == plain.commuting.zone).all()
    assert dated.commuting.periods[1].share * 2 == pytest.approx(dated.commuting.periods[0].share)
    assert dated.commuting.periods[0].share == pytest.approx(plain.commuting.share)


def test_which_days_are_carried() -> None:
    weeks = (date(2020, 3, 2), date(2020, 3, 9))
    assert carried_days(weeks, 7, date(2020, 3, 2), 14, "Movement") == []
    assert "begins on 2020-03-02" in carried_days(weeks, 7, date(2020, 2, 1), 5, "Movement")[0]
    assert "2020-03-16 to 2020-03-16" in carried_days(weeks, 7, date(2020, 3, 2), 15, "Movement")[0]
    assert holding_on(weeks, date(2020, 3, 1), 20).tolist() == [0] * 8 + [1] * 12


@pytest.mark.parametrize("name", ["covid19", "influenza"])
def test_a_reproduction_number_of_the_first_day_holds_on_it(name: str) -> None:
    """Whatever season and variants are: the matrix of that day has the number as its largest eigenvalue."""
    w = world()
    day = date(2022, 2, 1)
    model = compile_model(preset(name), w.ages, day, 5)
    beta = transmission_of(w, model, 1.7, first_day=day)
    plan = prepare(w, ordinary_course(w, day, 5), model, beta)
    radius = np.abs(np.linalg.eigvals(next_generation(w, model, int(model.epoch[0])))).max()
    assert float(plan.transmission[0, 0]) * radius == pytest.approx(1.7, rel=1e-5)
    basic = transmission_of(w, model, 1.7)
    assert abs(basic / beta - 1) > 0.05


VARIANT = """
[[variants]]
name = "brief"
day = 2018-01-01
transmissibility = 1.6
days = { I = 0.5 }
"""


def test_growth_at_the_start_is_that_of_the_first_days_number() -> None:
    """A variant that has long taken over, with shorter stays: as the model that has those stays as written, at the same number."""
    w = world(people=3_000_000)
    with_variant = parse(preset_text("seir") + VARIANT, ModelDocument, "seir")
    growth = []
    for document in (with_variant, seir(infectious=2.5)):
        model = compile_model(document, w.ages, DAY, 40)
        beta = transmission_of(w, model, 2.0, first_day=DAY)
        start = np.full_like(w.population, 500)
        plan = prepare(w, ordinary_course(w, DAY, 40), model, beta)
        found = run_ensemble(model, plan, initial_state(model, w.population, start), DAY, members=32, seed=1)
        cases = found.flows["infections"].sum(axis=2).mean(axis=0)
        growth.append(np.log(cases[25] / cases[15]) / 10)
    assert growth[0] > 0.05
    assert growth[0] == pytest.approx(growth[1], rel=0.02)
