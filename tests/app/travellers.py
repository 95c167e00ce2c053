"""Three carriers with own subscribers who were abroad, in known numbers; one who was and came home infected."""

from __future__ import annotations

import json
from datetime import date, timedelta
from pathlib import Path

from oneteam.alliance.home import Home
from tests.app.allies import CARRIERS, Allies, make_allies
from tests.telecom.datasets import kst, write_dataset

AS_OF = date(2020, 2, 14)
ZONES = ("11010", "11020", "21010", "21020")
COUNTRIES = ("CN", "JP", "VN")
MANY = {"skylark": 40, "horizon": 25, "bluewave": 10}
"""Travellers in CN within the two weeks to `AS_OF`; the first three of each were in VN too, the next five in CN long before."""
INFECTED = 7

TRAVELLERS = {
    "name": "travellers",
    "dimensions": ("country",),
    "levels": ("country=code", "country=*"),
    "max_keys": 3,
    "rho_per_release": 2.0,
    "max_days": 15,
}
DIMENSIONS = {"country": {"codes": COUNTRIES}}


def make_travellers(folder: Path) -> Path:
    """Datasets of all carriers, and the zones file that agreements are drafted from."""
    (folder / "country").mkdir(parents=True)
    (folder / "country" / "zones.csv").write_text("code,name\n" + "".join(f"{code},zone\n" for code in ZONES))
    for name, many in MANY.items():
        events, outbound = [], []
        for who in range(1, many + 6):
            events += [(who, kst("2020-01-10T08:00:00"), who % 4), (who, kst(f"2020-02-{12 + who % 2}T08:00:00"), who % 4)]
            abroad = "2020-02-08" if who <= many else "2020-01-20"
            outbound += [(who, kst(f"{abroad}T{hour}:00:00"), 480, "CN") for hour in (10, 20)]
            if who <= 3:
                outbound.append((who, kst("2020-02-09T10:00:00"), 420, "VN"))
        zones = [{"cell": i, "valid_date_start": None, "valid_date_end": None, "zone": i, "weight": 1.0} for i in range(4)]
        write_dataset(folder / name, events, cell_zones=zones, outbound=outbound)
    return folder


def travelling_allies(folder: Path, data: Path, *, switched_on: tuple[str, ...] = CARRIERS, **terms: object) -> Allies:
    """An alliance whose Agreement allows to count travellers; carriers that act on Commands."""
    allies = make_allies(folder, data, **({"measures": (TRAVELLERS,), "dimensions": DIMENSIONS, "rho_total": 20.0} | terms))
    for name in switched_on:
        switch(allies.homes[name])
    return Allies(folder, {name: Home.open(home.folder) for name, home in allies.homes.items()}, allies.agreement)


def switch(home: Home, *, on: bool = True, dataset: str = "mobility") -> None:
    """What the owner writes into member.toml."""
    text = (home.folder / "member.toml").read_text().split("\n[notices]\n")[0]
    (home.folder / "member.toml").write_text(f"{text}\n[notices]\nenabled = {json.dumps(on)}\ndataset = {json.dumps(dataset)}\n")


def lists_of(home: Home) -> list[Path]:
    """Every list that was written in a home."""
    return sorted((home.folder / "notices").glob("*.csv"))


FIRST = AS_OF - timedelta(days=14)
