"""Run a simulation or a scenario and write what it says: `oneteam epidemic simulate` and `scenario`."""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from oneteam.core.errors import UnknownValueError
from oneteam.core.progress import Progress, silent
from oneteam.epidemic.engine.ensemble import Trajectories, initial_state, run_ensemble
from oneteam.epidemic.engine.measures import AnyMeasure, apply_calendar, apply_measures, zones_of
from oneteam.epidemic.engine.movement import WEEK_D, carried_days, with_movement
from oneteam.epidemic.engine.plan import Course, World, ordinary_course
from oneteam.epidemic.engine.preparation import prepare
from oneteam.epidemic.engine.scenario import Scenario
from oneteam.epidemic.engine.summary import LEVELS, Interval, quantiles_by_day
from oneteam.epidemic.engine.transmission import transmission_of
from oneteam.epidemic.models.compiled_model import CompiledModel, compile_model
from oneteam.epidemic.models.document import ModelDocument, parse
from oneteam.epidemic.models.presets import preset
from oneteam.epidemic.service.world import Loaded, load_world
from oneteam.store.rows import read_text
from oneteam.store.tables import write_atomically, write_parquet

Counts = npt.NDArray[np.int32]

ARRIVED: Final = 0.001
"""The share of residents infected at which an epidemic counts as having arrived."""


@dataclass(frozen=True)
class Prepared:
    """A scenario with its files read.

    Args:
        scenario: the document.
        loaded: the world.
        model: the model.
        course: calendar and background measures.
        initial: people at the start, (C, Z, A).
        transmission: infections per contact.
    """

    scenario: Scenario
    loaded: Loaded
    model: CompiledModel
    course: Course
    initial: Counts
    transmission: float

    def run(self, measures: tuple[AnyMeasure, ...] = (), *, threads: int = 2, progress: Progress = silent) -> Trajectories:
        """Simulate under further measures; the same members meet the same random numbers whatever the measures."""
        world, run = self.loaded.world, self.scenario.run
        course = apply_measures(self.course, world, measures)
        plan = prepare(world, course, self.model, self.transmission)
        return run_ensemble(
            self.model,
            plan,
            self.initial,
            run.first_day,
            members=run.members,
            seed=run.seed,
            exact=run.sampler == "exact",
            threads=threads,
            progress=progress,
        )


def read_scenario(path: Path) -> Scenario:
    """A scenario from its file.

    Raises:
        FileUnreadableError, EncodingError, DocumentError: it cannot be read; the path of a bad key is named.
    """
    return parse(read_text(path), Scenario, str(path))


def read_model(scenario: Scenario, folder: Path) -> ModelDocument:
    """The scenario's model document."""
    if scenario.model.preset is not None:
        return preset(scenario.model.preset)
    assert scenario.model.file is not None
    path = folder / scenario.model.file
    return parse(read_text(path), ModelDocument, str(path))


def prepare_scenario(scenario: Scenario, folder: Path) -> Prepared:
    """Read a scenario's files and bring everything to the engine's form.

    Args:
        scenario: the document.
        folder: what its paths are relative to.

    Raises:
        InputError: a file or a value that cannot be used.
    """
    loaded = load_world(scenario.world, folder)
    world, run = loaded.world, scenario.run
    model = compile_model(read_model(scenario, folder), world.ages, run.first_day, run.days)
    transmission = transmission_of(
        world,
        model,
        scenario.model.reproduction_number or model.document.reproduction_number,
        first_day=run.first_day if scenario.model.reproduction_number_is == "on_first_day" else None,
    )
    course = apply_calendar(ordinary_course(world, run.first_day, run.days), scenario.calendar)
    notes = list(loaded.notes)
    if loaded.trip_days is not None:
        notes += carried_days(*loaded.trip_days, run.first_day, run.days, "The number of trips")
    if loaded.movement is not None:
        course = with_movement(course, loaded.movement)
        notes += carried_days(loaded.movement.firsts, WEEK_D, run.first_day, run.days, "Movement")
    loaded = replace(loaded, notes=tuple(notes))
    course = _with_imports(course, world, scenario)
    course = apply_measures(course, world, scenario.background)
    return Prepared(scenario, loaded, model, course, initial_state(model, world.population, _infected(world, scenario)), transmission)


def _infected(world: World, scenario: Scenario) -> npt.NDArray[np.int64]:
    """Infected people at the start: spread by population, largest remainders first."""
    found = np.zeros(world.population.shape, np.int64)
    for number, item in enumerate(scenario.infected):
        where = f"infected[{number}]"
        weight = np.where(zones_of(world, item.zones, where)[:, None], world.population - found, 0).astype(np.float64).reshape(-1)
        if item.people > weight.sum():
            raise UnknownValueError(f"{where}: {item.people} infected people among {weight.sum():.0f} residents of these zones")
        if item.people == 0:
            continue
        exact = item.people * weight / weight.sum()
        whole = np.floor(exact)
        extra = np.argsort(-(exact - whole), kind="stable")[: item.people - int(whole.sum())]
        whole[extra] += 1
        found += np.minimum(whole, weight).astype(np.int64).reshape(found.shape)
    return found


def _with_imports(course: Course, world: World, scenario: Scenario) -> Course:
    importation = course.importation.copy()
    people = world.population.sum(axis=1)
    for number, item in enumerate(scenario.imports):
        zones = zones_of(world, item.zones, f"imports[{number}]")
        if people[zones].sum() <= 0:
            raise UnknownValueError(f"imports[{number}]: nobody lives in these zones")
        days = np.array([(item.first or date.min) <= course.day(t) <= (item.last or date.max) for t in range(course.days)])
        importation[np.ix_(days, zones)] += item.per_day / people[zones].sum()
    return replace(course, importation=importation)


@dataclass(frozen=True)
class Simulated:
    """What a simulation wrote.

    Args:
        out: the folder.
        files: in it.
        totals: by flow, over the whole time.
        peaks: by flow, the highest day.
        peak_dates: by flow, the median day of the peak.
        notes: assumptions and repairs.
        seconds: for the computation alone.
    """

    out: str
    files: tuple[str, ...]
    totals: dict[str, Interval]
    peaks: dict[str, Interval]
    peak_dates: dict[str, str]
    notes: tuple[str, ...]
    seconds: float


def simulate(
    scenario: Scenario, folder: Path, out: Path, *, threads: int = 2, plots: bool = True, progress: Progress = silent
) -> Simulated:
    """Simulate without the scenario's measures and write quantiles by day and zone, national quantiles, a summary and plots.

    Args:
        scenario: the document.
        folder: what its paths are relative to.
        out: folder to write into; made if absent.
        threads: blocks of members at the same time.
        plots: also draw.
        progress: told of members done.
    """
    prepared = prepare_scenario(scenario, folder)
    began = time.perf_counter()
    found = prepared.run(threads=threads, progress=progress)
    seconds = time.perf_counter() - began
    files = write_trajectories(prepared, found, out, "")
    if plots:
        files += draw_run(prepared, found, folder, out)
    national = {name: counts.sum(axis=2) for name, counts in found.flows.items()}
    peak_day = {name: int(np.median(counts.argmax(axis=1))) for name, counts in national.items()}
    result = Simulated(
        str(out),
        tuple(files),
        {name: Interval.of(counts.sum(axis=1, dtype=np.int64)) for name, counts in national.items()},
        {name: Interval.of(counts.max(axis=1)) for name, counts in national.items()},
        {name: found.dates[t].isoformat() for name, t in peak_day.items()},
        prepared.loaded.notes,
        round(seconds, 3),
    )
    write_json(out / "summary.json", asdict(result))
    return result


def write_trajectories(prepared: Prepared, found: Trajectories, out: Path, prefix: str) -> list[str]:
    """Quantiles over the members by day and zone, and nationally; by age the mean."""
    world = prepared.loaded.world
    series = {**found.flows, **found.stocks}
    names = [f"{prefix}zones.parquet", f"{prefix}national.parquet", f"{prefix}ages.parquet"]
    by_zone = pa.concat_tables(_quantile_table(name, counts, found.dates, list(world.zones)) for name, counts in series.items())
    national = pa.concat_tables(
        _quantile_table(name, counts.sum(axis=2, keepdims=True), found.dates, ["all"]) for name, counts in series.items()
    )
    ages = pa.concat_tables(_mean_table(name, counts, found.dates, list(world.ages.labels)) for name, counts in found.flows_by_age.items())
    for name, table in zip(names, (by_zone, national, ages), strict=True):
        write_parquet(out / name, table)
    return names


def _quantile_table(name: str, counts: Counts, dates: list[date], zones: list[str]) -> pa.Table:
    quantiles = quantiles_by_day(counts)
    columns: dict[str, Any] = {
        "date": pa.array(np.repeat(np.array(dates, "datetime64[D]"), len(zones))),
        "zone": pa.array(zones * len(dates)),
        "quantity": pa.array([name] * (len(dates) * len(zones))),
        "mean": counts.mean(axis=0).reshape(-1),
    }
    columns |= {f"q{level:g}": quantiles[i].reshape(-1).astype(np.float32) for i, level in enumerate(LEVELS)}
    return pa.table(columns)


def _mean_table(name: str, counts: Counts, dates: list[date], ages: list[str]) -> pa.Table:
    return pa.table(
        {
            "date": pa.array(np.repeat(np.array(dates, "datetime64[D]"), len(ages))),
            "age": pa.array(ages * len(dates)),
            "quantity": pa.array([name] * (len(dates) * len(ages))),
            "mean": counts.mean(axis=0).reshape(-1),
        }
    )


def draw_run(prepared: Prepared, found: Trajectories, folder: Path, out: Path) -> list[str]:
    """A fan chart of every quantity, and a map of the share infected where the scenario has a geometry."""
    from oneteam.epidemic.drawing.fans import fan_charts
    from oneteam.epidemic.drawing.sheet import picture

    series = {name: counts.sum(axis=2) for name, counts in {**found.flows, **found.stocks}.items()}
    title = f"{prepared.scenario.name}: {prepared.model.document.title or prepared.model.document.name}"
    subtitle = f"{prepared.scenario.run.members} simulations; bands hold 50% and 90% of them"
    write_atomically(out / "fans.png", picture(fan_charts(found.dates, {"": series}, title, subtitle), "png"))
    files = ["fans.png"]
    infections = next(iter(found.flows.values()))
    people = prepared.loaded.world.population.sum(axis=1)
    arrival = _arrival_day(infections, people)
    files += draw_map(prepared, arrival, folder, out / "map-arrival.png", f"days until {ARRIVED:.1%} of residents were infected, median")
    files += draw_map(
        prepared, per_hundred(infections.sum(axis=1).mean(axis=0), people), folder, out / "map.png", "infections per 100 residents"
    )
    return files


def _arrival_day(infections: Counts, people: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """Median day on which `ARRIVED` of a zone's residents had been infected; NaN where most simulations do not get there."""
    reached = np.cumsum(infections, axis=1, dtype=np.int64) >= np.maximum(ARRIVED * people, 1.0)
    day = np.where(reached.any(axis=1), reached.argmax(axis=1), np.inf)
    middle = np.median(day, axis=0)
    return np.where(np.isfinite(middle) & (people > 0), middle, np.nan)


def per_hundred(counts: npt.NDArray[np.float64], people: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """Counts per 100 residents; NaN where nobody lives."""
    return np.asarray(np.divide(100.0 * counts, people, out=np.full(len(people), np.nan), where=people > 0))


def draw_map(prepared: Prepared, numbers: npt.NDArray[np.float64], folder: Path, path: Path, unit: str) -> list[str]:
    """A map of one number by zone, where the scenario has a geometry; the files written."""
    if prepared.scenario.world.geometry is None:
        return []
    from oneteam.epidemic.drawing.sheet import picture
    from oneteam.epidemic.drawing.zone_map import zone_map
    from oneteam.store.geography import read_shapes

    world = prepared.loaded.world
    shapes = read_shapes(folder / prepared.scenario.world.geometry)
    values = dict(zip(world.zones, numbers.tolist(), strict=True))
    known = {code: values[code] for code in shapes if code in values}
    if not known:
        raise UnknownValueError(
            f"{folder / prepared.scenario.world.geometry}: none of its codes is a zone's",
            hint=f"A zone's code looks like {world.zones[0]!r}.",
        )
    title = f"{prepared.scenario.name}: {prepared.model.document.title or prepared.model.document.name}"
    write_atomically(path, picture(zone_map(shapes, known, title, f"{unit}; {prepared.scenario.run.members} simulations"), "png"))
    return [path.name]


def write_json(path: Path, document: dict[str, Any]) -> None:
    """A document for people and programs."""
    write_atomically(path, (json.dumps(document, ensure_ascii=False, indent=1, default=str) + "\n").encode())
