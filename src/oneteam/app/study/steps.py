"""Steps that are not done twice: each is keyed by what it is made from, and a re-run finds its outputs as they were.

A step's record (``.steps/NAME.json``) holds its key, and the SHA-256 of each output. The key is the SHA-256 of the step's settings, of the
content of its inputs and of its version. While a step runs, its record says so: one that was killed goes on where its own files allow it.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import oneteam
from oneteam.app.study.folder import STEPS, StudyFolder
from oneteam.core.canonical import content_id
from oneteam.core.progress import Progress
from oneteam.store.tables import sha256_of


@dataclass(frozen=True)
class Step:
    """One step.

    Args:
        name: short.
        inputs: files whose content counts, by the name under which it counts.
        settings: what else counts; as JSON can say it.
        owns: files and folders below the study folder that are this step's alone; folders wholly.
        work: does it; returns what later steps and the summary want to know, as JSON can say it.
        revision: raised when the step's code gives other numbers.
    """

    name: str
    inputs: Mapping[str, Path]
    settings: Any
    owns: Sequence[str]
    work: Callable[[Progress], dict[str, Any]]
    revision: int = 1

    @property
    def key(self) -> str:
        """What the outputs follow from."""
        told = {
            "step": self.name,
            "version": oneteam.__version__,
            "revision": self.revision,
            "settings": self.settings,
            "inputs": {name: sha256_of(path) for name, path in sorted(self.inputs.items())},
        }
        return content_id(json.loads(json.dumps(told, default=str)))


@dataclass(frozen=True)
class Record:
    """What a step left.

    Args:
        name: of the step.
        key: of what it was made from.
        outputs: SHA-256 by path below the study folder.
        told: what the step returned.
        reused: whether it was found, not made.
    """

    name: str
    key: str
    outputs: dict[str, str]
    told: dict[str, Any] = field(default_factory=dict)
    reused: bool = False


def found(folder: StudyFolder, name: str) -> Record | None:
    """The record of a finished step, if there is one."""
    try:
        body = json.loads(folder.path(STEPS, f"{name}.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return Record(name, body["key"], body["outputs"], body["told"], reused=True) if body.get("state") == "done" else None


def run_step(folder: StudyFolder, step: Step, progress: Progress) -> Record:
    """Do a step, or find it done: same key, and every output as it was.

    Raises:
        OneteamError: as the step's work; what it wrote so far stays for the next try.
    """
    key = step.key
    before = found(folder, step.name)
    if before is not None and before.key == key and intact(folder, before):
        return before
    marker = folder.path(STEPS, f"{step.name}.json")
    if _started(marker) != key:
        clear(folder, step)
    folder.write_json(marker, {"state": "started", "key": key})
    told = json.loads(json.dumps(step.work(progress), default=str))
    record = Record(step.name, key, hashes(folder, step.owns), told)
    folder.write_json(marker, {"state": "done", "key": key, "outputs": record.outputs, "told": record.told})
    return record


def intact(folder: StudyFolder, record: Record) -> bool:
    """Whether every output is as it was."""
    return all((path := folder.path(name)).is_file() and sha256_of(path) == digest for name, digest in record.outputs.items())


def clear(folder: StudyFolder, step: Step) -> None:
    """Remove what a step of another key left, so that nothing old is taken for new."""
    for name in step.owns:
        for path in sorted(folder.root.glob(name)):
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink()
    folder.path(STEPS, f"{step.name}.json").unlink(missing_ok=True)


def forget(folder: StudyFolder, name: str) -> None:
    """Remove what a step made before that has nothing to do now: nothing old may be taken for a part of this study."""
    before = found(folder, name)
    for output in before.outputs if before else ():
        folder.path(output).unlink(missing_ok=True)
    folder.path(STEPS, f"{name}.json").unlink(missing_ok=True)


def hashes(folder: StudyFolder, owns: Sequence[str]) -> dict[str, str]:
    """SHA-256 of every file that a step owns, by path."""
    paths: set[Path] = set()
    for name in owns:
        for path in folder.root.glob(name):
            paths |= {p for p in path.rglob("*") if p.is_file()} if path.is_dir() else {path}
    return {folder.relative(path): sha256_of(path) for path in sorted(paths) if not path.name.startswith(".")}


def _started(marker: Path) -> str | None:
    try:
        body = json.loads(marker.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return str(body["key"]) if body.get("state") == "started" else None
