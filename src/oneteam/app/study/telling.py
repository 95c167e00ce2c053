"""What a study says: ``report.html`` and ``summary.json``."""

from __future__ import annotations

import math
from datetime import date
from typing import Any, Final

from oneteam.app.study.alerts import read_alerts
from oneteam.app.study.folder import StudyFolder, read_json
from oneteam.app.study.inputs import Sources
from oneteam.app.study.releases import Answers, Refusal
from oneteam.app.study.settings import StudyFile
from oneteam.core.model import Text
from oneteam.core.progress import Progress
from oneteam.epidemic.service.report import write_report
from oneteam.epidemic.service.report_inputs import ReportFiles, ReportSettings, read_study

SUMMARY_FILE: Final = "summary.json"
REPORT_FILE: Final = "report.html"
TOP: Final = 10
MEMBERS: Final = Text(en="Members’ answers", ko="회원 응답")


def report_settings(study: StudyFile, reference_date: date, answers: Answers) -> ReportSettings:
    """How the report is made; it says what is missing because nobody answered."""
    title = study.title
    return ReportSettings(
        reference_date=reference_date,
        horizon=study.forecast.horizon,
        threshold=study.forecast.threshold,
        aggregate=study.places.aggregate,
        title=f"{title.en}|{title.ko}" if title.ko else title.en,
        notes=tuple((MEMBERS, _unanswered(refusal)) for refusal in answers.refusals),
    )


def _unanswered(refusal: Refusal) -> Text:
    days = f"{refusal.measure}, {refusal.first_day} – {refusal.last_day}"
    return Text(
        en=f"Missing: {days}. Not answered ({refusal.code}): {refusal.message}",
        ko=f"빠진 자료: {days}. 응답 없음 ({refusal.code}): {refusal.message}",
    )


def report_files(study: StudyFile, sources: Sources, folder: StudyFolder) -> ReportFiles:
    """The pieces of the report; places' shapes as given, else as joined from the zones'."""
    given = study.places
    zones = sources.need(given.geometry) if given.geometry else None
    joined = folder.path("places.geojson")
    if given.place_geometry:
        return ReportFiles.of_study(folder.root, sources.need(given.place_geometry), zones)
    if joined.exists():
        return ReportFiles.of_study(folder.root, joined, zones)
    return ReportFiles.of_study(folder.root, zones, None)


def tell(
    study: StudyFile, sources: Sources, folder: StudyFolder, answers: Answers, reference_date: date, progress: Progress
) -> dict[str, Any]:
    """Write the report and the summary."""
    files, settings = report_files(study, sources, folder), report_settings(study, reference_date, answers)
    made = write_report(files, folder.path(REPORT_FILE), settings, progress)
    found = read_study(files, settings)
    ranked = [o for o in found.outlooks if o.probability is not None]
    places = [
        {
            "location": o.place.code,
            "name": o.place.name.model_dump(),
            "probability": _known(o.probability),
            "probability_before": _known(o.before),
            "expected_per_100k": _known(o.rate(o.median)) if o.place.population > 0 else None,
            "last": _known(o.last),
            "median": _known(o.median),
            "low": _known(o.low),
            "high": _known(o.high),
        }
        for o in ranked[:TOP]
    ]
    truth = folder.path("truth", "truth.json")
    body = {
        "format": "oneteam-summary/1",
        "title": study.title.model_dump(),
        "known_on": study.known_on.isoformat(),
        "reference_date": made.reference_date,
        "horizon_weeks": study.forecast.horizon,
        "threshold": study.forecast.threshold,
        "sentences": {code: list(words) for code, words in made.sentences.items()},
        "places": places,
        "missing": list(made.missing),
        "releases": len(answers.asked),
        "refusals": len(answers.refusals),
        "unanswered": [{name: value for name, value in refusal.as_dict().items() if name != "at"} for refusal in answers.refusals],
        "rho_spent": rho_of(answers),
        "alerts": len(read_alerts(folder)),
        "truth": read_json(truth) if truth.is_file() else None,
        "label": found.label,
    }
    folder.write_json(folder.path(SUMMARY_FILE), body)
    return {"sentences": body["sentences"], "places": places, "missing": list(made.missing)}


def rho_of(answers: Answers) -> float:
    """What all Releases of the study together cost one privacy unit."""
    return float(sum(one.release.rho for one in answers.asked))


def _known(value: float | None) -> float | None:
    return float(value) if value is not None and math.isfinite(value) else None
