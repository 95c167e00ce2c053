"""One decorator for compiled loops, typed for mypy: numba's own has no types."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar, cast

from numba import njit

F = TypeVar("F", bound=Callable[..., object])


def compiled(function: F) -> F:
    """Compile to machine code on the first call, keep the code on disk, and let other threads run meanwhile.

    >>> from oneteam.stats.random import uniform
    >>> bool(uniform(1, 2) == uniform.py_func(1, 2))  # the plain Python behind it stays within reach
    True
    """
    return cast("F", njit(cache=True, nogil=True, error_model="numpy")(function))
