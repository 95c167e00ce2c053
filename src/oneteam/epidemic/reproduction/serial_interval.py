"""Serial intervals: days from a case to the cases that it causes."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

import numpy as np
import numpy.typing as npt
from scipy.special import gammainc, gammaincinv

from oneteam.core.errors import UnknownValueError
from oneteam.epidemic.models.evidence import Evidence

Floats = npt.NDArray[np.float64]

TAIL: Final = 1e-6
"""The distribution ends at the day that so small a share of intervals exceeds."""


@dataclass(frozen=True)
class SerialInterval:
    """A gamma distribution of days.

    Args:
        mean_d: mean [d].
        sd_d: standard deviation [d].
        source: where the numbers are from.

    >>> SerialInterval(3.6, 1.6, "").weights().round(3).tolist()[:4]
    [0.001, 0.058, 0.208, 0.267]
    """

    mean_d: float
    sd_d: float
    source: str

    def __post_init__(self) -> None:
        """Refuse what is no distribution."""
        if not (self.mean_d > 0 and self.sd_d > 0):
            raise UnknownValueError(f"serial interval of mean {self.mean_d:g} d, standard deviation {self.sd_d:g} d: both must be above 0")

    def weights(self) -> Floats:
        """Share of intervals by whole day, from 0 on, rounded to the nearest day; sums to 1."""
        shape = (self.mean_d / self.sd_d) ** 2
        scale = self.sd_d**2 / self.mean_d
        last = int(np.ceil(gammaincinv(shape, 1 - TAIL) * scale))
        mass = np.diff(gammainc(shape, (np.arange(last + 1) + 0.5) / scale), prepend=0.0)
        return np.asarray(mass / mass.sum())


SERIAL_INTERVALS: Final = MappingProxyType(
    {
        "covid19-wild": SerialInterval(4.7, 2.9, "Nishiura, Linton and Akhmetzhanov 2020, Int J Infect Dis 93:284"),
        "covid19-omicron": SerialInterval(3.5, 2.4, "Backer and others 2022, Euro Surveill 27(6):2200042; SD assumed"),
        "influenza": SerialInterval(3.6, 1.6, "Cowling and others 2009, Epidemiology 20:344"),
    }
)
"""By disease."""

_NISHIURA: Final = Evidence(
    status="confirmed",
    source="Nishiura, Linton and Akhmetzhanov 2020, Int J Infect Dis 93:284, all 28 pairs, log-normal: mean 4.7 (3.7-6.0), SD 2.9 "
    "(1.9-4.9); read in epiparameterDB",
)
_COWLING: Final = Evidence(
    status="confirmed",
    source="Cowling and others 2009, Epidemiology 20:344, abstract: 14 household pairs, Weibull, mean 3.6 (2.9-4.3), SD 1.6",
)
SERIAL_INTERVAL_EVIDENCE: Final = MappingProxyType(
    {
        "covid19-wild.mean_d": _NISHIURA,
        "covid19-wild.sd_d": _NISHIURA,
        "covid19-omicron.mean_d": Evidence(
            status="confirmed",
            source="Backer and others 2022, Euro Surveill 27(6):2200042, as given by Park and others 2023, PNAS 120:e2221887120: "
            "observed mean 3.5",
        ),
        "covid19-omicron.sd_d": Evidence(
            status="assumed", reason="no standard deviation could be read; 2.4 is 0.69 of the mean, a little more than the 0.62 of 2020"
        ),
        "influenza.mean_d": _COWLING,
        "influenza.sd_d": _COWLING,
    }
)
"""What each number above rests on. The gamma shape is ours: only mean and standard deviation are taken over."""
