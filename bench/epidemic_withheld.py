"""Withhold the cases of a place and recover them from the rest: by the filter, and by population share.

Real cases of the 17 sido. One place after the other is hidden whole; what the filter believes of it is compared with its reports, and with
the rest's cases per inhabitant times its population. Trips between places, if given, stand for where infections come from: in the filter,
and in shares in which the places are weighted by their trips with the hidden one. Score: mean absolute error of log(1 + x), and mean WIS of
the filter's. The last line is JSON.

    python bench/epidemic_withheld.py [--target-data time-series.parquet --locations locations.csv] [--mobility od.csv] [--from 2020-05-02]
"""

from __future__ import annotations

import argparse
import json
from datetime import date
from pathlib import Path

import numpy as np

from oneteam.epidemic.forecasting.filter import EMERGING, run_filter
from oneteam.epidemic.forecasting.mobility import parse_movement
from oneteam.epidemic.service.files import read_locations, read_table, read_target_data


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--target-data", type=Path, required=True, help="as of `oneteam epidemic convert`")
    parser.add_argument("--locations", type=Path, required=True)
    parser.add_argument("--mobility", type=Path, help="origin, destination, trips")
    parser.add_argument("--from", dest="first", default="2020-05-02", help="the weeks before let the filter settle")
    told = parser.parse_args()
    final = read_target_data(told.target_data).final()
    places = read_locations(told.locations)
    population = np.array([places.population_of(code) for code in final.locations])
    cases, count = final.values, len(final.locations)
    trips = None
    if told.mobility:
        movement = parse_movement(read_table(told.mobility), str(told.mobility))
        trips = movement.coupling(final.locations, date.fromisoformat(str(final.weeks[-1])))
    scored = final.weeks >= np.datetime64(told.first)
    errors: dict[str, list[np.ndarray]] = {"population": [], "filter": []} | ({"trips": []} if trips is not None else {})
    inside, level = [], []
    for i in range(count):
        rest = np.delete(np.arange(count), i)
        hidden = cases.copy()
        hidden[:, i] = np.nan
        state = run_filter(hidden, population, EMERGING, 1, trips)
        guess = {"filter": np.exp(np.log(np.maximum(state.mean[:, 0, i], 0.0) + 1.0)) - 1.0}
        guess["population"] = np.nansum(cases[:, rest], axis=1) / population[rest].sum() * population[i]
        if trips is not None:
            guess["trips"] = cases[:, rest] / population[rest] @ (trips[i, rest] / trips[i, rest].sum()) * population[i]
        truth = cases[scored, i]
        for name, found in guess.items():
            errors[name].append(np.abs(np.log1p(found[scored]) - np.log1p(truth)))
        inside.append((truth >= state.low[scored, 0, i]) & (truth <= state.high[scored, 0, i]))
        level.append(np.mean(np.log1p(guess["population"][scored]) - np.log1p(truth)))
    mean = {name: float(np.mean(found)) for name, found in errors.items()}
    for i, code in enumerate(final.locations):
        print(f"{code}: " + "  ".join(f"{name} {found[i].mean():.2f}" for name, found in errors.items()))
    better = {
        name: int(sum(a.mean() < b.mean() for a, b in zip(found, errors["population"], strict=True))) for name, found in errors.items()
    }
    body = {f"error_{name}": round(value, 3) for name, value in mean.items()}
    body |= {f"{name}_over_population": round(value / mean["population"], 3) for name, value in mean.items() if name != "population"}
    body |= {"filter_better_in": better["filter"], "places": count, "filter_c95": round(float(np.mean(inside)), 3)}
    print(json.dumps(body))


if __name__ == "__main__":
    main()
