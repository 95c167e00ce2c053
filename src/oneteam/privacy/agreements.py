"""Agreements: read from what an officer writes, checked as a whole, identified.

An officer writes TOML; members sign its canonical JSON (`oneteam.privacy.signing`); the id is the SHA-256 of that.
"""

from __future__ import annotations

import math
import tomllib
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final, Literal

from pydantic import AwareDatetime, Field, ValidationError

from oneteam.core.canonical import content_id
from oneteam.core.errors import (
    BadSignatureError,
    EncodingError,
    FileUnreadableError,
    OneteamError,
    UnknownValueError,
    WrongTypeError,
)
from oneteam.core.keys import Keys
from oneteam.core.model import MAX_CELLS, AgreedMeasure, Agreement, Document, Line, Member, Sha256, Slug
from oneteam.privacy.levels import FINEST, SUMMED, Level, parse_level
from oneteam.privacy.purposes import purpose_label
from oneteam.privacy.signing import Lookup, complaints, read_document, sign_compact, verify_compact

BUILT_IN: Final = ("day", "hour")
"""Dimensions whose domains are known by themselves."""
_FIRST_YEAR, _LAST_YEAR = 2000, 2199
MAX_TOML_BYTES: Final = 64 * 1024 * 1024


class Revocation(Document):
    """One party ends an Agreement, at once and for good. Signed by that party alone.

    Args:
        agreement: which.
        member: who revokes; a party of it.
        reason: one line, for the other parties.
        at: when.
    """

    format: Literal["oneteam-revocation/1"] = "oneteam-revocation/1"
    agreement: Sha256
    member: Slug
    reason: Line = Field(default="", max_length=500)
    at: AwareDatetime


def smallest_threshold(participants: int, colluding: int) -> int:
    """The smallest s with s > (n + t) / 2.

    >>> smallest_threshold(3, 1), smallest_threshold(4, 1), smallest_threshold(10, 2)
    (3, 3, 7)
    """
    return (participants + colluding) // 2 + 1


def threshold_of(agreement: Agreement) -> int:
    """How many must help to unmask (s): the agreed number, or the smallest safe one where none is agreed."""
    return agreement.threshold or smallest_threshold(len(agreement.participants), agreement.colluding)


def agreement_id(agreement: Agreement) -> str:
    """SHA-256 of the canonical form: what a Query and the ledger call it by."""
    return content_id(agreement)


def read_agreement(path: Path) -> Agreement:
    """An Agreement from a TOML file.

    Raises:
        FileUnreadableError, EncodingError: no such file, not UTF-8, or not TOML.
        WrongTypeError: an unknown key, a missing key or a value that cannot be; each bad key is named by its path.
    """
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_TOML_BYTES + 1)
    except OSError as err:
        raise FileUnreadableError(f"{path}: cannot be read: {err.strerror}") from err
    except ValueError as err:
        raise FileUnreadableError(f"{str(path)[:80]!r}: not a file name: {err}") from err
    return parse_agreement(raw, str(path))


def parse_agreement(raw: bytes | str, where: str = "the agreement") -> Agreement:
    """An Agreement from TOML text; a threshold of 0 or none becomes the smallest safe one.

    Args:
        raw: the text.
        where: its name, for messages.

    Raises:
        As `read_agreement`.
    """
    document = read_toml(raw, where)
    try:
        agreement = Agreement.model_validate(_spelled(document))
    except ValidationError as err:
        raise WrongTypeError(
            f"{where}: {complaints(err)}", hint="`oneteam agreement new` writes a template with every key explained."
        ) from err
    filled = agreement.model_copy(update={"threshold": threshold_of(agreement)})
    try:
        agreement_id(filled)
    except (WrongTypeError, ValueError) as err:
        raise WrongTypeError(f"{where}: {err}") from err
    return filled


def read_toml(raw: bytes | str, where: str) -> dict[str, object]:
    """A TOML document of bounded size.

    Raises:
        FileUnreadableError: not TOML, or too large.
        EncodingError: not UTF-8.
    """
    if len(raw) > MAX_TOML_BYTES:
        raise FileUnreadableError(f"{where}: over {MAX_TOML_BYTES:,} bytes")
    try:
        return tomllib.loads(raw if isinstance(raw, str) else raw.decode("utf-8-sig").replace("\r\n", "\n"))
    except UnicodeDecodeError as err:
        raise EncodingError(f"{where}: text is not UTF-8", hint="Save it as UTF-8.") from err
    except (ValueError, RecursionError) as err:
        raise FileUnreadableError(f"{where}: not TOML: {str(err) or 'too deep'}") from err


def quoted(text: str) -> str:
    r"""A TOML basic string, for what is written for people to edit.

    >>> print(quoted('a "b"'))
    "a \"b\""
    """
    escapes = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\t": "\\t", "\r": "\\r"}
    return '"' + "".join(escapes.get(c, c if c.isprintable() else f"\\U{ord(c):08x}") for c in text) + '"'


def _spelled(document: Mapping[str, object]) -> dict[str, object]:
    """The document with levels in their one spelling: blanks are for people."""
    body = dict(document)
    measures = body.get("measures")
    if isinstance(measures, list):
        body["measures"] = [
            {**m, "levels": [v.replace(" ", "") if isinstance(v, str) else v for v in m["levels"]]}
            if isinstance(m, dict) and isinstance(m.get("levels"), list)
            else m
            for m in measures
        ]
    return body


def check_agreement(
    agreement: Agreement,
    members: Collection[Member] | None = None,
    *,
    roster: str | None = None,
    measures: Mapping[str, Sequence[str]] | None = None,
    where: str = "the agreement",
) -> None:
    """Refuse an Agreement that contradicts itself or the roster; every fault is listed.

    Args:
        agreement: to check.
        members: of the roster; None checks the document by itself.
        roster: the roster's id, if it must be the one that the Agreement names.
        measures: what the part offers: keys by measure, if known.
        where: its name, for the message.

    Raises:
        UnknownValueError: with every fault, each with the key's path and what would be right.
    """
    faults = [*_party_faults(agreement, members, roster), *_round_faults(agreement), *_term_faults(agreement), *_domain_faults(agreement)]
    for position, measure in enumerate(agreement.measures):
        faults += [f"measures.{position} ({measure.name}): {fault}" for fault in _measure_faults(agreement, measure, measures)]
    if faults:
        raise UnknownValueError(f"{where}: {'; '.join(faults)}", hint="docs/agreements.md explains every key.")


def _party_faults(agreement: Agreement, members: Collection[Member] | None, roster: str | None) -> Iterator[str]:
    for name in ("contributors", "helpers", "recipients"):
        ids = getattr(agreement, name)
        if len(set(ids)) != len(ids):
            yield f"{name}: a member stands twice"
    both = sorted(set(agreement.contributors) & set(agreement.helpers))
    if both:
        yield f"helpers: {', '.join(both)} also contributes; a helper brings no data"
    helping = sorted(set(agreement.recipients) & set(agreement.helpers))
    if helping:
        yield f"recipients: {', '.join(helping)} is also a helper; who receives must not hold others' shares"
    inside = sorted(set(agreement.recipients) & set(agreement.contributors))
    if inside and not agreement.contributors_may_receive:
        yield (
            f"recipients: {', '.join(inside)} also contributes and could subtract its own table from the sum; "
            "name another recipient, or set contributors_may_receive = true"
        )
    if roster is not None and agreement.roster != roster:
        yield f"roster: is {agreement.roster[:12]}…, the roster here is {roster[:12]}…"
    if members is not None:
        yield from _role_faults(agreement, {member.id: member for member in members})


def _role_faults(agreement: Agreement, members: Mapping[str, Member]) -> Iterator[str]:
    for name, role in (("contributors", "contributor"), ("helpers", "helper"), ("recipients", "recipient")):
        for party in getattr(agreement, name):
            if party not in members:
                yield f"{name}: '{party}' is not in the roster, which has {', '.join(members)}"
            elif role not in members[party].roles:
                yield f"{name}: '{party}' has no role '{role}' in the roster (it has {', '.join(members[party].roles) or 'none'})"


def _round_faults(agreement: Agreement) -> Iterator[str]:
    n, t, s = len(agreement.participants), agreement.colluding, agreement.threshold
    contributors = len(agreement.contributors)
    if agreement.min_contributors > contributors and not (agreement.single and contributors == 1):
        yield f"min_contributors: is {agreement.min_contributors}, there are {contributors} contributors"
    if agreement.min_contributors < 2 and not agreement.single:
        yield "min_contributors: must be at least 2, or single = true"
    if n < 2:
        if not agreement.single:
            yield "contributors: one contributor without a helper makes no joint release; add parties, or set single = true"
        return
    if t >= n:
        yield f"colluding: is {t}, must be less than the {n} participants"
    elif s and not (2 * s > n + t and s <= n):
        yield f"threshold: is {s}, must be from {smallest_threshold(n, t)} to {n} (more than half of {n} participants + {t} colluding)"


def _term_faults(agreement: Agreement) -> Iterator[str]:
    try:
        purpose_label(agreement.purpose)
    except UnknownValueError as err:
        yield f"purpose: {err} ({err.hint})"
    if agreement.until <= agreement.not_before:
        yield f"until: is {agreement.until.isoformat()}, must be after not_before"
    for name in ("not_before", "until"):
        if not _FIRST_YEAR <= getattr(agreement, name).year <= _LAST_YEAR:
            yield f"{name}: must lie in the years {_FIRST_YEAR} to {_LAST_YEAR}"
    names = [measure.name for measure in agreement.measures]
    if len(set(names)) != len(names):
        yield "measures: a measure stands twice"


def _domain_faults(agreement: Agreement) -> Iterator[str]:
    for name, dimension in agreement.dimensions.items():
        if name in BUILT_IN:
            yield f"dimensions.{name}: is built in; leave it out"
        if FINEST in dimension.groups:
            yield f"dimensions.{name}.groups: a group may not be called '{FINEST}'"
    used = {m.domains.get(key, key) for m in agreement.measures for key in m.dimensions}
    for name in sorted(set(agreement.dimensions) - used - set(BUILT_IN)):
        yield f"dimensions.{name}: no measure uses it"


def _measure_faults(agreement: Agreement, measure: AgreedMeasure, offered: Mapping[str, Sequence[str]] | None) -> Iterator[str]:
    if offered is not None:
        yield from _offer_faults(measure, offered)
    yield from _dimension_faults(agreement, measure)
    yield from _level_faults(agreement, measure)
    for name, codes in measure.filters.items():
        if name in measure.dimensions:
            yield f"filters: '{name}' is a dimension; a filter restricts a key that is not kept"
        if not codes or len(set(codes)) != len(codes):
            yield f"filters.{name}: name each code once, at least one"
    if measure.rho_per_release > agreement.rho_total:
        yield f"rho_per_release: is {measure.rho_per_release:g}, must be at most rho_total = {agreement.rho_total:g}"
    if measure.plain_threshold:
        yield from _plain_faults(agreement, measure)


def _offer_faults(measure: AgreedMeasure, offered: Mapping[str, Sequence[str]]) -> Iterator[str]:
    keys = offered.get(measure.name)
    if keys is None:
        yield f"name: no such measure; there are {', '.join(offered)}"
        return
    for name in [*measure.dimensions, *measure.filters]:
        if name not in keys:
            yield f"'{name}' is no key of it; it has {', '.join(keys)}"


def _dimension_faults(agreement: Agreement, measure: AgreedMeasure) -> Iterator[str]:
    if not measure.dimensions or len(set(measure.dimensions)) != len(measure.dimensions):
        yield "dimensions: name each once, at least one"
    for name in measure.dimensions:
        if name not in BUILT_IN and measure.domains.get(name, name) not in agreement.dimensions:
            yield f"dimensions: '{name}' has no domain; add [dimensions.{name}] or domains = {{ {name} = \"...\" }}"
    for name in measure.domains:
        if name not in measure.dimensions or name in BUILT_IN:
            yield f"domains: '{name}' is none of its dimensions that need one"


def _level_faults(agreement: Agreement, measure: AgreedMeasure) -> Iterator[str]:
    if not measure.levels or len(set(measure.levels)) != len(measure.levels):
        yield "levels: name each once, at least one"
    for text in measure.levels:
        try:
            level = parse_level(text)
        except OneteamError as err:
            yield f"levels: {err}"
            continue
        if level.dimensions != measure.dimensions:
            yield f"levels: '{text}' must name the dimensions {', '.join(measure.dimensions)} in this order"
            continue
        sizes = level_sizes(agreement, measure, level, measure.max_days)
        for (name, grain), size in zip(level.grains, sizes, strict=True):
            if size is None:
                yield f"levels: '{text}': {name} has no grain '{grain}'; it has {', '.join(grains_of(agreement, measure, name))}"
        if None not in sizes and math.prod(size or 1 for size in sizes) > MAX_CELLS:
            yield f"levels: '{text}' has more than {MAX_CELLS:,} cells over {measure.max_days} days; lower max_days or leave it out"


def _plain_faults(agreement: Agreement, measure: AgreedMeasure) -> Iterator[str]:
    if not agreement.single:
        yield "plain_threshold: is for one member's own table only; set single = true"
    if len(measure.levels) != 1:
        yield "plain_threshold: allows one level only; several overlap and give away what was hidden"
    if measure.filters:
        yield "plain_threshold: allows no filters; restricted tables can be subtracted"
    if measure.smallest_count < 2:
        yield "plain_threshold: needs smallest_count of at least 2"


def grains_of(agreement: Agreement, measure: AgreedMeasure, dimension: str) -> tuple[str, ...]:
    """The grains at which a dimension may be released: finest, its groups, summed."""
    known = None if dimension in BUILT_IN else agreement.dimensions.get(measure.domains.get(dimension, dimension))
    return (FINEST, *(known.groups if known else ()), SUMMED)


def level_sizes(agreement: Agreement, measure: AgreedMeasure, level: Level, days: int) -> list[int | None]:
    """How many codes a level has along each of its dimensions; None for a domain or grain that is not agreed."""
    sizes: list[int | None] = []
    for name, grain in level.grains:
        known = agreement.dimensions.get(measure.domains.get(name, name))
        if grain == SUMMED:
            sizes.append(1)
        elif name in BUILT_IN:
            sizes.append((days if name == "day" else 24) if grain == FINEST else None)
        elif known is None:
            sizes.append(None)
        elif grain == FINEST:
            sizes.append(len(known.codes))
        else:
            sizes.append(len(set(known.groups[grain])) if grain in known.groups else None)
    return sizes


def sign_revocation(revocation: Revocation, keys: Keys) -> str:
    """The text by which a party revokes: a compact JWS."""
    return sign_compact(revocation, revocation.member, keys)


def open_revocation(text: str, lookup: Lookup) -> Revocation:
    """A revocation whose signature holds; whether its signer is a party is the book's to say.

    Raises:
        BadSignatureError: not signed by the member that it names.
        WrongTypeError: not a revocation.
    """
    payload, signer = verify_compact(text, lookup)
    revocation = read_document(payload, Revocation)
    if signer != revocation.member:
        raise BadSignatureError(f"a revocation of '{revocation.member}' that '{signer}' has signed")
    return revocation
