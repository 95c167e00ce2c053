"""Write a plain document as TOML: what the standard library reads but does not write."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import date, datetime
from typing import Any, Final

_BARE: Final = re.compile(r"^[A-Za-z0-9_-]+$")


def to_toml(document: Mapping[str, Any]) -> str:
    """A document as TOML: tables for tables at the top, one ``[[name]]`` for each table of a list, everything else in line.

    >>> print(to_toml({"name": "x", "run": {"days": 3}, "infected": [{"people": 1, "zones": ["11"]}]}))
    name = "x"
    <BLANKLINE>
    [run]
    days = 3
    <BLANKLINE>
    [[infected]]
    people = 1
    zones = ["11"]
    <BLANKLINE>
    """
    plain, tables = [], []
    for name, value in document.items():
        if isinstance(value, Mapping):
            tables += ["", f"[{_key(name)}]", *_lines(value)]
        elif isinstance(value, list) and value and all(isinstance(one, Mapping) for one in value):
            for one in value:
                tables += ["", f"[[{_key(name)}]]", *_lines(one)]
        else:
            plain.append(f"{_key(name)} = {_inline(value)}")
    return "\n".join([*plain, *tables]) + "\n"


def _lines(table: Mapping[str, Any]) -> list[str]:
    return [f"{_key(name)} = {_inline(value)}" for name, value in table.items()]


def _key(name: str) -> str:
    return name if _BARE.match(name) else _text(name)


def _text(value: str) -> str:
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def _inline(value: Any) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case str():
            return _text(value)
        case int() | float():
            return repr(value)
        case datetime() | date():
            return value.isoformat()
        case Mapping():
            return "{ " + ", ".join(f"{_key(k)} = {_inline(v)}" for k, v in value.items()) + " }" if value else "{}"
        case list() | tuple():
            return "[" + ", ".join(_inline(one) for one in value) + "]"
        case _:
            raise TypeError(f"{type(value).__name__} has no form in TOML")
