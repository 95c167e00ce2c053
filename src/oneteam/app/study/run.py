"""Run a study: every step in order, each once; what is there from before is found, not made."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any, Final

from threadpoolctl import threadpool_limits

from oneteam.app.agreeing import kept_agreements
from oneteam.app.study import analysis
from oneteam.app.study.alerts import raise_alerts, read_alerts
from oneteam.app.study.analysis import DATA, FORECASTS, IMPORTATION, SCENARIO_FILE, SCORES, SITUATION
from oneteam.app.study.contexts import Chain
from oneteam.app.study.folder import STEPS, STUDY_FILE, StudyFolder, read_json
from oneteam.app.study.inputs import Sources, all_files, copy_inputs, data_root
from oneteam.app.study.mobility import build_mobility, public_trips
from oneteam.app.study.notifying import ask_carriers, terms_of
from oneteam.app.study.places import Zones, read_zones, write_places
from oneteam.app.study.progress import Board
from oneteam.app.study.provenance import write_provenance
from oneteam.app.study.releases import Answers, Members, collect, content_of
from oneteam.app.study.settings import StudyFile, read_study_file
from oneteam.app.study.steps import Record, Step, forget, hashes, run_step
from oneteam.app.study.telling import SUMMARY_FILE, rho_of, tell
from oneteam.app.study.truth import compare_with_truth
from oneteam.core.canonical import content_id
from oneteam.core.errors import InputError, MissingExtraError, NothingFoundError, OneteamError, RefusedError, UnknownValueError, WireError
from oneteam.core.model import Text
from oneteam.core.progress import Progress, silent
from oneteam.store.tables import write_atomically

TITLES: Final = (
    ("inputs", Text(en="Read what was known", ko="알려진 자료 읽기")),
    ("releases", Text(en="Ask members", ko="회원에게 묻기")),
    ("mobility", Text(en="Build mobility", ko="이동량 구성")),
    ("data", Text(en="Weekly cases", ko="주간 환자 수")),
    ("forecasts", Text(en="Forecast", ko="예측")),
    ("scores", Text(en="Score past forecasts", ko="과거 예측 채점")),
    ("situation", Text(en="Rt and risk", ko="재생산수와 위험도")),
    ("importation", Text(en="Imported cases", ko="해외 유입")),
    ("scenario", Text(en="What a measure changes", ko="조치의 효과")),
    ("alerts", Text(en="Raise alerts", ko="경보 발령")),
    ("notices", Text(en="Ask carriers to notify", ko="통신사에 안내 요청")),
    ("truth", Text(en="Compare with the truth", ko="참값과 비교")),
    ("report", Text(en="Write the report", ko="보고서 작성")),
)
"""Every step, in order."""
ESSENTIAL: Final = frozenset({"inputs", "data", "forecasts", "report"})
"""Without these there is no study; the others' errors are told, and the rest goes on."""


class Skip(Exception):  # noqa: N818 - no error: a step that has nothing to do
    """A step has nothing to do; says why."""


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


@dataclass
class _Run:
    """A study while it runs."""

    study: StudyFile
    sources: Sources
    folder: StudyFolder
    board: Board
    chain: Chain
    files: dict[str, Path]
    again: bool = False
    zones: Zones | None = None
    answers: Answers = field(default_factory=Answers)
    records: list[Record] = field(default_factory=list)
    told: dict[str, dict[str, Any]] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)

    @property
    def place_names(self) -> Zones:
        assert self.zones is not None, "inputs come first"
        return self.zones


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
        run = _Run(study, sources, folder, Board(folder.root, TITLES, progress), Chain(identity, actor, study.moment), files, again)
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


async def _steps_with(run: _Run, members: Members | None) -> None:
    async with members or nullcontext():
        await _steps(run, members)


async def _steps(run: _Run, members: Members | None) -> None:
    await _do(run, "inputs", lambda p: _inputs(run, p))
    await _do(run, "releases", lambda p: _releases(run, members, p))
    for name, work in (
        ("mobility", _mobility),
        ("data", _data),
        ("forecasts", _forecasts),
        ("scores", _scores),
        ("situation", _situation),
        ("importation", _importation),
        ("scenario", _scenario),
        ("alerts", _alerts),
    ):
        await _do(run, name, lambda p, work=work: asyncio.to_thread(work, run, p))  # type: ignore[misc]
    await _do(run, "notices", lambda p: _notices(run, members, p))
    for name, work in (("truth", _truth), ("report", _report)):
        await _do(run, name, lambda p, work=work: asyncio.to_thread(work, run, p))  # type: ignore[misc]
    run.chain.write(run.folder)
    write_provenance(run.study, run.folder, run.sources.root, run.files, run.answers, run.records, run.skipped | run.failed)


async def _do(run: _Run, name: str, work: Callable[[Progress], Any]) -> None:
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


def _step(
    run: _Run, name: str, inputs: Mapping[str, Path], settings: Any, owns: Sequence[str], work: Callable[[Progress], Any], p: Progress
) -> Record:
    title = dict(TITLES)[name].en
    run.chain.step(name, title)
    return run_step(run.folder, Step(name, inputs, settings, owns, work), p)


def _outputs(run: _Run, *names: str) -> dict[str, Path]:
    """Outputs of earlier steps as inputs of a later one."""
    found: dict[str, Path] = {}
    for record in run.records:
        if record.name in names:
            found |= {path: run.folder.path(path) for path in record.outputs if not path.endswith(".png")}
    return found


async def _inputs(run: _Run, p: Progress) -> Record:
    study, folder = run.study, run.folder

    def work(_: Progress) -> dict[str, Any]:
        told = copy_inputs(study, run.sources)
        zones = read_zones(run.sources.need(study.places.zones), study.places.place_code)
        shapes = run.sources.need(study.places.geometry) if study.places.geometry else None
        places = run.sources.need(study.places.place_geometry) if study.places.place_geometry else None
        out = (folder.path("zones.csv"), folder.path("zones.geojson"), folder.path("places.geojson"))
        made = write_places(zones, shapes, places, out, by_region=study.places.place_code is not None)
        return {**told, "notes": told["notes"] + made["notes"]}

    settings = {"known_on": study.known_on, "places": study.places.model_dump(mode="json"), "files": [str(f) for f in sorted(run.files)]}
    owns = ["inputs", "world", "zones.csv", "zones.geojson", "places.geojson"]
    record = await asyncio.to_thread(_step, run, "inputs", run.files, settings, owns, work, p)
    run.zones = read_zones(run.sources.need(study.places.zones), study.places.place_code)
    return record


async def _releases(run: _Run, members: Members | None, p: Progress) -> Record | None:
    if members is None or not run.study.ask:
        raise Skip("no member is asked: public tables alone")
    context = run.chain.step("releases", "Ask members")
    run.answers = await collect(run.study, run.folder, members, run.chain, context, p, again=run.again)
    answers = run.answers
    paid = f", {answers.kept} of them paid for before" if answers.kept else ""
    notes = [f"{len(answers.asked)} Releases, {answers.new} asked for now{paid}"]
    if answers.refusals:
        notes.append(f"{len(answers.refusals)} refused: " + "; ".join(dict.fromkeys(r.message for r in answers.refusals)))
    return Record("releases", "", {}, {"notes": notes}, reused=not answers.new)


def _mobility(run: _Run, p: Progress) -> Record:
    study = run.study
    if run.answers.asked:
        settings = {"answers": content_of(run.answers), "mobility": study.mobility.trips_per_counted, "zones": run.place_names.codes}

        def work(q: Progress) -> dict[str, Any]:
            return build_mobility(study, run.answers, run.place_names, run.folder, q)

        return _step(run, "mobility", {"zones": run.folder.path("zones.csv")}, settings, ["mobility", "arrivals"], work, p)
    if study.table("od") is None:
        raise Skip("no Release and no public table of trips")
    inputs = _outputs(run, "inputs")
    settings = {"within": study.places.within_trips_per_resident, "known_on": study.known_on}
    return _step(run, "mobility", inputs, settings, ["mobility", "arrivals"], lambda _: public_trips(study, run.place_names, run.folder), p)


def _data(run: _Run, p: Progress) -> Record:
    study = run.study
    inputs = {"cases": run.sources.known(study.cases.file), "zones": run.sources.need(study.places.zones)}
    settings = {"cases": study.cases.model_dump(mode="json"), "places": study.places.model_dump(mode="json")}
    return _step(run, "data", inputs, settings, [DATA], lambda _: analysis.weekly_data(study, run.sources, run.folder), p)


def _forecasts(run: _Run, p: Progress) -> Record:
    study = run.study
    movement = analysis.movement_file(study, run.sources, run.folder) if study.forecast.movement else None
    inputs = _outputs(run, "data") | ({"movement": movement} if movement else {})
    settings = study.forecast.model_dump(mode="json", exclude={"threshold", "horizon", "processes"}) | {"seed": study.seed}
    last = run.told["data"]["last_week"]
    return _step(run, "forecasts", inputs, settings, [FORECASTS], lambda q: analysis.forecasts(study, run.folder, movement, last, q), p)


def _scores(run: _Run, p: Progress) -> Record:
    if run.study.forecast.past_weeks < 1:
        raise Skip("no past week was forecast")
    settings = {"threshold": run.study.forecast.threshold}
    try:
        return _step(
            run, "scores", _outputs(run, "data", "forecasts"), settings, [SCORES], lambda q: analysis.scores(run.study, run.folder, q), p
        )
    except NothingFoundError as err:
        raise Skip(err.message) from err


def _situation(run: _Run, p: Progress) -> Record:
    study = run.study
    inputs = {"cases": run.sources.known(study.cases.file), "zones": run.sources.need(study.places.zones)}
    if study.cases.ages:
        inputs["ages"] = run.sources.known(study.cases.ages)
    settings = {
        "situation": study.situation.model_dump(mode="json"),
        "alerts": study.alerts.model_dump(mode="json"),
        "cases": study.cases.model_dump(mode="json"),
        "known_on": study.known_on,
        "code": study.places.place_code,
    }
    return _step(run, "situation", inputs, settings, [SITUATION], lambda q: analysis.rt(study, run.sources, run.folder, q), p)


def _importation(run: _Run, p: Progress) -> Record:
    study, given = run.study, run.study.importation
    if given is None:
        raise Skip("no [importation] in the study file")
    named = {name: run.sources.known(path) for name in ("cases", "prevalence", "flights", "observed") if (path := getattr(given, name))}
    more = {
        "origins": run.sources.need(given.origins) if given.origins else None,
        "arrivals": analysis.arrivals_file(study, run.sources, run.folder),
        "days_abroad": analysis.stays_file(study, run.sources, run.folder),
    }
    named |= {name: path for name, path in more.items() if path is not None}
    settings = given.model_dump(mode="json") | {"seed": study.seed}
    return _step(run, "importation", named, settings, [IMPORTATION], lambda q: analysis.imported(study, run.sources, run.folder, q), p)


def _scenario(run: _Run, p: Progress) -> Record:
    study = run.study
    if study.scenario is None:
        raise Skip("no [scenario] in the study file")
    if "situation" not in run.told:
        raise Skip("there is no situation to start from")
    inputs = _outputs(run, "inputs", "mobility") | {"situation": run.folder.path(SITUATION, "situation.json")}
    settings = {
        "scenario": study.scenario.model_dump(mode="json", by_alias=True),
        "draws": study.mobility.draws,
        "seed": study.seed,
        "notes": study.notes,
        "od": study.table("od") is not None,
    }
    owns = [SCENARIO_FILE, "variant-*.toml", "scenario", "scenario-*", "notes.txt"]
    return _step(run, "scenario", inputs, settings, owns, lambda q: analysis.what_if(study, run.place_names, run.folder, q), p)


def _alerts(run: _Run, p: Progress) -> Record:
    study = run.study
    if "situation" not in run.told:
        raise Skip("there is no situation to warn of")
    cause = run.chain.step("alerts", dict(TITLES)["alerts"].en)
    inputs = _outputs(run, "situation") | {"cases": run.sources.known(study.cases.file)}
    settings = {"alerts": study.alerts.model_dump(mode="json"), "cause": cause.id, "known_on": study.known_on}

    def work(q: Progress) -> dict[str, Any]:
        return raise_alerts(study, run.sources, run.folder, Chain(run.chain.study, run.chain.actor, run.chain.at), cause, q)

    record = run_step(run.folder, Step("alerts", inputs, settings, ["alerts"], work), p)
    run.chain.take(alert.context for alert in read_alerts(run.folder) if alert.context)
    return record


async def _notices(run: _Run, members: Members | None, p: Progress) -> Record:
    if run.study.notices is None:
        raise Skip("no [notices] in the study file")
    if members is None:
        raise Skip("no member is asked: public tables alone")
    origins = [row["origin"] for row in run.told.get("importation", {}).get("origins", []) if row["mean"] > 0]
    cause = run.chain.step("notices", dict(TITLES)["notices"].en)
    try:
        terms = terms_of(run.study, origins, cause)
    except NothingFoundError as err:
        raise Skip(err.message) from err
    agreements = {one.id: one.agreement for one in kept_agreements(members.home)}
    told, counts = await ask_carriers(terms, run.folder, members, agreements, run.chain, p)
    run.answers.asked += counts
    if told["new"]:
        run.answers.new += len(counts)
        run.answers.spent += sum(one.release.rho for one in counts)
    outputs = hashes(run.folder, ["notices"])
    return Record(
        "notices",
        content_id(terms),
        outputs,
        {"notes": [f"{told['accepted']} of {told['asked']} carriers will notify"]},
        reused=not told["new"],
    )


def _truth(run: _Run, p: Progress) -> Record:
    study, given = run.study, run.study.truth
    if given is None:
        raise Skip("no [truth] in the study file")
    inputs = {f"truth/{name}": run.sources.need(path) for name in ("cases", "od", "travel") if (path := getattr(given, name))}
    inputs |= _outputs(run, "mobility", "data", "forecasts", "importation")
    settings = {
        "answers": content_of(run.answers),
        "threshold": study.forecast.threshold,
        "cases": study.cases.model_dump(mode="json"),
        "places": study.places.model_dump(mode="json"),
        "scale": study.mobility.trips_per_counted,
    }
    day = date.fromisoformat(run.told["forecasts"]["reference_date"])

    def work(q: Progress) -> dict[str, Any]:
        return compare_with_truth(study, run.sources, run.folder, run.place_names, run.answers, day, q)

    return _step(run, "truth", inputs, settings, ["truth"], work, p)


def _report(run: _Run, p: Progress) -> Record:
    study = run.study
    if "reference_date" not in run.told.get("forecasts", {}):
        raise UnknownValueError("there is no forecast to report")
    day = date.fromisoformat(run.told["forecasts"]["reference_date"])
    names = ("inputs", "data", "forecasts", "scores", "situation", "importation", "scenario", "alerts", "truth")
    settings = {
        "title": study.title.model_dump(),
        "forecast": study.forecast.model_dump(mode="json"),
        "places": study.places.model_dump(mode="json"),
        "answers": content_of(run.answers),
        "rho": rho_of(run.answers),
    }
    inputs = _outputs(run, *names)
    notes = run.folder.path("notes.txt")
    if study.notes and not notes.exists():
        write_atomically(notes, "".join(f"{line}\n" for line in study.notes).encode())
    return _step(
        run,
        "report",
        inputs,
        settings,
        ["report.html", SUMMARY_FILE],
        lambda q: tell(study, run.sources, run.folder, run.answers, day, q),
        p,
    )
