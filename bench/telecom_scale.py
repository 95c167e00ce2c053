"""The kernel on many events: rate beside the 20 M one in the same run, and peak memory.

``--events 200000000`` takes some ten minutes, most of it to make and ingest the events; a thousand million about an hour and 40 GB of disk.
The last line is one JSON document: ``events_per_s``, ``vs_20m`` (rate as a share of the 20 M rate), ``peak_mb``.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import country


def once(data: Path) -> dict:
    """Home, od and presence in a process of its own, twice: the first run also warms the disk cache."""
    program = (
        "import json, resource, sys, time; from pathlib import Path;"
        "from oneteam.telecom.measures.catalogue import MEASURES; from oneteam.telecom.service.kernel_engine import KernelEngine;"
        "from oneteam.telecom.service.source import Source;"
        "source = Source.open(Path(sys.argv[1])); wanted = [MEASURES[n] for n in ('home', 'od', 'presence')]; seconds = [];\n"
        "for _ in range(2):\n"
        "    began = time.perf_counter(); KernelEngine(threads=2).run(source, wanted, source.everything());"
        " seconds.append(time.perf_counter() - began)\n"
        "print(json.dumps({'seconds': min(seconds), 'peak_mb': resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024}))"
    )
    done = subprocess.run([sys.executable, "-c", program, str(data)], capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=200_000_000)
    parser.add_argument("--days", type=int, default=7)
    args = parser.parse_args()
    rates, memory, made = {}, {}, {}
    for events in sorted({20_000_000, args.events}):
        data, made[events] = country.dataset(events, events // 100, args.days)
        began = time.perf_counter()
        result = once(data)
        rates[events], memory[events] = made[events]["rows"] / result["seconds"], result["peak_mb"]
        took = time.perf_counter() - began
        print(f"{events:>13,} events: {rates[events] / 1e6:.1f} M events/s, {memory[events]} MB ({took:.0f} s)", flush=True)
    print(
        json.dumps(
            {
                "events": made[args.events]["rows"],
                "events_per_s": round(rates[args.events]),
                "vs_20m": round(rates[args.events] / rates[20_000_000], 3),
                "peak_mb": memory[args.events],
                "ingest_rows_per_s": made[args.events]["ingest_rows_per_s"],
                "synth_events_per_s": made[args.events]["synth_events_per_s"],
            }
        )
    )


if __name__ == "__main__":
    main()
