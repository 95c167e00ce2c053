"""Words in English and Korean: both in one page with a switch, or one alone."""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final

from oneteam.core.errors import UnknownValueError
from oneteam.core.model import Text

LANGUAGES: Final = {"en": "English", "ko": "한국어"}
_MONTHS: Final = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December",
)  # fmt: skip


def words(en: str, ko: str) -> Text:
    """The same words in both languages."""
    return Text(en=en, ko=ko)


def same(text: str) -> Text:
    """Words that need no translation, such as a code or a number."""
    return Text(en=text, ko=text)


def joined(parts: Sequence[Text], en: str = ", ", ko: str = ", ") -> Text:
    """Several texts in a row.

    >>> joined([words("one", "하나"), words("two", "둘")]).ko
    '하나, 둘'
    """
    return Text(en=en.join(p.en for p in parts), ko=ko.join(p.ko for p in parts))


def day_words(day: date) -> Text:
    """A date as people write it.

    >>> day_words(date(2022, 7, 9))
    Text(en='9 July 2022', ko='2022년 7월 9일')
    """
    return Text(en=f"{day.day} {_MONTHS[day.month - 1]} {day.year}", ko=f"{day.year}년 {day.month}월 {day.day}일")


def short_day(day: date) -> Text:
    """A date on an axis.

    >>> short_day(date(2022, 7, 9)).en
    '9 Jul'
    """
    return Text(en=f"{day.day} {_MONTHS[day.month - 1][:3]}", ko=f"{day.month}.{day.day}.")


def percent(share: float) -> str:
    """A probability or share; never a certainty that no forecast can have.

    >>> percent(0.874), percent(0.9999), percent(0.0001), percent(0.0)
    ('87%', '>99%', '<1%', '<1%')
    """
    if share > 0.995:
        return ">99%"
    if share < 0.005:
        return "<1%"
    return f"{100 * share:.0f}%"


def points(change: float) -> str:
    """A change of a probability in percentage points, with its sign.

    >>> points(0.071), points(-0.2), points(0.0)
    ('+7', '−20', '±0')
    """
    whole = round(100 * change)
    return "±0" if whole == 0 else f"{'+' if whole > 0 else '−'}{abs(whole)}"


def count(value: float) -> str:
    """A number of people to three digits, as an estimate should be read.

    >>> count(1234567.0), count(12.4), count(0.26), count(-1234.0)
    ('1,230,000', '12', '0.26', '−1,230')
    """
    size = abs(value)
    if size >= 1_000:
        digits = len(str(int(size))) - 3
        text = f"{round(size, -digits):,.0f}"
    elif size >= 10 or size == int(size):
        text = f"{size:.0f}"
    else:
        text = f"{size:.2g}"
    return f"−{text}" if value < 0 and float(text.replace(",", "")) != 0 else text


def topic(word: str) -> str:
    """A Korean word with its topic particle: 은 after a final consonant, 는 after a vowel.

    >>> topic("재택근무"), topic("휴교 및 검사·격리 60%"), topic("이동 감축")
    ('재택근무는', '휴교 및 검사·격리 60%는', '이동 감축은')
    """
    last = ord(word[-1]) - 0xAC00
    return word + ("은" if 0 <= last <= 11171 and last % 28 else "는")


@dataclass(frozen=True)
class Voice:
    """Which languages a page speaks.

    Args:
        languages: ``en``, ``ko`` or both; the first is shown at first.

    >>> Voice(("ko",)).text(words("a < b", "가 < 나"))
    '가 &lt; 나'
    >>> Voice(("en", "ko")).text(words("yes", "예"))
    '<span class="en" lang="en">yes</span><span class="ko" lang="ko">예</span>'
    """

    languages: tuple[str, ...] = ("en", "ko")

    @classmethod
    def parse(cls, text: str) -> Voice:
        """``en``, ``ko``, ``both``, or both in order with a comma.

        Raises:
            UnknownValueError: something else.

        >>> Voice.parse("both").languages, Voice.parse("ko,en").languages
        (('en', 'ko'), ('ko', 'en'))
        """
        found = tuple(LANGUAGES) if text == "both" else tuple(part.strip() for part in text.split(","))
        if not found or len(set(found)) != len(found) or not set(found) <= set(LANGUAGES):
            raise UnknownValueError(f"--lang {text}: must be en, ko, both, or both in order such as ko,en")
        return cls(found)

    def text(self, text: Text) -> str:
        """Words inside HTML; what is special in HTML is escaped."""
        return self.rich(Text(en=html.escape(text.en), ko=html.escape(text.ko)))

    def rich(self, text: Text) -> str:
        """Words that are HTML already."""
        return self._tagged(text, "span")

    def drawn(self, text: Text) -> str:
        """Words inside an SVG text."""
        return self._tagged(Text(en=html.escape(text.en), ko=html.escape(text.ko)), "tspan")

    def plain(self, text: Text) -> str:
        """Words where no element can stand: titles, attributes."""
        found = list(dict.fromkeys(getattr(text, code) for code in self.languages))
        return html.escape(" · ".join(found))

    def _tagged(self, text: Text, tag: str) -> str:
        if len(self.languages) == 1:
            return str(getattr(text, self.languages[0]))
        if text.en == text.ko:
            return text.en
        return "".join(f'<{tag} class="{code}" lang="{code}">{getattr(text, code)}</{tag}>' for code in self.languages)
