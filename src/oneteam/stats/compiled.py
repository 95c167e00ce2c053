"""One decorator for compiled loops, typed for mypy: numba's own has no types."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar, cast

from numba import njit

F = TypeVar("F", bound=Callable[..., object])


def compiled(function: F) -> F:
    """Compile to machine code on the first call, keep the code on disk, and let other threads run meanwhile.

    >>> @compiled
    ... def twice(x: int) -> int:
    ...     return 2 * x
    >>> twice.py_func(4)
    8
    """
    return cast("F", njit(cache=True, nogil=True, error_model="numpy")(function))
