"""Sessions of people who have signed in, kept on the server; the browser holds a random token and nothing else.

Source: OWASP ASVS 5, chapter 7 (sessions).
"""

from __future__ import annotations

import hmac
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from oneteam.store.registry import Registry
from oneteam.web.accounts import Account, Accounts

TOUCH_S: Final = 60
"""How exactly it is known when a session was last used; a write at every request would serve nobody."""

SESSION_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS web_session (
  token BLOB PRIMARY KEY, account TEXT NOT NULL, begun_at INTEGER NOT NULL, seen_at INTEGER NOT NULL
) WITHOUT ROWID, STRICT;
CREATE INDEX IF NOT EXISTS web_session_account ON web_session (account);
"""


@dataclass(frozen=True)
class Session:
    """Somebody who is signed in.

    Args:
        account: who, with the roles as they are now.
        token: of the cookie; never written down on the server.
    """

    account: Account
    token: str


class Sessions:
    """The sessions of one node.

    Args:
        registry: that of the accounts.
        accounts: who may have one.
        idle_s: a session ends after so long without a request.
        longest_s: a session ends after so long in any case.
        clock: epoch seconds.
    """

    def __init__(
        self, registry: Registry, accounts: Accounts, *, idle_s: int, longest_s: int, clock: Callable[[], float] = time.time
    ) -> None:
        registry.add_schemas([SESSION_SCHEMA])
        self._registry = registry
        self._accounts = accounts
        self._idle_s, self._longest_s = idle_s, longest_s
        self._clock = clock

    def begin(self, account: Account, before: str | None = None) -> str:
        """Sign in: a new token, always; the one of before, if any, ends.

        Args:
            account: whose password was right.
            before: the token that the browser came with.
        """
        token, now = secrets.token_urlsafe(32), int(self._clock())
        with self._registry.transaction() as db:
            if before:
                db.execute("DELETE FROM web_session WHERE token = ?", [_kept(before)])
            db.execute("DELETE FROM web_session WHERE seen_at <= ? OR begun_at <= ?", [now - self._idle_s, now - self._longest_s])
            db.execute("INSERT INTO web_session VALUES (?, ?, ?, ?)", [_kept(token), account.name, now, now])
        return token

    def find(self, token: str | None) -> Session | None:
        """The session of a token, if it has not ended and its account may still sign in."""
        if not token or len(token) > 128:
            return None
        now = int(self._clock())
        with self._registry.read() as db:
            row = db.execute("SELECT account, begun_at, seen_at FROM web_session WHERE token = ?", [_kept(token)]).fetchone()
        if row is None or row[1] <= now - self._longest_s or row[2] <= now - self._idle_s:
            return None
        account = self._accounts.get(row[0])
        if account is None:
            return None
        if row[2] <= now - TOUCH_S:
            with self._registry.transaction() as db:
                db.execute("UPDATE web_session SET seen_at = ? WHERE token = ?", [now, _kept(token)])
        return Session(account, token)

    def end(self, token: str) -> None:
        """Sign out."""
        with self._registry.transaction() as db:
            db.execute("DELETE FROM web_session WHERE token = ?", [_kept(token)])

    def end_all(self, account: str, but: str | None = None) -> None:
        """End an account's sessions, as after a new password.

        Args:
            account: its name.
            but: a token that stays.
        """
        with self._registry.transaction() as db:
            db.execute("DELETE FROM web_session WHERE account = ? AND token <> ?", [account, _kept(but or "")])


def form_token(secret: bytes, bound_to: str) -> str:
    """The token that a form must bring back: only who was given it for this session, or for this visitor, can know it.

    Args:
        secret: the node's.
        bound_to: the session's token, or the visitor's cookie before signing in.
    """
    return hmac.digest(secret, b"oneteam web form\n" + bound_to.encode(), "sha256").hex()


def _kept(token: str) -> bytes:
    """What is kept of a token: who reads the file cannot use it."""
    return sha256(token.encode()).digest()
