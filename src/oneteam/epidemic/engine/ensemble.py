"""Run an ensemble: blocks of 32 members, on as many threads as wanted, with the same numbers whatever their number is."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
import numpy.typing as npt

from oneteam.core.errors import OutOfMemoryError, UnknownValueError
from oneteam.core.progress import Progress, silent
from oneteam.epidemic.engine import exact_sampler, fast_sampler
from oneteam.epidemic.engine.arrays import ModelArrays, Output, PlanArrays, Scratch
from oneteam.epidemic.engine.kernel import run_block
from oneteam.epidemic.engine.lanes import LANES
from oneteam.epidemic.models.compiled_model import CompiledModel

Counts = npt.NDArray[np.int32]

MAX_OUTPUT_BYTES = 8 * 2**30
"""What the counts of one ensemble may take."""


@dataclass(frozen=True)
class Trajectories:
    """What an ensemble did. All counts are of people.

    Args:
        first_day: of the simulation.
        flows: by name, per day and output area, (members, T, areas).
        flows_by_age: by name, per day and age group over all zones, (members, T, A).
        stocks: by name, at the end of each day, (members, T, areas).
        final: people by compartment, zone and age at the end, (members, C, Z, A).
    """

    first_day: date
    flows: dict[str, Counts]
    flows_by_age: dict[str, Counts]
    stocks: dict[str, Counts]
    final: Counts

    @property
    def dates(self) -> list[date]:
        """The days, (T,)."""
        days = next(iter(self.flows_by_age.values())).shape[1]
        return [self.first_day + timedelta(days=t) for t in range(days)]


def initial_state(model: CompiledModel, population: npt.NDArray[np.int64], infected: npt.NDArray[np.int64]) -> Counts:
    """Everybody in the start compartment but those infected, who are in the seed compartment; (C, Z, A).

    Args:
        model: the model.
        population: residents, (Z, A).
        infected: of them, (Z, A).

    Raises:
        UnknownValueError: more infected people than residents, or more residents of one age in a zone than a count can hold.
    """
    if (infected > population).any() or (infected < 0).any():
        z, a = (int(i) for i in np.argwhere((infected > population) | (infected < 0))[0])
        raise UnknownValueError(
            f"zone {z}, age {model.ages.labels[a]}: {infected[z, a]} infected at the start among {population[z, a]} residents"
        )
    if population.max() >= 2**31:
        raise UnknownValueError("a zone has more than 2,147,483,647 residents of one age group", hint="Divide it into several zones.")
    names = [c.name for c in model.document.compartments]
    state = np.zeros((len(names), *population.shape), np.int32)
    state[names.index(model.document.start)] = population - infected
    state[names.index(model.document.seed)] += infected.astype(np.int32)
    return state


def run_ensemble(
    model: CompiledModel,
    plan: PlanArrays,
    initial: Counts,
    first_day: date,
    *,
    members: int,
    seed: int,
    exact: bool = False,
    threads: int = 2,
    progress: Progress = silent,
) -> Trajectories:
    """Simulate.

    Member k of a seed meets the same random numbers in every run: two plans that differ in a measure differ in its effect alone.

    Args:
        model: the model.
        plan: the world and the course.
        initial: people at the start, by compartment, zone and age, (C, Z, A), the same for all members; or (members, C, Z, A).
        first_day: of the simulation.
        members: how many.
        seed: of all random numbers.
        exact: use the exact sampler.
        threads: how many blocks run at the same time.
        progress: is told how many members are done.

    Raises:
        UnknownValueError: no members, or more zones and ages than there are counters.
        OutOfMemoryError: the counts would take more than `MAX_OUTPUT_BYTES`.
    """
    if members < 1:
        raise UnknownValueError(f"{members} members: at least 1 is needed")
    zones, ages = plan.per_person.shape
    days, areas = len(plan.mobility), int(plan.area.max()) + 1
    a = model.arrays
    if zones * ages * (len(a.group_source) + len(a.branch_target)) >= 2**32:
        raise UnknownValueError(
            f"{zones} zones x {ages} ages: too many for the counter of random numbers", hint="Simulate regions one by one."
        )
    blocks = -(-members // LANES)
    shapes = {
        "flow_area": (len(model.flows), days, areas, LANES),
        "flow_age": (len(model.flows), days, ages, LANES),
        "stock_area": (len(model.stocks), days, areas, LANES),
    }
    states = (len(model.document.compartments), zones, ages)
    needed = 4 * blocks * (sum(int(np.prod(shape)) for shape in shapes.values()) + LANES * int(np.prod(states)))
    if needed > MAX_OUTPUT_BYTES:
        raise OutOfMemoryError(
            f"{members} members x {days} days x {areas} areas need {needed / 2**30:.1f} GiB, more than {MAX_OUTPUT_BYTES / 2**30:.0f} GiB",
            hint="Count by fewer areas, or run fewer members at a time.",
        )
    counts = {name: np.zeros((blocks, *shape), np.int32) for name, shape in shapes.items()}
    final = np.empty((blocks * LANES, *states), np.int32)

    def run(block: int) -> None:
        scratch = _scratch(a, zones, ages)
        start = initial if initial.ndim == 3 else _padded(initial[block * LANES : (block + 1) * LANES])
        by_lane = np.broadcast_to(start, (LANES, *states)) if initial.ndim == 3 else start
        # (lane, compartment, zone, age) to (zone, compartment, age, lane)
        scratch.state[:] = by_lane.transpose(2, 1, 3, 0).reshape(-1)
        output = Output(days, areas, *(counts[name][block].reshape(-1) for name in shapes))
        run_block(exact, np.uint64(seed), block * LANES, 0, days, a, plan, scratch, output)
        shaped = scratch.state.reshape(zones, states[0], ages, LANES)
        final[block * LANES : (block + 1) * LANES] = shaped.transpose(3, 1, 0, 2)

    with ThreadPoolExecutor(max(1, min(threads, blocks, os.cpu_count() or 1))) as pool:
        for done, future in enumerate(as_completed([pool.submit(run, block) for block in range(blocks)]), start=1):
            future.result()
            progress("simulating", min(done * LANES, members), members)

    def by_member(name: str, index: int) -> Counts:
        """(blocks, T, X, lanes) to (members, T, X)."""
        block_first = counts[name][:, index]
        moved = block_first.transpose(0, 3, 1, 2)
        return np.asarray(moved.reshape(-1, *moved.shape[2:])[:members])

    return Trajectories(
        first_day,
        {name: by_member("flow_area", i) for i, name in enumerate(model.flows)},
        {name: by_member("flow_age", i) for i, name in enumerate(model.flows)},
        {name: by_member("stock_area", i) for i, name in enumerate(model.stocks)},
        final[:members],
    )


def _padded(states: Counts) -> Counts:
    """The last block's members, the last of them repeated to fill the lanes."""
    return np.concatenate([states, np.repeat(states[-1:], LANES - len(states), axis=0)])


def _scratch(a: ModelArrays, zones: int, ages: int) -> Scratch:
    lanes = LANES
    compartments = a.stock.shape[1]
    return Scratch(
        state=np.empty(zones * compartments * ages * lanes, np.int32),
        infectious=np.zeros(zones * ages * lanes, np.float32),
        travelling=np.zeros(zones * ages * lanes, np.float32),
        pressure=np.zeros(zones * ages * lanes, np.float32),
        mixed=np.zeros(ages * lanes, np.float32),
        hazard=np.zeros(ages * lanes, np.float32),
        source=np.zeros(ages * lanes, np.float32),
        times=np.zeros(ages, np.float32),
        plus=np.zeros(ages, np.float32),
        p32=np.zeros(ages * lanes, np.float32),
        h32=np.zeros(ages * lanes, np.float32),
        p64=np.zeros(ages * lanes),
        h64=np.zeros(ages * lanes),
        never=np.zeros(ages, np.uint8),
        always=np.ones(ages, np.uint8),
        w32=np.zeros(fast_sampler.WORK, np.float32),
        w64=np.zeros(exact_sampler.WORK),
        total=np.zeros(ages * lanes, np.int32),
        rest=np.zeros(ages * lanes, np.int32),
        other=np.zeros(ages * lanes, np.int32),
        moved=np.zeros(len(a.branch_target) * ages * lanes, np.int32),
        has_moved=np.zeros(len(a.branch_target), np.uint8),
        k0=np.zeros(lanes, np.uint32),
        k1=np.zeros(lanes, np.uint32),
        active=np.zeros(zones, np.uint8),
        under_pressure=np.zeros(zones, np.uint8),
    )
