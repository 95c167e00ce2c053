"""What movement is worth to district forecasts on synthetic countries where it matters, and what differential privacy takes away.

An epidemic starts in three of 250 districts and spreads along trips that fade with distance. The filter forecasts four weeks from several
weeks with the true trips, with trips after the discrete Laplace mechanism (every person may change the table by a bounded number of trips
a week), and without trips. Scores are ratios to those with the true trips. The last line is JSON.

    python bench/epidemic_mobility.py [--zones 250] [--countries 2] [--epsilon 1] [--trips-per-person 5]
"""

from __future__ import annotations

import argparse
import json

import numpy as np

from oneteam.epidemic.forecasting.filter import FilterSettings, filter_quantiles, run_filter
from oneteam.epidemic.hub.levels import LEVELS
from oneteam.stats.scoring import weighted_interval_score

WEEKS, AHEAD = 44, 4
ORIGINS = (16, 20, 24, 28, 32)
REACH_KM = 8.0


def country(seed: int, zones: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Cases by week and zone, population, trips per week between zones."""
    random = np.random.default_rng(seed)
    population = np.exp(random.normal(12, 0.7, zones))
    place_km = random.uniform(0, 300, (zones, 2))
    distance_km = np.sqrt(((place_km[:, None] - place_km) ** 2).sum(axis=-1))
    trips = population[:, None] * population * np.exp(-distance_km / REACH_KM)
    np.fill_diagonal(trips, 0.0)
    trips *= 0.3 * population.sum() / trips.sum()
    share = trips / trips.sum(axis=1, keepdims=True)
    new, susceptible, own = np.zeros(zones), np.ones(zones), np.zeros(zones)
    new[random.choice(zones, 3, replace=False)] = 30.0
    cases = np.empty((WEEKS, zones))
    for week in range(WEEKS):
        cases[week] = random.poisson(new * np.exp(0.08 * random.normal(size=zones)))
        own = 0.9 * own + random.normal(0, 0.05, zones)
        rate = new / population
        expected = np.maximum(1.45 * np.exp(own) * susceptible * population * (0.8 * rate + 0.2 * share @ rate), 1e-6)
        susceptible = np.maximum(susceptible - expected / (population * 0.6), 0.02)
        new = np.where(expected < 0.5, random.poisson(expected), expected)  # an epidemic of less than a case is one or none
    return cases, population, trips


def coupling(trips: np.ndarray) -> np.ndarray:
    both = trips + trips.T
    np.fill_diagonal(both, 0.0)
    return both / np.maximum(both.sum(axis=1, keepdims=True), 1e-9)


def private(trips: np.ndarray, epsilon: float, trips_per_person: int, seed: int) -> np.ndarray:
    """The discrete Laplace mechanism, cell by cell; simulated here, so with a seeded generator. What is negative becomes zero."""
    random = np.random.default_rng([seed, 99])
    success = 1.0 - np.exp(-epsilon / trips_per_person)
    return np.maximum(np.round(trips) + random.geometric(success, trips.shape) - random.geometric(success, trips.shape), 0.0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--zones", type=int, default=250)
    parser.add_argument("--countries", type=int, default=2)
    parser.add_argument("--epsilon", type=float, default=1.0)
    parser.add_argument("--trips-per-person", type=int, default=5)
    told = parser.parse_args()
    total = {name: np.zeros(2) for name in ("none", "raw", "private")}
    for seed in range(1, told.countries + 1):
        cases, population, trips = country(seed, told.zones)
        noisy = private(trips, told.epsilon, told.trips_per_person, seed)
        known = {"none": None, "raw": coupling(trips), "private": coupling(noisy)}
        for origin in ORIGINS:
            outcome = cases[origin : origin + AHEAD].T.ravel()
            for name, share in known.items():
                state = run_filter(cases[:origin], population, FilterSettings(walk=0.2, report_cv=0.1, members=100), 1, share)
                quantiles = filter_quantiles(state, population, AHEAD, 1, share).reshape(-1, len(LEVELS))
                natural = weighted_interval_score(outcome, quantiles, LEVELS).mean()
                log = weighted_interval_score(np.log1p(outcome), np.log1p(quantiles), LEVELS).mean()
                total[name] += natural, log
        print(f"country {seed}: {cases.sum():,.0f} cases, {(cases.sum(axis=0) > 0).mean():.0%} of districts hit")
    ratio = {name: total[name] / total["raw"] for name in ("none", "private")}
    body = {f"{name}_over_raw{kind}": round(float(r[i]), 4) for name, r in ratio.items() for i, kind in enumerate(("", "_log"))}
    print(json.dumps({"zones": told.zones, "epsilon": told.epsilon, "trips_per_person": told.trips_per_person} | body))


if __name__ == "__main__":
    main()
