"""The definitions of the measures, written a second time, slowly, one subscriber at a time; an oracle that shares no code with them."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

from oneteam.telecom.measures.measure import MeasureSettings


@dataclass
class Run:
    zone: int
    first: int
    last: int
    start: int = 0
    end: int = 0


def runs_of(events: list[tuple[int, int]], cfg: MeasureSettings) -> list[Run]:
    """Events are (second, zone), in order."""
    runs: list[Run] = []
    for t, zone in events:
        if runs and runs[-1].zone == zone and t - runs[-1].last <= cfg.max_gap_stay_s:
            runs[-1].last = t
        else:
            runs.append(Run(zone, t, t))
    for i, run in enumerate(runs):
        held_before = i > 0 and run.first - runs[i - 1].last <= cfg.max_gap_move_s
        held_after = i + 1 < len(runs) and runs[i + 1].first - run.last <= cfg.max_gap_move_s
        run.start = run.first if held_before else run.first - cfg.pad_s
        run.end = runs[i + 1].first if held_after else run.last + cfg.pad_s
    return runs


class Oracle:
    """All measures of a list of (subscriber, aware time, zone), in the order in which the store would hold them."""

    def __init__(
        self,
        events: Iterable[tuple[int, datetime, int]],
        days: list[date],
        zone_of: Callable[[int, date], int | None],
        cfg: MeasureSettings,
        timezone: str,
    ) -> None:
        self.zone_info, self.days, self.cfg = ZoneInfo(timezone), days, cfg
        self.located: dict[int, list[tuple[int, int]]] = defaultdict(list)
        for subscriber, at, cell in sorted(events, key=lambda e: (e[0], e[1].timestamp(), e[2])):
            zone = zone_of(cell, at.astimezone(self.zone_info).date())
            if zone is not None:
                self.located[subscriber].append((int(at.timestamp() // 1), zone))
        self.runs = {s: runs_of(e, cfg) for s, e in self.located.items()}

    def local(self, t: int) -> datetime:
        return datetime.fromtimestamp(t, self.zone_info)

    def presence(self) -> Counter:
        return Counter((s, self.local(t).date(), self.local(t).hour, z) for s, events in self.located.items() for t, z in events)

    def seconds(self) -> tuple[Counter, Counter]:
        """Second by second: by (subscriber, day, state, zone), and of the night by (subscriber, day, zone)."""
        total, night = Counter(), Counter()
        for s, runs in self.runs.items():
            spans = [(r.start, r.end, "stay" if r.end - r.start >= self.cfg.min_stay_s else "move", r.zone) for r in runs]
            for a, b in pairwise(runs):
                silence = b.first - a.last
                if self.cfg.max_gap_move_s < silence <= self.cfg.max_gap_unknown_s:
                    spans.append((a.end, b.start, "unknown", None))
            for start, end, state, zone in spans:
                for t in range(start, end, 60):
                    for at, width in self._pieces(t, min(60, end - t)):
                        if at.date() in self.days:
                            total[s, at.date(), state, zone] += width
                            if at.hour < 6 and zone is not None:
                                night[s, at.date(), zone] += width
        return total, night

    def _pieces(self, t: int, width: int) -> list[tuple[datetime, int]]:
        """A minute or less, cut at full hours."""
        at = self.local(t)
        left = 3600 - (at.minute * 60 + at.second)
        return [(at, width)] if width <= left else [(at, left), (self.local(t + left), width - left)]

    def trips(self) -> Counter:
        found = Counter()
        for s, runs in self.runs.items():
            stays = [r for r in runs if r.end - r.start >= self.cfg.min_stay_s]
            for a, b in pairwise(stays):
                if a.zone != b.zone and b.start - a.end <= self.cfg.max_gap_trip_s:
                    found[s, self.local(b.first).date(), a.zone, b.zone] += 1
        return found

    def home(self) -> dict[tuple[int, str], int]:
        total, days = Counter(), Counter()
        for (s, day, zone), seconds in self.seconds()[1].items():
            total[s, f"{day:%Y-%m}", zone] += seconds
            days[s, f"{day:%Y-%m}", zone] += 1
        best: dict[tuple[int, str], tuple] = {}
        for (s, month, zone), seconds in total.items():
            rank = (-seconds, -days[s, month, zone], zone)
            best[s, month] = min(best.get((s, month), rank), rank)
        return {key: rank[2] for key, rank in best.items()}


def days_between(first: date, last: date) -> list[date]:
    return [first + timedelta(i) for i in range((last - first).days + 1)]
