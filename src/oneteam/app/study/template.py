"""A study file to begin with."""

from __future__ import annotations

_HEAD = """\
# A joint study. Edit it, then `oneteam study run FILE --out DIR`. docs/study.md explains every key.
format = "oneteam-study/1"
title = { en = "Epidemic outlook", ko = "감염병 전망" }
# Nothing of a later day is read.
known_on = 2020-03-08
seed = 1
# What file names below are relative to; this file's own folder without.
# data = "country"
"""
_MEMBERS = """
[who]
# The recipient's home. Alone: its node asks over the wire. With others of this machine: all in one process, without a hub.
home = "agency"
with = ["skylark", "horizon", "bluewave", "university"]

# One Release for each week; levels, cost and contributors are the Agreement's unless said here.
[[ask]]
measure = "od"
every = "week"
first_day = 2020-01-06

[[ask]]
measure = "arrivals"
every = "week"
first_day = 2020-01-06
"""
_FILES = """
# Public tables that stand for Releases: od, movement, arrivals, days_abroad, presence.
[[tables]]
measure = "movement"
file = "movement_weekly.csv"

[[tables]]
measure = "od"
file = "od_daily.csv"
"""
_REST = """
[places]
zones = "zones.csv"
geometry = "zones.geojson"
# Column of the zones with the code that cases are reported by; the zone's own without.
place_code = "region"

[cases]
file = "agency/cases_daily.csv"
week_end = "SAT"

[forecast]
horizons = [1, 2, 3, 4]
past_weeks = 4
# Cases per 100,000 and week, or q0.75 of a place's own past.
threshold = "100"

[situation]
disease = "covid19-wild"

# [importation]
# prevalence = "abroad/prevalence.csv"
# observed = "agency/imported_cases_daily.csv"
# measures = ["CN=0.8"]

[scenario]
name = "Masks"
preset = "covid19"
days = 56
members = 256

[[scenario.measures]]
kind = "masks"
from = 2020-03-16
coverage = 0.8
effectiveness = 0.3

[alerts]
sender = "agency@example.org"
status = "Draft"
"""
_NOTICES = """
# Ask carriers to tell their own subscribers who came from the likeliest origins.
# [notices]
# origins = 3
# within_days = 14
# message = { en = "Please watch for symptoms.", ko = "증상이 있으면 검사를 받으세요." }
"""


def study_template(*, members: bool) -> str:
    """The file; `oneteam.app.study.settings.read_study_file` reads it as it stands.

    Args:
        members: whether members are asked; else public tables stand for Releases.
    """
    return _HEAD + (_MEMBERS if members else _FILES) + _REST + (_NOTICES if members else "")
