"""The study of the demonstration, as a file that an analyst could have written."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from oneteam.app.demo.settings import AGENCY, KNOWN_ON, SEEN_FROM, DemoSettings

PAST_WEEKS: Final = 5
PEOPLE_PER_MEMBER: Final = 400
"""Fewer simulations in a small country: its numbers are rough anyway."""
THRESHOLD_PER_100K: Final = 1000
"""Cases per 100,000 and week. Far above any real one: the few people of the simulation stand for a whole country."""
TRIPS_PER_COUNTED: Final = 2.8
"""Carriers that see six records a day miss trips, and a way that is gone often counts once; a travel survey tells such a factor."""

_PLACES: Final = {
    True: ("Provinces are real, districts are invented.", "시도는 실제, 시군구는 가상입니다."),
    False: ("Districts are real.", "시군구는 실제입니다."),
}

_TEXT: Final = """# The joint study of the demonstration. Run it again: oneteam study run study.toml --out study
# What was asked before is kept: a second run spends nothing.
format = "oneteam-study/1"
title = {{ en = "Outlook for a synthetic Korea", ko = "가상 한국의 감염병 전망" }}
# Nothing of a later day is read, except by the last step, which shows how right the study was.
known_on = {known_on}
seed = {seed}
data = "."
notes = [
  "Everything is simulated: people, trips, infections. {places_en}|사람, 이동, 감염은 모두 가상입니다. {places_ko}",
]

# The health agency asks; carriers answer by their nodes. Rows stay with them.
[who]
home = "members/{agency}"

# Trips between districts, one Release for each week.
[[ask]]
measure = "od"
dimensions = ["origin", "destination"]
first_day = {seen_from}
last_day = {known_on}
every = "week"

# Where people are at two in the afternoon of the last working day.
[[ask]]
measure = "presence"
dimensions = ["zone"]
filters = {{ hour = ["14"] }}
first_day = {friday}
last_day = {friday}
every = "day"

# Who comes home from which country, by week.
[[ask]]
measure = "arrivals"
dimensions = ["country"]
first_day = {seen_from}
last_day = {known_on}
every = "week"

[places]
zones = "country/zones.csv"
geometry = "country/zones.geojson"

# The agency's own case reports, by district of residence.
[cases]
file = "country/agency/cases_zone_daily.csv"

[mobility]
trips_per_counted = {trips}

[forecast]
past_weeks = {past_weeks}
horizons = [1, 2, 3, 4]
horizon = 2
threshold = "{threshold}"

[situation]
disease = "covid19-wild"
threshold_per_100k = {threshold}

# The epidemic abroad is taken as known: what share of people is infectious in each country.
[importation]
prevalence = "country/truth/countries.parquet"
observed = "country/agency/imported_cases_daily.csv"

[scenario]
name = "Half of all workers at home"
days = 56
members = {members}
reported = 0.5

[[scenario.measures]]
kind = "work_from_home"
share = 0.5
from = {first}
to = {last}

[notices]
origins = 3
within_days = 14

# What really happened, because this country is synthetic.
[truth]
cases = "country/agency/cases_zone_daily.csv"
od = "country/truth/od_daily.parquet"
travel = "country/truth/travel.parquet"
"""


def study_toml(settings: DemoSettings) -> str:
    """The text of ``study.toml``."""
    return _TEXT.format(
        known_on=KNOWN_ON,
        seen_from=SEEN_FROM,
        friday=KNOWN_ON - timedelta(days=1),
        first=KNOWN_ON + timedelta(days=1),
        last=KNOWN_ON + timedelta(weeks=4),
        places_en=_PLACES[settings.zones is None][0],
        places_ko=_PLACES[settings.zones is None][1],
        seed=settings.seed,
        agency=AGENCY,
        trips=TRIPS_PER_COUNTED,
        past_weeks=PAST_WEEKS,
        threshold=THRESHOLD_PER_100K,
        members=max(20, min(100, settings.subscribers // PEOPLE_PER_MEMBER)),
    )
