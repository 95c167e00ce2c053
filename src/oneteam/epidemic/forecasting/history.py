"""Histories: other series of the same disease, from which the shape of seasons is learned.

Three forms of table are understood; the first whose columns are all there is taken:

* ILINet's: ``region``, ``week_start`` (a Sunday), ``unweighted_ili`` [% of visits], and ``region_type`` where several kinds of region stand
  together;
* FluSurv-NET's: ``catchment``, ``mmwr_year``, ``mmwr_week``, ``weekly_rate`` [per 100,000], and strata, of which ``Overall`` is taken;
* plain: ``target_end_date`` (or ``date``), ``location``, ``observation`` (or ``value``, or ``rate``) in any unit that is proportional to
  incidence, and ``source`` where several stand together.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from oneteam.core.errors import DuplicateCodeError, MissingColumnError, NothingFoundError, UnknownValueError
from oneteam.epidemic.forecasting.panel import Panel, season_of
from oneteam.epidemic.hub.columns import as_days, as_floats, as_ints, as_text
from oneteam.epidemic.hub.target_data import WEEK_D

Days = npt.NDArray[np.datetime64]
Floats = npt.NDArray[np.float64]
Texts = npt.NDArray[np.str_]

PUBLICATION_LAG_D: Final = 6
"""A history's week is known so many days after its end: ILINet appears on the Friday after the Saturday that ends the week."""
DATA_BEFORE_REFERENCE_D: Final = 3
"""Where a snapshot does not say when it was taken: on the Wednesday before the Saturday of its reference date."""
DISTURBED_SEASONS: Final = (2008, 2009, 2020, 2021)
"""Seasons (by the year of their August) out of which nothing is learned from histories: the influenza pandemic of 2009, with its spring
wave, and the two seasons that measures against COVID-19 shaped."""
LEAST_WEEKS: Final = 20
_FORMS: Final = {
    "ILINet": ("region", "week_start", "unweighted_ili"),
    "FluSurv-NET": ("catchment", "mmwr_year", "mmwr_week", "weekly_rate"),
}
_STRATA: Final = ("age_category", "sex_category", "race_category")


@dataclass(frozen=True)
class History:
    """Series of one source, all weeks.

    Args:
        source: its name.
        weeks: end dates, 7 days apart, shape (weeks,).
        places: names or codes.
        rate: NaN where unknown, shape (weeks, places).
    """

    source: str
    weeks: Days
    places: tuple[str, ...]
    rate: Floats

    def known_on(self, day: date) -> History:
        """What was published by a day; series with too few weeks are left out."""
        keep = self.weeks + PUBLICATION_LAG_D <= np.datetime64(day, "D")
        rate = self.rate[keep]
        enough = np.isfinite(rate).sum(axis=0) >= LEAST_WEEKS
        places = tuple(place for place, e in zip(self.places, enough.tolist(), strict=True) if e)
        return replace(self, weeks=self.weeks[keep], places=places, rate=rate[:, enough])


def history_panel(history: History, kind: int) -> Panel:
    """A history as a panel to learn from."""
    year, _ = season_of(history.weeks)
    nowhere = np.full(len(history.places), np.nan)
    return Panel(
        history.source, kind, history.weeks, history.places, history.rate, nowhere, None, ~np.isin(year, np.array(DISTURBED_SEASONS))
    )


def data_day(reference_date: date, as_of: date | None) -> date:
    """The day on which a snapshot was taken."""
    return as_of or reference_date - timedelta(days=DATA_BEFORE_REFERENCE_D)


def parse_history(table: pa.Table, where: str) -> list[History]:
    """Histories from a table, one for each kind of region or source in it.

    Raises:
        MissingColumnError: none of the forms fits.
        WrongTypeError: a field that cannot be read.
        UnknownValueError: weeks that end on different days.
        DuplicateCodeError: two values of one place and week.
        NothingFoundError: no value.

    >>> rows = {"target_end_date": ["2020-01-04", "2020-01-11"], "location": ["a", "a"], "rate": [1.0, 2.0]}
    >>> parse_history(pa.table(rows), "history.csv")[0].rate.ravel().tolist()
    [1.0, 2.0]
    """
    form = next((name for name, needed in _FORMS.items() if set(needed) <= set(table.column_names)), "plain")
    if form == "ILINet":
        ends = as_days(table, ["week_start"], where) + (WEEK_D - 1)
        kind = _texts(table, "region_type", where) if "region_type" in table.column_names else np.full(table.num_rows, "")
        place, value = _texts(table, "region", where), as_floats(table, ["unweighted_ili"], where)
    elif form == "FluSurv-NET":
        ends = _epidemiological_week_end(as_ints(table, ["mmwr_year"], where), as_ints(table, ["mmwr_week"], where))
        kind = np.full(table.num_rows, "")
        network = _texts(table, "network", where) if "network" in table.column_names else kind
        place = np.char.add(np.char.add(network, " "), _texts(table, "catchment", where))
        value = as_floats(table, ["weekly_rate"], where)
        for stratum in set(_STRATA) & set(table.column_names):
            value = np.where(_texts(table, stratum, where) == "Overall", value, np.nan)
    else:
        if not {"target_end_date", "date"} & set(table.column_names):
            raise MissingColumnError(
                f"{where}: its columns ({', '.join(table.column_names)}) fit no form of history",
                hint="Give ILINet's columns, FluSurv-NET's, or target_end_date, location and rate; see docs/forecasting.md.",
            )
        ends = as_days(table, ["target_end_date", "date"], where)
        kind = _texts(table, "source", where) if "source" in table.column_names else np.full(table.num_rows, "")
        place, value = _texts(table, "location", where), as_floats(table, ["rate", "observation", "value"], where)
        form = where
    return [
        _gridded(f"{form} {name}".strip(), np.flatnonzero(kind == name), ends, place, value, where) for name in np.unique(kind).tolist()
    ]


def _texts(table: pa.Table, name: str, where: str) -> Texts:
    return np.array(as_text(table, [name], where).to_pylist(), dtype=str)


def _epidemiological_week_end(year: npt.NDArray[np.int64], week: npt.NDArray[np.int64]) -> Days:
    """Saturday that ends an epidemiological week: week 1 is the one with 4 January (CDC, MMWR weeks)."""
    fourth = (year - 1970).astype("datetime64[Y]").astype("datetime64[D]") + 3
    sunday = fourth - (fourth.astype(np.int64) + 4) % WEEK_D
    return np.asarray(sunday + (week - 1) * WEEK_D + (WEEK_D - 1), "datetime64[D]")


def _gridded(source: str, rows: npt.NDArray[np.int64], ends: Days, place: Texts, value: Floats, where: str) -> History:
    """Some rows of a table by week and place."""
    rows = rows[np.isfinite(value[rows]) & ~np.isnat(ends[rows])]
    if not len(rows):
        raise NothingFoundError(f"{where}: no value in {source}")
    ends, place, value = ends[rows], place[rows], value[rows]
    offset = (ends - ends.min()).astype(np.int64)
    if (offset % WEEK_D).any():
        row = int(np.argmax(offset % WEEK_D != 0))
        raise UnknownValueError(f"{where}: week of {place[row]} that ends on {ends[row]} does not end on the same weekday as the others")
    weeks = np.arange(ends.min(), ends.max() + 1, WEEK_D, dtype="datetime64[D]")
    places, index = np.unique(place, return_inverse=True)
    _once(offset * len(places) + index, rows, ends, place, where)
    rate = np.full((len(weeks), len(places)), np.nan)
    rate[offset // WEEK_D, index] = np.maximum(value, 0.0)
    return History(source, weeks, tuple(places.tolist()), rate)


def _once(key: npt.NDArray[np.int64], rows: npt.NDArray[np.int64], ends: Days, place: Texts, where: str) -> None:
    """Which of two values would be learned from must not hang on the order of rows."""
    order = np.argsort(key, kind="stable")
    twice = np.flatnonzero(np.diff(key[order]) == 0)
    if len(twice):
        first, second = sorted(order[twice[0] : twice[0] + 2].tolist())
        what = f"two values of {place[first]} for the week that ends on {ends[first]}"
        raise DuplicateCodeError(
            f"{where}, data rows {rows[first] + 1} and {rows[second] + 1}: {what}",
            hint="Several series of one place need a column that tells them apart (source); for FluSurv-NET its strata columns.",
        )
