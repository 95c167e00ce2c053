"""The what-ifs of one study as the pages and the API show them to one account."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from oneteam.app.whatif.base import Base, BaseShelf
from oneteam.app.whatif.plan import Plan, printable, scenario_of, strength_of, written
from oneteam.app.whatif.queue import Live, RunQueue
from oneteam.app.whatif.results import COMPARISON, Result, read_result
from oneteam.app.whatif.store import Meta, RunStore
from oneteam.core.errors import NotThereError, OneteamError, UnknownValueError
from oneteam.core.model import Text
from oneteam.epidemic.engine.scenario import Scenario
from oneteam.epidemic.engine.summary import Interval
from oneteam.epidemic.report.findings import percent_of
from oneteam.epidemic.report.measures import measures_words
from oneteam.web.face import said
from oneteam.web.language import Language, translator

STUDY: Final = "study"
"""The id of the study's own scenario among the runs."""
FEWEST, MOST = 2, 4
"""So many runs are set side by side."""
MAIN: Final = "infections"


@dataclass(frozen=True)
class Entry:
    """A run in a list.

    Args:
        id: of the run.
        title: its own, else its measures in brief.
        measures: in words.
        author: account; empty for the study's own.
        mine: whether the reader asked for it.
        created: when; None for the study's own.
        state: where it stands.
        shared: whether all see it.
        kept: whether it stays.
        averted: share of infections averted, with its interval; empty where it is not known.
    """

    id: str
    title: str
    measures: str
    author: str
    mine: bool
    created: datetime | None
    state: str
    shared: bool
    kept: bool
    averted: str


@dataclass(frozen=True)
class Shown:
    """A finished run, or the study's own scenario: what it is called, and what it found."""

    entry: Entry
    result: Result


class Runs:
    """The what-ifs of one study.

    Args:
        study: the study's folder.
    """

    def __init__(self, study: Path) -> None:
        self.study = study
        self.shelf = BaseShelf(study)
        self.store = RunStore(study)
        self.queue = RunQueue(self.store)

    def base(self) -> Base:
        """What runs start from."""
        return self.shelf.open()

    def submit(self, plan: Plan, author: str) -> Meta:
        """Put a plan without faults into the queue."""
        base = self.base()
        return self.queue.submit(author, printable(plan.title), lambda folder: written(scenario_of(plan, base, folder)))

    def seen(self, account: str) -> list[Meta]:
        """Runs that an account may look at, the newest first."""
        return [meta for meta in self.store.all() if meta.seen_by(account)]

    def own(self, run: str, account: str) -> Meta:
        """A run of an account's own.

        Raises:
            NotThereError: there is none, or it is another's.
        """
        meta = self.store.seen(run, account)
        if meta.author != account:
            raise NotThereError("there is no such run of yours", hint="Only its author changes a run.")
        return meta

    def live(self, meta: Meta) -> Live:
        """How far a run is."""
        return self.queue.live(meta.id)

    def entry(self, meta: Meta, account: str, language: Language) -> Entry:
        """A run in a list."""
        words, brief, averted = "", "", ""
        try:
            scenario = self.store.scenario(meta.id)
            words, brief = self.in_words(scenario, language), in_brief(scenario, language)
            if meta.state == "done":
                averted = averted_words(self.result(meta.id))
        except OneteamError:
            averted = "–"
        return Entry(
            meta.id,
            meta.title or brief or translator(language)("whatif.untitled"),
            words,
            meta.author,
            meta.author == account,
            meta.created,
            self.live(meta).state,
            meta.shared,
            meta.kept,
            averted,
        )

    def study_entry(self, language: Language) -> Entry | None:
        """The study's own scenario in a list; None where it was not run."""
        try:
            base = self.base()
            result = self.result(STUDY)
        except OneteamError:
            return None
        title = translator(language)("whatif.study")
        return Entry(STUDY, title, self.in_words(base.scenario, language), "", False, None, "done", True, True, averted_words(result))

    def shown(self, run: str, account: str, language: Language) -> Shown:
        """A finished run, or the study's own.

        Raises:
            NotThereError: there is none that the account may look at, or it has no results.
        """
        if run == STUDY:
            entry = self.study_entry(language)
            if entry is None:
                raise NotThereError("the study's own scenario was not run")
            return Shown(entry, self.result(STUDY))
        meta = self.store.seen(run, account)
        return Shown(self.entry(meta, account, language), self.result(run))

    def side_by_side(self, runs: Sequence[str], account: str, language: Language) -> list[Shown]:
        """Several runs.

        Raises:
            UnknownValueError: too few or too many.
            NotThereError: as `shown`.
        """
        wanted = list(dict.fromkeys(runs))
        if not FEWEST <= len(wanted) <= MOST:
            raise UnknownValueError(f"give {FEWEST} to {MOST} runs, not {len(wanted)}")
        return [self.shown(run, account, language) for run in wanted]

    def result(self, run: str) -> Result:
        """What a run found."""
        if run == STUDY:
            return read_result(self.study / "scenario", self.base().scenario)
        return read_result(self.store.folder(run), self.store.scenario(run))

    def in_words(self, scenario: Scenario, language: Language) -> str:
        """The measures of a scenario."""
        base = self.base()

        def named(code: str) -> Text:
            return base.name(code)

        text = said(measures_words(scenario.measures, scenario.run.first_day, named), language)
        return text[:1].upper() + text[1:]

    def finished(self, run: str) -> bool:
        """Whether there are results."""
        return (self.store.folder(run) / COMPARISON).is_file()


def in_brief(scenario: Scenario, language: Language) -> str:
    """The measures of a scenario without places and days, as a title."""
    t = translator(language)
    parts = []
    for measure in scenario.measures:
        name, strength = strength_of(measure)
        how = f"{strength:,.0f}" if name == "doses_per_day" else f"{strength:.0%}"
        parts.append(f"{t(f'whatif.kind.{measure.kind}')} {how}")
    return ", ".join(parts)


def averted_words(result: Result) -> str:
    """The share of infections averted with its interval."""
    effect = result.effects.get(MAIN) or next(iter(result.effects.values()), None)
    if effect is None:
        return "–"
    return share_words(effect.share)


def share_words(found: Interval) -> str:
    """A share and its 95% interval, with a digit more where whole percents would hide the interval.

    >>> share_words(Interval(0.2, 0.2, 0.1, 0.3)), share_words(Interval(0.17, 0.17, 0.168, 0.172)), share_words(Interval(0, 0, 0, 0))
    ('20% (10–30%)', '17.0% (16.8–17.2%)', '0.0%')
    """
    told = [percent_of(value) for value in (found.median, found.low, found.high)]
    if told[1] == told[2] and found.low < found.high:
        told = [f"{100 * value:.1f}%".replace("-", "−") for value in (found.median, found.low, found.high)]
    middle, low, high = told
    return middle if low == high else f"{middle} ({low.removesuffix('%')}–{high})"
