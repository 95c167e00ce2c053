"""How well first reports are corrected: the newest week of every vintage against its final value, beside taking it as it stands.

Reads a folder of the form of the FluSight data: time-series.parquet with vintages, truth.parquet, locations.csv. Every date knows its own
snapshot and earlier ones only. The last line is JSON.

    python bench/epidemic_nowcast.py [--data ../shared/data/flusight] [--first 1]
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path

import numpy as np

from oneteam.epidemic.forecasting.nowcast import learn_revisions, nowcast_quantiles
from oneteam.epidemic.hub.levels import LEVELS
from oneteam.epidemic.service.files import read_target_data
from oneteam.epidemic.service.inputs import InputFiles, read_inputs
from oneteam.stats.scoring import weighted_interval_score

MIDDLE = len(LEVELS) // 2


def main() -> None:
    here = Path(os.environ.get("ONETEAM_DATA", Path(__file__).resolve().parents[2] / "shared" / "data")) / "flusight"
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=here)
    parser.add_argument(
        "--first", type=int, default=1, help="the first vintage that is scored, counted from 0; the first one has none before it"
    )
    told = parser.parse_args()
    if not told.data.is_dir():
        sys.exit(f"{told.data}: no such folder; give --data, or set ONETEAM_DATA")
    inputs = read_inputs(InputFiles(told.data / "time-series.parquet", told.data / "locations.csv"))
    truth = read_target_data(told.data / "truth.parquet").final()
    row_of = {code: i for i, code in enumerate(truth.locations)}
    reported, final, quantiles, aggregate = [], [], [], []
    for day in inputs.target.reference_dates[told.first :]:
        known = inputs.known(day)
        newest = known.snapshot.weeks[-1]
        at = np.flatnonzero(truth.weeks == newest)
        if not len(at):
            continue
        outcome = np.array([truth.values[at[0], row_of[code]] if code in row_of else np.nan for code in known.snapshot.locations])
        found = nowcast_quantiles(known.snapshot, learn_revisions(known.snapshot, known.earlier), 0)
        usable = np.isfinite(outcome) & np.isfinite(found).all(axis=1)
        reported.append(known.snapshot.values[-1][usable])
        final.append(outcome[usable])
        quantiles.append(found[usable])
        aggregate.append(np.array([code == "US" for code in known.snapshot.locations])[usable])
    x, y, q, whole = np.concatenate(reported), np.concatenate(final), np.vstack(quantiles), np.concatenate(aggregate)
    dates = len(reported)
    body: dict[str, float] = {"dates": dates, "tasks": len(y), "changed": round(float((x != y).mean()), 3)}
    for name, rows in (("", np.ones(len(y), bool)), ("_states", ~whole), ("_us", whole)):
        if not rows.any():
            continue
        a, b, c = x[rows], y[rows], q[rows]
        standing = np.abs(a - b)  # the score of a certain forecast is its absolute error
        log_standing = np.abs(np.log1p(a) - np.log1p(b))
        body |= {
            f"relwis{name}": round(float(weighted_interval_score(b, c, LEVELS).mean() / standing.mean()), 4),
            f"relwis_log{name}": round(float(weighted_interval_score(np.log1p(b), np.log1p(c), LEVELS).mean() / log_standing.mean()), 4),
            f"relative_error{name}": round(float(np.abs(c[:, MIDDLE] - b).mean() / standing.mean()), 4),
            f"relative_error_log{name}": round(float(np.abs(np.log1p(c[:, MIDDLE]) - np.log1p(b)).mean() / log_standing.mean()), 4),
            f"c50{name}": round(float(((b >= c[:, 6]) & (b <= c[:, 16])).mean()), 3),
            f"c95{name}": round(float(((b >= c[:, 1]) & (b <= c[:, 21])).mean()), 3),
        }
        print(
            f"{name.strip('_') or 'all':8}{rows.sum():6} first reports, off by {standing.mean():8.1f} as they stand, "
            f"by {np.abs(c[:, MIDDLE] - b).mean():8.1f} corrected; relative WIS {body[f'relwis{name}']:.3f}"
        )
    print(json.dumps(body))


if __name__ == "__main__":
    main()
