"""What a what-if starts from, what is wrong with one, and the scenario that it is."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import pytest

from oneteam.app.whatif.base import BaseShelf, draws_of, read_base, uses_releases
from oneteam.app.whatif.plan import MOST_CELLS, Plan, check, faults_of, scenario_of, written
from oneteam.core.errors import DocumentError, NotThereError
from oneteam.epidemic.engine.scenario import Scenario
from oneteam.epidemic.models.document import parse
from oneteam.epidemic.service.simulate import prepare_scenario

START = date(2024, 3, 3)


def plan(*measures: dict[str, Any], **more: Any) -> Plan:
    given = measures or ({"kind": "work_from_home", "share": 0.3},)
    return Plan.model_validate({"measures": [{"from": START} | one for one in given]} | more)


def fields(study: Path, asked: Plan) -> list[str]:
    return [fault.field for fault in faults_of(asked, read_base(study))]


def test_the_base_knows_places_by_code_and_by_name(study: Path) -> None:
    base = read_base(study)
    assert base.people == 100_000
    assert base.infected == 200
    assert base.settings == ("home", "work", "community")
    assert {code: region.zones for code, region in base.regions.items()} == {"11": ("1101", "1102"), "21": ("2101", "2102")}
    assert (base.find("Alpha"), base.find(" 나 "), base.find("south"), base.find("21"), base.find("1102")) == (
        "1101",
        "1102",
        "21",
        "21",
        "1102",
    )
    assert base.find("Beta") is None  # two are called so
    assert base.find("Nowhere") is None
    assert base.codes_of("11") == ("11",)


def test_a_region_whose_code_is_not_its_zones_beginning_is_named_by_its_zones(study: Path) -> None:
    text = (study / "zones.csv").read_text(encoding="utf-8").replace("2102,Beta,라,21,South", "1199,Beta,라,21,South")
    (study / "zones.csv").write_text(text, encoding="utf-8")
    base = read_base(study)
    assert base.codes_of("21") == ("2101", "1199")
    assert base.codes_of("11") == ("1101", "1102")


def test_the_base_is_read_again_when_a_file_changes(study: Path) -> None:
    shelf = BaseShelf(study)
    first = shelf.open()
    assert shelf.open() is first
    (study / "scenario.toml").write_text((study / "scenario.toml").read_text(encoding="utf-8").replace("people = 200", "people = 3000"))
    assert shelf.open().infected == 3000


def test_without_a_scenario_there_is_nothing_to_start_from(study: Path) -> None:
    (study / "scenario.toml").unlink()
    with pytest.raises(NotThereError, match="no scenario"):
        read_base(study)


def test_a_plan_without_faults(study: Path) -> None:
    assert fields(study, plan()) == []
    check(plan(), read_base(study))


@pytest.mark.parametrize(
    ("measure", "field"),
    [
        ({"from": date(2024, 3, 2)}, "from"),
        ({"from": date(2024, 3, 23)}, "from"),
        ({"from": date(2024, 3, 9), "to": date(2024, 3, 8)}, "to"),
        ({"share": 0.0}, "share"),
        ({"zones": ("99",)}, "zones"),
        ({"zones": ("",)}, "zones"),
        ({"zones": ("\x00\u202e9",)}, "zones"),
        ({"kind": "contacts", "setting": "\x00\u202e", "reduction": 0.5}, "setting"),
        ({"ages": (20, 30)}, "ages"),
        ({"kind": "close_schools"}, "kind"),
        ({"kind": "border", "reduction": 0.5}, "kind"),
        ({"kind": "contacts", "setting": "school", "reduction": 0.5}, "setting"),
        ({"kind": "vaccination", "doses_per_day": 1e6}, "doses_per_day"),
        ({"kind": "masks", "coverage": 0.5, "effectiveness": 0.0}, "effectiveness"),
    ],
)
def test_what_is_wrong_with_a_measure_is_said_of_its_field(study: Path, measure: dict[str, Any], field: str) -> None:
    whole = measure if "kind" in measure else {"kind": "work_from_home", "share": 0.3} | measure
    asked = plan({"kind": "masks", "coverage": 0.5, "effectiveness": 0.5}, whole)
    assert fields(study, asked) == [f"measures.1.{field}"]
    with pytest.raises(DocumentError, match=rf"measures\.1\.{field}"):
        check(asked, read_base(study))


@pytest.mark.parametrize(
    ("more", "field"),
    [
        ({"days": 6}, "days"),
        ({"days": 10**9}, "days"),
        ({"members": 7}, "members"),
        ({"members": 257}, "members"),
        ({"title": "x" * 121}, "title"),
        ({"measures": ()}, "measures"),
    ],
)
def test_what_is_wrong_with_a_plan(study: Path, more: dict[str, Any], field: str) -> None:
    assert fields(study, plan(**more)) == [field]


def test_every_fault_speaks_korean(study: Path) -> None:
    base = read_base(study)
    found = faults_of(plan({"kind": "border", "reduction": 0.0, "zones": ("x",)}, days=1, members=1), base)
    assert len(found) >= 4
    assert all(fault.words.ko and fault.words.ko != fault.words.en for fault in found)


def test_what_does_not_fit_into_memory_is_refused_with_the_most_that_does(study: Path) -> None:
    rows = "".join(f"3{i:04d},Z{i},자{i},3,West,1000\n" for i in range(400))
    (study / "zones.csv").write_text("code,name,name_ko,region,region_name,population\n" + rows, encoding="utf-8")
    found = faults_of(plan(days=365, members=256), read_base(study))
    assert [fault.field for fault in found] == ["members"]
    assert str(MOST_CELLS // (365 * 400)) in found[0].words.en


def test_the_scenario_of_a_plan_stands_in_a_folder_of_its_own(study: Path) -> None:
    base, folder = read_base(study), study / "whatif" / "abcdefabcdef"
    folder.mkdir(parents=True)
    made = scenario_of(plan(title="Home", days=30, members=24), base, folder)
    assert made.world.zones == "../../zones.csv"
    assert (made.run.days, made.run.members, made.run.seed) == (30, 24, base.scenario.run.seed)
    assert parse(written(made), Scenario, "x") == made
    assert prepare_scenario(made, folder).loaded.world.zones == tuple(base.zones)


def test_a_folder_elsewhere_keeps_the_whole_path(study: Path) -> None:
    text = (study / "scenario.toml").read_text(encoding="utf-8").replace('"zones.csv"', f'"{study / "zones.csv"}"')
    (study / "scenario.toml").write_text(text, encoding="utf-8")
    (study / "whatif").mkdir()
    assert scenario_of(plan(), read_base(study), study / "whatif").world.zones == str(study / "zones.csv")


def test_trips_of_releases_are_known_by_their_file(study: Path) -> None:
    text = (
        (study / "scenario.toml").read_text(encoding="utf-8").replace('zones = "zones.csv"', 'zones = "zones.csv"\nod = "mobility/od.csv"')
    )
    (study / "scenario.toml").write_text(text, encoding="utf-8")
    base = read_base(study)
    assert not uses_releases(base.scenario, study, study)
    (study / "mobility").mkdir()
    (study / "mobility" / "od.parquet").touch()
    assert uses_releases(base.scenario, study, study)
    run = study / "whatif" / "x"
    run.mkdir(parents=True)
    assert uses_releases(scenario_of(plan(), base, run), run, study)


@pytest.mark.parametrize(("text", "draws"), [(None, 8), ("[mobility]\ndraws = 3\n", 3), ("[mobility]\ndraws = 99\n", 8), ("=", 8)])
def test_draws_are_the_studys(study: Path, text: str | None, draws: int) -> None:
    if text is not None:
        (study / "study.toml").write_text(text, encoding="utf-8")
    assert draws_of(study) == draws
