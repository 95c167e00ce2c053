"""What-if runs as they stand in the study's folder: ``whatif/<id>/`` with ``meta.json``, ``scenario.toml`` and what the run wrote."""

from __future__ import annotations

import logging
import re
import secrets
import shutil
import threading
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from oneteam.core.errors import NotThereError
from oneteam.epidemic.engine.scenario import Scenario
from oneteam.epidemic.service.simulate import read_scenario
from oneteam.store.tables import disk_errors, write_atomically

LOG: Final = logging.getLogger(__name__)
FOLDER: Final = "whatif"
META, SCENARIO = "meta.json", "scenario.toml"
RECENT: Final = 12
"""Runs of one author that are kept without being asked to; the oldest beyond go."""
ID: Final = re.compile(r"[0-9a-f]{12}")
State = Literal["waiting", "running", "done", "failed", "cancelled"]
OPEN: Final[frozenset[str]] = frozenset({"waiting", "running"})


class Reason(BaseModel):
    """Why a run failed: code and message of the error, as in docs/errors.md; ``stopped`` where the node itself was stopped."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    code: str
    message: str = ""
    hint: str = ""


STOPPED: Final = Reason(code="stopped", message="the node was stopped while the run was going on", hint="Run it again.")


class Meta(BaseModel):
    """What is known of a run beside its scenario and its results.

    Args:
        format: of the document.
        id: of the run.
        title: for people; may be empty.
        author: name of the account that asked for it.
        created: when.
        shared: whether everybody who may sign in here sees it.
        kept: whether it stays until its author deletes it.
        state: where it stands.
        seconds: how long it took.
        reason: why it failed.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal["oneteam-whatif/1"] = "oneteam-whatif/1"
    id: Annotated[str, Field(pattern=r"^[0-9a-f]{12}$")]
    title: str = ""
    author: str
    created: AwareDatetime
    shared: bool = False
    kept: bool = False
    state: State = "waiting"
    seconds: float | None = None
    reason: Reason | None = None

    def seen_by(self, account: str) -> bool:
        """Whether an account may look at it."""
        return self.shared or self.author == account


class RunStore:
    """The what-if runs of one study.

    Args:
        study: the study's folder.
        clock: the moment.
    """

    def __init__(self, study: Path, clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self.study = study
        self.root = study / FOLDER
        self._clock = clock
        self._lock = threading.RLock()

    def folder(self, run: str) -> Path:
        """Where a run stands.

        Raises:
            NotThereError: that is no run's id.
        """
        if ID.fullmatch(run) is None:
            raise NotThereError("there is no such run here")
        return self.root / run

    def new(self, author: str, title: str, text: Callable[[Path], str]) -> Meta:
        """Put a run into the folder, waiting.

        Args:
            author: who asks for it.
            title: for people.
            text: its scenario, for the folder that it will stand in.
        """
        meta = Meta(id=secrets.token_hex(6), title=title, author=author, created=self._clock().replace(microsecond=0))
        folder = self.folder(meta.id)
        with disk_errors(FOLDER):
            folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            folder.mkdir(mode=0o700)
        write_atomically(folder / SCENARIO, text(folder).encode())
        self._write(meta)
        return meta

    def get(self, run: str) -> Meta:
        """A run.

        Raises:
            NotThereError: there is none.
        """
        found = self._read(self.folder(run))
        if found is None:
            raise NotThereError("there is no such run here", hint="It may have been deleted.")
        return found

    def seen(self, run: str, account: str) -> Meta:
        """A run that an account may look at; others' are as if they were not there.

        Raises:
            NotThereError: there is none.
        """
        found = self.get(run)
        if not found.seen_by(account):
            raise NotThereError("there is no such run here", hint="Its author may not have shared it.")
        return found

    def all(self) -> list[Meta]:
        """Every run, the newest first; a folder that is none is left out."""
        with suppress(OSError):
            found = (self._read(path) for path in self.root.iterdir() if ID.fullmatch(path.name))
            return sorted((meta for meta in found if meta is not None), key=lambda meta: (meta.created, meta.id), reverse=True)
        return []

    def scenario(self, run: str) -> Scenario:
        """What a run simulates.

        Raises:
            InputError: the file is gone or broken.
        """
        return read_scenario(self.folder(run) / SCENARIO)

    def change(self, run: str, **changes: Any) -> Meta:
        """Change what is known of a run."""
        with self._lock:
            meta = Meta.model_validate(self.get(run).model_dump() | changes)
            self._write(meta)
            return meta

    def delete(self, run: str) -> None:
        """Delete a run: at once for whoever looks, then from the disk."""
        with self._lock:
            folder = self.folder(run)
            gone = folder.with_name(f".gone-{run}")
            try:
                folder.rename(gone)
            except FileNotFoundError as err:
                raise NotThereError("there is no such run here") from err
        shutil.rmtree(gone, ignore_errors=True)

    def forget_old(self, author: str) -> None:
        """Delete an author's oldest runs beyond `RECENT` that were neither kept nor shared."""
        loose = [meta for meta in self.all() if meta.author == author and not meta.kept and not meta.shared and meta.state not in OPEN]
        for meta in loose[RECENT:]:
            with suppress(NotThereError):
                self.delete(meta.id)

    def _write(self, meta: Meta) -> None:
        write_atomically(self.folder(meta.id) / META, (meta.model_dump_json(indent=1) + "\n").encode())

    def _read(self, folder: Path) -> Meta | None:
        try:
            found = Meta.model_validate_json((folder / META).read_bytes())
        except OSError:
            return None
        except ValidationError as err:
            LOG.warning("%s: not a run's document: %s", folder / META, err)
            return None
        return found if found.id == folder.name else None
