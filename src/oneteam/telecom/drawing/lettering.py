"""Words and numbers on a drawing: Korean and English, in a typeface that has them."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from functools import cache
from typing import Final, Literal

from matplotlib import font_manager

Language = Literal["en", "ko"]

KOREAN_TYPEFACES: Final = (
    "Noto Sans CJK KR",
    "Noto Sans KR",
    "Pretendard",
    "NanumGothic",
    "NanumBarunGothic",
    "Malgun Gothic",
    "Apple SD Gothic Neo",
    "Noto Sans CJK JP",
    "Noto Sans CJK SC",
)
"""Typefaces with Hangul, the best first. The Japanese and Chinese faces of Noto Sans CJK hold the same Hangul."""

_BASE: Final = "DejaVu Sans"

_WORDS: Final[Mapping[str, tuple[str, str]]] = {
    "subscribers": ("subscribers", "가입자"),
    "active": ("active subscribers", "활동 가입자"),
    "trips": ("trips", "통행"),
    "days": ("days", "일"),
    "returns": ("returns", "귀국"),
    "departures": ("departures", "출국"),
    "people": ("people", "명"),
    "hours": ("hours", "시간"),
    "no_data": ("no data", "자료 없음"),
    "highest": ("Highest", "상위 지역"),
    "largest": ("Largest flows", "상위 통행"),
    "source": ("Source", "자료"),
    "others": ("others", "기타"),
    "detail": ("Detail", "확대"),
    "hour": ("hour", "시"),
    "thin_to_thick": ("a flow runs from its thin to its thick end", "가는 쪽에서 굵은 쪽으로 이동"),
    "per_population": ("{unit} per 1,000 inhabitants", "인구 1,000명당 {unit}"),
    "per_area": ("{unit} per km²", "km²당 {unit}"),
    "mean_of": ("mean of {count}", "{count} 평균"),
    "days_counted": ("{n} days", "{n}일"),
    "hours_counted": ("{n} hours", "{n}시간대"),
    "months_counted": ("{n} months", "{n}개월"),
    "to": ("{first} to {last}", "{first} ~ {last}"),
    "flows_shown": (
        "the {shown} largest of {of} flows and the largest from each zone: {share} of what moves between zones",
        "지역 간 흐름 {of}개 중 상위 {shown}개와 지역별 최대 흐름: 지역 간 전체의 {share}",
    ),
}


@dataclass(frozen=True)
class Lettering:
    """A language, and the typefaces to set it in.

    Args:
        language: of the words that the drawing adds itself.
        families: typefaces, all installed, in the order in which a sign is looked for.
    """

    language: Language
    families: tuple[str, ...]

    @classmethod
    def choose(cls, wanted: Language) -> Lettering:
        """The wanted language where an installed typeface can set it, otherwise English."""
        installed = set(font_manager.get_font_names())
        korean = next((name for name in KOREAN_TYPEFACES if name in installed), None)
        families = (_BASE,) if korean is None else (_BASE, korean)
        return cls("en" if korean is None else wanted, families)

    def word(self, key: str, **parts: object) -> str:
        """A word or phrase in the drawing's language; an unknown key is its own word.

        >>> Lettering("ko", ("DejaVu Sans",)).word("days_counted", n=7)
        '7일'
        >>> Lettering("en", ("DejaVu Sans",)).word("per_area", unit="trips")
        'trips per km²'
        """
        english, korean = _WORDS.get(key, (key, key))
        return (korean if self.language == "ko" else english).format(**parts)

    def heading(self, text: str) -> str:
        """A text as a heading: with a capital letter in English.

        >>> Lettering("en", ("DejaVu Sans",)).heading("trips per km²"), Lettering("ko", ("DejaVu Sans",)).heading("km²당 통행")
        ('Trips per km²', 'km²당 통행')
        """
        return text[:1].upper() + text[1:] if self.language == "en" else text

    def can_set(self, text: str) -> bool:
        """Whether the typefaces have every sign of a text.

        >>> Lettering("en", ("DejaVu Sans",)).can_set("Jongno"), Lettering("en", ("DejaVu Sans",)).can_set("종로구")
        (True, False)
        """
        signs = {ord(sign) for sign in text if not unicodedata.category(sign).startswith("C")}
        return all(any(sign in _signs(family) for family in self.families) for sign in signs)

    def first_settable(self, *texts: str | None) -> str:
        """The first of some texts that is there and can be set; empty when none is.

        >>> Lettering("en", ("DejaVu Sans",)).first_settable(None, "종로구", "11010")
        '11010'
        """
        return next((text for text in texts if text and self.can_set(text)), "")

    def day(self, day: date) -> str:
        """A date.

        >>> Lettering("ko", ("DejaVu Sans",)).day(date(2020, 1, 31)), Lettering("en", ("DejaVu Sans",)).day(date(2020, 1, 31))
        ('2020년 1월 31일', '31 January 2020')
        """
        if self.language == "ko":
            return f"{day.year}년 {day.month}월 {day.day}일"
        return f"{day.day} {_MONTHS[day.month - 1]} {day.year}"

    def month(self, year: int, month: int) -> str:
        """A month of a year.

        >>> Lettering("en", ("DejaVu Sans",)).month(2020, 1)
        'January 2020'
        """
        return f"{year}년 {month}월" if self.language == "ko" else f"{_MONTHS[month - 1]} {year}"


_MONTHS: Final = (
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
)


def number(value: float, precision: float | None = None) -> str:
    """A number for a reader: thousands parted by commas, three significant digits below 100.

    Args:
        value: the number.
        precision: the smallest difference that matters; from the value itself when None.

    >>> [number(v) for v in (0, 0.01234, 3.14159, 42.5, 1234567.8)]
    ['0', '0.0123', '3.14', '42.5', '1,234,568']
    >>> number(12.0, 1.0), number(12.0, 0.25)
    ('12', '12.00')
    """
    if value == 0:
        return "0"
    if precision is not None:
        return f"{value:,.{decimals(precision)}f}"
    size = abs(value)
    if size >= 100 or float(value).is_integer():
        return f"{value:,.0f}"
    digits = 1
    while size * 10**digits < 100 and digits < 9:
        digits += 1
    return f"{value:,.{digits}f}".rstrip("0").rstrip(".")


def decimals(value: float) -> int:
    """How many digits stand behind the point of a number when it is written as short as it can be without loss.

    >>> decimals(12.0), decimals(0.25), decimals(1e-3)
    (0, 2, 3)
    """
    return next((digits for digits in range(12) if float(f"{value:.{digits}f}") == value), 12)


@cache
def _signs(family: str) -> frozenset[int]:
    path = font_manager.findfont(font_manager.FontProperties(family=family), fallback_to_default=False)
    return frozenset(font_manager.get_font(path).get_charmap())
