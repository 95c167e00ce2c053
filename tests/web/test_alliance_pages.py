"""The pages of a member's node: what they show, whom they bind, and that nothing of others is touched."""

from __future__ import annotations

import asyncio
import html
import json
import os
import re
import shutil
import sqlite3
import stat
import sys
import time
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from fastapi import FastAPI

from oneteam.app.agreeing import kept_agreements, measure_titles
from oneteam.app.asking import QueryFile, complete
from oneteam.app.desk import SOCKET, at_desk
from oneteam.core.errors import RefusedError, UnknownValueError
from oneteam.core.keys import Keys, encode
from oneteam.privacy.agreements import Revocation, agreement_id, sign_revocation
from oneteam.privacy.book import BOOK_SCHEMA
from oneteam.privacy.signing import sign_document
from oneteam.store.audit_entry import AuditEntry
from oneteam.store.audit_log import AuditLog, origin_of
from oneteam.web.alliance.verifying import Check
from oneteam.web.language import UNKNOWN, all_words
from oneteam.web.server import create_app
from oneteam.web.settings import WebSettings
from tests.app.allies import ANSWERING, Allies, a_hub, serving
from tests.web.browser import Browser
from tests.web.conftest import Faces, signed_in

DAY = date(2020, 1, 6)
PAGES = ("/alliance", "/agreements", "/queries", "/log", "/log/verify", "/data", "/account", "/accounts", "/api/docs", "/nothing")
SOURCE = Path(__file__).parents[2] / "src" / "oneteam" / "web"


def log_something(allies: Allies, member: str = "skylark", count: int = 120) -> None:
    """Entries of every kind, with their checkpoints."""
    home = allies.homes[member]
    registry = home.open_registry((BOOK_SCHEMA,))
    log = AuditLog(registry, origin_of(member), home.keys)
    began = datetime(2026, 3, 1, tzinfo=UTC)
    for first in range(0, count, 30):
        with registry.transaction() as db:
            for number in range(first, min(first + 30, count)):
                log.append(db, an_entry(allies, number, began + timedelta(minutes=number)))
        log.checkpoint()
    registry.close()


def an_entry(allies: Allies, number: int, at: datetime) -> AuditEntry:
    request = f"{number // 2:064x}"
    first, second = ("permit", "release") if number % 8 < 6 else ("refuse", "start")
    kind = first if number % 2 == 0 else second
    more: dict[str, object] = {}
    if kind in {"permit", "release"}:
        more = {"request": request, "agreement": allies.agreement_id, "query": "ab" * 32, "requester": "agency"}
    if kind == "refuse":
        more = {"request": request, "requester": "agency", "reasons": ("purpose", "budget.agreement", "command.off", "x.unknown")}
    return AuditEntry(at=at, kind=kind, **more)


@pytest.mark.parametrize("language", ["en", "ko"])
@pytest.mark.parametrize("member", ["skylark", "university", "agency"])
def test_every_page_stands_in_both_languages(allies: Allies, faces: Faces, member: str, language: str) -> None:
    log_something(allies, member)
    browser = signed_in(faces(member), "mina")
    before = UNKNOWN.partition("{")[0]
    for path in (*PAGES, f"/agreements/{allies.agreement_id}"):
        answer = browser.get(path, headers={"accept-language": language})
        assert answer.status_code == (404 if path == "/nothing" else 200), f"{path}: {answer.text[:500]}"
        assert before not in answer.text, f"{path} has a key without words"
        if path != "/log/verify":
            assert f'<html lang="{language}"' in answer.text
            korean = len(re.findall(r"[가-힣]", re.sub(r"<[^>]+>", "", answer.text)))
            assert (korean > 30) == (language == "ko"), f"{path}: {korean} Korean letters"


def test_language_and_theme_are_asked_for_once(face: FastAPI) -> None:
    browser = signed_in(face, "viewer")
    browser.get("/alliance?lang=ko&theme=dark")
    page = browser.get("/agreements").text
    assert '<html lang="ko" data-theme="dark"' in page
    assert '<html lang="ko"' in browser.get("/agreements?lang=xx").text


def test_every_word_is_there_in_both_languages() -> None:
    words = all_words()
    assert len(words) > 150
    for key, text in words.items():
        assert text.en.strip(), key
        assert text.ko.strip(), f"{key} has no Korean"
        assert set(re.findall(r"{(\w+)}", text.en)) == set(re.findall(r"{(\w+)}", text.ko)), f"{key}: other blanks in Korean"


def test_every_key_of_templates_and_code_has_words() -> None:
    words = all_words()
    used = {}
    for path in sorted(SOURCE.rglob("*.html")):
        used |= dict.fromkeys(re.findall(r"""\b(?:t|_)\(\s*["']([a-z_.]+[a-z_])["']\s*[,)]""", path.read_text()), path.name)
    for room in ("account", "alliance"):
        for path in (SOURCE / room).glob("*.py"):
            used |= dict.fromkeys(re.findall(r"""\bt\("([a-z_.]+)"\s*[,)]""", path.read_text()), path.name)
    assert len(used) > 100
    assert {key: where for key, where in used.items() if key not in words} == {}


def test_members_show_names_roles_and_fingerprints(face: FastAPI, allies: Allies) -> None:
    page = signed_in(face, "viewer").get("/alliance").text
    rows = json.loads(signed_in(face, "viewer").get("/api/v1/members").text)
    assert [row["id"] for row in rows] == ["skylark", "agency", "bluewave", "horizon", "university"]
    assert all(row["fingerprint"] in page for row in rows)
    assert "helps, brings no data" in page


def test_an_agreement_is_read_in_plain_words_and_can_be_taken_along(face: FastAPI, allies: Allies) -> None:
    browser = signed_in(face, "viewer")
    page = browser.get(f"/agreements/{allies.agreement_id}").text
    assert "What it costs a person over a year" in page
    assert "Signing and revoking is for the privacy officer" in page
    assert "/revoke" not in page
    assert agreement_id(allies.agreement) == allies.agreement_id
    told = [measure_titles()[measure.name].en for measure in allies.agreement.measures]
    both = page, browser.get("/agreements").text
    assert all(words in html.unescape(text) for words in told for text in both), "a measure is told in words too"
    signed = browser.get(f"/agreements/{allies.agreement_id}/signed.json")
    assert signed.headers["content-disposition"].startswith("attachment")
    assert len(signed.json()["signatures"]) == 5
    assert browser.get(f"/agreements/{allies.agreement_id}/odrl.json").json()["@type"] == "Agreement"
    assert browser.get(f"/agreements/{'0' * 64}").status_code == 404
    assert browser.get("/agreements/none").status_code == 404
    assert browser.get("/agreements/../../etc/passwd").status_code == 404


def test_queries_and_log_are_paged_and_say_why(allies: Allies, faces: Faces) -> None:
    log_something(allies)
    browser = signed_in(faces(), "viewer")
    page = browser.get("/queries").text
    assert "The purpose is not the agreement&#39;s." in page
    assert "The agreement&#39;s budget is used up." in page
    assert "This member does not act on commands." in page
    assert "x.unknown" in page
    found, before = [], None
    while True:
        answer = browser.get("/api/v1/decisions", params={"count": 7, **({"before": before} if before is not None else {})}).json()
        found += answer["decisions"]
        before = answer["older"]
        if before is None:
            break
    assert [one["index"] for one in found] == [i for i in range(119, -1, -1) if i % 2 == 0]
    assert {one["decision"] for one in found} == {"answered", "refused"}
    first = browser.get("/log").text
    assert "Entries 70 to 119 of 120" in first
    assert "Entries 20 to 69 of 120" in browser.get("/log?before=70").text
    assert browser.get("/log?before=-1").status_code == 422
    assert browser.get("/log?before=99999").status_code == 200


def checked(browser: Browser) -> dict:
    answer = browser.ask("POST", "/api/v1/log/verification", headers={"x-csrf-token": browser.token()})
    assert answer.status_code == 202
    until = time.monotonic() + 60
    while time.monotonic() < until:
        state = browser.get("/api/v1/log/verification").json()
        if state["state"] == "done":
            return state
    raise AssertionError("the check did not end")


def test_anyone_verifies_the_log(allies: Allies, faces: Faces) -> None:
    log_something(allies)
    browser = signed_in(faces(), "viewer")
    proof = checked(browser)["proof"]
    assert (proof["ok"], proof["entries"], proof["checkpoints"]) == (True, 120, 4)
    page = browser.get("/log").text
    assert proof["root"] in page
    assert "120 entries, checked in" in page
    assert browser.post("/log/verify").headers["location"] == "/log#verify"
    assert "hx-get" not in browser.get("/log/verify").text


def test_a_running_check_shows_how_far_it_is(face: FastAPI) -> None:
    browser = signed_in(face, "viewer")
    face.state.face.verifying._now = Check("running", 16_384, 100_000)
    piece = browser.get("/log/verify").text
    assert 'hx-trigger="load delay:400ms"' in piece
    assert "16,384 of 100,000" in piece
    assert '<progress value="16384" max="100000"' in piece


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            "UPDATE audit_entry SET body = replace(CAST(body AS TEXT), 'agency', 'nobody') WHERE position = 40",
            "entry 40 is not what it was",
        ),
        ("DELETE FROM audit_entry WHERE position = 55", "entry 55 is missing"),
        ("DELETE FROM audit_entry WHERE position >= 100", "nodes at level 0"),
        ("UPDATE audit_checkpoint SET note = replace(note, '30', '31') WHERE size = 30", "not its own"),
        ("INSERT INTO ledger_charge (agreement, dataset, query_id, recipient, nano_rho) VALUES ('a', 'b', 'c', 'd', 5)", "does not permit"),
    ],
)
def test_a_log_that_was_tampered_with_is_found_out(allies: Allies, faces: Faces, change: str, said: str) -> None:
    log_something(allies)
    app = faces()
    browser = signed_in(app, "viewer")
    assert browser.get("/log").status_code == 200
    with sqlite3.connect(allies.homes["skylark"].registry_path) as db:
        db.execute(
            change.replace(
                "replace(CAST(body AS TEXT), 'agency', 'nobody')", "CAST(replace(CAST(body AS TEXT), 'agency', 'nobody') AS BLOB)"
            )
        )
    db.close()
    proof = checked(browser)["proof"]
    assert not proof["ok"]
    assert said in proof["fault"]
    assert "The log is NOT what it was" in browser.get("/log").text


def draft_text(allies: Allies) -> bytes:
    """A draft as an officer writes it."""
    body = allies.agreement.model_dump(mode="json", exclude_none=True) | {"title": {"en": "A second agreement", "ko": "두 번째 합의"}}
    return to_toml(body).encode()


def to_toml(body: dict) -> str:
    def value(one: object) -> str:
        if isinstance(one, dict):
            return "{ " + ", ".join(f"{json.dumps(key)} = {value(inner)}" for key, inner in one.items()) + " }"
        if isinstance(one, list | tuple):
            return "[" + ", ".join(map(value, one)) + "]"
        return json.dumps(one)

    moments = {"not_before", "until"}
    return "\n".join(f"{key} = {one if key in moments else value(one)}" for key, one in body.items()) + "\n"


def upload(browser: Browser, raw: bytes, name: str):
    return browser.post("/agreements", files={"file": (name, raw)})


def test_an_officer_reads_then_signs_a_draft_and_takes_in_others_signatures(allies: Allies, faces: Faces) -> None:
    officer = signed_in(faces(), "privacy-officer")
    taken = upload(officer, draft_text(allies), "second.toml")
    assert taken.status_code == 303, taken.text
    address = taken.headers["location"]
    page = officer.get(address).text
    assert "A second agreement" in page
    assert "draft" in page
    identity = address.rpartition("/")[2]
    assert officer.post(f"{address}/sign").status_code == 422, "nobody signs by accident"
    assert "Not signed" not in officer.get(address).text
    done = officer.post(f"{address}/sign", {"confirm": "yes"})
    assert "Hand the signed text to" in done.text
    text = officer.get(f"{address}/signed.json").text
    payload = json.loads(text)
    assert [len(payload["signatures"])] == [1]
    agreement = allies.agreement.model_copy(
        update={"title": allies.agreement.title.model_copy(update={"en": "A second agreement", "ko": "두 번째 합의"})}
    )
    assert agreement_id(agreement) == identity
    for party in agreement.parties:
        if party != "skylark":
            text = sign_document(agreement, party, allies.homes[party].keys, text)
    assert upload(officer, text.encode(), "signed.json").status_code == 303
    states = {one["id"]: one["state"] for one in officer.get("/api/v1/agreements").json()}
    assert states[identity] == "in force"
    kinds = [one["entry"]["kind"] for one in officer.get("/api/v1/log").json()["entries"]]
    assert kinds == ["sign"]
    assert not list((allies.homes["skylark"].folder / "drafts").glob("*.toml"))


@pytest.mark.parametrize(
    ("raw", "name", "status"),
    [
        (b"", "empty.toml", 400),
        (b"\xff\xfe\x00", "binary.toml", 400),
        (b'{"payload": 3}', "bad.json", 400),
        (b"{" * 5000, "deep.json", 400),
        (b"a = [" + b"[" * 3000, "deep.toml", 400),
        (b"aaaa.bbbb.cccc", "bad.jws", 400),
        (b"title = 'x'", "short.toml", 400),
    ],
)
def test_files_that_are_no_agreements_are_refused_in_words(face: FastAPI, raw: bytes, name: str, status: int) -> None:
    officer = signed_in(face, "privacy-officer")
    answer = upload(officer, raw, name)
    assert answer.status_code in {status, 403}, answer.text
    assert officer.post("/agreements", files={"other": ("x", b"y")}).status_code == 422


def test_what_others_write_is_text_on_every_page(allies: Allies, faces: Faces) -> None:
    officer = signed_in(faces(), "privacy-officer")
    raw = draft_text(allies).replace(b"A second agreement", b"<script>alert(1)</script>")
    taken = upload(officer, raw, "second.toml")
    assert taken.status_code == 303, taken.text
    for path in ("/agreements", taken.headers["location"]):
        page = officer.get(path).text
        assert "<script>alert" not in page
        assert "&lt;script&gt;alert(1)" in page


def test_what_does_not_hold_under_the_roster_is_left_out_and_hides_nothing(allies: Allies, faces: Faces) -> None:
    """A signer that has other keys now, and a draft put there by hand: the other Agreements stay readable."""
    officer = signed_in(faces(), "privacy-officer")
    stranger = Keys.generate()
    second = allies.agreement.model_copy(update={"title": allies.agreement.title.model_copy(update={"en": "Second"})})
    text = sign_document(second, "horizon", stranger)
    home = allies.homes["skylark"]
    (home.folder / "agreements" / f"{agreement_id(second)}.json").write_text(text)
    (home.folder / "drafts").mkdir(exist_ok=True)
    (home.folder / "drafts" / "mine.toml").write_text("title =")
    for path in ("/agreements", "/queries", "/alliance"):
        assert officer.get(path).status_code == 200
    assert [one["id"] for one in officer.get("/api/v1/agreements").json()] == [allies.agreement_id]
    assert [one.id for one in kept_agreements(home)] == [allies.agreement_id]


def test_another_partys_revocation_is_taken_in(allies: Allies, faces: Faces) -> None:
    revocation = Revocation(agreement=allies.agreement_id, member="horizon", reason="over", at=datetime.now(UTC))
    officer = signed_in(faces(), "privacy-officer")
    forged = sign_revocation(revocation, allies.homes["bluewave"].keys)
    assert upload(officer, forged.encode(), "forged.jws").status_code == 403
    assert officer.get("/api/v1/agreements").json()[0]["state"] == "in force"
    assert upload(officer, sign_revocation(revocation, allies.homes["horizon"].keys).encode(), "r.jws").status_code == 303
    assert officer.get("/api/v1/agreements").json()[0]["revoked_by"] == "horizon"


def test_a_revocation_by_web_takes_effect_at_once_and_reaches_the_others(allies: Allies, faces: Faces) -> None:
    """Nodes run; the officer's browser speaks to the web face beside one of them."""
    officer, viewer = (signed_in(faces(), name) for name in ("privacy-officer", "viewer"))
    elsewhere = signed_in(faces("horizon"), "viewer")
    at_agency = signed_in(faces("agency"), "viewer")
    address = f"/agreements/{allies.agreement_id}"

    async def day(number: int) -> None:
        async with at_desk(allies.homes["agency"]) as desk:
            kept = await asyncio.to_thread(lambda: faces("agency").state.face.own.agreement(allies.agreement_id).kept)
            query, _ = complete(QueryFile(measure="presence", first_day=DAY + timedelta(days=number)), [kept])
            await desk.do("query", {"query": query.model_dump(mode="json")})

    async def story() -> None:
        async with a_hub(allies) as relay, serving(allies, relay, *ANSWERING, "agency"):
            await day(0)
            decisions = await asyncio.to_thread(lambda: viewer.get("/api/v1/decisions").json()["decisions"])
            assert [one["decision"] for one in decisions] == ["answered"]
            assert decisions[0]["rho"] == pytest.approx(0.1)
            proof = (await asyncio.to_thread(checked, viewer))["proof"]
            assert proof["ok"], proof["fault"]
            assert {one["asked"] for one in proof["witnesses"]} == {"fits"}
            assert proof["charges"] == 1
            done = await asyncio.to_thread(officer.post, f"{address}/revoke", {"confirm": "yes", "reason": "no longer needed"})
            assert done.status_code == 200, done.text
            assert "All other parties were told" in done.text
            with pytest.raises(RefusedError) as refused:
                await day(1)
            assert "agreement.revoked" in refused.value.reasons
            states = await asyncio.to_thread(lambda: [one.get("/api/v1/agreements").json()[0] for one in (viewer, elsewhere)])
            assert [(one["state"], one["revoked_by"]) for one in states] == [("revoked", "skylark")] * 2

    asyncio.run(story())
    (release,) = at_agency.get("/api/v1/releases").json()
    assert (release["measure"], release["first_day"], len(release["contributors"])) == ("presence", "2020-01-06", 3)
    assert at_agency.get("/api/v1/agreements").json()[0]["rho_spent"] == pytest.approx(0.1)
    assert "presence" in at_agency.get("/queries").text
    assert "no longer needed" in viewer.get(address).text
    again = officer.post(f"{address}/revoke", {"confirm": "yes"})
    assert again.status_code < 500


def test_a_revocation_holds_when_nobody_can_be_told(allies: Allies, faces: Faces) -> None:
    officer = signed_in(faces(), "privacy-officer")
    address = f"/agreements/{allies.agreement_id}"
    assert officer.post(f"{address}/revoke", {"reason": "x"}).status_code == 422, "it takes the box"
    done = officer.post(f"{address}/revoke", {"confirm": "yes", "reason": "line one\r\nline two"})
    assert "Not told yet: horizon, bluewave, university, agency" in done.text
    (jws,) = re.findall(r"<code>([\w-]+\.[\w-]+\.[\w-]+)</code>", done.text)
    other = signed_in(faces("horizon"), "privacy-officer")
    assert upload(other, jws.encode(), "r.jws").status_code == 303
    assert other.get("/api/v1/agreements").json()[0]["state"] == "revoked"


def test_the_data_page_is_about_the_own_data(face: FastAPI, allies: Allies) -> None:
    steward = signed_in(face, "steward")
    page = steward.get("/data").text
    (dataset,) = steward.get("/api/v1/datasets").json()
    assert dataset["name"] == "mobility"
    assert dataset["quality"]["subscribers"] > 0
    assert f"{dataset['quality']['subscribers']:,}" in page
    with (allies.homes["skylark"].folder / "member.toml").open("a") as file:
        file.write('\n[datasets.lost]\npart = "telecom"\npath = "nowhere"\n\n[limits]\ndataset_rho_cap = 2.0\nmeasures = ["presence"]\n')
    text = (allies.homes["skylark"].folder / "member.toml").read_text()
    (allies.homes["skylark"].folder / "member.toml").write_text(
        text.replace("[limits]\n# Only", "# Only").replace("[limits]\n# paused", "# paused")
    )
    page = steward.get("/data").text
    assert "It cannot be read" in page
    assert "presence" in page


def test_a_carriers_node_has_no_analysis(allies: Allies, faces: Faces, tmp_path: Path) -> None:
    with pytest.raises(UnknownValueError, match="receives no Releases"):
        create_app(WebSettings(home=allies.homes["skylark"].folder, study=tmp_path))
    browser = signed_in(faces(), "analyst")
    for path in ("/now", "/place", "/importation", "/mobility", "/scores", "/what-if"):
        assert browser.get(path).status_code == 404
    assert browser.get("/").headers["location"] == "/alliance"
    assert browser.get("/api/v1/status").json()["analysis"] is False
    assert not [item for item in faces().state.face.nav if item.href == "/now"]


def test_nothing_of_another_member_is_opened(allies: Allies, faces: Faces) -> None:
    """Every file that the pages open is watched; then everyone else's home is gone and nothing is missed."""
    opened: set[str] = set()
    watching = [True]

    def watch(event: str, arguments: tuple) -> None:
        if watching[0] and event in {"open", "sqlite3.connect", "os.listdir", "os.scandir"} and arguments:
            opened.add(str(arguments[0]))

    log_something(allies)
    browser = signed_in(faces(), "mina")
    sys.addaudithook(watch)
    paths = (*PAGES, f"/agreements/{allies.agreement_id}", "/api/v1/members", "/api/v1/decisions", "/api/v1/datasets")
    texts = [browser.get(path).text for path in paths]
    checked(browser)
    watching[0] = False
    own = [path for path in opened if str(allies.homes["skylark"].folder) in path]
    assert own, "the watch saw nothing"
    others = [home for name, home in allies.homes.items() if name != "skylark"]
    assert [path for path in opened if any(str(home.folder) in path for home in others)] == []
    for home in others:
        shutil.rmtree(home.folder)
    assert [browser.get(path).status_code for path in paths] == [404 if path == "/nothing" else 200 for path in paths]
    private = [encode(home.keys.to_bytes())[:40] for home in allies.homes.values()]
    assert not any(secret in text for secret in private for text in texts)


def test_a_home_without_a_roster_says_what_is_next(allies: Allies, faces: Faces) -> None:
    (allies.homes["skylark"].folder / "roster.json").unlink()
    browser = signed_in(faces(), "mina")
    assert "oneteam roster new" in browser.get("/alliance").text
    for path in PAGES:
        assert browser.get(path).status_code < 500, path


def test_a_home_that_is_damaged_is_an_error_page_and_comes_back(allies: Allies, face: FastAPI) -> None:
    browser = signed_in(face, "viewer")
    toml = allies.homes["skylark"].folder / "member.toml"
    before = toml.read_text()
    toml.write_text("id = ")
    answer = browser.get("/alliance")
    assert answer.status_code in {400, 500}
    toml.write_text(before)
    assert browser.get("/alliance").status_code == 200


def test_a_recipient_with_a_study_begins_with_now(faces: Faces, tmp_path: Path) -> None:
    browser = signed_in(faces("agency", study=tmp_path), "viewer")
    assert browser.get("/").headers["location"] == "/now"
    assert browser.get("/now").status_code == 200, "a study that was not run yet is no fault"
    assert browser.get("/api/v1/status").json()["analysis"] is True
    assert signed_in(faces("agency"), "viewer").get("/").headers["location"] == "/alliance"


def test_a_study_alone_shows_no_alliance(faces: Faces, tmp_path: Path) -> None:
    app = faces(None, study=tmp_path / "study")
    browser = signed_in(app, "mina")
    assert browser.get("/alliance").status_code == 404
    assert browser.get("/api/v1/status").json()["member"] is None


def test_doors_of_several_nodes_leave_the_process_as_it_was(allies: Allies) -> None:
    """Only its owner opens a node's door; what the process makes afterwards is as open as before."""
    before = os.umask(0o022)
    os.umask(before)

    async def story() -> None:
        async with a_hub(allies) as relay, serving(allies, relay, *ANSWERING, "agency"):
            for home in allies.homes.values():
                assert stat.S_IMODE((home.folder / SOCKET).stat().st_mode) == 0o600

    asyncio.run(story())
    after = os.umask(before)
    assert after == before
