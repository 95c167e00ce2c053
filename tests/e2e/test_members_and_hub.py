"""Somebody is killed in the middle of a study and comes back."""

from __future__ import annotations

import shutil
from pathlib import Path

from oneteam.app.demo.settings import CARRIERS
from tests.e2e.conftest import NANO, RHO, Once, Team, listed, presence, read, run


def test_a_carrier_is_killed_and_comes_back(team: Team, tmp_path: Path) -> None:
    team.everyone()
    file = team.study("killed", presence(hour=8))
    def strike() -> None:
        team.kill("bluewave")
    import time
    t=time.time()
    first = run(file, tmp_path / "out", lambda s,d,n: (print(f"{time.time()-t:.2f}",s), Once("round.mask", strike, nth=2)(s,d,n)) if False else print(f"{time.time()-t:.2f}",s))
    print(first.states, first.refusals, first.failed)
    print({m: team.charges(m, [r["query"] for r in read(tmp_path/"out"/"provenance.json")["releases"]]) for m in CARRIERS})
    team.verify_logs()
    print(time.time()-t)
