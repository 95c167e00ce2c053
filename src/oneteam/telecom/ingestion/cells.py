"""The cells of a dataset: a dense code for each ``cell_id`` that never changes, and what the network topology says of it, by period."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from oneteam.core.clock import EPOCH
from oneteam.core.errors import UnknownValueError, WrongTypeError
from oneteam.telecom.ingestion.clean import KnownCells, Verdict
from oneteam.telecom.ingestion.columns import BAD, NULL, OUT, decoded, floats, integers, texts
from oneteam.telecom.ingestion.mapping import Mapping, zone_of
from oneteam.telecom.ingestion.order import MAX_CELLS, unit_vectors
from oneteam.telecom.schemas import CELLS

_LONG_AGO: Final = -(2**30)
_FAR_AHEAD: Final = 2**30
_BARE: Final = (None,) * 10

Facts = tuple[
    date | None, date | None, float | None, float | None, int | None, float | None, float | None, float | None, float | None, str | None
]
"""A row of `CELLS` without its first two columns."""


def _start_of(facts: Facts) -> date:
    return facts[0] or date.min


@dataclass(frozen=True)
class Topology:
    """A topology file after cleaning: accepted rows, and the `Verdict` on each row of the file, shape (n,)."""

    rows: list[tuple[str, Facts]]
    verdict: NDArray[np.uint8]


class CellRegistry:
    """All cells of a dataset.

    >>> cells = CellRegistry()
    >>> cells.register(["a", "b"]), cells.lookup(["b", "z"]).tolist()
    ([0, 1], [1, -1])
    """

    def __init__(self, table: pa.Table | None = None) -> None:
        self._codes: dict[str, int] = {}
        self._names: list[str] = []
        self._facts: list[list[Facts]] = []
        self._known: KnownCells | None = None
        self._coordinates: NDArray[np.float64] | None = None
        self.topology_changed = False
        self._first_new = 0
        if table is not None:
            columns = [table.column(name).to_pylist() for name in CELLS.names]
            for cell, name, *facts in zip(*columns, strict=True):
                if cell == len(self._names):
                    self._codes[name] = cell
                    self._names.append(name)
                    self._facts.append([])
                self._facts[cell].append(tuple(facts))
            self._first_new = len(self._names)

    def __len__(self) -> int:
        return len(self._names)

    @property
    def changed(self) -> bool:
        """Whether there are new cells or new facts since the table was read."""
        return self.topology_changed or len(self._names) > self._first_new

    @property
    def has_topology(self) -> bool:
        """Whether a topology has been read: some cell other than a pseudo cell carries facts."""
        return any(facts != [_BARE] and not name.startswith("geo:") for name, facts in zip(self._names, self._facts, strict=True))

    def name_of(self, cell: int) -> str:
        """The ``cell_id`` behind a code."""
        return self._names[cell]

    def lookup(self, names: Iterable[str]) -> NDArray[np.int32]:
        """Codes of cells, -1 for those that have none."""
        return np.array([self._codes.get(name, -1) for name in names], np.int32)

    def register(self, names: Sequence[str], facts: Facts = _BARE) -> list[int]:
        """Codes of cells; new ones get the next free code.

        Raises:
            UnknownValueError: there are more cells than codes.
        """
        for name in names:
            if name not in self._codes:
                if len(self._names) >= MAX_CELLS:
                    raise UnknownValueError(f"more than {MAX_CELLS:,} different cells", hint="Is cell_id mapped to the right column?")
                self._codes[name] = len(self._names)
                self._names.append(name)
                self._facts.append([facts])
                self._known = None
        return [self._codes[name] for name in names]

    def register_places(self, latitude: NDArray[np.float64], longitude: NDArray[np.float64]) -> NDArray[np.int32]:
        """Codes of pseudo cells ``geo:<lat>,<lon>``, one per 0.01 degree of latitude and longitude.

        >>> cells = CellRegistry()
        >>> cells.register_places(np.array([37.561, 37.559]), np.array([126.98, 126.98])).tolist(), cells.name_of(0)
        ([0, 0], 'geo:37.56,126.98')
        """
        south, west = np.round(latitude * 100).astype(np.int64), np.round(longitude * 100).astype(np.int64)
        distinct, inverse = np.unique(south * 100_000 + (west + 18_000), return_inverse=True)
        codes = []
        for value in distinct.tolist():
            lat, lon = value // 100_000 / 100, (value % 100_000 - 18_000) / 100
            codes += self.register([f"geo:{lat:.2f},{lon:.2f}"], (None, None, lat, lon, *_BARE[4:]))
        return np.array(codes, np.int32)[inverse]

    def merge(self, rows: Iterable[tuple[str, Facts]]) -> int:
        """Take in topology rows; how many repeat what was known.

        A row replaces an older one with the same cell and start; where a period runs into the next one of its cell, it ends the day before.
        """
        repeated = 0
        touched: dict[int, list[Facts]] = {}
        for name, facts in rows:
            (cell,) = self.register([name])
            known = touched.setdefault(cell, [f for f in self._facts[cell] if f != _BARE])
            same = [i for i, other in enumerate(known) if other[0] == facts[0]]
            repeated += any(_same_but_end(known[i], facts) for i in same)
            for i in reversed(same):
                del known[i]
            known.append(facts)
        for cell, known in touched.items():
            closed = _without_overlaps(known)
            if closed != self._facts[cell]:
                self._facts[cell] = closed
                self.topology_changed = True
        self._known = None
        return repeated

    def known(self) -> KnownCells:
        """Validity periods, for judging events. A cell that no topology lists is not known."""
        if self._known is None:
            self._coordinates = None
            listed = np.array([facts != [_BARE] for facts in self._facts], np.bool_)
            counts = np.array([len(facts) for facts in self._facts], np.int64)
            first = [_day(f[0], _LONG_AGO) for facts in self._facts for f in facts]
            last = [_day(f[1], _FAR_AHEAD) for facts in self._facts for f in facts]
            start = np.concatenate([np.zeros(1, np.int64), np.cumsum(counts)])
            self._known = KnownCells(listed, start, np.array(first, np.int32), np.array(last, np.int32))
        return self._known

    def places(self, day: int) -> NDArray[np.float64]:
        """`unit_vectors` of all cells as they stand on a local day, NaN where unknown; shape (cells, 3)."""
        known = self.known()
        if self._coordinates is None:
            pairs = [(f[2], f[3]) for facts in self._facts for f in facts]
            self._coordinates = np.array(pairs, np.float64).reshape(-1, 2)
        cell = np.repeat(np.arange(len(self)), np.diff(known.start))
        valid = (known.first <= day) & (day <= known.last)
        out = np.full((len(self), 2), np.nan)
        out[cell[valid]] = self._coordinates[valid]
        return unit_vectors(out[:, 0], out[:, 1])

    def table(self) -> pa.Table:
        """In the schema `CELLS`, sorted by code and start of validity."""
        rows = [(cell, self._names[cell], *facts) for cell, known in enumerate(self._facts) for facts in known]
        columns = zip(*rows, strict=True) if rows else ([] for _ in CELLS)
        return pa.table([pa.array(column, field.type) for column, field in zip(columns, CELLS, strict=True)], schema=CELLS)


def _day(value: date | None, otherwise: int) -> int:
    return otherwise if value is None else (value - EPOCH).days


def _same_but_end(a: Facts, b: Facts) -> bool:
    return a[0] == b[0] and a[2:] == b[2:]


def _without_overlaps(known: list[Facts]) -> list[Facts]:
    known = sorted(known, key=_start_of)
    out = []
    for at, facts in enumerate(known):
        end = facts[1]
        if at + 1 < len(known):
            limit = _start_of(known[at + 1]) - timedelta(days=1)
            end = limit if end is None or end > limit else end
        out.append((facts[0], end, *facts[2:]))
    return out


def _dates(column: pa.ChunkedArray | None, rows: int, timezone: str, where: str, name: str) -> tuple[list[date | None], NDArray[np.bool_]]:
    """Calendar dates, and which rows hold something that is none. A moment counts as its local day."""
    bad = np.zeros(rows, np.bool_)
    if column is None or column.null_count == rows:
        return [None] * rows, bad
    array = decoded(column)
    if pa.types.is_date(array.type):
        return array.cast(pa.date32()).to_pylist(), bad
    if pa.types.is_timestamp(array.type):
        moments = array.cast(pa.timestamp("us", tz=array.type.tz), safe=False).to_pylist()
        zone = zone_of(timezone)
        return [None if m is None else (m.astimezone(zone) if m.tzinfo else m).date() for m in moments], bad
    if not (pa.types.is_string(array.type) or pa.types.is_large_string(array.type)):
        raise WrongTypeError(f"{where}: column {name!r} is of type {array.type}; a date is needed")
    out: list[date | None] = []
    for row, text in enumerate(array.to_pylist()):
        value = None
        if text:
            try:
                value = _date_of(text.strip(), timezone)
            except ValueError:
                bad[row] = True
        out.append(value)
    return out, bad


def _date_of(text: str, timezone: str) -> date:
    if len(text) <= 10:
        return date.fromisoformat(text)
    moment = datetime.fromisoformat(text)
    return (moment.astimezone(zone_of(timezone)) if moment.tzinfo else moment.replace(tzinfo=UTC)).date()


def clean_topology(table: pa.Table, mapping: Mapping, timezone: str, *, where: str) -> Topology:
    """Validate the rows of a topology file.

    Args:
        table: rows as read.
        mapping: of kind topology.
        timezone: zone in which a moment becomes a validity date.
        where: the file, for errors.

    Raises:
        WrongTypeError: a column cannot be read as what it should be.

    >>> from oneteam.telecom.ingestion.mapping import BUILT_IN
    >>> rows = pa.table({"cell_id": ["a", "b"], "latitude": [37.5, 99.0], "longitude": [127.0, 127.0]})
    >>> [Verdict(v).name for v in clean_topology(rows, BUILT_IN["multimno-topology"], "Asia/Seoul", where="t.csv").verdict]
    ['ACCEPTED', 'OUT_OF_RANGE__COORDINATES']
    """
    rows = table.num_rows
    has = set(table.column_names)

    def column(name: str) -> pa.ChunkedArray | None:
        sources = mapping.sources_of(name)
        return table.column(sources[0]) if sources and sources[0] in has else None

    ids, index = texts([table.column(s) for s in mapping.sources_of("cell_id")], rows, mapping.cell_separator, where, "cell_id")
    number = {name: floats(column(name), rows, where, name) for name in ("latitude", "longitude", *_NUMBERS)}
    direction = integers(column("directionality"), rows, where, "directionality")
    words, word = texts([c for c in [column("technology")] if c is not None], rows, "", where, "technology")
    start, bad_start = _dates(column("valid_date_start"), rows, timezone, where, "valid_date_start")
    end, bad_end = _dates(column("valid_date_end"), rows, timezone, where, "valid_date_end")
    latitude, longitude = number["latitude"], number["longitude"]
    backwards = np.array([s is not None and e is not None and e < s for s, e in zip(start, end, strict=True)], np.bool_)

    verdict = np.zeros(rows, np.uint8)
    unreadable = bad_start | bad_end | (direction == BAD) | (direction == OUT) | backwards
    for name in _NUMBERS:
        unreadable |= number[name] == -np.inf
    verdict[unreadable] = Verdict.CANNOT_PARSE__ROW
    verdict[(np.abs(latitude) > 90) | (np.abs(longitude) > 180)] = Verdict.OUT_OF_RANGE__COORDINATES
    verdict[(latitude == -np.inf) | (longitude == -np.inf)] = Verdict.CANNOT_PARSE__COORDINATES
    verdict[index < 0] = Verdict.NULL_VALUE__CELL_ID

    def numbers_of(name: str) -> list[float | None]:
        return [None if np.isnan(v) else float(v) for v in number[name]]

    facts = zip(
        start,
        end,
        *(numbers_of(name) for name in ("latitude", "longitude")),
        [None if v == NULL else int(v) for v in direction],
        *(numbers_of(name) for name in _NUMBERS),
        [words[i] if i >= 0 else None for i in word],
        strict=True,
    )
    accepted = [(ids[i], fact) for i, fact, v in zip(index.tolist(), facts, verdict, strict=True) if v == 0]
    return Topology(accepted, verdict)


_NUMBERS: Final = ("azimuth_angle", "horizontal_beam_width", "power", "range")


def same_table(a: pa.Table, b: pa.Table) -> bool:
    """Whether two tables hold the same rows in the same order; NaN equals NaN."""
    return (
        a.num_rows == b.num_rows
        and a.column_names == b.column_names
        and all(
            bool(
                pc.all(
                    pc.or_(pc.equal(x, y).fill_null(False), pc.and_(pc.is_null(x, nan_is_null=True), pc.is_null(y, nan_is_null=True)))
                ).as_py()
            )
            if a.num_rows
            else True
            for x, y in zip(a.columns, b.columns, strict=True)
        )
    )
