"""The stochastic engine: 250 zones x 16 ages x 365 days, milliseconds per run and core, beside epydemix.

epydemix runs one population of 16 ages, which is what it is made for; ours runs 250 coupled ones. It runs in this interpreter where it is
installed, or in another one (``--peer-python``); where neither has it, its documented figure stands in and is marked. The last line is one
JSON document; in it ``vs_epydemix`` compares the time for one population, that is, ours divided by 250.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
from datetime import date

DOCUMENTED_PEER_MS = 51.0  # one population of 16 ages, 365 days, on a 2-core machine like this one
DAYS = 365

PEER = """
import json, time
import numpy as np
from epydemix import EpiModel
from epydemix.population import Population
rng = np.random.default_rng(0)
half = rng.gamma(2, 1, (16, 16)); contacts = half + half.T
people = np.full(16, 51_800_000 // 16)
population = Population(name="one")
population.add_population(people, [str(a) for a in range(16)])
population.add_contact_matrix(contacts, layer_name="all")
model = EpiModel(compartments=["S", "E", "I", "R"])
model.set_population(population)
beta = 2.0 / 5 / np.abs(np.linalg.eigvals(contacts)).max()
model.add_parameter("beta", beta); model.add_parameter("sigma", 0.25); model.add_parameter("gamma", 0.2)
model.add_transition("S", "E", params=("beta", "I"), kind="mediated")
model.add_transition("E", "I", params="sigma", kind="spontaneous")
model.add_transition("I", "R", params="gamma", kind="spontaneous")
start = dict(S=people - 10, E=np.full(16, 10), I=np.zeros(16, int), R=np.zeros(16, int))
def run(n):
    began = time.process_time()
    model.run_simulations(start_date="2020-01-01", end_date="2020-12-30", initial_conditions_dict=start, Nsim=n)
    return time.process_time() - began
run(1)
print(json.dumps({"ms": 1e3 * min(run(5) / 5 for _ in range(3))}))
"""


def world():
    """A country of 51.8 million people, the same in every run; each zone exchanges commuters with 39 others."""
    import numpy as np

    from oneteam.epidemic.engine.plan import Commuting, World
    from oneteam.epidemic.models.bands import FIVE_YEARS

    rng = np.random.default_rng(0)
    zones, ages, others = 250, 16, 39
    people = rng.lognormal(0, 0.8, (zones, 1)) * rng.uniform(0.5, 1.5, (zones, ages))
    population = np.round(people / people.sum() * 51_800_000).astype(np.int64) + 50
    contacts = {}
    for setting in ("home", "school", "work", "community"):
        half = rng.gamma(2, 1, (ages, ages))
        contacts[setting] = half + half.T
    zone = np.concatenate([rng.choice(np.delete(np.arange(zones), z), others, replace=False) for z in range(zones)]).astype(np.int32)
    share = rng.exponential(1.0, (zones, others))
    share *= 0.3 / share.sum(1, keepdims=True)
    start = np.arange(0, zones * others + 1, others, dtype=np.int32)
    return World(
        tuple(f"{z:03d}" for z in range(zones)), FIVE_YEARS, population, contacts, Commuting(start, zone, share.reshape(-1)), np.ones(ages)
    )


def ours(name: str, reproduction_number: float, members: int, rounds: int) -> dict[str, float]:
    """Milliseconds of one core's time per run, the best of some rounds, by sampler."""
    import numpy as np

    from oneteam.epidemic.engine.ensemble import initial_state, run_ensemble
    from oneteam.epidemic.engine.plan import ordinary_course
    from oneteam.epidemic.engine.preparation import prepare
    from oneteam.epidemic.engine.transmission import transmission_of
    from oneteam.epidemic.models.compiled_model import compile_model
    from oneteam.epidemic.models.presets import preset

    w, day = world(), date(2020, 1, 6)
    model = compile_model(preset(name), w.ages, day, DAYS)
    plan = prepare(w, ordinary_course(w, day, DAYS), model, transmission_of(w, model, reproduction_number))
    infected = np.zeros_like(w.population)
    infected[:5] = 5
    start = initial_state(model, w.population, infected)
    found = {}
    for sampler in ("fast", "exact"):
        best = float("inf")
        for _ in range(rounds):
            began = time.process_time()
            done = run_ensemble(model, plan, start, day, members=members, seed=1, exact=sampler == "exact", threads=1)
            best = min(best, time.process_time() - began)
        share = done.flows["infections"].sum(axis=(1, 2)).mean() / w.population.sum()
        assert share > 0.5, "an epidemic that does not spread is no test of speed"
        found[sampler] = round(1e3 * best / members, 2)
        print(f"{name:10} {sampler:5} {found[sampler]:8.2f} ms per run; {share:.3f} of the people infected", flush=True)
    return found


def peer(python: str) -> tuple[float, str]:
    """Milliseconds of epydemix, and whether they were measured."""
    done = subprocess.run([python, "-W", "ignore", "-c", PEER], capture_output=True, text=True, check=False)
    if done.returncode:
        print(f"epydemix did not run: {done.stderr.strip().splitlines()[-1:]}", file=sys.stderr)
        return DOCUMENTED_PEER_MS, "documented"
    return float(json.loads(done.stdout.splitlines()[-1])["ms"]), "measured"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--members", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--peer-python", default=sys.executable)
    args = parser.parse_args()
    seir = ours("seir", 2.0, args.members, args.rounds)
    covid = ours("covid19", 2.87, args.members, 1)
    peer_ms, how = peer(args.peer_python)
    print(f"epydemix   one population of 16 ages: {peer_ms:.1f} ms per run ({how})")
    print(
        json.dumps(
            {
                "ms_per_run_fast": seir["fast"],
                "ms_per_run_exact": seir["exact"],
                "ms_per_run_fast_covid19": covid["fast"],
                "ms_per_run_exact_covid19": covid["exact"],
                "vs_epydemix": round(peer_ms * 250 / seir["fast"], 1),
                "vs_epydemix_our_250_zones_to_its_one": round(peer_ms / seir["fast"], 2),
                "epydemix_ms_one_population": round(peer_ms, 1),
                "epydemix": how,
                "zones": 250,
                "ages": 16,
                "days": DAYS,
                "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
            }
        )
    )


if __name__ == "__main__":
    main()
