"""What must hold of any simulation."""

from __future__ import annotations

import ast
import inspect
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import solve_ivp
from scipy.optimize import brentq

from oneteam.core.errors import OutOfMemoryError, UnknownValueError
from oneteam.epidemic.engine import force, kernel
from oneteam.epidemic.engine.ensemble import initial_state
from oneteam.epidemic.engine.plan import Commuting, ordinary_course
from oneteam.epidemic.engine.transmission import next_generation, transmission_of
from tests.epidemic.engine.worlds import DAY, alone, compiled, seir, simulate, world

MODELS = st.sampled_from(["seir", "covid19", "influenza"])


@settings(max_examples=25)
@given(
    zones=st.integers(1, 5),
    ages=st.integers(1, 9),
    people=st.integers(2, 50_000),
    r0=st.floats(0.1, 30.0),
    document=MODELS,
    exact=st.booleans(),
    doses=st.floats(0.0, 2.0),
    imports=st.floats(0.0, 0.1),
    seed=st.integers(0, 2**40),
)
def test_people_are_conserved_and_never_negative(zones, ages, people, r0, document, exact, doses, imports, seed) -> None:
    w = world(zones, ages, people, seed=seed % 1000)
    course = ordinary_course(w, DAY, 25)
    course = replace(course, vaccination=course.vaccination + np.float32(doses), importation=course.importation + np.float32(imports))
    found = simulate(w, 25, document, r0=r0, infected=3, members=5, seed=seed, course=course, exact=exact)
    assert (found.final.sum(axis=1) == w.population).all()
    assert found.final.min() >= 0
    assert all(counts.min() >= 0 for counts in (*found.flows.values(), *found.stocks.values()))
    for name, counts in found.flows.items():
        assert (counts.sum(axis=2) == found.flows_by_age[name].sum(axis=2)).all()


@pytest.mark.parametrize("exact", [False, True], ids=["fast", "exact"])
def test_flows_and_states_tell_the_same(exact) -> None:
    w = world()
    found = simulate(w, 60, exact=exact)
    susceptible = found.final[:, 0].sum(axis=(1, 2))
    started = 20 * len(w.ages)
    assert (found.flows["infections"].sum(axis=(1, 2)) == w.population.sum() - started - susceptible).all()


@given(document=MODELS, exact=st.booleans())
@settings(max_examples=6)
def test_zero_transmission_stays_zero(document, exact) -> None:
    found = simulate(world(), 40, document, transmission=0.0, exact=exact)
    assert found.flows["infections"].sum() == 0
    assert found.flows["cases"].sum() > 0


@pytest.mark.parametrize("exact", [False, True], ids=["fast", "exact"])
def test_nobody_infected_nobody_catches_it(exact) -> None:
    assert simulate(world(), 30, infected=0, exact=exact).flows["infections"].sum() == 0


def test_uncoupled_zones_are_separate() -> None:
    """Without commuting the infection stays where it is, and the zone does as if it were alone."""
    w = world(zones=2)
    apart = replace(w, commuting=Commuting(np.zeros(3, np.int32), np.zeros(0, np.int32), np.zeros(0)))
    beta = transmission_of(w, compiled(w, 60), 2.5)
    both = simulate(apart, 60, transmission=beta, members=32)
    assert both.flows["infections"][:, :, 1].sum() == 0
    one = simulate(alone(w, 0), 60, transmission=beta, members=32)
    # A counter depends on the zone's place and on the number of ages, both the same here: the runs are equal, not only alike.
    assert (both.flows["infections"][:, :, 0] == one.flows["infections"][:, :, 0]).all()


def test_coupled_zones_catch_it() -> None:
    assert (simulate(world(), 60, members=16).flows["infections"].sum(axis=1)[:, 1:] > 0).all()


def test_an_empty_zone_stays_empty() -> None:
    w = world()
    population = w.population.copy()
    population[2] = 0
    found = simulate(replace(w, population=population), 40)
    assert found.flows["infections"][:, :, 2].sum() == 0
    assert (found.final[:, :, 2] == 0).all()


def test_numbers_do_not_depend_on_threads_or_on_how_many_members_there_are() -> None:
    w = world()
    runs = [simulate(w, 40, members=m, threads=t) for m, t in ((40, 1), (40, 2), (7, 2))]
    assert (runs[0].flows["infections"] == runs[1].flows["infections"]).all()
    assert (runs[0].final == runs[1].final).all()
    assert (runs[0].flows["infections"][:7] == runs[2].flows["infections"]).all()
    assert (simulate(w, 40, seed=2, members=7).flows["infections"] != runs[2].flows["infections"]).any()


def test_members_differ() -> None:
    totals = simulate(world(), 60, members=32).flows["infections"].sum(axis=(1, 2))
    assert len(set(totals.tolist())) > 25


def test_common_random_numbers_leave_what_a_measure_does_not_touch() -> None:
    """Until a measure begins the runs are equal; afterwards their difference varies far less than that of unpaired runs."""
    w = world(people=60_000)
    course = ordinary_course(w, DAY, 70)
    later = replace(course, transmission=course.transmission.copy())
    later.transmission[40:] *= 0.9
    a = simulate(w, 70, members=64, course=course).flows["infections"].sum(axis=2)
    b = simulate(w, 70, members=64, course=later).flows["infections"].sum(axis=2)
    unpaired = simulate(w, 70, members=64, course=later, seed=99).flows["infections"].sum(axis=2)
    assert (a[:, :40] == b[:, :40]).all()
    paired = (a - b).sum(axis=1)
    assert (paired > 0).all()
    assert paired.var() < 0.2 * (a - unpaired).sum(axis=1).var()


def test_large_populations_follow_the_differential_equations() -> None:
    """With stays of many days a day is a short step, and in a large population chance averages out."""
    w = world(zones=1, ages=1, people=2_000_000_000)
    latent, infectious, r0, days = 80.0, 100.0, 2.5, 900
    document = seir(latent=latent, infectious=infectious)
    n = float(w.population[0, 0])
    found = simulate(w, days, document, r0=r0, infected=int(n // 1000), members=16)

    def slope(_, y):
        s, e, i = y
        force = r0 / infectious * s * i / n
        return [-force, force - e / latent, e / latent - i / infectious]

    exact = solve_ivp(slope, (0, days), [n - n // 1000, n // 1000, 0], t_eval=np.arange(1, days + 1), rtol=1e-8, method="LSODA")
    susceptible = n - n // 1000 - np.cumsum(found.flows["infections"][:, :, 0].astype(float), axis=1)
    assert np.abs(susceptible.mean(axis=0) - exact.y[0]).max() / n < 0.01


@pytest.mark.parametrize("exact", [False, True], ids=["fast", "exact"])
def test_the_final_size_relation_holds(exact) -> None:
    """log(S_end / S_0) = -R0 (R_end / N): exact for this model too, since a stay of mean d is d days of contacts."""
    w = world(zones=1, ages=1, people=4_000_000)
    n = float(w.population[0, 0])
    for r0 in (1.5, 2.5, 5.0):
        found = simulate(w, 500, r0=r0, infected=1000, members=16, exact=exact)
        share = found.final[:, 0, 0, 0] / n
        expected = brentq(lambda s, r=r0: np.log(s / (1 - 1000 / n)) + r * (1 - s), 1e-9, 1 - 1e-4)
        assert share.mean() == pytest.approx(expected, abs=0.004)


def test_with_several_ages_the_final_size_follows_the_contact_matrix() -> None:
    w = world(zones=1, ages=3, people=3_000_000)
    both = {
        name: (c * w.population[0][:, None] + (c * w.population[0][:, None]).T) / 2 / w.population[0][:, None]
        for name, c in w.contacts.items()
    }
    w = replace(w, contacts=both)
    model = compiled(w, 500)
    beta = transmission_of(w, model, 2.0)
    found = simulate(w, 500, r0=2.0, infected=500, members=16)
    start = 1 - 500 / w.population[0]
    meeting = beta * sum(both.values()) * 5.0
    share = np.full(3, 0.3)
    for _ in range(2000):
        share = start * np.exp(-meeting @ (1 - share))
    assert found.final[:, 0, 0].mean(axis=0) / w.population[0] == pytest.approx(share, abs=0.006)


def test_the_reproduction_number_is_the_growth_at_the_start() -> None:
    """With a latent period and an infectious stay of geometric length the growth rate follows from the number."""
    w = world(zones=3, ages=3, people=20_000_000, share=0.0)
    w = replace(w, commuting=Commuting(np.zeros(4, np.int32), np.zeros(0, np.int32), np.zeros(0)))
    found = simulate(alone(w, 0), 40, r0=3.0, infected=200, members=64)
    cases = found.flows["infections"].sum(axis=2).mean(axis=0)
    growth = np.log(cases[32] / cases[20]) / 12
    g = np.exp(growth)
    # Euler-Lotka with geometric stays: 1/R = sum over days of the infectious share times g**-day.
    latent, infectious = (1 / 4) / (g - 1 + 1 / 4), (1 / 5) / (g - 1 + 1 / 5)
    assert 1 / (latent * infectious) == pytest.approx(3.0, rel=0.03)


def test_fast_and_exact_agree_in_distribution() -> None:
    w = world(people=3000)
    fast, exact = (simulate(w, 80, members=320, exact=e, seed=s).flows["infections"].sum(axis=(1, 2)) for e, s in ((False, 5), (True, 6)))
    standard_error = np.sqrt(fast.var() / 320 + exact.var() / 320)
    assert abs(fast.mean() - exact.mean()) < 4 * standard_error
    assert fast.std() == pytest.approx(exact.std(), rel=0.2)


def test_commuting_mixes_as_the_equations_say() -> None:
    """Two zones, everybody away by day, no contacts at home: whoever lives in one catches it in the other."""
    w = world(zones=2, ages=1, people=1_000_000)
    swap = Commuting(np.array([0, 1, 2], np.int32), np.array([1, 0], np.int32), np.array([1.0, 1.0]))
    w = replace(
        w, population=np.array([[500_000], [500_000]]), commuting=swap, contacts={"home": np.zeros((1, 1)), "work": np.ones((1, 1))}
    )
    found = simulate(w, 20, infected=1000, members=32, r0=3.0).flows["infections"].sum(axis=1)
    # Only residents of zone 0 are in zone 1 by day: they infect each other there, and nobody else.
    assert (found[:, 0] > 500).all()
    assert (found[:, 1] == 0).all()


def test_what_cannot_be_run() -> None:
    w = world()
    model = compiled(w, 10)
    with pytest.raises(UnknownValueError, match="zone 0, age 0-19"):
        initial_state(model, w.population, w.population * 2)
    with pytest.raises(UnknownValueError, match="at least 1"):
        simulate(w, 10, members=0)
    with pytest.raises(OutOfMemoryError, match="GiB"):
        simulate(w, 3000, members=90_000)
    nobody = replace(w, contacts={"home": np.zeros((3, 3))})
    with pytest.raises(UnknownValueError, match="no contacts"):
        transmission_of(nobody, model, 2.0)
    assert next_generation(w, model).shape == (3, 3)


@pytest.mark.parametrize("module", [force, kernel], ids=lambda module: module.__name__)
def test_no_loop_is_compiled_anew_for_a_plain_number(module) -> None:
    """Numba compiles a function once more for a literal; the samplers take most of the time of a first call."""
    calls = [node for node in ast.walk(ast.parse(inspect.getsource(module))) if isinstance(node, ast.Call)]
    loops = [c for c in calls if isinstance(c.func, ast.Name) and hasattr(getattr(module, c.func.id, None), "py_func")]
    assert len(loops) > 8
    literal = [ast.unparse(call) for call in loops if any(isinstance(a, ast.Constant) and type(a.value) is int for a in call.args)]
    assert literal == []
