"""One small country for all tests of this folder, in memory and on disk."""

from datetime import date

import pytest

from oneteam.synth.build import build_country
from oneteam.synth.country import make_country
from oneteam.synth.settings import CountrySettings, parse_carriers

SETTINGS = CountrySettings(
    zone_count=24, subscribers=12_000, days=8, carriers=parse_carriers("north:0.5,south:0.3,west:0.2"), start_date=date(2020, 3, 2), seed=5
)


@pytest.fixture(scope="session")
def settings():
    return SETTINGS


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("synth") / "country"


@pytest.fixture(scope="session")
def summary(folder):
    return make_country(SETTINGS, folder)


@pytest.fixture(scope="session")
def country(summary):
    return build_country(SETTINGS)
