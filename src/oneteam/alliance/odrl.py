"""An Agreement as an ODRL policy in JSON-LD, for other systems' catalogues and policy engines.

One Permission for each measure, contributor and recipient, so that every rule has one assigner and one assignee. What ODRL has no words
for (the privacy cost and the bounds on a contribution) stands as refinements of the duty to anonymise, with left operands of the profile
``urn:oneteam:odrl:1``. The export says what was agreed; only the signed Agreement binds.

Source: ODRL Information Model 2.2 and ODRL Vocabulary & Expression 2.2, W3C Recommendations of 15 February 2018; Data Privacy Vocabulary 2.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from oneteam.core.model import AgreedMeasure, Agreement, Text
from oneteam.privacy.agreements import agreement_id, threshold_of
from oneteam.privacy.purposes import DPV, purpose_iri

PROFILE: Final = "urn:oneteam:odrl:1"
"""The profile that the left operands below belong to."""
LEFT_OPERANDS: Final = {
    "rho": "zero-concentrated differential privacy that one release may cost a privacy unit",
    "rhoTotal": "the same, of all releases together",
    "delta": "at which rho is shown as epsilon",
    "privacyUnit": "whom the guarantee protects",
    "maxKeys": "most keys of a table that one privacy unit may touch",
    "maxValue": "most that one privacy unit may add to one key",
    "smallestCount": "noised counts below it are not shown",
    "minContributors": "contributors that a joint release rests on at least",
    "threshold": "members that must help before a sum can be unmasked",
    "colluding": "members that may collude without learning another's table",
    "measure": "what is counted",
    "levels": "tables that may be released, as dimension=grain",
    "filter": "codes to which a key that is not kept may be restricted, as key=code",
    "days": "longest period of one query, in days",
    "plainThreshold": "small counts are hidden and no noise is added; this protects against little",
}
"""What each term of the profile means."""

_CONTEXT: Final[list[Any]] = [
    "http://www.w3.org/ns/odrl.jsonld",
    {
        "odrl": "http://www.w3.org/ns/odrl/2/",
        "dpv": DPV,
        "dcterms": "http://purl.org/dc/terms/",
        "xsd": "http://www.w3.org/2001/XMLSchema#",
        "rdf": "http://www.w3.org/1999/02/22-rdf-syntax-ns#",
        "oneteam": f"{PROFILE}#",
    },
]

Json = dict[str, Any]


def to_odrl(agreement: Agreement) -> Json:
    """The Agreement as an ODRL 2.2 Agreement in JSON-LD.

    Args:
        agreement: signed or not.

    Returns:
        What `json.dumps` takes; the same Agreement always gives the same document.
    """
    identity = agreement_id(agreement)
    return {
        "@context": _CONTEXT,
        "@type": "Agreement",
        "uid": _policy(identity),
        "profile": PROFILE,
        "conflict": "prohibit",
        "dcterms:title": _texts(agreement.title),
        "dcterms:identifier": identity,
        "dpv:hasPurpose": {"@id": purpose_iri(agreement.purpose)},
        "dpv:hasTechnicalMeasure": [{"@id": f"{DPV}{name}"} for name in _measures_taken(agreement)],
        "permission": [
            _permission(agreement, identity, measure, owner, recipient)
            for measure in agreement.measures
            for owner in agreement.contributors
            for recipient in agreement.recipients
        ],
    }


def _permission(agreement: Agreement, identity: str, measure: AgreedMeasure, owner: str, recipient: str) -> Json:
    return {
        "@type": "Permission",
        "uid": f"{_policy(identity)}#{measure.name}/{owner}/{recipient}",
        "target": {"@type": "Asset", "uid": f"urn:oneteam:dataset:{owner}:{agreement.dataset}"},
        "assigner": _party(agreement, owner),
        "assignee": _party(agreement, recipient),
        "action": [
            {
                "rdf:value": {"@id": "odrl:derive"},
                "refinement": [
                    _constraint("oneteam:measure", "eq", measure.name),
                    _constraint("oneteam:levels", "isAnyOf", list(measure.levels)),
                    _constraint("oneteam:days", "lteq", _integer(measure.max_days)),
                    *(
                        _constraint("oneteam:filter", "isAnyOf", [f"{name}={code}" for code in codes])
                        for name, codes in measure.filters.items()
                    ),
                ],
            }
        ],
        "constraint": [
            _constraint("purpose", "isA", {"@id": purpose_iri(agreement.purpose)}),
            _constraint("recipient", "eq", {"@id": _member(agreement, recipient)}),
            _constraint("dateTime", "gteq", _date_time(agreement.not_before)),
            _constraint("dateTime", "lt", _date_time(agreement.until)),
            _constraint("oneteam:rhoTotal", "lteq", _decimal(agreement.rho_total)),
            *_joint(agreement),
        ],
        "duty": [_anonymise(agreement, identity, measure, owner, recipient)],
    }


def _anonymise(agreement: Agreement, identity: str, measure: AgreedMeasure, owner: str, recipient: str) -> Json:
    """What the owner must do before anything leaves."""
    bounds = [
        _constraint("oneteam:privacyUnit", "eq", agreement.privacy_unit),
        _constraint("oneteam:maxKeys", "lteq", _integer(measure.max_keys)),
        _constraint("oneteam:maxValue", "lteq", _integer(measure.max_value)),
        _constraint("oneteam:smallestCount", "gteq", _integer(measure.smallest_count)),
    ]
    if measure.plain_threshold:
        bounds.append(_constraint("oneteam:plainThreshold", "eq", {"@value": "true", "@type": "xsd:boolean"}))
    else:
        bounds.append(_constraint("oneteam:rho", "lteq", _decimal(measure.rho_per_release)))
        bounds.append(_constraint("oneteam:delta", "eq", _decimal(agreement.delta)))
    return {
        "@type": "Duty",
        "uid": f"{_policy(identity)}#{measure.name}/{owner}/{recipient}/anonymise",
        "assignee": _party(agreement, owner),
        "action": [{"rdf:value": {"@id": "odrl:anonymize"}, "refinement": bounds}],
    }


def _joint(agreement: Agreement) -> list[Json]:
    if len(agreement.participants) < 2 or agreement.single:
        # A single release is allowed too, so that the conditions of joint ones are none of the rule.
        return []
    return [
        _constraint("oneteam:minContributors", "gteq", _integer(agreement.min_contributors)),
        _constraint("oneteam:threshold", "eq", _integer(threshold_of(agreement))),
        _constraint("oneteam:colluding", "eq", _integer(agreement.colluding)),
    ]


def _measures_taken(agreement: Agreement) -> list[str]:
    noised = any(not measure.plain_threshold for measure in agreement.measures)
    return [*(["DifferentialPrivacy"] if noised else []), *(["SecureMultiPartyComputation"] if len(agreement.participants) > 1 else [])]


def _constraint(left: str, operator: str, right: Any) -> Json:
    operand = {"@id": left} if ":" in left else left
    return {"@type": "Constraint", "leftOperand": operand, "operator": operator, "rightOperand": right}


def _policy(identity: str) -> str:
    return f"urn:oneteam:agreement:{identity}"


def _member(agreement: Agreement, member: str) -> str:
    return f"urn:oneteam:member:{agreement.roster}:{member}"


def _party(agreement: Agreement, member: str) -> Json:
    return {"@type": "Party", "uid": _member(agreement, member)}


def _texts(text: Text) -> list[Json]:
    return [{"@value": words, "@language": language} for language, words in (("en", text.en), ("ko", text.ko)) if words]


def _integer(value: int) -> Json:
    return {"@value": str(value), "@type": "xsd:integer"}


def _decimal(value: float) -> Json:
    return {"@value": f"{value:.15f}".rstrip("0").rstrip("."), "@type": "xsd:decimal"}


def _date_time(value: datetime) -> Json:
    return {"@value": value.isoformat(), "@type": "xsd:dateTime"}
