"""Simulation-based calibration of the filter: how often its intervals hold the true reproduction number and attack rate.

Many small epidemics are drawn from the model that the filter assumes (random walk of log transmission, partly shared; depletion; reports
with Poisson and extra noise), transmission and sizes from the filter's own start. The filter sees the reports only. Its intervals on the
last week are compared with the truth: those of a calibrated filter hold 50, 80 and 95% of them (Talts and others 2018, arXiv:1804.06788).
The attack rate is the share of people infected so far; immunity does not wane here. The last line is JSON.

    python bench/epidemic_sbc.py [--simulations 500] [--places 6] [--weeks 30] [--taper 0.3] [--coupled]
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import dataclass, replace

import numpy as np

from oneteam.epidemic.forecasting.filter import EMERGING, FilterSettings, run_filter

INTERVALS = (0.5, 0.8, 0.95)
NEVER_WEEKS = 1e9
SETTINGS = replace(EMERGING, walk=0.1, report_cv=0.1, waning_weeks=NEVER_WEEKS)
POPULATION = (2e5, 2e6)
FIRST_CASES = (50.0, 500.0)


@dataclass(frozen=True)
class Epidemic:
    """One draw.

    Args:
        reports: shape (weeks, places).
        population: persons, shape (places,).
        coupling: where outside pressure comes from; None: by population.
        reproduction: true, on the last week, shape (places,).
        attack: share infected by then, shape (places,).
    """

    reports: np.ndarray
    population: np.ndarray
    coupling: np.ndarray | None
    reproduction: np.ndarray
    attack: np.ndarray


def draw(seed: int, places: int, weeks: int, settings: FilterSettings, *, coupled: bool = False) -> Epidemic:
    """An epidemic of the model of `oneteam.epidemic.forecasting.filter`."""
    random = np.random.default_rng([seed, 7])
    population = np.exp(random.uniform(*np.log(POPULATION), places))
    if coupled:
        distance = np.abs(np.arange(places)[:, None] - np.arange(places))
        share = population * np.exp(-distance / 2.0)
    else:
        share = np.tile(population, (places, 1))
    np.fill_diagonal(share, 0.0)
    share /= np.maximum(share.sum(axis=1, keepdims=True), 1e-12)
    new = np.exp(random.uniform(*np.log(FIRST_CASES), places))
    susceptible = np.full(places, settings.susceptible)
    log_transmission = 0.3 * random.normal(size=places) - np.log(settings.susceptible)
    reports = np.empty((weeks, places))
    for week in range(weeks):
        if week:
            together, alone = settings.walk * np.sqrt(settings.shared), settings.walk * np.sqrt(1.0 - settings.shared)
            log_transmission += together * random.normal() + alone * random.normal(size=places)
            rate = new / population
            pressure = (1.0 - settings.outside) * rate + settings.outside * share @ rate
            new = np.exp(log_transmission) * susceptible * pressure * population
            new = np.clip(new, 0.05, 0.5 * susceptible * population * settings.ascertained + 0.05)
            susceptible = np.maximum(susceptible - new / (population * settings.ascertained), 0.02)
        reports[week] = random.poisson(new * np.exp(settings.report_cv * random.normal(size=places)))
    reproduction = np.exp(log_transmission) * susceptible
    return Epidemic(reports, population, share if coupled else None, reproduction, settings.susceptible - susceptible)


def calibration(
    simulations: int, places: int, weeks: int, settings: FilterSettings, *, coupled: bool = False, first: int = 0
) -> dict[str, np.ndarray]:
    """Ranks of the truth among the filter's members, as shares from 0 to 1, shape (simulations x places,) each."""
    ranks: dict[str, list[np.ndarray]] = {"rt": [], "attack": []}
    for seed in range(first, first + simulations):
        drawn = draw(seed, places, weeks, settings, coupled=coupled)
        state = run_filter(drawn.reports, drawn.population, settings, seed + 1, drawn.coupling).state
        members = {"rt": np.exp(state[3]) * state[2], "attack": settings.susceptible - state[2]}
        for name, truth in (("rt", drawn.reproduction), ("attack", drawn.attack)):
            below = (members[name] < truth[:, None]).sum(axis=1)
            ranks[name].append((below + 0.5) / (settings.members + 1))
    return {name: np.concatenate(found) for name, found in ranks.items()}


def coverage(ranks: np.ndarray) -> dict[str, float]:
    """Share of the ranks inside each central interval."""
    return {f"{p * 100:.0f}": float((np.abs(ranks - 0.5) <= p / 2.0).mean()) for p in INTERVALS}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--simulations", type=int, default=500)
    parser.add_argument("--places", type=int, default=6)
    parser.add_argument("--weeks", type=int, default=30)
    parser.add_argument("--taper", type=float, default=SETTINGS.taper)
    parser.add_argument("--taper-susceptible", type=float, default=SETTINGS.taper_susceptible)
    parser.add_argument("--walk", type=float, default=SETTINGS.walk)
    parser.add_argument("--members", type=int, default=SETTINGS.members)
    parser.add_argument("--coupled", action="store_true", help="places on a line that move to their neighbours, and the filter knows it")
    told = parser.parse_args()
    start = time.perf_counter()
    settings = replace(SETTINGS, taper=told.taper, taper_susceptible=told.taper_susceptible, walk=told.walk, members=told.members)
    ranks = calibration(told.simulations, told.places, told.weeks, settings, coupled=told.coupled)
    body: dict[str, float] = {}
    for name, found in ranks.items():
        inside = coverage(found)
        bias = float(found.mean() - 0.5)
        print(f"{name:7}" + "  ".join(f"{p}%: {share:.3f}" for p, share in inside.items()) + f"  mean rank off by {bias:+.3f}")
        body |= {f"{name}_c{p}": round(share, 3) for p, share in inside.items()} | {f"{name}_bias": round(bias, 3)}
    worst = max(abs(body[f"{name}_c{p * 100:.0f}"] - p) for name in ranks for p in INTERVALS)
    print(
        json.dumps({"simulations": told.simulations} | body | {"worst": round(worst, 3), "seconds": round(time.perf_counter() - start, 1)})
    )


if __name__ == "__main__":
    main()
