"""The force of infection: who meets whom, by day and at home.

By day people are where they work or study, in the evening at home. With x the effective number of infectious residents, w the share of
residents of i who spend the day in j, T_ia how far residents of age a take part in commuting, n the people present, beta transmission per
contact:

    present infectious     X_jb = (1 - T_jb away_j) x_jb + sum_i w_ij T_ib x_ib
    hazard by day in j     D_ja = beta_j sum_b C_out[a, b] X_jb / n_jb
    hazard of residents    h_ia = (1 - T_ia away_i) D_ia + T_ia sum_j w_ij D_ja + beta_i sum_b C_home[a, b] x_ib / N_ib

Source: the commuting form of the metapopulation model, L. Sattenspiel and K. Dietz, Math. Biosci. 128, 1995; D. Balcan et al., J. Comput.
Sci. 1, 2010.
"""

from __future__ import annotations

import numpy as np

from oneteam.epidemic.engine.arrays import Bytes, Floats, Ints, ModelArrays, PlanArrays, Scratch
from oneteam.epidemic.engine.lane_ops import (
    add_eight_ages,
    add_eight_ages_twice,
    add_eight_zones,
    add_four_zones,
    add_one_age,
    blend,
    clear,
    count_above_zero,
    scale,
    stretch,
    weigh,
    weigh_more,
)
from oneteam.epidemic.engine.lanes import FIRST, LANES, lane_loop, row_loop

_F = np.float32


@lane_loop
def count_infectious(day: int, m: ModelArrays, p: PlanArrays, s: Scratch) -> bool:
    """Fill the effective number of infectious residents, and where there are any; returns whether there are any at all."""
    zones, ages = p.per_person.shape
    compartments = m.stock.shape[1]
    epoch = p.epoch[day]
    anywhere = False
    for z in range(zones):
        found = np.int32(0)
        for a in range(ages):
            to = (z * ages + a) * LANES
            for k in range(len(m.infectious)):
                weight = m.infectiousness[epoch, k, a] * (_F(1.0) - p.isolation[day, z, a] * m.isolatable[k])
                at = ((z * compartments + m.infectious[k]) * ages + a) * LANES
                if k == 0:
                    weigh(s.infectious, to, s.state, at, weight)
                else:
                    weigh_more(s.infectious, to, s.state, at, weight)
            found += count_above_zero(s.infectious, to)
        s.active[z] = 1 if found > 0 else 0
        if found > 0:
            anywhere = True
    return anywhere


@row_loop
def all_eight_present(zone: Ints, e: int, present: Bytes) -> bool:
    """Whether the zones of eight edges are all present."""
    found = 0
    for k in range(8):
        found += present[zone[e + k]]
    return found == 8


@lane_loop
def gather(start: int, end: int, zone: Ints, share: Floats, regime: int, present: Bytes, rows: Floats, length: int, out: Floats) -> bool:
    """``out`` = the sum of other zones' rows by their shares; zones that are not present are passed over. False when all are."""
    clear(out, length)
    e = start + FIRST  # 64 bits from the start, as after the first step
    while e + 8 <= end and all_eight_present(zone, e, present):
        add_eight_zones(out, rows, length, zone, share, regime, e)
        e += 8
    anybody = e > start
    while e < end:
        # Four zones at a time: the sum is loaded and stored once for all of them.
        w0, w1, w2, w3 = _F(0.0), _F(0.0), _F(0.0), _F(0.0)
        a0, a1, a2, a3 = 0, 0, 0, 0
        found = 0
        while e < end and found < 4:
            z = zone[e]
            if present[z] != 0:
                if found == 0:
                    w0, a0 = share[regime, e], z * length
                elif found == 1:
                    w1, a1 = share[regime, e], z * length
                elif found == 2:
                    w2, a2 = share[regime, e], z * length
                else:
                    w3, a3 = share[regime, e], z * length
                found += 1
            e += 1
        if found > 0:
            anybody = True
            add_four_zones(out, rows, length, w0, w1, w2, w3, a0, a1, a2, a3)
    return anybody


@lane_loop
def meet(contacts: Floats, first: int, rows: Floats, out: Floats, to: int, ages: int) -> None:
    """``out`` += contacts times ``rows``, by lane; the matrix stands in a flat array from ``first`` on."""
    a = 0
    while a < ages:
        # Two ages at a time, and eight that they meet: most of the time would go by in loading.
        pair = a + 1 < ages
        row = to + a * LANES
        at = first + a * ages
        b = 0
        while b + 8 <= ages:
            if pair:
                add_eight_ages_twice(out, row, rows, b * LANES, contacts, at + b, at + ages + b)
            else:
                add_eight_ages(out, row, rows, b * LANES, contacts, at + b)
            b += 8
        while b < ages:
            add_one_age(out, row, rows, b * LANES, contacts[at + b])
            if pair:
                add_one_age(out, row + LANES, rows, b * LANES, contacts[at + ages + b])
            b += 1
        a += 2


@lane_loop
def press_by_day(day: int, p: PlanArrays, s: Scratch) -> None:
    """Fill the hazard that those present by day meet in each zone."""
    zones, ages = p.per_person.shape
    row = p.mobility[day]
    length = ages * LANES
    # Where travel is the same in all zones, it is multiplied once for the sum of all visitors.
    differs = p.travel_differs[row] != 0
    if differs:
        for i in range(zones):
            if s.active[i] != 0:
                for b in range(ages):
                    scale(s.travelling, (i * ages + b) * LANES, s.infectious, (i * ages + b) * LANES, p.travel[row, i, b])
    for j in range(zones):
        if differs:
            visited = gather(p.in_start[j], p.in_start[j + 1], p.in_zone, p.in_share, row, s.active, s.travelling, length, s.mixed)
        else:
            visited = gather(p.in_start[j], p.in_start[j + 1], p.in_zone, p.in_share, row, s.active, s.infectious, length, s.mixed)
        s.under_pressure[j] = 1 if visited or s.active[j] != 0 else 0
        if s.under_pressure[j] == 0:
            continue
        for b in range(ages):
            infecting = p.transmission[day, j] * p.per_present[row, j, b]
            stay = (_F(1.0) - p.travel[row, j, b] * p.away[row, j]) * infecting
            visit = infecting if differs else p.travel[row, j, b] * infecting
            blend(s.mixed, b * LANES, visit, s.infectious, (j * ages + b) * LANES, stay, _F(0.0))
            stretch(s.pressure, (j * ages + b) * LANES, _F(0.0), _F(0.0))
        meet(p.contacts_out, p.regime[day, j] * ages * ages, s.mixed, s.pressure, j * length, ages)


@lane_loop
def press_on_residents(day: int, i: int, p: PlanArrays, s: Scratch) -> bool:
    """Fill the hazard of zone i's residents; returns whether it is above zero anywhere."""
    ages = p.per_person.shape[1]
    row = p.mobility[day]
    length = ages * LANES
    out = gather(p.out_start[i], p.out_start[i + 1], p.out_zone, p.out_share, row, s.under_pressure, s.pressure, length, s.hazard)
    imported = False
    for a in range(ages):
        imported = imported or p.importation[day, i, a] > _F(0.0)
    if not out and s.under_pressure[i] == 0 and not imported:
        return False
    for a in range(ages):
        base = p.importation[day, i, a]
        if s.under_pressure[i] != 0:
            stay = _F(1.0) - p.travel[row, i, a] * p.away[row, i]
            blend(s.hazard, a * LANES, p.travel[row, i, a], s.pressure, (i * ages + a) * LANES, stay, base)
        else:
            stretch(s.hazard, a * LANES, p.travel[row, i, a], base)
    if s.active[i] != 0:
        for b in range(ages):
            scale(s.mixed, b * LANES, s.infectious, (i * ages + b) * LANES, p.transmission[day, i] * p.per_person[i, b])
        meet(p.contacts_home, p.regime[day, i] * ages * ages, s.mixed, s.hazard, FIRST, ages)
    return True
