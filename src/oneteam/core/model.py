"""The ten words: frozen, typed, serialisable; every part is functions between them.

| word | essence | standard |
|---|---|---|
| `Member` | an organisation, its public keys, its roles | - |
| `Dataset` | schema, units, privacy unit, owner; never rows | DCAT 3 Dataset |
| `Agreement` | parties, dataset, measures, purpose, budget, period | ODRL 2.2 Agreement, DPV 2 purposes |
| `Query` | typed, declarative, hashable request for one measure | - |
| `Release` | gated result, its uncertainty, its provenance, what it cost | - |
| `Entity` | a thing that is measured or told to act | - |
| `Measurement` | entity, quantity, value, unit, time, quality | OGC SensorThings Observation |
| `Alert` | category, urgency, severity, certainty, area, time | CAP 1.2 |
| `Command` | an action asked of an entity | - |
| `Context` | who, why, parent: links cause to effect across parts | W3C Trace Context |
"""

from __future__ import annotations

import re
from datetime import date
from typing import Annotated, Final, Literal, Self

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints, model_validator

MAX_CELLS: Final = 4_000_000
"""Cells that one Release may have over all its levels."""

UNREADABLE: Final = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
"""Control characters, line breaks and marks that turn the reading direction: they show a reader something else than what is signed."""


def _one_line(text: str) -> str:
    if UNREADABLE.search(text):
        raise ValueError("must be one line, without control characters or marks that turn the reading direction")
    return text


def _lines(text: str) -> str:
    if UNREADABLE.search(text.replace("\n", " ")):
        raise ValueError("must be without control characters (but line breaks) and marks that turn the reading direction")
    return text


Line = Annotated[str, AfterValidator(_one_line)]
Lines = Annotated[str, AfterValidator(_lines)]
"""Words that people read, perhaps before they sign."""
Slug = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]{0,30}[a-z0-9]$|^[a-z0-9]$")]
"""A member's or dataset's id: lower-case letters, digits and inner hyphens, at most 32."""
Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,47}$")]
"""A measure's, dimension's or level's name."""
Code = Annotated[str, StringConstraints(min_length=1, max_length=64)]
"""A value of a dimension: a zone's or country's code."""
Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Hex128 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{32}$")]
PublicKey = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{43}$")]
"""32 bytes, base64url without padding."""
Rho = Annotated[float, Field(gt=0, le=100, allow_inf_nan=False)]
"""Zero-concentrated differential privacy (Bun and Steinke 2016, definition 1.1)."""
Role = Literal["contributor", "helper", "recipient", "witness"]
"""Brings data; holds keys and adds noise only; receives Releases; keeps others' checkpoints."""
PrivacyUnit = Literal["subscription-day", "subscription-week", "subscription-month", "subscription"]


class Document(BaseModel):
    """Frozen, and refuses what it does not know."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Text(Document):
    """The same words in both languages.

    Args:
        en: in English.
        ko: in Korean; may be left out.
    """

    en: Lines
    ko: Lines = ""


class Member(Document):
    """An organisation, its public keys and its roles. Its running process is a *node*.

    Args:
        id: short and stable.
        name: for people.
        verify_key: Ed25519 public key.
        seal_key: X25519 public key.
        roles: what it may do in the alliance.
    """

    id: Slug
    name: Text
    verify_key: PublicKey
    seal_key: PublicKey
    roles: tuple[Role, ...]


class Dimension(Document):
    """A public domain: every code that a key may have, known before any data is seen.

    Args:
        codes: in the order of the released tables.
        groups: coarser levels, each as one code for every code of ``codes``.
    """

    codes: tuple[Code, ...] = Field(min_length=1, max_length=MAX_CELLS)
    groups: dict[Name, tuple[Code, ...]] = {}

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if len(set(self.codes)) != len(self.codes):
            raise ValueError("a code stands twice")
        for name, of in self.groups.items():
            if len(of) != len(self.codes):
                raise ValueError(f"group '{name}' has {len(of)} codes for {len(self.codes)}")
        return self


class Dataset(Document):
    """What a member holds, without a row of it (DCAT 3 Dataset).

    Args:
        id: the same at every contributor that brings data of this kind.
        part: the part that can read it, as ``telecom``.
        title: for people.
        owner: the member's id.
        privacy_unit: whom one contribution belongs to.
        measures: what may be asked at all.
        first_day: first local day held.
        last_day: last local day held.
        timezone: the local day's IANA time zone.
    """

    id: Slug
    part: Name
    title: Text
    owner: Slug
    privacy_unit: PrivacyUnit = "subscription-week"
    measures: tuple[Name, ...] = ()
    first_day: date | None = None
    last_day: date | None = None
    timezone: str = "Asia/Seoul"


class AgreedMeasure(Document):
    """What an Agreement allows of one measure.

    Args:
        name: the part's measure.
        dimensions: which of the measure's keys may be kept; the others are summed over. ``day`` and ``hour`` have built-in domains (the
            query's days as ISO dates; ``0`` to ``23``).
        domains: for a key whose domain has another name, as ``origin = "zone"``.
        levels: which levels may be released; each is ``dimension=grain`` joined by commas, where the grain is ``*`` (summed), ``code``
            (finest) or one of the dimension's groups, in the order of ``dimensions``.
        filters: keys that are not dimensions and may be restricted, with the codes that a query may choose from.
        max_keys: most final keys that one privacy unit may touch (K).
        max_value: most that one privacy unit may add to one key (V).
        rho_per_release: most that one release may cost.
        smallest_count: noised counts below it are not shown.
        max_days: longest period of one query [d].
        plain_threshold: a single-member table without noise, k = ``smallest_count``; protects against little.
    """

    name: Name
    dimensions: tuple[Name, ...]
    domains: dict[Name, Name] = {}
    levels: tuple[str, ...]
    filters: dict[Name, tuple[Code, ...]] = {}
    max_keys: int = Field(ge=1, le=1000)
    max_value: int = Field(default=1, ge=1, le=86_400)
    rho_per_release: Rho
    smallest_count: int = Field(default=0, ge=0)
    max_days: int = Field(default=7, ge=1, le=366)
    plain_threshold: bool = False


class Agreement(Document):
    """What may be learned, by whom, for what, at which cost to a person; binding when every party has signed (ODRL 2.2 Agreement).

    Args:
        title: for people.
        roster: id of the roster whose keys sign.
        purpose: a term of the Data Privacy Vocabulary, as ``dpv:PublicBenefit``.
        dataset: what every contributor brings.
        contributors: members whose data is used.
        helpers: members that add noise and hold keys but bring no data.
        recipients: members that receive Releases; a contributor is refused here unless ``contributors_may_receive``.
        contributors_may_receive: a recipient could subtract its own table and read the others'.
        privacy_unit: whom the guarantee protects.
        delta: at which rho is shown as epsilon.
        rho_total: most that all releases together may cost.
        measures: what may be asked.
        dimensions: the public domains, by dimension.
        not_before: from when.
        until: until when (exclusive).
        min_contributors: a joint release rests on no fewer.
        colluding: how many members may collude (t).
        threshold: how many must help to unmask (s); more than (n + t) / 2.
        single: whether one contributor's own Release may be asked for.
    """

    format: Literal["oneteam-agreement/1"] = "oneteam-agreement/1"
    title: Text
    roster: Sha256
    purpose: Annotated[str, StringConstraints(pattern=r"^dpv(-[a-z]+)?:[A-Za-z]+$")]
    dataset: Slug
    contributors: tuple[Slug, ...] = Field(min_length=1)
    helpers: tuple[Slug, ...] = ()
    recipients: tuple[Slug, ...] = Field(min_length=1)
    contributors_may_receive: bool = False
    privacy_unit: PrivacyUnit = "subscription-week"
    delta: float = Field(default=1e-7, gt=0, lt=0.01)
    rho_total: Rho
    measures: tuple[AgreedMeasure, ...] = Field(min_length=1)
    dimensions: dict[Name, Dimension]
    not_before: AwareDatetime
    until: AwareDatetime
    min_contributors: int = Field(default=2, ge=1)
    colluding: int = Field(default=1, ge=0)
    threshold: int = Field(default=0, ge=0)
    single: bool = False

    @property
    def participants(self) -> tuple[str, ...]:
        """Everyone who takes part in a secure sum: contributors, then helpers."""
        return self.contributors + self.helpers

    @property
    def parties(self) -> tuple[str, ...]:
        """Everyone who must sign, each once."""
        return tuple(dict.fromkeys(self.contributors + self.helpers + self.recipients))


class Query(Document):
    """A typed, declarative request for one measure; its id is the SHA-256 of its canonical form.

    Args:
        agreement: id of the Agreement it rests on.
        purpose: must be the Agreement's.
        measure: one of its measures.
        dimensions: keys that are kept, in order.
        levels: levels to release (see `AgreedMeasure`), finest first.
        filters: restrictions of keys that are not kept.
        first_day: first local day.
        last_day: last local day, inclusive.
        rho: what the release shall cost.
        owners: whose data; one member's for a single Release, several for a joint one.
    """

    format: Literal["oneteam-query/1"] = "oneteam-query/1"
    agreement: Sha256
    purpose: str
    measure: Name
    dimensions: tuple[Name, ...]
    levels: tuple[str, ...] = Field(min_length=1)
    filters: dict[Name, tuple[Code, ...]] = {}
    first_day: date
    last_day: date
    rho: Rho
    owners: tuple[Slug, ...] = Field(min_length=1)


class Context(Document):
    """Who did what, why, and after what: links cause to effect across parts.

    Args:
        id: of this step.
        parent: the step that caused it.
        actor: member, user or part.
        reason: one line.
        at: when.
    """

    id: Hex128
    parent: Hex128 | None = None
    actor: Line
    reason: Line
    at: AwareDatetime


class ReleasedLevel(Document):
    """One level's noised counts, before any post-processing.

    Args:
        level: as in the query.
        cells: how many.
        values: int64, little-endian, base64; row-major over the level's dimensions.
        sigma: standard deviation of the noise that was added in all.
        sensitivity: L2 sensitivity of the level to one privacy unit.
        rho: this level's share of the cost.
    """

    level: str
    cells: int = Field(ge=1, le=MAX_CELLS)
    values: str
    sigma: float = Field(ge=0)
    sensitivity: float = Field(gt=0)
    rho: float = Field(ge=0)


class Receipt(Document):
    """An owner's signature under what it gave to a Release.

    Args:
        member: who.
        sha256: of its masked Share, or of the Release's content for a single member's.
        signature: Ed25519, base64url.
    """

    member: Slug
    sha256: Sha256
    signature: str


class Release(Document):
    """A gated result, its uncertainty, its provenance and what it cost. Made by the privacy gate alone.

    Args:
        query: what was asked.
        recipient: for whom.
        kind: ``dp`` (noise calibrated to rho) or ``threshold`` (small counts hidden, no guarantee).
        round: the secure sum's round, None for a single member.
        contributors: whose data is in it.
        levels: the noised counts.
        max_keys: K that bounded each privacy unit.
        max_value: V that bounded each value.
        smallest_count: estimates below it are not shown.
        rho: what it cost each privacy unit.
        delta: at which ``epsilon`` holds.
        epsilon: the same cost as (epsilon, delta).
        made_at: when.
        versions: of oneteam and of the noise library.
        caution: what the reader must know.
        receipts: the owners' signatures.
        context: the step that asked for it.
    """

    format: Literal["oneteam-release/1"] = "oneteam-release/1"
    query: Query
    recipient: Slug
    kind: Literal["dp", "threshold"]
    round: Hex128 | None
    contributors: tuple[Slug, ...]
    levels: tuple[ReleasedLevel, ...]
    max_keys: int
    max_value: int
    smallest_count: int
    rho: float
    delta: float
    epsilon: float
    made_at: AwareDatetime
    versions: dict[str, str]
    caution: str = ""
    receipts: tuple[Receipt, ...] = ()
    context: Context | None = None


class Entity(Document):
    """A thing that is measured or told to act.

    Args:
        id: ``domain.object_id``, as ``district.11010``.
        name: for people.
        kind: as ``district``, ``sensor``, ``ship``.
    """

    id: Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]*\.[A-Za-z0-9_-]+$")]
    name: Text
    kind: Name


class Measurement(Document):
    """One observed value (OGC SensorThings Observation).

    Args:
        entity: of what.
        quantity: as ``temperature``.
        value: the number.
        unit: UCUM, as ``Cel``.
        at: when.
        quality: ``good``, ``suspect`` or ``missing``.
    """

    entity: str
    quantity: Name
    value: float | None
    unit: str
    at: AwareDatetime
    quality: Literal["good", "suspect", "missing"] = "good"
    context: Context | None = None


class Alert(Document):
    """A warning (CAP 1.2, ITU-T X.1303): section 3.2 gives the meaning of each field.

    Args:
        id: unique.
        sender: who warns.
        sent: when.
        status: ``Actual``, ``Exercise`` or ``Test``.
        category: as ``Health``.
        event: what.
        urgency: how soon.
        severity: how bad.
        certainty: how sure.
        effective: from when.
        expires: until when.
        headline: one line.
        description: what is known, and how surely.
        areas: entities concerned.
    """

    id: str
    sender: str
    sent: AwareDatetime
    status: Literal["Actual", "Exercise", "System", "Test", "Draft"] = "Actual"
    category: Literal["Geo", "Met", "Safety", "Security", "Rescue", "Fire", "Health", "Env", "Transport", "Infra", "CBRNE", "Other"]
    event: str
    urgency: Literal["Immediate", "Expected", "Future", "Past", "Unknown"]
    severity: Literal["Extreme", "Severe", "Moderate", "Minor", "Unknown"]
    certainty: Literal["Observed", "Likely", "Possible", "Unlikely", "Unknown"]
    effective: AwareDatetime
    expires: AwareDatetime
    headline: Text
    description: Text
    areas: tuple[Entity, ...]
    context: Context | None = None


class Command(Document):
    """An action asked of an entity.

    Args:
        entity: of which.
        action: as ``ventilate``.
        settings: the action's numbers and words.
        until: after which it is void.
    """

    entity: str
    action: Name
    settings: dict[str, str | float | bool] = {}
    until: AwareDatetime
    context: Context | None = None
