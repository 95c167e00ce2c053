"""`oneteam epidemic simulate` and `scenario` on files, good and bad."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from oneteam.cli.epidemic import app
from oneteam.core.errors import DocumentError, InputError
from oneteam.epidemic.engine.scenario import WorldFiles
from oneteam.epidemic.service.scenario import compare_scenario
from oneteam.epidemic.service.simulate import prepare_scenario, read_scenario, simulate
from oneteam.epidemic.service.world import load_world, read_trips
from tests.telecom.needs import DATA, needs_data

KOREA = DATA / "korea"
ZONES = (
    "code,population,population_15_plus,region,name\n01,40000,30000,0,Alpha\n02,60000,50000,0,Beta\n11,20000,15000,1,Gamma\n12,,,1,Delta\n"
)
TRIPS = "origin,destination,trips_per_day\n01,02,8000\n02,01,8000\n02,11,3000\n11,02,3000\n"
SCENARIO = """
name = "Test"
[world]
zones = "zones.csv"
contacts = "contacts"
od = "od.csv"
geometry = "zones.geojson"
[model]
preset = "covid19"
[run]
first_day = 2020-03-02
days = 80
members = 32
[calendar]
school_terms = [{ from = 2020-03-02, to = 2020-04-10 }]
holidays = [2020-04-15]
[[infected]]
people = 60
zones = ["01"]
[[imports]]
per_day = 0.5
[[measures]]
kind = "masks"
from = 2020-03-16
coverage = 0.9
effectiveness = 0.5
"""
KINDS = [
    'kind = "contacts"\nfrom = 2020-03-16\nsetting = "community"\nreduction = 0.5',
    'kind = "close_schools"\nfrom = 2020-03-16\nhome_increase = 0.0',
    'kind = "work_from_home"\nfrom = 2020-03-16\nshare = 0.6',
    'kind = "mobility"\nfrom = 2020-03-04\nreduction = 1.0',
    'kind = "isolation"\nfrom = 2020-03-16\nshare = 0.6',
    'kind = "vaccination"\nfrom = 2020-03-16\ndoses_per_day = 1500\nages = [20, 99]',
    'kind = "masks"\nfrom = 2020-03-16\nto = 2020-04-20\nzones = ["0"]\nages = [0, 60]\ncoverage = 0.9\neffectiveness = 0.6',
]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "zones.csv").write_text(ZONES)
    (tmp_path / "od.csv").write_text(TRIPS)
    (tmp_path / "contacts").mkdir()
    for setting, level in (("home", 1.0), ("school", 1.0), ("work", 1.5), ("community", 2.0)):
        matrix = level * (np.full((16, 16), 0.2) + np.eye(16) * (3.0 if setting != "school" else 0.0))
        if setting == "school":
            matrix[1:4, 1:4] += 4.0
        (tmp_path / "contacts" / f"contacts_{setting}_16ages.csv").write_text(
            "\n".join(",".join(f"{v:.3f}" for v in row) for row in matrix)
        )
    squares = [
        {
            "type": "Feature",
            "properties": {"code": code},
            "geometry": {"type": "Polygon", "coordinates": [[[x, 36], [x + 0.1, 36], [x + 0.1, 36.1], [x, 36.1], [x, 36]]]},
        }
        for code, x in (("01", 127.0), ("02", 127.1), ("11", 127.2), ("12", 127.3))
    ]
    (tmp_path / "zones.geojson").write_text(json.dumps({"type": "FeatureCollection", "features": squares}))
    (tmp_path / "scenario.toml").write_text(SCENARIO)
    return tmp_path


def with_measure(folder: Path, measure: str) -> Path:
    path = folder / "one.toml"
    path.write_text(SCENARIO[: SCENARIO.index("[[measures]]")] + "[[measures]]\n" + measure + "\n")
    return path


def test_simulate_by_command(folder: Path, tmp_path: Path) -> None:
    words = [
        "simulate",
        "--preset",
        "covid19",
        "--zones",
        folder / "zones.csv",
        "--contacts",
        folder / "contacts",
        "--od",
        folder / "od.csv",
    ]
    words += ["--geometry", folder / "zones.geojson", "--members", 20, "--days", 60, "--infected", 50, "--out", tmp_path / "out", "--json"]
    result = CliRunner().invoke(app, [str(word) for word in words], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    told = json.loads(result.stdout)
    assert told["totals"]["infections"]["median"] > 50
    assert any("12 (Delta)" in note for note in told["notes"])
    for name in told["files"]:
        assert (tmp_path / "out" / name).stat().st_size > 0
    assert {"fans.png", "map.png", "map-arrival.png", "zones.parquet"} <= set(told["files"])
    table = pq.read_table(tmp_path / "out" / "zones.parquet")
    assert table.column_names[:4] == ["date", "zone", "quantity", "mean"]
    assert table.num_rows == 60 * 4 * 8
    assert (table["q0.025"].to_numpy() <= table["q0.975"].to_numpy()).all()
    plain = CliRunner().invoke(app, [str(word) for word in words[:-1]] + ["--no-plots", "--exact"], catch_exceptions=False)
    assert plain.exit_code == 0
    assert "infections" in plain.stdout


def test_the_same_seed_gives_the_same_files(folder: Path, tmp_path: Path) -> None:
    scenario = read_scenario(folder / "scenario.toml")
    for name, threads in (("a", 1), ("b", 2)):
        simulate(scenario, folder, tmp_path / name, threads=threads, plots=False)
    assert (tmp_path / "a" / "zones.parquet").read_bytes() == (tmp_path / "b" / "zones.parquet").read_bytes()


def test_scenario_by_command(folder: Path, tmp_path: Path) -> None:
    words = ["scenario", str(folder / "scenario.toml"), "--out", str(tmp_path / "out")]
    result = CliRunner().invoke(app, words, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    assert "averted" in result.stdout
    told = json.loads((tmp_path / "out" / "comparison.json").read_text())
    infections = told["averted"]["infections"]
    assert infections["averted"]["low"] > 0
    assert infections["averted"]["mean"] == pytest.approx(infections["baseline"]["mean"] - infections["scenario"]["mean"])
    assert told["averted"]["hospital"]["averted"]["median"] > 0
    assert all((tmp_path / "out" / name).exists() for name in told["files"])


@pytest.mark.parametrize("measure", KINDS, ids=lambda text: text.split('"')[1])
def test_every_kind_of_measure_averts_infections(folder: Path, tmp_path: Path, measure: str) -> None:
    path = with_measure(folder, measure)
    found = compare_scenario(read_scenario(path), folder, tmp_path / "out", plots=False)
    averted = found.averted["infections"].averted
    assert averted.mean > 0
    assert averted.median > 0


def test_a_border_measure_stops_imports(folder: Path, tmp_path: Path) -> None:
    path = with_measure(folder, 'kind = "border"\nfrom = 2020-03-02\nreduction = 1.0')
    path.write_text(path.read_text().replace("people = 60", "people = 0").replace("per_day = 0.5", "per_day = 3.0"))
    found = compare_scenario(read_scenario(path), folder, tmp_path / "out", plots=False)
    assert found.averted["infections"].scenario.high == 0
    assert found.averted["infections"].baseline.low > 0


def test_population_keeps_its_total_and_its_adults(folder: Path) -> None:
    loaded = load_world(WorldFiles(zones="zones.csv", contacts="contacts"), folder)
    people = loaded.world.population
    assert people.sum(axis=1).tolist() == [40_000, 60_000, 20_000, 0]
    assert people[0, 3:].sum() == pytest.approx(30_000, abs=2)
    assert loaded.world.commuting.share.size == 0


def test_contacts_are_made_reciprocal(folder: Path) -> None:
    world = load_world(WorldFiles(zones="zones.csv", contacts="contacts", od="od.csv"), folder).world
    for matrix in world.contacts.values():
        total = matrix * world.population.sum(axis=0)[:, None]
        assert total == pytest.approx(total.T)


def test_trips_by_units_are_split(folder: Path) -> None:
    (folder / "wide.csv").write_text("unit,name,A,B\nA,Alpha,0,5000\nB,Beta,5000,0\n")
    (folder / "cross.csv").write_text("od_code,code\nA,01\nA,02\nB,11\n")
    files = WorldFiles(zones="zones.csv", od="wide.csv", crosswalk="cross.csv", within_trips_per_resident=0.4)
    loaded = load_world(files, folder)
    commuting = loaded.world.commuting
    share = np.zeros((4, 4))
    share[commuting.origin, commuting.zone] = commuting.share
    # 5000 trips each way between units of 100,000 and 20,000: half of 10,000/2 live in each.
    assert share[2, :2].sum() == pytest.approx(2500 / 20_000)
    assert share[0, 2] == pytest.approx(2500 / 100_000, rel=1e-6)
    assert share[0, 1] > 0
    assert any("12" in note for note in loaded.notes)


@pytest.mark.parametrize(
    ("file", "old", "new", "said"),
    [
        ("zones.csv", "60000", "-5", "population is -5"),
        ("zones.csv", "02,60000", "01,60000", "stands twice"),
        ("zones.csv", "code,population", "code,people", "no column population"),
        ("zones.csv", "40000,30000", "many,30000", "must be a number"),
        ("od.csv", "01,02,8000", "01,02,-8000", "trips_per_day is -8000"),
        ("od.csv", "01,02,8000", "02,01,8000", "stands twice"),
        ("od.csv", "trips_per_day", "flow", "no column trips_per_day"),
        ("contacts/contacts_home_16ages.csv", "3.200", "nan", "none below 0"),
        ("contacts/contacts_home_16ages.csv", "0.200,", "", "square of numbers"),
        ("scenario.toml", 'preset = "covid19"', 'preset = "cholera"', "must be one of"),
        ("scenario.toml", 'preset = "covid19"', "", "either preset or file"),
        ("scenario.toml", "coverage = 0.9", "coverage = 1.9", "measures.0.masks.coverage"),
        ("scenario.toml", "coverage = 0.9", "covrage = 0.9", "measures.0.masks"),
        ("scenario.toml", 'zones = ["01"]', 'zones = ["99"]', "no zone has the code '99'"),
        ("scenario.toml", 'zones = ["01"]', 'zones = ["12"]', "60 infected people among 0 residents"),
        ("scenario.toml", "from = 2020-03-16", "from = 2021-03-16", "outside the simulation"),
        ("scenario.toml", "from = 2020-03-16", "from = 2020-03-16\nto = 2020-03-01", "before it begins"),
        ("scenario.toml", "from = 2020-03-16", "from = 2020-03-16\nages = [50, 40]", "are none of"),
        ("scenario.toml", 'kind = "masks"', 'kind = "prayer"', "measures.0"),
        ("scenario.toml", "people = 60", "people = 600000", "600000 infected people among"),
        ("zones.geojson", '"code": "', '"code": "X', "none of its codes is a zone's"),
    ],
)
def test_bad_input_is_named(folder: Path, tmp_path: Path, file: str, old: str, new: str, said: str) -> None:
    path = folder / file
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new) if file.endswith("geojson") else text.replace(old, new, 1))
    with pytest.raises(InputError) as caught:
        compare_scenario(read_scenario(folder / "scenario.toml"), folder, tmp_path / "out")
    assert said in caught.value.message, caught.value.message


def test_a_scenario_without_measures_or_infected(folder: Path, tmp_path: Path) -> None:
    text = SCENARIO[: SCENARIO.index("[[measures]]")]
    (folder / "none.toml").write_text(text)
    with pytest.raises(InputError, match="no measures"):
        compare_scenario(read_scenario(folder / "none.toml"), folder, tmp_path / "out")
    (folder / "none.toml").write_text(text[: text.index("[[infected]]")])
    with pytest.raises(DocumentError, match="nobody is infected"):
        read_scenario(folder / "none.toml")


@pytest.mark.parametrize("words", [["simulate", "--out", "x"], ["simulate", "--out", "x", "--zones", "z.csv"]])
def test_commands_that_lack_something(words: list[str]) -> None:
    with pytest.raises(InputError):
        CliRunner().invoke(app, words, catch_exceptions=False)


@needs_data
def test_korea_is_read_and_its_gaps_are_told(tmp_path: Path) -> None:
    files = WorldFiles(
        zones="zones250.csv",
        contacts=".",
        ages="population_by_single_age.csv",
        od="od_sigun159_daily.csv",
        crosswalk="od_sigun159_to_kostat2018.csv",
    )
    loaded = load_world(files, KOREA)
    world = loaded.world
    assert world.population.shape == (250, 16)
    assert 50e6 < world.population.sum() < 53e6
    assert sum(m.sum(axis=1).mean() for m in world.contacts.values()) > 5
    assert any("37430 (Ulleung" in note for note in loaded.notes)
    away = np.bincount(world.commuting.origin, world.commuting.share, 250)
    assert 0.1 < np.average(away, weights=world.population.sum(axis=1)) < 0.6
    units, trips = read_trips(KOREA / "od_sido_daily.csv")
    assert len(units) == 17
    assert trips[units.index("11"), units.index("11")] == pytest.approx(13_830_639.8)


@needs_data
def test_korea_runs_from_a_scenario(tmp_path: Path) -> None:
    (tmp_path / "scenario.toml").write_text(f"""
[world]
zones = "{KOREA}/zones250.csv"
contacts = "{KOREA}"
od = "{KOREA}/od_sigun159_daily.csv"
crosswalk = "{KOREA}/od_sigun159_to_kostat2018.csv"
[model]
preset = "influenza"
[run]
first_day = 2019-12-01
days = 30
members = 16
[[infected]]
people = 5000
""")
    prepared = prepare_scenario(read_scenario(tmp_path / "scenario.toml"), tmp_path)
    found = prepared.run()
    assert (found.final.sum(axis=1) == prepared.loaded.world.population).all()
    empty = prepared.loaded.world.zones.index("37430")
    assert found.flows["infections"][:, :, empty].sum() == 0
