"""Run every benchmark and refresh docs/benchmarks.md from what they print.

Each script prints one JSON line last; this gathers them with the command, the date and the machine. ``--only NAME`` runs one.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
from datetime import date
from pathlib import Path

HERE = Path(__file__).parent
PAGE = HERE.parent / "docs" / "benchmarks.md"
KEPT = HERE / "results.json"
SCRIPTS: dict[str, tuple[str, list[str]]] = {
    "synth": ("synth.py", []),
    "telecom_ingest": ("telecom_ingest.py", []),
    "telecom_pipeline": ("telecom_pipeline.py", []),
    "telecom_notify": ("telecom_notify.py", []),
    "alliance_query": ("alliance_query.py", []),
    "secure_sum": ("secure_sum.py", []),
    "secure_sum_1m": ("secure_sum.py", ["--cells", "1000000", "--rounds", "2"]),
    "joint_release": ("joint_release.py", []),
    "policy_fuzz": ("policy_fuzz.py", []),
    "audit": ("audit.py", []),
    "epidemic_engine": ("epidemic_engine.py", []),
    "epidemic_forecast": ("epidemic_forecast.py", ["--zones", "250"]),
}
ON_REQUEST: dict[str, tuple[str, list[str]]] = {
    "telecom_scale_200m": ("telecom_scale.py", ["--events", "200000000"]),
    "telecom_scale_1b": ("telecom_scale.py", ["--events", "1000000000"]),
    "ledger_kill": ("ledger_kill.py", []),
    "epidemic_flu": ("epidemic_flu.py", []),
}


def machine() -> str:
    """Processor, cores and memory."""
    text = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    model = next((line.split(":", 1)[1].strip() for line in text.splitlines() if line.startswith("model name")), platform.processor())
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return f"{model}, {os.cpu_count()} cores, {memory:.0f} GiB, {platform.system()}, Python {platform.python_version()}"


def run(script: str, options: list[str]) -> dict:
    """The JSON line of a script; its other output is passed on."""
    command = [sys.executable, str(HERE / script), *options]
    lines = []
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            print(line, end="", flush=True)
            lines.append(line)
    if process.returncode:
        sys.exit(f"{script} failed")
    return json.loads(lines[-1])


def page(results: dict[str, dict]) -> str:
    """The benchmarks page."""
    lines = [
        "# Benchmarks",
        "",
        "Timings are noisy: read the ratios, which come from one run on one machine. Refresh this page with `make bench`;",
        f"the long ones are on request, as `python bench/run.py --only NAME`: {', '.join(ON_REQUEST)}.",
        "",
    ]
    for name, entry in results.items():
        lines += [f"## {name}", "", f"`{entry['command']}`, {entry['date']}, {entry['machine']}", ""]
        flat = {k: v for k, v in entry["result"].items() if not isinstance(v, dict)}
        lines += ["| figure | value |", "|---|---:|", *(f"| {key} | {shown(value)} |" for key, value in flat.items()), ""]
        engines = entry["result"].get("engines")
        if engines:
            rows = entry["result"]["events"]
            lines += ["| engine | seconds | M events/s | peak MB | our speed, times |", "|---|---:|---:|---:|---:|"]
            ours = engines["kernel"]["seconds"]
            for engine, r in sorted(engines.items(), key=lambda item: item[1]["seconds"]):
                rate, ratio = rows / r["seconds"] / 1e6, r["seconds"] / ours
                lines.append(f"| {engine} | {r['seconds']:.2f} | {rate:.2f} | {r['peak_mb']:,} | {ratio:.2f} |")
            lines.append("")
    return "\n".join(lines)


def shown(value: object) -> str:
    """A figure with thousands set apart."""
    return f"{value:,}" if isinstance(value, int | float) and not isinstance(value, bool) else str(value)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", choices=[*SCRIPTS, *ON_REQUEST], action="append")
    args = parser.parse_args()
    results = json.loads(KEPT.read_text()) if KEPT.exists() else {}
    for name in args.only or SCRIPTS:
        script, options = (SCRIPTS | ON_REQUEST)[name]
        print(f"== {name}", flush=True)
        command = " ".join(["python", f"bench/{script}", *options])
        results[name] = {
            "command": command,
            "date": date.today().isoformat(),  # noqa: DTZ011 - the reader's day
            "machine": machine(),
            "result": run(script, options),
        }
        KEPT.write_text(json.dumps(results, indent=1) + "\n")
        PAGE.write_text(page(results))


if __name__ == "__main__":
    main()
