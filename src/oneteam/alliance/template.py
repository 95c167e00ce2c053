"""A draft Agreement for an officer to edit: TOML with every key explained and the public domains filled in."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from oneteam.alliance.setting import columns_of
from oneteam.core.errors import MissingColumnError, UnknownValueError
from oneteam.core.model import MAX_CELLS, Text
from oneteam.core.part import MeasureInfo
from oneteam.privacy.accounting import epsilon_of
from oneteam.privacy.agreements import BUILT_IN, quoted, smallest_threshold
from oneteam.privacy.purposes import purpose_label
from oneteam.store.rows import read_rows

DELTA: Final = 1e-7
ZONE_KEYS: Final = ("zone", "origin", "destination", "home")
"""Keys whose codes are zones."""
MAX_VALUES: Final = {"subscribers": 1, "trips": 2, "s": 3600}
"""Most that one subscription may add to one cell, by unit, in a draft."""
_WIDTH: Final = 100


@dataclass(frozen=True)
class PublicZones:
    """Codes of zones and the region of each, as anyone may know them.

    Args:
        codes: unique.
        regions: one for each code.
    """

    codes: tuple[str, ...]
    regions: tuple[str, ...]


@dataclass(frozen=True)
class Draft:
    """What a draft is made from.

    Args:
        title: for people.
        roster: the roster's id.
        contributors: who brings data.
        recipients: who receives.
        measures: which the part offers.
        zones: public codes; None where no measure has zones.
        countries: public codes, for measures by country.
        helpers: who adds noise only.
        purpose: a DPV term.
        dataset: what every contributor calls its data.
        not_before: from when.
        until: until when.
        rho_per_release: most that one release may cost.
        rho_total: most that all may cost.
        single: whether one contributor's own Release may be asked for.
    """

    title: Text
    roster: str
    contributors: tuple[str, ...]
    recipients: tuple[str, ...]
    measures: tuple[MeasureInfo, ...]
    not_before: datetime
    until: datetime
    zones: PublicZones | None = None
    countries: tuple[str, ...] = ()
    helpers: tuple[str, ...] = ()
    purpose: str = "dpv:PublicBenefit"
    dataset: str = "mobility"
    rho_per_release: float = 0.02
    rho_total: float = 0.5
    single: bool = False


def read_public_zones(path: Path) -> PublicZones:
    """Zones from a CSV file with ``code`` and, where it has one, ``region``; without, the region is the code's first two characters.

    Raises:
        MissingColumnError, DuplicateCodeError, InputError: as `oneteam.store.rows.read_rows`.
    """
    rows = read_rows(path)
    codes = rows.unique("code", "kostat_2018_code", "zone")
    column = next((name for name in ("region", "sido") if name in rows.columns), None)
    return PublicZones(tuple(codes), tuple(row.text(column) or code[:2] for row, code in zip(rows.rows, codes, strict=True)))


def draft_toml(draft: Draft) -> str:
    """The draft as commented TOML; `oneteam.privacy.agreements.parse_agreement` reads it as it stands.

    Raises:
        UnknownValueError: the purpose is no DPV term, or a measure has no key with a known domain.
        MissingColumnError: a measure by zone, and no zones.
    """
    lines = [*_head(draft)]
    for measure in draft.measures:
        lines += ["", *_measure(draft, measure)]
    lines += _domains(draft)
    return "\n".join(lines) + "\n"


def _head(draft: Draft) -> Iterator[str]:
    label = purpose_label(draft.purpose)
    n = len(draft.contributors) + len(draft.helpers)
    colluding = min(1, max(0, n - 1))
    yield "# A draft of an Agreement. Edit it; then `oneteam agreement check FILE`, `oneteam agreement sign FILE`."
    yield "# Every party signs the same text. Default deny: what does not stand here is refused."
    yield f"title = {{ en = {quoted(draft.title.en)}, ko = {quoted(draft.title.ko)} }}"
    yield "# The roster whose keys sign (`oneteam roster show`)."
    yield f"roster = {quoted(draft.roster)}"
    yield f"# {label.en} · {label.ko}. Other purposes: https://w3id.org/dpv#purposes"
    yield f"purpose = {quoted(draft.purpose)}"
    yield "# What every contributor calls its data in member.toml."
    yield f"dataset = {quoted(draft.dataset)}"
    yield ""
    yield "# Who brings data; who only adds noise and holds keys; who receives. A contributor that receives could subtract its own table."
    yield f"contributors = {_list(draft.contributors)}"
    yield f"helpers = {_list(draft.helpers)}"
    yield f"recipients = {_list(draft.recipients)}"
    yield "contributors_may_receive = false"
    yield "# Whether one contributor's own Release may be asked for, too."
    yield f"single = {'true' if draft.single or len(draft.contributors) < 2 else 'false'}"
    yield ""
    yield "# In force from … until …"
    yield f"not_before = {draft.not_before.isoformat()}"
    yield f"until = {draft.until.isoformat()}"
    yield ""
    yield "# Whom the guarantee protects: subscription-day, subscription-week, subscription-month or subscription."
    yield 'privacy_unit = "subscription-week"'
    yield f"# All releases together may cost so much: epsilon = {epsilon_of(draft.rho_total, DELTA):.2f} at this delta."
    yield f"rho_total = {_float(draft.rho_total)}"
    yield "delta = 1e-7"
    yield ""
    yield "# A joint release rests on at least so many contributors. With fewer than all, sums with and without one can be subtracted;"
    yield "# that shows its table as noisily as a Release of its own would; with all, each must be there for every release."
    yield f"min_contributors = {len(draft.contributors)}"
    yield f"# So many of the {n} participants may collude and learn nothing; so many must help to unmask a sum."
    yield f"colluding = {colluding}"
    yield f"threshold = {smallest_threshold(n, colluding)}"


def _measure(draft: Draft, measure: MeasureInfo) -> Iterator[str]:
    kept, summed = _dimensions(draft, measure)
    yield "[[measures]]"
    yield f"# {measure.title.get('en', '')}"
    if measure.title.get("ko"):
        yield f"# {measure.title['ko']}"
    if summed:
        yield f"# Not kept, so summed over: {', '.join(summed)}."
    yield f"name = {quoted(measure.name)}"
    yield f"dimensions = {_list(kept)}"
    zones = [name for name in kept if name in ZONE_KEYS and name != "zone"]
    if zones:
        yield "domains = { " + ", ".join(f'{name} = "zone"' for name in zones) + " }"
    yield "# Tables that may be released: code is finest, region coarser, * sums over."
    yield "levels = ["
    for level in _levels(draft, kept):
        yield f"  {quoted(level)},"
    yield "]"
    keys = 30 if "hour" in kept else 2 if "country" in kept else 8
    yield "# Of each subscription at most so many cells count, chosen at random (more of them: less is cut, and more noise) …"
    yield f"max_keys = {keys}"
    yield f"# … each by at most so many {measure.unit}."
    yield f"max_value = {MAX_VALUES.get(measure.unit, 1)}"
    yield f"# One release may cost so much: epsilon = {epsilon_of(draft.rho_per_release, DELTA):.2f}."
    yield f"rho_per_release = {_float(draft.rho_per_release)}"
    yield "# Noised counts below it are not shown."
    yield "smallest_count = 15"
    yield "# Longest period of one query, in days."
    yield "max_days = 1"


def _dimensions(draft: Draft, measure: MeasureInfo) -> tuple[list[str], list[str]]:
    """Keys that a draft keeps, and those it sums over: the day, those without a public domain, and the first of too large a table."""
    kept = [name for name in measure.keys if _size(draft, name) and name != "day"] or [name for name in measure.keys if name == "day"]
    missing = [name for name in measure.keys if name in ZONE_KEYS]
    if missing and draft.zones is None:
        raise MissingColumnError(
            f"measure '{measure.name}' is by {', '.join(missing)}, and no zones are given",
            hint="Give --zones zones.csv with a column `code`.",
        )
    while math.prod(_size(draft, name) for name in kept) > MAX_CELLS:
        kept.pop(0)
    if not kept:
        raise UnknownValueError(f"measure '{measure.name}' has no key with a known domain; it has {', '.join(measure.keys)}")
    return kept, [name for name in measure.keys if name not in kept]


def _size(draft: Draft, name: str) -> int:
    if name in BUILT_IN:
        return 24 if name == "hour" else 1
    if name in ZONE_KEYS:
        return len(draft.zones.codes) if draft.zones else 0
    return len(draft.countries) if name == "country" else 0


def _levels(draft: Draft, kept: Sequence[str]) -> list[str]:
    """Finest, by region, and each dimension by itself."""
    by_region = {name: "region" if name in ZONE_KEYS and draft.zones and len(set(draft.zones.regions)) > 1 else "code" for name in kept}
    tables: list[Mapping[str, str]] = [dict.fromkeys(kept, "code"), by_region]
    if len(kept) > 1:
        tables += [{other: "code" if other == name else "*" for other in kept} for name in kept]
    return list(dict.fromkeys(",".join(f"{name}={grains[name]}" for name in kept) for grains in tables))


def _domains(draft: Draft) -> Iterator[str]:
    used = {name for measure in draft.measures for name in _dimensions(draft, measure)[0]}
    if draft.zones and used & set(ZONE_KEYS):
        yield ""
        yield f"# The {len(draft.zones.codes):,} zones, in the order of the released tables, and the region of each."
        yield "[dimensions.zone]"
        yield from _array("codes", draft.zones.codes)
        yield from _array("groups.region", draft.zones.regions)
    if "country" in used:
        yield ""
        yield "# Countries, as ISO 3166-1 alpha-2; ZZ where a record names none."
        yield "[dimensions.country]"
        yield from _array("codes", draft.countries)


def _array(name: str, values: Sequence[str]) -> Iterator[str]:
    yield f"{name} = ["
    line = " "
    for value in values:
        item = f" {quoted(value)},"
        if columns_of(line + item) > _WIDTH and line.strip():
            yield line
            line = " "
        line += item
    if line.strip():
        yield line
    yield "]"


def _list(values: Sequence[str]) -> str:
    return "[" + ", ".join(quoted(value) for value in values) + "]"


def _float(value: float) -> str:
    return repr(float(value))
