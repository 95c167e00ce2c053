"""An Agreement for people: what it allows, and what it costs a person over a year; in English or Korean.

The page is made once as sections and rows (`read`), then set as text for a terminal, as Markdown or as one HTML file
(`oneteam.alliance.setting`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from types import MappingProxyType
from typing import Final, Literal

from oneteam.core.errors import UnknownValueError
from oneteam.core.model import AgreedMeasure, Agreement, Member, Text
from oneteam.privacy.accounting import epsilon_of, group_rho, share_rho
from oneteam.privacy.agreements import Revocation, agreement_id, level_sizes, threshold_of
from oneteam.privacy.levels import FINEST, SUMMED, Level, domain_of, parse_level
from oneteam.privacy.purposes import purpose_label

Language = Literal["en", "ko"]
_ANY_DAY: Final = date(2024, 1, 1)
SIMS: Final = (1, 2, 3)
"""Subscriptions of one person for which the cost is shown."""


@dataclass(frozen=True)
class Section:
    """A heading, sentences, and perhaps a table.

    Args:
        heading: one line.
        sentences: paragraphs, before the table.
        rows: of the table, the first is its head; none when empty.
        notes: paragraphs after the table.
    """

    heading: str
    sentences: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Page:
    """A page in one language.

    Args:
        language: ``en`` or ``ko``.
        title: the Agreement's.
        subtitle: what this is.
        sections: in reading order.
    """

    language: Language
    title: str
    subtitle: str
    sections: tuple[Section, ...]


@dataclass(frozen=True)
class PersonCost:
    """What releases cost a person.

    Args:
        sims: how many subscriptions the person has (m).
        rho: m squared times the releases' cost.
        epsilon: the same at the Agreement's delta.
        recognised: how often at most an observer who knows all else tells rightly whether the person is in the data; 0.5 is guessing.
    """

    sims: int
    rho: float
    epsilon: float
    recognised: float


def person_costs(rho: float, delta: float, sims: Sequence[int] = SIMS) -> tuple[PersonCost, ...]:
    """The cost of releases to a person with m subscriptions: m squared times rho (Bun and Steinke 2016, proposition 1.9).

    ``recognised`` is the area under the curve of the likelihood-ratio test between two Gaussians sqrt(2 rho) apart: Phi(sqrt(rho)).

    >>> [(c.sims, round(c.rho, 2), round(c.recognised, 3)) for c in person_costs(0.02, 1e-7)]
    [(1, 0.02, 0.556), (2, 0.08, 0.611), (3, 0.18, 0.664)]
    """
    found = []
    for m in sims:
        cost = group_rho(rho, m)
        found.append(PersonCost(m, cost, epsilon_of(cost, delta), 0.5 * (1.0 + math.erf(math.sqrt(cost / 2.0)))))
    return tuple(found)


def read(
    agreement: Agreement,
    language: Language = "en",
    *,
    members: Mapping[str, Member] | None = None,
    signed_by: Sequence[str] = (),
    revoked: Revocation | None = None,
    actions: Mapping[str, Text] = MappingProxyType({}),
    titles: Mapping[str, Text] = MappingProxyType({}),
) -> Page:
    """The page of an Agreement in one language.

    Args:
        agreement: what it is about.
        language: ``en`` or ``ko``.
        members: of the roster, for their names.
        signed_by: who has signed.
        revoked: a party's revocation, if any.
        actions: what recipients may ask contributors to do where a measure is agreed, by measure.
        titles: one line on each measure, by name.
    """
    words = _Words(language)
    sections = (
        _state(agreement, words, signed_by, revoked),
        _parties(agreement, words, members or {}, signed_by),
        _purpose(agreement, words),
        *(_measure(agreement, measure, words, actions.get(measure.name), titles.get(measure.name)) for measure in agreement.measures),
        _protection(agreement, words),
        _cost(agreement, words),
        _limits(agreement, words),
    )
    subtitle = words("What this agreement allows, and what it costs a person", "이 합의가 허용하는 것, 그리고 한 사람이 치르는 비용")
    return Page(language, words.of(agreement.title), subtitle, sections)


class _Words:
    """Picks the language."""

    def __init__(self, language: Language) -> None:
        self.korean = language == "ko"

    def __call__(self, english: str, korean: str) -> str:
        return korean if self.korean else english

    def of(self, text: Text) -> str:
        return (text.ko or text.en) if self.korean else text.en


def _state(agreement: Agreement, words: _Words, signed_by: Sequence[str], revoked: Revocation | None) -> Section:
    signed = sum(party in signed_by for party in agreement.parties)
    of = len(agreement.parties)
    lines = [words(f"Signed by {signed} of {of} parties.", f"당사자 {of}곳 중 {signed}곳이 서명했습니다.")]
    if signed < of:
        lines.append(words("It binds nobody until every party has signed.", "모든 당사자가 서명하기 전에는 효력이 없습니다."))
    if revoked:
        why = f" ({revoked.reason})" if revoked.reason else ""
        on = f"{revoked.at:%Y-%m-%d %H:%M %Z}"
        lines.append(words(f"REVOKED by {revoked.member} on {on}{why}.", f"철회됨: {revoked.member}, {on}{why}."))
    identity = agreement_id(agreement)
    rows = ((words("identifier (SHA-256)", "식별자 (SHA-256)"), identity), (words("roster", "회원 명부"), agreement.roster))
    return Section(words("State", "상태"), tuple(lines), ((words("what", "항목"), words("value", "값")), *rows))


def _parties(agreement: Agreement, words: _Words, members: Mapping[str, Member], signed_by: Sequence[str]) -> Section:
    head = (words("role", "역할"), words("member", "회원"), words("name", "이름"), words("signed", "서명"))
    roles = (
        (words("brings data", "데이터 제공"), agreement.contributors),
        (words("helps, brings no data", "조력 (데이터 없음)"), agreement.helpers),
        (words("receives", "결과 수령"), agreement.recipients),
    )
    rows = tuple(
        (
            role,
            party,
            words.of(members[party].name) if party in members else "",
            words("yes", "예") if party in signed_by else words("no", "아니요"),
        )
        for role, ids in roles
        for party in ids
    )
    notes: tuple[str, ...] = ()
    if agreement.contributors_may_receive:
        warning = words(
            "Contributors may receive: each can subtract its own table from a sum and read what the others have together.",
            "데이터 제공자도 결과를 받을 수 있습니다. 합계에서 자기 표를 빼면 나머지 제공자들의 합을 알 수 있습니다.",
        )
        notes = (warning,)
    return Section(words("Who", "당사자"), (), (head, *rows), notes)


def _purpose(agreement: Agreement, words: _Words) -> Section:
    try:
        label = words.of(purpose_label(agreement.purpose))
    except UnknownValueError:
        label = agreement.purpose
    start, end = f"{agreement.not_before:%Y-%m-%d %H:%M %Z}", f"{agreement.until:%Y-%m-%d %H:%M %Z}"
    lines = (
        words(f"For one purpose only: {label} ({agreement.purpose}).", f"오직 한 가지 목적: {label} ({agreement.purpose})."),
        words(f"In force from {start} until {end}.", f"유효 기간: {start}부터 {end}까지."),
        words(
            f"About the dataset '{agreement.dataset}'. Rows never leave their owner; only tables of counts with noise do.",
            f"데이터 집합 '{agreement.dataset}'에 관한 합의입니다. 원본 자료는 소유자를 떠나지 않으며, 잡음을 더한 집계표만 나갑니다.",
        ),
    )
    return Section(words("What for", "목적과 기간"), lines)


def _measure(agreement: Agreement, measure: AgreedMeasure, words: _Words, action: Text | None = None, title: Text | None = None) -> Section:
    head = (words("table", "표"), words("cells", "칸 수"), words("noise, ± one SD", "잡음 (± 표준편차)"))
    lines = [f"{words.of(title)}."] if title else []
    lines += [
        words(
            f"Of each {_unit(agreement, words)} at most {_plural(measure.max_keys, 'cell')} count, each by at most {measure.max_value:,}.",
            f"{_unit(agreement, words)}마다 최대 {measure.max_keys:,}개 칸에, 칸마다 최대 {measure.max_value:,}까지만 반영합니다.",
        ),
        words(
            f"One query covers at most {_plural(measure.max_days, 'day')} and costs at most rho = {measure.rho_per_release:g}.",
            f"질의 하나는 최대 {measure.max_days}일을 다루고 비용은 최대 rho = {measure.rho_per_release:g}입니다.",
        ),
    ]
    if measure.smallest_count:
        lines.append(
            words(
                f"Noised counts below {measure.smallest_count:,} are not shown.",
                f"잡음을 더한 값이 {measure.smallest_count:,} 미만이면 보이지 않습니다.",
            )
        )
    if not measure.plain_threshold:
        lines.append(
            words(
                "The noise below is that of a query for all of these tables at full cost; fewer tables have less.",
                "아래 잡음은 모든 표를 최대 비용으로 함께 요청할 때의 크기이며, 표가 적으면 잡음도 작습니다.",
            )
        )
    for name, codes in measure.filters.items():
        some = ", ".join(codes[:8]) + (" …" if len(codes) > 8 else "")
        lines.append(words(f"May be restricted by {name}: {some}", f"{name}(으)로 제한 가능: {some}"))
    if action is not None:
        lines.append(
            words(
                f"A recipient may also ask each contributor to do this: {action.en}. Each decides by a switch of its own, which is off at "
                "first, and answers only that it will or why not.",
                f"수령자는 각 제공자에게 다음을 요청할 수 있습니다: {action.ko}. 제공자가 직접 켜야만 동작하며, "
                "수행 여부와 거절 사유만 답합니다.",
            )
        )
    notes: tuple[str, ...] = ()
    if measure.plain_threshold:
        notes = (
            words(
                "CAUTION: these tables carry no noise. Hiding small counts protects against little; no cost can be stated for them.",
                "주의: 이 표에는 잡음이 없습니다. 작은 값을 숨기는 것만으로는 보호가 약하며, 비용을 말할 수 없습니다.",
            ),
        )
    return Section(
        words(f"What may be learned: {measure.name}", f"알 수 있는 것: {measure.name}"),
        tuple(lines),
        (head, *_tables(agreement, measure, words)),
        notes,
    )


def _tables(agreement: Agreement, measure: AgreedMeasure, words: _Words) -> list[tuple[str, ...]]:
    """Each table with its cells and, when all are asked for together at full cost, its noise."""
    levels = [parse_level(text) for text in measure.levels]
    noises = ["–"] * len(levels) if measure.plain_threshold else _noises(agreement, measure, levels)
    cells = [math.prod(size or 1 for size in level_sizes(agreement, measure, level, measure.max_days)) for level in levels]
    return [(_described(level, words), f"{count:,}", noise) for level, count, noise in zip(levels, cells, noises, strict=True)]


def _noises(agreement: Agreement, measure: AgreedMeasure, levels: Sequence[Level]) -> list[str]:
    try:
        # Only the number of days matters.
        domain = domain_of(agreement, measure, measure.dimensions, _ANY_DAY, _ANY_DAY + timedelta(days=measure.max_days - 1))
    except UnknownValueError:
        # Too many cells to be asked for in one piece; what fewer days or dimensions cost in noise depends on the query.
        return ["–"] * len(levels)
    n, s, t = len(agreement.participants), threshold_of(agreement), agreement.colluding
    # Each of n shares carries a variance of sigma^2 / (s - t), more than a curator would add, so that any s - t honest ones suffice.
    joint = math.sqrt(n / (s - t)) if n > 1 and s > t else 1.0
    budgets = share_rho(domain, levels, measure.max_keys, measure.max_value, measure.rho_per_release)
    return [f"± {budget.sigma * joint:,.0f}" for budget in budgets]


def _described(level: Level, words: _Words) -> str:
    kept = [
        name if grain == FINEST else words(f"{name} by {grain}", f"{name} ({grain} 단위)")
        for name, grain in level.grains
        if grain != SUMMED
    ]
    summed = [name for name, grain in level.grains if grain == SUMMED]
    text = " × ".join(kept) or words("one total", "총합 하나")
    return text + (words(f", all {' and '.join(summed)}s together", f", 모든 {'·'.join(summed)} 합산") if summed and kept else "")


def _protection(agreement: Agreement, words: _Words) -> Section:
    n, s, t = len(agreement.participants), threshold_of(agreement), agreement.colluding
    lines = []
    if n > 1:
        lines += [
            words(
                f"Joint tables are added under masks: nobody, the relay and the recipient included, sees one member's table, "
                f"as long as no more than {t} of the {n} participants collude.",
                f"공동 집계는 가려진 채 더해집니다. 참가자 {n}곳 중 {t}곳을 넘게 공모하지 않는 한, "
                "중계자와 수령자를 포함한 누구도 한 회원의 표를 볼 수 없습니다.",
            ),
            words(
                f"At least {s} of {n} must help to unmask a sum, and it must rest on at least "
                f"{_plural(agreement.min_contributors, 'contributor')}.",
                f"합계를 풀려면 {n}곳 중 {s}곳 이상이 도와야 하고, 제공자 {agreement.min_contributors}곳 이상의 자료여야 합니다.",
            ),
        ]
    single = (
        ("One contributor's own table, with noise, may be asked for too.", "한 제공자만의 표(잡음 포함)도 요청할 수 있습니다.")
        if agreement.single
        else ("One contributor's own table may not be asked for.", "한 제공자만의 표는 요청할 수 없습니다.")
    )
    lines.append(words(*single))
    lines.append(
        words(
            "Every party can revoke the agreement at once and for good. What was released before stays released.",
            "어느 당사자든 즉시, 영구히 철회할 수 있습니다. 이미 나간 결과는 되돌릴 수 없습니다.",
        )
    )
    return Section(words("What protects", "보호 장치"), tuple(lines))


def _cost(agreement: Agreement, words: _Words) -> Section:
    noised = [measure for measure in agreement.measures if not measure.plain_threshold]
    heading = words("What it costs a person over a year", "한 사람이 1년 동안 치르는 비용")
    if not noised:
        return Section(heading, (words("No bound can be stated: the tables carry no noise.", "잡음이 없으므로 한계를 말할 수 없습니다."),))
    dearest = max(measure.rho_per_release for measure in noised)
    releases = math.floor(agreement.rho_total / dearest + 1e-9)
    head = (
        words("SIM cards of the person", "그 사람의 SIM 수"),
        words("one release: rho", "결과 하나: rho"),
        "epsilon",
        words("a year: rho", "1년: rho"),
        "epsilon",
        words("told apart", "식별 확률"),
    )
    rows = tuple(
        (f"{one.sims}", f"{one.rho:.4g}", f"{one.epsilon:.2f}", f"{year.rho:.4g}", f"{year.epsilon:.2f}", f"{100 * year.recognised:.1f} %")
        for one, year in zip(person_costs(dearest, agreement.delta), person_costs(agreement.rho_total, agreement.delta), strict=True)
    )
    lines = (
        words(
            f"All releases together may cost rho = {agreement.rho_total:g}: {_plural(releases, 'release')} at full cost. "
            "All of it may fall within one year, so the year's cost is the whole.",
            f"모든 결과의 비용 합은 rho = {agreement.rho_total:g} 이하입니다(최대 비용으로 {releases:,}회). "
            "한 해에 모두 쓰일 수 있으므로 1년 비용은 전체 비용입니다.",
        ),
        words(
            f"Costs are per {_unit(agreement, words)}; those of a person with m SIM cards are m × m times as high.",
            f"비용은 {_unit(agreement, words)} 기준이며, SIM이 m개인 사람의 비용은 m × m 배입니다.",
        ),
    )
    notes = (
        words(
            f"epsilon holds at delta = {agreement.delta:g}. 'Told apart': how often at most somebody who knows everything else and "
            "sees every release says rightly which of two worlds is the real one, the one with this person or the one without; "
            "50 % is guessing.",
            f"epsilon은 delta = {agreement.delta:g} 기준입니다. '식별 확률': 다른 모든 것을 알고 모든 결과를 본 사람이, "
            "이 사람이 자료에 있는지 없는지를 바르게 맞힐 최대 확률입니다. 50 %는 찍는 것과 같습니다.",
        ),
    )
    return Section(heading, lines, (head, *rows), notes)


def _limits(agreement: Agreement, words: _Words) -> Section:
    lines = [
        words(
            "What holds for a whole district or group becomes known; that is the purpose. The noise hides persons, not crowds.",
            "지역이나 집단 전체의 사실은 알려집니다. 그것이 목적입니다. 잡음은 개인을 가리고 군중은 가리지 않습니다.",
        ),
        words(
            "Families and other groups of m people are protected as a person with m SIM cards is.",
            "가족 등 m명의 집단은 SIM이 m개인 사람과 같은 정도로 보호됩니다.",
        ),
    ]
    if len(agreement.contributors) > 1 and agreement.min_contributors < len(agreement.contributors) and not agreement.single:
        lines.append(
            words(
                "Sums may leave contributors out, so sums with and without one can be subtracted: that shows its table with noise.",
                "일부 제공자를 뺀 합계도 가능하므로, 두 합계를 빼면 한 제공자의 표를 잡음이 섞인 채 볼 수 있습니다.",
            )
        )
    if len(agreement.participants) > 1:
        lines.append(
            words(
                "If more participants collude than agreed, they see the others' tables with less noise, or none.",
                "합의보다 많은 참가자가 공모하면 다른 회원의 표를 더 적은 잡음으로, 또는 잡음 없이 볼 수 있습니다.",
            )
        )
    return Section(words("What is not protected", "보호되지 않는 것"), tuple(lines))


def _unit(agreement: Agreement, words: _Words) -> str:
    names = {
        "subscription-day": ("SIM card and day", "SIM 1개의 하루"),
        "subscription-week": ("SIM card and week", "SIM 1개의 한 주"),
        "subscription-month": ("SIM card and month", "SIM 1개의 한 달"),
        "subscription": ("SIM card", "SIM 1개"),
    }
    return words(*names[agreement.privacy_unit])


def _plural(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
