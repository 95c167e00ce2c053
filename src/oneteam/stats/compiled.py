"""Decorators for compiled loops, typed for mypy: numba's own have no types."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path
from types import CodeType, FunctionType, ModuleType
from typing import Any, TypeVar, cast

from numba import njit
from numba.core.caching import FunctionCache

F = TypeVar("F", bound=Callable[..., object])

_PACKAGE = __name__.partition(".")[0]


def compiled(function: F) -> F:
    """Compile to machine code on the first call, keep the code on disk, and let other threads run meanwhile.

    >>> from oneteam.stats.random import uniform
    >>> bool(uniform(1, 2) == uniform.py_func(1, 2))  # the plain Python behind it stays within reach
    True
    """
    return compile_with(function)


def compile_with(function: F, **options: Any) -> F:
    """`compiled` with further options of numba's."""
    dispatcher = njit(nogil=True, error_model="numpy", **options)(function)
    dispatcher._cache = _Cache(function)  # noqa: SLF001 - what enable_caching sets
    return cast("F", dispatcher)


class _Cache(FunctionCache):  # type: ignore[misc]
    """Code on disk that is also stale when something has changed that the function uses from elsewhere.

    Numba looks at the function's own file alone, though the functions that it calls and the numbers that it reads from other modules are
    compiled into it.
    """

    def _index_key(self, sig: object, codegen: object) -> tuple[object, ...]:
        # Not before the first call: a function may call another that stands below it.
        return (*super()._index_key(sig, codegen), digest_of_uses(self._py_func))


def digest_of_uses(function: Callable[..., object]) -> str:
    """Digest of what is compiled into a function from elsewhere: the files of the loops that it calls, at any depth, and global values.

    A module of this package that it names counts with its whole file.
    """
    digest = hashlib.sha256()
    files: set[str] = set()
    todo, seen = [cast("FunctionType", function)], set()
    while todo:
        current = todo.pop()
        if current in seen:
            continue
        seen.add(current)
        for name, value in _names(current):
            called = getattr(value, "py_func", None)
            if isinstance(called, FunctionType):
                todo.append(called)
                files.add(called.__code__.co_filename)
            elif isinstance(value, ModuleType):
                if value.__name__.partition(".")[0] == _PACKAGE and value.__file__:
                    files.add(value.__file__)
                    todo += [f for v in vars(value).values() if isinstance(f := getattr(v, "py_func", None), FunctionType)]
            elif isinstance(value, (bool, int, float, complex, str, bytes, tuple)) or type(value).__module__ == "numpy":
                digest.update(f"{current.__qualname__} {name}={value!r};".encode())
    for file in sorted(files):
        digest.update(_content(file))
    return digest.hexdigest()


def _names(function: FunctionType) -> Iterator[tuple[str, object]]:
    """Global and enclosed names that a function and those within it use, with their values."""
    codes: list[CodeType] = [function.__code__]
    for code in codes:
        codes += [c for c in code.co_consts if isinstance(c, CodeType)]
    for name in sorted({name for code in codes for name in code.co_names}):
        if name in function.__globals__:
            yield name, function.__globals__[name]
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        yield name, cell.cell_contents


_digests: dict[str, bytes] = {}


def _content(file: str) -> bytes:
    """Digest of a source file, read once; empty where there is no file, as in an interactive session."""
    if file not in _digests:
        path = Path(file)
        _digests[file] = hashlib.sha256(path.read_bytes()).digest() if path.is_file() else b""
    return _digests[file]
