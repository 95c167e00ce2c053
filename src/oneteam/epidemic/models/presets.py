"""Models that come with the package."""

from __future__ import annotations

from importlib.resources import files
from typing import Final

from oneteam.core.errors import UnknownValueError
from oneteam.epidemic.models.document import ModelDocument, parse

PRESETS: Final = ("covid19", "influenza", "seir")


def preset(name: str) -> ModelDocument:
    """A model by its name.

    Raises:
        UnknownValueError: there is no such model.

    >>> preset("influenza").seed
    'E'
    """
    if name not in PRESETS:
        raise UnknownValueError(f"--preset {name}: must be one of {', '.join(PRESETS)}")
    return parse(preset_text(name), ModelDocument, f"preset {name}")


def preset_text(name: str) -> str:
    """The document of a model, to start one's own from."""
    return (files("oneteam.epidemic.models") / f"{name}.toml").read_text(encoding="utf-8")
