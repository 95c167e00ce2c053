"""One block of 16 members through time: the chain-binomial step.

On each day every way out of a compartment has a hazard; with h their sum, Binomial(n, 1 - exp(-h)) people leave, and are shared among the ways by
binomials in turn. All of it is drawn from the counts at the start of the day.

Source: N. T. J. Bailey, The Mathematical Theory of Infectious Diseases, 2nd ed., 1975, chapter 14; C. Bretó et al., Ann. Appl. Stat. 3, 2009,
for the Euler-multinomial step.
"""

from __future__ import annotations

import numpy as np

from oneteam.epidemic.engine import exact_sampler, fast_sampler
from oneteam.epidemic.engine.arrays import INFECTION, VACCINATION, Doubles, Floats, Ints, ModelArrays, Output, PlanArrays, Scratch
from oneteam.epidemic.engine.force import count_infectious, press_by_day, press_on_residents
from oneteam.epidemic.engine.lane_ops import add, copy, fill32, fill64, subtract
from oneteam.epidemic.engine.lanes import LANES, NOT_NEGATIVE, day_keys, lane_loop

_F = np.float32
_I = np.int32
_U = np.uint32
_P32, _H32 = fast_sampler.P, fast_sampler.H
_P64, _H64 = exact_sampler.P, exact_sampler.H
_draw_fast, _draw_exact = fast_sampler.draw, exact_sampler.draw
_p_fast, _p_exact = fast_sampler.probability, exact_sampler.probability
_LN2 = _F(0.6931471)


@lane_loop
def draw_constant(
    exact: bool, n: Ints, at: int, rarer: float, hazard: float, flip: bool, counter: _U, s: Scratch, out: Ints, to: int
) -> bool:
    """Draw with one probability for all lanes; returns whether anybody moves."""
    if exact:
        fill64(s.w64, _P64, rarer)
        fill64(s.w64, _H64, hazard)
        return _draw_exact(n, at, s.w64, flip, counter, s.k0, s.k1, out, to)
    fill32(s.w32, _P32, _F(rarer))
    fill32(s.w32, _H32, _F(hazard))
    return _draw_fast(n, at, s.w32, flip, counter, s.k0, s.k1, out, to)


@lane_loop
def _hazards_fast(hazard: Floats, row: int, times: _F, plus: _F, w: Floats) -> int:
    """Fill probabilities and hazards; returns in how many lanes moving is the likelier."""
    row &= NOT_NEGATIVE
    likely = _I(0)
    for lane in range(LANES):
        h = times * hazard[row + lane] + plus
        w[_P32 + lane] = _p_fast(h)
        w[_H32 + lane] = h
        likely += _I(1) if h > _LN2 else _I(0)
    return likely


@lane_loop
def _hazards_exact(hazard: Floats, row: int, times: _F, plus: _F, w: Doubles) -> int:
    """The same in doubles."""
    row &= NOT_NEGATIVE
    likely = 0
    for lane in range(LANES):
        h = np.float64(times * hazard[row + lane] + plus)
        w[_P64 + lane] = _p_exact(h)
        w[_H64 + lane] = h
        likely += 1 if h > _LN2 else 0
    return likely


@lane_loop
def draw_varied(exact: bool, n: Ints, at: int, hazard: Floats, row: int, times: _F, plus: _F, counter: _U, s: Scratch, out: Ints, to: int) -> bool:
    """Draw with the hazard ``times * hazard[row + lane] + plus`` of each lane; returns whether anybody moves."""
    if exact:
        if _hazards_exact(hazard, row, times, plus, s.w64) == 0:
            return _draw_exact(n, at, s.w64, False, counter, s.k0, s.k1, out, to)
    elif _hazards_fast(hazard, row, times, plus, s.w32) == 0:
        return _draw_fast(n, at, s.w32, False, counter, s.k0, s.k1, out, to)
    return _draw_likely(exact, n, at, hazard, row, times, plus, counter, s, out, to)


@lane_loop
def _draw_likely(exact: bool, n: Ints, at: int, hazard: Floats, row: int, times: _F, plus: _F, counter: _U, s: Scratch, out: Ints, to: int) -> bool:
    """The same where moving is the likelier in some lane: those lanes draw who stays, in a second round."""
    row &= NOT_NEGATIVE
    to &= NOT_NEGATIVE
    for lane in range(LANES):
        out[to + lane] = 0
        s.other[lane] = 0
    moved = False
    for turn in range(2):
        flip = turn == 1
        for lane in range(LANES):
            h = min(np.float64(times * hazard[row + lane] + plus), 60.0)
            mine = (h > 0.6931471) == flip
            p = -np.expm1(-h)
            rarer = (1.0 - p if flip else p) if mine else 0.0
            rarer_hazard = (-np.log(p) if flip else h) if mine else 0.0
            s.w64[_P64 + lane] = rarer
            s.w64[_H64 + lane] = rarer_hazard
            s.w32[_P32 + lane] = _F(rarer)
            s.w32[_H32 + lane] = _F(rarer_hazard)
        if exact:
            found = _draw_exact(n, at, s.w64, flip, counter, s.k0, s.k1, s.other, 0)
        else:
            found = _draw_fast(n, at, s.w32, flip, counter, s.k0, s.k1, s.other, 0)
        if found:
            moved = True
            for lane in range(LANES):
                h = np.float64(times * hazard[row + lane] + plus)
                if (h > 0.6931471) == flip:
                    out[to + lane] = s.other[lane]
    return moved


@lane_loop
def leave(exact: bool, day: int, z: int, a: int, g: int, pressed: bool, m: ModelArrays, p: PlanArrays, s: Scratch) -> None:
    """Draw who leaves the compartment of group g, and by which branch."""
    ages = p.per_person.shape[1]
    compartments = m.stock.shape[1]
    epoch = p.epoch[day]
    cell = z * ages + a
    slots = len(m.group_source) + len(m.branch_target)
    first, end = m.group_branch[g], m.group_branch[g + 1]
    at = ((z * compartments + m.group_source[g]) * ages + a) * LANES
    counter = _U(cell * slots + g)
    single = end - first == 1
    out, to = s.total, 0
    if single:
        out, to = s.moved, first * LANES
    vaccination = _F(0.0)
    if m.group_varied[g] == 0:
        found = draw_constant(exact, s.state, at, m.rarer[epoch, g, a], m.rarer_hazard[epoch, g, a], m.flip[epoch, g, a] != 0, counter, s, out, to)
    else:
        vaccination = p.vaccination[p.vaccination_regime[day], z, a] * m.vaccine_uptake[g]
        constant = vaccination + _F(m.hazard[epoch, g, a])
        if not pressed and constant <= _F(0.0):
            return
        susceptibility = m.susceptibility[epoch, g, a] if pressed else _F(0.0)
        found = draw_varied(exact, s.state, at, s.hazard, a * LANES, susceptibility, constant, counter, s, out, to)
    if not found:
        return
    if single:
        s.has_moved[first] = 1
    else:
        _share(exact, day, cell, a, g, pressed, vaccination, m, p, s)


@lane_loop
def _share(
    exact: bool, day: int, cell: int, a: int, g: int, pressed: bool, vaccination: _F, m: ModelArrays, p: PlanArrays, s: Scratch
) -> None:
    """Share those who leave among the branches."""
    epoch = p.epoch[day]
    groups = len(m.group_source)
    slots = groups + len(m.branch_target)
    first, end = m.group_branch[g], m.group_branch[g + 1]
    copy(s.rest, 0, s.total, 0)
    hazard_left = np.float64(vaccination) + m.hazard[epoch, g, a]
    for b in range(first, end):
        to = b * LANES
        if b == end - 1:
            copy(s.moved, to, s.rest, 0)
            s.has_moved[b] = 1
            return
        counter = _U(cell * slots + groups + b)
        kind = m.branch_kind[b]
        if kind == INFECTION:
            found = pressed
            if pressed:
                _infection_hazard(a, m.susceptibility[epoch, g, a], hazard_left, s)
                found = draw_varied(exact, s.rest, 0, s.mixed, 0, _F(1.0), _F(0.0), counter, s, s.moved, to)
        else:
            share = np.float64(vaccination) / hazard_left if kind == VACCINATION and hazard_left > 0.0 else m.share[epoch, b, a]
            if kind == VACCINATION and vaccination <= _F(0.0):
                share = 0.0
            flip = share > 0.5
            rarer = 1.0 - share if flip else share
            found = draw_constant(exact, s.rest, 0, rarer, -np.log1p(-rarer), flip, counter, s, s.moved, to)
        if found:
            s.has_moved[b] = 1
            subtract(s.rest, 0, s.moved, to)


@lane_loop
def _infection_hazard(a: int, susceptibility: _F, others: float, s: Scratch) -> None:
    """Into ``mixed``: the hazard whose probability is infection's share of all hazards."""
    row = (a * LANES) & NOT_NEGATIVE
    for lane in range(LANES):
        h = np.float64(s.hazard[row + lane] * susceptibility)
        s.mixed[lane] = _F(np.log1p(h / others)) if others > 0.0 else _F(60.0)


@lane_loop
def settle(day: int, z: int, a: int, m: ModelArrays, p: PlanArrays, s: Scratch, o: Output) -> None:
    """Carry out what was drawn for a zone and an age, and count it."""
    ages = p.per_person.shape[1]
    compartments = m.stock.shape[1]
    days, areas = o.days, o.areas
    area = p.area[z]
    base = z * compartments
    for g in range(len(m.group_source)):
        source = ((base + m.group_source[g]) * ages + a) * LANES
        for b in range(m.group_branch[g], m.group_branch[g + 1]):
            if s.has_moved[b] == 0:
                continue
            s.has_moved[b] = 0
            by = b * LANES
            target = ((base + m.branch_target[b]) * ages + a) * LANES
            subtract(s.state, source, s.moved, by)
            add(s.state, target, s.moved, by)
            for f in range(2):
                flow = m.flow[b, f]
                if flow >= 0:
                    to = ((flow * days + day) * areas + area) * LANES
                    add(o.flow_area, to, s.moved, by)
                    to = ((flow * days + day) * ages + a) * LANES
                    add(o.flow_age, to, s.moved, by)


@lane_loop
def count_stocks(day: int, m: ModelArrays, p: PlanArrays, s: Scratch, o: Output) -> None:
    """Count the stocks at the end of a day."""
    zones, ages = p.per_person.shape
    stocks, compartments = m.stock.shape
    days, areas = o.days, o.areas
    for k in range(stocks):
        for z in range(zones):
            to = ((k * days + day) * areas + p.area[z]) * LANES
            for c in range(compartments):
                if m.stock[k, c] != 0:
                    for a in range(ages):
                        at = ((z * compartments + c) * ages + a) * LANES
                        add(o.stock_area, to, s.state, at)


@lane_loop
def run_block(
    exact: bool, seed: np.uint64, first_member: int, first_day: int, last_day: int, m: ModelArrays, p: PlanArrays, s: Scratch, o: Output
) -> None:
    """Days ``first_day`` to ``last_day - 1`` of one block of members, from the state in the scratch."""
    zones, ages = p.per_person.shape
    for day in range(first_day, last_day):
        day_keys(seed, first_member, day, s.k0, s.k1)
        anywhere = count_infectious(day, m, p, s)
        if anywhere:
            press_by_day(day, p, s)
        else:
            for z in range(zones):
                s.under_pressure[z] = 0
        for z in range(zones):
            pressed = press_on_residents(day, z, p, s)
            for a in range(ages):
                for g in range(len(m.group_source)):
                    leave(exact, day, z, a, g, pressed, m, p, s)
                settle(day, z, a, m, p, s, o)
        count_stocks(day, m, p, s, o)

