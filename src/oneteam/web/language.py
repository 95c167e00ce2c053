"""Words of the web face in English and Korean.

Every room keeps its own: ``WORDS: Final = {"room.key": Text(en="English", ko="한국어"), ...}``. Templates say ``t("room.key")``, with
``t("room.key", name=value)`` where the words have ``{name}`` in them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from importlib import import_module
from importlib.util import find_spec
from typing import Final, Literal

from oneteam.core.model import Text

Language = Literal["en", "ko"]
Theme = Literal["auto", "light", "dark"]
LANGUAGES: Final[tuple[Language, ...]] = ("en", "ko")
THEMES: Final[tuple[Theme, ...]] = ("auto", "light", "dark")
BOOKS: Final = (
    "oneteam.web.frame_words",
    "oneteam.web.words",
    "oneteam.web.account.words",
    "oneteam.web.alliance.words",
    "oneteam.web.outlook.words",
    "oneteam.web.whatif.words",
)
"""Modules whose ``WORDS`` are read, as far as they are there."""
UNKNOWN: Final = "⟦{key}⟧"
"""How a key without words is shown; a test finds it."""
_WEIGHED: Final = re.compile(r"\s*([a-zA-Z]{1,8}|\*)(?:-[a-zA-Z0-9]{1,8})*\s*(?:;\s*q=([01](?:\.\d{0,3})?))?\s*")


@lru_cache(maxsize=1)
def all_words() -> Mapping[str, Text]:
    """Every room's words by key."""
    found: dict[str, Text] = {}
    for book in BOOKS:
        if find_spec(book.rpartition(".")[0]) is not None and find_spec(book) is not None:
            found |= import_module(book).WORDS
    return found


def translator(language: Language) -> Callable[..., str]:
    """What templates call as ``t``.

    >>> translator("ko")("frame.language")
    '언어'
    >>> translator("en")("no.such.key")
    '⟦no.such.key⟧'
    """

    def translate(key: str, **values: object) -> str:
        words = all_words().get(key)
        if words is None:
            return UNKNOWN.format(key=key)
        text = (words.ko or words.en) if language == "ko" else words.en
        return text.format(**values) if values else text

    return translate


def known(key: str) -> bool:
    """Whether there are words for a key."""
    return key in all_words()


def pick_language(asked: str | None, kept: str | None, accepted: str | None) -> Language:
    """The language of a page.

    Args:
        asked: of ``?lang=``.
        kept: of the cookie.
        accepted: the header Accept-Language (RFC 9110, section 12.5.4).

    >>> pick_language(None, None, "fr;q=0.9, ko-KR, en;q=0.8"), pick_language("en", "ko", "ko"), pick_language(None, None, "fr")
    ('ko', 'en', 'en')
    """
    for given in (asked, kept):
        if given in LANGUAGES:
            return given
    best: tuple[float, Language] = (0.0, "en")
    for piece in (accepted or "").split(",")[:20]:
        found = _WEIGHED.fullmatch(piece)
        if found is None:
            continue
        for language in LANGUAGES:
            if found[1].lower() == language and float(found[2] or 1) > best[0]:
                best = (float(found[2] or 1), language)
    return best[1]


def pick_theme(asked: str | None, kept: str | None) -> Theme:
    """Light or dark, or as the reader's system has it.

    >>> pick_theme(None, "dark"), pick_theme("light", "dark"), pick_theme("pink", None)
    ('dark', 'light', 'auto')
    """
    return next((given for given in (asked, kept) if given in THEMES), "auto")
