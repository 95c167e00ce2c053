"""Local accounts: names, roles and Argon2id hashes of passwords in a file of the node's own.

Source: RFC 9106 (Argon2), section 4, second recommended option; OWASP ASVS 5, chapter 6 (passwords).
"""

from __future__ import annotations

import re
import secrets
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, Literal

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from oneteam.core.errors import InputError, NothingFoundError, UnknownValueError, WrongTypeError
from oneteam.store.registry import Registry

AccountRole = Literal["viewer", "analyst", "steward", "privacy_officer"]
ACCOUNT_ROLES: Final[tuple[AccountRole, ...]] = ("viewer", "analyst", "steward", "privacy_officer")
SHORTEST: Final = 12
LONGEST: Final = 256
AT_ONCE: Final = 2
"""Hashes computed at the same time; each takes 64 MiB."""
_NAME: Final = re.compile(r"[a-z][a-z0-9._-]{0,31}")

ACCOUNT_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS web_account (
  name TEXT PRIMARY KEY, roles TEXT NOT NULL, hash TEXT NOT NULL, disabled INTEGER NOT NULL DEFAULT 0, made_at INTEGER NOT NULL
) WITHOUT ROWID, STRICT;
CREATE TABLE IF NOT EXISTS web_secret (id INTEGER PRIMARY KEY CHECK (id = 1), secret BLOB NOT NULL) STRICT;
"""


@dataclass(frozen=True)
class Account:
    """Somebody who may sign in.

    Args:
        name: short, lower case.
        roles: what the account may do.
        disabled: whether it may sign in at all.
        made_at: epoch seconds.
    """

    name: str
    roles: tuple[AccountRole, ...]
    disabled: bool = False
    made_at: int = 0

    def has(self, *roles: AccountRole) -> bool:
        """Whether the account has one of these roles."""
        return any(role in self.roles for role in roles)


class Accounts:
    """The accounts of one node.

    Args:
        registry: a file of the web face's own.
        hasher: Argon2id with its parameters.
        clock: epoch seconds.

    >>> import tempfile
    >>> from pathlib import Path
    >>> folder = tempfile.TemporaryDirectory()
    >>> registry = Registry.open(Path(folder.name) / "web.db")
    >>> accounts = Accounts(registry, PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))
    >>> accounts.add("mina", ["privacy_officer"], "correct horse battery").roles
    ('privacy_officer',)
    >>> accounts.check("mina", "correct horse battery").name, accounts.check("mina", "wrong"), accounts.check("nobody", "wrong")
    ('mina', None, None)
    >>> registry.close()
    >>> folder.cleanup()
    """

    def __init__(self, registry: Registry, hasher: PasswordHasher | None = None, clock: Callable[[], float] = time.time) -> None:
        registry.add_schemas([ACCOUNT_SCHEMA])
        self._registry = registry
        self._hasher = hasher or PasswordHasher()
        self._clock = clock
        self._turns = threading.BoundedSemaphore(AT_ONCE)

    def add(self, name: str, roles: Iterable[str], password: str) -> Account:
        """Add an account.

        Raises:
            WrongTypeError: a name that cannot be.
            UnknownValueError: an unknown role, or none.
            InputError: the name is taken, or the password is too weak.
        """
        if not _NAME.fullmatch(name):
            raise WrongTypeError(
                f"{name[:40]!r}: not an account's name", hint="A lower-case letter, then up to 31 of a-z, 0-9, dot, hyphen, underscore."
            )
        chosen = _roles(roles)
        _strong(name, password)
        hashed = self._hash(password)
        with self._registry.transaction() as db:
            if db.execute("SELECT 1 FROM web_account WHERE name = ?", [name]).fetchone():
                raise InputError(f"'{name}': there is such an account already", hint="`oneteam web account password` changes its password.")
            made_at = int(self._clock())
            db.execute("INSERT INTO web_account VALUES (?, ?, ?, 0, ?)", [name, ",".join(chosen), hashed, made_at])
        return Account(name, chosen, made_at=made_at)

    def all(self) -> tuple[Account, ...]:
        """Every account, by name."""
        with self._registry.read() as db:
            rows = db.execute("SELECT name, roles, disabled, made_at FROM web_account ORDER BY name").fetchall()
        return tuple(_account(row) for row in rows)

    def get(self, name: str) -> Account | None:
        """An account that is not disabled."""
        with self._registry.read() as db:
            row = db.execute("SELECT name, roles, disabled, made_at FROM web_account WHERE name = ? AND disabled = 0", [name]).fetchone()
        return _account(row) if row else None

    def check(self, name: str, password: str) -> Account | None:
        """The account, if the password is its; the same work is done for a name that nobody has."""
        with self._registry.read() as db:
            row = db.execute("SELECT hash, disabled FROM web_account WHERE name = ?", [name]).fetchone()
        known = row is not None and len(password.encode()) <= LONGEST
        right = self._verify(row[0] if known else self._nobody(), password[:LONGEST])
        if not (known and right) or row[1]:
            return None
        if self._hasher.check_needs_rehash(row[0]):
            hashed = self._hash(password)
            with self._registry.transaction() as db:
                db.execute("UPDATE web_account SET hash = ? WHERE name = ? AND hash = ?", [hashed, name, row[0]])
        return self.get(name)

    def set_password(self, name: str, password: str) -> None:
        """Give an account another password; its sessions are the caller's to end.

        Raises:
            NothingFoundError: no such account.
            InputError: the password is too weak.
        """
        _strong(name, password)
        hashed = self._hash(password)
        with self._registry.transaction() as db:
            if db.execute("UPDATE web_account SET hash = ? WHERE name = ?", [hashed, name]).rowcount != 1:
                raise _no_such(name)

    def set_disabled(self, name: str, *, disabled: bool) -> None:
        """Shut an account out, or let it in again; it takes effect with the next request.

        Raises:
            NothingFoundError: no such account.
            InputError: it is the last steward that can sign in.
        """
        with self._registry.transaction() as db:
            row = db.execute("SELECT name, roles, disabled, made_at FROM web_account WHERE name = ?", [name]).fetchone()
            if row is None:
                raise _no_such(name)
            if disabled and _account(row).has("steward"):
                others = db.execute("SELECT roles FROM web_account WHERE disabled = 0 AND name <> ?", [name]).fetchall()
                if not any("steward" in roles.split(",") for (roles,) in others):
                    raise InputError(f"'{name}' is the last steward", hint="Add another steward first: `oneteam web account add`.")
            db.execute("UPDATE web_account SET disabled = ? WHERE name = ?", [int(disabled), name])

    def remove(self, name: str) -> None:
        """Delete an account.

        Raises:
            NothingFoundError: no such account.
        """
        with self._registry.transaction() as db:
            if db.execute("DELETE FROM web_account WHERE name = ?", [name]).rowcount != 1:
                raise _no_such(name)

    def secret(self) -> bytes:
        """The node's own key for tokens against forged requests; made once."""
        with self._registry.transaction() as db:
            db.execute("INSERT OR IGNORE INTO web_secret VALUES (1, ?)", [secrets.token_bytes(32)])
            found: bytes = db.execute("SELECT secret FROM web_secret").fetchone()[0]
        return found

    def _hash(self, password: str) -> str:
        with self._turns:
            return self._hasher.hash(password)

    def _verify(self, hashed: str, password: str) -> bool:
        with self._turns:
            try:
                return self._hasher.verify(hashed, password)
            except (VerificationError, InvalidHashError):
                return False

    def _nobody(self) -> str:
        return _hash_of_nobody(self._hasher)


@lru_cache(maxsize=4)
def _hash_of_nobody(hasher: PasswordHasher) -> str:
    """What a password is compared with where there is no account, so that the time taken says nothing."""
    return hasher.hash(secrets.token_urlsafe(24))


def _account(row: tuple[str, str, int, int]) -> Account:
    name, roles, disabled, made_at = row
    return Account(name, _roles(roles.split(",")), bool(disabled), made_at)


def _roles(roles: Iterable[str]) -> tuple[AccountRole, ...]:
    wanted = set(roles)
    unknown = sorted(wanted - set(ACCOUNT_ROLES))
    if unknown or not wanted:
        what = f"'{unknown[0][:40]}' is no role" if unknown else "an account needs a role"
        raise UnknownValueError(what, hint=f"Roles are {', '.join(ACCOUNT_ROLES)}.")
    return tuple(role for role in ACCOUNT_ROLES if role in wanted)


def _strong(name: str, password: str) -> None:
    if len(password) < SHORTEST or len(password.encode()) > LONGEST:
        raise InputError(f"a password has from {SHORTEST} letters to {LONGEST} bytes", hint="Several words are easy to remember.")
    if name in password.lower() and len(password) < SHORTEST + len(name):
        raise InputError("the password is little more than the account's name")
    if len(set(password)) < 5:
        raise InputError("the password repeats a few letters")


def _no_such(name: str) -> NothingFoundError:
    return NothingFoundError(f"'{name[:40]}': no such account", hint="`oneteam web account list` lists them.")
