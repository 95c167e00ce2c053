"""The analysis as JSON and CSV: ``/api/v1/outlook/...``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Path, Query, Request
from fastapi.responses import Response

from oneteam.core.errors import NotThereError
from oneteam.epidemic.report.study import Place
from oneteam.web.face import allow, visit_of
from oneteam.web.outlook import place
from oneteam.web.outlook.catalogue import API, CHARTS, Asked, Chart, document, grid, outlines
from oneteam.web.outlook.charts import ChartDocument, Shapes
from oneteam.web.outlook.study_files import StudyFiles, StudyShelf

Format = Annotated[Literal["json", "csv"], Query(alias="format", description="json for programs, csv for spreadsheets")]
Period = Annotated[int, Query(ge=-1, le=10_000, description="which period of the mobility data, from 0; -1 is the newest")]
Code = Annotated[str, Path(max_length=200, description="code of a place")]
_CSV: dict[int | str, dict[str, Any]] = {200: {"content": {"text/csv": {}}}, 404: {"description": "nothing is there to draw"}}


class PlaceRow(ChartDocument):
    """A place and what is expected of it in the week that is asked about."""

    code: str
    name: str
    probability: float | None
    probability_before: float | None
    median: float
    low_95: float
    high_95: float


class FindingRow(ChartDocument):
    """One of the three sentences, as HTML, with what it rests on."""

    key: str
    question: str
    answer: str
    data: str
    grade: Literal["checked", "partly", "unchecked"]
    validation: str
    record: str
    warning: str | None


def opened(shelf: StudyShelf) -> StudyFiles:
    """The study.

    Raises:
        NotThereError: there is none.
    """
    files = shelf.open()
    if files is None:
        raise NotThereError("no study is here", hint="Make one with `oneteam study run`.")
    return files


def place_of(files: StudyFiles, code: str) -> Place:
    """A place of the study by its code.

    Raises:
        NotThereError: no study, or no such place.
    """
    study = files.study
    found = None if study is None else place.find_place(study, code)
    if found is None or found.code != code:
        raise NotThereError(f"no place {code[:40]!r} is in the study")
    return found


def api_router(shelf: StudyShelf) -> APIRouter:
    """Every chart's document, outlines, places and sentences; for whoever is signed in."""
    router = APIRouter(prefix=API, tags=["outlook"], dependencies=[Depends(allow())])
    for chart in CHARTS.values():
        address = f"/place/{{code}}/{chart.name}" if chart.needs == "place" else f"/{chart.name}"
        router.add_api_route(
            address,
            _endpoint(chart, shelf),
            response_model=chart.document,
            responses=_CSV,
            name=f"outlook_{chart.name}",
            summary=chart.name,
        )

    @router.get("/shapes/{which}", summary="Outlines of the places that are forecast, or of the zones people move between")
    def shapes(which: Literal["places", "zones"]) -> Shapes:
        found = outlines(opened(shelf), which)
        if found is None:
            raise NotThereError("the study has no outlines", hint="zones.geojson is absent.")
        return found

    @router.get("/places", summary="All places, the likeliest to reach their threshold first")
    def places(request: Request) -> list[PlaceRow]:
        study, language = opened(shelf).study, visit_of(request).language
        return [
            PlaceRow(
                code=o.place.code,
                name=getattr(o.place.name, language) or o.place.name.en,
                probability=o.probability,
                probability_before=o.before,
                median=o.median,
                low_95=o.low,
                high_95=o.high,
            )
            for o in (study.outlooks if study else ())
        ]

    @router.get("/findings", summary="The three sentences of the first page")
    def sentences(request: Request) -> list[FindingRow]:
        language = visit_of(request).language
        return [
            FindingRow(
                key=f.key,
                grade=f.grade,
                warning=getattr(f.warning, language) if f.warning else None,
                **{name: getattr(getattr(f, name), language) for name in ("question", "answer", "data", "validation", "record")},
            )
            for f in opened(shelf).findings
        ]

    return router


def _endpoint(chart: Chart, shelf: StudyShelf) -> Callable[..., Any]:
    """A route of a chart, with the parameters that it needs."""

    def answer(asked: Asked, wanted: str) -> Any:
        made = document(chart.name, asked)
        if made is None:
            raise NotThereError(f"the study has nothing for {chart.name}")
        if wanted == "json":
            # Sent as it is: it was checked when it was made.
            return Response(made.model_dump_json(), media_type="application/json")
        where = f"-{asked.place.code}" if asked.place else ""
        return Response(
            grid(made, asked.say).csv(),
            media_type="text/csv; charset=utf-8",
            headers={"content-disposition": f'attachment; filename="{chart.name}{_safe(where)}.csv"'},
        )

    if chart.needs == "place":

        def of_place(request: Request, code: Code, wanted: Format = "json") -> Any:
            files = opened(shelf)
            return answer(Asked(files, visit_of(request).language, place_of(files, code)), wanted)

        return of_place
    if chart.needs == "period":

        def of_period(request: Request, wanted: Format = "json", period: Period = -1) -> Any:
            files = opened(shelf)
            known = len(files.trips.periods) if files.trips else 0
            if period >= known:
                raise NotThereError(f"no period {period}; the study has {known}")
            return answer(Asked(files, visit_of(request).language, None, period), wanted)

        return of_period

    def plain(request: Request, wanted: Format = "json") -> Any:
        return answer(Asked(opened(shelf), visit_of(request).language), wanted)

    return plain


def _safe(text: str) -> str:
    return "".join(c for c in text if (c.isascii() and c.isalnum()) or c == "-")
