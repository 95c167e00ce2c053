"""Where at home imported infections arrive: infected travellers go home as all travellers from the same origin do.

Assumption: within an origin, being infected and living in a certain place are independent. Travellers whose home is unknown are taken to
live as the others from their origin do.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from oneteam.core.errors import WrongTypeError

Floats = npt.NDArray[np.float64]


def expected_by_place(infected: npt.ArrayLike, arrivals: npt.ArrayLike) -> Floats:
    """Expected infected arrivals by place.

    Args:
        infected: infected arrivals by origin, shape (..., origins): means, or draws of a posterior.
        arrivals: travellers by origin and place of home, shape (origins, places); negative noise counts 0. One without travellers whose
            home is known follows all travellers together.

    Returns:
        shape (..., places); sums over places to the sum of ``infected`` over origins.

    Raises:
        WrongTypeError: shapes that do not fit, or nobody whose home is known.

    >>> expected_by_place([4.0, 1.0], [[30, 10], [0, 0]]).tolist()
    [3.75, 1.25]
    """
    many = np.asarray(infected, np.float64)
    table = np.maximum(np.nan_to_num(np.asarray(arrivals, np.float64)), 0.0)
    if table.ndim != 2 or many.ndim == 0 or many.shape[-1] != table.shape[0]:
        raise WrongTypeError(f"infected arrivals of shape {many.shape} and arrivals of shape {table.shape} do not fit: (origins, places)")
    whole = table.sum(axis=0)
    if not whole.sum() > 0:
        raise WrongTypeError("nobody's home is known: arrivals by origin and place are all 0")
    known = table.sum(axis=1, keepdims=True)
    share = np.where(known > 0, table / np.where(known > 0, known, 1.0), whole / whole.sum())
    return np.asarray(many @ share)


def chance_of_any(expected: npt.ArrayLike) -> Floats:
    """Chance of at least one infected arrival: Poisson around each mean, averaged over draws.

    Args:
        expected: means, shape (draws, places), or (places,) for a single one.

    >>> [round(float(p), 3) for p in chance_of_any([0.0, 0.5, 3.0])]
    [0.0, 0.393, 0.95]
    """
    mean = np.atleast_2d(np.asarray(expected, np.float64))
    return np.asarray(0.0 - np.expm1(-mean).mean(axis=0))
