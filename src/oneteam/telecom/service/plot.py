"""Draw the result of a measure: `oneteam telecom plot`."""

from __future__ import annotations

import io
import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, cast, get_args

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from oneteam.core.errors import MissingExtraError, NothingFoundError, UnknownValueError
from oneteam.store.rows import some
from oneteam.store.tables import read_manifest, read_parquet, write_atomically
from oneteam.telecom.dataset import TelecomManifest
from oneteam.telecom.measures.catalogue import MEASURES
from oneteam.telecom.service.geography import load_zones
from oneteam.telecom.service.read_result import read_result

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from oneteam.telecom.drawing.canvas import Caption
    from oneteam.telecom.drawing.lettering import Lettering
    from oneteam.telecom.drawing.map_zones import MapZones
    from oneteam.telecom.drawing.slices import Slice

Kind = Literal["auto", "map", "flows", "line", "bars"]
Per = Literal["none", "population", "area"]
Scale = Literal["quantile", "sqrt", "linear"]
Language = Literal["en", "ko"]

PER_INHABITANTS: Final = 1_000
_FORMATS: Final = {".png": "png", ".svg": "svg", ".pdf": "pdf"}
_PIXELS_PER_INCH: Final = 200
_BARS: Final = 20


@dataclass(frozen=True)
class PlotSummary:
    """What was drawn.

    Args:
        out: the file.
        kind: ``map``, ``flows``, ``line`` or ``bars``.
        title: as it stands on the drawing.
        subtitle: the same; it says which time is shown and how it was averaged.
        shown: zones with a value, flows, moments or bars on the drawing.
        of: how many the result has.
        notes: what the drawing cannot show, as sentences.
    """

    out: Path
    kind: str
    title: str
    subtitle: str
    shown: int
    of: int
    notes: tuple[str, ...]


@dataclass(frozen=True)
class _Drawing:
    figure: Figure
    caption: Caption
    shown: int
    of: int
    notes: tuple[str, ...] = ()


def plot(
    result: Path,
    out: Path,
    *,
    data: Path | None = None,
    zones: Path | None = None,
    shapes: Path | None = None,
    column: str = "value",
    per: Per = "none",
    day: date | None = None,
    hour: int | None = None,
    where: Mapping[str, str] | None = None,
    title: str | None = None,
    lang: Language = "en",
    kind: Kind = "auto",
    scale: Scale = "quantile",
    top: int = 200,
) -> PlotSummary:
    """Draw a measure's result as a map, a flow map, lines over time, or bars by country.

    Without ``day`` and ``hour`` a result of many moments is shown as its mean over them; the subtitle says so.

    Args:
        result: Parquet, CSV or JSON as written by ``oneteam telecom measure``.
        out: ``.png``, ``.svg`` or ``.pdf``; written whole or not at all.
        data: the dataset, for its zones.
        zones: a zones file instead (CSV, GeoJSON or TopoJSON).
        shapes: shapes of these zones; they also replace the dataset's own shapes.
        column: the value column to show.
        per: divide by ``population`` (per 1,000 inhabitants) or ``area`` (per km²); zones on a map only.
        day: this local day only.
        hour: this local hour only, 0-23.
        where: other keys and the value each must have, such as ``{"country": "JP"}``.
        title: instead of the measure's own.
        lang: language of the words; English with a note when no installed typeface has Hangul.
        kind: ``auto`` takes flows for origin and destination, else a map for zones, else bars for countries, else lines.
        scale: colours by classes of equal membership, or by the square root, or linear.
        top: how many flows to draw, the largest first; the largest from each zone is always drawn.

    Raises:
        MissingExtraError: Matplotlib is not installed.
        FileUnreadableError, EncodingError: the result or a zones file cannot be read.
        MissingColumnError, WrongTypeError: the result lacks what was asked for.
        NothingFoundError: no row is left, or no zones were given for a map.
        UnknownValueError: an option outside its values, an unknown suffix, codes none of which is a zone.
    """
    _insist_on_matplotlib()
    _check_options(out, {"per": (per, Per), "lang": (lang, Language), "kind": (kind, Kind), "scale": (scale, Scale)}, top, hour)
    from oneteam.telecom.drawing.lettering import Lettering
    from oneteam.telecom.drawing.slices import choose

    table, about = read_result(result)
    chosen = choose(table, column=column, day=day, hour=hour, where=where)
    lettering = Lettering.choose(lang)
    notes = ["no installed typeface has Hangul: the words are in English; install Noto Sans CJK"] if lettering.language != lang else []
    kind = _kind_of(chosen, kind, column)
    caption = _caption(result, about, chosen, column, title, where, lettering)
    if kind == "line":
        drawing = _lines(chosen, caption, lettering)
    elif kind == "bars":
        drawing = _bars(chosen, caption, lettering)
    else:
        from oneteam.telecom.drawing.map_zones import MapZones

        places = MapZones.of(_zones(data, zones, shapes))
        drawing = (
            _flows(chosen, places, caption, lettering, top) if kind == "flows" else _map(chosen, places, caption, lettering, per, scale)
        )
    write_atomically(out, _rendered(drawing.figure, _FORMATS[out.suffix.lower()]))
    caption = drawing.caption
    return PlotSummary(out, kind, caption.title, caption.subtitle, drawing.shown, drawing.of, (*notes, *drawing.notes))


def _map(chosen: Slice, places: MapZones, caption: Caption, lettering: Lettering, per: Per, scale: Scale) -> _Drawing:
    from oneteam.telecom.drawing.maps import choropleth

    key = next(name for name in ("zone", "home", "destination", "origin") if name in chosen.table.column_names)
    means = chosen.mean_by(key)
    index, notes = _indices(means, (key,), places)
    known = index[0] >= 0
    values = np.full(len(places.codes), np.nan)
    values[index[0][known]] = means["value"].to_numpy()[known] / _seconds_per_unit(caption, lettering)
    if per == "population":
        values = _ratio(values, places.population / PER_INHABITANTS)
    elif per == "area":
        values = _ratio(values, places.area_km2)
    if per != "none":
        caption = replace(caption, unit=lettering.word(f"per_{per}", unit=caption.unit))
    shown = int(np.isfinite(values).sum())
    if not shown:
        raise NothingFoundError(f"no zone has both a value and a known {per}")
    lost = int(known.sum()) - shown
    if lost:
        notes.append(f"{lost} zones with a value have no known {per} and are shown without data")
    return _Drawing(choropleth(places, values, caption, lettering, scale=scale), caption, shown, len(places.codes), tuple(notes))


def _flows(chosen: Slice, places: MapZones, caption: Caption, lettering: Lettering, top: int) -> _Drawing:
    from oneteam.telecom.drawing.lettering import number
    from oneteam.telecom.drawing.maps import Flows, flow_map

    means = chosen.mean_by("origin", "destination")
    (origin, destination), notes = _indices(means, ("origin", "destination"), places)
    value = means["value"].to_numpy()
    between = np.flatnonzero((origin >= 0) & (destination >= 0) & (origin != destination) & (value > 0))
    if not len(between):
        raise NothingFoundError("the result has no flow from one zone to another")
    order = between[np.argsort(-value[between], kind="stable")]
    # The largest of all would show the capital alone; the largest from each zone shows how the country hangs together.
    largest_from = np.unique(origin[order], return_index=True)[1]
    order = order[np.union1d(np.arange(min(top, len(order))), largest_from)]
    share = f"{100 * value[order].sum() / value[between].sum():.0f}%"
    words = lettering.word("flows_shown", shown=number(min(top, len(between))), of=number(len(between)), share=share)
    caption = replace(caption, subtitle=f"{caption.subtitle}; {words}" if caption.subtitle else words)
    figure = flow_map(places, Flows(origin[order], destination[order], value[order]), caption, lettering)
    return _Drawing(figure, caption, len(order), len(between), tuple(notes))


def _lines(chosen: Slice, caption: Caption, lettering: Lettering) -> _Drawing:
    from oneteam.telecom.drawing.charts import LINES, line_chart
    from oneteam.telecom.drawing.slices import TIME_KEYS, moments_of

    keys = [key for key in TIME_KEYS if key in chosen.table.column_names]
    if not any(key in keys for key in ("day", "month")):
        raise NothingFoundError("the result has no day or month to draw a line over")
    split = next((key for key in ("country", "state") if key in chosen.table.column_names), None)
    if chosen.column == "active":
        chosen = chosen.once_per_moment()
    sums = chosen.sum_by(*keys, *([split] if split else []), over=_seconds_per_unit(caption, lettering))
    moments, at = np.unique(moments_of(sums), return_inverse=True)
    values = sums["value"].to_numpy()
    names = [str(name) for name in sums[split].to_pylist()] if split else [caption.unit] * len(values)
    totals = {name: float(values[[n == name for n in names]].sum()) for name in dict.fromkeys(names)}
    largest = sorted(totals, key=lambda name: (-totals[name], name))[:LINES]
    lines = {}
    for name in largest:
        mine = np.array([n == name for n in names])
        lines[name] = np.bincount(at[mine], values[mine], minlength=len(moments)).astype(np.float64)
    days = np.unique(moments.astype("datetime64[D]"))
    notes = [f"{len(totals) - LINES} smaller lines are not shown"] if len(totals) > LINES else []
    caption = replace(caption, subtitle=chosen.span(lettering))
    figure = line_chart(moments, lines, caption, lettering, of_day=len(days) == 1 and "hour" in keys)
    return _Drawing(figure, caption, len(moments), len(moments), tuple(notes))


def _bars(chosen: Slice, caption: Caption, lettering: Lettering) -> _Drawing:
    from oneteam.telecom.drawing.charts import bar_chart

    key = next((name for name in ("country", "state") if name in chosen.table.column_names), None)
    if key is None:
        raise NothingFoundError("the result has no country to draw bars by")
    means = chosen.mean_by(key).sort_by([("value", "descending"), (key, "ascending")])
    values = means["value"].to_numpy() / _seconds_per_unit(caption, lettering)
    names = [str(name) for name in means[key].to_pylist()]
    shown = min(len(names), _BARS)
    if len(names) > _BARS:
        names = [*names[:_BARS], f"{lettering.word('others')} ({len(names) - _BARS})"]
        values = np.append(values[:_BARS], values[_BARS:].sum())
    return _Drawing(bar_chart(names, values, caption, lettering), caption, shown, means.num_rows)


def _insist_on_matplotlib() -> None:
    if find_spec("matplotlib") is None:
        raise MissingExtraError("drawing needs Matplotlib, which is not installed", hint="Install it with `pip install 'oneteam[plot]'`.")


def _check_options(out: Path, options: Mapping[str, tuple[str, Any]], top: int, hour: int | None) -> None:
    if out.suffix.lower() not in _FORMATS:
        raise UnknownValueError(f"{out}: cannot draw '{out.suffix}'; the name must end in {', '.join(_FORMATS)}")
    for name, (value, allowed) in options.items():
        if value not in get_args(allowed):
            raise UnknownValueError(f"{name} is {value!r}, must be one of {', '.join(get_args(allowed))}")
    if top < 1:
        raise UnknownValueError(f"top is {top}, must be at least 1")
    if hour is not None and not 0 <= hour <= 23:
        raise UnknownValueError(f"hour is {hour}, must be between 0 and 23")


def _zones(data: Path | None, zones: Path | None, shapes: Path | None) -> pa.Table:
    if zones is not None:
        return load_zones(zones, shapes)
    if data is not None:
        entry = read_manifest(data, TelecomManifest).tables.get("zones", {}).get("")
        if entry is not None:
            return _reshaped(read_parquet(data / entry.path), shapes)
    elif shapes is not None:
        return load_zones(shapes)
    raise NothingFoundError("a map needs zones, and none were given", hint="Name the dataset with --data, or a zones file with --zones.")


def _reshaped(zones: pa.Table, shapes: Path | None) -> pa.Table:
    if shapes is None:
        return zones
    other = load_zones(shapes)
    at = pc.index_in(zones["code"], other["code"])
    for name in ("latitude", "longitude", "geometry"):
        column = pc.coalesce(other[name].take(at), zones[name])
        zones = zones.set_column(zones.column_names.index(name), zones.schema.field(name), column)
    return zones


def _kind_of(chosen: Slice, kind: Kind, column: str) -> Literal["map", "flows", "line", "bars"]:
    names = set(chosen.table.column_names)
    flows, place = {"origin", "destination"} <= names, bool(names & {"zone", "home", "origin", "destination"})
    if kind == "auto":
        found = "flows" if flows else "map" if place else "bars" if "country" in names else "line"
        return cast("Literal['map', 'flows', 'line', 'bars']", "line" if column == "active" and names & {"day", "month"} else found)
    if kind == "flows" and not flows:
        raise NothingFoundError("the result has no origin and destination to draw flows between")
    if kind == "map" and not place:
        raise NothingFoundError("the result has no zone to draw a map of")
    return kind


def _caption(
    result: Path,
    about: Mapping[str, str],
    chosen: Slice,
    column: str,
    title: str | None,
    where: Mapping[str, str] | None,
    lettering: Lettering,
) -> Caption:
    from oneteam.telecom.drawing.canvas import Caption

    measure = MEASURES.get(about.get("measure", result.stem))
    own = about.get("title") or result.stem.replace("_", " ")
    if measure is not None:
        own = measure.title_ko if lettering.language == "ko" else measure.title_en
    parts = [chosen.period(lettering), *(f"{key} = {value}" for key, value in (where or {}).items())]
    unit = about.get("unit", "value" if measure is None else measure.unit) if column == "value" else column
    source = [result.name, *(f"{name} {about[name]}" for name in ("engine",) if about.get(name))]
    if about.get("zone_version"):
        source.append(about["zone_version"])
    source.append(f"oneteam {about['oneteam']}" if about.get("oneteam") else "oneteam")
    return Caption(
        lettering.first_settable(title, own, result.stem) or "oneteam",
        ", ".join(part for part in parts if part),
        lettering.word("hours" if unit == "s" else unit),
        lettering.first_settable(" · ".join(source)) or "oneteam",
    )


def _seconds_per_unit(caption: Caption, lettering: Lettering) -> float:
    """Seconds are shown in hours."""
    return 3_600.0 if caption.unit == lettering.word("hours") else 1.0


def _indices(means: pa.Table, keys: tuple[str, ...], places: MapZones) -> tuple[list[npt.NDArray[np.int64]], list[str]]:
    """For each key its zones' indices, -1 where the zone is not known, and what cannot be shown."""
    codes = pa.array(places.codes, pa.string())
    found, notes = [], []
    unknown = np.zeros(means.num_rows, dtype=np.bool_)
    for key in keys:
        index = pc.fill_null(pc.index_in(means[key], codes, skip_nulls=True), -1).to_numpy().astype(np.int64)
        strange = sorted(set(means[key].filter(pa.array(index < 0)).drop_null().to_pylist()))
        if strange and (index < 0).all():
            raise UnknownValueError(
                f"none of the codes in column {key!r} ({some(strange)}) is a code of the zones ({some(places.codes)})",
                hint="Give the zones that the result was made with.",
            )
        if strange:
            notes.append(f"{len(strange)} codes in column {key!r} are no zone on the map: {some(strange)}")
        unknown |= means[key].is_null().to_numpy()
        found.append(index)
    if unknown.any():
        value = means["value"].to_numpy()
        notes.append(f"{100 * value[unknown].sum() / max(value.sum(), 1e-300):.1f}% of the value has no known zone and is not on the map")
    return found, notes


def _ratio(values: npt.NDArray[np.float64], by: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return np.asarray(np.divide(values, by, out=np.full(len(values), np.nan), where=by > 0), dtype=np.float64)


def _rendered(figure: Figure, kind: str) -> bytes:
    import matplotlib as mpl

    buffer = io.BytesIO()
    # Without date and random salt the same result gives the same bytes.
    metadata = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}.get(kind)
    log = logging.getLogger("matplotlib.font_manager")
    level = log.level
    try:
        # It reports every typeface that has no cut of exactly the weight asked for.
        log.setLevel(logging.ERROR)
        with mpl.rc_context({"svg.hashsalt": "oneteam"}):
            figure.savefig(buffer, format=kind, dpi=_PIXELS_PER_INCH, metadata=metadata)
    finally:
        log.setLevel(level)
    return buffer.getvalue()
