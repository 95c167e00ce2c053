"""What carriers are asked to tell their travellers, what they answer, and how many there are."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, Final, Literal

from pydantic import Field

from oneteam.core.canonical import content_id
from oneteam.core.model import Command, Context, Document, Release, Rho, Slug, Text
from oneteam.privacy.commands import MAX_COMMAND_LIFE
from oneteam.privacy.policy import Kept
from oneteam.telecom.notices.countries import country_code

LIFE: Final = timedelta(hours=24)
NO_WORDS: Final = Text(en="")
Answered = Literal["accepted", "refused", "unanswered"]


@dataclass(frozen=True)
class NoticeTerms:
    """Who shall be told what.

    Args:
        countries: ISO 3166-1 alpha-2 codes, or common English or Korean names.
        within_days: how far back from ``as_of`` a stay there counts [d]; 0 = only the day itself.
        as_of: the last day that counts.
        text: the words to be told.
    """

    countries: tuple[str, ...]
    within_days: int
    as_of: date
    text: Text = NO_WORDS

    @property
    def codes(self) -> tuple[str, ...]:
        """The countries' codes, each once.

        Raises:
            UnknownValueError: an unknown country.
        """
        return tuple(sorted({country_code(name) for name in self.countries}))

    @property
    def first_day(self) -> date:
        """First day that counts."""
        return self.as_of - timedelta(days=self.within_days)

    def settings(self, kept: Kept) -> dict[str, str | float | bool]:
        """As a Command says it, under an Agreement."""
        return {
            "agreement": kept.id,
            "purpose": kept.agreement.purpose,
            "countries": ",".join(self.codes),
            "within_days": float(self.within_days),
            "as_of": self.as_of.isoformat(),
            "text": self.text.en,
            "text_ko": self.text.ko,
        }


@dataclass(frozen=True)
class NoticeAnswer:
    """What a carrier said to a Command.

    Args:
        member: the carrier.
        command: what it was asked; its context is this step.
        answered: ``unanswered`` when no answer came: the carrier may have been away, and may act until the Command ends.
        code: of the error that came back; empty when accepted.
        message: for people.
        reasons: codes of all reasons, for a refusal.
    """

    member: str
    command: Command
    answered: Answered
    code: str = ""
    message: str = ""
    reasons: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """For files and ``--json``."""
        told: dict[str, Any] = {"member": self.member, "answered": self.answered, "command": self.command.model_dump(mode="json")}
        if self.answered != "accepted":
            told["refusal"] = {"code": self.code, "message": self.message, "reasons": list(self.reasons)}
        return told


@dataclass(frozen=True)
class NoticeCount:
    """How many were on the lists of some carriers, by a Release; or why nobody says.

    Args:
        members: the carriers.
        release: None when it was refused or failed.
        value: noised, so perhaps negative; a traveller counts once for each of the countries. None below the agreed smallest count.
        std: of the noise.
        code: of the error; empty with a Release.
        message: for people.
    """

    members: tuple[str, ...]
    release: Release | None = None
    value: int | None = None
    std: float | None = None
    code: str = ""
    message: str = ""

    def as_dict(self) -> dict[str, Any]:
        """For files and ``--json``."""
        if self.release is None:
            return {"members": list(self.members), "refusal": {"code": self.code, "message": self.message}}
        return {"members": list(self.members), "value": self.value, "std": self.std, "release": content_id(self.release)}


@dataclass(frozen=True)
class Notices:
    """Everything that came of asking carriers to notify.

    Args:
        cause: the step on which the Commands hang.
        answers: by carrier.
        counts: each carrier's own or one of all together, as the Agreement has it; none when no count was wanted or nobody accepted.
    """

    cause: Context
    answers: tuple[NoticeAnswer, ...]
    counts: tuple[NoticeCount, ...]

    @property
    def contexts(self) -> tuple[Context, ...]:
        """The steps in order: the Commands', then the counts'."""
        commands = [answer.command.context for answer in self.answers]
        releases = [count.release.context for count in self.counts if count.release is not None]
        return tuple(step for step in (*commands, *releases) if step is not None)

    def rows(self) -> list[dict[str, Any]]:
        """One for each carrier with its count, or the count that it is part of."""
        count_of = {member: count for count in self.counts for member in count.members}
        return [
            answer.as_dict() | ({"count": count_of[answer.member].as_dict()} if answer.member in count_of else {})
            for answer in self.answers
        ]

    def as_dict(self) -> dict[str, Any]:
        """For files, the desk and ``--json``."""
        return {
            "cause": self.cause.model_dump(mode="json"),
            "notices": self.rows(),
            "releases": [count.release.model_dump(mode="json") for count in self.counts if count.release is not None],
        }


class NoticeWish(Document):
    """What a desk is asked: `NoticeTerms`, and how.

    Args:
        countries: as in `NoticeTerms`.
        within_days: likewise.
        as_of: likewise; the node's present day (UTC) when None.
        text: likewise.
        carriers: whom to ask; all contributors when empty.
        agreement: the beginning of its id, where several fit.
        hours: how long the Commands are good for.
        cause: the step that calls for it.
        count: also ask for the number, which costs.
        rho: what each Release of it shall cost.
        attempts: how often to try when members drop out.
    """

    countries: tuple[str, ...] = Field(min_length=1)
    within_days: int = Field(default=14, ge=0, le=365)
    as_of: date | None = None
    text: Text = NO_WORDS
    carriers: tuple[Slug, ...] = ()
    agreement: str | None = None
    hours: float = Field(default=LIFE / timedelta(hours=1), gt=0, le=MAX_COMMAND_LIFE / timedelta(hours=1))
    cause: Context | None = None
    count: bool = True
    rho: Rho | None = None
    attempts: int = Field(default=1, ge=1, le=10)
