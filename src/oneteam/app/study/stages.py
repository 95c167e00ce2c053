"""The stages of a study, in order: what each is made from, what it owns, and who does it."""

from __future__ import annotations

import asyncio
from datetime import date
from typing import Any

from oneteam.app.agreeing import kept_agreements
from oneteam.app.study import analysis
from oneteam.app.study.alerts import raise_alerts, read_alerts
from oneteam.app.study.analysis import DATA, FORECASTS, IMPORTATION, SCENARIO_FILE, SCORES, SITUATION
from oneteam.app.study.contexts import Chain
from oneteam.app.study.inputs import copy_inputs
from oneteam.app.study.mobility import build_mobility, public_trips
from oneteam.app.study.notifying import ask_carriers, terms_of
from oneteam.app.study.places import read_zones, write_places
from oneteam.app.study.releases import Members, collect, content_of
from oneteam.app.study.running import TITLES, Running, Skip, outputs_of, step_of
from oneteam.app.study.steps import Record, Step, hashes, run_step
from oneteam.app.study.telling import SUMMARY_FILE, rho_of, tell
from oneteam.app.study.truth import compare_with_truth
from oneteam.core.canonical import content_id
from oneteam.core.errors import NothingFoundError, UnknownValueError
from oneteam.core.progress import Progress
from oneteam.store.tables import write_atomically


async def read_inputs(run: Running, p: Progress) -> Record:
    """What was known, and the places."""
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
    record = await asyncio.to_thread(step_of, run, "inputs", run.files, settings, owns, work, p)
    run.zones = read_zones(run.sources.need(study.places.zones), study.places.place_code)
    return record


async def ask_members(run: Running, members: Members | None, p: Progress) -> Record | None:
    """Releases of the members."""
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


def make_mobility(run: Running, p: Progress) -> Record:
    """Mobility of the Releases, or of a public table."""
    study = run.study
    if run.answers.asked:
        settings = {"answers": content_of(run.answers), "mobility": study.mobility.trips_per_counted, "zones": run.place_names.codes}

        def work(q: Progress) -> dict[str, Any]:
            return build_mobility(study, run.answers, run.place_names, run.folder, q)

        return step_of(run, "mobility", {"zones": run.folder.path("zones.csv")}, settings, ["mobility", "arrivals"], work, p)
    if study.table("od") is None:
        raise Skip("no Release and no public table of trips")
    inputs = outputs_of(run, "inputs")
    settings = {"within": study.places.within_trips_per_resident, "known_on": study.known_on}
    return step_of(
        run, "mobility", inputs, settings, ["mobility", "arrivals"], lambda _: public_trips(study, run.place_names, run.folder), p
    )


def make_data(run: Running, p: Progress) -> Record:
    """Weekly target data."""
    study = run.study
    inputs = {"cases": run.sources.known(study.cases.file), "zones": run.sources.need(study.places.zones)}
    settings = {"cases": study.cases.model_dump(mode="json"), "places": study.places.model_dump(mode="json")}
    return step_of(run, "data", inputs, settings, [DATA], lambda _: analysis.weekly_data(study, run.sources, run.folder), p)


def make_forecasts(run: Running, p: Progress) -> Record:
    """The forecast, and those of past weeks."""
    study = run.study
    movement = analysis.movement_file(study, run.sources, run.folder) if study.forecast.movement else None
    inputs = outputs_of(run, "data") | ({"movement": movement} if movement else {})
    settings = study.forecast.model_dump(mode="json", exclude={"threshold", "horizon", "processes"}) | {"seed": study.seed}
    last = run.told["data"]["last_week"]
    return step_of(run, "forecasts", inputs, settings, [FORECASTS], lambda q: analysis.forecasts(study, run.folder, movement, last, q), p)


def score_past(run: Running, p: Progress) -> Record:
    """How good past forecasts were."""
    if run.study.forecast.past_weeks < 1:
        raise Skip("no past week was forecast")
    settings = {"threshold": run.study.forecast.threshold}
    try:
        return step_of(
            run, "scores", outputs_of(run, "data", "forecasts"), settings, [SCORES], lambda q: analysis.scores(run.study, run.folder, q), p
        )
    except NothingFoundError as err:
        raise Skip(err.message) from err


def find_situation(run: Running, p: Progress) -> Record:
    """Rt and risk by place."""
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
    return step_of(run, "situation", inputs, settings, [SITUATION], lambda q: analysis.rt(study, run.sources, run.folder, q), p)


def estimate_importation(run: Running, p: Progress) -> Record:
    """Imported cases by origin."""
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
    return step_of(run, "importation", named, settings, [IMPORTATION], lambda q: analysis.imported(study, run.sources, run.folder, q), p)


def run_scenario(run: Running, p: Progress) -> Record:
    """What the measures of the study change."""
    study = run.study
    if study.scenario is None:
        raise Skip("no [scenario] in the study file")
    if "situation" not in run.told:
        raise Skip("there is no situation to start from")
    inputs = outputs_of(run, "inputs", "mobility") | {"situation": run.folder.path(SITUATION, "situation.json")}
    settings = {
        "scenario": study.scenario.model_dump(mode="json", by_alias=True),
        "draws": study.mobility.draws,
        "seed": study.seed,
        "notes": study.notes,
        "od": study.table("od") is not None,
    }
    owns = [SCENARIO_FILE, "variant-*.toml", "scenario", "scenario-*", "notes.txt"]
    return step_of(run, "scenario", inputs, settings, owns, lambda q: analysis.what_if(study, run.place_names, run.folder, q), p)


def warn(run: Running, p: Progress) -> Record:
    """CAP alerts for places at risk."""
    study = run.study
    if "situation" not in run.told:
        raise Skip("there is no situation to warn of")
    cause = run.chain.step("alerts", dict(TITLES)["alerts"].en)
    inputs = outputs_of(run, "situation") | {"cases": run.sources.known(study.cases.file)}
    settings = {"alerts": study.alerts.model_dump(mode="json"), "cause": cause.id, "known_on": study.known_on}

    def work(q: Progress) -> dict[str, Any]:
        return raise_alerts(study, run.sources, run.folder, Chain(run.chain.study, run.chain.actor, run.chain.at), cause, q)

    record = run_step(run.folder, Step("alerts", inputs, settings, ["alerts"], work), p)
    run.chain.take(alert.context for alert in read_alerts(run.folder) if alert.context)
    return record


async def ask_to_notify(run: Running, members: Members | None, p: Progress) -> Record:
    """Carriers are asked to tell their travellers."""
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


def compare(run: Running, p: Progress) -> Record:
    """How right it was, where the truth is known."""
    study, given = run.study, run.study.truth
    if given is None:
        raise Skip("no [truth] in the study file")
    inputs = {f"truth/{name}": run.sources.need(path) for name in ("cases", "od", "travel") if (path := getattr(given, name))}
    inputs |= outputs_of(run, "mobility", "data", "forecasts", "importation")
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

    return step_of(run, "truth", inputs, settings, ["truth"], work, p)


def write_reports(run: Running, p: Progress) -> Record:
    """Report and summary."""
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
    inputs = outputs_of(run, *names)
    notes = run.folder.path("notes.txt")
    if study.notes and not notes.exists():
        write_atomically(notes, "".join(f"{line}\n" for line in study.notes).encode())
    return step_of(
        run,
        "report",
        inputs,
        settings,
        ["report.html", SUMMARY_FILE],
        lambda q: tell(study, run.sources, run.folder, run.answers, day, q),
        p,
    )
