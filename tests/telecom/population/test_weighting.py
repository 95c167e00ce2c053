"""Weights to the census."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from oneteam.core.errors import DuplicateCodeError, MissingColumnError, NothingFoundError, UnknownValueError, WrongTypeError
from oneteam.telecom.population.weighting import apply_weights, weights_to_census

CENSUS = pa.table({"code": ["a", "b", "c", "d"], "region": ["n", "n", "s", "s"], "population": [1000, 500, 800, 200]})
RESIDENTS = pa.table({"zone": ["c", "a", "b"], "subscribers": [100, 300, 50]})
FACTORS = {"a": 0.9, "b": 0.6, "c": 0.8}


def column(table: pa.Table, name: str) -> list[float | None]:
    return table[name].to_pylist()


def test_zone_margin_meets_every_zone_that_has_subscribers():
    weights = weights_to_census(RESIDENTS, CENSUS, "zone", FACTORS)
    assert column(weights, "zone") == ["a", "b", "c", "d"]
    assert column(weights, "subscribers") == [300, 50, 100, 0]
    assert column(weights, "persons") == pytest.approx([1000, 500, 800, 0])
    assert column(weights, "weight")[:3] == pytest.approx([1000 / 300, 10, 8])
    assert column(weights, "weight")[3] is None
    assert column(weights, "penetration") == pytest.approx([0.27, 0.06, 0.1, 0])


def test_region_margin_meets_regions_and_shares_by_persons_observed():
    weights = weights_to_census(RESIDENTS, CENSUS, "region", FACTORS)
    # North: 270 and 30 persons observed share 1500; south: only c was observed and stands for all 1000.
    assert column(weights, "persons") == pytest.approx([1350, 150, 1000, 0])
    assert column(weights, "weight")[:3] == pytest.approx([4.5, 3, 10])


def test_country_margin_has_one_weight_per_person_observed():
    weights = weights_to_census(RESIDENTS, CENSUS, "country", FACTORS)
    assert sum(column(weights, "persons")) == pytest.approx(2500)
    per_person = [w / FACTORS[z] for z, w in zip("abc", column(weights, "weight")[:3], strict=True)]
    assert per_person == pytest.approx([2500 / 380] * 3)


def test_a_region_without_any_subscriber_has_no_persons():
    weights = weights_to_census(RESIDENTS.slice(1), CENSUS, "region")
    assert column(weights, "persons") == pytest.approx([1500 * 300 / 350, 1500 * 50 / 350, 0, 0])


def test_uneven_market_shares_are_made_good():
    rng = np.random.default_rng(5)
    codes, population = [f"z{n}" for n in range(60)], rng.integers(20_000, 500_000, 60)
    share, factor = rng.uniform(0.15, 0.5, 60), 1 / 1.08
    subscribers = rng.binomial((population * 1.08).astype(int), share)
    census = pa.table({"code": codes, "population": population})
    residents = pa.table({"zone": codes, "subscribers": subscribers})
    weights = weights_to_census(residents, census, "zone", factor)
    assert np.allclose(weights["penetration"].to_numpy(), share, atol=0.01)
    moving = rng.binomial(subscribers, 0.3)
    persons = apply_weights(pa.table({"origin": codes, "value": moving}), weights, by="origin")["persons"].to_numpy()
    assert np.abs(persons / (0.3 * population) - 1).mean() < 0.02


def test_persons_stand_beside_the_integers():
    weights = weights_to_census(RESIDENTS, CENSUS)
    table = pa.table({"zone": ["b", "d", "zz", None, "b"], "value": [1, 2, 3, 4, 5], "subscribers": [1, 2, 3, 4, 5]})
    weighted = apply_weights(table, weights, by="zone")
    assert weighted.column_names == ["zone", "value", "subscribers", "persons"]
    assert column(weighted, "persons") == [10.0, None, None, None, 50.0]
    assert weighted.select(table.column_names).equals(table)
    assert apply_weights(weighted, weights, by="zone").equals(weighted)


@pytest.mark.parametrize(
    ("residents", "census", "arguments", "error", "match"),
    [
        (RESIDENTS, CENSUS, {"margin": "city"}, UnknownValueError, "'city' is not one of"),
        (RESIDENTS, CENSUS.drop_columns("region"), {"margin": "region"}, MissingColumnError, "census: no column region"),
        (RESIDENTS.drop_columns("subscribers"), CENSUS, {}, MissingColumnError, "residents: no column subscribers"),
        (RESIDENTS, pa.concat_tables([CENSUS, CENSUS]), {}, DuplicateCodeError, "'a' stands twice, again in row 4"),
        (pa.table({"zone": ["a", "q"], "subscribers": [1, 2]}), CENSUS, {}, UnknownValueError, "not in the census: q"),
        (pa.table({"zone": [1], "subscribers": [1]}), CENSUS, {}, WrongTypeError, "must be text"),
        (pa.table({"zone": ["a"], "subscribers": [-1]}), CENSUS, {}, UnknownValueError, "subscribers of zone 'a'"),
        (pa.table({"zone": ["a"], "subscribers": [0]}), CENSUS, {}, NothingFoundError, "no zone has a subscriber"),
        (RESIDENTS, CENSUS, {"deduplication_factor": 0}, UnknownValueError, "positive"),
        (RESIDENTS, CENSUS, {"deduplication_factor": {"a": 1.0}}, UnknownValueError, "none given for zones b, c"),
        (RESIDENTS, CENSUS.set_column(1, "region", [["n", None, "s", "s"]]), {"margin": "region"}, UnknownValueError, "without region: b"),
    ],
)
def test_what_cannot_be_weighted_is_said(residents, census, arguments, error, match):
    with pytest.raises(error, match=match):
        weights_to_census(residents, census, **arguments)


def test_zone_indices_must_become_codes_first():
    with pytest.raises(WrongTypeError, match="must be text"):
        apply_weights(pa.table({"home": [1], "value": [2]}), weights_to_census(RESIDENTS, CENSUS))
    with pytest.raises(MissingColumnError, match="no column value"):
        apply_weights(pa.table({"home": ["a"]}), weights_to_census(RESIDENTS, CENSUS))
