"""Small worlds to test the engine on."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import numpy as np

from oneteam.epidemic.engine.ensemble import Trajectories, initial_state, run_ensemble
from oneteam.epidemic.engine.plan import Commuting, Course, World, ordinary_course
from oneteam.epidemic.engine.preparation import prepare
from oneteam.epidemic.engine.transmission import transmission_of
from oneteam.epidemic.models.bands import Ages
from oneteam.epidemic.models.compiled_model import CompiledModel, compile_model
from oneteam.epidemic.models.document import ModelDocument, parse
from oneteam.epidemic.models.presets import preset, preset_text

DAY = date(2020, 3, 2)


def world(zones: int = 4, ages: int = 3, people: int = 20_000, seed: int = 1, share: float = 0.3) -> World:
    rng = np.random.default_rng(seed)
    population = rng.integers(people // 2, people, (zones, ages))
    contacts = {}
    for setting in ("home", "school", "work", "community"):
        half = rng.gamma(2.0, 1.0, (ages, ages))
        contacts[setting] = (half + half.T) / population.sum(0)[None] * 0 + (half + half.T)
    others = [np.delete(np.arange(zones), z) for z in range(zones)]
    weights = rng.exponential(1.0, (zones, zones - 1)) if zones > 1 else np.zeros((1, 0))
    shares = share * weights / np.maximum(weights.sum(1, keepdims=True), 1e-9)
    start = np.arange(zones + 1, dtype=np.int32) * (zones - 1)
    commuting = Commuting(start, np.concatenate(others).astype(np.int32), shares.reshape(-1))
    return World(
        tuple(f"{z:02d}" for z in range(zones)), Ages(tuple(range(0, 20 * ages, 20))), population, contacts, commuting, np.ones(ages)
    )


def seir(**changes: float) -> ModelDocument:
    text = preset_text("seir")
    for days in ("latent", "infectious"):
        if days in changes:
            text = text.replace(f"days = {'4.0' if days == 'latent' else '5.0'}", f"days = {changes[days]}")
    return parse(text, ModelDocument, "seir")


def compiled(w: World, days: int, document: ModelDocument | str = "seir") -> CompiledModel:
    return compile_model(preset(document) if isinstance(document, str) else document, w.ages, DAY, days)


def simulate(
    w: World,
    days: int = 60,
    document: ModelDocument | str = "seir",
    *,
    r0: float = 2.0,
    infected: int = 20,
    members: int = 16,
    seed: int = 1,
    course: Course | None = None,
    exact: bool = False,
    threads: int = 2,
    transmission: float | None = None,
) -> Trajectories:
    model = compiled(w, days, document)
    start = np.zeros_like(w.population)
    start[0] = np.minimum(infected, w.population[0])
    beta = transmission_of(w, model, r0) if transmission is None else transmission
    plan = prepare(w, course or ordinary_course(w, DAY, days), model, beta)
    state = initial_state(model, w.population, start)
    return run_ensemble(model, plan, state, DAY, members=members, seed=seed, exact=exact, threads=threads)


def alone(w: World, zone: int) -> World:
    """One zone of a world by itself."""
    empty = Commuting(np.zeros(2, np.int32), np.zeros(0, np.int32), np.zeros(0))
    return replace(w, zones=(w.zones[zone],), population=w.population[zone : zone + 1], commuting=empty)
