"""A situation as files: tables, pictures, CAP alerts."""

from __future__ import annotations

import json
import math
import re
from dataclasses import asdict
from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from typing import Final, cast

import numpy as np
import pyarrow as pa

from oneteam.core.cap import cap_xml
from oneteam.core.errors import MissingExtraError
from oneteam.core.model import Alert, Entity, Text
from oneteam.epidemic.reproduction.risk import NAMES, NAMES_KO, cap_certainty, cap_severity
from oneteam.epidemic.service.outputs import check_folder
from oneteam.epidemic.service.rt_inputs import (
    TOTAL,
    Status,
)
from oneteam.epidemic.service.rt_result import PlaceSituation, Situation
from oneteam.store.result_files import write_table
from oneteam.store.tables import write_atomically

ALERT_LEVEL: Final = 3
ALERT_DAYS: Final = 7


def alerts_of(found: Situation) -> list[Alert]:
    """An alert for every place of level 3 or more, to hold for a week."""
    settings = found.settings
    sent = settings.sent or datetime.now(UTC)
    effective = datetime.combine(found.day, time(0), UTC)
    return [_alert(place, found, sent, effective) for place in found.places if place.risk >= ALERT_LEVEL and place.location != TOTAL]


def _alert(place: PlaceSituation, found: Situation, sent: datetime, effective: datetime) -> Alert:
    code = re.sub(r"[^A-Za-z0-9_-]", "_", place.location)
    level = NAMES[place.risk - 1]
    rt = "unknown" if place.rt is None else f"{place.rt:.2f} (95% {place.rt_low:.2f} to {place.rt_high:.2f})"
    rate = "" if place.per_100k is None else f", {place.per_100k:,.0f} per 100,000 inhabitants"
    reach = place.probability_threshold
    chance = "" if reach is None else f" Chance of {found.settings.threshold_per_100k:g} or more per 100,000 next week: {100 * reach:.0f}%."
    body = f"{place.cases_7d:,.0f} cases in the 7 days to {found.day}{rate}. Rt {rt}.{chance}"
    rt_ko = "알 수 없음" if place.rt is None else f"{place.rt:.2f} (95% {place.rt_low:.2f}–{place.rt_high:.2f})"
    rate_ko = "" if place.per_100k is None else f"(인구 10만 명당 {place.per_100k:,.0f}명)"
    chance_ko = "" if reach is None else f" 다음 주 인구 10만 명당 {found.settings.threshold_per_100k:g}명 이상일 확률 {100 * reach:.0f}%."
    body_ko = f"{found.day}까지 7일간 확진 {place.cases_7d:,.0f}명{rate_ko}. 감염재생산수 {rt_ko}.{chance_ko}"
    return Alert(
        id=f"oneteam.epidemic.{found.day:%Y%m%d}.{code}",
        sender=found.settings.sender,
        sent=sent,
        status=cast("Status", found.settings.status),
        category="Health",
        event="Epidemic risk",
        urgency="Expected",
        severity=cap_severity(place.risk),
        certainty=cap_certainty(math.nan if place.probability_rising is None else place.probability_rising),
        effective=effective,
        expires=max(effective, sent) + timedelta(days=ALERT_DAYS),
        headline=Text(en=f"Epidemic risk {level}: {place.name}", ko=f"감염병 위험 {NAMES_KO[place.risk - 1]}: {place.name}"),
        description=Text(en=body, ko=body_ko),
        areas=(Entity(id=f"place.{code}", name=Text(en=place.name, ko=place.name), kind="place"),),
    )


def write_situation(found: Situation, out: Path, *, plots: bool = True) -> list[Path]:
    """Write ``situation.json``, ``situation.csv``, ``rt.csv``, ``alerts/*.xml`` and ``rt.png`` to a folder; ``rt-filter.csv`` if asked for.

    Raises:
        UnknownValueError: no folder.
        MissingExtraError: pictures asked for and matplotlib is not installed.
        DiskFullError: no room.
    """
    check_folder(out)
    written = [out / "situation.json", out / "situation.csv", out / "rt.csv"]
    write_atomically(written[0], json.dumps(found.as_dict(), ensure_ascii=False, indent=1).encode())
    rows = [
        {**{k: v for k, v in asdict(p).items() if k != "burden"}, "admissions_assumed": p.burden and p.burden.admissions}
        for p in found.places
    ]
    write_table(written[1], pa.Table.from_pylist(rows))
    write_table(written[2], rt_table(found))
    if found.filtered is not None:
        written.append(out / "rt-filter.csv")
        write_table(written[-1], filter_table(found))
    for alert in alerts_of(found):
        written.append(out / "alerts" / f"{alert.id}.xml")
        write_atomically(written[-1], cap_xml(alert))
    if plots:
        try:
            from oneteam.epidemic.drawing.rt import rt_chart
            from oneteam.epidemic.drawing.sheet import picture
        except ImportError as err:
            raise MissingExtraError("pictures need matplotlib", hint="Install oneteam[plot], or add --no-plots.") from err
        by_week = None if found.weekly is None or found.filtered is None else (found.weekly.weeks, found.filtered)
        written.append(out / "rt.png")
        write_atomically(written[-1], picture(rt_chart(found.series, found.posterior, found.serial, by_week), ".png"))
    return written


def rt_table(found: Situation) -> pa.Table:
    """Reproduction number by day and place: Cori's posterior mean, median, 95% interval and the probability to be above 1."""
    posterior, series = found.posterior, found.series
    day, place = np.nonzero(np.isfinite(posterior.shape))
    columns = {
        "mean": posterior.mean,
        "low": posterior.quantile(0.025),
        "median": posterior.quantile(0.5),
        "high": posterior.quantile(0.975),
    }
    columns["probability_above_1"] = posterior.probability_above(1.0)
    return pa.table(
        {
            "day": pa.array(series.days[day], pa.date32()),
            "location": pa.array(np.array(series.locations, object)[place], pa.string()),
            "cases": pa.array(series.values[day, place]),
            **{name: pa.array(values[day, place]) for name, values in columns.items()},
        }
    )


def filter_table(found: Situation) -> pa.Table:
    """Reproduction number by week and place as the filter has it: median, 95% interval and the probability to be above 1."""
    assert found.weekly is not None
    assert found.filtered is not None
    weekly, filtered = found.weekly, found.filtered
    week, place = np.nonzero(np.isfinite(filtered.log_growth))
    columns = {
        "low": filtered.quantile(0.025),
        "median": filtered.quantile(0.5),
        "high": filtered.quantile(0.975),
        "probability_above_1": filtered.probability_above_1,
    }
    return pa.table(
        {
            "week_end": pa.array(weekly.weeks[week], pa.date32()),
            "location": pa.array(np.array(weekly.locations, object)[place], pa.string()),
            "cases": pa.array(weekly.values[week, place]),
            **{name: pa.array(values[week, place]) for name, values in columns.items()},
        }
    )
