"""What-ifs through the pages: choose, run, watch, compare, keep, share, delete; and who may."""

from __future__ import annotations

import json
import re
import shutil
import time
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI

from oneteam.app.whatif.store import RunStore
from oneteam.web.language import UNKNOWN
from oneteam.web.server import close
from tests.web.browser import Browser
from tests.web.whatif.conftest import serve, signed_in

FIRST = "2024-03-03"


def form(**changes: str) -> dict[str, Any]:
    """A form with one measure, as a browser sends it."""
    given = {"title": "Home", "days": "20", "members": "16", "kind_0": "work_from_home", "from_0": FIRST, "to_0": "", "share_0": "30"}
    return given | {"region_0": ["11"], "zones_0": "", **changes}


def started(browser: Browser, **changes: str) -> str:
    """The address of a run that was asked for."""
    answer = browser.post("/whatif", form(**changes))
    assert answer.status_code == 303, re.findall(r'class="(?:fault|message bad)"[^>]*>([^<]*)', answer.text)
    return str(answer.headers["location"])


def ended(browser: Browser, address: str, seconds: float = 90) -> str:
    """The page of a run once it has ended."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        page = browser.get(address).text
        if "data-follow" not in page:
            return page
        time.sleep(0.2)
    raise AssertionError(f"{address} did not end")


def test_from_the_form_to_the_result(app: FastAPI, study: Path, ann: Browser, bea: Browser, vera: Browser) -> None:
    page = ann.get("/whatif").text
    assert "Work from home" in page
    assert "/whatif/new?kind=masks" in page
    blank = ann.get("/whatif/new?kind=work_from_home").text
    assert 'name="share_0" value="30"' in blank
    assert 'value="2024-03-05"' in blank  # the study's own measure begins then
    address = started(ann)
    assert UNKNOWN[0] not in ann.get(address).text

    # Progress is told until the run ends, and then the stream ends too.
    stream = ann.get(f"{address}/events")
    assert stream.headers["content-type"].startswith("text/event-stream")
    told = [(kind, json.loads(data)) for kind, data in re.findall(r"event: (\w+)\ndata: (.*)\n", stream.text)]
    assert told[-1] == ("end", {"state": "done"})
    progress = [data for kind, data in told if kind == "progress"]
    assert [data["state"] for data in progress][-1] == "done"
    assert any(data["state"] == "running" and data["of"] == 32 and data["at"] >= 16 for data in progress), progress
    assert sorted(data["at"] for data in progress[:-1]) == [data["at"] for data in progress[:-1]]

    page = ended(ann, address)
    for words in ("Home", "30% of workers working from home in Region 11", "Infections on the worst day", "Worst day", "chance"):
        assert words in page, words
    chart = ann.get(re.search(r'data-url="(/api/[^"]*infections[^"]*)"', page)[1].replace("&amp;", "&")).json()  # type: ignore[index]
    assert [s["id"] for s in chart["series"]] == ["without", "with"]
    assert len(chart["series"][0]["days"]) == 20
    assert chart["scale_to"] >= max(chart["series"][0]["bands"][0]["high"])
    csv = ann.get(f"/api/v1/whatif/runs/{address[-12:]}/chart/infections?format=csv")
    assert len(csv.text.splitlines()) == 1 + 40
    scenario = ann.get(f"{address}/scenario.toml").text
    assert 'zones = "../../zones.csv"' in scenario

    # It is ann's until she shares it.
    for other in (bea, vera):
        assert other.get(address).status_code == 404
        assert other.get(f"{address}/events").status_code == 404
        assert address not in other.get("/whatif").text
    assert ann.post(f"{address}/share", {"shared": "yes"}).status_code == 303
    for other in (bea, vera):
        assert other.get(address).status_code == 200
        assert address in other.get("/whatif").text
        assert other.post(f"{address}/delete").status_code in {403, 404}
    ann.post(f"{address}/share", {"shared": "no"})
    assert vera.get(address).status_code == 404


def test_viewers_look_and_do_not_run(app: FastAPI, vera: Browser) -> None:
    page = vera.get("/whatif").text
    assert "Analysts run what-ifs" in page
    assert "/whatif/new" not in page
    assert vera.get("/whatif/new").status_code == 403
    assert vera.post("/whatif", form()).status_code == 403
    assert vera.post("/whatif/form", form(add="masks")).status_code == 403
    assert vera.get("/whatif/study").status_code == 200
    stew = signed_in(app, "stew")
    assert stew.post("/whatif", form()).status_code == 403
    assert Browser(app).get("/whatif").status_code == 303


def test_nothing_is_run_for_another_site(ann: Browser, study: Path) -> None:
    answer = ann.ask("POST", "/whatif", data=form())
    assert answer.status_code == 403
    assert ann.post("/whatif", form(), headers={"origin": "https://evil.example"}).status_code == 403
    assert RunStore(study).all() == []


@pytest.mark.parametrize(
    ("changes", "field", "en", "ko"),
    [
        ({"share_0": "x"}, "measures-0-share", "Give a number from 0 to 100.", "0–100 사이"),
        ({"share_0": "101"}, "measures-0-share", "Give a number from 0 to 100.", "0–100 사이"),
        ({"share_0": "0"}, "measures-0-share", "change nothing", "바뀌지 않습니다"),
        ({"from_0": "tomorrow"}, "measures-0-from", "Give a date", "날짜를"),
        ({"from_0": "2024-04-30"}, "measures-0-from", "Give a day from 2024-03-03 to 2024-03-22", "사이의 날"),
        ({"from_0": "2024-03-08", "to_0": "2024-03-07"}, "measures-0-to", "from 2024-03-08 on", "이후의 날"),
        ({"zones_0": "Atlantis"}, "measures-0-zones", "Atlantis", "Atlantis"),
        ({"days": "x"}, "days", "whole number", "정수"),
        ({"days": "4000"}, "days", "7 to 365", "7–365"),
        ({"members": "1000"}, "members", "8 to 256", "8–256"),
        ({"title": "x" * 200}, "title", "120", "120"),
        ({"kind_0": "magic"}, "measures", "at least one", "하나 이상"),
        ({"kind_1": "border", "from_1": FIRST, "reduction_1": "50"}, "measures-1-kind", "from abroad", "해외 유입"),
    ],
)
def test_what_is_wrong_stands_beside_its_field(app: FastAPI, study: Path, changes: dict[str, str], field: str, en: str, ko: str) -> None:
    for language, words in (("en", en), ("ko", ko)):
        browser = signed_in(app, "ann", language)
        answer = browser.post("/whatif", form(**changes))
        assert answer.status_code == 422
        found = re.findall(r'<p class="fault" id="([\w-]+)-fault">([^<]*)</p>', answer.text)
        assert [name for name, _ in found] == [field], found
        assert words in found[0][1]
        assert UNKNOWN[0] not in answer.text
        if not field.endswith(("kind", "measures")):
            assert f'aria-describedby="{field}-fault"' in answer.text
    assert RunStore(study).all() == []


def test_what_was_typed_stays_in_the_form(ann: Browser) -> None:
    answer = ann.post("/whatif", form(title='<b>"x"', share_0="thirty", zones_0="Zone 3, Zone 4"))
    assert "&lt;b&gt;&#34;x&#34;" in answer.text
    assert 'value="thirty"' in answer.text
    assert 'value="Zone 3, Zone 4"' in answer.text
    assert re.search(r'name="region_0" value="11" checked', answer.text)


def test_measures_are_added_and_removed_without_scripts(ann: Browser) -> None:
    page = ann.post("/whatif/form", form(add="masks")).text
    assert page.count('class="card measure"') == 2
    assert 'name="coverage_1" value="80"' in page
    page = ann.post("/whatif/form", form(kind_1="masks", from_1=FIRST, coverage_1="55", effectiveness_1="40", remove="0")).text
    assert page.count('class="card measure"') == 1
    assert 'name="coverage_0" value="55"' in page
    part = ann.post("/whatif/form", form(add="masks"), headers={"hx-request": "true"}).text
    assert part.lstrip().startswith('<div id="whatif-form">')
    full = {f"kind_{i}": "masks" for i in range(6)}
    page = ann.post("/whatif/form", {**full, "add": "masks"}).text
    assert page.count('class="card measure"') == 6
    assert "Six measures are the most." in page


def test_regions_and_districts_by_name(ann: Browser, study: Path) -> None:
    address = started(ann, zones_0="Zone 30; 12130")
    scenario = RunStore(study).scenario(address[-12:])
    assert scenario.measures[0].zones == ("11", "12140", "12130")
    again = ann.get(f"/whatif/new?like={address[-12:]}").text
    assert 'value="12140, 12130"' in again
    assert re.search(r'name="region_0" value="11" checked', again)
    ann.post(f"{address}/cancel")


def test_one_run_at_a_time_and_cancel(ann: Browser, bea: Browser, study: Path) -> None:
    address = started(ann, members="256", days="300")
    again = ann.post("/whatif", form())
    assert again.status_code == 429
    assert "A run of yours is not finished yet" in again.text
    assert f'href="{address}"' in again.text.replace(address[-12:], address[-12:])
    assert bea.post(f"{address}/cancel").status_code == 404
    assert ann.post(f"{address}/cancel").status_code == 303
    assert "was cancelled" in ann.get(address).text
    assert [meta.state for meta in RunStore(study).all()] == ["cancelled"]
    assert ann.post(f"{address}/delete").status_code == 303
    assert ann.get(address).status_code == 404
    assert RunStore(study).all() == []


def test_a_restart_marks_what_was_left_as_failed(app: FastAPI, study: Path, tmp_path: Path, ann: Browser) -> None:
    store = RunStore(study)
    base = (study / "scenario.toml").read_text(encoding="utf-8").replace("zones.csv", "../../zones.csv")
    left = store.change(store.new("ann", "Left", lambda _: base).id, state="running")
    assert store.get(left.id).state == "running"
    second = serve(study, tmp_path / "state")
    try:
        page = signed_in(second, "ann").get(f"/whatif/{left.id}").text
        assert "The node was stopped while it ran" in page
        korean = signed_in(second, "ann", "ko").get(f"/whatif/{left.id}").text
        assert "노드가 멈췄습니다" in korean
    finally:
        close(second)
    assert store.get(left.id).state == "failed"


def test_keep_and_compare(finished: str, ann: Browser, vera: Browser, study: Path) -> None:
    run = finished[-12:]
    assert ann.post(f"{finished}/keep", {"title": "  Stay   home ", "kept": "yes"}).status_code == 303
    meta = RunStore(study).get(run)
    assert (meta.title, meta.kept) == ("Stay home", True)
    page = ann.get(f"/whatif/compare?run={run}&run=study")
    assert page.status_code == 200
    assert "Stay home" in page.text
    assert "The study&#39;s own scenario" in page.text
    assert "chance" in page.text
    tops = set(re.findall(r"top=([\d.]+)", page.text))
    assert len(tops) == 1  # one scale
    for wrong in ("", f"run={run}", "&".join(f"run={c * 12}" for c in "abcde"), f"run={run}&run={run}"):
        answer = ann.get(f"/whatif/compare?{wrong}")
        assert answer.status_code == 422
        assert "two to four" in answer.text
    assert ann.get(f"/whatif/compare?run={run}&run={'0' * 12}").status_code == 404
    assert vera.get(f"/whatif/compare?run={run}&run=study").status_code == 404
    csv = ann.get(f"/api/v1/whatif/compare?run={run}&run=study&format=csv").text
    assert csv.startswith("run,title,quantity,without,without_low_95")
    assert f"\n{run},Stay home,infections," in csv


def test_both_languages_have_all_words(app: FastAPI, finished: str) -> None:
    for language in ("en", "ko"):
        browser = signed_in(app, "ann", language)
        kinds = "".join(f"&x={kind}" for kind in ("masks",))
        for address in (
            "/whatif",
            "/whatif/new?kind=masks" + kinds,
            finished,
            "/whatif/study",
            f"/whatif/compare?run={finished[-12:]}&run=study",
        ):
            page = browser.get(address)
            assert page.status_code == 200, address
            assert UNKNOWN[0] not in page.text, address
        for kind in ("work_from_home", "masks", "close_schools", "mobility", "isolation", "contacts", "vaccination", "border"):
            assert UNKNOWN[0] not in browser.get(f"/whatif/new?kind={kind}").text


def test_pages_are_quick(finished: str, ann: Browser) -> None:
    for address in ("/whatif", "/whatif/new?kind=masks", finished, f"/whatif/compare?run={finished[-12:]}&run=study"):
        ann.get(address)
        began = time.process_time()
        assert ann.get(address).status_code == 200
        assert time.process_time() - began < 0.3, address


def test_a_study_without_a_scenario_says_so(study: Path, tmp_path: Path) -> None:
    (study / "scenario.toml").unlink()
    shutil.rmtree(study / "scenario")
    app = serve(study, tmp_path / "other")
    try:
        ann = signed_in(app, "ann")
        page = ann.get("/whatif")
        assert page.status_code == 200
        assert "a scenario to start from" in page.text
        for address in ("/whatif/new", "/whatif/study", "/api/v1/whatif/base"):
            assert ann.get(address).status_code == 404
    finally:
        close(app)
