"""A small country, the homes of its alliance, and a study over them; made once, copied where a test changes it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from oneteam.alliance.home import Home
from oneteam.alliance.roster import make_roster, sign_roster
from oneteam.core.model import Text
from oneteam.privacy.signing import sign_document
from oneteam.synth.country import make_country
from oneteam.synth.settings import CountrySettings
from oneteam.telecom.service.ingest import IngestSettings, ingest
from tests.app.allies import CARRIERS, NAMES, ROLES, an_agreement

STUDY = """
format = "oneteam-study/1"
title = {{ en = "Test outlook", ko = "시험 전망" }}
known_on = {known_on}
seed = 3
{who}
[places]
zones = "country/zones.csv"
geometry = "country/zones.geojson"
place_code = "region"

[cases]
file = "country/agency/cases_daily.csv"
week_end = "SUN"

[mobility]
draws = 2

[forecast]
horizons = [1, 2]
past_weeks = 1
models = ["baseline", "linear"]
threshold = "q0.75"
horizon = 1
processes = 1

[situation]
disease = "covid19-wild"

[importation]
prevalence = "country/truth/countries.parquet"
observed = "country/agency/imported_cases_daily.csv"
draws = 100
{measures}

[scenario]
name = "Masks"
preset = "seir"
days = 14
members = 64
reproduction_number = 1.5

[[scenario.measures]]
kind = "masks"
from = 2020-03-09
coverage = 0.8
effectiveness = 0.3

[alerts]
sender = "agency@example.org"
status = "Test"
{more}
"""
WHO = """
[who]
home = "agency"
with = ["skylark", "horizon", "bluewave", "university"]

[[ask]]
measure = "od"
every = "week"
first_day = 2020-02-24

[[ask]]
measure = "arrivals"
every = "week"
first_day = 2020-02-24
rho = 0.02

# Nobody has agreed to it.
[[ask]]
measure = "presence"
every = "all"
first_day = 2020-03-08

# Agreed, but not for so much.
[[ask]]
measure = "od"
every = "all"
first_day = 2020-03-08
rho = 0.9
"""
MORE = """
[notices]
countries = ["CN", "JP"]
within_days = 7
rho = 0.02

[truth]
cases = "country/agency/cases_daily.csv"
od = "country/truth/od_daily.parquet"
travel = "country/truth/travel.parquet"
"""
COUNTRIES = ("AU", "CN", "DE", "FR", "GB", "HK", "ID", "IT", "JP", "MY", "PH", "SG", "TH", "TW", "US", "VN")


def study_text(known_on: str = "2020-03-08", who: str = WHO, more: str = MORE, measures: str = 'measures = ["CN=0.8"]') -> str:
    return STUDY.format(known_on=known_on, who=who, more=more, measures=measures)


@pytest.fixture(scope="session")
def alliance(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with ``country`` and one home for each member; the Agreement is signed."""
    root = tmp_path_factory.mktemp("study-alliance")
    make_country(CountrySettings(subscribers=1500, days=70, zone_count=12, events_per_day=4.0, seed=5), root / "country")
    for name in NAMES:
        Home.init(root / name, name, Text(en=name), ROLES.get(name, ("contributor",)), "http://hub.in-process")
        if name in CARRIERS:
            ingest([root / "country" / name], root / name / "data", IngestSettings(zones=root / "country" / "zones.csv"))
            with (root / name / "member.toml").open("a") as file:
                file.write('\n[datasets.mobility]\npart = "telecom"\npath = "data"\n')
                file.write('\n[notices]\nenabled = true\ndataset = "mobility"\n')
    homes = {name: Home.open(root / name) for name in NAMES}
    roster = make_roster(Text(en="test"), [home.member for home in homes.values()])
    text = None
    for home in homes.values():
        text = sign_roster(roster, home.id, home.keys, text)
    assert text is not None
    for home in homes.values():
        home.keep_roster(text)
    zones = root / "country" / "zones.csv"
    agreement = an_agreement(homes["agency"].roster().id, zones)
    dimensions = agreement.dimensions | {"country": {"codes": COUNTRIES}}
    pair = {"dimensions": ("origin", "destination"), "domains": {"origin": "zone", "destination": "zone"}}
    levels = ("origin=code,destination=code", "origin=region,destination=region", "origin=code,destination=*")
    by_country = {"dimensions": ("country",), "levels": ("country=code",), "max_keys": 2, "rho_per_release": 0.05, "max_days": 15}
    agreement = an_agreement(
        homes["agency"].roster().id,
        zones,
        single=False,
        rho_total=4.0,
        dimensions=dimensions,
        measures=(
            {
                "name": "od",
                **pair,
                "levels": levels,
                "max_keys": 8,
                "max_value": 2,
                "rho_per_release": 0.2,
                "smallest_count": 5,
                "max_days": 7,
            },
            {"name": "arrivals", **by_country},
            {"name": "travellers", **by_country},
        ),
    )
    text = None
    for party in agreement.parties:
        text = sign_document(agreement, party, homes[party].keys, text)
    assert text is not None
    for home in homes.values():
        home.keep_agreement(text)
    return root


@pytest.fixture
def own(alliance: Path, tmp_path: Path) -> Path:
    """A copy of the alliance that a test may change."""
    shutil.copytree(alliance, tmp_path / "alliance", symlinks=True)
    return tmp_path / "alliance"


def listed(folder: Path) -> dict[str, bytes]:
    """Every output that a re-run must leave as it is: all but how far it was and which files are locked."""
    skip = {"progress.json", ".lock"}
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file() and p.name not in skip}


def read(path: Path) -> dict:
    return json.loads(path.read_text())
