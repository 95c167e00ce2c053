"""What-ifs for programs: ``/api/v1/whatif/...``."""

from __future__ import annotations

from contextlib import suppress
from datetime import date, datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Path, Query, Request
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, Field

from oneteam.app.whatif.plan import (
    DEFAULT_MEMBERS,
    FEWEST_DAYS,
    FEWEST_MEMBERS,
    MOST_DAYS,
    MOST_MEASURES,
    MOST_MEMBERS,
    MOST_TITLE,
    Plan,
    check,
    printable,
)
from oneteam.app.whatif.store import Meta, Reason, State
from oneteam.core.errors import NotThereError, OneteamError
from oneteam.epidemic.engine.measures import AnyMeasure
from oneteam.web.accounts import Account
from oneteam.web.face import allow, visit_of
from oneteam.web.failures import ErrorAnswer
from oneteam.web.outlook.charts import Grid, SeriesChart
from oneteam.web.whatif import views
from oneteam.web.whatif.forms import offered
from oneteam.web.whatif.runs import STUDY, Runs

Analyst = Annotated[Account, Depends(allow("analyst"))]
Reader = Annotated[Account, Depends(allow())]
RunId = Annotated[str, Path(pattern=r"^[0-9a-f]{12}$", description="id of a run")]
AnyRun = Annotated[str, Path(pattern=rf"^({STUDY}|[0-9a-f]{{12}})$", description="id of a run, or `study` for the study's own scenario")]
Format = Annotated[Literal["json", "csv"], Query(alias="format", description="json for programs, csv for spreadsheets")]
Top = Annotated[float | None, Query(ge=0, le=1e12, allow_inf_nan=False, description="what the chart's scale reaches to at least")]
_CSV: dict[str, Any] = {"content": {"text/csv": {}}}


def _errors(*codes: int) -> dict[int | str, dict[str, Any]]:
    return {code: {"model": ErrorAnswer} for code in (401, 403, *codes)}


class Row(BaseModel):
    """A document of the API."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class BaseRow(Row):
    """What every run of the study starts from, and what measures can name."""

    first_day: date
    days: int
    infected: int
    reproduction_number: float | None
    measures: tuple[str, ...]
    settings: tuple[str, ...]
    regions: dict[str, str]
    zones: dict[str, str]


class RunRow(Row):
    """A run: what is known of it, how far it is, and what it simulates."""

    id: str
    title: str
    author: str
    created: datetime
    shared: bool
    kept: bool
    state: State
    at: float
    of: float
    ahead: int
    seconds: float | None
    reason: Reason | None
    first_day: date | None
    days: int | None
    members: int | None
    measures: tuple[AnyMeasure, ...]
    in_words: str


class PlanBody(Plan):
    """A what-if as it is asked for; what is possible beyond this depends on the study (its days, places and settings)."""

    title: Annotated[str, Field(max_length=MOST_TITLE)] = ""
    days: Annotated[int, Field(ge=FEWEST_DAYS, le=MOST_DAYS)] | None = None
    members: Annotated[int, Field(ge=FEWEST_MEMBERS, le=MOST_MEMBERS)] = DEFAULT_MEMBERS
    measures: Annotated[tuple[AnyMeasure, ...], Field(min_length=1, max_length=MOST_MEASURES)]


class RunChange(Row):
    """What its author may change of a run; what is left out stays."""

    title: Annotated[str, Field(max_length=MOST_TITLE)] | None = None
    kept: bool | None = None
    shared: bool | None = None


def api_router(runs: Runs) -> APIRouter:  # noqa: C901 - one function for each operation
    """The API of a study's what-ifs."""
    router = APIRouter(prefix=views.API, tags=["whatif"])

    def row(request: Request, meta: Meta) -> RunRow:
        live = runs.live(meta)
        entry = runs.entry(meta, meta.author, visit_of(request).language)
        found: dict[str, Any] = {"first_day": None, "days": None, "members": None, "measures": ()}
        # Where the file is gone or broken, the rest can still be told.
        with suppress(OneteamError):
            scenario = runs.store.scenario(meta.id)
            found = {name: getattr(scenario.run, name) for name in ("first_day", "days", "members")} | {"measures": scenario.measures}
        told = meta.model_dump(include={"id", "title", "author", "created", "shared", "kept", "seconds", "reason"})
        return RunRow(**told, state=live.state, at=live.at, of=live.of, ahead=live.ahead, in_words=entry.measures, **found)

    @router.get("", responses=_errors(), summary="Runs that you may see, the newest first")
    def all_runs(request: Request, me: Reader) -> list[RunRow]:
        return [row(request, meta) for meta in runs.seen(me.name)]

    @router.post("", status_code=201, responses=_errors(400, 404, 409, 422, 429), summary="Run measures on the study's own scenario")
    def run(request: Request, me: Analyst, plan: PlanBody) -> RunRow:
        check(plan, runs.base())
        return row(request, runs.submit(plan, me.name))

    @router.get("/base", responses=_errors(404), summary="What every run starts from, and what measures can name")
    def base(request: Request, _me: Reader) -> BaseRow:
        found, language = runs.base(), visit_of(request).language
        return BaseRow(
            first_day=found.first_day,
            days=found.scenario.run.days,
            infected=found.infected,
            reproduction_number=found.scenario.model.reproduction_number,
            measures=offered(found),
            settings=found.settings,
            regions={code: getattr(one.name, language) or one.name.en for code, one in found.regions.items()},
            zones={code: getattr(name, language) or name.en for code, name in found.zones.items()},
        )

    @router.get(
        "/compare",
        response_model=Grid,
        responses={**_errors(400, 404, 422), 200: _CSV},
        summary="Two to four runs side by side: what is averted of every quantity, with 95% intervals",
    )
    def compare(request: Request, me: Reader, run: Annotated[list[str], Query(max_length=8)], wanted: Format = "json") -> Any:
        language = visit_of(request).language
        made = views.compare_grid(runs.side_by_side(run, me.name, language), language)
        return _sent(made, wanted, "compare")

    @router.get("/runs/{run}", responses=_errors(404, 422), summary="A run")
    def one(request: Request, me: Reader, run: RunId) -> RunRow:
        return row(request, runs.store.seen(run, me.name))

    @router.get(
        "/runs/{run}/effects",
        response_model=Grid,
        responses={**_errors(404, 422), 200: _CSV},
        summary="What a finished run says: totals without and with the measures, what is averted, with 95% intervals",
    )
    def effects(request: Request, me: Reader, run: AnyRun, wanted: Format = "json") -> Any:
        language = visit_of(request).language
        return _sent(views.effect_grid(runs.shown(run, me.name, language).result, language), wanted, f"effects-{run}")

    @router.get(
        "/runs/{run}/chart/{quantity}",
        response_model=SeriesChart,
        responses={**_errors(404, 422), 200: _CSV},
        summary="A quantity of a finished run by day, without and with the measures",
    )
    def chart(
        request: Request,
        me: Reader,
        run: AnyRun,
        quantity: Annotated[str, Path(max_length=40)],
        wanted: Format = "json",
        top: Top = None,
    ) -> Any:
        language = visit_of(request).language
        result = runs.shown(run, me.name, language).result
        if quantity not in views.COUNTED or quantity not in result.quantities:
            raise NotThereError(f"the run counts no {quantity[:40]!r}", hint=f"It counts {', '.join(views.drawn([result]))}.")
        made = views.chart(result, quantity, language, top)
        return made if wanted == "json" else _sent(views.chart_grid(made, language), wanted, f"{quantity}-{run}")

    @router.post("/runs/{run}/cancel", responses=_errors(404, 422), summary="Stop a run of yours")
    def cancel(request: Request, me: Analyst, run: RunId) -> RunRow:
        runs.own(run, me.name)
        return row(request, runs.queue.cancel(run))

    @router.patch("/runs/{run}", responses=_errors(404, 422), summary="Title, keep or share a run of yours")
    def change(request: Request, me: Analyst, run: RunId, changes: RunChange) -> RunRow:
        runs.own(run, me.name)
        told = changes.model_dump(exclude_none=True)
        if "title" in told:
            told["title"] = printable(told["title"])
        return row(request, runs.store.change(run, **told))

    @router.delete("/runs/{run}", status_code=204, responses=_errors(404, 422), summary="Delete a run of yours")
    def delete(me: Analyst, run: RunId) -> None:
        runs.own(run, me.name)
        runs.queue.cancel(run)
        runs.store.delete(run)

    return router


def _sent(made: Grid, wanted: str, name: str) -> Any:
    if wanted == "json":
        return made
    header = {"content-disposition": f'attachment; filename="{name}.csv"'}
    return Response(made.csv(), media_type="text/csv; charset=utf-8", headers=header)
