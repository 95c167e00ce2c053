"""The privacy ledger: what has been spent, never more than was agreed, never given back.

A charge is written in the transaction of the decision it pays for, before anything is computed. Costs are integers of 1e-9 rho, rounded
up; totals are rounded down. Under zero-concentrated differential privacy the costs of releases add (Bun and Steinke 2016, lemma 1.7),
so a sum and a comparison are all there is to enforce: per agreement, and per dataset over all agreements and recipients.

The audit log is the ledger's journal. A ledger that came back from a backup has forgotten charges, so it refuses (*unlevel*) until its
log is level with every checkpoint that other members hold of it: either the missing entries are put back from an export that has the
witnessed root, or everything that was left is given up.
"""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from hashlib import sha256
from typing import Final

from oneteam.core.errors import LogError, NothingFoundError, RefusedError, ReplayError, WrongTypeError
from oneteam.store.audit_entry import AuditEntry
from oneteam.store.audit_log import AuditLog
from oneteam.store.registry import Registry

NANO: Final = 10**9
"""Units of the ledger in one rho."""
MAX_NANO: Final = 2**53 - 1

LEDGER_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS ledger_charge (
  id INTEGER PRIMARY KEY, agreement TEXT NOT NULL, dataset TEXT NOT NULL, query_id TEXT NOT NULL, recipient TEXT NOT NULL,
  nano_rho INTEGER NOT NULL CHECK (nano_rho >= 0), round TEXT UNIQUE
) STRICT;
CREATE TABLE IF NOT EXISTS ledger_spent (
  scope TEXT NOT NULL CHECK (scope IN ('agreement', 'dataset')), id TEXT NOT NULL, nano_rho INTEGER NOT NULL CHECK (nano_rho >= 0),
  PRIMARY KEY (scope, id)
) WITHOUT ROWID, STRICT;
CREATE TABLE IF NOT EXISTS ledger_nonce (nonce TEXT PRIMARY KEY, expires_at INTEGER NOT NULL) WITHOUT ROWID, STRICT;
CREATE INDEX IF NOT EXISTS ledger_nonce_expiry ON ledger_nonce (expires_at);
CREATE TABLE IF NOT EXISTS ledger_release (
  query_id TEXT NOT NULL, recipient TEXT NOT NULL, body BLOB NOT NULL, PRIMARY KEY (query_id, recipient)
) STRICT;
CREATE TABLE IF NOT EXISTS ledger_state (
  id INTEGER PRIMARY KEY CHECK (id = 1), unlevel TEXT NOT NULL DEFAULT '', given_up INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE TABLE IF NOT EXISTS ledger_ahead (note TEXT PRIMARY KEY) STRICT;
CREATE TABLE IF NOT EXISTS ledger_admitted (
  scope TEXT NOT NULL CHECK (scope IN ('agreement', 'dataset')), id TEXT NOT NULL, PRIMARY KEY (scope, id)
) WITHOUT ROWID, STRICT;
INSERT OR IGNORE INTO ledger_state (id) VALUES (1);
"""


@dataclass(frozen=True)
class Recovered:
    """What a recovery did.

    Args:
        entries: put back into the log.
        charges: made good from them.
        origin: the log's name from now on.
        given_up: whether everything that was left was given up instead.
    """

    entries: int
    charges: int
    origin: str
    given_up: bool


def nano_rho(rho: float | str | Decimal, *, up: bool = True) -> int:
    """A cost in units of the ledger. A float counts as the decimal number that documents write for it, so 5 x 0.02 fit into 0.1.

    Args:
        rho: the cost, at least 0.
        up: round up, as for a charge; otherwise down, as for a total.

    Raises:
        WrongTypeError: negative, not finite, or beyond what canonical JSON can say.

    >>> nano_rho(0.02), nano_rho(1e-12), nano_rho(1e-12, up=False)
    (20000000, 1, 0)
    """
    try:
        exact = Fraction(Decimal(repr(float(rho)) if isinstance(rho, float) else str(rho)))
    except (InvalidOperation, ValueError, OverflowError) as err:
        raise WrongTypeError(f"not a cost in rho: {rho!r}") from err
    units = (math.ceil if up else math.floor)(exact * NANO)
    if not 0 <= units <= MAX_NANO:
        raise WrongTypeError(f"a cost of rho = {rho} lies outside 0 to {MAX_NANO / NANO:.0f}")
    return units


class Ledger:
    """Charges, nonces and kept releases of one member.

    Args:
        registry: the member's file.

    >>> import tempfile
    >>> from pathlib import Path
    >>> folder = tempfile.TemporaryDirectory()
    >>> registry = Registry.open(Path(folder.name) / "registry.db")
    >>> ledger = Ledger(registry)
    >>> with registry.transaction() as db:
    ...     ledger.reserve(db, agreement="a" * 64, dataset="events", query_id="b" * 64, recipient="kdca",
    ...                    rho=0.02, agreement_total=0.1, dataset_cap=1.0)
    20000000
    >>> ledger.spent(dataset="events")
    20000000
    >>> registry.close()
    >>> folder.cleanup()
    """

    def __init__(self, registry: Registry) -> None:
        registry.add_schemas([LEDGER_SCHEMA])
        self.registry = registry

    def reserve(
        self,
        db: sqlite3.Connection,
        *,
        agreement: str,
        dataset: str,
        query_id: str,
        recipient: str,
        rho: float,
        agreement_total: float,
        dataset_cap: float | None,
        round_id: str | None = None,
    ) -> int:
        """Charge a cost to an agreement and a dataset, inside the caller's transaction; the charge [1e-9 rho].

        Args:
            db: the transaction of the decision.
            agreement: its id.
            dataset: its id.
            query_id: what is paid for.
            recipient: for whom.
            rho: the cost.
            agreement_total: most that the agreement allows in all.
            dataset_cap: most that the owner allows for the dataset in all, over all agreements; None for no cap of its own.
            round_id: the secure sum's; every round pays anew and never comes twice.

        Raises:
            RefusedError: ``budget.agreement``, ``budget.dataset`` or both: the cost does not fit.
            ReplayError: the round was charged before.
            LogError: the ledger is not level with what others witnessed.
        """
        unlevel, given_up = db.execute("SELECT unlevel, given_up FROM ledger_state").fetchone()
        if unlevel:
            raise LogError(
                f"the ledger refuses: {unlevel}", hint="Once the other members answer, it levels itself, or: `oneteam audit restore`."
            )
        if round_id is not None and db.execute("SELECT 1 FROM ledger_charge WHERE round = ?", [round_id]).fetchone():
            raise ReplayError("this round was charged before; a round id is never used again", hint="Ask with a new round id.")
        cost = nano_rho(rho)
        bounds = [("agreement", agreement, nano_rho(agreement_total, up=False))]
        if dataset_cap is not None or given_up:
            bounds.append(("dataset", dataset, MAX_NANO if dataset_cap is None else nano_rho(dataset_cap, up=False)))
        reasons = tuple(
            f"budget.{scope}" for scope, name, most in bounds if self._left(db, scope, name, most, given_up=bool(given_up)) < cost
        )
        if reasons:
            words = " and ".join("the agreement's total" if reason == "budget.agreement" else "the owner's cap" for reason in reasons)
            raise RefusedError(f"the privacy budget is used up: the cost does not fit into {words}", reasons=reasons)
        self._charge(db, agreement, dataset, query_id, recipient, cost, round_id)
        return cost

    def spent(self, agreement: str | None = None, dataset: str | None = None) -> int:
        """What was charged [1e-9 rho]: to an agreement, to a dataset, to an agreement for one dataset, or in all."""
        with self.registry.read() as db:
            if agreement is not None and dataset is not None:
                query = "SELECT coalesce(sum(nano_rho), 0) FROM ledger_charge WHERE agreement = ? AND dataset = ?"
                return int(db.execute(query, [agreement, dataset]).fetchone()[0])
            if agreement is None and dataset is None:
                return int(db.execute("SELECT coalesce(sum(nano_rho), 0) FROM ledger_spent WHERE scope = 'agreement'").fetchone()[0])
            return _spent(db, "agreement" if dataset is None else "dataset", agreement if dataset is None else dataset)

    def remember_nonce(self, db: sqlite3.Connection, nonce: str, expires_at: datetime) -> None:
        """Let a request's nonce pass once.

        Args:
            db: the transaction of the decision.
            nonce: the request's.
            expires_at: after which such a request would be too old anyway, clock skew included; it may be forgotten a day later.

        Raises:
            ReplayError: it came before.
        """
        seconds = math.ceil(expires_at.timestamp())
        if db.execute("INSERT OR IGNORE INTO ledger_nonce VALUES (?, ?)", [nonce, seconds]).rowcount != 1:
            raise ReplayError("this request was seen before", hint="Sign a new one; each has a nonce of its own.")
        # By the requests' own times, never by a clock that could be set back; a few at a time.
        db.execute(
            "DELETE FROM ledger_nonce WHERE nonce IN (SELECT nonce FROM ledger_nonce WHERE expires_at < ? ORDER BY expires_at LIMIT 8)",
            [seconds - 86_400],
        )

    def keep_release(self, db: sqlite3.Connection, query_id: str, recipient: str, body: bytes) -> bytes:
        """Keep what leaves, so that asking again costs nothing; what is kept: the first, if there was one."""
        db.execute("INSERT OR IGNORE INTO ledger_release VALUES (?, ?, ?)", [query_id, recipient, body])
        kept: bytes = db.execute("SELECT body FROM ledger_release WHERE query_id = ? AND recipient = ?", [query_id, recipient]).fetchone()[
            0
        ]
        return kept

    def kept_release(self, query_id: str, recipient: str) -> bytes | None:
        """What left for this query and recipient before."""
        with self.registry.read() as db:
            row = db.execute("SELECT body FROM ledger_release WHERE query_id = ? AND recipient = ?", [query_id, recipient]).fetchone()
        return row[0] if row else None

    def kept_releases(self) -> list[tuple[str, str]]:
        """Query and recipient of every Release that is kept, newest first."""
        with self.registry.read() as db:
            return db.execute("SELECT query_id, recipient FROM ledger_release ORDER BY rowid DESC").fetchall()

    def described_release(self, query_id: str, recipient: str) -> str:
        """A kept Release without its values, which may be long: JSON of its ``query``, ``contributors``, ``rho``, ``kind`` and ``made_at``.

        Raises:
            NothingFoundError: none is kept.
        """
        with self.registry.read() as db:
            row = db.execute(
                "SELECT json_object('query', json_extract(body, '$.query'), 'contributors', json_extract(body, '$.contributors'), "
                "'rho', json_extract(body, '$.rho'), 'kind', json_extract(body, '$.kind'), 'made_at', json_extract(body, '$.made_at')) "
                "FROM (SELECT CAST(body AS TEXT) AS body FROM ledger_release WHERE query_id = ? AND recipient = ?)",
                [query_id, recipient],
            ).fetchone()
        if row is None:
            raise NothingFoundError(f"no Release for query {query_id[:12]} is kept")
        return str(row[0])

    @property
    def unlevel(self) -> str:
        """Why the ledger refuses, empty when it does not."""
        with self.registry.read() as db:
            return str(db.execute("SELECT unlevel FROM ledger_state").fetchone()[0])

    def doubt(self, why: str) -> None:
        """Refuse from now on, also after a restart, until `level_with` has found nothing wrong.

        A node calls it when it starts and others may hold checkpoints of its log: a restored backup does not know that it is one.
        """
        self._set_unlevel(why)

    def level_with(self, log: AuditLog, witnessed: Sequence[str]) -> None:
        """Compare with the checkpoints that other members hold of the own log; refuse until none is beyond it.

        Args:
            log: the own.
            witnessed: the notes that others hold of it; none for a member of which nobody holds anything.

        Raises:
            LogError: others hold more than there is here, or something else. The ledger refuses from now on, also after a restart.
        """
        with self.registry.read() as db:
            # What was once seen to be ahead counts also when nobody who holds it answers today.
            ahead = [note for (note,) in db.execute("SELECT note FROM ledger_ahead")]
            (before,) = db.execute("SELECT unlevel FROM ledger_state").fetchone()
        together = [*witnessed, *ahead]
        try:
            outside = log.compare_with(together)
        except LogError as err:
            self._set_unlevel(err.message, together)
            raise
        if not outside.level:
            why = f"the log has {log.size} entries, but others hold a checkpoint of {outside.highest}: charges were forgotten"
            self._set_unlevel(why, together)
            raise LogError(
                f"{why}; the ledger refuses", hint="Put the missing entries back, or give up what is left: `oneteam audit restore`."
            )
        if before or ahead:
            self._set_unlevel("")

    def recover(self, log: AuditLog, witnessed: Sequence[str], now: datetime, entries: Iterable[bytes] | None = None) -> Recovered:
        """Make a restored member level again.

        Args:
            log: the own.
            witnessed: the notes that others hold of it.
            now: the time.
            entries: an export of the log from its first entry, whose tree has the witnessed root: charges are rebuilt from it. None gives
                up everything that was left: no agreement and no dataset of before can be charged again until the owner admits it, and the
                log begins a new history that other members must accept.

        Raises:
            LogError: the export does not fit the log and the witnessed checkpoints; nothing was changed.
            NothingFoundError: no witnessed checkpoint of this log was given.
        """
        shown = sha256("\n".join(witnessed).encode()).hexdigest()
        with self.registry.transaction() as db:
            if entries is None:
                log.begin_anew(db)
                db.execute("DELETE FROM ledger_admitted")
                db.execute("UPDATE ledger_state SET given_up = 1, unlevel = ''")
                added, charges = [], 0
            else:
                added = log.extend(db, entries, witnessed)
                charges = sum(self._charge_again(db, entry) for entry in added)
                db.execute("UPDATE ledger_state SET unlevel = ''")
            db.execute("DELETE FROM ledger_ahead")
            reasons = ("log.given_up",) if entries is None else ("log.put_back",)
            log.append(db, AuditEntry(at=now, kind="recover", reasons=reasons, document=shown))
        return Recovered(len(added), charges, log.origin, entries is None)

    def admit(self, *, agreement: str | None = None, dataset: str | None = None) -> None:
        """After everything was given up, let one agreement or dataset be charged.

        For agreements signed since, and for datasets whose cap the owner has thought over: what was charged before the loss is not
        known here.
        """
        with self.registry.transaction() as db:
            for scope, name in (("agreement", agreement), ("dataset", dataset)):
                if name is not None:
                    db.execute("INSERT OR IGNORE INTO ledger_admitted VALUES (?, ?)", [scope, name])

    def check_against(self, log: AuditLog) -> int:
        """Compare the charges with the log's permits; how many charges there are. Charges from before a restart of the log are passed over.

        Raises:
            LogError: charges were removed, added or changed.
        """
        logged: dict[tuple[str, str], int] = {}
        for _, entry in log.entries():
            if entry.kind == "permit" and entry.agreement is not None and entry.nano_rho:
                key = (entry.agreement, entry.dataset or "")
                logged[key] = logged.get(key, 0) + entry.nano_rho
        with self.registry.read() as db:
            rows = db.execute("SELECT agreement, dataset, sum(nano_rho) FROM ledger_charge GROUP BY agreement, dataset").fetchall()
            (count,) = db.execute("SELECT count(*) FROM ledger_charge").fetchone()
            (given_up,) = db.execute("SELECT given_up FROM ledger_state").fetchone()
            totals = {(scope, name): nano for scope, name, nano in db.execute("SELECT scope, id, nano_rho FROM ledger_spent")}
        charged = {(agreement, dataset): nano for agreement, dataset, nano in rows if nano}
        for key, nano in logged.items():
            if charged.get(key, 0) < nano:
                raise LogError(
                    f"the log permits {nano} nano-rho of agreement {key[0][:12]} on '{key[1]}', the ledger knows {charged.get(key, 0)}"
                )
        if not given_up and charged != logged:
            raise LogError("the ledger holds charges that the log does not permit")
        for place, scope in enumerate(("agreement", "dataset")):
            for name in {key[place] for key in charged}:
                total = sum(nano for key, nano in charged.items() if key[place] == name)
                if totals.get((scope, name)) != total:
                    raise LogError(f"the ledger's total of {scope} '{name[:12]}' is not the sum of its charges")
        return int(count)

    def _left(self, db: sqlite3.Connection, scope: str, name: str, most: int, *, given_up: bool) -> int:
        if given_up and not db.execute("SELECT 1 FROM ledger_admitted WHERE scope = ? AND id = ?", [scope, name]).fetchone():
            return -1
        return most - _spent(db, scope, name)

    def _charge(
        self, db: sqlite3.Connection, agreement: str, dataset: str, query_id: str, recipient: str, cost: int, round_id: str | None
    ) -> None:
        db.execute(
            "INSERT INTO ledger_charge (agreement, dataset, query_id, recipient, nano_rho, round) VALUES (?, ?, ?, ?, ?, ?)",
            [agreement, dataset, query_id, recipient, cost, round_id],
        )
        db.executemany(
            "INSERT INTO ledger_spent VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET nano_rho = nano_rho + excluded.nano_rho",
            [("agreement", agreement, cost), ("dataset", dataset, cost)],
        )

    def _charge_again(self, db: sqlite3.Connection, entry: AuditEntry) -> bool:
        if entry.kind != "permit" or entry.agreement is None or not (entry.nano_rho or entry.round):
            return False
        known = entry.round is not None and db.execute("SELECT 1 FROM ledger_charge WHERE round = ?", [entry.round]).fetchone()
        self._charge(
            db,
            entry.agreement,
            entry.dataset or "",
            entry.query or "",
            entry.recipient or entry.requester or "",
            entry.nano_rho,
            None if known else entry.round,
        )
        return True

    def _set_unlevel(self, why: str, notes: Sequence[str] = ()) -> None:
        with self.registry.transaction() as db:
            db.execute("UPDATE ledger_state SET unlevel = ?", [why])
            if not why:
                db.execute("DELETE FROM ledger_ahead")
            db.executemany("INSERT OR IGNORE INTO ledger_ahead VALUES (?)", [[note] for note in notes])


def _spent(db: sqlite3.Connection, scope: str, name: str | None) -> int:
    row = db.execute("SELECT nano_rho FROM ledger_spent WHERE scope = ? AND id = ?", [scope, name]).fetchone()
    return int(row[0]) if row else 0
