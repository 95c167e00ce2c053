"""What a carrier's own machines do when a health agency asks: lists for its own messaging system. Nothing is given back.

The Command names countries and days; who is on the list stays here, in a file that its owner alone may read, beside the words that they
shall be told. How many they are is asked for as anything else: by a Query of the measure ``travellers``, through the privacy gate.
"""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path
from typing import Annotated, Final

from pydantic import Field, StringConstraints, ValidationError, field_validator

from oneteam.core.canonical import canonical
from oneteam.core.errors import RefusedError, WrongTypeError
from oneteam.core.model import Agreement, Command, Document, Lines, Sha256
from oneteam.privacy.levels import measure_of
from oneteam.privacy.signing import complaints
from oneteam.store.tables import write_atomically
from oneteam.telecom.notices.countries import country_code
from oneteam.telecom.service.notify import notify_travellers

MEASURE: Final = "travellers"
MAX_TEXT: Final = 2000
MAX_WITHIN_DAYS: Final = 365


class TravellersAsked(Document):
    """The settings of a Command ``notify_travellers``.

    Args:
        agreement: id of the Agreement that allows it.
        purpose: must be the Agreement's.
        countries: ISO 3166-1 alpha-2 codes or common names, joined by commas.
        within_days: how far back from ``as_of`` a stay abroad counts [d]; 0 = only the day itself.
        as_of: the last day that counts, at home.
        text: what the subscribers shall be told, in the agency's words.
        text_ko: the same in Korean.

    >>> asked = TravellersAsked(agreement="0" * 64, purpose="dpv:PublicBenefit", countries="VN, 중국", within_days=14.0, as_of="2026-03-01")
    >>> asked.codes, asked.first_day.isoformat(), asked.days
    (('CN', 'VN'), '2026-02-15', 15)
    """

    agreement: Sha256
    purpose: str
    countries: Annotated[str, StringConstraints(min_length=2, max_length=4000)]
    within_days: int = Field(ge=0, le=MAX_WITHIN_DAYS)
    as_of: date
    text: Annotated[Lines, StringConstraints(max_length=MAX_TEXT)] = ""
    text_ko: Annotated[Lines, StringConstraints(max_length=MAX_TEXT)] = ""

    @field_validator("as_of", mode="before")
    @classmethod
    def _day(cls, given: object) -> object:
        if not isinstance(given, date) and not (isinstance(given, str) and len(given) == len("2026-03-01")):
            raise ValueError("must be a day like 2026-03-01")
        return given

    @property
    def codes(self) -> tuple[str, ...]:
        """The countries' codes, each once.

        Raises:
            UnknownValueError: an unknown country.
        """
        return tuple(sorted({country_code(text) for text in self.countries.split(",") if text.strip()}))

    @property
    def days(self) -> int:
        """Length of the window."""
        return self.within_days + 1

    @property
    def first_day(self) -> date:
        """First day of the window."""
        return self.as_of - timedelta(days=self.within_days)


class TravellersNotice:
    """Writes the list of own subscribers who were in some countries.

    Args:
        dataset: the carrier's.
    """

    def __init__(self, dataset: Path) -> None:
        self._dataset = dataset

    def check(self, command: Command, agreement: Agreement) -> None:
        """Refuse settings that cannot be, and countries or days beyond what may be counted under the Agreement.

        Raises:
            WrongTypeError, UnknownValueError: a setting that is missing, unknown or impossible.
            RefusedError: ``command.countries``, ``command.days``.
        """
        asked = travellers_asked(command)
        measure = measure_of(agreement, MEASURE)
        agreed = set(measure.filters.get("country", ()))
        if "country" in measure.dimensions:
            domain = agreement.dimensions.get(measure.domains.get("country", "country"))
            agreed |= set(domain.codes if domain else ())
        beyond = [code for code in asked.codes if code not in agreed]
        reasons = {
            "command.countries": f"{', '.join(beyond)} not agreed" if beyond else "",
            "command.days": f"{asked.days} days, at most {measure.max_days} are agreed" if asked.days > measure.max_days else "",
        }
        broken = {code: text for code, text in reasons.items() if text}
        if broken:
            raise RefusedError(f"refused ({', '.join(broken)}): {'; '.join(broken.values())}", reasons=tuple(broken))

    def carry_out(self, command: Command, folder: Path) -> None:
        """Write ``ID.csv``, the list, and ``ID.json``, the Command with the words to be told; ID is that of the Command's context.

        The list comes last: who picks up lists finds the words beside each.

        Raises:
            NothingFoundError: the dataset has no outbound roaming records.
            DiskFullError: no room; neither file stands there.
        """
        asked = travellers_asked(command)
        assert command.context is not None, "checked before"
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        words = folder / f"{command.context.id}.json"
        try:
            write_atomically(words, canonical(command), mode=0o600)
            notify_travellers(self._dataset, asked.codes, asked.within_days, asked.as_of, words.with_suffix(".csv"))
        except BaseException:
            words.unlink(missing_ok=True)
            raise


def travellers_asked(command: Command) -> TravellersAsked:
    """The settings of a Command.

    Raises:
        WrongTypeError: a setting that is missing, unknown or impossible.
        UnknownValueError: an unknown country, or none.
    """
    try:
        asked = TravellersAsked.model_validate(command.settings)
    except ValidationError as err:
        raise WrongTypeError(f"not the settings of notify_travellers: {complaints(err)}", hint="See docs/notices.md.") from err
    if not asked.codes:
        raise WrongTypeError("no country given", hint="Give one or more, such as VN or TH.")
    return asked


def travellers_notice(dataset: Path) -> TravellersNotice:
    """The handler of ``notify_travellers`` for one dataset."""
    return TravellersNotice(dataset)
