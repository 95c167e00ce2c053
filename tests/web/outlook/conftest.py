"""A small study and web faces over it."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from fastapi import FastAPI

from oneteam.web.outlook.study_files import StudyFiles
from oneteam.web.server import close, create_app
from oneteam.web.settings import Limits, WebSettings
from tests.web.browser import PASSWORD, Browser, cheap_accounts
from tests.web.outlook.studies import make_study

ZONES = 24
Visit = Callable[..., Browser]


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study that nobody changes."""
    return make_study(tmp_path_factory.mktemp("outlook") / "study", ZONES)


@pytest.fixture
def study(made: Path, tmp_path: Path) -> Path:
    """A copy of it, to work in."""
    return Path(shutil.copytree(made, tmp_path / "study"))


@pytest.fixture(scope="session")
def files(made: Path) -> StudyFiles:
    """The study that nobody changes, opened."""
    return StudyFiles(made)


def serve(folder: Path, state: Path) -> FastAPI:
    """A web face over a study folder, with an account for a viewer."""
    state.mkdir()
    app = create_app(WebSettings(study=folder, state=state, limits=Limits(requests_per_s=1e6, burst=1e6)), cheap_accounts)
    app.state.face.accounts.add("vera", ["viewer"], PASSWORD)
    return app


def signed_in(app: FastAPI, language: str = "en") -> Browser:
    """The viewer's browser."""
    browser = Browser(app, language=language)
    assert browser.sign_in("vera").status_code == 303
    return browser


@pytest.fixture(scope="session")
def shown(made: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[FastAPI]:
    """A web face over the study that nobody changes."""
    app = serve(made, tmp_path_factory.mktemp("outlook-state") / "state")
    yield app
    close(app)


@pytest.fixture(scope="session")
def viewers(shown: FastAPI) -> dict[str, Browser]:
    """Its viewer, by language."""
    return {language: signed_in(shown, language) for language in ("en", "ko")}


@pytest.fixture
def viewer(viewers: dict[str, Browser]) -> Browser:
    """Its English viewer."""
    return viewers["en"]


@pytest.fixture
def visit(tmp_path: Path) -> Iterator[Visit]:
    """Signs a viewer in to a web face of its own over a study folder."""
    opened = []

    def open_one(folder: Path, language: str = "en") -> Browser:
        opened.append(serve(folder, tmp_path / f"state{len(opened)}"))
        return signed_in(opened[-1], language)

    yield open_one
    for app in opened:
        close(app)
