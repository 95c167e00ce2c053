"""What every drawing of this part has in common: sheet, caption, colours, classes of values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Literal

import matplotlib as mpl
import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import BoundaryNorm, Colormap, ListedColormap, Normalize, PowerNorm
from matplotlib.figure import Figure

from oneteam.telecom.drawing.lettering import Lettering

Scale = Literal["quantile", "sqrt", "linear"]
Floats = npt.NDArray[np.float64]

INK: Final = "#1d2530"
MUTED_INK: Final = "#5b6673"
HAIRLINE: Final = "#c9d0d8"
NO_DATA: Final = "#e3e5e8"
LAND: Final = "#eceef1"
ACCENT: Final = "#0b6b8a"
CLASSES: Final = 7


@dataclass(frozen=True)
class Caption:
    """The words around a drawing.

    Args:
        title: what is shown.
        subtitle: of which time, how averaged.
        unit: what a value counts, for the legend.
        source: where the data are from.
    """

    title: str
    subtitle: str
    unit: str
    source: str


@dataclass(frozen=True)
class ColourScale:
    """Values to colours.

    Args:
        norm: values to 0..1.
        colours: 0..1 to colours.
        limits: the smallest and the largest value.
        bounds: class limits, ascending; None for a continuous scale.
    """

    norm: Normalize
    colours: Colormap
    limits: tuple[float, float]
    bounds: tuple[float, ...] | None

    def __call__(self, values: Floats) -> Floats:
        """Colours as (n, 4) RGBA; NaN is the colour of no data."""
        rgba = np.asarray(self.colours(self.norm(np.nan_to_num(values))), dtype=np.float64)
        rgba[np.isnan(values)] = mpl.colors.to_rgba(NO_DATA)
        return rgba


def sequential() -> Colormap:
    """Light yellow to deep blue: one direction of lightness, so that it reads in grey and with any kind of colour vision."""
    return ListedColormap(mpl.colormaps["YlGnBu"](np.linspace(0.06, 1.0, 256)), name="sequential")


def colour_scale(values: Floats, scale: Scale) -> ColourScale:
    """A scale for values, NaN ignored: classes with equally many members, or a continuous square-root or linear one.

    Class limits are round numbers, so classes are only nearly of the same size.

    >>> colour_scale(np.arange(1.0, 701.0), "quantile").bounds
    (1.0, 100.0, 200.0, 300.0, 400.0, 500.0, 600.0, 700.0)
    """
    known = values[np.isfinite(values)]
    low, high = (float(known.min()), float(known.max())) if len(known) else (0.0, 1.0)
    if scale == "quantile" and len(known) and high > low:
        bounds = class_limits(known, CLASSES)
        steps = np.linspace(0, 1, len(bounds) - 1) if len(bounds) > 2 else np.array([0.6])
        colours = ListedColormap(sequential()(steps))
        return ColourScale(BoundaryNorm(bounds, len(bounds) - 1, clip=True), colours, (low, high), bounds)
    # From zero, unless the values lie close together: then zero would take the contrast away.
    floor = low if low > 0.25 * high else min(low, 0.0)
    ceiling = high if high > floor else floor + 1.0
    norm = PowerNorm(0.5, floor, ceiling) if scale == "sqrt" and floor >= 0 else Normalize(floor, ceiling)
    return ColourScale(norm, sequential(), (floor, ceiling), None)


def class_limits(values: Floats, classes: int) -> tuple[float, ...]:
    """Round limits of classes with nearly equally many values; the outermost are the extremes themselves.

    >>> class_limits(np.array([1.0, 2.0, 3.0, 1000.0]), 2)
    (1.0, 2.5, 1000.0)
    """
    low, high = float(values.min()), float(values.max())
    exact = np.unique(np.quantile(values, np.linspace(0, 1, classes + 1)[1:-1]))
    # As few digits as keep the limits apart.
    rounded = next(r for digits in range(2, 18) if len(set(r := [float(f"{q:.{digits}g}") for q in exact])) == len(exact))
    return (low, *(limit for limit in rounded if low < limit < high), high)


def nice_below(value: float) -> float:
    """The largest of 1, 2 or 5 times a power of ten that is not above a positive value.

    >>> nice_below(730.0), nice_below(0.21)
    (500.0, 0.2)
    """
    power = 10.0 ** np.floor(np.log10(value))
    return float(next(step * power for step in (5, 2, 1) if step * power <= value * (1 + 1e-9)))


def sheet(width_in: float, height_in: float, caption: Caption, lettering: Lettering) -> Figure:
    """An empty figure with its title, subtitle and source line."""
    figure = Figure(figsize=(width_in, height_in), facecolor="white")
    FigureCanvasAgg(figure)
    left, inch = 0.45 / width_in, 1 / height_in
    write(figure, left, 1 - 0.32 * inch, caption.title, lettering, size=16, weight="bold", va="top")
    write(figure, left, 1 - 0.70 * inch, caption.subtitle, lettering, size=10, color=MUTED_INK, va="top")
    room = figure.bbox.width * (1 - 2 * left)
    for text in figure.texts:
        # A long sentence becomes smaller rather than run off the sheet.
        text.set_fontsize(float(text.get_fontsize()) * min(1.0, room / max(text.get_window_extent().width, 1.0)))
    write(figure, left, 0.2 * inch, f"{lettering.word('source')}: {caption.source}", lettering, size=7.5, color=MUTED_INK)
    return figure


def write(where: Figure | Axes, x: float, y: float, text: str, lettering: Lettering, **style: Any) -> None:
    """Set a text; `$` and the like are signs, not formulas."""
    style.setdefault("color", INK)
    where.text(x, y, text, family=list(lettering.families), parse_math=False, **style)


def bare(axes: Axes) -> Axes:
    """Take frame and ticks off."""
    axes.set_axis_off()
    return axes
