"""Calibrate many districts on 52 weeks of synthetic cases and forecast 4 weeks: time and memory. The last line is JSON.

Districts lie on a line, move to their neighbours, and share a transmission that walks at random; the truth goes on for four weeks.
Coverage is told from several smaller countries, because the districts of one share their luck; where an epidemic has died out its zeros lie
in every interval, so outcomes are placed at random between the ends of their count (randomised PIT: Czado and others 2009).

    python bench/epidemic_forecast.py [--zones 250] [--weeks 52] [--countries 20]
"""

from __future__ import annotations

import argparse
import json
import resource
import time

import numpy as np

from oneteam.epidemic.forecasting.filter import EMERGING, filter_quantiles, tuned_filter
from oneteam.epidemic.forecasting.members import TUNING_HALF_LIFE_WEEKS
from oneteam.epidemic.hub.levels import LEVELS
from oneteam.stats.scoring import cdf_from_quantiles

AHEAD = 4
TOLD = {"half_life_weeks": TUNING_HALF_LIFE_WEEKS, "settings": EMERGING}
COUNTRY_ZONES = 30
ORIGINS = (20, 30, 40, 52)


def synthetic(zones: int, weeks: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Cases by week and zone, population, and the share of trips between zones."""
    random = np.random.default_rng(seed)
    population = np.exp(random.normal(12, 0.7, zones))
    distance = np.abs(np.arange(zones)[:, None] - np.arange(zones))
    coupling = population * np.exp(-distance / 8.0)
    np.fill_diagonal(coupling, 0.0)
    coupling /= coupling.sum(axis=1, keepdims=True)
    new, susceptible, together, own = np.full(zones, 20.0), np.full(zones, 0.95), 0.2, np.zeros(zones)
    cases = np.empty((weeks, zones))
    for t in range(weeks):
        cases[t] = random.poisson(new * np.exp(0.1 * random.normal(size=zones)))
        together = 0.85 * together + random.normal(0, 0.12)
        own = 0.9 * own + random.normal(0, 0.08, zones)
        rate = new / population
        new = np.maximum(np.exp(together + own) * susceptible * population * (0.8 * rate + 0.2 * coupling @ rate), 0.1)
        susceptible = np.maximum(susceptible - new / (population * 0.6) + (1 - susceptible) / 40, 0.02)
    return cases, population, coupling


def ranks(countries: int, members: int) -> np.ndarray:
    """Randomised PIT of outcomes in small countries, shape (tasks,)."""
    random = np.random.default_rng(5)
    found = []
    for seed in range(100, 100 + countries):
        cases, population, coupling = synthetic(COUNTRY_ZONES, max(ORIGINS) + AHEAD, seed)
        for origin in ORIGINS:
            state = tuned_filter(cases[:origin], population, seed, coupling, members, **TOLD)
            quantiles = filter_quantiles(state, population, AHEAD, seed, coupling).reshape(-1, len(LEVELS))
            outcome = cases[origin : origin + AHEAD].T.ravel()
            ends = [cdf_from_quantiles(outcome + half, quantiles, np.array(LEVELS)) for half in (-0.5, 0.5)]
            low = np.where(outcome == 0, 0.0, ends[0])
            found.append(low + (ends[1] - low) * random.uniform(size=len(outcome)))
    return np.concatenate(found)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--zones", type=int, default=250)
    parser.add_argument("--weeks", type=int, default=52)
    parser.add_argument("--members", type=int, default=200)
    parser.add_argument("--countries", type=int, default=20, help="small ones from which coverage is told; 0: none")
    told = parser.parse_args()
    ahead = AHEAD
    cases, population, coupling = synthetic(told.zones, told.weeks + ahead, 1)
    small = slice(0, 4)
    filter_quantiles(tuned_filter(cases[:10, small], population[small], 1), population[small], 1, 1)  # compile
    start = time.perf_counter()
    found = tuned_filter(cases[: told.weeks], population, 1, coupling, told.members, **TOLD)
    filter_quantiles(found, population, ahead, 1, coupling)
    seconds = time.perf_counter() - start
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    body = {"zones": told.zones, "weeks": told.weeks, "members": told.members, "seconds": round(seconds, 2), "peak_mb": round(peak_mb)}
    if told.countries:
        off = np.abs(ranks(told.countries, told.members) - 0.5)
        body |= {"c50": round(float((off <= 0.25).mean()), 3), "c95": round(float((off <= 0.475).mean()), 3), "countries": told.countries}
    print(json.dumps(body))


if __name__ == "__main__":
    main()
