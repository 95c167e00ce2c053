"""The queue of what-if runs of one node: one runs at a time, in a process of its own; an account has one at most that is not finished.

Whoever holds the lock ``whatif/.lock`` works off a queue on that study; it is held while there is anything in the queue, and ends with the
process. So runs that stand as unfinished while nobody holds it were left behind by a node that was stopped.
"""

from __future__ import annotations

import fcntl
import json
import logging
import os
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from oneteam.app.whatif.store import OPEN, STOPPED, Meta, Reason, RunStore, State
from oneteam.core.errors import BusyError, DatasetBusyError, NotThereError
from oneteam.store.tables import disk_errors

LOG: Final = logging.getLogger(__name__)
WAITING: Final = 8
LONGEST_S: Final = 900.0
LOCK: Final = ".lock"
ERRORS_FILE: Final = "worker.log"
TOO_LONG: Final = Reason(code="too_long", message="the run took too long and was stopped", hint="Ask for fewer simulations or days.")
BROKEN: Final = Reason(code="internal", message="the run's process ended without a word", hint="Perhaps there was too little memory.")


@dataclass(frozen=True)
class Live:
    """How far a run is.

    Args:
        state: where it stands.
        at: simulations done.
        of: in all; 0 while the world is read.
        ahead: runs before it in the queue.
    """

    state: State
    at: float = 0.0
    of: float = 0.0
    ahead: int = 0


@dataclass
class _Going:
    """The run that is being worked on."""

    id: str
    live: Live = field(default_factory=lambda: Live("running"))
    process: subprocess.Popen[str] | None = None
    cancelled: bool = False
    reason: Reason | None = None


def command_of(folder: Path, study: Path) -> Sequence[str]:
    """What is run for a run."""
    return (sys.executable, "-m", "oneteam.app.whatif.worker", str(folder), str(study))


class RunQueue:
    """Runs waiting and running.

    Args:
        store: where runs stand.
        waiting: so many wait at most.
        longest_s: a run is stopped after so long.
        command: what is run for a run.
    """

    def __init__(
        self,
        store: RunStore,
        *,
        waiting: int = WAITING,
        longest_s: float = LONGEST_S,
        command: Callable[[Path, Path], Sequence[str]] = command_of,
    ) -> None:
        self._store = store
        self._most, self._longest_s, self._command = waiting, longest_s, command
        self._lock = threading.RLock()
        self._waiting: deque[str] = deque()
        self._going: _Going | None = None
        self._thread: threading.Thread | None = None
        self._claim: int | None = None
        self._closed = False
        with suppress(DatasetBusyError, OSError):
            if self._store.root.is_dir() and any(meta.state in OPEN for meta in self._store.all()):
                self._claimed()
                self._released()

    def submit(self, author: str, title: str, text: Callable[[Path], str]) -> Meta:
        """Put a run into the queue.

        Args:
            author: who asks for it.
            title: for people.
            text: its scenario, for the folder that it will stand in.

        Raises:
            BusyError: the account has one going already, or the queue is full.
            DatasetBusyError: another process works on what-ifs of this study.
        """
        with self._lock:
            self.may(author)
            self._claimed()
            meta = self._store.new(author, title, text)
            self._waiting.append(meta.id)
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="whatif", daemon=True)
                self._thread.start()
        self._store.forget_old(author)
        return meta

    def may(self, author: str) -> None:
        """Whether an account may ask for a run now.

        Raises:
            BusyError: it has one going already, or the queue is full.
        """
        with self._lock:
            if self.open_of(author) is not None:
                raise BusyError("a run of yours is not finished yet", hint="Wait for it, or cancel it.")
            if self._closed or len(self._waiting) >= self._most:
                raise BusyError("too many runs are waiting", hint="Try again in a minute.")

    def open_of(self, author: str) -> str | None:
        """The run of an account that is not finished; None where there is none."""
        with self._lock:
            return next((run for run in self._open() if self._author(run) == author), None)

    def live(self, run: str) -> Live:
        """How far a run is.

        Raises:
            NotThereError: there is none.
        """
        with self._lock:
            if self._going is not None and self._going.id == run:
                return self._going.live
            if run in self._waiting:
                return Live("waiting", ahead=list(self._waiting).index(run) + (self._going is not None))
        return Live(self._store.get(run).state)

    def cancel(self, run: str) -> Meta:
        """Stop a run, or take it out of the queue; one that has ended stays as it is."""
        with self._lock:
            if run in self._waiting:
                self._waiting.remove(run)
                return self._store.change(run, state="cancelled")
            going = self._going
            if going is not None and going.id == run:
                going.cancelled = True
                _end(going.process)
        return self.wait(run, 5.0)

    def wait(self, run: str, seconds: float) -> Meta:
        """A run once it has ended, or after so many seconds as it is then."""
        until = time.monotonic() + seconds
        while time.monotonic() < until and self.live(run).state in OPEN:
            time.sleep(0.02)
        return self._store.get(run)

    def close(self) -> None:
        """Stop everything; what is not finished stands as stopped."""
        with self._lock:
            self._closed = True
            for run in self._waiting:
                self._set(run, state="failed", reason=STOPPED)
            self._waiting.clear()
            if self._going is not None:
                self._going.reason = STOPPED
                _end(self._going.process)
            thread = self._thread
        if thread is not None:
            thread.join(10)

    def _open(self) -> list[str]:
        return [*([self._going.id] if self._going else []), *self._waiting]

    def _author(self, run: str) -> str:
        try:
            return self._store.get(run).author
        except NotThereError:
            return ""

    def _claimed(self) -> None:
        """Hold the lock; what another node left unfinished has failed.

        Raises:
            DatasetBusyError: another process holds it.
        """
        if self._claim is not None:
            return
        with disk_errors(str(self._store.root)):
            self._store.root.mkdir(parents=True, exist_ok=True)
            handle = os.open(self._store.root / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as err:
            os.close(handle)
            raise DatasetBusyError("another page of this study is running what-ifs", hint="Wait until they are done.") from err
        self._claim = handle
        for meta in self._store.all():
            if meta.state in OPEN:
                self._set(meta.id, state="failed", reason=STOPPED)

    def _released(self) -> None:
        if self._claim is not None:
            os.close(self._claim)
            self._claim = None

    def _set(self, run: str, **changes: Any) -> None:
        """Change a run that may have been deleted meanwhile; the queue goes on even where the disk is full."""
        try:
            self._store.change(run, **changes)
        except NotThereError:
            pass
        except Exception:
            LOG.exception("run %s could not be noted as %s", run, changes.get("state"))

    def _work(self) -> None:
        while True:
            with self._lock:
                if not self._waiting:
                    self._thread = None
                    self._released()
                    return
                going = self._going = _Going(self._waiting.popleft())
            try:
                self._one(going)
            except Exception:
                LOG.exception("run %s failed", going.id)
                self._set(going.id, state="failed", reason=BROKEN)
            finally:
                with self._lock:
                    self._going = None

    def _one(self, going: _Going) -> None:
        self._set(going.id, state="running")
        folder, began = self._store.folder(going.id), time.monotonic()
        with (folder / ERRORS_FILE).open("wb") as errors:
            process = subprocess.Popen(  # noqa: S603 - our own program, with paths that we made
                list(self._command(folder, self._store.study)),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                start_new_session=True,
            )
            with process:
                with self._lock:
                    going.process = process
                    if going.cancelled or going.reason is not None:
                        _end(process)
                timer = threading.Timer(self._longest_s, self._out_of_time, [going])
                timer.daemon = True
                timer.start()
                try:
                    told = self._listen(process, going)
                finally:
                    timer.cancel()
                    with suppress(OSError):
                        process.stdin.close()  # type: ignore[union-attr] # it was asked for above
        self._end(going, told, time.monotonic() - began, folder / ERRORS_FILE)

    def _listen(self, process: subprocess.Popen[str], going: _Going) -> dict[str, Any]:
        """Follow a process to its end; the last thing that it said of the whole run."""
        last: dict[str, Any] = {}
        assert process.stdout is not None
        for line in process.stdout:
            try:
                told = json.loads(line)
            except ValueError:
                continue
            if "at" in told:
                going.live = replace(going.live, at=float(told["at"]), of=float(told["of"] or 0))
            else:
                last = told
        process.wait()
        return last

    def _end(self, going: _Going, told: dict[str, Any], seconds: float, errors: Path) -> None:
        if told.get("done"):
            self._set(going.id, state="done", seconds=round(seconds, 2))
            errors.unlink(missing_ok=True)
        elif going.cancelled:
            self._set(going.id, state="cancelled", seconds=round(seconds, 2))
        else:
            reason = going.reason or (Reason.model_validate(told["error"]) if "error" in told else BROKEN)
            self._set(going.id, state="failed", seconds=round(seconds, 2), reason=reason)
            with suppress(OSError):
                LOG.warning("run %s failed: %s\n%s", going.id, reason.message, errors.read_text(errors="replace")[-4000:])

    def _out_of_time(self, going: _Going) -> None:
        with self._lock:
            going.reason = TOO_LONG
            _end(going.process)


def _end(process: subprocess.Popen[str] | None) -> None:
    if process is not None and process.poll() is None:
        process.kill()
