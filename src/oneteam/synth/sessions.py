"""When a phone makes events: bursts of records with very short gaps, few bursts a day, quiet days, and people who differ a hundredfold.

The numbers marked *fitted* describe the packet sessions of one carrier in August 2015 (967 users, 68,788 records): within a burst the gap
to the next record is lognormal with median 1 s and a spread of 2.45; bursts, parted by 10 minutes of silence, hold 9 records in the mean
but 3 in the median; users' rates are lognormal. The burstiness of all gaps, B = (sd - mean) / (sd + mean) (Goh and Barabasi 2008, EPL 81,
48002), was 0.78 there and is 0.75 here over a month of 14 records a day. (Those users were not seen at all on nine days of ten, which
would leave no mobility to measure: here silences are shorter and bursts more.) A signalling feed also sees a phone that moves, which a
packet log does not, so phones here tend to make a record or two on arriving at and on leaving a place.
"""

from __future__ import annotations

import math
from statistics import NormalDist
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from oneteam.stats.compiled import compiled
from oneteam.stats.random import derive, exponential, normal, poisson, raw, stream_key, uniform
from oneteam.synth import streams
from oneteam.synth.network import SECTORS, sector_towards
from oneteam.synth.records import MICROSECONDS, Records
from oneteam.synth.schedules import DAY_S, Plans

GAP_LOG_MEDIAN: Final = 0.0
"""Log of the median gap within a burst [ln s]; fitted."""
GAP_LOG_SD: Final = 2.45
"""Spread of gaps within a burst; fitted."""
MAX_GAP_S: Final = 600.0
"""A longer silence ends the burst; the cut at which the fit was made."""
BURST_LOG_SD: Final = 1.45
"""Spread of burst sizes; fitted."""
RATE_LOG_SD: Final = 1.0
"""Spread of users' rates; smaller than the real 1.3, which also holds how long a user was in town."""
BURST_MEAN_AT_14: Final = 9.0
"""Mean records in a burst for 14 records a day, fitted; grows with the 0.4th power of the volume."""
FOLLOW_UP: Final = 0.35
"""Chance that a burst is followed by another within the hour."""
FOLLOW_UP_S: Final = 1_500.0
"""Mean time to that other burst [s], after the first minute."""
QUIET: Final = 0.75
"""Chance that the rarest users are not seen at all for `QUIET_DAYS`; falls with a user's rate."""
QUIET_DAYS: Final = 7
MOVING_LOG_MEAN: Final = -0.3
"""Log of the mean size of the burst that a move makes, before rounding down."""
SEEN_MOVING: Final = 0.95
"""Chance that a busy user makes a record on arriving or on leaving; falls with a user's rate."""
HALF_SEEN: Final = 0.15
"""The rate, over the mean rate, at which that chance is half as large."""
PING_PONG: Final = 0.05
"""Share of records of a burst that another cell takes."""
SECOND_CELL, THIRD_CELL = 0.08, 0.03
"""Share of bursts served by the second and by the third best cell."""
MAX_BURST: Final = 400
MAX_PER_DAY: Final = 1_500
GAP_QUANTILES: Final = 1_024

HOURS: Final = (3.5, 1.5, 0.7, 0.4, 0.4, 0.8, 2.2, 3.8, 3.8, 3.8, 4.0, 4.2, 4.5, 4.3, 4.2, 4.5, 5.0, 6.0, 6.5, 6.5, 6.8, 7.5, 8.0, 7.1)
"""Bursts by local hour [%]: quiet nights, busiest from six in the evening to midnight, as in the same records."""

_TRAITS = int(streams.Stream.TRAITS)
_SESSIONS = int(streams.Stream.SESSIONS)
_LOW, _LOW_RANGE, _HIGH = np.uint64(0xFFFFF), 1_048_576.0, np.uint64(32)
_PER_QUANTILE = GAP_QUANTILES / 4_294_967_296.0


class SessionModel(NamedTuple):
    """Numbers of the model.

    ``bursts_per_day`` is set so that the mean volume is as asked; ``gap_s`` are quantiles of the gaps within a burst.
    """

    bursts_per_day: float
    burst_log_mean: float
    hour_cumulative: npt.NDArray[np.float64]
    gap_s: npt.NDArray[np.float64]


class Radio(NamedTuple):
    """Which cells serve what, for all carriers: arrays of `network.Serving`, by carrier."""

    cells: npt.NDArray[np.int32]
    raster: npt.NDArray[np.int32]
    west: float
    south: float
    raster_m: float
    site_x: npt.NDArray[np.float64]
    site_y: npt.NDArray[np.float64]
    azimuth_deg: npt.NDArray[np.float64]


class Phones(NamedTuple):
    """Phones whose owners have plans, one row of the plans each or two.

    Args:
        owner: who owns the row's phones: a person, or a visitor's number.
        carrier: of the first phone.
        second: of the second phone, -1 for none.
    """

    owner: npt.NDArray[np.int64]
    carrier: npt.NDArray[np.int8]
    second: npt.NDArray[np.int8]


def session_model(events_per_day: float, bursts_per_day: float) -> SessionModel:
    """The model for a mean volume."""
    mean = max(1.2, BURST_MEAN_AT_14 * (events_per_day / 14.0) ** 0.4)
    hours = np.cumsum(HOURS)
    normal_quantile = NormalDist().inv_cdf
    gaps = [
        min(math.exp(GAP_LOG_MEDIAN + GAP_LOG_SD * normal_quantile((i + 0.5) / GAP_QUANTILES)), MAX_GAP_S) for i in range(GAP_QUANTILES)
    ]
    # A size is rounded down but at least one, which takes about 0.35 off the mean.
    return SessionModel(bursts_per_day, math.log(mean + 0.35) - BURST_LOG_SD**2 / 2, hours / hours[-1], np.array([*gaps, MAX_GAP_S]))


@compiled
def trait(seed: np.uint64, phone: int, spread: float) -> float:
    """How much a phone is used: lognormal, mean 1."""
    return math.exp(spread * normal(stream_key(seed, _TRAITS, phone, 0), 0) - 0.5 * spread * spread)


@compiled
def _is_quiet(seed: np.uint64, phone: int, day: int, rate: float) -> bool:
    key = stream_key(seed, _TRAITS, phone, 1)
    block = (day + int(uniform(key, 0) * QUIET_DAYS)) // QUIET_DAYS
    return uniform(derive(key, block), 0) < QUIET / (1.0 + 2.5 * rate)


@compiled
def _time_of_day(model: SessionModel, key: np.uint64, counter: int) -> float:
    u = uniform(key, counter)
    hour = 0
    while model.hour_cumulative[hour] <= u:
        hour += 1
    return (hour + uniform(key, counter + 1)) * 3_600.0


@compiled
def _cell_at(radio: Radio, plans: Plans, row: int, carrier: int, at_s: float, rank: int) -> tuple[int, float]:
    """The cell that serves a phone at a time, -1 when abroad, and until when it may be taken to [s]."""
    for i in range(plans.stays[row]):
        place = plans.place[row, i]
        if at_s < plans.end_s[row, i]:
            return (radio.cells[carrier, place, rank] if place >= 0 else -1), float(plans.end_s[row, i])
        if i + 1 < plans.stays[row] and at_s < plans.start_s[row, i + 1]:
            to = plans.place[row, i + 1]
            if place < 0 or to < 0:
                return -1, at_s
            part = (at_s - plans.end_s[row, i]) / (plans.start_s[row, i + 1] - plans.end_s[row, i])
            return _cell_between(radio, carrier, place, to, part), at_s
    return -1, at_s


@compiled
def _cell_between(radio: Radio, carrier: int, a: int, b: int, part: float) -> int:
    """The cell on the way from place to place."""
    sa, sb = radio.cells[carrier, a, 0] // SECTORS, radio.cells[carrier, b, 0] // SECTORS
    ax, ay = radio.site_x[carrier, sa], radio.site_y[carrier, sa]
    x = ax + part * (radio.site_x[carrier, sb] - ax)
    y = ay + part * (radio.site_y[carrier, sb] - ay)
    column = min(max(int((x - radio.west) / radio.raster_m), 0), radio.raster.shape[2] - 1)
    line = min(max(int((y - radio.south) / radio.raster_m), 0), radio.raster.shape[1] - 1)
    site = radio.raster[carrier, line, column]
    dx, dy = x - radio.site_x[carrier, site], y - radio.site_y[carrier, site]
    return int(SECTORS * site + sector_towards(dx, dy, radio.azimuth_deg[carrier, site]))


@compiled
def _burst(
    log_size: float,
    gap_s: npt.NDArray[np.float64],
    radio: Radio,
    plans: Plans,
    row: int,
    carrier: int,
    user: int,
    at_s: float,
    day_s: int,
    key: np.uint64,
    out: Records,
    n: int,
    room: int,
) -> int:
    """Append the records of one burst; the new number of records."""
    size = min(max(1, int(math.exp(log_size + BURST_LOG_SD * normal(key, 0)))), MAX_BURST, room)
    u = uniform(key, 1)
    rank = 2 if u < THIRD_CELL else (1 if u < THIRD_CELL + SECOND_CELL else 0)
    other = 0 if rank else 1
    until_s = -1.0
    cell, flipped = -1, -1
    for i in range(size):
        if at_s >= day_s:
            break
        if at_s >= until_s:
            cell, until_s = _cell_at(radio, plans, row, carrier, at_s, rank)
            flipped = _cell_at(radio, plans, row, carrier, at_s, other)[0]
            if cell < 0:
                break
        # One hash gives both numbers that a record needs: its low bits whether it flips, its high bits the gap.
        bits = raw(key, i + 2)
        out.time_us[n] = int(at_s * MICROSECONDS)
        out.user[n] = user
        out.cell[n] = flipped if np.float64(bits & _LOW) < PING_PONG * _LOW_RANGE else cell
        out.carrier[n] = carrier
        n += 1
        at = np.float64(bits >> _HIGH) * _PER_QUANTILE
        k = int(at)
        at_s += gap_s[k] + (at - k) * (gap_s[k + 1] - gap_s[k])
    return n


@compiled
def _phone_day(
    seed: np.uint64,
    model: SessionModel,
    radio: Radio,
    plans: Plans,
    row: int,
    phone: int,
    carrier: int,
    user: int,
    day: int,
    day_s: int,
    out: Records,
    n: int,
) -> int:
    """Append a phone's records of a day; the new number of records."""
    rate = trait(seed, phone, RATE_LOG_SD)
    if _is_quiet(seed, phone, day, rate):
        return n
    limit = n + MAX_PER_DAY
    key = stream_key(seed, _SESSIONS, phone, day)
    number = 0
    for i in range(min(poisson(key, 0, model.bursts_per_day * rate), 300)):
        at_s = _time_of_day(model, key, 2 * i + 1)
        n = _burst(model.burst_log_mean, model.gap_s, radio, plans, row, carrier, user, at_s, day_s, derive(key, number), out, n, limit - n)
        number += 1
        again = derive(key, -1 - i)
        k = 0
        while uniform(again, 2 * k) < FOLLOW_UP:
            at_s += 60.0 + FOLLOW_UP_S * exponential(again, 2 * k + 1)
            n = _burst(
                model.burst_log_mean, model.gap_s, radio, plans, row, carrier, user, at_s, day_s, derive(key, number), out, n, limit - n
            )
            number += 1
            k += 1
    seen = SEEN_MOVING * rate * rate / (rate * rate + HALF_SEEN * HALF_SEEN)
    moving = derive(key, 1_000_000)
    for i in range(plans.stays[row]):
        start_s, end_s = plans.start_s[row, i], plans.end_s[row, i]
        if start_s > 0 and uniform(moving, 4 * i) < seen:
            at_s = start_s + min(0.4 * (end_s - start_s), 90.0 * exponential(moving, 4 * i + 1))
            n = _burst(
                MOVING_LOG_MEAN, model.gap_s, radio, plans, row, carrier, user, at_s, day_s, derive(key, 2_000 + number), out, n, limit - n
            )
            number += 1
        if end_s < DAY_S and uniform(moving, 4 * i + 2) < seen:
            at_s = end_s - min(0.4 * (end_s - start_s), 90.0 * exponential(moving, 4 * i + 3)) - 1.0
            n = _burst(
                MOVING_LOG_MEAN, model.gap_s, radio, plans, row, carrier, user, at_s, day_s, derive(key, 2_000 + number), out, n, limit - n
            )
            number += 1
    return n


@compiled
def make_records(
    seed: np.uint64,
    model: SessionModel,
    radio: Radio,
    plans: Plans,
    phones: Phones,
    users: npt.NDArray[np.int64],
    first_row: int,
    day: int,
    day_s: int,
    out: Records,
    n: int,
) -> tuple[int, int]:
    """Append the records of all phones from ``first_row`` on, until the room is nearly used up.

    Args:
        seed: of the country.
        model: when records are made.
        radio: which cells serve what.
        plans: where owners are.
        phones: theirs.
        users: users of each carrier so far; counts on.
        first_row: where to begin.
        day: its number.
        day_s: its length [s]; another one than 86,400 when clocks change.
        out: room for records.
        n: records already there.

    Returns:
        The first row that was not done, and the number of records.
    """
    for row in range(first_row, len(plans.stays)):
        if n + 2 * (MAX_PER_DAY + MAX_BURST) > len(out.time_us):
            return row, n
        carrier = phones.carrier[row]
        n = _phone_day(seed, model, radio, plans, row, 2 * phones.owner[row], carrier, users[carrier], day, day_s, out, n)
        users[carrier] += 1
        carrier = phones.second[row]
        if carrier >= 0:
            n = _phone_day(seed, model, radio, plans, row, 2 * phones.owner[row] + 1, carrier, users[carrier], day, day_s, out, n)
            users[carrier] += 1
    return len(plans.stays), n
