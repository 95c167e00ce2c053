"""Levels: one spelling, public domains, sums, and what one person can change."""

from __future__ import annotations

from contextlib import suppress
from datetime import date
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.privacy.parties import a_query, an_agreement

from oneteam.core.errors import UnknownValueError
from oneteam.privacy.levels import Axis, Domain, Level, domain_of, domain_of_query, measure_of, parse_level, sensitivity

ZONES = Axis("origin", ("a1", "b1", "a2", "c1"), {"region": ("a", "b", "a", "c"), "side": ("w", "e", "w", "e")})
DOMAIN = Domain((ZONES, Axis("destination", ZONES.codes, ZONES.groups), Axis("hour", ("0", "1"), {})))
GRAINS = ("code", "region", "side", "*")
LEVELS = [Level((("origin", o), ("destination", d), ("hour", h))) for o, d, h in product(GRAINS, GRAINS, ("code", "*"))]


@pytest.mark.parametrize(
    "text", ["", "origin", "origin=", "=code", "origin=code,", "origin=code, hour=*", "Origin=code", "origin=code=x", "a=*,a=code", "o=**"]
)
def test_only_the_one_spelling_is_read(text: str) -> None:
    with pytest.raises(UnknownValueError):
        parse_level(text)


@given(st.text(max_size=40))
def test_no_text_breaks_the_reader(text: str) -> None:
    with suppress(UnknownValueError):
        assert str(parse_level(text)) == text


@pytest.mark.parametrize("level", LEVELS, ids=str)
def test_every_level_is_the_sum_of_its_cells(level: Level) -> None:
    fine = np.random.default_rng(1).integers(0, 100, DOMAIN.shape)
    expected: dict[tuple[str, ...], int] = {}
    for place in np.ndindex(DOMAIN.shape):
        key = tuple(
            {"code": axis.codes[i], "*": "*"}.get(grain) or axis.groups[grain][i]
            for axis, i, (_, grain) in zip(DOMAIN.axes, place, level.grains, strict=True)
        )
        expected[key] = expected.get(key, 0) + int(fine[place])
    table = DOMAIN.coarsen(level, fine)
    codes = [axis.codes_at(grain) for axis, (_, grain) in zip(DOMAIN.axes, level.grains, strict=True)]
    assert table.shape == DOMAIN.shape_of(level)
    assert table.reshape(-1).tolist() == [expected[key] for key in product(*codes)]
    assert DOMAIN.cells_of(level) == table.size
    assert list(DOMAIN.codes_of(level)) == list(level.kept)
    np.testing.assert_array_equal(np.bincount(DOMAIN.fine_to_level(level), fine.reshape(-1)), table.reshape(-1))
    spread = DOMAIN.spread(level, table.astype(np.float64))
    np.testing.assert_array_equal(spread.reshape(-1), table.reshape(-1)[DOMAIN.fine_to_level(level)])


@pytest.mark.parametrize("level", LEVELS, ids=str)
@pytest.mark.parametrize(("most", "value"), [(1, 1), (2, 3), (3, 1), (5, 2)])
def test_no_one_person_can_change_more_than_the_sensitivity(level: Level, most: int, value: int) -> None:
    bound = DOMAIN.sensitivity(level, most, value)
    rng = np.random.default_rng(most)
    index = DOMAIN.fine_to_level(level)
    worst = 0.0
    for cell in range(DOMAIN.cells_of(level)):
        # As many as possible into one cell, then anywhere: the worst case and random ones.
        inside = np.flatnonzero(index == cell)
        for chosen in (
            np.concatenate([inside, np.setdiff1d(np.arange(DOMAIN.cells), inside)])[:most],
            rng.choice(DOMAIN.cells, most, replace=False),
        ):
            change = np.zeros(DOMAIN.cells)
            change[chosen] = value
            worst = max(worst, float(np.linalg.norm(np.bincount(index, change))))
    assert worst <= bound * (1 + 1e-12)
    # Nobody else's data matters: at most K V for one cell, sqrt(K) V for the finest.
    assert np.sqrt(most) * value <= bound * (1 + 1e-12) <= most * value * (1 + 1e-9)


def test_the_worst_case_is_reached() -> None:
    margin = parse_level("origin=code,destination=*,hour=*")
    finest = parse_level("origin=code,destination=code,hour=code")
    assert sensitivity(margin, 3, 2) == DOMAIN.sensitivity(margin, 3, 2) == 6
    assert sensitivity(finest, 4, 2) == DOMAIN.sensitivity(finest, 4, 2) == 4
    # Two hours make a cell: five keys change two cells by 2 and one by 1.
    assert DOMAIN.sensitivity(parse_level("origin=code,destination=code,hour=*"), 5, 1) == 3


def test_days_and_hours_have_domains_of_their_own() -> None:
    agreement = an_agreement()
    domain = domain_of(agreement, measure_of(agreement, "presence"), ("day", "hour", "zone"), date(2026, 5, 31), date(2026, 6, 1))
    assert domain.shape == (2, 24, 3)
    assert domain.axes[0].codes == ("2026-05-31", "2026-06-01")
    assert domain.axes[1].codes[-1] == "23"
    assert domain_of_query(a_query(agreement), agreement).shape == (3, 3)


def test_what_cannot_be_is_refused() -> None:
    agreement = an_agreement()
    od = measure_of(agreement, "od")
    with pytest.raises(UnknownValueError, match="no domain"):
        domain_of(agreement, od, ("origin", "home"), date(2026, 5, 1), date(2026, 5, 1))
    with pytest.raises(UnknownValueError, match="before it begins"):
        domain_of(agreement, od, ("origin",), date(2026, 5, 2), date(2026, 5, 1))
    with pytest.raises(UnknownValueError, match="cells"):
        domain_of(agreement, od, ("day", "hour", "origin"), date(1900, 1, 1), date(2100, 1, 1))
    with pytest.raises(UnknownValueError, match="no measure"):
        measure_of(agreement, "home")
    with pytest.raises(UnknownValueError, match="in this order"):
        DOMAIN.grains(parse_level("destination=code,origin=code,hour=*"))
    with pytest.raises(UnknownValueError, match="no grain"):
        DOMAIN.grains(parse_level("origin=code,destination=code,hour=region"))
