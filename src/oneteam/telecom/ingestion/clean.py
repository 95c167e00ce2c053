"""Validate and normalise one batch of a carrier's rows; pure: a table in, arrays and verdicts out.

`prepare` turns columns of any accepted type into plain arrays, `judge` gives every row one verdict: accepted for one of the tables
``events``, ``inbound``, ``outbound``, or rejected for the first reason that holds, in the order of `Verdict`. The split between the three
tables is the domain rule of the multi-MNO pipeline: a PLMN outside the own country means an own subscriber abroad; else the home MCC tells
own subscribers from foreign ones. All codes of the own country count as own.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from oneteam.stats.compiled import compiled
from oneteam.stats.hashing import siphash24
from oneteam.telecom.ingestion.columns import NULL, OUT, floats, integers, stamps, texts, user_ids
from oneteam.telecom.ingestion.mapping import Mapping, zone_of
from oneteam.telecom.ingestion.mcc import countries_by_mcc, country_number
from oneteam.telecom.ingestion.timestamps import LAST_DAY, NO_OFFSET, offset_table, utc_offsets_min


class Verdict(IntEnum):
    """What becomes of a row; the name before the first ``__`` is the reason in reports, the rest the field."""

    ACCEPTED = 0
    NULL_VALUE__USER_ID = 1
    NULL_VALUE__TIMESTAMP = 2
    CANNOT_PARSE__TIMESTAMP = 3
    OUT_OF_RANGE__TIMESTAMP = 4
    CANNOT_PARSE__MCC = 5
    CANNOT_PARSE__MNC = 6
    CANNOT_PARSE__PLMN = 7
    OUT_OF_RANGE__MCC = 8
    OUT_OF_RANGE__MNC = 9
    OUT_OF_RANGE__PLMN = 10
    OUT_OF_RANGE__COUNTRY = 11
    NO_MNO_INFO = 12
    CANNOT_PARSE__COORDINATES = 13
    OUT_OF_RANGE__COORDINATES = 14
    NO_LOCATION = 15
    OUT_OF_PERIOD = 16
    UNKNOWN_CELL = 17
    CELL_NOT_VALID = 18
    IMPOSSIBLE_SPEED = 19
    CANNOT_PARSE__ROW = 20
    NULL_VALUE__CELL_ID = 21

    @property
    def reason(self) -> str:
        """The reason, as it stands in reports and in the quarantine.

        >>> Verdict.NULL_VALUE__USER_ID.reason, Verdict.NULL_VALUE__USER_ID.field
        ('null_value', 'user_id')
        """
        return self.name.split("__")[0].lower()

    @property
    def field(self) -> str:
        """The field that is to blame, empty when it is the row as a whole."""
        return self.name.partition("__")[2].lower()


class Target(IntEnum):
    """The table a row belongs to."""

    EVENTS = 0
    INBOUND = 1
    OUTBOUND = 2


@dataclass(frozen=True)
class Rules:
    """What decides about rows, apart from the rows themselves.

    Args:
        timezone: zone of the local day.
        naive_timezone: zone of stamps without offset; None refuses them.
        mcc: own mobile country code.
        first_day: first accepted local day, as days since 1970.
        last_day: last accepted local day.
        check_cells: reject events of cells that the topology does not know, or not on that day.
    """

    timezone: str = "Asia/Seoul"
    naive_timezone: str | None = None
    mcc: int = 450
    first_day: int = 0
    last_day: int = LAST_DAY - 1
    check_cells: bool = False


@dataclass(frozen=True)
class Prepared:
    """One batch as arrays of shape (n,).

    Args:
        rows: n.
        first_row: number of the batch's first row within its file, from 1.
        table: the rows as they were read, for the quarantine.
        user_ids: binary.
        has_user: the user_id is neither null nor empty.
        subscriber: SipHash of user_ids.
        stamp: UTC [us].
        stamp_state: `StampState`.
        offset_min: UTC offset [min] where the row was written down.
        mcc: of the home network, or NULL, BAD, OUT.
        mnc: likewise.
        plmn: likewise, of the visited network.
        country: `country_number` of the country column, NULL when there is none, OUT when it is not two capital letters.
        cell_ids: distinct texts.
        cell_index: into cell_ids, NULL without.
        latitude: degrees, NaN without, -inf where the text is no number.
        longitude: likewise.
        event_types: distinct texts.
        event_type: into event_types, NULL without.
    """

    rows: int
    first_row: int
    table: pa.Table
    user_ids: pa.Array
    has_user: NDArray[np.bool_]
    subscriber: NDArray[np.int64]
    stamp: NDArray[np.int64]
    stamp_state: NDArray[np.uint8]
    offset_min: NDArray[np.int16]
    mcc: NDArray[np.int32]
    mnc: NDArray[np.int32]
    plmn: NDArray[np.int32]
    country: NDArray[np.int16]
    cell_ids: list[str]
    cell_index: NDArray[np.int32]
    latitude: NDArray[np.float64]
    longitude: NDArray[np.float64]
    event_types: list[str]
    event_type: NDArray[np.int32]


@dataclass(frozen=True)
class KnownCells:
    """What is known of cells, for `judge`: validity periods of cell c are rows start[c] to start[c + 1].

    ``known`` says whether the topology lists the cell at all; first and last are local days, both inclusive.
    """

    known: NDArray[np.bool_] = field(default_factory=lambda: np.zeros(0, np.bool_))
    start: NDArray[np.int64] = field(default_factory=lambda: np.zeros(1, np.int64))
    first: NDArray[np.int32] = field(default_factory=lambda: np.zeros(0, np.int32))
    last: NDArray[np.int32] = field(default_factory=lambda: np.zeros(0, np.int32))


@dataclass(frozen=True)
class Judged:
    """The verdicts on one batch, arrays of shape (n,): `Verdict`, `Target`, local day (days since 1970)."""

    verdict: NDArray[np.uint8]
    target: NDArray[np.uint8]
    day: NDArray[np.int32]


def prepare(table: pa.Table, mapping: Mapping, rules: Rules, *, where: str, first_row: int = 1) -> Prepared:
    """Turn the columns of one batch into arrays.

    Args:
        table: rows as read, with the file's own column names.
        mapping: what the columns mean.
        rules: settings.
        where: the file, for errors.
        first_row: number of the first row within the file, for errors and the quarantine.

    Raises:
        WrongTypeError: a column has a type that cannot be read as what it should be.
        NaiveTimestampError: stamps without offset and no zone given.

    >>> rows = pa.table({"u": ["a"], "t": ["2020-02-01T00:00:00Z"], "c": ["x"]})
    >>> batch = prepare(rows, Mapping(columns={"user_id": "u", "timestamp": "t", "cell_id": "c"}), Rules(), where="x.csv")
    >>> batch.stamp.tolist(), batch.cell_ids
    ([1580515200000000], ['x'])
    """
    rows = table.num_rows
    has = set(table.column_names)

    def column(name: str) -> pa.ChunkedArray | None:
        sources = mapping.sources_of(name)
        return table.column(sources[0]) if sources and sources[0] in has else None

    def numbers(name: str, constant: int | None = None) -> NDArray[np.int32]:
        values = integers(column(name), rows, where, (*mapping.sources_of(name), name)[0])
        return np.full(rows, constant, np.int32) if constant is not None and column(name) is None else values

    users = user_ids(table.column(mapping.sources_of("user_id")[0]), where, mapping.sources_of("user_id")[0])
    stamp, offset_min, state = stamps(table.column(mapping.sources_of("timestamp")[0]), mapping, rules.naive_timezone, where, first_row)
    if (written := column("utc_offset_min")) is not None:
        given = floats(written, rows, where, "utc_offset_min")
        offset_min = np.where(np.abs(given) <= 960, given, NO_OFFSET).astype(np.int16)
    if mapping.kind == "outbound":
        utc_offsets_min(stamp, *offset_table(rules.timezone), offset_min)
    cell_columns = [table.column(source) for source in mapping.sources_of("cell_id") if source in has]
    cell_ids, cell_index = texts(cell_columns, rows, mapping.cell_separator, where, "cell_id")
    kinds = column("event_type")
    event_types, event_type = texts([] if kinds is None else [kinds], rows, "", where, "event_type")
    own_mcc = rules.mcc if column("mcc") is None and mapping.kind == "events" and mapping.constants.mcc is None else mapping.constants.mcc
    lengths = pc.binary_length(users).fill_null(0)
    return Prepared(
        rows=rows,
        first_row=first_row,
        table=table,
        user_ids=users,
        has_user=lengths.to_numpy(zero_copy_only=False) > 0,
        subscriber=siphash24(users),
        stamp=stamp,
        stamp_state=state,
        offset_min=offset_min,
        mcc=numbers("mcc", own_mcc),
        mnc=numbers("mnc", mapping.constants.mnc),
        plmn=numbers("plmn"),
        country=_countries(column("country"), rows, where),
        cell_ids=cell_ids,
        cell_index=cell_index,
        latitude=floats(column("latitude"), rows, where, "latitude"),
        longitude=floats(column("longitude"), rows, where, "longitude"),
        event_types=event_types,
        event_type=event_type,
    )


def _countries(column: pa.ChunkedArray | None, rows: int, where: str) -> NDArray[np.int16]:
    words, index = texts([] if column is None else [column], rows, "", where, "country")
    numbers = [country_number(word.strip().upper()) for word in words]
    table = np.array([*(number if number >= 0 else OUT for number in numbers), NULL], np.int16)
    return table[index]


@compiled
def _mcc_of(plmn: int) -> int:
    if 10_000 <= plmn <= 99_999:
        return plmn // 100
    if 100_000 <= plmn <= 999_999:
        return plmn // 1_000
    return -1


@compiled
def _number_fault(value: int, low: int, high: int, bad_code: int, out_code: int) -> int:
    if value == -1:
        return 0
    if value == -2:
        return bad_code
    return out_code if value < low or value > high else 0


@compiled
def _numbers_fault(mcc: int, mnc: int, plmn: int) -> int:
    code = _number_fault(mcc, 1, 999, 5, 8)
    if code == 0:
        code = _number_fault(mnc, 0, 999, 6, 9)
    if code == 0:
        code = _number_fault(plmn, 10_000, 999_999, 7, 10)
    return code


@compiled
def _is_own(mcc: int, own: int, countries: NDArray[np.int16]) -> bool:
    """Whether a network is of the own country: some countries have several codes (310 to 316, 404 and 405, 440 and 441)."""
    return bool(mcc == own or (0 <= mcc < 1_000 and countries[mcc] >= 0 and countries[mcc] == countries[own]))


@compiled
def _roaming_network(visited: int, country: int, own: int, countries: NDArray[np.int16]) -> int:
    """Verdict on a row of an own subscriber abroad."""
    if _is_own(visited, own, countries):
        return 10
    if country < -1 or (country >= 0 and country == countries[own]):
        return 11
    known = country >= 0 or (visited >= 0 and countries[visited] >= 0)
    return 0 if known else 12


@compiled
def _network(kind: int, mcc: int, visited: int, country: int, own: int, countries: NDArray[np.int16]) -> tuple[int, int]:
    """(verdict, target) by the home and the visited network; 0 = events, 1 = inbound, 2 = outbound."""
    target = kind
    home = mcc if mcc >= 0 or kind != 1 else visited
    if kind == 0 and visited >= 0 and not _is_own(visited, own, countries):
        target = 2
    if target == 2:
        return _roaming_network(visited, country, own, countries), 2
    if home < 0:
        return 12, target
    foreign = not _is_own(home, own, countries)
    if kind == 1:
        return (0 if foreign else 8), 1
    return 0, (1 if foreign else 0)


@compiled
def _place(latitude: float, longitude: float, has_cell: bool) -> int:
    if latitude == -np.inf or longitude == -np.inf:
        return 13
    if np.abs(latitude) > 90.0 or np.abs(longitude) > 180.0:
        return 14
    if not has_cell and (np.isnan(latitude) or np.isnan(longitude)):
        return 15
    return 0


@compiled
def _cell_fault(
    cell: int, day: int, known: NDArray[np.bool_], start: NDArray[np.int64], first: NDArray[np.int32], last: NDArray[np.int32]
) -> int:
    if cell < 0 or cell >= known.shape[0] or not known[cell]:
        return 17
    for p in range(start[cell], start[cell + 1]):
        if first[p] <= day <= last[p]:
            return 0
    return 18


@compiled
def _judge_rows(
    kind: int,
    own: int,
    first_day: int,
    last_day: int,
    check_cells: bool,
    has_user: NDArray[np.bool_],
    stamp: NDArray[np.int64],
    state: NDArray[np.uint8],
    mcc: NDArray[np.int32],
    mnc: NDArray[np.int32],
    plmn: NDArray[np.int32],
    country: NDArray[np.int16],
    cell_index: NDArray[np.int32],
    latitude: NDArray[np.float64],
    longitude: NDArray[np.float64],
    codes: NDArray[np.int32],
    known: NDArray[np.bool_],
    period_start: NDArray[np.int64],
    period_first: NDArray[np.int32],
    period_last: NDArray[np.int32],
    countries: NDArray[np.int16],
    zone_starts: NDArray[np.int64],
    zone_offsets: NDArray[np.int64],
    verdict: NDArray[np.uint8],
    target: NDArray[np.uint8],
    day: NDArray[np.int32],
) -> None:
    at = 0
    low = np.int64(0)
    high = np.int64(0)
    for i in range(verdict.shape[0]):
        target[i] = kind
        day[i] = -1
        if not has_user[i]:
            verdict[i] = 1
            continue
        if state[i] != 0:
            verdict[i] = 1 + state[i]
            continue
        if stamp[i] < low or stamp[i] >= high:
            at = np.searchsorted(zone_starts, stamp[i], side="right") - 1
            low = zone_starts[at]
            high = zone_starts[at + 1] if at + 1 < zone_starts.shape[0] else np.int64(2**62)
        day[i] = (stamp[i] + zone_offsets[at]) // 86_400_000_000
        code = _numbers_fault(mcc[i], mnc[i], plmn[i])
        if code == 0:
            code, target[i] = _network(kind, mcc[i], _mcc_of(plmn[i]), country[i], own, countries)
        has_cell = cell_index[i] >= 0
        if code == 0 and target[i] != 2:
            code = _place(latitude[i], longitude[i], has_cell)
        if code == 0 and (day[i] < first_day or day[i] > last_day):
            code = 16
        if code == 0 and check_cells and has_cell and target[i] != 2:
            code = _cell_fault(codes[cell_index[i]], day[i], known, period_start, period_first, period_last)
        verdict[i] = code


_KIND: Final = {"events": Target.EVENTS, "inbound": Target.INBOUND, "outbound": Target.OUTBOUND}


def judge(batch: Prepared, kind: str, rules: Rules, codes: NDArray[np.int32], cells: KnownCells) -> Judged:
    """Give every row of a batch its verdict.

    Args:
        batch: from `prepare`.
        kind: the mapping's kind: events, inbound or outbound.
        rules: settings.
        codes: cell code of each of ``batch.cell_ids``, -1 where it has none yet; shape (len(cell_ids),).
        cells: what the topology knows.

    >>> rows = pa.table({"u": ["a", None], "t": ["2020-02-01T00:00:00Z"] * 2, "c": ["x", "x"]})
    >>> batch = prepare(rows, Mapping(columns={"user_id": "u", "timestamp": "t", "cell_id": "c"}), Rules(), where="x.csv")
    >>> [Verdict(v).name for v in judge(batch, "events", Rules(), np.zeros(1, np.int32), KnownCells()).verdict]
    ['ACCEPTED', 'NULL_VALUE__USER_ID']
    """
    zone_of(rules.timezone)
    verdict, target, day = np.empty(batch.rows, np.uint8), np.empty(batch.rows, np.uint8), np.empty(batch.rows, np.int32)
    _judge_rows(
        int(_KIND[kind]),
        rules.mcc,
        rules.first_day,
        rules.last_day,
        rules.check_cells,
        batch.has_user,
        batch.stamp,
        batch.stamp_state,
        batch.mcc,
        batch.mnc,
        batch.plmn,
        batch.country,
        batch.cell_index,
        batch.latitude,
        batch.longitude,
        codes if len(codes) else np.zeros(1, np.int32),
        cells.known,
        cells.start,
        cells.first,
        cells.last,
        countries_by_mcc(),
        *offset_table(rules.timezone),
        verdict,
        target,
        day,
    )
    return Judged(verdict, target, day)
