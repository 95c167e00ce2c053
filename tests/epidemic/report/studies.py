"""A small study made by hand: three places and their sum, four weeks of forecasts, a scenario, imports."""

from __future__ import annotations

import json
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa

from oneteam.epidemic.hub.forecasts import QuantileForecasts
from oneteam.epidemic.hub.levels import LEVELS
from oneteam.epidemic.service.files import write_forecasts, write_table
from oneteam.store.tables import write_parquet
from tests.epidemic.flusight import target_rows

FIRST = date(2024, 1, 6)
WEEK = timedelta(days=7)
LAST = FIRST + 11 * WEEK
COUNTS = {
    "11": [100.0 + 20 * i for i in range(12)],
    "12": [300.0 - 10 * i for i in range(12)],
    "13": [50.0 + 30 * (i % 2) for i in range(12)],
}
COUNTS["ALL"] = [sum(c[i] for c in COUNTS.values()) for i in range(12)]
PEOPLE = {"11": 200_000, "12": 150_000, "13": 100_000, "ALL": 450_000}
NAMES = {"11": "Alpha <b>", "12": "Beta", "13": "Gamma", "ALL": "ALL"}


def study_folder(folder: Path, *, whole: bool = True) -> Path:
    """Write a study; with everything or with what is needed alone."""
    (folder / "data").mkdir(parents=True)
    write_table(folder / "data" / "time-series.parquet", target_rows(COUNTS, FIRST))
    places = {"location": list(PEOPLE), "location_name": [NAMES[c] for c in PEOPLE], "population": list(PEOPLE.values())}
    write_table(folder / "data" / "locations.csv", pa.table(places))
    for day in (LAST - 3 * WEEK, LAST - 2 * WEEK, LAST - WEEK, LAST):
        write_forecasts(folder / "forecasts", "oneteam-ensemble", day, _forecast(day), {"label": "revised data"})
    (folder / "shapes.geojson").write_text(json.dumps(_shapes()), encoding="utf-8")
    if whole:
        _repairs(folder)
        _situation(folder / "situation")
        _imports(folder / "importation")
        _scenario(folder)
        (folder / "notes.txt").write_text("Assumed: nothing. | 가정: 없음.\n", encoding="utf-8")
    return folder


def _forecast(day: date) -> QuantileForecasts:
    week = (day - FIRST) // WEEK
    tasks = [(h, code) for h in (1, 2) for code in COUNTS]
    medians = np.array([COUNTS[code][week] * (1 + 0.05 * h) for h, code in tasks])
    return QuantileForecasts(
        np.array([day] * len(tasks), "datetime64[D]"),
        np.array([h for h, _ in tasks], np.int64),
        np.array([code for _, code in tasks], object),
        np.array(["wk inc case"] * len(tasks), object),
        medians[:, None] * np.exp(0.4 * (2 * np.array(LEVELS) - 1))[None],
    )


def _shapes() -> dict[str, object]:
    def square(west: float) -> list[list[list[float]]]:
        return [[[west, 36.0], [west + 1, 36.0], [west + 1, 37.0], [west, 37.0], [west, 36.0]]]

    names = {"11": ("알파", "Alpha"), "12": ("베타", "Beta"), "13": ("감마", "Gamma")}
    features = [
        {
            "type": "Feature",
            "properties": {"code": code, "name": ko, "name_eng": en},
            "geometry": {"type": "Polygon", "coordinates": square(126.0 + i)},
        }
        for i, (code, (ko, en)) in enumerate(names.items())
    ]
    return {"type": "FeatureCollection", "features": features}


def _repairs(folder: Path) -> None:
    repairs = [
        {"kind": "border", "location": "quarantine", "what": "7 cases found at the border are left out of transmission"},
        {"kind": "negative_correction", "location": "11", "what": "3 cases taken back"},
    ]
    (folder / "data" / "report.json").write_text(json.dumps({"repairs": repairs}), encoding="utf-8")


def _situation(folder: Path) -> None:
    folder.mkdir()
    place = {"rt_low": 0.9, "rt_high": 1.3, "probability_rising": 0.8, "doubling_d": 20.0, "cases_7d": 120.0, "risk": 3}
    places = [{"location": c, "name": NAMES.get(c, c), "rt": 1.1, **place} for c in ("ALL", "11", "12", "13")]
    situation = {
        "day": str(LAST),
        "window_d": 7,
        "serial_interval": {"mean_d": 4.7, "sd_d": 2.9, "source": "somebody"},
        "places": places,
        "notes": ["quarantine: 7 cases found at the border are left out of transmission", "something new"],
    }
    (folder / "situation.json").write_text(json.dumps(situation), encoding="utf-8")
    days = [LAST - timedelta(days=30 - i) for i in range(31)]
    table = {"day": days, "location": ["ALL"] * 31, "cases": [5.0] * 31}
    table |= {"low": [0.8] * 31, "median": [1.0 + 0.01 * i for i in range(31)], "high": [1.4] * 31}
    write_table(folder / "rt.csv", pa.table(table))


def _imports(folder: Path, *, identifiable: bool = False) -> None:
    folder.mkdir(exist_ok=True)
    origin = {"rank_low": 1, "rank_high": 2}
    origins = [
        {"origin": "CN", "mean": 30.0, "low": 20.0, "high": 45.0, "share": 0.75, "rank": 1, "probability_first": 0.97, **origin},
        {"origin": "JP", "mean": 10.0, "low": 4.0, "high": 19.0, "share": 0.25, "rank": 2, "probability_first": 0.03, **origin},
    ]
    effect = {"origin": "CN", "effectiveness": 0.8, "averted": 24.0, "averted_low": 16.0, "averted_high": 36.0}
    effect |= {"share": 0.6, "share_low": 0.5, "share_high": 0.7}
    told = {
        "identifiable": identifiable,
        "origins": origins if identifiable else "origin not identifiable",
        "measures": [effect] if identifiable else [],
        "scores": {"weeks": 12.0, "log_score": 2.0, "naive_log_score": 2.5, "coverage_95": 0.92},
        "notes": [],
    }
    (folder / "importation.json").write_text(json.dumps(told), encoding="utf-8")
    weeks = [LAST - (7 - i) * WEEK for i in range(9)]
    columns = {"week_end": weeks, "observed": [*range(10, 18), None]}
    columns |= {"q0.025": [None, *range(1, 9)], "q0.5": [None, *range(11, 19)], "q0.975": [None, *range(21, 29)]}
    write_table(folder / "totals.csv", pa.table(columns))


def _scenario(folder: Path) -> None:
    (folder / "zones.csv").write_text("code,population\n11010,1000\n11020,1000\n12010,1000\n13010,\n", encoding="utf-8")
    (folder / "scenario.toml").write_text(
        'name = "Masks"\n[world]\nzones = "zones.csv"\n[model]\npreset = "covid19"\nreproduction_number = 1.2\n[run]\n'
        f"first_day = {LAST + timedelta(days=1)}\ndays = 20\nmembers = 16\n[[infected]]\npeople = 50\n[[measures]]\nkind = 'masks'\n"
        f"from = {LAST + timedelta(days=3)}\nzones = ['11']\ncoverage = 0.8\neffectiveness = 0.3\n",
        encoding="utf-8",
    )
    write_comparison(folder / "scenario", 100.0)
    write_comparison(folder / "scenario-Rt-1.4", 160.0)


def write_comparison(folder: Path, averted: float) -> None:
    """What `oneteam epidemic scenario` writes, as far as a report reads it."""
    folder.mkdir()

    def interval(middle: float, spread: float) -> dict[str, float]:
        return {"mean": middle, "median": middle, "low": middle - spread, "high": middle + spread}

    def compared(size: float) -> dict[str, object]:
        return {
            "baseline": interval(10 * size, 5),
            "scenario": interval(9 * size, 5),
            "averted": interval(size, 4),
            "share": interval(0.1, 0.02),
        }

    notes = ["1 zone(s) without population: 13010 (13010). They stay in the results with nobody in them."]
    told = {"averted": {"infections": compared(averted), "deaths": compared(7.0)}, "notes": notes}
    (folder / "comparison.json").write_text(json.dumps(told), encoding="utf-8")
    days = [LAST + timedelta(days=1 + i) for i in range(20)]
    for name, level in (("baseline", 30.0), ("scenario", 25.0)):
        columns: dict[str, object] = {"date": days, "zone": ["all"] * 20, "quantity": ["infections"] * 20}
        columns |= {f"q{q:g}": [level + 10 * q + i for i in range(20)] for q in (0.05, 0.25, 0.5, 0.75, 0.95)}
        write_parquet(folder / f"{name}-national.parquet", pa.table(columns))
    zones = {"zone": ["11010", "11020", "12010", "13010"], "quantity": ["infections"] * 4}
    zones |= {"baseline": [100.0, 300.0, 200.0, 0.0], "averted": [10.0, 70.0, 10.0, 0.0]}
    write_parquet(folder / "averted-zones.parquet", pa.table(zones))


def make_identifiable(folder: Path) -> None:
    """Replace the imports by some whose origin is known."""
    _imports(folder / "importation", identifiable=True)
