"""Where every number of a study comes from: inputs, Releases, Agreements, refusals, versions, seed, steps; and whether all still fits."""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Final

import oneteam
from oneteam.alliance.home import Home, read_bytes
from oneteam.app.study.folder import STUDY_FILE, StudyFolder, read_json
from oneteam.app.study.inputs import fingerprints
from oneteam.app.study.releases import AGREEMENTS, RELEASES, Answers
from oneteam.app.study.settings import StudyFile, read_study_file
from oneteam.app.study.steps import Record
from oneteam.app.study.telling import rho_of
from oneteam.core.canonical import content_id
from oneteam.core.errors import FileUnreadableError, OneteamError
from oneteam.core.model import Agreement
from oneteam.privacy.combine import read_release
from oneteam.store.tables import sha256_of

PROVENANCE_FILE: Final = "provenance.json"
LIBRARIES: Final = ("numpy", "scipy", "numba", "pyarrow", "lightgbm", "pandas", "shapely", "opendp")
"""A number may follow from their versions."""


def write_provenance(
    study: StudyFile,
    folder: StudyFolder,
    root: Path,
    files: dict[str, Path],
    answers: Answers,
    steps: Sequence[Record],
    skipped: dict[str, str],
) -> None:
    """Write ``provenance.json``; a re-run that reuses everything writes the same bytes.

    Args:
        study: as it was run.
        folder: of it.
        root: what its file names are relative to.
        files: every input, by what it is.
        answers: the Releases and refusals.
        steps: records in order.
        skipped: steps without outputs, and why.
    """
    agreements = {one.query.agreement: one.agreement for one in answers.asked}
    body = {
        "format": "oneteam-provenance/1",
        "oneteam": oneteam.__version__,
        "python": platform.python_version(),
        "libraries": {name: found for name in LIBRARIES if (found := _version(name))},
        "seed": study.seed,
        "known_on": study.known_on.isoformat(),
        "study": sha256_of(folder.path(STUDY_FILE)),
        "inputs": fingerprints(files, root),
        "releases": [
            {
                "id": content_id(one.release),
                "query": one.id,
                "measure": one.query.measure,
                "first_day": one.query.first_day.isoformat(),
                "last_day": one.query.last_day.isoformat(),
                "agreement": one.query.agreement,
                "members": list(one.release.contributors),
                "kind": one.release.kind,
                "rho": one.release.rho,
                "epsilon": one.release.epsilon,
                "delta": one.release.delta,
                "made_at": one.release.made_at.isoformat(),
                "file": one.file,
                "sha256": sha256_of(folder.path(one.file)),
            }
            for one in answers.asked
        ],
        "agreements": [
            {"id": name, "title": agreement.title.model_dump(), "parties": list(agreement.parties), "rho_total": agreement.rho_total}
            for name, agreement in sorted(agreements.items())
        ],
        "refusals": [refusal.as_dict() for refusal in answers.refusals],
        "steps": [{"step": record.name, "key": record.key, "outputs": record.outputs} for record in steps],
        "skipped": skipped,
        "rho_spent": rho_of(answers),
    }
    folder.write_json(folder.path(PROVENANCE_FILE), body)


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


@dataclass(frozen=True)
class Verified:
    """What `verify` found.

    Args:
        releases: whose signatures hold.
        files: that are as the provenance says.
        faults: everything that is not; code and message.
    """

    releases: int
    files: int
    faults: tuple[tuple[str, str], ...]

    @property
    def valid(self) -> bool:
        """Whether nothing is wrong."""
        return not self.faults

    def as_dict(self) -> dict[str, Any]:
        """For ``--json``."""
        faults = [{"code": code, "message": message} for code, message in self.faults]
        return {"valid": self.valid, "releases": self.releases, "files": self.files, "faults": faults}


def verify(folder: StudyFolder, home: Path | None = None) -> Verified:
    """Check every Release's signatures and every output's hash against ``provenance.json``.

    Args:
        folder: of the study.
        home: of any member of the alliance, whose roster has the keys; the study's own recipient when None.

    Raises:
        FileUnreadableError: no study, or no home to check signatures with.
    """
    told = read_json(folder.path(PROVENANCE_FILE))
    faults: list[tuple[str, str]] = []
    files = releases = 0
    expected = {STUDY_FILE: told["study"]}
    for record in told["steps"]:
        expected |= record["outputs"]
    for one in told["releases"]:
        expected[one["file"]] = one["sha256"]
    for name, digest in sorted(expected.items()):
        path = folder.path(name)
        if not path.is_file():
            faults.append(("storage.corrupt", f"{name}: is missing"))
        elif sha256_of(path) != digest:
            faults.append(("storage.corrupt", f"{name}: is not as it was written"))
        else:
            files += 1
    if told["releases"]:
        lookup = _home(folder, home).lookup()
        for one in told["releases"]:
            try:
                release = read_release(read_bytes(folder.path(one["file"])), lookup)
                if content_id(release) != one["id"] or content_id(release.query) != one["query"]:
                    faults.append(("trust.bad_signature", f"{one['file']}: is not the Release that the provenance names"))
                    continue
                _check_agreement(folder, release.query.agreement)
                releases += 1
            except OneteamError as err:
                faults.append((err.code, f"{one['file']}: {err.message}"))
    known = {Path(one["file"]).name for one in told["releases"]} | {"refusals.json"}
    stray = [path.name for path in sorted(folder.path(RELEASES).glob("*.json")) if path.name not in known]
    faults += [("storage.corrupt", f"{RELEASES}/{name}: the provenance does not know it") for name in stray]
    return Verified(releases, files, tuple(faults))


def _check_agreement(folder: StudyFolder, identity: str) -> None:
    path = folder.path(AGREEMENTS, f"{identity}.json")
    content = read_bytes(path)
    Agreement.model_validate_json(content)
    if hashlib.sha256(content).hexdigest() != identity:
        raise FileUnreadableError(f"{AGREEMENTS}/{identity[:12]}…: is not the Agreement of that id")


def _home(folder: StudyFolder, home: Path | None) -> Home:
    if home is not None:
        return Home.open(home)
    study = read_study_file(folder.path(STUDY_FILE))
    if study.who is None:
        raise FileUnreadableError("the study names no home whose roster has the keys", hint="Give --home.")
    root = Path(read_json(folder.path(".steps", "root.json"))["root"])
    return Home.open(root / study.who.home)
