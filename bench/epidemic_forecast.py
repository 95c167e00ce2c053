"""Calibrate many districts on 52 weeks of synthetic cases and forecast 4 weeks: time and memory. The last line is JSON.

Districts lie on a line, move to their neighbours, and share a transmission that walks at random; the truth goes on for four weeks, so that
coverage can be told too.

    python bench/epidemic_forecast.py [--zones 250] [--weeks 52]
"""

from __future__ import annotations

import argparse
import json
import resource
import time

import numpy as np

from oneteam.epidemic.forecasting.filter import filter_quantiles, tuned_filter


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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--zones", type=int, default=250)
    parser.add_argument("--weeks", type=int, default=52)
    parser.add_argument("--members", type=int, default=200)
    told = parser.parse_args()
    ahead = 4
    cases, population, coupling = synthetic(told.zones, told.weeks + ahead, 1)
    small = slice(0, 4)
    filter_quantiles(tuned_filter(cases[:10, small], population[small], 1), population[small], 1, 1)  # compile
    start = time.perf_counter()
    found = tuned_filter(cases[: told.weeks], population, 1, coupling, told.members)
    quantiles = filter_quantiles(found, population, ahead, 1, coupling)
    seconds = time.perf_counter() - start
    outcome = cases[told.weeks :].T
    inside = {p: float(((outcome >= quantiles[:, :, i]) & (outcome <= quantiles[:, :, -1 - i])).mean()) for p, i in ((50, 6), (95, 1))}
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    body = {"zones": told.zones, "weeks": told.weeks, "members": told.members, "seconds": round(seconds, 2), "peak_mb": round(peak_mb)}
    print(json.dumps(body | {"c50": round(inside[50], 3), "c95": round(inside[95], 3)}))


if __name__ == "__main__":
    main()
