"""One day, from end to end: an infected roamer comes home, carriers answer together, a district's risk rises, an alert, a notice.

A synthetic country whose truth is known; two carriers, a university and a health agency with real gates, ledgers and logs in one process.
The study is run as its users run it. The truth is read at the end, to see whether what was found is so.
"""

from __future__ import annotations

import asyncio
import csv
import json
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from oneteam.alliance.home import Home
from oneteam.alliance.roster import make_roster, sign_roster
from oneteam.app.notices import counted
from oneteam.app.study.run import Ran, run_study
from oneteam.core.model import Agreement, Alert, Context, Release, Role, Text
from oneteam.epidemic.importation.places import chance_of_any, expected_by_place
from oneteam.privacy.agreements import agreement_id
from oneteam.privacy.book import read_signed_agreement
from oneteam.privacy.combine import read_release
from oneteam.privacy.consistency import estimate
from oneteam.privacy.policy import Kept
from oneteam.privacy.signing import sign_document
from oneteam.store.log_reader import LogReader
from oneteam.store.registry import Registry
from oneteam.synth.abroad import COUNTRIES
from oneteam.synth.country import make_country
from oneteam.synth.settings import CountrySettings, parse_carriers
from oneteam.telecom.service.ingest import IngestSettings, ingest

CARRIERS = ("skylark", "horizon")
ROLES: dict[str, tuple[Role, ...]] = {
    "skylark": ("contributor",),
    "horizon": ("contributor",),
    "university": ("helper",),
    "agency": ("recipient",),
}
TODAY = date(2020, 2, 23)
EARLIER = TODAY - timedelta(days=14)
"""The day before the window of returns that is looked at."""
CODES = tuple(sorted(country.code for country in COUNTRIES))
CAUTIOUS = 3
"""The risk level from which on an alert is raised."""


@dataclass(frozen=True)
class Day:
    """Everything that is left of the day."""

    folder: Path
    ran: Ran
    before: Ran

    @property
    def country(self) -> Path:
        return self.folder / "country"

    def read(self, name: str) -> Any:
        return json.loads((self.ran.out / name).read_text())

    def contexts(self) -> dict[str, Context]:
        lines = (self.ran.out / "contexts.jsonl").read_text().splitlines()
        found = [Context.model_validate_json(line) for line in lines]
        assert len({one.id for one in found}) == len(found)
        return {one.id: one for one in found}

    def releases(self) -> dict[str, list[Release]]:
        """By measure; their signatures hold under the roster."""
        lookup = Home.open(self.folder / "agency").lookup()
        found: dict[str, list[Release]] = {}
        for path in (self.ran.out / "releases").glob("*.json"):
            if path.name != "refusals.json":
                release = read_release(path.read_bytes(), lookup)
                found.setdefault(release.query.measure, []).append(release)
        return found

    def agreement(self) -> Agreement:
        home = Home.open(self.folder / "agency")
        (text,) = home.agreement_texts().values()
        return read_signed_agreement(text, home.lookup())[0]

    def list_of(self, carrier: str) -> list[dict[str, str]]:
        (path,) = (self.folder / carrier / "notices").glob("*.csv")
        assert path.stat().st_mode & 0o077 == 0
        with path.open(newline="") as file:
            return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def day(tmp_path_factory: pytest.TempPathFactory) -> Day:
    folder = tmp_path_factory.mktemp("day")
    country = CountrySettings(
        subscribers=30_000,
        days=(TODAY - date(2020, 1, 6)).days + 1,
        zone_count=6,
        seed=5,
        carriers=parse_carriers("skylark:0.6,horizon:0.4"),
        events_per_day=2,
        events_from=EARLIER - timedelta(days=2),
    )
    make_country(country, folder / "country")
    for name in CARRIERS:
        ingest([folder / "country" / name], folder / f"{name}-data", IngestSettings(zones=folder / "country" / "zones.csv"))
    found_alliance(folder)
    (folder / "study.toml").write_text(study_file(folder, TODAY))
    (folder / "before.toml").write_text(study_file(folder, EARLIER))
    before = asyncio.run(run_study(folder / "before.toml", folder / "before"))
    return Day(folder, asyncio.run(run_study(folder / "study.toml", folder / "out")), before)


def found_alliance(folder: Path) -> None:
    """Keys, roster, one Agreement that all sign; both carriers act on Commands."""
    homes = {}
    for name, roles in ROLES.items():
        Home.init(folder / name, name, Text(en=name), roles, "http://hub.in-process")
        if name in CARRIERS:
            data = json.dumps(str(folder / f"{name}-data"))
            with (folder / name / "member.toml").open("a") as file:
                file.write(f'\n[datasets.mobility]\npart = "telecom"\npath = {data}\n')
                file.write('\n[notices]\nenabled = true\ndataset = "mobility"\n')
        homes[name] = Home.open(folder / name)
    roster, text = make_roster(Text(en="One day"), [home.member for home in homes.values()]), None
    for home in homes.values():
        text = sign_roster(roster, home.id, home.keys, text)
    assert text is not None
    for home in homes.values():
        home.keep_roster(text)
    agreement, text = an_agreement(folder, homes["agency"].roster().id), None
    for party in agreement.parties:
        text = sign_document(agreement, party, homes[party].keys, text)
    assert text is not None
    for home in homes.values():
        home.keep_agreement(text)


def an_agreement(folder: Path, roster: str) -> Agreement:
    with (folder / "country" / "zones.csv").open(newline="") as file:
        zones = tuple(row["code"] for row in csv.DictReader(file))
    now = datetime.now(UTC)
    arrivals = {
        "name": "arrivals",
        "dimensions": ("country", "home"),
        "domains": {"home": "zone"},
        "levels": ("country=code,home=code", "country=code,home=*"),
        "max_keys": 1,
        "rho_per_release": 0.5,
        "max_days": 15,
    }
    travellers = {
        "name": "travellers",
        "dimensions": ("country",),
        "levels": ("country=code",),
        "max_keys": 2,
        "rho_per_release": 0.5,
        "max_days": 15,
    }
    return Agreement.model_validate(
        {
            "title": {"en": "One day"},
            "roster": roster,
            "purpose": "dpv:PublicBenefit",
            "dataset": "mobility",
            "contributors": CARRIERS,
            "helpers": ("university",),
            "recipients": ("agency",),
            "rho_total": 2.0,
            "single": True,
            "min_contributors": 2,
            "threshold": 3,
            "not_before": now - timedelta(days=1),
            "until": now + timedelta(days=30),
            "dimensions": {"zone": {"codes": zones}, "country": {"codes": CODES}},
            "measures": (arrivals, travellers),
        }
    )


def study_file(folder: Path, known_on: date) -> str:
    """As people write it. Earlier, nobody was asked: the study rests on case reports alone."""
    text = f"""
format = "oneteam-study/1"
known_on = {known_on}
data = "country"

[places]
zones = "zones.csv"

[cases]
file = "agency/cases_zone_daily.csv"
week_end = "SUN"

[forecast]
horizons = [1, 2]
past_weeks = 0
models = ["baseline"]
movement = false
"""
    if known_on < TODAY:
        return text
    own = "".join(
        f"""
# Each carrier's own, for whither.
[[ask]]
measure = "arrivals"
levels = ["country=code,home=code"]
first_day = {EARLIER + timedelta(days=1)}
every = "all"
owners = ["{name}"]
"""
        for name in CARRIERS
    )
    beside = json.dumps([str(folder / name) for name in ROLES if name != "agency"])
    return f"""{text}
[who]
home = "{folder / "agency"}"
with = {beside}

# All together, for whence.
[[ask]]
measure = "arrivals"
dimensions = ["country"]
levels = ["country=code"]
first_day = {EARLIER}
every = "all"
rho = 0.015
{own}
[importation]
prevalence = "truth/countries.parquet"

[notices]
origins = 2
within_days = 14
message = {{ en = "Please watch for symptoms.", ko = "증상을 살펴 주세요." }}
"""


def the_traveller(day: Day) -> dict[str, Any]:
    """By the truth: who came home infected, to a district without a case in the week before, and passed it on there."""
    truth = day.country / "truth"
    infector = pq.read_table(truth / "infections.parquet")["infector"].to_pylist()
    cases = day.country / "agency" / "cases_zone_daily.csv"
    with cases.open(newline="") as file:
        reports = [(row["location"], date.fromisoformat(row["date"]), int(row["new_cases"])) for row in csv.DictReader(file)]
    phones: dict[int, list[dict[str, Any]]] = {}
    for phone in pq.read_table(truth / "sims.parquet").to_pylist():
        phones.setdefault(phone["person"], []).append(phone)
    found = []
    for trip in pq.read_table(truth / "travel.parquet").to_pylist():
        back, home = trip["return"], phones[trip["person"]][0]["home_zone"]
        if trip["infected"] and EARLIER <= back <= TODAY - timedelta(days=7) and trip["person"] in infector:
            week = [count for place, at, count in reports if place == home and back - timedelta(days=7) < at <= back]
            if not sum(week):
                found.append(trip | {"home": home, "phones": phones[trip["person"]]})
    assert found, "the country has such a traveller"
    return found[0]


def risk(ran: Ran, place: str) -> int:
    """The risk level that a study gives a place."""
    told = json.loads((ran.out / "situation" / "situation.json").read_text())["places"]
    return next(int(one["risk"]) for one in told if one["location"] == place)


def test_the_carriers_answer_together_and_each_alone(day: Day) -> None:
    assert not day.ran.failed
    assert not day.ran.refusals
    joint, *own = sorted(day.releases()["arrivals"], key=lambda release: -len(release.contributors))
    assert joint.round is not None
    assert set(joint.contributors) == set(CARRIERS)
    assert {release.contributors for release in own} == {(name,) for name in CARRIERS}
    assert {release.kind for release in (joint, *own)} == {"dp"}
    # The noised count of returns from the first origin is that of the truth, as far as carriers see returns at all.
    first = day.read("importation/importation.json")["origins"][0]["origin"]
    seen = sum(row["value"] for row in estimate(joint, day.agreement()).to_pylist() if row["country"] == first)
    trips = pq.read_table(day.country / "truth" / "travel.parquet").to_pylist()
    true = sum(EARLIER <= trip["return"] <= TODAY and trip["country"] == first for trip in trips)
    assert 0.5 * true < seen < 1.5 * true


def test_the_traveller_s_country_is_the_first_origin_and_the_district_s_chance_rises(day: Day) -> None:
    traveller = the_traveller(day)
    found = day.read("importation/importation.json")
    assert found["identifiable"]
    assert found["origins"][0]["origin"] == traveller["country"]
    # Who comes home where follows from the Releases alone; a country's travellers carry what its epidemic lets expect.
    zones = day.agreement().dimensions["zone"].codes
    arrivals = np.zeros((len(CODES), len(zones)))
    for release in day.releases()["arrivals"]:
        if "home" in release.query.dimensions:
            for row in estimate(release, day.agreement()).to_pylist():
                arrivals[CODES.index(row["country"]), zones.index(row["home"])] += row["value"] or 0.0
    infected = np.zeros(len(CODES))
    for origin in found["origins"]:
        infected[CODES.index(origin["origin"])] = origin["mean"]
    here = zones.index(traveller["home"])
    without = infected.copy()
    without[CODES.index(traveller["country"])] = 0.0
    chance, other = (float(chance_of_any(expected_by_place(some, arrivals))[here]) for some in (infected, without))
    assert chance > 0.2
    assert chance > other + 0.1


def test_the_district_s_risk_has_risen_and_an_alert_is_raised(day: Day) -> None:
    home = the_traveller(day)["home"]
    assert risk(day.before, home) < CAUTIOUS <= risk(day.ran, home)
    alerts = [Alert.model_validate(raw) for raw in day.read("alerts/alerts.json")]
    assert f"place.{home}" in {area.id for alert in alerts for area in alert.areas}
    assert (day.ran.out / "alerts" / f"oneteam.epidemic.{TODAY:%Y%m%d}.{home}.xml").read_text().startswith("<?xml")
    assert f"place.{home}" not in (day.before.out / "alerts" / "alerts.json").read_text()


def test_the_traveller_stands_on_the_carrier_s_list_and_nowhere_else(day: Day) -> None:
    traveller = the_traveller(day)
    for phone in traveller["phones"]:
        rows = [row for row in day.list_of(phone["carrier"]) if row["user_id"] == phone["user_id"].hex()]
        assert {row["country"] for row in rows} == {traveller["country"]}
        assert any(row["returned_on"] for row in rows)
        shown = [path.read_bytes() for path in (day.ran.out, day.folder / "agency") for path in path.rglob("*") if path.is_file()]
        assert not any(form in content for content in shown for form in (phone["user_id"], phone["user_id"].hex().encode()))


def test_the_number_comes_back_as_a_release(day: Day) -> None:
    rows = {row["member"]: row for row in day.read("notices/notices.json")}
    assert {name: row["answered"] for name, row in rows.items()} == dict.fromkeys(CARRIERS, "accepted")
    releases = {release.contributors: release for release in day.releases()["travellers"]}
    kept = Kept(day.agreement(), agreement_id(day.agreement()), day.agreement().parties)
    for name in CARRIERS:
        asked = rows[name]["command"]["settings"]["countries"].split(",")
        value, std = counted(releases[(name,)], kept, asked)
        assert (rows[name]["count"]["value"], rows[name]["count"]["std"]) == (value, std)
        assert abs(value - len(day.list_of(name))) < 6 * std
        assert std < 4


def test_one_chain_of_causes_links_everything(day: Day) -> None:
    contexts = day.contexts()

    def causes(context: Context) -> list[str]:
        """Ids from a step up to the first cause."""
        path = [context.id]
        while (parent := contexts[path[-1]].parent) is not None:
            assert parent in contexts
            assert parent not in path
            path.append(parent)
        return path

    arrivals = [release.context.id for release in day.releases()["arrivals"] if release.context is not None]
    assert len(arrivals) == 1 + len(CARRIERS)
    alerts = [Alert.model_validate(raw) for raw in day.read("alerts/alerts.json")]
    assert all(alert.context is not None and set(causes(alert.context)) & set(arrivals) for alert in alerts)
    (root,) = [one.id for one in contexts.values() if one.parent is None]
    for row in day.read("notices/notices.json"):
        command = Context.model_validate(row["command"]["context"])
        path = causes(command)
        assert path[-1] == root
        # Command, the step that asked for it, the one that raised the alerts, the analysis, the Release that it rests on, the study.
        (raised,) = {alert.context.parent for alert in alerts if alert.context is not None}
        assert raised is not None
        rested_on = [path.index(one) for one in arrivals if one in path]
        assert rested_on
        assert path.index(command.id) < path.index(raised) < min(rested_on) < path.index(root)
        # Of several Releases the analysis follows the last; the others hang on the same step.
        assert {contexts[one].parent for one in arrivals} == {contexts[path[max(rested_on)]].parent}
        (count,) = [one for one in day.releases()["travellers"] if one.contributors == (row["member"],)]
        assert count.context is not None
        assert causes(count.context)[1] == command.id
        # The carrier's own log names the same step, so that cause and effect can be followed there too.
        registry = Registry.open(day.folder / row["member"] / "registry.db")
        try:
            entries = [entry for _, entry in LogReader(registry).entries()]
        finally:
            registry.close()
        assert [entry.context for entry in entries if entry.kind == "act"] == [command.id]
        permits = [entry.context for entry in entries if entry.kind == "permit"]
        assert len(permits) == 3
        assert set(permits) <= {*arrivals, count.context.id}


def test_the_same_day_again_asks_nobody(day: Day) -> None:
    lists = {name: sorted((day.folder / name / "notices").iterdir()) for name in CARRIERS}
    again = asyncio.run(run_study(day.folder / "study.toml", day.folder / "out"))
    assert (again.new_releases, again.rho_spent_now) == (0, 0.0)
    assert {name: sorted((day.folder / name / "notices").iterdir()) for name in CARRIERS} == lists
