"""Another scenario over a finished study: its zones, its mobility with the Releases' uncertainty, its situation."""

from __future__ import annotations

from pathlib import Path

from oneteam.app.study.ensemble import Compared, compare_over_draws
from oneteam.app.study.folder import STUDY_FILE, StudyFolder
from oneteam.app.study.mobility import OD_CSV, read_trips_of
from oneteam.app.study.settings import read_study_file
from oneteam.core.errors import NothingFoundError
from oneteam.core.progress import Progress, silent
from oneteam.epidemic.engine.scenario import Scenario
from oneteam.epidemic.service.simulate import read_scenario
from oneteam.store.rows import read_rows


def scenario_of(study: Path) -> Scenario:
    """The scenario of a study, to be changed: its measures, its length, its members.

    Args:
        study: the study's folder.

    Raises:
        NothingFoundError: the study has none.
    """
    path = study / "scenario.toml"
    if not path.is_file():
        raise NothingFoundError(f"{study}: the study has no scenario", hint="Add [scenario] to its study.toml and run it again.")
    return read_scenario(path)


def run_what_if(study: Path, scenario: Scenario, out: Path, *, plots: bool = False, progress: Progress = silent) -> Compared:
    """Run a scenario with and without its measures over a study's mobility, and write what `oneteam epidemic scenario` writes.

    Args:
        study: the study's folder; the scenario's paths are relative to it.
        scenario: as `scenario_of` gave it, changed.
        out: folder to write into.
        plots: also draw.
        progress: told of members done.

    Raises:
        UnknownValueError: no measures.
        InputError: a file or a value that cannot be used.
    """
    folder = StudyFolder(study.resolve())
    settings = read_study_file(folder.path(STUDY_FILE))
    trips = None
    if scenario.world.od == OD_CSV:
        trips = read_trips_of(folder, read_rows(folder.path("zones.csv")).unique("code"))
    return compare_over_draws(scenario, folder.root, out, trips, settings.mobility.draws, plots=plots, progress=progress)
