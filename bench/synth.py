"""How fast the synthetic country is made. Prints one JSON line last.

python bench/synth.py --subscribers 200000 --days 7
"""

from __future__ import annotations

import argparse
import json
import resource
import shutil
import sys
import tempfile
import time
from pathlib import Path

from oneteam.synth.country import make_country
from oneteam.synth.settings import CountrySettings


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--subscribers", type=int, default=200_000)
    parser.add_argument("--days", type=int, default=7)
    parser.add_argument("--zone-count", type=int, default=250)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--out", type=Path, help="keep the country here")
    arguments = parser.parse_args()
    scratch = Path(tempfile.mkdtemp(prefix="oneteam-bench-"))
    try:
        # Compiled code is kept on disk; the first run of a machine pays for it here, outside of the clock.
        make_country(CountrySettings(subscribers=500, days=2, zone_count=3), scratch / "warm-up")
        settings = CountrySettings(
            subscribers=arguments.subscribers, days=arguments.days, zone_count=arguments.zone_count, threads=arguments.threads
        )
        folder = arguments.out or scratch / "country"
        before = time.process_time()
        summary = make_country(settings, folder, report)
        cpu_s = time.process_time() - before
        size = sum(path.stat().st_size for path in folder.glob("*/events/*/*/*/*.parquet"))
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    result = {
        "bench": "synth",
        "events": summary.events,
        "subscriptions": summary.subscriptions,
        "days": summary.days,
        "zones": summary.zones,
        "threads": arguments.threads,
        "seconds": summary.seconds,
        "cpu_s": round(cpu_s, 2),
        "events_per_s": summary.generation_events_per_s,
        "events_per_s_with_setup": summary.events_per_s,
        "bytes_per_event": round(size / summary.events, 2),
        "peak_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
    }
    print(json.dumps(result))


def report(step: str, done: float, total: float | None) -> None:
    if sys.stderr.isatty():
        print(f"\r{step}: {done:.1f}" + (f" of {total:.1f}" if total else "") + " " * 10, end="", file=sys.stderr)


if __name__ == "__main__":
    main()
