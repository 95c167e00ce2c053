from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from oneteam.alliance.catalogue import catalogue
from oneteam.core.errors import WrongTypeError
from oneteam.core.model import Dataset, Member, Text
from oneteam.core.part import MeasureInfo
from oneteam.privacy.agreements import Revocation, agreement_id
from oneteam.privacy.policy import Kept
from tests.alliance.team import an_agreement

NOW = datetime.now(UTC)
MEMBER = Member(id="horizon", name=Text(en="Horizon", ko="호라이즌"), verify_key="A" * 43, seal_key="A" * 43, roles=("contributor",))
DATASET = Dataset(
    id="mobility",
    part="telecom",
    title=Text(en="Mobility", ko="이동"),
    owner="horizon",
    measures=("presence", "od"),
    first_day=date(2026, 1, 1),
    last_day=date(2026, 3, 1),
)
MEASURES = {
    "telecom": {
        "presence": MeasureInfo("presence", ("day", "zone"), "persons", {"en": "Presence", "ko": "체류"}),
        "home": MeasureInfo("home", ("zone",), "persons", {"en": "Home", "ko": "거주"}),
    }
}


def made(asker: str, *kept: Kept, now: datetime = NOW) -> dict[str, Any]:
    return catalogue(MEMBER, [DATASET], MEASURES, kept, asker, now)


def test_it_says_what_is_there_in_both_languages() -> None:
    agreement = an_agreement()
    found = made("agency", Kept(agreement, agreement_id(agreement), agreement.parties))
    assert json.loads(json.dumps(found)) == found
    (dataset,) = found["dcat:dataset"]
    assert dataset["dcterms:title"] == [{"@value": "Mobility", "@language": "en"}, {"@value": "이동", "@language": "ko"}]
    assert dataset["dcterms:temporal"]["dcat:endDate"]["@value"] == "2026-03-01"
    (service,) = found["dcat:service"]
    assert service["dcterms:identifier"] == "presence", "only what both the dataset and the part offer"
    (policy,) = dataset["odrl:hasPolicy"]
    assert policy["@id"] == f"urn:sha256:{agreement_id(agreement)}"
    assert policy["oneteam:state"] == "in force"
    assert policy["oneteam:measures"][0]["oneteam:levels"] == ["zone=code"]
    prefixes = {key.split(":")[0] for key in _keys(found)} - set(found["@context"])
    assert {prefix for prefix in prefixes if not prefix.startswith("@")} == set()


def _keys(node: Any) -> set[str]:
    if isinstance(node, dict):
        return {key for key in node if key != "@context"}.union(*(_keys(value) for key, value in node.items() if key != "@context"))
    return set().union(*map(_keys, node)) if isinstance(node, list) else set()


def test_agreements_of_others_are_not_shown() -> None:
    agreement = an_agreement()
    kept = Kept(agreement, agreement_id(agreement), agreement.parties)
    assert made("stranger", kept)["dcat:dataset"][0]["odrl:hasPolicy"] == []
    assert len(made("horizon", kept)["dcat:dataset"][0]["odrl:hasPolicy"]) == 1


@pytest.mark.parametrize(
    ("signed", "revoked", "now", "state"),
    [
        (True, False, NOW, "in force"),
        (False, False, NOW, "unsigned"),
        (True, True, NOW, "revoked"),
        (True, False, NOW - timedelta(days=10), "not yet in force"),
        (True, False, NOW + timedelta(days=400), "ended"),
    ],
)
def test_states(signed: bool, revoked: bool, now: datetime, state: str) -> None:
    agreement = an_agreement()
    revocation = Revocation(agreement=agreement_id(agreement), member="horizon", at=NOW) if revoked else None
    kept = Kept(agreement, agreement_id(agreement), agreement.parties if signed else ("horizon",), revocation)
    assert made("agency", kept, now=now)["dcat:dataset"][0]["odrl:hasPolicy"][0]["oneteam:state"] == state


def test_a_foreign_dataset_is_refused() -> None:
    with pytest.raises(WrongTypeError):
        catalogue(MEMBER, [DATASET.model_copy(update={"owner": "skylark"})], MEASURES, [], "agency", NOW)
