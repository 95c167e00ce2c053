"""A small study with two regions, and web faces over it with an account for each role."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi import FastAPI

from oneteam.app.whatif import worker
from oneteam.app.whatif.base import read_base
from oneteam.app.whatif.plan import Plan, scenario_of, written
from oneteam.app.whatif.store import RunStore
from oneteam.core.progress import silent
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


@pytest.fixture(scope="session")
def ran(made: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run of ann's that is done."""
    study = Path(shutil.copytree(made, tmp_path_factory.mktemp("ran") / "study"))
    store, base = RunStore(study), read_base(study)
    measures = [{"kind": "work_from_home", "share": 0.3, "from": base.first_day, "zones": ["11"]}]
    plan = Plan.model_validate({"members": 16, "measures": measures})
    meta = store.new("ann", "Home", lambda folder: written(scenario_of(plan, base, folder)))
    worker.run(store.folder(meta.id), study, silent)
    store.change(meta.id, state="done", seconds=1.0)
    return store.folder(meta.id)


@pytest.fixture
def finished(study: Path, ran: Path) -> str:
    """The address of a run of ann's that is done."""
    shutil.copytree(ran, study / "whatif" / ran.name)
    return f"/whatif/{ran.name}"
