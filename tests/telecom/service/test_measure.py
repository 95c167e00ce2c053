"""Running measures on a dataset: keeping daily results, periods, engines, and what goes wrong."""

from __future__ import annotations

import json
from datetime import date, timedelta
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from oneteam.core.errors import DatasetCorruptError, FileUnreadableError, NothingFoundError, UnknownValueError, UnsupportedMeasureError
from oneteam.store.tables import metadata_of
from oneteam.telecom.catalogue import MEASURES
from oneteam.telecom.service.measure import run_measures, write_table
from tests.telecom.datasets import random_events, write_dataset, zones_of_cells

DAILY_AND_MONTHLY = [name for name, m in MEASURES.items() if m.needs == ("events",)]
FIRST = date(2020, 1, 28)


@pytest.fixture(scope="module")
def events() -> list:
    return random_events(11, subscribers=40, days=12, first=FIRST)


def with_days(folder: Path, events: list, days: range) -> Path:
    wanted = {FIRST + timedelta(i) for i in days}
    return write_dataset(folder, [e for e in events if e[1].date() in wanted], cell_zones=zones_of_cells(12, 5))


def test_new_days_cost_new_days(tmp_path: Path, events: list) -> None:
    data = tmp_path / "grown"
    with_days(data, events, range(9))
    assert {a.computed_days for a in run_measures(data, DAILY_AND_MONTHLY).values()} == {9}
    assert {a.computed_days for a in run_measures(data, DAILY_AND_MONTHLY).values()} == {0}

    with_days(data, events, range(11))
    grown = run_measures(data, DAILY_AND_MONTHLY)
    # Two new days, and the one before them, whose last segments they decide.
    assert {a.computed_days for a in grown.values()} == {3}

    fresh = run_measures(with_days(tmp_path / "fresh", events, range(11)), DAILY_AND_MONTHLY, engine="duckdb")
    for name in DAILY_AND_MONTHLY:
        assert grown[name].table.equals(fresh[name].table), name


def test_a_late_row_changes_its_neighbourhood_only(tmp_path: Path, events: list) -> None:
    late = next(e for e in events if e[1].date() == FIRST + timedelta(5))
    data = tmp_path / "late"
    with_days(data, [e for e in events if e is not late], range(12))
    run_measures(data, DAILY_AND_MONTHLY)
    with_days(data, events, range(12))
    merged = run_measures(data, DAILY_AND_MONTHLY)
    assert {a.computed_days for a in merged.values()} == {4}
    fresh = run_measures(with_days(tmp_path / "fresh", events, range(12)), DAILY_AND_MONTHLY, keep=False)
    for name in DAILY_AND_MONTHLY:
        assert merged[name].table.equals(fresh[name].table), name


def test_the_cache_holds_one_file_a_day_and_can_be_deleted(tmp_path: Path, events: list) -> None:
    data = with_days(tmp_path, events, range(4))
    first = run_measures(data, ["od"])["od"]
    with_days(data, events, range(5))
    run_measures(data, ["od"])
    files = sorted(path.name.split(".")[0] for path in (data / "cache" / "od-aggregate").iterdir())
    assert files == [(FIRST + timedelta(i)).isoformat() for i in range(5)]
    for path in (data / "cache").glob("*/*"):
        path.unlink()
    again = run_measures(data, ["od"], last=FIRST + timedelta(3))["od"]
    assert again.table.num_rows >= first.table.num_rows


def test_other_settings_are_other_results(tmp_path: Path, events: list) -> None:
    from oneteam.telecom.measure import MeasureSettings

    data = with_days(tmp_path, events, range(4))
    run_measures(data, ["od"])
    other = run_measures(data, ["od"], settings=MeasureSettings(min_stay_s=1_200))["od"]
    assert other.computed_days == 4
    assert json.loads(other.about["settings"])["min_stay_s"] == 1_200


def test_a_period(tmp_path: Path, events: list) -> None:
    data = with_days(tmp_path, events, range(6))
    whole = run_measures(data, ["presence"])["presence"].table
    day = FIRST + timedelta(2)
    part = run_measures(data, ["presence"], first=day, last=day)["presence"].table
    assert part.to_pylist() == [row for row in whole.to_pylist() if row["day"] == day]


def test_without_zones_measures_are_by_cell(tmp_path: Path, events: list) -> None:
    data = write_dataset(tmp_path, events[:300])
    table = run_measures(data, ["presence"])["presence"].table
    assert set(table["zone"].to_pylist()) <= {f"c{i}" for i in range(12)}


@pytest.mark.parametrize(
    ("names", "options", "error", "says"),
    [
        (["presense"], {}, UnknownValueError, "no measure presense; there are presence"),
        (["arrivals"], {}, NothingFoundError, "no outbound records"),
        (["work"], {"engine": "kernel"}, UnsupportedMeasureError, "the kernel has no work"),
        (["od"], {"first": date(2031, 1, 1), "last": date(2031, 1, 2)}, UnknownValueError, "events from 2020-01-28 to 2020-01-30"),
        (["od"], {"first": date(2020, 1, 30), "last": date(2020, 1, 28)}, UnknownValueError, "ends .* before it begins"),
    ],
)
def test_what_cannot_be_answered(tmp_path: Path, events: list, names: list, options: dict, error: type, says: str) -> None:
    data = with_days(tmp_path, events, range(3))
    with pytest.raises(error, match=says) as caught:
        run_measures(data, names, **options)
    assert caught.value.code


def test_no_dataset(tmp_path: Path) -> None:
    with pytest.raises(NothingFoundError, match="no dataset here"):
        run_measures(tmp_path, ["od"])


def test_a_truncated_day_is_named(tmp_path: Path, events: list) -> None:
    data = with_days(tmp_path, events, range(3))
    path = next((data / "events").glob("2020-01-29*"))
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(FileUnreadableError, match="2020-01-29"):
        run_measures(data, ["od"])


def test_written_files_say_what_they_are(tmp_path: Path, events: list) -> None:
    answer = run_measures(with_days(tmp_path / "d", events, range(3)), ["od"])["od"]
    for suffix in (".parquet", ".csv", ".json"):
        write_table(tmp_path / f"od{suffix}", answer.table, answer.about)
    assert metadata_of(tmp_path / "od.parquet")["measure"] == "od"
    assert pq.read_table(tmp_path / "od.parquet").replace_schema_metadata().equals(answer.table)
    assert json.loads((tmp_path / "od.json").read_text())["about"]["unit"] == "trips"
    assert (tmp_path / "od.csv").read_text().startswith('"day","origin"')
    with pytest.raises(UnknownValueError, match="must end in"):
        write_table(tmp_path / "od.xlsx", answer.table, answer.about)


def test_a_truncated_day_on_duckdb(tmp_path: Path, events: list) -> None:
    data = with_days(tmp_path, events, range(3))
    path = next((data / "events").glob("2020-01-29*"))
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(DatasetCorruptError, match="cannot be read"):
        run_measures(data, ["work"], engine="duckdb")
