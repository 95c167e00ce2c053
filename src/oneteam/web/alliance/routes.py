"""Pages of the alliance at one member's node: members, Agreements, queries, the log and its check, the own data."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Form, Path, Query, Request, UploadFile
from fastapi.responses import RedirectResponse, Response

from oneteam.alliance.home import read_text_file
from oneteam.alliance.odrl import to_odrl
from oneteam.alliance.reading import read
from oneteam.app import officer
from oneteam.app.agreeing import measure_titles, offered_actions
from oneteam.app.oversight import Oversight
from oneteam.app.oversight_views import AgreementView
from oneteam.core.errors import NotThereError, WrongTypeError
from oneteam.privacy.commands import COMMAND_RULES
from oneteam.privacy.policy import RULES
from oneteam.web.accounts import Account
from oneteam.web.alliance.data import datasets_of, limits_of
from oneteam.web.alliance.verifying import Verifying
from oneteam.web.face import NavItem, allow, face_of, render, visit_of
from oneteam.web.language import Language, known, translator
from oneteam.web.settings import WebSettings

NAV: Final = (
    NavItem("alliance", "/alliance", "alliance.nav"),
    NavItem("agreements", "/agreements", "agreements.nav"),
    NavItem("queries", "/queries", "queries.nav"),
    NavItem("log", "/log", "log.nav"),
    NavItem("data", "/data", "data.nav", ("steward",)),
)
PAGE_ROWS: Final = 50
MAX_FILE_BYTES: Final = 2 * 2**20
Officer = Annotated[Account, Depends(allow("privacy_officer"))]
Steward = Annotated[Account, Depends(allow("steward"))]
AgreementId = Annotated[str, Path(pattern=r"^[0-9a-f]{64}$")]
Before = Annotated[int | None, Query(ge=0, le=2**53)]


def router(_settings: WebSettings) -> APIRouter:
    """The pages of a member's node."""
    routes = APIRouter(include_in_schema=False)
    for path, page in (("/alliance", members_page), ("/agreements", agreements_page), ("/queries", queries_page), ("/log", log_page)):
        routes.add_api_route(path, page, methods=["GET"])
    routes.add_api_route("/agreements", take_in, methods=["POST"])
    routes.add_api_route("/agreements/{identity}", agreement_page, methods=["GET"])
    routes.add_api_route("/agreements/{identity}/signed.json", signed_text, methods=["GET"])
    routes.add_api_route("/agreements/{identity}/odrl.json", odrl, methods=["GET"])
    routes.add_api_route("/agreements/{identity}/sign", sign, methods=["POST"])
    routes.add_api_route("/agreements/{identity}/revoke", revoke, methods=["POST"])
    routes.add_api_route("/log/verify", verification, methods=["GET"])
    routes.add_api_route("/log/verify", verify, methods=["POST"])
    routes.add_api_route("/data", data_page, methods=["GET"])
    return routes


def own_of(request: Request) -> Oversight:
    """The member's own home.

    Raises:
        NotThereError: this node shows a study alone.
    """
    own = face_of(request).own
    if own is None:
        raise NotThereError("this node has no home of a member")
    return own


def verifying_of(request: Request) -> Verifying:
    """Checks of the own log.

    Raises:
        NotThereError: this node shows a study alone.
    """
    found = face_of(request).verifying
    if found is None:
        raise NotThereError("this node has no log")
    return found


def members_page(request: Request) -> Response:
    """Who is in the alliance."""
    own = own_of(request)
    in_force = sum(one.state == "in force" for one in own.agreements())
    answers = {"contributor", "helper"} & set(own.home.settings.roles)
    return render(
        request,
        "alliance/members.html",
        page="alliance",
        roster=own.roster,
        members=own.members(),
        in_force=in_force,
        entries=own.log_size(),
        why_not=own.why_not() if answers else None,
    )


def agreements_page(request: Request) -> Response:
    """Every Agreement kept here."""
    return _agreements(request)


def take_in(request: Request, _me: Officer, file: UploadFile | None = None) -> Response:
    """Take in what another party has sent; then show it."""
    if file is None or not file.filename:
        return _agreements(request, fault=translator(visit_of(request).language)("agreements.empty"), status=422)
    raw = file.file.read(MAX_FILE_BYTES + 1)
    if len(raw) > MAX_FILE_BYTES:
        raise WrongTypeError(f"the file has over {MAX_FILE_BYTES:,} bytes")
    taken = officer.take_in(own_of(request), raw, _now())
    return RedirectResponse(f"/agreements/{taken.agreement}", 303)


def agreement_page(request: Request, identity: AgreementId) -> Response:
    """One Agreement in plain words."""
    return _agreement(request, own_of(request).agreement(identity))


def signed_text(request: Request, identity: AgreementId) -> Response:
    """The signed text, to be handed to other parties."""
    own = own_of(request)
    own.agreement(identity)
    path = own.folder / "agreements" / f"{identity}.json"
    if not path.is_file():
        raise NotThereError("nobody has signed it yet")
    name = f'attachment; filename="{identity[:16]}.json"'
    return Response(read_text_file(path), media_type="application/json", headers={"content-disposition": name})


def odrl(request: Request, identity: AgreementId) -> Response:
    """The Agreement as ODRL; only the signed text binds."""
    body = to_odrl(own_of(request).agreement(identity).kept.agreement)
    name = f'attachment; filename="{identity[:16]}.odrl.json"'
    text = json.dumps(body, ensure_ascii=False, indent=2)
    return Response(text, media_type="application/ld+json", headers={"content-disposition": name})


def sign(request: Request, _me: Officer, identity: AgreementId, confirm: Annotated[str, Form()] = "") -> Response:
    """Sign for the member."""
    t = translator(visit_of(request).language)
    own = own_of(request)
    if confirm != "yes":
        return _agreement(request, own.agreement(identity), fault=t("agreements.confirm"), status=422)
    missing = officer.sign(own, identity, _now())
    said = t("agreements.signed_wait", who=", ".join(missing)) if missing else t("agreements.signed")
    return _agreement(request, own.agreement(identity), done=said)


def revoke(
    request: Request,
    _me: Officer,
    identity: AgreementId,
    reason: Annotated[str, Form(max_length=500)] = "",
    confirm: Annotated[str, Form()] = "",
) -> Response:
    """Revoke for the member: at once, and for good."""
    t = translator(visit_of(request).language)
    own = own_of(request)
    if confirm != "yes":
        return _agreement(request, own.agreement(identity), fault=t("agreements.confirm"), status=422)
    revoked = officer.revoke(own, identity, " ".join(reason.split()), _now())
    told = t("agreements.not_told", who=", ".join(revoked.not_told)) if revoked.not_told else t("agreements.told")
    text = revoked.text if revoked.not_told else ""
    return _agreement(request, own.agreement(identity), done=f"{t('agreements.revoked')} {told}", revocation=text)


def queries_page(request: Request, before: Before = None) -> Response:
    """What was answered and refused."""
    own = own_of(request)
    decisions, older = own.decisions(before, PAGE_ROWS)
    titles = {one.id: one.kept.agreement.title for one in own.agreements()}
    language = visit_of(request).language
    return render(
        request,
        "alliance/queries.html",
        page="queries",
        decisions=decisions,
        older=older,
        before=before,
        titles=titles,
        releases=own.releases()[:PAGE_ROWS] if before is None else (),
        in_words=lambda codes: in_words(codes, language),
    )


def log_page(request: Request, before: Before = None) -> Response:
    """The log, newest entries first, and its check."""
    own = own_of(request)
    rows = own.entries(before, PAGE_ROWS)
    language = visit_of(request).language
    return render(
        request,
        "alliance/log.html",
        page="log",
        rows=rows,
        size=own.log_size(),
        before=before,
        older=rows[-1][0] if rows and rows[-1][0] > 0 else None,
        check=verifying_of(request).now,
        in_words=lambda codes: in_words(codes, language),
    )


def verification(request: Request) -> Response:
    """How far the check is: a piece of the page."""
    return render(request, "alliance/verification.html", page="log", check=verifying_of(request).now)


def verify(request: Request) -> Response:
    """Begin to check the log."""
    verifying_of(request).start()
    if "hx-request" in request.headers:
        return verification(request)
    verifying_of(request).wait(2.0)  # most checks are done by then; without scripts there is no other way to see it
    return RedirectResponse("/log#verify", 303)


def in_words(codes: Sequence[str], language: Language) -> list[str]:
    """Why a request was refused, for people.

    >>> in_words(["purpose"], "en"), in_words(["budget.agreement"], "ko")
    (["The purpose is not the agreement's."], ['합의의 예산이 부족합니다.'])
    """
    t, rules = translator(language), RULES | COMMAND_RULES
    found = []
    for code in codes:
        if code in rules:
            found.append(rules[code][language == "ko"])
        else:
            found.append(t(f"reason.{code}") if known(f"reason.{code}") else code)
    return found


def data_page(request: Request, _me: Steward) -> Response:
    """What this member holds, how good it is, and what it holds back."""
    own = own_of(request)
    limits = own.home.settings.limits
    datasets = datasets_of(own, face_of(request).qualities)
    return render(request, "alliance/data.html", page="data", datasets=datasets, limits=limits_of(limits), cap=limits.dataset_rho_cap)


def _agreements(request: Request, fault: str = "", status: int = 200) -> Response:
    views = sorted(own_of(request).agreements(), key=lambda one: (_RANK.get(one.state, 9), one.kept.agreement.until))
    return render(
        request, "alliance/agreements.html", page="agreements", agreements=views, measures=measure_titles(), fault=fault, status=status
    )


_RANK: Final = {"draft": 0, "unsigned": 1, "in force": 2, "not yet in force": 3, "revoked": 4, "ended": 5}
"""What waits for somebody stands first."""


def _agreement(
    request: Request, view: AgreementView, *, fault: str = "", done: str = "", revocation: str = "", status: int = 200
) -> Response:
    own, kept = own_of(request), view.kept
    members = {one.id: one for one in own.roster.roster.members} if own.roster else {}
    text = read(
        kept.agreement,
        visit_of(request).language,
        members=members,
        signed_by=kept.signed_by,
        revoked=kept.revoked,
        actions=offered_actions(),
        titles=measure_titles(),
    )
    return render(
        request,
        "alliance/agreement.html",
        page="agreements",
        status=status,
        view=view,
        text=text,
        me=own.home.id,
        fault=fault,
        done=done,
        revocation=revocation,
        on_file=(own.folder / "agreements" / f"{view.id}.json").is_file(),
    )


def _now() -> datetime:
    return datetime.now(UTC)
