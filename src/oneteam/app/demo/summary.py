"""What a demonstration found, and how right it was."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class DemoSummary:
    """The end of a demonstration.

    Args:
        folder: where everything stands.
        sentences: the study's three, by language.
        forecast: scores against what happened then: ``relative_wis`` below 1 beats the baseline; None where it was not compared.
        od_error: absolute error of trips between districts, as a share of all trips; sums made equal.
        od_correlation: with the true trips.
        importation_rank_correlation: Spearman's, of origins by expected and by true imported infections.
        rho_spent: privacy budget of all Releases (zCDP).
        largest_epsilon: of any one Release.
        releases: how many.
        refusals: how many questions were refused.
        seconds: of the whole demonstration.
        steps_s: seconds by step.
    """

    folder: Path
    sentences: dict[str, list[str]]
    forecast: dict[str, Any] | None
    od_error: float | None
    od_correlation: float | None
    importation_rank_correlation: float | None
    rho_spent: float | None
    largest_epsilon: float | None
    releases: int
    refusals: int
    seconds: float
    steps_s: dict[str, float]

    def as_dict(self) -> dict[str, Any]:
        """As ``--json`` prints it."""
        return {"format": "oneteam-demo-summary/1", **asdict(self), "folder": str(self.folder)}

    def lines(self) -> list[str]:
        """For people."""
        told = [f"• {sentence}" for sentence in self.sentences.get("en", [])]
        told.append("How right it was, now that the truth is known:")
        scores = self.forecast or {}
        # A trip in the wrong place is missing in one and too many in another.
        misplaced = None if self.od_error is None else self.od_error / 2
        told.append(
            f"  forecast     {_number(scores.get('relative_wis'))} of the baseline's error (weighted interval score; below 1 is better), "
            f"{_share(scores.get('coverage_95'))} of outcomes in the 95% interval"
        )
        told.append(
            f"  trips        {_share(misplaced)} of a week's trips between the wrong districts, correlation {_number(self.od_correlation)}"
        )
        told.append(f"  importation  rank correlation {_number(self.importation_rank_correlation)} between expected and true origins")
        told.append(
            f"  privacy      rho {_number(self.rho_spent)} in {self.releases} Releases, none above epsilon {_number(self.largest_epsilon)}"
            + (f"; {self.refusals} questions refused" if self.refusals else "")
        )
        told.append(f"{self.seconds:.0f} s; everything is in {self.folder}")
        return told


def read_summary(folder: Path, study: Path, seconds: float, steps_s: dict[str, float]) -> DemoSummary:
    """Put together what the study wrote; what it did not write is None.

    Args:
        folder: of the demonstration.
        study: of its study.
        seconds: of the whole demonstration.
        steps_s: seconds by step.
    """
    summary, truth, provenance = (_read(study / name) for name in ("summary.json", "truth/truth.json", "provenance.json"))
    od, privacy = truth.get("od", {}), truth.get("privacy", {})
    periods = od.get("mean_of_periods", {})
    forecast = truth.get("forecast", {})
    return DemoSummary(
        folder=folder,
        sentences=summary.get("sentences", {}),
        forecast=None if not forecast or "not_compared" in forecast else forecast,
        od_error=periods.get("error"),
        od_correlation=periods.get("correlation"),
        importation_rank_correlation=truth.get("importation", {}).get("spearman"),
        rho_spent=provenance.get("rho_spent", privacy.get("rho")),
        largest_epsilon=privacy.get("largest_epsilon"),
        releases=len(provenance.get("releases", [])) or int(privacy.get("releases", 0)),
        refusals=len(provenance.get("refusals", [])),
        seconds=round(seconds, 1),
        steps_s={name: round(s, 1) for name, s in steps_s.items()},
    )


def _read(path: Path) -> dict[str, Any]:
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return told if isinstance(told, dict) else {}


def _number(value: object) -> str:
    return f"{value:.2f}" if isinstance(value, int | float) else "not known"


def _share(value: object) -> str:
    return f"{100 * value:.0f}%" if isinstance(value, int | float) else "not known"
