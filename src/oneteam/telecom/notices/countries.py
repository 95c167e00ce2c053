"""Countries as people write them: ISO 3166-1 alpha-2 codes, and common English and Korean names."""

from __future__ import annotations

import difflib
from functools import cache
from importlib.resources import files
from types import MappingProxyType
from typing import Final

from oneteam.core.errors import UnknownValueError
from oneteam.telecom.ingestion.mcc import COUNTRY_OF_MCC

_ALIASES: Final = MappingProxyType(
    {
        "usa": "US", "united states of america": "US", "uk": "GB", "united kingdom": "GB", "great britain": "GB", "england": "GB",
        "korea": "KR", "south korea": "KR", "republic of korea": "KR", "north korea": "KP", "czechia": "CZ", "türkiye": "TR",
        "hong kong": "HK", "macao": "MO", "macau": "MO", "burma": "MM", "myanmar": "MM", "holland": "NL", "uae": "AE", "viet nam": "VN",
        "russian federation": "RU", "ivory coast": "CI", "democratic republic of the congo": "CD",
        "일본": "JP", "중국": "CN", "대만": "TW", "홍콩": "HK", "마카오": "MO", "베트남": "VN", "태국": "TH",
        "필리핀": "PH", "라오스": "LA", "캄보디아": "KH", "미얀마": "MM", "말레이시아": "MY", "싱가포르": "SG", "인도네시아": "ID",
        "인도": "IN", "네팔": "NP", "몽골": "MN", "방글라데시": "BD", "스리랑카": "LK", "파키스탄": "PK", "우즈베키스탄": "UZ",
        "카자흐스탄": "KZ", "러시아": "RU", "미국": "US", "괌": "GU", "사이판": "MP", "캐나다": "CA", "멕시코": "MX",
        "브라질": "BR", "호주": "AU", "뉴질랜드": "NZ", "영국": "GB", "프랑스": "FR", "독일": "DE", "이탈리아": "IT",
        "스페인": "ES", "포르투갈": "PT", "스위스": "CH", "오스트리아": "AT", "네덜란드": "NL", "튀르키예": "TR", "터키": "TR",
        "체코": "CZ", "헝가리": "HU", "폴란드": "PL", "아랍에미리트": "AE", "사우디아라비아": "SA", "카타르": "QA", "쿠웨이트": "KW",
        "요르단": "JO", "이스라엘": "IL", "이란": "IR", "이집트": "EG", "남아프리카공화국": "ZA", "케냐": "KE", "우간다": "UG",
        "르완다": "RW", "나이지리아": "NG", "에티오피아": "ET", "콩고민주공화국": "CD", "대한민국": "KR", "한국": "KR",
    }
)  # fmt: skip


@cache
def _names() -> dict[str, str]:
    """Code by casefolded name; the English names are those of the tz database (public domain)."""
    text = (files("tzdata") / "zoneinfo" / "iso3166.tab").read_text(encoding="utf-8")
    listed = dict(line.split("\t") for line in text.splitlines() if line and not line.startswith("#"))
    names = {name.casefold(): code for code, name in listed.items()}
    names.update({code.casefold(): code for code in {*listed, *COUNTRY_OF_MCC.values()}})
    names.update(_ALIASES)
    return names


def country_code(text: str) -> str:
    """The ISO 3166-1 alpha-2 code of a country given by code or by a common English or Korean name.

    Raises:
        UnknownValueError: no such country; the hint names similar ones.

    >>> country_code("jp"), country_code("Vietnam"), country_code("태국")
    ('JP', 'VN', 'TH')
    """
    names = _names()
    code = names.get(text.strip().casefold())
    if code is None:
        near = difflib.get_close_matches(text.strip().casefold(), names, n=3, cutoff=0.6)
        close = ", ".join(f"{names[name]} ({name})" for name in near if name != names[name].casefold())
        raise UnknownValueError(
            f"country {text!r} is unknown; it must be an ISO 3166-1 alpha-2 code such as JP, US or VN",
            hint=f"Did you mean {close}?" if close else "See https://www.iso.org/obp/ui/#search for the codes.",
        )
    return code
