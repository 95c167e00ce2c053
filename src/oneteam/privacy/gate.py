"""The gate: the only way out for what was computed from rows; the only maker of a Release or of a masked Share of one.

For every request, in this order: signature, freshness and nonce, agreement, policy, budget; the decision and the charge are one
transaction, on the disk before anything is computed. Then the bounded query, the noise, the log entry of what leaves, and only then does
it leave. A refusal is logged too, and none of its reasons depends on data. ``docs/privacy-gate.md`` has the whole order; a test over the
syntax tree proves that no other module makes a Release (`oneteam.privacy.combine`, which joins Shares, is on the same list).
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from oneteam.core.canonical import canonical, content_id
from oneteam.core.errors import BusyError, EngineError, OneteamError, RefusedError, ReplayError, RoundError
from oneteam.core.keys import Keys
from oneteam.core.model import Agreement, Query, Release
from oneteam.privacy.accounting import epsilon_of
from oneteam.privacy.book import AgreementBook
from oneteam.privacy.combine import released_levels, round_of, signed_release
from oneteam.privacy.contributions import Contributions
from oneteam.privacy.ledger import Ledger
from oneteam.privacy.mechanism import (
    Ints,
    Plan,
    joined,
    no_contributions,
    noised_levels,
    plan_of,
    sampling_secret,
    thresholded,
    true_levels,
    versions,
)
from oneteam.privacy.noise import noise_versions, share_sigma
from oneteam.privacy.policy import Asking, LocalLimits, decide
from oneteam.privacy.requests import Request, open_request
from oneteam.privacy.secure_sum import MaskedShare, MemberRound, Opening, Reveal, ShareHeader, Vote
from oneteam.privacy.signing import Lookup
from oneteam.store.audit_entry import AuditEntry, Kind
from oneteam.store.audit_log import AuditLog
from oneteam.store.registry import Registry

Source = Callable[[Query, Agreement], Contributions]
"""A part's rows for a Query: filters applied, every key's place in the public domain, subscribers ascending."""

ROUND_LIFETIME: Final = timedelta(seconds=300)
"""After which a round that was opened and not finished is forgotten: this member has dropped out."""
MAX_ROUNDS: Final = 64

CAUTION_DP: Final = (
    "Counts are noised and can be negative. One privacy unit contributes at most max_keys keys of at most max_value each: totals can be "
    "below the raw ones."
)
CAUTION_THRESHOLD: Final = (
    "Plain table: counts of few people are hidden and nothing else. This protects against little: differences between such tables, or "
    "outside knowledge, can reveal single people. rho and epsilon do not apply."
)


@dataclass(frozen=True)
class _Permitted:
    """A request that was permitted and charged."""

    request: Request
    digest: str
    plan: Plan


@dataclass
class _Running:
    """A secure sum that this member has opened."""

    permitted: _Permitted
    member: MemberRound
    values: Future[Ints]
    until: datetime


class Gate:
    """One member's gate.

    Args:
        me: the member's id.
        keys: its private keys.
        registry: where ledger, log and book live together.
        log: its audit log.
        ledger: its privacy budget.
        book: the Agreements that it keeps.
        lookup: public keys of the roster's members.
        limits: gives what the owner holds back at this moment beyond the Agreements' own limits.
        source: the part's rows.
        now: the clock.
        secret: at least 32 bytes that only this node knows and keeps.
    """

    def __init__(
        self,
        *,
        me: str,
        keys: Keys,
        registry: Registry,
        log: AuditLog,
        ledger: Ledger,
        book: AgreementBook,
        lookup: Lookup,
        limits: Callable[[], LocalLimits],
        source: Source,
        now: Callable[[], datetime],
        secret: bytes,
    ) -> None:
        self._me, self._keys, self._registry, self._log, self._ledger = me, keys, registry, log, ledger
        self._book, self._lookup, self._limits, self._source, self._now = book, lookup, limits, source, now
        self._secret = secret
        self._pool = ThreadPoolExecutor(2, thread_name_prefix="gate")
        self._rounds: dict[str, _Running] = {}
        self._opening = 0
        self._lock = threading.Lock()
        self._single = threading.Lock()

    def close(self) -> None:
        """Forget all rounds and end the threads."""
        with self._lock:
            self._rounds.clear()
        self._pool.shutdown(wait=True, cancel_futures=True)

    def release(self, signed_request: str, sender: str | None = None) -> Release:
        """A Release of this member's data alone; the stored one, at no cost, when the same Query was released to the same recipient.

        Args:
            signed_request: compact JWS of a `Request` without a round.
            sender: from whom it came, where that is known: whoever was asked may not hand a request on and use it up.

        Raises:
            RefusedError: policy or budget refuse, at first or when the answer is ready; every reason is listed.
            TrustError: signature, freshness or nonce do not hold, or the ledger is not level with its witnesses.
        """
        # One at a time: a Query that is asked twice at once is paid for once.
        with self._single:
            admitted = self._admit(signed_request, sender, joint=False)
            if isinstance(admitted, Release):
                return admitted
            made = self._make(admitted)
            body = canonical(made)
            self._still_agreed(admitted)
            with self._registry.transaction() as db:
                self._log.append(db, self._entry("release", admitted, release=content_id(made)))
                self._ledger.keep_release(db, admitted.plan.query_id, admitted.request.asker, body)
            return made

    def open_round(self, signed_request: str, sender: str | None = None) -> Opening:
        """First exchange of a joint Release; starts to compute once the budget is reserved.

        Args:
            signed_request: compact JWS of a `Request` with a round.
            sender: from whom it came, as for `release`.

        Raises:
            RefusedError: policy or budget refuse; every reason is listed.
            BusyError: too many rounds are open; nothing was charged.
            TrustError: signature, freshness, nonce or round id do not hold.
        """
        with self._lock:
            self._forget_old()
            full = len(self._rounds) + self._opening >= MAX_ROUNDS
            self._opening += not full
        if full:
            busy = BusyError(f"{MAX_ROUNDS} rounds are open here already", hint="Try again in a minute.")
            self._log_refusal(None, _digest(signed_request), (busy.code,))
            raise busy
        try:
            admitted = self._admit(signed_request, sender, joint=True)
            assert isinstance(admitted, _Permitted), "stored Releases are single ones"
            request = admitted.request
            assert request.round is not None, "admitted as a joint one"
            member = MemberRound(round_of(request, admitted.plan.agreement), self._me, self._keys, self._lookup)
            values = self._pool.submit(self._share_values, admitted)
            with self._lock:
                self._rounds[request.round.round_id] = _Running(admitted, member, values, self._now() + ROUND_LIFETIME)
        finally:
            with self._lock:
                self._opening -= 1
        return member.open()

    def share(self, round_id: str, openings: Iterable[Opening]) -> MaskedShare:
        """Second exchange: the noised table under its masks; waits until it is computed.

        Raises:
            RoundError: no such round is open, or the openings do not fit.
            RefusedError: the Agreement was revoked or ended since the round was opened.
            ReplayError: masked before.
        """
        running = self._running(round_id)
        try:
            values = running.values.result()
            self._still_agreed(running.permitted)
            masked = running.member.mask(openings, values)
        except ReplayError:
            raise
        except BaseException:
            self._forget(round_id)
            raise
        with self._registry.transaction() as db:
            self._log.append(db, self._entry("release", running.permitted, release=masked.header.sha256))
        return masked

    def agree(self, round_id: str, survivors: Iterable[ShareHeader]) -> Vote:
        """After a drop-out only: sign whose Shares arrived.

        Raises:
            RoundError: no such round is open, or too few arrived.
        """
        return self._running(round_id).member.agree(survivors)

    def reveal(self, round_id: str, survivors: Iterable[ShareHeader], votes: Iterable[Vote] = ()) -> Reveal:
        """Third exchange: one share of a secret of each member, sealed to the recipient; ends the round here.

        Raises:
            RoundError: no such round is open, or too few arrived or voted.
            RefusedError: the Agreement was revoked or ended since the round was opened; the round ends here.
            ReplayError: revealed before, or for other survivors.
        """
        running = self._running(round_id)
        try:
            self._still_agreed(running.permitted)
        except RefusedError:
            self._forget(round_id)
            raise
        revealed = running.member.reveal(survivors, votes)
        self._forget(round_id)
        with self._registry.transaction() as db:
            self._log.append(db, self._entry("release", running.permitted, release=content_id(revealed)))
        return revealed

    def _admit(self, text: str, sender: str | None, *, joint: bool) -> _Permitted | Release:
        """Every check, the charge and its log entry; or the stored Release; or a logged refusal."""
        digest = _digest(text)
        request: Request | None = None
        try:
            request = open_request(text, self._lookup, self._now())
            if sender is not None and sender != request.asker:
                raise RefusedError(f"a request of '{request.asker}' that '{sender}' has sent", reasons=("requester.sender",))
            with self._registry.transaction() as db:
                self._ledger.remember_nonce(db, request.nonce, request.expires_at)
            return self._charge(request, digest, joint=joint)
        except OneteamError as err:
            self._log_refusal(request, digest, err.reasons if isinstance(err, RefusedError) else (err.code,))
            raise

    def _charge(self, request: Request, digest: str, *, joint: bool) -> _Permitted | Release:
        query, round_ = request.query, request.round
        if joint != (round_ is not None):
            raise RoundError("a joint Release is asked for with a round, a single one without")
        agreement = self._decided(request)
        permitted = _Permitted(request, digest, plan_of(query, agreement))
        if round_ is not None:
            _check_round(request, permitted.plan)
        # A helper brings no data: its part costs nobody anything.
        rho = query.rho if self._me in agreement.contributors else 0.0
        with self._registry.transaction() as db:
            # Once more, now that nothing can be written in between: a revocation may have come.
            self._decided(request)
            stored = None if joint else self._ledger.kept_release(permitted.plan.query_id, request.asker)
            if stored is not None:
                found = Release.model_validate_json(stored)
                self._log.append(db, self._entry("permit", permitted, release=content_id(found)))
                return found
            charged = self._ledger.reserve(
                db,
                agreement=query.agreement,
                dataset=agreement.dataset,
                query_id=permitted.plan.query_id,
                recipient=request.asker,
                rho=rho,
                agreement_total=agreement.rho_total,
                dataset_cap=self._limits().dataset_rho_cap,
                round_id=round_.round_id if round_ else None,
            )
            self._log.append(db, self._entry("permit", permitted, nano_rho=charged))
        return permitted

    def _decided(self, request: Request) -> Agreement:
        """The Agreement, if the policy permits."""
        kept = self._book.get(request.query.agreement)
        decision = decide(request.query, kept, Asking(request.asker, self._me, self._now(), request.round), self._limits())
        if not decision.permit or kept is None:
            raise decision.refusal()
        return kept.agreement

    def _still_agreed(self, permitted: _Permitted) -> None:
        """Refuse, and log it, when the Agreement was revoked or ended while the answer was being made: what was paid stays paid."""
        try:
            self._decided(permitted.request)
        except RefusedError as err:
            self._log_refusal(permitted.request, permitted.digest, err.reasons)
            raise

    def _entry(self, kind: Kind, permitted: _Permitted, *, release: str | None = None, nano_rho: int = 0) -> AuditEntry:
        request, plan = permitted.request, permitted.plan
        return AuditEntry(
            at=self._now(),
            kind=kind,
            request=permitted.digest,
            agreement=request.query.agreement,
            query=plan.query_id,
            dataset=plan.agreement.dataset,
            requester=request.asker,
            recipient=request.asker,
            nano_rho=nano_rho,
            round=request.round.round_id if request.round else None,
            release=release,
            context=request.context.id if request.context else None,
        )

    def _log_refusal(self, request: Request | None, digest: str, reasons: Sequence[str]) -> None:
        entry = AuditEntry(at=self._now(), kind="refuse", request=digest, reasons=tuple(reasons))
        if request is not None:
            entry = entry.model_copy(
                update={
                    "agreement": request.query.agreement,
                    "query": content_id(request.query),
                    "requester": request.asker,
                    "round": request.round.round_id if request.round else None,
                    "context": request.context.id if request.context else None,
                }
            )
        with self._registry.transaction() as db:
            self._log.append(db, entry)

    def _bounded(self, plan: Plan) -> list[Ints]:
        """This member's tables, without noise or, for a plain table, without the cells of few; never to leave as they are."""
        try:
            if self._me not in plan.agreement.contributors:
                rows = no_contributions(plan.domain)
            else:
                rows = self._source(plan.query, plan.agreement)
            compute = thresholded if plan.measure.plain_threshold else true_levels
            return compute(plan, rows, sampling_secret(self._secret, plan.query_id))
        except Exception as err:
            # Whatever went wrong may tell of the rows: the asker learns that it went wrong, the owner's log learns why.
            raise EngineError("the answer could not be computed at this member", detail=f"{type(err).__name__}: {err}") from err

    def _share_values(self, permitted: _Permitted) -> Ints:
        """This member's table with its share of the noise: computed while the openings travel."""
        plan, round_ = permitted.plan, permitted.request.round
        assert round_ is not None, "admitted as a joint one"
        sigmas = [share_sigma(budget.sigma, round_.threshold, round_.colluding) for budget in plan.budgets]
        return joined(noised_levels(self._bounded(plan), sigmas))

    def _make(self, permitted: _Permitted) -> Release:
        """A single member's Release."""
        plan, measure = permitted.plan, permitted.plan.measure
        plain = measure.plain_threshold
        sigmas = [0.0 if plain else budget.sigma for budget in plan.budgets]
        tables = self._bounded(plan)
        if not plain:
            tables = noised_levels(tables, sigmas)
        rho = 0.0 if plain else plan.query.rho
        made = Release(
            query=plan.query,
            recipient=permitted.request.asker,
            kind="threshold" if plain else "dp",
            round=None,
            contributors=(self._me,),
            levels=released_levels(plan, tables, sigmas),
            max_keys=measure.max_keys,
            max_value=measure.max_value,
            smallest_count=measure.smallest_count,
            rho=rho,
            delta=plan.agreement.delta,
            epsilon=epsilon_of(rho, plan.agreement.delta),
            made_at=self._now(),
            versions=versions(noise_versions()),
            caution=CAUTION_THRESHOLD if plain else CAUTION_DP,
            context=permitted.request.context,
        )
        return signed_release(made, self._me, self._keys)

    def _running(self, round_id: str) -> _Running:
        with self._lock:
            self._forget_old()
            running = self._rounds.get(round_id)
        if running is None:
            raise RoundError("no such round is open here", hint="It ended, ran out of time, or this node was restarted; ask anew.")
        return running

    def _forget(self, round_id: str) -> None:
        with self._lock:
            self._rounds.pop(round_id, None)

    def _forget_old(self) -> None:
        now = self._now()
        for round_id in [name for name, running in self._rounds.items() if running.until <= now]:
            del self._rounds[round_id]


def _check_round(request: Request, plan: Plan) -> None:
    """Refuse, before anything is charged, a round that does not protect, or Shares whose noise would be too small to add up."""
    round_ = round_of(request, plan.agreement)
    for budget in plan.budgets:
        share_sigma(budget.sigma, round_.threshold, round_.colluding)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
