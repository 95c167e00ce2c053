"""What this member holds, and how good it is; its own datasets and nobody else's."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from oneteam.app.oversight import Oversight
from oneteam.core.errors import OneteamError
from oneteam.core.model import Text
from oneteam.privacy.policy import LocalLimits
from oneteam.telecom.service.inspect import Quality, quality_of

MANIFEST: Final = "manifest.json"
WITH_REPORT: Final = "telecom"
MOST_GAPS: Final = 31


@dataclass(frozen=True)
class DatasetView:
    """A dataset of the own home.

    Args:
        name: as Agreements call it.
        title: for people.
        part: which part reads it.
        privacy_unit: whom one contribution belongs to.
        quality: what it holds and what was kept out of it; None when there is no such report.
        fault: why the report cannot be made.
        spent: what all Releases together have cost it, in rho.
    """

    name: str
    title: Text
    part: str
    privacy_unit: str
    quality: Quality | None
    fault: str
    spent: float

    @property
    def gaps(self) -> list[str]:
        """The first days without data, in the middle of days with."""
        return self.quality.empty_days[:MOST_GAPS] if self.quality else []

    @property
    def more_gaps(self) -> int:
        """How many more there are."""
        return max(0, len(self.quality.empty_days) - MOST_GAPS) if self.quality else 0


class Qualities:
    """Quality reports, kept until their dataset changes."""

    def __init__(self) -> None:
        self._kept: dict[Path, tuple[tuple[int, int], Quality]] = {}

    def of(self, folder: Path) -> Quality:
        """The quality of a dataset.

        Raises:
            NothingFoundError: no dataset there.
        """
        try:
            stat = (folder / MANIFEST).stat()
        except OSError:
            return quality_of(folder)  # which says what is missing
        seen = (stat.st_mtime_ns, stat.st_size)
        kept = self._kept.get(folder)
        if kept is None or kept[0] != seen:
            kept = self._kept[folder] = (seen, quality_of(folder))
        return kept[1]


def datasets_of(own: Oversight, qualities: Qualities) -> tuple[DatasetView, ...]:
    """Every dataset that ``member.toml`` names."""
    home = own.home
    found = []
    for name, settings in home.settings.datasets.items():
        quality, fault = None, ""
        if settings.part == WITH_REPORT:
            try:
                quality = qualities.of(home.dataset_path(name))
            except OneteamError as err:
                fault = err.message
        found.append(
            DatasetView(
                name, settings.title or Text(en=name), settings.part, settings.privacy_unit, quality, fault, own.dataset_spent(name)
            )
        )
    return tuple(found)


def limits_of(limits: LocalLimits) -> list[tuple[str, str]]:
    """The owner's limits: name and value; an empty value where there is none.

    >>> limits_of(LocalLimits(measures=("od", "presence")))[3]
    ('measures', 'od, presence')
    """
    found = []
    for name, value in limits.model_dump(mode="json").items():
        if isinstance(value, bool):
            text = "yes" if value else "no"
        elif isinstance(value, list):
            text = ", ".join(map(str, value))
        else:
            text = "" if value is None else f"{value}"
        found.append((name, text))
    return found
