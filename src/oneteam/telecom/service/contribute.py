"""What a carrier's own subscribers contribute to a Query: the rows that the privacy gate asks for.

Daily measures come from the kept contributions of each day (`oneteam.telecom.service.cache`), so that only new days are computed; the
answer to a Query is kept in memory, for as long as the dataset stays as it is. Codes that the Agreement's public domains do not name are
outside, and do not count. A period without events is no error: whether there are any may not be told but through the gate.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa

from oneteam.core.clock import EPOCH
from oneteam.core.errors import DatasetCorruptError, FileUnreadableError, NothingFoundError
from oneteam.core.model import Agreement, Query
from oneteam.privacy.contributions import OUTSIDE, Contributions
from oneteam.privacy.levels import HOURS, measure_of
from oneteam.store.tables import MANIFEST
from oneteam.telecom.measures.inputs import Period
from oneteam.telecom.measures.measure import Key, KeyKind, Measure, State
from oneteam.telecom.service.cache import DailyCache, ranges
from oneteam.telecom.service.measure import measures_named, run_measures, zone_codes
from oneteam.telecom.service.source import Source

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Index = NDArray[np.int32]

MEMORY_BYTES: Final = 512 * 1024 * 1024
"""Of answers that are kept."""
_ATTEMPTS: Final = 3


def source(dataset_folder: Path) -> Callable[[Query, Agreement], Contributions]:
    """Contributions to Queries from one telecom dataset.

    Args:
        dataset_folder: as `oneteam telecom ingest` wrote it.

    Returns:
        a function that may be called by several threads.
    """
    return Contributor(dataset_folder)


class Contributor:
    """Contributions from one dataset; see `source`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self._stamp: tuple[int, int] | None = None
        self._source: Source | None = None
        self._codes: Sequence[str] = ()
        self._kept: OrderedDict[str, Contributions] = OrderedDict()

    def __call__(self, query: Query, agreement: Agreement) -> Contributions:
        """Contributions of every subscriber over the Query's period, in order of subscribers.

        Args:
            query: which measure, dimensions, filters and days.
            agreement: names the public domains.

        Raises:
            UnknownValueError: a measure that this part does not have.
            NothingFoundError: the folder holds no dataset.
        """
        with self._lock:
            self._refresh()
            # Cost and levels change nothing here.
            name = query.model_copy(update={"rho": 1.0, "levels": ("*",), "owners": ("all",)}).model_dump_json()
            found = self._kept.pop(name, None)
            if found is None:
                found = self._contributions(query, agreement)
            self._kept[name] = found
            while len(self._kept) > 1 and sum(_size(each) for each in self._kept.values()) > MEMORY_BYTES:
                self._kept.popitem(last=False)
            return found

    def _refresh(self) -> None:
        """Forget everything when the dataset has changed."""
        try:
            status = (self._folder / MANIFEST).stat()
        except FileNotFoundError as err:
            hint = "Make one with `oneteam telecom ingest SRC --out DIR`."
            raise NothingFoundError(f"{self._folder}: no dataset here", hint=hint) from err
        stamp = (status.st_mtime_ns, status.st_ino)
        if stamp != self._stamp:
            self._kept.clear()
            self._source = Source.open(self._folder)
            self._codes = zone_codes(self._source)
            self._stamp = stamp

    def _contributions(self, query: Query, agreement: Agreement) -> Contributions:
        (measure,) = measures_named([query.measure])
        agreed = measure_of(agreement, query.measure)
        rows = self._rows(measure, query.first_day, query.last_day)
        keep = np.ones(rows.num_rows, np.bool_)
        for name, codes in query.filters.items():
            keep &= self._places(measure, name, rows, {code: i for i, code in enumerate(codes)}, query) != OUTSIDE
        keys: dict[str, Index] = {}
        for name in query.dimensions:
            # Days and hours have built-in domains.
            known = None if name in {"day", "hour"} else agreement.dimensions.get(agreed.domains.get(name, name))
            domain = {} if known is None else {code: place for place, code in enumerate(known.codes)}
            keys[name] = self._places(measure, name, rows, domain, query)
        subscriber, value = rows["subscriber"].to_numpy(), rows["value"].to_numpy()
        if not keep.all():
            subscriber, value, keys = subscriber[keep], value[keep], {name: column[keep] for name, column in keys.items()}
        # Compared, not subtracted: the difference of two 64-bit numbers may not fit into one.
        if (subscriber[1:] < subscriber[:-1]).any():
            order = np.argsort(subscriber, kind="stable")
            subscriber, value, keys = subscriber[order], value[order], {name: column[order] for name, column in keys.items()}
        return Contributions(subscriber, keys, value)

    def _rows(self, measure: Measure, first: date, last: date) -> pa.Table:
        """``subscriber``, the measure's keys, ``value``."""
        assert self._source is not None, "refreshed"
        if not measure.is_daily:
            return self._computed(measure, first, last)
        cache = DailyCache(self._source)
        period = Period(first, last)
        for attempt in range(_ATTEMPTS):
            for part in ranges(cache.missing(measure, "contributions", period)):
                cache.keep(measure, "contributions", part, self._computed(measure, part.first, part.last))
            try:
                kept = cache.read(measure, "contributions", period)
            except (FileUnreadableError, DatasetCorruptError):
                # Another process, which sees a newer state of the dataset, has replaced a day meanwhile.
                if attempt == _ATTEMPTS - 1:
                    raise
            else:
                return kept if "subscriber" in kept.column_names else _no_rows(measure)
        raise AssertionError("the last attempt returns or raises")

    def _computed(self, measure: Measure, first: date, last: date) -> pa.Table:
        try:
            answer = run_measures(self._folder, [measure.name], first=first, last=last, contributions=True, keep=False)[measure.name]
        except NothingFoundError:
            return _no_rows(measure)
        assert answer.contributions is not None, "contributions were asked for"
        return answer.contributions

    def _places(self, measure: Measure, name: str, rows: pa.Table, domain: Mapping[str, int], query: Query) -> Index:
        """The place in a domain of every row's code, `OUTSIDE` where it has none."""
        kind = next((key.kind for key in measure.keys if key.name == name), None)
        if kind is None:
            return np.full(rows.num_rows, OUTSIDE, np.int32)
        column = rows[name].combine_chunks()
        if kind == "country":
            return _of_text(column, domain)
        number = column.to_numpy(zero_copy_only=False)
        low, codes = self._codes_of(kind, number, query)
        return _looked_up(number, [domain.get(code, OUTSIDE) for code in codes] if domain else range(len(codes)), low)

    def _codes_of(self, kind: KeyKind, number: NDArray[np.int32], query: Query) -> tuple[int, Sequence[str]]:
        """The codes of consecutive numbers as a Query names them, and the first number."""
        match kind:
            case "day":
                return (query.first_day - EPOCH).days, [day.isoformat() for day in _days(query)]
            case "hour":
                return 0, HOURS
            case "month":
                low, high = (int(number.min()), int(number.max())) if len(number) else (0, -1)
                return low, [f"{month // 12:04d}-{month % 12 + 1:02d}" for month in range(low, high + 1)]
            case "state":
                return 0, [state.name.lower() for state in State]
            case _:
                return 0, self._codes


def _looked_up(number: NDArray[np.int32], places: Sequence[int], low: int = 0) -> Index:
    """``places[number - low]``, `OUTSIDE` beyond both ends."""
    table = np.array([*places, OUTSIDE], np.int32)
    at = number.astype(np.int64) - low
    return table[np.where((at < 0) | (at >= len(places)), len(places), at)]


def _of_text(column: pa.Array, domain: Mapping[str, int]) -> Index:
    coded = column.dictionary_encode()
    places = [domain.get(code, OUTSIDE) for code in coded.dictionary.to_pylist()]
    return _looked_up(np.asarray(coded.indices.fill_null(-1).to_numpy(zero_copy_only=False), np.int32), places)


def _days(query: Query) -> list[date]:
    return [date.fromordinal(n) for n in range(query.first_day.toordinal(), query.last_day.toordinal() + 1)]


def _no_rows(measure: Measure) -> pa.Table:
    def column(key: Key) -> pa.Array:
        return pa.array([], pa.string() if key.kind == "country" else pa.int32())

    none = pa.array([], pa.int64())
    return pa.table({"subscriber": none, **{key.name: column(key) for key in measure.keys}, "value": none})


def _size(rows: Contributions) -> int:
    return int(rows.subscriber.nbytes + rows.value.nbytes + sum(column.nbytes for column in rows.keys.values()))
