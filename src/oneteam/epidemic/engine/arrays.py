"""What the compiled loops read and write, as named tuples of arrays.

The letters of shapes:
Z zones, A ages, C compartments, T days, G groups (a compartment that people leave), B branches (a way out), E epochs of the model (a
variant has taken over, or half of it), R contact regimes, M mobility regimes, V vaccination regimes, K infectious compartments, Q recorded
flows, S recorded stocks, N commuting edges, L lanes.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int32]
Words = npt.NDArray[np.uint32]
Bytes = npt.NDArray[np.uint8]

CONSTANT: Final = 0
INFECTION: Final = 1
VACCINATION: Final = 2
"""Kinds of branches: what drives people out of a compartment."""


class ModelArrays(NamedTuple):
    """A compartment model, ready for the loops.

    In a group the branches stand in the order infection, vaccination, constant; ``share`` of a constant branch is its part of what the
    branches before it in the group have left.
    """

    group_source: Ints  # (G,)
    group_branch: Ints  # (G + 1,): where its branches begin
    group_varied: Bytes  # (G,): 1 where infection or vaccination leads out
    susceptibility: Floats  # (E, G, A)
    vaccine_uptake: Floats  # (G,)
    hazard: Doubles  # (E, G, A): of all constant branches together, 1/day
    p32: Floats  # (E * G * A * L,): of moving and staying, the probability of the rarer; of groups that are not varied
    h32: Floats  # the same: -log(1 - p)
    p64: Doubles
    h64: Doubles
    flip: Bytes  # (E * G * A,): 1 where to stay is the rarer
    branch_target: Ints  # (B,)
    branch_kind: Ints  # (B,)
    share: Doubles  # (E, B, A)
    share_p32: Floats  # (E * B * A * L,), and so on: the same of sharing
    share_h32: Floats
    share_p64: Doubles
    share_h64: Doubles
    share_flip: Bytes  # (E * B * A,)
    flow: Ints  # (B, 2): flows that count the branch, -1 for none
    infectious: Ints  # (K,): compartments
    infectiousness: Floats  # (E, K, A)
    isolatable: Floats  # (K,): by how much isolation lowers it, 0..1
    stock: Ints  # (S, C): 1 where the compartment counts into the stock


class PlanArrays(NamedTuple):
    """A world and a course of measures, ready for the loops."""

    epoch: Ints  # (T,)
    per_person: Floats  # (Z, A): 1 / residents
    contacts_home: Floats  # (R * A * A,)
    contacts_out: Floats  # (R * A * A,)
    regime: Ints  # (T, Z)
    transmission: Floats  # (T, Z): infections per contact with a fully infectious person
    isolation: Floats  # (T, Z, A): share of those who can be isolated that are
    importation: Floats  # (T, Z, A): per resident and day
    vaccination: Floats  # (V, Z, A): hazard, 1/day
    vaccination_regime: Ints  # (T,)
    travel: Floats  # (M, Z, A): share of the commuting that applies to residents of an age
    travel_differs: Bytes  # (M,): 1 where it is not the same in all zones
    mobility: Ints  # (T,)
    away: Floats  # (M, Z): share that spends the day elsewhere
    per_present: Floats  # (M, Z, A): 1 / people present by day
    out_start: Ints  # (Z + 1,)
    out_zone: Ints  # (N,)
    out_share: Floats  # (M, N)
    in_start: Ints  # (Z + 1,)
    in_zone: Ints  # (N,)
    in_share: Floats  # (M, N)
    area: Ints  # (Z,): which output area a zone counts into


class Scratch(NamedTuple):
    """What one block of lanes needs while it runs."""

    state: Ints  # (Z * C * A * L,)
    infectious: Floats  # (Z * A * L,): effective infectious residents
    travelling: Floats  # (Z * A * L,): the same times their travel, where that differs by zone
    pressure: Floats  # (Z * A * L,): hazard met by day in a zone
    mixed: Floats  # (A * L,)
    hazard: Floats  # (A * L,)
    source: Floats  # (A * L,): hazards before they are multiplied by age
    times: Floats  # (A,)
    plus: Floats  # (A,)
    p32: Floats  # (A * L,)
    h32: Floats
    p64: Doubles
    h64: Doubles
    never: Bytes  # (A,): zeros
    always: Bytes  # (A,): ones
    w32: Floats
    w64: Doubles
    total: Ints  # (A * L,)
    rest: Ints  # (A * L,)
    other: Ints  # (A * L,)
    moved: Ints  # (B * A * L,)
    has_moved: Bytes  # (B,)
    k0: Words  # (L,)
    k1: Words  # (L,)
    active: Bytes  # (Z,): 1 where any lane has infectious residents
    under_pressure: Bytes  # (Z,): 1 where any lane meets infection by day


class Output(NamedTuple):
    """What one block of lanes leaves: counts of people."""

    days: int
    areas: int
    flow_area: Ints  # (Q * T * areas * L,)
    flow_age: Ints  # (Q * T * A * L,)
    stock_area: Ints  # (S * T * areas * L,)
