"""How strongly an infection is passed on: the next-generation matrix, the season, and what gives a reproduction number."""

from __future__ import annotations

import math
from datetime import date

import numpy as np
import numpy.typing as npt

from oneteam.core.errors import UnknownValueError
from oneteam.epidemic.engine.plan import World
from oneteam.epidemic.models.compiled_model import CompiledModel


def next_generation(world: World, model: CompiledModel, epoch: int = 0) -> npt.NDArray[np.float64]:
    """New infections by age (rows) that one infected person of an age (columns) causes per unit of transmission, everybody susceptible.

    Args:
        world: the world.
        model: the model.
        epoch: which of its sets of numbers; 0 is the model before any variant.

    Source: O. Diekmann, J. A. P. Heesterbeek and M. G. Roberts, "The construction of next-generation matrices for compartmental epidemic
    models", J. R. Soc. Interface 7, 2010.
    """
    people = world.population.sum(axis=0).astype(np.float64)
    meeting = sum(world.contacts.values())
    start = [c.name for c in model.document.compartments].index(model.document.start)
    group = int(np.flatnonzero(model.arrays.group_source == start)[0])
    susceptibility = model.arrays.susceptibility[epoch, group].astype(np.float64)
    share = np.divide(people[:, None], people[None, :], out=np.zeros((len(people), len(people))), where=people[None, :] > 0)
    return np.asarray(susceptibility[:, None] * meeting * share * model.infectious_days(epoch)[None, :])


def season_factor(model: CompiledModel, day: date) -> float:
    """By how much the season multiplies transmission on a day."""
    wave = model.document.seasonality
    return 1 + wave.amplitude * math.cos(2 * math.pi * (day.timetuple().tm_yday - wave.peak_day_of_year) / 365.25)


def transmission_of(world: World, model: CompiledModel, reproduction_number: float, *, first_day: date | None = None) -> float:
    """Infections per contact, before season and variants, that give a reproduction number in a susceptible population.

    Args:
        world: the world.
        model: the model.
        reproduction_number: that of the model as it is written; with ``first_day`` that of this day.
        first_day: of the simulation: the number holds with the season and the variants (how transmissible, how long people stay
            infectious, whom they infect) as they are then.

    Raises:
        UnknownValueError: nobody meets anybody.
    """
    epoch = 0 if first_day is None else int(model.epoch[0])
    radius = float(np.abs(np.linalg.eigvals(next_generation(world, model, epoch))).max())
    if first_day is not None:
        radius *= season_factor(model, first_day) * float(model.transmissibility[0])
    if radius <= 0:
        raise UnknownValueError("the contact matrices and the population give no contacts at all: no reproduction number can be reached")
    return reproduction_number / radius
