"""Running measures on a dataset: keeping daily results, periods, engines, and what goes wrong."""

from __future__ import annotations

import json
from datetime import date, timedelta
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from oneteam.core.errors import DatasetCorruptError, FileUnreadableError, NothingFoundError, UnknownValueError, UnsupportedMeasureError
from oneteam.store.result_files import write_table
from oneteam.store.tables import metadata_of
from oneteam.telecom.measures.catalogue import MEASURES
from oneteam.telecom.service.measure import run_measures
from tests.telecom.datasets import kst, random_events, write_dataset, zones_of_cells

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
    files = sorted(path.name.split(".")[0] for path in (data / "cache").glob("od-aggregate-*/*"))
    assert files == [(FIRST + timedelta(i)).isoformat() for i in range(5)]
    for path in (data / "cache").glob("*/*"):
        path.unlink()
    again = run_measures(data, ["od"], last=FIRST + timedelta(3))["od"]
    assert again.table.num_rows >= first.table.num_rows


def test_other_settings_are_other_results(tmp_path: Path, events: list) -> None:
    from oneteam.telecom.measures.measure import MeasureSettings

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
        (["od"], {"first": date(2031, 1, 1)}, NothingFoundError, "no day of the period is in the dataset"),
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


def test_days_without_any_event_in_between(tmp_path: Path, events: list) -> None:
    """Whether a question can be answered does not depend on what was asked before."""
    days = {FIRST, FIRST + timedelta(1), FIRST + timedelta(11)}
    data = write_dataset(tmp_path, [e for e in events if e[1].date() in days], cell_zones=zones_of_cells(12, 5))
    run_measures(data, DAILY_AND_MONTHLY, last=FIRST + timedelta(3))
    kept = run_measures(data, DAILY_AND_MONTHLY)
    fresh = run_measures(data, DAILY_AND_MONTHLY, keep=False)
    for name in DAILY_AND_MONTHLY:
        assert kept[name].table.equals(fresh[name].table), name
    with pytest.raises(NothingFoundError, match="no events from 2020-02-02"):
        run_measures(data, ["presence"], first=FIRST + timedelta(5), last=FIRST + timedelta(6))


def test_one_stray_time_stamp_of_1980_does_no_harm(tmp_path: Path, events: list) -> None:
    stray = (7, kst("1980-01-06T00:00:00"), 0)
    data = write_dataset(tmp_path, [stray, *(e for e in events if e[1].date() <= FIRST + timedelta(2))], cell_zones=zones_of_cells(12, 5))
    found = run_measures(data, ["presence", "od", "home"])
    assert found["presence"].computed_days < 12
    assert found["presence"].table.slice(0, 1).to_pylist()[0]["day"] == date(1980, 1, 6)


def test_processes_do_not_take_each_others_days_away(tmp_path: Path, events: list) -> None:
    from concurrent.futures import ThreadPoolExecutor

    from oneteam.telecom.measures.measure import MeasureSettings

    data = with_days(tmp_path, events, range(4))
    settings = [MeasureSettings(min_stay_s=s) for s in (1_200, 1_800, 1_200, 1_800)]
    with ThreadPoolExecutor(4) as pool:
        for _ in range(3):
            answers = list(pool.map(lambda cfg: run_measures(data, ["od"], settings=cfg)["od"].table, settings))
            assert answers[0].equals(answers[2])
            assert answers[1].equals(answers[3])
    assert {run_measures(data, ["od"], settings=cfg)["od"].computed_days for cfg in settings} == {0}


def test_homes_rest_on_the_whole_month_whatever_is_asked(tmp_path: Path, events: list) -> None:
    data = with_days(tmp_path, events, range(12))
    whole = run_measures(data, ["trips", "home"], keep=False)
    day = FIRST + timedelta(7)
    for keep in (True, False):
        part = run_measures(data, ["trips", "home"], first=day, last=day, keep=keep)
        assert part["trips"].table.to_pylist() == [row for row in whole["trips"].table.to_pylist() if row["day"] == day]
        assert part["home"].table.to_pylist() == [row for row in whole["home"].table.to_pylist() if row["month"] == "2020-02"]


def test_many_cells_and_not_one_trip(tmp_path: Path) -> None:
    """The sparse path with nothing in it."""
    start = kst("2020-01-30T12:00:00")
    data = write_dataset(tmp_path, [(c, start + timedelta(days=c % 5), c) for c in range(3_200)])
    found = run_measures(data, ["od", "presence", "home"], keep=False)
    assert found["od"].table.num_rows == 0
    assert found["presence"].table.num_rows == 3_200


def test_a_dataset_of_roamers_only(tmp_path: Path) -> None:
    at = kst("2020-01-30T12:00:00")
    data = write_dataset(tmp_path, [], inbound=[(1, at, 0, "JP"), (2, at, 0, "JP")], outbound=[(5, at, 540, "JP")])
    table = run_measures(data, ["inbound_roamers"])["inbound_roamers"].table
    assert table.select(["country", "value", "active"]).to_pylist() == [{"country": "JP", "value": 2, "active": None}]
    assert run_measures(data, ["days_abroad"])["days_abroad"].table["value"].to_pylist() == [1]
    with pytest.raises(NothingFoundError):
        run_measures(data, ["presence"])
