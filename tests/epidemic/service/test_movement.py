"""Trips by date and movement by week: what is read, what is carried and told, what is refused."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from oneteam.cli.epidemic import app
from oneteam.core.errors import DocumentError, InputError
from oneteam.epidemic.engine.scenario import WorldFiles
from oneteam.epidemic.service.movement import read_movement
from oneteam.epidemic.service.simulate import prepare_scenario, read_scenario
from oneteam.epidemic.service.trips import read_dated_trips
from oneteam.epidemic.service.world import load_world
from tests.telecom.needs import DATA, needs_data

ZONES = "code,population\n0101,40000\n0102,60000\n1101,20000\n"
DATED = """week_start,origin,destination,trips_per_day
2020-03-02,0101,0102,8000
2020-03-02,0102,1101,4000
2020-03-09,0101,0102,4000
2020-03-09,0102,1101,2000
2020-03-23,0101,0102,2000
2020-03-23,0102,1101,1000
"""
MOVEMENT = """week_start,location,trips
2020-02-24,01,1000
2020-02-24,11,500
2020-03-02,01,1000
2020-03-02,11,500
2020-03-09,01,640
2020-03-09,11,320
"""
SCENARIO = """
[world]
zones = "zones.csv"
od = "od.csv"
mobility = "movement.csv"
mobility_reference = { from = 2020-02-24, to = 2020-03-08 }
[model]
preset = "seir"
[run]
first_day = 2020-03-02
days = 21
members = 8
[calendar]
commuting_weekend = 1.0
[[infected]]
people = 60
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "zones.csv").write_text(ZONES)
    (tmp_path / "dated.csv").write_text(DATED)
    (tmp_path / "od.csv").write_text("origin,destination,trips_per_day\n0101,0102,8000\n0102,1101,4000\n")
    (tmp_path / "movement.csv").write_text(MOVEMENT)
    (tmp_path / "scenario.toml").write_text(SCENARIO)
    return tmp_path


def test_dated_trips_change_commuting_and_their_gaps_are_told(folder: Path) -> None:
    (folder / "scenario.toml").write_text(
        SCENARIO.replace('"od.csv"', '"dated.csv"').split("mobility =")[0] + SCENARIO[SCENARIO.index("[model]") :]
    )
    prepared = prepare_scenario(read_scenario(folder / "scenario.toml"), folder)
    periods = prepared.loaded.world.commuting.periods
    assert [p.first.isoformat() for p in periods] == ["2020-03-02", "2020-03-09", "2020-03-23"]
    assert periods[0].share == pytest.approx(2 * periods[1].share)
    assert periods[0].share == pytest.approx(4 * periods[2].share)
    assert any("not told for 2020-03-16 to 2020-03-22" in note for note in prepared.loaded.notes)


def test_a_place_that_a_date_does_not_name_keeps_its_trips(folder: Path) -> None:
    (folder / "dated.csv").write_text(DATED.replace("2020-03-09,0102,1101,2000\n", "").replace("03-23,0101,0102,2000", "03-23,0101,0102,"))
    notes: list[str] = []
    found = read_dated_trips([folder / "dated.csv"], notes)
    assert (found.units, found.step_d) == (("0101", "0102", "1101"), 7)
    assert [matrix[1, 2] for matrix in found.trips] == [4000, 4000, 1000]
    assert [matrix[0, 1] for matrix in found.trips] == [8000, 4000, 4000]
    assert any("1101 (2020-03-09)" in note for note in notes)
    assert any("1 empty number" in note for note in notes)


def test_several_files_with_dates_in_their_names(folder: Path) -> None:
    for day, trips in (("2020-03-02", 5000), ("2020-04-06", 1000)):
        (folder / f"od-{day}.csv").write_text(f"unit,0101,0102\n0101,0,{trips}\n0102,{trips},0\n")
    world = load_world(WorldFiles(zones="zones.csv", od_files=("od-2020-04-06.csv", "od-2020-03-02.csv")), folder).world
    first, second = world.commuting.periods
    assert (first.first, second.first) == (date(2020, 3, 2), date(2020, 4, 6))
    assert first.share == pytest.approx(5 * second.share)
    with pytest.raises(InputError, match=r"no date says from when it holds"):
        load_world(WorldFiles(zones="zones.csv", od_files=("od-2020-03-02.csv", "od.csv")), folder)
    (folder / "again-2020-03-02.csv").write_text((folder / "od-2020-03-02.csv").read_text())
    with pytest.raises(InputError, match="stand already in"):
        load_world(WorldFiles(zones="zones.csv", od_files=("od-2020-03-02.csv", "again-2020-03-02.csv")), folder)


def test_movement_scales_each_day(folder: Path) -> None:
    prepared = prepare_scenario(read_scenario(folder / "scenario.toml"), folder)
    assert prepared.course.origin[:7] == pytest.approx(1.0)
    # A region's movement is that of its zones; after the last week it is carried on.
    assert prepared.course.origin[7:] == pytest.approx(0.8)
    assert prepared.course.destination[7:] == pytest.approx(0.8)
    assert any("2020-03-16 to 2020-03-22: the last value before is carried on" in note for note in prepared.loaded.notes)


def test_gaps_and_unknown_places_of_movement_are_named(folder: Path) -> None:
    text = MOVEMENT.replace("2020-03-02,11,500\n", "").replace("03-09,11,320", "03-09,11,") + "2020-03-09,99,7\n"
    (folder / "movement.csv").write_text(text)
    notes: list[str] = []
    found = read_movement(folder / "movement.csv", ["0101", "1101", "2101"], None, None, notes)
    assert found.factor[:, 1].tolist() == [1.0, 1.0, 1.0]
    assert found.factor[:, 2].tolist() == [1.0, 1.0, 1.0]
    assert found.factor[2, 0] == pytest.approx(0.64)
    assert any("11 (2020-03-02, 2020-03-09)" in note for note in notes)
    assert any("no zones was left out: 99" in note for note in notes)
    assert any("without movement: 2101" in note for note in notes)


def test_what_was_not_published_is_not_used(folder: Path) -> None:
    def read(known_on: date):
        return read_movement(folder / "movement.csv", ["01", "11"], None, known_on, [])

    assert len(read(date(2020, 3, 30)).firsts) == 3
    assert len(read(date(2020, 3, 29)).firsts) == 2
    # What comes later changes nothing, not even the reference.
    changed = folder / "movement.csv"
    before = read(date(2020, 3, 29)).factor
    changed.write_text(MOVEMENT.replace("640", "64000"))
    assert (read(date(2020, 3, 29)).factor == before).all()
    with pytest.raises(InputError, match="nothing was published"):
        read(date(2020, 3, 1))
    files = WorldFiles(zones="zones.csv", od="dated.csv", mobility_known_on=date(2020, 3, 31))
    assert len(load_world(files, folder).world.commuting.periods) == 2


@pytest.mark.parametrize(
    ("file", "old", "new", "said"),
    [
        ("movement.csv", "11,320", "11,nan", "trips is 'nan', must be a number"),
        ("movement.csv", "11,320", "11,-1", "trips is -1"),
        ("movement.csv", "2020-03-09,11", "2020-03-10,11", "not a multiple of 7 days"),
        ("movement.csv", "2020-03-09,11", "2020-03-02,11", "stands twice"),
        ("movement.csv", "2020-03-09,11", "soon,11", "must be a date"),
        ("movement.csv", "week_start,location,trips", "week_start,place,trips", "needs columns week_start"),
        ("movement.csv", "week_start,location,trips", "origin,destination,trips", "between places"),
        ("scenario.toml", "from = 2020-02-24, to = 2020-03-08", "from = 2021-02-22, to = 2021-03-08", "no whole week in the reference"),
        ("scenario.toml", 'od = "od.csv"', "", "no trips for it to scale"),
        ("scenario.toml", 'mobility = "movement.csv"', "", "but no mobility"),
        ("scenario.toml", 'od = "od.csv"', 'od = "od.csv"\nod_files = ["dated.csv"]', "either od or od_files"),
        ("zones.csv", ZONES, "code,population\nA,5000\nB,5000\n", "none of its"),
        ("dated.csv", "0102,8000", "0102,nan", "trips_per_day is 'nan'"),
        ("dated.csv", "2020-03-09,0101,0102", "2020-03-02,0101,0102", "stands twice on 2020-03-02"),
        ("dated.csv", "2020-03-09,0101", ",0101", "week_start is empty"),
        ("dated.csv", "origin,destination", "from,to", "need columns origin and destination"),
    ],
)
def test_bad_input_is_named(folder: Path, file: str, old: str, new: str, said: str) -> None:
    if file == "dated.csv":
        (folder / "scenario.toml").write_text(SCENARIO.replace('"od.csv"', '"dated.csv"'))
    text = (folder / file).read_text()
    assert old in text
    (folder / file).write_text(text.replace(old, new, 1))
    with pytest.raises((InputError, DocumentError)) as caught:
        prepare_scenario(read_scenario(folder / "scenario.toml"), folder)
    assert said in caught.value.message, caught.value.message


def test_by_command(folder: Path) -> None:
    words = [
        "simulate",
        "--preset",
        "seir",
        "--zones",
        folder / "zones.csv",
        "--od",
        folder / "dated.csv",
        "--mobility",
        folder / "movement.csv",
    ]
    words += ["--mobility-reference", "2020-02-24:2020-03-08", "--start", "2020-03-02", "--days", 30, "--members", 8, "--infected", 100]
    words += ["--reproduction-number", 1.5, "--reproduction-number-is", "on_first_day", "--no-plots", "--json", "--out", folder / "out"]
    result = CliRunner().invoke(app, [str(word) for word in words], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    notes = json.loads(result.stdout)["notes"]
    assert any(note.startswith("Movement is not told") for note in notes)
    for bad in ("2020-02-24", "2020-03-08:2020-02-24", "x:y"):
        with pytest.raises(InputError, match="--mobility-reference"):
            CliRunner().invoke(app, [str(w) if w != "2020-02-24:2020-03-08" else bad for w in words], catch_exceptions=False)


@needs_data
def test_korean_movement_is_read() -> None:
    codes = ["11010", "23010", "39010"]
    found = read_movement(DATA / "korea" / "movement_weekly.csv", codes, (date(2019, 12, 30), date(2020, 2, 16)), None, [])
    assert found.factor.shape[1] == 3
    assert found.factor[:7].mean(axis=0) == pytest.approx(1.0, abs=0.02)
    week = found.firsts.index(date(2020, 3, 2))
    # The first wave: Seoul moved a third less.
    assert 0.5 < found.factor[week, 0] < 0.9
    assert np.isfinite(found.factor).all()
