"""The export against the ODRL 2.2 information model and vocabulary."""

from __future__ import annotations

import json
from datetime import datetime
from decimal import Decimal
from typing import Any

import pytest

from oneteam.alliance.odrl import LEFT_OPERANDS, PROFILE, to_odrl
from oneteam.core.model import Agreement
from tests.privacy.parties import an_agreement, document

# Terms of ODRL Vocabulary & Expression 2.2 that may stand where the export has them; deprecated ones are left out.
ACTIONS = {"aggregate", "anonymize", "derive", "distribute", "extract", "inform", "read", "use", "transfer"}
LEFT = {
    "absolutePosition", "absoluteSpatialPosition", "absoluteTemporalPosition", "absoluteSize", "count", "dateTime", "delayPeriod",
    "deliveryChannel", "elapsedTime", "event", "fileFormat", "industry", "language", "media", "meteredTime", "payAmount", "percentage",
    "product", "purpose", "recipient", "relativePosition", "relativeSpatialPosition", "relativeTemporalPosition", "relativeSize",
    "resolution", "spatial", "spatialCoordinates", "systemDevice", "timeInterval", "unitOfCount", "version", "virtualLocation",
}  # fmt: skip
OPERATORS = {"eq", "gt", "gteq", "lt", "lteq", "neq", "isA", "hasPart", "isPartOf", "isAllOf", "isAnyOf", "isNoneOf"}
LITERALS = {"xsd:integer": int, "xsd:decimal": Decimal, "xsd:dateTime": datetime.fromisoformat, "xsd:boolean": {"true": True}.__getitem__}


def check_constraint(found: dict[str, Any]) -> str:
    """Section 2.5: one left operand, one operator, one right operand; its name."""
    assert set(found) == {"@type", "leftOperand", "operator", "rightOperand"}
    assert found["@type"] == "Constraint"
    left = found["leftOperand"]
    name = left if isinstance(left, str) else left["@id"].removeprefix("oneteam:")
    assert name in (LEFT if isinstance(left, str) else LEFT_OPERANDS)
    assert found["operator"] in OPERATORS
    right = found["rightOperand"]
    if isinstance(right, dict) and "@value" in right:
        LITERALS[right["@type"]](right["@value"])
    if isinstance(right, list):
        assert found["operator"] in {"isAnyOf", "isAllOf", "isNoneOf"}
        assert right
    if name == "dateTime":
        assert right["@type"] == "xsd:dateTime"
    return name


def check_action(found: list[dict[str, Any]]) -> tuple[str, set[str]]:
    """Section 2.4: one action with its refinements."""
    (action,) = found
    assert set(action) == {"rdf:value", "refinement"}
    name = action["rdf:value"]["@id"].removeprefix("odrl:")
    assert name in ACTIONS
    return name, {check_constraint(each) for each in action["refinement"]}


def check_party(found: dict[str, Any]) -> None:
    assert found["@type"] == "Party"
    assert found["uid"].startswith("urn:oneteam:member:")


@pytest.mark.parametrize("agreement", [an_agreement(), an_agreement(single=False), an_agreement(helpers=[], contributors=["skylark"])])
def test_the_information_model(agreement: Agreement) -> None:
    policy = to_odrl(agreement)
    json.dumps(policy)
    assert policy["@context"][0] == "http://www.w3.org/ns/odrl.jsonld"
    assert policy["@type"] == "Agreement"
    assert policy["profile"] == PROFILE
    assert policy["conflict"] in {"perm", "prohibit", "invalid"}
    rules = policy["permission"]
    # Section 2.1.3: an Agreement has a uid, at least one rule, one assigner and one assignee for each rule.
    assert len(rules) == len(agreement.measures) * len(agreement.contributors) * len(agreement.recipients)
    uids = [policy["uid"], *(rule["uid"] for rule in rules), *(duty["uid"] for rule in rules for duty in rule["duty"])]
    assert len(set(uids)) == len(uids)
    for rule in rules:
        assert set(rule) == {"@type", "uid", "target", "assigner", "assignee", "action", "constraint", "duty"}
        assert rule["@type"] == "Permission"
        assert rule["target"]["@type"] == "Asset"
        check_party(rule["assigner"])
        check_party(rule["assignee"])
        name, refined = check_action(rule["action"])
        assert (name, {"measure", "levels", "days"} <= refined) == ("derive", True)
        constraints = [check_constraint(each) for each in rule["constraint"]]
        assert {"purpose", "recipient", "dateTime", "rhoTotal"} <= set(constraints)
        assert constraints.count("dateTime") == 2
        (duty,) = rule["duty"]
        assert duty["@type"] == "Duty"
        check_party(duty["assignee"])
        assert duty["assignee"] == rule["assigner"]
        assert check_action(duty["action"])[0] == "anonymize"


def test_purpose_and_period() -> None:
    (rule, *_) = to_odrl(an_agreement())["permission"]
    by_name = {(c["leftOperand"], c["operator"]): c["rightOperand"] for c in rule["constraint"] if isinstance(c["leftOperand"], str)}
    assert by_name["purpose", "isA"] == {"@id": "https://w3id.org/dpv#PublicBenefit"}
    assert by_name["dateTime", "gteq"]["@value"] == "2026-01-01T00:00:00+00:00"
    assert by_name["dateTime", "lt"]["@value"] == "2027-01-01T00:00:00+00:00"


def test_plain_tables_claim_no_privacy() -> None:
    body = document()["measures"][0] | {"plain_threshold": True, "levels": ["origin=code,destination=code"]}
    policy = to_odrl(an_agreement(measures=[body]))
    assert "DifferentialPrivacy" not in json.dumps(policy)
    (duty,) = policy["permission"][0]["duty"]
    _, refined = check_action(duty["action"])
    assert "plainThreshold" in refined
    assert "rho" not in refined


def test_small_numbers_are_decimals() -> None:
    text = json.dumps(to_odrl(an_agreement(delta=1e-12)))
    assert '"0.000000000001"' in text
