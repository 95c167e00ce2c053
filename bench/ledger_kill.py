"""Kill a member that is charging its ledger, at random points, thousands of times: nothing overspent, nothing lost.

Every trial forks real processes in which 32 requesters at once charge two agreements over one dataset, each in the transaction of its
audit entry, and say so on a pipe once the commit returned. SIGKILL comes at a random moment. Then: no total is exceeded, every charge
that was reported is there, charges and log entries are the same ones, and what was left of the budget can still be spent to the last
unit and no further. Half of the trials run as one process of 32 threads, half as four of eight; half of each with a write-ahead log
that is folded back every few pages, so that kills fall into that too. After every 250 trials the whole log is verified.

SIGKILL ends a process but not the system, which keeps what was written, synced or not; so the registries stand in memory where there is
such a folder, and the trials are many. What a power cut needs beyond this is SQLite's ``synchronous=FULL``, which a test checks.

The last line is JSON: `trials`, `overspends`, `lost_charges`, and more.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import struct
import sys
import tempfile
import threading
import time
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

from oneteam.core.errors import RefusedError
from oneteam.core.keys import Keys
from oneteam.privacy.ledger import Ledger
from oneteam.store.audit_entry import AuditEntry
from oneteam.store.audit_log import AuditLog, origin_of
from oneteam.store.registry import Registry

REQUESTERS = 32
AGREEMENT_UNITS, DATASET_UNITS = 8, 12
RHO = 0.01
RECORD = struct.Struct("<QQ")
NOW = datetime(2026, 3, 1, tzinfo=UTC)


class Member:
    """A member's ledger and log, opened by whichever process works on them."""

    def __init__(self, path: Path, keys: Keys) -> None:
        self.registry = Registry.open(path)
        self.ledger = Ledger(self.registry)
        self.log = AuditLog(self.registry, origin_of("kt"), keys)

    def charge(self, trial: int, requester: int, request: int) -> bytes:
        """One request as the gate treats it: nonce, budget and entry in one transaction; RefusedError when nothing is left."""
        number = requester * 1_000_000 + request
        agreement, query = f"{trial * 2 + requester % 2:064x}", f"{trial << 64 | number:064x}"
        with self.registry.transaction() as db:
            self.ledger.remember_nonce(db, query[32:], NOW + timedelta(seconds=trial))
            cost = self.ledger.reserve(
                db,
                agreement=agreement,
                dataset=f"d{trial}",
                query_id=query,
                recipient="agency",
                rho=RHO,
                agreement_total=RHO * AGREEMENT_UNITS,
                dataset_cap=RHO * DATASET_UNITS,
                round_id=query[32:],
            )
            entry = AuditEntry(
                at=NOW, kind="permit", agreement=agreement, query=query, dataset=f"d{trial}", nano_rho=cost, round=query[32:]
            )
            self.log.append(db, entry)
        return RECORD.pack(trial, number)


def work(path: Path, keys: Keys, trial: int, requesters: range, pipe: int, *, fold_often: bool) -> None:
    """What the killed process does."""
    sys.setswitchinterval(0.0002)
    member = Member(path, keys)
    if fold_often:
        with member.registry.transaction() as db:
            db.execute("PRAGMA wal_autocheckpoint=4")

    def request(requester: int) -> None:
        with suppress(RefusedError):
            for i in range(DATASET_UNITS):
                os.write(pipe, member.charge(trial, requester, i))

    threads = [threading.Thread(target=request, args=(requester,)) for requester in requesters]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def run_and_kill(path: Path, keys: Keys, trial: int, delay_s: float | None, rng: random.Random) -> tuple[set[int], int, float]:
    """Numbers of the reported charges, how many processes were killed while they worked, and how long they lived."""
    processes = rng.choice([1, 4])
    fold_often = rng.random() < 0.5
    reading, writing = os.pipe()
    each = REQUESTERS // processes
    children = []
    for i in range(processes):
        child = os.fork()
        if child == 0:
            code = 1
            try:
                os.close(reading)
                work(path, keys, trial, range(i * each, (i + 1) * each), writing, fold_often=fold_often)
                code = 0
            finally:
                os._exit(code)
        children.append(child)
    os.close(writing)
    began = time.perf_counter()
    if delay_s is not None:
        time.sleep(delay_s)
        for child in children:
            os.kill(child, signal.SIGKILL)
    with os.fdopen(reading, "rb") as pipe:
        raw = pipe.read()
    codes = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
    if any(code not in {0, -signal.SIGKILL} for code in codes):
        raise SystemExit(f"a worker failed by itself in trial {trial}: {codes}")
    reported = {number for of, number in RECORD.iter_unpack(raw) if of == trial}
    return reported, sum(code == -signal.SIGKILL for code in codes), time.perf_counter() - began


def look(path: Path, keys: Keys, trial: int, reported: set[int]) -> dict[str, int]:
    """What the kill left, and whether what was left of the budget is exactly what can still be spent."""
    member = Member(path, keys)
    unit = round(RHO * 10**9)

    def overspent() -> bool:
        ledger = member.ledger
        return ledger.spent(dataset=f"d{trial}") > DATASET_UNITS * unit or any(
            ledger.spent(agreement=f"{trial * 2 + i:064x}") > AGREEMENT_UNITS * unit for i in range(2)
        )

    with member.registry.read() as db:
        rows = db.execute("SELECT query_id, nano_rho FROM ledger_charge WHERE dataset = ?", [f"d{trial}"]).fetchall()
    charged = {int(query, 16) & (1 << 64) - 1 for query, _ in rows}
    first = member.log.size - len(rows)
    logged = {int(entry.query or "0", 16) & (1 << 64) - 1 for _, entry in member.log.entries(first) if entry.dataset == f"d{trial}"}
    found = {
        "overspends": int(overspent() or sum(nano for _, nano in rows) != member.ledger.spent(dataset=f"d{trial}")),
        "lost_charges": len(reported - charged),
        "unlogged_charges": len(charged ^ logged),
    }
    for requester in range(2):
        with suppress(RefusedError):
            for i in range(DATASET_UNITS + 1):
                member.charge(trial, requester, 500_000 + i)
    found["overspends"] |= int(overspent())
    found["budget_lost"] = int(member.ledger.spent(dataset=f"d{trial}") != DATASET_UNITS * unit)
    if trial % 250 == 249:
        member.log.verify([member.log.checkpoint()])
        member.ledger.check_against(member.log)
    member.registry.close()
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1, help="Of the moments of the kills.")
    parser.add_argument("--folder", type=Path, help="Where the registries stand; /dev/shm without it.")
    asked = parser.parse_args()
    rng, keys = random.Random(asked.seed), Keys.generate()
    memory = Path("/dev/shm")
    folder = Path(tempfile.mkdtemp(dir=asked.folder or (memory if os.access(memory, os.W_OK) else None)))
    total = {"overspends": 0, "lost_charges": 0, "unlogged_charges": 0, "budget_lost": 0}
    killed = charges = 0
    began = time.perf_counter()
    try:
        # How long they take when nobody kills them bounds the moments of the kills.
        Member(folder / "warm.db", keys).registry.close()
        span_s = sorted(run_and_kill(folder / "warm.db", keys, i, None, rng)[2] for i in range(9))[4]
        for trial in range(asked.trials):
            path = folder / f"registry-{trial // 250}.db"
            if trial % 250 == 0:
                Member(path, keys).registry.close()
            reported, ended, _ = run_and_kill(path, keys, trial, rng.uniform(0, span_s), rng)
            killed += ended > 0
            charges += len(reported)
            for name, count in look(path, keys, trial, reported).items():
                total[name] += count
            if trial % 250 == 249:
                print(f"{trial + 1:,} trials, {time.perf_counter() - began:.0f} s, {total}", file=sys.stderr)
                for old in folder.glob(f"{path.name}*"):
                    old.unlink()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    seconds = time.perf_counter() - began
    body = {
        "trials": asked.trials,
        **total,
        "killed_at_work": killed,
        "requesters": REQUESTERS,
        "charges_reported": charges,
        "seconds": round(seconds, 1),
    }
    print(json.dumps(body))
    sys.exit(any(total.values()))


if __name__ == "__main__":
    main()
