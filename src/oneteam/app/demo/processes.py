"""The demonstration's processes: each a command of its own, with its own log, and none outlives the demonstration."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Final, Self

from oneteam.core.errors import EngineError, UnreachableError

LOOK_S: Final = 0.05
GRACE_S: Final = 10.0
TAIL: Final = 12
"""Lines of a log that stand in an error."""
HOST: Final = "127.0.0.1"
ONE_THREAD: Final = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
"""Many processes share few cores: threads of a linear algebra library that wait for one another would eat most of the time."""


@dataclass(frozen=True)
class Child:
    """A running command.

    Args:
        name: for people.
        process: the process; it leads a process group of its own.
        log: what it says.
    """

    name: str
    process: subprocess.Popen[bytes]
    log: Path

    @property
    def said(self) -> str:
        """Its log so far."""
        return self.log.read_text(encoding="utf-8", errors="replace") if self.log.exists() else ""

    def failed(self) -> EngineError:
        """What it said last, as an error."""
        tail = "\n".join(self.said.strip().splitlines()[-TAIL:])
        return EngineError(f"{self.name} ended with code {self.process.returncode}:\n{tail}", hint=f"Its log is {self.log}.")


class Processes:
    """Commands of ``oneteam`` as processes of their own; all end when the block ends, however it ends.

    Args:
        logs: folder of their logs.
    """

    def __init__(self, logs: Path) -> None:
        self._logs = logs
        self._children: list[Child] = []

    def __enter__(self) -> Self:
        self._logs.mkdir(parents=True, exist_ok=True)
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self, name: str, *command: str | Path, stdin: bytes | None = None) -> Child:
        """Start ``oneteam COMMAND``."""
        log = self._logs / f"{name}.log"
        arguments = [sys.executable, "-m", "oneteam.app.demo.child", str(os.getpid()), *map(str, command)]
        told = {key: value for key, value in os.environ.items() if not key.startswith("ONETEAM_")}
        environment = ONE_THREAD | told | {"PYTHONUNBUFFERED": "1"}
        with log.open("wb") as out:
            process = subprocess.Popen(  # noqa: S603 - our own command
                arguments,
                stdin=subprocess.PIPE if stdin is not None else subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                env=environment,
                # A group of its own: ctrl-C reaches the demonstration alone, which stops the others in order.
                process_group=0,
            )
        child = Child(name, process, log)
        self._children.append(child)
        if stdin is not None and process.stdin is not None:
            with suppress(BrokenPipeError), process.stdin as pipe:
                pipe.write(stdin)
        return child

    def until_said(self, child: Child, word: str, within_s: float) -> None:
        """Wait until a command says a word.

        Raises:
            EngineError: it ended before.
            UnreachableError: it did not say so in time.
        """
        self._until(lambda: word in child.said, child, within_s, f"{child.name} did not say '{word}'")

    def until_answers(self, child: Child, port: int, within_s: float) -> None:
        """Wait until a command listens on a port of this machine.

        Raises:
            EngineError: it ended before.
            UnreachableError: it did not listen in time.
        """

        def listening() -> bool:
            with socket.socket() as probe:
                return probe.connect_ex((HOST, port)) == 0

        self._until(listening, child, within_s, f"{child.name} did not listen on port {port}")

    def until_ended(
        self, children: Sequence[Child], within_s: float, look: Callable[[], None] | None = None, *, good: Sequence[int] = (0,)
    ) -> None:
        """Wait until commands have ended well, with one of the codes ``good``; ``look`` is called meanwhile.

        Raises:
            EngineError: one failed.
            UnreachableError: one did not end in time.
        """
        for child in children:

            def over(one: Child = child) -> bool:
                if look is not None:
                    look()
                return one.process.poll() in good

            self._until(over, child, within_s, f"{child.name} did not end")
            self._children.remove(child)

    def check(self) -> None:
        """Whether all are alive.

        Raises:
            EngineError: one has ended.
        """
        for child in self._children:
            if child.process.poll() is not None:
                raise child.failed()

    def stop(self) -> None:
        """Ask all to end, the last started first; after some seconds make them."""
        with _undisturbed():
            running = [child for child in reversed(self._children) if child.process.poll() is None]
            for child in running:
                _signal(child, signal.SIGTERM)
            end = time.monotonic() + GRACE_S
            for child in running:
                with suppress(subprocess.TimeoutExpired):
                    child.process.wait(max(0.0, end - time.monotonic()))
            for child in self._children:
                # The whole group: what a command itself started goes with it.
                _signal(child, signal.SIGKILL)
                child.process.wait()
            self._children.clear()

    def _until(self, true: Callable[[], bool], child: Child, within_s: float, complaint: str) -> None:
        end = time.monotonic() + within_s
        while not true():
            if child.process.poll() is not None and not true():
                raise child.failed()
            if time.monotonic() > end:
                raise UnreachableError(f"{complaint} within {within_s:g} s", hint=f"Its log is {child.log}.")
            time.sleep(LOOK_S)


def _signal(child: Child, number: signal.Signals) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(child.process.pid, number)


@contextmanager
def _undisturbed() -> Iterator[None]:
    """No impatient second ctrl-C leaves a process behind."""
    try:
        before = [(number, signal.signal(number, signal.SIG_IGN)) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)]
    except ValueError:  # not the main thread, which gets no signals
        before = []
    try:
        yield
    finally:
        for number, handler in before:
            signal.signal(number, handler)


@contextmanager
def ending_on_signals() -> Iterator[None]:
    """SIGTERM and SIGHUP end the block as ctrl-C does; so does ctrl-C where the shell that started us told us to ignore it."""

    def end(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = [(number, signal.signal(number, end)) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)]
    try:
        yield
    finally:
        for number, handler in before:
            signal.signal(number, handler)


def free_port(first: int, tries: int = 50, taken: Sequence[int] = ()) -> int:
    """The first port from ``first`` on that nobody listens on.

    Raises:
        UnreachableError: none of them.
    """
    for port in range(first, min(first + tries, 65_536)):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                if port not in taken:
                    probe.bind((HOST, port))
                    return port
            except OSError:
                continue
    raise UnreachableError(f"no port from {first} to {first + tries - 1} is free on this machine", hint="Give another with --port.")
