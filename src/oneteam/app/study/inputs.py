"""The study's input files: found, kept as known on the day, and named in the provenance by their SHA-256."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from oneteam.app.study.folder import StudyFolder
from oneteam.app.study.known import known_on
from oneteam.app.study.settings import StudyFile
from oneteam.core.errors import FileUnreadableError, UnknownValueError
from oneteam.store.tables import sha256_of, write_atomically

KNOWN = "inputs"
"""Copies of dated files as known on the day."""
WORLD = "world"
"""Copies of files that the scenario's world is read from, so that the folder can be taken elsewhere."""

UNDATED = ("days_abroad", "presence")
"""Public tables that may be without dates: means over a time long past."""


@dataclass(frozen=True)
class Sources:
    """Where the study's files are.

    Args:
        root: what file names are relative to.
        folder: the study's.
    """

    root: Path
    folder: StudyFolder

    def need(self, name: str) -> Path:
        """A file or folder that the study file names.

        Raises:
            FileUnreadableError: it is not there.
        """
        path = self.root / name
        if not path.exists():
            raise FileUnreadableError(
                f"{path}: not found", hint="File names are relative to --data, `data` in the study file, or its own folder."
            )
        return path

    def known(self, name: str) -> Path:
        """A dated file as known on the day: its copy in the study."""
        return self.folder.path(KNOWN, Path(name).name)

    def world(self, name: str) -> Path:
        """A file of the world: its copy in the study."""
        return self.folder.path(WORLD, Path(name).name)


def data_root(study: StudyFile, file: Path, given: Path | None) -> Path:
    """What file names are relative to: ``--data``, else ``data``, itself relative to the study file, else the study file's folder."""
    if given is not None:
        return given.resolve()
    return (file.parent / (study.data or ".")).resolve()


def dated_files(study: StudyFile) -> dict[str, str]:
    """Files of which only what was known on the day is read, by what they are."""
    found = {"cases": study.cases.file}
    if study.cases.ages:
        found["ages_of_cases"] = study.cases.ages
    given = study.importation
    if given:
        named = {"importation_cases": given.cases, "prevalence": given.prevalence, "flights": given.flights, "observed": given.observed}
        found |= {name: path for name, path in named.items() if path}
    for table in study.tables:
        if table.measure in {"movement", "arrivals", *UNDATED}:
            found[table.measure] = table.file
    return found


def plain_files(study: StudyFile) -> dict[str, str]:
    """Files without dates that later steps read where they are, by what they are."""
    found = {"zones": study.places.zones}
    named = {"geometry": study.places.geometry, "place_geometry": study.places.place_geometry}
    if study.importation:
        named["origins"] = study.importation.origins
    return found | {name: path for name, path in named.items() if path}


def world_files(study: StudyFile) -> dict[str, str]:
    """Files of the scenario's world, by what they are; a folder stands for the matrices in it."""
    table = study.table("od")
    given = study.scenario
    named = {"od": table.file if table else None, "crosswalk": table.crosswalk if table else None, "world_zones": study.places.zones}
    if given:
        named |= {"contacts": given.contacts, "population_ages": given.ages, "model": given.model}
    return {name: path for name, path in named.items() if path}


def all_files(study: StudyFile, sources: Sources) -> dict[str, Path]:
    """Every input file, by what it is; the truth's are not among them.

    Raises:
        FileUnreadableError: one is not there.
        UnknownValueError: two files of one name, whose copies would take each other's place.
    """
    for named in (dated_files(study), world_files(study)):
        _told_apart(named.values())
    found: dict[str, Path] = {}
    for name, given in (dated_files(study) | plain_files(study) | world_files(study)).items():
        path = sources.need(given)
        if path.is_dir():
            found |= {f"{name}/{each.name}": each for each in sorted(path.glob("contacts_*.csv"))}
        else:
            found[name] = path
    return found


def _told_apart(given: Iterable[str]) -> None:
    by_name: dict[str, str] = {}
    for one in given:
        other = by_name.setdefault(Path(one).name, one)
        if Path(other) != Path(one):
            raise UnknownValueError(f"{other} and {one}: two files of one name", hint="The study keeps copies by name: rename one of them.")


def copy_inputs(study: StudyFile, sources: Sources) -> dict[str, Any]:
    """Write the copies: dated files up to ``known_on``, and the world's files as they are."""
    later: dict[str, int] = {}
    undated = {table.file for table in study.tables if table.measure in UNDATED}
    for given in dict.fromkeys(dated_files(study).values()):
        later[given] = known_on(sources.need(given), sources.known(given), study.known_on, undated=given in undated)
    for given in world_files(study).values():
        path = sources.need(given)
        for each in sorted(path.glob("contacts_*.csv")) if path.is_dir() else [path]:
            write_atomically(sources.folder.path(WORLD, each.name), each.read_bytes())
    notes = [f"{name}: {count:,} rows after {study.known_on} are left out." for name, count in later.items() if count]
    return {"later_rows": later, "notes": notes}


def fingerprints(files: dict[str, Path], root: Path) -> list[dict[str, str]]:
    """Path and SHA-256 of every input, for the provenance."""
    rows = []
    for what, path in files.items():
        name = path.relative_to(root).as_posix() if path.is_relative_to(root) else path.name
        rows.append({"what": what, "path": name, "sha256": sha256_of(path)})
    return rows
