"""What a member has on offer, in the words of DCAT 3: datasets without a row of them, measures, and agreements.

A dataset becomes a ``dcat:Dataset``, a measure a ``dcat:DataService`` that serves it (nothing is downloaded: a Query goes in, a Release
comes out), and an Agreement an ``odrl:Agreement`` that the dataset's offer points to. An asking member sees the agreements that it is a
party of, and no others.

Source: W3C DCAT 3 (2024), sections 6.4, 6.6 and 6.8; ODRL 2.2; DPV 2.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from oneteam.core.canonical import content_id
from oneteam.core.errors import WrongTypeError
from oneteam.core.model import AgreedMeasure, Dataset, Member, Text
from oneteam.core.part import MeasureInfo
from oneteam.privacy.accounting import epsilon_of
from oneteam.privacy.policy import Kept

CONTEXT: Final[Mapping[str, Any]] = {
    "dcat": "http://www.w3.org/ns/dcat#",
    "dcterms": "http://purl.org/dc/terms/",
    "dpv": "https://w3id.org/dpv#",
    "foaf": "http://xmlns.com/foaf/0.1/",
    "odrl": "http://www.w3.org/ns/odrl/2/",
    "oneteam": "urn:oneteam:terms:",
    "xsd": "http://www.w3.org/2001/XMLSchema#",
}


def catalogue(
    member: Member,
    datasets: Sequence[Dataset],
    measures: Mapping[str, Mapping[str, MeasureInfo]],
    agreements: Sequence[Kept],
    asker: str,
    now: datetime,
) -> dict[str, Any]:
    """A member's catalogue as one JSON-LD document.

    Args:
        member: whose.
        datasets: what it holds.
        measures: what each part can answer, by part and measure.
        agreements: those that the member keeps.
        asker: who reads it; agreements without it as a party are left out.
        now: at which agreements count as in force.

    Returns:
        A ``dcat:Catalog`` in JSON-LD.

    Raises:
        WrongTypeError: a dataset of another owner.

    >>> from datetime import UTC
    >>> member = Member(id="kt", name=Text(en="Carrier"), verify_key="A" * 43, seal_key="A" * 43, roles=("contributor",))
    >>> dataset = Dataset(id="mobility", part="telecom", title=Text(en="Mobility"), owner="kt", measures=("presence",))
    >>> offered = {"telecom": {"presence": MeasureInfo("presence", ("zone",), "persons", {"en": "Presence"})}}
    >>> found = catalogue(member, [dataset], offered, [], "agency", datetime(2026, 3, 1, tzinfo=UTC))
    >>> found["@type"], [one["dcterms:identifier"] for one in found["dcat:dataset"]]
    ('dcat:Catalog', ['mobility'])
    >>> found["dcat:service"][0]["oneteam:keys"]
    ['zone']
    """
    seen = [kept for kept in agreements if asker in kept.agreement.parties or asker == member.id]
    for dataset in datasets:
        if dataset.owner != member.id:
            raise WrongTypeError(f"dataset '{dataset.id}' belongs to '{dataset.owner}', not to '{member.id}'")
    return {
        "@context": CONTEXT,
        "@id": _urn("catalog", member.id),
        "@type": "dcat:Catalog",
        "dcterms:title": _texts(member.name),
        "dcterms:publisher": {"@id": _urn("member", member.id), "@type": "foaf:Agent", "foaf:name": _texts(member.name)},
        "dcterms:modified": _time(now),
        "dcat:dataset": [_dataset(dataset, seen, now) for dataset in datasets],
        "dcat:service": [
            _service(dataset, measures.get(dataset.part, {})[name])
            for dataset in datasets
            for name in dataset.measures
            if name in measures.get(dataset.part, {})
        ],
    }


def _dataset(dataset: Dataset, agreements: Sequence[Kept], now: datetime) -> dict[str, Any]:
    body: dict[str, Any] = {
        "@id": _urn("dataset", dataset.owner, dataset.id),
        "@type": "dcat:Dataset",
        "dcterms:identifier": dataset.id,
        "dcterms:title": _texts(dataset.title),
        "dcterms:publisher": {"@id": _urn("member", dataset.owner)},
        "dcterms:accessRights": {"@id": "http://publications.europa.eu/resource/authority/access-right/NON_PUBLIC"},
        "oneteam:privacyUnit": dataset.privacy_unit,
        "oneteam:timezone": dataset.timezone,
        "odrl:hasPolicy": [_agreement(kept, now) for kept in agreements if kept.agreement.dataset == dataset.id],
    }
    if dataset.first_day is not None and dataset.last_day is not None:
        body["dcterms:temporal"] = {
            "@type": "dcterms:PeriodOfTime",
            "dcat:startDate": {"@value": dataset.first_day.isoformat(), "@type": "xsd:date"},
            "dcat:endDate": {"@value": dataset.last_day.isoformat(), "@type": "xsd:date"},
        }
    return body


def _service(dataset: Dataset, measure: MeasureInfo) -> dict[str, Any]:
    return {
        "@id": _urn("measure", dataset.owner, dataset.id, measure.name),
        "@type": "dcat:DataService",
        "dcterms:identifier": measure.name,
        "dcterms:title": [{"@value": text, "@language": language} for language, text in measure.title.items()],
        "dcat:servesDataset": {"@id": _urn("dataset", dataset.owner, dataset.id)},
        "oneteam:keys": list(measure.keys),
        "oneteam:unit": measure.unit,
    }


def _agreement(kept: Kept, now: datetime) -> dict[str, Any]:
    agreement = kept.agreement
    return {
        "@id": f"urn:sha256:{content_id(agreement)}",
        "@type": "odrl:Agreement",
        "dcterms:title": _texts(agreement.title),
        "dcterms:valid": f"{agreement.not_before.isoformat()}/{agreement.until.isoformat()}",
        "dpv:hasPurpose": {"@id": agreement.purpose},
        "oneteam:contributors": [_urn("member", name) for name in agreement.contributors],
        "oneteam:helpers": [_urn("member", name) for name in agreement.helpers],
        "oneteam:recipients": [_urn("member", name) for name in agreement.recipients],
        "oneteam:state": kept.state(now),
        "oneteam:rhoTotal": agreement.rho_total,
        "oneteam:epsilonTotal": round(epsilon_of(agreement.rho_total, agreement.delta), 6),
        "oneteam:delta": agreement.delta,
        "oneteam:measures": [_agreed(measure) for measure in agreement.measures],
    }


def _agreed(measure: AgreedMeasure) -> dict[str, Any]:
    return {
        "dcterms:identifier": measure.name,
        "oneteam:dimensions": list(measure.dimensions),
        "oneteam:levels": list(measure.levels),
        "oneteam:filters": sorted(measure.filters),
        "oneteam:rhoPerRelease": measure.rho_per_release,
        "oneteam:maxKeys": measure.max_keys,
        "oneteam:maxValue": measure.max_value,
        "oneteam:maxDays": measure.max_days,
        "oneteam:smallestCount": measure.smallest_count,
    }


def _texts(text: Text) -> list[dict[str, str]]:
    return [{"@value": value, "@language": language} for language, value in (("en", text.en), ("ko", text.ko)) if value]


def _time(at: datetime) -> dict[str, str]:
    return {"@value": at.isoformat(), "@type": "xsd:dateTime"}


def _urn(kind: str, *names: str) -> str:
    return ":".join(("urn:oneteam", kind, *names))
