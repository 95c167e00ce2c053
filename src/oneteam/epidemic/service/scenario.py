"""Compare a scenario with itself without its measures, by common random numbers: `oneteam epidemic scenario`."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from oneteam.core.errors import UnknownValueError
from oneteam.core.progress import Progress, silent
from oneteam.epidemic.engine.ensemble import Trajectories
from oneteam.epidemic.engine.scenario import Scenario
from oneteam.epidemic.engine.summary import Averted, Interval, compare
from oneteam.epidemic.service.simulate import Prepared, draw_map, per_hundred, prepare_scenario, write_json, write_trajectories
from oneteam.store.tables import write_atomically, write_parquet


@dataclass(frozen=True)
class Compared:
    """What a scenario changes.

    Args:
        out: the folder.
        files: in it.
        averted: by quantity; of a stock the total is person-days, of ``hospital`` hospital days.
        notes: assumptions and repairs.
        seconds: for the computation of both runs alone.
    """

    out: str
    files: tuple[str, ...]
    averted: dict[str, Averted]
    notes: tuple[str, ...]
    seconds: float


def compare_scenario(
    scenario: Scenario, folder: Path, out: Path, *, threads: int = 2, plots: bool = True, progress: Progress = silent
) -> Compared:
    """Run a scenario with and without its measures and write both, their differences, and plots.

    Args:
        scenario: the document; it must have measures.
        folder: what its paths are relative to.
        out: folder to write into; made if absent.
        threads: blocks of members at the same time.
        plots: also draw.
        progress: told of members done.

    Raises:
        UnknownValueError: no measures.
        InputError: a file or a value that cannot be used.
    """
    if not scenario.measures:
        raise UnknownValueError("the scenario has no measures to compare", hint="Add [[measures]], or run `oneteam epidemic simulate`.")
    prepared = prepare_scenario(scenario, folder)
    began = time.perf_counter()

    def half(first: float) -> Progress:
        return lambda step, done, total: progress(step, first * (total or 0) + done, 2 * (total or 0))

    baseline = prepared.run(threads=threads, progress=half(0))
    changed = prepared.run(scenario.measures, threads=threads, progress=half(1))
    seconds = time.perf_counter() - began
    averted, files = write_comparison(prepared, baseline, changed, folder, out, plots=plots)
    result = Compared(str(out), tuple(files), averted, prepared.loaded.notes, round(seconds, 3))
    write_json(out / "comparison.json", asdict(result))
    return result


def write_comparison(
    prepared: Prepared, baseline: Trajectories, changed: Trajectories, folder: Path, out: Path, *, plots: bool = True
) -> tuple[dict[str, Averted], list[str]]:
    """Write both runs, their differences and plots; what is averted by quantity, and the names of the files.

    Args:
        prepared: the scenario.
        baseline: without its measures.
        changed: with them, of the same members.
        folder: what the scenario's paths are relative to.
        out: folder to write into; made if absent.
        plots: also draw.
    """
    averted = {name: compare(_national(baseline, name), _national(changed, name)) for name in (*baseline.flows, *baseline.stocks)}
    files = write_trajectories(prepared, baseline, out, "baseline-") + write_trajectories(prepared, changed, out, "scenario-")
    write_parquet(out / "averted-zones.parquet", _by_zone(prepared, baseline, changed))
    files.append("averted-zones.parquet")
    if plots:
        files += _draw(prepared, baseline, changed, folder, out)
    return averted, files


def _national(found: Trajectories, name: str) -> np.ndarray:
    return np.asarray({**found.flows, **found.stocks}[name].sum(axis=2))


def _by_zone(prepared: Prepared, baseline: Trajectories, changed: Trajectories) -> pa.Table:
    rows: dict[str, list[object]] = {
        name: [] for name in ("zone", "quantity", "baseline", "scenario", "averted", "averted_low", "averted_high")
    }
    for name in (*baseline.flows, *baseline.stocks):
        without, within = ({**t.flows, **t.stocks}[name].sum(axis=1, dtype=np.int64) for t in (baseline, changed))
        for z, code in enumerate(prepared.loaded.world.zones):
            difference = Interval.of(without[:, z] - within[:, z])
            values = (code, name, float(without[:, z].mean()), float(within[:, z].mean()), difference.mean, difference.low, difference.high)
            for column, value in zip(rows.values(), values, strict=True):
                column.append(value)
    return pa.table(rows)


def _draw(prepared: Prepared, baseline: Trajectories, changed: Trajectories, folder: Path, out: Path) -> list[str]:
    from oneteam.epidemic.drawing.fans import fan_charts
    from oneteam.epidemic.drawing.sheet import picture

    names = (*baseline.flows, *baseline.stocks)
    runs = {
        "without measures": {name: _national(baseline, name) for name in names},
        "with measures": {name: _national(changed, name) for name in names},
    }
    title = f"{prepared.scenario.name}: {prepared.model.document.title or prepared.model.document.name}"
    subtitle = f"{prepared.scenario.run.members} pairs of simulations with common random numbers; bands hold 50% and 90% of them"
    write_atomically(out / "fans.png", picture(fan_charts(baseline.dates, runs, title, subtitle), "png"))
    infections = next(iter(baseline.flows))
    people = prepared.loaded.world.population.sum(axis=1)
    less = (baseline.flows[infections].sum(axis=1, dtype=np.int64) - changed.flows[infections].sum(axis=1, dtype=np.int64)).mean(axis=0)
    return [
        "fans.png",
        *draw_map(prepared, per_hundred(less, people), folder, out / "map-averted.png", "infections averted per 100 residents"),
    ]
