"""Every number of disease that the package brings along, and what it rests on, as a page.

``python -m oneteam.epidemic.service.numbers`` writes the page ``docs/epidemic-numbers.md``.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import fields
from datetime import date
from itertools import pairwise

from oneteam.epidemic.engine.measures import Calendar
from oneteam.epidemic.importation.force import COURSE_EVIDENCE, Course
from oneteam.epidemic.importation.posterior import PRIOR_EVIDENCE, SCALE_SD, SIZE_MEDIAN, SIZE_SD
from oneteam.epidemic.models.document import ByAge
from oneteam.epidemic.models.evidence import Evidence, Number, with_evidence
from oneteam.epidemic.models.presets import PRESETS, preset
from oneteam.epidemic.reproduction.burden import SEVERITY, SEVERITY_EVIDENCE
from oneteam.epidemic.reproduction.cori import MIN_CASES, PRIOR_SCALE, PRIOR_SHAPE
from oneteam.epidemic.reproduction.risk import EXPECTED, FALLING, LIMITS_PER_100K, RISING, RISK_EVIDENCE
from oneteam.epidemic.reproduction.serial_interval import SERIAL_INTERVAL_EVIDENCE, SERIAL_INTERVALS
from oneteam.epidemic.service.importation_inputs import SETTINGS_EVIDENCE, ImportationSettings
from oneteam.epidemic.service.world import ALIKE, TRAVEL, TRAVEL_FROM

TITLES = {
    "models": "Models",
    "serial": "Serial intervals",
    "severity": "Share admitted to hospital",
    "rt": "Reproduction number",
    "risk": "Risk level",
    "importation": "Imported cases",
    "world": "World and calendar",
}
_WORLD = {
    "contacts": Evidence(status="assumed", reason="where no contact matrices are given; only proportions matter"),
    "commuting_by_age": Evidence(status="assumed", reason="most who commute are of working age; relative to the mean resident"),
    "weekend": Evidence(status="assumed", reason="no school, half of the work, a little more of the rest; a scenario may say otherwise"),
    "commuting_weekend": Evidence(status="assumed", reason="fewer ways to work; a scenario may say otherwise"),
}
_RT = {
    "prior_mean": Evidence(status="confirmed", source="Cori and others 2013, Am J Epidemiol 178:1505, and EpiEstim: mean_prior = 5"),
    "prior_sd": Evidence(status="confirmed", source="Cori and others 2013, Am J Epidemiol 178:1505, and EpiEstim: std_prior = 5"),
    "min_cases": Evidence(
        status="derived", source="gamma posterior of Cori and others 2013", formula="variation 1 / sqrt(1 + 12) = 0.28, below 0.3"
    ),
}


def all_numbers() -> tuple[Number, ...]:
    """All of them; a path begins with the section."""
    found = [Number(f"models.{name}.{n.path}", n.value, n.evidence) for name in PRESETS for n in preset(name).all_numbers()]
    serial = {f"{name}.{key}": getattr(one, key) for name, one in SERIAL_INTERVALS.items() for key in ("mean_d", "sd_d")}
    severity = {
        f"{name}.{key}": ByAge(value=getattr(one, key), from_age=one.from_age)
        for name, one in SEVERITY.items()
        for key in ("admitted", "low", "high")
    }
    course = {field.name: getattr(Course(), field.name) for field in fields(Course) if field.name != "source"}
    settings = ImportationSettings()
    calendar = Calendar()
    prior = {"prior_mean": PRIOR_SHAPE * PRIOR_SCALE, "prior_sd": PRIOR_SHAPE**0.5 * PRIOR_SCALE, "min_cases": MIN_CASES}
    risk = {"limits_per_100k": LIMITS_PER_100K, "rising": RISING, "falling": FALLING, "expected": EXPECTED}
    return (
        *found,
        *with_evidence("serial", serial, SERIAL_INTERVAL_EVIDENCE),
        *with_evidence("severity", severity, SEVERITY_EVIDENCE),
        *with_evidence("rt", prior, _RT),
        *with_evidence("risk", risk, RISK_EVIDENCE),
        *with_evidence("importation", course, COURSE_EVIDENCE),
        *with_evidence("importation", {"ascertainment": settings.ascertainment, "found": settings.found}, SETTINGS_EVIDENCE),
        *with_evidence("importation", {"scale_sd": SCALE_SD, "size_median": SIZE_MEDIAN, "size_sd": SIZE_SD}, PRIOR_EVIDENCE),
        *with_evidence(
            "world",
            {
                "contacts": ALIKE,
                "commuting_by_age": ByAge(value=TRAVEL, from_age=TRAVEL_FROM),
                "weekend": calendar.weekend,
                "commuting_weekend": calendar.commuting_weekend,
            },
            _WORLD,
        ),
    )


def text_of(value: object) -> str:
    """A number as the page shows it.

    >>> text_of(ByAge(value=(0.5, 0.25), from_age=(0, 65))), text_of((10.0, 50.0))
    ('0-64: 0.5, 65+: 0.25', '10, 50')
    """
    if isinstance(value, ByAge):
        if len(value.value) == 1:
            return f"{value.value[0]:g}"
        bands = [*(f"{low}-{high - 1}" for low, high in pairwise(value.from_age)), f"{value.from_age[-1]}+"]
        return ", ".join(f"{band}: {one:g}" for band, one in zip(bands, value.value, strict=True))
    if isinstance(value, dict):
        return ", ".join(f"{key}: {text_of(one)}" for key, one in value.items())
    if isinstance(value, tuple):
        return ", ".join(text_of(one) for one in value)
    return value.isoformat() if isinstance(value, date) else f"{value:g}" if isinstance(value, int | float) else str(value)


def page() -> str:
    """The page ``docs/epidemic-numbers.md``."""
    return "\n".join(_lines(all_numbers())) + "\n"


def _lines(numbers: Iterable[Number]) -> Iterator[str]:
    rows = tuple(numbers)
    counts = Counter(n.evidence.status for n in rows if n.evidence)
    yield "# What the numbers of disease rest on"
    yield ""
    yield "This page is written by `python -m oneteam.epidemic.service.numbers`; a test compares it with the code."
    yield ""
    yield f"Of {len(rows)} numbers (a list by age counts as one):"
    yield ""
    yield f"- {counts['confirmed']} are **confirmed**: the source gives them as they are used;"
    yield f"- {counts['derived']} are **derived**: they follow from the source by the formula;"
    yield f"- {counts['assumed']} are **assumed**: no source gives them, and the reason says why the value is reasonable."
    yield ""
    yield "Sources were looked up in stored copies: abstracts, tables, and data sets or code that restate a paper's table. Where only a"
    yield "restatement was at hand, it is named. Replace what you know better: copy a model, or give your own `--severity`,"
    yield "`--serial-mean`, `--ascertainment`."
    for section, title in TITLES.items():
        yield from ("", f"## {title}", "", "| number | value | status | source, formula or reason |", "|---|---|---|---|")
        for number in rows:
            first, _, rest = number.path.partition(".")
            if first == section and number.evidence:
                yield f"| `{rest}` | {text_of(number.value)} | {number.evidence.status} | {number.evidence.text} |"


if __name__ == "__main__":
    sys.stdout.write(page())
