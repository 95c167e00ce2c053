"""Forecast every reference date as it could have been made on that day: members in parallel, then the combination in order of time."""

from __future__ import annotations

import json
import multiprocessing
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict, dataclass, field
from datetime import date
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow.parquet as pq
from threadpoolctl import threadpool_limits

from oneteam.core.errors import OneteamError, UnknownValueError
from oneteam.core.progress import Progress, silent
from oneteam.epidemic.forecasting.combine import Combination, Past, learn_combination
from oneteam.epidemic.forecasting.members import BOOSTED, ENSEMBLE, MEMBERS, SHAPE, anchor_of, forecast, learn, short_names
from oneteam.epidemic.forecasting.track import combined_forecasts, past_forecasts
from oneteam.epidemic.forecasting.trajectories import sample_table
from oneteam.epidemic.hub.forecasts import QuantileForecasts, parse_forecasts
from oneteam.epidemic.hub.target_data import DEFAULT_LAG_WEEKS
from oneteam.epidemic.service.files import forecast_path, write_forecasts, write_table
from oneteam.epidemic.service.inputs import InputFiles, Inputs, chosen_dates, read_inputs
from oneteam.store.tables import write_atomically

MANIFEST: Final = "backtest.json"
SAMPLES: Final = "samples"
LEARN_EVERY_WEEKS: Final = 4
PAST_DATES: Final = 40
"""Earlier dates from which weights and spread are learned, at most."""


@dataclass(frozen=True)
class BacktestSettings:
    """What is run.

    Args:
        reference_dates: ``all``, ``FROM:TO``, or dates with commas.
        horizons: weeks from the reference date.
        models: members by short name; all when empty.
        seed: of everything random.
        processes: how many at once; 1 stays in this process.
        learn_every_weeks: members are learned anew so often; in between they forecast from newer data.
        lag_weeks: of pseudo-vintages, where the data have no vintages of their own. When None: none if only later weeks than the reference
            date's are forecast (horizons from 1 on: the week that ends on the reference date is known), else one.
        samples: trajectories of the combination to be written for each date.
        breaks: ISO dates on which testing or reporting changed.
    """

    reference_dates: str = "all"
    horizons: tuple[int, ...] = (0, 1, 2, 3)
    models: tuple[str, ...] = ()
    seed: int = 1
    processes: int = 2
    learn_every_weeks: int = LEARN_EVERY_WEEKS
    lag_weeks: int | None = None
    samples: int = 0
    breaks: tuple[str, ...] = ()

    @property
    def pseudo_lag_weeks(self) -> int:
        """How far the newest week of a pseudo-vintage lies behind its reference date."""
        if self.lag_weeks is not None:
            return self.lag_weeks
        return 0 if min(self.horizons) >= 1 else DEFAULT_LAG_WEEKS


@dataclass(frozen=True)
class Failure:
    """A date that a model could not forecast."""

    reference_date: date
    model: str
    why: str


@dataclass
class BacktestReport:
    """What happened.

    Args:
        out: the output folder.
        label: ``vintage`` or ``revised data``.
        dates: reference dates.
        models: that were asked for, the ensemble last.
        made: files written now.
        kept: files that an earlier run had written.
        failures: dates that failed.
        weights: of the members on the last date.
        notes: what was left out of the data.
    """

    out: Path
    label: str
    dates: list[date]
    models: list[str]
    made: int = 0
    kept: int = 0
    failures: list[Failure] = field(default_factory=list)
    weights: dict[str, float] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """For ``--json``."""
        return {
            "out": str(self.out),
            "label": self.label,
            "first": str(self.dates[0]),
            "last": str(self.dates[-1]),
            "dates": len(self.dates),
            "models": self.models,
            "made": self.made,
            "kept": self.kept,
            "weights": {name: round(weight, 4) for name, weight in self.weights.items()},
            "notes": list(self.notes),
            "failures": [{"reference_date": str(f.reference_date), "model": f.model, "why": f.why} for f in self.failures],
        }


@dataclass(frozen=True)
class _Task:
    member: str
    anchor: date
    dates: tuple[date, ...]


def backtest(files: InputFiles, out: Path, settings: BacktestSettings, progress: Progress = silent) -> BacktestReport:
    """Run every chosen date; what an earlier run of the same settings and files has made is kept.

    Every member's forecasts and the combination's go to ``out/model-output/MODEL/DATE-MODEL.parquet``. A date that fails is reported and
    the others go on.

    Raises:
        InputError: a file that cannot be used.
        UnknownValueError: an unknown member; a folder that holds the output of other settings or data.
        NothingFoundError: no such date.
    """
    inputs = read_inputs(files, settings.pseudo_lag_weeks, settings.breaks)
    members = _members(settings.models)
    dates = chosen_dates(inputs.target, settings.reference_dates)
    _claim(out, files, settings, members)
    report = BacktestReport(out, inputs.target.label, dates, [*members, ENSEMBLE], notes=inputs.notes)
    tasks = _open_tasks(inputs, out, members, dates, settings.learn_every_weeks)
    total = len(members) * len(dates)
    report.kept = total - sum(len(task.dates) for task in tasks)
    done = report.kept
    progress("forecasting", done, total)
    for made, failed in _run(tasks, files, out, settings, inputs):
        report.made += made
        report.failures += failed
        done += made + len(failed)
        progress("forecasting", done, total)
    _combine_all(inputs, out, members, report, settings, progress)
    return report


def _members(wanted: Sequence[str]) -> list[str]:
    names = short_names()
    unknown = [name for name in wanted if name.removeprefix("oneteam-") not in names and name != ENSEMBLE.removeprefix("oneteam-")]
    if unknown:
        raise UnknownValueError(f"--models {unknown[0]}: must be among {', '.join(names)}")
    chosen = {name.removeprefix("oneteam-") for name in wanted} & set(names) or set(names)
    return [full for short, full in names.items() if short in chosen]


def _claim(out: Path, files: InputFiles, settings: BacktestSettings, members: Sequence[str]) -> None:
    """Write down what this folder is the output of; refuse one of something else."""
    told = asdict(settings)
    for free in ("reference_dates", "processes", "samples"):  # more can be asked for later, and processes do not change a number
        told.pop(free)
    told["models"] = list(members)
    now = json.loads(json.dumps({"settings": told, "inputs": files.fingerprints()}))
    path = out / MANIFEST
    if path.exists():
        before = json.loads(path.read_text(encoding="utf-8"))
        if before != now:
            raise UnknownValueError(
                f"{out} holds forecasts of other settings or other data (see {MANIFEST} in it)",
                hint="Give another --out, or remove the folder.",
            )
    else:
        write_atomically(path, json.dumps(now, indent=1).encode())


def _open_tasks(inputs: Inputs, out: Path, members: Sequence[str], dates: Sequence[date], every: int) -> list[_Task]:
    """What is still to be done, the slowest members first; dates that share a model together."""
    groups: dict[date, list[date]] = {}
    for day in dates:
        groups.setdefault(anchor_of(day, inputs.target.reference_dates, every), []).append(day)
    tasks = []
    for member in sorted(members, key=lambda name: (name not in (BOOSTED, SHAPE), MEMBERS.index(name))):
        for anchor, days in groups.items():
            todo = tuple(day for day in days if not forecast_path(out, member, day).exists())
            if todo:
                tasks.append(_Task(member, anchor, todo))
    return tasks


_ODD: Final = (OneteamError, ArithmeticError, LookupError, ValueError, np.linalg.LinAlgError)
"""One date's numbers must not stop the other dates; the date is named and the exit code is not 0."""
_loaded: dict[InputFiles, Inputs] = {}


def _start(files: InputFiles, lag_weeks: int, breaks: tuple[str, ...]) -> None:
    """In a worker: the data are read once."""
    _loaded[files] = read_inputs(files, lag_weeks, breaks)


def _work(task: _Task, files: InputFiles, out: Path, settings: BacktestSettings) -> tuple[int, list[Failure]]:
    # Sums of floats depend on how many threads share them: one thread, so that a seed means the same numbers everywhere.
    with threadpool_limits(limits=1):
        return _in_one_thread(task, files, out, settings)


def _in_one_thread(task: _Task, files: InputFiles, out: Path, settings: BacktestSettings) -> tuple[int, list[Failure]]:
    inputs = _loaded[files]
    made, failed = 0, []
    try:
        learned = learn(task.member, inputs.known(task.anchor), settings.horizons, settings.seed)
    except _ODD as err:
        return 0, [Failure(day, task.member, _why(err)) for day in task.dates]
    for day in task.dates:
        try:
            known = inputs.known(day)
            # Data that come later than on the anchor's day ask for steps that were not learned there.
            fits = learned is None or max(settings.horizons) + known.snapshot.lag_weeks in learned.steps
            of_day = learned if fits else learn(task.member, known, settings.horizons, settings.seed)
            found = forecast(task.member, of_day, known, settings.horizons, settings.seed)
            note = {"label": known.snapshot.label, "learned_on": str(task.anchor if fits else day), "seed": str(settings.seed)}
            write_forecasts(out, task.member, day, found, note)
            made += 1
        except _ODD as err:
            failed.append(Failure(day, task.member, _why(err)))
    return made, failed


def _why(err: Exception) -> str:
    return err.message if isinstance(err, OneteamError) else f"{type(err).__name__}: {err}"


def _run(
    tasks: Sequence[_Task], files: InputFiles, out: Path, settings: BacktestSettings, inputs: Inputs
) -> Iterator[tuple[int, list[Failure]]]:
    if settings.processes <= 1 or len(tasks) <= 1:
        _loaded[files] = inputs
        try:
            for task in tasks:
                yield _work(task, files, out, settings)
        finally:
            _loaded.pop(files, None)
        return
    # Fresh processes: a forked one would inherit the threads' locks of the compiled libraries.
    context = multiprocessing.get_context("spawn")
    count = min(settings.processes, len(tasks))
    with ProcessPoolExecutor(
        count, mp_context=context, initializer=_start, initargs=(files, settings.pseudo_lag_weeks, settings.breaks)
    ) as pool:
        jobs = {pool.submit(_work, task, files, out, settings): task for task in tasks}
        for job in as_completed(jobs):
            try:
                yield job.result()
            except BrokenProcessPool:
                # A worker that the system kills takes the waiting tasks with it; what is made stays, and the same command goes on.
                lost = jobs[job]
                yield 0, [Failure(day, lost.member, "a worker process was killed, perhaps for memory; run again") for day in lost.dates]


def read_member(out: Path, member: str, day: date) -> QuantileForecasts | None:
    """A member's forecast of a date, if it was made."""
    path = forecast_path(out, member, day)
    return parse_forecasts(pq.read_table(path), str(path)) if path.exists() else None


def _combine_all(
    inputs: Inputs, out: Path, members: Sequence[str], report: BacktestReport, settings: BacktestSettings, progress: Progress
) -> None:
    newest = inputs.known(report.dates[-1])
    every = newest.prior
    prior = {name: every[name] for name in members}
    if not any(prior.values()):
        prior = dict.fromkeys(members, 1.0)
    seen: dict[date, dict[str, QuantileForecasts]] = {}
    for at, day in enumerate(report.dates):
        progress("combining", at, len(report.dates))
        here = {m: f for m in members if (f := read_member(out, m, day)) is not None and f.count}
        if not here:
            report.failures.append(Failure(day, ENSEMBLE, "no member could forecast it"))
            continue
        snapshot = inputs.snapshot(day)
        earlier = list(seen.items())[-PAST_DATES:]
        past: list[Past] = [p for d, fs in earlier if (p := past_forecasts(d, fs, snapshot)) is not None]
        combination: Combination = learn_combination(prior, past, newest.combining)
        combined = combined_forecasts(combination, here)
        note = {"label": snapshot.label, "past_dates": str(combination.past_dates), "seed": str(settings.seed)}
        note["weights"] = json.dumps({name: round(weight, 6) for name, weight in combination.weights.items()})
        path = forecast_path(out, ENSEMBLE, day)
        report.kept, report.made = (report.kept + 1, report.made) if path.exists() else (report.kept, report.made + 1)
        write_forecasts(out, ENSEMBLE, day, combined, note)
        if settings.samples:
            write_table(
                out / SAMPLES / f"{day.isoformat()}-{ENSEMBLE}.parquet", sample_table(combined, settings.samples, settings.seed), note
            )
        report.weights = dict(combination.weights)
        seen[day] = here
    progress("combining", len(report.dates), len(report.dates))
