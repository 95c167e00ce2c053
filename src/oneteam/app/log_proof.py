"""Whether a member's log is what it was when written: its entries, its checkpoints, its ledger, and what other members hold of it."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from oneteam.alliance.home import Home
from oneteam.alliance.roster import SignedRoster, public_keys
from oneteam.app.desk import running_desk
from oneteam.core.errors import LogError, OneteamError
from oneteam.core.progress import Progress, silent
from oneteam.privacy.ledger import Ledger
from oneteam.store import log_tables
from oneteam.store.audit_log import AuditLog, origin_of
from oneteam.store.log_check import verify_log
from oneteam.store.notes import open_checkpoint
from oneteam.store.registry import Registry

NEWEST_NOTES: Final = 64


@dataclass(frozen=True)
class WitnessView:
    """What a member has signed of the own log.

    Args:
        member: its id.
        entries: of the largest checkpoint that it cosigned; None when it cosigned none that is kept.
        at: when it did.
        asked: ``fits`` when it was asked just now and holds nothing else; an error's code when it could not be; empty when not asked.
    """

    member: str
    entries: int | None
    at: datetime | None
    asked: str = ""


@dataclass(frozen=True)
class LogProof:
    """What checking the whole log found.

    Args:
        ok: whether everything is what it was when it was written.
        origin: the log's name.
        entries: how many.
        root: of the tree, hex.
        checkpoints: signed checkpoints that fit.
        charges: charges of the ledger that fit the log's permits.
        witnesses: what other members hold.
        seconds: how long it took.
        at: when it was done.
        fault: what is wrong, in words.
    """

    ok: bool
    origin: str
    entries: int
    root: str
    checkpoints: int
    charges: int
    witnesses: tuple[WitnessView, ...]
    seconds: float
    at: datetime
    fault: str = ""


def prove_log(
    home: Home,
    registry: Registry,
    roster: SignedRoster | None,
    now: Callable[[], datetime],
    asked: Sequence[WitnessView] = (),
    progress: Progress = silent,
) -> LogProof:
    """Recompute the log's tree from its entries; compare it with every checkpoint, every cosignature and the ledger.

    Args:
        home: whose log.
        registry: of the home.
        roster: in use; without one there are no witnesses.
        now: the clock.
        asked: what came of asking the witnesses, as `ask_witnesses` gives it.
        progress: told how far it is.
    """
    began = time.perf_counter()
    log = AuditLog(registry, origin_of(home.id), home.keys, now)
    origin, entries, root, checkpoints, charges = log.origin, log.size, "", 0, 0
    ok, fault = False, ""
    witnesses = tuple(asked)
    try:
        with registry.read() as db:
            found = verify_log(db, home.keys.public.verify, progress)
        charged = Ledger(registry).check_against(log)
        witnesses = _witnesses(home, registry, roster, asked)
        origin, entries, root, checkpoints, charges = found.origin, found.entries, found.root, found.checkpoints, charged
        ok = True
    except OneteamError as err:
        fault = err.message
    return LogProof(
        ok=ok,
        origin=origin,
        entries=entries,
        root=root,
        checkpoints=checkpoints,
        charges=charges,
        witnesses=witnesses,
        seconds=time.perf_counter() - began,
        at=now(),
        fault=fault,
    )


def _witnesses(home: Home, registry: Registry, roster: SignedRoster | None, asked: Sequence[WitnessView]) -> tuple[WitnessView, ...]:
    """The largest checkpoint of the own log that each other member has cosigned; every signature is checked."""
    if roster is None:
        return ()
    others = {origin_of(m.id): public_keys(m).verify for m in roster.roster.members if m.id != home.id}
    told = {one.member: one.asked for one in asked}
    signed: dict[str, tuple[int, datetime]] = {}
    with registry.read() as db:
        notes = log_tables.newest_notes(db, NEWEST_NOTES)
    for size, note in notes:
        for name, at in open_checkpoint(note, home.keys.public.verify, others).cosigned.items():
            signed.setdefault(name, (size, at))
    found = []
    for name in others:
        member = name.rpartition("/")[2]
        size_at = signed.get(name)
        found.append(WitnessView(member, size_at[0] if size_at else None, size_at[1] if size_at else None, asked=told.get(member, "")))
    return tuple(found)


async def ask_witnesses(home: Home) -> list[WitnessView]:
    """Have the running node ask every other member what it holds of this member's log, now; nothing when no node runs.

    Raises:
        LogError: somebody holds a checkpoint that this log does not continue.
    """
    desk = await running_desk(home)
    if desk is None:
        return []
    try:
        answer = await desk.do("compare", {})
    except LogError:
        raise
    except OneteamError:
        return []
    failed: dict[str, str] = answer["failed"]
    return [WitnessView(name, None, None, asked=failed.get(name, "fits")) for name in answer["asked"]]
