"""What the shell offers after the tab key; whatever costs time is imported only then."""

from __future__ import annotations

import os
from pathlib import Path

import typer


def measure_names(incomplete: str) -> list[tuple[str, str]]:
    """Measures of the installed parts, with their titles.

    >>> [name for name, _ in measure_names("tri")]
    ['trips']
    """
    from oneteam.core.part import installed_parts

    offered = (info for part in installed_parts().values() for info in part.measures().values())
    return [(info.name, info.title["en"]) for info in offered if info.name.startswith(incomplete)]


def model_presets(incomplete: str) -> list[str]:
    """Models that ship.

    >>> model_presets("co")
    ['covid19']
    """
    from oneteam.epidemic.models.presets import PRESETS

    return [name for name in PRESETS if name.startswith(incomplete)]


def agreement_ids(ctx: typer.Context, incomplete: str) -> list[str]:
    """Ids of the Agreements that lie in the member's home; a file's name is completed by the shell itself."""
    home = Path(ctx.params.get("home") or os.environ.get("ONETEAM_HOME") or ".oneteam")
    return sorted(path.stem for path in (home / "agreements").glob(f"{incomplete}*.json")) if incomplete.isalnum() or not incomplete else []
