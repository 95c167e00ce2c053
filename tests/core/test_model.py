from __future__ import annotations

import json
from datetime import UTC, date, datetime

import pytest
from pydantic import ValidationError

from oneteam.core import model
from oneteam.core.canonical import canonical, content_id
from oneteam.core.errors import WrongTypeError
from oneteam.core.model import Agreement, Alert, Command, Context, Dataset, Dimension, Entity, Measurement, Member, Query, Release, Text

WORDS = (Member, Dataset, Agreement, Query, Release, Entity, Measurement, Alert, Command, Context)
KEY = "A" * 43


def query(**changes: object) -> Query:
    return Query.model_validate(
        {
            "agreement": "0" * 64,
            "purpose": "dpv:PublicBenefit",
            "measure": "presence",
            "dimensions": ["zone"],
            "levels": ["zone=code"],
            "first_day": "2020-02-01",
            "last_day": "2020-02-01",
            "rho": 0.02,
            "owners": ["kt"],
        }
        | changes
    )


def test_ten_words_are_frozen_and_refuse_what_they_do_not_know() -> None:
    assert len(WORDS) == 10
    for word in WORDS:
        assert word.model_config["frozen"] is True
        assert word.model_config["extra"] == "forbid"
        assert word.__name__ in (model.__doc__ or "")


def test_a_query_survives_json_and_keeps_its_id() -> None:
    asked = query()
    again = Query.model_validate_json(canonical(asked))
    assert again == asked
    assert content_id(again) == content_id(asked)
    assert content_id(query(last_day="2020-02-02")) != content_id(asked)


def test_canonical_form_does_not_depend_on_the_order_of_fields() -> None:
    body = json.loads(canonical(query()))
    assert canonical(dict(reversed(body.items()))) == canonical(body)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 2**53])
def test_numbers_without_a_canonical_form_are_refused(value: float) -> None:
    with pytest.raises(WrongTypeError):
        canonical({"x": value})


@pytest.mark.parametrize("rho", [0, -1, float("nan"), float("inf"), 1e9])
def test_rho_is_positive_and_finite(rho: float) -> None:
    with pytest.raises(ValidationError):
        query(rho=rho)


@pytest.mark.parametrize("bad", ["", "KT", "a b", "-kt", "kt-", "k" * 33, "../kt"])
def test_member_ids_are_slugs(bad: str) -> None:
    with pytest.raises(ValidationError):
        Member(id=bad, name=Text(en="x"), verify_key=KEY, seal_key=KEY, roles=("contributor",))


def test_a_domain_is_public_and_has_each_code_once() -> None:
    Dimension(codes=("11", "21"), groups={"region": ("west", "east")})
    with pytest.raises(ValidationError, match="twice"):
        Dimension(codes=("11", "11"))
    with pytest.raises(ValidationError, match="1 codes for 2"):
        Dimension(codes=("11", "21"), groups={"region": ("west",)})


def test_naive_times_are_refused() -> None:
    with pytest.raises(ValidationError):
        Context(id="0" * 32, actor="kt", reason="test", at=datetime(2020, 2, 1))  # noqa: DTZ001 - the point
    assert Context(id="0" * 32, actor="kt", reason="test", at=datetime(2020, 2, 1, tzinfo=UTC)).parent is None


def test_parties_are_everyone_once() -> None:
    agreement = Agreement.model_validate(
        {
            "title": {"en": "x"},
            "roster": "0" * 64,
            "purpose": "dpv:PublicBenefit",
            "dataset": "mobility",
            "contributors": ["kt", "skt"],
            "helpers": ["uni"],
            "recipients": ["kdca", "uni"],
            "rho_total": 1,
            "measures": [{"name": "presence", "dimensions": ["zone"], "levels": ["zone=code"], "max_keys": 8, "rho_per_release": 0.1}],
            "dimensions": {"zone": {"codes": ["11"]}},
            "not_before": "2020-01-01T00:00:00+09:00",
            "until": "2021-01-01T00:00:00+09:00",
        }
    )
    assert agreement.parties == ("kt", "skt", "uni", "kdca")
    assert agreement.participants == ("kt", "skt", "uni")


def test_days_are_dates() -> None:
    assert query().first_day == date(2020, 2, 1)


@pytest.mark.parametrize("sign", ["\x1b[8m", "\r", "\x00", "\x9b2J", "\u202e", "\u2066", "\u2028"])
def test_what_people_read_before_they_sign_shows_all_of_itself(sign: str) -> None:
    for field in ("en", "ko"):
        with pytest.raises(ValidationError, match="reading direction"):
            Text.model_validate({"en": "Joint mobility"} | {field: f"Joint {sign}mobility"})
    assert Text(en="Joint mobility – 2026", ko="공동 이동량\n(시범)").ko
    with pytest.raises(ValidationError, match="one line"):
        Context(id="0" * 32, actor="agency", reason="asked\nfor", at=datetime(2020, 2, 1, tzinfo=UTC))
