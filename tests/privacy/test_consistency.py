"""From a Release to one table: consistent, not negative, nearer to the truth than the noised counts, and honest about its uncertainty."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tests.privacy.gates import Box, asked, single
from tests.privacy.parties import an_agreement, document

from oneteam.core.errors import UnknownValueError
from oneteam.core.model import Agreement
from oneteam.privacy.consistency import Observation, base_domain, consistent, estimate, estimates, mirrored_axes
from oneteam.privacy.levels import HOURS, Axis, Domain, parse_level

SIZE = 40
CODES = tuple(f"z{i:02d}" for i in range(SIZE))
GROUPS = {"region": tuple(f"r{i // 8}" for i in range(SIZE))}
SQUARE = Domain((Axis("origin", CODES, GROUPS), Axis("destination", CODES, GROUPS)))
LEVELS = [
    parse_level(text)
    for text in (
        "origin=code,destination=code",
        "origin=region,destination=region",
        "origin=code,destination=*",
        "origin=*,destination=code",
    )
]
SIGMA = (12.0, 30.0, 40.0, 40.0)


def flows(seed: int) -> np.ndarray:
    """Sparse, uneven, and nearly symmetric, without a diagonal."""
    rng = np.random.default_rng(seed)
    mass = rng.lognormal(0, 1, SIZE)
    near = rng.lognormal(0, 1.5, (SIZE, SIZE))
    mean = np.outer(mass, mass) * (near + near.T) * 6
    np.fill_diagonal(mean, 0)
    return rng.poisson(mean).astype(np.float64)


def observed(truth: np.ndarray, seed: int, factor: float = 1.0) -> list[Observation]:
    # Simulated noise, so that thresholds below are exact: the gate's own cannot be seeded.
    rng = np.random.default_rng(100 + seed)
    return [
        Observation(level, SQUARE.coarsen(level, truth) + rng.normal(0, factor * sigma, SQUARE.shape_of(level)), factor * sigma)
        for level, sigma in zip(LEVELS, SIGMA, strict=True)
    ]


def l1(domain: Domain, table: np.ndarray, truth: np.ndarray) -> list[float]:
    return [float(np.abs(domain.coarsen(level, table - truth)).sum()) for level in LEVELS]


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_levels_are_nearer_to_the_truth_than_their_noised_counts(seed: int) -> None:
    truth = flows(seed)
    seen = observed(truth, seed)
    table, _ = consistent(SQUARE, seen)
    noised = [float(np.abs(each.values - SQUARE.coarsen(each.level, truth)).sum()) for each in seen]
    found = l1(SQUARE, table, truth)
    assert table.min() >= 0
    assert found[0] < 0.65 * noised[0]
    # Coarser levels gain less, by what the others and the cells tell of them; 25 cells may by chance lose a little.
    assert all(mine <= 1.15 * theirs for mine, theirs in zip(found, noised, strict=True))
    assert np.mean([mine / theirs for mine, theirs in zip(found, noised, strict=True)]) < 0.85
    # Nearer also than what other coarse levels do not know of: raw fine cells summed up.
    assert found[1] < np.abs(SQUARE.coarsen(LEVELS[1], seen[0].values - truth)).sum()


def test_little_noise_leaves_the_counts_as_they_are() -> None:
    truth = flows(4)
    table, variance = consistent(SQUARE, observed(truth, 4, factor=1e-3))
    np.testing.assert_allclose(table, truth, atol=0.1)
    assert np.sqrt(variance).max() < 0.1


def test_coarse_levels_are_not_spoilt_by_well_expected_cells() -> None:
    """A table that is the product of its margins: cells follow their expectation closely, and its errors are common to many."""
    rng = np.random.default_rng(0)
    days, hours, zones = rng.uniform(0.8, 1.2, 3), 1 + 0.5 * np.sin(np.arange(24) / 4), rng.lognormal(4, 1, 60)
    truth = rng.poisson(days[:, None, None] * hours[None, :, None] * zones).astype(np.float64)
    codes = tuple(map(str, range(60)))
    domain = Domain(
        (Axis("day", ("1", "2", "3"), {}), Axis("hour", HOURS, {}), Axis("zone", codes, {"region": tuple(str(i // 12) for i in range(60))}))
    )
    levels = [parse_level(text) for text in ("day=code,hour=code,zone=code", "day=code,hour=*,zone=region", "day=*,hour=code,zone=code")]
    seen = [
        Observation(level, domain.coarsen(level, truth) + rng.normal(0, sigma, domain.shape_of(level)), sigma)
        for level, sigma in zip(levels, (60.0, 200.0, 200.0), strict=True)
    ]
    table, _ = consistent(domain, seen)
    for each, most in zip(seen, (0.7, 1.3, 0.7), strict=True):
        true = domain.coarsen(each.level, truth)
        assert np.abs(domain.coarsen(each.level, table) - true).sum() < most * np.abs(each.values - true).sum()


@pytest.mark.parametrize("seed", [1, 2])
def test_its_uncertainty_is_honest(seed: int) -> None:
    truth = flows(seed)
    table, variance = consistent(SQUARE, observed(truth, seed))
    unsure = variance > 1
    inside = np.abs(table - truth)[unsure] < 2 * np.sqrt(variance[unsure])
    assert 0.88 < inside.mean() <= 1.0


def test_an_empty_diagonal_stays_empty_and_a_full_one_does_not() -> None:
    truth = flows(5)
    table, variance = consistent(SQUARE, observed(truth, 5))
    assert np.diagonal(table).sum() == 0
    assert np.diagonal(variance).min() > 0
    np.fill_diagonal(truth, 200)
    table, _ = consistent(SQUARE, observed(truth, 5))
    assert np.diagonal(table).mean() == pytest.approx(200, rel=0.1)


def test_a_single_level_alone() -> None:
    rng = np.random.default_rng(6)
    zones = Domain((Axis("zone", tuple(map(str, range(250))), {}),))
    truth = rng.lognormal(5, 1.5, 250).round()
    noised = truth + rng.normal(0, 25, 250)
    table, variance = consistent(zones, [Observation(parse_level("zone=code"), noised, 25.0)])
    assert table.min() >= 0
    assert np.abs(table - truth).sum() < np.abs(noised - truth).sum()
    large = truth > 1000
    np.testing.assert_allclose(table[large], noised[large], atol=10)
    assert np.sqrt(variance[large]).mean() == pytest.approx(25, rel=0.2)


def test_nothing_at_all() -> None:
    table, _ = consistent(SQUARE, observed(np.zeros((SIZE, SIZE)), 7))
    assert 0 <= table.sum() < 2_000
    assert np.isfinite(table).all()


def test_margins_without_cells() -> None:
    truth = flows(8)
    seen = [each for each in observed(truth, 8) if not each.level.is_finest]
    table, variance = consistent(SQUARE, seen)
    assert np.isfinite(table).all()
    assert table.min() >= 0
    for each in seen:
        true = SQUARE.coarsen(each.level, truth)
        assert np.abs(SQUARE.coarsen(each.level, table) - true).sum() < 1.1 * np.abs(each.values - true).sum()
    assert variance.shape == SQUARE.shape


def test_base_and_mirror() -> None:
    coarse = [parse_level("origin=region,destination=*"), parse_level("origin=*,destination=region")]
    base, levels = base_domain(SQUARE, coarse)
    assert base.shape == (5, 5)
    assert [str(level) for level in levels] == ["origin=code,destination=*", "origin=*,destination=code"]
    assert mirrored_axes(SQUARE) == (0, 1)
    assert mirrored_axes(Domain((Axis("day", ("1",), {}), Axis("hour", ("1",), {})))) is None


def test_an_estimate_of_a_release_hides_small_counts_by_the_estimate(tmp_path: Path) -> None:
    agreement = an_agreement()
    box = Box("skylark", tmp_path, agreement)
    release = box.gate.release(asked(single(agreement)))
    box.close()
    table = estimate(release, agreement)
    assert table.column_names == ["origin", "destination", "value", "std"]
    assert table["origin"].to_pylist()[:3] == ["a1", "a1", "a1"]
    assert table["destination"].to_pylist()[:3] == ["a1", "a2", "b1"]
    shown = [value for value in table["value"].to_pylist() if value is not None]
    assert all(value >= 15 for value in shown)
    assert [value is None for value in table["value"].to_pylist()] == [value is None for value in table["std"].to_pylist()]
    fine, coarse = estimates(release, agreement)
    # Regions a = a1 + a2 and b = b1.
    np.testing.assert_allclose(
        coarse.values, [[fine.values[:2, :2].sum(), fine.values[:2, 2].sum()], [fine.values[2, :2].sum(), fine.values[2, 2]]]
    )
    assert (coarse.std > 0).all()
    assert estimate(release, agreement, "origin=region,destination=region").num_rows == 4
    with pytest.raises(UnknownValueError, match="no level"):
        estimate(release, agreement, "origin=*,destination=code")


def test_a_plain_table_is_shown_as_it_is(tmp_path: Path) -> None:
    body = document()
    body["measures"][0] |= {"plain_threshold": True, "levels": ["origin=code,destination=code"], "smallest_count": 5}
    agreement = Agreement.model_validate(body)
    box = Box("skylark", tmp_path, agreement)
    release = box.gate.release(asked(single(agreement, levels=("origin=code,destination=code",))))
    box.close()
    table = estimate(release, agreement)
    assert table["std"].null_count == 9
    assert all(value is None or value >= 5 for value in table["value"].to_pylist())
