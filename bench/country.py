"""The dataset that benchmarks share: one carrier of a synthetic country, ingested; made once and kept under bench/out."""

from __future__ import annotations

import json
import shutil
import sys
import time
from pathlib import Path

OUT = Path(__file__).parent / "out"


def dataset(events: int, subscribers: int, days: int, zones: int = 250) -> tuple[Path, dict]:
    """The ingested dataset and how it was made: rows, and rows/s of synthesis and ingestion."""
    from oneteam.synth.country import make_country
    from oneteam.synth.settings import CountrySettings, parse_carriers
    from oneteam.telecom.service.ingest import IngestSettings, ingest

    folder = OUT / f"{events}-{subscribers}-{days}-{zones}"
    made_path = folder / "made.json"
    if made_path.exists():
        return folder / "data", json.loads(made_path.read_text())
    shutil.rmtree(folder, ignore_errors=True)
    # The generator is calibrated on own events; inbound roamers come on top.
    settings = CountrySettings(
        zone_count=zones,
        subscribers=subscribers,
        days=days,
        events_per_day=events / subscribers / days,
        carriers=parse_carriers("solo:1"),
        outbreak=False,
    )
    summary = make_country(settings, folder / "country")
    began = time.perf_counter()
    report = ingest(
        [folder / "country" / "solo"],
        folder / "data",
        IngestSettings(zones=folder / "country" / "zones.csv", shapes=folder / "country" / "zones.geojson"),
    )
    seconds = time.perf_counter() - began
    made = {
        "rows": report.accepted["events"],
        "synth_events_per_s": round(summary.generation_events_per_s),
        "ingest_rows_per_s": round(report.rows / seconds),
    }
    shutil.rmtree(folder / "country")
    made_path.write_text(json.dumps(made))
    print(json.dumps(made), file=sys.stderr)
    return folder / "data", made
