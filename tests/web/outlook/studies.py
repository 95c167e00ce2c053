"""A made-up study of any number of zones: everything a study folder can hold, from one seed, through the epidemic part's own services."""

from __future__ import annotations

import json
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
from shapely.geometry.base import BaseGeometry

from oneteam.epidemic.hub.forecasts import QuantileForecasts
from oneteam.epidemic.hub.levels import LEVELS
from oneteam.epidemic.service.files import write_forecasts, write_table
from oneteam.epidemic.service.rt import RtSettings, situation, write_situation
from oneteam.epidemic.service.score import ScoreSettings, score, write_report
from oneteam.store.geography import write_geojson
from oneteam.store.tables import write_parquet
from oneteam.synth.geometry import voronoi_cells
from tests.epidemic.report.studies import write_comparison

WEEK = timedelta(days=7)
LAST = date(2024, 3, 2)
WEEKS = 30
PAST = 6
HORIZONS = (1, 2, 3, 4)
SPREAD = 2.2 * (np.array(LEVELS) - 0.5)
ORIGINS = ("VN", "JP", "CN", "US", "TH", "PH", "SG", "DE")


def make_study(
    folder: Path, zones: int = 250, *, shapes: dict[str, BaseGeometry] | None = None, names: dict[str, str] | None = None
) -> Path:
    """Write a study folder.

    Args:
        folder: to write into.
        zones: how many, where no shapes are given.
        shapes: of the zones by code.
        names: by code.
    """
    rng = np.random.default_rng(7)
    shapes = shapes or _invented(zones, rng)
    codes = list(shapes)
    names = names or {code: f"Zone {i + 1}" for i, code in enumerate(codes)}
    n = len(codes)
    people = np.round(np.exp(rng.normal(11.6, 0.6, n))).astype(int)
    centres = np.array([[s.centroid.x, s.centroid.y] for s in shapes.values()])
    week = np.arange(WEEKS)
    # A wave that travels away from the first zone, at its own height everywhere.
    far = np.linalg.norm(centres - centres[0], axis=1)
    far = far / max(far.max(), 1e-9)
    peak = 20 + 16 * far + rng.normal(0, 1.5, n)
    height = people * np.exp(rng.normal(-6.2, 0.35, n))
    wave = height[None] * np.exp(-(((week[:, None] - peak[None]) / 5.5) ** 2)) + people[None] * 2e-5
    counts = rng.poisson(wave).astype(float)
    (folder / "data").mkdir(parents=True)
    days = [LAST - (WEEKS - 1 - i) * WEEK for i in range(WEEKS)]
    every = [*codes, "ALL"]
    table = np.column_stack([counts, counts.sum(1)])
    write_parquet(
        folder / "data" / "time-series.parquet",
        pa.table(
            {
                "target_end_date": pa.array([d for d in days for _ in every], pa.date32()),
                "location": every * WEEKS,
                "target": ["wk inc case"] * (WEEKS * (n + 1)),
                "observation": table.ravel(),
            }
        ),
    )
    write_table(
        folder / "data" / "locations.csv",
        pa.table(
            {
                "location": every,
                "location_name": [*(names[c] for c in codes), "ALL"],
                "population": [*people.tolist(), int(people.sum())],
            }
        ),
    )
    _forecasts(folder, every, table, np.column_stack([wave, wave.sum(1)]), rng)
    report = score(
        folder / "forecasts" / "model-output",
        folder / "data" / "time-series.parquet",
        folder / "forecasts" / "model-output" / "oneteam-baseline",
        folder / "data" / "locations.csv",
        ScoreSettings(threshold="100", allow_missing=True),
    )
    write_report(report, folder / "scores", plots=False)
    _situation(folder, codes, counts, people)
    _importation(folder, rng)
    _scenario(folder, codes, people)
    _mobility(folder, codes, centres, people, rng)
    write_geojson(folder / "zones.geojson", shapes, {c: {"code": c, "name": names[c], "region": c[:2]} for c in codes})
    rows = [
        {"code": c, "name": names[c], "region": c[:2], "region_name": f"Region {c[:2]}", "population": int(p)}
        for c, p in zip(codes, people, strict=True)
    ]
    write_table(folder / "zones.csv", pa.Table.from_pylist(rows))
    (folder / "summary.json").write_text(
        json.dumps(
            {
                "format": "oneteam-summary/1",
                "title": {"en": "Made-up outlook", "ko": "가상의 전망"},
                "threshold": "100",
                "horizon": 2,
                "aggregate": "ALL",
            }
        ),
        encoding="utf-8",
    )
    (folder / "notes.txt").write_text("Everything is made up. | 모두 가상입니다.\n", encoding="utf-8")
    (folder / "progress.json").write_text(json.dumps(progress("done")), encoding="utf-8")
    (folder / "truth").mkdir()
    (folder / "truth" / "truth.json").write_text(
        json.dumps({"format": "oneteam-truth/1", "od": {"pairs": 412, "correlation": 0.984}}), encoding="utf-8"
    )
    return folder


def progress(state: str) -> dict[str, object]:
    """Progress of three steps of which the second is in a state."""
    titles = (("Ask the members", "구성원에게 요청"), ("Forecast", "예측"), ("Report", "보고서"))
    states = ("done", state, "done" if state == "done" else "waiting")
    steps = [
        {
            "step": en.split()[0].lower(),
            "title": {"en": en, "ko": ko},
            "state": s,
            "started": None,
            "seconds": 3.2,
            "done": 2,
            "total": 8,
            "detail": "",
        }
        for (en, ko), s in zip(titles, states, strict=True)
    ]
    return {"format": "oneteam-progress/1", "steps": steps}


def _invented(count: int, rng: np.random.Generator) -> dict[str, BaseGeometry]:
    """Zones of a plane cut into the parts nearest to scattered points, put between 126 and 129 degrees east."""
    radius, angle = np.sqrt((np.arange(count) + 0.5) / count), np.arange(count) * 2.399963
    x = radius * np.cos(angle) + rng.normal(0, 0.02, count)
    y = 1.3 * radius * np.sin(angle) + rng.normal(0, 0.02, count)
    cells = voronoi_cells(x * 100_000, y * 100_000)
    import shapely

    return {f"{11 + i // 25}{10 + i % 25:02d}0": shapely.transform(c, lambda xy: xy / 90_000 + [127.5, 36.2]) for i, c in enumerate(cells)}


def _forecasts(folder: Path, every: list[str], table: np.ndarray, wave: np.ndarray, rng: np.random.Generator) -> None:
    grown = np.maximum(wave, 0.5)
    for back in range(PAST, -1, -1):
        at, day = WEEKS - 1 - back, LAST - back * WEEK
        ratio = np.clip(grown[at] / grown[at - 1], 0.6, 1.6)
        for model, growth, wide in (("oneteam-ensemble", ratio, 0.25), ("oneteam-baseline", np.ones_like(ratio), 0.35)):
            tasks = [(h, i) for h in HORIZONS for i in range(len(every))]
            horizon, place = np.array([h for h, _ in tasks]), np.array([i for _, i in tasks])
            middle = np.maximum(table[at], 1.0)[place] * growth[place] ** (0.8 * horizon) * np.exp(rng.normal(0, 0.05, len(tasks)))
            values = middle[:, None] * np.exp(wide * np.sqrt(horizon)[:, None] * SPREAD[None])
            made = QuantileForecasts(
                np.full(len(tasks), np.datetime64(day, "D")),
                horizon.astype(np.int64),
                np.array(every, object)[place],
                np.full(len(tasks), "wk inc case", object),
                values,
            )
            write_forecasts(folder / "forecasts", model, day, made, {"label": "revised data"})


def _situation(folder: Path, codes: list[str], counts: np.ndarray, people: np.ndarray) -> None:
    few = codes[:12]
    start = LAST - WEEKS * WEEK + timedelta(days=1)
    rows = []
    for i, code in enumerate(few):
        daily = np.repeat(counts[:, i] / 7, 7)
        total = np.round(np.cumsum(daily)).astype(int)
        rows += [
            {"date": (start + timedelta(days=d)).isoformat(), "location": code, "value": str(v)}
            for d, v in enumerate(np.diff(total, prepend=0).tolist())
        ]
    write_table(folder / "cases.csv", pa.Table.from_pylist(rows))
    write_table(folder / "people.csv", pa.table({"code": few, "population": [str(p) for p in people[: len(few)]]}))
    found = situation(folder / "cases.csv", RtSettings(population=folder / "people.csv", value_column="value"))
    write_situation(found, folder / "situation", plots=False)


def _importation(folder: Path, rng: np.random.Generator) -> None:
    out = folder / "importation"
    out.mkdir()
    weeks = [LAST - (7 - i) * WEEK for i in range(8)]
    size = np.sort(rng.gamma(1.5, 14, len(ORIGINS)))[::-1]
    mean = size[None] * np.exp(0.12 * (np.arange(8)[:, None] - 4)) / 8
    low, high = 0.6 * mean, 1.7 * mean
    write_parquet(
        out / "origin_weeks.parquet",
        pa.table(
            {
                "week_end": pa.array([w for w in weeks for _ in ORIGINS], pa.date32()),
                "origin": list(ORIGINS) * 8,
                "mean": mean.ravel(),
                "low": low.ravel(),
                "median": mean.ravel(),
                "high": high.ravel(),
            }
        ),
    )
    origins = [
        {
            "origin": o,
            "mean": float(m),
            "low": float(a),
            "high": float(b),
            "share": float(m / mean.sum()),
            "rank": i + 1,
            "rank_low": 1,
            "rank_high": len(ORIGINS),
            "probability_first": 0.8 if i == 0 else 0.03,
        }
        for i, (o, m, a, b) in enumerate(zip(ORIGINS, mean.sum(0), low.sum(0), high.sum(0), strict=True))
    ]
    told = {
        "identifiable": True,
        "origins": origins,
        "measures": [],
        "notes": ["arrivals are Releases with noise"],
        "scores": {"weeks": 7.0, "log_score": 2.9, "naive_log_score": 3.2, "coverage_95": 1.0},
    }
    (out / "importation.json").write_text(json.dumps(told), encoding="utf-8")
    total = mean.sum(1)
    write_table(
        out / "totals.csv",
        pa.table(
            {
                "week_end": [*weeks, LAST + WEEK],
                "observed": [*rng.poisson(total).tolist(), None],
                "q0.025": [None, *(0.6 * total)],
                "q0.5": [None, *total],
                "q0.975": [None, *(1.6 * total)],
            }
        ),
    )


def _scenario(folder: Path, codes: list[str], people: np.ndarray) -> None:
    (folder / "scenario.toml").write_text(
        'name = "Masks"\n[world]\nzones = "zones.csv"\n[model]\npreset = "covid19"\nreproduction_number = 1.2\n[run]\n'
        f"first_day = {LAST + timedelta(days=1)}\ndays = 20\nmembers = 16\n[[infected]]\npeople = 50\n[[measures]]\nkind = 'masks'\n"
        f"from = {LAST + timedelta(days=3)}\ncoverage = 0.8\neffectiveness = 0.3\n",
        encoding="utf-8",
    )
    write_comparison(folder / "scenario", 100.0)


def _mobility(folder: Path, codes: list[str], centres: np.ndarray, people: np.ndarray, rng: np.random.Generator) -> None:
    far = np.linalg.norm(centres[:, None] - centres[None], axis=2)
    gravity = people[:, None] * people[None] / 1e5 / (1 + (far * 12) ** 2.2)
    np.fill_diagonal(gravity, 0)
    parts = []
    for period in range(3):
        exact = rng.poisson(gravity * (1 - 0.08 * period))
        released = exact + rng.normal(0, 6.0, exact.shape)
        origin, target = np.nonzero((exact >= 20) & (released > 0))
        first = LAST - (3 - period) * WEEK + timedelta(days=1)
        parts.append(
            pa.table(
                {
                    "first_day": pa.array([first] * len(origin), pa.date32()),
                    "last_day": pa.array([first + timedelta(days=6)] * len(origin), pa.date32()),
                    "origin": np.array(codes)[origin],
                    "destination": np.array(codes)[target],
                    "trips_per_day": released[origin, target],
                    "std": np.full(len(origin), 6.0),
                    "raw": exact[origin, target].astype(float),
                }
            )
        )
    (folder / "mobility").mkdir()
    write_parquet(folder / "mobility" / "od.parquet", pa.concat_tables(parts))
