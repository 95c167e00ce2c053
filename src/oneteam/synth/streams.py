"""What random numbers are drawn for: one stream each, so that no two uses share numbers."""

from __future__ import annotations

from enum import IntEnum


class Stream(IntEnum):
    """Streams of the synthetic country; a number, once given, keeps its meaning."""

    ZONES = 1
    LAYOUT = 2
    POINTS = 3
    HOUSEHOLDS = 4
    ROLES = 5
    WORKPLACES = 6
    CARRIERS = 7
    SECOND_SIM = 8
    SITES = 9
    SHADOWING = 10
    MOVED_SITES = 11
    DAY = 12
    OVERNIGHT = 13
    ABROAD = 14
    TRAITS = 15
    SESSIONS = 16
    USER_ID = 17
    VISITOR = 18
    VISITOR_DAY = 19
    COURSE = 20
    CONTACT = 21
    INFECTED_ABROAD = 22
    REPORT = 23
    OUTBOUND = 24
    SEEDING = 25
    PERSON_KEY = 26
    DISTRICTS = 27
