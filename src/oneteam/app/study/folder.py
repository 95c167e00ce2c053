"""The study folder: where everything stands, and how it is written."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from oneteam.core.errors import DatasetBusyError, FileUnreadableError, UnknownValueError
from oneteam.store.tables import disk_errors, write_atomically

STUDY_FILE: Final = "study.toml"
LOCK: Final = ".lock"
STEPS: Final = ".steps"
OTHERS: Final = "whatif"
"""Where others write while a study runs."""


@dataclass(frozen=True)
class StudyFolder:
    """A study's results.

    Args:
        root: the folder.
    """

    root: Path

    def path(self, *parts: str) -> Path:
        """A path below the folder."""
        return self.root.joinpath(*parts)

    def relative(self, path: Path) -> str:
        """A path as the study's documents name it."""
        return path.relative_to(self.root).as_posix()

    def write_json(self, path: Path, document: Any) -> None:
        """A document for people and programs, whole or not at all; its numbers are finite."""
        write_atomically(path, (json.dumps(document, ensure_ascii=False, indent=1, allow_nan=False) + "\n").encode())

    def _sweep(self) -> None:
        """Remove what a killed predecessor left half written under temporary names; others write below ``whatif/``."""
        for path in self.root.rglob(".*.tmp"):
            if path.relative_to(self.root).parts[0] != OTHERS and path.is_file():
                path.unlink(missing_ok=True)

    def _lock(self) -> int:
        try:
            with disk_errors(LOCK):
                return os.open(self.path(LOCK), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        except OSError as err:
            raise UnknownValueError(f"{self.path(LOCK)}: cannot be opened: {err.strerror}", hint="Give a folder of your own.") from err

    @contextmanager
    def claimed(self) -> Iterator[None]:
        """Only one process works on a study at a time; the lock ends with the process.

        Raises:
            DatasetBusyError: another one does.
            UnknownValueError: the folder holds something else, or cannot be written to.
        """
        if self.root.exists() and not self.root.is_dir():
            raise UnknownValueError(f"{self.root}: is a file, must be a folder")
        if self.root.is_dir() and any(self.root.iterdir()) and not (self.path(LOCK).exists() or self.path(STUDY_FILE).exists()):
            raise UnknownValueError(f"{self.root}: holds something that is no study", hint="Give a new folder with --out.")
        # Releases are for their recipient; who else may read them is the owner's to say.
        self.root.mkdir(parents=True, exist_ok=True, mode=0o700)
        handle = self._lock()
        try:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as err:
                raise DatasetBusyError(f"{self.root}: another process is running this study", hint="Wait for it, or stop it.") from err
            self._sweep()
            yield
        finally:
            with suppress(OSError):
                os.close(handle)


def read_json(path: Path) -> Any:
    """A JSON document.

    Raises:
        FileUnreadableError: it is not there, or is none.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as err:
        raise FileUnreadableError(f"{path}: not a readable JSON document: {err}") from err
