"""Names of countries of origin by ISO 3166-1 alpha-2 code, in both languages."""

from __future__ import annotations

from typing import Final

from oneteam.core.model import Text
from oneteam.epidemic.report.voice import same, words

_NAMES: Final = """
AE United Arab Emirates|아랍에미리트;AR Argentina|아르헨티나;AT Austria|오스트리아;AU Australia|호주;BD Bangladesh|방글라데시
BE Belgium|벨기에;BG Bulgaria|불가리아;BR Brazil|브라질;CA Canada|캐나다;CH Switzerland|스위스
CL Chile|칠레;CN China|중국;CO Colombia|콜롬비아;CZ Czechia|체코;DE Germany|독일
DK Denmark|덴마크;EG Egypt|이집트;ES Spain|스페인;ET Ethiopia|에티오피아;FI Finland|핀란드
FR France|프랑스;GB United Kingdom|영국;GR Greece|그리스;GU Guam|괌;HK Hong Kong|홍콩
HU Hungary|헝가리;ID Indonesia|인도네시아;IE Ireland|아일랜드;IL Israel|이스라엘;IN India|인도
IQ Iraq|이라크;IR Iran|이란;IT Italy|이탈리아;JP Japan|일본;KE Kenya|케냐
KG Kyrgyzstan|키르기스스탄;KH Cambodia|캄보디아;KR South Korea|대한민국;KZ Kazakhstan|카자흐스탄;LA Laos|라오스
LK Sri Lanka|스리랑카;MA Morocco|모로코;MM Myanmar|미얀마;MN Mongolia|몽골;MO Macao|마카오
MX Mexico|멕시코;MY Malaysia|말레이시아;NG Nigeria|나이지리아;NL Netherlands|네덜란드;NO Norway|노르웨이
NP Nepal|네팔;NZ New Zealand|뉴질랜드;PE Peru|페루;PH Philippines|필리핀;PK Pakistan|파키스탄
PL Poland|폴란드;PT Portugal|포르투갈;QA Qatar|카타르;RO Romania|루마니아;RU Russia|러시아
SA Saudi Arabia|사우디아라비아;SE Sweden|스웨덴;SG Singapore|싱가포르;TH Thailand|태국;TR Türkiye|튀르키예
TW Taiwan|대만;UA Ukraine|우크라이나;US United States|미국;UZ Uzbekistan|우즈베키스탄;VN Vietnam|베트남
ZA South Africa|남아프리카공화국
"""
COUNTRIES: Final[dict[str, Text]] = {
    entry[:2]: words(*entry[3:].split("|")) for line in _NAMES.strip().splitlines() for entry in line.split(";")
}


def country(origin: str) -> Text:
    """The name of an origin; what is no code that is known stays as it is.

    >>> country("VN").ko, country("Atlantis").en
    ('베트남', 'Atlantis')
    """
    return COUNTRIES.get(origin) or same(origin)
