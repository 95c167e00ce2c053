"""What-ifs for programs."""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from hypothesis import HealthCheck, Phase, given, settings

from oneteam.app.whatif.store import RunStore
from tests.web.browser import Browser
from tests.web.whatif.conftest import signed_in

API = "/api/v1/whatif"
FIRST = "2024-03-03"
PLAN = {"title": "By program", "members": 16, "measures": [{"kind": "masks", "from": FIRST, "coverage": 0.8, "effectiveness": 0.4}]}
FEW = settings(
    max_examples=15, deadline=None, suppress_health_check=list(HealthCheck), phases=[Phase.explicit, Phase.generate], database=None
)


def send(browser: Browser, method: str, path: str, body: Any = None) -> Any:
    headers = {"x-csrf-token": browser.token()}
    return (
        browser.ask(method, f"{API}{path}", json=body, headers=headers)
        if body is not None
        else browser.ask(method, f"{API}{path}", headers=headers)
    )


def test_a_run_from_start_to_end(app: FastAPI, ann: Browser, vera: Browser, study: Path) -> None:
    base = ann.get(f"{API}/base").json()
    assert base["first_day"] == FIRST
    assert base["regions"] == {"11": "Region 11", "12": "Region 12"}
    assert "border" not in base["measures"]
    made = send(ann, "POST", "", PLAN)
    assert made.status_code == 201
    run = made.json()["id"]
    assert made.json()["measures"][0]["from"] == FIRST
    assert made.json()["state"] in {"waiting", "running"}
    until = time.monotonic() + 90
    while (told := ann.get(f"{API}/runs/{run}").json())["state"] not in {"done", "failed"}:
        assert time.monotonic() < until
        time.sleep(0.2)
    assert told["state"] == "done", told["reason"]
    assert told["in_words"] == "Masks worn by 80% of people from 3 March 2024"
    effects = ann.get(f"{API}/runs/{run}/effects").json()
    infections = next(row for row in effects["rows"] if row[0] == "infections")
    without, within, averted, share = (infections[i] for i in (1, 4, 7, 10))
    assert without > within > 0
    assert averted == pytest.approx(without - within, rel=0.1)
    assert 0 < share < 1
    assert ann.get(f"{API}/runs/{run}/chart/vaccinated").status_code == 404

    assert vera.get(f"{API}/runs/{run}").status_code == 404
    assert vera.get(API).json() == []
    assert send(ann, "PATCH", f"/runs/{run}", {"shared": True}).json()["shared"] is True
    assert [one["id"] for one in vera.get(API).json()] == [run]
    assert vera.get(f"{API}/compare?run={run}&run=study").status_code == 200
    assert send(vera, "PATCH", f"/runs/{run}", {"shared": False}).status_code == 403
    assert send(ann, "PATCH", f"/runs/{run}", {"owner": "vera"}).status_code == 422
    assert send(ann, "DELETE", f"/runs/{run}").status_code == 204
    assert ann.get(f"{API}/runs/{run}").status_code == 404
    assert RunStore(study).all() == []


def test_what_is_wrong_is_named_with_its_field(ann: Browser, study: Path) -> None:
    wrong = {**PLAN, "measures": [{**PLAN["measures"][0], "zones": ["99"], "coverage": 0}]}  # type: ignore[index]
    answer = send(ann, "POST", "", wrong)
    assert answer.status_code == 400
    error = answer.json()["error"]
    assert error["code"] == "input.document"
    assert "measures.0.zones: No place is called 99." in error["message"]
    assert "measures.0.coverage" in error["message"]
    assert send(ann, "POST", "", {**PLAN, "measures": [{"kind": "magic"}]}).status_code == 422
    assert RunStore(study).all() == []


def test_it_is_guarded_as_the_pages_are(app: FastAPI, ann: Browser, vera: Browser) -> None:
    assert ann.ask("POST", API, json=PLAN).status_code == 403  # no token
    assert send(vera, "POST", "", PLAN).status_code == 403
    assert Browser(app).get(API).status_code == 401


def test_a_run_ends_with_the_server(app: FastAPI, ann: Browser, study: Path) -> None:
    async def serve_and_stop() -> str:
        async with app.router.lifespan_context(app):
            made = await asyncio.to_thread(send, ann, "POST", "", {**PLAN, "members": 256, "days": 365})
            return str(made.json()["id"])

    run = asyncio.run(serve_and_stop())
    meta = RunStore(study).get(run)
    assert (meta.state, meta.reason and meta.reason.code) == ("failed", "stopped")


@pytest.mark.filterwarnings("ignore")  # of schemathesis and what it drives
def test_no_input_breaks_it(app: FastAPI) -> None:
    import schemathesis
    from schemathesis.specs.openapi.checks import positive_data_acceptance

    ann = signed_in(app, "ann")
    own = {"host": "127.0.0.1:8450", "x-csrf-token": ann.token()}
    cookies = {cookie.name: cookie.value for cookie in ann.cookies.jar}
    schema = schemathesis.openapi.from_asgi("/api/openapi.json", app, headers=own)
    seen = set()
    for found in schema.get_all_operations():
        operation = found.ok()
        if not operation.path.startswith(API):
            continue
        seen.add(operation.label)

        @FEW
        @given(case=operation.as_strategy())
        def once(case: Any) -> None:
            case.headers = {**(case.headers or {}), **own}
            case.cookies = cookies
            # Days, places and settings of a valid plan must also be the study's.
            case.validate_response(case.call(), excluded_checks=[positive_data_acceptance])

        once()
    assert len(seen) == 10, json.dumps(sorted(seen))
