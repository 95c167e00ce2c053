"""How fast an audit log grows and is verified.

Writes ``--entries`` entries through the log's own door, in transactions of 1,000, with a signed checkpoint after each; then appends single
entries, each in a durable transaction of its own, as a running node does; then verifies everything: every leaf and node recomputed,
every checkpoint's signature and root checked. Then the export is verified as an outsider would, with the checkpoint and key alone.

The last line is JSON: `entries`, `verify_seconds`, `appends_per_s` (one durable transaction each), and more.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path

from oneteam.core.keys import Keys
from oneteam.store.audit_entry import AuditEntry
from oneteam.store.audit_log import AuditLog, origin_of
from oneteam.store.log_check import verify_lines
from oneteam.store.notes import open_checkpoint
from oneteam.store.registry import Registry

BATCH, SINGLE = 1_000, 2_000
START = datetime(2026, 3, 1, tzinfo=UTC)


def entry(number: int) -> AuditEntry:
    """A permit, as the gate writes it."""
    name = sha256(number.to_bytes(8)).hexdigest()
    return AuditEntry(
        at=START + timedelta(seconds=number),
        kind="permit",
        request=name,
        agreement="a" * 64,
        query=name,
        dataset="mobility",
        requester="agency",
        recipient="agency",
        nano_rho=20_000_000,
        round=name[:32],
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--entries", type=int, default=1_000_000)
    asked = parser.parse_args()
    keys, folder = Keys.generate(), Path(tempfile.mkdtemp())
    try:
        registry = Registry.open(folder / "registry.db")
        log = AuditLog(registry, origin_of("kt"), keys)
        began = time.perf_counter()
        for first in range(0, asked.entries, BATCH):
            with registry.transaction() as db:
                for number in range(first, min(first + BATCH, asked.entries)):
                    log.append(db, entry(number))
                log.checkpoint(db)
        batch_s = time.perf_counter() - began
        print(f"{asked.entries:,} entries in {batch_s:.0f} s", file=sys.stderr)
        began = time.perf_counter()
        for number in range(SINGLE):
            with registry.transaction() as db:
                log.append(db, entry(asked.entries + number))
        single_s = time.perf_counter() - began
        note = log.checkpoint()
        began = time.perf_counter()
        found = log.verify([note])
        verify_s = time.perf_counter() - began
        began = time.perf_counter()
        proofs = [log.prove_inclusion(i * 7919 % found.entries) for i in range(1_000)]
        proof_us = (time.perf_counter() - began) * 1e6 / len(proofs)
        export = folder / "log.jsonl"
        with export.open("wb") as file:
            for _, body in log.bodies():
                file.write(body + b"\n")
        began = time.perf_counter()
        with export.open("rb") as file:
            verify_lines((line.rstrip(b"\n") for line in file), open_checkpoint(note, keys.public.verify).checkpoint)
        outside_s = time.perf_counter() - began
        body = {
            "entries": found.entries,
            "verify_seconds": round(verify_s, 2),
            "appends_per_s": round(SINGLE / single_s),
            "batched_appends_per_s": round(asked.entries / batch_s),
            "checkpoints": found.checkpoints,
            "export_verify_seconds": round(outside_s, 2),
            "proof_us": round(proof_us),
            "bytes_per_entry": round((folder / "registry.db").stat().st_size / found.entries),
        }
        registry.close()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    print(json.dumps(body))


if __name__ == "__main__":
    main()
