"""Forecast every reference date as it could have been made on that day: members in parallel, then the combination in order of time."""

from __future__ import annotations

import json
import multiprocessing
import os
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict, dataclass, field
from datetime import date
from pathlib import Path
from typing import Any, Final

import numpy as np
from threadpoolctl import threadpool_limits

from oneteam.core.errors import NothingFoundError, OneteamError, UnknownValueError
from oneteam.core.progress import Progress, silent
from oneteam.epidemic.forecasting.combine import Combination, Combining, Past, learn_combination
from oneteam.epidemic.forecasting.members import (
    BOOSTED,
    ENSEMBLE,
    MEMBERS,
    SHAPE,
    anchor_of,
    forecast,
    learn,
    short_names,
    stand_in,
)
from oneteam.epidemic.forecasting.track import combined_forecasts, past_forecasts
from oneteam.epidemic.forecasting.trajectories import sample_table
from oneteam.epidemic.hub.target_data import DEFAULT_LAG_WEEKS
from oneteam.epidemic.service.files import forecast_path, write_forecasts
from oneteam.epidemic.service.inputs import InputFiles, Inputs, chosen_dates, dates_in_gaps, read_inputs, spans
from oneteam.epidemic.service.output import MANIFEST, STAND_IN, MemberFiles, claim
from oneteam.store.result_files import write_table

__all__ = ["MANIFEST", "BacktestReport", "BacktestSettings", "Failure", "backtest"]

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
        aggregate: code of the place that is the sum of the others, or ``none``; found by its numbers when None.
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
    aggregate: str | None = None

    @property
    def pseudo_lag_weeks(self) -> int:
        """How far the newest week of a pseudo-vintage lies behind its reference date."""
        if self.lag_weeks is not None:
            return self.lag_weeks
        return 0 if min(self.horizons) >= 1 else DEFAULT_LAG_WEEKS

    def read(self, files: InputFiles) -> Inputs:
        """The data, at the lag of these settings."""
        return read_inputs(files, self.pseudo_lag_weeks, self.breaks, self.aggregate)


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
        notes: what was left out of the data, found damaged, or made otherwise than its name says.
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
    """Run every chosen date; what an earlier run of the same settings and files has made is kept, and counts as the past of later dates.

    Every member's forecasts and the combination's go to ``out/model-output/MODEL/DATE-MODEL.parquet``. A date that fails is reported and
    the others go on. A damaged file of a member is made again.

    Raises:
        InputError: a file that cannot be used.
        UnknownValueError: an unknown member; a folder that holds the output of other settings or data.
        FileUnreadableError: a folder of forecasts whose manifest is damaged.
        NothingFoundError: no such date.
    """
    inputs = settings.read(files)
    members = _members(settings.models)
    dates = chosen_dates(inputs.target, settings.reference_dates, inputs.lag_weeks)
    claim(out, _told(files, settings, members, vintages=inputs.target.has_vintages), [*members, ENSEMBLE])
    notes = (*inputs.notes, *dates_in_gaps(inputs.target, settings.reference_dates, dates, inputs.lag_weeks))
    report = BacktestReport(out, inputs.target.label, dates, [*members, ENSEMBLE], notes=notes)
    made = MemberFiles(out, members)
    tasks = _open_tasks(inputs, made, dates, settings.learn_every_weeks, report)
    total = len(members) * len(dates)
    report.kept = total - sum(day in dates for task in tasks for day in task.dates)
    done = report.kept
    progress("forecasting", done, total)
    for count, failed in _run(tasks, files, out, settings, inputs):
        report.made += count
        report.failures += failed
        done += count + len(failed)
        progress("forecasting", min(done, total), total)
    for task in tasks:
        for day in task.dates:
            made.read_again(task.member, day)
    _combine_all(inputs, made, report, settings, min((day for task in tasks for day in task.dates), default=None), progress)
    report.notes += (*_stand_ins(made, dates), *_holiday_note(inputs, dates[-1]))
    return report


def _members(wanted: Sequence[str]) -> list[str]:
    names = short_names()
    unknown = [name for name in wanted if name.removeprefix("oneteam-") not in names and name != ENSEMBLE.removeprefix("oneteam-")]
    if unknown:
        raise UnknownValueError(f"--models {unknown[0]}: must be among {', '.join(names)}")
    chosen = {name.removeprefix("oneteam-") for name in wanted} & set(names) or set(names)
    return [full for short, full in names.items() if short in chosen]


def _told(files: InputFiles, settings: BacktestSettings, members: Sequence[str], *, vintages: bool) -> dict[str, dict[str, Any]]:
    """What decides the numbers in an output folder."""
    told = asdict(settings)
    for free in ("reference_dates", "processes", "samples"):  # more can be asked for later, and processes do not change a number
        told.pop(free)
    told["models"] = list(members)
    told["lag_weeks"] = None if vintages else settings.pseudo_lag_weeks
    return {"settings": told, "inputs": files.fingerprints()}


def _open_tasks(inputs: Inputs, made: MemberFiles, dates: Sequence[date], every: int, report: BacktestReport) -> list[_Task]:
    """What is still to be done, the slowest members first; dates that share a model together.

    A damaged file is made again on whichever date: it is the past of later ones.
    """
    damaged = set(made.damaged())
    report.notes += tuple(f"{forecast_path(made.out, member, day)}: damaged; made again" for member, day in sorted(damaged))
    groups: dict[date, list[date]] = {}
    for day in sorted({*dates, *(day for _, day in damaged)}):
        groups.setdefault(anchor_of(day, inputs.reference_dates, every), []).append(day)
    tasks = []
    for member in sorted(made.members, key=lambda name: (name not in (BOOSTED, SHAPE), MEMBERS.index(name))):
        for anchor, days in groups.items():
            lacking = [day for day in days if day in dates and not forecast_path(made.out, member, day).exists()]
            todo = sorted({*lacking, *(day for day in days if (member, day) in damaged)})
            if todo:
                tasks.append(_Task(member, anchor, tuple(todo)))
    return tasks


_ODD: Final = (OneteamError, ArithmeticError, LookupError, ValueError, np.linalg.LinAlgError)
"""One date's numbers must not stop the other dates; the date is named and the exit code is not 0."""
_loaded: dict[InputFiles, Inputs] = {}


def _start(files: InputFiles, settings: BacktestSettings) -> None:
    """In a worker: the data are read once."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    _loaded[files] = settings.read(files)


def _end_with_parent() -> None:
    """A worker waits for tasks on a pipe that its siblings hold open too: it would not notice that the parent was killed."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


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
            if not found.count:
                raise NothingFoundError(f"no horizon of {settings.horizons} can be forecast from {len(known.snapshot.weeks)} weeks")
            note = {"label": known.snapshot.label, "learned_on": str(task.anchor if fits else day), "seed": str(settings.seed)}
            why = stand_in(task.member, of_day, known, settings.horizons)
            if why:
                note |= {STAND_IN: f"persistence: {why}"}
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
    with ProcessPoolExecutor(count, mp_context=context, initializer=_start, initargs=(files, settings)) as pool:
        jobs = {pool.submit(_work, task, files, out, settings): task for task in tasks}
        for job in as_completed(jobs):
            try:
                yield job.result()
            except BrokenProcessPool:
                # A worker that the system kills takes the waiting tasks with it; what is made stays, and the same command goes on.
                lost = jobs[job]
                yield 0, [Failure(day, lost.member, "a worker process was killed, perhaps for memory; run again") for day in lost.dates]


def _combine_all(
    inputs: Inputs, made: MemberFiles, report: BacktestReport, settings: BacktestSettings, changed: date | None, progress: Progress
) -> None:
    """Combine the chosen dates, and those that stand after the first one of which a member was made now: their past has grown."""
    newest = inputs.known(report.dates[-1])
    prior = {name: newest.prior[name] for name in made.members}
    if not any(prior.values()):
        prior = dict.fromkeys(made.members, 1.0)
    standing = [day for day in made.dates() if made.of_date(day)]
    wanted = sorted({*report.dates, *(day for day in standing if changed is not None and day > changed)})
    for at, day in enumerate(wanted):
        progress("combining", at, len(wanted))
        chosen = day in report.dates
        here = made.of_date(day)
        if not here:
            report.failures.append(Failure(day, ENSEMBLE, "no member could forecast it"))
            continue
        combination = _learned_from_past(inputs, made, [d for d in standing if d < day][-PAST_DATES:], day, prior, newest.combining)
        combined = combined_forecasts(combination, here)
        note = {"label": inputs.snapshot(day).label, "past_dates": str(combination.past_dates), "seed": str(settings.seed)}
        note["weights"] = json.dumps({name: round(weight, 6) for name, weight in combination.weights.items()})
        if chosen:
            there = forecast_path(made.out, ENSEMBLE, day).exists()
            report.kept, report.made = report.kept + there, report.made + (not there)
        write_forecasts(made.out, ENSEMBLE, day, combined, note)
        if settings.samples and chosen:
            path = made.out / SAMPLES / f"{day.isoformat()}-{ENSEMBLE}.parquet"
            write_table(path, sample_table(combined, settings.samples, settings.seed), note)
        if day <= report.dates[-1]:
            report.weights = dict(combination.weights)
    progress("combining", len(wanted), len(wanted))


def _learned_from_past(
    inputs: Inputs, made: MemberFiles, earlier: Sequence[date], day: date, prior: dict[str, float], how: Combining
) -> Combination:
    snapshot = inputs.snapshot(day)
    past: list[Past] = [p for d in earlier if (p := past_forecasts(d, made.of_date(d), snapshot)) is not None]
    return learn_combination(prior, past, how)


def _stand_ins(made: MemberFiles, dates: Sequence[date]) -> list[str]:
    """Notes on members that are persistence on some dates."""
    by_reason: dict[tuple[str, str], list[date]] = {}
    for member in made.members:
        for day in dates:
            if why := made.stand_in(member, day):
                by_reason.setdefault((member, why), []).append(day)
    return [
        f"{member}: {why}; so on {len(days)} of {len(dates)} dates: {', '.join(spans(days))}" for (member, why), days in by_reason.items()
    ]


def _holiday_note(inputs: Inputs, day: date) -> list[str]:
    """What was learned of holidays on the last date."""
    if inputs.holidays is None:
        return []
    effect = inputs.known(day).holiday_effect
    if not effect.weeks:
        return [f"holidays: too few weeks with a working day off by {day}; nothing is taken off"]
    same, after = (100.0 * float(np.expm1(moved)) for moved in (effect.same_week, effect.next_week))
    return [f"holidays: a working day off changes its week's count by {same:+.1f}% and the next week's by {after:+.1f}%, as known on {day}"]
