"""Countries that people fly to and come from: a fixed table, and the course of an epidemic in each that is known truth."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True)
class ForeignCountry:
    """A country abroad.

    Args:
        code: ISO 3166-1 alpha-2.
        mcc: mobile country code (ITU-T E.212).
        mnc: mobile network code of the network that roams with ours, two digits.
        timezone: where travellers go.
        weight: of trips there.
        nights: mean length of a stay.
        prevalence: share of people infectious on the first day.
        growth_per_day: of the prevalence.
    """

    code: str
    mcc: int
    mnc: str
    timezone: str
    weight: float
    nights: float
    prevalence: float
    growth_per_day: float

    @property
    def plmn(self) -> int:
        """MCC and MNC as one number."""
        return self.mcc * 100 + int(self.mnc)


COUNTRIES: Final = (
    ForeignCountry("JP", 440, "10", "Asia/Tokyo", 0.24, 3.2, 0.001, 0.02),
    ForeignCountry("CN", 460, "00", "Asia/Shanghai", 0.19, 4.5, 0.012, 0.05),
    ForeignCountry("VN", 452, "04", "Asia/Ho_Chi_Minh", 0.14, 4.5, 0.001, 0.00),
    ForeignCountry("TH", 520, "01", "Asia/Bangkok", 0.08, 4.8, 0.002, 0.02),
    ForeignCountry("PH", 515, "02", "Asia/Manila", 0.06, 4.5, 0.002, 0.03),
    ForeignCountry("TW", 466, "92", "Asia/Taipei", 0.06, 3.3, 0.001, 0.00),
    ForeignCountry("HK", 454, "06", "Asia/Hong_Kong", 0.04, 3.0, 0.003, 0.02),
    ForeignCountry("US", 310, "26", "America/Los_Angeles", 0.06, 8.0, 0.004, 0.06),
    ForeignCountry("SG", 525, "01", "Asia/Singapore", 0.03, 4.0, 0.002, 0.01),
    ForeignCountry("MY", 502, "12", "Asia/Kuala_Lumpur", 0.02, 4.5, 0.002, 0.01),
    ForeignCountry("ID", 510, "10", "Asia/Jakarta", 0.02, 5.0, 0.002, 0.02),
    ForeignCountry("IT", 222, "01", "Europe/Rome", 0.015, 7.0, 0.015, 0.06),
    ForeignCountry("FR", 208, "01", "Europe/Paris", 0.015, 7.0, 0.008, 0.06),
    ForeignCountry("DE", 262, "02", "Europe/Berlin", 0.01, 7.0, 0.005, 0.05),
    ForeignCountry("GB", 234, "15", "Europe/London", 0.01, 7.0, 0.005, 0.06),
    ForeignCountry("AU", 505, "01", "Australia/Sydney", 0.01, 8.0, 0.001, 0.02),
)

MAX_PREVALENCE: Final = 0.05
DAILY_HAZARD_PER_PREVALENCE: Final = 0.30
"""Chance of a visitor to be infected on a day, per share of people infectious: about four contacts that matter, 8 % each."""


def cumulative_weights() -> npt.NDArray[np.float64]:
    """Cumulative distribution over `COUNTRIES`."""
    weight = np.cumsum([c.weight for c in COUNTRIES])
    return np.asarray(weight / weight[-1], np.float64)


def prevalence(days: int) -> npt.NDArray[np.float64]:
    """Share of people infectious by country and day, shape (countries, days).

    >>> float(prevalence(1)[1, 0])
    0.012
    """
    first = np.array([c.prevalence for c in COUNTRIES])
    growth = np.exp(np.outer([c.growth_per_day for c in COUNTRIES], np.arange(days)))
    return np.asarray(np.minimum(MAX_PREVALENCE, first[:, None] * growth), np.float64)


def utc_offsets_min(start: date, first_day: int, last_day: int) -> npt.NDArray[np.int64]:
    """UTC offset by country and day, at noon UTC [min], shape (countries, last - first + 1).

    >>> utc_offsets_min(date(2020, 1, 6), 0, 0)[0].tolist()
    [540]
    """
    out = np.empty((len(COUNTRIES), last_day - first_day + 1), np.int64)
    for i, country in enumerate(COUNTRIES):
        zone = ZoneInfo(country.timezone)
        for j in range(out.shape[1]):
            noon = datetime.combine(start + timedelta(days=first_day + j), time(12), UTC)
            offset = noon.astimezone(zone).utcoffset()
            assert offset is not None
            out[i, j] = int(offset.total_seconds()) // 60
    return out
