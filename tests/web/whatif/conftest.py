"""A small study with two regions, and web faces over it with an account for each role."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi import FastAPI

from oneteam.web.server import close, create_app
from oneteam.web.settings import Limits, WebSettings
from tests.web.browser import PASSWORD, Browser, cheap_accounts
from tests.web.outlook.studies import make_study

ZONES = 30
PEOPLE = {"ann": ["analyst"], "bea": ["analyst"], "vera": ["viewer"], "stew": ["steward"]}


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study that nobody changes."""
    return make_study(tmp_path_factory.mktemp("whatif") / "study", ZONES)


@pytest.fixture
def study(made: Path, tmp_path: Path) -> Path:
    """A copy of it, to work in."""
    return Path(shutil.copytree(made, tmp_path / "study"))


def serve(study: Path, state: Path) -> FastAPI:
    state.mkdir(exist_ok=True)
    app = create_app(WebSettings(study=study, state=state, limits=Limits(requests_per_s=1e6, burst=1e6)), cheap_accounts)
    known = {one.name for one in app.state.face.accounts.all()}
    for name, roles in PEOPLE.items():
        if name not in known:
            app.state.face.accounts.add(name, roles, PASSWORD)
    return app


@pytest.fixture
def app(study: Path, tmp_path: Path) -> Iterator[FastAPI]:
    """A web face over the copy."""
    made = serve(study, tmp_path / "state")
    yield made
    close(made)


def signed_in(app: FastAPI, name: str, language: str = "en") -> Browser:
    browser = Browser(app, language=language)
    assert browser.sign_in(name).status_code == 303
    return browser


@pytest.fixture
def ann(app: FastAPI) -> Browser:
    """An analyst."""
    return signed_in(app, "ann")


@pytest.fixture
def bea(app: FastAPI) -> Browser:
    """Another analyst."""
    return signed_in(app, "bea")


@pytest.fixture
def vera(app: FastAPI) -> Browser:
    """A viewer."""
    return signed_in(app, "vera")
