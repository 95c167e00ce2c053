"""A scenario over tables of mobility that are drawn from the Releases' stated uncertainty.

Members are split over the draws. Member k meets the same table and the same random numbers with the measures and without them, so that the
difference between the two is the measures' alone; between members, chance and what is not known of mobility both vary.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from scipy.stats import norm

from oneteam.app.study.mobility import Trips
from oneteam.core.errors import UnknownValueError
from oneteam.core.progress import Progress, silent
from oneteam.epidemic.engine.commuting import commuting_by_period
from oneteam.epidemic.engine.ensemble import Trajectories
from oneteam.epidemic.engine.movement import carried_days
from oneteam.epidemic.engine.plan import Commuting
from oneteam.epidemic.engine.scenario import Scenario
from oneteam.epidemic.engine.summary import Averted
from oneteam.epidemic.service.scenario import write_comparison
from oneteam.epidemic.service.simulate import Prepared, prepare_scenario, write_json
from oneteam.stats.random import key_of, normals

Floats = npt.NDArray[np.float64]

MOBILITY_STREAM: Final = 71
MEMBER_STREAM: Final = 72
"""Numbers of the streams of random numbers below a study's seed."""
NO_TRIPS: Final = "No trips were given"


@dataclass(frozen=True)
class Compared:
    """What a scenario changes, as ``comparison.json`` has it.

    Args:
        files: in the folder.
        averted: by quantity.
        notes: assumptions and repairs.
        draws: tables of mobility.
    """

    files: tuple[str, ...]
    averted: dict[str, Averted]
    notes: tuple[str, ...]
    draws: int


def compare_over_draws(
    scenario: Scenario,
    folder: Path,
    out: Path,
    trips: Trips | None = None,
    draws: int = 8,
    *,
    threads: int = 2,
    plots: bool = True,
    progress: Progress = silent,
) -> Compared:
    """Run a scenario with and without its measures over draws of mobility, and write what `compare_scenario` writes.

    Args:
        scenario: the document.
        folder: what its paths are relative to.
        out: folder to write into.
        trips: of the Releases, over the scenario's zones in its files' order; None takes the scenario's own trips as they are.
        draws: tables of mobility; one where nothing is uncertain.
        threads: blocks of members at the same time; changes no number.
        plots: also draw.
        progress: told of members done.

    Raises:
        UnknownValueError: no measures, or other zones than the trips'.
        InputError: a file or a value that cannot be used.
    """
    if not scenario.measures:
        raise UnknownValueError("the scenario has no measures to compare", hint="Add [[measures]].")
    runs = [prepare_scenario(scenario, folder)] if trips is None else _over_draws(scenario, folder, trips, draws)
    total, done = 2 * scenario.run.members, 0
    found: list[list[Trajectories]] = [[], []]
    for prepared in runs:
        for half, measures in enumerate(((), scenario.measures)):
            found[half].append(prepared.run(measures, threads=threads, progress=_part(progress, done, total)))
            done += prepared.scenario.run.members
    baseline, changed = (joined(each) for each in found)
    whole = replace(runs[0], scenario=scenario)
    averted, files = write_comparison(whole, baseline, changed, folder, out, plots=plots)
    result = Compared(tuple(files), averted, whole.loaded.notes, len(runs))
    body: dict[str, Any] = {"out": out.name, **asdict(result)}
    write_json(out / "comparison.json", body)
    return result


def _part(progress: Progress, before: float, total: float) -> Progress:
    """The progress of one part of a whole."""
    return lambda step, done, _: progress(step, before + done, total)


def _over_draws(scenario: Scenario, folder: Path, trips: Trips, draws: int) -> list[Prepared]:
    """One prepared run for each draw, with its share of the members and its own random numbers."""
    bare = scenario.model_copy(update={"world": scenario.world.model_copy(update={"od": None, "od_files": ()})})
    prepared = prepare_scenario(bare, folder)
    loaded = prepared.loaded
    if loaded.world.zones != trips.zones:
        raise UnknownValueError("the trips' zones are not the scenario's")
    people = loaded.world.population.sum(axis=1).astype(np.float64)
    count = max(1, min(draws, scenario.run.members)) if trips.uncertain else 1
    notes = [note for note in loaded.notes if not note.startswith(NO_TRIPS)]
    step = min(trips.days)
    if trips.firsts[0] is not None:
        notes += carried_days(trips.firsts, step, scenario.run.first_day, scenario.run.days, "The number of trips")
    if trips.uncertain:
        notes.append(f"Mobility is uncertain by the noise of the Releases: members are split over {count} tables drawn from it.")
    shares = [scenario.run.members // count + (i < scenario.run.members % count) for i in range(count)]
    made = []
    for number, share in enumerate(shares):
        commuting, told = _commuting(trips, draw_of(trips, scenario.run.seed, number) if trips.uncertain else trips.mean, people)
        if number == 0:
            notes += told
        run = scenario.run.model_copy(
            update={"members": share, "seed": _seed(scenario.run.seed, number) if count > 1 else scenario.run.seed}
        )
        world = replace(loaded.world, commuting=commuting)
        made.append(
            replace(
                prepared,
                scenario=scenario.model_copy(update={"run": run}),
                loaded=replace(loaded, world=world, notes=tuple(notes)),
            )
        )
    return [replace(each, loaded=replace(each.loaded, notes=tuple(notes))) for each in made]


def _seed(seed: int, number: int) -> int:
    return int(key_of(seed, MEMBER_STREAM, number)) >> 1


def _commuting(trips: Trips, tables: Floats, people: Floats) -> tuple[Commuting, list[str]]:
    found = commuting_by_period(list(tables), list(trips.firsts), people)
    notes = [f"{len(found.capped)} zone(s) had too many trips for their residents, and were capped."] if found.capped else []
    return found.commuting, notes


def draw_of(trips: Trips, seed: int, number: int) -> Floats:
    """One table of mobility, (P, Z, Z): normal, none negative, and with the estimates as its mean.

    Cutting off what is negative would raise the many small flows; each is scaled by how much.

    Args:
        trips: estimates and their standard deviation.
        seed: of the study.
        number: of the draw.
    """
    normal = normals(key_of(seed, MOBILITY_STREAM, number), 0, trips.mean.size).reshape(trips.mean.shape)
    cut = np.maximum(trips.mean + trips.std * normal, 0.0)
    return np.asarray(cut * _unbiased(trips.mean, trips.std))


def _unbiased(mean: Floats, std: Floats) -> Floats:
    """The mean over that of a normal number whose negative part is cut off.

    >>> [round(float(x), 3) for x in _unbiased(np.array([10.0, 0.0, 1.0]), np.array([1.0, 1.0, 1.0]))]
    [1.0, 0.0, 0.923]
    """
    ratio = np.divide(mean, std, out=np.full(mean.shape, np.inf), where=std > 0)
    with np.errstate(invalid="ignore"):
        above = np.where(np.isfinite(ratio), norm.cdf(ratio) + norm.pdf(ratio) / np.where(ratio > 0, ratio, 1.0), 1.0)
    return np.asarray(np.where(mean > 0, 1.0 / np.where(mean > 0, above, 1.0), 0.0))


def joined(found: Sequence[Trajectories]) -> Trajectories:
    """Members of several runs one after another."""
    if len(found) == 1:
        return found[0]
    first = found[0]

    def all_of(name: str, of: str) -> npt.NDArray[np.int32]:
        return np.concatenate([getattr(each, name)[of] for each in found])

    return Trajectories(
        first.first_day,
        {of: all_of("flows", of) for of in first.flows},
        {of: all_of("flows_by_age", of) for of in first.flows_by_age},
        {of: all_of("stocks", of) for of in first.stocks},
        np.concatenate([each.final for each in found]),
    )
