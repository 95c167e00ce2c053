"""The check of the whole log that anyone may start: one at a time, in a thread of its own, with its progress to be looked at."""

from __future__ import annotations

import asyncio
import logging
import threading
from dataclasses import dataclass, replace
from typing import Final, Literal

from oneteam.app.log_proof import LogProof, ask_witnesses
from oneteam.app.oversight import Oversight
from oneteam.core.errors import LogError, OneteamError

LOG: Final = logging.getLogger(__name__)


@dataclass(frozen=True)
class Check:
    """How far a check is.

    Args:
        state: ``never``, ``asking`` witnesses, ``running`` or ``done``.
        done: entries checked so far.
        total: entries in all.
        proof: what was found, once done; while one is running, what the one before found.
        failed: why a check could not be made at all.
    """

    state: Literal["never", "asking", "running", "done"] = "never"
    done: int = 0
    total: int = 0
    proof: LogProof | None = None
    failed: str = ""


class Verifying:
    """Checks of one member's log.

    Args:
        own: the member's home.
    """

    def __init__(self, own: Oversight) -> None:
        self._own = own
        self._lock = threading.Lock()
        self._now = Check()
        self._thread: threading.Thread | None = None

    @property
    def now(self) -> Check:
        """How far it is."""
        return self._now

    def start(self) -> Check:
        """Begin a check, unless one is running."""
        with self._lock:
            if self._now.state not in {"asking", "running"}:
                self._now = Check("asking", 0, self._own.log_size(), self._now.proof)
                self._thread = threading.Thread(target=self._run, name="verify", daemon=True)
                self._thread.start()
            return self._now

    def wait(self, seconds: float) -> Check:
        """Wait for the one that is running, at most so long."""
        thread = self._thread
        if thread is not None:
            thread.join(seconds)
        return self._now

    def _run(self) -> None:
        try:
            proof = self._check()
            self._now = Check("done", proof.entries, proof.entries, proof)
        except OneteamError as err:
            self._now = Check("done", failed=err.message)
        except Exception:
            LOG.exception("the check of the log failed")
            self._now = Check("done", failed="the check itself failed; the node's log says why")

    def _check(self) -> LogProof:
        contradicted = ""
        try:
            asked = asyncio.run(ask_witnesses(self._own.home))
        except LogError as err:
            asked, contradicted = [], err.message
        self._now = replace(self._now, state="running")
        proof = self._own.verify(asked, self._told)
        return replace(proof, ok=False, fault=contradicted) if contradicted and proof.ok else proof

    def _told(self, step: str, done: float, total: float | None) -> None:
        del step  # there is one
        self._now = replace(self._now, done=int(done), total=int(total or 0))
