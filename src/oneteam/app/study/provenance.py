"""Where every number of a study comes from: inputs, Releases, Agreements, refusals, versions, seed, steps."""

from __future__ import annotations

import platform
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final

import oneteam
from oneteam.app.study.contexts import CONTEXTS_FILE
from oneteam.app.study.folder import STUDY_FILE, StudyFolder
from oneteam.app.study.inputs import fingerprints
from oneteam.app.study.releases import Answers
from oneteam.app.study.settings import StudyFile
from oneteam.app.study.steps import Record
from oneteam.app.study.telling import rho_of
from oneteam.core.canonical import content_id
from oneteam.store.tables import sha256_of

PROVENANCE_FILE: Final = "provenance.json"
BESIDE: Final = (CONTEXTS_FILE, "notes.txt")
"""Files of no step."""
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
        "files": {name: sha256_of(folder.path(name)) for name in BESIDE if folder.path(name).is_file()},
        "skipped": skipped,
        "rho_spent": rho_of(answers),
    }
    folder.write_json(folder.path(PROVENANCE_FILE), body)


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
