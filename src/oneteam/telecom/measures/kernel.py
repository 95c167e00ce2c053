"""The compiled hot path: presence, time segments, home and trips of a range of subscribers in one pass over their events.

Day files are sorted by (subscriber, timestamp, cell), so one subscriber's month is read by walking one pointer per day: nothing is
hashed, sorted or joined. The definitions are those of `segments`, `presence`, `residence` and `mobility`; the contract tests hold the
two against each other, to the bit.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from oneteam.stats.compiled import compiled
from oneteam.telecom.measures.measure import MeasureSettings

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Ints = NDArray[np.int64]
    Int = int | np.int64

KINDS: Final = ("presence", "od", "night_dwell", "home", "active_days")
"""Measures whose contributions `run_slice` returns, in order. Flat keys: ``home`` is (month, zone), the others as in the catalogue."""

DENSE_CELLS: Final = 48_000_000
"""Largest result table that is accumulated as a dense array; a larger one is collected as contributions and summed by sorting."""

_UNKNOWN, _STAY, _MOVE = 0, 1, 2
NIGHT_S: Final = 21_600
DAY_S: Final = 86_400


@dataclass(frozen=True)
class Wanted:
    """What to compute; ``emit_*`` additionally returns every subscriber's contributions."""

    presence: bool = False
    od: bool = False
    night: bool = False
    segments: bool = False
    emit_presence: bool = False
    emit_od: bool = False
    emit_night: bool = False
    emit_active: bool = False


@dataclass(frozen=True)
class Frame:
    """The shape of all keys.

    Args:
        first_day: first day with results [days since 1970-01-01].
        months: month index (0-based within the period) of each day, shape (days,).
        zone_count: number of zones.
    """

    first_day: int
    months: Ints
    zone_count: int

    @property
    def day_count(self) -> int:
        """Days with results."""
        return len(self.months)

    @property
    def month_count(self) -> int:
        """Months touched."""
        return int(self.months[-1]) + 1


@dataclass
class Totals:
    """Dense sums of one worker; add them up over workers with `+=`. Shapes are flat in the order of the key."""

    presence: NDArray[np.int32]  # (day, hour, zone)
    od_trips: NDArray[np.int32]  # (day, origin, destination)
    od_travellers: NDArray[np.int32]
    segment_s: Ints  # (day, state, zone + 1)
    segment_subscribers: NDArray[np.int32]
    night_s: Ints  # (day, zone)
    night_subscribers: NDArray[np.int32]
    home: Ints  # (month, zone)
    active_hour: Ints  # (day, hour)
    active_day: Ints
    active_month: Ints

    @staticmethod
    def zeros(frame: Frame, wanted: Wanted) -> Totals:
        """All sums at zero; arrays that are not wanted, or would be too large, are empty."""
        d, z, m = frame.day_count, frame.zone_count, frame.month_count
        presence = d * 24 * z * wanted.presence
        od = d * z * z * wanted.od
        segments = d * 3 * (z + 1) * wanted.segments
        night = d * z * wanted.night

        def array(size: int, dtype: Any) -> Any:
            return np.zeros(size if size <= DENSE_CELLS else 0, dtype)

        return Totals(
            array(presence, np.int32),
            array(od, np.int32),
            array(od, np.int32),
            np.zeros(segments, np.int64),
            np.zeros(segments, np.int32),
            array(night, np.int64),
            array(night, np.int32),
            np.zeros(m * z * wanted.night, np.int64),
            np.zeros(d * 24, np.int64),
            np.zeros(d, np.int64),
            np.zeros(m, np.int64),
        )

    def add(self, other: Totals) -> None:
        """Add another worker's sums."""
        for name in self.__dataclass_fields__:
            getattr(self, name)[...] += getattr(other, name)


@dataclass
class Contributions:
    """Contributions as parallel arrays: subscriber, flat key, value; sorted by (subscriber, key)."""

    subscriber: Ints = field(default_factory=lambda: np.empty(0, np.int64))
    key: Ints = field(default_factory=lambda: np.empty(0, np.int64))
    value: Ints = field(default_factory=lambda: np.empty(0, np.int64))


@dataclass(frozen=True)
class Batch:
    """The events of a range of subscribers: day files one after the other.

    Args:
        subscriber: shape (n,).
        timestamp_us: UTC microseconds since 1970, shape (n,).
        cell: shape (n,).
        starts: where each day file begins, and n at the end, shape (files + 1,).
        version: row of the zone lookup in force in each day file, shape (files,).
    """

    subscriber: Ints
    timestamp_us: Ints
    cell: NDArray[np.int32]
    starts: Ints
    version: Ints


def settings_array(settings: MeasureSettings) -> Ints:
    """The settings that the kernel reads, in its order."""
    return np.array(
        [
            settings.min_stay_s,
            settings.max_gap_stay_s,
            settings.max_gap_move_s,
            settings.pad_s,
            settings.max_gap_trip_s,
            settings.max_gap_unknown_s - 2 * settings.pad_s,
        ],
        np.int64,
    )


def slice_bounds(batch: Batch, parts: int) -> list[tuple[Ints, Ints]]:
    """Cut a batch into ranges of subscribers of about equal size: (from, to) row of each day file."""
    files = len(batch.starts) - 1
    days = [batch.subscriber[batch.starts[k] : batch.starts[k + 1]] for k in range(files)]
    biggest = max(days, key=len)
    cuts = [biggest[len(biggest) * i // parts] for i in range(1, parts)] if len(biggest) >= parts else []
    edges = [batch.starts[:-1].astype(np.int64)]
    edges += [np.array([np.searchsorted(day, cut) for day in days], np.int64) + batch.starts[:-1] for cut in cuts]
    edges.append(batch.starts[1:].astype(np.int64))
    return list(pairwise(edges))


def run_slice(
    batch: Batch,
    bounds: tuple[Ints, Ints],
    zones: NDArray[np.int32],
    offsets: tuple[tuple[int, int], ...],
    frame: Frame,
    settings: MeasureSettings,
    wanted: Wanted,
    totals: Totals,
) -> tuple[Contributions, ...]:
    """Process a range of subscribers; releases the GIL.

    Args:
        batch: the events.
        bounds: one entry of `slice_bounds`.
        zones: zone by (version, cell), -1 for none.
        offsets: UTC offsets, as in `Inputs`.
        frame: shape of the keys.
        settings: the numbers.
        wanted: what to compute.
        totals: where dense sums are added, owned by the calling thread.

    Returns:
        Contributions to the measures of `KINDS`, in that order; empty where not wanted.
    """
    need_od = wanted.emit_od or (wanted.od and not len(totals.od_trips))
    need_night = wanted.emit_night or (wanted.night and not len(totals.night_s))
    need_presence = wanted.emit_presence or (wanted.presence and not len(totals.presence))
    kinds = (wanted.presence, wanted.od, wanted.night, wanted.segments)
    flags = np.array([*kinds, need_presence, need_od, need_night, wanted.emit_active])
    out = _process(
        batch.subscriber,
        batch.timestamp_us,
        batch.cell,
        bounds[0].copy(),
        bounds[1],
        zones,
        batch.version,
        np.array([since for since, _ in offsets], np.int64),
        np.array([offset for _, offset in offsets], np.int64),
        frame.first_day,
        frame.months,
        frame.zone_count,
        settings_array(settings),
        flags,
        totals.presence,
        totals.od_trips,
        totals.od_travellers,
        totals.segment_s,
        totals.segment_subscribers,
        totals.night_s,
        totals.night_subscribers,
        totals.home,
        totals.active_hour,
        totals.active_day,
        totals.active_month,
    )
    return tuple(Contributions(*part) for part in out)


@compiled
def _offset_at(t: Int, since: Ints, offset: Ints) -> int:
    value: int = offset[0]
    for i in range(1, len(since)):
        if t >= since[i]:
            value = offset[i]
    return value


@compiled
def _grown(array: Ints, needed: int) -> Ints:
    """The array itself when it has room, else a copy of at least twice the size."""
    if needed <= len(array):
        return array
    larger = np.empty(max(needed, 2 * len(array)), np.int64)
    larger[: len(array)] = array
    return larger


@compiled
def _sort_and_merge(keys: Ints, values: Ints, n: int) -> int:
    """Sort the first n (key, value) pairs by key and add the values of equal keys, in place; the new length."""
    if n <= 48:
        for i in range(1, n):
            key, value = keys[i], values[i]
            j = i - 1
            while j >= 0 and keys[j] > key:
                keys[j + 1], values[j + 1] = keys[j], values[j]
                j -= 1
            keys[j + 1], values[j + 1] = key, value
    else:
        order = np.argsort(keys[:n])
        keys[:n], values[:n] = keys[:n][order], values[:n][order]
    kept = 0
    for i in range(n):
        if kept and keys[kept - 1] == keys[i]:
            values[kept - 1] += values[i]
        else:
            keys[kept], values[kept] = keys[i], values[i]
            kept += 1
    return kept


@compiled
def _cut_into_days(
    start: Int,
    end: Int,
    zone: int,
    state: int,
    since: Ints,
    offset: Ints,
    first_day: int,
    days: int,
    zone_count: int,
    keys: Ints,
    values: Ints,
    n: int,
    night: bool,
) -> int:
    """Append a segment's seconds by local day: of the night with key (day, zone), else with key (day, state, zone + 1)."""
    local_start = start + _offset_at(start, since, offset)
    local_end = end + _offset_at(end, since, offset)
    if local_end <= local_start:
        return n
    for day in range(local_start // DAY_S, (local_end - 1) // DAY_S + 1):
        d = day - first_day
        if d < 0 or d >= days:
            continue
        from_s = max(local_start - day * DAY_S, 0)
        to_s = min(local_end - day * DAY_S, DAY_S)
        if night:
            if from_s < NIGHT_S:
                keys[n], values[n] = d * zone_count + zone, min(to_s, NIGHT_S) - from_s
                n += 1
        else:
            keys[n], values[n] = (d * 3 + state) * (zone_count + 1) + zone + 1, to_s - from_s
            n += 1
    return n


@compiled
def _count_homes(
    keys: Ints, values: Ints, n: int, months: Ints, zone_count: int, total: Ints, nights: Ints, home: Ints, found: Ints
) -> int:
    """From one subscriber's night dwell, sorted by (day, zone), the zone of longest dwell in each month; how many were found.

    ``total`` and ``nights`` (per zone) are zero on entry and on return; ``found`` receives keys month * zone_count + zone.
    """
    count = 0
    i = 0
    while i < n:
        month = months[keys[i] // zone_count]
        j = i
        while j < n and months[keys[j] // zone_count] == month:
            zone = keys[j] % zone_count
            total[zone] += values[j]
            nights[zone] += 1
            j += 1
        best = keys[i] % zone_count
        for k in range(i, j):
            zone = keys[k] % zone_count
            if total[zone] > total[best] or (
                total[zone] == total[best] and (nights[zone] > nights[best] or (nights[zone] == nights[best] and zone < best))
            ):
                best = zone
        for k in range(i, j):
            zone = keys[k] % zone_count
            total[zone] = 0
            nights[zone] = 0
        home[month * zone_count + best] += 1
        found[count] = month * zone_count + best
        count += 1
        i = j
    return count


@compiled
def _process(  # noqa: C901, PLR0912, PLR0915 - one pass is the point; numba pays for every array that crosses a call
    subscriber: Ints,
    timestamp_us: Ints,
    cell: NDArray[np.int32],
    at: Ints,
    until: Ints,
    zones: NDArray[np.int32],
    version: Ints,
    since: Ints,
    offset: Ints,
    first_day: int,
    months: Ints,
    zone_count: int,
    settings: Ints,
    flags: NDArray[np.bool_],
    presence: NDArray[np.int32],
    od_trips: NDArray[np.int32],
    od_travellers: NDArray[np.int32],
    segment_s: Ints,
    segment_subscribers: NDArray[np.int32],
    night_s: Ints,
    night_subscribers: NDArray[np.int32],
    home: Ints,
    active_hour: Ints,
    active_day: Ints,
    active_month: Ints,
) -> tuple[tuple[Ints, Ints, Ints], ...]:
    min_stay, gap_stay, gap_move, pad, gap_trip, longest_unknown = settings
    want_presence, want_od, want_night, want_segments, emit_presence, emit_od, emit_night, emit_active = flags
    files, days, cells = len(at), len(months), zones.shape[1]
    seen = np.zeros(zone_count, np.int64)
    visit = 0
    night_total, night_count = np.zeros(zone_count, np.int64), np.zeros(zone_count, np.int64)
    found_home = np.empty(months[-1] + 1, np.int64)
    end_of = np.empty(files, np.int64)

    # One subscriber's keys and values, before they are merged.
    od_k, od_v = np.empty(256, np.int64), np.empty(256, np.int64)
    ni_k, ni_v = np.empty(256, np.int64), np.empty(256, np.int64)
    se_k, se_v = np.empty(256, np.int64), np.empty(256, np.int64)
    # What is handed back: subscriber, key, value.
    p_s, p_k, p_n = np.empty(16, np.int64), np.empty(16, np.int64), 0
    o_s, o_k, o_v, o_n = np.empty(16, np.int64), np.empty(16, np.int64), np.empty(16, np.int64), 0
    n_s, n_k, n_v, n_n = np.empty(16, np.int64), np.empty(16, np.int64), np.empty(16, np.int64), 0
    h_s, h_k, h_n = np.empty(16, np.int64), np.empty(16, np.int64), 0
    a_s, a_k, a_n = np.empty(16, np.int64), np.empty(16, np.int64), 0

    while True:
        user, some = np.int64(0), False
        for k in range(files):
            if at[k] < until[k] and (not some or subscriber[at[k]] < user):
                user, some = subscriber[at[k]], True
        if not some:
            break
        own = 0
        for k in range(files):
            i = at[k]
            while i < until[k] and subscriber[i] == user:
                i += 1
            end_of[k] = i
            own += i - at[k]
        # A silence of many days is one unknown segment cut into that many days.
        room = 3 * own + days + 8
        od_k, od_v = _grown(od_k, room), _grown(od_v, room)
        ni_k, ni_v = _grown(ni_k, room), _grown(ni_v, room)
        se_k, se_v = _grown(se_k, room), _grown(se_v, room)
        if emit_presence:
            p_s, p_k = _grown(p_s, p_n + own), _grown(p_k, p_n + own)
        if emit_active:
            a_s, a_k = _grown(a_s, a_n + days), _grown(a_k, a_n + days)
        od_n = ni_n = se_n = 0
        hour_now = day_now = month_now = -1
        zone = -1  # of the run; -1 before the first
        first = last = start = end = next_start = np.int64(0)
        from_zone, left = -1, np.int64(0)  # the previous stay

        k = 0
        while k <= files:
            # One turn more than there are files, to close the last run.
            closing = k == files
            i = 0 if closing else at[k]
            stop = 1 if closing else end_of[k]
            row = 0 if closing else version[k]
            while i < stop:
                if closing:
                    if zone < 0:
                        break
                    end, next_start, t, z = last + pad, last + pad, last, -1
                else:
                    z = zones[row, cell[i]] if cell[i] < cells else -1
                    if z < 0:
                        i += 1
                        continue
                    t = timestamp_us[i] // 1_000_000
                    local = t + _offset_at(t, since, offset)
                    d = local // DAY_S - first_day
                    if 0 <= d < days:
                        slot = d * 24 + (local % DAY_S) // 3_600
                        if slot != hour_now:
                            hour_now = slot
                            visit += 1
                            active_hour[slot] += 1
                            if d != day_now:
                                day_now = d
                                active_day[d] += 1
                                if emit_active:
                                    a_s[a_n], a_k[a_n] = user, d
                                    a_n += 1
                                if months[d] != month_now:
                                    month_now = months[d]
                                    active_month[month_now] += 1
                        if want_presence and seen[z] != visit:
                            seen[z] = visit
                            key = slot * zone_count + z
                            if len(presence):
                                presence[key] += 1
                            if emit_presence:
                                p_s[p_n], p_k[p_n] = user, key
                                p_n += 1
                    i += 1
                    if zone < 0:
                        zone, first, last, start = z, t, t, t - pad
                        continue
                    if z == zone and t - last <= gap_stay:
                        last = t
                        continue
                    if t - last <= gap_move:
                        end = next_start = t
                    else:
                        end, next_start = last + pad, t - pad

                # The run [start, end) in `zone` is complete.
                is_stay = end - start >= min_stay
                if want_night:
                    ni_n = _cut_into_days(start, end, zone, 0, since, offset, first_day, days, zone_count, ni_k, ni_v, ni_n, True)
                if want_segments:
                    state = _STAY if is_stay else _MOVE
                    se_n = _cut_into_days(start, end, zone, state, since, offset, first_day, days, zone_count, se_k, se_v, se_n, False)
                    if end < next_start <= end + longest_unknown:
                        se_n = _cut_into_days(
                            end, next_start, -1, _UNKNOWN, since, offset, first_day, days, zone_count, se_k, se_v, se_n, False
                        )
                if want_od and is_stay:
                    if from_zone >= 0 and from_zone != zone and start - left <= gap_trip:
                        d = (first + _offset_at(first, since, offset)) // DAY_S - first_day
                        if 0 <= d < days:
                            od_k[od_n], od_v[od_n] = (d * zone_count + from_zone) * zone_count + zone, 1
                            od_n += 1
                    from_zone, left = zone, end
                zone, first, last, start = z, t, t, next_start
                if closing:
                    break
            k += 1

        for k in range(files):
            at[k] = end_of[k]
        if od_n:
            od_n = _sort_and_merge(od_k, od_v, od_n)
            if len(od_trips):
                for j in range(od_n):
                    od_trips[od_k[j]] += od_v[j]
                    od_travellers[od_k[j]] += 1
            if emit_od:
                o_s, o_k, o_v = _grown(o_s, o_n + od_n), _grown(o_k, o_n + od_n), _grown(o_v, o_n + od_n)
                o_s[o_n : o_n + od_n] = user
                o_k[o_n : o_n + od_n] = od_k[:od_n]
                o_v[o_n : o_n + od_n] = od_v[:od_n]
                o_n += od_n
        if ni_n:
            ni_n = _sort_and_merge(ni_k, ni_v, ni_n)
            if len(night_s):
                for j in range(ni_n):
                    night_s[ni_k[j]] += ni_v[j]
                    night_subscribers[ni_k[j]] += 1
            found = _count_homes(ni_k, ni_v, ni_n, months, zone_count, night_total, night_count, home, found_home)
            if emit_night:
                n_s, n_k, n_v = _grown(n_s, n_n + ni_n), _grown(n_k, n_n + ni_n), _grown(n_v, n_n + ni_n)
                n_s[n_n : n_n + ni_n] = user
                n_k[n_n : n_n + ni_n] = ni_k[:ni_n]
                n_v[n_n : n_n + ni_n] = ni_v[:ni_n]
                n_n += ni_n
                h_s, h_k = _grown(h_s, h_n + found), _grown(h_k, h_n + found)
                h_s[h_n : h_n + found] = user
                h_k[h_n : h_n + found] = found_home[:found]
                h_n += found
        if se_n:
            se_n = _sort_and_merge(se_k, se_v, se_n)
            for j in range(se_n):
                segment_s[se_k[j]] += se_v[j]
                segment_subscribers[se_k[j]] += 1

    ones = np.ones(max(p_n, h_n, a_n), np.int64)
    return (
        (p_s[:p_n], p_k[:p_n], ones[:p_n]),
        (o_s[:o_n], o_k[:o_n], o_v[:o_n]),
        (n_s[:n_n], n_k[:n_n], n_v[:n_n]),
        (h_s[:h_n], h_k[:h_n], ones[:h_n]),
        (a_s[:a_n], a_k[:a_n], ones[:a_n]),
    )
