"""Risk levels by rules that anyone can check.

1. Cases of the last 7 days per 100,000 inhabitants: below 10 is level 1 (low), below 50 level 2 (moderate), below 100 level 3 (high), else
   level 4 (very high). These are the limits of the CDC's levels of community transmission (2020-2022).
2. One level more when the reproduction number is above 1 with a probability of 0.9 or more, and one less when it is 0.1 or less.
3. At least level 3 when the threshold is reached next week with a probability of 0.5 or more.

Without a population only rules 2 and 3 apply, from level 2.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, Literal

from oneteam.epidemic.models.evidence import Evidence

Severity = Literal["Extreme", "Severe", "Moderate", "Minor", "Unknown"]
Certainty = Literal["Observed", "Likely", "Possible", "Unlikely", "Unknown"]

LIMITS_PER_100K: Final = (10.0, 50.0, 100.0)
RISING: Final = 0.9
FALLING: Final = 0.1
EXPECTED: Final = 0.5
RISK_EVIDENCE: Final[Mapping[str, Evidence]] = MappingProxyType(
    {
        "limits_per_100k": Evidence(
            status="confirmed",
            source="CDC, county level of community transmission, 2021-2022: below 10, 50, 100 new cases in 7 days, 100 and more",
        ),
        "rising": Evidence(status="assumed", reason="nine to one is a usual line for likely"),
        "falling": Evidence(status="assumed", reason="the mirror of rising"),
        "expected": Evidence(status="assumed", reason="more likely than not"),
    }
)
"""What each limit above rests on. Positive tests, the CDC's second measure, are not used."""
NAMES: Final = ("low", "moderate", "high", "very high")
NAMES_KO: Final = ("낮음", "보통", "높음", "매우 높음")


def risk_level(weekly_per_100k: float, probability_rising: float, probability_threshold: float) -> int:
    """Level 1 to 4; NaN stands for what is not known.

    Args:
        weekly_per_100k: cases of the last 7 days per 100,000 inhabitants.
        probability_rising: that the reproduction number is above 1.
        probability_threshold: that the threshold is reached next week.

    >>> risk_level(60.0, 0.95, 0.1), risk_level(60.0, 0.05, 0.1), risk_level(5.0, 0.5, 0.8)
    (4, 2, 3)
    """
    level = 2 if math.isnan(weekly_per_100k) else 1 + sum(weekly_per_100k >= limit for limit in LIMITS_PER_100K)
    if probability_rising >= RISING:
        level += 1
    elif probability_rising <= FALLING:
        level -= 1
    if probability_threshold >= EXPECTED:
        level = max(level, 3)
    return int(min(4, max(1, level)))  # a sum of NumPy truth values is no int that JSON knows


def cap_severity(level: int) -> Severity:
    """Severity of an alert (CAP 1.2, 3.2.2) for a risk level."""
    words: tuple[Severity, ...] = ("Minor", "Minor", "Moderate", "Severe")
    return words[level - 1]


def cap_certainty(probability: float) -> Certainty:
    """Certainty of an alert: likely is above one half (CAP 1.2, 3.2.2)."""
    if math.isnan(probability):
        return "Unknown"
    return "Likely" if probability > 0.5 else "Possible"
