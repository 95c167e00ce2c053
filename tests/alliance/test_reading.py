"""The readable page: it says what is agreed, in both languages, in every form."""

from __future__ import annotations

import math
import re
from html.parser import HTMLParser
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oneteam.alliance.reading import Language, person_costs, read
from oneteam.alliance.setting import columns_of, to_html, to_markdown, to_text, wrap
from oneteam.core.model import Text
from oneteam.privacy.accounting import epsilon_of, share_rho
from oneteam.privacy.agreements import Revocation, agreement_id
from oneteam.privacy.levels import domain_of, parse_level
from tests.privacy.parties import MEMBERS, NOW, an_agreement, document

BY_ID = {member.id: member for member in MEMBERS}
AGREEMENT = an_agreement()
PLAIN = document()["measures"][0] | {"plain_threshold": True, "levels": ["origin=code,destination=code"]}


@pytest.mark.parametrize("language", ["en", "ko"])
@pytest.mark.parametrize("width", [40, 80, 120])
def test_text_fits_the_terminal(language: Language, width: int) -> None:
    text = to_text(read(AGREEMENT, language, members=BY_ID, signed_by=AGREEMENT.parties), width)
    assert max(columns_of(line) for line in text.splitlines()) <= width
    assert not any(line != line.rstrip() for line in text.splitlines())


@pytest.mark.parametrize("language", ["en", "ko"])
def test_everything_that_binds_is_on_the_page(language: Language) -> None:
    text = to_text(read(AGREEMENT, language, members=BY_ID, signed_by=("skylark",)), 200)
    wanted = [*AGREEMENT.parties, agreement_id(AGREEMENT), AGREEMENT.roster, "dpv:PublicBenefit", "2026-01-01", "2027-01-01", "mobility"]
    wanted += ["od", "presence", "stay, move", "rho = 0.02", "rho = 0.05", "rho = 1", "15", "1e-07"]
    assert [word for word in wanted if word not in text] == []
    assert ("It binds nobody" in text) == (language == "en")
    assert ("효력이 없습니다" in text) == (language == "ko")


def test_both_languages_say_the_same() -> None:
    """Every section has the same tables and as many sentences, and the Korean page is Korean."""
    english, korean = read(AGREEMENT, "en"), read(AGREEMENT, "ko")
    for one, other in zip(english.sections, korean.sections, strict=True):
        assert len(one.sentences) == len(other.sentences)
        assert [len(row) for row in one.rows] == [len(row) for row in other.rows]
        assert len(one.notes) == len(other.notes)
        assert re.search("[가-힣]", other.heading)
        assert not re.search("[가-힣]", " ".join([one.heading, *one.sentences, *one.notes]))


def test_costs() -> None:
    costs = person_costs(0.5, 1e-7, (1, 2, 4))
    assert [cost.rho for cost in costs] == [0.5, 2.0, 8.0]
    assert [cost.epsilon for cost in costs] == [epsilon_of(rho, 1e-7) for rho in (0.5, 2.0, 8.0)]
    assert all(math.isclose(cost.recognised, 0.5 * (1 + math.erf(math.sqrt(cost.rho) / math.sqrt(2)))) for cost in costs)
    text = to_text(read(AGREEMENT, "en"))
    row = next(line.split() for line in text.splitlines() if re.match(r"\s+2\s+0\.2", line))
    assert float(row[2]) == pytest.approx(epsilon_of(4 * 0.05, 1e-7), abs=0.005)
    assert float(row[4]) == pytest.approx(epsilon_of(4 * 1.0, 1e-7), abs=0.005)


def test_noise_is_what_a_joint_release_has() -> None:
    """Four shares of which s - t = 2 suffice: sqrt(2) times a curator's noise."""
    text = to_text(read(AGREEMENT, "en"))
    measure = AGREEMENT.measures[0]
    domain = domain_of(AGREEMENT, measure, measure.dimensions, NOW.date(), NOW.date())
    levels = [parse_level(level) for level in measure.levels]
    budgets = share_rho(domain, levels, measure.max_keys, measure.max_value, measure.rho_per_release)
    found = re.findall(r"^(?:origin|destination).*± ([\d,]+)$", text, re.MULTILINE)
    assert found == [f"{budget.sigma * math.sqrt(4 / 2):,.0f}" for budget in budgets]
    assert len(found) == 3


def test_plain_tables_are_called_what_they_are() -> None:
    for language, word in (("en", "no noise"), ("ko", "잡음이 없")):
        text = to_text(read(an_agreement(measures=[PLAIN]), language))  # type: ignore[arg-type]
        assert word in text
        assert "epsilon" not in text


def test_what_recipients_may_ask_to_be_done_is_told_under_its_measure() -> None:
    actions = {"presence": Text(en="Switch on a light", ko="불 켜기")}
    for language, words in (("en", "Switch on a light"), ("ko", "불 켜기")):
        sections = {section.heading: section for section in read(AGREEMENT, language, actions=actions).sections}  # type: ignore[arg-type]
        assert [name for name, section in sections.items() if words in " ".join(section.sentences)] == [
            name for name in sections if "presence" in name
        ]
        assert words not in to_text(read(AGREEMENT, language))  # type: ignore[arg-type]


def test_a_measure_is_told_in_words_where_they_are_known() -> None:
    titles = {"od": Text(en="Trips by origin and destination", ko="기종점 통행")}
    for language, words in (("en", "Trips by origin and destination."), ("ko", "기종점 통행.")):
        sections = read(AGREEMENT, language, titles=titles).sections  # type: ignore[arg-type]
        assert [section.sentences[0] == words for section in sections if section.heading.endswith(": od")] == [True]
        assert sum(words in section.sentences for section in sections) == 1


def test_a_revocation_shows() -> None:
    end = Revocation(agreement=agreement_id(AGREEMENT), member="horizon", reason="<b>enough</b>", at=NOW)
    page = read(AGREEMENT, "en", revoked=end)
    assert "REVOKED by horizon" in to_text(page)
    assert "<b>" not in to_html([page])


class Balance(HTMLParser):
    """Whether every tag is closed in order, and nothing comes from elsewhere."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.text: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag not in {"script", "img", "link", "iframe"}
        assert not any(name in {"src", "onclick"} or (value or "").startswith("http") for name, value in attrs)
        if tag != "meta":
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def test_html_is_whole_and_alone() -> None:
    nasty = an_agreement(title={"en": "<script>alert(1)</script> & | *bold*", "ko": '"따옴표"'})
    source = to_html([read(nasty, "en", members=BY_ID), read(nasty, "ko", members=BY_ID)])
    parser = Balance()
    parser.feed(source)
    assert parser.open == []
    assert "<script>alert(1)</script> & | *bold*" in parser.text
    assert '<html lang="en">' in source
    assert '<article id="ko" lang="ko">' in source


def test_markdown_tables_have_their_columns() -> None:
    nasty = an_agreement(title={"en": "a | b # c", "ko": ""})
    source = to_markdown(read(nasty, "en", members=BY_ID))
    assert source.startswith("# a \\| b \\# c\n")
    tables = re.findall(r"(?:^\|.*\n)+", source, re.MULTILINE)
    assert len(tables) == 5
    for table in tables:
        assert len({len(re.findall(r"(?<!\\)\|", line)) for line in table.splitlines()}) == 1


@given(st.text(max_size=200), st.integers(4, 60))
def test_wrapping_loses_nothing(text: str, width: int) -> None:
    lines = wrap(text, width)
    assert "".join("".join(lines).split()) == "".join(text.split())
    assert all(columns_of(line) <= width for line in lines)


@pytest.mark.parametrize(
    "changes",
    [
        {"helpers": [], "contributors": ["skylark"], "min_contributors": 1, "threshold": 0},
        {"contributors_may_receive": True, "recipients": ["agency", "skylark"]},
        {"purpose": "dpv:Nothing"},
        {"title": {"en": "only English"}},
        {"dimensions": {"zone": {"codes": [str(i) for i in range(3000)], "groups": {"region": ["x"] * 3000}}}},
        *({"privacy_unit": f"subscription{unit}"} for unit in ("", "-day", "-month")),
    ],
)
def test_unusual_agreements_are_shown_too(changes: dict[str, Any]) -> None:
    agreement = an_agreement(**changes)
    for language in ("en", "ko"):
        page = read(agreement, language)  # type: ignore[arg-type]
        assert to_text(page)
        assert to_markdown(page)
        assert to_html([page])
