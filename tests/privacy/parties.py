"""Three carriers, a helper, an agency, and an Agreement between them."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

from oneteam.core.keys import Keys, encode
from oneteam.core.model import Agreement, Member, Query, Text
from oneteam.privacy.agreements import agreement_id
from oneteam.privacy.signing import sign_document

KEYS = {name: Keys.generate() for name in ("skylark", "horizon", "bluewave", "campus", "agency", "stranger")}
ROLES: dict[str, tuple[Any, ...]] = {
    "skylark": ("contributor",),
    "horizon": ("contributor",),
    "bluewave": ("contributor",),
    "campus": ("helper", "witness"),
    "agency": ("recipient",),
}
MEMBERS = tuple(
    Member(
        id=name,
        name=Text(en=name.title(), ko=name),
        verify_key=encode(KEYS[name].public.verify),
        seal_key=encode(KEYS[name].public.seal),
        roles=roles,
    )
    for name, roles in ROLES.items()
)
NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)


def lookup(member: str) -> Any:
    keys = KEYS.get(member)
    return keys.public if keys and member in ROLES else None


def document(**changes: Any) -> dict[str, Any]:
    """The Agreement as Python holds TOML."""
    body: dict[str, Any] = {
        "title": {"en": "Mobility for epidemic forecasts", "ko": "감염병 예측을 위한 이동량"},
        "roster": "ab" * 32,
        "purpose": "dpv:PublicBenefit",
        "dataset": "mobility",
        "contributors": ["skylark", "horizon", "bluewave"],
        "helpers": ["campus"],
        "recipients": ["agency"],
        "rho_total": 1.0,
        "single": True,
        "threshold": 3,
        "not_before": datetime(2026, 1, 1, tzinfo=UTC),
        "until": datetime(2027, 1, 1, tzinfo=UTC),
        "dimensions": {"zone": {"codes": ["a1", "a2", "b1"], "groups": {"region": ["a", "a", "b"]}}},
        "measures": [
            {
                "name": "od",
                "dimensions": ["origin", "destination"],
                "domains": {"origin": "zone", "destination": "zone"},
                "levels": ["origin=code,destination=code", "origin=region,destination=region", "origin=*,destination=code"],
                "max_keys": 10,
                "rho_per_release": 0.02,
                "smallest_count": 15,
            },
            {
                "name": "presence",
                "dimensions": ["day", "hour", "zone"],
                "levels": ["day=code,hour=code,zone=code", "day=code,hour=*,zone=region"],
                "filters": {"state": ["stay", "move"]},
                "max_keys": 20,
                "rho_per_release": 0.05,
                "max_days": 7,
            },
        ],
    }
    return body | changes


def an_agreement(**changes: Any) -> Agreement:
    return Agreement.model_validate(document(**changes))


def signed_by_all(agreement: Agreement) -> str:
    text = None
    for party in agreement.parties:
        text = sign_document(agreement, party, KEYS[party], text)
    assert text is not None
    return text


def a_query(agreement: Agreement, /, **changes: Any) -> Query:
    body: dict[str, Any] = {
        "purpose": agreement.purpose,
        "measure": "od",
        "dimensions": ("origin", "destination"),
        "levels": ("origin=code,destination=code", "origin=region,destination=region"),
        "first_day": date(2026, 5, 4),
        "last_day": date(2026, 5, 10),
        "rho": 0.02,
        "owners": agreement.contributors,
    }
    if "agreement" not in changes:
        body["agreement"] = agreement_id(agreement)
    return Query.model_validate(body | changes)
