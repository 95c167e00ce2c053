"""Imported cases from files: by origin and week where arrivals say who came from where, as national totals where they do not."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from oneteam.core.errors import MissingExtraError, NothingFoundError, UnknownValueError
from oneteam.core.progress import Progress, silent
from oneteam.epidemic.hub.levels import LEVELS
from oneteam.epidemic.importation.force import by_week, delayed
from oneteam.epidemic.importation.posterior import (
    ImportationPosterior,
    MeasureEffect,
    OriginShare,
    measure_effect,
    rank_origins,
    sample_posterior,
)
from oneteam.epidemic.importation.totals import TotalForecasts, forecast_totals, naive_log_scores
from oneteam.epidemic.service.importation_inputs import ImportationSettings, Inputs, read_inputs, read_observed
from oneteam.store.result_files import write_table
from oneteam.store.rows import some
from oneteam.store.tables import write_atomically

Days = npt.NDArray[np.datetime64]
Floats = npt.NDArray[np.float64]

NOT_IDENTIFIABLE: Final = "origin not identifiable"
WEEK_D: Final = np.timedelta64(7, "D")
AHEAD_WEEKS: Final = 4
"""So far past the last observed import the weeks go on."""
BURN_IN_WEEKS: Final = 8
"""Weeks of observed imports before national totals are scored."""


@dataclass(frozen=True)
class Importation:
    """Imported cases.

    Args:
        identifiable: whether arrivals by origin allow to say from where.
        weeks: week ends.
        origins: ranked; empty where not identifiable.
        posterior: draws by week and origin; None where not identifiable.
        names: of the posterior's origins.
        observed: imports found by week, NaN where unknown.
        totals: one-week-ahead forecasts of national totals; None without observed imports.
        scores: of those; empty without.
        effects: of border measures.
        notes: what the reader should know.
    """

    identifiable: bool
    weeks: Days
    origins: tuple[OriginShare, ...]
    posterior: ImportationPosterior | None
    names: tuple[str, ...]
    observed: Floats
    totals: TotalForecasts | None
    scores: Mapping[str, float]
    effects: tuple[MeasureEffect, ...]
    notes: tuple[str, ...]

    def origin_rows(self) -> list[dict[str, object]]:
        """Origins for a table on a terminal, or that there are none to tell."""
        if not self.identifiable:
            return [{"origin": NOT_IDENTIFIABLE, "why": "no arrivals by origin were given"}]
        rows: list[dict[str, object]] = [
            {
                "rank": o.rank,
                "origin": o.origin,
                "imported cases": o.mean,
                "95%": f"{o.low:.3g}-{o.high:.3g}",
                "share": o.share,
                "rank 95%": f"{o.rank_low}-{o.rank_high}",
                "P(first)": o.probability_first,
            }
            for o in self.origins
        ]
        return rows

    def week_rows(self) -> list[dict[str, object]]:
        """Totals by week for a table on a terminal."""
        rows: list[dict[str, object]] = []
        for i, week in enumerate(self.weeks.tolist()):
            row: dict[str, object] = {"week ending": str(week), "observed": _known(self.observed[i])}
            if self.posterior is not None:
                low, middle, high = np.quantile(self.posterior.expected[:, i].sum(axis=1), [0.025, 0.5, 0.975])
                row |= {"expected": float(middle), "expected 95%": f"{low:.3g}-{high:.3g}"}
            if self.totals is not None:
                q = self.totals.quantiles[i]
                row["forecast a week before"] = None if math.isnan(q[11]) else f"{q[11]:.0f} ({q[1]:.0f}-{q[21]:.0f})"
            rows.append(row)
        return rows

    def next_week(self) -> dict[str, object] | None:
        """The national total of the week right after the last observed one; None without observed imports."""
        known = np.flatnonzero(np.isfinite(self.observed))
        if self.totals is None or not len(known):
            return None
        q = self.totals.quantiles[known[-1] + 1]
        week = self.weeks[known[-1]] + WEEK_D
        return {"week ending": str(week), "median": float(q[11]), "low": float(q[1]), "high": float(q[21])}

    def as_dict(self) -> dict[str, Any]:
        """For ``--json``."""
        return {
            "identifiable": self.identifiable,
            "origins": [asdict(o) for o in self.origins] if self.identifiable else NOT_IDENTIFIABLE,
            "measures": [asdict(e) for e in self.effects],
            "weeks": self.week_rows(),
            "next_week": self.next_week(),
            "scores": {k: _known(v) for k, v in self.scores.items()},
            "fitted": bool(self.posterior and self.posterior.fitted),
            "notes": list(self.notes),
        }


def _known(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def parse_range(text: str) -> tuple[float, float]:
    """``LOW:HIGH`` as two shares.

    Raises:
        UnknownValueError: not two ascending shares above 0 and up to 1.

    >>> parse_range("0.05:0.5")
    (0.05, 0.5)
    """
    try:
        low, high = (float(part) for part in text.split(":"))
    except ValueError:
        low, high = 0.0, 0.0
    if not 0 < low < high <= 1:
        raise UnknownValueError(f"ascertainment {text!r}: must be LOW:HIGH with 0 < LOW < HIGH <= 1, such as 0.05:0.5")
    return low, high


def parse_measures(texts: Sequence[str]) -> tuple[tuple[str, float], ...]:
    """``ORIGIN=EFFECT`` texts.

    Raises:
        UnknownValueError: no origin, or an effect outside 0 to 1.

    >>> parse_measures(["CN=0.8"])
    (('CN', 0.8),)
    """
    found = []
    for text in texts:
        origin, _, effect = text.rpartition("=")
        try:
            share = float(effect)
        except ValueError:
            share = math.nan
        if not origin or not 0 <= share <= 1:
            raise UnknownValueError(f"--measure {text}: must be ORIGIN=EFFECT with an effect between 0 and 1, such as CN=0.8")
        found.append((origin, share))
    return tuple(found)


def importation(
    arrivals: Path | None,
    flights: Path | None,
    cases: Path | None,
    prevalence: Path | None,
    origins: Path | None,
    observed: Path | None,
    settings: ImportationSettings | None = None,
    progress: Progress = silent,
) -> Importation:
    """Work out imported cases.

    Args:
        arrivals: by day and origin.
        flights: by day and country, all its international flights; or with origin and destination.
        cases: reported cases at the origins by day.
        prevalence: share of people infectious by day and origin, instead of cases.
        origins: population and ascertainment by country.
        observed: imported cases found, by day.
        settings: how.
        progress: told how far it is.

    Raises:
        InputError: a file that cannot be used, or neither cases nor prevalence.
    """
    settings = settings or ImportationSettings()
    progress("read", 0, 3)
    inputs = read_inputs(arrivals, flights, cases, prevalence, origins, settings)
    days, found = read_observed(observed) if observed else (inputs.days, np.full(len(inputs.days), np.nan))
    told = days[np.isfinite(found)]
    first, last = max(days[0], inputs.days[0]), inputs.days[-1]
    if len(told):
        last = _last_week_end(told[-1], last)
    if last - first < np.timedelta64(6, "D"):
        raise NothingFoundError(f"the files share {max(0, int((last - first).astype(int)) + 1)} days; at least one week is needed")
    cut = slice(int((first - inputs.days[0]).astype(int)), int((last - inputs.days[0]).astype(int)) + 1)
    # Days after the last observed one are forecast further ahead.
    seen = np.full(int((last - first).astype(int)) + 1, np.nan)
    part = found[int((first - days[0]).astype(int)) :][: len(seen)]
    seen[: len(part)] = part
    weekly_observed = by_week(inputs.days[cut], seen[:, None], last)[1][:, 0]
    weights = np.exp(-inputs.ascertainment.log_mean)
    infected = delayed(inputs.carrying if inputs.arrivals is None else inputs.carrying * inputs.arrivals, settings.course)
    weeks, weekly = by_week(inputs.days[cut], infected[cut], last)
    notes = [*inputs.notes, *_unequal_ends(told, inputs, weeks[np.isfinite(weekly_observed)])]
    progress("totals", 1, 3)
    totals, scores = _score_totals(weekly @ weights, weekly_observed, weeks, settings)
    progress("posterior", 2, 3)
    posterior, shares, effects = None, [], []
    if inputs.arrivals is None:
        notes.append(f"{NOT_IDENTIFIABLE}: no arrivals by origin; national totals only")
        if settings.measures:
            raise UnknownValueError(f"--measure: {NOT_IDENTIFIABLE} without arrivals by origin, so no measure on one can be judged")
    else:
        used = weekly_observed.copy()
        if settings.fit_until is not None:
            used[weeks > np.datetime64(settings.fit_until, "D")] = np.nan
        posterior = sample_posterior(
            weekly,
            inputs.ascertainment,
            used,
            arrival_log_sd=inputs.arrival_log_sd,
            scale_median=settings.found,
            draws=settings.draws,
            seed=settings.seed,
        )
        by_origin = posterior.total_of_origins()
        shares = rank_origins(by_origin, inputs.origins)
        unknown = [origin for origin, _ in settings.measures if origin not in inputs.origins]
        if unknown:
            raise UnknownValueError(f"--measure: no arrivals from {some(unknown)}; origins are {some(inputs.origins)}")
        effects = [measure_effect(by_origin, inputs.origins, origin, effect) for origin, effect in settings.measures]
        if not posterior.fitted:
            spread = "those of the prior" if prevalence is None else "the noise of arrivals alone"
            notes.append(f"no observed imports: intervals are {spread}, numbers are expected cases at the assumed share found")
    progress("posterior", 3, 3)
    return Importation(
        inputs.arrivals is not None,
        weeks,
        tuple(shares),
        posterior,
        inputs.origins,
        weekly_observed,
        totals,
        scores,
        tuple(effects),
        tuple(notes),
    )


def _last_week_end(told: np.datetime64, covered: np.datetime64) -> np.datetime64:
    """The end of the last week, whole weeks from the last day with observed imports on, so that none of those days is lost.

    Args:
        told: the last day with observed imports.
        covered: the last day of arrivals and of the epidemic abroad.

    >>> [str(_last_week_end(np.datetime64("2020-03-20"), np.datetime64(day))) for day in ("2020-03-18", "2020-04-02", "2020-12-31")]
    ['2020-03-18', '2020-03-27', '2020-04-17']
    """
    if covered <= told:
        return covered
    return told + min(int((covered - told) // WEEK_D), AHEAD_WEEKS) * WEEK_D


def _unequal_ends(told: Days, inputs: Inputs, known: Days) -> list[str]:
    """A note where observed imports end on another day than what they follow from; none without a whole week of them."""
    if not len(known) or told[-1] == inputs.days[-1]:
        return []
    covered, coming = inputs.days[-1], known[-1] + WEEK_D
    what = "the epidemic abroad" if inputs.arrivals is None else "arrivals and the epidemic abroad"
    if told[-1] < covered:
        return [f"observed imports end on {told[-1]}, {what} on {covered}: the coming week ends on {coming}"]
    return [f"observed imports end on {told[-1]}, {what} on {covered}: later imports are not used, the coming week ends on {coming}"]


def _score_totals(
    force: Floats, observed: Floats, weeks: Days, settings: ImportationSettings
) -> tuple[TotalForecasts | None, dict[str, float]]:
    if not np.isfinite(observed).any():
        return None, {}
    least = max(float(force.max()) * 1e-6, 1e-12)
    totals = forecast_totals(observed, np.maximum(force, least))
    scored = np.isfinite(totals.log_score[:-1])
    scored[:BURN_IN_WEEKS] = False
    if settings.fit_until is not None:
        scored &= weeks > np.datetime64(settings.fit_until, "D")
    naive = naive_log_scores(observed)
    scored &= np.isfinite(naive)
    if not scored.any():
        return totals, {"weeks": 0.0}
    q, y = totals.quantiles[:-1][scored], observed[scored]
    inside = {p: float(((y >= q[:, low]) & (y <= q[:, high])).mean()) for p, low, high in ((50, 6, 16), (80, 3, 19), (95, 1, 21))}
    return totals, {
        "weeks": float(scored.sum()),
        "log_score": float(totals.log_score[:-1][scored].mean()),
        "naive_log_score": float(naive[scored].mean()),
        **{f"coverage_{p}": share for p, share in inside.items()},
    }


def write_importation(found: Importation, out: Path, *, plots: bool = True) -> list[Path]:
    """Write ``importation.json``, ``origins.csv``, ``origin_weeks.parquet``, ``totals.csv`` and a picture to a folder.

    Raises:
        MissingExtraError: pictures asked for and matplotlib is not installed.
        DiskFullError: no room.
    """
    written = [out / "importation.json", out / "totals.csv"]
    write_atomically(written[0], json.dumps(found.as_dict(), ensure_ascii=False, indent=1).encode())
    write_table(written[1], _totals_table(found))
    if found.posterior is not None:
        written += [out / "origins.csv", out / "origin_weeks.parquet"]
        write_table(written[-2], pa.Table.from_pylist([asdict(o) for o in found.origins]))
        write_table(written[-1], origin_weeks(found))
    if plots:
        try:
            from oneteam.epidemic.drawing.importation import importation_chart
            from oneteam.epidemic.drawing.sheet import picture
        except ImportError as err:
            raise MissingExtraError("pictures need matplotlib", hint="Install oneteam[plot], or add --no-plots.") from err
        expected = None if found.posterior is None else np.quantile(found.posterior.expected.sum(axis=2), [0.025, 0.5, 0.975], axis=0)
        forecast = None if found.totals is None else found.totals.quantiles[:-1, [1, 11, 21]].T
        figure = importation_chart(found.weeks, found.observed, expected, forecast, found.origins)
        written.append(out / "importation.png")
        write_atomically(written[-1], picture(figure, ".png"))
    return written


def origin_weeks(found: Importation) -> pa.Table:
    """Expected imported cases by week and origin, with 95% intervals."""
    assert found.posterior is not None
    draws = found.posterior.expected
    low, middle, high = np.quantile(draws, [0.025, 0.5, 0.975], axis=0)
    weeks, origins = draws.shape[1:]
    return pa.table(
        {
            "week_end": pa.array(np.repeat(found.weeks, origins), pa.date32()),
            "origin": pa.array(list(found.names) * weeks, pa.string()),
            "mean": pa.array(draws.mean(axis=0).ravel()),
            "low": pa.array(low.ravel()),
            "median": pa.array(middle.ravel()),
            "high": pa.array(high.ravel()),
        }
    )


def _totals_table(found: Importation) -> pa.Table:
    """Observed and forecast totals; the first row after the last observed total is the coming week."""
    totals = found.totals
    weeks = found.weeks if totals is None else np.append(found.weeks, found.weeks[-1] + WEEK_D)
    observed = np.append(found.observed, np.full(len(weeks) - len(found.weeks), np.nan))
    columns: dict[str, pa.Array] = {
        "week_end": pa.array(weeks, pa.date32()),
        "observed": pa.array(observed, pa.float64(), mask=np.isnan(observed)),
    }
    if totals is not None:
        for i, level in enumerate(LEVELS):
            values = totals.quantiles[:, i]
            columns[f"q{level:g}"] = pa.array(values, pa.float64(), mask=np.isnan(values))
        columns["log_score"] = pa.array(totals.log_score, pa.float64(), mask=np.isnan(totals.log_score))
    return pa.table(columns)
