"""The What-if pages: choose measures, run, watch, compare, keep and share."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, FastAPI, Form, Path, Query, Request
from fastapi.responses import RedirectResponse, Response, StreamingResponse
from starlette.datastructures import FormData

from oneteam.app.whatif.base import Base
from oneteam.app.whatif.plan import MOST_MEASURES, MOST_TITLE, Fault, printable
from oneteam.app.whatif.store import OPEN, Meta
from oneteam.core.errors import BusyError, DatasetBusyError, NotThereError, OneteamError, UnknownValueError
from oneteam.epidemic.report.voice import count, day_words
from oneteam.web.accounts import Account
from oneteam.web.face import NavItem, allow, render, said, visit_of
from oneteam.web.language import Language, translator
from oneteam.web.settings import WebSettings
from oneteam.web.whatif import views
from oneteam.web.whatif.api import api_router
from oneteam.web.whatif.events import Streams, follow, progress_words
from oneteam.web.whatif.forms import Draft, blank, draft_of, offered, plan_of, read_form
from oneteam.web.whatif.runs import STUDY, Runs

NAV: Final = (NavItem("whatif", "/whatif", "whatif.nav"),)
MAKE: Final = "oneteam study run study.toml --out DIR"
Analyst = Annotated[Account, Depends(allow("analyst"))]
Reader = Annotated[Account, Depends(allow())]
RunId = Annotated[str, Path(pattern=r"^[0-9a-f]{12}$")]
AnyRun = Annotated[str, Path(pattern=rf"^({STUDY}|[0-9a-f]{{12}})$")]


async def form_of(request: Request) -> FormData:
    """What was sent."""
    return await request.form(max_fields=400)


Sent = Annotated[FormData, Depends(form_of)]


def router(settings: WebSettings) -> APIRouter:
    """Pages and API of a study's what-ifs."""
    assert settings.study is not None, "analysis rooms are made where a study is given"
    runs = Runs(settings.study)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        try:
            yield
        finally:
            runs.queue.close()

    pages = APIRouter(include_in_schema=False)
    room = Pages(runs)
    for address, page, methods in (
        ("/whatif", room.all, ["GET"]),
        ("/whatif", room.run, ["POST"]),
        ("/whatif/new", room.new, ["GET"]),
        ("/whatif/form", room.change, ["POST"]),
        ("/whatif/compare", room.compare, ["GET"]),
        ("/whatif/{run}", room.one, ["GET"]),
        ("/whatif/{run}/events", room.events, ["GET"]),
        ("/whatif/{run}/scenario.toml", room.scenario, ["GET"]),
        ("/whatif/{run}/cancel", room.cancel, ["POST"]),
        ("/whatif/{run}/keep", room.keep, ["POST"]),
        ("/whatif/{run}/share", room.share, ["POST"]),
        ("/whatif/{run}/delete", room.delete, ["POST"]),
    ):
        pages.add_api_route(address, page, methods=methods, response_model=None)
    whole = APIRouter(lifespan=lifespan)
    whole.include_router(pages)
    whole.include_router(api_router(runs))
    return whole


class Pages:
    """The pages.

    Args:
        runs: of the study.
    """

    def __init__(self, runs: Runs) -> None:
        self._runs = runs
        self._streams = Streams()

    def all(self, request: Request, me: Reader) -> Response:
        """Every run that the reader may see, and where to begin."""
        return self._all(request, me)

    def _all(self, request: Request, me: Account, *, fault: str = "", status: int = 200) -> Response:
        language = visit_of(request).language
        base, absent = self._base()
        entries = [self._runs.entry(meta, me.name, language) for meta in self._runs.seen(me.name)] if base else []
        return render(
            request,
            "whatif/all.html",
            page="whatif",
            status=status,
            absent=absent,
            make=MAKE,
            fault=fault,
            kinds=offered(base) if base else (),
            start=_start(base, language) if base else None,
            study=self._runs.study_entry(language) if base else None,
            mine=[one for one in entries if one.mine],
            others=[one for one in entries if not one.mine],
            analyst=me.has("analyst"),
        )

    def new(
        self,
        request: Request,
        me: Analyst,
        kind: Annotated[str, Query(max_length=40)] = "",
        like: Annotated[str, Query(max_length=20)] = "",
    ) -> Response:
        """The form: empty, with one measure, or with those of a run that there is."""
        base = self._runs.base()
        if like == STUDY:
            draft = draft_of(base.scenario, base)
        elif like:
            meta = self._runs.store.seen(like, me.name)
            scenario = self._runs.store.scenario(like)
            draft = draft_of(scenario, base, meta.title, scenario.run.members)
        else:
            draft = blank(base).with_measure(kind, base)
        return self._form(request, base, draft)

    def change(self, request: Request, _me: Analyst, sent: Sent) -> Response:
        """The form with one measure more or less; nothing is run."""
        base = self._runs.base()
        draft, added = read_form(sent), str(sent.get("add", ""))
        if added:
            draft = draft.with_measure(added, base)
        removed = str(sent.get("remove", ""))
        if removed.isascii() and removed.isdigit():
            draft = draft.without_measure(int(removed[:3]))
        return self._form(request, base, draft, part="hx-request" in request.headers, at=len(draft.measures) - 1 if added else None)

    def run(self, request: Request, me: Analyst, sent: Sent) -> Response:
        """Run what the form asks for, or show what is wrong with it."""
        base, draft = self._runs.base(), read_form(sent)
        plan, faults = plan_of(draft, base)
        if plan is None:
            return self._form(request, base, draft, faults, status=422)
        t = translator(visit_of(request).language)
        try:
            meta = self._runs.submit(plan, me.name)
        except BusyError as err:
            open_one = self._runs.queue.open_of(me.name)
            said_ = t("whatif.busy.mine" if open_one else "whatif.busy.full")
            return self._form(request, base, draft, busy=said_, see=open_one, status=err.http_status)
        except DatasetBusyError as err:
            return self._form(request, base, draft, busy=t("whatif.busy.other"), status=err.http_status)
        return RedirectResponse(f"/whatif/{meta.id}", 303)

    def _form(
        self,
        request: Request,
        base: Base,
        draft: Draft,
        faults: tuple[Fault, ...] = (),
        *,
        busy: str = "",
        see: str | None = None,
        part: bool = False,
        at: int | None = None,
        status: int = 200,
    ) -> Response:
        language = visit_of(request).language
        return render(
            request,
            "whatif/form.html" if part else "whatif/new.html",
            page="whatif",
            status=status,
            draft=draft,
            faults={fault.field: said(fault.words, language) for fault in faults},
            busy=busy,
            see=see,
            at=at,
            base=base,
            end=base.last_day(int(draft.days)) if draft.days.isascii() and draft.days.isdigit() and 0 < int(draft.days[:4]) < 4000 else "",
            kinds=offered(base),
            full=len(draft.measures) >= MOST_MEASURES,
            start=_start(base, language),
            longest_title=MOST_TITLE,
            ages=base.scenario.world.contacts is not None,
        )

    def one(self, request: Request, me: Reader, run: AnyRun) -> Response:
        """A run: how far it is, or what it found."""
        language = visit_of(request).language
        if run == STUDY:
            shown = self._runs.shown(STUDY, me.name, language)
            return self._result(request, me, shown.entry, None)
        meta = self._runs.store.seen(run, me.name)
        entry = self._runs.entry(meta, me.name, language)
        if entry.state == "done" and self._runs.finished(run):
            return self._result(request, me, entry, meta)
        live = self._runs.live(meta)
        reason = meta.reason
        return render(
            request,
            "whatif/going.html",
            page="whatif",
            entry=entry,
            live=live,
            going=live.state in OPEN,
            told=progress_words(live, language),
            reason=reason,
            analyst=me.has("analyst"),
        )

    def _result(self, request: Request, me: Account, entry: Any, meta: Meta | None) -> Response:
        language = visit_of(request).language
        shown = self._runs.shown(entry.id, me.name, language)
        result = shown.result
        figures = [views.figure(shown, name, language, result.highest(name)) for name in views.drawn([result])]
        others = [one for one in (self._runs.entry(m, me.name, language) for m in self._runs.seen(me.name)) if one.state == "done"]
        study = self._runs.study_entry(language)
        return render(
            request,
            "whatif/result.html",
            page="whatif",
            entry=entry,
            meta=meta,
            sentence=views.sentence(result, language),
            table=views.effect_table(result, language),
            csv=f"{views.API}/runs/{entry.id}/effects?format=csv",
            figures=figures,
            notes=result.notes,
            others=[one for one in [*([study] if study else []), *others] if one.id != entry.id],
            analyst=me.has("analyst"),
            longest_title=MOST_TITLE,
        )

    def compare(
        self,
        request: Request,
        me: Reader,
        run: Annotated[list[str] | None, Query()] = None,
        quantity: Annotated[str, Query(max_length=40)] = "",
    ) -> Response:
        """Two to four runs side by side."""
        language = visit_of(request).language
        t = translator(language)
        try:
            chosen = self._runs.side_by_side(run or [], me.name, language)
        except UnknownValueError:
            return self._all(request, me, fault=t("whatif.compare.few"), status=422)
        results = [shown.result for shown in chosen]
        names = views.drawn(results)
        name = quantity if quantity in names else names[0]
        top = views.scale_of(results, name)
        return render(
            request,
            "whatif/compare.html",
            page="whatif",
            chosen=chosen,
            table=views.compare_table(chosen, language),
            figures=[views.figure(one, name, language, top, title=one.entry.title, alone=False) for one in chosen],
            names=names,
            name=name,
            differ=len({(r.days[0], len(r.days)) for r in results}) > 1,
            csv=f"{views.API}/compare?{'&'.join(f'run={one.entry.id}' for one in chosen)}&format=csv",
            width={2: "", 3: "w4", 4: ""}[len(chosen)],
        )

    def events(self, request: Request, me: Reader, run: RunId) -> Response:
        """The run's progress, as Server-Sent Events, until it ends."""
        self._runs.store.seen(run, me.name)
        stream = follow(lambda: self._runs.queue.live(run), visit_of(request).language)
        return StreamingResponse(
            self._streams.limited(me.name, stream), media_type="text/event-stream", headers={"x-accel-buffering": "no"}
        )

    def scenario(self, me: Reader, run: RunId) -> Response:
        """The scenario file, as `oneteam epidemic scenario` reads it."""
        self._runs.store.seen(run, me.name)
        try:
            text = (self._runs.store.folder(run) / "scenario.toml").read_bytes()
        except OSError as err:
            raise NotThereError("the run has no scenario") from err
        name = f'attachment; filename="whatif-{run}.toml"'
        return Response(text, media_type="application/toml", headers={"content-disposition": name})

    def cancel(self, me: Analyst, run: RunId) -> Response:
        """Stop a run of one's own."""
        self._runs.own(run, me.name)
        self._runs.queue.cancel(run)
        return RedirectResponse(f"/whatif/{run}", 303)

    def keep(
        self, me: Analyst, run: RunId, title: Annotated[str, Form()] = "", kept: Annotated[str, Form(max_length=5)] = "yes"
    ) -> Response:
        """Keep a run of one's own under a title, or no longer."""
        self._runs.own(run, me.name)
        self._runs.store.change(run, title=printable(title)[:MOST_TITLE], kept=kept == "yes")
        return RedirectResponse(f"/whatif/{run}#manage", 303)

    def share(self, me: Analyst, run: RunId, shared: Annotated[str, Form(max_length=5)] = "yes") -> Response:
        """Let everybody on this node see a run of one's own, or no longer."""
        self._runs.own(run, me.name)
        self._runs.store.change(run, shared=shared == "yes")
        return RedirectResponse(f"/whatif/{run}#manage", 303)

    def delete(self, me: Analyst, run: RunId) -> Response:
        """Delete a run of one's own."""
        self._runs.own(run, me.name)
        self._runs.queue.cancel(run)
        self._runs.store.delete(run)
        return RedirectResponse("/whatif", 303)

    def _base(self) -> tuple[Base | None, str]:
        try:
            return self._runs.base(), ""
        except NotThereError as err:
            return None, err.hint
        except OneteamError as err:
            return None, err.message


def _start(base: Base, language: Language) -> list[tuple[str, str]]:
    """What every run of a study starts from."""
    t = translator(language)
    model = base.scenario.model
    number = t("whatif.start.rt.own") if model.reproduction_number is None else f"{model.reproduction_number:.2f}"
    if model.reproduction_number is not None and model.reproduction_number_is == "on_first_day":
        number += f" ({t('whatif.start.on_first_day')})"
    return [
        (t("whatif.start.day"), said(day_words(base.first_day), language)),
        (t("whatif.start.rt"), number),
        (t("whatif.start.infected"), count(base.infected)),
        (t("whatif.start.zones"), str(len(base.zones))),
        (t("whatif.start.model"), str(model.preset or model.file)),
    ]
