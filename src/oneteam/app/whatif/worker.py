"""The process of one what-if run: ``python -m oneteam.app.whatif.worker RUN STUDY``.

It tells its progress as lines of JSON on standard output, and ends when its standard input does: so it never outlives the face that
began it.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
import sys
import threading
import time
from pathlib import Path
from typing import Any, Final

from oneteam.app.study.ensemble import compare_over_draws
from oneteam.app.study.folder import StudyFolder, read_json
from oneteam.app.study.mobility import read_trips_of
from oneteam.app.whatif.base import draws_of, uses_releases
from oneteam.app.whatif.store import SCENARIO
from oneteam.core.errors import OneteamError
from oneteam.core.progress import Progress
from oneteam.epidemic.service.simulate import read_scenario, write_json
from oneteam.store.rows import read_rows

WORK: Final = ".work"
COMPARISON: Final = "comparison.json"
KEPT: Final = ("baseline-national.parquet", "scenario-national.parquet", "averted-zones.parquet")
"""What stays of a run; by district and day nothing does."""
NICE: Final = 5
EVERY_S: Final = 0.1


def run(folder: Path, study: Path, progress: Progress, threads: int = 2) -> None:
    """Run a what-if and put its results into its folder: all of them, ``comparison.json`` last, or none.

    Args:
        folder: of the run.
        study: the study's folder.
        progress: told of members done.
        threads: blocks of members at the same time.

    Raises:
        InputError: a file or a value that cannot be used.
    """
    scenario = read_scenario(folder / SCENARIO)
    trips = None
    if uses_releases(scenario, folder, study):
        codes = read_rows(folder / scenario.world.zones).unique("code", "kostat_2018_code", "zone", "location")
        trips = read_trips_of(StudyFolder(study), codes)
    work = folder / WORK
    shutil.rmtree(work, ignore_errors=True)
    try:
        compare_over_draws(scenario, folder, work, trips, draws_of(study), threads=threads, plots=False, progress=progress)
        for name in KEPT:
            (work / name).replace(folder / name)
        write_json(folder / COMPARISON, read_json(work / COMPARISON) | {"out": folder.name, "files": list(KEPT)})
    finally:
        shutil.rmtree(work, ignore_errors=True)


def main(arguments: list[str]) -> int:
    """Run, and tell; 0 where it was done."""
    folder, study = (Path(argument) for argument in arguments)
    threading.Thread(target=_end_with_parent, name="parent", daemon=True).start()
    os.nice(NICE)
    try:
        run(folder, study, _Told(), threads=max(1, min(2, os.cpu_count() or 1)))
    except OneteamError as err:
        _say({"error": err.as_dict()})
        return 1
    except Exception:
        logging.getLogger(__name__).exception("the run failed")
        _say({"error": OneteamError("something went wrong in the run", hint="The node's log says what.").as_dict()})
        return 1
    _say({"done": True})
    return 0


class _Told:
    """Progress as lines; not more often than anybody can see."""

    def __init__(self) -> None:
        self._last = 0.0

    def __call__(self, step: str, done: float, total: float | None) -> None:
        now = time.monotonic()
        if now - self._last >= EVERY_S or done == total:
            self._last = now
            _say({"step": step, "at": done, "of": total})


def _say(line: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


def _end_with_parent() -> None:
    sys.stdin.buffer.read()
    os._exit(3)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
