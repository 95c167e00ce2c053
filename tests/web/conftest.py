"""Homes of one alliance, and web faces over copies of them."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from fastapi import FastAPI

from oneteam.alliance.home import Home
from oneteam.web.server import close, create_app
from oneteam.web.settings import Limits, WebSettings
from tests.app.allies import Allies, make_allies, make_country_once
from tests.web.browser import PASSWORD, Browser, cheap_accounts

PEOPLE = {
    "viewer": ["viewer"],
    "analyst": ["analyst"],
    "steward": ["steward"],
    "privacy-officer": ["privacy_officer"],
    "mina": ["steward", "privacy_officer"],
}
QUICK = Limits(requests_per_s=1e6, burst=1e6)
Faces = Callable[..., FastAPI]


@pytest.fixture(scope="session")
def founded(tmp_path_factory: pytest.TempPathFactory) -> Allies:
    """An alliance that nobody changes."""
    return make_allies(tmp_path_factory.mktemp("web-allies"), make_country_once(tmp_path_factory.mktemp("web-country")))


@pytest.fixture
def allies(founded: Allies, tmp_path: Path) -> Allies:
    """A copy of it, to work in."""
    folder = tmp_path / "homes"
    shutil.copytree(founded.folder, folder)
    return replace(founded, folder=folder, homes={name: Home.open(folder / name) for name in founded.homes})


@pytest.fixture
def faces(allies: Allies) -> Iterator[Faces]:
    """Opens a member's web face, with an account for every role."""
    opened: list[FastAPI] = []

    def open_one(member: str | None = "skylark", **settings: object) -> FastAPI:
        home = allies.homes[member].folder if member else None
        app = create_app(WebSettings(**{"home": home, "limits": QUICK, **settings}), cheap_accounts)
        opened.append(app)
        known = {one.name for one in app.state.face.accounts.all()}
        for name, roles in PEOPLE.items():
            if name not in known:
                app.state.face.accounts.add(name, roles, PASSWORD)
        return app

    yield open_one
    for app in opened:
        close(app)


@pytest.fixture
def face(faces: Faces) -> FastAPI:
    """A carrier's web face."""
    return faces()


def signed_in(app: FastAPI, name: str, **more: str) -> Browser:
    browser = Browser(app, **more)
    assert browser.sign_in(name).status_code == 303
    return browser
