"""What a chart is drawn from: the documents the API sends to the islands, and the same numbers as a table.

A chart, its table on the page and its CSV file are made from one document, so that they cannot tell different numbers.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Sequence
from datetime import date
from typing import Literal

from pydantic import BaseModel, ConfigDict

from oneteam.epidemic.report.voice import percent

Number = float | None
Cell = str | float | int | None
Kind = Literal["text", "day", "count", "number", "share", "chance"]


class ChartDocument(BaseModel):
    """A document of the API: frozen, with no field that is not named here."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Column(ChartDocument):
    """A column of a table.

    Args:
        id: its name in CSV.
        label: its name on the page.
        kind: how its cells are written.
    """

    id: str
    label: str
    kind: Kind = "text"

    @property
    def number(self) -> bool:
        """Whether its cells are numbers."""
        return self.kind not in {"text", "day"}


class WrittenTable(ChartDocument):
    """A table as the page shows it."""

    columns: tuple[Column, ...]
    rows: tuple[tuple[str, ...], ...]


class Grid(ChartDocument):
    r"""The numbers of a chart, unrounded.

    >>> grid = Grid(columns=(Column(id="place", label="Place"), Column(id="chance", label="Chance", kind="share")), rows=(("A", 0.254),))
    >>> grid.written().rows
    (('A', '25%'),)
    >>> grid.csv()
    'place,chance\r\nA,0.254\r\n'
    """

    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]

    def written(self) -> WrittenTable:
        """As people read it."""
        kinds = [column.kind for column in self.columns]
        return WrittenTable(
            columns=self.columns, rows=tuple(tuple(write_cell(c, k) for c, k in zip(row, kinds, strict=True)) for row in self.rows)
        )

    def csv(self) -> str:
        """As a file for other programs (RFC 4180); what is unknown is empty."""
        sink = io.StringIO()
        writer = csv.writer(sink)
        writer.writerow([column.id for column in self.columns])
        writer.writerows([["" if cell is None else cell for cell in row] for row in self.rows])
        return sink.getvalue()


def write_cell(cell: Cell, kind: Kind) -> str:
    """A cell as people read it.

    >>> [write_cell(c, k) for c, k in (("Seoul", "text"), (1234.6, "count"), (0.031, "number"), (0.987, "share"), (None, "count"))]
    ['Seoul', '1,235', '0.031', '99%', '–']
    """
    if cell is None:
        return "–"
    if isinstance(cell, str):
        return cell
    if kind == "share":
        return f"{100 * cell:.0f}%"
    if kind == "chance":
        return percent(cell)
    if kind == "count":
        return f"{cell:,.0f}" if abs(cell) >= 10 or cell == int(cell) else f"{cell:.2g}"
    return f"{cell:,.3g}" if abs(cell) < 1000 else f"{cell:,.0f}"


def finite(value: float) -> Number:
    """A number that JSON can hold: None for NaN and infinities.

    >>> finite(2.0), finite(float("nan"))
    (2.0, None)
    """
    return float(value) if math.isfinite(value) else None


class Band(ChartDocument):
    """A central interval along a series: its level in percent, lower and upper ends."""

    level: int
    low: tuple[Number, ...]
    high: tuple[Number, ...]


class Series(ChartDocument):
    """Values by day.

    Args:
        id: its name in CSV.
        label: its name on the page.
        kind: ``seen`` for what was observed (dots on a line), ``fan`` for a forecast (bands and a line), ``past`` for forecasts of single
            weeks (bars), ``line`` for a line alone.
        tone: 0 for the accent, 1 for what it is compared with.
        days: of the values.
        middle: medians or observed values.
        bands: widest first.
    """

    id: str
    label: str
    kind: Literal["seen", "fan", "past", "line"]
    tone: Literal[0, 1] = 0
    days: tuple[date, ...]
    middle: tuple[Number, ...]
    bands: tuple[Band, ...] = ()


class SeriesChart(ChartDocument):
    """Values by day with intervals, and a level they are held against.

    Args:
        unit: of the values.
        series: what is drawn.
        threshold: the level.
        threshold_label: its words.
        now: a day that is marked.
        now_label: its words.
        from_zero: whether the scale begins at 0.
        scale_to: what the scale reaches to at least, so that several charts can be read side by side.
    """

    unit: str
    series: tuple[Series, ...]
    threshold: Number = None
    threshold_label: str = ""
    now: date | None = None
    now_label: str = ""
    from_zero: bool = True
    scale_to: Number = None

    def grid(self, day: str, value: str, series: str) -> Grid:
        """One row a series and day; the arguments are the columns' labels."""
        levels = sorted({band.level for s in self.series for band in s.bands})
        columns = [
            Column(id="series", label=series),
            Column(id="day", label=day, kind="day"),
            Column(id="value", label=value, kind="count" if self.from_zero else "number"),
        ]
        for level in levels:
            kind: Kind = "count" if self.from_zero else "number"
            columns += [
                Column(id=f"low_{level}", label=f"{level}% ↓", kind=kind),
                Column(id=f"high_{level}", label=f"{level}% ↑", kind=kind),
            ]
        rows: list[tuple[Cell, ...]] = []
        for s in self.series:
            bands = {band.level: band for band in s.bands}
            for i, when in enumerate(s.days):
                ends = [
                    end for level in levels for end in ((bands[level].low[i], bands[level].high[i]) if level in bands else (None, None))
                ]
                if s.middle[i] is not None or any(e is not None for e in ends):
                    rows.append((s.label, when.isoformat(), s.middle[i], *ends))
        return Grid(columns=tuple(columns), rows=tuple(rows))


class Bar(ChartDocument):
    """One bar of a ranking: a value, its interval, and where its name leads."""

    id: str
    label: str
    value: float
    low: Number = None
    high: Number = None
    href: str | None = None
    strong: bool = False


class BarsChart(ChartDocument):
    """A ranking with intervals, and a level the bars are held against."""

    unit: str
    kind: Literal["count", "number", "share", "chance"] = "number"
    bars: tuple[Bar, ...]
    reference: Number = None
    reference_label: str = ""

    def grid(self, name: str, value: str) -> Grid:
        """One row a bar; the arguments are the columns' labels."""
        columns = [Column(id="id", label="ID"), Column(id="name", label=name), Column(id="value", label=value, kind=self.kind)]
        ranged = any(bar.low is not None for bar in self.bars)
        if ranged:
            columns += [Column(id="low_95", label="95% ↓", kind=self.kind), Column(id="high_95", label="95% ↑", kind=self.kind)]
        rows = [(bar.id, bar.label, bar.value, *((bar.low, bar.high) if ranged else ())) for bar in self.bars]
        return Grid(columns=tuple(columns), rows=tuple(rows))


class MapMode(ChartDocument):
    """One way to colour a map.

    Args:
        id: its name in CSV.
        label: its name on the page.
        kind: how a value is written.
        unit: of a value.
        limits: inner limits between colours, ascending; a value at a limit belongs above it.
        layers: by week, values by place code.
    """

    id: str
    label: str
    kind: Literal["count", "number", "share", "chance"]
    unit: str
    limits: tuple[float, ...]
    layers: tuple[dict[str, Number], ...]


class MapChart(ChartDocument):
    """Places coloured by week.

    Args:
        shapes_url: where outlines come from.
        names: of places by code.
        weeks: labels of the layers.
        start: the layer that is shown at first.
        notes: a sentence for each layer.
        modes: ways to colour; all with as many layers.
        href: address of a place, to which its code is added.
    """

    shapes_url: str
    names: dict[str, str]
    weeks: tuple[str, ...]
    start: int = 0
    notes: tuple[str, ...]
    modes: tuple[MapMode, ...]
    href: str
    words: dict[str, str]

    def grid(self, place: str, code: str) -> Grid:
        """One row a place, one column a week and mode; the arguments are the columns' labels."""
        columns = [Column(id="code", label=code), Column(id="name", label=place)]
        for mode in self.modes:
            columns += [Column(id=f"{mode.id}_{i}", label=f"{mode.label}: {week}", kind=mode.kind) for i, week in enumerate(self.weeks)]
        rows = [
            (c, name, *(layer.get(c) for mode in self.modes for layer in mode.layers)) for c, name in self.names.items()
        ]  # fmt: skip
        return Grid(columns=tuple(columns), rows=tuple(rows))


class Shapes(ChartDocument):
    """Outlines of places on the page.

    Args:
        width: of the page, in pixels.
        height: of it.
        paths: SVG path data by code.
        centres: a point inside each place.
        borders: outline of what is not a place of its own, such as the region around districts; may be empty.
    """

    width: float
    height: float
    paths: dict[str, str]
    centres: dict[str, tuple[float, float]]
    borders: str = ""


class Origin(ChartDocument):
    """Expected imported cases from one country, by week."""

    code: str
    name: str
    mean: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]


class WorldChart(ChartDocument):
    """Expected imported cases by country and week; the first week is the sum over all."""

    weeks: tuple[str, ...]
    origins: tuple[Origin, ...]
    unit: str
    home: tuple[float, float] | None = None
    words: dict[str, str]

    def grid(self, week: str, origin: str, value: str) -> Grid:
        """One row a week and origin; the arguments are the columns' labels."""
        columns = (
            Column(id="week", label=week),
            Column(id="code", label="ISO"),
            Column(id="origin", label=origin),
            Column(id="mean", label=value, kind="count"),
            Column(id="low_95", label="95% ↓", kind="count"),
            Column(id="high_95", label="95% ↑", kind="count"),
        )
        rows = tuple((when, o.code, o.name, o.mean[i], o.low[i], o.high[i]) for i, when in enumerate(self.weeks) for o in self.origins)
        return Grid(columns=columns, rows=rows)


class Flow(ChartDocument):
    """Trips a day from one place to another, with their standard deviation; `raw` as it was released, where that is known."""

    origin: str
    destination: str
    trips: float
    std: Number = None
    raw: Number = None


class FlowsChart(ChartDocument):
    """The largest flows between places on their map."""

    shapes_url: str
    names: dict[str, str]
    flows: tuple[Flow, ...]
    unit: str
    href: str

    def grid(self, labels: Sequence[str]) -> Grid:
        """One row a pair; labels of origin, destination, trips, standard deviation, number as released."""
        origin, destination, trips, std, raw = labels
        columns = [
            Column(id="origin", label="ID"),
            Column(id="origin_name", label=origin),
            Column(id="destination", label="ID"),
            Column(id="destination_name", label=destination),
            Column(id="trips_per_day", label=trips, kind="count"),
            Column(id="std", label=std, kind="count"),
        ]
        exact = any(f.raw is not None for f in self.flows)
        if exact:
            columns.append(Column(id="raw", label=raw, kind="count"))
        rows = [
            (f.origin, self.names.get(f.origin, f.origin), f.destination, self.names.get(f.destination, f.destination), f.trips, f.std)
            + ((f.raw,) if exact else ())
            for f in self.flows
        ]
        return Grid(columns=tuple(columns), rows=tuple(rows))


class Dot(ChartDocument):
    """One comparison: what is right, what was released, and how sure the release says it is."""

    label: str
    x: float
    y: float
    std: Number = None


class ScatterChart(ChartDocument):
    """Released numbers against exact ones (or against their own standard deviation)."""

    x_label: str
    y_label: str
    diagonal: bool
    dots: tuple[Dot, ...]

    def grid(self, name: str) -> Grid:
        """One row a dot."""
        columns = (
            Column(id="pair", label=name),
            Column(id="x", label=self.x_label, kind="number"),
            Column(id="y", label=self.y_label, kind="number"),
            Column(id="std", label="SD", kind="number"),
        )
        return Grid(columns=columns, rows=tuple((d.label, d.x, d.y, d.std) for d in self.dots))


class Bin(ChartDocument):
    """Forecasts that said about the same: what they said, how often it came, the 95% interval of that, and how many they were."""

    forecast: float
    observed: float
    low: Number = None
    high: Number = None
    tasks: int


class ReliabilityChart(ChartDocument):
    """Whether chances came true as often as they said."""

    bins: tuple[Bin, ...]
    x_label: str
    y_label: str

    def grid(self, tasks: str) -> Grid:
        """One row a bin."""
        columns = (
            Column(id="forecast", label=self.x_label, kind="share"),
            Column(id="observed", label=self.y_label, kind="share"),
            Column(id="low_95", label="95% ↓", kind="share"),
            Column(id="high_95", label="95% ↑", kind="share"),
            Column(id="tasks", label=tasks, kind="count"),
        )
        return Grid(columns=columns, rows=tuple((b.forecast, b.observed, b.low, b.high, b.tasks) for b in self.bins))


class HistogramChart(ChartDocument):
    """Shares by class, against the share each should have."""

    edges: tuple[float, ...]
    shares: tuple[float, ...]
    expected: float
    x_label: str
    y_label: str

    def grid(self) -> Grid:
        """One row a class."""
        columns = (
            Column(id="from", label=f"{self.x_label} ≥", kind="number"),
            Column(id="to", label="<", kind="number"),
            Column(id="share", label=self.y_label, kind="share"),
        )
        rows = tuple((self.edges[i], self.edges[i + 1], share) for i, share in enumerate(self.shares))
        return Grid(columns=columns, rows=rows)
