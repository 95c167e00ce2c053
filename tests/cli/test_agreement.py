"""From key generation to an Agreement in force, and its end, as officers type it."""

from __future__ import annotations

import json
import shutil
import stat
import tomllib
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from oneteam.cli import agreement, member, roster
from oneteam.core.errors import BadSignatureError, InputError, NothingFoundError, OneteamError, UnknownValueError
from oneteam.core.model import Agreement
from oneteam.privacy.agreements import parse_agreement
from oneteam.privacy.signing import payload_of, read_document

app = typer.Typer()
app.add_typer(member.app, name="member")
app.add_typer(roster.app, name="roster")
app.add_typer(agreement.app, name="agreement")
RUNNER = CliRunner()
PEOPLE = {"skylark": "contributor", "horizon": "contributor", "campus": "helper", "agency": "recipient"}


def run(*words: object) -> str:
    done = RUNNER.invoke(app, [str(word) for word in words])
    if done.exception and not isinstance(done.exception, SystemExit):
        raise done.exception
    assert done.exit_code == 0, done.output
    return done.output


@pytest.fixture(scope="module")
def founded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Homes of four members with a roster that all have signed and keep; made once."""
    folder = tmp_path_factory.mktemp("alliance")
    for name, role in PEOPLE.items():
        run("member", "init", name, "--name", name.title(), "--name-ko", "회원", "--role", role, "--home", folder / name)
        run("member", "card", "--home", folder / name, "--out", folder / f"{name}.card.json")
    cards = [folder / f"{name}.card.json" for name in PEOPLE]
    run("roster", "new", *cards, "--alliance", "Four", "--out", folder / "roster.json", "--home", folder / "skylark")
    for name in ("horizon", "campus", "agency"):
        run("roster", "sign", folder / "roster.json", "--home", folder / name)
    for name in PEOPLE:
        run("roster", "keep", folder / "roster.json", "--home", folder / name)
    rows = ["code,name,region", *(f"{region}{i:03d},Zone,{region}" for region in ("11", "21") for i in range(40))]
    (folder / "zones.csv").write_text("\n".join(rows))
    return folder


@pytest.fixture
def alliance(founded: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of it, to work in."""
    folder = tmp_path / "work"
    shutil.copytree(founded, folder)
    monkeypatch.chdir(folder)
    monkeypatch.delenv("ONETEAM_HOME", raising=False)
    return folder


def draft(*extra: object) -> None:
    run("agreement", "new", "--zones", "zones.csv", "--home", "skylark", "--from", "2020-01-01", "--until", "2099-01-01", *extra)


def agreed() -> str:
    """The id of an Agreement that all have signed and keep."""
    draft("-m", "od", "-m", "presence")
    run("agreement", "sign", "agreement.toml", "--home", "skylark")
    for name in ("horizon", "campus", "agency"):
        run("agreement", "sign", "agreement.json", "--home", name)
    for name in PEOPLE:
        run("agreement", "keep", "agreement.json", "--home", name)
    found: str = json.loads(run("agreement", "check", "agreement.json", "--home", "agency", "--json"))["id"]
    return found


def test_members_and_roster(alliance: Path) -> None:
    shown = json.loads(run("member", "show", "--home", "agency", "--json"))
    assert (shown["id"], shown["roles"], shown["members"]) == ("agency", ["recipient"], sorted(PEOPLE))
    assert stat.S_IMODE((alliance / "agency" / "identity.key").stat().st_mode) == 0o600
    secret = (alliance / "agency" / "identity.key").read_text().split()[1]
    listed = json.loads(run("roster", "show", "--home", "horizon", "--json"))
    assert {row["member"]: row["signed"] for row in listed["members"]} == dict.fromkeys(PEOPLE, "yes")
    assert shown["fingerprint"] in {row["fingerprint"] for row in listed["members"]}
    assert shown["fingerprint"] in run("member", "show", "--home", "agency")
    public = [path.read_text() for path in alliance.glob("*.json")]
    assert not any(
        secret in text
        for text in [*public, run("member", "show", "--home", "agency"), run("roster", "check", "roster.json", "--home", "agency")]
    )


def test_the_draft_can_be_signed_as_it_stands(alliance: Path) -> None:
    draft("--title", "Mobility", "--title-ko", "이동량", "-m", "od", "-m", "presence", "-m", "arrivals", "-m", "home", "-m", "active_days")
    text = (alliance / "agreement.toml").read_text()
    body = tomllib.loads(text)
    assert body["contributors"] == ["horizon", "skylark"]
    assert (body["helpers"], body["recipients"]) == (["campus"], ["agency"])
    assert len(body["dimensions"]["zone"]["codes"]) == 80
    assert body["dimensions"]["zone"]["groups"]["region"] == ["11"] * 40 + ["21"] * 40
    assert {"KR", "JP", "ZZ"} <= set(body["dimensions"]["country"]["codes"])
    assert body["measures"][0]["levels"][0] == "origin=code,destination=code"
    assert [m["dimensions"] for m in body["measures"]] == [
        ["origin", "destination"],
        ["hour", "zone"],
        ["country", "home"],
        ["zone"],
        ["day"],
    ]
    assert parse_agreement(text).threshold == body["threshold"] == 3
    assert max(map(len, text.splitlines())) <= 140
    assert "in order" in run("agreement", "check", "agreement.toml", "--home", "horizon")
    with pytest.raises(InputError, match="stands there already"):
        draft()
    draft("--force")


def test_every_measure_can_be_drafted(alliance: Path) -> None:
    from oneteam.core.part import installed_parts

    measures = [name for part in installed_parts().values() for name in part.measures()]
    draft(*(word for name in measures for word in ("-m", name)))
    assert len(tomllib.loads((alliance / "agreement.toml").read_text())["measures"]) == len(measures)


def test_signing_shows_and_ends(alliance: Path) -> None:
    identity = agreed()
    listed = json.loads(run("agreement", "show", "--home", "horizon", "--json"))
    assert [(row["id"], row["state"]) for row in listed] == [(identity, "in force")]
    page = run("agreement", "show", identity[:8], "--home", "campus", "--lang", "ko")
    assert "4곳 중 4곳이 서명" in page
    assert "What protects" not in page
    assert "# " in run("agreement", "show", identity, "--home", "campus", "--format", "markdown")
    run("agreement", "show", identity, "--home", "campus", "--format", "html", "--out", "page.html")
    assert (alliance / "page.html").read_text().startswith("<!doctype html>")
    assert json.loads(run("agreement", "export", identity, "--home", "campus"))["dcterms:identifier"] == identity
    run("agreement", "revoke", identity, "--reason", "enough", "--home", "horizon", "--out", "end.jws")
    run("agreement", "keep", "end.jws", "--home", "agency")
    for name in ("horizon", "agency"):
        assert json.loads(run("agreement", "show", "--home", name, "--json"))[0]["state"] == "revoked by horizon"
    assert json.loads(run("agreement", "show", "--home", "skylark", "--json"))[0]["state"] == "in force"


def test_signing_and_revoking_are_logged(alliance: Path) -> None:
    from oneteam.alliance.home import Home
    from oneteam.store.log_reader import LogReader
    from oneteam.store.registry import Registry

    identity = agreed()
    run("agreement", "revoke", identity, "--home", "horizon")
    registry = Registry.open(Home.open(alliance / "horizon").registry_path)
    try:
        entries = [entry for _, entry in LogReader(registry).entries(0, 10)]
    finally:
        registry.close()
    assert [(entry.kind, entry.agreement) for entry in entries] == [("sign", identity), ("revoke", identity)]


def test_signatures_are_never_lost(alliance: Path) -> None:
    draft()
    run("agreement", "sign", "agreement.toml", "--home", "skylark")
    # The next one signs the draft again instead of the signed text, into the same file.
    run("agreement", "sign", "agreement.toml", "--home", "horizon")
    assert payload_of((alliance / "agreement.json").read_text()).signed_by == ("horizon", "skylark")
    with pytest.raises(BadSignatureError, match="not signed by campus, agency"):
        run("agreement", "keep", "agreement.json", "--home", "horizon")
    assert json.loads(run("agreement", "show", "--home", "horizon", "--json"))[0]["state"] == "not signed by campus, agency"


def test_a_changed_text_is_not_signed_along(alliance: Path) -> None:
    draft()
    run("agreement", "sign", "agreement.toml", "--home", "skylark")
    signed = (alliance / "agreement.json").read_text()
    other = parse_agreement((alliance / "agreement.toml").read_text().replace("rho_total = 0.5", "rho_total = 50.0"))
    from oneteam.core.canonical import canonical
    from oneteam.core.keys import encode

    changed = signed.replace(encode(payload_of(signed).payload), encode(canonical(other)))
    (alliance / "agreement.json").write_text(changed)
    assert read_document(payload_of(changed).payload, Agreement).rho_total == 50
    with pytest.raises(BadSignatureError, match="signature of 'skylark'"):
        run("agreement", "sign", "agreement.json", "--home", "horizon")


def test_mistakes_are_explained(alliance: Path) -> None:
    draft()
    with pytest.raises(NothingFoundError, match="there are: none"):
        run("agreement", "show", "abcd", "--home", "skylark")
    with pytest.raises(UnknownValueError, match="no such measure"):
        draft("--force", "-m", "odd")
    with pytest.raises(UnknownValueError, match="Data Privacy Vocabulary"):
        draft("--force", "--purpose", "dpv:Good")
    with pytest.raises(InputError, match="no zones are given"):
        run("agreement", "new", "--home", "skylark", "--force")
    with pytest.raises(UnknownValueError, match="--lang"):
        run("agreement", "show", "agreement.toml", "--lang", "fr", "--home", "skylark")
    with pytest.raises(UnknownValueError, match="must be after"):
        run("agreement", "new", "--zones", "zones.csv", "--home", "skylark", "--force", "--until", "2019-01-01", "--from", "2020-01-01")
    with pytest.raises(UnknownValueError, match="no such time zone"):
        draft("--force", "--timezone", "Mars/Base")
    text = (alliance / "agreement.toml").read_text()
    (alliance / "agreement.toml").write_text(text.replace("threshold = 3", "threshold = 2"))
    with pytest.raises(UnknownValueError, match="threshold: is 2, must be from 3 to 3"):
        run("agreement", "sign", "agreement.toml", "--home", "skylark")
    (alliance / "noise.json").write_bytes(b"\x00\xff{")
    for words in (["agreement", "keep", "noise.json"], ["roster", "keep", "noise.json"], ["agreement", "check", "noise.json"]):
        with pytest.raises(OneteamError):
            run(*words, "--home", "skylark")


def test_who_is_no_party_neither_signs_nor_revokes(alliance: Path) -> None:
    draft("--contributor", "horizon", "--contributor", "skylark", "--recipient", "agency", "--helper", "campus")
    text = (alliance / "agreement.toml").read_text()
    (alliance / "agreement.toml").write_text(text.replace('helpers = ["campus"]', "helpers = []").replace("threshold = 3", "threshold = 2"))
    with pytest.raises(UnknownValueError, match="'campus' is no party"):
        run("agreement", "sign", "agreement.toml", "--home", "campus")
    with pytest.raises(UnknownValueError, match="no party"):
        run("agreement", "revoke", "agreement.toml", "--home", "campus")


def test_a_new_roster_follows_the_old(alliance: Path) -> None:
    run(
        "roster",
        "new",
        *(f"{name}.card.json" for name in PEOPLE),
        "--alliance",
        "Four",
        "--replace",
        "roster.json",
        "--out",
        "2.json",
        "--home",
        "agency",
    )
    for name in ("horizon", "campus", "skylark"):
        run("roster", "sign", "2.json", "--home", name)
    run("roster", "keep", "2.json", "--home", "agency")
    assert json.loads(run("roster", "show", "--home", "agency", "--json"))["version"] == 2
    with pytest.raises(BadSignatureError, match="does not follow"):
        run("roster", "keep", "roster.json", "--home", "agency")
