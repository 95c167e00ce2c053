"""How long a secure sum takes each member, and that it is exact. Prints one JSON line last.

python bench/secure_sum.py --cells 62500 --members 10

A member's time is all of its work in one round: open (keys, secret shares, sealing), mask (checking and opening what others sent, masking)
and reveal. The recipient's time is beside it. A second round loses one member after it has opened, and is recovered.
"""

from __future__ import annotations

import argparse
import json
import resource
import secrets
import statistics
import time

import numpy as np

from oneteam.core.keys import Keys
from oneteam.privacy.secure_sum import MemberRound, Recipient, Round, parse


class Stopwatch:
    """Seconds of work, by who did it."""

    def __init__(self):
        self.spent = {}

    def __call__(self, who, work, *arguments):
        begin = time.perf_counter()
        result = work(*arguments)
        self.spent[who] = self.spent.get(who, 0.0) + time.perf_counter() - begin
        return result


def sent(document):
    """As it arrives elsewhere: written and read again."""
    return parse(type(document), document.model_dump_json())


def run(names, threshold, colluding, values, dropped=()):
    keys = {name: Keys.generate() for name in (*names, "recipient")}
    public = {name: pair.public for name, pair in keys.items()}
    plan = Round(secrets.token_hex(16), secrets.token_hex(32), names, "recipient", threshold, colluding)
    members = {name: MemberRound(plan, name, keys[name], public.get) for name in names}
    recipient = Recipient(plan, keys["recipient"], public.get)
    watch, exchanges = Stopwatch(), 2
    openings = [sent(watch(name, member.open)) for name, member in members.items()]
    left = [name for name in names if name not in dropped]
    shares = [watch(name, members[name].mask, openings, values[name]) for name in left]
    headers = [sent(header) for header in watch("recipient", recipient.check_shares, openings, shares)]
    votes = []
    if dropped:
        votes = [sent(watch(name, members[name].agree, headers)) for name in left]
        exchanges += 1
    reveals = [sent(watch(name, members[name].reveal, headers, votes)) for name in left]
    exchanges += 1
    total = watch("recipient", recipient.combine, openings, shares, reveals)
    expected = np.sum([values[name] for name in left], axis=0)
    sizes = sum(len(document.model_dump_json()) for document in (openings[0], headers[0], reveals[0]))
    return watch.spent, bool((total == expected).all()), exchanges, sizes


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cells", type=int, default=62_500)
    parser.add_argument("--members", type=int, default=10)
    parser.add_argument("--colluding", type=int, default=1)
    parser.add_argument("--threshold", type=int, help="smallest that protects when absent")
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    n = arguments.members
    names = tuple(f"member-{i}" for i in range(n))
    threshold = arguments.threshold or (n + arguments.colluding) // 2 + 1
    rng = np.random.default_rng(1)
    values = {name: rng.integers(-(2**40), 2**40, arguments.cells) for name in names}
    run(names, threshold, arguments.colluding, {name: part[:10] for name, part in values.items()})  # imports and first calls
    per_member, recipient_s, exact, fewest = [], [], True, 0
    for _ in range(arguments.rounds):
        spent, fits, fewest, documents = run(names, threshold, arguments.colluding, values)
        exact &= fits
        recipient_s.append(spent.pop("recipient"))
        per_member += spent.values()
    recovered, more = None, None
    if n > threshold:
        _, recovered, exchanges, _ = run(names, threshold, arguments.colluding, values, dropped=names[:1])
        exact &= recovered
        more = exchanges - fewest
    result = {
        "bench": "secure_sum",
        "cells": arguments.cells,
        "members": n,
        "threshold": threshold,
        "colluding": arguments.colluding,
        "ms_per_member": round(1e3 * statistics.median(per_member), 2),
        "ms_per_member_worst": round(1e3 * max(per_member), 2),
        "ms_recipient": round(1e3 * statistics.median(recipient_s), 2),
        "exact": exact,
        "exchanges": fewest,
        "dropout_recovered": recovered,
        "recovery_rounds": more,
        "upload_mb": round((8 * arguments.cells + documents) / 1e6, 3),
        "peak_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
