"""The analysis pages: Now, District, Importation, Mobility, Scores."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Annotated, Any, Final
from urllib.parse import quote

from fastapi import APIRouter, Depends, Path, Query, Request
from fastapi.responses import FileResponse, RedirectResponse, Response
from markupsafe import Markup

from oneteam.core.errors import NotThereError
from oneteam.epidemic.report.findings import Finding
from oneteam.epidemic.report.study import Study
from oneteam.epidemic.report.voice import day_words
from oneteam.web.face import NavItem, allow, render, visit_of
from oneteam.web.outlook import mobility
from oneteam.web.outlook.api import api_router
from oneteam.web.outlook.catalogue import CHARTS, Asked, figure, rule_about
from oneteam.web.outlook.importation import origins_table
from oneteam.web.outlook.importation import period as importation_period
from oneteam.web.outlook.place import by_name, find_place, like, week_table
from oneteam.web.outlook.place import head as place_head
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
}
FIRST_ALERTS: Final = 6
REPORT: Final = "report.html"


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
    shelf.warm()
    room = Pages(shelf)
    pages = APIRouter(dependencies=[Depends(allow())], include_in_schema=False)
    for address, page in (
        ("/now", room.now),
        ("/now/progress", room.progress),
        ("/now/report", room.report),
        ("/place", room.find),
        ("/place/{code}", room.place),
        ("/importation", room.importation),
        ("/mobility", room.mobility),
        ("/scores", room.scores),
        ("/numbers/{name}", room.numbers),
    ):
        pages.add_api_route(address, page, response_model=None)
    whole = APIRouter()
    whole.include_router(pages)
    whole.include_router(api_router(shelf))
    return whole


class Pages:
    """The pages of one study.

    Args:
        shelf: where the study stands.
    """

    def __init__(self, shelf: StudyShelf) -> None:
        self._shelf = shelf

    def now(self, request: Request) -> Response:
        """Three sentences, the map, the ranking, the national fan, alerts, what it rests on."""
        files, language = self._shelf.open(), visit_of(request).language
        study = files.study if files else None
        if files is None or study is None:
            return render(request, "outlook/now.html", page="now", **frame(files, language))
        asked = Asked(files, language)
        alerts = [(a.severity, headline(files, a, language), told(a.description, language), a.effective, a.place) for a in files.alerts]
        return render(
            request,
            "outlook/now.html",
            page="now",
            **frame(files, language),
            sentences=[sentence(f, language) for f in files.findings],
            title=told(study.title, language),
            map=figure("map", asked) if files.place_shapes else None,
            ranking=figure("ranking", asked),
            ranking_about=rule_about(study, language),
            national=figure("national", asked),
            alerts=alerts,
            first_alerts=FIRST_ALERTS,
            draft=any(a.status == "Draft" for a in files.alerts),
            codes={p.code for p in study.places},
            notes=[(told(n.source, language), told(n.what, language)) for n in study.notes],
            sources=[(told(s.what, language), s.name, s.last, s.sha256) for s in study.sources],
            report=(files.folder / REPORT).is_file(),
            releases=releases(files, language),
        )

    def progress(self, request: Request) -> Response:
        """How far the study is: the part of the first page that asks again."""
        files, language = self._shelf.open(), visit_of(request).language
        return render(request, "outlook/progress.html", page="now", progress=progress_of(files, language))

    def report(self) -> Response:
        """The study's page for print.

        Raises:
            NotThereError: it was not made.
        """
        files = self._shelf.open()
        if files is None or not (files.folder / REPORT).is_file():
            raise NotThereError("the study has no report", hint="Make it with `oneteam epidemic report`.")
        return FileResponse(files.folder / REPORT, media_type="text/html", filename=REPORT)

    def find(self, request: Request, q: Annotated[str, Query(max_length=200)] = "") -> Response:
        """The place that was asked for by name or code; the likeliest without a question."""
        files, language = self._shelf.open(), visit_of(request).language
        study = files.study if files else None
        if study is None:
            return render(request, "outlook/place.html", page="place", **frame(files, language))
        found = find_place(study, q) if q else (study.outlooks[0].place if study.outlooks else None)
        if found is None:
            return self._unknown(request, q)
        return RedirectResponse(f"/place/{quote(found.code, safe='')}", status_code=303)

    def place(self, request: Request, code: Annotated[str, Path(max_length=200)]) -> Response:
        """One place."""
        files, language = self._shelf.open(), visit_of(request).language
        study = files.study if files else None
        if files is None or study is None:
            return render(request, "outlook/place.html", page="place", **frame(files, language))
        found = find_place(study, code)
        if found is None or found.code != code:
            return self._unknown(request, code)
        asked = Asked(files, language, found)
        return render(
            request,
            "outlook/place.html",
            page="place",
            **frame(files, language),
            choices=choices(study, language),
            unknown="",
            head=place_head(study, found, language),
            figures={**{name: figure(name, asked) for name in ("fan", "rt", "feeds")}, "past": figure("past", asked, n=study.horizon)},
            table=week_table(study, found, language),
            about=rule_about(study, language),
        )

    def _unknown(self, request: Request, asked: str) -> Response:
        files, language = self._shelf.open(), visit_of(request).language
        listed = choices(files.study, language) if files and files.study else []
        named = {code: (name, files.name(code).en, files.name(code).ko) for code, name in listed} if files else {}
        matching = [one for one in listed if any(like(name, asked) for name in named[one[0]])]
        return render(
            request,
            "outlook/place.html",
            page="place",
            status=404 if asked and not matching else 200,
            **frame(files, language),
            choices=listed,
            matching=matching,
            unknown=asked,
        )

    def importation(self, request: Request) -> Response:
        """Where imported cases come from."""
        files, language = self._shelf.open(), visit_of(request).language
        imports = files.study.imports if files and files.study else None
        more: dict[str, Any] = {"imports": imports, "make": MAKE["importation"]}
        if files is not None and imports is not None:
            asked = Asked(files, language)
            more |= {"world": figure("world", asked), "origins": figure("origins", asked), "totals": figure("imports", asked)}
            more |= {"table": origins_table(files, language), "period": importation_period(files, language), "notes": list(imports.notes)}
            more["sentence"] = sentence(files.findings[1], language)
        return render(request, "outlook/importation.html", page="importation", **frame(files, language), **more)

    def mobility(self, request: Request, period: Annotated[int, Query(ge=-1, le=10_000)] = -1) -> Response:
        """Movement between places, and what privacy noise did to it."""
        files, language = self._shelf.open(), visit_of(request).language
        spans = mobility.periods(files) if files else ()
        at = period if 0 <= period < len(spans) else len(spans) - 1
        more: dict[str, Any] = {"periods": spans, "at": at, "make": MAKE["study"]}
        if files is not None and spans:
            asked = Asked(files, language, None, at)
            noise = "mobility.noise.exact" if mobility.has_released(files, at) else "mobility.noise.std"
            more |= {"flows": figure("flows", asked) if files.zones else None, "pairs": figure("pairs", asked)}
            more |= {"trips": figure("trips", Asked(files, language)), "noise": figure("noise", asked, about=noise)}
            more |= {"facts": mobility.noise_facts(files, language, at), "table": mobility.places_table(files, language, at)}
        return render(request, "outlook/mobility.html", page="mobility", **frame(files, language), **more)

    def numbers(
        self, request: Request, name: Annotated[str, Path(max_length=40)], period: Annotated[int, Query(ge=-1, le=10_000)] = -1
    ) -> Response:
        """The table of a chart by itself.

        Raises:
            NotThereError: no such chart, or nothing for it in the study.
        """
        files, language = self._shelf.open(), visit_of(request).language
        spans = mobility.periods(files) if files else ()
        known = name in CHARTS and CHARTS[name].needs != "place" and period < max(len(spans), 1)
        drawn = figure(name, Asked(files, language, None, period), model="") if files is not None and known else None
        if drawn is None:
            raise NotThereError("the study has no such numbers")
        return render(request, "outlook/numbers.html", page="", table=drawn.table, title=drawn.title)

    def scores(self, request: Request) -> Response:
        """How good past forecasts were; against the truth, where it is known."""
        files, language = self._shelf.open(), visit_of(request).language
        study = files.study if files else None
        more: dict[str, Any] = {"scored": False, "make": MAKE["scores"]}
        more["truth"] = truth_rows(files.truth, language) if files and files.truth else ()
        if files is not None and study is not None and study.scores is not None and study.score_row is not None:
            asked, model = Asked(files, language), short_model(study.model)
            figures = {name: figure(name, asked) for name in ("models", "coverage", "reliability", "pit")}
            figures |= {name: figure(name, asked, model=model) for name in ("horizons", "place-scores", "weeks")}
            figures["map"] = figure("place-scores-map", asked, model=model) if files.place_shapes else None
            first, last = (_day(study.scores[f"{end}_reference_date"], language) for end in ("first", "last"))
            lead = say_in(language)("scores.lead", tasks=f"{study.score_row['tasks']:,}", first=first, last=last)
            more |= {"scored": True, "figures": figures, "lead": lead, "revised": study.label != "vintage"}
        return render(request, "outlook/scores.html", page="scores", **frame(files, language), **more)


def releases(files: StudyFiles, language: str) -> list[str]:
    """What members released for the study and what it cost, then what they refused; empty for a study of public tables."""
    used, spent = files.provenance.get("releases"), files.provenance.get("rho_spent")
    if not isinstance(used, list) or not used:
        return []
    say = say_in(language)
    cost = f"{spent:.3g}" if isinstance(spent, int | float) else "–"
    refused = [
        f"{say('now.releases.refused')}: {r.get('measure', '')} – {r.get('message', '')}" for r in files.refusals if isinstance(r, dict)
    ]
    return [say("now.releases.used", n=len(used), rho=cost), *refused]


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


def choices(study: Study, language: str) -> list[tuple[str, str]]:
    """All places for the search field: code and name, by name."""
    everywhere = [*study.places, *([study.whole] if study.whole else [])]
    return sorted(((p.code, told(p.name, language)) for p in everywhere), key=lambda item: by_name(item[1]))


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
