"""The policy against a second one, written from docs/agreements.md alone, on a million generated requests.

`policy_requests.py` makes the requests, `policy_independent.py` is the second policy; compared are permit or refuse and the whole ordered
list of reason codes. Two processes; the same ``--seed`` gives the same requests. Prints how often each code occurred, and how often alone.

The last line is JSON: `requests`, `permitted`, `wrong_permits` (permitted against the page), `wrong_refusals` (refused against the page),
`wrong_reasons` (rightly refused with other codes, or a decision that contradicts itself), `seconds`, and more. Exits 1 if anything is
wrong, fewer than 20 % are permitted, or a code never occurs.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from multiprocessing import get_context

import policy_independent
import policy_requests
from oneteam.privacy.policy import decide

CHUNK = 10_000
SHOWN = 5


@dataclass
class Tally:
    """What a number of requests came to."""

    requests: int = 0
    permitted: int = 0
    wrong_permits: int = 0
    wrong_refusals: int = 0
    wrong_reasons: int = 0
    occurred: Counter = field(default_factory=Counter)
    alone: Counter = field(default_factory=Counter)
    sets: set = field(default_factory=set)
    examples: list = field(default_factory=list)

    def add(self, request, expected, permit, codes):
        """One request, what the page says, what was decided."""
        self.requests += 1
        self.permitted += permit
        self.occurred.update(expected)
        self.sets.add(tuple(expected))
        if len(expected) == 1:
            self.alone[expected[0]] += 1
        if permit == (not expected) and list(codes) == expected:
            return
        if permit and expected:
            self.wrong_permits += 1
        elif not permit and not expected:
            self.wrong_refusals += 1
        else:
            self.wrong_reasons += 1
        if len(self.examples) < SHOWN:
            parts = {part: request[part] for part in ("query", "kept", "asking", "limits")}
            self.examples.append(f"decided {list(codes)}, the page says {expected}:\n  {parts}")

    def join(self, other):
        """Both together."""
        for name in ("requests", "permitted", "wrong_permits", "wrong_refusals", "wrong_reasons"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.occurred += other.occurred
        self.alone += other.alone
        self.sets |= other.sets
        self.examples = (self.examples + other.examples)[:SHOWN]

    @property
    def wrong(self):
        """Requests on which the two policies differ."""
        return self.wrong_permits + self.wrong_refusals + self.wrong_reasons


def compare(seed, count, decide=decide):
    """``count`` requests, decided twice."""
    tally, rng = Tally(), random.Random(seed)
    for request in policy_requests.requests(f"{seed} requests", count):
        expected = policy_independent.refusals(request["query"], request["kept"], request["asking"], request["limits"])
        decision = decide(*policy_requests.built(request, rng))
        tally.add(request, expected, decision.permit, decision.codes)
    return tally


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    began, total = time.perf_counter(), Tally()
    firsts = range(0, asked.requests, CHUNK)
    seeds = [f"{asked.seed} {first}" for first in firsts]
    counts = [min(CHUNK, asked.requests - first) for first in firsts]
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        for done in pool.map(compare, seeds, counts):
            total.join(done)
    print(f"{'code':24}{'occurred':>10}{'alone':>10}")
    for code in policy_independent.CODES:
        print(f"{code:24}{total.occurred[code]:10,}{total.alone[code]:10,}")
    print(f"{len(total.sets):,} different lists of codes")
    for example in total.examples:
        print(example)
    never = [code for code in policy_independent.CODES if not total.occurred[code]]
    found = {name: getattr(total, name) for name in ("requests", "permitted", "wrong_permits", "wrong_refusals", "wrong_reasons")}
    print(json.dumps({**found, "code_lists": len(total.sets), "never": never, "seconds": round(time.perf_counter() - began, 1)}))
    sys.exit(1 if total.wrong or never or total.permitted < 0.2 * total.requests else 0)


if __name__ == "__main__":
    main()
