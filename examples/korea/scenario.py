"""Write the scenario of the Korean example: it starts where the situation stands, in 250 districts.

Infected people by sido: reported cases of the last 7 days over the share of infections that is reported, which is assumed. The reproduction
number is such that the simulation starts with the estimated Rt; two variants take the ends of its 95% interval.
"""

from __future__ import annotations

import argparse
import json
from datetime import date, timedelta
from pathlib import Path

REPORTED = 0.5
CAPITAL_AREA = ["11", "23", "31"]
WORLD = """format = "oneteam-scenario/1"
name = "Working from home in the capital area"

[world]
zones = "{data}/zones250.csv"
contacts = "{data}"
ages = "{data}/population_by_single_age.csv"
od = "{data}/od_sigun159_daily.csv"
crosswalk = "{data}/od_sigun159_to_kostat2018.csv"
geometry = "{data}/municipalities_2018_topo.json"

[model]
preset = "covid19"
# The estimated Rt holds the variants and the season of these days already.
reproduction_number = {rt:.4f}
reproduction_number_is = "on_first_day"

[run]
first_day = {first}
days = 56
members = {members}
seed = 1

# The estimated Rt is a mean over weekdays and weekends already.
[calendar]
weekend = {{}}
commuting_weekend = 1.0
"""
MEASURE = """
[[measures]]
kind = "work_from_home"
from = {start}
to = {end}
zones = {zones}
share = 0.3
"""
NOTES = """\
Scenario start: infected people are the reported cases of the last 7 days over an assumed share of {share:.0%} that is reported. \
| 시나리오 시작: 최근 7일 환자 수를 발견율 {share:.0%}(가정)로 나눈 값을 감염자로 둠.
Scenario: schools are taken to be open, and no other measure to change. | 시나리오: 학교는 열려 있고 다른 조치는 바뀌지 않는다고 가정.
Everybody not infected starts susceptible: immunity is in the reproduction number; severe outcomes are too high where many are immune. \
| 감염자 외에는 모두 감수성자로 시작함: 면역은 재생산수에 반영되며, 면역자가 많으면 입원·사망은 과대평가됨.
Movement by week ends in 2021: later forecasts see its last known value. | 주간 이동 자료는 2021년까지이며 이후 예측에는 마지막 값이 쓰임.
"""


def main() -> None:
    """Read the situation, write ``scenario.toml``, ``variant-*.toml`` and ``notes.txt``."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--members", type=int, default=200)
    args = parser.parse_args()
    found = json.loads((args.out / "situation" / "situation.json").read_text(encoding="utf-8"))
    places = {place["location"]: place for place in found["places"]}
    whole = places.pop("ALL")
    first = date.fromisoformat(found["day"]) + timedelta(days=1)
    infected = "".join(
        f'\n[[infected]]\npeople = {round(place["cases_7d"] / REPORTED)}\nzones = ["{code}"]\n' for code, place in places.items()
    )
    monday = first + timedelta(days=-first.weekday() % 7)
    measure = MEASURE.format(start=monday, end=monday + timedelta(days=27), zones=json.dumps(CAPITAL_AREA))
    for old in args.out.glob("variant-*.toml"):
        old.unlink()
    for name, rt in (("scenario", whole["rt"]), *((f"variant-Rt-{whole[k]:.2f}", whole[k]) for k in ("rt_low", "rt_high"))):
        world = WORLD.format(data=args.data.resolve(), rt=rt, first=first, members=args.members)
        (args.out / f"{name}.toml").write_text(world + infected + measure, encoding="utf-8")
    (args.out / "notes.txt").write_text(NOTES.format(share=REPORTED), encoding="utf-8")


if __name__ == "__main__":
    main()
