"""A map of one number by zone."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import shapely
from matplotlib.cm import ScalarMappable
from matplotlib.collections import PathCollection
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.path import Path as Outline
from shapely.geometry.base import BaseGeometry

from oneteam.epidemic.drawing.sheet import HAIRLINE, sheet
from oneteam.store.geography import EqualAreaProjection

NO_DATA = "#e3e5e8"


def zone_map(shapes: Mapping[str, BaseGeometry], values: Mapping[str, float], title: str, subtitle: str) -> Figure:
    """Zones in colours, on an equal-area projection.

    Args:
        shapes: polygons in WGS 84 by code.
        values: by code; NaN, or none for a shape, means no data.
        title: of the sheet.
        subtitle: below it, with the unit.
    """
    bounds = np.array([shape.bounds for shape in shapes.values()])
    plane = EqualAreaProjection.centred_on(bounds[:, [0, 2]].reshape(-1), bounds[:, [1, 3]].reshape(-1))
    flat = plane.project(np.array(list(shapes.values()), dtype=object))
    figure, (axes,) = sheet(1, 1, title, subtitle, width_in=7.5, row_in=7.5)
    known = np.array([values.get(code, np.nan) for code in shapes])
    finite = known[np.isfinite(known)]
    low, high = (float(finite.min()), float(finite.max())) if len(finite) else (0.0, 1.0)
    colours = ScalarMappable(Normalize(min(low, 0.0) if low < 0.25 * high else low, high if high > low else low + 1.0), "YlGnBu")
    faces = colours.to_rgba(np.nan_to_num(known))
    faces[~np.isfinite(known)] = (0.89, 0.898, 0.91, 1.0)
    axes.add_collection(PathCollection([_outline(s) for s in flat], facecolors=faces, edgecolors="white", linewidths=0.25))
    extent = shapely.total_bounds(flat)
    axes.set(xlim=extent[[0, 2]], ylim=extent[[1, 3]], aspect="equal", xticks=[], yticks=[])
    axes.set_axis_off()
    bar = figure.colorbar(colours, ax=axes, shrink=0.5, pad=0.02)
    bar.outline.set_edgecolor(HAIRLINE)
    bar.ax.tick_params(labelsize=8, length=2)
    return figure


def _outline(shape: BaseGeometry) -> Outline:
    """All rings of a shape as one path; holes run the other way round and stay empty."""
    points, codes = [], []
    for ring in shapely.get_rings(shapely.get_parts(shapely.orient_polygons(shape))):
        xy = shapely.get_coordinates(ring)
        points.append(xy)
        codes.append(np.r_[Outline.MOVETO, np.full(len(xy) - 2, Outline.LINETO), Outline.CLOSEPOLY])
    return Outline(np.concatenate(points), np.concatenate(codes))
