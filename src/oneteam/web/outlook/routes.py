"""The analysis pages: Now, District, Importation, Mobility, Scores."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Path, Query, Request
from fastapi.responses import FileResponse, RedirectResponse, Response
from markupsafe import Markup

from oneteam.core.errors import NothingFoundError
from oneteam.epidemic.report.findings import Finding
from oneteam.epidemic.report.study import Study
from oneteam.epidemic.report.voice import day_words
from oneteam.web.face import NavItem, allow, render, visit_of
from oneteam.web.outlook import importation, mobility, place
from oneteam.web.outlook.api import api_router
from oneteam.web.outlook.catalogue import Asked, figure, rule_about
from oneteam.web.outlook.progress import Progress, read_progress
from oneteam.web.outlook.scores import short_model
from oneteam.web.outlook.study_files import ReadAlert, StudyFiles, StudyShelf
from oneteam.web.outlook.truth import truth_rows
from oneteam.web.outlook.words import say_in, told
from oneteam.web.settings import WebSettings

NAV: Final = (
    NavItem("now", "/now", "outlook.now"),
    NavItem("place", "/place", "outlook.place"),
    NavItem("importation", "/importation", "outlook.importation"),
    NavItem("mobility", "/mobility", "outlook.mobility"),
    NavItem("scores", "/scores", "outlook.scores"),
)
GRADES: Final = {"checked": "validated", "partly": "half", "unchecked": "none"}
MAKE: Final = {
    "study": "oneteam study run study.toml --out DIR",
    "importation": "oneteam epidemic importation --out DIR/importation",
    "scores": "oneteam epidemic score --out DIR/scores",
    "mobility": "oneteam study run study.toml --out DIR",
}
FIRST_ALERTS: Final = 6


@dataclass(frozen=True)
class Sentence:
    """One of the three sentences in one language."""

    key: str
    question: str
    answer: Markup
    data: str
    grade: str
    validation: str
    record: str
    warning: str | None


def router(settings: WebSettings) -> APIRouter:
    """Pages and API of the analysis of one study."""
    shelf = StudyShelf(settings.study)
    pages = APIRouter(dependencies=[Depends(allow())], include_in_schema=False)

    @pages.get("/now")
    def now_page(request: Request) -> Response:
        files, language = shelf.open(), visit_of(request).language
        study = files.study if files else None
        more: dict[str, Any] = {}
        if files is not None and study is not None:
            asked = Asked(files, language)
            more = {
                "sentences": [sentence(f, language) for f in files.findings],
                "title": told(study.title, language),
                "map": figure("map", asked, about="now.map.about") if files.place_shapes else None,
                "ranking": figure("ranking", asked),
                "ranking_about": rule_about(study, language),
                "national": figure("national", asked),
                "alerts": [(a.severity, headline(files, a, language), told(a.description, language), a.effective, a.place) for a in files.alerts],
                "first_alerts": FIRST_ALERTS,
                "draft": any(a.status == "Draft" for a in files.alerts),
                "codes": {p.code for p in study.places},
                "reference": told(day_words(study.reference_date), language),
                "notes": [(told(n.source, language), told(n.what, language)) for n in study.notes],
                "sources": [(told(s.what, language), s.name, s.last, s.sha256) for s in study.sources],
                "report": (files.folder / "report.html").is_file(),
            }
        return render(request, "outlook/now.html", page="now", **frame(files, language), **more)

    @pages.get("/now/progress")
    def progress_part(request: Request) -> Response:
        files, language = shelf.open(), visit_of(request).language
        return render(request, "outlook/progress.html", page="now", progress=progress_of(files, language))

    @pages.get("/now/report")
    def report_page() -> Response:
        files = shelf.open()
        if files is None or not (files.folder / "report.html").is_file():
            raise NothingFoundError("the study has no report", hint="Make it with `oneteam epidemic report`.")
        return FileResponse(files.folder / "report.html", media_type="text/html", filename="report.html")

    @pages.get("/place")
    def find(request: Request, q: Annotated[str, Query(max_length=200)] = "") -> Response:
        files, language = shelf.open(), visit_of(request).language
        study = files.study if files else None
        if study is None:
            return render(request, "outlook/place.html", page="place", **frame(files, language))
        found = place.find_place(study, q) if q else (study.outlooks[0].place if study.outlooks else None)
        if found is not None:
            return RedirectResponse(f"/place/{found.code}", status_code=303)
        return render(request, "outlook/place.html", page="place", status=404 if q else 200, **frame(files, language), **choices(study, language), unknown=q)

    @pages.get("/place/{code}")
    def place_page(request: Request, code: Annotated[str, Path(max_length=200)]) -> Response:
        files, language = shelf.open(), visit_of(request).language
        study = files.study if files else None
        if files is None or study is None:
            return render(request, "outlook/place.html", page="place", **frame(files, language))
        found = place.find_place(study, code)
        if found is None or found.code != code:
            return render(request, "outlook/place.html", page="place", status=404, **frame(files, language), **choices(study, language), unknown=code)
        asked = Asked(files, language, found)
        figures = {name: figure(name, asked) for name in ("fan", "rt", "feeds")}
        figures["past"] = figure("past", asked, n=study.horizon)
        return render(
            request, "outlook/place.html", page="place", **frame(files, language), **choices(study, language), unknown="",
            head=place.head(study, found, language), figures=figures, table=place.week_table(study, found, language),
            about=rule_about(study, language),
        )  # fmt: skip

    @pages.get("/importation")
    def importation_page(request: Request) -> Response:
        files, language = shelf.open(), visit_of(request).language
        imports = files.study.imports if files and files.study else None
        more: dict[str, Any] = {"imports": imports}
        if files is not None and imports is not None:
            asked = Asked(files, language)
            more |= {name: figure(name, asked) for name in ("world", "origins")}
            more |= {
                "totals": figure("imports", asked),
                "table": importation.origins_table(files, language),
                "period": importation.period(files, language),
                "sentence": sentence(files.findings[1], language),
                "notes": list(imports.notes),
            }
        return render(request, "outlook/importation.html", page="importation", make=MAKE["importation"], **frame(files, language), **more)

    @pages.get("/mobility")
    def mobility_page(request: Request, period: Annotated[int, Query(ge=-1, le=10_000)] = -1) -> Response:
        files, language = shelf.open(), visit_of(request).language
        spans = mobility.periods(files) if files else ()
        at = period if 0 <= period < len(spans) else len(spans) - 1
        more: dict[str, Any] = {"periods": spans, "at": at}
        if files is not None and spans:
            asked = Asked(files, language, None, at)
            exact = any(f.label == say_in(language)("mobility.error") for f in mobility.noise_facts(files, language, at))
            more |= {
                "flows": figure("flows", asked) if files.zones else None,
                "pairs": figure("pairs", asked),
                "trips": figure("trips", Asked(files, language)),
                "noise": figure("noise", asked, about="mobility.noise.exact" if exact else "mobility.noise.std"),
                "facts": mobility.noise_facts(files, language, at),
                "table": mobility.places_table(files, language, at),
            }
        return render(request, "outlook/mobility.html", page="mobility", make=MAKE["mobility"], **frame(files, language), **more)

    @pages.get("/scores")
    def scores_page(request: Request) -> Response:
        files, language = shelf.open(), visit_of(request).language
        study = files.study if files else None
        more: dict[str, Any] = {"scored": False, "truth": truth_rows(files.truth, language) if files and files.truth else ()}
        if files is not None and study is not None and study.scores is not None and study.score_row is not None:
            asked, model = Asked(files, language), short_model(study.model)
            names = ("models", "coverage", "reliability", "pit")
            more |= {"scored": True, "figures": {name: figure(name, asked) for name in names}, "revised": study.label != "vintage"}
            more["figures"] |= {name: figure(name, asked, model=model) for name in ("horizons", "places", "weeks")}
            more["figures"]["map"] = figure("places-map", asked, model=model) if files.place_shapes else None
            more["lead"] = say_in(language)(
                "scores.lead", tasks=f"{study.score_row['tasks']:,}", first=_day(study.scores["first_reference_date"], language),
                last=_day(study.scores["last_reference_date"], language),
            )  # fmt: skip
        return render(request, "outlook/scores.html", page="scores", make=MAKE["scores"], **frame(files, language), **more)

    whole = APIRouter()
    whole.include_router(pages)
    whole.include_router(api_router(shelf))
    return whole


def headline(files: StudyFiles, alert: ReadAlert, language: str) -> str:
    """An alert's headline with the place's name in the language of the page, where the file knows it in one language only."""
    name = files.name(alert.place)
    return told(alert.headline, language).replace(name.ko if language == "en" else name.en, told(name, language))


def frame(files: StudyFiles | None, language: str) -> dict[str, Any]:
    """What every analysis page is given: the study's newest day, its progress, and why there is none."""
    study = files.study if files else None
    absent = files.absent if files else None
    return {
        "study": study,
        "data_date": study.known.last_week.isoformat() if study else "",
        "progress": progress_of(files, language),
        "make_study": MAKE["study"],
        "why": absent.why if absent else "",
        "no_folder": files is None,
    }


def progress_of(files: StudyFiles | None, language: str) -> Progress | None:
    """How far the study is; None where it does not say."""
    return None if files is None else read_progress(files.progress, language)


def choices(study: Study, language: str) -> dict[str, Any]:
    """All places for the search field: code and name, by name."""
    everywhere = [*study.places, *([study.whole] if study.whole else [])]
    return {"choices": sorted(((p.code, told(p.name, language)) for p in everywhere), key=lambda item: item[1])}


def sentence(finding: Finding, language: str) -> Sentence:
    """A sentence in one language; its answer is HTML made and escaped by the report."""
    return Sentence(
        finding.key,
        told(finding.question, language),
        Markup(told(finding.answer, language)),  # noqa: S704  names in it are escaped where it is made
        told(finding.data, language),
        GRADES[finding.grade],
        told(finding.validation, language),
        told(finding.record, language),
        told(finding.warning, language) if finding.warning else None,
    )


def _day(text: str, language: str) -> str:
    return told(day_words(date.fromisoformat(text)), language)
