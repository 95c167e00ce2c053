"""What the drawings of forecasts and scores have in common: sheet, colours, saving."""

from __future__ import annotations

import io
from functools import lru_cache
from typing import Any, Final

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import fontManager, get_font

INK: Final = "#1d2530"
MUTED: Final = "#5b6673"
HAIRLINE: Final = "#c9d0d8"
SERIES: Final = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#7a5c00")
"""After M. Okabe and K. Ito, Color Universal Design (2008)."""
BAND: Final = "#0b6b8a"
FAMILIES: Final = ("Noto Sans CJK KR", "NanumGothic", "Malgun Gothic", "Apple SD Gothic Neo", "DejaVu Sans")


def sheet(rows: int, columns: int, title: str, subtitle: str, *, width_in: float = 10.0, row_in: float = 3.4) -> tuple[Figure, list[Axes]]:
    """A figure with a heading and a grid of plain axes, row by row."""
    height = rows * row_in + 1.0
    figure = Figure(figsize=(width_in, height), facecolor="white")
    FigureCanvasAgg(figure)
    figure.text(0.06, 1 - 0.30 / height, title, size=14, weight="bold", color=INK, va="top", parse_math=False, family=_known_families())
    figure.text(0.06, 1 - 0.62 / height, subtitle, size=9, color=MUTED, va="top", parse_math=False, family=_known_families())
    grid = figure.add_gridspec(rows, columns, left=0.08, right=0.97, bottom=0.55 / height, top=1 - 1.2 / height, wspace=0.25, hspace=0.45)
    axes = [figure.add_subplot(grid[r, c]) for r in range(rows) for c in range(columns)]
    for each in axes:
        plain(each)
    return figure, axes


def plain(axes: Axes) -> None:
    """Hairline grid, no frame but the base line."""
    for name, spine in axes.spines.items():
        spine.set(visible=name == "bottom", color=MUTED, linewidth=0.8)
    axes.yaxis.grid(visible=True, color=HAIRLINE, lw=0.5)
    axes.set_axisbelow(True)
    axes.tick_params(colors=MUTED, labelsize=8, length=0)


def caption(axes: Axes, text: str) -> None:
    """A heading over one panel."""
    axes.set_title(text, loc="left", size=9.5, color=INK, weight="bold", parse_math=False, family=_known_families())


def label(axes: Axes, *, x: str = "", y: str = "") -> None:
    """Words along the axes."""
    words: dict[str, Any] = {"size": 8.5, "color": MUTED, "parse_math": False, "family": _known_families()}
    axes.set_xlabel(x, **words)
    axes.set_ylabel(y, **words)


def picture(figure: Figure, suffix: str) -> bytes:
    """The figure as PNG or SVG."""
    sink = io.BytesIO()
    figure.savefig(sink, format=suffix.removeprefix("."), dpi=130)
    return sink.getvalue()


@lru_cache(maxsize=1)
def _known_families() -> list[str]:
    """Families that are installed: naming another one would warn at every text."""
    installed = {font.name for font in fontManager.ttflist}
    return [name for name in FAMILIES if name in installed]


@lru_cache(maxsize=1)
def _known_characters() -> frozenset[int]:
    paths = {font.fname for font in fontManager.ttflist if font.name in _known_families()}
    return frozenset(code for path in paths for code in get_font(path).get_charmap())


def readable(name: str, code: str) -> str:
    """A place's name, or its code where no installed typeface has the name's letters.

    >>> readable("Seoul", "11")
    'Seoul'
    """
    return name if all(ord(letter) in _known_characters() for letter in name) else code
