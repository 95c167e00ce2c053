"""Whether a study is as it was written: every Release's signatures, and every file against ``provenance.json``.

Who can write the folder can write the provenance too: what is proven without the writer is the Releases, by their members' signatures.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final

from pydantic import AfterValidator, BaseModel, ValidationError

from oneteam.alliance.home import Home, read_bytes
from oneteam.app.study.folder import OTHERS, STEPS, STUDY_FILE, StudyFolder, read_json
from oneteam.app.study.progress import PROGRESS_FILE
from oneteam.app.study.provenance import PROVENANCE_FILE
from oneteam.app.study.releases import AGREEMENTS, REFUSALS_FILE, RELEASES
from oneteam.app.study.settings import read_study_file
from oneteam.core.canonical import content_id
from oneteam.core.errors import DatasetCorruptError, FileUnreadableError, OneteamError, UnknownValueError
from oneteam.core.model import Agreement, Sha256
from oneteam.privacy.combine import read_release
from oneteam.privacy.signing import Lookup, complaints
from oneteam.store.tables import sha256_of

PIECES: Final = frozenset({".toml", ".json", ".jsonl", ".csv", ".geojson", ".html", ".txt"})
"""Endings of a study's own files at the top of its folder."""


def _below(name: str) -> str:
    path = Path(name)
    if path.is_absolute() or ".." in path.parts or not path.parts:
        raise ValueError("must be a path below the study")
    return name


Below = Annotated[str, AfterValidator(_below)]


class _Step(BaseModel):
    outputs: dict[Below, Sha256]


class _Release(BaseModel):
    id: Sha256
    query: Sha256
    file: Below
    sha256: Sha256


class _Provenance(BaseModel):
    """What is checked of ``provenance.json``."""

    study: Sha256
    steps: tuple[_Step, ...]
    releases: tuple[_Release, ...]
    refusals: list[dict[str, Any]]
    files: dict[Below, Sha256] = {}

    @property
    def expected(self) -> dict[str, str]:
        """SHA-256 of every file that it names."""
        found = {STUDY_FILE: self.study} | self.files | {one.file: one.sha256 for one in self.releases}
        for step in self.steps:
            found |= step.outputs
        return found


@dataclass(frozen=True)
class Verified:
    """What `verify` found.

    Args:
        releases: whose signatures hold.
        files: that are as the provenance says.
        faults: everything that is not; code and message.
        home: whose roster gave the keys; None where there was no Release to check.
    """

    releases: int
    files: int
    faults: tuple[tuple[str, str], ...]
    home: Path | None = None

    @property
    def valid(self) -> bool:
        """Whether nothing is wrong."""
        return not self.faults

    def as_dict(self) -> dict[str, Any]:
        """For ``--json``."""
        faults = [{"code": code, "message": message} for code, message in self.faults]
        keys = str(self.home) if self.home is not None else None
        return {"valid": self.valid, "releases": self.releases, "files": self.files, "keys_of": keys, "faults": faults}


def verify(folder: StudyFolder, home: Path | None = None) -> Verified:
    """Check every Release's signatures, every file's hash against ``provenance.json``, and that no other file is among them.

    Args:
        folder: of the study.
        home: of any member of the alliance, whose roster has the keys; the study's own recipient when None.

    Raises:
        FileUnreadableError: no study, or no home to check signatures with.
        UnknownValueError: the home stands within the study, whose writer has then chosen the keys.
    """
    told = _read(folder)
    expected = told.expected
    faults = [*_changed(folder, expected), *_strays(folder, {*expected, f"{RELEASES}/{REFUSALS_FILE}"}), *_agreements(folder)]
    wrong = {message.partition(":")[0] for _, message in faults}
    refusals = folder.path(RELEASES, REFUSALS_FILE)
    if (read_json(refusals) if refusals.is_file() else []) != told.refusals:
        faults.append((DatasetCorruptError.code, f"{RELEASES}/{REFUSALS_FILE}: is not as the provenance says"))
    signed, keys = 0, None
    if told.releases:
        found = _home(folder, home)
        keys, lookup = found.folder, found.lookup()
        for one in told.releases:
            try:
                _check_release(folder, one, lookup)
                signed += 1
            except OneteamError as err:
                faults.append((err.code, f"{one.file}: {err.message}"))
    return Verified(signed, sum(name not in wrong for name in expected), tuple(faults), keys)


def _read(folder: StudyFolder) -> _Provenance:
    path = folder.path(PROVENANCE_FILE)
    try:
        return _Provenance.model_validate(read_json(path))
    except ValidationError as err:
        raise FileUnreadableError(f"{path}: {complaints(err)}", hint="Run the study again: `oneteam study run`.") from err


def _changed(folder: StudyFolder, expected: dict[str, str]) -> Iterator[tuple[str, str]]:
    for name, digest in sorted(expected.items()):
        path = folder.path(name)
        if not path.is_file():
            yield DatasetCorruptError.code, f"{name}: is missing"
        elif sha256_of(path) != digest:
            yield DatasetCorruptError.code, f"{name}: is not as it was written"


def _strays(folder: StudyFolder, known: set[str]) -> Iterator[tuple[str, str]]:
    """Files that would be read as the study's and are not."""
    apart = {OTHERS, AGREEMENTS}
    for path in sorted(folder.root.rglob("*")):
        name = folder.relative(path)
        first, *rest = path.relative_to(folder.root).parts
        ours = first not in apart and not first.startswith(".") and not path.name.startswith(".")
        if not rest:
            ours = ours and path.suffix in PIECES and name not in {PROGRESS_FILE, PROVENANCE_FILE}
        if ours and path.is_file() and name not in known:
            yield DatasetCorruptError.code, f"{name}: the provenance does not know it"


def _agreements(folder: StudyFolder) -> Iterator[tuple[str, str]]:
    """Agreements are named by their own hash."""
    for path in sorted(folder.path(AGREEMENTS).glob("*.json")):
        if sha256_of(path) != path.stem:
            yield DatasetCorruptError.code, f"{folder.relative(path)}: is not the Agreement of that id"


def _check_release(folder: StudyFolder, told: _Release, lookup: Lookup) -> None:
    release = read_release(read_bytes(folder.path(told.file)), lookup)
    if content_id(release) != told.id or content_id(release.query) != told.query:
        raise DatasetCorruptError("is not the Release that the provenance names")
    Agreement.model_validate_json(read_bytes(folder.path(AGREEMENTS, f"{release.query.agreement}.json")))


def _home(folder: StudyFolder, home: Path | None) -> Home:
    if home is not None:
        return Home.open(home)
    study = read_study_file(folder.path(STUDY_FILE))
    if study.who is None:
        raise FileUnreadableError("the study names no home whose roster has the keys", hint="Give --home.")
    where = (Path(str(read_json(folder.path(STEPS, "root.json"))["root"])) / study.who.home).resolve()
    if where.is_relative_to(folder.root.resolve()):
        raise UnknownValueError(f"{where}: stands within the study, whose writer has chosen its keys", hint="Give --home.")
    return Home.open(where)
