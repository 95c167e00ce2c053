"""Run a study: every step in order, each once; what is there from before is found, not made."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from threadpoolctl import threadpool_limits

from oneteam.app.study import stages
from oneteam.app.study.contexts import Chain
from oneteam.app.study.folder import STEPS, STUDY_FILE, StudyFolder, read_json
from oneteam.app.study.inputs import Sources, all_files, data_root
from oneteam.app.study.progress import Board
from oneteam.app.study.provenance import write_provenance
from oneteam.app.study.releases import Members
from oneteam.app.study.running import TITLES, Running, Skip
from oneteam.app.study.settings import StudyFile, read_study_file
from oneteam.app.study.steps import forget
from oneteam.app.study.telling import SUMMARY_FILE
from oneteam.core.canonical import content_id
from oneteam.core.errors import InputError, MissingExtraError, OneteamError, RefusedError, WireError
from oneteam.core.progress import Progress, silent
from oneteam.store.tables import write_atomically

ESSENTIAL: Final = frozenset({"inputs", "data", "forecasts", "report"})
"""Without these there is no study; the others' errors are told, and the rest goes on."""


@dataclass(frozen=True)
class Ran:
    """What a run of a study gave.

    Args:
        out: the folder.
        states: of each step.
        summary: as ``summary.json``.
        refusals: what was refused.
        new_releases: asked for in this run.
        rho_spent_now: in this run.
        failed: steps that failed, and why.
    """

    out: Path
    states: Mapping[str, str]
    summary: Mapping[str, Any]
    refusals: Sequence[Mapping[str, Any]]
    new_releases: int
    rho_spent_now: float
    failed: Mapping[str, str]

    def as_dict(self) -> dict[str, Any]:
        """For ``--json``."""
        return {
            "out": str(self.out),
            "states": dict(self.states),
            "summary": dict(self.summary),
            "refusals": list(self.refusals),
            "new_releases": self.new_releases,
            "rho_spent_now": self.rho_spent_now,
            "failed": dict(self.failed),
        }


async def run_study(file: Path, out: Path, *, data: Path | None = None, again: bool = False, progress: Progress = silent) -> Ran:
    """Run a study file.

    Args:
        file: ``study.toml``.
        out: folder of the results; made if absent. What a former run of the same study left there is reused.
        data: what file names are relative to; see `oneteam.app.study.inputs.data_root`.
        again: also ask what was refused before.
        progress: told of every step; ``progress.json`` has all of it.

    Raises:
        InputError: a study file or input that cannot be used.
        DatasetBusyError: another process runs this study.
        StorageError: the disk.
    """
    study, sources, text = _read(file, out, data)
    folder, root = sources.folder, sources.root
    files = all_files(study, sources)
    members = Members(study.who, root) if study.who else None
    with folder.claimed():
        write_atomically(folder.path(STUDY_FILE), text)
        folder.write_json(folder.path(STEPS, "root.json"), {"root": str(root)})
        actor = members.home.id if members else "oneteam"
        # Causes keep their ids when a setting changes: what was asked of members hangs on them.
        identity = content_id({"title": study.title.en, "known_on": study.known_on.isoformat(), "seed": study.seed, "actor": actor})
        run = Running(study, sources, folder, Board(folder.root, TITLES, progress), Chain(identity, actor, study.moment), files, again)
        run.chain.step("study", f"study: {study.title.en}")
        try:
            # One thread of linear algebra: how many there are would change roundings, and on these small systems they mostly wait.
            with threadpool_limits(limits=1, user_api="blas"):
                await _steps_with(run, members)
        finally:
            run.chain.write(folder)
    return Ran(
        folder.root,
        {name: step.state for name, step in run.board.steps.items()},
        read_json(folder.path(SUMMARY_FILE)),
        [refusal.as_dict() for refusal in run.answers.refusals],
        run.answers.new,
        run.answers.spent,
        run.failed,
    )


def _read(file: Path, out: Path, data: Path | None) -> tuple[StudyFile, Sources, bytes]:
    """The study, where its files are, and its text."""
    study = read_study_file(file)
    return study, Sources(data_root(study, file.resolve(), data), StudyFolder(out.resolve())), file.read_bytes()


async def _steps_with(run: Running, members: Members | None) -> None:
    async with members or nullcontext():
        await _steps(run, members)


async def _steps(run: Running, members: Members | None) -> None:
    await _do(run, "inputs", lambda p: stages.read_inputs(run, p))
    await _do(run, "releases", lambda p: stages.ask_members(run, members, p))
    for name, work in (
        ("mobility", stages.make_mobility),
        ("data", stages.make_data),
        ("forecasts", stages.make_forecasts),
        ("scores", stages.score_past),
        ("situation", stages.find_situation),
        ("importation", stages.estimate_importation),
        ("scenario", stages.run_scenario),
        ("alerts", stages.warn),
    ):
        await _do(run, name, lambda p, work=work: asyncio.to_thread(work, run, p))  # type: ignore[misc]
    await _do(run, "notices", lambda p: stages.ask_to_notify(run, members, p))
    for name, work in (("truth", stages.compare), ("report", stages.write_reports)):
        await _do(run, name, lambda p, work=work: asyncio.to_thread(work, run, p))  # type: ignore[misc]
    run.chain.write(run.folder)
    write_provenance(run.study, run.folder, run.sources.root, run.files, run.answers, run.records, run.skipped | run.failed)


async def _do(run: Running, name: str, work: Callable[[Progress], Any]) -> None:
    """One step: it is done, reused, skipped with a reason, or fails; the essential ones end the study when they fail."""
    progress = run.board.start(name)
    try:
        record = await work(progress)
    except Skip as reason:
        run.skipped[name] = str(reason)
        forget(run.folder, name)
        run.board.end(name, "skipped", str(reason))
        return
    except BaseException as err:
        stopped = isinstance(err, KeyboardInterrupt | asyncio.CancelledError)
        why = err.message if isinstance(err, OneteamError) else "stopped; the next run goes on" if stopped else type(err).__name__
        run.board.end(name, "failed", why)
        # What cannot be trusted is not gone on without: somebody has to look.
        if name in ESSENTIAL or not isinstance(err, InputError | WireError | RefusedError | MissingExtraError):
            raise
        run.failed[name] = why
        return
    if record is not None:
        run.told[name] = record.told
        if record.outputs:
            run.records.append(record)
    notes = "; ".join(record.told.get("notes", [])) if record is not None else ""
    run.board.end(name, "reused" if record is not None and record.reused else "done", notes)
