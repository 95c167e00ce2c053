"""What is public or the health agency's: zones, case reports, and the description of the country."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np

from oneteam import __version__
from oneteam.store.geography import write_geojson
from oneteam.synth.build import Country
from oneteam.synth.cases import QUARANTINE, daily_rows, report_cases
from oneteam.synth.events import PERSONS_PER_BLOCK
from oneteam.synth.writer import COUNTRY_FILE, write_json, write_rows, write_text

FOLDER: Final = "agency"

README: Final = """A synthetic country with known truth, made by `oneteam synth`. Nobody in it exists.

country.json              every setting it was made from; the same settings give the same bytes
zones.csv, zones.geojson  zones: code, name, region, people in the simulation, census population, jobs, centre; their shapes
<carrier>/events/         network events, year=/month=/day= of the LOCAL day; columns of the Eurostat multi-MNO pipeline;
                          in order of time within a row group, not by user; foreign mcc = inbound roamer
<carrier>/network/        topology of the radio network; validity dates are inclusive, a few cells move
<carrier>/roaming/        own subscribers abroad: local time there with UTC offset, visited PLMN and country
registers/                each carrier's customer register: user_id and a key of the person that all carriers share (as 연계정보, "linking
                          information", in Korea); for counting second SIMs exactly
agency/                   case reports by day of report: by region, by zone of residence, imported
truth/                    what nobody would know:
  sims.parquet            person, carrier, user_id, home and work zone, whether the person has a second SIM
  home.parquet            people by zone
  od_daily.parquet        trips and distinct persons between true stays of 30 minutes or more, by local day of arrival
  presence.parquet        people staying in a zone at half past each hour
  travel.parquet          trips abroad, and whether the person was infected there
  infections.parquet      who was infected when, where, in which setting, by whom, and when infectious
  countries.parquet       prevalence, and a visitor's chance of infection per day, by country and day
"""


def write_geography(country: Country, folder: Path) -> None:
    """``zones.csv`` and ``zones.geojson``."""
    zones, territory = country.zones, country.territory
    lon, lat = territory.plane.inverse(territory.x, territory.y)
    people = np.bincount(country.people.places.zone[country.people.home], minlength=zones.count)
    header = [
        "code",
        "name",
        "region",
        "region_name",
        "population",
        "census_population",
        "jobs",
        "employed_residents",
        "latitude",
        "longitude",
        *(["name_ko"] if zones.names_ko else []),
        *(["region_name_ko"] if zones.region_names_ko else []),
    ]
    rows = [
        (
            zones.codes[i],
            zones.names[i],
            zones.regions[i],
            zones.region_names[i],
            int(people[i]),
            round(float(zones.population[i]), 3),
            round(float(zones.jobs[i]), 3),
            round(float(zones.employed[i]), 3),
            round(float(lat[i]), 6),
            round(float(lon[i]), 6),
            *zones.names_ko[i : i + 1],
            *zones.region_names_ko[i : i + 1],
        )
        for i in range(zones.count)
    ]
    write_rows(folder / "zones.csv", header, rows)
    properties = {c: {"name": n, "region": r} for c, n, r in zip(zones.codes, zones.names, zones.regions, strict=True)}
    for code, korean in zip(zones.codes, zones.names_ko, strict=False):
        properties[code]["name_ko"] = korean
    write_geojson(folder / "zones.geojson", dict(zip(zones.codes, territory.shapes, strict=True)), properties)


def write_cases(country: Country, folder: Path) -> int:
    """The agency's three files of cases by day of report; how many cases there are."""
    zones, people, days = country.zones, country.people, country.settings.days
    infections, start = country.infections, country.settings.start_date
    home = people.places.zone[people.home[infections.person]]
    reports = report_cases(infections, home, start.weekday(), days, country.settings.seed)
    regions = [*zones.region_codes, "quarantine"]
    region_names = [zones.name_of_region[r] for r in zones.region_codes]
    of_zone = np.append(zones.region_index, len(regions) - 1)  # the last stands for QUARANTINE = -1
    header = ["date", "location", "location_name", "new_cases"]
    write_rows(
        folder / FOLDER / "cases_daily.csv",
        header,
        daily_rows(reports.day, of_zone[reports.zone], regions, [*region_names, "quarantine"], days, start),
    )
    inside = reports.zone != QUARANTINE
    write_rows(
        folder / FOLDER / "cases_zone_daily.csv",
        header,
        daily_rows(reports.day[inside], reports.zone[inside], zones.codes, zones.names, days, start),
    )
    imported = reports.day[reports.imported]
    rows = daily_rows(imported, np.zeros(len(imported), np.int64), [""], [""], days, start)
    write_rows(folder / FOLDER / "imported_cases_daily.csv", ["date", "imported_cases"], [(day, count) for day, _, _, count in rows])
    return len(reports.day)


def write_description(country: Country, folder: Path) -> None:
    """``country.json`` and ``README.txt``."""
    settings = country.settings.model_dump(mode="json", exclude={"chunk", "threads"})
    # File names only: the same files elsewhere must give the same bytes.
    for name in ("zones", "od", "shapes"):
        settings[name] = None if settings[name] is None else Path(settings[name]).name
    document = {
        "format": "oneteam-country/1",
        "version": __version__,
        "settings": settings,
        "persons": country.people.count,
        "subscriptions": country.people.subscriptions,
        "zones": country.zones.count,
        "persons_per_row_group": PERSONS_PER_BLOCK,
    }
    write_text(folder / "README.txt", README)
    write_json(folder / COUNTRY_FILE, document)
