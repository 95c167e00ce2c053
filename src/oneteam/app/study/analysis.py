"""The epidemic's own steps, from the files in the study folder: target data, forecasts, scores, situation, importation, scenario."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any, Final

from oneteam.app.study.ensemble import compare_over_draws
from oneteam.app.study.folder import StudyFolder, read_json
from oneteam.app.study.inputs import Sources
from oneteam.app.study.mobility import ARRIVALS, DAYS_ABROAD, MOVEMENT, OD_CSV, read_trips_of
from oneteam.app.study.places import Zones
from oneteam.app.study.settings import StudyFile
from oneteam.app.study.toml import to_toml
from oneteam.core.errors import NothingFoundError
from oneteam.core.progress import Progress
from oneteam.epidemic.engine.measures import Calendar
from oneteam.epidemic.service.backtest import BacktestSettings
from oneteam.epidemic.service.convert import LOCATIONS_FILE, REPORT_FILE, TARGET_FILE, ConvertSettings, convert
from oneteam.epidemic.service.forecast import forecast_now
from oneteam.epidemic.service.importation import importation, parse_measures, write_importation
from oneteam.epidemic.service.importation_inputs import HOME, ImportationSettings
from oneteam.epidemic.service.inputs import InputFiles
from oneteam.epidemic.service.rt import RtSettings, situation, write_situation
from oneteam.epidemic.service.rt_inputs import TOTAL
from oneteam.epidemic.service.score import ScoreSettings, score, write_report
from oneteam.epidemic.service.simulate import read_scenario
from oneteam.store.rows import some
from oneteam.store.tables import read_parquet, write_atomically

BASELINE: Final = "oneteam-baseline"
DATA, FORECASTS, SCORES, SITUATION, IMPORTATION, SCENARIO = "data", "forecasts", "scores", "situation", "importation", "scenario"
SCENARIO_FILE, NOTES_FILE = "scenario.toml", "notes.txt"
START: Final = (
    "Scenario start: infected people are the reported cases of the last 7 days over an assumed share of {share:.0%} that is reported. | "
    "시나리오 시작: 최근 7일 환자 수를 발견율 {share:.0%}(가정)로 나눈 값을 감염자로 둠."
)
IMMUNE: Final = (
    "Everybody not infected starts susceptible: immunity is in the reproduction number; severe outcomes are too high where many are "
    "immune. | 감염자 외에는 모두 감수성자로 시작함: 면역은 재생산수에 반영되며, 면역자가 많으면 입원·사망은 과대평가됨."
)
_EVEN: Final = Calendar(weekend={}, commuting_weekend=1.0)
"""An estimated Rt is a mean over weekdays and weekends already."""


def weekly_data(study: StudyFile, sources: Sources, folder: StudyFolder) -> dict[str, Any]:
    """Cases of the day's file as weekly target data."""
    settings = ConvertSettings(
        source=study.cases.source,
        week_end=study.cases.week_end,
        border=study.cases.border,
        population=sources.need(study.places.zones),
        population_code=_population_code(study),
        aggregate=study.places.aggregate,
    )
    made = convert(sources.known(study.cases.file), folder.path(DATA), settings)
    report = made.as_dict() | {"files": [f"{DATA}/{name}" for name in (TARGET_FILE, LOCATIONS_FILE, REPORT_FILE)]}
    folder.write_json(folder.path(DATA, REPORT_FILE), report)
    return {"last_week": made.last_week, "weeks": made.weeks, "locations": made.locations}


def _population_code(study: StudyFile) -> str | None:
    return study.places.place_code


def movement_file(study: StudyFile, sources: Sources, folder: StudyFolder) -> Path | None:
    """Movement by week: a public table as known on the day, else that of the Releases."""
    table = study.table("movement")
    if table is not None:
        return sources.known(table.file)
    made = folder.path(MOVEMENT)
    return made if made.exists() else None


def forecasts(study: StudyFile, folder: StudyFolder, movement: Path | None, last_week: str, progress: Progress) -> dict[str, Any]:
    """The forecast of the newest week, and those of the weeks before it as if each were today."""
    files = InputFiles(folder.path(DATA, TARGET_FILE), folder.path(DATA, LOCATIONS_FILE), mobility=movement)
    chosen = study.forecast
    settings = BacktestSettings(
        horizons=chosen.horizons, models=chosen.models, seed=study.seed, processes=chosen.processes, learn_every_weeks=4
    )
    day = date.fromisoformat(last_week)
    if min(chosen.horizons) < 1:
        day += timedelta(days=7)
    made = forecast_now(files, folder.path(FORECASTS), settings, day.isoformat(), chosen.past_weeks, progress)
    return {
        "reference_date": str(made.reference_date),
        "label": made.label,
        "weights": made.report.weights,
        "failures": made.as_dict()["failures"],
        "notes": [_bare(note, folder) for note in made.report.notes],
    }


def scores(study: StudyFile, folder: StudyFolder, progress: Progress) -> dict[str, Any]:
    """How good the past forecasts were."""
    output = folder.path(FORECASTS, "model-output")
    settings = ScoreSettings(threshold=study.forecast.threshold, allow_missing=True)
    report = score(output, folder.path(DATA, TARGET_FILE), output / BASELINE, folder.path(DATA, LOCATIONS_FILE), settings, progress)
    write_report(report, folder.path(SCORES))
    best = next((row for row in report.rows if row.model == "oneteam-ensemble"), report.rows[0])
    return {"tasks": report.about["tasks"], "relative_wis": _known(best.relative_wis), "coverage_95": _known(best.coverage_95)}


def rt_settings(study: StudyFile, sources: Sources) -> RtSettings:
    """How Rt is worked out."""
    return RtSettings(
        source=study.cases.source,
        border=study.cases.border,
        until=study.known_on,
        disease=study.situation.disease,
        window_d=study.situation.window_d,
        smoothing_d=study.situation.smoothing_d,
        threshold_per_100k=study.situation.threshold_per_100k,
        population=sources.need(study.places.zones),
        population_code=_population_code(study),
        ages=sources.known(study.cases.ages) if study.cases.ages else None,
        sender=study.alerts.sender,
        status=study.alerts.status,
        sent=study.moment,
    )


def rt(study: StudyFile, sources: Sources, folder: StudyFolder, progress: Progress) -> dict[str, Any]:
    """Rt, growth, risk by place."""
    found = situation(sources.known(study.cases.file), rt_settings(study, sources), progress)
    write_situation(found, folder.path(SITUATION))
    whole = found.places[0]
    return {"day": str(found.day), "rt": whole.rt, "risk": {str(p.location): p.risk for p in found.places}}


def arrivals_file(study: StudyFile, sources: Sources, folder: StudyFolder) -> Path | None:
    """Arrivals by day and country: a public table, else those of the Releases; None where nobody says who came from where."""
    table = study.table("arrivals")
    if table is not None:
        return sources.known(table.file)
    made = folder.path(ARRIVALS)
    return made if made.exists() else None


def stays_file(study: StudyFile, sources: Sources, folder: StudyFolder) -> Path | None:
    """Days abroad by country."""
    table = study.table("days_abroad")
    if table is not None:
        return sources.known(table.file)
    made = folder.path(DAYS_ABROAD)
    return made if made.exists() else None


def imported(study: StudyFile, sources: Sources, folder: StudyFolder, progress: Progress) -> dict[str, Any]:
    """Imported cases by origin, or national totals where origins cannot be known."""
    given = study.importation
    assert given is not None
    arrivals = arrivals_file(study, sources, folder)
    settings = ImportationSettings(
        ascertainment=given.ascertainment,
        # Without arrivals no origin can be told from another, and so no measure on one be judged.
        measures=parse_measures(given.measures) if arrivals is not None else (),
        draws=given.draws,
        seed=study.seed,
        home=given.home or HOME,
        days_abroad=stays_file(study, sources, folder) if arrivals is not None else None,
    )

    def known(name: str | None) -> Path | None:
        return sources.known(name) if name else None

    found = importation(
        arrivals,
        known(given.flights),
        known(given.cases),
        known(given.prevalence),
        sources.need(given.origins) if given.origins else None,
        known(given.observed),
        settings,
        progress,
    )
    notes = tuple(_bare(note, folder) for note in found.notes)
    notes += _too_few(folder) if arrivals == folder.path(ARRIVALS) else ()
    if given.measures and arrivals is None:
        notes += ("border measures were left out: without arrivals by origin none can be judged",)
    found = replace(found, notes=notes)
    write_importation(found, folder.path(IMPORTATION))
    return {
        "identifiable": found.identifiable,
        "origins": [{"origin": o.origin, "mean": o.mean, "low": o.low, "high": o.high} for o in found.origins],
        "first_week": str(found.weeks[0]),
        "last_week": str(found.weeks[-1]),
    }


def _too_few(folder: StudyFolder) -> tuple[str, ...]:
    """A note on countries whose arrivals are too few to be shown."""
    rows = read_parquet(folder.path(ARRIVALS), ["country", "hidden"]).group_by("country").aggregate([("hidden", "all")])
    few = [row["country"] for row in rows.sort_by("country").to_pylist() if row["hidden_all"]]
    if not few:
        return ()
    what = "too few arrivals to be shown by the Agreement, and count with their share of such countries' sum"
    return (f"{len(few)} of {rows.num_rows} origins have {what}, or none: {some(few)}",)


def scenario_document(study: StudyFile, zones: Zones, folder: StudyFolder, rt_value: float | None) -> dict[str, Any]:
    """``scenario.toml`` as a document: it starts where the situation stands; paths are relative to it."""
    given = study.scenario
    assert given is not None
    told = read_json(folder.path(SITUATION, "situation.json"))
    places = {place["location"]: place for place in told["places"]}
    whole = places.pop(TOTAL, None) or next(iter(places.values()))
    number = given.reproduction_number or rt_value or whole["rt"]
    if number is None:
        raise NothingFoundError("no reproduction number can be estimated from so few cases", hint="Give scenario.reproduction_number.")
    first = date.fromisoformat(told["day"]) + timedelta(days=1)
    document: dict[str, Any] = {
        "format": "oneteam-scenario/1",
        "name": given.name,
        "world": _world(study, folder),
        "model": {"preset": given.preset} if given.model is None else {"file": f"world/{Path(given.model).name}"},
        "run": {"first_day": first, "days": given.days, "members": given.members, "seed": study.seed},
        "calendar": _plain((given.calendar or _EVEN).model_dump(by_alias=True, exclude_none=True)),
        "infected": _infected(places, zones, given.reported),
        "measures": [_plain(one.model_dump(by_alias=True, exclude_none=True)) for one in given.measures],
    }
    document["model"] |= {"reproduction_number": round(float(number), 4), "reproduction_number_is": "on_first_day"}
    return document


def _infected(places: dict[str, Any], zones: Zones, reported: float) -> list[dict[str, Any]]:
    own: dict[str, list[str]] = {}
    for code, place in zones.place_of.items():
        own.setdefault(place, []).append(code)
    rows = []
    for code, place in places.items():
        # A region's code stands for its zones where their codes begin with it.
        named = [code] if all(zone.startswith(code) for zone in own.get(code, [])) else own.get(code, [])
        if code in own:
            people = sum(dict(zip(zones.codes, zones.population, strict=True))[zone] for zone in own[code])
            rows.append({"people": min(round(place["cases_7d"] / reported), math.floor(people)), "zones": named})
    return rows


def _world(study: StudyFile, folder: StudyFolder) -> dict[str, Any]:
    given = study.scenario
    assert given is not None
    table = study.table("od")
    world: dict[str, Any] = {"zones": f"world/{Path(study.places.zones).name}"}
    if given.contacts:
        world["contacts"] = "world"
    if given.ages:
        world["ages"] = f"world/{Path(given.ages).name}"
    if table is not None:
        world["od"] = f"world/{Path(table.file).name}"
        world["within_trips_per_resident"] = study.places.within_trips_per_resident
        # Of dated trips and of movement, only what was published by then.
        world["mobility_known_on"] = study.known_on
        if table.crosswalk:
            world["crosswalk"] = f"world/{Path(table.crosswalk).name}"
        movement = study.table("movement")
        if movement is not None and given.mobility_reference is not None:
            world["mobility"] = f"inputs/{Path(movement.file).name}"
            world["mobility_reference"] = given.mobility_reference.model_dump(by_alias=True)
    elif folder.path(OD_CSV).exists():
        world["od"] = OD_CSV
    if study.places.geometry:
        world["geometry"] = "zones.geojson"
    return world


def _plain(value: Any) -> Any:
    """What TOML can say."""
    match value:
        case dict():
            return {key: _plain(one) for key, one in value.items() if one is not None}
        case list() | tuple() | set() | frozenset():
            return [_plain(one) for one in value]
        case _:
            return value


def what_if(study: StudyFile, zones: Zones, folder: StudyFolder, progress: Progress) -> dict[str, Any]:
    """The scenario, and the same at both ends of the estimated Rt's interval."""
    given = study.scenario
    assert given is not None
    told = read_json(folder.path(SITUATION, "situation.json"))["places"]
    whole = next((place for place in told if place["location"] == TOTAL), told[0])
    runs: list[tuple[str, str, float | None]] = [(SCENARIO_FILE, SCENARIO, None)]
    if given.interval and given.reproduction_number is None:
        ends = [whole[k] for k in ("rt_low", "rt_high") if whole[k] is not None]
        runs += [(f"variant-Rt-{rt:.2f}.toml", f"scenario-Rt-{rt:.2f}", rt) for rt in ends]
    trips = None
    if study.table("od") is None and folder.path(OD_CSV).exists():
        trips = read_trips_of(folder, zones.codes)
    made: dict[str, Any] = {}
    for number, (name, out, rt_value) in enumerate(runs):
        document = scenario_document(study, zones, folder, rt_value)
        write_atomically(folder.path(name), to_toml(document).encode())
        scenario = read_scenario(folder.path(name))
        compared = compare_over_draws(
            scenario,
            folder.root,
            folder.path(out),
            trips,
            study.mobility.draws,
            plots=number == 0,
            progress=_share(progress, number, len(runs)),
        )
        made[out] = {"draws": compared.draws, "averted_share": next(iter(compared.averted.values())).share.median}
    write_atomically(folder.path(NOTES_FILE), _notes(study).encode())
    return made


def _share(progress: Progress, number: int, of: int) -> Progress:
    """The progress of one of several equal parts."""
    return lambda step, done, total: progress(step, number + done / (total or 1), of)


def _notes(study: StudyFile) -> str:
    lines: list[str] = []
    given = study.scenario
    if given is not None:
        lines += [START.format(share=given.reported), IMMUNE]
    lines += study.notes
    return "".join(f"{line}\n" for line in lines)


def _bare(note: str, folder: StudyFolder) -> str:
    """A note without this machine's paths."""
    return note.replace(f"{folder.root}/", "")


def _known(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None
