"""Every measure of this part, by name."""

from __future__ import annotations

from oneteam.telecom.measures import mobility, presence, residence, segments
from oneteam.telecom.measures.measure import Key, Measure
from oneteam.telecom.measures.roaming import ROAMING_MEASURES

DAY, HOUR, MONTH, ZONE = Key("day", "day"), Key("hour", "hour"), Key("month", "month"), Key("zone", "zone")
ORIGIN, DESTINATION, HOME = Key("origin", "zone"), Key("destination", "zone"), Key("home", "zone")

_OWN: tuple[Measure, ...] = (
    Measure(
        "presence",
        (DAY, HOUR, ZONE),
        "subscribers",
        "Subscribers seen, by day, hour and zone",
        "시간대별 지역 체류 가입자",
        ("events",),
        presence.presence,
    ),
    Measure(
        "time_segments",
        (DAY, Key("state", "state"), ZONE),
        "s",
        "Time spent in stays, moves and unknown, by day and zone",
        "일별 체류·이동·미상 시간",
        ("events",),
        segments.time_segments,
    ),
    Measure(
        "home",
        (MONTH, ZONE),
        "subscribers",
        "Residents by month: longest presence from 00 to 06 h",
        "월별 거주 가입자(0–6시 최장 체류)",
        ("events",),
        residence.home,
        rests_on=("night_dwell",),
    ),
    Measure(
        "home_permanence",
        (MONTH, ZONE),
        "subscribers",
        "Residents by month: most observed hours of the night",
        "월별 거주 가입자(야간 관측 최다)",
        ("events",),
        residence.home_by_permanence,
        rests_on=("night_slots",),
    ),
    Measure(
        "work",
        (MONTH, ZONE),
        "subscribers",
        "Workers by month: most observed working hours away from home",
        "월별 근무 가입자",
        ("events",),
        residence.work,
        rests_on=("night_dwell", "work_slots"),
    ),
    Measure(
        "usual_environment",
        (MONTH, ZONE),
        "days",
        "Usual environment by month: zones seen on a share of the observed days",
        "월별 일상 생활권",
        ("events",),
        residence.usual_environment,
        rests_on=("days_seen",),
    ),
    Measure(
        "od",
        (DAY, ORIGIN, DESTINATION),
        "trips",
        "Trips between consecutive stays, by day, origin and destination",
        "일별 기종점 통행",
        ("events",),
        mobility.od_flow,
    ),
    Measure(
        "od_home",
        (DAY, HOME, ORIGIN, DESTINATION),
        "trips",
        "Trips by day, home zone of the traveller, origin and destination",
        "거주지별 기종점 통행",
        ("events",),
        mobility.od_by_home,
        rests_on=("od", "night_dwell"),
    ),
    Measure(
        "trips",
        (DAY, HOME),
        "trips",
        "Trips by day and home zone of the traveller",
        "거주지별 통행량",
        ("events",),
        mobility.trips_by_home,
        rests_on=("od", "night_dwell"),
    ),
    Measure(
        "coverage",
        (DAY, HOUR),
        "subscribers",
        "Active subscribers by day and hour",
        "시간대별 활동 가입자",
        ("events",),
        presence.active_devices,
    ),
    Measure(
        "night_dwell",
        (DAY, ZONE),
        "s",
        "Time from 00 to 06 h, by day and zone",
        "일별 0–6시 체류 시간",
        ("events",),
        residence.night_dwell,
    ),
    Measure(
        "night_slots",
        (DAY, ZONE),
        "h",
        "Observed hours of the night, by day and zone",
        "일별 야간 관측 시간",
        ("events",),
        residence.night_slots,
    ),
    Measure(
        "work_slots",
        (DAY, ZONE),
        "h",
        "Observed working hours, by day and zone",
        "일별 근무시간대 관측 시간",
        ("events",),
        residence.work_slots,
    ),
    Measure(
        "days_seen",
        (DAY, ZONE),
        "subscribers",
        "Subscribers seen, by day and zone",
        "일별 지역 관측 가입자",
        ("events",),
        residence.days_seen,
    ),
    Measure(
        "active_days",
        (DAY,),
        "subscribers",
        "Active subscribers by day",
        "일별 활동 가입자",
        ("events",),
        presence.active_days,
    ),
)

MEASURES: dict[str, Measure] = {measure.name: measure for measure in (*_OWN, *ROAMING_MEASURES)}
"""By name, in the order in which they are listed to users."""
