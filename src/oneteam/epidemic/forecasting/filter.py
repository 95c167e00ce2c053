"""The mechanistic member: an ensemble adjustment Kalman filter on a weekly renewal model of coupled places.

State of a place: incidence of the last two weeks, susceptibles, and the logarithm of transmission, which walks at random, partly together
with all other places. New infections are transmission x susceptible share x pressure, where pressure is past incidence weighted by the
generation interval, some of it coming from other places. Each report adjusts its own place and, tapered, those that move with it.

Sources: Anderson 2001, "An ensemble adjustment Kalman filter for data assimilation", Mon. Wea. Rev. 129:2884 (the filter); Gaspari and Cohn
1999 and Hamill and others 2001 (why covariances between distant places are tapered); Fraser 2007, PLoS ONE 2:e758 (renewal equation).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import numpy.typing as npt

from oneteam.epidemic.hub.levels import LEVELS
from oneteam.stats.compiled import compiled
from oneteam.stats.random import key_of, normals

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

_STREAM: Final = 0x0EA4F
OFFSET: Final = 1.0
"""Added to counts before the logarithm is taken."""
NEAR: Final = 0.1
JUMP: Final = 1.2
"""Standard deviation of the logarithm by which a break in testing may move all reports."""
SPARED_SHAPE: Final = 2.0
"""How far a place without any case may differ from the model: its factor has a coefficient of variation of 1 / sqrt(shape)."""
RECENT_WEEKS: Final = 80
"""The filter starts so long before the newest week."""
_INCIDENCE, _BEFORE, _SUSCEPTIBLE, _TRANSMISSION = range(4)


@dataclass(frozen=True)
class FilterSettings:
    """How the filter is set.

    Args:
        members: of the ensemble.
        walk: weekly standard deviation of log transmission.
        shared: share of the walk's variance that is common to all places.
        damping: share of log growth that is still there a week later, in forecasts.
        report_cv: spread of reports beyond Poisson, as a share of their mean.
        outside: share of a place's pressure that comes from others.
        taper: how much a place's report may move the places nearest to it: 0 not at all, 1 as their covariance says. Where movement is
            known, farther places are moved less, and those with a tenth of the nearest's movement or less not at all.
        same_week: share of pressure from the week before; the rest is from two weeks before.
        susceptible: share of people who can be infected at the start.
        ascertained: share of infections that is reported.
        waning_weeks: mean time until an immune person can be infected again.
        taper_susceptible: times `taper`, how much a place's report may move the susceptibles of other places. They depend on a place's own
            past only; what an ensemble finds between places is largely chance, and takes away spread that should stay.
        few_counted: whether it is taken into account that the logarithm of a Poisson count is on average below that of its mean.
    """

    members: int = 200
    walk: float = 0.35
    shared: float = 0.75
    damping: float = 0.6
    report_cv: float = 0.15
    outside: float = 0.2
    taper: float = 0.3
    same_week: float = 1.0
    susceptible: float = 0.95
    ascertained: float = 0.6
    waning_weeks: float = 40.0
    taper_susceptible: float = 1.0
    few_counted: bool = False


PLAIN: Final = FilterSettings()
"""As the flu member was frozen."""
EMERGING: Final = FilterSettings(taper_susceptible=0.0, few_counted=True)
"""Where there is no history: intervals of the state hold what they promise (`bench/epidemic_sbc.py`)."""
GRID: Final = ((0.1, 0.1), (0.2, 0.1), (0.35, 0.15), (0.35, 0.25))
"""Pairs of `walk` and `report_cv` among which the past decides, by how well one week told the next."""


@dataclass(frozen=True)
class FilterState:
    """What the filter believes after the newest week.

    Args:
        state: incidence, incidence before, susceptible share, log transmission, shape (4, places, members).
        mean: the same by week, averaged over members, shape (weeks, 4, places).
        low: lower ends of 95% intervals, likewise.
        high: upper ends.
        log_score: mean log density of reports one week ahead.
        settings: that were used.
        in_vain: cases that were to be expected in a place that has reported none at all: those that others sent at steady transmission,
            and those that the filter believed in; NaN for a place with a case, shape (places,).
    """

    state: Floats
    mean: Floats
    low: Floats
    high: Floats
    log_score: float
    settings: FilterSettings
    in_vain: Floats

    @property
    def reproduction(self) -> tuple[Floats, Floats, Floats]:
        """Effective reproduction number by week and place: mean and 95% interval; transmission times susceptible share."""
        susceptible = self.mean[:, _SUSCEPTIBLE]
        of = [np.exp(bound[:, _TRANSMISSION]) * susceptible for bound in (self.mean, self.low, self.high)]
        return of[0], of[1], of[2]


def run_filter(
    counts: Floats,
    population: Floats,
    settings: FilterSettings,
    seed: int,
    coupling: Floats | None = None,
    jumps: Flags | None = None,
    half_life_weeks: float = np.inf,
) -> FilterState:
    """Assimilate all weeks.

    Args:
        counts: reports, NaN where unknown, shape (weeks, places).
        population: persons, shape (places,).
        settings: of the filter.
        seed: of the ensemble.
        coupling: where a place's outside pressure comes from, rows sum to 1, shape (places, places); by population when None.
        jumps: weeks in which testing or reporting changed, so that all reports may have jumped, shape (weeks,).
        half_life_weeks: after which a week counts half in the log score.

    Returns:
        State and its intervals by week.
    """
    share = _shares(population) if coupling is None else np.where(coupling.sum(axis=1, keepdims=True) > 0, coupling, _shares(population))
    state = _start(counts, settings, seed)
    log_score, history = _assimilate(
        np.log(counts + OFFSET),
        population,
        share,
        state,
        np.zeros(len(counts), np.bool_) if jumps is None else jumps,
        np.uint64(key_of(seed, _STREAM, 2)),
        settings.walk,
        settings.shared,
        settings.report_cv,
        settings.outside,
        _tapers(share, settings.taper, near=coupling is not None),
        settings.same_week,
        settings.ascertained,
        1.0 / settings.waning_weeks,
        half_life_weeks,
        settings.taper_susceptible,
        1.0 if settings.few_counted else 0.0,
    )
    in_vain = _expected_in_vain(counts, population, share, history[0, :, _INCIDENCE], settings.outside)
    return FilterState(state, history[0], history[1], history[2], float(log_score), settings, in_vain)


def tuned_filter(
    counts: Floats,
    population: Floats,
    seed: int,
    coupling: Floats | None = None,
    members: int = 200,
    jumps: Flags | None = None,
    half_life_weeks: float = np.inf,
    settings: FilterSettings = PLAIN,
) -> FilterState:
    """The filter with those settings of the `GRID` under which one week has told the next best so far, recent weeks counting more."""
    plain = replace(settings, members=members)
    few = replace(plain, members=max(40, members // 3))
    quick = [
        run_filter(counts, population, replace(few, walk=w, report_cv=cv), seed, coupling, jumps, half_life_weeks).log_score
        for w, cv in GRID
    ]
    walk, report_cv = GRID[int(np.argmax(quick))]
    return run_filter(counts, population, replace(plain, walk=walk, report_cv=report_cv), seed, coupling, jumps)


def filter_quantiles(found: FilterState, population: Floats, steps: int, seed: int, coupling: Floats | None = None) -> Floats:
    """Quantiles of reports 1 to ``steps`` weeks ahead, shape (places, steps, 23)."""
    paths = filter_paths(found, population, steps, seed, coupling)
    quantiles: Floats = np.moveaxis(np.quantile(paths, np.asarray(LEVELS), axis=2), 0, -1)
    return quantiles.transpose(1, 0, 2)


def filter_paths(found: FilterState, population: Floats, steps: int, seed: int, coupling: Floats | None = None, draws: int = 5) -> Floats:
    """Trajectories of reports, shape (steps, places, members x draws); every member goes on several times.

    The model lets every place be reached from every other one. A place that has reported zeros only speaks against that: its reports are
    the model's times an unknown factor, a priori Gamma(k, k) with k = `SPARED_SHAPE`. After F cases expected in vain that is
    Gamma(k, k + F): next to nothing after months beside an epidemic, about the model's own word where one has just begun elsewhere.
    """
    s = found.settings
    share = _shares(population) if coupling is None else np.where(coupling.sum(axis=1, keepdims=True) > 0, coupling, _shares(population))
    state = np.repeat(found.state, draws, axis=2)
    key = np.uint64(key_of(seed, _STREAM, 3))
    rates = (s.walk, s.shared, s.damping, s.report_cv, s.outside, s.same_week, s.ascertained, 1.0 / s.waning_weeks)
    paths = _project(state, population, share, key, steps, *rates)
    spared = np.flatnonzero(np.isfinite(found.in_vain))
    if len(spared):
        random = np.random.default_rng(key_of(seed, _STREAM, 4))
        factor = random.gamma(SPARED_SHAPE, 1.0 / (SPARED_SHAPE + found.in_vain[spared, None]), (len(spared), state.shape[2]))
        paths[:, spared] = random.poisson(factor * paths[:, spared])
    return paths


def _expected_in_vain(counts: Floats, population: Floats, share: Floats, believed: Floats, outside: float) -> Floats:
    known = np.isfinite(counts)
    spared = known.any(axis=0) & ~(np.nan_to_num(counts) > 0).any(axis=0)
    sent = outside * population * ((np.nan_to_num(counts) / population) @ share.T)
    expected = believed.copy()
    expected[1:] += sent[:-1]
    total: Floats = np.where(known, expected, 0.0).sum(axis=0)
    return np.where(spared, total, np.nan)


def _shares(population: Floats) -> Floats:
    """Every place's outside pressure comes from the others by population."""
    share = np.tile(population / population.sum(), (len(population), 1))
    np.fill_diagonal(share, 0.0)
    shares: Floats = share / np.maximum(share.sum(axis=1, keepdims=True), 1e-12)
    return shares


def _tapers(share: Floats, taper: float, *, near: bool) -> Floats:
    """How much the report of a place (rows) may move each other place."""
    if not near:
        return np.full(share.shape, taper)
    both = share + share.T
    relative = both / np.maximum(both.max(axis=1, keepdims=True), 1e-12)
    found: Floats = taper * np.where(relative > NEAR, relative, 0.0)
    return found


def _start(counts: Floats, settings: FilterSettings, seed: int) -> Floats:
    places, members = counts.shape[1], settings.members
    known = np.isfinite(counts)
    first = np.array([counts[known[:, i], i][0] if known[:, i].any() else 0.0 for i in range(places)])
    noise = normals(key_of(seed, _STREAM, 1), 0, 3 * places * members).reshape(3, places, members)
    incidence = np.maximum(first, 0.5)[:, None] * np.exp(0.3 * noise[0])
    state = np.empty((4, places, members))
    state[_INCIDENCE] = incidence
    state[_BEFORE] = incidence * np.exp(0.1 * noise[1])
    state[_SUSCEPTIBLE] = settings.susceptible
    state[_TRANSMISSION] = 0.3 * noise[2] - np.log(settings.susceptible)
    return np.ascontiguousarray(state)


@compiled
def _advance(state: Floats, population: Floats, share: Floats, same_week: float, outside: float, ascertained: float, waning: float) -> None:
    """One week of the renewal model, in place."""
    places, members = state.shape[1], state.shape[2]
    pressure = np.empty((places, members))
    for i in range(places):
        for m in range(members):
            pressure[i, m] = (same_week * state[0, i, m] + (1.0 - same_week) * state[1, i, m]) / population[i]
    for i in range(places):
        imported = np.zeros(members)
        if outside > 0.0:
            for j in range(places):
                if share[i, j] > 0.0:
                    for m in range(members):
                        imported[m] += share[i, j] * pressure[j, m]
        for m in range(members):
            force = ((1.0 - outside) * pressure[i, m] + outside * imported[m]) * population[i]
            new = np.exp(state[3, i, m]) * state[2, i, m] * force
            new = min(max(new, 0.05), 0.5 * state[2, i, m] * population[i] * ascertained + 0.05)
            state[1, i, m] = state[0, i, m]
            state[0, i, m] = new
            left = state[2, i, m] + waning * (1.0 - state[2, i, m]) - new / (population[i] * ascertained)
            state[2, i, m] = max(left, 0.02)


@compiled
def _walk(state: Floats, key: np.uint64, week: int, walk: float, shared: float) -> None:
    """Let log transmission walk, in place: partly together."""
    places, members = state.shape[1], state.shape[2]
    draws = normals(key, week * (places + 1) * members, (places + 1) * members)
    together, alone = walk * np.sqrt(shared), walk * np.sqrt(1.0 - shared)
    for i in range(places):
        for m in range(members):
            state[3, i, m] += together * draws[m] + alone * draws[(i + 1) * members + m]


@compiled
def _adjust(state: Floats, place: int, report: float, report_cv: float, taper: Floats, susceptible: float, few: float) -> float:
    """Assimilate one report, in place, all parts of the state being logarithms; the log density that the report had."""
    places, members = state.shape[1], state.shape[2]
    seen = np.log(np.exp(state[0, place]) + OFFSET)
    mean = seen.mean()
    variance = max(seen.var(), 1e-8)
    noise = report_cv**2 + 1.0 / (np.exp(mean) + 0.5)
    # E[log(1 + n)] of a Poisson count n, to second order.
    report += few * 0.5 * (np.exp(-mean) - np.exp(-2.0 * mean))
    total = variance + noise
    density = -0.5 * ((report - mean) ** 2 / total + np.log(2.0 * np.pi * total))
    shift = variance / total * (report - mean)
    shrink = np.sqrt(noise / total)
    seen -= mean
    step = shift + (shrink - 1.0) * seen
    for i in range(places):
        factor = 1.0 if i == place else taper[i]
        if factor == 0.0:
            continue
        for part in range(4):
            together = 0.0
            for m in range(members):
                together += state[part, i, m] * seen[m]
            # The deviations of what is seen sum to zero, so the mean of the state drops out of the covariance.
            part_factor = factor * susceptible if part == _SUSCEPTIBLE and i != place else factor
            slope = min(max(part_factor * together / (members * variance), -5.0), 5.0)
            for m in range(members):
                state[part, i, m] += slope * step[m]
    return float(density)


@compiled
def _bound(state: Floats) -> None:
    """Keep logarithms within what the model can mean."""
    for i in range(state.shape[1]):
        for m in range(state.shape[2]):
            state[2, i, m] = min(max(state[2, i, m], -3.9), 0.0)
            state[3, i, m] = min(max(state[3, i, m], -3.0), 3.0)


@compiled
def _remember(history: Floats, week: int, state: Floats) -> None:
    """Mean and 95% interval of every part and place."""
    members = state.shape[2]
    for part in range(4):
        for i in range(state.shape[1]):
            line = np.sort(state[part, i])
            history[0, week, part, i] = line.mean()
            history[1, week, part, i] = line[int(0.025 * (members - 1))]
            history[2, week, part, i] = line[int(np.ceil(0.975 * (members - 1)))]


@compiled
def _assimilate(
    reports: Floats,
    population: Floats,
    share: Floats,
    state: Floats,
    jumps: Flags,
    key: np.uint64,
    walk: float,
    shared: float,
    report_cv: float,
    outside: float,
    tapers: Floats,
    same_week: float,
    ascertained: float,
    waning: float,
    half_life: float,
    susceptible: float,
    few: float,
) -> tuple[float, Floats]:
    weeks, places = reports.shape
    members = state.shape[2]
    history = np.empty((3, weeks, 4, places))
    score, scored = 0.0, 0.0
    for t in range(weeks):
        if t > 0:
            _walk(state, key, t, walk, shared)
            _advance(state, population, share, same_week, outside, ascertained, waning)
        state[:3] = np.log(state[:3])
        if jumps[t]:
            state[0] += JUMP * normals(key, -(t + 1) * members, members)
        for i in range(places):
            if np.isfinite(reports[t, i]):
                density = _adjust(state, i, reports[t, i], report_cv, tapers[i], susceptible, few)
                if t >= min(8, weeks // 2):
                    weight = 0.5 ** ((weeks - 1 - t) / half_life)
                    score += weight * density
                    scored += weight
        _bound(state)
        state[:3] = np.exp(state[:3])
        _remember(history, t, state)
    return score / max(scored, 1e-12), history


@compiled
def _project(
    state: Floats,
    population: Floats,
    share: Floats,
    key: np.uint64,
    steps: int,
    walk: float,
    shared: float,
    damping: float,
    report_cv: float,
    outside: float,
    same_week: float,
    ascertained: float,
    waning: float,
) -> Floats:
    places, members = state.shape[1], state.shape[2]
    out = np.empty((steps, places, members))
    noise_key = np.uint64(key) + np.uint64(1)
    for t in range(steps):
        # Growth fades: measures, behaviour and the end of what the model knows pull the effective number towards one.
        for i in range(places):
            for m in range(members):
                growth = state[3, i, m] + np.log(state[2, i, m])
                state[3, i, m] = damping * growth - np.log(state[2, i, m])
        _walk(state, key, t, walk, shared)
        _advance(state, population, share, same_week, outside, ascertained, waning)
        draws = normals(noise_key, t * places * members, places * members)
        for i in range(places):
            for m in range(members):
                mean = state[0, i, m]
                spread = np.sqrt(report_cv**2 + 1.0 / (mean + 0.5 + OFFSET))
                out[t, i, m] = max((mean + OFFSET) * np.exp(spread * draws[i * members + m]) - OFFSET, 0.0)
    return out
