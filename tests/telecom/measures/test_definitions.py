"""The measures against a slow second implementation, and by hand."""

from __future__ import annotations

from collections import Counter
from datetime import date, timedelta
from pathlib import Path

import pytest

from oneteam.core.errors import UnknownValueError
from oneteam.telecom.measures.measure import MeasureSettings
from oneteam.telecom.service.measure import run_measures
from tests.contract.edge_cases import edge_events
from tests.telecom.brute_force import Oracle, days_between
from tests.telecom.datasets import kst, random_events, write_dataset, zones_of_cells

CELLS = 12
DAYS = days_between(date(2020, 1, 30), date(2020, 2, 3))


def zone_of(cell: int, _day: date) -> int:
    return cell * 5 // CELLS


@pytest.mark.parametrize(
    ("seed", "cfg"),
    [
        (1, MeasureSettings()),
        (2, MeasureSettings(min_stay_s=1_200)),
        (3, MeasureSettings(min_stay_s=3_600, max_gap_stay_s=7_200, max_gap_move_s=3_600, pad_s=900, max_gap_trip_s=20_000)),
    ],
)
def test_against_the_oracle(tmp_path: Path, seed: int, cfg: MeasureSettings) -> None:
    events = [*random_events(seed, subscribers=30), *edge_events()]
    data = write_dataset(tmp_path, events, cell_zones=zones_of_cells(CELLS, 5))
    oracle = Oracle(events, DAYS, zone_of, cfg, "Asia/Seoul")
    found = run_measures(data, ["presence", "od", "home", "time_segments", "night_dwell"], settings=cfg, keep=False)

    presence = Counter((day, hour, zone) for _, day, hour, zone in oracle.presence())
    assert _table(found["presence"].table, "day", "hour", "zone") == {k: (n, n) for k, n in presence.items()}
    assert _table(found["od"].table, "day", "origin", "destination") == _summed(oracle.trips())
    segments, night = oracle.seconds()
    assert _table(found["time_segments"].table, "day", "state", "zone") == _summed(segments)
    assert _table(found["night_dwell"].table, "day", "zone") == _summed(night)
    homes = Counter((month, zone) for (_, month), zone in oracle.home().items())
    assert _table(found["home"].table, "month", "zone") == {k: (n, n) for k, n in homes.items()}


def _table(table, *keys: str) -> dict[tuple, tuple[int, int]]:
    names = {"zone", "origin", "destination"}
    return {
        tuple(int(row[k]) if k in names and row[k] is not None else row[k] for k in keys): (row["value"], row["subscribers"])
        for row in table.to_pylist()
    }


def _summed(rows: Counter) -> dict[tuple, tuple[int, int]]:
    total, people = Counter(), Counter()
    for (_, *key), value in rows.items():
        total[tuple(key)] += value
        people[tuple(key)] += 1
    return {key: (total[key], people[key]) for key in total}


def test_a_day_by_hand(tmp_path: Path) -> None:
    """Home until 8, at work from 9 to 18, home again at 19, with an event every hour."""
    at = kst("2020-03-02T00:00:00")
    events = [(1, at + timedelta(hours=h), 0 if h <= 8 or h >= 19 else 1) for h in range(24)]
    lookup = [{"cell": c, "zone": c, "weight": 1.0} for c in range(2)]
    found = run_measures(write_dataset(tmp_path, events, cell_zones=lookup), ["od", "home", "time_segments", "presence", "trips"])
    assert found["od"].table.select(["day", "origin", "destination", "value", "subscribers", "active"]).to_pylist() == [
        {"day": date(2020, 3, 2), "origin": "00000", "destination": "00001", "value": 1, "subscribers": 1, "active": 1},
        {"day": date(2020, 3, 2), "origin": "00001", "destination": "00000", "value": 1, "subscribers": 1, "active": 1},
    ]
    assert found["home"].table.select(["month", "zone", "value"]).to_pylist() == [{"month": "2020-03", "zone": "00000", "value": 1}]
    hours = {(r["state"], r["zone"]): r["value"] / 3600 for r in found["time_segments"].table.to_pylist()}
    # The first event has no silence before it inside the record: five minutes belong to the day before, which has no data.
    assert hours == {("stay", "00000"): pytest.approx(9 + 4 + 5 / 60), ("stay", "00001"): pytest.approx(10)}
    assert found["presence"].table.num_rows == 24
    assert found["trips"].table.select(["home", "value"]).to_pylist() == [{"home": "00000", "value": 2}]


def test_work_and_usual_environment(tmp_path: Path) -> None:
    start = kst("2020-03-02T00:00:00")  # a Monday
    events = []
    for day in range(7):
        for hour in range(24):
            cell = 1 if day < 5 and 9 <= hour < 18 else 2 if day == 5 and hour == 15 else 0
            events.append((1, start + timedelta(days=day, hours=hour), cell))
    lookup = [{"cell": c, "zone": c, "weight": 1.0} for c in range(3)]
    found = run_measures(write_dataset(tmp_path, events, cell_zones=lookup), ["home", "home_permanence", "work", "usual_environment"])
    assert found["home"].table["zone"].to_pylist() == ["00000"]
    assert found["home_permanence"].table["zone"].to_pylist() == ["00000"]
    assert found["work"].table["zone"].to_pylist() == ["00001"]
    # Zone 2 was seen on one day of seven: 14 per cent.
    usual = found["usual_environment"].table
    assert dict(zip(usual["zone"].to_pylist(), usual["value"].to_pylist(), strict=True)) == {"00000": 7, "00001": 5}


@pytest.mark.parametrize(
    "wrong",
    [
        {"pad_s": 4_000},
        {"max_gap_stay_s": 50_000},
        {"min_stay_s": 600},
        {"max_gap_trip_s": 100_000},
        {"work_h": (18, 9)},
        {"night_h": (25, 3)},
    ],
)
def test_settings_that_would_break_a_rule(wrong: dict) -> None:
    with pytest.raises(UnknownValueError, match="must satisfy"):
        MeasureSettings(**wrong)
