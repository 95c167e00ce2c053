"""A member acts on a Command: its part does what the Command names, on the member's own machines, and nothing of the data is answered.

In this order: signature, sender and time; the owner's switch and limits, the Agreement; the settings; that it was not done before; the log
entry. Then it is done, and then answered. A refusal is logged too, and none of its reasons depends on data.
"""

from __future__ import annotations

import hashlib
import logging
import re
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

from oneteam.alliance.home import Home
from oneteam.core.errors import EngineError, OneteamError, RefusedError
from oneteam.core.model import Agreement
from oneteam.core.part import CommandHandler, actions_of, handler_of, installed_parts
from oneteam.privacy.book import AgreementBook
from oneteam.privacy.commands import COMMANDS_SCHEMA, AskedCommand, Switch, decide_command, open_command, take_once, taken_since
from oneteam.privacy.policy import LocalLimits
from oneteam.privacy.signing import Lookup
from oneteam.store.audit_entry import AuditEntry, Kind
from oneteam.store.audit_log import AuditLog
from oneteam.store.registry import Registry

LOG: Final = logging.getLogger(__name__)


class Acting:
    """What a member does on Commands; see the module.

    Args:
        home: the member's.
        registry: its file.
        log: its audit log.
        book: its Agreements.
        lookup: public keys of the roster's members.
        limits: gives what the owner holds back at this moment.
        now: the clock.
    """

    def __init__(
        self,
        home: Home,
        registry: Registry,
        log: AuditLog,
        book: AgreementBook,
        lookup: Lookup,
        limits: Callable[[], LocalLimits],
        now: Callable[[], datetime],
    ) -> None:
        registry.add_schemas([COMMANDS_SCHEMA])
        self._home, self._registry, self._log, self._book = home, registry, log, book
        self._lookup, self._limits, self._now = lookup, limits, now

    def act(self, signed_command: str, sender: str) -> None:
        """Carry a Command out.

        Args:
            signed_command: as `oneteam.privacy.commands.sign_command` gave it.
            sender: from whom it came; nobody passes on what another has signed.

        Raises:
            TrustError: a signature or time that does not hold; one that was carried out before.
            RefusedError: the Agreement, the owner's switch or limits refuse; every reason is listed.
            InputError: settings that cannot be.
            EngineError: it was accepted and could not be done. The asker learns no more; a new Command may be sent.
        """
        digest = hashlib.sha256(signed_command.encode("utf-8", "surrogatepass")).hexdigest()
        asked: AskedCommand | None = None
        try:
            asked = open_command(signed_command, self._lookup, self._now())
            if sender != asked.asker:
                raise RefusedError(f"a command of '{asked.asker}' that '{sender}' has sent", reasons=("requester.sender",))
            here = self._here()
            handler, agreement = self._decided(asked, here)
            handler.check(asked.command, agreement)
            with self._registry.transaction() as db:
                # Once more, now that nothing can be written in between: a revocation may have come.
                self._decided(asked, here)
                take_once(db, asked, self._now())
                self._log.append(db, self._entry("act", asked, digest).model_copy(update={"dataset": agreement.dataset}))
        except OneteamError as err:
            self._log_refusal(asked, digest, err)
            raise
        try:
            handler.carry_out(asked.command, here.folder / here.settings.notices.folder)
        except Exception as err:
            # Whatever went wrong may tell of the rows: the asker learns that it went wrong, the owner's log learns why.
            why = err.message if isinstance(err, OneteamError) else type(err).__name__
            LOG.error("%s: command %s could not be carried out: %s", self._home.id, asked.context.id, why)  # noqa: TRY400 - no row may be shown
            told = EngineError("the command could not be carried out at this member", detail=why)
            self._log_refusal(asked, digest, err if isinstance(err, OneteamError) else told)
            raise told from err

    def _here(self) -> Home:
        """The home as ``member.toml`` has it now: a switch takes effect with the next Command.

        Raises:
            RefusedError: the file cannot be read.
        """
        try:
            return Home.open(self._home.folder)
        except OneteamError as err:
            LOG.error("%s: acts on nothing, its settings cannot be read: %s", self._home.id, err)  # noqa: TRY400 - public text only
            raise RefusedError("refused (command.off): This member does not act on commands.", reasons=("command.off",)) from err

    def _decided(self, asked: AskedCommand, here: Home) -> tuple[CommandHandler, Agreement]:
        """The means and the Agreement, if everything permits."""
        settings = here.settings.notices
        held = here.settings.datasets.get(settings.dataset or "")
        part = None if held is None else installed_parts().get(held.part)
        action = None if part is None else actions_of(part).get(asked.command.action)
        with self._registry.read() as db:
            left = settings.per_day - taken_since(db, asked.asker, self._now() - timedelta(days=1))
        switch = Switch(settings.enabled and held is not None, settings.dataset, None if part is None else part.name, action, left)
        kept = self._book.get(asked.agreement) if asked.agreement else None
        decision = decide_command(asked, kept, self._home.id, self._now(), switch, self._limits())
        if not decision.permit or kept is None or action is None:
            raise decision.refusal()
        return handler_of(action, here.dataset_path(kept.agreement.dataset)), kept.agreement

    def _log_refusal(self, asked: AskedCommand | None, digest: str, err: OneteamError) -> None:
        reasons = err.reasons if isinstance(err, RefusedError) else (err.code,)
        with self._registry.transaction() as db:
            self._log.append(db, self._entry("refuse", asked, digest).model_copy(update={"reasons": tuple(reasons)}))

    def _entry(self, kind: Kind, asked: AskedCommand | None, digest: str) -> AuditEntry:
        if asked is None:
            return AuditEntry(at=self._now(), kind=kind, request=digest)
        # What calls itself an Agreement's id may be anything.
        agreement = asked.agreement if re.fullmatch("[0-9a-f]{64}", asked.agreement) else None
        return AuditEntry(at=self._now(), kind=kind, request=digest, agreement=agreement, requester=asked.asker, context=asked.context.id)
