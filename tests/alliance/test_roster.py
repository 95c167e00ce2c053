"""Rosters and homes: keys come from nowhere else."""

from __future__ import annotations

import os
import stat
import tempfile
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oneteam.alliance.home import Home, MemberSettings, default_home
from oneteam.alliance.roster import (
    Card,
    Roster,
    SignedRoster,
    fingerprint,
    lookup_of,
    make_roster,
    open_card,
    open_roster,
    public_keys,
    sign_card,
    sign_roster,
    verify_roster,
)
from oneteam.core.errors import (
    BadSignatureError,
    FileUnreadableError,
    InputError,
    NothingFoundError,
    OneteamError,
    TrustError,
    UnknownValueError,
    WrongTypeError,
)
from oneteam.core.keys import Keys, encode
from oneteam.core.model import Text
from oneteam.privacy.book import BOOK_SCHEMA
from oneteam.privacy.signing import sign_document
from tests.privacy.parties import KEYS, MEMBERS, NOW, an_agreement, lookup, signed_by_all

NAME = Text(en="Three carriers", ko="세 통신사")
BY_ID = {member.id: member for member in MEMBERS}


def signed(roster: Roster, *members: str) -> str:
    text: str | None = None
    for member in members or tuple(m.id for m in roster.members):
        text = sign_roster(roster, member, KEYS[member], text)
    assert text is not None
    return text


def test_all_sign() -> None:
    roster = make_roster(NAME, MEMBERS)
    found = verify_roster(signed(roster), BY_ID["horizon"])
    assert found.roster == roster
    assert found.missing == ()
    assert [m.id for m in roster.members] == sorted(BY_ID)
    keys = lookup_of(roster)
    assert keys("horizon") == KEYS["horizon"].public
    assert keys("stranger") is None


def test_one_missing_signature_is_too_many() -> None:
    roster = make_roster(NAME, MEMBERS)
    text = signed(roster, "skylark", "horizon")
    assert open_roster(text).missing == ("agency", "bluewave", "campus")
    with pytest.raises(BadSignatureError, match="agency, bluewave, campus"):
        verify_roster(text, BY_ID["horizon"])


def test_anothers_keys_in_my_place_are_noticed() -> None:
    swapped = BY_ID["horizon"].model_copy(
        update={"verify_key": encode(KEYS["stranger"].public.verify), "seal_key": encode(KEYS["stranger"].public.seal)}
    )
    roster = make_roster(NAME, [m if m.id != "horizon" else swapped for m in MEMBERS])
    with pytest.raises(BadSignatureError, match="other keys for 'horizon'"):
        sign_roster(roster, "horizon", KEYS["horizon"])
    text: str | None = None
    for member in (m.id for m in roster.members):
        text = sign_document(roster, member, KEYS["stranger" if member == "horizon" else member], text)
    assert open_roster(str(text)).missing == ()
    with pytest.raises(BadSignatureError, match="not 'horizon' with its keys"):
        verify_roster(str(text), BY_ID["horizon"])
    assert fingerprint(swapped) != fingerprint(BY_ID["horizon"])


def test_succession() -> None:
    first = open_roster(signed(make_roster(NAME, MEMBERS[:4])))
    second = make_roster(NAME, MEMBERS, first)
    assert (second.version, second.previous) == (2, first.id)
    verify_roster(signed(second), BY_ID["horizon"], first)
    verify_roster(first.text, BY_ID["horizon"], first)
    stranger = make_roster(Text(en="Other"), MEMBERS)
    with pytest.raises(BadSignatureError, match="does not follow"):
        verify_roster(signed(stranger), BY_ID["horizon"], first)


def test_impossible_rosters() -> None:
    with pytest.raises(UnknownValueError, match="horizon twice"):
        make_roster(NAME, [*MEMBERS, BY_ID["horizon"]])
    twin = BY_ID["horizon"].model_copy(update={"id": "twin"})
    with pytest.raises(UnknownValueError, match="the same key"):
        make_roster(NAME, [*MEMBERS, twin])
    body = make_roster(NAME, MEMBERS).model_dump(mode="json")
    for changed in (body | {"members": body["members"][::-1]}, body | {"version": 2}, body | {"members": []}, body | {"extra": 1}):
        with pytest.raises(ValueError, match="validation error"):
            Roster.model_validate(changed)


def test_cards_prove_possession() -> None:
    card = Card(member=BY_ID["horizon"], made_at=NOW)
    assert open_card(sign_card(card, KEYS["horizon"])) == card
    with pytest.raises(BadSignatureError):
        open_card(sign_card(card, KEYS["skylark"]))
    with pytest.raises(WrongTypeError):
        open_card(sign_document(make_roster(NAME, MEMBERS), "horizon", KEYS["horizon"]))


@given(st.binary(max_size=200))
def test_noise_is_no_roster(raw: bytes) -> None:
    for opened in (open_roster, open_card):
        with pytest.raises(OneteamError):
            opened(raw.decode("latin-1"))


def test_bad_keys_give_only_our_errors() -> None:
    bad = BY_ID["horizon"].model_copy(update={"verify_key": "_" * 43})
    with pytest.raises(WrongTypeError):
        public_keys(bad)
    roster = make_roster(NAME, [bad])
    with pytest.raises(OneteamError):
        open_roster(sign_document(roster, "horizon", KEYS["horizon"]))


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home.init(
        tmp_path / "home", "skylark", Text(en='Sky "lark" \\ \n', ko="종달새"), ["contributor"], "https://hub.example.org:8443"
    )


def test_init(home: Home) -> None:
    assert home.settings.name == Text(en='Sky "lark" \\ \n', ko="종달새")
    again = Home.open(home.folder)
    assert again.settings == home.settings
    assert again.keys.public == home.keys.public
    assert stat.S_IMODE((home.folder / "identity.key").stat().st_mode) == 0o600
    assert open_card(home.card(datetime.now(UTC))).member == home.member
    assert encode(home.keys.to_bytes()) not in repr(home)
    with pytest.raises(InputError, match="lives here already"):
        Home.init(home.folder, "other", Text(en="x"), ["helper"])
    with pytest.raises(NothingFoundError, match="no roster yet"):
        home.roster()


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644, 0o666])
def test_keys_that_others_can_read_are_refused(home: Home, mode: int) -> None:
    (home.folder / "identity.key").chmod(mode)
    with pytest.raises(TrustError, match="others on this machine"):
        Home.open(home.folder)


@pytest.mark.parametrize("content", ["", "oneteam-identity/1\n", "oneteam-identity/1\nAAAA\n", "\x00\xff", "other\nAAAA"])
def test_a_damaged_identity(home: Home, content: str) -> None:
    path = home.folder / "identity.key"
    path.write_bytes(content.encode("latin-1"))
    with pytest.raises(FileUnreadableError, match="identity"):
        Home.open(home.folder)


def test_settings(home: Home) -> None:
    path = home.folder / "member.toml"
    text = path.read_text()
    added = '\n[datasets.mobility]\npart = "telecom"\npath = "data"\n'
    path.write_text(text.replace("[limits]", '[limits]\nmeasures = ["od"]') + added)
    opened = Home.open(home.folder)
    assert opened.dataset_path("mobility") == home.folder / "data"
    assert opened.settings.limits.measures == ("od",)
    with pytest.raises(UnknownValueError, match="it holds: mobility"):
        opened.dataset_path("sales")
    path.write_text(text.replace("[limits]", "[limits]\nmeasure = 1"))
    with pytest.raises(WrongTypeError, match=r"limits\.measure: Extra"):
        Home.open(home.folder)
    # Every line that the template comments out is valid when it is not.
    lines = text.splitlines()
    start = lines.index("# [datasets.mobility]")
    live = [line[2:] if i >= start and line.startswith("# ") and ("=" in line or "[" in line) else line for i, line in enumerate(lines)]
    path.write_text("\n".join(line for line in live if "Only ever" not in line))
    assert Home.open(home.folder).settings.limits.paused


@given(st.binary(max_size=100), st.integers(0, 400))
def test_noise_in_the_settings_gives_only_our_errors(noise: bytes, at: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        home = Home.init(Path(folder) / "home", "skylark", Text(en="Skylark"), ["contributor"])
        path = home.folder / "member.toml"
        good = path.read_bytes()
        path.write_bytes(good[:at] + noise + good[at:])
        with suppress(OneteamError):
            Home.open(home.folder)


@pytest.mark.parametrize(("member", "roles"), [("Sky Lark", ["contributor"]), ("", ["contributor"]), ("sky", []), ("sky", ["boss"])])
def test_impossible_members(tmp_path: Path, member: str, roles: Any) -> None:
    with pytest.raises(WrongTypeError):
        Home.init(tmp_path / "x", member, Text(en="x"), roles)
    assert not (tmp_path / "x").exists()


def settle(folder: Path, member: str) -> Home:
    """A home with the fixed keys of the parties."""
    home = Home.init(folder, member, Text(en=member), BY_ID[member].roles)
    (folder / "identity.key").write_text(f"oneteam-identity/1\n{encode(KEYS[member].to_bytes())}\n")
    return Home.open(home.folder)


def test_the_roster_in_use(tmp_path: Path) -> None:
    home = settle(tmp_path / "a", "horizon")
    first = make_roster(NAME, MEMBERS[:4])
    with pytest.raises(BadSignatureError, match="not signed by"):
        home.keep_roster(signed(first, "skylark"))
    kept = home.keep_roster(signed(first))
    assert isinstance(kept, SignedRoster)
    assert home.roster().id == kept.id
    assert home.lookup()("campus") == KEYS["campus"].public
    with pytest.raises(BadSignatureError, match="does not follow"):
        home.keep_roster(signed(make_roster(Text(en="Other"), MEMBERS)))
    home.keep_roster(signed(make_roster(NAME, MEMBERS, kept)))
    assert home.roster().roster.version == 2
    other = Keys.generate()
    (home.folder / "identity.key").write_text(f"oneteam-identity/1\n{encode(other.to_bytes())}\n")
    with pytest.raises(BadSignatureError):
        Home.open(home.folder).roster()


def test_agreements_in_a_home(tmp_path: Path) -> None:
    home = settle(tmp_path / "a", "horizon")
    roster = home.keep_roster(signed(make_roster(NAME, MEMBERS)))
    agreement = an_agreement(roster=roster.id)
    home.keep_agreement(sign_document(agreement, "skylark", KEYS["skylark"]))
    # Signatures that came before are kept.
    home.keep_agreement(sign_document(agreement, "horizon", KEYS["horizon"]))
    (text,) = home.agreement_texts().values()
    assert open_signers(text) == ("horizon", "skylark")
    registry = home.open_registry((BOOK_SCHEMA,))
    try:
        book = home.book(registry)
        assert home.fill_book(book) == ()
        home.keep_agreement(signed_by_all(agreement))
        (kept,) = home.fill_book(book)
        assert kept.agreement == agreement
    finally:
        registry.close()


def open_signers(text: str) -> tuple[str, ...]:
    from oneteam.privacy.signing import open_document

    return open_document(text, lookup).signed_by


def test_the_default_home(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ONETEAM_HOME", raising=False)
    assert default_home() == Path(".oneteam")
    monkeypatch.setenv("ONETEAM_HOME", os.sep + "somewhere")
    assert default_home() == Path(os.sep + "somewhere")


def test_the_settings_model_knows_every_line_of_the_template() -> None:
    template = (Path(__file__).parents[2] / "src/oneteam/alliance/home.py").read_text()
    for name in MemberSettings.model_fields:
        assert name in template
