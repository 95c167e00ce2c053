"""One block of 32 members through time: the chain-binomial step.

On each day every way out of a compartment has a hazard; with h their sum, Binomial(n, 1 - exp(-h)) people leave, and are shared among the
ways by binomials in turn. All of it is drawn from the counts at the start of the day.

Source: N. T. J. Bailey, The Mathematical Theory of Infectious Diseases, 2nd ed., 1975, chapter 14; C. Bretó et al., Ann. Appl. Stat. 3,
2009, for the Euler-multinomial step.
"""

from __future__ import annotations

import numpy as np

from oneteam.epidemic.engine import exact_sampler, fast_sampler
from oneteam.epidemic.engine.arrays import INFECTION, VACCINATION, Bytes, Ints, ModelArrays, Output, PlanArrays, Scratch
from oneteam.epidemic.engine.force import count_infectious, press_by_day, press_on_residents
from oneteam.epidemic.engine.lane_ops import add, add_long, copy_long, subtract_long
from oneteam.epidemic.engine.lanes import FIRST, LANES, day_keys, lane_loop

_F = np.float32
_draw_fast, _draw_exact = fast_sampler.draw_ages, exact_sampler.draw_ages
_hazards_fast, _hazards_exact = fast_sampler.hazards, exact_sampler.hazards


@lane_loop
def draw_varied(exact: bool, n: Ints, at: int, ages: int, counter: int, step: int, s: Scratch, out: Ints, to: int) -> int:
    """Draw with the hazards ``times * source + plus`` that stand in the scratch; returns for how many ages anybody moves."""
    if exact:
        if _hazards_exact(s.source, s.times, FIRST, s.plus, FIRST, ages, s.p64, s.h64) == 0:
            return _draw_exact(n, at, s.p64, s.h64, FIRST, s.never, FIRST, ages, counter, step, s.k0, s.k1, s.w64, out, to)
    elif _hazards_fast(s.source, s.times, FIRST, s.plus, FIRST, ages, s.p32, s.h32) == 0:
        return _draw_fast(n, at, s.p32, s.h32, FIRST, s.never, FIRST, ages, counter, step, s.k0, s.k1, s.w32, out, to)
    return _draw_likely(exact, n, at, ages, counter, step, s, out, to)


@lane_loop
def _draw_likely(exact: bool, n: Ints, at: int, ages: int, counter: int, step: int, s: Scratch, out: Ints, to: int) -> int:
    """The same where moving is the likelier in some lane: those lanes draw who stays, in a second round."""
    length = ages * LANES
    found = 0
    for turn in range(2):
        flip = turn == 1
        for i in range(length):
            h = min(np.float64(s.times[i // LANES] * s.source[i] + s.plus[i // LANES]), 60.0)
            mine = (h > 0.6931471) == flip
            p = -np.expm1(-h)
            s.p64[i] = (1.0 - p if flip else p) if mine else 0.0
            s.h64[i] = (-np.log(p) if flip else h) if mine else 0.0
            s.p32[i] = _F(s.p64[i])
            s.h32[i] = _F(s.h64[i])
        which = s.always if flip else s.never
        if exact:
            _draw_exact(n, at, s.p64, s.h64, FIRST, which, FIRST, ages, counter, step, s.k0, s.k1, s.w64, s.other, FIRST)
        else:
            _draw_fast(n, at, s.p32, s.h32, FIRST, which, FIRST, ages, counter, step, s.k0, s.k1, s.w32, s.other, FIRST)
        for i in range(length):
            h = np.float64(s.times[i // LANES] * s.source[i] + s.plus[i // LANES])
            if (h > 0.6931471) == flip:
                out[to + i] = s.other[i]
                found += 1 if s.other[i] > 0 else 0
    return found


@lane_loop
def leave(exact: bool, day: int, z: int, g: int, pressed: bool, m: ModelArrays, p: PlanArrays, s: Scratch) -> None:
    """Draw who of a zone leaves the compartment of group g, and by which branch."""
    ages = p.per_person.shape[1]
    length = ages * LANES
    epoch = p.epoch[day]
    groups = len(m.group_source)
    slots = groups + len(m.branch_target)
    first, end = m.group_branch[g], m.group_branch[g + 1]
    at = (z * m.stock.shape[1] + m.group_source[g]) * length
    counter = z * ages * slots + g
    single = end - first == 1
    out, to = s.total, FIRST
    if single:
        out, to = s.moved, first * length
    if m.group_varied[g] == 0:
        row = (epoch * groups + g) * ages
        by = row * LANES
        if exact:
            found = _draw_exact(s.state, at, m.p64, m.h64, by, m.flip, row, ages, counter, slots, s.k0, s.k1, s.w64, out, to)
        else:
            found = _draw_fast(s.state, at, m.p32, m.h32, by, m.flip, row, ages, counter, slots, s.k0, s.k1, s.w32, out, to)
    else:
        if not _fill_hazards(day, z, g, pressed, m, p, s):
            return
        found = draw_varied(exact, s.state, at, ages, counter, slots, s, out, to)
    if found == 0:
        return
    if single:
        s.has_moved[first] = 1
    else:
        _share(exact, day, z, g, pressed, m, p, s)


@lane_loop
def _fill_hazards(day: int, z: int, g: int, pressed: bool, m: ModelArrays, p: PlanArrays, s: Scratch) -> bool:
    """Into the scratch: the hazards of leaving a group by infection, vaccination and all else; False when there are none."""
    ages = p.per_person.shape[1]
    epoch = p.epoch[day]
    doses = p.vaccination_regime[day]
    any_hazard = False
    for a in range(ages):
        s.times[a] = m.susceptibility[epoch, g, a] if pressed else _F(0.0)
        s.plus[a] = p.vaccination[doses, z, a] * m.vaccine_uptake[g] + _F(m.hazard[epoch, g, a])
        any_hazard = any_hazard or s.times[a] > _F(0.0) or s.plus[a] > _F(0.0)
    if any_hazard:
        for i in range(ages * LANES):
            s.source[i] = s.hazard[i]
    return any_hazard


@lane_loop
def _share(exact: bool, day: int, z: int, g: int, pressed: bool, m: ModelArrays, p: PlanArrays, s: Scratch) -> None:
    """Share those who leave among the branches."""
    ages = p.per_person.shape[1]
    length = ages * LANES
    epoch = p.epoch[day]
    groups, branches = len(m.group_source), len(m.branch_target)
    slots = groups + branches
    doses = p.vaccination_regime[day]
    first, end = m.group_branch[g], m.group_branch[g + 1]
    copy_long(s.rest, FIRST, s.total, FIRST, length)
    for b in range(first, end):
        to = b * length
        if b == end - 1:
            copy_long(s.moved, to, s.rest, FIRST, length)
            s.has_moved[b] = 1
            return
        counter = z * ages * slots + groups + b
        row = (epoch * branches + b) * ages
        by = row * LANES
        kind = m.branch_kind[b]
        found = 0
        if kind == INFECTION:
            if pressed:
                _infection_hazard(day, z, g, m, p, s)
                found = draw_varied(exact, s.rest, FIRST, ages, counter, slots, s, s.moved, to)
        elif kind == VACCINATION:
            for a in range(ages):
                vaccination = p.vaccination[doses, z, a] * m.vaccine_uptake[g]
                s.times[a] = _F(0.0)
                s.plus[a] = _infection_like(np.float64(vaccination), m.hazard[epoch, g, a])
            found = draw_varied(exact, s.rest, FIRST, ages, counter, slots, s, s.moved, to)
        elif exact:
            found = _draw_exact(
                s.rest, FIRST, m.share_p64, m.share_h64, by, m.share_flip, row, ages, counter, slots, s.k0, s.k1, s.w64, s.moved, to
            )
        else:
            found = _draw_fast(
                s.rest, FIRST, m.share_p32, m.share_h32, by, m.share_flip, row, ages, counter, slots, s.k0, s.k1, s.w32, s.moved, to
            )
        if found > 0:
            s.has_moved[b] = 1
            subtract_long(s.rest, FIRST, s.moved, to, length)


@lane_loop
def _infection_like(hazard: float, others: float) -> _F:
    """The hazard whose probability is one hazard's share of itself and the others."""
    if hazard <= 0.0:
        return _F(0.0)
    return _F(np.log1p(hazard / others)) if others > 0.0 else _F(60.0)


@lane_loop
def _infection_hazard(day: int, z: int, g: int, m: ModelArrays, p: PlanArrays, s: Scratch) -> None:
    """Into the scratch: the hazards whose probabilities are infection's share of all hazards."""
    epoch = p.epoch[day]
    doses = p.vaccination_regime[day]
    for a in range(p.per_person.shape[1]):
        others = np.float64(p.vaccination[doses, z, a] * m.vaccine_uptake[g]) + m.hazard[epoch, g, a]
        s.times[a] = _F(1.0)
        s.plus[a] = _F(0.0)
        for lane in range(LANES):
            i = a * LANES + lane
            s.source[i] = _infection_like(np.float64(s.hazard[i] * m.susceptibility[epoch, g, a]), others)


@lane_loop
def settle(
    day: int,
    z: int,
    ages: int,
    area: int,
    group_source: Ints,
    group_branch: Ints,
    branch_target: Ints,
    flow: Ints,
    compartments: int,
    state: Ints,
    moved: Ints,
    has_moved: Bytes,
    o: Output,
) -> None:
    """Carry out what was drawn for a zone, and count it."""
    length = ages * LANES
    base = z * compartments
    for g in range(len(group_source)):
        source = (base + group_source[g]) * length
        for b in range(group_branch[g], group_branch[g + 1]):
            if has_moved[b] == 0:
                continue
            has_moved[b] = 0
            by = b * length
            subtract_long(state, source, moved, by, length)
            add_long(state, (base + branch_target[b]) * length, moved, by, length)
            for f in range(2):
                if flow[b, f] >= 0:
                    add_long(o.flow_age, (flow[b, f] * o.days + day) * length, moved, by, length)
                    to = ((flow[b, f] * o.days + day) * o.areas + area) * LANES
                    for a in range(ages):
                        add(o.flow_area, to, moved, by + a * LANES)


@lane_loop
def count_stocks(day: int, m: ModelArrays, p: PlanArrays, s: Scratch, o: Output) -> None:
    """Count the stocks at the end of a day."""
    zones, ages = p.per_person.shape
    stocks, compartments = m.stock.shape
    for k in range(stocks):
        for z in range(zones):
            to = ((k * o.days + day) * o.areas + p.area[z]) * LANES
            for c in range(compartments):
                if m.stock[k, c] != 0:
                    for a in range(ages):
                        add(o.stock_area, to, s.state, ((z * compartments + c) * ages + a) * LANES)


@lane_loop
def run_block(
    exact: bool, seed: np.uint64, first_member: int, first_day: int, last_day: int, m: ModelArrays, p: PlanArrays, s: Scratch, o: Output
) -> None:
    """Days ``first_day`` to ``last_day - 1`` of one block of members, from the state in the scratch."""
    zones, ages = p.per_person.shape
    compartments = m.stock.shape[1]
    for day in range(first_day, last_day):
        day_keys(seed, first_member, day, s.k0, s.k1)
        if count_infectious(day, m, p, s):
            press_by_day(day, p, s)
        else:
            for z in range(zones):
                s.under_pressure[z] = 0
        for z in range(zones):
            pressed = press_on_residents(day, z, p, s)
            for g in range(len(m.group_source)):
                leave(exact, day, z, g, pressed, m, p, s)
            settle(
                day,
                z,
                ages,
                p.area[z],
                m.group_source,
                m.group_branch,
                m.branch_target,
                m.flow,
                compartments,
                s.state,
                s.moved,
                s.has_moved,
                o,
            )
        count_stocks(day, m, p, s, o)
