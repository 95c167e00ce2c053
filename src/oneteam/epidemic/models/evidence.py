"""What a number rests on: seen in its source, worked out from it, or assumed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, model_validator

Status = Literal["confirmed", "derived", "assumed"]


class Evidence(BaseModel):
    """What one number, or one list by age, rests on.

    Args:
        status: ``confirmed`` stands in the source as it is used here; ``derived`` follows from the source by the formula; ``assumed``
            has no source that gives it.
        source: publication and where in it. Needed by confirmed and derived numbers.
        formula: how the number follows. Needed by derived numbers.
        reason: why the number is reasonable. Needed by assumed numbers.

    >>> Evidence(status="confirmed", source="Biggerstaff et al. 2014, BMC Infect Dis 14:480, abstract").status
    'confirmed'
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    status: Status
    source: str = ""
    formula: str = ""
    reason: str = ""

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.status != "assumed" and not self.source.strip():
            raise ValueError(f"a {self.status} number needs its source")
        if self.status == "derived" and not self.formula.strip():
            raise ValueError("a derived number needs its formula")
        if self.status == "assumed" and not self.reason.strip():
            raise ValueError("an assumed number needs the reason why it is reasonable")
        return self

    @property
    def text(self) -> str:
        """Source, formula and reason in one line."""
        return ". ".join(part for part in (self.source, self.formula, self.reason) if part)


@dataclass(frozen=True)
class Number:
    """A number that the package brings along.

    Args:
        path: where it stands.
        value: one number, a day, or a list by age.
        evidence: what it rests on; None where nothing is said.
    """

    path: str
    value: object
    evidence: Evidence | None


def with_evidence(table: str, values: Mapping[str, object], evidence: Mapping[str, Evidence]) -> tuple[Number, ...]:
    """Numbers of a table beside what they rest on.

    >>> with_evidence("risk", {"rising": 0.9}, {"rising": Evidence(status="assumed", reason="round")})[0].path
    'risk.rising'
    """
    return tuple(Number(f"{table}.{name}", value, evidence.get(name)) for name, value in values.items())
