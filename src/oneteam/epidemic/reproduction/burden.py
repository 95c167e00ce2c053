"""Hospital burden expected from cases, by age. Severity is not estimated here but taken over; what it rests on stands beside it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

import numpy as np

from oneteam.core.errors import UnknownValueError
from oneteam.epidemic.models.evidence import Evidence

OLDEST: Final = 100
_BAND: Final = re.compile(r"^(\d+)\s*(?:-\s*(\d+)|\+)$")


@dataclass(frozen=True)
class Severity:
    """Share of infected (or ill) people who are admitted to hospital, by age.

    Args:
        from_age: lower ends of the age bands, ascending, the first 0.
        admitted: best estimates.
        low: lower ends of the 95% intervals.
        high: upper ends.
        per: what the shares are of.
        source: where the numbers are from.
    """

    from_age: tuple[int, ...]
    admitted: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]
    per: str
    source: str


SEVERITY: Final[Mapping[str, Severity]] = MappingProxyType(
    {
        "covid19-wild": Severity(
            (0, 10, 20, 30, 40, 50, 60, 70, 80),
            (0.0, 0.000408, 0.0104, 0.0343, 0.0425, 0.0816, 0.118, 0.166, 0.184),
            (0.0, 0.000243, 0.00622, 0.0204, 0.0253, 0.0486, 0.0701, 0.0987, 0.110),
            (0.0, 0.000832, 0.0213, 0.0700, 0.0868, 0.167, 0.240, 0.338, 0.376),
            "infection, before vaccines",
            "Verity and others 2020, Lancet Infect Dis 20:669, table 3",
        ),
        "influenza": Severity(
            (0, 5, 18, 50, 65),
            (0.00697, 0.00274, 0.00561, 0.0106, 0.0909),
            (0.00697, 0.00274, 0.00561, 0.0106, 0.0909),
            (0.00697, 0.00274, 0.00561, 0.0106, 0.0909),
            "symptomatic illness",
            "CDC, estimated flu burden 2018-19 (final), table 1: hospitalizations over symptomatic illnesses (no interval)",
        ),
    }
)
"""By disease. None for covid19-omicron: it depends on who was vaccinated when."""

_VERITY: Final = Evidence(
    status="confirmed",
    source="Verity and others 2020, Lancet Infect Dis 20:669, table 3: proportion of infected individuals hospitalised, 95% interval",
)
_CDC: Final = Evidence(
    status="derived",
    source="CDC, estimated flu burden 2018-19 (final), table 1",
    formula="hospitalizations over symptomatic illnesses: 21046/3018815, 18159/6622851, 54978/9794700, 76617/7224769, 204326/2247586",
)
_NO_INTERVAL: Final = Evidence(
    status="assumed",
    reason="equal to the best estimate: the intervals of illnesses and hospitalizations move together, and none is given for their ratio",
)
SEVERITY_EVIDENCE: Final[Mapping[str, Evidence]] = MappingProxyType(
    {
        "covid19-wild.admitted": _VERITY,
        "covid19-wild.low": _VERITY,
        "covid19-wild.high": _VERITY,
        "influenza.admitted": _CDC,
        "influenza.low": _NO_INTERVAL,
        "influenza.high": _NO_INTERVAL,
    }
)
"""What each list above rests on."""


@dataclass(frozen=True)
class Burden:
    """Expected admissions of the given cases; ``assumed`` is always true."""

    admissions: float
    low: float
    high: float
    per_case: float
    source: str
    assumed: bool = True


def band_of(text: str) -> tuple[int, int]:
    """First and last age of a band such as ``0-9`` or ``80+``.

    >>> band_of("0-9"), band_of("80+")
    ((0, 9), (80, 100))
    """
    found = _BAND.match(text.strip())
    if not found:
        raise UnknownValueError(f"age band {text!r}: must be like 0-9 or 80+")
    first = int(found[1])
    last = int(found[2]) if found[2] else OLDEST
    if last < first:
        raise UnknownValueError(f"age band {text!r}: ends before it begins")
    return first, last


def expected_burden(cases: float, shares: Mapping[str, float], severity: Severity) -> Burden:
    """Admissions among cases of known ages.

    Args:
        cases: how many.
        shares: of the cases by age band; scaled to sum to 1.
        severity: by age; within a band, ages count alike.

    Raises:
        UnknownValueError: a negative share, no share above 0, or a band that is none.

    >>> found = expected_burden(1000.0, {"0-9": 1.0, "80+": 1.0}, SEVERITY["covid19-wild"])
    >>> round(found.admissions, 1), found.assumed
    (92.0, True)
    """
    for band, share in shares.items():
        if not 0 <= share < np.inf:
            raise UnknownValueError(f"ages of cases: the share of {band} is {share:g}, must be 0 or more")
    total = sum(shares.values())
    if not total > 0:
        raise UnknownValueError("ages of cases: no share is above 0")
    rate = np.zeros(3)
    start = np.array(severity.from_age)
    table = np.array([severity.admitted, severity.low, severity.high])
    for band, share in shares.items():
        first, last = band_of(band)
        at = np.searchsorted(start, np.arange(first, last + 1), side="right") - 1
        rate += share / total * table[:, at].mean(axis=1)
    middle, low, high = (cases * rate).tolist()
    return Burden(middle, low, high, float(rate[0]), f"{severity.source}; per {severity.per}")
