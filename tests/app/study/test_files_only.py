"""Public tables in the place of Releases: no member, no home; and the pieces by themselves."""

from __future__ import annotations

import asyncio
import csv
from datetime import date
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from oneteam.app.study.ensemble import draw_of
from oneteam.app.study.folder import StudyFolder
from oneteam.app.study.known import known_on
from oneteam.app.study.mobility import Trips
from oneteam.app.study.run import run_study
from oneteam.app.study.tables import _pooled
from oneteam.app.study.toml import to_toml
from oneteam.app.study.verifying import verify
from oneteam.core.errors import MissingColumnError, NothingFoundError, UnknownValueError, WrongTypeError
from tests.app.study.conftest import listed, read, study_text

TABLES = """
[[tables]]
measure = "od"
file = "od.csv"

[[tables]]
measure = "movement"
file = "movement.csv"
"""


@pytest.fixture
def public(alliance: Path, tmp_path: Path) -> Path:
    """The country's own truth as public tables."""
    (tmp_path / "country").symlink_to(alliance / "country")
    table = pq.read_table(alliance / "country" / "truth" / "od_daily.parquet")
    trips: dict[tuple[str, str], int] = {}
    weeks: dict[tuple[date, str], int] = {}
    zones = (alliance / "country" / "zones.csv").read_text().splitlines()
    region = {row["code"]: row["region"] for row in csv.DictReader(zones)}
    for row in table.to_pylist():
        pair = (row["origin"], row["destination"])
        trips[pair] = trips.get(pair, 0) + row["trips"]
        week = date.fromordinal(row["day"].toordinal() - row["day"].weekday())
        weeks[week, region[row["origin"]]] = weeks.get((week, region[row["origin"]]), 0) + row["trips"]
    with (tmp_path / "od.csv").open("w") as file:
        file.write("origin,destination,trips_per_day\n" + "".join(f"{a},{b},{n / 70}\n" for (a, b), n in trips.items()))
    with (tmp_path / "movement.csv").open("w") as file:
        file.write("week_start,location,trips\n" + "".join(f"{w},{r},{n}\n" for (w, r), n in sorted(weeks.items())))
    (tmp_path / "study.toml").write_text(study_text(who=TABLES, more=""))
    return tmp_path


def test_public_tables_stand_for_releases(public: Path) -> None:
    out = public / "out"
    ran = asyncio.run(run_study(public / "study.toml", out))
    skipped = {name for name, state in ran.states.items() if state == "skipped"}
    assert skipped == {"releases", "notices", "truth"}
    assert set(ran.states.values()) == {"skipped", "done"}
    assert read(out / "importation" / "importation.json")["identifiable"] is False
    assert any("border measures were left out" in note for note in read(out / "importation" / "importation.json")["notes"])
    assert read(out / "scenario" / "comparison.json")["draws"] == 1
    assert read(out / "provenance.json")["rho_spent"] == 0
    before = listed(out)
    again = asyncio.run(run_study(public / "study.toml", out))
    assert set(again.states.values()) == {"skipped", "reused"}
    assert listed(out) == before


def test_dated_files_are_cut(tmp_path: Path) -> None:
    source, target = tmp_path / "cases.csv", tmp_path / "known.csv"
    source.write_text("date,location,new_cases\n2020-03-01,1,5\n2020-03-02,1,6\n\n")
    assert known_on(source, target, date(2020, 3, 1)) == 1
    assert target.read_text() == "date,location,new_cases\n2020-03-01,1,5\n"
    with pytest.raises(NothingFoundError, match="no row up to 2020-02-01"):
        known_on(source, target, date(2020, 2, 1))
    source.write_text("when,new_cases\n2020-03-01,5\n")
    with pytest.raises(MissingColumnError, match="no column of dates"):
        known_on(source, target, date(2020, 3, 1))
    source.write_text("date,new_cases\nyesterday,5\n")
    with pytest.raises(WrongTypeError, match="row 2: 'yesterday' must be a date"):
        known_on(source, target, date(2020, 3, 1))
    table = pa.table({"day": pa.array([date(2020, 3, 1), date(2020, 3, 2)], pa.date32()), "value": [1, 2]})
    pq.write_table(table, tmp_path / "a.parquet")
    assert known_on(tmp_path / "a.parquet", tmp_path / "b.parquet", date(2020, 3, 1)) == 1
    assert pq.read_table(tmp_path / "b.parquet")["value"].to_pylist() == [1]


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("week_start,trips\n2020-02-24,1\n2020-03-02,2\n", ["2020-02-24"]),
        ("month,value\n2020-02,1\n2020-03,2\n", ["2020-02"]),
        ("date,report_date,n\n2020-02-28,2020-03-02,1\n2020-02-28,2020-03-01,2\n2020-02-27,,3\n", ["2020-02-28", "2020-02-27"]),
    ],
)
def test_a_row_is_known_when_all_its_days_are_over(tmp_path: Path, text: str, kept: list[str]) -> None:
    day = date(2020, 3, 1)
    (tmp_path / "a.csv").write_text(text)
    assert known_on(tmp_path / "a.csv", tmp_path / "b.csv", day) == 1
    assert [line.split(",")[0] for line in (tmp_path / "b.csv").read_text().splitlines()[1:]] == kept
    header, *rows = [line.split(",") for line in text.splitlines()]
    columns = {name: pa.array([row[i] or None for row in rows]) for i, name in enumerate(header)}
    pq.write_table(pa.table(columns), tmp_path / "a.parquet")
    assert known_on(tmp_path / "a.parquet", tmp_path / "b.parquet", day) == 1
    assert pq.read_table(tmp_path / "b.parquet")[header[0]].to_pylist() == kept
    pq.write_table(pa.table({"date": ["2020-02-28", "March"]}), tmp_path / "a.parquet")
    with pytest.raises(WrongTypeError, match="date: must be dates like 2020-01-31"):
        known_on(tmp_path / "a.parquet", tmp_path / "b.parquet", day)


def test_a_table_of_means_may_be_without_dates(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("country,value\nVN,3\n")
    with pytest.raises(MissingColumnError):
        known_on(tmp_path / "a.csv", tmp_path / "b.csv", date(2020, 3, 1))
    assert known_on(tmp_path / "a.csv", tmp_path / "b.csv", date(2020, 3, 1), undated=True) == 0
    assert (tmp_path / "b.csv").read_text() == (tmp_path / "a.csv").read_text()


def test_two_files_of_one_name_are_refused(public: Path) -> None:
    (public / "other").mkdir()
    cases = next(line for line in (public / "study.toml").read_text().splitlines() if line.startswith("file = ") and "cases" in line)
    name = cases.split('"')[1]
    (public / "other" / Path(name).name).write_bytes((public / name).read_bytes())
    text = (public / "study.toml").read_text()
    (public / "study.toml").write_text(text.replace(cases, f'{cases}\nages = "other/{Path(name).name}"'))
    with pytest.raises(UnknownValueError, match="two files of one name"):
        asyncio.run(run_study(public / "study.toml", public / "out"))


def test_what_a_study_no_longer_asks_for_is_not_left_in_it(public: Path) -> None:
    asyncio.run(run_study(public / "study.toml", public / "out"))
    assert (public / "out" / "scenario" / "comparison.json").is_file()
    text = (public / "study.toml").read_text()
    (public / "study.toml").write_text(text[: text.index("[scenario]")] + text[text.index("[alerts]") :])
    ran = asyncio.run(run_study(public / "study.toml", public / "out"))
    assert ran.states["scenario"] == "skipped"
    assert not (public / "out" / "scenario" / "comparison.json").exists()
    assert verify(StudyFolder(public / "out")).valid


def test_draws_keep_the_mean_and_are_never_negative() -> None:
    mean = np.array([[[0.0, 50.0, 0.5], [1.0, 0.0, 2.0], [0.0, 3.0, 0.0]]])
    std = np.array([[[0.0, 5.0, 3.0], [3.0, 0.0, 1.0], [4.0, 3.0, 0.0]]])
    trips = Trips(("a", "b", "c"), (date(2020, 3, 2),), (7,), mean, std)
    drawn = np.stack([draw_of(trips, 5, k) for k in range(4000)])
    assert (drawn >= 0).all()
    assert np.allclose(drawn.mean(axis=0), mean, atol=0.25)
    assert np.isclose(drawn[:, 0, 0, 1].std(), 5.0, rtol=0.1)
    assert (drawn[0] == draw_of(trips, 5, 0)).all()
    assert (drawn[0] != drawn[1]).any()


def test_hidden_cells_share_their_block_and_no_total_is_lost() -> None:
    value = np.array([[100.0, 2.0, 4.0], [3.0, 1.0, 0.5]])
    std = np.full((2, 3), 2.0)
    block = np.array([0, 0, 0, 1, 1, 1])
    pooled, spread = _pooled(value, std, value < 5, block, 5)
    assert pooled.tolist() == [[100.0, 3.0, 3.0], [0.0, 0.0, 0.0]]
    assert spread[0, 1] == pytest.approx(np.sqrt(4.0 + 1.0))


def test_toml_is_read_back() -> None:
    import tomllib

    document = {
        "name": 'say "hi"\n',
        "on": True,
        "world": {"files": ["a", "b"], "empty": {}, "first": date(2020, 1, 2), "x": 1e-9},
        "rows": [{"n": 1}, {"n": 2.5, "odd key": {"a": 1}}],
    }
    assert tomllib.loads(to_toml(document)) == document


def test_dated_public_trips_end_where_they_were_published(public: Path) -> None:
    rows = (public / "od.csv").read_text().splitlines()[1:]
    weeks = ("2020-02-03", "2020-02-10", "2020-02-17", "2020-03-02")
    (public / "od.csv").write_text("date,origin,destination,trips_per_day\n" + "".join(f"{week},{row}\n" for week in weeks for row in rows))
    text = (public / "study.toml").read_text()
    begin, end = text.index("[importation]"), text.index("[scenario]")
    (public / "study.toml").write_text(text[:begin] + text[end:])
    ran = asyncio.run(run_study(public / "study.toml", public / "out"))
    assert ran.failed == {}
    table = pq.read_table(public / "out" / "mobility" / "od.parquet")
    assert [str(day) for day in sorted(set(table["first_day"].to_pylist()))] == list(weeks[:2])
    assert any("up to those from 2020-02-10" in note for note in read(public / "out" / "scenario" / "comparison.json")["notes"])
