"""What the gate gets from a telecom dataset: every subscriber's rows over the public domain, and nothing outside it."""

from __future__ import annotations

import time
from datetime import UTC, date, datetime
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest

from oneteam.core.errors import NothingFoundError, UnknownValueError
from oneteam.core.model import Agreement, Query
from oneteam.privacy.contributions import OUTSIDE, bounded_sum
from oneteam.privacy.levels import domain_of_query
from oneteam.telecom.part import part
from oneteam.telecom.service.contribute import source
from oneteam.telecom.service.measure import run_measures
from tests.telecom.datasets import random_events, write_dataset, zones_of_cells

CELLS, ZONES = 12, 5
CODES = [f"{z:05d}" for z in range(ZONES)]
FIRST, LAST = date(2020, 1, 31), date(2020, 2, 2)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("telecom") / "data"
    return write_dataset(path, random_events(3, days=5, cells=CELLS), cell_zones=zones_of_cells(CELLS, ZONES))


def agreement(zones: list[str], measure: str = "od", dimensions: tuple[str, ...] = ("day", "origin", "destination")) -> Agreement:
    return Agreement.model_validate(
        {
            "title": {"en": "test"},
            "roster": "ab" * 32,
            "purpose": "dpv:PublicBenefit",
            "dataset": "mobility",
            "contributors": ["skylark"],
            "recipients": ["agency"],
            "rho_total": 1.0,
            "not_before": datetime(2020, 1, 1, tzinfo=UTC),
            "until": datetime(2030, 1, 1, tzinfo=UTC),
            "dimensions": {"zone": {"codes": zones}, "month": {"codes": ["2020-01", "2020-02"]}},
            "measures": [
                {
                    "name": measure,
                    "dimensions": dimensions,
                    "domains": {"origin": "zone", "destination": "zone"},
                    "levels": [],
                    "max_keys": 1000,
                    "max_value": 1000,
                    "rho_per_release": 1.0,
                }
            ],
        }
    )


def query(measure: str = "od", dimensions: tuple[str, ...] = ("day", "origin", "destination"), **changes: object) -> Query:
    body = {
        "agreement": "ab" * 32,
        "purpose": "dpv:PublicBenefit",
        "measure": measure,
        "dimensions": dimensions,
        "levels": ("*",),
        "first_day": FIRST,
        "last_day": LAST,
        "rho": 1.0,
        "owners": ("skylark",),
    }
    return Query.model_validate(body | changes)


def total(folder: Path, asked: Query, of: Agreement) -> np.ndarray:
    rows = source(folder)(asked, of)
    return bounded_sum(rows, domain_of_query(asked, of), 1000, 1000, bytes(16))


def test_sums_are_those_of_the_measure_itself(folder: Path) -> None:
    of = agreement(CODES)
    found = total(folder, query(), of)
    expected = np.zeros_like(found)
    for row in run_measures(folder, ["od"], first=FIRST, last=LAST)["od"].table.to_pylist():
        expected[(row["day"] - FIRST).days, CODES.index(row["origin"]), CODES.index(row["destination"])] += row["value"]
    assert found.sum() > 100
    np.testing.assert_array_equal(found, expected)


def test_the_domain_decides_the_order_and_what_is_outside(folder: Path) -> None:
    whole = total(folder, query(), agreement(CODES))
    some = total(folder, query(), agreement([CODES[3], "99999", CODES[1]]))
    np.testing.assert_array_equal(some[:, [0, 2]][:, :, [0, 2]], whole[:, [3, 1]][:, :, [3, 1]])
    assert some[:, 1].sum() == some[:, :, 1].sum() == 0


def test_dimensions_that_are_not_kept_are_summed_over_and_filters_restrict(folder: Path) -> None:
    of = agreement(CODES, "presence", ("hour", "zone"))
    full = agreement(CODES, "presence", ("day", "hour", "zone"))
    table = total(folder, query("presence", ("day", "hour", "zone")), full)
    summed = total(folder, query("presence", ("hour", "zone")), of)
    np.testing.assert_array_equal(summed, table.sum(0))
    evening = total(folder, query("presence", ("zone",), filters={"hour": ("18", "19")}), agreement(CODES, "presence", ("zone",)))
    np.testing.assert_array_equal(evening, table.sum(0)[18:20].sum(0))
    one_day = total(folder, query("presence", ("zone",), filters={"day": ("2020-02-01",)}), agreement(CODES, "presence", ("zone",)))
    np.testing.assert_array_equal(one_day, table[1].sum(0))


@pytest.mark.parametrize("measure", ["home", "time_segments"])
def test_measures_of_months_and_states(folder: Path, measure: str) -> None:
    keys = {"home": ("month", "zone"), "time_segments": ("zone",)}[measure]
    found = total(folder, query(measure, keys), agreement(CODES, measure, keys))
    rows = run_measures(folder, [measure], first=FIRST, last=LAST, contributions=True)[measure].contributions
    assert rows is not None
    assert found.sum() > 0
    if measure == "home":
        assert found.sum() == len(rows)


def test_rows_stand_in_order_of_subscribers(folder: Path) -> None:
    rows = source(folder)(query(), agreement(CODES))
    assert (np.diff(rows.subscriber) >= 0).all()
    assert all(column.dtype == np.int32 and column.min() >= OUTSIDE for column in rows.keys.values())


def test_a_period_without_events_gives_no_rows_and_no_error(folder: Path) -> None:
    of, asked = agreement(CODES), query(first_day=date(2021, 1, 1), last_day=date(2021, 1, 2))
    assert len(source(folder)(asked, of).value) == 0
    monthly = query("home", ("zone",), first_day=date(2021, 1, 1), last_day=date(2021, 1, 2))
    assert len(source(folder)(monthly, agreement(CODES, "home", ("zone",))).value) == 0


def test_late_rows_are_seen(tmp_path: Path) -> None:
    events = random_events(4, days=2, cells=CELLS)
    folder = write_dataset(tmp_path / "data", events, cell_zones=zones_of_cells(CELLS, ZONES))
    asks, of = source(folder), agreement(CODES, "presence", ("zone",))
    asked = query("presence", ("zone",), first_day=date(2020, 1, 30))
    before = len(asks(asked, of).value)
    assert asks(asked, of) is asks(asked, of)
    write_dataset(folder, [*events, *random_events(5, days=3, cells=CELLS)], cell_zones=zones_of_cells(CELLS, ZONES))
    assert len(asks(asked, of).value) > before


def test_no_dataset_and_no_such_measure(tmp_path: Path, folder: Path) -> None:
    with pytest.raises(NothingFoundError):
        source(tmp_path / "nowhere")(query(), agreement(CODES))
    with pytest.raises(UnknownValueError):
        source(folder)(query("nonsense"), agreement(CODES, "nonsense"))


def test_the_part_names_this_door() -> None:
    module, attribute = str(part.source).split(":")
    assert getattr(import_module(module), attribute) is source


def test_a_warm_answer_takes_no_time(folder: Path) -> None:
    asks, of = source(folder), agreement(CODES)
    asks(query(), of)
    began = time.perf_counter()
    asks(query(rho=0.5), of)
    assert time.perf_counter() - began < 0.01


def test_days_are_put_together_by_subscriber_however_far_apart_their_numbers_lie(tmp_path: Path) -> None:
    far = {0: -(2**63) + 5, 1: -3, 2: 2**63 - 9}
    events = [(far[who % 3], at, cell) for who, at, cell in random_events(4, days=3, cells=CELLS)]
    folder = write_dataset(tmp_path / "data", events, cell_zones=zones_of_cells(CELLS, ZONES))
    rows = source(folder)(query("od", ("origin", "destination")), agreement(CODES, "od", ("origin", "destination")))
    assert len(rows.subscriber) > 0
    assert (rows.subscriber[1:] >= rows.subscriber[:-1]).all()
