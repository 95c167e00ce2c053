"""The policy: whether a member answers a query. Default deny, every reason at once, no reason depends on data.

The rules are numbered in docs/agreements.md, exactly enough to be written again from that page; `RULES` has their codes in that order.
What the policy needs, it is handed: no clock, no file, no database. Budgets, nonces and round ids are the ledger's.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Final, Literal

from pydantic import AwareDatetime

from oneteam.core.errors import OneteamError, RefusedError
from oneteam.core.model import MAX_CELLS, AgreedMeasure, Agreement, Document, Name, Query, Rho, Slug
from oneteam.privacy.agreements import Revocation, level_sizes, threshold_of
from oneteam.privacy.levels import SUMMED, Level, parse_level
from oneteam.privacy.requests import RoundPlan

FIRST_MONDAY: Final = date(1970, 1, 5)
"""Windows of plain tables are counted from it."""

RULES: Final = {
    "agreement.unknown": ("No such agreement is kept here.", "해당 합의서가 여기에 없습니다."),
    "agreement.unsigned": ("A party's signature is missing or no longer holds.", "당사자의 서명이 없거나 더 이상 유효하지 않습니다."),
    "agreement.revoked": ("A party has revoked the agreement.", "당사자가 합의를 철회했습니다."),
    "period.early": ("The agreement is not in force yet.", "합의가 아직 발효되지 않았습니다."),
    "period.over": ("The agreement has ended.", "합의 기간이 끝났습니다."),
    "purpose": ("The purpose is not the agreement's.", "목적이 합의된 목적과 다릅니다."),
    "requester.stranger": ("Who asks is not a recipient.", "요청자가 수령자가 아닙니다."),
    "requester.contributor": ("Contributors may not receive.", "데이터 제공자는 결과를 받을 수 없습니다."),
    "requester.helper": ("Helpers may not receive.", "조력자는 결과를 받을 수 없습니다."),
    "party": ("This member neither contributes nor helps.", "이 회원은 제공자도 조력자도 아닙니다."),
    "owners.repeated": ("An owner is named twice.", "같은 소유자가 두 번 적혀 있습니다."),
    "owners.stranger": ("An owner is not a contributor.", "소유자가 데이터 제공자가 아닙니다."),
    "single.many": ("Without a round, exactly one owner may be asked.", "라운드 없이는 소유자 한 곳에만 물을 수 있습니다."),
    "single.forbidden": ("One contributor's own release is not agreed.", "한 제공자만의 결과는 합의되지 않았습니다."),
    "single.other": ("The owner is another member.", "소유자가 다른 회원입니다."),
    "contributors.few": ("Fewer contributors than agreed.", "제공자가 합의된 수보다 적습니다."),
    "round.absent": ("This member is not in the round.", "이 회원이 라운드에 없습니다."),
    "round.participants": (
        "The round's participants must be the owners and agreed helpers, each once.",
        "라운드 참가자는 소유자와 합의된 조력자여야 하며 한 번씩만 있어야 합니다.",
    ),
    "round.threshold": (
        "The round's threshold is not the agreed one, or is unsafe.",
        "라운드의 임계값이 합의와 다르거나 안전하지 않습니다.",
    ),
    "round.colluding": ("The round tolerates another number of colluders than agreed.", "라운드의 공모 허용 수가 합의와 다릅니다."),
    "measure": ("The measure is not agreed.", "합의되지 않은 지표입니다."),
    "dimensions": ("The dimensions are not the agreed ones in their order.", "차원이 합의된 차원과 순서에 맞지 않습니다."),
    "levels.repeated": ("A level is named twice.", "같은 수준이 두 번 적혀 있습니다."),
    "levels": ("A level is not agreed.", "합의되지 않은 수준입니다."),
    "filters": ("A filter is not agreed.", "합의되지 않은 필터입니다."),
    "filters.codes": ("A filter's codes are not agreed, or repeat.", "필터 값이 합의에 없거나 중복됩니다."),
    "days.order": ("The period ends before it begins.", "기간의 끝이 시작보다 앞섭니다."),
    "days.many": ("The period is longer than agreed.", "기간이 합의보다 깁니다."),
    "cells": ("The release would have too many cells.", "결과의 칸 수가 너무 많습니다."),
    "rho": ("It would cost more than one release may.", "한 번의 결과에 허용된 비용을 넘습니다."),
    "plain": (
        "A plain table is for one member, one level, all dimensions, no filters, and whole windows of days.",
        "잡음 없는 표는 한 회원, 한 수준, 모든 차원, 필터 없음, 정해진 날짜 구간에만 허용됩니다.",
    ),
    "local.paused": ("This member answers nothing at present.", "이 회원은 현재 응답하지 않습니다."),
    "local.until": ("This member's own period has ended.", "이 회원이 정한 기간이 끝났습니다."),
    "local.recipient": ("This member does not answer this recipient.", "이 회원은 이 수령자에게 응답하지 않습니다."),
    "local.measure": ("This member does not offer this measure.", "이 회원은 이 지표를 제공하지 않습니다."),
    "local.level": ("This member does not offer this level.", "이 회원은 이 수준을 제공하지 않습니다."),
    "local.rho": ("It would cost more than this member allows one release.", "이 회원이 한 번의 결과에 허용한 비용을 넘습니다."),
}
"""Every reason, in the order in which a decision lists them: code, English, Korean."""


State = Literal["revoked", "unsigned", "not yet in force", "in force", "ended"]


class LocalLimits(Document):
    """What the owner holds back beyond the Agreement; it can only tighten. None sets no limit.

    Args:
        paused: refuse everything.
        dataset_rho_cap: most that all releases under all Agreements together may cost; the ledger enforces it.
        max_rho_per_release: most that one release may cost.
        measures: the only measures answered.
        recipients: the only recipients answered.
        levels: the only levels answered, as queries write them.
        until: refuse from then on.
    """

    paused: bool = False
    dataset_rho_cap: Rho | None = None
    max_rho_per_release: Rho | None = None
    measures: tuple[Name, ...] | None = None
    recipients: tuple[Slug, ...] | None = None
    levels: tuple[str, ...] | None = None
    until: AwareDatetime | None = None


@dataclass(frozen=True)
class Kept:
    """An Agreement as a member keeps it.

    Args:
        agreement: the Agreement.
        id: its id.
        signed_by: whose signatures hold under the present roster.
        revoked: the first party's revocation, if any.
    """

    agreement: Agreement
    id: str
    signed_by: tuple[str, ...]
    revoked: Revocation | None = None

    @property
    def missing(self) -> tuple[str, ...]:
        """Parties whose signature is missing or no longer holds."""
        return tuple(party for party in self.agreement.parties if party not in self.signed_by)

    def state(self, now: datetime) -> State:
        """How it stands at a moment, for people and catalogues."""
        if self.revoked is not None:
            return "revoked"
        if self.missing:
            return "unsigned"
        if now < self.agreement.not_before:
            return "not yet in force"
        return "in force" if now < self.agreement.until else "ended"


@dataclass(frozen=True)
class Asking:
    """The circumstances of a query.

    Args:
        requester: who signed the request.
        me: the member that decides.
        now: its clock.
        round: the planned secure sum; None asks for one owner's own Release.
    """

    requester: str
    me: str
    now: datetime
    round: RoundPlan | None = None


@dataclass(frozen=True)
class Reason:
    """Why not: one rule that is broken."""

    code: str
    text_en: str
    text_ko: str


@dataclass(frozen=True)
class Decision:
    """Permit, or every reason against it."""

    permit: bool
    reasons: tuple[Reason, ...] = field(default=())

    @property
    def codes(self) -> tuple[str, ...]:
        """The reasons' codes, in the order of `RULES`."""
        return tuple(reason.code for reason in self.reasons)

    def refusal(self) -> RefusedError:
        """The error that carries all reasons."""
        text = " ".join(reason.text_en for reason in self.reasons)
        return RefusedError(f"refused ({', '.join(self.codes)}): {text}", reasons=self.codes)


def decide(query: Query, kept: Kept | None, asking: Asking, limits: LocalLimits | None = None) -> Decision:
    """Whether this member answers the query; every reason if not.

    Args:
        query: what is asked.
        kept: the Agreement that the query names, as kept here; None if it is not.
        asking: who asks, who decides, when, with which round.
        limits: the owner's own.

    Returns:
        The decision; its reasons stand in the order of `RULES`, each once.
    """
    broken: set[str] = set()
    if kept is None or kept.id != query.agreement:
        broken.add("agreement.unknown")
    else:
        for rules in _RULES_OF_AGREEMENT:
            broken.update(rules(query, kept, asking))
    broken.update(_local(query, asking, limits or LocalLimits()))
    if not broken:
        return Decision(permit=True)
    return Decision(permit=False, reasons=tuple(Reason(code, *texts) for code, texts in RULES.items() if code in broken))


def _validity(query: Query, kept: Kept, asking: Asking) -> Iterator[str]:
    agreement = kept.agreement
    if not set(agreement.parties) <= set(kept.signed_by):
        yield "agreement.unsigned"
    if kept.revoked is not None:
        yield "agreement.revoked"
    if asking.now < agreement.not_before:
        yield "period.early"
    if asking.now >= agreement.until:
        yield "period.over"
    if query.purpose != agreement.purpose:
        yield "purpose"


def _people(query: Query, kept: Kept, asking: Asking) -> Iterator[str]:
    agreement = kept.agreement
    if asking.requester not in agreement.recipients:
        yield "requester.stranger"
    if asking.requester in agreement.contributors and not agreement.contributors_may_receive:
        yield "requester.contributor"
    if asking.requester in agreement.helpers:
        yield "requester.helper"
    if asking.me not in agreement.participants:
        yield "party"
    if len(set(query.owners)) != len(query.owners):
        yield "owners.repeated"
    if not set(query.owners) <= set(agreement.contributors):
        yield "owners.stranger"


def _single(query: Query, kept: Kept, asking: Asking) -> Iterator[str]:
    if asking.round is not None:
        return
    if len(query.owners) != 1:
        yield "single.many"
    if not kept.agreement.single:
        yield "single.forbidden"
    if asking.me not in query.owners:
        yield "single.other"


def _round(query: Query, kept: Kept, asking: Asking) -> Iterator[str]:
    plan, agreement = asking.round, kept.agreement
    if plan is None:
        return
    n, s, t = len(plan.participants), plan.threshold, plan.colluding
    present, owners = set(plan.participants), set(query.owners)
    if len(owners) < agreement.min_contributors:
        yield "contributors.few"
    if asking.me not in present:
        yield "round.absent"
    if len(present) != n or not owners <= present or not present - owners <= set(agreement.helpers):
        yield "round.participants"
    if s != threshold_of(agreement) or s > n or 2 * s <= n + t:
        yield "round.threshold"
    if t != agreement.colluding:
        yield "round.colluding"


def _content(query: Query, kept: Kept, asking: Asking) -> Iterator[str]:
    agreement = kept.agreement
    days = (query.last_day - query.first_day).days + 1
    if days < 1:
        yield "days.order"
    measure = next((m for m in agreement.measures if m.name == query.measure), None)
    if measure is None:
        yield "measure"
        return
    yield from _table(query, agreement, measure, days)
    if any(name not in measure.filters for name in query.filters):
        yield "filters"
    for name, codes in query.filters.items():
        if name in measure.filters and (not codes or len(set(codes)) != len(codes) or not set(codes) <= set(measure.filters[name])):
            yield "filters.codes"
    if days > measure.max_days:
        yield "days.many"
    if query.rho > measure.rho_per_release or query.rho > agreement.rho_total:
        yield "rho"
    if measure.plain_threshold and not _may_be_plain(query, measure, asking, days):
        yield "plain"


def _table(query: Query, agreement: Agreement, measure: AgreedMeasure, days: int) -> Iterator[str]:
    """Rules on dimensions, levels and cells; those after a broken one on dimensions cannot be asked."""
    if len(set(query.levels)) != len(query.levels):
        yield "levels.repeated"
    kept = tuple(name for name in measure.dimensions if name in query.dimensions)
    if not kept or query.dimensions != kept or len(set(kept)) != len(kept):
        yield "dimensions"
        return
    levels = [_agreed_level(query, measure, text) for text in query.levels]
    if None in levels:
        yield "levels"
    elif days >= 1 and _cells(query, agreement, measure, [level for level in levels if level], days) > MAX_CELLS:
        yield "cells"


def _agreed_level(query: Query, measure: AgreedMeasure, text: str) -> Level | None:
    """A query's level if, with the dimensions that it does not keep summed over, it is agreed; else None."""
    try:
        level = parse_level(text)
    except OneteamError:
        return None
    if level.dimensions != query.dimensions:
        return None
    grains = dict(level.grains)
    extended = ",".join(f"{name}={grains.get(name, SUMMED)}" for name in measure.dimensions)
    return level if extended in measure.levels else None


def _cells(query: Query, agreement: Agreement, measure: AgreedMeasure, levels: list[Level], days: int) -> float:
    """Cells of the finest table that is summed, or of all levels together, whichever is more; infinite for a domain that is not agreed."""
    finest = Level(tuple((name, "code") for name in query.dimensions))
    totals = [_product(level_sizes(agreement, measure, level, days)) for level in [finest, *levels]]
    return max(totals[0], sum(totals[1:]))


def _product(sizes: list[int | None]) -> float:
    return math.prod(size if size is not None else math.inf for size in sizes)


def _may_be_plain(query: Query, measure: AgreedMeasure, asking: Asking, days: int) -> bool:
    """Plain tables may not overlap: tables that do can be subtracted, which shows what was hidden."""
    return (
        asking.round is None
        and len(query.levels) == 1
        and query.dimensions == measure.dimensions
        and not query.filters
        and days == measure.max_days
        and (query.first_day - FIRST_MONDAY).days % measure.max_days == 0
    )


def _local(query: Query, asking: Asking, limits: LocalLimits) -> Iterator[str]:
    if limits.paused:
        yield "local.paused"
    if limits.until is not None and asking.now >= limits.until:
        yield "local.until"
    if limits.recipients is not None and asking.requester not in limits.recipients:
        yield "local.recipient"
    if limits.measures is not None and query.measure not in limits.measures:
        yield "local.measure"
    if limits.levels is not None and not set(query.levels) <= set(limits.levels):
        yield "local.level"
    if limits.max_rho_per_release is not None and query.rho > limits.max_rho_per_release:
        yield "local.rho"


_RULES_OF_AGREEMENT: Final[tuple[Callable[[Query, Kept, Asking], Iterator[str]], ...]] = (_validity, _people, _single, _round, _content)
