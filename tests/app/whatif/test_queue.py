"""The queue of runs: one at a time, one for each account, progress, cancelling, and what a stopped node leaves behind."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from oneteam.app.whatif.base import read_base
from oneteam.app.whatif.plan import Plan, scenario_of, written
from oneteam.app.whatif.queue import Live, RunQueue
from oneteam.app.whatif.results import read_result
from oneteam.app.whatif.store import OPEN, RECENT, Meta, RunStore
from oneteam.core.errors import BusyError, DatasetBusyError, NotThereError

GATE = "gate"
SCRIPT = """
import json, pathlib, sys, time
folder, study = map(pathlib.Path, sys.argv[1:])
for k in range(5):
    print(json.dumps({"step": "x", "at": k, "of": 4}), flush=True)
    time.sleep(0.03)
while not (study / "gate").exists():
    time.sleep(0.02)
print(json.dumps(%s), flush=True)
"""
DONE = {"done": True}
REFUSED = {"error": {"code": "input.unknown_value", "message": "no such zone", "hint": "Look."}}


def script(last: object = DONE) -> Callable[[Path, Path], Sequence[str]]:
    text = SCRIPT % repr(last)
    return lambda folder, study: (sys.executable, "-S", "-c", text, str(folder), str(study))


def text(_: Path) -> str:
    return 'name = "x"\n'


@pytest.fixture
def store(study: Path) -> RunStore:
    return RunStore(study)


@pytest.fixture
def queues(store: RunStore) -> Iterator[Callable[..., RunQueue]]:
    made: list[RunQueue] = []

    def make(**more: object) -> RunQueue:
        made.append(RunQueue(store, **{"command": script(), **more}))
        return made[-1]

    yield make
    for queue in made:
        queue.close()


def until(true: Callable[[], bool], seconds: float = 20.0) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it never came true"
        time.sleep(0.01)


def open_gate(store: RunStore) -> None:
    (store.study / GATE).touch()


def test_a_run_goes_from_waiting_to_done(store: RunStore, queues: Callable[..., RunQueue]) -> None:
    queue = queues()
    meta = queue.submit("ann", "Masks", text)
    assert (meta.state, meta.author, meta.shared, meta.kept) == ("waiting", "ann", False, False)
    until(lambda: queue.live(meta.id) == Live("running", 4, 4))
    open_gate(store)
    ended = queue.wait(meta.id, 20)
    assert ended.state == "done"
    assert ended.seconds is not None
    assert queue.live(meta.id).state == "done"


def test_an_account_has_one_run_and_others_wait_their_turn(store: RunStore, queues: Callable[..., RunQueue]) -> None:
    queue = queues(waiting=2)
    first = queue.submit("ann", "", text)
    until(lambda: queue.live(first.id).state == "running")
    with pytest.raises(BusyError, match="yours"):
        queue.submit("ann", "", text)
    second, third = queue.submit("bob", "", text), queue.submit("cho", "", text)
    assert (queue.live(second.id).ahead, queue.live(third.id).ahead) == (1, 2)
    assert queue.open_of("bob") == second.id
    with pytest.raises(BusyError, match="too many"):
        queue.submit("dan", "", text)
    assert len(store.all()) == 3
    open_gate(store)
    for meta in (first, second, third):
        assert queue.wait(meta.id, 20).state == "done"
    assert queue.open_of("ann") is None


def test_a_running_run_is_cancelled_and_its_process_ends(store: RunStore, queues: Callable[..., RunQueue]) -> None:
    queue = queues()
    meta = queue.submit("ann", "", text)
    until(lambda: queue.live(meta.id).at == 4)
    began = time.monotonic()
    assert queue.cancel(meta.id).state == "cancelled"
    assert time.monotonic() - began < 3
    assert queue.cancel(meta.id).state == "cancelled"
    open_gate(store)
    assert queue.wait(queue.submit("ann", "", text).id, 20).state == "done"


def test_a_waiting_run_is_cancelled(store: RunStore, queues: Callable[..., RunQueue]) -> None:
    queue = queues()
    first, second = queue.submit("ann", "", text), queue.submit("bob", "", text)
    assert queue.cancel(second.id).state == "cancelled"
    open_gate(store)
    assert queue.wait(first.id, 20).state == "done"
    assert store.get(second.id).state == "cancelled"


def test_an_error_of_the_run_is_kept(store: RunStore, queues: Callable[..., RunQueue]) -> None:
    queue = queues(command=script(REFUSED))
    open_gate(store)
    ended = queue.wait(queue.submit("ann", "", text).id, 20)
    assert ended.state == "failed"
    assert ended.reason is not None
    assert (ended.reason.code, ended.reason.message) == ("input.unknown_value", "no such zone")


@pytest.mark.parametrize("command", ["import sys; sys.exit(9)", "print('{')", "import os; os.kill(os.getpid(), 9)"])
def test_a_process_that_ends_without_a_word_has_failed(queues: Callable[..., RunQueue], command: str) -> None:
    queue = queues(command=lambda *_: (sys.executable, "-S", "-c", command))
    ended = queue.wait(queue.submit("ann", "", text).id, 20)
    assert (ended.state, ended.reason and ended.reason.code) == ("failed", "internal")


def test_a_program_that_is_not_there_fails_the_run_and_not_the_queue(store: RunStore, queues: Callable[..., RunQueue]) -> None:
    queue = queues(command=lambda *_: ("/no/such/program",))
    assert queue.wait(queue.submit("ann", "", text).id, 20).state == "failed"
    assert queue.open_of("ann") is None


def test_a_run_that_takes_too_long_is_stopped(queues: Callable[..., RunQueue]) -> None:
    queue = queues(longest_s=0.4)
    ended = queue.wait(queue.submit("ann", "", text).id, 20)
    assert (ended.state, ended.reason and ended.reason.code) == ("failed", "too_long")


def test_what_is_not_finished_when_the_node_stops_has_failed(store: RunStore, queues: Callable[..., RunQueue]) -> None:
    queue = queues()
    first, second = queue.submit("ann", "", text), queue.submit("bob", "", text)
    until(lambda: queue.live(first.id).state == "running")
    queue.close()
    for meta in (first, second):
        found = store.get(meta.id)
        assert (found.state, found.reason and found.reason.code) == ("failed", "stopped")


def test_a_killed_node_leaves_failed_runs_and_no_process(store: RunStore, queues: Callable[..., RunQueue]) -> None:
    node = (
        "import sys, time\n"
        "from pathlib import Path\n"
        "from oneteam.app.whatif.queue import RunQueue\n"
        "from oneteam.app.whatif.store import RunStore\n"
        "study, script = Path(sys.argv[1]), sys.argv[2]\n"
        "queue = RunQueue(RunStore(study), command=lambda f, s: (sys.executable, '-c', script, str(f), str(s)))\n"
        "meta = queue.submit('ann', '', lambda _: '')\n"
        "while queue.live(meta.id).state != 'running': time.sleep(0.01)\n"
        "print(meta.id, flush=True)\n"
        "time.sleep(60)\n"
    )
    # The script ends with its standard input, as the real one does.
    ends = "import os, pathlib, sys; (pathlib.Path(sys.argv[2]) / 'pid').write_text(str(os.getpid())); sys.stdin.read()"
    with subprocess.Popen([sys.executable, "-c", node, str(store.study), ends], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        run = process.stdout.readline().strip()
        until(lambda: (store.study / "pid").exists() and (store.study / "pid").read_text() != "")
        with pytest.raises(DatasetBusyError, match="another page"):
            queues().submit("bob", "", text)
        assert store.get(run).state == "running"
        process.kill()
    child = int((store.study / "pid").read_text())

    def gone() -> bool:
        try:
            os.kill(child, 0)
        except ProcessLookupError:
            return True
        return Path(f"/proc/{child}/stat").read_text().split()[2] == "Z"

    until(gone)
    queue = queues()
    found = store.get(run)
    assert (found.state, found.reason and found.reason.code) == ("failed", "stopped")
    open_gate(store)
    assert queue.wait(queue.submit("ann", "", text).id, 20).state == "done"


def test_the_oldest_runs_of_an_author_go_unless_they_are_kept_or_shared(study: Path) -> None:
    moment = [datetime(2026, 1, 1, tzinfo=UTC)]
    store = RunStore(study, clock=lambda: moment[0])
    made: list[Meta] = []
    for _ in range(RECENT + 4):
        moment[0] += timedelta(minutes=1)
        made.append(store.change(store.new("ann", "", text).id, state="done"))
    other = store.change(store.new("bob", "", text).id, state="done")
    store.change(made[0].id, kept=True)
    store.change(made[1].id, shared=True)
    store.forget_old("ann")
    left = {meta.id for meta in store.all()}
    assert {made[0].id, made[1].id, other.id} <= left
    assert left == {made[0].id, made[1].id, other.id, *(meta.id for meta in made[4:])}


def test_runs_of_others_are_as_if_they_were_not_there(store: RunStore) -> None:
    meta = store.new("ann", "", text)
    assert store.seen(meta.id, "ann") == meta
    with pytest.raises(NotThereError):
        store.seen(meta.id, "bob")
    store.change(meta.id, shared=True)
    assert store.seen(meta.id, "bob").shared
    for bad in ("../../etc", "ABCDEFABCDEF", "0" * 12, ""):
        with pytest.raises(NotThereError):
            store.get(bad)


def test_a_folder_that_is_no_run_is_left_out(store: RunStore) -> None:
    meta = store.new("ann", "", text)
    (store.root / ("0" * 12)).mkdir()
    broken = store.root / ("1" * 12)
    broken.mkdir()
    (broken / "meta.json").write_text("{", encoding="utf-8")
    assert [one.id for one in store.all()] == [meta.id]


def test_the_real_worker_writes_a_comparison(study: Path) -> None:
    store, base = RunStore(study), read_base(study)
    queue = RunQueue(store)
    try:
        measures = [{"kind": "work_from_home", "share": 0.5, "from": base.first_day, "zones": ["11"]}]
        plan = Plan.model_validate({"members": 16, "measures": measures})
        meta = queue.submit("ann", "", lambda folder: written(scenario_of(plan, base, folder)))
        ended = queue.wait(meta.id, 120)
        assert ended.state == "done", ended.reason
        folder = store.folder(meta.id)
        names = {path.name for path in folder.iterdir()}
        assert names == {
            "meta.json", "scenario.toml", "comparison.json",
            "baseline-national.parquet", "scenario-national.parquet", "averted-zones.parquet",
        }  # fmt: skip
        assert json.loads((folder / "comparison.json").read_text())["out"] == meta.id
        result = read_result(folder, store.scenario(meta.id))
        effect = result.effects["infections"]
        assert effect.share.low > 0
        assert effect.without.median > effect.within.median > 0
        assert effect.day_within is not None
        assert result.days[0] <= effect.day_within[0] <= result.days[-1]
        assert len(result.days) == 20
        assert result.highest("infections") >= result.curves["infections"][0].median.max()
    finally:
        queue.close()
    assert all(meta.state not in OPEN for meta in store.all())
