from collections import Counter
from datetime import timedelta

import numpy as np
import pyarrow.parquet as pq
import pytest

from oneteam.store.rows import read_rows
from oneteam.synth.build import build_country
from oneteam.synth.outbreak import ABROAD, SEED, SETTINGS, course
from oneteam.synth.schedules import new_plan, plan_day
from oneteam.synth.settings import CountrySettings


@pytest.fixture(scope="module")
def plagued():
    """A country without travel, in which an infection has three weeks to spread."""
    return build_country(CountrySettings(zone_count=6, subscribers=6_000, days=24, roaming=False, seed=8))


def stays(country, person, day):
    plan = new_plan()
    n = plan_day(country.world, person, day, plan)
    return [(int(plan.place[i]), int(plan.start_s[i]), int(plan.end_s[i])) for i in range(n)]


def test_infection_needs_an_infectious_host_at_the_same_place_at_the_same_time(plagued):
    infections = plagued.infections
    infected_on = dict(zip(infections.person.tolist(), infections.day.tolist(), strict=True))
    spread = np.flatnonzero(infections.setting < ABROAD)
    assert len(spread) > 30
    for i in spread:
        person, host, day, place = (int(v[i]) for v in (infections.person, infections.infector, infections.day, infections.place))
        first, last, _, _ = course(plagued.world.seed, host)
        assert infected_on[host] + first <= day <= infected_on[host] + last
        mine = [(s, e) for p, s, e in stays(plagued, person, day) if p == place]
        theirs = [(s, e) for p, s, e in stays(plagued, host, day) if p == place]
        assert any(min(e1, e2) > max(s1, s2) for s1, e1 in mine for s2, e2 in theirs)


def test_settings_fit_the_places(plagued):
    infections, places = plagued.infections, plagued.people.places
    for setting, place in zip(infections.setting.tolist(), infections.place.tolist(), strict=True):
        name = SETTINGS[setting]
        if name == "household":
            assert place < places.homes
        elif name == "work":
            assert places.homes <= place < places.first_class
        elif name == "school":
            assert places.first_class <= place < places.venue_start[0]
        elif name == "community":
            assert places.venue_start[0] <= place < places.venue_start[-1]
    assert {"household", "work", "school", "community", "seed"} >= {SETTINGS[s] for s in infections.setting}
    assert len(set(infections.setting.tolist())) >= 4


def test_nobody_is_infected_twice_and_the_infection_grows(plagued):
    infections = plagued.infections
    assert len(set(infections.person.tolist())) == len(infections.person)
    assert (np.diff(infections.day) >= 0).all()
    seeds = int((infections.setting == SEED).sum())
    assert seeds == 3
    assert len(infections.person) > 10 * seeds


def test_each_generation_makes_between_one_and_four(plagued):
    """Hosts whose infectious days are over have caused a plausible number of infections."""
    infections = plagued.infections
    over = [
        p for p, d in zip(infections.person.tolist(), infections.day.tolist(), strict=True) if d + course(plagued.world.seed, p)[1] < 23
    ]
    caused = Counter(infections.infector.tolist())
    assert 1.0 < np.mean([caused[p] for p in over]) < 4.5


def test_found_people_stay_at_home(plagued):
    isolated = np.flatnonzero(plagued.world.isolated_from < 20)
    assert len(isolated)
    for person in isolated.tolist():
        day = int(plagued.world.isolated_from[person])
        assert stays(plagued, person, day) == [(int(plagued.world.home[person]), 0, 86_400)]


def test_course_is_in_order():
    for person in range(2_000):
        first, last, onset, found = course(np.uint64(1), person)
        assert 2 <= first <= 4
        assert first + 5 <= last <= first + 8
        assert onset == -1 or onset > first
        assert found == -1 or found >= 4


def test_imports_come_from_true_trips(country):
    infections, trips = country.infections, country.trips
    spans = {}
    for i in range(trips.count):
        spans.setdefault(int(trips.person[i]), []).append((int(trips.first_day[i]), int(trips.last_day[i]), int(trips.country[i])))
    imported = np.flatnonzero(infections.setting == ABROAD)
    for i in imported:
        assert any(a <= infections.day[i] <= b and c == infections.country[i] for a, b, c in spans[int(infections.person[i])])
        assert infections.place[i] == -1


def test_importation_follows_prevalence():
    country = build_country(CountrySettings(zone_count=10, subscribers=200_000, days=3, seed=2))
    trips = country.trips
    infected = trips.infected_on > -1_000
    nights = np.bincount(trips.country, trips.last_day - trips.first_day + 1, minlength=16)
    expected = nights * country.prevalence[:, 0] * 0.3
    found = np.bincount(trips.country[infected], minlength=16)
    assert found.sum() == pytest.approx(expected.sum(), rel=0.35)
    assert found[1] > found[0]  # twelve times the prevalence outweighs fewer travellers


def test_case_reports_come_after_infections_and_are_fewer(folder, summary):
    infections = pq.read_table(folder / "truth" / "infections.parquet").to_pylist()
    rows = read_rows(folder / "agency" / "cases_daily.csv").rows
    cumulative = Counter()
    for row in rows:
        cumulative[row.day("date")] += int(row.fields["new_cases"])
    total = 0
    for day in sorted(cumulative):
        total += cumulative[day]
        assert total <= sum(i["day"] + timedelta(days=4) < day for i in infections)
    assert total == summary.cases
    imported = sum(int(r.fields["imported_cases"]) for r in read_rows(folder / "agency" / "imported_cases_daily.csv").rows)
    assert imported <= sum(i["setting"] == "abroad" for i in infections)
    zones = sum(int(r.fields["new_cases"]) for r in read_rows(folder / "agency" / "cases_zone_daily.csv").rows)
    border = sum(int(r.fields["new_cases"]) for r in rows if r.fields["location"] == "quarantine")
    assert zones + border == total


def test_reports_dip_at_weekends(plagued):
    from oneteam.synth.cases import report_cases
    from oneteam.synth.outbreak import Infections

    n = 40_000
    none = np.full(n, -1, np.int32)
    even = Infections(np.arange(n, dtype=np.int32), none, (np.arange(n) % 70).astype(np.int32), np.full(n, 3, np.int32), none, none)
    reports = report_cases(even, np.zeros(n, np.int32), 0, 91, 1)
    steady = reports.day[(reports.day >= 21) & (reports.day < 63)]
    by_weekday = np.bincount(steady % 7, minlength=7) / len(steady)
    assert by_weekday[5] < 0.8 / 7
    assert by_weekday[0] > 1.2 / 7
    assert 0.3 < len(reports.day) / n < 0.7
