"""How right a study was, where the truth is known: the figures of ``truth.json`` as rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from oneteam.web.outlook.charts import write_cell
from oneteam.web.outlook.words import WORDS, say_in


def truth_rows(told: Mapping[str, Any], language: str) -> tuple[tuple[str, str], ...]:
    """Names and figures, nested names joined; lists and long texts are left to the file.

    An entry may carry its own words as ``{"title": {"en", "ko"}, "value": ...}``.

    >>> truth_rows({"format": "x/1", "od": {"pairs": 12, "seen_share": 0.987}}, "en")
    (('od · pairs', '12'), ('Trips: estimated over true total', '0.987'))
    """
    return tuple(_rows(told, (), language))


def _rows(told: Mapping[str, Any], above: Sequence[str], language: str) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    for key, value in told.items():
        if key == "format" and not above:
            continue
        path = (*above, str(key))
        if isinstance(value, Mapping):
            title = value.get("title")
            if isinstance(title, Mapping) and "value" in value:
                found.append((str(title.get(language) or title.get("en")), _written(value["value"])))
            else:
                found += _rows(value, path, language)
        elif isinstance(value, str | int | float | bool) and value is not None:
            named = ".".join(("truth", *path))
            found.append((say_in(language)(named) if named in WORDS else " · ".join(path).replace("_", " "), _written(value)))
    return found


def _written(value: Any) -> str:
    if isinstance(value, bool):
        return "✓" if value else "✗"
    if isinstance(value, int):
        return f"{value:,}"
    return write_cell(value, "number") if isinstance(value, float) else str(value)[:200]
