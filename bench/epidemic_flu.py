"""Influenza hospital admissions of one season, forecast date by date as they could have been, and scored against FluSight-baseline.

Reads a folder of the form of the FluSight data: time-series.parquet, truth.parquet, locations.csv, model-output/FluSight-baseline.parquet
and, as histories, ilinet.parquet and flusurv_2022_23.csv where they are there. The last line is JSON.

    python bench/epidemic_flu.py [--data ../shared/data/flusight] [--reference-dates all] [--one-date]
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from oneteam.epidemic.forecasting.members import ENSEMBLE
from oneteam.epidemic.scoring.tasks import align, relative_wis
from oneteam.epidemic.service.backtest import BacktestSettings, backtest
from oneteam.epidemic.service.files import read_forecasts, read_target_data
from oneteam.epidemic.service.inputs import InputFiles

BASELINE = "FluSight-baseline"
HISTORIES = ("ilinet.parquet", "flusurv_2022_23.csv")


def main() -> None:
    here = Path(os.environ.get("ONETEAM_DATA", Path(__file__).resolve().parents[2] / "shared" / "data")) / "flusight"
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=here)
    parser.add_argument("--reference-dates", default="all")
    parser.add_argument("--one-date", action="store_true", help="only the middle date of the selection: how long one forecast takes")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--out", type=Path, help="keep the forecasts here; a run that was stopped goes on")
    told = parser.parse_args()
    if not told.data.is_dir():
        sys.exit(f"{told.data}: no such folder; give --data, or set ONETEAM_DATA")
    files = InputFiles(
        told.data / "time-series.parquet",
        told.data / "locations.csv",
        tuple(told.data / name for name in HISTORIES if (told.data / name).exists()),
    )
    dates = told.reference_dates
    if told.one_date:
        known = read_target_data(files.target_data).reference_dates
        dates = str(known[len(known) // 2])
    with tempfile.TemporaryDirectory() as scratch:
        out = told.out or Path(scratch)
        start = time.perf_counter()
        report = backtest(files, out, BacktestSettings(reference_dates=dates, processes=told.processes))
        seconds = time.perf_counter() - start
        models = read_forecasts(out / "model-output")
    baseline = read_forecasts(told.data / "model-output" / f"{BASELINE}.parquet")[BASELINE]
    mine = set(report.dates)
    baseline = baseline.take(np.array([day in mine for day in baseline.reference_date.tolist()]))
    found = align(models, read_target_data(told.data / "truth.parquet").final(), (BASELINE, baseline))
    assert found.baseline is not None
    rows = {}
    for name, scored in found.models.items():
        natural, log = relative_wis(scored, found.baseline, found.rows[name])
        rows[name] = (natural, log, scored.inside[50].mean(), scored.inside[95].mean())
        print(f"{name:24} relative WIS {natural:.3f}, of logarithms {log:.3f}, 50% {rows[name][2]:.3f}, 95% {rows[name][3]:.3f}")
    natural, log, half, most = (round(float(v), 4) for v in rows[ENSEMBLE])
    body = {"relwis": natural, "relwis_log": log, "c50": half, "c95": most, "dates": len(report.dates), "seconds": round(seconds, 1)}
    print(json.dumps(body))


if __name__ == "__main__":
    main()
