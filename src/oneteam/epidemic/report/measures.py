"""Measures of a scenario in words."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date
from typing import Final

from oneteam.core.model import Text
from oneteam.epidemic.engine.measures import (
    AnyMeasure,
    Border,
    ContactCut,
    Isolation,
    Masks,
    MobilityCut,
    SchoolClosing,
    Vaccinate,
    WorkFromHome,
)
from oneteam.epidemic.report.voice import day_words, joined, words

SETTINGS: Final = {"home": "가정", "school": "학교", "work": "직장", "community": "지역사회"}


def measures_words(measures: Sequence[AnyMeasure], first_day: date, named: Callable[[str], Text]) -> Text:
    """All measures of a scenario, with places, ages and days.

    Args:
        measures: of the scenario.
        first_day: of the simulation.
        named: the name of a place by its code.
    """
    return joined([measure_words(m, first_day, named) for m in measures], " together with ", " 및 ")


def measure_words(measure: AnyMeasure, first_day: date, named: Callable[[str], Text]) -> Text:
    """One measure, as part of a sentence.

    >>> found = measure_words(WorkFromHome(kind="work_from_home", share=0.3, **{"from": date(2022, 6, 27)}), date(2022, 6, 26), named=str)
    >>> found.en
    '30% of workers working from home from 27 June 2022'
    """
    what = _what(measure)
    places = joined([named(code) for code in measure.zones], ", ", "·") if measure.zones else words("", "")
    where_en, where_ko = (f" in {places.en}", f"{places.ko}에서 ") if measure.zones else ("", "")
    ages = measure.ages
    ages_en, ages_ko = (f" at ages {ages[0]} to {ages[1]}", f"{ages[0]}–{ages[1]}세 ") if ages else ("", "")
    first = day_words(max(measure.first, first_day))
    if measure.last is None:
        when_en, when_ko = f" from {first.en}", f"{first.ko}부터 "
    else:
        last = day_words(measure.last)
        when_en, when_ko = f" from {first.en} to {last.en}", f"{first.ko}부터 {last.ko}까지 "
    return words(f"{what.en}{ages_en}{where_en}{when_en}", f"{when_ko}{where_ko}{ages_ko}{what.ko}")


def _what(measure: AnyMeasure) -> Text:  # noqa: PLR0911 - one for each kind of measure
    match measure:
        case ContactCut():
            place = SETTINGS.get(measure.setting, measure.setting)
            return words(
                f"{measure.reduction:.0%} fewer contacts in the setting {measure.setting}", f"{place} 접촉 {measure.reduction:.0%} 감소"
            )
        case SchoolClosing():
            return words(f"closing {measure.share:.0%} of schools", f"학교 {measure.share:.0%} 휴교")
        case WorkFromHome():
            return words(f"{measure.share:.0%} of workers working from home", f"근로자 {measure.share:.0%} 재택근무")
        case Masks():
            return words(f"masks worn by {measure.coverage:.0%} of people", f"마스크 착용 {measure.coverage:.0%}")
        case MobilityCut():
            return words(f"{measure.reduction:.0%} fewer trips", f"이동 {measure.reduction:.0%} 감소")
        case Isolation():
            return words(
                f"testing and isolating {measure.share:.0%} of those who can be found", f"발견 가능한 감염자 {measure.share:.0%} 검사·격리"
            )
        case Border():
            return words(f"{measure.reduction:.0%} fewer infections brought in", f"해외 유입 {measure.reduction:.0%} 감소")
        case Vaccinate():
            return words(f"{measure.doses_per_day:,.0f} vaccine doses a day", f"하루 {measure.doses_per_day:,.0f}회 접종")
